"""Prices, terms and codes on the pages of customers and staff."""

import io
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from pypdf import PdfReader
from sqlalchemy import select
from sqlmodel import col

from app.catalog.models import Family, Plan, PlanKind
from app.catalog.pricing import PriceKind, PriceModel, Tier
from app.flows import purchase
from app.invoices.models import Invoice
from app.orders.models import Order
from app.web.portal.pricing import automatic_up_to
from tests import shop
from tests.catalog.selling import TIERS, sell, with_coupon, with_model
from tests.portal.buyers import CHECKOUT, at_payment, count, pay, priced, signed_in, visitor
from tests.signing_in import staff_browser
from tests.web.conftest import assert_well_formed
from tests.world import World


def last_order(world: World) -> Order:
    with world.db.transaction() as tx:
        return tx.execute(select(Order).order_by(col(Order.id).desc()).limit(1)).scalar_one()


def test_a_code_hides_behind_a_question_and_shows_its_discount(world: World) -> None:
    ada = priced(world)
    assert "<details>" in ada.page.html
    assert "coupon" not in ada.page.form("/checkout").to_type()
    page = ada.send("/checkout", "Update the price", coupon="welcome10")
    for words in ("Code WELCOME10", "10 % off, on this order", "-275.00 EUR", "Pay 2,475.00 EUR"):
        assert words in page.text, (words, page.text)
    assert "<details open>" in page.html


def test_a_code_that_cannot_be_used_is_told_at_its_field(world: World) -> None:
    ada = priced(world)
    page = ada.send("/checkout", "Update the price", coupon="NOSUCH")
    assert ada.status == 422
    assert "There is no such code" in page.text
    assert 'href="#f-coupon"' in page.html
    ada.send("/checkout", "Update the price", coupon="")
    assert "Pay 2,750.00 EUR" in ada.page.text


def test_a_code_used_up_between_price_and_order_is_told_and_nothing_is_ordered(world: World, tmp_path: Path) -> None:
    sell(world, tmp_path, with_coupon("ONE", percent="10", max_redemptions=1))
    ada, bob = (priced(world, f"{CHECKOUT}&coupon=ONE", email=f"{name}@{name}-gmbh.de") for name in ("ada", "bob"))
    bob.send("/checkout", "Pay ")
    page = ada.send("/checkout", "Pay ")
    assert ada.status == 422
    assert "was used as often as it can be" in page.text
    assert count(world, Order) == 1


def test_a_term_billed_yearly_says_what_is_due_now_and_what_the_whole_term_comes_to(world: World) -> None:
    ada = at_payment(world, "/checkout?sku=professional&seats=11&interval=3years-yearly&currency=EUR")
    pay(ada)
    world.work()
    order = last_order(world)
    assert (order.net_minor, order.committed_minor) == (121_000, 363_000)
    page = signed_in(world, order).open(f"/account/subscriptions/{order.subscription_id}")
    assert "Billed yearly next on" in page.text
    bo = priced(world, "/checkout?sku=professional&seats=11&interval=3years-yearly&currency=EUR")
    assert "billed at the start of each of 3 years" in bo.page.text
    assert "the whole term comes to 3,630.00 EUR before tax" in bo.page.text


def test_a_discounted_order_for_two_years_is_bought_shown_and_explained(world: World) -> None:
    ada = at_payment(world, "/checkout?sku=professional&seats=20&interval=2years&currency=EUR&coupon=WELCOME10")
    pay(ada)
    world.work()
    order = last_order(world)
    assert (order.net_minor, order.discount and order.discount["code"]) == (396_000, "WELCOME10")
    owner = signed_in(world, order)
    listed = owner.open("/account/invoices")
    with world.db.transaction() as tx:
        invoice = tx.execute(select(Invoice).where(col(Invoice.order_id) == order.id)).scalar_one()
    assert f"/account/invoices/{invoice.id}/explain" in listed.links
    told = owner.open(f"/account/invoices/{invoice.id}/explain")
    for words in (
        "came out the same", "20\u00a0× 110.00 EUR\u00a0× 2 = 4,400.00 EUR".replace("\u00a0", " "),
        "The term has 2 intervals, paid in advance: 4,400.00 EUR.", "Less the discount of 440.00 EUR: 3,960.00 EUR.",
    ):  # fmt: skip
        assert words in told.text.replace("\u00a0", " "), (words, told.text)
    assert_well_formed(told.html)
    assert "3,960.00 EUR for two years" in owner.open("/account/subscriptions").text


