"""Open invoices paid by card, and reminded of.

What an operator must know: quick; every attempt so far was for an order, and stays so. Safe to run before the new
version starts. Invoices that are open already are not reminded of, because nobody was told that they would be.
"""

import sqlalchemy as sa

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("payment_attempt", sa.Column("invoice_id", sa.String(), nullable=True))
    op.create_foreign_key(op.f("fk_payment_attempt_invoice_id"), "payment_attempt", "invoice", ["invoice_id"], ["id"])
    op.create_index(op.f("ix_payment_attempt_invoice_id"), "payment_attempt", ["invoice_id"])
    op.create_index(
        "uq_payment_attempt_one_open_of_invoice", "payment_attempt", ["invoice_id"], unique=True,
        postgresql_where=sa.text("invoice_id IS NOT NULL AND state IN ('unknown', 'pending')"),
    )  # fmt: skip
    op.create_table(
        "invoice_reminder",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("invoice_id", sa.String(), nullable=False),
        sa.Column("days_late", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("skipped_reason", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoice.id"], name=op.f("fk_invoice_reminder_invoice_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invoice_reminder")),
        sa.UniqueConstraint("invoice_id", "days_late", name=op.f("uq_invoice_reminder_invoice_id_days_late")),
    )
    for column in ("invoice_id", "due_at"):
        op.create_index(op.f(f"ix_invoice_reminder_{column}"), "invoice_reminder", [column])
