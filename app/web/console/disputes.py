"""Disputes: payments that a card's owner contests. They are answered at the provider; here is what hangs on them."""

from fastapi import APIRouter, Request
from sqlalchemy import or_, select
from sqlmodel import col
from starlette.responses import Response

from app.accounts.models import Account
from app.core import ids
from app.core.errors import NotFound
from app.core.money import Money
from app.invoices import service as invoices
from app.licenses import service as licenses
from app.payments.models import Dispute, DisputeState, Payment
from app.web.console import cells, lists
from app.web.console.render import Reader, page
from app.web.console.views import Cell, DetailView, ListView
from app.web.deps import Tx
from app.web.views import Fact, Link

router = APIRouter()


@router.get("/console/disputes")
def listed(request: Request, tx: Tx, who: Reader, wanted: lists.Filter) -> Response:
    query = select(Dispute, col(Account.name)).join(Account, col(Account.id) == col(Dispute.account_id))
    if wanted.q:
        query = query.where(
            or_(
                col(Dispute.id) == wanted.q, col(Dispute.provider_ref) == wanted.q, col(Dispute.payment_id) == wanted.q,
                col(Dispute.account_id) == wanted.q, col(Account.name).icontains(wanted.q, autoescape=True),
            )
        )  # fmt: skip
    if state := lists.one_of(DisputeState, wanted.state):
        query = query.where(col(Dispute.state) == state)
    found = lists.window(tx, query, col(Dispute.id), wanted, "disputes")
    rows = tuple(
        (
            cells.named("disputes", each.id, name), Cell(state=str(each.state)), Cell(text=each.reason),
            lists.day(each.opened_at), cells.amount(each.amount_minor, each.currency),
        )
        for each, name in found.rows
    )  # fmt: skip
    view = ListView(
        kind="disputes", columns=("Dispute", "State", "Reason", "Opened", "Amount"), rows=rows, form=wanted.form,
        states=lists.options(DisputeState), pages=found.pages,
    )  # fmt: skip
    return page(request, tx, view, who)


@router.get("/console/disputes/{dispute_id}")
def one(request: Request, tx: Tx, who: Reader, dispute_id: str) -> Response:
    found = tx.get(Dispute, ids.require_form("dis", dispute_id))
    if found is None:
        raise NotFound("There is no such dispute.")
    account, payment = tx.get_one(Account, found.account_id), tx.get_one(Payment, found.payment_id)
    order_id = payment.order_id or ""  # only a provider's charge is disputed, and that was for an order
    invoice, license_ = invoices.of_order(tx, order_id), licenses.of_order(tx, order_id)
    facts = [
        Fact(name="Order", value=order_id, href=f"/console/orders/{order_id}", mono=True),
        Fact(name="Reason", value=found.reason),
        Fact(name="Opened", value=f"{found.opened_at:%Y-%m-%d %H:%M} UTC"),
        Fact(name=f"At {found.provider}", value=found.provider_ref, mono=True),
        Fact(name="Charge", value=payment.provider_ref, mono=True),
    ]
    if invoice is not None:
        facts.insert(0, Fact(name="Invoice", value=invoice.number or "", href=f"/console/invoices/{invoice.id}"))
    if license_ is not None:
        facts.append(Fact(name="License", value=f"{license_.id}, {license_.state}",
                          href=f"/console/licenses/{license_.id}"))  # fmt: skip
    if found.closed_at is not None:
        facts.append(Fact(name="Closed", value=f"{found.closed_at:%Y-%m-%d %H:%M} UTC"))
    view = DetailView(
        kind="disputes", id=found.id, title=f"{Money(found.amount_minor, found.currency)} of {account.name}",
        state=str(found.state), account=Link(label=account.name, href=f"/console/accounts/{account.id}"),
        facts=tuple(facts), procedure="dispute",
        related=(cells.postings(tx, [f"dispute_{state.value}:{found.id}" for state in DisputeState]),),
    )  # fmt: skip
    return page(request, tx, view, who)
