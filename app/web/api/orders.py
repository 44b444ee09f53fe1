"""Orders: an accepted preview on its way to being paid."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from sqlalchemy import select
from sqlmodel import col

from app.accounts import service as accounts
from app.accounts.models import ApiKey
from app.agreements.service import Evidence, TermsNotAccepted
from app.catalog.coupons import CouponRefused
from app.core import ids, paging
from app.core.db import Tx as Unit
from app.core.errors import Invalid, NotFound, Unavailable
from app.core.keys import NoSigningKey
from app.core.states import MoveRefused
from app.flows import purchase, trial
from app.flows.ports import Ports
from app.flows.purchase import Placing, Started
from app.flows.trade_credit import InvoiceNotOffered
from app.invoices import service as invoices
from app.licenses import service as licenses
from app.orders import service as orders
from app.orders.errors import NeedsQuote, OrderClosed, PreviewChanged, PreviewExpired
from app.orders.models import Order, OrderKind, OrderLine, OrderState, PayBy, Preview, Route
from app.payments import service as payments
from app.payments.errors import PaymentRefused, PaymentUnavailable
from app.screening.attestations import OwnershipNotAttested
from app.screening.service import PartyRefused
from app.tax.locating import ResidenceNeeded
from app.web.api.access import KEYED, KEYLESS, Anyone, OfAccount, find, key_with, visible
from app.web.api.previews import named
from app.web.api.shapes import ID, In, JsonRoute, Limit, Line, MoneyOut, PageOut, ReasonOut, cursor
from app.web.deps import Tx, Wired, client_ip
from app.web.problems import problems

router = APIRouter(
    prefix="/v1/orders", tags=["orders"], route_class=JsonRoute
)  # fmt: skip

Reader = Annotated[ApiKey, key_with("orders:read")]
Writer = Annotated[ApiKey, key_with("orders:write")]
PreviewId = Annotated[str, StringConstraints(pattern=f"^prv_{ID}$")]


class AcceptanceIn(In):
    """The click that binds: which terms, and that whoever clicks may bind the company."""

    terms: Annotated[str, StringConstraints(pattern=f"^trm_{ID}$")] = Field(description="`terms.id` of the preview.")
    person: Line | None = Field(default=None, description="Who accepts; the preview's `buyer.name` if left out.")
    authority: Literal[True] = Field(description="I may bind the company, and I accept the terms on its behalf.")
    ownership: bool = Field(
        default=False,
        description="No listed party owns 50 % or more of the company; asked where the problem ownership-not-attested"
        " says so, with the exact `statement`.",
    )


class OrderIn(In):
    model_config = ConfigDict(json_schema_extra={"example": {
        "preview": "prv_01ka8qj6x0c5q4m3t2r1p0n9mk", "payment": "card", "po_number": "PO-4711",
        "acceptance": {"terms": "trm_01ka8qj6x0c5q4m3t2r1p0n9mk", "person": "Ada Example", "authority": True},
    }})  # fmt: skip

    preview: PreviewId
    acceptance: AcceptanceIn
    payment: PayBy = Field(
        default=PayBy.CARD,
        description="`invoice` needs a key that may act for the account, a `po_number`, and credit that is left.",
    )
    po_number: Annotated[Line, Field(max_length=60)] = ""
    trial: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:-]{1,64}$")] | None = Field(
        default=None, description="The id of the server that it was tried on: its trial ends with this order."
    )


class OrderLineOut(BaseModel):
    sku: str
    description: str
    quantity: int
    unit: MoneyOut
    discount: MoneyOut
    net: MoneyOut
    tax: MoneyOut

    @classmethod
    def of(cls, line: OrderLine, currency: str) -> Self:
        return cls(
            sku=line.sku, description=line.description, quantity=line.quantity,
            unit=MoneyOut.minor(line.unit_minor, currency), discount=MoneyOut.minor(line.discount_minor, currency),
            net=MoneyOut.minor(line.net_minor, currency),
            tax=MoneyOut.minor(line.tax_minor, currency),
        )  # fmt: skip


class OrderOut(BaseModel):
    """Lead the buyer to `payment_url`; `url` is the order's own page and opens without signing in.

    `account_id` and what follows from payment are shown to a key that may see the account.
    """

    model_config = ConfigDict(json_schema_extra={"example": {
        "id": "ord_01ka8qj6x0c5q4m3t2r1p0n9mk", "state": "awaiting_payment", "kind": "purchase",
        "preview": "prv_01ka8qj6x0c5q4m3t2r1p0n9mk", "payment_url": "https://billing.example.org/sandbox/pay/cs_test_1",
        "url": "https://billing.example.org/orders/ord_01ka….tag", "route": "automatic", "reasons": [],
        "lines": [{"sku": "professional", "description": "Professional", "quantity": 25,
                   "unit": {"amount": 11000, "currency": "EUR"}, "discount": {"amount": 0, "currency": "EUR"},
                   "net": {"amount": 275000, "currency": "EUR"}, "tax": {"amount": 0, "currency": "EUR"}}],
        "discount": {"amount": 0, "currency": "EUR"}, "net": {"amount": 275000, "currency": "EUR"},
        "tax": {"amount": 0, "currency": "EUR"},
        "total": {"amount": 275000, "currency": "EUR"}, "own_credit": {"amount": 0, "currency": "EUR"},
        "amount_due": {"amount": 275000, "currency": "EUR"}, "payment": "card", "po_number": "PO-4711", "test": True,
        "created_at": "2026-11-22T09:00:00Z", "expires_at": "2026-11-23T08:00:00Z", "completed_at": None,
        "account_id": None, "subscription_id": None, "invoice_id": None, "license_id": None,
    }})  # fmt: skip

    id: str
    state: OrderState
    kind: OrderKind
    preview: str
    payment_url: str | None
    url: str
    route: Route
    reasons: list[ReasonOut]
    lines: list[OrderLineOut]
    discount: MoneyOut
    net: MoneyOut
    tax: MoneyOut
    total: MoneyOut
    own_credit: MoneyOut = Field(description="What customer credit pays, of an order by card.")
    amount_due: MoneyOut = Field(description="What the card is charged, or was.")
    payment: PayBy
    po_number: str
    test: bool
    created_at: datetime
    expires_at: datetime | None
    completed_at: datetime | None
    account_id: str | None
    subscription_id: str | None
    invoice_id: str | None
    license_id: str | None


class OrderList(PageOut[OrderOut]):
    pass


def shown(tx: Unit, ports: Ports, order: Order, *, payment_url: str | None, owner: bool) -> OrderOut:
    """An order as the API shows it; `owner` is false for somebody without a key of its account."""
    currency, lines = order.currency, orders.lines(tx, order.id)
    invoice, license_ = invoices.of_order(tx, order.id), licenses.of_order(tx, order.id)
    follows: dict[str, Any] = {
        "account_id": order.account_id, "subscription_id": order.subscription_id,
        "invoice_id": invoice.id if invoice else None, "license_id": license_.id if license_ else None,
    }  # fmt: skip
    return OrderOut(
        id=order.id, state=order.state, kind=order.kind, preview=order.preview_id, payment_url=payment_url,
        url=ports.link(f"/orders/{ports.secrets.sign_token(purchase.ORDER_TOKEN, order.id)}"), route=order.route,
        reasons=[ReasonOut(**each) for each in order.reasons],
        lines=[OrderLineOut.of(line, currency) for line in lines],
        discount=MoneyOut.minor(sum(line.discount_minor for line in lines), currency),
        net=MoneyOut.minor(order.net_minor, currency), tax=MoneyOut.minor(order.tax_minor, currency),
        total=MoneyOut.minor(order.total_minor, currency),
        own_credit=MoneyOut.minor(order.credit_minor, currency), amount_due=MoneyOut.of(order.due),
        payment=order.pay_by, po_number=order.po_number,
        test=order.test, created_at=order.created_at, expires_at=order.expires_at, completed_at=order.completed_at,
        **(follows if owner else dict.fromkeys(follows)),
    )  # fmt: skip


def _open_page(tx: Unit, order: Order) -> str | None:
    """Where an unpaid order can be paid, if the provider's page is open; reading never opens one."""
    attempt = payments.latest_attempt(tx, order.id) if order.state is OrderState.AWAITING_PAYMENT else None
    return attempt.redirect_url if attempt else None


