"""Rounds of offers over HTTP: one after another, all at once, counter-offers, nobody."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.support.acme import ADA, CUSTOMERS, Acme

DAY = {"from": "2027-03-03", "to": "2027-03-03"}


@pytest.fixture
def booked(acme: Acme) -> Any:
    """A visit on the next day from nine, promised and planned with Ada."""
    acme.shift("2027-03-03T09:00:00-05:00", "2027-03-03T17:00:00-05:00")
    casey = acme.request("Casey", CUSTOMERS)
    return acme.book(casey, acme.slots(casey, **DAY)["items"][0])["appointment"]


def joined(acme: Acme, name: str, *, lat: float = 40.70, works: bool = True) -> Any:
    """Another freelancer, who works the same day; with its key as `key`."""
    place = {"lat": lat, "lon": -73.99, "address": "Somewhere, Brooklyn, New York"}
    body = ADA | {"name": name, "email": f"{name.split()[0].lower()}@example.com", "home": place}
    answer = acme.client.create("/v1/technicians", body)
    path = f"/v1/technicians/{answer['technician']['id']}"
    acme.client.act(f"{path}/approve", key=acme.dispatcher)
    if works:
        hours = {"starts_at": "2027-03-03T09:00:00-05:00", "ends_at": "2027-03-03T17:00:00-05:00"}
        acme.client.create(f"{path}/shifts", hours, key=acme.dispatcher)
    return answer["technician"] | {"key": answer["api_key"]}


def send(acme: Acme, visit: Any, **body: Any) -> list[Any]:
    items = acme.client.create(f"/v1/appointments/{visit['id']}/offers", body, key=acme.dispatcher)["items"]
    assert isinstance(items, list)
    return items


def post(acme: Acme, path: str, key: str, body: Any = None) -> tuple[int, Any]:
    response = acme.client.call("POST", path, body, key=key)
    return response.status_code, response.get_json(force=True)


def answer(acme: Acme, offer: Any, verb: str, key: str, body: Any = None) -> tuple[int, Any]:
    return post(acme, f"/v1/offers/{offer['id']}/{verb}", key, body)


def visit_of(acme: Acme, visit: Any) -> Any:
    return acme.client.read(f"/v1/appointments/{visit['id']}", key=acme.dispatcher)


def request_status(acme: Acme, visit: Any) -> str:
    path = f"/v1/service-requests/{visit['service_request_id']}"
    status = acme.client.read(path, key=acme.dispatcher)["status"]
    assert isinstance(status, str)
    return status


def statuses(acme: Acme, visit: Any) -> list[str]:
    """Of the visit's offers, the oldest first."""
    listed = acme.client.read(f"/v1/appointments/{visit['id']}/offers", key=acme.dispatcher)["items"]
    return [item["status"] for item in reversed(listed)]


# All at once


def test_the_first_to_accept_a_broadcast_has_the_visit(acme: Acme, booked: Any) -> None:
    bo, cy = joined(acme, "Bo Second"), joined(acme, "Cy Third")
    ids = [acme.ada["id"], bo["id"], cy["id"]]
    to_ada, to_bo, to_cy = send(acme, booked, strategy="broadcast", technician_ids=ids)
    before = visit_of(acme, booked)

    won = answer(acme, to_bo, "accept", bo["key"])
    again = answer(acme, to_bo, "accept", bo["key"])
    lost = [answer(acme, to_ada, "accept", acme.ada_key), answer(acme, to_cy, "accept", cy["key"])]

    assert (before["status"], before["technician"]) == ("unassigned", None)
    assert before["arrival_window"] == booked["arrival_window"]
    assert (won[0], again[0], won[1]["status"], won[1]["strategy"]) == (200, 200, "accepted", "broadcast")
    assert [(status, problem["code"]) for status, problem in lost] == [(409, "offer_taken")] * 2
    visit = visit_of(acme, booked)
    assert (visit["status"], visit["technician"]["name"]) == ("dispatched", "Bo Second")
    assert visit["arrival_window"] == booked["arrival_window"]
    assert sorted(statuses(acme, booked)) == ["accepted", "superseded", "superseded"]


