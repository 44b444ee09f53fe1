"""A quote becomes an order: once, in its last revision, while it holds, at exactly its price."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from threading import Barrier

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError
from sqlmodel import col

from app.agreements import service as agreements
from app.agreements.models import MOST_BYTES, Acceptance, Paper
from app.agreements.papers import PaperRefused, Upload
from app.agreements.service import TermsNotAccepted
from app.core.errors import DomainError, Invalid
from app.flows import purchase, quote_acceptance, quoting
from app.flows.preview_request import LineRequest
from app.invoices import service as invoices
from app.orders import service as orders
from app.orders.models import Order, OrderState
from app.payments.models import PaymentAttempt
from app.quotes.discounts import Discount
from app.quotes.errors import QuoteClosed, SignatureNeeded
from app.quotes.models import QuoteState
from app.reports import verify_books
from tests import shop
from tests.quotes.offering import (
    PURCHASE_ORDER,
    SCAN,
    accept,
    fresh,
    limits,
    mails,
    offer_of,
    sent,
    signing,
    staff,
)
from tests.world import World


def count(world: World, table: type) -> int:
    with world.db.transaction() as tx:
        return tx.execute(select(func.count()).select_from(table)).scalar_one()


def purchase_of_somebody_else(world: World) -> str:
    return shop.order(world, shop.offer(world, 12, email="eve@other.example")).order_id


def later(world: World, days: int) -> None:
    assert world.wired.advance_clock is not None
    world.wired.advance_clock(world.ports.clock.now() + timedelta(days=days))


def test_what_is_charged_equals_what_was_quoted_although_the_list_has_moved(world: World) -> None:
    quote = sent(world)
    with world.db.transaction() as tx:
        tx.execute(text("UPDATE price SET unit_minor = unit_minor * 2"))
    started = accept(world, quote, po_number="PO-77")
    assert started.payment_url is not None
    shop.pay(world, started.payment_url)
    world.work()
    offer = offer_of(world, quote)
    with world.db.transaction() as tx:
        order = orders.get(tx, started.order_id)
        invoice = invoices.of_order(tx, order.id)
        assert invoice is not None
        (line,) = invoices.lines(tx, invoice.id)
        assert verify_books.findings(tx) == []
    assert order.state is OrderState.COMPLETED
    assert (order.net_minor, order.tax_minor, order.total_minor) == (990000, 0, 990000)
    assert (invoice.net_minor, invoice.total_minor, invoice.po_number) == (offer.net_minor, offer.total_minor, "PO-77")
    assert (line.unit_minor, line.net_minor, line.discount_minor) == (11000, 990000, 110000)
    assert fresh(world, quote).state is QuoteState.ACCEPTED
    assert fresh(world, quote).order_id == order.id


def test_the_evidence_names_the_signatory_and_the_quote(world: World) -> None:
    quote = sent(world)
    started = accept(world, quote)
    with world.db.transaction() as tx:
        kept = agreements.of_order(tx, started.order_id)
        order = orders.get(tx, started.order_id)
    assert kept is not None
    assert (kept.person_name, kept.person_email, kept.company) == ("Eva Chefin", "eva@example.de", "Beispiel GmbH")
    assert kept.snapshot["quote"] == quote.shown_number
    assert kept.snapshot["total"] == order.total_minor
    assert order.buyer_email == "ada@example.de", "the license goes to the contact, not to the signatory"
    assert {mail["subject"] for to in ("ada@example.de", "eva@example.de") for mail in mails(world, to)} >= {
        f"Quote {quote.shown_number} is accepted"
    }


@pytest.mark.parametrize("people", [2, 5])
def test_two_people_at_once_make_one_order(world: World, people: int) -> None:
    quote = sent(world)
    gate = Barrier(people)

    def one(number: int) -> str:
        said = signing(world, name=f"Person {number}", email=f"p{number}@example.de")
        gate.wait()
        try:
            return quote_acceptance.accept(world.ports, quote.id, said).order_id
        except QuoteClosed as refused:
            return str(refused.extra["state"])

    with ThreadPoolExecutor(people) as threads:
        answers = sorted(threads.map(one, range(people)))
    assert answers[:-1] == ["accepted"] * (people - 1)
    assert (count(world, Order), count(world, Acceptance), count(world, PaymentAttempt)) == (1, 1, 1)


def _tried(gate: Barrier, deed: Callable[[], object]) -> bool:
    gate.wait()
    try:
        deed()
    except DomainError:
        return False
    return True


def test_accepting_and_withdrawing_at_once_end_in_one_of_the_two(world: World) -> None:
    for _ in range(3):
        quote, by = sent(world), staff(world)
        before, gate = count(world, Order), Barrier(2)
        withdraw = partial(
            quoting.close, world.ports, quote.id, state=QuoteState.WITHDRAWN, reason="Another plan.", by=by
        )
        with ThreadPoolExecutor(2) as threads:
            accepted, withdrawn = threads.map(partial(_tried, gate), [partial(accept, world, quote), withdraw])
        assert accepted is not withdrawn
        assert count(world, Order) - before == int(accepted)


def _expired(world: World) -> str:
    quote = sent(world)
    with world.db.transaction() as tx:  # as if the clock had passed its end and no tick had come yet
        tx.execute(text("ALTER TABLE quote DISABLE TRIGGER kept"))
        tx.execute(text("UPDATE quote SET expires_at = now() - interval '1 second'"))
        tx.execute(text("ALTER TABLE quote ENABLE TRIGGER kept"))
    return quote.id


def _withdrawn(world: World) -> str:
    quote = sent(world)
    quoting.close(world.ports, quote.id, state=QuoteState.WITHDRAWN, reason="x", by=staff(world))
    return quote.id


def _superseded(world: World) -> str:
    quote = sent(world)
    quoting.revise(world.ports, quote.id, by=staff(world), reason="x")
    return quote.id


def _declined(world: World) -> str:
    quote = sent(world)
    quote_acceptance.decline(world.ports, quote.id, reason="Too dear.")
    return quote.id


def _accepted(world: World) -> str:
    quote = sent(world)
    accept(world, quote)
    return quote.id


@pytest.mark.parametrize(
    ("closed", "state"),
    [
        (_expired, "expired"), (_withdrawn, "withdrawn"), (_superseded, "superseded"), (_declined, "declined"),
        (_accepted, "accepted"),
    ],
)  # fmt: skip
def test_a_closed_quote_is_not_accepted_and_leaves_nothing_behind(
    world: World, closed: Callable[[World], str], state: str
) -> None:
    quote_id = closed(world)
    before = {table: count(world, table) for table in (Order, Acceptance, Paper, PaymentAttempt)}
    with pytest.raises(QuoteClosed) as refused:
        quote_acceptance.accept(world.ports, quote_id, signing(world, paper=SCAN))
    assert refused.value.extra["state"] == state
    with pytest.raises(QuoteClosed):
        quote_acceptance.decline(world.ports, quote_id, reason="x")
    assert {table: count(world, table) for table in before} == before


def test_a_refusal_late_in_the_acceptance_takes_everything_back(world: World) -> None:
    quote = sent(world)
    for wrong, refusal in (
        ({"terms_id": "trm_old"}, TermsNotAccepted), ({"name": " "}, Invalid), ({"email": "eva"}, Invalid),
        ({"paper": SCAN, "paper_kind": PURCHASE_ORDER}, Invalid),
        ({"paper": Upload(b"MZ not a scan")}, PaperRefused),
    ):  # fmt: skip
        with pytest.raises(refusal):
            accept(world, quote, **wrong)
    assert (count(world, Order), count(world, Paper), fresh(world, quote).state) == (0, 0, QuoteState.SENT)


def test_the_clock_closes_what_nobody_accepted_at_the_end_of_its_last_day(world: World) -> None:
    quote = sent(world)
    later(world, 29)
    assert fresh(world, quote).state is QuoteState.SENT
    later(world, 2)
    closed = fresh(world, quote)
    assert closed.state is QuoteState.EXPIRED
    assert closed.closed_at is not None
    assert closed.expires_at is not None
    assert timedelta(0) <= closed.closed_at - closed.expires_at < timedelta(minutes=1), "found by the walk, at its hour"


# --- The signature ------------------------------------------------------------------------------------------------


def test_a_click_is_enough_strictly_below_the_threshold_and_without_a_figure_never(world: World) -> None:
    limits(world, EUR=990001)
    assert accept(world, sent(world)).payment_url
    for figures in ({"EUR": 990000}, {"USD": 2_500_000}):
        limits(world, **figures)
        with pytest.raises(SignatureNeeded, match=r"9,900\.00 EUR"):
            accept(world, sent(world))


def test_a_signed_paper_is_kept_with_its_hash_and_named_in_the_evidence(world: World) -> None:
    limits(world, EUR=1)
    quote = sent(world)
    started = accept(world, quote, paper=SCAN)
    with world.db.transaction() as tx:
        kept = agreements.of_order(tx, started.order_id)
        paper = tx.get_one(Paper, fresh(world, quote).paper_id)
    assert kept is not None
    assert (paper.media_type, paper.size, paper.content) == ("application/pdf", len(SCAN.content), SCAN.content)
    assert kept.snapshot["paper_sha256"] == paper.sha256
    for change in ("content = 'x'::bytea", "sha256 = repeat('0', 64)", "size = 1"):
        with pytest.raises(IntegrityError), world.db.transaction() as tx:
            tx.execute(text(f"UPDATE paper SET {change}"))  # noqa: S608 -- constants


def test_a_purchase_order_signs_as_well_with_its_number(world: World) -> None:
    limits(world, EUR=1)
    started = accept(world, sent(world), paper=SCAN, paper_kind=PURCHASE_ORDER, po_number="4711")
    with world.db.transaction() as tx:
        assert orders.get(tx, started.order_id).po_number == "4711"


@pytest.mark.parametrize(
    "content",
    [
        b"", b"%PDF-1.7 without an end", b"\x89PNG\r\n\x1a\nbroken", b"\xff\xd8\xffbroken", b"GIF89a", b"<svg/>",
        b"PK\x03\x04%PDF-1.7 %%EOF", b"%PDF-1.7" + b"0" * MOST_BYTES + b"%%EOF",
    ],
)  # fmt: skip
def test_what_is_no_paper_is_told_by_its_bytes(world: World, content: bytes) -> None:
    limits(world, EUR=1)
    with pytest.raises((PaperRefused, SignatureNeeded)):
        accept(world, sent(world), paper=Upload(content, "signed.pdf"))
    assert count(world, Paper) == 0


# --- Afterwards ---------------------------------------------------------------------------------------------------


def test_an_accepted_quote_waits_for_its_payment_beyond_a_day(world: World) -> None:
    started = accept(world, sent(world))
    later(world, 10)
    with world.db.transaction() as tx:
        assert orders.get(tx, started.order_id).state is OrderState.AWAITING_PAYMENT
        tx.execute(text("UPDATE payment_attempt SET state = 'expired', redirect_url = NULL"))
    again = purchase.resume(world.ports, started.order_id)
    assert again.payment_url not in {None, started.payment_url}, "a new page for the old order"
    shop.pay(world, again.payment_url or "")
    world.work()
    with world.db.transaction() as tx:
        assert orders.get(tx, started.order_id).state is OrderState.COMPLETED


def test_an_accepted_quote_is_offered_again_only_when_its_order_died(world: World) -> None:
    quote, by = sent(world), staff(world)
    started = accept(world, quote)
    with pytest.raises(DomainError, match="cancel the order first"):
        quoting.revise(world.ports, quote.id, by=by, reason="x")
    purchase.cancel(world.ports, started.order_id, by=by)
    second = quoting.revise(world.ports, quote.id, by=by, reason="They ask again.")
    assert fresh(world, quote).state is QuoteState.SUPERSEDED
    accept(world, quoting.send(world.ports, second.id, by=by))
    assert fresh(world, second).state is QuoteState.ACCEPTED


def test_the_database_refuses_a_second_accepted_revision(world: World) -> None:
    first = sent(world)
    second = quoting.send(
        world.ports, quoting.revise(world.ports, first.id, by=staff(world), reason="x").id, by=staff(world)
    )
    accept(world, second)
    order_id = purchase_of_somebody_else(world)
    with world.db.transaction() as tx:
        tx.execute(text("ALTER TABLE quote DISABLE TRIGGER allowed_move"))
    with pytest.raises(IntegrityError, match="uq_quote_one_"), world.db.transaction() as tx:
        tx.execute(
            text("UPDATE quote SET state = 'accepted', order_id = :order WHERE id = :id"),
            {"id": first.id, "order": order_id},
        )


def test_a_small_quote_is_honoured_as_well_and_counts_towards_the_rolling_sum(world: World) -> None:
    small = (LineRequest("professional", 40, Discount(points=500)),)
    started = accept(world, sent(world, lines=small, seats=45))
    shop.pay(world, started.payment_url or "")
    world.work()
    offer = shop.offer(world, 12)
    assert [each["code"] for each in offer.reasons] == ["rolling_total"]


def test_several_orders_of_one_account_are_told_apart_by_their_accounts(world: World) -> None:
    quote = sent(world)
    accept(world, quote)
    with world.db.transaction() as tx:
        order = tx.execute(select(Order).where(col(Order.id) == fresh(world, quote).order_id)).scalar_one()
    assert order.account_id == quote.account_id
