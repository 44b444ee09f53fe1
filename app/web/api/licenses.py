"""Licenses: the records, their files, the published keys, and checks that need no API key."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from fastapi import APIRouter, Header, Query
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from sqlalchemy import select
from sqlmodel import col
from starlette.responses import JSONResponse, Response

from app.accounts.models import ApiKey
from app.core import keys, paging, signing
from app.core.canonical import sha256_hex
from app.core.db import Tx as Unit
from app.core.errors import Invalid, NotFound
from app.core.keys import NoSigningKey, SigningKey
from app.core.signing import UnusableKey
from app.flows import export_gate
from app.licenses import rendering, service, usage
from app.licenses.errors import AlreadyRevoked, NotInForce, NotReleased
from app.licenses.formats.findings import Finding
from app.licenses.formats.keygen import AlgorithmRefused
from app.licenses.formats.keygen_claims import TtlRefused
from app.licenses.formats.recognize import Format
from app.licenses.formats.trust import Trust
from app.licenses.formats.verify_any import lint_license as lint
from app.licenses.issuing import UndeliverableLicenseFile
from app.licenses.models import License, LicenseEnvironment, LicenseState
from app.screening.destinations import DestinationRefused
from app.screening.service import PartyRefused
from app.web.api import validation
from app.web.api.access import KEYED, KEYLESS, Anyone, OfAccount, find, key_with, visible
from app.web.api.license_options import Alg, Encrypt, FormatUnknown, OptionWithoutEffect, Ttl, format_of, wanted
from app.web.api.shapes import In, JsonRoute, Limit, Line, Note, PageOut, StrictRoute, cursor
from app.web.api.validation import MAX_BODY_BYTES, FindingOut, Fingerprint, ValidateIn, ValidationOut
from app.web.deps import Now, Tx, Wired
from app.web.fast import BodyTooLarge, NotJson, TooManyRequests
from app.web.problems import problems

router = APIRouter(
    prefix="/v1/licenses", tags=["licenses"], route_class=JsonRoute
)  # fmt: skip

# Checks keep nothing, so there is nothing to repeat.
checks = APIRouter(
    prefix="/v1/licenses", tags=["licenses"], route_class=StrictRoute
)  # fmt: skip

Reader = Annotated[ApiKey, key_with("licenses:read")]
Writer = Annotated[ApiKey, key_with("licenses:write")]
_FILE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The file as text",
        "content": {"text/plain": {"schema": {"type": "string"}, "example": "eyJpZCI6…"}},
    }
}


class LicenseOut(BaseModel):
    """A license record. `key` is the id inside the file: a bare key for online checks."""

    model_config = ConfigDict(json_schema_extra={"example": {
        "id": "lic_01ka8qj6x0c5q4m3t2r1p0n9mk", "account_id": "acc_01ka8qj6x0c5q4m3t2r1p0n9mk",
        "subscription_id": "sub_01ka8qj6x0c5q4m3t2r1p0n9mk", "order_id": "ord_01ka8qj6x0c5q4m3t2r1p0n9mk",
        "key": "7kq0c3m8x1b5n9r2t4v6w8y0zd", "label": "Berlin production", "trial": False,
        "environment": "production", "server": "chat.example.org", "sku": "professional", "seats": 25,
        "state": "active",
        "starts_at": "2026-11-22T09:00:00Z", "expires_at": "2027-11-22T05:00:00Z", "grace_days": 10,
        "entitlements": {"users": 25, "ldap": True}, "kid": "V1bU…", "issued_at": "2026-11-22T09:00:00Z",
        "superseded_by": None, "revoked_at": None, "revoked_reason": None,
    }})  # fmt: skip

    id: str
    account_id: str
    subscription_id: str | None
    order_id: str | None
    trial: bool
    key: str
    label: str
    environment: LicenseEnvironment
    server: str
    sku: str
    seats: int
    state: LicenseState
    starts_at: datetime
    expires_at: datetime
    grace_days: int
    entitlements: dict[str, Any]
    kid: str
    issued_at: datetime
    superseded_by: str | None
    revoked_at: datetime | None
    revoked_reason: str | None

    @classmethod
    def of(cls, row: License) -> Self:
        given = {name: getattr(row, name) for name in cls.model_fields if name != "key"}
        return cls(**given, key=row.file_id)


class LicenseList(PageOut[LicenseOut]):
    pass


class LicensePatch(In):
    """Only what is given changes. `label` names it; `environment` and `server` say with which licenses it adds up."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"label": "Berlin production", "server": "chat.example.org"}}
    )

    label: Annotated[Line, Field(max_length=80)] | None = None
    environment: LicenseEnvironment | None = None
    server: Annotated[Line, Field(max_length=120)] | None = None


class RevocationIn(In):
    reason: Annotated[Note, Field(min_length=1)] = Field(examples=["Refunded in full."])


