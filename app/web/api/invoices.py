"""Invoices: read, fetched as PDF, and paid while they are open."""

from datetime import date, datetime
from typing import Annotated, Any, Literal, Self

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select
from sqlmodel import col
from starlette.responses import Response

from app.accounts.models import ApiKey
from app.core import paging
from app.core.db import Tx as Unit
from app.core.errors import Invalid, NotFound
from app.documents.electronic_shapes import Syntax
from app.flows import explain_invoice, paying_invoices
from app.flows.electronic import NoElectronicForm
from app.flows.explain_invoice import LineTold
from app.flows.paying_invoices import CardDeclined, NoSavedCard, NothingOwed
from app.flows.state_currency import NoExchangeRate
from app.invoices import credit_notes, service
from app.invoices.models import Invoice, InvoiceState
from app.payments.errors import PaymentRefused, PaymentUnavailable
from app.web import issued
from app.web.api.access import KEYED, OfAccount, find, key_with, visible
from app.web.api.shapes import In, JsonRoute, Limit, MoneyOut, PageOut, TaxPartOut, cursor, percent
from app.web.deps import Tx, Wired
from app.web.problems import problems

router = APIRouter(
    prefix="/v1/invoices", tags=["invoices"], route_class=JsonRoute
)  # fmt: skip

Reader = Annotated[ApiKey, key_with("invoices:read")]
Payer = Annotated[ApiKey, key_with("orders:write")]
Language = Annotated[str, Query(max_length=35, description="Of a copy, such as `de`; the buyer's own otherwise.")]
_PDF: dict[int | str, dict[str, Any]] = problems(*KEYED, NotFound, Invalid, NoExchangeRate) | {
    200: {"description": "The document as PDF/A-3", "content": {"application/pdf": {}}}
}
_XML: dict[int | str, dict[str, Any]] = problems(*KEYED, NotFound, NoElectronicForm, NoExchangeRate) | {
    200: {"description": "The document under EN 16931", "content": {"application/xml": {}}}
}


class InvoiceLineOut(BaseModel):
    """`net` is the price of the quantity × `intervals` × numerator ÷ denominator by `rule`, less `discount`.

    `unit` is what is shown as the price of one; GET `/explain` tells the price model. `period_to` is exclusive.
    """

    sku: str
    description: str
    quantity: int
    unit: MoneyOut
    net: MoneyOut
    tax: MoneyOut
    period_from: date
    period_to: date
    numerator: int
    denominator: int
    rule: str
    intervals: int = 1
    discount: MoneyOut


class InvoiceOut(BaseModel):
    """A legal document: nothing of it changes but `state` and `paid_at`. Its days are the seller's.

    One that was credited in full and issued again, because a tax number was confirmed late, is named in `replaces` of
    its successor.
    """

    model_config = ConfigDict(json_schema_extra={"example": {
        "id": "inv_01ka8qj6x0c5q4m3t2r1p0n9mk", "number": "ACME-000001", "state": "paid",
        "account_id": "acc_01ka8qj6x0c5q4m3t2r1p0n9mk", "order_id": "ord_01ka8qj6x0c5q4m3t2r1p0n9mk",
        "subscription_id": "sub_01ka8qj6x0c5q4m3t2r1p0n9mk", "issued_on": "2026-11-22", "due_on": "2026-11-22",
        "supply_from": "2026-11-22", "supply_to": "2027-11-22", "lines": [], "taxes": [],
        "net": {"amount": 300000, "currency": "USD"}, "tax": {"amount": 0, "currency": "USD"},
        "total": {"amount": 300000, "currency": "USD"}, "discount": {"amount": 0, "currency": "USD"},
        "amount_due": {"amount": 0, "currency": "USD"}, "credited": {"amount": 0, "currency": "USD"},
        "notes": [], "po_number": "PO-4711", "test": True, "paid_at": "2026-11-22T09:00:00Z",
        "replaces": None,
    }})  # fmt: skip

    id: str
    number: str
    state: InvoiceState
    account_id: str
    order_id: str
    subscription_id: str | None
    issued_on: date
    due_on: date
    supply_from: date
    supply_to: date
    lines: list[InvoiceLineOut]
    taxes: list[TaxPartOut]
    net: MoneyOut
    tax: MoneyOut
    total: MoneyOut
    discount: MoneyOut
    amount_due: MoneyOut
    credited: MoneyOut
    notes: list[str]
    po_number: str
    test: bool
    paid_at: datetime | None
    replaces: str | None

    @classmethod
    def of(cls, tx: Unit, row: Invoice) -> Self:
        def money(minor: int) -> MoneyOut:
            return MoneyOut.minor(minor, row.currency)

        same = (
            "id number state account_id order_id subscription_id issued_on due_on supply_from supply_to notes po_number"
            " test paid_at replaces"
        )
        of_line = "sku description quantity period_from period_to numerator denominator rule intervals"
        lines = service.lines(tx, row.id)
        return cls(
            **{name: getattr(row, name) for name in same.split()},
            lines=[
                InvoiceLineOut(
                    **{name: getattr(line, name) for name in of_line.split()}, unit=money(line.unit_minor),
                    net=money(line.net_minor), tax=money(line.tax_minor), discount=money(line.discount_minor),
                )
                for line in lines
            ],
            taxes=[
                TaxPartOut(jurisdiction=tax.jurisdiction, name=tax.name, rate=percent(tax.rate),
                           taxable=money(tax.taxable_minor), amount=money(tax.tax_minor))
                for tax in service.taxes(tx, row.id)
            ],
            net=money(row.net_minor), tax=money(row.tax_minor), total=money(row.total_minor),
            discount=money(sum(line.discount_minor for line in lines)),
            amount_due=MoneyOut.of(service.owed(tx, row)), credited=MoneyOut.of(credit_notes.credited(tx, row)),
        )  # fmt: skip


