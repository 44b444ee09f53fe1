"""What `make check` looks at besides lint and types: migrations, deployment files, the locks.

Run as `python -m tests.checks`; prints each finding and exits 1 if there is one.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml
from sqlalchemy import text as sql

from app.core import embedded_postgres, migrate
from app.core.db import Database, metadata
from app.core.embedded_postgres import Cluster

ROOT = Path(__file__).resolve().parents[1]


def migration_drift() -> Iterator[str]:
    """Upgrade an empty database and compare it with the tables as the code declares them."""
    import app.main  # noqa: F401 -- every room's tables must be known

    with embedded_postgres.throwaway() as cluster:
        embedded_postgres.create_database(cluster, "drift")
        database = Database(cluster.url("drift"), pool_size=2)
        try:
            migrate.upgrade(database)
            if migrate.upgrade(database):
                yield "a second `blp migrate` still finds something to do"
            yield from (f"migration drift: {each}" for each in migrate.drift(database))
            yield from _rules_apart(cluster, database)
        finally:
            database.dispose()
    if (ROOT / "alembic" / "__init__.py").exists():
        yield "alembic/__init__.py would shadow the package"


# Alembic compares neither of these: what a check says, and what an index is over and where.
_RULES = """
SELECT conrelid::regclass || '.' || conname AS rule, pg_get_constraintdef(oid) AS says FROM pg_constraint
WHERE contype IN ('c', 'x') AND conrelid::regclass::text !~ '^(procrastinate_|alembic_)'
  AND connamespace = 'public'::regnamespace
UNION ALL
SELECT indexname, regexp_replace(indexdef, ' ON .*? USING', ' USING') FROM pg_indexes
WHERE schemaname = 'public' AND tablename !~ '^(procrastinate_|alembic_)'
"""


def _rules_apart(cluster: Cluster, migrated: Database) -> Iterator[str]:
    """Checks, exclusions and indexes of the migrated tables against those that the code declares."""
    embedded_postgres.create_database(cluster, "declared")
    declared = Database(cluster.url("declared"), pool_size=2)
    try:
        with migrated.reading() as connection:
            extensions = list(connection.execute(sql("SELECT extname FROM pg_extension")).scalars())
        with declared.engine.begin() as connection:
            for name in extensions:
                connection.execute(sql(f'CREATE EXTENSION IF NOT EXISTS "{name}"'))
            metadata.create_all(connection)
        with migrated.reading() as before, declared.reading() as wanted:
            have, want = ({row.rule: row.says for row in each.execute(sql(_RULES))} for each in (before, wanted))
    finally:
        declared.dispose()
    for rule in sorted({*want, *have}):
        if have.get(rule) != want.get(rule):
            yield f"migration drift: {rule} is {have.get(rule)!r} after migrating, {want.get(rule)!r} in the code"


def compose() -> Iterator[str]:
    """docker-compose.yml parses and its services run commands that exist."""
    parsed = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
    services = parsed["services"]
    for name in ("postgres", "migrate", "web", "worker", "mail"):
        if name not in services:
            yield f"docker-compose.yml has no service {name}"
    if not str(services["postgres"]["image"]).startswith("postgres:18"):
        yield "docker-compose.yml must run postgres:18"
    for name in ("migrate", "web", "worker"):
        command = services[name]["command"]
        if command[0] != "blp" or command[1] not in {"migrate", "serve", "worker"}:
            yield f"docker-compose.yml: {name} runs {command}"
        if services[name].get("read_only") is not True:
            yield f"docker-compose.yml: {name} must have a read-only root file system"


def dockerfile() -> Iterator[str]:
    """The Dockerfile's instructions are known ones and it keeps its promises."""
    text = (ROOT / "Dockerfile").read_text("utf-8").replace("\\\n", " ")
    instructions = [line.split(None, 1) for line in text.splitlines() if line.strip() and not line.startswith("#")]
    known = {
        "FROM",
        "WORKDIR",
        "COPY",
        "RUN",
        "ENV",
        "USER",
        "EXPOSE",
        "HEALTHCHECK",
        "ENTRYPOINT",
        "CMD",
        "ARG",
        "LABEL",
    }
    for word, *_ in instructions:
        if word not in known:
            yield f"Dockerfile: unknown instruction {word}"
    stages = [rest for word, rest in instructions if word == "FROM"]
    if len(stages) < 2:
        yield "Dockerfile: not multi-stage"
    if "--require-hashes" not in text:
        yield "Dockerfile: installs without hashes"
    users = [rest for word, rest in instructions if word == "USER"]
    if not users or users[-1].strip() in {"root", "0"}:
        yield "Dockerfile: runs as root"
    if "HEALTHCHECK" not in {word for word, *_ in instructions}:
        yield "Dockerfile: no health check"
    for word, rest in instructions:
        if word == "COPY" and "--from" not in rest:
            yield from (
                f"Dockerfile: copies {source}, which does not exist"
                for source in rest.split()[:-1]
                if not source.startswith("--") and not (ROOT / source).exists()
            )


def locks() -> Iterator[str]:
    """Every requirement is pinned with hashes and no address is named."""
    for name in ("requirements.txt", "requirements-dev.txt"):
        text = (ROOT / name).read_text("utf-8")
        if "://" in text:
            yield f"{name} names an address"
        entries = re.split(r"\n(?=\S)", text.strip())
        yield from (
            f"{name}: {entry.split()[0]} has no hash"
            for entry in entries
            if not entry.startswith("#") and "--hash=sha256:" not in entry
        )


def main() -> int:
    findings = [*migration_drift(), *compose(), *dockerfile(), *locks()]
    for finding in findings:
        sys.stderr.write(f"! {finding}\n")
    sys.stdout.write(
        "migrations, deployment files and locks: " + ("see above\n" if findings else "as they should be\n")
    )
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
