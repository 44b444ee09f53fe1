"""Quotes: the list, and one with every reason, figure and revision; what staff can do with it follows its state."""

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request
from sqlalchemy import func, or_, select
from sqlmodel import col
from starlette.responses import RedirectResponse, Response

from app.accounts.models import Account
from app.accounts.permissions import StaffPermission as May
from app.accounts.sessions import SignedInStaff
from app.agreements import papers
from app.catalog import service as catalog
from app.core import ids
from app.core.db import Tx as Session
from app.core.errors import DomainError, NotFound
from app.core.money import Money
from app.documents.render_pdf import render_pdf
from app.documents.shapes import DocumentKind
from app.flows import quote_acceptance, quote_discounts, quote_papers, quote_payments, quoting
from app.flows.quote_discounts import percent
from app.orders.models import Order, OrderState, Preview
from app.quotes import service
from app.quotes.models import OPEN, Quote, QuoteState
from app.subscriptions.models import Billing
from app.subscriptions.replay import Replayed
from app.tax import service as tax
from app.tax.determination import Determination
from app.web import auth
from app.web.console import cells, lists, orders
from app.web.console.quote_history import history
from app.web.console.render import Note, Reader, back, can, form_for, page, reason, refused
from app.web.console.views import Action, Cell, ListView, QuoteRequestView, Related
from app.web.deps import Tx, Wired
from app.web.portal import figures
from app.web.views import Fact, Form, Link, MoneyRow

router = APIRouter()
Seller = Annotated[SignedInStaff, Depends(auth.staff(May.QUOTES_WRITE))]
Approver = Annotated[SignedInStaff, Depends(auth.staff(May.QUOTES_APPROVE))]
_UNANSWERED: Final = frozenset({QuoteState.REQUESTED, QuoteState.DRAFT})


@router.get("/console/quotes")
def listed(request: Request, tx: Tx, who: Reader, wanted: lists.Filter) -> Response:
    query = (
        select(Quote, Preview, col(Account.name))
        .join(Account, col(Account.id) == col(Quote.account_id))
        .join(Preview, col(Preview.id) == func.coalesce(col(Quote.offer_id), col(Quote.preview_id)))
    )
    if wanted.q:
        query = query.where(
            or_(
                col(Quote.id) == wanted.q, col(Quote.account_id) == wanted.q,
                col(Account.name).icontains(wanted.q, autoescape=True),
                col(Quote.contact_email).icontains(wanted.q, autoescape=True),
                func.concat(col(Quote.number), "-r", col(Quote.revision)).icontains(wanted.q, autoescape=True),
            )
        )  # fmt: skip
    if state := lists.one_of(QuoteState, wanted.state):
        query = query.where(col(Quote.state) == state)
    found = lists.window(tx, query, col(Quote.id), wanted, "quotes")
    rows = tuple(
        (
            cells.named("quotes", each.id, name), Cell(text=each.shown_number), Cell(state=str(each.state)),
            lists.day(each.created_at), cells.amount(preview.net_minor, preview.currency),
        )
        for each, preview, name in found.rows
    )  # fmt: skip
    view = ListView(
        kind="quotes", columns=("For", "Number", "State", "Begun", "Before tax"), rows=rows, form=wanted.form,
        states=lists.options(QuoteState), pages=found.pages,
    )  # fmt: skip
    return page(request, tx, view, who)


@router.get("/console/quotes/{quote_id}")
def one(request: Request, tx: Tx, who: Reader, quote_id: str) -> Response:
    return _show(request, tx, who, quote_id, Form(), 200)


@router.get("/console/quotes/{quote_id}/pdf")
def pdf(ports: Wired, tx: Tx, _who: Reader, quote_id: str) -> Response:
    """The offer on paper; a draft says that it is one. A request leads back: it has none."""
    quote = service.get(tx, ids.require_form("quo", quote_id))
    if quote.offer_id is None:
        return RedirectResponse(f"/console/quotes/{quote.id}", 303)
    document, locale = quote_papers.quote_document(tx, ports, quote), quote_papers.locale_of(tx, quote)
    name = f'inline; filename="{quote.shown_number}.pdf"'
    drawn = render_pdf(DocumentKind.QUOTE, document, locale)
    return Response(drawn, media_type="application/pdf", headers={"Content-Disposition": name})


