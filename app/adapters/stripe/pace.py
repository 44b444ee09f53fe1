"""Stripe's rate limits, kept by all processes of an installation together (https://docs.stripe.com/rate-limits).

Live: 25 requests a second to one endpoint, 100 to all. With a test key: 25 to all.
"""

import re
from datetime import timedelta
from time import sleep
from typing import Final, Protocol
from urllib.parse import urlsplit

from app.core.clock import transport_now
from app.core.db import Database
from app.payments import pace
from app.payments.errors import PaymentUnavailable
from app.payments.pace import Lane, LineTooLong

PATIENCE_SECONDS: Final = 10
_OF_ALL: Final = 3.0  # three quarters of the 100: endpoints that wait for each other may catch up for a moment
_SEARCH: Final = 0.8  # searching is limited to 20 a second
_ID: Final = re.compile(r"^(?:cs|pi|seti|pm|cus|re|pyr|dp|du|ch|py|txn|we|evt)_\w+$")


class Pace(Protocol):
    def wait(self, endpoint: str) -> None:
        """Return when this endpoint may be called. Raises PaymentUnavailable where that would take too long."""
        ...

    def hold(self, endpoint: str, seconds: float) -> None:
        """Keep everybody from this endpoint for so long."""
        ...


class SharedPace:
    """Turns booked in the database; the waiting is done without a transaction."""

    def __init__(self, database: Database, *, live: bool) -> None:
        self._database, self._live = database, live

    def wait(self, endpoint: str) -> None:
        patience = timedelta(seconds=PATIENCE_SECONDS)
        try:
            with self._database.transaction() as tx:
                booked = pace.book(tx, self._lanes(endpoint), patience=patience, now=transport_now())
        except LineTooLong as exc:
            raise PaymentUnavailable(
                "So many calls to the payment provider wait for their turn that this one was not made. Try again "
                "shortly.", retry_after=PATIENCE_SECONDS,
            ) from exc  # fmt: skip
        sleep(booked.total_seconds())

    def hold(self, endpoint: str, seconds: float) -> None:
        with self._database.transaction() as tx:
            pace.hold(tx, self._lanes(endpoint)[-1], timedelta(seconds=seconds))

    def _lanes(self, endpoint: str) -> tuple[Lane, ...]:
        if not self._live:
            return (Lane("stripe test"),)
        share = _SEARCH if endpoint.endswith("/search") else 1.0
        return Lane("stripe live", _OF_ALL), Lane(f"stripe live {endpoint}", share)


class NoPace:
    """For a provider that does not count, such as the sandbox's own API."""

    def wait(self, endpoint: str) -> None:
        """At once."""

    def hold(self, endpoint: str, seconds: float) -> None:
        """Nobody."""


def endpoint_of(method: str, url: str) -> str:
    """What Stripe counts as one endpoint: the method and the path without ids, such as `POST /v1/refunds`."""
    _, found, rest = urlsplit(url).path.partition("/v1/")
    parts = ["{id}" if _ID.match(part) else part for part in rest.split("/")] if found else [url]
    return f"{method.upper()} /v1/{'/'.join(parts)}"
