"""The ledger of promises, the offers behind them, and the calendars that they leave."""

from datetime import timedelta

import pytest
from sqlalchemy import Engine
from sqlmodel import Session, select

from dispatch import booking, day, intake, joining, offering, placing
from dispatch.appointment import Appointment, Status
from dispatch.calendar import BlockKind, CalendarBlock, CalendarMoved
from dispatch.errors import SlotTaken
from dispatch.events import Event
from dispatch.keys import Principal
from dispatch.offer import Offer, OfferStatus
from dispatch.planning import job_of, load_standing, with_visit, write_plan
from dispatch.profiles import profile_of
from dispatch.promise import Promise, PromiseKind
from dispatch.shift import local_day
from dispatch.slots import find_slots
from dispatch.worker import run_due
from optimizer import recommend
from tests.dispatch.test_booking import book, slots_of
from tests.dispatch.world import DISPATCHER, NOW, TOMORROW, ZONE, World, at, clock_time


def ledger(world: World) -> list[PromiseKind]:
    return list(world.session.exec(select(Promise.kind).order_by(Promise.at)))


def at_hour(world: World, hour: int, km: float = 1, **service: object) -> Appointment:
    """A visit whose window begins at that hour of tomorrow."""
    job = world.job(world.service(**service), km)
    return book(
        world, job, next(s.slot_id for s in slots_of(world, job).items if s.start == clock_time(hour))
    )


def asked(world: World, appointment: Appointment) -> Offer:
    return offering.send_direct(
        world.session, world.settings, appointment, None, offering.Terms(), DISPATCHER, NOW
    )


def test_a_window_that_passes_with_nobody_is_broken_once(world: World, engine: Engine) -> None:
    world.technician()
    appointment = at_hour(world, 9)
    world.session.commit()

    run_due(engine, world.settings, clock_time(11))
    run_due(engine, world.settings, clock_time(11) + timedelta(seconds=1))
    run_due(engine, world.settings, clock_time(12))

    assert ledger(world) == [PromiseKind.GIVEN, PromiseKind.BROKEN]
    world.session.expire_all()
    assert appointment.status is Status.SCHEDULED


def test_who_comes_after_the_window_breaks_it_no_second_time(world: World, engine: Engine) -> None:
    world.technician()
    appointment = at_hour(world, 9)
    for status in (Status.DISPATCHED, Status.EN_ROUTE):
        appointment.move(status)
    world.session.commit()
    run_due(engine, world.settings, clock_time(12))
    world.session.expire_all()

    day.progress(
        world.session,
        world.settings,
        appointment,
        Status.ON_SITE,
        DISPATCHER,
        clock_time(12),
        reason="it called",
    )

    assert ledger(world) == [PromiseKind.GIVEN, PromiseKind.BROKEN]


def test_an_offer_ends_when_its_technician_would_have_to_leave(world: World) -> None:
    world.technician()
    appointment = at_hour(world, 9, km=10)
    terms = offering.Terms(expires_in_s=7 * 86_400)

    offer = offering.send_direct(world.session, world.settings, appointment, None, terms, DISPATCHER, NOW)

    assert appointment.scheduled_start is not None
    assert offer.expires_at == appointment.scheduled_start - timedelta(seconds=appointment.travel_s or 0)


def test_an_offer_in_a_window_that_runs_already_can_still_be_answered(world: World) -> None:
    world.technician()
    appointment = at_hour(world, 9)
    late = clock_time(9, 30)

    offer = offering.send_direct(
        world.session, world.settings, appointment, None, offering.Terms(), DISPATCHER, late
    )

    assert late < offer.expires_at <= clock_time(11)


def test_superseding_is_an_event_and_leaves_a_visit_in_the_calendar(world: World) -> None:
    world.technician()
    appointment = at_hour(world, 9)
    offer = asked(world, appointment)
    slots = find_slots(
        world.session, world.settings, job_of(world.session, appointment), TOMORROW, TOMORROW, NOW
    )
    other = next(slot for slot in slots.items if slot.start == clock_time(13))

    booking.reschedule(world.session, world.settings, appointment, other.slot_id, DISPATCHER, NOW)

    assert offer.status is OfferStatus.SUPERSEDED
    types = world.session.exec(select(Event.type).where(Event.subject_id == appointment.id)).all()
    assert "offer.superseded" in types
    assert world.session.exec(select(CalendarBlock.kind)).all() == [BlockKind.VISIT]


def test_a_declined_visit_says_that_it_is_unassigned(world: World) -> None:
    world.technician()
    appointment = at_hour(world, 9)

    offering.decline(world.session, world.settings, asked(world, appointment), DISPATCHER, NOW, "too far")

    types = world.session.exec(select(Event.type).where(Event.subject_id == appointment.id)).all()
    assert {"appointment.unassigned", "offer.declined"} <= set(types)


def test_what_was_agreed_is_what_stood_in_the_offer(world: World) -> None:
    world.technician()
    appointment = at_hour(world, 9)
    appointment.agreed_start = clock_time(8)

    asked(world, appointment)

    assert appointment.agreed_start == appointment.scheduled_start


