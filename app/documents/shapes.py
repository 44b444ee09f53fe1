"""What each PDF needs to be told. Amounts are Money and days are dates: this room formats, the caller decides.

Nothing here is looked up: a document is drawn from frozen snapshots, so that drawing it again in ten years
gives the same bytes (R-INV-1).
"""

import re
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final, Literal

from app.core.money import Money, total
from app.documents.electronic_shapes import Electronic


class DocumentKind(StrEnum):
    INVOICE = "invoice"
    CREDIT_NOTE = "credit_note"
    CERTIFICATE = "certificate"
    QUOTE = "quote"
    STATEMENT = "statement"
    RECEIPT = "receipt"


class PaymentMethod(StrEnum):
    CARD = "card"
    WIRE = "wire"
    CHEQUE = "cheque"
    DIRECT_DEBIT = "direct_debit"
    CREDIT = "credit"  # customer credit from an earlier overpayment or credit note
    CREDIT_NOTE = "credit_note"  # taken off what the document asked for; `reference` is the note's number


def require_link(url: str) -> None:
    """Refuse what a reader's click must not start. Raises ValueError for anything but a plain http(s) address."""
    if not re.fullmatch(r"https?://[!-~]+", url):
        raise ValueError(f"{url[:80]!r} is not an http or https address")


class InconsistentDocument(ValueError):
    """The figures of a document contradict each other: a bug in the caller, never printed."""


@dataclass(frozen=True, slots=True)
class TaxId:
    """`type` as Stripe names them (`eu_vat`, `ch_vat`, `us_ein`, …); `value` as it is to be printed."""

    type: str
    value: str


@dataclass(frozen=True, slots=True)
class Party:
    """`address` is lines in the postal order of its country, without the name, the country's own name last."""

    name: str
    address: tuple[str, ...]
    country: str  # ISO 3166-1 alpha-2
    tax_ids: tuple[TaxId, ...] = ()
    contact: str | None = None  # "Attn." line: a person, a department
    email: str | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """A half-open period of local dates (R-PRO-2); printed with its last day, which is the day before `end`."""

    start: date
    end: date

    def __post_init__(self) -> None:
        if self.end <= self.start:
            raise InconsistentDocument(f"a period cannot end on {self.end} when it starts on {self.start}")

    @property
    def last(self) -> date:
        return self.end - timedelta(days=1)


@dataclass(frozen=True, slots=True)
class ExportClassView:
    """How lines of a document are classified for export control; `what` are their descriptions."""

    what: tuple[str, ...]
    eccn: str
    authorisation: str
    ccats: str | None = None


@dataclass(frozen=True, slots=True)
class InvoiceLineView:
    """`net` is after `discount`, which is positive. `tax_rates` has every component's rate in percent; none: untaxed.

    `unit_price` is left out where quantity times price is not how the line was made (graduated prices, proration);
    `detail` then says how it was (R-PRO-4). Of a credit note `days` are those given back, of those that were billed.
    """

    description: str
    quantity: Decimal
    net: Money
    unit_price: Money | None = None
    tax_rates: tuple[Decimal, ...] = ()
    period: Span | None = None
    detail: str | None = None
    discount: Money | None = None
    days: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class TaxGroupView:
    """One row of the tax summary: a jurisdiction's component at one rate (R-INV-3). `rate` is in percent."""

    jurisdiction: str  # a code (`DE`, `US-NY`, `US-IL-CHICAGO`), printed as a name, or a name
    name: str  # "VAT", "Sales tax", "GST"
    rate: Decimal
    taxable: Money
    amount: Money


@dataclass(frozen=True, slots=True)
class ReverseCharge:
    """Who owes the tax instead of the seller, and by what rule (Directive 2006/112/EC Art. 226(11a))."""

    seller_tax_id: str | None  # None: one from outside of the Union without a number there
    buyer_tax_id: str
    legal_basis: str = "Art. 44, 196 Directive 2006/112/EC"


OPERATOR: Final = "operator"  # the source of a rate that the seller set itself


@dataclass(frozen=True, slots=True)
class TaxInStateCurrency:
    """The tax again in the currency of the state that gets it (Art. 230; BT-6, BT-111; R-TAX-6)."""

    amount: Money
    rate: Decimal  # units of that currency for one unit of the document's
    rate_date: date
    source: str  # "ECB", or OPERATOR


