"""The papers of final documents: drawn once, kept, handed out as kept, and checked (ADR 0049)."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from structlog import get_logger

from app.core import jobs
from app.core.db import Tx
from app.core.errors import Invalid, NotFound
from app.core.i18n import languages, locale_of, written_in
from app.core.money import Money
from app.documents.electronic_shapes import Syntax
from app.documents.render_pdf import draw_invoice, template_version
from app.documents.shapes import CopyOf, DocumentKind, InvoiceDocument, TaxInStateCurrency
from app.flows import drawing, electronic, papers, state_currency
from app.flows.ports import Ports
from app.flows.state_currency import NoExchangeRate
from app.invoices import issued
from app.invoices import service as invoices
from app.invoices.issued import Drawing, Drift
from app.invoices.models import CreditNote, Invoice, InvoiceState, IssuedDocument

log = get_logger()

_AT_ONCE: Final = 200


class NotDrawn(RuntimeError):
    """Some documents could not be drawn; the log names each, and all others have their papers."""


def paper(tx: Tx, ports: Ports, document: Invoice | CreditNote) -> IssuedDocument:
    """The paper of a document as it is kept; drawn and kept now where the job was not there yet.

    Raises NotFound for a draft and for a void invoice: neither was ever made available (R-INV-1). Raises NoExchangeRate
    where the law wants its tax in a currency of which no rate is known.
    """
    return issued.of(tx, document) or _draw(tx, ports, document)


def _draw(tx: Tx, ports: Ports, document: Invoice | CreditNote) -> IssuedDocument:
    if isinstance(document, Invoice) and (document.number is None or document.state is InvoiceState.VOID):
        raise NotFound("A draft has no document yet, and a void invoice never had one.")
    now, there = ports.clock.now(), _stated(tx, ports, document)
    kind, said, locale = _said(tx, ports, document, there)
    drawn = draw_invoice(kind, said, locale)
    language = str(written_in(locale)).replace("_", "-")
    kept = state_currency.to_json(there) if there is not None else None
    made = Drawing(drawn.pdf, drawn.xml, language, template_version(), kept)
    return issued.keep(tx, issued.frozen_rows(tx, [document])[0], made, now)


def _said(
    tx: Tx, ports: Ports, document: Invoice | CreditNote, there: TaxInStateCurrency | None, language: str = ""
) -> tuple[DocumentKind, InvoiceDocument, str]:  # fmt: skip
    locale = language or papers.locale_of(document)
    if isinstance(document, Invoice):
        return DocumentKind.INVOICE, papers.invoice_document(tx, ports, document, there, locale=locale), locale
    return DocumentKind.CREDIT_NOTE, papers.credit_note_document(tx, document, there, locale=locale), locale


def _stated(tx: Tx, ports: Ports, document: Invoice | CreditNote) -> TaxInStateCurrency | None:
    """The tax in the currency of the state that gets it; of a credit note at the rate of its invoice.

    Without a rate a test document is drawn without that amount, since it is owed to no state. Raises NoExchangeRate.
    """
    tax = Money(document.tax_minor, document.currency)
    if isinstance(document, CreditNote):
        before = _kept(paper(tx, ports, tx.get_one(Invoice, document.invoice_id)))
        return state_currency.again(tax, before) if before is not None and tax else None
    now, on = ports.clock.now(), document.issued_on
    taxes = [(each.jurisdiction, each.tax_minor) for each in invoices.taxes(tx, document.id)]
    there = state_currency.wanted(taxes, document.currency, on) if on is not None else None
    if there is None or on is None:
        return None
    try:
        return state_currency.stated(tx, tax, there, on, now)
    except NoExchangeRate:
        if document.test:
            return None
        raise


def _kept(original: IssuedDocument) -> TaxInStateCurrency | None:
    return state_currency.from_json(original.tax_there) if original.tax_there is not None else None


def in_language(tx: Tx, ports: Ports, document: Invoice | CreditNote, language: str) -> bytes | None:
    """A copy in another language, marked as one and naming the original; None where the original is in it.

    Drawn whenever it is asked for and never kept: it proves nothing. Raises Invalid for a language we cannot write in.
    """
    if language not in languages():
        known = ", ".join(languages())
        raise Invalid(f"Documents are written in these languages: {known}.", param="language")
    original = paper(tx, ports, document)
    if locale_of(original.language).language == language:
        return None
    kind, said, _ = _said(tx, ports, document, _kept(original), language)
    # The electronic form stays with the original, so that a program books it once.
    copy = replace(said, electronic=None, copy_of=CopyOf(original.language, original.sha256))
    return draw_invoice(kind, copy, language).pdf


def xml(tx: Tx, ports: Ports, document: Invoice | CreditNote, syntax: Syntax) -> bytes:
    """The electronic form: CII as it lies in the kept PDF, or the same facts as UBL. Raises NoElectronicForm."""
    original = paper(tx, ports, document)
    if original.xml is not None and syntax is Syntax.CII:
        return original.xml
    kind, said, locale = _said(tx, ports, document, _kept(original))
    return electronic.file_of(kind, said, syntax, locale)


@jobs.job(drawing.DRAW, retry=jobs.Retry(attempts=5, first=60))
def draw(ports: Ports, legal_entity_id: str, series: str, first: int, last: int) -> None:
    """Draw what is not drawn yet of the numbers `first` to `last` of a series, of invoices or credit notes.

    One that cannot be drawn stops no other. Raises NotDrawn for it in the end.
    """
    failed = 0
    for kind in (Invoice, CreditNote):
        with ports.db.transaction() as tx:
            found = issued.undrawn(tx, kind, series=(legal_entity_id, series), numbers=(first, last),
                                   limit=last - first + 1)  # fmt: skip
        failed += _draw_each(ports, kind, found)
    if failed:
        raise NotDrawn(f"{failed} documents of {series} from {first} to {last}")


@jobs.job("documents.catch_up", every="41 * * * *", retry=jobs.Retry(attempts=1))
def catch_up(ports: Ports) -> None:
    """Draw whatever has no paper: documents from before papers were kept, and those whose job gave up."""
    failed = 0
    for kind in (Invoice, CreditNote):
        last = ""
        while True:
            with ports.db.transaction() as tx:
                found = issued.undrawn(tx, kind, after=last, limit=_AT_ONCE)
            if not found:
                break
            failed += _draw_each(ports, kind, found)
            last = found[-1]
    if failed:
        raise NotDrawn(f"{failed} documents have no paper")


def _draw_each(ports: Ports, kind: type[Invoice] | type[CreditNote], ids: list[str]) -> int:
    """How many of them could not be drawn."""
    failed = 0
    for each in ids:
        try:
            with ports.db.transaction() as tx:
                document: Invoice | CreditNote = (
                    tx.get_one(Invoice, each) if kind is Invoice else tx.get_one(CreditNote, each)
                )
                paper(tx, ports, document)
        except Exception:
            log.exception("documents.not_drawn", document=each)
            failed += 1
    return failed


@dataclass(frozen=True, slots=True)
class Verified:
    """How many papers were checked, what has drifted, and how many final documents have no paper yet."""

    checked: int
    drifts: tuple[Drift, ...]
    missing: int


def verify(ports: Ports, progress: Callable[[int, int], None]) -> Verified:
    """Compute every hash of every paper again. `progress` is told how many of how many are checked."""
    with ports.db.transaction() as tx:
        total, missing = issued.count(tx), issued.count_undrawn(tx)
    checked, drifts = 0, list[Drift]()
    for part, found in _in_parts(ports):
        checked += part
        drifts += found
        progress(checked, max(total, checked))
    return Verified(checked, tuple(drifts), missing)


def _in_parts(ports: Ports) -> Iterator[tuple[int, list[Drift]]]:
    last = ""
    while True:
        with ports.db.transaction() as tx:
            part = issued.after(tx, last, _AT_ONCE)
            found = issued.drifted(tx, part)
        if not part:
            return
        last = part[-1].id
        yield len(part), found
