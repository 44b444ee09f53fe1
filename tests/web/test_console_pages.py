"""Every state of the console's pages about customers and money."""

from dataclasses import replace

import pytest

from app.web.console import collecting_views as w
from app.web.console import views as c
from app.web.views import Bar, Fact, Flash, Form, Link, MoneyRow, Option, Page, Pages, Reason, Shell, Step
from tests.web.samples import DAY, GRACE, NOW, Show

OUTSIDE = replace(GRACE, person="", role="")

ACCOUNT = Link(label="Analytical Engines GmbH", href="/console/accounts/acc_1")

ROWS = (
    MoneyRow(label="Enterprise", note="50 seats \u00d7 10.00 \u00d7 12 months", amount="6,000.00 EUR"),
    MoneyRow(label="VAT Germany", note="19 % of 6,000.00", amount="1,140.00 EUR", kind="tax"),
)

REASONS = (
    Reason(
        code="threshold",
        sentence="The net total is not below the automatic limit of 5,000.00 EUR.",
        figure="6,000.00 EUR",
    ),
    Reason(
        code="rolling", sentence="With the orders of the last 365 days it uses more than the limit.", figure="134 %"
    ),
)

STEPS = (
    Step(label="Asked for", state="done", at="09:38"),
    Step(label="Draft", state="now", detail="Grace Hopper"),
    Step(label="Sent", state="todo"),
)


def row(*cells: str, state: str = "active") -> tuple[c.Cell, ...]:
    """A row of a list: its name, some texts, a state and an amount."""
    first, *rest = cells
    texts = tuple(c.Cell(text=text) for text in rest)
    return (
        c.Cell(text=first, href="/console/accounts/1"),
        *texts,
        c.Cell(state=state),
        c.Cell(day=DAY),
        c.Cell(text="6,000.00 EUR", number=True),
    )


COLUMNS = ("Company", "Country", "Plan", "State", "Since", "Yearly")

LISTED = c.ListView(
    kind="accounts",
    columns=COLUMNS,
    rows=(
        row("Analytical Engines GmbH", "Germany", "Enterprise"),
        row("Difference Ltd", "United Kingdom", "Professional", state="past_due"),
    ),
    form=Form(values={"q": "eng"}),
    states=(Option(value="active", label="Active"),),
    pages=Pages(newer="/n", older="/o", summary="26 to 50 of 312"),
)

RELATED = c.Related(
    title="Invoices",
    columns=COLUMNS,
    rows=(row("NW-2026-00042", "Germany", "Enterprise", state="open"),),
    all_href="/console/invoices?account=1",
)

FIGURES = (
    c.Figure(
        name="Recurring revenue a year",
        value="1,284,300 USD",
        why="+2.1 % since October",
        href="/console/exports?report=arr",
    ),
    c.Figure(name="Orders today", value="14", why="12 automatic, 2 by quote"),
    c.Figure(name="Payment to license", value="1.8 s", why="95 of 100 are faster"),
    c.Figure(name="Open invoices", value="38,210 USD", why="4,100 overdue", href="/console/invoices?state=overdue"),
)

ACCOUNT_PAGE = c.AccountView(
    account_id="acc_01kafz",
    name="Analytical Engines GmbH",
    state="active",
    facts=(Fact(name="Domain", value="engines.example"), Fact(name="Tax id", value="DE123456789", mono=True)),
    figures=FIGURES[:3],
    related=(RELATED, replace(RELATED, title="Licenses", rows=())),
    timeline=(
        c.TimelineEvent(
            at=NOW,
            kind="license.issued",
            sentence="License issued for 50 seats",
            actor="purchase",
            href="/console/licenses/1",
        ),
        c.TimelineEvent(at=NOW, kind="order.placed", sentence="Order placed", actor="ada@engines.example"),
    ),
)


def action(name: str, procedure: str, **changes: object) -> c.Action:
    made = c.Action(name=name, title=f"{name} it", button=f"{name} the thing", href=f"/{name}", procedure=procedure)
    return replace(made, **changes)  # type: ignore[arg-type]  # keyword arguments as a table


ORDER = c.ConsoleOrderView(
    order_id="ord_01kafz",
    state="held",
    account=ACCOUNT,
    route="review",
    reasons=REASONS,
    rows=ROWS,
    total="7,140.00 EUR",
    treatment="German VAT is charged.",
    facts=(Fact(name="Person", value="Ada Byron"),),
    steps=STEPS,
    evidence=(Fact(name="SHA-256 of the terms", value="c0ffee", mono=True),),
    attempts=replace(RELATED, title="Attempts to pay", rows=()),
    actions=(action("release", "release-held-order", tone="primary"), action("cancel", "cancel-order", tone="danger")),
)

