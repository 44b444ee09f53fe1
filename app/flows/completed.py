"""What a completed order comes to, made without a session: the same for one order as for many (ADR 0036)."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Final

from app.catalog.models import Plan
from app.core.audit import Deed
from app.core.clock import start_of
from app.core.events import Happened
from app.core.money import Money
from app.licenses.formats.claims import LicenseCustomer
from app.licenses.service import Grant
from app.orders.models import Order, OrderLine, Preview
from app.subscriptions.models import Subscription
from app.subscriptions.periods import MONTHS, Period, term
from app.subscriptions.service import LineBought

TELL: Final = "notify.order_completed"  # the job that writes to the buyer
RENEWED: Final = "subscription.renewed"


def completed_event(order: Order, invoice_id: str | None, license_id: str | None) -> Happened:
    return Happened("order.completed", order.id, order.account_id, {
        "kind": str(order.kind), "subscription": order.subscription_id, "invoice": invoice_id, "license": license_id,
        "total": {"amount": order.total_minor, "currency": order.currency},
    })  # fmt: skip


def completed_deed(
    order: Order, invoice_number: str | None, license_id: str | None, *, actor: str, payment: str | None
) -> Deed:  # fmt: skip
    details = {"payment": payment, "invoice": invoice_number, "license": license_id}
    said = {name: value for name, value in details.items() if value}
    return Deed(order.account_id, actor, "order.completed", order.id, said)


def bought_of(lines: Sequence[OrderLine], currency: str, *, quoted: bool = False) -> list[LineBought]:
    """The lines of an order as its subscription takes them; of a quote with what sales took off."""
    return [
        LineBought(
            plan_id=line.plan_id, price_id=line.price_id, sku=line.sku, description=line.description,
            quantity=line.quantity, unit=Money(line.unit_minor, currency), net=Money(line.net_minor, currency),
            pricing=line.pricing, intervals=line.intervals, quoted=line.discount_minor if quoted else 0,
        )
        for line in lines
        if line.change is None  # a charge carried on is none of the next term's
    ]  # fmt: skip


def next_period(subscription: Subscription, starts_on: date, preview: Preview) -> Period:
    """The term that a renewal buys: it keeps the anchor where it follows on the one before."""
    anchor = subscription.anchor_day if starts_on == subscription.ends_on else None
    return term(starts_on, months_of(preview), anchor)


def months_of(preview: Preview) -> int:
    return int(preview.inputs.get("term_months") or MONTHS[preview.inputs["interval"]])


def carried_event(kind: str, subscription: Subscription, period: Period, seats: int) -> Happened:
    """`subscription.started` or `subscription.renewed`."""
    return Happened(kind, subscription.id, subscription.account_id, {
        "starts_on": period.start.isoformat(), "ends_on": period.end.isoformat(), "seats": seats,
    })  # fmt: skip


def grant_of(
    *, order: Order, plan: Plan, plans: Sequence[Plan], seats: int, company: str, subscription: Subscription,
    period: Period, now: datetime,
) -> Grant | None:  # fmt: skip
    """What the license of an order is for, with the flags of its add-ons; None for a term that is over."""
    starts_at = min(now, start_of(period.start, subscription.time_zone))
    expires_at = start_of(period.end, subscription.time_zone)
    if expires_at <= now:
        return None
    flags: dict[str, Any] = {}
    for each in plans:
        flags |= each.flags
    return Grant(
        account_id=order.account_id, subscription_id=subscription.id, order_id=order.id, plan_id=plan.id,
        plan_name=plan.name, sku=plan.sku, license_sku=plan.license_sku, flags=flags, seats=seats,
        starts_at=starts_at, expires_at=expires_at, grace_days=plan.grace_days,
        customer=LicenseCustomer(
            id=order.account_id, name=order.buyer_name, email=order.buyer_email, company=company
        ),
    )  # fmt: skip


def segment_of(order: Order, preview: Preview, sku: str, seats: int) -> dict[str, str]:
    """What answers are grouped by."""
    inputs = preview.inputs
    return {
        "plan": sku, "country": inputs["buyer"]["country"], "route": str(order.route), "seats": _seats_band(seats),
        "interval": inputs["interval"],
    }  # fmt: skip


def _seats_band(seats: int) -> str:
    return next(
        band for most, band in ((25, "1-25"), (100, "26-100"), (500, "101-500"), (10**9, "over 500")) if seats <= most
    )
