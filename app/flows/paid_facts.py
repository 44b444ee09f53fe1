"""What the completion of many paid renewals is made from, read in a handful of queries (ADR 0036)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlmodel import col

from app.accounts.models import LegalEntity
from app.agreements import contracts
from app.agreements.models import CustomAgreement
from app.catalog import service as catalog
from app.catalog.models import CouponRedemption, Family, Plan
from app.core import bulk, keys
from app.core.bulk import among
from app.core.db import Tx
from app.core.money import Money
from app.dunning.models import DunningItem
from app.flows import export_gate, invoicing, reminders
from app.flows.due_facts import grouped
from app.flows.ports import Ports
from app.licenses import service as licenses
from app.licenses.models import License, LicenseState
from app.orders.models import Order, OrderKind, OrderLine, OrderState, PayBy, Preview
from app.payments import answers
from app.payments.models import AttemptState, ChargeAnswer, PaymentAttempt
from app.payments.provider import PaymentReport
from app.subscriptions.models import Subscription, SubscriptionLine, SubscriptionState
from app.surveys import service as surveys
from app.surveys.models import SurveyKind
from app.tax.determination import Determination
from app.tax.models import TaxDetermination
from app.workspaces.models import BillingHold


@dataclass(frozen=True, slots=True)
class Paid:
    """A paid renewal with everything that its completion reads."""

    answer: ChargeAnswer
    attempt: PaymentAttempt
    order: Order
    report: PaymentReport
    subscription: Subscription
    lines: Sequence[OrderLine]
    preview: Preview
    determination: Determination
    plans: Sequence[Plan]  # of the lines, in their order
    held: Sequence[SubscriptionLine]
    licenses: Sequence[License]  # in force until now
    person: str  # the hash of the buyer's address

    @property
    def seats(self) -> int:
        return self.lines[0].quantity


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything else: what holds for all of them, and what was found about some."""

    kid: str
    key: Any
    rules: surveys.Rules
    reminder_days: dict[int, list[int]]  # by months of the term
    sellers: dict[str, tuple[LegalEntity, dict[str, Any]]]
    agreements: dict[str, CustomAgreement]
    file_ids: set[str]
    opted_out: set[str]
    asked: set[str]


@dataclass(frozen=True, slots=True)
class Sorted:
    """Answers by what is to be done: complete them together, leave them to the single path, or nothing any more."""

    plain: list[Paid]
    single: list[PaymentReport]
    over: list[str]


def lock(tx: Tx, ports: Ports, attempt_ids: Sequence[str], now: datetime) -> Sorted:
    """Those of these answers that nobody else is at; attempts, orders and subscriptions are locked, in this order."""
    taken = {each.attempt_id: each for each in answers.lock(tx, attempt_ids)}
    attempts = bulk.read(tx, PaymentAttempt, among(col(PaymentAttempt.id), taken), order_by="id", lock=True)
    order_ids = [each.order_id for each in taken.values()]
    orders = {each.id: each for each in bulk.read(tx, Order, among(col(Order.id), order_ids), order_by="id", lock=True)}
    over = [each.id for each in attempts if _is_over(each, orders[each.order_id])]
    rest = [each for each in attempts if each.id not in set(over)]
    plain = _plain(tx, ports, taken, rest, orders, now)
    alone = {each.id for each in rest} - {each.attempt.id for each in plain}
    return Sorted(plain, [answers.report_of(taken[each]) for each in sorted(alone)], over)


def _is_over(attempt: PaymentAttempt, order: Order) -> bool:
    """Somebody was quicker and completed the order with this very charge."""
    return attempt.state is AttemptState.SUCCEEDED and order.state is OrderState.COMPLETED


