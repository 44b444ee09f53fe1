"""What each mail needs to be told. Every address in a mail is given here, none is made by a template."""

from dataclasses import dataclass, field, fields
from datetime import date
from enum import StrEnum

from app.core.money import Money
from app.documents.legible import name_or_nothing
from app.documents.shapes import Span, require_link


class MailName(StrEnum):
    """The name of the two templates, `mail/<name>.txt` and `mail/<name>.html`."""

    SIGN_IN = "sign_in"
    PURCHASE_RECEIPT = "purchase_receipt"
    RENEWAL_REMINDER = "renewal_reminder"
    RENEWAL_RECEIPT = "renewal_receipt"
    CHANGE_RECEIPT = "change_receipt"
    CHANGE_SCHEDULED = "change_scheduled"
    CHANGE_WITHDRAWN = "change_withdrawn"
    SURVEY_INVITATION = "survey_invitation"
    SURVEY_REMINDER = "survey_reminder"
    QUOTE_REQUEST_RECEIVED = "quote_request_received"
    QUOTE_REQUEST_STAFF = "quote_request_staff"
    WORKSPACE_READY = "workspace_ready"
    ORDER_HELD = "order_held"
    ORDER_RELEASED = "order_released"
    PAYMENT_FAILED = "payment_failed"
    PAYMENT_GIVEN_UP = "payment_given_up"
    QUOTE_SENT = "quote_sent"
    QUOTE_ACCEPTED = "quote_accepted"
    AGREEMENT_ENDING = "agreement_ending"
    NEXUS_REACHED = "nexus_reached"
    MEMBER_ADDED = "member_added"
    STAFF_ADDED = "staff_added"
    INVOICE_REMINDER = "invoice_reminder"
    INVOICE_PAID = "invoice_paid"
    CREDIT_NOTE_ISSUED = "credit_note_issued"
    REFUND_SENT = "refund_sent"
    REFUND_KEPT = "refund_kept"
    TAX_CORRECTED = "tax_corrected"
    TAX_ID_INVALID = "tax_id_invalid"
    CERTIFICATE_REVIEWED = "certificate_reviewed"
    CERTIFICATE_ENDING = "certificate_ending"
    LICENSES_DROP = "licenses_drop"
    LICENSE_REPLACED = "license_replaced"


@dataclass(frozen=True, slots=True)
class Mail:
    """`unsubscribe_url` belongs in List-Unsubscribe with List-Unsubscribe-Post (RFC 8058); None: no such header."""

    subject: str
    text: str
    html: str
    unsubscribe_url: str | None = None


@dataclass(frozen=True, slots=True)
class Vendor:
    """Who writes. `legal_lines` are the legal entity's name, address and register, as its law wants them in a mail."""

    name: str
    legal_lines: tuple[str, ...]
    support_email: str
    test_mode: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MailData:
    """What all mails share. Every field ending in `_url` or `_urls` must be an http(s) address, else ValueError."""

    vendor: Vendor
    person_name: str = ""

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            if one.name.endswith("_url") and value is not None:
                require_link(value)
            if one.name.endswith("_urls"):
                for url in value:
                    require_link(url)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn(MailData):
    """`sign_in_url` opens a page with a button (GET changes nothing); `code` is six digits for another device."""

    sign_in_url: str
    code: str = field(repr=False)
    valid_minutes: int


@dataclass(frozen=True, slots=True)
class Bought:
    description: str
    quantity: int
    net: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class PurchaseReceipt(MailData):
    """`total` is with tax. Exactly one of `card_last4`, `due_on` or neither (paid otherwise) says how it is settled."""

    items: tuple[Bought, ...]
    total: Money
    invoice_number: str
    license_url: str
    invoice_url: str
    order_url: str
    card_last4: str | None = None
    due_on: date | None = None  # bought against a purchase order: still to be paid


@dataclass(frozen=True, slots=True)
class PriceStep:
    """The price of a seat changes with the next term, because the list price did on `since`."""

    plan: str
    before: Money
    after: Money
    since: date


@dataclass(frozen=True, slots=True, kw_only=True)
class RenewalReminder(MailData):
    """`days_left` counts to `ends_on`, negative after it (R-SUB-3); `works_until` is the last day of grace,
    on which the license still works.

    `card_last4` is set where the term renews by itself with a saved card; then nothing needs doing.
    """

    plan: str
    seats: int
    ends_on: date
    works_until: date
    days_left: int
    renewal_url: str  # signed, single use, can be forwarded (R-SUB-4)
    total: Money | None = None  # of the next term with tax; None where it is quoted by a person
    card_last4: str | None = None
    price_steps: tuple[PriceStep, ...] = ()

    @property
    def grace_is_over(self) -> bool:
        return -self.days_left > (self.works_until - self.ends_on).days


