"""What each data file may say: its keys and the kind of each value, checked before anything is read from it.

A mistyped key must not be passed over in silence: `protion: "80"` would tax the whole price. Every complaint names
the row and what to write instead; `dataset` puts the file in front.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

from app.tax.rates import BadTaxData, Document

Kind = Callable[[Any, str], None]
# What a row is called by in a complaint, in the order of preference.
_NAMES: Final = ("code", "country", "jurisdiction", "province", "name", "from")


def text(value: Any, where: str) -> None:
    if not isinstance(value, str) or not value.strip():
        raise BadTaxData(f"{where} is {value!r}: write text; a word that YAML reads as something else needs quotes")


def day(value: Any, where: str) -> None:
    if type(value) is not date:
        raise BadTaxData(
            f"{where} is {value!r}: `from`, `to` and `retrieved` are days, write 2026-11-22 without quotes"
        )


def flag(value: Any, where: str) -> None:
    if not isinstance(value, bool):
        raise BadTaxData(f"{where} is {value!r}: write true or false")


def rate(value: Any, where: str) -> None:
    """Its range is checked where it is read; a number without quotes would come through a float."""
    if not isinstance(value, str):
        raise BadTaxData(f'{where} {value!r} is not a decimal in quotes: write it like "8.875"')


def number(value: Any, where: str) -> None:
    if type(value) is not int or value <= 0:
        raise BadTaxData(f"{where} is {value!r}: write a whole number above 0 without quotes")


def one_of(*words: str) -> Kind:
    def check(value: Any, where: str) -> None:
        if value not in words:
            raise BadTaxData(f"{where} is {value!r}: write one of {', '.join(words)}")

    return check


def list_of(kind: Kind) -> Kind:
    def check(value: Any, where: str) -> None:
        if not isinstance(value, list):
            raise BadTaxData(f"{where} is {value!r}: write a list")
        for i, item in enumerate(value):
            kind(item, _row(where, i, item))

    return check


def by_key(kind: Kind) -> Kind:
    def check(value: Any, where: str) -> None:
        if not isinstance(value, dict):
            raise BadTaxData(f"{where} is {value!r}: write keys with values")
        for key, item in value.items():
            text(key, f"{where}: the key")
            kind(item, f"{where}.{key}")

    return check


@dataclass(frozen=True, slots=True)
class Shape:
    """The keys of one row, each with its kind; any other key is refused."""

    required: Mapping[str, Kind]
    optional: Mapping[str, Kind] = field(default_factory=dict)

    def __call__(self, value: Any, where: str) -> None:
        if not isinstance(value, dict):
            raise BadTaxData(f"{where} is {value!r}: write keys with values")
        kinds = {**self.required, **self.optional}
        for key in value:
            if key not in kinds:
                raise BadTaxData(f"{where}: unknown key {key!r}; the keys are {', '.join(kinds)}")
        for key in self.required:
            if key not in value:
                raise BadTaxData(f"{where}: `{key}` is missing: add it")
        for key, item in value.items():
            kinds[key](item, f"{where}.{key}" if where else key)


def _row(where: str, i: int, item: Any) -> str:
    named = next((item[key] for key in _NAMES if isinstance(item, dict) and key in item), None)
    return f"{where}[{i}]" + ("" if named is None else f" ({named})")


_GRADE: Final = one_of("A", "B", "C")
_DATED: Final[dict[str, Kind]] = {"from": day, "grade": _GRADE, "source": text}
_UNTIL: Final[dict[str, Kind]] = {"to": day}
_SOURCES: Final = by_key(Shape({"title": text, "retrieved": day}))
_RATES: Final = list_of(Shape({"rate": rate, **_DATED}, _UNTIL))
_TEXTS: Final = list_of(text)
_COMPONENTS: Final = list_of(Shape({"jurisdiction": text, "name": text, "rate": rate}))
_PRODUCT_KINDS: Final = ("saas", "download")
_TAXABILITY: Final = list_of(
    Shape(
        {"taxable": flag, **_DATED},
        {"buyer": one_of("any", "business", "consumer"), "rate": rate, "portion": rate, "condition": text, **_UNTIL},
    )
)

SHAPES: Final[Mapping[str, Shape]] = {
    "places.yaml": Shape(
        {
            "sources": _SOURCES,
            "aliases": by_key(text),
            "members": list_of(Shape({"code": text, "name": text, "from": day}, {"vat_prefix": text})),
            "territories": list_of(
                Shape(
                    {
                        "code": text, "name": text, "grade": _GRADE, "source": text,
                        "treatment": one_of("as_country", "own_rate", "outside", "country", "review"),
                    },
                    {
                        "within": text, "iso": _TEXTS, "postcodes": _TEXTS, "regions": _TEXTS, "cities": _TEXTS,
                        "country": text, "region": text, "local_tax": text, "sovereign": flag,
                    },
                )
            ),
            "rates": list_of(Shape({"jurisdiction": text, "rate": rate, **_DATED}, _UNTIL)),
        }
    ),
    "products.yaml": Shape(
        {
            "products": list_of(
                Shape(
                    {
                        "code": text, "kind": one_of(*_PRODUCT_KINDS), "use": one_of("by_buyer", "consumer"),
                        "aliases": _TEXTS,
                    }
                )
            )
        }
    ),
    "world.yaml": Shape(
        {
            "sources": _SOURCES,
            "countries": list_of(
                Shape(
                    {
                        "country": text, "name": text, "tax": text, "rates": _RATES,
                        "business": one_of("reverse_charge", "by_product", "charged"),
                    },
                    {"registered_in": _TEXTS, "ids": _TEXTS, "note": text},
                )
            ),
        }
    ),
    "canada.yaml": Shape(
        {
            "sources": _SOURCES,
            "provinces": by_key(text),
            "federal": list_of(
                Shape({"name": text, "jurisdiction": text, "provinces": _TEXTS, "id": text, "rates": _RATES})
            ),
            "provincial": list_of(
                Shape(
                    {
                        "name": text, "province": text, "relief": one_of("registered", "none"), "rates": _RATES,
                        "taxed": Shape(dict.fromkeys(_PRODUCT_KINDS, day)),
                    },
                    {"id": text},
                )
            ),
        }
    ),
    "us.yaml": Shape(
        {
            "sources": _SOURCES,
            "states": list_of(
                Shape(
                    {
                        "code": text, "name": text, "local": one_of("none", "few", "add_on"), "rates": _RATES,
                        **dict.fromkeys(_PRODUCT_KINDS, _TAXABILITY),
                    }
                )
            ),
            "elections": list_of(
                Shape(
                    {
                        "state": text, "name": text, "effect": one_of("local", "flat", "not_taxable", "review"),
                        **_DATED,
                    },
                    {"components": _COMPONENTS, **_UNTIL},
                )
            ),
        }
    ),
    "us_local.yaml": Shape(
        {
            "sources": _SOURCES,
            "areas": list_of(
                Shape(
                    {
                        "state": text, "name": text, "zips": _TEXTS, "cities": _TEXTS, "components": _COMPONENTS,
                        **_DATED,
                    },
                    _UNTIL,
                )
            ),
            "cities": list_of(
                Shape(
                    {
                        "jurisdiction": text, "name": text, "city": text, "zips": _TEXTS,
                        "taxed": list_of(one_of(*_PRODUCT_KINDS)), "rates": _RATES,
                    }
                )
            ),
        }
    ),
}  # fmt: skip


def _thresholds(*counts: str) -> Kind:
    return list_of(
        Shape(
            {"amount": rate, "counts": one_of(*counts), "period": one_of("calendar", "rolling"), **_DATED},
            {"transactions": number, "join": one_of("and", "or"), "note": text, **_UNTIL},
        )
    )


NEXUS_SHAPES: Final[Mapping[str, Shape]] = {
    "us_nexus.yaml": Shape(
        {
            "sources": _SOURCES,
            "states": list_of(
                Shape({"code": text, "name": text, "thresholds": _thresholds("gross", "retail", "taxable")})
            ),
        }
    ),
    "world_nexus.yaml": Shape(
        {
            "sources": _SOURCES,
            "countries": list_of(
                Shape({"country": text, "name": text, "currency": text, "thresholds": _thresholds("consumers", "all")})
            ),
        }
    ),
}  # fmt: skip


def check(name: str, document: Document) -> None:
    """Raises BadTaxData for the first key or value of file `name` that cannot be used."""
    {**SHAPES, **NEXUS_SHAPES}[name](document, "")
