"""Electronic invoices that are valid by default, one for each way VAT can be stated."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from decimal import Decimal
from functools import partial
from typing import Any, Final

from app.core.money import Money
from app.documents.electronic_shapes import Electronic, ElectronicParty, LineVat, VatCategory
from app.documents.shapes import (
    BankAccount,
    InvoiceDocument,
    Party,
    PrecedingInvoice,
    TaxGroupView,
    TaxInStateCurrency,
)
from tests.documents.samples import invoice, line

IRISH = ElectronicParty("IE", "4 Ely Place", "", "Dublin 2", "", "D02 FR58", "IE6388047V", None, "ent_01")
AMERICAN = ElectronicParty("US", "530 Lytton Ave", "", "Palo Alto", "CA", "94301", identifier="ent_02")
GERMAN = ElectronicParty("DE", "Am Sandtorkai 37", "", "Hamburg", "", "20457", "DE811907980")


def standard(*nets_and_rates: tuple[str, str], currency: str = "EUR", **changes: Any) -> InvoiceDocument:
    """Charged, a line for each net and rate; each rate's tax rounded once."""
    pairs = [(Money.from_major(net, currency), Decimal(rate)) for net, rate in nets_and_rates or (("1200.00", "19"),)]
    by_rate: dict[Decimal, Money] = {}
    for net, rate in pairs:
        by_rate[rate] = by_rate.get(rate, Money.zero(currency)) + net
    groups = tuple(TaxGroupView("DE", "VAT", rate, net, net.percent(rate)) for rate, net in by_rate.items())
    lines = tuple(line(str(net.major()), currency, unit_price=None, tax_rates=(rate,)) for net, rate in pairs)
    facts = Electronic(IRISH, GERMAN, tuple(LineVat(VatCategory.STANDARD, rate) for _, rate in pairs))
    given: dict[str, Any] = {"lines": lines, "tax_groups": groups, "reverse_charge": None, "electronic": facts}
    return invoice(**(given | changes))


def untaxed(category: VatCategory, reason: str, code: str = "", **changes: Any) -> InvoiceDocument:
    outside = category is VatCategory.OUTSIDE
    seller, buyer = (AMERICAN, replace(GERMAN, vat_id=None)) if outside else (IRISH, GERMAN)
    given: dict[str, Any] = {
        "tax_groups": (),
        "electronic": Electronic(seller, buyer, (LineVat(category),), reason, code),
    }
    if category is not VatCategory.REVERSE_CHARGE:
        given["reverse_charge"] = None
    return invoice(**(given | changes))


def shifted(**changes: Any) -> InvoiceDocument:
    return untaxed(VatCategory.REVERSE_CHARGE, "Reverse charge", "VATEX-EU-AE", **changes)


def outside(**changes: Any) -> InvoiceDocument:
    note = "Reverse charge, Art. 196 Directive 2006/112/EC. Customer VAT number DE811907980."
    return untaxed(VatCategory.OUTSIDE, note, "VATEX-EU-O", tax_notes=(note,), **changes)


def owed(**changes: Any) -> InvoiceDocument:
    """Open, by transfer."""
    bank = BankAccount("Lindenhof Software Ltd.", "INV-2026-00042", iban="DE89370400440532013000", bic="COBADEFFXXX")
    return standard(payments=(), due_on=date(2026, 12, 22), bank=bank, **changes)


def several() -> InvoiceDocument:
    """Two rates, a discount, a price of one, a graduated line, and the tax again in another currency."""
    lines = (
        line("1080.00", unit_price=Money(12_000, "EUR"), discount=Money(12_000, "EUR"), tax_rates=(Decimal(19),)),
        line("333.33", unit_price=None, quantity=Decimal(7), detail="5 × 50.00 + 2 × 41.67", tax_rates=(Decimal(19),)),
        line("49.99", unit_price=None, quantity=Decimal(1), discount=Money(1, "EUR"), tax_rates=(Decimal(7),)),
    )
    base = standard(("1413.33", "19"), ("49.99", "7"))
    facts = Electronic(
        IRISH, GERMAN, tuple(LineVat(VatCategory.STANDARD, Decimal(rate)) for rate in ("19", "19", "7"))
    )  # fmt: skip
    there = TaxInStateCurrency(Money(27_203_00, "HUF"), Decimal("100.00"), date(2026, 11, 20), "ECB")
    return replace(base, lines=lines, electronic=facts, tax_in_state_currency=there)


def credited(**changes: Any) -> InvoiceDocument:
    note = PrecedingInvoice("INV-2026-00017", date(2026, 10, 1), "Change of plan")
    given: dict[str, Any] = {"number": "CN-2026-00003", "credits": note, "payments": (), "due_on": None,
                             "message": "We keep €1,428.00 as your credit for later invoices."}  # fmt: skip
    return standard(**(given | changes))


def samples() -> dict[str, InvoiceDocument]:
    """By what they show; a credit note is one that names what it credits."""
    exempt = untaxed(VatCategory.EXEMPT, "Exempt: diplomatic certificate 4711.")
    zero = untaxed(VatCategory.ZERO_RATED, "")
    online = standard(payments=(), due_on=date(2026, 12, 22), pay_url="https://pay.example/x", test_mode=True)
    stop_shop = replace(IRISH, vat_id=None, tax_id="EU372012345")
    consumer = standard()
    assert consumer.electronic is not None
    consumer = replace(consumer, electronic=replace(consumer.electronic, seller=stop_shop))
    return {
        "S": standard(), "AE": shifted(), "O": outside(), "E": exempt, "Z": zero, "several": several(), "owed": owed(),
        "online": online, "one-stop shop": consumer, "yen": standard(("120000", "10"), currency="JPY"),
        "credit note": credited(),
    } | {
        f"{what} {name}": make(**given)
        for what, given in (("credit note", _crediting()), ("replacing", _replacing()))
        for name, make in _BY_CATEGORY.items()
    }  # fmt: skip


def _crediting() -> dict[str, Any]:
    before = PrecedingInvoice("INV-2026-00018", date(2026, 10, 1), "Correction of the invoice")
    return {"number": "CN-2026-00004", "payments": (), "message": "We send it back.", "credits": before}


def _replacing() -> dict[str, Any]:
    return {"number": "INV-2026-00058", "replaces": PrecedingInvoice("INV-2026-00018", date(2026, 10, 1))}


# Every category that a determination of ours leads to; K and G are for goods, of which we sell none.
_BY_CATEGORY: Final[dict[str, Callable[..., InvoiceDocument]]] = {
    VatCategory.STANDARD: standard,
    VatCategory.REVERSE_CHARGE: shifted,
    VatCategory.OUTSIDE: outside,
    VatCategory.EXEMPT: partial(untaxed, VatCategory.EXEMPT, "Exempt: resale certificate 4711."),
    VatCategory.ZERO_RATED: partial(untaxed, VatCategory.ZERO_RATED, ""),
}


def named(name: str) -> InvoiceDocument:
    """Whose buyer has this name."""
    document = standard()
    return replace(document, buyer=Party(name, document.buyer.address, "DE", document.buyer.tax_ids, name))
