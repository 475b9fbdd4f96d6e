"""Why one was or was not asked, and a person who looks again, over HTTP."""

from typing import Any

import pytest
from sqlalchemy import Engine

from dispatch.appointment import Appointment
from dispatch.database import transaction
from dispatch.decision import Outcome, note
from dispatch.ids import new_id
from dispatch.technician import technician_by_id
from tests.api.registering import Registrant, approved
from tests.api.test_catalogue import rival_key
from tests.support.acme import ADA, CUSTOMERS, Acme

DAY = {"from": "2027-03-03", "to": "2027-03-03"}
MINE = "/v1/technicians/me/decisions"
FACTS = [{"code": "rank", "detail": "Of those who could come, fourth by what the visit costs.", "rank": 4}]


@pytest.fixture
def booked(acme: Acme) -> Any:
    """A visit, promised and planned with Ada."""
    acme.shift("2027-03-03T09:00:00-05:00", "2027-03-03T17:00:00-05:00")
    casey = acme.request("Casey", CUSTOMERS)
    return acme.book(casey, acme.slots(casey, **DAY)["items"][0])["appointment"]


@pytest.fixture
def eve(acme: Acme) -> Registrant:
    return approved(acme.client, acme.dispatcher, **(ADA | {"name": "Eve Fixer", "email": "eve@example.com"}))


@pytest.fixture
def rival(acme: Acme, engine: Engine) -> str:
    """A dispatcher's key of another organization."""
    with transaction(engine) as session:
        return rival_key(session, acme.clock())


def decided(
    engine: Engine,
    acme: Acme,
    technician_id: str,
    appointment_id: str,
    outcome: Outcome = Outcome.NOT_OFFERED,
) -> str:
    """A decision of acme, and its id."""
    with transaction(engine) as session:
        visit = session.get_one(Appointment, appointment_id)
        no = technician_by_id(session, technician_id).no
        assert no is not None
        return note(session, visit.organization_id, visit.id, no, outcome, FACTS, acme.clock()).id


def refused(acme: Acme, method: str, path: str, key: str, body: Any = None) -> tuple[int, str]:
    response = acme.client.call(method, path, body, key=key)
    return response.status_code, response.get_json(force=True)["code"]


def mine(acme: Acme, key: str, **query: Any) -> Any:
    return acme.client.read(MINE, key=key, **query)


def suspend(acme: Acme, technician_id: str, reason: str = "The insurance has run out.") -> None:
    acme.client.act(f"/v1/technicians/{technician_id}/suspend", {"reason": reason}, key=acme.dispatcher)


# Reading


def test_a_technician_reads_why_it_was_not_asked(acme: Acme, engine: Engine, booked: Any) -> None:
    id_ = decided(engine, acme, acme.ada["id"], booked["id"])

    [told] = mine(acme, acme.ada_key)["items"]

    assert told == {
        "id": id_,
        "organization": "acme",
        "organization_name": "Acme",
        "outcome": "not_offered",
        "appointment_id": booked["id"],
        "service_name": "Leak repair",
        "arrival_window": booked["arrival_window"],
        "offer_id": None,
        "facts": FACTS,
        "at": "2027-03-02T13:00:00Z",
        "kept_until": "2028-03-01T13:00:00Z",
        "review": None,
    }


def test_decisions_are_paged_the_newest_first(acme: Acme, engine: Engine, booked: Any) -> None:
    ids = []
    for _ in range(3):
        ids.append(decided(engine, acme, acme.ada["id"], booked["id"]))
        acme.clock.advance(minutes=1)

    first = mine(acme, acme.ada_key, limit=2)
    second = mine(acme, acme.ada_key, limit=2, cursor=first["next_cursor"])

    assert [item["id"] for item in first["items"] + second["items"]] == ids[::-1]
    assert second["next_cursor"] is None


