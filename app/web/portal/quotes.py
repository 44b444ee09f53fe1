"""`/q/{token}`: a request for a quote, as the buyer sees it. The token in the address opens it."""

from datetime import timedelta
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.catalog.models import Plan
from app.core import policy
from app.core.db import Tx as Unit
from app.core.errors import NotFound
from app.core.money import Money
from app.flows.notify import ANSWER_DAYS
from app.flows.ports import Ports
from app.orders import routing
from app.orders.models import Preview
from app.quotes import service as quotes
from app.quotes.models import Quote
from app.subscriptions.replay import model_of
from app.tax import service as tax
from app.web import show
from app.web.auth import CustomerIfAny
from app.web.deps import Tx, Wired
from app.web.portal import figures
from app.web.portal.pricing import automatic_up_to
from app.web.portal.views import QuoteRequestedView

router = APIRouter(include_in_schema=False)


@router.get("/q/{token}")
def quote(request: Request, ports: Wired, tx: Tx, who: CustomerIfAny, token: str) -> Response:
    """What was asked for, why it is not automatic, by when an answer comes, or how it was closed."""
    quote_id = ports.secrets.read_token(quotes.TOKEN, token)
    if quote_id is None:
        raise NotFound("This link is not complete; copy all of it from the mail.")
    asked = quotes.get(tx, quote_id)
    return show.portal(request, _view(tx, ports, asked), who=who)


def _view(tx: Unit, ports: Ports, asked: Quote) -> QuoteRequestedView:
    preview = tx.get_one(Preview, asked.preview_id)
    plan = tx.get_one(Plan, preview.lines[0]["plan_id"])
    href, sentence = _automatic(tx, ports, preview, plan)
    answer_by = asked.created_at + timedelta(days=policy.get(tx, ANSWER_DAYS, asked.created_at))
    return QuoteRequestedView(
        reference=asked.id, email=asked.contact_email, answer_by=answer_by.date(), plan=plan.name,
        rows=figures.rows(
            preview.lines, tax.stored(tx, preview.tax_determination_id), str(preview.inputs["interval"]),
            preview.discount,
        ),
        total=str(Money(preview.total_minor, preview.currency)), reasons=figures.reasons(preview),
        automatic_href=href, automatic_sentence=sentence, state=asked.state.value,
        closed_reason=asked.closed_reason or "",
    )  # fmt: skip


def _automatic(tx: Unit, ports: Ports, preview: Preview, plan: Plan) -> tuple[str, str]:
    """The largest order of the same plan that runs by itself, where only the amount stood in the way."""
    if [each["code"] for each in preview.reasons] != ["at_or_above_threshold"] or len(preview.lines) > 1:
        return "", ""
    unit = Money(preview.lines[0]["unit_minor"], preview.currency)
    model = model_of(preview.lines[0].get("pricing"), unit)
    seats = automatic_up_to(plan, model, policy.get(tx, routing.THRESHOLD, ports.clock.now()))
    if seats is None:
        return "", ""
    interval = preview.inputs["interval"]
    query = {"sku": plan.sku, "seats": seats, "interval": interval, "currency": preview.currency}
    return f"/checkout?{urlencode(query)}", f"Up to {seats:,} seats run by themselves, without a quote."
