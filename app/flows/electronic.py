"""Which documents have an electronic form under EN 16931, and the VAT facts it needs beyond the paper (ADR 0044).

The standard knows value added tax and nothing else. What a document owes to another tax, or says in a way the standard
has no words for, is refused with the reason and never bent into a category.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from http import HTTPStatus
from typing import Any, Final

from app.core.errors import DomainError
from app.core.money import exponent
from app.documents.electronic_shapes import Electronic, ElectronicParty, LineVat, Syntax, VatCategory
from app.documents.en16931 import MOST_DECIMALS, electronic_xml
from app.documents.shapes import DocumentKind, InvoiceDocument, TaxGroupView, TaxId
from app.tax.dataset import load
from app.tax.determination import Determination, Treatment

# What VAT is called where we know its rates; other taxes on sales (GST, JCT, sales tax) are none of the standard's.
_VAT: Final = frozenset({"VAT", "MWST", "MVA", "VSK", "KDV"})
_VAT_ID_TYPES: Final = {
    "eu_vat": "",
    "gb_vat": "GB",
    "ch_vat": "CH",
    "no_vat": "NO",
}  # with their ISO prefix (BR-CO-09)
_TAXED: Final = frozenset({Treatment.STANDARD, Treatment.REDUCED})
_EXEMPT: Final = frozenset({Treatment.CUSTOMER_EXEMPT, Treatment.PRODUCT_EXEMPT})
_NEEDS_SELLER: Final = frozenset({VatCategory.STANDARD, VatCategory.ZERO_RATED, VatCategory.EXEMPT})
_OUTSIDE: Final = "Not subject to VAT"


class NoElectronicForm(DomainError):
    """EN 16931 cannot say what the document says; the PDF is the document. `detail` gives the reason."""

    status, slug, title = (
        HTTPStatus.CONFLICT,
        "no-electronic-form",
        "This document has no electronic form under EN 16931",
    )


@dataclass(frozen=True, slots=True)
class Parties:
    """The frozen copies of seller and buyer, and the id of the legal entity that sells."""

    seller: Mapping[str, Any]
    buyer: Mapping[str, Any]
    seller_id: str


def with_facts(
    document: InvoiceDocument, parties: Parties, found: Determination, treatments: Sequence[Treatment]
) -> InvoiceDocument:
    """The document with its electronic facts, or with the reason why EN 16931 cannot express it."""
    try:
        return replace(document, electronic=electronic_facts(document, parties, found, treatments))
    except NoElectronicForm as refused:
        return replace(document, not_electronic=refused.detail)


def file_of(kind: DocumentKind, document: InvoiceDocument, syntax: Syntax, locale: str = "en") -> bytes:
    """The document as XML. Raises NoElectronicForm with the reason where there is none."""
    if document.electronic is None:
        raise NoElectronicForm(f"{document.number} is to be had as PDF only. {document.not_electronic}")
    return electronic_xml(kind, document, syntax, locale)


def may_have_one(taxes: Iterable[str]) -> bool:
    """Whether a link is worth showing, by the names of the document's taxes alone; the file itself may still refuse."""
    return all(_is_vat(name) for name in taxes)


def _has_vat(jurisdiction: str) -> bool:
    country, data = jurisdiction.partition("-")[0], load()
    return country in data.places.members or (country in data.world and _is_vat(data.world[country].tax))


def _is_vat(name: str) -> bool:
    return name in _VAT or name.startswith("VAT (")


def electronic_facts(
    document: InvoiceDocument, parties: Parties, found: Determination, treatments: Sequence[Treatment]
) -> Electronic:
    """`treatments` are those of the document's lines, in their order. Raises NoElectronicForm."""
    currency = document.total.currency
    if exponent(currency) > MOST_DECIMALS:
        raise NoElectronicForm(f"Amounts in {currency} have more decimals than the standard takes.")
    if any(line.net.minor < 0 for line in document.lines):
        raise NoElectronicForm("A line is below zero.")
    for group in document.tax_groups:
        if not _is_vat(group.name):
            raise NoElectronicForm(f"{group.name} is not a value added tax; the standard has no category for it.")
    seller = _seller(document.seller.tax_ids, parties)
    buyer = _party(parties.buyer, vat_id=_vat_id(document.buyer.tax_ids, str(parties.buyer["country"])))
    known = bool(seller.vat_id or seller.tax_id)
    lines = tuple(
        _line_vat(
            document,
            position,
            treatment,
            shift=known and buyer.vat_id is not None,
            vat=known and _has_vat(found.jurisdiction),
        )
        for position, treatment in enumerate(treatments)
    )
    categories = {vat.category for vat in lines}
    if categories & _NEEDS_SELLER and not known:
        raise NoElectronicForm("The seller had no number for VAT on it, without which no VAT can be stated (BR-S-02).")
    untaxed = categories - {VatCategory.STANDARD, VatCategory.ZERO_RATED}
    if (VatCategory.OUTSIDE in categories and len(categories) > 1) or len(untaxed) > 1:
        raise NoElectronicForm("Its lines are untaxed for different reasons, or taxed and outside of VAT at once.")
    _check_sums(document, lines)
    if VatCategory.OUTSIDE in categories:  # BR-O-02 to 04: neither party is named by a VAT number
        seller, buyer = replace(seller, vat_id=None, tax_id=None), replace(buyer, vat_id=None)
    reason, code = _reason(untaxed, found)
    return Electronic(seller=seller, buyer=buyer, lines=lines, reason=reason, reason_code=code)


