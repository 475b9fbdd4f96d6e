"""Taking time in calendars and giving it back: the steps that booking, holds and offers share."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import delete
from sqlmodel import Session, col, select

from dispatch.appointment import Appointment
from dispatch.calendar import CalendarBlock, CalendarMoved, claim
from dispatch.errors import SlotTaken
from dispatch.events import SYSTEM, Actor, record
from dispatch.planning import (
    Job,
    Window,
    WorkingDay,
    is_routed,
    load_standing,
    range_of,
    with_visit,
    without_visit,
    write_plan,
)
from dispatch.settings import Settings
from dispatch.slots import Slot, best_slots
from dispatch.standing import SHIFT_BEFORE, Opening, calendars_of
from dispatch.technician import Technician
from dispatch.territory import Territory
from optimizer import Infeasible, recommend

ATTEMPTS = 20
"""How often a booking looks again when a calendar changed under its hands."""
ALTERNATIVES = 3
ALTERNATIVE_DAYS = 3


def ahead_of(window: Window, now: datetime) -> Window:
    """What of the window is still to come. Raises `SlotTaken` where nothing is."""
    if window[1] < now:
        raise SlotTaken(detail="The window is over.")
    return max(window[0], now), window[1]


def place(
    session: Session, settings: Settings, job: Job, window: Window, technician_no: int | None = None
) -> list[Appointment]:
    """Finds where the visit costs least in the window, among all or with the given technician, and takes the time.
    Looks again where a calendar changed meanwhile. Gives back the other visits that it re-timed. Raises `SlotTaken`
    where nobody can keep the window."""
    zone = ZoneInfo(session.get_one(Territory, job.appointment.territory_id).time_zone)
    for _ in range(ATTEMPTS):
        chosen, range_ = technician_no, range_of([window], zone)
        if chosen is None:
            opening = _cheapest(session, settings, job, window, zone)
            chosen = opening.technician_no
            begins, ends = (
                datetime.fromtimestamp(at, UTC) for at in (opening.hours.start, opening.hours.end)
            )
            range_ = min(begins, range_[0]), max(ends, range_[1])
        try:
            with session.begin_nested():
                return _place_with(session, settings, job, window, chosen, range_)
        except CalendarMoved:
            session.expire_all()
            if technician_no is not None:
                break
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


def _place_with(
    session: Session, settings: Settings, job: Job, window: Window, technician_no: int, range_: Window
) -> list[Appointment]:
    """range_: what the technician's shift lies in. Raises `CalendarMoved` where there is no room any more."""
    day = _standing(session, settings, job, window, technician_no, range_)
    elsewhere = day.blocks.get(job.appointment.id)
    if elsewhere is not None and not is_routed(day, job.appointment.id):
        take_out(session, settings, job.appointment.organization_id, elsewhere)
        day = _standing(session, settings, job, window, technician_no, range_)
    wanted = job.windows_at_place([window])
    found = recommend(day.problem, day.plan, job.appointment.id, wanted)
    if not found.insertions:
        raise CalendarMoved
    plan, touched = with_visit(day, job.appointment.id, found.insertions[0], wanted)
    return [other for other in write_plan(session, day, plan, touched) if other.id != job.appointment.id]


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
        after = {"scheduled_start": visit.scheduled_start.isoformat().replace("+00:00", "Z")}
        record(session, visit.organization_id, visit.id, "appointment.retimed", now, by, after=after)


def keep(
    session: Session, settings: Settings, job: Job, window: Window, now: datetime, held: Job | None = None
) -> None:
    """Takes the time for a customer's window, for the visit or for what only holds it. Raises `SlotTaken` with the next
    best slots."""
    try:
        retimed = place(session, settings, held or job, ahead_of(window, now))
    except SlotTaken as error:
        others = alternatives(session, settings, job, window, now)
        raise SlotTaken(alternatives=[slot.told() for slot in others]) from error
    note_retimed(session, retimed, SYSTEM, now)


def alternatives(session: Session, settings: Settings, job: Job, window: Window, now: datetime) -> list[Slot]:
    """The best slots that still stand on the window's day and the two after it."""
    zone = ZoneInfo(session.get_one(Territory, job.appointment.territory_id).time_zone)
    first = window[0].astimezone(zone).date()
    days = [first + timedelta(days=offset) for offset in range(ALTERNATIVE_DAYS)]
    return list(best_slots(session, settings, job, days, zone, now, ALTERNATIVES))


def lock_visit(session: Session, appointment_id: str) -> Appointment | None:
    """The appointment, locked with its technician's calendar until the transaction ends. The calendar comes first, as
    for everybody who re-times the visits in it: two that change one calendar wait for each other, with no deadlock."""
    for _ in range(ATTEMPTS):
        seen = session.get(Appointment, appointment_id, populate_existing=True)
        if seen is None:
            return None
        technician_no = seen.technician_no
        if technician_no is not None:
            lock_calendar(session, technician_no)
        locked = session.get(Appointment, appointment_id, with_for_update=True, populate_existing=True)
        if locked is None or locked.technician_no in (None, technician_no):
            return locked
    raise CalendarMoved


def lock_calendar(session: Session, technician_no: int) -> Technician:
    """The technician as it is now, its calendar locked until the transaction ends."""
    return session.exec(
        select(Technician)
        .where(Technician.no == technician_no)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one()


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
