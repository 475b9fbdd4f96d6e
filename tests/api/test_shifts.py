"""Shifts and availability over HTTP."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlmodel import Session

from dispatch import booking
from dispatch.appointment import Appointment
from dispatch.ids import new_id
from dispatch.keys import issue_key
from dispatch.settings import Settings
from dispatch.slots import find_slots
from tests.api.registering import Registrant, approved, registered
from tests.api.test_catalogue import rival_key
from tests.api.test_technicians import fields_at_fault, refused
from tests.dispatch.world import DISPATCHER, NOW, TOMORROW, World
from tests.support.client import ApiClient
from tests.support.clock import FakeClock

SHIFT = {"starts_at": "2027-03-09T09:00:00-05:00", "ends_at": "2027-03-09T17:00:00-05:00"}
NIGHTS = [{"weekday": day, "from": "22:00", "to": "06:00"} for day in range(1, 8)]


def weekly(*entries: tuple[int, str, str]) -> dict[str, Any]:
    return {"weekly": [{"weekday": day, "from": opens, "to": closes} for day, opens, closes in entries]}


@pytest.fixture
def ada(client: ApiClient, dispatcher: str) -> Registrant:
    """Active, at home in New York."""
    return approved(client, dispatcher)


def listed(client: ApiClient, ada: Registrant, first: str, last: str) -> list[str]:
    query = {"from": first, "to": last}
    found = client.read(f"{ada.path}/shifts", key=ada.key, **query)["items"]
    return [f"{shift['starts_at']}/{shift['ends_at']}" for shift in found]


# Shifts


def test_a_shift_comes_back_as_it_was_entered(client: ApiClient, ada: Registrant) -> None:
    pause = {
        "earliest_start": "2027-03-09T12:00:00-05:00",
        "latest_end": "2027-03-09T13:00:00-05:00",
        "duration_s": 1800,
    }
    depot = {"lat": 40.75, "lon": -73.9, "address": "Depot"}

    made = client.create(
        "/v1/technicians/me/shifts", {**SHIFT, "start_place": depot, "breaks": [pause]}, key=ada.key
    )

    assert made == {
        "id": made["id"],
        "starts_at": "2027-03-09T14:00:00Z",
        "ends_at": "2027-03-09T22:00:00Z",
        "start_place": depot,
        "breaks": [
            {
                "earliest_start": "2027-03-09T17:00:00Z",
                "latest_end": "2027-03-09T18:00:00Z",
                "duration_s": 1800,
            }
        ],
        "derived": False,
    }
    range_ = {"from": "2027-03-09", "to": "2027-03-09"}
    assert client.read(f"{ada.path}/shifts", key=ada.key, **range_)["items"] == [made]


@pytest.mark.parametrize(
    ("members", "field"),
    [
        ({"ends_at": SHIFT["starts_at"]}, "ends_at"),
        ({"ends_at": "2027-03-10T09:00:01-05:00"}, "ends_at"),
        ({"starts_at": "2027-03-09T09:00:00"}, "starts_at"),
        ({"start_place": {"address": "Atlantis"}}, "start_place.address"),
        ({"end_place": {"lat": 91, "lon": 0}}, "end_place.lat"),
        ({"breaks": [{"earliest_start": SHIFT["starts_at"]}]}, "breaks.0.latest_end"),
        ({"technician_id": "x"}, "technician_id"),
    ],
)
def test_a_refused_member_of_a_shift_is_named(
    client: ApiClient, ada: Registrant, members: dict[str, Any], field: str
) -> None:
    response = client.call("POST", "/v1/technicians/me/shifts", {**SHIFT, **members}, key=ada.key)

    assert response.status_code == 422
    assert fields_at_fault(response)[0] == field


@pytest.mark.parametrize(
    ("duration_s", "latest_end"), [(1801, "2027-03-09T12:30:00-05:00"), (600, "2027-03-09T17:30:00-05:00")]
)
def test_a_break_that_does_not_fit_is_refused(
    client: ApiClient, ada: Registrant, duration_s: int, latest_end: str
) -> None:
    pause = {
        "earliest_start": "2027-03-09T12:00:00-05:00",
        "latest_end": latest_end,
        "duration_s": duration_s,
    }

    response = client.call("POST", "/v1/technicians/me/shifts", {**SHIFT, "breaks": [pause]}, key=ada.key)

    assert fields_at_fault(response) == ["breaks.0"]


def test_shifts_do_not_overlap(client: ApiClient, ada: Registrant) -> None:
    made = client.create("/v1/technicians/me/shifts", SHIFT, key=ada.key)

    response = client.call("POST", "/v1/technicians/me/shifts", SHIFT, key=ada.key)

    assert refused(response) == (409, "shift_overlap")
    assert response.get_json(force=True)["shift_id"] == made["id"]


def test_a_shift_belongs_to_the_local_date_on_which_it_begins(client: ApiClient, ada: Registrant) -> None:
    night = {"starts_at": "2027-03-10T03:30:00Z", "ends_at": "2027-03-10T10:00:00Z"}
    client.create("/v1/technicians/me/shifts", night, key=ada.key)

    assert len(listed(client, ada, "2027-03-09", "2027-03-09")) == 1
    assert listed(client, ada, "2027-03-10", "2027-03-10") == []
    assert listed(client, ada, "2027-03-08", "2027-03-08") == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"from": "2027-03-09", "to": "2027-03-08"}, "to"),
        ({"from": "2027-01-01", "to": "2027-04-03"}, "to"),
        ({"from": "soon"}, "from"),
        ({"since": "2027-03-09"}, "since"),
        ({"limit": 201}, "limit"),
    ],
)
def test_a_range_that_cannot_be_is_refused(
    client: ApiClient, ada: Registrant, query: dict[str, Any], field: str
) -> None:
    response = client.call("GET", f"{ada.path}/shifts", key=ada.key, query=query)

    assert response.status_code == 422
    assert fields_at_fault(response) == [field]


def test_a_quarter_of_a_year_is_listed_in_pages(client: ApiClient, ada: Registrant) -> None:
    client.call("PUT", f"{ada.path}/availability", {"weekly": NIGHTS}, key=ada.key)
    range_ = {"from": "2027-01-01", "to": "2027-04-02"}

    first = client.read(f"{ada.path}/shifts", key=ada.key, **range_)
    second = client.read(f"{ada.path}/shifts", key=ada.key, **range_, cursor=first["next_cursor"])

    starts = [shift["starts_at"] for shift in first["items"] + second["items"]]
    assert len(set(starts)) == 92
    assert starts == sorted(starts)
    assert second["next_cursor"] is None


def test_by_default_two_weeks_from_today_are_listed(client: ApiClient, ada: Registrant) -> None:
    client.call("PUT", f"{ada.path}/availability", {"weekly": NIGHTS}, key=ada.key)

    found = client.read(f"{ada.path}/shifts", key=ada.key)["items"]

    assert [found[0]["starts_at"], found[-1]["starts_at"]] == ["2027-03-03T03:00:00Z", "2027-03-16T02:00:00Z"]
    assert len(found) == 14


def test_a_removed_shift_is_gone_and_no_other(client: ApiClient, ada: Registrant) -> None:
    client.call("PUT", f"{ada.path}/availability", {"weekly": NIGHTS}, key=ada.key)
    client.create("/v1/technicians/me/shifts", SHIFT, key=ada.key)
    range_ = {"from": "2027-03-08", "to": "2027-03-10"}
    monday, day, tuesday, wednesday = client.read(f"{ada.path}/shifts", key=ada.key, **range_)["items"]

    removed = [
        client.call("DELETE", f"{ada.path}/shifts/{shift['id']}", key=ada.key) for shift in (day, tuesday)
    ]
    again = client.call("DELETE", f"{ada.path}/shifts/{day['id']}", key=ada.key)

    assert [r.status_code for r in removed] == [200, 200]
    assert [r.get_json()["id"] for r in removed] == [day["id"], tuesday["id"]]
    assert again.status_code == 404
    assert client.read(f"{ada.path}/shifts", key=ada.key, **range_)["items"] == [monday, wednesday]


def test_another_technicians_shift_is_404(client: ApiClient, dispatcher: str, ada: Registrant) -> None:
    bo = approved(client, dispatcher, name="Bo")
    made = client.create("/v1/technicians/me/shifts", SHIFT, key=ada.key)

    statuses = [
        client.call("DELETE", f"/v1/technicians/{who}/shifts/{shift}", key=bo.key).status_code
        for who, shift in (("me", made["id"]), (ada.id, made["id"]), ("me", new_id()), ("me", "x"))
    ]

    assert statuses == [404] * 4
    assert len(listed(client, ada, "2027-03-09", "2027-03-09")) == 1


# Availability


@pytest.mark.parametrize(
    ("time_zone", "date", "hours"),
    [
        ("America/New_York", "2027-03-13", "2027-03-14T03:00:00Z/2027-03-14T10:00:00Z"),
        ("America/New_York", "2027-11-06", "2027-11-07T02:00:00Z/2027-11-07T11:00:00Z"),
        ("Australia/Lord_Howe", "2027-04-03", "2027-04-03T11:00:00Z/2027-04-03T19:30:00Z"),
        ("Australia/Lord_Howe", "2027-10-02", "2027-10-02T11:30:00Z/2027-10-02T19:00:00Z"),
        ("America/Santiago", "2027-09-04", "2027-09-05T02:00:00Z/2027-09-05T09:00:00Z"),
    ],
)
def test_a_weekly_night_keeps_its_walls_when_the_clocks_change(
    client: ApiClient, dispatcher: str, time_zone: str, date: str, hours: str
) -> None:
    technician = approved(client, dispatcher, time_zone=time_zone)

    client.call("PUT", f"{technician.path}/availability", {"weekly": NIGHTS}, key=technician.key)

    assert listed(client, technician, date, date) == [hours]


def test_availability_is_read_as_it_was_set(client: ApiClient, ada: Registrant) -> None:
    path = f"{ada.path}/availability"
    said = {
        **weekly((1, "08:00", "16:00")),
        "exceptions": [
            {"date": "2027-03-15", "hours": [{"from": "10:00", "to": "12:00"}]},
            {"date": "2027-03-22", "hours": []},
        ],
    }

    empty = client.call("GET", path, key=ada.key)
    put = client.call("PUT", path, said, key=ada.key)
    read = client.call("GET", path, key=ada.key)

    assert empty.get_json() == {"weekly": [], "exceptions": [], "time_zone": "America/New_York"}
    assert (put.status_code, put.get_json()) == (200, {**said, "time_zone": "America/New_York"})
    assert read.get_json() == put.get_json()
    assert read.headers["ETag"] == put.headers["ETag"] != empty.headers["ETag"]
    assert listed(client, ada, "2027-03-08", "2027-03-28") == [
        "2027-03-08T13:00:00Z/2027-03-08T21:00:00Z",
        "2027-03-15T14:00:00Z/2027-03-15T16:00:00Z",
    ]


def test_availability_of_an_older_version_is_refused(client: ApiClient, ada: Registrant) -> None:
    path = f"{ada.path}/availability"
    tag = client.call("GET", path, key=ada.key).headers["ETag"]

    statuses = [
        client.call("PUT", path, body, key=ada.key, if_match=tag).status_code
        for body in (weekly((1, "08:00", "16:00")), weekly((2, "08:00", "16:00")))
    ]

    assert statuses == [200, 412]
    assert client.read(path, key=ada.key)["weekly"][0]["weekday"] == 1


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({}, "weekly"),
        (weekly((0, "08:00", "16:00")), "weekly.0.weekday"),
        (weekly((8, "08:00", "16:00")), "weekly.0.weekday"),
        (weekly((1, "8:00", "16:00")), "weekly.0.from"),
        (weekly((1, "08:00", "24:00")), "weekly.0.to"),
        (weekly((1, "08:00", "16:00"), (1, "15:00", "17:00")), "weekly"),
        (weekly((7, "22:00", "06:00"), (1, "05:00", "07:00")), "weekly"),
        ({"weekly": [], "exceptions": [{"date": "2027-03-09", "hours": []}] * 2}, "exceptions"),
        ({"weekly": [], "exceptions": [{"date": "someday", "hours": []}]}, "exceptions.0.date"),
        ({"weekly": [], "exceptions": [{"date": "2027-03-09"}]}, "exceptions.0.hours"),
    ],
)
def test_hours_that_cannot_be_are_refused(
    client: ApiClient, ada: Registrant, sent: dict[str, Any], field: str
) -> None:
    response = client.call("PUT", f"{ada.path}/availability", sent, key=ada.key)

    assert response.status_code == 422
    assert fields_at_fault(response) == [field]


# Dispatchers


def test_a_dispatcher_enters_hours_of_whom_it_lets_work(
    client: ApiClient, dispatcher: str, ada: Registrant
) -> None:
    pending = registered(client, name="Bo")

    client.create(f"{ada.path}/shifts", SHIFT, key=dispatcher)
    response = client.call("POST", f"{pending.path}/shifts", SHIFT, key=dispatcher)

    assert len(listed(client, ada, "2027-03-09", "2027-03-09")) == 1
    assert refused(response) == (409, "invalid_state")
    assert client.read(f"{pending.path}/shifts", key=dispatcher)["items"] == []


def test_another_organization_may_not_touch_the_hours(
    client: ApiClient, ada: Registrant, session: Session, clock: FakeClock
) -> None:
    rival = rival_key(session, clock.now())
    made = client.create("/v1/technicians/me/shifts", SHIFT, key=ada.key)

    statuses = [
        client.call(method, f"{ada.path}/{path}", body, key=rival).status_code
        for method, path, body in (
            ("GET", "shifts", None),
            ("POST", "shifts", SHIFT),
            ("DELETE", f"shifts/{made['id']}", None),
            ("GET", "availability", None),
            ("PUT", "availability", {"weekly": []}),
        )
    ]

    assert statuses == [404] * 5


def test_an_integration_sees_when_and_not_where_from(
    client: ApiClient, ada: Registrant, new_key: Callable[[str], str]
) -> None:
    integration = new_key("integration")
    place = {"lat": 40.75, "lon": -73.9}
    client.create("/v1/technicians/me/shifts", {**SHIFT, "start_place": place}, key=ada.key)

    [seen] = client.read(f"{ada.path}/shifts", key=integration)["items"]

    assert "start_place" not in seen
    assert client.call("POST", f"{ada.path}/shifts", SHIFT, key=integration).status_code == 403


# Visits in the hours


class Booked:
    """A technician with a visit on TOMORROW in the hours 8 to 16, and the callers that may change these."""

    def __init__(self, session: Session, settings: Settings, *, by_week: bool) -> None:
        world = World(session, settings)
        technician = world.technician(hours=None if by_week else (8, 16))
        self.path = f"/v1/technicians/{technician.id}"
        _, self.key = issue_key(session, "technician", technician_id=technician.id, now=NOW)
        self.dispatcher = dispatcher_key(world, world.organization.id)
        other = world.new_organization("rival")
        world.engage(technician, other, {})
        self.rival = dispatcher_key(world, other.id)
        session.commit()
        self.world = world

    def book(self) -> str:
        """The id of the visit."""
        world = self.world
        job = world.job(world.service())
        [slot, *_] = find_slots(world.session, world.settings, job, TOMORROW, TOMORROW, NOW).items
        booking.book(world.session, world.settings, job.appointment, slot.slot_id, DISPATCHER, NOW)
        visit_id = job.appointment.id
        world.session.commit()
        return visit_id

    def cancel(self, visit_id: str) -> None:
        session = self.world.session
        visit = session.get_one(Appointment, visit_id)
        booking.cancel(session, self.world.settings, visit, DISPATCHER, NOW)
        session.commit()


def dispatcher_key(world: World, organization_id: str) -> str:
    return issue_key(world.session, "dispatcher", organization_id=organization_id, now=NOW)[1]


TUESDAY = {"from": "2026-11-24", "to": "2026-11-24"}


def test_a_shift_with_a_visit_stays_until_the_visit_is_gone(
    client: ApiClient, session: Session, settings: Settings, clock: FakeClock
) -> None:
    clock.move_to(NOW)
    day = Booked(session, settings, by_week=False)
    visit_id = day.book()
    [shift] = client.read(f"{day.path}/shifts", key=day.key, **TUESDAY)["items"]
    path = f"{day.path}/shifts/{shift['id']}"

    by_itself, by_rival = (client.call("DELETE", path, key=key) for key in (day.key, day.rival))
    day.cancel(visit_id)
    free = client.call("DELETE", path, key=day.key)

    assert refused(by_itself) == refused(by_rival) == (409, "shift_has_visits")
    said, unsaid = by_itself.get_json(force=True), by_rival.get_json(force=True)
    assert (said["appointment_ids"], said["visits"]) == ([visit_id], 1)
    assert (unsaid["appointment_ids"], unsaid["visits"]) == ([], 1)
    assert free.status_code == 200


def test_no_change_of_weekly_hours_leaves_a_visit_outside(
    client: ApiClient, session: Session, settings: Settings, clock: FakeClock
) -> None:
    clock.move_to(NOW)
    day = Booked(session, settings, by_week=True)
    week = weekly((2, "08:00", "16:00"))
    client.call("PUT", f"{day.path}/availability", week, key=day.key)
    visit_id = day.book()
    [shift] = client.read(f"{day.path}/shifts", key=day.key, **TUESDAY)["items"]
    elsewhere = {"starts_at": "2026-11-24T15:00:00-05:00", "ends_at": "2026-11-24T20:00:00-05:00"}

    refusals = [
        client.call("PUT", f"{day.path}/availability", {"weekly": []}, key=day.dispatcher),
        client.call("DELETE", f"{day.path}/shifts/{shift['id']}", key=day.dispatcher),
        client.call("POST", f"{day.path}/shifts", elsewhere, key=day.dispatcher),
        client.call("PATCH", day.path, {"time_zone": "Asia/Tokyo"}, key=day.key),
    ]
    longer = client.call("PUT", f"{day.path}/availability", weekly((2, "07:00", "17:00")), key=day.key)

    assert [refused(response) for response in refusals] == [(409, "shift_has_visits")] * 4
    assert all(r.get_json(force=True)["appointment_ids"] == [visit_id] for r in refusals)
    assert longer.status_code == 200
    [now] = client.read(f"{day.path}/shifts", key=day.key, **TUESDAY)["items"]
    assert now["starts_at"] == "2026-11-24T12:00:00Z"


def test_a_visit_in_the_past_holds_no_hours(
    client: ApiClient, session: Session, settings: Settings, clock: FakeClock
) -> None:
    clock.move_to(NOW)
    day = Booked(session, settings, by_week=False)
    day.book()
    [shift] = client.read(f"{day.path}/shifts", key=day.key, **TUESDAY)["items"]
    clock.advance(days=3)

    response = client.call("DELETE", f"{day.path}/shifts/{shift['id']}", key=day.key)

    assert response.status_code == 200
