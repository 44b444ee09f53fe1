"""`blp documents verify`, as the operator calls it."""

from sqlalchemy import text

from tests import shop
from tests.cli.conftest import Blp
from tests.world import World


def test_papers_are_verified_with_progress_and_a_changed_row_is_a_finding(world: World, blp: Blp) -> None:
    shop.buy(world)
    world.draw()
    well = blp("documents", "verify")
    assert (well.returncode, well.stdout) == (0, "1 papers, 0 findings.\n")
    assert well.stderr == "1 of 1 papers checked\n"
    with world.db.transaction() as tx:
        tx.execute(text("SET LOCAL session_replication_role = replica"))
        tx.execute(text('UPDATE invoice SET buyer = buyer || \'{"company": "Somebody else"}\''))
    ill = blp("documents", "verify")
    assert ill.returncode == 1
    assert ill.stdout == "ACME-000001: the rows are not those that were drawn\n1 papers, 1 findings.\n"


def test_the_doctor_tells_of_documents_that_wait_for_their_papers(world: World, blp: Blp) -> None:
    shop.buy(world)
    told = blp("doctor").stdout
    assert "? 1 final documents have no paper yet." in told
    assert "blp tax import-rates" in told
    world.draw()
    assert "no paper yet" not in blp("doctor").stdout
