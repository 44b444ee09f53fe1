"""What the doors of quotes take and answer."""

import base64
import binascii
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from app.agreements.papers import Upload
from app.catalog.models import Interval
from app.core.db import Tx as Unit
from app.core.errors import Invalid
from app.flows import preview as previews
from app.flows import quote_acceptance, quote_payments
from app.flows.ports import Ports
from app.flows.preview_request import LineRequest
from app.orders.models import Preview
from app.quotes import service
from app.quotes.discounts import Discount
from app.quotes.models import PaymentTerms, Quote, QuoteState
from app.subscriptions.models import Billing
from app.web.api.orders import PreviewId
from app.web.api.shapes import (
    ID,
    Email,
    In,
    Line,
    MoneyOut,
    Note,
    ReasonOut,
    percent,
)


class QuoteIn(In):
    model_config = ConfigDict(json_schema_extra={"example": {
        "preview": "prv_01ka8qj6x0c5q4m3t2r1p0n9mk", "note": "We need this by the end of the quarter."
    }})  # fmt: skip

    preview: PreviewId
    note: Note = ""


class ClosingIn(In):
    model_config = ConfigDict(json_schema_extra={"example": {
        "reason": "The budget was not granted.",
    }})  # fmt: skip

    reason: Annotated[Note, Field(min_length=1)] = Field(examples=["The buyer chose another plan."])


class QuoteLineIn(In):
    """At most one of the discounts; the amount is in minor units of the quote's currency and comes off the line."""

    sku: Annotated[Line, Field(min_length=1)]
    quantity: Annotated[int, Field(ge=1, le=1_000_000)]
    discount_percent: Annotated[str, StringConstraints(pattern=r"^\d{1,3}(\.\d{1,2})?$")] | None = Field(
        default=None, examples=["12.5"]
    )
    discount_amount: Annotated[int, Field(ge=0, le=10**12)] | None = None

    def wanted(self, index: int) -> LineRequest:
        if self.discount_percent is not None and self.discount_amount is not None:
            raise Invalid("Either a percentage or an amount.", param=f"lines.{index}.discount_amount")
        found = Discount(minor=self.discount_amount) if self.discount_amount else None
        if self.discount_percent is not None:
            found = Discount.percent(self.discount_percent, param=f"lines.{index}.discount_percent")
        return LineRequest(self.sku, self.quantity, found)


class QuotePatchIn(In):
    """What is left out stays as it is, or as the customer asked; a new quote holds as long as the policy says.

    With `billing` yearly a term of two or three years is billed year by year, with each discount given in each year.
    Another `interval` begins with one of it, paid at once.
    """

    model_config = ConfigDict(json_schema_extra={"example": {
        "lines": [{"sku": "enterprise", "quantity": 400, "discount_percent": "10"}], "valid_until": "2026-12-22",
        "message": "As discussed.", "payment": "invoice", "net_days": 30,
    }})  # fmt: skip

    lines: Annotated[list[QuoteLineIn], Field(min_length=1, max_length=20)] | None = None
    interval: Interval | None = None
    term_years: Annotated[int | None, Field(strict=True, ge=1, le=3)] = None
    billing: Billing | None = None
    currency: Annotated[str, StringConstraints(pattern="^[A-Z]{3}$")] | None = None
    valid_until: date | None = None
    contact_name: Annotated[Line, Field(min_length=1)] | None = None
    contact_email: Email | None = None
    message: Note | None = None
    internal_note: Note | None = None
    payment: PaymentTerms | None = None
    net_days: Annotated[int, Field(ge=1, le=180)] | None = None


class PaperIn(In):
    """A PDF, PNG or JPEG of at most 10 MB, as base64."""

    kind: Literal["signed_quote", "purchase_order"] = "signed_quote"
    name: Line = ""
    content: Annotated[str, Field(min_length=1, max_length=14_000_000)]

    def upload(self) -> Upload:
        try:
            return Upload(base64.b64decode(self.content, validate=True), self.name)
        except (binascii.Error, ValueError) as exc:
            raise Invalid("It is not base64.", param="paper.content") from exc


