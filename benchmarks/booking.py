"""Slots and bookings over HTTP in a busy organization: `python -m benchmarks.booking`.

The world: freelancers of a generated New York, at work on every day, and days of generated calls, each planned and
promised by a plan run. A real `dispatch serve` on loopback, on a new SQLite database and, where one is named or runs
here, on a new PostgreSQL one. Clients in this same process share the cores with it.

First customers ask for the slots of five days while others book at a steady rate; then as many bookings a second as the
clients can make, each of a slot asked for before.
"""

import itertools
import os
import random
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine
from sqlmodel import col, select

from benchmarks.story import LOCAL_POSTGRESQL, Client, Tally, databases, serving
from dispatch.appointment import Appointment
from dispatch.database import open_engine, transaction, upgrade
from dispatch.events import SYSTEM
from dispatch.intake import NewCustomer, NewRequest, register
from dispatch.keys import issue_key
from dispatch.organization import Organization, create_organization, organization_by_slug
from dispatch.places import Place
from dispatch.plan_run import PlanStatus
from dispatch.replanning import PlanOptions, request_plan
from dispatch.settings import Settings
from dispatch.territory import territories
from dispatch.worker import see_through
from seed.calls import Call
from seed.city import Freelancer, generate_calls, generate_freelancers
from seed.load import ensure_services, load_calls, load_freelancers

BARE_CALLS = 200
"""Of the same server alone, by which the other figures of a run can be judged on machines that differ in speed."""
AS_FAST = "book as fast as it goes"
FREELANCERS_AT_A_TIME = 125
"""Fewer than `generate_freelancers` has telephone numbers for."""


@dataclass(frozen=True, slots=True)
class Size:
    technicians: int
    visits: int
    days: int
    plan_s: float


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that is registered and not booked, and the key of its customer."""

    request_id: str
    token: str


def freelancers(day: date, count: int) -> list[Freelancer]:
    """As many as asked for, with an address each."""
    made: list[Freelancer] = []
    for seed in itertools.count():
        left = min(FREELANCERS_AT_A_TIME, count - len(made))
        if left == 0:
            return made
        some = generate_freelancers(day, count=left, seed=seed)
        made += [replace(each, email=f"{each.id}-{seed}@example.com") for each in some]
    raise AssertionError


def build(url: str, size: Size, first: date, say: Callable[[str], None]) -> None:
    """An organization with its freelancers and its promised visits."""
    upgrade(url)
    engine, settings, now = open_engine(url), Settings(database_url=url), datetime.now(UTC)
    with transaction(engine) as session:
        session.expire_on_commit = False
        organization = create_organization(
            session, slug="bench", name="Bench", currency="USD", time_zone="America/New_York", now=now
        )
    load_freelancers(engine, organization, freelancers(first, size.technicians), now)
    for offset in range(size.days):
        day = first + timedelta(days=offset)
        load_calls(engine, organization, calls(day, size.visits // size.days, f"{offset}"), SYSTEM, now)
        with transaction(engine) as session:
            territory = territories(session, organization.id)[0]
            run_id = request_plan(session, territory, day, PlanOptions(size.plan_s), SYSTEM, now).id
        run = see_through(engine, settings, run_id, lambda _: None)
        if run.status is not PlanStatus.DONE:
            raise RuntimeError(run.error or f"the plan of {day} was {run.status.value}")
        say(f"  {day}: {promised(engine)} visits promised so far")


def calls(day: date, count: int, name: str) -> list[Call]:
    """Calls whose ids differ from those of other names."""
    made = generate_calls(day, count=count, seed=hash_of(name))
    return [replace(call, id=f"{name}-{call.id}") for call in made]


def hash_of(name: str) -> int:
    return random.Random(name).randrange(2**30)


def promised(engine: Engine) -> int:
    with transaction(engine) as session:
        return len(
            session.exec(select(Appointment.id).where(col(Appointment.window_start).is_not(None))).all()
        )


def ask_many(engine: Engine, organization: Organization, count: int, day: date) -> list[Asked]:
    """New requests without bounds of time, each with its customer's key."""
    now = datetime.now(UTC)
    with transaction(engine) as session:
        made = calls(day, count, "asked")
        service_ids = ensure_services(session, organization, [call.service for call in made], now)
        asked = []
        for call in made:
            new = NewRequest(
                service_id=service_ids[call.service.key],
                customer=NewCustomer(name=call.customer_name, phone=call.customer_phone),
                place=Place(call.lat, call.lon, call.address),
            )
            request, _ = register(session, organization.id, new, SYSTEM, now)
            _, token = issue_key(
                session, "customer", organization_id=organization.id, service_request_id=request.id, now=now
            )
            asked.append(Asked(request.id, token))
    return asked


