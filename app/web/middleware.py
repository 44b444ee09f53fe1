"""Around every request: an id, a log line, a size limit, security headers, metrics. Plain ASGI, no buffering."""

import re
from collections.abc import Awaitable, Callable, MutableMapping
from time import perf_counter
from typing import Any, Final

import structlog
from prometheus_client import Counter, Histogram
from starlette.datastructures import Headers, MutableHeaders
from structlog.contextvars import bound_contextvars

from app.core.ids import new_id
from app.web.pages import CONTENT_SECURITY_POLICY

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

log = structlog.get_logger()

MAX_BODY_BYTES: Final = 256 * 1024
# Where papers are sent (agreements/papers.py): 10 MB and the form around it, over the API as base64.
_PAPERS: Final = re.compile(r"/q/[^/]+/sign|/console/accounts/[^/]+/agreements|/v1/quotes/[^/]+/accept")
MAX_PAPER_BYTES: Final = 15 * 1024 * 1024
_REQUESTS = Counter("blp_http_requests_total", "Requests answered", ["method", "route", "status"])
_SECONDS = Histogram("blp_http_request_seconds", "Time to answer", ["route"])

_HEADERS: Final = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}


class BodyTooLarge(Exception):
    pass


class Surround:
    """The outermost layer of the web app."""

    def __init__(self, app: ASGIApp, *, https: bool, pay_origin: str | None) -> None:
        self._app = app
        self._csp = CONTENT_SECURITY_POLICY + (f" {pay_origin}" if pay_origin else "")
        self._https = https

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = new_id("req")
        started, status = perf_counter(), 500

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                self._complete(MutableHeaders(scope=message), request_id)
            await send(message)

        with bound_contextvars(request_id=request_id):
            try:
                await self._limited(scope, receive, send_with_headers)
            finally:
                route = getattr(scope.get("route"), "path", "(none)")
                seconds = perf_counter() - started
                _REQUESTS.labels(scope["method"], route, status).inc()
                _SECONDS.labels(route).observe(seconds)
                # The route, not the path: paths carry tokens.
                log.info(
                    "http.answered", method=scope["method"], route=route, status=status, ms=round(seconds * 1000, 1)
                )

    def _complete(self, headers: MutableHeaders, request_id: str) -> None:
        headers["x-request-id"] = request_id
        headers.setdefault("content-security-policy", self._csp)
        headers.setdefault("cache-control", "no-store")
        for name, value in _HEADERS.items():
            headers.setdefault(name, value)
        if self._https:
            headers["strict-transport-security"] = "max-age=63072000; includeSubDomains"

    async def _limited(self, scope: Scope, receive: Receive, send: Send) -> None:
        declared = Headers(scope=scope).get("content-length", "0")
        most = MAX_PAPER_BYTES if _PAPERS.fullmatch(scope["path"]) else MAX_BODY_BYTES
        if not declared.isdigit() or int(declared) > most:
            await _refuse_body(send, most)
            return
        taken = 0
        started = False

        async def receive_limited() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > most:
                raise BodyTooLarge
            return message

        async def watch(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive_limited, watch)
        except BodyTooLarge:
            if not started:
                await _refuse_body(send, most)


async def _refuse_body(send: Send, most: int) -> None:
    body = (
        b'{"type":"/problems/body-too-large","title":"The body is too large","status":413,"code":"body_too_large",'
        b'"detail":"Send at most %d KiB."}' % (most // 1024)
    )
    headers = [(b"content-type", b"application/problem+json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": body})
