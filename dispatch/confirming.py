"""What a customer answers to a reminder: that somebody will be there, or another time. Whoever answers shows the
tracking link and a token of the reminder (`dispatch.links.Action`)."""

from datetime import datetime

from sqlmodel import Session

from dispatch import booking, slots
from dispatch.appointment import Appointment, Status
from dispatch.errors import AnswerOutdated
from dispatch.events import Actor, record
from dispatch.links import Action, permits
from dispatch.placing import lock_visit
from dispatch.planning import job_of
from dispatch.settings import Settings
from dispatch.slots import Slots
from dispatch.tracking import tracked_appointment

BEFORE_THE_VISIT = (Status.UNASSIGNED, Status.SCHEDULED, Status.DISPATCHED)
MOST_SLOTS = 12


def is_asked(appointment: Appointment, now: datetime) -> bool:
    """Whether it can be said of the visit that somebody will be there."""
    if appointment.window_end is None or now > appointment.window_end:
        return False
    return appointment.status in (*BEFORE_THE_VISIT, Status.EN_ROUTE)


def confirm_presence(
    session: Session, settings: Settings, tracking_token: str, token: str, by: Actor, now: datetime
) -> Appointment:
    """Notes that somebody will be there; to say it again changes nothing. Raises `NotFound` for the link,
    `AnswerOutdated` for a token that is not of the present promise, and `InvalidState`."""
    appointment = tracked_appointment(session, settings, tracking_token, now)
    session.refresh(appointment, with_for_update=True)
    _require_permit(settings, appointment, "confirm", token, now)
    appointment.require(*BEFORE_THE_VISIT, Status.EN_ROUTE)
    if appointment.customer_confirmed_at is not None:
        return appointment
    appointment.customer_confirmed_at = now
    appointment.version += 1
    session.add(appointment)
    record(
        session,
        appointment.organization_id,
        appointment.id,
        "appointment.confirmed_by_customer",
        now,
        by,
    )
    session.flush()
    return appointment


def other_times(
    session: Session, settings: Settings, tracking_token: str, token: str, now: datetime
) -> Slots:
    """The best slots of the next days. Raises as `confirm_presence`."""
    appointment = tracked_appointment(session, settings, tracking_token, now)
    _require_permit(settings, appointment, "move", token, now)
    appointment.require(*BEFORE_THE_VISIT)
    return slots.slots_for(session, settings, job_of(session, appointment), None, None, now, MOST_SLOTS)


def move_visit(
    session: Session,
    settings: Settings,
    tracking_token: str,
    token: str,
    slot_id: str,
    by: Actor,
    now: datetime,
) -> Appointment:
    """Reschedules the visit as its customer. Raises as `confirm_presence` and `booking.reschedule`."""
    seen = tracked_appointment(session, settings, tracking_token, now)
    appointment = lock_visit(session, seen.id) or seen
    _require_permit(settings, appointment, "move", token, now)
    return booking.reschedule(session, settings, appointment, slot_id, by, now)


def _require_permit(
    settings: Settings, appointment: Appointment, action: Action, token: str, now: datetime
) -> None:
    if not permits(settings, appointment, action, token, now):
        raise AnswerOutdated()
