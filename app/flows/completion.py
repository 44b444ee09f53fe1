"""From money received to something the customer can run: one transaction, for purchases and renewals alike.

Everything here is written together or not at all: payment, subscription, invoice with its number, postings,
entitlements, license, survey invitation, events. Mails, workspaces and webhooks follow as jobs that this
same transaction puts on the queue.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from app.accounts import service as accounts
from app.accounts.models import Account, LegalEntity
from app.catalog import coupons
from app.catalog import service as catalog
from app.catalog.models import CouponDuration, Family, Plan
from app.core import audit, events, jobs
from app.core.clock import local_date, start_of
from app.core.db import Tx
from app.core.money import Money
from app.dunning import service as dunning
from app.entitlements import service as entitlements
from app.flows import (
    changing,
    consequences,
    crediting,
    export_gate,
    invoicing,
    own_credit,
    provider_fees,
    provisioning,
    reminders,
    trial,
)
from app.flows.completed import (
    RENEWED,
    TELL,
    bought_of,
    carried_event,
    completed_deed,
    completed_event,
    grant_of,
    months_of,
    next_period,
    segment_of,
)
from app.flows.consequences import Fact
from app.flows.ports import Ports
from app.invoices import service as invoices
from app.invoices.models import Invoice
from app.licenses import service as licenses
from app.licenses.models import License, LicenseState
from app.orders import service as orders
from app.orders.models import OfferSource, Order, OrderKind, OrderLine, OrderState, Preview
from app.payments import credit
from app.payments import service as payments
from app.payments.models import PaymentAttempt
from app.payments.provider import PaymentReport
from app.subscriptions import scheduled
from app.subscriptions import service as subscriptions
from app.subscriptions.models import Billing, Subscription
from app.subscriptions.periods import Period, term
from app.subscriptions.service import RunningCoupon
from app.surveys import service as surveys
from app.surveys.models import SurveyKind


@dataclass(frozen=True, slots=True)
class _Scene:
    """What every step of a completion looks at."""

    tx: Tx
    ports: Ports
    now: datetime
    order: Order
    preview: Preview
    account: Account
    entity: LegalEntity
    lines: Sequence[OrderLine]
    plan: Plan  # of the first line; of a change, the one that is held then
    plans: dict[str, Plan]
    seats: int


def complete(
    tx: Tx, ports: Ports, order: Order, attempt: PaymentAttempt, report: PaymentReport, now: datetime
) -> None:  # fmt: skip
    """Fulfil a paid order. The caller holds the order's lock and has seen that it is not completed."""
    scene = _scene(tx, ports, order, now)
    payment = payments.record(tx, attempt, report, now)
    if report.method is not None:
        payments.keep_method(tx, order.account_id, attempt.provider, report.method, now)
    invoice = _fulfil(scene, net_days=0, bridge_days=None, actor="provider")
    dunning.paid(tx, order.id, method_ref=report.method.method_ref if report.method else None, now=now)
    # A part may be paid by customer credit, or by what the lower plan gave back.
    owed = invoices.owed(tx, invoice) if invoice is not None else Money.zero(order.currency)
    booked_on = (invoice.issued_on if invoice is not None else None) or now.date()
    invoicing.receive(
        tx, payment, [(invoice, owed)] if invoice is not None and owed else [], legal_entity_id=order.legal_entity_id,
        booked_on=booked_on, now=now,
    )  # fmt: skip
    provider_fees.book(
        tx, payment, [report.fee] if report.fee else [], legal_entity_id=order.legal_entity_id, booked_on=booked_on,
        now=now,
    )  # fmt: skip
    _announce(scene, invoice, actor="provider", payment=payment.id)


def complete_on_invoice(tx: Tx, ports: Ports, order: Order, *, net_days: int, bridge_days: int, now: datetime) -> None:
    """Fulfil an order that is paid later: its invoice is open, its license ends `bridge_days` after that is due.

    What the customer has to their credit is spent on it. The caller holds the order's lock and has seen that the buyer
    may order so (R-ORD-1).
    """
    scene = _scene(tx, ports, order, now)
    invoice = _fulfil(scene, net_days=net_days, bridge_days=bridge_days, actor="buyer")
    if invoice is not None and order.kind is not OrderKind.EXPANSION:  # a change has spent what it gives back
        crediting.pay_from_credit(tx, invoice, actor="billing", now=now)
    _announce(scene, invoice, actor="buyer")


