"""Slots against the truth: what is offered can be booked, and what is not offered nobody could keep."""

from datetime import timedelta

from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlmodel import select

from dispatch import booking
from dispatch.errors import SlotTaken
from dispatch.planning import Job, Window, load_standing, slot_windows
from dispatch.shift import Shift, add_shift
from dispatch.slots import find_slots
from dispatch.technician import Engagement, Kind, stated_skills
from optimizer import recommend
from tests.dispatch.world import DISPATCHER, NOW, TOMORROW, ZONE, World, clock_time
from tests.support.examples import examples

LAST = TOMORROW + timedelta(days=1)
SHIFTS = st.tuples(st.sampled_from([0, 8, 14, 20, 22, 23, 24, 30, 40]), st.integers(2, 12))
"""Hours from midnight of tomorrow, and hours of work: many cross the midnight after."""
VISITS = st.tuples(st.integers(0, 25), st.sampled_from([0.5, 1, 2]), st.integers(0, 45))


def people(world: World, homes: list[int], shifts: list[tuple[int, int]]) -> None:
    """Employed, so that whoever can come does."""
    for index, home in enumerate(homes):
        technician = world.technician(f"Technician {index}", home_km=home, hours=None, kind=Kind.EMPLOYEE)
        if index % 2:
            technician.max_travel_m = 20_000
        begin, hours = shifts[index]
        starts_at = clock_time(0) + timedelta(hours=begin)
        assert technician.no is not None
        shift = Shift(
            technician_no=technician.no,
            starts_at=starts_at,
            ends_at=starts_at + timedelta(hours=hours),
            created_at=NOW,
        )
        add_shift(world.session, technician, shift)
    world.session.flush()


def booked(world: World, visits: list[tuple[int, float, int]]) -> None:
    """Each in the window that it wants, or in the first that is left."""
    for km, hours, wish in visits:
        job = world.job(world.service(hours=hours), km)
        items = find_slots(world.session, world.settings, job, TOMORROW, LAST, NOW).items
        at = clock_time(0) + timedelta(hours=wish)
        chosen = next((slot for slot in items if slot.start == at), items[0] if items else None)
        if chosen is not None:
            booking.book(world.session, world.settings, job.appointment, chosen.slot_id, DISPATCHER, NOW)


def anybody_can(world: World, job: Job, window: Window) -> bool:
    """Over the calendars of days around, for this window alone."""
    around = (window[0] - timedelta(days=1), window[1] + timedelta(days=1))
    day = load_standing(
        world.session, world.settings, world.organization.id, around, asking=job, windows=[window]
    )
    wanted = job.windows_at_place([window])
    return bool(recommend(day.problem, day.plan, job.appointment.id, wanted).insertions)


def can_book(world: World, job: Job, slot_id: str, window: Window) -> bool:
    with world.session.begin_nested() as trial:
        try:
            booked = booking.book(world.session, world.settings, job.appointment, slot_id, DISPATCHER, NOW)
            assert booked.scheduled_start is not None
            inside = window[0] <= booked.scheduled_start <= window[1]
        except SlotTaken:
            inside = False
        trial.rollback()
    return inside


@hypothesis_settings(
    max_examples=examples(10),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@example(homes=[6], shifts=[(24, 2), (0, 2), (0, 2)], visits=[], wanted=(6, 0.5, 0))
@given(
    homes=st.lists(st.integers(0, 25), min_size=1, max_size=3),
    shifts=st.lists(SHIFTS, min_size=3, max_size=3),
    visits=st.lists(VISITS, max_size=5),
    wanted=VISITS,
)
def test_what_is_offered_can_be_booked_and_what_is_not_nobody_could_keep(
    world: World,
    homes: list[int],
    shifts: list[tuple[int, int]],
    visits: list[tuple[int, float, int]],
    wanted: tuple[int, float, int],
) -> None:
    with world.session.begin_nested() as trial:
        people(world, homes, shifts)
        booked(world, visits)
        job = world.job(world.service(hours=wanted[1]), wanted[0])
        items = find_slots(world.session, world.settings, job, TOMORROW, LAST, NOW).items
        offered = {(slot.start, slot.end): slot.slot_id for slot in items}
        grid = [window for day in (TOMORROW, LAST) for window in slot_windows(job.service, day, ZONE)]

        assert len(offered) == len(items)
        assert [w for w in grid if w not in offered and anybody_can(world, job, w)] == []
        assert [w for w, slot_id in offered.items() if not can_book(world, job, slot_id, w)] == []
        trial.rollback()


def test_whose_certificate_has_ended_is_told_apart(world: World) -> None:
    ended, lacking = world.technician("Ada Ended"), world.technician("Ben Painter", skills={"painting": 3})
    for skill in stated_skills(world.session, [ended.no or 0])[ended.no or 0]:
        skill.expires_on = TOMORROW - timedelta(days=1)
        world.session.add(skill)
    world.session.flush()

    found = find_slots(world.session, world.settings, world.job(world.service()), TOMORROW, TOMORROW, NOW)

    assert {(reason.code, reason.technicians) for reason in found.reasons} == {
        ("skill_expired", (ended.id,)),
        ("skill_missing", (lacking.id,)),
    }


def test_who_could_come_and_does_not_work_is_told_apart(world: World) -> None:
    ada = world.technician("Ada Plumber")
    idle = world.technician("Ben Plumber", hours=None)
    unable = world.technician("Cleo Painter", hours=None, skills={"painting": 3})
    job = world.job(world.service(hours=14))

    found = find_slots(world.session, world.settings, job, TOMORROW, TOMORROW, NOW)

    told = [(reason.code, reason.detail, reason.technicians) for reason in found.reasons]
    assert ("no_shift", "do not work then", (idle.id,)) in told
    assert [technicians for _, _, technicians in told if ada.id in technicians] == [(ada.id,)]
    assert unable.id not in str(told)


def test_where_nobody_works_nobody_is_named(world: World) -> None:
    world.technician("Ada Plumber", hours=None)

    found = find_slots(world.session, world.settings, world.job(world.service()), TOMORROW, LAST, NOW)

    assert [(reason.code, reason.detail, reason.technicians) for reason in found.reasons] == [
        ("no_shift", "nobody works", ())
    ]


def test_who_is_suspended_is_no_reason(world: World) -> None:
    ada, ben = world.technician("Ada Plumber"), world.technician("Ben Plumber")
    job = world.job(world.service(hours=14))
    before = find_slots(world.session, world.settings, job, TOMORROW, TOMORROW, NOW)
    engagement = world.session.exec(select(Engagement).where(Engagement.technician_no == ben.no)).one()
    engagement.suspend("No answer.")
    world.session.flush()

    after = find_slots(world.session, world.settings, job, TOMORROW, TOMORROW, NOW)

    assert [reason.technicians for reason in before.reasons] == [(ada.id, ben.id)]
    assert [reason.technicians for reason in after.reasons] == [(ada.id,)]


def test_a_day_without_a_window_says_so_beside_the_others(world: World) -> None:
    world.technician("Ada Plumber")
    job = world.job(world.service(hours=14), due=clock_time(23, day=TOMORROW))

    found = find_slots(world.session, world.settings, job, TOMORROW, LAST, NOW)

    assert [reason.code for reason in found.reasons] == ["no_time", "window"]
    assert "earliest start and the due time" in found.reasons[1].detail
