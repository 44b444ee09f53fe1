"""Why an invoice bears the tax it bears, in one file for an auditor (R-TAX-2, R-TAX-5): the same books, the same bytes.

The determination with its inputs and data version, what a tax provider answered where one was asked, what registries
said of the buyer's numbers until then, the evidence of the place, the overrides that decided, the sources of the rates,
the entries of the ledger, and a hash of each part.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlmodel import col

from app.agreements.models import Paper
from app.core.bulk import among
from app.core.canonical import canonical_json, sha256_hex
from app.core.db import Tx
from app.core.errors import NotFound
from app.invoices.models import CreditNote, Invoice, InvoiceLine, InvoiceTax
from app.ledger.models import LedgerEntry, Posting
from app.tax import locating, records
from app.tax import request as taxing
from app.tax.citations import cite
from app.tax.dataset import load
from app.tax.models import ExemptionCertificate, TaxDetermination, TaxIdCheck, TaxOverride

FORM: Final = "blp/tax-evidence/v1"


def file_name(invoice: Invoice) -> str:
    return f"tax-evidence_{invoice.number}.json"


def write(tx: Tx, invoice: Invoice) -> bytes:
    """Canonical JSON with a line feed at its end. Raises NotFound for a draft, which can still change."""
    if invoice.number is None:
        raise NotFound("A draft can still change; there is evidence once it is final.")
    given = tx.get_one(TaxDetermination, invoice.tax_determination_id)
    parts: dict[str, Any] = {
        "invoice": _invoice(tx, invoice),
        "credit_notes": _credit_notes(tx, invoice),
        "determination": _determination(given),
        "calculation": _calculation(tx, given, invoice),
        "tax_id_checks": _checks(tx, given),
        "location": _location(tx, given, invoice),
        "certificates": _certificates(tx, given, invoice),
        "overrides": _overrides(tx, given),
        "sources": _sources(given),
        "ledger": _ledger(tx, invoice),
    }
    hashes = {name: sha256_hex(canonical_json(part)) for name, part in parts.items()}
    return canonical_json({"form": FORM, **parts, "sha256": hashes}) + b"\n"


def _invoice(tx: Tx, invoice: Invoice) -> dict[str, Any]:
    lines = select(InvoiceLine).where(col(InvoiceLine.invoice_id) == invoice.id).order_by(col(InvoiceLine.position))
    taxes = select(InvoiceTax).where(col(InvoiceTax.invoice_id) == invoice.id).order_by(col(InvoiceTax.position))
    return {
        "id": invoice.id, "number": invoice.number, "state": invoice.state.value, "currency": invoice.currency,
        "issued_on": _day(invoice.issued_on), "supply_from": _day(invoice.supply_from),
        "supply_to": _day(invoice.supply_to), "net": invoice.net_minor, "tax": invoice.tax_minor,
        "total": invoice.total_minor, "seller": invoice.seller, "buyer": invoice.buyer, "notes": invoice.notes,
        "lines": [
            {"sku": each.sku, "description": each.description, "net": each.net_minor, "tax": each.tax_minor}
            for each in tx.execute(lines).scalars()
        ],
        "taxes": [
            {"jurisdiction": each.jurisdiction, "name": each.name, "rate": f"{each.rate.normalize():f}",
             "taxable": each.taxable_minor, "tax": each.tax_minor}
            for each in tx.execute(taxes).scalars()
        ],
    }  # fmt: skip


def _day(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


def _credit_notes(tx: Tx, invoice: Invoice) -> list[dict[str, Any]]:
    query = select(CreditNote).where(col(CreditNote.invoice_id) == invoice.id).order_by(col(CreditNote.id))
    return [
        {"id": each.id, "number": each.number, "issued_on": _day(each.issued_on), "reason": each.reason.value,
         "net": each.net_minor, "tax": each.tax_minor}
        for each in tx.execute(query).scalars()
    ]  # fmt: skip


def _determination(given: TaxDetermination) -> dict[str, Any]:
    return {
        "id": given.id, "determined_at": given.determined_at.isoformat(), "request": given.request,
        "result": given.result, "inputs_hash": given.inputs_hash, "data_version": given.data_version,
        # The hash that was recorded then, held against the inputs as they are kept now.
        "inputs_are_those_of_then": taxing.hash_of(given.request) == given.inputs_hash,
    }  # fmt: skip


def _calculation(tx: Tx, given: TaxDetermination, invoice: Invoice) -> dict[str, Any]:
    """The provider's answer as it came, and the sale in its books; nothing where our own engine decided."""
    found = records.calculation_of(tx, given.id)
    if found is None:
        return {}
    record = records.of_invoice(tx, invoice.id)
    return {
        "id": found.id, "provider": found.provider, "ref": found.ref, "asked_at": found.asked_at.isoformat(),
        "reply": found.reply, "recorded_as": record.ref if record is not None else None,
    }  # fmt: skip


def _buyer(given: TaxDetermination) -> Mapping[str, Any]:
    found = given.request.get("buyer", {})
    return found if isinstance(found, Mapping) else {}


