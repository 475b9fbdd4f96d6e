from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import Engine
from sqlmodel import Session, col, select

import optimizer
from dispatch import applying, booking, offering, placing, replanning
from dispatch.appointment import Appointment, Status
from dispatch.calendar import CalendarBlock
from dispatch.database import open_engine
from dispatch.errors import Invalid, InvalidState
from dispatch.plan_run import PlanRun, PlanStatus
from dispatch.planning import Job, load_standing
from dispatch.promise import Promise, PromiseKind
from dispatch.replanning import PlanOptions
from dispatch.shift import Shift, local_day
from dispatch.technician import Engagement, EngagementStatus, Technician
from optimizer import Plan, Problem, check
from tests.dispatch.world import DISPATCHER, NOW, TOMORROW, ZONE, World, clock_time
from tests.support.examples import examples

WORK = PlanOptions(max_work=300)


def queued(world: World, options: PlanOptions = WORK) -> str:
    run = replanning.request_plan(world.session, world.territory, TOMORROW, options, DISPATCHER, NOW)
    world.session.commit()
    return run.id


def executed(world: World, engine: Engine, options: PlanOptions = WORK) -> PlanRun:
    """A run from the queue to its end, as a worker does it."""
    run_id = queued(world, options)
    assert replanning.take_up(world.session, NOW) == run_id
    world.session.commit()
    replanning.execute(engine, world.settings, run_id, lambda: NOW)
    world.session.expire_all()
    return world.session.get_one(PlanRun, run_id)


def result(run: PlanRun) -> dict[str, Any]:
    assert run.result is not None
    return run.result


def test_a_plan_promises_windows_of_the_slot_grid_and_tells_the_ledger(world: World, engine: Engine) -> None:
    world.technician()
    jobs = [world.job(world.service(), km) for km in (1, 2, 3)]

    run = executed(world, engine)

    assert run.status is PlanStatus.DONE
    assert {item["appointment_id"] for item in result(run)["assigned"]} == {
        job.appointment.id for job in jobs
    }
    for job in jobs:
        appointment = world.appointment(job)
        assert appointment.status is Status.SCHEDULED
        assert appointment.window_start is not None
        assert appointment.window_end is not None
        assert appointment.scheduled_start is not None
        assert appointment.window_start.minute == 0
        assert appointment.window_start <= appointment.scheduled_start <= appointment.window_end
        assert appointment.tracking_hash is not None
    assert [p.kind for p in world.session.exec(select(Promise))] == [PromiseKind.GIVEN] * 3


def test_planning_again_changes_nothing_that_is_good(world: World, engine: Engine) -> None:
    world.technician()
    jobs = [world.job(world.service(), km) for km in (1, 2, 3)]
    executed(world, engine)
    starts = [world.appointment(job).scheduled_start for job in jobs]

    run = executed(world, engine)

    assert len(result(run)["kept"]) == 3
    assert [world.appointment(job).scheduled_start for job in jobs] == starts


def test_the_same_seed_and_work_give_the_same_plan(world: World, engine: Engine) -> None:
    world.technician("Ada", home_km=0)
    world.technician("Bo", home_km=9)
    for km in range(8):
        world.job(world.service(), km)

    runs = [executed(world, engine, PlanOptions(max_work=200, seed=7, dry_run=True)) for _ in range(2)]

    assert result(runs[0])["assigned"] == result(runs[1])["assigned"]


def test_a_dry_run_writes_nothing_until_it_is_applied(world: World, engine: Engine) -> None:
    world.technician()
    job = world.job(world.service())

    run = executed(world, engine, PlanOptions(max_work=100, dry_run=True))

    assert world.appointment(job).status is Status.UNASSIGNED
    assert world.session.exec(select(CalendarBlock)).all() == []

    applying.apply_plan(world.session, world.settings, run, DISPATCHER, NOW)

    assert world.appointment(job).status is Status.SCHEDULED
    with pytest.raises(InvalidState):
        applying.apply_plan(world.session, world.settings, run, DISPATCHER, NOW)


def test_people_beat_the_optimizer_and_only_their_group_is_skipped(world: World, engine: Engine) -> None:
    world.technician("Ada", home_km=0)
    world.technician("Bo", home_km=90)
    west, east = world.job(world.service(hours=6), km=1), world.job(world.service(hours=6), km=91)
    run = executed(world, engine, PlanOptions(max_work=100, dry_run=True))
    late = world.job(world.service(hours=6), km=89)
    placing.place(world.session, world.settings, late, (clock_time(8), clock_time(10)))
    late.appointment.move(Status.SCHEDULED)
    world.session.flush()

    applying.apply_plan(world.session, world.settings, run, DISPATCHER, NOW)

    assert world.appointment(west).status is Status.SCHEDULED
    assert world.appointment(east).status is Status.UNASSIGNED
    assert [item["appointment_id"] for item in result(run)["skipped_stale"]] == [east.appointment.id]
    assert [item["appointment_id"] for item in result(run)["assigned"]] == [west.appointment.id]


