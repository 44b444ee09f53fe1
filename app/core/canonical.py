"""One way to write a value as bytes, so that its hash or signature can be checked by anyone."""

import hashlib
import json
from datetime import date, datetime
from typing import Any


def _plain(value: object) -> Any:
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
    """UTF-8 JSON with sorted keys and no spaces. Refuses floats: they have no one spelling."""
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def sha256_hex(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
