"""Disputes: payments that a card's owner contests. The provider is where they are answered."""

from datetime import datetime
from typing import Annotated, Self

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict
from sqlalchemy import select
from sqlmodel import col

from app.accounts.models import ApiKey
from app.core import paging
from app.core.errors import NotFound
from app.payments.models import Dispute, DisputeState
from app.web.api.access import KEYED, OfAccount, find, key_with, visible
from app.web.api.shapes import JsonRoute, Limit, MoneyOut, PageOut, cursor
from app.web.deps import Tx
from app.web.problems import problems

router = APIRouter(
    prefix="/v1/disputes", tags=["disputes"], route_class=JsonRoute
)  # fmt: skip

Reader = Annotated[ApiKey, key_with("invoices:read")]


class DisputeOut(BaseModel):
    """`reason` is the provider's code. Nothing is taken from the customer before it is lost."""

    model_config = ConfigDict(json_schema_extra={"example": {
        "id": "dis_01ka8qj6x0c5q4m3t2r1p0n9mk", "state": "opened", "account_id": "acc_01ka8qj6x0c5q4m3t2r1p0n9mk",
        "payment_id": "pay_01ka8qj6x0c5q4m3t2r1p0n9mk", "amount": {"amount": 11900, "currency": "USD"},
        "reason": "fraudulent", "provider": "sandbox", "provider_ref": "dp_1", "opened_at": "2026-11-22T09:00:00Z",
        "closed_at": None,
    }})  # fmt: skip

    id: str
    state: DisputeState
    account_id: str
    payment_id: str
    amount: MoneyOut
    reason: str
    provider: str
    provider_ref: str
    opened_at: datetime
    closed_at: datetime | None

    @classmethod
    def of(cls, row: Dispute) -> Self:
        same = "id state account_id payment_id reason provider provider_ref opened_at closed_at"
        return cls(
            **{name: getattr(row, name) for name in same.split()}, amount=MoneyOut.minor(row.amount_minor, row.currency)
        )


class DisputeList(PageOut[DisputeOut]):
    pass


@router.get("", responses=problems(*KEYED))
def list_disputes(
    tx: Tx, key: Reader, state: DisputeState | None = None, account_id: OfAccount = None, limit: Limit = 20,
    starting_after: Annotated[str | None, cursor("dis")] = None,
) -> DisputeList:  # fmt: skip
    """Newest first."""
    query = visible(select(Dispute), col(Dispute.account_id), key, account_id)
    if state is not None:
        query = query.where(col(Dispute.state) == state)
    found = paging.page(tx, query, col(Dispute.id), limit=limit, starting_after=starting_after)
    return DisputeList(data=[DisputeOut.of(row) for row in found.data], has_more=found.has_more)


@router.get("/{dispute_id}", responses=problems(*KEYED, NotFound))
def get_dispute(dispute_id: str, tx: Tx, key: Reader) -> DisputeOut:
    """One dispute."""
    return DisputeOut.of(find(tx, Dispute, "dis", dispute_id, key))
