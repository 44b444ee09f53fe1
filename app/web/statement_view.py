"""The statement of an account as pages show it, to customers and staff alike, and as files."""

from dataclasses import dataclass
from datetime import date
from urllib.parse import urlencode

from starlette.responses import Response

from app.documents.render_pdf import render_pdf
from app.documents.shapes import DocumentKind
from app.documents.statement_shapes import StatementDocument
from app.flows import statements
from app.reports import account_statement
from app.reports.account_statement import Kind, Movement, Statement, charged_or_credited
from app.web.views import MoneyRow


@dataclass(frozen=True, kw_only=True)
class StatementRow:
    day: date
    what: str
    note: str
    charged: str
    credited: str
    balance: str


@dataclass(frozen=True, kw_only=True)
class OpenRow:
    number: str
    due: date
    age: str
    left: str
    href: str


@dataclass(frozen=True, kw_only=True)
class Told:
    """`balance` is what is owed at the end, `lead` says so in words; files by `pdf_href`, `csv_href`."""

    currency: str
    first: date
    last: date
    lead: str
    opening: str
    closing: str
    rows: tuple[StatementRow, ...]
    open_rows: tuple[OpenRow, ...]
    ages: tuple[MoneyRow, ...]
    owed: str
    credit: str
    returning: str
    pdf_href: str
    csv_href: str


def told(statement: Statement, *, path: str, invoice_href: str) -> Told:
    """The same figures, formatted. `invoice_href` has a place for the id of an invoice."""
    period, closing = statement.period, statement.closing
    asked = urlencode({"currency": statement.currency, "from": period.first, "to": period.last})
    return Told(
        currency=statement.currency, first=period.first, last=period.last, lead=_lead(statement),
        opening=str(statement.opening.balance), closing=str(closing.balance),
        rows=tuple(map(_row, statement.movements)),
        open_rows=tuple(
            OpenRow(number=each.number, due=each.due_on, left=str(each.left), href=invoice_href.format(each.invoice_id),
                    age=f"{each.overdue_days} days overdue" if each.overdue_days else "not due yet")
            for each in statement.open_items
        ),
        ages=tuple(
            MoneyRow(label=name if name == "not due" else f"{name} days overdue", amount=str(sum_))
            for name, sum_ in statement.ages if sum_
        ),
        owed=str(closing.owed), credit=str(closing.credit) if closing.credit else "",
        returning=str(closing.returning) if closing.returning else "",
        pdf_href=f"{path}/pdf?{asked}", csv_href=f"{path}/csv?{asked}",
    )  # fmt: skip


def _lead(statement: Statement) -> str:
    balance = statement.closing.balance
    if balance.minor > 0:
        return f"{balance} are owed."
    return f"{-balance} are in the customer's favour." if balance else "Nothing is owed."


def _row(each: Movement) -> StatementRow:
    charged, credited = charged_or_credited(each.amount)
    names = {
        Kind.INVOICE: f"Invoice {each.document}", Kind.PAYMENT: "Payment",
        Kind.CREDIT_NOTE: f"Credit note {each.document}", Kind.REFUND: f"Refund of {each.document}".strip(),
        Kind.MOVED: f"{each.moved} of credit, {each.document}",
    }  # fmt: skip
    return StatementRow(
        day=each.booked_on, what=names[each.kind], note=each.detail, charged=str(charged) if charged else "",
        credited=str(credited) if credited else "", balance=str(each.balance),
    )  # fmt: skip


def csv_file(statement: Statement) -> Response:
    return _file(account_statement.as_csv(statement), statement, "csv", "text/csv; charset=utf-8; header=present")


def pdf_file(statement: Statement, document: StatementDocument, locale: str) -> Response:
    return _file(render_pdf(DocumentKind.STATEMENT, document, locale), statement, "pdf", "application/pdf")


def _file(body: bytes, statement: Statement, ending: str, media_type: str) -> Response:
    name = f'attachment; filename="{statements.file_name(statement, ending)}"'
    return Response(body, media_type=media_type, headers={"Content-Disposition": name})
