"""Reminders of open invoices: each once, the latest only after a pause of ours, none while a collection is paused."""

from datetime import datetime, timedelta

import pytest

from app.core import policy
from app.core.errors import DomainError
from app.core.ids import new_id
from app.dunning.models import DunningRun, RunState
from app.flows import invoice_reminders, tick
from app.invoices import reminders
from app.invoices.models import Invoice, InvoiceReminder
from tests.flows.on_invoice import invoice_of, open_account, order_on_invoice, wire
from tests.world import World


def go_to(world: World, days_late: int, invoice: Invoice, hour: int = 12) -> None:
    """To noon, so many days after the invoice is due, stopping where something is due as a sandbox does."""
    assert world.wired.advance_clock
    assert invoice.due_on
    at = datetime.fromisoformat(f"{invoice.due_on}T{hour:02}:00:00+00:00") + timedelta(days=days_late)
    world.wired.advance_clock(at)


def mails(world: World) -> list[dict[str, str]]:
    """What was written to the buyer about the invoice, oldest first."""
    world.work()
    found = world.browser().get("/sandbox/mail.json", params={"to": "ada@example.de"}).json()
    return [each for each in reversed(found) if each["subject"].startswith("Invoice ")]


def rows(world: World, invoice: Invoice) -> list[InvoiceReminder]:
    with world.db.transaction() as tx:
        return reminders.of_invoice(tx, invoice.id)


def test_the_ladder_is_walked_once_with_the_rest_that_is_owed_and_ends_with_the_payment(world: World) -> None:
    account = open_account(world)
    order = order_on_invoice(world, account)
    invoice = invoice_of(world, order)
    assert [each.days_late for each in rows(world, invoice)] == [-7, 0, 7, 14, 30]
    go_to(world, -7, invoice)
    wire(world, account, 60_000)
    go_to(world, 7, invoice)
    for _ in range(2):
        assert tick.tick(world.ports) == 0, "nothing is found twice"
    first, due, late = mails(world)
    assert "is due on" in first["subject"]
    assert "1,320.00" in first["text"]
    assert "is due today" in due["subject"]
    assert "7 days overdue" in late["subject"]
    assert "720.00" in late["text"]
    assert "thank you for what was paid already" in late["text"]
    assert "/invoices/" in late["text"]
    wire(world, account, 72_000, "SEPA-2")
    with world.db.transaction() as tx:
        assert invoice_reminders.next_due(tx, world.ports.clock.now()) is None
    go_to(world, 40, invoice)
    assert len(mails(world)) == 3


def test_after_a_pause_of_ours_only_the_last_one_is_sent(world: World) -> None:
    invoice = invoice_of(world, order_on_invoice(world, open_account(world)))
    with world.db.transaction() as tx:
        for each in reminders.of_invoice(tx, invoice.id)[:3]:
            each.due_at = world.ports.clock.now()
    assert invoice_reminders.send_due(world.ports) == 1
    assert invoice_reminders.send_due(world.ports) == 0
    assert [(each.sent_at is not None, each.skipped_reason) for each in rows(world, invoice)] == [
        (False, "a later reminder was due as well"), (False, "a later reminder was due as well"), (True, None),
        (False, None), (False, None),
    ]  # fmt: skip
    assert len(mails(world)) == 1


def test_a_paused_collection_and_a_word_of_staff_put_reminders_off(world: World) -> None:
    account = open_account(world)
    order = order_on_invoice(world, account)
    invoice = invoice_of(world, order)
    until = datetime.fromisoformat(f"{invoice.due_on}T12:00:00+00:00")
    with world.db.transaction() as tx:
        tx.add(DunningRun(
            id=new_id("dun"), account_id=account, currency="EUR", state=RunState.OPEN,
            opened_at=world.ports.clock.now(), failure_code="card_declined", needs_card=False, paused_until=until,
            pause_reason="New card.",
        ))  # fmt: skip
    go_to(world, -1, invoice)
    assert mails(world) == []
    with world.db.transaction() as tx:
        assert [each.days_late for each in invoice_reminders.ahead(tx, until)] == [0], "of what waits, the last"
        assert invoice_reminders.next_due(tx, world.ports.clock.now()) == until
    go_to(world, 1, invoice)
    (only,) = mails(world)
    assert "overdue" in only["subject"] or "due today" in only["subject"]
    invoice_reminders.put_off(world.ports, invoice.id, days=10, reason="Pays in February.", by="stf_1")
    go_to(world, 16, invoice)
    assert len(mails(world)) == 1
    go_to(world, 18, invoice)
    assert "17 days overdue" in mails(world)[-1]["subject"]
    with pytest.raises(DomainError) as refused:
        invoice_reminders.put_off(world.ports, invoice.id, days=31, reason="x", by="stf_1")
    assert refused.value.param == "days"
    wire(world, account, 132_000)
    with pytest.raises(invoice_reminders.NoReminders):
        invoice_reminders.put_off(world.ports, invoice.id, days=1, reason="x", by="stf_1")


def test_the_days_are_a_policy(world: World) -> None:
    with world.db.transaction() as tx:
        now = world.ports.clock.now()
        policy.change(tx, reminders.DAYS.name, [3], valid_from=now, by="stf_1", why="Less mail.", now=now)
    invoice = invoice_of(world, order_on_invoice(world, open_account(world)))
    assert [each.days_late for each in rows(world, invoice)] == [3]
    for wrong in ([-61], "7", [1.5], [True]):
        with pytest.raises(ValueError, match="whole days"):
            reminders.DAYS.read(wrong)
