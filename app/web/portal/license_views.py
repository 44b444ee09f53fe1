"""View models of `/account/licenses...`: licenses, their files, the servers bound to them.

Conventions: see `app.web.portal.views`.
"""

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import ClassVar, Literal

from app.web.portal.views import InstallGuide
from app.web.together import TogetherView
from app.web.views import Fact, Form, Link, Option, Pages


@dataclass(frozen=True, kw_only=True)
class LicenseRow:
    license_id: str
    label: str
    plan: str
    seats: int
    starts: date
    until: date
    state: str
    href: str
    fingerprint: str = ""
    download_href: str = ""


@dataclass(frozen=True, kw_only=True)
class LicensesView:
    template: ClassVar[str] = "portal/licenses.html"
    section: ClassVar[str] = "licenses"
    licenses: tuple[LicenseRow, ...]
    together: TogetherView = field(default_factory=TogetherView)
    pages: Pages = field(default_factory=Pages)


@dataclass(frozen=True, kw_only=True)
class LicenseFile:
    """One file issued for a license; every past one is kept. `download_href` is empty where it was revoked."""

    file_id: str
    issued_at: datetime
    reason: str
    seats: int
    until: date
    state: str
    download_href: str


@dataclass(frozen=True, kw_only=True)
class LicenseFormat:
    """A rendering for download; `format` is mattermost, keygen or token."""

    format: str
    href: str


@dataclass(frozen=True, kw_only=True)
class ActivationRow:
    """`silent`: its heartbeat is overdue. `offline`: activated without a network."""

    fingerprint: str
    host: str
    since: datetime
    last_seen: datetime | None
    deactivate_href: str
    silent: bool = False
    offline: bool = False
    href: str = ""


@dataclass(frozen=True, kw_only=True)
class Advice:
    """What it means that a license is not simply in force, and what to do now; `ask` offers to write to the vendor."""

    sentence: str
    tone: Literal["info", "warn", "bad"]
    link: Link | None = None
    ask: bool = False


@dataclass(frozen=True, kw_only=True)
class LicenseView:
    """One license. Inputs of the form (posted to `label_href`): label, environment, server.

    `offline_href`: for servers without a network. Without `advice` the download is the one primary action.
    """

    template: ClassVar[str] = "portal/license.html"
    section: ClassVar[str] = "licenses"
    license: LicenseRow
    facts: tuple[Fact, ...]
    text: str
    files: tuple[LicenseFile, ...]
    activations: tuple[ActivationRow, ...]
    activation_limit: int | None
    guides: tuple[InstallGuide, ...]
    form: Form = field(default_factory=Form)
    label_href: str = ""
    formats: tuple[LicenseFormat, ...] = ()
    environments: tuple[Option, ...] = ()
    offline_href: str = ""
    advice: Advice | None = None


@dataclass(frozen=True, kw_only=True)
class OfflineView:
    """Servers without a network. Inputs: file (upload), text: the request that the product wrote."""

    template: ClassVar[str] = "portal/offline.html"
    section: ClassVar[str] = "licenses"
    label: str
    license_href: str
    form: Form = field(default_factory=Form)


@dataclass(frozen=True, kw_only=True)
class ServerView:
    """One server of a license. Inputs of the move (posted to `move_href`): fingerprint, name.

    `answer` is what is carried to a server without a network, `machine_href` the license for this server alone. Empty
    addresses: not open to the reader, or over.
    """

    template: ClassVar[str] = "portal/server.html"
    section: ClassVar[str] = "licenses"
    name: str
    state: str
    license_label: str
    license_href: str
    facts: tuple[Fact, ...]
    answer: str = ""
    answer_href: str = ""
    machine_href: str = ""
    release_href: str = ""
    move_href: str = ""
    offline_href: str = ""
    form: Form = field(default_factory=Form)
