"""Servers of a license over the API: the product shows its license, as validation wants it (R-LIC-5)."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from time import monotonic, sleep
from typing import Any

import httpx
import pytest
from sqlalchemy import select, text, update
from sqlmodel import col

from app.adapters.sandbox.clock import set_to
from app.core.canonical import sha256_hex
from app.core.clock import transport_now
from app.flows import silent_servers
from app.licenses.activation_models import Activation
from app.licenses.formats.recognize import Format
from app.licenses.models import IssuanceEntry
from app.main import create_app
from app.web import later_writes
from tests.api.buying import NEW_YORK, Bought, Buyer, make_key
from tests.api.test_validation import PATH, UNKNOWN, until
from tests.licenses.activating import with_rules
from tests.licenses.renderings import documented
from tests.serving import served
from tests.world import World


@pytest.fixture
def bought(buyer: Buyer) -> Bought:
    return buyer.buy()


@pytest.fixture
def key(bought: Bought, vendor: httpx.Client) -> str:
    return str(vendor.get(f"/v1/licenses/{bought.license}").json()["key"])


class Product:
    """A server that knows its license and nothing else."""

    def __init__(self, world: World, license_id: str, **shown: str) -> None:
        self.client, self.url, self.shown = world.browser(), f"/v1/licenses/{license_id}/activations", shown

    def activate(self, fingerprint: str, /, **more: Any) -> httpx.Response:
        return self.client.post(self.url, json={"fingerprint": fingerprint, **self.shown, **more})

    def beat(self, name: str) -> httpx.Response:
        return self.client.post(f"{self.url}/heartbeat", json={"fingerprint": name, **self.shown})

    def deactivate(self, **named: str) -> httpx.Response:
        return self.client.request("DELETE", self.url, json=named | self.shown)


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def test_a_product_binds_its_servers_with_its_license_alone(bought: Bought, key: str, world: World) -> None:
    with_rules(world, limit=2, heartbeat_seconds=600)
    product = Product(world, bought.license, key=key)
    first = product.activate("one", name="chat-01", hostname="chat-01.example.com", version="10.4.1")
    again = product.activate("one", version="10.5.0")
    assert (first.status_code, again.status_code) == (201, 200)
    assert (again.json()["id"], again.json()["version"], again.json()["name"]) == (
        first.json()["id"], "10.5.0", "chat-01"
    )  # fmt: skip
    assert (first.json()["place"], first.json()["life"]) == (1, "alive")
    product.activate("two")
    full = product.activate("three")
    assert code(full) == (409, "activation_limit_reached")
    assert (full.json()["limit"], full.json()["in_use"], full.json()["held_by"]) == (2, 2, "chat-01, two")
    assert "Deactivate a server" in full.json()["detail"]
    assert product.beat("two").json()["life"] == "alive"
    assert code(product.beat("three")) == (404, "not_found")
    assert product.activate("three", replaces="two").json()["place"] == 2
    assert code(product.beat("two")) == (410, "activation_ended")
    gone = product.deactivate(activation=first.json()["id"])
    assert (gone.status_code, gone.json()["state"], gone.json()["lease_until"]) == (200, "deactivated", None)
    assert code(product.deactivate(fingerprint="one")) == (404, "not_found")
    assert code(product.deactivate()) == (422, "invalid")
    seen = world.api(make_key(world, account_id=bought.account)).get(product.url).json()
    assert ([each["fingerprint"] for each in seen["data"]], seen["limit"], seen["allowed"]) == (["three"], 2, 2)


def test_who_shows_no_license_in_force_binds_nothing(
    bought: Bought, key: str, buyer: Buyer, vendor: httpx.Client, world: World
) -> None:
    """Unknown, foreign and revoked bare keys look alike; the whole file and the owner's key get the true reason."""
    with_rules(world, limit=2)
    file = vendor.get(f"/v1/licenses/{bought.license}/file").text
    other = buyer.buy(buyer=NEW_YORK | {"email": "other@example.com", "company": "Other, Inc."})
    foreign = str(vendor.get(f"/v1/licenses/{other.license}").json()["key"])
    by_file = Product(world, bought.license, license=file)
    assert by_file.activate("one").status_code == 201
    told = [Product(world, bought.license, key=shown).activate("two") for shown in (UNKNOWN, foreign)]
    told += [Product(world, bought.license, license=file[:-8]).activate("two")]
    assert vendor.post(f"/v1/licenses/{bought.license}/revoke", json={"reason": "x"}).status_code == 200
    told += [Product(world, bought.license, key=key).activate("two")]
    assert {(*code(each), each.json()["detail"]) for each in told} == {
        (404, "not_found", "No license in force answers to this under this address.")
    }
    refused = by_file.activate("two")
    assert (code(refused), refused.json()["reason"]) == ((409, "license_not_usable"), "revoked")
    assert code(by_file.beat("one")) == (409, "license_not_usable")
    assert by_file.deactivate(fingerprint="one").status_code == 200, "giving up is always possible"
    both = world.browser().post(by_file.url, json={"fingerprint": "x", "key": key, "license": file})
    assert code(both) == (422, "invalid")


