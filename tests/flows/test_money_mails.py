"""What customers hear about money that comes back: once, in their language, with the credit note behind the link."""

import re

from sqlalchemy import text

from app.core import jobs
from app.flows import crediting, money_mails, refund
from app.flows.refund import Asked
from app.invoices.models import CreditReason
from app.payments import refunds
from app.payments.models import RefundState
from tests import shop
from tests.flows.on_invoice import invoice_of, licenses_of, open_account, order_on_invoice, wire
from tests.world import World


def mails(world: World, words: str, to: str = "ada@example.de") -> list[dict[str, str]]:
    world.work()
    found = world.browser().get("/sandbox/mail.json", params={"to": to, "limit": 100}).json()
    return [each for each in found if words in each["subject"]]


def paper_of(world: World, mail: dict[str, str]) -> bytes:
    link = re.search(r"https?://\S+/credit_notes/\S+/pdf", mail["text"])
    assert link
    return world.browser().get(link[0].removeprefix(world.url)).content


def keep(world: World, invoice_id: str, total: int, *, off: bool) -> str:
    note = crediting.keep(world.ports, invoice_id, nets=None, total=total, reason=CreditReason.GOODWILL,
                          off_the_invoice=off, by="stf_1")  # fmt: skip
    return note.id


def test_whoever_pays_an_open_invoice_is_told_once_where_the_full_license_is(world: World) -> None:
    account = open_account(world)
    order = order_on_invoice(world, account)
    wire(world, account, 60_000)
    assert mails(world, "is paid") == []
    wire(world, account, 72_000, "SEPA-2")
    (mail,) = mails(world, "is paid")
    assert "€1,320.00" in mail["text"]
    link = re.search(r"https?://\S+/license", mail["text"])
    assert link
    whole = licenses_of(world, order)[-1]
    assert not whole.bridge
    assert world.browser().get(link[0].removeprefix(world.url)).text == whole.file_text
    with world.db.transaction() as tx:
        jobs.defer(tx, "receivables.hand_over", invoice_id=invoice_of(world, order).id)
    assert len(mails(world, "is paid")) == 1


def test_a_refund_is_told_when_the_money_leaves_and_not_twice(world: World) -> None:
    order = shop.buy(world, seats=11)
    invoice = invoice_of(world, order)
    asked = refund.request(world.ports, Asked(invoice.id, total=7_000), by="stf_1")
    (mail,) = mails(world, "on their way back to you")
    assert "€70.00" in mail["subject"]
    assert "card ending in 4242" in mail["text"]
    assert paper_of(world, mail).startswith(b"%PDF")
    for again in (refund.send, money_mails.refund):
        with world.db.transaction() as tx:
            jobs.defer(tx, again, refund_id=asked.id)
    assert len(mails(world, "on their way back to you")) == 1
    assert mails(world, "Credit note") == [], "one mail for one refund"


def test_a_refund_that_could_not_be_sent_is_told_as_credit(world: World) -> None:
    order = shop.buy(world, seats=11)
    asked = refund.request(world.ports, Asked(invoice_of(world, order).id, total=7_000), by="stf_1")
    world.work()
    with world.db.transaction() as tx:
        charge = refunds.payments_of(tx, order.id)[0].provider_ref
    world.browser().post(f"/sandbox/payments/{charge}", json={"action": "fail_refund"})
    world.work()
    with world.db.transaction() as tx:
        assert refunds.get(tx, asked.id).state is RefundState.FAILED
    (mail,) = mails(world, "We could not send €70.00 back")
    assert "it is your credit" in mail["text"]
    assert paper_of(world, mail).startswith(b"%PDF")


def test_a_credit_note_says_what_is_kept_or_comes_off_in_the_readers_language(world: World) -> None:
    invoice = invoice_of(world, order_on_invoice(world, open_account(world)))
    keep(world, invoice.id, 2_000, off=True)
    (mail,) = mails(world, "Credit note")
    assert "€20.00 come off the invoice; €1,300.00 of it are still owed." in mail["text"]
    german = shop.buy(world, seats=11, locale="de", email="gustav@example.de", company="Gustav GmbH")
    keep(world, invoice_of(world, german).id, 2_000, off=False)
    (mail,) = mails(world, "Rechnungskorrektur", "gustav@example.de")
    assert "bleiben als Ihr Guthaben" in mail["text"]
    assert paper_of(world, mail).startswith(b"%PDF")
    with world.db.transaction() as tx:
        assert tx.execute(text("SELECT count(*) FROM credit_note")).scalar() == 2
