import threading
import time
from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine
from sqlmodel import Session, select

from dispatch import offering, placing, replanning
from dispatch.acceptance import newest_training
from dispatch.appointment import Status
from dispatch.database import open_engine
from dispatch.events import Event
from dispatch.offer import Offer, OfferStatus
from dispatch.plan_run import PlanRun, PlanStatus
from dispatch.replanning import PlanOptions
from dispatch.worker import Worker, run_due
from tests.dispatch.answers import Answering
from tests.dispatch.world import DISPATCHER, NOW, TOMORROW, World, clock_time
from tests.support.plans import run_plans

WITHIN_S = 60


def test_an_offer_expires_once_after_any_downtime(world: World, engine: Engine) -> None:
    technician = world.technician()
    job = world.job(world.service())
    placing.place(world.session, world.settings, job, (clock_time(9), clock_time(11)))
    job.appointment.move(Status.SCHEDULED)
    offering.send_direct(
        world.session, world.settings, job.appointment, technician, offering.Terms(), DISPATCHER, NOW
    )
    world.session.commit()

    run_due(engine, world.settings, NOW + timedelta(days=3))
    run_due(engine, world.settings, NOW + timedelta(days=3))

    world.session.expire_all()
    assert world.session.exec(select(Offer)).one().status is OfferStatus.EXPIRED
    assert len(world.session.exec(select(Event).where(Event.type == "offer.expired")).all()) == 1
    assert world.appointment(job).status is Status.UNASSIGNED


def test_answers_teach_the_chance_of_the_next(world: World, engine: Engine) -> None:
    Answering(world).history([world.technician()])
    world.session.commit()

    run_due(engine, world.settings, NOW)

    learned = newest_training(world.session, world.organization.id)
    assert learned is not None
    assert learned.answers == 40


def test_queued_runs_are_solved_in_the_order_they_came(world: World, engine: Engine) -> None:
    world.technician()
    jobs = [world.job(world.service(), km) for km in (1, 2)]
    for seed in (1, 2):
        options = PlanOptions(max_work=50, seed=seed)
        replanning.request_plan(world.session, world.territory, TOMORROW, options, DISPATCHER, NOW)
    world.session.commit()

    solved = run_plans(engine, world.settings, lambda: NOW)

    world.session.expire_all()
    first, second = world.session.exec(select(PlanRun).order_by(PlanRun.id)).all()
    assert solved == 2
    assert first.result is not None
    assert second.result is not None
    assert len(first.result["assigned"]) == len(jobs)
    assert len(second.result["kept"]) == len(jobs)


def test_a_worker_solves_in_a_process_of_its_own_until_it_is_stopped(world: World) -> None:
    world.technician()
    job = world.job(world.service())
    now = datetime.now(UTC)
    day_without_shifts = now.date() + timedelta(days=10)
    run = replanning.request_plan(
        world.session, world.territory, day_without_shifts, PlanOptions(max_work=50), DISPATCHER, now
    )
    run_id = run.id
    world.session.commit()
    worker = Worker(world.settings)
    thread = threading.Thread(target=worker.run)

    thread.start()
    ended = wait_for_end(world.settings.database_url, run_id)
    worker.stop()
    thread.join(WITHIN_S)

    assert not thread.is_alive()
    assert ended.status is PlanStatus.DONE, ended.error
    assert ended.result is not None
    assert [item["appointment_id"] for item in ended.result["unassigned"]] == [job.appointment.id]


def wait_for_end(url: str, run_id: str) -> PlanRun:
    engine = open_engine(url)
    deadline = time.monotonic() + WITHIN_S
    try:
        while time.monotonic() < deadline:
            with Session(engine) as session:
                run = session.get_one(PlanRun, run_id)
                if run.finished_at is not None:
                    return run
            time.sleep(0.2)
        raise AssertionError(f"the run did not end within {WITHIN_S} s")
    finally:
        engine.dispose()


def test_a_plan_that_failed_does_not_stop_the_worker(world: World) -> None:
    run = replanning.request_plan(
        world.session, world.territory, TOMORROW, PlanOptions(max_work=50), DISPATCHER, NOW
    )
    run.max_work = -1
    run_id = run.id
    world.session.commit()
    worker = Worker(world.settings)
    thread = threading.Thread(target=worker.run)

    thread.start()
    ended = wait_for_end(world.settings.database_url, run_id)
    worker.stop()
    thread.join(WITHIN_S)

    assert ended.status is PlanStatus.FAILED
    assert ended.error is not None
    assert "max_work" in ended.error
