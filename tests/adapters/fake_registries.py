"""VIES and HMRC as they answer over HTTP, on a loopback port: real shapes, and numbers that play a part.

VIES' own test service gives each of its numbers one answer (comments of its WSDL); here they stand behind any state's
prefix. What HMRC does not know is any number that was not given to it.
"""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

# By the last three digits: what VIES calls it; None for an answer about the number.
VIES_NUMBERS: Final[Mapping[str, str | None]] = {
    "100": None, "200": None, "201": "INVALID_INPUT", "202": "INVALID_REQUESTER_INFO", "300": "SERVICE_UNAVAILABLE",
    "301": "MS_UNAVAILABLE", "302": "TIMEOUT", "400": "VAT_BLOCKED", "401": "IP_BLOCKED",
    "500": "GLOBAL_MAX_CONCURRENT_REQ", "501": "GLOBAL_MAX_CONCURRENT_REQ_TIME", "600": "MS_MAX_CONCURRENT_REQ",
    "601": "MS_MAX_CONCURRENT_REQ_TIME",
}  # fmt: skip
TELLS_NO_NAME: Final = {"DE", "ES"}
TOKEN_SECONDS: Final = 14_400
JSON: Final = "application/json"


class Registries:
    """What was asked, and what shall go wrong next: `break_off`, `say` (any bytes) or `expire_tokens`."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.tokens: list[str] = []
        self.uk_numbers = {"553557881": ("Credite Sberger Donal Inc.", "131B Barton Hamlet", "SW97 5CK")}
        self.say: tuple[int, bytes] | None = None
        self.break_off = False
        self.running, self.most_at_once = 0, 0
        self.slow: float = 0
        self._counting = threading.Lock()
        registries = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                """Quiet: a test's output is its failures."""

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if self.path == "/oauth/token":
                    self._answer(*registries.token(body))
                else:
                    self._answer(*registries.counted(body))

            def do_GET(self) -> None:
                self._answer(*registries.hmrc(self.path, self.headers.get("Authorization", ""),
                                              self.headers.get("Accept", "")))  # fmt: skip

            def _answer(self, status: int, said: bytes) -> None:
                if registries.break_off:
                    self.close_connection = True
                    return
                status, said = registries.say or (status, said)
                self.send_response(status)
                self.send_header("Content-Type", JSON)
                self.send_header("Content-Length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def counted(self, body: bytes) -> tuple[int, bytes]:
        with self._counting:
            self.running += 1
            self.most_at_once = max(self.most_at_once, self.running)
        threading.Event().wait(self.slow)
        try:
            return self.vies(json.loads(body))
        finally:
            with self._counting:
                self.running -= 1

    def vies(self, asked: dict[str, Any]) -> tuple[int, bytes]:
        self.asked.append(asked)
        last = asked["vatNumber"][-3:]
        code = VIES_NUMBERS.get(last)
        if code is not None:
            return 200, _json({"actionSucceed": False, "errorWrappers": [{"error": code}]})
        hidden = asked["countryCode"] in TELLS_NO_NAME
        valid = last != "200"
        return 200, _json({
            "countryCode": asked["countryCode"], "vatNumber": asked["vatNumber"],
            "requestDate": "2026-11-22T10:00:00.000Z", "valid": valid,
            "requestIdentifier": "WAPIAAAAY1" if asked.get("requesterNumber") else "",
            "name": "---" if hidden or not valid else "ACME OY", "address": "---" if hidden or not valid
            else "Katu 1\n00100 HELSINKI", "traderName": "---", "traderNameMatch": "NOT_PROCESSED",
        })  # fmt: skip

    def token(self, body: bytes) -> tuple[int, bytes]:
        if b"client_secret=right" not in body or b"scope=read%3Avat" not in body:
            return 401, _json({"error": "invalid_client", "error_description": "invalid client id or client secret"})
        self.tokens.append(f"token-{len(self.tokens)}")
        return 200, _json({"access_token": self.tokens[-1], "token_type": "bearer", "expires_in": TOKEN_SECONDS,
                           "scope": "read:vat"})  # fmt: skip

    def hmrc(self, path: str, authorization: str, accept: str) -> tuple[int, bytes]:
        if accept != "application/vnd.hmrc.2.0+json":
            return 406, _json({"code": "ACCEPT_HEADER_INVALID", "message": "The accept header is missing or invalid"})
        if not self.tokens or authorization != f"Bearer {self.tokens[-1]}":
            return 401, _json({"code": "INVALID_CREDENTIALS", "message": "Invalid Authentication information provided"})
        number, _, requester = path.partition("/lookup/")[2].partition("/")
        self.asked.append({"number": number, "requester": requester})
        if number == "500000000":
            return 500, _json({"code": "INTERNAL_SERVER_ERROR", "message": "Unknown error"})
        if number not in self.uk_numbers:
            return 404, _json({"code": "NOT_FOUND", "message": "targetVrn does not match a registered company"})
        name, line, postcode = self.uk_numbers[number]
        target = {"name": name, "vatNumber": number,
                  "address": {"line1": line, "postcode": postcode, "countryCode": "GB"}}  # fmt: skip
        said: dict[str, Any] = {"target": target, "processingDate": "2026-11-22T10:00:00+00:00"}
        return 200, _json(said | ({"requester": requester, "consultationNumber": "ypAeKRPlW"} if requester else {}))

    def expire_tokens(self) -> None:
        self.tokens.append("renewed")

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


@contextmanager
def running() -> Iterator[Registries]:
    registries = Registries()
    yield registries
    registries.close()
