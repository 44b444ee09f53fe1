"""Worked cases, through the door that finance uses: `blp explain tax`."""

import json
from datetime import date as day
from datetime import timedelta
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
U = {
    "country": "US",
    "established": ["US"],
    "oss": "non_union",
    "registrations": [
        *ABROAD,
        *registered("CA", "CA-QC", scheme="simplified"),
        *registered("CA-BC", "CA-SK", "CA-MB", *(f"US-{code}" for code in STATES)),
    ],
}
I = {"country": "IE", "established": ["IE"], "registrations": registered("IE"), "oss": "union"}  # noqa: E741 the study's name for it
G = {"country": "DE", "established": ["DE"], "registrations": registered("DE"), "below_eu_threshold": True}
N = {"country": "US", "established": ["US"], "registrations": []}
CHICAGO = {**U, "registrations": [*U["registrations"], *registered("US-IL-CHICAGO")]}
ELECTED = {**U, "elections": {"US-TX": "single_local_rate", "US-AL": "ssut"}}
CODES = {"saas": "saas_business", "dl": "software_download_business", "home": "saas_personal"}

# Who sells, who buys (see `buyer`), what (see `lines`), in which currency and when; then the treatment and the tax.
Case = tuple[dict[str, Any], str, str, str, str, str, int]

