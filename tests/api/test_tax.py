"""What the console does about tax, done by a program: overrides, thresholds, the tax provider's books."""

from datetime import date, timedelta
from typing import Any

import httpx
from sqlalchemy import select
from sqlmodel import col

from app.core.clock import transport_now
from app.core.money import Money
from app.invoices.models import Invoice
from app.tax import calculations, provided, records
from app.tax.models import TaxCalculation
from app.tax.request import Buyer as Taxed
from app.tax.request import Line, Request, Seller
from tests import shop
from tests.api.buying import make_key
from tests.console.helping import alerted, audited
from tests.world import World

OVERRIDE: dict[str, Any] = {
    "jurisdiction": "us-dc", "treatment": "standard", "rate": "6.50", "alone": True, "tax_code": "saas_business",
    "buyer_type": "business", "valid_from": "2026-01-01", "source": "Letter of an adviser", "why": "Not on file",
}  # fmt: skip


def recorded(world: World) -> str:
    """The record of an invoice whose tax a provider computed, which waits; its id."""
    shop.buy(world)
    now = transport_now()
    question = Request(Seller("IE"), Taxed("DE"), (Line("saas_business", 1),), "EUR", date(2026, 1, 1))
    held = provided.held(question, "x", version="x", calculation=None)
    with world.db.transaction() as tx:
        invoice = tx.execute(select(Invoice).order_by(col(Invoice.id)).limit(1)).scalar_one()
        calculation = TaxCalculation(
            id=calculations.new(), provider="none", inputs_hash="x", ref="taxcalc_1", result=held.to_json(), reply={},
            asked_at=now,
        )  # fmt: skip
        tx.add(calculation)
        tx.flush()
        return records.intend(
            tx, calculation.id, "none", reference=str(invoice.number), invoice_id=invoice.id, now=now
        ).id  # fmt: skip


def test_an_override_is_recorded_listed_and_ended_and_prices_follow(world: World, vendor: httpx.Client) -> None:
    made = vendor.post("/v1/tax/overrides", json=OVERRIDE, headers={"Idempotency-Key": "one"})
    again = vendor.post("/v1/tax/overrides", json=OVERRIDE, headers={"Idempotency-Key": "one"})
    assert (made.status_code, again.json()) == (201, made.json())
    override = made.json()
    assert (override["jurisdiction"], override["rate"], override["portion"], override["state"]) == (
        "US-DC", "6.5", "100", "active",
    )  # fmt: skip
    assert vendor.get("/v1/tax/overrides", params={"jurisdiction": "us-dc"}).json()["data"] == [override]
    assert vendor.get("/v1/tax/overrides", params={"jurisdiction": "US-NY"}).json()["data"] == []
    assert vendor.get(f"/v1/tax/overrides/{override['id']}").json() == override
    (entry,) = audited(world, "tax.override_recorded")
    assert (entry.actor.partition("_")[0], entry.subject) == ("key", override["id"])
    twice = vendor.post("/v1/tax/overrides", json=OVERRIDE)
    assert (twice.status_code, twice.json()["code"], twice.json()["param"]) == (409, "override_overlaps", "valid_from")
    today = world.ports.clock.now().date()
    early = {"last_day": str(today - timedelta(days=9)), "why": "x"}
    refused = vendor.post(f"/v1/tax/overrides/{override['id']}/end", json=early)
    assert (refused.status_code, refused.json()["param"]) == (422, "last_day")
    end = {"last_day": str(today), "why": "It is on file now"}
    ended = vendor.post(f"/v1/tax/overrides/{override['id']}/end", json=end).json()
    assert (ended["valid_to"], ended["ended_why"], ended["state"]) == (str(today), "It is on file now", "active")
    late = vendor.post(f"/v1/tax/overrides/{override['id']}/end", json=end)
    assert (late.status_code, late.json()["code"]) == (409, "override_ended")
    assert vendor.get("/v1/tax/overrides/tov_01ka8qj6x0c5q4m3t2r1p0n9mk").status_code == 404


def test_what_is_wrong_with_an_override_is_named_by_its_field(vendor: httpx.Client) -> None:
    for changes, param in (
        ({"jurisdiction": "US"}, "jurisdiction"), ({"rate": "31"}, "rate"), ({"rate": "x"}, "rate"),
        ({"tax_code": "hats"}, "tax_code"), ({"portion": "0"}, "portion"), ({"valid_to": "2025-01-01"}, "valid_to"),
        ({"why": " "}, "why"), ({"treatment": "not_collecting"}, "treatment"), ({"by": "me"}, "by"),
    ):  # fmt: skip
        refused = vendor.post("/v1/tax/overrides", json=OVERRIDE | changes)
        assert (refused.status_code, refused.json()["param"].rpartition(".")[2]) == (422, param), changes


def test_thresholds_are_read_and_an_alert_is_seen_to(world: World, vendor: httpx.Client) -> None:
    alert_id = alerted(world)
    found = vendor.get("/v1/tax/nexus").json()
    assert found["warns_at"] == 80
    texas = next(each for each in found["data"] if each["jurisdiction"] == "US-TX")
    assert (texas["threshold"], texas["registered"]) == ({"amount": Money(500_000_00, "USD").minor, "currency": "USD"},
                                                         False)  # fmt: skip
    assert [each["id"] for each in found["alerts"]] == [alert_id]
    seen = vendor.post(f"/v1/tax/nexus/alerts/{alert_id}/seen", json={"note": "We register in January"}).json()
    assert (seen["seen_note"], seen["seen_by"].partition("_")[0]) == ("We register in January", "key")
    assert vendor.get("/v1/tax/nexus").json()["alerts"] == []
    assert [each.details["note"] for each in audited(world, "tax.nexus_seen")] == ["We register in January"]


def test_the_providers_books_are_listed_and_tried_again(world: World, vendor: httpx.Client) -> None:
    record_id = recorded(world)
    (listed,) = vendor.get("/v1/tax/records", params={"state": "waiting"}).json()["data"]
    assert (listed["id"], listed["ref"]) == (record_id, None)
    assert vendor.get(f"/v1/tax/records/{record_id}").json() == listed
    assert vendor.get("/v1/tax/records", params={"state": "refused"}).json()["data"] == []
    assert vendor.post(f"/v1/tax/records/{record_id}/retry").json()["state"] == "waiting"
    world.work()
    (refused,) = vendor.get("/v1/tax/records", params={"invoice_id": listed["invoice_id"]}).json()["data"]
    assert (refused["state"], refused["code"]) == ("refused", "no_provider")
    found = vendor.post(f"/v1/tax/records/{record_id}/found", json={"ref": "tax_1"})
    assert (found.status_code, found.json()["code"]) == (409, "tax_refused")
    assert [each.subject for each in audited(world, "tax.record_retried")] == [record_id]


def test_a_key_reads_or_writes_and_a_customers_key_does_neither(world: World) -> None:
    account = shop.buy(world).account_id
    reader = world.api(make_key(world, account_id=None, scopes=("tax:read",)))
    assert reader.get("/v1/tax/nexus").status_code == 200
    assert reader.post("/v1/tax/overrides", json=OVERRIDE).json()["code"] == "scope_missing"
    customer = world.api(make_key(world, account_id=account))
    for path in ("nexus", "overrides", "records"):
        assert customer.get(f"/v1/tax/{path}").json()["code"] == "not_allowed"
