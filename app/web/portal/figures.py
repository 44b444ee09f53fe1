"""Offers and orders as rows of a slip: lines, net, tax by place, total."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from app.core.i18n import format_percent
from app.core.money import Money, total
from app.documents.wording import place_name
from app.orders.models import OrderLine, Preview
from app.orders.service import PricedLine
from app.tax.determination import Determination, Treatment
from app.web.views import MoneyRow, Reason

_UNITS = {"month": "1\u00a0month", "year": "1\u00a0year"}  # a count and its unit stay on one line


def counted(count: int, one: str, many: str) -> str:
    """`1 seat`, `2,500 seats`."""
    return f"{count:,} {one if count == 1 else many}"


def equation(quantity: int, unit: Money, interval: str) -> str:
    """How the amount of a line comes about, in words."""
    return f"{counted(quantity, 'seat', 'seats')} × {unit} for {_UNITS[interval]}"


def line_row(line: Mapping[str, Any], currency: str, interval: str) -> MoneyRow:
    """A stored line: description, quantity, unit_minor, net_minor."""
    unit, net = Money(line["unit_minor"], currency), Money(line["net_minor"], currency)
    off = unit.times(line["quantity"]) - net
    less = f", less {off}" if off.minor > 0 else ""
    return MoneyRow(
        label=line["description"], amount=str(net), note=equation(line["quantity"], unit, interval) + less
    )  # fmt: skip


def rows(lines: Iterable[Mapping[str, Any]], determination: Determination, interval: str) -> tuple[MoneyRow, ...]:
    """Everything above the total."""
    currency = determination.tax.currency
    found = list(lines)
    net = total([Money(line["net_minor"], currency) for line in found], currency)
    shown = [line_row(line, currency, interval) for line in found]
    if len(found) > 1:
        shown.append(MoneyRow(label="Net", amount=str(net), kind="subtotal"))
    return (*shown, *tax_rows(determination))


def order_rows(lines: Sequence[OrderLine], determination: Determination, interval: str) -> tuple[MoneyRow, ...]:
    return rows([line.model_dump() for line in lines], determination, interval)


def offer_rows(lines: Sequence[PricedLine], determination: Determination, interval: str) -> tuple[MoneyRow, ...]:
    return rows([line.to_json() for line in lines], determination, interval)


def tax_rows(determination: Determination) -> tuple[MoneyRow, ...]:
    """One row per jurisdiction; where nothing is taxed, one that says so."""
    parts = tuple(
        MoneyRow(
            label=f"{part.name} {place_name(part.jurisdiction, 'en')}", amount=str(part.amount), kind="tax",
            note=f"{format_percent(part.rate, 'en')} of {part.taxable}",
        )
        for part in determination.components
    )  # fmt: skip
    return parts or (MoneyRow(label="Tax", amount=str(determination.tax), kind="tax"),)


def treatment(determination: Determination) -> str:
    """The tax decision in words: what the invoice will say, else why it is so."""
    if determination.treatment is Treatment.NEEDS_REVIEW:
        return "The tax of this place has to be confirmed by a person before anything is charged."
    return determination.note or determination.reason


def reasons(preview: Preview) -> tuple[Reason, ...]:
    """Why an order is not automatic. What an export check found is not told: it is not the buyer's to know."""
    return tuple(
        Reason(code=each["code"], sentence=each["sentence"], figure=_figure(each["figure"]))
        for each in preview.reasons
        if each["code"] not in {"export_hold", "below_threshold"}
    )


def _figure(stored: Mapping[str, Any] | None) -> str:
    return str(Money(stored["amount"], stored["currency"])) if stored else ""
