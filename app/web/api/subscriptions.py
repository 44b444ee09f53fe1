"""Subscriptions: what an account holds, what comes next, and renewing it."""

from datetime import date, datetime, timedelta
from typing import Annotated, Any, Literal, Self

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select
from sqlmodel import col

from app.accounts.models import ApiKey
from app.agreements.service import TermsNotAccepted
from app.core import ids, paging, policy
from app.core.clock import local_date
from app.core.db import Tx as Unit
from app.core.errors import Invalid, NotFound, Unavailable
from app.core.keys import NoSigningKey
from app.flows import dunning, ending, renewal
from app.flows.ending import AlreadyOver
from app.flows.ports import Ports
from app.flows.renewal import RenewalNotOpen
from app.orders.errors import AlreadyRenewed, NeedsQuote, PreviewChanged, PreviewExpired, SeatsOutOfRange
from app.orders.models import Order, OrderKind, OrderState
from app.payments.errors import PaymentRefused, PaymentUnavailable
from app.screening.destinations import DestinationRefused
from app.screening.service import PartyRefused
from app.subscriptions import service
from app.subscriptions.models import Billing, Subscription, SubscriptionLine, SubscriptionState
from app.web.api.access import KEYED, OfAccount, find, key_with, visible
from app.web.api.change_shapes import ScheduledChangeOut
from app.web.api.orders import AcceptanceIn, OrderOut, PreviewId, check_acceptance, evidence, of_started
from app.web.api.previews import EXAMPLE, PreviewOut, facts, named
from app.web.api.shapes import In, JsonRoute, Limit, MoneyOut, PageOut, cursor
from app.web.deps import Now, Tx, Wired
from app.web.problems import problems

router = APIRouter(
    prefix="/v1/subscriptions", tags=["subscriptions"], route_class=JsonRoute
)  # fmt: skip

Reader = Annotated[ApiKey, key_with("subscriptions:read")]
Writer = Annotated[ApiKey, key_with("subscriptions:write")]

Step = Literal["renewal_opens", "renew", "renews_itself", "renewal_under_way", "pay", "ends", "buy_again"]


class LineOut(BaseModel):
    """`net` is for the whole term, `arr` for a year, both before tax."""

    sku: str
    description: str
    quantity: int
    unit: MoneyOut
    net: MoneyOut
    arr: MoneyOut

    @classmethod
    def of(cls, line: SubscriptionLine, currency: str) -> Self:
        return cls(
            sku=line.sku, description=line.description, quantity=line.quantity,
            unit=MoneyOut.minor(line.unit_minor, currency), net=MoneyOut.minor(line.net_minor, currency),
            arr=MoneyOut.minor(line.arr_minor, currency),
        )  # fmt: skip


class NextStepOut(BaseModel):
    """What happens next and when; `on` is a day where the customer is."""

    code: Step
    on: date | None
    sentence: str


class TermOut(BaseModel):
    """`ends_on` is the first day after the term, `billed_to` the first that nothing was billed for."""

    starts_on: date
    ends_on: date
    months: int
    interval: str
    billing: Billing
    billed_to: date


