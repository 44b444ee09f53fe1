"""The statement of an account, as its customer sees it."""

from dataclasses import dataclass, field
from typing import Annotated, ClassVar

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from app.accounts import service as accounts
from app.core import ids
from app.core.db import Tx as Unit
from app.core.errors import Invalid
from app.flows import statements
from app.flows.ports import Ports
from app.reports import account_statement
from app.reports.account_statement import Statement
from app.web import statement_view
from app.web.console.render import Reader, page
from app.web.deps import Tx, Wired
from app.web.statement_view import Told
from app.web.views import Form, Link, Option

router = APIRouter()
First = Annotated[str, Query(alias="from")]
Last = Annotated[str, Query(alias="to")]


@dataclass(frozen=True, kw_only=True)
class ConsoleStatementView:
    """The filter (GET) has the inputs currency, from and to; `told` is missing where they are refused."""

    template: ClassVar[str] = "console/statement.html"
    section: ClassVar[str] = "accounts"
    account: Link
    told: Told | None
    currencies: tuple[Option, ...]
    form: Form = field(default_factory=Form)


@router.get("/console/accounts/{account_id}/statement")
def shown(
    request: Request, tx: Tx, ports: Wired, who: Reader, account_id: str, currency: str = "", first: First = "",
    last: Last = "",
) -> Response:  # fmt: skip
    account = accounts.get(tx, ids.require_form("acc", account_id))
    here = f"/console/accounts/{account.id}"
    options = tuple(Option(value=each, label=each) for each in account_statement.currencies(tx, account.id))
    values, errors, told, status = {"currency": currency, "from": first, "to": last}, {}, None, 200
    try:
        found = _asked(tx, ports, account.id, currency, first, last)
    except Invalid as refused:
        errors, status = {refused.param or "": refused.detail}, int(refused.status)
    else:
        values = {"currency": found.currency, "from": str(found.period.first), "to": str(found.period.last)}
        told = statement_view.told(found, path=f"{here}/statement", invoice_href="/console/invoices/{}")
    view = ConsoleStatementView(
        account=Link(label=account.name, href=here), told=told, currencies=options,
        form=Form(values=values, errors=errors),
    )  # fmt: skip
    return page(request, tx, view, who, status=status)


@router.get("/console/accounts/{account_id}/statement/pdf")
def pdf(
    tx: Tx, ports: Wired, _who: Reader, account_id: str, currency: str = "", first: First = "", last: Last = ""
) -> Response:  # fmt: skip
    """On paper, in the account's language."""
    found, account = _asked(tx, ports, account_id, currency, first, last), accounts.get(tx, account_id)
    return statement_view.pdf_file(found, statements.document(tx, ports, account, found), account.locale)


@router.get("/console/accounts/{account_id}/statement/csv")
def csv(
    tx: Tx, ports: Wired, _who: Reader, account_id: str, currency: str = "", first: First = "", last: Last = ""
) -> Response:  # fmt: skip
    """For a spreadsheet."""
    return statement_view.csv_file(_asked(tx, ports, account_id, currency, first, last))


def _asked(tx: Unit, ports: Ports, account_id: str, currency: str, first: str, last: str) -> Statement:
    account = accounts.get(tx, ids.require_form("acc", account_id))
    return statements.asked(tx, account, currency=currency, first=first, last=last, now=ports.clock.now())
