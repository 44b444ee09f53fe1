"""A second web server beside the world's own, for an app to which a test has added doors."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic, sleep

import uvicorn
from fastapi import FastAPI

from app.core import embedded_postgres


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """The app on a free loopback port; gives its address."""
    port = embedded_postgres.free_port()
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_config=None, ws="none"))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()), daemon=True)
    thread.start()
    give_up = monotonic() + 20
    while not server.started:
        assert thread.is_alive(), "the web server did not start"
        assert monotonic() < give_up, "the web server did not start in time"
        sleep(0.005)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(timeout=20)
