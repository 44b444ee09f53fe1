"""The renewal link of a running server: a hint, and never a way in."""

import hmac
import json
from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from app.core.clock import transport_now
from app.licenses import service as licenses
from app.licenses.models import License
from app.orders.models import Order
from tests import shop
from tests.portal import buyers
from tests.portal.forms import Page
from tests.world import World

WEEK = 7 * 86400


def _part(value: Any) -> str:
    return urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def token(license_id: str, email: str, *, users: Any = 31, lives: int = WEEK, header: dict[str, Any] | None = None,
          unsigned: bool = False) -> str:  # fmt: skip
    """As a server makes it (reference/licensing.md §5, 15)."""
    claims = {"license_id": license_id, "active_users": users, "exp": int(transport_now().timestamp()) + lives}
    signed = f"{_part(header or {'alg': 'HS256', 'typ': 'JWT'})}.{_part(claims)}"
    tag = b"" if unsigned else hmac.new(email.encode(), signed.encode(), sha256).digest()
    return f"{signed}.{urlsafe_b64encode(tag).decode().rstrip('=')}"


@pytest.fixture
def held(world: World) -> License:
    order = shop.buy(world)
    with world.db.transaction() as tx:
        found = licenses.of_order(tx, order.id)
        assert found is not None
        return found


@pytest.mark.vector(15)
def test_the_link_of_a_server_leads_the_owner_to_the_renewal_with_enough_seats(world: World, held: License) -> None:
    link = f"/subscribe/renew?token={token(held.file_id, 'ada@example.de')}"
    shown = world.browser().get(link)
    assert shown.status_code == 200
    assert "Renew Professional" in shown.text
    assert "31 active users" in shown.text
    for secret in (held.account_id, licenses.subscription_of(held), held.id, "Beispiel", "ada@", "25 ", "EUR"):
        assert secret not in shown.text, "the holder of the token learns the product's name"
    way_in = next(each for each in Page(shown.text).links if each.startswith("/sign-in"))
    assert parse_qs(urlsplit(way_in).query)["next"] == [link]
    visitor = buyers.visitor(world)
    visitor.open(way_in)
    assert visitor.page.form("/sign-in").value("next") == link

    with world.db.transaction() as tx:
        order = tx.get_one(Order, held.order_id)
    owner = buyers.signed_in(world, order)
    led = owner.browser.get(link)
    assert led.status_code == 303
    assert led.headers["location"] == f"/account/subscriptions/{held.subscription_id}/renew?seats=31"
    fewer = owner.browser.get(f"/subscribe/renew?token={token(held.file_id, 'ada@example.de', users=3)}")
    assert fewer.headers["location"].endswith("seats=25"), "a link never lowers"
    stranger = buyers.signed_in(world, shop.buy(world, email="eve@other.example", company="Eve AG"))
    assert licenses.subscription_of(held) not in stranger.browser.get(link).text


@pytest.mark.vector(15)
def test_expired_and_forged_tokens_lead_to_the_plain_entry(world: World, held: License) -> None:
    good = token(held.file_id, "ada@example.de")
    head, body, tag = good.split(".")
    rs256 = token(held.file_id, "ada@example.de", header={"alg": "RS256", "typ": "JWT"})
    none = token(held.file_id, "ada@example.de", header={"alg": "none"}, unsigned=True)
    bad = [
        token(held.file_id, "ada@example.de", lives=-1), token(held.file_id, "eve@example.de"),
        token(held.file_id, ""), none, rs256, f"{head}.{body}.", f"{head}.{body}", "", "a.b.c",
        token("0" * 26, "ada@example.de"), token(held.file_id, "ada@example.de", users="31"),
        token(held.file_id, "ada@example.de", users=-1), f"{head}.{_part([])}.{tag}",
        token(held.file_id, "ada@example.de", header={"alg": "HS256", "crit": ["exp"]}), "x" * 5000,
        f"{_part({'alg': 'none'})}.{body}.{tag}", "é.é.é",
    ]  # fmt: skip
    pages = {world.browser().get("/subscribe/renew", params={"token": each}).text for each in bad}
    plain = {page.split("<main")[1].split("</main>")[0] for page in pages}
    assert len(plain) == 1, "a license that is there looks like one that is not"
    assert "has expired or is not complete" in plain.pop()
    assert "Renew Professional" in world.browser().get("/subscribe/renew", params={"token": good}).text
