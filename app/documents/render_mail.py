"""The one way to a mail: facts in; subject, text and HTML out. Sending it is somebody else's work."""

from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template, select_autoescape
from jinja2.sandbox import ImmutableSandboxedEnvironment

from app.core.errors import Invalid
from app.core.i18n import format_date, format_money, translate, written_in
from app.documents.change_mails import ChangeScheduled, ChangeWithdrawn, LicenseReplaced, LicensesDrop
from app.documents.legible import name_or_nothing, one_line, unprintable
from app.documents.mail_shapes import (
    AgreementEnding,
    ChangeReceipt,
    Mail,
    MailData,
    MailName,
    MemberAdded,
    NexusReached,
    OrderHeld,
    OrderReleased,
    PaymentFailed,
    PaymentGivenUp,
    PurchaseReceipt,
    QuoteAccepted,
    QuoteRequestReceived,
    QuoteRequestStaff,
    QuoteSent,
    RenewalReceipt,
    RenewalReminder,
    SignIn,
    StaffAdded,
    SurveyInvitation,
    SurveyReminder,
    WorkspaceReady,
)
from app.documents.money_mails import (
    CertificateEnding,
    CertificateReviewed,
    CreditNoteIssued,
    InvoicePaid,
    InvoiceReminder,
    RefundKept,
    RefundSent,
    TaxCorrected,
    TaxIdInvalid,
)

TEMPLATES: Final = Path(__file__).parent / "mail"
_SHAPES: Final[dict[MailName, type[MailData]]] = {
    MailName.SIGN_IN: SignIn,
    MailName.PURCHASE_RECEIPT: PurchaseReceipt,
    MailName.RENEWAL_REMINDER: RenewalReminder,
    MailName.RENEWAL_RECEIPT: RenewalReceipt,
    MailName.CHANGE_RECEIPT: ChangeReceipt,
    MailName.CHANGE_SCHEDULED: ChangeScheduled,
    MailName.CHANGE_WITHDRAWN: ChangeWithdrawn,
    MailName.SURVEY_INVITATION: SurveyInvitation,
    MailName.SURVEY_REMINDER: SurveyReminder,
    MailName.QUOTE_REQUEST_RECEIVED: QuoteRequestReceived,
    MailName.QUOTE_REQUEST_STAFF: QuoteRequestStaff,
    MailName.WORKSPACE_READY: WorkspaceReady,
    MailName.ORDER_HELD: OrderHeld,
    MailName.ORDER_RELEASED: OrderReleased,
    MailName.PAYMENT_FAILED: PaymentFailed,
    MailName.PAYMENT_GIVEN_UP: PaymentGivenUp,
    MailName.QUOTE_SENT: QuoteSent,
    MailName.QUOTE_ACCEPTED: QuoteAccepted,
    MailName.AGREEMENT_ENDING: AgreementEnding,
    MailName.NEXUS_REACHED: NexusReached,
    MailName.MEMBER_ADDED: MemberAdded,
    MailName.STAFF_ADDED: StaffAdded,
    MailName.INVOICE_REMINDER: InvoiceReminder,
    MailName.INVOICE_PAID: InvoicePaid,
    MailName.CREDIT_NOTE_ISSUED: CreditNoteIssued,
    MailName.REFUND_SENT: RefundSent,
    MailName.REFUND_KEPT: RefundKept,
    MailName.TAX_CORRECTED: TaxCorrected,
    MailName.TAX_ID_INVALID: TaxIdInvalid,
    MailName.CERTIFICATE_REVIEWED: CertificateReviewed,
    MailName.CERTIFICATE_ENDING: CertificateEnding,
    MailName.LICENSES_DROP: LicensesDrop,
    MailName.LICENSE_REPLACED: LicenseReplaced,
}


class UnsafeSubject(Invalid):
    """A value in the subject could end the header line and begin another."""

    slug, title = "unsafe-subject", "This text cannot stand in the subject of a mail"


def render_mail(name: MailName, data: MailData, locale: str) -> Mail:
    """A mail in the language of `locale`, English where there is no translation.

    Raises UnsafeSubject where a value that goes into the subject has line ends or control characters in it,
    TypeError where `data` is not what `name` needs.
    """
    if type(data) is not _SHAPES[name]:
        raise TypeError(f"{name} cannot be written from {type(data).__name__}")
    tag = str(written_in(locale))
    values: dict[str, Any] = {"d": data, "vendor": data.vendor, "greeted": name_or_nothing(data.person_name)}
    values["subject"] = _subject(_environment(tag).get_template(f"{name}.txt"), values)
    text, html = (_body_environment(tag).get_template(f"{name}.{form}") for form in ("txt", "html"))
    return Mail(
        subject=values["subject"],
        text=text.render(values).strip() + "\n",
        html=html.render(values).strip() + "\n",
        unsubscribe_url=data.opt_out_url if isinstance(data, SurveyInvitation) else None,
    )


def _subject(template: Template, values: dict[str, Any]) -> str:
    subject = "".join(template.blocks["subject"](template.new_context(values))).strip()
    if any(unprintable(char) or char in "\u2028\u2029" for char in subject):
        raise UnsafeSubject(f"The subject {subject[:80]!r} has a line end or control character in it.", param="subject")
    return subject


@lru_cache(maxsize=32)
def _environment(locale: str) -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(enabled_extensions=("html",), default=False),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    words = translate(locale)
    environment.install_gettext_callables(  # type: ignore[attr-defined]  # the extension adds this method at run time
        words.gettext, words.ngettext, newstyle=True
    )
    environment.globals["lang"] = words.language
    environment.filters["money"] = lambda amount: format_money(amount, locale)
    environment.filters["day"] = lambda day: format_date(day, locale, "long")
    return environment


@lru_cache(maxsize=32)
def _body_environment(locale: str) -> Environment:
    """No value can add a line to a body; in the subject it must not be mended but refused."""
    return _environment(locale).overlay(finalize=_flat)


def _flat(value: object) -> object:
    return one_line(value) if type(value) is str else value  # markup has already been escaped
