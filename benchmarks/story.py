"""Calls per second of a customer's story over HTTP: `python -m benchmarks.story`.

A real `dispatch serve` on loopback, on a new SQLite database and, where one is named or runs here, on a new PostgreSQL
one. Clients in this same process register a request, ask for slots, book, read and track, each story anew; the server
and the clients share the cores.
"""

import http.client
import json
import os
import secrets
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
import psycopg
from rich.console import Console
from rich.table import Table
from sqlalchemy import make_url

LOCAL_POSTGRESQL = "postgresql://postgres@127.0.0.1:5432/postgres"
START_WITHIN_S = 60
CENTER = {"lat": 40.73, "lon": -73.95}


@dataclass
class Tally:
    """Milliseconds of each call by its name, and what was refused."""

    times_ms: dict[str, list[float]] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


class Client:
    """One caller on one connection that is kept."""

    def __init__(self, port: int, tally: Tally, key: str | None = None) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self.tally = tally
        self.key = key

    def call(self, name: str, method: str, path: str, body: Any = None, key: str | None = None) -> Any:
        """The answer's JSON. Raises `RuntimeError` for anything but 2xx."""
        headers = {"Content-Type": "application/json"} if body is not None else {}
        if key or self.key:
            headers["Authorization"] = f"Bearer {key or self.key}"
        began = time.perf_counter()
        self._connection.request(method, path, json.dumps(body) if body is not None else None, headers)
        answer = self._connection.getresponse()
        content = answer.read()
        took_ms = (time.perf_counter() - began) * 1000
        if answer.status >= 300:
            raise RuntimeError(f"{name}: {answer.status} {content[:200]!r}")
        with self.tally.lock:
            self.tally.times_ms.setdefault(name, []).append(took_ms)
        return json.loads(content)


@contextmanager
def served(url: str) -> Iterator[tuple[int, str]]:
    """A server on the database; its port and a dispatcher's key."""
    with serving(url) as (port, ours):
        ours(
            "organizations",
            "create",
            "bench",
            "--name",
            "Bench",
            "--currency",
            "USD",
            "--time-zone",
            "America/New_York",
        )
        yield port, ours("keys", "create", "--organization", "bench", "--role", "dispatcher").splitlines()[-1]


@contextmanager
def serving(url: str, *options: str) -> Iterator[tuple[int, Callable[..., str]]]:
    """A server on the database, with these options of `dispatch serve`; its port, and the command line on the same
    database."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {
            "DISPATCH_DATABASE_URL": url,
            "DISPATCH_DATA_DIR": folder,
            "DISPATCH_RATE_LIMITS": "off",
            "DISPATCH_LOG_LEVEL": "error",
        }
        command = [sys.executable, "-m", "api.cli"]

        def ours(*arguments: str) -> str:
            return subprocess.check_output([*command, *arguments], env=environment, text=True).strip()

        server = subprocess.Popen(
            [*command, "serve", "--port", str(port), *options], env=environment, stderr=subprocess.DEVNULL
        )
        try:
            _await(port)
            yield port, ours
        finally:
            server.terminate()
            server.wait(30)


def _await(port: int) -> None:
    deadline = time.monotonic() + START_WITHIN_S
    while time.monotonic() < deadline:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
            connection.request("GET", "/readyz")
            if connection.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError(f"the server was not ready within {START_WITHIN_S} s")


def world(client: Client, technicians: int, day: datetime) -> str:
    """A territory, a service and technicians at work on `day`. Gives back the service's id."""
    client.call(
        "set up",
        "POST",
        "/v1/territories",
        {
            "name": "City",
            "time_zone": "America/New_York",
            "center": CENTER,
            "radius_m": 50_000,
        },
    )
    service = client.call(
        "set up",
        "POST",
        "/v1/services",
        {
            "name": "Leak",
            "duration_s": 1800,
            "required_skills": [{"skill": "plumbing", "min_level": 1}],
            "price": {"amount": 9000, "currency": "USD"},
        },
    )
    for number in range(technicians):
        home = around_center(0.1 * ((number * 7) % 11 - 5) / 5, 0.1 * ((number * 5) % 11 - 5) / 5)
        joined = client.call(
            "set up",
            "POST",
            "/v1/technicians",
            {
                "organization": "bench",
                "name": f"Technician {number}",
                "phone": f"+1212555{number:04d}",
                "email": f"technician{number}@example.com",
                "kind": "freelancer",
                "home": home,
                "skills": [{"skill": "plumbing", "level": 3}],
            },
        )
        technician = joined["technician"]["id"]
        client.call("set up", "POST", f"/v1/technicians/{technician}/approve", {})
        client.call(
            "set up",
            "POST",
            f"/v1/technicians/{technician}/shifts",
            {
                "starts_at": day.isoformat(),
                "ends_at": (day + timedelta(hours=9)).isoformat(),
            },
            key=joined["api_key"],
        )
    return str(service["id"])


