"""Places nobody may deliver to, by country, region, city and postcode, as dated data."""

from datetime import date

import pytest

from app.screening.destinations import DestinationRefused, Place, require_allowed, rule_for, rules

TODAY = date(2026, 11, 22)


@pytest.mark.parametrize("place", [
    Place("CU"), Place("IR"), Place("KP"), Place("RU"), Place("BY"), Place("UA", "95001"), Place("UA", "299 011"),
    Place("UA", "", "Crimea"), Place("UA", "01001", "Автономна Республіка Крим"), Place("UA", "", "UA-43"),
    Place("UA", "", "", "Севастополь"), Place("UA", "83001"), Place("UA", "", "ДНР"), Place("UA", "", "", "Доне́цьк"),
    Place("UA", "91000"), Place("UA", "", "Luhansk Peoples Republic"),
])  # fmt: skip
def test_an_embargoed_place_is_refused_however_it_is_written(place: Place) -> None:
    with pytest.raises(DestinationRefused) as refused:
        require_allowed(place, TODAY)
    assert refused.value.status == 451


@pytest.mark.parametrize("place", [
    Place("SY"), Place("UA", "84301", "", "Kramatorsk"), Place("UA", "", "Donetsk Oblast"), Place("UA", "93400"),
])  # fmt: skip
def test_where_the_address_does_not_tell_a_person_looks(place: Place) -> None:
    found = require_allowed(place, TODAY)
    assert found is not None
    assert found.action == "hold"


@pytest.mark.parametrize(
    "place", [Place("UA", "01001", "", "Kyiv"), Place("DE", "95444"), Place("US", "", "", "Moscow")]
)
def test_other_places_are_open(place: Place) -> None:
    assert require_allowed(place, TODAY) is None


def test_a_rule_holds_from_its_day_on_and_names_its_source() -> None:
    assert rule_for(Place("RU"), date(2024, 9, 11)) is None
    assert rule_for(Place("RU"), date(2024, 9, 12)) is not None
    assert all(rule.source and rule.valid_from for rule in rules())
