"""The tax data itself: complete, cited, gapless, and agreed by a second source."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from importlib.resources import files
from typing import Any

import eu_vat_rates_data
import pytest
import yaml

from app.tax.dataset import FILES, TaxData, build, load
from app.tax.rates import BadTaxData, Duty27Rates, Source, read_rates

FOLDER = files("app") / "data" / "tax"
TODAY = date(2026, 11, 22)
SOURCES = {"law": Source("A law", TODAY)}


def document(name: str) -> Any:
    return yaml.safe_load((FOLDER / name).read_bytes())


def rebuilt(name: str, changed: Any) -> TaxData:
    return build({file: changed if file == name else document(file) for file in FILES}, Duty27Rates(), {})


def row(start: date, end: date | None = None, rate: str = "10", **changes: Any) -> dict[str, Any]:
    return {"rate": rate, "from": start, "to": end, "grade": "A", "source": "law", **changes}


@pytest.mark.parametrize("code", sorted(load().places.members))
def test_a_second_package_agrees_with_every_standard_rate_of_the_union(code: str) -> None:
    found = load().eu_rates.standard(code, TODAY)
    assert found is not None
    assert found.rate == Decimal(str(eu_vat_rates_data.get_standard_rate(code)))


@pytest.mark.parametrize("code", ["GB", "CH", "LI", "NO", "IS", "TR", "UA", "RS"])
def test_the_second_package_agrees_with_our_own_european_rows(code: str) -> None:
    assert load().world[code].rates[-1].rate == Decimal(str(eu_vat_rates_data.get_standard_rate(code)))


def test_the_members_are_the_twenty_seven_of_both_packages() -> None:
    members = set(load().places.members)
    assert len(members) == 27
    assert all(eu_vat_rates_data.is_eu_member(code) for code in members)


def walk(value: Any, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(value, dict):
        if "grade" in value:
            yield path, value
        for key, item in value.items():
            yield from walk(item, f"{path}.{key}")
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield from walk(item, f"{path}[{i}]")


@pytest.mark.parametrize("name", [name for name in FILES if name != "products.yaml"])
def test_every_row_names_its_source_with_the_day_it_was_read(name: str) -> None:
    found = document(name)
    rows = list(walk({key: value for key, value in found.items() if key != "sources"}, name))
    assert rows
    for path, entry in rows:
        assert entry["source"] in found["sources"], path
    for key, source in found["sources"].items():
        assert source["title"], key
        assert isinstance(source["retrieved"], date), key
    assert {entry["source"] for _, entry in rows} == set(found["sources"]) - {"teu"}, "a source that nothing cites"


def test_all_states_and_provinces_are_there() -> None:
    assert len(load().united_states.states) == 51
    assert len(load().canada.provinces) == 13


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        ([], "no row"),
        ([row(date(2024, 1, 1)), row(date(2025, 1, 1))], "overlaps"),
        ([row(date(2024, 1, 1), date(2024, 6, 30)), row(date(2024, 6, 30))], "overlaps"),
        ([row(date(2024, 1, 1), date(2024, 6, 30)), row(date(2024, 7, 2))], "nothing covers"),
        ([row(date(2024, 1, 1), date(2023, 1, 1))], "before it begins"),
        ([row(date(2024, 1, 1), rate="31")], "outside 0 to 30"),
        ([row(date(2024, 1, 1), rate="-1")], "outside 0 to 30"),
        ([row(date(2024, 1, 1), rate="NaN")], "decimal in quotes"),
        ([row(date(2024, 1, 1)) | {"rate": 19.5}], "decimal in quotes"),
        ([row(date(2024, 1, 1), source="hearsay")], "is not listed"),
        ([row(date(2024, 1, 1), grade="D")], "grade"),
        ([row(date(2024, 1, 1)) | {"from": "2024-01-01"}], "are days"),
    ],
)
def test_a_rate_history_that_breaks_its_rules_is_refused(rows: list[dict[str, Any]], complaint: str) -> None:
    with pytest.raises(BadTaxData, match=complaint):
        read_rates(rows, SOURCES, "test")


def test_adjoining_rows_are_accepted() -> None:
    rows = [row(date(2024, 1, 1), date(2024, 6, 30)), row(date(2024, 7, 1), rate="12")]
    assert [found.rate for found in read_rates(rows, SOURCES, "test")] == [Decimal(10), Decimal(12)]


def test_a_state_whose_taxability_has_a_hole_stops_the_load() -> None:
    changed = document("us.yaml")
    state = next(entry for entry in changed["states"] if entry["code"] == "VT")
    state["saas"][1]["from"] = date(2024, 8, 1)
    with pytest.raises(BadTaxData, match="VT saas business: nothing covers the days after 2024-06-30"):
        rebuilt("us.yaml", changed)


def test_two_areas_may_not_claim_one_zip() -> None:
    changed = document("us_local.yaml")
    changed["areas"][1]["zips"].append("191")
    with pytest.raises(BadTaxData, match="PA 191: Allegheny County overlaps Philadelphia"):
        rebuilt("us_local.yaml", changed)


def test_a_province_without_a_federal_levy_stops_the_load() -> None:
    changed = document("canada.yaml")
    changed["federal"][0]["provinces"].remove("AB")
    with pytest.raises(BadTaxData, match="exactly one of GST and HST"):
        rebuilt("canada.yaml", changed)


def test_a_relief_without_a_note_stops_the_load() -> None:
    changed = document("world.yaml")
    del changed["countries"][0]["note"]
    with pytest.raises(BadTaxData, match="GB"):
        rebuilt("world.yaml", changed)


def test_the_version_follows_every_byte_of_the_data() -> None:
    documents = {name: document(name) for name in FILES}
    texts = {name: (FOLDER / name).read_bytes() for name in FILES}
    assert build(documents, Duty27Rates(), texts).version == load().version
    assert build(documents, Duty27Rates(), texts | {"us.yaml": b"other"}).version != load().version
