"""Requests for a quote: the list, and one with every reason and figure; a request can be declined or withdrawn."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from sqlalchemy import or_, select
from sqlmodel import col
from starlette.responses import Response

from app.accounts.models import Account
from app.accounts.permissions import StaffPermission as May
from app.accounts.sessions import SignedInStaff
from app.catalog import service as catalog
from app.core import ids, policy
from app.core.db import Tx as Session
from app.flows.notify import ANSWER_DAYS
from app.orders.models import Preview
from app.quotes import service
from app.quotes.models import Quote, QuoteState
from app.subscriptions.replay import Replayed
from app.tax import service as tax
from app.web import auth
from app.web.console import cells, lists, orders
from app.web.console.render import Note, Reader, attempt, can, form_for, money, page, reason
from app.web.console.views import Action, Cell, ListView, QuoteRequestView
from app.web.deps import Now, Tx, Wired
from app.web.views import Fact, Form, Link, Step

router = APIRouter()
Seller = Annotated[SignedInStaff, Depends(auth.staff(May.QUOTES_WRITE))]


@router.get("/console/quotes")
def listed(request: Request, tx: Tx, who: Reader, wanted: lists.Filter) -> Response:
    query = (
        select(Quote, Preview, col(Account.name))
        .join(Account, col(Account.id) == col(Quote.account_id))
        .join(Preview, col(Preview.id) == col(Quote.preview_id))
    )
    if wanted.q:
        query = query.where(
            or_(
                col(Quote.id) == wanted.q, col(Quote.account_id) == wanted.q,
                col(Account.name).icontains(wanted.q, autoescape=True),
                col(Quote.contact_email).icontains(wanted.q, autoescape=True),
            )
        )  # fmt: skip
    if state := lists.one_of(QuoteState, wanted.state):
        query = query.where(col(Quote.state) == state)
    found = lists.window(tx, query, col(Quote.id), wanted, "quotes")
    rows = tuple(
        (
            cells.named("quotes", each.id, name), Cell(state=str(each.state)),
            lists.day(each.created_at), cells.amount(preview.net_minor, preview.currency),
        )
        for each, preview, name in found.rows
    )  # fmt: skip
    view = ListView(
        kind="quotes", columns=("Request", "State", "Asked", "Before tax"), rows=rows, form=wanted.form,
        states=lists.options(QuoteState), pages=found.pages,
    )  # fmt: skip
    return page(request, tx, view, who)


@router.get("/console/quotes/{quote_id}")
def one(request: Request, tx: Tx, who: Reader, quote_id: str) -> Response:
    return _show(request, tx, who, quote_id, Form(), 200)


@router.post("/console/quotes/{quote_id}/decline")
def decline(request: Request, ports: Wired, now: Now, who: Seller, quote_id: str, note: Note = "") -> Response:
    """We will not make this offer."""
    return _close(request, ports, now, who, quote_id, "decline", note)


@router.post("/console/quotes/{quote_id}/withdraw")
def withdraw(request: Request, ports: Wired, now: Now, who: Seller, quote_id: str, note: Note = "") -> Response:
    """The request has lost its object."""
    return _close(request, ports, now, who, quote_id, "withdraw", note)


def _close(request: Request, ports: Wired, now: Now, who: Seller, quote_id: str, name: str, note: str) -> Response:
    ids.require_form("quo", quote_id)
    state = QuoteState.DECLINED if name == "decline" else QuoteState.WITHDRAWN

    def deed() -> None:
        with ports.db.session() as tx:
            service.close(tx, quote_id, state=state, reason=reason(note), by=who.staff_id, now=now)

    def again(tx: Session, form: Form, status: int) -> Response:
        return _show(request, tx, who, quote_id, form, status)

    return attempt(
        ports, name, {"note": note}, deed, again, to=f"/console/quotes/{quote_id}", done=f"quote-{state}"
    )  # fmt: skip


def _show(request: Request, tx: Session, who: SignedInStaff, quote_id: str, form: Form, status: int) -> Response:
    quote = service.get(tx, ids.require_form("quo", quote_id))
    account, preview = tx.get_one(Account, quote.account_id), tx.get_one(Preview, quote.preview_id)
    determination = tax.stored(tx, preview.tax_determination_id)
    plans = catalog.plans_by_id(tx, [line["plan_id"] for line in preview.lines])
    lines = [
        (plans[line["plan_id"]].name, Replayed.of_json(line, preview.currency).equation(),
         line["net_minor"] + line.get("discount_minor", 0))
        for line in preview.lines
    ]  # fmt: skip
    given = sum(line.get("discount_minor", 0) for line in preview.lines)
    view = QuoteRequestView(
        quote_id=quote.id, state=str(quote.state),
        account=Link(label=account.name, href=f"/console/accounts/{account.id}"),
        contact=f"{quote.contact_name}, {quote.contact_email}", asked_at=quote.created_at, message=quote.note,
        reasons=orders.reasons(quote.reasons),
        rows=orders.rows_of(lines, determination, preview.currency, preview.discount, given),
        total=money(preview.total_minor, preview.currency), treatment=orders.in_words(determination),
        facts=_facts(preview), history=_history(tx, quote), actions=_actions(quote, who, form), form=form,
    )  # fmt: skip
    return page(request, tx, view, who, status=status)


def _facts(preview: Preview) -> tuple[Fact, ...]:
    inputs, buyer = preview.inputs, preview.inputs["buyer"]
    place = ", ".join(part for part in (buyer["city"], buyer["region"], buyer["country"]) if part)
    return (
        Fact(name="For", value=f"{buyer['company'] or buyer['name']}, {place}"),
        *(Fact(name="Tax number", value=f"{each['value']} ({each['status']})") for each in inputs["tax_ids"]),
        Fact(name="Billed", value=f"by the {inputs['interval']}"),
        *((Fact(name="PO number", value=inputs["po_number"]),) if inputs["po_number"] else ()),
    )


def _history(tx: Session, quote: Quote) -> tuple[Step, ...]:
    asked = Step(label="Asked for", state="done", at=f"{quote.created_at:%Y-%m-%d %H:%M}")
    if quote.state is QuoteState.REQUESTED:
        by = quote.created_at + timedelta(days=policy.get(tx, ANSWER_DAYS, quote.created_at))
        return (asked, Step(label="Answered", state="now", detail=f"Promised by {by:%Y-%m-%d}."))
    closed = f"{quote.closed_at:%Y-%m-%d %H:%M}" if quote.closed_at else ""
    return (asked, Step(label=str(quote.state).capitalize(), state="done", at=closed, detail=quote.closed_reason or ""))


def _actions(quote: Quote, who: SignedInStaff, form: Form) -> tuple[Action, ...]:
    if quote.state is not QuoteState.REQUESTED or not can(who, May.QUOTES_WRITE):
        return ()
    here = f"/console/quotes/{quote.id}"
    return (
        Action(
            name="decline", title="Decline it", button="Decline the request", href=f"{here}/decline",
            procedure="close-quote-request", tone="danger", form=form_for("decline", form),
            hint="Why we make no offer. The contact sees the state on their page; write to them yourself.",
        ),
        Action(
            name="withdraw", title="Withdraw it", button="Withdraw the request", href=f"{here}/withdraw",
            procedure="close-quote-request", form=form_for("withdraw", form),
            hint="Answered another way, a duplicate, or no longer wanted. Goes into the audit log.",
        ),
    )  # fmt: skip
