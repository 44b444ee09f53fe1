"""`blp` as an operator runs it, on a real database."""

import io
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout

import pytest

from app import cli
from tests.world import World

Done = subprocess.CompletedProcess[str]
Blp = Callable[..., Done]


@pytest.fixture
def surroundings(world: World) -> dict[str, str]:
    """The database of the world and no other setting: none of the environment's reaches the command."""
    url = world.db.engine.url.render_as_string(hide_password=False)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BLP_")}
    return {**kept, "BLP_DATABASE_URL": url, "BLP_ENV": "test"}


@pytest.fixture
def blp(surroundings: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Blp:
    """Runs a command with this world's database and the settings given, in this process: its imports take seconds."""

    def run(*arguments: str, **settings: str) -> Done:
        out, err = io.StringIO(), io.StringIO()
        status: object = 0
        with monkeypatch.context() as patched, redirect_stdout(out), redirect_stderr(err):
            patched.setattr(os, "environ", {**surroundings, **settings})
            patched.setattr(sys, "argv", ["blp", *arguments])
            try:
                cli.main()
            except SystemExit as ended:
                status = ended.code
        assert status is None or isinstance(status, int), status
        return subprocess.CompletedProcess(arguments, status or 0, out.getvalue(), err.getvalue())

    return run


@pytest.fixture
def blp_process(surroundings: dict[str, str]) -> Blp:
    """The same as a process of its own."""

    def run(*arguments: str, **settings: str) -> Done:
        return subprocess.run(  # noqa: S603 -- ourselves
            [sys.executable, "-m", "app.cli", *arguments], capture_output=True, text=True, timeout=60, check=False,
            env={**surroundings, **settings},
        )  # fmt: skip

    return run
