"""The log of signatures knows machine files, too.

What an operator must know: quick; a check constraint is replaced, which reads the log of signatures once under a lock
that stops new ones meanwhile. Safe to run before the new version starts.
"""

from alembic import op

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None


def upgrade() -> None:
    name = op.f("ck_license_issuance_license_format")
    op.drop_constraint(name, "license_issuance", type_="check")
    op.create_check_constraint(name, "license_issuance", "format IN ('mattermost', 'keygen', 'token', 'machine')")
