"""What a tax provider computed is put into its books: the sale when its invoice is issued, what a credit note takes
back when that is (ADR 0052).

Written down with the document, done by a job, and tried again until it is there. A document never waits for it. What
the provider refuses waits for a person, who sees it among the tasks of the console.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from structlog import get_logger

from app.core import audit, jobs, policy
from app.core.clock import transport_now
from app.core.db import Tx
from app.core.errors import Invalid
from app.flows.ports import Ports
from app.invoices import credit_notes
from app.invoices import service as invoices
from app.invoices.models import CreditNote, Invoice
from app.tax import calculations, provided, records
from app.tax import service as tax
from app.tax.calculations import TaxUnasked
from app.tax.determination import Determination
from app.tax.errors import TaxRefused, TaxUnavailable
from app.tax.models import RecordState, TaxCalculation, TaxRecord
from app.tax.provider import Recorded, TakenBack

log = get_logger()

_RECORD: Final = "tax.record"
_ANOTHER_PROVIDER: Final = "another_provider"
_DIFFERS: Final = "computed_anew_differs"


def intend_sale(tx: Tx, invoice: Invoice) -> None:
    """With an invoice that is numbered, in its transaction; nothing where our own engine determined the tax."""
    calculation = records.calculation_of(tx, invoice.tax_determination_id)
    if calculation is None:
        return
    row = records.intend(
        tx, calculation.id, calculation.provider, reference=str(invoice.number), invoice_id=invoice.id,
        now=transport_now(),
    )  # fmt: skip
    _defer(tx, row)


def intend_reversal(tx: Tx, invoice: Invoice, note: CreditNote) -> None:
    """With a credit note, in its transaction; nothing where the invoice is in nobody's books."""
    sale = records.of_invoice(tx, invoice.id)
    if sale is None:
        return
    row = records.intend(
        tx, sale.calculation_id, sale.provider, reference=note.number, credit_note_id=note.id, now=transport_now()
    )
    _defer(tx, row)


def _defer(tx: Tx, row: TaxRecord) -> None:
    jobs.defer(tx, _RECORD, once=f"{_RECORD}:{row.id}", record_id=row.id)


@jobs.job(_RECORD, retry=jobs.Retry(attempts=12, first=10))
def record(ports: Ports, *, record_id: str) -> None:
    """Put one document into the provider's books. A credit note waits for its invoice, which calls it afterwards."""
    with ports.db.transaction() as tx:
        row = records.lock(tx, record_id)
        if row.state is not RecordState.WAITING:
            return
        if row.provider != ports.tax.name:
            _refuse(row, _ANOTHER_PROVIDER, f"It was computed by {row.provider}, which is not set any more.")
            return
        sale = row if row.invoice_id is not None else _sale_of(tx, row)
    try:
        done = _record_sale(ports, row) if sale is row else _reverse(ports, row, sale)
    except TaxUnavailable as why:
        with ports.db.transaction() as tx:
            records.fail(records.lock(tx, record_id), "unreachable", why.detail, spent=bool(why.extra.get("spent")))
        raise
    except TaxRefused as why:
        log.warning("tax.not_recorded", record=record_id, code=calculations.code_of(why))
        with ports.db.transaction() as tx:
            _refuse(records.lock(tx, record_id), calculations.code_of(why), why.detail)
        return
    if done is not None:
        _settle(ports, record_id, done)


def _settle(ports: Ports, record_id: str, done: Recorded) -> None:
    with ports.db.transaction() as tx:
        row = records.lock(tx, record_id)
        if row.state is RecordState.RECORDED:
            return
        records.settle(row, done, transport_now())
        if row.invoice_id is not None:
            notes = [each.id for each in credit_notes.of_invoice(tx, row.invoice_id)]
            for each in records.of_credit_notes(tx, notes):
                if each.state is RecordState.WAITING:
                    _defer(tx, each)


def _refuse(row: TaxRecord, code: str, detail: str) -> None:
    if row.state is RecordState.WAITING:
        records.refuse(row, code, detail)


def _sale_of(tx: Tx, row: TaxRecord) -> TaxRecord:
    note = credit_notes.get(tx, row.credit_note_id or "")
    sale = records.of_invoice(tx, note.invoice_id)
    if sale is None:
        raise AssertionError("a credit note is put there only after its invoice")
    return sale


# --- The sale -----------------------------------------------------------------------------------------------------


def _record_sale(ports: Ports, row: TaxRecord) -> Recorded:
    """From the computation that taxed it; from one made anew where the provider has forgotten that."""
    with ports.db.transaction() as tx:
        calculation = calculations.get(tx, row.calculation_id)
    if calculation.expires_at is not None and calculation.expires_at <= transport_now():
        calculation = _computed_anew(ports, row)
    if calculation.ref is None:
        raise AssertionError("no document bears a tax that nobody computed")
    # Another computation under the same key would be taken for a mistake.
    return ports.tax.record(calculation.ref, reference=row.reference, key=f"{_key(row)}-{calculation.id}")


