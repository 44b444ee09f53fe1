"""Everything there is to say about a license file to whoever holds it: `/verify` and `blp license doctor` (R-LIC-4).

The file is the credential. Who shows one that we signed and logged may know what validation says of it, and when what
stops; never who the other servers are, nor the text of a newer file.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import select
from sqlmodel import col

from app.core import keys
from app.core.canonical import sha256_hex
from app.core.db import Tx
from app.core.keys import SigningKey
from app.core.signing import UnusableKey
from app.licenses import revocation_check
from app.licenses.decision import Code, Credential, ValidationRequest, decide
from app.licenses.formats.claims import LicenseClaims
from app.licenses.formats.enforcement import Rung, Step
from app.licenses.formats.findings import Finding, Severity
from app.licenses.formats.keygen_claims import KeygenClaims
from app.licenses.formats.linter import PRODUCT_GRACE
from app.licenses.formats.machine_claims import MachineClaims
from app.licenses.formats.report import Claims, Report, printable, written
from app.licenses.formats.token_claims import TokenClaims
from app.licenses.formats.trust import Trust
from app.licenses.formats.verify_any import verify_license
from app.licenses.models import IssuanceEntry, License, LicenseState, MergedLicense
from app.licenses.records import record_of
from app.licenses.validating import facts_of

NOT_ON_RECORD: Final = "not_on_record"
# What only the record knows; the rest stands in the file.
_OF_THE_RECORD: Final = frozenset({
    Code.REVOKED, Code.SUSPENDED, Code.SUPERSEDED, Code.NOT_ACTIVATED, Code.ACTIVATION_LIMIT_REACHED,
    Code.HEARTBEAT_DEAD, Code.TOO_MANY_ACTIVATIONS,
})  # fmt: skip
_FORGED: Final = Finding(
    NOT_ON_RECORD, Severity.ERROR, "The signature is ours, but we have no record of issuing this text.",
    "Do not install it, and tell the vendor where it came from.",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Opener:
    """What opens an encrypted Keygen file: the license key, for the file of one server its fingerprint as well."""

    license_key: str | None = None
    fingerprint: str | None = None


_CLOSED: Final = Opener()


@dataclass(frozen=True, slots=True)
class Stop:
    """What begins at `at` by the calendar, or above so many users; `begun` is about the calendar."""

    what: str
    at: datetime | None
    above: int | None
    begun: bool
    todo: str


@dataclass(frozen=True, slots=True)
class OnRecord:
    """How the license stands now. `servers` is how many are bound and how many may be, None where none are bound."""

    state: LicenseState
    since: datetime | None
    successor: str | None
    servers: tuple[int, int | None] | None


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """`record` None: nothing of ours is on record under it, or nobody was asked (`asked`)."""

    report: Report[Claims]
    kid: str
    key_ends_at: datetime | None
    stops: tuple[Stop, ...]
    record: OnRecord | None = None
    asked: bool = False
    findings: tuple[Finding, ...] = ()

    @property
    def accepted(self) -> bool:
        return self.report.accepted and not any(each.blocks for each in self.findings)

    @property
    def code(self) -> str:
        blocking = next((each.code for each in self.findings if each.blocks), None)
        return blocking if self.report.accepted and blocking else self.report.code

    def lines(self) -> list[str]:
        """For people, without colours."""
        return [*self.report.lines(), *(printable(line) for line in self._said())]

    def _said(self) -> Iterator[str]:
        for each in self.findings:
            yield f"  {each.severity}: {each.code}: {each.detail}"
            yield f"    {each.remedy}"
        if self.kid:
            ends = f", used until {written(self.key_ends_at)}" if self.key_ends_at else ""
            yield f"Key       {self.kid}{ends}"
        if self.record is not None:
            since = f" since {written(self.record.since)}" if self.record.since else ""
            yield f"State     {self.record.state}{since}"
            if self.record.successor:
                yield f"Newer     {self.record.successor}"
            yield f"Servers   {servers(self.record)}"
        elif not self.asked:
            yield "State     not asked: offline nobody knows what was revoked since"
        for stop in self.stops:
            yield f"  {when(stop)}: {stop.what}{' (begun)' if stop.begun else ''}. {stop.todo}"


def servers(record: OnRecord) -> str:
    if record.servers is None:
        return "none are bound to it"
    used, most = record.servers
    return f"{used} of {most} in use" if most is not None else f"{used} in use, any number may be"


def when(stop: Stop) -> str:
    """From when on, in words."""
    above = f"above {stop.above:,} users" if stop.above is not None else ""
    at = f"after {written(stop.at)}" if stop.at else ""
    return " or ".join(part for part in (at, above) if part)


def offline(
    data: bytes, trust: Trust, at: datetime, opener: Opener = _CLOSED, lists: Sequence[bytes] = ()
) -> Diagnosis:
    """By the file, somebody's keys and their revocation lists alone. Raises UnusableKey."""
    report = _judged(data, trust, at, opener, lists)
    return Diagnosis(report, "", None, _stops(report.claims, at))


