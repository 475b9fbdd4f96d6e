"""The board over HTTP, read and followed live."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta
from typing import Any

import pytest
from werkzeug.test import TestResponse

from api import streaming
from dispatch.ids import new_id
from tests.support.acme import CUSTOMERS, NEIGHBOURS, Acme

DATE = "2027-03-03"
DAY = {"from": DATE, "to": DATE}


def board(acme: Acme, **query: Any) -> Any:
    return acme.client.read("/v1/board", key=acme.dispatcher, territory_id=acme.territory["id"], **query)


def test_the_board_shows_who_works_and_where_and_what_is_left(acme: Acme) -> None:
    acme.shift("2027-03-03T09:00:00-05:00", "2027-03-03T10:45:00-05:00")
    casey, drew = acme.request("Casey", CUSTOMERS), acme.request("Drew", NEIGHBOURS)
    booked = acme.book(casey, acme.slots(casey, **DAY)["items"][0])["appointment"]

    shown = board(acme, date=DATE)

    ada = shown["technicians"][0]
    assert (ada["name"], ada["kind"], ada["duty"]) == ("Ada Lovelace", "freelancer", "off_duty")
    assert [shift["starts_at"] for shift in ada["shifts"]] == ["2027-03-03T14:00:00Z"]
    stop = ada["stops"][0]
    assert (stop["appointment_id"], stop["status"]) == (booked["id"], "scheduled")
    assert stop["arrival_window"] == booked["arrival_window"]
    assert stop["place"]["address"] == CUSTOMERS["address"]
    assert ada["travel_s"] == stop["travel_s"] > 0
    left = shown["unassigned"][0]
    assert left["appointment_id"] == drew["appointment"]["id"]
    assert left["reasons"]
    assert left["fits"] == 0
    assert (shown["kpis"]["planned"], shown["kpis"]["unassigned"]) == (1, 1)


def test_without_a_date_it_is_today_in_the_territory(acme: Acme) -> None:
    assert (board(acme)["date"], board(acme)["time_zone"]) == ("2027-03-02", "America/New_York")


def test_another_organizations_territory_is_unknown(acme: Acme) -> None:
    response = acme.client.call(
        "GET", "/v1/board", key=acme.dispatcher, query={"territory_id": new_id(), "date": DATE}
    )

    assert (response.status_code, response.get_json(force=True)["code"]) == (422, "unknown_reference")


def test_the_board_is_the_dispatchers(acme: Acme) -> None:
    response = acme.client.call(
        "GET", "/v1/board", key=acme.ada_key, query={"territory_id": acme.territory["id"]}
    )

    assert response.status_code == 403


# As the day runs


@pytest.fixture
def follow(acme: Acme, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], TestResponse]]:
    """Opens a stream of the day's board with the cookie of the login, looked at a hundred times a second; all are
    closed at the end."""
    monkeypatch.setattr(streaming, "LOOK_EVERY_S", 0.01)
    browser = acme.client.application.test_client()
    browser.post("/login", data={"key": acme.dispatcher})
    path = f"/v1/board/events?territory_id={acme.territory['id']}&date={DATE}"
    with ExitStack() as opened:

        def open_() -> TestResponse:
            response = browser.get(path)
            opened.callback(response.close)
            return response

        yield open_


@pytest.fixture
def booked(acme: Acme) -> Any:
    """A visit that Ada has accepted."""
    acme.shift("2027-03-03T09:00:00-05:00", "2027-03-03T17:00:00-05:00")
    casey = acme.request("Casey", CUSTOMERS)
    visit = acme.book(casey, acme.slots(casey, **DAY)["items"][0])
    acme.accept(acme.offer(visit["appointment"]["id"])["id"])
    return visit


def version_of(event: str) -> str:
    [line] = [line for line in event.splitlines() if line.startswith("data: ")]
    data = json.loads(line.removeprefix("data: "))
    assert list(data) == ["version"]
    version: str = data["version"]
    return version


def versions(response: TestResponse) -> Iterator[str]:
    told = (chunk.decode() for chunk in response.iter_encoded())
    return (version_of(event) for event in told if "event: update" in event)


def test_a_position_that_makes_a_visit_late_is_told_to_everybody_at_once(
    acme: Acme, booked: Any, follow: Callable[[], TestResponse]
) -> None:
    visit = booked["appointment"]
    start = datetime.fromisoformat(visit["scheduled_start"])
    acme.clock.move_to(start - timedelta(minutes=30))
    acme.drives(40.705, -73.991)
    acme.progress(visit["id"], "en_route")
    before = acme.client.read(f"/v1/track/{booked['tracking_token']}")["eta"]
    told = versions(follow())
    first = next(told)

    acme.drives(41.2, -73.99)
    second = next(told)
    after = acme.client.read(f"/v1/track/{booked['tracking_token']}")["eta"]
    shown = board(acme, date=DATE)

    [ada], [stop] = shown["technicians"], shown["technicians"][0]["stops"]
    assert first != second
    assert ada["position"] == {"lat": 41.2, "lon": -73.99, "at": acme.clock().isoformat()[:19] + "Z"}
    assert datetime.fromisoformat(after["start"]) - datetime.fromisoformat(before["start"]) > timedelta(
        hours=1
    )
    expected = datetime.fromisoformat(stop["expected_start"])
    late_s = (expected - datetime.fromisoformat(visit["arrival_window"]["end"])).total_seconds()
    assert 0 < late_s <= stop["late_by_s"] < late_s + 60
    assert shown["alerts"] == [
        {
            "kind": "late",
            "appointment_id": visit["id"],
            "technician_id": acme.ada["id"],
            "since": acme.clock().isoformat()[:19] + "Z",
            "detail": f"It will begin {-(-stop['late_by_s'] // 60)} minutes after the promised window.",
            "repair": {
                "kind": "overrun",
                "technician_id": acme.ada["id"],
                "appointment_id": visit["id"],
            },
        }
    ]
    assert (shown["kpis"]["late"], shown["kpis"]["alerts"]) == (1, 1)
    events = acme.client.read(f"/v1/appointments/{visit['id']}", key=acme.dispatcher)["events"]
    assert [event["by"] for event in events if event["type"] == "appointment.late"] == ["system"]


def test_a_stop_says_what_a_dispatcher_wants_to_know(acme: Acme, booked: Any) -> None:
    path = f"/v1/appointments/{booked['appointment']['id']}"
    etag = acme.client.call("GET", path, key=acme.dispatcher).headers["ETag"]
    pinned = acme.client.act(f"{path}/pin", {"time": True}, key=acme.dispatcher, if_match=etag)

    [stop] = board(acme, date=DATE)["technicians"][0]["stops"]

    assert (stop["service_name"], stop["customer_name"]) == ("Leak repair", "Casey")
    assert (stop["pinned"], stop["pinned_time"], stop["version"]) == (True, True, pinned["version"])
    assert (stop["expected_start"], stop["late_by_s"], stop["offer"]) == (None, 0, None)
    assert stop["customer_confirmed"] is False


def test_an_offer_that_waits_is_shown_with_its_visit(acme: Acme) -> None:
    acme.shift("2027-03-03T09:00:00-05:00", "2027-03-03T17:00:00-05:00")
    casey = acme.request("Casey", CUSTOMERS)
    visit = acme.book(casey, acme.slots(casey, **DAY)["items"][0])["appointment"]
    offer = acme.offer(visit["id"])
    pay = {"amount": offer["pay"]["amount"] + 1000, "currency": "USD"}

    before = board(acme, date=DATE)
    acme.client.act(f"/v1/offers/{offer['id']}/counter", {"pay": pay}, key=acme.ada_key)
    after = board(acme, date=DATE)

    shown = {"id": offer["id"], "technician_id": acme.ada["id"], "expires_at": offer["expires_at"]}
    assert before["technicians"][0]["stops"][0]["offer"] == {**shown, "status": "pending"}
    assert after["technicians"][0]["stops"][0]["offer"] == {**shown, "status": "countered"}
    assert [(alert["kind"], alert["repair"]) for alert in after["alerts"]] == [("counter_offer", None)]


def test_a_stream_tells_every_change_of_the_board_and_nothing_else(
    acme: Acme, booked: Any, follow: Callable[[], TestResponse], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "HEARTBEAT_S", 0.05)
    response = follow()
    told = (chunk.decode() for chunk in response.iter_encoded())

    begun = next(told)
    acme.client.create(f"/v1/track/{booked['tracking_token']}/messages", {"text": "Hello"})
    silent = next(told)
    acme.request("Drew", NEIGHBOURS)
    changed = next(event for event in told if "event: update" in event)

    assert response.headers["Content-Type"].startswith("text/event-stream")
    assert begun.startswith("retry: 3000\nevent: update\ndata: ")
    assert silent == ": nothing new\n\n"
    assert version_of(changed) != version_of(begun)


def test_a_board_that_is_followed_twice_has_one_version(
    acme: Acme, booked: Any, follow: Callable[[], TestResponse]
) -> None:
    assert next(versions(follow())) == next(versions(follow()))


def test_beyond_the_places_one_is_sent_away_and_polls(follow: Callable[[], TestResponse]) -> None:
    opened = [follow() for _ in range(8)]

    refused = follow()

    assert {response.status_code for response in opened} == {200}
    assert (refused.status_code, refused.get_json(force=True)["code"]) == (503, "no_stream_free")
    assert int(refused.headers["Retry-After"]) >= 1


def test_a_board_is_followed_by_dispatchers_of_its_organization_alone(acme: Acme) -> None:
    def ask(territory_id: str, key: str | None) -> int:
        query = {"territory_id": territory_id}
        return acme.client.call("GET", "/v1/board/events", key=key, query=query).status_code

    known = acme.territory["id"]
    assert [ask(known, None), ask(known, acme.ada_key), ask(new_id(), acme.dispatcher)] == [401, 403, 422]