def test_nobody_learns_who_else_is_asked(acme: Acme, booked: Any) -> None:
    bo = joined(acme, "Bo Second")
    sent = send(acme, booked, strategy="broadcast", technician_ids=[acme.ada["id"], bo["id"]])

    seen = acme.client.read(f"/v1/offers/{sent[0]['id']}", key=acme.ada_key)

    assert seen.keys().isdisjoint({"technician_id", "counter", "round_id"})
    assert bo["id"] not in str(seen)
    assert "Bo" not in str(seen)


def test_a_calendar_that_filled_meanwhile_takes_no_more_and_the_others_still_may(
    acme: Acme, booked: Any
) -> None:
    bo = joined(acme, "Bo Second")
    to_ada, to_bo = send(acme, booked, strategy="broadcast", technician_ids=[acme.ada["id"], bo["id"]])
    path = f"/v1/technicians/{acme.ada['id']}/shifts"
    shift = acme.client.read(path, key=acme.dispatcher, **DAY)["items"][0]
    acme.client.call("DELETE", f"{path}/{shift['id']}", key=acme.dispatcher)

    lost = answer(acme, to_ada, "accept", acme.ada_key)
    won = answer(acme, to_bo, "accept", bo["key"])

    assert (lost[0], lost[1]["code"]) == (409, "no_longer_fits")
    assert won[0] == 200


def test_a_no_to_a_broadcast_leaves_the_others_asked(acme: Acme, booked: Any) -> None:
    bo = joined(acme, "Bo Second", lat=40.72)
    to_ada, _ = send(acme, booked, strategy="broadcast")

    answer(acme, to_ada, "decline", acme.ada_key)

    listed = acme.client.read("/v1/technicians/me/offers", key=bo["key"], status="pending")["items"]
    assert [item["appointment_id"] for item in listed] == [booked["id"]]
    assert (visit_of(acme, booked)["status"], request_status(acme, booked)) == ("unassigned", "offering")


def test_a_pay_far_below_the_usual_is_put_to_more_at_once(acme: Acme, booked: Any) -> None:
    for number in range(7):
        joined(acme, f"Plumber {number}")

    usual = send(acme, booked, strategy="broadcast")
    little = send(acme, booked, strategy="broadcast", pay={"amount": 600, "currency": "USD"})

    assert len(usual) == 5
    assert len(little) > 5


# One after another


def test_a_cascade_goes_to_the_next_when_one_declines(acme: Acme, booked: Any) -> None:
    bo = joined(acme, "Bo Second", lat=40.72)
    [first] = send(acme, booked, strategy="cascade")

    answer(acme, first, "decline", acme.ada_key, {"reason": "Too far."})
    [second] = acme.client.read("/v1/technicians/me/offers", key=bo["key"], status="pending")["items"]
    held = visit_of(acme, booked)
    won = answer(acme, second, "accept", bo["key"])

    assert first["technician_id"] == acme.ada["id"]
    assert (held["status"], held["technician"]["name"]) == ("scheduled", "Bo Second")
    assert won[0] == 200
    assert statuses(acme, booked) == ["declined", "accepted"]
    assert request_status(acme, booked) == "booked"


def test_a_cascade_goes_to_the_next_when_nobody_answers(acme: Acme, booked: Any) -> None:
    bo = joined(acme, "Bo Second", lat=40.72)
    [first] = send(acme, booked, strategy="cascade", expires_in_s=600)

    acme.clock.advance(seconds=600)
    acme.worker()
    acme.worker()

    [second] = acme.client.read("/v1/technicians/me/offers", key=bo["key"], status="pending")["items"]
    assert statuses(acme, booked) == ["expired", "pending"]
    assert datetime.fromisoformat(second["expires_at"]) == acme.clock() + timedelta(seconds=600)
    assert first["strategy"] == second["strategy"] == "cascade"


