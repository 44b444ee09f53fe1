"""Coupons: asked for by a preview, kept back by an order, counted once when it is paid, given back when it dies."""

import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlmodel import col

from app.adapters.sandbox import clock
from app.agreements import service as agreements
from app.agreements.service import Evidence
from app.catalog import coupons
from app.catalog.coupons import CouponRefused, Uses
from app.catalog.models import Coupon, CouponRedemption, Interval, RedemptionState
from app.core.clock import start_of
from app.core.errors import DomainError
from app.flows import explain_invoice, purchase, renewal
from app.flows import preview as previews
from app.flows.preview_request import LineRequest, PreviewRequest
from app.invoices import service as invoices
from app.orders.models import Order, OrderKind, OrderState, Preview, Route
from app.subscriptions import service as subscriptions
from app.subscriptions.models import Subscription
from tests import shop
from tests.catalog.selling import sell, with_coupon
from tests.flows.on_invoice import placing
from tests.world import World


def offer(world: World, code: str, seats: int = 25, *, sku: str = "professional", **wanted: Any) -> Preview:
    given: dict[str, Any] = {
        "lines": (LineRequest(sku, seats), *wanted.pop("add_ons", ())), "interval": Interval.YEAR, "currency": "EUR",
        "buyer": shop.buyer(country="NL", postcode="1012", city="Amsterdam", email=wanted.pop("email", "a@a-bv.nl")),
        "coupon": code,
    }  # fmt: skip
    return previews.price(world.ports, PreviewRequest(**(given | wanted)))


def pay(world: World, order_id: str) -> None:
    url = purchase.resume(world.ports, order_id).payment_url
    assert url is not None
    shop.pay(world, url)
    world.work()


def uses(world: World, code: str) -> Uses:
    with world.db.transaction() as tx:
        coupon = tx.execute(select(Coupon).where(col(Coupon.code) == code)).scalar_one()
        return coupons.uses(tx).get(coupon.id, Uses(0, 0))


def order_of(world: World, order_id: str) -> Order:
    with world.db.transaction() as tx:
        return tx.get_one(Order, order_id)


def subscription_of(world: World, order_id: str) -> Subscription:
    with world.db.transaction() as tx:
        return subscriptions.get(tx, tx.get_one(Order, order_id).subscription_id or "")


def test_the_discount_is_its_own_figure_split_over_the_lines_and_taxed_after(world: World) -> None:
    preview = offer(world, "welcome10 ", 25, add_ons=(LineRequest("premier-support", 25),))
    assert [line["discount_minor"] for line in preview.lines] == [27_500, 7_000]
    assert [line["net_minor"] for line in preview.lines] == [247_500, 63_000]
    assert preview.net_minor == 310_500
    assert preview.tax_minor == 65_205, "21 % of what is left"
    assert preview.discount is not None
    assert preview.discount["code"] == "WELCOME10"


def test_the_threshold_is_measured_after_the_discount(world: World) -> None:
    assert offer(world, "", 44).route is Route.SALES  # 4,840.00
    assert offer(world, "WELCOME10", 44).route is Route.AUTOMATIC  # 4,356.00


def test_a_fixed_amount_is_shared_out_by_largest_remainder(world: World, tmp_path: Path) -> None:
    sell(world, tmp_path, with_coupon("TEN", amounts={"EUR": "10.01"}))
    preview = offer(world, "TEN", 25, add_ons=(LineRequest("premier-support", 25),))
    assert [line["discount_minor"] for line in preview.lines] == [798, 203]  # 797.9… and 203.1… of 1,001


def test_a_coupon_for_an_add_on_leaves_the_plan_alone(world: World, tmp_path: Path) -> None:
    sell(world, tmp_path, with_coupon("SUPPORT", percent="50", plans=["premier-support"]))
    preview = offer(world, "SUPPORT", 25, add_ons=(LineRequest("premier-support", 25),))
    assert [line["discount_minor"] for line in preview.lines] == [0, 35_000]