def complete_without_payment(tx: Tx, ports: Ports, order: Order, now: datetime) -> None:
    """Fulfil an order of which nothing is left to be paid now: customer credit or what an old plan gives back covers
    it, or a change is so little that it goes on the next invoice (R-PRO-6, R-PRO-8). The caller has seen that the order
    is due nothing.
    """
    scene = _scene(tx, ports, order, now)
    _announce(scene, _fulfil(scene, net_days=0, bridge_days=None, actor="buyer"), actor="buyer")


def without(tx: Tx, ports: Ports, order: Order, *, by: str, now: datetime) -> License | None:
    """Take back what a refunded change brought: its seats and add-ons, and a new license without them takes the place
    of the one that has them. None where its term is over.
    """
    held = changing.take_back(tx, order, now)
    if held is None:
        return None
    for each in licenses.of_subscription(tx, held.id):
        if each.order_id == order.id and each.state is not LicenseState.REVOKED:
            licenses.revoke(tx, each.id, reason="refund_full", by=by, now=now)
    scene = _as_held(_scene(tx, ports, order, now), held)
    license_ = _license(scene, held, Period(held.starts_on, held.ends_on))
    _grant(scene, held, license_)
    _provision(scene, held, license_)
    return license_


def replace_bridge(tx: Tx, ports: Ports, order: Order, now: datetime) -> License | None:
    """The full license in place of the bridge, now that the order's invoice is paid; for the term that it bought.

    None where the bridge does not stand any more: revoked, or overtaken by the license of a later order. The bridge is
    the last that a customer gets to whom nothing may be delivered by now.
    """
    if export_gate.barred(tx, order.account_id, now) is not None:
        events.append(tx, "license.withheld", order.id, now=now, account_id=order.account_id)
        return None
    bridge = licenses.of_order(tx, order.id)
    bought = _term_bought(tx, order)
    if bought is None or bridge is None or not bridge.bridge or bridge.state is not LicenseState.ACTIVE:
        return None
    subscription = subscriptions.get(tx, order.subscription_id or "")
    scene = _scene(tx, ports, order, now)
    if order.kind is OrderKind.EXPANSION:
        scene = _as_held(scene, subscription)
    full = _license(scene, subscription, bought)
    if full is None:
        return None  # paid after its term was over
    entitlements.extend(tx, order.id, full.expires_at)
    _provision(scene, subscription, full)
    return full


def _term_bought(tx: Tx, order: Order) -> Period | None:
    """The term an order paid for; of a change, the one it is co-termed to."""
    if order.kind is OrderKind.EXPANSION and order.subscription_id is not None:
        held = subscriptions.get(tx, order.subscription_id)
        return Period(held.starts_on, held.ends_on)
    bought = subscriptions.term_of_order(tx, order.id)
    return Period(bought.starts_on, bought.ends_on) if bought is not None else None


def _fulfil(scene: _Scene, *, net_days: int, bridge_days: int | None, actor: str) -> Invoice | None:
    """Everything that follows from an order, up to its open invoice; None where a change is invoiced later."""
    tx, order, now = scene.tx, scene.order, scene.now
    orders.move(order, OrderState.COMPLETED)
    order.completed_at = now
    credit.let_go(tx, order.id)
    coupons.redeem(tx, order.id, now)
    subscription = _subscribe(scene)
    expansion = order.kind is OrderKind.EXPANSION
    if expansion:
        scene = _as_held(scene, subscription)
    period = subscriptions.billed_period(subscription)
    license_ = _license(
        scene, subscription, period, bridge_days=None if bridge_days is None else net_days + bridge_days
    )
    _grant(scene, subscription, license_)
    if order.kind is OrderKind.PURCHASE:
        trial.end_by_order(tx, order, license_, now)
    if order.kind in {OrderKind.PURCHASE, OrderKind.RENEWAL}:
        reminders.schedule(tx, subscription, now)
    if order.kind is not OrderKind.INSTALMENT:
        _invite_to_survey(scene)
    _provision(scene, subscription, license_)
    changing.bill_carried(tx, order, scene.preview)
    supply = invoicing.Supply(order, scene.preview, scene.entity, scene.lines, subscription.id, period)
    if expansion:
        return changing.invoice_of(tx, supply, net_days=net_days, actor=actor, now=now)
    invoice = invoicing.issue(tx, supply, net_days=net_days, now=now)
    own_credit.spend(tx, order, invoice, now)
    return invoice