def _checks(tx: Tx, given: TaxDetermination) -> list[dict[str, Any]]:
    """The last answer about each number that the determination knew."""
    values = [str(each["value"]) for each in _buyer(given).get("tax_ids", ())]
    query = (
        select(TaxIdCheck)
        .where(among(col(TaxIdCheck.value), values), col(TaxIdCheck.checked_at) <= given.determined_at)
        .ext(distinct_on(col(TaxIdCheck.type), col(TaxIdCheck.value)))
        .order_by(col(TaxIdCheck.type), col(TaxIdCheck.value), col(TaxIdCheck.checked_at).desc(), col(TaxIdCheck.id))
    )
    return [
        {"type": each.type, "value": each.value, "status": each.status, "reference": each.reference,
         "reply_sha256": each.reply_hash, "checked_at": each.checked_at.isoformat()}
        for each in tx.execute(query).scalars()
    ]  # fmt: skip


def _location(tx: Tx, given: TaxDetermination, invoice: Invoice) -> dict[str, Any]:
    buyer = _buyer(given)
    address = {name: buyer.get(name) for name in ("country", "region", "postcode", "city")}
    kept = [
        {"kind": each.kind, "value": each.value, "country": each.country, "captured_at": each.captured_at.isoformat()}
        for each in locating.of_order(tx, invoice.order_id)
    ]
    return {"stated_address": address, "evidence": given.request.get("evidence", []), "kept": kept}


def _certificates(tx: Tx, given: TaxDetermination, invoice: Invoice) -> list[dict[str, Any]]:
    """The certificates that the determination knew, with the hash of their paper and who accepted them."""
    numbers = [str(each["number"]) for each in _buyer(given).get("exemptions", ())]
    query = (
        select(ExemptionCertificate, col(Paper.sha256))
        .join(Paper, col(Paper.id) == col(ExemptionCertificate.paper_id))
        .where(
            col(ExemptionCertificate.account_id) == invoice.account_id,
            among(col(ExemptionCertificate.number), numbers), col(ExemptionCertificate.reviewed_at).is_not(None),
            col(ExemptionCertificate.reviewed_at) <= given.determined_at,
        )
        .order_by(col(ExemptionCertificate.id))
    )  # fmt: skip
    return [
        {"id": each.id, "jurisdiction": each.jurisdiction, "reason": each.reason.value, "number": each.number,
         "signed_on": _day(each.signed_on), "expires_on": _day(each.expires_on), "state": each.state.value,
         "paper_sha256": paper, "reviewed_by": each.reviewed_by}
        for each, paper in tx.execute(query)
    ]  # fmt: skip


def _overrides(tx: Tx, given: TaxDetermination) -> list[dict[str, Any]]:
    ids = [str(each["id"]) for each in given.result.get("overrides", ())]
    query = select(TaxOverride).where(among(col(TaxOverride.id), ids)).order_by(col(TaxOverride.id))
    return [
        {"id": each.id, "jurisdiction": each.jurisdiction, "tax_code": each.tax_code, "buyer_type": each.buyer_type,
         "treatment": each.treatment, "rate": None if each.rate is None else f"{each.rate.normalize():f}",
         "portion": f"{each.portion.normalize():f}", "alone": each.alone, "from": _day(each.valid_from),
         "source": each.source, "why": each.why, "recorded_by": each.recorded_by,
         "recorded_at": each.recorded_at.isoformat()}
        for each in tx.execute(query).scalars()
    ]  # fmt: skip


def _sources(given: TaxDetermination) -> dict[str, Any]:
    """The rows behind the charges, as long as the data on file is the one that was read."""
    data = load()
    same = given.data_version.partition("+")[0] == data.version
    charged: Sequence[Mapping[str, Any]] = given.result.get("components", ())
    asked = {str(part["jurisdiction"]) for part in charged} | {str(given.result.get("jurisdiction", ""))}
    day = given.request.get("date")
    if not same or day is None:
        return {"data_version": given.data_version, "on_file": False, "rows": []}
    rows = [each.to_json() for code in sorted(asked) for each in cite(data, code, date.fromisoformat(day))]
    return {"data_version": given.data_version, "on_file": True, "rows": rows}


def _ledger(tx: Tx, invoice: Invoice) -> list[dict[str, Any]]:
    """The entry of the invoice and those of its credit notes."""
    notes = tx.execute(select(col(CreditNote.id)).where(col(CreditNote.invoice_id) == invoice.id)).scalars()
    sources = [f"invoice:{invoice.id}", *(f"credit_note:{each}" for each in notes)]
    query = (
        select(LedgerEntry, Posting)
        .join(Posting, col(Posting.entry_id) == col(LedgerEntry.id))
        .where(among(col(LedgerEntry.source), sources))
        .order_by(col(LedgerEntry.id), col(Posting.id))
    )
    return [
        {"entry": entry.id, "source": entry.source, "booked_on": _day(entry.booked_on), "account": leg.ledger_account,
         "dimension": leg.dimension, "amount": leg.amount_minor, "currency": leg.currency}
        for entry, leg in tx.execute(query)
    ]  # fmt: skip
