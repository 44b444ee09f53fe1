"""Accounts: customer organizations, their people, tax numbers and entitlements."""

from datetime import datetime
from typing import Annotated, Any, Self
from zoneinfo import available_timezones

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator
from sqlalchemy import select
from sqlmodel import col

from app.accounts.models import Account, AccountTaxId, ApiKey, BuyerType, Member, Role, TaxIdStatus
from app.core import audit, ids, paging
from app.core.db import Tx as Unit
from app.core.errors import NotFound
from app.flows import printable
from app.web.api.access import KEYED, key_with, sees, visible
from app.web.api.shapes import Email, In, JsonRoute, Limit, Line, PageOut, cursor
from app.web.deps import Now, Tx
from app.web.problems import problems

router = APIRouter(
    prefix="/v1/accounts", tags=["accounts"], route_class=JsonRoute
)  # fmt: skip

Reader = Annotated[ApiKey, key_with("accounts:read")]
Writer = Annotated[ApiKey, key_with("accounts:write")]
Given = Annotated[Line, Field(min_length=1)]


class AccountOut(BaseModel):
    """A customer organization. Documents keep the name and address they were made with."""

    model_config = ConfigDict(json_schema_extra={"example": {
        "id": "acc_01ka8qj6x0c5q4m3t2r1p0n9mk", "name": "Example GmbH", "type": "business",
        "email": "ada@example.org", "line1": "Invalidenstr. 1", "line2": "", "city": "Berlin", "region": "",
        "postcode": "10115", "country": "DE", "time_zone": "Europe/Berlin", "locale": "de",
        "created_at": "2026-11-22T09:00:00Z",
    }})  # fmt: skip

    id: str
    name: str
    type: BuyerType
    email: str
    line1: str
    line2: str
    city: str
    region: str
    postcode: str
    country: str
    time_zone: str
    locale: str
    created_at: datetime

    @classmethod
    def of(cls, row: Account) -> Self:
        return cls.model_validate(row, from_attributes=True)


class AccountList(PageOut[AccountOut]):
    pass


class AccountPatch(In):
    """Only what is given changes. The country stays: another one means other tax, so it comes with a new purchase."""

    model_config = ConfigDict(json_schema_extra={"example": {"email": "billing@example.org"}})

    name: Given | None = None
    email: Email | None = None
    line1: Given | None = None
    line2: Line | None = None
    city: Given | None = None
    region: Line | None = None
    postcode: Given | None = None
    time_zone: Annotated[str, StringConstraints(max_length=60)] | None = None
    locale: (
        Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*$", max_length=35)] | None
    ) = None

    @field_validator("time_zone")
    @classmethod
    def known_zone(cls, name: str | None) -> str | None:
        if name is not None and name not in available_timezones():
            raise ValueError("give an IANA name, such as Europe/Berlin")
        return name

    @model_validator(mode="after")
    def something_given(self) -> Self:
        if not self.changes():
            raise ValueError("give at least one field to change")
        return self

    def changes(self) -> dict[str, Any]:
        return self.model_dump(exclude_none=True)


class MemberOut(BaseModel):
    model_config = ConfigDict(json_schema_extra={"example": {
        "id": "mem_01ka8qj6x0c5q4m3t2r1p0n9mk", "email": "ada@example.org", "name": "Ada Example", "role": "owner",
        "created_at": "2026-11-22T09:00:00Z",
    }})  # fmt: skip

    id: str
    email: str
    name: str
    role: Role
    created_at: datetime


class MemberList(PageOut[MemberOut]):
    pass


class AccountTaxIdOut(BaseModel):
    """A tax number and what its registry said last."""

    model_config = ConfigDict(json_schema_extra={"example": {
        "id": "tid_01ka8qj6x0c5q4m3t2r1p0n9mk", "type": "eu_vat", "value": "DE136695976", "status": "valid",
        "checked_at": "2026-11-22T09:00:00Z",
    }})  # fmt: skip

    id: str
    type: str
    value: str
    status: TaxIdStatus
    checked_at: datetime | None


class AccountTaxIdList(PageOut[AccountTaxIdOut]):
    pass


def _find(tx: Unit, account_id: str, key: ApiKey) -> Account:
    account = tx.get(Account, ids.require_form("acc", account_id))
    if account is None or not sees(key, account.id):
        raise NotFound(f"There is no {account_id} here.")
    return account


@router.get("", responses=problems(*KEYED))
def list_accounts(
    tx: Tx, key: Reader, email: Email | None = None, limit: Limit = 20,
    starting_after: Annotated[str | None, cursor("acc")] = None,
) -> AccountList:  # fmt: skip
    """Newest first; a key of an account sees its own."""
    query = visible(select(Account), col(Account.id), key)
    if email is not None:
        query = query.where(col(Account.email) == email)
    found = paging.page(tx, query, col(Account.id), limit=limit, starting_after=starting_after)
    return AccountList(data=[AccountOut.of(row) for row in found.data], has_more=found.has_more)


@router.get("/{account_id}", responses=problems(*KEYED, NotFound))
def get_account(account_id: str, tx: Tx, key: Reader) -> AccountOut:
    """One account."""
    return AccountOut.of(_find(tx, account_id, key))


@router.patch("/{account_id}", responses=problems(*KEYED, NotFound))
def change_account(account_id: str, body: AccountPatch, tx: Tx, now: Now, key: Writer) -> AccountOut:
    """Change name, address, language or time zone; invoices made before keep what they say."""
    account = _find(tx, account_id, key)
    changes = body.changes()
    printable.require({name: value for name, value in changes.items() if isinstance(value, str)})
    for name, value in changes.items():
        setattr(account, name, value)
    audit.record(tx, account.id, actor=key.id, action="account.changed", subject=account.id, now=now,
                 details={"fields": sorted(changes)})  # fmt: skip
    return AccountOut.of(account)


@router.get("/{account_id}/members", responses=problems(*KEYED, NotFound))
def list_members(
    account_id: str, tx: Tx, key: Reader, limit: Limit = 20,
    starting_after: Annotated[str | None, cursor("mem")] = None,
) -> MemberList:  # fmt: skip
    """The people who may act for the account, newest first."""
    account = _find(tx, account_id, key)
    query = select(Member).where(col(Member.account_id) == account.id, col(Member.removed_at).is_(None))
    found = paging.page(tx, query, col(Member.id), limit=limit, starting_after=starting_after)
    data = [MemberOut.model_validate(row, from_attributes=True) for row in found.data]
    return MemberList(data=data, has_more=found.has_more)


@router.get("/{account_id}/tax_ids", responses=problems(*KEYED, NotFound))
def list_tax_ids(
    account_id: str, tx: Tx, key: Reader, limit: Limit = 20,
    starting_after: Annotated[str | None, cursor("tid")] = None,
) -> AccountTaxIdList:  # fmt: skip
    """The tax numbers given with orders, newest first."""
    account = _find(tx, account_id, key)
    query = select(AccountTaxId).where(col(AccountTaxId.account_id) == account.id)
    found = paging.page(tx, query, col(AccountTaxId.id), limit=limit, starting_after=starting_after)
    data = [AccountTaxIdOut.model_validate(row, from_attributes=True) for row in found.data]
    return AccountTaxIdList(data=data, has_more=found.has_more)
