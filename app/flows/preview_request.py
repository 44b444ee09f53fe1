"""What somebody wants to know the price of."""

from dataclasses import dataclass
from datetime import date
from typing import Final

from app.accounts.service import BuyerDetails
from app.catalog.models import Interval
from app.core.errors import Invalid
from app.orders.models import OfferSource, OrderKind
from app.quotes.discounts import Discount
from app.subscriptions.models import YEAR_MONTHS, Billing
from app.tax.request import Evidence

TERM_MONTHS: Final = {Interval.MONTH: (1,), Interval.YEAR: (12, 24, 36)}
UNCHECKED: Final = "unchecked"  # of a tax number that no registry was asked about


@dataclass(frozen=True, slots=True)
class LineRequest:
    sku: str
    quantity: int
    discount: Discount | None = None  # only sales gives one


@dataclass(frozen=True, slots=True)
class TaxIdGiven:
    """A number with what is known of it: the id of the check it rests on, or who confirmed it by hand; when (ISO 8601);
    and the registry's own number of the consultation.
    """

    type: str
    value: str
    status: str = UNCHECKED
    check: str | None = None
    checked_at: str | None = None
    reference: str | None = None

    def to_json(self) -> dict[str, str]:
        """As offers and documents keep it, without what is not there."""
        plain = {"type": self.type, "value": self.value, "status": self.status}
        known = {"check": self.check, "checked_at": self.checked_at, "reference": self.reference}
        return plain | {name: value for name, value in known.items() if value is not None}


@dataclass(frozen=True, slots=True)
class PreviewRequest:
    """What somebody wants to know the price of. `account_id` and `subscription_id` for a renewal or a known buyer.

    With `source` QUOTE it is an offer of sales: discounts count, and so many seats may be sold as nobody orders alone.
    `term_months` is the whole committed term; left out, it is one interval. It is paid at once, or by `billing` year by
    year: then the offer is for its first year. An EXPANSION asks for `lines` as they shall be from the day `change_on`
    on; today, where that is left out. A `stranger` only typed an address that leads to the account: it is not shown
    what the account holds. `seen` is what speaks for the country of a consumer apart from the address.
    """

    lines: tuple[LineRequest, ...]
    interval: Interval
    currency: str
    buyer: BuyerDetails
    tax_ids: tuple[TaxIdGiven, ...] = ()
    kind: OrderKind = OrderKind.PURCHASE
    account_id: str | None = None
    subscription_id: str | None = None
    po_number: str = ""
    source: OfferSource = OfferSource.LIST
    term_months: int | None = None
    coupon: str = ""
    change_on: date | None = None
    billing: Billing = Billing.PREPAID
    stranger: bool = False
    seen: tuple[Evidence, ...] = ()

    @property
    def months(self) -> int:
        """The term in months. Raises Invalid for a term that is not sold."""
        sold = TERM_MONTHS[self.interval]
        months = self.term_months or sold[0]
        if months not in sold:
            raise Invalid(
                "A yearly plan is bought for one, two or three years, a monthly plan for one month.",
                param="term_years",
            )
        if self.billing is Billing.YEARLY and months <= YEAR_MONTHS:
            raise Invalid("Billed yearly are terms of two or three years; this one is paid at once.", param="billing")
        return months

    @property
    def bills(self) -> int:
        """How often the term is billed."""
        return self.months // YEAR_MONTHS if self.billing is Billing.YEARLY else 1

    @property
    def intervals(self) -> int:
        """How many intervals one bill is for."""
        return self.months // TERM_MONTHS[self.interval][0] // self.bills
