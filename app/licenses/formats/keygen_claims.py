"""What a Keygen license file states: a license resource, its entitlements, and how long the file itself is good.

The metadata carries the keys from which a Mattermost server that reads such files makes its own license, so that one
file serves either kind of reader. Reading maps them the way that server would, and refuses what it would refuse.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Self, TypeVar
from uuid import UUID

from app.core.canonical import canonical_json
from app.core.errors import Invalid
from app.licenses.formats.claims import (
    FEATURES,
    LIMITS,
    LicenseClaims,
    MalformedPayload,
    PayloadCode,
    PayloadFault,
    to_milliseconds,
)
from app.licenses.formats.stated import Stated

T = TypeVar("T")

DEFAULT_TTL: Final = 2_629_746  # seconds of a twelfth of a year, as Keygen's own check-out
SHORTEST_TTL: Final = 3_600
LONGEST_TTL: Final = 10 * 366 * 86_400
_EXPIRING: Final = timedelta(days=3)
_REQUIRED: Final = ("customerId", "customerName", "customerEmail", "companyName", "skuName", "skuShortName")
# What the reading server calls them, where that is not the name with humps.
_OWN_NAMES: Final = {"elastic_search": "elasticsearch", "call_duration": "callDurationSeconds"}


class TtlRefused(Invalid):
    slug, title = "license-file-ttl-invalid", "A license file is not made for that long"


@dataclass(frozen=True, slots=True)
class KeygenClaims:
    """The statements of one file.

    `issued_at` and `ends_at` are the file's own, `ends_at` and `ttl` (seconds) None for one without an end; the term
    of the license is in `claims`, which a Mattermost server would run. `entitlements` are codes such as LDAP.
    `revocations` is the number of the newest revocation list there was.
    """

    uuid: str
    license_id: str
    key: str
    issued_at: datetime
    ends_at: datetime | None
    ttl: int | None
    grace_days: int
    entitlements: frozenset[str]
    claims: LicenseClaims
    revocations: int = 0

    @classmethod
    def from_payload(cls, payload: bytes) -> Self:
        """Read the JSON of a file. Raises MalformedPayload naming every fault that was found."""
        return read_with(cls.of_document, payload)

    @classmethod
    def of_document(cls, document: dict[str, Any]) -> Self:
        """Raises MalformedPayload, or what a missing or wrong member leads to."""
        data, meta = document["data"], document["meta"]
        attributes = data["attributes"]
        metadata = attributes["metadata"]
        if missing := [name for name in _REQUIRED if not isinstance(metadata.get(name), str)]:
            raise MalformedPayload(tuple(
                PayloadFault(PayloadCode.CUSTOMER_MISSING, f"metadata.{name}", f"metadata.{name} is not stated.")
                for name in missing
            ))  # fmt: skip
        if data["type"] != "licenses" or type(attributes["key"]) is not str:
            raise ValueError("not a license")
        included = [each for each in document.get("included", []) if each["type"] == "entitlements"]
        codes = frozenset(str(each["attributes"]["code"]) for each in included)
        uuid, issued_at = str(UUID(data["id"])), _instant_of(meta["issued"])
        stated = _as_a_server_maps(uuid, attributes, metadata, issued_at, codes)
        return cls(
            uuid=uuid, license_id=str(metadata.get("licenseId", "")), key=attributes["key"], issued_at=issued_at,
            ends_at=None if meta["expiry"] is None else _instant_of(meta["expiry"]), ttl=_ttl_of(meta),
            grace_days=int(metadata.get("graceDays", 0)), entitlements=codes,
            claims=LicenseClaims.from_payload(canonical_json(stated)), revocations=_revocations_of(meta),
        )  # fmt: skip


def require_ttl(ttl: int | None) -> int | None:
    """Seconds for which a file may be good; None for one without an end. Raises TtlRefused."""
    if ttl is not None and not SHORTEST_TTL <= ttl <= LONGEST_TTL:
        raise TtlRefused(f"Use {SHORTEST_TTL} to {LONGEST_TTL} seconds, or none for a file without end.", param="ttl")
    return ttl


def payload_of(stated: Stated, *, ttl: int | None, now: datetime, revocations: int = 0) -> bytes:
    """The JSON:API document of a license, to be signed: the file is issued now, to the whole second.

    `revocations` is a member of `meta` that other readers pass over.
    """
    issued_at = now.replace(microsecond=0)
    return canonical_json({
        "data": license_resource(stated, issued_at), "included": entitlements_of(stated),
        "meta": meta_of(issued_at, ttl, revocations),
    })  # fmt: skip


def meta_of(issued_at: datetime, ttl: int | None, revocations: int) -> dict[str, Any]:
    """How long the file itself is good."""
    ends_at = None if ttl is None else issued_at + timedelta(seconds=ttl)
    return {
        "issued": written(issued_at), "expiry": ends_at and written(ends_at), "ttl": ttl, "revocations": revocations,
    }  # fmt: skip


def uuid_of(kind: str, name: str) -> str:
    """The UUID under which a thing of ours stands in a file: always the same one (RFC 9562 §5.8, version 8)."""
    digest = bytearray(hashlib.sha256(f"blp/keygen/{kind}/v1\n{name}".encode()).digest()[:16])
    digest[6], digest[8] = digest[6] & 0x0F | 0x80, digest[8] & 0x3F | 0x80
    return str(UUID(bytes=bytes(digest)))


def license_resource(stated: Stated, issued_at: datetime) -> dict[str, Any]:
    """The license as a JSON:API resource."""
    claims, codes = stated.claims, _codes(stated.claims)
    ends_soon = claims.expires_at - issued_at < _EXPIRING
    return {
        # Of the key and not of the record, because a server keeps the first license it saw under an id: a renewal has
        # a new key, so it has a new id.
        "id": uuid_of("license", stated.key), "type": "licenses",
        "attributes": {
            "name": claims.sku_name, "key": stated.key, "expiry": written(claims.expires_at),
            "status": "EXPIRING" if ends_soon else "ACTIVE", "uses": 0, "suspended": False, "scheme": None,
            "encrypted": False, "strict": False, "floating": True, "protected": True, "version": None,
            "maxMachines": None, "maxProcesses": None, "maxUsers": claims.users, "maxCores": None, "maxMemory": None,
            "maxDisk": None, "maxUses": None, "requireHeartbeat": False, "requireCheckIn": False,
            "lastValidated": None, "lastCheckIn": None, "nextCheckIn": None, "lastCheckOut": written(issued_at),
            "metadata": _metadata(stated), "created": written(claims.issued_at), "updated": written(claims.issued_at),
        },
        "relationships": {
            "policy": {"data": {"type": "policies", "id": uuid_of("policy", stated.plan_id)}},
            "entitlements": {"data": [{"type": "entitlements", "id": uuid_of("entitlement", code)} for code in codes]},
        },
    }  # fmt: skip


def _metadata(stated: Stated) -> dict[str, Any]:
    claims = stated.claims
    said: dict[str, Any] = {
        "licenseId": stated.license_id, "graceDays": stated.grace_days,
        "customerId": claims.customer.id, "customerName": claims.customer.name,
        "customerEmail": claims.customer.email, "companyName": claims.customer.company,
        "skuName": claims.sku_name, "skuShortName": claims.sku_short_name, "users": claims.users,
        "startsAt": written(claims.starts_at), "isTrial": claims.is_trial, "isGovSku": claims.is_gov_sku,
        "isSeatCountEnforced": claims.is_seat_count_enforced,
        "features": {_humped(name): value for name, value in claims.features.items() if name != "users"},
    }  # fmt: skip
    if claims.extra_users is not None:
        said["extraUsers"] = claims.extra_users
    if claims.limits is not None:
        said["limits"] = {_humped(name): value for name, value in claims.limits.items()}
    return said


def _codes(claims: LicenseClaims) -> list[str]:
    """Entitlements only ever switch something on, so that what is off has none."""
    switched = (name for name, value in claims.features.items() if value is True and name != "future_features")
    return sorted(name.upper() for name in switched)


def entitlements_of(stated: Stated) -> list[dict[str, Any]]:
    """Those that are on, as resources."""
    return [_entitlement(code, stated) for code in _codes(stated.claims)]


def _entitlement(code: str, stated: Stated) -> dict[str, Any]:
    created = written(stated.claims.issued_at)
    return {
        "id": uuid_of("entitlement", code), "type": "entitlements",
        "attributes": {
            "name": code.replace("_", " ").capitalize(), "code": code, "metadata": {}, "created": created,
            "updated": created,
        },
    }  # fmt: skip


def _as_a_server_maps(
    uuid: str, attributes: Mapping[str, Any], metadata: Mapping[str, Any], issued_at: datetime, codes: frozenset[str]
) -> dict[str, Any]:
    """The Mattermost license that a reading server would make of the resource."""
    stated_features = metadata.get("features") or {}
    features = {name: stated_features[_humped(name)] for name in FEATURES if _humped(name) in stated_features}
    features |= {code.lower(): True for code in codes if code.lower() in FEATURES}
    limits = metadata.get("limits")
    return {
        "id": uuid.replace("-", "")[:26], "issued_at": to_milliseconds(issued_at),
        "starts_at": to_milliseconds(_instant_of(metadata["startsAt"]) if "startsAt" in metadata else issued_at),
        "expires_at": to_milliseconds(_instant_of(attributes["expiry"])),
        "customer": {
            "id": metadata.get("customerId"), "name": metadata.get("customerName"),
            "email": metadata.get("customerEmail"), "company": metadata.get("companyName"),
        },
        "sku_name": metadata.get("skuName"), "sku_short_name": metadata.get("skuShortName"),
        "is_trial": metadata.get("isTrial"), "is_gov_sku": metadata.get("isGovSku"),
        "is_seat_count_enforced": metadata.get("isSeatCountEnforced"), "extra_users": metadata.get("extraUsers"),
        "features": features | {"users": metadata.get("users")},
        "limits": limits and {name: limits[_humped(name)] for name in LIMITS if _humped(name) in limits},
    }  # fmt: skip


def read_with(read: Callable[[dict[str, Any]], T], payload: bytes) -> T:
    """What `read` makes of the JSON object; a member that is missing or of another kind is told as MalformedPayload."""
    try:
        return read(_object_of(payload))
    except MalformedPayload:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as exc:
        detail = "A resource lacks a member or has it in another type than its readers expect."
        raise MalformedPayload((PayloadFault(PayloadCode.WRONG_TYPE, "data", detail),)) from exc


def _object_of(payload: bytes) -> dict[str, Any]:
    try:
        document: Any = json.loads(payload)
    except (ValueError, RecursionError) as exc:
        raise MalformedPayload((PayloadFault(PayloadCode.NOT_JSON, "", "The payload is not JSON."),)) from exc
    if not isinstance(document, dict):
        raise MalformedPayload((PayloadFault(PayloadCode.NOT_JSON, "", "The payload is not a JSON object."),))
    return document


def _ttl_of(meta: Mapping[str, Any]) -> int | None:
    ttl = meta["ttl"]
    if ttl is not None and (type(ttl) is not int or ttl < 0):
        raise ValueError("ttl")
    return ttl


def _revocations_of(meta: Mapping[str, Any]) -> int:
    newest = meta.get("revocations", 0)
    if type(newest) is not int or newest < 0:
        raise ValueError("revocations")
    return newest


def _instant_of(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError("no offset")
    return at.astimezone(UTC)


def written(at: datetime) -> str:
    """RFC 3339 with milliseconds, as Keygen writes it."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03}Z"


def _humped(name: str) -> str:
    head, *tail = name.split("_")
    return _OWN_NAMES.get(name) or head + "".join(word.capitalize() for word in tail)
