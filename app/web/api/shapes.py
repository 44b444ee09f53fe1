"""What the JSON doors share: amounts, lists, text as we take it, and bodies read strictly."""

import json
import re
from collections.abc import Callable, Coroutine
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Final, Generic, NoReturn, Self, TypeVar

from fastapi import Query, Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from app.core import paging
from app.core.money import Money
from app.web.idempotent import IdempotentRoute

T = TypeVar("T")

MAX_DEPTH: Final = 32  # S32
_STRINGS: Final = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
ID: Final = "[0-9a-hjkmnp-tv-z]{26}"

# One line without control characters, which neither the database nor an invoice can hold.
Line = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]*$", max_length=200)]
Note = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$", max_length=2000)]
Email = Annotated[
    str,
    StringConstraints(pattern=r"^[^\s@<>,;\x00-\x1f\x7f]+@[^\s@<>,;\x00-\x1f\x7f]+\.[^\s@<>,;\x00-\x1f\x7f]+$",
                      max_length=254),
]  # fmt: skip
Limit = Annotated[int, Query(ge=1, le=paging.MAX_LIMIT, description="How many at most.")]


def cursor(prefix: str) -> Any:
    """The query parameter `starting_after` of a list."""
    return Query(pattern=f"^{prefix}_{ID}$", description="The id of the last one you have.")


def operation_id(route: APIRoute) -> str:
    """What client generators call the method: the function's name, with its tag where that is one bare word."""
    return route.name if "_" in route.name or not route.tags else f"{route.name}_{route.tags[0]}"


class In(BaseModel):
    """A request body: a field we do not know is refused, so that no price or state can be slipped in (S17)."""

    model_config = ConfigDict(extra="forbid")


class MoneyOut(BaseModel):
    """Minor units: 12900 USD is 129.00 dollars, 12900 JPY is 12,900 yen."""

    model_config = ConfigDict(json_schema_extra={"example": {"amount": 12900, "currency": "USD"}})

    amount: int
    currency: str

    @classmethod
    def of(cls, amount: Money) -> Self:
        return cls(amount=amount.minor, currency=amount.currency)

    @classmethod
    def minor(cls, amount: int, currency: str) -> "MoneyOut":
        return MoneyOut(amount=amount, currency=currency)


class MoneyIn(In):
    """Minor units of an ISO 4217 currency."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"amount": 12900, "currency": "USD"}})

    amount: int = Field(ge=1, le=10**15)
    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]

    def money(self) -> Money:
        return Money(self.amount, self.currency)


class PageOut(BaseModel, Generic[T]):
    """Newest first. Ask again with `starting_after` set to the last id while `has_more`."""

    data: list[T]
    has_more: bool


class ReasonOut(BaseModel):
    """Why a deal takes its route."""

    code: str
    sentence: str
    figure: MoneyOut | None = None


def percent(rate: Decimal) -> str:
    """A rate as a decimal string without needless zeros: 19, 8.875."""
    return f"{rate.normalize():f}"


def rfc3339(at: datetime) -> str:
    """An aware instant in UTC to the second."""
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def strict_json(body: bytes) -> Any:
    """One JSON value in UTF-8. Raises JSONDecodeError, also for what Python reads and JSON does not know.

    Refused are NaN and infinities, numbers too long to hold, values nested deeper than MAX_DEPTH, and text with
    half a surrogate pair.
    """
    if _depth(body) > MAX_DEPTH:
        raise json.JSONDecodeError(f"nested deeper than {MAX_DEPTH}", "", 0)
    try:
        value = json.loads(body.decode(), parse_constant=_no_constant)
        if rb"\ud" in body.lower():
            json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError:
        raise
    except ValueError as exc:  # not UTF-8, half a pair, an endless number
        raise json.JSONDecodeError("not a JSON value in UTF-8", "", 0) from exc
    return value


def _depth(body: bytes) -> int:
    """How deep brackets are nested outside strings."""
    if body.count(b"[") + body.count(b"{") <= MAX_DEPTH:
        return 0
    deepest = depth = 0
    for char in _STRINGS.sub(b"", body):
        if char in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif char in b"]}":
            depth -= 1
    return deepest


def _no_constant(name: str) -> NoReturn:
    raise json.JSONDecodeError(f"{name} is not JSON", "", 0)


class _StrictRequest(Request):
    async def json(self) -> Any:
        return strict_json(await self.body())


class StrictRoute(APIRoute):
    """Reads its body strictly, and before anything else, so that a large one is a 413."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        run = super().get_route_handler()

        async def handler(request: Request) -> Response:
            if request.method not in _WITH_BODY:
                return await run(request)
            strict = _StrictRequest(request.scope, request.receive)
            await strict.body()
            return await run(strict)

        return handler


class JsonRoute(StrictRoute, IdempotentRoute):
    """The same, and honours `Idempotency-Key`: for everything that changes something."""


class TaxPartOut(BaseModel):
    """One jurisdiction's tax; `rate` in percent of `taxable`."""

    jurisdiction: str
    name: str
    rate: str = Field(examples=["8.875"])
    taxable: MoneyOut
    amount: MoneyOut
