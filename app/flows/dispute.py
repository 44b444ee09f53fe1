"""A contested payment: the provider holds the money until the card's owner or we are right (R-SUB-8).

Opened: the money is booked as held, and nothing else happens to the customer. Won: it comes back. Lost: it is a loss,
and the license is suspended. Whether a lost dispute also lowers the tax is for the law of the place: staff issue a
credit note where it does.
"""

from datetime import datetime
from typing import Final

from app.accounts.models import LegalEntity
from app.core import audit, events
from app.core.clock import local_date, transport_now
from app.core.db import Tx
from app.core.ids import new_id
from app.core.money import Money
from app.flows import consequences, invoicing, locks, provider_fees
from app.flows.consequences import Fact
from app.flows.ports import Ports
from app.invoices.models import Invoice
from app.ledger import service as ledger
from app.ledger.service import Code, Leg
from app.payments import refunds
from app.payments.models import DISPUTE_MOVES, Dispute, DisputeState, Payment
from app.payments.provider import DisputeReport, Standing

_FACTS: Final = {
    DisputeState.OPENED: Fact.DISPUTE_OPENED, DisputeState.WON: Fact.DISPUTE_WON, DisputeState.LOST: Fact.DISPUTE_LOST,
}  # fmt: skip
_CLOSED: Final = frozenset({DisputeState.WON, DisputeState.LOST})


def apply(tx: Tx, ports: Ports, report: DisputeReport) -> str:
    """Move a dispute to what the provider reports; says what was done, in a word.

    A state that the moves do not allow is an old report and changes nothing. Returns "not_ours" for a charge that is
    not known here.
    """
    if report.standing is Standing.INQUIRY:
        return "inquiry"
    payment = refunds.payment_of_charge(tx, ports.payments.name, report.charge_ref)
    invoice = invoicing.paid_with(tx, payment) if payment else None
    if payment is None or invoice is None:
        return "not_ours"
    now = ports.clock.now()
    invoice = locks.invoice_with_its_sale(tx, invoice.id)
    dispute = refunds.dispute_by_ref(tx, ports.payments.name, report.ref)
    if dispute is None:
        dispute = Dispute(
            id=new_id("dis"), account_id=payment.account_id, payment_id=payment.id, amount_minor=report.amount.minor,
            currency=report.amount.currency, state=DisputeState.OPENED, reason=report.reason,
            provider=payment.provider, provider_ref=report.ref, opened_at=now, updated_at=transport_now(),
        )  # fmt: skip
        tx.add(dispute)
        tx.flush()
        _take_effect(tx, dispute, invoice, now)
    _book_fees(tx, dispute, payment, invoice, report, now)
    target = DisputeState(report.standing.value)
    if target is dispute.state:
        return "known"
    if (str(dispute.state), str(target)) not in DISPUTE_MOVES:
        return "stale"
    dispute.state, dispute.updated_at = target, transport_now()
    dispute.closed_at = now if target in _CLOSED else None
    tx.flush()
    _take_effect(tx, dispute, invoice, now)
    return target.value


def _book_fees(
    tx: Tx, dispute: Dispute, payment: Payment, invoice: Invoice, report: DisputeReport, now: datetime
) -> None:
    """What the provider charges for it, and gives back once it is won."""
    entity = tx.get_one(LegalEntity, invoice.legal_entity_id)
    provider_fees.book(
        tx, payment, [each for each in report.fees if each.amount], dispute=dispute, legal_entity_id=entity.id,
        booked_on=local_date(now, entity.time_zone), now=now,
    )  # fmt: skip


def _take_effect(tx: Tx, dispute: Dispute, invoice: Invoice, now: datetime) -> None:
    amount = Money(dispute.amount_minor, dispute.currency)
    legs = {
        DisputeState.OPENED: [Leg(Code.DISPUTES_HELD, amount), Leg(Code.CLEARING, -amount, dispute.provider)],
        DisputeState.WON: [Leg(Code.CLEARING, amount, dispute.provider), Leg(Code.DISPUTES_HELD, -amount)],
        DisputeState.LOST: [Leg(Code.DISPUTE_LOSSES, amount), Leg(Code.DISPUTES_HELD, -amount)],
    }.get(dispute.state)
    if legs is not None:
        entity = tx.get_one(LegalEntity, invoice.legal_entity_id)
        ledger.book(
            tx, source=f"dispute_{dispute.state.value}:{dispute.id}", kind="dispute", account_id=dispute.account_id,
            legal_entity_id=invoice.legal_entity_id, booked_on=local_date(now, entity.time_zone),
            memo=f"Dispute about {invoice.number} {dispute.state.value}", legs=legs, now=now,
        )  # fmt: skip
    if (fact := _FACTS.get(dispute.state)) is not None:
        consequences.apply(tx, fact, invoice.subscription_id, order_id=invoice.order_id, now=now)
    word = f"dispute.{dispute.state.value}"
    total = {"amount": dispute.amount_minor, "currency": dispute.currency}
    events.append(tx, word, dispute.id, now=now, account_id=dispute.account_id, payment=dispute.payment_id,
                  invoice=invoice.id, total=total, reason=dispute.reason)  # fmt: skip
    audit.record(tx, dispute.account_id, actor="provider", action=word, subject=dispute.id, now=now,
                 details={"invoice": invoice.number, "total": total, "reason": dispute.reason})  # fmt: skip
