"""The provider's rows as Stripe's objects, and the expansion of ids inside them."""

from datetime import datetime

from sqlalchemy import select
from sqlmodel import col

from app.adapters.sandbox import fees
from app.adapters.sandbox.answers import Json, invalid
from app.adapters.sandbox.cards import DECLINES
from app.adapters.sandbox.models import (
    DisputeStatus,
    IntentStatus,
    RefundStatus,
    SandboxCheckout,
    SandboxCustomer,
    SandboxIntent,
    SandboxMethod,
    SandboxRefund,
    SandboxSetup,
    SessionStatus,
)
from app.core.db import Tx


def _stamp(at: datetime) -> int:
    return int(at.timestamp())


def session_json(row: SandboxCheckout, intent: SandboxIntent | None, url: str) -> Json:
    """`url` is the pay page; as at Stripe it is null once the session is closed."""
    return {
        "id": row.id, "object": "checkout.session", "livemode": False, "mode": "payment", "ui_mode": "hosted_page",
        "amount_subtotal": row.amount_minor, "amount_total": row.amount_minor, "currency": row.currency.lower(),
        "client_reference_id": row.client_reference_id, "metadata": row.extra,
        "customer": intent.customer_id if intent else None,
        "customer_email": row.customer_email or None, "customer_details": {"email": row.customer_email or None},
        "payment_intent": intent.id if intent else None, "setup_intent": None, "payment_method_types": ["card"],
        "payment_status": "paid" if row.status is SessionStatus.COMPLETE else "unpaid", "status": row.status.value,
        "success_url": row.success_url, "cancel_url": row.cancel_url,
        "url": url if row.status is SessionStatus.OPEN else None,
        "created": _stamp(row.created_at), "expires_at": _stamp(row.expires_at),
    }  # fmt: skip


def setup_session_json(row: SandboxSetup, url: str) -> Json:
    """A checkout session in setup mode; `url` is its page."""
    return {
        "id": row.id, "object": "checkout.session", "livemode": False, "mode": "setup", "ui_mode": "hosted_page",
        "amount_subtotal": None, "amount_total": None, "currency": None,
        "client_reference_id": row.client_reference_id, "metadata": row.extra, "customer": row.customer_id,
        "customer_email": row.customer_email or None, "customer_details": {"email": row.customer_email or None},
        "payment_intent": None, "setup_intent": row.intent_id, "payment_method_types": ["card"],
        "payment_status": "no_payment_required", "status": row.status.value, "success_url": row.success_url,
        "cancel_url": row.cancel_url, "url": url if row.status is SessionStatus.OPEN else None,
        "created": _stamp(row.created_at), "expires_at": _stamp(row.expires_at),
    }  # fmt: skip


def setup_json(row: SandboxSetup) -> Json:
    """The setup intent behind such a session."""
    holds_card = row.intent_status in {IntentStatus.SUCCEEDED, IntentStatus.REQUIRES_ACTION}
    return {
        "id": row.intent_id, "object": "setup_intent", "livemode": False, "customer": row.customer_id,
        "last_setup_error": _error(row.failure_code), "metadata": row.intent_extra,
        "payment_method": row.method_id if holds_card else None, "payment_method_types": ["card"],
        "status": row.intent_status.value, "usage": "off_session", "created": _stamp(row.created_at),
    }  # fmt: skip


def intent_json(row: SandboxIntent) -> Json:
    paid = row.status is IntentStatus.SUCCEEDED
    holds_card = row.status in {IntentStatus.SUCCEEDED, IntentStatus.REQUIRES_ACTION}
    return {
        "id": row.id, "object": "payment_intent", "livemode": False, "amount": row.amount_minor,
        "amount_received": row.amount_minor if paid else 0, "currency": row.currency.lower(),
        "capture_method": "automatic", "customer": row.customer_id, "description": row.description or None,
        "last_payment_error": last_error(row), "latest_charge": row.charge_id, "metadata": row.extra,
        "payment_method": row.method_id if holds_card else None, "payment_method_types": ["card"],
        "setup_future_usage": "off_session" if row.keeps_card else None, "status": row.status.value,
        "created": _stamp(row.created_at),
    }  # fmt: skip


def last_error(row: SandboxIntent) -> Json | None:
    return _error(row.failure_code)


def _error(failure_code: str | None) -> Json | None:
    if failure_code is None:
        return None
    decline = DECLINES[failure_code]
    body: Json = {"type": "card_error", "code": decline.code, "message": decline.message}
    return body | ({"decline_code": decline.decline_code} if decline.decline_code else {})


def charge_json(row: SandboxIntent) -> Json:
    return {
        "id": row.charge_id, "object": "charge", "livemode": False, "amount": row.amount_minor,
        "amount_captured": row.amount_minor, "amount_refunded": row.refunded_minor, "captured": True, "paid": True,
        "balance_transaction": _transaction_of(row.charge_id or ""),
        "currency": row.currency.lower(), "customer": row.customer_id, "disputed": row.dispute_id is not None,
        "metadata": row.extra, "payment_intent": row.id, "payment_method": row.method_id,
        "refunded": row.refunded_minor == row.amount_minor, "status": "succeeded", "created": _stamp(row.created_at),
    }  # fmt: skip


def _transaction_of(ref: str) -> str:
    """The id of the balance transaction of a charge or a refund, which names what it is of."""
    return f"txn_{ref}"


