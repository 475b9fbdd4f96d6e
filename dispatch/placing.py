"""Taking time in calendars and giving it back: the steps that booking, holds and offers share."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import bindparam, delete
from sqlmodel import Session, col, select

from dispatch.appointment import Appointment
from dispatch.calendar import CalendarBlock, CalendarMoved, claim
from dispatch.database import writes_alone
from dispatch.errors import SlotTaken
from dispatch.events import SYSTEM, Actor, record
from dispatch.instants import instant_told
from dispatch.planning import (
    Job,
    Window,
    WorkingDay,
    is_routed,
    load_standing,
    narrowed,
    range_of,
    with_visit,
    with_written,
    without_visit,
    write_plan,
)
from dispatch.settings import Settings
from dispatch.slots import Slot, best_slots
from dispatch.standing import SHIFT_BEFORE, Opening, calendars_of
from dispatch.technician import Technician
from dispatch.territory import Territory
from optimizer import Infeasible, Insertion, Plan, recommend

ATTEMPTS = 20
"""How often a booking looks again when a calendar changed under its hands."""
ALTERNATIVES = 3
ALTERNATIVE_DAYS = 3


def ahead_of(window: Window, now: datetime) -> Window:
    """What of the window is still to come. Raises `SlotTaken` where nothing is."""
    if window[1] < now:
        raise SlotTaken(detail="The window is over.")
    return max(window[0], now), window[1]


@dataclass(frozen=True, slots=True)
class Placed:
    """Where a visit went. retimed: the other visits that start at another time now. day, plan: as read and as written.
    stamp: of the technician's calendar as it was, where it had been remembered and need not be read again."""

    retimed: list[Appointment]
    day: WorkingDay
    plan: Plan
    stamp: int | None


def place(
    session: Session, settings: Settings, job: Job, window: Window, technician_no: int | None = None
) -> Placed:
    """Finds where the visit costs least in the window, among all or with the given technician, and takes the time.
    Looks again where a calendar changed meanwhile. Raises `SlotTaken` where nobody can keep the window."""
    zone = ZoneInfo(session.get_one(Territory, job.appointment.territory_id).time_zone)
    for _ in range(ATTEMPTS):
        opening = _cheapest(session, settings, job, window, zone) if technician_no is None else None
        try:
            with session.begin_nested():
                if opening is not None:
                    return _place_in(session, settings, job, window, opening, zone)
                assert technician_no is not None
                day = _read(session, settings, job, window, technician_no, range_of([window], zone))
                return _place_on(session, job, window, day)
        except CalendarMoved:
            session.expire_all()
            if opening is None:
                break
            calendars_of(session, job.appointment.organization_id).forget(opening.technician_no)
        except Infeasible as error:
            raise SlotTaken() from error
    raise SlotTaken()


def _cheapest(session: Session, settings: Settings, job: Job, window: Window, zone: ZoneInfo) -> Opening:
    """Raises `SlotTaken` where there is none."""
    calendars = calendars_of(session, job.appointment.organization_id)
    found = calendars.openings(session, settings, job, [window], zone)
    if not found:
        raise SlotTaken()
    return found[0]


def _place_in(
    session: Session, settings: Settings, job: Job, window: Window, opening: Opening, zone: ZoneInfo
) -> Placed:
    """Raises `CalendarMoved` where the opening is not there any more."""
    technician = lock_calendar(session, opening.technician_no)
    calendars, shift_id = calendars_of(session, job.appointment.organization_id), opening.insertion.shift
    remembered = calendars.as_read(technician, shift_id)
    if remembered is not None and job.appointment.technician_no is None:
        stamp = technician.calendar_stamp
        day = narrowed(settings, remembered, shift_id, technician, job, [window])
        return replace(_write_visit(session, job, window, day, opening.insertion), stamp=stamp)
    range_, hours = range_of([window], zone), opening.hours
    begins, ends = (datetime.fromtimestamp(at, UTC) for at in (hours.start, hours.end))
    around = min(begins, range_[0]), max(ends, range_[1])
    return _place_on(
        session, job, window, _read(session, settings, job, window, opening.technician_no, around)
    )


def _read(
    session: Session, settings: Settings, job: Job, window: Window, technician_no: int, range_: Window
) -> WorkingDay:
    """The technician's calendar, locked, the visit taken out of another's. range_: what its shift lies in."""
    day = _standing(session, settings, job, window, technician_no, range_)
    elsewhere = day.blocks.get(job.appointment.id)
    if elsewhere is None or is_routed(day, job.appointment.id):
        return day
    take_out(session, settings, job.appointment.organization_id, elsewhere)
    return _standing(session, settings, job, window, technician_no, range_)


def _place_on(session: Session, job: Job, window: Window, day: WorkingDay) -> Placed:
    """Raises `CalendarMoved` where there is no room."""
    wanted = job.windows_at_place([window])
    found = recommend(day.problem, day.plan, job.appointment.id, wanted)
    if not found.insertions:
        raise CalendarMoved
    return _write_visit(session, job, window, day, found.insertions[0])


