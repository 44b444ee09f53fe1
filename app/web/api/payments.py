"""Payments: money that arrived."""

from datetime import datetime
from typing import Annotated, Self

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict
from sqlalchemy import select
from sqlmodel import col

from app.accounts.models import ApiKey
from app.core import paging
from app.core.errors import NotFound
from app.payments.models import Method, Payment
from app.web.api.access import KEYED, find, key_with, visible
from app.web.api.shapes import JsonRoute, Limit, MoneyOut, PageOut, cursor
from app.web.deps import Tx
from app.web.problems import problems

router = APIRouter(
    prefix="/v1/payments", tags=["payments"], route_class=JsonRoute
)  # fmt: skip

Reader = Annotated[ApiKey, key_with("invoices:read")]


class PaymentOut(BaseModel):
    """`provider_ref` is the charge at the provider; `method_label` such as "Visa •••• 4242"."""

    model_config = ConfigDict(json_schema_extra={"example": {
        "id": "pay_01ka8qj6x0c5q4m3t2r1p0n9mk", "account_id": "acc_01ka8qj6x0c5q4m3t2r1p0n9mk",
        "order_id": "ord_01ka8qj6x0c5q4m3t2r1p0n9mk", "amount": {"amount": 300000, "currency": "USD"},
        "method": "card", "method_label": "Visa •••• 4242", "provider": "sandbox", "provider_ref": "ch_1",
        "received_at": "2026-11-22T09:00:00Z",
    }})  # fmt: skip

    id: str
    account_id: str
    order_id: str
    amount: MoneyOut
    method: Method
    method_label: str
    provider: str
    provider_ref: str
    received_at: datetime

    @classmethod
    def of(cls, row: Payment) -> Self:
        same = "id account_id order_id method method_label provider provider_ref received_at"
        return cls(
            **{name: getattr(row, name) for name in same.split()}, amount=MoneyOut.minor(row.amount_minor, row.currency)
        )


class PaymentList(PageOut[PaymentOut]):
    pass


@router.get("", responses=problems(*KEYED))
def list_payments(
    tx: Tx, key: Reader, limit: Limit = 20, starting_after: Annotated[str | None, cursor("pay")] = None
) -> PaymentList:
    """Newest first."""
    query = visible(select(Payment), col(Payment.account_id), key)
    found = paging.page(tx, query, col(Payment.id), limit=limit, starting_after=starting_after)
    return PaymentList(data=[PaymentOut.of(row) for row in found.data], has_more=found.has_more)


@router.get("/{payment_id}", responses=problems(*KEYED, NotFound))
def get_payment(payment_id: str, tx: Tx, key: Reader) -> PaymentOut:
    """One payment."""
    return PaymentOut.of(find(tx, Payment, "pay", payment_id, key))
