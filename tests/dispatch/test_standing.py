"""Remembered calendars answer as calendars that are read for the first time, whatever changed meanwhile and whoever
changed it."""

from collections.abc import Callable, Iterator, Set
from contextlib import contextmanager
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import Engine, event
from sqlmodel import select

from dispatch import booking, holds
from dispatch.appointment import Appointment
from dispatch.calendar import BlockKind, blocks_between
from dispatch.catalogue import Service
from dispatch.database import open_session
from dispatch.errors import SlotTaken
from dispatch.ids import new_id
from dispatch.offer import Offer, OfferStatus, OfferStrategy
from dispatch.planning import Job, Window, job_of, load_standing, range_of, slot_windows
from dispatch.service_request import Priority
from dispatch.settings import Settings
from dispatch.shift import Shift, set_availability
from dispatch.slots import find_slots, sign_slot
from dispatch.standing import Calendars, Opening, calendars_of
from dispatch.technician import Engagement, Technician, TechnicianSkill
from optimizer import Reason, recommend
from tests.dispatch.world import DISPATCHER, NOW, TOMORROW, ZONE, World, at, clock_time

DAYS = [TOMORROW + timedelta(days=offset) for offset in range(2)]


def windows_of(job: Job) -> list[Window]:
    return [window for day in DAYS for window in slot_windows(job.service, day, ZONE)]


def told(openings: list[Opening]) -> list[tuple[int, int, int, int]]:
    return [
        (each.window, each.insertion.extra_cents, each.insertion.start, each.insertion.extra_travel_s)
        for each in openings
    ]


def remembered(world: World, job: Job) -> list[tuple[int, int, int, int]]:
    calendars = calendars_of(world.session, world.organization.id)
    return told(calendars.openings(world.session, world.settings, job, windows_of(job), ZONE))


def read_anew(world: World, job: Job) -> list[tuple[int, int, int, int]]:
    calendars = Calendars(world.organization.id)
    return told(calendars.openings(world.session, world.settings, job, windows_of(job), ZONE))


def by_one_problem(world: World, job: Job) -> list[tuple[int, int, int, int]]:
    """Everybody's calendars of all days in one problem with one matrix."""
    windows = windows_of(job)
    around = (windows[0][0] - timedelta(days=2), windows[-1][1] + timedelta(days=1))
    day = load_standing(
        world.session, world.settings, world.organization.id, around, asking=job, windows=windows
    )
    found = recommend(day.problem, day.plan, job.appointment.id, job.windows_at_place(windows)).insertions
    best: dict[int, tuple[int, int, int, int]] = {}
    for each in found:
        best.setdefault(each.window, (each.window, each.extra_cents, each.start, each.extra_travel_s))
    return [best[window] for window in sorted(best)]


Why = list[tuple[Set[str], Set[str], tuple[Reason, ...], tuple[Reason, ...]]]
"""By day who works, who could take the visit, why the others cannot and, where nobody can, what would help."""


def why_not(world: World, job: Job) -> Why:
    days = [slot_windows(job.service, day, ZONE) for day in DAYS]
    calendars = calendars_of(world.session, world.organization.id)
    found: Why = []
    for obstacles in calendars.obstacles(world.session, world.settings, job, days, ZONE):
        fitting = obstacles.fitting()
        helps = () if fitting else obstacles.would_fit_if()
        found.append((obstacles.working, fitting, obstacles.reasons(fitting), helps))
    return found


def why_not_by_problems(world: World, job: Job) -> Why:
    """Everybody's calendars of each day in a problem with a matrix."""
    found: Why = []
    for on in DAYS:
        windows = slot_windows(job.service, on, ZONE)
        range_ = range_of(windows, ZONE)
        day = load_standing(
            world.session, world.settings, world.organization.id, range_, asking=job, windows=windows
        )
        answer = recommend(day.problem, day.plan, job.appointment.id, job.windows_at_place(windows))
        working = {shift.technician for shift in day.problem.shifts}
        fitting = {insertion.technician for insertion in answer.insertions}
        found.append((working, fitting, answer.reasons, answer.would_fit_if))
    return found


def book_first(world: World, km: float, hours: float = 1, which: int = 0) -> Job | None:
    job = world.job(world.service(hours=hours), km)
    items = find_slots(world.session, world.settings, job, DAYS[0], DAYS[-1], NOW).items
    if not items:
        return None
    slot = items[which % len(items)]
    booking.book(world.session, world.settings, job.appointment, slot.slot_id, DISPATCHER, NOW)
    return job


