"""Servers of a license: bound, released, and kept alive by the product itself, which shows its license (R-LIC-5)."""

from datetime import datetime
from time import monotonic
from typing import Annotated, Any, Final, Self

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator
from sqlalchemy import select
from sqlmodel import col

from app.accounts.models import ApiKey
from app.core.clock import transport_now
from app.core.db import Tx as Unit
from app.core.errors import NotFound
from app.core.keys import NoSigningKey
from app.flows import export_gate
from app.licenses import activating, activation_terms, machine_files, rendering, validating
from app.licenses.activating import PRODUCT, By, Server
from app.licenses.activation_models import Activation, ActivationState, EndedBy
from app.licenses.decision import Decision
from app.licenses.errors import (
    ActivationLimitReached,
    HeartbeatsOff,
    LeaseEnded,
    LicenseNotUsable,
    NothingBought,
    NotInForce,
    OfflineNotOffered,
    ProofNeeded,
    TransfersSpent,
)
from app.licenses.formats.keygen import AlgorithmRefused
from app.licenses.formats.keygen_claims import TtlRefused
from app.licenses.formats.recognize import Format
from app.licenses.heartbeat import Life
from app.licenses.issuing import UndeliverableLicenseFile
from app.licenses.models import License
from app.licenses.records import record_of
from app.licenses.validating import Asker, Presented
from app.screening.destinations import DestinationRefused
from app.screening.service import PartyRefused
from app.web import deps
from app.web.api import validation
from app.web.api.access import KEYED, KeyOrLicense, find, key_with
from app.web.api.license_options import Alg, Encrypt, OptionWithoutEffect, Ttl, wanted
from app.web.api.shapes import ID, In, JsonRoute, Line
from app.web.api.validation import BareKey, FileText, Fingerprint
from app.web.deps import NotSignedIn, Now, ScopeMissing, Tx, Wired
from app.web.fast import TooManyRequests
from app.web.problems import problems
from app.web.throttle import Rate, Throttle

router = APIRouter(prefix="/v1/licenses/{license_id}/activations", tags=["licenses"], route_class=JsonRoute)

Reader = Annotated[ApiKey, key_with("licenses:read")]
_SCOPE: Final = "licenses:write"
_WRONG_LICENSES: Final = (30, 300)  # tries, seconds, of one network address
# Only a license that was checked has a bucket, so that strangers can neither mint one nor empty that of another.
_PACE: Final = Throttle(Rate(burst=600, per_second=50))
_Name = Annotated[Line, StringConstraints(max_length=80)]
_FILE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The file as text",
        "content": {
            "text/plain": {
                "schema": {"type": "string"},
                "example": "-----BEGIN MACHINE FILE-----\n…\n-----END MACHINE FILE-----\n",
            }
        },
    }
}


class ShownIn(In):
    """What speaks for the asker: the text of the license file, or its bare key. Neither with an API key."""

    license: FileText | None = None
    key: BareKey | None = None

    @model_validator(mode="after")
    def one_at_most(self) -> Self:
        if self.license is not None and self.key is not None:
            raise ValueError("give either `license`, the text of a file, or `key`")
        return self


class ActivateIn(ShownIn):
    """`fingerprint` names the server for the product; it is opaque here. The rest is for people who read lists."""

    model_config = ConfigDict(json_schema_extra={"example": {
        "key": "7kq0c3m8x1b5n9r2t4v6w8y0zd", "fingerprint": "9f86d081884c7d65", "name": "chat-01",
        "hostname": "chat-01.example.com", "version": "10.4.1",
    }})  # fmt: skip

    fingerprint: Fingerprint
    name: _Name = ""
    hostname: Annotated[Line, StringConstraints(max_length=253)] = ""
    version: Annotated[Line, StringConstraints(max_length=40)] = ""
    replaces: Fingerprint | None = Field(
        default=None, description="Fingerprint, or id of the activation, of a server that is given up in this step."
    )


