"""No provider of tax at all: where a policy wants one, the sale is held and the reason says what to set."""

from typing import Any, NoReturn

from app.tax.errors import TaxRefused


class NoTaxProvider:
    name, title = "none", "The tax provider"

    def _refuse(self, *_asked: Any, **_how: Any) -> NoReturn:
        raise TaxRefused(
            "The policy tax_provider_countries names a country, but no provider is set: set BLP_TAX=stripe, or take the"
            " country out.", reason="no_provider",
        )  # fmt: skip

    compute = record = reverse = recorded = _refuse
