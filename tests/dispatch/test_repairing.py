"""Somebody is absent, a visit takes longer, an emergency comes: the day is repaired with the fewest moves."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import Engine
from sqlmodel import Session, select

from dispatch import booking, database, holds, offering, override, placing, repair_change, repairing
from dispatch.appointment import Appointment, Status
from dispatch.calendar import BlockKind, CalendarBlock, CalendarMoved, epoch
from dispatch.decision import Decision, Outcome
from dispatch.errors import Conflict, Invalid, InvalidState
from dispatch.events import Event
from dispatch.offer import Offer, OfferStatus
from dispatch.planning import Job, load_for_plan, load_standing, write_plan
from dispatch.repair_change import Repair
from dispatch.service_request import Priority
from dispatch.shift import local_day
from dispatch.slots import find_slots
from dispatch.technician import Kind, Technician
from optimizer import check, solve
from tests.dispatch.world import DISPATCHER, NOW, TOMORROW, ZONE, World, clock_time

MORNING = clock_time(7)
"""Before anybody works."""


def booked(world: World, job: Job, hour: int) -> Appointment:
    """Promised from this hour on, for two hours."""
    slots = find_slots(world.session, world.settings, job, TOMORROW, TOMORROW, NOW).items
    slot = next(slot for slot in slots if slot.start == clock_time(hour))
    return booking.book(world.session, world.settings, job.appointment, slot.slot_id, DISPATCHER, NOW)


def visit(world: World, hour: int, km: float = 1, hours: float = 1) -> Appointment:
    return booked(world, world.job(world.service(hours=hours), km=km), hour)


def given(
    world: World, technician: Technician, window: tuple[datetime, datetime], hours: float
) -> Appointment:
    """Promised, and planned with the technician."""
    job = world.job(world.service(hours=hours))
    placing.place(world.session, world.settings, job, window, technician.no)
    job.appointment.promise(window)
    job.appointment.move(Status.SCHEDULED)
    world.session.flush()
    return job.appointment


def absent(world: World, technician: Technician, now: datetime = MORNING, **rest: Any) -> Repair:
    repair = repairing.report_absent(
        world.session, world.settings, world.organization.id, technician, DISPATCHER, now, **rest
    )
    require_sound(world)
    return repair


def overrun(world: World, appointment: Appointment, now: datetime, **rest: Any) -> Repair:
    repair = repairing.report_overrun(world.session, world.settings, appointment, DISPATCHER, now, **rest)
    require_sound(world)
    return repair


def emergency(world: World, job: Job, now: datetime = MORNING, **rest: Any) -> Repair:
    repair = repairing.place_emergency(
        world.session, world.settings, job.appointment, DISPATCHER, now, **rest
    )
    require_sound(world)
    return repair


def require_sound(world: World) -> None:
    """Nobody is in two places, by the blocks alone."""
    blocks = world.session.exec(select(CalendarBlock)).all()
    pairs = [
        (one, other)
        for one in blocks
        for other in blocks
        if one.id < other.id and one.technician_no == other.technician_no
    ]
    assert all(one.busy_to <= other.busy_from or other.busy_to <= one.busy_from for one, other in pairs)


def ids(items: list[dict[str, Any]]) -> set[str]:
    return {item["appointment_id"] for item in items}


def holder(world: World, appointment: Appointment) -> int | None:
    world.session.refresh(appointment)
    return appointment.technician_no


# Absent


def test_what_an_absent_technician_was_to_do_goes_to_another_within_its_promise(world: World) -> None:
    ada = world.technician("Ada")
    first, second = visit(world, 9), visit(world, 12, km=3)
    bo = world.technician("Bo", home_km=5)
    windows = [(a.window_start, a.window_end) for a in (first, second)]

    repair = absent(world, ada)

    assert ids(repair.moved) == {first.id, second.id}
    assert [holder(world, a) for a in (first, second)] == [bo.no, bo.no]
    assert [(a.window_start, a.window_end) for a in (first, second)] == windows
    for appointment in (first, second):
        assert appointment.status is Status.SCHEDULED
        assert appointment.window_start <= appointment.scheduled_start <= appointment.window_end  # type: ignore[operator]
    assert repair.moved[0]["before"]["technician_id"] == ada.id
    assert repair.unassigned == []


def test_what_nobody_can_take_is_unassigned_with_reasons_and_its_promise_stands(world: World) -> None:
    ada = world.technician("Ada")
    appointment = visit(world, 9)
    world.technician("Painter", skills={"painting": 3})

    repair = absent(world, ada)

    [left] = repair.unassigned
    assert left["appointment_id"] == appointment.id
    assert {reason["code"] for reason in left["reasons"]} >= {"skill_missing"}
    assert left["before"]["technician_id"] == ada.id
    assert holder(world, appointment) is None
    assert (appointment.status, appointment.is_promised) == (Status.UNASSIGNED, True)


def test_an_absent_technician_takes_no_work_until_the_end_of_its_day(world: World) -> None:
    ada = world.technician("Ada")
    absent(world, ada)

    found = find_slots(world.session, world.settings, world.job(world.service()), TOMORROW, TOMORROW, MORNING)

    assert found.items == ()
    [block] = world.session.exec(select(CalendarBlock)).all()
    assert block.kind is BlockKind.ABSENCE
    assert (block.busy_from, block.busy_to) == (epoch(clock_time(8)), epoch(clock_time(16)))


def test_who_is_away_for_two_hours_does_later_what_can_wait(world: World) -> None:
    ada = world.technician("Ada")
    early, late = visit(world, 9), visit(world, 13)

    repair = absent(world, ada, from_=clock_time(9), to=clock_time(10, 30))

    assert ids(repair.moved) == {early.id}
    assert holder(world, early) == ada.no
    assert early.scheduled_start is not None
    assert clock_time(10, 30) <= early.scheduled_start <= clock_time(11)
    assert repair.kept == 1
    assert holder(world, late) == ada.no


def test_a_dispatched_visit_of_an_absent_technician_is_taken_and_needs_a_new_acceptance(world: World) -> None:
    ada = world.technician("Ada")
    appointment = visit(world, 9)
    offer = offering.send_direct(
        world.session, world.settings, appointment, ada, offering.Terms(), DISPATCHER, NOW
    )
    offering.accept(world.session, world.settings, offer, DISPATCHER, NOW)
    bo = world.technician("Bo", home_km=5)

    absent(world, ada)

    assert holder(world, appointment) == bo.no
    assert appointment.status is Status.SCHEDULED
    assert world.session.exec(select(Offer)).one().status is OfferStatus.SUPERSEDED


def test_an_offer_that_awaits_an_absent_technician_is_closed(world: World) -> None:
    ada = world.technician("Ada")
    appointment = visit(world, 9)
    offering.send_direct(world.session, world.settings, appointment, ada, offering.Terms(), DISPATCHER, NOW)
    bo = world.technician("Bo", home_km=5)

    absent(world, ada)

    assert holder(world, appointment) == bo.no
    assert world.session.exec(select(Offer)).one().status is OfferStatus.SUPERSEDED
    [block] = world.session.exec(select(CalendarBlock).where(CalendarBlock.appointment_id == appointment.id))
    assert block.kind is BlockKind.VISIT


def test_a_pin_to_an_absent_technician_holds_no_more(world: World) -> None:
    ada = world.technician("Ada")
    appointment = visit(world, 9)
    override.pin(world.session, appointment, DISPATCHER, NOW, time=True)
    bo = world.technician("Bo", home_km=5)

    absent(world, ada)

    assert holder(world, appointment) == bo.no
    assert (appointment.pinned, appointment.pinned_time) == (False, False)


def test_what_an_absent_technician_has_begun_it_finishes(world: World) -> None:
    ada = world.technician("Ada")
    appointment = visit(world, 8)
    appointment.move(Status.DISPATCHED)
    appointment.move(Status.EN_ROUTE)
    appointment.move(Status.ON_SITE)
    world.session.flush()
    world.technician("Bo", home_km=5)

    absent(world, ada, now=clock_time(8, 30))

    assert (holder(world, appointment), appointment.status) == (ada.no, Status.ON_SITE)


def test_another_organizations_visit_stays_with_an_absent_technician(world: World) -> None:
    ada = world.technician("Ada")
    rival = world.new_organization("rival")
    world.new_territory(rival)
    world.engage(ada, rival, {"plumbing": 3})
    foreign = booked(world, world.job(world.service(organization=rival), km=1), 10)
    own = visit(world, 13)

    repair = absent(world, ada)

    assert holder(world, foreign) == ada.no
    assert ids(repair.unassigned) == {own.id}


def test_an_absence_takes_the_break_that_lies_in_it(world: World) -> None:
    ada = world.technician("Ada", hours=None)
    shift = world.shift(ada, 8, 16)
    pause = {"earliest_start": clock_time(12).isoformat(), "latest_end": clock_time(13).isoformat()}
    shift.breaks = [pause | {"duration_s": 1800}]
    world.session.flush()
    morning = visit(world, 9)

    absent(world, ada, from_=clock_time(11, 30))

    day = load_standing(world.session, world.settings, world.organization.id, local_day(TOMORROW, ZONE))
    assert day.problem.shifts[0].breaks == ()
    assert day.problem.shifts[0].window.end == epoch(clock_time(11, 30))
    booking.cancel(world.session, world.settings, morning, DISPATCHER, MORNING)
    assert visit(world, 8).technician_no == ada.no


def one_is_lost_and_one_in_its_way(world: World) -> tuple[Technician, Technician, Appointment, Appointment]:
    """Near could come between 9 and 10 only if its own visit at 9, which may wait until 11, waited."""
    ada, near = world.technician("Ada"), world.technician("Near", home_km=1)
    lost = given(world, ada, (clock_time(9), clock_time(10)), hours=1.5)
    standing = given(world, near, (clock_time(9), clock_time(11)), hours=1.5)
    return ada, near, lost, standing


def test_a_gap_far_away_is_preferred_to_moving_another_visit(world: World) -> None:
    ada, _, lost, _ = one_is_lost_and_one_in_its_way(world)
    far = world.technician("Far", home_km=20)

    repair = absent(world, ada)

    assert ids(repair.moved) == {lost.id}
    assert holder(world, lost) == far.no


def test_where_there_is_no_gap_others_are_moved_in_time(world: World) -> None:
    ada, near, lost, standing = one_is_lost_and_one_in_its_way(world)

    repair = absent(world, ada)

    assert ids(repair.moved) == {lost.id, standing.id}
    assert (holder(world, lost), holder(world, standing)) == (near.no, near.no)
    assert standing.scheduled_start == clock_time(10, 30)


def test_a_visit_makes_room_by_going_on_to_somebody_else(world: World) -> None:
    """Only the specialist can do the special work, and is busy with what anybody can do."""
    gone = world.technician("Gone", skills={"plumbing": 5})
    special = booked(world, world.job(world.service(hours=3, required_skills={"plumbing": 5}), km=1), 8)
    specialist = world.technician("Specialist", hours=(8, 12), skills={"plumbing": 5})
    common = booked(world, world.job(world.service(hours=3), km=1), 8)
    assert common.technician_no == specialist.no
    anybody = world.technician("Anybody", hours=(8, 12))

    repair = absent(world, gone)

    assert holder(world, special) == specialist.no
    assert holder(world, common) == anybody.no
    assert ids(repair.moved) == {special.id, common.id}


def test_a_dry_run_of_an_absence_changes_nothing(world: World) -> None:
    ada = world.technician("Ada")
    appointment = visit(world, 9)
    world.technician("Bo", home_km=5)
    world.session.commit()
    events = len(world.session.exec(select(Event)).all())

    repair = absent(world, ada, dry_run=True)

    assert not world.session.dirty
    assert not world.session.new
    assert (repair.id, ids(repair.moved)) == (None, {appointment.id})
    assert holder(world, appointment) == ada.no
    assert len(world.session.exec(select(Event)).all()) == events
    applied = absent(world, ada)
    assert applied.moved == repair.moved


def test_the_audit_tells_who_reported_it_and_what_it_changed(world: World) -> None:
    ada = world.technician("Ada")
    appointment = visit(world, 9)
    bo = world.technician("Bo", home_km=5)

    repair = absent(world, ada, reason="called in sick")

    event = world.session.get_one(Event, repair.id)
    assert (event.type, event.subject_id, event.by, event.by_id) == (
        "repair.applied",
        ada.id,
        DISPATCHER.role,
        DISPATCHER.id,
    )
    assert event.reason == "called in sick"
    assert event.before is not None
    assert event.after is not None
    assert event.before["visits"][0]["technician_id"] == ada.id
    assert event.after["visits"][0] == {
        "appointment_id": appointment.id,
        "technician_id": bo.id,
        "scheduled_start": repair.moved[0]["scheduled_start"],
    }


def test_freelancers_are_told_what_the_repair_took_and_gave(world: World) -> None:
    ada = world.technician("Ada")
    visit(world, 9)
    bo = world.technician("Bo", home_km=5)

    absent(world, ada)

    decided = [(d.technician_no, d.outcome) for d in world.session.exec(select(Decision))]
    assert (ada.no, Outcome.UNASSIGNED) in decided
    assert (bo.no, Outcome.ASSIGNED) in decided


def test_who_does_not_work_then_cannot_be_absent(world: World) -> None:
    ada = world.technician("Ada")

    for rest in ({"now": clock_time(17)}, {"to": clock_time(6)}, {"to": clock_time(7) + timedelta(days=8)}):
        with pytest.raises(Invalid):
            absent(world, ada, **rest)


# Overrun


def on_site(world: World, appointment: Appointment) -> None:
    appointment.move(Status.DISPATCHED)
    appointment.move(Status.EN_ROUTE)
    appointment.move(Status.ON_SITE)
    appointment.actual_start = appointment.scheduled_start
    world.session.flush()


def test_a_visit_that_takes_longer_re_times_what_comes_after(world: World) -> None:
    ada = world.technician("Ada")
    long, later = visit(world, 8), visit(world, 10)
    on_site(world, long)
    planned, ends = later.scheduled_start, long.scheduled_end
    assert planned is not None

    repair = overrun(world, long, clock_time(8, 30), by_s=3600)

    assert ids(repair.moved) == {later.id}
    assert holder(world, later) == ada.no
    assert later.scheduled_start is not None
    assert planned < later.scheduled_start <= clock_time(12)
    assert repair.promises_broken == []
    world.session.refresh(long)
    assert long.scheduled_end == ends


def test_what_would_break_its_promise_goes_to_somebody_else(world: World) -> None:
    ada = world.technician("Ada")
    long, later = visit(world, 8), visit(world, 10)
    on_site(world, long)
    bo = world.technician("Bo", home_km=3)
    assert later.technician_no == ada.no

    repair = overrun(world, long, clock_time(8, 30), by_s=3 * 3600)

    assert holder(world, later) == bo.no
    assert repair.promises_broken == []
    assert later.scheduled_start is not None
    assert later.scheduled_start <= clock_time(12)


def test_what_is_agreed_stays_with_its_technician_and_is_late(world: World) -> None:
    ada = world.technician("Ada")
    long, later = visit(world, 8), visit(world, 10)
    on_site(world, long)
    later.move(Status.DISPATCHED)
    world.session.flush()
    world.technician("Bo", home_km=3)

    repair = overrun(world, long, clock_time(8, 30), by_s=3 * 3600)

    assert holder(world, later) == ada.no
    assert later.status is Status.DISPATCHED
    assert ids(repair.promises_broken) == {later.id}
    assert later.scheduled_start is not None
    assert later.window_end is not None
    assert later.scheduled_start > later.window_end


def test_what_nobody_else_can_take_stays_and_is_late(world: World) -> None:
    ada = world.technician("Ada")
    long, later = visit(world, 8), visit(world, 10)
    on_site(world, long)

    repair = overrun(world, long, clock_time(8, 30), by_s=3 * 3600)

    assert holder(world, later) == ada.no
    assert ids(repair.promises_broken) == {later.id}
    assert repair.unassigned == []


def test_a_visit_between_makes_way_for_one_that_is_agreed(world: World) -> None:
    ada = world.technician("Ada")
    long, between, agreed = visit(world, 8), visit(world, 10), visit(world, 11)
    on_site(world, long)
    agreed.move(Status.DISPATCHED)
    world.session.flush()
    bo = world.technician("Bo", home_km=3)

    repair = overrun(world, long, clock_time(8, 30), by_s=2 * 3600)

    assert (holder(world, agreed), holder(world, between)) == (ada.no, bo.no)
    assert repair.promises_broken == []


@pytest.mark.parametrize(("late_s", "expected_s"), [(0, 1800), (1500, 1500)])
def test_without_a_figure_it_is_what_the_start_makes_it_or_half_its_duration(
    world: World, late_s: int, expected_s: int
) -> None:
    world.technician("Ada")
    appointment = visit(world, 8)
    on_site(world, appointment)
    assert appointment.scheduled_start is not None
    appointment.actual_start = appointment.scheduled_start + timedelta(seconds=late_s)
    world.session.flush()
    [block] = world.session.exec(select(CalendarBlock))
    until = block.busy_to

    overrun(world, appointment, appointment.actual_start)

    [block] = world.session.exec(select(CalendarBlock))
    assert block.busy_to - until == expected_s


def test_a_visit_without_a_technician_cannot_overrun(world: World) -> None:
    with pytest.raises(InvalidState):
        overrun(world, world.job(world.service()).appointment, MORNING)


# Emergency


def urgent(world: World, km: float = 1, **rest: Any) -> Job:
    return world.job(world.service(hours=1), km=km, priority=Priority.EMERGENCY, **rest)


def test_an_emergency_is_placed_as_soon_as_somebody_can_and_promised_a_window(world: World) -> None:
    ada = world.technician("Ada", hours=(8, 16))
    job = urgent(world)

    repair = emergency(world, job, now=clock_time(9))

    appointment = world.appointment(job)
    assert ids(repair.assigned) == {appointment.id}
    assert (appointment.technician_no, appointment.status) == (ada.no, Status.SCHEDULED)
    assert appointment.scheduled_start is not None
    assert appointment.window_start is not None
    assert appointment.window_end is not None
    assert clock_time(9) < appointment.scheduled_start < clock_time(9, 15)
    assert appointment.window_start <= appointment.scheduled_start <= appointment.window_end
    assert repair.assigned[0]["arrival_window"]["end"] == appointment.window_end.isoformat().replace(
        "+00:00", "Z"
    )


def test_the_sooner_one_comes_although_another_would_cost_less(world: World) -> None:
    world.technician("Later and near", home_km=1, hours=(12, 16))
    soon = world.technician("Soon and far", home_km=10, hours=(8, 16))

    job = urgent(world)
    emergency(world, job, now=clock_time(9))

    assert world.appointment(job).technician_no == soon.no


def test_of_two_who_are_there_as_soon_the_one_who_moves_nobody_comes(world: World) -> None:
    busy = world.technician("Busy", home_km=1)
    standing = visit(world, 9)
    free = world.technician("Free", home_km=2)
    start = standing.scheduled_start

    job = urgent(world)
    repair = emergency(world, job, now=clock_time(8, 50))

    assert world.appointment(job).technician_no == free.no
    assert (holder(world, standing), standing.scheduled_start) == (busy.no, start)
    assert repair.moved == []


def test_others_are_re_timed_within_their_promises_for_an_emergency(world: World) -> None:
    ada = world.technician("Ada", hours=(8, 16))
    standing = visit(world, 9)
    assert standing.scheduled_start is not None

    job = urgent(world)
    repair = emergency(world, job, now=clock_time(8, 50))

    assert ids(repair.moved) == {standing.id}
    assert holder(world, standing) == ada.no
    assert standing.scheduled_start <= clock_time(11)
    placed = world.appointment(job).scheduled_start
    assert placed is not None
    assert placed < standing.scheduled_start


def test_an_emergency_takes_no_visit_that_is_agreed(world: World) -> None:
    ada = world.technician("Ada", hours=(8, 16))
    standing = visit(world, 9, hours=3)
    standing.move(Status.DISPATCHED)
    world.session.flush()
    world.technician("Elsewhere", hours=(8, 16), skills={"painting": 3})
    before = standing.scheduled_start

    job = urgent(world)
    emergency(world, job, now=clock_time(9, 0))

    assert holder(world, standing) == ada.no
    assert standing.scheduled_start == before
    placed = world.appointment(job).scheduled_start
    assert placed is not None
    assert placed >= clock_time(12)


def test_an_emergency_that_nobody_can_serve_says_why(world: World) -> None:
    world.technician("Painter", skills={"painting": 3})
    job = urgent(world)

    repair = emergency(world, job)

    [left] = repair.unassigned
    assert left["appointment_id"] == job.appointment.id
    assert {reason["code"] for reason in left["reasons"]} >= {"skill_missing"}
    assert world.appointment(job).status is Status.UNASSIGNED


def test_tomorrow_is_looked_at_when_today_has_no_room(world: World) -> None:
    world.technician("Ada", hours=(8, 16))
    job = urgent(world)

    repair = emergency(world, job, now=NOW)

    assert ids(repair.assigned) == {job.appointment.id}
    placed = world.appointment(job).scheduled_start
    assert placed is not None
    assert clock_time(8) <= placed < clock_time(8, 30)


def test_what_is_not_urgent_or_not_unassigned_is_no_emergency(world: World) -> None:
    world.technician("Ada")
    with pytest.raises(Invalid):
        emergency(world, world.job(world.service()))
    job = urgent(world)
    booked(world, job, 9)
    with pytest.raises(InvalidState):
        emergency(world, job)


def test_an_agreed_visit_that_could_not_be_reached_at_all_is_refused(world: World) -> None:
    ada = world.technician("Ada", hours=(8, 12))
    world.shift(ada, 13, 18)
    long, agreed = visit(world, 8), visit(world, 10)
    on_site(world, long)
    agreed.move(Status.DISPATCHED)
    world.session.flush()

    with pytest.raises(Conflict) as refused:
        overrun(world, long, clock_time(8, 30), by_s=int(3.5 * 3600))

    assert refused.value.code == "unreachable"
    assert refused.value.extra["appointment_ids"] == [agreed.id]


def test_after_an_absence_every_calendar_keeps_every_rule(world: World) -> None:
    crew = [world.technician(f"Technician {n}", home_km=3 * n, kind=Kind.EMPLOYEE) for n in range(3)]
    for hour in (8, 9, 10, 11, 12, 13):
        visit(world, hour, km=hour % 5)

    repair = absent(world, crew[0])

    day = load_standing(world.session, world.settings, world.organization.id, local_day(TOMORROW, ZONE))
    assert [v for v in check(day.problem, day.plan) if v.code not in ("missing", "break", "totals")] == []
    assert repair.kpis["moved"] == len(repair.moved)


# Meanwhile


@pytest.mark.parametrize("times", [1, 3])
def test_a_calendar_that_changed_meanwhile_is_read_again_and_given_up_at_last(
    world: World, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    ada = world.technician("Ada")
    appointment = visit(world, 9)
    bo = world.technician("Bo", home_km=5)
    world.session.commit()
    left = [CalendarMoved() for _ in range(times)]

    def disturbed(*args: Any) -> list[Appointment]:
        if left:
            raise left.pop()
        return write_plan(*args)

    monkeypatch.setattr(repair_change, "write_plan", disturbed)

    if times == 1:
        assert ids(absent(world, ada).moved) == {appointment.id}
        assert holder(world, appointment) == bo.no
        return
    with pytest.raises(CalendarMoved):
        absent(world, ada)
    assert holder(world, appointment) == ada.no
    assert world.session.exec(select(Event).where(Event.type == "repair.applied")).all() == []


def test_two_absences_reported_at_once_take_nobodys_place_twice(world: World, engine: Engine) -> None:
    if engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one writer at a time")
    ada, bo = world.technician("Ada"), world.technician("Bo", home_km=2)
    first = given(world, ada, (clock_time(9), clock_time(10)), hours=2)
    second = given(world, bo, (clock_time(9), clock_time(10)), hours=2)
    cy = world.technician("Cy", home_km=4)
    world.session.commit()
    together = Barrier(2)

    def report(technician_id: str) -> list[str]:
        def work(session: Session) -> Repair:
            technician = session.exec(select(Technician).where(Technician.id == technician_id)).one()
            return repairing.report_absent(
                session, world.settings, organization_id, technician, DISPATCHER, MORNING
            )

        together.wait()
        return [item["technician_id"] for item in database.run(engine, work).moved]

    names, organization_id = [ada.id, bo.id], world.organization.id
    world.session.rollback()
    with ThreadPoolExecutor(2) as pool:
        given_to = sorted(pool.map(report, names))

    world.session.expire_all()
    require_sound(world)
    holders = {holder(world, first), holder(world, second)}
    assert cy.no in holders
    assert ada.no not in holders
    assert bo.no not in holders
    assert len(given_to) == 2


def test_what_is_held_with_an_absent_technician_is_released(world: World) -> None:
    ada = world.technician("Ada")
    job = world.job(world.service())
    slot = find_slots(world.session, world.settings, job, TOMORROW, TOMORROW, NOW).items[0]
    held = holds.hold(world.session, world.settings, job.request, slot.slot_id, DISPATCHER, NOW)

    absent(world, ada)

    world.session.refresh(held)
    assert held.released_at == MORNING
    assert [b.kind for b in world.session.exec(select(CalendarBlock))] == [BlockKind.ABSENCE]


def test_an_absence_that_has_begun_takes_the_rest_of_the_day_from_slots_and_plans(world: World) -> None:
    ada = world.technician("Ada")
    early = visit(world, 8)
    on_site(world, early)
    absent(world, ada, now=clock_time(8, 30))
    later = clock_time(11)
    job = world.job(world.service())

    found = find_slots(world.session, world.settings, job, TOMORROW, TOMORROW, later)
    day, _ = load_for_plan(world.session, world.settings, world.territory, TOMORROW, later, None)
    plan = solve(day.problem, max_work=50, start=day.plan)

    assert found.items == ()
    assert {unserved.visit for unserved in plan.unserved} == {job.appointment.id}
    assert holder(world, early) == ada.no
