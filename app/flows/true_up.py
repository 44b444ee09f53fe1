"""True-up: seats that are used and were not bought, priced for the days that remain before anybody orders (R-ORD-4).

A report changes nothing by itself, and never takes a seat away: fewer seats are a wish for the next term, of a person.
"""

from dataclasses import dataclass
from datetime import datetime

from app.core.clock import local_date
from app.core.db import Tx
from app.flows import seat_change
from app.flows.ports import Ports
from app.flows.seat_change import Wanted
from app.licenses import service as licenses
from app.licenses import usage
from app.licenses.models import License
from app.licenses.usage import Kept, Stated
from app.licenses.usage_models import ReportedBy, UsageReport
from app.orders.models import Preview
from app.subscriptions import service as subscriptions
from app.subscriptions.models import Subscription


@dataclass(frozen=True, slots=True)
class Standing:
    """Seats of a subscription against the newest report; `missing` is 0 where there are enough, or no report."""

    seats: int
    report: UsageReport | None

    @property
    def missing(self) -> int:
        return max(self.report.active_users - self.seats, 0) if self.report is not None else 0


def receive(
    tx: Tx, license_: License, stated: Stated, *, source: ReportedBy, by: str, now: datetime
) -> tuple[Kept, Standing]:  # fmt: skip
    """Keep a product's report; raises what `usage.receive` raises."""
    held = subscriptions.get(tx, licenses.subscription_of(license_))
    today = local_date(now, held.time_zone)
    kept = usage.receive(tx, license_, stated, source=source, by=by, today=today, now=now)
    return kept, standing(tx, held)


def standing(tx: Tx, held: Subscription) -> Standing:
    line = next(each for each in subscriptions.lines(tx, held.id) if each.plan_id == held.plan_id)
    return Standing(line.quantity, usage.newest(tx, held.id))


def price(ports: Ports, subscription_id: str) -> Preview | None:
    """What the missing seats cost now, kept as an offer that `seat_change.commit` carries out; None where none are.

    Raises what `seat_change.preview` raises.
    """
    with ports.db.transaction() as tx:
        found = standing(tx, subscriptions.get(tx, subscription_id))
    if not found.missing:
        return None
    return seat_change.preview(ports, subscription_id, Wanted(seats=found.seats + found.missing))
