"""The tax data itself: complete, cited, gapless, and agreed by a second source."""

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from importlib.resources import files
from typing import Any

import eu_vat_rates_data
import pytest
import yaml

from app.tax.dataset import FILES, TaxData, build, load, parse
from app.tax.freshness import stale
from app.tax.rates import EU_RATES_AS_OF, BadTaxData, Duty27Rates, Source, read_rates

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


def test_packaged_rates_of_sixty_one_days_are_told_and_of_sixty_are_not() -> None:
    assert stale(EU_RATES_AS_OF + timedelta(days=60), 60) is None
    told = stale(EU_RATES_AS_OF + timedelta(days=61), 60)
    assert told is not None
    assert "61 days old" in told
    assert "update duty27-eu-vat" in told


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


def mutated(name: str, old: str, new: str) -> TaxData:
    """The real data with one place of one file written differently."""
    text = (FOLDER / name).read_text("utf-8")
    assert text.count(old) >= 1, "the mutation has to find its place"
    texts = {file: (FOLDER / file).read_bytes() for file in FILES}
    texts[name] = text.replace(old, new, 1).encode()
    return build({file: parse(file, text) for file, text in texts.items()}, Duty27Rates(), texts)


CO = "- {taxable: false, from: 2023-01-01, to: 2026-12-31, grade: A, source: hb1223}"
NS = '{rate: "14", from: 2025-04-01, grade: A, source: ns}'
SD = '{rate: "4.2", from: 2023-07-01, to: 2027-06-30'


