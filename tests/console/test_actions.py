"""What staff can do: each action does its work, asks why, leaves an audit row, and says so when it is refused."""

import json
from datetime import timedelta
from threading import Event, Thread

import httpx
import pytest
from sqlalchemy import text

from app.core import job_watch, jobs, policy
from app.core.audit import AuditEntry
from app.core.errors import Unavailable
from app.flows import unmatched
from app.flows.notify import ANSWER_DAYS
from app.flows.ports import Ports
from app.licenses import service as licenses
from app.licenses.models import LicenseState
from app.orders import service as orders
from app.orders.models import OrderState
from app.quotes import service as quotes
from app.workspaces import service as workspaces
from app.workspaces.models import Desired, WorkspaceState
from tests import shop
from tests.console.helping import DONETSK, asked, audited, do, held, lose_money, stock, told
from tests.signing_in import staff_browser
from tests.world import World


class _Switch:
    broken = True


@jobs.job("tests.breaks_in_the_console", retry=jobs.Retry(attempts=1))
def breaks(_ports: Ports, *, order_id: str) -> None:
    if _Switch.broken:
        raise Unavailable(f"No answer about {order_id}.")


@pytest.fixture(autouse=True)
def _broken() -> None:
    _Switch.broken = True


def test_canceling_an_order_keeps_who_and_why(world: World) -> None:
    browser, person = staff_browser(world)
    order_id = held(world)
    page = f"/console/orders/{order_id}"
    done = do(browser, page, f"{page}/cancel", note="The buyer asked for it.")
    assert (done.status_code, done.headers["location"]) == (303, f"{page}?done=order-canceled")
    html = browser.get(done.headers["location"]).text
    assert "The order is canceled." in html
    assert "/cancel" not in html, "what is done is not offered again"
    (entry,) = audited(world, "order.canceled")
    assert (entry.actor, entry.details) == (person.id, {"note": "The buyer asked for it."})


def test_no_action_goes_without_its_reason(world: World) -> None:
    stocked = stock(world)
    browser, _ = staff_browser(world)
    for page, action, extra in (
        (f"/console/orders/{stocked.held}", "cancel", {}),
        (f"/console/orders/{stocked.held}", "release", {}),
        (f"/console/quotes/{stocked.quote}", "decline", {}),
        (f"/console/quotes/{stocked.quote}", "withdraw", {}),
        (f"/console/licenses/{stocked.license}", "revoke", {"ground": "refund"}),
    ):
        refused = do(browser, page, f"{page}/{action}", note="  ", **extra)
        assert refused.status_code == 422, action
        assert "Say why; it goes into the audit log." in refused.text
        assert f'href="#{action}-note"' in refused.text, "the summary leads to the input"
    too_long = do(browser, f"/console/orders/{stocked.held}", f"/console/orders/{stocked.held}/cancel", note="x" * 1001)
    assert (too_long.status_code, "At most 1000 characters" in too_long.text) == (422, True)
    with world.db.transaction() as tx:
        assert orders.get(tx, stocked.held).state is OrderState.HELD


def test_a_paid_order_is_not_canceled_and_the_page_says_what_to_do(world: World) -> None:
    browser, _ = staff_browser(world)
    order = shop.buy(world)
    page = f"/console/orders/{order.id}"
    refused = do(browser, page, f"{page}/cancel", note="Oh.")
    assert (refused.status_code, "ask for a refund instead" in refused.text) == (409, True)
    assert audited(world, "order.canceled") == []


def test_releasing_a_held_order_lets_the_buyer_pay(world: World) -> None:
    browser, person = staff_browser(world)
    order_id = held(world, **DONETSK)
    page = f"/console/orders/{order_id}"
    assert "A person has to check the destination" in browser.get(page).text
    done = do(browser, page, f"{page}/release", note="In the part that is not sanctioned.")
    assert done.headers["location"] == f"{page}?done=order-released"
    (entry,) = audited(world, "order.released")
    assert entry.actor == person.id