def test_who_is_named_is_asked_in_that_order_and_nobody_else(acme: Acme, booked: Any) -> None:
    bo, cy = joined(acme, "Bo Second"), joined(acme, "Cy Third")
    [first] = send(acme, booked, strategy="cascade", technician_ids=[cy["id"], bo["id"]])

    answer(acme, first, "decline", cy["key"])
    [second] = acme.client.read("/v1/technicians/me/offers", key=bo["key"], status="pending")["items"]
    answer(acme, second, "decline", bo["key"])

    assert first["technician_id"] == cy["id"]
    assert statuses(acme, booked) == ["declined", "declined"]
    assert request_status(acme, booked) == "unfilled"


def test_when_time_runs_short_the_rest_is_asked_at_once(acme: Acme, booked: Any) -> None:
    """Each would have 30 minutes, and there are less than that for all who are needed."""
    for name in ("Bo Second", "Cy Third", "Di Fourth"):
        joined(acme, name)
    begins = datetime.fromisoformat(booked["arrival_window"]["start"])
    acme.clock.move_to(begins - timedelta(minutes=80))
    pay = {"amount": 1200, "currency": "USD"}

    sent = send(acme, booked, strategy="cascade", expires_in_s=1800, pay=pay)

    assert len(sent) > 1
    assert {offer["strategy"] for offer in sent} == {"broadcast"}
    assert visit_of(acme, booked)["status"] == "unassigned"


# Counter-offers


def test_a_counter_offer_is_shown_to_the_dispatcher_by_what_it_means_for_the_plan(
    acme: Acme, booked: Any
) -> None:
    bo = joined(acme, "Bo Second", lat=40.72)
    sent = acme.offer(booked["id"], pay={"amount": 6000, "currency": "USD"})
    body = {"pay": {"amount": 7500, "currency": "USD"}, "note": "Heavy."}

    first = answer(acme, sent, "counter", acme.ada_key, body)
    again = answer(acme, sent, "counter", acme.ada_key, body)

    seen = acme.client.read(f"/v1/offers/{sent['id']}", key=acme.dispatcher)
    assert (first[0], again[0], first[1]["status"], "counter" in first[1]) == (200, 200, "countered", False)
    assert seen["counter"]["pay"]["amount"] == 7500
    assert seen["counter"]["note"] == "Heavy."
    assert seen["counter"]["extra_cost"]["amount"] == 1500
    assert seen["counter"]["total_cost"]["amount"] > 7500
    assert 6000 < seen["counter"]["next_best_total_cost"]["amount"] < seen["counter"]["total_cost"]["amount"]
    assert seen["expires_at"] == sent["expires_at"]
    assert bo


def test_an_accepted_counter_offer_is_an_acceptance_at_that_pay(acme: Acme, booked: Any) -> None:
    sent = acme.offer(booked["id"], pay={"amount": 6000, "currency": "USD"})
    answer(acme, sent, "counter", acme.ada_key, {"pay": {"amount": 7500, "currency": "USD"}})

    by_itself = answer(acme, sent, "accept", acme.ada_key)
    taken = answer(acme, sent, "counter/accept", acme.dispatcher)
    again = answer(acme, sent, "counter/accept", acme.dispatcher)

    assert (by_itself[0], by_itself[1]["code"], by_itself[1]["current"]) == (
        409,
        "invalid_state",
        "countered",
    )
    assert (taken[0], taken[1]["status"], taken[1]["pay"]["amount"], again[0]) == (200, "accepted", 7500, 200)
    assert visit_of(acme, booked)["status"] == "dispatched"


