"""From money received to something the customer can run: one transaction, for purchases and renewals alike.

Everything here is written together or not at all: payment, subscription, invoice with its number, postings,
entitlements, license, survey invitation, events. Mails, workspaces and webhooks follow as jobs that this
same transaction puts on the queue.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from app.accounts import service as accounts
from app.accounts.models import Account, LegalEntity
from app.agreements import contracts
from app.catalog import service as catalog
from app.catalog.models import Family, Plan
from app.core import audit, events, jobs
from app.core.clock import local_date, start_of
from app.core.db import Tx
from app.core.i18n import translate
from app.core.money import Money
from app.entitlements import service as entitlements
from app.flows import provisioning, reminders
from app.flows.ports import Ports
from app.invoices import service as invoices
from app.invoices.models import Invoice
from app.ledger import service as ledger
from app.ledger.service import Code, Leg
from app.licenses import service as licenses
from app.licenses.claims import LicenseCustomer
from app.licenses.models import License
from app.licenses.service import Grant
from app.orders import service as orders
from app.orders.models import OfferSource, Order, OrderKind, OrderLine, OrderState, Preview
from app.payments import service as payments
from app.payments.models import Payment, PaymentAttempt
from app.payments.provider import PaymentReport
from app.subscriptions import service as subscriptions
from app.subscriptions.models import Subscription
from app.subscriptions.periods import MONTHS, Period, term
from app.subscriptions.service import LineBought
from app.surveys import service as surveys
from app.surveys.models import SurveyKind
from app.tax import service as tax
from app.tax.determination import Determination

# The rule of an invoice line whose amount a quote fixed (R-PRO-4).
QUOTED: Final = "quoted"


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
    plan: Plan  # of the first line
    plans: dict[str, Plan]


def complete(
    tx: Tx, ports: Ports, order: Order, attempt: PaymentAttempt, report: PaymentReport, now: datetime
) -> None:  # fmt: skip
    """Fulfil a paid order. The caller holds the order's lock and has seen that it is not completed."""
    scene = _scene(tx, ports, order, now)
    payment = payments.record(tx, attempt, report, now)
    if report.method is not None:
        payments.keep_method(tx, order.account_id, attempt.provider, report.method, now)
    orders.move(order, OrderState.COMPLETED)
    order.completed_at = now
    subscription = _subscribe(scene)
    period = Period(subscription.starts_on, subscription.ends_on)
    license_ = _license(scene, subscription, period)
    reminders.schedule(tx, subscription, now)
    _invite_to_survey(scene)
    _provision(scene, subscription, license_)
    # Last, because the counter's lock makes every other completion wait until this one commits.
    invoice = _invoice(scene, subscription, period)
    _book(scene, invoice, payment)
    events.append(
        tx, "order.completed", order.id, now=now, account_id=order.account_id, kind=str(order.kind),
        subscription=subscription.id, invoice=invoice.id, license=license_.id,
        total={"amount": order.total_minor, "currency": order.currency},
    )  # fmt: skip
    audit.record(tx, order.account_id, actor="provider", action="order.completed", subject=order.id, now=now,
                 details={"payment": payment.id, "invoice": invoice.number, "license": license_.id})  # fmt: skip
    jobs.defer(tx, "notify.order_completed", order_id=order.id)


def _scene(tx: Tx, ports: Ports, order: Order, now: datetime) -> _Scene:
    lines = orders.lines(tx, order.id)
    plans = catalog.plans_by_id(tx, [line.plan_id for line in lines])
    return _Scene(
        tx=tx, ports=ports, now=now, order=order, preview=tx.get_one(Preview, order.preview_id),
        account=accounts.get(tx, order.account_id), entity=tx.get_one(LegalEntity, order.legal_entity_id),
        lines=lines, plan=plans[lines[0].plan_id], plans=plans,
    )  # fmt: skip


