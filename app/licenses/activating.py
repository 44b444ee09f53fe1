"""Binding servers to licenses: activate, move, deactivate, heartbeat, limits (R-LIC-5, ADR 0056).

Two kinds of time: `now` is business time and dates facts; `real_now` is real time and decides leases.
Those who take or free a place of one subscription take turns; the tables refuse one too many by themselves.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Integer, Select, cast, exists, func, select, text
from sqlmodel import col

from app.catalog.activation_rules import ActivationRules, Cull
from app.catalog.models import Plan
from app.core import audit, events
from app.core.db import Tx
from app.core.errors import Invalid, NotFound
from app.core.ids import new_id
from app.licenses import heartbeat
from app.licenses.activation_models import Activation, ActivationState, EndedBy
from app.licenses.activation_terms import take_turn, terms_of
from app.licenses.activations import Terms
from app.licenses.decision import Credential, ValidationFacts, ValidationRequest, decide
from app.licenses.errors import (
    ActivationLimitReached,
    HeartbeatsOff,
    LeaseEnded,
    LicenseNotUsable,
    OfflineNotOffered,
    ProofNeeded,
    TransfersSpent,
)
from app.licenses.heartbeat import Life
from app.licenses.models import License
from app.licenses.service import subscription_of

_MOST_NAMES: Final = 20
_LONGEST_REASON: Final = 1000
_ACTIVE: Final = col(Activation.state) == ActivationState.ACTIVE


@dataclass(frozen=True, slots=True)
class Server:
    """What a product says about the machine it runs on; `nonce` is that of a request that was carried here."""

    fingerprint: str
    name: str = ""
    hostname: str = ""
    version: str = ""
    nonce: str | None = None


@dataclass(frozen=True, slots=True)
class By:
    """Who acts: `who` is an id, or `product`."""

    kind: EndedBy
    who: str


PRODUCT: Final = By(EndedBy.PRODUCT, "product")


def activate(
    tx: Tx, license_: License, server: Server, *, by: By, now: datetime, real_now: datetime, replaces: str | None = None
) -> tuple[Activation, bool]:
    """Bind one server; asking again for the same one changes nothing but its names and its lease.

    Returns the activation and whether it is new. `replaces`, an activation's id or fingerprint, is given up in the same
    step. Raises LicenseNotUsable, ActivationLimitReached, NotFound for what is not there to be replaced,
    TransfersSpent, ProofNeeded, OfflineNotOffered, Invalid, NothingBought for a trial: that is of its server already.
    """
    _require_in_force(license_, now)
    subscription_id = subscription_of(license_)
    take_turn(tx, subscription_id)
    found = _look(tx, license_, server, real_now)
    if found.held is not None:
        return _again(tx, tx.get_one(Activation, found.held), found.terms.rules, server, real_now), False
    if server.nonce is not None:
        _require_offline(tx, subscription_id, found.terms.rules, server.nonce)
    if found.silent and release_silent(tx, subscription_id, found.terms.rules, now=now, real_now=real_now):
        found = _look(tx, license_, server, real_now)
    terms = found.terms
    if replaces is not None:
        _end(tx, _named(tx, license_, replaces), terms.rules, by, reason="moved to another server", now=now)
        found = _look(tx, license_, server, real_now)
    if terms.allowed is not None and found.free > terms.allowed:
        raise _full(tx, license_, terms)
    row = Activation(
        id=new_id("act"), account_id=license_.account_id, subscription_id=subscription_id,
        license_id=license_.id, slot=found.free, allowed=terms.allowed,
        fingerprint=server.fingerprint, name=server.name, hostname=server.hostname, version=server.version,
        state=ActivationState.ACTIVE, activated_at=now, last_seen_at=real_now,
        lease_until=None if server.nonce else heartbeat.lease(terms.rules, real_now),
        offline=server.nonce is not None, request_nonce=server.nonce,
    )  # fmt: skip
    tx.add(row)
    tx.flush()
    events.append(tx, "license.activated", row.id, now=now, account_id=row.account_id, license_id=license_.id,
                  place=row.slot, offline=row.offline)  # fmt: skip
    return row, True


def _require_in_force(license_: License, now: datetime) -> None:
    """What validation would refuse binds no server. Raises LicenseNotUsable."""
    facts = ValidationFacts(
        state=license_.state, starts_at=license_.starts_at, expires_at=license_.expires_at,
        grace_days=license_.grace_days, seats=license_.seats,
    )  # fmt: skip
    decision = decide(facts, ValidationRequest(Credential.SIGNED_FILE), now)
    if not decision.valid:
        raise LicenseNotUsable.of(decision.findings)


def _again(tx: Tx, held: Activation, rules: ActivationRules, server: Server, real_now: datetime) -> Activation:
    """The same server once more: what it says about itself may have changed, and a lease begins anew."""
    if server.nonce is not None and server.nonce != held.request_nonce:
        if not held.offline:
            raise Invalid("This server was activated over the network. Deactivate it there first.", param="text")
        _require_offline(tx, held.subscription_id, rules, server.nonce)
        held.request_nonce = server.nonce
    held.name, held.hostname = server.name or held.name, server.hostname or held.hostname
    held.version, held.last_seen_at = server.version or held.version, max(held.last_seen_at, real_now)
    if not held.offline:
        held.lease_until = heartbeat.lease(rules, real_now)
    return held


def _require_offline(tx: Tx, subscription_id: str, rules: ActivationRules, nonce: str) -> None:
    """Raises OfflineNotOffered, and Invalid for a request that was used before."""
    if rules.floating:
        raise OfflineNotOffered("Its seats are lent while heartbeats come, which needs a network.")
    used = exists().where(
        col(Activation.subscription_id) == subscription_id, col(Activation.request_nonce) == nonce
    )  # fmt: skip
    if tx.execute(select(used)).scalar_one():
        raise Invalid("This request was used before. Let the product write a new one.", param="text")


@dataclass(frozen=True, slots=True)
class _Found:
    """What is there when one's turn comes. `free` is the lowest number of a place that nobody holds."""

    terms: Terms
    held: str | None
    free: int
    silent: bool


