"""Engines, sessions and migrations, on SQLite and PostgreSQL alike.

Isolation. SQLite: one writer at a time (`BEGIN IMMEDIATE`), readers beside it (WAL). PostgreSQL: READ
COMMITTED; races are decided by constraints, by compare-and-swap on a status or a version, or by `FOR UPDATE`.

Retries. A deadlock or a serialization failure of PostgreSQL, or an SQLite that stayed locked past its
timeout, rolled back everything, so the same work may run again: `run` and the API do so twice more, then
say `Unavailable`. A connection lost during COMMIT is not retried: nobody knows whether it went through.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, event, make_url, text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import ConnectionPoolEntry
from sqlmodel import Session, create_engine

from dispatch.errors import Unavailable

ATTEMPTS = 3
BUSY_TIMEOUT_MS = 10_000
POOL_SIZE = 40
READ_ONLY = "dispatch_read_only"
_TURN = "dispatch_turn"
SAFE_SQLITE = (3, 51, 3)
"""Before it, a checkpoint that restarts the WAL may race a writer and lose pages (sqlite.org/wal.html)."""

_MIGRATIONS = Path(__file__).parent / "migrations"
_MIGRATION_LOCK = 0x6469737061746368
_RETRYABLE_SQLSTATES = frozenset({"40001", "40P01", "55P03"})
_AWAY_SQLSTATE_CLASSES = ("08", "53", "57")

Result = TypeVar("Result")


def open_engine(url: str, *, foreign_keys: bool = True) -> Engine:
    """An engine with the pragmas and timeouts that the rest relies on. Makes an SQLite file's directory."""
    if make_url(url).get_backend_name() == "sqlite":
        return _open_sqlite(url, foreign_keys=foreign_keys)
    return create_engine(
        url,
        pool_size=POOL_SIZE,
        max_overflow=0,
        pool_timeout=BUSY_TIMEOUT_MS / 1000,
        pool_pre_ping=True,
        hide_parameters=True,
        connect_args={
            "connect_timeout": 5,
            "options": f"-c timezone=utc -c lock_timeout={BUSY_TIMEOUT_MS}",
        },
    )


