"""Lists of parties that nobody may sell to, as the operator imports them, and what was found and decided.

What an operator must know: quick; new tables only. Nobody is screened until a list is imported.
"""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

_DECIDED = (
    "(state = 'open') = (decided_at IS NULL) AND (decided_at IS NULL) = (decided_by = '')"
    " AND (decided_by = '') = (reason = '')"
)

# A record says what was known then: it is deleted when it is old enough, and never changed.
_NO_CHANGE = """
CREATE TRIGGER unchangeable BEFORE UPDATE ON screening_check FOR EACH ROW EXECUTE FUNCTION refuse_change()
"""
# What a person decided stands; so does what they decided about.
_DECISION = """
CREATE FUNCTION keeps_screening_decision() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.state <> 'open' OR (OLD.account_id, OLD.normalized, OLD.entry_id, OLD.entry_hash, OLD.entry, OLD.score)
    IS DISTINCT FROM (NEW.account_id, NEW.normalized, NEW.entry_id, NEW.entry_hash, NEW.entry, NEW.score) THEN
    RAISE EXCEPTION 'screening case % is decided, or about something else', OLD.id
      USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;
"""


def upgrade() -> None:
    _lists()
    _findings()
    op.execute(_NO_CHANGE)
    op.execute(_DECISION)
    op.execute(
        "CREATE TRIGGER keeps_screening_decision BEFORE UPDATE ON screening_case"
        " FOR EACH ROW EXECUTE FUNCTION keeps_screening_decision()"
    )
    for table in ("screening_version", "screening_check", "screening_case"):
        op.execute(
            f"CREATE TRIGGER never_emptied BEFORE TRUNCATE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )


def _lists() -> None:
    op.create_table(
        "screening_version",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("list_code", sa.String(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("entries", sa.Integer(), nullable=False),
        sa.Column("added", sa.Integer(), nullable=False),
        sa.Column("changed", sa.Integer(), nullable=False),
        sa.Column("removed", sa.Integer(), nullable=False),
        sa.Column("imported_by", sa.String(), nullable=False),
        sa.Column("imported_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("list_code ~ '^[a-z][a-z0-9_]{1,19}$'", name=op.f("ck_screening_version_list_is_a_code")),
        sa.CheckConstraint(
            "entries > 0 AND added >= 0 AND changed >= 0 AND removed >= 0",
            name=op.f("ck_screening_version_counts_not_negative"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_screening_version")),
    )
    op.create_index("ix_screening_version_list_code", "screening_version", ["list_code", "id"])
    op.create_table(
        "screening_entry",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("list_code", sa.String(), nullable=False),
        sa.Column("entry_key", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("entity_number", sa.String(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("programs", JSONB(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("alt_names", JSONB(), nullable=False),
        sa.Column("countries", JSONB(), nullable=False),
        sa.Column("starts_on", sa.Date(), nullable=True),
        sa.Column("ends_on", sa.Date(), nullable=True),
        sa.Column("url", sa.String(), nullable=False),
        sa.Column("content_hash", sa.String(), nullable=False),
        sa.Column("version_id", sa.BigInteger(), nullable=False),
        sa.Column("removed_in", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("name <> ''", name=op.f("ck_screening_entry_name_given")),
        sa.ForeignKeyConstraint(["version_id"], ["screening_version.id"], name=op.f("fk_screening_entry_version_id")),
        sa.ForeignKeyConstraint(["removed_in"], ["screening_version.id"], name=op.f("fk_screening_entry_removed_in")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_screening_entry")),
        sa.UniqueConstraint("list_code", "entry_key", name=op.f("uq_screening_entry_list_code_entry_key")),
    )
    op.create_index("ix_screening_entry_version_id", "screening_entry", ["version_id"])
    op.create_table(
        "screening_name",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("entry_id", sa.BigInteger(), nullable=False),
        sa.Column("normalized", sa.String(), nullable=False),
        sa.Column("version_id", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("normalized <> ''", name=op.f("ck_screening_name_name_given")),
        sa.ForeignKeyConstraint(["entry_id"], ["screening_entry.id"], name=op.f("fk_screening_name_entry_id")),
        sa.ForeignKeyConstraint(["version_id"], ["screening_version.id"], name=op.f("fk_screening_name_version_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_screening_name")),
        sa.UniqueConstraint("entry_id", "normalized", name=op.f("uq_screening_name_entry_id_normalized")),
    )
    op.create_index(
        "ix_screening_name_alike", "screening_name", ["normalized"], postgresql_using="gin",
        postgresql_ops={"normalized": "gin_trgm_ops"},
    )  # fmt: skip
    op.create_index("ix_screening_name_version_id", "screening_name", ["version_id"])


def _findings() -> None:
    op.create_table(
        "screening_check",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("preview_id", sa.String(), nullable=True),
        sa.Column("names", JSONB(), nullable=False),
        sa.Column("versions", JSONB(), nullable=False),
        sa.Column("hits", JSONB(), nullable=False),
        sa.Column("outcome", sa.String(length=32), nullable=False),
        sa.Column("checked_by", sa.String(), nullable=False),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("outcome IN ('clear', 'review', 'blocked')", name=op.f("ck_screening_check_check_outcome")),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_screening_check_account_id")),
        sa.ForeignKeyConstraint(["preview_id"], ["preview.id"], name=op.f("fk_screening_check_preview_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_screening_check")),
    )
    for column in ("account_id", "preview_id", "checked_at"):
        op.create_index(f"ix_screening_check_{column}", "screening_check", [column])
    op.create_table(
        "screening_case",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("role", sa.String(length=32), nullable=False),
        sa.Column("party_name", sa.String(), nullable=False),
        sa.Column("normalized", sa.String(), nullable=False),
        sa.Column("country", sa.String(), nullable=False),
        sa.Column("entry_id", sa.BigInteger(), nullable=False),
        sa.Column("entry_hash", sa.String(), nullable=False),
        sa.Column("entry", JSONB(), nullable=False),
        sa.Column("version_id", sa.BigInteger(), nullable=False),
        sa.Column("score", sa.Integer(), nullable=False),
        sa.Column("exact", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decided_by", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.CheckConstraint("role IN ('company', 'person')", name=op.f("ck_screening_case_screened_role")),
        sa.CheckConstraint("state IN ('open', 'cleared', 'confirmed')", name=op.f("ck_screening_case_state")),
        sa.CheckConstraint("score BETWEEN 0 AND 100", name=op.f("ck_screening_case_score_is_percent")),
        sa.CheckConstraint(_DECIDED, name=op.f("ck_screening_case_decision_has_person_and_reason")),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_screening_case_account_id")),
        sa.ForeignKeyConstraint(["entry_id"], ["screening_entry.id"], name=op.f("fk_screening_case_entry_id")),
        sa.ForeignKeyConstraint(["version_id"], ["screening_version.id"], name=op.f("fk_screening_case_version_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_screening_case")),
        sa.UniqueConstraint(
            "account_id", "entry_id", "entry_hash", "normalized",
            name=op.f("uq_screening_case_account_id_entry_id_entry_hash_normalized"),
        ),
    )  # fmt: skip
    op.create_index(
        "ix_screening_case_open", "screening_case", ["opened_at"], postgresql_where=sa.text("state = 'open'")
    )
    op.create_index(
        "ix_screening_case_stands", "screening_case", ["account_id"], postgresql_where=sa.text("state <> 'cleared'")
    )
    op.create_table(
        "screening_standing",
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("version_id", sa.BigInteger(), nullable=False),
        sa.Column("names_hash", sa.String(), nullable=False),
        sa.Column("screened_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_screening_standing_account_id")),
        sa.ForeignKeyConstraint(
            ["version_id"], ["screening_version.id"], name=op.f("fk_screening_standing_version_id")
        ),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_screening_standing")),
    )
    op.create_index(op.f("ix_screening_standing_version_id"), "screening_standing", ["version_id"])
