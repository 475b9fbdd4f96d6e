"""The ground that the other tests stand on."""

from contextlib import ExitStack
from datetime import UTC, datetime

import psycopg
import pytest
from sqlalchemy import make_url
from sqlmodel import Session, select

from dispatch.organization import Organization
from tests.support.clock import START, FakeClock
from tests.support.databases import PostgresqlDatabase
from tests.support.machine import FINDERS, Machine
from tests.support.services import LeftOut, psycopg_dsn


@pytest.mark.parametrize("turn", ["first", "second"])
def test_every_test_has_an_empty_database_of_its_own(session: Session, turn: str) -> None:
    found_before = session.exec(select(Organization)).all()

    session.add(Organization(slug="same", name=turn, currency="USD", time_zone="UTC", created_at=START))
    session.commit()

    assert found_before == []


@pytest.mark.postgresql
def test_a_database_is_given_on_emptied_unless_its_tables_were_changed(machine: Machine) -> None:
    database = PostgresqlDatabase(machine.find("postgresql"))
    try:
        with database.lent() as first, psycopg.connect(plain(first), autocommit=True) as left_open:
            for slug in ("one", "two"):
                left_open.execute(ORGANIZATION, {"id": slug})
            left_open.execute(TECHNICIAN)
        with database.lent() as second, psycopg.connect(plain(second), autocommit=True) as connection:
            found = connection.execute("SELECT count(*) FROM organization").fetchall()
            number = connection.execute(f"{TECHNICIAN} RETURNING no").fetchall()
            connection.execute("CREATE TABLE scratch (n integer)")
        with database.lent() as third:
            pass
    finally:
        database.drop()

    assert second == first != third
    assert (found, number) == ([(0,)], [(1,)])


ORGANIZATION = """
INSERT INTO organization (id, slug, name, currency, time_zone, created_at)
VALUES (%(id)s, %(id)s, 'Acme', 'USD', 'UTC', now())
"""
TECHNICIAN = """
INSERT INTO technician (id, name, lat, lon, languages, time_zone, duty, calendar_version, created_at, version)
VALUES ('ada', 'Ada', 0, 0, '[]', 'UTC', 'off_duty', 1, now(), 1)
"""


def plain(url: str) -> str:
    return psycopg_dsn(make_url(url))


def test_what_the_processes_of_a_parallel_run_counted_is_added_up() -> None:
    machine, other = Machine(), Machine()
    machine.ran["sqlite"] = 2
    other.ran.update({"sqlite": 1, "postgresql": 4})
    other.left_out["chromium"] = 3

    machine.add(other.counts())

    assert machine.ran == {"sqlite": 3, "postgresql": 4}
    assert machine.left_out == {"chromium": 3}


def test_the_clock_moves_only_when_told() -> None:
    clock = FakeClock(datetime(2027, 3, 2, 13, 0, tzinfo=UTC))

    told = clock.advance(hours=1, seconds=30)

    assert clock() == clock.now() == told == datetime(2027, 3, 2, 14, 0, 30, tzinfo=UTC)


def test_the_clock_refuses_an_instant_without_a_zone() -> None:
    clock = FakeClock()

    with pytest.raises(ValueError, match="aware"):
        clock.move_to(datetime(2027, 3, 2, 13, 0))  # noqa: DTZ001


def test_what_is_missing_is_looked_for_once_and_named_with_its_remedy(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    searches = []

    def find_nothing(_: ExitStack) -> None:
        searches.append("chromium")
        raise LeftOut("no browser is on PATH", "Chromium")

    monkeypatch.setitem(FINDERS, "chromium", find_nothing)
    machine = Machine()
    request.node.add_marker("chromium")

    for _ in range(2):
        with pytest.raises(pytest.skip.Exception, match="no browser is on PATH"):
            machine.require(request.node)

    assert searches == ["chromium"]
    assert machine.account() == [
        "chromium: 2 tests left out, because no browser is on PATH",
        "    to run them: Chromium",
    ]
