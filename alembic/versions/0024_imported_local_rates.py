"""Local sales tax rates of the United States that the operator imports, a version for each state and import.

What an operator must know: quick; two new tables, nothing else changes. Safe to run before the new version starts.
"""

import sqlalchemy as sa

from alembic import op

revision = "0024"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "tax_local_version",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("content_hash", sa.String(), nullable=False),
        sa.Column("row_count", sa.Integer(), nullable=False),
        sa.Column("imported_by", sa.String(), nullable=False),
        sa.Column("imported_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("version > 0", name=op.f("ck_tax_local_version_version_from_one")),
        sa.CheckConstraint("row_count > 0", name=op.f("ck_tax_local_version_has_rows")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tax_local_version")),
        sa.UniqueConstraint("state", "version", name=op.f("uq_tax_local_version_state_version")),
    )
    op.create_table(
        "tax_local_rate",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("version_id", sa.BigInteger(), nullable=False),
        sa.Column("zip_from", sa.String(), nullable=False),
        sa.Column("zip_to", sa.String(), nullable=False),
        sa.Column("plus4_from", sa.String(), nullable=False),
        sa.Column("plus4_to", sa.String(), nullable=False),
        sa.Column("component", sa.String(), nullable=False),
        sa.Column("rate", sa.Numeric(8, 5), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.CheckConstraint(
            "zip_from ~ '^[0-9]{5}$' AND zip_to ~ '^[0-9]{5}$' AND zip_from <= zip_to",
            name=op.f("ck_tax_local_rate_zip_range"),
        ),
        sa.CheckConstraint(
            "(plus4_from = '' AND plus4_to = '') OR (plus4_from ~ '^[0-9]{4}$' AND plus4_to ~ '^[0-9]{4}$'"
            " AND plus4_from <= plus4_to AND zip_from = zip_to)",
            name=op.f("ck_tax_local_rate_plus4_range"),
        ),
        sa.CheckConstraint("rate >= 0 AND rate <= 30", name=op.f("ck_tax_local_rate_rate_in_range")),
        sa.CheckConstraint(
            "valid_to IS NULL OR valid_to >= valid_from", name=op.f("ck_tax_local_rate_ends_after_it_begins")
        ),
        sa.ForeignKeyConstraint(["version_id"], ["tax_local_version.id"], name=op.f("fk_tax_local_rate_version_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tax_local_rate")),
    )
    op.create_index("ix_tax_local_rate_zip", "tax_local_rate", ["version_id", "zip_from", "zip_to"])
    for table in ("tax_local_version", "tax_local_rate"):
        op.execute(
            f"CREATE TRIGGER unchangeable BEFORE UPDATE OR DELETE ON {table}"
            " FOR EACH ROW EXECUTE FUNCTION refuse_change()"
        )
        op.execute(
            f"CREATE TRIGGER never_emptied BEFORE TRUNCATE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
