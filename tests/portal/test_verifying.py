"""The public check of licenses and certificates; terms, papers, static files."""

import json
from dataclasses import replace
from urllib.parse import urljoin

import pytest
from sqlalchemy import select

from app.agreements.models import Acceptance, TermsVersion
from app.core import keys, policy
from app.core.canonical import sha256_hex
from app.core.clock import transport_now
from app.licenses import activating, rendering
from app.licenses import service as licenses
from app.licenses.activating import Server
from app.licenses.formats.enforcement import ENFORCEMENT
from app.licenses.formats.recognize import OF_A_LICENSE, Format
from app.licenses.formats.stated import Stated
from app.licenses.formats.token import encode
from app.licenses.formats.token_claims import TokenClaims
from app.licenses.models import License
from app.licenses.rendering import Wanted
from tests import shop
from tests.licenses.activating import with_rules
from tests.portal.buyers import page_of, visitor
from tests.portal.forms import Page, Visitor
from tests.world import World


def check(buyer: Visitor, *, text: str = "", file: bytes | None = None, **typed: str) -> Page:
    form = buyer.open("/verify").form("/verify")
    typed_too = {name: [value] for name, value in typed.items()}
    return buyer.post(form.action, {**form.values(), "text": [text], **typed_too}, file=file)


def test_a_license_of_ours_is_genuine_whether_uploaded_or_pasted(world: World) -> None:
    order = shop.buy(world)
    ada = visitor(world)
    text = ada.browser.get(f"{page_of(world, order)}/license").text
    for page in (check(ada, text=f"  {text}\n"), check(ada, file=text.encode())):
        assert "This license is genuine" in page.text
        assert "Beispiel GmbH" in page.text
        assert "Seats 25" in page.text


def test_a_changed_license_is_refused_with_the_reason(world: World) -> None:
    order = shop.buy(world)
    ada = visitor(world)
    text = ada.browser.get(f"{page_of(world, order)}/license").text
    changed = text[:40] + ("A" if text[40] != "A" else "B") + text[41:]
    page = check(ada, text=changed)
    assert "This license would not be accepted" in page.text
    assert ada.status == 200


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "Choose a file or paste its text"),
        ("x" * 20_001, "More than 20,000 characters"),
        ("hello", "would not be accepted"),
        ("{", "neither a license nor a certificate"),
        ('{"signed_text": "{}", "kid": "x", "signature": "AAAA"}', "not signed by us"),
        ("acn_01kafzzzzzzzzzzzzzzzzzzzzz", "neither a license nor a certificate"),
        ("%PDF-1.7 …", "Give the number printed"),
    ],
)
def test_what_is_neither_is_told_so(world: World, text: str, sentence: str) -> None:
    assert sentence in check(visitor(world), text=text).text


def test_a_certificate_verifies_by_its_json_and_by_its_number(world: World) -> None:
    order = shop.buy(world)
    ada = visitor(world)
    given = ada.browser.get(f"{page_of(world, order)}/certificate.json")
    assert given.headers["content-disposition"].startswith('attachment; filename="acn_')
    with world.db.transaction() as tx:
        number = tx.execute(select(Acceptance)).scalar_one().id
    for page in (check(ada, text=given.text), check(ada, text=number)):
        assert "This certificate is genuine" in page.text
        assert "Accepted by Ada Beispiel" in page.text
    altered = {**given.json(), "signed_text": given.json()["signed_text"].replace("Ada", "Eva")}
    assert "This certificate was altered" in check(ada, text=json.dumps(altered)).text


def test_the_papers_of_an_order_are_drawn(world: World) -> None:
    order = shop.buy(world)
    ada = visitor(world)
    page = ada.open(page_of(world, order))
    for name in ("invoice.pdf", "certificate.pdf"):
        href = next(link for link in page.links if link.endswith(name))
        answer = ada.browser.get(href)
        assert answer.headers["content-type"] == "application/pdf"
        assert answer.content.startswith(b"%PDF-")


def test_papers_of_an_unpaid_order_do_not_exist_yet(world: World) -> None:
    started = shop.order(world, shop.offer(world))
    ada = visitor(world)
    for name, status in (("license", 404), ("invoice.pdf", 404), ("certificate.pdf", 200)):
        ada.open(f"/orders/{started.token}/{name}")
        assert ada.status == status, name


