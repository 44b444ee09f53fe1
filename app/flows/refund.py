"""Money back: looked at first, asked for by one person and above a limit let go by another, sent once, recorded.

A refund is a credit note and an order to the provider. Both are written in one transaction (the note makes the money
owed to the buyer, in refunds payable); a job asks the provider under the refund's own id; the report, whoever brings
it, moves the refund. What customer credit paid of the invoice is credit again (`ways_back`), and so is what cannot be
sent.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Final

from structlog import get_logger

from app.accounts.models import LegalEntity
from app.core import audit, events, jobs, policy
from app.core.clock import local_date, transport_now
from app.core.db import Tx
from app.core.errors import DomainError
from app.core.ids import new_id
from app.core.money import Money
from app.core.states import require_move
from app.flows import changing, completion, consequences, crediting, invoicing, locks, provider_fees, ways_back
from app.flows.consequences import Effects, Fact
from app.flows.crediting import SettlementDoesNotFit
from app.flows.ports import Ports
from app.invoices import service as invoices
from app.invoices.credit_notes import Part, Settlement
from app.invoices.crediting import Credit
from app.invoices.errors import CreditTooLarge, NotCreditable, NothingToCredit
from app.invoices.models import CreditNote, CreditReason, Invoice
from app.ledger import service as ledger
from app.ledger.service import Code, Leg
from app.orders import service as orders
from app.orders.models import Order
from app.payments import credit, refunds
from app.payments.errors import PaymentRefused
from app.payments.models import CreditKind, Payment, Refund, RefundState
from app.payments.provider import KEYS_LAST, Fee, Outcome, RefundReport

log = get_logger()

SECOND_PERSON: Final = policy.declare(
    policy.Policy(
        "refunds.second_person_above", {"USD": 100_000, "EUR": 100_000, "GBP": 100_000}, policy.minor_by_currency,
        "Refunds above this, in minor units, need a second person; so do those in a currency without a figure.",
    )
)  # fmt: skip
_ASK_AFTER: Final = timedelta(minutes=10)
PROVIDER: Final = "provider"


class SecondPersonNeeded(DomainError):
    status, slug, title = HTTPStatus.FORBIDDEN, "second-person-needed", "A second person has to decide"


class RefundChanged(DomainError):
    """What would be credited now differs from what was asked for."""

    slug, title = "refund-changed", "The figures are different now"


@dataclass(frozen=True, slots=True)
class Asked:
    """`nets` by line of the invoice, or `total` with tax, or neither: all that is left.

    `revoke` None leaves the license to the rule: a full refund revokes, a partial one does not (R-SUB-8).
    """

    invoice_id: str
    nets: Mapping[int, int] | None = None
    total: int | None = None
    reason: CreditReason = CreditReason.CANCELLATION
    revoke: bool | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a refund would do, before anybody decides: `amount` goes back over the provider, `to_credit` is customer
    credit again.
    """

    given: Credit
    amount: Money
    to_credit: Money
    full: bool
    revoke: bool
    effects: Effects
    payment: Payment
    limit: Money | None
    second_person: bool


def outlook(tx: Tx, ports: Ports, asked: Asked) -> Outlook:
    """Raises NotRefundable, NotCreditable, CreditTooLarge, NothingToCredit, Invalid."""
    invoice = invoices.get(tx, asked.invoice_id)
    given, full = crediting.worked_out(tx, invoice, asked.nets, asked.total)
    payment, amount, to_credit = ways_back.find(tx, ports, invoice, Money(given.total, invoice.currency))
    revoke = full if asked.revoke is None else asked.revoke
    figure = policy.get(tx, SECOND_PERSON, ports.clock.now()).get(invoice.currency)
    return Outlook(
        given=given, amount=amount, to_credit=to_credit, full=full, revoke=revoke, payment=payment,
        effects=consequences.foresee(
            tx, _fact(revoke, orders.get(tx, invoice.order_id)), invoice.subscription_id, order_id=invoice.order_id
        ),
        limit=None if figure is None else Money(figure, invoice.currency),
        second_person=figure is None or given.total > figure,
    )  # fmt: skip


