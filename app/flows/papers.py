"""Documents from rows: what an invoice and a certificate of acceptance say, for whoever draws them.

Only frozen snapshots are read, so a document drawn again in ten years says the same (R-INV-1).
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from app.accounts.models import LegalEntity
from app.agreements import service as agreements
from app.agreements.models import Acceptance, TermsVersion
from app.catalog import export_classes as catalog_exports
from app.core.clock import local_date
from app.core.db import Tx
from app.core.i18n import Translator, format_amount, format_money, format_number, translate, written_in
from app.core.money import Money, total
from app.documents import countries
from app.documents.shapes import (
    CertificateDocument,
    ExportClassView,
    InvoiceDocument,
    InvoiceLineView,
    Party,
    PaymentMethod,
    PaymentView,
    PrecedingInvoice,
    ReverseCharge,
    Span,
    TaxGroupView,
    TaxId,
    TaxInStateCurrency,
)
from app.flows import electronic, paying_invoices
from app.flows.ports import Ports
from app.invoices import credit_notes
from app.invoices import service as invoices
from app.invoices.models import (
    CreditNote,
    CreditNoteLine,
    CreditNoteTax,
    CreditReason,
    Invoice,
    InvoiceLine,
    InvoiceTax,
)
from app.orders.models import Order
from app.payments import credit
from app.payments.models import Payment
from app.subscriptions.proration import Share
from app.subscriptions.replay import Replayed
from app.tax import service as tax
from app.tax.dataset import load
from app.tax.determination import Determination, Treatment

# Where the city stands before the region and the postcode on one line (Universal Postal Union, S42).
_CITY_FIRST: Final = frozenset("AU CA NZ US PR SG IN TW TH ID KR HK PH".split())
_POSTCODE_LAST: Final = frozenset("GB IE MT JP".split())


Paper = Invoice | CreditNote


def locale_of(invoice: Paper) -> str:
    """The language the buyer bought in."""
    return str(invoice.buyer.get("locale") or "en")


def invoice_document(
    tx: Tx, ports: Ports, invoice: Invoice, there: TaxInStateCurrency | None = None, *, locale: str = ""
) -> InvoiceDocument:  # fmt: skip
    """What the invoice said when it was issued, ready for `render_pdf` (ADR 0049). Raises ValueError for a draft.

    `there` is its tax in the currency of the state that gets it; `locale` that of the reader, left out the buyer's.
    """
    locale = str(written_in(locale or locale_of(invoice)))
    if invoice.number is None or invoice.issued_on is None:
        raise ValueError(f"{invoice.id} is a draft")
    currency, found = invoice.currency, tax.stored(tx, invoice.tax_determination_id)
    groups = invoices.taxes(tx, invoice.id)
    paid = _payments(tx, invoice)
    owed = _owed(invoice, paid)
    shifted = _reverse_charge(invoice, found)
    order = tx.get_one(Order, invoice.order_id)
    lines, numbers = invoices.lines(tx, invoice.id), seller_tax_ids(invoice.seller, found)
    document = InvoiceDocument(
        number=invoice.number, issued_on=invoice.issued_on, due_on=invoice.due_on,
        seller=party(invoice.seller, numbers, locale),
        buyer=buyer_party(invoice, locale),
        lines=_lines(lines, found, currency, locale),
        tax_groups=tuple(group_view(group, currency) for group in groups), subtotal=Money(invoice.net_minor, currency),
        tax_total=Money(invoice.tax_minor, currency), total=Money(invoice.total_minor, currency), amount_due=owed,
        legal_footer=footer(invoice.seller, locale), supply=Span(invoice.supply_from, invoice.supply_to),
        po_number=invoice.po_number or None, order_number=order.id, payments=paid, reverse_charge=shifted,
        # The note of the determination says in one sentence what the block says in three facts: one of them.
        tax_notes=tuple(note for note in invoice.notes if shifted is None or note != found.note),
        message=str(invoice.seller.get("payment_details") or "") or None if owed else None,
        pay_url=ports.link(paying_invoices.link(ports, invoice.id)) if owed else None,
        is_tax_invoice=_is_tax_invoice([group.jurisdiction for group in groups], numbers),
        export_classes=export_classes(
            tx, [(line.sku, line.description) for line in lines], on=invoice.issued_on,
            known_at=invoice.finalized_at or invoice.created_at,
        ),
        tax_in_state_currency=there, replaces=_replaced(tx, invoice), test_mode=invoice.test,
    )  # fmt: skip
    return electronic.with_facts(document, _parties(invoice), found, treatments(lines, found))


def credit_note_document(
    tx: Tx, note: CreditNote, there: TaxInStateCurrency | None = None, *, locale: str = ""
) -> InvoiceDocument:  # fmt: skip
    """What the credit note says, ready for `render_pdf`; `there` and `locale` as of an invoice."""
    locale = str(written_in(locale or locale_of(note)))
    currency, found = note.currency, tax.stored(tx, note.tax_determination_id)
    invoice = tx.get_one(Invoice, note.invoice_id)
    if invoice.number is None or invoice.issued_on is None:
        raise ValueError(f"{note.id} credits a draft")
    groups = credit_notes.taxes(tx, note.id)
    shifted = _reverse_charge(note, found)
    charged = {line.id: line for line in invoices.lines(tx, invoice.id)}
    kinds = dict(zip(charged, treatments(list(charged.values()), found), strict=True))
    credited = credit_notes.lines(tx, note.id)
    document = InvoiceDocument(
        number=note.number, issued_on=note.issued_on,
        seller=party(note.seller, seller_tax_ids(note.seller, found), locale), buyer=buyer_party(note, locale),
        lines=tuple(
            _credited_line(line, charged[line.invoice_line_id], found, currency)
            for line in credited
        ),
        tax_groups=tuple(group_view(group, currency) for group in groups), subtotal=Money(note.net_minor, currency),
        tax_total=Money(note.tax_minor, currency), total=Money(note.total_minor, currency),
        amount_due=Money.zero(currency), legal_footer=footer(note.seller, locale),
        supply=Span(note.supply_from, note.supply_to), po_number=note.po_number or None, reverse_charge=shifted,
        credits=PrecedingInvoice(invoice.number, invoice.issued_on, _why(note, translate(locale))),
        tax_notes=tuple(each for each in note.notes if shifted is None or each != found.note),
        message=_whereto(note, locale), tax_in_state_currency=there, test_mode=note.test,
    )  # fmt: skip
    kinds_of = [kinds[line.invoice_line_id] for line in credited]
    return electronic.with_facts(document, _parties(note), found, kinds_of)


def _replaced(tx: Tx, invoice: Invoice) -> PrecedingInvoice | None:
    if invoice.replaces is None:
        return None
    before = tx.get_one(Invoice, invoice.replaces)
    if before.number is None or before.issued_on is None:
        raise ValueError(f"{invoice.id} replaces a draft")
    return PrecedingInvoice(before.number, before.issued_on)


def _parties(paper: Paper) -> electronic.Parties:
    return electronic.Parties(paper.seller, paper.buyer, paper.legal_entity_id)


def treatments(lines: Sequence[InvoiceLine], found: Determination) -> list[Treatment]:
    """How each line of an invoice was taxed; the headline for all where the lines are no longer those asked about."""
    if len(found.lines) == len(lines):
        return [each.treatment for each in found.lines]
    return [found.treatment] * len(lines)


def _credited_line(
    line: CreditNoteLine, charged: InvoiceLine, found: Determination, currency: str
) -> InvoiceLineView:  # fmt: skip
    by_days = line.rule != "amount" and line.numerator != line.denominator
    return InvoiceLineView(
        description=line.description, quantity=Decimal(charged.quantity), net=Money(line.net_minor, currency),
        tax_rates=rates(found) if charged.tax_minor else (), period=Span(line.period_from, line.period_to),
        days=(line.numerator, line.denominator) if by_days else None,
    )  # fmt: skip


def export_classes(
    tx: Tx, lines: Sequence[tuple[str, str]], *, on: date, known_at: datetime
) -> tuple[ExportClassView, ...]:  # fmt: skip
    """What (sku, description) of each line is classified as, as of when the document was made: once per class."""
    found = catalog_exports.of_skus(tx, [sku for sku, _ in lines], on=on, known_at=known_at)
    grouped: dict[tuple[str, str, str], dict[str, None]] = {}
    for sku, description in lines:
        if (row := found.get(sku)) is not None:
            grouped.setdefault((row.eccn, row.authorisation, row.ccats), {})[description] = None
    return tuple(
        ExportClassView(tuple(what), eccn, authorisation, ccats or None)
        for (eccn, authorisation, ccats), what in grouped.items()
    )


def _why(note: CreditNote, _: Translator) -> str:
    """The reason in the reader's language."""
    words = {
        CreditReason.PLAN_CHANGE: _("Change of plan"),
        CreditReason.CANCELLATION: _("Cancellation"),
        CreditReason.CORRECTION: _("Correction of the invoice"),
        CreditReason.GOODWILL: _("Goodwill"),
        CreditReason.DISPUTE: _("Disputed payment"),
    }
    return words[note.reason]


