"""What the renewal of many subscriptions is made from, read in a handful of queries (ADR 0036)."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final, TypeVar

from sqlalchemy import func, select, union_all
from sqlalchemy.dialects.postgresql import distinct_on
from sqlmodel import col

from app.accounts.models import AccountTaxId
from app.agreements import contracts
from app.agreements.models import CustomAgreement
from app.catalog import coupons
from app.catalog.models import Coupon, Interval, Plan, Price
from app.core import bulk, jobs, policy
from app.core.bulk import among
from app.core.db import Tx
from app.dunning.ladder import CHARGES_A_DAY
from app.dunning.models import AutomaticCharge
from app.flows import attesting, billing_run, confirming
from app.flows.market import Tables
from app.flows.ports import Ports
from app.flows.preview_request import UNCHECKED, PreviewRequest, TaxIdGiven
from app.orders.models import Order, OrderKind, OrderState, Preview
from app.payments import credit
from app.payments.models import PaymentMethod
from app.screening import lists
from app.screening import service as screening
from app.subscriptions import service as subscriptions
from app.subscriptions.models import ScheduledChange, ScheduledState, Subscription, SubscriptionLine
from app.tax import certificates
from app.tax import request as taxing
from app.tax import service as tax
from app.tax.calculations import TaxUnasked
from app.tax.determination import Determination
from app.tax.models import ExemptionCertificate

_DAY: Final = timedelta(days=1)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Due:
    """A subscription whose next term is to be ordered. `plain` is False for what the single path has to decide: no
    card, too many charges, a term that is billed yearly, anything that was ever changed or is to change, an account
    that has credit to pay with, a name like a listed one, or to say who does not own it.

    `confirmations` are what registries said lately of its numbers, as those are written there.
    """

    subscription: Subscription
    lines: Sequence[SubscriptionLine]
    buyer: Mapping[str, Any]
    tax_ids: Sequence[AccountTaxId]
    card: PaymentMethod | None
    plain: bool
    confirmations: Mapping[tuple[str, str], TaxIdGiven]

    def unasked(self, answers: Mapping[tuple[str, str], TaxIdGiven]) -> tuple[TaxIdGiven, ...]:
        """The numbers that a registry has to be asked about first. Raises Invalid for a malformed one."""
        if not self.plain:
            return ()
        return tuple(each for each in self.confirmed(answers) if each.status == UNCHECKED)

    def confirmed(self, answers: Mapping[tuple[str, str], TaxIdGiven]) -> tuple[TaxIdGiven, ...]:
        """The numbers with what their registries say of them, lately or in this run. Raises Invalid."""
        country = str(self.buyer["country"])
        numbers = [(each, (each.type, tax.normalized(each.type, each.value, country))) for each in self.tax_ids]
        return tuple(
            confirming.confirmed_by_hand(kept) or answers.get(number) or self.confirmations.get(number)
            or TaxIdGiven(*number)
            for kept, number in numbers
        )  # fmt: skip


class Loaded(Tables):
    """The market of a moment, every plan, price, agreement and certificate read once."""

    def __init__(self, tx: Tx, found: Sequence[Due], now: datetime) -> None:
        super().__init__(tx, now)
        self._subscriptions = {due.subscription.id: due.subscription for due in found}
        self._plans: dict[str, Plan] = {}
        self._prices: dict[tuple[str, str, Interval, date], Price] = {}
        self._coupons: dict[str, Coupon] = {}
        self._limits = super().thresholds
        account_ids = [due.subscription.account_id for due in found]
        self._agreements = contracts.in_force_of(tx, account_ids, now)
        self._certificates = certificates.of_accounts(tx, account_ids)

    @property
    def thresholds(self) -> Mapping[str, int]:
        return self._limits

    def plan(self, sku: str) -> Plan:
        if sku not in self._plans:
            self._plans[sku] = super().plan(sku)
        return self._plans[sku]

    def price(self, plan: Plan, currency: str, interval: Interval, day: date) -> Price:
        key = (plan.id, currency, interval, day)
        if key not in self._prices:
            self._prices[key] = super().price(plan, currency, interval, day)
        return self._prices[key]

    def coupon(self, wanted: PreviewRequest, today: date) -> Coupon | None:
        held = self._subscriptions[wanted.subscription_id or ""]
        running = subscriptions.running_coupon(held, subscriptions.next_start(held, today))
        if running is not None and running not in self._coupons:
            self._coupons[running] = coupons.of_id(self._tx, running)
        return self._coupons[running] if running is not None else None

    def agreement(self, account_id: str) -> CustomAgreement | None:
        return self._agreements.get(account_id)

    def certificates(self, account_id: str) -> Sequence[ExemptionCertificate]:
        return self._certificates.get(account_id, ())

    def _provided(self, question: taxing.Request, own: Determination) -> Determination:
        """Whose tax a provider computes is left to the single path, which may ask (ADR 0052)."""
        raise TaxUnasked(question, own)


def lock(tx: Tx, ports: Ports, ids: Sequence[str], now: datetime) -> list[Due]:
    """Those of these subscriptions that are still due, locked, without those in other hands or waiting for a job."""
    query = billing_run.due_query(now).where(among(col(Subscription.id), ids)).with_for_update(skip_locked=True)
    found = bulk.rows(tx, Subscription, query)
    waiting = jobs.waiting_keys(tx, [billing_run.key_of(each.id) for each in found])
    held = [each for each in found if billing_run.key_of(each.id) not in waiting]
    if not held:
        return []
    subscription_ids, account_ids = [each.id for each in held], list({each.account_id for each in held})
    lines = grouped(
        bulk.read(tx, SubscriptionLine, among(col(SubscriptionLine.subscription_id), subscription_ids), order_by="id"),
        "subscription_id",
    )
    tax_ids = grouped(bulk.read(tx, AccountTaxId, among(col(AccountTaxId.account_id), account_ids)), "account_id")
    buyers, cards = _buyers(tx, subscription_ids), _cards(tx, account_ids, ports.payments.name)
    charges = _charges(tx, subscription_ids, now - _DAY)
    bound = policy.get(tx, CHARGES_A_DAY, now)
    changed, credited = _changed(tx, subscription_ids), credit.having(tx, account_ids)
    unscreened = bool(lists.missing(tx, now, test=ports.test_mode))
    questioned = set(account_ids) if unscreened else screening.in_question(tx, account_ids)
    questioned |= attesting.missing_among(tx, account_ids, now)
    confirmations = confirming.recent(tx, [each.value for given in tax_ids.values() for each in given], now)
    return [
        Due(
            subscription=each, lines=lines[each.id], buyer=buyers.get(each.id, {}), tax_ids=tax_ids[each.account_id],
            card=cards.get(each.account_id), confirmations=confirmations,
            plain=each.account_id in cards and each.id in buyers and charges.get(each.id, 0) < bound
            and each.billed_until is None and each.revision == 0 and each.id not in changed
            and (each.account_id, each.currency) not in credited and each.account_id not in questioned,
        )
        for each in held
    ]  # fmt: skip


def _changed(tx: Tx, subscription_ids: Sequence[str]) -> set[str]:
    """Those for whose next term something else was wished, and those with a change that waits for its payment."""
    wished = select(col(ScheduledChange.subscription_id)).where(
        among(col(ScheduledChange.subscription_id), subscription_ids),
        col(ScheduledChange.state) == ScheduledState.SCHEDULED,
    )
    ordered = select(col(Order.subscription_id)).where(
        among(col(Order.subscription_id), subscription_ids), col(Order.kind) == OrderKind.EXPANSION,
        col(Order.state).in_([OrderState.AWAITING_PAYMENT, OrderState.HELD]),
    )  # fmt: skip
    return {str(found) for found in tx.execute(union_all(wished, ordered)).scalars()}


def grouped(rows: Iterable[T], by: str) -> defaultdict[str, list[T]]:
    """The rows by the value of a column, each group in their order."""
    groups: defaultdict[str, list[T]] = defaultdict(list)
    for row in rows:
        groups[getattr(row, by)].append(row)
    return groups


def _buyers(tx: Tx, subscription_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The buyer of each subscription's last order."""
    query = (
        select(col(Order.subscription_id), col(Preview.inputs)["buyer"])
        .join(Preview, col(Preview.id) == col(Order.preview_id))
        .where(among(col(Order.subscription_id), subscription_ids), col(Order.state) == OrderState.COMPLETED)
        .ext(distinct_on(col(Order.subscription_id)))
        .order_by(col(Order.subscription_id), col(Order.completed_at).desc())
    )
    return {str(subscription_id): buyer for subscription_id, buyer in tx.execute(query)}


def _cards(tx: Tx, account_ids: Sequence[str], provider: str) -> dict[str, PaymentMethod]:
    """The card of each account that is charged first: the chosen one, else the newest."""
    rows = bulk.read(
        tx, PaymentMethod, among(col(PaymentMethod.account_id), account_ids), col(PaymentMethod.provider) == provider,
        col(PaymentMethod.removed_at).is_(None), order_by="id",
    )  # fmt: skip
    return {row.account_id: row for row in sorted(rows, key=lambda row: row.is_default)}


def _charges(tx: Tx, subscription_ids: Sequence[str], since: datetime) -> dict[str, int]:
    query = (
        select(col(AutomaticCharge.subscription_id), func.count())
        .where(among(col(AutomaticCharge.subscription_id), subscription_ids), col(AutomaticCharge.asked_at) > since)
        .group_by(col(AutomaticCharge.subscription_id))
    )
    return dict(tx.execute(query).all())
