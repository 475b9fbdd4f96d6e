"""A freelancer at work: Ada, asked by Acme for visits that customers booked, signed in on her page."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from html import unescape
from typing import Any

from flask.testing import FlaskClient
from sqlalchemy import Engine
from sqlmodel import Session
from werkzeug.test import TestResponse

from dispatch.appointment import Appointment
from dispatch.links import proof_code
from dispatch.settings import Settings
from tests.support.acme import ADA, CUSTOMERS, NEIGHBOURS, Acme, build_acme
from tests.support.client import ApiClient
from tests.support.clock import FakeClock

DAY = "2027-03-03"
HOURS = {"starts_at": f"{DAY}T09:00:00-05:00", "ends_at": f"{DAY}T17:00:00-05:00"}


@dataclass
class Phone:
    """A browser that is signed in: it keeps its cookie, and sends the token of the page that it showed last."""

    client: FlaskClient
    token: str = ""

    def sign_in(self, key: str) -> TestResponse:
        return self.client.post("/login", data={"key": key})

    def see(self, path: str, **headers: str) -> TestResponse:
        """A page that must be there."""
        response = self.client.get(path, headers=headers)
        assert response.status_code == 200, response.text
        found = re.search(r'name="csrf_token" value="([^"]+)"', response.text)
        self.token = found[1] if found else self.token
        return response

    def send(self, path: str, **fields: str) -> TestResponse:
        """A form of the page."""
        return self.client.post(path, data={"csrf_token": self.token, **fields})

    def sent(self, path: str, **fields: str) -> str:
        """What is read on the page to which a form leads that must be taken."""
        answer = self.send(path, **fields)
        assert answer.status_code == 303, answer.text
        return read(self.see(answer.location))


@dataclass
class Field:
    """Two visits tomorrow, booked by the public; Ada works from nine to five."""

    acme: Acme
    phone: Phone
    visits: list[Any]

    def ask(self, number: int = 0, **members: Any) -> str:
        """An offer to Ada; gives back its id."""
        return str(self.acme.offer(self.visits[number]["id"], **members)["id"])

    def take(self, number: int = 0) -> str:
        """Ada has the visit; gives back its id."""
        self.acme.accept(self.ask(number))
        return str(self.visits[number]["id"])

    def visit(self, number: int = 0) -> Any:
        """As the dispatcher reads it."""
        return self.acme.client.read(
            f"/v1/appointments/{self.visits[number]['id']}", key=self.acme.dispatcher
        )

    def code_of(self, settings: Settings, engine: Engine, number: int = 0) -> str:
        """What the customer of the visit tells at the door."""
        with Session(engine) as session:
            return proof_code(settings, session.get_one(Appointment, self.visits[number]["id"]))

    def offer(self, offer_id: str) -> Any:
        """As the dispatcher reads it."""
        return self.acme.client.read(f"/v1/offers/{offer_id}", key=self.acme.dispatcher)


def build_field(
    client: ApiClient,
    new_client: Callable[[], FlaskClient],
    engine: Engine,
    settings: Settings,
    clock: FakeClock,
) -> Field:
    acme = build_acme(client, engine, settings, clock)
    acme.shift(HOURS["starts_at"], HOURS["ends_at"])
    visits = []
    for name, place, notes in (("Casey Jones", CUSTOMERS, "Ring twice."), ("Dana Smith", NEIGHBOURS, None)):
        members = {"notes": notes} if notes else {}
        asked = acme.request(name, place, **members)
        slot = acme.slots(asked, **{"from": DAY, "to": DAY})["items"][0]
        visits.append(acme.book(asked, slot)["appointment"])
    phone = Phone(new_client())
    phone.sign_in(acme.ada_key)
    return Field(acme, phone, visits)


def registration(name: str) -> dict[str, Any]:
    """Of another freelancer."""
    return ADA | {"name": name, "email": f"{name.split()[0].lower()}@example.com"}


def joined(acme: Acme, name: str) -> Any:
    """Another freelancer, who works the same day; with its key as `key`."""
    answer = acme.client.create("/v1/technicians", registration(name))
    path = f"/v1/technicians/{answer['technician']['id']}"
    acme.client.act(f"{path}/approve", key=acme.dispatcher)
    acme.client.create(f"{path}/shifts", HOURS, key=acme.dispatcher)
    return answer["technician"] | {"key": answer["api_key"]}


def read(response: TestResponse) -> str:
    """What is read of a page, in one line."""
    main = response.text.partition("<main")[2]
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", main)).split())
