"""View models of the tax pages of the console."""

from dataclasses import dataclass, field
from typing import ClassVar

from app.web.views import Choice, Fact, Form, Link, Option


@dataclass(frozen=True, kw_only=True)
class OverrideRow:
    """One override; `end_href` is empty where it has ended or the reader may not end it."""

    id: str
    title: str
    state: str
    facts: tuple[Fact, ...]
    end_href: str = ""
    form: Form = field(default_factory=Form)


@dataclass(frozen=True, kw_only=True)
class OverridesView:
    """`/console/tax/overrides`. Inputs of `action`: jurisdiction, tax_code, buyer_type, treatment, rate, portion,
    alone, note, valid_from, valid_to, source, why. Ending one takes last_day and note.
    """

    template: ClassVar[str] = "console/tax_overrides.html"
    section: ClassVar[str] = "tax"
    tabs: tuple[Choice, ...]
    rows: tuple[OverrideRow, ...]
    action: str
    form: Form
    whole: Form
    treatments: tuple[Option, ...]
    buyers: tuple[Option, ...]
    tax_codes: tuple[Option, ...]


@dataclass(frozen=True, kw_only=True)
class MeterRow:
    """How near one threshold is. `width` is percent of the bar that is filled, `mark` where the warning begins."""

    place: str
    code: str
    percent: int
    width: str
    mark: str
    tone: str  # "", near, reached or registered
    words: str
    figures: str
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class AlertRow:
    """A crossing that nobody has seen to; `href` takes the note."""

    id: str
    title: str
    detail: str
    href: str
    form: Form = field(default_factory=Form)


@dataclass(frozen=True, kw_only=True)
class NexusView:
    """`/console/tax/nexus`: a bar for each place with sales or a registration; `quiet` names the others."""

    template: ClassVar[str] = "console/tax_nexus.html"
    section: ClassVar[str] = "tax"
    tabs: tuple[Choice, ...]
    alerts: tuple[AlertRow, ...]
    meters: tuple[MeterRow, ...]
    quiet: str
    csv_href: str
    near: int
    whole: Form


@dataclass(frozen=True, kw_only=True)
class CertificateRow:
    """One exemption certificate; the addresses are empty where it cannot be moved there or the reader may not."""

    id: str
    title: str
    state: str
    account: Link
    facts: tuple[Fact, ...]
    accept_href: str = ""
    reject_href: str = ""
    revoke_href: str = ""
    accepting: Form = field(default_factory=Form)
    rejecting: Form = field(default_factory=Form)
    revoking: Form = field(default_factory=Form)


@dataclass(frozen=True, kw_only=True)
class ExemptionsView:
    """`/console/tax/exemptions`: what waits for a review, then what was decided. Each form takes a note."""

    template: ClassVar[str] = "console/exemptions.html"
    section: ClassVar[str] = "tax"
    tabs: tuple[Choice, ...]
    waiting: tuple[CertificateRow, ...]
    decided: tuple[CertificateRow, ...]
    whole: Form
