"""Webhooks from the event to the endpoint: what is written, when it is sent, what becomes of it."""

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, event
from sqlmodel import Session, col, select

from dispatch import webhook_endpoints
from dispatch.database import transaction
from dispatch.delivering import AT_ONCE, LEASE, Deliverer, settle, take_up
from dispatch.errors import InvalidState
from dispatch.events import SYSTEM, record
from dispatch.settings import Settings
from dispatch.webhook import (
    MOST_ATTEMPTS,
    PATIENCE,
    PAUSES,
    DeliveryStatus,
    DisabledWhy,
    EventType,
    WebhookDelivery,
    WebhookEndpoint,
    pause,
)
from dispatch.webhook_sending import Result
from dispatch.worker import Worker, run_due
from tests.dispatch.world import DISPATCHER, NOW, World
from tests.support.gateways import running
from tests.support.webhooks import Receiver

EVENT = EventType.APPOINTMENT_CANNOT_COMPLETE
OTHER = EventType.APPOINTMENT_ON_SITE
TAKEN, FAILED, GONE = Result(200, None), Result(500, "answered 500"), Result(410, "answered 410")


class Hooked:
    """A world with a visit, and a deliverer by a clock that is set. It holds ids and no rows: a session that reads a
    row again keeps SQLite's other writers out."""

    def __init__(self, world: World, engine: Engine, settings: Settings, receiver: Receiver) -> None:
        self.engine, self.settings, self.receiver = engine, settings, receiver
        self.now = NOW
        self.organization, self.other = world.organization.id, world.new_organization("other").id
        self.visit = world.job(world.service()).appointment.id
        self.deliverer = Deliverer(engine, settings, lambda: self.now)
        world.session.commit()

    def endpoint(self, *events: EventType, url: str | None = None, organization: str | None = None) -> str:
        """The id of a new one."""
        of, where = organization or self.organization, url or self.receiver.url
        with transaction(self.engine) as session:
            return webhook_endpoints.create(session, self.settings, of, where, events, DISPATCHER, self.now)[
                0
            ].id

    def happens(self, type_: str = EVENT, **members: Any) -> str:
        """The id of the event."""
        with transaction(self.engine) as session:
            return record(session, self.organization, self.visit, type_, self.now, SYSTEM, **members).id

    def attempt(self, result: Result, after: timedelta = timedelta(0)) -> None:
        """Whatever is due then comes back like this."""
        self.now += after
        with transaction(self.engine) as session:
            begun = take_up(session, self.now, 100, {})
        with transaction(self.engine) as session:
            settle(session, [(attempt, result) for attempt in begun], self.now)

    def deliveries(self) -> list[WebhookDelivery]:
        with Session(self.engine) as session:
            return list(session.exec(select(WebhookDelivery).order_by(col(WebhookDelivery.id))))

    def delivery(self) -> WebhookDelivery:
        (only,) = self.deliveries()
        return only

    def stored(self, endpoint: str) -> WebhookEndpoint:
        with Session(self.engine) as session:
            return session.get_one(WebhookEndpoint, endpoint)


@pytest.fixture
def hooked(world: World, engine: Engine, on_loopback: Settings, receiver: Receiver) -> Iterator[Hooked]:
    made = Hooked(world, engine, on_loopback, receiver)
    yield made
    made.deliverer.close()


# Written with the event


def test_an_event_reaches_whoever_asked_for_it(hooked: Hooked) -> None:
    hooked.endpoint()
    hooked.endpoint(OTHER, url=f"{hooked.receiver.url}/other")
    happened = hooked.happens(reason="Nobody at home.", after={"status": "cannot_complete"})

    assert hooked.deliverer.send_due() == 1

    (arrived,) = hooked.receiver.arrived
    assert arrived.id == happened
    assert arrived.path == "/hooks"
    assert arrived.body["type"] == EVENT
    assert datetime.fromisoformat(arrived.body["timestamp"]) == NOW
    data = arrived.body["data"]
    assert data["appointment_id"] == data["appointment"]["id"] == hooked.visit
    assert (data["by"], data["reason"], data["after"]) == (
        "system",
        "Nobody at home.",
        {"status": "cannot_complete"},
    )
    assert hooked.delivery().status is DeliveryStatus.DELIVERED


def test_nothing_is_sent_of_what_was_rolled_back(hooked: Hooked) -> None:
    hooked.endpoint()
    with Session(hooked.engine) as session:
        record(session, hooked.organization, hooked.visit, EVENT, NOW, SYSTEM)
        session.rollback()

    assert hooked.deliverer.send_due() == 0
    assert hooked.deliveries() == []


