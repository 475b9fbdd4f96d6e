"""Earnings over HTTP: each visit item by item, weeks, organizations, CSV."""

import csv
from dataclasses import dataclass
from datetime import UTC, datetime
from io import StringIO
from typing import Any

import pytest
from sqlmodel import Session

from dispatch import offering
from dispatch.appointment import Appointment, Status
from dispatch.booking import promise
from dispatch.keys import issue_key
from dispatch.organization import Organization
from dispatch.promise import PromiseKind
from dispatch.settings import Settings
from dispatch.technician import Technician
from tests.api.test_catalogue import usd
from tests.dispatch.world import DISPATCHER, NOW, World, clock_time
from tests.support.client import ApiClient
from tests.support.clock import FakeClock

PATH = "/v1/technicians/me/earnings"
RANGE = {"from": "2026-11-23", "to": "2026-12-06"}


@dataclass
class Books:
    """A technician that works for Acme in dollars, at 40 an hour, and for Rival in euros."""

    world: World
    technician: Technician
    rival: Organization
    key: str

    def earn(self, organization: Organization, pay_cents: int | None, at: datetime) -> str:
        """A visit of an hour, planned, accepted for so much, and completed then. Its id."""
        session, settings, world = self.world.session, self.world.settings, self.world
        job = world.job(world.service(organization=organization))
        visit, start = job.appointment, clock_time(9)
        assert self.technician.no is not None
        promise(session, settings, visit, (start, start), PromiseKind.GIVEN, DISPATCHER, NOW)
        visit.plan(self.technician.no, start, clock_time(10), 600, 2000)
        visit.move(Status.SCHEDULED)
        session.add(visit)
        session.flush()
        terms = offering.Terms(pay_cents=pay_cents)
        offer = offering.send_direct(session, settings, visit, self.technician, terms, DISPATCHER, NOW)
        offering.accept(session, settings, offer, DISPATCHER, NOW)
        self._complete(visit, at)
        return visit.id

    def _complete(self, visit: Appointment, at: datetime) -> None:
        visit.status, visit.actual_end = Status.COMPLETED, at
        self.world.session.add(visit)
        self.world.session.commit()


@pytest.fixture
def books(session: Session, settings: Settings, clock: FakeClock) -> Books:
    clock.move_to(NOW)
    world = World(session, settings)
    technician = world.technician()
    rival = world.new_organization("rival")
    rival.currency = "EUR"
    world.new_territory(rival)
    world.engage(technician, rival, {"plumbing": 3})
    _, key = issue_key(session, "technician", technician_id=technician.id, now=NOW)
    session.commit()
    return Books(world, technician, rival, key)


def on(day: int, hour: int, month: int = 11) -> datetime:
    return datetime(2026, month, day, hour, tzinfo=UTC)


def eur(amount: int) -> dict[str, Any]:
    return {"amount": amount, "currency": "EUR"}


def test_every_addition_and_deduction_of_a_visit_is_an_item(client: ApiClient, books: Books) -> None:
    acme = books.world.organization
    usual, more, less = (
        books.earn(acme, pay, on(24, hour)) for hour, pay in ((15, None), (16, 5000), (17, 3500))
    )

    items = {item["appointment_id"]: item for item in client.read(PATH, key=books.key, **RANGE)["items"]}

    hour = {"kind": "per_hour", "amount": usd(4000), "duration_s": 3600, "rate": usd(4000)}
    parts = [
        (items[id_]["pay"], items[id_]["additions"], items[id_]["deductions"]) for id_ in (usual, more, less)
    ]
    assert parts == [
        (usd(4000), [hour], []),
        (usd(5000), [hour, {"kind": "agreed", "amount": usd(1000)}], []),
        (usd(3500), [hour], [{"kind": "agreed", "amount": usd(500)}]),
    ]


def test_sums_are_by_local_week_and_organization_and_no_currencies_are_added(
    client: ApiClient, books: Books
) -> None:
    acme = books.world.organization
    # 04:59 UTC on Monday is still Sunday in New York.
    books.earn(acme, 4000, on(30, 4))
    books.earn(acme, 3000, on(30, 5))
    books.earn(acme, 5000, on(1, 15, month=12))
    books.earn(books.rival, 7000, on(1, 16, month=12))

    found = client.read(PATH, key=books.key, **RANGE)

    weeks = [
        (week["starts_on"], week["ends_on"], week["organization"], week["visits"], week["pay"])
        for week in found["weeks"]
    ]
    assert weeks == [
        ("2026-11-23", "2026-11-29", "acme", 1, usd(4000)),
        ("2026-11-30", "2026-12-06", "acme", 2, usd(8000)),
        ("2026-11-30", "2026-12-06", "rival", 1, eur(7000)),
    ]
    organizations = [
        (each["organization"], each["visits"], each["additions"], each["deductions"], each["pay"])
        for each in found["organizations"]
    ]
    assert organizations == [
        ("acme", 3, usd(13_000), usd(1000), usd(12_000)),
        ("rival", 1, eur(7000), eur(0), eur(7000)),
    ]
    assert found["totals"] == [eur(7000), usd(12_000)]


def test_a_page_does_not_change_the_sums(client: ApiClient, books: Books) -> None:
    for hour in (15, 16, 17):
        books.earn(books.world.organization, 4000, on(24, hour))

    page = client.read(PATH, key=books.key, limit=1, **RANGE)

    assert (len(page["items"]), page["totals"]) == (1, [usd(12_000)])


def test_the_lines_of_the_csv_add_up_to_the_totals(client: ApiClient, books: Books) -> None:
    less = books.earn(books.world.organization, 3500, on(24, 15))
    books.earn(books.rival, 7000, on(24, 16))

    response = client.call("GET", PATH, key=books.key, query=RANGE | {"format": "csv", "limit": 1})

    lines = list(csv.DictReader(StringIO(response.text)))
    sums = {
        currency: sum(int(line["amount"]) for line in lines if line["currency"] == currency)
        for currency in ("USD", "EUR")
    }
    assert response.mimetype == "text/csv"
    assert response.headers["Content-Disposition"].endswith('"earnings-2026-11-23-2026-12-06.csv"')
    assert sums == {"USD": 3500, "EUR": 7000}
    assert lines[0] == {
        "week_starts_on": "2026-11-23",
        "completed_at": "2026-11-24T15:00:00Z",
        "organization": "acme",
        "appointment_id": less,
        "item": "per_hour",
        "quantity": "3600",
        "unit": "s",
        "rate": "4000",
        "amount": "4000",
        "currency": "USD",
    }
    assert (lines[1]["item"], lines[1]["amount"], lines[1]["unit"]) == ("agreed", "-500", "")


def test_a_new_rate_does_not_rewrite_what_was_earned(
    client: ApiClient, books: Books, clock: FakeClock
) -> None:
    books.earn(books.world.organization, None, on(24, 15))
    before = client.read(PATH, key=books.key, **RANGE)
    organization_id, technician_id = books.world.organization.id, books.technician.id
    _, dispatcher = issue_key(books.world.session, "dispatcher", organization_id=organization_id, now=NOW)
    books.world.session.commit()
    clock.advance(hours=1)

    client.change(f"/v1/technicians/{technician_id}", {"pay": {"per_hour": usd(9900)}}, key=dispatcher)

    assert client.read(PATH, key=books.key, **RANGE) == before


def test_another_format_is_refused(client: ApiClient, books: Books) -> None:
    response = client.call("GET", PATH, key=books.key, query={"format": "xml"})

    assert response.status_code == 422