def _subscribe(scene: _Scene) -> Subscription:
    order, currency = scene.order, scene.order.currency
    bought = [
        LineBought(
            plan_id=line.plan_id, price_id=line.price_id, sku=line.sku, description=line.description,
            quantity=line.quantity, unit=Money(line.unit_minor, currency), net=Money(line.net_minor, currency),
        )
        for line in scene.lines
    ]  # fmt: skip
    interval = scene.preview.inputs["interval"]
    months = MONTHS[interval]
    if order.kind is OrderKind.RENEWAL and order.subscription_id and order.term_starts_on:
        subscription = subscriptions.lock(scene.tx, order.subscription_id)
        anchor = subscription.anchor_day if order.term_starts_on == subscription.ends_on else None
        period = term(order.term_starts_on, months, anchor)
        subscriptions.renew(scene.tx, subscription, period=period, order_id=order.id, lines=bought)
        kind = "subscription.renewed"
    else:
        period = term(local_date(scene.now, scene.account.time_zone), months)
        subscription = subscriptions.begin(
            scene.tx, account_id=order.account_id, legal_entity_id=order.legal_entity_id, order_id=order.id,
            plan_id=scene.plan.id, interval=interval, term_months=months, period=period,
            time_zone=scene.account.time_zone, grace_days=scene.plan.grace_days, contact_name=order.buyer_name,
            contact_email=order.buyer_email, currency=currency, lines=bought, now=scene.now,
        )  # fmt: skip
        order.subscription_id = subscription.id
        kind = "subscription.started"
    events.append(
        scene.tx, kind, subscription.id, now=scene.now, account_id=order.account_id,
        starts_on=period.start.isoformat(), ends_on=period.end.isoformat(), seats=scene.lines[0].quantity,
    )  # fmt: skip
    return subscription


def _license(scene: _Scene, subscription: Subscription, period: Period) -> License:
    """The plan's license, with the flags of its add-ons; a renewal's takes the old one's place."""
    starts_at = min(scene.now, start_of(period.start, subscription.time_zone))
    expires_at = start_of(period.end, subscription.time_zone)
    flags: dict[str, Any] = {}
    for plan in scene.plans.values():
        flags |= plan.flags
    seats = scene.lines[0].quantity
    license_ = licenses.issue(
        scene.tx, scene.ports.secrets,
        Grant(
            account_id=scene.account.id, subscription_id=subscription.id, order_id=scene.order.id,
            plan_id=scene.plan.id, plan_name=scene.plan.name, sku=scene.plan.sku,
            license_sku=scene.plan.license_sku, flags=flags, seats=seats, starts_at=starts_at,
            expires_at=expires_at, grace_days=scene.plan.grace_days,
            customer=LicenseCustomer(
                id=scene.account.id, name=scene.order.buyer_name, email=scene.order.buyer_email,
                company=scene.preview.inputs["buyer"]["company"],
            ),
        ),
        scene.now,
    )  # fmt: skip
    licenses.supersede(scene.tx, license_, scene.now)
    entitlements.grant(
        scene.tx, account_id=scene.account.id, subscription_id=subscription.id, order_id=scene.order.id,
        values={"users": seats, **flags}, starts_at=starts_at, ends_at=expires_at,
    )  # fmt: skip
    return license_


def _invite_to_survey(scene: _Scene) -> None:
    """Always recorded, asked or suppressed with a reason (R-NPS-1)."""
    order, buyer = scene.order, scene.preview.inputs["buyer"]
    seats = scene.lines[0].quantity
    surveys.invite(
        scene.tx, scene.ports.secrets, kind=SurveyKind(str(order.kind)), order_id=order.id,
        account_id=order.account_id, email=order.buyer_email, person_name=order.buyer_name,
        segment={
            "plan": scene.plan.sku, "country": buyer["country"], "route": str(order.route),
            "seats": _seats_band(seats), "interval": scene.preview.inputs["interval"],
        },
        locale=buyer["locale"], country=buyer["country"], test=order.test, now=scene.now,
    )  # fmt: skip


def _seats_band(seats: int) -> str:
    return next(
        band for most, band in ((25, "1-25"), (100, "26-100"), (500, "101-500"), (10**9, "over 500")) if seats <= most
    )


def _provision(scene: _Scene, subscription: Subscription, license_: License) -> None:
    """A cloud plan gets its workspace, and a renewed one its new license."""
    if scene.plan.family is Family.CLOUD:
        provisioning.provide(scene.tx, subscription, license_, region=None, now=scene.now)