def test_a_refused_release_says_why_and_keeps_what_was_typed(world: World) -> None:
    browser, _ = staff_browser(world)
    page = f"/console/orders/{held(world)}"
    refused = do(browser, page, f"{page}/release", note="I am sure & certain.")
    assert refused.status_code == 409
    assert "Add what is missing" in refused.text
    assert "I am sure &amp; certain.</textarea>" in refused.text


def test_money_that_fits_nothing_stays_in_sight_until_somebody_dealt_with_it(world: World) -> None:
    browser, person = staff_browser(world)
    order = shop.buy(world)
    page = f"/console/orders/{order.id}"
    assert f"{page}/resolve" not in browser.get(page).text
    lose_money(world, order)
    assert "A payment fits no open order" in browser.get("/console").text
    done = do(browser, page, f"{page}/resolve", note="Given back, re_123.")
    assert done.headers["location"] == f"{page}?done=payment-resolved"
    with world.db.transaction() as tx:
        assert unmatched.waiting(tx) == []
    (entry,) = audited(world, "payment.resolved")
    assert (entry.actor, entry.details) == (person.id, {"note": "Given back, re_123."})
    again = do(browser, "/console", f"{page}/resolve", note="Twice.")
    assert again.status_code == 409
    lose_money(world, order)
    with world.db.transaction() as tx:
        assert [each.order_id for each in unmatched.waiting(tx)] == [order.id], "another one is another task"


@pytest.mark.parametrize(("action", "state"), [("decline", "declined"), ("withdraw", "withdrawn")])
def test_a_request_for_a_quote_is_closed_once_with_its_reason(world: World, action: str, state: str) -> None:
    browser, person = staff_browser(world)
    quote = asked(world)
    page = f"/console/quotes/{quote.id}"
    html = browser.get(page).text
    assert "44,000.00 EUR" in html
    assert "is not below" in html
    assert "We would like three years." in html
    done = do(browser, page, f"{page}/{action}", note="Agreed by telephone.")
    assert done.headers["location"] == f"{page}?done=quote-{state}"
    with world.db.transaction() as tx:
        assert quotes.get(tx, quote.id).state == state
    (entry,) = audited(world, f"quote.{state}")
    assert (entry.actor, entry.details) == (person.id, {"reason": "Agreed by telephone."})
    again = do(browser, "/console", f"{page}/{action}", note="Again.")
    assert (again.status_code, "is closed" in again.text) == (409, True)


def test_revoking_a_license_needs_a_ground_and_happens_once(world: World) -> None:
    browser, person = staff_browser(world)
    order = shop.buy(world)
    with world.db.transaction() as tx:
        license_ = licenses.of_order(tx, order.id)
    assert license_
    page = f"/console/licenses/{license_.id}"
    unnamed = do(browser, page, f"{page}/revoke", note="Why not.", ground="whim")
    assert (unnamed.status_code, "Choose the ground." in unnamed.text) == (422, True)
    done = do(browser, page, f"{page}/revoke", note="On a public server.", ground="leaked")
    assert done.headers["location"] == f"{page}?done=license-revoked"
    (entry,) = audited(world, "license.revoked")
    assert (entry.actor, entry.details) == (person.id, {"reason": "leaked: On a public server."})
    with world.db.transaction() as tx:
        assert licenses.get(tx, license_.id).state is LicenseState.REVOKED
    again = do(browser, "/console", f"{page}/revoke", note="Again.", ground="leaked")
    assert (again.status_code, "It was revoked on" in again.text) == (409, True)


