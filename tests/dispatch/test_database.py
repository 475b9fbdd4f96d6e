"""Engines, transactions and migrations, on both databases."""

from pathlib import Path

import pytest
from sqlalchemy import Engine, inspect, text
from sqlalchemy.exc import IntegrityError, OperationalError, SQLAlchemyError
from sqlmodel import Session, func, select

from dispatch import database
from dispatch.errors import Unavailable
from dispatch.organization import Organization, create_organization
from tests.support.clock import FakeClock


def test_a_transaction_commits_at_its_end_and_not_before_an_error(engine: Engine) -> None:
    with database.transaction(engine) as session:
        _create(session, "kept")
    with pytest.raises(ZeroDivisionError), database.transaction(engine) as session:
        _create_then_fail(session, "undone")

    assert _slugs(engine) == ["kept"]


def test_a_session_that_only_reads_cannot_write(engine: Engine) -> None:
    with database.open_session(engine, read_only=True) as session, pytest.raises(SQLAlchemyError):
        _create(session, "unwanted")

    assert _slugs(engine) == []


def test_after_reading_the_same_connection_may_write_again(engine: Engine) -> None:
    for _ in range(3):
        with database.open_session(engine, read_only=True) as session:
            session.exec(select(func.count()).select_from(Organization)).one()

    with database.transaction(engine) as session:
        _create(session, "wanted")

    assert _slugs(engine) == ["wanted"]


def test_work_that_lost_to_another_runs_again(engine: Engine) -> None:
    tries = []

    def work(session: Session) -> str:
        tries.append(1)
        if len(tries) < 3:
            raise OperationalError("UPDATE", {}, _Lost())
        return _create(session, "at-last").slug

    slug = database.run(engine, work)

    assert (slug, len(tries), _slugs(engine)) == ("at-last", 3, ["at-last"])


def test_work_that_keeps_losing_is_unavailable(engine: Engine) -> None:
    def work(session: Session) -> None:
        raise OperationalError("UPDATE", {}, _Lost())

    with pytest.raises(Unavailable):
        database.run(engine, work)


def test_an_error_of_its_own_making_is_not_retried(engine: Engine) -> None:
    tries = []

    def work(session: Session) -> None:
        tries.append(1)
        raise IntegrityError("INSERT", {}, Exception("duplicate"))

    with pytest.raises(IntegrityError):
        database.run(engine, work)

    assert len(tries) == 1


@pytest.mark.parametrize(
    "url", ["postgresql+psycopg://nobody@127.0.0.1:1/away", "sqlite:////proc/none/x.sqlite3"]
)
def test_a_database_that_is_away_is_unavailable(url: str) -> None:
    with pytest.raises(Unavailable), database.transaction(database.open_engine(url)) as session:
        session.exec(select(Organization)).all()


def test_sqlite_keeps_foreign_keys_and_what_was_acknowledged(sqlite_url: str) -> None:
    with database.open_engine(sqlite_url).connect() as connection:
        kept = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("foreign_keys", "journal_mode", "synchronous")
        }

    assert kept == {"foreign_keys": 1, "journal_mode": "wal", "synchronous": 2}


def test_migrations_go_all_the_way_down_and_up_again(database_url: str) -> None:
    head = database.current_revision(database_url)

    database.downgrade(database_url, "base")
    bare = _tables(database_url)
    database.upgrade(database_url)

    assert bare <= {"alembic_version"}
    assert database.current_revision(database_url) == head is not None
    assert "api_key" in _tables(database_url)


def test_an_outdated_database_is_known_as_such(database_url: str) -> None:
    engine = database.open_engine(database_url)
    with database.open_session(engine) as session:
        before = database.is_up_to_date(session)
    database.downgrade(database_url, "-1")

    with database.open_session(engine) as session:
        after = database.is_up_to_date(session)
    engine.dispose()

    assert (before, after) == (True, False)


def test_the_directory_of_a_new_sqlite_file_is_made(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/deep/er/new.sqlite3"

    revision = database.current_revision(url)

    assert revision is None
    assert (tmp_path / "deep" / "er").is_dir()


class _Lost(Exception):
    sqlstate = "40001"


def _create(session: Session, slug: str) -> Organization:
    return create_organization(
        session, slug=slug, name=slug, currency="USD", time_zone="UTC", now=FakeClock().now()
    )


def _create_then_fail(session: Session, slug: str) -> None:
    _create(session, slug)
    raise ZeroDivisionError


def _slugs(engine: Engine) -> list[str]:
    with database.open_session(engine, read_only=True) as session:
        return sorted(session.exec(select(Organization.slug)).all())


def _tables(url: str) -> set[str]:
    engine = database.open_engine(url)
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
        names = set(inspect(connection).get_table_names())
    engine.dispose()
    return names
