"""The provider's API under /sandbox/stripe/v1, close enough to Stripe's that its own SDK works against it."""

from base64 import b64decode
from binascii import Error as NotBase64
from typing import Annotated, Any
from urllib.parse import parse_qsl

from fastapi import APIRouter, Depends, Header, Request
from starlette.responses import JSONResponse, Response

from app.adapters.sandbox import disputes, intents, refunds, sessions, setups
from app.adapters.sandbox.answers import Answer, Json, Refused, missing
from app.adapters.sandbox.deps import Desk, Ref
from app.adapters.sandbox.params import (
    CustomerParams,
    IntentListParams,
    IntentParams,
    ListParams,
    Params,
    RefundListParams,
    RefundParams,
    SearchParams,
    SessionParams,
    SetupSessionParams,
    decode,
    read,
)
from app.adapters.sandbox.provider_core import events, new_ref
from app.adapters.sandbox.shapes import list_json
from app.adapters.stripe.version import API_VERSION


def _key(authorization: Annotated[str, Header()] = "") -> str:
    """The test key of the call, as a bearer token or as the user name of basic authentication."""
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() == "basic":
        try:
            value = b64decode(value, validate=True).decode().partition(":")[0]
        except (NotBase64, UnicodeDecodeError) as exc:
            raise Refused(401, "invalid_request_error", "The Authorization header cannot be read.") from exc
    if value.startswith(("sk_live_", "rk_live_")):
        raise Refused(401, "invalid_request_error", "This is the sandbox: never send it a live key.")
    if not value.startswith(("sk_test_", "rk_test_")):
        raise Refused(401, "invalid_request_error", "Send a test key, sk_test_… (any will do here).")
    return value


async def _form(request: Request) -> Json:
    try:
        return decode(parse_qsl((await request.body()).decode(), keep_blank_values=True, max_num_fields=500))
    except ValueError as exc:
        raise Refused(400, "invalid_request_error", "The body is not form-encoded UTF-8.") from exc


def _query(request: Request) -> Json:
    return decode(request.query_params.multi_items())


Form = Annotated[Json, Depends(_form)]
Query = Annotated[Json, Depends(_query)]
Key = Annotated[str | None, Header(alias="Idempotency-Key", max_length=255)]


def headers_for(request: Request) -> dict[str, str]:
    """What every answer of the API carries."""
    sent = {"request-id": new_ref("req"), "stripe-version": request.headers.get("stripe-version", API_VERSION)}
    if key := request.headers.get("idempotency-key"):
        sent["idempotency-key"] = key
    return sent


def _reply(request: Request, answer: Answer) -> Response:
    headers = headers_for(request)
    if answer.replayed:
        headers["idempotent-replayed"] = "true"
    if answer.status >= 500:
        headers["stripe-should-retry"] = "false"  # the same key would get the same answer
    return JSONResponse(answer.body, answer.status, headers)


def refusal(request: Request, exc: Refused) -> Response:
    return JSONResponse(exc.body, exc.status, headers_for(request))


def _sent(request: Request, body: Json) -> Response:
    return _reply(request, Answer(200, body))


def _expand(query: dict[str, Any]) -> list[str]:
    return read(Params, query).expand


doors = APIRouter(prefix="/stripe/v1", dependencies=[Depends(_key)])


@doors.post("/checkout/sessions")
def create_session(request: Request, provider: Desk, form: Form, key: Key = None) -> Response:
    if form.get("mode") == "setup":
        return _reply(request, setups.create(provider, read(SetupSessionParams, form), key))
    return _reply(request, sessions.create(provider, read(SessionParams, form), key))


@doors.get("/checkout/sessions/{ref}")
def session(request: Request, provider: Desk, ref: Ref, query: Query) -> Response:
    room = setups if setups.known(provider, ref) else sessions
    return _sent(request, room.retrieve(provider, ref, _expand(query)))


