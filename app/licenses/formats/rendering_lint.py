"""The readers' rules for Keygen files, machine files among them, and tokens, run before one is handed over (R-LIC-2).

A Keygen file answers to two readers: the SDK, which looks at the file's own dates, and a Mattermost server, which maps
it to a license of its own and then applies the rules of `linter.lint_claims`.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from app.licenses.formats import keygen, token
from app.licenses.formats.claims import MalformedPayload
from app.licenses.formats.findings import Finding, Severity
from app.licenses.formats.keygen import Algorithm
from app.licenses.formats.keygen_claims import KeygenClaims
from app.licenses.formats.linter import LintCode, RenderingLint, by_weight, finding, lint_claims, rejection_findings
from app.licenses.formats.machine_claims import MachineClaims
from app.licenses.formats.mattermost import LicenseFileRejected
from app.licenses.formats.recognize import ReadCode
from app.licenses.formats.token_claims import TokenClaims

CLOCK_SKEW: Final = timedelta(minutes=5)  # what the SDK lets the issuer's clock be ahead


def verify_keygen(text: str | bytes, keys: Sequence[Ed25519PublicKey], license_key: str | None) -> KeygenClaims:
    """The claims of a genuine file. Dates are not looked at. Raises LicenseFileRejected."""
    payload = keygen.open_payload(text, keys, license_key)
    try:
        return KeygenClaims.from_payload(payload)
    except MalformedPayload as exc:
        raise LicenseFileRejected(ReadCode.MALFORMED_PAYLOAD, str(exc), exc.faults) from exc


def verify_machine(
    text: str | bytes, keys: Sequence[Ed25519PublicKey], license_key: str | None, fingerprint: str | None
) -> MachineClaims:
    """The claims of a genuine machine file. Dates are not looked at. Raises LicenseFileRejected.

    What opens it is key and fingerprint in one; so that they cannot be divided in another place, both are compared with
    what the file states.
    """
    payload = keygen.open_payload(text, keys, keygen.machine_opener(license_key, fingerprint), keygen.MACHINE)
    try:
        claims = MachineClaims.from_payload(payload)
    except MalformedPayload as exc:
        raise LicenseFileRejected(ReadCode.MALFORMED_PAYLOAD, str(exc), exc.faults) from exc
    sealed = keygen.read(text, keygen.MACHINE).alg == Algorithm.ENCRYPTED
    if sealed and (claims.license.key, claims.fingerprint) != (license_key, fingerprint):
        raise LicenseFileRejected(ReadCode.WRONG_LICENSE_KEY, "What was given does not open the content.")
    return claims


def verify_token(text: str | bytes, keys: Mapping[str, Ed25519PublicKey]) -> TokenClaims:
    """The claims of a genuine token. Dates are not looked at. Raises LicenseFileRejected."""
    payload = token.open_payload(text, keys)
    try:
        return TokenClaims.from_payload(payload)
    except MalformedPayload as exc:
        raise LicenseFileRejected(ReadCode.MALFORMED_PAYLOAD, str(exc), exc.faults) from exc


def lint_keygen(
    text: str | bytes, keys: Sequence[Ed25519PublicKey], license_key: str | None, *, now: datetime,
    reported_users: int | None = None,
) -> list[Finding]:  # fmt: skip
    """Everything a reader would refuse or misread in this file; errors first. Arguments as of `linter.lint`."""
    try:
        claims = verify_keygen(text, keys, license_key)
    except LicenseFileRejected as rejected:
        return rejection_findings(rejected)
    plain = keygen.read(text).alg == Algorithm.PLAIN
    return by_weight(lint_keygen_claims(claims, plain=plain, now=now, reported_users=reported_users))


def lint_machine(
    text: str | bytes, keys: Sequence[Ed25519PublicKey], license_key: str | None, fingerprint: str | None, *,
    now: datetime, reported_users: int | None = None,
) -> list[Finding]:  # fmt: skip
    """The same for the file of one server."""
    try:
        claims = verify_machine(text, keys, license_key, fingerprint)
    except LicenseFileRejected as rejected:
        return rejection_findings(rejected)
    plain = keygen.read(text, keygen.MACHINE).alg == Algorithm.PLAIN
    return by_weight(lint_keygen_claims(claims.license, plain=plain, now=now, reported_users=reported_users))


def lint_keygen_claims(
    claims: KeygenClaims, *, plain: bool, now: datetime, reported_users: int | None = None
) -> Iterator[Finding]:
    """The same for claims that were read already, in no particular order of severity."""
    yield from _issued(claims.issued_at, now)
    if claims.ttl is None or claims.ends_at is None:
        if claims.ttl is not None or claims.ends_at is not None:
            yield finding(RenderingLint.TTL_MISMATCH, Severity.ERROR, "Of ttl and expiry only one is stated.")
        yield finding(
            RenderingLint.TTL_NONE, Severity.WARNING, "The file has no end of its own."
        )  # fmt: skip
    elif claims.ends_at != claims.issued_at + timedelta(seconds=claims.ttl):
        yield finding(
            RenderingLint.TTL_MISMATCH, Severity.ERROR, f"The end does not lie {claims.ttl} seconds after the issue."
        )
    elif claims.ttl != 0 and now > claims.ends_at:  # the SDK reads 0 as no end
        yield finding(RenderingLint.FILE_ENDED, Severity.ERROR, f"The file was good until {_instant(claims.ends_at)}.")
    if plain:
        yield finding(RenderingLint.NOT_ENCRYPTED, Severity.NOTICE, "The content is signed but readable by anyone.")
    yield from lint_claims(claims.claims, now=now, reported_users=reported_users)


def lint_token(
    text: str | bytes, keys: Mapping[str, Ed25519PublicKey], *, now: datetime, reported_users: int | None = None
) -> list[Finding]:
    """Everything a reader would refuse or misread in this token; errors first. Arguments as of `linter.lint`."""
    try:
        claims = verify_token(text, keys)
    except LicenseFileRejected as rejected:
        return rejection_findings(rejected)
    return by_weight(lint_token_claims(claims, now=now, reported_users=reported_users))


def lint_token_claims(
    claims: TokenClaims, *, now: datetime, reported_users: int | None = None
) -> Iterator[Finding]:  # fmt: skip
    """The same for claims that were read already, in no particular order of severity."""
    yield from _issued(claims.issued_at, now)
    if claims.expires_at <= claims.starts_at:
        yield finding(
            LintCode.ENDS_BEFORE_START, Severity.ERROR, "The end does not lie after the start; the term is empty."
        )
    if claims.good_until < claims.expires_at:
        yield finding(
            RenderingLint.ENDS_BEFORE_LICENSE, Severity.ERROR,
            f"Readers drop the token on {_instant(claims.good_until)}, before the term ends.",
        )  # fmt: skip
    if now > claims.expires_at:
        yield finding(LintCode.ALREADY_EXPIRED, Severity.ERROR, f"The term ended on {_instant(claims.expires_at)}.")
    if claims.starts_at > now:
        yield finding(
            LintCode.STARTS_LATER, Severity.WARNING, f"The term starts on {_instant(claims.starts_at)}."
        )  # fmt: skip
    if claims.seats < 1:
        yield finding(LintCode.NO_SEATS, Severity.ERROR, f"The token grants {claims.seats} seats.")
    elif reported_users is not None and reported_users > claims.seats:
        yield finding(
            LintCode.SEATS_BELOW_USERS, Severity.ERROR,
            f"The token grants {claims.seats} seats and the server last reported {reported_users} users.",
        )  # fmt: skip
    if claims.extra_seats < 0:
        yield finding(
            LintCode.EXTRA_USERS_NEGATIVE, Severity.ERROR, f"{claims.extra_seats} extra seats would take seats away."
        )
    if not claims.enforcement:
        yield finding(RenderingLint.NO_ENFORCEMENT, Severity.WARNING, "The token states no step of enforcement.")


def _issued(issued_at: datetime, now: datetime) -> Iterator[Finding]:
    if issued_at > now + CLOCK_SKEW:
        yield finding(
            RenderingLint.FILE_FROM_THE_FUTURE, Severity.ERROR,
            f"It says that it was issued on {_instant(issued_at)}, more than five minutes from now.",
        )  # fmt: skip


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
