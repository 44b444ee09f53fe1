"""One contract for every registry of tax numbers, and what the real ones send, read and survive (R-TAX-5)."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
from pydantic import SecretStr

from app.adapters.no_tax_registry import NoTaxRegistry
from app.adapters.sandbox.tax_registry import SandboxTaxRegistry
from app.adapters.tax_registries import Hmrc, TaxRegistries, Vies
from app.adapters.tax_registries.line import BUSY, TIMEOUT, UNREACHABLE, UNREADABLE
from app.config import Misconfigured, load
from app.core.db import Database, NetworkInsideTransaction
from app.tax.provider import NO_REGISTRY, RegistryAnswer, TaxIdRegistry
from app.wiring import wire
from tests.adapters.fake_registries import VIES_NUMBERS, Registries, running
from tests.world import World


@pytest.fixture(scope="module")
def server() -> Iterator[Registries]:
    with running() as registries:
        yield registries


@pytest.fixture
def fake(server: Registries) -> Registries:
    server.say, server.break_off, server.slow = None, False, 0
    server.asked.clear()
    return server


@dataclass(frozen=True)
class Case:
    """A registry with numbers it knows, does not know, and cannot say anything about now."""

    registry: TaxIdRegistry
    kind: str
    known: str
    unknown: str
    silent: str


def hmrc(fake: Registries, **more: str) -> Hmrc:
    return Hmrc(fake.url, **({"client_id": "app", "client_secret": "right"} | more), seconds=2)


@pytest.fixture(params=["sandbox", "vies", "hmrc", "routed"])
def case(request: pytest.FixtureRequest, fake: Registries) -> Case:
    vies = Case(Vies(fake.url, requester="IE6388047V", seconds=2), "eu_vat", "FI100", "FI200", "FI301")
    uk = Case(hmrc(fake, requester="GB146295999727"), "gb_vat", "GB553557881", "GB123456789", "GB500000000")
    return {
        "sandbox": Case(SandboxTaxRegistry(), "eu_vat", "DE136695976", "DE136690000", "DE136699999"),
        "vies": vies, "hmrc": uk,
        "routed": Case(TaxRegistries({"eu_vat": vies.registry, "gb_vat": uk.registry}), *_words(uk)),
    }[request.param]  # fmt: skip


def _words(case: Case) -> tuple[str, str, str, str]:
    return case.kind, case.known, case.unknown, case.silent


def test_a_registry_says_valid_invalid_or_nothing_and_keeps_what_it_said(case: Case, database: Database) -> None:
    def ask(value: str) -> RegistryAnswer:
        return case.registry.check(case.kind, value, "FI")

    known, unknown, silent = ask(case.known), ask(case.unknown), ask(case.silent)
    assert (known.status, unknown.status, silent.status) == ("valid", "invalid", "unavailable")
    assert known.reference
    assert silent.reference is None
    assert (silent.again, bool(silent.code), known.code, unknown.code) == (True, True, "", "")
    assert known.raw
    assert known.raw != unknown.raw
    assert known.registry == unknown.registry == silent.registry != ""
    with database.transaction(), pytest.raises(NetworkInsideTransaction):
        ask(case.known)


@pytest.mark.parametrize(("number", "code"), VIES_NUMBERS.items())
def test_the_numbers_of_the_test_service_of_vies_are_read_as_it_means_them(
    fake: Registries, number: str, code: str | None
) -> None:
    found = Vies(fake.url, seconds=2).check("eu_vat", f"EL{number}", "GR")
    if code is None:
        assert (found.status, found.code, found.reference) == ("valid" if number == "100" else "invalid", "", None)
    else:
        assert (found.status, found.code) == ("unavailable", code)
        assert found.again == (number[0] in "356")
        assert code.encode() in found.raw
    assert fake.asked == [{"countryCode": "EL", "vatNumber": number}]


def test_the_prefix_goes_to_vies_as_it_writes_it_and_names_come_back_where_a_state_tells_them(fake: Registries) -> None:
    vies = Vies(fake.url, requester="IE6388047V", seconds=2)
    finn, german = vies.check("eu_vat", "FI100", "FI"), vies.check("eu_vat", "DE100", "DE")
    vies.check("eu_vat", "GR100", "GR")
    vies.check("eu_vat", "FR100", "MC")
    vies.check("eu_vat", "XI100", "GB")
    assert (finn.name, finn.address, finn.reference) == ("ACME OY", "Katu 1\n00100 HELSINKI", "WAPIAAAAY1")
    assert (german.name, german.address, german.status) == ("", "", "valid")
    assert [each["countryCode"] for each in fake.asked] == ["FI", "DE", "EL", "FR", "XI"]
    assert {(each["requesterMemberStateCode"], each["requesterNumber"]) for each in fake.asked} == {("IE", "6388047V")}


@pytest.mark.parametrize(
    ("status", "said", "code"),
    [
        (200, b"<html>gateway</html>", UNREADABLE), (200, b"[]", UNREADABLE), (200, b'{"valid": "yes"}', UNREADABLE),
        (503, b'{"valid": true}', UNREADABLE), (200, b'{"valid": true, "vatNumber": "999"}', UNREADABLE),
        (200, b"[" * 70_000, UNREADABLE), (200, b'{"errorWrappers": ["x"]}', UNREADABLE),
        (200, b'{"valid": false, "userError": "MS_UNAVAILABLE"}', "MS_UNAVAILABLE"),
        (500, b'{"errorWrappers": [{"error": "A_WORD_OF_TOMORROW"}]}', "A_WORD_OF_TOMORROW"),
    ],
)  # fmt: skip
def test_no_garbled_answer_makes_a_number_valid_or_invalid(
    fake: Registries, status: int, said: bytes, code: str
) -> None:
    fake.say = (status, said)
    found = Vies(fake.url, seconds=2).check("eu_vat", "FI100", "FI")
    assert (found.status, found.code, found.again) == ("unavailable", code, True)
    assert hmrc(fake).check("gb_vat", "GB553557881", "GB").status == "unavailable"


def test_a_registry_that_is_gone_slow_or_hangs_up_is_unavailable_and_never_raises(fake: Registries) -> None:
    assert Vies("http://127.0.0.1:9", seconds=1).check("eu_vat", "FI100", "FI").code == UNREACHABLE
    fake.slow = 0.5
    assert Vies(fake.url, seconds=0.1).check("eu_vat", "FI100", "FI").code == TIMEOUT
    fake.slow, fake.break_off = 0, True
    assert Vies(fake.url, seconds=1).check("eu_vat", "FI100", "FI").code == UNREACHABLE
    assert hmrc(fake).check("gb_vat", "GB553557881", "GB").code == UNREACHABLE


def test_one_state_is_asked_once_at_a_time_and_others_need_not_wait_for_it() -> None:
    with running() as fake:
        fake.slow = 0.05
        vies = Vies(fake.url, seconds=5)
        with ThreadPoolExecutor(4) as threads:
            found = list(threads.map(lambda _: vies.check("eu_vat", "FI100", "FI"), range(4)))
        assert ({each.status for each in found}, fake.most_at_once) == ({"valid"}, 1)
        with ThreadPoolExecutor(2) as threads:
            list(threads.map(lambda state: vies.check("eu_vat", f"{state}100", state), ["SE", "DK"]))
        assert fake.most_at_once == 2
        fake.slow = 0.4
        hasty = Vies(fake.url, seconds=0.2)
        with ThreadPoolExecutor(2) as threads:
            codes = {each.code for each in threads.map(lambda _: hasty.check("eu_vat", "FI100", "FI"), range(2))}
        assert codes <= {TIMEOUT, BUSY}


def test_hmrc_gives_a_token_once_and_another_where_that_one_was_withdrawn(fake: Registries) -> None:
    registry, before = hmrc(fake, requester="GB146295999727"), len(fake.tokens)
    found = registry.check("gb_vat", "GB553557881", "GB")
    assert (found.name, found.reference) == ("Credite Sberger Donal Inc.", "ypAeKRPlW")
    assert found.address == "131B Barton Hamlet, SW97 5CK, GB"
    assert registry.check("gb_vat", "GB999999973", "GB").status == "invalid"
    assert len(fake.tokens) == before + 1
    fake.expire_tokens()
    assert registry.check("gb_vat", "GB553557881", "GB").status == "valid"
    assert len(fake.tokens) == before + 3
    assert {each["requester"] for each in fake.asked} == {"146295999727"}
    refused = hmrc(fake, client_secret="wrong").check("gb_vat", "GB553557881", "GB")
    assert (refused.status, refused.code, refused.again, refused.raw) == (
        "unavailable",
        "INVALID_CREDENTIALS",
        False,
        b"",
    )


def test_a_kind_without_a_registry_stays_unconfirmed_and_is_not_asked_again(fake: Registries) -> None:
    for registry in (TaxRegistries({"eu_vat": Vies(fake.url)}), NoTaxRegistry()):
        found = registry.check("ch_vat", "CHE123456788", "CH")
        assert (found.status, found.code, found.again, found.raw) == ("unavailable", NO_REGISTRY, False, b"")
    assert fake.asked == []


def test_the_operator_connects_registries_by_settings_and_is_told_what_is_half_said(
    fake: Registries, world: World
) -> None:
    wanted = {
        "env": "test", "tax_ids": "registries", "vies_url": fake.url, "hmrc_url": fake.url, "hmrc_client_id": "app",
        "hmrc_client_secret": SecretStr("right"), "_env_file": None,
    }  # fmt: skip
    ports = wire(load(**wanted), world.db).ports
    assert ports.tax_ids.check("eu_vat", "FI100", "FI").status == "valid"
    assert ports.tax_ids.check("gb_vat", "GB553557881", "GB").status == "valid"
    without = wire(load(**(wanted | {"hmrc_client_id": "", "hmrc_client_secret": None})), world.db).ports
    assert without.tax_ids.check("gb_vat", "GB553557881", "GB").code == NO_REGISTRY
    for wrong, named in (
        ({"hmrc_client_secret": None}, "BLP_HMRC_CLIENT_ID"), ({"vies_requester": "6388047V"}, "IE6388047V"),
        ({"env": "prod"}, "BLP_VIES_URL"),
    ):  # fmt: skip
        with pytest.raises(Misconfigured) as refused:
            load(**(wanted | wrong))
        assert named in refused.value.text
