"""Payment intents: charging a card."""

from datetime import UTC, datetime

from sqlalchemy import ScalarSelect, or_, select
from sqlmodel import col

from app.adapters.sandbox import shapes
from app.adapters.sandbox.answers import Answer, Json, error_body, invalid, missing
from app.adapters.sandbox.cards import decline_from_file
from app.adapters.sandbox.models import IntentStatus, SandboxCustomer, SandboxIntent, SandboxMethod
from app.adapters.sandbox.params import CustomerParams, IntentListParams, IntentParams
from app.adapters.sandbox.provider_core import Provider, emit, new_ref, once, require_up
from app.core.db import Tx

# What Stripe charges at least (https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts).
_MINIMUM = {
    "USD": 50, "EUR": 50, "GBP": 30, "AUD": 50, "BRL": 50, "CAD": 50, "CHF": 50, "CZK": 1500, "DKK": 250, "HKD": 400,
    "HUF": 17500, "INR": 50, "JPY": 50, "MXN": 1000, "NOK": 300, "NZD": 50, "PLN": 200, "RON": 200, "SEK": 300,
    "SGD": 50,
}  # fmt: skip


def require_minimum(amount: int, currency: str) -> None:
    """Raises Refused (amount_too_small). Currencies without a figure have no minimum here."""
    least = _MINIMUM.get(currency.upper(), 1)
    if amount < least:
        raise invalid(
            f"The amount must be at least {least} of {currency}'s minor units.",
            code="amount_too_small",
            param="amount",
        )


def create(provider: Provider, params: IntentParams, key: str | None) -> Answer:
    """Charge a kept card without its owner. A decline is a 402 whose error holds the intent."""

    def perform(tx: Tx) -> Answer:
        require_minimum(params.amount, params.currency)
        method = tx.get(SandboxMethod, params.payment_method)
        if method is None:
            raise missing("PaymentMethod", params.payment_method, param="payment_method")
        if method.customer_id is None or method.customer_id != params.customer:
            raise invalid("The PaymentMethod does not belong to this Customer.", param="payment_method")
        intent = SandboxIntent(
            id=new_ref("pi"),
            amount_minor=params.amount,
            currency=params.currency.upper(),
            status=IntentStatus.REQUIRES_PAYMENT_METHOD,
            description=params.description,
            customer_id=params.customer,
            extra=dict(params.metadata),
            created_at=provider.now(),
        )
        tx.add(intent)
        decline = decline_from_file(method, provider.now())
        if decline is None:
            succeed(provider, tx, intent, method)
        else:
            fail(provider, tx, intent, method, decline)
        return _answer(tx, intent, params.expand)

    return once(provider, "POST /v1/payment_intents", key, params.model_dump(), perform)


def _answer(tx: Tx, intent: SandboxIntent, expand: list[str]) -> Answer:
    body = shapes.expand(tx, shapes.intent_json(intent), expand)
    error = shapes.last_error(intent)
    if error is None:
        return Answer(200, body)
    return Answer(402, error_body("card_error", error.pop("message"), **error, payment_intent=body))


def succeed(provider: Provider, tx: Tx, intent: SandboxIntent, method: SandboxMethod) -> None:
    """Take the money. The caller holds the intent's lock or has just made it."""
    intent.status, intent.method_id, intent.failure_code = IntentStatus.SUCCEEDED, method.id, None
    intent.charge_id = new_ref("ch")
    tx.flush()
    emit(provider, tx, "payment_intent.succeeded", shapes.intent_json(intent))


def fail(provider: Provider, tx: Tx, intent: SandboxIntent, method: SandboxMethod, code: str) -> None:
    """Note a decline; a checkout's intent may be tried again with another card."""
    intent.status, intent.method_id = IntentStatus.REQUIRES_PAYMENT_METHOD, method.id
    intent.failure_code = code
    tx.flush()
    emit(provider, tx, "payment_intent.payment_failed", shapes.intent_json(intent))


def retrieve(provider: Provider, ref: str, expand: list[str]) -> Json:
    require_up(provider)
    with provider.database.transaction() as tx:
        intent = tx.get(SandboxIntent, ref)
        if intent is None:
            raise missing("payment_intent", ref)
        return shapes.expand(tx, shapes.intent_json(intent), expand)


def search(provider: Provider, wanted: tuple[str, str], expand: list[str]) -> list[Json]:
    """The intents with one metadata value, youngest first."""
    require_up(provider)
    key, value = wanted
    query = select(SandboxIntent).where(col(SandboxIntent.extra)[key].astext == value)
    with provider.database.transaction() as tx:
        rows = tx.execute(query.order_by(col(SandboxIntent.created_at).desc())).scalars()
        return [shapes.expand(tx, shapes.intent_json(row), list(expand)) for row in rows]


def of_customer(provider: Provider, params: IntentListParams) -> tuple[list[Json], bool]:
    """A customer's intents, youngest first, and whether there are more."""
    require_up(provider)
    query = select(SandboxIntent).where(col(SandboxIntent.customer_id) == params.customer)
    if params.created is not None:
        query = query.where(col(SandboxIntent.created_at) >= datetime.fromtimestamp(params.created.gte, UTC))
    if params.starting_after is not None:
        query = query.where(col(SandboxIntent.created_at) < _place(params.starting_after))
    parts = [path.removeprefix("data.") for path in params.expand]
    with provider.database.transaction() as tx:
        customer(tx, params.customer)
        newest = query.order_by(col(SandboxIntent.created_at).desc()).limit(params.limit + 1)
        found = [shapes.expand(tx, shapes.intent_json(row), list(parts)) for row in tx.execute(newest).scalars()]
    return found[: params.limit], len(found) > params.limit


