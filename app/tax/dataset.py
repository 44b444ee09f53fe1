"""All tax data of the process: read once, checked, and named by a version (R-TAX-3)."""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, Final

import yaml

from app.tax.canada import Canada, read_canada
from app.tax.places import Places, read_places
from app.tax.products import Product, read_products
from app.tax.rates import BadTaxData, Duty27Rates, RateSource
from app.tax.shape import check
from app.tax.us_data import UnitedStates, read_local, read_states
from app.tax.world import Country, read_world

# The packaged EU rates begin here; an earlier day has no row and refuses.
_FIRST = date(2016, 1, 1)
FOLDER: Final = files("app") / "data" / "tax"
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
    return read_folder(FOLDER)


def read_folder(folder: Traversable) -> TaxData:
    """The files of a folder and the packaged EU rates. Raises BadTaxData, naming file, row and remedy."""
    texts = {name: _bytes(folder, name) for name in FILES}
    return build({name: parse(name, text) for name, text in texts.items()}, Duty27Rates(), texts)


def _bytes(folder: Traversable, name: str) -> bytes:
    try:
        return (folder / name).read_bytes()
    except OSError as exc:
        raise BadTaxData(f"{name}: {exc.strerror}: the files of a version are {', '.join(FILES)}") from exc


class _Strict(yaml.SafeLoader):
    """YAML lets a later key replace an earlier one in silence; here that is a mistake."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        if doubled := [key for i, key in enumerate(keys) if key in keys[:i]]:
            raise BadTaxData(f"line {node.start_mark.line + 1}: {doubled[0]!r} is written twice: keep one")
        return super().construct_mapping(node, deep=deep)


def parse(name: str, text: bytes) -> Any:
    """The document of a data file. Raises BadTaxData where it is not YAML or writes a key twice."""
    with _in(name):
        try:
            return yaml.load(text, _Strict)  # noqa: S506 -- a SafeLoader that refuses more
        except yaml.YAMLError as exc:
            raise BadTaxData(f"is not YAML: {' '.join(str(exc).split())}") from exc


@contextmanager
def _in(name: str) -> Iterator[None]:
    """Puts the file in front of what is wrong with a row of it."""
    try:
        yield
    except BadTaxData as exc:
        raise BadTaxData(f"{name}: {exc}") from exc


def build(documents: Mapping[str, Any], eu_rates: RateSource, texts: Mapping[str, bytes]) -> TaxData:
    """Check and join parsed documents; `texts` are their bytes, for the version. Raises BadTaxData."""
    digest = hashlib.sha256(eu_rates.version.encode())
    for name in sorted(texts):
        digest.update(name.encode() + b"\0" + texts[name] + b"\0")
    for name in FILES:
        with _in(name):
            check(name, documents[name])
    with _in("places.yaml"):
        places = read_places(documents["places.yaml"])
        without = [code for code, m in places.members.items() if eu_rates.standard(code, max(m.since, _FIRST)) is None]
        if without:
            raise BadTaxData(f"members: the packaged rates know nothing of {without}: update the package")
    with _in("products.yaml"):
        products = read_products(documents["products.yaml"])
    with _in("world.yaml"):
        world = read_world(documents["world.yaml"])
    with _in("canada.yaml"):
        canada = read_canada(documents["canada.yaml"])
    with _in("us.yaml"):
        base = read_states(documents["us.yaml"])
    with _in("us_local.yaml"):
        united_states = read_local(documents["us_local.yaml"], base)
    return TaxData(
        places=places,
        products=products,
        eu_rates=eu_rates,
        world=world,
        canada=canada,
        united_states=united_states,
        version=f"tax-{digest.hexdigest()[:16]}",
    )
