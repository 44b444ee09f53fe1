"""Trials: one for each server, and for each company within a time; another one is given by a person (R-LIC-9)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any, Final

from sqlalchemy import bindparam, func, or_, select
from sqlmodel import col

from app.core import events, policy
from app.core.db import Tx
from app.core.errors import Invalid, NotFound
from app.core.ids import new_id
from app.core.states import require_move
from app.licenses.errors import TrialRefused
from app.licenses.models import License
from app.licenses.trial_models import Trial, TrialDoor, TrialState


def _patterns(value: Any) -> Sequence[str]:
    if not isinstance(value, list) or not all(
        isinstance(each, str) and "." in each and each == each.lower().strip() for each in value
    ):
        raise ValueError('must be a list of domains in lower case, with * for any letters, such as ["*.example.com"]')
    return value


def _sku(value: Any) -> str:
    if not (isinstance(value, str) and value == value.strip()):
        raise ValueError('must be the sku of a plan, such as "enterprise"')
    return value


PLAN: Final = policy.declare(
    policy.Policy("trial_plan", "enterprise", _sku, "What a server tries that names no plan: the"
                  " sku of a plan with trial_days; empty where servers are given none.")
)  # fmt: skip
MOST_USERS: Final = policy.declare(
    policy.Policy("trial_most_users", 250, policy.whole_number(minimum=1), "Seats of a trial at most; who asks for more"
                  " is given so many.")
)  # fmt: skip
AGAIN_DAYS: Final = policy.declare(
    policy.Policy("trial_again_days", 365, policy.whole_number(), "Days after the start of a trial within which the"
                  " same person or company is given no other by itself, whatever the server.")
)  # fmt: skip
THROWAWAY: Final[policy.Policy[Sequence[str]]] = policy.declare(
    policy.Policy(
        "trial_refused_domains",
        ["mailinator.com", "*.mailinator.com", "guerrillamail.*", "10minutemail.*", "yopmail.*", "temp-mail.*",
         "tempmail.*", "trashmail.*", "sharklasers.com", "getnada.com", "maildrop.cc", "dispostable.com"],
        _patterns, "Domains of throw-away mailboxes, with * for any letters: no trial is sent there.",
    )
)  # fmt: skip

# A server takes any number of trials that are this short or this long; between lies the one that it takes once
# (reference/licensing.md §1.3). Whole days.
_REPEATABLE_UP_TO: Final = 29
_REPEATABLE_FROM: Final = 32
_LONGEST: Final = 180
_TURN: Final = select(func.pg_advisory_xact_lock(func.hashtextextended(bindparam("of"), 0)))


@dataclass(frozen=True, slots=True)
class Tried:
    """Who wants to try it, on which server. `email` is in its normal form, `country` ISO 3166."""

    server_id: str
    email: str
    person_name: str
    company: str
    country: str
    locale: str
    users: int
    site_name: str = ""
    site_url: str = ""
    server_version: str = ""
    wants_mail: bool = False
    ip: str = ""

    @property
    def domain(self) -> str:
        return self.email.rpartition("@")[2]


def require_mailbox(domain: str, throwaway: Sequence[str]) -> None:
    """Raises TrialRefused for a mailbox that nobody keeps."""
    if any(fnmatchcase(domain, pattern) for pattern in throwaway):
        raise TrialRefused(
            f"Mail to {domain} is thrown away; give an address at which we reach you.", param="email", reason="mailbox"
        )


def take_turn(tx: Tx, tried: Tried) -> None:
    """Two who ask for the same server, or of the same domain, take turns until the transaction ends."""
    for of in sorted({f"trial-domain:{tried.domain}", f"trial-server:{tried.server_id}"}):
        tx.execute(_TURN, {"of": of})


def require_first(tx: Tx, tried: Tried, *, free_mail: Sequence[str], again_days: int, now: datetime) -> None:
    """The server never had a trial, and its company none of late. The caller has taken its turn.

    Addresses of a mail provider say nothing about a company, so there the whole address counts. Raises TrialRefused.
    """
    had = tx.execute(select(col(Trial.id)).where(col(Trial.server_id) == tried.server_id).limit(1)).first()
    if had is not None:
        raise TrialRefused(
            "This server has had its trial; a server gets one. Buy a license, or write to us if you need longer.",
            param="server_id", reason="server",
        )  # fmt: skip
    of_provider = tried.domain in set(free_mail)
    same = [col(Trial.email) == tried.email] + ([] if of_provider else [col(Trial.email_domain) == tried.domain])
    query = select(col(Trial.id)).where(or_(*same), col(Trial.started_at) > now - timedelta(days=again_days))
    if tx.execute(query.limit(1)).first() is not None:
        who = "This address" if of_provider else f"Somebody at {tried.domain}"
        raise TrialRefused(
            f"{who} was given a trial within the last {again_days} days. Buy a license, or write to us for another"
            " trial.", param="email", reason="company",
        )  # fmt: skip


def require_repeatable(days: int) -> None:
    """A server takes another trial only of a length that it knows for one given on purpose. Raises Invalid."""
    if not (1 <= days <= _REPEATABLE_UP_TO or _REPEATABLE_FROM <= days <= _LONGEST):
        raise Invalid(
            f"A server that had a trial takes another only of up to {_REPEATABLE_UP_TO} days, or of"
            f" {_REPEATABLE_FROM} to {_LONGEST}.", param="days",
        )  # fmt: skip


def keep(
    tx: Tx, tried: Tried, license_: License, *, door: TrialDoor, terms_id: str, now: datetime, given_by: str = "",
    reason: str = "",
) -> Trial:  # fmt: skip
    """Write down a trial that begins with its license."""
    trial = Trial(
        id=new_id("trl"), account_id=license_.account_id, license_id=license_.id, terms_id=terms_id,
        server_id=tried.server_id, state=TrialState.STARTED, door=door, email=tried.email, email_domain=tried.domain,
        person_name=tried.person_name, company=tried.company, country=tried.country, locale=tried.locale,
        users=license_.seats, users_asked=tried.users, site_name=tried.site_name, site_url=tried.site_url,
        server_version=tried.server_version, wants_mail=tried.wants_mail, ip=tried.ip, given_by=given_by,
        reason=reason, started_at=now, ends_at=license_.expires_at,
    )  # fmt: skip
    tx.add(trial)
    tx.flush()
    events.append(
        tx, "trial.started", trial.id, now=now, account_id=trial.account_id, license=license_.id, sku=license_.sku,
        users=trial.users, door=str(door), ends_at=trial.ends_at.isoformat(),
    )  # fmt: skip
    return trial


def get(tx: Tx, trial_id: str) -> Trial:
    trial = tx.get(Trial, trial_id)
    if trial is None:
        raise NotFound("There is no such trial.")
    return trial


def of_license(tx: Tx, license_id: str) -> Trial | None:
    return tx.execute(select(Trial).where(col(Trial.license_id) == license_id)).scalar_one_or_none()


def running_on(tx: Tx, server_id: str) -> Trial | None:
    """The newest trial of a server that nobody has bought for."""
    query = select(Trial).where(col(Trial.server_id) == server_id, col(Trial.state) != TrialState.CONVERTED)
    return tx.execute(query.order_by(col(Trial.started_at).desc()).limit(1).with_for_update()).scalar_one_or_none()


def ended_by(tx: Tx, *, order_id: str, account_id: str, email: str) -> Trial | None:
    """The trial that an order ends, locked: the one that it names, else of the buyer the one that ends first."""
    query = select(Trial).where(col(Trial.state) != TrialState.CONVERTED).limit(1).with_for_update()
    named = tx.execute(query.where(col(Trial.order_id) == order_id)).scalar_one_or_none()
    if named is not None:
        return named
    theirs = query.where(or_(col(Trial.account_id) == account_id, col(Trial.email) == email.lower()))
    # One that another order names waits for that; unless it was never paid, there is none but it.
    order = (col(Trial.order_id).is_not(None), col(Trial.state).desc(), col(Trial.ends_at))
    return tx.execute(theirs.order_by(*order)).scalar_one_or_none()


def convert(tx: Tx, trial: Trial, *, order_id: str, license_id: str | None, now: datetime) -> None:
    """Somebody bought. The caller holds its lock."""
    require_move("trial", trial.state, TrialState.CONVERTED)
    trial.state, trial.order_id, trial.ended_at = TrialState.CONVERTED, order_id, now
    tx.flush()
    events.append(tx, "trial.converted", trial.id, now=now, account_id=trial.account_id, order=order_id,
                  license=license_id)  # fmt: skip


def expire_due(tx: Tx, now: datetime, limit: int = 200) -> int:
    """End the trials whose time is over; returns how many."""
    query = select(Trial).where(col(Trial.state) == TrialState.STARTED, col(Trial.ends_at) <= now)
    due = list(tx.execute(query.order_by(col(Trial.ends_at)).limit(limit).with_for_update(skip_locked=True)).scalars())
    for trial in due:
        trial.state, trial.ended_at = TrialState.EXPIRED, now
        events.append(tx, "trial.expired", trial.id, now=now, account_id=trial.account_id, license=trial.license_id)
    return len(due)


def next_end(tx: Tx, after: datetime) -> datetime | None:
    query = select(func.min(col(Trial.ends_at))).where(col(Trial.state) == TrialState.STARTED)
    return tx.execute(query.where(col(Trial.ends_at) > after)).scalar()


def newest_on(tx: Tx, server_id: str) -> Trial:
    """The newest trial of a server, whatever became of it. The caller has taken its turn."""
    query = select(Trial).where(col(Trial.server_id) == server_id).order_by(col(Trial.started_at).desc()).limit(1)
    return tx.execute(query).scalar_one()


@dataclass(frozen=True, slots=True)
class Month:
    """Trials that began in a month, and how many of these were bought by now."""

    name: str
    started: int
    converted: int


def by_month(tx: Tx, since: datetime) -> list[Month]:
    """Oldest first; months of UTC in which none began are left out."""
    month = func.to_char(func.timezone("UTC", col(Trial.started_at)), "YYYY-MM")
    bought = func.count().filter(col(Trial.state) == TrialState.CONVERTED)
    query = select(month, func.count(), bought).where(col(Trial.started_at) >= since)
    return [Month(*row) for row in tx.execute(query.group_by(month).order_by(month))]
