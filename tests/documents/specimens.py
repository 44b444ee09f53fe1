"""Every kind of document in every way it comes, as pictures for whoever changes a template, and for tests.

`python -m tests.documents.specimens FOLDER LANGUAGE` writes `invoice-1.png` and so on.
"""

import json
import sys
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from app.core.i18n import locale_of, written_in
from app.core.money import Money, total
from app.documents.certificate_sheet import certificate_sheet
from app.documents.invoice_sheet import invoice_sheet
from app.documents.legible import Substitution
from app.documents.press import press
from app.documents.quote_sheet import quote_sheet
from app.documents.receipt_sheet import receipt_sheet
from app.documents.render_pdf import Document
from app.documents.shapes import (
    BankAccount,
    CertificateDocument,
    CopyOf,
    DocumentKind,
    InvoiceDocument,
    Party,
    PaymentMethod,
    PaymentView,
    PrecedingInvoice,
    QuoteDocument,
    TaxGroupView,
    TaxId,
    TaxInStateCurrency,
    YearDue,
)
from app.documents.statement_shapes import StatementDocument
from app.documents.statement_sheet import statement_sheet
from tests.documents.electronic_samples import credited, shifted, standard
from tests.documents.samples import (
    BUYER,
    SELLER,
    certificate,
    invoice,
    line,
    quote,
    quote_line,
    receipt,
    statement,
)

Specimens = dict[str, tuple[DocumentKind, Document]]

# What a vendor and a customer write themselves is in the language they chose; nothing of it is ours to translate.
_VENDORS_OWN: Final = {
    "en": ("Terms of sale", "I may bind this company to an agreement.", "Thank you for the call on Monday."),
    "de": ("Verkaufsbedingungen", "Ich darf dieses Unternehmen binden.", "Danke für das Gespräch am Montag."),
}
FOOTER: Final = ("Lindenhof Software Ltd. · 4 Ely Place, Dublin 2, D02 FR58", "billing@lindenhof.example")


def _in(country: str, party: Party, language: str) -> Party:
    """With the country as a reader of the language calls it."""
    name = str(locale_of(language).territories[country])
    return replace(party, address=(*party.address[:2], name), country=country, contact=None)


def _invoices(language: str) -> dict[str, InvoiceDocument]:
    lindenhof, hafenwerk = _in("IE", SELLER, language), _in("DE", BUYER, language)
    mine = replace(lindenhof, tax_ids=(TaxId("eu_vat", "DE 811569869"),))
    seen: dict[str, Any] = {"seller": lindenhof, "buyer": hafenwerk, "legal_footer": FOOTER}
    home: dict[str, Any] = seen | {"seller": mine}
    bank = BankAccount("Lindenhof Software Ltd.", "INV-2026-00042", iban="IE64IRCE92050112345678", bic="IRCEIE2D")
    owed: dict[str, Any] = {"payments": (), "due_on": date(2026, 12, 22), "bank": bank,
                            "pay_url": "https://billing.example/pay/7"}  # fmt: skip
    made = {
        "invoice": standard(**home, payments=()),
        "invoice-paid": standard(**home, po_number=None),
        "invoice-open": standard(**home, **owed),
        "invoice-shifted": shifted(**seen),
        "invoice-export": _export(language),
        "invoice-us": _american(language),
        "invoice-consumer": _consumer(language),
        "invoice-40": _many(40, **home),
        "invoice-credit": standard(**home, payments=_settled_by_credit()),
        "invoice-currencies": standard(
            **home | {"seller": replace(lindenhof, tax_ids=(TaxId("gb_vat", "GB 123 4567 89"),))},
            tax_in_state_currency=TaxInStateCurrency(Money(19_152, "GBP"), Decimal("0.84"), date(2026, 11, 20), "ECB"),
        ),
        "invoice-replacing": shifted(
            **seen, number="INV-2026-00058", replaces=PrecedingInvoice("INV-2026-00042", date(2026, 11, 22)),
        ),
        "invoice-long": _long(**home),
        "invoice-test": standard(**home, **owed, test_mode=True),
        "invoice-copy": shifted(**seen, copy_of=CopyOf("fr", "ab" * 32), electronic=None),
    }  # fmt: skip
    # One where the lines fill a page, so that the totals would stand alone on the next.
    return made | {f"invoice-{count}": _many(count, **home) for count in (13, 14, 15, 16)}


