"""An invoice or credit note in the terms of EN 16931-1:2017 (BT, BG), and those in either of its two syntaxes.

The terms repeat the figures of the document and never compute tax: what does not add up the way the standard wants
(BR-CO-10 to 16, BR-S-08, BR-S-09) refuses to become a file.
"""

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

from app.core.i18n import Translator, translate
from app.core.money import Money, exponent, total
from app.documents.electronic_shapes import Electronic, ElectronicParty, LineVat, Syntax, VatCategory
from app.documents.notes import in_words
from app.documents.shapes import (
    DocumentKind,
    InconsistentDocument,
    InvoiceDocument,
    InvoiceLineView,
    Party,
    PaymentMethod,
)
from app.documents.wording import reverse_charge_sentence

Terms = dict[str, Any]

_TYPES: Final = {DocumentKind.INVOICE: "380", DocumentKind.CREDIT_NOTE: "381"}  # BT-3, UNTDID 1001
_UNIT: Final = "C62"  # BT-130, UN/ECE Recommendation 20: one
_DISCOUNT: Final = "95"  # BT-140, UNTDID 5189: discount
# BT-81, UNTDID 4461. A transfer (30) is said only with its account, as BR-61 asks.
_TRANSFER, _ONLINE, _NOT_DEFINED = "30", "68", "1"
_MEANS: Final = {
    PaymentMethod.CARD: "48", PaymentMethod.CHEQUE: "20", PaymentMethod.DIRECT_DEBIT: "49",
    PaymentMethod.CREDIT: "97", PaymentMethod.CREDIT_NOTE: "97", PaymentMethod.WIRE: _NOT_DEFINED,
}  # fmt: skip
# What XML 1.0 §2.2 cannot hold, in whatever way it is escaped.
_NOT_IN_XML: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# lxml marks what is empty as nil, which the schema does not allow; text cannot look like it, its "<" is escaped.
_NIL: Final = re.compile(rb'<ram:ApplicableHeaderTradeDelivery [^<>]*xsi:nil="true"/>')
MOST_DECIMALS: Final = 2  # BR-DEC-*


def electronic_xml(kind: DocumentKind, document: InvoiceDocument, syntax: Syntax, locale: str = "en") -> bytes:
    """The file, UTF-8, its sentences in the language of the paper; the same arguments give the same bytes.

    Tests hold it against the schemas, nothing does here.

    Raises ValueError where the document has no `electronic` facts, InconsistentDocument where its figures and those
    facts contradict each other.
    """
    import facturx  # type: ignore[import-untyped]  # the package carries no types

    make = facturx.generate_cii_xml if syntax is Syntax.CII else facturx.generate_ubl_xml
    made: bytes = make(terms(kind, document, locale), level="en16931", check_xsd=False, check_schematron=False)
    return _NIL.sub(b"<ram:ApplicableHeaderTradeDelivery/>", made)


def terms(kind: DocumentKind, document: InvoiceDocument, locale: str = "en") -> Terms:
    """The document by the numbers of EN 16931, amounts as decimal strings. Raises as `electronic_xml`."""
    facts, _ = document.electronic, translate(locale)
    if facts is None:
        raise ValueError(f"{document.number} has nothing to make an electronic invoice of")
    if (kind is DocumentKind.CREDIT_NOTE) != (document.credits is not None):
        raise InconsistentDocument(f"{document.number}: a credit note, and only a credit note, names what it credits")
    if len(facts.lines) != len(document.lines):
        raise InconsistentDocument(f"{document.number}: {len(facts.lines)} VAT facts for {len(document.lines)} lines")
    found: Terms = _clean(
        _head(kind, document, _)
        | _settlement(document, _)
        | _totals(document)
        | {
            "BG-4": _party(document.seller, facts.seller),
            "BG-7": _party(document.buyer, facts.buyer),
            "BG-23": _breakdown(document, facts, _),
            "BG-25": [
                _line(number, line, vat, _)
                for number, (line, vat) in enumerate(zip(document.lines, facts.lines, strict=True), 1)
            ],
        }
    )
    return found


