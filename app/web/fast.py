"""The fast lane: `POST /v1/licenses/validate` in front of the whole app (ADR 0002).

Plain ASGI: it reads the body, remembers licenses (`fast_memory.py`) and what it said of them, and writes nothing.
Kept for the rest of its minute, and for as long as the license, the keys and the clock it rests on stay as they are:
what was decided, under the question and whoever asked, so that another nonce costs a signature only; and the whole
answer to a request without a nonce, under the hash of its body.
"""

import json
import re
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
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
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse
from structlog.contextvars import bound_contextvars

from app.core.clock import transport_now
from app.core.errors import DomainError, Unavailable
from app.core.ids import new_id
from app.flows.ports import Ports
from app.licenses import validating
from app.licenses.records import Record
from app.licenses.validating import Asker, Draft, Presented
from app.web import deps, problems
from app.web.api.shapes import strict_json
from app.web.api.validation import MAX_BODY_BYTES, PATH, ValidateIn, asker_of
from app.web.fast_memory import Memory
from app.web.middleware import Receive, Scope, Send
from app.web.throttle import Rate, Throttle, address_block

log = structlog.get_logger()

_MOST_ANSWERS: Final = 10_000
_MOST_CHARACTERS: Final = 10_000  # of a file whose text is remembered: the product takes none that is longer
_MOST_KEYS: Final = 1_000
_KEY_SECONDS: Final = 60
_ANSWERED = Counter("blp_validations_total", "Validations answered by the fast lane", ["code"])
_MEDIA_TYPE: Final = (b"content-type", b"application/json")
_HEADERS: Final = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))
_JSON: Final = re.compile(rb"\s*application/(json|[^;]*\+json)\s*(;|$)", re.IGNORECASE)
_COUNT: Final = frozenset({b"authorization", b"content-length", b"content-type"})
_NEVER_PLAIN: Final = (b"strict-transport-security", b"max-age=63072000; includeSubDomains")


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
class _Decided:
    """What was decided, what it rests on, and what is counted each time it is said."""

    draft: Draft
    generation: int
    file_id: str
    record: Record | None
    counted: Any
    activation: str  # of the server that asked, if it is bound
    kid: str  # that signed the file that was shown, if one was


_Question = tuple[str | None, str | None, str | None, frozenset[str] | None, Asker | None]


class _Gone(Exception):
    """The asker hung up."""


