"""View models of the shop: pricing, checkout, order, quote.

Conventions: money is formatted text ("2,100.00 EUR"); `*_href` is an address on this site, empty where the
action does not exist for the reader; `until` is the last day included; `state` is the value of the domain's enum
(see `app.web.states`); a `Form` carries typed values and errors back to the inputs of the same names.
"""

from dataclasses import dataclass
from datetime import date, datetime
from typing import ClassVar, Literal

from app.web.views import Choice, Fact, Form, Link, MoneyRow, Option, Reason, Step, SurveyForm

# --- Pricing -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class PlanCard:
    """One plan at the chosen delivery, interval, currency and seats.

    `route` decides the button: `automatic` buys, `quote` asks for a quote (above the threshold), `sales` is sold
    by people only (then `price` and `total` may be empty). `automatic_up_to` is the largest seat count that is
    still automatic, None where there is none. `equation` spells the total: seats times price times months.
    """

    sku: str
    name: str
    tagline: str
    price: str
    price_unit: str
    equation: str
    total: str
    total_unit: str
    route: Literal["automatic", "quote", "sales"]
    automatic_up_to: int | None
    href: str
    features: tuple[str, ...]
    note: str = ""
    recommended: bool = False
    trial_href: str = ""
    trial_days: int = 0


@dataclass(frozen=True, kw_only=True)
class PricingView:
    """`/`. The seat form sends `seats` with every name in `kept` by GET; the switches are links.

    `form` may carry an error for `seats`. `threshold` is the money figure above which a quote is sent.
    """

    template: ClassVar[str] = "portal/pricing.html"
    section: ClassVar[str] = "pricing"
    plans: tuple[PlanCard, ...]
    deliveries: tuple[Choice, ...]
    intervals: tuple[Choice, ...]
    currencies: tuple[Choice, ...]
    form: Form
    kept: tuple[Option, ...]
    min_seats: int
    threshold: str
    quote_turnaround: str


# --- Checkout ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class PreviewView:
    """The slip beside the form, and the fragment a live preview swaps in.

    `preview_id` is posted with the order; empty while something is missing, which `missing` then says in a
    sentence. `treatment` is the tax decision in words. `button` says what it costs ("Pay 2,100.00 EUR",
    "Request a quote"). `notice` stands above the figures when what was shown before no longer holds.
    """

    template: ClassVar[str] = "portal/_preview.html"
    preview_id: str = ""
    missing: str = ""
    rows: tuple[MoneyRow, ...] = ()
    total: str = ""
    treatment: str = ""
    route: Literal["automatic", "quote", "review"] = "automatic"
    route_sentence: str = ""
    reasons: tuple[Reason, ...] = ()
    renewal: str = ""
    expires_at: datetime | None = None
    button: str = ""
    notice: Literal["", "changed", "expired"] = ""


@dataclass(frozen=True, kw_only=True)
class AddOn:
    """An add-on tick; posted as `addon` with the sku as its value."""

    sku: str
    name: str
    price: str
    checked: bool = False


@dataclass(frozen=True, kw_only=True)
class CheckoutView:
    """`/checkout`. One form; inputs: sku, currency, terms_id (hidden), seats, term, addon*, email, full_name, company,
    tax_id, country, address, city, region, postcode, residence (tick), payment (card|invoice), po_number,
    accept (tick), ownership (tick), preview_id, intent (`preview` recalculates, `place` orders).

    `preview_href` answers the same form by POST with a `PreviewView` fragment. `regions` are the states and
    provinces; an option's value is "US-NY" or "CA-ON", the field shows for those two countries only.
    `asks_residence` where something speaks against the country of the address. `price_at_once` where everything was
    filled in for somebody we know, so that a script has no change to wait for.
    `payments` has one entry where only a card is possible. `authority` is the statement the tick makes; `ownership`
    that of the other tick, empty where nobody is asked.
    """

    template: ClassVar[str] = "portal/checkout.html"
    section: ClassVar[str] = "pricing"
    form: Form
    preview: PreviewView
    preview_href: str
    plan: str
    delivery: str
    pricing_href: str
    min_seats: int
    term_options: tuple[Option, ...]
    addons: tuple[AddOn, ...]
    countries: tuple[Option, ...]
    us_states: tuple[Option, ...]
    ca_provinces: tuple[Option, ...]
    payments: tuple[Option, ...]
    payment_hint: str
    terms: Link
    terms_version: str
    authority: str
    ownership: str = ""
    known_person: bool = False
    consumers: bool = False
    asks_residence: bool = False
    price_at_once: bool = False