def test_what_nobody_may_ask_for_is_not_sent(hooked: Hooked) -> None:
    hooked.endpoint()

    hooked.happens("appointment.pinned")

    assert hooked.deliveries() == []


def test_another_organization_is_told_nothing(hooked: Hooked) -> None:
    hooked.endpoint(organization=hooked.other)

    hooked.happens()

    assert hooked.deliveries() == []


def test_an_endpoint_is_told_what_happens_after_it_was_made_in_the_same_transaction(hooked: Hooked) -> None:
    organization = hooked.organization
    with transaction(hooked.engine) as session:
        record(session, organization, hooked.visit, EVENT, NOW, SYSTEM)
        webhook_endpoints.create(
            session, hooked.settings, organization, hooked.receiver.url, [], DISPATCHER, NOW
        )
        told = record(session, organization, hooked.visit, EVENT, NOW, SYSTEM).id

    assert [row.event_id for row in hooked.deliveries()] == [told]


def test_an_organization_without_endpoints_pays_one_look_a_transaction(hooked: Hooked) -> None:
    looks: list[str] = []

    @event.listens_for(hooked.engine, "before_cursor_execute")
    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if "webhook" in statement:
            looks.append(statement)

    for _ in range(2):
        with transaction(hooked.engine) as session:
            for _ in range(3):
                record(session, hooked.organization, hooked.visit, EVENT, NOW, SYSTEM)
    with transaction(hooked.engine) as session:
        record(session, hooked.organization, hooked.visit, "appointment.pinned", NOW, SYSTEM)

    assert len(looks) == 2


# Tried again


def test_the_schedule_is_that_of_the_specification_with_a_tenth_of_jitter(hooked: Hooked) -> None:
    hooked.endpoint()
    hooked.happens()

    for attempts, wanted in enumerate(PAUSES, 1):
        hooked.attempt(FAILED)
        row = hooked.delivery()
        assert (row.status, row.attempts) == (DeliveryStatus.PENDING, attempts)
        assert row.due_at - hooked.now == pause(row.id, attempts)
        assert abs(row.due_at - hooked.now - wanted) <= wanted * 0.1
        hooked.now = row.due_at

    assert timedelta(days=3) < sum(PAUSES, timedelta(0)) < timedelta(days=3.5)
    assert pause("one", 3) != pause("another", 3)


def test_it_is_not_sent_before_its_time(hooked: Hooked) -> None:
    hooked.receiver.behaves = lambda _id, times: 503 if times == 1 else 200
    hooked.endpoint()
    hooked.happens()

    sent = [hooked.deliverer.send_due()]
    hooked.now += timedelta(seconds=4)
    sent.append(hooked.deliverer.send_due())
    hooked.now += timedelta(seconds=2)
    sent.append(hooked.deliverer.send_due())

    assert sent == [0, 0, 1]
    first, second = hooked.receiver.arrived
    assert first.id == second.id
    assert first.content == second.content
    assert first.headers["webhook-timestamp"] != second.headers["webhook-timestamp"]
    row = hooked.delivery()
    assert (row.attempts, row.response_status, row.last_error) == (2, 200, None)


def test_after_the_last_attempt_it_has_failed_and_says_why(hooked: Hooked) -> None:
    hooked.endpoint()
    other = hooked.endpoint(OTHER)
    hooked.happens()

    for index in range(MOST_ATTEMPTS):
        hooked.attempt(FAILED, PAUSES[index - 1] * 1.1 if index else timedelta(0))

    row = hooked.delivery()
    assert (row.status, row.attempts) == (DeliveryStatus.FAILED, MOST_ATTEMPTS)
    assert (row.response_status, row.last_error) == (500, "answered 500")
    assert row.next_attempt_at is None
    assert hooked.stored(other).disabled_at is None


def test_who_died_in_the_last_attempt_leaves_it_failed(hooked: Hooked) -> None:
    hooked.endpoint()
    hooked.happens()

    for _ in range(MOST_ATTEMPTS + 1):
        with transaction(hooked.engine) as session:
            take_up(session, hooked.now, 1, {})
        hooked.now += LEASE

    assert hooked.delivery().status is DeliveryStatus.FAILED


