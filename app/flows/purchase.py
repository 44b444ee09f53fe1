"""A purchase: from an accepted preview to the provider's page, and from its event to a completed order.

`start` writes down what is intended, asks the provider, writes down its answer. `settle` fetches the
payment again, whatever an event claimed, and completes the order once, however often it is told.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from app.accounts import service as accounts
from app.accounts.models import Account, BuyerType
from app.agreements import service as agreements
from app.agreements.service import Evidence, TermsNotAccepted
from app.catalog import coupons
from app.core import audit, events, jobs, policy
from app.core.clock import local_date, transport_now
from app.core.db import Tx
from app.core.errors import Invalid, NotFound
from app.core.money import Money
from app.dunning import service as dunning
from app.flows import (
    asking_tax,
    attesting,
    cards,
    changing,
    completion,
    fitting,
    invoice_payment,
    ordering,
    pay_page,
    saved_card,
    trade_credit,
    unmatched,
)
from app.flows import preview as previews
from app.flows.party_screening import of_order as screen_buyer
from app.flows.ports import Ports
from app.invoices import service as invoices
from app.invoices.models import InvoiceState
from app.orders import service as orders
from app.orders.errors import AlreadyRenewed, NeedsQuote, OrderClosed, PreviewChanged, PreviewExpired
from app.orders.models import OfferSource, Order, OrderKind, OrderState, PayBy, Preview, Route
from app.payments import credit
from app.payments import service as payments
from app.payments.errors import CreditOverdrawn
from app.payments.models import AttemptState, PaymentAttempt
from app.payments.provider import Outcome, PaymentReport
from app.screening import attestations
from app.screening.attestations import OwnershipNotAttested
from app.screening.models import CheckOutcome
from app.screening.service import PartyRefused
from app.subscriptions import service as subscriptions

PAYMENT_HOURS: Final = policy.declare(
    policy.Policy(
        "order_payment_hours", 23, policy.whole_number(minimum=1), "How long an unpaid card order waits (R-SUB-7)."
    )
)
_ASK_AFTER: Final = timedelta(minutes=10)
ORDER_TOKEN: Final = orders.TOKEN
_OVER: Final = frozenset({AttemptState.FAILED, AttemptState.EXPIRED})


@dataclass(frozen=True, slots=True)
class Started:
    """`token` opens the order's page without signing in; `payment_url` is None for an order held for review."""

    order_id: str
    token: str
    state: OrderState
    payment_url: str | None


@dataclass(frozen=True, slots=True)
class Placing:
    """What the buyer did when ordering. `terms_id` is the version that was shown."""

    preview_id: str
    terms_id: str
    evidence: Evidence
    po_number: str = ""
    account_id: str | None = None  # the signed-in buyer's account
    term_starts_on: date | None = None  # of a renewal
    pay_by: PayBy = PayBy.CARD
    ownership: bool = False  # the statement about the ownership was ticked


def start(ports: Ports, placing: Placing, *, open_page: bool = True) -> Started:
    """Order what the preview offers. A second click on the same preview gets the same order.

    `open_page=False` leaves the provider's page closed, for a saved card that is charged instead. An order on
    invoice is completed at once.

    Raises PreviewExpired, PreviewChanged (with a new preview), NeedsQuote, TermsNotAccepted, ResidenceNeeded, Invalid
    (a missing detail), InvoiceNotOffered, PartyRefused, OwnershipNotAttested, PaymentUnavailable (the order stands
    and can be paid later).
    """
    try:
        order = _placed(ports, placing)
    except CreditOverdrawn:  # another order was quicker with the credit; this one is priced again without it
        order = _placed(ports, placing)
    if open_page:
        return resume(ports, order.id)
    return Started(order.id, ports.secrets.sign_token(ORDER_TOKEN, order.id), order.state, None)


def _placed(ports: Ports, placing: Placing) -> Order:
    def place(tx: Tx) -> tuple[Order | previews.Offer | PartyRefused, Preview | None]:
        found = _place(tx, ports, placing)
        return found, previews.keep(tx, found, ports.clock.now()) if isinstance(found, previews.Offer) else None

    found, fresh = asking_tax.answered(ports, place)
    if isinstance(found, Order):
        return found
    if isinstance(found, PartyRefused):  # raised here, so that the case and its record are kept
        raise found
    raise PreviewChanged("The price, the tax, your credit or the route is different now; look at the new figures.",
                         preview=fresh.id if fresh else None)  # fmt: skip


