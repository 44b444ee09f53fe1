"""One unit of work, and the column kinds every table uses.

Transactions begin and end at an edge: a door, a job, a command. `.commit(` appears nowhere else.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import StrEnum
from time import monotonic
from typing import Any, Final

import orjson
import psycopg
from sqlalchemy import (
    CHAR,
    BigInteger,
    CheckConstraint,
    Connection,
    DateTime,
    Engine,
    Index,
    MetaData,
    create_engine,
    event,
    text,
)
from sqlalchemy import Enum as SqlEnum
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.types import TypeEngine
from sqlmodel import Field, SQLModel

Tx = Session

_NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
# For so long after its last use a connection is taken to live.
_TRUSTED_SECONDS: Final = 1.0
_READERS: Final = 4
metadata: MetaData = SQLModel.metadata
metadata.naming_convention = _NAMING

# How many units of work this thread of execution has open: a network call inside one would hold its locks.
_open_units: ContextVar[int] = ContextVar("open_units", default=0)


class Table(SQLModel):
    """Base of every table. Rows are built from checked values; tables are never request bodies."""


def text_enum(kind: type[StrEnum], *, name: str) -> TypeEngine[Any]:
    """A text column that the database itself limits to the members of `kind`."""
    return SqlEnum(
        kind,
        name=name,
        native_enum=False,
        create_constraint=True,
        length=32,
        values_callable=lambda members: [member.value for member in members],
    )


CURRENCY: Final = CHAR(3)
JSON_OR_NOTHING: Final = JSONB(none_as_null=True)  # NULL where there is nothing, never the JSON null
INSTANT: Final = DateTime(timezone=True)


def personal(category: str) -> dict[str, Any]:
    """Column keywords that mark personal data: `category` is contact, name, network or free_text (ADR 0019)."""
    return {"info": {"personal": category}}


def index_where_set(table: str, column: str) -> Index:
    """An index of the rows that have something there: for a column that is mostly empty."""
    return Index(f"ix_{table}_{column}", column, postgresql_where=text(f"{column} IS NOT NULL"))


def currency_check(column: str = "currency") -> CheckConstraint:
    return CheckConstraint(f"{column} ~ '^[A-Z]{{3}}$'", name=f"{column}_is_iso")


def minor_field(**options: Any) -> Any:
    """A column of minor units."""
    return Field(sa_type=BigInteger, **options)


def row_id() -> Any:
    """A 64-bit serial key, for rows nobody outside refers to."""
    return Field(default=None, primary_key=True, sa_type=BigInteger)


def json_text(value: object) -> str:
    """JSON for a column. Raises TypeError for what is no JSON: an instant is written as the caller means it."""
    return orjson.dumps(value, option=_STRICT).decode()


_STRICT: Final = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS


class NetworkInsideTransaction(RuntimeError):
    """A call to an outside party was about to hold database locks: a bug in a flow."""


def require_no_transaction() -> None:
    """Called by every adapter before it leaves the process."""
    if _open_units.get():
        raise NetworkInsideTransaction("commit before calling an outside party: intend, call, record")


def _ask_whether_it_lives(engine: Engine) -> None:
    """Ask each connection that rested, and make all anew where one is dead.

    The pool's own question before every use is a round trip a unit of work; a server that went away is not back within
    the time that we do not ask.
    """

    @event.listens_for(engine, "checkin")
    def rests(_connection: object, record: ConnectionPoolEntry) -> None:
        record.info["rests_since"] = monotonic()

    @event.listens_for(engine, "checkout")
    def goes_on(connection: DBAPIConnection, record: ConnectionPoolEntry, _proxy: object) -> None:
        if monotonic() - record.info.get("rests_since", monotonic()) < _TRUSTED_SECONDS:
            return
        try:
            engine.dialect.do_ping(connection)
        except psycopg.OperationalError as gone:
            raise InvalidatePoolError from gone


def _close(_connection: object, record: ConnectionPoolEntry) -> None:
    record.invalidate()


def _engine(url: str, pool_size: int) -> Engine:
    engine = create_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,  # under a burst it would reconnect for every request, which costs more than waiting
        pool_use_lifo=True,
        connect_args={"options": "-c timezone=UTC"},
        json_serializer=json_text,
        json_deserializer=orjson.loads,
    )
    _ask_whether_it_lives(engine)
    return engine


class Database:
    """An engine and the only way to open a unit of work on it."""

    def __init__(self, url: str, *, pool_size: int = 10) -> None:
        self.engine: Engine = _engine(url, pool_size)
        # Connections of their own: a unit of work reads the sandbox's clock, and where all those of the pool wait for
        # its locks it must not wait for one of theirs.
        self._readers: Engine = _engine(url, _READERS).execution_options(isolation_level="AUTOCOMMIT")

    @property
    def conninfo(self) -> str:
        """The libpq connection string, for the queue and the fast lane."""
        url = make_url(self.engine.url)
        return url.set(drivername="postgresql").render_as_string(hide_password=False)

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """Commit on return, roll back on any exception."""
        token = _open_units.set(_open_units.get() + 1)
        try:
            with Session(self.engine, expire_on_commit=False) as tx, tx.begin():
                yield tx
        finally:
            _open_units.reset(token)

    @contextmanager
    def session(self) -> Iterator[Session]:
        """The same for a web door, whose opening and closing run in different threads of the server."""
        with Session(self.engine, expire_on_commit=False) as tx, tx.begin():
            yield tx

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A plain connection without a transaction, for single reads."""
        with self._readers.connect() as connection:
            yield connection

    def dispose(self) -> None:
        """Close what rests; what is at work still is closed when its work is done."""
        for engine in (self.engine, self._readers):
            left = engine.pool
            engine.dispose()
            event.listen(left, "checkin", _close)  # it would rest there, where nobody closes it


def driver_connection(tx: Session) -> psycopg.Connection[Any]:
    """The psycopg connection under a unit of work: for COPY, and to put a job on the same transaction."""
    raw: object = tx.connection().connection.dbapi_connection
    if not isinstance(raw, psycopg.Connection):
        raise TypeError(f"expected psycopg, found {type(raw)}")
    return raw
