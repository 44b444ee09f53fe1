"""An invoice or credit note in words and formatted figures, ready to be laid out by `pdf/invoice.typ`."""

from decimal import Decimal
from typing import Any

from app.core.i18n import Translator, format_amount, format_date, format_money, format_number, format_percent, translate
from app.core.money import Money, total
from app.documents.notes import in_words
from app.documents.shapes import (
    OPERATOR,
    BankAccount,
    DocumentKind,
    InconsistentDocument,
    InvoiceDocument,
    InvoiceLineView,
    PaymentMethod,
    PaymentView,
    Span,
)
from app.documents.wording import (
    export_notes,
    frame,
    language_name,
    party_block,
    place_name,
    reverse_charge_sentence,
    tax_name,
)

_DASH = "\N{EN DASH}"


def invoice_sheet(kind: DocumentKind, document: InvoiceDocument, locale: str) -> dict[str, Any]:
    """Strings only, in reading order; raises InconsistentDocument where kind and content do not belong together."""
    _ = translate(locale)
    if (kind is DocumentKind.CREDIT_NOTE) != (document.credits is not None):
        raise InconsistentDocument(f"{document.number}: a credit note, and only a credit note, names what it credits")
    title = _title(kind, document, _)
    buyer = document.buyer
    outer = frame(
        title,
        document.number,
        document.seller.name,
        locale=locale,
        country=buyer.country,
        test_mode=document.test_mode,
    )
    if document.copy_of is not None:
        outer |= {"mark": outer["mark"] or _("COPY"), "badge": " · ".join(filter(None, (outer["badge"], _("COPY"))))}
    return outer | {
        "footer": list(document.legal_footer),
        "seller": party_block(_("From"), document.seller, _),
        "buyer": party_block(_("Bill to"), buyer, _),
        "facts": _facts(document, _, locale),
        "headline": format_money(_headline(document), locale),
        "state": _state(document, _, locale),
        "settled": not document.amount_due,
        "message": document.message.splitlines() if document.message else [],
        "columns": [
            _("Description"),
            _("Quantity"),
            _("Unit price"),
            _("Tax"),
            _("Net (%(currency)s)", currency=document.total.currency),
        ],
        "lines": [_line(line, _, locale) for line in document.lines],
        "totals": _totals(document, _, locale),
        "payment": _payment(document, _, locale),
        "tax": _tax(document, _, locale),
        "notes_title": _("Notes"),
        "notes": _notes(document, _, locale),
    }


def _title(kind: DocumentKind, document: InvoiceDocument, _: Translator) -> str:
    if kind is DocumentKind.CREDIT_NOTE:
        return _("Credit note")
    return _("Tax invoice") if document.is_tax_invoice else _("Invoice")


def _headline(document: InvoiceDocument) -> Money:
    """What is still to be paid; of a settled document, what it came to."""
    return document.amount_due or document.total


def _state(document: InvoiceDocument, _: Translator, locale: str) -> str:
    if document.credits:
        return _("Credited to invoice %(number)s", number=document.credits.number)
    if not document.amount_due:
        return _paid(document.payments[-1], _, locale) if document.payments else _("Nothing to pay")
    if document.due_on:
        return _("Due on %(date)s", date=format_date(document.due_on, locale))
    return _("Due on receipt")


def _paid(payment: PaymentView, _: Translator, locale: str) -> str:
    date = format_date(payment.paid_on, locale)
    if payment.method is PaymentMethod.CARD and payment.card_last4:
        return _("Paid on %(date)s by card ending in %(last4)s", date=date, last4=payment.card_last4)
    sentences = {
        PaymentMethod.CARD: _("Paid on %(date)s by card", date=date),
        PaymentMethod.WIRE: _("Paid on %(date)s by bank transfer", date=date),
        PaymentMethod.CHEQUE: _("Paid on %(date)s by cheque", date=date),
        PaymentMethod.DIRECT_DEBIT: _("Paid on %(date)s by direct debit", date=date),
        PaymentMethod.CREDIT: _("Settled on %(date)s from your credit balance", date=date),
        PaymentMethod.CREDIT_NOTE: _("Credited on %(date)s", date=date),
    }
    return sentences[payment.method]


def _facts(document: InvoiceDocument, _: Translator, locale: str) -> list[tuple[str, str]]:
    credited, replaced = document.credits, document.replaces
    rows = [
        (_("Issued"), format_date(document.issued_on, locale)),
        (_("Due"), format_date(document.due_on, locale) if document.due_on else None),
        (_("Supply"), _span(document.supply, locale) if document.supply else None),
        (_("PO number"), document.po_number),
        (_("Order"), document.order_number),
        (_("Invoice"), credited.number if credited else None),
        (_("Invoice date"), format_date(credited.issued_on, locale) if credited else None),
        (_("Reason"), credited.reason if credited else None),
        (_("Replaces invoice"), replaced.number if replaced else None),
        (_("Invoice date"), format_date(replaced.issued_on, locale) if replaced else None),
    ]
    return [(name, value) for name, value in rows if value]


def _span(span: Span, locale: str) -> str:
    """With the last day included, as people read periods: [1 Jan, 1 Jan) is 1 January to 31 December."""
    days = dict.fromkeys((span.start, span.last))
    return f" {_DASH} ".join(format_date(day, locale).replace(" ", "\N{NO-BREAK SPACE}") for day in days)


