"""Tax numbers are asked about again until their registry answers, and every few months after that (R-TAX-5)."""

from datetime import timedelta
from itertools import pairwise

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.core.canonical import sha256_hex
from app.flows import tax_id_checks, tax_ids, tick
from app.tax import service as tax
from tests import shop
from tests.flows.ending import told
from tests.flows.numbers import NUMBER, checks, documents, kept, later, scripted
from tests.flows.on_invoice import open_account
from tests.flows.test_money_mails import mails
from tests.world import World

DAY = timedelta(days=1)


def test_it_waits_longer_after_each_try_and_gives_up_after_a_week() -> None:
    waits: list[timedelta] = []
    while (wait := tax_id_checks.wait_after(len(waits) + 1)) is not None:
        waits.append(wait)
    assert waits[:3] == [timedelta(minutes=5), timedelta(minutes=15), timedelta(minutes=45)]
    assert all(later_one >= sooner for sooner, later_one in pairwise(waits))
    assert waits[-1] == DAY
    assert timedelta(days=6) < sum(waits, timedelta()) < timedelta(days=10)


def test_a_number_whose_registry_is_down_is_pending_and_asked_again_until_it_answers(world: World) -> None:
    registry = scripted(world)
    account = open_account(world)
    tax_ids.add(world.ports, account, kind="eu_vat", value=NUMBER, by="mem_1")
    assert (kept(world).status, len(registry.asked)) == ("pending", 1)
    assert tick.tick(world.ports) == 0, "it is not due yet"
    later(world, timedelta(minutes=6))
    assert (kept(world).status, kept(world).tries, len(registry.asked)) == ("pending", 1, 2)
    later(world, timedelta(minutes=1))
    assert len(registry.asked) == 2
    registry.says = "valid"
    later(world, timedelta(minutes=6))
    row, (*_, check) = kept(world), checks(world.ports)
    assert (row.status, row.reference, row.tries, row.next_check_at) == ("valid", "WAPI1", 0, None)
    assert (check.authority, check.name_match) == ("vies", "differs"), "an account of another name gave it"
    assert check.reply_sealed
    assert world.ports.secrets.open(tax.REPLY, check.reply_sealed) == b"valid"
    assert check.reply_hash == sha256_hex(b"valid")
    assert told(world, "tax_id.confirmed") == 1
    later(world, 200 * DAY)
    assert len(registry.asked) == 3, "an account without anything that runs is left alone"


def test_a_registry_that_never_answers_is_given_up_and_one_that_does_not_exist_at_once(world: World) -> None:
    registry = scripted(world)
    account = open_account(world)
    tax_ids.add(world.ports, account, kind="eu_vat", value=NUMBER, by="mem_1")
    tries = 0
    while kept(world).status == "pending":
        tries += 1
        later(world, DAY)
        assert tries < 30
    assert (kept(world).status, kept(world).next_check_at, tries) == ("unavailable", None, 13)
    registry.code, registry.again = "NO_REGISTRY", False
    tax_ids.add(world.ports, account, kind="ch_vat", value="CHE107787577IVA", by="mem_1")
    tax_ids.add(world.ports, account, kind="nz_gst", value="49098576", by="mem_1")
    later(world, timedelta(minutes=6))
    assert kept(world, "CHE107787577IVA").status == "unavailable"
    assert kept(world, "49098576").status in {"unavailable", "format_invalid"}
    wrong = "CHE107787578IVA"
    tax_ids.add(world.ports, account, kind="ch_vat", value=wrong, by="mem_1")
    later(world, timedelta(minutes=6))
    assert kept(world, wrong).status == "format_invalid"


def test_running_subscriptions_are_asked_about_every_quarter_and_an_invalid_number_is_told(world: World) -> None:
    registry = scripted(world)
    registry.says = "valid"
    shop.purchased(world, "4242 4242 4242 4242", locale="de")
    (invoice,) = documents(world)
    assert invoice.tax_minor == 0
    snapshot = invoice.buyer["tax_ids"][0]
    with world.db.transaction() as tx:
        question = tax.question_of(tx, invoice.tax_determination_id)
    (check,) = checks(world.ports)
    assert (check.name_match, check.address_match) == ("same", "same")
    assert snapshot["check"] == question.buyer.tax_ids[0].check == check.id
    assert snapshot["checked_at"] == question.buyer.tax_ids[0].checked_at == check.checked_at.isoformat()
    assert snapshot["reference"] == question.buyer.tax_ids[0].reference == "WAPI1"
    asked = len(registry.asked)
    later(world, 80 * DAY)
    assert len(registry.asked) == asked
    registry.says = "unavailable"
    later(world, 11 * DAY)
    assert (kept(world).status, len(registry.asked)) == ("valid", asked + 1), "what was known stays known"
    registry.says = "invalid"
    later(world, timedelta(minutes=6))
    assert (kept(world).status, kept(world).next_check_at) == ("invalid", None)
    assert told(world, "tax_id.refused") == 1
    (mail,) = mails(world, "ist nicht gültig")
    assert NUMBER in mail["subject"]
    later(world, 91 * DAY)
    assert kept(world).status == "invalid"
    assert len(mails(world, "ist nicht gültig")) == 1
    assert [each.tax_minor for each in documents(world)] == [0], "what was issued stays as it is"
    assert shop.offer(world, 25).tax_minor > 0, "and the next one bears tax"


def test_staff_answer_for_a_number_in_one_account_until_they_take_it_back(world: World) -> None:
    registry = scripted(world)
    account = open_account(world)
    tax_ids.add(world.ports, account, kind="eu_vat", value=NUMBER, by="mem_1")
    tax_ids.confirm_by_hand(world.ports, account, kept(world).id, by="stf_1", reason="certificate seen")
    row = kept(world)
    assert (row.status, row.override_by, row.override_reason, row.next_check_at) == (
        "manual_override", "stf_1", "certificate seen", None
    )  # fmt: skip
    with pytest.raises(tax_ids.AlreadySo):
        tax_ids.confirm_by_hand(world.ports, account, row.id, by="stf_2", reason="again")
    later(world, 100 * DAY)
    asked = len(registry.asked)
    assert kept(world).status == "manual_override"
    tax_ids.ask_the_registry(world.ports, account, row.id, by="stf_1", reason="it was wrong")
    world.work()
    assert (kept(world).status, len(registry.asked)) == ("pending", asked + 1)
    assert kept(world).override_by == ""


@pytest.mark.parametrize("change", [
    "status = 'pending', next_check_at = NULL", "status = 'manual_override'", "override_by = 'stf_1'", "tries = -1",
    "status = 'manual_override', override_by = 'stf_1', override_reason = ''", "status = 'maybe'",
])  # fmt: skip
def test_the_table_refuses_states_that_cannot_be(world: World, change: str) -> None:
    account = open_account(world)
    tax_ids.add(world.ports, account, kind="eu_vat", value=NUMBER, by="mem_1")
    with pytest.raises(DBAPIError), world.db.transaction() as tx:
        tx.execute(text(f"UPDATE account_tax_id SET {change}"))  # noqa: S608 -- of the list above
    with pytest.raises(DBAPIError), world.db.transaction() as tx:
        tx.execute(text("UPDATE tax_id_check SET status = 'valid'"))