def _place(ref: str) -> ScalarSelect[datetime]:
    return select(col(SandboxIntent.created_at)).where(col(SandboxIntent.id) == ref).scalar_subquery()


def state(provider: Provider, ref: str) -> Json:
    """An intent with what happened to it afterwards."""
    with provider.database.transaction() as tx:
        intent = tx.get_one(SandboxIntent, ref)
        return shapes.intent_json(intent) | {
            "amount_refunded": intent.refunded_minor,
            "dispute": shapes.dispute_json(intent) if intent.dispute_id else None,
        }


def retrieve_charge(provider: Provider, ref: str) -> Json:
    with provider.database.transaction() as tx:
        return shapes.charge_json(paid(tx, ref))


def create_customer(provider: Provider, params: CustomerParams, key: str | None) -> Answer:
    def perform(tx: Tx) -> Answer:
        customer = add_customer(provider, tx, params.email, dict(params.metadata))
        return Answer(200, shapes.customer_json(customer))

    return once(provider, "POST /v1/customers", key, params.model_dump(), perform)


def add_customer(provider: Provider, tx: Tx, email: str, metadata: dict[str, str]) -> SandboxCustomer:
    customer = SandboxCustomer(id=new_ref("cus"), email=email, extra=metadata, created_at=provider.now())
    tx.add(customer)
    tx.flush()
    return customer


def retrieve_customer(provider: Provider, ref: str) -> Json:
    """A deleted one is answered as that, as at Stripe."""
    with provider.database.transaction() as tx:
        row = tx.get(SandboxCustomer, ref)
        if row is None:
            raise missing("customer", ref)
        return shapes.customer_json(row) if row.deleted_at is None else shapes.deleted_customer_json(row)


def customer(tx: Tx, ref: str) -> SandboxCustomer:
    """One that is not deleted. Raises Refused (400)."""
    row = tx.get(SandboxCustomer, ref)
    if row is None or row.deleted_at is not None:
        raise missing("customer", ref, param="customer")
    return row


def delete_customer(provider: Provider, ref: str) -> Json:
    """Forget a customer and every card kept for them. Raises Refused."""
    require_up(provider)
    with provider.database.transaction() as tx:
        row = customer(tx, ref)
        row.deleted_at = provider.now()
        methods = select(SandboxMethod).where(col(SandboxMethod.customer_id) == ref).with_for_update()
        for method in tx.execute(methods).scalars():
            _detach(provider, tx, method)
        tx.flush()
        emit(provider, tx, "customer.deleted", shapes.customer_json(row))
        return shapes.deleted_customer_json(row)


def retrieve_method(provider: Provider, ref: str, expand: list[str]) -> Json:
    require_up(provider)
    with provider.database.transaction() as tx:
        method = tx.get(SandboxMethod, ref)
        if method is None:
            raise missing("PaymentMethod", ref)
        return shapes.expand(tx, shapes.method_json(method), expand)


def detach_method(provider: Provider, ref: str, expand: list[str]) -> Json:
    """Stop keeping a card. Raises Refused (400) for one that is not kept, as Stripe does."""
    require_up(provider)
    with provider.database.transaction() as tx:
        method = tx.get(SandboxMethod, ref, with_for_update=True)
        if method is None:
            raise missing("PaymentMethod", ref)
        if method.customer_id is None:
            raise invalid("The payment method you provided is not attached to a customer so detachment is impossible.")
        _detach(provider, tx, method)
        return shapes.expand(tx, shapes.method_json(method), expand)


def _detach(provider: Provider, tx: Tx, method: SandboxMethod) -> None:
    method.customer_id = None
    tx.flush()
    emit(provider, tx, "payment_method.detached", shapes.method_json(method))


def change_method(provider: Provider, ref: str, *, last4: str, exp_year: int, exp_month: int) -> Json:
    """The network tells of a new number or expiry of a kept card. Raises Refused."""
    with provider.database.transaction() as tx:
        method = tx.get(SandboxMethod, ref, with_for_update=True)
        if method is None:
            raise missing("PaymentMethod", ref)
        method.last4, method.exp_year, method.exp_month = last4, exp_year, exp_month
        tx.flush()
        body = shapes.method_json(method)
        emit(provider, tx, "payment_method.automatically_updated", body)
        return body


def paid(tx: Tx, ref: str, *, param: str | None = None) -> SandboxIntent:
    """A succeeded payment by its intent or charge, locked. Raises Refused."""
    query = select(SandboxIntent).where(or_(col(SandboxIntent.id) == ref, col(SandboxIntent.charge_id) == ref))
    intent = tx.execute(query.with_for_update()).scalar_one_or_none()
    if intent is None:
        raise missing("charge", ref, param=param)
    if intent.status is not IntentStatus.SUCCEEDED:
        raise invalid("This payment has not succeeded.", code="payment_intent_unexpected_state", param=param)
    return intent
