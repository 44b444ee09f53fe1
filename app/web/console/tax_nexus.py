"""How near each registration threshold is: a bar for each place, and the crossings that wait for a person."""

import csv
import io
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from app.accounts.permissions import StaffPermission as May
from app.accounts.sessions import SignedInStaff
from app.core import ids, policy
from app.core.db import Tx as Session
from app.core.errors import NotFound
from app.flows import nexus_alerts
from app.reports.nexus_meter import WHOLE, Meter
from app.tax.models import NexusAlert
from app.web import auth, charts
from app.web.console.render import Note, Reader, attempt, can, form_for, page, reason
from app.web.console.tax_overrides import TaxKeeper, tabs
from app.web.console.tax_views import AlertRow, MeterRow, NexusView
from app.web.deps import Now, Tx, Wired
from app.web.views import Form

router = APIRouter()
Bookkeeper = Annotated[SignedInStaff, Depends(auth.staff(May.REPORTS_READ))]
AT: Final = "/console/tax/nexus"
_COUNTS: Final = {
    "gross": "every sale", "retail": "sales not for resale", "taxable": "sales not known to be exempt",
    "consumers": "sales to consumers", "all": "every sale", "cross_border": "sales to consumers across borders",
}  # fmt: skip
COLUMNS: Final = (
    "jurisdiction", "name", "registered", "percent", "currency", "sales", "threshold", "transactions",
    "threshold_transactions", "both", "counts", "from", "to", "grade", "unconverted", "note",
)  # fmt: skip


@router.get(AT)
def shown(request: Request, tx: Tx, now: Now, who: Reader) -> Response:
    return _page(request, tx, now, who, Form(), 200)


@router.get(AT + ".csv")
def as_csv(tx: Tx, now: Now, _who: Bookkeeper) -> Response:
    """Every meter as a row; the same day and books give the same bytes."""
    found = nexus_alerts.meters(tx, now)
    headers = {"Content-Disposition": f'attachment; filename="nexus_{now.date()}.csv"'}
    return Response(written(found), headers=headers, media_type="text/csv; charset=utf-8; header=present")


@router.post(AT + "/{alert_id}/seen")
def seen(request: Request, ports: Wired, now: Now, who: TaxKeeper, alert_id: str, note: Note = "") -> Response:
    """Somebody knows, and says what comes of it."""
    ids.require_form("tna", alert_id)
    with ports.db.session() as tx:
        if tx.get(NexusAlert, alert_id) is None:
            raise NotFound("There is no such alert.")

    def deed() -> None:
        with ports.db.session() as tx:
            nexus_alerts.see(tx, alert_id, note=reason(note), by=who.staff_id, now=now)

    def again(tx: Session, told: Form, status: int) -> Response:
        return _page(request, tx, now, who, told, status)

    return attempt(ports, f"seen-{alert_id}", {"note": note}, deed, again, to=AT, done="nexus-seen")


def written(found: Sequence[Meter]) -> str:
    """Nothing in it was typed by a customer, so no cell can be a formula."""
    file = io.StringIO(newline="")
    rows = csv.writer(file)
    rows.writerow(COLUMNS)
    for each in found:
        threshold = each.threshold
        rows.writerow((
            each.jurisdiction, each.name, str(each.registered).lower(), each.percent, each.sales.currency,
            each.sales.major(), threshold.amount.major(), each.transactions, threshold.transactions or "",
            str(threshold.both).lower(), threshold.counts, each.since, each.until, each.grade,
            " ".join(map(str, each.unconverted)), threshold.note,
        ))  # fmt: skip
    return file.getvalue()


def _page(request: Request, tx: Session, now: datetime, who: SignedInStaff, form: Form, status: int) -> Response:
    near = min(policy.get(tx, nexus_alerts.NEAR, now), WHOLE)
    found = nexus_alerts.meters(tx, now)
    moving = [each for each in found if each.percent or each.registered or each.sales or each.unconverted]
    quiet = sorted(each.name for each in found if each not in moving)
    writes = can(who, May.TAX_WRITE)
    view = NexusView(
        tabs=tabs(AT), meters=tuple(_row(each, near) for each in moving), near=near, whole=form,
        quiet=", ".join(quiet), csv_href=f"{AT}.csv" if can(who, May.REPORTS_READ) else "",
        alerts=tuple(_alert(each, writes=writes, form=form) for each in nexus_alerts.waiting(tx)),
    )  # fmt: skip
    return page(request, tx, view, who, status=status)


def _alert(alert: NexusAlert, *, writes: bool, form: Form) -> AlertRow:
    return AlertRow(
        id=alert.id, title=told(alert), detail=f"{alert.figures['percent']} % on {alert.raised_at:%d %b %Y}.",
        href=f"{AT}/{alert.id}/seen" if writes else "", form=form_for(f"seen-{alert.id}", form),
    )  # fmt: skip


def told(alert: NexusAlert) -> str:
    """What an alert says in a list."""
    name = str(alert.figures["name"])
    return f"{name}: a registration is due" if alert.level >= WHOLE else f"{name}: a registration comes near"


def _row(meter: Meter, near: int) -> MeterRow:
    threshold = meter.threshold
    of = str(threshold.amount) if threshold.amount else "the first sale"
    count = ""
    if threshold.transactions is not None:
        joined = "and" if threshold.both else "or"
        count = f" {joined} {meter.transactions:,} of {threshold.transactions:,} documents"
    left = f" Without {', '.join(map(str, meter.unconverted))}: no exchange rate." if meter.unconverted else ""
    months = f"{meter.since:%b %Y} to {meter.until:%b %Y}"
    doubt = "Sources disagree. " if meter.grade == "C" else ""
    return MeterRow(
        place=meter.name, code=meter.jurisdiction, percent=meter.percent,
        width=charts.on_scale(meter.percent, 0, WHOLE), mark=charts.on_scale(near, 0, WHOLE),
        tone=_tone(meter, near), words=_words(meter, near),
        figures=f"{meter.sales} of {of}{count}; {_COUNTS[threshold.counts]}, {months}.",
        note=f"{doubt}{threshold.note}{left}".strip(),
    )  # fmt: skip


def _tone(meter: Meter, near: int) -> str:
    if meter.registered:
        return "registered"
    return "reached" if meter.percent >= WHOLE else "near" if meter.percent >= near else ""


def _words(meter: Meter, near: int) -> str:
    if meter.registered:
        return "Registered"
    return {"reached": "Reached", "near": "Near", "": "Below"}[_tone(meter, near)]
