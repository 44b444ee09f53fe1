"""Routes that honour `Idempotency-Key` on POST (core/idempotency.py)."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool

from app.core import idempotency
from app.core.canonical import sha256_hex
from app.core.clock import transport_now
from app.core.errors import Invalid
from app.web import problems

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class IdempotentRoute(APIRoute):
    """The key belongs to who sent it: the same key of two callers are two keys (ADR 0042)."""

    def get_route_handler(self) -> Handler:
        run = super().get_route_handler()

        async def handler(request: Request) -> Response:
            key = request.headers.get("idempotency-key")
            if request.method != "POST" or key is None:
                return await run(request)
            if not key or len(key) > idempotency.MAX_KEY_LENGTH or not key.isprintable():
                raise Invalid("Use 1 to 255 printable characters.", param="Idempotency-Key")
            database = request.app.state.ports.db
            digest = sha256_hex(_target(request) + b"\n" + await request.body())
            scope = _scope(request, digest)
            stored = await run_in_threadpool(idempotency.begin, database, scope, key, digest, transport_now())
            if stored is not None:
                headers = {"Idempotency-Replayed": "true"}
                return Response(stored.body, stored.status, headers, media_type=stored.content_type)
            return await _run_and_keep(run, request, scope, key)

        return handler


def _target(request: Request) -> bytes:
    """What is asked for, with its query."""
    query = request.url.query
    return f"{request.url.path}?{query}".encode() if query else request.url.path.encode()


def _scope(request: Request, digest: str) -> str:
    """Whose key it is: the credential's; of a caller without one, only that of the very same request.

    Strangers share nothing but the network, so a key that one of them chose is nobody else's to meet: with another body
    it is another key. Whoever sends the same body knows all that the first caller knew.
    """
    credential = request.headers.get("authorization", "").strip()
    # No header holds a line break, so that no credential leads to the scope of a stranger.
    return sha256_hex(credential.encode() if credential else b"\n" + digest.encode())


async def _run_and_keep(run: Handler, request: Request, scope: str, key: str) -> Response:
    database = request.app.state.ports.db
    try:
        response = await run(request)
    except Exception as exc:
        # A refusal is an answer and is kept; a bug is not, so that the next try runs.
        refused = problems.rendered(request, exc)
        answer = idempotency.Answer(
            refused.status_code if refused else 500, problems.MEDIA_TYPE, bytes(refused.body) if refused else b""
        )
        await run_in_threadpool(idempotency.finish, database, scope, key, answer)
        raise
    content_type = response.headers.get("content-type", "application/json")
    answer = idempotency.Answer(response.status_code, content_type, bytes(response.body))
    await run_in_threadpool(idempotency.finish, database, scope, key, answer)
    return response
