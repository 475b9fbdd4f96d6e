"""Holds: a window is kept for one request for some minutes, by a block in the calendar of the technician whom it costs
least. Booking with the hold gives the time to the visit; else it is given back, at the latest when it expires."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import bindparam, func
from sqlmodel import Session, col, select

from dispatch.appointment import Appointment, Status, appointment_of
from dispatch.calendar import BlockKind, CalendarBlock, epoch
from dispatch.errors import Gone, Invalid, TooManyHolds, UnknownReference
from dispatch.events import Actor
from dispatch.hold import Hold
from dispatch.placing import keep, take_out
from dispatch.planning import Job, Window, job_of
from dispatch.service_request import ServiceRequest
from dispatch.settings import Settings
from dispatch.shift import local_day, working_times
from dispatch.slots import read_slot, window_of_slot
from dispatch.technician import Engagement, EngagementStatus, Technician
from dispatch.territory import Territory

MOST_HOLDS = 2
"""Of one request."""
PUBLIC_SHARE = 0.1
"""Of a day's working time that holds may take before customers get no more; the first of a day is always granted."""


class HoldExpired(Gone):
    """The time is somebody else's to take."""

    default_code = "hold_expired"
    default_detail = "This hold is over; ask for slots again."


def hold(
    session: Session, settings: Settings, request: ServiceRequest, slot_id: str, by: Actor, now: datetime
) -> Hold:
    """Keeps the slot's window for the request for `hold_s`, beside what it has already. Raises `InvalidState`,
    `InvalidSlot`, `SlotExpired`, `TooManyHolds`, and `SlotTaken` with alternatives."""
    appointment = appointment_of(session, request.id)
    appointment.require(Status.UNASSIGNED, Status.SCHEDULED, Status.DISPATCHED)
    window = read_slot(settings, appointment, slot_id, now)
    if len(_standing(session, request.id, now)) >= MOST_HOLDS:
        raise TooManyHolds()
    job = job_of(session, appointment)
    if by.role == "customer":
        _require_public_share(session, job, window)
    created = Hold(
        organization_id=request.organization_id,
        service_request_id=request.id,
        window_start=window[0],
        window_end=window[1],
        expires_at=now + timedelta(seconds=settings.hold_s),
        created_at=now,
    )
    session.add(created)
    session.flush()
    keep(session, settings, job, window, now, held=_held(job, created))
    return created


def _held(job: Job, hold: Hold) -> Job:
    """What takes the time: the same work, under the hold's id, in no table."""
    stand_in = Appointment(
        id=hold.id,
        organization_id=hold.organization_id,
        territory_id=job.appointment.territory_id,
        service_request_id=hold.service_request_id,
        created_at=hold.created_at,
    )
    return Job(stand_in, job.request, job.service, hold_id=hold.id)


def _standing(session: Session, request_id: str, now: datetime) -> list[Hold]:
    query = select(Hold).where(
        Hold.service_request_id == request_id, col(Hold.released_at).is_(None), col(Hold.expires_at) > now
    )
    return list(session.exec(query))


def _require_public_share(session: Session, job: Job, window: Window) -> None:
    """Raises `TooManyHolds` where other requests' holds with this one would take more than their share of the day. The
    territory is locked, before any calendar is: who asks meanwhile counts this one too."""
    own = select(Hold.id).where(Hold.service_request_id == job.request.id)
    locked = select(Territory).where(Territory.id == job.appointment.territory_id)
    territory = session.exec(locked.with_for_update(key_share=True)).one()
    zone = ZoneInfo(territory.time_zone)
    day = local_day(window[0].astimezone(zone).date(), zone)
    held_s = session.exec(
        select(func.coalesce(func.sum(CalendarBlock.busy_to - CalendarBlock.work_from), 0)).where(
            CalendarBlock.organization_id == territory.organization_id,
            CalendarBlock.kind == BlockKind.HOLD,
            col(CalendarBlock.hold_id).not_in(own),
            col(CalendarBlock.work_from) >= epoch(day[0]),
            col(CalendarBlock.work_from) < epoch(day[1]),
        )
    ).one()
    if held_s and held_s + job.service.at_place_s > PUBLIC_SHARE * _capacity_s(session, territory, day):
        raise TooManyHolds(detail="Others hold as much of that day as may be held; book, or try again soon.")


def _capacity_s(session: Session, territory: Territory, day: Window) -> float:
    """The working time of everyone whom the organization has engaged."""
    people = session.exec(
        select(Technician).where(
            Engagement.technician_no == Technician.no,
            Engagement.organization_id == territory.organization_id,
            Engagement.status == EngagementStatus.ACTIVE,
        )
    ).all()
    times = working_times(session, list(people), *day)
    return sum((time.ends_at - time.starts_at).total_seconds() for own in times.values() for time in own)


def chosen_window(
    session: Session,
    settings: Settings,
    appointment: Appointment,
    slot_id: str,
    hold_id: str | None,
    now: datetime,
) -> Window:
    """The window that a booking means. A hold of it is used up, whatever the age of the slot, and the request's other
    holds with it. Raises `InvalidSlot`, `SlotExpired`; for a hold `UnknownReference`, `Invalid`, `HoldExpired`."""
    if hold_id is None:
        window = read_slot(settings, appointment, slot_id, now)
    else:
        window = window_of_slot(settings, appointment, slot_id)
        _require_held(session, appointment, hold_id, window, now)
    release_all(session, settings, appointment.service_request_id, now)
    return window


def _require_held(
    session: Session, appointment: Appointment, hold_id: str, window: Window, now: datetime
) -> None:
    held = session.get(Hold, hold_id)
    if held is None or held.service_request_id != appointment.service_request_id:
        raise UnknownReference("hold_id")
    if held.released_at is not None or held.expires_at <= now:
        raise HoldExpired
    if (held.window_start, held.window_end) != window:
        raise Invalid(errors=[("hold_id", "holds another slot")])


def release(session: Session, settings: Settings, held: Hold, now: datetime) -> Hold:
    """Gives the time back. What was released stays so."""
    if held.released_at is not None:
        return held
    block = session.exec(select(CalendarBlock).where(CalendarBlock.hold_id == held.id)).first()
    if block is not None:
        take_out(session, settings, held.organization_id, block)
    held.released_at = now
    session.add(held)
    session.flush()
    return held


_HELD = select(Hold).where(
    Hold.service_request_id == bindparam("request_id"), col(Hold.released_at).is_(None)
)


def release_all(session: Session, settings: Settings, request_id: str, now: datetime) -> None:
    """Gives back whatever is held for the request."""
    for held in session.exec(_HELD, params={"request_id": request_id}).all():
        release(session, settings, held, now)


def expire_due(session: Session, settings: Settings, now: datetime, limit: int = 100) -> int:
    """Gives back what nobody booked in time, each once, after whatever downtime. Gives back how many."""
    query = (
        select(Hold)
        .where(col(Hold.released_at).is_(None), col(Hold.expires_at) <= now)
        .order_by(col(Hold.expires_at))
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    due = session.exec(query).all()
    for held in due:
        release(session, settings, held, now)
    return len(due)
