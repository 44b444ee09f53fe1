"""What validation reads about a license, in one question (R-LIC-4)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, LiteralString, Self

from sqlalchemy import text

from app.core.db import Tx
from app.licenses.activations import Binding
from app.licenses.models import LicenseState


@dataclass(frozen=True, slots=True)
class Record:
    """What validation has to know about a license; nothing in it is personal."""

    id: str
    account_id: str
    file_id: str
    file_sha256: str
    sku: str
    seats: int
    state: LicenseState
    starts_at: datetime
    expires_at: datetime
    grace_days: int
    entitlements: MappingProxyType[str, Any]
    kid: str = ""  # of the key that signed the file
    binding: Binding | None = None

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        """From a row of `find_records`."""
        known = {name: value for name, value in row.items() if name not in {"rules", "override", "places"}}
        return cls(**known | {
            "state": LicenseState(row["state"]), "entitlements": MappingProxyType(dict(row["entitlements"])),
            "binding": Binding.read(row["rules"], row["override"], row["places"]),
        })  # fmt: skip


# Everything about a license in one question, its servers included. The servers of plans that bind none are not looked
# at, and a file of several licenses binds none.
_LICENSE: Final[LiteralString] = (
    "SELECT license.id, license.account_id, license.file_id, license.file_sha256, license.sku, license.seats,"
    " license.state, license.starts_at, license.expires_at, license.grace_days, license.entitlements, license.kid,"
    " CASE WHEN NOT license.trial THEN plan.activation_rules END AS rules,"
    " CASE WHEN plan.activation_rules IS NOT NULL THEN ("
    "  SELECT most FROM license_activation_limit AS given WHERE given.subscription_id = license.subscription_id"
    "  ORDER BY given.id DESC LIMIT 1) END AS override,"
    " CASE WHEN plan.activation_rules IS NOT NULL THEN ("
    "  SELECT jsonb_object_agg(fingerprint, jsonb_build_array(server.id, slot, lease_until))"
    "  FROM license_activation AS server"
    "  WHERE server.subscription_id = license.subscription_id AND server.state = 'active') END AS places"
    " FROM license JOIN plan ON plan.id = license.plan_id"
)
_MERGED: Final[LiteralString] = (
    "SELECT id, account_id, file_id, file_sha256, sku, seats, state, starts_at, expires_at, grace_days, entitlements,"
    " kid, NULL::jsonb AS rules, NULL::int AS override, NULL::jsonb AS places FROM merged_license"
)


def find_records(file_ids: LiteralString) -> LiteralString:
    """The question for what validation knows, of licenses or of several together; `file_ids` is a placeholder for an
    array and stands there twice.
    """
    return f"{_LICENSE} WHERE license.file_id = ANY({file_ids}) UNION ALL {_MERGED} WHERE file_id = ANY({file_ids})"


_FIND: Final = text(find_records("CAST(:file_ids AS text[])"))


def record_of(tx: Tx, file_id: str) -> Record | None:
    """What validation knows about the license, or several together, with this id in its file."""
    row = tx.execute(_FIND, {"file_ids": [file_id]}).mappings().one_or_none()
    return Record.of(dict(row)) if row else None
