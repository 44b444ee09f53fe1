"""Tax numbers that are asked about again, confirmed by hand, and kept with all that was answered; and invoices that are
credited and issued again because a number was confirmed late.

What an operator must know: quick, but for two indexes over all invoices. Numbers that were unavailable are asked about
again when the new version runs. Stop the old version first: it takes an order's invoice to be the only one.
"""

import sqlalchemy as sa

from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

_STATUSES = "'unchecked', 'format_invalid', 'pending', 'valid', 'invalid', 'unavailable', 'manual_override'"
_CHECKS = {
    "pending_is_asked_again": "status <> 'pending' OR next_check_at IS NOT NULL",
    "override_has_person_and_reason":
        "(status = 'manual_override') = (override_by <> '') AND (override_by = '') = (override_reason = '')",
    "override_is_not_asked": "status <> 'manual_override' OR next_check_at IS NULL",
    "tries_not_negative": "tries >= 0",
}  # fmt: skip
_KNOWN = "IN ('same', 'differs', 'not_told')"

# The new document stands for the same sale, and takes the place of one that was given back in full.
_REPLACES = """
CREATE FUNCTION replaces_its_own() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  before invoice;
BEGIN
  SELECT * INTO before FROM invoice WHERE id = NEW.replaces;
  IF (before.order_id, before.account_id, before.legal_entity_id, before.currency, before.net_minor)
    IS DISTINCT FROM (NEW.order_id, NEW.account_id, NEW.legal_entity_id, NEW.currency, NEW.net_minor) THEN
    RAISE EXCEPTION 'invoice % cannot replace % of another sale', NEW.id, NEW.replaces
      USING ERRCODE = 'check_violation';
  END IF;
  IF (SELECT coalesce(sum(total_minor), 0) FROM credit_note WHERE invoice_id = NEW.replaces) <> before.total_minor THEN
    RAISE EXCEPTION 'invoice % is not credited in full, so nothing replaces it', before.number
      USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;
"""


def upgrade() -> None:
    op.drop_constraint(op.f("ck_account_tax_id_tax_id_status"), "account_tax_id", type_="check")
    op.create_check_constraint(op.f("ck_account_tax_id_tax_id_status"), "account_tax_id", f"status IN ({_STATUSES})")
    op.add_column("account_tax_id", sa.Column("tries", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("account_tax_id", sa.Column("next_check_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("account_tax_id", sa.Column("override_by", sa.String(), nullable=False, server_default=""))
    op.add_column(
        "account_tax_id",
        sa.Column("override_reason", sa.String(), nullable=False, server_default=""),
    )
    op.execute("UPDATE account_tax_id SET status = 'pending', next_check_at = now() WHERE status = 'unavailable'")
    for name, rule in _CHECKS.items():
        op.create_check_constraint(op.f(f"ck_account_tax_id_{name}"), "account_tax_id", rule)
    op.create_index(
        "ix_account_tax_id_due", "account_tax_id", ["next_check_at"],
        postgresql_where=sa.text("next_check_at IS NOT NULL"),
    )  # fmt: skip
    op.create_index("ix_account_tax_id_checked_at", "account_tax_id", ["checked_at"])

    for name, default in (("authority", ""), ("code", ""), ("name_match", "not_told"), ("address_match", "not_told")):
        op.add_column("tax_id_check", sa.Column(name, sa.String(), nullable=False, server_default=default))
    op.add_column("tax_id_check", sa.Column("again", sa.Boolean(), nullable=False, server_default="false"))
    op.add_column("tax_id_check", sa.Column("reply_sealed", sa.String(), nullable=True))
    op.create_check_constraint(
        op.f("ck_tax_id_check_status_known"), "tax_id_check", "status IN ('valid', 'invalid', 'unavailable')"
    )
    op.create_check_constraint(
        op.f("ck_tax_id_check_code_of_no_answer"), "tax_id_check", "status = 'unavailable' OR (code = '' AND NOT again)"
    )
    for name in ("name_match", "address_match"):
        op.create_check_constraint(op.f(f"ck_tax_id_check_{name}_known"), "tax_id_check", f"{name} {_KNOWN}")

    op.add_column("invoice", sa.Column("replaces", sa.String(), nullable=True))
    op.create_foreign_key(op.f("fk_invoice_replaces"), "invoice", "invoice", ["replaces"], ["id"])
    op.create_unique_constraint(op.f("uq_invoice_replaces"), "invoice", ["replaces"])
    op.create_check_constraint(op.f("ck_invoice_replaces_another"), "invoice", "replaces <> id")
    op.drop_constraint(op.f("uq_invoice_order_id"), "invoice", type_="unique")
    op.create_index(
        "uq_invoice_first_of_order", "invoice", ["order_id"], unique=True,
        postgresql_where=sa.text("replaces IS NULL"),
    )  # fmt: skip
    op.create_index(op.f("ix_invoice_order_id"), "invoice", ["order_id"])
    op.execute(_REPLACES)
    op.execute(
        "CREATE TRIGGER replaces_its_own BEFORE INSERT ON invoice FOR EACH ROW WHEN (NEW.replaces IS NOT NULL)"
        " EXECUTE FUNCTION replaces_its_own()"
    )
