"""Identifiers and randomness: the only place that makes either."""

import secrets
from datetime import datetime
from typing import Final

from ulid import ULID

from app.core.errors import NotFound

# What each prefix stands for (INTERFACES). The random part is a ULID: sortable by creation, 80 random bits.
PREFIXES: Final = frozenset(
    "acc mem stf pln prc prv quo ord sub sln inv ili cn pay pat ref dis lic act wsp tsk srv evt whe whd key rep "
    "acn trm tid dun dst pmt led txd ent ses sil leg rem exp img cer cpn cpr crd agr pap cst chg".split()
)
_LOWER_ALPHANUMERIC: Final = "abcdefghijklmnopqrstuvwxyz0123456789"
_CROCKFORD: Final = frozenset("0123456789abcdefghjkmnpqrstvwxyz")


def new_id(prefix: str) -> str:
    """A new identifier such as `ord_01kafz…`: prefix, underscore, 26 characters, ordered by time of creation."""
    if prefix not in PREFIXES:
        raise ValueError(f"unknown id prefix {prefix!r}")
    return f"{prefix}_{str(ULID()).lower()}"


def has_form(prefix: str, value: str) -> bool:
    """Whether `value` could be an id of this kind at all."""
    head, _, tail = value.partition("_")
    return head == prefix and len(tail) == 26 and _CROCKFORD.issuperset(tail)


def made_at(value: str) -> datetime:
    """When an id was made, to the millisecond: its random part begins with the time. Raises ValueError for another."""
    return ULID.from_str(value.partition("_")[2].upper()).datetime


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
    return "".join(secrets.choice(_LOWER_ALPHANUMERIC) for _ in range(26))
