from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from dispatch import offering, placing
from dispatch.appointment import Appointment, Status
from dispatch.calendar import BlockKind, CalendarBlock, epoch
from dispatch.day import route_on
from dispatch.planning import (
    Job,
    WorkingDay,
    load_for_plan,
    load_standing,
    slot_windows,
    window_for,
)
from dispatch.shift import Shift, add_shift, instant, local_day
from dispatch.technician import Kind, TechnicianSkill
from optimizer import Pin, recommend, solve
from tests.dispatch.world import DISPATCHER, NOW, TOMORROW, ZONE, World, at, clock_time

DAY = local_day(TOMORROW, ZONE)
WHOLE_SHIFT = (clock_time(8), clock_time(16))


def standing(world: World, asking: Job | None = None) -> WorkingDay:
    return load_standing(
        world.session, world.settings, world.organization.id, DAY, asking=asking, windows=[WHOLE_SHIFT]
    )


def booked(world: World, job: Job, hour: int = 9) -> Appointment:
    """Planned for a window of two hours from `hour`."""
    window = (clock_time(hour), clock_time(hour + 2))
    placing.place(world.session, world.settings, job, window)
    job.appointment.window_start, job.appointment.window_end = window
    job.appointment.move(Status.SCHEDULED)
    world.session.flush()
    return job.appointment


@pytest.mark.parametrize(
    ("zone", "day", "count"),
    [
        ("America/New_York", date(2027, 3, 9), 24),
        ("America/New_York", date(2027, 3, 14), 23),
        ("America/New_York", date(2027, 11, 7), 24),
        ("America/Santiago", date(2027, 9, 5), 23),
    ],
)
def test_slots_follow_the_wall_clock_through_its_changes(
    world: World, zone: str, day: date, count: int
) -> None:
    service = world.service()

    windows = slot_windows(service, day, ZoneInfo(zone))

    assert len(windows) == count
    assert len({start for start, _ in windows}) == count
    assert all(end - start == timedelta(hours=2) for start, end in windows)
    assert all(start.astimezone(ZoneInfo(zone)).date() == day for start, _ in windows)


def test_the_promised_window_is_the_one_with_most_room_around_the_plan() -> None:
    windows = [(clock_time(hour), clock_time(hour + 2)) for hour in (8, 9, 10)]

    assert window_for(clock_time(9, 50), windows) == windows[1]
    assert window_for(clock_time(8, 5), windows) == windows[0]


def test_a_visit_in_the_calendar_stays_with_its_technician_inside_its_promise(world: World) -> None:
    technician = world.technician()
    job = world.job(world.service())
    booked(world, job, 9)

    day = standing(world)

    [visit] = day.problem.visits
    assert visit.pin == Pin(technician.id)
    assert [(w.start, w.end) for w in visit.windows] == [(epoch(clock_time(9)), epoch(clock_time(11)))]
    assert [stop.visit for stop in day.plan.routes[0].stops] == [job.appointment.id]


def test_what_was_agreed_with_a_technician_moves_within_the_tolerance_only(world: World) -> None:
    technician = world.technician()
    job = world.job(world.service())
    appointment = booked(world, job, 9)
    offer = offering.send_direct(
        world.session, world.settings, appointment, technician, offering.Terms(), DISPATCHER, NOW
    )
    offering.accept(world.session, world.settings, offer, DISPATCHER, NOW)
    assert appointment.agreed_start is not None

    [visit] = standing(world).problem.visits

    agreed = epoch(appointment.agreed_start)
    assert visit.windows[0].start == max(epoch(clock_time(9)), agreed - 1800)
    assert visit.windows[0].end == min(epoch(clock_time(11)), agreed + 1800)


def test_a_visit_pinned_in_time_does_not_move(world: World) -> None:
    world.technician()
    job = world.job(world.service())
    appointment = booked(world, job, 9)
    appointment.pinned = appointment.pinned_time = True
    assert appointment.scheduled_start is not None

    [visit] = standing(world).problem.visits

    assert visit.pin is not None
    assert visit.pin.start == epoch(appointment.scheduled_start)


