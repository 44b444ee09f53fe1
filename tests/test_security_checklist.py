"""The security checklist is complete, and every test it names exists."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LINES = [f"S{number}" for number in range(1, 40)]
_NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def rows() -> list[list[str]]:
    """[line, asks, status, proved by, words] for each line of the table."""
    text = (ROOT / "docs" / "security.md").read_text("utf-8")
    # A bar inside of code would be a cell of its own, so the table uses none.
    return [
        [cell.strip() for cell in row.strip("|").split("|")] for row in re.findall(r"^\| S\d+ .*$", text, re.MULTILINE)
    ]


def test_every_line_is_there_once_and_in_order() -> None:
    assert [row[0] for row in rows()] == LINES
    assert {len(row) for row in rows()} == {5}


def test_every_named_test_exists() -> None:
    missing = [
        f"{line}: {path}::{name}"
        for line, _, _, proofs, _ in rows()
        for path, name in _NAMED.findall(proofs)
        if not (ROOT / path).exists()
        or not re.search(rf"^\s*def {name}\(", (ROOT / path).read_text("utf-8"), re.MULTILINE)
    ]
    assert missing == []


def test_what_is_done_has_its_test_and_what_is_not_says_why() -> None:
    for line, asks, status, proofs, words in rows():
        named = _NAMED.findall(proofs)
        leftover = _NAMED.sub("", proofs).strip()
        assert asks
        assert leftover == "", f"{line} names something that is no test: {leftover}"
        assert status in {"done", "part", "later", "not ours"}, f"{line} has the status {status!r}"
        assert bool(named) == (status in {"done", "part"}), f"{line} is {status} and names {len(named)} tests"
        assert words or status == "done", f"{line} is {status} and does not say why"
