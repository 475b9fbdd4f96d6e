"""An organization that works, made as the command line makes it and from there over HTTP alone."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine

from dispatch.database import transaction
from dispatch.keys import issue_key
from dispatch.organization import create_organization
from dispatch.settings import Settings
from dispatch.worker import run_due
from tests.support.client import ApiClient
from tests.support.clock import FakeClock
from tests.support.plans import run_plans

HOME = {"lat": 40.70, "lon": -73.99, "address": "1 Pier Street, Brooklyn, New York"}
CUSTOMERS = {"lat": 40.711, "lon": -73.992, "address": "7 Elm Street, Brooklyn, New York"}
NEIGHBOURS = {"lat": 40.713, "lon": -73.994, "address": "9 Oak Street, Brooklyn, New York"}


SERVICE = {
    "name": "Leak repair",
    "duration_s": 3600,
    "required_skills": [{"skill": "plumbing", "min_level": 2}],
    "price": {"amount": 12000, "currency": "USD"},
    "cancel_fee": {"amount": 2500, "currency": "USD"},
    "min_notice_s": 0,
}
TERRITORY = {
    "name": "New York",
    "time_zone": "America/New_York",
    "center": {"lat": 40.71, "lon": -73.99},
    "radius_m": 30_000,
}
ADA = {
    "organization": "acme",
    "name": "Ada Lovelace",
    "phone": "+1 212 555 0188",
    "email": "ada@example.com",
    "kind": "freelancer",
    "home": HOME,
    "skills": [{"skill": "plumbing", "level": 4}],
    "pay": {"per_hour": {"amount": 6000, "currency": "USD"}},
    "vehicle": "cargo bike",
}


@dataclass
class Acme:
    """An organization in New York with one territory, one service of an hour, and Ada Lovelace, a freelancer. `worker`
    does what runs beside the web."""

    client: ApiClient
    clock: FakeClock
    dispatcher: str
    service: Any
    territory: Any
    ada: Any
    ada_key: str
    worker: Callable[[], None]

    def shift(self, starts_at: str, ends_at: str) -> Any:
        path = f"/v1/technicians/{self.ada['id']}/shifts"
        return self.client.create(path, {"starts_at": starts_at, "ends_at": ends_at}, key=self.dispatcher)

    def request(self, name: str, place: dict[str, Any], **members: Any) -> Any:
        """As the public sends it."""
        body = {
            "organization": "acme",
            "service_id": self.service["id"],
            "customer": {"name": name, "phone": "+1 212 555 0123"},
            "place": place,
        }
        return self.client.create("/v1/service-requests", body | members)

    def slots(self, registered: Any, **query: Any) -> Any:
        """As the customer finds them."""
        path = f"/v1/service-requests/{registered['service_request']['id']}/slots"
        return self.client.read(path, key=registered["manage_token"], **query)

    def book(self, registered: Any, slot: Any, **members: Any) -> Any:
        """As the customer books."""
        body = {
            "service_request_id": registered["service_request"]["id"],
            "slot_id": slot["slot_id"],
        }
        return self.client.create("/v1/appointments", body | members, key=registered["manage_token"])

    def offer(self, appointment_id: str, **members: Any) -> Any:
        """A direct offer to Ada."""
        body = {"strategy": "direct", "technician_ids": [self.ada["id"]]} | members
        path = f"/v1/appointments/{appointment_id}/offers"
        return self.client.create(path, body, key=self.dispatcher)["items"][0]

    def accept(self, offer_id: str) -> Any:
        return self.client.act(f"/v1/offers/{offer_id}/accept", key=self.ada_key)

    def accept_all(self) -> None:
        """Whatever the worker has put to Ada."""
        pending = self.client.read("/v1/technicians/me/offers", key=self.ada_key, status="pending")
        for offer in pending["items"]:
            self.accept(offer["id"])

    def drives(self, lat: float, lon: float) -> None:
        """Ada is on duty and there now."""
        self.client.act("/v1/technicians/me/duty", {"status": "available"}, key=self.ada_key)
        position = {"lat": lat, "lon": lon, "recorded_at": self.clock().isoformat()}
        self.client.create("/v1/technicians/me/positions", position, key=self.ada_key)

    def progress(self, appointment_id: str, status: str, **members: Any) -> Any:
        """As Ada says it."""
        path = f"/v1/appointments/{appointment_id}/progress"
        return self.client.act(path, {"status": status} | members, key=self.ada_key)


def build_acme(client: ApiClient, engine: Engine, settings: Settings, clock: FakeClock) -> Acme:
    """Committed, with Ada approved and without a shift."""
    with transaction(engine) as session:
        organization = create_organization(
            session, slug="acme", name="Acme", currency="USD", time_zone="America/New_York", now=clock()
        )
        _, dispatcher = issue_key(session, "dispatcher", organization_id=organization.id, now=clock())
    service = client.create("/v1/services", SERVICE, key=dispatcher)
    territory = client.create("/v1/territories", TERRITORY, key=dispatcher)
    joined = client.create("/v1/technicians", ADA)
    ada = client.act(f"/v1/technicians/{joined['technician']['id']}/approve", key=dispatcher)

    def worker() -> None:
        run_due(engine, settings, clock())
        run_plans(engine, settings, clock)

    return Acme(client, clock, dispatcher, service, territory, ada, joined["api_key"], worker)
