"""Changes of subscriptions as the API shows them."""

from datetime import date, datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from app.catalog.models import Plan
from app.core.db import Tx as Unit
from app.flows.seat_change import Wanted
from app.orders.models import PayBy
from app.subscriptions import scheduled
from app.subscriptions.models import ScheduledChange, ScheduledState, Subscription
from app.web.api.orders import AcceptanceIn, OrderOut, PreviewId
from app.web.api.previews import EXAMPLE, PreviewOut
from app.web.api.shapes import In, Line, MoneyOut, PageOut

_Sku = Annotated[str, Field(min_length=1, max_length=100)]


class ChangeIn(In):
    """The subscription as it shall be; what is left out stays. `add_ons` lists all of them.

    An add-on that is held for every seat follows the seats. More of anything, or a higher plan, begins at once; less
    of it begins with the next term.
    """

    model_config = ConfigDict(json_schema_extra={"example": {"seats": 30}})

    seats: Annotated[int, Field(strict=True, ge=1, le=100_000_000)] | None = None
    plan: _Sku | None = None
    add_ons: Annotated[list[_Sku], Field(max_length=20)] | None = None

    @model_validator(mode="after")
    def asks_for_something(self) -> Self:
        if self.seats is None and self.plan is None and self.add_ons is None:
            raise ValueError("say what shall change: `seats`, `plan` or `add_ons`")
        return self

    def wanted(self) -> Wanted:
        return Wanted(self.seats, self.plan, None if self.add_ons is None else tuple(self.add_ons))


class NextTermOut(BaseModel):
    """What the next term costs at today's prices, once the change is carried out."""

    net: MoneyOut
    tax: MoneyOut
    total: MoneyOut


class ChangePreviewOut(PreviewOut):
    """An offer to change a subscription on `on`: `now`, or `at_renewal` without a charge.

    `credit` is what a plan that ends gives back, with its tax of then; it pays towards `total`, then the
    account's `own_credit` does, and `due` is charged.
    Where `carried` is true the total is too small to be charged and goes on the next invoice.
    """

    model_config = ConfigDict(json_schema_extra={"example": EXAMPLE | {
        "kind": "expansion", "effective": "now", "on": "2026-11-22", "credit": {"amount": 0, "currency": "EUR"},
        "due": {"amount": 275000, "currency": "EUR"}, "carried": False, "saved_card": "Visa ending in 4242",
        "next_term": {"net": {"amount": 550000, "currency": "EUR"}, "tax": {"amount": 0, "currency": "EUR"},
                      "total": {"amount": 550000, "currency": "EUR"}},
    }})  # fmt: skip

    effective: Literal["now", "at_renewal"]
    on: date
    credit: MoneyOut
    due: MoneyOut
    carried: bool
    next_term: NextTermOut | None
    saved_card: str | None


class ChangeOrderIn(In):
    """`acceptance` is needed for what begins now; `payment` is the saved card, the pay page, or an invoice."""

    model_config = ConfigDict(json_schema_extra={"example": {
        "preview": "prv_01ka8qj6x0c5q4m3t2r1p0n9mk",
        "acceptance": {"terms": "trm_01ka8qj6x0c5q4m3t2r1p0n9mk", "authority": True},
    }})  # fmt: skip

    preview: PreviewId
    acceptance: AcceptanceIn | None = None
    payment: PayBy = PayBy.CARD
    po_number: Annotated[Line, Field(max_length=60)] = ""


class ScheduledChangeOut(BaseModel):
    """What the next term will have less of; null stays as it is held then. `on` is the day it begins."""

    model_config = ConfigDict(json_schema_extra={"example": {
        "id": "chg_01ka8qj6x0c5q4m3t2r1p0n9mk", "state": "scheduled", "on": "2027-11-22", "plan": None, "seats": 20,
        "dropped": [], "requested_at": "2026-11-22T09:00:00Z", "closed_at": None, "order_id": None,
    }})  # fmt: skip

    id: str
    state: ScheduledState
    on: date | None = Field(description="Null once it is withdrawn or applied.")
    plan: str | None
    seats: int | None
    dropped: list[str]
    requested_at: datetime
    closed_at: datetime | None
    order_id: str | None = Field(description="The renewal that applied it.")

    @classmethod
    def of(cls, tx: Unit, row: ScheduledChange, held: Subscription) -> Self:
        return cls(
            id=row.id, state=row.state, on=held.ends_on if row.state is ScheduledState.SCHEDULED else None,
            plan=tx.get_one(Plan, row.plan_id).sku if row.plan_id else None, seats=row.seats, dropped=row.dropped,
            requested_at=row.requested_at, closed_at=row.closed_at, order_id=row.order_id,
        )  # fmt: skip

    @classmethod
    def waiting(cls, tx: Unit, held: Subscription) -> Self | None:
        row = scheduled.scheduled(tx, held.id)
        return cls.of(tx, row, held) if row is not None else None


class ScheduledChangeList(PageOut[ScheduledChangeOut]):
    pass


class ChangeOut(BaseModel):
    """Either the `order` of what begins now, or the `scheduled` change of the next term."""

    model_config = ConfigDict(json_schema_extra={"example": {
        "order": None, "scheduled": {"id": "chg_01ka8qj6x0c5q4m3t2r1p0n9mk", "state": "scheduled", "on": "2027-11-22",
        "plan": None, "seats": 20, "dropped": [], "requested_at": "2026-11-22T09:00:00Z", "closed_at": None,
        "order_id": None},
    }})  # fmt: skip

    order: OrderOut | None = None
    scheduled: ScheduledChangeOut | None = None
