"""The shape and the honesty of the output, on tiny counts; what the figures are is for `make bench` to say."""

import json
import os
from pathlib import Path
from time import process_time

import pytest

from app.bench.__main__ import main
from app.bench.harness import CannotMeasure, Round, Unit, alternate, cpu_seconds, quantile
from app.bench.load import fire, post
from app.bench.run import INSIDE, NAMES, SERVED, UnknownName, run
from tests.world import FULL, World

_KEYS = {"name", "unit", "ours", "floor", "ratio", "floor_is", "n", "runs", "p50_ms", "p99_ms"}

_OF_RENEWALS = {
    "due", "billed", "renewals_per_second", "of_bare_copy", "of_bare_copy_cpu", "of_bare_copy_of_text",
    "of_bare_copy_of_text_cpu", "of_bare_copy_by_rows", "of_bare_copy_by_rows_cpu", "of_real_copy_and_signatures",
    "of_real_copy_and_signatures_cpu", "peak_mb",
}  # fmt: skip
_OF_VALIDATIONS = {"of_hello", "two_workers_us", "two_workers_of_hello", "two_workers_p99_ms"}
_FURTHER = {
    **dict.fromkeys(("validate_cached", "validate_nonce", "validate_uncached"), _OF_VALIDATIONS),
    "renewals": _OF_RENEWALS,
    "license_issue": {"mattermost_share", "keygen_us", "keygen_share", "token_us", "token_share"},
    "determination": {"eu_line_us", "eu_line_share", "four_components_us", "four_components_share"},
}  # fmt: skip


def _children() -> set[str]:
    """The processes started by this one that still live; the suite's own database server may be among them."""
    listed = Path(f"/proc/{os.getpid()}/task").glob("*/children")
    return {pid for each in listed for pid in each.read_text().split()}


def test_every_figure_is_written_in_the_agreed_shape_and_every_process_ends(tmp_path: Path) -> None:
    said: list[str] = []
    before = _children()
    names = NAMES if FULL else ("license_issue",)  # most others begin with a house of servers
    figures = run([] if FULL else names, folder=tmp_path, say=said.append, share=0.005)
    assert [each.name for each in figures] == list(names)
    assert [line.split()[0] for line in said if not line.startswith(" ")] == ["name", *names]
    for name in names:
        row = json.loads((tmp_path / f"{name}.json").read_text())
        assert set(row) - _KEYS == _FURTHER.get(name, set())
        assert set(row) >= _KEYS
        assert row["name"] == name
        assert row["runs"] >= 3
        assert row["n"] >= 1
        assert row["floor"] > 0
        assert 0 < row["p50_ms"] <= row["p99_ms"]
    assert _children() <= before, "every process that was started is ended"


def test_a_wrong_answer_ends_the_measurement_instead_of_counting(world: World) -> None:
    refused = post("/v1/licenses/validate", {"key": "not a key"})
    with pytest.raises(CannotMeasure, match="expected 200, was answered 422"):
        fire(world.settings.port, lambda _: refused, 8, status=200)
    assert len(fire(world.settings.port, lambda _: refused, 8, status=422)) == 8


def test_the_clock_of_a_process_is_its_cpu_time() -> None:
    before, mine = process_time(), cpu_seconds(os.getpid())
    assert before <= mine <= process_time()


def test_ours_and_the_floor_take_turns_and_the_ratio_is_the_median_of_the_rounds() -> None:
    turns: list[str] = []
    costs = {"ours": iter([9.0, 4.0, 6.0, 90.0]), "floor": iter([1.0, 2.0, 1.0, 3.0])}

    def side(name: str) -> Round:
        turns.append(name)
        return Round(next(costs[name]), 10, (0.001, 0.002))

    figure = alternate("x", Unit("s", 1), "y", lambda: side("ours"), lambda: side("floor"))
    assert turns == ["floor", "ours"] * 4
    assert (figure.ours, figure.floor, figure.ratio) == (6.0, 2.0, 6.0)
    assert (figure.p50_ms, figure.p99_ms, figure.n, figure.runs) == (1.0, 2.0, 10, 3)


def test_a_floor_too_short_to_be_seen_makes_no_ratio() -> None:
    with pytest.raises(CannotMeasure, match="count more"):
        alternate("x", Unit("s", 1), "y", lambda: Round(1.0, 1), lambda: Round(0.0, 1))


@pytest.mark.parametrize(("part", "value"), [(0.5, 50), (0.99, 99), (1.0, 100)])
def test_quantiles_are_values_that_were_measured(part: float, value: int) -> None:
    assert quantile(range(1, 101), part) == value


def test_a_name_there_is_none_of_is_refused_with_those_there_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UnknownName, match="validate_cached"):
        run(["validate_cashed"], folder=tmp_path, say=print)
    assert not list(tmp_path.iterdir())
    assert set(SERVED).isdisjoint(INSIDE)
    assert main(["nothing,such"]) == 2
    assert "There is no nothing, such" in capsys.readouterr().err
