"""What staff offer: priced from the list, discounted within limits, numbered, sent, revised, kept as it was sent."""

import re
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from app.accounts.models import StaffRole
from app.core.errors import Invalid
from app.core.money import Money
from app.core.states import MoveRefused
from app.flows import quote_discounts, quoting
from app.flows.preview_request import LineRequest
from app.flows.quoting import Basis
from app.orders.errors import NeedsQuote
from app.quotes import service as quotes
from app.quotes.discounts import Discount, share
from app.quotes.errors import ApprovalRefused, DiscountNeedsApproval, QuoteNotReady
from app.quotes.models import PaymentTerms, QuoteState
from tests import shop
from tests.quotes.offering import draft_for, drafted, fresh, link_in, mails, offer_of, requested, sent, staff
from tests.world import World

STEEP = (LineRequest("professional", 100, Discount(points=2000)),)


@given(st.integers(1, 10_000), st.integers(0, 10**9))
def test_a_percentage_never_takes_more_than_the_line_nor_rounds_its_share_down(points: int, minor: int) -> None:
    full = Money(minor, "EUR")
    off = Discount(points=points).off(full)
    assert 0 <= off.minor <= minor
    assert abs(off.minor * 10_000 - minor * points) <= 5_000, "rounded once, to the nearest cent"
    assert minor == 0 or share(off, full) * minor >= off.minor * 10_000


@given(st.integers(1, 10**9), st.integers(0, 10**9))
def test_an_amount_is_capped_at_its_line(off: int, minor: int) -> None:
    assert Discount(minor=off).off(Money(minor, "EUR")).minor == min(off, minor)


def test_a_request_becomes_a_draft_with_a_number_and_the_list_price_beside_what_is_asked(world: World) -> None:
    quote = drafted(world)
    assert re.fullmatch(r"Q-\d{4}-00001-r1", quote.shown_number)
    assert quote.state is QuoteState.DRAFT
    with world.db.transaction() as tx:
        (line,) = quotes.lines(tx, quote.id)
    assert (line.unit_minor, line.list_minor, line.discount_minor, line.net_minor) == (11000, 1100000, 110000, 990000)
    offer = offer_of(world, quote)
    assert (offer.net_minor, offer.total_minor) == (990000, 990000), "reverse charge: no tax"
    assert [each["code"] for each in offer.reasons][:2] == ["quoted", "at_or_above_threshold"]


def test_numbers_follow_one_another_and_a_failed_draft_gives_its_own_back(world: World) -> None:
    by, asked = staff(world), requested(world)
    with pytest.raises(Invalid):
        quoting.save(world.ports, Basis(quote_id=asked.id), draft_for(world, contact_name=""), by=by)
    free = (LineRequest("professional", 100, Discount(points=10_000)),)
    with pytest.raises(Invalid, match="An offer of nothing"):
        quoting.save(world.ports, Basis(quote_id=asked.id), draft_for(world, lines=free), by=by)
    first, second = drafted(world), drafted(world)
    assert [each.shown_number[-8:] for each in (first, second)] == ["00001-r1", "00002-r1"]


def test_an_offer_can_be_written_for_an_account_that_did_not_ask(world: World) -> None:
    order = shop.buy(world)
    quote = quoting.save(world.ports, Basis(account_id=order.account_id), draft_for(world), by=staff(world))
    buyer = offer_of(world, quote).inputs["buyer"]
    assert (buyer["company"], buyer["city"], buyer["name"]) == ("Beispiel GmbH", "Berlin", "Ada Beispiel")
    assert offer_of(world, quote).inputs["tax_ids"][0]["status"] == "valid"


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        ({"valid_until": None}, "valid_until"),
        ({"payment": PaymentTerms.INVOICE}, "net_days"),
        ({"payment": PaymentTerms.INVOICE, "net_days": 181}, "net_days"),
        ({"net_days": 30}, "net_days"),
        ({"contact_email": "nobody"}, "contact_email"),
        ({"lines": ()}, "lines"),
    ],
)
def test_a_draft_that_cannot_be_is_refused_at_its_input(world: World, wrong: dict[str, object], param: str) -> None:
    asked, by = requested(world), staff(world)
    if "valid_until" in wrong:
        wrong = {"valid_until": world.ports.clock.now().date() - timedelta(days=2)}
    with pytest.raises(Invalid) as refused:
        quoting.save(world.ports, Basis(quote_id=asked.id), draft_for(world, **wrong), by=by)
    assert refused.value.param == param
    assert fresh(world, asked).state is QuoteState.REQUESTED


