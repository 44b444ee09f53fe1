"""Requests and offers as rows: taken, drafted, found, moved between their states."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import delete, func, select
from sqlmodel import col

from app.core import audit, events
from app.core.db import Tx
from app.core.errors import NotFound
from app.core.ids import new_id
from app.core.money import Money
from app.core.states import MoveRefused, require_move
from app.quotes.discounts import share
from app.quotes.models import OPEN, PaymentTerms, Quote, QuoteApproval, QuoteLine, QuoteState
from app.quotes.numbering import next_number

TOKEN: Final = "quote"  # noqa: S105 -- the label of a derived key


@dataclass(frozen=True, slots=True)
class Wording:
    """What an offer says beside its figures. `expires_at` is the end of `valid_until` where the account lives."""

    contact_name: str
    contact_email: str
    valid_until: date
    expires_at: datetime
    message: str = ""
    internal_note: str = ""
    payment: PaymentTerms = PaymentTerms.CARD
    net_days: int | None = None
    seller: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LineOffered:
    plan_id: str
    sku: str
    description: str
    quantity: int
    unit: Money
    full: Money
    net: Money
    tax: Money
    points: int | None  # the discount, where it was given in percent


def request(
    tx: Tx, *, account_id: str, preview_id: str, reasons: list[dict[str, Any]], contact_name: str,
    contact_email: str, note: str, now: datetime,
) -> Quote:  # fmt: skip
    """Take a request, once per preview: a second click finds the first."""
    if known := of_preview(tx, preview_id):
        return known
    quote = Quote(
        id=new_id("quo"), account_id=account_id, preview_id=preview_id, state=QuoteState.REQUESTED, reasons=reasons,
        contact_name=contact_name, contact_email=contact_email, note=note, created_at=now,
    )  # fmt: skip
    tx.add(quote)
    tx.flush()
    events.append(tx, "quote.requested", quote.id, now=now, account_id=account_id,
                  reasons=[each["code"] for each in reasons])  # fmt: skip
    return quote


def of_preview(tx: Tx, preview_id: str) -> Quote | None:
    return tx.execute(select(Quote).where(col(Quote.preview_id) == preview_id)).scalar_one_or_none()


def get(tx: Tx, quote_id: str) -> Quote:
    quote = tx.get(Quote, quote_id)
    if quote is None:
        raise NotFound("There is no such quote.")
    return quote


def lock(tx: Tx, quote_id: str) -> Quote:
    """The quote, locked: of two who accept at once the second waits here and then finds it accepted."""
    quote = tx.execute(
        select(Quote).where(col(Quote.id) == quote_id).with_for_update().execution_options(populate_existing=True)
    ).scalar_one_or_none()
    if quote is None:
        raise NotFound("There is no such quote.")
    return quote


def of_order(tx: Tx, order_id: str) -> Quote | None:
    """The quote whose acceptance made an order."""
    return tx.execute(select(Quote).where(col(Quote.order_id) == order_id)).scalar_one_or_none()


def lines(tx: Tx, quote_id: str) -> list[QuoteLine]:
    query = select(QuoteLine).where(col(QuoteLine.quote_id) == quote_id).order_by(col(QuoteLine.position))
    return list(tx.execute(query).scalars())


def new_draft(
    *, account_id: str, reasons: list[dict[str, Any]], contact_name: str, contact_email: str, now: datetime,
    revises: Quote | None = None,
) -> Quote:  # fmt: skip
    """A new row for an offer that nobody asked for, or for the next revision of one; `offer` fills it in."""
    return Quote(
        id=new_id("quo"), account_id=account_id, state=QuoteState.DRAFT, reasons=reasons, contact_name=contact_name,
        contact_email=contact_email, created_at=now, revises_id=revises.id if revises else None,
        number=revises.number if revises else None, revision=revises.revision if revises else 0,
    )  # fmt: skip


def offer(
    tx: Tx, quote: Quote, *, offer_id: str, reasons: list[dict[str, Any]], wording: Wording,
    offered: Sequence[LineOffered], year: int, by: str, now: datetime,
) -> None:  # fmt: skip
    """Write an offer into a request or a draft; the first time it gets its number. Raises MoveRefused."""
    if quote.state not in {QuoteState.REQUESTED, QuoteState.DRAFT}:
        raise MoveRefused(f"A quote that is {quote.state} is not written any more; revise it.", state=str(quote.state))
    first = quote.offer_id is None
    # Before anything is set: the query would write out half an offer.
    number = quote.number or next_number(tx, year)
    quote.offer_id, quote.reasons, quote.prepared_by = offer_id, reasons, by
    for name in ("contact_name", "contact_email", "valid_until", "expires_at", "message", "internal_note", "payment",
                 "net_days", "seller"):  # fmt: skip
        setattr(quote, name, getattr(wording, name))
    quote.number, quote.revision = number, quote.revision + 1 if first else quote.revision
    quote.state = QuoteState.DRAFT
    tx.add(quote)
    tx.flush()
    tx.execute(delete(QuoteLine).where(col(QuoteLine.quote_id) == quote.id))
    tx.add_all(_row(quote.id, position, line) for position, line in enumerate(offered, start=1))
    tx.flush()
    audit.record(tx, quote.account_id, actor=by, action="quote.drafted", subject=quote.id, now=now,
                 details={"number": quote.shown_number, "offer": offer_id})  # fmt: skip
    if first:
        events.append(tx, "quote.drafted", quote.id, now=now, account_id=quote.account_id, number=quote.shown_number)


def _row(quote_id: str, position: int, line: LineOffered) -> QuoteLine:
    return QuoteLine(
        quote_id=quote_id, position=position, plan_id=line.plan_id, sku=line.sku, description=line.description,
        quantity=line.quantity, unit_minor=line.unit.minor, list_minor=line.full.minor, discount_points=line.points,
        discount_minor=(line.full - line.net).minor, net_minor=line.net.minor, tax_minor=line.tax.minor,
    )  # fmt: skip


def steepest(found: Sequence[QuoteLine], currency: str) -> int:
    """The largest discount of a line, in hundredths of a percent of what the line costs by the list."""
    return max(
        (share(Money(line.discount_minor, currency), Money(line.list_minor, currency)) for line in found), default=0
    )


def approval_of(tx: Tx, quote: Quote) -> QuoteApproval | None:
    """The approval of exactly the figures that stand now: an edit makes new figures, which have none."""
    query = select(QuoteApproval).where(col(QuoteApproval.offer_id) == quote.offer_id)
    return tx.execute(query).scalar_one_or_none()


def approve(tx: Tx, quote: Quote, *, points: int, by: str, why: str, now: datetime) -> QuoteApproval:
    """Keep who agreed to the discount. The caller has checked that they may."""
    approval = QuoteApproval(
        quote_id=quote.id, offer_id=quote.offer_id or "", discount_points=points, prepared_by=quote.prepared_by or "",
        approved_by=by, why=why, approved_at=now,
    )  # fmt: skip
    tx.add(approval)
    tx.flush()
    audit.record(tx, quote.account_id, actor=by, action="quote.discount_approved", subject=quote.id, now=now,
                 details={"reason": why, "discount_points": points, "prepared_by": approval.prepared_by})  # fmt: skip
    return approval


def move(tx: Tx, quote: Quote, state: QuoteState, *, by: str, now: datetime, reason: str = "", **told: Any) -> None:
    """Move a quote and tell of it; an end keeps its reason. Raises MoveRefused for a move that is not in the table."""
    require_move("quote", quote.state, state)
    quote.state = state
    if state not in OPEN:
        quote.closed_at, quote.closed_reason = now, reason or None
    tx.flush()
    details = {"reason": reason} if reason else {}
    audit.record(tx, quote.account_id, actor=by, action=f"quote.{state}", subject=quote.id, now=now, details=details)
    number = {"number": quote.shown_number} if quote.number else {}
    events.append(tx, f"quote.{state}", quote.id, now=now, account_id=quote.account_id, **number, **told)


def newer(tx: Tx, quote: Quote) -> Quote | None:
    """The latest revision after this one that the customer may see."""
    if quote.number is None:
        return None
    return tx.execute(
        select(Quote)
        .where(
            col(Quote.number) == quote.number,
            col(Quote.revision) > quote.revision,
            col(Quote.state) != QuoteState.DRAFT,
            col(Quote.sent_at).is_not(None),
        )
        .order_by(col(Quote.revision).desc())
        .limit(1)
    ).scalar_one_or_none()


def revisions(tx: Tx, quote: Quote) -> list[Quote]:
    """Every revision of the deal, oldest first."""
    if quote.number is None:
        return [quote]
    query = select(Quote).where(col(Quote.number) == quote.number).order_by(col(Quote.revision))
    return list(tx.execute(query).scalars())


def overdue(tx: Tx, now: datetime, limit: int = 200) -> list[str]:
    """Ids of open offers whose last day has passed."""
    query = (
        select(col(Quote.id))
        .where(col(Quote.state).in_(OPEN), col(Quote.expires_at) <= now)
        .order_by(col(Quote.expires_at))
        .limit(limit)
    )
    return list(tx.execute(query).scalars())


def next_expiry(tx: Tx, after: datetime) -> datetime | None:
    query = select(func.min(col(Quote.expires_at))).where(col(Quote.state).in_(OPEN), col(Quote.expires_at) > after)
    return tx.execute(query).scalar()
