"""The registries of tax numbers that can be asked over the internet, behind one port.

VIES for numbers of the Union and HMRC for those of the United Kingdom; every other kind keeps its form check only,
and staff confirm it by hand where that matters (ADR 0046).
"""

from collections.abc import Mapping

from app.adapters.tax_registries.hmrc import Hmrc
from app.adapters.tax_registries.vies import Vies
from app.tax.provider import NO_REGISTRY, RegistryAnswer, TaxIdRegistry

__all__ = ["Hmrc", "TaxRegistries", "Vies"]


class TaxRegistries:
    """Asks the registry of a kind of number; `by_type` names kinds as Stripe does (eu_vat, gb_vat)."""

    def __init__(self, by_type: Mapping[str, TaxIdRegistry]) -> None:
        self._by_type = dict(by_type)

    def check(self, type: str, value: str, country: str) -> RegistryAnswer:  # noqa: A002 -- the port's own word
        registry = self._by_type.get(type)
        if registry is None:
            return RegistryAnswer("unavailable", None, b"", code=NO_REGISTRY)
        return registry.check(type, value, country)