def diagnose(
    tx: Tx, data: bytes, at: datetime, real_now: datetime, opener: Opener = _CLOSED, lists: Sequence[bytes] = ()
) -> Diagnosis:
    """With this installation's keys and its record. Raises UnusableKey where no key is for this format."""
    published = keys.published(tx)
    report = _judged(data, Trust.of(published), at, opener, lists)
    stops = _stops(report.claims, at)
    if report.claims is None:
        return Diagnosis(report, "", None, stops, asked=True)
    key = _signer(data, published, at, opener)
    entry = _entry(tx, data)
    if entry is None:
        return Diagnosis(report, key.kid, key.valid_to, stops, asked=True, findings=(_FORGED,))
    fingerprint = report.claims.fingerprint if isinstance(report.claims, MachineClaims) else None
    record, findings = _look_up(tx, entry, fingerprint, at, real_now)
    return Diagnosis(report, key.kid, key.valid_to, stops, record, asked=True, findings=findings)


def _judged(data: bytes, trust: Trust, at: datetime, opener: Opener, lists: Sequence[bytes]) -> Report[Claims]:
    report = verify_license(data, trust, at, opener.license_key, opener.fingerprint)
    return revocation_check.against(report, lists, trust.revocations) if lists else report


def _signer(data: bytes, published: Sequence[SigningKey], at: datetime, opener: Opener) -> SigningKey:
    for key in published:
        try:
            report = verify_license(data, Trust.of([key]), at, opener.license_key, opener.fingerprint)
            if report.claims is not None:
                return key
        except UnusableKey:
            continue
    raise AssertionError("one of them verified it before")


def _entry(tx: Tx, data: bytes) -> IssuanceEntry | None:
    """The log of this very text; what only its way changed (line breaks, ends of lines) is put right first."""
    plain = data.replace(b"\r\n", b"\n").strip()
    texts: Collection[bytes] = {data, plain, plain + b"\n", plain.replace(b"\n", b"")}
    digests = [sha256_hex(each) for each in texts]
    query = select(IssuanceEntry).where(col(IssuanceEntry.file_sha256).in_(digests))
    return tx.execute(query.limit(1)).scalar_one_or_none()


def _look_up(
    tx: Tx, entry: IssuanceEntry, fingerprint: str | None, at: datetime, real_now: datetime
) -> tuple[OnRecord, tuple[Finding, ...]]:
    """How the license stands now, and with a fingerprint whether its server is bound still."""
    if entry.merged_id is not None:
        merged = tx.get_one(MergedLicense, entry.merged_id)
        file_id, since, successor = merged.file_id, merged.revoked_at, None
    else:
        license_ = tx.get_one(License, entry.license_id)
        file_id, since, successor = license_.file_id, license_.revoked_at, license_.superseded_by
    record = record_of(tx, file_id)
    assert record is not None  # of the license at hand
    asked = fingerprint if record.binding is not None else None
    said = decide(facts_of(record, asked, real_now), ValidationRequest(Credential.SIGNED_FILE, asked), at).findings
    bound = None if record.binding is None else (record.binding.in_use(real_now), record.binding.terms.allowed)
    found = tuple(each for each in said if each.code in _OF_THE_RECORD)
    return OnRecord(record.state, since, successor, bound), found


# --- What stops when ----------------------------------------------------------------------------------------------

_STEPS: Final = {
    Step.WARN: ("Administrators are warned", "Renew, or add seats."),
    Step.BANNER: ("Everybody sees a banner", "Renew and install the new file."),
    Step.BLOCK_NEW_USERS: ("No new users can be added", "Renew or add seats; those who are there go on."),
    Step.READ_ONLY: ("It can only be read", "Renew and install the new file; nothing is lost."),
}


def _stops(claims: Claims | None, at: datetime) -> tuple[Stop, ...]:
    """A token's ladder by date; the other formats carry none, and their readers have fixed rules."""
    match claims:
        case None:
            return ()
        case TokenClaims():
            return _climb(claims.enforcement, claims.expires_at, claims.seats, at)
        case KeygenClaims():
            return (*_copy_ends(claims, at), *_of_server(claims.claims, at))
        case MachineClaims():
            return (*_copy_ends(claims.license, at), *_of_server(claims.license.claims, at))
        case LicenseClaims():
            return _of_server(claims, at)


def _copy_ends(claims: KeygenClaims, at: datetime) -> tuple[Stop, ...]:
    if claims.ends_at is None:
        return ()
    return (_stop("Readers no longer take this copy", claims.ends_at, at, "Download the Keygen file anew."),)


def _of_server(claims: LicenseClaims, at: datetime) -> tuple[Stop, ...]:
    full = () if not claims.is_seat_count_enforced else (Stop(
        "No new users can be added", None, claims.users + (claims.extra_users or 0), False, "Add seats.",
    ),)  # fmt: skip
    return (
        *full,
        _stop("No server installs the file any more", claims.expires_at, at, "Renew, and install the new file."),
        _stop("A server that runs it removes it", claims.expires_at + PRODUCT_GRACE, at,
              "Install the renewed file before."),
    )  # fmt: skip


def _stop(what: str, starts: datetime, at: datetime, todo: str) -> Stop:
    return Stop(what, starts, None, at > starts, todo)


def _climb(ladder: Sequence[Rung], expires_at: datetime, seats: int, at: datetime) -> tuple[Stop, ...]:
    stops = []
    for rung in ladder:
        starts = None if rung.days is None else expires_at + timedelta(days=rung.days)
        above = None if rung.percent is None else seats * rung.percent // 100
        what, todo = _STEPS[rung.step]
        stops.append(Stop(what, starts, above, starts is not None and at > starts, todo))
    return tuple(stops)
