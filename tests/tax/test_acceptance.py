"""Worked cases, through the door that finance uses: `blp explain tax`."""

import json
from datetime import date as day
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from app.tax.explain import explain_lines

TODAY = "2026-11-22"
STATES = (
    "AL AK AZ AR CA CO CT DC DE FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN MS MO MT NE NV NH NJ NM NY NC ND OH OK "
    "OR PA RI SC SD TN TX UT VT VA WA WV WI WY"
).split()


def registered(*jurisdictions: str, scheme: str = "standard") -> list[dict[str, str]]:
    return [{"jurisdiction": code, "scheme": scheme} for code in jurisdictions]


ABROAD = registered(
    *"GB CH NO IS AU NZ JP IN SG KR TW MY ID TH VN PH AE SA BH OM TR UA RS CL CO MX ZA KE NG BR".split()
)
# U: a US corporation registered everywhere; I: Irish, one-stop shop; G: German, small; N: registered nowhere.
U: dict[str, Any] = {
    "country": "US",
    "established": ["US"],
    "oss": "non_union",
    "registrations": [
        *ABROAD,
        *registered("CA", "CA-QC", scheme="simplified"),
        *registered("CA-BC", "CA-SK", "CA-MB", *(f"US-{code}" for code in STATES)),
    ],
}
IRISH = {"country": "IE", "established": ["IE"], "registrations": registered("IE"), "oss": "union"}
G = {"country": "DE", "established": ["DE"], "registrations": registered("DE"), "below_eu_threshold": True}
N = {"country": "US", "established": ["US"], "registrations": []}
ELECTED = {**U, "elections": {"US-TX": "single_local_rate", "US-AL": "ssut"}}
SELLERS: dict[str, dict[str, Any]] = {
    "U": U,
    "I": IRISH,
    "G": G,
    "G_opted_in": {**G, "oss": "union"},
    "G_above": {**G, "below_eu_threshold": False},
    "G_two_seats": {**G, "established": ["DE", "AT"]},
    "N": N,
    "N_small": {**N, "below_eu_threshold": True},
    "N_quebec": {**N, "registrations": registered("CA-QC")},
    "N_canada": {**N, "registrations": registered("CA")},
    "chicago": {**U, "registrations": [*U["registrations"], *registered("US-IL-CHICAGO")]},
    "elected": ELECTED,
    "texan": {**ELECTED, "established": ["US", "US-TX"]},
    "denver": {**U, "registrations": [*U["registrations"], *registered("US-CO-DENVER")]},
    "jersey": {**N, "registrations": registered("JE")},
    "manx": {**N, "registrations": registered("IM")},
    "negotiable": {**U, "elections": {"US-CO": "negotiable_license"}},
    "hosted": {**U, "elections": {"US-MS": "hosted_in_state"}},
    "chicago_alone": {**N, "registrations": registered("US-IL-CHICAGO")},
    "I_small": {**IRISH, "oss": None, "below_eu_threshold": True},
    "two_states": {**G, "established": ["DE", "AT"], "registrations": registered("DE", "AT")},
    "F": {"country": "FR", "established": ["FR"], "registrations": registered("FR")},
    "G_ioss": {**G, "registrations": registered("DE") + registered("EU", scheme="ioss")},
    "G_joined": {**G, "registrations": registered("DE") + registered("EU", scheme="union")},
    "britain": {"country": "GB", "established": ["GB"], "registrations": registered("GB")},
    "indian_state": {**N, "registrations": registered("IN-MH")},
    "simplified": {**N, "registrations": registered("CA", "CA-QC", scheme="simplified")},
    "N_columbia": {**N, "registrations": registered("CA-BC")},
    "N_ontario": {**N, "registrations": registered("CA-ON")},
    "N_alberta": {**N, "registrations": registered("CA-AB")},
    "both_ways": {**N, "registrations": registered("CA", scheme="simplified") + registered("CA")},
    "ended": {**N, "registrations": [{"jurisdiction": "US-MA", "scheme": "standard", "to": "2026-11-21"}]},
    "tomorrow": {**N, "registrations": [{"jurisdiction": "GB", "scheme": "standard", "from": "2026-11-23"}]},
}
CODES = {"saas": "saas_business", "dl": "software_download_business", "home": "saas_personal"}
CASES = [
    tuple(cell.strip() for cell in line.split("|"))
    for line in (Path(__file__).parent / "cases.txt").read_text("utf-8").splitlines()
    if line and not line.startswith("#")
]


def buyer(text: str) -> dict[str, Any]:
    """`US-TX:78701:Austin business type=number=status` as the interface spells it."""
    place, _, rest = text.partition(" business") if " business" in text else text.partition(" consumer")
    country, *more = place.split(":")
    code, _, region = country.partition("-")
    ids = [dict(zip(("type", "value", "status"), word.split("="), strict=True)) for word in rest.split()]
    found = {"country": code, "type": "business" if " business" in text else "consumer", "tax_ids": ids}
    return found | dict(zip(("postcode", "city"), more, strict=False)) | ({"region": region} if region else {})


