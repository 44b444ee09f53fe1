"""The operator's tax overrides, exchange rates, and alerts of registration thresholds.

What an operator must know: quick; new tables, nothing else changes. Safe to run before the new version starts.
"""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

_FUNCTIONS = """
-- Documents were taxed by it, so only its end may change.
CREATE FUNCTION keep_tax_override() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  free text[] := ARRAY['valid_to', 'withdrawn', 'ended_by', 'ended_at', 'ended_why'];
BEGIN
  IF TG_OP = 'DELETE' OR OLD.ended_at IS NOT NULL OR (to_jsonb(NEW) - free) <> (to_jsonb(OLD) - free) THEN
    RAISE EXCEPTION 'tax override % is kept as it is', OLD.id USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;
"""


def upgrade() -> None:
    op.execute(_FUNCTIONS)
    _overrides()
    _exchange_rates()
    _alerts()


def _exchange_rates() -> None:
    op.create_table(
        "exchange_rate",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("rate_on", sa.Date(), nullable=False),
        sa.Column("currency", sa.String(), nullable=False),
        sa.Column("rate", sa.Numeric(18, 8), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("why", sa.String(), nullable=False),
        sa.Column("recorded_by", sa.String(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "currency ~ '^[A-Z]{3}$' AND currency <> 'EUR'", name=op.f("ck_exchange_rate_currency_is_another")
        ),
        sa.CheckConstraint("rate > 0", name=op.f("ck_exchange_rate_rate_positive")),
        sa.CheckConstraint("source IN ('ecb', 'operator')", name=op.f("ck_exchange_rate_source_known")),
        sa.CheckConstraint("source = 'ecb' OR why <> ''", name=op.f("ck_exchange_rate_operator_says_why")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_exchange_rate")),
    )
    op.create_index(
        "uq_exchange_rate_ecb", "exchange_rate", ["currency", "rate_on"], unique=True,
        postgresql_where=sa.text("source = 'ecb'"),
    )  # fmt: skip
    op.create_index("ix_exchange_rate_day", "exchange_rate", ["currency", "rate_on"])
    op.execute(
        "CREATE TRIGGER unchangeable BEFORE UPDATE OR DELETE ON exchange_rate"
        " FOR EACH ROW EXECUTE FUNCTION refuse_change()"
    )
    op.execute(
        "CREATE TRIGGER never_emptied BEFORE TRUNCATE ON exchange_rate"
        " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )


def _alerts() -> None:
    op.create_table(
        "nexus_alert",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("legal_entity_id", sa.String(), nullable=False),
        sa.Column("jurisdiction", sa.String(), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("figures", postgresql.JSONB(), nullable=False),
        sa.Column("raised_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cleared_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("seen_by", sa.String(), nullable=True),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("seen_note", sa.String(), nullable=True),
        sa.CheckConstraint("level BETWEEN 1 AND 100", name=op.f("ck_nexus_alert_level_is_percent")),
        sa.CheckConstraint("(seen_at IS NULL) = (seen_by IS NULL)", name=op.f("ck_nexus_alert_seen_by_somebody")),
        sa.ForeignKeyConstraint(["legal_entity_id"], ["legal_entity.id"], name=op.f("fk_nexus_alert_legal_entity_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_nexus_alert")),
    )
    op.create_index(
        "uq_nexus_alert_open", "nexus_alert", ["legal_entity_id", "jurisdiction", "level"], unique=True,
        postgresql_where=sa.text("cleared_at IS NULL"),
    )  # fmt: skip
    op.create_table(
        "nexus_reading",
        sa.Column("legal_entity_id", sa.String(), nullable=False),
        sa.Column("read_on", sa.Date(), nullable=False),
        sa.ForeignKeyConstraint(
            ["legal_entity_id"], ["legal_entity.id"], name=op.f("fk_nexus_reading_legal_entity_id")
        ),
        sa.PrimaryKeyConstraint("legal_entity_id", "read_on", name=op.f("pk_nexus_reading")),
    )


def _overrides() -> None:
    op.create_table(
        "tax_override",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("jurisdiction", sa.String(), nullable=False),
        sa.Column("tax_code", sa.String(), nullable=False),
        sa.Column("buyer_type", sa.String(), nullable=False),
        sa.Column("treatment", sa.String(), nullable=False),
        sa.Column("rate", sa.Numeric(8, 5), nullable=True),
        sa.Column("portion", sa.Numeric(8, 5), nullable=False),
        sa.Column("alone", sa.Boolean(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("why", sa.String(), nullable=False),
        sa.Column("recorded_by", sa.String(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("withdrawn", sa.Boolean(), nullable=False),
        sa.Column("ended_by", sa.String(), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_why", sa.String(), nullable=True),
        postgresql.ExcludeConstraint(
            (sa.column("jurisdiction"), "="),
            (sa.column("tax_code"), "="),
            (sa.column("buyer_type"), "="),
            (sa.text("daterange(valid_from, valid_to, '[]')"), "&&"),
            where=sa.text("NOT withdrawn"),
            using="gist",
            name="ex_tax_override_no_overlap",
        ),
        sa.CheckConstraint(
            "buyer_type IN ('any', 'business', 'consumer')", name=op.f("ck_tax_override_buyer_type_known")
        ),
        sa.CheckConstraint(
            "treatment IN ('standard', 'zero_rated', 'reverse_charge', 'product_exempt', 'outside_scope',"
            " 'needs_review')",
            name=op.f("ck_tax_override_treatment_known"),
        ),
        sa.CheckConstraint("rate IS NULL OR (rate > 0 AND rate <= 30)", name=op.f("ck_tax_override_rate_in_range")),
        sa.CheckConstraint("portion > 0 AND portion <= 100", name=op.f("ck_tax_override_portion_is_percent")),
        sa.CheckConstraint(
            "treatment = 'standard' OR (rate IS NULL AND portion = 100)",
            name=op.f("ck_tax_override_only_a_charge_has_a_rate"),
        ),
        sa.CheckConstraint("rate IS NOT NULL OR NOT alone", name=op.f("ck_tax_override_alone_with_its_rate")),
        sa.CheckConstraint("source <> '' AND why <> ''", name=op.f("ck_tax_override_source_and_reason_given")),
        sa.CheckConstraint(
            "withdrawn OR valid_to IS NULL OR valid_to >= valid_from",
            name=op.f("ck_tax_override_ends_after_it_begins"),
        ),
        sa.CheckConstraint("(ended_at IS NULL) = (ended_by IS NULL)", name=op.f("ck_tax_override_ended_by_somebody")),
        sa.CheckConstraint("NOT withdrawn OR ended_at IS NOT NULL", name=op.f("ck_tax_override_withdrawn_is_ended")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tax_override")),
    )
    op.execute(
        "CREATE TRIGGER kept BEFORE UPDATE OR DELETE ON tax_override FOR EACH ROW EXECUTE FUNCTION keep_tax_override()"
    )
    op.execute(
        "CREATE TRIGGER never_emptied BEFORE TRUNCATE ON tax_override"
        " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