QUOTE = c.QuoteRequestView(
    quote_id="quo_01kafz",
    state="requested",
    account=ACCOUNT,
    contact="ada@engines.example",
    asked_at=NOW,
    message="We need an offer for three years.",
    reasons=REASONS,
    rows=ROWS,
    total="7,140.00 EUR",
    treatment="German VAT is charged.",
    facts=(Fact(name="Margin to the limit", value="1,000.00 EUR over"),),
    history=STEPS,
    actions=(action("decline", "close-quote-request", tone="danger"), action("withdraw", "close-quote-request")),
)

INVOICE = c.ConsoleInvoiceView(
    number="NW-2026-00042",
    state="open",
    account=ACCOUNT,
    rows=ROWS,
    total="7,140.00 EUR",
    open_amount="7,140.00 EUR",
    treatment="German VAT is charged.",
    facts=(
        Fact(name="Issued", value="22 November 2026"),
        Fact(name="Due", value="22 December 2026"),
        Fact(name="PO number", value="4711"),
    ),
    documents=(Link(label="PDF", href="/i.pdf"), Link(label="XML", href="/i.xml")),
    postings=replace(RELATED, title="Postings"),
    related=(replace(RELATED, title="Payments", rows=()),),
)

LICENSE = c.DetailView(
    kind="licenses",
    id="lic_01kafz",
    title="Enterprise of Analytical Engines GmbH",
    state="active",
    account=ACCOUNT,
    facts=(Fact(name="Seats", value="50"),),
    related=(replace(RELATED, title="Others of this subscription"),),
    actions=(
        action(
            "revoke",
            "revoke-license",
            tone="danger",
            options=(Option(value="refund", label="Refunded"), Option(value="leak", label="Leaked")),
        ),
    ),
)

SAY_WHY = Form(values={"_form": "release", "note": ""}, errors={"note": "Say why."})

PIXEL = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 2 2'%3E"
    "%3Cpath d='M0 0h1v1H0zM1 1h1v1H1z'/%3E%3C/svg%3E"
)

NONE = replace(RELATED, rows=())

DUNNING = w.DunningView(
    run=(Fact(name="Due and not ordered yet", value="100,000"),), tomorrow=1, week=RELATED, reminders_tomorrow=2,
    reminders=RELATED, open_runs=RELATED, parked=RELATED, closed=NONE,
)  # fmt: skip

RUN = w.DunningRunView(
    run_id="dun_1", title="EUR of Analytical Engines GmbH", state="open", account=ACCOUNT,
    facts=(Fact(name="Why", value="The card has expired."),), owed=RELATED, steps=STEPS, charges=NONE,
    pause_href="/console/dunning/dun_1/pause", longest_days=30,
    form=Form(values={"_form": "pause", "note": "x", "days": "99"}, errors={"days": "A whole number, 1 to 30."}),
)  # fmt: skip

DESK = w.RenewalDeskView(
    charts=(c.Chart(title="Up for renewal by month", bars=(Bar(label="Nov", value=3, text="3k"),)),), columns=COLUMNS,
    rows=(row("Analytical Engines GmbH", "Germany", "Enterprise"),), totals=("6,000.00 EUR",),
    months=(Option(value="2026-11", label="November 2026"),), risks=(Option(value="no_card", label="No saved card"),),
    form=Form(values={"month": "2026-11"}), further=3,
)  # fmt: skip

