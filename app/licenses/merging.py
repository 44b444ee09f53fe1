"""The licenses of an account as parts of a whole, and the one signed file of a server (R-LIC-3, ADR 0055).

What is held together is computed from the license records wherever it is asked for, so that it cannot disagree with
them. Files are kept: each later one takes the place of the one before it.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import func, select
from sqlmodel import col

from app.catalog.models import Family, Plan
from app.core import events, keys
from app.core.canonical import canonical_json, sha256_hex
from app.core.db import Tx
from app.core.errors import NotFound
from app.core.ids import new_id, new_license_file_id
from app.core.security import Secrets
from app.licenses import issuance, merge, service
from app.licenses.errors import AlreadyRevoked
from app.licenses.formats.claims import FEATURES, LIMITS, ClaimSource, LicenseClaims, LicenseCustomer, to_milliseconds
from app.licenses.formats.linter import looks_like_trial
from app.licenses.issuing import issue as issue_file
from app.licenses.merge import Interval, Part, Timeline
from app.licenses.models import IssuanceEntry, License, LicenseEnvironment, LicenseState, MergedLicense
from app.licenses.service import subscription_of

# With so many named the file stays below the 10,000 characters that a server stores.
MOST_SOURCES: Final = 60


def parts_of(tx: Tx, account_id: str, *, without: Collection[str] = ()) -> list[Part]:
    """Every license the account has or had, but those of the ids `without`, each with the instant it gave way at."""
    query = (
        select(License, col(Plan.name), col(Plan.license_sku), col(Plan.family))
        .join(Plan, col(Plan.id) == col(License.plan_id))
        .where(col(License.account_id) == account_id, ~col(License.trial))  # a trial adds nothing to what was bought
    )
    found = {row.License.id: row for row in tx.execute(query)}
    known = [row.License for row in found.values()]
    suspended = service.suspensions(tx, known)
    return [
        replace(
            _part(row.License, row.name, row.license_sku, row.family, _stopped_at(row.License, known)),
            suspended=suspended.get(license_id, ()),
        )
        for license_id, row in found.items()
        if license_id not in without
    ]


def require_known(tx: Tx, account_id: str, license_ids: Collection[str]) -> None:
    """Raises NotFound for a license that is not the account's."""
    query = select(col(License.id)).where(col(License.account_id) == account_id, col(License.id).in_(license_ids))
    if unknown := sorted(set(license_ids) - set(tx.execute(query).scalars())):
        raise NotFound(f"There is no {unknown[0][:40]} here.", param="without")


def _part(license_: License, plan: str, tier: str, family: Family, stopped_at: datetime | None) -> Part:
    given = {name: value for name, value in license_.entitlements.items() if name != merge.SEATS}
    return Part(
        id=license_.id, chain=subscription_of(license_), environment=license_.environment, plan=plan, tier=tier,
        seats=license_.seats, starts_at=license_.starts_at, expires_at=license_.expires_at,
        flags={name: value for name, value in given.items() if isinstance(value, bool)},
        limits={name: value for name, value in given.items() if type(value) is int},
        grace_days=license_.grace_days, label=license_.label, server=license_.server, stopped_at=stopped_at,
        hosted=family is Family.CLOUD,
    )  # fmt: skip


def _stopped_at(license_: License, known: Iterable[License]) -> datetime | None:
    """When something else took its place, or it was revoked; None while it counts by its own dates."""
    if license_.state is LicenseState.REVOKED:
        return license_.revoked_at
    if license_.state is LicenseState.SUPERSEDED:
        heir = next((each for each in known if each.id == license_.superseded_by), license_)
        return max(heir.issued_at, heir.starts_at)
    # The next term is bought already: this one hands over to it and has no grace (R-LIC-7).
    following = [
        each.starts_at
        for each in known
        if each.subscription_id == license_.subscription_id
        and each.state is LicenseState.ACTIVE
        and each.starts_at >= license_.expires_at
    ]
    return min(following, default=None)


def of_server(parts: Iterable[Part], server: str) -> list[Part]:
    """Those for one server; servers are told apart without regard to case."""
    return [part for part in parts if part.server.casefold() == server.casefold()]


