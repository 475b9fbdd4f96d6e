"""What this machine offers the tests, and the account of what was left out for want of it."""

import os
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.support.services import (
    POSTGRESQL_URL_VARIABLE,
    REDIS_URL_VARIABLE,
    LeftOut,
    PostgresqlServer,
    find_chromium,
    find_nyc311,
    find_postgresql,
    find_redis,
    psycopg_dsn,
)

FINDERS: dict[str, Callable[[ExitStack], Any]] = {
    "postgresql": find_postgresql,
    "redis": find_redis,
    "chromium": find_chromium,
    "nyc311": find_nyc311,
}
"""By marker; a test that carries the marker runs only if its finder finds something."""

FIXTURES = {
    "postgresql_url": "postgresql",
    "redis_url": "redis",
    "chromium": "chromium",
    "nyc311_file": "nyc311",
}
"""A test that takes the fixture carries the marker."""


@dataclass
class Machine:
    """Looks for each kind at most once. `ran` counts tests by database, `left_out` by kind."""

    resources: ExitStack = field(default_factory=ExitStack)
    ran: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    _found: dict[str, Any] = field(default_factory=dict)

    def find(self, kind: str) -> Any:
        """What the kind's finder found. Raises `LeftOut`, the same each time, if it found nothing."""
        if kind not in self._found:
            try:
                self._found[kind] = FINDERS[kind](self.resources)
            except LeftOut as absent:
                self._found[kind] = absent
        found = self._found[kind]
        if isinstance(found, LeftOut):
            raise found
        return found

    def share(self) -> None:
        """Looks for every kind before the processes of a parallel run begin, and names the servers to them: each would
        start its own."""
        for kind in FINDERS:
            with suppress(LeftOut):
                self.find(kind)
        if isinstance(server := self._found["postgresql"], PostgresqlServer):
            os.environ[POSTGRESQL_URL_VARIABLE] = psycopg_dsn(server.url)
        if isinstance(url := self._found["redis"], str):
            os.environ[REDIS_URL_VARIABLE] = url

    def counts(self) -> dict[str, dict[str, int]]:
        """What a process of a parallel run tells at its end."""
        return {"ran": dict(self.ran), "left_out": dict(self.left_out)}

    def add(self, counts: dict[str, dict[str, int]]) -> None:
        """Takes over what another process counted."""
        self.ran.update(counts["ran"])
        self.left_out.update(counts["left_out"])

    def require(self, item: pytest.Item) -> None:
        """Skips the test, and counts it, if it needs a kind that is not here."""
        for kind in FINDERS:
            if item.get_closest_marker(kind) is None:
                continue
            try:
                self.find(kind)
            except LeftOut as absent:
                self.left_out[kind] += 1
                pytest.skip(f"{kind} left out: {absent.why}")

    def account(self) -> list[str]:
        """Lines for the end of the run: what was left out, why, and what to install."""
        lines = []
        for kind, tests in sorted(self.left_out.items()):
            absent = self._found[kind]
            lines.append(f"{kind}: {tests} test{'s' if tests > 1 else ''} left out, because {absent.why}")
            lines.append(f"    to run them: {absent.remedy}")
        if not self.left_out:
            lines.append("nothing")
        return lines

    def databases(self) -> str:
        """How many tests ran on which database."""
        server = self._found.get("postgresql")
        label = server.label if isinstance(server, PostgresqlServer) else "PostgreSQL"
        return f"{self.ran['sqlite']} tests ran on SQLite, {self.ran['postgresql']} on {label}"
