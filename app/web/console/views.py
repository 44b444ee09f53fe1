"""View models of the staff console.

Conventions as in `app.web.portal.views`. Every action names the file under `docs/procedures/` that tells staff what it
does and how to take it back; the templates carry those names, `ConsoleShell.procedures` says which address shows
them. A list page takes `columns` from its template and `rows` from here.
"""

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import ClassVar, Literal

from app.web.views import Bar, Choice, Fact, Form, Link, MoneyRow, Option, Pages, Reason, Shell, Step


@dataclass(frozen=True, kw_only=True)
class ConsoleShell(Shell):
    """The frame of the console.

    `todo` counts by section what waits for a person ("quotes": 3). `closed` sections are left out of the navigation
    for this role. `business_time` is shown in the sandbox, where it differs from the wall clock.
    """

    role: str = ""
    todo: dict[str, int] = field(default_factory=dict)
    closed: frozenset[str] = frozenset()
    business_time: datetime | None = None
    procedures: str = "/console/procedures/"
    search: str = ""


# --- Signing in --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class ConsoleSignInView:
    """`/console/sign-in`. Inputs: email, next. `oidc_href` offers the company's own sign-in."""

    template: ClassVar[str] = "console/sign_in.html"
    section: ClassVar[str] = ""
    form: Form = field(default_factory=Form)
    next: str = ""
    oidc_href: str = ""
    sent_to: str = ""


@dataclass(frozen=True, kw_only=True)
class SecondFactorView:
    """`/console/second-factor`. Inputs: code, next."""

    template: ClassVar[str] = "console/second_factor.html"
    section: ClassVar[str] = ""
    form: Form = field(default_factory=Form)
    next: str = ""


@dataclass(frozen=True, kw_only=True)
class EnrolView:
    """`/console/second-factor/enrol`. `qr` is a `data:image/svg+xml` or PNG address; inputs: code, next."""

    template: ClassVar[str] = "console/enrol.html"
    section: ClassVar[str] = ""
    qr: str
    secret: str
    form: Form = field(default_factory=Form)
    next: str = ""


# --- Overview ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One number with its definition; `href` leads to the rows behind it."""

    name: str
    value: str
    why: str = ""
    href: str = ""


@dataclass(frozen=True, kw_only=True)
class Task:
    """Something that waits for a person: oldest first. `waiting` is how long, in words."""

    kind: Literal["quote", "held", "job", "dispute", "detractor", "renewal"]
    title: str
    detail: str
    waiting: str
    href: str
    late: bool = False


@dataclass(frozen=True, kw_only=True)
class OverviewView:
    template: ClassVar[str] = "console/overview.html"
    section: ClassVar[str] = "overview"
    figures: tuple[Figure, ...]
    tasks: tuple[Task, ...]
    as_of: datetime


# --- Lists -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One cell of a list. `state` makes it a badge, `number` aligns it right, `mono` is for identifiers."""

    text: str = ""
    href: str = ""
    state: str = ""
    note: str = ""
    number: bool = False
    mono: bool = False
    day: date | None = None


@dataclass(frozen=True, kw_only=True)
class ListView:
    """Any list of the console. `columns` name the cells of every row; the first cell of a row names it.

    The filter (GET) sends `q` and, where `states` are given, `state`. `kind` picks title, words and procedure.
    """

    template: ClassVar[str] = "console/list.html"
    kind: Literal["accounts", "orders", "quotes", "invoices", "licenses", "subscriptions", "workspaces", "partners"]
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    form: Form = field(default_factory=Form)
    states: tuple[Option, ...] = ()
    pages: Pages = field(default_factory=Pages)
    csv_href: str = ""

    @property
    def section(self) -> str:
        return self.kind