def test_more_seats_than_anybody_orders_alone_can_be_quoted(world: World) -> None:
    quote = drafted(world, lines=(LineRequest("professional", 6000),))
    assert offer_of(world, quote).net_minor == 66_000_000


def test_the_mail_leads_to_the_quote_in_the_customers_language(world: World) -> None:
    by, asked = staff(world), requested(world, locale="de")
    quote = quoting.save(world.ports, Basis(quote_id=asked.id), draft_for(world, message="Wie besprochen."), by=by)
    quoting.send(world.ports, quote.id, by=by)
    mail = mails(world, "ada@example.de")[0]
    assert mail["subject"] == f"Ihr Angebot {quote.shown_number}"
    assert "9.900,00" in mail["text"]
    assert "Wie besprochen." in mail["text"]
    assert world.browser().get(link_in(mail["text"], world.url)).status_code == 200


# --- Discounts and who approves them ------------------------------------------------------------------------------


def test_a_discount_beyond_the_authors_role_waits_for_somebody_elses_approval(world: World) -> None:
    sales, boss = staff(world), staff(world, StaffRole.ADMIN)
    quote = drafted(world, by=sales, lines=STEEP)
    with pytest.raises(DiscountNeedsApproval, match=r"20 %.*15 %"):
        quoting.send(world.ports, quote.id, by=sales)
    with pytest.raises(DiscountNeedsApproval):
        quoting.send(world.ports, quote.id, by=boss)
    with pytest.raises(ApprovalRefused, match="You wrote this draft"):
        quote_discounts.approve(world.ports, quote.id, by=sales, why="I like it.")
    with pytest.raises(ApprovalRefused, match="Your role may approve 15 %"):
        quote_discounts.approve(world.ports, quote.id, by=staff(world), why="Me too.")
    quote_discounts.approve(world.ports, quote.id, by=boss, why="A reference customer.")
    assert quoting.send(world.ports, quote.id, by=sales).state is QuoteState.SENT
    with world.db.transaction() as tx:
        kept = quotes.approval_of(tx, quote)
    assert kept is not None
    assert (kept.prepared_by, kept.approved_by, kept.why, kept.discount_points) == (
        sales, boss, "A reference customer.", 2000,
    )  # fmt: skip


def test_an_approval_is_for_exactly_the_figures_that_were_seen(world: World) -> None:
    sales, boss = staff(world), staff(world, StaffRole.ADMIN)
    quote = drafted(world, by=sales, lines=STEEP)
    quote_discounts.approve(world.ports, quote.id, by=boss, why="Fine.")
    steeper = (LineRequest("professional", 100, Discount(points=2001)),)
    quoting.save(world.ports, Basis(quote_id=quote.id), draft_for(world, lines=steeper), by=sales)
    with pytest.raises(DiscountNeedsApproval):
        quoting.send(world.ports, quote.id, by=sales)


def test_exactly_the_limit_needs_nobody_and_an_amount_just_above_it_does(world: World) -> None:
    by = staff(world)
    exact = drafted(world, by=by, lines=(LineRequest("professional", 100, Discount(minor=165_000)),))
    assert quoting.send(world.ports, exact.id, by=by).state is QuoteState.SENT
    above = drafted(world, by=by, lines=(LineRequest("professional", 100, Discount(minor=165_001)),))
    with pytest.raises(DiscountNeedsApproval):
        quoting.send(world.ports, above.id, by=by)


def test_the_database_lets_nobody_approve_their_own(world: World) -> None:
    quote = drafted(world, lines=STEEP)
    with pytest.raises(IntegrityError, match="by_somebody_else"), world.db.transaction() as tx:
        quotes.approve(tx, quote, points=2000, by=quote.prepared_by or "", why="x", now=world.ports.clock.now())


