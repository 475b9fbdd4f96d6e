"""Slots and holds over HTTP."""

from typing import Any

from sqlalchemy import Engine
from sqlmodel import select

from dispatch.calendar import CalendarBlock
from dispatch.database import open_session, transaction
from dispatch.keys import issue_key
from dispatch.organization import organization_by_slug
from tests.support.acme import CUSTOMERS, NEIGHBOURS, Acme

DAY = {"from": "2027-03-03", "to": "2027-03-03"}


def morning(acme: Acme) -> None:
    """Room for one visit."""
    acme.shift("2027-03-03T09:00:00-05:00", "2027-03-03T10:45:00-05:00")


def hold(acme: Acme, registered: Any, slot: Any) -> Any:
    return acme.client.call(
        "POST", "/v1/slots/hold", {"slot_id": slot["slot_id"]}, key=registered["manage_token"]
    )


def test_a_slot_is_a_window_on_the_grid_with_its_price(acme: Acme) -> None:
    morning(acme)
    casey = acme.request("Casey", CUSTOMERS)

    found = acme.slots(casey, **DAY)

    assert (found["reasons"], found["would_fit_if"]) == ([], [])
    windows = [item["arrival_window"] for item in found["items"]]
    assert {"start": "2027-03-03T14:00:00Z", "end": "2027-03-03T16:00:00Z"} in windows
    slot = found["items"][0]
    assert slot["price"] == {"amount": 12000, "currency": "USD"}
    assert slot["grade"] in range(0, 101, 10)
    assert "extra_travel_s" not in slot
    path = f"/v1/service-requests/{casey['service_request']['id']}/slots"
    assert "extra_travel_s" in acme.client.read(path, key=acme.dispatcher, **DAY)["items"][0]


def test_no_slot_says_why_and_names_nobody_to_a_customer(acme: Acme) -> None:
    casey = acme.request("Casey", CUSTOMERS)

    found = acme.slots(casey, **DAY)

    assert found["items"] == []
    assert [reason["code"] for reason in found["reasons"]] != []
    assert acme.ada["id"] not in str(found)


def test_a_search_covers_14_days_at_most_and_runs_forward(acme: Acme) -> None:
    casey = acme.request("Casey", CUSTOMERS)
    path = f"/v1/service-requests/{casey['service_request']['id']}/slots"

    for wrong in (
        {"from": "2027-03-03", "to": "2027-03-17"},
        {"from": "2027-03-03", "to": "2027-03-02"},
        {"from": "2027-03-03T00:00:00Z"},
        {"limit": 0},
        {"colour": "red"},
    ):
        response = acme.client.call("GET", path, key=casey["manage_token"], query=wrong)
        assert response.status_code == 422, wrong
    assert acme.slots(casey, **{"from": "2027-03-03", "to": "2027-03-16"})["items"] == []


def test_a_hold_keeps_the_window_from_others_until_it_expires(acme: Acme) -> None:
    morning(acme)
    casey, drew = acme.request("Casey", CUSTOMERS), acme.request("Drew", NEIGHBOURS)
    slot, drews = acme.slots(casey, **DAY)["items"][0], acme.slots(drew, **DAY)["items"][0]

    held = hold(acme, casey, slot)
    refused = acme.client.call(
        "POST",
        "/v1/appointments",
        {"service_request_id": drew["service_request"]["id"], "slot_id": drews["slot_id"]},
        key=drew["manage_token"],
    )

    assert (held.status_code, held.get_json()["expires_at"]) == (201, "2027-03-02T13:05:00Z")
    assert refused.get_json(force=True)["code"] == "slot_taken"
    acme.clock.advance(minutes=5)
    acme.worker()
    assert acme.book(drew, drews)["appointment"]["status"] == "scheduled"


def test_booking_with_a_hold_uses_the_time_that_it_held(acme: Acme) -> None:
    morning(acme)
    casey = acme.request("Casey", CUSTOMERS)
    slot = acme.slots(casey, **DAY)["items"][0]
    held = hold(acme, casey, slot).get_json()

    booked = acme.book(casey, slot, hold_id=held["hold_id"])

    assert booked["appointment"]["arrival_window"] == slot["arrival_window"]
    again = acme.client.call("DELETE", f"/v1/holds/{held['hold_id']}", key=casey["manage_token"])
    assert again.status_code == 200
    board = acme.client.read(
        "/v1/board", key=acme.dispatcher, territory_id=acme.territory["id"], date="2027-03-03"
    )
    assert len(board["technicians"][0]["stops"]) == 1


def test_a_hold_that_is_over_and_one_of_another_request_book_nothing(acme: Acme) -> None:
    morning(acme)
    casey, drew = acme.request("Casey", CUSTOMERS), acme.request("Drew", NEIGHBOURS)
    slot, drews = acme.slots(casey, **DAY)["items"][0], acme.slots(drew, **DAY)["items"][0]
    held = hold(acme, casey, slot).get_json()["hold_id"]

    def refusal(registered: Any, slot: Any) -> tuple[int, str]:
        body = {
            "service_request_id": registered["service_request"]["id"],
            "slot_id": slot["slot_id"],
            "hold_id": held,
        }
        response = acme.client.call("POST", "/v1/appointments", body, key=registered["manage_token"])
        return response.status_code, response.get_json(force=True)["code"]

    assert refusal(drew, drews) == (422, "unknown_reference")
    acme.clock.advance(minutes=6)
    assert refusal(casey, slot) == (410, "hold_expired")


