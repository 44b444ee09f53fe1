"""`blp keys`: the life of a key by command, with the figures that decide."""

from sqlalchemy import text

from app.core import keys
from app.core.keys import KeyPurpose
from tests import shop
from tests.cli.conftest import Blp
from tests.world import World


def test_a_key_is_rotated_listed_refused_drilled_and_replaced(world: World, blp: Blp) -> None:
    shop.buy(world)
    with world.db.transaction() as tx:
        old = keys.signing_kid(tx, KeyPurpose.LICENSE_FILE, world.ports.clock.now())
    rotated = blp("keys", "rotate", "license-file")
    assert (rotated.returncode, "is published, and signs from" in rotated.stdout) == (0, True)
    listed = blp("keys", "list").stdout
    line = next(each for each in listed.splitlines() if each.startswith(old))
    assert "license-file  rsa-2048  signing" in line
    assert "(1 file or token holds until" in line
    refused = blp("keys", "retire", old)
    assert (refused.returncode, "1 file or token holds until" in refused.stderr) == (1, True)
    drilled = blp("keys", "compromised", old, "--drill")
    assert "Drill: 1 licenses in" in drilled.stdout
    assert "s per thousand; nothing was kept." in drilled.stdout
    done = blp("keys", "compromised", old, "--yes")
    assert (done.returncode, f"{old} is revoked; " in done.stdout) == (0, True)
    assert "1 licenses issued anew" in done.stdout
    with world.db.transaction() as tx:
        assert (
            tx.execute(
                text("SELECT count(*) FROM license WHERE kid = :kid AND state = 'active'"), {"kid": old}
            ).scalar()
            == 0
        )
