"""What anyone with a tracking link sees of one visit, and nothing else of anyone."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from sqlalchemy import func
from sqlmodel import Session, col, select

from dispatch.appointment import ENDED, HELD_BY_TECHNICIAN, UNDER_WAY, Appointment, Status
from dispatch.catalogue import Service
from dispatch.errors import Conflict, InvalidState, NotFound
from dispatch.events import Actor, events_of, record
from dispatch.expected import expected_starts
from dispatch.feedback import Feedback, rating_of
from dispatch.links import appointment_by_token
from dispatch.message import can_be_spoken_about
from dispatch.organization import Organization
from dispatch.places import Place
from dispatch.position import fresh_positions
from dispatch.service_request import ServiceRequest
from dispatch.settings import Settings
from dispatch.shift import LONGEST_DERIVED, local_day, working_times
from dispatch.technician import Technician
from dispatch.territory import Territory

ETA_MARGIN = timedelta(minutes=10)
"""Told around the estimate, to both sides."""
VIEW_LASTS_S = 30
"""An estimate moves on with the time, and so does what is left of a position's freshness."""

_STATUSES = frozenset(status.value for status in Status)
_SHOWN_AS = {
    "booked": "scheduled",
    "rescheduled": "scheduled",
    "released": "unassigned",
    "reopened": "unassigned",
}

Can = Literal["message", "rate"]
Interval = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class TimelineStep:
    status: str
    at: datetime


@dataclass(frozen=True, slots=True)
class ShownTechnician:
    first_name: str
    rating: float | None
    vehicle: str | None


@dataclass(frozen=True, slots=True)
class TrackingView:
    """The public view. eta: on the day only. position: only while the technician is on the way to this customer."""

    status: Status
    timeline: tuple[TimelineStep, ...]
    time_zone: str
    service_name: str
    organization_name: str
    arrival_window: Interval | None
    eta: Interval | None
    stops_before: int | None
    technician: ShownTechnician | None
    position: Place | None
    can: tuple[Can, ...]


def tracked_appointment(session: Session, settings: Settings, token: str, now: datetime) -> Appointment:
    """Raises the same `NotFound` for a wrong, a revoked and an expired link."""
    appointment = appointment_by_token(session, token)
    if appointment is None or appointment.tracking_revoked or _expired(settings, appointment, now):
        raise NotFound()
    return appointment


def _expired(settings: Settings, appointment: Appointment, now: datetime) -> bool:
    over = appointment.actual_end or appointment.window_end
    return over is not None and now > over + timedelta(seconds=settings.tracking_ttl_s)


def public_view(session: Session, settings: Settings, token: str, now: datetime) -> TrackingView:
    """What the link shows at this moment. Raises `NotFound`."""
    appointment = tracked_appointment(session, settings, token, now)
    request = session.get_one(ServiceRequest, appointment.service_request_id)
    zone = ZoneInfo(session.get_one(Territory, appointment.territory_id).time_zone)
    technician = _technician(session, appointment)
    position = _position(session, appointment, now)
    is_ahead = appointment.status not in (*ENDED, Status.ON_SITE)
    return TrackingView(
        status=appointment.status,
        timeline=_timeline(session, appointment),
        time_zone=zone.key,
        service_name=session.get_one(Service, request.service_id).name,
        organization_name=session.get_one(Organization, appointment.organization_id).name,
        arrival_window=_interval(appointment),
        eta=_eta(session, settings, appointment, zone, now) if is_ahead else None,
        stops_before=_stops_before(session, appointment, zone) if is_ahead else None,
        technician=technician,
        position=position,
        can=_can(session, appointment),
    )


def view_version(session: Session, settings: Settings, token: str, now: datetime) -> tuple[object, ...]:
    """What the view depends on, cheap to read: while it stays the same for `VIEW_LASTS_S`, so does the view. What a
    technician or a company is called is looked at anew after that time only. Raises `NotFound`."""
    appointment = tracked_appointment(session, settings, token, now)
    lately = int(now.timestamp()) // VIEW_LASTS_S
    start, no = appointment.scheduled_start, appointment.technician_no
    if start is None or no is None:
        return lately, appointment.version
    position = fresh_positions(session, [no], now).get(no)
    query = select(Appointment.id, Appointment.version).where(
        Appointment.technician_no == no,
        col(Appointment.scheduled_start).between(start - LONGEST_DERIVED, start),
    )
    before = session.exec(query.order_by(col(Appointment.id))).all()
    return lately, appointment.version, position.id if position else None, *map(tuple, before)


