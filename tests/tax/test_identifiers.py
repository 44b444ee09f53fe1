"""The form of tax numbers: what refuses, what only warns."""

import pytest

from app.tax.identifiers import check

# One real-shaped number of each member state.
EU_NUMBERS = [
    ("AT", "ATU13585627"), ("BE", "BE0403019261"), ("BG", "BG175074752"), ("CY", "CY10259033P"), ("CZ", "CZ25123891"),
    ("DE", "DE136695976"), ("DK", "DK13585628"), ("EE", "EE100931558"), ("ES", "ESA13585625"), ("FI", "FI20774740"),
    ("FR", "FR40303265045"), ("GR", "EL094259216"), ("HR", "HR33392005961"), ("HU", "HU12892312"),
    ("IE", "IE6433435F"), ("IT", "IT00743110157"), ("LT", "LT119511515"), ("LU", "LU15027442"), ("LV", "LV40003521600"),
    ("MT", "MT11679112"), ("NL", "NL004495445B01"), ("PL", "PL8567346215"), ("PT", "PT501964843"), ("RO", "RO18547290"),
    ("SE", "SE123456789701"), ("SI", "SI50223054"), ("SK", "SK2022749619"),
]  # fmt: skip


@pytest.mark.parametrize(("country", "number"), EU_NUMBERS)
def test_a_number_of_each_member_state_passes_and_keeps_its_prefix(country: str, number: str) -> None:
    found = check("eu_vat", f" {number[:4]} {number[4:]} ", country)
    assert (found.ok, found.problem, found.normalized) == (True, None, number)


@pytest.mark.parametrize(("country", "number"), EU_NUMBERS)
def test_a_wrong_digit_of_an_eu_number_refuses(country: str, number: str) -> None:
    # Every member state has a check digit somewhere; one of nine changes to the last digit must break it.
    digits = [i for i, c in enumerate(number) if c.isdigit()]
    at = digits[-1] if country not in {"NL", "SE"} else digits[-3]
    spoiled = [number[:at] + d + number[at + 1 :] for d in "0123456789" if d != number[at]]
    assert any(check("eu_vat", other, country).hard for other in spoiled)


def test_a_number_without_its_prefix_is_read_as_of_the_buyers_state() -> None:
    assert check("eu_vat", "094259216", "GR").normalized == "EL094259216"
    assert check("eu_vat", "GR094259216", "GR").normalized == "EL094259216"
    assert check("eu_vat", "40303265045", "MC").normalized == "FR40303265045"


@pytest.mark.parametrize("number", ["GB980780684", "EU372022452", "IM3720000224", "DE123456789", ""])
def test_what_is_not_an_eu_vat_number_refuses(number: str) -> None:
    found = check("eu_vat", number, "DE")
    assert (found.ok, found.hard) == (False, True)


def test_a_number_of_another_state_warns_and_passes() -> None:
    found = check("eu_vat", "IE6433435F", "DE")
    assert (found.ok, found.hard) == (True, False)
    assert found.problem is not None
    assert "Ireland" in found.problem


def test_an_xi_number_passes_with_the_warning_that_it_serves_goods() -> None:
    found = check("eu_vat", "XI980780684", "GB")
    assert found.ok
    assert found.problem is not None
    assert "goods" in found.problem


@pytest.mark.parametrize(
    ("kind", "number", "country", "normalized"),
    [
        ("gb_vat", "GB 980 7806 84", "GB", "GB980780684"),
        ("gb_vat", "980780684", "GB", "GB980780684"),
        ("ch_vat", "CHE-107.787.577 MWST", "CH", "CHE107787577MWST"),
        ("no_vat", "NO 995 525 828 MVA", "NO", "995525828MVA"),
        ("au_abn", "83 914 571 673", "AU", "83914571673"),
        ("ca_gst_hst", "123026635 RT0001", "CA", "123026635RT0001"),
        ("ca_qst", "1234567890 TQ 0001", "CA", "1234567890TQ0001"),
        ("in_gst", "27AAPFU0939F1ZV", "IN", "27AAPFU0939F1ZV"),
        ("jp_trn", "T1234567890123", "JP", "T1234567890123"),
        ("kr_brn", "116-82-00276", "KR", "1168200276"),
        ("sa_vat", "300000000000003", "SA", "300000000000003"),
        ("sg_gst", "M90312345A", "SG", "M90312345A"),
        ("us_ein", "91-1144442", "US", "911144442"),
        ("zw_tin", "1234567890", "ZW", "1234567890"),
    ],
)
def test_numbers_outside_the_union_pass_in_one_spelling(kind: str, number: str, country: str, normalized: str) -> None:
    found = check(kind, number, country)
    assert (found.ok, found.normalized) == (True, normalized)


@pytest.mark.parametrize(
    ("kind", "number"),
    [
        ("gb_vat", "GB980780685"), ("ch_vat", "CHE107787578MWST"), ("no_vat", "995525829MVA"),
        ("au_abn", "83914571674"),
        ("ca_gst_hst", "123026635"), ("ca_qst", "123"), ("ae_trn", "12"), ("jp_trn", "1234567890123"), ("tw_vat", "1"),
    ],
)  # fmt: skip
def test_a_wrong_form_outside_the_union_only_warns(kind: str, number: str) -> None:
    found = check(kind, number, "US")
    assert (found.ok, found.hard) == (False, False)
    assert found.problem


@pytest.mark.parametrize("kind", ["vat", "xx_vat", "", "eu vat", "EU-VAT"])
def test_a_type_that_does_not_exist_refuses(kind: str) -> None:
    assert check(kind, "123456789", "DE").hard