def _settled_by_credit() -> tuple[PaymentView, ...]:
    day = date(2026, 11, 22)
    return (PaymentView(day, Money(42_800, "EUR"), PaymentMethod.CREDIT),
            PaymentView(day, Money(100_000, "EUR"), PaymentMethod.CARD, "4242"))  # fmt: skip


def _export(language: str) -> InvoiceDocument:
    number = TaxId("no_vat", "NO 974 760 673 MVA")
    buyer = Party("Fjordlys Analyse AS", ("Karl Johans gate 12", "0154 Oslo"), "NO", (number,))
    note = (
        "Reverse charge: the customer accounts for Norwegian VAT (merverdiavgiftsloven s. 3-30)."
        " Customer number NO974760673MVA."
    )
    return invoice(
        seller=_in("IE", SELLER, language), buyer=_in("NO", buyer, language), legal_footer=FOOTER, reverse_charge=None,
        tax_groups=(), lines=(line(tax_rates=()),), tax_notes=(note,),
    )  # fmt: skip


def _american(language: str) -> InvoiceDocument:
    net = Money(480_000, "USD")
    rates = (
        ("US-IL", "Sales tax", "6.25", 30_000), ("US-IL-COOK", "Local sales tax", "1.75", 8_400),
        ("US-IL-CHICAGO", "Local sales tax", "1.25", 6_000), ("US-IL-WEST_SIDE", "Local sales tax", "1", 4_800),
    )  # fmt: skip
    groups = tuple(TaxGroupView(place, name, Decimal(rate), net, Money(tax, "USD")) for place, name, rate, tax in rates)
    buyer = Party(
        "Prairie Grid Cooperative", ("233 S Wacker Dr", "Chicago, IL 60606"), "US", (TaxId("us_ein", "36-1234567"),)
    )
    seller = Party("Lindenhof Software Inc.", ("530 Lytton Ave", "Palo Alto, CA 94301"), "US",
                   (TaxId("us_permit", "4123-9981"),), email="billing@lindenhof.example")  # fmt: skip
    lines = (line("4800.00", "USD", tax_rates=tuple(group.rate for group in groups)),)
    return invoice(seller=_in("US", seller, language), buyer=_in("US", buyer, language), legal_footer=FOOTER,
                   lines=lines, tax_groups=groups, reverse_charge=None, po_number=None)  # fmt: skip


def _consumer(language: str) -> InvoiceDocument:
    """119.00 EUR on the page of prices: net first, so that net and tax are what was shown (R-INV-3)."""
    buyer = Party("Miriam Öztürk", ("Lange Reihe 9", "20099 Hamburg"), "DE")
    seller = replace(SELLER, tax_ids=(TaxId("eu_oss_vat", "EU372012345"),))
    return standard(("100.00", "19"), seller=_in("IE", seller, language), buyer=_in("DE", buyer, language),
                    legal_footer=FOOTER, po_number=None, electronic=None)  # fmt: skip


def _many(count: int, **changes: Any) -> InvoiceDocument:
    lines = tuple(
        line(f"{at * 137}.50", description=f"Enterprise {at:02}", tax_rates=(Decimal(19),))
        for at in range(1, count + 1)
    )
    net = total([each.net for each in lines], "EUR")
    vat = TaxGroupView("DE", "VAT", Decimal(19), net, net.percent(Decimal(19)))
    return invoice(**({"lines": lines, "tax_groups": (vat,), "reverse_charge": None} | changes))


def _long(**changes: Any) -> InvoiceDocument:
    buyer = replace(BUYER, name="Donaudampfschifffahrtselektrizitäten" * 4, address=("Weg " * 40, "20457 Hamburg"),
                    contact="Dr. Maximiliane von und zu Hohenstein-Wallersbach-Oettingen")  # fmt: skip
    wide = line("98765432.10", description="Enterprise" * 20, detail="(10 × 120,00 + 4 × 8,00) × 3 × 200/365",
                discount=Money(120_000, "EUR"), unit_price=None)  # fmt: skip
    return invoice(**(changes | {"buyer": buyer, "lines": (wide, line()), "po_number": "PO-" + "4500019284" * 5}))


