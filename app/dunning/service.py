"""Runs, what they collect and their steps, as rows. Whoever locks several things locks orders first, then runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import exists, func, select
from sqlmodel import col

from app.core import audit, events
from app.core.db import Tx
from app.core.errors import NotFound
from app.core.ids import new_id
from app.core.money import Money
from app.core.states import require_move
from app.dunning.errors import AlreadyPaused, NotCollecting
from app.dunning.ladder import Rung, due_days
from app.dunning.models import AutomaticCharge, DunningItem, DunningRun, DunningStep, Outcome, Owed, RunState

TOKEN = "card"  # noqa: S105 -- the label of a derived key: whoever holds the link may pay with another card


@dataclass(frozen=True, slots=True)
class Failure:
    """Why the last charge failed: the provider's code, whether another card is needed, and which card it was."""

    code: str
    needs_card: bool
    method_ref: str | None


@dataclass(frozen=True, slots=True)
class Debt:
    """A renewal that was not paid when it was due; `old_end_on` is the first day that is not covered."""

    account_id: str
    subscription_id: str
    order_id: str
    old_end_on: date
    amount: Money


def collect(tx: Tx, debt: Debt, failure: Failure, rungs: tuple[Rung, ...], now: datetime) -> DunningRun:
    """Begin the account's ladder in this currency, or let a further debt join it.

    A debt that joins starts the ladder anew, so that it gets every try; what was owed before waits along with it.
    The same debt again changes nothing.
    """
    tx.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"dunning:{debt.account_id}", 0))))
    known = tx.get(DunningItem, debt.order_id)
    if known is not None:
        return get(tx, known.run_id)
    run = open_run(tx, debt.account_id, debt.amount.currency)
    if run is None:
        run = DunningRun(
            id=new_id("dun"), account_id=debt.account_id, currency=debt.amount.currency, state=RunState.OPEN,
            opened_at=now, failure_code=failure.code, needs_card=failure.needs_card,
            declined_method_ref=failure.method_ref,
        )  # fmt: skip
        tx.add(run)
        tx.flush()
    else:
        note_failure(run, failure)
        _skip_open_steps(tx, run.id, now)
    tx.add(DunningItem(
        order_id=debt.order_id, run_id=run.id, subscription_id=debt.subscription_id, old_end_on=debt.old_end_on,
        amount_minor=debt.amount.minor, currency=debt.amount.currency, state=Owed.OWED, added_at=now,
    ))  # fmt: skip
    _add_steps(tx, run.id, rungs, due_days(rungs, max(now, run.paused_until or now)))
    events.append(
        tx, "dunning.opened", run.id, now=now, account_id=run.account_id, subscription=debt.subscription_id,
        order=debt.order_id, total={"amount": debt.amount.minor, "currency": debt.amount.currency}, why=failure.code,
    )  # fmt: skip
    return run


def _add_steps(tx: Tx, run_id: str, rungs: Sequence[Rung], due: Sequence[datetime]) -> None:
    first = len(steps(tx, run_id)) + 1
    tx.add_all(
        DunningStep(
            id=new_id("dst"), run_id=run_id, position=first + index, due_at=at, mails=rung.mail,
            last=index == len(rungs) - 1,
        )
        for index, (rung, at) in enumerate(zip(rungs, due, strict=True))
    )  # fmt: skip
    tx.flush()


def _skip_open_steps(tx: Tx, run_id: str, now: datetime) -> None:
    for step in steps(tx, run_id):
        if step.done_at is None:
            step.done_at, step.outcome = now, Outcome.SKIPPED
    tx.flush()


def note_failure(run: DunningRun, failure: Failure) -> None:
    run.failure_code, run.needs_card = failure.code, failure.needs_card
    run.declined_method_ref = failure.method_ref or run.declined_method_ref


def get(tx: Tx, run_id: str) -> DunningRun:
    run = tx.get(DunningRun, run_id)
    if run is None:
        raise NotFound("There is no such collection.")
    return run


def lock(tx: Tx, run_id: str) -> DunningRun:
    query = select(DunningRun).where(col(DunningRun.id) == run_id).with_for_update()
    run = tx.execute(query.execution_options(populate_existing=True)).scalar_one_or_none()
    if run is None:
        raise NotFound("There is no such collection.")
    return run