@dataclass(frozen=True, kw_only=True)
class Related:
    """A short table on a detail page, such as the invoices of an account."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    all_href: str = ""


# --- Details -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class TimelineEvent:
    """One thing that happened, newest first; `actor` is a person, a job or the provider."""

    at: datetime
    kind: str
    sentence: str
    actor: str = ""
    href: str = ""


@dataclass(frozen=True, kw_only=True)
class AccountView:
    template: ClassVar[str] = "console/account.html"
    section: ClassVar[str] = "accounts"
    account_id: str
    name: str
    state: str
    facts: tuple[Fact, ...]
    figures: tuple[Figure, ...]
    related: tuple[Related, ...]
    timeline: tuple[TimelineEvent, ...]
    pages: Pages = field(default_factory=Pages)
    view_as_href: str = ""


@dataclass(frozen=True, kw_only=True)
class ConsoleOrderView:
    """`release_href` and `cancel_href` are posted with `note` (required). `screening` tells why it is held."""

    template: ClassVar[str] = "console/order.html"
    section: ClassVar[str] = "orders"
    order_id: str
    state: str
    account: Link
    route: str
    reasons: tuple[Reason, ...]
    rows: tuple[MoneyRow, ...]
    total: str
    treatment: str
    facts: tuple[Fact, ...]
    steps: tuple[Step, ...]
    screening: tuple[Fact, ...] = ()
    form: Form = field(default_factory=Form)
    release_href: str = ""
    cancel_href: str = ""


@dataclass(frozen=True, kw_only=True)
class QuoteRequestView:
    """A quote request and the quote made of it.

    The draft form posts discount_percent, valid_until (a date), message, lines are the preview's; `send_href` sends,
    `withdraw_href` takes back (both by POST). Addresses are empty where the state does not allow the action.
    """

    template: ClassVar[str] = "console/quote.html"
    section: ClassVar[str] = "quotes"
    number: str
    state: str
    account: Link
    contact: str
    asked_at: datetime
    reasons: tuple[Reason, ...]
    rows: tuple[MoneyRow, ...]
    total: str
    treatment: str
    facts: tuple[Fact, ...]
    history: tuple[Step, ...]
    form: Form = field(default_factory=Form)
    discount_limit: str = ""
    save_href: str = ""
    send_href: str = ""
    withdraw_href: str = ""
    pdf_href: str = ""


@dataclass(frozen=True, kw_only=True)
class ConsoleInvoiceView:
    """`payment_href` records a wire or cheque (amount, reference, received: a date); `credit_href` credits (amount,
    reason); `void_href` voids (reason) where R-INV-1 allows it. Documents are links to PDF and XML.
    """

    template: ClassVar[str] = "console/invoice.html"
    section: ClassVar[str] = "invoices"
    number: str
    state: str
    account: Link
    rows: tuple[MoneyRow, ...]
    total: str
    open_amount: str
    treatment: str
    facts: tuple[Fact, ...]
    documents: tuple[Link, ...]
    postings: Related
    related: tuple[Related, ...] = ()
    form: Form = field(default_factory=Form)
    payment_href: str = ""
    credit_href: str = ""
    void_href: str = ""


@dataclass(frozen=True, kw_only=True)
class ConsoleLicenseView:
    """`revoke_href` posts `reason` (from `reasons`) and `note`; `reissue_href` posts `note`."""

    template: ClassVar[str] = "console/license.html"
    section: ClassVar[str] = "licenses"
    license_id: str
    state: str
    account: Link
    plan: str
    facts: tuple[Fact, ...]
    files: Related
    activations: Related
    reasons: tuple[Option, ...]
    form: Form = field(default_factory=Form)
    revoke_href: str = ""
    reissue_href: str = ""


# --- Operations --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class QueueRow:
    name: str
    waiting: int
    running: int
    failed: int
    oldest: str
    last_good: datetime | None


@dataclass(frozen=True, kw_only=True)
class FailedJob:
    """`trace` is the tail of the traceback; `retry_href` is posted."""

    job_id: int
    name: str
    argument: str
    attempts: int
    failed_at: datetime
    error: str
    trace: str
    retry_href: str


@dataclass(frozen=True, kw_only=True)
class JobsView:
    template: ClassVar[str] = "console/jobs.html"
    section: ClassVar[str] = "jobs"
    queues: tuple[QueueRow, ...]
    failed: tuple[FailedJob, ...]
    workers: int
    retry_all_href: str = ""


@dataclass(frozen=True, kw_only=True)
class Comment:
    score: int
    text: str
    segment: str
    on: date


@dataclass(frozen=True, kw_only=True)
class Segment:
    """`score` is None where fewer than five answers hide it (R-NPS-3)."""

    name: str
    answers: int
    score: int | None
    rate: str


@dataclass(frozen=True, kw_only=True)
class NpsView:
    """`score`, `low` and `high` are -100 to 100; `score` is None without answers. `distribution` has eleven bars."""

    template: ClassVar[str] = "console/survey.html"
    section: ClassVar[str] = "survey"
    periods: tuple[Choice, ...]
    score: int | None
    low: int
    high: int
    answers: int
    invited: int
    response_rate: str
    suppressed: int
    suppressed_why: tuple[Fact, ...]
    unconfirmed: int
    distribution: tuple[Bar, ...]
    segments: tuple[Segment, ...]
    comments: tuple[Comment, ...]
    wording: str
    csv_href: str = ""


@dataclass(frozen=True, kw_only=True)
class ReportRow:
    """One finance report; the form of the page is sent by GET to `href` with from, to, as_of and format."""

    name: str
    title: str
    about: str
    href: str


@dataclass(frozen=True, kw_only=True)
class ExportsView:
    """Inputs: report (a `ReportRow.name`), from, to, as_of, format; sent by GET to `action`.

    `revenue` has one bar per month in `revenue_currency`. `links` are the downloads of the dates now chosen.
    """

    template: ClassVar[str] = "console/exports.html"
    section: ClassVar[str] = "exports"
    form: Form
    action: str
    reports: tuple[ReportRow, ...]
    formats: tuple[Option, ...]
    links: tuple[Link, ...]
    revenue: tuple[Bar, ...]
    revenue_title: str


@dataclass(frozen=True, kw_only=True)
class PolicyRow:
    """One policy with the value in force; `history` are older and coming values, newest first."""

    key: str
    title: str
    value: str
    since: date
    who: str
    why: str
    history: tuple[tuple[Cell, ...], ...] = ()
    change_href: str = ""


@dataclass(frozen=True, kw_only=True)
class PoliciesView:
    """The form of one row posts key, value, from (a date), why. Errors belong to the row in `open_key`."""

    template: ClassVar[str] = "console/policies.html"
    section: ClassVar[str] = "policies"
    policies: tuple[PolicyRow, ...]
    form: Form = field(default_factory=Form)
    open_key: str = ""


@dataclass(frozen=True, kw_only=True)
class ClockView:
    """Sandbox only. Inputs: days, posted to `action`. `due` is what the next ticks will do; `log` what they did."""

    template: ClassVar[str] = "console/clock.html"
    section: ClassVar[str] = "clock"
    now: datetime
    real: datetime
    action: str
    due: tuple[Fact, ...]
    log: tuple[Step, ...]
    form: Form = field(default_factory=Form)


@dataclass(frozen=True, kw_only=True)
class ProcedureView:
    """A file of `docs/procedures/` for reading beside the work; `text` is its Markdown, shown as written."""

    template: ClassVar[str] = "console/procedure.html"
    section: ClassVar[str] = ""
    name: str
    text: str