EU: list[Case] = [
    (U, "DE consumer", "saas 10000", "EUR", TODAY, "standard", 1900),
    (U, "FR business eu_vat=FR40303265045=valid", "saas 100000", "EUR", TODAY, "reverse_charge", 0),
    (U, "FR business eu_vat=FR40303265045=invalid", "saas 100000", "EUR", TODAY, "standard", 20000),
    (U, "FR business eu_vat=FR40303265045=unavailable", "saas 100000", "EUR", TODAY, "standard", 20000),
    (U, "FR business", "saas 100000", "EUR", TODAY, "standard", 20000),
    (I, "IE business eu_vat=IE6433435F=valid", "saas 100000", "EUR", TODAY, "standard", 23000),
    (I, "FR business eu_vat=FR40303265045=valid", "dl 100000", "EUR", TODAY, "reverse_charge", 0),
    (I, "DE consumer", "saas 10000", "EUR", TODAY, "standard", 1900),
    (G, "FR consumer", "saas 5000", "EUR", TODAY, "standard", 950),
    ({**G, "oss": "union"}, "FR consumer", "saas 5000", "EUR", TODAY, "standard", 1000),
    ({**G, "below_eu_threshold": False}, "FR consumer", "saas 5000", "EUR", TODAY, "standard", 1000),
    ({**G, "established": ["DE", "AT"]}, "FR consumer", "saas 5000", "EUR", TODAY, "standard", 1000),
    (N, "FR consumer", "saas 5000", "EUR", TODAY, "standard", 1000),
    ({**N, "below_eu_threshold": True}, "FR consumer", "saas 5000", "EUR", TODAY, "standard", 1000),
    (U, "HU consumer", "saas 1270000 incl", "HUF", TODAY, "standard", 270000),
    (I, "ES:35001 consumer", "saas 10000", "EUR", TODAY, "outside_scope", 0),
    (I, "ES:38001 business", "saas 10000", "EUR", TODAY, "outside_scope", 0),
    (I, "ES:28001 consumer", "saas 10000", "EUR", TODAY, "standard", 2100),
    (I, "ES:51001 consumer", "saas 10000", "EUR", TODAY, "outside_scope", 0),
    (I, "IT:23041 consumer", "saas 10000", "EUR", TODAY, "outside_scope", 0),
    (I, "DE:78266 consumer", "saas 10000", "EUR", TODAY, "outside_scope", 0),
    (I, "DE:27498 consumer", "saas 10000", "EUR", TODAY, "outside_scope", 0),
    (I, "GR:63087 consumer", "saas 10000", "EUR", TODAY, "outside_scope", 0),
    (I, "PT:9500-001 consumer", "saas 10000", "EUR", TODAY, "standard", 1600),
    (I, "PT:9000-001 consumer", "saas 10000", "EUR", TODAY, "standard", 2200),
    (I, "PT:1000-001 consumer", "saas 10000", "EUR", TODAY, "standard", 2300),
    (U, "MC consumer", "saas 10000", "EUR", TODAY, "standard", 2000),
    (U, "MC business eu_vat=FR40303265045=valid", "saas 10000", "EUR", TODAY, "reverse_charge", 0),
    (I, "RE consumer", "saas 10000", "EUR", TODAY, "needs_review", 0),
    (I, "FR:97410 consumer", "saas 10000", "EUR", TODAY, "needs_review", 0),
    (I, "AX consumer", "saas 10000", "EUR", TODAY, "needs_review", 0),
    (I, "SM consumer", "saas 10000", "EUR", TODAY, "outside_scope", 0),
    (U, "GR business eu_vat=EL094259216=valid", "saas 10000", "EUR", TODAY, "reverse_charge", 0),
    (U, "DE consumer", "saas 999; saas 999; saas 999", "EUR", TODAY, "standard", 569),
    (I, "DK consumer", "saas -4000; saas 10000", "DKK", TODAY, "standard", 1500),
]
WORLD: list[Case] = [
    (U, "GB:BT1 1AA:Belfast consumer", "saas 10000", "GBP", TODAY, "standard", 2000),
    (U, "GB business gb_vat=GB980780684=valid", "saas 10000", "GBP", TODAY, "reverse_charge", 0),
    (U, "GB business gb_vat=GB980780684=unchecked", "saas 10000", "GBP", TODAY, "standard", 2000),
    (U, "IM consumer", "saas 10000", "GBP", TODAY, "standard", 2000),
    (U, "JE consumer", "saas 10000", "GBP", TODAY, "not_collecting", 0),
    (U, "GB:GY1 1AA consumer", "saas 10000", "GBP", TODAY, "not_collecting", 0),
    (I, "GB consumer", "saas 10000", "GBP", TODAY, "not_collecting", 0),
    (U, "GB consumer", "saas 10000", "GBP", "2020-12-31", "needs_review", 0),
    (U, "CH consumer", "saas 10000", "CHF", TODAY, "standard", 810),
    (U, "CH business ch_vat=CHE107787577MWST=valid", "saas 10000", "CHF", TODAY, "standard", 810),
    (U, "CH consumer", "saas 10000", "CHF", "2023-12-31", "standard", 770),
    (U, "LI consumer", "saas 10000", "CHF", TODAY, "standard", 810),
    (I, "CH business", "saas 10000", "CHF", TODAY, "not_collecting", 0),
    (U, "NO consumer", "saas 100000", "NOK", TODAY, "standard", 25000),
    (U, "NO business no_vat=995525828MVA=valid", "saas 100000", "NOK", TODAY, "reverse_charge", 0),
    (U, "AU business au_abn=83914571673=valid", "saas 10000", "AUD", TODAY, "reverse_charge", 0),
    (U, "JP consumer", "saas 10000", "JPY", TODAY, "standard", 1000),
    (U, "JP business", "saas 10000", "JPY", TODAY, "reverse_charge", 0),
    (U, "JP business", "home 10000", "JPY", TODAY, "standard", 1000),
    (U, "AE consumer", "saas 10000", "AED", TODAY, "standard", 500),
    (U, "SA consumer", "saas 10000", "SAR", TODAY, "standard", 1500),
    (U, "AE business ae_trn=100000000000003=valid", "saas 10000", "AED", TODAY, "reverse_charge", 0),
    (U, "MX business mx_rfc=GODE561231GR8=valid", "saas 10000", "MXN", TODAY, "standard", 1600),
    (U, "VN consumer", "saas 10000", "VND", TODAY, "standard", 800),
    (U, "VN business", "saas 10000", "VND", "2027-01-01", "standard", 1000),
    (U, "ZA business za_vat=4012345678=valid", "saas 10000", "ZAR", TODAY, "standard", 1500),
    (U, "BR consumer", "saas 10000", "BRL", TODAY, "needs_review", 0),
    (N, "AU consumer", "saas 10000", "AUD", TODAY, "not_collecting", 0),
    (N, "BR consumer", "saas 10000", "BRL", TODAY, "not_collecting", 0),
]
CANADA: list[Case] = [
    (U, "CA-ON consumer", "saas 10000", "CAD", TODAY, "standard", 1300),
    (U, "CA-ON business ca_gst_hst=123456789RT0001=valid", "saas 10000", "CAD", TODAY, "reverse_charge", 0),
    (U, "CA-NS consumer", "saas 10000", "CAD", "2025-03-31", "standard", 1500),
    (U, "CA-NS consumer", "saas 10000", "CAD", "2025-04-01", "standard", 1400),
    (U, "CA-QC consumer", "saas 10000", "CAD", TODAY, "standard", 1498),
    (U, "CA-QC business ca_gst_hst=123456789RT0001=valid", "saas 10000", "CAD", TODAY, "standard", 998),
    (
        U,
        "CA-QC business ca_gst_hst=123456789RT0001=valid ca_qst=1234567890TQ0001=valid",
        "saas 10000",
        "CAD",
        TODAY,
        "reverse_charge",
        0,
    ),
    (U, "CA-BC business ca_gst_hst=123456789RT0001=valid", "saas 10000", "CAD", TODAY, "standard", 700),
    (U, "CA-SK consumer", "saas 10000", "CAD", TODAY, "standard", 1100),
    (U, "CA-AB consumer", "saas 10000", "CAD", TODAY, "standard", 500),
    (U, "CA-MB business", "saas 10000", "CAD", "2025-12-31", "standard", 500),
    (U, "CA-MB business", "saas 10000", "CAD", "2026-01-01", "standard", 1200),
    (U, "CA consumer", "saas 10000", "CAD", TODAY, "needs_review", 0),
    (N, "CA consumer", "saas 10000", "CAD", TODAY, "not_collecting", 0),
    ({**N, "registrations": registered("CA-QC")}, "CA-QC consumer", "saas 10000", "CAD", TODAY, "standard", 998),
    ({**N, "registrations": registered("CA")}, "CA-ON business ca_gst_hst=123456789RT0001=valid", "saas 10000", "CAD",
     TODAY, "standard", 1300),
]  # fmt: skip
UNITED_STATES: list[Case] = [
    (U, "US-NY:10001 business", "saas 100000", "USD", TODAY, "standard", 8875),
    (U, "US-NY:10001:Brooklyn business", "saas 100000", "USD", TODAY, "standard", 8875),
    (U, "US-NY:12207:Albany business", "saas 100000", "USD", TODAY, "needs_review", 0),
    (U, "US-NY:12207:New York business", "saas 100000", "USD", TODAY, "needs_review", 0),
    (U, "US-TX:78701:Austin business", "dl 100000", "USD", TODAY, "standard", 8250),
    (U, "US-TX:78701:Austin business", "saas 100000", "USD", TODAY, "standard", 6600),
    (U, "US-TX:79901:El Paso business", "saas 100000", "USD", TODAY, "needs_review", 0),
    (ELECTED, "US-TX business", "saas 100000", "USD", TODAY, "standard", 6400),
    (ELECTED, "US-TX business", "dl 100000", "USD", TODAY, "standard", 8000),
    (ELECTED, "US-TX business", "dl 100000", "USD", "2027-01-01", "needs_review", 0),
    ({**ELECTED, "established": ["US", "US-TX"]}, "US-TX business", "dl 100000", "USD", TODAY, "needs_review", 0),
    (ELECTED, "US-AL business", "dl 100000", "USD", TODAY, "standard", 8000),
    (ELECTED, "US-AL business", "saas 100000", "USD", TODAY, "needs_review", 0),
    (U, "US-AL business", "saas 100000", "USD", TODAY, "needs_review", 0),
    (U, "US-CA business", "saas 100000", "USD", "2026-12-31", "product_exempt", 0),
    (U, "US-CA business", "dl 100000", "USD", "2026-12-31", "product_exempt", 0),
    (U, "US-CA business", "saas 100000", "USD", "2027-01-01", "needs_review", 0),
    (U, "US-CO business", "saas 100000", "USD", "2026-12-31", "product_exempt", 0),
    (U, "US-CO business", "saas 100000", "USD", "2027-01-01", "needs_review", 0),
    ({**U, "elections": {"US-CO": "negotiable_license"}}, "US-CO business", "saas 100000", "USD", "2027-01-01",
     "product_exempt", 0),
    (U, "US-CT business", "saas 100000", "USD", TODAY, "standard", 1000),
    (U, "US-CT consumer", "saas 100000", "USD", TODAY, "standard", 6350),
    (U, "US-MD business", "saas 100000", "USD", "2025-06-30", "product_exempt", 0),
    (U, "US-MD business", "saas 100000", "USD", "2025-07-01", "standard", 3000),
    (U, "US-MD consumer", "saas 100000", "USD", TODAY, "standard", 6000),
    (U, "US-MD business", "home 100000", "USD", TODAY, "standard", 6000),
    (U, "US-MD business", "dl 100000", "USD", TODAY, "needs_review", 0),
    (U, "US-OH business", "saas 100000", "USD", TODAY, "needs_review", 0),
    (U, "US-OH consumer", "saas 100000", "USD", TODAY, "product_exempt", 0),
    (U, "US-SC business", "dl 100000", "USD", TODAY, "product_exempt", 0),
    (U, "US-IN business", "saas 100000", "USD", TODAY, "product_exempt", 0),
    (U, "US-IN business", "dl 100000", "USD", TODAY, "standard", 7000),
    (U, "US-MA business", "saas 100000", "USD", TODAY, "standard", 6250),
    (U, "US-MA business", "dl 100000", "USD", TODAY, "standard", 6250),
    (U, "US-MS business", "saas 100000", "USD", TODAY, "product_exempt", 0),
    (U, "US-MS business", "dl 100000", "USD", TODAY, "standard", 7000),
    (U, "US-MS:39201:Jackson business", "dl 100000", "USD", TODAY, "needs_review", 0),
    (U, "US-KY business", "saas 100000", "USD", "2022-12-31", "product_exempt", 0),
    (U, "US-KY business", "saas 100000", "USD", TODAY, "standard", 6000),
    (U, "US-ME business", "dl 100000", "USD", TODAY, "standard", 5500),
    (U, "US-MI business", "dl 100000", "USD", TODAY, "standard", 6000),
    (U, "US-NJ business", "dl 100000", "USD", TODAY, "product_exempt", 0),
    (U, "US-NJ consumer", "dl 100000", "USD", TODAY, "standard", 6625),
    (U, "US-RI business", "saas 100000", "USD", TODAY, "standard", 7000),
    (U, "US-PA:19103:Philadelphia business", "saas 100000", "USD", TODAY, "standard", 8000),
    (U, "US-PA:15222:Pittsburgh business", "saas 100000", "USD", TODAY, "standard", 7000),
    (U, "US-PA:17101:Harrisburg business", "saas 100000", "USD", TODAY, "standard", 6000),
    (U, "US-PA:15106 business", "saas 100000", "USD", TODAY, "needs_review", 0),
    (U, "US-PA business", "saas 100000", "USD", TODAY, "needs_review", 0),
    (U, "US-DC business", "saas 100000", "USD", TODAY, "needs_review", 0),
    (U, "US-DC business", "saas 100000", "USD", "2026-09-30", "standard", 6000),
    *((U, f"US-{code} business", "saas 100000", "USD", TODAY, "product_exempt", 0) for code in "FL GA VA OR".split()),
    (CHICAGO, "US-IL:60601:Chicago business", "saas 100000", "USD", TODAY, "standard", 15000),
    (CHICAGO, "US-IL:60601:Chicago business", "saas 100000", "USD", "2025-12-31", "standard", 11000),
    (CHICAGO, "US-IL:62701:Springfield business", "saas 100000", "USD", TODAY, "product_exempt", 0),
    (CHICAGO, "US-IL business", "saas 100000", "USD", TODAY, "needs_review", 0),
    (U, "US-IL:60601:Chicago business", "saas 100000", "USD", TODAY, "product_exempt", 0),
    (N, "US-KY business", "saas 100000", "USD", TODAY, "not_collecting", 0),
    (N, "US-OR business", "saas 100000", "USD", TODAY, "not_collecting", 0),
    (N, "US business", "saas 100000", "USD", TODAY, "not_collecting", 0),
    (U, "US business", "saas 100000", "USD", TODAY, "needs_review", 0),
    (U, "PR business", "saas 100000", "USD", TODAY, "not_collecting", 0),
]  # fmt: skip


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


