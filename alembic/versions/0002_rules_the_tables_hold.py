"""Rules the tables hold themselves: balanced books, immutable documents, allowed moves.

What an operator must know: quick, and safe to run before the new version starts.
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_FUNCTIONS = """
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'rows of % are never changed or deleted', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;

CREATE FUNCTION enforce_move() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.state IS DISTINCT FROM OLD.state AND NOT EXISTS (
    SELECT FROM state_move WHERE machine = TG_TABLE_NAME AND from_state = OLD.state AND to_state = NEW.state
  ) THEN
    RAISE EXCEPTION '% may not move from % to %', TG_TABLE_NAME, OLD.state, NEW.state USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;

-- The entry row is the seal: at that moment its postings must be complete and balanced.
CREATE FUNCTION seal_entry() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (SELECT count(*) FROM posting WHERE entry_id = NEW.id) < 2 THEN
    RAISE EXCEPTION 'ledger entry % has fewer than two postings', NEW.id USING ERRCODE = 'check_violation';
  END IF;
  IF EXISTS (SELECT FROM posting WHERE entry_id = NEW.id GROUP BY currency HAVING sum(amount_minor) <> 0) THEN
    RAISE EXCEPTION 'ledger entry % does not balance', NEW.id USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;

CREATE FUNCTION refuse_posting_to_sealed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM ledger_entry WHERE id = NEW.entry_id) THEN
    RAISE EXCEPTION 'ledger entry % is sealed', NEW.entry_id USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;

-- After finalization only the state and the instant of payment move.
CREATE FUNCTION keep_invoice() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' THEN
    IF OLD.state <> 'draft' THEN
      RAISE EXCEPTION 'invoice % is final', OLD.number USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN OLD;
  END IF;
  IF OLD.state <> 'draft' AND (to_jsonb(NEW) - 'state' - 'paid_at') <> (to_jsonb(OLD) - 'state' - 'paid_at') THEN
    RAISE EXCEPTION 'invoice % is final', OLD.number USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;

CREATE FUNCTION keep_invoice_parts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM invoice WHERE id = coalesce(NEW.invoice_id, OLD.invoice_id) AND state <> 'draft') THEN
    RAISE EXCEPTION 'the invoice of this line is final' USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN coalesce(NEW, OLD);
END $$;

CREATE FUNCTION invoice_is_booked() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.state <> 'draft' THEN
    IF NOT EXISTS (SELECT FROM ledger_entry WHERE source = 'invoice:' || NEW.id) THEN
      RAISE EXCEPTION 'invoice % has no sealed ledger entry', NEW.number USING ERRCODE = 'check_violation';
    END IF;
    IF (SELECT coalesce(sum(net_minor), 0) FROM invoice_line WHERE invoice_id = NEW.id) <> NEW.net_minor
      OR (SELECT coalesce(sum(tax_minor), 0) FROM invoice_line WHERE invoice_id = NEW.id) <> NEW.tax_minor
      OR (SELECT coalesce(sum(tax_minor), 0) FROM invoice_tax WHERE invoice_id = NEW.id) <> NEW.tax_minor THEN
      RAISE EXCEPTION 'lines of invoice % do not add up to its totals', NEW.number USING ERRCODE = 'check_violation';
    END IF;
  END IF;
  RETURN NULL;
END $$;

-- Evidence stays; only the person in it may be erased.
CREATE FUNCTION keep_acceptance() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' OR (to_jsonb(NEW) - 'person_name' - 'person_email' - 'ip' - 'user_agent' - 'snapshot')
    <> (to_jsonb(OLD) - 'person_name' - 'person_email' - 'ip' - 'user_agent' - 'snapshot') THEN
    RAISE EXCEPTION 'acceptance % is evidence', OLD.id USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;
