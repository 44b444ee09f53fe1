"""The product's rules, run by the issuer before a file leaves the house (R-LIC-2).

Nobody at the vendor sees the server on which a file fails, so every way in which a Mattermost server refuses,
forgets or misreads a genuine file is looked for here. Findings of severity error keep a file from being delivered.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from app.licenses.formats.claims import EPOCH, FEATURES, LIMITS, LicenseClaims, PayloadCode
from app.licenses.formats.findings import Finding, Severity
from app.licenses.formats.mattermost import FileCode, LicenseFileRejected, verify_file
from app.licenses.formats.recognize import ReadCode

PRODUCT_GRACE: Final = timedelta(days=10)  # a running server keeps an expired license that long, then removes it
TIERS: Final[Mapping[str, int]] = {"professional": 10, "enterprise": 20, "advanced": 30, "entry": 30}
# These do not follow future_features when left out.
_OWN_DEFAULT: Final = frozenset({"announcement", "auto_translation", "cloud", "future_features", "theme_management"})
_LEGACY_SKUS: Final = frozenset({"E10", "E20"})

_WEIGHT: Final = {severity: place for place, severity in enumerate(Severity)}

# Durations that make the product treat any license as a trial (started once per server).
_TRIAL_DURATIONS: Final = frozenset({timedelta(days=30, hours=8), timedelta(days=30, hours=23, minutes=59, seconds=59)})
# At and beyond these a trial may be started again and again on one server.
_REPEATABLE_FROM: Final = timedelta(days=31, hours=23, minutes=59, seconds=59)
_REPEATABLE_UP_TO: Final = timedelta(days=29, hours=23, minutes=59, seconds=59)
_CLOUD_PREVIEW: Final = timedelta(hours=1)
# Seconds of our day, read as milliseconds, fall into January 1970; nothing was licensed before 1973.
_SURELY_MILLISECONDS: Final = EPOCH + timedelta(milliseconds=10**11)


class LintCode(StrEnum):
    """What a readable file may still get wrong."""

    ID_REUSED = "id_reused"
    TIME_IN_SECONDS = "time_in_seconds"
    ENDS_BEFORE_START = "ends_before_start"
    ALREADY_EXPIRED = "already_expired"
    ACCIDENTAL_TRIAL = "accidental_trial"
    NO_SEATS = "no_seats"
    SEATS_BELOW_USERS = "seats_below_users"
    EXTRA_USERS_NEGATIVE = "extra_users_negative"
    STARTS_LATER = "starts_later"
    TRIAL_REPEATABLE = "trial_repeatable"
    CLOUD_PREVIEW = "cloud_preview"
    UNKNOWN_SKU = "unknown_sku"
    LEGACY_SKU = "legacy_sku"
    UNKNOWN_FEATURE = "unknown_feature"
    UNKNOWN_LIMIT = "unknown_limit"
    FEATURES_ON_BY_DEFAULT = "features_on_by_default"
    CUSTOMER_EMAIL_MISSING = "customer_email_missing"


class RenderingLint(StrEnum):
    """What a readable Keygen file or token may get wrong beside."""

    FILE_FROM_THE_FUTURE = "file_from_the_future"
    FILE_ENDED = "file_ended"
    TTL_MISMATCH = "ttl_mismatch"
    TTL_NONE = "ttl_none"
    NOT_ENCRYPTED = "not_encrypted"
    NO_ENFORCEMENT = "no_enforcement"
    ENDS_BEFORE_LICENSE = "ends_before_license"


REMEDIES: Final[Mapping[str, str]] = {
    FileCode.TOO_LONG: "Take the file as it was issued; if it was issued so long, shorten names or feature lists.",
    FileCode.NOT_BASE64: "Download the file again instead of copying its text, and leave it unopened.",
    FileCode.TOO_SHORT: "Download the file again; this copy was cut short.",
    FileCode.SIGNATURE_ENDS_IN_NUL: "Ask the issuer for a file under a new id; this one can never be read.",
    FileCode.BAD_SIGNATURE: "Download the file again from the portal; do not use this copy.",
    FileCode.WRONG_KEY: "Check with the public key the product was built with; if that one fails too, download again.",
    FileCode.MALFORMED_PAYLOAD: "Ask the issuer for a new file with the fields named here put right.",
    ReadCode.BROKEN_ENVELOPE: "Download the file again and leave it unopened; this copy is damaged.",
    ReadCode.UNSUPPORTED_ALGORITHM: "Ask the issuer for a file signed with Ed25519; others are not accepted here.",
    ReadCode.UNKNOWN_KID: "Fetch the published key set again; if the key is not in it either, do not use the token.",
    ReadCode.WRONG_PURPOSE: "Do not use it as a license; ask the issuer for a license token.",
    ReadCode.SEALED: "Give the license key as well, so that the content can be read.",
    ReadCode.WRONG_LICENSE_KEY: "Check the license key for typing errors; each license opens its own files only.",
    PayloadCode.NOT_JSON: "Sign one JSON object in UTF-8.",
    PayloadCode.WRONG_TYPE: "Write the field with the type the product reads.",
    PayloadCode.TIME_NOT_MILLISECONDS: "Write the instant as whole milliseconds since 1970, without quotes.",
    PayloadCode.CUSTOMER_MISSING: "State the customer with id, name, email and company.",
    PayloadCode.USERS_MISSING: "State the number of seats in features.users.",
    PayloadCode.ID_MALFORMED: "Give the file an id of 26 letters and digits.",
    LintCode.ID_REUSED: "Issue the file under a new id.",
    LintCode.TIME_IN_SECONDS: "Multiply the instant by 1000.",
    LintCode.ENDS_BEFORE_START: "Put the end after the start.",
    LintCode.ALREADY_EXPIRED: "Issue the file for a term that has not ended.",
    LintCode.ACCIDENTAL_TRIAL: "Move the end by one second, or mark the license as a trial.",
    LintCode.NO_SEATS: "State at least one seat.",
    LintCode.SEATS_BELOW_USERS: "Sell the missing seats, or have users deactivated before the file is installed.",
    LintCode.EXTRA_USERS_NEGATIVE: "State 0 or more extra users, or leave them out.",
    LintCode.STARTS_LATER: "Release the file on its start date if it must not apply before.",
    LintCode.TRIAL_REPEATABLE: "Make the trial longer than 29 days 23:59:59 and shorter than 31 days 23:59:59.",
    LintCode.CLOUD_PREVIEW: "Make the trial longer or shorter than one hour unless a cloud preview is meant.",
    LintCode.UNKNOWN_SKU: "Use one of professional, enterprise, advanced, entry in sku_short_name.",
    LintCode.LEGACY_SKU: "Use professional or enterprise unless the server is older than these names.",
    LintCode.UNKNOWN_FEATURE: "Check the spelling; a server that does not know the name passes over it.",
    LintCode.UNKNOWN_LIMIT: "Check the spelling; a server that does not know the name passes over it.",
    LintCode.FEATURES_ON_BY_DEFAULT: "State every feature, or future_features as false.",
    RenderingLint.FILE_FROM_THE_FUTURE: "Check the clock of this machine; if it is right, do not use the file.",
    RenderingLint.FILE_ENDED: "Download a new file; the license itself may well go on.",
    RenderingLint.TTL_MISMATCH: "Let the end lie as many seconds after the issue as ttl says.",
    RenderingLint.TTL_NONE: "State a ttl; some readers take a file without an end for one that has ended.",
    RenderingLint.NOT_ENCRYPTED: "Encrypt the file where old clients read it; some of them cannot decode a plain one.",
    RenderingLint.NO_ENFORCEMENT: "State at least one step, or products will not know what to do at the end.",
    RenderingLint.ENDS_BEFORE_LICENSE: "Let exp lie at or after the end of the license's term.",
    LintCode.CUSTOMER_EMAIL_MISSING: "State the customer's email; without it the renewal link is keyed with nothing.",
}  # fmt: skip


def finding(
    code: FileCode | ReadCode | PayloadCode | LintCode | RenderingLint, severity: Severity, detail: str
) -> Finding:
    """A finding with the remedy that belongs to its code."""
    return Finding(code.value, severity, detail, REMEDIES[code])


def lint(
    text: str | bytes,
    public_keys: Sequence[RSAPublicKey],
    *,
    now: datetime,
    previous_ids: Collection[str] = (),
    reported_users: int | None = None,
) -> list[Finding]:
    """Everything a server would refuse or misread in this file, and what the issuer should know; errors first.

    `public_keys` are those the product trusts. `previous_ids` are ids of files delivered to the customer before,
    `reported_users` the active users of the server the file is for, as last reported. An unreadable file gives the
    one reason and the faults of its payload.
    """
    try:
        claims = verify_file(text, public_keys)
    except LicenseFileRejected as rejected:
        return rejection_findings(rejected)
    return by_weight(lint_claims(claims, now=now, previous_ids=previous_ids, reported_users=reported_users))


def by_weight(findings: Iterable[Finding]) -> list[Finding]:
    """Errors first, else as they were found."""
    return sorted(findings, key=lambda each: _WEIGHT[each.severity])


def rejection_findings(rejected: LicenseFileRejected) -> list[Finding]:
    """The reason for which a file cannot be read, then each fault of its payload."""
    reasons = [finding(rejected.reason, Severity.ERROR, rejected.detail)]
    return reasons + [finding(fault.code, Severity.ERROR, fault.detail) for fault in rejected.faults]


def lint_claims(
    claims: LicenseClaims,
    *,
    now: datetime,
    previous_ids: Collection[str] = (),
    reported_users: int | None = None,
) -> Iterator[Finding]:
    """The same for claims that were read already, in no particular order of severity."""
    yield from _identity(claims, previous_ids)
    yield from _times(claims, now)
    yield from _trial(claims)
    yield from _seats(claims, reported_users)
    yield from _plan(claims)
    yield from _features(claims)


def _identity(claims: LicenseClaims, previous_ids: Collection[str]) -> Iterator[Finding]:
    if claims.id in previous_ids:
        yield finding(
            LintCode.ID_REUSED,
            Severity.ERROR,
            f"The id {claims.id} was delivered before; a server keeps the first file it stored under an id and would "
            "return to it at its next restart.",
        )
    if not claims.customer.email.strip():
        yield finding(LintCode.CUSTOMER_EMAIL_MISSING, Severity.WARNING, "The customer has no email.")


def _times(claims: LicenseClaims, now: datetime) -> Iterator[Finding]:
    stated = {"issued_at": claims.issued_at, "starts_at": claims.starts_at, "expires_at": claims.expires_at}
    for name in [name for name, instant in stated.items() if instant < _SURELY_MILLISECONDS]:
        yield finding(
            LintCode.TIME_IN_SECONDS,
            Severity.ERROR,
            f"{name} lies in {stated[name].year}, as if seconds had been written where milliseconds are read.",
        )
    if claims.expires_at <= claims.starts_at:
        yield finding(
            LintCode.ENDS_BEFORE_START, Severity.ERROR, "The end does not lie after the start; the term is empty."
        )
    if is_expired(claims, now):
        yield finding(
            LintCode.ALREADY_EXPIRED,
            Severity.ERROR,
            f"The term ended on {claims.expires_at:%Y-%m-%d %H:%M:%S} UTC; a server refuses to install the file.",
        )
    if claims.starts_at > now:
        yield finding(
            LintCode.STARTS_LATER,
            Severity.WARNING,
            f"The term starts on {claims.starts_at:%Y-%m-%d %H:%M:%S} UTC, but a server uses a file from the moment "
            "it is installed.",
        )


def _trial(claims: LicenseClaims) -> Iterator[Finding]:
    duration = claims.expires_at - claims.starts_at
    if not claims.is_trial:
        if looks_like_trial(claims.starts_at, claims.expires_at):
            yield finding(
                LintCode.ACCIDENTAL_TRIAL,
                Severity.ERROR,
                f"The term is exactly {_words(duration)}, which a server takes for a trial and accepts only once.",
            )
        return
    if timedelta(0) < duration <= _REPEATABLE_UP_TO or duration >= _REPEATABLE_FROM:
        yield finding(
            LintCode.TRIAL_REPEATABLE,
            Severity.WARNING,
            f"A trial of {_words(duration)} can be started any number of times on one server.",
        )
    if claims.features.get("cloud") and duration == _CLOUD_PREVIEW:
        yield finding(
            LintCode.CLOUD_PREVIEW, Severity.WARNING, "A cloud trial of exactly one hour is shown as a cloud preview."
        )


def _seats(claims: LicenseClaims, reported_users: int | None) -> Iterator[Finding]:
    if claims.users < 1:
        yield finding(
            LintCode.NO_SEATS,
            Severity.ERROR,
            f"The file grants {claims.users} seats; a server with any user refuses it.",
        )
    elif reported_users is not None and reported_users > claims.users:
        yield finding(
            LintCode.SEATS_BELOW_USERS,
            Severity.ERROR,
            f"The file grants {claims.users} seats and the server last reported {reported_users} users; it refuses a "
            "file with fewer seats than users.",
        )
    if claims.extra_users is not None and claims.extra_users < 0:
        yield finding(
            LintCode.EXTRA_USERS_NEGATIVE,
            Severity.ERROR,
            f"{claims.extra_users} extra users would stop the server below the seats that were bought.",
        )


def _plan(claims: LicenseClaims) -> Iterator[Finding]:
    if claims.sku_short_name in _LEGACY_SKUS:
        yield finding(
            LintCode.LEGACY_SKU,
            Severity.WARNING,
            f"{claims.sku_short_name} has no tier on a current server; what its tier would open stays closed.",
        )
    elif claims.sku_short_name not in TIERS:
        yield finding(
            LintCode.UNKNOWN_SKU,
            Severity.WARNING,
            f"The server knows no plan {claims.sku_short_name!r} and gives it the lowest tier.",
        )


def _features(claims: LicenseClaims) -> Iterator[Finding]:
    for name in sorted(set(claims.features) - FEATURES - {"users"}):
        yield finding(LintCode.UNKNOWN_FEATURE, Severity.WARNING, f"The server knows no feature {name!r}.")
    for name in sorted(set(claims.limits or ()) - LIMITS):
        yield finding(LintCode.UNKNOWN_LIMIT, Severity.WARNING, f"The server knows no limit {name!r}.")
    unstated = FEATURES - set(claims.features) - _OWN_DEFAULT
    if unstated and claims.features.get("future_features", True):
        yield finding(
            LintCode.FEATURES_ON_BY_DEFAULT,
            Severity.NOTICE,
            f"{len(unstated)} features are not stated and therefore on: {', '.join(sorted(unstated))}.",
        )


def looks_like_trial(starts_at: datetime, expires_at: datetime) -> bool:
    """Whether the product takes any license of this term for a trial."""
    return expires_at - starts_at in _TRIAL_DURATIONS


def is_expired(claims: LicenseClaims, at: datetime) -> bool:
    """As the product decides: the last millisecond stated still counts. The file knows of no grace."""
    return claims.expires_at < at


def _words(duration: timedelta) -> str:
    hours, seconds = divmod(duration.seconds, 3600)
    return f"{duration.days} days and {hours:02}:{seconds // 60:02}:{seconds % 60:02}"
