"""What a Keygen machine file states: one server that a license is bound to, and that license (R-LIC-1, R-LIC-5)."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self
from uuid import UUID

from app.core.canonical import canonical_json
from app.licenses.formats.keygen_claims import (
    KeygenClaims,
    entitlements_of,
    license_resource,
    meta_of,
    read_with,
    uuid_of,
    written,
)
from app.licenses.formats.stated import Stated


@dataclass(frozen=True, slots=True)
class Bound:
    """A server in its place. `heartbeat_seconds` is None where no heartbeats are wanted."""

    activation_id: str
    fingerprint: str
    name: str
    hostname: str
    place: int
    activated_at: datetime
    heartbeat_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class MachineClaims:
    """The statements of one machine file; `license` are those of its license, the file's own dates among them."""

    uuid: str
    activation_id: str
    fingerprint: str
    name: str
    license: KeygenClaims

    @classmethod
    def from_payload(cls, payload: bytes) -> Self:
        """Read the JSON of a file. Raises MalformedPayload."""
        return read_with(cls._of, payload)

    @classmethod
    def _of(cls, document: dict[str, Any]) -> Self:
        """Raises MalformedPayload, or what a missing or wrong member leads to."""
        data, included = document["data"], document["included"]
        attributes = data["attributes"]
        fingerprint, name = attributes["fingerprint"], attributes["name"] or ""
        if data["type"] != "machines" or type(fingerprint) is not str or not fingerprint or type(name) is not str:
            raise ValueError("not a machine")
        [license_] = [each for each in included if each["type"] == "licenses"]
        if data["relationships"]["license"]["data"]["id"] != license_["id"]:
            raise ValueError("of another license")
        return cls(
            uuid=str(UUID(data["id"])), activation_id=str(attributes["metadata"].get("activationId", "")),
            fingerprint=fingerprint, name=name,
            license=KeygenClaims.of_document({"data": license_, "included": included, "meta": document["meta"]}),
        )  # fmt: skip


def payload_of(stated: Stated, bound: Bound, *, ttl: int | None, now: datetime, revocations: int = 0) -> bytes:
    """The JSON:API document of a server with its license, to be signed: issued now, to the whole second."""
    issued_at = now.replace(microsecond=0)
    license_ = license_resource(stated, issued_at)
    return canonical_json({
        "data": _machine(bound, license_["id"], issued_at), "included": [license_, *entitlements_of(stated)],
        "meta": meta_of(issued_at, ttl, revocations),
    })  # fmt: skip


def _machine(bound: Bound, license_uuid: str, issued_at: datetime) -> dict[str, Any]:
    activated_at = written(bound.activated_at.astimezone(UTC))
    beats = bound.heartbeat_seconds is not None
    return {
        "id": uuid_of("machine", bound.activation_id), "type": "machines",
        "attributes": {
            "fingerprint": bound.fingerprint, "name": bound.name, "hostname": bound.hostname, "platform": None,
            "ip": None, "cores": None, "memory": None, "disk": None, "maxProcesses": None, "requireHeartbeat": beats,
            # When it last beat is left out: the same server gives the same text.
            "heartbeatStatus": "ALIVE" if beats else "NOT_STARTED", "heartbeatDuration": bound.heartbeat_seconds,
            "lastHeartbeat": None, "nextHeartbeat": None, "lastCheckOut": written(issued_at),
            "metadata": {"activationId": bound.activation_id, "place": bound.place},
            "created": activated_at, "updated": activated_at,
        },
        "relationships": {"license": {"data": {"type": "licenses", "id": license_uuid}}},
    }  # fmt: skip
