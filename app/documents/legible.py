"""What strangers typed, made fit to print: nothing visible may vanish, nothing may steer the line it stands in."""

import re
import unicodedata
from collections.abc import Iterable
from typing import Any, Final

BOX: Final = "□"
# Values that must reach the page or the click unchanged; shapes.py has checked that they are plain ASCII.
EXEMPT: Final = frozenset({"url", "exact", "paper", "lang", "region"})
_BREAK: Final = "\u200b"  # zero width space: a place to break, nothing to see
_LONGEST_NAME: Final = 60
_LONGEST_WORD: Final = 30  # characters that fit a usual column
_LONGEST_BY_KEY: Final = {"facts": 16}  # and a narrow one
_PIECE = 4  # short, so that a broken word still fills its lines
# Joiners are part of how some scripts are spelled; every other format character only hides or reorders text.
_JOINERS: Final = frozenset("\u200c\u200d")
_UNPRINTABLE: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
# Hints at the look of the character before them (emoji or text); they have no look of their own.
_VARIATION_SELECTORS: Final = dict.fromkeys([*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)])


def one_line(text: str) -> str:
    """Runs of white space, line ends included, become single spaces; a lone no-break space stays."""
    return re.sub(r"[\s\u2028\u2029]+", _space, text)


def name_or_nothing(name: str) -> str:
    """A name to write to somebody, or nothing where it looks like a message: a stranger may have typed it for that."""
    name = one_line(name).strip()
    return "" if len(name) > _LONGEST_NAME or any(sign in name for sign in "/:@<>") or "www." in name.lower() else name


def _space(run: re.Match[str]) -> str:
    return run[0] if run[0] in {"\u00a0", "\u202f"} else " "


def breakable(text: str, longest: int = _LONGEST_WORD) -> str:
    """Allow breaks inside words too long for their column: a name of 300 letters wraps and stays on the page."""
    return re.sub(rf"\S{{{longest + 1},}}", lambda word: "".join(_in_parts(word[0], longest)), text)


def _in_parts(word: str, longest: int) -> Iterable[str]:
    """A hyphen before a letter is a place to break already; only what is too long without one is cut."""
    for part in re.split(r"(?<=[^\W\d]-)(?=[^\W\d])", word):
        yield part if len(part) <= longest else _BREAK.join(_pieces(part))


def _pieces(word: str) -> Iterable[str]:
    """Cut every few characters, but never between a letter and the marks that sit on it."""
    piece = ""
    for char in word:
        if len(piece) >= _PIECE and not _belongs_to_the_one_before(char):
            yield piece
            piece = ""
        piece += char
    yield piece


def _belongs_to_the_one_before(char: str) -> bool:
    return char in _JOINERS or unicodedata.category(char).startswith("M")


def unprintable(char: str) -> bool:
    """Controls, surrogates, unassigned code points, and the direction marks that could show a name backwards."""
    return unicodedata.category(char) in _UNPRINTABLE and char not in _JOINERS


def most_likely_undrawable(named: set[str]) -> set[str]:
    """Of the characters of texts no font could draw, those to give up first.

    A font draws a letter and its marks together or not at all, so a rare mark takes a common letter with it: first
    the marks go, then letters outside ASCII, and ASCII, which every font has, only if nothing else is left.
    """
    marks = {char for char in named if _belongs_to_the_one_before(char)}
    return marks or {char for char in named if not char.isascii()} or named


class Substitution:
    """Puts a box where a character cannot be drawn, and remembers which ones, in the order they are met."""

    def __init__(self, undrawable: Iterable[str]) -> None:
        self._undrawable = frozenset(undrawable)
        self._met: dict[str, None] = {}

    def apply(self, value: Any, longest: int = _LONGEST_WORD) -> Any:
        """A JSON-like value with every string in it made legible, but for the keys and for EXEMPT values."""
        if isinstance(value, str):
            return breakable(self._legible(value), longest)
        if isinstance(value, dict):
            return {
                key: item if key in EXEMPT else self.apply(item, _LONGEST_BY_KEY.get(key, longest))
                for key, item in value.items()
            }
        if isinstance(value, (list, tuple)):
            return [self.apply(item, longest) for item in value]
        return value

    def _legible(self, text: str) -> str:
        composed = unicodedata.normalize("NFC", one_line(text)).translate(_VARIATION_SELECTORS)
        return "".join(map(self._drawn, composed))

    def _drawn(self, char: str) -> str:
        if char not in self._undrawable and not unprintable(char):
            return char
        if char in _JOINERS:
            return ""  # invisible even where it can be drawn
        self._met[char] = None
        return BOX

    def met(self) -> list[str]:
        """The code points replaced so far, as `U+682A`."""
        return [f"U+{ord(char):04X}" for char in self._met]
