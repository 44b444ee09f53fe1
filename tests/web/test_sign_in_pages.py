"""Every state of the sign-in's own pages, as far as the shop's and the console's tests do not show them."""

import pytest

from app.web.console.sign_in_views import ConsoleCheckView, ConsoleLinkView
from app.web.console.views import ConsoleShell
from app.web.portal.sign_in_views import ChooseAccountView, ElsewhereView
from app.web.views import Form, Option, Page, Shell
from tests.web.samples import Show

ADA = Shell(vendor="Northwind Chat", csrf_token="t0ken")
STAFF = ConsoleShell(vendor="Northwind Chat", csrf_token="t0ken")
ACCOUNTS = (Option(value="acc_1", label="Engines & Sons"), Option(value="acc_2", label="Looms"))
WRONG = Form(errors={"code": "That is not the code from the newest mail; one try is left."})

PAGES: dict[str, tuple[Page, Shell, str]] = {
    "sign-in-elsewhere": (ElsewhereView(), ADA, "another browser"),
    "choose-account": (ChooseAccountView(accounts=ACCOUNTS, current="acc_2"), ADA, "Engines &amp; Sons"),
    "choose-account-refused": (
        ChooseAccountView(accounts=ACCOUNTS, form=Form(errors={"account_id": "You do not belong to such an account."})),
        ADA, "such an account",
    ),
    "console-check": (ConsoleCheckView(email="g@northwind.example", challenge="c", minutes=15), STAFF, "15 minutes"),
    "console-check-wrong": (
        ConsoleCheckView(email="grace@northwind.example", challenge="c", minutes=15, form=WRONG), STAFF, "one try",
    ),
    "console-link": (ConsoleLinkView(state="ready", token="t", email="grace@northwind.example"), STAFF, 'value="t"'),
    "console-link-used": (ConsoleLinkView(state="used"), STAFF, "used already"),
    "console-link-expired": (ConsoleLinkView(state="expired"), STAFF, "has expired"),
    "console-link-elsewhere": (ConsoleLinkView(state="elsewhere"), STAFF, "another browser"),
}  # fmt: skip


@pytest.mark.parametrize("name", PAGES)
def test_the_page_owes_its_reader_nothing_and_says_what_matters(show: Show, name: str) -> None:
    page, shell, said = PAGES[name]
    assert said in show(name, page, shell)


def test_the_chosen_account_is_ticked_and_nothing_is_before_a_choice(show: Show) -> None:
    chosen = show("choose-account", *PAGES["choose-account"][:2])
    assert chosen.count(" checked") == 1
    assert 'value="acc_2" required checked' in chosen
    assert " checked" not in show("choose-account-none", ChooseAccountView(accounts=ACCOUNTS), ADA)