@dataclass(frozen=True, slots=True)
class Terms:
    """What a merged file states, apart from its id and the instant of issue. Any renderer can take it."""

    plan: str
    claims: LicenseClaims
    grace_days: int

    @property
    def content_sha256(self) -> str:
        """Of what is stated; the start is the instant of issue and says nothing new."""
        stated = [
            self.claims.customer.id, self.claims.customer.name, self.claims.customer.email,
            self.claims.customer.company, self.plan, self.claims.sku_short_name, dict(self.claims.features),
            dict(self.claims.limits or {}), to_milliseconds(self.claims.expires_at),
            [[each.license, each.users, to_milliseconds(each.expires_at)] for each in self.claims.sources],
        ]  # fmt: skip
        return sha256_hex(canonical_json({"v": 1, "stated": stated}))


def terms_of(timeline: Timeline, customer: LicenseCustomer, overhang: timedelta, now: datetime) -> Terms | None:
    """What one file says about everything that counts at `now`; None where no term runs.

    It ends with the last of its licenses, so that one that lapses does not end the whole. A file cannot lower itself,
    so it ends at most `overhang` after the first drop: by then the lower one has to be installed.
    """
    interval = merge.at(timeline, now)
    running = [source.part for source in interval.sources if now < source.part.expires_at]
    if not running:
        return None
    last = max(running, key=lambda part: (part.expires_at, part.id))
    drop = next((each.at for each in merge.drops(timeline) if each.at > now), last.expires_at)
    expires_at = min(last.expires_at, drop + overhang)
    starts_at = now if not looks_like_trial(now, expires_at) else now - timedelta(seconds=1)
    values = interval.values
    best = next(each for each in interval.entitlements if each.name == merge.TIER)
    plan = next(source.part.plan for source in interval.sources if source.part.id in _counting(best))
    claims = LicenseClaims(
        id="", issued_at=now, starts_at=starts_at, expires_at=expires_at, customer=customer, sku_name=plan,
        sku_short_name=str(values[merge.TIER]), features=_features(interval),
        limits={name: value for name, value in values.items() if name in LIMITS and type(value) is int} or None,
        sources=_sources(interval),
    )  # fmt: skip
    return Terms(plan, claims, last.grace_days)


def _counting(entitlement: merge.Merged) -> set[str]:
    return {share.part for share in entitlement.shares if share.counts}


def _sources(interval: Interval) -> tuple[ClaimSource, ...]:
    """The licenses on which something rests, with the seats that each brings: they add up to the file's.

    Of very many the first are named, and what the others bring is stated in one sum with the earliest end.
    """
    seats = _counting(interval.entitlements[0])
    used = {part for each in interval.entitlements for part in _counting(each)}
    named = [
        ClaimSource(source.part.id, source.part.seats if source.part.id in seats else 0, source.part.expires_at)
        for source in interval.sources
        if source.part.id in used
    ]
    if rest := named[MOST_SOURCES:]:
        summed = sum(each.users for each in rest)
        named[MOST_SOURCES:] = [ClaimSource(f"{len(rest)} more", summed, min(each.expires_at for each in rest))]
    return tuple(named)


def _features(interval: Interval) -> dict[str, bool | int]:
    """The seats, each feature that one of the licenses names, and nothing unnamed."""
    named = {name for source in interval.sources for name in source.part.flags if name in FEATURES}
    values = interval.values
    return {
        "users": interval.seats, "future_features": False,
        **{name: bool(values.get(name, False)) for name in sorted(named)},
    }  # fmt: skip


