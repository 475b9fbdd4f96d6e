"""Visits that will begin after their promised window, recorded as soon as it is known (`dispatch.expected` says when
each will begin): with the position or the step of its technician that shows it, and as time passes.

An event `appointment.late` says `expected_start`; `by_s` is how much that is past the window where the system foresees
it, and past what is planned where the technician says it."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session, col, select

from dispatch.appointment import HELD_BY_TECHNICIAN, UNDER_WAY, Appointment, Status
from dispatch.events import SYSTEM, Actor, Event, record
from dispatch.expected import Expected, expected_starts, overdue_technicians
from dispatch.instants import instant_told
from dispatch.settings import Settings

LATE = "appointment.late"
TELLING_CHANGE = timedelta(minutes=15)
"""A delay is noted again only if it changed by more."""


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


def notice(
    session: Session, settings: Settings, now: datetime, technician_nos: Collection[int] | None = None
) -> int:
    """Records `appointment.late` for each visit that will be late, and again once that has changed by more than a
    quarter of an hour. technician_nos: of these; by default of everybody who is on the way or at work, says to be late
    or may have to set out. Gives back how many."""
    numbers = _busy(session, now) if technician_nos is None else technician_nos
    late = [found for found in expected_starts(session, settings, numbers, now).values() if found.is_late]
    noted = sum(_note(session, found, now) for found in late)
    session.flush()
    return noted


def _busy(session: Session, now: datetime) -> list[int]:
    says_so = col(Appointment.expected_start).is_not(None) & col(Appointment.status).in_(HELD_BY_TECHNICIAN)
    query = select(Appointment.technician_no).where(
        col(Appointment.status).in_(UNDER_WAY) | says_so, col(Appointment.technician_no).is_not(None)
    )
    known = {no for no in session.exec(query) if no is not None}
    return sorted(known | set(overdue_technicians(session, now)))


def _note(session: Session, late: Expected, now: datetime) -> bool:
    appointment = session.exec(
        select(Appointment)
        .where(Appointment.id == late.appointment_id)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    ).first()
    if appointment is None or not _is_news(session, appointment, late.start):
        return False
    _record(session, appointment, late.start, late.late_by_s, SYSTEM, now)
    return True


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
        "expected_start": instant_told(expected_start),
        "by_s": by_s,
        "promise": appointment.promise_revision,
    }
    record(session, appointment.organization_id, appointment.id, LATE, now, by, after=after)