class LintIn(In):
    """A license file or token as it was received. `reported_users` are the active users of the server it is for."""

    model_config = ConfigDict(json_schema_extra={"example": {"license": "eyJpZCI6…", "reported_users": 23}})

    license: Annotated[str, Field(min_length=1, max_length=MAX_BODY_BYTES)]
    keys: Annotated[str, Field(max_length=MAX_BODY_BYTES)] | None = Field(
        default=None, description="PEM or JWKS to check with instead of the keys published here."
    )
    reported_users: Annotated[int, Field(strict=True, ge=0, le=100_000_000)] | None = None
    license_key: Annotated[str, StringConstraints(pattern=r"^[!-~]{1,255}$")] | None = Field(
        default=None, description="Opens the content of an encrypted Keygen file; without it the file is `sealed`."
    )
    fingerprint: Fingerprint | None = Field(
        default=None, description="Of the server a machine file is for; with the license key it opens the content."
    )


class LintOut(BaseModel):
    """`accepted`: whoever reads `format` and trusts the keys would take it now. Errors come first."""

    model_config = ConfigDict(json_schema_extra={"example": {
        "format": "mattermost", "accepted": True, "findings": [{
            "code": "seats_below_users", "severity": "warning", "detail": "23 people use it, and it has 20 seats.",
            "remedy": "Add 3 seats in the portal.",
        }],
    }})  # fmt: skip

    format: Format
    accepted: bool
    findings: list[FindingOut]


class JwkOut(BaseModel):
    """RFC 7517; `purpose` is license-file, keygen-file, license-token, revocation-list or evidence.

    `signs_from` to come: know it by then. `valid_to` in the past: good for old signatures only.
    """

    model_config = ConfigDict(extra="allow", json_schema_extra={"example": {
        "kid": "EiqUghAbTzRDa7e13ioafp_gCpKKizJF9vTtB2cE1FE", "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA",
        "use": "sig", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "purpose": "license-token",
        "valid_from": "2026-11-22T09:00:00Z", "signs_from": "2026-11-22T09:00:00Z", "valid_to": None,
        "pem": "-----BEGIN PUBLIC KEY-----\n…\n-----END PUBLIC KEY-----\n",
    }})  # fmt: skip

    kid: str
    kty: str
    alg: str
    use: str
    purpose: str
    valid_from: datetime
    signs_from: datetime
    valid_to: datetime | None
    pem: str


class KeysOut(BaseModel):
    """A JSON Web Key Set (RFC 7517)."""

    keys: list[JwkOut]


def _finding(found: Finding) -> FindingOut:
    return FindingOut(
        code=found.code, severity=found.severity.value, detail=found.detail, remedy=found.remedy or None
    )  # fmt: skip


def _jwk(key: SigningKey) -> JwkOut:
    public = signing.load_public_keys(key.public_pem.encode())[0]
    return JwkOut(
        **signing.public_jwk(public, key.kid), purpose=key.purpose, valid_from=key.valid_from,
        signs_from=key.signs_from, valid_to=key.valid_to, pem=key.public_pem,
    )  # fmt: skip


@router.get("", responses=problems(*KEYED))
def list_licenses(
    tx: Tx, key: Reader, state: LicenseState | None = None, account_id: OfAccount = None, limit: Limit = 20,
    starting_after: Annotated[str | None, cursor("lic")] = None,
) -> LicenseList:  # fmt: skip
    """Newest first."""
    query = visible(select(License), col(License.account_id), key, account_id)
    if state is not None:
        query = query.where(col(License.state) == state)
    found = paging.page(tx, query, col(License.id), limit=limit, starting_after=starting_after)
    return LicenseList(data=[LicenseOut.of(row) for row in found.data], has_more=found.has_more)


@router.get("/keys", response_model=KeysOut, responses={
    200: {"content": {"application/x-pem-file": {
        "schema": {"type": "string"}, "example": "-----BEGIN PUBLIC KEY-----\n…\n-----END PUBLIC KEY-----\n",
    }}}, **problems()
})  # fmt: skip
def published_keys(
    tx: Tx,
    written: Annotated[Literal["jwks", "pem"], Query(alias="format", description="pem: all in one bundle.")] = "jwks",
    known: Annotated[str | None, Header(alias="If-None-Match", max_length=1000)] = None,
) -> Any:  # fmt: skip
    """Every public key that a good signature may carry: of today, of tomorrow, and of what is still in use.

    Needs no key; may be kept for an hour. Which set it is, `ETag` tells.
    """
    found = keys.published(tx)
    mark = sha256_hex("".join(f"{key.kid} {key.valid_to}\n" for key in found).encode())[:32]
    headers = {"Cache-Control": "public, max-age=3600", "ETag": f'"{mark}"'}
    if known is not None and f'"{mark}"' in known:
        return Response(status_code=304, headers=headers)
    if written == "pem":
        return Response("".join(key.public_pem for key in found), headers=headers, media_type="application/x-pem-file")
    return JSONResponse(KeysOut(keys=[_jwk(key) for key in found]).model_dump(mode="json"), headers=headers)


