"""Programs of ours run as children: each with a log, each ended by its own id and by no name."""

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from time import monotonic, sleep
from urllib.parse import urlsplit

_TERM_SECONDS = 15
_READY_SECONDS = 60


class ChildBroken(RuntimeError):
    """A child process did not come up or died; the message names its log."""


@contextmanager
def child(
    command: Sequence[str], environment: Mapping[str, str], *, root: Path, log: Path
) -> Iterator["subprocess.Popen[bytes]"]:
    """`command` running in `root` for the length of the block; what it prints goes to `log`."""
    with log.open("wb") as out:
        process = subprocess.Popen(  # noqa: S603 -- ourselves
            list(command), env=dict(environment), cwd=root, stdout=out, stderr=out, start_new_session=True
        )
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(timeout=_TERM_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(timeout=5)


def wait_until_ready(url: str, children: "Mapping[Path, subprocess.Popen[bytes]]") -> None:
    """Until `url` answers 200. `children` are watched meanwhile, by their logs. Raises ChildBroken."""
    give_up = monotonic() + _READY_SECONDS
    while not _answers(url):
        for log, process in children.items():
            if process.poll() is not None:
                raise ChildBroken(f"`{log.stem}` stopped; see {log}")
        if monotonic() > give_up:
            raise ChildBroken(f"{url} did not answer within {_READY_SECONDS} s; see {', '.join(map(str, children))}")
        sleep(0.05)


def _answers(url: str) -> bool:
    where = urlsplit(url)
    connection = HTTPConnection(where.hostname or "127.0.0.1", where.port, timeout=2)
    try:
        connection.request("GET", where.path)
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False  # not listening yet
    finally:
        connection.close()
