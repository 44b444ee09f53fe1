"""Structured logs: one JSON object a line, with a request id, and without secrets or addresses (I11)."""

import logging
import re
from collections.abc import Mapping, MutableMapping
from typing import Any, Final

import structlog

_HIDDEN_KEYS: Final = re.compile(r"secret|token|password|authorization|cookie|email|signature|card|^to$", re.IGNORECASE)
_HIDDEN_VALUES: Final = re.compile(
    r"blp_[\w-]{20,}|[\w.+-]+@[\w-]+\.[\w.]+|sk_(?:test|live)_\w+|whsec_\w+|\b\d{13,19}\b"
)
_MASK: Final = "[hidden]"


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return _HIDDEN_VALUES.sub(_MASK, value)
    if isinstance(value, Mapping):
        return {key: _MASK if _HIDDEN_KEYS.search(str(key)) else _clean(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(item) for item in value]
    return value


def hide(_logger: object, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """The last processor before rendering: whatever a caller bound, these never reach the output."""
    return {key: _MASK if _HIDDEN_KEYS.search(key) else _clean(value) for key, value in event.items()}


def configure(style: str) -> None:
    """`style` is json or console. Library logs (uvicorn, procrastinate) pass through the same processors."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        hide,
    ]
    renderer = structlog.processors.JSONRenderer() if style == "json" else structlog.dev.ConsoleRenderer()
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler()
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processor=renderer))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
