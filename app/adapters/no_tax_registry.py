"""No registry at all: every number stays unconfirmed, so tax is charged until somebody confirms it (R-TAX-4)."""

from app.tax.provider import NO_REGISTRY, RegistryAnswer


class NoTaxRegistry:
    def check(self, type: str, value: str, country: str) -> RegistryAnswer:  # noqa: A002, ARG002 -- the port's words
        return RegistryAnswer("unavailable", None, b"", code=NO_REGISTRY)
