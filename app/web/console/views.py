"""View models of the staff console.

Conventions as in `app.web.portal.views`. Every action names the file under `docs/procedures/` that tells staff what it
does and how to take it back; the templates carry those names, `ConsoleShell.procedures` says which address shows
them.
"""

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import ClassVar, Literal

from app.web.explained import Told
from app.web.together import TogetherView
from app.web.usage_shown import UsageShown
from app.web.views import Bar, ErrorView, Fact, Form, Link, MoneyRow, Option, Pages, Reason, Shell, Step


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


@dataclass(frozen=True, kw_only=True)
class ConsoleErrorView(ErrorView):
    """A refusal or a failure, in the frame of the console."""

    template: ClassVar[str] = "console/error.html"


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

    kind: Literal["quote", "held", "payment", "refund", "dispute", "job", "parked", "tax", "screening"]
    title: str
    detail: str
    waiting: str
    href: str
    late: bool = False


@dataclass(frozen=True, kw_only=True)
class Chart:
    """Columns of one currency; amounts in `bars` are written in thousands where that is shorter."""

    title: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True, kw_only=True)
class OverviewView:
    template: ClassVar[str] = "console/overview.html"
    section: ClassVar[str] = "overview"
    figures: tuple[Figure, ...]
    tasks: tuple[Task, ...]
    as_of: datetime
    charts: tuple[Chart, ...] = ()


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

    The filter (GET) sends `q` and, where `states` and `routes` are given, `state` and `route`. `kind` picks the title.
    """

    template: ClassVar[str] = "console/list.html"
    kind: Literal[
        "accounts", "orders", "quotes", "invoices", "credit_notes", "refunds", "disputes", "licenses",
        "merged-licenses", "subscriptions", "workspaces", "api-keys",
    ]  # fmt: skip
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    form: Form = field(default_factory=Form)
    states: tuple[Option, ...] = ()
    routes: tuple[Option, ...] = ()
    pages: Pages = field(default_factory=Pages)

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


@dataclass(frozen=True, kw_only=True)
class SearchView:
    """What the one search box found: a table for each kind that has a hit."""

    template: ClassVar[str] = "console/search.html"
    section: ClassVar[str] = ""
    asked: str
    found: tuple[Related, ...]


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
class Input:
    """A line to fill in before the reason."""

    name: str
    label: str
    type: Literal["text", "date"] = "text"
    hint: str = ""


@dataclass(frozen=True, kw_only=True)
class Action:
    """Something staff can do here: a form that posts `note`, the reason, to `href`.

    `name` keeps its inputs apart from those of other forms and comes back as `_form`. Before the reason come `inputs`,
    lines to fill in, and `options`, a choice posted as `asks` and labelled `asked`.
    """

    name: str
    title: str
    button: str
    href: str
    procedure: str
    hint: str = ""
    inputs: tuple[Input, ...] = ()
    asks: str = "ground"
    asked: str = "Ground"
    options: tuple[Option, ...] = ()
    tone: Literal["", "primary", "danger"] = ""
    form: Form = field(default_factory=Form)


@dataclass(frozen=True, kw_only=True)
class UsageOf:
    """What was reported of a subscription's use."""

    subscription: Link
    shown: UsageShown


@dataclass(frozen=True, kw_only=True)
class AccountView:
    """`state` is that of what the account has; empty for one that never bought. `usage` is what was reported lately."""

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
    agreement: str = ""
    agreements_href: str = ""
    quote_href: str = ""
    actions: tuple[Action, ...] = ()
    together: TogetherView = field(default_factory=TogetherView)
    usage: tuple[UsageOf, ...] = ()
    merged_href: str = ""  # all merged files there ever were
    form: Form = field(default_factory=Form)


@dataclass(frozen=True, kw_only=True)
class ConsoleOrderView:
    """`evidence` is what the acceptance kept; `actions` are those this state and this role allow."""

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
    evidence: tuple[Fact, ...]
    attempts: Related
    actions: tuple[Action, ...] = ()
    form: Form = field(default_factory=Form)


@dataclass(frozen=True, kw_only=True)
class QuoteRequestView:
    """A request for a quote, or the offer it became, with its figures and why they did not run by themselves.

    `number` is empty for a request. `warning` says what keeps a draft from being sent.
    """

    template: ClassVar[str] = "console/quote.html"
    section: ClassVar[str] = "quotes"
    quote_id: str
    state: str
    account: Link
    contact: str
    asked_at: datetime
    message: str
    reasons: tuple[Reason, ...]
    rows: tuple[MoneyRow, ...]
    total: str
    treatment: str
    facts: tuple[Fact, ...]
    history: tuple[Step, ...]
    actions: tuple[Action, ...] = ()
    form: Form = field(default_factory=Form)
    number: str = ""
    edit_href: str = ""
    send_href: str = ""
    documents: tuple[Link, ...] = ()
    our_message: str = ""
    internal_note: str = ""
    warning: str = ""
    revisions: Related | None = None
    payments: tuple[MoneyRow, ...] = ()  # what is due when of a term billed yearly
    payments_total: str = ""


@dataclass(frozen=True, kw_only=True)
class ConsoleInvoiceView:
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
    actions: tuple[Action, ...] = ()
    form: Form = field(default_factory=Form)


@dataclass(frozen=True, kw_only=True)
class ConsoleExplainView:
    """`/console/invoices/{id}/explain`: every amount of a document, computed again. `href` is the invoice's page."""

    template: ClassVar[str] = "console/explain.html"
    section: ClassVar[str] = "invoices"
    number: str
    href: str
    told: Told
    data_version: str


@dataclass(frozen=True, kw_only=True)
class DetailView:
    """The page of something that facts, tables and actions describe: a license, a subscription, a person on staff.

    `account` is whose it is; None for what is the vendor's own.
    """

    template: ClassVar[str] = "console/detail.html"
    kind: Literal[
        "licenses", "merged-licenses", "subscriptions", "workspaces", "credit_notes", "refunds", "disputes",
        "api-keys", "staff", "screening", "trials",
    ]  # fmt: skip
    id: str
    title: str
    state: str
    account: Link | None
    facts: tuple[Fact, ...]
    related: tuple[Related, ...] = ()
    actions: tuple[Action, ...] = ()
    procedure: str = ""  # of a page without actions
    form: Form = field(default_factory=Form)

    @property
    def section(self) -> str:
        return self.kind
