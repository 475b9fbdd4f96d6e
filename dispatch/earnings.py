"""What technicians earned: the pay of the offers that they accepted, for visits that they completed. A visit's pay is
what was agreed, before taxes and expenses; nothing is kept back of it here, and nothing says that it was
transferred."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby
from zoneinfo import ZoneInfo

from sqlmodel import Session, col, select

from dispatch.appointment import Appointment, Status
from dispatch.catalogue import Service
from dispatch.offer import Offer, OfferStatus
from dispatch.organization import Organization
from dispatch.pay import PayItem, items_of, rates_over_time
from dispatch.profiles import Profile
from dispatch.rostering import require_range
from dispatch.service_request import ServiceRequest
from dispatch.shift import local_day

WEEK = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Earning:
    """What one visit brought, in minor units of the organization's currency. week: the Monday of its local week. items:
    add up to the pay."""

    appointment_id: str
    organization: Organization
    service_name: str
    completed_at: datetime
    week: date
    pay_cents: int
    items: tuple[PayItem, ...]


@dataclass(frozen=True, slots=True)
class Sum:
    """Of one organization's visits, over the range or over one of its weeks. additions and deductions: both from 0
    up."""

    organization: Organization
    visits: int
    additions_cents: int
    deductions_cents: int
    week: date | None = None

    @property
    def pay_cents(self) -> int:
        return self.additions_cents - self.deductions_cents


def earnings_between(session: Session, profile: Profile, first: date, last: date) -> list[Earning]:
    """For visits completed on the technician's local days from first to last, both included, in order of time; to an
    organization its own alone. A visit that was given back and accepted again counts once, as accepted last. Visits
    without an accepted offer, such as an employee's, are not paid by the visit. Raises `Invalid` as for shifts."""
    require_range(first, last)
    technician = profile.technician
    zone = ZoneInfo(technician.time_zone)
    query = (
        select(Appointment, Offer, Service.name)
        .join(Offer, col(Offer.appointment_id) == Appointment.id)
        .join(ServiceRequest, col(ServiceRequest.id) == Appointment.service_request_id)
        .join(Service, col(Service.id) == ServiceRequest.service_id)
        .where(Offer.technician_no == technician.no, Offer.status == OfferStatus.ACCEPTED)
        .where(Appointment.technician_no == technician.no, Appointment.status == Status.COMPLETED)
        .where(
            col(Appointment.actual_end) >= local_day(first, zone)[0],
            col(Appointment.actual_end) < local_day(last, zone)[1],
            col(Appointment.organization_id).in_(list(profile.organizations)),
        )
        .order_by(col(Offer.answered_at))
    )
    agreed = {visit.id: (visit, offer, service) for visit, offer, service in session.exec(query)}
    rates = {own.organization_id: rates_over_time(session, own) for own in profile.engagements}
    found = [
        Earning(
            appointment_id=visit.id,
            organization=profile.organizations[visit.organization_id],
            service_name=service,
            completed_at=visit.actual_end,
            week=_monday(visit.actual_end, zone),
            pay_cents=offer.pay_cents,
            items=tuple(items_of(offer, rates[visit.organization_id].at(offer.created_at))),
        )
        for visit, offer, service in agreed.values()
        if visit.actual_end is not None
    ]
    return sorted(found, key=lambda earning: (earning.completed_at, earning.appointment_id))


def _monday(instant: datetime, zone: ZoneInfo) -> date:
    day = instant.astimezone(zone).date()
    return day - timedelta(days=day.weekday())


def by_organization(earnings: Iterable[Earning]) -> list[Sum]:
    """Of all of them, in order of the organization's slug."""
    in_order = sorted(earnings, key=lambda earning: earning.organization.slug)
    return [_sum(list(own)) for _, own in groupby(in_order, key=lambda earning: earning.organization.slug)]


def by_week(earnings: Iterable[Earning]) -> list[Sum]:
    """Of each local week from Monday to Sunday and organization, in order."""

    def place(earning: Earning) -> tuple[date, str]:
        return earning.week, earning.organization.slug

    weeks = groupby(sorted(earnings, key=place), key=place)
    return [_sum(list(own), week) for (week, _), own in weeks]


def _sum(earnings: Sequence[Earning], week: date | None = None) -> Sum:
    parts = [item.cents for earning in earnings for item in earning.items]
    return Sum(
        organization=earnings[0].organization,
        visits=len(earnings),
        additions_cents=sum(part for part in parts if part > 0),
        deductions_cents=-sum(part for part in parts if part < 0),
        week=week,
    )


def totals(earnings: Iterable[Earning]) -> dict[str, int]:
    """Minor units by currency."""
    sums: dict[str, int] = {}
    for earning in earnings:
        currency = earning.organization.currency
        sums[currency] = sums.get(currency, 0) + earning.pay_cents
    return sums
