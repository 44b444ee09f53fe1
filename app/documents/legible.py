"""What strangers typed, made fit to print: no character may vanish, none may steer the line it stands in."""

import re
import unicodedata
from collections.abc import Callable, Iterable
from typing import Final

BOX: Final = "□"
# Values that must reach the page or the click unchanged; shapes.py has checked that they are plain ASCII.
EXEMPT: Final = frozenset({"url", "exact"})
_BREAK: Final = "\u200b"  # zero width space: a place to break, nothing to see
_LONGEST_WORD = 20  # characters a narrow column can hold
_PIECE = 4  # short, so that a broken word still fills its lines
# Joiners are part of how some scripts are spelled; every other format character only hides or reorders text.
_JOINERS = frozenset("\u200c\u200d")
_UNPRINTABLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})


def one_line(text: str) -> str:
    """Runs of white space, line ends included, become single spaces; a lone no-break space stays."""
    return re.sub(r"[\s\u2028\u2029]+", _space, text)


def _space(run: re.Match[str]) -> str:
    return run[0] if run[0] in {"\u00a0", "\u202f"} else " "


def breakable(text: str) -> str:
    """Allow breaks inside words too long for any column: a name of 300 letters wraps and stays on the page."""
    return re.sub(rf"\S{{{_LONGEST_WORD + 1},}}", lambda word: _BREAK.join(_pieces(word[0])), text)


def _pieces(word: str) -> Iterable[str]:
    """Cut every few characters, but never between a letter and the marks that sit on it."""
    piece = ""
    for char in word:
        if len(piece) >= _PIECE and not unicodedata.combining(char) and char not in _JOINERS:
            yield piece
            piece = ""
        piece += char
    yield piece


def unprintable(char: str) -> bool:
    """Controls, surrogates, unassigned code points, and the direction marks that could show a name backwards."""
    return unicodedata.category(char) in _UNPRINTABLE and char not in _JOINERS


class Substitution:
    """Puts a box where a character cannot be drawn, and remembers which ones, in the order they are met."""

    def __init__(self, undrawable: Iterable[str]) -> None:
        longest_first = sorted(set(undrawable), key=lambda text: (-len(text), text))
        self._undrawable = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None
        self._met: dict[str, None] = {}

    def __call__(self, text: str) -> str:
        """The text, on one line, with boxes in it and with room to break."""
        shown = "".join(self._box(char) if unprintable(char) else char for char in one_line(text))
        if self._undrawable:
            shown = self._undrawable.sub(lambda found: self._box(found[0]), shown)
        return breakable(shown)

    def _box(self, text: str) -> str:
        self._met.update(dict.fromkeys(text))
        return BOX

    def met(self) -> list[str]:
        """The code points replaced so far, as `U+682A`."""
        return [f"U+{ord(char):04X}" for char in self._met]


def mapped(value: object, change: Callable[[str], str]) -> object:
    """The same JSON-like value with `change` applied to every string in it, keys and EXEMPT values apart."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {key: item if key in EXEMPT else mapped(item, change) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [mapped(item, change) for item in value]
    return value
