"""Signing keys are published before they sign and are retired; revoked files are listed; use of keys is counted.

What an operator must know: quick; two columns more on signing keys, new tables, and a trigger that lists each license
that is revoked, those of the past included. Where keys were rotated before, the newest of a purpose stays the one that
signs. Safe to run before the new version starts. Afterwards make the key of the list:
`blp keys create revocation-list`.
"""

import sqlalchemy as sa

from alembic import op

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None

_AT = sa.DateTime(timezone=True)
_FUNCTIONS = """
-- Names a file on the list without telling its id, which is a key for online checks.
CREATE FUNCTION revoked_file_hash(file_id text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT encode(substring(sha256(convert_to('blp/revoked-file/v1' || chr(10) || file_id, 'UTF8')) FOR 10), 'hex')
$$;

CREATE FUNCTION list_revoked_file() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO license_revocation (file_hash, reason, revoked_at)
  VALUES (revoked_file_hash(NEW.file_id), 'revoked', NEW.revoked_at) ON CONFLICT DO NOTHING;
  RETURN NULL;
END $$;

-- Once it has its number, an entry is on lists that are out.
CREATE FUNCTION keep_revocation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' OR OLD.sequence IS NOT NULL THEN
    RAISE EXCEPTION 'revocation % is kept as it is', OLD.id USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;
"""


def upgrade() -> None:
    _keys()
    op.execute(_FUNCTIONS)
    op.create_table(
        "license_revocation",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("file_hash", sa.String(), nullable=False),
        sa.Column("reason", sa.String(32), nullable=False),
        sa.Column("revoked_at", _AT, nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "reason IN ('revoked', 'key_compromised')", name=op.f("ck_license_revocation_revocation_reason")
        ),
        sa.CheckConstraint("sequence >= 1", name=op.f("ck_license_revocation_counted_from_one")),
        sa.CheckConstraint("file_hash ~ '^[0-9a-f]{20}$'", name=op.f("ck_license_revocation_hash_has_form")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_license_revocation")),
        sa.UniqueConstraint("file_hash", name=op.f("uq_license_revocation_file_hash")),
        sa.UniqueConstraint("sequence", name=op.f("uq_license_revocation_sequence")),
    )
    op.create_index(
        "ix_license_revocation_unnumbered", "license_revocation", ["id"], postgresql_where=sa.text("sequence IS NULL")
    )
    op.execute(
        "CREATE TRIGGER kept BEFORE UPDATE OR DELETE ON license_revocation"
        " FOR EACH ROW EXECUTE FUNCTION keep_revocation()"
    )
    op.execute(
        "CREATE TRIGGER never_emptied BEFORE TRUNCATE ON license_revocation"
        " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
    for table in ("license", "merged_license"):
        op.execute(
            f"CREATE TRIGGER listed AFTER UPDATE OF state ON {table} FOR EACH ROW"
            " WHEN (NEW.state = 'revoked' AND OLD.state <> 'revoked') EXECUTE FUNCTION list_revoked_file()"
        )
    op.execute(
        "INSERT INTO license_revocation (file_hash, reason, revoked_at)"
        " SELECT revoked_file_hash(file_id), 'revoked', revoked_at FROM ("
        "  SELECT file_id, revoked_at FROM license WHERE state = 'revoked'"
        "  UNION ALL SELECT file_id, revoked_at FROM merged_license WHERE state = 'revoked') AS gone"
        " ORDER BY revoked_at, file_id"
    )


def _keys() -> None:
    op.add_column("signing_key", sa.Column("signs_from", _AT, nullable=True))
    op.add_column("signing_key", sa.Column("retired_at", _AT, nullable=True))
    op.execute("UPDATE signing_key SET signs_from = valid_from")
    op.execute(
        "UPDATE signing_key SET valid_to = later.at FROM ("
        " SELECT kid, lead(signs_from) OVER (PARTITION BY purpose ORDER BY signs_from, kid) AS at"
        " FROM signing_key WHERE revoked_at IS NULL AND valid_to IS NULL) AS later"
        " WHERE later.kid = signing_key.kid AND later.at IS NOT NULL"
    )
    op.alter_column("signing_key", "signs_from", nullable=False)
    op.drop_constraint(op.f("ck_signing_key_ends_after_start"), "signing_key", type_="check")
    for name, rule in (
        ("ends_after_start", "valid_to IS NULL OR valid_to >= valid_from"),
        ("published_before_it_signs", "signs_from >= valid_from"),
        ("retired_after_signing", "retired_at IS NULL OR retired_at >= valid_to"),
    ):
        op.create_check_constraint(op.f(f"ck_signing_key_{name}"), "signing_key", rule)
    op.create_index(
        "uq_signing_key_newest", "signing_key", ["purpose"], unique=True,
        postgresql_where=sa.text("valid_to IS NULL AND revoked_at IS NULL"),
    )  # fmt: skip
    op.create_table(
        "signing_key_use",
        sa.Column("kid", sa.String(), nullable=False),
        sa.Column("used_on", sa.Date(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("count > 0", name=op.f("ck_signing_key_use_counts_something")),
        sa.ForeignKeyConstraint(["kid"], ["signing_key.kid"], name=op.f("fk_signing_key_use_kid")),
        sa.PrimaryKeyConstraint("kid", "used_on", name=op.f("pk_signing_key_use")),
    )
    op.create_table(
        "signing_canary",
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("kid", sa.String(), nullable=False),
        sa.Column("checked_at", _AT, nullable=False),
        sa.Column("failing_since", _AT, nullable=True),
        sa.Column("fault", sa.String(), nullable=False),
        sa.CheckConstraint(
            "(failing_since IS NULL) = (fault = '')", name=op.f("ck_signing_canary_fault_has_beginning")
        ),
        sa.PrimaryKeyConstraint("purpose", name=op.f("pk_signing_canary")),
    )
    op.create_table(
        "key_compromise",
        sa.Column("kid", sa.String(), nullable=False),
        sa.Column("successor_kid", sa.String(), nullable=False),
        sa.Column("started_by", sa.String(), nullable=False),
        sa.Column("started_at", _AT, nullable=False),
        sa.Column("reissued", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", _AT, nullable=True),
        sa.CheckConstraint("reissued >= 0", name=op.f("ck_key_compromise_counted")),
        *(sa.ForeignKeyConstraint([name], ["signing_key.kid"], name=op.f(f"fk_key_compromise_{name}"))
          for name in ("kid", "successor_kid")),
        sa.PrimaryKeyConstraint("kid", name=op.f("pk_key_compromise")),
    )  # fmt: skip
