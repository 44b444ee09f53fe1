"""The log of license signatures knows formats: Keygen files and tokens are signed when somebody asks for them.

What an operator must know: quick; two new columns and a version on every row of the log. Old rows keep their hashes, as
version 1. Safe to run before the new version starts. Afterwards make the keys of the new formats: `blp catalog apply`
does, or `blp keys create keygen-file` and `blp keys create license-token`.
"""

import sqlalchemy as sa

from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name, kind, before in (
        ("format", sa.String(length=32), "mattermost"), ("actor", sa.String(), ""), ("version", sa.SmallInteger(), "1"),
    ):  # fmt: skip
        op.add_column("license_issuance", sa.Column(name, kind, nullable=False, server_default=before))
    op.create_check_constraint(
        op.f("ck_license_issuance_license_format"), "license_issuance", "format IN ('mattermost', 'keygen', 'token')"
    )
    op.create_check_constraint(op.f("ck_license_issuance_version_known"), "license_issuance", "version IN (1, 2)")
    op.create_check_constraint(
        op.f("ck_license_issuance_names_its_actor"), "license_issuance", "version = 1 OR actor <> ''"
    )
    op.drop_constraint(op.f("uq_license_issuance_license_id"), "license_issuance", type_="unique")
    op.create_index(
        "uq_license_issuance_mattermost", "license_issuance", ["license_id"], unique=True,
        postgresql_where=sa.text("format = 'mattermost'"),
    )  # fmt: skip
    op.create_index(
        "uq_license_issuance_rendered", "license_issuance", ["kid", "file_sha256"], unique=True,
        postgresql_where=sa.text("format <> 'mattermost'"),
    )  # fmt: skip
