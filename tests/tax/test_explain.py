"""`blp explain tax` on lines that are not requests: named, remedied, and the run goes on."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.tax.explain import explain_lines

GOOD: dict[str, Any] = {
    "id": "1",
    "seller": {
        "country": "US",
        "established": ["US"],
        "registrations": [{"jurisdiction": "US-MA", "scheme": "standard"}],
    },
    "buyer": {"country": "US", "region": "MA", "type": "business", "tax_ids": []},
    "lines": [{"tax_code": "saas_business", "amount": 10000}],
    "currency": "USD",
    "date": "2026-11-22",
}


def run(*lines: str) -> list[tuple[dict[str, Any], bool]]:
    return [(json.loads(answer), malformed) for answer, malformed in explain_lines(lines)]


def changed(change: Callable[[dict[str, Any]], Any]) -> str:
    request = copy.deepcopy(GOOD)
    change(request)
    return json.dumps(request)


def test_the_output_has_exactly_the_fields_of_the_interface() -> None:
    ((answer, malformed),) = run(json.dumps(GOOD))
    assert not malformed
    assert list(answer) == ["id", "treatment", "tax", "components", "note", "reason", "precision", "lines"]
    assert answer["components"] == [
        {"jurisdiction": "US-MA", "name": "Massachusetts sales tax", "rate": "6.25", "taxable": 10000, "amount": 625}
    ]
    assert answer["lines"] == [{"net": 10000, "tax": 625}]


BAD: list[tuple[Callable[[dict[str, Any]], Any], str]] = [
    (lambda r: r.pop("id"), "id"),
    (lambda r: r.update(id=None), "id"),
    (lambda r: r.update(id=["x"]), "id"),
    (lambda r: r.pop("seller"), "seller"),
    (lambda r: r.update(seller="US"), "seller"),
    (lambda r: r["seller"].pop("country"), "seller.country"),
    (lambda r: r["seller"].update(country="XX"), "seller.country"),
    (lambda r: r["seller"].update(established="US"), "seller.established"),
    (lambda r: r["seller"].update(established=[1]), "seller.established"),
    (lambda r: r["seller"].update(established=["Utopia"]), "seller.established[0]"),
    (lambda r: r["seller"].update(registrations=["US-MA"]), "seller.registrations[0]"),
    (lambda r: r["seller"]["registrations"][0].update(jurisdiction="massachusetts"), "registrations[0].jurisdiction"),
    (lambda r: r["seller"]["registrations"][0].update({"from": "2026-02-30"}), "registrations[0].from"),
    (lambda r: r["seller"].update(oss="both"), "seller.oss"),
    (lambda r: r["seller"].update(below_eu_threshold="yes"), "seller.below_eu_threshold"),
    (lambda r: r["seller"].update(elections=["ssut"]), "seller.elections"),
    (lambda r: r["seller"].update(elections={"US-AL": 1}), "seller.elections.US-AL"),
    (lambda r: r.pop("buyer"), "buyer"),
    (lambda r: r["buyer"].update(country="Germany"), "buyer.country"),
    (lambda r: r["buyer"].update(country=49), "buyer.country"),
    (lambda r: r["buyer"].update(type="government"), "buyer.type"),
    (lambda r: r["buyer"].update(postcode=10001), "buyer.postcode"),
    (lambda r: r["buyer"].update(region=["MA"]), "buyer.region"),
    (lambda r: r["buyer"].update(city="\ud800"), "buyer.city"),
    (lambda r: r["buyer"].update(city="Bos\x00ton"), "buyer.city"),
    (lambda r: r["seller"].update(elections={"US-MA": "\udfff"}), "seller.elections.US-MA"),
    (lambda r: r["buyer"].update(tax_ids={"eu_vat": "x"}), "buyer.tax_ids"),
    (lambda r: r["buyer"].update(tax_ids=[{"type": "eu_vat", "value": "x", "status": "maybe"}]), "tax_ids[0].status"),
    (lambda r: r["buyer"].update(tax_ids=[{"type": "eu_vat", "status": "valid"}]), "tax_ids[0].value"),
    (lambda r: r["buyer"].update(exemptions=[{"jurisdiction": "US-MA", "expires": "soon"}]), "exemptions[0].expires"),
    (lambda r: r.update(evidence=[{"kind": "horoscope", "country": "DE"}]), "evidence[0].kind"),
    (lambda r: r.update(evidence=[{"kind": "ip", "country": "??"}]), "evidence[0].country"),
    (lambda r: r.pop("lines"), "lines"),
    (lambda r: r.update(lines=[]), "lines"),
    (lambda r: r.update(lines=[None]), "lines[0]"),
    (lambda r: r["lines"][0].pop("amount"), "lines[0].amount"),
    (lambda r: r["lines"][0].update(amount="100"), "lines[0].amount"),
    (lambda r: r["lines"][0].update(amount=99.5), "lines[0].amount"),
    (lambda r: r["lines"][0].update(amount=100.0), "lines[0].amount"),
    (lambda r: r["lines"][0].update(amount=True), "lines[0].amount"),
    (lambda r: r["lines"][0].update(amount=10**40), "lines[0].amount"),
    (lambda r: r["lines"][0].update(amount=10**14, quantity=10**6), "lines[0].quantity"),
    (lambda r: r["lines"][0].update(quantity=2.5), "lines[0].quantity"),
    (lambda r: r["lines"][0].update(quantity=-1), "lines[0].quantity"),
    (lambda r: r["lines"][0].update(tax_code=""), "lines[0].tax_code"),
    (lambda r: r["lines"][0].update(inclusive="yes"), "lines[0].inclusive"),
    (lambda r: r.pop("currency"), "currency"),
    (lambda r: r.update(currency="DOLLARS"), "currency"),
    (lambda r: r.update(currency="ZZZ"), "currency"),
    (lambda r: r.pop("date"), "date"),
    (lambda r: r.update(date="22.11.2026"), "date"),
    (lambda r: r.update(date="20261122"), "date"),
    (lambda r: r.update(date="2026-11-31"), "date"),
    (lambda r: r.update(date="2026-11-22T00:00:00Z"), "date"),
    (lambda r: r["seller"].update(registration=r["seller"].pop("registrations")), "seller.registration"),
    (lambda r: r["seller"]["registrations"][0].update(until="2026-12-31"), "registrations[0].until"),
    (
        lambda r: r["seller"]["registrations"][0].update({"from": "2026-02-01", "to": "2026-01-31"}),
        "registrations[0].to",
    ),
    (lambda r: r["seller"]["registrations"][0].update(jurisdiction="US-MASS"), "registrations[0].jurisdiction"),
    (lambda r: r["seller"]["registrations"][0].update(jurisdiction="CA-QUE"), "registrations[0].jurisdiction"),
    (lambda r: r["seller"].update(elections={"US-XX": "ssut"}), "seller.elections.US-XX"),
    (lambda r: r["buyer"].update(tax_id="FR40303265045"), "buyer.tax_id"),
    (lambda r: r["buyer"].update(tax_ids=[{"type": "eu_vat", "value": "x", "state": "valid"}]), "tax_ids[0].state"),
    (
        lambda r: r["buyer"].update(exemptions=[{"jurisdiction": "US-MA", "expired": "2020-01-01"}]),
        "exemptions[0].expired",
    ),
    (lambda r: r["lines"][0].update(inclusve=True), "lines[0].inclusve"),
    (lambda r: r.update(evidence=[{"kind": "ip", "country": "DE", "county": "FR"}]), "evidence[0].county"),
    (lambda r: r.update(evidense=r.pop("evidence", [])), "evidense"),
]


@pytest.mark.parametrize(("change", "field"), BAD)
def test_a_malformed_line_names_the_field_and_the_remedy(change: Callable[[dict[str, Any]], Any], field: str) -> None:
    ((answer, malformed),) = run(changed(change))
    assert malformed
    assert list(answer) == ["id", "error"]
    assert field in answer["error"]
    assert "give " in answer["error"]


@pytest.mark.parametrize(
    "line",
    [
        "not json",
        "{",
        "[]",
        "null",
        "42",
        '"text"',
        '{"id":"1","lines":[{"amount":NaN}]}',
        '{"id":"1","lines":[{"amount":Infinity}]}',
        '{"id":"1","amount":' + "9" * 5000 + "}",
        "[" * 100_000,
        '{"id":"\\ud800","seller":{}}',
    ],
)
def test_anything_else_is_an_error_and_not_a_crash(line: str) -> None:
    ((answer, malformed),) = run(line)
    assert malformed
    assert answer["error"]


def test_the_run_goes_on_after_a_malformed_line() -> None:
    answers = run("oops", json.dumps(GOOD), "", "   \n", json.dumps({**GOOD, "id": 7}))
    assert [(answer["id"], malformed) for answer, malformed in answers] == [(None, True), ("1", False), (7, False)]


def test_an_error_ends_with_the_number_of_its_line() -> None:
    answers = run("", json.dumps(GOOD), "oops", json.dumps({**GOOD, "currency": "DOLLARS"}))
    assert [answer["error"][-9:] for answer, malformed in answers if malformed] == [" (line 3)", " (line 4)"]
    assert answers[1][0]["error"] == "the line is not JSON: Expecting value at character 1 (line 3)"


def test_words_for_people_may_stand_anywhere_and_decide_nothing() -> None:
    def described(request: dict[str, Any]) -> None:
        for each in (request, request["seller"], request["buyer"], request["lines"][0]):
            each.update(name="Bo", description="five seats", note="a note", comment="a comment")
        request.update(expect={"treatment": "standard"}, cite="tax.md 4.1", case=7)

    assert run(changed(described)) == run(json.dumps(GOOD))


def test_a_byte_order_mark_is_no_obstacle() -> None:
    assert run("\ufeff" + json.dumps(GOOD))[0][1] is False


def test_an_unknown_tax_code_is_held_and_not_malformed() -> None:
    ((answer, malformed),) = run(changed(lambda r: r["lines"][0].update(tax_code="consulting")))
    assert (answer["treatment"], answer["tax"], malformed) == ("needs_review", 0, False)


def test_lower_case_codes_and_other_spellings_are_understood() -> None:
    def greece(request: dict[str, Any]) -> None:
        request.update(currency="eur", buyer={"country": "el", "type": "consumer"})

    assert run(changed(greece))[0][0]["tax"] == 2400


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
paths = st.sampled_from(
    [
        ("seller",), ("buyer",), ("lines",), ("currency",), ("date",), ("evidence",), ("id",),
        ("seller", "country"), ("seller", "established"), ("seller", "registrations"), ("seller", "elections"),
        ("seller", "oss"), ("buyer", "country"), ("buyer", "region"), ("buyer", "postcode"), ("buyer", "city"),
        ("buyer", "type"), ("buyer", "tax_ids"), ("buyer", "exemptions"),
    ]
)  # fmt: skip


@given(paths, json_values)
def test_any_json_in_any_field_is_answered_with_one_line(path: tuple[str, ...], value: Any) -> None:
    request = copy.deepcopy(GOOD)
    target = request
    for name in path[:-1]:
        target = target[name]
    target[path[-1]] = value
    ((answer, malformed),) = run(json.dumps(request))
    assert malformed == ("error" in answer)
