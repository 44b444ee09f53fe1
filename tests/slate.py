"""A database that is wiped between two tests instead of made anew, so that its connections and their plans stay warm.

Making a database is a thousand files, and each new connection learns every table again; together that was a quarter of
a run. Rows are deleted and copied back as they were made, triggers and foreign keys aside. Where a test has changed
more than rows, and after so many tests that what they left behind slows the next, the database is made anew.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

import psycopg
from psycopg.sql import SQL, Composed, Identifier, Literal

from app.core import embedded_postgres
from app.core.embedded_postgres import Cluster

Hand: TypeAlias = "psycopg.Connection[tuple[object, ...]]"
_WIPES: Final = 60
_NO_ROWS: Final = b"PGCOPY\n\xff\r\n\x00" + bytes(8) + b"\xff\xff"
_NAMES = SQL("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = {} ORDER BY 1")
# Everything of the schema that a test may bend, each with the transaction that wrote it last.
_SCHEMA = SQL("""
    SELECT (SELECT sum(xmin::text::int8 + oid::int8) FROM pg_class WHERE relnamespace = 'public'::regnamespace),
           (SELECT sum(xmin::text::int8) FROM pg_attribute WHERE attrelid >= 16384 AND attnum > 0),
           (SELECT sum(xmin::text::int8) FROM pg_trigger WHERE NOT tgisinternal),
           (SELECT sum(xmin::text::int8) FROM pg_constraint WHERE oid >= 16384),
           (SELECT sum(xmin::text::int8) FROM pg_proc WHERE oid >= 16384),
           (SELECT sum(xmin::text::int8) FROM pg_namespace),
           (SELECT sum(xmin::text::int8) FROM pg_db_role_setting),
           (SELECT count(*) FROM pg_attrdef), (SELECT count(*) FROM pg_roles)
""")
_RULER: Final = ("SET session_replication_role = replica", "SET lock_timeout = '2s'", "SET synchronous_commit = off")
# What was left in the middle of something holds locks on what is about to go.
_STOP_OTHERS = SQL("""
    SELECT pg_terminate_backend(pid, 2000) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL
""")
_LISTENERS = SQL("NOTIFY blp_fast, 'all:'")  # the triggers that tell of each row are aside


@dataclass(frozen=True)
class Picture:
    """The rows of a moment, as COPY writes them, of each table in which there are any; and what sets the sequences."""

    rows: Mapping[str, bytes]
    sequences: bytes


class Slate:
    """The database `name` of `cluster`, to be as `template` is."""

    def __init__(self, cluster: Cluster, name: str, template: str) -> None:
        self._cluster, self._name, self._template = cluster, name, template
        self._hand: Hand | None = None
        self._wiped = _WIPES
        self._clean = Picture({}, b"")
        self._schema: object = None
        self._changed_tables = b""

    def wipe(self) -> bool:
        """Bring everything back to how it was made; False where it was made anew, and all connections are gone."""
        if self._wiped < _WIPES and self._hand is not None and not self._hand.closed:
            try:
                if self._as_made(self._hand):
                    self._put(self._hand, Picture({}, self._clean.sequences))
                    self._wiped += 1
                    return True
            except psycopg.OperationalError:
                pass  # it was ended by who copied the database, or somebody holds a lock: made anew either way
        self.anew()
        return False

    def anew(self) -> None:
        self.rest()
        embedded_postgres.recreate_database(self._cluster, self._name, template=self._template)
        self._wiped = 0
        hand = self._take()
        self._schema = hand.execute(_SCHEMA).fetchone()
        if not self._clean.sequences:
            self._clean = self.picture(whole=True)
            self._changed_tables = self._question(hand).as_bytes(hand)

    def picture(self, *, whole: bool = False) -> Picture:
        """What is there now; of tables that are as they were made only where `whole`."""
        hand = self._take()
        tables = _names(hand, "r") if whole else self._changed(hand)
        rows = {}
        for table in tables:
            with hand.cursor().copy(SQL("COPY {} TO STDOUT (FORMAT binary)").format(Identifier(table))) as copy:
                rows[table] = b"".join(copy)
        return Picture(rows, self._positions(hand))

    def paint(self, picture: Picture) -> None:
        """Put these rows where everything is as it was made."""
        self._put(self._take(), picture)

    def rest(self) -> None:
        if self._hand is not None:
            self._hand.close()
            self._hand = None

    def _take(self) -> Hand:
        if self._hand is None or self._hand.closed:
            url = self._cluster.url(self._name).replace("+psycopg", "")
            self._hand = psycopg.connect(url, autocommit=True, prepare_threshold=0)
            for each in _RULER:
                self._hand.execute(each)
        return self._hand

    def _as_made(self, hand: Hand) -> bool:
        return hand.execute(_SCHEMA).fetchone() == self._schema

    def _put(self, hand: Hand, picture: Picture) -> None:
        hand.execute(_STOP_OTHERS)
        tables = list(dict.fromkeys([*self._changed(hand), *picture.rows]))
        with hand.transaction():
            if tables:
                wipe = SQL("; ").join(SQL("DELETE FROM {}").format(Identifier(each)) for each in tables)
                hand.execute(wipe, prepare=False)
            for table in tables:
                rows = picture.rows.get(table) or self._clean.rows[table]
                if rows != _NO_ROWS:
                    with hand.cursor().copy(SQL("COPY {} FROM STDIN (FORMAT binary)").format(Identifier(table))) as to:
                        to.write(rows)
            hand.execute(picture.sequences, prepare=False)
            hand.execute(_LISTENERS)

    def _changed(self, hand: Hand) -> list[str]:
        row = hand.execute(self._changed_tables).fetchone()
        assert row is not None
        found = row[0]
        assert isinstance(found, list)
        return found

    def _question(self, hand: Hand) -> Composed:
        """Which tables are not as they were made: one with rows by their hash, another by whether there is one."""
        cases = []
        for table, rows in self._clean.rows.items():
            name = Identifier(table)
            if rows != _NO_ROWS:
                hashed = SQL("(SELECT sum(hashtextextended(each::text, 0)) FROM {} AS each)").format(name)
                made = hand.execute(SQL("SELECT ") + hashed).fetchone()
                assert made is not None
                there = SQL("{} IS DISTINCT FROM {}").format(hashed, Literal(made[0]))
            else:
                there = SQL("EXISTS (SELECT FROM {})").format(name)
            cases.append(SQL("CASE WHEN {} THEN {} END").format(there, Literal(table)))
        return SQL("SELECT array_remove(ARRAY[{}], NULL)").format(SQL(", ").join(cases))

    def _positions(self, hand: Hand) -> bytes:
        """What sets all sequences to where they are."""
        ask = SQL(" UNION ALL ").join(
            SQL("SELECT {}, last_value, is_called FROM {}").format(Literal(name), Identifier(name))
            for name in _names(hand, "S")
        )
        each = (
            SQL("setval({}::regclass, {}, {})").format(Literal(f'"{name}"'), Literal(last), Literal(called))
            for name, last, called in hand.execute(ask)
        )
        return (SQL("SELECT ") + SQL(", ").join(each)).as_bytes(hand)


def _names(hand: Hand, kind: str) -> list[str]:
    return [str(row[0]) for row in hand.execute(_NAMES.format(Literal(kind)))]
