"""The floor under every HTTP figure: a bare ASGI hello, served exactly as `blp serve` serves the app."""

import sys
from typing import Any

import uvicorn

_BODY = b'{"hello":"world"}'


async def hello(_scope: Any, _receive: Any, send: Any) -> None:
    """Read nothing, look nothing up, answer."""
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(_BODY)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": _BODY})


if __name__ == "__main__":
    # The options of `blp serve`, so that only the app differs. The lifespan protocol is nothing to a bare hello.
    uvicorn.run(hello, port=int(sys.argv[1]), log_config=None, access_log=False, server_header=False, lifespan="off")