def test_wrong_licenses_are_counted_by_address_and_right_ones_never_wait_for_that(
    bought: Bought, key: str, world: World
) -> None:
    with_rules(world, limit=2)
    wrong = [Product(world, bought.license, key=UNKNOWN).activate("x").status_code for _ in range(31)]
    assert wrong == [404] * 30 + [429]
    assert Product(world, bought.license, key=key).activate("one").status_code == 201


def test_a_plan_without_rules_lists_servers_and_limits_none(bought: Bought, key: str, world: World) -> None:
    product = Product(world, bought.license, key=key)
    assert [product.activate(name).status_code for name in ("one", "two", "three")] == [201] * 3
    assert code(product.beat("one")) == (409, "heartbeats_off")
    assert world.browser().post(PATH, json={"key": key, "fingerprint": "four"}).json()["valid"] is True


@pytest.fixture
def ways(world: World) -> Iterator[list[Callable[..., dict[str, Any]]]]:
    """Validation by the fast lane and by the plain door."""
    lifted = world.settings.model_copy(update={"validate_burst": 0, "validate_key_burst": 0})
    plain_app = create_app(lifted, world.wired)
    plain_app.lane = None
    client = world.browser()
    with served(create_app(lifted, world.wired)) as fast, served(plain_app) as plain:
        sleep(0.2)  # the fast lane begins to listen

        def ask(url: str, **body: Any) -> dict[str, Any]:
            answer = client.post(url + PATH, json=body)
            assert answer.status_code == 200, answer.text
            return dict(answer.json())

        yield [lambda _url=url, **body: ask(_url, **body) for url in (fast, plain)]


def test_validation_says_how_the_server_stands(
    ways: list[Callable[..., dict[str, Any]]], bought: Bought, key: str, world: World
) -> None:
    """At once, though licenses are remembered; and both ways of answering say the same."""
    with_rules(world, limit=1, overage="2x", heartbeat_seconds=600, cull="keep", revive="always")
    product = Product(world, bought.license, key=key)

    def says(name: str, *codes: str) -> None:
        """With every finding that blocks or warns, in this order."""

        def heard(ask: Callable[..., dict[str, Any]]) -> bool:
            return [each["code"] for each in ask(key=key, fingerprint=name)["findings"]] == [*codes]

        for ask in ways:
            until(partial(heard, ask))
            answer = ask(key=key, fingerprint=name, nonce="n")
            assert answer["code"] == (codes[0] if codes else "valid")
            assert all(each["remedy"] for each in answer["findings"])

    says("one", "not_activated")
    product.activate("one")
    says("one")
    product.activate("two")
    says("two", "activations_over_limit")
    says("three", "activation_limit_reached", "activations_over_limit")
    with world.db.transaction() as tx:  # which nobody is told of, as a heartbeat is not
        tx.execute(update(Activation).values(lease_until=transport_now() - timedelta(seconds=1)))
    ways[0](key=key, fingerprint="one")
    with world.db.transaction() as tx:
        tx.execute(text("NOTIFY blp_fast, 'plan:'"))
    says("one", "heartbeat_dead", "activations_over_limit")
    product.beat("one")
    says("one", "activations_over_limit")
    product.deactivate(fingerprint="two")
    says("two", "not_activated")
    says("one")
    with_rules(world, limit=1)
    says("two", "activation_limit_reached")
    assert all("findings" in ask(key=key) and not ask(key=key)["findings"] for ask in ways), (
        "nothing asked, nothing said"
    )


