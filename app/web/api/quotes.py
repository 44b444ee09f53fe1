"""Quotes: what sales answers when a deal does not run by itself."""

from datetime import datetime
from typing import Annotated, Self

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select
from sqlmodel import col

from app.accounts.models import ApiKey
from app.core import paging
from app.core.db import Tx as Unit
from app.core.errors import Invalid, NotAllowed, NotFound
from app.core.states import MoveRefused
from app.flows import quoting
from app.flows.ports import Ports
from app.orders.errors import PreviewExpired
from app.orders.models import Preview
from app.quotes import service
from app.quotes.models import Quote, QuoteState
from app.web.api.access import KEYED, KEYLESS, Anyone, find, key_with, vendor_with, visible
from app.web.api.orders import PreviewId
from app.web.api.previews import named
from app.web.api.shapes import In, JsonRoute, Limit, MoneyOut, Note, PageOut, ReasonOut, cursor
from app.web.deps import Now, Tx, Wired
from app.web.problems import problems

router = APIRouter(
    prefix="/v1/quotes", tags=["quotes"], route_class=JsonRoute
)  # fmt: skip

Reader = Annotated[ApiKey, key_with("orders:read")]
Writer = Annotated[ApiKey, key_with("orders:write")]
Vendor = Annotated[ApiKey, vendor_with("orders:write")]


class QuoteIn(In):
    model_config = ConfigDict(json_schema_extra={"example": {
        "preview": "prv_01ka8qj6x0c5q4m3t2r1p0n9mk", "note": "We need this by the end of the quarter."
    }})  # fmt: skip

    preview: PreviewId
    note: Note = ""


class ClosingIn(In):
    reason: Annotated[Note, Field(min_length=1)] = Field(examples=["The buyer chose another plan."])


class QuoteOut(BaseModel):
    """`url` opens the quote without signing in; pass it to whoever decides."""

    id: str
    state: QuoteState
    preview: str
    net: MoneyOut
    tax: MoneyOut
    total: MoneyOut
    reasons: list[ReasonOut]
    note: str
    url: str
    created_at: datetime
    closed_at: datetime | None
    closed_reason: str | None
    account_id: str | None

    @classmethod
    def of(cls, tx: Unit, ports: Ports, quote: Quote, *, owner: bool = True) -> Self:
        preview = tx.get_one(Preview, quote.preview_id)
        token = ports.secrets.sign_token(service.TOKEN, quote.id)
        return cls(
            id=quote.id, state=quote.state, preview=quote.preview_id,
            net=MoneyOut.minor(preview.net_minor, preview.currency),
            tax=MoneyOut.minor(preview.tax_minor, preview.currency),
            total=MoneyOut.minor(preview.total_minor, preview.currency),
            reasons=[ReasonOut(**each) for each in quote.reasons], note=quote.note, url=ports.link(f"/q/{token}"),
            created_at=quote.created_at, closed_at=quote.closed_at, closed_reason=quote.closed_reason,
            account_id=quote.account_id if owner else None,
        )  # fmt: skip


class QuoteList(PageOut[QuoteOut]):
    pass


@router.post("", status_code=201, responses=problems(*KEYLESS, NotFound, Invalid, PreviewExpired))
def request_quote(body: QuoteIn, ports: Wired, key: Anyone) -> QuoteOut:
    """Ask sales about the figures of a preview, whatever its route. Needs no key. Once per preview."""
    bound_to = key.account_id if key else None
    with ports.db.transaction() as tx:
        preview = tx.get(Preview, body.preview)
        if preview is None or (bound_to is not None and preview.account_id != bound_to):
            raise NotFound("There is no such preview.", param="preview")
    with named():
        quote = quoting.request(ports, body.preview, note=body.note, account_id=bound_to)
    with ports.db.transaction() as tx:
        return QuoteOut.of(tx, ports, service.get(tx, quote.id), owner=key is not None)


@router.get("", responses=problems(*KEYED))
def list_quotes(
    tx: Tx, ports: Wired, key: Reader, state: QuoteState | None = None, limit: Limit = 20,
    starting_after: Annotated[str | None, cursor("quo")] = None,
) -> QuoteList:  # fmt: skip
    """Newest first."""
    query = visible(select(Quote), col(Quote.account_id), key)
    if state is not None:
        query = query.where(col(Quote.state) == state)
    found = paging.page(tx, query, col(Quote.id), limit=limit, starting_after=starting_after)
    return QuoteList(data=[QuoteOut.of(tx, ports, each) for each in found.data], has_more=found.has_more)


@router.get("/{quote_id}", responses=problems(*KEYED, NotFound))
def get_quote(quote_id: str, tx: Tx, ports: Wired, key: Reader) -> QuoteOut:
    """One quote."""
    return QuoteOut.of(tx, ports, find(tx, Quote, "quo", quote_id, key))


@router.post("/{quote_id}/withdraw", responses=problems(*KEYED, NotFound, MoveRefused))
def withdraw_quote(quote_id: str, body: ClosingIn, tx: Tx, ports: Wired, now: Now, key: Writer) -> QuoteOut:
    """Take a request back that nobody answered yet."""
    find(tx, Quote, "quo", quote_id, key)
    closed = service.close(tx, quote_id, state=QuoteState.WITHDRAWN, reason=body.reason, by=key.id, now=now)
    return QuoteOut.of(tx, ports, closed)


@router.post("/{quote_id}/decline", responses=problems(*KEYED, NotAllowed, NotFound, MoveRefused))
def decline_quote(quote_id: str, body: ClosingIn, tx: Tx, ports: Wired, now: Now, key: Vendor) -> QuoteOut:
    """Say no to a request. Only with a key of the vendor."""
    find(tx, Quote, "quo", quote_id, key)
    closed = service.close(tx, quote_id, state=QuoteState.DECLINED, reason=body.reason, by=key.id, now=now)
    return QuoteOut.of(tx, ports, closed)
