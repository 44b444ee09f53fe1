"""Many licenses of one account: what they give together, what if, and one signed file (R-LIC-3)."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError
from sqlmodel import col

from app.adapters.sandbox import clock
from app.core import policy
from app.flows import tick
from app.licenses import service
from app.licenses.models import IssuanceEntry, License, LicenseChange
from tests.api.buying import Buyer, make_key
from tests.licenses import independent_verifier
from tests.world import World


@dataclass(frozen=True)
class House:
    """An account with two production licenses and one for staging, looked at by its own key."""

    world: World
    account: str
    base: str  # the ids of licenses
    pack: str
    own: httpx.Client

    def together(self, **query: Any) -> dict[str, Any]:
        answer = self.own.get(f"/v1/accounts/{self.account}/entitlements", params=query)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def files(self, **query: Any) -> list[dict[str, Any]]:
        return list(self.own.get("/v1/merged_licenses", params=query).json()["data"])

    def settle(self) -> None:
        tick.tick(self.world.ports)
        self.world.work()

    def install(self, file: dict[str, Any], users: int = 1) -> dict[str, Any]:
        """What a server holds that installs the file, by a reader that shares nothing with us."""
        text_ = self.own.get(f"/v1/merged_licenses/{file['id']}/file")
        assert text_.status_code == 200, text_.text
        pems = self.world.browser().get("/v1/licenses/keys?format=pem").text.split("-----END")
        (pem,) = (each for each in pems if len(each) > 300)  # the RSA key among those of other formats
        numbers = independent_verifier.numbers_of(pem[pem.index("-----BEGIN") :])
        now_ms = int(self.world.ports.clock.now().timestamp() * 1000)
        return independent_verifier.install(text_.text.encode(), *numbers, now_ms=now_ms, users=users)


def walk(world: World, to: datetime) -> None:
    tick.walk(world.ports, to, set_clock=lambda at: clock.set_to(world.db, at), settle=world.work)


@pytest.fixture
def house(buyer: Buyer, world: World) -> House:
    """A pack of 20 that ends in a year beside a base of 80 for three, and 15 seats for staging."""
    account, base, pack = furnished(buyer)
    return House(world, account, base, pack, world.api(make_key(world, account_id=account)))


def furnished(buyer: Buyer) -> tuple[str, str, str]:
    """The account, and the licenses of base and pack."""
    world = buyer.world
    with world.db.transaction() as tx:
        policy.change(tx, "automation_threshold", {"USD": 10_000_000}, valid_from=world.ports.clock.now(), by="test",
                      why="test", now=world.ports.clock.now())  # fmt: skip
    base = buyer.buy(lines=[{"sku": "professional", "quantity": 80}], term_years=3)
    pack = buyer.buy(lines=[{"sku": "enterprise", "quantity": 20}])
    staging = buyer.buy(lines=[{"sku": "professional", "quantity": 15}])
    assert {pack.account, staging.account} == {base.account}
    own = world.api(make_key(world, account_id=base.account))
    told = {"environment": "non_production", "label": " Staging "}
    changed = own.patch(f"/v1/licenses/{staging.license}", json=told).json()
    assert (changed["environment"], changed["label"]) == ("non_production", "Staging")
    tick.tick(world.ports)
    world.work()
    return base.account, base.license, pack.license


def test_what_licenses_give_together_is_explained_dated_and_asked_about(
    house: House, buyer: Buyer, vendor: httpx.Client
) -> None:
    now = house.together()
    both, other = now["production"], now["non_production"]
    assert (both["seats"], both["entitlements"]["tier"], other["seats"]) == (100, "enterprise", 15)
    assert (both["entitlements"]["users"], both["entitlements"]["ldap"]) == (100, True)
    seats = both["explanation"][0]
    assert (seats["name"], seats["rule"]) == ("users", "sum")
    assert {each["license"]: each["value"] for each in seats["shares"]} == {house.base: 80, house.pack: 20}
    [drop, *_] = both["next"]
    assert (drop["drop"], drop["seats_after"], drop["ended"]) == (True, 80, [house.pack])
    assert "you drop to 80 seats." in drop["says"]
    assert "Plan level: professional instead of enterprise." in drop["says"]
    # At the instant itself, a moment before, and without the pack.
    assert house.together(at=drop["at"])["production"]["seats"] == 80
    before = datetime.fromisoformat(drop["at"]) - timedelta(seconds=1)
    late = house.together(at=before.isoformat())["production"]
    assert (late["seats"], [each["in_grace"] for each in late["sources"]]) == (100, [False, True])
    what_if = house.together(without=house.pack)
    assert (what_if["production"]["seats"], what_if["without"]) == (80, [house.pack])
    assert what_if["production"]["entitlements"]["tier"] == "professional"
    # The vendor's key sees the same; nobody else's account or license exists.
    url = f"/v1/accounts/{house.account}/entitlements"
    assert vendor.get(url).json() == now
    foreign = buyer.buy(buyer=buyer.wanted()["buyer"] | {"email": "eve@example.com", "company": "Eve, Inc."})
    stranger = house.world.api(make_key(house.world, account_id=foreign.account))
    assert stranger.get(url).status_code == 404
    assert house.own.get(url, params={"without": foreign.license}).status_code == 404
    assert stranger.get(f"/v1/merged_licenses/{house.files()[0]['id']}/file").status_code == 404
    # Who has the answer already is told so, until something changes.
    tag = house.own.get(url).headers["etag"]
    assert house.own.get(url, headers={"If-None-Match": tag}).status_code == 304
    house.own.patch(f"/v1/licenses/{house.pack}", json={"server": "chat-2.example.org"})
    assert house.own.get(url, headers={"If-None-Match": tag}).status_code == 200
    assert house.together(server="CHAT-2.example.org")["production"]["seats"] == 20
    for bad in ({"at": "2027-01-01T00:00:00"}, {"without": "lic_x"}):
        assert house.own.get(url, params=bad).status_code == 422


def test_a_suspended_license_gives_nothing_from_then_on_and_gave_what_it_gave_before(house: House) -> None:
    world, began = house.world, house.world.ports.clock.now()

    def seats(at: datetime | None = None) -> int:
        return int(house.together(**({} if at is None else {"at": at.isoformat()}))["production"]["seats"])

    def turn(deed: Callable[..., License], days: int) -> datetime:
        at = began + timedelta(days=days)
        clock.set_to(world.db, at)
        with world.db.transaction() as tx:
            deed(tx, house.pack, reason="dispute", by="test", now=at)
        return at

    moment = timedelta(seconds=1)
    first = turn(service.suspend, 3)
    assert [seats(each) for each in (None, first, first - moment, began + timedelta(days=90))] == [80, 80, 100, 80]
    again = turn(service.reinstate, 5)
    assert [seats(each) for each in (None, first - moment, first, again - moment, again)] == [100, 100, 80, 80, 100]
    second = turn(service.suspend, 8)
    gone = turn(service.revoke, 9)
    asked = (first - moment, first, again, second - moment, second, gone, gone + timedelta(days=30))
    assert [seats(each) for each in asked] == [100, 80, 100, 100, 80, 80, 80]


def test_one_signed_file_states_the_sum_and_follows_every_change(house: House) -> None:
    [file] = house.files(state="active")
    held = house.install(file, users=100)
    assert (held["features"]["users"], held["sku_short_name"], held["id"]) == (100, "enterprise", file["key"])
    assert {each["license"]: each["users"] for each in held["sources"]} == {house.base: 80, house.pack: 20}
    # A month beyond the drop of the pack, not three years: a file cannot lower itself.
    drop = datetime.fromisoformat(house.together()["production"]["next"][0]["at"])
    assert datetime.fromisoformat(file["expires_at"]) == drop + timedelta(days=30)
    anyone = house.world.browser()
    said = anyone.post("/v1/licenses/validate", json={"key": file["key"]}).json()
    assert (said["code"], said["license"]["seats"]) == ("valid", 100)
    with house.world.db.transaction() as tx:
        chained = tx.execute(select(IssuanceEntry).where(col(IssuanceEntry.merged_id) == file["id"])).scalar_one()
    assert len(chained.hash) == 64
    # Nothing changed: nothing is made, whoever asks how often.
    house.settle()
    house.own.patch(f"/v1/licenses/{house.base}", json={"label": "Berlin production"})
    house.settle()
    assert [each["id"] for each in house.files()] == [file["id"]]
    for sql in ("UPDATE merged_license SET seats = 999", "DELETE FROM merged_license"):
        with pytest.raises(DBAPIError, match="kept as it is"), house.world.db.transaction() as tx:
            tx.execute(text(sql))
    # A revoked part lowers, and the file before is kept under its own id.
    vendor = house.world.api(make_key(house.world, account_id=None))
    told = [
        each for each in vendor.get("/v1/events?limit=100").json()["data"] if each["type"] == "merged_license.issued"
    ]
    assert [each["data"]["seats"] for each in told] == [100]
    assert vendor.post(f"/v1/licenses/{house.pack}/revoke", json={"reason": "Paid back."}).status_code == 200
    assert house.together()["production"]["seats"] == 80
    house.settle()
    lower, before = house.files()
    assert (lower["seats"], lower["replaces"], before["state"]) == (80, file["id"], "superseded")
    assert (lower["key"] != before["key"], house.install(before)["features"]["users"]) == (True, 100)
    assert house.install(lower)["sku_short_name"] == "professional"
    assert anyone.post("/v1/licenses/validate", json={"key": before["key"]}).json()["code"] == "superseded"
    # With the last of them gone nothing may be installed any more.
    vendor.post(f"/v1/licenses/{house.base}/revoke", json={"reason": "Paid back."})
    house.settle()
    gone = house.files()[0]
    assert (gone["id"], gone["state"]) == (lower["id"], "revoked")
    assert house.own.get(f"/v1/merged_licenses/{gone['id']}/file").status_code == 409
    with house.world.db.transaction() as tx:
        assert tx.execute(select(LicenseChange)).first() is None


def test_a_lapsed_pack_lowers_the_file_after_a_mail_ahead(house: House) -> None:
    drop = datetime.fromisoformat(house.together()["production"]["next"][0]["at"])
    walk(house.world, drop - timedelta(days=31))
    assert not mails(house)
    walk(house.world, drop - timedelta(days=29))
    [subject] = mails(house)
    assert subject.endswith("you drop to 80 seats")
    [file] = house.files(state="active")
    assert file["seats"] == 100
    walk(house.world, drop + timedelta(hours=1))
    lower = house.files(state="active")[0]
    # The base goes on, whole: the pack that lapsed took away what it gave.
    assert (lower["seats"], len(house.files()), len(mails(house))) == (80, 2, 1)
    held = house.install(lower, users=80)
    with house.world.db.transaction() as tx:
        base = tx.get_one(License, house.base)
        assert held["expires_at"] == int(base.expires_at.timestamp() * 1000)


def mails(house: House) -> list[str]:
    sent = house.world.browser().get("/sandbox/mail.json", params={"limit": 100}).json()
    return [mail["subject"] for mail in sent if "drop" in mail["subject"]]
