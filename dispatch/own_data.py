"""All that is kept about a technician, for itself to take away: directive (EU) 2024/2831, article 9(6), and the General
Data Protection Regulation, articles 15 and 20. Customers are in it no more than the technician may know of them now.

What customers and dispatchers write to each other is not about the technician and not in it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session, col, select

from dispatch.appointment import Appointment
from dispatch.catalogue import Service
from dispatch.decision import Decision, decisions_about
from dispatch.disclosure import is_disclosed, neighbourhood
from dispatch.earnings import Earning, earnings_between
from dispatch.feedback import Feedback
from dispatch.offer import Offer
from dispatch.places import Place, place_of
from dispatch.position import Position
from dispatch.profiles import Profile
from dispatch.rostering import MOST_DAYS
from dispatch.service_request import ServiceRequest
from dispatch.shift import Availability, Shift, WorkingTime, availability_of, entered_working_time


@dataclass(frozen=True, slots=True)
class OwnVisit:
    """A visit that is or was the technician's, where as it may know now, and how the customer rated it."""

    appointment: Appointment
    service: Service
    place: Place
    feedback: Feedback | None


@dataclass(frozen=True, slots=True)
class OwnData:
    """shifts: as entered; others follow from `availability`. All in order of time."""

    profile: Profile
    shifts: Sequence[WorkingTime]
    availability: Availability | None
    visits: Sequence[OwnVisit]
    offers: Sequence[Offer]
    decisions: Sequence[Decision]
    earnings: Sequence[Earning]
    positions: Sequence[Position]


def own_data(session: Session, profile: Profile, now: datetime) -> OwnData:
    """profile: the technician's own."""
    technician = profile.technician
    shifts = select(Shift).where(Shift.technician_no == technician.no).order_by(col(Shift.starts_at))
    offers = select(Offer).where(Offer.technician_no == technician.no)
    positions = select(Position).where(Position.technician_no == technician.no)
    return OwnData(
        profile=profile,
        shifts=[entered_working_time(shift) for shift in session.exec(shifts)],
        availability=availability_of(session, technician),
        visits=_visits(session, profile, now),
        offers=session.exec(offers.order_by(col(Offer.created_at), col(Offer.id))).all(),
        decisions=session.exec(
            decisions_about(technician).order_by(col(Decision.at), col(Decision.id))
        ).all(),
        earnings=_earnings(session, profile, now),
        positions=session.exec(positions.order_by(col(Position.recorded_at), col(Position.id))).all(),
    )


def _visits(session: Session, profile: Profile, now: datetime) -> list[OwnVisit]:
    kinds = {engagement.organization_id: engagement.kind for engagement in profile.engagements}
    query = (
        select(Appointment, ServiceRequest, Service, Feedback)
        .join(ServiceRequest, col(ServiceRequest.id) == Appointment.service_request_id)
        .join(Service, col(Service.id) == ServiceRequest.service_id)
        .outerjoin(Feedback, col(Feedback.appointment_id) == Appointment.id)
        .where(Appointment.technician_no == profile.technician.no)
        .order_by(col(Appointment.scheduled_start), col(Appointment.id))
    )
    visits = []
    for appointment, request, service, feedback in session.exec(query):
        place = place_of(request)
        if not is_disclosed(appointment, kinds[appointment.organization_id], now):
            place = neighbourhood(place)
        visits.append(OwnVisit(appointment, service, place, feedback))
    return visits


def _earnings(session: Session, profile: Profile, now: datetime) -> list[Earning]:
    """Of all days since the technician joined."""
    technician = profile.technician
    first, last = technician.today(technician.created_at), technician.today(now)
    found: list[Earning] = []
    while first <= last:
        until = min(last, first + timedelta(days=MOST_DAYS - 1))
        found += earnings_between(session, profile, first, until)
        first = until + timedelta(days=1)
    return found
