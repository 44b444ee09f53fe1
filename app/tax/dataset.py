"""All tax data of the process: read once, checked, and named by a version (R-TAX-3)."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from app.tax.canada import Canada, read_canada
from app.tax.places import Places, read_places
from app.tax.products import Product, read_products
from app.tax.rates import BadTaxData, Duty27Rates, RateSource
from app.tax.us_data import UnitedStates, read_united_states
from app.tax.world import Country, read_world

# The packaged EU rates begin here; an earlier day has no row and refuses.
_FIRST = date(2016, 1, 1)
FILES = ("places.yaml", "products.yaml", "world.yaml", "canada.yaml", "us.yaml", "us_local.yaml")


@dataclass(frozen=True, slots=True)
class TaxData:
    """`version` changes whenever any answer might: it hashes every file and every rate of the package."""

    places: Places
    products: Mapping[str, Product]
    eu_rates: RateSource
    world: Mapping[str, Country]
    canada: Canada
    united_states: UnitedStates
    version: str


@cache
def load() -> TaxData:
    """The data shipped with the application. Raises BadTaxData where a file breaks its own rules."""
    folder = files("app") / "data" / "tax"
    texts = {name: (folder / name).read_bytes() for name in FILES}
    return build({name: yaml.safe_load(text) for name, text in texts.items()}, Duty27Rates(), texts)


def build(documents: Mapping[str, Any], eu_rates: RateSource, texts: Mapping[str, bytes]) -> TaxData:
    """Check and join parsed documents; `texts` are their bytes, for the version."""
    digest = hashlib.sha256(eu_rates.version.encode())
    for name in sorted(texts):
        digest.update(name.encode() + b"\0" + texts[name] + b"\0")
    places = read_places(documents["places.yaml"])
    without = [code for code, m in places.members.items() if eu_rates.standard(code, max(m.since, _FIRST)) is None]
    if without:
        raise BadTaxData(f"no standard rate for the member states {without}")
    return TaxData(
        places=places,
        products=read_products(documents["products.yaml"]),
        eu_rates=eu_rates,
        world=read_world(documents["world.yaml"]),
        canada=read_canada(documents["canada.yaml"]),
        united_states=read_united_states(documents["us.yaml"], documents["us_local.yaml"]),
        version=f"tax-{digest.hexdigest()[:16]}",
    )
