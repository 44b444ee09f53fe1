"""Who may order now and pay an invoice later, and for how much (R-ORD-1).

Open invoices of an account and the new order together stay within its limit; whoever is late, or was frozen by
staff, pays by card until that is mended.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Final

from app.accounts import service as accounts
from app.accounts.models import Account, BuyerType, CreditTerms
from app.core import policy
from app.core.db import Tx
from app.core.errors import DomainError
from app.core.money import Money
from app.invoices import service as invoices
from app.invoices.service import Owed
from app.orders import routing

NET_DAYS: Final = policy.declare(
    policy.Policy("invoice_net_days", 30, policy.whole_number(minimum=0), "Days to pay an order on invoice.")
)
BRIDGE_DAYS: Final = policy.declare(
    policy.Policy(
        "bridge_days_after_due", 10, policy.whole_number(minimum=0),
        "Days after its invoice is due that the license of an order on invoice goes on (R-ORD-1).",
    )
)  # fmt: skip
LIMIT: Final = policy.declare(
    policy.Policy(
        "invoice_limit", {}, policy.minor_by_currency,
        "How much an account may owe on open invoices, by currency; where none is given, the automation threshold.",
    )
)  # fmt: skip
LATE_DAYS: Final = policy.declare(
    policy.Policy(
        "invoice_late_days", 10, policy.whole_number(minimum=0),
        "Days after which an overdue invoice stops further orders on invoice.",
    )
)  # fmt: skip


class InvoiceNotOffered(DomainError):
    """`reason`: stranger, consumer, frozen, late, no_limit or over_limit; the order can be paid by card."""

    slug, title = "invoice-not-offered", "This order cannot be paid by invoice"


@dataclass(frozen=True, slots=True)
class Standing:
    """What an account owes and may owe, by currency."""

    owed: tuple[Owed, ...]
    limits: Mapping[str, int]
    frozen_why: str
    late_since: date | None  # the due day of an invoice that is late by more than the policy forgives

    def refusal(self, amount: Money) -> InvoiceNotOffered | None:
        """Why an order of this amount cannot be paid by invoice, or None where it can."""
        if self.frozen_why:
            return InvoiceNotOffered("Orders on invoice are stopped for this account; pay by card or ask us.",
                                     param="payment", reason="frozen")  # fmt: skip
        if self.late_since is not None:
            return InvoiceNotOffered(f"An invoice is unpaid since {self.late_since}; pay it first, or pay by card.",
                                     param="payment", reason="late")  # fmt: skip
        unknown = {amount.currency, *(each.amount.currency for each in self.owed)} - self.limits.keys()
        if unknown:
            return InvoiceNotOffered(f"There is no limit for invoices in {', '.join(sorted(unknown))}; pay by card.",
                                     param="payment", reason="no_limit")  # fmt: skip
        if self._share(amount) > 1:
            limit = Money(self.limits[amount.currency], amount.currency)
            open_now = ", ".join(str(each.amount) for each in self.owed) or "nothing"
            return InvoiceNotOffered(
                f"With {open_now} open already this would pass the limit of {limit}; pay by card or ask for a quote.",
                param="payment", reason="over_limit",
            )  # fmt: skip
        return None

    def _share(self, amount: Money) -> Fraction:
        amounts = (amount, *(each.amount for each in self.owed))
        if any(self.limits[each.currency] == 0 for each in amounts):
            return Fraction(2)  # a limit of nothing is passed by anything
        return sum((Fraction(each.minor, self.limits[each.currency]) for each in amounts), Fraction(0))


def standing(tx: Tx, account: Account, today: date, now: datetime) -> Standing:
    """How an account stands; `today` is the seller's day."""
    terms = accounts.credit_terms(tx, account.id)
    owed = invoices.owed(tx, account.id)
    late_before = today - timedelta(days=policy.get(tx, LATE_DAYS, now))
    return Standing(
        owed=tuple(owed), limits=_limits(tx, terms, now), frozen_why=terms.frozen_why if terms else "",
        late_since=_late(owed, late_before),
    )  # fmt: skip


def _limits(tx: Tx, terms: CreditTerms | None, now: datetime) -> Mapping[str, int]:
    threshold, limit = policy.get(tx, routing.THRESHOLD, now), policy.get(tx, LIMIT, now)
    return {**threshold, **limit, **(terms.limits if terms else {})}


def _late(owed: Sequence[Owed], before: date) -> date | None:
    return min((each.due_first for each in owed if each.due_first < before), default=None)


def require(tx: Tx, account: Account, amount: Money, *, today: date, now: datetime) -> None:
    """The account may order `amount` on invoice; its row is locked, so that two orders cannot share one limit.

    Raises InvoiceNotOffered with its reason.
    """
    if account.type is not BuyerType.BUSINESS:
        raise InvoiceNotOffered("Invoices are for companies; pay by card.", param="payment", reason="consumer")
    accounts.lock(tx, account.id)
    refusal = standing(tx, account, today, now).refusal(amount)
    if refusal is not None:
        raise refusal
