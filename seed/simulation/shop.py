"""The organization of the simulated day, set up as its owner would: services, territory and everybody who works, over
the API. Only the organization and its first key come from the command line's verbs."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine

from dispatch import keys
from dispatch.database import transaction
from dispatch.organization import create_organization
from dispatch.service_request import Priority
from seed.calls import NEW_YORK
from seed.city import Day, Freelancer
from seed.load import EMERGENCY_WINDOW_S, WINDOW_S
from seed.nyc311 import EAST, NORTH, SOUTH, WEST
from seed.simulation.api_client import ApiClient
from seed.simulation.clock import Clock
from seed.trades import Service

SLUG = "simulation"
NOTICE_S = {Priority.EMERGENCY: 900, Priority.HIGH: 1_800}
LEAST_NOTICE_S = 3_600
"""How long before a window customers may book it: these, else the last."""


@dataclass(frozen=True, slots=True)
class Shop:
    """keys: of the technicians, by the freelancer's id. technicians: their ids, likewise. services: ids by key."""

    key: str
    territory_id: str
    services: dict[str, str]
    keys: dict[str, str]
    technicians: dict[str, str]


def open_shop(engine: Engine, api: ApiClient, clock: Clock, day: Day, *, offer_before_s: int) -> Shop:
    """offer_before_s: how long before their window visits are offered to freelancers."""
    with transaction(engine) as session:
        organization = create_organization(
            session,
            slug=SLUG,
            name="Five Boroughs Repair",
            currency="USD",
            time_zone=NEW_YORK.key,
            now=clock(),
        )
        _, key = keys.issue_key(session, "dispatcher", organization_id=organization.id, now=clock())
    corners = [[WEST, SOUTH], [EAST, SOUTH], [EAST, NORTH], [WEST, NORTH], [WEST, SOUTH]]
    area = {"type": "Polygon", "coordinates": [corners]}
    territory = api.post(
        "/v1/territories", {"name": "New York City", "time_zone": NEW_YORK.key, "area": area}, key=key
    )
    needed = {call.service.key: call.service for call in day.calls}
    services = {
        name: api.post("/v1/services", _service(service, offer_before_s), key=key)["id"]
        for name, service in needed.items()
    }
    shop = Shop(key, territory["id"], services, {}, {})
    for person in day.freelancers:
        _join(api, shop, person)
    return shop


def _service(service: Service, offer_before_s: int) -> dict[str, Any]:
    is_emergency = service.priority is Priority.EMERGENCY
    return {
        "name": service.name,
        "duration_s": service.duration_s,
        "required_skills": [{"skill": service.skill, "min_level": service.min_level}],
        "price": _money(service.price_cents),
        "arrival_window_s": EMERGENCY_WINDOW_S if is_emergency else WINDOW_S,
        "min_notice_s": NOTICE_S.get(service.priority, LEAST_NOTICE_S),
        "offer_before_s": offer_before_s,
    }


def _money(amount_cents: int) -> dict[str, Any]:
    return {"amount": amount_cents, "currency": "USD"}


def _join(api: ApiClient, shop: Shop, person: Freelancer) -> None:
    """Registers, is approved with all that it states, and enters its shift."""
    registration = {
        "organization": SLUG,
        "name": person.name,
        "phone": person.phone,
        "email": person.email,
        "kind": "freelancer",
        "home": {"lat": person.lat, "lon": person.lon, "address": person.address},
        "skills": [{"skill": skill, "level": level} for skill, level in person.skills.items()],
        "max_travel_m": person.radius_m,
        "pay": {
            "per_hour": _money(person.cents_per_h),
            "per_visit": _money(person.cents_per_visit),
            "per_km": _money(person.cents_per_km),
        },
        "time_zone": NEW_YORK.key,
    }
    joined = api.post("/v1/technicians", registration)
    technician_id, own_key = joined["technician"]["id"], joined["api_key"]
    api.post(f"/v1/technicians/{technician_id}/approve", {}, key=shop.key)
    lunch = person.lunch
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
    shift = {
        "starts_at": person.starts_at.isoformat(),
        "ends_at": person.ends_at.isoformat(),
        "breaks": breaks,
    }
    api.post("/v1/technicians/me/shifts", shift, key=own_key)
    shop.keys[person.id], shop.technicians[person.id] = own_key, technician_id
