"""VIES, the European Commission's way into the registers of the member states.

REST description: https://ec.europa.eu/assets/taxud/vow-information/swagger_publicVAT.yaml. A refusal comes with
status 200 too, as {"actionSucceed": false, "errorWrappers": [{"error": CODE}]}. Only valid and invalid say something
about a number; none of the error codes does.
"""

from typing import Any, Final

from app.adapters.tax_registries.line import UNREADABLE, Line, Reply, Silence, Turns
from app.tax.provider import RegistryAnswer

VIES: Final = "https://ec.europa.eu/taxation_customs/vies/rest-api/check-vat-number"
NAME: Final = "vies"

# Whether asking later may help. What is not listed is a word of tomorrow: it is asked about again.
_AGAIN: Final = {
    "INVALID_INPUT": False, "INVALID_REQUESTER_INFO": False, "VAT_BLOCKED": False, "IP_BLOCKED": False,
    "SERVICE_UNAVAILABLE": True, "MS_UNAVAILABLE": True, "TIMEOUT": True, "GLOBAL_MAX_CONCURRENT_REQ": True,
    "GLOBAL_MAX_CONCURRENT_REQ_TIME": True, "MS_MAX_CONCURRENT_REQ": True, "MS_MAX_CONCURRENT_REQ_TIME": True,
}  # fmt: skip
# Greece is EL there; Monaco's numbers are French ones, Northern Ireland's are XI, and both come so already.
_PREFIXES: Final = {"GR": "EL"}
# Germany and Spain, for two, tell neither name nor address and write this instead.
_NOTHING: Final = "---"


class Vies:
    """`requester` is the seller's own VAT number with its prefix: only then a consultation number is given."""

    def __init__(self, url: str = VIES, *, requester: str = "", seconds: float = 10) -> None:
        self._line, self._turns = Line(url, seconds=seconds), Turns(patience=seconds)
        self._requester = _split(requester) if requester else None

    def check(self, type: str, value: str, country: str) -> RegistryAnswer:  # noqa: A002, ARG002 -- the port's words
        """`value` carries the prefix of its state, whatever the buyer's `country` is."""
        state, number = _split(value)
        asked = {"countryCode": state, "vatNumber": number}
        if self._requester is not None:
            asked |= {"requesterMemberStateCode": self._requester[0], "requesterNumber": self._requester[1]}
        try:
            with self._turns.of(state):
                reply = self._line.send("POST", body=asked)
            return _read(reply, state, number)
        except Silence as silence:
            return silence.answer(NAME)


def _split(value: str) -> tuple[str, str]:
    return _PREFIXES.get(value[:2], value[:2]), value[2:]


def _read(reply: Reply, state: str, number: str) -> RegistryAnswer:
    """Raises Silence for every answer that is not about this number."""
    said = reply.json()
    code = _code(said)
    if code is not None:
        raise Silence(code, reply.raw, again=_AGAIN.get(code, True))
    valid = said.get("valid")
    about = (said.get("countryCode", state), said.get("vatNumber", number))
    if reply.status != 200 or not isinstance(valid, bool) or about != (state, number):
        raise Silence(UNREADABLE, reply.raw)
    return RegistryAnswer(
        "valid" if valid else "invalid", _told(said, "requestIdentifier") or None, reply.raw, registry=NAME,
        name=_told(said, "name"), address=_told(said, "address"),
    )  # fmt: skip


def _code(said: dict[str, Any]) -> str | None:
    """The error, in either of the two ways in which it is told."""
    wrapped = said.get("errorWrappers")
    if isinstance(wrapped, list) and wrapped:
        first = wrapped[0]
        return str(first.get("error") or UNREADABLE) if isinstance(first, dict) else UNREADABLE
    word = said.get("userError")
    return str(word) if word and word not in {"VALID", "INVALID"} else None


def _told(said: dict[str, Any], name: str) -> str:
    value = said.get(name)
    text = value.strip() if isinstance(value, str) else ""
    return "" if text == _NOTHING else text
