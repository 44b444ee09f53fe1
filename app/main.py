"""The web process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from app.config import Settings
from app.web import health, problems, routers
from app.web.api.shapes import operation_id
from app.web.fast import FastLane, Limits
from app.web.fast_memory import Memory
from app.web.middleware import Receive, Scope, Send, Surround
from app.web.throttle import Rate
from app.wiring import Wired

_DESCRIPTION = """Buy, tax, license, provision, renew and report. Money is `{"amount": 12900, "currency": "USD"}` in
minor units; instants are RFC 3339 in UTC; refusals are RFC 9457 problems.

Every POST that changes something takes an `Idempotency-Key` of 1 to 255 printable characters, best a random UUID, kept
for 30 days. The same request sent again gets the first answer, marked `Idempotency-Replayed: true`, unless that was a
failure of ours: then it runs. While the first one runs it gets 409. A key belongs to the credential that sent it: with
another body or address it gets 422. Callers without a credential have nothing that tells them apart, so their key
counts only together with the whole request: the same key with another body is another key, and neither meets the
other's answer."""


class WebApp(FastAPI):
    """The app with the fast lane in front of all its layers, each of which would cost a validation time."""

    lane: FastLane | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.lane is not None and self.lane.takes(scope):
            await self.lane(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


def create_app(settings: Settings, wired: Wired) -> WebApp:
    """The app with its doors, and the sandbox beside them where one is wired."""
    memory = Memory(wired.ports)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await memory.start()
        yield
        await memory.stop()

    app = WebApp(
        title="BLP", version="0.1.0", description=_DESCRIPTION, lifespan=lifespan, docs_url=None, redoc_url=None,
        openapi_url="/openapi.json", generate_unique_id_function=operation_id,
    )  # fmt: skip
    app.state.ports = wired.ports
    app.state.waiters = memory.waiters
    app.state.advance_clock = wired.advance_clock
    app.state.ip_country_header = settings.ip_country_header
    problems.install(app, routers.problem_page)
    app.include_router(health.router)
    routers.include(app)
    for path, mounted in wired.mounts:
        app.mount(path, mounted)
    pay_origin = "https://checkout.stripe.com" if settings.payments == "stripe" else None
    app.add_middleware(Surround, https=settings.base_url.startswith("https://"), pay_origin=pay_origin)
    app.lane = FastLane(app, ports=wired.ports, memory=memory, limits=_limits(settings))
    return app


def _limits(settings: Settings) -> Limits:
    return Limits(
        address=Rate(settings.validate_burst, settings.validate_per_second),
        key=Rate(settings.validate_key_burst, settings.validate_key_per_second),
    )
