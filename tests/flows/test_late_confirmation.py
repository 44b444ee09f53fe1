"""What was taxed for want of a confirmed number is credited and issued again once it is confirmed (ADR 0046)."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.accounts.models import LegalEntity
from app.adapters.tax_registries import TaxRegistries, Vies
from app.core import jobs
from app.documents.electronic_shapes import Syntax
from app.flows import crediting, explain_invoice, issued_papers, late_confirmation, refund, tax_ids
from app.flows.late_confirmation import NotCorrectable
from app.flows.refund import Asked
from app.invoices import credit_notes
from app.invoices.models import CreditReason, InvoiceState
from app.orders import service as orders
from app.payments import credit
from app.payments.models import RefundState
from app.reports import verify_books
from app.tax import request as taxing
from app.tax import service as tax
from tests import shop
from tests.adapters.fake_registries import running
from tests.documents.reading import text_of
from tests.flows.ending import told
from tests.flows.numbers import NUMBER, Scripted, checks, documents, kept, later, owed, scripted
from tests.flows.on_invoice import balance, licenses_of, open_account, order_on_invoice, wire
from tests.flows.test_money_mails import mails
from tests.world import World

CARD = "4242 4242 4242 4242"
SOON = timedelta(minutes=6)


def bought_with_tax(world: World, **who: str) -> Scripted:
    """25 seats by card, taxed because the registry is down."""
    registry = scripted(world)
    shop.purchased(world, CARD, **who)
    (invoice,) = documents(world)
    assert (invoice.state, invoice.tax_minor > 0) == (InvoiceState.PAID, True)
    assert invoice.buyer["tax_ids"][0]["status"] == "unavailable"
    return registry


def money_in(words: str, minor: int) -> bool:
    """Whether an amount stands in a German mail, as 522,50."""
    return f"{minor // 100:,}".replace(",", ".") + f",{minor % 100:02}" in words


def credit_of(world: World) -> int:
    with world.db.transaction() as tx:
        return credit.balance(tx, kept(world).account_id, "EUR").minor


def test_a_number_confirmed_late_gives_the_tax_back_as_credit_on_a_new_invoice(world: World) -> None:
    registry = bought_with_tax(world, locale="de")
    registry.says = "valid"
    later(world, SOON)
    old, new = documents(world)
    assert (new.replaces, new.order_id, new.net_minor, new.tax_minor) == (old.id, old.order_id, old.net_minor, 0)
    assert (new.state, owed(world, new), credit_of(world)) == (InvoiceState.PAID, 0, old.tax_minor)
    assert new.buyer["tax_ids"][0]["status"] == "valid"
    assert new.buyer["tax_ids"][0]["reference"] == "WAPI1"
    assert any("Art. 196" in note for note in new.notes)
    assert any(f"ersetzt Rechnung {old.number}" in note for note in new.notes)
    with world.db.transaction() as tx:
        (note,) = credit_notes.of_invoice(tx, old.id)
        found = tax.stored(tx, new.tax_determination_id)
        assert explain_invoice.explain(tx, new).replays
    assert (note.total_minor, note.to_balance_minor, note.tax_minor) == (
        old.total_minor,
        old.total_minor,
        old.tax_minor,
    )
    assert found.treatment == "reverse_charge"
    assert balance(world, "2200") == 0, "no tax is owed to anybody"
    assert verify_books.verify(world.db) == []
    (mail,) = mails(world, "ersetzt")
    assert str(new.number) in mail["subject"]
    assert money_in(mail["text"], old.tax_minor)
    assert mails(world, "Rechnungskorrektur") == [], "one mail says it all"
    assert told(world, "invoice.replaced") == 1
    paper = world.browser().get(mail["text"].split("PDF: ")[1].split()[0].removeprefix(world.url))
    assert f"Ersetzt Rechnung {old.number}" in text_of(paper.content)
    with world.db.transaction() as tx:
        for document in (new, note):
            for syntax in Syntax:
                made = issued_papers.xml(tx, world.ports, tx.merge(document, load=False), syntax).decode()
                assert f">{old.number}</" in made, "BT-25"
    for _ in range(2):
        with world.db.transaction() as tx:
            jobs.defer(tx, late_confirmation.correct_later, invoice_id=old.id)
            jobs.defer(tx, late_confirmation.correct_later, invoice_id=new.id)
        world.work()
    assert len(documents(world)) == 2
    with pytest.raises(NotCorrectable, match="already"):
        late_confirmation.correct(world.ports, old.id, by="stf_1", note="again")
    with world.db.transaction() as tx:
        spent = orders.spent_since(tx, [new.account_id], new.created_at - timedelta(days=2))
    assert [each.minor for each in spent] == [old.net_minor], "the sale counts once"


def test_the_whole_way_through_the_real_adapter_and_a_vies_that_comes_back(world: World) -> None:
    with running() as vies:
        registries = TaxRegistries({"eu_vat": Vies(vies.url, requester="IE6388047V", seconds=5)})
        world.wired = replace(world.wired, ports=replace(world.ports, tax_ids=registries))
        vies.say = (200, b'{"actionSucceed": false, "errorWrappers": [{"error": "MS_UNAVAILABLE"}]}')
        shop.purchased(world, CARD)
        vies.say = None
        later(world, SOON)
        asked = vies.asked[-1]
    old, new = documents(world)
    assert asked == {"countryCode": "DE", "vatNumber": "136695976", "requesterMemberStateCode": "IE",
                     "requesterNumber": "6388047V"}  # fmt: skip
    first, last = checks(world.ports)[0], checks(world.ports)[-1]
    assert (first.status, first.code, last.status, last.reference) == (
        "unavailable", "MS_UNAVAILABLE", "valid", "WAPIAAAAY1"
    )  # fmt: skip
    assert (old.buyer["tax_ids"][0]["check"], new.buyer["tax_ids"][0]["check"]) == (first.id, last.id)
    assert (new.replaces, new.tax_minor) == (old.id, 0)


def test_the_new_invoice_is_refunded_over_the_payment_of_the_old_one(world: World) -> None:
    registry = bought_with_tax(world)
    registry.says = "valid"
    later(world, SOON)
    old, new = documents(world)
    begun = refund.request(world.ports, Asked(new.id), by="stf_1", alone=False)
    if begun.state is RefundState.REQUESTED:
        refund.approve(world.ports, begun.id, by="stf_2")
    world.work()
    with world.db.transaction() as tx:
        assert credit_notes.credited(tx, new).minor == new.total_minor
    assert credit_of(world) == old.tax_minor
    assert verify_books.verify(world.db) == []


@pytest.mark.parametrize("paid", [0, 60_000])
def test_an_open_invoice_asks_for_less_and_what_was_paid_of_it_goes_over(world: World, paid: int) -> None:
    registry = scripted(world)
    account = open_account(world)
    order = order_on_invoice(world, account)
    (old,) = documents(world)
    if paid:
        wire(world, account, paid)
    registry.says = "valid"
    later(world, SOON)
    old, new = documents(world)
    assert (old.state, new.state, new.due_on) == (InvoiceState.PAID, InvoiceState.OPEN, old.due_on)
    assert (owed(world, old), owed(world, new)) == (0, old.net_minor - paid)
    assert [each.bridge for each in licenses_of(world, order)] == [True], "nothing was paid in full yet"
    (mail,) = mails(world, "without the tax")
    assert "please do not pay the old one" in mail["text"]
    with world.db.transaction() as tx:
        assert orders.spent_since(tx, [account], new.created_at - timedelta(days=2)) == []
    wire(world, account, old.net_minor - paid, "SEPA-9")
    assert documents(world)[1].state is InvoiceState.PAID
    assert [each.bridge for each in licenses_of(world, order)] == [True, False]
    assert len(mails(world, "is paid")) == 1
    assert verify_books.verify(world.db) == []


def test_an_order_that_is_paid_after_its_number_was_confirmed_is_corrected_too(world: World) -> None:
    registry = scripted(world)
    started = shop.order(world, shop.offer(world))
    registry.says = "valid"
    later(world, SOON)
    assert (kept(world).status, documents(world)) == ("valid", [])
    assert started.payment_url
    shop.pay(world, started.payment_url)
    world.work()
    assert [each.tax_minor > 0 for each in documents(world)] == [True]
    later(world, timedelta(hours=2))
    assert [each.tax_minor > 0 for each in documents(world)] == [True, False]
    assert (kept(world).next_check_at, told(world, "tax_id.confirmed")) == (None, 1)


def test_beyond_the_days_and_after_a_credit_note_a_person_decides(world: World) -> None:
    registry = bought_with_tax(world)
    with world.db.transaction() as tx:
        tx.execute(text("UPDATE account_tax_id SET next_check_at = next_check_at + interval '100 days'"))
    registry.says = "valid"
    later(world, timedelta(days=101))
    (old,) = documents(world)
    assert kept(world).status == "valid"
    new = late_confirmation.correct(world.ports, old.id, by="stf_1", note="the customer wrote")
    world.work()
    assert (new.replaces, new.tax_minor, credit_of(world)) == (old.id, 0, old.tax_minor)
    assert verify_books.verify(world.db) == []


def test_what_does_not_hang_on_the_number_is_left_alone_with_its_reason(world: World) -> None:
    registry = bought_with_tax(world)
    (invoice,) = documents(world)
    with pytest.raises(NotCorrectable, match="No tax number"):
        late_confirmation.correct(world.ports, invoice.id, by="stf_1", note="too early")
    crediting.keep(world.ports, invoice.id, nets=None, total=5_000, reason=CreditReason.GOODWILL,
                   off_the_invoice=False, by="stf_1")  # fmt: skip
    registry.says = "valid"
    later(world, SOON)
    assert len(documents(world)) == 1
    assert told(world, "tax_id.confirmed") == 1
    with world.db.transaction() as tx:
        why = tx.execute(text("SELECT details->>'why' FROM audit_entry WHERE action = 'invoice.not_replaced'"))
        assert "credited" in why.scalar_one()


def test_a_number_that_staff_confirm_corrects_as_well_and_the_database_keeps_the_two_together(world: World) -> None:
    bought_with_tax(world)
    row = kept(world)
    tax_ids.confirm_by_hand(world.ports, row.account_id, row.id, by="stf_1", reason="certificate seen")
    world.work()
    old, new = documents(world)
    assert (new.tax_minor, new.buyer["tax_ids"][0]["check"]) == (0, "manual_override:stf_1")
    assert shop.offer(world, 12).tax_minor > 0, "a stranger with the same number is not believed"
    for change in ("replaces = NULL", f"replaces = '{new.id}'"):
        with pytest.raises(DBAPIError), world.db.transaction() as tx:
            tx.execute(text(f"UPDATE invoice SET {change} WHERE id = '{new.id}'"))  # noqa: S608 -- ids of our own
    for whose, why in ((old, "uq_invoice_replaces"), (new, "not credited in full")):
        with pytest.raises(DBAPIError, match=why), world.db.transaction() as tx:
            tx.execute(_A_COPY_THAT_REPLACES, {"whose": whose.id})


_A_COPY_THAT_REPLACES = text(
    "INSERT INTO invoice SELECT (jsonb_populate_record(old, jsonb_build_object('id', id || 'x', 'state', 'draft',"
    " 'number', NULL, 'sequence', NULL, 'paid_at', NULL, 'replaces', id))).* FROM invoice old WHERE id = :whose"
)


def test_a_question_is_read_back_as_it_was_asked(world: World) -> None:
    bought_with_tax(world)
    (invoice,) = documents(world)
    with world.db.transaction() as tx:
        question = tax.question_of(tx, invoice.tax_determination_id)
        assert question.inputs_hash() == tax.stored(tx, invoice.tax_determination_id).inputs_hash
        assert tx.get_one(LegalEntity, invoice.legal_entity_id).country == question.seller.country
    full = replace(
        question, evidence=(taxing.Evidence("ip", "DE"),),
        buyer=replace(question.buyer, exemptions=(taxing.Exemption("US-NY", signed=question.date),)),
    )  # fmt: skip
    assert taxing.from_json(taxing.to_json(full)) == full
    assert NUMBER in str(taxing.to_json(full))
