"""What a license token states: the least a product needs, and what to do when it runs out."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, Final, Self

from app.core.canonical import canonical_json
from app.licenses.formats.claims import MalformedPayload, PayloadCode, PayloadFault
from app.licenses.formats.enforcement import Rung, Step, read_ladder, step_at
from app.licenses.formats.stated import Stated

_KINDS: Final[Mapping[type, tuple[str, ...]]] = {
    str: ("iat", "nbf", "exp", "sub", "key", "company", "sku", "plan", "starts_at", "expires_at"),
    int: ("grace_days", "seats", "extra_seats"), bool: ("seats_enforced", "trial", "gov"),
    list: ("features", "enforcement"), dict: ("limits",),
}  # fmt: skip
_MEMBERS: Final = {name for names in _KINDS.values() for name in names}


@dataclass(frozen=True, slots=True)
class TokenClaims:
    """The statements of one token.

    `good_until` is the registered claim `exp`: the end of the term, its grace and the whole ladder, so that readers
    which stop at `exp` do not stop while the ladder still has something milder to say. `features` are the codes that
    are on. Instants are whole seconds. `revocations` is the number of the newest revocation list there was: an older
    list says nothing about this token.
    """

    license_id: str
    key: str
    company: str
    sku: str
    plan: str
    issued_at: datetime
    starts_at: datetime
    expires_at: datetime
    good_until: datetime
    grace_days: int
    seats: int
    extra_seats: int
    seats_enforced: bool
    trial: bool
    gov: bool
    features: frozenset[str]
    limits: Mapping[str, int]
    enforcement: tuple[Rung, ...]
    revocations: int = 0

    @classmethod
    def of(cls, stated: Stated, ladder: Sequence[Rung], now: datetime, *, revocations: int = 0) -> Self:
        """The claims of a token that is issued now."""
        said = stated.claims
        last_day = max([stated.grace_days, *(rung.days for rung in ladder if rung.days is not None)])
        starts_at, expires_at = (at.replace(microsecond=0) for at in (said.starts_at, said.expires_at))
        return cls(
            license_id=stated.license_id, key=stated.key, company=said.customer.company, sku=said.sku_short_name,
            plan=said.sku_name, issued_at=now.astimezone(UTC).replace(microsecond=0), starts_at=starts_at,
            expires_at=expires_at, good_until=expires_at + timedelta(days=last_day), grace_days=stated.grace_days,
            seats=said.users, extra_seats=said.extra_users or 0, seats_enforced=said.is_seat_count_enforced,
            trial=said.is_trial, gov=said.is_gov_sku,
            features=frozenset(name for name, on in said.features.items() if on is True and name != "future_features"),
            limits=MappingProxyType(dict(said.limits or {})), enforcement=tuple(ladder),
            revocations=revocations,
        )  # fmt: skip

    def to_payload(self) -> bytes:
        return canonical_json({
            "iat": _written(self.issued_at), "nbf": _written(self.starts_at), "exp": _written(self.good_until),
            "sub": self.license_id, "key": self.key, "company": self.company, "sku": self.sku, "plan": self.plan,
            "starts_at": _written(self.starts_at), "expires_at": _written(self.expires_at),
            "grace_days": self.grace_days, "seats": self.seats, "extra_seats": self.extra_seats,
            "seats_enforced": self.seats_enforced, "trial": self.trial, "gov": self.gov,
            "features": sorted(self.features), "limits": dict(self.limits),
            "enforcement": [rung.to_json() for rung in self.enforcement], "revocations": self.revocations,
        })  # fmt: skip

    @classmethod
    def from_payload(cls, payload: bytes) -> Self:
        """Read the JSON of a token. Raises MalformedPayload."""
        try:
            said = _members(payload)
            return cls(
                license_id=said["sub"], key=said["key"], company=said["company"], sku=said["sku"], plan=said["plan"],
                issued_at=_instant(said["iat"]), starts_at=_instant(said["starts_at"]),
                expires_at=_instant(said["expires_at"]), good_until=_instant(said["exp"]),
                grace_days=said["grace_days"], seats=said["seats"], extra_seats=said["extra_seats"],
                seats_enforced=said["seats_enforced"], trial=said["trial"], gov=said["gov"],
                features=frozenset(said["features"]), limits=MappingProxyType(said["limits"]),
                enforcement=read_ladder(said["enforcement"]), revocations=said.get("revocations", 0),
            )  # fmt: skip
        except (ValueError, TypeError, AttributeError, OverflowError, RecursionError) as exc:
            fault = PayloadFault(PayloadCode.WRONG_TYPE, "", "The claims lack a member or have it in another type.")
            raise MalformedPayload((fault,)) from exc

    def step_at(self, at: datetime, users: int | None = None) -> Step | None:
        """What the product should do at that time with that many users."""
        return step_at(self.enforcement, expires_at=self.expires_at, seats=self.seats, users=users, at=at)


def _members(payload: bytes) -> dict[str, Any]:
    """The JSON with every member of its type. Raises ValueError."""
    said: Any = json.loads(payload)
    if not isinstance(said, dict) or not set(said) >= _MEMBERS:
        raise ValueError("a member is missing")
    if any(type(said[name]) is not kind for kind, names in _KINDS.items() for name in names):
        raise ValueError("a member has another type")
    if any(type(each) is not str for each in said["features"]):
        raise ValueError("a feature has another type")
    if any(type(number) is not int for number in said["limits"].values()):
        raise ValueError("a limit has another type")
    if type(said.get("revocations", 0)) is not int:
        raise ValueError("the number of a list has another type")
    if said["nbf"] != said["starts_at"]:
        raise ValueError("the beginnings differ")
    return said


def _written(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _instant(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError("no offset")
    return at.astimezone(UTC)
