"""Webhook endpoints rotate secrets and may belong to an account; events get the order in which they became visible.

What an operator must know: quick, and safe to run before the new version starts; events that exist already are
put in the order of their sequence.
"""

import sqlalchemy as sa

from alembic import op

revision = "1180"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("webhook_endpoint", sa.Column("account_id", sa.String(), nullable=True))
    op.add_column("webhook_endpoint", sa.Column("previous_secret_sealed", sa.String(), nullable=True))
    op.add_column("webhook_endpoint", sa.Column("previous_secret_until", sa.DateTime(timezone=True), nullable=True))
    op.add_column("webhook_endpoint", sa.Column("disabled_reason", sa.String(), nullable=True))
    op.alter_column("webhook_endpoint", "secret_sealed", nullable=True)
    op.execute("UPDATE webhook_endpoint SET secret_sealed = NULL WHERE kind = 'mattermost'")
    op.create_foreign_key(op.f("fk_webhook_endpoint_account_id"), "webhook_endpoint", "account", ["account_id"], ["id"])
    op.create_index(op.f("ix_webhook_endpoint_account_id"), "webhook_endpoint", ["account_id"], unique=False)
    op.create_check_constraint(
        op.f("ck_webhook_endpoint_signed_if_standard"),
        "webhook_endpoint",
        "(kind = 'standard') = (secret_sealed IS NOT NULL)",
    )
    op.create_check_constraint(
        op.f("ck_webhook_endpoint_previous_secret_ends"),
        "webhook_endpoint",
        "(previous_secret_sealed IS NULL) = (previous_secret_until IS NULL)",
    )
    op.add_column("webhook_delivery", sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=True))
    op.execute("UPDATE webhook_delivery SET next_attempt_at = created_at WHERE state = 'pending'")
    op.create_check_constraint(
        op.f("ck_webhook_delivery_pending_has_next"),
        "webhook_delivery",
        "(state = 'pending') = (next_attempt_at IS NOT NULL)",
    )
    op.create_table(
        "event_position",
        sa.Column("position", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("event_id", sa.String(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=True),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["event_id"], ["event.id"], name=op.f("fk_event_position_event_id")),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_event_position")),
        sa.UniqueConstraint("event_id", name=op.f("uq_event_position_event_id")),
    )
    op.create_index(op.f("ix_event_position_account_id"), "event_position", ["account_id"], unique=False)
    op.execute(
        "INSERT INTO event_position (event_id, account_id, published_at)"
        " SELECT id, account_id, now() FROM event ORDER BY sequence"
    )
