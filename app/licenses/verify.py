"""What a server would make of a license file, found out offline: `blp license verify` (R-LIC-1, R-LIC-2).

A file is accepted when a server that trusts one of the keys would install it at the given time, and when its text
is the one that was issued (`mattermost.alteration`): stricter than a server, which does not see every changed
character. The file itself states no grace. The product keeps a license that is running for ten days past its end,
but it does not install one that has ended, so an ended file is not accepted and the ten days are only reported.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from app.core.signing import RSA_BITS, UnusableKey, load_public_keys
from app.licenses.claims import LicenseClaims
from app.licenses.findings import Finding, Severity
from app.licenses.linter import PRODUCT_GRACE, LintCode, is_expired, lint_claims, rejection_findings
from app.licenses.mattermost import LicenseFileRejected, alteration, verify_file


class ReportCode(StrEnum):
    """The headline where it is not a `FileCode`."""

    ACCEPTED = "accepted"
    ALTERED = "altered"
    EXPIRED = "expired"
    EXPIRED_IN_PRODUCT_GRACE = "expired_in_product_grace"  # a finding beside `expired`, never the headline
    NO_SEATS = "no_seats"
    LINES_BROKEN = "lines_broken"  # a finding only


_REMEDIES: Final = {
    ReportCode.ALTERED: "Download the file again and leave it unopened; do not use this copy.",
    ReportCode.EXPIRED: "Renew, and install the file that comes with the renewal.",
    ReportCode.EXPIRED_IN_PRODUCT_GRACE: "Install the renewed file before that day.",
    ReportCode.NO_SEATS: "Ask the issuer for a file that states at least one seat.",
    ReportCode.LINES_BROKEN: "Nothing needs to be done; servers skip line breaks.",
}
# Said of the issuer's work, or said better by a headline of this report.
_NOT_FOR_READERS: Final = frozenset({LintCode.ALREADY_EXPIRED, LintCode.NO_SEATS, LintCode.CUSTOMER_EMAIL_MISSING})


@dataclass(frozen=True, slots=True)
class Report:
    """The verdict on one file at one time.

    `code` is a value of `ReportCode` or `FileCode`. `server_accepts` differs from `accepted` only for a text that
    was altered without changing its content. `claims` is None where nothing could be believed.
    """

    accepted: bool
    code: str
    findings: tuple[Finding, ...]
    claims: LicenseClaims | None
    server_accepts: bool
    at: datetime

    def lines(self) -> list[str]:
        """For people, without colours; text from the file cannot carry terminal codes."""
        return [_printable(line) for line in self._said()]

    def _said(self) -> Iterator[str]:
        verdict = "ACCEPTED" if self.accepted else f"NOT ACCEPTED: {self.code}"
        yield f"{verdict} (as of {_instant(self.at)})"
        for each in self.findings:
            yield f"  {each.severity}: {each.code}: {each.detail}"
            yield f"    {each.remedy}"
        if self.server_accepts and not self.accepted:
            yield "  A server would still install this text, because its content is unchanged."
        if (claims := self.claims) is not None:
            customer = claims.customer
            yield f"License   {claims.id}"
            yield f"Customer  {customer.company or customer.name}, {customer.name} <{customer.email}>"
            yield f"Plan      {claims.sku_name} ({claims.sku_short_name}){', trial' if claims.is_trial else ''}"
            yield f"Seats     {_seats(claims)}"
            yield f"Issued    {_instant(claims.issued_at)}"
            yield f"Term      {_instant(claims.starts_at)} to {_instant(claims.expires_at)}"
            for source in claims.sources:
                yield f"From      {source.license}, {source.users} seats, ends {_instant(source.expires_at)}"


def verify_license_file(data: bytes, keys: Sequence[RSAPublicKey], at: datetime) -> Report:
    """Judge the bytes of a license file as of `at`, an aware instant. Never raises for what the file contains."""
    try:
        claims = verify_file(data, keys)
    except LicenseFileRejected as rejected:
        return Report(False, rejected.reason.value, tuple(rejection_findings(rejected)), None, False, at)
    refusals = list(_refusals(claims, at))
    altered = list(_altered(data))
    blocking = altered + refusals
    notes = [*_product_grace(claims, at), *_line_breaks(data), *_remarks(claims, at)]
    return Report(
        accepted=not blocking,
        code=blocking[0].code if blocking else ReportCode.ACCEPTED.value,
        findings=(*blocking, *notes),
        claims=claims,
        server_accepts=not refusals,
        at=at,
    )


def load_keys(pem_or_jwks: bytes) -> list[RSAPublicKey]:
    """The RSA-2048 keys of a PEM bundle or key set; a published set also holds Ed25519 keys, which are passed over.

    Raises UnusableKey where no key is left.
    """
    keys = [key for key in load_public_keys(pem_or_jwks) if isinstance(key, RSAPublicKey)]
    usable = [key for key in keys if key.key_size == RSA_BITS]
    if not usable:
        sizes = ", ".join(f"RSA-{key.key_size}" for key in keys) or "no RSA key"
        raise UnusableKey(f"License files are verified with an RSA key of {RSA_BITS} bits; found here: {sizes}.")
    return usable


def _altered(data: bytes) -> Iterator[Finding]:
    if sign := alteration(data):
        yield _finding(ReportCode.ALTERED, Severity.ERROR, f"This is not the text that was issued. {sign}")


def _refusals(claims: LicenseClaims, at: datetime) -> Iterator[Finding]:
    if is_expired(claims, at):
        yield _finding(
            ReportCode.EXPIRED,
            Severity.ERROR,
            f"The term ended on {_instant(claims.expires_at)}; no server installs it.",
        )
    if claims.users < 1:
        yield _finding(ReportCode.NO_SEATS, Severity.ERROR, f"The file grants {claims.users} seats.")


def _product_grace(claims: LicenseClaims, at: datetime) -> Iterator[Finding]:
    if is_expired(claims, at) and at - claims.expires_at <= PRODUCT_GRACE:
        until = claims.expires_at + PRODUCT_GRACE
        yield _finding(
            ReportCode.EXPIRED_IN_PRODUCT_GRACE,
            Severity.WARNING,
            f"A server that runs this license already keeps it until {_instant(until)} and removes it then.",
        )


def _line_breaks(data: bytes) -> Iterator[Finding]:
    if b"\n" in data.rstrip(b"\r\n"):
        yield _finding(ReportCode.LINES_BROKEN, Severity.NOTICE, "The text was broken into lines on its way.")


def _remarks(claims: LicenseClaims, at: datetime) -> Iterator[Finding]:
    """What the linter sees, as a remark: the file was delivered, and a server installs it all the same."""
    for each in lint_claims(claims, now=at):
        if each.code not in _NOT_FOR_READERS:
            severity = Severity.WARNING if each.blocks else each.severity
            yield Finding(each.code, severity, each.detail, each.remedy)


def _finding(code: ReportCode, severity: Severity, detail: str) -> Finding:
    return Finding(code.value, severity, detail, _REMEDIES[code])


def _seats(claims: LicenseClaims) -> str:
    if not claims.is_seat_count_enforced:
        return f"{claims.users}, counted at renewal"
    return f"{claims.users}, the server stops at {claims.users + (claims.extra_users or 0)}"


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _printable(line: str) -> str:
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in line)
