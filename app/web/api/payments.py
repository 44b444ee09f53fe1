"""Payments: money that arrived, by itself or told by the vendor."""

from datetime import date, datetime
from typing import Annotated, Any, Final, Literal, Self

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from sqlalchemy import select
from sqlmodel import col
from starlette.responses import Response

from app.accounts.models import ApiKey
from app.core import paging
from app.core.db import Tx as Unit
from app.core.errors import Invalid, NotAllowed, NotFound
from app.flows import receivables
from app.flows.receivables import Transfer
from app.invoices import service as invoices
from app.payments.errors import AlreadyRecorded
from app.payments.models import Method, Payment
from app.web import receipts
from app.web.api.access import KEYED, OfAccount, find, key_with, vendor_with, visible
from app.web.api.shapes import ID, In, JsonRoute, Limit, Line, MoneyIn, MoneyOut, PageOut, cursor
from app.web.deps import Tx, Wired
from app.web.problems import problems

router = APIRouter(
    prefix="/v1/payments", tags=["payments"], route_class=JsonRoute
)  # fmt: skip

Reader = Annotated[ApiKey, key_with("invoices:read")]
_PDF: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "The receipt as PDF/A-3", "content": {"application/pdf": {}}}
}
Cashier = Annotated[ApiKey, vendor_with("payments:write")]


class PartOut(BaseModel):
    """The part of a payment that went into an invoice."""

    invoice: str
    amount: MoneyOut


class PaymentOut(BaseModel):
    """`provider_ref` is the charge at the provider, or the bank's reference; `method_label` such as "Visa •••• 4242".

    What is in no invoice is the customer's credit.
    """

    model_config = ConfigDict(json_schema_extra={"example": {
        "id": "pay_01ka8qj6x0c5q4m3t2r1p0n9mk", "account_id": "acc_01ka8qj6x0c5q4m3t2r1p0n9mk",
        "order_id": "ord_01ka8qj6x0c5q4m3t2r1p0n9mk", "amount": {"amount": 300000, "currency": "USD"},
        "method": "card", "method_label": "Visa •••• 4242", "provider": "sandbox", "provider_ref": "ch_1",
        "received_at": "2026-11-22T09:00:00Z",
        "invoices": [{"invoice": "inv_01ka8qj6x0c5q4m3t2r1p0n9mk", "amount": {"amount": 300000, "currency": "USD"}}],
    }})  # fmt: skip

    id: str
    account_id: str
    order_id: str | None
    amount: MoneyOut
    method: Method
    method_label: str
    provider: str
    provider_ref: str
    received_at: datetime
    invoices: list[PartOut]

    @classmethod
    def of(cls, tx: Unit, row: Payment) -> Self:
        same = "id account_id order_id method method_label provider provider_ref received_at"
        parts = [
            PartOut(invoice=each.invoice_id, amount=MoneyOut.minor(each.amount_minor, row.currency))
            for each in invoices.of_payment(tx, row.id)
        ]
        return cls(
            **{name: getattr(row, name) for name in same.split()},
            amount=MoneyOut.minor(row.amount_minor, row.currency), invoices=parts,
        )  # fmt: skip


class TransferIn(In):
    """A wire or cheque as the bank statement shows it."""

    model_config = ConfigDict(json_schema_extra={"example": {
        "account": "acc_01ka8qj6x0c5q4m3t2r1p0n9mk", "amount": {"amount": 300000, "currency": "USD"}, "method": "wire",
        "reference": "SEPA-2026-4711", "value_on": "2026-12-20", "invoices": ["inv_01ka8qj6x0c5q4m3t2r1p0n9mk"],
    }})  # fmt: skip

    account: Annotated[str, StringConstraints(pattern=f"^acc_{ID}$")]
    amount: MoneyIn
    method: Literal["wire", "cheque"] = "wire"
    reference: Line = Field(description="The bank's reference; a payment with the same one is refused.")
    value_on: date = Field(description="The day the money arrived.")
    invoices: list[Annotated[str, StringConstraints(pattern=f"^inv_{ID}$")]] = Field(
        default=[], max_length=100, description="Which to pay, in this order; what is due first if left out."
    )


class PaymentList(PageOut[PaymentOut]):
    pass


@router.get("", responses=problems(*KEYED))
def list_payments(
    tx: Tx,
    key: Reader,
    account_id: OfAccount = None,
    limit: Limit = 20,
    starting_after: Annotated[str | None, cursor("pay")] = None,
) -> PaymentList:
    """Newest first."""
    query = visible(select(Payment), col(Payment.account_id), key, account_id)
    found = paging.page(tx, query, col(Payment.id), limit=limit, starting_after=starting_after)
    return PaymentList(data=[PaymentOut.of(tx, row) for row in found.data], has_more=found.has_more)


@router.get("/{payment_id}", responses=problems(*KEYED, NotFound))
def get_payment(payment_id: str, tx: Tx, key: Reader) -> PaymentOut:
    """One payment."""
    return PaymentOut.of(tx, find(tx, Payment, "pay", payment_id, key))


@router.get("/{payment_id}/pdf", response_class=Response, responses=problems(*KEYED, NotFound) | _PDF)
def get_payment_pdf(payment_id: str, tx: Tx, ports: Wired, key: Reader) -> Response:
    """The receipt of a payment, in the buyer's language. It is no invoice."""
    return receipts.pdf(tx, ports, find(tx, Payment, "pay", payment_id, key))


@router.post("", status_code=201, responses=problems(*KEYED, NotAllowed, NotFound, Invalid, AlreadyRecorded))
def record_payment(body: TransferIn, ports: Wired, key: Cashier) -> PaymentOut:
    """Record money that came by wire or cheque. It pays invoices, in part if need be; the rest becomes credit."""
    transfer = Transfer(
        account_id=body.account, amount=body.amount.money(), method=Method(body.method), reference=body.reference,
        value_on=body.value_on, invoice_ids=tuple(body.invoices),
    )  # fmt: skip
    payment = receivables.record(ports, transfer, by=key.id)
    with ports.db.transaction() as tx:
        return PaymentOut.of(tx, tx.get_one(Payment, payment.id))