"""

_NEVER_CHANGED = (
    "event", "audit_entry", "tax_determination", "tax_id_check", "terms_version", "ledger_entry", "posting",
    "license_issuance", "policy_value", "catalog_version", "subscription_term",
)  # fmt: skip

_MOVES = {
    "order": "awaiting_payment>completed awaiting_payment>expired awaiting_payment>canceled expired>completed"
    " canceled>completed held>awaiting_payment held>canceled",
    "subscription": "trialing>active trialing>canceled trialing>expired active>past_due active>lapsed active>canceled"
    " past_due>active past_due>lapsed past_due>canceled lapsed>active lapsed>expired lapsed>canceled"
    " canceled>active canceled>expired expired>active",
    "workspace": "requested>creating requested>deleted creating>stable creating>creation_failed creating>requested"
    " creation_failed>requested creation_failed>deleted stable>updating updating>stable updating>update_failed"
    " update_failed>updating update_failed>stable stable>hibernating hibernating>hibernated hibernating>stable"
    " hibernated>waking waking>stable waking>hibernated stable>delete_pending hibernated>delete_pending"
    " update_failed>delete_pending delete_pending>stable delete_pending>hibernated delete_pending>deleting"
    " deleting>deleted deleting>deletion_failed deletion_failed>deleting",
}

# Chart of accounts: code, name, kind.
_CHART = (
    ("1000", "Bank", "asset"), ("1100", "Accounts receivable", "asset"), ("1150", "Contract asset", "asset"),
    ("1200", "Payment provider clearing", "asset"), ("1210", "Payouts in transit", "asset"),
    ("1220", "Disputes held", "asset"), ("1300", "Deferred commission", "asset"),
    ("2100", "Deferred revenue, current", "liability"), ("2110", "Deferred revenue, non-current", "liability"),
    ("2200", "Tax payable", "liability"), ("2300", "Refunds payable", "liability"),
    ("2310", "Refund liability", "liability"), ("2400", "Customer credit", "liability"),
    ("2500", "Partner payable", "liability"), ("4000", "Subscription revenue", "income"),
    ("4010", "License revenue", "income"), ("4020", "Support revenue", "income"),
    ("4030", "Services revenue", "income"), ("4900", "Refunds and credits", "income"),
    ("4910", "Dispute losses", "income"), ("6100", "Processor fees", "expense"), ("6110", "Dispute fees", "expense"),
    ("6200", "Partner share", "expense"), ("6300", "Bad debt", "expense"), ("7100", "FX realised", "expense"),
    ("7110", "FX unrealised", "expense"), ("9999", "Rounding", "expense"),
)  # fmt: skip


def upgrade() -> None:
    op.execute(_FUNCTIONS)
    for table in _NEVER_CHANGED:
        op.execute(
            f"CREATE TRIGGER never_changed BEFORE UPDATE OR DELETE ON {table}"
            " FOR EACH ROW EXECUTE FUNCTION refuse_change()"
        )
    for machine, moves in _MOVES.items():
        op.execute(
            f'CREATE TRIGGER allowed_move BEFORE UPDATE ON "{machine}" FOR EACH ROW EXECUTE FUNCTION enforce_move()'
        )
        for move in moves.split():
            before, _, after = move.partition(">")
            op.execute(f"INSERT INTO state_move VALUES ('{machine}', '{before}', '{after}')")  # noqa: S608 -- constants
    op.execute("CREATE TRIGGER seal BEFORE INSERT ON ledger_entry FOR EACH ROW EXECUTE FUNCTION seal_entry()")
    op.execute(
        "CREATE TRIGGER sealed BEFORE INSERT ON posting FOR EACH ROW EXECUTE FUNCTION refuse_posting_to_sealed()"
    )
    op.execute("CREATE TRIGGER kept BEFORE UPDATE OR DELETE ON invoice FOR EACH ROW EXECUTE FUNCTION keep_invoice()")
    for table in ("invoice_line", "invoice_tax"):
        op.execute(
            f"CREATE TRIGGER kept BEFORE INSERT OR UPDATE OR DELETE ON {table}"
            " FOR EACH ROW EXECUTE FUNCTION keep_invoice_parts()"
        )
    op.execute(
        "CREATE CONSTRAINT TRIGGER booked AFTER INSERT OR UPDATE ON invoice DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION invoice_is_booked()"
    )
    op.execute(
        "CREATE TRIGGER kept BEFORE UPDATE OR DELETE ON acceptance FOR EACH ROW EXECUTE FUNCTION keep_acceptance()"
    )
    for code, name, kind in _CHART:
        op.execute(f"INSERT INTO ledger_account VALUES ('{code}', '{name}', '{kind}')")  # noqa: S608 -- constants