def request(ports: Ports, asked: Asked, *, by: str, alone: bool = False) -> Refund:
    """Begin the refund, or above the limit write down that it is asked for.

    `alone` refuses instead of waiting for a second person. Raises as `outlook` does, and SecondPersonNeeded.
    """
    with ports.db.transaction() as tx:
        invoice = locks.invoice_with_its_sale(tx, asked.invoice_id)
        seen = outlook(tx, ports, asked)
        if seen.second_person and alone:
            raise SecondPersonNeeded(f"Above {seen.limit} a second person decides: ask under /v1/refunds.")
        now, refund_id = ports.clock.now(), new_id("ref")
        note = None
        if not seen.second_person:
            note = _credit(tx, invoice, seen.given, asked.reason, by, now, asked.nets, to_credit=seen.to_credit)
        refund = Refund(
            id=refund_id, account_id=invoice.account_id, payment_id=seen.payment.id, invoice_id=invoice.id,
            credit_note_id=note.id if note else None, amount_minor=seen.amount.minor, currency=seen.amount.currency,
            to_credit_minor=seen.to_credit.minor,
            state=RefundState.PENDING if note else RefundState.REQUESTED, reason=asked.reason.value, note=asked.note,
            nets={str(line): net for line, net in (asked.nets or {}).items()}, revoke=seen.revoke, requested_by=by,
            provider=seen.payment.provider, created_at=now, updated_at=transport_now(),
        )  # fmt: skip
        tx.add(refund)
        tx.flush()
        _tell(tx, refund, "refund.begun" if note else "refund.requested", by, now)
        if note:
            jobs.defer(tx, send, refund_id=refund.id)
    return refund


def approve(ports: Ports, refund_id: str, *, by: str) -> Refund:
    """A second person lets it go. Raises SecondPersonNeeded for whoever asked, RefundChanged, and as `outlook`."""
    with ports.db.transaction() as tx:
        invoice = locks.invoice_with_its_sale(tx, refunds.get(tx, refund_id).invoice_id)
        refund = refunds.lock(tx, refund_id)
        require_move("refund", refund.state, RefundState.PENDING)
        if refund.requested_by == by:
            raise SecondPersonNeeded("You asked for it; somebody else has to let it go.")
        nets = {int(line): int(net) for line, net in refund.nets.items()}
        whole = refund.amount_minor + refund.to_credit_minor
        given, _ = crediting.worked_out(tx, invoice, nets or None, None if nets else whole)
        _, amount, to_credit = ways_back.find(tx, ports, invoice, Money(given.total, invoice.currency))
        if (amount.minor, to_credit.minor) != (refund.amount_minor, refund.to_credit_minor):
            raise RefundChanged("Something was credited meanwhile; reject this refund and ask anew.")
        now = ports.clock.now()
        note = _credit(tx, invoice, given, CreditReason(refund.reason), by, now, nets, to_credit=to_credit)
        refund.credit_note_id, refund.state, refund.decided_by = note.id, RefundState.PENDING, by
        refund.updated_at = transport_now()
        tx.flush()
        _tell(tx, refund, "refund.begun", by, now)
        jobs.defer(tx, send, refund_id=refund.id)
    return refund


def reject(ports: Ports, refund_id: str, *, by: str, note: str) -> Refund:
    """A second person says no; whoever asked may take it back themselves only by asking one."""
    with ports.db.transaction() as tx:
        refund = refunds.lock(tx, refund_id)
        require_move("refund", refund.state, RefundState.REJECTED)
        if refund.requested_by == by:
            raise SecondPersonNeeded("You asked for it; somebody else has to decide.")
        refund.state, refund.decided_by, refund.updated_at = RefundState.REJECTED, by, transport_now()
        tx.flush()
        _tell(tx, refund, "refund.rejected", by, ports.clock.now(), why=note)
    return refund


@jobs.job("refunds.send", retry=jobs.Retry(attempts=12, first=5, factor=3, cap=3600))
def send(ports: Ports, *, refund_id: str) -> None:
    """Ask the provider, once however often it is run; a definite no is a failed refund."""
    with ports.db.transaction() as tx:
        refund = refunds.get(tx, refund_id)
        payment = tx.get_one(Payment, refund.payment_id)
    if refund.state is not RefundState.PENDING:
        return
    try:
        report = _ask(ports, refund, payment)
    except PaymentRefused as refused:
        code = str(refused.extra.get("reason", "refused"))
        report = RefundReport(refund.id, payment.provider_ref, None, Money(refund.amount_minor, refund.currency),
                              Outcome.FAILED, refund.id, code)  # fmt: skip
    with ports.db.transaction() as tx:
        apply(tx, ports, report)


def _ask(ports: Ports, refund: Refund, payment: Payment) -> RefundReport:
    """Providers forget idempotency keys after a day: from then on a refund is looked up before it is asked for."""
    if refund.provider_ref is not None:
        return ports.payments.report_refund(refund.provider_ref)
    if transport_now() - refund.updated_at >= KEYS_LAST:
        found = ports.payments.find_refund(payment.provider_ref, refund.id)
        if found is not None:
            return found
    amount = Money(refund.amount_minor, refund.currency)
    return ports.payments.refund(payment.provider_ref, amount, refund_id=refund.id)


