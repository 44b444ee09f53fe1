"""Credit notes, customer credit, refunds and disputes, and the rules their tables hold themselves.

What an operator must know: quick, and safe to run before the new version starts; no existing row is touched.
"""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_FUNCTIONS = """
-- The note is the seal over its lines and taxes, as an entry is over its postings. The invoice's row lock makes notes
-- of one invoice take turns, and each statement below sees what was committed before its turn came.
CREATE FUNCTION seal_credit_note() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  document invoice%ROWTYPE;
BEGIN
  SELECT * INTO STRICT document FROM invoice WHERE id = NEW.invoice_id FOR NO KEY UPDATE;
  IF document.state IN ('draft', 'void') THEN
    RAISE EXCEPTION 'invoice % is %', document.id, document.state USING ERRCODE = 'check_violation';
  END IF;
  IF (NEW.account_id, NEW.legal_entity_id, NEW.currency, NEW.tax_determination_id)
    <> (document.account_id, document.legal_entity_id, document.currency, document.tax_determination_id) THEN
    RAISE EXCEPTION 'credit note % is not about its invoice', NEW.number USING ERRCODE = 'check_violation';
  END IF;
  PERFORM require_credit_parts(NEW);
  IF EXISTS (
    SELECT FROM invoice_line charged JOIN credit_note_line given ON given.invoice_line_id = charged.id
    WHERE charged.invoice_id = NEW.invoice_id GROUP BY charged.id
    HAVING sum(given.net_minor) > charged.net_minor OR sum(given.tax_minor) > charged.tax_minor
  ) THEN
    RAISE EXCEPTION 'a line of invoice % would be credited beyond its amount', document.number
      USING ERRCODE = 'check_violation';
  END IF;
  IF EXISTS (
    SELECT FROM invoice_tax charged JOIN credit_note_tax given ON given.invoice_tax_id = charged.id
    WHERE charged.invoice_id = NEW.invoice_id GROUP BY charged.id
    HAVING sum(given.taxable_minor) > charged.taxable_minor OR sum(given.tax_minor) > charged.tax_minor
  ) THEN
    RAISE EXCEPTION 'a tax of invoice % would be credited beyond its amount', document.number
      USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;

CREATE FUNCTION require_credit_parts(note credit_note) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF (SELECT coalesce(sum(net_minor), 0) FROM credit_note_line WHERE credit_note_id = note.id) <> note.net_minor
    OR (SELECT coalesce(sum(tax_minor), 0) FROM credit_note_line WHERE credit_note_id = note.id) <> note.tax_minor
    OR (SELECT coalesce(sum(tax_minor), 0) FROM credit_note_tax WHERE credit_note_id = note.id) <> note.tax_minor THEN
    RAISE EXCEPTION 'lines and taxes of credit note % do not add up to its totals', note.number
      USING ERRCODE = 'check_violation';
  END IF;
  IF EXISTS (
    SELECT FROM credit_note_line given
    WHERE given.credit_note_id = note.id AND given.tax_minor <>
      (SELECT coalesce(sum(part::bigint), 0) FROM jsonb_array_elements_text(given.tax_parts) part)
  ) THEN
    RAISE EXCEPTION 'a line of credit note % is not the sum of its taxes', note.number
      USING ERRCODE = 'check_violation';
  END IF;
  IF EXISTS (
    SELECT FROM credit_note_line given JOIN invoice_line charged ON charged.id = given.invoice_line_id
    WHERE given.credit_note_id = note.id AND charged.invoice_id <> note.invoice_id
    UNION ALL
    SELECT FROM credit_note_tax given JOIN invoice_tax charged ON charged.id = given.invoice_tax_id
    WHERE given.credit_note_id = note.id AND charged.invoice_id <> note.invoice_id
  ) THEN
    RAISE EXCEPTION 'credit note % credits another invoice''s line', note.number USING ERRCODE = 'check_violation';
  END IF;
END $$;

CREATE FUNCTION keep_credit_parts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP <> 'INSERT' OR EXISTS (SELECT FROM credit_note WHERE id = NEW.credit_note_id) THEN
    RAISE EXCEPTION 'the credit note of this row is final' USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;

-- At commit, for a part that raced with the seal of its note: neither could see the other before.
CREATE FUNCTION credit_parts_fit() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  note credit_note%ROWTYPE;
BEGIN
  SELECT * INTO STRICT note FROM credit_note WHERE id = NEW.credit_note_id;
  PERFORM require_credit_parts(note);
  RETURN NULL;
END $$;

CREATE FUNCTION credit_note_is_booked() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM ledger_entry WHERE source = 'credit_note:' || NEW.id) THEN
    RAISE EXCEPTION 'credit note % has no sealed ledger entry', NEW.number USING ERRCODE = 'check_violation';
  END IF;
  RETURN NULL;
END $$;

-- As before, and a number may have gone to a credit note.
CREATE OR REPLACE FUNCTION numbers_are_used() RETURNS trigger LANGUAGE plpgsql AS $$
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
  ) + (
    SELECT count(*) FROM credit_note WHERE legal_entity_id = NEW.legal_entity_id AND series = NEW.series
      AND sequence >= first AND sequence < NEW.next_number
  ) THEN
    RAISE EXCEPTION 'series % would have a gap between % and %', NEW.series, first, NEW.next_number
      USING ERRCODE = 'check_violation';
  END IF;
  RETURN NULL;
END $$;

CREATE FUNCTION credit_is_covered() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  present numeric;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('customer_credit:' || NEW.account_id || NEW.currency, 0));
  SELECT coalesce(sum(amount_minor), 0) INTO present FROM customer_credit
  WHERE account_id = NEW.account_id AND currency = NEW.currency;
  IF present + NEW.amount_minor < 0 THEN
    RAISE EXCEPTION 'account % has only % % of credit', NEW.account_id, present, NEW.currency
      USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;

-- Refunds of one payment take turns on its row and stay within it; only the outcome moves.
CREATE FUNCTION keep_refund() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  paid payment%ROWTYPE;
BEGIN
  IF TG_OP = 'UPDATE' AND (
    to_jsonb(NEW) - '{state,credit_note_id,decided_by,provider_ref,failure_code,updated_at}'::text[]
    <> to_jsonb(OLD) - '{state,credit_note_id,decided_by,provider_ref,failure_code,updated_at}'::text[]
    OR (OLD.credit_note_id IS NOT NULL AND NEW.credit_note_id IS DISTINCT FROM OLD.credit_note_id)
    OR (OLD.provider_ref IS NOT NULL AND NEW.provider_ref IS DISTINCT FROM OLD.provider_ref)
  ) THEN
    RAISE EXCEPTION 'refund % is begun', OLD.id USING ERRCODE = 'restrict_violation';
  END IF;
  SELECT * INTO STRICT paid FROM payment WHERE id = NEW.payment_id FOR NO KEY UPDATE;
  IF NEW.currency <> paid.currency OR NEW.account_id <> paid.account_id THEN
    RAISE EXCEPTION 'refund % is not about its payment', NEW.id USING ERRCODE = 'check_violation';
  END IF;
  IF NEW.state IN ('pending', 'succeeded') AND NEW.amount_minor + (
    SELECT coalesce(sum(amount_minor), 0) FROM refund
    WHERE payment_id = NEW.payment_id AND id <> NEW.id AND state IN ('pending', 'succeeded')
  ) > paid.amount_minor THEN
    RAISE EXCEPTION 'refunds of payment % would exceed it', paid.id USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;

CREATE FUNCTION keep_dispute() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF to_jsonb(NEW) - '{state,closed_at,updated_at}'::text[] <> to_jsonb(OLD) - '{state,closed_at,updated_at}'::text[]
  THEN
    RAISE EXCEPTION 'dispute % is on record', OLD.id USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;
"""