_LOOK: Final = text(
    "WITH live AS NOT MATERIALIZED ("
    "  SELECT id, slot, fingerprint, lease_until FROM license_activation"
    "  WHERE subscription_id = :subscription AND state = 'active'"
    ") SELECT activation_rules, (SELECT most FROM license_activation_limit WHERE subscription_id = :subscription"
    "    ORDER BY id DESC LIMIT 1) AS override,"
    "  (SELECT id FROM live WHERE fingerprint = :fingerprint) AS held,"
    "  (SELECT min(after.slot) FROM (SELECT 1 AS slot UNION ALL SELECT slot + 1 FROM live) AS after"
    "    WHERE NOT EXISTS (SELECT FROM live WHERE live.slot = after.slot)) AS free,"
    "  EXISTS (SELECT FROM live WHERE lease_until < :real_now) AS silent"
    " FROM plan WHERE id = :plan"
)


def _look(tx: Tx, license_: License, server: Server, real_now: datetime) -> _Found:
    row = tx.execute(_LOOK, {
        "subscription": license_.subscription_id, "plan": license_.plan_id, "fingerprint": server.fingerprint,
        "real_now": real_now,
    }).one()  # fmt: skip
    terms = Terms(ActivationRules.model_validate(row.activation_rules or {}), row.override)
    return _Found(terms, row.held, row.free, row.silent)


def _full(tx: Tx, license_: License, terms: Terms) -> ActivationLimitReached:
    """The refusal, with the names of those who hold the places."""
    shown = func.coalesce(
        func.nullif(col(Activation.name), ""), func.nullif(col(Activation.hostname), ""), col(Activation.fingerprint)
    )
    query = (
        select(shown, func.count().over())
        .where(_ACTIVE, col(Activation.subscription_id) == license_.subscription_id)
        .order_by(col(Activation.slot))
        .limit(_MOST_NAMES)
    )
    rows = tx.execute(query).all()
    names, in_use = ", ".join(row[0] for row in rows), rows[0][1]
    if in_use > len(rows):
        names += f" and {in_use - len(rows)} more"
    return ActivationLimitReached(
        f"All {terms.allowed} activations are in use, by {names}. Deactivate a server that is no longer used, here or"
        " in the portal, or buy another license.",
        limit=terms.limit, allowed=terms.allowed, in_use=in_use, held_by=names,
    )  # fmt: skip


