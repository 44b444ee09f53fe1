"""The list of doors."""

from fastapi import FastAPI, Request
from starlette.responses import JSONResponse, Response

from app.web.api import events, surveys, webhook_endpoints
from app.web.inbound import stripe


def include(app: FastAPI) -> None:
    """Add every door to the app."""
    app.include_router(stripe.router)
    app.include_router(surveys.router)
    app.include_router(webhook_endpoints.router)
    app.include_router(events.router)


def problem_page(_request: Request, answer: JSONResponse) -> Response:
    return answer
