"""The console's pages about running the shop."""

from dataclasses import replace

import pytest

from app.web.console import operations_views as o
from app.web.console import staff_views as s
from app.web.console import views as c
from app.web.views import Bar, Choice, Fact, Form, Link, Option, Page, Shell
from tests.web.samples import DAY, GRACE, NOW, Show

JOBS = o.JobsView(
    queues=(
        o.QueueRow(name="renew", waiting=12, later=3, running=2, failed=1, oldest="40 s", last_good=NOW),
        o.QueueRow(name="send_mail", waiting=0, later=0, running=0, failed=0, oldest="", last_good=None),
    ),
    failed=(
        o.FailedJob(
            job_id=7,
            name="renew",
            argument="sub_01kafz",
            attempts=5,
            failed_at=NOW,
            error="PaymentUnavailable: no answer",
            trace="Traceback (most recent call last):\n  …",
            retry_href="/console/jobs/7/retry",
        ),
    ),
    workers=2,
    retry_all_href="/console/jobs/retry",
)

NPS = o.NpsView(
    periods=(Choice(label="90 days", href="?p=90", current=True), Choice(label="A year", href="?p=365")),
    score=42,
    low=29,
    high=55,
    answers=118,
    invited=301,
    response_rate="39 %",
    suppressed=44,
    suppressed_why=(Fact(name="Asked within 90 days", value="31"), Fact(name="Opted out", value="13")),
    unconfirmed=9,
    distribution=tuple(
        Bar(label=str(i), value=n, text=str(n)) for i, n in enumerate((2, 0, 1, 2, 1, 4, 6, 14, 22, 31, 35))
    ),
    segments=(
        o.Segment(name="Purchase", answers=81, score=47, rate="44 %"),
        o.Segment(name="Expansion", answers=5, score=-20, rate="20 %"),
    ),
    comments=(
        o.Comment(
            score=10, text="From pricing to a running server in four minutes.", segment="Purchase, Professional", on=DAY
        ),
        o.Comment(score=3, text="I could not find where to put the PO number.", segment="Renewal, Enterprise", on=DAY),
    ),
    wording="Wording purchase-1: “Based on this purchase, how likely are you to recommend us to a colleague?”",
    form=Form(values={"from": "2026-08-25", "to": "2026-11-22", "segment": "kind"}),
    groups=(Option(value="kind", label="Occasion"), Option(value="plan", label="Plan")),
    hidden="1 group with fewer than five answers each, 3 in all, are not shown.",
)

MONTHS = ("Dec", "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov")

EXPORTS = o.ExportsView(
    form=Form(values={"report": "invoices", "from": "2026-10-01", "to": "2026-10-31", "format": "csv"}),
    action="/console/exports",
    reports=(
        o.ReportRow(
            name="invoices",
            title="Invoice register",
            about="Every invoice and credit note with its tax.",
            href="?report=invoices",
        ),
        o.ReportRow(name="aging", title="Aging", about="What is open, by age.", href="?report=aging"),
    ),
    formats=(Option(value="csv", label="CSV"), Option(value="xlsx", label="XLSX")),
    links=(Link(label="invoices-2026-10.csv", href="/v1/reports/invoices.csv"),),
    charts=(
        c.Chart(
            title="Revenue recognized by month, thousand USD",
            bars=tuple(
                Bar(label=m, value=v, text=f"{v}k")
                for m, v in zip(MONTHS, (61, 66, 64, 70, 74, 79, 77, 84, 90, 93, 99, 71), strict=True)
            ),
        ),
    ),
)

POLICIES = o.PoliciesView(
    policies=(
        o.PolicyRow(
            key="automation.threshold.USD",
            title="Automatic below",
            value="5,000.00 USD",
            since=DAY,
            who="grace@northwind.example",
            why="As agreed with finance",
            history=(
                (
                    c.Cell(day=DAY),
                    c.Cell(text="5,000.00 USD", number=True),
                    c.Cell(text="Grace"),
                    c.Cell(text="As agreed"),
                ),
            ),
            change_href="/console/policies",
        ),
        o.PolicyRow(
            key="renewal.opens_days",
            title="Renewal opens before the end",
            value="90 days",
        ),
    ),
)

