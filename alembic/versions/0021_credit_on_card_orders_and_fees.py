"""Customer credit on orders by card, and what the payment provider keeps for itself.

What an operator must know: quick. Orders and previews so far use no credit, refunds so far returned none; fees are
asked about from now on, those of the last thirty days' payments too, a hundred at a time. Safe to run before the new
version starts: as nothing is held yet, the old one spends credit as before.
"""

import sqlalchemy as sa

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

_FUNCTIONS = """
-- As before, and what orders by card count on is nobody else's to spend.
CREATE OR REPLACE FUNCTION credit_is_covered() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  present numeric;
  held numeric;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('customer_credit:' || NEW.account_id || NEW.currency, 0));
  SELECT coalesce(sum(amount_minor), 0) INTO present FROM customer_credit
  WHERE account_id = NEW.account_id AND currency = NEW.currency;
  SELECT coalesce(sum(amount_minor), 0) INTO held FROM credit_hold
  WHERE account_id = NEW.account_id AND currency = NEW.currency;
  IF NEW.amount_minor < 0 AND present + NEW.amount_minor < held THEN
    RAISE EXCEPTION 'account % has only % % of credit, of which % is held', NEW.account_id, present, NEW.currency, held
      USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;

CREATE FUNCTION hold_is_covered() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  present numeric;
  held numeric;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('customer_credit:' || NEW.account_id || NEW.currency, 0));
  SELECT coalesce(sum(amount_minor), 0) INTO present FROM customer_credit
  WHERE account_id = NEW.account_id AND currency = NEW.currency;
  SELECT coalesce(sum(amount_minor), 0) INTO held FROM credit_hold
  WHERE account_id = NEW.account_id AND currency = NEW.currency;
  IF held + NEW.amount_minor > present THEN
    RAISE EXCEPTION 'account % has only % % of credit to hold', NEW.account_id, present - held, NEW.currency
      USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;

-- A hold is made and let go of; it never becomes another one.
CREATE FUNCTION hold_is_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the hold of order % is never changed', OLD.order_id USING ERRCODE = 'restrict_violation';
END $$;
"""


def upgrade() -> None:
    for table in ("preview", "order"):
        op.add_column(table, sa.Column("credit_minor", sa.BigInteger(), nullable=False, server_default="0"))
        op.create_check_constraint(
            op.f(f"ck_{table}_credit_within_total"), table, "credit_minor BETWEEN 0 AND total_minor"
        )
    op.add_column("refund", sa.Column("to_credit_minor", sa.BigInteger(), nullable=False, server_default="0"))
    op.create_check_constraint(op.f("ck_refund_to_credit_not_negative"), "refund", "to_credit_minor >= 0")
    _holds()
    op.execute(_FUNCTIONS)
    op.execute("CREATE TRIGGER covered BEFORE INSERT ON credit_hold FOR EACH ROW EXECUTE FUNCTION hold_is_covered()")
    op.execute("CREATE TRIGGER kept BEFORE UPDATE ON credit_hold FOR EACH ROW EXECUTE FUNCTION hold_is_kept()")
    _fees()


def _holds() -> None:
    op.create_table(
        "credit_hold",
        sa.Column("order_id", sa.String(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("currency", sa.CHAR(length=3), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("held_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("currency ~ '^[A-Z]{3}$'", name=op.f("ck_credit_hold_currency_is_iso")),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_credit_hold_amount_positive")),
        sa.ForeignKeyConstraint(["order_id"], ["order.id"], name=op.f("fk_credit_hold_order_id")),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_credit_hold_account_id")),
        sa.PrimaryKeyConstraint("order_id", name=op.f("pk_credit_hold")),
    )
    op.create_index("ix_credit_hold_account_id_currency", "credit_hold", ["account_id", "currency"])


def _fees() -> None:
    for column in (
        sa.Column("fee_ref", sa.String(), nullable=True),
        sa.Column("fee_minor", sa.BigInteger(), nullable=True),
        sa.Column("fee_currency", sa.CHAR(length=3), nullable=True),
    ):
        op.add_column("charge_answer", column)
    op.create_table(
        "provider_fee",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("payment_id", sa.String(), nullable=False),
        sa.Column("refund_id", sa.String(), nullable=True),
        sa.Column("dispute_id", sa.String(), nullable=True),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.CHAR(length=3), nullable=False),
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("provider_ref", sa.String(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("currency ~ '^[A-Z]{3}$'", name=op.f("ck_provider_fee_currency_is_iso")),
        sa.CheckConstraint("num_nonnulls(refund_id, dispute_id) <= 1", name=op.f("ck_provider_fee_about_one_thing")),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_provider_fee_account_id")),
        sa.ForeignKeyConstraint(["payment_id"], ["payment.id"], name=op.f("fk_provider_fee_payment_id")),
        sa.ForeignKeyConstraint(["refund_id"], ["refund.id"], name=op.f("fk_provider_fee_refund_id")),
        sa.ForeignKeyConstraint(["dispute_id"], ["dispute.id"], name=op.f("fk_provider_fee_dispute_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_provider_fee")),
        sa.UniqueConstraint("provider", "provider_ref", name=op.f("uq_provider_fee_provider_provider_ref")),
    )
    for column in ("account_id", "payment_id", "refund_id", "dispute_id"):
        op.create_index(op.f(f"ix_provider_fee_{column}"), "provider_fee", [column])
    op.execute(
        "CREATE TRIGGER never_changed BEFORE UPDATE OR DELETE ON provider_fee"
        " FOR EACH ROW EXECUTE FUNCTION refuse_change()"
    )
    op.execute(
        "CREATE TRIGGER never_emptied BEFORE TRUNCATE ON provider_fee"
        " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
