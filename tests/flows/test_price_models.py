"""From a price model to an invoice that can be computed again; terms of several years; the threshold over the whole."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from app.adapters.sandbox import clock
from app.catalog.models import Interval
from app.core.clock import start_of
from app.core.errors import Invalid
from app.flows import explain_invoice, papers, renewal
from app.flows import preview as previews
from app.flows.preview_request import LineRequest, PreviewRequest
from app.invoices import service as invoices
from app.orders.models import Order, Preview, Route
from app.subscriptions import service as subscriptions
from app.subscriptions.periods import term
from tests import shop
from tests.catalog.selling import TIERS, Change, sell, with_model
from tests.world import World


def offer(world: World, seats: int, *, add_ons: tuple[str, ...] = (), **wanted: Any) -> Preview:
    lines = tuple(LineRequest(sku, seats) for sku in ("professional", *add_ons))
    given: dict[str, Any] = {
        "lines": lines, "interval": Interval.YEAR, "currency": "EUR",
        "buyer": shop.buyer(country="NL", postcode="1012", city="Amsterdam"),
    }  # fmt: skip
    return previews.price(world.ports, PreviewRequest(**(given | wanted)))


def bought(world: World, preview: Preview) -> Order:
    started = shop.order(world, preview)
    assert started.payment_url is not None
    shop.pay(world, started.payment_url)
    world.work()
    with world.db.transaction() as tx:
        return tx.get_one(Order, started.order_id)


@pytest.mark.parametrize(
    ("change", "seats", "net", "equation"),
    [
        (with_model(model="graduated", tiers=TIERS), 30, 312_500,
         "20\u00a0× 110.00 EUR + 10\u00a0× 90.00 EUR + 25.00 EUR = 3,125.00 EUR"),
        (with_model(model="volume", tiers=TIERS), 30, 272_500, "30\u00a0× 90.00 EUR + 25.00 EUR = 2,725.00 EUR"),
        (with_model(model="flat", unit="900.00"), 30, 90_000, "900.00 EUR = 900.00 EUR"),
        (with_model(model="package", unit="500.00", package_size=8), 30, 200_000,
         "4\u00a0× 500.00 EUR = 2,000.00 EUR"),
        (with_model(unit="99.00", base="100.00"), 30, 307_000,
         "100.00 EUR + 30\u00a0× 99.00 EUR = 3,070.00 EUR"),
    ],
)  # fmt: skip
def test_an_order_is_priced_by_its_model_and_its_invoice_explains_itself(
    world: World, tmp_path: Path, change: Change, seats: int, net: int, equation: str
) -> None:
    sell(world, tmp_path, change)
    preview = offer(world, seats)
    assert preview.net_minor == net
    order = bought(world, preview)
    with world.db.transaction() as tx:
        invoice = invoices.of_order(tx, order.id)
        assert invoice is not None
        told = explain_invoice.explain(tx, invoice)
        (line,) = subscriptions.lines(tx, invoice.subscription_id or "")
        document = papers.invoice_document(tx, world.ports, invoice)
    assert (invoice.net_minor, line.net_minor, line.arr_minor) == (net, net, net)
    assert told.replays
    assert told.lines[0].equation == equation
    assert told.net.minor == net
    assert (document.lines[0].unit_price, document.lines[0].detail) != (None, None)


def test_the_explanation_does_not_look_at_todays_catalog(world: World, tmp_path: Path) -> None:
    order = bought(world, offer(world, 30))
    sell(world, tmp_path, with_model(model="graduated", tiers=TIERS))
    with world.db.transaction() as tx:
        invoice = invoices.of_order(tx, order.id)
        assert invoice is not None
        told = explain_invoice.explain(tx, invoice)
    assert told.replays
    assert told.lines[0].equation == "30\u00a0× 110.00 EUR = 3,300.00 EUR"
    (vat,) = told.taxes
    assert vat.sentence == "VAT NL: 21 % of 3,300.00 EUR is 693.00 EUR, rounded once for the document."


def test_an_amount_that_does_not_come_out_again_is_told(world: World) -> None:
    order = bought(world, offer(world, 30))
    with world.db.transaction() as tx:
        invoice = invoices.of_order(tx, order.id)
        assert invoice is not None
        invoices.lines(tx, invoice.id)[0].intervals = 2  # as if somebody had got at the row; never written
        with tx.no_autoflush:
            told = explain_invoice.explain(tx, invoice)
        tx.expire_all()
    assert not told.replays
    assert not told.lines[0].replays


@pytest.mark.parametrize(("months", "seats"), [(12, 40), (24, 20), (36, 13)])
def test_a_term_is_prepaid_at_once_and_runs_as_long(world: World, months: int, seats: int) -> None:
    preview = offer(world, seats, term_months=months)
    assert preview.route is Route.AUTOMATIC
    assert preview.net_minor == seats * 11_000 * (months // 12)
    order = bought(world, preview)
    with world.db.transaction() as tx:
        invoice = invoices.of_order(tx, order.id)
        assert invoice is not None
        subscription = subscriptions.get(tx, invoice.subscription_id or "")
        (line,) = subscriptions.lines(tx, subscription.id)
        told = explain_invoice.explain(tx, invoice)
    assert subscription.term_months == months
    assert subscription.ends_on == term(subscription.starts_on, months).end
    assert (invoice.supply_from, invoice.supply_to) == (subscription.starts_on, subscription.ends_on)
    assert line.arr_minor == seats * 11_000
    assert told.replays
    assert (told.lines[0].intervals, told.lines[0].denominator) == (
        months // 12, (subscription.ends_on - subscription.starts_on).days
    )  # fmt: skip


def test_the_threshold_is_measured_over_the_whole_term(world: World) -> None:
    one, two = offer(world, 41), offer(world, 41, term_months=24)
    assert (one.net_minor, one.route) == (451_000, Route.AUTOMATIC)
    assert (two.net_minor, two.route) == (902_000, Route.SALES)
    assert [each["code"] for each in two.reasons] == ["at_or_above_threshold"]


def test_three_years_just_below_the_threshold_run_by_themselves_and_one_seat_more_does_not(world: World) -> None:
    assert offer(world, 13, term_months=36).route is Route.AUTOMATIC  # 4,290.00
    assert offer(world, 14, term_months=36).route is Route.SALES  # 4,620.00, the limit is 4,600.00


def test_a_long_term_is_renewed_for_as_long(world: World) -> None:
    order = bought(world, offer(world, 13, term_months=24))
    with world.db.transaction() as tx:
        subscription = subscriptions.get(tx, order.subscription_id or "")
    clock.set_to(world.db, start_of(subscription.ends_on, subscription.time_zone) - timedelta(days=30))
    review = renewal.review(world.ports, subscription.id)
    assert review.preview.net_minor == 2 * 13 * 11_000
    assert review.preview.inputs["term_months"] == 24


@pytest.mark.parametrize(("interval", "months"), [(Interval.MONTH, 12), (Interval.YEAR, 18), (Interval.YEAR, 48)])
def test_a_term_that_is_not_sold_is_refused(world: World, interval: Interval, months: int) -> None:
    with pytest.raises(Invalid) as refused:
        offer(world, 20, interval=interval, term_months=months)
    assert refused.value.param == "term_years"


def test_an_add_on_may_have_a_model_of_its_own(world: World, tmp_path: Path) -> None:
    sell(world, tmp_path, with_model("premier-support", model="flat", unit="400.00"))
    preview = offer(world, 20, add_ons=("premier-support",))
    assert [line["net_minor"] for line in preview.lines] == [220_000, 40_000]
