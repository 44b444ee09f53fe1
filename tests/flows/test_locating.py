"""Where a consumer is: what was kept with the order, and a contradiction that is asked about (R-TAX-5, ADR 0050)."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from starlette.requests import Request

from app.accounts.models import BuyerType
from app.adapters.stripe import words
from app.catalog.models import Interval
from app.config import Settings
from app.flows import preview as previews
from app.flows import purchase
from app.flows.preview_request import LineRequest, PreviewRequest
from app.invoices import service as invoices
from app.main import create_app
from app.orders.models import Preview, Route
from app.payments import service as payments
from app.reports import tax_evidence
from app.tax import locating
from app.tax.locating import ResidenceNeeded
from app.tax.request import Evidence
from app.web import whereabouts
from tests import shop
from tests.catalog.selling import sell
from tests.portal.buyers import ADA, CHECKOUT, priced
from tests.world import World


@pytest.fixture
def consumers(world: World, tmp_path: Path) -> World:
    """A seller with an EU one-stop shop that serves consumers."""

    def open_to_all(catalog: dict[str, Any]) -> None:
        catalog["legal_entities"][0]["sells_to_consumers"] = True

    sell(world, tmp_path, open_to_all)
    return world


def offered(world: World, *seen: Evidence, **who: Any) -> Preview:
    buyer = shop.buyer(**({"company": "", "type": BuyerType.CONSUMER} | who))
    return previews.price(world.ports, PreviewRequest(
        lines=(LineRequest("professional", 11),), interval=Interval.YEAR, currency="EUR", buyer=buyer, seen=seen,
    ))  # fmt: skip


def kept(world: World, order_id: str) -> dict[str, str]:
    with world.db.transaction() as tx:
        return {each.kind: each.country for each in locating.of_order(tx, order_id)}


def test_two_items_that_agree_are_kept_and_stand_in_the_evidence_of_the_invoice(consumers: World) -> None:
    world = consumers
    started = shop.order(world, offered(world, Evidence("ip", "DE")))
    shop.pay(world, started.payment_url or "")
    with world.db.transaction() as tx:
        attempt = payments.latest_attempt(tx, started.order_id)
        assert attempt is not None
    report = replace(world.ports.payments.report(attempt.provider_ref or ""), card_country="FR")
    with world.db.transaction() as tx:
        assert purchase.apply_report(tx, world.ports, report) == "completed"
    world.work()
    assert kept(world, started.order_id) == {"billing_address": "DE", "ip": "DE", "card": "FR"}
    with world.db.transaction() as tx:
        invoice = invoices.of_order(tx, started.order_id)
        assert invoice is not None
        location = json.loads(tax_evidence.write(tx, invoice))["location"]
        said = tx.execute(text("SELECT count(*) FROM event WHERE type = 'order.location_contradicted'")).scalar_one()
    assert [each["kind"] for each in location["kept"]] == ["billing_address", "ip", "card"]
    assert location["evidence"] == [{"kind": "ip", "country": "DE"}]
    assert said == 1
    for change in ("UPDATE location_evidence SET country = 'DE'", "DELETE FROM location_evidence"):
        with pytest.raises(DBAPIError), world.db.transaction() as tx:
            tx.execute(text(change))


def test_a_contradiction_is_asked_about_before_a_consumer_is_charged(consumers: World) -> None:
    world = consumers
    doubtful = offered(world, Evidence("ip", "FR"))
    assert doubtful.route is Route.REVIEW
    with pytest.raises(ResidenceNeeded) as refused:
        shop.order(world, doubtful)
    assert refused.value.param == "residence"
    with pytest.raises(ResidenceNeeded):
        shop.order(world, offered(world, Evidence("ip", "FR"), Evidence("statement", "FR")))
    sure = offered(world, Evidence("ip", "FR"), Evidence("statement", "DE"))
    assert sure.route is Route.AUTOMATIC
    assert kept(world, shop.order(world, sure).order_id) == {"billing_address": "DE", "ip": "FR", "statement": "DE"}


def test_a_business_is_not_asked_and_nothing_is_kept_of_it(consumers: World) -> None:
    preview = offered(consumers, Evidence("ip", "FR"), company="Beispiel GmbH", type=BuyerType.BUSINESS)
    assert kept(consumers, shop.order(consumers, preview).order_id) == {}


def test_the_checkout_asks_with_a_tick_that_needs_no_script(consumers: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whereabouts, "seen", lambda _request: (Evidence("ip", "FR"),))
    buyer = priced(consumers, CHECKOUT.replace("25", "11"), ADA | {"company": "", "tax_id": ""})
    assert "I live at this address" not in buyer.page.text
    buyer.send("/checkout", "Order for ")
    assert "I live at this address" in buyer.page.text
    buyer.send("/checkout", "Order for ", "residence")
    buyer.send("/checkout", "Pay ")
    with consumers.db.transaction() as tx:
        order_id = tx.execute(text('SELECT id FROM "order"')).scalar_one()
    assert kept(consumers, order_id)["statement"] == "DE"


@pytest.mark.parametrize(
    ("header", "port", "sent", "country"),
    [
        ("CF-IPCountry", 0, "de", "DE"), ("CF-IPCountry", 0, "XX", None), ("CF-IPCountry", 51000, "DE", None),
        ("", 0, "DE", None),
    ],
)  # fmt: skip
def test_only_a_trusted_proxy_says_where_a_caller_comes_from(
    world: World, header: str, port: int, sent: str, country: str | None
) -> None:
    app = create_app(world.settings.model_copy(update={"ip_country_header": header}), world.wired)
    request = Request({
        "type": "http", "app": app, "client": ("203.0.113.7", port), "headers": [(b"cf-ipcountry", sent.encode())],
    })  # fmt: skip
    assert whereabouts.seen(request) == ((Evidence("ip", country),) if country else ())


def test_a_header_without_a_trusted_proxy_does_not_start() -> None:
    with pytest.raises(ValueError, match="BLP_IP_COUNTRY_HEADER needs BLP_TRUSTED_PROXIES"):
        Settings(_env_file=None, ip_country_header="CF-IPCountry")  # type: ignore[call-arg]  # of pydantic-settings


@pytest.mark.parametrize(("method", "country"), [({"card": {"country": "DE"}}, "DE"), ({"sepa_debit": {}}, None)])
def test_the_country_of_a_card_is_read_where_it_is_told(method: dict[str, Any], country: str | None) -> None:
    intent = {
        "id": "pi_1", "metadata": {"attempt_id": "pat_1"}, "status": "succeeded", "amount": 100, "currency": "eur",
        "amount_received": 100, "latest_charge": "ch_1", "payment_method": {"id": "pm_1"} | method, "customer": None,
        "setup_future_usage": None,
    }  # fmt: skip
    assert words.report_of_intent(intent).card_country == country
