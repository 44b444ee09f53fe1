"""The codes that give a discount: what each is worth, to whom, and how often it was used."""

from datetime import date
from decimal import Decimal

from fastapi import APIRouter, Request
from sqlalchemy import select
from sqlmodel import col
from starlette.responses import Response

from app.accounts import service as accounts
from app.catalog import coupons
from app.catalog.models import Coupon, CouponDuration
from app.core.clock import local_date
from app.core.money import Money
from app.web.console.operations_views import CouponsView
from app.web.console.render import Reader, page
from app.web.console.views import Cell
from app.web.deps import Now, Tx

router = APIRouter()
_LASTS = {CouponDuration.ONCE: "first term", CouponDuration.FOREVER: "every term"}


@router.get("/console/coupons")
def listed(request: Request, tx: Tx, now: Now, who: Reader) -> Response:
    """All of them, the withdrawn ones last: a catalog has few."""
    today = local_date(now, accounts.seller(tx).time_zone)
    uses, given = coupons.uses(tx), coupons.given(tx)
    query = select(Coupon).order_by(col(Coupon.withdrawn_at).is_not(None), col(Coupon.code))
    rows = []
    for each in tx.execute(query).scalars():
        used = uses.get(each.id, coupons.Uses(0, 0))
        most = f" of {each.max_redemptions:,}" if each.max_redemptions else ""
        waiting = f"{used.reserved:,} more wait for their payment" if used.reserved else ""
        until = f"until {each.valid_to:%d %b %Y}, that day not included" if each.valid_to else ""
        rows.append((
            Cell(text=each.code, note=each.name, mono=True), Cell(state=_state(each, today)),
            Cell(text=_worth(each), note=_lasts(each)), Cell(text=", ".join(each.plans) or "every plan"),
            Cell(day=each.valid_from, note=until), Cell(text=f"{used.redeemed:,}{most}", note=waiting, number=True),
            Cell(text=", ".join(str(amount) for amount in given.get(each.id, [])), number=True),
        ))  # fmt: skip
    return page(request, tx, CouponsView(rows=tuple(rows)), who)


def _state(coupon: Coupon, today: date) -> str:
    if coupon.withdrawn_at is not None:
        return "withdrawn"
    return "expired" if coupon.valid_to is not None and coupon.valid_to <= today else "active"


def _worth(coupon: Coupon) -> str:
    if coupon.percent is not None:
        return f"{Decimal(coupon.percent).normalize():f} %"
    return ", ".join(str(Money(minor, currency)) for currency, minor in sorted(coupon.amounts.items()))


def _lasts(coupon: Coupon) -> str:
    if coupon.duration is CouponDuration.REPEATING:
        return f"terms that begin within {coupon.months} months"
    return _LASTS[coupon.duration]
