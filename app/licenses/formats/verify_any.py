"""What a reader would make of a license text of any format, found out offline: `blp license verify` (R-LIC-1).

A Keygen file is accepted while both the file and the license are good, and the file of one server only for its
fingerprint; a token until its `exp`, with what its ladder
asks for by then. A Mattermost file is judged by `verify.verify_license_file`.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from app.licenses.formats import keygen
from app.licenses.formats.findings import Finding, Severity
from app.licenses.formats.keygen import Algorithm, Kind
from app.licenses.formats.keygen_claims import KeygenClaims
from app.licenses.formats.linter import LintCode, RenderingLint, lint, rejection_findings
from app.licenses.formats.mattermost import LicenseFileRejected
from app.licenses.formats.recognize import Format, recognize
from app.licenses.formats.rendering_lint import (
    lint_keygen,
    lint_keygen_claims,
    lint_machine,
    lint_token,
    lint_token_claims,
    verify_keygen,
    verify_machine,
    verify_token,
)
from app.licenses.formats.report import Claims, Report, ReportCode, report_finding, written
from app.licenses.formats.token_claims import TokenClaims
from app.licenses.formats.trust import Trust
from app.licenses.formats.verify import NOT_FOR_READERS, product_grace, refusals, verify_license_file

_READERS_REFUSE: Final = frozenset({RenderingLint.FILE_FROM_THE_FUTURE, RenderingLint.FILE_ENDED})
_SAID_BY_THE_TOKEN: Final = NOT_FOR_READERS | {LintCode.STARTS_LATER}


def verify_license(
    data: bytes, trust: Trust, at: datetime, license_key: str | None = None, fingerprint: str | None = None
) -> Report[Claims]:
    """Judge a license text as of `at`, an aware instant. Never raises for what the text contains.

    `license_key` opens an encrypted Keygen file, with `fingerprint` that of a server; without it such a file is
    `sealed`, and not accepted, because nobody can tell until when it is good. Raises UnusableKey where no key is
    trusted for this format.
    """
    kind = recognize(data)
    trust.require(kind)
    match kind:
        case Format.MATTERMOST:
            return verify_license_file(data, trust.mattermost, at)
        case Format.KEYGEN:
            return _keygen(data, trust, at, license_key)
        case Format.MACHINE:
            return _machine(data, trust, at, license_key, fingerprint)
        case Format.TOKEN:
            return _token(data, trust, at)


def lint_license(
    text: str, trust: Trust, *, now: datetime, license_key: str | None = None, fingerprint: str | None = None,
    reported_users: int | None = None,
) -> tuple[Format, list[Finding]]:  # fmt: skip
    """The issuer's linter for whichever format it is. Raises UnusableKey where no key is trusted for this format."""
    kind = recognize(text.encode("ascii", "replace"))
    trust.require(kind)
    match kind:
        case Format.MATTERMOST:
            found = lint(text, trust.mattermost, now=now, reported_users=reported_users)
        case Format.KEYGEN:
            found = lint_keygen(text, trust.keygen, license_key, now=now, reported_users=reported_users)
        case Format.MACHINE:
            found = lint_machine(text, trust.keygen, license_key, fingerprint, now=now, reported_users=reported_users)
        case Format.TOKEN:
            found = lint_token(text, trust.token, now=now, reported_users=reported_users)
    return kind, found


def _keygen(data: bytes, trust: Trust, at: datetime, license_key: str | None) -> Report[Claims]:
    try:
        claims = verify_keygen(data, trust.keygen, license_key)
    except LicenseFileRejected as rejected:
        return _rejected(rejected, Format.KEYGEN, at)
    refused, notes = _of_file(data, claims, keygen.LICENSE, at)
    return _report(Format.KEYGEN, claims, _altered(data, keygen.LICENSE), refused, notes, at)


