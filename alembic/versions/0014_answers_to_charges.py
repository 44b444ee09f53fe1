"""Answers to the charges of renewals, kept until a run completes their orders.

What an operator must know: quick, a new and empty table; safe to run before the new version starts.
"""

import sqlalchemy as sa

from alembic import op

revision = "0014"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "charge_answer",
        sa.Column("attempt_id", sa.String(), nullable=False),
        sa.Column("order_id", sa.String(), nullable=False),
        sa.Column("ref", sa.String(), nullable=False),
        sa.Column("charge_ref", sa.String(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.CHAR(length=3), nullable=False),
        sa.Column("customer_ref", sa.String(), nullable=True),
        sa.Column("method_ref", sa.String(), nullable=True),
        sa.Column("method_label", sa.String(), nullable=False),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("currency ~ '^[A-Z]{3}$'", name=op.f("ck_charge_answer_currency_is_iso")),
        sa.ForeignKeyConstraint(["attempt_id"], ["payment_attempt.id"], name=op.f("fk_charge_answer_attempt_id")),
        sa.ForeignKeyConstraint(["order_id"], ["order.id"], name=op.f("fk_charge_answer_order_id")),
        sa.PrimaryKeyConstraint("attempt_id", name=op.f("pk_charge_answer")),
        sa.UniqueConstraint("order_id", name=op.f("uq_charge_answer_order_id")),
    )
