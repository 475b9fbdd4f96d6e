"""What leaves the outbox, when, to whom and in which words, by a channel that tests read."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine
from sqlmodel import Session, select
from structlog.testing import capture_logs

from dispatch import booking, notifying
from dispatch.appointment import Appointment, Status
from dispatch.channels import LogChannel, Message, NotSent
from dispatch.customer import Channel as Means
from dispatch.customer import Customer
from dispatch.database import transaction
from dispatch.day import progress
from dispatch.events import SYSTEM, events_of, record
from dispatch.feedback import Feedback
from dispatch.links import revoke_tracking
from dispatch.outbox import Kind, Notification, State
from dispatch.planning import Window
from dispatch.promise import PromiseKind
from dispatch.worker import Worker, run_due
from tests.dispatch.world import DISPATCHER, NOW, World, clock_time
from tests.support.channels import FakeChannel
from tests.support.clock import FakeClock

MORNING, AFTERNOON = (clock_time(9), clock_time(11)), (clock_time(13), clock_time(15))
EVENING = clock_time(18) - timedelta(days=1)
QUIET = time(21), time(8)
NEW_YORK, SANTIAGO = ZoneInfo("America/New_York"), ZoneInfo("America/Santiago")


@dataclass
class Telling:
    """A visit to Casey, for whom Ada is planned, with nothing told of it yet; each change is committed."""

    world: World
    engine: Engine
    channel: FakeChannel
    clock: FakeClock
    appointment_id: str

    def do(self, change: Callable[[Session, Appointment], object]) -> None:
        with transaction(self.engine) as session:
            appointment = session.get_one(Appointment, self.appointment_id)
            change(session, appointment)
            session.add(appointment)

    def promise(self, window: Window = MORNING, kind: PromiseKind = PromiseKind.GIVEN) -> None:
        name = "appointment.booked" if kind is PromiseKind.GIVEN else "appointment.rescheduled"

        def change(session: Session, appointment: Appointment) -> None:
            booking.promise(session, self.world.settings, appointment, window, kind, DISPATCHER, self.clock())
            appointment.plan(1, window[0], window[0] + timedelta(hours=1), 300, 1000)
            appointment.pinned = True
            record(session, appointment.organization_id, appointment.id, name, self.clock(), DISPATCHER)

        self.do(change)

    def cancel(self) -> None:
        self.do(
            lambda session, appointment: booking.cancel(
                session, self.world.settings, appointment, DISPATCHER, self.clock()
            )
        )

    def commit_technician(self) -> None:
        def change(session: Session, appointment: Appointment) -> None:
            appointment.status = Status.DISPATCHED
            type_ = "appointment.dispatched"
            record(session, appointment.organization_id, appointment.id, type_, self.clock(), SYSTEM)

        self.do(change)

    def move_on(self, *states: Status) -> None:
        for state in states:
            self.do(
                lambda session, appointment, to=state: progress(
                    session, self.world.settings, appointment, to, SYSTEM, self.clock()
                )
            )

    def customer(self, **fields: Any) -> None:
        with transaction(self.engine) as session:
            customer = session.exec(select(Customer)).one()
            customer.sqlmodel_update(fields)
            session.add(customer)

    def send(self) -> list[str]:
        """Kinds of what left now."""
        notifying.send_due(self.engine, self.world.settings, self.channel, self.clock)
        return [message.kind for message in self.channel.take()]

    def message(self) -> Message:
        """The one that leaves now."""
        notifying.send_due(self.engine, self.world.settings, self.channel, self.clock)
        (message,) = self.channel.take()
        return message

    def row(self, kind: Kind) -> Notification:
        with Session(self.engine) as session:
            return session.exec(select(Notification).where(Notification.kind == kind)).one()


@pytest.fixture
def telling(world: World, engine: Engine) -> Telling:
    world.technician()
    appointment_id = world.job(world.service()).appointment.id
    world.session.commit()
    told = Telling(world, engine, FakeChannel(), FakeClock(NOW), appointment_id)
    told.customer(phone="+12125550123", email="casey@example.com")
    return told


# At least once, and no more than is true


def test_what_is_promised_is_told_once(telling: Telling) -> None:
    telling.promise()

    assert (telling.send(), telling.send()) == (["booked"], [])
    assert telling.row(Kind.BOOKED).state is State.SENT


def test_who_was_killed_between_sending_and_marking_leaves_it_to_be_sent_again(telling: Telling) -> None:
    telling.promise()

    def die(_: Message) -> None:
        raise KeyboardInterrupt

    telling.channel.on_send = die
    with pytest.raises(KeyboardInterrupt):
        telling.send()
    telling.channel.on_send = None
    at_once = telling.send()
    telling.clock.advance(minutes=6)

    assert (at_once, telling.send(), telling.send()) == ([], ["booked"], [])


def test_a_channel_that_fails_is_tried_again_after_longer_and_longer(telling: Telling) -> None:
    telling.promise()
    telling.channel.failures = [NotSent("busy"), NotSent("busy")]

    sent = []
    for minutes in (0, 0.9, 0.2, 1.8, 0.3):
        telling.clock.advance(minutes=minutes)
        sent.append(telling.send())

    assert sent == [[], [], [], [], ["booked"]]
    assert telling.row(Kind.BOOKED).attempts == 3


def test_a_channel_that_keeps_failing_is_given_up(telling: Telling) -> None:
    far_off = NOW.date() + timedelta(days=9)
    telling.promise((clock_time(9, day=far_off), clock_time(11, day=far_off)))
    telling.channel.failures = [NotSent("busy")] * 99

    for _ in range(48):
        telling.send()
        telling.clock.advance(hours=1)

    row = telling.row(Kind.BOOKED)
    assert (row.state, row.why, row.attempts) == (State.GIVEN_UP, "attempts", notifying.MOST_ATTEMPTS)


def test_what_is_refused_for_good_at_every_address_is_not_tried_again_and_a_dispatcher_can_see_it(
    telling: Telling,
) -> None:
    telling.promise()
    telling.channel.failures = [NotSent("no such address", for_good=True)] * 2

    telling.send()

    assert telling.row(Kind.BOOKED).state is State.GIVEN_UP
    with Session(telling.engine) as session:
        last = events_of(session, telling.appointment_id)[-1]
    assert (last.type, last.by) == ("notification.given_up", "system")
    assert last.after == {"message": "booked", "why": "refused"}


def test_who_is_refused_at_the_preferred_address_is_told_at_the_other_at_once(telling: Telling) -> None:
    telling.customer(preferred_channel=Means.EMAIL)
    telling.promise()
    telling.channel.failures = [NotSent("no such mailbox", for_good=True)]

    message = telling.message()

    assert (message.means, message.to) == (Means.SMS, "+12125550123")
    assert telling.row(Kind.BOOKED).state is State.SENT


def test_a_channel_that_stays_away_leaves_the_next_tries_to_the_other_address(telling: Telling) -> None:
    telling.promise()
    tried = []

    def refuse(message: Message) -> None:
        tried.append(message.means)
        raise NotSent("busy")

    telling.channel.on_send = refuse
    for _ in range(6):
        telling.send()
        telling.clock.advance(hours=1)

    assert tried == [Means.SMS] * 2 + [Means.EMAIL] * 2 + [Means.SMS] * 2


def test_who_has_one_address_is_tried_there_again(telling: Telling) -> None:
    telling.customer(email=None)
    telling.promise()
    telling.channel.failures = [NotSent("busy")] * 4

    for _ in range(4):
        telling.send()
        telling.clock.advance(minutes=10)

    assert telling.message().means is Means.SMS


def test_chat_is_written_to_those_alone_who_prefer_it(telling: Telling) -> None:
    telling.channel.carries = frozenset({Means.SMS, Means.CHAT})
    telling.promise()
    first = telling.message()
    telling.customer(preferred_channel=Means.CHAT)
    telling.promise(AFTERNOON, PromiseKind.CHANGED)

    assert (first.means, telling.message().means) == (Means.SMS, Means.CHAT)


def test_two_senders_do_not_send_the_same(telling: Telling) -> None:
    telling.promise()
    second = FakeChannel()

    def another_sends(_: Message) -> None:
        notifying.send_due(telling.engine, telling.world.settings, second, telling.clock)

    telling.channel.on_send = another_sends

    assert (telling.send(), second.kinds) == (["booked"], [])


def test_news_goes_before_reminders(telling: Telling) -> None:
    telling.promise()
    telling.send()
    telling.clock.move_to(EVENING + timedelta(minutes=1))

    telling.commit_technician()

    assert telling.send() == ["technician_confirmed", "day_before"]


def test_a_sender_that_is_told_to_stop_leaves_the_rest(telling: Telling) -> None:
    telling.promise()
    telling.commit_technician()
    goes_on = iter((True, False))

    sent = notifying.send_due(
        telling.engine, telling.world.settings, telling.channel, telling.clock, lambda: next(goes_on)
    )

    assert sent == 1
    assert telling.send() == ["booked", "technician_confirmed"], "what is left is sent the next time"


def test_a_visit_that_is_cancelled_is_never_reminded_of(telling: Telling) -> None:
    telling.promise()
    telling.send()

    telling.cancel()
    sent = telling.send()
    for hours in (9, 15, 24):
        telling.clock.move_to(NOW + timedelta(hours=hours))
        sent += telling.send()

    assert sent == ["cancelled"]


def test_what_was_taken_up_before_a_cancellation_is_not_told_after_it(telling: Telling) -> None:
    telling.promise()
    with transaction(telling.engine) as session:
        taken = notifying._take_up(session, telling.clock())
    assert taken is not None
    telling.cancel()

    left = notifying._tell(telling.engine, telling.world.settings, telling.channel, taken, telling.clock)

    assert not left
    assert telling.send() == ["cancelled"]


def test_a_visit_that_moves_is_reminded_of_once_at_its_new_time(telling: Telling) -> None:
    telling.promise()
    telling.send()
    telling.promise(AFTERNOON, PromiseKind.CHANGED)

    changed = telling.send()
    telling.clock.move_to(EVENING)
    before = telling.message()
    telling.clock.move_to(clock_time(8))

    assert changed == ["changed"]
    assert before.kind == "day_before"
    assert "between 1 pm and 3 pm" in before.body
    assert telling.send() == ["on_the_day"]


def test_after_downtime_nothing_is_said_that_is_not_true_any_more(telling: Telling) -> None:
    telling.promise()
    telling.send()

    telling.clock.move_to(clock_time(8, 30))

    assert telling.send() == ["on_the_day"]
    assert telling.row(Kind.DAY_BEFORE).why == "overtaken"


def test_the_day_is_told_step_by_step(telling: Telling) -> None:
    telling.promise()
    sent = telling.send()
    telling.commit_technician()
    sent += telling.send()
    telling.clock.move_to(clock_time(8, 50))
    sent += telling.send()
    for state in (Status.EN_ROUTE, Status.ON_SITE, Status.COMPLETED):
        telling.move_on(state)
        sent += telling.send()
    telling.clock.advance(hours=2)
    sent += telling.send()

    assert sent == [
        "booked",
        "technician_confirmed",
        "on_the_day",
        "on_the_way",
        "arrived",
        "done",
        "rate_us",
    ]


def test_on_the_way_says_when(telling: Telling) -> None:
    telling.promise()
    telling.send()
    telling.commit_technician()
    telling.clock.move_to(clock_time(8, 50))
    telling.send()

    telling.move_on(Status.EN_ROUTE)

    body = telling.message().body
    assert "Ada is on the way to you. Expected between 9 am and 9:10 am." in body


def test_who_has_gone_back_from_the_way_is_not_said_to_be_on_it(telling: Telling) -> None:
    telling.promise()
    telling.send()
    telling.commit_technician()
    telling.clock.move_to(clock_time(8, 50))
    telling.send()

    telling.move_on(Status.EN_ROUTE, Status.DISPATCHED)

    assert telling.send() == []


# Quiet hours


def quiet_until(zone: ZoneInfo, *wall: int) -> str | None:
    now = datetime(*wall, tzinfo=zone).astimezone(UTC)  # type: ignore[misc,arg-type]
    until = notifying.quiet_until(QUIET, zone, now)
    return until.astimezone(zone).isoformat() if until else None


@pytest.mark.parametrize(
    ("zone", "wall", "until"),
    [
        (NEW_YORK, (2027, 6, 1, 20, 59), None),
        (NEW_YORK, (2027, 6, 1, 21, 0), "2027-06-02T08:00:00-04:00"),
        (NEW_YORK, (2027, 6, 2, 7, 59), "2027-06-02T08:00:00-04:00"),
        (NEW_YORK, (2027, 6, 2, 8, 0), None),
        (NEW_YORK, (2027, 3, 13, 22, 0), "2027-03-14T08:00:00-04:00"),
        (NEW_YORK, (2027, 11, 7, 1, 30), "2027-11-07T08:00:00-05:00"),
        (SANTIAGO, (2027, 9, 4, 23, 30), "2027-09-05T08:00:00-03:00"),
        (SANTIAGO, (2027, 9, 5, 1, 0), "2027-09-05T08:00:00-03:00"),
    ],
)
def test_quiet_hours_are_those_of_the_wall_clock(
    zone: ZoneInfo, wall: tuple[int, ...], until: str | None
) -> None:
    assert quiet_until(zone, *wall) == until


def test_quiet_hours_within_a_day_and_none_at_all() -> None:
    noon = datetime(2027, 6, 1, 12, tzinfo=NEW_YORK).astimezone(UTC)

    assert notifying.quiet_until((time(11), time(13)), NEW_YORK, noon) == noon + timedelta(hours=1)
    assert notifying.quiet_until(None, NEW_YORK, noon) is None


def test_news_of_another_day_waits_until_quiet_hours_end(telling: Telling) -> None:
    day_after = NOW.date() + timedelta(days=2)
    telling.clock.move_to(clock_time(22, day=NOW.date()))
    telling.promise((clock_time(9, day=day_after), clock_time(11, day=day_after)))

    at_night = telling.send()
    telling.clock.move_to(clock_time(7, 59))
    before = telling.send()
    telling.clock.move_to(clock_time(8))

    assert (at_night, before, telling.send()) == ([], [], ["booked"])
    assert telling.row(Kind.BOOKED).attempts == 1, "waiting is no attempt"


def test_news_of_the_same_day_does_not_wait(telling: Telling) -> None:
    telling.clock.move_to(clock_time(5))
    telling.promise()

    assert telling.send() == ["booked"]


def test_news_of_a_visit_that_may_begin_before_quiet_hours_end_does_not_wait(telling: Telling) -> None:
    telling.clock.move_to(clock_time(23, day=NOW.date()))
    telling.promise((clock_time(1), clock_time(3)))

    assert telling.send() == ["booked"]


def test_nobody_is_asked_at_night_how_it_was(telling: Telling) -> None:
    telling.clock.move_to(clock_time(19))
    telling.promise((clock_time(19), clock_time(21)))
    telling.commit_technician()
    telling.clock.move_to(clock_time(20, 55))
    telling.move_on(Status.EN_ROUTE, Status.ON_SITE, Status.COMPLETED)
    telling.send()

    telling.clock.move_to(clock_time(23))
    at_night = telling.send()
    telling.clock.move_to(clock_time(8) + timedelta(days=1))

    assert (at_night, telling.send()) == ([], ["rate_us"])


# What is kept


def kinds_kept(telling: Telling, now: datetime) -> set[Kind]:
    """After the worker's turn."""
    run_due(telling.engine, telling.world.settings, now)
    with Session(telling.engine) as session:
        return set(session.exec(select(Notification.kind)))