class SubscriptionOut(BaseModel):
    model_config = ConfigDict(json_schema_extra={"example": {
        "id": "sub_01ka8qj6x0c5q4m3t2r1p0n9mk", "account_id": "acc_01ka8qj6x0c5q4m3t2r1p0n9mk", "state": "active",
        "currency": "USD", "term": {"starts_on": "2026-11-22", "ends_on": "2027-11-22", "months": 12,
                                    "interval": "year", "billing": "prepaid", "billed_to": "2027-11-22"},
        "lines": [{"sku": "professional", "description": "Professional", "quantity": 25,
                   "unit": {"amount": 12000, "currency": "USD"}, "net": {"amount": 300000, "currency": "USD"},
                   "arr": {"amount": 300000, "currency": "USD"}}],
        "next_step": {"code": "renewal_opens", "on": "2027-08-24", "sentence": "Renewal opens on 2027-08-24."},
        "auto_renew": False, "not_renewing_since": None, "scheduled_change": None,
        "first_starts_on": "2026-11-22", "grace_days": 10, "time_zone": "America/New_York",
        "created_at": "2026-11-22T09:00:00Z",
    }})  # fmt: skip

    id: str
    account_id: str
    state: SubscriptionState
    currency: str
    term: TermOut
    lines: list[LineOut]
    next_step: NextStepOut
    auto_renew: bool
    not_renewing_since: datetime | None
    scheduled_change: ScheduledChangeOut | None
    first_starts_on: date
    grace_days: int
    time_zone: str
    created_at: datetime

    @classmethod
    def of(cls, tx: Unit, row: Subscription, now: datetime) -> Self:
        lines = sorted(service.lines(tx, row.id), key=lambda line: line.plan_id != row.plan_id)
        return cls(
            id=row.id, account_id=row.account_id, state=row.state, currency=row.currency,
            term=TermOut(starts_on=row.starts_on, ends_on=row.ends_on, months=row.term_months, interval=row.interval,
                         billing=row.billing, billed_to=row.billed_to),
            lines=[LineOut.of(line, row.currency) for line in lines], next_step=_next_step(tx, row, now),
            auto_renew=row.auto_renew, not_renewing_since=row.not_renewing_at,
            scheduled_change=ScheduledChangeOut.waiting(tx, row),
            first_starts_on=row.first_starts_on, grace_days=row.grace_days, time_zone=row.time_zone,
            created_at=row.created_at,
        )  # fmt: skip


class SubscriptionList(PageOut[SubscriptionOut]):
    pass


class RenewalIn(In):
    """Fewer or more seats for the next term; as they are if left out."""

    model_config = ConfigDict(json_schema_extra={"example": {"seats": 30}})

    seats: Annotated[int, Field(strict=True, ge=1)] | None = None


class CancelIn(In):
    """Why the subscription is not renewed; it may be left out."""

    model_config = ConfigDict(json_schema_extra={"example": {"reason": "We moved to another product."}})

    reason: Annotated[str, Field(max_length=ending.LONGEST_REASON)] = ""


class SubscriptionChangeIn(In):
    """`auto_renew`: charge the saved card on the day the next term begins."""

    model_config = ConfigDict(json_schema_extra={"example": {"auto_renew": True}})

    auto_renew: Annotated[bool, Field(strict=True)]


class RenewalPreviewOut(PreviewOut):
    """`saved_card` will be charged if the renewal is ordered; without one the order leads to payment."""

    model_config = ConfigDict(json_schema_extra={"example": EXAMPLE | {
        "kind": "renewal", "starts_on": "2027-11-22", "saved_card": "Visa ending in 4242",
    }})  # fmt: skip

    starts_on: date
    saved_card: str | None


class RenewalOrderIn(In):
    model_config = ConfigDict(json_schema_extra={"example": {
        "preview": "prv_01ka8qj6x0c5q4m3t2r1p0n9mk",
        "acceptance": {"terms": "trm_01ka8qj6x0c5q4m3t2r1p0n9mk", "authority": True},
    }})  # fmt: skip

    preview: PreviewId
    acceptance: AcceptanceIn


