"""Which visits will begin after their promised window, as far as the plan and their technicians know: whoever is on the
way or at work, or says to be late, takes its delay along to what comes after. Breaks are not counted, so that a delay
may turn out longer and is told again.

An event `appointment.late` says `expected_start`; `by_s` is how much that is past the window where the system foresees
it, and past what is planned where the technician says it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from sqlmodel import Session, col, select

from dispatch.appointment import HELD_BY_TECHNICIAN, UNDER_WAY, Appointment, Status
from dispatch.catalogue import Service
from dispatch.events import SYSTEM, Actor, Event, record
from dispatch.service_request import ServiceRequest

LATE = "appointment.late"
LEAST_DELAY = timedelta(minutes=5)
"""Past the window: less is within what anybody can foresee."""
TELLING_CHANGE = timedelta(minutes=15)
"""A delay is noted again only if it changed by more."""
REACH = timedelta(hours=18)
"""So far ahead and back a day's visits are looked at."""


@dataclass(frozen=True, slots=True)
class _Stop:
    appointment: Appointment
    before: timedelta
    after: timedelta

    @property
    def lasts(self) -> timedelta:
        assert self.appointment.scheduled_start is not None
        assert self.appointment.scheduled_end is not None
        return self.appointment.scheduled_end - self.appointment.scheduled_start + self.after


def tell(session: Session, appointment: Appointment, by_s: int, by: Actor, now: datetime) -> None:
    """Its technician expects to begin by so many seconds later than planned; 0: as planned, after all. Saying again
    what stands changes nothing. Raises `InvalidState` before it has committed, and once it is there."""
    appointment.require(Status.DISPATCHED, Status.EN_ROUTE)
    assert appointment.scheduled_start is not None
    expected_start = appointment.scheduled_start + timedelta(seconds=by_s)
    if expected_start == (appointment.expected_start or appointment.scheduled_start):
        return
    appointment.expected_start = expected_start if by_s else None
    appointment.version += 1
    session.add(appointment)
    _record(session, appointment, expected_start, by_s, by, now)
    session.flush()


def notice(session: Session, now: datetime) -> int:
    """Records `appointment.late` for each visit that will be late, and again once that has changed by more than a
    quarter of an hour. Gives back how many."""
    noted = 0
    for appointment_id, expected_start in _late(session, now):
        appointment = session.exec(
            select(Appointment)
            .where(Appointment.id == appointment_id)
            .with_for_update(skip_locked=True)
            .execution_options(populate_existing=True)
        ).first()
        if appointment is not None and _is_news(session, appointment, expected_start):
            assert appointment.window_end is not None
            past_window_s = int((expected_start - appointment.window_end).total_seconds())
            _record(session, appointment, expected_start, past_window_s, SYSTEM, now)
            noted += 1
    session.flush()
    return noted


def _late(session: Session, now: datetime) -> list[tuple[str, datetime]]:
    return [
        (stop.appointment.id, expected_start)
        for _, stops in groupby(_stops(session, now), key=lambda stop: stop.appointment.technician_no)
        for stop, expected_start in _expected(session, list(stops), now)
        if stop.appointment.window_end is not None
        and expected_start > stop.appointment.window_end + LEAST_DELAY
    ]


def _stops(session: Session, now: datetime) -> Iterator[_Stop]:
    """Of everybody who is on the way or at work or says to be late, what is not done yet, in order."""
    says_so = col(Appointment.expected_start).is_not(None) & col(Appointment.status).in_(HELD_BY_TECHNICIAN)
    busy = select(Appointment.technician_no).where(col(Appointment.status).in_(UNDER_WAY) | says_so)
    query = (
        select(Appointment, Service.buffer_before_s, Service.buffer_after_s)
        .join(ServiceRequest, col(ServiceRequest.id) == Appointment.service_request_id)
        .join(Service, col(Service.id) == ServiceRequest.service_id)
        .where(
            col(Appointment.technician_no).in_(busy),
            col(Appointment.status).in_((Status.SCHEDULED, Status.DISPATCHED, *UNDER_WAY)),
            col(Appointment.scheduled_start).between(now - REACH, now + REACH),
        )
        .order_by(col(Appointment.technician_no), col(Appointment.scheduled_start))
    )
    for appointment, before_s, after_s in session.exec(query):
        yield _Stop(appointment, timedelta(seconds=before_s), timedelta(seconds=after_s))


def _expected(session: Session, stops: Sequence[_Stop], now: datetime) -> Iterator[tuple[_Stop, datetime]]:
    """When the work of each of a technician's visits that has not begun is expected to begin."""
    free_at: datetime | None = None
    for stop in stops:
        appointment = stop.appointment
        assert appointment.scheduled_start is not None
        if appointment.status is Status.ON_SITE:
            free_at = max(now, (appointment.actual_start or now) + stop.lasts)
            continue
        begins = max(appointment.scheduled_start, appointment.expected_start or appointment.scheduled_start)
        travel = timedelta(seconds=appointment.travel_s or 0) + stop.before
        if appointment.status is Status.EN_ROUTE:
            begins = max(begins, now, _set_off(session, appointment) + travel)
        elif free_at is not None:
            begins = max(begins, free_at + travel)
        free_at = begins + stop.lasts
        yield stop, begins


def _set_off(session: Session, appointment: Appointment) -> datetime:
    query = select(Event.at).where(
        Event.subject_id == appointment.id, Event.type == f"appointment.{Status.EN_ROUTE.value}"
    )
    found = session.exec(query.order_by(col(Event.at).desc()).limit(1)).first()
    return found or appointment.created_at


def _is_news(session: Session, appointment: Appointment, expected_start: datetime) -> bool:
    query = select(Event).where(Event.subject_id == appointment.id, Event.type == LATE)
    last = session.exec(query.order_by(col(Event.at).desc(), col(Event.id).desc()).limit(1)).first()
    if last is None or last.after is None or last.after.get("promise") != appointment.promise_revision:
        return True
    noted = datetime.fromisoformat(last.after["expected_start"])
    return abs(expected_start - noted) > TELLING_CHANGE


def _record(
    session: Session, appointment: Appointment, expected_start: datetime, by_s: int, by: Actor, now: datetime
) -> None:
    after: dict[str, Any] = {
        "expected_start": expected_start.isoformat().replace("+00:00", "Z"),
        "by_s": by_s,
        "promise": appointment.promise_revision,
    }
    record(session, appointment.organization_id, appointment.id, LATE, now, by, after=after)