class QuoteAcceptanceIn(In):
    """The click that binds; from the e-signature threshold on with what was signed."""

    model_config = ConfigDict(json_schema_extra={"example": {
        "terms": "trm_01ka8qj6x0c5q4m3t2r1p0n9mk", "person_name": "Ada Example", "person_email": "ada@example.org",
        "authority": True, "po_number": "PO-4711",
    }})  # fmt: skip

    terms: Annotated[str, StringConstraints(pattern=f"^trm_{ID}$")] = Field(description="`terms` of the quote.")
    person_name: Annotated[Line, Field(min_length=1)]
    person_email: Email
    authority: Literal[True] = Field(description="I may bind the company, and I accept the quote on its behalf.")
    ownership: bool = Field(
        default=False,
        description="No listed party owns 50 % or more of the company; asked where the problem ownership-not-attested"
        " says so, with the exact `statement`.",
    )
    po_number: Annotated[Line, Field(max_length=60)] = ""
    paper: PaperIn | None = None


class QuoteLineOut(BaseModel):
    """`list` is what the line costs by the list; `net` is what is left after the discount."""

    sku: str
    description: str
    quantity: int
    unit: MoneyOut
    list: MoneyOut
    discount: MoneyOut
    discount_percent: str | None
    net: MoneyOut
    tax: MoneyOut


class PaymentDueOut(BaseModel):
    """A year of a term billed yearly: the first is due with the acceptance, each other one at its start.

    Further years are taxed at the rates of their first day; shown are those of the offer.
    """

    year: int
    net: MoneyOut
    tax: MoneyOut
    total: MoneyOut


