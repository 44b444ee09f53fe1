"""What a quote takes off stays on the line, so that further years of its term are billed as it said; and what became of
charges too small to be made where no further invoice came.

What an operator must know: quick; no quote could be billed yearly so far. Safe to run before the new version starts.
"""

import sqlalchemy as sa

from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("subscription_line", sa.Column("quoted_minor", sa.BigInteger(), nullable=False, server_default="0"))
    op.create_check_constraint(
        op.f("ck_subscription_line_quoted_not_negative"), "subscription_line", "quoted_minor >= 0"
    )
    op.create_table(
        "carried_end",
        sa.Column("order_id", sa.String(), nullable=False),
        sa.Column("became", sa.String(), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("became IN ('invoiced', 'written_off')", name=op.f("ck_carried_end_end_of_carried")),
        sa.ForeignKeyConstraint(["order_id"], ["order.id"], name=op.f("fk_carried_end_order_id")),
        sa.PrimaryKeyConstraint("order_id", name=op.f("pk_carried_end")),
    )
    op.create_index(
        "ix_order_left_behind", "order", ["subscription_id"],
        postgresql_where=sa.text("kind = 'expansion' AND state = 'completed' AND carried_to IS NULL"),
    )  # fmt: skip
