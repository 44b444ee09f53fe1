"""Signing in, the pages behind mailed links, and the check of a license."""

from dataclasses import replace
from datetime import date

import pytest

from app.web.portal import entry_views as e
from app.web.views import Fact, Form, Link, MoneyRow, Page, SurveyForm
from tests.web.samples import ADA, NOW, Show

RENEW = e.RenewView(
    state="ready",
    action="/renew/t",
    preview_id="prv_4",
    plan="Professional",
    company="Analytical Engines GmbH",
    compared=(
        e.RenewalRow(label="Seats", old="50", new="50"),
        e.RenewalRow(label="Until", old="21 November 2027", new="21 November 2028", changed=True),
        e.RenewalRow(label="A seat and month", old="4.00 EUR", new="4.20 EUR", changed=True),
    ),
    rows=(
        MoneyRow(label="Professional", note="50 seats \u00d7 4.20 \u00d7 12 months", amount="2,520.00 EUR"),
        MoneyRow(label="VAT Germany", note="19 % of 2,520.00", amount="478.80 EUR", kind="tax"),
    ),
    total="2,998.80 EUR",
    treatment="German VAT is charged.",
    button="Renew for 2,998.80 EUR",
    payment="Charged to Visa ending in 4242.",
    seats_form=Form(values={"seats": "50"}),
    stop_href="/account/subscriptions/1#ending",
)

SURVEY = SurveyForm(
    action="/survey/t",
    invitation_id="srv_1",
    score="8",
    question="Based on this renewal, how likely are you to recommend buying from Northwind Chat to a colleague?",
)

VERIFIED = e.VerifyView(
    verdict="valid",
    headline="Genuine and in force",
    code="VALID",
    checked_at=NOW,
    findings=(
        e.Finding(
            state="valid", title="Signature", detail="Made with the key production-2026, which was valid at the time."
        ),
        e.Finding(
            state="expiring",
            title="Superseded",
            detail="A newer file with 60 seats exists.",
            remedy="Download it from the account.",
        ),
    ),
    facts=(
        Fact(name="Customer", value="Analytical Engines GmbH"),
        Fact(name="Seats", value="50"),
        Fact(name="Until", value="21 November 2027"),
    ),
)

PAGES: dict[str, Page] = {
    "sign-in": e.SignInView(),
    "sign-in-wrong": e.SignInView(
        form=Form(values={"email": "ada"}, errors={"email": "An e-mail address looks like name@company.example."})
    ),
    "sign-in-check": e.SignInCheckView(email="ada@engines.example", challenge="c", minutes=15),
    "sign-in-check-wrong": e.SignInCheckView(
        email="ada@engines.example",
        challenge="c",
        minutes=15,
        form=Form(errors={"code": "That code is not the one we sent. Four tries are left."}),
    ),
    "sign-in-link": e.SignInLinkView(state="ready", token="t", email="ada@engines.example"),
    "sign-in-link-used": e.SignInLinkView(state="used"),
    "sign-in-link-expired": e.SignInLinkView(state="expired"),
    "renew": RENEW,
    "renew-new-terms": replace(
        RENEW,
        terms=Link(label="Software License Agreement", href="/terms/license/4"),
        terms_version="4",
        authority="I am entitled to bind the company.",
        form=Form(errors={"accept": "Without the new terms there is no renewal."}),
    ),
    **{
        f"renew-{state}": e.RenewView(
            state=state, opens_on=date(2027, 8, 23), order_href="/orders/1" if state in {"used", "quote"} else ""
        )
        for state in ("used", "expired", "early", "foreign", "quote", "gone")
    },
    "survey": e.SurveyView(
        state="open", about="Your renewal of 22 November 2026", survey=SURVEY, opt_out_href="/survey/t/opt-out"
    ),
    "survey-unanswered": e.SurveyView(
        state="open", survey=replace(SURVEY, score="", error="Choose a number from 0 to 10.")
    ),
    "survey-answered": e.SurveyView(state="answered", survey=SURVEY),
    "survey-expired": e.SurveyView(state="expired"),
    "survey-leaving": e.SurveyView(state="leaving", opt_out_href="/survey/t/opt-out"),
    "survey-opted-out": e.SurveyView(state="opted_out"),
    "verify": e.VerifyView(),
    "verify-good": VERIFIED,
    "verify-bad": replace(
        VERIFIED,
        verdict="invalid",
        headline="Not one of ours",
        code="SIGNATURE_INVALID",
        facts=(),
        findings=(e.Finding(state="invalid", title="Signature", detail="No key of ours made it."),),
    ),
    "verify-refused": e.VerifyView(
        form=Form(errors={"file": "The file is larger than 20,000 characters.", "": "Nothing was checked."})
    ),
}


@pytest.mark.parametrize("name", PAGES)
def test_every_state_behind_a_link_keeps_the_rules_of_a_page(show: Show, name: str) -> None:
    assert show(name, PAGES[name], ADA)


def test_a_score_from_the_mail_is_chosen_but_not_sent(show: Show) -> None:
    html = show("survey-from-mail", PAGES["survey"], ADA)
    assert 'name="score" value="8" required checked' in html
    assert html.count(" checked") == 1
    assert "Nothing is counted until you press the button." in html


@pytest.mark.parametrize("state", ["used", "expired", "early", "foreign", "quote", "gone"])
def test_a_renewal_link_that_cannot_act_has_no_form_to_act_with(show: Show, state: str) -> None:
    html = show(f"renew-{state}-formless", PAGES[f"renew-{state}"], replace(ADA, person=""))
    assert "<form" not in html