def test_a_deletion_is_taken_back_and_what_has_not_failed_is_not_retried(world: World) -> None:
    browser, person = staff_browser(world)
    stocked = stock(world)
    world.work()
    page = f"/console/workspaces/{stocked.workspace}"
    idle = do(browser, "/console", f"{page}/retry", note="Hm.")
    assert (idle.status_code, "did not fail" in idle.text) == (409, True)
    with world.db.transaction() as tx:
        workspace = workspaces.for_change(tx, stocked.workspace, None)
        workspaces.want(tx, workspace, Desired.DELETED, actor="mem_1", now=world.ports.clock.now())
        assert workspace.state is WorkspaceState.DELETE_PENDING
    done = do(browser, page, f"{page}/keep", note="Deleted by mistake.")
    assert done.headers["location"] == f"{page}?done=deletion-canceled"
    assert [entry.actor for entry in audited(world, "workspace.deletion_canceled")] == [person.id]
    assert [entry.details for entry in audited(world, "workspace.noted")] == [{"note": "Deleted by mistake."}]
    with world.db.transaction() as tx:
        assert workspaces.get(tx, stocked.workspace, None).state is WorkspaceState.STABLE


def test_a_failed_creation_is_tried_again(world: World) -> None:
    browser, _ = staff_browser(world)
    stocked = stock(world)
    with world.db.transaction() as tx:
        for to in ("requested", "creating"):
            tx.execute(text("UPDATE workspace SET state = :to WHERE state IN ('creating', 'requested')"), {"to": to})
    page = f"/console/workspaces/{stocked.workspace}"
    with world.db.transaction() as tx:
        workspace = workspaces.for_change(tx, stocked.workspace, None)
        if workspace.state is WorkspaceState.STABLE:
            workspace.state = WorkspaceState.UPDATING
            tx.flush()
            workspace.state = WorkspaceState.UPDATE_FAILED
            workspace.generation += 1
        else:
            workspace.state = WorkspaceState.CREATION_FAILED
        workspace.failure_reason = "No room in this region."
    assert "No room in this region." in browser.get(page).text
    done = do(browser, page, f"{page}/retry", note="Room was made.")
    assert done.headers["location"] == f"{page}?done=workspace-retried"
    assert len(audited(world, "workspace.retried")) == 1


def fail_job(world: World) -> job_watch.Failed:
    with world.db.transaction() as tx:
        jobs.defer(tx, breaks, order_id="ord_7")
    world.work()
    with world.db.transaction() as tx:
        return job_watch.failed(tx)[0]


def test_a_failed_job_shows_its_reason_and_is_retried(world: World) -> None:
    browser, person = staff_browser(world)
    failed = fail_job(world)
    html = browser.get("/console/jobs").text
    assert "1 job has failed" in html
    assert "Unavailable: No answer about ord_7." in html
    assert "1 job was given up" in browser.get("/console").text
    _Switch.broken = False
    done = do(browser, "/console/jobs", f"/console/jobs/{failed.job_id}/retry")
    assert done.headers["location"] == "/console/jobs?done=job-retried"
    (entry,) = audited(world, "job.retried")
    assert (entry.actor, entry.details) == (person.id, {"job": "tests.breaks_in_the_console"})
    world.work()
    assert "Every job is well" in browser.get("/console/jobs").text
    assert do(browser, "/console/jobs", f"/console/jobs/{failed.job_id}/retry").status_code == 404


def test_all_failed_jobs_are_retried_with_one_audit_row(world: World) -> None:
    browser, _ = staff_browser(world)
    fail_job(world)
    fail_job(world)
    _Switch.broken = False
    assert do(browser, "/console/jobs", "/console/jobs/retry").status_code == 303
    world.work()
    assert jobs.waiting(world.db).failed == 0
    assert [entry.details for entry in audited(world, "jobs.retried")] == [{"tests.breaks_in_the_console": 2}]


def change(world: World, **values: str) -> httpx.Response:
    browser, _ = staff_browser(world)
    given = {"key": "answer_days", "value": "3", "from": f"{world.ports.clock.now():%Y-%m-%d}", "why": "Holidays."}
    return do(browser, "/console/policies", "/console/policies", **(given | values))


