"""Offers and orders as rows of a slip: lines, net, tax by place, total."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from app.catalog import coupons
from app.catalog.models import Price
from app.catalog.pricing import PriceKind, PriceModel
from app.core.i18n import format_percent
from app.core.money import Money, total
from app.documents.wording import place_name
from app.flows.quote_payments import Payment
from app.orders.models import EndOfCarried, Order, OrderLine, Preview
from app.orders.service import PricedLine
from app.subscriptions.replay import PricedRow, Replayed
from app.tax.determination import Determination, Treatment
from app.web.views import MoneyRow, Reason

_UNITS = {"month": "1\u00a0month", "year": "1\u00a0year"}  # a count and its unit stay on one line


@dataclass(slots=True, kw_only=True)
class ShownLine:
    """A line as far as its price goes; minor units, before any discount."""

    quantity: int
    unit_minor: int
    pricing: dict[str, Any] | None
    intervals: int
    net_minor: int


def counted(count: int, one: str, many: str) -> str:
    """`1 seat`, `2,500 seats`."""
    return f"{count:,} {one if count == 1 else many}"


def equation(quantity: int, unit: Money, interval: str) -> str:
    """How the amount of a line comes about, in words."""
    return f"{counted(quantity, 'seat', 'seats')} × {unit} for {_UNITS[interval]}"


def how(line: PricedRow, currency: str, interval: str) -> str:
    """The same for any price model and term: `14 seats: 10 × 10.00 USD + 4 × 8.00 USD for 1 year`."""
    again = Replayed.of(line, currency)
    if again.plain:
        return equation(line.quantity, Money(line.unit_minor, currency), interval)
    term = _UNITS[interval] if line.intervals == 1 else f"{line.intervals}\u00a0{interval}s"
    seats = counted(line.quantity, "seat", "seats")
    one_price = replace(again, intervals=1).plain
    sum_ = replace(again, intervals=1).equation()
    if one_price:
        return f"{seats} × {Money(line.unit_minor, currency)} × {term}"
    return f"{seats}: {sum_} for {term}" if line.intervals == 1 else f"{seats}: {sum_}, times {term}"


def unsaved(model: PriceModel, quantity: int, intervals: int) -> ShownLine:
    """A line as an order would have it, to be shown before anything is asked for."""
    return ShownLine(
        quantity=quantity, unit_minor=model.shown_unit(quantity).minor, pricing=model.to_json(), intervals=intervals,
        net_minor=model.amount(quantity).times(intervals).minor,
    )  # fmt: skip


def per(row: Price) -> str:
    """What a price is in words: `120.00 USD per seat and year`; a fee or tiers are per interval."""
    model = row.pricing
    one_price = model.kind is PriceKind.PER_UNIT and not model.base_minor
    return f"{model.words()} per {'seat and ' if one_price else ''}{row.interval.value}"


def line_row(line: Mapping[str, Any], currency: str, interval: str) -> MoneyRow:
    """A stored line before its discount: description, quantity, unit_minor, net_minor, how it was priced."""
    before = line["net_minor"] + line.get("discount_minor", 0)
    if line.get("change"):
        return MoneyRow(label=line["description"], amount=str(Money(before, currency)), note=changed(line, currency))
    stored = ShownLine(
        quantity=line["quantity"], unit_minor=line["unit_minor"], pricing=line.get("pricing"),
        intervals=line.get("intervals", 1), net_minor=before,
    )  # fmt: skip
    return MoneyRow(
        label=line["description"], amount=str(Money(before, currency)), note=how(stored, currency, interval)
    )


def changed(line: Mapping[str, Any], currency: str) -> str:
    """How a change comes about: `30 seats instead of 25: 5 × 110.00 EUR × 200/365 days`."""
    change = line["change"]
    head = counted(change["after"], "seat", "seats")
    if change["before"] is not None:
        head += f" instead of {change['before']:,}"
    late = ", carried from an earlier change" if change["carried_from"] else ""
    days = " days" if change["numerator"] != change["denominator"] else ""
    return f"{head}: {Replayed.of_json(line, currency).equation()}{days}{late}"


def own_credit_rows(found: Preview | Order) -> tuple[MoneyRow, ...]:
    """What the account's own credit pays; no row where it pays nothing."""
    if not found.credit_minor:
        return ()
    return (MoneyRow(label="Paid from your credit", amount=str(-Money(found.credit_minor, found.currency))),)


_ENDS: Final = {
    None: ("Goes on the next invoice", "Too little to be charged by itself"),
    EndOfCarried.INVOICED: ("On an invoice of its own", "No further invoice came for the subscription"),
    EndOfCarried.WRITTEN_OFF: ("Not asked for", "Too little for an invoice of its own"),
}


def settled_rows(
    change: Mapping[str, Any] | None, whole: Money, became: EndOfCarried | None = None
) -> list[MoneyRow]:  # fmt: skip
    """From the total of a change to what is asked for: the credit for a lower plan, or that it is carried on, or what
    became of that.
    """
    if change is None:
        return []
    rows = []
    if change["credit"]:
        rows = [
            MoneyRow(label="With tax", amount=str(whole), kind="subtotal"),
            MoneyRow(label="The rest of the earlier plan", note="With the tax that was charged for it",
                     amount=str(-Money(change["credit"], whole.currency)), kind="discount"),
        ]  # fmt: skip
    if whole and not change["invoiced"]:
        label, note = _ENDS[became]
        rows.append(MoneyRow(label=label, note=note, amount=str(-whole), kind="discount"))
    return rows


def payment_rows(payments: Sequence[Payment], net_days: int | None) -> tuple[MoneyRow, ...]:
    """What is due when of a term billed yearly; nothing where all is paid at once."""
    within = f"Within {counted(net_days, 'day', 'days')} of " if net_days else ""
    return tuple(
        MoneyRow(
            label=(f"{within}acceptance" if within else "On acceptance") if each.year == 1
            else f"{within}the start of year {each.year}" if within else f"At the start of year {each.year}",
            amount=str(each.total), note=f"{each.net} and {each.tax} tax",
        )
        for each in payments
    )  # fmt: skip


def discount_row(lines: Iterable[Mapping[str, Any]], kept: Mapping[str, Any] | None, currency: str) -> list[MoneyRow]:
    """What the coupon gives, or a quote takes off the list, as its own figure; nothing without either."""
    given = Money(sum(line.get("discount_minor", 0) for line in lines), currency)
    if kept is None:
        return [MoneyRow(label="Discount", amount=str(-given), note="As quoted", kind="discount")] if given else []
    words = coupons.words(dict(kept), currency)
    return [MoneyRow(label=f"Code {kept['code']}", amount=str(-given), note=words, kind="discount")]


def rows(
    lines: Iterable[Mapping[str, Any]], determination: Determination, interval: str,
    discount: Mapping[str, Any] | None = None,
) -> tuple[MoneyRow, ...]:  # fmt: skip
    """Everything above the total: lines, the discount, the net where it is no line's, tax."""
    currency = determination.tax.currency
    found = list(lines)
    net = total([Money(line["net_minor"], currency) for line in found], currency)
    shown = [line_row(line, currency, interval) for line in found]
    shown += discount_row(found, discount, currency)
    if len(shown) > 1:
        shown.append(MoneyRow(label="Net", amount=str(net), kind="subtotal"))
    return (*shown, *tax_rows(determination))


def order_rows(
    lines: Sequence[OrderLine], determination: Determination, interval: str, discount: Mapping[str, Any] | None = None
) -> tuple[MoneyRow, ...]:
    return rows([line.model_dump() for line in lines], determination, interval, discount)


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
