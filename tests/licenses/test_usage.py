"""Reports of usage and true-up: what products and people tell, what it costs, and that it never lowers (R-ORD-4)."""

import hmac
import json
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from hashlib import sha256
from typing import Any

import httpx
import pytest
from sqlalchemy import select, text
from sqlmodel import col

from app.licenses import service as licenses
from app.licenses import usage
from app.licenses.models import License
from app.licenses.usage_models import UsageReport
from app.orders.models import Order
from app.subscriptions import service as subscriptions
from tests import shop
from tests.api.buying import make_key
from tests.flows.ending import walk_days
from tests.portal import buyers
from tests.signing_in import staff_browser
from tests.world import World

SERVER = "ehsr1oaxbty8bmw6xqhp8pj7pe"


@pytest.fixture
def order(world: World) -> Order:
    return shop.buy(world)


@pytest.fixture
def held(world: World, order: Order) -> License:
    with world.db.transaction() as tx:
        found = licenses.of_order(tx, order.id)
        assert found is not None
        return found


def written(world: World, held: License, users: int, sequence: int = 1, **changes: Any) -> dict[str, Any]:
    """A report as a product writes it, with the means of the documentation and none of ours."""
    today = world.ports.clock.now().date()
    said: dict[str, Any] = {
        "type": "blp/usage-report/v1", "license": held.file_id, "server_id": SERVER, "sequence": sequence,
        "period_from": str(today - timedelta(days=7)), "period_to": str(today), "active_users": users,
    } | changes  # fmt: skip
    plain = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    key = sha256(b"blp/usage-key/v1\n" + held.file_text.encode()).digest()
    return said | {"mac": hmac.new(key, b"blp/usage-report/v1\n" + plain, sha256).hexdigest()}


def send(world: World, held: License, report: dict[str, Any]) -> httpx.Response:
    return world.browser().post(f"/v1/licenses/{held.id}/usage_reports", json=report)


def seats(world: World, order: Order) -> int:
    with world.db.transaction() as tx:
        return subscriptions.lines(tx, order.subscription_id or "")[0].quantity


def test_a_product_reports_with_its_license_file_and_learns_what_is_missing(world: World, held: License) -> None:
    first = written(world, held, 31)
    answer = send(world, held, first)
    assert answer.status_code == 201, answer.text
    assert (answer.json()["seats"], answer.json()["missing"], answer.json()["source"]) == (25, 6, "product")
    again = send(world, held, first)
    assert (again.status_code, again.json()["id"]) == (200, answer.json()["id"]), "sent twice is told once"
    assert send(world, held, written(world, held, 5)).status_code == 409, "the same number cannot say something else"
    assert send(world, held, written(world, held, 30, 3)).status_code == 201
    assert send(world, held, written(world, held, 40, 2)).status_code == 409, "what is older came too late"
    forged = [
        first | {"active_users": 32}, first | {"mac": "0" * 64}, written(world, held, 1, 9, license="0" * 26),
    ]  # fmt: skip
    assert [send(world, held, each).status_code for each in forged] == [404] * 3
    tomorrow = world.ports.clock.now().date() + timedelta(days=2)
    wrong = written(world, held, 1, 9, period_to=str(tomorrow))
    assert send(world, held, wrong).status_code == 422
    unknown = world.browser().post(f"/v1/licenses/{held.id[:-4]}0000/usage_reports", json=first)
    assert unknown.status_code == 404

    other = shop.buy(world, email="eve@other.example", company="Eve AG")
    owner, stranger = (world.api(make_key(world, account_id=each)) for each in (held.account_id, other.account_id))
    listed = owner.get(f"/v1/licenses/{held.id}/usage_reports").json()["data"]
    assert [each["active_users"] for each in listed] == [30, 31]
    assert stranger.get(f"/v1/licenses/{held.id}/usage_reports").status_code == 404
    # The linter knows how many a server would count when the file is installed (licensing.md §5, 12).
    linted = world.browser().post("/v1/licenses/lint", json={"license": held.file_text}).json()
    assert "seats_below_users" in {each["code"] for each in linted["findings"]}
    for deed in ("UPDATE usage_report SET active_users = 1", "DELETE FROM usage_report", "TRUNCATE usage_report"):
        with pytest.raises(Exception, match="never changed"), world.db.transaction() as tx:
            tx.execute(text(deed))


def test_the_same_report_from_ten_places_at_once_is_kept_once(world: World, held: License) -> None:
    report = written(world, held, 31)
    with ThreadPoolExecutor(10) as pool:
        codes = sorted(each.status_code for each in pool.map(lambda _: send(world, held, report), range(10)))
    assert codes == [*[200] * 9, 201]