@pytest.mark.parametrize(
    ("seller", "to", "sold", "currency", "date", "treatment", "tax"), [*EU, *WORLD, *CANADA, *UNITED_STATES]
)
def test_a_worked_case_gets_its_treatment_and_tax(
    seller: dict[str, Any], to: str, sold: str, currency: str, date: str, treatment: str, tax: int
) -> None:
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
            "seller": I,
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
    request = {"seller": I, "buyer": buyer("ES:35001 consumer"), "lines": lines("saas 10000"), "currency": "EUR"}
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
    assert explain({**request, "seller": I, "date": TODAY})["treatment"] == "needs_review"


@pytest.mark.parametrize("number", ["XI980780684", "EU372022452", "GB980780684"])
def test_numbers_that_prove_nothing_for_services_in_the_union_do_not_relieve(number: str) -> None:
    request = {"buyer": buyer(f"FR business eu_vat={number}=valid"), "lines": lines("saas 10000"), "currency": "EUR"}
    assert explain({**request, "seller": U, "date": TODAY})["tax"] == 2000


def test_a_registration_counts_from_its_first_day() -> None:
    seller = {**N, "registrations": [{"jurisdiction": "US-MA", "scheme": "standard", "from": "2026-03-01"}]}
    request = {"seller": seller, "buyer": buyer("US-MA business"), "lines": lines("saas 10000"), "currency": "USD"}
    assert explain({**request, "date": "2026-02-28"})["treatment"] == "not_collecting"
    assert explain({**request, "date": "2026-03-01"})["tax"] == 625
