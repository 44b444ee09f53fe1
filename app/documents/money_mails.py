"""What the mails about open invoices and returned money need to be told (see `mail_shapes`)."""

from dataclasses import dataclass
from datetime import date

from app.core.money import Money
from app.documents.mail_shapes import MailData


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceReminder(MailData):
    """An invoice that is still open: `days_late` counts from the day it was due, negative before it.

    `owed` is the rest after what was paid. `works_until` is the last day of the license that bridges the time to pay;
    None where none stands any more.
    """

    number: str
    owed: Money
    total: Money
    due_on: date
    days_late: int
    pay_url: str  # opens a page with a button (GET changes nothing); no sign-in needed
    po_number: str = ""
    works_until: date | None = None

    @property
    def partly_paid(self) -> bool:
        return self.owed != self.total


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoicePaid(MailData):
    """Nothing of an open invoice is owed any more. With a `license_url` the full license replaces a bridge, which
    works to the end of the day before `bridge_until`; a workspace gets its license by itself.
    """

    number: str
    total: Money
    invoice_url: str
    license_url: str | None = None
    bridge_until: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditNoteIssued(MailData):
    """`kept` became the customer's credit, `off` came off what the invoice asks for, of which `left` is owed."""

    number: str
    invoice_number: str
    total: Money
    kept: Money
    off: Money
    left: Money
    credit_note_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundSent(MailData):
    """`total` left for the card, or whatever it was paid with; `number` is the credit note's."""

    number: str
    invoice_number: str
    total: Money
    card_last4: str | None
    credit_note_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundKept(MailData):
    """A refund that could not be sent: the money is the customer's credit."""

    number: str
    invoice_number: str
    total: Money
    credit_note_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TaxCorrected(MailData):
    """A tax number was confirmed after invoice `replaced` bore tax for want of it. It is credited in full and issued
    again as `number`; `given_back` of tax is not due, of which `kept` is the customer's credit. `left` is still owed.
    """

    number: str
    replaced: str
    tax_id: str
    given_back: Money
    kept: Money
    left: Money
    invoice_url: str
    credit_note_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TaxIdInvalid(MailData):
    """The registry does not know a number any more, or never did: the next invoices bear tax."""

    tax_id: str
    tax_ids_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateReviewed(MailData):
    """An exemption certificate is `accepted`, `rejected` or `revoked` (`state`); `why` is empty for the first."""

    number: str
    jurisdiction: str
    state: str
    why: str
    expires_on: date | None  # its last day
    certificates_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateEnding(MailData):
    """An exemption certificate ends soon, or has ended where it is `over`: orders after `expires_on` bear tax."""

    number: str
    jurisdiction: str
    expires_on: date
    over: bool
    certificates_url: str
