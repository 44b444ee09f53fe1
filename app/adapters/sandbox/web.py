"""The sandbox's own small site, mounted at /sandbox: pay page, Stripe-shaped API, mailbox, hook receiver, control."""

from http import HTTPStatus

from fastapi import FastAPI, Request
from starlette.responses import JSONResponse, Response

from app.adapters.sandbox import SandboxInProduction, control, hooks, mailbox, pay_page, setup_page, stripe_routes
from app.adapters.sandbox.answers import Refused
from app.adapters.sandbox.pay_page import PayPage, Render
from app.adapters.sandbox.provider_core import Provider
from app.flows.ports import Ports


def build(ports: Ports, render: Render) -> FastAPI:
    """The sub-app. `render` turns a view model of `views.py` into HTML. Raises SandboxInProduction."""
    if not ports.test_mode:
        raise SandboxInProduction("the sandbox's site is not part of an installation that is not a sandbox")
    provider = Provider(ports.db, ports.base_url)
    pages = PayPage(provider, render, ports.secrets, ports.vendor_name, f"{ports.base_url}/")
    app = FastAPI(title="BLP sandbox", openapi_url=None, docs_url=None, redoc_url=None)
    app.state.provider, app.state.pages = provider, pages
    app.add_exception_handler(Refused, _refusal)
    for room in (pay_page, setup_page, stripe_routes, mailbox, hooks, control):
        app.include_router(room.doors)
    return app


def _refusal(request: Request, exc: Exception) -> Response:
    """Stripe's shape to the SDK, RFC 9457 to everybody else."""
    if not isinstance(exc, Refused):
        raise exc
    if "/stripe/v1/" in request.url.path:
        return stripe_routes.refusal(request, exc)
    error = exc.body["error"]
    code = error.get("code", error["type"])
    problem = {
        "type": f"/problems/{code.replace('_', '-')}", "title": HTTPStatus(exc.status).phrase, "status": exc.status,
        "code": code, "detail": error["message"],
    }  # fmt: skip
    return JSONResponse(problem, exc.status, media_type="application/problem+json")
