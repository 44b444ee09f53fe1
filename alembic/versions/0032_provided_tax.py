"""Tax that a provider computed, and what was put into its books.

What an operator must know: quick; new tables, and one empty column more on every determination. Safe to run before the
new version starts.
"""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

_KEEP = """
-- What was computed and for which document stays; how the recording went may change, until it is done.
CREATE FUNCTION keep_tax_record() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  free text[] := ARRAY['state', 'ref', 'lines', 'spent_keys', 'code', 'detail', 'recorded_at'];
BEGIN
  IF TG_OP = 'DELETE' OR OLD.state = 'recorded' OR (to_jsonb(NEW) - free) <> (to_jsonb(OLD) - free) THEN
    RAISE EXCEPTION 'tax record % is kept as it is', OLD.id USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;
"""


def upgrade() -> None:
    op.execute(_KEEP)
    _calculations()
    _records()
    op.add_column("tax_determination", sa.Column("calculation_id", sa.String(), nullable=True))
    op.create_foreign_key(
        op.f("fk_tax_determination_calculation_id"), "tax_determination", "tax_calculation", ["calculation_id"], ["id"]
    )


def _calculations() -> None:
    op.create_table(
        "tax_calculation",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("inputs_hash", sa.String(), nullable=False),
        sa.Column("ref", sa.String(), nullable=True),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("result", postgresql.JSONB(), nullable=False),
        sa.Column("reply", postgresql.JSONB(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("(ref IS NULL) = (code <> '')", name=op.f("ck_tax_calculation_answered_or_why_not")),
        sa.CheckConstraint(
            "ref IS NOT NULL OR (result ->> 'treatment') = 'needs_review'",
            name=op.f("ck_tax_calculation_held_without_an_answer"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tax_calculation")),
        sa.UniqueConstraint("provider", "ref", name=op.f("uq_tax_calculation_provider_ref")),
    )
    op.create_index("ix_tax_calculation_inputs", "tax_calculation", ["inputs_hash", "asked_at"])
    op.execute(
        "CREATE TRIGGER unchangeable BEFORE UPDATE OR DELETE ON tax_calculation"
        " FOR EACH ROW EXECUTE FUNCTION refuse_change()"
    )
    op.execute(
        "CREATE TRIGGER never_emptied BEFORE TRUNCATE ON tax_calculation"
        " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )


def _records() -> None:
    op.create_table(
        "tax_record",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("calculation_id", sa.String(), nullable=False),
        sa.Column("invoice_id", sa.String(), nullable=True),
        sa.Column("credit_note_id", sa.String(), nullable=True),
        sa.Column("reference", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("ref", sa.String(), nullable=True),
        sa.Column("lines", postgresql.JSONB(), nullable=False),
        sa.Column("spent_keys", sa.Integer(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("detail", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("state IN ('waiting', 'recorded', 'refused')", name=op.f("ck_tax_record_record_state")),
        sa.CheckConstraint(
            "(invoice_id IS NULL) <> (credit_note_id IS NULL)", name=op.f("ck_tax_record_of_one_document")
        ),
        sa.CheckConstraint("(state = 'recorded') = (ref IS NOT NULL)", name=op.f("ck_tax_record_recorded_somewhere")),
        sa.CheckConstraint(
            "(state = 'recorded') = (recorded_at IS NOT NULL)", name=op.f("ck_tax_record_recorded_at_a_time")
        ),
        sa.CheckConstraint("state <> 'refused' OR code <> ''", name=op.f("ck_tax_record_refused_for_a_reason")),
        sa.CheckConstraint("spent_keys >= 0", name=op.f("ck_tax_record_spent_keys_are_counted")),
        sa.ForeignKeyConstraint(["calculation_id"], ["tax_calculation.id"], name=op.f("fk_tax_record_calculation_id")),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoice.id"], name=op.f("fk_tax_record_invoice_id")),
        sa.ForeignKeyConstraint(["credit_note_id"], ["credit_note.id"], name=op.f("fk_tax_record_credit_note_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tax_record")),
        sa.UniqueConstraint("provider", "reference", name=op.f("uq_tax_record_provider_reference")),
        sa.UniqueConstraint("invoice_id", name=op.f("uq_tax_record_invoice_id")),
        sa.UniqueConstraint("credit_note_id", name=op.f("uq_tax_record_credit_note_id")),
    )
    op.create_index("ix_tax_record_open", "tax_record", ["id"], postgresql_where=sa.text("state <> 'recorded'"))
    op.execute(
        "CREATE TRIGGER kept BEFORE UPDATE OR DELETE ON tax_record FOR EACH ROW EXECUTE FUNCTION keep_tax_record()"
    )
    op.execute(
        "CREATE TRIGGER never_emptied BEFORE TRUNCATE ON tax_record FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
