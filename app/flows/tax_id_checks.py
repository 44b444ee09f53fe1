"""Tax numbers asked about again: those whose registry did not answer, soon; all that count, every few months (R-TAX-5).

When a number is due is a row, found by the tick (ADR 0015). The question is a job, one at a time for each register: the
queue's lock keeps workers from asking a member state in parallel (ADR 0046).
"""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlmodel import col

from app.accounts import service as accounts
from app.accounts.models import AccountTaxId, TaxIdStatus
from app.core import audit, events, jobs, policy
from app.core.db import Tx
from app.core.errors import NotFound
from app.flows import confirming, late_confirmation, tax_mails
from app.flows.ports import Ports
from app.subscriptions.models import Subscription, SubscriptionState
from app.tax import identifiers, matching
from app.tax import service as tax
from app.tax.models import TaxIdCheck

RECHECK_DAYS: Final = policy.declare(
    policy.Policy(
        "tax_id_recheck_days", 90, policy.whole_number(minimum=1),
        "Days after which the registry is asked again about the tax numbers of running subscriptions.",
    )
)  # fmt: skip
REGISTRY: Final = "registry"  # who acts in the log
# 5 and 15 minutes, 45, 2¼ and 6¾ hours, 20 hours, then daily: a little more than a week.
_TRIES: Final = 13
_LONGEST_WAIT: Final = timedelta(days=1)
# An order that was priced before the number was confirmed may be paid, and so invoiced with tax, any time.
_LOOK_AGAIN: Final = timedelta(hours=1)
_AT_ONCE: Final = 500
_RUNNING: Final = (
    SubscriptionState.TRIALING, SubscriptionState.ACTIVE, SubscriptionState.PAST_DUE, SubscriptionState.LAPSED
)  # fmt: skip
_CONCLUSIVE: Final = {"valid": TaxIdStatus.VALID, "invalid": TaxIdStatus.INVALID}
_KNOWN: Final = frozenset(_CONCLUSIVE.values())


def wait_after(tries: int) -> timedelta | None:
    """How long to wait after so many tries in vain; None to give up until the next regular question."""
    if tries >= _TRIES:
        return None
    factor: int = 3 ** (tries - 1)
    return min(accounts.ASKED_AGAIN_AFTER * factor, _LONGEST_WAIT)


def enqueue_due(ports: Ports) -> int:
    """Put the numbers that are due on the queue. For `tick`."""
    now = ports.clock.now()
    with ports.db.transaction() as tx:
        long_ago = now - timedelta(days=policy.get(tx, RECHECK_DAYS, now))
        query = select(AccountTaxId).where(_due(now, long_ago)).order_by(col(AccountTaxId.id)).limit(_AT_ONCE)
        found = list(tx.execute(query).scalars())
        for row in found:
            defer(tx, row)
    return len(found)


def defer(tx: Tx, row: AccountTaxId) -> None:
    """Put the question about a number on the queue, once."""
    jobs.defer(tx, ask_again, lock=register_of(row), once=f"tax_id:{row.id}", tax_id=row.id)


def register_of(row: AccountTaxId) -> str:
    """The lock of a register: kind and prefix, `tax_register:eu_vat:DE`."""
    return f"tax_register:{row.type}:{row.value[:2]}"


def _due(now: datetime, long_ago: datetime) -> ColumnElement[bool]:
    return or_(
        col(AccountTaxId.next_check_at) <= now,
        and_(_asked_regularly(), col(AccountTaxId.checked_at) <= long_ago),
    )


def _asked_regularly() -> ColumnElement[bool]:
    """Numbers of accounts with something that runs, but for those that staff answer for."""
    runs = select(col(Subscription.id)).where(
        col(Subscription.account_id) == col(AccountTaxId.account_id), col(Subscription.state).in_(_RUNNING)
    )
    return and_(
        col(AccountTaxId.next_check_at).is_(None), col(AccountTaxId.status) != TaxIdStatus.MANUAL_OVERRIDE,
        runs.exists(),
    )  # fmt: skip


