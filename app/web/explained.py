"""An explained invoice as pages show it, to customers and staff alike: one story per line, then the sums."""

from dataclasses import dataclass

from app.flows.explain_invoice import InvoiceTold, LineTold, TaxTold
from app.web.views import MoneyRow


@dataclass(frozen=True, kw_only=True)
class ToldLine:
    """`equation` is the whole line in figures, `sentences` tell it in words."""

    label: str
    equation: str
    sentences: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Told:
    """`doubt` is set where an amount does not come out again: then a person has to look."""

    lines: tuple[ToldLine, ...]
    discount: str
    taxes: tuple[str, ...]
    reason: str
    note: str
    rows: tuple[MoneyRow, ...]
    total: str
    doubt: bool


def told_view(told: InvoiceTold) -> Told:
    """The same facts, formatted."""
    rows = [MoneyRow(label=line.description, amount=str(line.before), note=line.equation) for line in told.lines]
    if told.discount is not None:
        rows.append(
            MoneyRow(label=f"Code {told.discount.code}", amount=str(-told.discount.given), note=told.discount.words,
                     kind="discount")
        )  # fmt: skip
    rows.append(MoneyRow(label="Net", amount=str(told.net), kind="subtotal"))
    rows += [_tax_row(each) for each in told.taxes] or [MoneyRow(label="Tax", amount=str(told.tax), kind="tax")]
    return Told(
        lines=tuple(_line(line) for line in told.lines), discount=told.discount.sentence if told.discount else "",
        taxes=tuple(each.sentence for each in told.taxes), reason=told.reason, note=told.note, rows=tuple(rows),
        total=str(told.total), doubt=not told.replays,
    )  # fmt: skip


def _line(line: LineTold) -> ToldLine:
    return ToldLine(label=line.description, equation=line.equation, sentences=line.sentences)


def _tax_row(each: TaxTold) -> MoneyRow:
    return MoneyRow(
        label=f"{each.name} {each.jurisdiction}", amount=str(each.amount), note=f"{each.rate:f} % of {each.taxable}",
        kind="tax",
    )  # fmt: skip
