"""What applying a plan may never do, whatever happened to the day since."""

from datetime import timedelta

import pytest
from sqlalchemy import Engine
from sqlmodel import Session, select

from dispatch import applying, booking, offering, placing, replanning
from dispatch.appointment import Appointment, Status
from dispatch.calendar import CalendarBlock, epoch
from dispatch.events import Event
from dispatch.plan_run import PlanStatus
from dispatch.planning import load_for_plan
from dispatch.promise import Promise, PromiseKind
from dispatch.replanning import PlanOptions
from dispatch.rostering import visits_kept
from dispatch.shift import Shift
from dispatch.technician import Technician
from tests.dispatch.test_booking import book, slots_of
from tests.dispatch.test_replanning import executed, queued, result
from tests.dispatch.world import DISPATCHER, NOW, TOMORROW, World, at, clock_time


def test_no_plan_takes_an_agreed_visit_from_a_technician_who_cannot_be_there_in_time(
    world: World, engine: Engine
) -> None:
    technician = world.technician()
    early, other = world.job(world.service(), km=1), world.job(world.service(), km=2)
    slot = next(slot for slot in slots_of(world, early).items if slot.start == clock_time(8))
    appointment = book(world, early, slot.slot_id)
    appointment.move(Status.DISPATCHED)
    technician.lat, technician.lon = at(95).lat, at(95).lon
    world.session.flush()

    executed(world, engine)

    assert world.appointment(early).status is Status.DISPATCHED
    assert world.appointment(early).technician_no == technician.no
    [block] = world.session.exec(select(CalendarBlock).where(CalendarBlock.appointment_id == appointment.id))
    assert block.technician_no == technician.no
    assert world.appointment(other).status in (Status.UNASSIGNED, Status.SCHEDULED)


def test_no_plan_removes_another_organizations_visit(world: World, engine: Engine) -> None:
    technician = world.technician()
    rival = world.new_organization("rival")
    world.new_territory(rival)
    world.engage(technician, rival, {"plumbing": 3})
    foreign = world.job(world.service(organization=rival), km=1)
    book(world, foreign, slots_of(world, foreign).items[0].slot_id)
    technician.lat, technician.lon = at(95).lat, at(95).lon
    own = world.job(world.service(), km=2)
    world.session.flush()

    executed(world, engine)

    blocks = world.session.exec(select(CalendarBlock.appointment_id)).all()
    assert foreign.appointment.id in blocks
    assert world.appointment(own).status in (Status.UNASSIGNED, Status.SCHEDULED)


def test_a_visit_that_is_offered_without_a_promise_does_not_stop_a_plan(world: World, engine: Engine) -> None:
    technician = world.technician()
    asked = world.job(world.service(), earliest_start=clock_time(10, 5), due=clock_time(10, 40))
    offering.send_direct(
        world.session, world.settings, asked.appointment, technician, offering.Terms(), DISPATCHER, NOW
    )
    other = world.job(world.service(), km=3)

    run = executed(world, engine)

    assert run.status is PlanStatus.DONE
    assert world.appointment(other).status is Status.SCHEDULED
    assert world.appointment(asked).window_start is None


def test_a_visit_stays_where_it_is_if_the_shift_that_was_to_take_it_is_gone(
    world: World, engine: Engine
) -> None:
    ada = world.technician("Ada")
    job = world.job(world.service(), km=20)
    executed(world, engine)
    bo = world.technician("Bo", home_km=20)
    run = executed(world, engine, PlanOptions(max_work=200, dry_run=True))
    assert [item["technician_id"] for item in result(run)["moved"]] == [bo.id]
    with visits_kept(world.session, bo, None, NOW):
        world.session.delete(world.session.exec(select(Shift).where(Shift.technician_no == bo.no)).one())

    applying.apply_plan(world.session, world.settings, run, DISPATCHER, NOW)

    appointment = world.appointment(job)
    assert (appointment.status, appointment.technician_no) == (Status.SCHEDULED, ada.no)
    assert [item["appointment_id"] for item in result(run)["skipped_stale"]] == [appointment.id]


def test_what_begins_before_the_freeze_keeps_its_very_time(world: World) -> None:
    world.technician()
    early, late = world.job(world.service()), world.job(world.service())
    for job, hour in ((early, 9), (late, 13)):
        slot = next(slot for slot in slots_of(world, job).items if slot.start == clock_time(hour))
        book(world, job, slot.slot_id)

    day, _ = load_for_plan(
        world.session, world.settings, world.territory, TOMORROW, NOW, freeze_before=clock_time(12)
    )

    visits = {visit.id: visit for visit in day.problem.visits}
    frozen = visits[early.appointment.id]
    assert early.appointment.scheduled_start is not None
    assert frozen.pin is not None
    assert frozen.pin.start == epoch(early.appointment.scheduled_start)
    assert visits[late.appointment.id].pin is None


