"""`blp explain price` and `blp explain periods` on lines that are no requests: named, remedied, and the run goes on."""

import copy
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from app.cli import cli
from app.subscriptions.explain import period_lines, price_lines

Change = Callable[[dict[str, Any]], Any]
Reader = Callable[[Iterable[str]], Iterator[tuple[str, bool]]]
PRICE: dict[str, Any] = {
    "id": "p", "model": "volume", "base": 500, "quantity": 12, "currency": "EUR",
    "tiers": [{"up_to": 10, "unit_amount": 1000, "flat_amount": 50}, {"up_to": None, "unit_amount": 800}],
    "period": {"start": "2026-01-01", "end": "2027-01-01"}, "from": "2026-07-01", "discount": {"percent": 12.5},
}  # fmt: skip
PERIODS: dict[str, Any] = {
    "id": "q", "start": "2026-03-10", "anchor_day": 15, "interval": "month", "count": 2, "timezone": "Asia/Kathmandu",
}  # fmt: skip


def asked(reader: Reader, request: dict[str, Any], change: Change) -> tuple[dict[str, Any], bool]:
    changed = copy.deepcopy(request)
    change(changed)
    ((text, malformed),) = reader([json.dumps(changed)])
    return json.loads(text), malformed


def test_the_answers_have_exactly_the_fields_of_the_interface() -> None:
    price, malformed = asked(price_lines, PRICE, lambda _: None)
    assert not malformed
    assert list(price) == ["id", "amount", "numerator", "denominator", "rule"]
    # (5.00 + 12 × 8.00) less 12.5 % for 184 of 365 days
    assert price == {"id": "p", "amount": 4455, "numerator": 184, "denominator": 365, "rule": "remaining_days"}
    periods, malformed = asked(period_lines, PERIODS, lambda _: None)
    assert not malformed
    assert periods == {
        "id": "q",
        "periods": [{"start": "2026-03-10", "end": "2026-03-15"}, {"start": "2026-03-15", "end": "2026-04-15"}],
    }