def open_run(tx: Tx, account_id: str, currency: str) -> DunningRun | None:
    """The account's open run in a currency, locked."""
    query = select(DunningRun).where(
        col(DunningRun.account_id) == account_id, col(DunningRun.currency) == currency,
        col(DunningRun.state) == RunState.OPEN,
    )  # fmt: skip
    return tx.execute(query.with_for_update().execution_options(populate_existing=True)).scalar_one_or_none()


def items(tx: Tx, run_id: str, state: Owed | None = None) -> list[DunningItem]:
    query = select(DunningItem).where(col(DunningItem.run_id) == run_id)
    if state is not None:
        query = query.where(col(DunningItem.state) == state)
    return list(tx.execute(query.order_by(col(DunningItem.order_id))).scalars())


def steps(tx: Tx, run_id: str) -> list[DunningStep]:
    query = select(DunningStep).where(col(DunningStep.run_id) == run_id)
    return list(tx.execute(query.order_by(col(DunningStep.position))).scalars())


def to_come(tx: Tx, run_id: str) -> list[DunningStep]:
    """The steps that were not taken yet, the next one first."""
    return sorted((each for each in steps(tx, run_id) if each.done_at is None), key=lambda each: each.due_at)


def owed_by(tx: Tx, subscription_id: str) -> DunningItem | None:
    """What is being collected for a subscription."""
    query = select(DunningItem).where(
        col(DunningItem.subscription_id) == subscription_id, col(DunningItem.state) == Owed.OWED
    )
    return tx.execute(query).scalar_one_or_none()


def collects(tx: Tx, order_id: str) -> bool:
    """Whether an order is kept open because it is being collected."""
    query = select(exists().where(col(DunningItem.order_id) == order_id, col(DunningItem.state) == Owed.OWED))
    return bool(tx.execute(query).scalar())


def paid(tx: Tx, order_id: str, *, method_ref: str | None, now: datetime) -> None:
    """An order was paid. With the last one the run ends; a new card is tried at once for what else is owed."""
    item = tx.get(DunningItem, order_id)
    if item is None:
        return
    run = lock(tx, item.run_id)
    item.state, item.settled_at = Owed.PAID, now
    tx.flush()
    if run.state is not RunState.OPEN:
        return  # late money for what was given up: the subscription is back, the run stays as it ended
    if not items(tx, run.id, Owed.OWED):
        close(tx, run, RunState.RECOVERED, now)
    elif method_ref is not None and method_ref != run.declined_method_ref:
        _add_try(tx, run.id, now)


def try_at_once(tx: Tx, account_id: str, method_ref: str, now: datetime) -> list[str]:
    """A new card is there: one more try now in every open run of the account. The ids of the new steps."""
    query = select(DunningRun).where(col(DunningRun.account_id) == account_id, col(DunningRun.state) == RunState.OPEN)
    in_turn = query.order_by(col(DunningRun.id)).with_for_update().execution_options(populate_existing=True)
    runs = [run for run in tx.execute(in_turn).scalars() if run.declined_method_ref != method_ref]
    return [_add_try(tx, run.id, now) for run in runs]


def _add_try(tx: Tx, run_id: str, now: datetime) -> str:
    """A step that is due now, writes no mail and ends nothing."""
    _add_steps(tx, run_id, (Rung(1, mail=False),), (now,))
    extra = steps(tx, run_id)[-1]
    extra.last = False
    tx.flush()
    return extra.id


def close(tx: Tx, run: DunningRun, state: RunState, now: datetime) -> None:
    require_move("dunning_run", run.state, state)
    run.state, run.closed_at = state, now
    _skip_open_steps(tx, run.id, now)
    events.append(tx, f"dunning.{state}", run.id, now=now, account_id=run.account_id)


def withdraw(tx: Tx, item: DunningItem, now: datetime) -> None:
    """The customer gave the subscription up: nothing is owed for it. The caller holds the order's lock."""
    run = lock(tx, item.run_id)
    item.state, item.settled_at = Owed.WITHDRAWN, now
    tx.flush()
    if run.state is RunState.OPEN and not items(tx, run.id, Owed.OWED):
        close(tx, run, RunState.WITHDRAWN, now)


