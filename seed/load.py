"""Puts calls and freelancers into an organization's tables, with the territory and the services that they
need.

Everything is known again by a name of its own (a call by its external id, a service by its name, a freelancer
by its e-mail address, a shift by its hours), so that loading twice creates nothing twice.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import Engine
from sqlmodel import Session, col, select

from dispatch.catalogue import Service, services
from dispatch.database import transaction
from dispatch.errors import OutsideTerritories
from dispatch.events import Actor
from dispatch.intake import NewCustomer, NewRequest, register
from dispatch.organization import Organization
from dispatch.places import Place
from dispatch.service_request import Priority, ServiceRequest, Source
from dispatch.shift import Shift, add_shift, set_availability
from dispatch.technician import Engagement, EngagementStatus, Kind, Technician, TechnicianSkill
from dispatch.territory import Territory, add_territory, territories
from seed.calls import NEW_YORK, Call
from seed.city import Freelancer
from seed.nyc311 import EAST, NORTH, SOUTH, WEST
from seed.trades import Service as TradeService

CALLS_AT_A_TIME = 100
"""In a transaction: others may write in between, and little is lost when the loading is stopped."""

WINDOW_S, EMERGENCY_WINDOW_S = 7_200, 3_600
"""How long the arrival windows of services last, and of those for emergencies."""

Item = TypeVar("Item")


@dataclass(slots=True)
class LoadedCalls:
    """What came of calls, by their ids: new in the tables, there before, or refused with a reason."""

    created: list[str] = field(default_factory=list)
    known: list[str] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)


def ensure_territory(session: Session, organization: Organization, now: datetime) -> None:
    """An organization without any territory gets the city's bounding box."""
    if territories(session, organization.id):
        return
    corners = [[WEST, SOUTH], [EAST, SOUTH], [EAST, NORTH], [WEST, NORTH], [WEST, SOUTH]]
    area = {"type": "Polygon", "coordinates": [corners]}
    add_territory(
        session,
        Territory(
            organization_id=organization.id,
            name="New York City",
            time_zone=NEW_YORK.key,
            area=area,
            created_at=now,
        ),
    )


def ensure_services(
    session: Session, organization: Organization, needed: Iterable[TradeService], now: datetime
) -> dict[str, str]:
    """The ids of the services by their key; those that the organization lacks, by name, are added."""
    known = {service.name: service for service in services(session, organization.id)}
    for trade_service in needed:
        if trade_service.name not in known:
            known[trade_service.name] = _service(organization, trade_service, now)
            session.add(known[trade_service.name])
    session.flush()
    return {trade_service.key: known[trade_service.name].id for trade_service in needed}


def _service(organization: Organization, service: TradeService, now: datetime) -> Service:
    is_emergency = service.priority is Priority.EMERGENCY
    return Service(
        organization_id=organization.id,
        name=service.name,
        duration_s=service.duration_s,
        required_skills={service.skill: service.min_level},
        price_cents=service.price_cents,
        created_at=now,
        arrival_window_s=EMERGENCY_WINDOW_S if is_emergency else WINDOW_S,
    )


def _batches(items: Sequence[Item], size: int) -> Iterator[list[Item]]:
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch


def load_calls(
    engine: Engine, organization: Organization, calls: Sequence[Call], by: Actor, now: datetime
) -> LoadedCalls:
    """Registers each call whose id is not the external id of a request yet, in the order given. What lies
    outside the organization's territories is refused."""
    needed = list({call.service.key: call.service for call in calls}.values())
    with transaction(engine) as session:
        ensure_territory(session, organization, now)
        service_ids = ensure_services(session, organization, needed, now)
    loaded = LoadedCalls()
    for batch in _batches(calls, CALLS_AT_A_TIME):
        with transaction(engine) as session:
            _load_batch(session, organization.id, batch, service_ids, by, now, loaded)
    return loaded


