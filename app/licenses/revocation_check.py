"""A license held against a signed revocation list, as somebody without a network holds it (R-LIC-6, R-LIC-8). Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from app.licenses import revocation_list
from app.licenses.formats.claims import LicenseClaims
from app.licenses.formats.findings import Finding, Severity
from app.licenses.formats.keygen_claims import KeygenClaims
from app.licenses.formats.machine_claims import MachineClaims
from app.licenses.formats.mattermost import LicenseFileRejected
from app.licenses.formats.report import Claims, Report, ReportCode, report_finding, written
from app.licenses.formats.token_claims import TokenClaims
from app.licenses.models import RevocationReason
from app.licenses.revocation_list import RevocationList


def lists_in(data: bytes) -> list[bytes]:
    """The lists of a file: one a line, a whole one and the deltas that continue it."""
    return [line for line in data.splitlines() if line.strip()]


def against(
    report: Report[Claims], texts: Sequence[bytes], keys: Mapping[str, Ed25519PublicKey]
) -> Report[Claims]:  # fmt: skip
    """The report with what the lists say of the license: which list, how old, and whether the file is on it.

    A file on the list is not accepted, nor one that was issued when there was a newer list, nor any where the list
    cannot be believed: whoever brings one wants to know. `texts` are a whole list and its deltas, `keys` those
    published for lists. Never raises for what the texts contain.
    """
    try:
        found = revocation_list.read_all(texts, keys)
    except LicenseFileRejected as rejected:
        detail = f"The revocation list cannot be used: {rejected.reason.value}. {rejected.detail}"
        return _with(report, report_finding(ReportCode.REVOCATION_LIST_UNUSABLE, Severity.ERROR, detail))
    if report.claims is None:
        return report
    file_id, newest = _named(report.claims)
    which = f"list {found.sequence} of {written(found.issued_at)}, {_age(found, report)}"
    if (entry := found.entry_of(file_id)) is not None:
        why = ", because its key is compromised" if entry.reason is RevocationReason.KEY_COMPROMISED else ""
        detail = f"It was revoked on {written(entry.at)}{why}: it is on {which}."
        return _with(report, report_finding(ReportCode.REVOKED, Severity.ERROR, detail))
    if found.sequence < newest:
        detail = f"It was issued when there was list {newest}, so that {which}, says nothing about it."
        return _with(report, report_finding(ReportCode.OLD_REVOCATION_LIST, Severity.ERROR, detail))
    detail = f"It is not on {which}."
    return _with(report, report_finding(ReportCode.NOT_ON_REVOCATION_LIST, Severity.NOTICE, detail))


def _named(claims: Claims) -> tuple[str, int]:
    """The id that a list names, hashed, and the number of the newest list when this was issued; 0 is not known."""
    match claims:
        case LicenseClaims():
            return claims.id, 0
        case KeygenClaims() | TokenClaims():
            return claims.key, claims.revocations
        case MachineClaims():
            return claims.license.key, claims.license.revocations


def _age(found: RevocationList, report: Report[Claims]) -> str:
    days = (report.at - found.issued_at).days
    if days < 0:
        return "made after the time it is judged for"
    return "less than a day old" if days < 1 else f"{days} day{'' if days == 1 else 's'} old"


def _with(report: Report[Claims], said: Finding) -> Report[Claims]:
    if not said.blocks:
        return replace(report, findings=(*report.findings, said))
    code = report.code if not report.accepted else said.code
    return replace(report, accepted=False, code=code, findings=(said, *report.findings), server_accepts=False)
