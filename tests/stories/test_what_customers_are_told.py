"""A customer books, is told, is reminded, answers by the links, moves and cancels; another follows a visit to its end.
Over HTTP, with a channel that the test reads."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine

from dispatch import notifying
from dispatch.settings import Settings
from tests.support.acme import CUSTOMERS, Acme
from tests.support.channels import FakeChannel

PUBLIC_URL = "http://127.0.0.1:8000"
FAR = {"lat": 40.76, "lon": -73.98, "address": "5 Far Street, New York"}
"""Some 20 minutes from Elm Street."""
NEXT_DAY, DAY_AFTER = "2027-03-03", "2027-03-04"


class Told:
    """What customers have been told since the last time, by kind."""

    def __init__(self, acme: Acme, engine: Engine, settings: Settings) -> None:
        self._acme, self._engine, self._settings = acme, engine, settings
        self._channel = FakeChannel()
        self.bodies: dict[str, str] = {}

    def __call__(self) -> list[str]:
        self._acme.worker()
        notifying.send_due(self._engine, self._settings, self._channel, self._acme.clock)
        taken = self._channel.take()
        self.bodies = {message.kind: message.body for message in taken}
        return [message.kind for message in taken]

    def link(self, kind: str, action: str) -> str:
        """The path of a link in a message."""
        found = re.search(rf"{PUBLIC_URL}(\S+/{action}\?k=\S+)", self.bodies[kind])
        assert found is not None, self.bodies[kind]
        return found[1]


@pytest.fixture
def told(acme: Acme, engine: Engine, settings: Settings) -> Told:
    return Told(acme, engine, settings)


@pytest.fixture
def shifts(acme: Acme) -> None:
    for day in (NEXT_DAY, DAY_AFTER):
        acme.shift(f"{day}T09:00:00-05:00", f"{day}T17:00:00-05:00")


def booked(acme: Acme, day: str, place: dict[str, Any] = CUSTOMERS, **customer: Any) -> tuple[Any, Any]:
    contact = {"name": "Casey Customer", "phone": "+1 212 555 0123"} | customer
    registered = acme.request("Casey Customer", place, customer=contact)
    slot = acme.slots(registered, **{"from": day, "to": day})["items"][0]
    return registered, acme.book(registered, slot)


@pytest.mark.usefixtures("shifts")
def test_a_customer_is_told_reminded_and_answers(acme: Acme, told: Told) -> None:
    client = acme.client
    registered, made = booked(acme, NEXT_DAY, language="de")
    appointment_id, tracking = made["appointment"]["id"], f"/t/{made['tracking_token']}"

    assert told() == ["booked"]
    assert "Ihr Termin ist gebucht. Leak repair: Mittwoch, 3. März," in told.bodies["booked"]
    assert f"{PUBLIC_URL}{tracking}" in told.bodies["booked"]
    assert told() == [], "once"

    acme.clock.move_to(datetime(2027, 3, 2, 23, 0, tzinfo=UTC))
    assert told() == ["day_before"]
    confirm, move = told.link("day_before", "confirm"), told.link("day_before", "move")
    assert client.get(confirm).status_code == client.get(move).status_code == 200
    assert "appointment.confirmed_by_customer" not in types(acme, appointment_id), "a link changes nothing"
    path, _, key = confirm.partition("?k=")
    assert client.post(path, data={"k": key}).status_code == 303
    assert types(acme, appointment_id)[-1] == "appointment.confirmed_by_customer"

    slots = acme.slots(registered, **{"from": DAY_AFTER, "to": DAY_AFTER})["items"]
    client.act(
        f"/v1/appointments/{appointment_id}/reschedule",
        {"slot_id": slots[0]["slot_id"]},
        key=registered["manage_token"],
    )
    acme.clock.advance(hours=1)
    assert told() == ["changed"]
    assert "Donnerstag, 4. März" in told.bodies["changed"]
    assert client.get(confirm).status_code == 410, "the answer was to another promise"
    acme.clock.move_to(datetime(2027, 3, 3, 14, 0, tzinfo=UTC))
    assert told() == [], "no reminder of the time that is given up"
    acme.clock.move_to(datetime(2027, 3, 3, 23, 0, tzinfo=UTC))
    assert told() == ["day_before"], "one reminder of the new time"

    client.act(f"/v1/appointments/{appointment_id}/cancel", {}, key=registered["manage_token"])
    acme.clock.move_to(datetime(2027, 3, 4, 13, 30, tzinfo=UTC))
    assert told() == ["cancelled"]
    acme.clock.move_to(datetime(2027, 3, 5, 13, 30, tzinfo=UTC))
    assert told() == []


@pytest.mark.usefixtures("shifts")
def test_programs_that_follow_links_change_nothing_and_the_dispatcher_sees_who_will_be_there(
    acme: Acme, told: Told
) -> None:
    _, made = booked(acme, NEXT_DAY)
    path = f"/v1/appointments/{made['appointment']['id']}"
    told()
    acme.accept_all()
    acme.clock.move_to(datetime(2027, 3, 2, 23, 0, tzinfo=UTC))
    told()
    confirm, move = told.link("day_before", "confirm"), told.link("day_before", "move")
    before = acme.client.read(path, key=acme.dispatcher)

    for link in (confirm, move):
        for headers in ({}, {"Purpose": "prefetch"}, {"Sec-Purpose": "prefetch;prerender"}):
            for method in ("HEAD", "GET"):
                assert acme.client.open(link, method=method, headers=headers).status_code == 200
        assert acme.client.open(link, method="OPTIONS").status_code == 200
    followed = acme.client.read(path, key=acme.dispatcher)
    page, _, key = confirm.partition("?k=")
    acme.client.post(page, data={"k": key})
    answered = acme.client.read(path, key=acme.dispatcher)

    assert followed == before
    assert before["customer_confirmed_at"] is None
    assert answered["customer_confirmed_at"] == "2027-03-02T23:00:00Z"
    board = acme.client.read(
        "/v1/board", key=acme.dispatcher, territory_id=acme.territory["id"], date=NEXT_DAY
    )
    (stop,) = [stop for technician in board["technicians"] for stop in technician["stops"]]
    assert stop["customer_confirmed_at"] == answered["customer_confirmed_at"]


@pytest.mark.usefixtures("shifts")
def test_a_refused_booking_is_told_to_nobody(acme: Acme, told: Told) -> None:
    registered, made = booked(acme, NEXT_DAY)
    told()

    again = acme.client.call(
        "POST",
        "/v1/appointments",
        {"service_request_id": registered["service_request"]["id"], "slot_id": "any"},
        key=registered["manage_token"],
    )

    assert again.status_code == 409
    assert told() == []
    assert types(acme, made["appointment"]["id"]).count("appointment.booked") == 1


@pytest.mark.usefixtures("shifts")
def test_the_day_is_told_until_the_customer_is_asked_how_it_was(acme: Acme, told: Told) -> None:
    _, made = booked(acme, NEXT_DAY)
    appointment_id = made["appointment"]["id"]
    told()

    acme.accept(acme.offer(appointment_id)["id"])
    assert told() == ["technician_confirmed"]
    assert "Ada will come to you." in told.bodies["technician_confirmed"]
    acme.clock.move_to(datetime.fromisoformat(made["appointment"]["arrival_window"]["start"]))
    told()
    acme.progress(appointment_id, "en_route")
    assert told() == ["on_the_way"]
    assert "Expected between" in told.bodies["on_the_way"]
    acme.progress(appointment_id, "on_site")
    assert told() == ["arrived"]
    acme.progress(appointment_id, "completed")
    assert told() == ["done"]
    acme.clock.advance(hours=2)
    assert told() == ["rate_us"]
    assert made["tracking_url"] in told.bodies["rate_us"]


@pytest.mark.usefixtures("shifts")
def test_a_delay_reaches_the_next_customer_before_its_window_ends(acme: Acme, told: Told) -> None:
    _, first = booked(acme, NEXT_DAY)
    _, second = booked(acme, NEXT_DAY, FAR)
    for made in (first, second):
        acme.accept(acme.offer(made["appointment"]["id"])["id"])
    told()
    own = [
        acme.client.read(f"/v1/appointments/{made['appointment']['id']}", key=acme.dispatcher)
        for made in (first, second)
    ]
    own.sort(key=lambda appointment: str(appointment["scheduled_start"]))

    window_end = datetime.fromisoformat(own[1]["arrival_window"]["end"])
    acme.clock.move_to(datetime.fromisoformat(own[0]["scheduled_start"]))
    acme.progress(own[0]["id"], "en_route")
    acme.progress(own[0]["id"], "on_site")
    told()
    acme.clock.move_to(window_end - timedelta(minutes=5))
    sent = told()

    assert sent == ["running_late"]
    assert "we are sorry, we are running about" in told.bodies["running_late"]
    assert told() == []


def types(acme: Acme, appointment_id: str) -> list[str]:
    events = acme.client.read(f"/v1/appointments/{appointment_id}", key=acme.dispatcher)["events"]
    return [event["type"] for event in events]
