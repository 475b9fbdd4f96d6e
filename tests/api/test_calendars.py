"""Calendar feeds over HTTP, read as a calendar program reads them."""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import pytest
from icalendar import Calendar, Event

from tests.support.acme import CUSTOMERS, NEIGHBOURS, Acme
from tests.support.client import ApiClient

NEW_YORK = ZoneInfo("America/New_York")
LINK = "/v1/technicians/me/calendar"


@pytest.fixture
def booked(acme: Acme) -> Any:
    """Casey's visit at nine o'clock, planned with Ada."""
    acme.shift("2027-03-03T09:00:00-05:00", "2027-03-03T17:00:00-05:00")
    return visit(acme, "Casey", CUSTOMERS, "2027-03-03")


def visit(acme: Acme, name: str, place: dict[str, Any], day: str) -> Any:
    asked = acme.request(name, place, notes="Ring twice.")
    slots = acme.slots(asked, **{"from": day, "to": day})["items"]
    slot = min(slots, key=lambda slot: slot["arrival_window"]["start"])
    return asked | acme.book(asked, slot)


def subscribe(acme: Acme) -> str:
    """The path of a new link."""
    return urlsplit(acme.client.create(LINK, key=acme.ada_key)["url"]).path


def events(client: ApiClient, path: str) -> list[Event]:
    response = client.call("GET", path)
    assert response.status_code == 200, response.text
    calendar = Calendar.from_ical(response.data)
    assert calendar["VERSION"] == "2.0"
    return list(calendar.walk("VEVENT"))


def test_a_calendar_program_reads_when_what_and_roughly_where(acme: Acme, booked: Any) -> None:
    path = subscribe(acme)

    response = acme.client.call("GET", path)

    [event] = Calendar.from_ical(response.data).walk("VEVENT")
    planned = acme.client.read(f"/v1/appointments/{booked['appointment']['id']}", key=acme.ada_key)
    assert response.mimetype == "text/calendar"
    assert b"\r\nREFRESH-INTERVAL;VALUE=DURATION:PT15M\r\n" in response.data
    assert event["UID"] == booked["appointment"]["id"]
    assert event["SUMMARY"] == "Leak repair · Acme"
    assert event["LOCATION"] == "Brooklyn, New York"
    assert (event["GEO"].latitude, event["GEO"].longitude) == (40.71, -73.99)
    assert event["DTSTART"].dt == datetime.fromisoformat(planned["scheduled_start"])
    assert event["DTEND"].dt == datetime.fromisoformat(planned["scheduled_end"])
    assert event["SEQUENCE"] == planned["version"]
    day = event["DTSTART"].dt.astimezone(ZoneInfo("America/New_York")).date()
    assert event["URL"].endswith(f"/work/day?date={day}#visit-{event['UID']}")


def test_a_feed_tells_nobody_where_and_for_whom(acme: Acme, booked: Any) -> None:
    acme.accept(acme.offer(booked["appointment"]["id"])["id"])

    text = acme.client.call("GET", subscribe(acme)).text.replace("\r\n ", "")

    assert "BEGIN:VEVENT" in text
    for private in ("Elm Street", "Casey", "2125550123", "Lovelace", "Ring twice", "40.711"):
        assert private not in text


def test_what_is_not_accepted_yet_is_tentative(acme: Acme, booked: Any) -> None:
    path = subscribe(acme)
    [before] = events(acme.client, path)

    acme.accept(acme.offer(booked["appointment"]["id"])["id"])

    [after] = events(acme.client, path)
    assert (before["STATUS"], after["STATUS"]) == ("TENTATIVE", "CONFIRMED")
    assert after["UID"] == before["UID"]
    assert after["SEQUENCE"] > before["SEQUENCE"]


def test_a_visit_that_is_moved_keeps_its_uid_and_one_that_is_cancelled_goes(acme: Acme, booked: Any) -> None:
    path, drew = subscribe(acme), visit(acme, "Drew", NEIGHBOURS, "2027-03-03")
    former = {event["UID"]: event for event in events(acme.client, path)}
    slots = acme.slots(drew, **{"from": "2027-03-03", "to": "2027-03-03"})["items"]
    late = max(slots, key=lambda slot: slot["arrival_window"]["start"])

    acme.client.act(
        f"/v1/appointments/{drew['appointment']['id']}/reschedule",
        {"slot_id": late["slot_id"]},
        key=drew["manage_token"],
    )
    acme.client.act(f"/v1/appointments/{booked['appointment']['id']}/cancel", {}, key=booked["manage_token"])

    [event] = events(acme.client, path)
    assert event["UID"] == drew["appointment"]["id"]
    assert event["SEQUENCE"] > former[event["UID"]]["SEQUENCE"]
    assert event["DTSTART"].dt > former[event["UID"]]["DTSTART"].dt


def test_a_wall_clock_shows_the_same_hour_before_and_after_the_clocks_change(acme: Acme) -> None:
    # On 14 March 2027 New York's clocks go forward.
    acme.clock.move_to(datetime(2027, 3, 12, 13, tzinfo=UTC))
    acme.shift("2027-03-13T09:00:00-05:00", "2027-03-13T17:00:00-05:00")
    acme.shift("2027-03-14T09:00:00-04:00", "2027-03-14T17:00:00-04:00")
    for day, place in (("2027-03-13", CUSTOMERS), ("2027-03-14", NEIGHBOURS)):
        visit(acme, "Casey", place, day)

    starts = [event["DTSTART"].dt for event in events(acme.client, subscribe(acme))]

    assert [start.astimezone(NEW_YORK).hour for start in starts] == [9, 9]
    assert [start.astimezone(UTC).hour for start in starts] == [14, 13]


def test_a_program_that_asks_again_gets_nothing_new_until_something_changed(acme: Acme, booked: Any) -> None:
    path = subscribe(acme)
    first = acme.client.call("GET", path)
    acme.clock.advance(hours=1)

    def again() -> int:
        return acme.client.call("GET", path, headers={"If-None-Match": first.headers["ETag"]}).status_code

    unchanged = again()
    acme.accept(acme.offer(booked["appointment"]["id"])["id"])

    assert first.headers["Cache-Control"] == "private, no-cache"
    assert (unchanged, again()) == (304, 200)


def test_a_link_is_the_same_until_it_is_renewed_or_taken_back(acme: Acme) -> None:
    client, key = acme.client, acme.ada_key
    none_yet = client.call("GET", LINK, key=key).status_code
    first = subscribe(acme)
    same = urlsplit(client.read(LINK, key=key)["url"]).path
    second = subscribe(acme)
    answers = [client.call("GET", path).status_code for path in (first, second)]
    taken_back = client.call("DELETE", LINK, key=key).status_code
    wrong = [client.call("GET", path) for path in (first, second, "/v1/calendars/x.ics")]
    third = subscribe(acme)

    assert (none_yet, same) == (404, first)
    assert (answers, taken_back) == ([404, 200], 200)
    assert {(each.status_code, each.get_json(force=True)["code"]) for each in wrong} == {(404, "not_found")}
    assert len({first, second, third}) == 3
    assert len(first.rpartition("/")[2].removesuffix(".ics")) == 32, "192 bits"
    assert client.call("GET", LINK, key=acme.dispatcher).status_code == 403


def test_who_is_suspended_by_all_is_followed_no_more(acme: Acme, booked: Any) -> None:
    path = subscribe(acme)

    acme.client.act(f"/v1/technicians/{acme.ada['id']}/suspend", {"reason": "no papers"}, key=acme.dispatcher)

    assert acme.client.call("GET", path).status_code == 404
