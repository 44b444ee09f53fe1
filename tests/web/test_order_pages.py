"""The confirmation page in every state of an order."""

from dataclasses import replace
from datetime import date

import pytest

from app.web.portal import views as v
from app.web.portal.invoice_views import PayInvoiceView
from app.web.views import (
    Fact,
    Link,
    MoneyRow,
    Page,
    Step,
    SurveyForm,
)
from tests.web.samples import ROWS, STRANGER, Show

STEPS = (
    Step(label="Terms accepted", state="done", detail="By Ada Byron for Analytical Engines GmbH", at="09:38:02"),
    Step(label="Paid", state="done", detail="Visa ending in 4242", at="09:38:41"),
    Step(label="Invoice NW-2026-00042", state="done", at="09:38:42"),
    Step(label="License signed", state="done", at="09:38:43"),
)

LICENSE = v.LicenseReady(
    filename="analytical-engines-2026.mattermost-license",
    download_href="/account/licenses/lic_1/file",
    text="eyJpZCI6IjV3Y3R" * 30,
    seats=50,
    until=date(2027, 11, 21),
    guides=(
        v.InstallGuide(
            title="In the System Console",
            steps=("Open System Console, Edition and License.", "Upload the file.", "Look for your company's name."),
        ),
        v.InstallGuide(
            title="On the command line",
            steps=("Copy the file to the server.", "Run the command."),
            command="mmctl license upload analytical-engines-2026.mattermost-license",
        ),
        v.InstallGuide(
            title="On a server without internet",
            steps=(
                "Carry the file over on a medium you trust.",
                "Upload it as above: nothing is asked of the network.",
            ),
        ),
    ),
)

SURVEY = SurveyForm(
    action="/orders/ord_1/survey",
    invitation_id="srv_1",
    question="Based on this purchase, how likely are you to recommend buying from Northwind Chat to a colleague?",
)

ORDER = v.OrderView(
    order_id="ord_01kafzq5w3j8m2n4p6r8s0t2v4",
    state="paid",
    plan="Professional, 50 seats, 1 year",
    email="ada@engines.example",
    rows=ROWS,
    total="3,213.00 EUR",
    progress=v.ProgressView(steps=STEPS),
    license=LICENSE,
    documents=(
        Link(label="Invoice NW-2026-00042 (PDF)", href="/i/1.pdf"),
        Link(label="Acceptance certificate (PDF)", href="/c/1.pdf"),
    ),
    facts=(
        Fact(name="Paid with", value="Visa ending in 4242"),
        Fact(name="Terms", value="Software License Agreement 3", href="/terms/license/3"),
    ),
    survey=SURVEY,
)

RUNNING = v.ProgressView(
    steps=(
        *STEPS[:3],
        Step(label="Signing the license", state="now"),
        Step(label="Workspace", state="todo", detail="Starts when the license is there"),
    ),
    percent=60,
    sentence="Signing the license.",
    poll_href="/orders/ord_1/progress",
)

UNPAID = v.ProgressView(steps=(STEPS[0], Step(label="Payment", state="now"), Step(label="License", state="todo")))

BARE = replace(ORDER, license=None, documents=(), facts=(), survey=None, progress=UNPAID)

OWED = PayInvoiceView(
    state="owed",
    number="NW-2026-00042",
    company="Analytical Engines GmbH",
    rows=(
        MoneyRow(label="Total with tax", amount="3,213.00 EUR"),
        MoneyRow(label="Paid", note="2 December 2026, by bank transfer", amount="−1,000.00 EUR"),
    ),
    total="2,213.00 EUR",
    documents=(Link(label="Invoice NW-2026-00042 (PDF)", href="/invoices/t/pdf"),),
    facts=(Fact(name="PO number", value="PO-4711"),),
    due=date(2026, 12, 22),
    pay_href="/invoices/t/pay",
    transfer="IBAN DE02 1203 0000 0000 2020 51",
)

PAGES: dict[str, Page] = {
    "order-paid": ORDER,
    "order-bridge": replace(
        ORDER,
        state="open_invoice",
        invoice_due=date(2026, 12, 22),
        license=replace(LICENSE, bridge_until=date(2027, 1, 1)),
    ),
    "order-cloud": replace(
        ORDER,
        license=None,
        workspace=Link(label="engines.northwind.example", href="https://engines.northwind.example"),
        survey=None,
        survey_thanks=True,
    ),
    "order-processing": replace(BARE, state="processing", progress=RUNNING),
    "order-awaiting": replace(BARE, state="awaiting_payment", pay_href="/orders/1/pay"),
    "order-review": replace(BARE, state="review", review_by=date(2026, 11, 25)),
    "order-failed": replace(
        BARE, state="payment_failed", failure="The bank declined the card.", pay_href="/orders/1/pay"
    ),
    "invoice-owed": OWED,
    "invoice-overdue": replace(OWED, overdue_days=12, card_href="/invoices/t/card", card="Visa •••• 4242"),
    "invoice-refused": replace(OWED, refusal="The card has expired. Pay with another card."),
    "invoice-waiting": replace(OWED, state="waiting", refresh_href="/invoices/t/refresh"),
    "invoice-paid": replace(OWED, state="paid", pay_href="", transfer="", total="0.00 EUR"),
    "invoice-over": replace(OWED, state="over", pay_href="", transfer="", total="0.00 EUR"),
    "order-expired": replace(BARE, state="expired", restart_href="/checkout"),
    "order-canceled": replace(BARE, state="canceled"),
}


@pytest.mark.parametrize("name", PAGES)
def test_every_state_of_an_order_keeps_the_rules_of_a_page(show: Show, name: str) -> None:
    assert show(name, PAGES[name], STRANGER)


def test_a_held_order_says_by_when_it_is_decided(show: Show) -> None:
    assert "25 November 2026" in show("order-review-again", PAGES["order-review"], STRANGER)


def test_no_score_is_preselected_on_the_confirmation_page(show: Show) -> None:
    html = show("order-survey", ORDER, STRANGER)
    assert html.count('name="score"') == 11
    assert not [piece for piece in html.split('name="score"')[1:] if " checked" in piece.split(">")[0]]