def _credit_notes(language: str) -> dict[str, InvoiceDocument]:
    said = {"en": ("Correction of the invoice", "We keep €1,428.00 as your credit for later invoices."),
            "de": ("Berichtigung der Rechnung", "1.428,00 € bleiben Ihr Guthaben für spätere Rechnungen.")}  # fmt: skip
    why, message = said[language]
    seen: dict[str, Any] = {
        "seller": replace(_in("IE", SELLER, language), tax_ids=(TaxId("eu_vat", "DE 811569869"),)),
        "buyer": _in("DE", BUYER, language), "legal_footer": FOOTER, "message": message,
        "credits": PrecedingInvoice("INV-2026-00017", date(2026, 10, 1), why),
    }  # fmt: skip
    part = line("545.75", tax_rates=(Decimal(19),), unit_price=None, days=(166, 365))
    return {
        "credit-note": credited(**seen),
        "credit-note-part": standard(("545.75", "19"), number="CN-2026-00004", payments=(), lines=(part,), **seen),
    }


def _quotes(language: str) -> dict[str, QuoteDocument]:
    terms, _, message = _VENDORS_OWN[language]
    seen: dict[str, Any] = {"seller": _in("IE", SELLER, language), "buyer": _in("DE", BUYER, language),
                            "legal_footer": FOOTER, "terms_title": terms}  # fmt: skip
    one = quote(**seen, message=message)
    years = tuple(
        YearDue(year, one.subtotal + Money(year * 10_000 - 10_000, "EUR"), one.tax_total) for year in (1, 2, 3)
    )
    return {
        "quote": one,
        "quote-3-years": quote(**seen, months=36, payments=years, net_days=30, needs_signature=True),
        "quote-many": quote(**seen, lines=tuple(quote_line(description=f"Enterprise {at}") for at in range(1, 18)),
                            net_days=30, draft=True),
    }  # fmt: skip


def _statements(language: str) -> dict[str, StatementDocument]:
    seen: dict[str, Any] = {"seller": _in("IE", SELLER, language), "buyer": _in("DE", BUYER, language),
                            "legal_footer": FOOTER}  # fmt: skip
    usual = statement(**seen)
    first = usual.rows[0]
    rows = [
        replace(first, booked_on=first.booked_on + timedelta(at), document=f"LH-{at:06}",
                balance=first.amount.times(at))
        for at in range(1, 61)
    ]  # fmt: skip
    whole = rows[-1].balance
    owed = tuple(replace(usual.open_rows[0], number=row.document, left=row.amount) for row in rows)
    long = replace(usual, rows=tuple(rows), closing=whole, owed=whole, credit=Money(0, "EUR"), open_rows=owed)
    return {"statement": usual, "statement-60": long}


def _certificate(language: str) -> CertificateDocument:
    terms, authority, _ = _VENDORS_OWN[language]
    return certificate(vendor=_in("IE", SELLER, language), terms_title=terms, authority=authority, legal_footer=FOOTER)


def specimens(language: str) -> Specimens:
    """By name: the kind, and what it is drawn from."""
    parties: dict[str, Any] = {"seller": _in("IE", SELLER, language), "buyer": _in("DE", BUYER, language)}
    made: dict[DocumentKind, dict[str, Any]] = {
        DocumentKind.INVOICE: _invoices(language),
        DocumentKind.CREDIT_NOTE: _credit_notes(language),
        DocumentKind.QUOTE: _quotes(language),
        DocumentKind.STATEMENT: _statements(language),
        DocumentKind.RECEIPT: {"receipt": receipt(**parties, legal_footer=FOOTER)},
        DocumentKind.CERTIFICATE: {"certificate": _certificate(language)},
    }
    return {name: (kind, document) for kind, named in made.items() for name, document in named.items()}


def _sheet(kind: DocumentKind, document: Document, tag: str) -> tuple[str, dict[str, Any]]:
    """The template and what it lays out."""
    match document:
        case CertificateDocument():
            return "certificate", certificate_sheet(document, tag)
        case QuoteDocument():
            return "quote", quote_sheet(document, tag)
        case StatementDocument():
            return "statement", statement_sheet(document, tag)
        case InvoiceDocument():
            return "invoice", invoice_sheet(kind, document, tag)
    return "receipt", receipt_sheet(document, tag)


def main(folder: Path, language: str) -> None:
    """Draw them all. The pictures are what the PDF shows, at 80 dots an inch."""
    folder.mkdir(parents=True, exist_ok=True)
    tag = str(written_in(language))
    for name, (kind, document) in specimens(language).items():
        template, sheet = _sheet(kind, document, tag)
        inputs = {"data": json.dumps(Substitution(()).apply(sheet)), "attachments": "[]"}
        pages = press(template, None).compiler.compile(format="png", ppi=80.0, sys_inputs=inputs)
        for at, page in enumerate(pages if isinstance(pages, list) else [pages], 1):
            (folder / f"{name}-{at}.png").write_bytes(page or b"")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
