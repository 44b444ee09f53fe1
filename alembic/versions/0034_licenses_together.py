"""Licenses together: what each is for, the merged file of a server, and what the customer was told of drops.

What an operator must know: quick; three columns more on licenses and the issuance log, new tables, and a trigger that
notes changes of accounts with several licenses. Their merged files are made by the first tick. Safe to run before the
new version starts.
"""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None

_ENVIRONMENTS = "environment IN ('production', 'non_production')"
_MERGED_CHECKS = {
    "seats_positive": "seats > 0",
    "ends_after_start": "expires_at > starts_at",
    "never_suspended": "state <> 'suspended'",
    "revoked_has_instant": "(state = 'revoked') = (revoked_at IS NOT NULL)",
    "has_sources": "jsonb_array_length(sources) > 0",
    "license_state": "state IN ('active', 'superseded', 'suspended', 'revoked')",
}
_FUNCTIONS = """
-- One row for each account, however many licenses a statement wrote; a lone subscription has nothing to merge.
CREATE FUNCTION note_license_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO license_change (account_id)
  SELECT DISTINCT written.account_id FROM written
  WHERE EXISTS (SELECT FROM license other
                WHERE other.account_id = written.account_id AND other.subscription_id <> written.subscription_id);
  RETURN NULL;
END $$;

-- What was signed stays; an erasure may empty the text, of which the hash stays.
CREATE FUNCTION keep_merged_license() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  free text[] := ARRAY['state', 'revoked_at', 'file_text'];
BEGIN
  IF TG_OP = 'DELETE' OR (to_jsonb(NEW) - free) <> (to_jsonb(OLD) - free) THEN
    RAISE EXCEPTION 'merged license % is kept as it is', OLD.id USING ERRCODE = 'restrict_violation';
  END IF;
  IF OLD.state <> 'active' AND NEW.state <> OLD.state THEN
    RAISE EXCEPTION 'merged license % cannot go from % to %', OLD.id, OLD.state, NEW.state
      USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;
"""


def upgrade() -> None:
    op.execute(_FUNCTIONS)
    op.add_column("license", sa.Column("environment", sa.String(32), nullable=False, server_default="production"))
    op.add_column("license", sa.Column("server", sa.String(), nullable=False, server_default=""))
    op.create_check_constraint(op.f("ck_license_license_environment"), "license", _ENVIRONMENTS)
    op.create_check_constraint(op.f("ck_license_label_is_short"), "license", "char_length(label) <= 80")
    op.create_check_constraint(
        op.f("ck_license_server_is_short"), "license", "char_length(server) <= 120 AND server = btrim(server)"
    )
    _merged()
    _watching()
    op.alter_column("license_issuance", "license_id", nullable=True)
    op.add_column("license_issuance", sa.Column("merged_id", sa.String(), nullable=True))
    op.create_foreign_key(
        op.f("fk_license_issuance_merged_id"), "license_issuance", "merged_license", ["merged_id"], ["id"]
    )
    op.create_unique_constraint(op.f("uq_license_issuance_merged_id"), "license_issuance", ["merged_id"])
    op.create_check_constraint(
        op.f("ck_license_issuance_of_one_file"), "license_issuance", "(license_id IS NULL) <> (merged_id IS NULL)"
    )


def _merged() -> None:
    op.create_table(
        "merged_license",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("server", sa.String(), nullable=False),
        sa.Column("file_id", sa.String(), nullable=False),
        sa.Column("plan", sa.String(), nullable=False),
        sa.Column("sku", sa.String(), nullable=False),
        sa.Column("seats", sa.Integer(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("grace_days", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("entitlements", postgresql.JSONB(), nullable=False),
        sa.Column("sources", postgresql.JSONB(), nullable=False),
        sa.Column("content_sha256", sa.String(), nullable=False),
        sa.Column("kid", sa.String(), nullable=False),
        sa.Column("file_text", sa.String(), nullable=False),
        sa.Column("file_sha256", sa.String(), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("replaces_id", sa.String(), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        *(sa.CheckConstraint(rule, name=op.f(f"ck_merged_license_{name}")) for name, rule in _MERGED_CHECKS.items()),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_merged_license_account_id")),
        sa.ForeignKeyConstraint(["replaces_id"], ["merged_license.id"], name=op.f("fk_merged_license_replaces_id")),
        *(
            sa.UniqueConstraint(name, name=op.f(f"uq_merged_license_{name}"))
            for name in ("file_id", "file_sha256", "replaces_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_merged_license")),
    )
    op.create_index(op.f("ix_merged_license_account_id"), "merged_license", ["account_id"])
    op.create_index(
        "uq_merged_license_in_force", "merged_license", ["account_id", "server"], unique=True,
        postgresql_where=sa.text("state = 'active'"),
    )  # fmt: skip
    op.execute(
        "CREATE TRIGGER kept BEFORE UPDATE OR DELETE ON merged_license"
        " FOR EACH ROW EXECUTE FUNCTION keep_merged_license()"
    )
    op.execute(
        "CREATE TRIGGER never_emptied BEFORE TRUNCATE ON merged_license"
        " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
    op.execute(
        "CREATE TRIGGER told AFTER INSERT OR UPDATE OR DELETE ON merged_license"
        " FOR EACH ROW EXECUTE FUNCTION tell_fast_lane_of_license()"
    )


def _watching() -> None:
    op.create_table(
        "license_change",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_license_change_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_license_change")),
    )
    op.create_table(
        "merge_watch",
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_merge_watch_account_id")),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_merge_watch")),
    )
    op.create_index(op.f("ix_merge_watch_next_at"), "merge_watch", ["next_at"])
    op.create_table(
        "told_drop",
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("environment", sa.String(32), nullable=False),
        sa.Column("drops_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seats_before", sa.Integer(), nullable=False),
        sa.Column("seats_after", sa.Integer(), nullable=False),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("seats_before >= 0 AND seats_after >= 0", name=op.f("ck_told_drop_seats_counted")),
        sa.CheckConstraint(_ENVIRONMENTS, name=op.f("ck_told_drop_license_environment")),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_told_drop_account_id")),
        sa.PrimaryKeyConstraint("account_id", "environment", "drops_at", name=op.f("pk_told_drop")),
    )
    for when in ("INSERT", "UPDATE"):
        op.execute(
            f"CREATE TRIGGER noted_{when.lower()} AFTER {when} ON license REFERENCING NEW TABLE AS written"
            " FOR EACH STATEMENT EXECUTE FUNCTION note_license_change()"
        )
    op.execute(
        "INSERT INTO license_change (account_id) SELECT account_id FROM license WHERE state = 'active'"
        " GROUP BY account_id HAVING count(DISTINCT subscription_id) > 1"
    )
