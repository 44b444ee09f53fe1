"""A business says that no listed party owns half of it, where the operator wants to know; kept, and asked again."""

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError
from sqlmodel import col

from app.accounts.models import Account
from app.agreements import service as agreements
from app.agreements.service import Evidence
from app.core import policy
from app.core.canonical import sha256_hex
from app.flows import attesting, bulk_ordering, held_orders, purchase, tick
from app.flows.party_screening import StillInReview
from app.flows.purchase import Placing, Started
from app.orders.models import Order, OrderKind, OrderState, Preview
from app.privacy import export
from app.privacy.export import Reader
from app.screening import attestations
from app.screening.attestations import OwnershipNotAttested
from app.screening.models import OwnershipAttestation
from tests import shop
from tests.console.helping import do
from tests.flows.ending import catch_up, charged, subscription_of
from tests.flows.test_screening_and_billing import due, ordered, renewal_of
from tests.quotes.offering import accept, sent
from tests.signing_in import staff_browser
from tests.world import World

EVIDENCE = Evidence("203.0.113.9", "a browser")


def asking(world: World, **policies: object) -> None:
    now = world.ports.clock.now()
    with world.db.transaction() as tx:
        for name, value in ({"ownership_attestation": True} | policies).items():
            policy.change(tx, name, value, valid_from=now, by="test", why="Counsel wants it.", now=now)


def place(world: World, preview: Preview, *, ownership: bool) -> Started:
    with world.db.transaction() as tx:
        terms = agreements.terms_in_force(tx, world.ports.clock.now().date())
    return purchase.start(world.ports, Placing(preview.id, terms.id, EVIDENCE, ownership=ownership))


def said(world: World) -> list[OwnershipAttestation]:
    with world.db.transaction() as tx:
        return list(tx.execute(select(OwnershipAttestation).order_by(col(OwnershipAttestation.id))).scalars())


def bought(world: World) -> Order:
    """A monthly subscription of a business that ticked it."""
    started = place(world, shop.offer(world, interval="month"), ownership=True)
    assert started.payment_url
    shop.pay(world, started.payment_url)
    world.work()
    with world.db.transaction() as tx:
        return tx.get_one(Order, started.order_id)


def test_nobody_is_asked_before_the_operator_wants_it(world: World) -> None:
    started = place(world, shop.offer(world), ownership=True)
    assert (started.state, said(world)) == (OrderState.AWAITING_PAYMENT, [])


def test_what_a_buyer_says_is_kept_with_its_text_and_handed_out_with_their_data(world: World) -> None:
    asking(world)
    preview = shop.offer(world)
    with pytest.raises(OwnershipNotAttested) as refused:
        place(world, preview, ownership=False)
    assert refused.value.extra["statement"] == attestations.TEXT
    started = place(world, preview, ownership=True)
    assert place(world, preview, ownership=True).order_id == started.order_id
    (kept,) = said(world)
    assert (kept.order_id, kept.person_name, kept.company, kept.ip, kept.recorded_by) == (
        started.order_id, "Ada Beispiel", "Beispiel GmbH", "203.0.113.9", "buyer",
    )  # fmt: skip
    assert (kept.text, kept.text_sha256) == (attestations.TEXT, sha256_hex(attestations.TEXT.encode()))
    with world.db.transaction() as tx:
        data = export.export(tx, Reader(kept.account_id, "ada@example.de"), world.ports.clock.now())
        assert [each["id"] for each in data["tables"]["ownership_attestation"]] == [kept.id]
    with pytest.raises(DBAPIError, match="ownership_attestation"), world.db.transaction() as tx:
        tx.execute(text("UPDATE ownership_attestation SET person_name = 'Somebody'"))


def test_whoever_accepts_a_quote_says_it_too(world: World) -> None:
    quote = sent(world)
    asking(world)
    with pytest.raises(OwnershipNotAttested):
        accept(world, quote)
    started = accept(world, quote, ownership=True)
    (kept,) = said(world)
    assert (kept.order_id, kept.person_name) == (started.order_id, "Eva Chefin")


def test_the_checkout_and_the_page_of_a_quote_show_the_statement_where_it_is_asked(world: World) -> None:
    quote = sent(world)
    token = world.ports.secrets.sign_token("quote", quote.id)
    browser = world.browser()
    pages = ["/checkout?sku=professional&seats=25&currency=EUR", f"/q/{token}"]
    shown = [browser.get(each).text for each in pages]
    asking(world)
    for before, page in zip(shown, pages, strict=True):
        assert 'name="ownership"' not in before
        after = browser.get(page).text
        assert 'name="ownership"' in after
        assert attestations.TEXT in after


def test_a_renewal_rests_on_what_was_said_and_waits_for_a_person_once_that_is_too_old(world: World) -> None:
    asking(world, ownership_attestation_days=45)
    order = bought(world)
    due(world, after=order)
    ordered(world)
    assert renewal_of(world, order).state is OrderState.AWAITING_PAYMENT, "among many, as what was said holds"
    catch_up(world)
    assert charged(world) == 2
    due(world, after=order)
    tick.tick(world.ports)
    bulk_ordering.order_due.run(world.ports)
    assert renewal_of(world, order).state is OrderState.COMPLETED, "left to the single path"
    catch_up(world)
    held = renewal_of(world, order)
    assert (held.kind, held.state, charged(world)) == (OrderKind.RENEWAL, OrderState.HELD, 2)
    assert subscription_of(world, order).parked_by_screening
    with pytest.raises(StillInReview, match="Ask them in writing"):
        held_orders.recheck(world.ports, held.id, by="stf_1", note="Go on.")
    browser, person = staff_browser(world)
    assert "Nobody has said of late" in browser.get(f"/console/orders/{held.id}").text
    page = f"/console/accounts/{order.account_id}"
    assert "too long ago" in browser.get(page).text
    typed = {"full_name": "Ada Beispiel", "email": "ada@example.de"}
    assert do(browser, page, f"{page}/ownership", note="", **typed).status_code == 422
    assert (
        do(browser, page, f"{page}/ownership", note="Letter in the file.", full_name="", email="x").status_code == 422
    )
    done = do(browser, page, f"{page}/ownership", note="Letter of 20 November, file 12.", **typed)
    assert done.headers["location"] == f"{page}?done=ownership-recorded"
    world.work()
    catch_up(world)
    assert (renewal_of(world, order).state, charged(world)) == (OrderState.COMPLETED, 3)
    assert subscription_of(world, order).parked_at is None
    shown = browser.get(page).text.replace("<wbr>", "")
    assert f"recorded by {person.email}: Letter of 20 November, file 12." in shown


def test_only_businesses_are_asked(world: World) -> None:
    order = shop.buy(world)
    asking(world)
    now = world.ports.clock.now()
    with world.db.transaction() as tx:
        assert attesting.missing_among(tx, [order.account_id], now) == {order.account_id}
        assert attesting.missing(tx, tx.get_one(Account, order.account_id), now)
    with world.db.transaction() as tx:
        tx.execute(text("UPDATE account SET type = 'consumer'"))
    with world.db.transaction() as tx:
        assert attesting.missing_among(tx, [order.account_id], now) == set()
        assert not attesting.missing(tx, tx.get_one(Account, order.account_id), now)
