"""What finance does about tax numbers: looks at what was answered, answers for one, issues an invoice again."""

from datetime import timedelta

from app.adapters.sandbox import clock
from tests import shop
from tests.console.helping import audited, do
from tests.flows.numbers import NUMBER, documents, kept, scripted
from tests.signing_in import staff_browser
from tests.world import World

CARD = "4242 4242 4242 4242"


def test_a_number_is_confirmed_by_hand_with_a_reason_and_an_old_invoice_issued_again(world: World) -> None:
    scripted(world)
    shop.purchased(world, CARD)
    (old,) = documents(world)
    clock.set_to(world.db, world.ports.clock.now() + timedelta(days=100))  # too long ago to be corrected by itself
    browser, person = staff_browser(world)
    page, row = f"/console/accounts/{old.account_id}", kept(world)
    shown = browser.get(page).text
    assert "MS_UNAVAILABLE" in shown
    assert "Asked again soon" in shown
    assert "Issue it again" not in browser.get(f"/console/invoices/{old.id}").text
    confirm = {"tax_id": row.id, "note": "Certificate seen."}
    refused = do(browser, page, f"{page}/tax-ids/confirm", **(confirm | {"note": ""}))
    assert refused.status_code == 422
    assert do(browser, page, f"{page}/tax-ids/confirm", **(confirm | {"tax_id": "tid_" + "0" * 26})).status_code == 404
    done = do(browser, page, f"{page}/tax-ids/confirm", **confirm)
    assert done.headers["location"] == f"{page}?done=tax-id-confirmed"
    shown = browser.get(page).text
    assert "Confirmed by hand" in shown
    assert "Certificate seen." in shown
    (entry,) = audited(world, "tax_id.confirmed_by_hand")
    assert (entry.actor, entry.details["why"]) == (person.id, "Certificate seen.")
    world.work()
    assert documents(world) == [old]
    invoice_page = f"/console/invoices/{old.id}"
    assert "Issue it again without the tax" in browser.get(invoice_page).text
    issued = do(browser, invoice_page, f"{invoice_page}/replace", note="They wrote.")
    assert issued.headers["location"] == f"{invoice_page}?done=invoice-replaced"
    _, new = documents(world)
    assert new.tax_minor == 0
    assert "Replaced by" in browser.get(invoice_page).text
    assert str(old.number) in browser.get(f"/console/invoices/{new.id}").text
    again = do(browser, invoice_page, f"{invoice_page}/replace", note="Once more.")
    assert again.status_code == 409
    asked = do(browser, page, f"{page}/tax-ids/ask", tax_id=row.id, note="Their tax office put it right.")
    assert asked.headers["location"] == f"{page}?done=tax-id-asked"
    world.work()
    assert kept(world).status == "pending"
    assert NUMBER in browser.get(page).text
