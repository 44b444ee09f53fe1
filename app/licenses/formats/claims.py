"""What a Mattermost license file states, and its JSON (`docs/guides/license-file.md`).

Reading follows the product's decoder: a field that is absent or null has the zero value, an unknown field is
passed over, a value of another type refuses the whole file. On top of that it refuses what the product would
accept and then fall over: no customer, no features, no number of users, an id its database cannot store.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, Self, TypeGuard

from app.core.canonical import canonical_json

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_INT64: Final = range(-(2**63), 2**63)
_MILLISECOND: Final = timedelta(milliseconds=1)

FEATURES: Final = frozenset(
    "ldap ldap_groups mfa google_oauth office365_oauth openid compliance cluster metrics mhpns saml elastic_search "
    "announcement theme_management email_notification_contents data_retention message_export "
    "custom_permissions_schemes custom_terms_of_service guest_accounts guest_accounts_permissions id_loaded "
    "lock_teammate_name_display enterprise_plugins advanced_logging cloud shared_channels remote_cluster_service "
    "outgoing_oauth_connections auto_translation future_features".split()
)
LIMITS: Final = frozenset(
    "post_history board_cards playbook_runs call_duration agents_prompts push_notifications".split()
)


class PayloadCode(StrEnum):
    """What can be wrong with the JSON of a file whose signature holds."""

    NOT_JSON = "not_json"
    WRONG_TYPE = "wrong_type"
    TIME_NOT_MILLISECONDS = "time_not_milliseconds"
    CUSTOMER_MISSING = "customer_missing"
    USERS_MISSING = "users_missing"
    ID_MALFORMED = "id_malformed"


@dataclass(frozen=True, slots=True)
class PayloadFault:
    """One reason why a payload cannot be used; `path` is the JSON field, such as `features.users`."""

    code: PayloadCode
    path: str
    detail: str


class MalformedPayload(ValueError):
    """Every fault found in one payload."""

    def __init__(self, faults: tuple[PayloadFault, ...]) -> None:
        super().__init__(" ".join(fault.detail for fault in faults))
        self.faults = faults


@dataclass(frozen=True, slots=True)
class LicenseCustomer:
    """Whom the file names. The product keys its renewal link with `email`, which makes it a hint and no secret."""

    id: str
    name: str
    email: str
    company: str


@dataclass(frozen=True, slots=True)
class ClaimSource:
    """One license that a merged file was made of: its id, its seats, when it ends. The product passes over it."""

    license: str
    users: int
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class LicenseClaims:
    """The statements of one license file.

    `id` is 26 letters and digits, new for every file (the product keeps the first file it saw under an id).
    Instants are aware and kept to the whole millisecond, later digits dropped, because that is all a file holds.
    `features` maps names of FEATURES to booleans and `users` to the number of seats; a feature left out has the
    value of `future_features`, itself true when left out. `extra_users` seats are granted beyond `users` before a
    server with `is_seat_count_enforced` stops. `limits` maps names of LIMITS to whole numbers, 0 meaning none.
    `sources` are the licenses that a merged file stands for (R-LIC-3), in the order of their ids; empty in any other.
    Raises ValueError on a naive instant, TypeError on a feature or limit of another type.
    """

    id: str
    issued_at: datetime
    starts_at: datetime
    expires_at: datetime
    customer: LicenseCustomer
    sku_name: str
    sku_short_name: str
    features: Mapping[str, bool | int]
    is_trial: bool = False
    is_gov_sku: bool = False
    is_seat_count_enforced: bool = False
    extra_users: int | None = None
    limits: Mapping[str, int] | None = None
    sources: tuple[ClaimSource, ...] = ()

    def __post_init__(self) -> None:
        for name in ("issued_at", "starts_at", "expires_at"):
            instant: datetime = getattr(self, name)
            if instant.tzinfo is not UTC or instant.microsecond % 1000:  # most are made of milliseconds already
                object.__setattr__(self, name, from_milliseconds(to_milliseconds(instant)))
        for name, value in self.features.items():
            if type(value) is not (int if name == "users" else bool):
                raise TypeError(f"features.{name} is {value!r}")
        object.__setattr__(self, "features", MappingProxyType(dict(self.features)))
        if self.limits is not None:
            if any(type(value) is not int for value in self.limits.values()):
                raise TypeError("limits are whole numbers")
            object.__setattr__(self, "limits", MappingProxyType(dict(self.limits)))

    @property
    def users(self) -> int:
        """Seats bought; 0 where the file names none."""
        return int(self.features.get("users", 0))

    def to_payload(self) -> bytes:
        """The JSON bytes to be signed: one spelling per set of claims, at most two spaces behind it.

        The spaces make the length of payload and signature a multiple of three, so that the base64 text has no
        unused bits and no two texts decode to the same file.
        """
        stated: dict[str, object] = {
            "id": self.id,
            "issued_at": to_milliseconds(self.issued_at),
            "starts_at": to_milliseconds(self.starts_at),
            "expires_at": to_milliseconds(self.expires_at),
            "customer": {
                "id": self.customer.id,
                "name": self.customer.name,
                "email": self.customer.email,
                "company": self.customer.company,
            },
            "sku_name": self.sku_name,
            "sku_short_name": self.sku_short_name,
            "is_trial": self.is_trial,
            "is_gov_sku": self.is_gov_sku,
            "is_seat_count_enforced": self.is_seat_count_enforced,
            "features": dict(self.features),
        }
        if self.extra_users is not None:
            stated["extra_users"] = self.extra_users
        if self.limits is not None:
            stated["limits"] = dict(self.limits)
        if self.sources:
            stated["sources"] = [
                {"license": each.license, "users": each.users, "expires_at": to_milliseconds(each.expires_at)}
                for each in self.sources
            ]
        document = canonical_json(stated)
        return document + b" " * ((2 - len(document)) % 3)  # 256 signature bytes leave 1, so the payload must leave 2

    @classmethod
    def from_payload(cls, payload: bytes) -> Self:
        """Read the JSON of a file. Raises MalformedPayload naming every fault."""
        faults: list[PayloadFault] = []
        file = _Reader(_document(payload), "", faults)
        customer, features, limits = file.child("customer"), file.child("features"), file.child("limits")
        if customer is None:
            file.fault(PayloadCode.CUSTOMER_MISSING, "customer", "is not stated; the product stops on it")
        users = features.whole("users") if features else None
        if users is None:
            file.fault(PayloadCode.USERS_MISSING, "features.users", "is not stated; the product stops on it")
        license_id = file.text("id")
        if not (len(license_id) == 26 and license_id.isascii() and license_id.isalnum()):
            file.fault(PayloadCode.ID_MALFORMED, "id", "is not 26 letters and digits")
        file.text("signup_jwt")  # never issued by us, yet of another type it would refuse the file
        claims = cls(
            id=license_id,
            issued_at=file.instant("issued_at"),
            starts_at=file.instant("starts_at"),
            expires_at=file.instant("expires_at"),
            customer=(customer or _Reader({}, "customer.", faults)).customer(),
            sku_name=file.text("sku_name"),
            sku_short_name=file.text("sku_short_name"),
            features={"users": users or 0} | (features.features() if features else {}),
            is_trial=file.flag("is_trial"),
            is_gov_sku=file.flag("is_gov_sku"),
            is_seat_count_enforced=file.flag("is_seat_count_enforced"),
            extra_users=file.whole("extra_users"),
            limits=limits.limits() if limits else None,
            sources=file.sources(),
        )
        if faults:
            raise MalformedPayload(tuple(faults))
        return claims


def to_milliseconds(instant: datetime) -> int:
    """Whole milliseconds since 1970-01-01 UTC, rounded down. Raises ValueError on a naive instant."""
    if instant.tzinfo is None:
        raise ValueError(f"{instant!r} has no time zone")
    return (instant - EPOCH) // _MILLISECOND


def from_milliseconds(milliseconds: int) -> datetime:
    """The instant in UTC. Raises OverflowError outside the years 1 to 9999."""
    return EPOCH + timedelta(milliseconds=milliseconds)


class _Reader:
    """Reads typed fields of one JSON object and notes every fault instead of stopping at the first."""

    def __init__(self, document: dict[str, Any], prefix: str, faults: list[PayloadFault]) -> None:
        self._document, self._prefix, self._faults = document, prefix, faults

    def fault(self, code: PayloadCode, path: str, detail: str) -> None:
        self._faults.append(PayloadFault(code, path, f"{path} {detail}."))

    def child(self, name: str) -> Self | None:
        value = self._document.get(name)
        if isinstance(value, dict):
            return type(self)(value, f"{self._prefix}{name}.", self._faults)
        if value is not None:
            self._wrong(name, "an object", value)
        return None

    def text(self, name: str) -> str:
        value = self._document.get(name)
        if value is None or isinstance(value, str):
            return value or ""
        self._wrong(name, "a string", value)
        return ""

    def flag(self, name: str) -> bool:
        value = self._document.get(name)
        if value is None or isinstance(value, bool):
            return bool(value)
        self._wrong(name, "true or false", value)
        return False

    def whole(self, name: str) -> int | None:
        value = self._document.get(name)
        if value is None or _is_int64(value):
            return value
        self._wrong(name, "a whole number", value)
        return 0

    def instant(self, name: str) -> datetime:
        value = self._document.get(name)
        if value is None:
            return EPOCH
        if not _is_int64(value):
            self.fault(PayloadCode.TIME_NOT_MILLISECONDS, name, f"is {_kind(value)}, not whole milliseconds")
            return EPOCH
        try:
            return from_milliseconds(value)
        except OverflowError:
            self.fault(PayloadCode.TIME_NOT_MILLISECONDS, name, "lies outside the years 1 to 9999")
            return EPOCH

    def customer(self) -> LicenseCustomer:
        return LicenseCustomer(
            id=self.text("id"), name=self.text("name"), email=self.text("email"), company=self.text("company")
        )

    def features(self) -> dict[str, bool]:
        """Booleans by name; null means not stated. An unknown name is kept where it is a boolean, else passed over."""
        return {
            name: self.flag(name)
            for name, value in self._document.items()
            if name != "users" and value is not None and (name in FEATURES or isinstance(value, bool))
        }

    def limits(self) -> dict[str, int]:
        """Whole numbers by name; an unknown name is kept where it is a whole number, else passed over."""
        stated = {
            name: self.whole(name) for name in self._document if name in LIMITS or _is_int64(self._document[name])
        }
        return {name: value for name, value in stated.items() if value is not None}

    def sources(self) -> tuple[ClaimSource, ...]:
        """What a merged file was made of; anything of another shape is passed over, as the product does with all."""
        listed = self._document.get("sources")
        found = []
        for each in listed if isinstance(listed, list) else []:
            match each:
                case {"license": str(license_id), "users": users, "expires_at": ends} if _is_int64(users) and _is_int64(
                    ends
                ):
                    with suppress(OverflowError):
                        found.append(ClaimSource(license_id, users, from_milliseconds(ends)))
        return tuple(found)

    def _wrong(self, name: str, wanted: str, value: object) -> None:
        self.fault(PayloadCode.WRONG_TYPE, self._prefix + name, f"is {_kind(value)} where the product reads {wanted}")


def _document(payload: bytes) -> dict[str, Any]:
    try:
        document: Any = _DECODER.decode(payload.decode())
    except (ValueError, RecursionError) as exc:
        raise MalformedPayload((PayloadFault(PayloadCode.NOT_JSON, "", "The payload is not JSON."),)) from exc
    if not isinstance(document, dict):
        raise MalformedPayload((PayloadFault(PayloadCode.NOT_JSON, "", "The payload is not a JSON object."),))
    return document


def _is_int64(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value in _INT64


def _kind(value: object) -> str:
    """A JSON value's kind in words; never the value, which may be personal or long."""
    match value:
        case bool():
            return "a boolean"
        case str():
            return "a string"
        case int():
            return "a whole number out of range"
        case float():
            return "a number with a fraction or an exponent"
        case dict():
            return "an object"
        case _:
            return "a list"


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


_DECODER: Final = json.JSONDecoder(parse_constant=_refuse_constant)  # json.loads would build one for every file
