"""View models of the console's pages about money to come: what renews, and what is being collected.

Conventions: see `app.web.portal.views`.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar

from app.web.console.views import Cell, Chart, Related
from app.web.views import Fact, Form, Link, Option, Step


@dataclass(frozen=True, kw_only=True)
class DunningView:
    """`/console/dunning`: the tries and reminders that go out soon, what is collected, what is parked."""

    template: ClassVar[str] = "console/dunning.html"
    section: ClassVar[str] = "dunning"
    run: tuple[Fact, ...]  # where the billing run stands
    tomorrow: int
    week: Related
    reminders_tomorrow: int
    reminders: Related
    open_runs: Related
    parked: Related
    closed: Related


@dataclass(frozen=True, kw_only=True)
class DunningRunView:
    """One run. Inputs of the pause: days, note; of the resume: note. Forms come back under their `_form`."""

    template: ClassVar[str] = "console/dunning_run.html"
    section: ClassVar[str] = "dunning"
    run_id: str
    title: str
    state: str
    account: Link
    facts: tuple[Fact, ...]
    owed: Related
    steps: tuple[Step, ...]
    charges: Related
    pause_href: str = ""
    resume_href: str = ""
    longest_days: int = 0
    form: Form = field(default_factory=Form)


@dataclass(frozen=True, kw_only=True)
class RenewalDeskView:
    """`/console/renewals`. The filter (GET) sends month and risk. `charts` has one for each currency."""

    template: ClassVar[str] = "console/renewals.html"
    section: ClassVar[str] = "renewals"
    charts: tuple[Chart, ...]
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    totals: tuple[str, ...]
    months: tuple[Option, ...]
    risks: tuple[Option, ...]
    form: Form
    further: int = 0
    as_of: datetime | None = None
