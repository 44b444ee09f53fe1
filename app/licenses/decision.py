"""Is this license good here and now? Online validation as a pure rule (R-LIC-4).

Guards run in a fixed order and every one of them speaks, so that an admin sees all there is to mend at once. The
headline is the first finding that blocks; where none does, the first warning; else `valid`. A warning therefore
never stands in front of a refusal: seats above the count do not hide that the license has ended.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

from app.licenses.formats.findings import Finding, Severity
from app.licenses.formats.linter import rejection_findings
from app.licenses.formats.mattermost import LicenseFileRejected
from app.licenses.models import LicenseState


class Code(StrEnum):
    """What validation can say, in the order of the guards; a refused file answers with its `FileCode` instead."""

    VALID = "valid"
    NOT_FOUND = "not_found"
    REVOKED = "revoked"
    SUSPENDED = "suspended"
    NOT_STARTED = "not_started"
    EXPIRED = "expired"
    IN_GRACE = "in_grace"
    SUPERSEDED = "superseded"
    ACTIVATION_LIMIT_REACHED = "activation_limit_reached"
    NOT_ACTIVATED = "not_activated"
    HEARTBEAT_DEAD = "heartbeat_dead"
    TOO_MANY_ACTIVATIONS = "too_many_activations"
    ACTIVATIONS_OVER_LIMIT = "activations_over_limit"
    ENTITLEMENT_MISSING = "entitlement_missing"
    SEATS_EXCEEDED = "seats_exceeded"
    SEATS_OVER_COUNT = "seats_over_count"


class Credential(StrEnum):
    """How the asker proves to know the license."""

    BARE_KEY = "bare_key"
    SIGNED_FILE = "signed_file"
    OWNER_API_KEY = "owner_api_key"


_REMEDIES: Final = {
    Code.NOT_FOUND: "Check the key for typing errors, or send the whole license file to learn more.",
    Code.REVOKED: "Ask the vendor why, or buy a new license in the portal.",
    Code.SUSPENDED: "Settle what is open in the portal, or ask the vendor; the license then works again by itself.",
    Code.NOT_STARTED: "Wait for the start date, or check the clock.",
    Code.EXPIRED: "Renew in the portal and install the file that comes with the renewal.",
    Code.IN_GRACE: "Renew in the portal before the grace ends and install the new file.",
    Code.SUPERSEDED: "Download the newer license file in the portal and install it.",
    Code.ACTIVATION_LIMIT_REACHED: "Deactivate a server that is no longer used, or buy another license.",
    Code.NOT_ACTIVATED: "Activate this server for the license first.",
    Code.HEARTBEAT_DEAD: "Send a heartbeat; where it is refused, activate this server again.",
    Code.TOO_MANY_ACTIVATIONS: "Deactivate this server or another one and activate again, or buy another license.",
    Code.ACTIVATIONS_OVER_LIMIT: "Deactivate servers that are no longer used, or buy another license.",
    Code.ENTITLEMENT_MISSING: "Upgrade the plan or buy the add-on that contains it.",
    Code.SEATS_EXCEEDED: "Add seats in the portal, or deactivate users.",
    Code.SEATS_OVER_COUNT: "Add seats in the portal; the difference is settled at the next true-up or renewal.",
}


@dataclass(frozen=True, slots=True)
class ValidationFacts:
    """What is on record about one license.

    The term covers `starts_at` to `expires_at`, both included (as the product counts it), and then `grace_days` of
    24 hours. `seats` may be exceeded by `extra_seats` where `seats_enforced`, without end where not;
    `reported_users` is the last count known, None when there is none. `activation_limit` None means unlimited, and may
    lie above the number that was bought; `fingerprints` are the servers bound now, `activations_in_use` how many of
    them hold a place (None: all). Of the server that asks: whether its heartbeat is overdue, and whether its place
    lies beyond a limit that was lowered.
    """

    state: LicenseState
    starts_at: datetime
    expires_at: datetime
    grace_days: int
    seats: int
    entitlements: frozenset[str] = frozenset()
    activation_limit: int | None = None
    activations_bought: int | None = None
    fingerprints: Collection[str] = frozenset()
    activations_in_use: int | None = None
    heartbeat_dead: bool = False
    beyond_limit: bool = False
    seats_enforced: bool = False
    extra_seats: int = 0
    reported_users: int | None = None


@dataclass(frozen=True, slots=True)
class ValidationRequest:
    """What is asked. None leaves a question out: no fingerprint asks nothing about activation."""

    credential: Credential
    fingerprint: str | None = None
    entitlements: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """`reveals` says whether the answer may carry the license and its entitlements besides the findings."""

    valid: bool
    code: str
    findings: tuple[Finding, ...]
    reveals: bool


def decide(facts: ValidationFacts | None, request: ValidationRequest, now: datetime) -> Decision:
    """Judge a license; `facts` is None for one that does not exist or belongs to somebody the asker cannot speak for.

    Whoever shows a bare key gets one and the same answer for unknown, revoked and foreign, so that keys cannot be
    probed; the signed file and the owner's API key get the true code.
    """
    if facts is None or (request.credential is Credential.BARE_KEY and facts.state is LicenseState.REVOKED):
        return _UNKNOWN
    findings = tuple(finding for guard in _GUARDS for finding in guard(facts, request, now))
    blocking = [each for each in findings if each.blocks]
    warnings = [each for each in findings if each.severity is Severity.WARNING]
    headline = next(iter(blocking + warnings), None)
    return Decision(
        valid=not blocking,
        code=headline.code if headline else Code.VALID.value,
        findings=findings,
        reveals=True,
    )


def refuse_file(rejected: LicenseFileRejected) -> Decision:
    """The answer to a file that cannot be believed: nothing in it may be used to look a license up."""
    return Decision(False, rejected.reason.value, tuple(rejection_findings(rejected)), reveals=False)


def _blocks(code: Code, detail: str) -> Finding:
    return Finding(code.value, Severity.ERROR, detail, _REMEDIES[code])


def _warns(code: Code, detail: str) -> Finding:
    return Finding(code.value, Severity.WARNING, detail, _REMEDIES[code])


_UNKNOWN: Final = Decision(
    valid=False,
    code=Code.NOT_FOUND.value,
    findings=(_blocks(Code.NOT_FOUND, "No license in force answers to this."),),
    reveals=False,
)


def _withdrawn(facts: ValidationFacts, _request: ValidationRequest, _now: datetime) -> Iterator[Finding]:
    if facts.state is LicenseState.REVOKED:
        yield _blocks(Code.REVOKED, "The license was revoked.")
    if facts.state is LicenseState.SUSPENDED:
        yield _blocks(Code.SUSPENDED, "The license is suspended.")


def _term(facts: ValidationFacts, _request: ValidationRequest, now: datetime) -> Iterator[Finding]:
    if now < facts.starts_at:
        yield _blocks(Code.NOT_STARTED, f"The term starts on {_instant(facts.starts_at)}.")
    if now <= facts.expires_at:
        return
    grace_ends_at = facts.expires_at + timedelta(days=facts.grace_days)
    if now <= grace_ends_at:
        yield _warns(
            Code.IN_GRACE, f"The term ended on {_instant(facts.expires_at)}; grace ends on {_instant(grace_ends_at)}."
        )
    else:
        yield _blocks(Code.EXPIRED, f"The term ended on {_instant(facts.expires_at)}, and so did its grace.")


def _replaced(facts: ValidationFacts, _request: ValidationRequest, _now: datetime) -> Iterator[Finding]:
    # The older file goes on working until its own end: nobody is cut off between paying and installing.
    if facts.state is LicenseState.SUPERSEDED:
        yield _warns(Code.SUPERSEDED, "A newer license file has taken the place of this one.")


def _activation(facts: ValidationFacts, request: ValidationRequest, _now: datetime) -> Iterator[Finding]:
    if request.fingerprint is None:
        return
    in_use = len(facts.fingerprints) if facts.activations_in_use is None else facts.activations_in_use
    if request.fingerprint not in facts.fingerprints:
        if facts.activation_limit is not None and in_use >= facts.activation_limit:
            yield _blocks(
                Code.ACTIVATION_LIMIT_REACHED,
                f"This server is not activated, and all {facts.activation_limit} activations are in use.",
            )
        else:
            yield _blocks(Code.NOT_ACTIVATED, "This server is not activated for the license.")
    if facts.heartbeat_dead:
        yield _blocks(Code.HEARTBEAT_DEAD, "No heartbeat came from this server in time.")
    if facts.beyond_limit:
        yield _blocks(
            Code.TOO_MANY_ACTIVATIONS, f"This server is one more than the {facts.activation_limit} that are allowed."
        )
    if facts.activations_bought is not None and in_use > facts.activations_bought:
        yield _warns(
            Code.ACTIVATIONS_OVER_LIMIT, f"{in_use} servers are activated; {facts.activations_bought} were bought."
        )


def _entitlements(facts: ValidationFacts, request: ValidationRequest, _now: datetime) -> Iterator[Finding]:
    for code in sorted((request.entitlements or frozenset()) - facts.entitlements):
        yield _blocks(Code.ENTITLEMENT_MISSING, f"The license does not include {code!r}.")


def _seats(facts: ValidationFacts, _request: ValidationRequest, _now: datetime) -> Iterator[Finding]:
    users = facts.reported_users
    if users is None or users <= facts.seats:
        return
    if facts.seats_enforced and users > facts.seats + facts.extra_seats:
        yield _blocks(
            Code.SEATS_EXCEEDED,
            f"{users} users were reported for {facts.seats} seats and {facts.extra_seats} extra ones.",
        )
    else:
        yield _warns(Code.SEATS_OVER_COUNT, f"{users} users were reported for {facts.seats} seats.")


_Guard = Callable[[ValidationFacts, ValidationRequest, datetime], Iterable[Finding]]
_GUARDS: Final[tuple[_Guard, ...]] = (_withdrawn, _term, _replaced, _activation, _entitlements, _seats)


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
