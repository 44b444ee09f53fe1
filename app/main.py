"""The web process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from app.config import Settings
from app.web import health, problems, routers
from app.web.middleware import Surround
from app.wiring import Wired

_DESCRIPTION = """Buy, tax, license, provision, renew and report. Money is `{"amount": 12900, "currency": "USD"}` in
minor units; instants are RFC 3339 in UTC; refusals are RFC 9457 problems."""


def create_app(settings: Settings, wired: Wired) -> FastAPI:
    """The app with its doors, and the sandbox beside them where one is wired."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        wired.ports.db.dispose()

    app = FastAPI(
        title="BLP", version="0.1.0", description=_DESCRIPTION, lifespan=lifespan, docs_url=None, redoc_url=None,
        openapi_url="/openapi.json",
    )  # fmt: skip
    app.state.ports = wired.ports
    problems.install(app, routers.problem_page)
    app.include_router(health.router)
    routers.include(app)
    for path, mounted in wired.mounts:
        app.mount(path, mounted)
    pay_origin = "https://checkout.stripe.com" if settings.payments == "stripe" else None
    app.add_middleware(Surround, https=settings.base_url.startswith("https://"), pay_origin=pay_origin)
    return app