def test_what_is_on_its_way_is_left_alone_until_its_lease_is_over(hooked: Hooked) -> None:
    hooked.endpoint()
    hooked.happens()
    with transaction(hooked.engine) as session:
        (begun,) = take_up(session, NOW, 10, {})
    with transaction(hooked.engine) as session:
        during = take_up(session, NOW + LEASE - timedelta(seconds=1), 10, {})
    with transaction(hooked.engine) as session:
        (again,) = take_up(session, NOW + LEASE, 10, {})

    with transaction(hooked.engine) as session:
        settle(session, [(begun, FAILED)], NOW + LEASE)
    put_off = hooked.delivery()
    with transaction(hooked.engine) as session:
        settle(session, [(begun, TAKEN)], NOW + LEASE)

    assert during == []
    assert again.delivery_id == begun.delivery_id
    assert put_off.due_at == NOW + 2 * LEASE, "whose lease is over has no say in when it is tried again"
    assert hooked.delivery().status is DeliveryStatus.DELIVERED, "but what has arrived has arrived"


# Endpoints that fail


def test_an_endpoint_that_took_nothing_for_three_days_is_disabled(hooked: Hooked) -> None:
    endpoint = hooked.endpoint()
    hooked.happens()
    hooked.attempt(FAILED)
    began = hooked.now
    hooked.now = began + PATIENCE - timedelta(hours=1)
    waiting = hooked.happens()
    hooked.attempt(FAILED)
    before = hooked.stored(endpoint)
    hooked.attempt(FAILED, timedelta(hours=1))

    disabled = hooked.stored(endpoint)
    assert (before.failing_since, before.disabled_at) == (began, None)
    assert (disabled.disabled_at, disabled.disabled_why) == (hooked.now, DisabledWhy.FAILING)
    ended = {row.event_id: row for row in hooked.deliveries()}
    assert {row.status for row in ended.values()} == {DeliveryStatus.FAILED}
    assert ended[waiting].last_error == "the endpoint was disabled"


def test_success_in_between_keeps_an_endpoint_enabled(hooked: Hooked) -> None:
    endpoint = hooked.endpoint()
    for _ in range(5):
        hooked.happens()
        hooked.attempt(FAILED, timedelta(days=1))
        hooked.attempt(TAKEN, timedelta(minutes=1))

    stored = hooked.stored(endpoint)
    assert (stored.disabled_at, stored.failing_since) == (None, None)


def test_an_endpoint_that_is_gone_is_disabled_at_once_and_told_nothing_more(hooked: Hooked) -> None:
    hooked.receiver.behaves = lambda _id, _times: 410
    endpoint = hooked.endpoint()
    hooked.happens()

    hooked.deliverer.send_due()
    hooked.happens()
    hooked.now += timedelta(days=1)
    hooked.deliverer.send_due()

    stored = hooked.stored(endpoint)
    assert stored.disabled_why is DisabledWhy.GONE
    row = hooked.delivery()
    assert (row.status, row.attempts, row.response_status) == (DeliveryStatus.FAILED, 1, 410)
    assert len(hooked.receiver.arrived) == 1


def test_an_endpoint_that_is_enabled_again_is_told_what_happens_from_then_on(hooked: Hooked) -> None:
    endpoint = hooked.endpoint()
    hooked.happens()
    hooked.attempt(GONE)
    hooked.happens()
    with transaction(hooked.engine) as session:
        row = session.get_one(WebhookEndpoint, endpoint)
        webhook_endpoints.change(session, row, {"disabled": False}, DISPATCHER, hooked.now)
    told = hooked.happens()

    hooked.deliverer.send_due()

    assert [arrived.id for arrived in hooked.receiver.arrived] == [told]
    stored = hooked.stored(endpoint)
    assert (stored.disabled_at, stored.disabled_why, stored.failing_since) == (None, None, None)


def test_one_slow_endpoint_keeps_no_other_waiting(hooked: Hooked) -> None:
    events, slow = 3 * AT_ONCE, Receiver()
    slow.behaves = lambda _id, _times: "hang"
    patient = hooked.settings.model_copy(update={"webhook_timeout_s": 3.0})
    deliverer = Deliverer(hooked.engine, patient, lambda: NOW)
    with running(slow):
        hooked.endpoint(url=slow.url)
        hooked.endpoint()
        for _ in range(events):
            hooked.happens()

        deliverer.send_due(lambda: len(hooked.receiver.arrived) < events)
        deliverer.close()

    assert len(hooked.receiver.taken) == events
    assert 0 < len(slow.arrived) < events, "the slow one is sent a few at a time"


def test_whoever_was_served_last_has_its_turn_last(hooked: Hooked) -> None:
    first, second = sorted(hooked.endpoint() for _ in range(2))
    hooked.happens()

    with transaction(hooked.engine) as session:
        begun = take_up(session, NOW, 1, {}, after=first)
    with transaction(hooked.engine) as session:
        rest = take_up(session, NOW, 10, {second: AT_ONCE})

    assert [attempt.endpoint_id for attempt in begun + rest] == [second, first]


