"""Activation of servers without a network: a request is carried out, a signed file is carried in (R-LIC-8). Pure.

All three are one JSON object as text, in UTF-8, in any layout:

- the product's request: `type` blp/activation-request/v1, `action` activate or deactivate, `license` (the id in its
  file), `fingerprint`, `nonce`, `created`, and `name`, `hostname`, `version` if it likes; to deactivate also
  `activation` and `release`, which stand in the activation file: whoever deactivates shows to have had it;
- the activation file: `type` blp/activation/v1, bound to one fingerprint and one license file until `expires_at`;
- the receipt of a deactivation: `type` blp/deactivation/v1.

The latter two carry `signature`: base64 of Ed25519 over `blp/activation-file/v1`, a line feed, and the canonical JSON
(sorted keys, no spaces, UTF-8) of the object without `signature`.
"""

import json
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from http import HTTPStatus
from typing import Annotated, Any, Final, Literal, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from app.core.canonical import canonical_json
from app.core.errors import DomainError
from app.core.signing import Purpose, Signer, verify

LONGEST: Final = 8_000
REQUEST: Final = "blp/activation-request/v1"
ACTIVATION: Final = "blp/activation/v1"
DEACTIVATION: Final = "blp/deactivation/v1"

_Word = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,255}$")]


def _line(longest: int) -> Any:
    return Field(default="", max_length=longest, pattern=r"^[^\x00-\x1f\x7f]*$")


class RequestUnreadable(DomainError):
    status, slug = HTTPStatus.UNPROCESSABLE_ENTITY, "activation-request-unreadable"
    title = "This is no activation request"


class Action(StrEnum):
    ACTIVATE = "activate"
    DEACTIVATE = "deactivate"


class Request(BaseModel):
    """What the product wrote. It is not signed: the product has no key of its own, and a customer vouches for it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Literal["blp/activation-request/v1"]
    action: Action
    license: Annotated[str, StringConstraints(pattern="^[A-Za-z0-9]{26}$")]
    fingerprint: _Word
    nonce: Annotated[str, StringConstraints(pattern=r"^[!-~]{8,200}$")]
    created: datetime
    name: str = _line(80)
    hostname: str = _line(253)
    version: str = _line(40)
    activation: _Word | None = None
    release: _Word | None = None

    @model_validator(mode="after")
    def shows_what_it_gives_up(self) -> Self:
        if self.action is Action.DEACTIVATE and (self.activation is None or self.release is None):
            raise ValueError("to deactivate, it names `activation` and `release` from its activation file")
        return self


def read_request(text: str) -> Request:
    """Raises RequestUnreadable with every fault."""
    if not text.strip():
        raise RequestUnreadable("Choose the file the product wrote, or paste its text.", param="text")
    if len(text) > LONGEST:
        raise RequestUnreadable(f"More than {LONGEST:,} characters; requests are shorter.", param="text")
    try:
        return Request.model_validate(_object(text))
    except ValidationError as exc:
        faults = "; ".join(
            f"{'.'.join(map(str, error['loc'])) or 'it'}: {error['msg']}" for error in exc.errors(include_url=False)
        )
        raise RequestUnreadable(f"The product did not write this, or it was changed: {faults}.", param="text") from exc
    except ValueError as exc:
        raise RequestUnreadable("This is not the JSON text a product writes.", param="text") from exc


def _object(text: str) -> dict[str, Any]:
    """Raises ValueError for what is no JSON object."""
    try:
        found = json.loads(text.strip().removeprefix("\ufeff"))
    except RecursionError as exc:
        raise ValueError("nested too deeply") from exc
    if not isinstance(found, dict):
        raise ValueError("no object")  # noqa: TRY004 -- of the text, not of an argument
    return found


def sign(said: Mapping[str, Any], signer: Signer) -> str:
    """The text of an activation file or a receipt. Instants are written as RFC 3339 in UTC to the second."""
    plain = {
        name: value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if isinstance(value, datetime) else value
        for name, value in said.items()
    }
    signature = signer.sign(Purpose.ACTIVATION_FILE, canonical_json(plain))
    signed = plain | {"signature": {"kid": signer.kid, "value": b64encode(signature).decode()}}
    return json.dumps(signed, sort_keys=True, ensure_ascii=False, indent=1) + "\n"


class FileCode(StrEnum):
    """Why a server does not believe an activation file."""

    UNREADABLE = "unreadable"
    UNKNOWN_KEY = "unknown_key"
    BAD_SIGNATURE = "bad_signature"
    NO_ACTIVATION = "no_activation"  # signed, but something else, such as a receipt
    OTHER_SERVER = "other_server"
    OTHER_LICENSE = "other_license"
    OTHER_REQUEST = "other_request"
    EXPIRED = "expired"


class ActivationFileRejected(DomainError):
    status, slug = HTTPStatus.UNPROCESSABLE_ENTITY, "activation-file-rejected"
    title = "This activation file binds nothing here"

    def __init__(self, code: FileCode, detail: str) -> None:
        super().__init__(detail, reason=code.value)
        self.reason = code


def verify_signed(text: str, keys: Mapping[str, Ed25519PublicKey]) -> dict[str, Any]:
    """What a file of ours says, by kid of the key. Raises ActivationFileRejected."""
    try:
        said = _object(text[:LONGEST])
        signature = said.pop("signature")
        kid, value = signature["kid"], b64decode(signature["value"], validate=True)
        message = canonical_json(said)
    except (ValueError, KeyError, TypeError, Base64Error) as exc:
        raise ActivationFileRejected(FileCode.UNREADABLE, "This is no file of ours, or a part is missing.") from exc
    key = keys.get(kid) if isinstance(kid, str) else None
    if key is None:
        raise ActivationFileRejected(FileCode.UNKNOWN_KEY, "It was signed with a key that is not trusted here.")
    if not verify(Purpose.ACTIVATION_FILE, message, value, key):
        raise ActivationFileRejected(FileCode.BAD_SIGNATURE, "It was changed after it was signed.")
    return said


def verify_activation(
    text: str, keys: Mapping[str, Ed25519PublicKey], *, fingerprint: str, license_file_id: str, now: datetime,
    nonce: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    """What the server with this fingerprint and license may believe, offline. `nonce`: of its own request, if known.

    Raises ActivationFileRejected.
    """
    said = verify_signed(text, keys)
    if said.get("type") != ACTIVATION:
        raise ActivationFileRejected(FileCode.NO_ACTIVATION, "It is signed by us, but it is no activation file.")
    if said.get("fingerprint") != fingerprint:
        raise ActivationFileRejected(FileCode.OTHER_SERVER, "It was made for another server.")
    if said.get("license") != license_file_id:
        raise ActivationFileRejected(FileCode.OTHER_LICENSE, "It was made for another license file; fetch it anew.")
    if nonce is not None and said.get("nonce") != nonce:
        raise ActivationFileRejected(FileCode.OTHER_REQUEST, "It answers another request than this server's.")
    if now > datetime.fromisoformat(said["expires_at"]):
        raise ActivationFileRejected(FileCode.EXPIRED, f"It held until {said['expires_at']}.")
    return said