def changes_of_answer_days(world: World) -> list[AuditEntry]:
    return [entry for entry in audited(world, "policy.changed") if entry.subject == "answer_days"]


def test_a_policy_changes_from_today_with_author_and_reason(world: World) -> None:
    assert change(world).headers["location"] == "/console/policies?done=policy-changed"
    with world.db.transaction() as tx:
        assert policy.get(tx, ANSWER_DAYS, world.ports.clock.now()) == 3
    (entry,) = changes_of_answer_days(world)
    assert entry.details["why"] == "Holidays."
    assert entry.actor.startswith("stf_")
    browser, _ = staff_browser(world)
    assert "Holidays." in browser.get("/console/policies").text


def test_a_policy_for_later_leaves_today_as_it_is(world: World) -> None:
    later = f"{world.ports.clock.now() + timedelta(days=9):%Y-%m-%d}"
    assert change(world, **{"from": later}).status_code == 303
    with world.db.transaction() as tx:
        assert policy.get(tx, ANSWER_DAYS, world.ports.clock.now()) == 2
        assert policy.get(tx, ANSWER_DAYS, world.ports.clock.now() + timedelta(days=10)) == 3


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"value": "0"}, "must be a whole number of at least 1"),
        ({"value": "two"}, "Write the value as JSON"),
        ({"value": "NaN"}, "answer_days must be a whole number"),
        ({"value": "1" * 10_001}, "too long"),
        ({"from": "2020-01-01"}, "The past keeps its values"),
        ({"from": "soon"}, "not a date"),
        ({"why": " "}, "Say why"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused_at_its_input(
    world: World, values: dict[str, str], sentence: str
) -> None:
    refused = change(world, **values)
    assert refused.status_code == 422
    assert sentence in refused.text
    (name,) = values
    assert f'id="answer_days-{name}-error"' in refused.text
    assert changes_of_answer_days(world) == []


def test_a_policy_that_does_not_exist_is_not_found(world: World) -> None:
    assert change(world, key="gravity").status_code == 404


def test_the_clock_walks_and_tells_what_happened(world: World) -> None:
    browser, person = staff_browser(world)
    order = shop.order(world, shop.offer(world))
    before, stop = world.ports.clock.now(), Event()

    def worker() -> None:
        while not stop.is_set():
            world.work()
            stop.wait(0.05)

    thread = Thread(target=worker, daemon=True)
    thread.start()
    try:
        done = do(browser, "/console/clock", "/console/clock", days="5")
    finally:
        stop.set()
        thread.join(timeout=20)
    assert done.status_code == 303, done.text
    assert world.ports.clock.now() - before >= timedelta(days=5)
    html = browser.get(done.headers["location"]).text
    assert "Business time has moved." in html
    assert "Order expired" in html, "23 hours after it was placed"
    (entry,) = audited(world, "clock.advanced")
    assert (entry.actor, entry.details) == (person.id, {"days": 5})
    assert told(world, "order.expired") == 1
    with world.db.transaction() as tx:
        assert orders.get(tx, order.order_id).state is OrderState.EXPIRED


@pytest.mark.parametrize("days", ["0", "401", "-3", "1.5", "many", "", "9999999999"])
def test_the_clock_takes_a_sensible_number_of_days_only(world: World, days: str) -> None:
    browser, _ = staff_browser(world)
    before = world.ports.clock.now()
    refused = do(browser, "/console/clock", "/console/clock", days=days)
    assert (refused.status_code, "A whole number of days, 1 to 400." in refused.text) == (422, True)
    assert world.ports.clock.now() - before < timedelta(hours=1)
    assert json.dumps([entry.action for entry in audited(world, "clock.advanced")]) == "[]"


def test_nothing_is_said_that_was_not_done(world: World) -> None:
    browser, _ = staff_browser(world)
    assert "flashes" not in browser.get("/console/orders?done=<script>").text
