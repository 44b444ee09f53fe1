"""The sandbox's provider giving money back."""

from sqlalchemy import select
from sqlmodel import col

from app.adapters.sandbox import shapes
from app.adapters.sandbox.answers import Answer, Json, invalid, missing
from app.adapters.sandbox.intents import paid
from app.adapters.sandbox.models import DisputeStatus, RefundStatus, SandboxIntent, SandboxRefund
from app.adapters.sandbox.params import RefundParams
from app.adapters.sandbox.provider_core import Provider, emit, new_ref, once, require_up
from app.core.db import Tx


def create(provider: Provider, params: RefundParams, key: str | None) -> Answer:
    """Give back a part or the rest of a payment, never more than was taken."""

    def perform(tx: Tx) -> Answer:
        ref = params.payment_intent or params.charge
        if ref is None:
            raise invalid("Say which payment_intent or charge to refund.", code="parameter_missing", param="charge")
        row = _give_back(provider, tx, paid(tx, ref, param="charge"), params)
        return Answer(200, row)

    return once(provider, "POST /v1/refunds", key, params.model_dump(), perform)


def _give_back(provider: Provider, tx: Tx, intent: SandboxIntent, params: RefundParams) -> Json:
    left = intent.amount_minor - intent.refunded_minor
    amount = params.amount or left
    if left == 0:
        raise invalid("The charge has already been refunded.", code="charge_already_refunded")
    if amount > left:
        raise invalid(f"Only {left} is left to refund.", code="amount_too_large", param="amount")
    if intent.dispute_id is not None and intent.dispute_status is not DisputeStatus.WON:
        raise invalid("The charge is disputed; its money is not ours to send.", code="charge_disputed")
    row = SandboxRefund(
        id=new_ref("re"), intent_id=intent.id, amount_minor=amount, status=RefundStatus.SUCCEEDED,
        reason=params.reason, extra=dict(params.metadata), created_at=provider.now(),
    )  # fmt: skip
    intent.refunded_minor += amount
    tx.add(row)
    tx.flush()
    body = shapes.refund_json(row, intent)
    emit(provider, tx, "refund.created", body)
    emit(provider, tx, "charge.refunded", shapes.charge_json(intent))
    return shapes.expand(tx, dict(body), params.expand)


def fail_last(provider: Provider, intent_ref: str) -> Json:
    """The bank sends the youngest refund of a payment back: the provider has its money again. Raises Refused."""
    with provider.database.transaction() as tx:
        intent = paid(tx, intent_ref)
        query = select(SandboxRefund).where(
            col(SandboxRefund.intent_id) == intent.id, col(SandboxRefund.status) == RefundStatus.SUCCEEDED
        )
        row = tx.execute(query.order_by(col(SandboxRefund.created_at).desc()).limit(1)).scalar_one_or_none()
        if row is None:
            raise missing("refund", intent_ref)
        row.status = RefundStatus.FAILED
        intent.refunded_minor -= row.amount_minor
        tx.flush()
        body = shapes.refund_json(row, intent)
        emit(provider, tx, "refund.failed", body)
    return body


def retrieve(provider: Provider, ref: str, expand: list[str]) -> Json:
    require_up(provider)
    with provider.database.transaction() as tx:
        row = tx.get(SandboxRefund, ref)
        if row is None:
            raise missing("refund", ref)
        return shapes.expand(tx, shapes.refund_json(row, tx.get_one(SandboxIntent, row.intent_id)), expand)


def of_charge(provider: Provider, charge_ref: str, expand: list[str]) -> list[Json]:
    """A charge's refunds, youngest first."""
    require_up(provider)
    with provider.database.transaction() as tx:
        intent = paid(tx, charge_ref, param="charge")
        query = select(SandboxRefund).where(col(SandboxRefund.intent_id) == intent.id)
        rows = tx.execute(query.order_by(col(SandboxRefund.created_at).desc())).scalars()
        return [shapes.expand(tx, shapes.refund_json(row, intent), list(expand)) for row in rows]
