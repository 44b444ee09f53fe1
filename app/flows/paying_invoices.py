"""Paying an open invoice by card: on the provider's page, or with the saved card and one click.

Whoever holds the link of an invoice may pay it; a saved card is charged only for somebody of the account. What is
asked for is what is owed when they click: after partial wires the rest. A page with another amount is closed first.
"""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from app.accounts import service as accounts
from app.core.clock import transport_now
from app.core.db import Tx
from app.core.errors import DomainError, NotFound
from app.core.money import Money
from app.flows import pay_page, purchase, saved_card
from app.flows.ports import Ports
from app.invoices import service as invoices
from app.invoices.models import Invoice, InvoiceState
from app.orders import service as orders
from app.payments import declines
from app.payments import service as payments
from app.payments.errors import PaymentUnavailable
from app.payments.models import AttemptState, PaymentAttempt
from app.payments.provider import SavedMethod

TOKEN: Final = "invoice"  # noqa: S105 -- the label of a derived key: whoever holds the link may read and pay it
_OPEN: Final = frozenset({AttemptState.UNKNOWN, AttemptState.PENDING})


class NothingOwed(DomainError):
    slug, title = "nothing-owed", "Nothing of this invoice is owed any more"


class NoSavedCard(DomainError):
    slug, title = "no-saved-card", "No card is kept for this account"


class CardDeclined(DomainError):
    """`reason` is the provider's code."""

    status, slug, title = HTTPStatus.PAYMENT_REQUIRED, "card-declined", "The card was declined"


@dataclass(frozen=True, slots=True)
class Paying:
    """`payment_url` is where to pay; None once it is paid."""

    invoice_id: str
    amount: Money
    payment_url: str | None


def link(ports: Ports, invoice_id: str) -> str:
    """The path of the page where whoever holds it reads and pays an invoice; GET shows, POST acts."""
    return f"/invoices/{ports.secrets.sign_token(TOKEN, invoice_id)}"


def behind(tx: Tx, ports: Ports, token: str) -> Invoice:
    """The invoice of a link. Raises NotFound for a token that was not made here."""
    invoice_id = ports.secrets.read_token(TOKEN, token)
    if invoice_id is None:
        raise NotFound("This link does not exist; sign in to see your invoices, or ask us for a new link.")
    return invoices.get(tx, invoice_id)


def lead_to_page(ports: Ports, invoice_id: str) -> Paying:
    """To the provider's page for what is owed now. A second click gets the same page.

    Raises NothingOwed, PaymentUnavailable, PaymentRefused.
    """
    _close_what_is_open(ports, invoice_id, keep_page=True)
    with ports.db.transaction() as tx:
        invoice, owed = _lock(tx, invoice_id)
        attempt = _attempt(tx, ports, invoice, owed, card=None)
        email, about = orders.get(tx, invoice.order_id).buyer_email, f"Invoice {invoice.number}"
    url = attempt.redirect_url or pay_page.open_for(
        ports, attempt, about=about, email=email, back_to=link(ports, invoice_id), keep_card=False
    )
    return Paying(invoice_id, owed, url)


def charge_saved_card(ports: Ports, invoice_id: str) -> Paying:
    """Pay what is owed now with the account's saved card. The caller has seen that this person may.

    Raises NothingOwed, NoSavedCard, CardDeclined, PaymentUnavailable (the outcome is not known: do not ask twice).
    """
    _close_what_is_open(ports, invoice_id, keep_page=False)
    with ports.db.transaction() as tx:
        invoice, owed = _lock(tx, invoice_id)
        card = payments.saved_method(tx, invoice.account_id, ports.payments.name)
        if card is None:
            raise NoSavedCard("Pay on the payment page; a card can be kept there.")
        attempt = _attempt(tx, ports, invoice, owed, card=card)
    report = saved_card.charge(ports, attempt, card)
    with ports.db.transaction() as tx:
        purchase.apply_report(tx, ports, report)
    with ports.db.transaction() as tx:
        after = payments.lock_attempt(tx, attempt.id)
    if after is None or after.state in _OPEN:
        raise PaymentUnavailable("The payment provider has not said what became of the charge. Try again shortly.")
    if after.state is not AttemptState.SUCCEEDED:
        code = after.failure_code or "declined"
        raise CardDeclined(f"{declines.in_words(code)} Pay with another card.", reason=code)
    return Paying(invoice_id, owed, None)


def _lock(tx: Tx, invoice_id: str) -> tuple[Invoice, Money]:
    """The invoice and what is owed of it, held still until the transaction ends. Locks as a recorded wire does."""
    accounts.lock(tx, invoices.get(tx, invoice_id).account_id)
    invoice = invoices.lock(tx, invoice_id)
    owed = invoices.owed(tx, invoice)
    if invoice.state is not InvoiceState.OPEN or not owed:
        raise NothingOwed(f"Invoice {invoice.number or invoice.id} is {invoice.state}.")
    return invoice, owed


def _attempt(tx: Tx, ports: Ports, invoice: Invoice, owed: Money, *, card: SavedMethod | None) -> PaymentAttempt:
    """The open attempt by this way to pay, or a new one. Raises PaymentUnavailable while the other way is under way."""
    attempt = payments.latest_attempt_on(tx, invoice.id)
    if attempt is not None and attempt.state in _OPEN:
        if (attempt.saved_method_ref is None) != (card is None):
            raise PaymentUnavailable("Somebody is paying this invoice at this moment. Try again shortly.")
        return attempt
    attempt = payments.intend(
        tx, order_id=invoice.order_id, invoice_id=invoice.id, account_id=invoice.account_id, amount=owed,
        provider=ports.payments.name, now=transport_now(),
    )  # fmt: skip
    attempt.saved_method_ref = card.method_ref if card else None  # the intention, before anybody is charged
    tx.flush()
    return attempt


def _close_what_is_open(ports: Ports, invoice_id: str, *, keep_page: bool) -> None:
    """Settle a charge without an answer, and a page that asks for another amount than is owed, before a new try."""
    with ports.db.transaction() as tx:
        invoice = invoices.get(tx, invoice_id)
        attempt, owed = payments.latest_attempt_on(tx, invoice_id), invoices.owed(tx, invoice)
    if attempt is None or attempt.state not in _OPEN:
        return
    fits = attempt.amount_minor == owed.minor
    if attempt.saved_method_ref is None:
        if fits and (keep_page or attempt.provider_ref is None):
            return
        if attempt.provider_ref is not None:
            ports.payments.expire_checkout(attempt.provider_ref)
    purchase.settle(ports, attempt.id)
