"""`blp tax`: snapshots, differences, and local rates from import to a preview's tax."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from subprocess import CompletedProcess

from sqlalchemy import text

from app.core import policy
from app.tax import local_import, service
from app.tax.determination import Buyer
from app.tax.service import STALE_DAYS
from tests.shop import offer
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


def test_a_preview_is_taxed_by_imported_rates_and_says_so(world: World, blp: Blp, tmp_path: Path) -> None:
    def taxed() -> dict[str, object]:
        preview = offer(
            world, currency="USD", vat=None, country="US", region="NY", postcode="12207-0001", city="Albany"
        )
        with world.db.transaction() as tx:
            return service.stored(tx, preview.tax_determination_id).to_json()

    assert taxed()["treatment"] == "needs_review"
    file = tmp_path / "rates.csv"
    exact = "NY,12207,12207,0001,0099,Albany County,4,2024-01-01,\n"
    file.write_text(HEADER + "NY,12201,12214,,,Albany,3.9,2024-01-01,\n" + exact, "utf-8")
    assert blp("tax", "import-local", str(file)).returncode == 0
    answer = taxed()
    assert (answer["treatment"], answer["precision"]) == ("standard", "zip9")
    assert str(answer["data_version"]).endswith("+NY-1")
    parts = answer["components"]
    assert isinstance(parts, list)
    assert [(part["name"], part["rate"]) for part in parts] == [("New York sales tax", "4"), ("Albany County", "4")]


def test_the_doctor_tells_of_old_rates_without_calling_it_a_fault(world: World, blp: Blp) -> None:
    with world.db.transaction() as tx:
        now = world.ports.clock.now()
        policy.change(tx, STALE_DAYS.name, 1, valid_from=now - timedelta(days=1), by="test", why="test", now=now)
    found = blp("doctor", BLP_BASE_URL=world.url)
    assert found.returncode == 0
    assert "? The packaged EU tax rates are" in found.stdout