def test_what_was_told_is_forgotten_after_a_time_and_what_is_due_never(telling: Telling) -> None:
    telling.promise()
    telling.send()
    keeps = timedelta(days=telling.world.settings.outbox_days)

    last_day = kinds_kept(telling, MORNING[1] + keeps)
    later = kinds_kept(telling, MORNING[1] + keeps + timedelta(seconds=1))

    assert last_day == {Kind.BOOKED, Kind.DAY_BEFORE, Kind.ON_THE_DAY}
    assert later == {Kind.DAY_BEFORE, Kind.ON_THE_DAY}, "these were never sent"


def test_what_was_told_of_a_visit_to_come_is_not_forgotten_and_so_not_told_again(telling: Telling) -> None:
    in_a_year = NOW.date() + timedelta(days=365)
    telling.promise((clock_time(9, day=in_a_year), clock_time(11, day=in_a_year)))
    telling.send()

    kept = kinds_kept(telling, NOW + timedelta(days=200))

    assert Kind.BOOKED in kept


def test_what_was_told_of_a_cancelled_visit_is_forgotten_too(telling: Telling) -> None:
    telling.promise()
    telling.cancel()
    telling.send()

    assert kinds_kept(telling, NOW + timedelta(days=91)) == set()


# To whom, and in which words