@dataclass(frozen=True, kw_only=True)
class TermsView:
    """A version of the terms. `paragraphs` are (heading or "", text); `sha256` is of the exact text at `raw_href`."""

    template: ClassVar[str] = "portal/terms.html"
    section: ClassVar[str] = ""
    title: str
    version: str
    effective: date
    sha256: str
    paragraphs: tuple[tuple[str, str], ...]
    raw_href: str
    current_href: str = ""


# --- Order -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class InstallGuide:
    """One way to install; `command` is shown as copyable text and may be empty."""

    title: str
    steps: tuple[str, ...]
    command: str = ""


@dataclass(frozen=True, kw_only=True)
class LicenseReady:
    """A license file to take along. `bridge_until` is set while it only covers the time until payment."""

    filename: str
    download_href: str
    text: str
    seats: int
    until: date
    guides: tuple[InstallGuide, ...]
    bridge_until: date | None = None


@dataclass(frozen=True, kw_only=True)
class ProgressView:
    """Where an order or workspace stands; also the fragment that `poll_href` answers with.

    While `poll_href` is set the module asks again, ever more slowly. A fragment with `reload` makes the page
    load itself anew, because more than the steps has changed. `percent` is None where nobody can know it.
    With `ask_href` there is a button that posts there to find out, and the module posts the same form to `poll_href`.
    """

    template: ClassVar[str] = "portal/_progress.html"
    steps: tuple[Step, ...]
    percent: int | None = None
    sentence: str = ""
    poll_href: str = ""
    ask_href: str = ""
    reload: bool = False


OrderState = Literal[
    "awaiting_payment", "processing", "paid", "open_invoice", "review", "payment_failed", "expired", "canceled"
]


@dataclass(frozen=True, kw_only=True)
class OrderView:
    """`/orders/{id}`: the confirmation, safe to reload and to reach by the mailed link.

    `pay_href` is posted to for another try at paying; behind `invoice_href` an open invoice is read and paid.
    `review_by` is the day by which a held order is decided.
    `failure` is the bank's reason in words. `workspace` is the name and address of a cloud installation.
    """

    template: ClassVar[str] = "portal/order.html"
    section: ClassVar[str] = ""
    order_id: str
    state: OrderState
    plan: str
    email: str
    rows: tuple[MoneyRow, ...]
    total: str
    progress: ProgressView
    failure: str = ""
    review_by: date | None = None
    invoice_due: date | None = None
    invoice_href: str = ""
    pay_href: str = ""
    restart_href: str = ""
    license: LicenseReady | None = None
    workspace: Link | None = None
    documents: tuple[Link, ...] = ()
    facts: tuple[Fact, ...] = ()
    survey: SurveyForm | None = None
    survey_thanks: bool = False


@dataclass(frozen=True, kw_only=True)
class QuoteRequestedView:
    """After asking for a quote: what was asked, why it is not automatic, and by when an answer comes.

    State is requested, declined or withdrawn; `closed_reason` is what was said when it was closed.
    """

    template: ClassVar[str] = "portal/quote_requested.html"
    section: ClassVar[str] = ""
    reference: str
    email: str
    answer_by: date
    plan: str
    rows: tuple[MoneyRow, ...]
    total: str
    reasons: tuple[Reason, ...]
    automatic_href: str = ""
    automatic_sentence: str = ""
    state: str = "requested"
    closed_reason: str = ""


@dataclass(frozen=True, kw_only=True)
class QuoteView:
    """`/q/{token}`. State is sent, viewed, accepted, declined, expired, superseded or withdrawn.

    `accept_by_click` is False at or above the e-signature threshold: then a signed paper is sent to `sign_href`.
    Inputs: full_name, email, po_number, accept (tick), ownership (tick, with its statement), preview_id, terms_id; when
    signing also file and paper_kind
    (signed_quote or purchase_order); the declining form: reason. `seen_href` is told that a person looks.
    """

    template: ClassVar[str] = "portal/quote.html"
    section: ClassVar[str] = ""
    number: str
    state: str
    company: str
    prepared_by: str
    message: str
    rows: tuple[MoneyRow, ...]
    total: str
    treatment: str
    valid_until: date
    accept_by_click: bool
    signature_note: str
    pdf_href: str
    form: Form
    accept_href: str
    decline_href: str
    button: str
    terms: Link
    terms_version: str
    authority: str
    preview_id: str
    newer_href: str = ""
    order_href: str = ""
    sign_href: str = ""
    seen_href: str = ""
    terms_id: str = ""
    payment: str = ""
    agreement_note: str = ""
    ownership: str = ""
    on_invoice: bool = False
    payments: tuple[MoneyRow, ...] = ()  # what is due when of a term billed yearly
    payments_total: str = ""
