"""The rows about places: complete, cited, and never two answers to one question."""

import copy
from datetime import date
from typing import Any

import pytest
import yaml

from app.documents import countries
from app.documents.countries import BadCountryData
from app.tax.dataset import load

ROWS: dict[str, Any] = yaml.safe_load(countries.FILE.read_bytes())
TODAY = date(2026, 11, 22)


def test_every_member_state_has_a_currency_and_the_rule_of_the_union() -> None:
    known = countries.load()
    assert set(known.currencies) == set(load().places.members)
    for code in load().places.members:
        rule = known.rule(code)
        assert rule is not None
        assert (rule.seller, known.seller_id("EU")) == ("eu_vat", "eu_oss_vat")


@pytest.mark.parametrize(
    ("place", "on", "currency"),
    [
        ("DE", TODAY, "EUR"), ("SE", TODAY, "SEK"), ("BG", date(2025, 12, 31), "BGN"), ("BG", date(2026, 1, 1), "EUR"),
        ("PT-20", TODAY, "EUR"), ("GB", TODAY, "GBP"), ("CH", TODAY, "CHF"), ("LI", TODAY, "CHF"), ("JP", TODAY, "JPY"),
        ("US-NY", TODAY, None), ("CA-QC", TODAY, None), ("XX", TODAY, None),
    ],
)  # fmt: skip
def test_tax_is_stated_in_the_currency_of_its_state(place: str, on: date, currency: str | None) -> None:
    assert countries.load().tax_currency(place, on) == currency


def test_a_part_of_a_country_comes_before_the_country() -> None:
    known = countries.load()
    assert [known.seller_id(each) for each in ("CA", "CA-ON", "CA-QC", "CA-BC", "US-NY", "DE", "EU", "ZA")] == [
        "ca_gst_hst", "ca_gst_hst", "ca_qst", "ca_pst", "us_permit", "eu_vat", "eu_oss_vat", "za_tin"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda rows: rows["places"].append(rows["places"][1]), "listed twice"),
        (lambda rows: rows["places"][1].pop("source"), "no source"),
        (lambda rows: rows["places"][1].update(grade="C"), "grade"),
        (lambda rows: rows["places"][1].update(currency="pound"), "no currency"),
        (lambda rows: rows["places"][1].update(colour="red"), "mean nothing"),
        (lambda rows: rows["places"][1].update(place=False), "in quotes"),
        (lambda rows: rows["places"].pop(0), "row of the Union"),
        (lambda rows: rows["currencies"].append({"place": "AT", "currency": "ATS", "source": "dir226"}), "lasting one"),
    ],
)
def test_a_row_that_breaks_the_rules_is_named(change: Any, why: str) -> None:
    rows = copy.deepcopy(ROWS)
    change(rows)
    with pytest.raises(BadCountryData, match=why):
        countries.read(rows)