def _line_vat(
    document: InvoiceDocument, position: int, treatment: Treatment, *, shift: bool, vat: bool
) -> LineVat:  # fmt: skip
    """`shift` where both parties have numbers, as a reverse charge asks (BR-AE-02).

    `vat` where the seller has one and the tax that the buyer is exempt from is VAT.

    Without a seller's number the seller stands outside of VAT: the note tells the buyer that the tax is theirs.
    """
    if treatment in _TAXED:
        return LineVat(VatCategory.STANDARD, _rate_of(document, position))
    if treatment is Treatment.ZERO_RATED:
        return LineVat(VatCategory.ZERO_RATED)
    if treatment is Treatment.REVERSE_CHARGE and shift:
        return LineVat(VatCategory.REVERSE_CHARGE)
    return LineVat(VatCategory.EXEMPT if treatment in _EXEMPT and vat else VatCategory.OUTSIDE)


def _rate_of(document: InvoiceDocument, position: int) -> Decimal:
    """The one rate on the line."""
    rates = document.lines[position].tax_rates
    if len(rates) == 1 and rates[0] > 0:
        return rates[0].normalize()
    raise NoElectronicForm("A line bears several taxes, or one at no rate; the standard knows one VAT for a line.")


def _check_sums(document: InvoiceDocument, lines: Sequence[LineVat]) -> None:
    """BR-S-08: the lines at a rate are what its tax is on. Not so where only a part of a price is taxed."""
    by_rate: dict[Decimal, int] = {}
    for line, vat in zip(document.lines, lines, strict=True):
        if vat.category is VatCategory.STANDARD:
            by_rate[vat.rate] = by_rate.get(vat.rate, 0) + line.net.minor
    if by_rate != _taxable(document.tax_groups):
        raise NoElectronicForm("The tax is not on the whole of its lines, which the standard wants it to be (BR-S-08).")
    for group in document.tax_groups:
        if abs((group.amount - group.taxable.percent(group.rate)).major()) >= 1:
            raise NoElectronicForm("The tax is not its rate of what it is on (BR-S-09).")


def _taxable(groups: Sequence[TaxGroupView]) -> dict[Decimal, int]:
    found: dict[Decimal, int] = {}
    for group in groups:
        found[group.rate.normalize()] = found.get(group.rate.normalize(), 0) + group.taxable.minor
    return found


def _reason(untaxed: set[VatCategory], found: Determination) -> tuple[str, str]:
    """Why no tax is stated, and its code on the VATEX list where the Directive is the reason."""
    if untaxed == {VatCategory.REVERSE_CHARGE}:
        return "Reverse charge", "VATEX-EU-AE" if found.jurisdiction.partition("-")[0] in load().places.members else ""
    if untaxed == {VatCategory.OUTSIDE}:
        return found.note or _OUTSIDE, "VATEX-EU-O"
    return (found.note or "Exempt", "") if untaxed else ("", "")


def _seller(tax_ids: Sequence[TaxId], parties: Parties) -> ElectronicParty:
    """A number under a one-stop shop has no country in front and goes with the other numbers (BT-32)."""
    country = next(
        (each["jurisdiction"] for each in parties.seller.get("registrations", ())
         if tax_ids and each.get("number") == tax_ids[0].value), "",
    )  # fmt: skip
    vat_id = _vat_id(tax_ids, country)
    other = next((each.value for each in tax_ids if each.type not in _VAT_ID_TYPES), None)
    return _party(parties.seller, vat_id=vat_id, tax_id=None if vat_id else other, identifier=parties.seller_id)


def _vat_id(tax_ids: Sequence[TaxId], country: str) -> str | None:
    """The first VAT number, without blanks and with the country in front, which some write and some do not."""
    for each in tax_ids:
        if each.type not in _VAT_ID_TYPES:
            continue
        compact = "".join(char for char in each.value.upper() if char.isalnum() and char.isascii())
        if compact[:2].isalpha():
            return compact
        member = load().places.members.get(country)
        prefix = _VAT_ID_TYPES[each.type] or (member.vat_prefix if member else "")
        return prefix + compact if prefix else None
    return None


def _party(
    snapshot: Mapping[str, Any], *, vat_id: str | None, tax_id: str | None = None, identifier: str | None = None
) -> ElectronicParty:
    said = {name: str(snapshot.get(name) or "").strip() for name in "line1 line2 city region postcode country".split()}
    return ElectronicParty(**said, vat_id=vat_id, tax_id=tax_id, identifier=identifier)
