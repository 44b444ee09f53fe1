"""What renews when, for how much, and what may go wrong with it: a few queries for the whole desk."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Final

from sqlalchemy import or_, select
from sqlmodel import col

from app.accounts.models import Account
from app.catalog.models import Plan, Price
from app.core.db import Tx
from app.core.money import Money, total
from app.dunning.models import DunningItem, Owed
from app.payments.models import PaymentMethod
from app.subscriptions.models import RenewalOpening, Subscription, SubscriptionLine, SubscriptionState
from app.surveys.models import SurveyInvitation, SurveyResponse

_TO_COME: Final = (SubscriptionState.ACTIVE, SubscriptionState.PAST_DUE, SubscriptionState.LAPSED)
_MOST: Final = 5000
_DETRACTS: Final = 6
_LATELY: Final = timedelta(days=365)


class Risk(StrEnum):
    """Why a renewal may not come; a subscription can have several."""

    PARKED = "parked"
    DECLINED = "declined"
    LAPSED = "lapsed"
    NOT_RENEWING = "not_renewing"
    NO_CARD = "no_card"
    RETIRED_PLAN = "retired_plan"
    ABOVE_THRESHOLD = "above_threshold"
    PRICE_RISE = "price_rise"
    DETRACTOR = "detractor"


@dataclass(frozen=True, slots=True)
class Renewal:
    """One subscription whose term ends; `net` is what its present term cost, before tax."""

    subscription: Subscription
    company: str
    plan: str
    seats: int
    net: Money
    risks: tuple[Risk, ...]
    quote_id: str | None

    @property
    def month(self) -> date:
        return self.subscription.ends_on.replace(day=1)


@dataclass(frozen=True, slots=True)
class _Known:
    """What the risks are read from, by id."""

    plans: Mapping[str, Plan]
    lines: Mapping[str, list[SubscriptionLine]]
    prices: Mapping[tuple[str, str, str], int]
    with_card: frozenset[str]
    owed: frozenset[str]
    unhappy: frozenset[str]
    openings: Mapping[tuple[str, date], RenewalOpening]
    thresholds: Mapping[str, int]


def read(tx: Tx, now: datetime, *, until: date, thresholds: Mapping[str, int]) -> list[Renewal]:
    """Everything that runs, is collected or is in grace and ends before `until`, the earliest end first."""
    query = (
        select(Subscription, col(Account.name))
        .join(Account, col(Account.id) == col(Subscription.account_id))
        .where(col(Subscription.state).in_(_TO_COME), col(Subscription.ends_on) < until)
        .order_by(col(Subscription.ends_on), col(Subscription.id))
        .limit(_MOST)
    )
    rows = [(held, str(name)) for held, name in tx.execute(query)]
    known = _known(tx, [held for held, _ in rows], now, thresholds)
    return [_renewal(held, name, known) for held, name in rows]


def _known(tx: Tx, held: Sequence[Subscription], now: datetime, thresholds: Mapping[str, int]) -> _Known:
    ids, accounts, today = [each.id for each in held], {each.account_id for each in held}, now.date()
    lines: dict[str, list[SubscriptionLine]] = {}
    for line in tx.execute(select(SubscriptionLine).where(col(SubscriptionLine.subscription_id).in_(ids))).scalars():
        lines.setdefault(line.subscription_id, []).append(line)
    listed = select(Price).where(
        col(Price.valid_from) <= today, or_(col(Price.valid_to).is_(None), col(Price.valid_to) > today)
    )
    cards = select(col(PaymentMethod.account_id)).where(
        col(PaymentMethod.account_id).in_(accounts), col(PaymentMethod.removed_at).is_(None)
    )
    owed = select(col(DunningItem.subscription_id)).where(
        col(DunningItem.subscription_id).in_(ids), col(DunningItem.state) == Owed.OWED
    )
    unhappy = (
        select(col(SurveyInvitation.account_id))
        .join(SurveyResponse, col(SurveyResponse.invitation_id) == col(SurveyInvitation.id))
        .where(
            col(SurveyInvitation.account_id).in_(accounts), col(SurveyResponse.latest).is_(True),
            col(SurveyResponse.score) <= _DETRACTS, col(SurveyResponse.answered_at) > now - _LATELY,
        )
    )  # fmt: skip
    opened = select(RenewalOpening).where(col(RenewalOpening.subscription_id).in_(ids))
    return _Known(
        plans={plan.id: plan for plan in tx.execute(select(Plan)).scalars()}, lines=lines,
        prices={(each.plan_id, each.currency, str(each.interval)): each.unit_minor
                for each in tx.execute(listed).scalars()},
        with_card=frozenset(tx.execute(cards).scalars()), owed=frozenset(tx.execute(owed).scalars()),
        unhappy=frozenset(each for each in tx.execute(unhappy).scalars() if each is not None),
        openings={(each.subscription_id, each.ends_on): each for each in tx.execute(opened).scalars()},
        thresholds=thresholds,
    )  # fmt: skip


def _renewal(held: Subscription, company: str, known: _Known) -> Renewal:
    lines = sorted(known.lines.get(held.id, []), key=lambda line: line.plan_id != held.plan_id)
    net = total([Money(line.net_minor, held.currency) for line in lines], held.currency)
    opening = known.openings.get((held.id, held.ends_on))
    return Renewal(
        subscription=held, company=company, plan=known.plans[held.plan_id].name,
        seats=lines[0].quantity if lines else 0, net=net, risks=_risks(held, lines, net, known),
        quote_id=opening.quote_id if opening is not None else None,
    )  # fmt: skip


def _risks(held: Subscription, lines: Sequence[SubscriptionLine], net: Money, known: _Known) -> tuple[Risk, ...]:
    limit = known.thresholds.get(held.currency)
    dearer = any(known.prices.get((line.plan_id, held.currency, held.interval), 0) > line.unit_minor for line in lines)
    found = {
        Risk.PARKED: held.parked_at is not None,
        Risk.DECLINED: held.id in known.owed or held.state is SubscriptionState.PAST_DUE,
        Risk.LAPSED: held.state is SubscriptionState.LAPSED,
        Risk.NOT_RENEWING: held.not_renewing_at is not None,
        Risk.NO_CARD: held.account_id not in known.with_card,
        Risk.RETIRED_PLAN: any(known.plans[line.plan_id].retired_at is not None for line in lines),
        Risk.ABOVE_THRESHOLD: limit is None or net.minor >= limit,
        Risk.PRICE_RISE: dearer,
        Risk.DETRACTOR: held.account_id in known.unhappy,
    }
    return tuple(risk for risk, applies in found.items() if applies)
