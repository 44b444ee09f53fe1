"""What the payment provider tells us: each event leads to a fetch of what it is about, in any order, any number.

Which kinds of events there are, and what each names, is a table of the adapter; what is done about what it names is the
table here. A refund or dispute may be told before the payment it is about: then that payment is settled first.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from structlog import get_logger

from app.core import inbox, jobs
from app.core.clock import transport_now
from app.core.db import Tx
from app.core.errors import NotFound
from app.core.inbox import InboxEvent
from app.flows import bulk_charging, cards, dispute, purchase, refund
from app.flows.ports import Ports
from app.payments import methods, refunds
from app.payments.provider import DisputeReport, PaymentReport, RefundReport

log = get_logger()


@dataclass(frozen=True, slots=True)
class Handler:
    """`fetch` asks the provider, outside every transaction; `apply` acts on the answer and says what was done."""

    fetch: Callable[[Ports, str], Any]
    apply: Callable[[Tx, Ports, Any], str]


def _fetch_payment(ports: Ports, ref: str) -> PaymentReport:
    return ports.payments.report(ref)


def _fetch_refund(ports: Ports, ref: str) -> RefundReport:
    report = ports.payments.report_refund(ref)
    _settle_first(ports, report)
    return report


def _fetch_dispute(ports: Ports, ref: str) -> DisputeReport:
    report = ports.payments.report_dispute(ref)
    _settle_first(ports, report)
    return report


def _fetch_refunds(ports: Ports, charge_ref: str) -> list[RefundReport]:
    """Of a charge of which something went back: every refund, oldest first, whoever made it."""
    reports = ports.payments.refunds_of(charge_ref)
    if reports:
        _settle_first(ports, reports[0])
    return reports[::-1]


def _apply_refunds(tx: Tx, ports: Ports, reports: list[RefundReport]) -> str:
    return " ".join(refund.apply(tx, ports, each) for each in reports) or "nothing went back"


def _fetch_cards(ports: Ports, customer_ref: str) -> list[cards.MethodReport]:
    """Of a customer that was deleted there: every card that we count on."""
    with ports.db.transaction() as tx:
        known = methods.of_customer(tx, ports.payments.name, customer_ref)
    return [cards.fetch(ports, ref) for ref in known]


def _apply_cards(tx: Tx, ports: Ports, reports: list[cards.MethodReport]) -> str:
    return " ".join(cards.apply_method(tx, ports, each) for each in reports) or "not_ours"


# The first that an event names is what it is about: refunds and disputes name their payment as well.
HANDLERS: Final[Mapping[str, Handler]] = {
    "refund_ref": Handler(_fetch_refund, refund.apply),
    "dispute_ref": Handler(_fetch_dispute, dispute.apply),
    "charge_ref": Handler(_fetch_refunds, _apply_refunds),
    "setup_ref": Handler(lambda ports, ref: ports.payments.report_setup(ref), cards.apply),
    "method_ref": Handler(cards.fetch, cards.apply_method),
    "customer_ref": Handler(_fetch_cards, _apply_cards),
    "payment_ref": Handler(_fetch_payment, bulk_charging.take_report),
}


@jobs.job("payments.handle_event", retry=jobs.Retry(attempts=12, first=2, factor=3, cap=3600))
def handle_event(ports: Ports, *, event_id: int) -> None:
    """Act on one stored event: its effect and the mark that it was handled are one transaction.

    Raises NotFound for a payment or card that carries an id of ours which does not exist here: somebody has to look.
    """
    with ports.db.transaction() as tx:
        event = inbox.lock_unhandled(tx, event_id)
        if event is None:
            return
        about = _about(event)
        if about is None:
            inbox.mark_handled(event, "not about anything of ours", transport_now())
            return
    handler, ref = about
    try:
        report = handler.fetch(ports, ref)
    except NotFound as exc:
        # Other software at the same account of the provider, or something that was deleted there meanwhile.
        log.info("payments.event_not_ours", kind=event.type, why=exc.detail)
        report = None
    with ports.db.transaction() as tx:
        event = inbox.lock_unhandled(tx, event_id)
        if event is not None:
            outcome = handler.apply(tx, ports, report) if report is not None else "not_ours"
            inbox.mark_handled(event, outcome, transport_now())


def _about(event: InboxEvent) -> tuple[Handler, str] | None:
    for name, handler in HANDLERS.items():
        if ref := event.payload.get(name):
            return handler, str(ref)
    return None


def _settle_first(ports: Ports, report: RefundReport | DisputeReport) -> None:
    """Complete the purchase whose money is going back, if its own event has not come yet."""
    with ports.db.transaction() as tx:
        known = refunds.payment_of_charge(tx, ports.payments.name, report.charge_ref)
    if known is None and report.payment_ref is not None:
        payment = ports.payments.report(report.payment_ref)
        with ports.db.transaction() as tx:
            purchase.apply_report(tx, ports, payment)
