"""Cases worked by other billing engines, asked of ours through `blp explain` (the numbers are the study's).

`CASES` holds what our rules decide the same way, `OTHERWISE` what they decide another way, with our figure and the
rule that makes the difference, and `ELSEWHERE` what is no question of prices and periods, with the rule that answers.
"""

import json
from typing import Any

import pytest

from app.subscriptions.explain import period_lines, price_lines

MARCH_2024 = ("2024-03-01", "2024-04-01")
FEBRUARY_2023 = ("2023-02-01", "2023-03-01")
JUNE_2025 = ("2025-06-01", "2025-07-01")
HALF_OF_JUNE: dict[str, Any] = {"period": JUNE_2025, "day": "2025-06-16"}


def asked(
    amount: int = 0, *, period: tuple[str, str], day: str | None = None, quantity: int = 1, **more: Any
) -> dict[str, Any]:
    """One line for `blp explain price`: a flat fee of `amount`, unless `more` says which model."""
    request = {
        "id": "case", "model": "flat", "quantity": quantity, "currency": "USD",
        "period": {"start": period[0], "end": period[1]}, "from": day, **more,
    }  # fmt: skip
    return request if "tiers" in request else {"unit_amount": amount, **request}


def answer(request: dict[str, Any]) -> dict[str, Any]:
    ((text, malformed),) = price_lines([json.dumps(request)])
    assert not malformed, text
    return dict(json.loads(text))


def seats(unit: int, quantity: int, **more: Any) -> dict[str, Any]:
    return asked(unit, quantity=quantity, **{"model": "per_unit", **more})


TIERS = [{"up_to": 10, "unit_amount": 1000}, {"up_to": None, "unit_amount": 800}]
YEAR_2024 = ("2024-02-18", "2025-02-18")
YEAR_2023 = ("2023-02-18", "2024-02-18")
AUGUST_2024 = ("2024-08-01", "2025-08-01")

