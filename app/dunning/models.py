from datetime import date, datetime
from enum import StrEnum
from typing import Final

from sqlalchemy import CheckConstraint, Index, UniqueConstraint, text
from sqlmodel import Field

from app.core.db import CURRENCY, INSTANT, Table, currency_check, minor_field, personal, row_id, text_enum
from app.core.states import declare_moves


class RunState(StrEnum):
    OPEN = "open"
    RECOVERED = "recovered"  # everything was paid
    GIVEN_UP = "given_up"  # the ladder ended unpaid
    WITHDRAWN = "withdrawn"  # nothing is owed any more: the customer gave the subscriptions up


MOVES: Final = declare_moves(
    "dunning_run",
    {
        (RunState.OPEN, RunState.RECOVERED),
        (RunState.OPEN, RunState.GIVEN_UP),
        (RunState.OPEN, RunState.WITHDRAWN),
    },
)


class Owed(StrEnum):
    OWED = "owed"
    PAID = "paid"
    GIVEN_UP = "given_up"
    WITHDRAWN = "withdrawn"


class Outcome(StrEnum):
    """What became of a step."""

    PAID = "paid"
    DECLINED = "declined"
    NEEDS_CARD = "needs_card"  # nothing was charged: the card is dead, or there is none
    SKIPPED = "skipped"


class DunningRun(Table, table=True):
    """The ladder that an account climbs in one currency. Its retries and their days are frozen when it begins."""

    __tablename__ = "dunning_run"
    __table_args__ = (
        currency_check(),
        CheckConstraint("(state = 'open') = (closed_at IS NULL)", name="closed_has_instant"),
        CheckConstraint("(paused_until IS NULL) = (pause_reason IS NULL)", name="pause_says_why"),
        # R43: counted per customer and currency.
        Index(
            "uq_dunning_run_one_open", "account_id", "currency", unique=True,
            postgresql_where=text("state = 'open'"),
        ),
    )  # fmt: skip

    id: str = Field(primary_key=True)
    account_id: str = Field(foreign_key="account.id", index=True)
    currency: str = Field(sa_type=CURRENCY)
    state: RunState = Field(sa_type=text_enum(RunState, name="run_state"), index=True)
    opened_at: datetime = Field(sa_type=INSTANT)
    closed_at: datetime | None = Field(default=None, sa_type=INSTANT)
    # Of the last charge that failed: the provider's code, whether another card is needed, and which card it was.
    failure_code: str
    needs_card: bool
    declined_method_ref: str | None = None
    paused_until: datetime | None = Field(default=None, sa_type=INSTANT)
    pause_reason: str | None = Field(default=None, sa_column_kwargs=personal("free_text"))


class DunningItem(Table, table=True):
    """One renewal that is owed. Its order stays open until the run ends, so that it is paid once, by whatever way."""

    __tablename__ = "dunning_item"
    __table_args__ = (
        currency_check(),
        CheckConstraint("amount_minor > 0", name="amount_positive"),
        CheckConstraint("(state = 'owed') = (settled_at IS NULL)", name="settled_has_instant"),
        Index("uq_dunning_item_one_owed", "subscription_id", unique=True, postgresql_where=text("state = 'owed'")),
    )

    order_id: str = Field(primary_key=True, foreign_key="order.id")
    run_id: str = Field(foreign_key="dunning_run.id", index=True)
    subscription_id: str = Field(foreign_key="subscription.id", index=True)
    old_end_on: date
    amount_minor: int = minor_field()
    currency: str = Field(sa_type=CURRENCY)
    state: Owed = Field(sa_type=text_enum(Owed, name="owed_state"))
    added_at: datetime = Field(sa_type=INSTANT)
    settled_at: datetime | None = Field(default=None, sa_type=INSTANT)


class DunningStep(Table, table=True):
    """One rung: a retry at `due_at`, with a mail if it fails; after the last one the run is given up."""

    __tablename__ = "dunning_step"
    __table_args__ = (
        UniqueConstraint("run_id", "position"),
        CheckConstraint("(done_at IS NULL) = (outcome IS NULL)", name="done_has_outcome"),
    )

    id: str = Field(primary_key=True)
    run_id: str = Field(foreign_key="dunning_run.id", index=True)
    position: int
    due_at: datetime = Field(sa_type=INSTANT, index=True)
    mails: bool
    last: bool
    done_at: datetime | None = Field(default=None, sa_type=INSTANT)
    outcome: Outcome | None = Field(default=None, sa_type=text_enum(Outcome, name="step_outcome"))


class AutomaticCharge(Table, table=True):
    """A charge nobody pressed a button for, written down before the provider is asked.

    An order is charged once by its renewal (no step) and once by each step, however often a worker starts over.
    """

    __tablename__ = "automatic_charge"
    __table_args__ = (
        UniqueConstraint("order_id", "step_id", postgresql_nulls_not_distinct=True),
        Index("ix_automatic_charge_of_day", "subscription_id", "asked_at"),
    )

    id: int | None = row_id()
    subscription_id: str = Field(foreign_key="subscription.id")
    order_id: str = Field(foreign_key="order.id")
    step_id: str | None = Field(default=None, foreign_key="dunning_step.id")
    attempt_id: str = Field(foreign_key="payment_attempt.id", unique=True)
    asked_at: datetime = Field(sa_type=INSTANT)