class StepOut(BaseModel):
    """One product of a price: `count` × `each`."""

    words: str
    count: int
    each: MoneyOut
    amount: MoneyOut


class LineExplainedOut(BaseModel):
    """`steps` add up to the price of one interval; `equation` is the whole of it in figures, `sentences` in words."""

    sku: str
    description: str
    quantity: int
    model: str
    price: str
    steps: list[StepOut]
    intervals: int
    period_from: date
    period_to: date
    numerator: int
    denominator: int
    rule: str
    before_discount: MoneyOut
    discount: MoneyOut
    net: MoneyOut
    tax: MoneyOut
    equation: str
    sentences: list[str]
    replays: bool

    @classmethod
    def of(cls, line: LineTold) -> Self:
        same = "sku description quantity model price intervals numerator denominator rule equation replays"
        return cls(
            **{name: getattr(line, name) for name in same.split()}, sentences=list(line.sentences),
            steps=[
                StepOut(words=step.words, count=step.count, each=MoneyOut.of(step.each),
                        amount=MoneyOut.of(step.amount))
                for step in line.steps
            ],
            period_from=line.period.start, period_to=line.period.end, before_discount=MoneyOut.of(line.before),
            discount=MoneyOut.of(line.discount), net=MoneyOut.of(line.net), tax=MoneyOut.of(line.tax),
        )  # fmt: skip


class DiscountExplainedOut(BaseModel):
    code: str
    words: str
    given: MoneyOut
    sentence: str
    replays: bool


class TaxExplainedOut(TaxPartOut):
    sentence: str
    replays: bool


class ExplanationOut(BaseModel):
    """`replays` is true where the stored figures give every amount of the document again."""

    model_config = ConfigDict(json_schema_extra={"example": {
        "invoice": "inv_01ka8qj6x0c5q4m3t2r1p0n9mk", "number": "ACME-000001", "lines": [{"sku": "professional",
        "description": "Professional", "quantity": 25, "model": "per_seat", "price": "110.00 EUR", "steps": [],
        "intervals": 1, "period_from": "2026-11-22", "period_to": "2027-11-22", "numerator": 1, "denominator": 1,
        "rule": "whole term", "before_discount": {"amount": 275000, "currency": "EUR"}, "discount": {"amount": 0,
        "currency": "EUR"}, "net": {"amount": 275000, "currency": "EUR"}, "tax": {"amount": 0, "currency": "EUR"},
        "equation": "25 × 110.00 EUR = 2,750.00 EUR", "sentences": ["25 seats at 110.00 EUR for a year."],
        "replays": True}], "discount": None, "taxes": [], "treatment": "reverse_charge",
        "reason": "Business in Germany …", "note": "Reverse charge, Art. 196 Directive 2006/112/EC.",
        "data_version": "2026-11", "net": {"amount": 275000, "currency": "EUR"}, "tax": {"amount": 0,
        "currency": "EUR"}, "total": {"amount": 275000, "currency": "EUR"}, "sentence": "2,750.00 EUR and no tax.",
        "replays": True,
    }})  # fmt: skip

    invoice: str
    number: str
    lines: list[LineExplainedOut]
    discount: DiscountExplainedOut | None
    taxes: list[TaxExplainedOut]
    treatment: str
    reason: str
    note: str
    data_version: str
    net: MoneyOut
    tax: MoneyOut
    total: MoneyOut
    sentence: str
    replays: bool


class InvoiceList(PageOut[InvoiceOut]):
    pass


def _final(tx: Unit, invoice_id: str, key: ApiKey) -> Invoice:
    """Drafts are our own business: they exist for the length of a transaction and have no number."""
    invoice = find(tx, Invoice, "inv", invoice_id, key)
    if invoice.number is None:
        raise NotFound(f"There is no {invoice_id} here.")
    return invoice