def _clean(value: Any) -> Any:
    """Without the terms that say nothing, and with a mark in the place of what XML cannot carry."""
    if isinstance(value, str):
        return _NOT_IN_XML.sub("\N{REPLACEMENT CHARACTER}", value)
    if isinstance(value, dict):
        return {key: _clean(item) for key, item in value.items() if item not in (None, "", [], {})}
    if isinstance(value, list):
        return [_clean(item) for item in value]
    return value


def _head(kind: DocumentKind, document: InvoiceDocument, _: Translator) -> Terms:
    credited, supply = document.credits, document.supply
    before = credited or document.replaces
    notes = []
    if document.test_mode:
        notes = [_("TEST DOCUMENT"), _("This document was made in test mode. It is no demand for payment.")]
    notes += [credited.reason] if credited and credited.reason else []
    if shifted := document.reverse_charge:
        notes.append(f"{_('Reverse charge')}. {reverse_charge_sentence(shifted, _)}")
    notes += [in_words(note, _) for note in document.tax_notes]
    return {
        "BT-1": document.number,
        "BT-2": document.issued_on,
        "BT-3": _TYPES[kind],
        "BT-5": document.total.currency,
        "BG-1": [{"BT-22": note} for note in notes],
        "BT-13": document.po_number,
        "BT-14": document.order_number,
        "BT-73": supply.start if supply else None,
        "BT-74": supply.last if supply else None,
        "BG-3": [{"BT-25": before.number, "BT-26": before.issued_on}] if before else None,
    }


def _settlement(document: InvoiceDocument, _: Translator) -> Terms:
    """How it is or was paid; what is still owed needs a day or words (BR-CO-25)."""
    bank = document.bank
    account = bank.iban or bank.account_number if bank else None
    found: Terms = {"BT-20": document.message, "BT-83": bank.reference if bank else document.number}
    if document.credits:
        # Payable by the seller, in the ways the message tells; without one the document says only that it is credited.
        return {"BT-20": document.message or _("Credited to invoice %(number)s", number=document.credits.number)}
    if not document.amount_due:
        return found | {"BT-81": _MEANS[document.payments[-1].method] if document.payments else None}
    if document.due_on is None and not document.message:
        found["BT-20"] = _("Due on receipt")
    found["BT-9"] = document.due_on
    if bank and account:
        return found | {"BT-81": _TRANSFER, "BT-84": account, "BT-85": bank.holder, "BT-86": bank.bic}
    return found | {"BT-81": _ONLINE if document.pay_url else _NOT_DEFINED}


def _totals(document: InvoiceDocument) -> Terms:
    """BR-CO-10 to 16; a credit note asks for the whole of what it gives back, whichever way that goes."""
    paid = total([payment.amount for payment in document.payments], document.total.currency)
    there = document.tax_in_state_currency
    found: Terms = {
        "BT-106": _amount(document.subtotal),
        "BT-109": _amount(document.subtotal),
        "BT-110": _amount(document.tax_total),
        "BT-112": _amount(document.total),
        "BT-113": _amount(paid) if paid else None,
        "BT-115": _amount(document.total - paid),
    }
    if there is not None and there.amount.currency != document.total.currency:
        found |= {"BT-6": there.amount.currency, "BT-111": _amount(there.amount)}
    return found


def _amount(money: Money) -> str:
    """Raises InconsistentDocument for a currency with more decimals than BR-DEC allows."""
    if exponent(money.currency) > MOST_DECIMALS:
        raise InconsistentDocument(f"{money.currency} has more decimals than EN 16931 takes")
    return str(money.major())


