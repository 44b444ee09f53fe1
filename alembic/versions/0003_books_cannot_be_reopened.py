"""Close what was left open around the books: moves of invoices, numbers, racing postings, TRUNCATE.

What an operator must know: quick, and safe to run before the new version starts.
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_FUNCTIONS = """
-- As before, and the transaction is written down: snapshots of two racing transactions cannot see each other, a
-- top-level transaction id (the same in every savepoint) can be compared at commit.
CREATE OR REPLACE FUNCTION seal_entry() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (SELECT count(*) FROM posting WHERE entry_id = NEW.id) < 2 THEN
    RAISE EXCEPTION 'ledger entry % has fewer than two postings', NEW.id USING ERRCODE = 'check_violation';
  END IF;
  IF EXISTS (SELECT FROM posting WHERE entry_id = NEW.id GROUP BY currency HAVING sum(amount_minor) <> 0) THEN
    RAISE EXCEPTION 'ledger entry % does not balance', NEW.id USING ERRCODE = 'check_violation';
  END IF;
  NEW.sealed_in := pg_current_xact_id()::text::bigint;
  RETURN NEW;
END $$;

CREATE FUNCTION posting_has_its_seal() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NOT EXISTS (
    SELECT FROM ledger_entry WHERE id = NEW.entry_id AND sealed_in = pg_current_xact_id()::text::bigint
  ) THEN
    RAISE EXCEPTION 'ledger entry % is not sealed by the transaction of its postings', NEW.entry_id
      USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NULL;
END $$;

-- After finalization only the state moves, and the instant of payment with it.
CREATE OR REPLACE FUNCTION keep_invoice() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' THEN
    IF OLD.state <> 'draft' THEN
      RAISE EXCEPTION 'invoice % is final', OLD.number USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN OLD;
  END IF;
  IF OLD.state <> 'draft' AND (
    (to_jsonb(NEW) - 'state' - 'paid_at') <> (to_jsonb(OLD) - 'state' - 'paid_at')
    OR (NEW.state = OLD.state AND NEW.paid_at IS DISTINCT FROM OLD.paid_at)
  ) THEN
    RAISE EXCEPTION 'invoice % is final', OLD.number USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;

-- R-INV-2, both ways: whoever takes numbers uses each of them, and nobody numbers without taking.
CREATE FUNCTION numbers_are_used() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  first integer := 1;
BEGIN
  IF TG_OP = 'UPDATE' THEN
    first := OLD.next_number;
    IF NEW.next_number < OLD.next_number
      OR (NEW.legal_entity_id, NEW.series) <> (OLD.legal_entity_id, OLD.series) THEN
      RAISE EXCEPTION 'numbers of series % are never given again', OLD.series USING ERRCODE = 'restrict_violation';
    END IF;
  END IF;
  IF NEW.next_number - first <> (
    SELECT count(*) FROM invoice WHERE legal_entity_id = NEW.legal_entity_id AND series = NEW.series
      AND sequence >= first AND sequence < NEW.next_number
  ) THEN
    RAISE EXCEPTION 'series % would have a gap between % and %', NEW.series, first, NEW.next_number
      USING ERRCODE = 'check_violation';
  END IF;
  RETURN NULL;
END $$;

CREATE FUNCTION number_was_taken() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.sequence IS NOT NULL AND NOT EXISTS (
    SELECT FROM invoice_counter
    WHERE legal_entity_id = NEW.legal_entity_id AND series = NEW.series AND next_number > NEW.sequence
  ) THEN
    RAISE EXCEPTION 'number % of series % was not taken from its counter', NEW.sequence, NEW.series
      USING ERRCODE = 'check_violation';
  END IF;
  RETURN NULL;
END $$;
"""

_INVOICE_MOVES = "draft>open open>paid open>void open>uncollectible uncollectible>paid"
# Row triggers do not see a TRUNCATE.
_NEVER_EMPTIED = (
    "event", "audit_entry", "tax_determination", "tax_id_check", "terms_version", "ledger_entry", "posting",
    "license_issuance", "policy_value", "catalog_version", "subscription_term", "acceptance", "invoice", "invoice_line",
    "invoice_tax", "invoice_counter", "payment",
)  # fmt: skip


def upgrade() -> None:
    op.execute(_FUNCTIONS)
    op.execute(
        "CREATE CONSTRAINT TRIGGER sealed_here AFTER INSERT ON posting DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION posting_has_its_seal()"
    )
    op.execute(
        "CREATE CONSTRAINT TRIGGER used AFTER INSERT OR UPDATE ON invoice_counter DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION numbers_are_used()"
    )
    op.execute("CREATE TRIGGER kept BEFORE DELETE ON invoice_counter FOR EACH ROW EXECUTE FUNCTION refuse_change()")
    op.execute(
        "CREATE CONSTRAINT TRIGGER numbered AFTER INSERT OR UPDATE OF sequence ON invoice"
        " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION number_was_taken()"
    )
    op.execute("CREATE TRIGGER allowed_move BEFORE UPDATE ON invoice FOR EACH ROW EXECUTE FUNCTION enforce_move()")
    for move in _INVOICE_MOVES.split():
        before, _, after = move.partition(">")
        op.execute(f"INSERT INTO state_move VALUES ('invoice', '{before}', '{after}')")  # noqa: S608 -- constants
    for table in _NEVER_EMPTIED:
        op.execute(
            f"CREATE TRIGGER never_emptied BEFORE TRUNCATE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
