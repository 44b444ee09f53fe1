"""What every rendering of one license says: one record, so that no two of them can disagree (R-LIC-1)."""

from base64 import b64decode
from dataclasses import dataclass
from typing import Protocol, Self

from app.licenses.formats.claims import LicenseClaims
from app.licenses.formats.mattermost import SIGNATURE_BYTES


class OnRecord(Protocol):
    """A license as it is kept."""

    id: str
    plan_id: str
    file_id: str
    grace_days: int
    file_text: str


@dataclass(frozen=True, slots=True)
class Stated:
    """`claims` are those of the signed Mattermost file on record; `key` is the bare key of online checks.

    The key is also what opens an encrypted Keygen file: whoever has one of the files has all of them.
    """

    license_id: str
    plan_id: str
    key: str
    grace_days: int
    claims: LicenseClaims

    @classmethod
    def of(cls, row: OnRecord) -> Self:
        """Read back from our own row, whose signature is not looked at again."""
        claims = LicenseClaims.from_payload(b64decode(row.file_text)[:-SIGNATURE_BYTES])
        return cls(row.id, row.plan_id, row.file_id, row.grace_days, claims)