def test_it_stops_taking_up_when_it_is_told_to(hooked: Hooked) -> None:
    hooked.endpoint()
    hooked.happens()

    assert hooked.deliverer.send_due(lambda: False) == 0
    assert hooked.delivery().attempts == 0


# Sent again, deleted, forgotten


def test_sent_again_it_has_the_same_id_and_the_schedule_begins_anew(hooked: Hooked) -> None:
    endpoint = hooked.endpoint()
    hooked.happens()
    hooked.attempt(FAILED)
    hooked.attempt(TAKEN, timedelta(minutes=1))
    delivered = hooked.delivery()
    with transaction(hooked.engine) as session:
        owner = session.get_one(WebhookEndpoint, endpoint)
        row = session.get_one(WebhookDelivery, delivered.id)
        webhook_endpoints.redeliver(session, owner, row, hooked.now)
    waiting = hooked.delivery()

    hooked.deliverer.send_due()

    assert (waiting.status, waiting.attempts, waiting.ended_at) == (DeliveryStatus.PENDING, 0, None)
    assert [arrived.id for arrived in hooked.receiver.arrived] == [waiting.event_id]
    assert hooked.delivery().attempts == 1


def test_nothing_is_sent_again_to_a_disabled_endpoint(hooked: Hooked) -> None:
    endpoint = hooked.endpoint()
    hooked.happens()
    hooked.attempt(GONE)

    owner, row = hooked.stored(endpoint), hooked.delivery()
    with transaction(hooked.engine) as session, pytest.raises(InvalidState):
        webhook_endpoints.redeliver(session, owner, row, hooked.now)


def test_an_endpoint_that_is_deleted_while_it_is_sent_to_leaves_nothing(hooked: Hooked) -> None:
    endpoint = hooked.endpoint()
    hooked.happens()
    with transaction(hooked.engine) as session:
        (begun,) = take_up(session, NOW, 10, {})
    with transaction(hooked.engine) as session:
        webhook_endpoints.remove(session, session.get_one(WebhookEndpoint, endpoint), DISPATCHER, NOW)

    with transaction(hooked.engine) as session:
        settle(session, [(begun, TAKEN)], NOW)
    hooked.happens()

    assert hooked.deliveries() == []


def test_an_event_and_the_deletion_of_its_endpoint_wait_for_each_other(hooked: Hooked) -> None:
    endpoint = hooked.endpoint()
    ended: list[str] = []

    def delete() -> None:
        with transaction(hooked.engine) as session:
            row = session.get_one(WebhookEndpoint, endpoint, with_for_update=True)
            webhook_endpoints.remove(session, row, DISPATCHER, NOW)
        ended.append("deleted")

    deleting = threading.Thread(target=delete)
    with transaction(hooked.engine) as session:
        record(session, hooked.organization, hooked.visit, EVENT, NOW, SYSTEM)
        deleting.start()
        time.sleep(0.3)
        ended.append("recorded")
    deleting.join(30)

    assert ended == ["recorded", "deleted"]
    assert hooked.deliveries() == []


def test_the_worker_delivers_beside_its_other_work(hooked: Hooked) -> None:
    hooked.endpoint()
    hooked.now = datetime.now(UTC)
    hooked.happens()
    worker = Worker(hooked.settings)
    thread = threading.Thread(target=worker.run)
    began = time.monotonic()

    thread.start()
    while not hooked.receiver.arrived and time.monotonic() - began < 60:
        time.sleep(0.02)
    worker.stop()
    thread.join(60)

    assert not thread.is_alive()
    assert len(hooked.receiver.arrived) == 1
    assert hooked.delivery().status is DeliveryStatus.DELIVERED, "what was begun is seen through"


def test_the_worker_forgets_what_ended_before_as_many_days_as_are_set(hooked: Hooked) -> None:
    hooked.endpoint()
    hooked.happens()
    hooked.attempt(TAKEN)
    kept_for = timedelta(days=hooked.settings.outbox_days)

    run_due(hooked.engine, hooked.settings, NOW + kept_for)
    kept = hooked.deliveries()
    run_due(hooked.engine, hooked.settings, NOW + kept_for + timedelta(minutes=1))

    assert len(kept) == 1
    assert hooked.deliveries() == []


def test_what_ended_long_ago_is_forgotten(hooked: Hooked) -> None:
    hooked.endpoint()
    hooked.happens()
    hooked.attempt(TAKEN)
    hooked.now += timedelta(days=2)
    kept = hooked.happens()
    hooked.attempt(FAILED)

    with transaction(hooked.engine) as session:
        forgotten = webhook_endpoints.forget_ended(session, NOW + timedelta(days=1))

    assert forgotten == 1
    assert [row.event_id for row in hooked.deliveries()] == [kept]
