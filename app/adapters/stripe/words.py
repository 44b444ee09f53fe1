"""Stripe's objects in our words and ours in Stripe's: pure, and without the SDK.

Both the Stripe adapter and the sandbox, which is Stripe-shaped, translate here; they differ in how they carry.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from app.adapters.stripe.amounts import from_stripe, to_stripe
from app.core.errors import NotFound
from app.core.money import Money
from app.payments.provider import (
    CardRequest,
    CheckoutRequest,
    DisputeReport,
    Fee,
    Outcome,
    PaymentReport,
    RefundReport,
    SavedMethod,
    SetupReport,
    Standing,
)

# Where the buyer may try again on the page, a declined intent is not the end of the attempt.
_AT_CHECKOUT: Final = "checkout"
_FROM_FILE: Final = "saved_method"
_BRANDS: Final = {
    "visa": "Visa", "mastercard": "Mastercard", "amex": "American Express", "discover": "Discover",
    "diners": "Diners Club", "jcb": "JCB", "unionpay": "UnionPay",
}  # fmt: skip
SESSION_PARTS: Final = [
    "payment_intent", "payment_intent.payment_method", "payment_intent.latest_charge",
    "payment_intent.latest_charge.balance_transaction",
]  # fmt: skip
INTENT_PARTS: Final = ["payment_method", "latest_charge", "latest_charge.balance_transaction"]
REFUND_PARTS: Final = ["balance_transaction"]
SETUP_SESSION_PARTS: Final = ["setup_intent", "setup_intent.payment_method"]
SETUP_PARTS: Final = ["payment_method"]
# Wide enough for a clock that is wrong and a checkout that was paid on its last minute.
_LOOKED_BACK: Final = timedelta(hours=1)


class NotOurs(NotFound):
    """The provider has it, but it was not begun here: other software uses the same account there."""


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
        "allowed_payment_method_types": ["card"],
        "line_items": [{"quantity": 1, "price_data": price}],
        "success_url": request.success_url,
        "cancel_url": request.cancel_url,
        "expires_at": int(request.expires_at.timestamp()),
        **_consent(request.consent),
    }


def setup_params(request: CardRequest) -> dict[str, Any]:
    """Checkout that keeps a card and charges nothing."""
    whose: dict[str, Any] = (
        {"customer": request.customer_ref}
        if request.customer_ref
        else {"customer_creation": "always", "customer_email": request.customer_email}
    )
    return {
        "mode": "setup",
        "client_reference_id": request.setup_id,
        "metadata": {"setup_id": request.setup_id},
        "setup_intent_data": {"metadata": {"setup_id": request.setup_id}},
        **whose,
        "allowed_payment_method_types": ["card"],
        "success_url": request.success_url,
        "cancel_url": request.cancel_url,
        "expires_at": int(request.expires_at.timestamp()),
        **_consent(request.consent),
    }


def _consent(text: str) -> dict[str, Any]:
    """Our sentence beside the button that binds, on top of what Stripe says there by itself."""
    return {"custom_text": {"submit": {"message": text[:1200]}}} if text else {}


def intents_of_params(customer_ref: str, made_at: datetime) -> dict[str, Any]:
    """A customer's payment intents since an attempt began. Lists are up to date at once, unlike Stripe's search."""
    return {
        "customer": customer_ref,
        "created": {"gte": int((made_at - _LOOKED_BACK).timestamp())},
        "limit": 100,
        "expand": [f"data.{part}" for part in INTENT_PARTS],
    }


def charge_params(method: SavedMethod, amount: Money, *, attempt_id: str, description: str) -> dict[str, Any]:
    """One charge of a kept card, confirmed at once without its owner. Raises PaymentRefused on the amount."""
    return {
        "amount": to_stripe(amount),
        "currency": amount.currency.lower(),
        "customer": method.customer_ref,
        "payment_method": method.method_ref,
        "allowed_payment_method_types": ["card"],
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
        raise NotOurs("This checkout was not started here.")
    intent: Mapping[str, Any] = session.get("payment_intent") or {}
    asked = from_stripe(session["amount_total"], session["currency"])
    if session.get("payment_status") == "paid":
        return PaymentReport(
            ref=session["id"],
            attempt_id=attempt_id,
            outcome=Outcome.SUCCEEDED,
            amount=_received(intent, asked),
            charge_ref=_charge_ref(intent),
            method=_kept_method(intent),
            card_country=_card_country(intent),
            fee=_fee_of_charge(intent),
        )
    outcome = {"expired": Outcome.EXPIRED}.get(session["status"], Outcome.PENDING)
    return PaymentReport(session["id"], attempt_id, outcome, asked, failure_code=_failure_code(intent))


def report_of_intent(intent: Mapping[str, Any]) -> PaymentReport:
    """A payment intent, with INTENT_PARTS expanded once it is paid. Raises NotFound if it is not one of ours."""
    attempt_id = intent["metadata"].get("attempt_id")
    if not attempt_id:
        raise NotOurs("This payment was not started here.")
    outcome = _outcome(intent)
    asked = from_stripe(intent["amount"], intent["currency"])
    if outcome is Outcome.SUCCEEDED:
        return PaymentReport(
            ref=intent["id"],
            attempt_id=attempt_id,
            outcome=outcome,
            amount=_received(intent, asked),
            charge_ref=_charge_ref(intent),
            method=_kept_method(intent),
            card_country=_card_country(intent),
            fee=_fee_of_charge(intent),
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


def _charge_ref(intent: Mapping[str, Any]) -> str:
    charge = intent["latest_charge"]
    return str(charge["id"] if isinstance(charge, Mapping) else charge)


def _card_country(intent: Mapping[str, Any]) -> str | None:
    """Where the card was issued; Stripe leaves it out for other ways to pay."""
    method = intent.get("payment_method")
    card = method.get("card") if isinstance(method, Mapping) else None
    country = card.get("country") if isinstance(card, Mapping) else None
    return str(country) if country else None


def _fee_of_charge(intent: Mapping[str, Any]) -> Fee | None:
    charge = intent["latest_charge"]
    return _fee(charge.get("balance_transaction")) if isinstance(charge, Mapping) else None


def _fee(transaction: Any) -> Fee | None:
    """Of a balance transaction that is expanded; None for one that is not, or not made yet.

    https://docs.stripe.com/api/balance_transactions/object: `fee` is in `currency`, the one that Stripe settles in.
    """
    if not isinstance(transaction, Mapping):
        return None
    return Fee(transaction["id"], from_stripe(transaction["fee"], transaction["currency"]))


def _kept_method(intent: Mapping[str, Any]) -> SavedMethod | None:
    method = intent.get("payment_method")
    return saved_method(method) if isinstance(method, Mapping) else None


def saved_method(method: Mapping[str, Any]) -> SavedMethod | None:
    """A card that the provider keeps for a customer; None for one it does not keep, or another kind of method."""
    card = method.get("card")
    if not card or not method.get("customer"):
        return None
    customer = method["customer"]
    customer_ref = customer["id"] if isinstance(customer, Mapping) else customer
    return SavedMethod(customer_ref, method["id"], label(method), card["exp_year"], card["exp_month"])


def report_of_setup_session(session: Mapping[str, Any]) -> SetupReport:
    """A checkout in setup mode with SETUP_SESSION_PARTS expanded. Raises NotOurs if it was not begun here."""
    intent: Mapping[str, Any] = session.get("setup_intent") or {}
    setup_id = session.get("client_reference_id")
    if not setup_id or session.get("mode") != "setup":
        raise NotOurs("This card was not asked for here.")
    if session["status"] == "expired":
        return SetupReport(session["id"], setup_id, Outcome.EXPIRED)
    return _setup_report(session["id"], setup_id, intent)


def report_of_setup_intent(intent: Mapping[str, Any]) -> SetupReport:
    """A setup intent with SETUP_PARTS expanded. Raises NotOurs if it was not begun here."""
    setup_id = (intent.get("metadata") or {}).get("setup_id")
    if not setup_id:
        raise NotOurs("This card was not asked for here.")
    return _setup_report(intent["id"], setup_id, intent)


def _setup_report(ref: str, setup_id: str, intent: Mapping[str, Any]) -> SetupReport:
    """A refusal leaves the page open for another card, so it is pending still."""
    error = intent.get("last_setup_error")
    code = failure_code(error) if error else None
    method = intent.get("payment_method")
    if intent.get("status") == "succeeded" and isinstance(method, Mapping):
        return SetupReport(ref, setup_id, Outcome.SUCCEEDED, saved_method(method))
    canceled = intent.get("status") == "canceled"
    return SetupReport(ref, setup_id, Outcome.EXPIRED if canceled else Outcome.PENDING, failure_code=code)


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


def of_attempt(intents: Iterable[Mapping[str, Any]], attempt_id: str) -> PaymentReport | None:
    """The most telling charge for an attempt among a customer's intents, which come youngest first."""
    ours = [each for each in intents if each["metadata"].get("attempt_id") == attempt_id]
    return most_telling([report_of_intent(each) for each in ours])


