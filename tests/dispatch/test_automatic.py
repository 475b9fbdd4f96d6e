"""What the worker does by itself: offers that leave, visits that are released."""

import threading
from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest
from sqlalchemy import Engine
from sqlmodel import select

from dispatch import booking, day, joining, offering, override, placing
from dispatch.appointment import Status
from dispatch.booking import promise
from dispatch.calendar import BlockKind
from dispatch.catalogue import Service
from dispatch.events import Actor, Event
from dispatch.keys import Principal
from dispatch.offer import Offer, OfferStatus, OfferStrategy
from dispatch.offer_round import OfferRound, RoundStatus
from dispatch.planning import Job
from dispatch.profiles import profile_of
from dispatch.promise import PromiseKind
from dispatch.slots import sign_slot
from dispatch.technician import Kind, Technician
from dispatch.worker import run_due
from tests.dispatch.world import DISPATCHER, NOW, World, clock_time

OPENS = clock_time(9)
MORNING = OPENS, clock_time(11)
DAY = timedelta(days=1)


def promised(world: World, service: Service, km: float = 1, technician: Technician | None = None) -> Job:
    """Planned, for a start from nine to eleven."""
    job = world.job(service, km)
    placing.place(world.session, world.settings, job, MORNING, technician.no if technician else None)
    job.appointment.move(Status.SCHEDULED)
    promise(world.session, world.settings, job.appointment, MORNING, PromiseKind.GIVEN, DISPATCHER, NOW)
    world.session.commit()
    return job


def turn(world: World, engine: Engine, now: datetime) -> None:
    """Of the worker."""
    world.session.commit()
    run_due(engine, world.settings, now)
    world.session.expire_all()


def offers(world: World) -> Sequence[Offer]:
    return world.session.exec(select(Offer).order_by(Offer.created_at, Offer.rank)).all()


def events(world: World, type_: str) -> int:
    return len(world.session.exec(select(Event).where(Event.type == type_)).all())


def answered(world: World, offer: Offer, verb: str, now: datetime) -> None:
    session, settings, by = world.session, world.settings, Actor("technician")
    offering.lock_offer(session, offer)
    if verb == "accept":
        offering.accept(session, settings, offer, by, now)
    else:
        offering.decline(session, settings, offer, by, now, None)


def test_offers_leave_as_long_ahead_of_the_window_as_the_service_says(world: World, engine: Engine) -> None:
    ada = world.technician()
    job = promised(world, world.service(offer_before_s=3 * 3600))

    turn(world, engine, OPENS - timedelta(hours=3, seconds=1))
    before = offers(world)
    turn(world, engine, OPENS - timedelta(hours=3))
    turn(world, engine, OPENS - timedelta(hours=3))

    [offer] = offers(world)
    assert before == []
    assert (offer.technician_no, offer.strategy, offer.status) == (
        ada.no,
        OfferStrategy.CASCADE,
        OfferStatus.PENDING,
    )
    assert world.appointment(job).status is Status.SCHEDULED
    assert events(world, "offer.sent") == 1


def test_a_cascade_begins_with_whom_the_plan_has(world: World, engine: Engine) -> None:
    """Bo lives next door, and yet the visit is Ada's."""
    ada = world.technician(home_km=8)
    world.technician("Bo", home_km=1)
    promised(world, world.service(), technician=ada)

    turn(world, engine, NOW + DAY / 24)

    [offer] = offers(world)
    assert offer.technician_no == ada.no


def test_a_broadcast_gives_the_time_back(world: World, engine: Engine) -> None:
    world.technician()
    job = promised(world, world.service(offer_strategy=OfferStrategy.BROADCAST))

    turn(world, engine, NOW + DAY / 24)

    assert [offer.strategy for offer in offers(world)] == [OfferStrategy.BROADCAST]
    appointment = world.appointment(job)
    assert (appointment.status, appointment.technician_no) == (Status.UNASSIGNED, None)
    assert (appointment.window_start, appointment.window_end) == MORNING


def test_whom_a_person_has_pinned_is_asked_alone(world: World, engine: Engine) -> None:
    ada = world.technician(home_km=8)
    world.technician("Bo", home_km=1)
    job = promised(world, world.service(offer_strategy=OfferStrategy.BROADCAST), technician=ada)
    override.pin(world.session, job.appointment, DISPATCHER, NOW, time=False)

    turn(world, engine, NOW + DAY / 24)

    assert [(offer.technician_no, offer.strategy) for offer in offers(world)] == [
        (ada.no, OfferStrategy.DIRECT)
    ]


def test_a_service_may_leave_offers_to_people(world: World, engine: Engine) -> None:
    world.technician()
    promised(world, world.service(offer_strategy=OfferStrategy.NONE))

    turn(world, engine, NOW + DAY / 24)

    assert offers(world) == []


def test_what_is_promised_and_with_nobody_is_offered(world: World, engine: Engine) -> None:
    world.technician()
    job = promised(world, world.service())
    override.unassign(world.session, world.settings, job.appointment, DISPATCHER, NOW, "She asked.")

    turn(world, engine, NOW + DAY / 24)

    assert [offer.status for offer in offers(world)] == [OfferStatus.PENDING]
    assert world.appointment(job).status is Status.SCHEDULED


def test_an_employees_visit_is_dispatched_at_its_release(world: World, engine: Engine) -> None:
    world.technician(kind=Kind.EMPLOYEE)
    job = promised(world, world.service(release_before_s=12 * 3600))

    turn(world, engine, OPENS - timedelta(hours=12, seconds=1))
    before = world.appointment(job).status
    turn(world, engine, OPENS - timedelta(hours=12))
    turn(world, engine, OPENS - timedelta(hours=1))

    appointment = world.appointment(job)
    assert (before, appointment.status) == (Status.SCHEDULED, Status.DISPATCHED)
    assert appointment.agreed_start == appointment.scheduled_start
    assert events(world, "appointment.dispatched") == 1
    assert offers(world) == []