def _whereto(note: CreditNote, locale: str) -> str:
    """A sentence for every way the money takes."""
    _ = translate(locale)
    ways = (
        (note.to_refund_minor, _("We send %(amount)s back to the means of payment you used.")),
        (note.to_balance_minor, _("We keep %(amount)s as your credit for later invoices.")),
        (note.to_invoice_minor, _("We take %(amount)s off what the invoice still asks for.")),
    )
    return "\n".join(
        sentence % {"amount": format_money(Money(minor, note.currency), locale)} for minor, sentence in ways if minor
    )


def _owed(invoice: Invoice, paid: Sequence[PaymentView]) -> Money:
    return Money(invoice.total_minor, invoice.currency) - total([each.amount for each in paid], invoice.currency)


def _payments(tx: Tx, invoice: Invoice) -> tuple[PaymentView, ...]:
    """What had paid this invoice when it was issued, in the seller's days: what comes later has papers of its own."""
    zone = tx.get_one(LegalEntity, invoice.legal_entity_id).time_zone
    issued_at = invoice.finalized_at or invoice.created_at
    views = [
        _payment(tx.get_one(Payment, part.payment_id), Money(part.amount_minor, invoice.currency), zone)
        for part in invoices.payments(tx, invoice.id)
        if part.allocated_at <= issued_at
    ]
    spent = credit.entry_of(tx, f"invoice:{invoice.id}")
    if spent is not None and spent.recorded_at <= issued_at:
        day = local_date(spent.recorded_at, zone)
        views.append(PaymentView(day, Money(-spent.amount_minor, spent.currency), PaymentMethod.CREDIT))
    return tuple(views)