def test_terms_are_shown_word_for_word_with_their_hash(world: World) -> None:
    with world.db.transaction() as tx:
        terms = tx.execute(select(TermsVersion)).scalar_one()
    ada = visitor(world)
    page = ada.open("/terms")
    assert page.url.endswith(f"/terms/{terms.key}/{terms.version}")
    words = " ".join(line.lstrip("# ") for line in terms.text.splitlines() if not line.startswith("# "))
    shown = page.text.replace(" ", "")
    assert all(part.replace(" ", "") in shown for part in words.split(". "))
    raw = ada.browser.get(urljoin(page.url, next(link for link in page.links if link.endswith("/text"))))
    assert sha256_hex(raw.content) == terms.sha256
    assert terms.sha256 in page.html
    ada.open("/terms/terms-of-sale/1999-01")
    assert ada.status == 404


def test_static_files_are_kept_for_ever_under_their_hash_only(world: World) -> None:
    browser = world.browser()
    html = browser.get("/").text
    style = html.partition('rel="stylesheet" href="')[2].partition('"')[0]
    assert "immutable" in browser.get(style).headers["cache-control"]
    assert "immutable" not in browser.get(style.partition("?")[0]).headers["cache-control"]
    assert "immutable" not in browser.get(f"{style.partition('?')[0]}?v=wrong").headers["cache-control"]
    assert browser.get("/static/../main.py").status_code == 404
    assert browser.get("/static/missing.css").status_code == 404


def test_programs_are_told_what_to_leave_alone_and_whom_to_warn(world: World) -> None:
    browser = world.browser()
    assert "Disallow: /" in browser.get("/robots.txt").text
    assert "Contact: mailto:billing@acme.example" in browser.get("/.well-known/security.txt").text


@pytest.mark.parametrize("path", ["/", "/verify", "/checkout?sku=professional", "/terms/terms-of-sale/2026-11"])
def test_head_answers_like_get_without_a_body(world: World, path: str) -> None:
    browser = world.browser()
    answer = browser.head(path)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize(("path", "status"), [("/nowhere", 404), ("/checkout?sku=none", 422), ("/q/x.y", 404)])
def test_what_is_not_there_is_a_page_for_people_and_a_problem_for_programs(
    world: World, path: str, status: int
) -> None:
    browser = world.browser()
    page = browser.get(path, headers={"Accept": "text/html"})
    assert page.status_code == status
    assert "<h1>" in page.text
    assert page.headers["x-request-id"] in page.text
    program = browser.get(path, headers={"Accept": "application/json"})
    assert program.headers["content-type"] == "application/problem+json"


def test_the_doctor_says_what_stops_when_and_how_it_stands_to_whoever_holds_the_file(world: World) -> None:
    order = shop.buy(world)
    bob = visitor(world)
    with_rules(world, limit=2)
    with world.db.transaction() as tx:
        license_ = tx.execute(select(License)).scalar_one()
        now = world.ports.clock.now()
        texts = {
            written: rendering.render(tx, world.ports.secrets, license_, Wanted(written), by="test", now=now)
            for written in OF_A_LICENSE
        }
        activating.activate(tx, license_, Server("fp-1"), by=activating.PRODUCT, now=now, real_now=transport_now())
    assert order.account_id == license_.account_id
    server_file, token = texts[Format.MATTERMOST], texts[Format.TOKEN]
    broken = "\r\n".join(server_file[at : at + 64] for at in range(0, len(server_file), 64))
    for text, stop in ((broken, "A server that runs it removes it"), (token, "Administrators are warned")):
        page = check(bob, text=text).text
        assert "On record Active" in page
        assert "1 of 2 in use" in page
        assert stop in page
        assert "fp-1" not in page
    assert "It can only be read" in page
    with world.db.transaction() as tx:
        licenses.revoke(tx, license_.id, reason="Not for others to read", by="test", now=now)
    revoked = check(bob, text=token).text
    assert "This license would not be accepted" in revoked
    assert "Ask the vendor why" in revoked
    assert "Not for others to read" not in revoked
    listed = bob.browser.get("/v1/licenses/revocations").content
    form = bob.open("/verify").form("/verify")
    answer = bob.browser.post(
        form.action, data={**form.values(), "text": [server_file]}, files={"revocations": ("list", listed)}
    )
    assert "it is on list 1 of" in answer.text
    assert "less than a day old" in answer.text
    # Signed with our key, but never logged: made with a stolen one.
    with world.db.transaction() as tx:
        kid, key = keys.token_key(tx, world.ports.secrets, now)
        ladder = policy.get(tx, ENFORCEMENT, now)
        claims = replace(TokenClaims.of(Stated.of(license_), ladder, now), seats=9999)
    assert "no record of issuing" in check(bob, text=encode(claims.to_payload(), kid, key)).text
