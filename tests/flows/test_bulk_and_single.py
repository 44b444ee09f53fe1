"""Many at once and one by one write the same rows (ADR 0036)."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import func, select, text
from sqlmodel import col

from app.accounts.models import Account
from app.catalog.models import Interval
from app.core import audit, jobs
from app.core.clock import FixedClock, start_of, transport_now
from app.core.embedded_postgres import Cluster
from app.dunning.models import AutomaticCharge
from app.flows import billing_run, bulk_charging, bulk_completion, bulk_ordering
from app.flows import preview as previews
from app.flows.ports import Ports
from app.flows.preview_request import LineRequest, PreviewRequest, TaxIdGiven
from app.invoices.models import Invoice
from app.licenses.models import License
from app.reports import verify_books
from app.subscriptions.models import Subscription
from tests import shop
from tests.catalog.selling import plan, sell, with_coupon
from tests.console.helping import certified
from tests.flows import twins
from tests.world import World

# Places, currencies, numbers, add-ons and coupons; every buyer pays by the month unless said otherwise.
BUYERS: list[dict[str, object]] = [
    {"company": "Standard GmbH"},
    {"company": "Nummer GmbH", "vat": "DE136695976"},
    {"company": "Inverse SARL", "country": "FR", "postcode": "75001", "city": "Paris", "vat": "FR83404833048"},
    {"company": "Unknown BV", "country": "NL", "postcode": "1012", "city": "Amsterdam", "locale": "de"},
    {"company": "Bluegrass LLC", "country": "US", "region": "KY", "postcode": "40202", "city": "Louisville",
     "currency": "USD"},
    {"company": 'Empire \\ "Quoted" Inc', "country": "US", "region": "NY", "postcode": "10001",
     "city": "New York", "currency": "USD", "seats": 40},
    {"company": "Big Sky LLC", "country": "US", "region": "MT", "postcode": "59601", "city": "Helena",
     "currency": "USD", "sku": "enterprise"},
    {"company": "Coupon AG", "country": "CH", "postcode": "8001", "city": "Zürich", "coupon": "THREE"},
    {"company": "Support Oy", "country": "FI", "postcode": "00100", "city": "Helsinki", "add_on": "premier-support"},
    {"company": "Both Kft", "country": "HU", "postcode": "1051", "city": "Budapest", "add_on": "premier-support",
     "coupon": "THREE"},
    {"company": "Cloud GmbH", "sku": "cloud-professional"},
    {"company": "Zwei GmbH", "email": "two@example.de"},
    {"company": "Zwei GmbH", "email": "two@example.de", "seats": 12},
    {"company": "Jahr GmbH", "interval": Interval.YEAR},
    {"company": "Year Inc", "interval": Interval.YEAR, "country": "US", "region": "CA", "postcode": "94301",
     "city": "Palo Alto", "currency": "USD"},
]  # fmt: skip


def buy(world: World, index: int, wanted: dict[str, object]) -> None:
    given = dict(wanted)
    seats, add_on, vat = given.pop("seats", 11 + index), given.pop("add_on", None), given.pop("vat", None)
    lines = [LineRequest(str(given.pop("sku", "professional")), int(str(seats)))]
    lines += [LineRequest(str(add_on), int(str(seats)))] if add_on else []
    currency, interval = str(given.pop("currency", "EUR")), given.pop("interval", Interval.MONTH)
    coupon = str(given.pop("coupon", ""))
    buyer = shop.buyer(**({"email": f"buyer{index}@example.org"} | given))
    offer = previews.price(world.ports, PreviewRequest(
        lines=tuple(lines), interval=Interval(str(interval)), currency=currency, buyer=buyer, coupon=coupon,
        tax_ids=(TaxIdGiven("eu_vat", str(vat)),) if vat else (),
    ))  # fmt: skip
    started = shop.order(world, offer)
    assert started.payment_url is not None, offer.reasons
    shop.pay(world, started.payment_url)


def one_by_one(ports: Ports, subscription_ids: Sequence[str]) -> None:
    """In this order, which is that of the numbers, each once."""
    for each in dict.fromkeys(subscription_ids):
        with ports.db.transaction() as tx:
            held = tx.get_one(Subscription, each)
        billing_run.renew_automatically.run(ports, subscription_id=each, ends_on=held.ends_on.isoformat())


def ended(ports: Ports) -> list[str]:
    now = ports.clock.now()
    with ports.db.transaction() as tx:
        due = tx.execute(billing_run.due_query(now)).scalars()
        return [each.id for each in due if billing_run.has_ended(each, now)]


def numbered_after(ports: Ports, sequence: int) -> list[str]:
    with ports.db.transaction() as tx:
        query = select(col(Invoice.subscription_id)).where(col(Invoice.sequence) > sequence)
        return [str(each) for each in tx.execute(query.order_by(col(Invoice.sequence))).scalars()]


def many_at_once(ports: Ports) -> None:
    bulk_ordering.order_due.run(ports)
    with ports.db.transaction() as tx:
        asked = list(tx.execute(select(col(AutomaticCharge.order_id)).order_by(col(AutomaticCharge.id))).scalars())
    for order_id in asked:
        bulk_charging.charge.run(ports, order_id=order_id)
    left = set(ended(ports))
    bulk_completion.complete_paid.run(ports)
    one_by_one(ports, sorted(left))  # what it put on the queue for the single path


def held_after(ports: Ports, way: Callable[[Ports], None], since: datetime) -> dict[str, list[str]]:
    """What the tables hold after one way."""
    way(ports)
    with ports.db.transaction() as tx:
        held = twins.told(tx, since)
        assert list(audit.verify(tx)) == []
    found = Counter(finding.check for finding in verify_books.verify(ports.db))
    assert set(found) <= {"order_licenses"}, found
    return held | {"findings": [f"{check}: {count}" for check, count in found.items()]}


def work(ports: Ports) -> None:
    """Work the queue off, without those who would speak to the one web server there is, the other copy's."""
    outside = "task_name LIKE 'sandbox.%' OR task_name LIKE 'provisioning.%'"
    with ports.db.transaction() as tx:
        tx.execute(text(f"DELETE FROM procrastinate_jobs WHERE {outside}"))  # noqa: S608 -- the line above
    with jobs.Drain(jobs.build_app(ports.db, ports, repeating=False)) as drain:
        drain()
    assert jobs.waiting(ports.db).failed == 0


