"""Orders that are paid later: on invoice, by wire or cheque, in parts.

What an operator must know: existing orders become card orders, every payment so far is put into its invoice. Safe to
run before the new version starts; the old one goes on selling by card.
"""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_FUNCTIONS = """
CREATE FUNCTION keep_allocations() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  asked bigint;
  came bigint;
BEGIN
  SELECT total_minor INTO asked FROM invoice WHERE id = NEW.invoice_id FOR UPDATE;
  IF (SELECT sum(amount_minor) FROM invoice_payment WHERE invoice_id = NEW.invoice_id) > asked THEN
    RAISE EXCEPTION 'invoice % would be paid more than once', NEW.invoice_id USING ERRCODE = 'check_violation';
  END IF;
  SELECT amount_minor INTO came FROM payment WHERE id = NEW.payment_id FOR UPDATE;
  IF (SELECT sum(amount_minor) FROM invoice_payment WHERE payment_id = NEW.payment_id) > came THEN
    RAISE EXCEPTION 'payment % would be spent more than once', NEW.payment_id USING ERRCODE = 'check_violation';
  END IF;
  RETURN NULL;
END $$;

CREATE FUNCTION paid_is_covered() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.state = 'paid' AND NEW.total_minor <>
    (SELECT coalesce(sum(amount_minor), 0) FROM invoice_payment WHERE invoice_id = NEW.id) THEN
    RAISE EXCEPTION 'invoice % is not covered by payments', NEW.number USING ERRCODE = 'check_violation';
  END IF;
  RETURN NULL;
END $$;
"""


def upgrade() -> None:
    op.create_table(
        "credit_terms",
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("limits", postgresql.JSONB(), nullable=False),
        sa.Column("frozen_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("frozen_why", sa.String(), nullable=False),
        sa.CheckConstraint(
            "(frozen_at IS NULL) = (frozen_why = '')", name=op.f("ck_credit_terms_freeze_has_its_reason")
        ),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_credit_terms_account_id")),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_credit_terms")),
    )
    op.create_table(
        "invoice_payment",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("invoice_id", sa.String(), nullable=False),
        sa.Column("payment_id", sa.String(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("allocated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_invoice_payment_amount_positive")),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoice.id"], name=op.f("fk_invoice_payment_invoice_id")),
        sa.ForeignKeyConstraint(["payment_id"], ["payment.id"], name=op.f("fk_invoice_payment_payment_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invoice_payment")),
        sa.UniqueConstraint("invoice_id", "payment_id", name=op.f("uq_invoice_payment_invoice_id_payment_id")),
    )
    for column in ("invoice_id", "payment_id"):
        op.create_index(op.f(f"ix_invoice_payment_{column}"), "invoice_payment", [column])
    pay_by = sa.Enum("card", "invoice", name="pay_by", native_enum=False, create_constraint=True, length=32)
    op.add_column("order", sa.Column("pay_by", pay_by, nullable=False, server_default="card"))
    op.alter_column("order", "pay_by", server_default=None)
    op.create_check_constraint(
        op.f("ck_order_invoice_names_a_purchase_order"), "order", "pay_by = 'card' OR po_number <> ''"
    )
    op.add_column("license", sa.Column("bridge", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.alter_column("license", "bridge", server_default=None)
    op.drop_constraint(op.f("uq_license_order_id_plan_id"), "license", type_="unique")
    op.create_unique_constraint(
        op.f("uq_license_order_id_plan_id_bridge"), "license", ["order_id", "plan_id", "bridge"]
    )
    op.alter_column("payment", "order_id", nullable=True)
    op.add_column("payment", sa.Column("recorded_by", sa.String(), nullable=True))
    op.execute(
        "INSERT INTO invoice_payment (invoice_id, payment_id, amount_minor, allocated_at)"
        " SELECT invoice.id, payment.id, payment.amount_minor, payment.received_at"
        " FROM payment JOIN invoice USING (order_id)"
    )
    op.execute(_FUNCTIONS)
    op.execute("CREATE TRIGGER kept AFTER INSERT ON invoice_payment FOR EACH ROW EXECUTE FUNCTION keep_allocations()")
    op.execute(
        "CREATE TRIGGER never_changed BEFORE UPDATE OR DELETE ON invoice_payment"
        " FOR EACH ROW EXECUTE FUNCTION refuse_change()"
    )
    op.execute(
        "CREATE CONSTRAINT TRIGGER covered AFTER INSERT OR UPDATE ON invoice DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION paid_is_covered()"
    )