def _announce(scene: _Scene, invoice: Invoice | None, *, actor: str, payment: str | None = None) -> None:
    tx, order, now = scene.tx, scene.order, scene.now
    license_ = licenses.of_order(tx, order.id)
    license_id, invoice_id = license_.id if license_ else None, invoice.id if invoice else None
    told = completed_event(order, invoice_id, license_id)
    events.append(tx, told.kind, order.id, now=now, account_id=order.account_id, **told.data)
    deed = completed_deed(order, invoice.number if invoice else None, license_id, actor=actor, payment=payment)
    audit.record(tx, deed.chain, actor=deed.actor, action=deed.action, subject=deed.subject, now=now,
                 details=deed.details)  # fmt: skip
    jobs.defer(tx, TELL, order_id=order.id)


def _scene(tx: Tx, ports: Ports, order: Order, now: datetime) -> _Scene:
    lines = orders.lines(tx, order.id)
    plans = catalog.plans_by_id(tx, [line.plan_id for line in lines])
    return _Scene(
        tx=tx, ports=ports, now=now, order=order, preview=tx.get_one(Preview, order.preview_id),
        account=accounts.get(tx, order.account_id), entity=tx.get_one(LegalEntity, order.legal_entity_id),
        lines=lines, plan=plans[lines[0].plan_id], plans=plans, seats=lines[0].quantity,
    )  # fmt: skip


def _as_held(scene: _Scene, subscription: Subscription) -> _Scene:
    """The scene of a change: not what the order adds, but what the subscription holds with it."""
    held = subscriptions.lines(scene.tx, subscription.id)
    plans = catalog.plans_by_id(scene.tx, [line.plan_id for line in held])
    seats = next(line.quantity for line in held if line.plan_id == subscription.plan_id)
    return replace(scene, plan=plans[subscription.plan_id], plans=plans, seats=seats)


def _subscribe(scene: _Scene) -> Subscription:
    order, currency = scene.order, scene.order.currency
    if order.kind is OrderKind.EXPANSION:
        return changing.carry_out(scene.tx, order, scene.preview, scene.now)
    if order.kind is OrderKind.INSTALMENT:
        return _bill_year(scene)
    bought = bought_of(scene.lines, currency, quoted=scene.preview.source is OfferSource.QUOTE)
    billing = Billing(scene.preview.inputs.get("billing", Billing.PREPAID))
    if order.kind is OrderKind.RENEWAL and order.subscription_id and order.term_starts_on:
        subscription = subscriptions.lock(scene.tx, order.subscription_id)
        period = next_period(subscription, order.term_starts_on, scene.preview)
        subscriptions.renew(scene.tx, subscription, period=period, order_id=order.id, lines=bought, billing=billing)
        applied = scheduled.apply(scene.tx, subscription, order.id, now=scene.now)
        if applied is not None:
            events.append(scene.tx, "subscription.change_applied", subscription.id, now=scene.now,
                          account_id=order.account_id, change=applied.id, order=order.id)  # fmt: skip
        kind = RENEWED
    else:
        interval, months = scene.preview.inputs["interval"], months_of(scene.preview)
        period = term(local_date(scene.now, scene.account.time_zone), months)
        subscription = subscriptions.begin(
            scene.tx, account_id=order.account_id, legal_entity_id=order.legal_entity_id, order_id=order.id,
            plan_id=scene.plan.id, interval=interval, term_months=months, period=period,
            time_zone=scene.account.time_zone, grace_days=scene.plan.grace_days, contact_name=order.buyer_name,
            contact_email=order.buyer_email, currency=currency, lines=bought, now=scene.now,
            coupon=_running(order, period), billing=billing,
        )  # fmt: skip
        order.subscription_id = subscription.id
        kind = "subscription.started"
    told = carried_event(kind, subscription, period, scene.lines[0].quantity)
    events.append(scene.tx, told.kind, subscription.id, now=scene.now, account_id=told.account_id, **told.data)
    return subscription


def _bill_year(scene: _Scene) -> Subscription:
    """The subscription goes on into the next year of its term, at the lines that it has."""
    order = scene.order
    if order.term_starts_on is None:
        raise ValueError(f"instalment {order.id} is for no year")
    subscription = subscriptions.lock(scene.tx, order.subscription_id or "")
    year = subscriptions.bill(scene.tx, subscription, order.id, order.term_starts_on)
    events.append(
        scene.tx, "subscription.billed", subscription.id, now=scene.now, account_id=order.account_id,
        starts_on=year.start.isoformat(), ends_on=year.end.isoformat(), seats=scene.lines[0].quantity,
    )  # fmt: skip
    return subscription


