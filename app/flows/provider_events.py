"""What the payment provider tells us: each event leads to a fetch of what it is about, in any order, any number.

A refund or dispute may be told before the payment it is about: then that payment is settled first.
"""

from collections.abc import Mapping
from typing import Any

from app.core import inbox, jobs
from app.core.clock import transport_now
from app.core.db import Tx
from app.core.errors import NotFound
from app.flows import bulk_charging, dispute, purchase, refund
from app.flows.ports import Ports
from app.payments import refunds
from app.payments.provider import DisputeReport, PaymentReport, RefundReport

Report = PaymentReport | RefundReport | DisputeReport


@jobs.job("payments.handle_event", retry=jobs.Retry(attempts=12, first=2, factor=3, cap=3600))
def handle_event(ports: Ports, *, event_id: int) -> None:
    """Act on one stored event: its effect and the mark that it was handled are one transaction."""
    with ports.db.transaction() as tx:
        event = inbox.lock_unhandled(tx, event_id)
        if event is None:
            return
        if not any(event.payload.get(name) for name in ("payment_ref", "refund_ref", "dispute_ref")):
            inbox.mark_handled(event, "not about a payment of ours", transport_now())
            return
    try:
        report = _fetch(ports, event.payload)
    except NotFound:
        # A refund or dispute of somebody else's charge; a payment that nobody here asked for raises further down.
        if not event.payload.get("refund_ref") and not event.payload.get("dispute_ref"):
            raise
        report = None
    with ports.db.transaction() as tx:
        event = inbox.lock_unhandled(tx, event_id)
        if event is not None:
            outcome = apply(tx, ports, report) if report is not None else "not_ours"
            inbox.mark_handled(event, outcome, transport_now())


def apply(tx: Tx, ports: Ports, report: Report) -> str:
    """Act on what was fetched; says what was done, in a word."""
    if isinstance(report, RefundReport):
        return refund.apply(tx, ports, report)
    if isinstance(report, DisputeReport):
        return dispute.apply(tx, ports, report)
    return bulk_charging.take_report(tx, ports, report)


def _fetch(ports: Ports, named: Mapping[str, Any]) -> Report:
    if ref := named.get("refund_ref"):
        report: RefundReport | DisputeReport = ports.payments.report_refund(str(ref))
    elif ref := named.get("dispute_ref"):
        report = ports.payments.report_dispute(str(ref))
    else:
        return ports.payments.report(str(named["payment_ref"]))
    _settle_first(ports, report)
    return report


def _settle_first(ports: Ports, report: RefundReport | DisputeReport) -> None:
    """Complete the purchase whose money is going back, if its own event has not come yet."""
    with ports.db.transaction() as tx:
        known = refunds.payment_of_charge(tx, ports.payments.name, report.charge_ref)
    if known is None and report.payment_ref is not None:
        payment = ports.payments.report(report.payment_ref)
        with ports.db.transaction() as tx:
            purchase.apply_report(tx, ports, payment)