@jobs.job("refunds.ask_about_open", every="*/5 * * * *", retry=jobs.Retry(attempts=1))
def ask_about_open(ports: Ports) -> None:
    """Events get lost: ask about every refund on its way that nobody told us about for ten minutes."""
    with ports.db.transaction() as tx:
        for refund_id in refunds.unanswered(tx, transport_now() - _ASK_AFTER):
            jobs.defer(tx, send, once=f"refund:{refund_id}", refund_id=refund_id)


def apply(tx: Tx, ports: Ports, report: RefundReport) -> str:
    """Move a refund to what the provider reports, one made at the provider included; says what was done, in a word.

    The invoice's lock makes reports take turns, so each effect happens once and in no order but the table's.
    Returns "not_ours" for a charge that is not known here.
    """
    refund_id = report.refund_id or _known(tx, ports, report)
    now = ports.clock.now()
    if refund_id is None:
        made = _made_elsewhere(tx, ports, report, now)
        if isinstance(made, str):
            return made
        refund = made
    else:
        locks.invoice_with_its_sale(tx, refunds.get(tx, refund_id).invoice_id)
        refund = refunds.lock(tx, refund_id)
    if refund.provider_ref is None and report.ref != refund.id:
        refund.provider_ref = report.ref
        tx.flush()
    if report.fee is not None and report.fee.amount:
        _book_fee(tx, refund, report.fee, now)
    if report.outcome is Outcome.SUCCEEDED and refund.state is RefundState.PENDING:
        return _succeed(tx, ports, refund, now)
    if report.outcome is Outcome.FAILED and refund.state in {RefundState.PENDING, RefundState.SUCCEEDED}:
        return _fail(tx, refund, report.failure_code or "unknown", now)
    return "known"


def _known(tx: Tx, ports: Ports, report: RefundReport) -> str | None:
    row = refunds.by_ref(tx, ports.payments.name, report.ref)
    return row.id if row else None


def _succeed(tx: Tx, ports: Ports, refund: Refund, now: datetime) -> str:
    """The money left the provider; what it means for the license is the table's row."""
    invoice = invoices.get(tx, refund.invoice_id)
    amount = Money(refund.amount_minor, refund.currency)
    _book(tx, invoice, f"refund:{refund.id}", "refund", f"Refund of {invoice.number}",
          [Leg(Code.REFUNDS_PAYABLE, amount), Leg(Code.CLEARING, -amount, refund.provider)], now)  # fmt: skip
    refund.state, refund.updated_at = RefundState.SUCCEEDED, transport_now()
    tx.flush()
    order = orders.get(tx, invoice.order_id)
    fact = _fact(refund.revoke, order)
    if fact is Fact.EXPANSION_REFUNDED:
        completion.without(tx, ports, order, by=refund.requested_by, now=now)
    else:
        consequences.apply(tx, fact, invoice.subscription_id, order_id=order.id, now=now, by=refund.requested_by)
    _tell(tx, refund, "refund.succeeded", PROVIDER, now)
    jobs.defer(tx, "notify.refund", refund_id=refund.id)
    return "succeeded"


def _book_fee(tx: Tx, refund: Refund, fee: Fee, now: datetime) -> None:
    """What the provider keeps for sending it."""
    entity = tx.get_one(LegalEntity, invoices.get(tx, refund.invoice_id).legal_entity_id)
    provider_fees.book(
        tx, tx.get_one(Payment, refund.payment_id), [fee], refund=refund, legal_entity_id=entity.id,
        booked_on=local_date(now, entity.time_zone), now=now,
    )  # fmt: skip


def _fail(tx: Tx, refund: Refund, code: str, now: datetime) -> str:
    """The money is the buyer's and could not be sent: it becomes their credit."""
    invoice = invoices.get(tx, refund.invoice_id)
    amount = Money(refund.amount_minor, refund.currency)
    came_back = refund.state is RefundState.SUCCEEDED
    source = Leg(Code.CLEARING, amount, refund.provider) if came_back else Leg(Code.REFUNDS_PAYABLE, amount)
    _book(tx, invoice, f"refund_failed:{refund.id}", "refund_failed", f"Refund of {invoice.number} could not be sent",
          [source, Leg(Code.CUSTOMER_CREDIT, -amount)], now)  # fmt: skip
    credit.give(tx, refund.account_id, amount, kind=CreditKind.REFUND_FAILED, source=f"refund:{refund.id}", now=now)
    refund.state, refund.failure_code, refund.updated_at = RefundState.FAILED, code, transport_now()
    tx.flush()
    _tell(tx, refund, "refund.failed", PROVIDER, now, code=code)
    jobs.defer(tx, "notify.refund_kept", refund_id=refund.id)
    return "failed"


