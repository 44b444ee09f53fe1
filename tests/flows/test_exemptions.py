"""An exemption certificate from the upload to the mail after its last day, and what it does to prices (ADR 0050)."""

import json
from dataclasses import replace
from datetime import date, timedelta
from hashlib import sha256
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError

from app.accounts.models import StaffRole
from app.agreements import service as agreements
from app.agreements.service import Evidence
from app.catalog.models import Interval
from app.core.clock import FixedClock
from app.core.errors import Invalid
from app.flows import exemptions, papers, purchase, quoting, renewal, seat_change, tick
from app.flows import preview as previews
from app.flows.preview_request import LineRequest, PreviewRequest
from app.flows.purchase import Placing
from app.flows.quoting import Basis, Draft
from app.flows.seat_change import Wanted
from app.invoices import service as invoices
from app.orders.errors import PreviewChanged
from app.orders.models import Order, Preview
from app.reports import tax_evidence
from app.subscriptions import service as subscriptions
from app.tax import certificates, service
from app.tax.certificates import CertificateDecided, Stated
from app.tax.models import CertificateState
from tests import shop
from tests.console.helping import audited, certified, do, told
from tests.portal.buyers import signed_in
from tests.signing_in import staff_browser
from tests.world import World

LOUISVILLE: dict[str, Any] = {
    "email": "bo@example.com", "company": "Example Inc.", "country": "US", "region": "KY", "postcode": "40202",
    "city": "Louisville",
}  # fmt: skip
AT = "/console/tax/exemptions"
PDF = b"%PDF-1.7 a certificate %%EOF"


def bought(world: World, **changes: Any) -> Order:
    return shop.buy(world, currency="USD", vat=None, **(LOUISVILLE | changes))


def wanted(account_id: str | None, **changes: Any) -> PreviewRequest:
    return PreviewRequest(
        lines=(LineRequest("professional", 12),), interval=Interval.YEAR, currency="USD",
        buyer=shop.buyer(**(LOUISVILLE | changes)), account_id=account_id,
    )  # fmt: skip


def treatment(world: World, preview: Preview) -> tuple[str, str]:
    with world.db.transaction() as tx:
        found = service.stored(tx, preview.tax_determination_id)
    return found.treatment.value, found.note


def mails(world: World) -> list[tuple[str, str]]:
    with world.db.transaction() as tx:
        found = tx.execute(text(
            "SELECT \"to\", subject FROM sandbox_mail WHERE message_id LIKE 'certificate-%' ORDER BY id"
        ))  # fmt: skip
        return [(row.to, row.subject) for row in found]


def test_a_customer_sends_one_in_and_finance_decides(world: World) -> None:
    order = bought(world)
    bo = signed_in(world, order)
    page = bo.open("/account/exemptions")
    assert "No certificate yet" in page.text
    form = {
        "csrf_token": [page.form("/account/exemptions").value("csrf_token")], "jurisdiction": ["US-KY"],
        "reason": ["resale"], "number": ["51A105-77"], "signed_on": ["2026-01-01"],
    }  # fmt: skip
    here = f"{world.url}/account/exemptions"
    bo.post(here, form, b"<script>alert(1)</script>")
    assert bo.status == 422
    assert "A whole PDF, PNG or JPEG file is needed" in bo.page.text
    bo.post(here, form | {"signed_on": ["2199-01-01"]}, PDF)
    assert bo.status == 422
    bo.post(here, form, PDF)
    assert "It counts once our team has looked at it" in bo.page.text
    assert treatment(world, previews.price(world.ports, wanted(order.account_id)))[0] == "standard"

    browser, staff = staff_browser(world, StaffRole.FINANCE)
    assert "sent in an exemption certificate" in browser.get("/console").text
    with world.db.transaction() as tx:
        (row,) = certificates.waiting(tx)
    assert browser.get(f"{AT}/{row.id}/paper").content == PDF
    assert do(browser, AT, f"{AT}/{row.id}/accept", note=" ").status_code == 422
    assert do(browser, AT, f"{AT}/{row.id}/reject", note="Not signed").status_code == 303
    assert do(browser, AT, f"{AT}/{row.id}/accept", note="Again").status_code == 409, "a no is final"
    second = certified(world, order.account_id, "US-KY", number="51A105-78")
    assert do(browser, AT, f"{AT}/{second}/accept", note="Looked up").status_code == 303
    assert "51A105-78" in browser.get(AT).text
    (entry,) = audited(world, "exemption.accepted")
    assert (entry.actor, entry.subject, entry.details) == (staff.id, second, {"note": "Looked up"})
    exempt = previews.price(world.ports, wanted(order.account_id))
    assert treatment(world, exempt) == ("customer_exempt", "Exempt: resale certificate 51A105-78.")
    assert exempt.tax_minor == 0
    assert do(browser, AT, f"{AT}/{second}/revoke", note="Your permit was withdrawn").status_code == 303
    assert treatment(world, previews.price(world.ports, wanted(order.account_id)))[0] == "standard"
    world.work()
    assert [subject.partition("51A105")[0] for _, subject in mails(world)] == [
        "We cannot accept your exemption certificate ", "Your exemption certificate ", "Your exemption certificate ",
    ]  # fmt: skip
    assert {to for to, _ in mails(world)} == {"bo@example.com"}
    shown = bo.open("/account/exemptions").text
    assert "Not signed" in shown
    assert "Your permit was withdrawn" in shown


