"""Technicians over HTTP, for the tests of several resources."""

from dataclasses import dataclass
from typing import Any

from tests.support.client import ApiClient

HOME = {"lat": 40.7, "lon": -74.0, "address": "1 Line Street"}


def registration(**members: Any) -> dict[str, Any]:
    """A body that is accepted, with these members too."""
    return {
        "organization": "acme",
        "name": "Ada Plumber",
        "phone": "+1 212 555 0123",
        "email": "ada@example.com",
        "kind": "freelancer",
        "home": HOME,
        "skills": [{"skill": "plumbing", "level": 3}],
        **members,
    }


@dataclass(frozen=True, slots=True)
class Registrant:
    id: str
    key: str

    @property
    def path(self) -> str:
        return f"/v1/technicians/{self.id}"


def registered(client: ApiClient, **members: Any) -> Registrant:
    """Pending."""
    answer = client.create("/v1/technicians", registration(**members))
    return Registrant(answer["technician"]["id"], answer["api_key"])


def approved(client: ApiClient, dispatcher: str, **members: Any) -> Registrant:
    """Active, with all that it states verified."""
    technician = registered(client, **members)
    client.act(f"{technician.path}/approve", {}, key=dispatcher)
    return technician