def test_a_rescheduled_visit_is_agreed_anew(world: World) -> None:
    world.technician()
    appointment = at_hour(world, 9)
    slots = find_slots(
        world.session, world.settings, job_of(world.session, appointment), TOMORROW, TOMORROW, NOW
    )
    other = next(slot for slot in slots.items if slot.start == clock_time(13))

    booking.reschedule(world.session, world.settings, appointment, other.slot_id, DISPATCHER, NOW)

    assert appointment.agreed_start == appointment.scheduled_start


def test_a_visit_that_is_offered_without_a_promise_can_be_booked(world: World) -> None:
    technician = world.technician()
    job = world.job(world.service(), earliest_start=clock_time(8))
    offer = offering.send_direct(
        world.session, world.settings, job.appointment, technician, offering.Terms(), DISPATCHER, NOW
    )

    appointment = book(world, job, next(s.slot_id for s in slots_of(world, job).items))

    assert appointment.status is Status.SCHEDULED
    assert appointment.is_promised
    assert offer.status is OfferStatus.SUPERSEDED


def test_whoever_loses_a_visit_to_another_is_not_sent_by_way_of_it(world: World) -> None:
    ada = world.technician("Ada")
    near, far = at_hour(world, 9, km=10), at_hour(world, 12, km=11)
    assert (near.technician_no, far.technician_no) == (ada.no, ada.no)
    bo = world.technician("Bo", home_km=5)
    version = ada.calendar_version

    offering.send_direct(world.session, world.settings, near, bo, offering.Terms(), DISPATCHER, NOW)

    world.session.refresh(ada)
    [block] = world.session.exec(select(CalendarBlock).where(CalendarBlock.technician_no == ada.no))
    assert abs(block.work_from - block.busy_from - (187.2 * 11 + 120)) <= 3
    assert ada.calendar_version > version


def test_a_window_across_midnight_is_kept_by_who_begins_at_midnight(world: World) -> None:
    technician = world.technician(hours=None)
    world.shift(technician, 0, 8, day=TOMORROW + timedelta(days=1))
    job = world.job(world.service())

    offered = slots_of(world, job).items

    assert [slot.start for slot in offered] == [clock_time(23)]
    assert book(world, job, offered[0].slot_id).technician_no == technician.no


def test_a_visit_that_set_out_meanwhile_is_not_retimed(world: World, engine: Engine) -> None:
    if engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one writer at a time")
    world.technician(hours=(8, 12))
    agreed = at_hour(world, 8)
    agreed.move(Status.DISPATCHED)
    job = world.job(world.service(hours=0.25), km=0.5)
    world.session.commit()
    window = (clock_time(8), clock_time(8, 6))
    standing = load_standing(
        world.session,
        world.settings,
        world.organization.id,
        local_day(TOMORROW, ZONE),
        asking=job,
        windows=[window],
    )
    with Session(engine) as other, other.begin():
        meanwhile = other.get_one(Appointment, agreed.id)
        day.progress(other, world.settings, meanwhile, Status.EN_ROUTE, DISPATCHER, NOW, reason="it called")

    wanted = job.windows_at_place([window])
    [insertion] = recommend(standing.problem, standing.plan, job.appointment.id, wanted).insertions
    plan, touched = with_visit(standing, job.appointment.id, insertion, wanted)
    with pytest.raises(CalendarMoved):
        write_plan(world.session, standing, plan, touched)
    world.session.rollback()
    with pytest.raises(SlotTaken):
        placing.place(world.session, world.settings, job, window)


def test_who_is_suspended_meanwhile_gets_no_booking(world: World, engine: Engine) -> None:
    if engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one writer at a time")
    technician = world.technician()
    job = world.job(world.service())
    world.session.commit()
    window = (clock_time(8), clock_time(10))
    standing = load_standing(
        world.session,
        world.settings,
        world.organization.id,
        local_day(TOMORROW, ZONE),
        asking=job,
        windows=[window],
    )
    with Session(engine) as other, other.begin():
        principal = Principal("dispatcher", organization_id=world.organization.id)
        profile = profile_of(other, principal, technician.id, change=True)
        joining.suspend(other, world.settings, profile, "no show", DISPATCHER, NOW)

    wanted = job.windows_at_place([window])
    [insertion] = recommend(standing.problem, standing.plan, job.appointment.id, wanted).insertions
    plan, touched = with_visit(standing, job.appointment.id, insertion, wanted)
    with pytest.raises(CalendarMoved):
        write_plan(world.session, standing, plan, touched)


def test_a_corrected_place_makes_whoever_read_the_old_one_look_again(world: World) -> None:
    world.technician()
    job = world.job(world.service())
    version = job.appointment.version

    intake.correct(world.session, world.settings, job.request, {"place": at(4)}, DISPATCHER, NOW)

    assert job.appointment.version == version + 1
