"""Cards that are kept without a charge, their expiry and which is charged; turns at the payment provider.

What an operator must know: quick, the tables are small. Run it with the old version stopped: that one does not
say which card is charged.
"""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from alembic import op

revision = "0015"
down_revision = "0013"
branch_labels = None
depends_on = None


def _enum(name: str, values: str) -> sa.Enum:
    return sa.Enum(*values.split(), name=name, native_enum=False, create_constraint=True, length=32)


def _at(name: str, *, nullable: bool = False) -> sa.Column[sa.DateTime]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _text(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(), nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "provider_pace", _text("lane"), _at("free_at"), sa.PrimaryKeyConstraint("lane", name="pk_provider_pace")
    )
    _kept_cards()
    _setups()
    _sandbox()


def _kept_cards() -> None:
    op.add_column("payment_method", sa.Column("exp_year", sa.Integer(), nullable=True))
    op.add_column("payment_method", sa.Column("exp_month", sa.Integer(), nullable=True))
    op.add_column("payment_method", sa.Column("is_default", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.alter_column("payment_method", "is_default", server_default=None)
    op.create_check_constraint(
        op.f("ck_payment_method_expiry_whole"), "payment_method",
        "(exp_year IS NULL) = (exp_month IS NULL) AND exp_month BETWEEN 1 AND 12",
    )  # fmt: skip
    # The youngest was the one that was charged.
    op.execute(
        "UPDATE payment_method SET is_default = true WHERE id IN ("
        " SELECT max(id) FROM payment_method WHERE removed_at IS NULL GROUP BY account_id, provider)"
    )
    op.create_index(
        op.f("uq_payment_method_one_default"), "payment_method", ["account_id", "provider"], unique=True,
        postgresql_where=sa.text("is_default AND removed_at IS NULL"),
    )  # fmt: skip


def _setups() -> None:
    op.create_table(
        "card_setup",
        _text("id"),
        _text("account_id"),
        _text("run_id", nullable=True),
        _text("provider"),
        _text("provider_ref", nullable=True),
        _text("redirect_url", nullable=True),
        _text("method_id", nullable=True),
        sa.Column("state", _enum("setup_state", "unknown pending succeeded expired"), nullable=False),
        _text("failure_code", nullable=True),
        _text("requested_by"),
        _at("created_at"),
        _at("updated_at"),
        sa.CheckConstraint(
            "(state = 'succeeded') = (method_id IS NOT NULL)", name=op.f("ck_card_setup_success_has_method")
        ),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_card_setup_account_id")),
        sa.ForeignKeyConstraint(["run_id"], ["dunning_run.id"], name=op.f("fk_card_setup_run_id")),
        sa.ForeignKeyConstraint(["method_id"], ["payment_method.id"], name=op.f("fk_card_setup_method_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_card_setup")),
        sa.UniqueConstraint("provider", "provider_ref", name=op.f("uq_card_setup_provider_provider_ref")),
    )
    op.create_index(op.f("ix_card_setup_account_id"), "card_setup", ["account_id"])
    op.create_index(op.f("ix_card_setup_state"), "card_setup", ["state"])


def _sandbox() -> None:
    op.add_column("sandbox_customer", _at("deleted_at", nullable=True))
    op.add_column("sandbox_checkout", sa.Column("consent", sa.String(), nullable=False, server_default=""))
    op.alter_column("sandbox_checkout", "consent", server_default=None)
    op.create_table(
        "sandbox_setup",
        _text("id"),
        _text("intent_id"),
        _text("client_reference_id", nullable=True),
        _text("customer_id", nullable=True),
        _text("customer_email"),
        _text("success_url"),
        _text("cancel_url"),
        _text("consent"),
        sa.Column("status", _enum("status", "open complete expired"), nullable=False),
        sa.Column(
            "intent_status", _enum("intent_status", "requires_payment_method requires_action succeeded canceled"),
            nullable=False,
        ),
        _text("method_id", nullable=True),
        _text("failure_code", nullable=True),
        sa.Column("extra", postgresql.JSONB(), nullable=False),
        sa.Column("intent_extra", postgresql.JSONB(), nullable=False),
        _at("created_at"),
        _at("expires_at"),
        sa.CheckConstraint(
            "(intent_status = 'succeeded') = (status = 'complete')"
            " AND (status <> 'complete' OR method_id IS NOT NULL AND customer_id IS NOT NULL)",
            name=op.f("ck_sandbox_setup_complete_has_card"),
        ),
        sa.ForeignKeyConstraint(["customer_id"], ["sandbox_customer.id"], name=op.f("fk_sandbox_setup_customer_id")),
        sa.ForeignKeyConstraint(["method_id"], ["sandbox_method.id"], name=op.f("fk_sandbox_setup_method_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sandbox_setup")),
        sa.UniqueConstraint("intent_id", name=op.f("uq_sandbox_setup_intent_id")),
    )  # fmt: skip
    op.create_index(
        op.f("ix_sandbox_setup_client_reference_id"), "sandbox_setup", ["client_reference_id"]
    )  # fmt: skip