def reissue(
    tx: Tx, secrets: Secrets, customer: LicenseCustomer, *, overhang: timedelta, now: datetime
) -> list[MergedLicense]:  # fmt: skip
    """Make the files of an account's servers say what holds now; returns those that were made, most often none.

    A server has a merged file from its second production license on, and keeps having one when it falls back to a
    single one. Licenses of workspaces at the vendor's stay out: each workspace has its own. One writer per account at a
    time. Raises NoSigningKey, UndeliverableLicenseFile.
    """
    tx.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"merging:{customer.id}", 0))))
    parts = [
        part
        for part in parts_of(tx, customer.id)
        if part.environment is LicenseEnvironment.PRODUCTION and not part.hosted
    ]
    in_force = {each.server.casefold(): each for each in in_force_of(tx, customer.id)}
    servers = {part.server.casefold(): part.server for part in parts} | {
        key: each.server for key, each in in_force.items()
    }  # fmt: skip
    made = []
    for key, server in sorted(servers.items()):
        timeline = merge.merge(of_server(parts, server), LicenseEnvironment.PRODUCTION)
        counting = merge.at(timeline, now).sources
        held = in_force.get(key)
        terms = terms_of(timeline, customer, overhang, now)
        if terms is None:
            _give_up(tx, held, now)
        elif held is None and len({source.part.chain for source in counting}) < 2:
            continue
        elif held is None or terms.content_sha256 != held.content_sha256:
            made.append(_issue(tx, secrets, terms, server, held, now))
    return made


def in_force_of(tx: Tx, account_id: str) -> list[MergedLicense]:
    """The merged file of each server, by server."""
    query = select(MergedLicense).where(
        col(MergedLicense.account_id) == account_id, col(MergedLicense.state) == LicenseState.ACTIVE
    )
    return list(tx.execute(query.order_by(col(MergedLicense.server))).scalars())


def files_of(tx: Tx, account_id: str) -> list[MergedLicense]:
    """Every merged file there was, newest first."""
    query = select(MergedLicense).where(col(MergedLicense.account_id) == account_id)
    return list(tx.execute(query.order_by(col(MergedLicense.issued_at).desc(), col(MergedLicense.id).desc())).scalars())


def require_usable(row: MergedLicense) -> MergedLicense:
    """A file of which no license is left is not handed out. Raises AlreadyRevoked."""
    if row.state is LicenseState.REVOKED:
        raise AlreadyRevoked(f"No license is left of it since {row.revoked_at:%Y-%m-%d}.")
    return row


def _give_up(tx: Tx, held: MergedLicense | None, now: datetime) -> None:
    """No term runs any more of what was in it. One that ended by its own date stays as it is."""
    if held is not None and held.expires_at > now:
        held.state, held.revoked_at = LicenseState.REVOKED, now
        tx.flush()
        events.append(tx, "merged_license.revoked", held.id, now=now, account_id=held.account_id, server=held.server)


def _issue(
    tx: Tx, secrets: Secrets, terms: Terms, server: str, held: MergedLicense | None, now: datetime
) -> MergedLicense:  # fmt: skip
    account_id = terms.claims.customer.id
    kid, key = keys.license_key(tx, secrets, now)
    previous = {each.file_id for each in files_of(tx, account_id)}
    issued = issue_file(
        lambda file_id: replace(terms.claims, id=file_id), key, new_id=new_license_file_id, now=now,
        previous_ids=previous,
    )  # fmt: skip
    claims = issued.claims
    if held is not None:
        held.state = LicenseState.SUPERSEDED
        tx.flush()
    row = MergedLicense(
        id=new_id("mrg"), account_id=account_id, server=server, file_id=claims.id, plan=terms.plan,
        sku=claims.sku_short_name, seats=claims.users, starts_at=claims.starts_at, expires_at=claims.expires_at,
        grace_days=terms.grace_days, state=LicenseState.ACTIVE,
        entitlements={**{name: value for name, value in claims.features.items() if name != "future_features"},
                      **dict(claims.limits or {})},
        sources=[{"license": each.license, "users": each.users, "expires_at": each.expires_at.isoformat()}
                 for each in claims.sources],
        content_sha256=terms.content_sha256, kid=kid, file_text=issued.text,
        file_sha256=sha256_hex(issued.text.encode()), issued_at=now, replaces_id=held.id if held else None,
    )  # fmt: skip
    tx.add(row)
    tx.flush()
    chained = issuance.rows(tx, kid, [(row.id, row.file_sha256)], now, of="merged_id")
    tx.add_all(IssuanceEntry(**each) for each in chained)
    events.append(
        tx, "merged_license.issued", row.id, now=now, account_id=account_id, server=server, seats=row.seats,
        expires_at=row.expires_at.isoformat(), sources=[each.license for each in claims.sources],
        replaces=row.replaces_id,
    )  # fmt: skip
    return row
