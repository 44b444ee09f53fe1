"""Requests for a quote: taken, listed, closed."""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import select
from sqlmodel import col

from app.core import audit, events
from app.core.db import Tx
from app.core.errors import NotFound
from app.core.ids import new_id
from app.core.states import MoveRefused
from app.quotes.models import Quote, QuoteState

TOKEN: Final = "quote"  # noqa: S105 -- the label of a derived key


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


def close(tx: Tx, quote_id: str, *, state: QuoteState, reason: str, by: str, now: datetime) -> Quote:
    """Decline or withdraw a request. Raises MoveRefused if it is closed already."""
    quote = tx.execute(select(Quote).where(col(Quote.id) == quote_id).with_for_update()).scalar_one_or_none()
    if quote is None:
        raise NotFound("There is no such quote.")
    if quote.state is not QuoteState.REQUESTED:
        raise MoveRefused(f"A quote request that is {quote.state} is closed.", state=str(quote.state))
    quote.state, quote.closed_reason, quote.closed_at = state, reason, now
    audit.record(tx, quote.account_id, actor=by, action=f"quote.{state}", subject=quote.id, now=now,
                 details={"reason": reason})  # fmt: skip
    events.append(tx, f"quote.{state}", quote.id, now=now, account_id=quote.account_id)
    return quote