def _next_step(tx: Unit, row: Subscription, now: datetime) -> NextStepOut:
    """R-SUB-2 in one sentence, for the customer."""
    today = local_date(now, row.time_zone)
    grace_ends = row.ends_on + timedelta(days=row.grace_days)
    under_way = _renewal_of_next_term(tx, row)
    if under_way is not None and row.state is not SubscriptionState.PAST_DUE:
        waits = f"The renewal is ordered (order {under_way.id}) and waits for "
        waits += "payment." if under_way.state is OrderState.AWAITING_PAYMENT else "our review."
        return NextStepOut(code="renewal_under_way", on=row.ends_on, sentence=waits)
    match row.state:
        case SubscriptionState.PAST_DUE:
            return _step_while_past_due(tx, row, grace_ends)
        case SubscriptionState.LAPSED:
            late = f"The term ended on {row.ends_on}; renewed by {grace_ends} it carries on from there."
            return NextStepOut(code="renew", on=grace_ends, sentence=late)
        case SubscriptionState.EXPIRED:
            return NextStepOut(code="renew", on=None, sentence="The term is over; a renewal starts a new one today.")
        case SubscriptionState.CANCELED:
            return NextStepOut(code="buy_again", on=None, sentence="The subscription was canceled; buy a new one.")
        case _:
            return _step_while_active(tx, row, today, now)


def _step_while_past_due(tx: Unit, row: Subscription, grace_ends: date) -> NextStepOut:
    """Collected until the last try of its ladder, or waiting out its grace."""
    owed = dunning.standing_of_subscription(tx, row.id)
    if owed is None or owed.last_try_at is None:
        return NextStepOut(code="pay", on=grace_ends, sentence=f"The last charge failed; pay by {grace_ends}.")
    by = local_date(owed.last_try_at, row.time_zone)
    what = "Pay with another card" if owed.run.needs_card else "The saved card is tried again; pay"
    return NextStepOut(code="pay", on=by, sentence=f"The last charge failed. {what} by {by}.")


def _step_while_active(tx: Unit, row: Subscription, today: date, now: datetime) -> NextStepOut:
    if row.not_renewing_at is not None:
        return NextStepOut(code="ends", on=row.ends_on, sentence=f"It ends on {row.ends_on} and is not renewed.")
    if row.auto_renew:
        return NextStepOut(code="renews_itself", on=row.ends_on,
                           sentence=f"It renews by itself on {row.ends_on}, charged to the saved card.")  # fmt: skip
    kind = renewal.OPENS_DAYS if row.term_months >= 12 else renewal.OPENS_DAYS_SHORT
    opens_on = row.ends_on - timedelta(days=policy.get(tx, kind, now))
    if today < opens_on:
        return NextStepOut(code="renewal_opens", on=opens_on, sentence=f"Renewal opens on {opens_on}.")
    return NextStepOut(code="renew", on=row.ends_on, sentence=f"Renew by {row.ends_on}; the next term starts then.")


def _renewal_of_next_term(tx: Unit, row: Subscription) -> Order | None:
    """Paid renewals have moved the term on, so what is found here waits for payment or for a person."""
    return tx.execute(
        select(Order).where(
            col(Order.subscription_id) == row.id, col(Order.kind) == OrderKind.RENEWAL,
            col(Order.state).in_([OrderState.AWAITING_PAYMENT, OrderState.HELD]),
        )
    ).scalar_one_or_none()  # fmt: skip


@router.get("", responses=problems(*KEYED))
def list_subscriptions(
    tx: Tx, now: Now, key: Reader, state: SubscriptionState | None = None, account_id: OfAccount = None,
    limit: Limit = 20, starting_after: Annotated[str | None, cursor("sub")] = None,
) -> SubscriptionList:  # fmt: skip
    """Newest first."""
    query = visible(select(Subscription), col(Subscription.account_id), key, account_id)
    if state is not None:
        query = query.where(col(Subscription.state) == state)
    found = paging.page(tx, query, col(Subscription.id), limit=limit, starting_after=starting_after)
    return SubscriptionList(data=[SubscriptionOut.of(tx, row, now) for row in found.data], has_more=found.has_more)


@router.get("/{subscription_id}", responses=problems(*KEYED, NotFound))
def get_subscription(subscription_id: str, tx: Tx, now: Now, key: Reader) -> SubscriptionOut:
    """One subscription with its lines, its term and its next step."""
    return SubscriptionOut.of(tx, find(tx, Subscription, "sub", subscription_id, key), now)