class NamedIn(ShownIn):
    """One server, by its fingerprint or by the id of its activation."""

    model_config = ConfigDict(json_schema_extra={"example": {
        "key": "7kq0c3m8x1b5n9r2t4v6w8y0zd", "fingerprint": "9f86d081884c7d65",
    }})  # fmt: skip

    fingerprint: Fingerprint | None = None
    activation: Annotated[str, StringConstraints(pattern=f"^act_{ID}$")] | None = None

    @model_validator(mode="after")
    def one_server(self) -> Self:
        if (self.fingerprint is None) == (self.activation is None):
            raise ValueError("give either `fingerprint` or `activation`")
        return self

    @property
    def which(self) -> str:
        return self.fingerprint or self.activation or ""


class ActivationOut(BaseModel):
    """`place` is its number among the license's places. `life`: unwatched where no heartbeats are wanted."""

    model_config = ConfigDict(json_schema_extra={"example": {
        "id": "act_01ka8qj6x0c5q4m3t2r1p0n9mk", "license_id": "lic_01ka8qj6x0c5q4m3t2r1p0n9mk", "place": 1,
        "fingerprint": "9f86d081884c7d65", "name": "chat-01", "hostname": "chat-01.example.com", "version": "10.4.1",
        "state": "active", "life": "alive", "offline": False, "activated_at": "2026-11-22T09:00:00Z",
        "last_seen_at": "2026-11-22T09:05:00Z", "lease_until": "2026-11-22T09:15:00Z", "deactivated_at": None,
    }})  # fmt: skip

    id: str
    license_id: str
    place: int
    fingerprint: str
    name: str
    hostname: str
    version: str
    state: ActivationState
    life: Life
    offline: bool
    activated_at: datetime
    last_seen_at: datetime
    lease_until: datetime | None
    deactivated_at: datetime | None

    @classmethod
    def of(cls, row: Activation) -> Self:
        given = {name: getattr(row, name) for name in cls.model_fields if name not in {"place", "life"}}
        return cls(**given, place=row.slot, life=activating.seen(row, transport_now()))


class ActivationList(BaseModel):
    """The live ones by their places. `limit` is what was bought, `allowed` includes what the plan bears beyond it."""

    data: list[ActivationOut]
    limit: int | None = Field(examples=[4])
    allowed: int | None = Field(examples=[5])


_REFUSALS: Final = (*KEYED, NotFound, NothingBought, NoSigningKey, LicenseNotUsable, TooManyRequests)


@router.post("", status_code=201, responses={
    200: {"model": ActivationOut, "description": "This server was activated before"},
    **problems(*_REFUSALS, ActivationLimitReached, TransfersSpent, ProofNeeded),
})  # fmt: skip
def activate_license(
    license_id: str, body: ActivateIn, request: Request, response: Response, tx: Tx, now: Now, key: KeyOrLicense
) -> ActivationOut:
    """Bind a server. The same fingerprint again is the same activation, answered 200, with a new lease.

    The license file or its bare key is the credential; an API key with `licenses:write` does too. Full: 409 with the
    names of the servers that hold the places.
    """
    license_, by = _entitled(request, tx, license_id, body, key, now, in_force=True)
    server = Server(body.fingerprint, body.name, body.hostname, body.version)
    row, new = activating.activate(
        tx, license_, server, by=by, now=now, real_now=transport_now(), replaces=body.replaces
    )
    if not new:
        response.status_code = 200
    return ActivationOut.of(row)


@router.delete("", responses=problems(*_REFUSALS, TransfersSpent, ProofNeeded))
def deactivate_license(
    license_id: str, body: NamedIn, request: Request, tx: Tx, now: Now, key: KeyOrLicense
) -> ActivationOut:
    """Release a server; its place is free at once. Also where the license is no longer in force."""
    license_, by = _entitled(request, tx, license_id, body, key, now, in_force=False)
    return ActivationOut.of(activating.deactivate(tx, license_, body.which, by=by, now=now))


@router.post("/heartbeat", responses=problems(*_REFUSALS, HeartbeatsOff, LeaseEnded))
def heartbeat_license(
    license_id: str, body: NamedIn, request: Request, tx: Tx, now: Now, key: KeyOrLicense
) -> ActivationOut:
    """Say that a server lives: its lease holds for another interval. 410: it came too late, activate again."""
    license_, _ = _entitled(request, tx, license_id, body, key, now, in_force=True)
    return ActivationOut.of(activating.beat(tx, license_, body.which, real_now=transport_now()))


