"""What happened to a quote, as steps from the request to the order."""

from datetime import datetime, timedelta
from typing import Final

from app.core import policy
from app.core.db import Tx
from app.flows.notify import ANSWER_DAYS
from app.quotes import service
from app.quotes.models import OPEN, Quote, QuoteState
from app.web.console.render import actor_name
from app.web.views import Step

_ENDS: Final = {
    QuoteState.ACCEPTED: "Accepted", QuoteState.DECLINED: "Declined", QuoteState.EXPIRED: "Expired",
    QuoteState.SUPERSEDED: "Superseded", QuoteState.WITHDRAWN: "Withdrawn",
}  # fmt: skip


def history(tx: Tx, quote: Quote) -> tuple[Step, ...]:
    """Done, under way, and what would come next."""
    first = "Asked for" if quote.preview_id else "Begun"
    steps = [Step(label=first, state="done", at=_at(quote.created_at))]
    if quote.state is QuoteState.REQUESTED:
        by = quote.created_at + timedelta(days=policy.get(tx, ANSWER_DAYS, quote.created_at))
        return (*steps, Step(label="Answered", state="now", detail=f"Promised by {by:%Y-%m-%d}."))
    if quote.number:
        by_whom = actor_name(tx, quote.prepared_by or "")
        steps.append(Step(label="Written", state="done", detail=f"By {by_whom}."))
        if (approval := service.approval_of(tx, quote)) is not None:
            said = f"By {actor_name(tx, approval.approved_by)}: {approval.why}"
            steps.append(Step(label="Discount approved", state="done", at=_at(approval.approved_at), detail=said))
    if quote.state is QuoteState.DRAFT:
        return (*steps, Step(label="Sent", state="now"))
    if quote.sent_at is not None:
        steps.append(Step(label="Sent", state="done", at=_at(quote.sent_at),
                          detail=f"By {actor_name(tx, quote.sent_by or '')}."))  # fmt: skip
    if quote.viewed_at is not None:
        steps.append(Step(label="Looked at", state="done", at=_at(quote.viewed_at)))
    if quote.state in OPEN:
        return (*steps, Step(label="Accepted", state="now", detail=f"Until {quote.valid_until}."))
    return (*steps, Step(label=_ENDS[quote.state], state="done", at=_at(quote.closed_at),
                         detail=quote.closed_reason or ""))  # fmt: skip


def _at(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M}" if at else ""