@pytest.mark.parametrize("downtime", [timedelta(hours=1), timedelta(hours=20)])
def test_after_any_downtime_each_is_done_once(world: World, engine: Engine, downtime: timedelta) -> None:
    world.technician()
    jobs = [promised(world, world.service(), km) for km in (1, 2)]

    for _ in range(3):
        turn(world, engine, NOW + downtime)

    assert events(world, "offer.sent") == len(jobs)
    assert {offer.appointment_id for offer in offers(world)} == {job.appointment.id for job in jobs}


def test_two_workers_side_by_side_do_each_once(world: World, engine: Engine) -> None:
    world.technician(hours=(8, 20))
    world.technician("Emma", kind=Kind.EMPLOYEE, skills={"painting": 3})
    jobs = [promised(world, world.service(0.5), km) for km in (1, 2, 3)]
    painting = world.service(0.5, required_skills={"painting": 1}, release_before_s=2 * 86_400)
    jobs += [promised(world, painting, km) for km in (1, 2)]
    world.session.commit()
    both = [threading.Thread(target=run_due, args=(engine, world.settings, NOW + DAY / 24)) for _ in range(2)]

    for worker in both:
        worker.start()
    for worker in both:
        worker.join()

    world.session.expire_all()
    assert events(world, "offer.sent") == len(offers(world)) == 3
    assert events(world, "appointment.dispatched") == 2
    assert {world.appointment(job).status for job in jobs} == {Status.SCHEDULED, Status.DISPATCHED}


def test_nobody_is_asked_again_about_what_nobody_took(world: World, engine: Engine) -> None:
    world.technician()
    promised(world, world.service())
    turn(world, engine, NOW)
    answered(world, offers(world)[0], "decline", NOW)

    turn(world, engine, NOW + DAY / 24)
    turn(world, engine, NOW + DAY / 12)

    assert [offer.status for offer in offers(world)] == [OfferStatus.DECLINED]
    assert events(world, "request.unfilled") == 1


def test_nobody_is_asked_again_about_what_a_person_took_back(world: World, engine: Engine) -> None:
    world.technician()
    promised(world, world.service())
    turn(world, engine, NOW)
    offering.withdraw(world.session, world.settings, offers(world)[0], DISPATCHER, NOW)

    turn(world, engine, NOW + DAY / 24)

    assert [offer.status for offer in offers(world)] == [OfferStatus.WITHDRAWN]
    [row] = world.session.exec(select(OfferRound)).all()
    assert row.status is RoundStatus.STOPPED


def test_what_is_booked_anew_is_offered_anew(world: World, engine: Engine) -> None:
    world.technician()
    job = promised(world, world.service())
    turn(world, engine, NOW)
    answered(world, offers(world)[0], "decline", NOW)
    world.session.commit()
    bo = world.technician("Bo", hours=(12, 16))
    slot = sign_slot(world.settings, job.appointment, (clock_time(12), clock_time(14)), NOW)
    booking.reschedule(world.session, world.settings, world.appointment(job), slot, DISPATCHER, NOW)

    turn(world, engine, NOW + DAY / 8)

    assert [offer.status for offer in offers(world)] == [OfferStatus.DECLINED, OfferStatus.PENDING]
    assert offers(world)[-1].technician_no == bo.no


def test_what_a_technician_gave_back_goes_to_another(world: World, engine: Engine) -> None:
    ada, bo = world.technician(), world.technician("Bo", home_km=20)
    job = promised(world, world.service(), technician=ada)
    turn(world, engine, NOW)
    answered(world, offers(world)[0], "accept", NOW)
    day.release(
        world.session, world.settings, world.appointment(job), Actor("technician", ada.id), NOW, "Ill."
    )

    turn(world, engine, NOW + DAY / 24)

    assert [offer.technician_no for offer in offers(world)] == [ada.no, bo.no]


def test_a_suspended_technicians_offer_goes_to_the_next(world: World, engine: Engine) -> None:
    ada, bo = world.technician(), world.technician("Bo", home_km=20)
    promised(world, world.service(), technician=ada)
    turn(world, engine, NOW)
    dispatcher = Principal("dispatcher", organization_id=world.organization.id)
    profile = profile_of(world.session, dispatcher, ada.id, change=True)
    joining.suspend(world.session, world.settings, profile, "Ill.", DISPATCHER, NOW)

    turn(world, engine, NOW + DAY / 24)

    assert [(offer.technician_no, offer.status) for offer in offers(world)] == [
        (ada.no, OfferStatus.WITHDRAWN),
        (bo.no, OfferStatus.PENDING),
    ]


def test_that_nobody_could_come_is_told_at_once(world: World, engine: Engine) -> None:
    ada = world.technician()
    job = promised(world, world.service(), technician=ada)
    override.unassign(world.session, world.settings, job.appointment, DISPATCHER, NOW, "Ill.")
    taken = int(clock_time(8).timestamp()), int(clock_time(13).timestamp())
    world.session.add(world.block(ada, *taken, BlockKind.ABSENCE))

    turn(world, engine, NOW)
    turn(world, engine, NOW)

    [row] = world.session.exec(select(OfferRound)).all()
    assert row.status is RoundStatus.UNFILLED
    assert "window" in {reason["code"] for reason in row.would_fill_if}
    assert events(world, "request.unfilled") == 1