def of_started(ports: Ports, started: Started, key: ApiKey | None) -> OrderOut:
    with ports.db.transaction() as tx:
        order = orders.get(tx, started.order_id)
        return shown(tx, ports, order, payment_url=started.payment_url, owner=key is not None)


def evidence(request: Request) -> Evidence:
    """Where this click came from."""
    return Evidence(client_ip(request), request.headers.get("user-agent", ""))


def check_acceptance(ports: Ports, preview_id: str, acceptance: AcceptanceIn) -> Preview:
    """The preview that is being accepted. Raises NotFound, or Invalid where somebody else than its buyer accepts."""
    with ports.db.transaction() as tx:
        preview = tx.get(Preview, preview_id)
    if preview is None:
        raise NotFound("There is no such preview.", param="preview")
    if acceptance.person is not None and acceptance.person.strip() != preview.inputs["buyer"]["name"].strip():
        raise Invalid(
            "Who accepts is not who the preview names; make a preview with this person as buyer.name.",
            param="acceptance.person",
        )
    return preview


def _require_purchase_of(ports: Ports, preview: Preview, key: ApiKey | None) -> None:
    """A preview is ordered for the account it was routed for, or the rolling threshold could be walked around.

    Raises NotFound for a preview of somebody else, Invalid for one of a renewal or a change.
    """
    with ports.db.transaction() as tx:
        by_address = accounts.account_id_for_buyer(tx, preview.inputs["buyer"]["email"])
    if key is not None and key.account_id is not None:
        own = preview.account_id == key.account_id
    else:
        own = preview.account_id in {None, by_address}
    if not own:
        raise NotFound("There is no such preview.", param="preview")
    if preview.kind is not OrderKind.PURCHASE:
        renews = preview.kind is OrderKind.RENEWAL
        does, door = ("renews", "renewals") if renews else ("changes", "changes")
        raise Invalid(
            f"This preview {does} a subscription: POST /v1/subscriptions/{preview.subscription_id}/{door}.",
            param="preview",
        )


