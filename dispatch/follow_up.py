"""A visit that another one has to follow: a part is missing, the customer was away, the work goes on."""

from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session, col, select

from dispatch.appointment import Appointment, Status, appointment_of
from dispatch.events import Actor, record
from dispatch.intake import open_request
from dispatch.service_request import LONGEST_NOTES, ServiceRequest, Source

FOLLOWED = "appointment.follow_up"


@dataclass(frozen=True, slots=True)
class FollowUp:
    """Why somebody has to come again, not before when, and what to know then."""

    reason: str
    earliest_start: datetime | None = None
    note: str | None = None


def follow_up(
    session: Session, appointment: Appointment, wanted: FollowUp, by: Actor, now: datetime
) -> tuple[ServiceRequest, Appointment, bool]:
    """A new request of the same customer for the same service at the same place, its appointment, and whether they are
    new: as long as the one that was asked for stands, asking again gives back that one. Its notes say why, then what
    was known before. Raises `InvalidState` before the visit has ended."""
    appointment.require(Status.COMPLETED, Status.CANNOT_COMPLETE)
    former = session.get_one(ServiceRequest, appointment.service_request_id)
    standing = _standing(session, former)
    if standing is not None:
        return standing, appointment_of(session, standing.id), False
    notes = "\n\n".join(part for part in (wanted.reason, wanted.note, former.notes) if part)
    request = ServiceRequest(
        organization_id=former.organization_id,
        territory_id=former.territory_id,
        service_id=former.service_id,
        customer_id=former.customer_id,
        lat=former.lat,
        lon=former.lon,
        address=former.address,
        notes=notes[:LONGEST_NOTES],
        priority=former.priority,
        earliest_start=wanted.earliest_start,
        preferred_technician_no=former.preferred_technician_no,
        source=Source.API,
        follow_up_of=former.id,
        created_at=now,
    )
    following = open_request(session, request, by, now)
    after = {"service_request_id": request.id}
    record(session, former.organization_id, appointment.id, FOLLOWED, now, by, wanted.reason, after=after)
    session.flush()
    return request, following, True


def _standing(session: Session, former: ServiceRequest) -> ServiceRequest | None:
    query = select(ServiceRequest).where(
        ServiceRequest.follow_up_of == former.id, col(ServiceRequest.cancelled_at).is_(None)
    )
    return session.exec(query.order_by(col(ServiceRequest.id))).first()
