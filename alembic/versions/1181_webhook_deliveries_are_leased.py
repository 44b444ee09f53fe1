"""Deliveries are leased while they are posted, and those that wait are found by their endpoint.

What an operator must know: quick, and safe to run before the new version starts.
"""

import sqlalchemy as sa

from alembic import op

revision = "1181"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("webhook_delivery", sa.Column("leased_until", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "ix_webhook_delivery_waiting",
        "webhook_delivery",
        ["endpoint_id"],
        unique=False,
        postgresql_where=sa.text("state = 'pending'"),
    )
