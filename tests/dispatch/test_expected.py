"""When work will begin, as far as the plan, the progress, the positions and what technicians say tell."""

from datetime import datetime, timedelta

import pytest
from sqlmodel import select

from dispatch import lateness
from dispatch.appointment import Appointment, Status
from dispatch.booking import promise
from dispatch.calendar import BlockKind, epoch
from dispatch.day import progress, set_duty, tell_position
from dispatch.events import Actor, Event
from dispatch.expected import Expected, expected_starts
from dispatch.position import Position
from dispatch.promise import PromiseKind
from dispatch.shift import Shift, add_shift
from dispatch.technician import Duty, Technician
from tests.dispatch.world import DISPATCHER, NOW, World, at, clock_time

BY = Actor("technician")


@pytest.fixture
def ada(world: World) -> Technician:
    """At kilometre 0, at work from eight to four."""
    return world.technician()


def visit(
    world: World,
    technician: Technician,
    hour: int,
    km: float = 2,
    *,
    travel_s: int = 494,
    status: Status = Status.DISPATCHED,
    window: tuple[datetime, datetime] | None = None,
) -> Appointment:
    """An hour of work from then on at a kilometre of the line, promised from an hour before to the hour."""
    appointment = world.job(world.service(), km).appointment
    start = clock_time(hour)
    assert technician.no is not None
    window = window or (start - timedelta(hours=1), start)
    promise(world.session, world.settings, appointment, window, PromiseKind.GIVEN, DISPATCHER, NOW)
    appointment.plan(technician.no, start, start + timedelta(hours=1), travel_s, 1000)
    appointment.move(Status.SCHEDULED)
    if status is Status.DISPATCHED:
        appointment.move(Status.DISPATCHED)
    world.session.add(appointment)
    world.session.flush()
    return appointment


def seen(world: World, technician: Technician, km: float, now: datetime) -> None:
    """The technician is on duty, and there."""
    assert technician.no is not None
    set_duty(world.session, technician, Duty.AVAILABLE, BY, now)
    there = at(km)
    position = Position(
        technician_no=technician.no, lat=there.lat, lon=there.lon, recorded_at=now, received_at=now
    )
    tell_position(world.session, world.settings, technician, position)


def expected(world: World, technician: Technician, now: datetime) -> dict[str, Expected]:
    assert technician.no is not None
    return expected_starts(world.session, world.settings, [technician.no], now)


def starts(
    world: World, technician: Technician, now: datetime, *visits: Appointment
) -> list[datetime | None]:
    found = expected(world, technician, now)
    return [found[visit.id].start if visit.id in found else None for visit in visits]


def move_on(world: World, appointment: Appointment, now: datetime, *states: Status) -> None:
    for state in states:
        progress(world.session, world.settings, appointment, state, BY, now)


def seconds(count: int) -> timedelta:
    return timedelta(seconds=count)


def test_a_position_on_the_way_moves_this_visit_and_all_that_come_after(
    world: World, ada: Technician
) -> None:
    first, second = visit(world, ada, 9), visit(world, ada, 10)
    third = visit(world, ada, 13)
    now = clock_time(8, 50)
    move_on(world, first, now, Status.EN_ROUTE)

    seen(world, ada, 12, now)

    # Ten kilometres are 1992 s: 9:23:12, an hour of work, 494 s to the next.
    begins = now + seconds(1992)
    after = begins + seconds(3600 + 494)
    assert starts(world, ada, now, first, second, third) == [begins, after, clock_time(13)]


def test_a_position_is_reckoned_from_when_it_was_taken_and_while_it_is_fresh(
    world: World, ada: Technician
) -> None:
    first = visit(world, ada, 9)
    seen_at = clock_time(8, 50)
    move_on(world, first, seen_at, Status.EN_ROUTE)
    seen(world, ada, 12, seen_at)

    # Without it: as planned, for the planned way is over.
    assert starts(world, ada, clock_time(9, 5), first) == [seen_at + seconds(1992)]
    assert starts(world, ada, clock_time(9, 6), first) == [clock_time(9, 6)]


def test_who_comes_before_the_window_waits_until_it_opens(world: World, ada: Technician) -> None:
    first = visit(world, ada, 10)
    move_on(world, first, clock_time(8, 30), Status.EN_ROUTE)

    seen(world, ada, 2, clock_time(8, 40))

    assert starts(world, ada, clock_time(8, 40), first) == [clock_time(9)]


def test_who_is_around_the_corner_and_has_not_said_to_leave_is_not_late(
    world: World, ada: Technician
) -> None:
    first = visit(world, ada, 9, travel_s=3600)

    seen(world, ada, 2, clock_time(8, 40))

    # It should have left at eight by the plan; from where it is, the way takes two minutes.
    found = expected(world, ada, clock_time(8, 40))[first.id]
    assert (found.start, found.is_overdue) == (clock_time(9), False)


def test_who_is_too_far_off_is_late_before_the_planned_departure(world: World, ada: Technician) -> None:
    first = visit(world, ada, 9)

    seen(world, ada, 22, clock_time(8, 30))

    # Twenty kilometres are 3864 s, told as 65 minutes; by the plan it leaves at 8:51.
    found = expected(world, ada, clock_time(8, 30))[first.id]
    assert (found.start, found.is_overdue, found.late_by_s) == (clock_time(9, 35), True, 35 * 60)


