"""Whether a deal runs by itself, and why (R-THR). Pure: the caller brings every figure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

from app.core.money import Money
from app.core.policy import Policy, declare, minor_by_currency
from app.orders.models import OrderKind, Route

THRESHOLD: Final = declare(
    Policy(
        "automation_threshold", {"USD": 500_000}, minor_by_currency,
        "Orders whose total before tax for the whole term is strictly below this run without a person, by currency.",
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a deal takes its route: a stable code, a sentence for people, the figure behind it."""

    code: str
    sentence: str
    figure: Money | None = None

    def to_json(self) -> dict[str, Any]:
        figure = {"amount": self.figure.minor, "currency": self.figure.currency} if self.figure else None
        return {"code": self.code, "sentence": self.sentence, "figure": figure}


@dataclass(frozen=True, slots=True)
class Facts:
    """What routing looks at. `spent` holds the account's purchases of the last 365 days, this one left out."""

    kind: OrderKind
    net: Money
    thresholds: Mapping[str, int]
    spent: Sequence[Money] = ()
    sales_only: str | None = None  # the name of a plan that only sales sells
    retired: str | None = None
    agreement: str | None = None  # the title of a custom agreement in force
    agreed_renewal: bool = False  # that agreement lets renewals run by themselves, whatever they come to
    quoted: bool = False  # the price is one that sales offered
    tax_unclear: str | None = None  # the engine's reason for refusing
    export_hold: str | None = None
    # Whoever asks has not proven to be of the account: what it bought, and under which agreement, is not told.
    stranger: bool = False


@dataclass(frozen=True, slots=True)
class Routing:
    route: Route
    reasons: tuple[Reason, ...]


def decide(facts: Facts) -> Routing:
    """Sales outranks review, review outranks automatic; every reason that applies is given (R-THR-4)."""
    agreed = facts.kind is OrderKind.RENEWAL and facts.agreed_renewal
    sales = _retired(facts) if agreed else [*_deal_reasons(facts), *_retired(facts), *_amount_reasons(facts)]
    review = []
    if facts.tax_unclear:
        review.append(Reason("tax_unclear", f"A person has to confirm the tax: {facts.tax_unclear}"))
    if facts.export_hold:
        review.append(Reason("export_hold", f"A person has to check the destination: {facts.export_hold}."))
    if sales:
        return Routing(Route.SALES, (*sales, *review))
    if review:
        return Routing(Route.REVIEW, tuple(review))
    if agreed:
        sentence = f"The agreement “{facts.agreement}” lets renewals run by themselves."
        return Routing(Route.AUTOMATIC, (Reason("agreed", sentence),))
    limit = Money(facts.thresholds[facts.net.currency], facts.net.currency)
    sentence = f"{facts.net} before tax is below {limit}: no person and no signature needed."
    return Routing(Route.AUTOMATIC, (Reason("below_threshold", sentence, limit),))


def _deal_reasons(facts: Facts) -> list[Reason]:
    reasons = []
    if facts.quoted:
        reasons.append(Reason("quoted", "Our team offered this price in a quote."))
    if facts.agreement:
        named = "A custom agreement" if facts.stranger else f"The agreement “{facts.agreement}”"
        reasons.append(Reason("custom_agreement", f"{named} applies to this account."))
    if facts.sales_only:
        reasons.append(Reason("sales_only_plan", f"{facts.sales_only} is sold by our team only."))
    return reasons


def _retired(facts: Facts) -> list[Reason]:
    if not facts.retired:
        return []
    return [Reason("retired_plan", f"{facts.retired} is no longer sold; we will propose its successor.")]


def _amount_reasons(facts: Facts) -> list[Reason]:
    minor = facts.thresholds.get(facts.net.currency)
    if minor is None:
        return [Reason("no_threshold", f"There is no automatic limit in {facts.net.currency}.")]
    limit = Money(minor, facts.net.currency)
    if not facts.net < limit:
        sentence = f"{facts.net} before tax is not below {limit}, the limit for orders that run by themselves."
        return [Reason("at_or_above_threshold", sentence, limit)]
    if facts.kind is OrderKind.RENEWAL:
        return []  # renewals are measured alone (R-THR-2)
    unknown = {amount.currency for amount in facts.spent} - facts.thresholds.keys()
    if unknown:
        return [Reason("no_threshold", f"Earlier orders in {', '.join(sorted(unknown))} cannot be compared.")]
    share = sum(
        (Fraction(amount.minor, facts.thresholds[amount.currency]) for amount in (*facts.spent, facts.net)), Fraction(0)
    )
    if share >= 1:
        reached = "the limit" if facts.stranger else f"{int(share * 100)} % of the limit"
        sentence = f"Together with the orders of the last 365 days this reaches {reached} of {limit}."
        return [Reason("rolling_total", sentence, limit)]
    return []
