"""Changes to running subscriptions: expansions at once, what goes down with the next term, charges carried on.

What an operator must know: quick, no existing row is touched. Run it with the old version stopped: that one would sell
a renewal without what is scheduled.
"""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_KINDS = "kind IN ('purchase', 'renewal', 'expansion')"
_JSON = postgresql.JSONB(none_as_null=True, astext_type=sa.Text())

_FUNCTIONS = """
-- A wish for the next term is withdrawn or carried out; it never becomes another one.
CREATE FUNCTION keep_scheduled_change() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  free text[] := ARRAY['state', 'closed_by', 'closed_at', 'order_id'];
BEGIN
  IF TG_OP = 'DELETE' OR (to_jsonb(NEW) - free) <> (to_jsonb(OLD) - free) THEN
    RAISE EXCEPTION 'scheduled change % is kept as it was wished', OLD.id USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;
"""


def upgrade() -> None:
    for table in ("preview", "order"):
        op.drop_constraint(op.f(f"ck_{table}_kind"), table, type_="check")
        op.create_check_constraint(op.f(f"ck_{table}_kind"), table, _KINDS)
        op.add_column(table, sa.Column("change", _JSON, nullable=True))
    op.create_check_constraint(
        op.f("ck_order_expansion_says_what_changes"), "order", "(kind = 'expansion') = (change IS NOT NULL)"
    )
    op.add_column("order", sa.Column("carried_to", sa.String(), nullable=True))
    op.create_foreign_key(op.f("fk_order_carried_to"), "order", "order", ["carried_to"], ["id"])
    op.create_index(op.f("ix_order_carried_to"), "order", ["carried_to"])
    op.create_index(
        "uq_order_expansion_under_way", "order", ["subscription_id"], unique=True,
        postgresql_where=sa.text("kind = 'expansion' AND state IN ('awaiting_payment', 'held')"),
    )  # fmt: skip
    op.add_column("order_line", sa.Column("change", _JSON, nullable=True))
    op.add_column("invoice_line", sa.Column("quantity_before", sa.Integer(), nullable=True))
    op.create_check_constraint(op.f("ck_invoice_line_held_before"), "invoice_line", "quantity_before > 0")
    op.add_column("subscription", sa.Column("revision", sa.Integer(), nullable=False, server_default="0"))
    op.drop_constraint(op.f("uq_entitlement_order_id_key"), "entitlement", type_="unique")
    op.create_unique_constraint(
        op.f("uq_entitlement_order_id_key_starts_at"), "entitlement", ["order_id", "key", "starts_at"]
    )
    op.create_index(
        "ix_license_to_release", "license", ["starts_at"],
        postgresql_where=sa.text("state = 'active' AND starts_at > issued_at"),
    )  # fmt: skip
    op.drop_index("uq_license_order_plan", "license")
    op.create_index(
        "uq_license_order_plan", "license", ["order_id", "plan_id"], unique=True,
        postgresql_where=sa.text("NOT bridge AND state <> 'revoked'"),
    )  # fmt: skip
    _scheduled()


def _scheduled() -> None:
    states = sa.Enum(
        "scheduled", "withdrawn", "applied", name="scheduled_state", native_enum=False, create_constraint=True,
        length=32,
    )  # fmt: skip
    op.create_table(
        "scheduled_change",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("subscription_id", sa.String(), nullable=False),
        sa.Column("state", states, nullable=False),
        sa.Column("plan_id", sa.String(), nullable=True),
        sa.Column("seats", sa.Integer(), nullable=True),
        sa.Column("dropped", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("requested_by", sa.String(), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_by", sa.String(), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("order_id", sa.String(), nullable=True),
        sa.CheckConstraint("seats > 0", name=op.f("ck_scheduled_change_seats_positive")),
        sa.CheckConstraint(
            "plan_id IS NOT NULL OR seats IS NOT NULL OR jsonb_array_length(dropped) > 0",
            name=op.f("ck_scheduled_change_changes_something"),
        ),
        sa.CheckConstraint(
            "(state = 'scheduled') = (closed_at IS NULL)", name=op.f("ck_scheduled_change_closed_has_instant")
        ),
        sa.CheckConstraint(
            "(state = 'applied') = (order_id IS NOT NULL)", name=op.f("ck_scheduled_change_applied_by_an_order")
        ),
        sa.ForeignKeyConstraint(
            ["subscription_id"], ["subscription.id"], name=op.f("fk_scheduled_change_subscription_id")
        ),
        sa.ForeignKeyConstraint(["plan_id"], ["plan.id"], name=op.f("fk_scheduled_change_plan_id")),
        sa.ForeignKeyConstraint(["order_id"], ["order.id"], name=op.f("fk_scheduled_change_order_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_scheduled_change")),
    )
    op.create_index(op.f("ix_scheduled_change_subscription_id"), "scheduled_change", ["subscription_id"])
    op.create_index(
        "uq_scheduled_change_one", "scheduled_change", ["subscription_id"], unique=True,
        postgresql_where=sa.text("state = 'scheduled'"),
    )  # fmt: skip
    op.execute(_FUNCTIONS)
    op.execute(
        "CREATE TRIGGER kept BEFORE UPDATE OR DELETE ON scheduled_change"
        " FOR EACH ROW EXECUTE FUNCTION keep_scheduled_change()"
    )
    op.execute(
        "CREATE TRIGGER allowed_move BEFORE UPDATE ON scheduled_change FOR EACH ROW EXECUTE FUNCTION enforce_move()"
    )
    for after in ("withdrawn", "applied"):
        op.execute(f"INSERT INTO state_move VALUES ('scheduled_change', 'scheduled', '{after}')")  # noqa: S608 -- constants
    op.execute(
        "CREATE TRIGGER never_emptied BEFORE TRUNCATE ON scheduled_change"
        " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