def most_telling(reports: list[PaymentReport]) -> PaymentReport | None:
    """The successful one of an attempt's charges, else the youngest; they come youngest first."""
    paid = [report for report in reports if report.outcome is Outcome.SUCCEEDED]
    return next(iter(paid or reports), None)


def refund_params(charge_ref: str, amount: Money, refund_id: str) -> dict[str, Any]:
    """A refund of one charge. Raises PaymentRefused on the amount."""
    return {
        "charge": charge_ref, "amount": to_stripe(amount), "metadata": {"refund_id": refund_id}, "expand": REFUND_PARTS,
    }  # fmt: skip


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
        fee=_fee(refund.get("balance_transaction")),
    )


def report_of_dispute(dispute: Mapping[str, Any]) -> DisputeReport:
    return DisputeReport(
        ref=dispute["id"],
        charge_ref=dispute["charge"],
        payment_ref=dispute.get("payment_intent"),
        amount=from_stripe(dispute["amount"], dispute["currency"]),
        standing=_STANDINGS.get(dispute["status"], Standing.INQUIRY),
        reason=dispute.get("reason") or "general",
        fees=tuple(fee for each in dispute.get("balance_transactions") or () if (fee := _fee(each)) is not None),
    )


def the_refund(found: list[RefundReport], refund_id: str) -> RefundReport | None:
    """The one we asked for among a charge's refunds."""
    return next((each for each in found if each.refund_id == refund_id), None)