def a_crew(world: World) -> list[Technician]:
    crew = [world.technician(f"Technician {n}", home_km=km, hours=None) for n, km in enumerate((0, 4, 9))]
    for day in DAYS:
        world.shift(crew[0], 8, 16, day)
        world.shift(crew[1], 10, 20, day)
    weekly = [{"weekday": day, "from": "22:00", "to": "06:00"} for day in range(1, 8)]
    set_availability(world.session, crew[2], weekly, [], NOW)
    world.session.flush()
    return crew


Change = Callable[[World, list[Technician], int], None]


def _book(world: World, crew: list[Technician], number: int) -> None:
    book_first(world, number % 12, 0.5 + number % 3, number)


def _cancel(world: World, crew: list[Technician], number: int) -> None:
    standing = world.session.exec(select(Appointment).where(Appointment.status == "scheduled")).all()
    if standing:
        booking.cancel(world.session, world.settings, standing[number % len(standing)], DISPATCHER, NOW)


def _reschedule(world: World, crew: list[Technician], number: int) -> None:
    standing = world.session.exec(select(Appointment).where(Appointment.status == "scheduled")).all()
    if not standing:
        return
    appointment = standing[number % len(standing)]
    job = job_of(world.session, appointment)
    items = find_slots(world.session, world.settings, job, DAYS[0], DAYS[-1], NOW).items
    if items:
        slot_id = items[number % len(items)].slot_id
        booking.reschedule(world.session, world.settings, appointment, slot_id, DISPATCHER, NOW)


def _hold(world: World, crew: list[Technician], number: int) -> None:
    job = world.job(world.service(hours=1), number % 10)
    items = find_slots(world.session, world.settings, job, DAYS[0], DAYS[-1], NOW).items
    if items:
        slot_id = items[number % len(items)].slot_id
        holds.hold(world.session, world.settings, job.request, slot_id, DISPATCHER, NOW)


def _pin(world: World, crew: list[Technician], number: int) -> None:
    for appointment in world.session.exec(select(Appointment).where(Appointment.status == "scheduled")).all():
        appointment.pinned = appointment.pinned_time = bool(number % 2)


def _move_home(world: World, crew: list[Technician], number: int) -> None:
    place = at(number % 15)
    crew[number % 3].lat, crew[number % 3].lon = place.lat, place.lon


def _limit_radius(world: World, crew: list[Technician], number: int) -> None:
    crew[number % 3].max_travel_m = 1000 * (number % 20) or None


def _change_skill(world: World, crew: list[Technician], number: int) -> None:
    skill = world.session.exec(
        select(TechnicianSkill).where(TechnicianSkill.technician_no == crew[number % 3].no)
    ).one()
    skill.expires_on = None if number % 2 else DAYS[0]


def _change_pay(world: World, crew: list[Technician], number: int) -> None:
    _engagement(world, crew[number % 3]).pay_per_hour_cents = 1000 * (1 + number % 9)


def _suspend_or_reinstate(world: World, crew: list[Technician], number: int) -> None:
    engagement = _engagement(world, crew[number % 3])
    if engagement.status.value == "active":
        engagement.suspend("No answer.")
    else:
        engagement.reinstate()


def _engagement(world: World, technician: Technician) -> Engagement:
    query = select(Engagement).where(
        Engagement.technician_no == technician.no, Engagement.organization_id == world.organization.id
    )
    return world.session.exec(query).one()


def _change_hours(world: World, crew: list[Technician], number: int) -> None:
    shift = world.session.exec(select(Shift).where(Shift.technician_no == crew[number % 2].no)).first()
    if shift is not None:
        shift.ends_at = shift.starts_at + timedelta(hours=8 + number % 3)


def _change_availability(world: World, crew: list[Technician], number: int) -> None:
    opens, closes = f"{20 + number % 3}:00", f"0{3 + number % 4}:00"
    weekly = [{"weekday": day, "from": opens, "to": closes} for day in range(1, 8)]
    set_availability(world.session, crew[2], weekly, [], NOW)


def _be_absent(world: World, crew: list[Technician], number: int) -> None:
    begin = int(clock_time(number % 6, day=DAYS[number % 2]).timestamp())
    end = begin + 1800 * (1 + number % 3)
    assert crew[2].no is not None
    if not blocks_between(world.session, [crew[2].no], begin, end):
        world.session.add(world.block(crew[2], begin, end, BlockKind.ABSENCE))


def _work_for_others(world: World, crew: list[Technician], number: int) -> None:
    begin = int(clock_time(10 + number % 6, day=DAYS[number % 2]).timestamp())
    technician = crew[number % 2]
    assert technician.no is not None
    if not blocks_between(world.session, [technician.no], begin, begin + 3600):
        block = world.block(technician, begin, begin + 3600)
        block.organization_id = world.new_organization(f"others-{new_id()}").id
        world.session.add(block)


