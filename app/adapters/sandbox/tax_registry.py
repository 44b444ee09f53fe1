"""The sandbox's tax registry: every well-formed number is valid, but for the ones that play a part.

A number whose digits end in 0000 is unknown to the registry; one ending in 9999 finds it out of order.
"""

from app.core.canonical import canonical_json
from app.core.db import require_no_transaction
from app.tax.provider import RegistryAnswer


class SandboxTaxRegistry:
    def check(self, type: str, value: str, country: str) -> RegistryAnswer:  # noqa: A002 -- the port's own word
        require_no_transaction()
        digits = "".join(character for character in value if character.isdigit())
        status = {"0000": "invalid", "9999": "unavailable"}.get(digits[-4:], "valid")
        raw = canonical_json({"type": type, "value": value, "country": country, "status": status})
        down = status == "unavailable"
        return RegistryAnswer(
            status, f"sandbox-{value}" if status == "valid" else None, raw, registry="sandbox",
            code="SERVICE_UNAVAILABLE" if down else "", again=down,
        )  # fmt: skip
