"""Connections that died while they rested."""

import psycopg
import pytest
from sqlalchemy import text

from app.core.db import Database, driver_connection
from app.core.embedded_postgres import Cluster

_PIDS = text("SELECT pg_backend_pid()")


def pid(database: Database) -> int:
    with database.transaction() as tx:
        return int(tx.execute(_PIDS).scalar_one())


def test_what_died_while_it_rested_is_made_anew_before_anybody_meets_it(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(cluster.url("postgres"), pool_size=3)
    try:
        with database.transaction() as one, database.transaction() as two:
            dead = [int(each.execute(_PIDS).scalar_one()) for each in (one, two)]
        with psycopg.connect(cluster.url("postgres").replace("+psycopg", ""), autocommit=True) as other:
            for each in dead:
                other.execute("SELECT pg_terminate_backend(%s)", [each])
        monkeypatch.setattr("app.core.db._TRUSTED_SECONDS", 0)
        with database.transaction() as one, database.transaction() as two:
            assert not {int(each.execute(_PIDS).scalar_one()) for each in (one, two)} & set(dead)
    finally:
        database.dispose()


def test_what_was_used_a_moment_ago_is_not_asked(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    database = Database(cluster.url("postgres"), pool_size=1)
    try:
        asked: list[object] = []
        monkeypatch.setattr(database.engine.dialect, "do_ping", asked.append)
        assert pid(database) == pid(database)
        assert asked == []
        monkeypatch.setattr("app.core.db._TRUSTED_SECONDS", 0)
        pid(database)
        assert len(asked) == 1
    finally:
        database.dispose()


def test_a_unit_of_work_reads_the_time_while_every_connection_of_the_pool_is_taken(cluster: Cluster) -> None:
    """Otherwise all of them wait for each other where many at once want the time within their work."""
    database = Database(cluster.url("postgres"), pool_size=1)
    try:
        with database.transaction() as tx, database.reading() as aside:
            assert tx.execute(_PIDS).scalar_one() != aside.execute(_PIDS).scalar_one()
    finally:
        database.dispose()


def test_what_is_at_work_while_all_is_closed_is_closed_when_its_work_is_done(cluster: Cluster) -> None:
    database = Database(cluster.url("postgres"), pool_size=1)
    with database.transaction() as tx, database.reading() as aside:
        connections = driver_connection(tx), aside.connection.dbapi_connection
        database.dispose()
        at_work = tx.execute(_PIDS).scalar_one()
    assert all(isinstance(each, psycopg.Connection) and each.closed for each in connections)
    assert pid(database) != at_work
    database.dispose()