def called(activation: Activation) -> str:
    """What people know a server by."""
    return activation.name or activation.hostname or activation.fingerprint


def deactivate(
    tx: Tx, license_: License, which: str, *, by: By, reason: str = "", proven: bool = False, now: datetime
) -> Activation:
    """Free the place of one server, named by its activation's id or its fingerprint; at once, and only that place.

    `proven`: its own request shows that it gave up. Raises NotFound, TransfersSpent, ProofNeeded, Invalid for a
    reason of more than 1,000 characters.
    """
    if len(reason) > _LONGEST_REASON:
        raise Invalid(f"At most {_LONGEST_REASON} characters.", param="reason")
    take_turn(tx, subscription_of(license_))
    row = _named(tx, license_, which)
    return _end(tx, row, terms_of(tx, license_).rules, by, reason=reason, proven=proven, now=now)


def _end(
    tx: Tx, row: Activation, rules: ActivationRules, by: By, *, reason: str, proven: bool = False, now: datetime
) -> Activation:
    if by.kind in {EndedBy.PRODUCT, EndedBy.CUSTOMER}:
        if row.offline and not proven:
            raise ProofNeeded(
                "It was activated by a file and would run on. Let the server write a deactivation request and bring it"
                " to the license's page in the portal; if the server is lost, ask the vendor.", activation=row.id,
            )  # fmt: skip
        _require_transfer(tx, row.subscription_id, rules, now)
    row.state, row.deactivated_at, row.ended_by, row.deactivated_by = ActivationState.DEACTIVATED, now, by.kind, by.who
    row.lease_until, row.reason = None, reason
    tx.flush()
    if by.kind in {EndedBy.CUSTOMER, EndedBy.STAFF}:
        audit.record(tx, row.account_id, actor=by.who, action="license.deactivated", subject=row.license_id, now=now,
                     details={"activation": row.id, "reason": reason})  # fmt: skip
    events.append(tx, "license.deactivated", row.id, now=now, account_id=row.account_id, license_id=row.license_id,
                  by=str(by.kind))  # fmt: skip
    return row


def _require_transfer(tx: Tx, subscription_id: str, rules: ActivationRules, now: datetime) -> None:
    """Whoever may give up a place as often as they like could share one license among any number of servers."""
    if rules.transfers is None:
        return
    query = select(col(Activation.deactivated_at)).where(
        col(Activation.subscription_id) == subscription_id,
        col(Activation.ended_by).in_((EndedBy.PRODUCT, EndedBy.CUSTOMER)),
        col(Activation.deactivated_at) > now - timedelta(days=rules.transfer_days),
    )
    spent = sorted(at for at in tx.execute(query).scalars() if at is not None)
    if len(spent) >= rules.transfers:
        days = timedelta(days=rules.transfer_days)
        again = f" The next is possible on {spent[-rules.transfers] + days:%Y-%m-%d}." if rules.transfers else ""
        raise TransfersSpent(
            f"{rules.transfers} deactivations in {rules.transfer_days} days are included, and all were used.{again} Ask"
            " the vendor if a server was lost.", transfers=rules.transfers, days=rules.transfer_days,
        )  # fmt: skip


def beat(tx: Tx, license_: License, which: str, *, real_now: datetime) -> Activation:
    """A heartbeat: its lease holds for another interval from now.

    Raises HeartbeatsOff where the plan wants none, LeaseEnded for what is deactivated or was silent for too long,
    NotFound for what was never activated.
    """
    rules = terms_of(tx, license_).rules
    if rules.heartbeat_seconds is None:
        raise HeartbeatsOff("Its plan wants no heartbeats; an activation holds until it is deactivated.")
    row = _find(tx, license_, which, lock=True)
    if row.state is ActivationState.DEACTIVATED:
        raise LeaseEnded("It was deactivated. Activate again.", activation=row.id)
    if row.offline:
        raise HeartbeatsOff("It was activated by a file and needs no heartbeats.")
    if row.lease_until is not None and not heartbeat.comes_back(rules, row.lease_until, real_now):
        raise LeaseEnded(
            f"A heartbeat was due by {row.lease_until:%Y-%m-%d %H:%M:%S} UTC. Activate again.", activation=row.id
        )
    # A late lease is never shortened by a heartbeat that was overtaken on its way.
    until = heartbeat.lease(rules, real_now)
    if until is not None and (row.lease_until is None or row.lease_until < until):
        row.lease_until = until
    row.last_seen_at = max(row.last_seen_at, real_now)
    tx.flush()
    return row


