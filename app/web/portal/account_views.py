"""View models of `/account/...`: what a customer has, owes and decides.

Conventions: see `app.web.portal.views`.
"""

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import ClassVar, Literal

from app.web.explained import Told
from app.web.portal.views import AddOn, InstallGuide, PreviewView, ProgressView
from app.web.together import TogetherView
from app.web.views import Fact, Form, Link, MoneyRow, Option, Pages, Step


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
    """One file issued for a license; every past one is kept."""

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
    """`silent`: its heartbeat is overdue."""

    fingerprint: str
    host: str
    since: datetime
    last_seen: datetime | None
    deactivate_href: str
    silent: bool = False
    href: str = ""


@dataclass(frozen=True, kw_only=True)
class LicenseView:
    """One license. Inputs of the form (posted to `label_href`): label, environment, server.

    `offline_href`: for servers without a network.
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