def test_a_rejected_counter_offer_is_pending_again_while_time_is_left(acme: Acme, booked: Any) -> None:
    sent = acme.offer(booked["id"], expires_in_s=600, pay={"amount": 6000, "currency": "USD"})
    answer(acme, sent, "counter", acme.ada_key, {"pay": {"amount": 7500, "currency": "USD"}})

    rejected = answer(acme, sent, "counter/reject", acme.dispatcher)
    again = answer(acme, sent, "counter/reject", acme.dispatcher)
    accepted = answer(acme, sent, "accept", acme.ada_key)

    assert (rejected[0], rejected[1]["status"], again[0]) == (200, "pending", 200)
    assert (accepted[0], accepted[1]["pay"]["amount"]) == (200, 6000)


def test_a_counter_offer_does_not_stop_the_clock(acme: Acme, booked: Any) -> None:
    sent = acme.offer(booked["id"], expires_in_s=600)
    answer(acme, sent, "counter", acme.ada_key, {"pay": {"amount": 7500, "currency": "USD"}})
    acme.clock.advance(seconds=600)

    late = [answer(acme, sent, f"counter/{verb}", acme.dispatcher) for verb in ("accept", "reject")]
    acme.worker()

    assert [(status, problem["code"]) for status, problem in late] == [(410, "offer_expired")] * 2
    assert statuses(acme, booked)[0] == "expired"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "pay"),
        ({"pay": {"amount": 1, "currency": "EUR"}}, "pay.currency"),
        ({"pay": {"amount": 1, "currency": "USD"}, "note": " "}, "note"),
    ],
)
def test_a_counter_offer_that_cannot_be_is_refused_by_field(
    acme: Acme, booked: Any, body: dict[str, Any], field: str
) -> None:
    sent = acme.offer(booked["id"])

    status, problem = answer(acme, sent, "counter", acme.ada_key, body)

    assert (status, [error["field"] for error in problem["errors"]]) == (422, [field])


# Nobody


def test_what_nobody_takes_comes_to_the_dispatcher_with_what_would_fill_it(acme: Acme, booked: Any) -> None:
    pay = {"amount": 2000, "currency": "USD"}
    [sent] = send(acme, booked, strategy="broadcast", technician_ids=[acme.ada["id"]], pay=pay)

    answer(acme, sent, "decline", acme.ada_key)

    query = {"territory_id": acme.territory["id"], "date": "2027-03-03"}
    [item] = acme.client.read("/v1/board", key=acme.dispatcher, **query)["unassigned"]
    assert request_status(acme, booked) == "unfilled"
    assert item["appointment_id"] == booked["id"]
    [more_pay] = [reason for reason in item["would_fill_if"] if reason["code"] == "pay"]
    assert more_pay["pay_cents"] == 2000 + more_pay["by"]
    assert more_pay["by"] > 0
    assert item["arrival_window"] == booked["arrival_window"]


def test_the_board_page_says_what_would_fill_it_too(acme: Acme, booked: Any) -> None:
    pay = {"amount": 2000, "currency": "USD"}
    [sent] = send(acme, booked, strategy="broadcast", technician_ids=[acme.ada["id"]], pay=pay)
    answer(acme, sent, "decline", acme.ada_key)
    acme.client.post("/login", data={"key": acme.dispatcher})

    page = acme.client.get(f"/board?territory_id={acme.territory['id']}&date=2027-03-03").text

    assert "Nobody took it. It would likely be taken for $" in page


def test_who_declined_may_be_asked_again_for_more(acme: Acme, booked: Any) -> None:
    acme_offer = acme.offer(booked["id"], pay={"amount": 2000, "currency": "USD"})
    answer(acme, acme_offer, "decline", acme.ada_key)
    path = f"/v1/appointments/{booked['id']}/offers"

    same = post(
        acme, path, acme.dispatcher, {"strategy": "cascade", "pay": {"amount": 2000, "currency": "USD"}}
    )
    more = post(
        acme, path, acme.dispatcher, {"strategy": "cascade", "pay": {"amount": 9000, "currency": "USD"}}
    )

    assert (same[0], same[1]["code"]) == (409, "no_longer_fits")
    assert more[0] == 201
    assert answer(acme, more[1]["items"][0], "accept", acme.ada_key)[0] == 200
