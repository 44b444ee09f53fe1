"""Two versions of the tax data compared: what changed, where, and from when."""

import json
from datetime import date
from pathlib import Path

import pytest

from app.tax.changes import Change, differences, facts, read, snapshot
from app.tax.dataset import FILES, FOLDER, load
from app.tax.rates import BadTaxData

CT_UNTIL = 'rate: "6.35", from: 2019-10-01, to: 2026-12-31, grade: A, source: tf}'
CT_AFTER = '\n      - {rate: "6.5", from: 2027-01-01'


def folder(path: Path, name: str = "", old: str = "", new: str = "") -> Path:
    """The data files as they are, but for one place of one of them."""
    path.mkdir()
    for file in FILES:
        text = (FOLDER / file).read_text("utf-8")
        assert file != name or old in text
        (path / file).write_text(text.replace(old, new, 1) if file == name else text, "utf-8")
    return path


def test_a_snapshot_and_the_folder_it_was_made_from_say_the_same(tmp_path: Path) -> None:
    saved = tmp_path / "saved.json"
    saved.write_text(json.dumps(snapshot(load())), "utf-8")
    same = folder(tmp_path / "same")
    assert differences(read(saved), read(same)) == []
    assert read(saved) == facts(load())
    assert len(read(saved)) > 500


@pytest.mark.parametrize(
    ("name", "old", "new", "change"),
    [
        (
            "us.yaml", 'rate: "6.35", from: 2019-10-01', f"{CT_UNTIL}{CT_AFTER}",
            Change("US-CT", "rate", "answer", date(2027, 1, 1), None, "6.35 % [A]", "6.5 % [A]"),
        ),
        (
            "us.yaml", 'rate: "7", from: 2026-10-01, grade: C', 'rate: "7", from: 2026-10-01, grade: B',
            Change("US-DC", "rate", "answer", date(2026, 10, 1), None, "7 % [C]", "7 % [B]"),
        ),
        (
            "us_local.yaml", "2024-01-01, grade: B, source: hidotax", "2025-01-01, grade: B, source: hidotax",
            Change("US-HI", "local Hawaii outside Honolulu", "answer", date(2024, 1, 1), date(2024, 12, 31),
                   "zips 967, charges US-HI-COUNTY Hawaii county surcharge 0.5 % [B]", None),
        ),
        (
            "places.yaml", '"95", "96"', '"96"',
            None,
        ),
    ],
)  # fmt: skip
def test_a_change_is_told_with_its_jurisdiction_and_days(
    tmp_path: Path, name: str, old: str, new: str, change: Change | None
) -> None:
    found = differences(facts(load()), read(folder(tmp_path / "new", name, old, new)))
    if change is None:
        assert [(each.jurisdiction, each.subject, each.valid_from) for each in found] == [("PT-20", "territory", None)]
    else:
        assert found == [change]
        assert change.sentence().startswith(f"{change.jurisdiction} {change.subject}, from {change.valid_from}")
        assert change.to_json()["from"] == str(change.valid_from)
    back = differences(read(tmp_path / "new"), facts(load()))
    assert [(each.old, each.new) for each in back] == [(each.new, each.old) for each in found]


def test_another_citation_is_told_apart_from_another_answer(tmp_path: Path) -> None:
    changed = folder(tmp_path / "new", "canada.yaml", 'skpst: {title: "', 'skpst: {title: "New: ')
    found = differences(facts(load()), read(changed))
    assert {(each.kind, each.jurisdiction) for each in found} == {("source", "CA-SK")}


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 2}', '{"format": 1, "facts": [{"from": "x"}]}'])
def test_what_is_no_snapshot_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "bad.json").write_text(text, "utf-8")
    with pytest.raises(BadTaxData, match=r"bad\.json"):
        read(tmp_path / "bad.json")
    with pytest.raises(BadTaxData, match="give a folder"):
        read(tmp_path / "missing.json")
