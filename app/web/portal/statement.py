"""`/account/statement`: what was charged, paid and credited, what is open and how old it is; as PDF and CSV too."""

from dataclasses import dataclass, field
from typing import Annotated, ClassVar

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from app.accounts import service as accounts
from app.accounts.permissions import Permission
from app.accounts.sessions import SignedInCustomer
from app.core.db import Tx as Unit
from app.core.errors import Invalid
from app.flows import statements
from app.flows.ports import Ports
from app.reports import account_statement
from app.reports.account_statement import Statement
from app.web import csrf, statement_view
from app.web.auth import customer
from app.web.deps import Tx, Wired
from app.web.portal.render import account_page
from app.web.statement_view import Told
from app.web.views import Form, Option

Reader = Annotated[SignedInCustomer, Depends(customer(Permission.INVOICES_READ))]
router = APIRouter(include_in_schema=False, prefix="/account/statement", dependencies=[Depends(csrf.protect)])
First = Annotated[str, Query(alias="from")]
Last = Annotated[str, Query(alias="to")]


@dataclass(frozen=True, kw_only=True)
class StatementView:
    """The filter (GET) has the inputs currency, from and to; `told` is missing where they are refused."""

    template: ClassVar[str] = "portal/statement.html"
    section: ClassVar[str] = "invoices"
    told: Told | None
    currencies: tuple[Option, ...]
    form: Form = field(default_factory=Form)


@router.get("")
def shown(
    request: Request, tx: Tx, ports: Wired, who: Reader, currency: str = "", first: First = "", last: Last = ""
) -> Response:  # fmt: skip
    """From 1 January to today, unless another period is asked for."""
    options = tuple(Option(value=each, label=each) for each in account_statement.currencies(tx, who.account_id))
    try:
        found = _asked(tx, ports, who, currency, first, last)
    except Invalid as refused:
        values, errors = {"currency": currency, "from": first, "to": last}, {refused.param or "": refused.detail}
        view = StatementView(told=None, currencies=options, form=Form(values=values, errors=errors))
        return account_page(request, tx, view, who, status=refused.status)
    period = found.period
    values = {"currency": found.currency, "from": str(period.first), "to": str(period.last)}
    told = statement_view.told(found, path="/account/statement", invoice_href="/account/invoices/{}/pdf")
    view = StatementView(told=told, currencies=options, form=Form(values=values))
    return account_page(request, tx, view, who)


@router.get("/pdf")
def pdf(
    tx: Tx, ports: Wired, who: Reader, currency: str = "", first: First = "", last: Last = ""
) -> Response:  # fmt: skip
    """The same on paper, in the account's language."""
    found, account = _asked(tx, ports, who, currency, first, last), accounts.get(tx, who.account_id)
    return statement_view.pdf_file(found, statements.document(tx, ports, account, found), account.locale)


@router.get("/csv")
def csv(
    tx: Tx, ports: Wired, who: Reader, currency: str = "", first: First = "", last: Last = ""
) -> Response:  # fmt: skip
    """The same for a spreadsheet."""
    return statement_view.csv_file(_asked(tx, ports, who, currency, first, last))


def _asked(tx: Unit, ports: Ports, who: SignedInCustomer, currency: str, first: str, last: str) -> Statement:
    account = accounts.get(tx, who.account_id)
    return statements.asked(tx, account, currency=currency, first=first, last=last, now=ports.clock.now())
