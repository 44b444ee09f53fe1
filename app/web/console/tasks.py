"""What waits for a person, gathered for the first page."""

from datetime import datetime, timedelta
from typing import Any, Final, Literal, TypeVar

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Mapped
from sqlmodel import col

from app.accounts.models import Account
from app.core import job_watch, policy
from app.core.clock import transport_now
from app.core.db import Tx as Session
from app.core.money import Money
from app.flows import nexus_alerts, quote_discounts, unmatched
from app.flows.notify import ANSWER_DAYS
from app.orders.models import Order, OrderState, Preview
from app.payments.models import Dispute, DisputeState, Refund, RefundState
from app.quotes.models import Quote, QuoteState
from app.screening import service as screening
from app.subscriptions.models import Subscription
from app.tax import certificates, records
from app.tax.models import RecordState
from app.web.console import exemptions, tax_nexus
from app.web.console.views import Task

T = TypeVar("T", Order, Refund, Dispute, Subscription)
# Since when, what kind, title, detail, and where it is dealt with.
Waiting = tuple[
    datetime, Literal["quote", "held", "payment", "refund", "dispute", "parked", "tax", "screening"], str, str, str
]
_MOST: Final = 50
_TAKEN_WITHIN: Final = timedelta(days=1)
PROCEDURE: Final = "tax-records"


def tasks(tx: Session, now: datetime) -> tuple[Task, ...]:
    """What waits for a person, the longest waiting first."""
    late_after = timedelta(days=policy.get(tx, ANSWER_DAYS, now))
    found = [
        *_quotes(tx), *_steep(tx, now), *_held(tx), *_payments(tx), *_refunds(tx), *_disputes(tx), *_parked(tx),
        *_thresholds(tx), *_certificates(tx), *_tax_records(tx), *_screening(tx),
    ]  # fmt: skip
    shown = [
        (since, Task(kind=kind, title=title, detail=detail, waiting=waited(now - since), href=href,
                     late=now - since > late_after))
        for since, kind, title, detail, href in found
    ]  # fmt: skip
    return (*_failed_jobs(tx), *(task for _, task in sorted(shown, key=lambda each: each[0])))