def test_a_plan_that_changes_no_sequence_reports_nothing_as_stale(world: World, engine: Engine) -> None:
    world.technician(hours=(9, 16))
    first, second = world.job(world.service(hours=1), km=1), world.job(world.service(hours=1), km=1)
    placing.place(world.session, world.settings, second, (clock_time(10, 30), clock_time(10, 30)))
    second.appointment.window_start, second.appointment.window_end = clock_time(9), clock_time(11)
    second.appointment.move(Status.SCHEDULED)
    booking.cancel(world.session, world.settings, first.appointment, DISPATCHER, NOW)

    run = executed(world, engine)

    assert [item["appointment_id"] for item in result(run)["kept"]] == [second.appointment.id]
    assert result(run)["skipped_stale"] == []
    assert world.appointment(second).scheduled_start == clock_time(10, 30)


def test_retiming_an_accepted_visit_is_told_and_is_no_step_back_to_scheduled(
    world: World, engine: Engine
) -> None:
    world.technician(hours=(8, 12))
    agreed = world.job(world.service(hours=1), km=1)
    slot = next(slot for slot in slots_of(world, agreed).items if slot.start == clock_time(8))
    book(world, agreed, slot.slot_id).move(Status.DISPATCHED)
    before = agreed.appointment.scheduled_start
    tight = world.job(world.service(hours=0.25), km=0.5)
    placing.keep(world.session, world.settings, tight, (clock_time(8), clock_time(8, 6)), NOW)

    types = [
        e.type for e in world.session.exec(select(Event).where(Event.subject_id == agreed.appointment.id))
    ]
    assert agreed.appointment.scheduled_start != before
    assert types[-1] == "appointment.retimed"


def test_a_visit_cancelled_while_a_plan_is_applied_stays_cancelled(world: World, engine: Engine) -> None:
    if engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one writer at a time")
    world.technician()
    job = world.job(world.service())
    run = executed(world, engine, PlanOptions(max_work=100, dry_run=True))
    world.session.commit()
    solution = run.solution
    assert solution is not None
    fresh, _ = load_for_plan(world.session, world.settings, world.territory, TOMORROW, NOW, None)
    with Session(engine) as other, other.begin():
        meanwhile = other.get_one(Appointment, job.appointment.id)
        booking.cancel(other, world.settings, meanwhile, DISPATCHER, NOW)

    applied = applying.apply_solution(
        world.session, world.settings, world.territory, TOMORROW, fresh, solution, DISPATCHER, NOW
    )
    world.session.commit()

    assert applied.technicians == set()
    assert world.appointment(job).status is Status.CANCELLED
    assert world.session.exec(select(CalendarBlock)).all() == []


def test_a_visit_booked_while_a_plan_is_applied_stays_as_booked(world: World, engine: Engine) -> None:
    if engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one writer at a time")
    world.technician("Ada")
    bo = world.technician("Bo", home_km=30)
    job = world.job(world.service(), km=1, earliest_start=clock_time(8))
    run = executed(world, engine, PlanOptions(max_work=100, dry_run=True))
    world.session.commit()
    solution = run.solution
    assert solution is not None
    fresh, _ = load_for_plan(world.session, world.settings, world.territory, TOMORROW, NOW, None)
    with Session(engine) as other, other.begin():
        meanwhile = other.get_one(Appointment, job.appointment.id)
        asked = other.get_one(Technician, bo.no)
        offering.send_direct(other, world.settings, meanwhile, asked, offering.Terms(), DISPATCHER, NOW)

    applied = applying.apply_solution(
        world.session, world.settings, world.territory, TOMORROW, fresh, solution, DISPATCHER, NOW
    )
    world.session.commit()

    assert applied.technicians == set()
    assert world.appointment(job).technician_no == bo.no


def test_a_run_that_two_workers_solve_is_applied_once(world: World, engine: Engine) -> None:
    world.technician()
    world.job(world.service())
    run_id = queued(world)
    replanning.take_up(world.session, NOW)
    replanning.take_up(world.session, NOW + timedelta(seconds=61))
    world.session.commit()

    for _ in range(2):
        replanning.execute(engine, world.settings, run_id, lambda: NOW)

    assert world.session.exec(select(Promise.kind)).all() == [PromiseKind.GIVEN]


def test_a_run_killed_while_it_is_applied_is_taken_up_again_and_applied_once(
    world: World, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.technician()
    job = world.job(world.service())
    run_id = queued(world)
    replanning.take_up(world.session, NOW)
    world.session.commit()

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(replanning, "_end", killed)
        with pytest.raises(KeyboardInterrupt):
            replanning.execute(engine, world.settings, run_id, lambda: NOW)
    assert world.appointment(job).status is Status.UNASSIGNED
    world.session.commit()
    later = NOW + timedelta(seconds=61)
    assert replanning.take_up(world.session, later) == run_id
    world.session.commit()
    replanning.execute(engine, world.settings, run_id, lambda: later)

    assert world.appointment(job).status is Status.SCHEDULED
    assert world.session.exec(select(Promise.kind)).all() == [PromiseKind.GIVEN]
