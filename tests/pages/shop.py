"""An organization where customers book: Acme with addresses to look up, and Ada at work for two days."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import unescape

from sqlalchemy import Engine
from sqlmodel import Session, select
from werkzeug.test import TestResponse

from dispatch.appointment import Appointment, Status
from dispatch.customer import Customer
from dispatch.database import transaction
from dispatch.gazetteer import GazetteerEntry, folded
from dispatch.service_request import ServiceRequest
from dispatch.settings import Settings
from tests.support.acme import Acme, build_acme
from tests.support.client import ApiClient
from tests.support.clock import FakeClock

ADDRESS = "7 Elm Street, Brooklyn"
HILL = "1 Hill Road, Fort Lee"
"""21 km north of the others."""
PLACES = [
    (ADDRESS, 40.711, -73.992),
    ("9 Oak Street, Brooklyn", 40.713, -73.994),
    ("9 Oak Street, Queens", 40.720, -73.960),
    (HILL, 40.90, -73.99),
    ("1 Far Street, Boston", 42.36, -71.06),
    ("2 Twin Street", 40.712, -73.990),
    ("2 Twin Street", 40.716, -73.986),
]
NOTES = "The tap drips.\r\n<b>Ring twice.</b>"


@dataclass
class Shop:
    """What a test looks at: the pages through the client, and what became of them in the database."""

    acme: Acme
    client: ApiClient
    engine: Engine
    clock: FakeClock

    def form(self, **fields: str) -> dict[str, str]:
        """The first page, filled in."""
        page = self.client.get("/book/acme").text
        usual = {
            "form_token": hidden(page, "form_token"),
            "service": self.acme.service["id"],
            "address": ADDRESS,
            "name": "Casey Jones",
            "phone": "(212) 555-0123",
            "notes": NOTES,
        }
        return usual | fields

    def send(self, path: str = "/book/acme", **fields: str) -> TestResponse:
        """The filled form, sent."""
        return self.client.post(path, data=self.form(**fields))

    def own_page(self, **fields: str) -> str:
        """The path of the page of a new request."""
        response = self.send(**fields)
        assert response.status_code == 303, response.text
        assert response.location.startswith("/m/fd_")
        return str(response.location)

    def choose(self, path: str, number: int = 0) -> TestResponse:
        """Opens a page of times and takes one of them."""
        found = slot_ids(self.client.get(path).text)
        return self.client.post(path, data={"slot_id": found[number]})

    def booked(self) -> str:
        """The path of the page of a visit that is booked."""
        path = self.own_page()
        assert self.choose(path).status_code == 303
        return path

    def works(self) -> None:
        """Ada works tomorrow and on the day after."""
        self.acme.shift("2027-03-03T09:00:00-05:00", "2027-03-03T17:00:00-05:00")
        self.acme.shift("2027-03-04T09:00:00-05:00", "2027-03-04T17:00:00-05:00")

    def count(self) -> int:
        with Session(self.engine) as session:
            return len(session.exec(select(ServiceRequest)).all())

    def rows(self) -> tuple[ServiceRequest, Customer, Appointment]:
        """Of the only request."""
        with Session(self.engine) as session:
            return (
                session.exec(select(ServiceRequest)).one(),
                session.exec(select(Customer)).one(),
                session.exec(select(Appointment)).one(),
            )

    def appointments(self) -> Sequence[Appointment]:
        """All of them."""
        with Session(self.engine) as session:
            return session.exec(select(Appointment)).all()

    def change_appointments(self, status: Status) -> None:
        """Sets the status of all appointments, as if all had happened on the way."""
        with transaction(self.engine) as session:
            for appointment in session.exec(select(Appointment)):
                appointment.status = status
                session.add(appointment)


def build_shop(client: ApiClient, engine: Engine, settings: Settings, clock: FakeClock) -> Shop:
    """Nobody works yet."""
    acme = build_acme(client, engine, settings, clock)
    with transaction(engine) as session:
        for name, lat, lon in PLACES:
            entry = GazetteerEntry(key=folded(name), name=name, lat=lat, lon=lon, created_at=clock.now())
            session.add(entry)
    return Shop(acme, client, engine, clock)


def hidden(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]+)"', page)
    assert found is not None
    return unescape(found[1])


def slot_ids(page: str) -> list[str]:
    return re.findall(r'name="slot_id" value="([^"]+)"', page)