def _payment(payment: Payment, amount: Money, time_zone: str) -> PaymentView:
    last4 = payment.method_label[-4:]
    return PaymentView(
        paid_on=local_date(payment.received_at, time_zone), amount=amount,
        method=PaymentMethod(payment.method.value), card_last4=last4 if last4.isdigit() else None,
    )  # fmt: skip


def _lines(
    lines: Sequence[InvoiceLine], found: Determination, currency: str, locale: str
) -> tuple[InvoiceLineView, ...]:  # fmt: skip
    taxed = {Treatment.STANDARD, Treatment.REDUCED}
    views = []
    for line, treatment in zip(lines, treatments(lines, found), strict=True):
        made = Replayed.of(line, currency, Share(line.numerator, line.denominator, line.rule), line.quantity_before)
        views.append(InvoiceLineView(
            description=line.description, quantity=Decimal(line.quantity), net=Money(line.net_minor, currency),
            unit_price=Money(line.unit_minor, currency) if made.plain else None,
            tax_rates=rates(found) if treatment in taxed else (), period=Span(line.period_from, line.period_to),
            detail=None if made.plain else made.equation(
                lambda amount: format_amount(amount, locale), lambda count: format_number(count, locale)
            ),
            discount=Money(line.discount_minor, currency) if line.discount_minor else None,
        ))  # fmt: skip
    return tuple(views)


def rates(found: Determination) -> tuple[Decimal, ...]:
    return tuple(part.rate for part in found.components)


def group_view(group: InvoiceTax | CreditNoteTax, currency: str) -> TaxGroupView:
    return TaxGroupView(
        jurisdiction=group.jurisdiction, name=group.name, rate=group.rate.normalize(),
        taxable=Money(group.taxable_minor, currency), amount=Money(group.tax_minor, currency),
    )  # fmt: skip


def _reverse_charge(invoice: Paper, found: Determination) -> ReverseCharge | None:
    """The block of Art. 226(11a), inside the Union and with the buyer's number known; elsewhere the note says it."""
    if found.treatment is not Treatment.REVERSE_CHARGE or found.jurisdiction not in load().places.members:
        return None
    buyer = next((each["value"] for each in invoice.buyer["tax_ids"] if each["status"] == "valid"), None)
    seller = next((each.value for each in seller_tax_ids(invoice.seller, found)), None)
    return ReverseCharge(seller_tax_id=seller, buyer_tax_id=buyer) if buyer else None


def _is_tax_invoice(places: Sequence[str], numbers: Sequence[TaxId]) -> bool:
    """Whether the law of a place that taxes it wants those words, and the seller's number is there to bear them out."""
    known = {each.type for each in numbers}
    rules = (countries.load().rule(place) for place in places)
    return any(rule is not None and rule.is_tax_invoice and rule.seller in known for rule in rules)


