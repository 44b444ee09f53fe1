"""Refunds: looked at, asked for, and read."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Self

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict
from sqlalchemy import select
from sqlmodel import col

from app.accounts.models import ApiKey
from app.core import paging
from app.core.errors import Invalid, NotAllowed, NotFound
from app.core.money import Money
from app.flows import refund
from app.flows.refund import Asked, Outlook
from app.flows.ways_back import NotRefundable
from app.invoices.errors import CreditTooLarge, NotCreditable, NothingToCredit
from app.invoices.models import CreditReason, Invoice
from app.payments.models import Refund, RefundState
from app.web.api.access import KEYED, OfAccount, find, key_with, vendor_with, visible
from app.web.api.credit_notes import CreditIn
from app.web.api.shapes import JsonRoute, Limit, MoneyOut, PageOut, StrictRoute, cursor
from app.web.deps import Tx, Wired
from app.web.problems import problems

router = APIRouter(
    prefix="/v1/refunds", tags=["refunds"], route_class=JsonRoute
)  # fmt: skip

Reader = Annotated[ApiKey, key_with("invoices:read")]
Writer = Annotated[ApiKey, vendor_with("refunds:write")]


class RefundIn(CreditIn):
    model_config = ConfigDict(json_schema_extra={"example": {
        "invoice_id": "inv_01ka8qj6x0c5q4m3t2r1p0n9mk", "amount": 11900, "reason": "cancellation",
    }})  # fmt: skip

    reason: CreditReason = CreditReason.CANCELLATION


class RefundOut(BaseModel):
    """`requested` waits for a second person, `pending` is on its way; what `failed` became the customer's credit."""

    model_config = ConfigDict(json_schema_extra={"example": {
        "id": "ref_01ka8qj6x0c5q4m3t2r1p0n9mk", "state": "pending", "account_id": "acc_01ka8qj6x0c5q4m3t2r1p0n9mk",
        "payment_id": "pay_01ka8qj6x0c5q4m3t2r1p0n9mk", "invoice_id": "inv_01ka8qj6x0c5q4m3t2r1p0n9mk",
        "credit_note_id": "cn_01ka8qj6x0c5q4m3t2r1p0n9mk", "amount": {"amount": 11900, "currency": "USD"},
        "to_credit": {"amount": 0, "currency": "USD"}, "reason": "cancellation", "revoke_license": False,
        "provider": "sandbox", "provider_ref": None,
        "failure_code": None, "created_at": "2026-11-22T09:00:00Z",
    }})  # fmt: skip

    id: str
    state: RefundState
    account_id: str
    payment_id: str
    invoice_id: str
    credit_note_id: str | None
    amount: MoneyOut
    to_credit: MoneyOut
    reason: CreditReason
    revoke_license: bool
    provider: str
    provider_ref: str | None
    failure_code: str | None
    created_at: datetime

    @classmethod
    def of(cls, row: Refund) -> Self:
        same = (
            "id state account_id payment_id invoice_id credit_note_id reason provider provider_ref failure_code"
            " created_at"
        )
        return cls(
            **{name: getattr(row, name) for name in same.split()}, revoke_license=row.revoke,
            amount=MoneyOut.minor(row.amount_minor, row.currency),
            to_credit=MoneyOut.minor(row.to_credit_minor, row.currency),
        )  # fmt: skip


class RefundList(PageOut[RefundOut]):
    pass


class RefundPreviewOut(BaseModel):
    """What would happen: `amount` goes back over the provider, `to_credit` is customer credit again, which paid it.

    `full` gives back all that is left, `licenses` are the ones that would be revoked.
    """

    model_config = ConfigDict(json_schema_extra={"example": {
        "net": {"amount": 11132, "currency": "USD"}, "tax": {"amount": 768, "currency": "USD"},
        "amount": {"amount": 11900, "currency": "USD"}, "to_credit": {"amount": 0, "currency": "USD"}, "full": True,
        "revoke_license": True, "licenses": ["lic_01ka8qj6x0c5q4m3t2r1p0n9mk"], "workspace_id": None,
        "ends_subscription": True, "second_person": False, "limit": {"amount": 100000, "currency": "USD"},
    }})  # fmt: skip

    net: MoneyOut
    tax: MoneyOut
    amount: MoneyOut
    to_credit: MoneyOut
    full: bool
    revoke_license: bool
    licenses: list[str]
    workspace_id: str | None
    ends_subscription: bool
    second_person: bool
    limit: MoneyOut | None

    @classmethod
    def of(cls, seen: Outlook) -> Self:
        currency = seen.amount.currency
        return cls(
            net=MoneyOut.minor(seen.given.net, currency), tax=MoneyOut.minor(seen.given.tax, currency),
            amount=MoneyOut.of(seen.amount), to_credit=MoneyOut.of(seen.to_credit), full=seen.full,
            revoke_license=seen.revoke,
            licenses=list(seen.effects.licenses), workspace_id=seen.effects.workspace,
            ends_subscription=seen.effects.ends_subscription is not None, second_person=seen.second_person,
            limit=MoneyOut.of(seen.limit) if isinstance(seen.limit, Money) else None,
        )  # fmt: skip


_REFUSED = (NotAllowed, NotFound, Invalid, CreditTooLarge, NothingToCredit, NotCreditable, NotRefundable)


@router.get("", responses=problems(*KEYED))
def list_refunds(
    tx: Tx, key: Reader, state: RefundState | None = None, account_id: OfAccount = None, limit: Limit = 20,
    starting_after: Annotated[str | None, cursor("ref")] = None,
) -> RefundList:  # fmt: skip
    """Newest first."""
    query = visible(select(Refund), col(Refund.account_id), key, account_id)
    if state is not None:
        query = query.where(col(Refund.state) == state)
    found = paging.page(tx, query, col(Refund.id), limit=limit, starting_after=starting_after)
    return RefundList(data=[RefundOut.of(row) for row in found.data], has_more=found.has_more)


@router.post("", status_code=HTTPStatus.CREATED, responses=problems(*KEYED, *_REFUSED))
def create_refund(body: RefundIn, ports: Wired, key: Writer) -> RefundOut:
    """Send money back over the provider. Above the vendor's limit it waits for a person in the console."""
    with ports.db.transaction() as tx:
        invoice = find(tx, Invoice, "inv", body.invoice_id, key)
        nets = body.nets(tx, invoice)
    asked = Asked(invoice.id, nets, body.amount, body.reason, body.revoke_license, body.note)
    return RefundOut.of(refund.request(ports, asked, by=key.id))


@router.get("/{refund_id}", responses=problems(*KEYED, NotFound))
def get_refund(refund_id: str, tx: Tx, key: Reader) -> RefundOut:
    """One refund."""
    return RefundOut.of(find(tx, Refund, "ref", refund_id, key))


previews = APIRouter(
    prefix="/v1/refunds", tags=["refunds"], route_class=StrictRoute
)  # fmt: skip


@previews.post("/preview", responses=problems(*KEYED, *_REFUSED))
def preview_refund(body: RefundIn, tx: Tx, ports: Wired, key: Writer) -> RefundPreviewOut:
    """What a refund would give back and take away; nothing is kept."""
    invoice = find(tx, Invoice, "inv", body.invoice_id, key)
    asked = Asked(invoice.id, body.nets(tx, invoice), body.amount, body.reason, body.revoke_license)
    return RefundPreviewOut.of(refund.outlook(tx, ports, asked))