# Case number, what is asked, amount in minor units, days of days.
CASES: list[tuple[str, dict[str, Any], int, tuple[int, int] | None]] = [
    ("1 first fee", asked(1000, period=MARCH_2024, day="2024-03-05"), 871, (27, 31)),
    ("2 fee", asked(1500, period=MARCH_2024, day="2024-03-12"), 968, (20, 31)),
    ("2 credit before tax", asked(1000, period=MARCH_2024, day="2024-03-12"), 645, (20, 31)),
    ("3 fee", asked(1900, period=MARCH_2024, day="2024-03-12"), 1226, (20, 31)),
    ("3 credit before tax", asked(1500, period=MARCH_2024, day="2024-03-12"), 968, (20, 31)),
    ("5 fee before tax", asked(5000, period=FEBRUARY_2023, day="2023-02-08"), 3750, (21, 28)),
    ("6 fee before tax", asked(5000, period=("2023-02-08", "2023-03-08")), 5000, (28, 28)),
    ("7 fee before tax", asked(5000, period=FEBRUARY_2023, day="2023-02-07"), 3929, (22, 28)),
    ("8 the days after its last", asked(20000, period=("2025-09-18", "2025-10-18"), day="2025-09-19"), 19333, (29, 30)),
    ("9 the days after its last", asked(16000, period=("2025-09-18", "2025-10-18"), day="2025-09-19"), 15467, (29, 30)),
    ("10 the days after its last", asked(2999, period=("2025-09-18", "2025-09-25"), day="2025-09-19"), 2571, (6, 7)),
    ("12 fee", asked(118800, period=("2023-07-19", "2024-07-19"), day="2023-11-19"), 78875, (243, 366)),
    ("18 credit on the 16th", asked(10000, **HALF_OF_JUNE), 5000, (15, 30)),
    ("18 debit on the 16th", asked(30000, **HALF_OF_JUNE), 15000, (15, 30)),
    ("18 credit on the 11th", asked(10000, period=JUNE_2025, day="2025-06-11"), 6667, (20, 30)),
    ("18 debit on the 11th", asked(30000, period=JUNE_2025, day="2025-06-11"), 20000, (20, 30)),
    ("19 credit", asked(10000, period=("2024-02-18", "2024-03-18"), day="2024-02-25"), 7586, (22, 29)),
    ("19 debit", asked(30000, period=("2024-02-18", "2024-03-18"), day="2024-02-25"), 22759, (22, 29)),
    ("20 credit, leap day inside", asked(100000, period=YEAR_2024, day="2024-09-05"), 45355, (166, 366)),
    ("20 debit, leap day inside", asked(300000, period=YEAR_2024, day="2024-09-05"), 136066, (166, 366)),
    ("20 credit", asked(100000, period=YEAR_2023, day="2023-09-05"), 45479, (166, 365)),
    ("20 debit", asked(300000, period=YEAR_2023, day="2023-09-05"), 136438, (166, 365)),
    ("21 credit", asked(100000, period=AUGUST_2024, day="2024-10-01"), 83288, (304, 365)),
    ("21 debit", asked(300000, period=AUGUST_2024, day="2024-10-01"), 249863, (304, 365)),
    ("22 credit", asked(10000, **HALF_OF_JUNE), 5000, (15, 30)),
    ("22 debit", asked(100000, period=("2025-06-16", "2026-06-16")), 100000, (365, 365)),
    ("23 credit", asked(500, period=JUNE_2025, day="2025-06-02"), 483, (29, 30)),
    ("23 debit", asked(2000, period=JUNE_2025, day="2025-06-02"), 1933, (29, 30)),
    ("23 net, as one line", asked(2000 - 500, period=JUNE_2025, day="2025-06-02"), 1450, (29, 30)),
    ("25 three more seats", seats(1000, 3, **HALF_OF_JUNE), 1500, (15, 30)),
    ("25 next cycle", seats(2500, 8, period=("2025-07-01", "2025-08-01")), 20000, None),
    ("26 five more seats", seats(1500, 5, period=JUNE_2025, day="2025-06-11"), 5000, (20, 30)),
    ("28 graduated", asked(model="graduated", tiers=TIERS, quantity=14, period=JUNE_2025), 13200, None),
    ("28 volume", asked(model="volume", tiers=TIERS, quantity=14, period=JUNE_2025), 11200, None),
    ("29 ten percent off two more seats", seats(5000, 2, discount={"percent": 10}, **HALF_OF_JUNE), 4500, (15, 30)),
    ("30 credit of what was charged", asked(10000, discount={"percent": 25}, **HALF_OF_JUNE), 3750, (15, 30)),
    ("30 debit", asked(100000, discount={"percent": 50}, **HALF_OF_JUNE), 25000, (15, 30)),
    ("30 credit less a fixed amount", asked(10000, discount={"amount": 2500}, **HALF_OF_JUNE), 3750, (15, 30)),
    ("30 debit less a fixed amount", asked(100000, discount={"amount": 5000}, **HALF_OF_JUNE), 47500, (15, 30)),
    ("32", asked(239995, period=("2016-05-10", "2017-05-10"), day="2017-05-01"), 5918, (9, 365)),
    ("33 repair", asked(24995, period=("2017-05-01", "2017-06-01"), day="2017-05-05"), 21770, (27, 31)),
    ("34 credit", asked(24995, period=("2017-03-02", "2017-04-02"), day="2017-03-04"), 23382, (29, 31)),
    ("34 resumed", asked(24995, period=("2017-04-02", "2017-05-02"), day="2017-04-05"), 22496, (27, 30)),
    ("35 seven", seats(2995, 7, period=JUNE_2025), 20965, None),
    ("35 ten", seats(2995, 10, period=("2025-07-01", "2025-08-01")), 29950, None),
    ("38 one more", seats(8000, 1, period=("2013-01-02", "2014-01-02"), day="2013-02-05"), 7255, (331, 365)),
    ("49 less 87.25 %", asked(800, discount={"percent": 87.25}, period=JUNE_2025), 102, None),
]


@pytest.mark.parametrize(("case", "request_", "amount", "days"), CASES, ids=[case[0] for case in CASES])
def test_a_worked_case_comes_out_as_worked(
    case: str, request_: dict[str, Any], amount: int, days: tuple[int, int] | None
) -> None:
    given = answer(request_)
    assert given["amount"] == amount, case
    if days is not None:
        assert (given["numerator"], given["denominator"]) == days
    assert given["rule"] == ("remaining_days" if request_["from"] else "full_period")


