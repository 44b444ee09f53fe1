"""`blp` as an operator runs it: a process of its own on a real database."""

import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.world import World

Blp = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def blp(world: World) -> Blp:
    """Runs a command with this world's database and the settings given; none of the environment's reaches it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BLP_")}
    url = world.db.engine.url.render_as_string(hide_password=False)

    def run(*arguments: str, **settings: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(  # noqa: S603 -- ourselves
            [sys.executable, "-m", "app.cli", *arguments], capture_output=True, text=True, timeout=60, check=False,
            env={**kept, "BLP_DATABASE_URL": url, "BLP_ENV": "test", **settings},
        )  # fmt: skip

    return run
