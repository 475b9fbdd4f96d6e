"""What a technician learns of a visit: where it is, for whom, and what the customer wrote, are a freelancer's or
partner's from its acceptance until shortly after the visit, an employee's as soon as it is planned. Before and after,
the neighbourhood does."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from dispatch.appointment import ENDED, HELD_BY_TECHNICIAN, Appointment, Status
from dispatch.day import DayRoute
from dispatch.places import Place
from dispatch.technician import Engagement, Kind

SHORTLY_AFTER = timedelta(hours=24)
NEIGHBOURHOOD_DECIMALS = 2
"""Of a degree: at most 0.8 km off, at every latitude."""


def neighbourhood(place: Place) -> Place:
    """Roughly where: degrees rounded to hundredths, no address."""
    return Place(round(place.lat, NEIGHBOURHOOD_DECIMALS), round(place.lon, NEIGHBOURHOOD_DECIMALS))


def is_disclosed(appointment: Appointment, kind: Kind, now: datetime) -> bool:
    """Whether its technician, engaged as `kind`, may know the address now."""
    if appointment.status in HELD_BY_TECHNICIAN:
        return True
    if appointment.status in ENDED:
        ended = appointment.actual_end or appointment.scheduled_end
        return ended is not None and now <= ended + SHORTLY_AFTER
    return appointment.status is Status.SCHEDULED and not kind.is_asked


def for_its_technician(route: DayRoute, engagements: Iterable[Engagement], now: datetime) -> DayRoute:
    """A technician's own day as it may see it. engagements: all of its own."""
    kinds = {engagement.organization_id: engagement.kind for engagement in engagements}
    stops = [
        stop
        if is_disclosed(stop.appointment, kinds[stop.appointment.organization_id], now)
        else replace(stop, place=neighbourhood(stop.place), customer_name=None, notes=None)
        for stop in route.stops
    ]
    return DayRoute(tuple(stops))
