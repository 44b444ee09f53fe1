"""Give the sandbox's payment provider its own customers, cards, refunds and switches.

What an operator must know: test payments made in a sandbox before this version are forgotten; a production
installation has none.
"""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from alembic import op

revision = "1010"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("sandbox_checkout", "sandbox_intent", "sandbox_event", "sandbox_idempotency"):
        op.drop_table(table)
    op.create_table(
        "sandbox_customer",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("email", sa.String(), nullable=False),
        sa.Column("extra", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sandbox_customer")),
    )
    op.create_table(
        "sandbox_event",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("body", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("target_url", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sandbox_event")),
    )
    op.create_index(op.f("ix_sandbox_event_sequence"), "sandbox_event", ["sequence"], unique=False)
    op.create_table(
        "sandbox_idempotency",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("request_hash", sa.String(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("response", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_sandbox_idempotency")),
    )
    op.create_table(
        "sandbox_switches",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("target_url", sa.String(), nullable=True),
        sa.Column("copies", sa.Integer(), nullable=False),
        sa.Column("drop", sa.Boolean(), nullable=False),
        sa.Column("newest_first", sa.Boolean(), nullable=False),
        sa.Column("delay_seconds", sa.Integer(), nullable=False),
        sa.Column(
            "fault",
            sa.Enum(
                "none",
                "down",
                "lost_answer",
                "stored_500",
                "busy",
                name="fault",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.CheckConstraint("copies BETWEEN 1 AND 50", name=op.f("ck_sandbox_switches_copies_in_range")),
        sa.CheckConstraint("delay_seconds >= 0", name=op.f("ck_sandbox_switches_delay_not_negative")),
        sa.CheckConstraint("id = 1", name=op.f("ck_sandbox_switches_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sandbox_switches")),
    )
    op.create_table(
        "payment_method",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("customer_ref", sa.String(), nullable=False),
        sa.Column("method_ref", sa.String(), nullable=False),
        sa.Column("label", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_payment_method_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payment_method")),
        sa.UniqueConstraint("provider", "method_ref", name=op.f("uq_payment_method_provider_method_ref")),
    )
    op.create_index(op.f("ix_payment_method_account_id"), "payment_method", ["account_id"], unique=False)
    op.create_table(
        "sandbox_method",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("customer_id", sa.String(), nullable=True),
        sa.Column("brand", sa.String(), nullable=False),
        sa.Column("last4", sa.String(), nullable=False),
        sa.Column("exp_year", sa.Integer(), nullable=False),
        sa.Column("exp_month", sa.Integer(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "pays",
                "declines",
                "no_funds",
                "asks",
                "declines_later",
                "lost",
                name="kind",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["customer_id"], ["sandbox_customer.id"], name=op.f("fk_sandbox_method_customer_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sandbox_method")),
    )
    op.create_index(op.f("ix_sandbox_method_customer_id"), "sandbox_method", ["customer_id"], unique=False)
    op.create_table(
        "sandbox_intent",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("refunded_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.CHAR(length=3), nullable=False),
        sa.Column(
            "status",
            sa.Enum(
                "requires_payment_method",
                "requires_action",
                "succeeded",
                "canceled",
                name="status",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("customer_id", sa.String(), nullable=True),
        sa.Column("method_id", sa.String(), nullable=True),
        sa.Column("keeps_card", sa.Boolean(), nullable=False),
        sa.Column("charge_id", sa.String(), nullable=True),
        sa.Column("failure_code", sa.String(), nullable=True),
        sa.Column("dispute_id", sa.String(), nullable=True),
        sa.Column(
            "dispute_status",
            sa.Enum(
                "needs_response",
                "won",
                "lost",
                name="dispute_status",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=True,
        ),
        sa.Column("extra", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "(status = 'succeeded') = (charge_id IS NOT NULL)", name=op.f("ck_sandbox_intent_charged_once_succeeded")
        ),
        sa.CheckConstraint("currency ~ '^[A-Z]{3}$'", name=op.f("ck_sandbox_intent_currency_is_iso")),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_sandbox_intent_amount_positive")),
        sa.CheckConstraint(
            "refunded_minor BETWEEN 0 AND amount_minor", name=op.f("ck_sandbox_intent_refunds_within_amount")
        ),
        sa.ForeignKeyConstraint(["customer_id"], ["sandbox_customer.id"], name=op.f("fk_sandbox_intent_customer_id")),
        sa.ForeignKeyConstraint(["method_id"], ["sandbox_method.id"], name=op.f("fk_sandbox_intent_method_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sandbox_intent")),
        sa.UniqueConstraint("charge_id", name=op.f("uq_sandbox_intent_charge_id")),
        sa.UniqueConstraint("dispute_id", name=op.f("uq_sandbox_intent_dispute_id")),
    )
    op.create_table(
        "sandbox_checkout",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("client_reference_id", sa.String(), nullable=True),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.CHAR(length=3), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("customer_email", sa.String(), nullable=False),
        sa.Column("success_url", sa.String(), nullable=False),
        sa.Column("cancel_url", sa.String(), nullable=False),
        sa.Column(
            "status",
            sa.Enum("open", "complete", "expired", name="status", native_enum=False, create_constraint=True, length=32),
            nullable=False,
        ),
        sa.Column("intent_id", sa.String(), nullable=True),
        sa.Column("intent_template", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("extra", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("currency ~ '^[A-Z]{3}$'", name=op.f("ck_sandbox_checkout_currency_is_iso")),
        sa.CheckConstraint(
            "status <> 'complete' OR intent_id IS NOT NULL", name=op.f("ck_sandbox_checkout_complete_is_paid")
        ),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_sandbox_checkout_amount_positive")),
        sa.ForeignKeyConstraint(["intent_id"], ["sandbox_intent.id"], name=op.f("fk_sandbox_checkout_intent_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sandbox_checkout")),
        sa.UniqueConstraint("intent_id", name=op.f("uq_sandbox_checkout_intent_id")),
    )
    op.create_index(
        op.f("ix_sandbox_checkout_client_reference_id"), "sandbox_checkout", ["client_reference_id"], unique=False
    )
    op.create_table(
        "sandbox_refund",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("intent_id", sa.String(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("extra", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_sandbox_refund_amount_positive")),
        sa.ForeignKeyConstraint(["intent_id"], ["sandbox_intent.id"], name=op.f("fk_sandbox_refund_intent_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sandbox_refund")),
    )
    op.create_index(op.f("ix_sandbox_refund_intent_id"), "sandbox_refund", ["intent_id"], unique=False)