def _machine(
    data: bytes, trust: Trust, at: datetime, license_key: str | None, fingerprint: str | None
) -> Report[Claims]:
    try:
        claims = verify_machine(data, trust.keygen, license_key, fingerprint)
    except LicenseFileRejected as rejected:
        return _rejected(rejected, Format.MACHINE, at)
    refused, notes = _of_file(data, claims.license, keygen.MACHINE, at)
    if claims.fingerprint != fingerprint:
        asked = "another one was given" if fingerprint is not None else "none was given"
        detail = f"It is for the server with the fingerprint {claims.fingerprint!r}; {asked}."
        refused.insert(0, report_finding(ReportCode.OTHER_SERVER, Severity.ERROR, detail))
    return _report(Format.MACHINE, claims, _altered(data, keygen.MACHINE), refused, notes, at)


def _of_file(data: bytes, claims: KeygenClaims, kind: Kind, at: datetime) -> tuple[list[Finding], list[Finding]]:
    """Why a reader refuses a genuine file, and what is to be said beside."""
    plain = keygen.read(data, kind).alg == Algorithm.PLAIN
    found = list(lint_keygen_claims(claims, plain=plain, now=at))
    ended = [each for each in found if each.code in _READERS_REFUSE]
    notes = [*product_grace(claims.claims, at), *_as_remarks(found, NOT_FOR_READERS | _READERS_REFUSE)]
    return [*ended, *refusals(claims.claims, at)], notes


def _token(data: bytes, trust: Trust, at: datetime) -> Report[Claims]:
    try:
        claims = verify_token(data, trust.token)
    except LicenseFileRejected as rejected:
        return _rejected(rejected, Format.TOKEN, at)
    found = list(lint_token_claims(claims, now=at))
    refused = [each for each in found if each.code in _READERS_REFUSE] + list(_token_refusals(claims, at))
    notes = _as_remarks(found, _SAID_BY_THE_TOKEN | _READERS_REFUSE)
    step = claims.step_at(at)
    if step is not None and at <= claims.good_until:
        detail = f"By {written(at)} the product is asked to {step.replace('_', ' ')}."
        notes = [report_finding(ReportCode.STEP_BEGUN, Severity.WARNING, detail), *notes]
    return _report(Format.TOKEN, claims, [], refused, notes, at)


def _token_refusals(claims: TokenClaims, at: datetime) -> Iterable[Finding]:
    if at > claims.good_until:
        detail = f"The term ended on {written(claims.expires_at)}, and all its steps on {written(claims.good_until)}."
        yield report_finding(ReportCode.EXPIRED, Severity.ERROR, detail)
    if at < claims.starts_at:
        detail = f"The term starts on {written(claims.starts_at)}."
        yield report_finding(ReportCode.NOT_STARTED, Severity.ERROR, detail)
    if claims.seats < 1:
        yield report_finding(ReportCode.NO_SEATS, Severity.ERROR, f"The token grants {claims.seats} seats.")


def _altered(data: bytes, kind: Kind) -> list[Finding]:
    sign = keygen.alteration(data, kind)
    detail = f"This is not the text that was issued. {sign}"
    return [report_finding(ReportCode.ALTERED, Severity.ERROR, detail)] if sign else []


def _report(
    kind: Format, claims: Claims, altered: list[Finding], refused: list[Finding], notes: Sequence[Finding], at: datetime
) -> Report[Claims]:
    blocking = [*altered, *refused]
    code = blocking[0].code if blocking else ReportCode.ACCEPTED.value
    return Report(not blocking, code, (*blocking, *notes), claims, not refused, at, kind)


def _rejected(rejected: LicenseFileRejected, kind: Format, at: datetime) -> Report[Claims]:
    return Report(False, rejected.reason.value, tuple(rejection_findings(rejected)), None, False, at, kind)


def _as_remarks(found: Iterable[Finding], but: frozenset[LintCode | RenderingLint]) -> list[Finding]:
    """The linter's findings as remarks: the text was delivered, and readers take it all the same."""
    return [
        Finding(each.code, Severity.WARNING if each.blocks else each.severity, each.detail, each.remedy)
        for each in found
        if each.code not in but
    ]
