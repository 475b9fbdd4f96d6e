"""Appointments over HTTP."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import Engine
from sqlmodel import select

from dispatch.calendar import CalendarBlock
from dispatch.database import open_session, transaction
from dispatch.ids import new_id
from dispatch.keys import issue_key
from dispatch.organization import create_organization
from dispatch.promise import Promise
from tests.support.acme import CUSTOMERS, NEIGHBOURS, Acme
from tests.support.client import ApiClient

DAY = {"from": "2027-03-03", "to": "2027-03-03"}


@pytest.fixture
def casey(acme: Acme) -> Any:
    """A request, with a day on which it could be served."""
    acme.shift("2027-03-03T09:00:00-05:00", "2027-03-03T17:00:00-05:00")
    return acme.request("Casey", CUSTOMERS)


@pytest.fixture
def booked(acme: Acme, casey: Any) -> Any:
    """Her visit, booked."""
    return acme.book(casey, acme.slots(casey, **DAY)["items"][0])["appointment"]


@pytest.fixture
def dispatched(acme: Acme, booked: Any) -> Any:
    """Accepted by Ada."""
    acme.accept(acme.offer(booked["id"])["id"])
    return acme.client.read(f"/v1/appointments/{booked['id']}", key=acme.dispatcher)


def act(acme: Acme, visit: Any, action: str, body: Any = None, **options: Any) -> Any:
    """As the dispatcher, who has just read the visit."""
    path = f"/v1/appointments/{visit['id']}"
    etag = acme.client.call("GET", path, key=acme.dispatcher).headers["ETag"]
    return acme.client.act(f"{path}/{action}", body, key=acme.dispatcher, if_match=etag, **options)


def refused(response: Any, status: int, code: str) -> Any:
    problem = response.get_json(force=True)
    assert (response.status_code, problem["code"]) == (status, code), problem
    return problem


def blocks(engine: Engine) -> int:
    with open_session(engine, read_only=True) as session:
        return len(session.exec(select(CalendarBlock)).all())


def test_a_request_is_booked_once(acme: Acme, casey: Any, booked: Any) -> None:
    body = {"service_request_id": casey["service_request"]["id"], "slot_id": "anything"}

    response = acme.client.call("POST", "/v1/appointments", body, key=casey["manage_token"])

    refused(response, 409, "already_booked")
    assert [event["type"] for event in booked["events"]] == ["appointment.booked"]


def test_a_slot_is_good_for_its_request_and_fifteen_minutes(acme: Acme, casey: Any) -> None:
    drew = acme.request("Drew", NEIGHBOURS)
    slot = acme.slots(casey, **DAY)["items"][0]

    def book(registered: Any, slot_id: str) -> Any:
        body = {"service_request_id": registered["service_request"]["id"], "slot_id": slot_id}
        return acme.client.call("POST", "/v1/appointments", body, key=registered["manage_token"])

    refused(book(drew, slot["slot_id"]), 422, "invalid_slot")
    refused(book(casey, slot["slot_id"][:-2] + "xx"), 422, "invalid_slot")
    refused(book(casey, "7"), 422, "invalid_slot")
    acme.clock.advance(minutes=15)
    refused(book(casey, slot["slot_id"]), 410, "slot_expired")


def test_a_customer_books_its_own_request_alone(acme: Acme, casey: Any) -> None:
    drew = acme.request("Drew", NEIGHBOURS)
    slot = acme.slots(casey, **DAY)["items"][0]
    body = {"service_request_id": casey["service_request"]["id"], "slot_id": slot["slot_id"]}

    response = acme.client.call("POST", "/v1/appointments", body, key=drew["manage_token"])

    refused(response, 422, "unknown_reference")


def test_a_visit_is_found_by_its_own_people_alone(acme: Acme, booked: Any, engine: Engine) -> None:
    with transaction(engine) as session:
        other = create_organization(
            session, slug="rival", name="Rival", currency="EUR", time_zone="Europe/Paris", now=acme.clock()
        )
        _, rival = issue_key(session, "dispatcher", organization_id=other.id, now=acme.clock())
    drew = acme.request("Drew", NEIGHBOURS)
    path = f"/v1/appointments/{booked['id']}"

    answers = [
        acme.client.call("GET", path, key=rival),
        acme.client.call("GET", path, key=drew["manage_token"]),
        acme.client.call("POST", f"{path}/pin", {}, key=rival),
        acme.client.call("POST", f"{path}/reopen", {}, key=rival),
        acme.client.call("POST", f"{path}/cancel", {}, key=rival),
        acme.client.call("GET", f"/v1/appointments/{new_id()}", key=acme.dispatcher),
    ]

    assert [answer.status_code for answer in answers] == [404] * len(answers)
    assert acme.client.read("/v1/appointments", key=rival)["items"] == []


def test_a_visit_that_is_planned_with_another_is_not_found_by_a_technician(
    acme: Acme, dispatched: Any
) -> None:
    path = f"/v1/appointments/{dispatched['id']}"
    assert acme.client.read(path, key=acme.ada_key)["status"] == "dispatched"

    act(acme, dispatched, "unassign", {"reason": "Ada is ill"})

    assert acme.client.call("GET", path, key=acme.ada_key).status_code == 404
    response = acme.client.call("POST", f"{path}/progress", {"status": "en_route"}, key=acme.ada_key)
    assert response.status_code == 404


def test_rescheduling_moves_the_promise_and_needs_a_new_acceptance(
    acme: Acme, casey: Any, dispatched: Any, engine: Engine
) -> None:
    slots = acme.slots(casey, **DAY)["items"]
    other = next(slot for slot in slots if slot["arrival_window"] != dispatched["arrival_window"])
    path = f"/v1/appointments/{dispatched['id']}/reschedule"

    moved = acme.client.act(path, {"slot_id": other["slot_id"]}, key=casey["manage_token"])

    assert (moved["id"], moved["status"]) == (dispatched["id"], "scheduled")
    assert moved["arrival_window"] == other["arrival_window"]
    assert moved["events"][-1]["type"] == "appointment.rescheduled"
    assert moved["events"][-1]["before"] == dispatched["arrival_window"]
    with open_session(engine, read_only=True) as session:
        kinds = [entry.kind for entry in session.exec(select(Promise).order_by(Promise.at, Promise.id))]
    assert kinds == ["given", "changed"]
    assert blocks(engine) == 1


def test_nothing_that_was_not_promised_is_rescheduled(acme: Acme, casey: Any) -> None:
    slot = acme.slots(casey, **DAY)["items"][0]
    path = f"/v1/appointments/{casey['appointment']['id']}/reschedule"

    response = acme.client.call("POST", path, {"slot_id": slot["slot_id"]}, key=casey["manage_token"])

    assert refused(response, 409, "invalid_state")["current"] == "unassigned"


def test_a_dry_run_shows_the_fee_and_changes_nothing(acme: Acme, casey: Any, booked: Any) -> None:
    path = f"/v1/appointments/{booked['id']}/cancel"
    acme.clock.advance(hours=3)

    shown = acme.client.act(path, {"dry_run": True}, key=casey["manage_token"])
    still = acme.client.read(f"/v1/appointments/{booked['id']}", key=acme.dispatcher)
    done = acme.client.act(path, {"reason": "Fixed it."}, key=casey["manage_token"])

    assert shown["fee"] == {"amount": 2500, "currency": "USD"}
    assert (shown["status"], still["status"]) == ("scheduled", "scheduled")
    assert (done["status"], done["fee"], done["technician"]) == ("cancelled", shown["fee"], None)
    assert done["events"][-1]["reason"] == "Fixed it."


def test_cancelling_early_is_free(acme: Acme, casey: Any, booked: Any) -> None:
    shown = acme.client.act(
        f"/v1/appointments/{booked['id']}/cancel", {"dry_run": True}, key=casey["manage_token"]
    )

    assert shown["fee"]["amount"] == 0


def test_once_the_technician_is_on_the_way_only_a_dispatcher_cancels(
    acme: Acme, casey: Any, dispatched: Any
) -> None:
    acme.progress(dispatched["id"], "en_route")
    path = f"/v1/appointments/{dispatched['id']}/cancel"

    customers = acme.client.call("POST", path, {}, key=casey["manage_token"])
    dispatchers = acme.client.act(path, {}, key=acme.dispatcher)

    problem = refused(customers, 409, "invalid_state")
    assert (problem["current"], problem["allowed"]) == ("en_route", ["unassigned", "scheduled", "dispatched"])
    assert dispatchers["status"] == "cancelled"


def test_progress_goes_step_by_step_and_back_to_dispatched(acme: Acme, dispatched: Any) -> None:
    path = f"/v1/appointments/{dispatched['id']}/progress"

    early = acme.client.call("POST", path, {"status": "completed"}, key=acme.ada_key)
    acme.progress(dispatched["id"], "en_route")
    twice = acme.progress(dispatched["id"], "en_route")
    undone = acme.progress(dispatched["id"], "dispatched")

    problem = refused(early, 409, "invalid_state")
    assert (problem["current"], problem["allowed"]) == ("dispatched", ["en_route"])
    assert twice["status"] == "en_route"
    assert undone["status"] == "dispatched"
    steps = [event["type"] for event in undone["events"] if event["type"].startswith("appointment.")]
    assert steps[-2:] == ["appointment.en_route", "appointment.dispatched"]


def test_a_dispatcher_says_why_it_speaks_for_the_technician(acme: Acme, dispatched: Any) -> None:
    path = f"/v1/appointments/{dispatched['id']}/progress"

    silent = acme.client.call("POST", path, {"status": "en_route"}, key=acme.dispatcher)
    spoken = acme.client.act(path, {"status": "en_route", "reason": "She called."}, key=acme.dispatcher)

    assert refused(silent, 422, "invalid")["errors"][0]["field"] == "reason"
    assert spoken["events"][-1]["reason"] == "She called."


def test_what_cannot_be_completed_needs_a_reason(acme: Acme, dispatched: Any) -> None:
    acme.progress(dispatched["id"], "en_route")
    acme.progress(dispatched["id"], "on_site")
    path = f"/v1/appointments/{dispatched['id']}/progress"

    silent = acme.client.call("POST", path, {"status": "cannot_complete"}, key=acme.ada_key)
    spoken = acme.progress(dispatched["id"], "cannot_complete", reason="Nobody opened.")

    refused(silent, 422, "invalid")
    assert (spoken["status"], spoken["actual_end"]) == ("cannot_complete", "2027-03-02T13:00:00Z")


def test_a_released_visit_keeps_its_promise_and_loses_its_technician(
    acme: Acme, casey: Any, dispatched: Any, engine: Engine
) -> None:
    path = f"/v1/appointments/{dispatched['id']}/release"

    unreasoned = acme.client.call("POST", path, {}, key=acme.ada_key)
    released = acme.client.act(path, {"reason": "My van broke down."}, key=acme.ada_key)

    refused(unreasoned, 422, "invalid")
    assert (released["status"], released["technician"]) == ("unassigned", None)
    assert released["arrival_window"] == dispatched["arrival_window"]
    assert blocks(engine) == 0
    customers = acme.client.read(f"/v1/appointments/{dispatched['id']}", key=casey["manage_token"])
    assert "reason" not in customers["events"][-1], "the words of others are not the customer's"


@pytest.mark.parametrize(
    ("action", "body"),
    [("pin", {}), ("unpin", None), ("unassign", {"reason": "why"}), ("reopen", {})],
)
def test_what_a_dispatcher_decides_needs_the_version_that_it_read(
    acme: Acme, booked: Any, action: str, body: Any
) -> None:
    path = f"/v1/appointments/{booked['id']}/{action}"

    blind = acme.client.call("POST", path, body, key=acme.dispatcher)
    stale = acme.client.call("POST", path, body, key=acme.dispatcher, if_match='"v0"')

    refused(blind, 428, "precondition_required")
    refused(stale, 412, "stale_version")


def test_a_pinned_visit_is_pinned_until_it_is_unpinned(acme: Acme, booked: Any) -> None:
    pinned = act(acme, booked, "pin", {"time": True})
    unpinned = act(acme, booked, "unpin")

    assert (pinned["pinned"], pinned["pinned_time"]) == (True, True)
    assert (unpinned["pinned"], unpinned["pinned_time"]) == (False, False)
    assert unpinned["version"] > pinned["version"] > booked["version"]


def test_what_nobody_is_planned_for_cannot_be_pinned(acme: Acme, casey: Any) -> None:
    path = f"/v1/appointments/{casey['appointment']['id']}"
    etag = acme.client.call("GET", path, key=acme.dispatcher).headers["ETag"]

    response = acme.client.call("POST", f"{path}/pin", {}, key=acme.dispatcher, if_match=etag)

    assert refused(response, 409, "invalid_state")["allowed"] == ["scheduled", "dispatched"]


def test_a_cancelled_visit_is_opened_again_and_booked_anew(
    acme: Acme, casey: Any, booked: Any, engine: Engine
) -> None:
    acme.client.act(f"/v1/appointments/{booked['id']}/cancel", {}, key=casey["manage_token"])
    assert blocks(engine) == 0

    opened = act(acme, booked, "reopen", {"reason": "She called again."})
    again = acme.book(casey, acme.slots(casey, **DAY)["items"][0])

    assert (opened["status"], opened["arrival_window"]) == ("unassigned", None)
    assert (again["appointment"]["id"], again["appointment"]["status"]) == (booked["id"], "scheduled")


def test_a_completed_visit_is_opened_again_without_its_times(acme: Acme, dispatched: Any) -> None:
    for status in ("en_route", "on_site", "completed"):
        acme.progress(dispatched["id"], status)

    opened = act(acme, dispatched, "reopen")

    assert (opened["status"], opened["technician"]) == ("unassigned", None)
    assert (opened["actual_start"], opened["actual_end"]) == (None, None)


def test_the_list_is_filtered_by_status_person_place_and_local_day(acme: Acme, booked: Any) -> None:
    acme.request("Drew", NEIGHBOURS)

    def found(**query: Any) -> list[str]:
        answer = acme.client.read("/v1/appointments", key=acme.dispatcher, **query)
        return [item["id"] for item in answer["items"]]

    assert len(found()) == 2
    assert found(status="scheduled") == [booked["id"]]
    assert found(technician_id=acme.ada["id"]) == [booked["id"]]
    assert found(technician_id=new_id()) == []
    assert len(found(territory_id=acme.territory["id"])) == 2
    assert found(territory_id=new_id()) == []
    assert found(**DAY) == [booked["id"]]
    assert found(**{"from": "2027-03-04"}) == []
    assert found(to="2027-03-02") == []
    page = acme.client.read("/v1/appointments", key=acme.dispatcher, limit=1)
    rest = acme.client.read("/v1/appointments", key=acme.dispatcher, limit=1, cursor=page["next_cursor"])
    assert {page["items"][0]["id"], rest["items"][0]["id"]} == set(found())


def test_a_repeated_booking_is_answered_alike(acme: Acme, casey: Any) -> None:
    slot = acme.slots(casey, **DAY)["items"][0]
    body = {"service_request_id": casey["service_request"]["id"], "slot_id": slot["slot_id"]}
    options: Any = {"key": casey["manage_token"], "idempotency_key": "once"}

    first = acme.client.call("POST", "/v1/appointments", body, **options)
    second = acme.client.call("POST", "/v1/appointments", body, **options)

    assert (first.status_code, second.status_code) == (201, 201)
    assert second.get_json() == first.get_json()
    assert second.headers["Idempotent-Replayed"] == "true"


def at_once(acme: Acme, calls: list[tuple[str, Any, str]]) -> list[Any]:
    """POSTs in threads of their own, started together."""
    ready = Barrier(len(calls))

    def send(call: tuple[str, Any, str]) -> Any:
        path, body, key = call
        client = acme.client.application.test_client()
        assert isinstance(client, ApiClient)
        ready.wait()
        return client.call("POST", path, body, key=key)

    with ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(send, calls))


def test_of_customers_who_book_the_last_slot_at_once_one_wins(acme: Acme, engine: Engine) -> None:
    acme.shift("2027-03-03T09:00:00-05:00", "2027-03-03T10:45:00-05:00")
    customers = [acme.request(f"Customer {number}", CUSTOMERS) for number in range(4)]
    calls = []
    for customer in customers:
        slot_id = acme.slots(customer, **DAY)["items"][0]["slot_id"]
        body = {"service_request_id": customer["service_request"]["id"], "slot_id": slot_id}
        calls.append(("/v1/appointments", body, customer["manage_token"]))

    answers = at_once(acme, calls)

    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
    codes = {answer.get_json(force=True)["code"] for answer in answers if answer.status_code == 409}
    assert codes == {"slot_taken"}
    assert blocks(engine) == 1


def test_a_request_that_is_booked_twice_at_once_is_booked_once(
    acme: Acme, casey: Any, engine: Engine
) -> None:
    slots = acme.slots(casey, **DAY)["items"]
    bodies = [
        {"service_request_id": casey["service_request"]["id"], "slot_id": slot["slot_id"]}
        for slot in slots[:3]
    ]

    answers = at_once(acme, [("/v1/appointments", body, casey["manage_token"]) for body in bodies])

    assert sorted(answer.status_code for answer in answers) == [201, 409, 409]
    assert blocks(engine) == 1


def test_a_visit_is_either_accepted_or_cancelled(acme: Acme, casey: Any, booked: Any) -> None:
    offer_id = acme.offer(booked["id"])["id"]
    cancel = (f"/v1/appointments/{booked['id']}/cancel", {}, casey["manage_token"])
    accept = (f"/v1/offers/{offer_id}/accept", None, acme.ada_key)

    cancelled, accepted = at_once(acme, [cancel, accept])

    assert cancelled.status_code == 200
    assert accepted.status_code in (200, 409)
    visit = acme.client.read(f"/v1/appointments/{booked['id']}", key=acme.dispatcher)
    assert (visit["status"], visit["technician"]) == ("cancelled", None)


def test_changes_of_one_calendar_at_once_wait_for_each_other(acme: Acme) -> None:
    acme.shift("2027-03-03T06:00:00-05:00", "2027-03-03T22:00:00-05:00")
    visits = []
    for hour in range(6):
        request = acme.request(f"Customer {hour}", CUSTOMERS if hour % 2 else NEIGHBOURS)
        slots = sorted(acme.slots(request, **DAY)["items"], key=lambda slot: slot["arrival_window"]["start"])
        visits.append(acme.book(request, slots[2 * hour])["appointment"])
    calls: list[tuple[str, Any, str]] = [
        (f"/v1/appointments/{visit['id']}/cancel", {}, acme.dispatcher) for visit in visits[:3]
    ]
    calls += [
        (f"/v1/appointments/{visit['id']}/offers", {"strategy": "direct"}, acme.dispatcher)
        for visit in visits[3:]
    ]

    answers = at_once(acme, calls)

    assert [answer.status_code for answer in answers] == [200, 200, 200, 201, 201, 201]
