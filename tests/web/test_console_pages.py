"""Every state of the console's pages, and of the sandbox's own."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from app.adapters.sandbox import views as s
from app.web.console import views as c
from app.web.views import Bar, Choice, Fact, Flash, Form, Link, MoneyRow, Option, Page, Pages, Reason, Shell, Step

Show = Callable[[str, Page, Shell], str]
NOW = datetime(2026, 11, 22, 9, 41, tzinfo=UTC)
DAY = date(2026, 11, 22)
GRACE = c.ConsoleShell(vendor="Northwind Chat", csrf_token="t0ken", person="grace@northwind.example", role="Sales operations",
                       todo={"quotes": 3, "jobs": 1}, sandbox=True, business_time=NOW)  # fmt: skip
OUTSIDE = replace(GRACE, person="", role="")
ACCOUNT = Link(label="Analytical Engines GmbH", href="/console/accounts/acc_1")
ROWS = (MoneyRow(label="Enterprise", note="50 seats × 10.00 × 12 months", amount="6,000.00 EUR"),
        MoneyRow(label="VAT Germany", note="19 % of 6,000.00", amount="1,140.00 EUR", kind="tax"))  # fmt: skip
REASONS = (Reason(code="threshold", sentence="The net total is not below the automatic limit of 5,000.00 EUR.", figure="6,000.00 EUR"),
           Reason(code="rolling", sentence="With the orders of the last 365 days it uses more than the limit.", figure="134 %"))  # fmt: skip
STEPS = (Step(label="Asked for", state="done", at="09:38"), Step(label="Draft", state="now", detail="Grace Hopper"), Step(label="Sent", state="todo"))


def row(*cells: str, state: str = "active") -> tuple[c.Cell, ...]:
    """A row of a list: its name, some texts, a state and an amount."""
    first, *rest = cells
    texts = tuple(c.Cell(text=text) for text in rest)
    return (c.Cell(text=first, href="/console/accounts/1"), *texts, c.Cell(state=state), c.Cell(day=DAY), c.Cell(text="6,000.00 EUR", number=True))


COLUMNS = ("Company", "Country", "Plan", "State", "Since", "Yearly")
LISTED = c.ListView(
    kind="accounts", columns=COLUMNS, rows=(row("Analytical Engines GmbH", "Germany", "Enterprise"), row("Difference Ltd", "United Kingdom", "Professional", state="past_due")),
    form=Form(values={"q": "eng"}), states=(Option(value="active", label="Active"),), pages=Pages(newer="/n", older="/o", summary="26 to 50 of 312"), csv_href="/console/accounts.csv",
)  # fmt: skip
RELATED = c.Related(title="Invoices", columns=COLUMNS, rows=(row("NW-2026-00042", "Germany", "Enterprise", state="open"),), all_href="/console/invoices?account=1")
FIGURES = (
    c.Figure(name="Recurring revenue a year", value="1,284,300 USD", why="+2.1 % since October", href="/console/exports?report=arr"),
    c.Figure(name="Orders today", value="14", why="12 automatic, 2 by quote"),
    c.Figure(name="Payment to license", value="1.8 s", why="95 of 100 are faster"),
    c.Figure(name="Open invoices", value="38,210 USD", why="4,100 overdue", href="/console/invoices?state=overdue"),
)
ACCOUNT_PAGE = c.AccountView(
    account_id="acc_01kafz", name="Analytical Engines GmbH", state="active", facts=(Fact(name="Domain", value="engines.example"), Fact(name="Tax id", value="DE123456789", mono=True)),
    figures=FIGURES[:3], related=(RELATED, replace(RELATED, title="Licenses", rows=())),
    timeline=(c.TimelineEvent(at=NOW, kind="license.issued", sentence="License issued for 50 seats", actor="purchase", href="/console/licenses/1"),
              c.TimelineEvent(at=NOW, kind="order.placed", sentence="Order placed", actor="ada@engines.example")),
    view_as_href="/console/accounts/1/view-as",
)  # fmt: skip
ORDER = c.ConsoleOrderView(
    order_id="ord_01kafz", state="held", account=ACCOUNT, route="quote", reasons=REASONS, rows=ROWS, total="7,140.00 EUR", treatment="German VAT is charged.",
    facts=(Fact(name="Person", value="Ada Byron"),), steps=STEPS, screening=(Fact(name="Match", value="0.91 with A. Byron (EU list of 20 November 2026)"),),
    release_href="/console/orders/1/release", cancel_href="/console/orders/1/cancel",
)  # fmt: skip
QUOTE = c.QuoteRequestView(
    number="Q-2026-00017-r1", state="draft", account=ACCOUNT, contact="ada@engines.example", asked_at=NOW, reasons=REASONS, rows=ROWS, total="7,140.00 EUR",
    treatment="German VAT is charged.", facts=(Fact(name="Margin to the limit", value="1,000.00 EUR over"),), history=STEPS, form=Form(values={"valid_until": "2026-12-22"}),
    discount_limit="You may give up to 10 percent.", save_href="/s", send_href="/send", withdraw_href="/w", pdf_href="/p",
)  # fmt: skip
INVOICE = c.ConsoleInvoiceView(
    number="NW-2026-00042", state="open", account=ACCOUNT, rows=ROWS, total="7,140.00 EUR", open_amount="7,140.00 EUR", treatment="German VAT is charged.",
    facts=(Fact(name="Issued", value="22 November 2026"), Fact(name="Due", value="22 December 2026"), Fact(name="PO number", value="4711")),
    documents=(Link(label="PDF", href="/i.pdf"), Link(label="XML", href="/i.xml")), postings=replace(RELATED, title="Postings"), related=(replace(RELATED, title="Payments", rows=()),),
    payment_href="/pay", credit_href="/credit", void_href="/void",
)  # fmt: skip
LICENSE = c.ConsoleLicenseView(
    license_id="lic_01kafz", state="active", account=ACCOUNT, plan="Enterprise", facts=(Fact(name="Seats", value="50"),), files=replace(RELATED, title="Files"),
    activations=replace(RELATED, title="Activations", rows=()), reasons=(Option(value="refund", label="Refunded"), Option(value="leak", label="Leaked")), revoke_href="/revoke", reissue_href="/reissue",
)  # fmt: skip
JOBS = c.JobsView(
    queues=(c.QueueRow(name="renew", waiting=12, running=2, failed=1, oldest="40 s", last_good=NOW), c.QueueRow(name="send_mail", waiting=0, running=0, failed=0, oldest="", last_good=None)),
    failed=(c.FailedJob(job_id=7, name="renew", argument="sub_01kafz", attempts=5, failed_at=NOW, error="PaymentUnavailable: no answer", trace="Traceback (most recent call last):\n  …", retry_href="/console/jobs/7/retry"),),
    workers=2, retry_all_href="/console/jobs/retry",
)  # fmt: skip
NPS = c.NpsView(
    periods=(Choice(label="90 days", href="?p=90", current=True), Choice(label="A year", href="?p=365")), score=42, low=29, high=55, answers=118, invited=301, response_rate="39 %", suppressed=44,
    suppressed_why=(Fact(name="Asked within 90 days", value="31"), Fact(name="Opted out", value="13")), unconfirmed=9,
    distribution=tuple(Bar(label=str(i), value=n, text=str(n)) for i, n in enumerate((2, 0, 1, 2, 1, 4, 6, 14, 22, 31, 35))),
    segments=(c.Segment(name="Purchase", answers=81, score=47, rate="44 %"), c.Segment(name="Expansion", answers=3, score=None, rate="20 %")),
    comments=(c.Comment(score=10, text="From pricing to a running server in four minutes.", segment="Purchase, Professional", on=DAY), c.Comment(score=3, text="I could not find where to put the PO number.", segment="Renewal, Enterprise", on=DAY)),
    wording="Wording purchase-1: “Based on this purchase, how likely are you to recommend buying from us to a colleague?”", csv_href="/v1/reports/nps.csv",
)  # fmt: skip
MONTHS = ("Dec", "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov")
EXPORTS = c.ExportsView(
    form=Form(values={"report": "invoices", "from": "2026-10-01", "to": "2026-10-31", "format": "csv"}), action="/console/exports",
    reports=(c.ReportRow(name="invoices", title="Invoice register", about="Every invoice and credit note with its tax.", href="?report=invoices"), c.ReportRow(name="aging", title="Aging", about="What is open, by age.", href="?report=aging")),
    formats=(Option(value="csv", label="CSV"), Option(value="xlsx", label="XLSX")), links=(Link(label="invoices-2026-10.csv", href="/v1/reports/invoices.csv"),),
    revenue=tuple(Bar(label=m, value=v, text=f"{v}k") for m, v in zip(MONTHS, (61, 66, 64, 70, 74, 79, 77, 84, 90, 93, 99, 71), strict=True)), revenue_title="Revenue recognized by month, thousand USD",
)  # fmt: skip
POLICIES = c.PoliciesView(
    policies=(c.PolicyRow(key="automation.threshold.USD", title="Automatic below", value="5,000.00 USD", since=DAY, who="grace@northwind.example", why="As agreed with finance",
                          history=((c.Cell(day=DAY), c.Cell(text="5,000.00 USD", number=True), c.Cell(text="Grace"), c.Cell(text="As agreed")),), change_href="/console/policies"),
              c.PolicyRow(key="renewal.opens_days", title="Renewal opens before the end", value="90 days", since=DAY, who="system", why="Default")),
)  # fmt: skip
CLOCK = c.ClockView(now=NOW, real=NOW, action="/console/clock", due=(Fact(name="23 November 2026", value="2 reminders, 1 renewal"),), log=(Step(label="1 survey mailed", state="done", at="21 Nov"),), form=Form(values={"days": "30"}))
PIXEL = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 2 2'%3E%3Cpath d='M0 0h1v1H0zM1 1h1v1H1z'/%3E%3C/svg%3E"

PAGES: dict[str, tuple[Page, Shell]] = {
    "console-sign-in": (c.ConsoleSignInView(oidc_href="/oidc"), OUTSIDE),
    "console-sign-in-sent": (c.ConsoleSignInView(sent_to="grace@northwind.example"), OUTSIDE),
    "console-second-factor": (c.SecondFactorView(form=Form(errors={"code": "That code is not the one of now."})), OUTSIDE),
    "console-enrol": (c.EnrolView(qr=PIXEL, secret="JBSW Y3DP EHPK 3PXP"), OUTSIDE),
    "console-overview": (c.OverviewView(
        figures=FIGURES, as_of=NOW,
        tasks=(c.Task(kind="quote", title="Analytical Engines asks for 50 seats of Enterprise", detail="6,000.00 EUR, 1,000.00 over the limit", waiting="5 h", href="/q", late=True),
               c.Task(kind="held", title="Difference Ltd is held for screening", detail="Score 0.91", waiting="40 min", href="/h"),
               c.Task(kind="job", title="renew failed five times", detail="PaymentUnavailable", waiting="3 min", href="/console/jobs"))), GRACE),
    "console-overview-calm": (c.OverviewView(figures=FIGURES, as_of=NOW, tasks=()), replace(GRACE, todo={}, sandbox=False, business_time=None, closed=frozenset({"exports"}))),
    "console-list": (LISTED, GRACE),
    "console-list-empty": (replace(LISTED, kind="orders", rows=(), pages=Pages(), states=(), csv_href=""), GRACE),
    "console-account": (ACCOUNT_PAGE, GRACE),
    "console-account-new": (replace(ACCOUNT_PAGE, timeline=(), related=(), view_as_href=""), GRACE),
    "console-order-held": (ORDER, replace(GRACE, flashes=(Flash(text="Saved."),))),
    "console-order-refused": (replace(ORDER, form=Form(values={"_form": "release"}, errors={"note": "Say why."})), GRACE),
    "console-order-done": (replace(ORDER, state="fulfilled", route="automatic", reasons=(), screening=(), release_href="", cancel_href=""), GRACE),
    "console-quote": (QUOTE, GRACE),
    "console-quote-refused": (replace(QUOTE, form=Form(values={"_form": "draft", "discount_percent": "40"}, errors={"discount_percent": "Above 10 percent a second person approves."})), GRACE),
    "console-quote-accepted": (replace(QUOTE, state="accepted", save_href="", send_href="", withdraw_href=""), GRACE),
    "console-invoice": (INVOICE, GRACE),
    "console-invoice-refused": (replace(INVOICE, form=Form(values={"_form": "payment"}, errors={"amount": "An amount looks like 1200.00."})), GRACE),
    "console-invoice-paid": (replace(INVOICE, state="paid", open_amount="", payment_href="", void_href="", credit_href=""), GRACE),
    "console-license": (LICENSE, GRACE),
    "console-license-revoked": (replace(LICENSE, state="revoked", revoke_href="", reissue_href=""), GRACE),
    "console-jobs": (JOBS, GRACE),
    "console-jobs-well": (replace(JOBS, failed=()), GRACE),
    "console-survey": (NPS, GRACE),
    "console-survey-empty": (replace(NPS, score=None), GRACE),
    "console-exports": (EXPORTS, GRACE),
    "console-policies": (POLICIES, GRACE),
    "console-policies-refused": (replace(POLICIES, open_key="automation.threshold.USD", form=Form(values={"value": "x"}, errors={"value": "An amount looks like 5000.00 USD."})), GRACE),
    "console-clock": (CLOCK, GRACE),
    "console-procedure": (c.ProcedureView(name="release-held-order", text="1. Compare.\n2. Decide."), GRACE),
    "sandbox-pay": (s.PayView(
        merchant="Northwind Chat", description="Professional, 50 seats, 1 year", total="3,213.00 EUR", action="/pay/1", csrf_token="t0ken", cancel_href="/orders/1",
        lines=(("Professional", "2,700.00 EUR"), ("VAT Germany", "513.00 EUR")),
        cards=(s.MagicCard(number="4242 4242 4242 4242", effect="pays"), s.MagicCard(number="4000 0000 0000 0002", effect="is declined"), s.MagicCard(number="4000 0027 6000 3184", effect="asks for confirmation"))), GRACE),
    "sandbox-pay-declined": (s.PayView(merchant="Northwind Chat", description="Professional", total="3,213.00 EUR", action="/pay/1", csrf_token="t0ken", cancel_href="/orders/1", cards=(), error="Not enough pretended money."), GRACE),
    "sandbox-confirm": (s.ConfirmView(merchant="Northwind Chat", total="3,213.00 EUR", card="4000 0027 6000 3184", action="/pay/1/confirm", csrf_token="t0ken"), GRACE),
    "sandbox-declined": (s.DeclinedView(merchant="Northwind Chat", total="3,213.00 EUR", reason="The card is reported stolen.", state="declined", back_href="/orders/1", retry_href="/pay/1"), GRACE),
    "sandbox-expired": (s.DeclinedView(merchant="Northwind Chat", total="3,213.00 EUR", reason="It was open for a day.", state="expired", back_href="/orders/1"), GRACE),
    "sandbox-mailbox": (s.MailboxView(action="/sandbox/mail", mails=(s.MailRow(href="/sandbox/mail/1", to="ada@engines.example", subject="Your license", at=NOW),)), GRACE),
    "sandbox-mailbox-empty": (s.MailboxView(action="/sandbox/mail", mails=()), GRACE),
    "sandbox-mail": (s.MailView(to="ada@engines.example", sender="shop@northwind.example", subject="Your license", at=NOW, text="Dear Ada,\n\nhere it is.\n", links=(("Your order", "/orders/1"),),
                                attachments=(("license.mattermost-license", "/sandbox/mail/1/a/1"),), mailbox_href="/sandbox/mail", html_href="/sandbox/mail/1.html"), GRACE),
}  # fmt: skip


@pytest.mark.parametrize("name", PAGES)
def test_every_state_of_the_console_keeps_the_rules_of_a_page(show: Show, name: str) -> None:
    page, shell = PAGES[name]
    assert show(name, page, shell)


@pytest.mark.parametrize(
    ("name", "procedures"),
    [
        ("console-order-held", ("release-held-order", "cancel-order")),
        ("console-quote", ("draft-quote", "send-quote", "withdraw-quote")),
        ("console-invoice", ("record-wire", "issue-credit-note", "void-invoice")),
        ("console-license", ("revoke-license", "reissue-license")),
        ("console-jobs", ("failed-jobs",)),
        ("console-policies", ("change-policy",)),
        ("console-clock", ("advance-clock",)),
    ],
)
def test_every_action_names_its_procedure(show: Show, name: str, procedures: tuple[str, ...]) -> None:
    html = show(f"{name}-procedures", *PAGES[name])
    for procedure in procedures:
        assert f'href="/console/procedures/{procedure}">docs/procedures/{procedure}.md</a>' in html


def test_the_clock_is_offered_in_the_sandbox_only(show: Show) -> None:
    assert 'href="/console/clock"' in show("nav-sandbox", *PAGES["console-overview"])
    assert 'href="/console/clock"' not in show("nav-real", *PAGES["console-overview-calm"])


def test_a_section_that_is_closed_to_the_role_is_not_offered(show: Show) -> None:
    assert 'href="/console/exports"' not in show("nav-closed", *PAGES["console-overview-calm"])


def test_the_interval_is_drawn_where_it_lies(show: Show) -> None:
    html = show("nps-drawn", NPS, GRACE)
    assert '<rect class="span" x="64.5%" y="28" width="13%"' in html
    assert "95 % interval +29 to +55" in html


def test_a_segment_with_few_answers_hides_its_score(show: Show) -> None:
    assert "under 5" in show("nps-hidden", NPS, GRACE)


@pytest.mark.parametrize("name", [name for name in PAGES if name.startswith("sandbox-")])
def test_the_sandbox_says_test_and_needs_no_frame(show: Show, name: str) -> None:
    html = show(f"{name}-alone", *PAGES[name])
    assert "<title>TEST" in html
    assert "no bank, no card, no money" in html