def test_an_address_shows_nothing_of_what_its_account_holds_and_whoever_orders_decides(world: World) -> None:
    order = bought(world, seats=11)
    certified(world, order.account_id, "US-KY", accept=True)
    seen = previews.price(world.ports, wanted(None))
    assert treatment(world, seen)[0] == "standard", "only an address was typed"
    started = shop.order(world, seen)
    with world.db.transaction() as tx:
        assert tx.get_one(Order, started.order_id).tax_minor == seen.tax_minor > 0
        terms = agreements.terms_in_force(tx, world.ports.clock.now().date()).id
    own = previews.price(world.ports, wanted(order.account_id))
    assert own.tax_minor == 0
    with pytest.raises(PreviewChanged) as refused:  # somebody else found the id of the exempt offer
        purchase.start(world.ports, Placing(own.id, terms, Evidence("127.0.0.1", "test")))
    with world.db.transaction() as tx:
        assert tx.get_one(Preview, refused.value.extra["preview"]).tax_minor == seen.tax_minor
    placing = Placing(own.id, terms, Evidence("127.0.0.1", "test"), account_id=order.account_id)
    shop.pay(world, purchase.start(world.ports, placing).payment_url or "")
    world.work()
    with world.db.transaction() as tx:
        bought_now = tx.execute(text('SELECT id FROM "order" WHERE preview_id = :id'), {"id": own.id}).scalar_one()
        invoice = invoices.of_order(tx, bought_now)
        assert invoice is not None
        evidence = json.loads(tax_evidence.write(tx, invoice))
        assert [each["number"] for each in evidence["certificates"]] == ["RS-1"]
        assert evidence["certificates"][0]["paper_sha256"] == sha256(b"%PDF-1.7 %%EOF").hexdigest()
        sold = tx.execute(text(
            "SELECT jsonb_path_exists(request, '$.buyer.exemptions[*] ? (@.reason == \"resale\")') FROM"
            " tax_determination WHERE id = :id"
        ), {"id": invoice.tax_determination_id}).scalar_one()  # fmt: skip
        assert sold, "the meter of a state that counts retail sales leaves it out"
        assert papers.invoice_document(tx, world.ports, invoice).tax_notes == ("Exempt: resale certificate RS-1.",)
    later = previews.price(world.ports, wanted(order.account_id, region="MT", postcode="59601", city="Helena"))
    with world.db.transaction() as tx:
        kept = service.stored(tx, later.tax_determination_id)
        asked = tx.execute(
            text("SELECT request FROM tax_determination WHERE id = :id"), {"id": later.tax_determination_id}
        ).scalar_one()
    assert kept.treatment != "customer_exempt"
    assert asked["buyer"]["exemptions"] == [], "a certificate is told only where it counts"


def test_changes_renewals_and_quotes_are_relieved_too(world: World) -> None:
    order = bought(world)
    certified(world, order.account_id, "US-KY", accept=True)
    assert order.tax_minor > 0
    subscription = order.subscription_id or ""
    changed = seat_change.preview(world.ports, subscription, Wanted(seats=30))
    with world.db.transaction() as tx:
        next_year = renewal.wanted(tx, subscriptions.get(tx, subscription), None)
    renewed = previews.price(world.ports, next_year)
    today = world.ports.clock.now().date()
    draft = Draft(
        (LineRequest("professional", 400),), Interval.YEAR, "USD", today + timedelta(days=20), "Bo", "b@x.example"
    )
    quote = quoting.save(world.ports, Basis(account_id=order.account_id), draft, by="stf_1")
    with world.db.transaction() as tx:
        quoted = tx.get_one(Preview, quote.figures_id)
    for offer in (changed, renewed, quoted):
        assert treatment(world, offer)[0] == "customer_exempt", offer.kind
        assert offer.tax_minor == 0


