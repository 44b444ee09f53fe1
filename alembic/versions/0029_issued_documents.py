"""The papers of invoices and credit notes, kept byte for byte with their hashes.

What an operator must know: quick; a new table, nothing else changes. The papers of documents from before are drawn and
kept within the hour by a worker, some 15 ms of CPU and 40 kB for each.
"""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

_FUNCTIONS = """
-- R-INV-1: what the buyer could have has a credit note, and is never void.
CREATE FUNCTION void_has_no_paper() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM issued_document WHERE invoice_id = NEW.id) THEN
    RAISE EXCEPTION 'invoice % was made available; it is corrected by a credit note', NEW.number
      USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NEW;
END $$;

CREATE FUNCTION paper_is_of_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM invoice WHERE id = NEW.invoice_id AND (number IS NULL OR state = 'void')) THEN
    RAISE EXCEPTION 'invoice % is a draft or void and has no paper', NEW.invoice_id USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;
"""


def _text(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(), nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "issued_document",
        _text("id"),
        _text("account_id"),
        sa.Column(
            "kind",
            sa.Enum("invoice", "credit_note", name="issued_kind", native_enum=False, create_constraint=True, length=32),
            nullable=False,
        ),
        _text("invoice_id", nullable=True),
        _text("credit_note_id", nullable=True),
        _text("language"),
        sa.Column("pdf", sa.LargeBinary(), nullable=False),
        sa.Column("xml", sa.LargeBinary(), nullable=True),
        _text("sha256"),
        _text("xml_sha256", nullable=True),
        sa.Column("tax_there", postgresql.JSONB(none_as_null=True), nullable=True),
        _text("source_sha256"),
        _text("template_version"),
        sa.Column("produced_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "(kind = 'invoice') = (invoice_id IS NOT NULL) AND (kind = 'credit_note') = (credit_note_id IS NOT NULL)",
            name=op.f("ck_issued_document_of_one_document"),
        ),
        sa.CheckConstraint("sha256 = encode(sha256(pdf), 'hex')", name=op.f("ck_issued_document_hash_is_true")),
        sa.CheckConstraint(
            "(xml IS NULL) = (xml_sha256 IS NULL) AND (xml IS NULL OR xml_sha256 = encode(sha256(xml), 'hex'))",
            name=op.f("ck_issued_document_xml_hash_is_true"),
        ),
        sa.CheckConstraint("source_sha256 ~ '^[0-9a-f]{64}$'", name=op.f("ck_issued_document_source_hash_form")),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_issued_document_account_id")),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoice.id"], name=op.f("fk_issued_document_invoice_id")),
        sa.ForeignKeyConstraint(["credit_note_id"], ["credit_note.id"], name=op.f("fk_issued_document_credit_note_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_issued_document")),
        sa.UniqueConstraint("invoice_id", name=op.f("uq_issued_document_invoice_id")),
        sa.UniqueConstraint("credit_note_id", name=op.f("uq_issued_document_credit_note_id")),
    )
    op.create_index(op.f("ix_issued_document_account_id"), "issued_document", ["account_id"])
    # A PDF is compressed already: kept outside of the row as it is, it is read without unpacking, and in parts.
    op.execute("ALTER TABLE issued_document ALTER COLUMN pdf SET STORAGE EXTERNAL")
    op.execute(_FUNCTIONS)
    op.execute(
        "CREATE TRIGGER unchangeable BEFORE UPDATE OR DELETE ON issued_document"
        " FOR EACH ROW EXECUTE FUNCTION refuse_change()"
    )
    op.execute(
        "CREATE TRIGGER never_emptied BEFORE TRUNCATE ON issued_document"
        " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
    op.execute(
        "CREATE TRIGGER of_final BEFORE INSERT ON issued_document FOR EACH ROW WHEN (NEW.invoice_id IS NOT NULL)"
        " EXECUTE FUNCTION paper_is_of_final()"
    )
    op.execute(
        "CREATE TRIGGER void_has_no_paper BEFORE UPDATE ON invoice FOR EACH ROW"
        " WHEN (NEW.state = 'void' AND OLD.state <> 'void') EXECUTE FUNCTION void_has_no_paper()"
    )