@dataclass(frozen=True, slots=True)
class PaymentView:
    paid_on: date
    amount: Money
    method: PaymentMethod
    card_last4: str | None = None
    reference: str | None = None


@dataclass(frozen=True, slots=True)
class BankAccount:
    """Where to send a wire; only the rows given are printed."""

    holder: str
    reference: str
    bank: str | None = None
    iban: str | None = None
    bic: str | None = None
    account_number: str | None = None
    routing_number: str | None = None


@dataclass(frozen=True, slots=True)
class Attachment:
    """A text file inside the PDF (PDF/A-3). `relationship` as in PDF 2.0 §7.11.3, e.g. for EN 16931 XML."""

    name: str
    text: str
    mime_type: str
    relationship: Literal["source", "data", "alternative", "supplement"]
    description: str


@dataclass(frozen=True, slots=True)
class PrecedingInvoice:
    """The invoice that a credit note corrects, or whose place another takes (BT-25, BT-26)."""

    number: str
    issued_on: date
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class CopyOf:
    """The kept original that a copy in another language repeats."""

    language: str
    sha256: str


@dataclass(frozen=True, slots=True)
class InvoiceDocument:
    """An invoice or a credit note as R-INV-5 wants it; a credit note's amounts are positive.

    Raises InconsistentDocument where currencies differ, where lines do not sum to `subtotal`, or where taxes
    and payments do not lead from it to `total` and `amount_due`.
    """

    number: str
    issued_on: date
    seller: Party
    buyer: Party
    lines: tuple[InvoiceLineView, ...]
    tax_groups: tuple[TaxGroupView, ...]
    subtotal: Money
    tax_total: Money
    total: Money
    amount_due: Money
    legal_footer: tuple[str, ...]  # register, court, directors, … as the seller's law wants them
    due_on: date | None = None
    supply: Span | None = None
    po_number: str | None = None
    order_number: str | None = None
    payments: tuple[PaymentView, ...] = ()
    reverse_charge: ReverseCharge | None = None
    tax_notes: tuple[str, ...] = ()  # why something is exempt or untaxed, in the words of the determination
    export_classes: tuple[ExportClassView, ...] = ()
    tax_in_state_currency: TaxInStateCurrency | None = None
    tax_representative: Party | None = None  # Art. 226(15)
    bank: BankAccount | None = None
    pay_url: str | None = None
    message: str | None = None
    credits: PrecedingInvoice | None = None
    replaces: PrecedingInvoice | None = None  # credited in full by a note of its own (ADR 0046)
    is_tax_invoice: bool = False  # the heading AU, NZ, SG and IN ask for
    copy_of: CopyOf | None = None
    test_mode: bool = False
    attachments: tuple[Attachment, ...] = field(default=(), repr=False)
    electronic: Electronic | None = None  # set where EN 16931 can say what this document says
    not_electronic: str = ""  # why it cannot, in a sentence

    def __post_init__(self) -> None:
        if self.pay_url is not None:
            require_link(self.pay_url)
        currency = self.total.currency
        nets = total([line.net for line in self.lines], currency)
        taxes = total([group.amount for group in self.tax_groups], currency)
        paid = total([payment.amount for payment in self.payments], currency)
        for name, given, found in (
            ("subtotal", self.subtotal, nets),
            ("tax_total", self.tax_total, taxes),
            ("total", self.total, self.subtotal + self.tax_total),
            ("amount_due", self.amount_due, Money.zero(currency) if self.credits is not None else self.total - paid),
        ):
            if given != found:
                raise InconsistentDocument(f"{self.number}: {name} is {given}, but its parts make {found}")


@dataclass(frozen=True, slots=True)
class QuoteLineView:
    """`net` is what `quantity` times `unit_price` leaves after `discount`, which is positive.

    `unit_price` is left out where that is not how the line was made (graduated prices, several years).
    """

    description: str
    quantity: Decimal
    net: Money
    unit_price: Money | None = None
    discount: Money | None = None
    discount_percent: Decimal | None = None  # where it was given in percent
    tax_rates: tuple[Decimal, ...] = ()
    days: tuple[int, int] | None = None  # of a change: the days it is charged for, of those that were billed