def test_an_appointment_that_was_cancelled_meanwhile_stays_cancelled(world: World, engine: Engine) -> None:
    world.technician()
    job = world.job(world.service())
    run = executed(world, engine, PlanOptions(max_work=100, dry_run=True))
    booking.cancel(world.session, world.settings, job.appointment, DISPATCHER, NOW)

    applying.apply_plan(world.session, world.settings, run, DISPATCHER, NOW)

    assert world.appointment(job).status is Status.CANCELLED
    assert [item["appointment_id"] for item in result(run)["skipped_stale"]] == [job.appointment.id]


def test_what_a_technician_who_drops_out_leaves_goes_to_another(world: World, engine: Engine) -> None:
    ada = world.technician("Ada")
    job = world.job(world.service())
    executed(world, engine)
    window = (world.appointment(job).window_start, world.appointment(job).window_end)
    bo = world.technician("Bo", home_km=5)
    ada_engagement = world.session.exec(select(Engagement).where(Engagement.technician_no == ada.no)).one()
    ada_engagement.status = EngagementStatus.SUSPENDED
    world.session.flush()

    run = executed(world, engine)

    appointment = world.appointment(job)
    assert appointment.technician_no == bo.no
    assert (appointment.window_start, appointment.window_end) == window
    assert [item["appointment_id"] for item in result(run)["moved"]] == [job.appointment.id]
    assert [b.technician_no for b in world.session.exec(select(CalendarBlock))] == [bo.no]


def test_a_visit_that_nobody_can_keep_any_more_is_unassigned_and_its_promise_stands(
    world: World, engine: Engine
) -> None:
    world.technician()
    job = world.job(world.service())
    executed(world, engine)
    world.session.delete(world.session.exec(select(Shift)).one())
    world.session.flush()

    run = executed(world, engine)

    appointment = world.appointment(job)
    assert appointment.status is Status.UNASSIGNED
    assert appointment.window_start is not None
    assert world.session.exec(select(CalendarBlock)).all() == []
    [unassigned] = result(run)["unassigned"]
    assert unassigned["reasons"][0]["code"] == "no_shift"


def test_what_begins_before_the_freeze_does_not_move(world: World, engine: Engine) -> None:
    world.technician("Ada")
    job = world.job(world.service(), km=20)
    executed(world, engine)
    technician_no = world.appointment(job).technician_no
    world.technician("Bo", home_km=20)

    frozen = executed(world, engine, PlanOptions(max_work=100, freeze_before=clock_time(23)))
    assert len(result(frozen)["kept"]) == 1
    assert world.appointment(job).technician_no == technician_no

    thawed = executed(world, engine, PlanOptions(max_work=100))
    assert len(result(thawed)["moved"]) == 1


def test_a_visit_under_a_pending_offer_keeps_its_technician(world: World, engine: Engine) -> None:
    ada = world.technician("Ada")
    job = world.job(world.service(), km=20)
    executed(world, engine)
    offering.send_direct(
        world.session, world.settings, world.appointment(job), ada, offering.Terms(), DISPATCHER, NOW
    )
    world.technician("Bo", home_km=20)

    executed(world, engine)

    assert world.appointment(job).technician_no == ada.no


def test_a_cancelled_run_applies_nothing(world: World, engine: Engine) -> None:
    world.technician()
    job = world.job(world.service())
    run_id = queued(world)
    replanning.take_up(world.session, NOW)
    replanning.cancel_plan(world.session, world.session.get_one(PlanRun, run_id), NOW)
    world.session.commit()

    replanning.execute(engine, world.settings, run_id, lambda: NOW)

    world.session.expire_all()
    assert world.session.get_one(PlanRun, run_id).status is PlanStatus.CANCELLED
    assert world.appointment(job).status is Status.UNASSIGNED


def test_a_run_that_ended_cannot_be_cancelled(world: World, engine: Engine) -> None:
    world.technician()
    run = executed(world, engine)

    with pytest.raises(InvalidState) as refused:
        replanning.cancel_plan(world.session, run, NOW)

    assert refused.value.extra["current"] == "done"


def test_a_run_whose_process_was_lost_is_taken_up_again(world: World) -> None:
    run_id = queued(world)
    assert replanning.take_up(world.session, NOW) == run_id
    assert replanning.take_up(world.session, NOW + timedelta(seconds=59)) is None

    assert replanning.take_up(world.session, NOW + timedelta(seconds=61)) == run_id


