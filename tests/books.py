"""Sales written straight into the books through the rooms' own services: any date, any text, any tax.

The way through preview, order and provider is walked elsewhere; here only the documents and entries matter.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final

from app.accounts import service as accounts
from app.accounts.models import Account, BuyerType, LegalEntity
from app.core.clock import local_date
from app.core.db import Tx
from app.core.ids import new_id
from app.core.money import Money
from app.invoices import service as invoices
from app.invoices.models import Invoice
from app.invoices.service import InvoiceDraft, LineDraft, TaxGroup
from app.ledger import service as ledger
from app.ledger.service import Code, Leg
from app.orders.models import Order, OrderKind, OrderState, Preview, Route
from app.payments import service as payments
from app.payments.models import Payment
from app.payments.provider import Outcome, PaymentReport, SavedMethod
from app.tax.models import TaxDetermination

YEAR: Final = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class Tax:
    jurisdiction: str
    name: str
    rate: str
    minor: int


@dataclass(frozen=True, slots=True)
class Sale:
    order: Order
    invoice: Invoice


def customer(tx: Tx, name: str, now: datetime, country: str = "US") -> Account:
    account = Account(
        id=new_id("acc"), name=name, type=BuyerType.BUSINESS, email="ap@buyer.example", line1="1 Main Street",
        city="Anytown", postcode="12345", country=country, time_zone="UTC", created_at=now,
    )  # fmt: skip
    tx.add(account)
    tx.flush()
    return account


def order(tx: Tx, account: Account, net: Money, tax: Money, now: datetime, *, treatment: str = "standard") -> Order:
    """A completed order and what it stands on."""
    entity = accounts.seller(tx)
    determination = TaxDetermination(
        id=new_id("txd"), treatment=treatment, result={}, request={}, inputs_hash="", data_version="", determined_at=now
    )
    total = net + tax
    preview = Preview(
        id=new_id("prv"), kind=OrderKind.PURCHASE, account_id=account.id, legal_entity_id=entity.id,
        currency=net.currency, inputs={}, inputs_hash="", lines=[], net_minor=net.minor, tax_minor=tax.minor,
        total_minor=total.minor, tax_determination_id=determination.id, route=Route.AUTOMATIC, reasons=[],
        created_at=now, expires_at=now + timedelta(days=1),
    )  # fmt: skip
    placed = Order(
        id=new_id("ord"), kind=OrderKind.PURCHASE, preview_id=preview.id, account_id=account.id,
        legal_entity_id=entity.id, state=OrderState.COMPLETED, route=Route.AUTOMATIC, reasons=[],
        currency=net.currency, net_minor=net.minor, tax_minor=tax.minor, total_minor=total.minor,
        tax_determination_id=determination.id, buyer_name="Pat Buyer", buyer_email="pat@buyer.example", test=True,
        created_at=now, completed_at=now,
    )  # fmt: skip
    for row in (determination, preview, placed):
        tx.add(row)
        tx.flush()
    return placed


def draft(
    tx: Tx, account: Account, net: Money, now: datetime, *, taxes: Sequence[Tax] = (), company: str | None = None,
    tax_ids: Sequence[str] = (), po_number: str = "", treatment: str = "standard",
) -> Sale:  # fmt: skip
    entity = accounts.seller(tx)
    tax = Money(sum(each.minor for each in taxes), net.currency)
    placed = order(tx, account, net, tax, now, treatment=treatment)
    start = local_date(now, account.time_zone)
    line = LineDraft(
        sku="professional", description="Professional", quantity=1, unit=net, net=net, tax=tax, period_from=start,
        period_to=start + YEAR, numerator=365, denominator=365, rule="full_period",
    )  # fmt: skip
    groups = [
        TaxGroup(each.jurisdiction, each.name, Decimal(each.rate), net, Money(each.minor, net.currency))
        for each in taxes
    ]
    buyer = {
        "company": account.name if company is None else company, "country": account.country,
        "tax_ids": [{"type": "eu_vat", "value": value, "status": "valid"} for value in tax_ids],
    }  # fmt: skip
    invoice = invoices.draft(
        tx,
        InvoiceDraft(
            account_id=account.id, legal_entity_id=entity.id, order_id=placed.id, subscription_id=None,
            series=entity.invoice_series, currency=net.currency, supply_from=start, supply_to=start + YEAR,
            seller={"name": entity.name}, buyer=buyer, notes=(), po_number=po_number,
            tax_determination_id=placed.tax_determination_id, test=True, lines=[line], taxes=groups,
        ),
        now,
    )  # fmt: skip
    return Sale(placed, invoice)


def issue(tx: Tx, sale: Sale, now: datetime) -> Invoice:
    """Number the draft and book it, as every flow does."""
    entity = tx.get_one(LegalEntity, sale.invoice.legal_entity_id)
    today = local_date(now, entity.time_zone)
    invoice = invoices.finalize(tx, sale.invoice, issued_on=today, due_on=today, now=now)
    _book(tx, invoice, today, f"invoice:{invoice.id}", "invoice", invoice_legs(tx, invoice), now)
    return invoice


def invoice_legs(tx: Tx, invoice: Invoice) -> list[Leg]:
    return [
        Leg(Code.RECEIVABLE, Money(invoice.total_minor, invoice.currency)),
        Leg(Code.DEFERRED, Money(-invoice.net_minor, invoice.currency)),
        *(
            Leg(Code.TAX, Money(-group.tax_minor, invoice.currency), group.jurisdiction)
            for group in invoices.taxes(tx, invoice.id)
        ),
    ]


def pay(tx: Tx, sale: Sale, now: datetime, *, label: str = "Visa •••• 4242") -> Payment:
    """The whole amount, by card."""
    invoice = sale.invoice
    entity = tx.get_one(LegalEntity, invoice.legal_entity_id)
    amount = Money(invoice.total_minor, invoice.currency)
    attempt = payments.intend(
        tx, order_id=sale.order.id, account_id=invoice.account_id, amount=amount, provider="sandbox", now=now
    )
    report = PaymentReport(
        ref="cs_1", attempt_id=attempt.id, outcome=Outcome.SUCCEEDED, amount=amount, charge_ref=f"ch_{attempt.id}",
        method=SavedMethod("cus_1", "pm_1", label),
    )  # fmt: skip
    payment = payments.record(tx, attempt, report, now)
    legs = [Leg(Code.CLEARING, amount, "sandbox"), Leg(Code.RECEIVABLE, -amount)]
    _book(tx, invoice, local_date(now, entity.time_zone), f"payment:{payment.id}", "payment", legs, now)
    invoices.allocate(tx, invoice, payment.id, amount, now)
    return payment


def _book(
    tx: Tx, invoice: Invoice, on: date, source: str, kind: str, legs: Sequence[Leg], now: datetime
) -> None:  # fmt: skip
    words = {"invoice": f"Invoice {invoice.number}", "payment": f"Payment of {invoice.number}"}
    ledger.book(
        tx, source=source, kind=kind, account_id=invoice.account_id, legal_entity_id=invoice.legal_entity_id,
        booked_on=on, memo=words[kind], legs=legs, now=now,
    )  # fmt: skip
