"""Cases that hold for the products that read our licenses, whatever we wrote: each is proved by tests that name it.

The numbers are those of our study of these products. Cases 1 and 16 rest on files that others publish and that are not
ours to copy: with those at hand, `blp license verify FILE --key KEYS` and the readers of `docs/verify` say the same of
them as what is proved here with files of our own and readers that share nothing with the issuer.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.workspaces.models import MOVES, WorkspaceState

TESTS = Path(__file__).parents[1]
VECTORS = {
    1: "a genuine Mattermost file is read with the public key alone: plan, seats, end",
    2: "with a bit of content or signature changed, another key, digest, padding, size or order: refused",
    4: "a signature that ends in a zero byte is never read, and so never issued",
    6: "seats as text and times with a fraction are refused",
    7: "neither customer nor features may be missing, for a server would break on it",
    10: "features that are left out are on, unless future features are off; cloud is off by itself",
    12: "a server with 101 users refuses a file for 100",
    14: "a file of more than 10,000 characters cannot be stored",
    15: "a renewal link is keyed with the customer's e-mail by HS256, names license and users, and ends",
    16: "a Keygen file opens with its key, is told when it has ended, and not read where it was altered",
    17: "a Keygen file is good for 2,629,746 seconds, an hour at least, or without end",
    19: "a machine file opens with key and fingerprint, and with neither alone",
    21: "at an interval of 600 s a server lives at 599 and is dead at 601; whether it comes back the plan says",
    24: "of two floating seats there is no third, and who has one has it again",
    25: "only what sleeps is woken, and only a deletion that waits is taken back",
}


@pytest.mark.vector(25)
def test_only_what_sleeps_is_woken_and_only_a_deletion_that_waits_is_taken_back() -> None:
    state = WorkspaceState
    assert {before for before, after in MOVES if after is state.WAKING} == {state.HIBERNATED}
    back = {before for before, after in MOVES if after in {state.STABLE, state.HIBERNATED}}
    assert back & {state.DELETE_PENDING, state.DELETING, state.DELETION_FAILED, state.DELETED} == {state.DELETE_PENDING}


def test_every_case_is_proved_by_a_test_that_names_it() -> None:
    proved: dict[int, list[str]] = {number: [] for number in VECTORS}
    for path in TESTS.rglob("test_*.py"):
        for test, number in _marked(ast.parse(path.read_text(encoding="utf-8"))):
            proved.setdefault(number, []).append(f"{path.name}::{test}")
    assert proved.keys() == VECTORS.keys(), "a number that nobody knows"
    assert [number for number, tests in proved.items() if not tests] == []


def _marked(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Tests and the numbers they name."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef):
            continue
        for each in node.decorator_list:
            if isinstance(each, ast.Call) and ast.unparse(each.func) == "pytest.mark.vector":
                yield from ((node.name, ast.literal_eval(number)) for number in each.args)
