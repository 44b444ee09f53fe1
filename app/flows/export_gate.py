"""Whether anything may be delivered to an account: asked again wherever a license or a workspace changes hands."""

from datetime import datetime

from app.accounts import service as accounts
from app.core.clock import local_date
from app.core.db import Tx
from app.core.errors import DomainError
from app.orders.models import Order, Preview
from app.screening import destinations
from app.screening import service as screening
from app.screening.destinations import DestinationRefused, Place
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
    place = Place(buyer["country"], buyer["postcode"], buyer["region"], buyer["city"])
    rule = destinations.rule_for(place, now.date())
    return (rule is None or rule.action != "block") and barred(tx, order.account_id, now) is None
