"""Find a person's accounts by address, and note from where an API key was last used (S10).

What an operator must know: the index is built while nobody writes to `member`; old code keeps working.
"""

import sqlalchemy as sa

from alembic import op

revision = "1010"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("api_key", sa.Column("last_used_ip", sa.String(), nullable=True))
    op.create_index("ix_member_lower_email", "member", [sa.text("lower(email)")])
