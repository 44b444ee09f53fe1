"""The servers of a license in the portal: listed, released, moved, and those without a network (R-LIC-5, R-LIC-8)."""

import json

from app.licenses.models import License
from app.licenses.offline import verify_activation
from tests import shop
from tests.licenses.activating import bind, of_order, with_rules
from tests.licenses.test_offline import published, request
from tests.portal.buyers import signed_in
from tests.portal.forms import Page, Visitor
from tests.portal.test_verifying import check
from tests.world import World


def test_people_see_their_servers_and_release_and_move_them(world: World) -> None:
    order = shop.buy(world)
    license_ = of_order(world, order)
    with_rules(world, limit=2, transfers=2)
    bind(world, license_, "chat-01", "chat-02")
    ada = signed_in(world, order)
    home = f"/account/licenses/{license_.id}"
    page = ada.open(home)
    assert "2 of 2 in use" in page.text
    assert "print-chat-01" in page.text
    page = ada.send("/release", "Release chat-01")
    assert "Its place is free" in page.text
    assert "1 of 2 in use" in page.text
    ada.follow(next(link for link in page.links if "/servers/act_" in link))
    assert "chat-02" in ada.page.text
    got = ada.browser.get(next(link for link in ada.page.links if link.endswith("/machine-file")))
    assert got.headers["content-disposition"].endswith('.machine.lic"')
    page = check_here(ada, got.text, license_)
    assert "This license is genuine" in page.text
    assert "Server chat-02 (print-chat-02)" in page.text
    assert "Sealed" in check(ada, text=got.text, license_key=license_.file_id).text
    ada.open(home)
    ada.follow(next(link for link in ada.page.links if "/servers/act_" in link))
    page = ada.send("/move", "Move it", fingerprint="two words")
    assert (ada.status, "without a space" in page.text) == (422, True)
    page = ada.send("/move", "Move it", fingerprint="print-chat-03", name="chat-03")
    assert "The place has moved" in page.text
    # The file of the server that gave up goes on without a network; whoever asks is told.
    assert "This server is not activated" in check_here(ada, got.text, license_).text
    ada.open(home)
    ada.follow(next(link for link in ada.page.links if "/servers/act_" in link))
    ada.send("/release", "Release chat-03")
    assert (ada.status, "2 deactivations in 365 days are included" in ada.page.text) == (409, True)
    assert "chat-03" in ada.open(home).text


def check_here(ada: Visitor, text: str, license_: License) -> Page:
    """A machine file as the server chat-02 would bring it."""
    return check(ada, text=text, license_key=license_.file_id, fingerprint="print-chat-02")


def test_a_request_is_brought_as_text_and_its_answer_taken_along(world: World) -> None:
    order = shop.buy(world)
    license_ = of_order(world, order)
    with_rules(world, limit=1)
    ada = signed_in(world, order)
    home = f"/account/licenses/{license_.id}"
    ada.open(home)
    ada.follow(next(link for link in ada.page.links if link.endswith("/offline")))
    page = ada.send("/offline", "Answer the request", text="no request")
    assert (ada.status, "not the JSON text" in page.text, "no request" in page.html) == (422, True, True)
    page = ada.send(
        "/offline", "Answer the request", text=json.dumps(request("vault", license_.file_id, name="vault-01"))
    )
    assert "Carry the file below back" in page.text
    href = next(link for link in page.links if link.endswith("/file"))
    got = ada.browser.get(href)
    assert got.headers["content-disposition"].startswith('attachment; filename="activation-')
    said = verify_activation(
        got.text, published(world), fingerprint="vault", license_file_id=license_.file_id,
        now=world.ports.clock.now(), nonce="nonce-001",
    )  # fmt: skip
    assert "Release" not in [label for form in ada.page.forms for _, _, label in form.buttons], "it would run on"
    gives_up = request("vault", license_.file_id, "nonce-002", action="deactivate", activation=said["activation"],
                       release=said["release"])  # fmt: skip
    eve = signed_in(world, shop.buy(world, email="eve@other.example", company="Other", vat=None))
    eve.open(home)
    assert eve.status == 404
    ada.open(f"{home}/offline")
    page = ada.send("/offline", "Answer the request", text=json.dumps(gives_up))
    assert "Deactivated" in page.text
    assert json.loads(ada.browser.get(href).text)["type"] == "blp/deactivation/v1"
    assert "0 of 1 in use" in ada.open(home).text