def test_decisions_are_read_by_whom_they_are_about_alone(
    acme: Acme, engine: Engine, booked: Any, eve: Registrant
) -> None:
    id_ = decided(engine, acme, acme.ada["id"], booked["id"])

    assert mine(acme, eve.key)["items"] == []
    assert refused(acme, "GET", f"/v1/technicians/{acme.ada['id']}/decisions", eve.key) == (404, "not_found")
    assert refused(acme, "POST", f"{MINE}/{id_}/review", eve.key, {}) == (404, "not_found")
    assert refused(acme, "POST", f"{MINE}/{new_id()}/review", eve.key, {}) == (404, "not_found")
    assert refused(acme, "POST", f"{MINE}/one/review", eve.key, {}) == (404, "not_found")
    assert refused(acme, "GET", MINE, acme.dispatcher)[0] == 403


def test_who_is_pending_has_no_decisions_to_read(acme: Acme) -> None:
    joined = acme.client.create("/v1/technicians", ADA | {"email": "new@example.com"})

    assert refused(acme, "GET", MINE, joined["api_key"]) == (403, "not_approved")


# Suspension


def test_a_suspension_is_a_decision_with_its_reason_and_may_be_contested(acme: Acme) -> None:
    suspend(acme, acme.ada["id"])

    [told] = mine(acme, acme.ada_key)["items"]
    asked = acme.client.create(
        f"{MINE}/{told['id']}/review", {"note": "It is valid until May."}, key=acme.ada_key
    )

    assert (told["outcome"], told["appointment_id"], told["service_name"]) == ("suspended", None, None)
    assert told["facts"] == [{"code": "suspended", "detail": "The insurance has run out."}]
    assert asked["due_at"] == "2027-03-16T13:00:00Z"


def test_who_is_suspended_may_still_read_its_offers_and_ask_about_them(acme: Acme, booked: Any) -> None:
    offer = acme.offer(booked["id"])
    suspend(acme, acme.ada["id"])

    acme.client.create(f"/v1/offers/{offer['id']}/review", {}, key=acme.ada_key)

    assert acme.client.read(f"/v1/offers/{offer['id']}", key=acme.ada_key)["review"]["status"] == "open"


# Reviews


def test_a_person_answers_and_the_technician_reads_it(acme: Acme, engine: Engine, booked: Any) -> None:
    id_ = decided(engine, acme, acme.ada["id"], booked["id"])
    asked = acme.client.create(f"{MINE}/{id_}/review", {"note": "I was free."}, key=acme.ada_key)
    [listed] = acme.client.read("/v1/reviews", key=acme.dispatcher, status="open")["items"]
    said = {"answer": "You were; the next one is yours.", "outcome": "changed"}

    answered = acme.client.act(f"/v1/reviews/{asked['id']}/answer", said, key=acme.dispatcher)

    assert (listed["technician_name"], listed["note"], listed["overdue"]) == (
        "Ada Lovelace",
        "I was free.",
        False,
    )
    assert listed["decision"]["facts"] == FACTS
    assert listed["decision"]["appointment_id"] == booked["id"]
    assert answered["status"] == "answered"
    [told] = mine(acme, acme.ada_key)["items"]
    assert told["review"] == {
        "id": asked["id"],
        "status": "answered",
        "note": "I was free.",
        "asked_at": "2027-03-02T13:00:00Z",
        "due_at": "2027-03-16T13:00:00Z",
        "overdue": False,
        "answer": "You were; the next one is yours.",
        "outcome": "changed",
        "answered_at": "2027-03-02T13:00:00Z",
    }
    assert acme.client.read("/v1/reviews", key=acme.dispatcher, status="open")["items"] == []
    assert len(acme.client.read("/v1/reviews", key=acme.dispatcher, status="answered")["items"]) == 1


def test_an_offer_and_its_decision_have_one_review(acme: Acme, booked: Any) -> None:
    offer = acme.offer(booked["id"])
    path = f"/v1/offers/{offer['id']}"
    before = acme.client.call("GET", path, key=acme.ada_key)

    asked = acme.client.create(f"{path}/review", {"note": "Is this the true detour?"}, key=acme.ada_key)

    after = acme.client.call("GET", path, key=acme.ada_key)
    [decision] = mine(acme, acme.ada_key)["items"]
    assert before.get_json()["review"] is None
    assert after.get_json()["review"] == decision["review"] == asked
    assert before.headers["ETag"] != after.headers["ETag"]
    assert (decision["outcome"], decision["offer_id"]) == ("offered", offer["id"])
    assert [fact["code"] for fact in decision["facts"]] == [fact["code"] for fact in offer["why"]]
    again = f"{MINE}/{decision['id']}/review"
    assert refused(acme, "POST", again, acme.ada_key, {}) == (409, "already_asked")
    assert refused(acme, "POST", f"{path}/review", acme.ada_key, {}) == (409, "already_asked")


