"""`blp api-key`: how the vendor comes by its first key."""

from collections.abc import Callable
from subprocess import CompletedProcess

from tests.world import World

Blp = Callable[..., CompletedProcess[str]]


def test_the_printed_key_opens_what_its_scopes_name_and_nothing_else(world: World, blp: Blp) -> None:
    made = blp("api-key", "create", "crm", "--scope", "events:read", "--scope", "workspaces:read")
    assert (made.returncode, made.stderr) == (0, "")
    client = world.api(made.stdout.strip())
    assert client.get("/v1/events").status_code == 200
    assert client.get("/v1/workspaces").status_code == 200
    assert client.get("/v1/api_keys").status_code == 403


def test_an_unknown_scope_is_refused_with_the_known_ones(blp: Blp) -> None:
    refused = blp("api-key", "create", "crm", "--scope", "everything")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "reports:read" in refused.stderr
