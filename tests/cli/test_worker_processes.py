"""`blp worker --processes`: as many as were asked for, ended together."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from time import monotonic, sleep

import pytest
from sqlalchemy import text

from tests.world import World

_PATIENCE_SECONDS = 60
_LISTENING = text("SELECT count(DISTINCT id) FROM procrastinate_workers")


def test_they_work_on_one_queue_and_where_one_dies_all_are_given_up(
    world: World, surroundings: dict[str, str], tmp_path: Path
) -> None:
    said = tmp_path / "said"
    with said.open("wb") as out:
        crew = subprocess.Popen(
            [sys.executable, "-m", "app.cli", "worker", "--processes", "2"], env=surroundings, stdout=out, stderr=out
        )
    try:
        give_up = monotonic() + _PATIENCE_SECONDS
        while working(world) < 2:
            if crew.poll() is not None or monotonic() > give_up:
                pytest.fail(said.read_text())
            sleep(0.05)
        named = re.search(r"Worker processes: (\d+), (\d+)", said.read_text())
        assert named is not None
        first, second = map(int, named.groups())
        os.kill(first, signal.SIGKILL)
        assert crew.wait(_PATIENCE_SECONDS) == 1
        assert f"! Worker process {first} ended with -9; stopping the others." in said.read_text()
        with pytest.raises(ProcessLookupError):
            os.kill(second, 0)
    finally:
        crew.terminate()
        crew.wait(_PATIENCE_SECONDS)


def working(world: World) -> int:
    with world.db.reading() as connection:
        return int(connection.execute(_LISTENING).scalar_one())