def lines(text: str) -> list[dict[str, Any]]:
    found = []
    for part in text.split(";"):
        code, amount, *inclusive = part.split()
        found.append({"tax_code": CODES[code], "amount": int(amount), "inclusive": bool(inclusive)})
    return found


def explain(request: dict[str, Any]) -> dict[str, Any]:
    ((answer, malformed),) = explain_lines([json.dumps({"id": "case", **request})])
    shown: dict[str, Any] = json.loads(answer)
    assert not malformed, shown
    return shown


@pytest.mark.parametrize("case", CASES, ids=lambda case: " ".join(case[:4]))
def test_a_worked_case_gets_its_treatment_and_tax(case: tuple[str, ...]) -> None:
    _, name, to, sold, currency, date, treatment, amount = case
    seller, tax, date = SELLERS[name], int(amount), TODAY if date == "-" else date
    answer = explain({"seller": seller, "buyer": buyer(to), "lines": lines(sold), "currency": currency, "date": date})
    assert (answer["treatment"], answer["tax"]) == (treatment, tax), answer["reason"]
    assert sum(part["amount"] for part in answer["components"]) == tax
    assert sum(line["tax"] for line in answer["lines"]) == tax
    assert answer["reason"].endswith(".")


@pytest.mark.parametrize(
    ("country", "before", "from_day", "after"),
    [
        ("FI", 2400, "2024-09-01", 2550),
        ("EE", 2200, "2025-07-01", 2400),
        ("EE", 2000, "2024-01-01", 2200),
        ("SK", 2000, "2025-01-01", 2300),
        ("RO", 1900, "2025-08-01", 2100),
        ("LU", 1600, "2024-01-01", 1700),
        ("DE", 1900, "2020-07-01", 1600),
    ],
)
def test_the_rate_changes_on_its_day_and_not_before(country: str, before: int, from_day: str, after: int) -> None:
    eve = (day.fromisoformat(from_day) - timedelta(days=1)).isoformat()
    for date, tax in ((eve, before), (from_day, after)):
        request = {"seller": U, "buyer": buyer(f"{country} consumer"), "lines": lines("saas 10000"), "currency": "EUR"}
        assert explain({**request, "date": date})["tax"] == tax


def test_new_york_city_shows_state_city_and_transit_district() -> None:
    answer = explain(
        {
            "seller": U,
            "buyer": buyer("US-NY:10001 business"),
            "lines": lines("saas 100000"),
            "currency": "USD",
            "date": TODAY,
        }
    )
    assert [(part["rate"], part["amount"]) for part in answer["components"]] == [
        ("4", 4000),
        ("4.5", 4500),
        ("0.375", 375),
    ]


def test_texas_taxes_eighty_percent_of_data_processing() -> None:
    answer = explain(
        {
            "seller": ELECTED,
            "buyer": buyer("US-TX business"),
            "lines": lines("saas 100000"),
            "currency": "USD",
            "date": TODAY,
        }
    )
    assert [(part["rate"], part["taxable"], part["amount"]) for part in answer["components"]] == [
        ("6.25", 80000, 5000),
        ("1.75", 80000, 1400),
    ]


def test_quebec_and_british_columbia_list_the_relieved_component_at_zero() -> None:
    answer = explain(
        {
            "seller": U,
            "buyer": buyer("CA-BC business ca_gst_hst=123456789RT0001=valid"),
            "lines": lines("saas 10000"),
            "currency": "CAD",
            "date": TODAY,
        }
    )
    assert [(part["jurisdiction"], part["name"], part["amount"]) for part in answer["components"]] == [
        ("CA", "GST", 0),
        ("CA-BC", "PST", 700),
    ]


def test_a_plan_change_credits_and_charges_at_one_rate() -> None:
    answer = explain(
        {
            "seller": IRISH,
            "buyer": buyer("DK consumer"),
            "lines": lines("saas -4000; saas 10000"),
            "currency": "DKK",
            "date": TODAY,
        }
    )
    assert [line["tax"] for line in answer["lines"]] == [-1000, 2500]


def test_a_reverse_charge_says_so_with_the_article_and_the_number() -> None:
    answer = explain(
        {
            "seller": U,
            "buyer": buyer("GR business eu_vat=EL094259216=valid"),
            "lines": lines("saas 10000"),
            "currency": "EUR",
            "date": TODAY,
        }
    )
    assert "Reverse charge, Art. 196 Directive 2006/112/EC" in answer["note"]
    assert "EL094259216" in answer["note"]


