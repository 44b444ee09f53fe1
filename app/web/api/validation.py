"""`POST /v1/licenses/validate`: its shapes, and the plain way to answer it.

In front of this door stands the fast lane (`web/fast.py`), which answers the same from memory. The shapes, the
reading of the body and the answer are shared, so that the two cannot drift apart.
"""

from datetime import datetime
from typing import Annotated, Any, Final, Literal, Self

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from app.accounts.models import ApiKey
from app.core import keys
from app.core.clock import transport_now
from app.core.db import Tx
from app.core.keys import KeyPurpose
from app.core.security import Secrets
from app.core.signing import load_public_keys
from app.licenses import resolving, validating
from app.licenses.models import LicenseState
from app.licenses.records import record_of
from app.licenses.validating import Asker, Opened, Presented
from app.web.api.shapes import In

MAX_BODY_BYTES: Final = 64 * 1024
PATH: Final = "/v1/licenses/validate"

_Code = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:-]{1,80}$")]


Fingerprint = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,255}$")]
BareKey = Annotated[str, StringConstraints(pattern="^[A-Za-z0-9]{26}$")]
FileText = Annotated[str, Field(min_length=1, max_length=MAX_BODY_BYTES)]


class ValidateIn(In):
    """Either the text of a license file or token of any format, or a bare key, the 26-character id inside the file."""

    model_config = ConfigDict(json_schema_extra={"example": {
        "key": "7kq0c3m8x1b5n9r2t4v6w8y0zd", "entitlements": ["ldap", "saml"], "nonce": "b1946ac92492d234"
    }})  # fmt: skip

    license: FileText | None = None
    key: BareKey | None = None
    fingerprint: Fingerprint | None = Field(
        default=None, description="Of the server that asks; looked at where a license limits its servers."
    )
    entitlements: Annotated[list[_Code], Field(max_length=100)] | None = Field(
        default=None, description="What the license has to include, or the answer is not valid."
    )
    nonce: Annotated[str, StringConstraints(pattern=r"^[ -~]{1,200}$")] | None = Field(
        default=None, description="Comes back in the answer, which is then signed for you alone."
    )

    @model_validator(mode="after")
    def one_credential(self) -> Self:
        if (self.license is None) == (self.key is None):
            raise ValueError("give either `license`, the text of a file, or `key`")
        return self

    def presented(self) -> Presented:
        asked = frozenset(self.entitlements) if self.entitlements is not None else None
        return Presented(self.license, self.key, self.fingerprint, asked, self.nonce)


class FindingOut(BaseModel):
    """`severity` error means that the license is not valid for this reason."""

    code: str
    severity: Literal["error", "warning", "notice"]
    detail: str
    remedy: str | None = None


class CheckedLicenseOut(BaseModel):
    """`works_until` is the end of the term and of the grace after it."""

    id: str
    sku: str
    seats: int
    state: LicenseState
    starts_at: datetime
    expires_at: datetime
    works_until: datetime


class SignatureOut(BaseModel):
    """Base64 of an Ed25519 signature by the key `kid` of GET /v1/licenses/keys.

    It covers `blp/validation-answer/v1`, a line feed, and the canonical JSON (sorted keys, no spaces, UTF-8) of the
    answer without `signature`.
    """

    kid: str
    value: str


class ValidationOut(BaseModel):
    """`code` is the headline, `findings` is everything there is to say. `nonce` is there if one was sent."""

    model_config = ConfigDict(json_schema_extra={"example": {
        "valid": True, "code": "valid", "findings": [],
        "license": {"id": "lic_01ka8qj6x0c5q4m3t2r1p0n9mk", "sku": "professional", "seats": 25, "state": "active",
                    "starts_at": "2026-11-22T09:00:00Z", "expires_at": "2027-11-22T05:00:00Z",
                    "works_until": "2027-12-02T05:00:00Z"},
        "entitlements": {"users": 25, "ldap": True}, "checked_at": "2026-11-22T09:30:00Z",
        "signature": {"kid": "V1bU…", "value": "c2lnbmF0dXJl…"},
    }})  # fmt: skip

    valid: bool
    code: str
    findings: list[FindingOut]
    license: CheckedLicenseOut | None
    entitlements: dict[str, Any]
    checked_at: datetime
    nonce: str | None = None
    signature: SignatureOut


def asker_of(key: ApiKey | None) -> Asker | None:
    return Asker(key.account_id, reads=key.allows("licenses:read")) if key else None


def file_keys(tx: Tx) -> list[RSAPublicKey]:
    """Every published key that license files were signed with: old files stay good."""
    pem = "\n".join(key.public_pem for key in keys.published(tx, KeyPurpose.LICENSE_FILE))
    found = load_public_keys(pem.encode()) if pem else []
    return [key for key in found if isinstance(key, RSAPublicKey)]


def answer(tx: Tx, secrets: Secrets, presented: Presented, asker: Asker | None, now: datetime) -> bytes:
    """The signed answer as JSON, the plain way: everything read anew. Raises NoSigningKey."""
    opened = open_shown(tx, presented)
    record = record_of(tx, opened.file_id)
    decision = validating.judge(presented, opened, record, asker, now, transport_now())
    signer = keys.evidence_signer(tx, secrets, now)
    return validating.draft(decision, record).signed(signer, now, presented.nonce)


def open_shown(tx: Tx, presented: Presented) -> Opened:
    """Which license the file, of whatever format, or the key speaks for. Raises NoSigningKey."""
    if presented.license is not None and resolving.is_rendering(presented.license):
        return resolving.open_rendering(tx, presented.license)
    return validating.open_credential(presented, file_keys(tx))