def test_a_server_that_validates_is_seen_without_a_write_in_the_request(
    bought: Bought, key: str, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_rules(world, limit=2)
    Product(world, bought.license, key=key).activate("one")
    monkeypatch.setattr(later_writes, "_WRITE_SECONDS", 0.2)
    old = transport_now() - timedelta(hours=1)
    with world.db.transaction() as tx:
        tx.execute(update(Activation).values(last_seen_at=old))

    def seen() -> Any:
        with world.db.transaction() as tx:
            return tx.get_one(
                Activation, tx.execute(text("SELECT id FROM license_activation")).scalar_one()
            ).last_seen_at

    lifted = world.settings.model_copy(update={"validate_burst": 0})
    with served(create_app(lifted, world.wired)) as url, httpx.Client(base_url=url, trust_env=False) as client:
        for _ in range(5):
            assert client.post(PATH, json={"key": key, "fingerprint": "one"}).json()["valid"] is True
        until(lambda: seen() > old)
        first = seen()
        began = monotonic()
        while monotonic() - began < 0.6:
            client.post(PATH, json={"key": key, "fingerprint": "one"})
            sleep(0.05)
        assert seen() == first, "at most once a minute"
        with world.db.transaction() as tx:
            tx.execute(update(Activation).values(last_seen_at=old))
    assert seen() == old, "nothing was left to write at the end"


def test_the_silent_are_released_every_minute(bought: Bought, key: str, world: World) -> None:
    with_rules(world, limit=2, floating=True, heartbeat_seconds=60)
    product = Product(world, bought.license, key=key)
    product.activate("one")
    product.activate("two")
    with world.db.transaction() as tx:
        tx.execute(
            update(Activation)
            .where(col(Activation.fingerprint) == "one")
            .values(lease_until=transport_now() - timedelta(seconds=1))
        )
    silent_servers.release_silent.run(world.ports)
    listed = world.api(make_key(world, account_id=None)).get(product.url).json()["data"]
    assert [each["fingerprint"] for each in listed] == ["two"]
    with world.db.transaction() as tx:
        ended = tx.execute(text("SELECT data FROM event WHERE type = 'license.deactivated'")).scalar_one()
    assert ended == {"license_id": bought.license, "by": "silence"}, "no fingerprint leaves with an event"


def test_an_ended_license_binds_no_server(bought: Bought, key: str, world: World) -> None:
    with_rules(world, limit=2)
    set_to(world.db, world.ports.clock.now() + timedelta(days=800))
    refused = Product(world, bought.license, key=key).activate("one")
    assert (code(refused), refused.json()["reason"]) == ((409, "license_not_usable"), "expired")


def test_a_server_has_the_license_for_itself_alone_in_a_file(
    bought: Bought, key: str, world: World, vendor: httpx.Client
) -> None:
    with_rules(world, limit=2, heartbeat_seconds=600)
    product = Product(world, bought.license, key=key)
    one = product.activate("one", name="chat-01").json()["id"]
    url = f"{product.url}/{one}/file"
    got, plain = vendor.get(url), vendor.get(f"{url}?alg=base64%2Bed25519&ttl=3600")
    assert got.headers["content-disposition"] == f'attachment; filename="{one}.machine.lic"'
    published, at = world.browser().get("/v1/licenses/keys").json(), world.ports.clock.now()
    for answer in (got, plain):
        read = documented().verify(answer.content, published, at=at, license_key=key, fingerprint="one")
        assert (read["format"], read["id"], read["seats"]) == ("machine", bought.license, 25)
    linted = {"license": got.text, "license_key": key, "fingerprint": "one"}
    said = world.browser().post("/v1/licenses/lint", json=linted).json()
    assert (said["format"], said["accepted"], said["findings"]) == ("machine", True, [])
    with world.db.transaction() as tx:
        logged = tx.execute(
            select(IssuanceEntry).where(col(IssuanceEntry.format) == Format.MACHINE).order_by(col(IssuanceEntry.id))
        ).scalars()  # fmt: skip
        entries = [(each.file_sha256, each.license_id, each.actor[:4]) for each in logged]
        assert entries == [(sha256_hex(each.content), bought.license, "key_") for each in (got, plain)]
    for query, refusal, param in (
        ("ttl=60", "license_file_ttl_invalid", "ttl"),
        ("alg=base64%2Brsa-sha256", "license_file_algorithm_invalid", "alg"),
        ("alg=base64%2Bed25519&encrypt=true", "license_option_without_effect", "encrypt"),
    ):  # fmt: skip
        refused = vendor.get(f"{url}?{query}")
        assert (refused.status_code, refused.json()["code"], refused.json()["param"]) == (422, refusal, param)
    with world.db.transaction() as tx:
        tx.execute(update(Activation).values(lease_until=transport_now() - timedelta(seconds=1)))
    dead = vendor.get(url)
    assert (code(dead), dead.json()["reason"]) == ((409, "license_not_usable"), "heartbeat_dead")
    with_rules(world, limit=2, floating=True, heartbeat_seconds=600)
    assert code(vendor.get(url)) == (409, "offline_not_offered")
    with_rules(world, limit=2)
    product.deactivate(fingerprint="one")
    assert code(vendor.get(url)) == (410, "activation_ended")
    two = product.activate("two").json()["id"]
    vendor.post(f"/v1/licenses/{bought.license}/revoke", json={"reason": "Paid back."})
    assert code(vendor.get(f"{product.url}/{two}/file")) == (409, "license_not_in_force")
    assert code(vendor.get(f"{product.url}/act_01ka8qj6x0c5q4m3t2r1p0n9mk/file")) == (404, "not_found")
