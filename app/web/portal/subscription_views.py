"""View models of `/account/subscriptions...`: what runs, and how it is changed.

Conventions: see `app.web.portal.views`.
"""

from dataclasses import dataclass
from datetime import date
from typing import ClassVar

from app.web.portal.views import AddOn, PreviewView
from app.web.views import Fact, Form, Link, MoneyRow, Option, Step


@dataclass(frozen=True, kw_only=True)
class SubscriptionRow:
    subscription_id: str
    plan: str
    state: str
    seats: int
    starts: date
    until: date
    renewal: str
    price: str
    href: str


@dataclass(frozen=True, kw_only=True)
class SubscriptionsView:
    template: ClassVar[str] = "portal/subscriptions.html"
    section: ClassVar[str] = "subscriptions"
    subscriptions: tuple[SubscriptionRow, ...]
    pricing_href: str


@dataclass(frozen=True, kw_only=True)
class SeatChangeView:
    """Changing seats, plan and add-ons; alone it is the fragment that `preview_href` answers with.

    Inputs: seats, plan, addon*, on_invoice, po_number, accept (where `terms` have changed), preview_id, intent
    (preview|place).

    `now_rows` is what is due today, `next_rows` what the next term costs; a decrease has no `now_rows`. Without
    `preview` only the number input is shown. `lowest` is the smallest count that can be ordered.
    """

    template: ClassVar[str] = "portal/seat_change_fragment.html"
    form: Form
    action: str
    preview_href: str
    current: int
    lowest: int
    used: int | None
    preview: PreviewView | None = None
    next_rows: tuple[MoneyRow, ...] = ()
    next_total: str = ""
    blocked: str = ""
    plans: tuple[Option, ...] = ()
    addons: tuple[AddOn, ...] = ()
    terms: Link | None = None
    terms_version: str = ""
    authority: str = ""


@dataclass(frozen=True, kw_only=True)
class PendingView:
    """A change that was ordered and waits for its payment; `cancel_href` is posted."""

    sentence: str
    pay_href: str
    cancel_href: str


@dataclass(frozen=True, kw_only=True)
class SubscriptionView:
    """One subscription with its seat change, its scheduled change and its end.

    `withdraw_href` takes a scheduled change back, `cancel_href` ends at the term's end, `resume_href` undoes that;
    `said` is the reason that was given. `warning` tells of a payment that is being collected, `pay_href` leads to
    paying it. `auto_renew_href` is posted `on`, yes or no.
    """

    template: ClassVar[str] = "portal/subscription.html"
    section: ClassVar[str] = "subscriptions"
    subscription: SubscriptionRow
    facts: tuple[Fact, ...]
    seat_change: SeatChangeView | None
    history: tuple[Step, ...]
    scheduled: str = ""
    withdraw_href: str = ""
    pending: PendingView | None = None
    renew_href: str = ""
    cancel_href: str = ""
    cancel_note: str = ""
    resume_href: str = ""
    license_href: str = ""
    said: str = ""
    warning: str = ""
    pay_href: str = ""
    auto_renew: bool = False
    auto_renew_href: str = ""