@router.get("/console/quotes/{quote_id}/paper")
def paper(tx: Tx, _who: Reader, quote_id: str) -> Response:
    """What the customer sent signed, as it came: always as a download. Where nothing came it leads back."""
    quote = service.get(tx, ids.require_form("quo", quote_id))
    if quote.paper_id is None:
        return RedirectResponse(f"/console/quotes/{quote.id}", 303)
    kept = papers.get(tx, quote.paper_id)
    ending = papers.kind_of(kept.content)[1]
    name = f'attachment; filename="{quote.shown_number}-{kept.kind}.{ending}"'
    return Response(kept.content, media_type=kept.media_type, headers={"Content-Disposition": name})


@router.post("/console/quotes/{quote_id}/send")
def send(request: Request, ports: Wired, who: Seller, quote_id: str) -> Response:
    """Fix the draft as it is and mail it."""
    ids.require_form("quo", quote_id)
    try:
        quoting.send(ports, quote_id, by=who.staff_id)
    except DomainError as exc:
        return _again(request, who, quote_id, Form(errors={"": exc.detail}), exc)
    return back(f"/console/quotes/{quote_id}", "quote-sent")


@router.post("/console/quotes/{quote_id}/approve")
def approve(request: Request, ports: Wired, who: Approver, quote_id: str, note: Note = "") -> Response:
    """Agree to a discount that its author may not give alone."""
    ids.require_form("quo", quote_id)
    try:
        quote_discounts.approve(ports, quote_id, by=who.staff_id, why=reason(note))
    except DomainError as exc:
        return _again(request, who, quote_id, refused("approve", {"note": note}, exc.detail, exc.param), exc)
    return back(f"/console/quotes/{quote_id}", "quote-approved")


@router.post("/console/quotes/{quote_id}/revise")
def revise(request: Request, ports: Wired, who: Seller, quote_id: str, note: Note = "") -> Response:
    """The next revision as a copy; this one can no longer be accepted."""
    ids.require_form("quo", quote_id)
    try:
        fresh = quoting.revise(ports, quote_id, by=who.staff_id, reason=reason(note))
    except DomainError as exc:
        return _again(request, who, quote_id, refused("revise", {"note": note}, exc.detail, exc.param), exc)
    return back(f"/console/quotes/{fresh.id}", "quote-revised")


@router.post("/console/quotes/{quote_id}/decline")
def decline(request: Request, ports: Wired, who: Seller, quote_id: str, note: Note = "") -> Response:
    """We will not make this offer."""
    return _close(request, ports, who, quote_id, "decline", note)


@router.post("/console/quotes/{quote_id}/withdraw")
def withdraw(request: Request, ports: Wired, who: Seller, quote_id: str, note: Note = "") -> Response:
    """The request has lost its object, or the offer no longer stands."""
    return _close(request, ports, who, quote_id, "withdraw", note)


def _close(request: Request, ports: Wired, who: SignedInStaff, quote_id: str, name: str, note: str) -> Response:
    ids.require_form("quo", quote_id)
    state = QuoteState.DECLINED if name == "decline" else QuoteState.WITHDRAWN
    try:
        quoting.close(ports, quote_id, state=state, reason=reason(note), by=who.staff_id)
    except DomainError as exc:
        return _again(request, who, quote_id, refused(name, {"note": note}, exc.detail, exc.param), exc)
    return back(f"/console/quotes/{quote_id}", f"quote-{state}")


def _again(request: Request, who: SignedInStaff, quote_id: str, form: Form, exc: DomainError) -> Response:
    if isinstance(exc, NotFound):
        raise exc
    with request.app.state.ports.db.session() as tx:
        return _show(request, tx, who, quote_id, form, exc.status)


