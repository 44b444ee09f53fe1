"""Whether anything may be delivered to an account: asked again wherever a license or a workspace changes hands."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any

from sqlalchemy import exists, select
from sqlmodel import col

from app.accounts import service as accounts
from app.accounts.models import Account
from app.core.bulk import among
from app.core.clock import local_date
from app.core.db import Tx
from app.core.errors import DomainError
from app.orders.models import Order, Preview
from app.screening import destinations
from app.screening import service as screening
from app.screening.destinations import DestinationRefused, Place
from app.screening.models import CaseState, ScreeningCase
from app.screening.service import PartyRefused


def barred(tx: Tx, account_id: str, now: datetime) -> DomainError | None:
    """Why nothing may be delivered: its address is forbidden by now, or a person confirmed a listed party."""
    account = accounts.get(tx, account_id)
    place = Place(account.country, account.postcode, account.region, account.city)
    try:
        destinations.require_allowed(place, local_date(now, account.time_zone))
    except DestinationRefused as refused:
        return refused
    return PartyRefused() if screening.refused(tx, account_id) else None


def require_deliverable(tx: Tx, account_id: str, now: datetime) -> None:
    """Raises DestinationRefused, PartyRefused: 451 either way."""
    found = barred(tx, account_id, now)
    if found is not None:
        raise found


def fulfillable(tx: Tx, order: Order, now: datetime) -> bool:
    """Whether what an order is for may be delivered: to its account, and to the address that it was ordered for."""
    buyer = tx.get_one(Preview, order.preview_id).inputs["buyer"]
    return not forbidden(buyer, now.date()) and barred(tx, order.account_id, now) is None


def forbidden(buyer: Mapping[str, Any], on: date) -> bool:
    """Whether the address that was ordered for, as the preview has its buyer, may not be delivered to."""
    return _blocked(Place(buyer["country"], buyer["postcode"], buyer["region"], buyer["city"]), on)


def barred_among(tx: Tx, account_ids: Iterable[str], now: datetime) -> set[str]:
    """Those of these accounts for which `barred` has a reason, by one question."""
    confirmed = exists().where(
        col(ScreeningCase.account_id) == col(Account.id), col(ScreeningCase.state) == CaseState.CONFIRMED
    )
    query = select(
        col(Account.id), col(Account.country), col(Account.postcode), col(Account.region), col(Account.city),
        col(Account.time_zone), confirmed.label("confirmed"),
    ).where(among(col(Account.id), account_ids))  # fmt: skip
    return {
        row.id
        for row in tx.execute(query)
        if row.confirmed
        or _blocked(Place(row.country, row.postcode, row.region, row.city), local_date(now, row.time_zone))
    }


def _blocked(place: Place, on: date) -> bool:
    rule = destinations.rule_for(place, on)
    return rule is not None and rule.action == "block"