_NEVER_CHANGED = ("credit_note", "customer_credit")
_NEVER_DELETED = ("refund", "dispute")
_MOVES = {
    "refund": "requested>pending requested>rejected pending>succeeded pending>failed succeeded>failed",
    "dispute": "opened>under_review opened>won opened>lost under_review>won under_review>lost",
}


def upgrade() -> None:
    _create_tables()
    _widen_the_sandbox()
    op.execute(_FUNCTIONS)
    for table in _NEVER_CHANGED:
        op.execute(
            f"CREATE TRIGGER never_changed BEFORE UPDATE OR DELETE ON {table}"
            " FOR EACH ROW EXECUTE FUNCTION refuse_change()"
        )
    for table in _NEVER_DELETED:
        op.execute(
            f"CREATE TRIGGER kept_for_good BEFORE DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION refuse_change()"
        )
        op.execute(f"CREATE TRIGGER allowed_move BEFORE UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION enforce_move()")
    for machine, moves in _MOVES.items():
        for move in moves.split():
            before, _, after = move.partition(">")
            op.execute(f"INSERT INTO state_move VALUES ('{machine}', '{before}', '{after}')")  # noqa: S608 -- constants
    for table in (*_NEVER_CHANGED, *_NEVER_DELETED, "credit_note_line", "credit_note_tax"):
        op.execute(
            f"CREATE TRIGGER never_emptied BEFORE TRUNCATE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
    op.execute("CREATE TRIGGER seal BEFORE INSERT ON credit_note FOR EACH ROW EXECUTE FUNCTION seal_credit_note()")
    op.execute(
        "CREATE CONSTRAINT TRIGGER booked AFTER INSERT ON credit_note DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION credit_note_is_booked()"
    )
    op.execute(
        "CREATE CONSTRAINT TRIGGER numbered AFTER INSERT ON credit_note DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION number_was_taken()"
    )
    for table in ("credit_note_line", "credit_note_tax"):
        op.execute(
            f"CREATE TRIGGER kept BEFORE INSERT OR UPDATE OR DELETE ON {table}"
            " FOR EACH ROW EXECUTE FUNCTION keep_credit_parts()"
        )
        op.execute(
            f"CREATE CONSTRAINT TRIGGER fits AFTER INSERT ON {table} DEFERRABLE INITIALLY DEFERRED"
            " FOR EACH ROW EXECUTE FUNCTION credit_parts_fit()"
        )
    op.execute(
        "CREATE TRIGGER covered BEFORE INSERT ON customer_credit FOR EACH ROW EXECUTE FUNCTION credit_is_covered()"
    )
    op.execute("CREATE TRIGGER kept BEFORE INSERT OR UPDATE ON refund FOR EACH ROW EXECUTE FUNCTION keep_refund()")
    op.execute("CREATE TRIGGER kept BEFORE UPDATE ON dispute FOR EACH ROW EXECUTE FUNCTION keep_dispute()")


def _widen_the_sandbox() -> None:
    op.add_column(
        "sandbox_refund",
        sa.Column(
            "status",
            sa.Enum("succeeded", "failed", name="status", native_enum=False, create_constraint=True, length=32),
            nullable=False,
            server_default="succeeded",
        ),
    )
    op.alter_column("sandbox_refund", "status", server_default=None)
    op.execute("ALTER TABLE sandbox_intent DROP CONSTRAINT ck_sandbox_intent_dispute_status")
    op.execute(
        "ALTER TABLE sandbox_intent ADD CONSTRAINT ck_sandbox_intent_dispute_status"
        " CHECK (dispute_status IN ('needs_response', 'under_review', 'won', 'lost'))"
    )


def _create_tables() -> None:
    op.create_table(
        "customer_credit",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("currency", sa.CHAR(length=3), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "credit_note",
                "overpayment",
                "refund_failed",
                "spent",
                "returned",
                name="credit_kind",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "(kind = 'spent') = (amount_minor < 0) AND amount_minor <> 0",
            name=op.f("ck_customer_credit_sign_fits_kind"),
        ),
        sa.CheckConstraint("currency ~ '^[A-Z]{3}$'", name=op.f("ck_customer_credit_currency_is_iso")),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_customer_credit_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_customer_credit")),
        sa.UniqueConstraint("source", name=op.f("uq_customer_credit_source")),
    )
    op.create_index(
        "ix_customer_credit_account_id_currency", "customer_credit", ["account_id", "currency"], unique=False
    )
    op.create_table(
        "credit_note",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("legal_entity_id", sa.String(), nullable=False),
        sa.Column("invoice_id", sa.String(), nullable=False),
        sa.Column("series", sa.String(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("number", sa.String(), nullable=False),
        sa.Column(
            "reason",
            sa.Enum(
                "plan_change",
                "cancellation",
                "correction",
                "goodwill",
                "dispute",
                name="credit_reason",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("currency", sa.CHAR(length=3), nullable=False),
        sa.Column("net_minor", sa.BigInteger(), nullable=False),
        sa.Column("tax_minor", sa.BigInteger(), nullable=False),
        sa.Column("total_minor", sa.BigInteger(), nullable=False),
        sa.Column("to_refund_minor", sa.BigInteger(), nullable=False),
        sa.Column("to_balance_minor", sa.BigInteger(), nullable=False),
        sa.Column("to_invoice_minor", sa.BigInteger(), nullable=False),
        sa.Column("issued_on", sa.Date(), nullable=False),
        sa.Column("supply_from", sa.Date(), nullable=False),
        sa.Column("supply_to", sa.Date(), nullable=False),
        sa.Column("seller", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("buyer", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("notes", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("po_number", sa.String(), nullable=False),
        sa.Column("tax_determination_id", sa.String(), nullable=False),
        sa.Column("test", sa.Boolean(), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("currency ~ '^[A-Z]{3}$'", name=op.f("ck_credit_note_currency_is_iso")),
        sa.CheckConstraint(
            "net_minor >= 0 AND tax_minor >= 0 AND total_minor > 0", name=op.f("ck_credit_note_gives_something_back")
        ),
        sa.CheckConstraint("supply_to > supply_from", name=op.f("ck_credit_note_supply_period")),
        sa.CheckConstraint(
            "to_refund_minor >= 0 AND to_balance_minor >= 0 AND to_invoice_minor >= 0"
            " AND to_refund_minor + to_balance_minor + to_invoice_minor = total_minor",
            name=op.f("ck_credit_note_money_goes_somewhere"),
        ),
        sa.CheckConstraint("total_minor = net_minor + tax_minor", name=op.f("ck_credit_note_totals_add_up")),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_credit_note_account_id")),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoice.id"], name=op.f("fk_credit_note_invoice_id")),
        sa.ForeignKeyConstraint(["legal_entity_id"], ["legal_entity.id"], name=op.f("fk_credit_note_legal_entity_id")),
        sa.ForeignKeyConstraint(
            ["tax_determination_id"], ["tax_determination.id"], name=op.f("fk_credit_note_tax_determination_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_credit_note")),
        sa.UniqueConstraint(
            "legal_entity_id", "series", "sequence", name=op.f("uq_credit_note_legal_entity_id_series_sequence")
        ),
        sa.UniqueConstraint("number", name=op.f("uq_credit_note_number")),
    )
    op.create_index(op.f("ix_credit_note_account_id"), "credit_note", ["account_id"], unique=False)
    op.create_index(op.f("ix_credit_note_invoice_id"), "credit_note", ["invoice_id"], unique=False)
    op.create_index(op.f("ix_credit_note_issued_on"), "credit_note", ["issued_on"], unique=False)
    op.create_table(
        "dispute",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("payment_id", sa.String(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.CHAR(length=3), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "opened",
                "under_review",
                "won",
                "lost",
                name="dispute_state",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("provider_ref", sa.String(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "(state IN ('won', 'lost')) = (closed_at IS NOT NULL)", name=op.f("ck_dispute_closed_has_instant")
        ),
        sa.CheckConstraint("currency ~ '^[A-Z]{3}$'", name=op.f("ck_dispute_currency_is_iso")),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_dispute_amount_positive")),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_dispute_account_id")),
        sa.ForeignKeyConstraint(["payment_id"], ["payment.id"], name=op.f("fk_dispute_payment_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dispute")),
        sa.UniqueConstraint("provider", "provider_ref", name=op.f("uq_dispute_provider_provider_ref")),
    )
    op.create_index(op.f("ix_dispute_account_id"), "dispute", ["account_id"], unique=False)
    op.create_index(op.f("ix_dispute_payment_id"), "dispute", ["payment_id"], unique=False)
    op.create_index(op.f("ix_dispute_state"), "dispute", ["state"], unique=False)
    op.create_table(
        "credit_note_line",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("credit_note_id", sa.String(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("invoice_line_id", sa.BigInteger(), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("net_minor", sa.BigInteger(), nullable=False),
        sa.Column("tax_minor", sa.BigInteger(), nullable=False),
        sa.Column("tax_parts", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("period_from", sa.Date(), nullable=False),
        sa.Column("period_to", sa.Date(), nullable=False),
        sa.Column("numerator", sa.BigInteger(), nullable=False),
        sa.Column("denominator", sa.BigInteger(), nullable=False),
        sa.Column("rule", sa.String(), nullable=False),
        sa.CheckConstraint(
            "denominator > 0 AND numerator BETWEEN 0 AND denominator", name=op.f("ck_credit_note_line_replayable")
        ),
        sa.CheckConstraint(
            "net_minor >= 0 AND tax_minor >= 0 AND net_minor + tax_minor > 0",
            name=op.f("ck_credit_note_line_gives_something_back"),
        ),
        sa.CheckConstraint("period_to > period_from", name=op.f("ck_credit_note_line_period")),
        sa.ForeignKeyConstraint(
            ["credit_note_id"],
            ["credit_note.id"],
            name=op.f("fk_credit_note_line_credit_note_id"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(
            ["invoice_line_id"], ["invoice_line.id"], name=op.f("fk_credit_note_line_invoice_line_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_credit_note_line")),
        sa.UniqueConstraint(
            "credit_note_id", "invoice_line_id", name=op.f("uq_credit_note_line_credit_note_id_invoice_line_id")
        ),
        sa.UniqueConstraint("credit_note_id", "position", name=op.f("uq_credit_note_line_credit_note_id_position")),
    )
    op.create_index(op.f("ix_credit_note_line_invoice_line_id"), "credit_note_line", ["invoice_line_id"], unique=False)
    op.create_table(
        "credit_note_tax",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("credit_note_id", sa.String(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("invoice_tax_id", sa.BigInteger(), nullable=False),
        sa.Column("jurisdiction", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("rate", sa.Numeric(precision=9, scale=5), nullable=False),
        sa.Column("taxable_minor", sa.BigInteger(), nullable=False),
        sa.Column("tax_minor", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("taxable_minor >= 0 AND tax_minor >= 0", name=op.f("ck_credit_note_tax_not_negative")),
        sa.ForeignKeyConstraint(
            ["credit_note_id"],
            ["credit_note.id"],
            name=op.f("fk_credit_note_tax_credit_note_id"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(["invoice_tax_id"], ["invoice_tax.id"], name=op.f("fk_credit_note_tax_invoice_tax_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_credit_note_tax")),
        sa.UniqueConstraint(
            "credit_note_id", "invoice_tax_id", name=op.f("uq_credit_note_tax_credit_note_id_invoice_tax_id")
        ),
        sa.UniqueConstraint("credit_note_id", "position", name=op.f("uq_credit_note_tax_credit_note_id_position")),
    )
    op.create_index(op.f("ix_credit_note_tax_invoice_tax_id"), "credit_note_tax", ["invoice_tax_id"], unique=False)
    op.create_index(op.f("ix_credit_note_tax_jurisdiction"), "credit_note_tax", ["jurisdiction"], unique=False)
    op.create_table(
        "refund",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("account_id", sa.String(), nullable=False),
        sa.Column("payment_id", sa.String(), nullable=False),
        sa.Column("invoice_id", sa.String(), nullable=False),
        sa.Column("credit_note_id", sa.String(), nullable=True),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.CHAR(length=3), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "requested",
                "rejected",
                "pending",
                "succeeded",
                "failed",
                name="refund_state",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("nets", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("revoke", sa.Boolean(), nullable=False),
        sa.Column("requested_by", sa.String(), nullable=False),
        sa.Column("decided_by", sa.String(), nullable=True),
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("provider_ref", sa.String(), nullable=True),
        sa.Column("failure_code", sa.String(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "(state IN ('requested', 'rejected')) = (credit_note_id IS NULL)",
            name=op.f("ck_refund_credited_once_begun"),
        ),
        sa.CheckConstraint("currency ~ '^[A-Z]{3}$'", name=op.f("ck_refund_currency_is_iso")),
        sa.CheckConstraint(
            "state <> 'succeeded' OR provider_ref IS NOT NULL", name=op.f("ck_refund_success_has_reference")
        ),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_refund_amount_positive")),
        sa.CheckConstraint(
            "decided_by IS NULL OR decided_by <> requested_by", name=op.f("ck_refund_second_pair_of_eyes")
        ),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_refund_account_id")),
        sa.ForeignKeyConstraint(["credit_note_id"], ["credit_note.id"], name=op.f("fk_refund_credit_note_id")),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoice.id"], name=op.f("fk_refund_invoice_id")),
        sa.ForeignKeyConstraint(["payment_id"], ["payment.id"], name=op.f("fk_refund_payment_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refund")),
        sa.UniqueConstraint("credit_note_id", name=op.f("uq_refund_credit_note_id")),
        sa.UniqueConstraint("provider", "provider_ref", name=op.f("uq_refund_provider_provider_ref")),
    )
    op.create_index(op.f("ix_refund_account_id"), "refund", ["account_id"], unique=False)
    op.create_index(op.f("ix_refund_invoice_id"), "refund", ["invoice_id"], unique=False)
    op.create_index(op.f("ix_refund_payment_id"), "refund", ["payment_id"], unique=False)
    op.create_index(op.f("ix_refund_state"), "refund", ["state"], unique=False)