def test_another_technician_cannot_ask_about_an_offer(acme: Acme, booked: Any, eve: Registrant) -> None:
    offer = acme.offer(booked["id"])

    assert refused(acme, "POST", f"/v1/offers/{offer['id']}/review", eve.key, {}) == (404, "not_found")
    assert refused(acme, "POST", f"/v1/offers/{offer['id']}/review", acme.dispatcher, {})[0] == 403


def test_a_lost_answer_to_asking_is_had_again(acme: Acme, engine: Engine, booked: Any) -> None:
    path = f"{MINE}/{decided(engine, acme, acme.ada['id'], booked['id'])}/review"

    first, again = (
        acme.client.create(path, {"note": "Why?"}, key=acme.ada_key, idempotency_key="once") for _ in range(2)
    )

    assert first == again


def test_the_most_urgent_review_is_listed_first_and_says_that_it_is_overdue(
    acme: Acme, engine: Engine, booked: Any
) -> None:
    asked = []
    for _ in range(2):
        id_ = decided(engine, acme, acme.ada["id"], booked["id"])
        asked.append(acme.client.create(f"{MINE}/{id_}/review", {}, key=acme.ada_key)["id"])
        acme.clock.advance(days=1)
    acme.clock.advance(days=12, seconds=1)

    listed = acme.client.read("/v1/reviews", key=acme.dispatcher)["items"]

    assert [(item["id"], item["overdue"]) for item in listed] == [(asked[0], True), (asked[1], False)]


def test_a_review_is_answered_by_the_organization_that_decided_alone(
    acme: Acme, engine: Engine, booked: Any, rival: str
) -> None:
    id_ = decided(engine, acme, acme.ada["id"], booked["id"])
    asked = acme.client.create(f"{MINE}/{id_}/review", {}, key=acme.ada_key)
    path, said = f"/v1/reviews/{asked['id']}/answer", {"answer": "No.", "outcome": "upheld"}

    assert acme.client.read("/v1/reviews", key=rival)["items"] == []
    assert refused(acme, "POST", path, rival, said) == (404, "not_found")
    assert refused(acme, "POST", path, acme.ada_key, said)[0] == 403
    acme.client.act(path, said, key=acme.dispatcher)
    assert refused(acme, "POST", path, acme.dispatcher, said) == (409, "invalid_state")


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"outcome": "upheld"}, "answer"),
        ({"answer": " ", "outcome": "upheld"}, "answer"),
        ({"answer": "No.", "outcome": "maybe"}, "outcome"),
        ({"answer": "No."}, "outcome"),
    ],
)
def test_an_answer_says_what_was_found_and_why(
    acme: Acme, engine: Engine, booked: Any, said: dict[str, Any], field: str
) -> None:
    id_ = decided(engine, acme, acme.ada["id"], booked["id"])
    asked = acme.client.create(f"{MINE}/{id_}/review", {}, key=acme.ada_key)

    response = acme.client.call("POST", f"/v1/reviews/{asked['id']}/answer", said, key=acme.dispatcher)

    assert response.status_code == 422
    assert [error["field"] for error in response.get_json(force=True)["errors"]] == [field]


def test_the_worker_forgets_decisions_after_their_time(acme: Acme, engine: Engine, booked: Any) -> None:
    decided(engine, acme, acme.ada["id"], booked["id"])
    acme.clock.advance(days=365)
    acme.worker()
    on_the_day = mine(acme, acme.ada_key)["items"]
    acme.clock.advance(seconds=1)

    acme.worker()

    assert len(on_the_day) == 1
    assert mine(acme, acme.ada_key)["items"] == []
