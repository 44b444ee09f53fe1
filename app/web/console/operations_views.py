"""View models of the console's pages about running the shop: jobs, survey, exports, policies, the sandbox clock.

Conventions: see `app.web.portal.views`.
"""

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import ClassVar

from app.web.console.views import Cell, Chart
from app.web.views import Bar, Choice, Fact, Form, Link, Option


@dataclass(frozen=True, kw_only=True)
class QueueRow:
    name: str
    waiting: int
    later: int
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
    """One group of at least five answers; smaller ones are hidden (R-NPS-3)."""

    name: str
    answers: int
    score: int
    rate: str


@dataclass(frozen=True, kw_only=True)
class NpsView:
    """`score`, `low` and `high` are -100 to 100; `score` is None without answers. `distribution` has eleven bars.

    The filter (GET to `/console/survey`) sends from, to and segment. `hidden` says how many groups were too small.
    """

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
    form: Form = field(default_factory=Form)
    groups: tuple[Option, ...] = ()
    hidden: str = ""


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

    `links` are the downloads of the dates now chosen.
    """

    template: ClassVar[str] = "console/exports.html"
    section: ClassVar[str] = "exports"
    form: Form
    action: str
    reports: tuple[ReportRow, ...]
    formats: tuple[Option, ...]
    links: tuple[Link, ...]
    charts: tuple[Chart, ...]


@dataclass(frozen=True, kw_only=True)
class CouponsView:
    """`/console/coupons`: a row per code, withdrawn ones last."""

    template: ClassVar[str] = "console/coupons.html"
    section: ClassVar[str] = "coupons"
    rows: tuple[tuple[Cell, ...], ...]
    columns: tuple[str, ...] = ("Code", "State", "Worth", "For", "Valid", "Used", "Given so far")


@dataclass(frozen=True, kw_only=True)
class PolicyRow:
    """One policy with the value in force; `history` are all values it was given, newest first.

    `since` is None where nobody ever changed the value it came with.
    """

    key: str
    title: str
    value: str
    since: date | None = None
    who: str = ""
    why: str = ""
    history: tuple[tuple[Cell, ...], ...] = ()
    change_href: str = ""


@dataclass(frozen=True, kw_only=True)
class PoliciesView:
    """The form of one row posts key, value (JSON), from (a date), why. Errors belong to the row in `open_key`."""

    template: ClassVar[str] = "console/policies.html"
    section: ClassVar[str] = "policies"
    policies: tuple[PolicyRow, ...]
    form: Form = field(default_factory=Form)
    open_key: str = ""


@dataclass(frozen=True, kw_only=True)
class SigningKeyRow:
    """`rests` says what keeps the key from being retired; both hrefs are posted."""

    kid: str
    purpose: str
    algorithm: str
    state: str
    signs_from: datetime
    signs_until: datetime | None
    rests: str
    rotate_href: str = ""
    retire_href: str = ""


@dataclass(frozen=True, kw_only=True)
class SigningKeysView:
    """`faults` are canaries that do not sing."""

    template: ClassVar[str] = "console/signing_keys.html"
    section: ClassVar[str] = "signing-keys"
    keys: tuple[SigningKeyRow, ...]
    faults: tuple[str, ...]
    revocations_href: str
    form: Form = field(default_factory=Form)


@dataclass(frozen=True, kw_only=True)
class ClockView:
    """Sandbox only. Inputs: days, posted to `action`. `due` is what comes next; `log` counts what the last walk did."""

    template: ClassVar[str] = "console/clock.html"
    section: ClassVar[str] = "clock"
    now: datetime
    real: datetime
    action: str
    due: tuple[Fact, ...]
    log: tuple[Fact, ...]
    form: Form = field(default_factory=Form)


@dataclass(frozen=True, kw_only=True)
class ProcedureView:
    """A file of `docs/procedures/` for reading beside the work; `text` is its Markdown without the title."""

    template: ClassVar[str] = "console/procedure.html"
    section: ClassVar[str] = "procedures"
    name: str
    title: str
    text: str


@dataclass(frozen=True, kw_only=True)
class ProceduresView:
    template: ClassVar[str] = "console/procedures.html"
    section: ClassVar[str] = "procedures"
    procedures: tuple[Link, ...]