@router.post("", status_code=201, responses=problems(
    *KEYLESS, NotFound, Invalid, PreviewExpired, PreviewChanged, NeedsQuote, CouponRefused, TermsNotAccepted,
    OrderClosed, PaymentUnavailable, PaymentRefused, NoSigningKey, Unavailable, InvoiceNotOffered, PartyRefused,
    ResidenceNeeded, OwnershipNotAttested,
))  # fmt: skip
def create_order(body: OrderIn, request: Request, ports: Wired, key: Anyone) -> OrderOut:
    """Order what a preview offers. Needs no key to pay by card. The same preview again answers with the same order.

    An order on invoice is completed at once; its license ends soon after the invoice is due, and is replaced by the
    full one when that is paid.

    If anything the price rests on has changed, nothing is ordered and the problem's `preview` is the new offer. If
    the payment provider is down the order stands: send the same request again to be led to payment.
    """
    preview = check_acceptance(ports, body.preview, body.acceptance)
    _require_purchase_of(ports, preview, key)
    account_id = key.account_id if key else None
    if key is not None and body.payment is PayBy.INVOICE:
        account_id = account_id or preview.account_id
    placing = Placing(
        preview_id=body.preview, terms_id=body.acceptance.terms, evidence=evidence(request),
        po_number=body.po_number, account_id=account_id, pay_by=body.payment, ownership=body.acceptance.ownership,
    )  # fmt: skip
    with named(terms="acceptance.terms", ownership="acceptance.ownership"):
        started = purchase.start(ports, placing)
    if body.trial is not None:  # a server that never tried it has nothing to end
        trial.name_for_order(ports, started.order_id, body.trial)
    return of_started(ports, started, key)


@router.get("", responses=problems(*KEYED))
def list_orders(
    tx: Tx, ports: Wired, key: Reader, state: OrderState | None = None, account_id: OfAccount = None, limit: Limit = 20,
    starting_after: Annotated[str | None, cursor("ord")] = None,
) -> OrderList:  # fmt: skip
    """Newest first."""
    query = visible(select(Order), col(Order.account_id), key, account_id)
    if state is not None:
        query = query.where(col(Order.state) == state)
    found = paging.page(tx, query, col(Order.id), limit=limit, starting_after=starting_after)
    data = [shown(tx, ports, order, payment_url=_open_page(tx, order), owner=True) for order in found.data]
    return OrderList(data=data, has_more=found.has_more)


@router.get("/{order_id}", responses=problems(*KEYED, NotFound))
def get_order(order_id: str, tx: Tx, ports: Wired, key: Reader) -> OrderOut:
    """One order, with what came of it once it is paid."""
    order = find(tx, Order, "ord", order_id, key)
    return shown(tx, ports, order, payment_url=_open_page(tx, order), owner=True)


@router.post("/{order_id}/cancel", responses=problems(*KEYED, NotFound, OrderClosed, MoveRefused))
def cancel_order(order_id: str, ports: Wired, key: Writer) -> OrderOut:
    """Give up an order that is not paid. Money that arrives all the same still completes it."""
    with ports.db.transaction() as tx:
        find(tx, Order, "ord", ids.require_form("ord", order_id), key)
    purchase.cancel(ports, order_id, by=key.id)
    with ports.db.transaction() as tx:
        return shown(tx, ports, orders.get(tx, order_id), payment_url=None, owner=True)