def _running(order: Order, period: Period) -> RunningCoupon | None:
    """The coupon, if it goes on: for terms that begin within its months, counted from the first day."""
    terms = order.discount
    if terms is None or terms["duration"] == CouponDuration.ONCE:
        return None
    months = terms["months"]
    until = term(period.start, months).end if months else None
    return RunningCoupon(terms["coupon_id"], until)


def _license(
    scene: _Scene, subscription: Subscription, period: Period, *, bridge_days: int | None = None
) -> License | None:  # fmt: skip
    """The plan's license, with the flags of its add-ons; it takes the place of the one before it.

    None for a term that is over by the time it is paid, as when a billing run was away for long: no server would take
    the file, and the term that follows has a license of its own.
    """
    begins_at = start_of(period.start, subscription.time_zone)
    grant = grant_of(
        order=scene.order, plan=scene.plan, plans=list(scene.plans.values()), seats=scene.seats,
        company=scene.preview.inputs["buyer"]["company"], subscription=subscription, period=period, now=scene.now,
    )  # fmt: skip
    if grant is None:
        return None
    present = licenses.present(scene.tx, subscription.id, begins_at, scene.now) if begins_at > scene.now else None
    if bridge_days is not None:
        last_day = local_date(scene.now, scene.entity.time_zone) + timedelta(days=bridge_days)
        over_at = start_of(last_day + timedelta(days=1), subscription.time_zone)
        grant = replace(grant, expires_at=min(grant.expires_at, over_at), bridge=True)
    # More counts at once; of less the file is released when the present term ends (R-LIC-7).
    coming = {"users": scene.seats, **grant.flags}
    held_back = present is not None and bridge_days is None and _is_less(present, coming)
    if held_back:
        grant = replace(grant, starts_at=begins_at)
    license_ = licenses.issue(scene.tx, scene.ports.secrets, grant, scene.now)
    # More seats on invoice have a bridge of their own: what was paid before goes on beside it, and after it.
    if not (license_.bridge and scene.order.kind is OrderKind.EXPANSION):
        licenses.supersede(scene.tx, license_, scene.now, keep=present.id if present and held_back else None)
    return license_


def _is_less(present: License, coming: Mapping[str, Any]) -> bool:
    """Whether something of the present license is missing in what comes: seats, or a flag of a plan or add-on."""
    return any(
        (coming.get(name) or 0) < value if type(value) is int else bool(value) and not coming.get(name)
        for name, value in present.entitlements.items()
    )


def _grant(scene: _Scene, subscription: Subscription, license_: License | None) -> None:
    """The entitlements of the license, for as long as it lasts."""
    if license_ is None:
        return
    starts_at = license_.starts_at
    if scene.order.kind is OrderKind.EXPANSION:
        starts_at = max(starts_at, scene.now)
        if not license_.bridge:  # a bridge runs beside what was paid before
            entitlements.give_way(scene.tx, orders.ids_of_subscription(scene.tx, subscription.id), starts_at)
    entitlements.grant(
        scene.tx, account_id=scene.account.id, order_id=scene.order.id, values=license_.entitlements,
        starts_at=starts_at, ends_at=license_.expires_at,
    )  # fmt: skip


def _invite_to_survey(scene: _Scene) -> None:
    """Always recorded, asked or suppressed with a reason (R-NPS-1)."""
    order, buyer = scene.order, scene.preview.inputs["buyer"]
    surveys.invite(
        scene.tx, scene.ports.secrets, kind=SurveyKind(str(order.kind)), order_id=order.id,
        account_id=order.account_id, email=order.buyer_email, person_name=order.buyer_name,
        segment=segment_of(order, scene.preview, scene.plan.sku, scene.seats),
        locale=buyer["locale"], country=buyer["country"], test=order.test, now=scene.now,
    )  # fmt: skip


def _provision(scene: _Scene, subscription: Subscription, license_: License | None) -> None:
    """A cloud plan gets its workspace, a renewed one its new license, and what slept unpaid wakes (R-PRV-3)."""
    if license_ is None or license_.starts_at > scene.now:
        return
    if scene.plan.family is Family.CLOUD:
        provisioning.provide(scene.tx, subscription, license_, region=None, now=scene.now)
    consequences.apply(scene.tx, Fact.RECOVERED, subscription.id, now=scene.now)