# --- Sending, revising, withdrawing -------------------------------------------------------------------------------


def test_what_was_sent_can_no_longer_be_changed_not_even_in_the_database(world: World) -> None:
    quote, by = sent(world), staff(world)
    with pytest.raises(MoveRefused):
        quoting.save(world.ports, Basis(quote_id=quote.id), draft_for(world), by=by)
    for statement in (
        "UPDATE quote SET valid_until = valid_until + 1 WHERE id = :id",
        "DELETE FROM quote WHERE id = :id",
        "UPDATE quote_line SET net_minor = 1, discount_minor = list_minor - 1 WHERE quote_id = :id",
        "DELETE FROM quote_line WHERE quote_id = :id",
    ):
        with pytest.raises(IntegrityError), world.db.transaction() as tx:
            tx.execute(text(statement), {"id": quote.id})


def test_prices_that_changed_since_the_draft_are_looked_at_again_before_it_is_sent(world: World) -> None:
    by = staff(world)
    quote = drafted(world, by=by)
    with world.db.transaction() as tx:
        tx.execute(text("UPDATE price SET unit_minor = 12000 WHERE currency = 'EUR' AND unit_minor = 11000"))
    with pytest.raises(QuoteNotReady, match="save it again"):
        quoting.send(world.ports, quote.id, by=by)


def test_an_offer_whose_tax_is_not_known_is_not_sent(world: World) -> None:
    by = staff(world)
    asked = quoting.request(
        world.ports,
        shop.offer(world, currency="USD", vat=None, seats=100, country="US", region="NY", postcode="14201",
                   city="Buffalo", email="ny@example.com").id,
    )  # fmt: skip
    quote = quoting.save(world.ports, Basis(quote_id=asked.id), draft_for(world, currency="USD"), by=by)
    with pytest.raises(QuoteNotReady, match="tax is not known"):
        quoting.send(world.ports, quote.id, by=by)


def test_a_revision_takes_the_place_of_the_one_before(world: World) -> None:
    first, by = sent(world), staff(world)
    second = quoting.revise(world.ports, first.id, by=by, reason="More seats.")
    assert fresh(world, first).state is QuoteState.SUPERSEDED
    assert (second.number, second.revision, second.revises_id) == (first.number, 2, first.id)
    assert offer_of(world, second).net_minor == offer_of(world, first).net_minor
    with pytest.raises(MoveRefused):
        quoting.revise(world.ports, first.id, by=by, reason="Again.")
    quoting.send(world.ports, second.id, by=by)
    with world.db.transaction() as tx:
        newest = quotes.newer(tx, fresh(world, first))
    assert newest is not None
    assert newest.id == second.id


def test_an_expired_quote_is_renewed_by_revising_it(world: World) -> None:
    quote = sent(world)
    assert world.wired.advance_clock is not None
    world.wired.advance_clock(world.ports.clock.now() + timedelta(days=40))
    assert fresh(world, quote).state is QuoteState.EXPIRED
    again = quoting.revise(world.ports, quote.id, by=staff(world), reason="They ask for a month more.")
    assert again.valid_until is not None
    assert quote.valid_until is not None
    assert again.valid_until > quote.valid_until


def test_an_offer_price_cannot_be_ordered_past_its_quote(world: World) -> None:
    quote = sent(world, lines=(LineRequest("professional", 20),))
    with pytest.raises(NeedsQuote, match="page of the quote"):
        shop.order(world, offer_of(world, quote))


def test_a_withdrawn_quote_stays_withdrawn(world: World) -> None:
    quote, by = sent(world), staff(world)
    quoting.close(world.ports, quote.id, state=QuoteState.WITHDRAWN, reason="A mistake.", by=by)
    with pytest.raises(MoveRefused, match="is closed"):
        quoting.close(world.ports, quote.id, state=QuoteState.WITHDRAWN, reason="Again.", by=by)
    assert "It was withdrawn" in world.browser().get(f"/q/{world.ports.secrets.sign_token('quote', quote.id)}").text