def test_an_invoice_on_paper_says_how_a_tiered_price_came_about(world: World, tmp_path: Path) -> None:
    sell(world, tmp_path, with_model(model="graduated", tiers=TIERS))
    ada = at_payment(world, f"{CHECKOUT}&coupon=WELCOME10")
    pay(ada)
    world.work()
    order = last_order(world)
    with world.db.transaction() as tx:
        invoice = tx.execute(select(Invoice).where(col(Invoice.order_id) == order.id)).scalar_one()
    answer = signed_in(world, order).browser.get(f"/account/invoices/{invoice.id}/pdf")
    said = " ".join(" ".join(page.extract_text() for page in PdfReader(io.BytesIO(answer.content)).pages).split())
    for words in ("20 × 110.00 + 5 × 90.00 + 25.00", "includes a discount of", "267.50"):
        assert words in said, (words, said)


def test_an_order_that_was_given_up_leads_back_to_the_same_term_and_code(world: World) -> None:
    at_payment(world, "/checkout?sku=professional&seats=20&interval=2years&currency=EUR&coupon=WELCOME10")
    order = last_order(world)
    purchase.cancel(world.ports, order.id, by="test")
    ada = visitor(world)
    page = ada.open(f"/orders/{world.ports.secrets.sign_token(purchase.ORDER_TOKEN, order.id)}")
    again = ada.open(next(link for link in page.links if link.startswith("/checkout?")))
    form = again.form("/checkout")
    assert (form.value("term"), form.value("coupon"), form.value("seats")) == ("2years", "WELCOME10", "20")


def test_the_prices_page_prices_by_the_model(world: World, tmp_path: Path) -> None:
    sell(world, tmp_path, with_model(model="volume", tiers=TIERS))
    page = visitor(world).open("/?family=self_managed&interval=year&currency=EUR&seats=30")
    for words in ("volume: 110.00 EUR to 20", "30 seats: 30 × 90.00 EUR + 25.00 EUR", "2,725.00 EUR"):
        assert words in page.text.replace("\u00a0", " "), (words, page.text)


@st.composite
def models(draw: st.DrawFn) -> PriceModel:
    kind = draw(st.sampled_from(list(PriceKind)))
    unit = draw(st.integers(1, 90_000))
    if kind in {PriceKind.GRADUATED, PriceKind.VOLUME}:
        ends = sorted(draw(st.sets(st.integers(1, 60), max_size=3)))
        tiers = tuple(Tier(end, draw(st.integers(0, 90_000)), draw(st.integers(0, 90_000))) for end in [*ends, None])
        return PriceModel(kind, "EUR", tiers=tiers)
    return PriceModel(kind, "EUR", unit, package_size=7 if kind is PriceKind.PACKAGE else None)


@given(models(), st.integers(1, 30), st.integers(0, 60))
def test_the_most_seats_that_run_by_themselves_are_what_trying_every_count_finds(
    model: PriceModel, least: int, more: int
) -> None:
    plan = Plan(
        id="pln", sku="x", name="X", kind=PlanKind.PLAN, family=Family.CLOUD, tax_code="", min_seats=least,
        max_seats=least + more, bullets=[], flags={}, add_on_for=[],
    )  # fmt: skip
    fitting = [seats for seats in range(least, least + more + 1) if model.amount(seats).minor < 460_000]
    assert automatic_up_to(plan, model, {"EUR": 460_000}) == max(fitting, default=None)


def test_staff_see_each_code_with_its_uses(world: World, tmp_path: Path) -> None:
    sell(world, tmp_path, with_coupon("PAIR", amounts={"EUR": "25.00"}, max_redemptions=7))
    ada = at_payment(world, f"{CHECKOUT}&coupon=PAIR")
    pay(ada)
    world.work()
    at_payment(world, f"{CHECKOUT}&coupon=PAIR", email="bob@example.de")
    browser, _ = staff_browser(world)
    html = browser.get("/console/coupons").text
    for words in ("PAIR", "25.00 EUR", "1 of 7", "1 more wait for their payment", "docs/procedures/coupons.md"):
        assert words in html, words
    assert_well_formed(html)


def test_staff_can_have_an_invoice_explained(world: World) -> None:
    order = shop.buy(world)
    with world.db.transaction() as tx:
        invoice = tx.execute(select(Invoice).where(col(Invoice.order_id) == order.id)).scalar_one()
    browser, _ = staff_browser(world)
    assert f"/console/invoices/{invoice.id}/explain" in browser.get(f"/console/invoices/{invoice.id}").text
    html = browser.get(f"/console/invoices/{invoice.id}/explain").text
    assert "came out the same" in html
    assert "25\u00a0× 110.00 EUR = 2,750.00 EUR" in html
    assert_well_formed(html)
