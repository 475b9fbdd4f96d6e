"""Promises made, moved and taken back, with the calendars that keep them."""

import threading
from datetime import timedelta

import pytest
from sqlalchemy import Engine
from sqlmodel import Session, select

from dispatch import booking, offering, placing
from dispatch.appointment import Appointment, Status
from dispatch.calendar import BlockKind, CalendarBlock, epoch
from dispatch.database import run
from dispatch.errors import AlreadyBooked, InvalidSlot, InvalidState, SlotExpired, SlotTaken
from dispatch.offer import Offer, OfferStatus
from dispatch.planning import Job, job_of
from dispatch.promise import Promise, PromiseKind
from dispatch.settings import Settings
from dispatch.slots import Slots, find_slots
from dispatch.technician import Kind
from tests.dispatch.world import DISPATCHER, NOW, TOMORROW, World, clock_time


def slots_of(world: World, job: Job) -> Slots:
    return find_slots(world.session, world.settings, job, TOMORROW, TOMORROW, NOW)


def book(world: World, job: Job, slot_id: str | None = None) -> Appointment:
    chosen = slot_id or slots_of(world, job).items[0].slot_id
    return booking.book(world.session, world.settings, job.appointment, chosen, DISPATCHER, NOW)


def blocks(world: World) -> list[CalendarBlock]:
    return sorted(world.session.exec(select(CalendarBlock)), key=lambda block: block.work_from)


def test_whatever_is_offered_can_be_booked(world: World) -> None:
    world.technician()
    service = world.service(hours=2)
    book(world, world.job(service, 5))
    offered = slots_of(world, world.job(service, 3)).items

    for slot in offered:
        with world.session.begin_nested() as trial:
            job = world.job(service, 3)
            same = next(s for s in slots_of(world, job).items if s.start == slot.start)
            appointment = book(world, job, same.slot_id)
            assert appointment.scheduled_start is not None
            assert slot.start <= appointment.scheduled_start <= slot.end
            trial.rollback()

    assert len(offered) >= 3


def test_what_is_noted_of_a_visit_keeps_nobody_from_booking_beside_it(world: World) -> None:
    """That the customer will be there, say: it changes the visit, and nothing by which slots are found."""
    world.technician()
    service = world.service()
    noted = book(world, world.job(service))
    other = world.job(service, 2)
    slot = slots_of(world, other).items[0]
    noted.customer_confirmed_at = NOW
    noted.version += 1
    world.session.flush()

    appointment = book(world, other, slot.slot_id)

    assert appointment.status is Status.SCHEDULED


def test_who_is_absent_between_arrival_and_work_is_booked_for_when_it_is_back(world: World) -> None:
    """33 minutes of travel fit before the absence; what is written takes none of its time twice."""
    technician = world.technician(kind=Kind.EMPLOYEE)
    away = world.block(technician, epoch(clock_time(9)), epoch(clock_time(12)), BlockKind.ABSENCE)
    world.session.add(away)
    world.session.flush()
    job = world.job(world.service(), 10)
    noon = next(slot for slot in slots_of(world, job).items if slot.start == clock_time(12))

    appointment = book(world, job, noon.slot_id)

    assert appointment.scheduled_start == clock_time(12)
    visit = blocks(world)[-1]
    assert (visit.busy_from, visit.work_from) == (away.busy_to, away.busy_to)


def test_a_booking_promises_the_window_and_plans_the_visit(world: World) -> None:
    technician = world.technician()
    job = world.job(world.service())
    slot = slots_of(world, job).items[0]

    appointment = book(world, job, slot.slot_id)

    assert appointment.status is Status.SCHEDULED
    assert (appointment.window_start, appointment.window_end) == (slot.start, slot.end)
    assert appointment.technician_no == technician.no
    [promise] = world.session.exec(select(Promise))
    assert (promise.kind, promise.window_start) == (PromiseKind.GIVEN, slot.start)


def test_the_travel_from_the_stop_before_is_part_of_what_takes_time(world: World) -> None:
    world.technician()
    job = world.job(world.service(), km=10)

    book(world, job)

    [block] = blocks(world)
    assert abs((block.work_from - block.busy_from) - 1992) <= 2


def test_a_slot_is_bound_to_its_request_and_to_its_time(world: World) -> None:
    world.technician()
    job, other = world.job(world.service()), world.job(world.service())
    slot_id = slots_of(world, job).items[0].slot_id

    with pytest.raises(InvalidSlot):
        book(world, other, slot_id)
    with pytest.raises(InvalidSlot):
        book(world, job, slot_id[:-2] + "xx")
    with pytest.raises(SlotExpired):
        booking.book(
            world.session, world.settings, job.appointment, slot_id, DISPATCHER, NOW + timedelta(minutes=15)
        )


def test_a_request_is_booked_once(world: World) -> None:
    world.technician()
    job = world.job(world.service())
    slot_id = slots_of(world, job).items[0].slot_id
    book(world, job, slot_id)

    with pytest.raises(AlreadyBooked):
        book(world, job, slot_id)


def test_the_loser_is_told_the_next_best_slots(world: World) -> None:
    world.technician(hours=(8, 12))
    service = world.service(hours=2)
    winner, loser = world.job(service), world.job(service)
    slot = next(s for s in slots_of(world, loser).items if s.start == clock_time(8))
    later = next(s for s in slots_of(world, winner).items if s.start == clock_time(8))
    book(world, winner, later.slot_id)
    world.shift(world.technician("Bo", hours=None), 14, 18)
    filler = world.job(world.service(hours=1))
    placing.place(world.session, world.settings, filler, (clock_time(8), clock_time(12)))

    with pytest.raises(SlotTaken) as refused:
        book(world, loser, slot.slot_id)

    alternatives = refused.value.extra["alternatives"]
    assert alternatives
    assert all(a["arrival_window"]["start"] >= "2026-11-24T18:00:00Z" for a in alternatives)


