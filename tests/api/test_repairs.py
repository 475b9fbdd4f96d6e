"""Repairs over HTTP."""

from typing import Any

import pytest
from sqlalchemy import Engine

from dispatch.database import transaction
from dispatch.ids import new_id
from dispatch.keys import issue_key
from dispatch.organization import create_organization
from tests.support.acme import ADA, CUSTOMERS, NEIGHBOURS, Acme

OPENS, CLOSES = "2027-03-03T09:00:00-05:00", "2027-03-03T17:00:00-05:00"


def repair(acme: Acme, kind: str, **members: Any) -> Any:
    return acme.client.call("POST", "/v1/repairs", {"kind": kind} | members, key=acme.dispatcher)


def repaired(acme: Acme, kind: str, **members: Any) -> Any:
    response = repair(acme, kind, **members)
    assert response.status_code == 200, response.get_json(force=True)
    return response.get_json()


@pytest.fixture
def casey(acme: Acme) -> Any:
    """A visit that is promised, and with Ada; then it is the morning of its day."""
    acme.shift(OPENS, CLOSES)
    registered = acme.request("Casey", CUSTOMERS)
    slot = next(
        slot
        for slot in acme.slots(registered, **{"from": "2027-03-03", "to": "2027-03-03"})["items"]
        if slot["arrival_window"]["start"] == "2027-03-03T15:00:00Z"
    )
    acme.book(registered, slot)
    acme.clock.advance(seconds=24 * 3600)
    return registered["appointment"]["id"]


@pytest.fixture
def bo(acme: Acme) -> Any:
    """Another who could."""
    joined = acme.client.create("/v1/technicians", ADA | {"name": "Bo", "email": "bo@example.com"})
    bo = acme.client.act(f"/v1/technicians/{joined['technician']['id']}/approve", key=acme.dispatcher)
    hours = {"starts_at": OPENS, "ends_at": CLOSES}
    acme.client.create(f"/v1/technicians/{bo['id']}/shifts", hours, key=acme.dispatcher)
    return bo


def visit(acme: Acme, appointment_id: str) -> Any:
    return acme.client.read(f"/v1/appointments/{appointment_id}", key=acme.dispatcher)


def test_who_is_absent_is_replaced_and_the_answer_says_from_where_to_where(
    acme: Acme, casey: str, bo: Any
) -> None:
    before = visit(acme, casey)
    proposed = repaired(acme, "absent", technician_id=acme.ada["id"], dry_run=True)
    unchanged = visit(acme, casey)

    applied = repaired(acme, "absent", technician_id=acme.ada["id"], reason="called in sick")

    assert (proposed["status"], "id" in proposed) == ("proposed", False)
    assert unchanged == before
    assert (applied["status"], applied["kind"]) == ("applied", "absent")
    assert applied["moved"] == proposed["moved"]
    [moved] = applied["moved"]
    assert (moved["appointment_id"], moved["technician_id"]) == (casey, bo["id"])
    assert moved["before"] == {
        "technician_id": acme.ada["id"],
        "scheduled_start": before["scheduled_start"],
    }
    assert moved["arrival_window"] == before["arrival_window"]
    assert applied["extra_cost"]["currency"] == "USD"
    assert (applied["kept"], applied["unassigned"], applied["skipped_stale"]) == (0, [], [])
    after = visit(acme, casey)
    assert after["technician"]["id"] == bo["id"]
    told = after["events"][-1]
    assert (told["type"], told["by"], told["reason"]) == (
        "appointment.scheduled",
        "dispatcher",
        "called in sick",
    )


def test_what_nobody_can_take_is_listed_with_reasons(acme: Acme, casey: str) -> None:
    answer = repaired(acme, "absent", technician_id=acme.ada["id"])

    [left] = answer["unassigned"]
    assert left["appointment_id"] == casey
    assert [reason["code"] for reason in left["reasons"]] == ["no_shift"]
    assert left["would_fit_if"] == []
    assert left["before"]["technician_id"] == acme.ada["id"]
    assert visit(acme, casey)["status"] == "unassigned"


def test_an_absence_of_some_hours_leaves_the_rest(acme: Acme, casey: str, bo: Any) -> None:
    hours = {"from": "2027-03-03T13:00:00-05:00", "to": "2027-03-03T15:00:00-05:00"}

    answer = repaired(acme, "absent", technician_id=acme.ada["id"], **hours)

    assert (answer["moved"], answer["kept"]) == ([], 1)
    assert visit(acme, casey)["technician"]["id"] == acme.ada["id"]


def test_a_visit_that_takes_longer_moves_the_next(acme: Acme, casey: str) -> None:
    drew = acme.request("Drew", NEIGHBOURS)
    slot = next(
        slot
        for slot in acme.slots(drew, **{"from": "2027-03-03", "to": "2027-03-03"})["items"]
        if slot["arrival_window"]["start"] == "2027-03-03T17:00:00Z"
    )
    acme.book(drew, slot)

    answer = repaired(acme, "overrun", appointment_id=casey, by_s=2 * 3600)

    [moved] = answer["moved"]
    assert moved["appointment_id"] == drew["appointment"]["id"]
    assert moved["before"]["scheduled_start"] < moved["scheduled_start"]
    assert answer["promises_broken"] == []


