"""Registration thresholds that come near or are reached: said once for each crossing, to finance, and kept until seen.

The first tick of a day reads the meters; a meter whose place has a registration is not spoken of.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col

from app.accounts import service as accounts
from app.accounts.models import LegalEntity
from app.core import audit, events, jobs, policy
from app.core.clock import local_date
from app.core.db import Tx
from app.core.errors import NotFound, Unavailable
from app.core.ids import new_id
from app.documents.mail_shapes import MailName, NexusReached
from app.flows import notify
from app.flows.ports import Ports
from app.reports import nexus_meter
from app.reports.nexus_meter import WHOLE, Meter
from app.tax.models import NexusAlert, NexusReading

NEAR: Final = policy.declare(
    policy.Policy("nexus_warning_percent", 80, policy.whole_number(minimum=1),
                  "Percent of a registration threshold at which finance is told that it comes near.")
)  # fmt: skip


def meters(tx: Tx, now: datetime) -> list[Meter]:
    """How near the seller is to each threshold, the nearest first. Raises Unavailable before a catalog was applied."""
    entity = accounts.seller(tx)
    return nexus_meter.read(tx, entity, accounts.registrations(tx, entity.id), now)


def read_due(ports: Ports) -> int:
    """Read the meters once a day and tell what was crossed; returns how many alerts were raised."""
    with ports.db.transaction() as tx:
        now = ports.clock.now()
        try:
            entity = accounts.seller(tx)
        except Unavailable:
            return 0  # nothing is sold here yet
        today = {"legal_entity_id": entity.id, "read_on": local_date(now, entity.time_zone)}
        first = insert(NexusReading).values(today).on_conflict_do_nothing().returning(col(NexusReading.read_on))
        if tx.execute(first).first() is None:
            return 0
        return _compare(tx, entity, nexus_meter.read(tx, entity, accounts.registrations(tx, entity.id), now), now)


def _compare(tx: Tx, entity: LegalEntity, found: list[Meter], now: datetime) -> int:
    """Raise what was crossed and is not open yet; clear what fell below again or was registered for."""
    near = min(policy.get(tx, NEAR, now), WHOLE)
    opened = _open(tx, entity.id)
    raised = 0
    for meter in found:
        for level in sorted({near, WHOLE}):
            reached = not meter.registered and meter.percent >= level
            alert = opened.get((meter.jurisdiction, level))
            # Where both were crossed since the last reading, one mail is enough.
            overtaken = level < WHOLE <= meter.percent
            if reached and alert is None and not overtaken:
                raised += 1
                _raise(tx, entity, meter, level, now)
            elif alert is not None and not reached:
                alert.cleared_at = now
    # Levels of an earlier policy are asked no more.
    for (_, level), alert in opened.items():
        if level not in {near, WHOLE}:
            alert.cleared_at = now
    return raised


def _open(tx: Tx, legal_entity_id: str) -> Mapping[tuple[str, int], NexusAlert]:
    query = select(NexusAlert).where(
        col(NexusAlert.legal_entity_id) == legal_entity_id, col(NexusAlert.cleared_at).is_(None)
    )
    return {(row.jurisdiction, row.level): row for row in tx.execute(query).scalars()}


def _raise(tx: Tx, entity: LegalEntity, meter: Meter, level: int, now: datetime) -> None:
    alert = NexusAlert(
        id=new_id("tna"), legal_entity_id=entity.id, jurisdiction=meter.jurisdiction, level=level,
        figures=meter.to_json(), raised_at=now,
    )  # fmt: skip
    tx.add(alert)
    tx.flush()
    events.append(tx, "tax.nexus_reached", alert.id, now=now, jurisdiction=meter.jurisdiction, level=level,
                  percent=meter.percent)  # fmt: skip
    jobs.defer(tx, send_alert, alert_id=alert.id)


@jobs.job("notify.nexus_reached", retry=jobs.Retry(attempts=10, first=5))
def send_alert(ports: Ports, *, alert_id: str) -> None:
    """The mail to the seller's own address."""
    with ports.db.transaction() as tx:
        alert, entity = tx.get_one(NexusAlert, alert_id), accounts.seller(tx)
        data = NexusReached(
            vendor=notify.vendor(ports, entity), place=alert.figures["name"], level=alert.level,
            percent=alert.figures["percent"], console_url=ports.link("/console/tax/nexus"),
        )  # fmt: skip
    notify.send(ports, MailName.NEXUS_REACHED, data, to=entity.email, locale="en", message_id=f"nexus-{alert.id}")


def waiting(tx: Tx) -> list[NexusAlert]:
    """Alerts that nobody has seen to, the oldest first."""
    query = select(NexusAlert).where(col(NexusAlert.cleared_at).is_(None), col(NexusAlert.seen_at).is_(None))
    return list(tx.execute(query.order_by(col(NexusAlert.raised_at), col(NexusAlert.id))).scalars())


def see(tx: Tx, alert_id: str, *, note: str, by: str, now: datetime) -> NexusAlert:
    """Somebody knows and says what comes of it. Seeing it again changes nothing. Raises NotFound."""
    query = select(NexusAlert).where(col(NexusAlert.id) == alert_id).with_for_update()
    alert = tx.execute(query).scalar_one_or_none()
    if alert is None:
        raise NotFound("There is no such alert.")
    if alert.seen_at is None:
        alert.seen_at, alert.seen_by, alert.seen_note = now, by, note
        audit.record(tx, audit.SYSTEM, actor=by, action="tax.nexus_seen", subject=alert.id, now=now,
                     details={"jurisdiction": alert.jurisdiction, "level": alert.level, "note": note})  # fmt: skip
    return alert