def differing(one: list[str], many: list[str]) -> list[str]:
    """The rows that only one of them has, as many times as it has them more often."""
    mine, theirs = Counter(one), Counter(many)
    return [f"singly: {row}" for row in (mine - theirs)] + [f"together: {row}" for row in (theirs - mine)]


def require_same(singly: dict[str, list[str]], together: dict[str, list[str]]) -> None:
    assert singly.keys() == together.keys()
    for table, rows in singly.items():
        found = differing(rows, together[table])
        assert not found, "\n".join([table, *(row[:1500] for row in found[:4])])


def changed(catalog: dict[str, Any]) -> None:
    """A coupon that goes on, and a price that rises before the first renewal."""
    with_coupon("THREE", percent="12.5", duration="repeating", months=3)(catalog)
    day = str(transport_now().date() + timedelta(days=5))
    plan(catalog, "professional")["prices"].append(
        {"currency": "EUR", "interval": "month", "unit": "12.25", "from": day}
    )


def test_many_at_once_and_one_by_one_write_the_same_rows(world: World, cluster: Cluster, tmp_path: Path) -> None:
    sell(world, tmp_path, changed)
    for index, wanted in enumerate(BUYERS):
        buy(world, index, wanted)
    world.work()
    with world.db.transaction() as tx:
        # Which the door refuses today, and has not always.
        tx.execute(text("UPDATE account SET name = replace(name, '\" Inc', E'\"\\tInc')"))
        exempt = tx.execute(select(col(Account.id)).where(col(Account.name) == "Bluegrass LLC")).scalar_one()
    certified(world, exempt, "US-KY", accept=True)
    world.work()
    with world.db.transaction() as tx:
        ends = tx.execute(select(col(Subscription.ends_on)).order_by(col(Subscription.ends_on))).scalars().all()
    assert len(ends) == len(BUYERS)
    twins.remember(world)
    rows = 0
    with twins.twin(cluster, world) as other:
        since = transport_now()
        for end, keep in (
            (ends[0], "term_months < 12"),
            (ends[-1], "term_months = 12 OR contact_email LIKE 'buyer0@%'"),
        ):
            at = FixedClock(start_of(end, "UTC") + timedelta(days=1))
            pair = [replace(ports, clock=at) for ports in (world.ports, other)]
            for ports in pair:
                with ports.db.transaction() as tx:
                    tx.execute(text(f"UPDATE subscription SET auto_renew = ({keep})"))  # noqa: S608 -- an id or condition of this test, nothing from outside
            last, due = len(numbered_after(pair[1], 0)), ended(pair[0])
            together = held_after(pair[1], many_at_once, since)
            order = [*numbered_after(pair[1], last), *due]
            singly = held_after(pair[0], partial(one_by_one, subscription_ids=order), since)
            require_same(singly, together)
            if end == ends[0]:
                require_same(held_after(pair[0], work, since), held_after(pair[1], work, since))
            rows = sum(len(held) for held in singly.values())
        with other.db.transaction() as tx:
            relieved = tx.execute(
                select(func.count())
                .select_from(Invoice)
                .where(col(Invoice.account_id) == exempt, col(Invoice.tax_minor) == 0)
            ).scalar_one()
            billed = tx.execute(select(func.count()).select_from(Invoice)).scalar_one() - len(BUYERS)
            licensed = tx.execute(select(func.count()).select_from(License)).scalar_one() - len(BUYERS)
    # One term of each by month, one more of the late one, whose end was over before it was paid for; and the year of
    # one, while that of the other waits for a person.
    assert (billed, licensed) == (15, 14)
    assert relieved == 1, "the renewal, not the purchase before the certificate"
    print(f"{billed} renewals one by one and together: {rows} rows of {len(singly)} tables, the same")  # noqa: T201