def test_the_customer_is_told_before_and_after_the_last_day_once_each(world: World) -> None:
    order = bought(world, locale="de")
    today = world.ports.clock.now().date()
    kept = certified(world, order.account_id, "US-KY", accept=True, expires_on=today + timedelta(days=60))
    world.work()
    noon = world.ports.clock.now()

    def at(days: int) -> int:
        return exemptions.tell_due(replace(world.ports, clock=FixedClock(noon + timedelta(days=days))))

    due = tick.next_due(world.ports, noon)
    assert due is not None
    assert due < noon + timedelta(days=31), "a walking clock stops there"
    assert at(0) == 0
    assert at(31) == 1
    assert at(31) == 0
    assert at(62) == 1
    assert at(62) == 0
    world.work()
    subjects = [subject for _, subject in mails(world)]
    assert len(subjects) == 3
    assert "ist anerkannt" in subjects[0]
    assert "läuft am" in subjects[1]
    assert "ist abgelaufen" in subjects[2]
    assert told(world, "exemption_certificate.expired") == 1
    with world.db.transaction() as tx:
        rows = certificates.of_account(tx, order.account_id)
        assert [row.id for row in rows] == [kept]


def test_a_new_one_takes_the_place_of_the_old_and_the_table_holds_it(world: World) -> None:
    order = bought(world)
    old = certified(world, order.account_id, "US-KY", accept=True, expires_on=date(2099, 12, 31))
    new = certified(world, order.account_id, "US-KY", accept=True, number="RS-2")
    now = world.ports.clock.now()
    with world.db.transaction() as tx:
        assert [row.id for row in certificates.of_account(tx, order.account_id)] == [new]
        assert certificates.get(tx, old).revoked_why == f"Replaced by {new}"
        with pytest.raises(CertificateDecided):
            exemptions.revoke(tx, old, reason="again", by="test", now=now)
    third = certified(world, order.account_id, "US-KY", number="RS-3")
    for wrong, said in (
        ("state = 'accepted', reviewed_by = 'x', reviewed_at = now(), review_note = ''", "one_at_a_time"),
        ("state = 'accepted'", "decided_by_a_review"), ("number = 'RS-4'", "kept as it is"),
        ("state = 'revoked'", "cannot go from"), ("reviewed_by = 'x'", "reviewed_by_somebody"),
    ):  # fmt: skip
        with pytest.raises(DBAPIError, match=said), world.db.transaction() as tx:
            tx.execute(text(f"UPDATE exemption_certificate SET {wrong} WHERE id = :id"), {"id": third})  # noqa: S608 -- of the list above
    with pytest.raises(DBAPIError, match="kept as it is"), world.db.transaction() as tx:
        tx.execute(text("DELETE FROM exemption_certificate WHERE id = :id"), {"id": third})
    with world.db.transaction() as tx:
        assert certificates.get(tx, third).state is CertificateState.SUBMITTED


@pytest.mark.parametrize(
    ("param", "changes"),
    [
        ("jurisdiction", {"jurisdiction": "US"}), ("jurisdiction", {"jurisdiction": "US-ZZ"}),
        ("reason", {"reason": "because"}), ("number", {"number": " "}), ("number", {"number": "9" * 61}),
        ("signed_on", {"signed_on": date(2026, 6, 2)}), ("expires_on", {"expires_on": date(2025, 1, 1)}),
        ("expires_on", {"expires_on": date(2026, 5, 31)}),
    ],
)  # fmt: skip
def test_what_no_certificate_can_say_is_refused_by_its_field(param: str, changes: dict[str, Any]) -> None:
    good = Stated("ca-bc", "education", " PST  77 ", date(2026, 1, 1), date(2026, 6, 1))
    assert certificates.checked(good, date(2026, 6, 1)) == replace(good, jurisdiction="CA-BC", number="PST 77")
    with pytest.raises(Invalid) as refused:
        certificates.checked(replace(good, **changes), date(2026, 6, 1))
    assert refused.value.param == param


def test_a_billing_run_reads_the_certificates_of_all_in_one_query(world: World) -> None:
    first, second = bought(world), bought(world, email="cy@example.org", company="Cy LLC")
    certified(world, first.account_id, "US-KY", accept=True)
    asked: list[str] = []
    event.listen(world.db.engine, "before_cursor_execute", lambda _c, _u, said, *_: asked.append(said))
    with world.db.transaction() as tx:
        found = certificates.of_accounts(tx, [first.account_id, second.account_id])
    assert list(found) == [first.account_id]
    assert sum("FROM exemption_certificate" in said for said in asked) == 1
