"""The process that sends is killed, again and again, while messages go out to a real server.

What is in flight when it dies is sent again once its lease is over, everything else exactly once; nothing of a visit
that is cancelled meanwhile, nothing of what was never committed."""

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine
from sqlmodel import Session, func, select, update

from dispatch import booking, notifying
from dispatch.appointment import Appointment
from dispatch.customer import Customer
from dispatch.database import transaction
from dispatch.outbox import Kind, Notification, State
from dispatch.settings import PREFIX, Settings
from tests.dispatch.world import DISPATCHER, NOW, World, clock_time
from tests.support.gateways import HttpGateway
from tests.support.sender import promise

VISITS = 20
KILLED_AFTER = (3, 5, 9, 8)
"""So many more messages have arrived when it is killed."""
WITHIN_S = 120.0
MORNING = clock_time(9), clock_time(11)
EVENING = clock_time(18) - timedelta(days=1)
LEASE_IS_OVER = notifying.LEASE + timedelta(minutes=10)


@dataclass
class Killing:
    """Visits that are promised, with two messages due of each by the evening before; when each was cancelled, as the
    number of messages that had arrived."""

    settings: Settings
    engine: Engine
    gateway: HttpGateway
    visits: list[str]
    cancelled: dict[str, int]

    @contextmanager
    def process(self, *words: str) -> Iterator[subprocess.Popen[str]]:
        """Killed at the end."""
        said = {
            "database_url": self.settings.database_url,
            "data_dir": str(self.settings.data_dir),
            "secret": self.settings.secret.get_secret_value(),
            "channel": "apprise",
            "apprise_sms": f"json://{self.gateway.address}/{{to}}?:id={{id}}",
        }
        environment = os.environ | {f"{PREFIX}{name.upper()}": value for name, value in said.items()}
        command = [sys.executable, "-m", "tests.support.sender", *words]
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as running:
            try:
                yield running
            finally:
                running.kill()

    def send(self, at: datetime, until: Callable[[], bool]) -> None:
        """A sender by a clock that starts then, killed as soon as that has come."""
        patience = time.monotonic() + WITHIN_S
        with self.process("--at", at.isoformat()) as running:
            while not until():
                assert running.poll() is None, "the sender ended by itself"
                assert time.monotonic() < patience, "the sender is stuck"
                time.sleep(0.005)

    def has_nothing_left(self) -> bool:
        """Of what is due in the evening."""
        left = Notification.state == State.PENDING, Notification.kind != Kind.ON_THE_DAY
        with Session(self.engine) as session:
            return session.exec(select(func.count()).select_from(Notification).where(*left)).one() == 0

    def outbox(self) -> dict[str, Notification]:
        with Session(self.engine) as session:
            return {row.id: row for row in session.exec(select(Notification))}

    def arrived(self) -> list[Notification]:
        """What the gateway got, in order."""
        outbox = self.outbox()
        return [outbox[posted.fields["id"]] for posted in self.gateway.received]

    def cancel(self, visit: str, at: datetime) -> None:
        with transaction(self.engine) as session:
            booking.cancel(session, self.settings, session.get_one(Appointment, visit), DISPATCHER, at)
        self.cancelled[visit] = len(self.gateway.received)

    def cancel_two(self, at: datetime) -> None:
        """One whose message was in flight when the sender died, and one that had none yet or waits for another."""
        in_flight = self.arrived()[-1].appointment_id
        waiting = next(visit for visit in self.visits if visit not in (*self.cancelled, in_flight))
        for visit in {in_flight, waiting} - set(self.cancelled):
            self.cancel(visit, at)


@pytest.fixture
def killing(world: World, engine: Engine, gateway: HttpGateway) -> Killing:
    service = world.service()
    visits = [world.job(service).appointment.id for _ in range(VISITS)]
    everybody: Any = update(Customer)
    world.session.exec(everybody.values(phone="+12125550123"))
    world.session.commit()
    gateway.takes_s = 0.05
    return Killing(world.settings, engine, gateway, visits, {})


def test_messages_survive_the_death_of_whoever_sends_them(killing: Killing) -> None:
    for visit in killing.visits:
        with transaction(killing.engine) as session:
            promise(session, killing.settings, visit, MORNING, NOW)

    at = EVENING
    for more in KILLED_AFTER:
        enough = len(killing.gateway.received) + more
        killing.send(at, lambda enough=enough: len(killing.gateway.received) >= enough)  # type: ignore[misc]
        at += LEASE_IS_OVER
        killing.cancel_two(at)
    killing.send(at, killing.has_nothing_left)

    arrived = killing.arrived()
    times = Counter(row.id for row in arrived)
    told = {(row.appointment_id, row.kind) for row in arrived}
    assert len(killing.cancelled) > len(KILLED_AFTER)
    for visit in killing.visits:
        if visit in killing.cancelled:
            after = [row.kind for row in arrived[killing.cancelled[visit] :] if row.appointment_id == visit]
            assert set(after) == {Kind.CANCELLED}, "nothing else after a cancellation"
        else:
            assert {(visit, Kind.BOOKED), (visit, Kind.DAY_BEFORE)} <= told, "each at least once"
    assert times.total() - len(times) <= len(KILLED_AFTER), "again only what was in flight"
    assert {row.id for row in killing.outbox().values() if row.state is State.SENT} <= set(times)


def test_nothing_is_told_of_what_was_not_committed(killing: Killing) -> None:
    told, rolled_back, hung = killing.visits[:3]
    with Session(killing.engine) as session:
        promise(session, killing.settings, rolled_back, MORNING, NOW)
        session.rollback()
    with killing.process("--at", NOW.isoformat(), "--book", hung) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "promised\n"
    with transaction(killing.engine) as session:
        promise(session, killing.settings, told, MORNING, NOW)

    killing.send(EVENING, killing.has_nothing_left)

    assert {row.appointment_id for row in killing.arrived()} == {told}
