"""What one customer agreed apart from the terms of sale: kept, named on documents, leading to sales, reminded of."""

from datetime import date, timedelta
from io import BytesIO
from typing import Any

import pytest
from pypdf import PdfReader
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError

from app.agreements import contracts
from app.agreements import service as agreements
from app.agreements.contracts import AgreementEnded, Terms
from app.agreements.models import CustomAgreement, TermsVersion
from app.agreements.papers import PaperRefused, Upload
from app.core import policy
from app.core.canonical import sha256_hex
from app.core.errors import Invalid
from app.core.ids import new_id
from app.documents.render_pdf import render_pdf
from app.documents.shapes import DocumentKind
from app.flows import papers, quote_papers, quoting
from app.flows.quoting import Basis
from app.invoices import service as invoices
from app.orders.models import Order, Route
from app.quotes.models import Quote
from app.subscriptions import service as subscriptions
from app.subscriptions.models import SubscriptionState
from app.web.portal.renewing import terms_to_accept
from tests import shop
from tests.quotes.offering import SCAN, accept, draft_for, mails, sent, staff
from tests.world import World


def agreed(world: World, account_id: str, *, upload: Upload = SCAN, **changes: object) -> CustomAgreement:
    now = world.ports.clock.now()
    given: dict[str, object] = {
        "title": "Master agreement 2026", "deviations": "Net 60 days; liability capped at the fees of a year.",
        "effective_from": now.date(), "effective_to": None, "approved_by": "Grace Hopper",
    }  # fmt: skip
    terms = Terms(**(given | changes))  # type: ignore[arg-type]  # keyword arguments as a table
    with world.db.transaction() as tx:
        return contracts.record(tx, account_id, terms, upload, remind_days=60, time_zone="Europe/Berlin", by="stf",
                                now=now)  # fmt: skip


def later(world: World, days: int) -> None:
    assert world.wired.advance_clock is not None
    world.wired.advance_clock(world.ports.clock.now() + timedelta(days=days))


def codes(world: World, **wanted: object) -> list[str]:
    return [each["code"] for each in shop.offer(world, 12, **wanted).reasons]  # type: ignore[arg-type]


def test_while_it_applies_orders_of_the_account_come_to_sales_with_the_reason(world: World) -> None:
    order = shop.buy(world, seats=11)
    assert codes(world) == ["below_threshold"]
    today = world.ports.clock.now().date()
    kept = agreed(world, order.account_id, effective_to=today + timedelta(days=10))
    assert codes(world) == ["custom_agreement"]
    assert shop.offer(world, 12).route is Route.SALES
    assert codes(world, email="eve@other.example") == ["below_threshold"]
    later(world, 10)
    assert codes(world) == ["below_threshold"]
    assert kept.remind_at is not None


def test_before_its_first_day_and_after_it_was_ended_it_changes_nothing(world: World) -> None:
    order = shop.buy(world, seats=11)
    tomorrow = world.ports.clock.now().date() + timedelta(days=1)
    kept = agreed(world, order.account_id, effective_from=tomorrow)
    assert codes(world) == ["below_threshold"]
    later(world, 2)
    assert codes(world) == ["custom_agreement"]
    with world.db.transaction() as tx:
        contracts.end(tx, kept.id, why="Replaced.", by="stf", now=world.ports.clock.now())
    assert codes(world) == ["below_threshold"]
    with pytest.raises(AgreementEnded), world.db.transaction() as tx:
        contracts.end(tx, kept.id, why="Again.", by="stf", now=world.ports.clock.now())