def release_silent(tx: Tx, subscription_id: str, rules: ActivationRules, *, now: datetime, real_now: datetime) -> int:
    """Deactivate what fell silent for good; how many. The caller has the turn."""
    # A server whose heartbeat is just being recorded is not silent.
    query = _live(subscription_id).where(col(Activation.lease_until) < real_now).with_for_update(skip_locked=True)
    silent: list[Activation] = list(tx.execute(query.execution_options(populate_existing=True)).scalars())
    gone = [each for each in silent if heartbeat.gives_way(rules, each.lease_until, real_now)]
    for each in gone:
        _end(tx, each, rules, By(EndedBy.SILENCE, "heartbeat"), reason="no heartbeat came", now=now)
    return len(gone)


def subscriptions_with_silent(tx: Tx, real_now: datetime, limit: int = 200) -> list[tuple[str, dict[str, Any]]]:
    """Where somebody fell silent for good, with the rules of the plan. Plans that keep their dead are left out."""
    minutes = func.coalesce(cast(col(Plan.activation_rules)["revive_minutes"].astext, Integer), 0)
    query = (
        select(col(Activation.subscription_id), col(Plan.activation_rules))
        .join(License, col(License.id) == col(Activation.license_id))
        .join(Plan, col(Plan.id) == col(License.plan_id))
        .where(_ACTIVE, col(Activation.lease_until) < real_now)
        .where(col(Activation.lease_until) + func.make_interval(0, 0, 0, 0, 0, minutes) < real_now)
        .where(func.coalesce(col(Plan.activation_rules)["cull"].astext, "") != Cull.KEEP.value)
        .distinct()
        .limit(limit)
    )
    return [(row[0], row[1] or {}) for row in tx.execute(query)]


def take_turn_and_release(
    tx: Tx, subscription_id: str, rules: dict[str, Any], *, now: datetime, real_now: datetime
) -> int:  # fmt: skip
    take_turn(tx, subscription_id)
    read = ActivationRules.model_validate(rules)
    return release_silent(tx, subscription_id, read, now=now, real_now=real_now)


def listed(tx: Tx, subscription_id: str | None) -> list[Activation]:
    """The live ones, by their places."""
    return list(tx.execute(_live(subscription_id).order_by(col(Activation.slot))).scalars())


def get(tx: Tx, license_: License, which: str) -> Activation:
    """By id or fingerprint; the newest where a server was bound more than once. Raises NotFound."""
    return _find(tx, license_, which, lock=False)


def seen(activation: Activation, real_now: datetime) -> Life:
    return heartbeat.life(activation.lease_until, real_now)


def _live(subscription_id: str | None) -> Select[Any]:
    return select(Activation).where(_ACTIVE, col(Activation.subscription_id) == subscription_id)


def _find(tx: Tx, license_: License, which: str, *, lock: bool) -> Activation:
    # A fingerprint that looks like an id of ours is none: both are tried, and ids are unguessable.
    query: Select[Any] = (
        select(Activation)
        .where(
            col(Activation.subscription_id) == license_.subscription_id,
            (col(Activation.id) == which) | (col(Activation.fingerprint) == which),
        )
        .order_by(col(Activation.state), col(Activation.id).desc())
        .limit(1)
    )
    if lock:
        query = query.with_for_update().execution_options(populate_existing=True)
    row: Activation | None = tx.execute(query).scalar_one_or_none()
    if row is None:
        raise NotFound("No such server was activated for this license.")
    return row


def _named(tx: Tx, license_: License, which: str) -> Activation:
    row = _find(tx, license_, which, lock=True)
    if row.state is ActivationState.DEACTIVATED:
        raise NotFound("No such server is activated for this license; it was deactivated before.")
    return row
