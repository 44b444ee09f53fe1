"""Agreements under which renewals run by themselves.

What an operator must know: quick. Agreements recorded so far keep sending renewals to sales.
"""

import sqlalchemy as sa

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "custom_agreement", sa.Column("renews_by_itself", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    op.alter_column("custom_agreement", "renews_by_itself", server_default=None)
