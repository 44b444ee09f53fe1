"""License records: issued once per order and plan, superseded by renewals, revoked with a reason."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import bindparam, func, select
from sqlalchemy.orm import aliased
from sqlmodel import col

from app.core import audit, events, keys
from app.core.bulk import among
from app.core.canonical import sha256_hex
from app.core.db import Tx
from app.core.errors import Invalid, NotFound
from app.core.events import Event, Happened
from app.core.ids import new_id, new_license_file_id
from app.core.security import Secrets
from app.core.signing import RsaHolder
from app.licenses import issuance
from app.licenses.errors import AlreadyRevoked, NothingBought, NotReleased
from app.licenses.formats.claims import FEATURES, LicenseClaims, LicenseCustomer
from app.licenses.issuing import issue as issue_file
from app.licenses.models import IssuanceEntry, License, LicenseEnvironment, LicenseState

_LONGEST_LABEL: Final = 80
_LONGEST_SERVER: Final = 120
_IN_FORCE: Final = frozenset({LicenseState.ACTIVE, LicenseState.SUSPENDED})


@dataclass(frozen=True, slots=True)
class Grant:
    """What a license is for: the plan's words and flags, the seats and the stretch of time.

    One without subscription and order is a trial; its file says so.
    """

    account_id: str
    subscription_id: str | None
    order_id: str | None
    plan_id: str
    plan_name: str
    sku: str
    license_sku: str
    flags: Mapping[str, Any]
    seats: int
    starts_at: datetime
    expires_at: datetime
    grace_days: int
    customer: LicenseCustomer
    bridge: bool = False
    # What the customer said of the license before it, which holds for the one that takes its place.
    label: str = ""
    environment: LicenseEnvironment = LicenseEnvironment.PRODUCTION
    server: str = ""

    @property
    def trial(self) -> bool:
        return self.order_id is None


def signed(
    grant: Grant, kid: str, key: RsaHolder, previous_ids: Collection[str], now: datetime
) -> dict[str, Any]:  # fmt: skip
    """The record with its signed and linted file. Raises UndeliverableLicenseFile."""
    features: dict[str, bool | int] = {"users": grant.seats, "future_features": False}
    features |= {name: value for name, value in grant.flags.items() if name in FEATURES}

    def claims_under(file_id: str) -> LicenseClaims:
        return LicenseClaims(
            id=file_id, issued_at=now, starts_at=grant.starts_at, expires_at=grant.expires_at,
            customer=grant.customer, sku_name=grant.plan_name, sku_short_name=grant.license_sku, features=features,
            is_trial=grant.trial,
        )  # fmt: skip

    issued = issue_file(claims_under, key, new_id=new_license_file_id, now=now, previous_ids=previous_ids)
    return {
        "id": new_id("lic"), "account_id": grant.account_id, "subscription_id": grant.subscription_id,
        "order_id": grant.order_id, "plan_id": grant.plan_id, "file_id": issued.claims.id,
        "label": grant.label, "environment": grant.environment, "server": grant.server,
        "trial": grant.trial,
        "sku": grant.sku, "seats": grant.seats, "starts_at": grant.starts_at, "expires_at": grant.expires_at,
        "grace_days": grant.grace_days, "state": LicenseState.ACTIVE, "bridge": grant.bridge,
        "entitlements": {"users": grant.seats, **grant.flags}, "kid": kid, "file_text": issued.text,
        "file_sha256": sha256_hex(issued.text.encode()), "issued_at": now,
    }  # fmt: skip


def issue(tx: Tx, secrets: Secrets, grant: Grant, now: datetime) -> License:
    """Sign a file and keep the record with it.

    The new file has an id no file of this subscription had, because a server keeps the first it saw under an
    id. Raises NoSigningKey, UndeliverableLicenseFile.
    """
    kid, key = keys.license_key(tx, secrets, now)
    before = of_subscription(tx, grant.subscription_id) if grant.subscription_id else []
    previous = {each.file_id for each in before}
    of_words = [each for each in before if each.state in _IN_FORCE] or before
    license_ = License(**signed(called_as(grant, of_words), kid, key, previous, now))
    tx.add(license_)
    tx.flush()
    tx.add_all(IssuanceEntry(**row) for row in issuance.rows(tx, kid, [(license_.id, license_.file_sha256)], now))
    told = issued_event(license_)
    events.append(tx, told.kind, license_.id, now=now, account_id=license_.account_id, **told.data)
    return license_


def called_as(grant: Grant, before: Sequence[License]) -> Grant:
    """The grant with the label, environment and server of the newest license before it, if there is one."""
    if not before:
        return grant
    newest = max(before, key=lambda each: (each.issued_at, each.id))
    return replace(grant, label=newest.label, environment=newest.environment, server=newest.server)


def previous_ids(tx: Tx, subscription_ids: Sequence[str]) -> set[str]:
    """The ids inside the files these subscriptions have had."""
    query = select(col(License.file_id)).where(among(col(License.subscription_id), subscription_ids))
    return set(tx.execute(query).scalars())


def issued_event(license_: License) -> Happened:
    return Happened("license.issued", license_.id, license_.account_id, {
        "sku": license_.sku, "seats": license_.seats, "expires_at": license_.expires_at.isoformat(),
    })  # fmt: skip


def superseded_event(license_: License, successor_id: str) -> Happened:
    return Happened("license.superseded", license_.id, license_.account_id, {"by": successor_id})


def supersede(tx: Tx, successor: License, now: datetime, *, keep: str | None = None) -> list[License]:
    """Earlier active licenses of the same subscription give way to `successor`; not the one of id `keep`."""
    query = (
        select(License)
        .where(
            col(License.subscription_id) == successor.subscription_id,
            col(License.id) != successor.id,
            col(License.state) == LicenseState.ACTIVE,
        )
        .with_for_update()
    )
    replaced = [each for each in tx.execute(query).scalars() if each.id != keep]
    for old in replaced:
        give_way(tx, old, successor, now)
    return replaced


def give_way(tx: Tx, old: License, successor: License, now: datetime) -> None:
    """One license is superseded by another. The caller holds its lock."""
    old.state, old.superseded_by = LicenseState.SUPERSEDED, successor.id
    told = superseded_event(old, successor.id)
    events.append(tx, told.kind, old.id, now=now, account_id=old.account_id, **told.data)


def subscription_of(license_: License) -> str:
    """The id of the subscription that a license is of. Raises NothingBought for a trial."""
    if license_.subscription_id is None:
        raise NothingBought("It is a trial: buy first, then this works.")
    return license_.subscription_id


def present(tx: Tx, subscription_id: str, until: datetime, now: datetime) -> License | None:
    """The license of the term that runs now and ends by `until`."""
    query = select(License).where(
        col(License.subscription_id) == subscription_id, col(License.state) == LicenseState.ACTIVE,
        ~col(License.bridge), col(License.starts_at) <= now, col(License.expires_at) > now,
        col(License.expires_at) <= until,
    )  # fmt: skip
    return tx.execute(query.order_by(col(License.issued_at).desc()).limit(1)).scalar_one_or_none()


_BEFORE: Final = aliased(License)
# Asked every minute by the tick, so it is written once: an alias of a wide table costs a millisecond.
_TO_RELEASE: Final = (
    select(License)
    .where(
        col(License.state) == LicenseState.ACTIVE, col(License.starts_at) > col(License.issued_at),
        col(License.starts_at) <= bindparam("now"),
        select(col(_BEFORE.id)).where(
            col(_BEFORE.subscription_id) == col(License.subscription_id), col(_BEFORE.id) != col(License.id),
            col(_BEFORE.state) == LicenseState.ACTIVE, col(_BEFORE.expires_at) <= col(License.starts_at),
        ).exists(),
    )
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
)  # fmt: skip


def to_release(tx: Tx, now: datetime, limit: int = 200) -> list[License]:
    """Licenses that were held back and whose day has come, while the one before is not retired; locked."""
    return list(tx.execute(_TO_RELEASE, {"now": now, "most": limit}).scalars())


def next_release(tx: Tx, after: datetime) -> datetime | None:
    query = select(func.min(col(License.starts_at))).where(
        col(License.state) == LicenseState.ACTIVE, col(License.starts_at) > col(License.issued_at),
        col(License.starts_at) > after,
    )  # fmt: skip
    return tx.execute(query).scalar()


def require_released(license_: License, now: datetime) -> License:
    """A file of a term to come with less in it is not handed over before that begins. Raises NotReleased."""
    if license_.starts_at > max(now, license_.issued_at):
        raise NotReleased(
            f"It holds from {license_.starts_at:%Y-%m-%d} on and is handed over then; until then the present license"
            " goes on.", on=license_.starts_at.date().isoformat(),
        )  # fmt: skip
    return license_


def revoke(tx: Tx, license_id: str, *, reason: str, by: str, now: datetime) -> License:
    """Online checks refuse it from now on; files already delivered stay readable offline. Raises AlreadyRevoked."""
    license_ = lock(tx, license_id)
    if license_.state is LicenseState.REVOKED:
        raise AlreadyRevoked(f"It was revoked on {license_.revoked_at:%Y-%m-%d}: {license_.revoked_reason}.")
    license_.state, license_.revoked_at, license_.revoked_reason = LicenseState.REVOKED, now, reason
    audit.record(tx, license_.account_id, actor=by, action="license.revoked", subject=license_.id, now=now,
                 details={"reason": reason})  # fmt: skip
    events.append(tx, "license.revoked", license_.id, now=now, account_id=license_.account_id)
    return license_


def suspend(tx: Tx, license_id: str, *, reason: str, by: str, now: datetime) -> License:
    """Online checks refuse it until it is reinstated. Changes nothing where it is not active."""
    return _turn(tx, license_id, LicenseState.ACTIVE, LicenseState.SUSPENDED, reason=reason, by=by, now=now)


def reinstate(tx: Tx, license_id: str, *, reason: str, by: str, now: datetime) -> License:
    """What was suspended works again. Changes nothing where it is not suspended."""
    return _turn(tx, license_id, LicenseState.SUSPENDED, LicenseState.ACTIVE, reason=reason, by=by, now=now)


_SUSPENDED, _REINSTATED = "license.suspended", "license.reinstated"


def suspensions(tx: Tx, licenses: Collection[License]) -> dict[str, tuple[tuple[datetime, datetime | None], ...]]:
    """When each of them was suspended and until when, None while it is, by its events; only those that ever were.

    One that is suspended and has no such event took the place of one that was: it is so since it was issued.
    """
    query = select(col(Event.object_id), col(Event.type), col(Event.occurred_at)).where(
        among(col(Event.object_id), [each.id for each in licenses]), col(Event.type).in_((_SUSPENDED, _REINSTATED))
    )
    told: dict[str, list[tuple[datetime, datetime | None]]] = {}
    for license_id, kind, at in tx.execute(query.order_by(col(Event.object_id), col(Event.object_sequence))):
        found = told.setdefault(license_id, [])
        if kind == _SUSPENDED:
            found.append((at, None))
        elif found:
            found[-1] = (found[-1][0], at)
    for each in licenses:
        if each.state is LicenseState.SUSPENDED:
            told.setdefault(each.id, [(each.issued_at, None)])
    return {license_id: tuple(found) for license_id, found in told.items()}


def _turn(
    tx: Tx, license_id: str, before: LicenseState, after: LicenseState, *, reason: str, by: str, now: datetime
) -> License:
    license_ = lock(tx, license_id)
    if license_.state is before:
        license_.state = after
        word = _SUSPENDED if after is LicenseState.SUSPENDED else _REINSTATED
        audit.record(tx, license_.account_id, actor=by, action=word, subject=license_.id, now=now,
                     details={"reason": reason})  # fmt: skip
        events.append(tx, word, license_.id, now=now, account_id=license_.account_id, reason=reason)
        tx.flush()
    return license_


def rename(tx: Tx, license_id: str, label: str, *, by: str, now: datetime) -> License:
    """What the customer calls it, such as "Berlin production"; at most 80 characters. Raises Invalid."""
    return describe(tx, license_id, label=label, by=by, now=now)


def describe(
    tx: Tx, license_id: str, *, label: str | None = None, environment: LicenseEnvironment | None = None,
    server: str | None = None, by: str, now: datetime,
) -> License:  # fmt: skip
    """What the customer says about a license; what is None stays. Raises Invalid (`label`, `server`), NotFound.

    Environment and server decide with which licenses it is put together (R-LIC-3). Only words of the customer: the
    file that was signed stays as it is.
    """
    wanted = {
        "label": _words("label", label, _LONGEST_LABEL), "environment": environment,
        "server": _words("server", server, _LONGEST_SERVER),
    }  # fmt: skip
    license_ = lock(tx, license_id)
    # A bridge beside it and the license of the next term are for the same server, or they would count there too.
    beside = family(tx, license_) if license_.state in _IN_FORCE else []
    for each in (license_, *(other for other in beside if other.id != license_.id and other.state in _IN_FORCE)):
        _describe(tx, each, {name: value for name, value in wanted.items() if value is not None}, by=by, now=now)
    tx.flush()
    return license_


def _describe(tx: Tx, license_: License, wanted: Mapping[str, Any], *, by: str, now: datetime) -> None:
    changed = {name: value for name, value in wanted.items() if value != getattr(license_, name)}
    if not changed:
        return
    before = {name: str(getattr(license_, name)) for name in changed}
    for name, value in changed.items():
        setattr(license_, name, value)
    audit.record(
        tx, license_.account_id, actor=by, action="license.described", subject=license_.id, now=now,
        details={"before": before, "after": {name: str(value) for name, value in changed.items()}},
    )  # fmt: skip


def _words(name: str, value: str | None, longest: int) -> str | None:
    """One line that can be printed, without space around it. Raises Invalid."""
    if value is None:
        return None
    said = value.strip()
    if len(said) > longest:
        raise Invalid(f"Use at most {longest} characters.", param=name)
    if not said.isprintable():
        raise Invalid("Use letters, digits and signs on one line.", param=name)
    return said


def lock(tx: Tx, license_id: str) -> License:
    license_ = tx.execute(select(License).where(col(License.id) == license_id).with_for_update()).scalar_one_or_none()
    if license_ is None:
        raise NotFound("There is no such license.")
    return license_


def get(tx: Tx, license_id: str) -> License:
    license_ = tx.get(License, license_id)
    if license_ is None:
        raise NotFound("There is no such license.")
    return license_


def of_order(tx: Tx, order_id: str) -> License | None:
    """The license an order bought; the bridge to it while it is not paid."""
    query = select(License).where(col(License.order_id) == order_id)
    query = query.order_by(col(License.bridge), col(License.issued_at).desc()).limit(1)
    return tx.execute(query).scalar_one_or_none()


def current(tx: Tx, subscription_id: str) -> License | None:
    """The one license of a subscription that is in force by its state, whatever its dates."""
    query = select(License).where(
        col(License.subscription_id) == subscription_id, col(License.state) == LicenseState.ACTIVE
    )
    return tx.execute(query.order_by(col(License.issued_at).desc()).limit(1)).scalar_one_or_none()


def family(tx: Tx, license_: License) -> list[License]:
    """All licenses of its subscription, newest first; of a trial itself alone."""
    return of_subscription(tx, license_.subscription_id) if license_.subscription_id else [license_]


def of_subscription(tx: Tx, subscription_id: str) -> list[License]:
    """Newest first."""
    query = select(License).where(col(License.subscription_id) == subscription_id)
    return list(tx.execute(query.order_by(col(License.issued_at).desc(), col(License.id).desc())).scalars())
