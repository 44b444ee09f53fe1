"""The file for an auditor: complete, the same bytes each time, and false as soon as something was touched."""

import json
from typing import Any

from sqlalchemy import text

from app.core.canonical import canonical_json, sha256_hex
from app.invoices import service as invoices
from app.orders.models import Order
from tests import shop
from tests.console.helping import overridden
from tests.reports.test_reports_api import client
from tests.signing_in import staff_browser
from tests.world import World, altered


def invoice_of(world: World, order: Order) -> str:
    with world.db.transaction() as tx:
        found = invoices.of_order(tx, order.id)
        assert found
        return found.id


def read(world: World, invoice_id: str) -> tuple[bytes, dict[str, Any]]:
    answer = client(world, "reports:read").get(f"/v1/reports/tax_evidence/{invoice_id}")
    assert answer.status_code == 200, answer.text
    return answer.content, json.loads(answer.content)


def test_the_file_says_why_a_reverse_charge_was_right(world: World) -> None:
    invoice = invoice_of(world, shop.buy(world))
    content, told = read(world, invoice)
    assert told["form"] == "blp/tax-evidence/v1"
    assert told["determination"]["result"]["treatment"] == "reverse_charge"
    assert told["determination"]["inputs_are_those_of_then"] is True
    (check,) = told["tax_id_checks"]
    assert (check["value"], check["status"], len(check["reply_sha256"])) == ("DE136695976", "valid", 64)
    assert told["location"]["stated_address"]["country"] == "DE"
    (row,) = told["sources"]["rows"]
    assert (row["jurisdiction"], row["says"], row["grade"]) == ("DE", "19", "A")
    assert "duty27" in row["source"].lower()
    assert sum(each["amount"] for each in told["ledger"]) == 0
    for name, digest in told["sha256"].items():
        assert sha256_hex(canonical_json(told[name])) == digest
    browser, _ = staff_browser(world)
    assert browser.get(f"/console/invoices/{invoice}/evidence").content == content == read(world, invoice)[0]


def test_an_override_is_in_it_and_a_change_of_the_inputs_shows(world: World) -> None:
    override = overridden(world, "US-NY", "8.75", alone=True)
    buffalo = {"country": "US", "region": "NY", "postcode": "14201", "city": "Buffalo", "currency": "USD", "vat": None}
    invoice = invoice_of(world, shop.buy(world, **buffalo))
    told = read(world, invoice)[1]
    (row,) = told["overrides"]
    assert (row["id"], row["rate"], row["source"]) == (override, "8.75", "Adviser's letter of 2026-11-20")
    assert told["determination"]["data_version"].endswith(f"+{override}")
    with world.db.transaction() as tx:
        tx.execute(text("ALTER TABLE tax_determination DISABLE TRIGGER USER"))
        tx.execute(text("UPDATE tax_determination SET request = jsonb_set(request, '{buyer,city}', '\"Albany\"')"))
    assert read(world, invoice)[1]["determination"]["inputs_are_those_of_then"] is False


def test_only_the_vendors_own_key_reads_it(world: World) -> None:
    order = shop.buy(world)
    invoice = invoice_of(world, order)
    path = f"/v1/reports/tax_evidence/{invoice}"
    assert client(world, "reports:read", account_id=order.account_id).get(path).status_code == 403
    assert client(world, "invoices:read").get(path).status_code == 403
    assert client(world, "reports:read").get(altered(path)).status_code == 404
    assert world.browser().get(path).status_code == 401