PAGES: dict[str, tuple[Page, Shell]] = {
    "console-sign-in": (c.ConsoleSignInView(oidc_href="/oidc"), OUTSIDE),
    "console-sign-in-sent": (c.ConsoleSignInView(sent_to="grace@northwind.example"), OUTSIDE),
    "console-second-factor": (
        c.SecondFactorView(form=Form(errors={"code": "That code is not the one of now."})),
        OUTSIDE,
    ),
    "console-enrol": (c.EnrolView(qr=PIXEL, secret="JBSW Y3DP EHPK 3PXP"), OUTSIDE),
    "console-overview": (
        c.OverviewView(
            figures=FIGURES,
            as_of=NOW,
            charts=(c.Chart(title="Invoiced by month", bars=(Bar(label="Nov", value=3, text="3k"),)),),
            tasks=(
                c.Task(
                    kind="quote",
                    title="Analytical Engines asks for 50 seats of Enterprise",
                    detail="6,000.00 EUR, 1,000.00 over the limit",
                    waiting="5 h",
                    href="/q",
                    late=True,
                ),
                c.Task(
                    kind="held",
                    title="Difference Ltd is held for screening",
                    detail="Score 0.91",
                    waiting="40 min",
                    href="/h",
                ),
                c.Task(
                    kind="payment",
                    title="A payment fits no open order",
                    detail="It was paid a second time.",
                    waiting="3 d",
                    href="/o",
                    late=True,
                ),
                c.Task(
                    kind="job",
                    title="renew failed five times",
                    detail="PaymentUnavailable",
                    waiting="3 min",
                    href="/console/jobs",
                ),
            ),
        ),
        GRACE,
    ),
    "console-overview-calm": (
        c.OverviewView(figures=FIGURES, as_of=NOW, tasks=()),
        replace(GRACE, todo={}, sandbox=False, business_time=None, closed=frozenset({"exports"})),
    ),
    "console-list": (LISTED, GRACE),
    "console-list-empty": (replace(LISTED, kind="orders", rows=(), pages=Pages(), states=()), GRACE),
    "console-account": (ACCOUNT_PAGE, GRACE),
    "console-account-new": (replace(ACCOUNT_PAGE, timeline=(), related=(), state=""), GRACE),
    "console-order-held": (ORDER, replace(GRACE, flashes=(Flash(text="Saved."),))),
    "console-order-refused": (replace(ORDER, form=SAY_WHY, actions=(replace(ORDER.actions[0], form=SAY_WHY),)), GRACE),
    "console-order-done": (
        replace(ORDER, state="completed", route="automatic", reasons=(), evidence=(), actions=()),
        GRACE,
    ),
    "console-quote": (QUOTE, GRACE),
    "console-quote-declined": (replace(QUOTE, state="declined", message="", actions=()), GRACE),
    "console-invoice": (INVOICE, GRACE),
    "console-invoice-paid": (replace(INVOICE, state="paid", open_amount="", documents=()), GRACE),
    "console-license": (LICENSE, GRACE),
    "console-license-revoked": (replace(LICENSE, state="revoked", actions=()), GRACE),
    "console-subscription": (replace(LICENSE, kind="subscriptions", actions=()), GRACE),
    "console-workspace": (
        replace(LICENSE, kind="workspaces", actions=(action("retry", "provisioning"),)),
        GRACE,
    ),
    "console-dunning": (DUNNING, GRACE),
    "console-dunning-calm": (
        replace(DUNNING, tomorrow=0, week=NONE, open_runs=NONE, parked=NONE, closed=NONE),
        GRACE,
    ),
    "console-dunning-run": (RUN, GRACE),
    "console-dunning-run-paused": (
        replace(
            RUN,
            state="suspended",
            pause_href="",
            resume_href="/console/dunning/dun_1/resume",
            form=Form(values={"_form": "resume", "note": ""}, errors={"note": "Say why; it goes into the audit log."}),
        ),
        GRACE,
    ),
    "console-dunning-run-over": (replace(RUN, state="recovered", pause_href="", form=Form()), GRACE),
    "console-renewals": (DESK, GRACE),
    "console-renewals-empty": (replace(DESK, charts=(), rows=(), totals=()), GRACE),
    "console-search": (c.SearchView(asked="engines", found=(RELATED,)), replace(GRACE, search="engines")),
    "console-search-empty": (c.SearchView(asked="nobody", found=()), GRACE),
    "console-error": (
        c.ConsoleErrorView(status=404, title="There is no such thing here", detail="No order.", code="not_found"),
        GRACE,
    ),
    "console-error-outside": (
        c.ConsoleErrorView(status=403, title="Form refused", detail="Load it again.", request_id="req_1"),
        OUTSIDE,
    ),
}


@pytest.mark.parametrize("name", PAGES)
def test_every_state_of_the_console_keeps_the_rules_of_a_page(show: Show, name: str) -> None:
    page, shell = PAGES[name]
    assert show(name, page, shell)


@pytest.mark.parametrize(
    ("name", "procedures"),
    [
        ("console-order-held", ("release-held-order", "cancel-order")),
        ("console-quote", ("close-quote-request",)),
        ("console-license", ("revoke-license",)),
        ("console-dunning", ("dunning", "parked-subscription")),
        ("console-dunning-run", ("dunning",)),
        ("console-renewals", ("renewal-desk",)),
        ("console-workspace", ("provisioning",)),
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