@router.get("", responses=problems(*KEYED))
def list_invoices(
    tx: Tx, key: Reader, state: InvoiceState | None = None, account_id: OfAccount = None, limit: Limit = 20,
    starting_after: Annotated[str | None, cursor("inv")] = None,
) -> InvoiceList:  # fmt: skip
    """Newest first."""
    query = visible(select(Invoice).where(col(Invoice.number).is_not(None)), col(Invoice.account_id), key, account_id)
    if state is not None:
        query = query.where(col(Invoice.state) == state)
    found = paging.page(tx, query, col(Invoice.id), limit=limit, starting_after=starting_after)
    return InvoiceList(data=[InvoiceOut.of(tx, row) for row in found.data], has_more=found.has_more)


@router.get("/{invoice_id}", responses=problems(*KEYED, NotFound))
def get_invoice(invoice_id: str, tx: Tx, key: Reader) -> InvoiceOut:
    """One invoice with its lines and its tax by jurisdiction."""
    return InvoiceOut.of(tx, _final(tx, invoice_id, key))


@router.get("/{invoice_id}/explain", responses=problems(*KEYED, NotFound))
def explain_invoice_amounts(invoice_id: str, tx: Tx, key: Reader) -> ExplanationOut:
    """How every amount came about, computed again from what the invoice stores: never from today's catalog."""
    invoice = _final(tx, invoice_id, key)
    told = explain_invoice.explain(tx, invoice)
    kept = told.discount
    return ExplanationOut(
        invoice=invoice.id, number=invoice.number or "", lines=[LineExplainedOut.of(line) for line in told.lines],
        discount=DiscountExplainedOut(code=kept.code, words=kept.words, given=MoneyOut.of(kept.given),
                                      sentence=kept.sentence, replays=kept.replays) if kept else None,
        taxes=[
            TaxExplainedOut(jurisdiction=each.jurisdiction, name=each.name, rate=percent(each.rate),
                            taxable=MoneyOut.of(each.taxable), amount=MoneyOut.of(each.amount),
                            sentence=each.sentence, replays=each.replays)
            for each in told.taxes
        ],
        treatment=told.treatment, reason=told.reason, note=told.note, data_version=told.data_version,
        net=MoneyOut.of(told.net), tax=MoneyOut.of(told.tax), total=MoneyOut.of(told.total), sentence=told.sentence,
        replays=told.replays,
    )  # fmt: skip


class PayIn(In):
    """`page`: to the provider's page, for whoever pays. `saved_card`: the card kept for the account, at once."""

    model_config = ConfigDict(json_schema_extra={"example": {"by": "page"}})

    by: Literal["page", "saved_card"] = "page"


class PayingOut(BaseModel):
    """`payment_url` is where `amount`, what is owed now, is paid; null once the saved card was charged."""

    model_config = ConfigDict(json_schema_extra={"example": {
        "invoice_id": "inv_01ka8qj6x0c5q4m3t2r1p0n9mk", "amount": {"amount": 300000, "currency": "USD"},
        "payment_url": "https://pay.example/cs_1", "page_url": "https://billing.example/invoices/inv_01ka8q.x",
    }})  # fmt: skip

    invoice_id: str
    amount: MoneyOut
    payment_url: str | None
    page_url: str = Field(description="The invoice's own page, which can be forwarded to whoever pays.")


@router.post(
    "/{invoice_id}/pay",
    responses=problems(*KEYED, NotFound, NothingOwed, NoSavedCard, CardDeclined, PaymentUnavailable, PaymentRefused),
)
def pay_invoice(invoice_id: str, ports: Wired, key: Payer, body: PayIn | None = None) -> PayingOut:
    """Pay what is still owed of an open invoice by card: on the provider's page, or with the saved card at once."""
    with ports.db.transaction() as tx:
        invoice = _final(tx, invoice_id, key)
    saved = body is not None and body.by == "saved_card"
    pay = paying_invoices.charge_saved_card if saved else paying_invoices.lead_to_page
    paying = pay(ports, invoice.id)
    return PayingOut(
        invoice_id=invoice.id, amount=MoneyOut.of(paying.amount), payment_url=paying.payment_url,
        page_url=ports.link(paying_invoices.link(ports, invoice.id)),
    )  # fmt: skip


@router.get("/{invoice_id}/pdf", response_class=Response, responses=_PDF)
def get_invoice_pdf(
    request: Request, invoice_id: str, tx: Tx, ports: Wired, key: Reader, language: Language = ""
) -> Response:  # fmt: skip
    """The invoice on paper as it was issued, in the buyer's language: always the same bytes, of which `ETag` is the
    SHA-256. In another language a copy, marked as one.
    """
    return issued.pdf(request, tx, ports, _final(tx, invoice_id, key), language)


@router.get(
    "/{invoice_id}/xml",
    response_class=Response,
    responses=_XML,
)
def get_invoice_xml(
    request: Request, invoice_id: str, tx: Tx, ports: Wired, key: Reader, syntax: Syntax = Syntax.CII
) -> Response:  # fmt: skip
    """The invoice under EN 16931, as CII (what is inside the PDF) or UBL; refused where the standard cannot say it."""
    return issued.xml(request, tx, ports, _final(tx, invoice_id, key), syntax)