FLAT: dict[str, Any] = {"model": "flat", "tiers": None, "unit_amount": 100}
PACKAGE: dict[str, Any] = {"model": "package", "tiers": None, "unit_amount": 100, "package_size": 10}
BAD_PRICES: list[tuple[Change, str]] = [
    (lambda r: r.pop("id"), "id"),
    (lambda r: r.update(id=True), "id"),
    (lambda r: r.pop("model"), "model"),
    (lambda r: r.update(model="tiered"), "model"),
    (lambda r: r.update(model=["flat"]), "model"),
    (lambda r: r.pop("currency"), "currency"),
    (lambda r: r.update(currency="EURO"), "currency"),
    (lambda r: r.update(currency="ABC"), "currency"),
    (lambda r: r.update(currency=978), "currency"),
    (lambda r: r.pop("quantity"), "quantity"),
    (lambda r: r.update(quantity=-1), "quantity"),
    (lambda r: r.update(quantity=2.5), "quantity"),
    (lambda r: r.update(quantity=2.0), "quantity"),
    (lambda r: r.update(quantity=True), "quantity"),
    (lambda r: r.update(quantity="12"), "quantity"),
    (lambda r: r.update(quantity=10**40), "quantity"),
    (lambda r: r.update(quantity=10**18), "quantity"),
    (lambda r: r.update(base=-1), "base"),
    (lambda r: r.update(base=0.5), "base"),
    (lambda r: r.update(FLAT, unit_amount=-1), "unit_amount"),
    (lambda r: r.update(FLAT, unit_amount=99.9), "unit_amount"),
    (lambda r: r.update(FLAT, unit_amount=100.0), "unit_amount"),
    (lambda r: r.update(FLAT, unit_amount="100"), "unit_amount"),
    (lambda r: r.update(FLAT, unit_amount=False), "unit_amount"),
    (lambda r: r.update(FLAT, unit_amount=None), "unit_amount"),
    (lambda r: r.update(FLAT, unit_amount=10**30), "unit_amount"),
    (lambda r: r.update(FLAT, tiers=[{"up_to": None, "unit_amount": 1}]), "tiers"),
    (lambda r: r.update(FLAT, package_size=10), "package_size"),
    (lambda r: r.update(PACKAGE, package_size=None), "package_size"),
    (lambda r: r.update(PACKAGE, package_size=0), "package_size"),
    (lambda r: r.update(PACKAGE, package_size=-5), "package_size"),
    (lambda r: r.update(PACKAGE, package_size=1.5), "package_size"),
    (lambda r: r.update(unit_amount=1000), "unit_amount"),
    (lambda r: r.pop("tiers"), "tiers"),
    (lambda r: r.update(tiers=[]), "tiers"),
    (lambda r: r.update(tiers={"up_to": None}), "tiers"),
    (lambda r: r.update(tiers=[None]), "tiers[0]"),
    (lambda r: r["tiers"][0].update(up_to=None), "tiers[0].up_to"),
    (lambda r: r["tiers"][0].update(up_to=0), "tiers[0].up_to"),
    (lambda r: r["tiers"][0].update(up_to=9.5), "tiers[0].up_to"),
    (lambda r: r["tiers"][0].update(unit_amount=None), "tiers[0].unit_amount"),
    (lambda r: r["tiers"][0].update(unit_amount=-1), "tiers[0].unit_amount"),
    (lambda r: r["tiers"][0].update(flat_amount=-1), "tiers[0].flat_amount"),
    (lambda r: r["tiers"][0].update(flat_amount=1.5), "tiers[0].flat_amount"),
    (lambda r: r["tiers"][0].update(price=1), "tiers[0].price"),
    (lambda r: r["tiers"][1].update(up_to=20), "tiers[1].up_to"),
    (lambda r: r["tiers"].insert(1, {"up_to": 10, "unit_amount": 9}), "tiers[1].up_to"),
    (lambda r: r["tiers"].insert(1, {"up_to": 5, "unit_amount": 9}), "tiers[1].up_to"),
    (lambda r: r.pop("period"), "period"),
    (lambda r: r.update(period="2026"), "period"),
    (lambda r: r["period"].pop("start"), "period.start"),
    (lambda r: r["period"].pop("end"), "period.end"),
    (lambda r: r["period"].update(end="2026-01-01"), "period.end"),
    (lambda r: r["period"].update(end="2025-01-01"), "period.end"),
    (lambda r: r["period"].update(end="2026-02-29"), "period.end"),
    (lambda r: r["period"].update(end="20270101"), "period.end"),
    (lambda r: r["period"].update(start="2026-01-01T00:00:00Z"), "period.start"),
    (lambda r: r["period"].update(days=365), "period.days"),
    (lambda r: r.update({"from": "2025-12-31"}), "from"),
    (lambda r: r.update({"from": "2027-01-01"}), "from"),
    (lambda r: r.update({"from": "mid-year"}), "from"),
    (lambda r: r.update({"from": 20260701}), "from"),
    (lambda r: r.update(discount=25), "discount"),
    (lambda r: r.update(discount={}), "discount"),
    (lambda r: r.update(discount={"percent": 10, "amount": 10}), "discount"),
    (lambda r: r.update(discount={"percent": 100.5}), "discount.percent"),
    (lambda r: r.update(discount={"percent": -1}), "discount.percent"),
    (lambda r: r.update(discount={"percent": "25"}), "discount.percent"),
    (lambda r: r.update(discount={"percent": True}), "discount.percent"),
    (lambda r: r.update(discount={"percent": 1e-300}), "discount.percent"),
    (lambda r: r.update(discount={"amount": -1}), "discount.amount"),
    (lambda r: r.update(discount={"amount": 0.5}), "discount.amount"),
    (lambda r: r.update(discount={"percent": 10, "months": 3}), "discount.months"),
    (lambda r: r.update(unit_ammount=100), "unit_ammount"),
]


@pytest.mark.parametrize(("change", "field"), BAD_PRICES)
def test_a_malformed_price_names_the_field_and_the_remedy(change: Change, field: str) -> None:
    answer, malformed = asked(price_lines, PRICE, change)
    assert malformed
    assert list(answer) == ["id", "error"]
    assert answer["error"].startswith(f"{field}: ")
    assert "give " in answer["error"] or "leave " in answer["error"]