@pytest.mark.parametrize(
    ("fields", "to"),
    [
        ({}, "+12125550123"),
        ({"preferred_channel": Means.EMAIL}, "casey@example.com"),
        ({"preferred_channel": Means.EMAIL, "email": None}, "+12125550123"),
        ({"preferred_channel": Means.CHAT}, "+12125550123"),
        ({"phone": None}, "casey@example.com"),
    ],
)
def test_the_preferred_channel_is_taken_where_there_is_an_address(
    telling: Telling, fields: dict[str, Any], to: str
) -> None:
    telling.customer(**fields)
    telling.promise()

    assert telling.message().to == to


@pytest.mark.parametrize(
    ("fields", "why"),
    [({"preferred_channel": Means.NONE}, "unwanted"), ({"phone": None, "email": None}, "unreachable")],
)
def test_who_wants_no_messages_or_left_no_address_gets_none(
    telling: Telling, fields: dict[str, Any], why: str
) -> None:
    telling.customer(**fields)
    telling.promise()

    assert telling.send() == []
    assert telling.row(Kind.BOOKED).why == why


def test_a_channel_gets_only_what_it_can_carry(telling: Telling) -> None:
    telling.channel.carries = frozenset({Means.EMAIL})
    telling.customer(preferred_channel=Means.SMS)
    telling.promise()

    assert telling.message().to == "casey@example.com"