def _change_buffer(world: World, crew: list[Technician], number: int) -> None:
    for service in world.session.exec(select(Service)).all():
        service.buffer_before_s = 300 * (number % 4)
        service.version += 1


def _ask_technician(world: World, crew: list[Technician], number: int) -> None:
    for appointment in world.session.exec(select(Appointment).where(Appointment.status == "scheduled")).all():
        assert appointment.technician_no is not None
        assert appointment.scheduled_start is not None
        world.session.add(
            Offer(
                organization_id=appointment.organization_id,
                appointment_id=appointment.id,
                technician_no=appointment.technician_no,
                strategy=OfferStrategy.DIRECT,
                status=OfferStatus.PENDING if number % 2 else OfferStatus.DECLINED,
                pay_cents=1000,
                travel_s=0,
                travel_m=0,
                detour_s=0,
                duration_s=3600,
                scheduled_start=appointment.scheduled_start,
                expires_at=NOW + timedelta(hours=1),
                created_at=NOW,
            )
        )


CHANGES: list[Change] = [
    _book, _cancel, _reschedule, _hold, _pin, _move_home, _limit_radius, _change_skill, _change_pay,
    _suspend_or_reinstate, _change_hours, _change_availability, _be_absent, _work_for_others, _change_buffer,
    _ask_technician,
]  # fmt: skip
STEPS = st.lists(st.tuples(st.sampled_from(CHANGES), st.integers(0, 59)), min_size=1, max_size=8)


@given(steps=STEPS)
@hypothesis_settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_what_is_remembered_is_what_stands(
    engine: Engine, settings: Settings, steps: list[tuple[Change, int]]
) -> None:
    with open_session(engine) as session:
        world = World(session, settings)
        crew = a_crew(world)
        for change, number in [(_book, 1), (_book, 7), *steps]:
            asked = world.job(world.service(hours=1), number % 11)
            remembered(world, asked)
            change(world, crew, number)
            session.flush()
            truth = by_one_problem(world, asked)
            assert remembered(world, asked) == truth, change.__name__
            assert read_anew(world, asked) == truth, change.__name__
        session.rollback()


HARD_TO_SERVE: list[tuple[float, int, dict[str, int]]] = [
    (1, 1800, {"plumbing": 1}), (7, 86_400, {}), (3, 3 * 3600, {"plumbing": 3}), (1, 86_400, {"plumbing": 4}),
    (1, 86_400, {"painting": 1}), (15, 1800, {"plumbing": 1}),
]  # fmt: skip
"""Hours of work, seconds from one window to the next, skills."""


@given(steps=STEPS)
@hypothesis_settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_why_nobody_can_is_told_from_what_is_remembered(
    engine: Engine, settings: Settings, steps: list[tuple[Change, int]]
) -> None:
    with open_session(engine) as session:
        world = World(session, settings)
        crew = a_crew(world)
        for change, number in [(_book, 1), (_book, 7), *steps]:
            change(world, crew, number)
            session.flush()
            hours, step_s, skills = HARD_TO_SERVE[number % len(HARD_TO_SERVE)]
            service = world.service(hours=hours, slot_step_s=step_s, required_skills=skills)
            standing = session.exec(select(Appointment).where(Appointment.status == "scheduled")).all()
            for asked in [world.job(service, number % 11), *(job_of(session, each) for each in standing[:1])]:
                assert why_not(world, asked) == why_not_by_problems(world, asked), change.__name__
        session.rollback()


def test_a_visit_that_stands_counts_as_removed(world: World) -> None:
    a_crew(world)
    job = book_first(world, 3, which=4)
    assert job is not None
    before = by_one_problem(world, job)

    assert remembered(world, job) == before
    assert [window for window, *_ in before if windows_of(job)[window][0] == job.appointment.window_start]


def test_a_visit_that_stands_does_not_keep_itself_out(world: World) -> None:
    ada = world.technician("Ada Plumber", hours=(8, 11))
    job = book_first(world, 2, hours=2)
    assert job is not None
    another = world.job(world.service(hours=2), 2)

    assert why_not(world, another)[0][:2] == ({ada.id}, set())
    assert why_not(world, job)[0][:2] == ({ada.id}, {ada.id})
    assert why_not(world, job) == why_not_by_problems(world, job)


def test_reasons_follow_the_slots_where_work_was_forced_over_midnight(world: World) -> None:
    ada = world.technician("Ada Plumber", home_km=20, hours=(14, 23))
    world.shift(ada, 0, 8, DAYS[1])
    midnight = int(clock_time(0, day=DAYS[1]).timestamp())
    world.session.add(world.block(ada, midnight - 5400, midnight + 1800))
    job = world.job(world.service(hours=7), 20)

    windows = {windows_of(job)[window][0].astimezone(ZONE).date() for window, *_ in remembered(world, job)}

    assert DAYS[1] in windows
    assert why_not(world, job)[1][1] == {ada.id}


