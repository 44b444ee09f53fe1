"""What a server would make of a license file, found out offline: `blp license verify` (R-LIC-1, R-LIC-2).

A file is accepted when a server that trusts one of the keys would install it at the given time, and when its text
is the one that was issued (`mattermost.alteration`): stricter than a server, which does not see every changed
character. The file itself states no grace. The product keeps a license that is running for ten days past its end,
but it does not install one that has ended, so an ended file is not accepted and the ten days are only reported.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from app.core.signing import RSA_BITS, UnusableKey, load_public_keys
from app.licenses.formats.claims import LicenseClaims
from app.licenses.formats.findings import Finding, Severity
from app.licenses.formats.linter import PRODUCT_GRACE, LintCode, is_expired, lint_claims, rejection_findings
from app.licenses.formats.mattermost import LicenseFileRejected, alteration, verify_file
from app.licenses.formats.report import Report, ReportCode, report_finding, written

# Said of the issuer's work, or said better by a headline of this report.
NOT_FOR_READERS: Final = frozenset({LintCode.ALREADY_EXPIRED, LintCode.NO_SEATS, LintCode.CUSTOMER_EMAIL_MISSING})


def verify_license_file(data: bytes, keys: Sequence[RSAPublicKey], at: datetime) -> Report[LicenseClaims]:
    """Judge the bytes of a license file as of `at`, an aware instant. Never raises for what the file contains."""
    try:
        claims = verify_file(data, keys)
    except LicenseFileRejected as rejected:
        return Report(False, rejected.reason.value, tuple(rejection_findings(rejected)), None, False, at)
    refused = list(refusals(claims, at))
    altered = list(_altered(data))
    blocking = altered + refused
    notes = [*product_grace(claims, at), *_line_breaks(data), *remarks(claims, at)]
    return Report(
        accepted=not blocking,
        code=blocking[0].code if blocking else ReportCode.ACCEPTED.value,
        findings=(*blocking, *notes),
        claims=claims,
        server_accepts=not refused,
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
        yield report_finding(ReportCode.ALTERED, Severity.ERROR, f"This is not the text that was issued. {sign}")


def refusals(claims: LicenseClaims, at: datetime) -> Iterator[Finding]:
    if is_expired(claims, at):
        yield report_finding(
            ReportCode.EXPIRED,
            Severity.ERROR,
            f"The term ended on {written(claims.expires_at)}; no server installs it.",
        )
    if claims.users < 1:
        yield report_finding(ReportCode.NO_SEATS, Severity.ERROR, f"The file grants {claims.users} seats.")


def product_grace(claims: LicenseClaims, at: datetime) -> Iterator[Finding]:
    if is_expired(claims, at) and at - claims.expires_at <= PRODUCT_GRACE:
        until = claims.expires_at + PRODUCT_GRACE
        yield report_finding(
            ReportCode.EXPIRED_IN_PRODUCT_GRACE,
            Severity.WARNING,
            f"A server that runs this license already keeps it until {written(until)} and removes it then.",
        )


def _line_breaks(data: bytes) -> Iterator[Finding]:
    if b"\n" in data.rstrip(b"\r\n"):
        yield report_finding(ReportCode.LINES_BROKEN, Severity.NOTICE, "The text was broken into lines on its way.")


def remarks(claims: LicenseClaims, at: datetime) -> Iterator[Finding]:
    """What the linter sees, as a remark: the file was delivered, and a server installs it all the same."""
    for each in lint_claims(claims, now=at):
        if each.code not in NOT_FOR_READERS:
            severity = Severity.WARNING if each.blocks else each.severity
            yield Finding(each.code, severity, each.detail, each.remedy)