def test_every_refusal_says_why(world: World, tmp_path: Path) -> None:
    def change(catalog: dict[str, Any]) -> None:
        codes: dict[str, dict[str, Any]] = {
            "LATER": {"percent": "10", "from": "2100-01-01"}, "OVER": {"percent": "10", "to": "2026-01-02"},
            "CLOUD": {"percent": "10", "plans": ["cloud-professional"]}, "DOLLARS": {"amounts": {"USD": "10"}},
            "ALL": {"percent": "100"}, "MUCH": {"amounts": {"EUR": "99999"}},
        }  # fmt: skip
        for code, terms in codes.items():
            with_coupon(code, **terms)(catalog)

    sell(world, tmp_path, change)
    reasons = {
        "NOSUCH": "unknown", "'; --": "unknown", "LATER": "not_yet", "OVER": "expired", "CLOUD": "other_plan",
        "DOLLARS": "other_currency", "ALL": "nothing_left", "MUCH": "nothing_left",
    }  # fmt: skip
    for code, reason in reasons.items():
        with pytest.raises(CouponRefused) as refused:
            offer(world, code)
        assert (refused.value.extra["reason"], refused.value.param) == (reason, "coupon")


def test_a_use_is_kept_back_counted_when_paid_and_the_invoice_tells_it(world: World, tmp_path: Path) -> None:
    sell(world, tmp_path, with_coupon("ONE", percent="12.5", max_redemptions=1))
    started = shop.order(world, offer(world, "ONE"))
    assert uses(world, "ONE") == Uses(1, 0)
    with pytest.raises(CouponRefused) as refused:
        offer(world, "ONE", email="b@b-bv.nl")
    assert refused.value.extra["reason"] == "used_up"
    pay(world, started.order_id)
    assert uses(world, "ONE") == Uses(0, 1)
    with world.db.transaction() as tx:
        invoice = invoices.of_order(tx, started.order_id)
        assert invoice is not None
        told = explain_invoice.explain(tx, invoice)
        given = coupons.given(tx)
    assert told.replays
    assert told.discount is not None
    assert (told.discount.code, told.discount.given.minor) == ("ONE", 34_375)
    assert told.lines[0].sentences[-1] == "Less the discount of 343.75 EUR: 2,406.25 EUR."
    assert [str(each) for sums in given.values() for each in sums] == ["343.75 EUR"]


def test_a_dead_order_gives_its_use_back(world: World, tmp_path: Path) -> None:
    sell(world, tmp_path, with_coupon("ONE", percent="10", max_redemptions=1))
    first = shop.order(world, offer(world, "ONE"))
    purchase.cancel(world.ports, first.order_id, by="test")
    assert uses(world, "ONE") == Uses(0, 0)
    second = shop.order(world, offer(world, "ONE", email="b@b-bv.nl"))
    clock.set_to(world.db, world.ports.clock.now() + timedelta(hours=25))
    purchase.expire_overdue(world.ports)
    assert order_of(world, second.order_id).state is OrderState.EXPIRED
    assert uses(world, "ONE") == Uses(0, 0)


def test_money_for_a_dead_order_still_buys_at_the_promised_price(world: World, tmp_path: Path) -> None:
    sell(world, tmp_path, with_coupon("ONE", percent="10", max_redemptions=1))
    started = shop.order(world, offer(world, "ONE"))
    with world.db.transaction() as tx:
        order = tx.get_one(Order, started.order_id)
        order.state = OrderState.EXPIRED
        coupons.release(tx, order.id, world.ports.clock.now())
    assert started.payment_url is not None
    shop.pay(world, started.payment_url)
    world.work()
    assert order_of(world, started.order_id).state is OrderState.COMPLETED
    assert uses(world, "ONE") == Uses(0, 1)