def test_las_palmas_is_told_that_igic_applies() -> None:
    request = {"seller": IRISH, "buyer": buyer("ES:35001 consumer"), "lines": lines("saas 10000"), "currency": "EUR"}
    assert "IGIC" in explain({**request, "date": TODAY})["reason"]


def test_amount_is_per_unit_where_a_quantity_is_given() -> None:
    request = {"seller": U, "buyer": buyer("DE consumer"), "currency": "EUR", "date": TODAY}
    answer = explain({**request, "lines": [{"tax_code": "saas_business", "amount": 1000, "quantity": 7}]})
    assert answer["lines"] == [{"net": 7000, "tax": 1330}]


@pytest.mark.parametrize(
    ("certificate", "treatment"),
    [
        ({}, "customer_exempt"),
        ({"expires": "2026-11-22"}, "customer_exempt"),
        ({"expires": "2026-11-21"}, "standard"),
        ({"signed": "2026-11-23"}, "standard"),
        ({"status": "revoked"}, "standard"),
        ({"status": "pending"}, "standard"),
        ({"jurisdiction": "US-OH"}, "standard"),
        ({"jurisdiction": "US"}, "standard"),
    ],
)
def test_a_certificate_exempts_only_in_its_state_and_while_it_holds(
    certificate: dict[str, str], treatment: str
) -> None:
    held = {
        "jurisdiction": "US-MA",
        "reason": "resale",
        "number": "R1",
        "signed": "2026-01-01",
        "expires": "2027-01-01",
    }
    answer = explain(
        {
            "seller": U,
            "buyer": {**buyer("US-MA business"), "exemptions": [{**held, "status": "active", **certificate}]},
            "lines": lines("saas 100000"),
            "currency": "USD",
            "date": TODAY,
        }
    )
    assert answer["treatment"] == treatment


@pytest.mark.parametrize(
    ("evidence", "treatment"),
    [
        (None, "standard"),
        ([("billing_address", "DE"), ("ip", "DE")], "standard"),
        ([("ip", "DE")], "standard"),
        ([("billing_address", "DE"), ("ip", "FR")], "needs_review"),
        ([("billing_address", "DE"), ("ip", "FR"), ("card", "DE")], "standard"),
        ([("billing_address", "DE"), ("ip", "FR"), ("card", "FR")], "needs_review"),
        ([("billing_address", "DE")], "needs_review"),
        ([("billing_address", "FR"), ("ip", "FR")], "needs_review"),
    ],
)
def test_a_consumer_is_placed_by_two_items_that_agree(evidence: list[tuple[str, str]] | None, treatment: str) -> None:
    request = {
        "seller": U,
        "buyer": buyer("DE consumer"),
        "lines": lines("saas 10000"),
        "currency": "EUR",
        "date": TODAY,
    }
    given = None if evidence is None else [{"kind": kind, "country": country} for kind, country in evidence]
    assert explain({**request, "evidence": given})["treatment"] == treatment


def test_evidence_that_names_a_member_state_stops_an_address_elsewhere() -> None:
    request = {
        "seller": N,
        "buyer": buyer("AU consumer"),
        "lines": lines("saas 10000"),
        "currency": "EUR",
        "date": TODAY,
    }
    evidence = [{"kind": "ip", "country": "DE"}, {"kind": "card", "country": "DE"}]
    assert explain(request)["treatment"] == "not_collecting"
    assert explain({**request, "evidence": evidence})["treatment"] == "needs_review"


def test_a_number_of_another_state_reverses_unless_the_seller_sits_there() -> None:
    request = {"buyer": buyer("FR business eu_vat=IE6433435F=valid"), "lines": lines("saas 10000"), "currency": "EUR"}
    assert explain({**request, "seller": U, "date": TODAY})["treatment"] == "reverse_charge"
    assert explain({**request, "seller": IRISH, "date": TODAY})["treatment"] == "needs_review"


@pytest.mark.parametrize("number", ["XI980780684", "EU372022452", "GB980780684"])
def test_numbers_that_prove_nothing_for_services_in_the_union_do_not_relieve(number: str) -> None:
    request = {"buyer": buyer(f"FR business eu_vat={number}=valid"), "lines": lines("saas 10000"), "currency": "EUR"}
    assert explain({**request, "seller": U, "date": TODAY})["tax"] == 2000


def test_a_registration_counts_from_its_first_day() -> None:
    seller = {**N, "registrations": [{"jurisdiction": "US-MA", "scheme": "standard", "from": "2026-03-01"}]}
    request = {"seller": seller, "buyer": buyer("US-MA business"), "lines": lines("saas 10000"), "currency": "USD"}
    assert explain({**request, "date": "2026-02-28"})["treatment"] == "not_collecting"
    assert explain({**request, "date": "2026-03-01"})["tax"] == 625