def _show(request: Request, tx: Session, who: SignedInStaff, quote_id: str, form: Form, status: int) -> Response:
    quote = service.get(tx, ids.require_form("quo", quote_id))
    account, preview = tx.get_one(Account, quote.account_id), tx.get_one(Preview, quote.figures_id)
    determination, here = tax.stored(tx, preview.tax_determination_id), f"/console/quotes/{quote.id}"
    writes = can(who, May.QUOTES_WRITE)
    revisions, payments = service.revisions(tx, quote), quote_payments.schedule(preview)
    view = QuoteRequestView(
        quote_id=quote.id, state=str(quote.state), number=quote.shown_number,
        account=Link(label=account.name, href=f"/console/accounts/{account.id}"),
        contact=f"{quote.contact_name}, {quote.contact_email}", asked_at=quote.created_at, message=quote.note,
        reasons=orders.reasons(quote.reasons),
        rows=(
            *_rows(tx, preview, determination),
            *figures.settled_rows(preview.change, Money(preview.total_minor, preview.currency)),
        ),
        total=str(quote_payments.due(preview)), payments=figures.payment_rows(payments, quote.net_days),
        payments_total=str(quote_payments.whole(payments)) if payments else "",
        treatment=orders.in_words(determination),
        facts=_facts(tx, quote, preview), history=history(tx, quote),
        actions=_actions(tx, request, quote, who, form), form=form,
        edit_href=f"{here}/edit" if writes and quote.state in _UNANSWERED else "",
        send_href=f"{here}/send" if writes and quote.state is QuoteState.DRAFT else "",
        documents=_documents(quote), our_message=quote.message, internal_note=quote.internal_note,
        warning=_warning(tx, request, quote),
        revisions=_revisions(revisions, quote) if len(revisions) > 1 else None,
    )  # fmt: skip
    return page(request, tx, view, who, status=status)


def _rows(tx: Session, preview: Preview, determination: Determination) -> tuple[MoneyRow, ...]:
    plans = catalog.plans_by_id(tx, [line["plan_id"] for line in preview.lines])
    lines = [
        (plans[line["plan_id"]].name, Replayed.of_json(line, preview.currency).equation(),
         line["net_minor"] + line.get("discount_minor", 0))
        for line in preview.lines
    ]  # fmt: skip
    given = sum(line.get("discount_minor", 0) for line in preview.lines)
    return orders.rows_of(lines, determination, preview.currency, preview.discount, given)


def _documents(quote: Quote) -> tuple[Link, ...]:
    here = f"/console/quotes/{quote.id}"
    return (
        *((Link(label="PDF", href=f"{here}/pdf"),) if quote.offer_id else ()),
        *((Link(label="What they signed", href=f"{here}/paper"),) if quote.paper_id else ()),
    )


def _warning(tx: Session, request: Request, quote: Quote) -> str:
    if quote.state is not QuoteState.DRAFT:
        return ""
    steep = quote_discounts.steepness(tx, quote, request.app.state.ports.clock.now())
    if not steep.needs_approval:
        return ""
    return (
        f"A line is {percent(steep.points)} below the list, and its author may give"
        f" {percent(steep.limit)}: somebody else approves it before it is sent."
    )


