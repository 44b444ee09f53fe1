"""`blp tax override`: the same as the page, for whoever runs the server."""

from tests.cli.conftest import Blp
from tests.world import World


def test_an_override_is_added_listed_and_ended(world: World, blp: Blp) -> None:
    today = world.ports.clock.now().date()
    asked = ("US-AL", "--treatment", "product_exempt", "--source", "Letter 7", "--why", "Asked", "--from", str(today))
    added = blp("tax", "override", "add", *asked)
    assert added.returncode == 0, added.stderr
    row = added.stdout.split()[0]
    again = blp("tax", "override", "add", *asked)
    assert again.returncode == 1
    assert "end that one first" in again.stderr
    assert blp("tax", "override", "add", *asked, "--rate", "much").returncode == 2
    listed = blp("tax", "override", "list").stdout
    assert listed == f"{row} US-AL any any product_exempt {today}..open Letter 7\n"
    assert blp("tax", "override", "end", row, "--last-day", str(today), "--why", "Done").stdout == (
        f"{row} holds up to {today}.\n"
    )