@dataclass(frozen=True, slots=True, kw_only=True)
class RenewalReceipt(MailData):
    plan: str
    seats: int
    term: Span
    total: Money
    invoice_number: str
    license_url: str
    invoice_url: str
    subscription_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeReceipt(MailData):
    """`seats` are all that are held now, `last` is the last day of the term. Without `invoice_number` the charge is
    carried to the next invoice; `credit` is what an earlier plan gave back.
    """

    plan: str
    seats: int
    last: date
    items: tuple[Bought, ...]
    total: Money
    credit: Money | None
    invoice_number: str
    license_url: str
    invoice_url: str
    subscription_url: str
    due_on: date | None = None


class Occasion(StrEnum):
    PURCHASE = "purchase"
    RENEWAL = "renewal"
    EXPANSION = "expansion"


@dataclass(frozen=True, slots=True, kw_only=True)
class SurveyInvitation(MailData):
    """`score_urls` has eleven addresses, for 0 to 10; each opens the page with that score chosen (R-NPS-2)."""

    occasion: Occasion
    score_urls: tuple[str, ...]
    opt_out_url: str
    open_until: date

    def __post_init__(self) -> None:
        # super() without arguments loses its class in a dataclass with slots before Python 3.14
        MailData.__post_init__(self)
        if len(self.score_urls) != 11:
            raise ValueError(f"a survey mail has eleven score links, not {len(self.score_urls)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SurveyReminder(SurveyInvitation):
    """The one reminder; the same links."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteRequestReceived(MailData):
    items: tuple[Bought, ...]
    reasons: tuple[str, ...]  # sentences the customer may read (R-THR-4)
    answer_by: date
    quote_url: str


@dataclass(frozen=True, slots=True)
class Reason:
    code: str
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteRequestStaff(MailData):
    """For sales: who asks, for what, and why it did not go through by itself (R-THR-4)."""

    company: str
    contact_name: str
    contact_email: str
    items: tuple[Bought, ...]
    net: Money
    reasons: tuple[Reason, ...]
    answer_by: date
    console_url: str
    message: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceReady(MailData):
    workspace_name: str
    workspace_url: str
    region: str
    version: str
    manage_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderHeld(MailData):
    """The order waits for a person. Why is not said: a screening match is not the customer's to know or to argue."""

    order_number: str
    answer_by: date
    order_url: str
    card_was_charged: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderReleased(MailData):
    """A held order may go on; it is paid on its page until `pay_until`."""

    order_number: str
    total: Money
    pay_until: date
    order_url: str


@dataclass(frozen=True, slots=True)
class Owed:
    """A renewal that was not paid: `last_day` is the last day of the term that it follows; `total` is with tax."""

    plan: str
    last_day: date
    total: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentFailed(MailData):
    """A card was declined. `next_try_on` is None where only another card helps (`needs_card`).

    `works_until` is the last day on which everything works without a payment; `last_try_on` the day it ends at.
    """

    items: tuple[Owed, ...]
    total: Money
    card_last4: str | None
    needs_card: bool
    next_try_on: date | None
    last_try_on: date
    works_until: date
    card_url: str  # opens a page with a button (GET changes nothing); no sign-in needed


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentGivenUp(MailData):
    """The last try failed and the subscriptions ended; nothing is owed."""

    items: tuple[Owed, ...]
    total: Money
    renewal_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StaffAdded(MailData):
    """For whoever may sign in from now on: who let them in, and where. No link here signs anybody in by itself."""

    inviter_name: str
    inviter_email: str
    sign_in_url: str

    @property
    def inviter(self) -> str:
        """Who it was; the address alone where the name looks like a message."""
        name = name_or_nothing(self.inviter_name)
        return f"{name} ({self.inviter_email})" if name else self.inviter_email


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberAdded(StaffAdded):
    """The same for a person of an account; anybody can name a company as they like."""

    company: str

    @property
    def shown_company(self) -> str:
        return name_or_nothing(self.company)


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteSent(MailData):
    """An offer to whoever asked; the page behind `quote_url` can be forwarded to a signatory.

    Of a change `due` is what is to be paid of the total. `years` is how often a term billed yearly is billed, else 0.
    """

    number: str
    items: tuple[Bought, ...]
    total: Money
    valid_until: date
    quote_url: str
    due: Money | None = None
    years: int = 0
    revised: bool = False
    message: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteAccepted(MailData):
    """To the contact and the signatory; with the way to pay while nothing is paid."""

    number: str
    accepted_by: str
    total: Money
    order_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementEnding(MailData):
    """For sales: an agreement of a customer ends soon, and the terms of sale will apply again."""

    company: str
    title: str
    ends_on: date  # the last day on which it applies
    console_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NexusReached(MailData):
    """For finance: sales into a place come near the threshold of a registration, or have reached it (`level` 100).

    `percent` is what has been sold, of the threshold.
    """

    place: str
    level: int
    percent: int
    console_url: str