class FastLane:
    """Answers at its one address, in front of `app`."""

    def __init__(self, app: Starlette, *, ports: Ports, memory: Memory, limits: Limits) -> None:
        self._app, self._ports, self._memory = app, ports, memory
        self._sightings, self._key_uses = memory.sightings, memory.key_uses
        self._addresses, self._keys = Throttle(limits.address), Throttle(limits.key)
        self._decided: dict[_Question, _Decided] = {}
        self._answers: dict[tuple[bytes, Asker | None], tuple[bytes, _Decided]] = {}
        self._minute = 0
        self._known: dict[bytes, _Known] = {}
        self._counters: dict[str, Any] = {}
        self._headers = _HEADERS + ((_NEVER_PLAIN,) if ports.base_url.startswith("https://") else ())

    def takes(self, scope: Scope) -> bool:
        """Whether this request is for the lane, and the lane is open."""
        ours: bool = scope["type"] == "http" and scope["path"] == PATH and scope["method"] == "POST"
        return ours and self._memory.running

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id = new_id("req")
        status, headers = 200, [_MEDIA_TYPE]
        try:
            body = await self._answer(scope, receive)
        except _Gone:
            return
        except Exception as exc:  # noqa: BLE001 -- the outermost layer: whatever it is becomes an answer
            with bound_contextvars(request_id=request_id):
                refusal = _problem(self._request(scope), exc)
            status, body = refusal.status_code, bytes(refusal.body)
            headers = [(b"content-type", problems.MEDIA_TYPE.encode())]
            headers += [(name, value) for name, value in refusal.raw_headers if name == b"retry-after"]
            _ANSWERED.labels(str(status)).inc()
        headers += self._headers
        headers += (b"x-request-id", request_id.encode()), (b"content-length", b"%d" % len(body))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, scope: Scope, receive: Receive) -> bytes:
        told = _told(scope)
        asker = await self._let_in(scope, told.get(b"authorization"))
        body = await _read(told, receive)
        now = await self._memory.now()
        minute = int(now.timestamp()) // 60
        if minute != self._minute:
            self._answers.clear()
            self._decided.clear()
            self._minute = minute
        name = (sha256(body).digest(), asker)
        kept = self._answers.get(name)
        if kept is not None and self._holds(kept[1]):
            self._count(kept[1])
            return kept[0]
        presented = _presented(body)
        decided, lasting = await self._decide(presented, asker, now)
        self._count(decided)
        trust = await self._memory.trust(now)
        answer = decided.draft.signed(trust.signer, now, presented.nonce)
        if lasting and presented.nonce is None and len(self._answers) < _MOST_ANSWERS and self._holds(decided):
            self._answers[name] = (answer, decided)
        return answer

    def _request(self, scope: Scope) -> Request:
        """For what the app shares with us; it names itself only to what lies behind it."""
        return Request({**scope, "app": self._app})

    def _holds(self, kept: _Decided) -> bool:
        memory = self._memory
        if not memory.hears or kept.generation != memory.generation:
            return False
        return kept.file_id == "" or memory.still(kept.file_id, kept.record)

    def _count(self, said: _Decided) -> None:
        said.counted.inc()
        self._sightings.note(said.activation)
        self._key_uses.note(said.kid)

    async def _decide(self, presented: Presented, asker: Asker | None, now: datetime) -> tuple[_Decided, bool]:
        """What to say, and whether it may be said again within the minute."""
        question = (presented.license, presented.key, presented.fingerprint, presented.entitlements, asker)
        known = self._decided.get(question)
        if known is not None and self._holds(known):
            return known, True
        memory = self._memory
        generation = memory.generation
        opened = await memory.open_rendering(presented) or (await memory.trust(now)).open(presented)
        record = await memory.record(opened.file_id) if opened.refused is None else None
        standing = validating.standing_of(presented, record, transport_now())
        if standing is not None and standing.dead:
            # Heartbeats change nothing that is remembered, so nobody is called dead by memory alone.
            record = await memory.record(opened.file_id, anew=True)
            standing = validating.standing_of(presented, record, transport_now())
        decision = validating.judge(presented, opened, record, asker, now, transport_now())
        shown = decision.reveals  # whoever does not speak for the license has not seen its server either
        decided = _Decided(
            validating.draft(decision, record), generation, opened.file_id, record, self._counter(decision.code),
            standing.place.id if shown and standing and standing.place else "",
            (opened.logged_under or record.kid) if shown and record and presented.license is not None else "",
        )  # fmt: skip
        lasting = standing is None or not standing.dead  # the next heartbeat makes it untrue, and is not heard of
        if lasting and opened.refused is None and self._has_room(presented) and self._holds(decided):
            self._decided[question] = decided
        return decided, lasting

    def _has_room(self, presented: Presented) -> bool:
        return len(presented.license or "") <= _MOST_CHARACTERS and len(self._decided) < _MOST_ANSWERS

    def _counter(self, code: str) -> Any:
        if (found := self._counters.get(code)) is None:
            found = self._counters[code] = _ANSWERED.labels(code)
        return found

    async def _let_in(self, scope: Scope, credential: bytes | None) -> Asker | None:
        """Count the request against its API key or its address. Raises TooManyRequests, NotSignedIn."""
        client = scope.get("client")
        address = address_block(client[0] if client else "")
        if credential is None:
            _require_token(self._addresses, address)
            return None
        known = self._known.get(digest := sha256(credential).digest())
        if known is None or not self._good(known):
            # Only keys that hold have a bucket of their own, so that made-up ones do not mint fresh buckets.
            _require_token(self._addresses, address)
            self._known.pop(digest, None)
            known = await self._look_up(scope)
            if len(self._known) >= _MOST_KEYS:
                self._known.pop(next(iter(self._known)))
            self._known[digest] = known
        else:
            _require_token(self._keys, known.id)
        return known.asker

    def _good(self, known: _Known) -> bool:
        fresh = monotonic() - known.checked_at < _KEY_SECONDS and known.expires_at > transport_now()
        return fresh and self._memory.hears and known.generation == self._memory.generation

    async def _look_up(self, scope: Scope) -> _Known:
        generation = self._memory.generation
        key = await run_in_threadpool(deps.api_key, self._request(scope), self._ports)
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


def _told(scope: Scope) -> dict[bytes, bytes]:
    """The headers that count here; of one that is sent twice the first, as everywhere."""
    return {name: value for name, value in reversed(scope["headers"]) if name in _COUNT}


async def _read(headers: dict[bytes, bytes], receive: Receive) -> bytes:
    """The body. Raises BodyTooLarge, NotJson, and _Gone where the asker hangs up."""
    declared = headers.get(b"content-length", b"0")
    if not declared.isdigit() or len(declared) > 10 or int(declared) > MAX_BODY_BYTES:
        raise BodyTooLarge(f"Send at most {MAX_BODY_BYTES // 1024} KiB.")
    media_type = headers.get(b"content-type", b"")
    if media_type != b"application/json" and not _JSON.match(media_type):
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


def _presented(body: bytes) -> Presented:
    """What a body says, read in one step; what that refuses is read again as the plain door does, for its words."""
    try:
        asked = ValidateIn.model_validate_json(body)
    except ValidationError:
        asked = _parsed(body)
    return asked.presented()


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
    if isinstance(exc, psycopg.Error | PoolTimeout | SQLAlchemyError | TimeoutError):
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
