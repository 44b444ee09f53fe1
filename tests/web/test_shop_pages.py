"""Pricing, checkout, quotes, terms and errors."""

from dataclasses import replace
from datetime import date

import pytest

from app.web.portal import views as v
from app.web.views import (
    Choice,
    ErrorView,
    Flash,
    Form,
    Link,
    Option,
    Page,
    Reason,
)
from tests.web.samples import NOW, PLAN, ROWS, STRANGER, Show

PRICING = v.PricingView(
    plans=(
        replace(
            PLAN,
            sku="starter",
            name="Professional",
            price="4.00 USD",
            total="2,400.00 USD",
            equation="50 seats \u00d7 4.00 \u00d7 12 months",
            route="automatic",
            automatic_up_to=104,
            recommended=True,
        ),
        replace(
            PLAN,
            sku="enterprise",
            name="Enterprise",
            tagline="Compliance, scale and control for the whole company.",
            features=("Everything in Professional", "Compliance export", "High availability", "Custom roles"),
        ),
        replace(
            PLAN,
            sku="advanced",
            name="Enterprise Advanced",
            tagline="For defence, energy and others with an air gap.",
            price="",
            price_unit="priced with you",
            total="",
            equation="Depends on deployment and support.",
            route="sales",
            automatic_up_to=None,
            note="Sold by people only; expect an answer the same day.",
            features=("Everything in Enterprise", "Zero trust controls", "Air-gapped operation", "Named engineer"),
        ),
    ),
    deliveries=(
        Choice(label="Self-managed", href="/?delivery=self", current=True),
        Choice(label="Cloud", href="/?delivery=cloud"),
    ),
    intervals=(
        Choice(label="Yearly", href="/?interval=year", current=True),
        Choice(label="Monthly", href="/?interval=month"),
    ),
    currencies=(
        Choice(label="USD", href="/?currency=USD", current=True),
        Choice(label="EUR", href="/?currency=EUR"),
        Choice(label="GBP", href="/?currency=GBP"),
    ),
    form=Form(values={"seats": "50"}),
    kept=(Option(value="delivery", label="self"), Option(value="currency", label="USD")),
    min_seats=11,
    threshold="5,000.00 USD",
    quote_turnaround="one business day",
)


PREVIEW = v.PreviewView(
    preview_id="prv_01kafz",
    rows=ROWS,
    total="3,213.00 EUR",
    treatment="German VAT is charged: seller and buyer are both in Germany.",
    route_sentence="Runs automatically: your license is ready seconds after payment.",
    renewal="Ends on 21 November 2027. You decide about renewing; nothing is charged by itself.",
    expires_at=NOW,
    button="Pay 3,213.00 EUR",
)

QUOTE_REASONS = (
    Reason(
        code="threshold",
        sentence="The net total is not below the automatic limit of 5,000.00 EUR.",
        figure="5,400.00 EUR",
    ),
    Reason(
        code="rolling", sentence="With your orders of the last 365 days it uses more than the limit.", figure="134 %"
    ),
)

QUOTE_PREVIEW = replace(
    PREVIEW,
    route="quote",
    route_sentence="A person sends you a quote within one business day.",
    reasons=QUOTE_REASONS,
    button="Request a quote",
)

CHECKOUT = v.CheckoutView(
    form=Form(
        values={"sku": "starter", "currency": "EUR", "seats": "50", "term": "12", "payment": "card", "country": "DE"}
    ),
    preview=PREVIEW,
    preview_href="/checkout/preview",
    plan="Professional",
    delivery="Self-managed: you run it on your own servers, with a license file.",
    pricing_href="/?seats=50",
    min_seats=11,
    term_options=(
        Option(value="12", label="1 year, prepaid"),
        Option(value="24", label="2 years, prepaid"),
        Option(value="36", label="3 years, prepaid"),
    ),
    addons=(
        v.AddOn(
            sku="premium",
            name="Premium support, answers within four hours",
            price="+1.00 EUR a seat and month",
            checked=True,
        ),
    ),
    countries=(
        Option(value="CA", label="Canada"),
        Option(value="DE", label="Germany"),
        Option(value="US", label="United States"),
    ),
    us_states=(Option(value="US-NY", label="New York"), Option(value="US-TX", label="Texas")),
    ca_provinces=(Option(value="CA-ON", label="Ontario"), Option(value="CA-QC", label="Quebec")),
    payments=(
        Option(value="card", label="By card, now"),
        Option(value="invoice", label="On invoice, 30 days, against your purchase order"),
    ),
    payment_hint="The card is entered on our payment provider's page; its number never reaches us.",
    terms=Link(label="Software License Agreement", href="/terms/license/3"),
    terms_version="3",
    authority="I am entitled to bind the company named above.",
)

QUOTE = v.QuoteView(
    number="Q-2026-00017-r2",
    state="viewed",
    company="Analytical Engines GmbH",
    prepared_by="Grace Hopper, Northwind Chat",
    message="As discussed, with the second year at today's price.",
    rows=ROWS,
    total="14,213.00 EUR",
    treatment="German VAT is charged.",
    valid_until=date(2026, 12, 22),
    accept_by_click=True,
    signature_note="Orders of 25,000.00 EUR and more are signed on paper. Download the PDF, sign it and mail it.",
    pdf_href="/q/t/pdf",
    form=Form(),
    accept_href="/q/t/accept",
    decline_href="/q/t/decline",
    button="Accept for 14,213.00 EUR",
    terms=Link(label="Software License Agreement", href="/terms/license/3"),
    terms_version="3",
    authority="I am entitled to bind the company named above.",
    preview_id="prv_2",
    sign_href="/q/t/sign",
    seen_href="/q/t/seen",
    terms_id="trm_1",
    payment="Agreed: payable within 30 days of the invoice.",
    agreement_note="“Master agreement 2026” applies to this quote; where it says otherwise it prevails.",
)