@doors.post("/checkout/sessions/{ref}/expire")
def expire_session(request: Request, provider: Desk, ref: Ref, form: Form) -> Response:
    room = setups if setups.known(provider, ref) else sessions
    return _sent(request, room.expire(provider, ref, _expand(form)))


@doors.post("/payment_intents")
def create_intent(request: Request, provider: Desk, form: Form, key: Key = None) -> Response:
    return _reply(request, intents.create(provider, read(IntentParams, form), key))


@doors.get("/payment_intents")
def list_intents(request: Request, provider: Desk, query: Query) -> Response:
    found, more = intents.of_customer(provider, read(IntentListParams, query))
    return _sent(request, list_json("/v1/payment_intents", found, has_more=more))


@doors.get("/payment_intents/search")
def search_intents(request: Request, provider: Desk, query: Query) -> Response:
    params = read(SearchParams, query)
    found = intents.search(provider, params.wanted(), [path.removeprefix("data.") for path in params.expand])
    return _sent(request, list_json(request.url.path, found, has_more=False) | {"object": "search_result"})


@doors.get("/payment_intents/{ref}")
def intent(request: Request, provider: Desk, ref: Ref, query: Query) -> Response:
    return _sent(request, intents.retrieve(provider, ref, _expand(query)))


@doors.get("/charges/{ref}")
def charge(request: Request, provider: Desk, ref: Ref) -> Response:
    return _sent(request, intents.retrieve_charge(provider, ref))


@doors.post("/customers")
def create_customer(request: Request, provider: Desk, form: Form, key: Key = None) -> Response:
    return _reply(request, intents.create_customer(provider, read(CustomerParams, form), key))


@doors.get("/customers/{ref}")
def customer(request: Request, provider: Desk, ref: Ref) -> Response:
    return _sent(request, intents.retrieve_customer(provider, ref))


@doors.delete("/customers/{ref}")
def delete_customer(request: Request, provider: Desk, ref: Ref) -> Response:
    return _sent(request, intents.delete_customer(provider, ref))


@doors.get("/setup_intents/{ref}")
def setup_intent(request: Request, provider: Desk, ref: Ref, query: Query) -> Response:
    return _sent(request, setups.retrieve_intent(provider, ref, _expand(query)))


@doors.post("/payment_methods/{ref}/detach")
def detach(request: Request, provider: Desk, ref: Ref, form: Form) -> Response:
    return _sent(request, intents.detach_method(provider, ref, _expand(form)))


@doors.get("/payment_methods/{ref}")
def method(request: Request, provider: Desk, ref: Ref, query: Query) -> Response:
    return _sent(request, intents.retrieve_method(provider, ref, _expand(query)))


@doors.post("/refunds")
def create_refund(request: Request, provider: Desk, form: Form, key: Key = None) -> Response:
    return _reply(request, refunds.create(provider, read(RefundParams, form), key))


@doors.get("/refunds")
def list_refunds(request: Request, provider: Desk, query: Query) -> Response:
    params = read(RefundListParams, query)
    found = refunds.of_charge(provider, params.charge, [path.removeprefix("data.") for path in params.expand])
    return _sent(request, list_json("/v1/refunds", found[: params.limit], has_more=len(found) > params.limit))


@doors.get("/refunds/{ref}")
def refund(request: Request, provider: Desk, query: Query, ref: Ref) -> Response:
    return _sent(request, refunds.retrieve(provider, ref, _expand(query)))


@doors.get("/disputes/{ref}")
def dispute(request: Request, provider: Desk, ref: Ref) -> Response:
    return _sent(request, disputes.retrieve(provider, ref))


@doors.get("/events")
def list_events(request: Request, provider: Desk, query: Query) -> Response:
    params = read(ListParams, query)
    data, more = events(provider, limit=params.limit, kind=params.type, after=params.starting_after)
    return _sent(request, list_json("/v1/events", data, has_more=more))


@doors.api_route("/{path:path}", methods=["GET", "POST", "DELETE"])
def unrecognized(request: Request, path: str) -> Response:
    raise missing("URL in this sandbox", f"{request.method} /v1/{path}")