class QuoteOut(BaseModel):
    """`url` opens the quote without signing in; pass it to whoever decides. `lines` is empty for a request.

    `accept_by` says whether a click is enough; `terms` is the version that is accepted with it. `internal_note` is
    shown to the vendor only. `due` is what accepting asks for: of a change of a subscription `total` less the `credit`
    that the earlier plan gives back. With `billing` yearly `total` is the first year's, `payments` are those of all
    years, and `committed` is the whole term before tax.
    """

    model_config = ConfigDict(json_schema_extra={"example": {
        "id": "quo_01ka8qj6x0c5q4m3t2r1p0n9mk", "state": "sent", "number": "Q-000012", "revision": 1,
        "preview": "prv_01ka8qj6x0c5q4m3t2r1p0n9mk", "lines": [{"sku": "professional", "description": "Professional",
        "quantity": 400, "unit": {"amount": 9900, "currency": "EUR"}, "list": {"amount": 4400000, "currency": "EUR"},
        "discount": {"amount": 440000, "currency": "EUR"}, "discount_percent": "10", "net": {"amount": 3960000,
        "currency": "EUR"}, "tax": {"amount": 0, "currency": "EUR"}}], "net": {"amount": 3960000, "currency": "EUR"},
        "tax": {"amount": 0, "currency": "EUR"}, "total": {"amount": 3960000, "currency": "EUR"}, "term_months": 12,
        "billing": "prepaid", "committed": None, "credit": None, "due": {"amount": 3960000, "currency": "EUR"},
        "payments": [], "reasons": [{"code": "at_or_above_threshold",
        "sentence": "44,000.00 EUR before tax is 5,000.00 EUR or more.", "figure": {"amount": 500000,
        "currency": "EUR"}}], "note": "We would like three years.", "message": "", "internal_note": None,
        "valid_until": "2026-12-22", "payment": "invoice", "net_days": 30, "accept_by": "signature",
        "terms": "trm_01ka8qj6x0c5q4m3t2r1p0n9mk", "url": "https://billing.example.com/q/eyJ…",
        "created_at": "2026-11-22T09:00:00Z", "sent_at": "2026-11-22T09:00:00Z", "closed_at": None,
        "closed_reason": None, "order_id": None, "account_id": "acc_01ka8qj6x0c5q4m3t2r1p0n9mk",
    }})  # fmt: skip

    id: str
    state: QuoteState
    number: str | None
    revision: int
    preview: str
    lines: list[QuoteLineOut]
    net: MoneyOut
    tax: MoneyOut
    total: MoneyOut
    term_months: int
    billing: Billing
    committed: MoneyOut | None
    credit: MoneyOut | None
    due: MoneyOut
    payments: list[PaymentDueOut]
    reasons: list[ReasonOut]
    note: str
    message: str
    internal_note: str | None
    valid_until: date | None
    payment: PaymentTerms
    net_days: int | None
    accept_by: Literal["click", "signature"]
    terms: str
    url: str
    created_at: datetime
    sent_at: datetime | None
    closed_at: datetime | None
    closed_reason: str | None
    order_id: str | None
    account_id: str | None

    @classmethod
    def of(cls, tx: Unit, ports: Ports, quote: Quote, *, owner: bool = True, vendor: bool = False) -> Self:
        asked_only = quote.state is QuoteState.DRAFT and not vendor
        preview = tx.get_one(Preview, (quote.preview_id if asked_only else None) or quote.figures_id)
        now, currency = ports.clock.now(), preview.currency
        lines = [] if asked_only else service.lines(tx, quote.id)
        return cls(
            id=quote.id, state=QuoteState.REQUESTED if asked_only else quote.state,
            number=None if asked_only else quote.shown_number or None, revision=0 if asked_only else quote.revision,
            preview=preview.id, lines=[_line(line, currency) for line in lines],
            net=MoneyOut.minor(preview.net_minor, currency), tax=MoneyOut.minor(preview.tax_minor, currency),
            total=MoneyOut.minor(preview.total_minor, currency), **_paying(preview),
            reasons=[ReasonOut(**each) for each in quote.reasons], note=quote.note,
            message="" if asked_only else quote.message, internal_note=quote.internal_note if vendor else None,
            valid_until=None if asked_only else quote.valid_until,
            payment=PaymentTerms.CARD if asked_only else quote.payment,
            net_days=None if asked_only else quote.net_days,
            accept_by="click" if quote_acceptance.by_click(tx, preview, now) else "signature",
            terms=quote_acceptance.terms(tx, now).id,
            url=ports.link(f"/q/{ports.secrets.sign_token(service.TOKEN, quote.id)}"), created_at=quote.created_at,
            sent_at=quote.sent_at, closed_at=quote.closed_at, closed_reason=quote.closed_reason,
            order_id=quote.order_id if owner else None, account_id=quote.account_id if owner else None,
        )  # fmt: skip


def _paying(preview: Preview) -> dict[str, Any]:
    """What is asked for and when."""
    asked, currency, committed = previews.request_of(preview), preview.currency, preview.committed_minor
    credit = preview.change["credit"] if preview.change else 0
    return {
        "term_months": asked.months, "billing": asked.billing,
        "committed": None if committed is None else MoneyOut.minor(committed, currency),
        "credit": MoneyOut.minor(credit, currency) if credit else None,
        "due": MoneyOut.of(quote_payments.due(preview)),
        "payments": [
            PaymentDueOut(year=each.year, net=MoneyOut.of(each.net), tax=MoneyOut.of(each.tax),
                          total=MoneyOut.of(each.total))
            for each in quote_payments.schedule(preview)
        ],
    }  # fmt: skip


def _line(line: Any, currency: str) -> QuoteLineOut:
    points = line.discount_points
    return QuoteLineOut(
        sku=line.sku, description=line.description, quantity=line.quantity,
        discount_percent=percent(Decimal(points) / 100) if points is not None else None,
        **{name: MoneyOut.minor(getattr(line, f"{name}_minor"), currency)
           for name in ("unit", "list", "discount", "net", "tax")},
    )  # fmt: skip