def test_another_organizations_visit_takes_time_and_tells_nothing(world: World) -> None:
    technician = world.technician()
    other = world.new_organization("other")
    world.new_territory(other)
    world.engage(technician, other, {"plumbing": 3})
    foreign = world.job(world.service(hours=7, organization=other))
    placing.place(world.session, world.settings, foreign, WHOLE_SHIFT)
    own = world.job(world.service())

    day = standing(world, own)

    assert foreign.appointment.id not in day.jobs
    taken = next(visit for visit in day.problem.visits if visit.id != own.appointment.id)
    assert taken.skills == {}
    assert taken.pin is not None
    assert taken.pin.start is not None
    assert recommend(day.problem, day.plan, own.appointment.id).insertions == ()


def test_buffers_take_the_technicians_time_and_not_the_customers(world: World) -> None:
    world.technician()
    job = world.job(world.service(hours=1, buffer_before_s=600, buffer_after_s=300))

    appointment = booked(world, job, 9)

    block = world.session.get_one(CalendarBlock, standing(world).blocks[appointment.id].id)
    assert appointment.scheduled_start == clock_time(9)
    assert appointment.scheduled_end == clock_time(10)
    assert (block.work_from, block.busy_to) == (epoch(clock_time(8, 50)), epoch(clock_time(10, 5)))


def test_a_skill_that_has_expired_does_not_count(world: World) -> None:
    technician = world.technician()
    job = world.job(world.service())
    skill = world.session.get_one(TechnicianSkill, (technician.no, "plumbing"))
    skill.expires_on = TOMORROW - timedelta(days=1)
    world.session.flush()

    day = standing(world, job)

    found = recommend(day.problem, day.plan, job.appointment.id)
    assert found.insertions == ()
    assert [reason.code for reason in found.reasons] == ["skill_expired"]


def test_an_absence_takes_its_hours(world: World) -> None:
    technician = world.technician()
    begin, end = epoch(clock_time(8)), epoch(clock_time(12))
    world.session.add(world.block(technician, begin, end, BlockKind.ABSENCE))
    job = world.job(world.service())
    world.session.flush()

    day = standing(world, job)

    [insertion] = recommend(day.problem, day.plan, job.appointment.id).insertions
    assert insertion.start >= end


def test_who_declined_a_visit_is_not_asked_for_it_again_but_for_others(world: World) -> None:
    technician = world.technician()
    refused, other = world.job(world.service()), world.job(world.service())
    appointment = booked(world, refused, 9)
    offer = offering.send_direct(
        world.session, world.settings, appointment, technician, offering.Terms(), DISPATCHER, NOW
    )

    offering.decline(world.session, world.settings, offer, DISPATCHER, NOW, None)

    day = standing(world, refused)
    assert recommend(day.problem, day.plan, refused.appointment.id).insertions == ()
    day = standing(world, other)
    assert recommend(day.problem, day.plan, other.appointment.id).insertions != ()


def test_a_plan_may_move_what_is_scheduled_and_keeps_what_is_agreed(world: World) -> None:
    world.technician(kind=Kind.FREELANCER)
    technician = world.technician("Bo", home_km=30)
    free, agreed = world.job(world.service(), km=1), world.job(world.service(), km=30)
    booked(world, free, 9)
    appointment = booked(world, agreed, 11)
    offer = offering.send_direct(
        world.session, world.settings, appointment, technician, offering.Terms(), DISPATCHER, NOW
    )
    offering.accept(world.session, world.settings, offer, DISPATCHER, NOW)

    day, _ = load_for_plan(world.session, world.settings, world.territory, TOMORROW, NOW, None)

    pins = {visit.id: visit.pin for visit in day.problem.visits}
    assert pins[free.appointment.id] is None
    assert pins[agreed.appointment.id] == Pin(technician.id)


