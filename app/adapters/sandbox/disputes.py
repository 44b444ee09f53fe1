"""The sandbox's provider between a card's owner and us."""

from typing import Final, Literal

from sqlalchemy import select
from sqlmodel import col

from app.adapters.sandbox import shapes
from app.adapters.sandbox.answers import Json, Refused, missing
from app.adapters.sandbox.intents import paid
from app.adapters.sandbox.models import DisputeStatus, SandboxIntent
from app.adapters.sandbox.provider_core import Provider, emit, new_ref, require_up

Step = Literal["opened", "under_review", "won", "lost"]
_OPEN: Final = frozenset({DisputeStatus.NEEDS_RESPONSE, DisputeStatus.UNDER_REVIEW})
_EVENTS: Final[dict[Step, str]] = {
    "opened": "charge.dispute.created", "under_review": "charge.dispute.updated", "won": "charge.dispute.closed",
    "lost": "charge.dispute.closed",
}  # fmt: skip


def move(provider: Provider, ref: str, step: Step) -> Json:
    """The card's owner disputes a payment, or the quarrel goes on. Raises Refused where that is not the next step."""
    with provider.database.transaction() as tx:
        intent = paid(tx, ref)
        if step == "opened":
            if intent.dispute_id is not None:
                raise Refused(400, "invalid_request_error", "This payment is disputed already.")
            if intent.refunded_minor == intent.amount_minor:
                raise Refused(400, "invalid_request_error", "There is nothing left of this payment to dispute.")
            intent.dispute_id, intent.dispute_status = new_ref("dp"), DisputeStatus.NEEDS_RESPONSE
        elif intent.dispute_status not in _OPEN:
            raise Refused(400, "invalid_request_error", "This payment has no open dispute.")
        else:
            intent.dispute_status = DisputeStatus(step)
        tx.flush()
        body = shapes.dispute_json(intent)
        emit(provider, tx, _EVENTS[step], body)
    return body


def retrieve(provider: Provider, ref: str) -> Json:
    require_up(provider)
    with provider.database.transaction() as tx:
        intent = tx.execute(select(SandboxIntent).where(col(SandboxIntent.dispute_id) == ref)).scalar_one_or_none()
        if intent is None:
            raise missing("dispute", ref)
        return shapes.dispute_json(intent)