@pytest.mark.parametrize("by_itself", [True, False])
def test_a_renewal_runs_by_itself_where_the_agreement_says_so(world: World, by_itself: bool) -> None:
    order = shop.buy(world, seats=11, interval="month")
    agreed(world, order.account_id, renews_by_itself=by_itself)
    now = world.ports.clock.now()
    with world.db.transaction() as tx:
        policy.change(tx, "automation_threshold", {"EUR": 1_000}, valid_from=now, by="test", why="test", now=now)
    later(world, 32)
    with world.db.transaction() as tx:
        held = subscriptions.get(tx, order.subscription_id or "")
        asked = tx.execute(select(Quote)).scalars().all()
    assert held.state is (SubscriptionState.ACTIVE if by_itself else SubscriptionState.LAPSED)
    assert [each.reasons[0]["code"] for each in asked] == ([] if by_itself else ["custom_agreement"])
    assert codes(world)[0] == "custom_agreement", "a purchase comes to sales in any case"


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        ({"title": " "}, "title"), ({"deviations": ""}, "deviations"), ({"approved_by": ""}, "approved_by"),
        ({"effective_to": date(2020, 1, 1)}, "effective_to"),
    ],
)  # fmt: skip
def test_what_it_lacks_is_said_at_its_input(world: World, wrong: dict[str, Any], param: str) -> None:
    order = shop.order(world, shop.offer(world, 11))
    with world.db.transaction() as tx:
        account_id = tx.get_one(Order, order.order_id).account_id
    with pytest.raises(Invalid) as refused:
        agreed(world, account_id, **wrong)
    assert refused.value.param == param
    with pytest.raises(PaperRefused):
        agreed(world, account_id, upload=Upload(b"hello"))


def test_what_was_agreed_never_changes(world: World) -> None:
    kept = agreed(world, shop.buy(world, seats=11).account_id)
    for change in ("deviations = 'none'", "effective_to = '2030-01-01'", "paper_id = 'pap_x'"):
        with pytest.raises(IntegrityError), world.db.transaction() as tx:
            tx.execute(text(f"UPDATE custom_agreement SET {change} WHERE id = :id"), {"id": kept.id})  # noqa: S608


def test_sales_are_reminded_once_before_it_ends(world: World) -> None:
    order = shop.buy(world, seats=11)
    today = world.ports.clock.now().date()
    agreed(world, order.account_id, effective_to=today + timedelta(days=90))
    later(world, 28)
    assert not [mail for mail in mails(world, "billing@acme.example") if "ends on" in mail["subject"]]
    later(world, 5)
    later(world, 5)
    found = [mail for mail in mails(world, "billing@acme.example") if "ends on" in mail["subject"]]
    assert [mail["subject"].partition(" ends on")[0] for mail in found] == ["The agreement with Beispiel GmbH"]


def test_quotes_and_invoices_say_that_it_applies_in_the_customers_language(world: World) -> None:
    order = shop.buy(world, seats=11, locale="de")
    agreed(world, order.account_id)
    by = staff(world)
    quote = quoting.save(world.ports, Basis(account_id=order.account_id), draft_for(world), by=by)
    with world.db.transaction() as tx:
        document = quote_papers.quote_document(tx, world.ports, quote)
        assert quote_papers.locale_of(tx, quote) == "de"
    drawn = PdfReader(BytesIO(render_pdf(DocumentKind.QUOTE, document, "de")))
    assert "„Master agreement 2026“" in " ".join(page.extract_text() for page in drawn.pages)
    quoting.send(world.ports, quote.id, by=by)
    started = accept(world, quote)
    shop.pay(world, started.payment_url or "")
    world.work()
    with world.db.transaction() as tx:
        invoice = invoices.of_order(tx, started.order_id)
        assert invoice is not None
        assert "Es gilt die Vereinbarung „Master agreement 2026“." in invoice.notes
        told = papers.invoice_document(tx, world.ports, invoice)
    assert [str(line.discount) for line in told.lines] == ["1,100.00 EUR"]
    assert "Master agreement" in " ".join(told.tax_notes)


def test_terms_are_accepted_again_only_when_they_changed(world: World) -> None:
    started = accept(world, sent(world))
    shop.pay(world, started.payment_url or "")
    world.work()
    now = world.ports.clock.now()
    with world.db.transaction() as tx:
        order = tx.get_one(Order, started.order_id)
        subscription = subscriptions.get(tx, order.subscription_id or "")
        assert terms_to_accept(tx, subscription, now.date()) is None
        old = agreements.terms_in_force(tx, now.date())
        body = old.text + "\n\nOne sentence more."
        tx.add(TermsVersion(id=new_id("trm"), key=old.key, version="99", title=old.title, text=body,
                            sha256=sha256_hex(body.encode()), effective_from=now.date()))  # fmt: skip
        tx.flush()
        new = terms_to_accept(tx, subscription, now.date())
    assert new is not None
    assert new.version == "99"
