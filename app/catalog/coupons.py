"""Coupons: what a code is worth, to whom and how often; counted under a lock, so that a race uses one once."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from http import HTTPStatus
from typing import Any, Final

from sqlalchemy import func, select
from sqlmodel import col

from app.catalog.discounts import Discount
from app.catalog.models import Coupon, CouponDuration, CouponRedemption, RedemptionState
from app.core.db import Tx
from app.core.errors import DomainError
from app.core.ids import new_id
from app.core.money import Money
from app.core.states import require_move

_CODE: Final = re.compile(r"[A-Z0-9][A-Z0-9_-]{1,39}")
_ALIVE: Final = (RedemptionState.RESERVED, RedemptionState.REDEEMED)


class CouponRefused(DomainError):
    """The code buys nothing here; `reason` is unknown, not_yet, expired, used_up, other_plan,
    other_currency or nothing_left.
    """

    status, slug, title = HTTPStatus.UNPROCESSABLE_ENTITY, "coupon-refused", "This code cannot be used for this"

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail, param="coupon", reason=reason)


@dataclass(frozen=True, slots=True)
class Uses:
    """How often a coupon was used: by orders that wait for their payment, and by paid ones."""

    reserved: int
    redeemed: int


def normal(code: str) -> str:
    """A code as it is stored: people write them in any case, with blanks around."""
    return code.strip().upper()


def usable(tx: Tx, code: str, *, currency: str, skus: Sequence[str], day: date) -> Coupon:
    """The coupon behind a code, for these plans and add-ons on this day. Raises CouponRefused with the reason."""
    wanted = normal(code)
    query = select(Coupon).where(col(Coupon.code) == wanted, col(Coupon.withdrawn_at).is_(None))
    coupon = tx.execute(query).scalar_one_or_none() if _CODE.fullmatch(wanted) else None
    if coupon is None:
        raise CouponRefused("unknown", "There is no such code; check its letters, or go on without it.")
    if day < coupon.valid_from:
        raise CouponRefused("not_yet", f"The code {coupon.code} can be used from {coupon.valid_from} on.")
    if coupon.valid_to is not None and day >= coupon.valid_to:
        raise CouponRefused("expired", f"The code {coupon.code} could be used before {coupon.valid_to} only.")
    if coupon.plans and not set(coupon.plans) & set(skus):
        raise CouponRefused("other_plan", f"The code {coupon.code} is for {', '.join(coupon.plans)}.")
    if coupon.percent is None and currency not in coupon.amounts:
        sold = ", ".join(sorted(coupon.amounts))
        raise CouponRefused(
            "other_currency", f"The code {coupon.code} is worth an amount in {sold}, not in {currency}."
        )
    _require_left(tx, coupon)
    return coupon


def of_id(tx: Tx, coupon_id: str) -> Coupon:
    """A coupon that goes on beyond its first term, whether or not its code is still given out."""
    return tx.get_one(Coupon, coupon_id)


def covers(coupon: Coupon, sku: str) -> bool:
    """Whether lines of this plan or add-on are discounted."""
    return not coupon.plans or sku in coupon.plans


def discount_of(coupon: Coupon, currency: str) -> Discount:
    """What it takes off in a currency. A fixed amount is per order, whatever its term."""
    if coupon.percent is not None:
        return Discount(percent=Decimal(coupon.percent).normalize() + 0)
    return Discount(amount=Money(coupon.amounts.get(currency, 0), currency))


def terms(coupon: Coupon, currency: str) -> dict[str, Any]:
    """What previews, orders and invoices keep of a coupon, in JSON."""
    return {
        "coupon_id": coupon.id, "code": coupon.code, "name": coupon.name, "duration": str(coupon.duration),
        "months": coupon.months, "plans": list(coupon.plans), **discount_of(coupon, currency).to_json(),
    }  # fmt: skip


def words(kept: dict[str, Any], currency: str) -> str:
    """What kept terms are worth and for how long: `10 % off, on this order`."""
    worth = f"{Decimal(kept['percent']):f} %" if kept["percent"] else str(Money(kept["amount_minor"], currency))
    lasts = {
        CouponDuration.ONCE: "on this order",
        CouponDuration.REPEATING: f"on terms that begin within {kept['months']} months",
        CouponDuration.FOREVER: "on this and every later term",
    }
    return f"{worth} off, {lasts[CouponDuration(kept['duration'])]}"


def reserve(tx: Tx, coupon_id: str, *, order_id: str, account_id: str, given: Money, now: datetime) -> None:
    """Keep one use for an order that waits for its payment. Raises CouponRefused if none is left.

    The coupon's row lock makes racing orders take turns, so the last use goes to one of them.
    """
    coupon = tx.execute(
        select(Coupon).where(col(Coupon.id) == coupon_id).with_for_update().execution_options(populate_existing=True)
    ).scalar_one()
    _require_left(tx, coupon)
    tx.add(CouponRedemption(
        id=new_id("cpr"), coupon_id=coupon_id, order_id=order_id, account_id=account_id,
        state=RedemptionState.RESERVED, currency=given.currency, amount_minor=given.minor, reserved_at=now,
    ))  # fmt: skip
    tx.flush()


def redeem(tx: Tx, order_id: str, now: datetime) -> None:
    """The order is paid: its use counts, also where it had been given back and the money came all the same."""
    _settle(tx, order_id, RedemptionState.REDEEMED, now)


def release(tx: Tx, order_id: str, now: datetime) -> None:
    """The order died: its use is given back."""
    _settle(tx, order_id, RedemptionState.RELEASED, now)


def _settle(tx: Tx, order_id: str, state: RedemptionState, now: datetime) -> None:
    query = select(CouponRedemption).where(col(CouponRedemption.order_id) == order_id).with_for_update()
    redemption = tx.execute(query).scalar_one_or_none()
    if redemption is None or redemption.state is state:
        return
    require_move("coupon_redemption", redemption.state, state)
    redemption.state, redemption.settled_at = state, now
    tx.flush()


def _require_left(tx: Tx, coupon: Coupon) -> None:
    if coupon.max_redemptions is None:
        return
    query = select(func.count()).where(
        col(CouponRedemption.coupon_id) == coupon.id, col(CouponRedemption.state).in_(_ALIVE)
    )
    if tx.execute(query).scalar_one() >= coupon.max_redemptions:
        raise CouponRefused("used_up", f"The code {coupon.code} was used as often as it can be.")


def uses(tx: Tx) -> dict[str, Uses]:
    """By coupon id."""
    query = select(col(CouponRedemption.coupon_id), col(CouponRedemption.state), func.count()).group_by(
        col(CouponRedemption.coupon_id), col(CouponRedemption.state)
    )
    counted: dict[str, dict[str, int]] = {}
    for coupon_id, state, count in tx.execute(query):
        counted.setdefault(coupon_id, {})[state] = count
    return {
        coupon_id: Uses(by.get(RedemptionState.RESERVED, 0), by.get(RedemptionState.REDEEMED, 0))
        for coupon_id, by in counted.items()
    }


def given(tx: Tx) -> dict[str, list[Money]]:
    """What paid orders were given, by coupon id, one amount per currency."""
    query = (
        select(
            col(CouponRedemption.coupon_id), col(CouponRedemption.currency),
            func.sum(col(CouponRedemption.amount_minor)),
        )
        .where(col(CouponRedemption.state) == RedemptionState.REDEEMED)
        .group_by(col(CouponRedemption.coupon_id), col(CouponRedemption.currency))
        .order_by(col(CouponRedemption.currency))
    )  # fmt: skip
    sums: dict[str, list[Money]] = {}
    for coupon_id, currency, minor in tx.execute(query):
        sums.setdefault(coupon_id, []).append(Money(int(minor), currency))
    return sums
