"""API keys over the API: made, listed, revoked.

Not an idempotent route: a replay would need the secret stored, and it is shown once (S10). To rotate, make a second
key, move over, and revoke the first; both work meanwhile.
"""

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field
from sqlmodel import col
from starlette.responses import Response

from app.accounts import api_keys
from app.accounts.errors import ScopeExceeded
from app.accounts.models import ApiKey
from app.core import paging
from app.core.clock import transport_now
from app.core.errors import Invalid, NotFound
from app.web.deps import NotSignedIn, ScopeMissing, Tx, Wired, requires
from app.web.problems import problems

router = APIRouter(prefix="/v1/api_keys", tags=["api_keys"])

Caller = Annotated[ApiKey, Depends(requires("keys:write"))]
Limit = Annotated[int, Query(ge=1, le=paging.MAX_LIMIT)]
_REFUSALS = (NotSignedIn, ScopeMissing)
_LONGEST_DAYS = api_keys.LONGEST.days


class ApiKeyIn(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_extra={
        "example": {"name": "License server, production", "scopes": ["licenses:read"], "expires_in_days": 90}
    })  # fmt: skip

    name: str = Field(min_length=1, max_length=100)
    scopes: list[str] = Field(min_length=1, max_length=40)
    account_id: str | None = Field(default=None, description="Bind the key to one account; left out, as the caller is.")
    expires_in_days: int = Field(default=_LONGEST_DAYS, ge=1, le=_LONGEST_DAYS)


class ApiKeyOut(BaseModel):
    """A key without its secret, which nobody can read again."""

    model_config = ConfigDict(json_schema_extra={"example": {
        "id": "key_01ka8qj6x0c5q4m3t2r1p0n9mk", "name": "ERP", "scopes": ["invoices:read"],
        "account_id": "acc_01ka8qj6x0c5q4m3t2r1p0n9mk", "created_at": "2026-11-22T09:00:00Z",
        "expires_at": "2027-11-22T09:00:00Z", "revoked_at": None, "last_used_at": None, "last_used_ip": None,
    }})  # fmt: skip

    id: str
    name: str
    scopes: list[str]
    account_id: str | None
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None
    last_used_at: datetime | None
    last_used_ip: str | None

    @classmethod
    def of(cls, key: ApiKey) -> "ApiKeyOut":
        return cls.model_validate(key, from_attributes=True)


class NewApiKeyOut(ApiKeyOut):
    model_config = ConfigDict(json_schema_extra={"example": {
        "id": "key_01ka8qj6x0c5q4m3t2r1p0n9mk", "name": "ERP", "scopes": ["invoices:read"],
        "account_id": "acc_01ka8qj6x0c5q4m3t2r1p0n9mk", "created_at": "2026-11-22T09:00:00Z",
        "expires_at": "2027-11-22T09:00:00Z", "revoked_at": None, "last_used_at": None, "last_used_ip": None,
        "secret": "blp_test_…",
    }})  # fmt: skip

    secret: str = Field(
        description="Shown this once. Secret scanners know it by `blp_[A-Za-z0-9_-]{43}[A-Za-z0-9]{6}`."
    )


class ApiKeysOut(BaseModel):
    data: list[ApiKeyOut]
    has_more: bool


@router.post("", status_code=201, responses=problems(*_REFUSALS, ScopeExceeded, NotFound, Invalid))
def create_api_key(body: ApiKeyIn, tx: Tx, ports: Wired, caller: Caller) -> NewApiKeyOut:
    """Make a key. It can do no more than the key that makes it, and sees no more accounts."""
    key, secret = api_keys.mint(
        tx, ports.secrets, caller, name=body.name, scopes=body.scopes, account_id=body.account_id,
        lives=timedelta(days=body.expires_in_days), now=transport_now(),
    )  # fmt: skip
    return NewApiKeyOut(**ApiKeyOut.of(key).model_dump(), secret=secret)


@router.get("", responses=problems(*_REFUSALS))
def list_api_keys(tx: Tx, caller: Caller, limit: Limit = 20, starting_after: str | None = None) -> ApiKeysOut:
    """The keys this one may see, newest first, revoked ones included."""
    found = paging.page(tx, api_keys.visible_to(caller), col(ApiKey.id), limit=limit, starting_after=starting_after)
    return ApiKeysOut(data=[ApiKeyOut.of(key) for key in found.data], has_more=found.has_more)


@router.get("/{key_id}", responses=problems(*_REFUSALS, NotFound))
def get_api_key(key_id: str, tx: Tx, caller: Caller) -> ApiKeyOut:
    """One key, with when and from where it was last used."""
    return ApiKeyOut.of(api_keys.get(tx, caller, key_id))


@router.delete("/{key_id}", status_code=204, responses=problems(*_REFUSALS, NotFound))
def revoke_api_key(key_id: str, tx: Tx, caller: Caller) -> Response:
    """End a key at once; a key may end itself. Again changes nothing."""
    api_keys.revoke(tx, caller, key_id, transport_now())
    return Response(status_code=204)
