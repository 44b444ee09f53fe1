"""View models of the pages about what is owed. Conventions: see `app.web.portal.views`."""

from dataclasses import dataclass
from datetime import date
from typing import ClassVar, Literal

from app.web.views import Fact, Link, MoneyRow


@dataclass(frozen=True, kw_only=True)
class PayInvoiceView:
    """`/invoices/{token}`. State: owed, waiting (somebody is at the pay page), paid, over (nothing to be paid).

    `pay_href` is posted to for the provider's page, `card_href` to charge `card`, `refresh_href` to ask whether the
    money came; each may be empty. `transfer` are the seller's words on how to pay by wire.
    """

    template: ClassVar[str] = "portal/pay_invoice.html"
    section: ClassVar[str] = ""
    state: Literal["owed", "waiting", "paid", "over"]
    number: str
    company: str
    rows: tuple[MoneyRow, ...]
    total: str
    documents: tuple[Link, ...]
    facts: tuple[Fact, ...] = ()
    due: date | None = None
    overdue_days: int = 0
    pay_href: str = ""
    card_href: str = ""
    card: str = ""
    refresh_href: str = ""
    transfer: str = ""
    refusal: str = ""
