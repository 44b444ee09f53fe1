"""A quote in words and formatted figures, ready to be laid out by `pdf/quote.typ`."""

from decimal import Decimal
from typing import Any

from app.core.i18n import Translator, format_amount, format_date, format_money, format_number, format_percent, translate
from app.core.money import Money, total
from app.documents.notes import in_words
from app.documents.shapes import QuoteDocument, QuoteLineView
from app.documents.wording import export_notes, frame, party_block, place_name, tax_name

_DASH = "\N{EN DASH}"


def quote_sheet(document: QuoteDocument, locale: str) -> dict[str, Any]:
    """Strings only, in reading order."""
    _ = translate(locale)
    outer = frame(
        _("Quote"),
        document.number,
        document.seller.name,
        locale=locale,
        country=document.buyer.country,
        test_mode=document.test_mode,
    )
    if document.draft:
        outer |= {"mark": _("DRAFT"), "badge": _("DRAFT")}
    until = format_date(document.valid_until, locale)
    return outer | {
        "footer": list(document.legal_footer),
        "seller": party_block(_("From"), document.seller, _),
        "buyer": party_block(_("For"), document.buyer, _),
        "headline": format_money(document.total if document.due is None else document.due, locale),
        "state": _("Was valid until %(date)s", date=until)
        if document.closed
        else _("Valid until %(date)s", date=until),
        "open": not document.closed,
        "facts": _facts(document, _, locale),
        "message": document.message.splitlines() if document.message else [],
        "columns": [
            _("Description"),
            _("Quantity"),
            _("List price"),
            _("Tax"),
            _("Net (%(currency)s)", currency=document.total.currency),
        ],
        "lines": [_line(line, _, locale) for line in document.lines],
        "totals": _totals(document, _, locale),
        "payments": _payments(document, _, locale),
        "accept": _accept(document, _, locale),
        "signature": _signature(document, _),
        "notes_title": _("Notes"),
        "notes": _notes(document, _),
    }


def _facts(document: QuoteDocument, _: Translator, locale: str) -> list[tuple[str, str]]:
    days = document.net_days
    payment = _("By card") if days is None else _.count("Invoice, %(n)s day net", "Invoice, %(n)s days net", days)
    if document.payments:
        payment = _("%(way)s, billed yearly", way=payment)
    return [
        (_("Issued"), format_date(document.issued_on, locale)),
        (_("Valid until"), format_date(document.valid_until, locale)),
        (_("Term"), _("To the end of the present one") if document.months is None else _term(document.months, _)),
        (_("Payment"), payment),
    ]


