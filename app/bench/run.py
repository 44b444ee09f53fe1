"""Which figures there are, and the table they end in."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from app.bench import inside, renewing, served
from app.bench.harness import Figure
from app.bench.house import ROOT, House, built

FOLDER: Final = ROOT / ".blp" / "bench"
Count = Callable[[int], int]

SERVED: Final[Mapping[str, Callable[[House, Count], Figure]]] = {
    each.__name__: each
    for each in (
        served.validate_cached,
        served.validate_nonce,
        served.validate_uncached,
        served.preview,
        served.purchase,
    )
}
INSIDE: Final[Mapping[str, Callable[[Count], Figure]]] = {
    each.__name__: each for each in (inside.license_issue, inside.determination, inside.invoice_pdf)
}
NAMES: Final = (*SERVED, *INSIDE, renewing.renewals.__name__)
_ROW: Final = "{:<18} {:>10} {:>9} {:>8} {:>9} {:>9}  {}"


class UnknownName(LookupError):
    """There is no such figure; the message lists those there are."""


def run(
    names: Sequence[str], *, folder: Path, say: Callable[[str], None], share: float = 1.0, whole: bool = False
) -> list[Figure]:
    """Measure `names`, or everything, one after the other; each is written to `folder` as soon as it is known.

    `share` shrinks every count, for tests: figures made with less than 1 mean nothing. `whole` bills all the
    renewals that are due instead of a slice of them.
    Raises UnknownName, and CannotMeasure where a figure would not be honest.
    """
    if unknown := sorted(set(names) - set(NAMES)):
        raise UnknownName(f"There is no {', '.join(unknown)}; there are {', '.join(NAMES)}.")
    chosen = [name for name in NAMES if not names or name in names]

    def count(full: int) -> int:
        return max(1, round(full * share))

    say(_ROW.format("name", "ours", "floor", "ratio", "p50 ms", "p99 ms", "unit; floor"))
    figures = []
    with ExitStack() as stack:
        house = stack.enter_context(built(folder)) if any(name in SERVED for name in chosen) else None
        for name in chosen:
            if house and name in SERVED:
                figure = SERVED[name](house, count)
            elif name in INSIDE:
                figure = INSIDE[name](count)
            else:
                figure = renewing.renewals(count, whole=whole)
            figure.write(folder)
            figures.append(figure)
            say(_told(figure))
            for name_of, value in figure.more.items():
                say(f"{'':<18} {value:>10}  {name_of}")
    return figures


def _told(figure: Figure) -> str:
    row = figure.to_json()
    return _ROW.format(
        row["name"], row["ours"], row["floor"], row["ratio"], row.get("p50_ms", ""), row.get("p99_ms", ""),
        f"{row['unit']}; {row['floor_is']}",
    )  # fmt: skip
