"""A statement of account in words and formatted figures, ready to be laid out by `pdf/statement.typ`."""

from typing import Any

from app.core.i18n import Translator, format_amount, format_date, format_money, translate
from app.core.money import Money
from app.documents.statement_shapes import OpenRow, StatementDocument, StatementRow
from app.documents.wording import frame, party_block

_MINUS = "\N{MINUS SIGN}"


def statement_sheet(document: StatementDocument, locale: str) -> dict[str, Any]:
    """Strings only, in reading order."""
    _ = translate(locale)
    currency = document.closing.currency
    span = f"{format_date(document.first, locale)} \N{EN DASH} {format_date(document.last, locale)}"
    outer = frame(
        _("Statement of account"),
        f"{currency}, {span}",
        document.seller.name,
        locale=locale,
        country=document.buyer.country,
        test_mode=document.test_mode,
    )
    return outer | {
        "footer": list(document.legal_footer),
        "seller": party_block(_("From"), document.seller, _),
        "buyer": party_block(_("For"), document.buyer, _),
        "headline": _money(document.closing, locale),
        "state": _state(document, _, locale),
        "open": document.closing.minor > 0,
        "facts": [
            (_("Period"), span),
            (_("Owed on invoices"), _money(document.owed, locale)),
            (_("Your credit"), _money(document.credit, locale)),
            *([(_("Refunds on their way"), _money(document.returning, locale))] if document.returning else []),
        ],
        "columns": [
            _("Date"),
            _("What"),
            _("Charged (%(currency)s)", currency=currency),
            _("Credited (%(currency)s)", currency=currency),
            _("Balance (%(currency)s)", currency=currency),
        ],
        "opening": [format_date(document.first, locale), _("Opening balance"), _amount(document.opening, locale)],
        "lines": [_line(row, _, locale) for row in document.rows],
        "closing": [format_date(document.last, locale), _("Closing balance"), _amount(document.closing, locale)],
        "open_title": _("Open invoices"),
        "open_columns": [_("Invoice"), _("Due"), _("Age"), _("Open (%(currency)s)", currency=currency)],
        "open_lines": [_open(row, _, locale) for row in document.open_rows],
        "message": document.message.splitlines() if document.message and document.owed else [],
        "message_title": _("How to pay"),
        "notes_title": _("Notes"),
        "notes": [{"title": _("Test"), "text": _("This document was made in test mode. Nothing is owed.")}]
        if document.test_mode
        else [],
    }


def _state(document: StatementDocument, _: Translator, locale: str) -> str:
    day = format_date(document.last, locale)
    if document.closing.minor > 0:
        return _("owed to us on %(date)s", date=day)
    return _("in your favour on %(date)s", date=day) if document.closing else _("Nothing is owed on %(date)s", date=day)


def _line(row: StatementRow, _: Translator, locale: str) -> dict[str, str]:
    names = {
        "invoice": _("Invoice %(number)s", number=row.document),
        "payment": _("Payment"),
        "credit_note": _("Credit note %(number)s", number=row.document),
        "refund": _("Refund of %(number)s", number=row.document) if row.document else _("Refund"),
        "moved": _("%(amount)s of credit, %(number)s", amount=_money(row.moved, locale), number=row.document),
    }
    up = row.amount.minor > 0
    shown = format_amount(row.amount if up else -row.amount, locale) if row.amount else ""
    return {
        "date": format_date(row.booked_on, locale),
        "what": names[row.kind],
        "note": _noted(row, _),
        "charged": shown if up else "",
        "credited": "" if up else shown,
        "balance": _amount(row.balance, locale),
    }


def _noted(row: StatementRow, _: Translator) -> str:
    if not row.detail:
        return ""
    if row.kind == "invoice":
        return _("PO number %(number)s", number=row.detail)
    return _("to invoice %(number)s", number=row.detail) if row.kind == "credit_note" else row.detail


def _open(row: OpenRow, _: Translator, locale: str) -> list[str]:
    late = row.overdue_days
    age = _.count("%(n)s day overdue", "%(n)s days overdue", late) if late else _("not due yet")
    return [row.number, format_date(row.due_on, locale), age, _amount(row.left, locale)]


def _money(amount: Money, locale: str) -> str:
    return format_money(amount, locale).replace("-", _MINUS)


def _amount(amount: Money, locale: str) -> str:
    return format_amount(amount, locale).replace("-", _MINUS)
