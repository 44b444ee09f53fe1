"""What says where a consumer is, apart from the address that was typed: kept with the order (R-TAX-5).

Art. 24b(d) and 24f of Regulation 282/2011: two items that do not contradict each other.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import select
from sqlmodel import col

from app.core.db import Tx
from app.core.errors import DomainError
from app.tax.dataset import load
from app.tax.models import LocationEvidence
from app.tax.names import country_codes
from app.tax.request import Evidence

ADDRESS: Final = "billing_address"
IP: Final = "ip"
CARD: Final = "card"
STATEMENT: Final = "statement"


class ResidenceNeeded(DomainError):
    """`seen` is the country that speaks against the address."""

    slug, title = "residence-needed", "Say in which country you live"


def for_engine(seen: Iterable[Evidence]) -> tuple[Evidence, ...]:
    """The items in the words of the engine, which knows a buyer's own statement as an item of another kind."""
    return tuple(Evidence("other" if each.kind == STATEMENT else each.kind, each.country) for each in seen)


def require_no_contradiction(country: str, seen: Sequence[Evidence]) -> None:
    """Ask a consumer again where something speaks for another country than the address, unless they said where they
    live. Raises ResidenceNeeded.
    """
    places = load().places
    home = places.seat(country)
    stated = [each.country for each in seen if each.kind == STATEMENT]
    if stated and all(places.seat(each) == home for each in stated):
        return
    against = next((each.country for each in seen if places.seat(each.country) != home), None)
    if against is not None:
        raise ResidenceNeeded(
            "Your connection comes from another country than your address. Say that you live there, or correct it.",
            param="residence", seen=against,
        )  # fmt: skip


def keep(tx: Tx, order_id: str, country: str, seen: Iterable[Evidence], now: datetime) -> None:
    """Write down the address and whatever else was known of a consumer when they ordered."""
    for each in (Evidence(ADDRESS, country), *seen):
        tx.add(LocationEvidence(
            order_id=order_id, kind=each.kind, value=each.country, country=each.country, captured_at=now
        ))  # fmt: skip
    tx.flush()


def keep_card(tx: Tx, order_id: str, country: str | None, now: datetime) -> bool:
    """Write down the country of the card that paid, once, beside what was kept at the order; nothing where nothing was.

    The caller holds the order's lock. Returns whether it speaks against the address.
    """
    kept = {each.kind: each.country for each in of_order(tx, order_id)}
    if country is None or country not in country_codes() or ADDRESS not in kept or CARD in kept:
        return False
    tx.add(LocationEvidence(order_id=order_id, kind=CARD, value=country, country=country, captured_at=now))
    tx.flush()
    places = load().places
    return places.seat(kept[ADDRESS]) != places.seat(country)


def of_order(tx: Tx, order_id: str) -> Sequence[LocationEvidence]:
    """What was kept, in its order."""
    query = select(LocationEvidence).where(col(LocationEvidence.order_id) == order_id)
    return tx.execute(query.order_by(col(LocationEvidence.id))).scalars().all()
