"""`blp screening import`: all of a list or nothing, checked without a database where asked."""

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

from app.screening import lists
from tests.screening.helping import CSL
from tests.world import World

Blp = Callable[..., CompletedProcess[str]]


def test_a_list_is_checked_imported_and_refused_with_the_row_that_is_wrong(
    world: World, blp: Blp, tmp_path: Path
) -> None:
    nowhere = {"BLP_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}
    checked = blp("screening", "import", str(CSL), "--list", "csl", "--check", **nowhere)
    assert (checked.returncode, checked.stdout) == (0, "4 entries of csl can be imported.\n")
    done = blp("screening", "import", str(CSL.with_suffix(".csv")), "--list", "csl", "--version", "20 November")
    assert (done.returncode, done.stderr) == (0, "")
    assert "csl: 4 entries, 4 added, 0 changed, 0 removed" in done.stdout
    again = blp("screening", "import", str(CSL), "--list", "csl")
    assert "4 entries, 0 added, 0 changed, 0 removed" in again.stdout
    broken = tmp_path / "broken.json"
    broken.write_text(CSL.read_text("utf-8").replace('"QUILLFEATHER"', "null"), "utf-8")
    refused = blp("screening", "import", str(broken), "--list", "csl")
    assert refused.returncode == 1
    assert "result 4: name is empty" in refused.stderr
    assert blp("screening", "import", str(CSL), "--list", "csl", "--format", "xml").returncode == 2
    assert blp("screening", "import", str(tmp_path / "none.csv"), "--list", "eu").returncode == 2
    with world.db.transaction() as tx:
        (version,) = lists.current(tx)
    assert version.entries == 4