def resume(ports: Ports, order_id: str) -> Started:
    """Lead the buyer on: to the provider's page of the order's open attempt, opening it if need be."""
    with ports.db.transaction() as tx:
        order = orders.get(tx, order_id)
        attempt = payments.latest_attempt(tx, order_id)
        if order.state is OrderState.AWAITING_PAYMENT and (attempt is None or attempt.state in _OVER):
            attempt = ordering.intend(tx, ports, order)
        locale = str(tx.get_one(Preview, order.preview_id).inputs["buyer"]["locale"])
    token = ports.secrets.sign_token(ORDER_TOKEN, order_id)
    url = None
    if order.state is OrderState.AWAITING_PAYMENT and attempt is not None:
        url = attempt.redirect_url or pay_page.open_for(
            ports, attempt, about=f"Order {order.id}", email=order.buyer_email, back_to=f"/orders/{token}",
            consent=cards.consent(ports, locale),
        )  # fmt: skip
    return Started(order_id, token, order.state, url)


def _place(tx: Tx, ports: Ports, placing: Placing) -> Order | previews.Offer | PartyRefused:
    """The order, old or new; or the changed offer that has to be shown first; or that nothing is sold to this buyer."""
    now = ports.clock.now()
    preview = orders.lock_preview(tx, placing.preview_id)
    known = orders.order_of_preview(tx, preview.id)
    if known is not None:
        return known
    if preview.source is OfferSource.QUOTE:
        raise NeedsQuote("This price belongs to a quote; accept it on the page of the quote.", param="preview")
    _require_open(tx, placing, preview, now)
    request = previews.asked_again(preview, by=placing.account_id)
    later = placing.pay_by is PayBy.INVOICE
    offer = previews.compute(tx, request, request.tax_ids, now, credit_of=placing.account_id)
    same_credit = later or (offer.credit or Money.zero(preview.currency)).minor == preview.credit_minor
    if not offer.equals(preview) or not same_credit:
        return offer
    if preview.route is Route.SALES:
        raise NeedsQuote(" ".join(each["sentence"] for each in preview.reasons), param="preview")
    buyer = request.buyer
    terms = agreements.terms_in_force(tx, now.date())
    if terms.id != placing.terms_id:
        raise TermsNotAccepted(f"Version {terms.version} of the terms is in force; accept it.", param="terms")
    account = accounts.get(tx, placing.account_id) if placing.account_id else accounts.account_for_buyer(tx, buyer, now)
    asked = attestations.asked(tx, business=buyer.type is BuyerType.BUSINESS, now=now)
    if asked and not placing.ownership and preview.kind is OrderKind.PURCHASE:
        raise OwnershipNotAttested
    screened = screen_buyer(tx, account, preview, now, test=ports.test_mode)
    if screened.outcome is CheckOutcome.BLOCKED:
        return PartyRefused()
    said = attesting.Said(buyer.name, buyer.email, buyer.company, placing.evidence) if placing.ownership else None
    # Further terms rest on what was said before; where that is missing or too old a person is asked.
    unsaid = said is None and asked and attesting.missing(tx, account, now)
    held = preview.route is Route.REVIEW or screened.outcome is CheckOutcome.REVIEW or unsaid
    hours = policy.get(tx, PAYMENT_HOURS, now)
    if later:
        _require_credit(tx, placing, account, preview, now)
    return ordering.enter(
        tx, ports, preview, ordering.Agreed(
            terms, buyer.name, buyer.email, buyer.company, placing.evidence, ownership=said if asked else None
        ),
        account_id=account.id, po_number=placing.po_number.strip(), term_starts_on=placing.term_starts_on, held=held,
        expires_at=None if held or later else now + timedelta(hours=hours), pay_by=placing.pay_by,
        net_days=policy.get(tx, trade_credit.NET_DAYS, now), now=now,
    )  # fmt: skip


