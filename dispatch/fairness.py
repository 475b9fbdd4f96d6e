"""How evenly work and pay fell on an organization's technicians, in all and by trade. It is told to people; nothing
that plans, ranks or offers reads it.

Hours are active: at the visit from arrival to end, and the travel to it as planned, also of visits that came to
nothing. Pay is what `earnings` says. Dates are the technician's own days, as for earnings.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlmodel import Session, col, select

from dispatch.appointment import Appointment, Status
from dispatch.catalogue import Service
from dispatch.earnings import earnings_between
from dispatch.keys import Principal
from dispatch.offer import Offer, OfferStatus
from dispatch.organization import Organization
from dispatch.planning import Window
from dispatch.profiles import Profile, Wish, find_profiles
from dispatch.rostering import require_range
from dispatch.service_request import ServiceRequest
from dispatch.shift import local_day
from dispatch.technician import EngagementStatus, Kind

ANY_TRADE = "any"
"""Of services that need no skill."""


@dataclass(frozen=True, slots=True)
class Share:
    """What one technician had. offers_accepted: of those received in the time, and not given back since."""

    technician_id: str
    technician_name: str
    kind: Kind
    visits: int = 0
    visit_s: int = 0
    travel_s: int = 0
    pay_cents: int = 0
    offers_received: int = 0
    offers_accepted: int = 0

    @property
    def active_s(self) -> int:
        return self.visit_s + self.travel_s

    @property
    def pay_per_active_hour_cents(self) -> int | None:
        """None for employees, who are not paid by the visit, and who was not active."""
        if not self.kind.is_asked or self.active_s == 0:
            return None
        return round(self.pay_cents * 3600 / self.active_s)

    @property
    def is_empty(self) -> bool:
        return not (self.visits or self.offers_received)


@dataclass(frozen=True, slots=True)
class Distribution:
    """shares: of everybody who works for the organization or did, by name; in a trade, of those who are verified for it
    or did it."""

    shares: tuple[Share, ...]

    @property
    def gini_of_hours(self) -> float | None:
        """Over the active hours of all."""
        return gini([share.active_s for share in self.shares])

    @property
    def gini_of_pay(self) -> float | None:
        """Over those who are paid by the visit."""
        return gini([share.pay_cents for share in self.shares if share.kind.is_asked])


@dataclass(frozen=True, slots=True)
class Fairness:
    """Of the days from first to last, both included. trades: by a service's first required skill."""

    organization: Organization
    first: date
    last: date
    total: Distribution
    trades: dict[str, Distribution]


def gini(values: Sequence[int]) -> float | None:
    """The Gini coefficient: the mean difference between two of the values, by twice their mean. 0 where all are equal,
    (n - 1) / n where one of n has everything; None where nobody has anything. Values are not negative."""
    total, n = sum(values), len(values)
    if total == 0:
        return None
    ranked = sum((2 * rank - n - 1) * value for rank, value in enumerate(sorted(values), 1))
    return ranked / (n * total)


def fairness_between(
    session: Session, organization: Organization, first: date, last: date, now: datetime
) -> Fairness:
    """Raises `Invalid` for a range that is reversed or longer than 92 days."""
    require_range(first, last)
    reader = Principal("dispatcher", organization_id=organization.id)
    by_trade: dict[str, list[Share]] = defaultdict(list)
    all_trades = _trades(session, organization.id)
    total = []
    for profile in find_profiles(session, reader, Wish(), now):
        shares = _shares(session, profile, first, last)
        whole = _sum(_nothing(profile), shares.values())
        if profile.engagement.status is EngagementStatus.ACTIVE or not whole.is_empty:
            total.append(whole)
            able = all_trades & (profile.engagement.verified_skills.keys() | {ANY_TRADE})
            for trade in shares.keys() | able:
                by_trade[trade].append(shares.get(trade, _nothing(profile)))
    trades = {trade: Distribution(tuple(by_trade[trade])) for trade in sorted(by_trade)}
    return Fairness(organization, first, last, Distribution(tuple(total)), trades)


def trade_of(service: Service) -> str:
    """The first skill that it needs."""
    return next(iter(service.required_skills), ANY_TRADE)


def _trades(session: Session, organization_id: str) -> set[str]:
    return {
        trade_of(service)
        for service in session.exec(select(Service).where(Service.organization_id == organization_id))
    }


def _nothing(profile: Profile) -> Share:
    return Share(profile.technician.id, profile.technician.name, profile.engagement.kind)


def _sum(start: Share, shares: Iterable[Share]) -> Share:
    figures = [name for name in Share.__slots__ if isinstance(getattr(start, name), int)]
    added = list(shares)
    return replace(start, **{name: sum(getattr(share, name) for share in added) for name in figures})


def _shares(session: Session, profile: Profile, first: date, last: date) -> dict[str, Share]:
    """By trade, of trades in which there was something."""
    paid = {e.appointment_id: e.pay_cents for e in earnings_between(session, profile, first, last)}
    shares: dict[str, list[Share]] = defaultdict(list)
    nothing = _nothing(profile)
    zone = ZoneInfo(profile.technician.time_zone)
    days = local_day(first, zone)[0], local_day(last, zone)[1]
    for visit, service in session.exec(_visits(profile, days)):
        shares[trade_of(service)].append(_of_visit(nothing, visit, paid.get(visit.id, 0)))
    for offer, service in session.exec(_offers(profile, days)):
        accepted = int(offer.status is OfferStatus.ACCEPTED)
        shares[trade_of(service)].append(replace(nothing, offers_received=1, offers_accepted=accepted))
    return {trade: _sum(nothing, found) for trade, found in shares.items()}


def _of_visit(nothing: Share, visit: Appointment, pay_cents: int) -> Share:
    assert visit.actual_end is not None
    begins = visit.actual_start or visit.actual_end
    visit_s = max(0, int((visit.actual_end - begins).total_seconds()))
    return replace(nothing, visits=1, visit_s=visit_s, travel_s=visit.travel_s or 0, pay_cents=pay_cents)


def _visits(profile: Profile, days: Window) -> Any:
    return (
        select(Appointment, Service)
        .where(ServiceRequest.id == Appointment.service_request_id, Service.id == ServiceRequest.service_id)
        .where(Appointment.technician_no == profile.technician.no)
        .where(Appointment.organization_id == profile.engagement.organization_id)
        .where(col(Appointment.status).in_([Status.COMPLETED, Status.CANNOT_COMPLETE]))
        .where(col(Appointment.actual_end) >= days[0], col(Appointment.actual_end) < days[1])
    )


def _offers(profile: Profile, days: Window) -> Any:
    return (
        select(Offer, Service)
        .where(Appointment.id == Offer.appointment_id, ServiceRequest.id == Appointment.service_request_id)
        .where(Service.id == ServiceRequest.service_id)
        .where(Offer.technician_no == profile.technician.no)
        .where(Offer.organization_id == profile.engagement.organization_id)
        .where(col(Offer.created_at) >= days[0], col(Offer.created_at) < days[1])
    )
