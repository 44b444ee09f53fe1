"""What an expansion changes, as previews, orders and their lines keep it in JSON (R-PRO-3, R-PRO-4, R-PRO-6)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final, Self

from app.core.money import Money
from app.subscriptions.periods import Period
from app.subscriptions.proration import Share

NOW: Final = "now"
AT_RENEWAL: Final = "at_renewal"


@dataclass(frozen=True, slots=True)
class LineChange:
    """A line that goes from `before` seats (None: it is new) to `after`, for a part of a stretch paid in advance.

    `term` is what it adds to the price of the whole stretch, after discount. `carried_from` is the order whose charge
    was too small to be made; such a line changes nothing any more.
    """

    before: int | None
    after: int
    share: Share
    period: Period
    term: Money
    carried_from: str | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "before": self.before, "after": self.after, "numerator": self.share.numerator,
            "denominator": self.share.denominator, "rule": self.share.rule,
            "period_from": self.period.start.isoformat(), "period_to": self.period.end.isoformat(),
            "term_minor": self.term.minor, "carried_from": self.carried_from,
        }  # fmt: skip

    @classmethod
    def from_json(cls, stored: Mapping[str, Any], currency: str) -> Self:
        return cls(
            before=stored["before"], after=stored["after"],
            share=Share(stored["numerator"], stored["denominator"], stored["rule"]),
            period=Period(date.fromisoformat(stored["period_from"]), date.fromisoformat(stored["period_to"])),
            term=Money(stored["term_minor"], currency), carried_from=stored["carried_from"],
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class TakenBack:
    """What of an invoice's line falls on the days from a change of plan on; `net` was charged for them."""

    invoice_id: str
    line_id: int
    net: int
    share: Share
    period: Period

    def to_json(self) -> dict[str, Any]:
        return {
            "invoice_id": self.invoice_id, "line_id": self.line_id, "net": self.net,
            "numerator": self.share.numerator, "denominator": self.share.denominator, "rule": self.share.rule,
            "period_from": self.period.start.isoformat(), "period_to": self.period.end.isoformat(),
        }  # fmt: skip

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        return cls(
            stored["invoice_id"], stored["line_id"], stored["net"],
            Share(stored["numerator"], stored["denominator"], stored["rule"]),
            Period(date.fromisoformat(stored["period_from"]), date.fromisoformat(stored["period_to"])),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Change:
    """The change as a whole. `on` is its day where the customer is.

    `ends` are the ids of the plans and add-ons whose lines end now, `taken_back` what of them is credited, with tax
    `credit`. `due` minor units are asked of the buyer; where `invoiced` is false the total is too small to be charged,
    or nothing, and goes on the next invoice (R-PRO-8). `at_renewal` changes charge nothing.
    """

    effective: str
    on: date
    ends: tuple[str, ...] = ()
    taken_back: tuple[TakenBack, ...] = ()
    credit_net: int = 0
    credit: int = 0
    due: int = 0
    invoiced: bool = True
    # For the next term: what is wished of it, as `ScheduledChange` keeps it.
    wish: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {
            "effective": self.effective, "on": self.on.isoformat(), "ends": list(self.ends),
            "taken_back": [each.to_json() for each in self.taken_back], "credit_net": self.credit_net,
            "credit": self.credit, "due": self.due, "invoiced": self.invoiced, "wish": dict(self.wish),
        }  # fmt: skip

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        return cls(
            effective=stored["effective"], on=date.fromisoformat(stored["on"]), ends=tuple(stored["ends"]),
            taken_back=tuple(TakenBack.from_json(each) for each in stored["taken_back"]),
            credit_net=stored["credit_net"], credit=stored["credit"], due=stored["due"], invoiced=stored["invoiced"],
            wish=stored["wish"],
        )  # fmt: skip


def line_change(line: Mapping[str, Any], currency: str) -> LineChange | None:
    """Of a line of a preview, as it is stored; None for a line of a whole term."""
    stored = line.get("change")
    return LineChange.from_json(stored, currency) if stored is not None else None


def line_changes(lines: Sequence[Mapping[str, Any]], currency: str) -> list[tuple[str, LineChange]]:
    """The lines that change what is held, by plan id; a charge carried on changes nothing any more."""
    found = [(line["plan_id"], line_change(line, currency)) for line in lines]
    return [(plan_id, each) for plan_id, each in found if each is not None and each.carried_from is None]
