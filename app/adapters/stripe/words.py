"""Stripe's objects in our words and ours in Stripe's: pure, and without the SDK.

Both the Stripe adapter and the sandbox, which is Stripe-shaped, translate here; they differ in how they carry.
"""

from collections.abc import Mapping
from typing import Any, Final

from app.adapters.stripe.amounts import from_stripe, to_stripe
from app.core.errors import NotFound
from app.core.money import Money
from app.payments.provider import (
    CheckoutRequest,
    DisputeReport,
    Outcome,
    PaymentReport,
    ProviderEvent,
    RefundReport,
    SavedMethod,
    Standing,
)

# Where the buyer may try again on the page, a declined intent is not the end of the attempt.
_AT_CHECKOUT: Final = "checkout"
_FROM_FILE: Final = "saved_method"
_BRANDS: Final = {
    "visa": "Visa", "mastercard": "Mastercard", "amex": "American Express", "discover": "Discover",
    "diners": "Diners Club", "jcb": "JCB", "unionpay": "UnionPay",
}  # fmt: skip
SESSION_PARTS: Final = ["payment_intent", "payment_intent.payment_method"]
INTENT_PARTS: Final = ["payment_method"]


def checkout_params(request: CheckoutRequest) -> dict[str, Any]:
    """Full redirect Checkout for one amount that keeps the card for renewals, where that is wanted.

    Raises PaymentRefused on the amount.
    """
    description = request.description[:250]
    price = {
        "currency": request.amount.currency.lower(),
        "unit_amount": to_stripe(request.amount),
        "product_data": {"name": description},
    }
    return {
        "mode": "payment",
        "client_reference_id": request.attempt_id,
        "metadata": {"attempt_id": request.attempt_id},
        "payment_intent_data": {
            "description": description,
            "metadata": {"attempt_id": request.attempt_id, "made_by": _AT_CHECKOUT},
            **({"setup_future_usage": "off_session"} if request.keep_card else {}),
        },
        "customer_creation": "always" if request.keep_card else "if_required",
        "customer_email": request.customer_email,
        "payment_method_types": ["card"],
        "line_items": [{"quantity": 1, "price_data": price}],
        "success_url": request.success_url,
        "cancel_url": request.cancel_url,
        "expires_at": int(request.expires_at.timestamp()),
    }


def charge_params(method: SavedMethod, amount: Money, *, attempt_id: str, description: str) -> dict[str, Any]:
    """One charge of a kept card, confirmed at once without its owner. Raises PaymentRefused on the amount."""
    return {
        "amount": to_stripe(amount),
        "currency": amount.currency.lower(),
        "customer": method.customer_ref,
        "payment_method": method.method_ref,
        "payment_method_types": ["card"],
        "description": description[:1000],
        "metadata": {"attempt_id": attempt_id, "made_by": _FROM_FILE},
        "confirm": True,
        "off_session": True,
        "expand": INTENT_PARTS,
    }


def report_of_session(session: Mapping[str, Any]) -> PaymentReport:
    """A checkout session with SESSION_PARTS expanded. Raises NotFound if it is not one of ours."""
    attempt_id = session.get("client_reference_id")
    if not attempt_id:
        raise NotFound("This checkout was not started here.")
    intent: Mapping[str, Any] = session.get("payment_intent") or {}
    asked = from_stripe(session["amount_total"], session["currency"])
    if session.get("payment_status") == "paid":
        return PaymentReport(
            ref=session["id"],
            attempt_id=attempt_id,
            outcome=Outcome.SUCCEEDED,
            amount=_received(intent, asked),
            charge_ref=intent["latest_charge"],
            method=_kept_method(intent),
        )
    outcome = {"expired": Outcome.EXPIRED}.get(session["status"], Outcome.PENDING)
    return PaymentReport(session["id"], attempt_id, outcome, asked, failure_code=_failure_code(intent))


def report_of_intent(intent: Mapping[str, Any]) -> PaymentReport:
    """A payment intent, with INTENT_PARTS expanded once it is paid. Raises NotFound if it is not one of ours."""
    attempt_id = intent["metadata"].get("attempt_id")
    if not attempt_id:
        raise NotFound("This payment was not started here.")
    outcome = _outcome(intent)
    asked = from_stripe(intent["amount"], intent["currency"])
    if outcome is Outcome.SUCCEEDED:
        return PaymentReport(
            ref=intent["id"],
            attempt_id=attempt_id,
            outcome=outcome,
            amount=_received(intent, asked),
            charge_ref=intent["latest_charge"],
            method=_kept_method(intent),
        )
    reason = _failure_code(intent) or (intent["status"] if outcome is Outcome.FAILED else None)
    return PaymentReport(intent["id"], attempt_id, outcome, asked, failure_code=reason)