def _load_batch(
    session: Session,
    organization_id: str,
    calls: Sequence[Call],
    service_ids: dict[str, str],
    by: Actor,
    now: datetime,
    loaded: LoadedCalls,
) -> None:
    known = set(
        session.exec(
            select(ServiceRequest.external_id).where(
                ServiceRequest.organization_id == organization_id,
                col(ServiceRequest.external_id).in_([call.id for call in calls]),
            )
        )
    )
    for call in calls:
        if call.id in known:
            loaded.known.append(call.id)
            continue
        try:
            register(session, organization_id, _request(call, service_ids[call.service.key]), by, now)
        except OutsideTerritories as error:
            loaded.refused.append((call.id, error.detail))
        else:
            loaded.created.append(call.id)


def _request(call: Call, service_id: str) -> NewRequest:
    return NewRequest(
        service_id=service_id,
        customer=NewCustomer(name=call.customer_name, phone=call.customer_phone),
        place=Place(call.lat, call.lon, call.address),
        priority=call.service.priority,
        earliest_start=call.earliest_start,
        due=call.due,
        source=Source.PHONE,
        external_id=call.id,
    )


def load_freelancers(
    engine: Engine, organization: Organization, freelancers: Sequence[Freelancer], now: datetime
) -> int:
    """Engages those whom the organization does not know yet, approved and with their skills verified, and
    enters the shifts that are not there yet. Gives back how many shifts are new. A shift ends at home,
    also for whom the generated day leaves the end open: dispatch has no open ends."""
    with transaction(engine) as session:
        query = select(Technician).where(
            Engagement.technician_no == Technician.no, Engagement.organization_id == organization.id
        )
        known = {technician.email: technician for technician in session.exec(query)}
        entered = 0
        for freelancer in freelancers:
            technician = known.get(freelancer.email) or _engage(session, organization, freelancer, now)
            entered += _enter_shift(session, technician, freelancer, now)
        return entered


def _engage(
    session: Session, organization: Organization, freelancer: Freelancer, now: datetime
) -> Technician:
    technician = Technician(
        name=freelancer.name,
        phone=freelancer.phone,
        email=freelancer.email,
        lat=freelancer.lat,
        lon=freelancer.lon,
        address=freelancer.address,
        max_travel_m=freelancer.radius_m,
        time_zone=NEW_YORK.key,
        created_at=now,
    )
    session.add(technician)
    session.flush()
    assert technician.no is not None
    for skill, level in freelancer.skills.items():
        session.add(TechnicianSkill(technician_no=technician.no, skill=skill, level=level))
    session.add(
        Engagement(
            technician_no=technician.no,
            organization_id=organization.id,
            status=EngagementStatus.ACTIVE,
            kind=Kind.FREELANCER,
            pay_per_hour_cents=freelancer.cents_per_h,
            pay_per_visit_cents=freelancer.cents_per_visit,
            pay_per_km_cents=freelancer.cents_per_km,
            verified_skills=dict(freelancer.skills),
            created_at=now,
        )
    )
    set_availability(session, technician, _every_day(freelancer), [], now)
    return technician


def _every_day(freelancer: Freelancer) -> list[dict[str, Any]]:
    """The hours of the generated day, on every day of the week, so that other days can be booked as well."""
    begin, end = (f"{at.astimezone(NEW_YORK):%H:%M}" for at in (freelancer.starts_at, freelancer.ends_at))
    return [{"weekday": weekday, "from": begin, "to": end} for weekday in range(1, 8)]


def _enter_shift(session: Session, technician: Technician, freelancer: Freelancer, now: datetime) -> bool:
    """Whether it is new; what overlaps a shift of the technician stays out."""
    assert technician.no is not None
    query = select(Shift).where(
        Shift.technician_no == technician.no,
        col(Shift.starts_at) < freelancer.ends_at,
        col(Shift.ends_at) > freelancer.starts_at,
    )
    if session.exec(query).first() is not None:
        return False
    lunch = freelancer.lunch
    breaks = (
        []
        if lunch is None
        else [
            {
                "earliest_start": lunch.earliest_start.isoformat(),
                "latest_end": lunch.latest_end.isoformat(),
                "duration_s": lunch.duration_s,
            }
        ]
    )
    add_shift(
        session,
        technician,
        Shift(
            technician_no=technician.no,
            starts_at=freelancer.starts_at,
            ends_at=freelancer.ends_at,
            breaks=breaks,
            created_at=now,
        ),
    )
    return True
