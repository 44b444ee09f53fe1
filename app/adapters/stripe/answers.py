"""Stripe's errors in our words, in one place."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import structlog

from app.adapters.stripe import words
from app.core.db import require_no_transaction
from app.core.errors import NotFound
from app.payments.errors import PaymentRefused, PaymentUnavailable

if TYPE_CHECKING:
    import stripe

log = structlog.get_logger()


class Declined(Exception):
    """The bank said no; `intent` is the payment intent that holds the refusal."""

    def __init__(self, intent: dict[str, Any]) -> None:
        super().__init__(intent.get("id"))
        self.intent = intent


class Failed(PaymentUnavailable):
    """Stripe itself failed (5xx), perhaps after it had done what was asked."""


@contextmanager
def translated() -> Iterator[None]:
    """Unknown outcome (no connection, 5xx, 429, a key in use, our own credentials): PaymentUnavailable, ask again with
    the same attempt. Nothing happened and never will: NotFound or PaymentRefused. The bank declined: Declined.
    """
    require_no_transaction()
    import stripe

    try:
        yield
    except stripe.CardError as exc:
        intent = _error_body(exc).get("payment_intent")
        if not isinstance(intent, dict):
            raise PaymentRefused("The card was declined.", reason=words.failure_code(_error_body(exc))) from exc
        raise Declined(intent) from exc
    except stripe.RateLimitError as exc:
        _note(exc)
        raise PaymentUnavailable(
            "The payment provider is asked too often. Try again shortly.", retry_after=_asked_to_wait(exc)
        ) from exc
    except stripe.InvalidRequestError as exc:
        if exc.http_status == 404:
            raise NotFound("The payment provider knows no such object.") from exc
        reason = exc.code or "invalid_request"
        raise PaymentRefused(f"The payment provider refuses: {exc.user_message}", reason=reason) from exc
    except stripe.IdempotencyError as exc:
        raise PaymentRefused(
            "This attempt was asked before with other figures; begin a new one.", reason="idempotency_error"
        ) from exc
    except stripe.StripeError as exc:
        _note(exc)
        kind = Failed if (exc.http_status or 0) >= 500 else PaymentUnavailable
        raise kind("The payment provider did not give an answer. Try again shortly.") from exc


def _note(exc: "stripe.StripeError") -> None:
    import stripe

    refused = isinstance(exc, stripe.PermissionError | stripe.AuthenticationError)
    say = log.error if refused else log.warning
    # What a key may not do is for whoever runs this installation; `blp doctor` names the permission to add.
    why = exc.user_message if refused else None
    say("stripe.unavailable", error=type(exc).__name__, status=exc.http_status, request=exc.request_id, why=why)


def _asked_to_wait(exc: "stripe.StripeError") -> int | None:
    said = (exc.headers or {}).get("retry-after", "")
    return int(said) if said.isascii() and said.isdigit() else None


def _error_body(exc: "stripe.CardError") -> Mapping[str, Any]:
    body = exc.json_body
    error = body.get("error") if isinstance(body, dict) else None
    return error if isinstance(error, dict) else {"type": "card_error", "code": exc.code}