def next_due(tx: Tx, after: datetime) -> datetime | None:
    """The first instant behind `after` at which a number is asked about."""
    days = timedelta(days=policy.get(tx, RECHECK_DAYS, after))
    soon = select(func.min(col(AccountTaxId.next_check_at))).where(col(AccountTaxId.next_check_at) > after)
    regular = select(func.min(col(AccountTaxId.checked_at))).where(
        _asked_regularly(), col(AccountTaxId.checked_at) > after - days
    )
    checked_at = tx.execute(regular).scalar_one()
    found = (tx.execute(soon).scalar_one(), checked_at + days if checked_at is not None else None)
    return min((at for at in found if at is not None), default=None)


@jobs.job("tax_ids.ask_again", retry=jobs.Retry(attempts=6, first=30))
def ask_again(ports: Ports, *, tax_id: str) -> None:
    """Ask about one number, and let what it says take effect. Again, it finds that nothing is due."""
    now = ports.clock.now()
    with ports.db.transaction() as tx:
        row = tx.get(AccountTaxId, tax_id)
        if row is None or not _is_due(tx, row, now):
            return
        account = accounts.get(tx, row.account_id)
        check = tax.recent_check(tx, row.type, row.value, now)
    if check is None:
        who = matching.Buyer(account.name, account.postcode)
        check = confirming.ask(ports, row.type, row.value, account.country, now, who)
    with ports.db.transaction() as tx:
        try:
            row = accounts.tax_id(tx, row.account_id, tax_id)
        except NotFound:
            return  # removed while the registry was asked
        if _is_due(tx, row, now):
            learn(tx, row, check, account.country, now)


def _is_due(tx: Tx, row: AccountTaxId, now: datetime) -> bool:
    if row.next_check_at is not None:
        return row.next_check_at <= now
    days = timedelta(days=policy.get(tx, RECHECK_DAYS, now))
    asked = row.status is not TaxIdStatus.MANUAL_OVERRIDE
    return asked and (row.checked_at is None or row.checked_at <= now - days)


def learn(tx: Tx, row: AccountTaxId, check: TaxIdCheck, country: str, now: datetime) -> None:
    """Write down what was answered about a number that is locked; a confirmation reaches back to invoices."""
    before, answered = row.status, _CONCLUSIVE.get(check.status)
    if answered is None:
        _not_answered(tx, row, check, country, now)
        return
    row.status, row.checked_at, row.reference = answered, check.checked_at, check.reference
    row.tries, row.next_check_at = 0, None
    tx.flush()
    if before is not answered:
        word = "tax_id.confirmed" if answered is TaxIdStatus.VALID else "tax_id.refused"
        _tell(tx, row, word, now, check=check.id, before=before.value)
        if answered is TaxIdStatus.INVALID:
            jobs.defer(tx, tax_mails.tax_id_invalid, tax_id=row.id, check_id=check.id)
    if answered is TaxIdStatus.VALID:
        late_confirmation.enqueue(tx, row.account_id, row.type, row.value, now)
        if late_confirmation.more_to_come(tx, row.account_id, row.type, row.value):
            row.next_check_at = now + _LOOK_AGAIN
            tx.flush()


def _not_answered(tx: Tx, row: AccountTaxId, check: TaxIdCheck, country: str, now: datetime) -> None:
    """What was known stays known; what was not is pending, or given up where asking again is of no use."""
    row.tries += 1
    wait = wait_after(row.tries) if check.again else None
    if wait is not None:
        row.next_check_at = now + wait
        if row.status not in _KNOWN:
            row.status = TaxIdStatus.PENDING
    else:
        row.tries, row.next_check_at = 0, None
        # Asked with the next order, and regularly: from today on.
        row.checked_at = now
        if row.status not in _KNOWN:
            formed = identifiers.check(row.type, row.value, country).ok
            row.status = TaxIdStatus.UNAVAILABLE if formed else TaxIdStatus.FORMAT_INVALID
    tx.flush()


def _tell(tx: Tx, row: AccountTaxId, word: str, now: datetime, **more: str) -> None:
    events.append(tx, word, row.id, now=now, account_id=row.account_id, type=row.type)
    audit.record(tx, row.account_id, actor=REGISTRY, action=word, subject=row.id, now=now,
                 details={"type": row.type, **more})  # fmt: skip
