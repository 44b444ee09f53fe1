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
    """The key belongs to who sent it: the same key of two callers are two keys."""

    def get_route_handler(self) -> Handler:
        run = super().get_route_handler()

        async def handler(request: Request) -> Response:
            key = request.headers.get("idempotency-key")
            if request.method != "POST" or key is None:
                return await run(request)
            if not key or len(key) > idempotency.MAX_KEY_LENGTH or not key.isprintable():
                raise Invalid("Use 1 to 255 printable characters.", param="Idempotency-Key")
            database = request.app.state.ports.db
            scope = sha256_hex(request.headers.get("authorization", "").encode())
            body = await request.body()
            digest = sha256_hex(request.url.path.encode() + b"\n" + body)
            stored = await run_in_threadpool(idempotency.begin, database, scope, key, digest, transport_now())
            if stored is not None:
                headers = {"Idempotency-Replayed": "true"}
                return Response(stored.body, stored.status, headers, media_type=stored.content_type)
            return await _run_and_keep(run, request, scope, key)

        return handler


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
