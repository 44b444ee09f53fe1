"""The same rules asked less often: parts of an invoice for each statement, drafts not at all, one key instead of two.

What an operator must know: quick. Entitlements are read once to see that each is of its order's account, which every
version has written so. Safe to run before the new version starts: it takes away no rule.
"""

from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

_FUNCTIONS = """
-- As `keep_invoice_parts`, for all new rows of a statement at once. An invoice may be written after its parts and be
-- final from the start, as an entry is after its postings: then this finds none, and the invoice is their seal.
CREATE FUNCTION keep_all_invoice_parts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM invoice JOIN written ON written.invoice_id = invoice.id WHERE invoice.state <> 'draft') THEN
    RAISE EXCEPTION 'the invoice of this line is final' USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NULL;
END $$;
"""

# A constraint or another index of the table begins with the same column.
_TWICE = (
    ("order_line", "order_id"), ("invoice_line", "invoice_id"), ("invoice_tax", "invoice_id"),
    ("invoice_payment", "invoice_id"), ("invoice_reminder", "invoice_id"), ("subscription_line", "subscription_id"),
    ("subscription_term", "subscription_id"), ("renewal_reminder", "subscription_id"),
)  # fmt: skip
# The deferred triggers of invoices that say nothing of other rows than these.
_ABOUT = (
    ("booked", "INSERT OR UPDATE", "NEW.state <> 'draft'", "invoice_is_booked"),
    ("covered", "INSERT OR UPDATE", "NEW.state = 'paid'", "paid_is_covered"),
    ("numbered", "INSERT OR UPDATE OF sequence", "NEW.sequence IS NOT NULL", "number_was_taken"),
)


def upgrade() -> None:
    op.execute(_FUNCTIONS)
    for table in ("invoice_line", "invoice_tax"):
        _parts(table)
    for trigger, moment, condition, function in _ABOUT:
        op.execute(f"DROP TRIGGER {trigger} ON invoice")
        op.execute(
            f"CREATE CONSTRAINT TRIGGER {trigger} AFTER {moment} ON invoice DEFERRABLE INITIALLY DEFERRED"
            f" FOR EACH ROW WHEN ({condition}) EXECUTE FUNCTION {function}()"
        )
    for column in ("account_id", "order_id"):
        op.drop_constraint(op.f(f"fk_entitlement_{column}"), "entitlement", type_="foreignkey")
    op.create_foreign_key(
        op.f("fk_entitlement_order_id"), "entitlement", "order", ["order_id", "account_id"], ["id", "account_id"]
    )
    for table, column in _TWICE:
        op.drop_index(op.f(f"ix_{table}_{column}"), table_name=table)


def _parts(table: str) -> None:
    op.drop_constraint(op.f(f"fk_{table}_invoice_id"), table, type_="foreignkey")
    op.create_foreign_key(
        op.f(f"fk_{table}_invoice_id"), table, "invoice", ["invoice_id"], ["id"],
        deferrable=True, initially="DEFERRED",
    )  # fmt: skip
    op.execute(f"DROP TRIGGER kept ON {table}")
    op.execute(
        f"CREATE TRIGGER kept BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION keep_invoice_parts()"
    )
    op.execute(
        f"CREATE TRIGGER kept_from_more AFTER INSERT ON {table} REFERENCING NEW TABLE AS written"
        " FOR EACH STATEMENT EXECUTE FUNCTION keep_all_invoice_parts()"
    )