def test_a_failure_is_kept_on_the_run_and_raised(
    world: World, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = queued(world)
    replanning.take_up(world.session, NOW)
    world.session.commit()

    def broken(*_: object, **__: object) -> Plan:
        raise MemoryError("too large")

    monkeypatch.setattr(optimizer, "solve", broken)
    with pytest.raises(MemoryError):
        replanning.execute(engine, world.settings, run_id, lambda: NOW)

    world.session.expire_all()
    run = world.session.get_one(PlanRun, run_id)
    assert (run.status, run.error) == (PlanStatus.FAILED, "MemoryError: too large")


def test_a_day_that_is_over_cannot_be_planned(world: World) -> None:
    with pytest.raises(Invalid):
        replanning.request_plan(
            world.session, world.territory, TOMORROW - timedelta(days=2), WORK, DISPATCHER, NOW
        )


def independent_sweep(session: Session) -> list[tuple[int, int, int]]:
    """Pairs of blocks of one technician that overlap, found without the database's rule."""
    blocks = session.exec(select(CalendarBlock).order_by(col(CalendarBlock.busy_from))).all()
    return [
        (one.technician_no, one.busy_from, other.busy_from)
        for index, one in enumerate(blocks)
        for other in blocks[index + 1 :]
        if one.technician_no == other.technician_no and other.busy_from < one.busy_to
    ]


def settle_offers(world: World, jobs: list[Job], answers: list[str]) -> None:
    for job, answer in zip(jobs, answers, strict=False):
        appointment = world.session.get_one(Appointment, job.appointment.id)
        if appointment.status is Status.SCHEDULED and answer != "wait":
            offer = offering.send_direct(
                world.session, world.settings, appointment, None, offering.Terms(), DISPATCHER, NOW
            )
            verb = offering.accept if answer == "accept" else offering.decline
            rest = () if answer == "accept" else (None,)
            verb(world.session, world.settings, offer, DISPATCHER, NOW, *rest)
        elif appointment.status is not Status.CANCELLED and answer == "cancel":
            booking.cancel(world.session, world.settings, appointment, DISPATCHER, NOW)
    world.session.commit()


@hypothesis_settings(
    max_examples=examples(6), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    homes=st.lists(st.integers(0, 30), min_size=1, max_size=4),
    visits=st.lists(st.tuples(st.integers(0, 30), st.sampled_from([0.5, 1, 2])), min_size=1, max_size=10),
    answers=st.lists(st.sampled_from(["accept", "decline", "wait", "cancel"]), min_size=10, max_size=10),
)
def test_whatever_people_answer_the_calendars_keep_every_rule(
    world: World, homes: list[int], visits: list[tuple[int, float]], answers: list[str]
) -> None:
    engine = open_engine(world.settings.database_url)
    for blocks in (CalendarBlock, Shift):
        for row in world.session.exec(select(blocks)):
            world.session.delete(row)
    for appointment in world.session.exec(select(Appointment).where(Appointment.status != Status.CANCELLED)):
        appointment.unplan()
        appointment.status = Status.CANCELLED
    for technician in world.session.exec(select(Technician)):
        world.session.add(technician)
    for index, home in enumerate(homes):
        world.technician(f"Technician {index}", home_km=home)
    jobs = [world.job(world.service(hours=hours), km=km) for km, hours in visits]

    executed(world, engine)
    settle_offers(world, jobs, answers)
    executed(world, engine)

    assert independent_sweep(world.session) == []
    day = load_standing(world.session, world.settings, world.organization.id, local_day(TOMORROW, ZONE))
    broken = [violation for violation in check(day.problem, day.plan) if violation.code != "unserved"]
    assert broken == []
    engine.dispose()


def test_a_run_whose_process_dies_again_and_again_has_failed(world: World) -> None:
    run_id = queued(world)
    minutes = [replanning.take_up(world.session, NOW + timedelta(minutes=2 * turn)) for turn in range(4)]

    world.session.expire_all()
    run = world.session.get_one(PlanRun, run_id)
    assert minutes == [run_id, run_id, run_id, None]
    assert run.status is PlanStatus.FAILED
    assert run.error is not None
    assert "died 3 times" in run.error


def test_a_run_that_is_cancelled_as_it_ends_applies_nothing(
    world: World, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.technician()
    job = world.job(world.service())
    run_id = queued(world)
    replanning.take_up(world.session, NOW)
    world.session.commit()
    solve = optimizer.solve

    def cancelled_at_the_end(problem: Problem, **options: Any) -> Plan:
        plan = solve(problem, max_work=options["max_work"])
        with Session(engine) as session, session.begin():
            replanning.cancel_plan(session, session.get_one(PlanRun, run_id), NOW)
        return plan

    monkeypatch.setattr(optimizer, "solve", cancelled_at_the_end)
    replanning.execute(engine, world.settings, run_id, lambda: NOW)

    world.session.expire_all()
    assert world.session.get_one(PlanRun, run_id).status is PlanStatus.CANCELLED
    assert world.appointment(job).status is Status.UNASSIGNED
    assert world.session.exec(select(CalendarBlock)).all() == []