def test_a_request_that_may_not_start_on_the_day_is_told_apart(world: World) -> None:
    world.technician()
    late = world.job(world.service(), earliest_start=clock_time(23, 30))

    day, hopeless = load_for_plan(world.session, world.settings, world.territory, TOMORROW, NOW, None)

    assert [job.appointment.id for job in hopeless] == [late.appointment.id]
    assert day.problem.visits == ()


def test_a_skipped_wall_time_moves_on_by_the_gap() -> None:
    santiago = ZoneInfo("America/Santiago")

    assert instant(date(2027, 9, 5), time.min, santiago) == datetime(2027, 9, 5, 4, tzinfo=UTC)
    assert local_day(date(2027, 9, 5), santiago)[1] - local_day(date(2027, 9, 5), santiago)[0] == timedelta(
        hours=23
    )


def test_places_of_the_world_are_where_its_docstring_says(world: World) -> None:
    technician = world.technician()
    job = world.job(world.service(), km=10)

    day = standing(world, job)

    home = next(s for s in day.problem.shifts if s.technician == technician.id).start_place
    visit = next(v for v in day.problem.visits if v.id == job.appointment.id)
    assert abs(int(day.problem.travel.duration_s[home, visit.place]) - 1992) <= 2
    assert at(10).lon > at(0).lon


def test_work_forced_past_a_shift_makes_it_longer_but_never_into_the_next(world: World) -> None:
    technician = world.technician(hours=(8, 12))
    world.shift(technician, 13, 16)
    begin, end = epoch(clock_time(11)), epoch(clock_time(14))
    world.session.add(world.block(technician, begin, end))
    world.session.flush()

    day = standing(world)

    morning, afternoon = (shift.window for shift in day.problem.shifts)
    assert (morning.end, afternoon.start) == (end, end)


def test_a_plan_for_today_sends_nobody_off_before_now(world: World) -> None:
    technician = world.technician()
    job = world.job(world.service(), km=10)
    now = clock_time(9, 50)

    day, _ = load_for_plan(world.session, world.settings, world.territory, TOMORROW, now, None)

    plan = solve(day.problem, max_work=20)
    [route] = plan.routes
    assert (route.technician, route.stops[0].visit) == (technician.id, job.appointment.id)
    assert route.departs_at >= epoch(now)


def test_a_break_that_is_over_does_not_close_the_rest_of_the_shift(world: World) -> None:
    technician = world.technician(hours=None)
    assert technician.no is not None
    lunch = {
        "earliest_start": clock_time(11).isoformat(),
        "latest_end": clock_time(12).isoformat(),
        "duration_s": 1800,
    }
    shift = Shift(
        technician_no=technician.no,
        starts_at=clock_time(8),
        ends_at=clock_time(16),
        breaks=[lunch],
        created_at=NOW,
    )
    add_shift(world.session, technician, shift)
    world.job(world.service())

    day, _ = load_for_plan(world.session, world.settings, world.territory, TOMORROW, clock_time(13), None)

    assert solve(day.problem, max_work=20).served == 1


def test_travel_beside_another_organizations_visit_is_rounded_for_ours(world: World) -> None:
    technician = world.technician()
    other = world.new_organization("other")
    world.new_territory(other)
    world.engage(technician, other, {"plumbing": 3})
    foreign = world.job(world.service(organization=other), km=7)
    placing.place(world.session, world.settings, foreign, (clock_time(9), clock_time(9)))
    own = world.job(world.service(), km=10)
    appointment = booked(world, own, 11)

    ours = route_on(world.session, technician, TOMORROW, world.organization.id)
    exact = route_on(world.session, technician, TOMORROW, None)
    offer = offering.send_direct(
        world.session, world.settings, appointment, technician, offering.Terms(), DISPATCHER, NOW
    )

    [stop] = ours.stops
    assert (stop.travel_s % 300, stop.travel_m % 1000) == (0, 0)
    assert (offer.travel_s % 300, offer.travel_m % 1000, offer.detour_s % 300) == (0, 0, 0)
    assert exact.stops[1].travel_s == appointment.travel_s
    assert exact.stops[1].travel_s % 300 != 0