def _made_elsewhere(tx: Tx, ports: Ports, report: RefundReport, now: datetime) -> Refund | str:
    """Somebody sent money back at the provider: credited and written down like one of ours.

    One that failed before we heard of it ends like one that failed afterwards: as the customer's credit. What cannot
    be credited (it was given as customer credit already) is kept in sight for finance, never booked as
    something it is not.
    """
    payment = refunds.payment_of_charge(tx, ports.payments.name, report.charge_ref)
    invoice = invoicing.paid_with(tx, payment) if payment else None
    if payment is None or invoice is None:
        return "not_ours"
    invoice = locks.invoice_with_its_sale(tx, invoice.id)
    known = refunds.by_ref(tx, ports.payments.name, report.ref)
    if known is not None:
        return refunds.lock(tx, known.id)
    try:
        given, full = crediting.worked_out(tx, invoice, None, report.amount.minor)
        note = _credit(tx, invoice, given, CreditReason.CORRECTION, PROVIDER, now, None)
    except (CreditTooLarge, NotCreditable, SettlementDoesNotFit, NothingToCredit) as refused:
        return _set_aside(tx, invoice, report, refused, now)
    refund = Refund(
        id=new_id("ref"), account_id=invoice.account_id, payment_id=payment.id, invoice_id=invoice.id,
        credit_note_id=note.id, amount_minor=report.amount.minor, currency=report.amount.currency,
        state=RefundState.PENDING, reason=CreditReason.CORRECTION.value, nets={}, revoke=full, requested_by=PROVIDER,
        provider=payment.provider, provider_ref=report.ref, created_at=now, updated_at=transport_now(),
    )  # fmt: skip
    tx.add(refund)
    tx.flush()
    _tell(tx, refund, "refund.begun", PROVIDER, now)
    return refund


def _set_aside(tx: Tx, invoice: Invoice, report: RefundReport, why: DomainError, now: datetime) -> str:
    details = {"amount": report.amount.minor, "currency": report.amount.currency, "refund": report.ref, "why": why.slug}
    audit.record(tx, invoice.account_id, actor=PROVIDER, action="refund.unmatched", subject=invoice.id, now=now,
                 details=details)  # fmt: skip
    events.append(tx, "refund.unmatched", invoice.id, now=now, account_id=invoice.account_id, why=why.slug)
    log.error("refund.unmatched", invoice=invoice.id, why=why.slug)
    return "unmatched"


def _credit(
    tx: Tx, invoice: Invoice, given: Credit, reason: CreditReason, actor: str, now: datetime,
    nets: Mapping[int, int] | None, *, to_credit: Money | None = None,
) -> CreditNote:  # fmt: skip
    kept = to_credit or Money.zero(invoice.currency)
    settlement = Settlement.split(refund=Money(given.total, invoice.currency) - kept, balance=kept)
    parts = [Part(line, Money(net, invoice.currency)) for line, net in (nets or {}).items()]
    return crediting.issue(tx, invoice, given, reason=reason, settlement=settlement, actor=actor, now=now, parts=parts)


def _fact(revoke: bool, order: Order) -> Fact:
    if not revoke:
        return Fact.REFUND_PARTIAL
    return Fact.EXPANSION_REFUNDED if changing.can_take_back(order) else Fact.REFUND_FULL


def _book(tx: Tx, invoice: Invoice, source: str, kind: str, memo: str, legs: list[Leg], now: datetime) -> None:
    entity = tx.get_one(LegalEntity, invoice.legal_entity_id)
    ledger.book(
        tx, source=source, kind=kind, account_id=invoice.account_id, legal_entity_id=invoice.legal_entity_id,
        booked_on=local_date(now, entity.time_zone), memo=memo, legs=legs, now=now,
    )  # fmt: skip


def _tell(tx: Tx, refund: Refund, word: str, actor: str, now: datetime, **more: str) -> None:
    total = {"amount": refund.amount_minor, "currency": refund.currency}
    events.append(tx, word, refund.id, now=now, account_id=refund.account_id, invoice=refund.invoice_id, total=total)
    audit.record(tx, refund.account_id, actor=actor, action=word, subject=refund.id, now=now,
                 details={"invoice": refund.invoice_id, "total": total, **more})  # fmt: skip
