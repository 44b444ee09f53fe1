"""Many names against many: which listed names can be as alike as asked, found without comparing each with each.

Two names have fewer pairs of neighbouring letters in common the more letters have to go or come to turn one into the
other. Of names with `a` and `b` letters and a longest common subsequence of `c`, `a + b - 2c` letters are left over.
With a space at both ends the common letters are `c + 1` pairs of neighbours, and each letter that is left over parts at
most one of them: `c + 1 - (a + b - 2c)` pairs or more are the same in both, each occurrence counted. A likeness asks
for a `c`, so it asks for that many pairs. No name that is alike enough is missed; the few with the pairs are compared.

Counted for all listed names at once: a pair is a number whose bits are the names that have it, and counts are kept
as the digits of such numbers, so that adding a pair is a handful of operations on long integers.
"""

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from app.screening import names

# Below, short names ask for so few pairs that the trigrams of the database are the better filter.
LOWEST: Final = 75
Pair = tuple[str, int]  # two letters, and how often they came before in the same name


class Alike:
    """Listed names by what their letters have in common. `listed` are (entry, normalized name), in any order."""

    def __init__(self, listed: Iterable[tuple[int, str]]) -> None:
        rows: dict[str, list[int]] = defaultdict(list)
        for entry_id, name in listed:
            rows[name].append(entry_id)
        self._names: Sequence[str] = sorted(rows, key=len)
        self._lengths = [len(each) for each in self._names]
        self._entries = [rows[each] for each in self._names]
        having: dict[Pair, list[int]] = defaultdict(list)
        for place, name in enumerate(self._names):
            for pair in _pairs(name):
                having[pair].append(place)
        self._having = {pair: _bits(places) for pair, places in having.items()}

    def find(self, asked: str, at_least: int) -> Iterator[tuple[int, str, int]]:
        """Entry, listed name and score of everything that is `at_least` as alike, LOWEST to 100."""
        for place in self._candidates(asked, at_least):
            score = names.score(asked, self._names[place])
            if score >= at_least:
                for entry_id in self._entries[place]:
                    yield entry_id, self._names[place], score

    def _candidates(self, asked: str, at_least: int) -> Iterator[int]:
        first = bisect_left(self._lengths, names.shortest(len(asked), at_least))
        last = bisect_right(self._lengths, names.longest(len(asked), at_least))
        if first == last:
            return
        of_length = (1 << last - first) - 1
        digits = _sum(self._having.get(pair, 0) >> first & of_length for pair in _pairs(asked))
        begin = first
        while begin < last:
            length = self._lengths[begin]
            end = bisect_right(self._lengths, length, begin, last)
            window = (1 << end - first) - (1 << begin - first)
            for place in _places(_reaching(digits, least_pairs(len(asked), length, at_least), window)):
                yield first + place
            begin = end


def least_pairs(one: int, other: int, at_least: int) -> int:
    """How many pairs names of these lengths have in common at least, if they are `at_least` as alike."""
    common = -(-at_least * (one + other) // (2 * names.HIGHEST))
    return 3 * common + 1 - one - other


def _pairs(name: str) -> list[Pair]:
    padded = f" {name} "
    seen: Counter[str] = Counter()
    found = []
    for position in range(len(padded) - 1):
        pair = padded[position : position + 2]
        found.append((pair, seen[pair]))
        seen[pair] += 1
    return found


def _bits(places: Sequence[int]) -> int:
    """The number with these bits set; `places` ascend."""
    octets = bytearray(places[-1] // 8 + 1)
    for place in places:
        octets[place >> 3] |= 1 << (place & 7)
    return int.from_bytes(octets, "little")


def _sum(numbers: Iterable[int]) -> list[int]:
    """How many of the numbers have a bit, for every bit at once: the binary digits of the counts, the lowest first."""
    digits: list[int] = []
    for number in numbers:
        carry = number
        for position, digit in enumerate(digits):
            if not carry:
                break
            digits[position], carry = digit ^ carry, digit & carry
        if carry:
            digits.append(carry)
    return digits


def _reaching(digits: Sequence[int], least: int, window: int) -> int:
    """The bits of the window whose count is `least` or more: compared digit by digit, from the highest."""
    if least <= 0:
        return window
    if least.bit_length() > len(digits):
        return 0
    above, equal = 0, window
    for position in range(len(digits) - 1, -1, -1):
        if least >> position & 1:
            equal &= digits[position]
        else:
            more = equal & digits[position]
            above |= more
            equal ^= more
    return above | equal


def _places(number: int) -> Iterator[int]:
    """The set bits, the lowest first."""
    while number:
        lowest = number & -number
        yield lowest.bit_length() - 1
        number ^= lowest