def seller_tax_ids(seller: Mapping[str, Any], found: Determination) -> tuple[TaxId, ...]:
    """The seller's numbers that this supply was made under (Art. 226(3)).

    A one-stop-shop number stands for VAT charged to consumers across the Union and never beside a reverse charge,
    for which any VAT number of the Union will do.
    """
    members = load().places.members.keys()
    places = {found.jurisdiction, *(part.jurisdiction for part in found.components)}
    where = places | {place.partition("-")[0] for place in places}
    where |= {each for place in where if place in load().world for each in load().world[place].registered_in}
    if where & members:
        where |= members if found.treatment is Treatment.REVERSE_CHARGE else {"EU"}
    registered: Sequence[Mapping[str, str]] = seller.get("registrations", ())
    mine = [each for each in registered if each["jurisdiction"] in where and each.get("number")]
    mine.sort(key=lambda each: each["jurisdiction"] == "EU")
    return tuple(TaxId(countries.load().seller_id(each["jurisdiction"]), each["number"]) for each in mine)


def buyer_party(invoice: Paper, locale: str) -> Party:
    """Who is billed, from the frozen copy: the company, for the attention of the person."""
    buyer = invoice.buyer
    ids = tuple(TaxId(each["type"], each["value"]) for each in buyer["tax_ids"] if each["status"] != "invalid")
    company = str(buyer.get("company") or "")
    named = {**buyer, "name": company or buyer["name"]}
    return party(named, ids, locale, contact=buyer["name"] if company else None)


def party(snapshot: Mapping[str, Any], tax_ids: tuple[TaxId, ...], locale: str, *, contact: str | None = None) -> Party:
    return Party(
        name=snapshot["name"], address=address_lines(snapshot, locale), country=snapshot["country"], tax_ids=tax_ids,
        contact=contact, email=snapshot.get("email") or None,
    )  # fmt: skip


def address_lines(snapshot: Mapping[str, Any], locale: str) -> tuple[str, ...]:
    """Street, place and country as they are written on a letter there; `snapshot` has line1 … country."""
    city, region, postcode = (str(snapshot.get(name) or "").strip() for name in ("city", "region", "postcode"))
    country = str(snapshot["country"])
    if country in _CITY_FIRST:
        place = [" ".join(part for part in (f"{city}," if region and city else city, region, postcode) if part)]
    elif country in _POSTCODE_LAST:
        place = [" ".join(part for part in (city, region) if part), postcode]
    else:
        place = [" ".join(part for part in (postcode, city) if part), region]
    name = str(written_in(locale).territories.get(country, country))
    lines = [str(snapshot.get("line1") or ""), str(snapshot.get("line2") or ""), *place, name]
    return tuple(line for line in lines if line.strip())


def footer(seller: Mapping[str, Any], locale: str) -> tuple[str, ...]:
    place = ", ".join(address_lines(seller, locale))
    return (f"{seller['name']} · {place}", str(seller["email"]))


def acceptance_certificate(tx: Tx, ports: Ports, acceptance: Acceptance, locale: str) -> CertificateDocument:
    """The evidence of R-ACC-1 as a certificate that verifies offline with the published keys."""
    terms = tx.get_one(TermsVersion, acceptance.terms_id)
    order = tx.get_one(Order, acceptance.order_id)
    entity = tx.get_one(LegalEntity, order.legal_entity_id)
    vendor = {
        name: getattr(entity, name) for name in ("name", "line1", "line2", "city", "region", "postcode", "country")
    }
    vendor["email"] = entity.email
    return CertificateDocument(
        number=acceptance.id, accepted_at=acceptance.accepted_at, vendor=party(vendor, (), locale),
        terms_id=acceptance.terms_id, terms_title=terms.title, terms_version=acceptance.terms_version,
        terms_sha256=acceptance.terms_sha256, order_number=order.id, order_sha256=acceptance.snapshot_sha256,
        person_name=acceptance.person_name, person_email=acceptance.person_email, company=acceptance.company,
        authority=acceptance.authority_statement, ip=acceptance.ip, user_agent=acceptance.user_agent,
        kid=acceptance.kid, signature=acceptance.signature, signed_text=agreements.statement(acceptance).decode(),
        verify_url=ports.link("/verify"), keys_url=ports.link("/v1/licenses/keys"), legal_footer=footer(vendor, locale),
        test_mode=order.test,
    )  # fmt: skip
