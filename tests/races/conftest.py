"""A city that is served as in an installation: gunicorn, with two processes that share nothing but the database."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from dispatch.database import open_engine
from dispatch.settings import Settings
from tests.races.city import City, build_city
from tests.support.databases import PostgresqlDatabase, copied_sqlite
from tests.support.machine import Machine
from tests.support.serving import served


@pytest.fixture(scope="session", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def _served_city(
    request: pytest.FixtureRequest,
    machine: Machine,
    tmp_path_factory: pytest.TempPathFactory,
    _sqlite_template: Path,
) -> Iterator[City]:
    """For all races on one kind of database: to start the server takes longer than most of them."""
    directory = tmp_path_factory.mktemp("city")
    with ExitStack() as opened:
        if request.param == "sqlite":
            url = copied_sqlite(_sqlite_template, directory)
        else:
            database = PostgresqlDatabase(machine.find("postgresql"))
            opened.callback(database.drop)
            url = opened.enter_context(database.lent())
        settings = Settings(
            database_url=url,
            data_dir=directory,
            secret="a secret of the city, of 32 characters",
            rate_limits=False,
        )
        engine = open_engine(url)
        opened.callback(engine.dispose)
        city = build_city(engine, settings)
        city.url = opened.enter_context(served(settings, "--workers", "2")).url
        yield city


@pytest.fixture
def city(request: pytest.FixtureRequest, _served_city: City) -> Iterator[City]:
    """With all calendars empty."""
    request.node.user_properties.append(("database", _served_city.engine.dialect.name))
    yield _served_city
    _served_city.clear()
