"""Dunning, automatic renewal by choice, bridge licenses, and what a lapse does to a workspace.

What an operator must know: adds columns to `subscription` (quick, no rewrite) and tables; safe to run
before the new version starts. Terms shorter than a year are marked as renewing by themselves, as they always did.
"""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_MOVES = "open>recovered open>given_up open>withdrawn"


def upgrade() -> None:
    op.create_table(
        "dunning_run",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("currency", sa.CHAR(length=3), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "open",
                "recovered",
                "given_up",
                "withdrawn",
                name="run_state",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failure_code", sa.String(), nullable=False),
        sa.Column("needs_card", sa.Boolean(), nullable=False),
        sa.Column("declined_method_ref", sa.String(), nullable=True),
        sa.Column("paused_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("pause_reason", sa.String(), nullable=True),
        sa.CheckConstraint("(state = 'open') = (closed_at IS NULL)", name=op.f("ck_dunning_run_closed_has_instant")),
        sa.CheckConstraint("currency ~ '^[A-Z]{3}$'", name=op.f("ck_dunning_run_currency_is_iso")),
        sa.CheckConstraint(
            "(paused_until IS NULL) = (pause_reason IS NULL)", name=op.f("ck_dunning_run_pause_says_why")
        ),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_dunning_run_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dunning_run")),
    )
    op.create_index(op.f("ix_dunning_run_account_id"), "dunning_run", ["account_id"], unique=False)
    op.create_index(op.f("ix_dunning_run_state"), "dunning_run", ["state"], unique=False)
    op.create_index(
        "uq_dunning_run_one_open",
        "dunning_run",
        ["account_id", "currency"],
        unique=True,
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_table(
        "dunning_step",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("mails", sa.Boolean(), nullable=False),
        sa.Column("last", sa.Boolean(), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "outcome",
            sa.Enum(
                "paid",
                "declined",
                "needs_card",
                "skipped",
                name="step_outcome",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=True,
        ),
        sa.CheckConstraint("(done_at IS NULL) = (outcome IS NULL)", name=op.f("ck_dunning_step_done_has_outcome")),
        sa.ForeignKeyConstraint(["run_id"], ["dunning_run.id"], name=op.f("fk_dunning_step_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dunning_step")),
        sa.UniqueConstraint("run_id", "position", name=op.f("uq_dunning_step_run_id_position")),
    )
    op.create_index(op.f("ix_dunning_step_due_at"), "dunning_step", ["due_at"], unique=False)
    op.create_index(op.f("ix_dunning_step_run_id"), "dunning_step", ["run_id"], unique=False)
    op.create_table(
        "automatic_charge",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("subscription_id", sa.String(), nullable=False),
        sa.Column("order_id", sa.String(), nullable=False),
        sa.Column("step_id", sa.String(), nullable=True),
        sa.Column("attempt_id", sa.String(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["attempt_id"], ["payment_attempt.id"], name=op.f("fk_automatic_charge_attempt_id")),
        sa.ForeignKeyConstraint(["order_id"], ["order.id"], name=op.f("fk_automatic_charge_order_id")),
        sa.ForeignKeyConstraint(["step_id"], ["dunning_step.id"], name=op.f("fk_automatic_charge_step_id")),
        sa.ForeignKeyConstraint(
            ["subscription_id"], ["subscription.id"], name=op.f("fk_automatic_charge_subscription_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_automatic_charge")),
        sa.UniqueConstraint("attempt_id", name=op.f("uq_automatic_charge_attempt_id")),
        sa.UniqueConstraint(
            "order_id", "step_id", name=op.f("uq_automatic_charge_order_id_step_id"), postgresql_nulls_not_distinct=True
        ),
    )
    op.create_index("ix_automatic_charge_of_day", "automatic_charge", ["subscription_id", "asked_at"], unique=False)
    op.create_table(
        "dunning_item",
        sa.Column("order_id", sa.String(), nullable=False),
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("subscription_id", sa.String(), nullable=False),
        sa.Column("old_end_on", sa.Date(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.CHAR(length=3), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "owed",
                "paid",
                "given_up",
                "withdrawn",
                name="owed_state",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("(state = 'owed') = (settled_at IS NULL)", name=op.f("ck_dunning_item_settled_has_instant")),
        sa.CheckConstraint("currency ~ '^[A-Z]{3}$'", name=op.f("ck_dunning_item_currency_is_iso")),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_dunning_item_amount_positive")),
        sa.ForeignKeyConstraint(["order_id"], ["order.id"], name=op.f("fk_dunning_item_order_id")),
        sa.ForeignKeyConstraint(["run_id"], ["dunning_run.id"], name=op.f("fk_dunning_item_run_id")),
        sa.ForeignKeyConstraint(["subscription_id"], ["subscription.id"], name=op.f("fk_dunning_item_subscription_id")),
        sa.PrimaryKeyConstraint("order_id", name=op.f("pk_dunning_item")),
    )
    op.create_index(op.f("ix_dunning_item_run_id"), "dunning_item", ["run_id"], unique=False)
    op.create_index(op.f("ix_dunning_item_subscription_id"), "dunning_item", ["subscription_id"], unique=False)
    op.create_index(
        "uq_dunning_item_one_owed",
        "dunning_item",
        ["subscription_id"],
        unique=True,
        postgresql_where=sa.text("state = 'owed'"),
    )
    op.create_table(
        "renewal_opening",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("subscription_id", sa.String(), nullable=False),
        sa.Column("ends_on", sa.Date(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("route", sa.String(), nullable=False),
        sa.Column("reasons", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("quote_id", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["quote_id"], ["quote.id"], name=op.f("fk_renewal_opening_quote_id")),
        sa.ForeignKeyConstraint(
            ["subscription_id"], ["subscription.id"], name=op.f("fk_renewal_opening_subscription_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_renewal_opening")),
        sa.UniqueConstraint("subscription_id", "ends_on", name=op.f("uq_renewal_opening_subscription_id_ends_on")),
    )
    op.create_index(op.f("ix_renewal_opening_subscription_id"), "renewal_opening", ["subscription_id"], unique=False)
    op.create_table(
        "billing_hold",
        sa.Column("subscription_id", sa.String(), nullable=False),
        sa.Column("workspace_id", sa.String(), nullable=False),
        sa.Column("was_running", sa.Boolean(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("delete_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deletion_asked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["subscription_id"], ["subscription.id"], name=op.f("fk_billing_hold_subscription_id")),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"], name=op.f("fk_billing_hold_workspace_id")),
        sa.PrimaryKeyConstraint("subscription_id", name=op.f("pk_billing_hold")),
        sa.UniqueConstraint("workspace_id", name=op.f("uq_billing_hold_workspace_id")),
    )
    op.create_index(op.f("ix_billing_hold_delete_at"), "billing_hold", ["delete_at"], unique=False)
    op.drop_constraint(op.f("uq_license_order_id_plan_id_bridge"), "license", type_="unique")
    op.create_index(
        "uq_license_order_plan", "license", ["order_id", "plan_id"], unique=True, postgresql_where=sa.text("NOT bridge")
    )
    op.add_column("subscription", sa.Column("auto_renew", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.alter_column("subscription", "auto_renew", server_default=None)
    op.execute("UPDATE subscription SET auto_renew = true WHERE term_months < 12")
    op.add_column("subscription", sa.Column("not_renewing_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("subscription", sa.Column("not_renewing_reason", sa.String(), nullable=True))
    op.add_column("subscription", sa.Column("parked_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("subscription", sa.Column("parked_reason", sa.String(), nullable=True))
    op.create_check_constraint(
        op.f("ck_subscription_not_renewing_says_why"),
        "subscription",
        "(not_renewing_at IS NULL) = (not_renewing_reason IS NULL)",
    )
    op.create_check_constraint(
        op.f("ck_subscription_parked_says_why"), "subscription", "(parked_at IS NULL) = (parked_reason IS NULL)"
    )
    op.execute("CREATE TRIGGER allowed_move BEFORE UPDATE ON dunning_run FOR EACH ROW EXECUTE FUNCTION enforce_move()")
    for move in _MOVES.split():
        before, _, after = move.partition(">")
        op.execute(f"INSERT INTO state_move VALUES ('dunning_run', '{before}', '{after}')")  # noqa: S608 -- constants