@pytest.mark.parametrize(
    ("name", "old", "new", "complaint"),
    [
        # overlap
        ("us.yaml", SD, SD.replace("07-01", "06-30"), "us.yaml: SD: the row from 2023-06-30 overlaps .*: end that one"),
        ("us.yaml", CO, CO.replace("2026-12-31", "2027-01-01"), "us.yaml: CO saas business: .* overlaps"),
        ("canada.yaml", NS, NS.replace("04-01", "03-31"), "canada.yaml: CA-NS: the row from 2025-03-31 overlaps"),
        ("us_local.yaml", '["152"]', '["152", "191"]', "us_local.yaml: PA 191: .* overlaps .*: keep it in one"),
        ("us_local.yaml", "cities: [pittsburgh]", "cities: [pittsburgh, Philadelphia]", "PA philadelphia: .* overlaps"),
        (
            "us.yaml",
            "{state: AL, name: ssut",
            "{state: TX, name: single_local_rate",
            "election TX single_local_rate: .*",
        ),
        # gap
        (
            "us.yaml",
            SD,
            SD.replace("07-01", "07-02"),
            "us.yaml: SD: nothing covers the days after 2023-06-30: add a row",
        ),
        (
            "world.yaml",
            '{rate: "8.1", from: 2024-01-01',
            '{rate: "8.1", from: 2024-01-03',
            "world.yaml: CH: nothing cov",
        ),
        ("places.yaml", '"16", from: 2021-07-01', '"16", from: 2021-08-01', "places.yaml: PT-20: nothing covers"),
        # source
        ("us.yaml", "source: hb1223", "source: hearsay", "us.yaml: .*'hearsay' is not listed: add it under `sources`"),
        ("us.yaml", ", source: hb1223}", "}", r"us.yaml: states\[5\] \(CO\).saas\[0\] .*: `source` is missing: add it"),
        (
            "places.yaml",
            "grade: A, source: dir7}",
            "grade: A, source: x}",
            "places.yaml: territory MC: source 'x' is not",
        ),
        ("canada.yaml", "retrieved: 2026-11-22", "retrieved: lately", "canada.yaml: sources.eta.retrieved is 'lately'"),
        # rate
        ("us.yaml", '"6.5"', '"31"', "us.yaml: AR: rate 31 is outside 0 to 30: write percent"),
        ("world.yaml", '"20"', '"-0.1"', "world.yaml: GB: rate -0.1 is outside 0 to 30"),
        ("us.yaml", '"6.5"', "6.5", r"us.yaml: states\[2\] \(AR\).rates\[0\] .*.rate 6.5 is not a decimal in quotes"),
        (
            "us_local.yaml",
            'rate: "4.5"',
            'rate: "4,5"',
            "us_local.yaml: New York City sales tax: rate '4,5' is not a dec",
        ),
        ("us.yaml", 'portion: "80"', 'portion: "0"', "us.yaml: TX saas business: portion 0 is not a percentage"),
        ("us.yaml", 'portion: "80"', 'portion: "most"', "us.yaml: TX saas business: portion 'most' is not a decimal"),
        # keys
        ("us.yaml", "portion:", "protion:", r"us.yaml: .*\(TX\).saas.*: unknown key 'protion'; the keys are taxable"),
        ("world.yaml", "    tax: VAT\n", "    taxx: VAT\n", "world.yaml: countries.0. .GB.: unknown key 'taxx'"),
        ("products.yaml", "use: by_buyer", "usage: by_buyer", "products.yaml: products.0.*: unknown key 'usage'"),
        ("canada.yaml", "taxed: {saas:", "taxed: {sass:", "canada.yaml: provincial.0. .QC..taxed: unknown key 'sass'"),
        ("places.yaml", "members:", "member:", "places.yaml: .*unknown key 'member'"),
        ("places.yaml", "aliases: {EL: GR,", "aliases: {EL: GR, EL: GR,", "places.yaml: line .*'EL' is written twice"),
        ("us_local.yaml", "areas:", "areas: [", "us_local.yaml: is not YAML"),
        # words
        ("us.yaml", "local: add_on", "local: yes", "us.yaml: states.0. .AK..local is True: write one of none, few"),
        ("us.yaml", "taxable: true", "taxable: perhaps", "us.yaml: .*taxable is 'perhaps': write true or false"),
        ("us.yaml", '  - code: "OR"', "  - code: OR", None),
        ("us.yaml", '  - code: "ND"', "  - code: NO", "us.yaml: states.*.False..code is False: .* needs quotes"),
        ("us.yaml", "code: WY", "code: WV", "us.yaml: states: WV is listed twice: join"),
        (
            "us.yaml",
            "to: 2026-12-31, grade: A, source: sb122",
            "to: 2022-12-31, grade: A, source: sb122",
            "ends 2022-12-",
        ),
        (
            "us.yaml",
            "grade: C, source: dctwist",
            "grade: D, source: dctwist",
            "us.yaml: .*grade is 'D': write one of A, B",
        ),
        ("us.yaml", "effect: flat", "effect: review", "us.yaml: election AL ssut: an effect that charges needs comp"),
        (
            "us_local.yaml",
            "{state: MS, name: Tupelo",
            "{state: MX, name: Tupelo",
            "no such state: .'MX'.: use a code of",
        ),
        ("places.yaml", "treatment: own_rate", "treatment: outside", "places.yaml: rates: .*'PT-20'.*needs rows"),
        (
            "places.yaml",
            "treatment: as_country, country: FR",
            "treatment: as_country",
            "territory MC: .* needs a `country`",
        ),
        ("products.yaml", "txcd_10202003", "txcd_10103001", "txcd_10103001 already stands for saas_business"),
        ("canada.yaml", "provinces: [NB]", "provinces: [NB, AB]", "canada.yaml: federal: .*'AB'"),
    ],
)
def test_one_wrong_word_in_a_real_file_stops_the_load_and_is_named(
    name: str, old: str, new: str, complaint: str | None
) -> None:
    if complaint is None:
        assert mutated(name, old, new).united_states.states.keys() == load().united_states.states.keys()
        return
    with pytest.raises(BadTaxData, match=complaint) as refused:
        mutated(name, old, new)
    assert str(refused.value).startswith(f"{name}: ")
