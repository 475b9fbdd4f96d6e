"""Who is delayed takes the delay along, and each visit that this breaks is noted in time."""

from datetime import datetime, timedelta

import pytest
from sqlmodel import select

from dispatch import lateness
from dispatch.appointment import Appointment, Status
from dispatch.booking import promise
from dispatch.day import progress
from dispatch.events import SYSTEM, Actor, Event
from dispatch.outbox import Kind, Notification, State
from dispatch.promise import PromiseKind
from dispatch.technician import Technician
from tests.dispatch.world import DISPATCHER, NOW, World, clock_time

BY = Actor("technician")
TRAVEL_S = 600


def visit(world: World, technician: Technician, hour: int) -> Appointment:
    """An hour of work from then on, promised from an hour before to the hour; ten minutes of travel before it."""
    appointment = world.job(world.service()).appointment
    start = clock_time(hour)
    assert technician.no is not None
    window = start - timedelta(hours=1), start
    promise(world.session, world.settings, appointment, window, PromiseKind.GIVEN, DISPATCHER, NOW)
    appointment.plan(technician.no, start, start + timedelta(hours=1), TRAVEL_S, 1000)
    appointment.move(Status.SCHEDULED)
    appointment.move(Status.DISPATCHED)
    world.session.add(appointment)
    world.session.flush()
    return appointment


def move_on(world: World, appointment: Appointment, now: datetime, *states: Status) -> None:
    for state in states:
        progress(world.session, world.settings, appointment, state, SYSTEM, now)


def arrives(world: World, appointment: Appointment, at: datetime) -> None:
    """Its technician set out in time."""
    assert appointment.scheduled_start is not None
    move_on(world, appointment, appointment.scheduled_start - timedelta(minutes=10), Status.EN_ROUTE)
    move_on(world, appointment, at, Status.ON_SITE)


def noted(world: World) -> list[tuple[str, str]]:
    query = select(Event).where(Event.type == lateness.LATE).order_by(Event.at, Event.id)
    return [(event.subject_id, (event.after or {})["expected_start"]) for event in world.session.exec(query)]


def told(instant: datetime) -> str:
    return instant.isoformat().replace("+00:00", "Z")


def test_who_is_in_time_makes_nobody_late(world: World) -> None:
    technician = world.technician()
    first = visit(world, technician, 9)
    visit(world, technician, 11)
    arrives(world, first, clock_time(9))

    assert lateness.notice(world.session, world.settings, clock_time(9, 50)) == 0
    assert noted(world) == []


def test_an_overrun_makes_the_next_visit_late_as_soon_as_it_is_known(world: World) -> None:
    technician = world.technician()
    first, second = visit(world, technician, 9), visit(world, technician, 10)
    second.window_end = clock_time(10, 10)
    arrives(world, first, clock_time(9, 20))

    assert noted(world) == [(second.id, told(clock_time(10, 30)))]
    row = world.session.exec(select(Notification).where(Notification.kind == Kind.RUNNING_LATE)).one()
    assert (row.appointment_id, row.expected_at) == (second.id, clock_time(10, 30))


def test_the_same_delay_is_noted_once_and_again_when_it_has_changed_by_more_than_15_minutes(
    world: World,
) -> None:
    technician = world.technician()
    first, second = visit(world, technician, 9), visit(world, technician, 10)
    arrives(world, first, clock_time(9, 20))

    counts = [
        lateness.notice(world.session, world.settings, clock_time(hour, minute))
        for hour, minute in ((9, 21), (9, 25), (10, 35), (10, 36), (10, 40))
    ]

    assert counts == [0, 0, 0, 1, 0]
    assert noted(world)[-1] == (second.id, told(clock_time(10, 46)))


def test_a_late_start_of_the_way_is_known_at_once_and_passed_on(world: World) -> None:
    technician = world.technician()
    first, second = visit(world, technician, 9), visit(world, technician, 10)

    move_on(world, first, clock_time(9, 10), Status.EN_ROUTE)

    assert noted(world) == [
        (first.id, told(clock_time(9, 20))),
        (second.id, told(clock_time(10, 30))),
    ]


def test_who_has_not_set_out_is_given_ten_minutes_and_then_late_by_the_way_that_is_left(world: World) -> None:
    first = visit(world, world.technician(), 9)

    counts = [lateness.notice(world.session, world.settings, clock_time(9, minute)) for minute in (0, 1, 2)]

    # It should have left at 8:50.
    assert counts == [0, 1, 0]
    assert noted(world) == [(first.id, told(clock_time(9, 11)))]


def test_who_says_to_be_late_takes_it_along_before_setting_out(world: World) -> None:
    technician = world.technician()
    first, second = visit(world, technician, 9), visit(world, technician, 10)

    lateness.tell(world.session, first, 1800, BY, clock_time(8))
    lateness.notice(world.session, world.settings, clock_time(8))

    # Half an hour late at nine, an hour of work, ten minutes of travel.
    assert noted(world) == [(first.id, told(clock_time(9, 30))), (second.id, told(clock_time(10, 40)))]


def test_what_is_said_once_is_told_and_counted_once(world: World) -> None:
    first = visit(world, world.technician(), 9)

    for _ in range(2):
        lateness.tell(world.session, first, 1800, BY, clock_time(8))
        lateness.notice(world.session, world.settings, clock_time(8))

    assert noted(world) == [(first.id, told(clock_time(9, 30)))]
    [row] = world.session.exec(select(Notification).where(Notification.kind == Kind.RUNNING_LATE)).all()
    assert row.expected_at == clock_time(9, 30)


def test_a_delay_that_is_taken_back_before_it_was_told_is_not_told(world: World) -> None:
    first = visit(world, world.technician(), 9)

    lateness.tell(world.session, first, 1800, BY, clock_time(8))
    lateness.tell(world.session, first, 0, BY, clock_time(8, 1))

    [row] = world.session.exec(select(Notification).where(Notification.kind == Kind.RUNNING_LATE)).all()
    assert (first.expected_start, row.state) == (None, State.DROPPED)


def test_a_delay_that_the_window_allows_for_is_an_event_and_no_news(world: World) -> None:
    first = visit(world, world.technician(), 9)
    first.window_end = clock_time(10)

    lateness.tell(world.session, first, 1800, BY, clock_time(8))

    assert noted(world) == [(first.id, told(clock_time(9, 30)))]
    assert world.session.exec(select(Notification).where(Notification.kind == Kind.RUNNING_LATE)).all() == []


@pytest.mark.parametrize("change", ["another technician", "another window"])
def test_what_a_technician_said_goes_with_it_and_with_the_promise(world: World, change: str) -> None:
    first, other = visit(world, world.technician(), 9), world.technician("Bo Plumber")
    lateness.tell(world.session, first, 1800, BY, clock_time(8))
    assert other.no is not None

    if change == "another technician":
        first.plan(other.no, clock_time(9), clock_time(10), TRAVEL_S, 1000)
    else:
        first.promise((clock_time(11), clock_time(12)))

    assert first.expected_start is None


def test_the_visits_of_others_are_left_alone(world: World) -> None:
    busy, other = world.technician(), world.technician("Bo Plumber")
    first = visit(world, busy, 9)
    visit(world, other, 10)
    arrives(world, first, clock_time(9, 59))

    assert lateness.notice(world.session, world.settings, clock_time(9, 59)) == 0
