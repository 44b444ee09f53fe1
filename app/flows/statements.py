"""The statement of an account on paper: the figures of the books under the names of today."""

import re
from datetime import datetime

from app.accounts import service as accounts
from app.accounts.models import Account
from app.core import policy
from app.core.clock import local_date
from app.core.db import Tx
from app.core.errors import Invalid
from app.documents.shapes import Party
from app.documents.statement_shapes import OpenRow, StatementDocument, StatementRow
from app.flows import invoicing, papers
from app.flows.ports import Ports
from app.orders import routing
from app.reports import account_statement
from app.reports.account_statement import Statement
from app.reports.shape import Period, read_day


def asked(tx: Tx, account: Account, *, currency: str, first: str, last: str, now: datetime) -> Statement:
    """The statement that somebody asks for; left out: the currency used last, this year so far.

    Raises Invalid naming `from`, `to` or `currency`.
    """
    today = local_date(now, accounts.seller(tx).time_zone)
    end = read_day(last, "to") if last else today
    begin = read_day(first, "from") if first else end.replace(month=1, day=1)
    known = account_statement.currencies(tx, account.id)
    wanted = currency or next(iter([*known, *policy.get(tx, routing.THRESHOLD, now)]), "USD")
    if not re.fullmatch("[A-Z]{3}", wanted):
        raise Invalid(f"{wanted[:10]!r} is not a currency such as EUR.", param="currency")
    return account_statement.compute(tx, account.id, wanted, Period(begin, end))


def document(tx: Tx, ports: Ports, account: Account, statement: Statement) -> StatementDocument:
    """What the statement says, ready for `render_pdf`."""
    seller = invoicing.seller_snapshot(tx, accounts.seller(tx))
    closing = statement.closing
    return StatementDocument(
        first=statement.period.first, last=statement.period.last, seller=papers.party(seller, (), account.locale),
        buyer=_buyer(account), opening=statement.opening.balance, closing=closing.balance, owed=closing.owed,
        credit=closing.credit, returning=closing.returning,
        rows=tuple(
            StatementRow(each.booked_on, str(each.kind), each.document, each.detail, each.amount, each.moved,
                         each.balance)
            for each in statement.movements
        ),
        open_rows=tuple(
            OpenRow(each.number, each.due_on, each.left, each.overdue_days) for each in statement.open_items
        ),
        legal_footer=papers.footer(seller, account.locale),
        message=str(seller["payment_details"]) or None, test_mode=ports.test_mode,
    )  # fmt: skip


def _buyer(account: Account) -> Party:
    names = ("name", "line1", "line2", "city", "region", "postcode", "country", "email")
    return papers.party({name: getattr(account, name) for name in names}, (), account.locale)


def file_name(statement: Statement, ending: str) -> str:
    period = statement.period
    return f"statement-{statement.currency}-{period.first}-{period.last}.{ending}"