def test_an_emergency_is_served_as_soon_as_somebody_can(acme: Acme, casey: str) -> None:
    acme.clock.advance(seconds=2 * 3600)
    body = {
        "organization": "acme",
        "service_id": acme.service["id"],
        "customer": {"name": "Erin", "phone": "+1 212 555 0199"},
        "place": NEIGHBOURS,
        "priority": "emergency",
    }
    erin = acme.client.create("/v1/service-requests", body, key=acme.dispatcher)["appointment"]["id"]

    answer = repaired(acme, "emergency", appointment_id=erin)

    [assigned] = answer["assigned"]
    assert assigned["appointment_id"] == erin
    after = visit(acme, erin)
    assert (after["status"], after["arrival_window"]) == ("scheduled", assigned["arrival_window"])
    assert after["scheduled_start"] < "2027-03-03T15:30:00Z"


@pytest.mark.parametrize(
    ("kind", "members", "fields"),
    [
        ("absent", {}, ["technician_id"]),
        ("absent", {"technician_id": new_id()}, ["technician_id"]),
        ("absent", {"technician_id": "ada", "appointment_id": "casey"}, ["appointment_id"]),
        ("absent", {"technician_id": "ada", "by_s": 600}, ["by_s"]),
        ("absent", {"technician_id": "ada", "to": "2027-03-03T01:00:00Z"}, ["to"]),
        ("absent", {"technician_id": "ada", "from": "2027-03-05T12:00:00Z"}, ["technician_id"]),
        ("overrun", {}, ["appointment_id"]),
        ("overrun", {"technician_id": "ada"}, ["appointment_id", "technician_id"]),
        ("overrun", {"appointment_id": new_id()}, ["appointment_id"]),
        ("overrun", {"appointment_id": "casey", "by_s": 0}, ["by_s"]),
        ("overrun", {"appointment_id": "casey", "from": "2027-03-03T12:00:00Z"}, ["from"]),
        ("emergency", {"appointment_id": new_id()}, ["appointment_id"]),
        ("emergency", {"technician_id": "ada"}, ["appointment_id", "technician_id"]),
        ("strike", {"technician_id": "ada"}, ["kind"]),
    ],
)
def test_a_repair_that_means_nothing_is_refused_by_field(
    acme: Acme, casey: str, kind: str, members: dict[str, Any], fields: list[str]
) -> None:
    known = {"ada": acme.ada["id"], "casey": casey}
    sent = {name: known.get(value, value) for name, value in members.items()}

    response = repair(acme, kind, **sent)

    assert response.status_code == 422
    assert [error["field"] for error in response.get_json(force=True)["errors"]] == fields


def test_what_is_not_urgent_is_no_emergency_and_what_is_planned_neither(acme: Acme, casey: str) -> None:
    drew = acme.request("Drew", NEIGHBOURS)["appointment"]["id"]

    planned = repair(acme, "emergency", appointment_id=casey)
    calm = repair(acme, "emergency", appointment_id=drew)

    assert (planned.status_code, planned.get_json(force=True)["code"]) == (409, "invalid_state")
    assert (calm.status_code, calm.get_json(force=True)["errors"][0]["field"]) == (422, "appointment_id")


def test_another_organizations_people_and_visits_are_unknown(acme: Acme, casey: str, engine: Engine) -> None:
    with transaction(engine) as session:
        other = create_organization(
            session, slug="rival", name="Rival", currency="EUR", time_zone="Europe/Paris", now=acme.clock()
        )
        _, rival = issue_key(session, "dispatcher", organization_id=other.id, now=acme.clock())

    for body in (
        {"kind": "absent", "technician_id": acme.ada["id"]},
        {"kind": "overrun", "appointment_id": casey},
        {"kind": "emergency", "appointment_id": casey},
    ):
        response = acme.client.call("POST", "/v1/repairs", body, key=rival)
        assert (response.status_code, response.get_json(force=True)["code"]) == (422, "unknown_reference")


def test_repairs_are_the_dispatchers(acme: Acme, casey: str) -> None:
    body = {"kind": "absent", "technician_id": acme.ada["id"]}

    assert acme.client.call("POST", "/v1/repairs", body, key=acme.ada_key).status_code == 403
    assert acme.client.call("POST", "/v1/repairs", body).status_code == 401


def test_the_same_call_again_is_answered_and_not_done_twice(acme: Acme, casey: str, bo: Any) -> None:
    body = {"kind": "absent", "technician_id": acme.ada["id"]}
    first = acme.client.call("POST", "/v1/repairs", body, key=acme.dispatcher, idempotency_key="sick-1")

    again = acme.client.call("POST", "/v1/repairs", body, key=acme.dispatcher, idempotency_key="sick-1")

    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.get_json() == first.get_json()