def slots_of(client: Client, name: str, asked: Asked, first: date, days: int) -> list[dict[str, Any]]:
    last = first + timedelta(days=days - 1)
    path = f"/v1/service-requests/{asked.request_id}/slots?from={first}&to={last}"
    items: list[dict[str, Any]] = client.call(name, "GET", path, key=asked.token)["items"]
    return items


def book(client: Client, name: str, asked: Asked, slot_id: str) -> None:
    body = {"service_request_id": asked.request_id, "slot_id": slot_id}
    client.call(name, "POST", "/v1/appointments", body, key=asked.token)


def side_by_side(work: Callable[[int], None], clients: int) -> float:
    """Runs it in so many threads, each with its number; gives back the seconds until the last ended."""
    threads = [threading.Thread(target=work, args=(number,)) for number in range(clients)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - began


def ask_while_booking(
    port: int, tally: Tally, waiting: Iterator[Asked], first: date, days: int, load: "Load"
) -> float:
    """Customers ask for slots, each with a pause; one thread books at a steady rate meanwhile. Gives back the
    seconds."""
    deadline = time.monotonic() + load.seconds

    def ask(number: int) -> None:
        client, mine = Client(port, tally), next(waiting)
        time.sleep(number * load.pause_s / load.askers)
        while time.monotonic() < deadline:
            slots_of(client, "slots", mine, first, days)
            time.sleep(load.pause_s)

    def keep_booking() -> None:
        client = Client(port, tally)
        due = time.monotonic()
        while (due := due + 1 / load.bookings_per_s) < deadline:
            mine = next(waiting)
            items = slots_of(client, "slots of who books", mine, first, days)
            time.sleep(max(0.0, due - time.monotonic()))
            try_to_book(client, "book", mine, items)

    return side_by_side(lambda number: keep_booking() if number == 0 else ask(number), load.askers + 1)


def try_to_book(client: Client, name: str, asked: Asked, items: Sequence[dict[str, Any]]) -> None:
    try:
        book(client, name, asked, random.Random(asked.request_id).choice(items[:20])["slot_id"])
    except (RuntimeError, IndexError) as error:
        with client.tally.lock:
            client.tally.refused.append(str(error)[:60])


def book_all(
    port: int, tally: Tally, ready: Sequence[tuple[Asked, list[dict[str, Any]]]], clients: int
) -> float:
    """All of them as fast as it goes. Gives back the seconds."""
    mine = iter(ready)

    def work(_: int) -> None:
        client = Client(port, tally)
        while True:
            with tally.lock:
                task = next(mine, None)
            if task is None:
                return
            try_to_book(client, AS_FAST, *task)

    return side_by_side(work, clients)


@dataclass(frozen=True, slots=True)
class Load:
    """askers: customers who ask for slots, each with `pause_s` between. bookings_per_s: meanwhile. clients: who book as
    fast as it goes, `bookings` in all."""

    seconds: float
    askers: int
    pause_s: float
    bookings_per_s: float
    clients: int
    bookings: int


def measure(url: str, size: Size, load: Load, workers: int, first: date) -> Table:
    """On a database that `build` made."""
    engine = open_engine(url)
    with transaction(engine) as session:
        session.expire_on_commit = False
        organization = organization_by_slug(session, "bench")
    meanwhile = int(load.seconds * load.bookings_per_s)
    asked = ask_many(engine, organization, load.bookings + meanwhile + load.askers + 100, first)
    before, tally, waiting = promised(engine), Tally(), iter(asked)
    with serving(url, "--workers", str(workers)) as (port, _):
        warm = Client(port, Tally())
        for _ in range(4 * workers):
            slots_of(warm, "warm", next(waiting), first, size.days)
        bare = Client(port, tally)
        for _ in range(BARE_CALLS):
            bare.call("bare call, GET /healthz", "GET", "/healthz")
        ask_while_booking(port, tally, waiting, first, size.days, load)
        warm, chosen = Client(port, Tally()), [next(waiting) for _ in range(load.bookings)]
        ready = [(each, slots_of(warm, "choose", each, first, size.days)) for each in chosen]
        took_s = book_all(port, tally, ready, load.clients)
    rate = len(tally.times_ms.get(AS_FAST, [])) / took_s
    return as_table(tally, f"{before} visits promised; {rate:,.0f} bookings/s as fast as it goes")


def as_table(tally: Tally, title: str) -> Table:
    table = Table("call", "count", "p50 ms", "p95 ms", "p99 ms", title=title)
    for name, times in tally.times_ms.items():
        cuts = statistics.quantiles(times, n=100) if len(times) > 1 else [times[0]] * 99
        table.add_row(name, str(len(times)), *(f"{cuts[at]:.1f}" for at in (49, 94, 98)))
    for refusal in sorted(set(tally.refused)):
        table.add_row(f"refused: {refusal}", str(tally.refused.count(refusal)), "", "", "")
    return table


@click.command()
@click.option("--technicians", type=click.IntRange(1), default=500, show_default=True)
@click.option("--visits", type=click.IntRange(1), default=4000, show_default=True)
@click.option("--days", type=click.IntRange(1, 14), default=5, show_default=True)
@click.option("--plan-s", type=float, default=5.0, show_default=True, help="Of each day's plan.")
@click.option("--seconds", type=float, default=20.0, show_default=True, help="Of asking for slots.")
@click.option("--askers", type=click.IntRange(1), default=10, show_default=True)
@click.option("--pause-s", type=float, default=0.5, show_default=True)
@click.option("--bookings-per-s", type=float, default=10.0, show_default=True)
@click.option("--clients", type=click.IntRange(1), default=8, show_default=True)
@click.option("--bookings", type=click.IntRange(1), default=1000, show_default=True)
@click.option(
    "--workers", type=click.IntRange(1), default=1, show_default=True, help="Processes of the server."
)
@click.option(
    "--postgresql", default=LOCAL_POSTGRESQL, show_default=True, help="Where a database may be made."
)
def main(
    technicians: int, visits: int, days: int, plan_s: float, seconds: float, askers: int, pause_s: float,
    bookings_per_s: float, clients: int, bookings: int, workers: int, postgresql: str,
) -> None:  # fmt: skip
    """Print the times of slots and bookings."""
    out = Console()
    size = Size(technicians, visits, days, plan_s)
    first = (datetime.now(UTC) + timedelta(days=2)).date()
    load = Load(seconds, askers, pause_s, bookings_per_s, clients, bookings)
    with databases(postgresql) as measured:
        for name, url in measured:
            out.print(
                f"{name}: {technicians} freelancers, {visits} calls over {days} days; {askers} customers ask for the "
                f"slots of all days every {pause_s:g} s, {bookings_per_s:g} bookings a second meanwhile; "
                f"{workers} server processes, {os.cpu_count()} cores with the clients"
            )
            build(url, size, first, out.print)
            out.print(measure(url, size, load, workers, first))
    if len(measured) == 1:
        out.print("PostgreSQL left out: none answers at --postgresql")


if __name__ == "__main__":
    main()
