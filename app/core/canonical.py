"""One way to write a value as bytes, so that its hash or signature can be checked by anyone."""

import hashlib
from datetime import date, datetime
from typing import Any, Final

import orjson

_AS_THEY_ARE: Final = frozenset({str, int, bool, type(None)})


def _plain(value: Any) -> Any:
    kind = type(value)  # the usual kinds first: a billing run writes hundreds of thousands of values
    if kind in _AS_THEY_ARE:
        return value
    if kind is dict:
        return {str(key): item if type(item) in _AS_THEY_ARE else _plain(item) for key, item in value.items()}
    if kind is list or kind is tuple:
        return [item if type(item) in _AS_THEY_ARE else _plain(item) for item in value]
    return _unusual(value)


def _unusual(value: object) -> Any:
    match value:
        case None | bool() | int() | str():
            return value
        case datetime():
            if value.tzinfo is None:
                raise TypeError("a naive datetime has no canonical form")
            return value.isoformat()
        case date():
            return value.isoformat()
        case dict():
            return {str(key): _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case _:
            raise TypeError(f"{type(value).__name__} has no canonical form")


def canonical_json(value: object) -> bytes:
    """UTF-8 JSON with sorted keys and no spaces. Raises TypeError for a float, which has no one spelling, for a whole
    number of more than 64 bits, which not every reader takes, and for what is no JSON.
    """
    return orjson.dumps(_plain(value), option=orjson.OPT_SORT_KEYS)


def sha256_hex(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
