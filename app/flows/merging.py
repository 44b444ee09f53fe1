"""Licenses of one account together, kept up to date: merged files made anew, and mails ahead of a drop (R-LIC-3).

The table of licenses notes which accounts changed; the tick takes the notes, and what is due by the calendar, and gives
each account to a job. Doing it again changes nothing.
"""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col

from app.accounts import service as accounts
from app.accounts.models import Account
from app.core import events, jobs, policy
from app.core.clock import local_date
from app.core.db import Tx
from app.core.ids import require_form
from app.documents.change_mails import EndingLicense, LicensesDrop, Lowered
from app.documents.mail_shapes import MailName
from app.flows import notify
from app.flows.ports import Ports
from app.licenses import merge, merging
from app.licenses.formats.claims import LicenseCustomer
from app.licenses.merge import Change, Part, Timeline
from app.licenses.models import LicenseChange, LicenseEnvironment, MergeWatch, ToldDrop
from app.subscriptions.models import Subscription, SubscriptionState

NOTICE_DAYS: Final = policy.declare(
    policy.Policy("license_drop_notice_days", 30, policy.whole_number(minimum=1),
                  "Days before licenses that count together give less on which the customer is told, once per drop.")
)  # fmt: skip
OVERHANG_DAYS: Final = policy.declare(
    policy.Policy("merged_file_overhang_days", 30, policy.whole_number(),
                  "Days for which a merged license file may go on after the first drop of what it states.")
)  # fmt: skip
_AT_ONCE: Final = 500
_ALIVE: Final = (SubscriptionState.TRIALING, SubscriptionState.ACTIVE, SubscriptionState.PAST_DUE)

_NOTED: Final = select(col(LicenseChange.id)).order_by(col(LicenseChange.id)).limit(_AT_ONCE)
_TAKE: Final = (
    delete(LicenseChange)
    .where(col(LicenseChange.id).in_(_NOTED.with_for_update(skip_locked=True)))
    .returning(col(LicenseChange.account_id))
)


def enqueue_due(ports: Ports) -> int:
    """Give every account whose licenses changed, or whose day has come, to a job; returns how many. For `tick`."""
    now = ports.clock.now()
    with ports.db.transaction() as tx:
        changed = set(tx.execute(_TAKE).scalars())
        dated = select(col(MergeWatch.account_id)).where(col(MergeWatch.next_at) <= now).limit(_AT_ONCE)
        due = set(tx.execute(dated.with_for_update(skip_locked=True)).scalars())
        if due:
            tx.execute(update(MergeWatch).where(col(MergeWatch.account_id).in_(due)).values(next_at=None))
        for account_id in sorted(changed | due):
            jobs.defer(tx, look_again, lock=account_id, once=f"merge:{account_id}", account_id=account_id)
    return len(changed | due)


def next_due(tx: Tx, after: datetime) -> datetime | None:
    query = select(func.min(col(MergeWatch.next_at))).where(col(MergeWatch.next_at) > after)
    return tx.execute(query).scalar()


@jobs.job("licenses.look_again", retry=jobs.Retry(attempts=10, first=5))
def look_again(ports: Ports, *, account_id: str) -> None:
    """New files where they say something else now, mails for the drops that come near, and when to look next."""
    with ports.db.transaction() as tx:
        now = ports.clock.now()
        account = accounts.get(tx, require_form("acc", account_id))
        merging.reissue(
            tx, ports.secrets, _customer(account), overhang=timedelta(days=policy.get(tx, OVERHANG_DAYS, now)), now=now
        )
        parts = merging.parts_of(tx, account.id)
        notice = timedelta(days=policy.get(tx, NOTICE_DAYS, now))
        renewing = renewing_chains(tx, {part.chain for part in parts})
        instants = []
        for environment in LicenseEnvironment:
            timeline = merge.merge(parts, environment)
            instants += [each.starts_at for each in timeline if each.starts_at is not None]
            for drop in announced(timeline, renewing, now):
                instants.append(drop.at - notice)
                if drop.at - notice <= now:
                    _tell(tx, account.id, environment, drop, now)
        _watch(tx, account.id, min((each for each in instants if each > now), default=None))