def _require_open(tx: Tx, placing: Placing, preview: Preview, now: datetime) -> None:
    """The offer can still be ordered at all."""
    if preview.expires_at <= now:
        raise PreviewExpired("Prices are shown for a day; look at them again.", param="preview")
    ordering.require_complete(preview)
    if preview.subscription_id is not None and placing.term_starts_on is not None:
        # Two people with two previews of one term take turns here, and the second is told. Orders come first.
        before = orders.expansion_under_way(tx, preview.subscription_id)
        if before is not None:
            orders.lock(tx, before.id)
        subscriptions.lock(tx, preview.subscription_id)
        if orders.renewal_of_term(tx, preview.subscription_id, placing.term_starts_on) is not None:
            raise AlreadyRenewed("A renewal of this term is paid or waiting for payment.")
        # The next term is bought as things are; a change that nobody paid gives way (R-SUB-7).
        waiting = orders.expansion_under_way(tx, preview.subscription_id)
        if waiting is not None:
            expire(tx, orders.lock(tx, waiting.id), now)
    if preview.subscription_id is not None and preview.kind is OrderKind.EXPANSION:
        held = subscriptions.lock(tx, preview.subscription_id)
        changing.require_changeable(tx, held, now)
        changing.require_turn(tx, held, preview)


def _require_credit(tx: Tx, placing: Placing, account: Account, preview: Preview, now: datetime) -> None:
    if placing.account_id is None:
        raise trade_credit.InvoiceNotOffered(
            "Sign in to order on invoice, or pay by card.", param="payment", reason="stranger"
        )
    if not placing.po_number.strip():
        raise Invalid("Give the number of your purchase order; it goes on the invoice.", param="po_number")
    amount = Money(preview.total_minor, preview.currency)
    trade_credit.require(tx, account, amount, today=local_date(now, accounts.seller(tx).time_zone), now=now)


def settle(ports: Ports, attempt_id: str) -> str:
    """Ask the provider how an attempt stands and act on it: for the sweep, the returning buyer, a lost event.

    A saved card is charged again under the same key: the provider answers with the charge it made, or makes
    the one it never got to.
    """
    with ports.db.transaction() as tx:
        attempt = payments.lock_attempt(tx, attempt_id)
        if attempt is None:
            raise NotFound("There is no such payment attempt.")
        card = payments.saved_method_of(tx, attempt)
        closed = not _wanted(tx, attempt)
    if attempt.provider_ref is not None:
        report = ports.payments.report(attempt.provider_ref)
    elif card is not None:
        # Nobody wants it to be paid any more: what was taken for it is looked up, nothing is asked for.
        found = saved_card.find(ports, attempt, card) if closed else saved_card.charge_or_find(ports, attempt, card)
        if found is None:
            return _give_up(ports, attempt.id, "never_charged")
        report = found
    elif attempt.invoice_id is not None:
        return _give_up(ports, attempt.id, "never_asked")  # whoever pays the invoice opens a page of their own
    else:
        resume(ports, attempt.order_id)
        return "reopened"
    with ports.db.transaction() as tx:
        return apply_report(tx, ports, report)


def _wanted(tx: Tx, attempt: PaymentAttempt) -> bool:
    if attempt.invoice_id is not None:
        return invoices.get(tx, attempt.invoice_id).state is InvoiceState.OPEN
    return orders.get(tx, attempt.order_id).state not in {OrderState.EXPIRED, OrderState.CANCELED}


def _give_up(ports: Ports, attempt_id: str, code: str) -> str:
    """Close an attempt that took no money, so that the next one starts afresh."""
    with ports.db.transaction() as tx:
        attempt = payments.lock_attempt(tx, attempt_id)
        if attempt is not None and attempt.state in {AttemptState.UNKNOWN, AttemptState.PENDING}:
            attempt.state, attempt.failure_code, attempt.updated_at = AttemptState.FAILED, code, transport_now()
    return "given_up"


def apply_report(tx: Tx, ports: Ports, report: PaymentReport, *, now: datetime | None = None) -> str:
    """Move the attempt and its order or open invoice to what the provider reports; says what was done, in a word.

    The order's row lock makes concurrent reports of one payment take turns, so the effect happens once. Whoever holds
    a lock already brings `now`: a sandbox's clock is read over another connection, which those who wait may all hold.
    """
    now = ports.clock.now() if now is None else now
    attempt = payments.lock_attempt(tx, report.attempt_id)
    if attempt is None:
        raise NotFound(f"The provider reports a payment {report.ref} that nobody here asked for.")
    if attempt.invoice_id is not None:
        return invoice_payment.apply(tx, attempt, report, now)
    return _apply_to_order(tx, ports, attempt, report, now)