def _facts(tx: Session, quote: Quote, preview: Preview) -> tuple[Fact, ...]:
    inputs, buyer = preview.inputs, preview.inputs["buyer"]
    place = ", ".join(part for part in (buyer["city"], buyer["region"], buyer["country"]) if part)
    facts = [
        Fact(name="For", value=f"{buyer['company'] or buyer['name']}, {place}"),
        *(Fact(name="Tax number", value=f"{each['value']} ({each['status']})") for each in inputs["tax_ids"]),
        Fact(
            name="Billed",
            value="year by year" if inputs.get("billing") == Billing.YEARLY else f"by the {inputs['interval']}",
        ),
        *((Fact(name="PO number", value=inputs["po_number"]),) if inputs["po_number"] else ()),
    ]
    if quote.number:
        paid = f"Invoice, {quote.net_days} days" if quote.net_days else "Card"
        by_click = quote_acceptance.by_click(tx, preview, quote.sent_at or quote.created_at)
        facts += [
            Fact(name="Valid until", value=str(quote.valid_until)), Fact(name="Payment", value=paid),
            Fact(name="Accepted by", value="a click" if by_click else "a signed paper"),
        ]  # fmt: skip
    if quote.order_id:
        facts.append(Fact(name="Order", value=quote.order_id, href=f"/console/orders/{quote.order_id}", mono=True))
    if quote.paper_id:
        kept = papers.get(tx, quote.paper_id)
        facts.append(Fact(name="SHA-256 of what they signed", value=kept.sha256, mono=True))
    return tuple(facts)


def _revisions(found: list[Quote], shown: Quote) -> Related:
    rows = tuple(
        (
            Cell(text=each.shown_number, href="" if each.id == shown.id else f"/console/quotes/{each.id}"),
            Cell(state=str(each.state)), lists.day(each.sent_at), Cell(text=each.closed_reason or ""),
        )
        for each in reversed(found)
    )  # fmt: skip
    return Related(title="Revisions", columns=("Revision", "State", "Sent", "Reason"), rows=rows)


def _actions(
    tx: Session, request: Request, quote: Quote, who: SignedInStaff, form: Form
) -> tuple[Action, ...]:  # fmt: skip
    here, actions = f"/console/quotes/{quote.id}", []
    writes, now = can(who, May.QUOTES_WRITE), request.app.state.ports.clock.now()

    def offer(name: str, title: str, button: str, procedure: str, hint: str, tone: str = "") -> None:
        actions.append(Action(
            name=name, title=title, button=button, href=f"{here}/{name}", procedure=procedure, hint=hint,
            tone="danger" if tone else "", form=form_for(name, form),
        ))  # fmt: skip

    if quote.state is QuoteState.DRAFT and can(who, May.QUOTES_APPROVE) and quote.prepared_by != who.staff_id:
        steep = quote_discounts.steepness(tx, quote, now)
        if steep.needs_approval and quote_discounts.limit_of(tx, who.staff_id, now) >= steep.points:
            hint = f"{percent(steep.points)} off a line. Why it is worth it; an edit needs a new approval."
            offer("approve", "Approve the discount", "Approve it", "approve-discount", hint)
    if writes and _may_be_revised(tx, quote):
        hint = "What changes. A copy is made to be changed and sent; this revision can no longer be accepted."
        offer("revise", "Revise it", "Begin the next revision", "revise-quote", hint)
    if writes and quote.state is QuoteState.REQUESTED:
        hint = "Why we make no offer. The contact sees the state on their page; write to them yourself."
        offer("decline", "Decline it", "Decline the request", "close-quote-request", hint, "danger")
    if writes and quote.state in _UNANSWERED | OPEN:
        hint = "Answered another way, a duplicate, or no longer wanted. Goes into the audit log."
        offer("withdraw", "Withdraw it", "Withdraw it", "close-quote-request", hint)
    return tuple(actions)


def _may_be_revised(tx: Session, quote: Quote) -> bool:
    """The latest revision, once it was offered; an accepted one only when its order died."""
    if quote.offer_id is None or quote.state in {QuoteState.DRAFT, QuoteState.SUPERSEDED}:
        return False
    if quote.state is QuoteState.ACCEPTED and not _order_is_dead(tx, quote):
        return False
    return service.revisions(tx, quote)[-1].id == quote.id


def _order_is_dead(tx: Session, quote: Quote) -> bool:
    order = tx.get(Order, quote.order_id) if quote.order_id else None
    return order is not None and order.state in {OrderState.CANCELED, OrderState.EXPIRED}