def due_steps(tx: Tx, now: datetime, limit: int = 500) -> list[tuple[DunningStep, str]]:
    """Steps of open runs whose time has come, with their account, locked; a paused run's were put off."""
    query = (
        select(DunningStep, col(DunningRun.account_id))
        .join(DunningRun, col(DunningRun.id) == col(DunningStep.run_id))
        .where(
            col(DunningRun.state) == RunState.OPEN, col(DunningStep.done_at).is_(None), col(DunningStep.due_at) <= now
        )
        .order_by(col(DunningStep.run_id), col(DunningStep.due_at), col(DunningStep.position))
        .limit(limit)
        .with_for_update(of=DunningStep, skip_locked=True)
    )
    return [(step, account_id) for step, account_id in tx.execute(query)]


def next_due(tx: Tx, after: datetime) -> datetime | None:
    query = (
        select(func.min(col(DunningStep.due_at)))
        .join(DunningRun, col(DunningRun.id) == col(DunningStep.run_id))
        .where(
            col(DunningRun.state) == RunState.OPEN, col(DunningStep.done_at).is_(None), col(DunningStep.due_at) > after
        )
    )
    return tx.execute(query).scalar()


def pause(tx: Tx, run_id: str, *, days: int, reason: str, by: str, now: datetime) -> DunningRun:
    """Put every step off by so many days. Raises NotCollecting, AlreadyPaused."""
    run = _open(tx, run_id)
    if run.paused_until is not None and run.paused_until > now:
        raise AlreadyPaused(f"It is paused until {run.paused_until:%Y-%m-%d}; resume it first.")
    run.paused_until, run.pause_reason = now + timedelta(days=days), reason
    _shift(tx, run_id, timedelta(days=days))
    audit.record(tx, run.account_id, actor=by, action="dunning.paused", subject=run.id, now=now,
                 details={"reason": reason, "days": days})  # fmt: skip
    events.append(tx, "dunning.paused", run.id, now=now, account_id=run.account_id,
                  until=run.paused_until.isoformat())  # fmt: skip
    return run


def resume(tx: Tx, run_id: str, *, reason: str, by: str, now: datetime) -> DunningRun:
    """Take back what is left of a pause. Raises NotCollecting."""
    run = _open(tx, run_id)
    if run.paused_until is None or run.paused_until <= now:
        raise NotCollecting("It is not paused.")
    _shift(tx, run_id, now - run.paused_until)
    run.paused_until = run.pause_reason = None
    audit.record(tx, run.account_id, actor=by, action="dunning.resumed", subject=run.id, now=now,
                 details={"reason": reason})  # fmt: skip
    events.append(tx, "dunning.resumed", run.id, now=now, account_id=run.account_id)
    return run


def _open(tx: Tx, run_id: str) -> DunningRun:
    run = lock(tx, run_id)
    if run.state is not RunState.OPEN:
        raise NotCollecting(f"It ended on {run.closed_at:%Y-%m-%d}.")
    return run


def _shift(tx: Tx, run_id: str, by: timedelta) -> None:
    for step in to_come(tx, run_id):
        step.due_at += by
    tx.flush()


def charge_of(tx: Tx, order_id: str, step_id: str | None) -> AutomaticCharge | None:
    """The charge already intended for an order by this step, or by its renewal where there is no step."""
    same_step = col(AutomaticCharge.step_id).is_not_distinct_from(step_id)
    query = select(AutomaticCharge).where(col(AutomaticCharge.order_id) == order_id, same_step)
    return tx.execute(query).scalar_one_or_none()


def charge_row(
    subscription_id: str, order_id: str, step_id: str | None, attempt_id: str, now: datetime
) -> dict[str, Any]:  # fmt: skip
    """A charge that is about to be asked for."""
    return {
        "subscription_id": subscription_id, "order_id": order_id, "step_id": step_id, "attempt_id": attempt_id,
        "asked_at": now,
    }  # fmt: skip


def charges_since(tx: Tx, subscription_id: str, since: datetime) -> int:
    query = select(func.count()).select_from(AutomaticCharge).where(
        col(AutomaticCharge.subscription_id) == subscription_id, col(AutomaticCharge.asked_at) > since
    )  # fmt: skip
    return tx.execute(query).scalar_one()
