"""The list of doors."""

from fastapi import FastAPI, Request
from starlette.responses import JSONResponse, Response


def include(app: FastAPI) -> None:
    """Add every door to the app."""


def problem_page(_request: Request, answer: JSONResponse) -> Response:
    return answer
