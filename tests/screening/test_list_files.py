"""A list is read whole or refused, naming row and field."""

from datetime import date
from pathlib import Path

import pytest

from app.screening import list_files
from app.screening.list_files import ListRefused, read
from app.screening.lists import spelled

HERE = Path(__file__).parent
JSON, CSV = (HERE / "csl.json").read_bytes(), (HERE / "csl.csv").read_bytes()
PLAIN = ",".join(list_files.PLAIN_COLUMNS)


def test_both_shapes_of_the_consolidated_list_say_the_same() -> None:
    found = read(JSON, "csl", "json")
    assert found == read(CSV, "csl", "csv")
    company, person, renamed, vessel = found
    assert (company.key[-5:], company.countries, company.programs) == ("#9001", ("DE",), ("TESTPROG",))
    assert (person.countries, person.programs) == (("FR",), ("TESTPROG", "OTHERPROG"))
    assert (renamed.starts_on, renamed.alt_names) == (date(2025, 3, 1), ("Oxbrindle", "Oxbrindle Labs"))
    assert renamed.url == "https://lists.example/el"
    assert spelled(renamed) == ["dynamics oxbrindle", "instruments wexlor", "oxbrindle", "labs oxbrindle"]
    assert vessel.type == "Vessel"


def test_other_lists_come_in_a_shape_of_their_own() -> None:
    text = f"{PLAIN}\nEU-1,person,Taskel Velmorin,T. Velmorin;Velmorin T,PROG,fr;de,2026-01-31,,https://eu.example\n"
    (entry,) = read(b"\xef\xbb\xbf" + text.encode(), "eu", "csv")
    assert (entry.source, entry.key, entry.countries) == ("EU", "EU-1", ("DE", "FR"))
    assert entry.alt_names == ("T. Velmorin", "Velmorin T")
    assert entry.content_hash != read(text.replace("PROG", "OTHER").encode(), "eu", "csv")[0].content_hash


@pytest.mark.parametrize(
    ("content", "code", "kind", "says"),
    [
        (b"{", "csl", "json", "Line 1 is not JSON"),
        (b"[]", "csl", "json", "no list `results`"),
        (b'{"results": []}', "csl", "json", "an empty list would clear everybody"),
        (b'{"results": ["x"]}', "csl", "json", "result 1: is no object"),
        (JSON.replace(b'"VELMORIN, Taskel"', b'""'), "csl", "json", "result 2: name is empty"),
        (JSON.replace(b'"VELMORIN, Taskel"', b'["x"]'), "csl", "json", "result 2: name is no text"),
        (JSON.replace(b'"2025-03-01"', b'"March"'), "csl", "json", "result 3: start_date is 'March'"),
        (JSON.replace(b'"id": "9002"', b'"id": "9001"'), "csl", "json", "result 2: id is .* like that of result 1"),
        (CSV.replace(b"2025-03-01", b"2025-02-31"), "csl", "csv", "line 4: start_date is '2025-02-31'"),
        (CSV.replace(b"alt_names", b"names"), "csl", "csv", "lacks alt_names"),
        (CSV + b"1,2\n", "csl", "csv", "Line 6 has fewer fields"),
        (f"{PLAIN}\nEU-1,person,A,,,Germany,,,\n".encode(), "eu", "csv", "line 2: countries has 'GERMANY'"),
        (f"{PLAIN}\n,person,A,,,DE,,,\n".encode(), "eu", "csv", "line 2: entity_number is empty"),
        (f"{PLAIN},more\n".encode(), "eu", "csv", "has more"),
        (b"\xff", "eu", "csv", "is not UTF-8"),
        (b"{}", "eu", "json", "Only the list csl has a JSON shape"),
        (b"", "E U", "csv", "is no code of a list"),
    ],
)
def test_what_cannot_be_used_is_named(content: bytes, code: str, kind: list_files.Format, says: str) -> None:
    with pytest.raises(ListRefused, match=says):
        read(content, code, kind)
