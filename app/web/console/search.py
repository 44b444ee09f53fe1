"""The one search box: an id leads straight to its page, anything else to what bears it."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from sqlalchemy import func, or_, select
from sqlmodel import col
from starlette.responses import RedirectResponse, Response

from app.accounts.models import Account, Member
from app.core import ids
from app.core.db import Tx as Session
from app.invoices.models import Invoice
from app.licenses.models import License, MergedLicense
from app.licenses.trial_models import Trial
from app.orders.models import Order
from app.payments.models import Payment, PaymentAttempt
from app.quotes.models import Quote
from app.subscriptions.models import Subscription
from app.web.console import accounts, cells, trials
from app.web.console.render import Reader, page
from app.web.console.views import Related, SearchView
from app.web.deps import Tx
from app.workspaces.models import Workspace

router = APIRouter()
_MOST: Final = 20
_BY_PREFIX: Final[dict[str, tuple[Any, str]]] = {
    "acc": (Account, "accounts"), "ord": (Order, "orders"), "quo": (Quote, "quotes"), "inv": (Invoice, "invoices"),
    "sub": (Subscription, "subscriptions"), "lic": (License, "licenses"), "wsp": (Workspace, "workspaces"),
    "trl": (Trial, "trials"), "mrg": (MergedLicense, "merged-licenses"),
}  # fmt: skip
# Things without a page of their own lead to what they belong to.
_OWNED: Final[dict[str, tuple[Any, str, str]]] = {
    "pay": (Payment, "order_id", "orders"), "pat": (PaymentAttempt, "order_id", "orders"),
    "mem": (Member, "account_id", "accounts"),
}  # fmt: skip


@router.get("/console/search")
def search(request: Request, tx: Tx, who: Reader, q: Annotated[str, Query(max_length=200)] = "") -> Response:
    asked = q.strip()
    if not asked:
        return RedirectResponse("/console", 303)
    hit = _by_id(tx, asked)
    found = () if hit else _bearing(tx, asked)
    only = [row[0].href for table in found for row in table.rows]
    if hit or len(only) == 1:
        return RedirectResponse(hit or only[0], 303)
    return page(request, tx, SearchView(asked=asked, found=found), who, search=asked)


def _by_id(tx: Session, asked: str) -> str:
    """The page of an id, of an invoice number, or of the id inside a license file; empty for anything else."""
    prefix = asked.partition("_")[0]
    if prefix in _BY_PREFIX and ids.has_form(prefix, asked):
        table, kind = _BY_PREFIX[prefix]
        return f"/console/{kind}/{asked}" if tx.get(table, asked) is not None else ""
    if prefix in _OWNED and ids.has_form(prefix, asked):
        table, owner, kind = _OWNED[prefix]
        row = tx.get(table, asked)
        return f"/console/{kind}/{getattr(row, owner)}" if row is not None else ""
    number = select(col(Invoice.id)).where(func.upper(col(Invoice.number)) == asked.upper())
    if invoice := tx.execute(number).scalar():
        return f"/console/invoices/{invoice}"
    for table, kind in ((License, "licenses"), (MergedLicense, "merged-licenses")):
        if found := tx.execute(select(col(table.id)).where(col(table.file_id) == asked)).scalar():
            return f"/console/{kind}/{found}"
    return ""


def _bearing(tx: Session, asked: str) -> tuple[Related, ...]:
    """Tables of accounts, orders, trials and workspaces that bear the words; empty ones are left out."""
    known = tx.execute(accounts.found_by(asked).order_by(col(Account.id).desc()).limit(_MOST)).scalars()
    orders = tx.execute(
        select(Order)
        .where(or_(col(Order.po_number) == asked, func.lower(col(Order.buyer_email)) == asked.lower()))
        .order_by(col(Order.id).desc())
        .limit(_MOST)
    ).scalars()
    workspaces = tx.execute(
        select(Workspace).where(col(Workspace.hostname).icontains(asked, autoescape=True)).limit(_MOST)
    ).scalars()
    tried = trials.found_by(asked).order_by(col(Trial.id).desc()).limit(_MOST)
    plans = cells.plan_names(tx)
    tables = (
        Related(
            title="Accounts", columns=("Account", "E-mail", "Country", "Since"),
            rows=tuple(accounts.account_row(each) for each in known), all_href="",
        ),
        cells.orders(list(orders)),
        Related(
            title="Trials", columns=trials.COLUMNS, all_href="",
            rows=tuple(trials.row(each, plans[plan_id]) for each, plan_id in tx.execute(tried)),
        ),
        cells.workspaces(list(workspaces)),
    )  # fmt: skip
    return tuple(table for table in tables if table.rows)