@dataclass(frozen=True, slots=True)
class YearDue:
    """What a year of a term billed yearly comes to; the first one is due when the quote is accepted."""

    year: int
    net: Money
    tax: Money

    @property
    def total(self) -> Money:
        return self.net + self.tax


@dataclass(frozen=True, slots=True)
class QuoteDocument:
    """An offer that can be accepted until the end of `valid_until`: on its page, or by the signature it asks for.

    Of a change of a subscription `credit` is what the earlier plan gives back with its tax, and `due` what is asked
    for. Raises InconsistentDocument where lines do not sum to `subtotal`, taxes do not lead from it to `total`, or that
    not to what is asked for.
    """

    number: str
    issued_on: date
    valid_until: date
    seller: Party
    buyer: Party
    lines: tuple[QuoteLineView, ...]
    tax_groups: tuple[TaxGroupView, ...]
    subtotal: Money
    tax_total: Money
    total: Money
    months: int | None  # the term that is agreed; None for a change, which has none of its own
    accept_url: str
    needs_signature: bool
    terms_title: str
    terms_version: str
    legal_footer: tuple[str, ...]
    net_days: int | None = None  # paid by invoice within so many days; None: by card
    message: str | None = None
    agreement: str | None = None  # the title of a custom agreement that applies
    tax_notes: tuple[str, ...] = ()
    export_classes: tuple[ExportClassView, ...] = ()
    draft: bool = False
    closed: bool = False  # it can no longer be accepted
    test_mode: bool = False
    payments: tuple[YearDue, ...] = ()  # empty where all is paid at once
    credit: Money | None = None
    due: Money | None = None

    def __post_init__(self) -> None:
        require_link(self.accept_url)
        currency = self.total.currency
        if self.payments and self.payments[0].total != self.total:
            raise InconsistentDocument(f"{self.number}: its first year is not what is asked for")
        if self.due is not None and self.credit is not None and self.due < self.total - self.credit:
            raise InconsistentDocument(f"{self.number}: {self.due} is less than its credit leaves")
        for name, given, found in (
            ("subtotal", self.subtotal, total([line.net for line in self.lines], currency)),
            ("tax_total", self.tax_total, total([group.amount for group in self.tax_groups], currency)),
            ("total", self.total, self.subtotal + self.tax_total),
        ):
            if given != found:
                raise InconsistentDocument(f"{self.number}: {name} is {given}, but its parts make {found}")
        for line in self.lines:
            full = line.unit_price.times(int(line.quantity)) if line.unit_price else None
            if full is not None and full - (line.discount or Money.zero(currency)) != line.net:
                raise InconsistentDocument(
                    f"{self.number}: the discount of {line.description} does not lead to its net"
                )


@dataclass(frozen=True, slots=True)
class CertificateDocument:
    """Who accepted which text, when and for what (R-ACC-1), with the signature that proves it.

    `signed_text` is exactly what the Ed25519 `signature` covers; it travels inside the PDF as
    `acceptance.json`, so that the paper can be checked without us.
    """

    number: str
    accepted_at: datetime  # UTC
    vendor: Party
    terms_id: str
    terms_title: str
    terms_version: str
    terms_sha256: str  # hex
    order_number: str
    order_sha256: str  # hex, of the canonical order snapshot
    person_name: str
    person_email: str
    company: str
    authority: str  # the statement that was ticked
    ip: str
    user_agent: str
    kid: str
    signature: str  # base64
    signed_text: str
    verify_url: str
    keys_url: str
    legal_footer: tuple[str, ...]
    test_mode: bool = False

    def __post_init__(self) -> None:
        require_link(self.verify_url)
        require_link(self.keys_url)
        if self.accepted_at.tzinfo is None:
            raise InconsistentDocument(f"{self.number}: accepted_at needs its time zone")
        if not re.fullmatch(r"[!-~]+", self.signature + self.kid):
            raise InconsistentDocument(f"{self.number}: kid and signature are plain ASCII without spaces")
        for name, digest in (("terms_sha256", self.terms_sha256), ("order_sha256", self.order_sha256)):
            if len(digest) != 64 or not set(digest) <= set("0123456789abcdef"):
                raise InconsistentDocument(f"{self.number}: {name} is not a SHA-256 in lower-case hex")