@pytest.mark.parametrize(
    ("language", "day", "window"),
    [
        ("en-GB", "Tuesday, 24 November", "between 9 am and 11 am"),
        ("de-AT", "Dienstag, 24. November", "zwischen 09:00 und 11:00 Uhr"),
        ("es", "martes, 24 de noviembre", "de 09:00 a 11:00"),
        ("pl", "wtorek, 24 listopada", "między 09:00 a 11:00"),
        ("ru", "вторник, 24 ноября", "с 09:00 до 11:00"),
        ("fa-IR", "سه‌شنبه ۲۴ نوامبر", "بین ساعت ۰۹:۰۰ و ۱۱:۰۰"),
        ("zh-Hans-CN", "11月24日（星期二）", "09:00至11:00之间"),
        ("tlh", "Tuesday, 24 November", "between 9 am and 11 am"),
    ],
)
def test_it_is_told_in_the_customers_language_and_the_territorys_time(
    telling: Telling, language: str, day: str, window: str
) -> None:
    telling.customer(language=language)
    telling.promise()

    message = telling.message()

    assert day in message.body
    assert window in message.body
    assert message.direction == ("rtl" if language.startswith("fa") else "ltr")


def test_reminders_carry_both_answers_until_the_customer_has_given_one(telling: Telling) -> None:
    telling.promise()
    telling.send()
    telling.clock.move_to(EVENING)
    asking = telling.message().body
    telling.do(lambda _, appointment: setattr(appointment, "customer_confirmed_at", EVENING))
    telling.clock.move_to(clock_time(7))
    answered = telling.message().body

    assert "I will be there:\nhttp://127.0.0.1:8000/t/" in asking
    assert "/confirm?k=" in asking
    assert "/move?k=" in asking
    assert "/confirm?k=" not in answered
    assert "/move?k=" in answered


