"""One spelling of a value, whoever writes it: our hashes and signatures are checked by programs of others."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.canonical import canonical_json

TEXT = st.text(st.characters(codec="utf-8"))
PLAIN = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | TEXT
NAIVE = datetime(2026, 11, 22, tzinfo=UTC).replace(tzinfo=None)
VALUES = st.recursive(PLAIN, lambda of: st.lists(of) | st.dictionaries(TEXT, of), max_leaves=20)


@given(VALUES)
def test_it_is_what_the_standard_library_writes_sorted_and_without_spaces(value: object) -> None:
    theirs = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert canonical_json(value) == theirs
    assert json.loads(canonical_json(value)) == value


@pytest.mark.parametrize("value", [1.0, {"a": [float("nan")]}, 2**64, NAIVE, {"a": object()}, {"a", "b"}])
def test_what_has_no_one_spelling_is_refused(value: object) -> None:
    with pytest.raises(TypeError):
        canonical_json(value)


def test_an_instant_is_written_with_its_zone() -> None:
    assert canonical_json({"at": datetime(2026, 11, 22, 12, tzinfo=UTC)}) == b'{"at":"2026-11-22T12:00:00+00:00"}'