CLOCK = o.ClockView(
    now=NOW,
    real=NOW,
    action="/console/clock",
    due=(Fact(name="23 November 2026", value="2 reminders, 1 renewal"),),
    log=(Fact(name="Survey sent", value="1"),),
    form=Form(values={"days": "30"}),
)

NEW_PERSON = s.NewPersonView(roles=(Option(value="sales", label="Sales"), Option(value="admin", label="Administrator")))

PERSON = c.DetailView(
    kind="staff",
    id="stf_01kafz",
    title="Ada Byron",
    state="invited",
    account=None,
    facts=(Fact(name="E-mail", value="ada@northwind.example"),),
    actions=(
        c.Action(
            name="role",
            title="Give another role",
            button="Change the role",
            href="/r",
            procedure="staff-access",
            asks="role",
            asked="Role",
            options=NEW_PERSON.roles,
            form=Form(values={"role": "admin"}),
        ),
    ),
)

PAGES: dict[str, tuple[Page, Shell]] = {
    "console-staff": (
        s.StaffView(columns=("Person", "Role"), rows=((c.Cell(text="Ada", href="/a"), c.Cell(text="Sales")),)),
        GRACE,
    ),
    "console-staff-new": (NEW_PERSON, GRACE),
    "console-staff-new-refused": (
        replace(NEW_PERSON, form=Form(values={"email": "ada"}, errors={"email": "This is no address.", "role": "?"})),
        GRACE,
    ),
    "console-staff-person": (PERSON, GRACE),
    "console-api-key": (replace(PERSON, kind="api-keys", state="revoked", actions=()), GRACE),
    "console-jobs": (JOBS, GRACE),
    "console-jobs-well": (replace(JOBS, failed=()), GRACE),
    "console-survey": (NPS, GRACE),
    "console-survey-empty": (replace(NPS, score=None), GRACE),
    "console-exports": (EXPORTS, GRACE),
    "console-policies": (POLICIES, GRACE),
    "console-policies-refused": (
        replace(
            POLICIES,
            open_key="automation.threshold.USD",
            form=Form(values={"value": "x"}, errors={"value": "An amount looks like 5000.00 USD."}),
        ),
        GRACE,
    ),
    "console-clock": (CLOCK, GRACE),
    "console-procedures": (
        o.ProceduresView(procedures=(Link(label="Daily review", href="/console/procedures/daily-review"),)),
        GRACE,
    ),
    "console-procedure": (
        o.ProcedureView(name="release-held-order", title="Release a held order", text="1. Compare.\n2. Decide."),
        GRACE,
    ),
}


@pytest.mark.parametrize("name", PAGES)
def test_every_state_of_running_the_shop_keeps_the_rules_of_a_page(show: Show, name: str) -> None:
    page, shell = PAGES[name]
    assert show(name, page, shell)


@pytest.mark.parametrize(
    ("name", "procedures"),
    [
        ("console-jobs", ("failed-jobs",)),
        ("console-policies", ("change-policy",)),
        ("console-clock", ("advance-clock",)),
        ("console-staff", ("staff-access",)),
        ("console-staff-new", ("staff-access",)),
        ("console-staff-person", ("staff-access",)),
    ],
)
def test_every_action_names_its_procedure(show: Show, name: str, procedures: tuple[str, ...]) -> None:
    html = show(f"{name}-procedures", *PAGES[name])
    for procedure in procedures:
        assert f'href="/console/procedures/{procedure}">docs/procedures/{procedure}.md</a>' in html


def test_the_interval_is_drawn_where_it_lies(show: Show) -> None:
    html = show("nps-drawn", NPS, GRACE)
    assert '<rect class="span" x="64.5%" y="8" width="13%"' in html
    assert "95 % interval +29 to +55" in html


def test_segments_that_are_too_small_are_only_counted(show: Show) -> None:
    assert "1 group with fewer than five answers each" in show("nps-hidden", NPS, GRACE)
