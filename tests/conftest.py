"""Fixtures for every test: a database of one's own, a clock that is set, the application and a client.

`database_url` (and with it `session`, `app` and `client`) runs a test once on SQLite and once on PostgreSQL.
What this machine lacks is left out, counted, and named at the end of the run.
"""

import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
import structlog
from flask import Flask
from hypothesis import settings as properties
from sqlalchemy import Engine
from sqlmodel import Session

from dispatch.database import open_engine, open_session
from dispatch.settings import PREFIX, Settings
from tests.support.client import ApiClient
from tests.support.clock import FakeClock
from tests.support.databases import PostgresqlDatabase, copied_sqlite, migrated_sqlite_file
from tests.support.examples import PROFILE, examples
from tests.support.machine import FIXTURES, Machine
from tests.support.services import NYC311_VARIABLE

# HYPOTHESIS_PROFILE=fixed tries the same examples each time, so that a run that failed can be had again; nightly tries
# others each time, and many more.
properties.register_profile("fixed", derandomize=True)
properties.register_profile("nightly", max_examples=examples(100), deadline=None, print_blob=True)
properties.load_profile(PROFILE)

MACHINE = pytest.StashKey[Machine]()
SECRET = "a secret for tests, longer than 32 characters"


def pytest_configure(config: pytest.Config) -> None:
    config.stash[MACHINE] = Machine()


def pytest_unconfigure(config: pytest.Config) -> None:
    config.stash[MACHINE].resources.close()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config: pytest.Config) -> None:
    config.stash[MACHINE].share()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """A process of a parallel run has ended; one that crashed leaves no account."""
    told = getattr(node, "workeroutput", {}).get("machine")
    if told is not None:
        node.config.stash[MACHINE].add(told)


def pytest_sessionfinish(session: pytest.Session) -> None:
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["machine"] = session.config.stash[MACHINE].counts()


def pytest_itemcollected(item: pytest.Item) -> None:
    for fixture, marker in FIXTURES.items():
        if fixture in getattr(item, "fixturenames", ()):
            item.add_marker(marker)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    item.config.stash[MACHINE].require(item)


def pytest_runtest_call(item: pytest.Item) -> None:
    machine = item.config.stash[MACHINE]
    machine.ran.update(str(name) for key, name in item.user_properties if key == "database")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    machine = config.stash[MACHINE]
    terminalreporter.section("left out on this machine")
    for line in machine.account():
        terminalreporter.write_line(line)
    terminalreporter.section("databases")
    terminalreporter.write_line(machine.databases())


@pytest.fixture(scope="session")
def machine(pytestconfig: pytest.Config) -> Machine:
    return pytestconfig.stash[MACHINE]


@pytest.fixture(scope="session", autouse=True)
def _settings_of_tests_alone() -> Iterator[None]:
    """What the developer has set for an installation must not decide a test."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        for name in list(os.environ):
            if name.startswith(PREFIX) and not name.startswith("DISPATCH_TEST_") and name != NYC311_VARIABLE:
                monkeypatch.delenv(name)
        yield


@pytest.fixture(autouse=True)
def _logs_go_where_they_went() -> Iterator[None]:
    """What one test configures would write to a stream that is closed in the next."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return migrated_sqlite_file(tmp_path_factory.mktemp("sqlite"))


@pytest.fixture(scope="session")
def _postgresql_database(machine: Machine) -> Iterator[PostgresqlDatabase]:
    database = PostgresqlDatabase(machine.find("postgresql"))
    yield database
    database.drop()


@pytest.fixture
def sqlite_url(request: pytest.FixtureRequest, _sqlite_template: Path, tmp_path: Path) -> str:
    """URL of a migrated, empty SQLite database."""
    request.node.user_properties.append(("database", "sqlite"))
    return copied_sqlite(_sqlite_template, tmp_path)


@pytest.fixture
def postgresql_url(request: pytest.FixtureRequest, _postgresql_database: PostgresqlDatabase) -> Iterator[str]:
    """URL of a migrated, empty PostgreSQL database."""
    request.node.user_properties.append(("database", "postgresql"))
    with _postgresql_database.lent() as url:
        yield url


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def database_url(request: pytest.FixtureRequest) -> str:
    """URL of a migrated, empty database: the test runs once on SQLite and once on PostgreSQL."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """An engine on `database_url`, for tests that open several sessions."""
    opened = open_engine(database_url)
    yield opened
    opened.dispose()


@pytest.fixture
def session(engine: Engine) -> Iterator[Session]:
    """A session on `database_url`; what it does not commit is rolled back."""
    with open_session(engine) as opened:
        yield opened


@pytest.fixture
def clock() -> FakeClock:
    """Stands at Tuesday 2027-03-02 13:00 UTC until the test moves it."""
    return FakeClock()


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    """An installation on `database_url`, alone in a directory of its own, that limits nobody."""
    return Settings(database_url=database_url, data_dir=tmp_path / "var", secret=SECRET, rate_limits=False)


@pytest.fixture
def app(settings: Settings, clock: FakeClock) -> Iterator[Flask]:
    """The application on `settings` and `clock`. Imported here: the optimizer's tests need no web."""
    from api.app import create_app
    from api.auth import await_uses
    from api.context import installation

    created = create_app(settings, clock=clock)
    created.test_client_class = ApiClient
    yield created
    await_uses()
    with created.app_context():
        installation().engine.dispose()


@pytest.fixture
def client(app: Flask) -> ApiClient:
    """A caller without cookies or key: pass `key=` to each call."""
    opened = app.test_client()
    assert isinstance(opened, ApiClient)
    return opened


@pytest.fixture
def redis_url(machine: Machine) -> str:
    """URL of a Redis database that others may use too: keep to keys that begin with `redis_prefix`."""
    url: str = machine.find("redis")
    return url


@pytest.fixture
def redis_prefix(redis_url: str) -> Iterator[str]:
    """Begins every key of the test; these keys are deleted after it."""
    prefix = f"dispatch_test_{secrets.token_hex(6)}:"
    yield prefix
    with redis.Redis.from_url(redis_url) as client:
        for key in client.scan_iter(f"{prefix}*"):
            client.delete(key)


@pytest.fixture
def chromium(machine: Machine) -> Path:
    """Path of the browser, for Playwright's `executable_path`."""
    path: Path = machine.find("chromium")
    return path


@pytest.fixture
def nyc311_file(machine: Machine) -> Path:
    """The real day of calls."""
    path: Path = machine.find("nyc311")
    return path
