"""Country names and code lists from ISO, for reasons and for checking input."""

from functools import cache

import pycountry

# Codes in use that ISO 3166-1 reserves or leaves to users: the EU's Greece, Canaries, Ceuta and Melilla, Kosovo,
# Northern Ireland in VAT numbers, and the UK as people write it.
EXTRA_COUNTRIES = {"EL", "IC", "EA", "XK", "XI", "UK"}


@cache
def country_codes() -> frozenset[str]:
    return frozenset({country.alpha_2 for country in pycountry.countries} | EXTRA_COUNTRIES)


@cache
def country_name(code: str) -> str:
    """The common English name; the code itself where there is none."""
    found = pycountry.countries.get(alpha_2=code)
    return code if found is None else str(getattr(found, "common_name", found.name))