@router.post("/{subscription_id}/renewals/preview", status_code=201, responses=problems(
    *KEYED, NotFound, RenewalNotOpen, AlreadyRenewed, SeatsOutOfRange, Invalid, Unavailable
))  # fmt: skip
def preview_renewal(
    subscription_id: str, ports: Wired, key: Writer, body: RenewalIn | None = None
) -> RenewalPreviewOut:
    """What the next term would cost, with the seats as they are or as wished. Commits nobody to anything."""
    require_own(ports, subscription_id, key)
    with named(**{"lines.0.quantity": "seats"}):
        review = renewal.review(ports, subscription_id, seats=body.seats if body else None)
    given: dict[str, Any] = facts(ports, review.preview)
    return RenewalPreviewOut(**given, starts_on=review.starts_on, saved_card=review.saved_card)


@router.post("/{subscription_id}/renewals", status_code=201, responses=problems(
    *KEYED, NotFound, RenewalNotOpen, AlreadyRenewed, PreviewExpired, PreviewChanged, NeedsQuote, TermsNotAccepted,
    Invalid, PaymentUnavailable, PaymentRefused, NoSigningKey, Unavailable, DestinationRefused, PartyRefused,
))  # fmt: skip
def create_renewal(
    subscription_id: str, body: RenewalOrderIn, request: Request, ports: Wired, key: Writer
) -> OrderOut:  # fmt: skip
    """Order the next term. A saved card is charged at once; otherwise `payment_url` leads to payment."""
    require_own(ports, subscription_id, key)
    preview = check_acceptance(ports, body.preview, body.acceptance)
    if preview.kind is not OrderKind.RENEWAL or preview.subscription_id != subscription_id:
        raise NotFound("There is no such renewal offer for this subscription.", param="preview")
    with named(terms="acceptance.terms"):
        started = renewal.renew(ports, body.preview, terms_id=body.acceptance.terms, evidence=evidence(request))
    return of_started(ports, started, key)


@router.post("/{subscription_id}/cancel", responses=problems(*KEYED, NotFound, AlreadyOver))
def cancel_subscription(
    subscription_id: str, ports: Wired, now: Now, key: Writer, body: CancelIn | None = None
) -> SubscriptionOut:
    """Do not renew: it runs to its end and reminders stop. One whose term is over ends at once; nothing is owed."""
    require_own(ports, subscription_id, key)
    ending.stop(ports, subscription_id, reason=body.reason if body else "", by=key.id)
    return _shown(ports, subscription_id, now)


@router.post("/{subscription_id}/resume", responses=problems(*KEYED, NotFound, AlreadyOver))
def resume_subscription(subscription_id: str, ports: Wired, now: Now, key: Writer) -> SubscriptionOut:
    """Take a cancellation back, at any time before the end."""
    require_own(ports, subscription_id, key)
    ending.take_back(ports, subscription_id, by=key.id)
    return _shown(ports, subscription_id, now)


@router.patch("/{subscription_id}", responses=problems(*KEYED, NotFound, AlreadyOver))
def change_subscription(
    subscription_id: str, body: SubscriptionChangeIn, ports: Wired, now: Now, key: Writer
) -> SubscriptionOut:  # fmt: skip
    """Switch automatic renewal on or off."""
    require_own(ports, subscription_id, key)
    ending.renew_by_itself(ports, subscription_id, on=body.auto_renew, by=key.id)
    return _shown(ports, subscription_id, now)


def _shown(ports: Ports, subscription_id: str, now: datetime) -> SubscriptionOut:
    with ports.db.transaction() as tx:
        return SubscriptionOut.of(tx, service.get(tx, subscription_id), now)


def require_own(ports: Ports, subscription_id: str, key: ApiKey) -> None:
    with ports.db.transaction() as tx:
        find(tx, Subscription, "sub", ids.require_form("sub", subscription_id), key)