def _customer(account: Account) -> LicenseCustomer:
    return LicenseCustomer(id=account.id, name=account.name, email=account.email, company=account.name)


def _watch(tx: Tx, account_id: str, next_at: datetime | None) -> None:
    tx.execute(
        insert(MergeWatch)
        .values(account_id=account_id, next_at=next_at)
        .on_conflict_do_update(index_elements=["account_id"], set_={"next_at": next_at})
    )


def renewing_chains(tx: Tx, chains: Collection[str]) -> set[str]:
    """The subscriptions among these that renew by themselves: their licenses end only on paper."""
    query = select(Subscription).where(col(Subscription.id).in_(chains), col(Subscription.state).in_(_ALIVE))
    return {each.id for each in tx.execute(query).scalars() if each.renews_itself}


def announced(timeline: Timeline, renewing: Collection[str], now: datetime) -> Iterator[Change]:
    """The drops to come after which something is left; the end of all of it is what renewal reminders are for."""
    for drop in merge.drops(timeline):
        left = bool(merge.at(timeline, drop.at).sources)
        if drop.at > now and left and not all(part.chain in renewing for part in drop.ended):
            yield drop


def _tell(tx: Tx, account_id: str, environment: LicenseEnvironment, drop: Change, now: datetime) -> None:
    row = {
        "account_id": account_id, "environment": environment, "drops_at": drop.at, "seats_before": drop.seats_before,
        "seats_after": drop.seats_after, "told_at": now,
    }  # fmt: skip
    first = insert(ToldDrop).values(row).on_conflict_do_nothing().returning(col(ToldDrop.drops_at))
    if tx.execute(first).first() is None:
        return
    events.append(
        tx, "licenses.drop_coming", account_id, now=now, account_id=account_id, environment=environment.value,
        at=drop.at.isoformat(), seats_before=drop.seats_before, seats_after=drop.seats_after,
        ended=[part.id for part in drop.ended],
    )  # fmt: skip
    jobs.defer(tx, tell_drop, account_id=account_id, environment=environment.value, drops_at=drop.at.isoformat())


@jobs.job("notify.licenses_drop", retry=jobs.Retry(attempts=10, first=5))
def tell_drop(ports: Ports, *, account_id: str, environment: str, drops_at: str) -> None:
    """The mail, if the drop is still to come as it was seen."""
    at = datetime.fromisoformat(drops_at)
    with ports.db.transaction() as tx:
        account = accounts.get(tx, account_id)
        timeline = merge.merge(merging.parts_of(tx, account.id), LicenseEnvironment(environment))
        drop = next((each for each in merge.drops(timeline) if each.at == at), None)
        if drop is None:
            return
        data = LicensesDrop(
            vendor=notify.sender(tx, ports), person_name="", on=local_date(drop.at, account.time_zone),
            seats_before=drop.seats_before, seats_after=drop.seats_after,
            production=environment == LicenseEnvironment.PRODUCTION, lowered=_lowered(drop),
            ending=_ending(drop.ended, account.time_zone), licenses_url=ports.link("/account/licenses"),
        )  # fmt: skip
    notify.send(
        ports, MailName.LICENSES_DROP, data, to=account.email, locale=account.locale,
        message_id=f"licenses-drop-{account_id}-{environment}-{at:%Y%m%d%H%M}",
    )  # fmt: skip


def _lowered(drop: Change) -> tuple[Lowered, ...]:
    """What is less, apart from the seats: a flag that ends has no value to show."""
    return tuple(
        Lowered(
            name=each.name.replace("_", " "), before="" if each.before is True else f"{each.before}",
            after="" if each.after is None else f"{each.after}",
        )
        for each in drop.differences
        if each.lower and each.name != merge.SEATS
    )  # fmt: skip


def _ending(ended: Sequence[Part], time_zone: str) -> tuple[EndingLicense, ...]:
    return tuple(
        EndingLicense(name=part.label or part.plan, seats=part.seats, until=local_date(part.expires_at, time_zone))
        for part in ended
    )