def _invoice(scene: _Scene, subscription: Subscription, period: Period) -> Invoice:
    order, currency = scene.order, scene.order.currency
    determination = tax.stored(scene.tx, order.tax_determination_id)
    draft = invoices.draft(
        scene.tx,
        invoices.InvoiceDraft(
            account_id=order.account_id, legal_entity_id=order.legal_entity_id, order_id=order.id,
            subscription_id=subscription.id, series=scene.entity.invoice_series, currency=currency,
            supply_from=period.start, supply_to=period.end, seller=seller_snapshot(scene.tx, scene.entity),
            buyer=_buyer_snapshot(scene),
            notes=_notes(scene, determination), po_number=order.po_number,
            tax_determination_id=order.tax_determination_id, test=order.test,
            lines=[_invoice_line(line, currency, period, scene.preview.source) for line in scene.lines],
            taxes=_tax_groups(determination),
        ),
        scene.now,
    )  # fmt: skip
    today = local_date(scene.now, scene.entity.time_zone)
    return invoices.finalize(scene.tx, draft, issued_on=today, due_on=today, now=scene.now)


def _notes(scene: _Scene, determination: Determination) -> tuple[str, ...]:
    """What the law asks for, and that an agreement of this customer applies (in their language)."""
    special = contracts.in_force(scene.tx, scene.order.account_id, scene.now)
    said = translate(scene.preview.inputs["buyer"]["locale"])
    agreed = said("The agreement “%(title)s” applies.", title=special.title) if special else ""
    return tuple(note for note in (determination.note, agreed) if note)


def _invoice_line(line: OrderLine, currency: str, period: Period, source: OfferSource) -> invoices.LineDraft:
    return invoices.LineDraft(
        sku=line.sku, description=line.description, quantity=line.quantity, unit=Money(line.unit_minor, currency),
        net=Money(line.net_minor, currency), tax=Money(line.tax_minor, currency), period_from=period.start,
        period_to=period.end, numerator=period.days, denominator=period.days,
        rule=QUOTED if source is OfferSource.QUOTE else "full_period",
    )  # fmt: skip


def _tax_groups(determination: Determination) -> list[invoices.TaxGroup]:
    return [
        invoices.TaxGroup(
            jurisdiction=part.jurisdiction, name=part.name, rate=part.rate, taxable=part.taxable, amount=part.amount
        )
        for part in determination.components
    ]


def seller_snapshot(tx: Tx, entity: LegalEntity) -> dict[str, Any]:
    """The seller as a document keeps it."""
    registrations = [
        {"jurisdiction": each.jurisdiction, "number": each.number}
        for each in accounts.registrations(tx, entity.id)
        if each.number
    ]
    return {
        "name": entity.name, "line1": entity.line1, "line2": entity.line2, "city": entity.city,
        "region": entity.region, "postcode": entity.postcode, "country": entity.country, "email": entity.email,
        "registrations": registrations, "payment_details": entity.payment_details,
    }  # fmt: skip


def _buyer_snapshot(scene: _Scene) -> dict[str, Any]:
    return {**scene.preview.inputs["buyer"], "tax_ids": scene.preview.inputs["tax_ids"]}


def _book(scene: _Scene, invoice: Invoice, payment: Payment) -> None:
    """The receivable against deferred revenue and tax by jurisdiction; then the money against the receivable."""
    currency = invoice.currency
    gross, net = Money(invoice.total_minor, currency), Money(invoice.net_minor, currency)
    taxes = [
        Leg(Code.TAX, Money(-group.tax_minor, currency), group.jurisdiction)
        for group in invoices.taxes(scene.tx, invoice.id)
    ]
    today = invoice.issued_on or local_date(scene.now, scene.entity.time_zone)
    ledger.book(
        scene.tx, source=f"invoice:{invoice.id}", kind="invoice", account_id=invoice.account_id,
        legal_entity_id=invoice.legal_entity_id, booked_on=today, memo=f"Invoice {invoice.number}",
        legs=[Leg(Code.RECEIVABLE, gross), Leg(Code.DEFERRED, -net), *taxes], now=scene.now,
    )  # fmt: skip
    paid = Money(payment.amount_minor, payment.currency)
    ledger.book(
        scene.tx, source=f"payment:{payment.id}", kind="payment", account_id=invoice.account_id,
        legal_entity_id=invoice.legal_entity_id, booked_on=today, memo=f"Payment of {invoice.number}",
        legs=[Leg(Code.CLEARING, paid, payment.provider), Leg(Code.RECEIVABLE, -paid)], now=scene.now,
    )  # fmt: skip
    invoices.mark_paid(scene.tx, invoice, scene.now)
    events.append(scene.tx, "invoice.paid", invoice.id, now=scene.now, account_id=invoice.account_id,
                  number=invoice.number, total={"amount": invoice.total_minor, "currency": currency})  # fmt: skip