# Case, what is asked, their figure, ours, the rule that decides otherwise.
OTHERWISE: list[tuple[str, dict[str, Any], int, int, str]] = [
    ("5 credit", asked(5000, period=FEBRUARY_2023, day="2023-02-08"), 3571, 3750, "R-PRO-3: the change day remains"),
    ("6 credit", asked(5000, period=("2023-02-08", "2023-03-08"), day="2023-02-08"), 4821, 5000,
     "R-PRO-3: the change day remains"),
    ("7 credit", asked(5000, period=FEBRUARY_2023, day="2023-02-07"), 3750, 3929, "R-PRO-3: the change day remains"),
    ("24", asked(1000, period=("2017-02-14", "2017-03-14"), day="2017-03-03"), 364, 393, "R-PRO-3: days, not seconds"),
    ("29 fixed, seat line alone",
     asked(30000 - 15000 - (20000 - 15000), **HALF_OF_JUNE), 3750, 5000,
     "R-PRO-3, R-PRO-5: the difference of the whole prices as charged, base included"),
    ("38 three more", seats(8000, 3, period=("2012-01-02", "2013-01-02"), day="2012-04-11"), 17442, 17443,
     "R-MON-2: the line is rounded, not the seat"),
    ("49 less 87.15 %", asked(800, discount={"percent": 87.15}, period=JUNE_2025), 102, 103,
     "R-MON-2: half away from zero, nothing truncated"),
]  # fmt: skip


@pytest.mark.parametrize(("case", "request_", "theirs", "ours", "rule"), OTHERWISE, ids=[row[0] for row in OTHERWISE])
def test_where_we_differ_our_rule_says_by_how_much(
    case: str, request_: dict[str, Any], theirs: int, ours: int, rule: str
) -> None:
    assert answer(request_)["amount"] == ours, f"{case} by {rule}"
    assert ours != theirs


ELSEWHERE = {
    "11": "R-INV-4: credit notes",
    "13": "R-PRO-1: nothing is sold by the quarter or in arrears",
    "17": "R-SUB-6: one invoice per subscription, start and kind, however often the run runs",
    "25 pending plan": "R-PRO-6: a later plan change waits for the renewal",
    "26 seats down": "R-PRO-6: seats go down at the renewal only, without credit",
    "38 seats down": "R-PRO-6: seats go down at the renewal only, without credit",
    "39": "R-PRO-6: seats are invoiced when they are added, not by their highest count",
    "41": "R-INV-3: tax is rounded once per group: 4.90",
    "42": "R-INV-3: tax is rounded once per group: 0.79, total 6.06 all the same",
    "43": "R-INV-3: net first where prices include tax",
    "50": "R-INV-4: a credit note's net and tax",
}
STUDIED = set(
    """1 2 3 5 6 7 8 9 10 11 12 13 14 17 18 19 20 21 22 23 24 25 26 28 29 30 32 33 34 35 38 39 41 42 43 49
50""".split()
)


def test_every_case_of_the_study_is_decided() -> None:
    listed = [row[0] for row in CASES] + [row[0] for row in OTHERWISE] + [*ELSEWHERE, "14"]
    assert {name.split()[0] for name in listed} == STUDIED


def test_case_14_the_anchor_comes_back_after_february() -> None:
    line = {"id": 14, "start": "2024-01-31", "interval": "month", "count": 3, "timezone": "Europe/Paris"}
    ((text, malformed),) = period_lines([json.dumps(line)])
    assert not malformed
    assert json.loads(text) == {
        "id": 14,
        "periods": [
            {"start": "2024-01-31", "end": "2024-02-29"},
            {"start": "2024-02-29", "end": "2024-03-31"},
            {"start": "2024-03-31", "end": "2024-04-30"},
        ],
    }


def test_case_22_the_new_interval_begins_on_the_day_of_the_change() -> None:
    line = {"id": 22, "start": "2025-06-16", "interval": "year", "count": 2, "timezone": "UTC"}
    ((text, _),) = period_lines([json.dumps(line)])
    assert [each["end"] for each in json.loads(text)["periods"]] == ["2026-06-16", "2027-06-16"]
