"""Mailed links and codes, on real PostgreSQL (S1)."""

from datetime import timedelta

from app.accounts import sign_in
from app.accounts.models import Audience, SignInLink
from app.accounts.sign_in import Standing
from app.core.clock import transport_now
from app.core.db import Tx
from app.core.security import RateWindow, Secrets
from app.flows import sign_in as flow
from tests.world import World

NOW = transport_now()
BROWSER, OTHER = "b" * 32, "c" * 32


def begin(tx: Tx, secrets: Secrets, email: str = "ada@engines.example") -> SignInLink:
    link = sign_in.begin(tx, secrets, audience=Audience.CUSTOMER, email=email, browser=BROWSER, now=NOW)
    tx.flush()
    return link


def test_a_link_and_its_code_cannot_be_read_from_the_table(world: World) -> None:
    """S1: at least 128 bits, stored hashed."""
    secrets = world.ports.secrets
    with world.db.transaction() as tx:
        link = begin(tx, secrets)
        token, code = sign_in.token_of(secrets, link.id), sign_in.code_of(secrets, link.id)
        stored = str(link.model_dump())
        assert token not in stored
        assert code not in stored
        assert len(token.rpartition(".")[2]) == 24, "18 bytes in base64 that only the installation can make"
        assert token != sign_in.token_of(Secrets("another installation's secret, long enough"), link.id)


def test_a_link_is_good_for_a_quarter_of_an_hour_in_its_own_browser_on_its_own_side(world: World) -> None:
    """S1: 15 minutes, bound to the browser."""
    secrets = world.ports.secrets
    with world.db.transaction() as tx:
        token = sign_in.token_of(secrets, begin(tx, secrets).id)

        def standing(browser: str = BROWSER, after: timedelta = timedelta(), who: Audience = Audience.CUSTOMER) -> str:
            return sign_in.look(tx, secrets, token, audience=who, browser=browser, now=NOW + after)[0]

        assert standing() == Standing.READY
        assert standing(after=timedelta(minutes=15) - timedelta(seconds=1)) == Standing.READY
        assert standing(after=timedelta(minutes=15)) == Standing.EXPIRED
        assert standing(browser=OTHER) == Standing.ELSEWHERE
        assert standing(who=Audience.STAFF) == Standing.EXPIRED
        made_up = f"{token.partition('.')[0]}.{'A' * 24}"
        seen, _ = sign_in.look(tx, secrets, made_up, audience=Audience.CUSTOMER, browser=BROWSER, now=NOW)
        assert seen == Standing.EXPIRED


def test_signing_in_uses_up_every_open_link_of_the_address_and_no_other(world: World) -> None:
    secrets = world.ports.secrets
    with world.db.transaction() as tx:
        first, second, foreign = begin(tx, secrets), begin(tx, secrets), begin(tx, secrets, "eve@engines.example")
        sign_in.use_up(tx, second, NOW)
        tx.expire_all()
        assert [each.used_at is not None for each in (first, second, foreign)] == [True, True, False]


def test_codes_are_six_digits_and_belong_to_one_link(world: World) -> None:
    codes = {sign_in.code_of(world.ports.secrets, f"sil_{n}") for n in range(300)}
    assert all(len(code) == 6 and code.isdigit() for code in codes)
    assert len(codes) > 290


def test_typed_addresses_old_sessions_and_past_counts_are_forgotten(world: World) -> None:
    with world.db.transaction() as tx:
        old, new = begin(tx, world.ports.secrets), begin(tx, world.ports.secrets)
        old.created_at -= timedelta(days=2)
        window = int(NOW.timestamp()) // 300
        tx.add(RateWindow(key="sign-in/300/x", window=window - 2, count=1))
        tx.add(RateWindow(key="sign-in/300/x", window=window + 2, count=1))
        tx.add(RateWindow(key="other/300/x", window=window - 2, count=1))
    flow.forget.run(world.ports)
    with world.db.transaction() as tx:
        assert [link.id for link in tx.query(SignInLink)] == [new.id]
        assert {(row.key, row.window - window) for row in tx.query(RateWindow)} == {("sign-in/300/x", 2)}
