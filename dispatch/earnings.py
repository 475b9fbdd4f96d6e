"""What technicians earned: the pay of the offers that they accepted, for visits that they completed."""

from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from sqlmodel import Session, col, select

from dispatch.appointment import Appointment, Status
from dispatch.offer import Offer, OfferStatus
from dispatch.profiles import Profile
from dispatch.rostering import require_range
from dispatch.shift import local_day


@dataclass(frozen=True, slots=True)
class Earning:
    """What one visit brought, in minor units of the organization's currency."""

    appointment_id: str
    organization: str
    completed_at: datetime
    pay_cents: int
    currency: str


def earnings_between(session: Session, profile: Profile, first: date, last: date) -> list[Earning]:
    """For visits completed on the technician's local days from first to last, both included, in order of time; to an
    organization its own alone. A visit that was given back and accepted again counts once, as accepted last. Visits
    without an accepted offer, such as an employee's, are not paid by the visit. Raises `Invalid` as for shifts."""
    require_range(first, last)
    technician = profile.technician
    zone = ZoneInfo(technician.time_zone)
    query = (
        select(Appointment, Offer)
        .where(
            Offer.appointment_id == Appointment.id,
            Offer.technician_no == technician.no,
            Offer.status == OfferStatus.ACCEPTED,
        )
        .where(Appointment.technician_no == technician.no, Appointment.status == Status.COMPLETED)
        .where(
            col(Appointment.actual_end) >= local_day(first, zone)[0],
            col(Appointment.actual_end) < local_day(last, zone)[1],
            col(Appointment.organization_id).in_(list(profile.organizations)),
        )
        .order_by(col(Offer.answered_at))
    )
    agreed = {visit.id: (visit, offer) for visit, offer in session.exec(query)}
    found = [_earning(profile, visit, offer) for visit, offer in agreed.values()]
    return sorted(found, key=lambda earning: (earning.completed_at, earning.appointment_id))


def _earning(profile: Profile, visit: Appointment, offer: Offer) -> Earning:
    organization = profile.organizations[visit.organization_id]
    assert visit.actual_end is not None
    return Earning(visit.id, organization.slug, visit.actual_end, offer.pay_cents, organization.currency)


def totals(earnings: list[Earning]) -> dict[str, int]:
    """Minor units by currency."""
    sums: dict[str, int] = {}
    for earning in earnings:
        sums[earning.currency] = sums.get(earning.currency, 0) + earning.pay_cents
    return sums