def waited(span: timedelta) -> str:
    """How long, in the largest unit that says enough: `3 d`, `5 h`, `12 min`."""
    minutes = max(0, int(span.total_seconds() // 60))
    if minutes < 60:
        return f"{minutes} min" if minutes else "now"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // (24 * 60)} d"


def _oldest(tx: Session, kind: type[T], waits: ColumnElement[bool], since: Mapped[Any]) -> list[tuple[T, str]]:
    """The longest waiting rows of a kind, each with the name of its account."""
    query = select(kind, col(Account.name)).join(Account, col(Account.id) == col(kind.account_id))
    return [(row, name) for row, name in tx.execute(query.where(waits).order_by(since).limit(_MOST))]


def _thresholds(tx: Session) -> list[Waiting]:
    return [
        (each.raised_at, "tax", tax_nexus.told(each), f"{each.figures['percent']} % of its threshold.", tax_nexus.AT)
        for each in nexus_alerts.waiting(tx)
    ]


def _certificates(tx: Session) -> list[Waiting]:
    rows = certificates.waiting(tx, _MOST)
    of_accounts = select(Account).where(col(Account.id).in_([each.account_id for each in rows]))
    names = {each.id: each.name for each in tx.execute(of_accounts).scalars()}
    return [
        (
            each.submitted_at, "tax", f"{names[each.account_id]} sent in an exemption certificate",
            f"For {each.jurisdiction}, number {each.number}.", exemptions.AT,
        )
        for each in rows
    ]  # fmt: skip


def _tax_records(tx: Session) -> list[Waiting]:
    """Documents that the tax provider refused, or has not taken for a day of real time."""
    rows = records.unsettled(tx, before=transport_now() - _TAKEN_WITHIN, limit=_MOST)
    return [
        (
            each.created_at, "tax",
            f"{each.reference} {'was refused by' if each.state is RecordState.REFUSED else 'is not in'} the tax books",
            each.detail or "The provider was not reached.", f"/console/procedures/{PROCEDURE}",
        )
        for each in rows
    ]  # fmt: skip


def _quotes(tx: Session) -> list[Waiting]:
    rows = tx.execute(
        select(Quote, Preview, col(Account.name))
        .join(Preview, col(Preview.id) == col(Quote.preview_id))
        .join(Account, col(Account.id) == col(Quote.account_id))
        .where(col(Quote.state) == QuoteState.REQUESTED)
        .order_by(col(Quote.created_at))
        .limit(_MOST)
    )
    return [
        (
            quote.created_at, "quote", f"{name} asks for a quote",
            f"{Money(preview.net_minor, preview.currency)} before tax. {_first_reason(quote.reasons)}",
            f"/console/quotes/{quote.id}",
        )
        for quote, preview, name in rows
    ]  # fmt: skip


def _steep(tx: Session, now: datetime) -> list[Waiting]:
    """Drafts whose discount somebody else has to approve before they can be sent."""
    steep = quote_discounts.waiting(tx, now, _MOST)
    of_accounts = select(Account).where(col(Account.id).in_([each.quote.account_id for each in steep]))
    names = {each.id: each.name for each in tx.execute(of_accounts).scalars()}
    return [
        (
            each.quote.created_at, "quote", f"A discount for {names[each.quote.account_id]} waits for approval",
            f"{quote_discounts.percent(each.points)} off, drafted by {each.author}.",
            f"/console/quotes/{each.quote.id}",
        )
        for each in steep
    ]  # fmt: skip


def _refunds(tx: Session) -> list[Waiting]:
    rows = _oldest(tx, Refund, col(Refund.state) == RefundState.REQUESTED, col(Refund.created_at))
    return [
        (
            each.created_at, "refund", f"A refund to {name} waits for a second person",
            f"{Money(each.amount_minor, each.currency)}. {each.note}".rstrip(), f"/console/refunds/{each.id}",
        )
        for each, name in rows
    ]  # fmt: skip


def _disputes(tx: Session) -> list[Waiting]:
    rows = _oldest(tx, Dispute, col(Dispute.state) == DisputeState.OPENED, col(Dispute.opened_at))
    return [
        (
            each.opened_at, "dispute", f"{name} disputes a payment",
            f"{Money(each.amount_minor, each.currency)}, {each.reason}. Evidence goes to the provider in time.",
            f"/console/disputes/{each.id}",
        )
        for each, name in rows
    ]  # fmt: skip


def _held(tx: Session) -> list[Waiting]:
    rows = _oldest(tx, Order, col(Order.state) == OrderState.HELD, col(Order.created_at))
    questioned = screening.in_question(tx, {order.account_id for order, _ in rows})
    return [
        (
            order.created_at, "held", f"An order of {name} is held",
            "Its buyer is being screened." if order.account_id in questioned else _first_reason(order.reasons),
            f"/console/orders/{order.id}",
        )
        for order, name in rows
    ]  # fmt: skip


def _screening(tx: Session) -> list[Waiting]:
    found = screening.open_cases(tx, _MOST)
    of_accounts = select(col(Account.id), col(Account.name)).where(
        col(Account.id).in_([each.account_id for each in found])
    )
    names = dict(tx.execute(of_accounts).all())
    return [
        (
            each.opened_at, "screening", f"A name of {names[each.account_id]} is like a listed one",
            f"{each.entry['name']}, {each.entry['source']}: {each.score} of 100.", f"/console/screening/{each.id}",
        )
        for each in found
    ]  # fmt: skip


def _payments(tx: Session) -> list[Waiting]:
    words = {
        "paid_twice": "It was paid a second time.", "wrong_amount": "It had another amount than the order.",
        "credit_gone": "The credit that pays the rest was spent otherwise.",
        "changed_meanwhile": "The subscription was changed before it was paid.",
        "too_late": "The term that it is a year of had ended without it.",
        "not_deliverable": "Export rules forbid by now what it was paid for.",
    }  # fmt: skip
    return [
        (each.since, "payment", "A payment fits no open order", words[each.why], f"/console/orders/{each.order_id}")
        for each in unmatched.waiting(tx)[:_MOST]
    ]


def _parked(tx: Session) -> list[Waiting]:
    rows = _oldest(tx, Subscription, col(Subscription.parked_at).is_not(None), col(Subscription.parked_at))
    return [
        (
            held.parked_at or held.created_at, "parked", f"The billing run could not bill {name}",
            held.parked_reason or "", f"/console/subscriptions/{held.id}",
        )
        for held, name in rows
    ]  # fmt: skip


def _first_reason(reasons: list[dict[str, str]]) -> str:
    return reasons[0]["sentence"] if reasons else ""


def _failed_jobs(tx: Session) -> tuple[Task, ...]:
    """One task for all of them: they are looked at together. Their times are real, not business time."""
    count = job_watch.failed_count(tx)
    if not count:
        return ()
    newest = job_watch.failed(tx, 1)[0]
    return (
        Task(
            kind="job", title="1 job was given up" if count == 1 else f"{count} jobs were given up",
            detail=f"The last one is {newest.name}. {newest.error}", href="/console/jobs", late=True,
            waiting=waited(transport_now() - newest.failed_at),
        ),
    )  # fmt: skip
