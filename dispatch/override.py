"""What a dispatcher decides against or beside the plan: a visit pinned, taken from its technician, opened again."""

from datetime import datetime

from sqlmodel import Session

from dispatch.appointment import ENDED, Appointment, Status
from dispatch.booking import give_back, supersede_offers
from dispatch.events import Actor, record
from dispatch.links import revoke_tracking
from dispatch.service_request import ServiceRequest
from dispatch.settings import Settings


def pin(session: Session, appointment: Appointment, by: Actor, now: datetime, *, time: bool) -> Appointment:
    """No plan gives the visit to another technician any more; with `time` none moves its start either. Raises
    `InvalidState` unless a technician is planned."""
    appointment.require(Status.SCHEDULED, Status.DISPATCHED)
    return _set_pin(session, appointment, True, time, "appointment.pinned", by, now)


def unpin(session: Session, appointment: Appointment, by: Actor, now: datetime) -> Appointment:
    """Plans may move it again. Raises `InvalidState` unless a technician is planned."""
    appointment.require(Status.SCHEDULED, Status.DISPATCHED)
    return _set_pin(session, appointment, False, False, "appointment.unpinned", by, now)


def _set_pin(
    session: Session, appointment: Appointment, pinned: bool, time: bool, event: str, by: Actor, now: datetime
) -> Appointment:
    before = {"pinned": appointment.pinned, "pinned_time": appointment.pinned_time}
    after = {"pinned": pinned, "pinned_time": time}
    if before == after:
        return appointment
    appointment.pinned, appointment.pinned_time = pinned, time
    appointment.version += 1
    session.add(appointment)
    record(
        session,
        appointment.organization_id,
        appointment.id,
        event,
        now,
        by,
        before=before,
        after=after,
    )
    session.flush()
    return appointment


def unassign(
    session: Session, settings: Settings, appointment: Appointment, by: Actor, now: datetime, reason: str
) -> Appointment:
    """Takes the visit from its technician, also under an offer, after acceptance or on the way; the promise to the
    customer stands. Raises `InvalidState`."""
    appointment.require(Status.SCHEDULED, Status.DISPATCHED, Status.EN_ROUTE)
    return _to_unassigned(session, settings, appointment, "appointment.unassigned", by, now, reason)


def reopen(
    session: Session,
    settings: Settings,
    appointment: Appointment,
    by: Actor,
    now: datetime,
    reason: str | None,
) -> Appointment:
    """A visit that has ended is to be made after all: unassigned, nothing promised. Raises `InvalidState`."""
    appointment.require(*ENDED)
    appointment.promise(None)
    appointment.actual_start = appointment.actual_end = None
    request = session.get_one(ServiceRequest, appointment.service_request_id)
    if request.cancelled_at is not None:
        request.cancelled_at = None
        request.version += 1
        session.add(request)
    return _to_unassigned(session, settings, appointment, "appointment.reopened", by, now, reason)


def _to_unassigned(
    session: Session,
    settings: Settings,
    appointment: Appointment,
    event: str,
    by: Actor,
    now: datetime,
    reason: str | None,
) -> Appointment:
    before = {"status": appointment.status.value}
    give_back(session, settings, appointment)
    supersede_offers(session, appointment, by, now)
    appointment.move(Status.UNASSIGNED)
    session.add(appointment)
    after = {"status": appointment.status.value}
    record(session, appointment.organization_id, appointment.id, event, now, by, reason, before, after)
    session.flush()
    return appointment


def close_tracking(session: Session, appointment: Appointment, by: Actor, now: datetime) -> Appointment:
    """The customer's link answers no more; a later promise opens a new one."""
    revoke_tracking(appointment)
    session.add(appointment)
    record(session, appointment.organization_id, appointment.id, "tracking.revoked", now, by)
    session.flush()
    return appointment
