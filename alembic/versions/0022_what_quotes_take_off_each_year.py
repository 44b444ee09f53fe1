"""What a quote takes off stays on the line, so that further years of its term are billed as it said.

What an operator must know: quick; no quote could be billed yearly so far. Safe to run before the new version starts.
"""

import sqlalchemy as sa

from alembic import op

revision = "0022"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("subscription_line", sa.Column("quoted_minor", sa.BigInteger(), nullable=False, server_default="0"))
    op.create_check_constraint(
        op.f("ck_subscription_line_quoted_not_negative"), "subscription_line", "quoted_minor >= 0"
    )
