"""The process that delivers webhooks is killed twenty times, and the endpoint fails three times in ten: everything that
was committed arrives, with its id."""

import multiprocessing
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_network

import pytest
from sqlalchemy import Engine
from sqlmodel import Session, col, func, select

from dispatch import webhook_endpoints
from dispatch.database import transaction
from dispatch.events import SYSTEM, record
from dispatch.settings import Settings
from dispatch.webhook import DeliveryStatus, WebhookDelivery
from tests.dispatch.world import NOW, World
from tests.support.gateways import running
from tests.support.webhooks import Receiver, deliver_for_ever, unreliable

EVENTS, ROLLED_BACK = 2_000, 50
KILLS = 20
SEED = 7
TIMEOUT_S = 0.25
SPEED = 60.0
"""The clock of who sends runs a minute a second: a lease is two seconds."""
BETWEEN_KILLS = timedelta(hours=1)
AFTERWARDS = timedelta(hours=6)
ABOUT_TO_BE_SENT = timedelta(minutes=4)
"""What is due by then is on its way, or is tried again after the first pause."""
WITHIN_S = 600.0
EVENT = "appointment.cannot_complete"


@dataclass
class Killing:
    settings: Settings
    engine: Engine
    receiver: Receiver
    deadline: float

    def deliver(self, at: datetime, until: Callable[[], bool]) -> None:
        """A process of its own, by a clock that starts then, killed as soon as that has come."""
        processes = multiprocessing.get_context("forkserver")
        process = processes.Process(target=deliver_for_ever, args=(self.settings, at, SPEED))
        process.start()
        try:
            while not until():
                assert process.is_alive(), "the sender ended by itself"
                assert time.monotonic() < self.deadline, "the sender is stuck"
                time.sleep(0.02)
        finally:
            process.kill()
            process.join()

    def pending(self, due_by: datetime | None = None) -> int:
        query = select(func.count()).where(WebhookDelivery.status == DeliveryStatus.PENDING)
        if due_by is not None:
            query = query.where(col(WebhookDelivery.due_at) <= due_by)
        with Session(self.engine) as session:
            return session.exec(query).one()


@pytest.fixture
def killing(world: World, engine: Engine) -> Iterator[Killing]:
    multiprocessing.get_context("forkserver").set_forkserver_preload(["tests.support.webhooks"])
    receiver = Receiver()
    receiver.behaves = unreliable(SEED)
    allowed = {"webhook_allow": (ip_network("127.0.0.1/32"),), "webhook_timeout_s": TIMEOUT_S}
    settings = world.settings.model_copy(update=allowed)
    with running(receiver):
        yield Killing(settings, engine, receiver, time.monotonic() + WITHIN_S)


def test_everything_arrives_although_the_sender_is_killed_again_and_again(
    killing: Killing, world: World
) -> None:
    visit = world.job(world.service()).appointment.id
    _, secret = webhook_endpoints.create(
        world.session, killing.settings, world.organization.id, killing.receiver.url, [], SYSTEM, NOW
    )
    organization_id = world.organization.id
    world.session.commit()
    with transaction(killing.engine) as session:
        told = {record(session, organization_id, visit, EVENT, NOW, SYSTEM).id for _ in range(EVENTS)}
    with Session(killing.engine) as session:
        for _ in range(ROLLED_BACK):
            record(session, organization_id, visit, EVENT, NOW, SYSTEM)
        session.rollback()

    at = NOW
    for _ in range(KILLS):
        enough = len(killing.receiver.taken) + EVENTS // (KILLS + 2)
        killing.deliver(at, lambda enough=enough: len(killing.receiver.taken) >= enough)  # type: ignore[misc]
        at += BETWEEN_KILLS
    before_the_end = len(killing.receiver.taken)
    while killing.pending():
        soon = at + ABOUT_TO_BE_SENT
        killing.deliver(at, lambda soon=soon: not killing.pending(due_by=soon))  # type: ignore[misc]
        at += AFTERWARDS

    arrived = killing.receiver.arrived
    again = Counter(one.id for one in arrived if one.behaviour == 200).total() - EVENTS
    failed = sum(one.behaviour != 200 for one in arrived)
    assert before_the_end < EVENTS
    assert killing.receiver.taken == told, "each of them, and nothing else"
    assert again <= EVENTS // 10, (
        "again only what was on its way when its sender was killed, or answered too late"
    )
    assert failed > EVENTS // 4
    assert all(one.is_signed_by(secret) for one in arrived)
    with Session(killing.engine) as session:
        rows = session.exec(select(WebhookDelivery)).all()
    assert {row.status for row in rows} == {DeliveryStatus.DELIVERED}
    assert len(rows) == EVENTS