def _plain(
    tx: Tx, ports: Ports, taken: dict[str, ChargeAnswer], attempts: Sequence[PaymentAttempt], orders: dict[str, Order],
    now: datetime,
) -> list[Paid]:  # fmt: skip
    """Those without anything that a completion has to look at twice."""
    ids = [each.order_id for each in attempts]
    subscription_ids = [orders[each].subscription_id or "" for each in ids]
    subscriptions = {
        each.id: each
        for each in bulk.read(tx, Subscription, among(col(Subscription.id), subscription_ids), order_by="id", lock=True)
    }
    lines = grouped(bulk.read(tx, OrderLine, among(col(OrderLine.order_id), ids), order_by="position"), "order_id")
    held = grouped(
        bulk.read(tx, SubscriptionLine, among(col(SubscriptionLine.subscription_id), subscription_ids), order_by="id"),
        "subscription_id",
    )
    plans = catalog.plans_by_id(tx, sorted({line.plan_id for group in lines.values() for line in group}))
    wanted = among(col(Preview.id), [orders[each].preview_id for each in ids])
    previews = {each.id: each for each in bulk.read(tx, Preview, wanted, only=("id", "inputs"))}
    taxes = {
        row.id: Determination.from_json(row.result)
        for row in tx.execute(
            select(col(TaxDetermination.id), col(TaxDetermination.result)).where(
                among(col(TaxDetermination.id), [orders[each].tax_determination_id for each in ids])
            )
        )
    }
    running = (
        among(col(License.subscription_id), subscription_ids), col(License.state) == LicenseState.ACTIVE,
    )  # fmt: skip
    columns = ("id", "account_id", "subscription_id", "issued_at", "label", "environment", "server")
    force = grouped(bulk.read(tx, License, *running, only=columns, order_by="id", lock=True), "subscription_id")
    special = _special(tx, ids, list(subscriptions))
    barred = export_gate.barred_among(tx, {orders[each].account_id for each in ids}, now)
    found = []
    for attempt in attempts:
        order, answer = orders[attempt.order_id], taken[attempt.id]
        subscription = subscriptions.get(order.subscription_id or "")
        if subscription is None or order.id in special or subscription.id in special or order.account_id in barred:
            continue
        paid = Paid(
            answer=answer, attempt=attempt, order=order, report=answers.report_of(answer), subscription=subscription,
            lines=lines[order.id], preview=previews[order.preview_id], determination=taxes[order.tax_determination_id],
            plans=[plans[line.plan_id] for line in lines[order.id]], held=held[subscription.id],
            licenses=force[subscription.id], person=surveys.person_hash(ports.secrets, order.buyer_email),
        )  # fmt: skip
        if _is_plain(paid) and not export_gate.forbidden(paid.preview.inputs["buyer"], now.date()):
            found.append(paid)
    return found


def _special(tx: Tx, order_ids: Sequence[str], subscription_ids: Sequence[str]) -> set[str]:
    """Orders that are collected or redeem a coupon, subscriptions whose workspace sleeps."""
    return {
        *tx.execute(select(col(DunningItem.order_id)).where(among(col(DunningItem.order_id), order_ids))).scalars(),
        *tx.execute(
            select(col(CouponRedemption.order_id)).where(among(col(CouponRedemption.order_id), order_ids))
        ).scalars(),
        *tx.execute(
            select(col(BillingHold.subscription_id)).where(among(col(BillingHold.subscription_id), subscription_ids))
        ).scalars(),
    }


def _is_plain(paid: Paid) -> bool:
    """A renewal by card of what is held, running and licensed, of plans without a workspace, taxed by us."""
    order, subscription = paid.order, paid.subscription
    return (
        (order.kind, order.state, order.pay_by) == (OrderKind.RENEWAL, OrderState.AWAITING_PAYMENT, PayBy.CARD)
        and paid.determination.calculation is None
        and paid.attempt.state in {AttemptState.UNKNOWN, AttemptState.PENDING}
        and paid.report.amount == Money(order.total_minor, order.currency)
        and order.term_starts_on is not None
        and subscription.state is SubscriptionState.ACTIVE
        and paid.plans[0].family is not Family.CLOUD
        and bool(paid.licenses)
        and {line.plan_id for line in paid.lines} == {line.plan_id for line in paid.held}
    )


def about(tx: Tx, ports: Ports, paid: Sequence[Paid], now: datetime) -> Facts:
    """What their completion reads beside their own rows. Raises NoSigningKey."""
    kid, key = keys.license_key(tx, ports.secrets, now)
    rules = surveys.Rules.read(tx, SurveyKind.RENEWAL, now)
    people = sorted({each.person for each in paid})
    entities = {each.order.legal_entity_id for each in paid}
    sellers = {}
    for entity_id in entities:
        entity = tx.get_one(LegalEntity, entity_id)
        sellers[entity_id] = (entity, invoicing.seller_snapshot(tx, entity))
    return Facts(
        kid=kid, key=key, rules=rules,
        reminder_days={months: reminders.days_of(tx, months, now) for months in
                       {each.subscription.term_months for each in paid}},
        sellers=sellers, agreements=contracts.in_force_of(tx, [each.order.account_id for each in paid], now),
        file_ids=licenses.previous_ids(tx, [each.subscription.id for each in paid]),
        opted_out=surveys.opted_out(tx, people),
        asked=surveys.asked_since(tx, people, now + rules.mail_after - rules.quiet),
    )  # fmt: skip
