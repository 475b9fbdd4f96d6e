"""A migrated, empty database a test, made by copying one that was migrated once."""

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql
from sqlalchemy import URL

from dispatch.database import upgrade
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


@contextmanager
def migrated_postgresql(server: PostgresqlServer) -> Iterator[str]:
    """Name of a database with the newest schema, to be used as a template; dropped at the end."""
    with _database(server, template="template0") as name:
        upgrade(_url(server, name))
        yield name


@contextmanager
def copied_postgresql(server: PostgresqlServer, template: str) -> Iterator[str]:
    """URL of a database made from the template; dropped at the end, whoever is still connected."""
    with _database(server, template=template) as name:
        yield _url(server, name)


@contextmanager
def _database(server: PostgresqlServer, *, template: str) -> Iterator[str]:
    name = f"{PREFIX}{secrets.token_hex(6)}"
    _execute(
        server,
        sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template)),
    )
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
