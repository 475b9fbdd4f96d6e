"""Candidates and overrides over HTTP."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import Engine
from sqlmodel import select

from api.overrides import CandidateTechnician
from dispatch.database import open_session, transaction
from dispatch.ids import new_id
from dispatch.keys import issue_key
from dispatch.offer import Offer
from dispatch.organization import create_organization
from tests.support.acme import ADA, CUSTOMERS, HOME, Acme
from tests.support.client import ApiClient

DAY = {"from": "2027-03-03", "to": "2027-03-03"}
NINE, ELEVEN = "2027-03-03T14:00:00Z", "2027-03-03T16:00:00Z"
FARTHER = {"lat": 40.75, "lon": -73.95, "address": "1 Farther Street, Brooklyn, New York"}


def hire(acme: Acme, name: str, home: Any, skills: Any = ADA["skills"]) -> Any:
    """An employee who works on the day."""
    email = f"{name.split()[0].lower()}@example.com"
    body = ADA | {"name": name, "email": email, "home": home, "skills": skills}
    joined = acme.client.create("/v1/technicians", body)["technician"]
    path = f"/v1/technicians/{joined['id']}"
    acme.client.act(f"{path}/approve", {"kind": "employee"}, key=acme.dispatcher)
    shift = {"starts_at": "2027-03-03T09:00:00-05:00", "ends_at": "2027-03-03T17:00:00-05:00"}
    acme.client.create(f"{path}/shifts", shift, key=acme.dispatcher)
    return joined


@pytest.fixture
def casey(acme: Acme) -> Any:
    """A request, with a day on which Ada could serve it."""
    acme.shift("2027-03-03T09:00:00-05:00", "2027-03-03T17:00:00-05:00")
    return acme.request("Casey", CUSTOMERS)


@pytest.fixture
def booked(acme: Acme, casey: Any) -> Any:
    return acme.book(casey, acme.slots(casey, **DAY)["items"][0])["appointment"]


@pytest.fixture
def bo(acme: Acme) -> Any:
    return hire(acme, "Bo Employee", FARTHER)


def override(acme: Acme, visit: Any, body: Any, **options: Any) -> Any:
    """As the dispatcher, who has just read the visit."""
    path = f"/v1/appointments/{visit['id']}"
    etag = acme.client.call("GET", path, key=acme.dispatcher).headers["ETag"]
    options = {"if_match": etag} | options
    return acme.client.call("POST", f"{path}/override", body, key=acme.dispatcher, **options)


def done(acme: Acme, visit: Any, body: Any, **options: Any) -> Any:
    response = override(acme, visit, {"reason": "Because."} | body, **options)
    assert response.status_code == 200, response.get_data(as_text=True)
    return response.get_json()


def refused(response: Any, status: int, code: str) -> Any:
    problem = response.get_json(force=True)
    assert (response.status_code, problem["code"]) == (status, code), problem
    return problem


def candidates(acme: Acme, visit: Any, **query: Any) -> Any:
    path = f"/v1/appointments/{visit['id']}/candidates"
    return acme.client.read(path, key=acme.dispatcher, **query)["items"]


# Candidates


def test_candidates_are_everybody_the_cheapest_first_and_then_who_cannot_and_why(
    acme: Acme, booked: Any, bo: Any
) -> None:
    painter = hire(acme, "Abe Painter", HOME, [{"skill": "painting", "level": 3}])

    found = candidates(acme, booked)

    assert [one["technician_name"] for one in found] == ["Ada Lovelace", "Bo Employee", "Abe Painter"]
    assert [one["feasible"] for one in found] == [True, True, False]
    assert found[0]["extra_cost"]["amount"] <= found[1]["extra_cost"]["amount"]
    assert found[0]["extra_travel_s"] < found[1]["extra_travel_s"]
    assert found[0]["scheduled_start"] == booked["scheduled_start"], "where it stands it counts as removed"
    assert [CandidateTechnician.model_validate(one).model_dump(mode="json") for one in found] == found
    assert found[2] == {
        "technician_id": painter["id"],
        "technician_name": "Abe Painter",
        "feasible": False,
        "scheduled_start": None,
        "extra_travel_s": None,
        "extra_cost": None,
        "reasons": [{"code": "skill_missing", "detail": "lacks plumbing", "technicians": [painter["id"]]}],
    }


def test_candidates_of_another_day_are_asked_for_by_its_date(acme: Acme, casey: Any) -> None:
    visit = casey["appointment"]

    today = candidates(acme, visit)
    then = candidates(acme, visit, date="2027-03-03")

    assert [(one["feasible"], [each["code"] for each in one["reasons"]]) for one in today] == [
        (False, ["no_shift"])
    ]
    assert then[0]["feasible"]


def test_when_the_promised_window_is_over_nobody_can_come(acme: Acme, booked: Any) -> None:
    acme.clock.advance(days=3)

    (one,) = candidates(acme, booked)

    assert [each["code"] for each in one["reasons"]] == ["notice"]


def test_nobody_else_reads_candidates_or_overrides(
    acme: Acme, casey: Any, booked: Any, engine: Engine
) -> None:
    with transaction(engine) as session:
        other = create_organization(
            session, slug="rival", name="Rival", currency="EUR", time_zone="Europe/Paris", now=acme.clock()
        )
        _, rival = issue_key(session, "dispatcher", organization_id=other.id, now=acme.clock())
    path, body = f"/v1/appointments/{booked['id']}", {"technician_id": acme.ada["id"], "dry_run": True}
    unknown = f"/v1/appointments/{new_id()}"

    for key, status in ((rival, 404), (casey["manage_token"], 403), (acme.ada_key, 403), (None, 401)):
        assert acme.client.call("GET", f"{path}/candidates", key=key).status_code == status
        assert acme.client.call("POST", f"{path}/override", body, key=key).status_code == status
    assert (
        acme.client.call("POST", f"{path}/override", {**body, "dry_run": False}, key=rival).status_code == 404
    )
    assert acme.client.call("GET", f"{unknown}/candidates", key=acme.dispatcher).status_code == 404
    assert acme.client.call("POST", f"{unknown}/override", body, key=acme.dispatcher).status_code == 404


def test_candidates_of_what_is_over_are_refused(acme: Acme, booked: Any) -> None:
    acme.client.act(f"/v1/appointments/{booked['id']}/cancel", {}, key=acme.dispatcher)

    response = acme.client.call("GET", f"/v1/appointments/{booked['id']}/candidates", key=acme.dispatcher)

    refused(response, 409, "invalid_state")


# Overrides


def test_an_override_needs_a_reason_and_the_version_that_was_read(acme: Acme, booked: Any, bo: Any) -> None:
    body = {"technician_id": bo["id"], "reason": "Because."}

    blind = override(acme, booked, body, if_match=None)
    stale = override(acme, booked, body, if_match='"v0"')
    silent = override(acme, booked, {"technician_id": bo["id"]})
    unknown = override(acme, booked, body | {"technician_id": new_id()})
    stale_dry = override(acme, booked, body | {"dry_run": True}, if_match='"v0"')

    refused(blind, 428, "precondition_required")
    refused(stale, 412, "stale_version")
    refused(stale_dry, 412, "stale_version")
    assert refused(silent, 422, "invalid")["errors"][0]["field"] == "reason"
    assert refused(unknown, 422, "unknown_reference")["errors"][0]["field"] == "technician_id"


def test_a_dry_run_changes_nothing_and_says_what_is_done_then(acme: Acme, booked: Any, bo: Any) -> None:
    path = f"/v1/appointments/{booked['id']}"
    before = acme.client.read(path, key=acme.dispatcher)

    said = override(acme, booked, {"technician_id": bo["id"], "dry_run": True}, if_match=None)
    after = acme.client.read(path, key=acme.dispatcher)
    made = done(acme, booked, {"technician_id": bo["id"]})

    told = said.get_json()
    assert (said.status_code, after) == (200, before)
    assert said.headers["ETag"] == f'"v{before["version"]}"'
    assert {name: told[name] for name in told if name != "appointment"} == {
        name: made[name] for name in made if name != "appointment"
    }
    assert told["appointment"]["technician"] == made["appointment"]["technician"]
    assert told["appointment"]["scheduled_start"] == made["appointment"]["scheduled_start"]
    assert made["appointment"]["version"] > before["version"]


def test_the_same_override_sent_twice_happens_once(acme: Acme, booked: Any, bo: Any) -> None:
    body = {"technician_id": bo["id"], "reason": "Because."}
    etag = f'"v{booked["version"]}"'

    once, again = (override(acme, booked, body, if_match=etag, idempotency_key="one-drag") for _ in range(2))

    assert (once.status_code, again.status_code) == (200, 200)
    assert again.get_json() == once.get_json()
    assert again.headers["Idempotent-Replayed"] == "true"


def test_a_violation_is_refused_with_its_reason_and_listed_by_a_dry_run(acme: Acme, booked: Any) -> None:
    painter = hire(acme, "Abe Painter", HOME, [{"skill": "painting", "level": 3}])
    body = {"technician_id": painter["id"], "reason": "Because."}
    violations = [{"code": "skill_missing", "detail": "lacks plumbing", "technicians": [painter["id"]]}]

    plain = override(acme, booked, body)
    dry = override(acme, booked, body | {"dry_run": True})
    forced = done(acme, booked, body | {"force": True})

    assert refused(plain, 409, "infeasible_override")["violations"] == violations
    assert (dry.status_code, dry.get_json()["violations"]) == (200, violations)
    assert forced["violations"] == violations
    assert forced["appointment"]["technician"]["id"] == painter["id"]
    assert forced["appointment"]["events"][-1]["type"].startswith("appointment.")


def test_what_gives_way_is_listed_with_before_and_after(acme: Acme, bo: Any) -> None:
    people = [acme.request(name, CUSTOMERS) for name in ("Casey", "Drew")]
    first, second = (
        acme.book(person, acme.slots(person, **DAY)["items"][0])["appointment"] for person in people
    )
    sharp, window = {"start": ELEVEN, "end": ELEVEN}, {"start": NINE, "end": "2027-03-03T18:00:00Z"}
    done(acme, first, {"technician_id": bo["id"], "arrival_window": sharp})
    body = {"technician_id": bo["id"], "scheduled_start": ELEVEN, "arrival_window": window}

    plain = override(acme, second, body | {"reason": "Because."})
    made = done(acme, second, body | {"force": True})

    in_the_way = refused(plain, 409, "infeasible_override")["violations"]
    assert [(each["code"], each["appointment_id"]) for each in in_the_way] == [("overlap", first["id"])]
    (moved,) = made["moved"]
    assert (moved["appointment_id"], moved["lost_technician"], moved["promise_broken"]) == (
        first["id"],
        True,
        True,
    )
    assert moved["before"] == {
        "technician_id": bo["id"],
        "scheduled_start": ELEVEN,
        "arrival_window": sharp,
    }
    assert moved["after"] == {
        "technician_id": None,
        "scheduled_start": None,
        "arrival_window": sharp,
    }
    assert [each["appointment_id"] for each in made["promises_broken"]] == [first["id"]]
    assert made["appointment"]["arrival_window"] == window
    still = acme.client.read(f"/v1/appointments/{first['id']}", key=acme.dispatcher)
    assert (still["status"], still["events"][-1]["reason"]) == ("unassigned", "Because.")


def test_customers_read_neither_price_nor_reason_of_an_override(
    acme: Acme, casey: Any, booked: Any, bo: Any
) -> None:
    done(acme, booked, {"technician_id": bo["id"]})

    read = acme.client.read(f"/v1/appointments/{booked['id']}", key=casey["manage_token"])

    event = next(each for each in read["events"] if each["type"] == "appointment.overridden")
    assert "reason" not in event
    assert set(event["before"]) | set(event["after"]) == {"status", "arrival_window"}


def test_a_freelancer_is_asked_unless_it_said_yes_by_phone(acme: Acme, booked: Any, engine: Engine) -> None:
    asked = done(acme, booked, {"technician_id": acme.ada["id"]})
    (offer,) = acme.client.read("/v1/technicians/me/offers", key=acme.ada_key, status="pending")["items"]
    agreed = done(acme, booked, {"technician_id": acme.ada["id"], "accepted_by_phone": True})

    assert offer["strategy"] == "direct"
    assert (asked["appointment"]["status"], agreed["appointment"]["status"]) == ("scheduled", "dispatched")
    with open_session(engine, read_only=True) as session:
        assert [each.status for each in session.exec(select(Offer))] == ["superseded"]


@pytest.mark.parametrize(
    "body",
    [
        {"arrival_window": {"start": ELEVEN, "end": NINE}},
        {"arrival_window": {"start": ELEVEN, "end": ELEVEN}, "scheduled_start": NINE},
        {"arrival_window": {"start": ELEVEN}},
        {"scheduled_start": "2027-03-03T14:00:00"},
        {"unknown": 1},
    ],
)
def test_nonsense_is_refused(acme: Acme, booked: Any, body: Any) -> None:
    sent = {"technician_id": acme.ada["id"], "reason": "Because."} | body

    refused(override(acme, booked, sent), 422, "invalid")


# At once


def at_once(acme: Acme, calls: list[tuple[str, Any, str, str | None]]) -> list[Any]:
    """POSTs in threads of their own, started together."""
    ready = Barrier(len(calls))

    def send(call: tuple[str, Any, str, str | None]) -> Any:
        path, body, key, etag = call
        client = acme.client.application.test_client()
        assert isinstance(client, ApiClient)
        ready.wait()
        return client.call("POST", path, body, key=key, if_match=etag)

    with ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(send, calls))


def test_an_override_and_an_acceptance_at_once_leave_one_of_them_standing(
    acme: Acme, booked: Any, bo: Any
) -> None:
    offer = acme.offer(booked["id"])
    path = f"/v1/appointments/{booked['id']}"
    body = {"technician_id": bo["id"], "reason": "Because."}

    given, accepted = at_once(
        acme,
        [
            (f"{path}/override", body, acme.dispatcher, "*"),
            (f"/v1/offers/{offer['id']}/accept", None, acme.ada_key, None),
        ],
    )

    assert given.status_code == 200
    assert accepted.status_code == 200 or refused(accepted, 409, "offer_taken")
    assert acme.client.read(path, key=acme.dispatcher)["technician"]["id"] == bo["id"]
    assert acme.client.read(f"/v1/offers/{offer['id']}", key=acme.ada_key)["status"] == "superseded"


def test_of_two_who_read_the_same_version_one_is_told_that_it_is_stale(
    acme: Acme, booked: Any, bo: Any
) -> None:
    body = {"reason": "Because.", "accepted_by_phone": True}
    etag = f'"v{booked["version"]}"'
    path = f"/v1/appointments/{booked['id']}/override"
    ids = (bo["id"], acme.ada["id"])

    answers = at_once(acme, [(path, body | {"technician_id": id_}, acme.dispatcher, etag) for id_ in ids])

    assert sorted(answer.status_code for answer in answers) == [200, 412]


def test_visits_that_change_places_at_once_wait_for_each_other(acme: Acme, bo: Any) -> None:
    acme.shift("2027-03-03T09:00:00-05:00", "2027-03-03T17:00:00-05:00")
    window = {"start": "2027-03-03T17:00:00Z", "end": "2027-03-03T19:00:00Z"}
    body = {"reason": "Because.", "accepted_by_phone": True}
    homes = [acme.ada["id"], bo["id"]]
    visits = [acme.request(name, CUSTOMERS)["appointment"] for name in ("Casey", "Drew")]
    for visit, home in zip(visits, homes, strict=True):
        done(acme, visit, body | {"technician_id": home, "arrival_window": window})

    calls = [
        (f"/v1/appointments/{visit['id']}/override", body | {"technician_id": home}, acme.dispatcher, "*")
        for visit, home in zip(visits, reversed(homes), strict=True)
    ]
    answers = at_once(acme, calls)

    paths = [f"/v1/appointments/{visit['id']}" for visit in visits]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert [acme.client.read(path, key=acme.dispatcher)["technician"]["id"] for path in paths] == homes[::-1]
