"""The sandbox's pay page and mailbox."""

import pytest

from app.adapters.sandbox import views as s
from app.web.views import Page, Shell
from tests.web.samples import GRACE, NOW, Show

PAGES: dict[str, tuple[Page, Shell]] = {
    "sandbox-pay": (
        s.PayView(
            merchant="Northwind Chat",
            description="Professional, 50 seats, 1 year",
            total="3,213.00 EUR",
            action="/sandbox/pay/1",
            csrf_token="t0ken",
            cancel_href="/orders/1",
            lines=(("Professional", "2,700.00 EUR"), ("VAT Germany", "513.00 EUR")),
            cards=(
                s.MagicCard(number="4242 4242 4242 4242", effect="pays"),
                s.MagicCard(number="4000 0000 0000 0002", effect="is declined"),
                s.MagicCard(number="4000 0025 0000 3155", effect="asks for confirmation"),
            ),
        ),
        GRACE,
    ),
    "sandbox-pay-declined": (
        s.PayView(
            merchant="Northwind Chat",
            description="Professional",
            total="3,213.00 EUR",
            action="/sandbox/pay/1",
            csrf_token="t0ken",
            cancel_href="/orders/1",
            cards=(),
            error="Not enough pretended money.",
        ),
        GRACE,
    ),
    "sandbox-confirm": (
        s.ConfirmView(
            merchant="Northwind Chat",
            total="3,213.00 EUR",
            card="4000 0025 0000 3155",
            action="/sandbox/pay/1/confirm",
            csrf_token="t0ken",
        ),
        GRACE,
    ),
    "sandbox-pay-mistyped": (
        s.PayView(
            merchant="Northwind Chat",
            description="Professional",
            total="3,213.00 EUR",
            action="/sandbox/pay/1",
            csrf_token="t0ken",
            cancel_href="/orders/1",
            cards=(),
            card="",
            errors={"card": "A digit is wrong.", "expires": "This expiry has passed.", "cvc": "Three digits."},
        ),
        GRACE,
    ),
    "sandbox-paid": (
        s.ClosedView(merchant="Northwind Chat", state="paid", reason="Once is enough.", back_href="/orders/1"),
        GRACE,
    ),
    "sandbox-unknown": (
        s.ClosedView(merchant="Northwind Chat", state="unknown", reason="Look at the address.", back_href="/"),
        GRACE,
    ),
    "sandbox-expired": (
        s.ClosedView(
            merchant="Northwind Chat",
            total="3,213.00 EUR",
            reason="It was open for a day.",
            state="expired",
            back_href="/orders/1",
        ),
        GRACE,
    ),
    "sandbox-mailbox": (
        s.MailboxView(
            action="/sandbox/mail",
            mails=(s.MailRow(href="/sandbox/mail/1", to="ada@engines.example", subject="Your license", at=NOW),),
        ),
        GRACE,
    ),
    "sandbox-mailbox-empty": (s.MailboxView(action="/sandbox/mail", mails=()), GRACE),
    "sandbox-mail": (
        s.MailView(
            to="ada@engines.example",
            sender="shop@northwind.example",
            subject="Your license",
            at=NOW,
            text="Dear Ada,\n\nhere it is.\n",
            links=(("Your order", "/orders/1"),),
            attachments=(("license.mattermost-license", "/sandbox/mail/1/a/1"),),
            mailbox_href="/sandbox/mail",
            html_href="/sandbox/mail/1.html",
        ),
        GRACE,
    ),
}


@pytest.mark.parametrize("name", PAGES)
def test_every_state_of_the_sandbox_keeps_the_rules_of_a_page(show: Show, name: str) -> None:
    page, shell = PAGES[name]
    assert show(name, page, shell)


@pytest.mark.parametrize("name", PAGES)
def test_the_sandbox_says_test_and_needs_no_frame(show: Show, name: str) -> None:
    html = show(f"{name}-alone", *PAGES[name])
    assert "<title>TEST" in html
    assert "no bank, no card, no money" in html
