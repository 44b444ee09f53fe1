"""What an offer asks for and when: at once, with what a change gives back, or year by year (R-PRO-1, R-PRO-6)."""

from dataclasses import dataclass

from app.core.money import Money
from app.flows import preview as previews
from app.orders.models import OrderKind, Preview


@dataclass(frozen=True, slots=True)
class Payment:
    """What a year of a term comes to: the first one when the offer is accepted, each other one at its start."""

    year: int
    net: Money
    tax: Money

    @property
    def total(self) -> Money:
        return self.net + self.tax


def due(offer: Preview) -> Money:
    """What is asked for when the offer is accepted: exactly what its order charges, or leaves open on its invoice."""
    return Money(offer.change["due"] if offer.change else offer.total_minor, offer.currency)


def schedule(offer: Preview) -> tuple[Payment, ...]:
    """The bills of a term billed yearly, the first one as it is offered; nothing for what is paid at once.

    Further years are taxed at the tax of their day; shown is that of the offer. A charge carried from an earlier change
    is on the first bill only.
    """
    bills = previews.request_of(offer).bills if offer.kind in {OrderKind.PURCHASE, OrderKind.RENEWAL} else 1
    if bills == 1:
        return ()
    years = [line for line in offer.lines if not line.get("change")]
    net, tax = (Money(sum(line[name] for line in years), offer.currency) for name in ("net_minor", "tax_minor"))
    first = Payment(1, Money(offer.net_minor, offer.currency), Money(offer.tax_minor, offer.currency))
    return (first, *(Payment(year, net, tax) for year in range(2, bills + 1)))


def whole(payments: tuple[Payment, ...]) -> Money:
    """All bills of a term together. Raises IndexError where there are none."""
    return sum((each.total for each in payments[1:]), payments[0].total)