def test_what_was_rolled_back_is_remembered_by_nobody(world: World) -> None:
    a_crew(world)
    asked = world.job(world.service(hours=1), 2)
    before = remembered(world, asked)
    with world.session.begin_nested() as attempt:
        book_first(world, 2, 3)
        assert remembered(world, asked) != before
        attempt.rollback()

    assert remembered(world, asked) == before
    book_first(world, 9, 2)
    assert remembered(world, asked) == read_anew(world, asked)


def share_for_emergencies(world: World, share: float) -> Service:
    return world.service(hours=2, emergency_share=share)


def test_a_share_of_a_day_is_kept_for_emergencies(world: World) -> None:
    world.technician("Ada Plumber", hours=(8, 16))
    service = share_for_emergencies(world, 0.5)
    first, second = world.job(service, 1), world.job(service, 1)
    emergency = world.job(service, 1, priority=Priority.EMERGENCY)
    slots = find_slots(world.session, world.settings, first, TOMORROW, TOMORROW, NOW).items
    booking.book(world.session, world.settings, first.appointment, slots[0].slot_id, DISPATCHER, NOW)

    found = find_slots(world.session, world.settings, second, TOMORROW, TOMORROW, NOW)
    assert found.items == ()
    assert [(reason.code, reason.detail) for reason in found.reasons] == [
        ("no_time", "what is left of the day is kept for emergencies")
    ]
    forced = sign_slot(world.settings, second.appointment, (slots[-1].start, slots[-1].end), NOW)
    with pytest.raises(SlotTaken):
        booking.book(world.session, world.settings, second.appointment, forced, DISPATCHER, NOW)
    assert find_slots(world.session, world.settings, emergency, TOMORROW, TOMORROW, NOW).items


def test_the_share_is_of_the_hours_of_those_who_could_come(world: World) -> None:
    world.technician("Ada Plumber", hours=(8, 16))
    world.technician("Ben Painter", hours=(8, 16), skills={"painting": 3})
    service = share_for_emergencies(world, 0.7)
    job = world.job(service, 1)
    assert find_slots(world.session, world.settings, job, TOMORROW, TOMORROW, NOW).items
    late = world.job(world.service(hours=3, emergency_share=0.7), 1)
    assert find_slots(world.session, world.settings, late, TOMORROW, TOMORROW, NOW).items == ()


def test_another_day_has_hours_of_its_own(world: World) -> None:
    technician = world.technician("Ada Plumber", hours=(8, 16))
    world.shift(technician, 8, 16, DAYS[1])
    service = share_for_emergencies(world, 0.5)
    first, second = world.job(service, 1), world.job(service, 1)
    slots = find_slots(world.session, world.settings, first, TOMORROW, TOMORROW, NOW).items
    booking.book(world.session, world.settings, first.appointment, slots[0].slot_id, DISPATCHER, NOW)

    items = find_slots(world.session, world.settings, second, DAYS[0], DAYS[1], NOW).items
    assert {slot.start.astimezone(ZONE).date() for slot in items} == {DAYS[1]}


def test_why_there_is_no_slot_is_told_without_reading_calendars_again(world: World) -> None:
    a_crew(world)
    job = world.job(world.service(hours=14), 2)
    first = find_slots(world.session, world.settings, job, DAYS[0], DAYS[-1], NOW)
    with statements(world) as read:
        again = find_slots(world.session, world.settings, job, DAYS[0], DAYS[-1], NOW)

    assert first.items == ()
    assert first.reasons
    assert again == first
    assert any("calendar_stamp" in statement for statement in read)
    assert [statement for statement in read if "FROM calendar_block" in statement] == []


@contextmanager
def statements(world: World) -> Iterator[list[str]]:
    """What the database is asked meanwhile."""
    read: list[str] = []

    def note(_c: object, _k: object, statement: str, *_rest: object) -> None:
        read.append(statement)

    event.listen(world.session.get_bind(), "before_cursor_execute", note)
    yield read
    event.remove(world.session.get_bind(), "before_cursor_execute", note)


def test_who_books_leaves_what_is_remembered_as_it_stands(world: World) -> None:
    a_crew(world)
    asked = world.job(world.service(hours=1), 2)
    remembered(world, asked)
    read: list[str] = []
    for which in range(4):
        assert book_first(world, 3 + which, which=2 * which) is not None
        with statements(world) as more:
            found = remembered(world, asked)
        assert found == read_anew(world, asked)
        read += more
    assert any("calendar_stamp" in statement for statement in read)
    assert [statement for statement in read if "FROM calendar_block" in statement] == []