def test_of_racing_orders_one_gets_the_last_use(world: World, tmp_path: Path) -> None:
    sell(world, tmp_path, with_coupon("LAST", percent="10", max_redemptions=1))
    offers = [offer(world, "LAST", email=f"p{n}@company-{n}.nl") for n in range(6)]
    start, outcomes = threading.Barrier(len(offers)), []

    def race(preview: Preview) -> None:
        start.wait()
        try:
            shop.order(world, preview)
            outcomes.append("ordered")
        except DomainError as refused:
            outcomes.append(str(refused.extra.get("reason", refused.slug)))

    threads = [threading.Thread(target=race, args=(each,)) for each in offers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["ordered", *["used_up"] * 5]
    assert uses(world, "LAST") == Uses(1, 0)


def test_the_same_preview_ordered_twice_is_one_use(world: World) -> None:
    preview = offer(world, "WELCOME10")
    assert shop.order(world, preview).order_id == shop.order(world, preview).order_id
    assert uses(world, "WELCOME10") == Uses(1, 0)


@pytest.mark.parametrize(
    ("terms", "discounts"),
    [
        ({"duration": "once"}, [27_500, 0, 0]),
        ({"duration": "repeating", "months": 12}, [27_500, 0, 0]),
        ({"duration": "repeating", "months": 13}, [27_500, 27_500, 0]),
        ({"duration": "forever"}, [27_500, 27_500, 27_500]),
    ],
)
def test_a_coupon_goes_on_at_renewals_for_as_long_as_it_says(
    world: World, tmp_path: Path, terms: dict[str, Any], discounts: list[int]
) -> None:
    sell(world, tmp_path, with_coupon("LONG", percent="10", max_redemptions=1, **terms))
    started = shop.order(world, offer(world, "LONG"))
    pay(world, started.order_id)
    sell(world, tmp_path, lambda catalog: catalog)  # the code is withdrawn; what was promised stays
    given = [_given(order_of(world, started.order_id).preview_id, world)]
    for _ in discounts[1:]:
        subscription = subscription_of(world, started.order_id)
        clock.set_to(world.db, start_of(subscription.ends_on, subscription.time_zone) - timedelta(days=20))
        review = renewal.review(world.ports, subscription.id)
        renewed = _renew(world, review.preview.id)
        assert order_of(world, renewed).kind is OrderKind.RENEWAL
        given.append(_given(review.preview.id, world))
    assert given == discounts
    assert uses(world, "LONG") == Uses(0, 1), "renewals count no use"


def _given(preview_id: str, world: World) -> int:
    with world.db.transaction() as tx:
        return sum(line["discount_minor"] for line in tx.get_one(Preview, preview_id).lines)


def _renew(world: World, preview_id: str) -> str:
    with world.db.transaction() as tx:
        terms = agreements.terms_in_force(tx, world.ports.clock.now().date())
    done = renewal.renew(world.ports, preview_id, terms_id=terms.id, evidence=Evidence("127.0.0.1", "test"))
    world.work()
    assert done.state is OrderState.COMPLETED
    return done.order_id


def test_a_redemption_belongs_to_one_order_in_the_database(world: World) -> None:
    started = shop.order(world, offer(world, "WELCOME10"))
    with world.db.transaction() as tx:
        redemption = tx.execute(
            select(CouponRedemption).where(col(CouponRedemption.order_id) == started.order_id)
        ).scalar_one()
    assert redemption.state is RedemptionState.RESERVED
    assert redemption.amount_minor == 27_500


def test_an_order_on_invoice_redeems_at_once_and_its_invoice_replays(world: World) -> None:
    account_id = shop.buy(world, seats=11).account_id
    preview = offer(world, "WELCOME10", 11, account_id=account_id)
    started = purchase.start(world.ports, placing(world, preview, account_id))
    assert started.state is OrderState.COMPLETED
    assert uses(world, "WELCOME10") == Uses(0, 1)
    with world.db.transaction() as tx:
        invoice = invoices.of_order(tx, started.order_id)
        assert invoice is not None
        told = explain_invoice.explain(tx, invoice)
    assert told.replays
    assert told.discount is not None
    assert told.net.minor == 108_900