BAD_PERIODS: list[tuple[Change, str]] = [
    (lambda r: r.pop("start"), "start"),
    (lambda r: r.update(start="2026-02-30"), "start"),
    (lambda r: r.update(start="2026-3-1"), "start"),
    (lambda r: r.update(start=20260301), "start"),
    (lambda r: r.update(start="9999-12-10"), "start"),
    (lambda r: r.pop("interval"), "interval"),
    (lambda r: r.update(interval="week"), "interval"),
    (lambda r: r.update(interval=1), "interval"),
    (lambda r: r.pop("count"), "count"),
    (lambda r: r.update(count=0), "count"),
    (lambda r: r.update(count=-1), "count"),
    (lambda r: r.update(count=1.0), "count"),
    (lambda r: r.update(count=True), "count"),
    (lambda r: r.update(count=10**9), "count"),
    (lambda r: r.update(anchor_day=0), "anchor_day"),
    (lambda r: r.update(anchor_day=32), "anchor_day"),
    (lambda r: r.update(anchor_day="15"), "anchor_day"),
    (lambda r: r.update(anchor_day=False), "anchor_day"),
    (lambda r: r.pop("timezone"), "timezone"),
    (lambda r: r.update(timezone="Mars/Olympus"), "timezone"),
    (lambda r: r.update(timezone="../etc/passwd"), "timezone"),
    (lambda r: r.update(timezone="America"), "timezone"),
    (lambda r: r.update(timezone="/usr/share/zoneinfo/UTC"), "timezone"),
    (lambda r: r.update(timezone=3600), "timezone"),
    (lambda r: r.update(anchor=15), "anchor"),
]


@pytest.mark.parametrize(("change", "field"), BAD_PERIODS)
def test_malformed_periods_name_the_field_and_the_remedy(change: Change, field: str) -> None:
    answer, malformed = asked(period_lines, PERIODS, change)
    assert malformed
    assert list(answer) == ["id", "error"]
    assert answer["error"].startswith(f"{field}: ")


RAW = [
    "not json", "{", "[]", "null", "42", '"text"', "[" * 100_000,
    '{"id":1,"quantity":NaN}', '{"id":1,"quantity":-Infinity}', '{"id":1,"quantity":' + "9" * 5000 + "}",
    '{"id":1,"discount":{"percent":1e99999999999999999999999}}', '{"id":1,"quantity":1,"quantity":2}',
    '{"id":"\\ud800"}', '{"id":1,"\\ud800":1}',
]  # fmt: skip


@pytest.mark.parametrize("line", RAW)
@pytest.mark.parametrize("reader", [price_lines, period_lines])
def test_anything_else_is_an_error_and_not_a_crash(reader: Reader, line: str) -> None:
    ((text, malformed),) = reader([line])
    assert malformed
    assert json.loads(text)["error"]


def test_a_percentage_is_never_a_float() -> None:
    line = json.dumps(PRICE | FLAT | {"unit_amount": 800, "base": None, "from": None})
    exact = line.replace('"percent": 12.5', '"percent": 87.250000')
    assert json.loads(next(price_lines([exact]))[0])["amount"] == 102


def test_more_than_the_books_can_hold_is_refused_and_what_they_hold_is_exact() -> None:
    most = 2**63 - 1
    whole = {"from": None, "discount": None, "base": None}
    assert asked(price_lines, PRICE | FLAT | whole, lambda r: r.update(unit_amount=most))[0]["amount"] == most
    over, malformed = asked(price_lines, PRICE | FLAT | whole, lambda r: r.update(unit_amount=most, base=1))
    assert malformed
    assert over["error"].startswith("quantity: ")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from(sorted(PRICE)), json_values)
def test_any_json_in_any_field_of_a_price_is_answered_with_one_line(name: str, value: Any) -> None:
    answer, malformed = asked(price_lines, PRICE, lambda r: r.update({name: value}))
    assert malformed == ("error" in answer)


@given(st.sampled_from(sorted(PERIODS)), json_values)
def test_any_json_in_any_field_of_periods_is_answered_with_one_line(name: str, value: Any) -> None:
    answer, malformed = asked(period_lines, PERIODS, lambda r: r.update({name: value}))
    assert malformed == ("error" in answer)


@pytest.mark.parametrize(("command", "line"), [("price", PRICE), ("periods", PERIODS)])
def test_the_command_answers_each_line_and_tells_at_the_end_that_one_was_malformed(
    command: str, line: dict[str, Any], tmp_path: Path
) -> None:
    file = tmp_path / "lines.jsonl"
    file.write_text(f"{json.dumps(line)}\n", "utf-8")
    fine = CliRunner().invoke(cli, ["explain", command, str(file)])
    assert fine.exit_code == 0
    file.write_text(f"oops\n\n{json.dumps(line)}\n", "utf-8")
    mixed = CliRunner().invoke(cli, ["explain", command, str(file)])
    assert mixed.exit_code == 1
    bad, good = mixed.stdout.splitlines()
    assert json.loads(bad)["id"] is None
    assert f"{good}\n" == fine.stdout
