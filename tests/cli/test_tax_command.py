"""`blp tax`: snapshots, differences, and local rates from import to a preview's tax."""

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

from sqlalchemy import text

from app.tax import local_import
from app.tax.determination import Buyer
from tests.world import World

Blp = Callable[..., CompletedProcess[str]]
HEADER = "state,zip_from,zip_to,plus4_from,plus4_to,component,rate,from,to\n"
ROWS = HEADER + "TX,79901,79905,,,El Paso,2,2024-01-01,\nWA,98101,98199,,,Seattle,3.85,2024-01-01,\n"


def test_versions_of_the_data_are_compared_without_a_database(blp: Blp, tmp_path: Path) -> None:
    saved = tmp_path / "old.json"
    nowhere = {"BLP_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}
    assert blp("tax", "snapshot", str(saved), **nowhere).returncode == 0
    same = blp("tax", "diff", str(saved), str(saved), **nowhere)
    assert (same.returncode, same.stdout) == (0, "Nothing changed.\n")
    told = json.loads(saved.read_text("utf-8"))
    fact = next(each for each in told["facts"] if each["jurisdiction"] == "FI" and each["value"] == "25.5 %")
    fact["value"] = "26 %"
    (tmp_path / "new.json").write_text(json.dumps(told), "utf-8")
    found = blp("tax", "diff", str(saved), str(tmp_path / "new.json"), "--json", **nowhere)
    assert found.returncode == 1
    assert json.loads(found.stdout) == {
        "jurisdiction": "FI", "subject": "rate", "kind": "answer", "from": "2024-09-01", "to": None,
        "old": "25.5 % [A]", "new": "26 % [A]",
    }  # fmt: skip
    assert blp("tax", "diff", str(saved), str(tmp_path / "none"), **nowhere).returncode == 2


def test_local_rates_are_stored_once_wholly_or_not_at_all_and_a_newer_version_counts(
    world: World, blp: Blp, tmp_path: Path
) -> None:
    file = tmp_path / "rates.csv"
    file.write_text(ROWS + "TX,1,2,,,X,1,2024-01-01,\n", "utf-8")
    refused = blp("tax", "import-local", str(file))
    assert (refused.returncode, "line 4: zip_from is '1'" in refused.stderr) == (1, True)
    file.write_text(ROWS, "utf-8")
    assert "2 rows of TX, WA can be imported" in blp("tax", "import-local", str(file), "--check").stdout
    with world.db.transaction() as tx:
        assert local_import.versions(tx) == {}
    first, again = blp("tax", "import-local", str(file)), blp("tax", "import-local", str(file))
    assert first.stdout.splitlines() == ["TX: 1 rows, version 1, stored", "WA: 1 rows, version 1, stored"]
    assert again.stdout.splitlines()[0] == "TX: 1 rows, version 1, in force already"
    file.write_text(HEADER + "TX,79901,79905,,,El Paso,1.5,2024-01-01,\n", "utf-8")
    assert blp("tax", "import-local", str(file)).stdout == "TX: 1 rows, version 2, stored\n"
    today = world.ports.clock.now().date()
    with world.db.transaction() as tx:
        versions = local_import.versions(tx)
        assert {state: number for state, (_, number) in versions.items()} == {"TX": 2, "WA": 1}
        found = local_import.at(tx, versions, Buyer("US", "TX", "79902-1234"), today)
        assert found is not None
        assert ([(each.name, str(each.rate.normalize())) for each in found.charges], found.version) == (
            [("El Paso", "1.5")], "TX-2",
        )  # fmt: skip
        assert local_import.at(tx, versions, Buyer("US", "TX", "79999"), today) is None
        assert local_import.at(tx, versions, Buyer("DE", "TX", "79902"), today) is None
        audited = "SELECT count(*) FROM audit_entry WHERE action = 'tax.local_rates_imported'"
        assert tx.execute(text(audited)).scalar_one() == 3
