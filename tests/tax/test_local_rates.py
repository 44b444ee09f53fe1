"""Local rates that the operator imports: checked wholly, by ZIP or ZIP+4, and before the shipped ones."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from app.tax.dataset import load
from app.tax.determination import Buyer, Determination, Line, Registration, Request, Seller, determine
from app.tax.local_rates import Locality, LocalRatesRefused, LocalRow, content_hash, locality, read_csv

HEADER = "state,zip_from,zip_to,plus4_from,plus4_to,component,rate,from,to\n"
TEXAS = HEADER + (
    "TX,79901,79905,,,El Paso,1,2024-01-01,2026-12-31\n"
    "TX,79901,79905,,,El Paso,1.5,2027-01-01,\n"
    "TX,79901,79905,,,El Paso ESD,0.5,2024-01-01,\n"
    "TX,79901,79901,0100,0199,Fort Bliss,0,2024-01-01,\n"
    "TX,78701,78701,,,Austin,0.75,2024-01-01,\n"
)
TODAY = date(2026, 11, 22)
SELLER = Seller("US", registrations=tuple(Registration(f"US-{code}", "standard") for code in ("TX", "NY", "WA")))


def read(text: str) -> dict[str, tuple[LocalRow, ...]]:
    return read_csv(text, load().united_states.states)


def at(text: str, zip5: str, plus4: str = "", on: date = TODAY) -> Locality | None:
    rows = [r for rows in read(text).values() for r in rows if r.zip_from <= zip5 <= r.zip_to and r.covers(on)]
    return locality(rows, plus4, "TX-1")


def taxed(postcode: str, local: Locality | None, code: str = "software_download_business") -> Determination:
    buyer = Buyer("US", "TX", postcode, type="business")
    return determine(Request(SELLER, buyer, (Line(code, 100_000),), "USD", TODAY), local=local)


def test_imported_rates_answer_where_the_shipped_ones_refuse() -> None:
    assert taxed("79901", None).treatment == "needs_review"
    answer = taxed("79901", at(TEXAS, "79901"))
    assert (answer.tax.minor, answer.precision) == (7_750, "zip5")
    assert [(part.name, part.rate) for part in answer.components[1:]] == [
        ("El Paso", 1),
        ("El Paso ESD", Decimal("0.5")),
    ]
    assert answer.data_version == f"{load().version}+TX-1"
    assert "TX-1" in answer.reason


def test_local_rates_follow_the_taxed_portion_of_the_state() -> None:
    answer = taxed("79901", at(TEXAS, "79901"), "saas_business")
    assert answer.tax.minor == 6_200
    assert {part.taxable.minor for part in answer.components} == {80_000}


def test_imported_rates_come_before_the_shipped_ones_and_an_election_before_both() -> None:
    local = at(TEXAS, "78701")
    assert (taxed("78701", None).tax.minor, taxed("78701", local).tax.minor) == (8_250, 7_000)
    elected = replace(SELLER, elections={"US-TX": "single_local_rate"})
    buyer = Buyer("US", "TX", "78701", type="business")
    request = Request(elected, buyer, (Line("software_download_business", 100_000),), "USD", TODAY)
    assert determine(request, local=local).tax.minor == 8_000


def test_rows_of_the_very_zip_plus_four_alone_count() -> None:
    assert at(TEXAS, "79901", "0150") == Locality((), "zip9", "TX-1")
    assert taxed("79901-0150", at(TEXAS, "79901", "0150")).tax.minor == 6_250
    other = at(TEXAS, "79901", "0200")
    assert other is not None
    assert (len(other.charges), other.precision) == (2, "zip5")


def test_the_day_of_supply_selects_the_row() -> None:
    before, after = at(TEXAS, "79905", on=date(2026, 12, 31)), at(TEXAS, "79905", on=date(2027, 1, 1))
    assert before is not None
    assert after is not None
    assert (before.charges[0].rate, after.charges[0].rate) == (Decimal(1), Decimal("1.5"))
    assert at(TEXAS, "79905", on=date(2023, 12, 31)) is None
    assert at(TEXAS, "79906") is None


def test_the_same_rates_in_another_order_and_spelling_have_the_same_hash() -> None:
    head, *rows = TEXAS.splitlines()
    shuffled = "\r\n".join([head, *reversed(rows)]).replace(",1,2024", ",1.00,2024") + "\r\n"
    assert content_hash(read("\ufeff" + shuffled)["TX"]) == content_hash(read(TEXAS)["TX"])


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ("ZZ,79901,79905,,,X,1,2024-01-01,", "line 2: state 'ZZ' is none: write a code such as TX"),
        ("KY,40202,40202,,,X,1,2024-01-01,", "Kentucky has no local sales tax: remove"),
        ("TX,7990,79905,,,X,1,2024-01-01,", "zip_from is '7990': write 5 digits"),
        ("TX,79905,79901,,,X,1,2024-01-01,", "zip_from 79905 is above zip_to 79901: swap"),
        ("TX,79901,79905,0001,0002,X,1,2024-01-01,", "a ZIP.4 range lies within one ZIP"),
        ("TX,79901,79901,0001,,X,1,2024-01-01,", "plus4_to is '': write 4 digits"),
        ("TX,79901,79905,,,,1,2024-01-01,", "component is empty"),
        ("TX,79901,79905,,,X,31,2024-01-01,", "rate 31 is outside 0 to 30"),
        ("TX,79901,79905,,,X,one,2024-01-01,", "rate 'one' is not a decimal"),
        ("TX,79901,79905,,,X,1.234567,2024-01-01,", "more than 5 decimals"),
        ("TX,79901,79905,,,X,1,soon,", "from is 'soon': write a day"),
        ("TX,79901,79905,,,X,1,,", "from is '': write a day"),
        ("TX,79901,79905,,,X,1,2024-01-02,2024-01-01", "ends 2024-01-01 before it begins"),
        ("TX,79901,79905,,,X,1,2024-01-01,,extra", "more fields than the first line"),
        ("TX,79901", "zip_to is '': write 5 digits"),
        ('TX,"79901', "is not CSV"),
    ],
)
def test_a_line_that_cannot_be_used_refuses_the_whole_file(row: str, complaint: str) -> None:
    with pytest.raises(LocalRatesRefused, match=complaint):
        read(HEADER + row + "\n" + TEXAS.removeprefix(HEADER))


def test_every_fault_is_named_at_once_with_its_line_and_two_rows_may_not_overlap() -> None:
    bad = TEXAS + "TX,79903,79904,,,el paso,1,2026-01-01,2026-06-30\nTX,1,2,,,X,1,2024-01-01,\n"
    with pytest.raises(LocalRatesRefused) as refused:
        read(bad)
    assert "line 7: el paso overlaps line 2" in refused.value.detail
    assert "line 8: zip_from is '1'" in refused.value.detail
    assert refused.value.extra == {"faults": 2}


@pytest.mark.parametrize("text", ["", "state,zip\n", HEADER, HEADER.replace("rate", "percent")])
def test_a_file_without_rows_or_with_another_first_line_is_refused(text: str) -> None:
    with pytest.raises(LocalRatesRefused):
        read(text)
