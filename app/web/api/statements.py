"""The statement of an account: what was charged, paid and credited, and what is open."""

from datetime import date
from typing import Annotated, Any, Final, Self

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from app.accounts import service as accounts
from app.accounts.models import Account, ApiKey
from app.core import ids
from app.core.errors import Invalid, NotFound
from app.flows import statements
from app.reports.account_statement import Balances, Kind, Statement
from app.web import statement_view
from app.web.api.access import KEYED, key_with, sees
from app.web.api.shapes import JsonRoute, MoneyOut
from app.web.deps import Now, Tx, Wired
from app.web.problems import problems

router = APIRouter(prefix="/v1/accounts/{account_id}/statement", tags=["accounts"], route_class=JsonRoute)

Reader = Annotated[ApiKey, key_with("invoices:read")]
_FILES: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "The statement as a file", "content": {
        "application/pdf": {}, "text/csv; charset=utf-8; header=present": {}}}
}  # fmt: skip


class BalancesOut(BaseModel):
    """`balance` is `owed` less `credit` less `returning` (refunds that are not confirmed); below zero we owe it."""

    owed: MoneyOut
    credit: MoneyOut
    returning: MoneyOut
    balance: MoneyOut

    @classmethod
    def of(cls, held: Balances) -> Self:
        return cls(owed=MoneyOut.of(held.owed), credit=MoneyOut.of(held.credit), returning=MoneyOut.of(held.returning),
                   balance=MoneyOut.of(held.balance))  # fmt: skip


class MovementOut(BaseModel):
    """`amount` changes the balance; `moved` went between credit and an invoice and changes none."""

    booked_on: date
    kind: Kind
    document: str
    detail: str
    amount: MoneyOut
    moved: MoneyOut
    balance: MoneyOut


class OpenItemOut(BaseModel):
    """What was open of an invoice at the end of `to`."""

    invoice_id: str
    number: str
    issued_on: date
    due_on: date
    total: MoneyOut
    left: MoneyOut
    overdue_days: int


class StatementOut(BaseModel):
    """By accounting date in the seller's time zone, `from` and `to` included."""

    model_config = ConfigDict(json_schema_extra={"example": {
        "account_id": "acc_01ka8qj6x0c5q4m3t2r1p0n9mk", "currency": "USD", "from": "2026-01-01", "to": "2026-12-31",
        "opening": {name: {"amount": 0, "currency": "USD"} for name in ("owed", "credit", "returning", "balance")},
        "closing": {name: {"amount": 0, "currency": "USD"} for name in ("owed", "credit", "returning", "balance")},
        "movements": [], "open_items": [],
    }})  # fmt: skip

    account_id: str
    currency: str
    first: date = Field(serialization_alias="from")
    last: date = Field(serialization_alias="to")
    opening: BalancesOut
    closing: BalancesOut
    movements: list[MovementOut]
    open_items: list[OpenItemOut]

    @classmethod
    def of(cls, found: Statement) -> Self:
        return cls(
            account_id=found.account_id, currency=found.currency, first=found.period.first, last=found.period.last,
            opening=BalancesOut.of(found.opening), closing=BalancesOut.of(found.closing),
            movements=[
                MovementOut(booked_on=each.booked_on, kind=each.kind, document=each.document, detail=each.detail,
                            amount=MoneyOut.of(each.amount), moved=MoneyOut.of(each.moved),
                            balance=MoneyOut.of(each.balance))
                for each in found.movements
            ],
            open_items=[
                OpenItemOut(invoice_id=each.invoice_id, number=each.number, issued_on=each.issued_on,
                            due_on=each.due_on, total=MoneyOut.of(each.total), left=MoneyOut.of(each.left),
                            overdue_days=each.overdue_days)
                for each in found.open_items
            ],
        )  # fmt: skip


def _account(account_id: str, tx: Tx, key: Reader) -> Account:
    if not sees(key, ids.require_form("acc", account_id)):
        raise NotFound(f"There is no {account_id} here.")
    return accounts.get(tx, account_id)


Of = Annotated[Account, Depends(_account)]


def _asked(
    account: Of, tx: Tx, now: Now,
    currency: Annotated[str, Query(description="What was used last, if left out", examples=["EUR"])] = "",
    first: Annotated[str, Query(alias="from", description="1 January, if left out", examples=["2026-01-01"])] = "",
    last: Annotated[str, Query(alias="to", description="Today, if left out", examples=["2026-12-31"])] = "",
) -> Statement:  # fmt: skip
    return statements.asked(tx, account, currency=currency, first=first, last=last, now=now)


Asked = Annotated[Statement, Depends(_asked)]
_REFUSALS: Final = problems(*KEYED, NotFound, Invalid)


@router.get("", responses=_REFUSALS)
def get_statement(asked: Asked) -> StatementOut:
    """Opening balance, every movement, closing balance, and what is open with its age."""
    return StatementOut.of(asked)


@router.get("/pdf", response_class=Response, responses=_FILES | _REFUSALS)
def get_statement_pdf(asked: Asked, account: Of, tx: Tx, ports: Wired) -> Response:
    """The same on paper, in the account's language."""
    return statement_view.pdf_file(asked, statements.document(tx, ports, account, asked), account.locale)


@router.get("/csv", response_class=Response, responses=_FILES | _REFUSALS)
def get_statement_csv(asked: Asked) -> Response:
    """The same for a spreadsheet: amounts as decimals, formulas made text."""
    return statement_view.csv_file(asked)
