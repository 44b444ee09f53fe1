"""Overrides of the operator: they come before the rows on file, and after registrations, numbers and certificates."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.tax.dataset import load
from app.tax.determination import (
    Buyer,
    Determination,
    Exemption,
    Line,
    Registration,
    Request,
    Seller,
    TaxId,
    Treatment,
    determine,
)
from app.tax.overrides import ANY, Kept, Overrides
from app.tax.request import BuyerType
from app.tax.ruling import Override

TODAY = date(2026, 11, 22)
PLACES = ("US-DC", "US-AL", "US-OH", "US-IL", "US-IL-CHICAGO", "US-TX", "US-CO", "CA", "CA-BC", "CA-QC", "GB", "BR")
SELLER = Seller("US", registrations=tuple(Registration(place, "standard") for place in PLACES), oss="non_union")


def kept(jurisdiction: str, rate: str | None = None, treatment: str = "standard", *, tax_code: str = ANY,
         buyer: str = ANY, first: date = TODAY, last: date | None = None, **more: Any) -> Kept:  # fmt: skip
    override = Override(
        f"tov_{jurisdiction}_{rate or treatment}", jurisdiction, Treatment(treatment), "a letter",
        Decimal(rate) if rate else None, **more,
    )  # fmt: skip
    return Kept(override, tax_code, buyer, first, last)


def sold(
    country: str, region: str | None, *rows: Kept, code: str = "saas_business", on: date = TODAY,
    seller: Seller = SELLER, kind: BuyerType = "business", **buyer: Any,
) -> Determination:  # fmt: skip
    request = Request(seller, Buyer(country, region, type=kind, **buyer), (Line(code, 100_000),), "USD", on)
    return determine(request, overrides=Overrides(rows))


def test_what_is_held_for_want_of_a_certain_row_is_answered_and_names_the_override() -> None:
    assert sold("US", "DC").treatment == "needs_review"
    answer = sold("US", "DC", kept("US-DC", "7"))
    assert (answer.treatment, answer.tax.minor) == ("standard", 7_000)
    assert "Operator override tov_US-DC_7: a letter." in answer.reason
    assert answer.data_version == f"{load().version}+tov_US-DC_7"
    assert [(each.id, each.source) for each in answer.overrides] == [("tov_US-DC_7", "a letter")]
    assert Determination.from_json(answer.to_json()) == answer
    older = {key: value for key, value in answer.to_json().items() if key != "overrides"}
    assert Determination.from_json(older).overrides == (), "rows of before are still read"


def test_alabama_is_answered_not_taxed_alone_or_under_its_election() -> None:
    assert sold("US", "AL").treatment == "needs_review"
    assert sold("US", "AL", kept("US-AL", treatment="product_exempt")).treatment == "product_exempt"
    assert sold("US", "AL", kept("US-AL", "8", alone=True)).tax.minor == 8_000
    elected = replace(SELLER, elections={"US-AL": "ssut"})
    assert sold("US", "AL", kept("US-AL"), seller=elected).tax.minor == 8_000, "taxable, at the flat rate on file"
    assert sold("US", "AL", kept("US-AL", "4"), postcode="36849").treatment == "needs_review", "local rates are unknown"


def test_local_rates_and_cities_go_on_beside_an_overridden_state() -> None:
    austin = sold("US", "TX", kept("US-TX", "5", portion=Decimal(50)), postcode="78701")
    assert [(each.rate, each.taxable.minor) for each in austin.components] == [
        (Decimal(5), 50_000), *((rate, 50_000) for rate in [each.rate for each in austin.components[1:]])
    ]  # fmt: skip
    assert len(austin.components) > 1
    chicago: dict[str, Any] = {"postcode": "60601", "city": "Chicago"}
    without = kept("US-IL-CHICAGO", treatment="product_exempt")
    plain, spared = sold("US", "IL", **chicago), sold("US", "IL", without, **chicago)
    assert (plain.tax.minor > 0, spared.tax.minor) == (True, 0)
    assert sold("US", "IL", kept("US-IL-CHICAGO", "9"), **chicago).tax.minor == 9_000
    held = sold("US", "IL", kept("US-IL-CHICAGO", treatment="needs_review"), **chicago)
    assert held.treatment == "needs_review"


def test_canada_is_overruled_levy_by_levy() -> None:
    both = sold("CA", "BC")
    assert both.tax.minor == 12_000
    assert sold("CA", "BC", kept("CA-BC", treatment="product_exempt")).tax.minor == 5_000, "GST goes on"
    assert sold("CA", "BC", kept("CA", "6")).tax.minor == 13_000
    assert sold("CA", "BC", kept("CA-BC", treatment="needs_review")).treatment == "needs_review"


def test_the_union_and_the_world_are_overruled_too() -> None:
    assert sold("DE", None, kept("DE", "20"), kind="consumer").tax.minor == 20_000
    assert sold("DE", None, kept("DE", treatment="zero_rated"), kind="consumer").treatment == "zero_rated"
    assert sold("AX", None, kind="consumer").treatment == "needs_review"
    assert sold("AX", None, kept("FI-01", "25.5"), kind="consumer").tax.minor == 25_500
    assert sold("GB", None, kept("GB", "10")).tax.minor == 10_000
    assert sold("BR", None).treatment == "needs_review"
    assert sold("BR", None, kept("BR", "12")).tax.minor == 12_000


def test_a_missing_registration_a_confirmed_number_and_a_certificate_still_count() -> None:
    nowhere = Seller("US", oss="non_union")
    for country, region, code in (("US", "DC", "US-DC"), ("CA", "BC", "CA-BC"), ("GB", None, "GB")):
        assert sold(country, region, kept(code, "9"), seller=nowhere).treatment == "not_collecting"
    number = TaxId("eu_vat", "FR23334175221", "valid")
    assert sold("FR", None, kept("FR", "9"), tax_ids=(number,)).treatment == "reverse_charge"
    paper = Exemption("US-DC", "resale", "1", status="active")
    assert sold("US", "DC", kept("US-DC", "7"), exemptions=(paper,)).treatment == "customer_exempt"


def test_the_narrowest_override_of_the_day_counts() -> None:
    rows = (
        kept("US-DC", "1"), kept("US-DC", "2", buyer="business"), kept("US-DC", "3", tax_code="saas_business"),
        kept("US-DC", "4", tax_code="saas_business", buyer="business", last=date(2026, 12, 31)),
    )  # fmt: skip

    def rate(**more: Any) -> int:
        return sold("US", "DC", *rows, **more).tax.minor // 1_000

    assert rate() == 4
    assert rate(on=date(2027, 1, 1)) == 3
    assert rate(kind="consumer") == 3
    assert rate(code="txcd_10103001") == 4, "an alias is the code it stands for"
    assert rate(code="software_download_business") == 2
    assert rate(code="software_download_business", kind="consumer") == 1


@given(
    st.sampled_from([("US", "DC", "US-DC"), ("DE", None, "DE"), ("GB", None, "GB"), ("CA", "ON", "CA-ON")]),
    st.decimals("0.00001", "30", places=5), st.integers(1, 10**9),
)  # fmt: skip
def test_one_rate_charges_just_that_wherever_it_is_due(
    where: tuple[str, str | None, str], rate: Decimal, amount: int
) -> None:
    country, region, code = where
    request = Request(SELLER, Buyer(country, region, type="consumer"), (Line("saas_business", amount),), "USD", TODAY)
    answer = determine(request, overrides=Overrides([kept(code, str(rate))]))
    assert answer.tax.minor == int(amount * rate / 100 + Decimal("0.5"))
    assert [each.jurisdiction for each in answer.overrides] == [code]


@pytest.mark.parametrize("day", [date(2026, 11, 21), date(2027, 1, 1)])
def test_outside_its_days_an_override_says_nothing(day: date) -> None:
    row = kept("US-DC", "7", last=date(2026, 12, 31))
    assert sold("US", "DC", row, on=day) == sold("US", "DC", on=day)