def _line(line: InvoiceLineView, _: Translator, locale: str) -> dict[str, Any]:
    notes = [_span(line.period, locale)] if line.period else []
    if line.detail:
        notes.append(line.detail)
    if line.days:
        days, of = (format_number(each, locale) for each in line.days)
        notes.append(_("for %(days)s of %(all)s days", days=days, all=of))
    if line.discount:
        notes.append(_("includes a discount of %(amount)s", amount=format_money(line.discount, locale)))
    return {
        "description": line.description,
        "notes": notes,
        "quantity": format_number(line.quantity, locale),
        "unit_price": format_amount(line.unit_price, locale) if line.unit_price is not None else "",
        "tax": format_percent(sum(line.tax_rates, Decimal(0)), locale) if line.tax_rates else _DASH,
        "net": format_amount(line.net, locale),
    }


def _totals(document: InvoiceDocument, _: Translator, locale: str) -> list[dict[str, Any]]:
    currency = document.total.currency
    paid = total([payment.amount for payment in document.payments], currency)
    total_label = _("Total credited (%(currency)s)") if document.credits else _("Total (%(currency)s)")
    rows = [
        (_("Net"), document.subtotal, False),
        (_("Tax"), document.tax_total, False),
        (total_label % {"currency": currency}, document.total, True),
    ]
    if paid:
        rows.append((_("Paid"), -paid, False))
    if paid:
        rows.append((_("Amount due"), document.amount_due, True))
    return [{"label": label, "value": _signed(value, locale), "strong": strong} for label, value, strong in rows]


def _signed(value: Money, locale: str) -> str:
    """With a minus as wide as a figure, so that columns stay true."""
    return format_money(value, locale).replace("-", "\N{MINUS SIGN}")


def _payment(document: InvoiceDocument, _: Translator, locale: str) -> dict[str, Any] | None:
    sentences = [_settlement(payment, document, _, locale) for payment in document.payments]
    owed = bool(document.amount_due)
    rows = _bank(document.bank, _) if owed and document.bank else []
    url = document.pay_url if owed and document.pay_url else ""
    if not (sentences or rows or url):
        return None
    return {"title": _("Payment"), "sentences": sentences, "rows": rows, "url": url, "link": _("Pay online")}


def _settlement(payment: PaymentView, document: InvoiceDocument, _: Translator, locale: str) -> str:
    parts = [_paid(payment, _, locale)]
    if payment.amount != document.total:
        parts.append(format_money(payment.amount, locale))
    if payment.reference:
        parts.append(_("reference %(reference)s", reference=payment.reference))
    return ", ".join(parts)


def _bank(bank: BankAccount, _: Translator) -> list[tuple[str, str]]:
    rows = [
        (_("Account holder"), bank.holder),
        (_("Bank"), bank.bank),
        ("IBAN", bank.iban),
        ("BIC", bank.bic),
        (_("Account number"), bank.account_number),
        (_("Routing number"), bank.routing_number),
        (_("Reference"), bank.reference),
    ]
    return [(name, value) for name, value in rows if value]


def _tax(document: InvoiceDocument, _: Translator, locale: str) -> dict[str, Any]:
    return {
        "title": _("Tax summary"),
        "columns": [_("Jurisdiction"), _("Tax"), _("Rate"), _("Taxable"), _("Amount")],
        "rows": [
            [
                place_name(group.jurisdiction, locale),
                tax_name(group.name, _),
                format_percent(group.rate, locale),
                format_amount(group.taxable, locale),
                format_amount(group.amount, locale),
            ]
            for group in document.tax_groups
        ],
    }


def _notes(document: InvoiceDocument, _: Translator, locale: str) -> list[dict[str, str]]:
    notes = []
    if shifted := document.reverse_charge:
        notes.append({"title": _("Reverse charge"), "text": reverse_charge_sentence(shifted, _)})
    notes += [{"title": "", "text": in_words(note, _)} for note in document.tax_notes]
    notes += export_notes(document.export_classes, _)
    if there := document.tax_in_state_currency:
        text = _(
            "%(amount)s at 1 %(from)s = %(rate)s %(to)s (%(source)s, %(date)s).",
            amount=format_money(there.amount, locale),
            rate=format_number(there.rate, locale),
            to=there.amount.currency,
            source=_("set by the seller") if there.source == OPERATOR else there.source,
            date=format_date(there.rate_date, locale),
            **{"from": document.total.currency},
        )
        notes.append({"title": _("Tax in %(currency)s", currency=there.amount.currency), "text": text})
    if represented := document.tax_representative:
        block = party_block("", represented, _)
        text = ", ".join([block["name"], *block["lines"], *block["ids"]])
        notes.append({"title": _("Tax representative"), "text": text})
    if original := document.copy_of:
        text = _(
            "This is a copy. The document that counts is written in %(language)s; its file has the SHA-256 %(hash)s.",
            language=language_name(original.language, locale),
            hash=original.sha256,
        )
        notes.append({"title": _("Copy"), "text": text})
    if document.test_mode:
        notes.append(
            {"title": _("Test"), "text": _("This document was made in test mode. It is no demand for payment.")}
        )
    return notes
