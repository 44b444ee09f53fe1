"""The papers of final documents: kept once, found again, and held against the rows they were drawn from (ADR 0049)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Select, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import SQLModel, col

from app.core.canonical import canonical_json, sha256_hex
from app.core.db import Tx
from app.core.ids import new_id
from app.invoices.models import (
    CreditNote,
    CreditNoteLine,
    CreditNoteTax,
    Invoice,
    InvoiceLine,
    InvoiceState,
    InvoiceTax,
    IssuedDocument,
    IssuedKind,
)

# What is hashed, by name: a column that a later version adds is not, or every older hash would seem to drift.
_OF_INVOICE: Final = (
    "id", "account_id", "legal_entity_id", "order_id", "series", "sequence", "number", "currency", "net_minor",
    "tax_minor", "total_minor", "issued_on", "due_on", "supply_from", "supply_to", "seller", "buyer", "notes",
    "po_number", "tax_determination_id", "test",
)  # fmt: skip
_OF_NOTE: Final = (
    "id", "account_id", "legal_entity_id", "invoice_id", "series", "sequence", "number", "reason", "currency",
    "net_minor", "tax_minor", "total_minor", "to_refund_minor", "to_balance_minor", "to_invoice_minor", "issued_on",
    "supply_from", "supply_to", "seller", "buyer", "notes", "po_number", "tax_determination_id", "test",
)  # fmt: skip
_OF_INVOICE_LINE: Final = (
    "position", "sku", "description", "quantity", "unit_minor", "net_minor", "tax_minor", "period_from", "period_to",
    "numerator", "denominator", "rule", "pricing", "intervals", "discount_minor", "quantity_before",
)  # fmt: skip
_OF_NOTE_LINE: Final = (
    "position", "invoice_line_id", "description", "net_minor", "tax_minor", "tax_parts", "period_from", "period_to",
    "numerator", "denominator", "rule",
)  # fmt: skip
_OF_TAX: Final = ("position", "jurisdiction", "name", "rate", "taxable_minor", "tax_minor")


@dataclass(frozen=True, slots=True)
class Frozen:
    """A final document with the rows that never change again."""

    document: Invoice | CreditNote
    lines: Sequence[InvoiceLine | CreditNoteLine]
    taxes: Sequence[InvoiceTax | CreditNoteTax]

    def sha256(self) -> str:
        """Over the canonical JSON of these rows, payments and states left out."""
        of_invoice = isinstance(self.document, Invoice)
        return sha256_hex(canonical_json({
            "document": _said(self.document, _OF_INVOICE if of_invoice else _OF_NOTE),
            "lines": [_said(each, _OF_INVOICE_LINE if of_invoice else _OF_NOTE_LINE) for each in self.lines],
            "taxes": [_said(each, _OF_TAX) for each in self.taxes],
        }))  # fmt: skip


def _said(row: SQLModel, names: Sequence[str]) -> dict[str, Any]:
    return {name: _plain(getattr(row, name)) for name in names}


def _plain(value: Any) -> Any:
    return f"{value.normalize():f}" if isinstance(value, Decimal) else value


@dataclass(frozen=True, slots=True)
class Drawing:
    """What was drawn, and by what."""

    pdf: bytes
    xml: bytes | None
    language: str
    template_version: str
    tax_there: dict[str, Any] | None = None


def of(tx: Tx, document: Invoice | CreditNote) -> IssuedDocument | None:
    """The paper of a final document, if it was drawn already."""
    column = IssuedDocument.invoice_id if isinstance(document, Invoice) else IssuedDocument.credit_note_id
    return tx.execute(select(IssuedDocument).where(col(column) == document.id)).scalar_one_or_none()


def keep(tx: Tx, frozen: Frozen, drawing: Drawing, now: datetime) -> IssuedDocument:
    """Store a paper, once: where somebody else was faster, theirs is the one that counts and is returned."""
    document = frozen.document
    subject = "invoice_id" if isinstance(document, Invoice) else "credit_note_id"
    row = {
        "id": new_id("doc"), "account_id": document.account_id, subject: document.id,
        "kind": IssuedKind.INVOICE if isinstance(document, Invoice) else IssuedKind.CREDIT_NOTE,
        "language": drawing.language, "pdf": drawing.pdf, "xml": drawing.xml, "sha256": sha256_hex(drawing.pdf),
        "xml_sha256": sha256_hex(drawing.xml) if drawing.xml is not None else None,
        "source_sha256": frozen.sha256(), "template_version": drawing.template_version,
        "tax_there": drawing.tax_there, "produced_at": now,
    }  # fmt: skip
    tx.execute(insert(IssuedDocument).values(row).on_conflict_do_nothing(index_elements=[subject]))
    kept = of(tx, document)
    if kept is None:
        raise LookupError(f"the paper of {document.id} was neither kept nor there")
    return kept


def frozen_rows(tx: Tx, documents: Sequence[Invoice | CreditNote]) -> list[Frozen]:
    """These documents with their lines and taxes, in their order, by four questions however many they are."""
    found: dict[str, tuple[list[Any], list[Any]]] = {each.id: ([], []) for each in documents}
    for kind, line, tax, owner in (
        (Invoice, InvoiceLine, InvoiceTax, "invoice_id"),
        (CreditNote, CreditNoteLine, CreditNoteTax, "credit_note_id"),
    ):
        ids = [each.id for each in documents if isinstance(each, kind)]
        for place, table in enumerate((line, tax)):
            for row in _parts(tx, table, owner, ids):
                found[getattr(row, owner)][place].append(row)
    return [Frozen(each, *found[each.id]) for each in documents]


def _parts(tx: Tx, table: type[Any], owner: str, ids: Sequence[str]) -> Iterable[Any]:
    if not ids:
        return ()
    query = select(table).where(col(getattr(table, owner)).in_(ids))
    return tx.execute(query.order_by(col(getattr(table, owner)), col(table.position))).scalars()


def undrawn(
    tx: Tx, kind: type[Invoice] | type[CreditNote], *, series: tuple[str, str] | None = None,
    numbers: tuple[int, int] | None = None, after: str = "", limit: int = 500,
) -> list[str]:  # fmt: skip
    """Ids of final documents without a paper, in the order of their ids.

    `series` is the legal entity with the name of its series, `numbers` the first and the last of them.
    """
    query = _undrawn(kind).where(col(kind.id) > after)
    if series is not None:
        query = query.where(col(kind.legal_entity_id) == series[0], col(kind.series) == series[1])
    if numbers is not None:
        query = query.where(col(kind.sequence).between(*numbers))
    return list(tx.execute(query.order_by(col(kind.id)).limit(limit)).scalars())


def _undrawn(kind: type[Invoice] | type[CreditNote]) -> Select[Any]:
    subject = IssuedDocument.invoice_id if kind is Invoice else IssuedDocument.credit_note_id
    drawn = select(col(IssuedDocument.id)).where(col(subject) == col(kind.id)).exists()
    query = select(col(kind.id)).where(~drawn, col(kind.number).is_not(None))
    return query.where(col(Invoice.state) != InvoiceState.VOID) if kind is Invoice else query


@dataclass(frozen=True, slots=True)
class Drift:
    """A paper that is not what it was: `what` says in words which hash no longer holds."""

    number: str
    what: str


def drifted(tx: Tx, papers: Sequence[IssuedDocument]) -> list[Drift]:
    """Every hash of these papers computed again: over the bytes, and over the rows they were drawn from."""
    documents: dict[str, Invoice | CreditNote] = {}
    invoice_ids = [each.invoice_id for each in papers if each.invoice_id]
    for invoice in tx.execute(select(Invoice).where(col(Invoice.id).in_(invoice_ids))).scalars():
        documents[invoice.id] = invoice
    note_ids = [each.credit_note_id for each in papers if each.credit_note_id]
    for note in tx.execute(select(CreditNote).where(col(CreditNote.id).in_(note_ids))).scalars():
        documents[note.id] = note
    sources = {frozen.document.id: frozen.sha256() for frozen in frozen_rows(tx, list(documents.values()))}
    found = []
    for each in papers:
        subject = each.invoice_id or each.credit_note_id or ""
        number = documents[subject].number or subject
        if sha256_hex(each.pdf) != each.sha256:
            found.append(Drift(number, "the PDF is not the one that was kept"))
        if each.xml is not None and sha256_hex(each.xml) != each.xml_sha256:
            found.append(Drift(number, "the XML is not the one that was kept"))
        if sources[subject] != each.source_sha256:
            found.append(Drift(number, "the rows are not those that were drawn"))
    return found


def after(tx: Tx, paper_id: str, limit: int) -> list[IssuedDocument]:
    """The papers behind this id, in the order of their ids."""
    query = select(IssuedDocument).where(col(IssuedDocument.id) > paper_id)
    return list(tx.execute(query.order_by(col(IssuedDocument.id)).limit(limit)).scalars())


def count(tx: Tx) -> int:
    """How many papers are kept."""
    return int(tx.execute(select(func.count()).select_from(IssuedDocument)).scalar_one())


def count_undrawn(tx: Tx) -> int:
    """How many final documents have no paper yet."""
    return sum(
        int(tx.execute(select(func.count()).select_from(_undrawn(kind).subquery())).scalar_one())
        for kind in (Invoice, CreditNote)
    )
