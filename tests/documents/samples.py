"""Documents that are valid by default; a test says only what matters to it."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from app.core.money import Money, total
from app.documents.receipt_shapes import PaidInvoice, ReceiptDocument
from app.documents.shapes import (
    CertificateDocument,
    InvoiceDocument,
    InvoiceLineView,
    Party,
    PaymentMethod,
    PaymentView,
    QuoteDocument,
    QuoteLineView,
    ReverseCharge,
    Span,
    TaxGroupView,
    TaxId,
)
from app.documents.statement_shapes import OpenRow, StatementDocument, StatementRow

SELLER = Party(
    name="Lindenhof Software Ltd.",
    address=("4 Ely Place", "Dublin 2, D02 FR58", "Ireland"),
    country="IE",
    tax_ids=(TaxId("eu_vat", "IE 6388047V"),),
    email="billing@lindenhof.example",
)
FOOTER = (
    "Lindenhof Software Ltd., 4 Ely Place, Dublin 2, D02 FR58, Ireland",
    "Registered in Ireland no. 588470 · Directors: A. Byrne, C. Okafor · lindenhof.example",
)
BUYER = Party(
    name="Hafenwerk Logistik GmbH",
    address=("Am Sandtorkai 37", "20457 Hamburg", "Germany"),
    country="DE",
    tax_ids=(TaxId("eu_vat", "DE 811907980"),),
    contact="Accounts payable",
)
YEAR = Span(date(2026, 11, 22), date(2027, 11, 22))


def line(net: str = "1200.00", currency: str = "EUR", **changes: Any) -> InvoiceLineView:
    """Ten seats for a year."""
    amount = Money.from_major(net, currency)
    defaults = InvoiceLineView(
        description="Enterprise, self-managed",
        quantity=Decimal(10),
        net=amount,
        unit_price=amount.allocate([1] * 10)[0],
        tax_rates=(Decimal(0),),
        period=YEAR,
    )
    return replace(defaults, **changes)


def invoice(**changes: Any) -> InvoiceDocument:
    """A paid invoice from Ireland to Germany under reverse charge; sums follow from `lines` and `tax_groups`."""
    lines = changes.setdefault("lines", (line(),))
    currency = lines[0].net.currency
    subtotal = total([one.net for one in lines], currency)
    groups = changes.setdefault(
        "tax_groups", (TaxGroupView("Germany", "VAT", Decimal(0), subtotal, Money.zero(currency)),)
    )
    tax = total([group.amount for group in groups], currency)
    due = subtotal + tax
    payments = changes.setdefault("payments", (PaymentView(date(2026, 11, 22), due, PaymentMethod.CARD, "4242"),))
    paid = total([payment.amount for payment in payments], currency)
    settled = changes.get("credits") is not None
    defaults: dict[str, Any] = {
        "number": "INV-2026-00042",
        "issued_on": date(2026, 11, 22),
        "seller": SELLER,
        "buyer": BUYER,
        "subtotal": subtotal,
        "tax_total": tax,
        "total": due,
        "amount_due": Money.zero(currency) if settled else due - paid,
        "legal_footer": FOOTER,
        "supply": YEAR,
        "po_number": "PO-4500019284",
        "order_number": "ord_01kafz7q8n",
        "reverse_charge": ReverseCharge("IE 6388047V", "DE 811907980"),
    }
    return InvoiceDocument(**(defaults | changes))


def certificate(**changes: Any) -> CertificateDocument:
    defaults: dict[str, Any] = {
        "number": "ACC-2026-00017",
        "accepted_at": datetime(2026, 11, 22, 4, 47, 41, tzinfo=UTC),
        "vendor": SELLER,
        "terms_id": "trm_subscription",
        "terms_title": "Subscription agreement",
        "terms_version": "3.2",
        "terms_sha256": "5f3a9c" + "0b" * 29,
        "order_number": "ord_01kafz7q8n",
        "order_sha256": "c41d07" + "e8" * 29,
        "person_name": "Miriam Öztürk",
        "person_email": "m.oeztuerk@hafenwerk.example",
        "company": "Hafenwerk Logistik GmbH",
        "authority": "I may bind this company to an agreement.",
        "ip": "2001:db8:4c::17",
        "user_agent": "Mozilla/5.0 (X11; Linux x86_64; rv:142.0) Gecko/20100101 Firefox/142.0",
        "kid": "certificates-2026-1",
        "signature": "Zm9vYmFyYmF6" * 7 + "Zg==",
        "signed_text": '{"acceptance":"acn_01kafz","terms":"trm_subscription"}',
        "verify_url": "https://licenses.lindenhof.example/verify",
        "keys_url": "https://licenses.lindenhof.example/v1/licenses/keys",
        "legal_footer": FOOTER,
    }
    return CertificateDocument(**(defaults | changes))


def quote_line(quantity: int = 100, unit: str = "110.00", off: str = "1100.00", **changes: Any) -> QuoteLineView:
    """A hundred seats for a year at ten percent off."""
    price, discount = Money.from_major(unit, "EUR"), Money.from_major(off, "EUR")
    defaults = QuoteLineView(
        description="Enterprise, self-managed",
        quantity=Decimal(quantity),
        unit_price=price,
        net=price.times(quantity) - discount,
        discount=discount or None,
        discount_percent=Decimal(10),
        tax_rates=(Decimal(19),),
    )
    return replace(defaults, **changes)


def quote(**changes: Any) -> QuoteDocument:
    """An open quote to Germany with domestic tax; sums follow from `lines`."""
    lines = changes.setdefault("lines", (quote_line(),))
    net = total([each.net for each in lines], "EUR")
    tax = Money(net.minor * 19 // 100, "EUR")
    defaults: dict[str, Any] = {
        "number": "Q-2026-00017-r2", "issued_on": date(2026, 11, 22), "valid_until": date(2026, 12, 22),
        "seller": SELLER, "buyer": BUYER, "lines": lines, "subtotal": net, "tax_total": tax, "total": net + tax,
        "tax_groups": (TaxGroupView("DE", "VAT", Decimal(19), net, tax),), "months": 12,
        "accept_url": "https://billing.lindenhof.example/q/t0k3n", "needs_signature": False,
        "terms_title": "Terms of sale", "terms_version": "3", "legal_footer": FOOTER,
    }  # fmt: skip
    return QuoteDocument(**(defaults | changes))


def statement(**changes: Any) -> StatementDocument:
    """A statement over a year with one of each kind of row; an open invoice is overdue."""
    rows = (
        StatementRow(date(2026, 2, 1), "invoice", "LH-000041", "PO-4711", Money(132_000, "EUR"), Money(0, "EUR"),
                     Money(132_000, "EUR")),
        StatementRow(date(2026, 2, 20), "payment", "", "SEPA-77", Money(-60_000, "EUR"), Money(0, "EUR"),
                     Money(72_000, "EUR")),
        StatementRow(date(2026, 3, 1), "credit_note", "LH-CN-000002", "LH-000041", Money(-2_000, "EUR"),
                     Money(0, "EUR"), Money(70_000, "EUR")),
        StatementRow(date(2026, 3, 2), "moved", "LH-000041", "", Money(0, "EUR"), Money(5_000, "EUR"),
                     Money(70_000, "EUR")),
        StatementRow(date(2026, 3, 9), "refund", "LH-000030", "Visa •••• 4242", Money(1_000, "EUR"), Money(0, "EUR"),
                     Money(71_000, "EUR")),
    )  # fmt: skip
    defaults: dict[str, Any] = {
        "first": date(2026, 1, 1), "last": date(2026, 12, 31), "seller": SELLER, "buyer": BUYER,
        "opening": Money(0, "EUR"), "closing": Money(71_000, "EUR"), "owed": Money(72_000, "EUR"),
        "credit": Money(1_000, "EUR"), "returning": Money(0, "EUR"), "rows": rows,
        "open_rows": (OpenRow("LH-000041", date(2026, 3, 3), Money(72_000, "EUR"), 303),), "legal_footer": FOOTER,
        "message": "IBAN DE02 1203 0000 0000 2020 51",
    }  # fmt: skip
    return StatementDocument(**(defaults | changes))


def receipt(**changes: Any) -> ReceiptDocument:
    """A transfer that paid an invoice in full, another in part, and left some credit."""
    paid = (
        PaidInvoice("LH-000041", date(2026, 11, 1), Money(132_000, "EUR"), Money(132_000, "EUR")),
        PaidInvoice("LH-000042", date(2026, 11, 8), Money(99_900, "EUR"), Money(50_000, "EUR")),
    )
    defaults: dict[str, Any] = {
        "number": "pay_01ka8qj6x0c5q4m3t2r1p0n9mk", "seller": SELLER, "buyer": BUYER, "invoices": paid,
        "payment": PaymentView(date(2026, 11, 22), Money(183_000, "EUR"), PaymentMethod.WIRE, reference="SEPA-77"),
        "credited": Money(1_000, "EUR"), "legal_footer": FOOTER,
    }  # fmt: skip
    return ReceiptDocument(**(defaults | changes))