def _outcome(intent: Mapping[str, Any]) -> Outcome:
    at_checkout = intent["metadata"].get("made_by") == _AT_CHECKOUT
    match intent["status"]:
        case "succeeded":
            return Outcome.SUCCEEDED
        case "canceled":
            return Outcome.EXPIRED if at_checkout else Outcome.FAILED
        case "requires_payment_method" | "requires_action" if not at_checkout:
            return Outcome.FAILED  # nobody is there to act
        case _:
            return Outcome.PENDING


def _received(intent: Mapping[str, Any], asked: Money) -> Money:
    """What really came in; the caller compares it with what was asked."""
    return from_stripe(intent["amount_received"], asked.currency)


def _kept_method(intent: Mapping[str, Any]) -> SavedMethod | None:
    method = intent.get("payment_method")
    if not isinstance(method, Mapping) or not method.get("customer"):
        return None
    return SavedMethod(method["customer"], method["id"], label(method))


def label(method: Mapping[str, Any]) -> str:
    """How a person recognizes a card: `Visa •••• 4242`."""
    card = method["card"]
    return f"{_BRANDS.get(card['brand'], 'Card')} •••• {card['last4']}"


def _failure_code(intent: Mapping[str, Any]) -> str | None:
    error = intent.get("last_payment_error")
    return failure_code(error) if error else None


def failure_code(error: Mapping[str, Any]) -> str:
    """The most telling code: the bank's own reason where it gave one, else Stripe's."""
    reason = error.get("decline_code")
    return str(reason if reason and reason != "generic_decline" else error.get("code") or error["type"])


def search_query(attempt_id: str) -> str:
    """How Stripe's search finds what was charged for an attempt after it forgot the key (24 h)."""
    return f"metadata['attempt_id']:'{attempt_id}'"


def most_telling(reports: list[PaymentReport]) -> PaymentReport | None:
    """The successful one of an attempt's charges, else the youngest; they come youngest first."""
    paid = [report for report in reports if report.outcome is Outcome.SUCCEEDED]
    return next(iter(paid or reports), None)


def refund_params(charge_ref: str, amount: Money, refund_id: str) -> dict[str, Any]:
    """A refund of one charge. Raises PaymentRefused on the amount."""
    return {"charge": charge_ref, "amount": to_stripe(amount), "metadata": {"refund_id": refund_id}}


_REFUNDED: Final = {"succeeded": Outcome.SUCCEEDED, "failed": Outcome.FAILED, "canceled": Outcome.FAILED}
# https://docs.stripe.com/api/disputes/object: a warning is an inquiry, and nothing is withdrawn for it.
_STANDINGS: Final = {
    "needs_response": Standing.OPENED, "under_review": Standing.UNDER_REVIEW, "won": Standing.WON,
    "lost": Standing.LOST,
}  # fmt: skip


def report_of_refund(refund: Mapping[str, Any]) -> RefundReport:
    """A refund; whatever else is not done or undone is on its way."""
    return RefundReport(
        ref=refund["id"],
        charge_ref=refund["charge"],
        payment_ref=refund.get("payment_intent"),
        amount=from_stripe(refund["amount"], refund["currency"]),
        outcome=_REFUNDED.get(refund["status"], Outcome.PENDING),
        refund_id=(refund.get("metadata") or {}).get("refund_id"),
        failure_code=refund.get("failure_reason"),
    )


def report_of_dispute(dispute: Mapping[str, Any]) -> DisputeReport:
    return DisputeReport(
        ref=dispute["id"],
        charge_ref=dispute["charge"],
        payment_ref=dispute.get("payment_intent"),
        amount=from_stripe(dispute["amount"], dispute["currency"]),
        standing=_STANDINGS.get(dispute["status"], Standing.INQUIRY),
        reason=dispute.get("reason") or "general",
    )


def the_refund(found: list[RefundReport], refund_id: str) -> RefundReport | None:
    """The one we asked for among a charge's refunds."""
    return next((each for each in found if each.refund_id == refund_id), None)


def event_of(payload: dict[str, Any]) -> ProviderEvent:
    """A verified event. Raises KeyError or TypeError where it is not shaped like one."""
    subject = payload["data"]["object"]
    kind = subject["object"]
    ref = subject["id"] if kind in {"checkout.session", "payment_intent"} else subject.get("payment_intent")
    if not all(isinstance(value, str) for value in (payload["id"], payload["type"], kind)):
        raise TypeError("an event's id and type are text")
    about = {"refund": "refund_ref", "dispute": "dispute_ref"}.get(kind)
    named = {about: str(subject["id"])} if about else {}
    return ProviderEvent(payload["id"], payload["type"], ref if isinstance(ref, str) else None, payload, **named)