def around_center(north: float, east: float) -> dict[str, float]:
    """A place so many degrees from the centre."""
    return {"lat": CENTER["lat"] + north, "lon": CENTER["lon"] + east}


def story(client: Client, service_id: str, day: datetime, number: int) -> None:
    """A customer's calls, from the request to the tracking page."""
    place = around_center(0.08 * ((number * 13) % 17 - 8) / 8, 0.08 * ((number * 11) % 19 - 9) / 9)
    made = client.call(
        "request",
        "POST",
        "/v1/service-requests",
        {
            "organization": "bench",
            "service_id": service_id,
            "customer": {"name": f"Customer {number}"},
            "place": place,
        },
    )
    token, request_id = made["manage_token"], made["service_request"]["id"]
    date = day.date().isoformat()
    slots = client.call(
        "slots", "GET", f"/v1/service-requests/{request_id}/slots?from={date}&to={date}", key=token
    )
    if not slots["items"]:
        raise RuntimeError("no slot is left: give more --technicians")
    choice = slots["items"][number % len(slots["items"])]["slot_id"]
    body = {"service_request_id": request_id, "slot_id": choice}
    booked = client.call("book", "POST", "/v1/appointments", body, key=token)
    client.call("read", "GET", f"/v1/appointments/{booked['appointment']['id']}", key=token)
    client.call("track", "GET", f"/v1/track/{booked['tracking_token']}")


def run(url: str, clients: int, stories: int, technicians: int) -> tuple[Tally, float]:
    """The tally of all stories and how long they took together, in seconds."""
    day = (datetime.now(UTC) + timedelta(days=3)).replace(hour=13, minute=0, second=0, microsecond=0)
    with served(url) as (port, key):
        service_id = world(Client(port, Tally(), key), technicians, day)
        tally = Tally()
        numbers = iter(range(stories))

        def work() -> None:
            client = Client(port, tally)
            while True:
                with tally.lock:
                    number = next(numbers, None)
                if number is None:
                    return
                try:
                    story(client, service_id, day, number)
                except RuntimeError as error:
                    with tally.lock:
                        tally.refused.append(str(error))

        threads = [threading.Thread(target=work) for _ in range(clients)]
        began = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return tally, time.perf_counter() - began


@contextmanager
def databases(postgresql: str) -> Iterator[list[tuple[str, str]]]:
    """Name and URL of each database to measure; the PostgreSQL one is made for this and dropped."""
    name = f"dispatch_bench_{secrets.token_hex(4)}"
    with tempfile.TemporaryDirectory() as folder:
        found = [("SQLite", f"sqlite:///{Path(folder) / 'bench.sqlite3'}")]
        try:
            server = psycopg.connect(postgresql, autocommit=True, connect_timeout=3)
        except psycopg.OperationalError:
            yield found
            return
        with server:
            server.execute(f'CREATE DATABASE "{name}"')
            try:
                yield [*found, ("PostgreSQL", _with_driver(postgresql.rsplit("/", 1)[0] + "/" + name))]
            finally:
                server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def _with_driver(url: str) -> str:
    """As `dispatch` names it to itself."""
    return make_url(url).set(drivername="postgresql+psycopg").render_as_string(hide_password=False)


@click.command()
@click.option("--clients", type=click.IntRange(1), default=8, show_default=True)
@click.option("--stories", type=click.IntRange(1), default=300, show_default=True)
@click.option("--technicians", type=click.IntRange(1), default=40, show_default=True)
@click.option(
    "--postgresql", default=LOCAL_POSTGRESQL, show_default=True, help="Where a database may be made."
)
def main(clients: int, stories: int, technicians: int, postgresql: str) -> None:
    """Print calls per second and the times of each call."""
    out = Console()
    with databases(postgresql) as measured:
        for name, url in measured:
            tally, took_s = run(url, clients, stories, technicians)
            out.print(as_table(name, tally, took_s, clients, technicians))
            for refusal in sorted(set(tally.refused)):
                out.print(f"  refused {tally.refused.count(refusal)} times: {refusal}")
    if len(measured) == 1:
        out.print("PostgreSQL left out: none answers at --postgresql")


def as_table(name: str, tally: Tally, took_s: float, clients: int, technicians: int) -> Table:
    calls = sum(len(times) for times in tally.times_ms.values())
    title = (
        f"{name}: {calls / took_s:,.0f} calls/s, {len(tally.times_ms['book']) / took_s:,.0f} bookings/s "
        f"({clients} clients, {technicians} technicians, {os.cpu_count()} cores with the clients)"
    )
    table = Table("call", "count", "p50 ms", "p95 ms", title=title)
    for call, times in tally.times_ms.items():
        p95 = statistics.quantiles(times, n=20)[-1] if len(times) > 1 else times[0]
        table.add_row(call, str(len(times)), f"{statistics.median(times):.1f}", f"{p95:.1f}")
    return table


if __name__ == "__main__":
    main()