def _computed_anew(ports: Ports, row: TaxRecord) -> TaxCalculation:
    """The same sale on the day of its invoice; a try whose answer got lost is repeated with what was computed for it.

    Raises TaxRefused where it does not come to what was charged, line by line: a person decides.
    """
    with ports.db.transaction() as tx:
        invoice = invoices.get(tx, row.invoice_id or "")
        charged = tax.stored(tx, invoice.tax_determination_id)
        question = tax.question_of(tx, invoice.tax_determination_id)
        question = replace(question, date=invoice.issued_on or question.date)
        hours = policy.get(tx, calculations.FRESH_HOURS, ports.clock.now())
        known = calculations.answer_to(tx, question, hours=hours, now=transport_now())
        kept = calculations.get(tx, known.calculation) if known is not None and known.calculation else None
    if kept is None:
        kept = _asked_anew(ports, TaxUnasked(question, charged))
    anew = Determination.from_json(kept.result)
    if [line.tax for line in anew.lines] != [line.tax for line in charged.lines]:
        raise TaxRefused(
            f"Its computation was forgotten, and made anew it comes to {anew.tax}; {charged.tax} were charged. Enter"
            " the sale there by hand.", reason=_DIFFERS,
        )  # fmt: skip
    return kept


def _asked_anew(ports: Ports, unasked: TaxUnasked) -> TaxCalculation:
    calculation_id = calculations.new()
    exempt = provided.certificate_of(unasked.question) is not None
    computed = ports.tax.compute(unasked.question, exempt=exempt, key=calculation_id)
    with ports.db.transaction() as tx:
        return calculations.keep(
            tx, unasked, computed, calculation_id=calculation_id, provider=ports.tax.name, title=ports.tax.title,
            now=transport_now(),
        )  # fmt: skip


def _key(row: TaxRecord) -> str:
    """The same as long as the answer to it can still come; another after a failure that is remembered for the key.

    The provider takes the number of a document once, so a sale that was made nevertheless is not made twice.
    """
    return f"{row.id}-{row.spent_keys}"


# --- What is taken back -------------------------------------------------------------------------------------------


def _reverse(ports: Ports, row: TaxRecord, sale: TaxRecord) -> Recorded | None:
    """None while the invoice itself is not there yet. Raises TaxRefused where the document cannot be told by lines."""
    if sale.ref is None:
        return None
    with ports.db.transaction() as tx:
        note = credit_notes.get(tx, row.credit_note_id or "")
        parts = _taken_back(tx, note, sale)
    ref = ports.tax.reverse(sale.ref, parts, reference=row.reference, currency=note.currency, key=_key(row))
    return Recorded(ref, row.reference, {})


def _taken_back(tx: Tx, note: CreditNote, sale: TaxRecord) -> Sequence[TakenBack]:
    """The note's own lines: net and tax of each as they stand on it (R-INV-4)."""
    positions = {line.id: position for position, line in enumerate(invoices.lines(tx, note.invoice_id))}
    refs = records.lines_of(sale)
    parts = []
    for line in credit_notes.lines(tx, note.id):
        position = positions[line.invoice_line_id]
        if position not in refs:
            raise TaxRefused(
                f"Line {position + 1} of the invoice is not in the provider's books; enter the credit there by hand.",
                reason="unknown_line",
            )
        parts.append(TakenBack(refs[position], position, line.net_minor, line.tax_minor))
    return parts


# --- What a person does -------------------------------------------------------------------------------------------


def retry(tx: Tx, record_id: str, *, by: str) -> TaxRecord:
    """Have it tried again. Raises NotFound, RecordSettled."""
    row = records.lock(tx, record_id)
    records.reopen(row)
    audit.record(tx, audit.SYSTEM, actor=by, action="tax.record_retried", subject=row.id, now=transport_now(),
                 details={"reference": row.reference})  # fmt: skip
    _defer(tx, row)
    return row


def settle_by_hand(ports: Ports, record_id: str, *, ref: str, by: str) -> TaxRecord:
    """Take over where somebody found the sale in the provider's books, after its answer was lost for good.

    It is looked up there, and has to bear the invoice's number. Raises NotFound, Invalid, RecordSettled,
    TaxUnavailable, TaxRefused.
    """
    with ports.db.transaction() as tx:
        row = records.get(tx, record_id)
        if row.invoice_id is None:
            raise Invalid("Only a sale is looked up; what a credit note takes back is tried again.", param="ref")
        records.require_open(row)
        if row.provider != ports.tax.name:
            raise Invalid(f"It is in the books of {row.provider}; set that provider again to have it looked up.",
                          param="ref")  # fmt: skip
    found = ports.tax.recorded(ref)
    if found.reference != row.reference:
        raise Invalid(f"That one is for {found.reference}, and this is {row.reference}.", param="ref")
    with ports.db.transaction() as tx:
        audit.record(tx, audit.SYSTEM, actor=by, action="tax.record_found", subject=record_id, now=transport_now(),
                     details={"reference": row.reference, "ref": ref})  # fmt: skip
    _settle(ports, record_id, found)
    with ports.db.transaction() as tx:
        return records.get(tx, record_id)