PAGES: dict[str, Page] = {
    "pricing": PRICING,
    "pricing-wrong-seats": replace(
        PRICING, form=Form(values={"seats": "3"}, errors={"seats": "This plan begins at 11 seats."})
    ),
    "checkout": CHECKOUT,
    "checkout-empty": replace(
        CHECKOUT, preview=v.PreviewView(missing="Choose a country to see the tax and the total.")
    ),
    "checkout-quote": replace(CHECKOUT, preview=QUOTE_PREVIEW),
    "checkout-changed": replace(CHECKOUT, preview=replace(PREVIEW, notice="changed")),
    "checkout-expired": replace(CHECKOUT, preview=replace(PREVIEW, notice="expired")),
    "checkout-errors": replace(
        CHECKOUT,
        form=Form(
            values={"seats": "50", "term": "12", "payment": "card", "country": "US", "email": "ada@"},
            errors={
                "email": "An e-mail address looks like name@company.example.",
                "tax_id": "DE123 is not a German VAT number: nine digits follow DE.",
                "region": "Sales tax depends on the state.",
                "accept": "Without the terms there is no license.",
                "payment": "Choose how to pay.",
            },
        ),
    ),
    "quote-requested": v.QuoteRequestedView(
        reference="quo_01kafz",
        email="ada@engines.example",
        answer_by=date(2026, 11, 24),
        plan="Enterprise, 50 seats, 1 year",
        rows=ROWS,
        total="7,140.00 EUR",
        reasons=QUOTE_REASONS,
        automatic_href="/checkout?seats=41",
        automatic_sentence="Up to 41 seats would run automatically; the rest can be added later.",
    ),
    "quote": QUOTE,
    "quote-signature": replace(QUOTE, accept_by_click=False),
    **{
        f"quote-{state}": replace(
            QUOTE,
            state=state,
            order_href="/orders/1" if state == "accepted" else "",
            newer_href="/q/u" if state == "superseded" else "",
        )
        for state in ("accepted", "declined", "expired", "superseded", "withdrawn")
    },
    "terms": v.TermsView(
        title="Software License Agreement",
        version="3",
        effective=date(2026, 7, 1),
        sha256="9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        paragraphs=(
            ("", "This agreement is between you and the seller."),
            ("1. License", "You may run the software for the seats you bought."),
            ("2. Term", "It ends on the last day shown on your order."),
        ),
        raw_href="/terms/license/3.txt",
        current_href="/terms/license/4",
    ),
    "error-404": ErrorView(
        status=404,
        title="There is no such thing here",
        detail="Or it is not yours to see: the two look alike on purpose.",
        code="not_found",
        request_id="req_8f2k",
    ),
    "error-500": ErrorView(
        status=500,
        title="That was our fault",
        detail="Nothing was charged. The failure has been written down and a person will look at it.",
        request_id="req_8f2k",
    ),
    "error-refused": ErrorView(
        status=409,
        title="This renewal was done already",
        detail="Ada Byron renewed it on 20 November 2026.",
        code="already_renewed",
        way_out=Link(label="See the subscription", href="/account/subscriptions/1"),
    ),
}


@pytest.mark.parametrize("name", PAGES)
def test_every_state_of_the_shop_keeps_the_rules_of_a_page(show: Show, name: str) -> None:
    assert show(name, PAGES[name], STRANGER)


def test_a_new_buyer_fills_at_most_nine_fields(show: Show) -> None:
    html = show("checkout-count", CHECKOUT, STRANGER)
    empty_and_required = [
        piece
        for piece in html.replace("<select", "<input").split("<input")[1:]
        if " required" in piece.split(">")[0] and 'value=""' in piece.split(">")[0]
    ]
    assert 0 < len(empty_and_required) <= 9


def test_the_button_says_what_it_costs(show: Show) -> None:
    assert "Pay 3,213.00 EUR</button>" in show("checkout-again", CHECKOUT, STRANGER)


def test_the_live_fragment_is_what_the_page_holds(show: Show) -> None:
    fragment = show("preview-fragment", PREVIEW, STRANGER)
    whole = show("checkout-whole", CHECKOUT, STRANGER)
    assert "<html" not in fragment
    assert fragment.strip() in whole


def test_an_error_is_named_on_top_and_tied_to_its_input(show: Show) -> None:
    html = show("checkout-tied", PAGES["checkout-errors"], STRANGER)
    assert '<a href="#f-email">An e-mail address looks like' in html
    assert 'aria-invalid="true" aria-describedby="f-email-error f-email-hint"' in html


def test_what_a_customer_types_is_never_markup(show: Show) -> None:
    evil = replace(
        CHECKOUT, form=Form(values={"company": "<script>alert(1)</script>"}, errors={"company": "<b>no</b>"})
    )
    html = show("checkout-evil", evil, replace(STRANGER, flashes=(Flash(text="<i>hi</i>"),)))
    assert "<script>alert" not in html
    assert "<b>no</b>" not in html
    assert "<i>hi</i>" not in html


def test_the_sandbox_is_marked_on_every_page(show: Show) -> None:
    assert "TEST. This is a sandbox" in show("pricing-sandbox", PRICING, replace(STRANGER, sandbox=True))
    assert "TEST. This is a sandbox" not in show("pricing-real", PRICING, STRANGER)