def test_who_is_far_off_and_has_time_is_not_late(world: World, ada: Technician) -> None:
    first = visit(world, ada, 12)

    seen(world, ada, 22, clock_time(8, 30))

    assert starts(world, ada, clock_time(8, 30), first) == [clock_time(12)]


def test_without_a_word_after_the_planned_departure_the_start_moves_with_the_clock(
    world: World, ada: Technician
) -> None:
    first = visit(world, ada, 9, travel_s=600)

    found = [expected(world, ada, clock_time(*now))[first.id] for now in ((9, 0), (9, 1), (9, 30))]

    assert [each.start for each in found] == [clock_time(9), clock_time(9, 11), clock_time(9, 40)]
    assert [each.departure for each in found] == [None, clock_time(8, 50), clock_time(8, 50)]


def test_who_said_to_be_late_is_waited_for_until_then(world: World, ada: Technician) -> None:
    first, second = visit(world, ada, 9, travel_s=600), visit(world, ada, 10, travel_s=600)

    lateness.tell(world.session, first, 1800, BY, clock_time(8))

    assert starts(world, ada, clock_time(9, 20), first, second) == [clock_time(9, 30), clock_time(10, 40)]
    assert not expected(world, ada, clock_time(9, 30))[first.id].is_overdue
    assert expected(world, ada, clock_time(9, 31))[first.id].is_overdue


def test_what_nobody_has_accepted_is_as_planned_and_holds_nobody_up(world: World, ada: Technician) -> None:
    asked = visit(world, ada, 9, status=Status.SCHEDULED)
    accepted = visit(world, ada, 10, travel_s=600)

    found = expected(world, ada, clock_time(10, 30))

    assert found[asked.id].start == clock_time(9)
    assert found[accepted.id].start == clock_time(10, 40)


def test_a_planned_break_is_taken_along(world: World) -> None:
    ada = world.technician(hours=None)
    pause = {
        "earliest_start": clock_time(10).isoformat(),
        "latest_end": clock_time(12).isoformat(),
        "duration_s": 1800,
    }
    assert ada.no is not None
    shift = Shift(
        technician_no=ada.no,
        starts_at=clock_time(8),
        ends_at=clock_time(16),
        breaks=[pause],
        created_at=NOW,
    )
    add_shift(world.session, ada, shift)
    first, second = visit(world, ada, 9, travel_s=600), visit(world, ada, 11, travel_s=600)
    move_on(world, first, clock_time(8, 50), Status.EN_ROUTE)
    move_on(world, first, clock_time(9, 40), Status.ON_SITE)

    # Free at 10:40, half an hour of rest, ten minutes of travel.
    assert starts(world, ada, clock_time(9, 40), second) == [clock_time(11, 20)]


def test_a_start_that_is_put_off_leaves_an_absence_free(world: World, ada: Technician) -> None:
    first, second = visit(world, ada, 9, travel_s=600), visit(world, ada, 10, travel_s=600)
    begin, end = epoch(clock_time(11, 20)), epoch(clock_time(12))
    world.session.add(world.block(ada, begin, end, BlockKind.ABSENCE))
    move_on(world, first, clock_time(8, 50), Status.EN_ROUTE)
    move_on(world, first, clock_time(9, 20), Status.ON_SITE)

    # It would work from 10:30 to 11:30; it is there before the absence, and works after it.
    assert starts(world, ada, clock_time(9, 20), second) == [clock_time(12)]


def test_what_is_left_when_the_shift_is_over_is_expected_no_more(world: World, ada: Technician) -> None:
    last = visit(world, ada, 15)

    assert starts(world, ada, clock_time(16, 1), last) == [None]


def test_what_is_left_after_the_shift_is_expected_while_its_technician_is_at_work(
    world: World, ada: Technician
) -> None:
    first, last = visit(world, ada, 14, travel_s=600), visit(world, ada, 15, travel_s=600)
    move_on(world, first, clock_time(15, 30), Status.EN_ROUTE, Status.ON_SITE)

    found = expected(world, ada, clock_time(16, 1))[last.id]

    assert (found.start, found.held_up_by) == (clock_time(16, 40), first.id)


def test_a_position_records_what_it_makes_late_and_once(world: World, ada: Technician) -> None:
    first = visit(world, ada, 9)
    move_on(world, first, clock_time(8, 50), Status.EN_ROUTE)

    seen(world, ada, 12, clock_time(8, 50))
    seen(world, ada, 12, clock_time(8, 51))

    events = [event for event in _late_events(world) if event[0] == first.id]
    assert events == [(first.id, (clock_time(8, 50) + seconds(1992)).isoformat().replace("+00:00", "Z"))]


def _late_events(world: World) -> list[tuple[str, str]]:
    query = select(Event).where(Event.type == lateness.LATE).order_by(Event.at, Event.id)
    return [(event.subject_id, (event.after or {})["expected_start"]) for event in world.session.exec(query)]
