"""Every mail in every language: complete, escaped, with the links it was given and no others."""

import re
from dataclasses import replace
from datetime import date
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from babel.messages.extract import extract
from babel.messages.pofile import read_po
from hypothesis import given, settings
from hypothesis import strategies as st

import app.documents
from app.core.i18n import CATALOGS
from app.core.money import Money
from app.documents.change_mails import (
    ChangeScheduled,
    ChangeWithdrawn,
    EndingLicense,
    LicenseReplaced,
    LicensesDrop,
    Lowered,
)
from app.documents.mail_shapes import (
    AgreementEnding,
    Bought,
    ChangeReceipt,
    Mail,
    MailData,
    MailName,
    MemberAdded,
    NexusReached,
    Occasion,
    OrderHeld,
    OrderReleased,
    Owed,
    PaymentFailed,
    PaymentGivenUp,
    PurchaseReceipt,
    QuoteAccepted,
    QuoteRequestReceived,
    QuoteRequestStaff,
    QuoteSent,
    Reason,
    RenewalReceipt,
    RenewalReminder,
    SignIn,
    StaffAdded,
    SurveyInvitation,
    SurveyReminder,
    TrialStarted,
    Vendor,
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
from app.documents.render_mail import TEMPLATES, UnsafeSubject, render_mail
from app.documents.shapes import Span
from app.tax import dataset
from tests.world import full

SITE = "https://buy.lindenhof.example"
VENDOR = Vendor(
    name="Lindenhof",
    legal_lines=("Lindenhof Software Ltd., 4 Ely Place, Dublin 2, Ireland", "Registered in Ireland no. 588470"),
    support_email="help@lindenhof.example",
)
SHARED: dict[str, Any] = {"vendor": VENDOR, "person_name": "Miriam Öztürk"}
ITEMS = (Bought("Enterprise, self-managed", 10, Money(120000, "EUR")), Bought("Support", 1, Money(35000, "EUR")))
SURVEY: dict[str, Any] = SHARED | {
    "occasion": Occasion.PURCHASE,
    "score_urls": tuple(f"{SITE}/survey/t0k3n?score={score}" for score in range(11)),
    "opt_out_url": f"{SITE}/survey/t0k3n/stop",
    "open_until": date(2026, 12, 25),
}
ADDED: dict[str, Any] = SHARED | {
    "inviter_name": "Ada Byron",
    "inviter_email": "ada@hafenwerk.example",
    "company": "Hafenwerk Logistik GmbH",
    "sign_in_url": f"{SITE}/sign-in",
}
REMINDER = RenewalReminder(
    **SHARED,
    plan="Enterprise",
    seats=10,
    ends_on=date(2026, 12, 22),
    works_until=date(2026, 12, 31),
    days_left=30,
    renewal_url=f"{SITE}/renew/s1gn3d",
    total=Money(142800, "EUR"),
)
OWED = (Owed("Enterprise", date(2026, 12, 21), Money(142800, "EUR")),)
REFUNDED: dict[str, Any] = SHARED | {
    "number": "LH-CN-000003",
    "invoice_number": "LH-000030",
    "total": Money(7000, "EUR"),
    "credit_note_url": f"{SITE}/invoices/s1gn3d/credit_notes/cn_2/pdf",
}
MAILS: dict[MailName, MailData] = {
    MailName.SIGN_IN: SignIn(vendor=VENDOR, sign_in_url=f"{SITE}/sign-in/t0k3n", code="482913", valid_minutes=15),
    MailName.PURCHASE_RECEIPT: PurchaseReceipt(
        **SHARED,
        items=ITEMS,
        total=Money(184450, "EUR"),
        invoice_number="INV-2026-00042",
        license_url=f"{SITE}/l/1",
        invoice_url=f"{SITE}/i/1",
        order_url=f"{SITE}/orders/ord_1",
        card_last4="4242",
    ),
    MailName.RENEWAL_REMINDER: REMINDER,
    MailName.RENEWAL_RECEIPT: RenewalReceipt(
        **SHARED,
        plan="Enterprise",
        seats=10,
        term=Span(date(2026, 12, 22), date(2027, 12, 22)),
        total=Money(142800, "EUR"),
        invoice_number="INV-2026-00077",
        license_url=f"{SITE}/l/2",
        invoice_url=f"{SITE}/i/2",
        subscription_url=f"{SITE}/account/subscriptions",
    ),
    MailName.CHANGE_RECEIPT: ChangeReceipt(
        **SHARED,
        plan="Enterprise",
        seats=15,
        last=date(2027, 12, 21),
        items=ITEMS,
        total=Money(184450, "EUR"),
        credit=Money(50000, "EUR"),
        invoice_number="INV-2026-00078",
        license_url=f"{SITE}/l/3",
        invoice_url=f"{SITE}/i/3",
        subscription_url=f"{SITE}/account/subscriptions/1",
    ),
    MailName.CHANGE_SCHEDULED: ChangeScheduled(
        **SHARED,
        on=date(2027, 3, 1),
        plan="Enterprise",
        seats=80,
        present_plan="Enterprise",
        present_seats=100,
        subscription_url=f"{SITE}/account/subscriptions/1",
        dropped=("Premier support",),
        replaces=True,
    ),
    MailName.CHANGE_WITHDRAWN: ChangeWithdrawn(
        **SHARED,
        on=date(2027, 3, 1),
        plan="Enterprise",
        seats=100,
        subscription_url=f"{SITE}/account/subscriptions/1",
        by_us=True,
    ),
    MailName.SURVEY_INVITATION: SurveyInvitation(**SURVEY),
    MailName.SURVEY_REMINDER: SurveyReminder(**SURVEY),
    MailName.QUOTE_REQUEST_RECEIVED: QuoteRequestReceived(
        **SHARED,
        items=ITEMS,
        reasons=("The order is above the amount we sell without a quote.",),
        answer_by=date(2026, 11, 24),
        quote_url=f"{SITE}/q/t0k3n",
    ),
    MailName.QUOTE_REQUEST_STAFF: QuoteRequestStaff(
        vendor=VENDOR,
        company="Hafenwerk Logistik GmbH",
        contact_name="Miriam Öztürk",
        contact_email="m.oeztuerk@hafenwerk.example",
        items=ITEMS,
        net=Money(155000, "EUR"),
        reasons=(Reason("above_threshold", "1,550.00 EUR is above 1,500.00 EUR."),),
        answer_by=date(2026, 11, 24),
        console_url=f"{SITE}/console/quotes/quo_1",
        message="Two sites, please.",
    ),
    MailName.WORKSPACE_READY: WorkspaceReady(
        **SHARED,
        workspace_name="hafenwerk",
        workspace_url="https://hafenwerk.cloud.example",
        region="eu-central",
        version="11.2",
        manage_url=f"{SITE}/account/workspaces",
    ),
    MailName.ORDER_HELD: OrderHeld(
        **SHARED, order_number="ord_1", answer_by=date(2026, 11, 24), order_url=f"{SITE}/orders/ord_1"
    ),
    MailName.QUOTE_SENT: QuoteSent(
        **SHARED,
        number="Q-2026-00017-r2",
        items=ITEMS,
        total=Money(184450, "EUR"),
        valid_until=date(2026, 12, 22),
        quote_url=f"{SITE}/q/t0k3n",
        revised=True,
        message="Two sites, as discussed with Support.",
    ),
    MailName.QUOTE_ACCEPTED: QuoteAccepted(
        **SHARED,
        number="Q-2026-00017-r2",
        accepted_by="Jonas Lindenhof",
        total=Money(184450, "EUR"),
        order_url=f"{SITE}/orders/ord_1",
    ),
    MailName.AGREEMENT_ENDING: AgreementEnding(
        vendor=VENDOR,
        company="Hafenwerk Logistik GmbH",
        title="Master agreement 2026",
        ends_on=date(2026, 12, 31),
        console_url=f"{SITE}/console/accounts/acc_1",
    ),
    MailName.NEXUS_REACHED: NexusReached(
        vendor=VENDOR,
        place="Kentucky",
        level=80,
        percent=83,
        console_url=f"{SITE}/console/tax/nexus",
    ),
    MailName.ORDER_RELEASED: OrderReleased(
        **SHARED,
        order_number="ord_1",
        total=Money(357000, "EUR"),
        pay_until=date(2026, 11, 29),
        order_url=f"{SITE}/orders/ord_1",
    ),
    MailName.PAYMENT_FAILED: PaymentFailed(
        **SHARED,
        items=OWED,
        total=Money(142800, "EUR"),
        card_last4="4242",
        needs_card=False,
        next_try_on=date(2026, 12, 23),
        last_try_on=date(2027, 1, 12),
        works_until=date(2027, 1, 20),
        card_url=f"{SITE}/card/s1gn3d",
    ),
    MailName.PAYMENT_GIVEN_UP: PaymentGivenUp(
        **SHARED, items=OWED, total=Money(142800, "EUR"), renewal_url=f"{SITE}/renew/s1gn3d"
    ),
    MailName.MEMBER_ADDED: MemberAdded(**ADDED),
    MailName.STAFF_ADDED: StaffAdded(**{name: value for name, value in ADDED.items() if name != "company"}),
    MailName.INVOICE_REMINDER: InvoiceReminder(
        **SHARED,
        number="LH-000041",
        owed=Money(72000, "EUR"),
        total=Money(132000, "EUR"),
        due_on=date(2026, 12, 22),
        days_late=7,
        pay_url=f"{SITE}/invoices/s1gn3d",
        po_number="PO-4711",
        works_until=date(2027, 1, 1),
    ),
    MailName.INVOICE_PAID: InvoicePaid(
        **SHARED,
        number="LH-000041",
        total=Money(132000, "EUR"),
        invoice_url=f"{SITE}/invoices/s1gn3d/pdf",
        license_url=f"{SITE}/orders/s1gn3d/license",
        bridge_until=date(2027, 1, 2),
    ),
    MailName.CREDIT_NOTE_ISSUED: CreditNoteIssued(
        **SHARED,
        number="LH-CN-000002",
        invoice_number="LH-000041",
        total=Money(5000, "EUR"),
        kept=Money(3000, "EUR"),
        off=Money(2000, "EUR"),
        left=Money(70000, "EUR"),
        credit_note_url=f"{SITE}/invoices/s1gn3d/credit_notes/cn_1/pdf",
    ),
    MailName.REFUND_SENT: RefundSent(**REFUNDED, card_last4="4242"),
    MailName.REFUND_KEPT: RefundKept(**REFUNDED),
    MailName.TAX_CORRECTED: TaxCorrected(
        **SHARED,
        number="LH-000042",
        replaced="LH-000041",
        tax_id="FR40303265045",
        given_back=Money(20000, "EUR"),
        kept=Money(15000, "EUR"),
        left=Money(5000, "EUR"),
        invoice_url=f"{SITE}/invoices/s1gn3d/pdf",
        credit_note_url=f"{SITE}/invoices/s1gn3d/credit_notes/cn_1/pdf",
    ),
    MailName.CERTIFICATE_REVIEWED: CertificateReviewed(
        **SHARED,
        number="RS-100",
        jurisdiction="New York",
        state="rejected",
        why="The signature is missing.",
        expires_on=None,
        certificates_url=f"{SITE}/account/exemptions",
    ),
    MailName.CERTIFICATE_ENDING: CertificateEnding(
        **SHARED,
        number="RS-100",
        jurisdiction="New York",
        expires_on=date(2026, 12, 31),
        over=False,
        certificates_url=f"{SITE}/account/exemptions",
    ),
    MailName.LICENSES_DROP: LicensesDrop(
        **SHARED,
        on=date(2027, 3, 1),
        seats_before=100,
        seats_after=80,
        production=True,
        lowered=(Lowered("tier", "enterprise", "professional"), Lowered("saml", "", "")),
        ending=(EndingLicense("Berlin production", 20, date(2027, 2, 19)),),
        licenses_url=f"{SITE}/account/licenses",
    ),
    MailName.LICENSE_REPLACED: LicenseReplaced(
        **SHARED, name="Berlin production", seats=25, license_url=f"{SITE}/account/licenses/lic_1"
    ),
    MailName.TAX_ID_INVALID: TaxIdInvalid(**SHARED, tax_id="FR40303265045", tax_ids_url=f"{SITE}/account/tax-ids"),
    MailName.TRIAL_STARTED: TrialStarted(
        **SHARED,
        plan="Enterprise",
        users=50,
        server="Engines Chat",
        last=date(2026, 12, 22),
        trial_url=f"{SITE}/trial/t0k3n",
        license_url=f"{SITE}/trial/t0k3n/license",
        buy_url=f"{SITE}/checkout?sku=x",
    ),
}
every_mail = pytest.mark.parametrize("name", MAILS)


def test_a_workspace_is_not_asked_to_install_a_license_when_its_invoice_is_paid() -> None:
    paid = MAILS[MailName.INVOICE_PAID]
    assert isinstance(paid, InvoicePaid)
    mail = render_mail(MailName.INVOICE_PAID, replace(paid, license_url=None, bridge_until=None), "en")
    assert "license" not in mail.text
    assert Seen(mail.html).buttons == 1


@pytest.mark.parametrize(
    ("days_late", "changes", "subject", "said"),
    [
        (-7, {}, "is due on December 22, 2026", "works until January 1, 2027"),
        (0, {}, "is due today", "are due today"),
        (1, {}, "is 1 day overdue", "we have not seen them yet"),
        (30, {"works_until": None}, "is 30 days overdue", "has ended"),
        (7, {"owed": Money(132000, "EUR"), "po_number": ""}, "is 7 days overdue", "forward it to whoever pays"),
    ],
)
def test_a_reminder_of_an_invoice_says_how_late_it_is_and_until_when_all_works(
    days_late: int, changes: dict[str, Any], subject: str, said: str
) -> None:
    reminder = MAILS[MailName.INVOICE_REMINDER]
    assert isinstance(reminder, InvoiceReminder)
    mail = render_mail(MailName.INVOICE_REMINDER, replace(reminder, days_late=days_late, **changes), "en")
    assert subject in mail.subject
    assert said in mail.text
    assert ("thank you for what was paid already" in mail.text) == ("owed" not in changes)


class Seen(HTMLParser):
    """Links, words and tags of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.tags: list[str] = []
        self.words: list[str] = []
        self.buttons = 0
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        given = dict(attrs)
        self.buttons += given.get("class") == "button"
        if given.get("href"):
            self.links.append(str(given["href"]))
        assert not {"src", "background", "onclick", "onload"} & given.keys()

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def urls_in(data: MailData) -> list[str]:
    found: list[str] = []
    for name in data.__dataclass_fields__:
        if name.endswith("_url"):
            found.append(getattr(data, name))
        if name.endswith("_urls"):
            found += getattr(data, name)
    return found


@pytest.mark.parametrize("locale", ["en", "de-DE", "fr"])
@every_mail
def test_every_link_is_one_that_was_given_and_every_given_one_is_there(name: MailName, locale: str) -> None:
    mail = render_mail(name, MAILS[name], locale)
    wanted = sorted(urls_in(MAILS[name]))
    assert sorted(Seen(mail.html).links) == wanted
    assert sorted(re.findall(r"https?://\S+", mail.text)) == wanted


@pytest.mark.parametrize("locale", ["en", "de-DE"])
@every_mail
def test_every_mail_works_without_pictures_scripts_and_other_sites(name: MailName, locale: str) -> None:
    mail = render_mail(name, MAILS[name], locale)
    seen = Seen(mail.html)
    assert not {"img", "script", "link", "iframe", "form", "object"} & set(seen.tags)
    assert "url(" not in mail.html
    assert seen.buttons == (0 if "survey" in name else 1)
    assert not re.search(r"<[a-z/!]|&[a-z]+;|{{|{%", mail.text)
    assert "\n\n\n" not in mail.text
    for line in VENDOR.legal_lines:
        assert line in mail.text
        assert line in seen.text
    assert "%(" not in mail.subject + mail.text + mail.html


def catalogs() -> list[Path]:
    return sorted(CATALOGS.glob("*/messages.po"))


def sentences() -> set[str]:
    """Every string this room asks to be translated, from its Python and its templates."""
    found: set[str] = set()
    for path in Path(app.documents.__file__).parent.rglob("*"):
        method = {".py": "python", ".txt": "jinja2", ".html": "jinja2"}.get(path.suffix)
        if method is None:
            continue
        with path.open("rb") as source:
            for _, message, _, _ in extract(method, source, {"_": None, "ngettext": (1, 2)}):
                found.add(message if isinstance(message, str) else message[0])
    # The notes that a country's row puts on documents, as the determination says them.
    return found | {f"{country.note}." for country in dataset.load().world.values() if country.note}


@pytest.mark.parametrize("path", catalogs(), ids=lambda path: path.parent.name)
def test_nothing_a_document_or_mail_says_is_left_untranslated(path: Path) -> None:
    with path.open("rb") as source:
        catalog = read_po(source, locale=path.parent.name)
    translated = {
        message.id if isinstance(message.id, str) else message.id[0]
        for message in catalog
        if message.id and message.string and all(message.string) and not message.fuzzy
    }
    wanted = sentences()
    assert len(wanted) > 150
    assert wanted - translated == set()


@every_mail
def test_no_english_sentence_is_left_in_a_german_mail(name: MailName) -> None:
    english, german = (render_mail(name, MAILS[name], locale) for locale in ("en", "de"))
    typed = {"Enterprise", "Support", "Lindenhof", "1,550.00 EUR", "Two sites", "The order is above", "Registered"}
    ours = {line for line in english.text.splitlines() if len(line) > 12 and not any(word in line for word in typed)}
    assert not {line for line in ours if "://" not in line} & set(german.text.splitlines())
    assert german.subject != english.subject
    assert '<html lang="de">' in german.html


def test_what_drops_is_named_in_the_language_of_the_mail() -> None:
    said = {at: render_mail(MailName.LICENSES_DROP, MAILS[MailName.LICENSES_DROP], at).text for at in ("en", "de")}
    assert "Plan level: professional instead of enterprise." in said["en"]
    assert "Planstufe: professional statt enterprise." in said["de"]


def test_amounts_and_dates_follow_the_language() -> None:
    english, german = (
        render_mail(MailName.PURCHASE_RECEIPT, MAILS[MailName.PURCHASE_RECEIPT], at) for at in ("en", "de")
    )
    assert "Total with tax: €1,844.50" in english.text
    assert "Gesamtbetrag mit Steuer: 1.844,50\u00a0€" in german.text
    held = render_mail(MailName.ORDER_HELD, MAILS[MailName.ORDER_HELD], "de")
    assert "am 24. November 2026" in held.text


def test_a_sign_in_mail_carries_link_and_code_and_says_what_the_link_does() -> None:
    mail = render_mail(MailName.SIGN_IN, MAILS[MailName.SIGN_IN], "en")
    assert f"{SITE}/sign-in/t0k3n" in mail.text
    assert "482913" in mail.text
    assert "It shows a page with one button; nothing happens before you press it." in mail.text
    assert "15 minutes" in mail.text
    assert "482913" not in repr(MAILS[MailName.SIGN_IN])


def test_a_receipt_says_how_it_is_settled() -> None:
    receipt = MAILS[MailName.PURCHASE_RECEIPT]
    assert isinstance(receipt, PurchaseReceipt)
    by_invoice = replace(receipt, card_last4=None, due_on=date(2026, 12, 22))
    assert "by card ending in 4242" in render_mail(MailName.PURCHASE_RECEIPT, receipt, "en").text
    assert "pay the invoice by December 22, 2026" in render_mail(MailName.PURCHASE_RECEIPT, by_invoice, "en").text
    settled = replace(receipt, card_last4=None)
    assert "Paid in full." in render_mail(MailName.PURCHASE_RECEIPT, settled, "en").text


@pytest.mark.parametrize(
    ("days_left", "subject", "consequence"),
    [
        (60, "Time to renew Enterprise: it ends on December 22, 2026", "Renew early and you lose no day"),
        (30, "Time to renew Enterprise: it ends on December 22, 2026", "Renew early and you lose no day"),
        (15, "Enterprise ends in 15 days", "Renew early and you lose no day"),
        (7, "Enterprise ends in 7 days", "works until December 31, 2026 and then stops"),
        (1, "Enterprise ends tomorrow", "If nothing is done, the license works until December 31, 2026"),
        (0, "Enterprise ends today", "If nothing is done, the license works until December 31, 2026"),
        (-3, "Enterprise has ended and still works until December 31, 2026", "ended 3 days ago, on December 22"),
        (-10, "Enterprise has stopped; you can still renew", "Renewing brings it back at once."),
    ],
)
def test_a_reminder_says_what_the_day_calls_for(days_left: int, subject: str, consequence: str) -> None:
    mail = render_mail(MailName.RENEWAL_REMINDER, replace(REMINDER, days_left=days_left), "en")
    assert mail.subject == subject
    assert consequence in mail.text
    assert consequence in Seen(mail.html).text
    assert "Next term: 10 seats, €1,428.00 with tax." in mail.text


def test_a_term_that_renews_by_itself_asks_for_nothing() -> None:
    mail = render_mail(MailName.RENEWAL_REMINDER, replace(REMINDER, card_last4="4242", days_left=7, seats=1), "en")
    assert mail.subject == "Enterprise renews on December 22, 2026"
    assert "with the card ending in 4242. You need not do anything." in mail.text
    assert "stop the renewal" in mail.text
    assert "Next term: 1 seat," in mail.text


def test_a_price_made_by_a_person_is_not_invented() -> None:
    mail = render_mail(MailName.RENEWAL_REMINDER, replace(REMINDER, total=None), "en")
    assert "Next term: 10 seats; we prepare the price for you." in mail.text


@pytest.mark.parametrize("name", [MailName.SURVEY_INVITATION, MailName.SURVEY_REMINDER])
def test_a_survey_mail_has_eleven_scores_in_order_and_a_way_out(name: MailName) -> None:
    mail = render_mail(name, MAILS[name], "en")
    assert Seen(mail.html).links == [*SURVEY["score_urls"], SURVEY["opt_out_url"]]
    assert re.findall(r"^ ?(\d+)  https", mail.text, re.MULTILINE) == [str(score) for score in range(11)]
    assert mail.unsubscribe_url == SURVEY["opt_out_url"]
    assert render_mail(MailName.ORDER_HELD, MAILS[MailName.ORDER_HELD], "en").unsubscribe_url is None
    with pytest.raises(ValueError, match="eleven"):
        SurveyInvitation(**(SURVEY | {"score_urls": SURVEY["score_urls"][:10]}))


@pytest.mark.parametrize(
    ("occasion", "named"), [*zip(Occasion, ("purchase", "renewal", "change of seats"), strict=True)]
)
def test_a_survey_asks_about_what_happened(occasion: Occasion, named: str) -> None:
    data = SurveyInvitation(**(SURVEY | {"occasion": occasion}))
    assert f"Based on this {named}, how likely" in render_mail(MailName.SURVEY_INVITATION, data, "en").text


def test_a_held_order_never_says_why() -> None:
    held = MAILS[MailName.ORDER_HELD]
    assert isinstance(held, OrderHeld)
    mail = render_mail(MailName.ORDER_HELD, replace(held, card_was_charged=True), "en")
    assert "Your card was charged." in mail.text
    assert not re.search("screen|sanction|export|list", mail.text)


def test_a_test_mail_says_so() -> None:
    data = replace(MAILS[MailName.ORDER_HELD], vendor=replace(VENDOR, test_mode=True))
    mail = render_mail(MailName.ORDER_HELD, data, "en")
    assert mail.text.startswith("*** TEST")
    assert "TEST: nothing here" in Seen(mail.html).text


@pytest.mark.parametrize("name", [MailName.MEMBER_ADDED, MailName.STAFF_ADDED])
def test_whoever_is_added_hears_by_whom_and_where_and_gets_no_secret(name: MailName) -> None:
    mail = render_mail(name, MAILS[name], "en")
    assert "Ada Byron (ada@hafenwerk.example) added you to" in mail.text
    assert "Lindenhof" in mail.subject
    assert Seen(mail.html).links == [ADDED["sign_in_url"]]


@pytest.mark.parametrize("typed", ["Win at www.evil.example", "https://evil.example/x", "evil@evil.example", "E" * 61])
def test_neither_inviter_nor_company_carries_a_message_to_a_stranger(typed: str) -> None:
    mail = render_mail(MailName.MEMBER_ADDED, MemberAdded(**(ADDED | {"inviter_name": typed, "company": typed})), "en")
    assert "ada@hafenwerk.example added you to an account at Lindenhof." in mail.text
    assert typed not in mail.subject + mail.text + mail.html


def staff_mail(**changes: Any) -> Mail:
    data = MAILS[MailName.QUOTE_REQUEST_STAFF]
    assert isinstance(data, QuoteRequestStaff)
    return render_mail(MailName.QUOTE_REQUEST_STAFF, replace(data, **changes), "en")


def test_what_strangers_type_is_escaped_in_html_and_plain_in_text() -> None:
    mail = staff_mail(message='<img src=x onerror="a()"> & {{ 7 * 7 }} {% raw %}', company="A <b>& Co</b>")
    assert "<img" not in mail.html
    assert "&lt;img src=x onerror=&#34;a()&#34;&gt; &amp; {{ 7 * 7 }}" in mail.html
    assert '<img src=x onerror="a()"> & {{ 7 * 7 }} {% raw %}' in mail.text
    assert mail.subject == "Quote request: A <b>& Co</b>, €1,550.00"
    assert "<title>Quote request: A &lt;b&gt;&amp; Co&lt;/b&gt;" in mail.html


def test_a_value_cannot_begin_a_line_of_its_own() -> None:
    assert "Their message: hello -- Lindenhof Pay here" in staff_mail(message="hello\n\n--\nLindenhof\r\nPay here").text


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n", "\u2028", "\u2029", "\x00", "\x85", "\u202e"])
def test_no_value_can_begin_another_header(end: str) -> None:
    with pytest.raises(UnsafeSubject) as refused:
        staff_mail(company=f"ACME{end}Bcc: everyone@example.com")
    assert refused.value.code == "unsafe_subject"


@settings(max_examples=full(2_000), deadline=None)
@given(st.text(max_size=60), st.text(max_size=200))
def test_no_typed_text_breaks_a_mail_or_makes_a_tag(company: str, message: str) -> None:
    plain = Seen(staff_mail(message="Two sites, please.").html).tags
    try:
        mail = staff_mail(company=company, message=f"m{message}", contact_name=message)
    except UnsafeSubject:
        return
    assert Seen(mail.html).tags == plain
    assert not re.search(r"[\r\n]", mail.subject)


@pytest.mark.parametrize("name", ["https://evil.example", "Win at www.evil.example", "a@b.example", "N" * 61, " "])
def test_a_name_that_is_a_message_is_not_greeted(name: str) -> None:
    data = replace(MAILS[MailName.QUOTE_REQUEST_RECEIVED], person_name=name)
    mail = render_mail(MailName.QUOTE_REQUEST_RECEIVED, data, "en")
    assert mail.text.startswith("Hello,\n")
    assert "evil" not in mail.html


def test_an_address_that_is_none_is_refused() -> None:
    for url in ("javascript:alert(1)", "https://x.example/ y", "/relative"):
        with pytest.raises(ValueError, match="http"):
            replace(REMINDER, renewal_url=url)


def test_a_mail_is_not_written_from_the_data_of_another() -> None:
    with pytest.raises(TypeError, match="order_held"):
        render_mail(MailName.ORDER_HELD, REMINDER, "en")


def test_every_template_has_its_twin() -> None:
    names = {path.stem for path in TEMPLATES.glob("*.txt")}
    assert names == {path.stem for path in TEMPLATES.glob("*.html")} - {"parts"}
    assert names == {*MailName, "layout"}
