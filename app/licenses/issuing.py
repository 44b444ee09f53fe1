"""Making a license file that is certain to be accepted: sign, look at the result as the product will, or refuse."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Final

from app.core.errors import DomainError
from app.core.signing import RsaHolder
from app.licenses.formats.claims import LicenseClaims
from app.licenses.formats.findings import Finding
from app.licenses.formats.linter import lint
from app.licenses.formats.mattermost import encode, sign_payload

# One signature in 256 ends in NUL, so that 40 in a row happen once in 10**96 files.
_MOST_ATTEMPTS: Final = 40


class UndeliverableLicenseFile(DomainError):
    """A server would refuse the file, or forget it; `findings` say why. Nothing was issued."""

    status, slug, title = HTTPStatus.CONFLICT, "undeliverable-license-file", "A server would not accept this license"

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        super().__init__(" ".join(each.detail for each in findings), findings=" ".join(each.code for each in findings))
        self.findings = findings


@dataclass(frozen=True, slots=True)
class IssuedFile:
    """A file ready for delivery: its text without a line break at the end, and the claims under its final id.

    `attempts` counts signatures made, 1 unless one ended in NUL. `remarks` are findings that hinder nothing.
    """

    text: str
    claims: LicenseClaims
    attempts: int
    remarks: tuple[Finding, ...]


def issue(
    claims_under: Callable[[str], LicenseClaims],
    key: RsaHolder,
    *,
    new_id: Callable[[], str],
    now: datetime,
    previous_ids: Collection[str] = (),
    reported_users: int | None = None,
) -> IssuedFile:
    """Sign the claims under a fresh id and lint the file (R-LIC-2).

    A signature that ends in NUL is thrown away, and the claims are signed under another id: PKCS#1 v1.5 is
    deterministic, only other content signs differently. `claims_under` makes the claims for an id, `new_id` is
    `core.ids.new_license_file_id`; `previous_ids` and `reported_users` as in `linter.lint`. Leave `reported_users` out
    for what is paid already: fewer seats than users is then for the customer to settle, not a reason to withhold.
    Raises UndeliverableLicenseFile, UnusableKey.
    """
    claims, payload, signature, attempts = _sign(claims_under, key, new_id)
    text = encode(payload, signature)
    findings = lint(text, [key.public_key()], now=now, previous_ids=previous_ids, reported_users=reported_users)
    if blocking := tuple(each for each in findings if each.blocks):
        raise UndeliverableLicenseFile(blocking)
    return IssuedFile(text, claims, attempts, tuple(findings))


def _sign(
    claims_under: Callable[[str], LicenseClaims], key: RsaHolder, new_id: Callable[[], str]
) -> tuple[LicenseClaims, bytes, bytes, int]:
    """Claims, payload and a signature that does not end in NUL, and how many it took."""
    for attempt in range(1, _MOST_ATTEMPTS + 1):
        claims = claims_under(new_id())
        payload = claims.to_payload()
        signature = sign_payload(payload, key)
        if not signature.endswith(b"\0"):
            return claims, payload, signature, attempt
    raise RuntimeError(f"{_MOST_ATTEMPTS} signatures in a row end in NUL: new_id repeats itself")