def _open_sqlite(url: str, *, foreign_keys: bool) -> Engine:
    file = make_url(url).database
    if file:
        try:
            Path(file).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Unavailable(detail=f"The database {file} cannot be made: {error.strerror}.") from error
    engine = create_engine(
        url,
        pool_size=POOL_SIZE,
        max_overflow=0,
        pool_timeout=BUSY_TIMEOUT_MS / 1000,
        hide_parameters=True,
    )

    turns = Lock()

    @event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, _record: Any) -> None:
        connection.isolation_level = None
        for pragma in (
            f"busy_timeout = {BUSY_TIMEOUT_MS}",
            "journal_mode = WAL",
            "synchronous = FULL",
            f"foreign_keys = {'ON' if foreign_keys else 'OFF'}",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        reads = bool(connection.get_execution_options().get(READ_ONLY))
        if not reads:
            _wait_for_turn(turns, connection)
        connection.exec_driver_sql(f"PRAGMA query_only = {'ON' if reads else 'OFF'}")
        connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")

    @event.listens_for(engine, "checkin")
    def checkin(_connection: Any, record: ConnectionPoolEntry) -> None:
        if (record.record_info or {}).pop(_TURN, False):
            turns.release()

    return engine


def _wait_for_turn(turns: Lock, connection: Connection) -> None:
    """The writers of this process take turns: SQLite lets those who wait sleep up to 0.1 s at a time and wakes nobody,
    so that the lock would lie idle and some would never get it. Who waits in vain is told so by SQLite."""
    info = connection.connection.record_info
    assert info is not None
    if not info.get(_TURN):
        info[_TURN] = turns.acquire(timeout=BUSY_TIMEOUT_MS / 1000)


def open_session(engine: Engine, *, read_only: bool = False) -> Session:
    """A session. With `read_only` SQLite takes no write lock and either database refuses to write."""
    session = Transaction(engine)
    if read_only:
        session.connection(execution_options={READ_ONLY: True, "postgresql_readonly": True})
    return session


class Transaction(Session):
    """A session alone forgets a row that nobody refers to, and asks the database again; this one keeps its rows as
    long as it lives, so that to `get` one twice is one query."""


@event.listens_for(Transaction, "loaded_as_persistent")
def _hold(session: Session, row: Any) -> None:
    session.info.setdefault("held", []).append(row)


def writes_alone(session: Session) -> bool:
    """Whether nobody else writes while this session's transaction does, so that what it read needs no lock."""
    return session.get_bind().dialect.name == "sqlite"


@contextmanager
def transaction(engine: Engine) -> Iterator[Session]:
    """A session that commits at the end of the block and rolls back on any error."""
    with available(), Transaction(engine) as session, session.begin():
        yield session


def run(engine: Engine, work: Callable[[Session], Result]) -> Result:
    """`work` in a transaction of its own, again if the database asks for it."""
    for _ in range(ATTEMPTS - 1):
        try:
            with Transaction(engine) as own, own.begin():
                return work(own)
        except DBAPIError as error:
            if not is_retryable(error):
                raise unavailable(error) or error from error
    with transaction(engine) as session:
        return work(session)


@contextmanager
def available() -> Iterator[None]:
    """Turns a database that is away, within the block, into `Unavailable`."""
    try:
        yield
    except (DBAPIError, PoolTimeout) as error:
        raise unavailable(error) or error from error


def is_retryable(error: Exception) -> bool:
    """Whether the transaction lost to another, so that the same work may run again from its beginning."""
    if not isinstance(error, DBAPIError):
        return False
    if isinstance(error.orig, sqlite3.OperationalError):
        return (error.orig.sqlite_errorcode & 0xFF) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
    return getattr(error.orig, "sqlstate", None) in _RETRYABLE_SQLSTATES


def unavailable(error: Exception) -> Unavailable | None:
    """`Unavailable` if the error means that the database is away or overrun, None for any other."""
    if isinstance(error, PoolTimeout) or is_retryable(error):
        return Unavailable(detail="The database is busy.", retry_after_s=1)
    if not isinstance(error, OperationalError | InterfaceError):
        return None
    if isinstance(error.orig, sqlite3.Error):
        away = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_NOTADB)
        gone = (getattr(error.orig, "sqlite_errorcode", 0) & 0xFF) in away
    else:
        sqlstate = getattr(error.orig, "sqlstate", None)
        gone = sqlstate is None or sqlstate.startswith(_AWAY_SQLSTATE_CLASSES)
    return Unavailable(detail="The database is away.", retry_after_s=5) if gone else None


def upgrade(url: str, revision: str = "head") -> None:
    """Bring the database at `url` up to `revision`; processes that start together take turns."""
    with _migrating(url) as config:
        command.upgrade(config, revision)


def downgrade(url: str, revision: str) -> None:
    """Take the database at `url` back to `revision` (`base`: empty, `-1`: one step)."""
    with _migrating(url) as config:
        command.downgrade(config, revision)


def current_revision(url: str) -> str | None:
    """The revision that the database at `url` is at, None before the first."""
    engine = open_engine(url)
    try:
        with available(), engine.connect() as connection:
            return MigrationContext.configure(connection).get_current_revision()
    finally:
        engine.dispose()


def is_up_to_date(session: Session) -> bool:
    """Whether the database's tables are those of this version."""
    return MigrationContext.configure(session.connection()).get_current_revision() == _head()


@cache
def _head() -> str | None:
    return ScriptDirectory(str(_MIGRATIONS)).get_current_head()


@contextmanager
def _migrating(url: str) -> Iterator[Config]:
    """One connection and one transaction for all steps, handed to env.py as `attributes["connection"]`.
    SQLite rebuilds tables, which foreign keys take for deletions: they are off, and checked at the end."""
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    engine = open_engine(url, foreign_keys=False)
    try:
        with available(), engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATION_LOCK})
            config.attributes["connection"] = connection
            yield config
            if connection.dialect.name == "sqlite":
                broken = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
                if broken is not None:
                    raise RuntimeError(f"the migration broke a foreign key of {broken[0]} (row {broken[1]})")
    finally:
        engine.dispose()