def test_a_third_hold_of_a_request_is_one_too_many(acme: Acme) -> None:
    acme.shift("2027-03-03T09:00:00-05:00", "2027-03-03T17:00:00-05:00")
    casey = acme.request("Casey", CUSTOMERS)
    slots = acme.slots(casey, **DAY)["items"]

    def held(slot: Any) -> Any:
        return acme.client.call("POST", "/v1/slots/hold", {"slot_id": slot["slot_id"]}, key=acme.dispatcher)

    answers = [held(slot) for slot in slots[:3]]

    assert [answer.status_code for answer in answers] == [201, 201, 409]
    assert answers[2].get_json(force=True)["code"] == "too_many_holds"
    released = acme.client.call(
        "DELETE", f"/v1/holds/{answers[0].get_json()['hold_id']}", key=acme.dispatcher
    )
    assert released.status_code == 200
    assert held(slots[2]).status_code == 201


def test_others_may_not_hold_a_day_of_which_a_tenth_is_held(acme: Acme) -> None:
    acme.shift("2027-03-03T09:00:00-05:00", "2027-03-03T17:00:00-05:00")
    casey, drew = acme.request("Casey", CUSTOMERS), acme.request("Drew", NEIGHBOURS)
    slots = acme.slots(casey, **DAY)["items"]

    own = [hold(acme, casey, slot).status_code for slot in slots[:2]]
    other = hold(acme, drew, acme.slots(drew, **DAY)["items"][0])

    assert own == [201, 201]
    assert (other.status_code, other.get_json(force=True)["code"]) == (409, "too_many_holds")


def test_a_hold_is_its_own_peoples_alone(acme: Acme) -> None:
    morning(acme)
    casey, drew = acme.request("Casey", CUSTOMERS), acme.request("Drew", NEIGHBOURS)
    slot = acme.slots(casey, **DAY)["items"][0]
    held = hold(acme, casey, slot).get_json()["hold_id"]

    foreign_slot = hold(acme, drew, slot)
    foreign_hold = acme.client.call("DELETE", f"/v1/holds/{held}", key=drew["manage_token"])

    assert (foreign_slot.status_code, foreign_slot.get_json(force=True)["code"]) == (422, "invalid_slot")
    assert foreign_hold.status_code == 404


def test_cancelling_a_request_gives_back_what_it_holds(acme: Acme) -> None:
    morning(acme)
    casey, drew = acme.request("Casey", CUSTOMERS), acme.request("Drew", NEIGHBOURS)
    hold(acme, casey, acme.slots(casey, **DAY)["items"][0])
    assert acme.slots(drew, **DAY)["items"] == []

    acme.client.act(
        f"/v1/service-requests/{casey['service_request']['id']}/cancel", key=casey["manage_token"]
    )

    assert acme.slots(drew, **DAY)["items"] != []


def test_an_integration_finds_slots_but_no_travel(acme: Acme, engine: Engine) -> None:
    morning(acme)
    casey = acme.request("Casey", CUSTOMERS)
    with transaction(engine) as session:
        organization = organization_by_slug(session, "acme")
        _, key = issue_key(session, "integration", organization_id=organization.id, now=acme.clock())

    found = acme.client.read(f"/v1/service-requests/{casey['service_request']['id']}/slots", key=key, **DAY)

    assert found["items"]
    assert "extra_travel_s" not in found["items"][0]


def test_a_promise_is_moved_into_what_was_held_for_it(acme: Acme, engine: Engine) -> None:
    acme.shift("2027-03-03T09:00:00-05:00", "2027-03-03T17:00:00-05:00")
    casey, drew = acme.request("Casey", CUSTOMERS), acme.request("Drew", NEIGHBOURS)
    booked = acme.book(casey, slot_at(acme, casey, "14:00"))["appointment"]
    acme.book(drew, slot_at(acme, drew, "17:00"))
    later = slot_at(acme, casey, "18:00")
    held = hold(acme, casey, later).get_json()["hold_id"]
    assert kinds(engine) == ["hold", "visit", "visit"]

    moved = acme.client.act(
        f"/v1/appointments/{booked['id']}/reschedule",
        {"slot_id": later["slot_id"], "hold_id": held},
        key=casey["manage_token"],
    )

    assert moved["arrival_window"] == later["arrival_window"]
    assert kinds(engine) == ["visit", "visit"]


def slot_at(acme: Acme, registered: Any, utc: str) -> Any:
    """The slot that begins at this time of the day."""
    items = acme.slots(registered, **DAY)["items"]
    return next(item for item in items if item["arrival_window"]["start"] == f"2027-03-03T{utc}:00Z")


def kinds(engine: Engine) -> list[str]:
    with open_session(engine, read_only=True) as session:
        return sorted(session.exec(select(CalendarBlock.kind)).all())