@checks.post("/lint", responses=problems(UnusableKey, NoSigningKey))
def lint_license(body: LintIn, tx: Tx, now: Now) -> LintOut:
    """What a reader would refuse or misread in a file or token of any format, by that reader's own rules.

    Needs no key; keeps nothing. Of a file of ours, `reported_users` left out are those of its newest usage report.
    """
    if body.keys is not None:
        trust = Trust.read(body.keys.encode())
    elif published := keys.published(tx):
        trust = Trust.of(published)
    else:
        raise NoSigningKey("There is no published key to check with; send `keys`.")
    users = body.reported_users if body.reported_users is not None else _last_reported(tx, body.license)
    kind, findings = lint(body.license, trust, now=now, license_key=body.license_key, fingerprint=body.fingerprint,
                           reported_users=users)  # fmt: skip
    return LintOut(
        format=kind, accepted=not any(each.blocks for each in findings), findings=[_finding(each) for each in findings]
    )


def _last_reported(tx: Unit, text: str) -> int | None:
    """How many were last reported to use the license whose whole file this is."""
    joined = text.strip().translate({10: None, 13: None})
    digest = sha256_hex(joined.encode())
    of = tx.execute(select(col(License.subscription_id)).where(col(License.file_sha256) == digest)).scalar_one_or_none()
    report = usage.newest(tx, of) if of else None
    return report.active_users if report is not None else None


@checks.post("/validate", response_model=ValidationOut, responses=problems(
    *KEYLESS, BodyTooLarge, NotJson, TooManyRequests, NoSigningKey
))  # fmt: skip
def validate_license(body: ValidateIn, tx: Tx, ports: Wired, now: Now, key: Anyone) -> Any:
    """Is this license good, here and now? Needs no API key: the file or the bare key is the credential.

    Every finding is given, with one headline `code`. Unknown, revoked and foreign bare keys look alike; the signed
    file and the owner's API key get the true code. Answers without a `nonce` may be up to a minute old by
    `checked_at`, yet a revocation shows within a second. Limited to 30 requests at once and 3 a second per address;
    an API key raises the limit.
    """
    presented = body.presented()
    answer = validation.answer(tx, ports.secrets, presented, validation.asker_of(key), now)
    return Response(answer, media_type="application/json")


@router.get("/{license_id}", responses=problems(*KEYED, NotFound))
def get_license(license_id: str, tx: Tx, key: Reader) -> LicenseOut:
    """One license."""
    return LicenseOut.of(find(tx, License, "lic", license_id, key))


@router.patch("/{license_id}", responses=problems(*KEYED, NotFound, Invalid))
def change_license(license_id: str, body: LicensePatch, tx: Tx, now: Now, key: Writer) -> LicenseOut:
    """Name it and say what it is for. The file that was signed stays; merged files follow within a minute."""
    find(tx, License, "lic", license_id, key)
    return LicenseOut.of(service.describe(
        tx, license_id, label=body.label, environment=body.environment, server=body.server, by=key.id, now=now
    ))  # fmt: skip


@router.get("/{license_id}/file", response_class=Response, responses=problems(
    *KEYED, NotFound, FormatUnknown, OptionWithoutEffect, TtlRefused, AlgorithmRefused, NotReleased, NotInForce,
    UndeliverableLicenseFile, NoSigningKey, DestinationRefused, PartyRefused,
) | _FILE)  # fmt: skip
def get_license_file(
    license_id: str, tx: Tx, ports: Wired, now: Now, key: Reader,
    written: Annotated[
        str, Query(alias="format", pattern="^[a-z]{1,20}$", description="mattermost, keygen or token")
    ] = "mattermost",
    ttl: Ttl = None, encrypt: Encrypt = None, alg: Alg = None,
) -> Response:  # fmt: skip
    """The license to install, in one of its formats.

    The Mattermost file is always the same. The others are signed as of now, so that each download is another text.
    """
    license_ = service.require_released(find(tx, License, "lic", license_id, key), now)
    wish = wanted(format_of(written), ttl, encrypt, alg)
    export_gate.require_deliverable(tx, license_.account_id, now)
    text = rendering.render(tx, ports.secrets, license_, wish, by=key.id, now=now)
    name = f"{license_.file_id}.{rendering.SUFFIXES[wish.written]}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return Response(text, media_type="text/plain", headers=headers)


@router.post("/{license_id}/revoke", responses=problems(*KEYED, NotFound, AlreadyRevoked))
def revoke_license(license_id: str, body: RevocationIn, tx: Tx, now: Now, key: Writer) -> LicenseOut:
    """Online checks refuse it from now on. Files already delivered stay readable offline."""
    find(tx, License, "lic", license_id, key)
    return LicenseOut.of(service.revoke(tx, license_id, reason=body.reason, by=key.id, now=now))
