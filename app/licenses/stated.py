"""What every rendering of one license says: one record, so that no two of them can disagree (R-LIC-1)."""

from base64 import b64decode
from dataclasses import dataclass
from typing import Self

from app.licenses.claims import LicenseClaims
from app.licenses.mattermost import SIGNATURE_BYTES
from app.licenses.models import License


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
    def of(cls, row: License) -> Self:
        """Read back from our own row, whose signature is not looked at again."""
        claims = LicenseClaims.from_payload(b64decode(row.file_text)[:-SIGNATURE_BYTES])
        return cls(row.id, row.plan_id, row.file_id, row.grace_days, claims)
