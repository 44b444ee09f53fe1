"""The web server of a test process: one for all tests, showing whichever app is put on."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from functools import partial
from time import monotonic, sleep
from typing import Any

import uvicorn
from fastapi import FastAPI
from starlette.routing import BaseRoute, Mount

from app.core import embedded_postgres
from app.web.middleware import Receive, Scope, Send

_doors: dict[int, BaseRoute] = {}
_documents: dict[tuple[object, ...], dict[str, Any]] = {}


def _with_known_doors(app: FastAPI) -> FastAPI:
    """FastAPI works a door out when it is first asked for, ours in 80 ms; they are the same in every app.

    So is the document of them, the work of most of a second.
    """
    for place, route in enumerate(app.router.routes):
        router = getattr(route, "original_router", None)
        if router is not None:
            app.router.routes[place] = _doors.setdefault(id(router), route)
        elif isinstance(route, Mount) and isinstance(route.app, FastAPI):
            _with_known_doors(route.app)
    app.openapi = partial(_document, app, app.openapi)  # type: ignore[method-assign]  # as FastAPI's manual does it
    return app


def _document(app: FastAPI, write: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What `write` says of the app, once for all apps that have the same doors."""
    doors = (app.title, *(getattr(each, "path", id(each)) for each in app.router.routes))
    if doors not in _documents:
        _documents[doors] = write()
    return _documents[doors]


class Stage:
    """A server on a free loopback port whose app changes from test to test.

    Starting and stopping a server costs a fifth of a second, most of it waiting; an app's own start and end
    are run as the server would, on its event loop.
    """

    def __init__(self) -> None:
        self.port = embedded_postgres.free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._make: Callable[[], FastAPI] | None = None
        self._app: FastAPI | None = None
        self._life: AbstractAsyncContextManager[object] | None = None
        self._opening = asyncio.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        config = uvicorn.Config(
            self._show, host="127.0.0.1", port=self.port, log_config=None, ws="none", lifespan="off", interface="asgi3"
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        give_up = monotonic() + 20
        while not self._server.started:
            assert self._thread.is_alive(), "the web server did not start"
            assert monotonic() < give_up, "the web server did not start in time"
            sleep(0.005)

    def _run(self) -> None:
        with asyncio.Runner() as runner:
            self._loop = runner.get_loop()
            runner.run(self._server.serve())

    def open(self) -> None:
        """Begin as a process does that is started, before anybody asks."""
        self._wait_for(self._open())

    def _wait_for(self, step: Coroutine[object, object, object]) -> None:
        assert self._loop is not None
        asyncio.run_coroutine_threadsafe(step, self._loop).result(timeout=20)

    async def _open(self) -> FastAPI:
        async with self._opening:
            assert self._make is not None, "a request came between two tests"
            if self._app is None:
                app = _with_known_doors(self._make())
                self._life = app.router.lifespan_context(app)
                await self._life.__aenter__()
                self._app = app
            return self._app

    async def _show(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = await self._open()
        await app(scope, receive, send)

    @contextmanager
    def showing(self, make: Callable[[], FastAPI]) -> Iterator[None]:
        """`make` is called at the first request: half of the tests send none, and an app listens to its database."""
        self._make = make
        try:
            yield
        finally:
            self._make = self._app = None
            if self._life is not None:
                self._wait_for(self._life.__aexit__(None, None, None))
                self._life = None

    def close(self) -> None:
        self._server.should_exit = True
        self._thread.join(timeout=20)


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """A second server beside the world's own, for an app to which a test has added doors; gives its address."""
    stage = Stage()
    try:
        with stage.showing(lambda: app):
            stage.open()
            yield stage.url
    finally:
        stage.close()
