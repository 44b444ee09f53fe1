"""View models of `/account/...`: what a customer has, owes and decides.

Conventions: see `app.web.portal.views`.
"""

from dataclasses import dataclass, field
from datetime import date
from typing import ClassVar, Literal

from app.web.explained import Told
from app.web.portal.views import ProgressView
from app.web.views import Fact, Form, Link, Option, Pages, Step


@dataclass(frozen=True, kw_only=True)
class Todo:
    """Something the reader should see to; the first of a page is its primary action."""

    sentence: str
    label: str
    href: str
    tone: Literal["info", "warn", "bad"] = "info"


@dataclass(frozen=True, kw_only=True)
class Holding:
    """One subscription as the dashboard tells it: what, until when, at what price, how full.

    `next_charge` is the amount, `equation` how it comes about. `seats_used` is None without a usage report.
    """

    plan: str
    state: str
    seats: int
    seats_used: int | None
    until: date
    until_note: str
    next_charge: str
    equation: str
    next_charge_on: date | None
    href: str
    seats_href: str = ""
    license_href: str = ""
    workspace: Link | None = None


@dataclass(frozen=True, kw_only=True)
class DashboardView:
    """`/account`. The first of `todos` is shown as the one primary action; without any, all is well.

    No `holdings` is the empty state; `managed_by` names the person or partner who looks after the account.
    """

    template: ClassVar[str] = "portal/dashboard.html"
    section: ClassVar[str] = "dashboard"
    company: str
    holdings: tuple[Holding, ...]
    todos: tuple[Todo, ...]
    recent: tuple[Fact, ...]
    pricing_href: str
    managed_by: str = ""


@dataclass(frozen=True, kw_only=True)
class InvoiceRow:
    number: str
    kind: Literal["invoice", "credit_note"]
    issued: date
    due: date | None
    about: str
    total: str
    open_amount: str
    state: str
    pdf_href: str
    xml_href: str = ""
    pay_href: str = ""  # the page where it is read and paid
    explain_href: str = ""
    receipt_hrefs: tuple[str, ...] = ()  # of the payments that went into it


@dataclass(frozen=True, kw_only=True)
class InvoicesView:
    """The filter (GET) has the inputs state and year."""

    template: ClassVar[str] = "portal/invoices.html"
    section: ClassVar[str] = "invoices"
    invoices: tuple[InvoiceRow, ...]
    states: tuple[Option, ...]
    years: tuple[Option, ...]
    form: Form
    pages: Pages = field(default_factory=Pages)
    csv_href: str = ""
    open_total: str = ""
    credit: str = ""  # what there is to spend on later invoices


@dataclass(frozen=True, kw_only=True)
class ExplainView:
    """`/account/invoices/{id}/explain`: every amount of a document, computed again."""

    template: ClassVar[str] = "portal/explain.html"
    section: ClassVar[str] = "invoices"
    number: str
    pdf_href: str
    told: Told


@dataclass(frozen=True, kw_only=True)
class WorkspaceView:
    """A provisioned installation. `actions` are POST addresses with what they do, e.g. taking a deletion back."""

    template: ClassVar[str] = "portal/workspace.html"
    section: ClassVar[str] = "workspaces"
    name: str
    state: str
    url: str
    progress: ProgressView
    facts: tuple[Fact, ...]
    history: tuple[Step, ...]
    problem: str = ""
    delete_on: date | None = None
    actions: tuple[Link, ...] = ()


@dataclass(frozen=True, kw_only=True)
class WorkspaceRow:
    name: str
    state: str
    url: str
    region: str
    version: str
    href: str


@dataclass(frozen=True, kw_only=True)
class WorkspacesView:
    template: ClassVar[str] = "portal/workspaces.html"
    section: ClassVar[str] = "workspaces"
    workspaces: tuple[WorkspaceRow, ...]


@dataclass(frozen=True, kw_only=True)
class PersonRow:
    member_id: str
    name: str
    email: str
    role: str
    state: str
    you: bool = False
    last_owner: bool = False


@dataclass(frozen=True, kw_only=True)
class PeopleView:
    """Inputs of the invitation: email, name, role. Row forms post member_id (and role) to the other two addresses."""

    template: ClassVar[str] = "portal/people.html"
    section: ClassVar[str] = "people"
    people: tuple[PersonRow, ...]
    roles: tuple[Option, ...]
    form: Form
    invite_href: str = ""
    role_href: str = ""
    remove_href: str = ""


@dataclass(frozen=True, kw_only=True)
class TaxIdRow:
    tax_id: str
    kind: str
    value: str
    state: str
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class TaxIdsView:
    """Inputs: kind, value; removing posts tax_id."""

    template: ClassVar[str] = "portal/tax_ids.html"
    section: ClassVar[str] = "tax_ids"
    tax_ids: tuple[TaxIdRow, ...]
    kinds: tuple[Option, ...]
    form: Form
    add_href: str = ""
    remove_href: str = ""


@dataclass(frozen=True, kw_only=True)
class ExemptionRow:
    number: str
    place: str
    reason: str
    holds: str
    state: str
    note: str
    href: str


@dataclass(frozen=True, kw_only=True)
class ExemptionsView:
    """Inputs: jurisdiction, reason, number, signed_on, expires_on, file. `places` are (heading, options)."""

    template: ClassVar[str] = "portal/exemptions.html"
    section: ClassVar[str] = "exemptions"
    certificates: tuple[ExemptionRow, ...]
    places: tuple[tuple[str, tuple[Option, ...]], ...]
    reasons: tuple[Option, ...]
    form: Form
    action: str = ""


@dataclass(frozen=True, kw_only=True)
class PaymentMethodRow:
    method_id: str
    label: str
    detail: str
    state: str
    default: bool = False


@dataclass(frozen=True, kw_only=True)
class PaymentMethodsView:
    """Adding goes to the payment provider's own page; posts method_id to the other two."""

    template: ClassVar[str] = "portal/payment_methods.html"
    section: ClassVar[str] = "payment_methods"
    methods: tuple[PaymentMethodRow, ...]
    add_href: str = ""
    default_href: str = ""
    remove_href: str = ""


@dataclass(frozen=True, kw_only=True)
class PrivacyView:
    """What is stored about the reader, with export and erasure. `kept` says what the law keeps and until when.

    Inputs of the erasure: confirm (the reader's e-mail address). `survey_opt_out` is the present choice.
    """

    template: ClassVar[str] = "portal/privacy.html"
    section: ClassVar[str] = "privacy"
    stored: tuple[Fact, ...]
    kept: tuple[Fact, ...]
    form: Form
    export_href: str
    erase_href: str
    survey_href: str
    survey_opt_out: bool