def transaction_json(ref: str, kind: str, source: str, *, amount: int, fee: int, currency: str, at: datetime) -> Json:
    """What a movement does to our balance with the provider; `amount` above zero comes to us."""
    return {
        "id": ref, "object": "balance_transaction", "amount": amount, "currency": currency.lower(), "fee": fee,
        "fee_details": [{"amount": fee, "currency": currency.lower(), "type": "stripe_fee"}] if fee else [],
        "exchange_rate": None, "net": amount - fee, "source": source, "type": kind, "status": "available",
        "created": _stamp(at),
    }  # fmt: skip


def _charge_transaction(row: SandboxIntent) -> Json:
    charge_id = row.charge_id or ""
    return transaction_json(
        _transaction_of(charge_id), "charge", charge_id, amount=row.amount_minor,
        fee=fees.of_charge(row.amount_minor, row.currency), currency=row.currency, at=row.created_at,
    )  # fmt: skip


def _refund_transaction(row: SandboxRefund, intent: SandboxIntent) -> Json:
    return transaction_json(
        _transaction_of(row.id), "refund", row.id, amount=-row.amount_minor, fee=0, currency=intent.currency,
        at=row.created_at,
    )  # fmt: skip


def _dispute_transactions(row: SandboxIntent) -> list[Json]:
    """The money that is held and the fee; both again, the other way, once it is won."""
    amount, fee = row.amount_minor - row.refunded_minor, fees.of_dispute(row.currency)
    ways = [(-1, "opened")] + ([(1, "won")] if row.dispute_status is DisputeStatus.WON else [])
    return [
        transaction_json(
            f"txn_{row.dispute_id}_{word}", "adjustment", row.dispute_id or "", amount=sign * amount, fee=-sign * fee,
            currency=row.currency, at=row.created_at,
        )
        for sign, word in ways
    ]  # fmt: skip


def dispute_json(row: SandboxIntent) -> Json:
    return {
        "id": row.dispute_id, "object": "dispute", "livemode": False,
        "amount": row.amount_minor - row.refunded_minor,
        "currency": row.currency.lower(), "charge": row.charge_id, "payment_intent": row.id, "metadata": {},
        "balance_transactions": _dispute_transactions(row),
        "reason": "general", "status": row.dispute_status.value if row.dispute_status else None,
        "created": _stamp(row.created_at),
    }  # fmt: skip


def refund_json(row: SandboxRefund, intent: SandboxIntent) -> Json:
    return {
        "id": row.id, "object": "refund", "amount": row.amount_minor, "currency": intent.currency.lower(),
        "charge": intent.charge_id, "payment_intent": intent.id, "metadata": row.extra, "reason": row.reason,
        "balance_transaction": _transaction_of(row.id),
        "status": row.status.value, "created": _stamp(row.created_at),
        "failure_reason": "lost_or_stolen_card" if row.status is RefundStatus.FAILED else None,
    }  # fmt: skip


def method_json(row: SandboxMethod) -> Json:
    return {
        "id": row.id, "object": "payment_method", "livemode": False, "type": "card", "customer": row.customer_id,
        "card": {
            "brand": row.brand, "display_brand": row.brand, "last4": row.last4, "exp_month": row.exp_month,
            "exp_year": row.exp_year, "funding": "credit", "country": "US",
        },
        "metadata": {}, "created": _stamp(row.created_at),
    }  # fmt: skip


def customer_json(row: SandboxCustomer) -> Json:
    return {
        "id": row.id, "object": "customer", "livemode": False, "email": row.email or None, "metadata": row.extra,
        "created": _stamp(row.created_at),
    }  # fmt: skip


def deleted_customer_json(row: SandboxCustomer) -> Json:
    return {"id": row.id, "object": "customer", "deleted": True}


def list_json(url: str, data: list[Json], *, has_more: bool) -> Json:
    return {"object": "list", "url": url, "data": data, "has_more": has_more}


def expand(tx: Tx, body: Json, paths: list[str]) -> Json:
    """Replace the ids at `paths` (such as `payment_intent.payment_method`) by what they name."""
    for path in sorted(paths):  # parents first
        here: object = body
        *parents, last = path.split(".")
        for key in parents:
            here = here.get(key) if isinstance(here, dict) else None
        if here is None:
            continue  # nothing there yet: a session that nobody has tried to pay
        if not isinstance(here, dict) or last not in here:
            raise invalid(f"This property cannot be expanded ({path[:60]}).", param="expand")
        if isinstance(here[last], str):
            here[last] = _named(tx, here[last]) or here[last]
    return body


def _named(tx: Tx, ref: str) -> Json | None:
    match ref.partition("_")[0]:
        case "pi":
            intent = tx.get(SandboxIntent, ref)
            return intent_json(intent) if intent else None
        case "seti":
            named = select(SandboxSetup).where(col(SandboxSetup.intent_id) == ref)
            setup = tx.execute(named).scalar_one_or_none()
            return setup_json(setup) if setup else None
        case "pm":
            method = tx.get(SandboxMethod, ref)
            return method_json(method) if method else None
        case "cus":
            customer = tx.get(SandboxCustomer, ref)
            return customer_json(customer) if customer else None
        case "ch":
            paid = _paid(tx, ref)
            return charge_json(paid) if paid else None
        case _:
            return _named_transaction(tx, ref)


def _paid(tx: Tx, charge_id: str) -> SandboxIntent | None:
    return tx.execute(select(SandboxIntent).where(col(SandboxIntent.charge_id) == charge_id)).scalar_one_or_none()


def _named_transaction(tx: Tx, ref: str) -> Json | None:
    """Of a charge or a refund; None for anything else."""
    of = ref.removeprefix("txn_")
    refund = tx.get(SandboxRefund, of)
    if refund is not None:
        return _refund_transaction(refund, tx.get_one(SandboxIntent, refund.intent_id))
    paid = _paid(tx, of)
    return _charge_transaction(paid) if paid else None
