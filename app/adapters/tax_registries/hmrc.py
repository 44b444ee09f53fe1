"""HMRC's "Check a UK VAT number", version 2.0, which answers registered applications only.

https://developer.service.hmrc.gov.uk/api-documentation/docs/api/service/vat-registered-companies-api/2.0: a token by
client credentials (scope read:vat), then a lookup; 404 with the code NOT_FOUND says that a number is not registered.
"""

from threading import Lock
from time import monotonic
from typing import Any, Final

from app.adapters.tax_registries.line import UNREADABLE, Line, Reply, Silence, Turns
from app.tax.provider import RegistryAnswer

HMRC: Final = "https://api.service.hmrc.gov.uk"
NAME: Final = "hmrc"
_LOOKUP: Final = "/organisations/vat/check-vat-number/lookup"
_ACCEPT: Final = "application/vnd.hmrc.2.0+json"
_EARLY: Final = 60  # seconds before its end at which a token is not used any more
# The application was refused: a person has to look at its credentials.
_NOT_ALLOWED: Final = frozenset({"INVALID_CREDENTIALS", "INVALID_REQUEST", "RESOURCE_FORBIDDEN"})


class Hmrc:
    """`requester` is the seller's own UK number: only then a consultation number is given."""

    def __init__(
        self, url: str = HMRC, *, client_id: str, client_secret: str, requester: str = "", seconds: float = 10
    ) -> None:
        self._line, self._turns = Line(url, seconds=seconds), Turns(patience=seconds)
        self._id, self._secret, self._requester = client_id, client_secret, _digits(requester)
        self._token, self._token_ends = "", 0.0
        self._renewing = Lock()

    def check(self, type: str, value: str, country: str) -> RegistryAnswer:  # noqa: A002, ARG002 -- the port's words
        number = _digits(value)
        path = f"{_LOOKUP}/{number}" + (f"/{self._requester}" if self._requester else "")
        try:
            with self._turns.of(NAME):
                return _read(self._ask(path), number)
        except Silence as silence:
            return silence.answer(NAME)

    def _ask(self, path: str) -> Reply:
        """A token that was withdrawn early is renewed once."""
        reply = self._line.send("GET", path, headers=self._headers())
        if reply.status == 401:
            with self._renewing:
                self._token = ""
            reply = self._line.send("GET", path, headers=self._headers())
        return reply

    def _headers(self) -> dict[str, str]:
        with self._renewing:
            if not self._token or monotonic() >= self._token_ends:
                self._renew()
            return {"Accept": _ACCEPT, "Authorization": f"Bearer {self._token}"}

    def _renew(self) -> None:
        form = {
            "grant_type": "client_credentials", "client_id": self._id, "client_secret": self._secret,
            "scope": "read:vat",
        }  # fmt: skip
        reply = self._line.send("POST", "/oauth/token", form=form)
        said = reply.json()
        token, lasts = said.get("access_token"), said.get("expires_in")
        if reply.status != 200 or not isinstance(token, str) or not isinstance(lasts, int):
            # Never the reply itself: what is kept as evidence must not hold a token.
            raise Silence("INVALID_CREDENTIALS" if reply.status in {400, 401} else f"HTTP_{reply.status}",
                          again=reply.status >= 500 or reply.status == 429)  # fmt: skip
        self._token, self._token_ends = token, monotonic() + max(lasts - _EARLY, 0)


def _read(reply: Reply, number: str) -> RegistryAnswer:
    """Raises Silence for every answer that is not about this number."""
    said = reply.json()
    code = str(said.get("code") or "")
    if reply.status == 404 and code == "NOT_FOUND":
        return RegistryAnswer("invalid", None, reply.raw, registry=NAME)
    if reply.status != 200:
        raise Silence(code or f"HTTP_{reply.status}", reply.raw, again=code not in _NOT_ALLOWED)
    target = said.get("target")
    if not isinstance(target, dict) or str(target.get("vatNumber")) != number:
        raise Silence(UNREADABLE, reply.raw)
    reference = said.get("consultationNumber")
    return RegistryAnswer(
        "valid", str(reference) if reference else None, reply.raw, registry=NAME, name=str(target.get("name") or ""),
        address=_address(target.get("address")),
    )  # fmt: skip


def _address(said: Any) -> str:
    if not isinstance(said, dict):
        return ""
    lines = [said.get(f"line{n}") for n in range(1, 6)] + [said.get("postcode"), said.get("countryCode")]
    return ", ".join(str(line) for line in lines if line)


def _digits(value: str) -> str:
    return "".join(character for character in value if character.isdigit())