def test_where_there_is_no_slot_the_reasons_say_why(world: World) -> None:
    world.technician(skills={"painting": 5})
    job = world.job(world.service())

    found = slots_of(world, job)

    assert found.items == ()
    assert [reason.code for reason in found.reasons] == ["skill_missing"]


def test_least_notice_is_kept(world: World) -> None:
    world.technician()
    job = world.job(world.service(min_notice_s=20 * 3600))

    found = slots_of(world, job)

    assert found.items
    assert all(slot.start >= NOW + timedelta(hours=20) for slot in found.items)


def test_what_is_cancelled_can_be_booked_by_others_at_once(world: World) -> None:
    world.technician(hours=(8, 10))
    service = world.service(hours=1.5)
    first, second = world.job(service), world.job(service)
    book(world, first)
    assert slots_of(world, second).items == ()

    booking.cancel(world.session, world.settings, first.appointment, DISPATCHER, NOW)

    assert book(world, second).status is Status.SCHEDULED
    assert first.appointment.status is Status.CANCELLED


def test_after_a_cancellation_the_next_stop_is_reached_from_the_stop_before(world: World) -> None:
    world.technician()
    service = world.service()
    near, far = world.job(service, km=1), world.job(service, km=20)
    placing.place(world.session, world.settings, near, (clock_time(9), clock_time(9)))
    near.appointment.move(Status.SCHEDULED)
    placing.place(world.session, world.settings, far, (clock_time(13), clock_time(13)))

    booking.cancel(world.session, world.settings, near.appointment, DISPATCHER, NOW)

    [block] = blocks(world)
    assert block.work_from == epoch(clock_time(13))
    assert abs((block.work_from - block.busy_from) - (187.2 * 20 + 120)) <= 3


def test_a_rescheduled_visit_keeps_its_id_and_link_and_needs_a_new_acceptance(world: World) -> None:
    technician = world.technician()
    job = world.job(world.service())
    appointment = book(world, job)
    offer = offering.send_direct(
        world.session, world.settings, appointment, technician, offering.Terms(), DISPATCHER, NOW
    )
    offering.accept(world.session, world.settings, offer, DISPATCHER, NOW)
    before = (appointment.id, appointment.tracking_hash, appointment.window_start)
    other = next(slot for slot in slots_of(world, job).items if slot.start != appointment.window_start)

    booking.reschedule(world.session, world.settings, appointment, other.slot_id, DISPATCHER, NOW)

    assert appointment.status is Status.SCHEDULED
    assert (appointment.id, appointment.tracking_hash) == before[:2]
    assert appointment.window_start == other.start != before[2]
    assert len(blocks(world)) == 1


def test_rescheduling_supersedes_what_is_being_asked(world: World) -> None:
    technician = world.technician()
    job = world.job(world.service())
    appointment = book(world, job)
    offer = offering.send_direct(
        world.session, world.settings, appointment, technician, offering.Terms(), DISPATCHER, NOW
    )
    other = slots_of(world, job).items[-1]

    booking.reschedule(world.session, world.settings, appointment, other.slot_id, DISPATCHER, NOW)

    assert world.session.get_one(Offer, offer.id).status is OfferStatus.SUPERSEDED


def test_a_customer_cannot_cancel_a_technician_who_is_on_the_way(world: World) -> None:
    world.technician()
    job = world.job(world.service())
    appointment = book(world, job)
    appointment.move(Status.DISPATCHED)
    appointment.move(Status.EN_ROUTE)

    with pytest.raises(InvalidState) as refused:
        booking.cancel(world.session, world.settings, appointment, booking.Actor("customer"), NOW)

    assert refused.value.extra["current"] == "en_route"


def test_cancelling_late_costs_what_the_catalogue_says(world: World) -> None:
    world.technician()
    job = world.job(world.service(cancel_free_before_s=4 * 3600, cancel_fee_cents=2500))
    book(world, job, next(s.slot_id for s in slots_of(world, job).items if s.start == clock_time(9)))

    assert booking.cancellation_fee_cents(job, clock_time(5)) == 0
    assert booking.cancellation_fee_cents(job, clock_time(5) + timedelta(seconds=1)) == 2500


def test_of_many_who_want_the_last_slot_one_wins(world: World, engine: Engine) -> None:
    world.technician(hours=(8, 10))
    service = world.service(hours=1.5)
    wanted = [
        (job.appointment.id, slots_of(world, job).items[0].slot_id) for job in _jobs(world, service, 12)
    ]
    settings = world.settings
    world.session.commit()
    outcomes: list[str] = []
    barrier = threading.Barrier(len(wanted))

    def race(appointment_id: str, slot_id: str) -> None:
        barrier.wait()
        outcomes.append(_try(engine, settings, appointment_id, slot_id))

    threads = [threading.Thread(target=race, args=args) for args in wanted]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outcomes) == ["booked"] + ["slot_taken"] * (len(wanted) - 1)
    assert len(blocks(world)) == 1


def _jobs(world: World, service: object, count: int) -> list[Job]:
    return [world.job(service) for _ in range(count)]  # type: ignore[arg-type]


def _try(engine: Engine, settings: Settings, appointment_id: str, slot_id: str) -> str:
    def work(session: Session) -> str:
        job = job_of(session, session.get_one(Appointment, appointment_id))
        booking.book(session, settings, job.appointment, slot_id, DISPATCHER, NOW)
        return "booked"

    try:
        return run(engine, work)
    except SlotTaken as taken:
        return taken.code