def test_a_link_that_a_dispatcher_took_back_is_not_sent(telling: Telling) -> None:
    telling.promise()
    telling.do(lambda _, appointment: revoke_tracking(appointment))

    assert "http" not in telling.message().body


def test_a_visit_that_was_rated_is_not_asked_about(telling: Telling) -> None:
    telling.promise()
    telling.send()
    telling.commit_technician()
    telling.clock.move_to(clock_time(9))
    telling.move_on(Status.EN_ROUTE, Status.ON_SITE, Status.COMPLETED)
    telling.send()
    telling.do(
        lambda session, appointment: session.add(
            Feedback(
                appointment_id=appointment.id,
                organization_id=appointment.organization_id,
                csat=5,
                created_at=telling.clock(),
            )
        )
    )

    telling.clock.advance(hours=2)

    assert telling.send() == []
    assert telling.row(Kind.RATE_US).why == "rated"


def test_the_log_channel_writes_nothing_of_anybody(telling: Telling) -> None:
    telling.promise()

    with capture_logs() as lines:
        notifying.send_due(telling.engine, telling.world.settings, LogChannel(), telling.clock)

    (line,) = lines
    assert line == {
        "event": "customer_told",
        "log_level": "info",
        "kind": "booked",
        "means": "sms",
        "notification_id": telling.row(Kind.BOOKED).id,
        "appointment_id": telling.appointment_id,
    }


def test_the_worker_sends_what_is_due(telling: Telling, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dispatch.worker.open_channel", lambda _: telling.channel)
    monkeypatch.setattr("dispatch.worker.utc_now", telling.clock)
    telling.promise()
    worker = Worker(telling.world.settings)
    telling.channel.on_send = lambda _: worker.stop()

    worker.run()

    assert telling.channel.kinds == ["booked"]
