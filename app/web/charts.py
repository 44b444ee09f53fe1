"""Geometry of the few charts: numbers in, percentages out, so that the drawing needs no script and no inline style.

All positions are percent of the drawing's width or height; templates write them into SVG attributes, which
keeps the text at its own size on every screen.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from app.web.views import Bar


@dataclass(frozen=True, kw_only=True)
class Column:
    """One bar of a column chart: `height` and `y` are percent of the plot, `bar` what it stands for."""

    bar: Bar
    y: str
    height: str


def columns(bars: Sequence[Bar]) -> list[Column]:
    """Columns scaled to the largest value; all flat when nothing is above zero. Values must not be negative."""
    if any(bar.value < 0 for bar in bars):
        raise ValueError("a column chart has no room below zero")
    top = max((bar.value for bar in bars), default=0) or 1
    return [
        Column(bar=bar, height=_percent(bar.value, top), y=_percent(top - bar.value, top))
        for bar in bars
    ]  # fmt: skip


def on_scale(value: float, low: float, high: float) -> str:
    """Where `value` lies between `low` and `high`, as percent such as "62.5%"; outside values stop at the edge."""
    return _percent(min(max(value, low), high) - low, high - low)


def _percent(part: float, whole: float) -> str:
    return f"{100 * part / whole:.2f}".rstrip("0").rstrip(".") + "%"