def _write_visit(session: Session, job: Job, window: Window, day: WorkingDay, insertion: Insertion) -> Placed:
    plan, touched = with_visit(day, job.appointment.id, insertion, job.windows_at_place([window]))
    changed = write_plan(session, day, plan, touched)
    return Placed([other for other in changed if other.id != job.appointment.id], day, plan, None)


def note_placed(session: Session, settings: Settings, job: Job, placed: Placed) -> None:
    """Tells this process's memory of the calendars what a promise that was just booked has changed, so that the next to
    ask need not read it; called after the last change."""
    if placed.stamp is None:
        return
    (technician,) = placed.day.technicians.values()
    retimed = [replace(placed.day.jobs[other.id], appointment=other) for other in placed.retimed]
    after = with_written(settings, placed.day, placed.plan, job, retimed)
    calendars_of(session, job.appointment.organization_id).note(session, technician, placed.stamp, after)


def _standing(
    session: Session, settings: Settings, job: Job, window: Window, technician_no: int, range_: Window
) -> WorkingDay:
    return load_standing(
        session,
        settings,
        job.appointment.organization_id,
        (range_[0] - SHIFT_BEFORE, range_[1]),
        asking=job,
        windows=[window],
        technician_nos=[technician_no],
        lock=True,
    )


def note_retimed(session: Session, visits: Iterable[Appointment], by: Actor, now: datetime) -> None:
    """Writes that these visits start at another time than before, for their technicians to be told."""
    for visit in visits:
        assert visit.scheduled_start is not None
        after = {"scheduled_start": instant_told(visit.scheduled_start)}
        record(session, visit.organization_id, visit.id, "appointment.retimed", now, by, after=after)


def keep(
    session: Session, settings: Settings, job: Job, window: Window, now: datetime, held: Job | None = None
) -> Placed:
    """Takes the time for a customer's window, for the visit or for what only holds it. Raises `SlotTaken` with the next
    best slots."""
    try:
        placed = place(session, settings, held or job, ahead_of(window, now))
    except SlotTaken as error:
        others = alternatives(session, settings, job, window, now)
        raise SlotTaken(alternatives=[slot.told() for slot in others]) from error
    note_retimed(session, placed.retimed, SYSTEM, now)
    return placed


def alternatives(session: Session, settings: Settings, job: Job, window: Window, now: datetime) -> list[Slot]:
    """The best slots that still stand on the window's day and the two after it."""
    zone = ZoneInfo(session.get_one(Territory, job.appointment.territory_id).time_zone)
    first = window[0].astimezone(zone).date()
    days = [first + timedelta(days=offset) for offset in range(ALTERNATIVE_DAYS)]
    return list(best_slots(session, settings, job, days, zone, now, ALTERNATIVES))


def lock_visit(session: Session, appointment_id: str, seen: Appointment | None = None) -> Appointment | None:
    """The appointment, locked with its technician's calendar until the transaction ends. The calendar comes first, as
    for everybody who re-times the visits in it: two that change one calendar wait for each other, with no deadlock.
    seen: as this transaction has read it."""
    for _ in range(ATTEMPTS):
        seen = seen or session.get(Appointment, appointment_id, populate_existing=True)
        if seen is None or writes_alone(session):
            return seen
        technician_no = seen.technician_no
        if technician_no is not None:
            lock_calendar(session, technician_no)
        with session.begin_nested() as savepoint:
            locked = session.get(Appointment, appointment_id, with_for_update=True, populate_existing=True)
            if locked is None or locked.technician_no in (None, technician_no):
                return locked
            savepoint.rollback()  # lets go of the visit, which somebody waits for who has the calendar
        seen = None
    raise CalendarMoved


_LOCKED = (
    select(Technician)
    .where(Technician.no == bindparam("no"))
    .with_for_update()
    .execution_options(populate_existing=True)
)


def lock_calendar(session: Session, technician_no: int) -> Technician:
    """The technician as it is now, its calendar locked until the transaction ends."""
    return session.exec(_LOCKED, params={"no": technician_no}).one()


def take_out(session: Session, settings: Settings, organization_id: str, block: CalendarBlock) -> None:
    """Takes a block out of its calendar; the stops after it are reached from the stop before it."""
    technician = lock_calendar(session, block.technician_no)
    range_ = (datetime.fromtimestamp(block.work_from, UTC), datetime.fromtimestamp(block.busy_to, UTC))
    day = load_standing(session, settings, organization_id, range_, technician_nos=[block.technician_no])
    try:
        plan, touched = without_visit(day, block.appointment_id or block.id)
    except Infeasible:
        touched = set()
    if touched:
        write_plan(session, day, plan, touched)
    else:
        claim(session, technician, technician.calendar_version)
        session.expunge(block)
        session.exec(delete(CalendarBlock).where(col(CalendarBlock.id) == block.id))