def _apply_to_order(tx: Tx, ports: Ports, attempt: PaymentAttempt, report: PaymentReport, now: datetime) -> str:
    order = orders.lock(tx, attempt.order_id)
    if attempt.state is AttemptState.SUCCEEDED:
        return "known"
    attempt.updated_at = transport_now()
    if report.outcome is Outcome.FAILED:
        attempt.state, attempt.failure_code = AttemptState.FAILED, report.failure_code
        return "failed"
    if report.outcome is Outcome.EXPIRED:
        attempt.state = AttemptState.EXPIRED
        # An accepted quote waits on, and what is being collected outlives the page it could be paid on.
        if order.expires_at is not None and not dunning.collects(tx, order.id):
            expire(tx, order, now)
        return "expired"
    if report.outcome is not Outcome.SUCCEEDED:
        return "pending"
    attempt.state, attempt.provider_ref = AttemptState.SUCCEEDED, attempt.provider_ref or report.ref
    if (why := fitting.unfit(tx, order, report, now)) is not None:
        if order.state is OrderState.AWAITING_PAYMENT and order.kind is OrderKind.EXPANSION:
            expire(tx, order, now)  # what it was about is not there any more
        return unmatched.set_aside(tx, order, report, why, now)
    ordering.keep_card_country(tx, order, report, now)
    completion.complete(tx, ports, order, attempt, report, now)
    return "completed"


def expire(tx: Tx, order: Order, now: datetime) -> None:
    """Close an order that nobody pays any more, and its pay page. The caller holds its lock."""
    if order.state is OrderState.AWAITING_PAYMENT:
        orders.move(order, OrderState.EXPIRED)
        coupons.release(tx, order.id, now)
        credit.let_go(tx, order.id)
        events.append(tx, "order.expired", order.id, now=now, account_id=order.account_id)
    _close_page(tx, order.id)


def expire_overdue(ports: Ports) -> int:
    """Close orders whose time to pay is up; a payment that arrives all the same still completes its order."""
    with ports.db.transaction() as tx:
        now = ports.clock.now()
        ids = orders.overdue(tx, now)
        for order_id in ids:
            expire(tx, orders.lock(tx, order_id), now)
    return len(ids)


def _close_page(tx: Tx, order_id: str) -> None:
    attempt = payments.latest_attempt(tx, order_id)
    if attempt is not None and attempt.state is AttemptState.PENDING and attempt.provider_ref:
        jobs.defer(tx, close_checkout, attempt_id=attempt.id)


@jobs.job("payments.close_checkout", retry=jobs.Retry(attempts=5, first=30))
def close_checkout(ports: Ports, *, attempt_id: str) -> None:
    """Close the provider's page of an expired or canceled order, so that it is not paid by accident."""
    with ports.db.transaction() as tx:
        attempt = payments.lock_attempt(tx, attempt_id)
        ref = attempt.provider_ref if attempt and attempt.state is AttemptState.PENDING else None
    if ref is not None:
        ports.payments.expire_checkout(ref)
        settle(ports, attempt_id)


@jobs.job("payments.ask_about_open", every="*/5 * * * *", retry=jobs.Retry(attempts=1))
def ask_about_open(ports: Ports) -> None:
    """Events get lost: ask about every attempt that nobody told us about for ten minutes."""
    with ports.db.transaction() as tx:
        for attempt_id in payments.open_attempts(tx, transport_now() - _ASK_AFTER):
            jobs.defer(tx, settle_later, once=f"settle:{attempt_id}", attempt_id=attempt_id)


@jobs.job("payments.settle", retry=jobs.Retry(attempts=6, first=60))
def settle_later(ports: Ports, *, attempt_id: str) -> None:
    settle(ports, attempt_id)


def order_by_token(tx: Tx, ports: Ports, token: str) -> Order:
    """The order behind the link of its page. Raises NotFound for a token that was not made here."""
    order_id = ports.secrets.read_token(ORDER_TOKEN, token)
    if order_id is None:
        raise NotFound("There is no such order.")
    return orders.get(tx, order_id)


def cancel(ports: Ports, order_id: str, *, by: str, note: str = "") -> None:
    """Give up an order that is not paid, and close its pay page. Raises OrderClosed for one that is paid."""
    with ports.db.transaction() as tx:
        order = orders.lock(tx, order_id)
        if order.state is OrderState.COMPLETED:
            raise OrderClosed("It is paid; ask for a refund instead.")
        orders.move(order, OrderState.CANCELED)
        now = ports.clock.now()
        coupons.release(tx, order.id, now)
        credit.let_go(tx, order.id)
        details = {"note": note} if note else {}
        audit.record(tx, order.account_id, actor=by, action="order.canceled", subject=order.id, now=now,
                     details=details)  # fmt: skip
        events.append(tx, "order.canceled", order.id, now=now, account_id=order.account_id)
        _close_page(tx, order_id)
