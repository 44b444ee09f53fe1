"""Merged license files: one for all production licenses of a server, with every one there was before (R-LIC-3)."""

from datetime import datetime
from typing import Annotated, Any, Self

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict
from sqlalchemy import select
from sqlmodel import col
from starlette.responses import Response

from app.accounts.models import ApiKey
from app.core import paging
from app.core.errors import NotFound
from app.flows import export_gate
from app.licenses import merging
from app.licenses.errors import AlreadyRevoked
from app.licenses.models import LicenseState, MergedLicense
from app.screening.destinations import DestinationRefused
from app.screening.service import PartyRefused
from app.web.api.access import KEYED, OfAccount, find, key_with, visible
from app.web.api.shapes import JsonRoute, Limit, PageOut, cursor
from app.web.deps import Now, Tx
from app.web.problems import problems

router = APIRouter(
    prefix="/v1/merged_licenses", tags=["licenses"], route_class=JsonRoute
)  # fmt: skip

Reader = Annotated[ApiKey, key_with("licenses:read")]
_FILE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The file, one line of text",
        "content": {"text/plain": {"schema": {"type": "string"}, "example": "eyJpZCI6…"}},
    }
}


class MergedSourceOut(BaseModel):
    """A license in the file, with the seats it brings; of very many, the last entry sums up the others."""

    license: str
    users: int
    expires_at: datetime


class MergedLicenseOut(BaseModel):
    """One file for several licenses. `key` is the id inside it, `replaces` the file whose place it took."""

    model_config = ConfigDict(json_schema_extra={"example": {
        "id": "mrg_01ka8qj6x0c5q4m3t2r1p0n9mk", "account_id": "acc_01ka8qj6x0c5q4m3t2r1p0n9mk",
        "key": "7kq0c3m8x1b5n9r2t4v6w8y0zd", "server": "", "plan": "Professional", "sku": "professional", "seats": 100,
        "state": "active", "starts_at": "2026-11-22T09:00:00Z", "expires_at": "2027-11-22T05:00:00Z",
        "entitlements": {"users": 100, "ldap": True}, "sources": [{
            "license": "lic_01ka8qj6x0c5q4m3t2r1p0n9mk", "users": 100, "expires_at": "2027-11-22T05:00:00Z",
        }], "kid": "V1bU…", "issued_at": "2026-11-22T09:00:00Z", "replaces": None, "revoked_at": None,
    }})  # fmt: skip

    id: str
    account_id: str
    key: str
    server: str
    plan: str
    sku: str
    seats: int
    state: LicenseState
    starts_at: datetime
    expires_at: datetime
    entitlements: dict[str, Any]
    sources: list[MergedSourceOut]
    kid: str
    issued_at: datetime
    replaces: str | None
    revoked_at: datetime | None

    @classmethod
    def of(cls, row: MergedLicense) -> Self:
        given = {name: getattr(row, name) for name in cls.model_fields if name not in {"key", "replaces", "sources"}}
        sources = [MergedSourceOut.model_validate(each) for each in row.sources]
        return cls(**given, key=row.file_id, replaces=row.replaces_id, sources=sources)


class MergedLicenseList(PageOut[MergedLicenseOut]):
    pass


@router.get("", responses=problems(*KEYED))
def list_merged_licenses(
    tx: Tx, key: Reader, state: LicenseState | None = None, account_id: OfAccount = None, limit: Limit = 20,
    starting_after: Annotated[str | None, cursor("mrg")] = None,
) -> MergedLicenseList:  # fmt: skip
    """Newest first, past files too; `state=active` are those to install."""
    query = visible(select(MergedLicense), col(MergedLicense.account_id), key, account_id)
    if state is not None:
        query = query.where(col(MergedLicense.state) == state)
    found = paging.page(tx, query, col(MergedLicense.id), limit=limit, starting_after=starting_after)
    return MergedLicenseList(data=[MergedLicenseOut.of(row) for row in found.data], has_more=found.has_more)


@router.get("/{merged_id}", responses=problems(*KEYED, NotFound))
def get_merged_license(merged_id: str, tx: Tx, key: Reader) -> MergedLicenseOut:
    """One merged file with the licenses in it."""
    return MergedLicenseOut.of(find(tx, MergedLicense, "mrg", merged_id, key))


@router.get("/{merged_id}/file", response_class=Response, responses=problems(
    *KEYED, NotFound, AlreadyRevoked, DestinationRefused, PartyRefused
) | _FILE)  # fmt: skip
def get_merged_license_file(merged_id: str, tx: Tx, now: Now, key: Reader) -> Response:
    """The license file to install, as it was signed; an earlier one too, but none of which nothing is left."""
    row = merging.require_usable(find(tx, MergedLicense, "mrg", merged_id, key))
    export_gate.require_deliverable(tx, row.account_id, now)
    headers = {"Content-Disposition": f'attachment; filename="{row.file_id}.mattermost-license"'}
    return Response(row.file_text, media_type="text/plain", headers=headers)
