"""A migrated, empty database for each test: on SQLite a copy of a file, on PostgreSQL one that is emptied."""

import secrets
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy import URL, make_url

from dispatch.database import upgrade
from dispatch.tables import METADATA
from tests.support.services import PostgresqlServer, psycopg_dsn

PREFIX = "dispatch_test_"
"""Every database that the tests create, and drop, begins with it and ends in random characters."""


def migrated_sqlite_file(directory: Path) -> Path:
    """One closed file with the newest schema; a plain copy of it is a database of its own."""
    file = directory / "template.sqlite3"
    upgrade(sqlite_url(file))
    left_open = file.with_name(f"{file.name}-wal")
    if left_open.exists() and left_open.stat().st_size:
        raise RuntimeError(f"{left_open} holds changes: the migration left a connection open")
    return file


def copied_sqlite(template: Path, directory: Path) -> str:
    """URL of a copy of the template in `directory`."""
    file = directory / "test.sqlite3"
    shutil.copyfile(template, file)
    return sqlite_url(file)


def sqlite_url(file: Path) -> str:
    return f"sqlite:///{file}"


class PostgresqlDatabase:
    """A migrated database for one test after another: to empty it takes a hundredth of the time of making one."""

    def __init__(self, server: PostgresqlServer) -> None:
        self._server = server
        self._kept = ExitStack()
        self._name: str | None = None
        self._shape: object = None

    @contextmanager
    def lent(self) -> Iterator[str]:
        """Its URL. It is empty; what is put into it is gone afterwards, whoever is still connected. Where the tables
        are not as they were, the next test gets another."""
        name = self._name or self._made()
        self._name, url = None, _url(self._server, name)
        yield url
        with psycopg.connect(psycopg_dsn(make_url(url)), autocommit=True) as connection:
            connection.execute(DISCONNECT_OTHERS)
            if _shape(connection) == self._shape:
                _empty(connection)
                self._name = name

    def _made(self) -> str:
        name = self._kept.enter_context(_database(self._server))
        url = _url(self._server, name)
        upgrade(url)
        with psycopg.connect(psycopg_dsn(make_url(url))) as connection:
            self._shape = _shape(connection)
        return name

    def drop(self) -> None:
        """Drops it, and those that were set aside."""
        self._kept.close()


DISCONNECT_OTHERS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
SHAPE = """
SELECT string_agg(concat_ws(' ', c.relname, a.attname, a.atttypid), ',' ORDER BY c.relname, a.attname)
FROM pg_class c LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relnamespace = 'public'::regnamespace
"""
RESTART_NUMBERS = """
SELECT setval(format('%I.%I', schemaname, sequencename)::regclass, start_value, false) FROM pg_sequences
"""


def _shape(connection: psycopg.Connection[Any]) -> object:
    """What there is, by name, and which migration made it so."""
    names = connection.execute(SHAPE).fetchall()
    if "alembic_version" not in str(names):
        return names
    return names, connection.execute("SELECT version_num FROM alembic_version").fetchall()


def _empty(connection: psycopg.Connection[Any]) -> None:
    tables = [sql.Identifier(table.name) for table in reversed(METADATA.sorted_tables)]
    connection.execute(sql.SQL("; ").join(sql.SQL("DELETE FROM {}").format(table) for table in tables))
    connection.execute(RESTART_NUMBERS)


@contextmanager
def _database(server: PostgresqlServer) -> Iterator[str]:
    name = f"{PREFIX}{secrets.token_hex(6)}"
    _execute(server, sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
    try:
        yield name
    finally:
        _execute(server, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _execute(server: PostgresqlServer, statement: sql.Composed) -> None:
    with psycopg.connect(psycopg_dsn(server.url), autocommit=True) as connection:
        connection.execute(statement)


def _url(server: PostgresqlServer, name: str) -> str:
    url: URL = server.url.set(database=name)
    return url.render_as_string(hide_password=False)