def _interval(appointment: Appointment) -> Interval | None:
    if appointment.window_start is None or appointment.window_end is None:
        return None
    return appointment.window_start, appointment.window_end


def _timeline(session: Session, appointment: Appointment) -> tuple[TimelineStep, ...]:
    """The states it went through, without who and why."""
    steps: list[TimelineStep] = []
    for event in events_of(session, appointment.id):
        name = event.type.removeprefix("appointment.")
        shown = _SHOWN_AS.get(name, name)
        if shown in _STATUSES and (not steps or steps[-1].status != shown):
            steps.append(TimelineStep(shown, event.at))
    return tuple(steps)


def _technician(session: Session, appointment: Appointment) -> ShownTechnician | None:
    if appointment.technician_no is None or appointment.status not in (*HELD_BY_TECHNICIAN, Status.COMPLETED):
        return None
    technician = session.exec(select(Technician).where(Technician.no == appointment.technician_no)).one()
    rating = rating_of(session, appointment.organization_id, appointment.technician_no)
    return ShownTechnician(technician.first_name, rating, technician.vehicle)


def _position(session: Session, appointment: Appointment, now: datetime) -> Place | None:
    if appointment.status is not Status.EN_ROUTE or appointment.technician_no is None:
        return None
    no = appointment.technician_no
    latest = fresh_positions(session, [no], now).get(no)
    return Place(latest.lat, latest.lon) if latest is not None else None


def _eta(
    session: Session, settings: Settings, appointment: Appointment, zone: ZoneInfo, now: datetime
) -> Interval | None:
    """Around what is expected of the day as it runs; on the day only. In whole minutes: nobody knows better."""
    planned, no = appointment.scheduled_start, appointment.technician_no
    if planned is None or no is None or planned.astimezone(zone).date() != now.astimezone(zone).date():
        return None
    found = expected_starts(session, settings, [no], now).get(appointment.id)
    expected = max(now, found.start if found else max(planned, appointment.expected_start or planned))
    earliest = max(now, min(expected, appointment.window_start or now))
    return _minute(max(earliest, expected - ETA_MARGIN)), _minute(expected + ETA_MARGIN)


def _minute(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)


def expected_arrival(
    session: Session, settings: Settings, appointment: Appointment, now: datetime
) -> Interval | None:
    """Between when and when the technician is expected, as the link shows it; None where it would show nothing."""
    zone = ZoneInfo(session.get_one(Territory, appointment.territory_id).time_zone)
    return _eta(session, settings, appointment, zone, now)


def _stops_before(session: Session, appointment: Appointment, zone: ZoneInfo) -> int | None:
    """How many visits of the same shift the technician has not ended before this one, over all its organizations."""
    start = appointment.scheduled_start
    if appointment.technician_no is None or start is None:
        return None
    technician = session.exec(select(Technician).where(Technician.no == appointment.technician_no)).one()
    shifts = working_times(session, [technician], start, start + timedelta(seconds=1))[
        appointment.technician_no
    ]
    since = shifts[0].starts_at if shifts else local_day(start.astimezone(zone).date(), zone)[0]
    query = select(func.count()).where(
        Appointment.technician_no == appointment.technician_no,
        col(Appointment.status).in_((Status.SCHEDULED, Status.DISPATCHED, *UNDER_WAY)),
        col(Appointment.scheduled_start).between(since, start),
        Appointment.id != appointment.id,
    )
    return session.exec(query).one()


def _can(session: Session, appointment: Appointment) -> tuple[Can, ...]:
    can: list[Can] = ["message"] if can_be_spoken_about(appointment) else []
    if appointment.status is Status.COMPLETED and session.get(Feedback, appointment.id) is None:
        can.append("rate")
    return tuple(can)


def give_feedback(
    session: Session, settings: Settings, token: str, feedback: Feedback, by: Actor, now: datetime
) -> Feedback:
    """Keeps what the customer says, once, after the visit. Raises `NotFound`, `InvalidState`, `Conflict`."""
    appointment = tracked_appointment(session, settings, token, now)
    session.refresh(appointment, with_for_update=True)
    if appointment.status is not Status.COMPLETED:
        raise InvalidState(appointment.status.value, [Status.COMPLETED.value])
    if session.get(Feedback, appointment.id) is not None:
        raise Conflict("feedback_given", "This visit has been rated already; thank you.")
    feedback.appointment_id, feedback.organization_id = appointment.id, appointment.organization_id
    appointment.version += 1
    session.add_all([feedback, appointment])
    record(session, appointment.organization_id, appointment.id, "feedback.received", now, by)
    session.flush()
    return feedback