def _party(shown: Party, facts: ElectronicParty) -> Terms:
    found: Terms = {
        "name": shown.name,
        "contacts": [{"name": shown.contact or "", "email": shown.email or ""}]
        if shown.contact or shown.email
        else None,
        "vat_identifier": facts.vat_id,
        "tax_identifier": facts.tax_id,
        "addr_l1": facts.line1,
        "addr_l2": facts.line2,
        "postcode": facts.postcode,
        "city": facts.city,
        "country_subdivision": facts.region,
        "country_code": facts.country,
    }
    return found | {"identifiers": {None: facts.identifier} if facts.identifier else None}


def _breakdown(document: InvoiceDocument, facts: Electronic, _: Translator) -> list[Terms]:
    """One group for each category and rate (BR-S-08), its tax as the document states it (BR-S-09)."""
    found = []
    for vat in dict.fromkeys(facts.lines):
        nets = [line.net for line, its in zip(document.lines, facts.lines, strict=True) if its == vat]
        taxable = total(nets, document.total.currency)
        group: Terms = {"BT-116": _amount(taxable), "BT-117": _amount(_tax(document, vat, taxable)),
                        "BT-118": vat.category.value, "BT-119": _rate(vat)}  # fmt: skip
        if vat.category not in {VatCategory.STANDARD, VatCategory.ZERO_RATED}:
            group |= {"BT-120": in_words(facts.reason, _), "BT-121": facts.reason_code}
        found.append(group)
    taxes = sum((Decimal(group["BT-117"]) for group in found), Decimal(0))
    if taxes != document.tax_total.major():
        raise InconsistentDocument(f"{document.number}: the groups bear {taxes}, the document {document.tax_total}")
    return found


def _tax(document: InvoiceDocument, vat: LineVat, taxable: Money) -> Money:
    """What the document charges at this rate. The rule allows less than one unit beside the product."""
    currency = document.total.currency
    if vat.category is not VatCategory.STANDARD:
        return Money.zero(currency)
    same = [group for group in document.tax_groups if group.rate == vat.rate]
    tax = total([group.amount for group in same], currency)
    if total([group.taxable for group in same], currency) != taxable:
        raise InconsistentDocument(
            f"{document.number}: the lines at {vat.rate} % make {taxable}, the tax summary does not"
        )
    if abs((tax - taxable.percent(vat.rate)).major()) >= 1:
        raise InconsistentDocument(f"{document.number}: {tax} is not {vat.rate} % of {taxable}")
    return tax


def _rate(vat: LineVat) -> str | None:
    """BR-O-05: what is not subject to VAT has no rate, not even 0."""
    return None if vat.category is VatCategory.OUTSIDE else f"{vat.rate.normalize():f}"


def _line(number: int, line: InvoiceLineView, vat: LineVat, _: Translator) -> Terms:
    """Quantity × price ÷ base quantity − discount is the net, also where no price of one led to it."""
    full = line.net + line.discount if line.discount else line.net
    price = line.unit_price
    of_one = price is not None and price.major() * line.quantity == full.major()
    found: Terms = {
        "BT-126": str(number),
        "BT-129": f"{line.quantity.normalize():f}",
        "BT-130": _UNIT,
        "BT-131": _amount(line.net),
        "BT-134": line.period.start if line.period else None,
        "BT-135": line.period.last if line.period else None,
        "BT-146": _amount(price) if price is not None and of_one else _amount(full),
        "BT-149": None if of_one else f"{line.quantity.normalize():f}",
        "BT-151": vat.category.value,
        "BT-152": _rate(vat),
        "BT-153": line.description,
        "BT-154": line.detail or _days(line.days, _),
    }
    return found | {"BG-27": _discounts(line.discount, _)}


def _days(days: tuple[int, int] | None, _: Translator) -> str:
    return _("for %(days)s of %(all)s days", days=days[0], all=days[1]) if days else ""


def _discounts(discount: Money | None, _: Translator) -> Sequence[Terms]:
    if not discount:
        return []
    return [{"amount": _amount(discount), "reason": _("Discount"), "reason_code": _DISCOUNT}]
