"""Servers bound to licenses, limits that staff give, and the plans' rules about both.

What an operator must know: quick; two new tables, and one empty column more on every plan: no plan binds servers until
the catalog says so. Safe to run before the new version starts.
"""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from alembic import op

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None

_FUNCTIONS = """
-- Who was bound to what stays as it was; what was given up is not taken up again.
CREATE FUNCTION keep_activation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.state = 'deactivated' OR (OLD.subscription_id, OLD.fingerprint, OLD.slot, OLD.activated_at)
    IS DISTINCT FROM (NEW.subscription_id, NEW.fingerprint, NEW.slot, NEW.activated_at) THEN
    RAISE EXCEPTION 'activation % is kept as it is', OLD.id USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;

-- Validation remembers licenses with their servers: every file of the subscription is to be read anew.
CREATE FUNCTION tell_fast_lane_of_servers() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  changed record;
BEGIN
  IF TG_OP = 'DELETE' THEN
    changed := OLD;
  ELSE
    changed := NEW;
  END IF;
  PERFORM pg_notify('blp_fast', 'license:' || file_id) FROM license WHERE subscription_id = changed.subscription_id;
  RETURN NULL;
END $$;
"""


def upgrade() -> None:
    op.add_column("plan", sa.Column("activation_rules", postgresql.JSONB(none_as_null=True), nullable=True))
    op.execute(_FUNCTIONS)
    _activations()
    _limits()
    op.execute(
        "CREATE TRIGGER told AFTER UPDATE OF activation_rules ON plan"
        " FOR EACH STATEMENT EXECUTE FUNCTION tell_fast_lane('plan')"
    )


def _activations() -> None:
    op.create_table(
        "license_activation",
        *(sa.Column(name, sa.String(), nullable=False)
          for name in ("id", "account_id", "subscription_id", "license_id")),
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("allowed", sa.Integer(), nullable=True),
        *(sa.Column(name, sa.String(), nullable=False) for name in ("fingerprint", "name", "hostname", "version")),
        sa.Column("state", _enum("activation_state", "active", "deactivated"), nullable=False),
        sa.Column("activated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("offline", sa.Boolean(), nullable=False),
        sa.Column("request_nonce", sa.String(), nullable=True),
        sa.Column("deactivated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_by", _enum("ended_by", "product", "customer", "staff", "silence"), nullable=True),
        sa.Column("deactivated_by", sa.String(), nullable=True),
        sa.Column("reason", sa.String(), nullable=False),
        sa.CheckConstraint(
            "slot >= 1 AND (allowed IS NULL OR slot <= allowed)",
            name=op.f("ck_license_activation_within_what_is_allowed"),
        ),
        sa.CheckConstraint("fingerprint ~ '^[!-~]{1,255}$'", name=op.f("ck_license_activation_fingerprint_form")),
        sa.CheckConstraint(
            "(state = 'deactivated') = (deactivated_at IS NOT NULL)"
            " AND (state = 'deactivated') = (ended_by IS NOT NULL AND deactivated_by IS NOT NULL)",
            name=op.f("ck_license_activation_deactivated_by_somebody"),
        ),
        sa.CheckConstraint(
            "NOT offline OR lease_until IS NULL", name=op.f("ck_license_activation_offline_has_no_lease")
        ),
        sa.CheckConstraint(
            "(request_nonce IS NOT NULL) = offline", name=op.f("ck_license_activation_offline_by_request")
        ),
        *(sa.ForeignKeyConstraint([f"{table}_id"], [f"{table}.id"], name=op.f(f"fk_license_activation_{table}_id"))
          for table in ("account", "subscription", "license")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_license_activation")),
    )  # fmt: skip
    for column in ("account_id", "subscription_id"):
        op.create_index(op.f(f"ix_license_activation_{column}"), "license_activation", [column])
    for name, column, where in (
        ("place", "slot", "state = 'active'"), ("server", "fingerprint", "state = 'active'"),
        ("request", "request_nonce", "request_nonce IS NOT NULL"),
    ):  # fmt: skip
        op.create_index(
            f"uq_license_activation_{name}", "license_activation", ["subscription_id", column], unique=True,
            postgresql_where=sa.text(where),
        )  # fmt: skip
    op.create_index(
        "ix_license_activation_leases", "license_activation", ["lease_until"],
        postgresql_where=sa.text("state = 'active' AND lease_until IS NOT NULL"),
    )  # fmt: skip
    op.execute(
        "CREATE TRIGGER kept BEFORE UPDATE OF state, subscription_id, fingerprint, slot, activated_at"
        " ON license_activation FOR EACH ROW EXECUTE FUNCTION keep_activation()"
    )
    # Not when a server was merely seen or its lease goes on: whoever would call it dead for that reads it again first.
    op.execute(
        "CREATE TRIGGER told AFTER INSERT OR DELETE OR UPDATE OF state ON license_activation"
        " FOR EACH ROW EXECUTE FUNCTION tell_fast_lane_of_servers()"
    )


def _limits() -> None:
    op.create_table(
        "license_activation_limit",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("subscription_id", sa.String(), nullable=False),
        sa.Column("most", sa.Integer(), nullable=True),
        sa.Column("set_by", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("set_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("most IS NULL OR most >= 1", name=op.f("ck_license_activation_limit_most_is_positive")),
        sa.CheckConstraint(
            "set_by <> '' AND reason <> ''", name=op.f("ck_license_activation_limit_has_person_and_reason")
        ),
        *(sa.ForeignKeyConstraint(
            [f"{table}_id"], [f"{table}.id"], name=op.f(f"fk_license_activation_limit_{table}_id")
        ) for table in ("account", "subscription")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_license_activation_limit")),
    )  # fmt: skip
    op.create_index(
        op.f("ix_license_activation_limit_subscription_id"), "license_activation_limit", ["subscription_id"]
    )
    op.execute(
        "CREATE TRIGGER unchangeable BEFORE UPDATE OR DELETE ON license_activation_limit"
        " FOR EACH ROW EXECUTE FUNCTION refuse_change()"
    )
    op.execute(
        "CREATE TRIGGER never_emptied BEFORE TRUNCATE ON license_activation_limit"
        " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
    op.execute(
        "CREATE TRIGGER told AFTER INSERT ON license_activation_limit"
        " FOR EACH ROW EXECUTE FUNCTION tell_fast_lane_of_servers()"
    )


def _enum(name: str, *values: str) -> sa.Enum:
    return sa.Enum(*values, name=name, native_enum=False, create_constraint=True, length=32)