def _term(months: int, _: Translator) -> str:
    if months % 12 == 0:
        return _.count("%(n)s year", "%(n)s years", months // 12)
    return _.count("%(n)s month", "%(n)s months", months)


def _line(line: QuoteLineView, _: Translator, locale: str) -> dict[str, Any]:
    notes = []
    if line.days is not None:
        days, of = (format_number(each, locale) for each in line.days)
        notes.append(_("for %(days)s of %(all)s days", days=days, all=of))
    if line.discount:
        off = format_money(line.discount, locale)
        if line.discount_percent is not None:
            rate = format_percent(line.discount_percent, locale)
            notes.append(_("less %(rate)s: %(amount)s", rate=rate, amount=off))
        else:
            notes.append(_("less %(amount)s", amount=off))
    return {
        "description": line.description,
        "notes": notes,
        "quantity": format_number(line.quantity, locale),
        "unit_price": format_amount(line.unit_price, locale) if line.unit_price is not None else "",
        "tax": format_percent(sum(line.tax_rates, Decimal(0)), locale) if line.tax_rates else _DASH,
        "net": format_amount(line.net, locale),
    }


def _totals(document: QuoteDocument, _: Translator, locale: str) -> list[dict[str, Any]]:
    currency = document.total.currency
    off = total([line.discount for line in document.lines if line.discount], currency)
    rows: list[tuple[str, Money, bool]] = []
    if off:
        rows += [(_("List total"), document.subtotal + off, False), (_("Discount"), -off, False)]
    rows.append((_("Net"), document.subtotal, False))
    rows += [
        (
            _(
                "%(tax)s %(place)s %(rate)s",
                tax=tax_name(group.name, _),
                place=place_name(group.jurisdiction, locale),
                rate=format_percent(group.rate, locale),
            ),
            group.amount,
            False,
        )
        for group in document.tax_groups
    ]
    rows += _ends(document, _)
    minus = "\N{MINUS SIGN}"
    return [
        {"label": label, "value": format_money(value, locale).replace("-", minus), "strong": strong}
        for label, value, strong in rows
    ]


def _ends(document: QuoteDocument, _: Translator) -> list[tuple[str, Money, bool]]:
    """From the total to what is asked for."""
    currency, whole, due = document.total.currency, document.total, document.due
    if document.payments:
        return [(_("First year (%(currency)s)", currency=currency), whole, True)]
    if due is None or due == whole:
        return [(_("Total (%(currency)s)", currency=currency), whole, True)]
    rows = [(_("With tax"), whole, False)]
    if document.credit is not None:
        rows.append((_("Credit for the rest of the earlier plan, with its tax"), -document.credit, False))
        if over := due - (whole - document.credit):
            rows.append((_("Stays to your credit"), over, False))
    else:
        rows.append((_("Goes on the next invoice"), -whole, False))
    return [*rows, (_("To pay (%(currency)s)", currency=currency), due, True)]


def _payments(document: QuoteDocument, _: Translator, locale: str) -> dict[str, Any] | None:
    if not document.payments:
        return None
    days, currency = document.net_days, document.total.currency
    parts = [(each.net, each.tax, each.total) for each in document.payments]
    first = _("On acceptance")
    if days is not None:
        first = _.count("Within %(n)s day of acceptance", "Within %(n)s days of acceptance", days)

    def when(year: int) -> str:
        if year == 1:
            return first
        if days is None:
            return _("At the start of year %(year)s", year=year)
        return _.count(
            "Within %(n)s day of the start of year %(year)s", "Within %(n)s days of the start of year %(year)s", days,
            year=year,
        )  # fmt: skip

    return {
        "title": _("What is due when"),
        "columns": [_("Due"), _("Net"), _("Tax"), _("Total (%(currency)s)", currency=currency)],
        "rows": [
            [when(year), *(format_amount(each, locale) for each in part)] for year, part in enumerate(parts, start=1)
        ],
        "whole": [
            _("The whole term"),
            *(format_amount(total(column, currency), locale) for column in zip(*parts, strict=True)),
        ],
        "note": _("Each further year is taxed at the rates of its first day; shown are those of today."),
    }


def _accept(document: QuoteDocument, _: Translator, locale: str) -> dict[str, str] | None:
    if document.closed or document.draft:
        return None
    until = format_date(document.valid_until, locale)
    if document.needs_signature:
        text = _(
            "Sign below and upload this paper, or your purchase order, at the address of the quote by %(date)s.",
            date=until,
        )
    else:
        text = _("Accept with one click at the address of the quote by %(date)s; no signature is needed.", date=until)
    return {"title": _("How to accept"), "text": text, "url": document.accept_url, "link": _("Open the quote")}


def _signature(document: QuoteDocument, _: Translator) -> dict[str, Any] | None:
    if not document.needs_signature or document.closed or document.draft:
        return None
    text = _(
        "We accept quote %(number)s and the %(terms)s, version %(version)s. Whoever signs may bind the company.",
        number=document.number,
        terms=document.terms_title,
        version=document.terms_version,
    )
    fields = [_("Name"), _("Function"), _("Place and date"), _("Signature and stamp"), _("PO number")]
    return {"title": _("Acceptance"), "text": text, "fields": fields}


def _notes(document: QuoteDocument, _: Translator) -> list[dict[str, str]]:
    notes = [{"title": "", "text": in_words(note, _)} for note in document.tax_notes]
    notes += export_notes(document.export_classes, _)
    if document.agreement:
        text = _("“%(title)s” applies to this quote; where it says otherwise it prevails.", title=document.agreement)
        notes.append({"title": _("Agreement"), "text": text})
    notes.append(
        {
            "title": "",
            "text": _(
                "The %(terms)s, version %(version)s, apply. Prices and taxes hold until the last day of validity.",
                terms=document.terms_title,
                version=document.terms_version,
            ),
        }
    )
    if document.test_mode:
        notes.append({"title": _("Test"), "text": _("This document was made in test mode. It is no offer.")})
    return notes
