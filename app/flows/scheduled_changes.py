"""What becomes of a change that waits for the next term is told: to the log, to listeners, and by mail (R-PRO-6).

The mail goes to the subscription's contact and to whoever of the account may change it.
"""

from datetime import datetime
from enum import StrEnum
from typing import Final

from app.accounts import members
from app.accounts import service as accounts
from app.accounts.models import LegalEntity
from app.accounts.permissions import Permission, may
from app.catalog import service as catalog
from app.catalog.models import Plan
from app.core import audit, events, jobs
from app.core.db import Tx
from app.documents.change_mails import ChangeScheduled, ChangeWithdrawn
from app.documents.mail_shapes import MailName
from app.flows import notify
from app.flows.ports import Ports
from app.subscriptions import scheduled
from app.subscriptions import service as subscriptions
from app.subscriptions.models import ScheduledChange, ScheduledState, Subscription, SubscriptionState

OVER: Final = frozenset({SubscriptionState.CANCELED, SubscriptionState.EXPIRED})


class Became(StrEnum):
    SCHEDULED = "scheduled"
    WITHDRAWN = "withdrawn"
    DROPPED = "dropped"  # the subscription ended before the next term


def tell(
    tx: Tx, held: Subscription, became: Became, row: ScheduledChange, *, by: str, now: datetime, reason: str = "",
    replaces: bool = False,
) -> None:  # fmt: skip
    """Record a change in the caller's transaction, and have its mails written once that is committed."""
    plan = tx.get_one(Plan, row.plan_id).sku if row.plan_id else None
    details = {"change": row.id, "plan": plan, "seats": row.seats, "dropped": row.dropped}
    word = f"subscription.change_{became}"
    events.append(tx, word, held.id, now=now, account_id=held.account_id, on=held.ends_on.isoformat(), **details)
    audit.record(tx, held.account_id, actor=by, action=word, subject=held.id, now=now,
                 details=details | ({"reason": reason} if reason else {}))  # fmt: skip
    jobs.defer(tx, write, change_id=row.id, became=became.value, replaces=replaces)


def drop(tx: Tx, held: Subscription, now: datetime) -> None:
    """The subscription has ended: what waits for its next term waits for nothing. The caller holds its lock."""
    row = scheduled.scheduled(tx, held.id)
    if row is not None:
        scheduled.withdraw(tx, held, row.id, by="ending", now=now)
        tell(tx, held, Became.DROPPED, row, by="ending", now=now)


@jobs.job("notify.scheduled_change", retry=jobs.Retry(attempts=10, first=5))
def write(ports: Ports, *, change_id: str, became: str, replaces: bool) -> None:
    """One mail to each of them; nothing of a wish that was taken back before anybody was told of it."""
    with ports.db.transaction() as tx:
        row = tx.get_one(ScheduledChange, change_id)
        if became == Became.SCHEDULED and row.state is not ScheduledState.SCHEDULED:
            return
        held = subscriptions.get(tx, row.subscription_id)
        locale, people = accounts.get(tx, held.account_id).locale, _people(tx, held)
        letters = [(email, _letter(tx, ports, held, row, Became(became), name, replaces=replaces))
                   for email, name in people.items()]  # fmt: skip
    name = MailName.CHANGE_SCHEDULED if became == Became.SCHEDULED else MailName.CHANGE_WITHDRAWN
    for position, (email, letter) in enumerate(letters):
        notify.send(ports, name, letter, to=email, locale=locale, message_id=f"{became}-{change_id}-{position}")


def _people(tx: Tx, held: Subscription) -> dict[str, str]:
    """Names by address."""
    people = {held.contact_email.lower(): held.contact_name}
    for each in members.of_account(tx, held.account_id):
        if may(each.role, Permission.SUBSCRIPTIONS_WRITE):
            people.setdefault(each.email.lower(), each.name)
    return people


def _letter(
    tx: Tx, ports: Ports, held: Subscription, row: ScheduledChange, became: Became, name: str, *, replaces: bool
) -> ChangeScheduled | ChangeWithdrawn:  # fmt: skip
    lines = {line.plan_id: line for line in subscriptions.lines(tx, held.id)}
    present = lines[held.plan_id]
    sender = notify.vendor(ports, tx.get_one(LegalEntity, held.legal_entity_id))
    url = ports.link(f"/account/subscriptions/{held.id}")
    if became is not Became.SCHEDULED:
        return ChangeWithdrawn(
            vendor=sender, person_name=name, on=held.ends_on, plan=present.description, seats=present.quantity,
            by_us=(row.closed_by or "").startswith("stf_"), ended=became is Became.DROPPED, subscription_url=url,
            renews=became is not Became.DROPPED and held.not_renewing_at is None,
        )  # fmt: skip
    plan, *_ = scheduled.next_term(tx, held)
    return ChangeScheduled(
        vendor=sender, person_name=name, on=held.ends_on, plan=catalog.plan_by_sku(tx, plan.sku).name,
        seats=plan.quantity, present_plan=present.description, present_seats=present.quantity, replaces=replaces,
        dropped=tuple(catalog.plan_by_sku(tx, sku).name for sku in row.dropped), subscription_url=url,
    )  # fmt: skip
