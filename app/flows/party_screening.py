"""Who orders is compared with the lists before anybody is charged; a name that is like a listed one waits for a person.

An order in review goes on by itself once the last case of its account is cleared (`screening_decisions`). Nobody but
staff is told why it waits.
"""

from datetime import datetime
from typing import Final

from sqlalchemy import select
from sqlmodel import col

from app.accounts import service as accounts
from app.accounts.models import Account, BuyerType, Member
from app.accounts.service import BuyerDetails
from app.core import policy
from app.core.clock import local_date
from app.core.db import Tx
from app.core.errors import DomainError
from app.flows import attesting
from app.flows import preview as previews
from app.flows.ports import Ports
from app.orders import service as orders
from app.orders.models import Order, Preview
from app.screening import destinations, lists, matching
from app.screening import service as screening
from app.screening.matching import Party
from app.screening.models import CheckOutcome, Role
from app.screening.service import Screened

_CLEAR: Final = Screened(CheckOutcome.CLEAR)


class StillInReview(DomainError):
    slug, title = "still-in-review", "The screening of this buyer is not decided yet"


def parties_of(tx: Tx, account: Account, buyer: BuyerDetails | None = None) -> list[Party]:
    """Everybody who is behind an account: itself, its people, and the buyer of an order as they were typed."""
    own = Role.COMPANY if account.type is BuyerType.BUSINESS else Role.PERSON
    people = tx.execute(
        select(col(Member.name)).where(col(Member.account_id) == account.id, col(Member.removed_at).is_(None))
    ).scalars()
    found = [Party(own, account.name, account.country), *(Party(Role.PERSON, each, account.country) for each in people)]
    if buyer is not None:
        found += [Party(Role.COMPANY, buyer.company, buyer.country), Party(Role.PERSON, buyer.name, buyer.country)]
    return [each for each in dict.fromkeys(found) if each.name.strip()]


def of_order(tx: Tx, account: Account, preview: Preview, now: datetime, *, test: bool) -> Screened:
    """Screen whoever is behind an order, and keep what was asked and found. Where no list was ever imported and none is
    required, nobody is screened.
    """
    if not lists.newest(tx):
        missing = tuple(lists.missing(tx, now, test=test))
        return Screened(CheckOutcome.REVIEW, missing=missing) if missing else _CLEAR
    parties = parties_of(tx, account, previews.request_of(preview).buyer)
    hits = matching.find(
        tx, parties, at_least=policy.get(tx, matching.REVIEW_SCORE, now), on=local_date(now, account.time_zone)
    )
    return screening.screen(tx, account.id, parties, hits, by="order", test=test, now=now, preview_id=preview.id)


def of_trial(tx: Tx, account: Account, buyer: BuyerDetails, now: datetime, *, test: bool) -> Screened:
    """The same for whoever wants to try the product; only who was typed, not the account that the address leads to."""
    if not lists.newest(tx):
        missing = tuple(lists.missing(tx, now, test=test))
        return Screened(CheckOutcome.REVIEW, missing=missing) if missing else _CLEAR
    typed = [Party(Role.COMPANY, buyer.company, buyer.country), Party(Role.PERSON, buyer.name, buyer.country)]
    parties = [each for each in dict.fromkeys(typed) if each.name.strip()]
    hits = matching.find(
        tx, parties, at_least=policy.get(tx, matching.REVIEW_SCORE, now), on=local_date(now, account.time_zone)
    )
    return screening.screen(tx, account.id, parties, hits, by="trial", test=test, now=now)


def require_clear(ports: Ports, order_id: str) -> None:
    """Screen the buyer of a held order anew, which is kept whatever comes of it. Raises NotFound, StillInReview, also
    where nobody has said of late who does not own it.
    """
    with ports.db.transaction() as tx:
        order = orders.get(tx, order_id)
        preview = tx.get_one(Preview, order.preview_id)
        account, now = accounts.get(tx, order.account_id), ports.clock.now()
        screened = of_order(tx, account, preview, now, test=ports.test_mode)
        unsaid = attesting.missing(tx, account, now)
    if screened.missing:
        raise StillInReview(f"Import the list {', '.join(screened.missing)} first: `blp screening import`.")
    if screened.cases:
        count = len(screened.cases)
        raise StillInReview(
            f"{count} {'name is' if count == 1 else 'names are'} like a listed one; decide under Screening, then the"
            " order goes on by itself."
        )
    if unsaid:
        raise StillInReview(
            "Nobody has said of late that no listed party owns the company. Ask them in writing and record it on the"
            " page of the account; then the order goes on by itself."
        )


def holds_alone(tx: Tx, order: Order, now: datetime) -> bool:
    """Whether a held order waits for a case of its account, or for what is to be said of its ownership, and for nothing
    else that a person has to look at.
    """
    account = accounts.get(tx, order.account_id)
    asks = bool(screening.in_question(tx, [account.id])) or attesting.missing(tx, account, now)
    return asks and not waits_for_more(tx, order.id, now)


def waits_for_more(tx: Tx, order_id: str, now: datetime) -> bool:
    """Whether a person has to look at a held order for something else: its tax, or where it goes."""
    order = orders.get(tx, order_id)
    preview = tx.get_one(Preview, order.preview_id)
    if any(each["code"] in {"tax_unclear", "export_hold"} for each in order.reasons):
        return True
    return destinations.rule_for(previews.place_of(previews.request_of(preview).buyer), now.date()) is not None
