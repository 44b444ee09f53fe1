"""The fast lane: `POST /v1/licenses/validate` in front of all middleware (ADR 0002).

A plain ASGI layer: it reads the body, remembers licenses and signed answers (`fast_memory.py`), and writes nothing.
An answer without a nonce is kept for the rest of its minute under the hash of the request and whoever asked, for
as long as the license, the keys and the clock it rests on stay as they are.
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from math import ceil
from time import monotonic
from typing import Any, Final

import psycopg
import structlog
from fastapi.exceptions import RequestValidationError
from prometheus_client import Counter
from psycopg_pool import PoolTimeout
from pydantic import ValidationError
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse
from structlog.contextvars import bound_contextvars

from app.core.clock import transport_now
from app.core.errors import DomainError, Unavailable
from app.core.ids import new_id
from app.flows.ports import Ports
from app.licenses import validating
from app.licenses.validating import Asker, Record
from app.web import deps, problems
from app.web.api.shapes import strict_json
from app.web.api.validation import MAX_BODY_BYTES, PATH, ValidateIn, asker_of
from app.web.fast_memory import Memory
from app.web.middleware import ASGIApp, Receive, Scope, Send
from app.web.throttle import Rate, Throttle, address_block

log = structlog.get_logger()

_MOST_ANSWERS: Final = 10_000
_MOST_KEYS: Final = 1_000
_KEY_SECONDS: Final = 60
_ANSWERED = Counter("blp_validations_total", "Validations answered by the fast lane", ["code"])
_HEADERS: Final = (
    (b"content-type", b"application/json"), (b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"),
)  # fmt: skip


class BodyTooLarge(DomainError):
    status, slug, title = HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body-too-large", "The body is too large"


class NotJson(DomainError):
    status, slug, title = HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", "The body is not sent as JSON"


class TooManyRequests(DomainError):
    status, slug, title = HTTPStatus.TOO_MANY_REQUESTS, "too-many-requests", "You are asking too often"


@dataclass(frozen=True, slots=True)
class Limits:
    """How often one address may ask, and how often one API key."""

    address: Rate
    key: Rate


@dataclass(frozen=True, slots=True)
class _Known:
    """An API key that was good a moment ago."""

    id: str
    asker: Asker
    expires_at: datetime
    checked_at: float
    generation: int


@dataclass(frozen=True, slots=True)
class _Answer:
    """A signed answer and what it rests on."""

    body: bytes
    generation: int
    file_id: str
    record: Record | None
    counted: Any
    activation: str  # of the server that asked, if it is bound
    kid: str  # that signed the file that was shown, if one was


class _Gone(Exception):
    """The asker hung up."""


class FastLane:
    """The layer. Everything but its one address goes through to `app`."""

    def __init__(self, app: ASGIApp, *, ports: Ports, memory: Memory, limits: Limits) -> None:
        self._app, self._ports, self._memory = app, ports, memory
        self._sightings, self._key_uses = memory.sightings, memory.key_uses
        self._addresses, self._keys = Throttle(limits.address), Throttle(limits.key)
        self._answers: dict[tuple[bytes, Asker | None], _Answer] = {}
        self._minute = 0
        self._known: dict[str, _Known] = {}
        self._https = ports.base_url.startswith("https://")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        ours = scope["type"] == "http" and scope["path"] == PATH and scope["method"] == "POST"
        if ours and self._memory.running:
            await self._serve(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id = new_id("req")
        status, headers = 200, list(_HEADERS)
        try:
            body = await self._answer(scope, receive)
        except _Gone:
            return
        except Exception as exc:  # noqa: BLE001 -- the outermost layer: whatever it is becomes an answer
            with bound_contextvars(request_id=request_id):
                refusal = _problem(Request(scope), exc)
            status, body = refusal.status_code, bytes(refusal.body)
            headers = [(b"content-type", problems.MEDIA_TYPE.encode()), *_HEADERS[1:]]
            headers += [(name, value) for name, value in refusal.raw_headers if name == b"retry-after"]
            _ANSWERED.labels(str(status)).inc()
        headers += [(b"x-request-id", request_id.encode()), (b"content-length", str(len(body)).encode())]
        if self._https:
            headers.append((b"strict-transport-security", b"max-age=63072000; includeSubDomains"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, scope: Scope, receive: Receive) -> bytes:
        asker = await self._let_in(scope)
        body = await _read(scope, receive)
        now = await self._memory.now()
        minute = int(now.timestamp()) // 60
        if minute != self._minute:
            self._answers.clear()
            self._minute = minute
        name = (hashlib.sha256(body).digest(), asker)
        kept = self._answers.get(name)
        if kept is not None and self._holds(kept):
            kept.counted.inc()
            self._sightings.note(kept.activation)
            self._key_uses.note(kept.kid)
            return kept.body
        return await self._make(name, _parsed(body), asker, now)

    def _holds(self, kept: _Answer) -> bool:
        memory = self._memory
        if not memory.hears or kept.generation != memory.generation:
            return False
        return kept.file_id == "" or memory.still(kept.file_id, kept.record)

    async def _make(
        self, name: tuple[bytes, Asker | None], asked: ValidateIn, asker: Asker | None, now: datetime
    ) -> bytes:
        memory, presented = self._memory, asked.presented()
        generation = memory.generation
        trust = await memory.trust(now)
        opened = await memory.open_rendering(presented) or trust.open(presented)
        record = await memory.record(opened.file_id) if opened.refused is None else None
        standing = validating.standing_of(presented, record, transport_now())
        if standing is not None and standing.dead:
            # Heartbeats change nothing that is remembered, so nobody is called dead by memory alone.
            record = await memory.record(opened.file_id, anew=True)
            standing = validating.standing_of(presented, record, transport_now())
        decision = validating.judge(presented, opened, record, asker, now, transport_now())
        said = validating.answer(presented, decision, record, trust.signer, now)
        shown = decision.reveals  # whoever does not speak for the license has not seen its server either
        made = _Answer(
            json.dumps(said, separators=(",", ":"), ensure_ascii=False).encode(), generation, opened.file_id, record,
            _ANSWERED.labels(decision.code), standing.place.id if shown and standing and standing.place else "",
            (opened.logged_under or record.kid) if shown and record and presented.license is not None else "",
        )  # fmt: skip
        made.counted.inc()
        self._sightings.note(made.activation)
        self._key_uses.note(made.kid)
        revivable = standing is not None and standing.dead  # the next heartbeat makes it untrue, and is not heard of
        if presented.nonce is None and not revivable and len(self._answers) < _MOST_ANSWERS and self._holds(made):
            self._answers[name] = made
        return made.body

    async def _let_in(self, scope: Scope) -> Asker | None:
        """Count the request against its API key or its address. Raises TooManyRequests, NotSignedIn."""
        client = scope.get("client")
        address = address_block(client[0] if client else "")
        shown = next((value for name, value in scope["headers"] if name == b"authorization"), None)
        if shown is None:
            _require_token(self._addresses, address)
            return None
        known = self._known.get(shown_hash := hashlib.sha256(shown).hexdigest())
        if known is None or not self._good(known):
            # Only keys that hold have a bucket of their own, so that made-up ones do not mint fresh buckets.
            _require_token(self._addresses, address)
            self._known.pop(shown_hash, None)
            known = await self._look_up(scope)
            if len(self._known) >= _MOST_KEYS:
                self._known.pop(next(iter(self._known)))
            self._known[shown_hash] = known
        else:
            _require_token(self._keys, known.id)
        return known.asker

    def _good(self, known: _Known) -> bool:
        fresh = monotonic() - known.checked_at < _KEY_SECONDS and known.expires_at > transport_now()
        return fresh and self._memory.hears and known.generation == self._memory.generation

    async def _look_up(self, scope: Scope) -> _Known:
        generation = self._memory.generation
        key = await run_in_threadpool(deps.api_key, Request(scope), self._ports)
        asker = asker_of(key)
        assert asker is not None  # there is a key
        return _Known(key.id, asker, key.expires_at, monotonic(), generation)


def _require_token(throttle: Throttle, who: str) -> None:
    wait = throttle.take(who, monotonic())
    if wait > 0:
        seconds = max(1, ceil(wait))
        raise TooManyRequests(
            f"Ask again in {seconds} s; an API key raises the limit, and answers may be kept for a minute.",
            retry_after=seconds,
        )


async def _read(scope: Scope, receive: Receive) -> bytes:
    """The body. Raises BodyTooLarge, NotJson, and _Gone where the asker hangs up."""
    headers = {name: value for name, value in scope["headers"] if name in {b"content-length", b"content-type"}}
    declared = headers.get(b"content-length", b"0")
    if not declared.isdigit() or len(declared) > 10 or int(declared) > MAX_BODY_BYTES:
        raise BodyTooLarge(f"Send at most {MAX_BODY_BYTES // 1024} KiB.")
    media_type = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if media_type != b"application/json" and not (
        media_type.startswith(b"application/") and media_type.endswith(b"+json")
    ):
        raise NotJson("Send the header `Content-Type: application/json`.")
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Gone
        chunk: bytes = message.get("body", b"")
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise BodyTooLarge(f"Send at most {MAX_BODY_BYTES // 1024} KiB.")
        if not message.get("more_body", False):
            return body


def _parsed(body: bytes) -> ValidateIn:
    """Raises RequestValidationError, as the plain door would."""
    if not body:
        raise RequestValidationError([{"type": "missing", "loc": ("body",), "msg": "Field required"}])
    try:
        return ValidateIn.model_validate(strict_json(body), from_attributes=True)
    except json.JSONDecodeError as exc:
        raise RequestValidationError([{"type": "json_invalid", "loc": ("body", exc.pos), "msg": exc.msg}]) from exc
    except ValidationError as exc:
        raise RequestValidationError([{**each, "loc": ("body", *each["loc"])} for each in exc.errors()]) from exc


def _problem(request: Request, exc: Exception) -> JSONResponse:
    """The refusal in the words of RFC 9457; an unforeseen one is logged and tells nothing."""
    if isinstance(exc, psycopg.Error | PoolTimeout | SQLAlchemyError):
        log.warning("fast_lane.database_away", why=type(exc).__name__)
        exc = Unavailable("The database is not answering; ask again in a moment.")
    known = problems.rendered(request, exc)
    if known is None:
        log.error("fast_lane.failed", exc_info=exc)
        return problems.problem(
            request, status=HTTPStatus.INTERNAL_SERVER_ERROR, slug="internal", title="Something broke on our side",
            detail="It was recorded. Try again; if it stays, send us the request id.",
        )  # fmt: skip
    if isinstance(exc, DomainError) and "retry_after" in exc.extra:
        known.headers["Retry-After"] = str(exc.extra["retry_after"])
    return known
