"""The verdict on one license text at one time, for people and programs."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, Generic, TypeVar

from app.licenses.formats.claims import LicenseClaims
from app.licenses.formats.findings import Finding, Severity
from app.licenses.formats.keygen_claims import KeygenClaims
from app.licenses.formats.machine_claims import MachineClaims
from app.licenses.formats.recognize import Format
from app.licenses.formats.token_claims import TokenClaims


class ReportCode(StrEnum):
    """The headline where it is not a `FileCode`, a `ReadCode` or a finding of the linter."""

    ACCEPTED = "accepted"
    ALTERED = "altered"
    EXPIRED = "expired"
    EXPIRED_IN_PRODUCT_GRACE = "expired_in_product_grace"  # a finding beside `expired`, never the headline
    NOT_STARTED = "not_started"
    NO_SEATS = "no_seats"
    LINES_BROKEN = "lines_broken"  # a finding only
    STEP_BEGUN = "step_begun"  # a finding only
    OTHER_SERVER = "other_server"
    REVOKED = "revoked"
    OLD_REVOCATION_LIST = "old_revocation_list"
    REVOCATION_LIST_UNUSABLE = "revocation_list_unusable"
    NOT_ON_REVOCATION_LIST = "not_on_revocation_list"  # a finding only


_REMEDIES: Final = {
    ReportCode.ALTERED: "Download the file again and leave it unopened; do not use this copy.",
    ReportCode.EXPIRED: "Renew, and install the file that comes with the renewal.",
    ReportCode.EXPIRED_IN_PRODUCT_GRACE: "Install the renewed file before that day.",
    ReportCode.NOT_STARTED: "Wait for the start date, or check the clock.",
    ReportCode.NO_SEATS: "Ask the issuer for a file that states at least one seat.",
    ReportCode.LINES_BROKEN: "Nothing needs to be done; servers skip line breaks.",
    ReportCode.STEP_BEGUN: "Renew in the portal; the step ends with the new token.",
    ReportCode.REVOKED: "Do not use it; ask the vendor why, or install the license that took its place.",
    ReportCode.OLD_REVOCATION_LIST: "Fetch the newest list; an older one may have been kept back on purpose.",
    ReportCode.REVOCATION_LIST_UNUSABLE: "Fetch the list again, whole or with every delta since, and the key set.",
    ReportCode.NOT_ON_REVOCATION_LIST: "Nothing needs to be done; what was revoked since stands on a newer list.",
    ReportCode.OTHER_SERVER: "Give the fingerprint of the server it is used on; each server needs a file of its own.",
}
LADDER: Final = "Ladder"  # the name of what a token says about the end, among `Summary.more`
Claims = LicenseClaims | KeygenClaims | MachineClaims | TokenClaims
C_co = TypeVar("C_co", bound=Claims, covariant=True)


@dataclass(frozen=True, slots=True)
class Summary:
    """What a license of any format says, in words. `expires_at` is the end of the license's term."""

    license_id: str
    customer: str
    company: str
    plan: str
    users: int
    seats: str
    issued_at: datetime
    starts_at: datetime
    expires_at: datetime
    more: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Report(Generic[C_co]):
    """The verdict.

    `code` is a value of `ReportCode`, `FileCode`, `ReadCode` or `RenderingLint`. `server_accepts` differs from
    `accepted` only for a text that was altered without changing its content. `claims` is None where nothing could be
    believed.
    """

    accepted: bool
    code: str
    findings: tuple[Finding, ...]
    claims: C_co | None
    server_accepts: bool
    at: datetime
    written: Format = Format.MATTERMOST

    @property
    def summary(self) -> Summary | None:
        return summary_of(self.claims) if self.claims is not None else None

    def lines(self) -> list[str]:
        """For people, without colours; text from the file cannot carry terminal codes."""
        return [printable(line) for line in self._said()]

    def _said(self) -> Iterator[str]:
        verdict = "ACCEPTED" if self.accepted else f"NOT ACCEPTED: {self.code}"
        yield f"{verdict} (as of {written(self.at)})"
        for each in self.findings:
            yield f"  {each.severity}: {each.code}: {each.detail}"
            yield f"    {each.remedy}"
        if self.server_accepts and not self.accepted:
            yield "  A server would still install this text, because its content is unchanged."
        if (summary := self.summary) is not None:
            yield f"License   {summary.license_id}"
            yield f"Customer  {summary.customer}"
            yield f"Plan      {summary.plan}"
            yield f"Seats     {summary.seats}"
            yield f"Issued    {written(summary.issued_at)}"
            yield f"Term      {written(summary.starts_at)} to {written(summary.expires_at)}"
            for name, value in summary.more:
                yield f"{name:<10}{value}"


def summary_of(claims: Claims) -> Summary:
    match claims:
        case LicenseClaims():
            return _of_server(claims, claims.id, claims.issued_at)
        case KeygenClaims():
            return _of_keygen(claims)
        case MachineClaims():
            server = claims.fingerprint if not claims.name else f"{claims.name} ({claims.fingerprint})"
            return _of_keygen(claims.license, (("Server", server),))
        case TokenClaims():
            counted = f", the product stops at {claims.seats + claims.extra_seats}" if claims.seats_enforced else ""
            steps = "; ".join(
                f"{rung.step} from day {rung.days}" for rung in claims.enforcement if rung.days is not None
            )  # fmt: skip
            return Summary(
                claims.license_id, claims.company, claims.company,
                f"{claims.plan} ({claims.sku}){', trial' if claims.trial else ''}", claims.seats,
                f"{claims.seats}{counted}", claims.issued_at, claims.starts_at, claims.expires_at,
                ((LADDER, steps or "none"),),
            )  # fmt: skip


def _of_keygen(claims: KeygenClaims, more: tuple[tuple[str, str], ...] = ()) -> Summary:
    ends = written(claims.ends_at) if claims.ends_at else "never"
    told = (*more, ("File ends", ends))
    return _of_server(claims.claims, claims.license_id or claims.uuid, claims.issued_at, told)


def _of_server(
    claims: LicenseClaims, license_id: str, issued_at: datetime, more: tuple[tuple[str, str], ...] = ()
) -> Summary:
    customer = claims.customer
    company = customer.company or customer.name
    sources = tuple(
        ("Made of", f"{each.license}, {_counted(each.users)}, ends {written(each.expires_at)}")
        for each in claims.sources
    )
    return Summary(
        license_id, f"{company}, {customer.name} <{customer.email}>", company,
        f"{claims.sku_name} ({claims.sku_short_name}){', trial' if claims.is_trial else ''}", claims.users,
        _seats(claims), issued_at, claims.starts_at, claims.expires_at, more + sources,
    )  # fmt: skip


def report_finding(code: ReportCode, severity: Severity, detail: str) -> Finding:
    """A finding with the remedy that belongs to its code."""
    return Finding(code.value, severity, detail, _REMEDIES[code])


def written(at: datetime) -> str:
    """To the second, in UTC."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _counted(seats: int) -> str:
    return f"{seats} {'seat' if seats == 1 else 'seats'}"


def _seats(claims: LicenseClaims) -> str:
    if not claims.is_seat_count_enforced:
        return f"{claims.users}, counted at renewal"
    return f"{claims.users}, the server stops at {claims.users + (claims.extra_users or 0)}"


def printable(line: str) -> str:
    """Without what could steer a terminal."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in line)
