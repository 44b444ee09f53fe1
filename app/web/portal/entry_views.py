"""View models of the pages reached without an account page: signing in, links from mails, verifying a file.

Conventions: see `app.web.portal.views`.
"""

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import ClassVar, Literal

from app.web.views import Fact, Form, Link, MoneyRow, SurveyForm

# --- Signing in --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class SignInView:
    """`/sign-in`. Inputs: email, next. The answer looks the same whether the address is known or not."""

    template: ClassVar[str] = "portal/sign_in.html"
    section: ClassVar[str] = "account"
    form: Form = field(default_factory=Form)
    next: str = ""
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class SignInCheckView:
    """After the mail was sent. Inputs: code, challenge (hidden), next (hidden)."""

    template: ClassVar[str] = "portal/sign_in_check.html"
    section: ClassVar[str] = "account"
    email: str
    challenge: str
    minutes: int
    form: Form = field(default_factory=Form)
    next: str = ""


@dataclass(frozen=True, kw_only=True)
class SignInLinkView:
    """Where the mailed link lands: GET shows, POST signs in. State `used` and `expired` offer a new link."""

    template: ClassVar[str] = "portal/sign_in_link.html"
    section: ClassVar[str] = "account"
    state: Literal["ready", "used", "expired"]
    token: str = ""
    email: str = ""


# --- Links from mails --------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class RenewalRow:
    """One compared property: what it is now and what it becomes."""

    label: str
    old: str
    new: str
    changed: bool = False


@dataclass(frozen=True, kw_only=True)
class RenewView:
    """`/renew/{token}`. State: ready, used, expired, early (not open yet), foreign, quote (too large), gone.

    One button posts `preview_id` (and `accept` if `terms` changed) to `action`; in the state `quote` it asks for one.
    `seats_form` sends `seats` by GET to `action` to see other figures. `opens_on` belongs to `early`.
    """

    template: ClassVar[str] = "portal/renew.html"
    section: ClassVar[str] = ""
    state: Literal["ready", "used", "expired", "early", "foreign", "quote", "gone"]
    action: str = ""
    preview_id: str = ""
    plan: str = ""
    company: str = ""
    compared: tuple[RenewalRow, ...] = ()
    rows: tuple[MoneyRow, ...] = ()
    total: str = ""
    treatment: str = ""
    button: str = ""
    payment: str = ""
    opens_on: date | None = None
    form: Form = field(default_factory=Form)
    terms: Link | None = None
    terms_version: str = ""
    authority: str = ""
    seats_form: Form | None = None
    min_seats: int = 1
    stop_href: str = ""
    order_href: str = ""
    price_note: str = ""


@dataclass(frozen=True, kw_only=True)
class CardView:
    """`/card/{token}`. State: owed, paid, over (ended unpaid). Two buttons without inputs: `replace_action` leads to
    the page where another card is kept and then charged, `action` to paying with another card.

    `next_try_on` is None where only another card helps (`needs_card`). With `several` owed the new card is tried for
    the others by itself.
    """

    template: ClassVar[str] = "portal/card.html"
    section: ClassVar[str] = ""
    state: Literal["owed", "paid", "over"]
    company: str
    action: str = ""
    rows: tuple[MoneyRow, ...] = ()
    total: str = ""
    card: str = ""
    needs_card: bool = False
    next_try_on: date | None = None
    last_try_on: date | None = None
    button: str = ""
    replace_action: str = ""
    several: bool = False


CardKeptState = Literal["waiting", "refused", "kept", "over"]


@dataclass(frozen=True, kw_only=True)
class CardKeptView:
    """`/cards/{token}`: what became of a card that was entered at the provider. `action` asks the provider again.

    `collected` is what the card is being charged now; `run_href` is where whoever came by the mailed link goes on.
    """

    template: ClassVar[str] = "portal/card_kept.html"
    section: ClassVar[str] = ""
    state: CardKeptState
    company: str
    action: str
    card: str = ""
    failure: str = ""
    page_href: str = ""
    collected: str = ""
    run_href: str = ""


@dataclass(frozen=True, kw_only=True)
class StopView:
    """`/renew/{token}/stop`. State: ask, stopped. Input: reason, posted to `action`; `back_href` is the renewal."""

    template: ClassVar[str] = "portal/stop.html"
    section: ClassVar[str] = ""
    state: Literal["ask", "stopped"]
    plan: str
    company: str
    until: date
    action: str
    back_href: str


@dataclass(frozen=True, kw_only=True)
class SurveyView:
    """`/survey/{token}?score=`: open, answered (may be changed while `survey` is given), expired, opted_out.

    `/survey/{token}/opt-out` has the states leaving and opted_out.
    """

    template: ClassVar[str] = "portal/survey.html"
    section: ClassVar[str] = ""
    state: Literal["open", "answered", "expired", "leaving", "opted_out"]
    about: str = ""
    survey: SurveyForm | None = None
    opt_out_href: str = ""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing a check found; `remedy` says what to do about it."""

    state: Literal["valid", "expiring", "invalid"]
    title: str
    detail: str
    remedy: str = ""


@dataclass(frozen=True, kw_only=True)
class StopRow:
    """What begins after `begins`, or `above` so many users; `state` is begun or empty."""

    what: str
    begins: str
    above: str
    todo: str
    state: str


@dataclass(frozen=True, kw_only=True)
class VerifyView:
    """`/verify`. Inputs: file (upload), text, license_key, fingerprint, revocations (upload).

    `verdict` is empty before the first check.
    """

    template: ClassVar[str] = "portal/verify.html"
    section: ClassVar[str] = "verify"
    form: Form = field(default_factory=Form)
    verdict: Literal["", "valid", "expiring", "invalid"] = ""
    headline: str = ""
    code: str = ""
    findings: tuple[Finding, ...] = ()
    facts: tuple[Fact, ...] = ()
    checked_at: datetime | None = None
    standing: tuple[Fact, ...] = ()  # what stands in no file
    stops: tuple[StopRow, ...] = ()