@router.get("/{activation_id}/file", response_class=Response, responses=problems(
    *KEYED, NotFound, OptionWithoutEffect, TtlRefused, AlgorithmRefused, NotInForce, LeaseEnded, OfflineNotOffered,
    LicenseNotUsable, NothingBought, UndeliverableLicenseFile, NoSigningKey, DestinationRefused, PartyRefused,
) | _FILE)  # fmt: skip
def get_machine_file(
    license_id: str, activation_id: str, tx: Tx, ports: Wired, now: Now, key: Reader, ttl: Ttl = None,
    encrypt: Encrypt = None, alg: Alg = None,
) -> Response:  # fmt: skip
    """The license for this server alone, as a Keygen machine file, signed as of now.

    Encrypted it opens with license key and fingerprint together, and with neither alone. It goes on to its own end even
    where the server is deactivated before: no network is needed, so none can call it back.
    """
    license_ = find(tx, License, "lic", license_id, key)
    row = find(tx, Activation, "act", activation_id, key)
    if row.subscription_id != license_.subscription_id:
        raise NotFound("It does not exist, or it belongs to another license.")
    wish = wanted(Format.MACHINE, ttl, encrypt, alg)
    export_gate.require_deliverable(tx, license_.account_id, now)
    text = machine_files.check_out(tx, ports.secrets, license_, row, wish, by=key.id, now=now, real_now=transport_now())
    name = f"{row.id}.{rendering.SUFFIXES[wish.written]}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return Response(text, media_type="text/plain", headers=headers)


@router.get("", responses=problems(*KEYED, NotFound))
def list_activations(license_id: str, tx: Tx, key: Reader) -> ActivationList:
    """The servers that are bound now. Renewals share them with the license they follow."""
    license_ = find(tx, License, "lic", license_id, key)
    terms = activation_terms.terms_of(tx, license_)
    rows = activating.listed(tx, license_.subscription_id)
    return ActivationList(data=[ActivationOut.of(row) for row in rows], limit=terms.limit, allowed=terms.allowed)


def _entitled(
    request: Request, tx: Unit, license_id: str, shown: ShownIn, key: ApiKey | None, now: datetime, *, in_force: bool
) -> tuple[License, By]:
    """The license, and who speaks for it.

    Raises NotSignedIn, ScopeMissing, NotFound (unknown, revoked and foreign bare keys look alike), TooManyTries,
    TooManyRequests, NoSigningKey, and LicenseNotUsable where it is not in force but has to be.
    """
    if shown.license is None and shown.key is None:
        if key is None:
            raise NotSignedIn("Send the license or its key in the body, or an API key.")
        if not key.allows(_SCOPE):
            raise ScopeMissing(f"This needs the scope {_SCOPE}; the key has {', '.join(key.scopes) or 'none'}.")
        license_ = find(tx, License, "lic", license_id, key)
        presented = Presented(None, license_.file_id)
        asker: Asker | None = Asker(key.account_id, reads=True)
        by = By(EndedBy.STAFF if key.account_id is None else EndedBy.CUSTOMER, key.id)
    else:
        presented, asker, by = Presented(shown.license, shown.key), validation.asker_of(key), PRODUCT
    decision, file_id = _judged(tx, presented, asker, now)
    found = tx.execute(
        select(License).where(col(License.file_id) == file_id, col(License.id) == license_id)
    ).scalar_one_or_none()  # fmt: skip
    if found is None or not decision.reveals:
        deps.count_try(request, "license-credential", *_WRONG_LICENSES)
        raise NotFound("No license in force answers to this under this address.")
    if (wait := _PACE.take(found.id, monotonic())) > 0:
        raise TooManyRequests("Too many servers of this license ask at once; spread them.", retry_after=int(wait) + 1)
    if in_force and not decision.valid:
        raise LicenseNotUsable.of(decision.findings)
    return found, by


def _judged(tx: Unit, presented: Presented, asker: Asker | None, now: datetime) -> tuple[Decision, str]:
    """What validation says of the license that was shown, and the id in its file."""
    opened = validation.open_shown(tx, presented)
    record = record_of(tx, opened.file_id)
    return validating.judge(presented, opened, record, asker, now, transport_now()), opened.file_id
