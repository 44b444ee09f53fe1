"""How alike two names are: folded, without their legal form, their words in order, then compared letter by letter.

The score is the normalized indel similarity of the sorted words, which is what `fuzz.token_sort_ratio` of rapidfuzz
means: 200 times the longest common subsequence, divided by the sum of the lengths. Anything that takes two normalized
names and answers 0 to 100 can take the place of `score`.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Final

# Letters that no decomposition folds, and Cyrillic as passports write it; soft and hard signs are not written.
_LETTERS: Final = str.maketrans({
    "ł": "l", "ø": "o", "đ": "d", "ð": "d", "þ": "th", "ß": "ss", "æ": "ae", "œ": "oe", "ı": "i", "ħ": "h", "ŧ": "t",
    "а": "a", "б": "b", "в": "v", "г": "g", "ґ": "g", "д": "d", "е": "e", "є": "ye", "ж": "zh", "з": "z", "и": "i",
    "і": "i", "к": "k", "л": "l", "м": "m", "н": "n", "о": "o", "п": "p", "р": "r", "с": "s", "т": "t", "у": "u",
    "ф": "f", "х": "kh", "ц": "ts", "ч": "ch", "ш": "sh", "щ": "shch", "ъ": "", "ы": "y", "ь": "", "э": "e",
    "ю": "yu", "я": "ya", "ђ": "dj", "ј": "j", "љ": "lj", "њ": "nj", "ћ": "c", "џ": "dz",
})  # fmt: skip
_NOT_WRITTEN: Final = re.compile(r"['’`´.]")  # S.A. is SA, O'Neil is ONeil
_OTHER_NAME: Final = re.compile(r"\((?:a|f|n)\.?\s?k\.?\s?a\.?[,:]?\s+([^()]+)\)", re.IGNORECASE)

# What says how a company is organized and not which one it is, at either end of a name, longest first.
_FORMS: Final = tuple(sorted(
    (tuple(form.split()) for form in (
        "llc", "llp", "lp", "inc", "incorporated", "corp", "corporation", "co", "company", "ltd", "limited", "plc",
        "pllc", "pc", "pty", "pty ltd", "pvt", "pvt ltd", "private limited", "limited liability company",
        "limited liability partnership", "gmbh", "gmbh co kg", "gesellschaft mit beschrankter haftung",
        "ag", "kg", "kgaa", "ohg", "gbr", "ug", "ug haftungsbeschrankt", "se", "ev", "mbh", "aktiengesellschaft",
        "sa", "sas", "sasu", "sarl", "eurl", "snc", "sca", "societe anonyme", "sl", "slu", "sociedad anonima",
        "sa de cv", "s de rl", "s de rl de cv", "srl", "spa", "sapa", "bv", "nv", "vof", "cv", "ab", "asa", "aps",
        "oy", "oyj", "as", "ans", "ooo", "oao", "zao", "pao", "ao", "jsc", "ojsc", "cjsc", "pjsc",
        "joint stock company", "public joint stock company", "open joint stock company", "closed joint stock company",
        "tov", "dat", "prat",
        "doo", "dd", "ad", "eood", "ood", "kft", "zrt", "nyrt", "sro", "spol s ro", "sp z oo", "spzoo", "sia", "uab",
        "fze", "fzco", "fzc", "fz llc", "dmcc", "wll", "bsc", "kk", "kabushiki kaisha", "gk", "yk", "sdn bhd", "bhd",
        "pt", "tbk", "pte", "pte ltd", "anonim sirketi", "ltd sti",
    )),
    key=len, reverse=True,
))  # fmt: skip
# Few names end or begin with a form: looked up by the word at that end.
_BY_LAST: Final = {form[-1]: [each for each in _FORMS if each[-1] == form[-1]] for form in _FORMS}
_BY_FIRST: Final = {form[0]: [each for each in _FORMS if each[0] == form[0]] for form in _FORMS}
_JOINING: Final = frozenset({"and", "the"})
HIGHEST: Final = 100


def normalized(name: str) -> str:
    """The words that tell a name apart, sorted: `Müller & Søn GmbH` is `muller son`. Empty where nothing is left."""
    folded = unicodedata.normalize("NFKD", _NOT_WRITTEN.sub("", name)).casefold()
    plain = "".join(letter for letter in folded if not unicodedata.combining(letter)).translate(_LETTERS)
    words = "".join(letter if letter.isalnum() else " " for letter in plain).split()
    words = [word for word in words if word not in _JOINING] or words
    return " ".join(sorted(_bare(words)))


def _bare(words: list[str]) -> list[str]:
    """Without legal forms behind and in front, however many; one word always stays."""
    while words and (length := _form(_BY_LAST.get(words[-1], ()), words, behind=True)):
        words = words[:-length]
    while words and (length := _form(_BY_FIRST.get(words[0], ()), words, behind=False)):
        words = words[length:]
    return words


def _form(forms: Sequence[tuple[str, ...]], words: list[str], *, behind: bool) -> int:
    """How many words the longest of these forms takes, behind the name or in front of it; 0 for none."""
    for form in forms:
        count = len(form)
        if count < len(words) and tuple(words[-count:] if behind else words[:count]) == form:
            return count
    return 0


def spellings(name: str) -> Iterator[str]:
    """A listed name and the other names that lists write behind it in brackets: `Foo (f.k.a. Bar)` is two."""
    yield _OTHER_NAME.sub(" ", name)
    yield from (match.group(1) for match in _OTHER_NAME.finditer(name))


def score(one: str, other: str) -> int:
    """How alike two normalized names are, 0 to 100, rounded down: 100 says equal. Two empty names are not alike."""
    if not one or not other:
        return 0
    return 2 * HIGHEST * _common(one, other) // (len(one) + len(other))


def _common(one: str, other: str) -> int:
    """The length of the longest common subsequence, all positions of `one` at once as the bits of a number (Hyyrö,
    Bit-parallel LCS-length computation revisited, 2004).
    """
    places: dict[str, int] = {}
    for position, letter in enumerate(one):
        places[letter] = places.get(letter, 0) | 1 << position
    every = (1 << len(one)) - 1
    rest = every
    for letter in other:
        same = rest & places.get(letter, 0)
        rest = ((rest + same) | (rest - same)) & every
    return len(one) - rest.bit_count()


def shortest(length: int, at_least: int) -> int:
    """The fewest letters that a name can have and be `at_least` as alike to one of `length` letters."""
    return -(-length * at_least // (2 * HIGHEST - at_least))


def longest(length: int, at_least: int) -> int:
    """The most letters that it can have. Raises ZeroDivisionError for 0, which everything is."""
    return length * (2 * HIGHEST - at_least) // at_least