def test_missing_seats_are_priced_before_and_ordered_with_one_button(world: World, order: Order) -> None:
    owner = buyers.signed_in(world, order)
    path = f"/account/subscriptions/{order.subscription_id}/usage"
    assert "No usage reported yet" in owner.open(path).text
    today = world.ports.clock.now().date()
    count = {"active_users": "31", "period_from": str(today - timedelta(days=30)), "period_to": str(today)}
    assert "Tick the statement" in owner.send("/usage", "Send the report", **count).text
    page = owner.send("/usage", "Send the report", "attest", **count)
    assert "31 of 25 seats in use" in page.text
    assert "6 seats more are used than you have." in page.text
    cost = page.text.partition("they cost ")[2].partition(". ")[0]
    assert seats(world, order) == 25, "a report orders nothing"
    staff, _ = staff_browser(world)
    assert "31 of 25" in staff.get(f"/console/subscriptions/{order.subscription_id}").text
    shown = staff.get(f"/console/accounts/{order.account_id}").text
    assert "Seats used" in shown
    assert re.search(r'<td [^>]*data-label="Too few"><b class="late">6</b></td>', shown)
    assert "31 in use" in owner.open("/account").text

    owner.open(path)
    owner.send("/change", "Add the seats")
    world.work()
    assert seats(world, order) == 31
    with world.db.transaction() as tx:
        change = tx.execute(select(Order).where(col(Order.kind) == "expansion")).scalar_one()
        assert str(change.due) == cost, "what was shown is what was charged"
    assert "seats more are used" not in owner.open(path).text


def test_usage_never_lowers_and_the_renewal_begins_with_what_is_used(
    world: World, order: Order, held: License
) -> None:  # fmt: skip
    send(world, held, written(world, held, 3))
    owner = buyers.signed_in(world, order)
    page = owner.open(f"/account/subscriptions/{order.subscription_id}/usage")
    assert "3 of 25 seats in use" in page.text
    assert "Add the seats" not in page.text
    assert seats(world, order) == 25
    # A report that was carried here counts like one over the network, and only with the file's own code.
    carried = json.dumps(written(world, held, 28, 2))
    bad = owner.send("/usage", "Send the report", text=json.dumps(json.loads(carried) | {"active_users": 29}))
    assert "was not made with the file of this license" in bad.text
    assert "28 of 25 seats in use" in owner.send("/usage", "Send the report", text=carried).text
    with world.db.transaction() as tx:
        newest = usage.newest(tx, order.subscription_id or "")
        assert newest is not None
        assert newest.source == "file"
    with world.db.transaction() as tx:
        ends = subscriptions.get(tx, order.subscription_id or "").ends_on
    walk_days(world, (ends - world.ports.clock.now().date()).days - 20)
    review = buyers.signed_in(world, order).open(f"/account/subscriptions/{order.subscription_id}/renew")
    assert review.form("/renew", "Show the price").value("seats") == "28"


def test_what_belongs_to_another_account_is_not_there(world: World, order: Order, held: License) -> None:
    send(world, held, written(world, held, 31))
    stranger = buyers.signed_in(world, shop.buy(world, email="eve@other.example", company="Eve AG"))
    path = f"/account/subscriptions/{order.subscription_id}/usage"
    assert stranger.browser.get(path).status_code == 404
    stranger.open("/account")
    token = stranger.page.form("/sign-out").value("csrf_token")
    refused = stranger.browser.post(path, data={"csrf_token": token, "active_users": "1"})
    assert refused.status_code == 404
    with world.db.transaction() as tx:
        assert len(tx.execute(select(UsageReport)).all()) == 1


def test_a_product_asks_where_its_license_stands(world: World, order: Order, held: License) -> None:
    def status(file: str) -> httpx.Response:
        return world.browser().post("/v1/licenses/status", json={"license": file})

    send(world, held, written(world, held, 31))
    told = status(held.file_text).json()
    assert (told["seats"], told["active_users"], told["trial"], told["renewable"]) == (25, 31, False, False)
    assert told["expand_url"].endswith(f"/account/subscriptions/{order.subscription_id}#seats")
    assert [each["step"] for each in told["steps"]] == ["warn", "banner", "block_new_users", "read_only"]
    assert told["steps"][1]["begins_at"] == told["ends_at"]
    for secret in ("ada@", "Beispiel", held.account_id):
        assert secret not in json.dumps(told)
    api = world.api(make_key(world, account_id=None))
    renderings = [api.get(f"/v1/licenses/{held.id}/file?format={each}").text for each in ("keygen", "token")]
    assert [status(each).json() for each in renderings] == [told, told]
    assert status(renderings[1][:-8] + "AAAAAAAA").status_code == 404
    assert status("A" * 400).status_code == 404
    assert status(held.file_text[:-8] + "AAAAAAAA").status_code == 404
    with world.db.transaction() as tx:
        licenses.revoke(tx, held.id, reason="x", by="test", now=world.ports.clock.now())
    assert {status(each).status_code for each in (held.file_text, *renderings)} == {404}
