"""What the provider answers: a body with a status, or a refusal shaped as Stripe's errors are."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """`replayed` says that an idempotency key had been answered before and this is that answer."""

    status: int
    body: Json
    replayed: bool = False


class Refused(Exception):
    """An error that leaves nothing behind, so a later try with the same key starts afresh."""

    def __init__(
        self, status: int, kind: str, message: str, *, code: str | None = None, param: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body = error_body(kind, message, code=code, param=param)


def error_body(kind: str, message: str, **more: str | Mapping[str, Any] | None) -> Json:
    """`kind` is Stripe's error type: invalid_request_error, card_error, idempotency_error, api_error."""
    return {"error": {"type": kind, "message": message} | {key: value for key, value in more.items() if value}}


def invalid(message: str, *, code: str = "parameter_invalid", param: str | None = None) -> Refused:
    return Refused(400, "invalid_request_error", message, code=code, param=param)


def missing(what: str, ref: str, *, param: str | None = None) -> Refused:
    """404 for what the address names, 400 for what a parameter names, as Stripe does."""
    status = 400 if param else 404
    message = f"No such {what}: '{ref[:60]}'"
    return Refused(status, "invalid_request_error", message, code="resource_missing", param=param or "id")
