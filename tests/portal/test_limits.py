"""Whoever asks too often is told so on a page of ours, with what they typed and when to go on (S19)."""

import httpx
from sqlalchemy import func, select, update
from sqlmodel import col

from app.accounts.errors import TooManyTries
from app.core.clock import transport_now
from app.core.security import RateWindow
from app.flows import quoting, sign_in
from app.quotes.models import Quote
from app.surveys import service as surveys
from app.surveys.models import SurveyInvitation
from tests import shop
from tests.portal.buyers import count, priced, visitor
from tests.portal.forms import Visitor
from tests.signing_in import send_form
from tests.world import World

LARGE = "/checkout?sku=professional&seats=400&interval=year&currency=EUR"


def spend(world: World, deed: str) -> None:
    """All tries of whoever was counted for this deed so far, now and in the next window."""
    with world.db.transaction() as tx:
        rows = list(tx.execute(select(RateWindow).where(col(RateWindow.key).startswith(f"{deed}/"))).scalars())
        assert rows, f"nobody is counted for {deed}"
        for row in rows:
            row.count = 10_000
            tx.merge(RateWindow(key=row.key, window=row.window + 1, count=10_000))


def told_when(answer: httpx.Response) -> bool:
    """Whether it is a whole page that says what to do, and tells programs too."""
    assert answer.status_code == 429, answer.status_code
    assert answer.headers["content-type"].startswith("text/html")
    assert "<h1" in answer.text
    return 0 < int(answer.headers["retry-after"]) <= 3600 and "then try again." in answer.text


def answer_of(buyer: Visitor) -> httpx.Response:
    assert buyer.answer is not None
    return buyer.answer


def test_asking_for_a_sign_in_mail(world: World) -> None:
    browser = world.browser()
    send_form(browser, "/sign-in", "/sign-in", email="ada@example.de")
    spend(world, "sign-in")
    refused = send_form(browser, "/sign-in", "/sign-in", email="ada@example.de")
    assert told_when(refused)
    assert 'value="ada@example.de"' in refused.text


def test_checking_licenses(world: World) -> None:
    browser = world.browser()
    assert send_form(browser, "/verify", "/verify", text="nothing much").status_code == 200
    spend(world, "verify")
    refused = send_form(browser, "/verify", "/verify", text="nothing <much>")
    assert told_when(refused)
    assert "nothing &lt;much&gt;</textarea>" in refused.text


def test_looking_at_prices(world: World) -> None:
    ada = priced(world)
    spend(world, "checkout-preview")
    ada.send("/checkout", "Update", seats="26")
    assert told_when(answer_of(ada))
    assert ada.page.form("/checkout").value("seats") == "26"


def test_asking_for_quotes_from_one_place(world: World) -> None:
    ada = priced(world, LARGE)
    ada.send("/checkout", "Request a quote")
    assert "Your quote is on its way" in ada.page.text
    spend(world, "quote")
    bo = priced(world, LARGE, None, email="bo@example.de")
    bo.send("/checkout", "Request a quote")
    assert told_when(answer_of(bo))
    assert bo.page.form("/checkout", "Request a quote").value("email") == "bo@example.de"
    assert count(world, Quote) == 1


def test_asking_for_quotes_in_one_name_from_many_places(world: World) -> None:
    """The API asks nobody for a key here, so the contact is counted in the flow."""
    offers = [shop.offer(world, seats=400) for _ in range(22)]

    def is_refused(preview_id: str) -> bool:
        try:
            quoting.request(world.ports, preview_id)
        except TooManyTries:
            return True
        return False

    let_through = next(number for number, offered in enumerate(offers) if is_refused(offered.id))
    assert 10 <= let_through <= 20, "an hour may end meanwhile"
    assert quoting.request(world.ports, offers[0].id).preview_id == offers[0].id, "the same request again is no other"
    refused = world.browser().post("/v1/quotes", json={"preview": offers[21].id})
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_tries")
    assert int(refused.headers["retry-after"]) == refused.json()["retry_after"]


def test_changing_an_answer_without_end(world: World) -> None:
    shop.buy(world)
    with world.db.transaction() as tx:
        path = f"/survey/{surveys.token_of(world.ports.secrets, tx.execute(select(SurveyInvitation)).scalar_one())}"
    ada = visitor(world)
    for number in range(51):
        ada.post(f"{world.url}{path}", {"score": [str(number % 11)]})
    assert (ada.status, "The last of 50 changes counts." in ada.page.text) == (429, True)
    assert "<h1" in ada.page.html
    assert "retry-after" not in answer_of(ada).headers, "waiting would not help"


def test_a_program_is_told_in_its_own_way(world: World) -> None:
    program = world.api("blp_wrong")
    assert program.get("/v1/licenses").status_code == 401
    spend(world, "api-key")
    refused = program.get("/v1/licenses")
    assert (refused.status_code, refused.headers["content-type"]) == (429, "application/problem+json")
    assert 0 < int(refused.headers["retry-after"]) <= 300


def test_what_is_counted_names_nobody_and_is_forgotten(world: World) -> None:
    send_form(world.browser(), "/verify", "/verify", text="nothing")
    with world.db.transaction() as tx:
        (key,) = tx.execute(select(col(RateWindow.key))).scalars()
        assert key.startswith("verify/300/")
        assert "127.0.0.1" not in key
        tx.execute(update(RateWindow).values(window=int(transport_now().timestamp()) // 300 - 2))
    sign_in.forget.run(world.ports)
    with world.db.transaction() as tx:
        assert tx.execute(select(func.count()).select_from(RateWindow)).scalar_one() == 0
