"""Identifiers and randomness: the only place that makes either."""

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Lock
from time import time_ns
from typing import Final

from app.core.errors import NotFound

# What each prefix stands for (INTERFACES). The random part is a ULID: sortable by creation, 80 random bits.
PREFIXES: Final = frozenset(
    "acc mem stf pln prc prv quo ord sub sln inv ili cn pay pat ref dis lic act wsp tsk srv evt whe whd key rep "
    "acn trm tid dun dst pmt led txd ent ses sil leg rem exp img cer cpn cpr crd agr pap cst chg fee tov tna scr "
    "chk doc exc req oat tcl trc mrg trl usg".split()
)
_LOWER_ALPHANUMERIC: Final = "abcdefghijklmnopqrstuvwxyz0123456789"
_FILE_ID_LENGTH: Final = 26
# A random byte below 252 = 7 * 36 says one of 36 letters, each as likely as the others.
_LETTERS_OF_BYTES: Final = bytes(ord(_LOWER_ALPHANUMERIC[byte % 36]) for byte in range(256))
_UNFAIR: Final = bytes(range(252, 256))
_STAMP: Final = 10  # digits of the time, five bits each
_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_CROCKFORD: Final = frozenset(_ALPHABET)
_PAIRS: Final = tuple(first + second for first in _ALPHABET for second in _ALPHABET)
_SHIFTS: Final = tuple(range(100, -1, -10))  # of all but the last twenty bits


def new_id(prefix: str) -> str:
    """A new identifier such as `ord_01kafz…`: prefix, underscore, 26 characters, ordered by time of creation."""
    if prefix not in PREFIXES:
        raise ValueError(f"unknown id prefix {prefix!r}")
    return f"{prefix}_{_ulid()}"


@dataclass(slots=True)
class _Last:
    """The last ULID of this process: within a millisecond they count up, so that order is order of creation."""

    milliseconds: int = 0
    random: int = 0
    head: str = ""  # of the text, as long as the last twenty bits do not run over
    high: int = -1


_last: Final = _Last()
_counting: Final = Lock()


def _ulid() -> str:
    """A ULID in Crockford's alphabet, in lower case (https://github.com/ulid/spec)."""
    now = time_ns() // 1_000_000
    with _counting:
        if now > _last.milliseconds:
            _last.milliseconds, _last.random = now, int.from_bytes(secrets.token_bytes(10)) >> 1  # room to count up
        else:
            _last.random += 1
        high, low = _last.random >> 20, _last.random & 0xFFFFF
        if (_last.milliseconds << 60 | high) != _last.high:
            _last.high = _last.milliseconds << 60 | high
            _last.head = "".join([_PAIRS[_last.high >> shift & 1023] for shift in _SHIFTS])
        return _last.head + _PAIRS[low >> 10] + _PAIRS[low & 1023]


def has_form(prefix: str, value: str) -> bool:
    """Whether `value` could be an id of this kind at all."""
    head, _, tail = value.partition("_")
    return head == prefix and len(tail) == 26 and _CROCKFORD.issuperset(tail)


def made_at(value: str) -> datetime:
    """When an id was made, to the millisecond: its random part begins with the time. Raises ValueError for another."""
    stamp = value.partition("_")[2][:_STAMP]
    if len(stamp) < _STAMP:
        raise ValueError(f"{value[:60]!r} is no id of ours")
    milliseconds = sum(_ALPHABET.index(digit) << 5 * place for place, digit in enumerate(reversed(stamp)))
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def require_form(prefix: str, value: str) -> str:
    """Refuse an id of another kind before it reaches a query; the answer is the same as for a missing row."""
    if not has_form(prefix, value):
        raise NotFound(f"{value[:40]!r} is not the id of anything here; such ids begin with {prefix}_.")
    return value


def new_secret(n_bytes: int = 32) -> str:
    """An unguessable URL-safe token of `n_bytes` random bytes."""
    return secrets.token_urlsafe(n_bytes)


def new_digits(count: int) -> str:
    """A code to be typed by a person."""
    return "".join(secrets.choice("0123456789") for _ in range(count))


def new_license_file_id() -> str:
    """26 random lower-case letters and digits (134 bits): the form in which the product stores a license file's id.

    Without a prefix: the product takes letters and digits only (R-LIC-2).
    """
    drawn = bytearray()
    while len(drawn) < _FILE_ID_LENGTH:  # a byte that would favour the first letters is thrown away
        drawn += secrets.token_bytes(2 * _FILE_ID_LENGTH).translate(_LETTERS_OF_BYTES, _UNFAIR)
    return drawn[:_FILE_ID_LENGTH].decode("ascii")
