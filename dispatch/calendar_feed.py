"""A technician's visits as an iCalendar feed (RFC 5545) to which a calendar program subscribes by a link of its own.

The link's token is derived as those of tracking links are (docs/decisions/0003); whoever has it sees when, what for and
roughly where, never an address or a name. Times are UTC: no program has to agree with us about changes of clocks."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from icalendar import Calendar, Event, vGeo
from sqlmodel import Field, Session, SQLModel, col, func, select

from dispatch import events
from dispatch.appointment import HELD_BY_TECHNICIAN, Appointment, Status
from dispatch.catalogue import Service
from dispatch.disclosure import neighbourhood
from dispatch.errors import NotFound
from dispatch.links import calendar_token, hashed
from dispatch.offer_terms import locality_of
from dispatch.organization import Organization
from dispatch.places import place_of
from dispatch.service_request import ServiceRequest
from dispatch.settings import Settings
from dispatch.technician import EngagementStatus, Kind, Technician, engagements_of, standing

BACK, AHEAD = timedelta(days=31), timedelta(days=366)
"""How far from now visits are shown."""
REFRESH = timedelta(minutes=15)
"""How often a program may well look again (RFC 7986)."""


class CalendarFeed(SQLModel, table=True):
    """token_hash: SHA-256 of the link's token, which is derived from the technician's id and revision; None once the
    link was taken back."""

    __tablename__ = "calendar_feed"

    technician_no: int = Field(foreign_key="technician.no", primary_key=True)
    revision: int = 1
    token_hash: str | None = Field(default=None, unique=True, max_length=64)
    created_at: datetime


# The link


def renew(session: Session, settings: Settings, technician: Technician, now: datetime) -> CalendarFeed:
    """A new link; the one before answers no more."""
    assert technician.no is not None
    feed = session.get(CalendarFeed, technician.no)
    if feed is None:
        feed = CalendarFeed(technician_no=technician.no, revision=0, created_at=now)
    feed.revision += 1
    feed.created_at = now
    feed.token_hash = hashed(calendar_token(settings, technician.id, feed.revision))
    session.add(feed)
    session.flush()
    return feed


def feed_of(session: Session, technician: Technician) -> CalendarFeed:
    """Raises `NotFound` as long as there is no link, and once it was taken back."""
    feed = session.get(CalendarFeed, technician.no)
    if feed is None or feed.token_hash is None:
        raise NotFound
    return feed


def take_back(session: Session, feed: CalendarFeed) -> None:
    """The link answers no more."""
    feed.token_hash = None
    session.add(feed)
    session.flush()


def feed_url(settings: Settings, technician: Technician, feed: CalendarFeed) -> str:
    return f"{settings.public_url}/v1/calendars/{calendar_token(settings, technician.id, feed.revision)}.ics"


def technician_by_token(session: Session, token: str) -> Technician:
    """Raises the same `NotFound` for a wrong and a renewed link, and while no organization lets the technician work."""
    query = select(Technician).where(
        CalendarFeed.technician_no == Technician.no, CalendarFeed.token_hash == hashed(token)
    )
    found = session.exec(query).first()
    if found is None or standing(engagements_of(session, found)) is not EngagementStatus.ACTIVE:
        raise NotFound
    return found


# What it shows


@dataclass(frozen=True, slots=True)
class _Visit:
    """zone: of the technician's wall. changed_at: of the latest event."""

    appointment: Appointment
    request: ServiceRequest
    service: str
    organization: str
    zone: ZoneInfo
    changed_at: datetime


def calendar_of(session: Session, settings: Settings, technician: Technician, now: datetime) -> bytes:
    """The technician's visits over all its organizations, as iCalendar; the same bytes as long as nothing changed. What
    was cancelled, or is planned with somebody else by now, is in it no more."""
    calendar = Calendar.new(
        uid=technician.id,
        name="Visits",
        description=f"The visits of {technician.first_name}",
        prodid="-//Dispatch//Visits//EN",
    )
    calendar.add("REFRESH-INTERVAL", REFRESH, {"VALUE": "DURATION"})
    kinds = {own.organization_id: own.kind for own in engagements_of(session, technician)}
    for visit in _visits(session, technician, now):
        calendar.add_component(_event(settings, visit, kinds[visit.appointment.organization_id]))
    content: bytes = calendar.to_ical()
    return content


def _visits(session: Session, technician: Technician, now: datetime) -> Iterable[_Visit]:
    query = (
        select(Appointment, ServiceRequest, Service.name, Organization.name)
        .join(ServiceRequest, col(ServiceRequest.id) == Appointment.service_request_id)
        .join(Service, col(Service.id) == ServiceRequest.service_id)
        .join(Organization, col(Organization.id) == Appointment.organization_id)
        .where(
            Appointment.technician_no == technician.no,
            Appointment.status != Status.CANCELLED,
            col(Appointment.scheduled_start).between(now - BACK, now + AHEAD),
        )
        .order_by(col(Appointment.scheduled_start), col(Appointment.id))
    )
    rows = session.exec(query).all()
    changed = _changes(session, [row[0].id for row in rows])
    zone = ZoneInfo(technician.time_zone)
    for appointment, request, service, organization in rows:
        at = changed.get(appointment.id, appointment.created_at)
        yield _Visit(appointment, request, service, organization, zone, at)


def _changes(session: Session, appointment_ids: Sequence[str]) -> dict[str, datetime]:
    query = (
        select(events.Event.subject_id, func.max(events.Event.at))
        .where(col(events.Event.subject_id).in_(appointment_ids))
        .group_by(events.Event.subject_id)
    )
    return dict(session.exec(query).all())


def _event(settings: Settings, visit: _Visit, kind: Kind) -> Event:
    """Keeps its UID for good. DTSTAMP: when it was last changed, so that the feed stays the same until then."""
    appointment, where = visit.appointment, neighbourhood(place_of(visit.request))
    locality = locality_of(visit.request.address)
    is_sure = appointment.status is not Status.SCHEDULED or not kind.is_asked
    event = Event()
    event.add("UID", appointment.id)
    event.add("SEQUENCE", appointment.version)
    event.add("DTSTAMP", visit.changed_at)
    event.add("LAST-MODIFIED", visit.changed_at)
    event.add("DTSTART", appointment.scheduled_start)
    event.add("DTEND", appointment.scheduled_end)
    event.add("SUMMARY", f"{visit.service} · {visit.organization}")
    if locality is not None:
        event.add("LOCATION", locality)
    event.add("GEO", vGeo((where.lat, where.lon)))
    event.add("STATUS", "CONFIRMED" if is_sure else "TENTATIVE")
    assert appointment.scheduled_start is not None
    day = appointment.scheduled_start.astimezone(visit.zone).date()
    link = f"{settings.public_url}/work/day?date={day}#visit-{appointment.id}"
    event.add("URL", link)
    event.add("DESCRIPTION", f"{_told(visit)}\n{link}")
    return event


def _told(visit: _Visit) -> str:
    appointment = visit.appointment
    begins, ends = appointment.window_start, appointment.window_end
    state = appointment.status.value.replace("_", " ")
    if begins is None or ends is None or appointment.status not in (Status.SCHEDULED, *HELD_BY_TECHNICIAN):
        return f"This visit is {state}."
    hours = f"{begins.astimezone(visit.zone):%H:%M} and {ends.astimezone(visit.zone):%H:%M}"
    return f"The customer expects somebody between {hours} ({visit.zone.key}). This visit is {state}."
