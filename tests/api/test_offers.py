"""Offers over HTTP."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from dispatch.ids import new_id
from dispatch.offer_terms import locality_of
from tests.support.acme import ADA, CUSTOMERS, Acme

DAY = {"from": "2027-03-03", "to": "2027-03-03"}


@pytest.fixture
def booked(acme: Acme) -> Any:
    """A visit, promised and planned with Ada."""
    acme.shift("2027-03-03T09:00:00-05:00", "2027-03-03T17:00:00-05:00")
    casey = acme.request("Casey", CUSTOMERS)
    return acme.book(casey, acme.slots(casey, **DAY)["items"][0])["appointment"]


@pytest.fixture
def eve(acme: Acme) -> Any:
    """Another freelancer, who works the same day."""
    joined = acme.client.create("/v1/technicians", ADA | {"name": "Eve Fixer", "email": "eve@example.com"})
    path = f"/v1/technicians/{joined['technician']['id']}"
    acme.client.act(f"{path}/approve", key=acme.dispatcher)
    hours = {"starts_at": "2027-03-03T09:00:00-05:00", "ends_at": "2027-03-03T17:00:00-05:00"}
    acme.client.create(f"{path}/shifts", hours, key=acme.dispatcher)
    return joined


def post(acme: Acme, path: str, key: str, body: Any = None) -> tuple[int, Any]:
    response = acme.client.call("POST", path, body, key=key)
    return response.status_code, response.get_json(force=True)


def state_of(acme: Acme, visit: Any) -> tuple[str, str]:
    """Of the visit, and of its request."""
    row = acme.client.read(f"/v1/appointments/{visit['id']}", key=acme.dispatcher)
    request = acme.client.read(f"/v1/service-requests/{visit['service_request_id']}", key=acme.dispatcher)
    return row["status"], request["status"]


def test_an_offer_says_what_it_pays_and_not_where_the_customer_lives(acme: Acme, booked: Any) -> None:
    sent = acme.offer(booked["id"], expires_in_s=600, pay={"amount": 9000, "currency": "USD"})

    seen = acme.client.read(f"/v1/offers/{sent['id']}", key=acme.ada_key)
    assert (seen["status"], seen["pay"]["amount"], seen["duration_s"]) == ("pending", 9000, 3600)
    assert seen["net_per_hour"]["amount"] == round(9000 * 3600 / (3600 + seen["detour_s"]))
    assert seen["expires_at"] == "2027-03-02T13:10:00Z"
    assert seen["arrival_window"] == booked["arrival_window"]
    assert seen["area"] == {"lat": 40.71, "lon": -73.99, "locality": "Brooklyn, New York"}
    assert seen["why"]
    assert "technician_id" not in seen
    assert state_of(acme, booked) == ("scheduled", "offering")


def test_a_direct_offer_moves_the_visit_to_whom_it_asks(acme: Acme, booked: Any, eve: Any) -> None:
    sent = acme.offer(booked["id"], technician_ids=[eve["technician"]["id"]])

    visit = acme.client.read(f"/v1/appointments/{booked['id']}", key=acme.dispatcher)
    assert visit["technician"]["name"] == "Eve Fixer"
    assert sent["technician_id"] == eve["technician"]["id"]
    status, _ = post(acme, f"/v1/offers/{sent['id']}/accept", acme.ada_key)
    assert status == 404


def test_a_new_offer_supersedes_the_one_before(acme: Acme, booked: Any, eve: Any) -> None:
    first = acme.offer(booked["id"])
    second = acme.offer(booked["id"], technician_ids=[eve["technician"]["id"]])

    lost = post(acme, f"/v1/offers/{first['id']}/accept", acme.ada_key)
    won = post(acme, f"/v1/offers/{second['id']}/accept", eve["api_key"])

    assert (lost[0], lost[1]["code"]) == (409, "offer_taken")
    assert (won[0], won[1]["status"]) == (200, "accepted")
    listed = acme.client.read(f"/v1/appointments/{booked['id']}/offers", key=acme.dispatcher)["items"]
    assert {item["id"]: item["status"] for item in listed} == {
        first["id"]: "superseded",
        second["id"]: "accepted",
    }


def test_who_gave_a_visit_back_has_no_more_accepted_it(acme: Acme, booked: Any, eve: Any) -> None:
    given_back = acme.offer(booked["id"])["id"]
    acme.accept(given_back)
    acme.client.act(f"/v1/appointments/{booked['id']}/release", {"reason": "ill"}, key=acme.ada_key)
    taken = acme.offer(booked["id"], technician_ids=[eve["technician"]["id"]])["id"]
    acme.client.act(f"/v1/offers/{taken}/accept", key=eve["api_key"])

    status, problem = post(acme, f"/v1/offers/{given_back}/accept", acme.ada_key)

    assert (status, problem["code"]) == (409, "offer_taken")
    offers = acme.client.read(f"/v1/appointments/{booked['id']}/offers", key=acme.dispatcher)["items"]
    assert {offer["id"]: offer["status"] for offer in offers} == {given_back: "superseded", taken: "accepted"}


def test_a_rescheduled_visit_needs_a_new_acceptance(acme: Acme, booked: Any) -> None:
    accepted = acme.offer(booked["id"])["id"]
    acme.accept(accepted)
    path = f"/v1/service-requests/{booked['service_request_id']}/slots"
    slot = acme.client.read(path, key=acme.dispatcher, **DAY)["items"][-1]
    chosen = {"slot_id": slot["slot_id"]}
    acme.client.act(f"/v1/appointments/{booked['id']}/reschedule", chosen, key=acme.dispatcher)

    status, problem = post(acme, f"/v1/offers/{accepted}/accept", acme.ada_key)

    assert (status, problem["code"]) == (409, "offer_taken")
    assert state_of(acme, booked) == ("scheduled", "booked")


def test_a_declined_visit_goes_back_and_keeps_its_promise(acme: Acme, booked: Any) -> None:
    sent = acme.offer(booked["id"])

    first = post(acme, f"/v1/offers/{sent['id']}/decline", acme.ada_key, {"reason": "Too far."})
    second = post(acme, f"/v1/offers/{sent['id']}/decline", acme.ada_key)
    too_late = post(acme, f"/v1/offers/{sent['id']}/accept", acme.ada_key)

    assert (first[0], first[1]["status"], second[0]) == (200, "declined", 200)
    assert (too_late[0], too_late[1]["code"], too_late[1]["current"]) == (409, "invalid_state", "declined")
    assert state_of(acme, booked) == ("unassigned", "unfilled")
    visit = acme.client.read(f"/v1/appointments/{booked['id']}", key=acme.dispatcher)
    assert visit["arrival_window"] == booked["arrival_window"]


def test_too_late_is_too_late_whether_or_not_it_was_noted(acme: Acme, booked: Any) -> None:
    sent = acme.offer(booked["id"], expires_in_s=60)
    acme.clock.advance(seconds=60)

    unnoted = post(acme, f"/v1/offers/{sent['id']}/accept", acme.ada_key)
    shown = acme.client.read(f"/v1/offers/{sent['id']}", key=acme.ada_key)["status"]
    acme.worker()
    noted = post(acme, f"/v1/offers/{sent['id']}/accept", acme.ada_key)

    assert [(status, problem["code"]) for status, problem in (unnoted, noted)] == [
        (410, "offer_expired"),
        (410, "offer_expired"),
    ]
    assert shown == "expired"
    assert state_of(acme, booked) == ("unassigned", "unfilled")


def test_a_withdrawn_offer_frees_the_visit(acme: Acme, booked: Any) -> None:
    sent = acme.offer(booked["id"])

    withdrawn = post(acme, f"/v1/offers/{sent['id']}/withdraw", acme.dispatcher)
    late = post(acme, f"/v1/offers/{sent['id']}/accept", acme.ada_key)

    assert (withdrawn[0], withdrawn[1]["status"]) == (200, "withdrawn")
    assert (late[0], late[1]["code"]) == (409, "invalid_state")
    assert state_of(acme, booked) == ("unassigned", "booked")


def test_my_offers_are_listed_by_status(acme: Acme, booked: Any) -> None:
    sent = acme.offer(booked["id"], expires_in_s=60)

    def found(status: str) -> list[str]:
        answer = acme.client.read("/v1/technicians/me/offers", key=acme.ada_key, status=status)
        return [item["id"] for item in answer["items"]]

    assert (found("pending"), found("expired")) == ([sent["id"]], [])
    acme.clock.advance(minutes=1)
    assert (found("pending"), found("expired")) == ([], [sent["id"]])
    by_id = f"/v1/technicians/{acme.ada['id']}/offers"
    assert len(acme.client.read(by_id, key=acme.ada_key)["items"]) == 1
    other = acme.client.call("GET", f"/v1/technicians/{new_id()}/offers", key=acme.ada_key)
    assert other.status_code == 404


def test_who_is_pending_has_no_offers_to_read(acme: Acme) -> None:
    joined = acme.client.create("/v1/technicians", ADA | {"email": "new@example.com"})

    response = acme.client.call("GET", "/v1/technicians/me/offers", key=joined["api_key"])

    assert (response.status_code, response.get_json(force=True)["code"]) == (403, "not_approved")


@pytest.mark.parametrize(
    ("members", "field"),
    [
        ({"strategy": "shout"}, "strategy"),
        ({"technician_ids": []}, "technician_ids"),
        ({"technician_ids": ["7"]}, "technician_ids"),
        ({"pay": {"amount": 1, "currency": "EUR"}}, "pay.currency"),
        ({"pay": {"amount": 10**10, "currency": "USD"}}, "pay.amount"),
        ({"expires_in_s": 1}, "expires_in_s"),
    ],
)
def test_an_offer_that_cannot_be_made_is_refused_by_field(
    acme: Acme, booked: Any, members: dict[str, Any], field: str
) -> None:
    body = {"strategy": "direct"} | members

    status, problem = post(acme, f"/v1/appointments/{booked['id']}/offers", acme.dispatcher, body)

    assert status == 422
    assert [error["field"] for error in problem["errors"]] == [field]


def test_a_visit_under_way_is_offered_to_nobody(acme: Acme, booked: Any) -> None:
    acme.accept(acme.offer(booked["id"])["id"])

    status, problem = post(
        acme, f"/v1/appointments/{booked['id']}/offers", acme.dispatcher, {"strategy": "direct"}
    )

    assert (status, problem["code"], problem["current"]) == (409, "invalid_state", "dispatched")


def test_a_visit_that_is_offered_inside_its_window_begins_in_what_is_left_of_it(
    acme: Acme, booked: Any
) -> None:
    acme.accept(acme.offer(booked["id"])["id"])
    acme.client.act(f"/v1/appointments/{booked['id']}/release", {"reason": "Ill."}, key=acme.ada_key)
    begins = datetime.fromisoformat(booked["arrival_window"]["start"])
    acme.clock.move_to(begins + timedelta(hours=1))

    acme.offer(booked["id"])

    visit = acme.client.read(f"/v1/appointments/{booked['id']}", key=acme.dispatcher)
    assert datetime.fromisoformat(visit["scheduled_start"]) >= acme.clock()
    assert visit["arrival_window"] == booked["arrival_window"]


def test_a_visit_whose_window_is_over_is_offered_to_nobody(acme: Acme, booked: Any) -> None:
    acme.accept(acme.offer(booked["id"])["id"])
    acme.client.act(f"/v1/appointments/{booked['id']}/release", {"reason": "Ill."}, key=acme.ada_key)
    acme.clock.advance(days=2)
    body = {"strategy": "direct", "technician_ids": [acme.ada["id"]]}

    status, problem = post(acme, f"/v1/appointments/{booked['id']}/offers", acme.dispatcher, body)

    assert (status, problem["code"]) == (409, "no_longer_fits")


def test_an_employee_is_not_asked(acme: Acme, booked: Any) -> None:
    acme.client.act(f"/v1/technicians/{acme.ada['id']}/approve", {"kind": "employee"}, key=acme.dispatcher)

    status, problem = post(
        acme, f"/v1/appointments/{booked['id']}/offers", acme.dispatcher, {"strategy": "direct"}
    )

    assert (status, problem["errors"][0]["field"]) == (422, "technician_ids")


@pytest.mark.parametrize(
    ("address", "locality"),
    [
        ("350 5th Ave, New York", "New York"),
        ("7 Elm Street, Apt 4, Brooklyn, NY 11201", "Brooklyn"),
        ("Broadway", None),
        (None, None),
    ],
)
def test_the_locality_of_an_address_holds_neither_street_nor_number(
    address: str | None, locality: str | None
) -> None:
    assert locality_of(address) == locality
