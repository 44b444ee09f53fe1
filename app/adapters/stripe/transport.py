"""How the SDK's requests leave: at our pace, again where that is safe, never inside a transaction.

Importing this imports the SDK, which takes 0.8 s: only a process that pays for something waits for it.
"""

from collections.abc import Mapping
from time import sleep
from typing import Any, Final

import stripe

from app.adapters.stripe.pace import Pace, endpoint_of
from app.adapters.stripe.version import API_VERSION
from app.core.db import require_no_transaction

TRIES: Final = 3  # of one request, with the same idempotency key
LONGEST_PAUSE_SECONDS: Final = 5.0  # what Stripe wants beyond it is left to the queue
_FIRST_PAUSE_SECONDS: Final = 0.5
_CONFLICT, _TOO_MANY, _SERVER_ERROR = 409, 429, 500


def pinned_client(api_key: str, api_base: str | None, pace: Pace, *, timeout: float) -> stripe.StripeClient:
    """The SDK's client at one version of the API; `timeout` in seconds is that of one try."""
    return stripe.StripeClient(
        api_key,
        stripe_version=API_VERSION,
        base_addresses={"api": api_base.rstrip("/")} if api_base else {},
        http_client=PacedClient(pace, timeout=timeout),
        max_network_retries=0,  # the client tries again by itself, at our pace
    )


class PacedClient(stripe.HTTPClient):
    """Around the SDK's own client, which tries a request once; trying again is done here, where the pace is known."""

    name = "requests"

    def __init__(self, pace: Pace, *, timeout: float) -> None:
        super().__init__()
        self._pace, self._sender = pace, stripe.RequestsClient(timeout=timeout)

    def request(
        self, method: str, url: str, headers: Mapping[str, str] | None, post_data: Any = None, *,
        _usage: list[str] | None = None,
    ) -> tuple[str, int, Mapping[str, str]]:  # fmt: skip
        """Send, and send again after no answer, a conflict, a failure, or too many requests.

        Stripe-Should-Retry decides where it is sent; Retry-After is waited for, by every process.
        """
        endpoint = endpoint_of(method, url)
        for tried in range(1, TRIES + 1):
            self._pace.wait(endpoint)
            require_no_transaction()
            try:
                body, status, sent = self._sender.request(method, url, headers, post_data)
            except stripe.APIConnectionError as exc:
                if tried == TRIES or not exc.should_retry:
                    raise
                sleep(_pause(tried))
                continue
            pause = asked_to_wait(sent) or _pause(tried)
            if status == _TOO_MANY:
                self._pace.hold(endpoint, pause)
            if tried == TRIES or pause > LONGEST_PAUSE_SECONDS or not worth_another_try(status, sent):
                return body.decode(), status, sent
            sleep(pause)
        raise AssertionError("the last try returns or raises")


def worth_another_try(status: int, headers: Mapping[str, str]) -> bool:
    """Whether the same request with the same key may get another answer."""
    said = headers.get("stripe-should-retry", "")
    if said in {"true", "false"}:
        return said == "true"
    return status in {_CONFLICT, _TOO_MANY} or status >= _SERVER_ERROR


def asked_to_wait(headers: Mapping[str, str]) -> float | None:
    """The seconds of Retry-After; None where it is not sent or is a date, which Stripe does not send."""
    said = headers.get("retry-after", "")
    return float(said) if said.isascii() and said.isdigit() else None


def _pause(tried: int) -> float:
    """Half a second, doubled for each try. Those who failed together come back one by one: each books a turn again."""
    return _FIRST_PAUSE_SECONDS * 2.0 ** (tried - 1)
