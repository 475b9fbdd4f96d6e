"""The thread about a visit, over HTTP."""

from typing import Any

import pytest
from sqlalchemy import Engine
from sqlmodel import Session, select

from api.app import create_app
from api.context import installation
from api.schemas import EXAMPLE_ID
from dispatch.database import transaction
from dispatch.events import Event
from dispatch.keys import issue_key
from dispatch.message import Message
from dispatch.organization import create_organization
from dispatch.settings import Settings
from tests.support.acme import CUSTOMERS, NEIGHBOURS, Acme
from tests.support.clock import FakeClock

DAY = {"from": "2027-03-03", "to": "2027-03-03"}


@pytest.fixture
def casey(acme: Acme) -> Any:
    acme.shift("2027-03-03T09:00:00-05:00", "2027-03-03T17:00:00-05:00")
    return acme.request("Casey", CUSTOMERS)


@pytest.fixture
def booked(acme: Acme, casey: Any) -> Any:
    """A visit, promised and planned with Ada."""
    return acme.book(casey, acme.slots(casey, **DAY)["items"][0])


def by_link(booked: Any) -> str:
    return f"/v1/track/{booked['tracking_token']}/messages"


def by_id(booked: Any) -> str:
    return f"/v1/appointments/{booked['appointment']['id']}/messages"


def test_both_sides_read_one_thread_in_the_order_of_writing(acme: Acme, casey: Any, booked: Any) -> None:
    said = acme.client.create(by_link(booked), {"text": "  The bell is broken.\nPlease knock. "})
    acme.clock.advance(minutes=1)
    acme.client.create(by_id(booked), {"text": "We will."}, key=acme.dispatcher)
    acme.clock.advance(minutes=1)
    acme.client.create(by_id(booked), {"text": "Thanks!"}, key=casey["manage_token"])

    threads = [
        acme.client.read(by_link(booked)),
        acme.client.read(by_id(booked), key=acme.dispatcher),
        acme.client.read(by_id(booked), key=casey["manage_token"]),
    ]

    assert said == {
        "at": "2027-03-02T13:00:00Z",
        "from": "customer",
        "text": "The bell is broken.\nPlease knock.",
    }
    assert threads[0] == threads[1] == threads[2]
    assert [(item["from"], item["text"]) for item in threads[0]["items"]] == [
        ("customer", "The bell is broken.\nPlease knock."),
        ("dispatcher", "We will."),
        ("customer", "Thanks!"),
    ]
    assert threads[0]["next_cursor"] is None


def test_a_thread_is_read_in_pages(acme: Acme, booked: Any) -> None:
    for number in range(5):
        acme.client.create(by_link(booked), {"text": f"{number}"})

    seen, cursor = [], None
    while True:
        page = acme.client.read(by_link(booked), limit=2, **({"cursor": cursor} if cursor else {}))
        seen += [item["text"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    forged = acme.client.call("GET", by_link(booked), query={"cursor": "forged"})

    assert seen == ["0", "1", "2", "3", "4"]
    assert forged.status_code == 422


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"text": ""},
        {"text": " \n\t"},
        {"text": "\u200b"},
        {"text": "a\x00b"},
        {"text": "x" * 2001},
        {"text": 5},
        {"text": "x", "from": "dispatcher"},
    ],
)
def test_what_is_no_message_is_refused(acme: Acme, booked: Any, body: Any) -> None:
    for path, key in ((by_link(booked), None), (by_id(booked), acme.dispatcher)):
        response = acme.client.call("POST", path, body, key=key)
        assert response.status_code == 422, response.text

    assert acme.client.read(by_link(booked))["items"] == []
    assert len(acme.client.create(by_link(booked), {"text": "é" * 2000})["text"]) == 2000


def test_a_thread_is_its_own_peoples_alone(acme: Acme, booked: Any, engine: Engine) -> None:
    drew = acme.request("Drew", NEIGHBOURS)
    with transaction(engine) as session:
        other = create_organization(
            session, slug="other", name="Other", currency="USD", time_zone="UTC", now=acme.clock()
        )
        _, stranger = issue_key(session, "dispatcher", organization_id=other.id, now=acme.clock())
    absent = acme.client.call("GET", f"/v1/appointments/{EXAMPLE_ID}/messages", key=acme.dispatcher)

    foreign = [
        acme.client.call(method, by_id(booked), {"text": "Hi"} if method == "POST" else None, key=key)
        for method in ("GET", "POST")
        for key in (stranger, drew["manage_token"])
    ]
    technician = acme.client.call("GET", by_id(booked), key=acme.ada_key)
    nobody = acme.client.call("GET", by_id(booked))

    assert absent.status_code == 404
    assert {(answer.status_code, answer.get_json(force=True)["code"]) for answer in foreign} == {
        (404, "not_found")
    }
    assert (technician.status_code, nobody.status_code) == (403, 401)


def test_a_message_goes_with_its_event_and_its_words_stay_out_of_it(
    acme: Acme, booked: Any, engine: Engine
) -> None:
    path = f"/v1/appointments/{booked['appointment']['id']}"
    etag = acme.client.call("GET", path, key=acme.dispatcher).headers["ETag"]

    acme.client.create(by_link(booked), {"text": "My code is 4711."})

    with Session(engine) as session:
        [message] = session.exec(select(Message)).all()
        [event] = session.exec(select(Event).where(Event.type == "message.sent")).all()
        assert event.subject_id == message.id
        assert (event.by, event.after) == ("public", {"appointment_id": booked["appointment"]["id"]})
        assert "4711" not in event.model_dump_json()
    assert acme.client.call("GET", path, key=acme.dispatcher).headers["ETag"] == etag


def test_a_visit_is_spoken_about_until_it_is_done(acme: Acme, casey: Any, booked: Any) -> None:
    appointment_id, link = booked["appointment"]["id"], f"/v1/track/{booked['tracking_token']}"
    acme.accept(acme.offer(appointment_id)["id"])
    for status in ("en_route", "on_site"):
        acme.progress(appointment_id, status)
        assert acme.client.read(link)["can"] == ["message"]
    acme.client.create(by_link(booked), {"text": "Here."})
    acme.progress(appointment_id, "completed")

    late = [
        acme.client.call("POST", by_link(booked), {"text": "Thanks"}),
        acme.client.call("POST", by_id(booked), {"text": "Thanks"}, key=acme.dispatcher),
        acme.client.call("POST", by_id(booked), {"text": "Thanks"}, key=casey["manage_token"]),
    ]

    for answer in late:
        problem = answer.get_json(force=True)
        assert (answer.status_code, problem["code"], problem["current"]) == (
            409,
            "invalid_state",
            "completed",
        )
        assert "cannot_complete" in problem["allowed"]
    assert acme.client.read(link)["can"] == ["rate"]
    assert len(acme.client.read(by_link(booked))["items"]) == 1


def test_what_could_not_be_completed_is_still_spoken_about(acme: Acme, booked: Any) -> None:
    appointment_id = booked["appointment"]["id"]
    acme.accept(acme.offer(appointment_id)["id"])
    for status in ("en_route", "on_site"):
        acme.progress(appointment_id, status)
    acme.progress(appointment_id, "cannot_complete", reason="nobody opened")

    acme.client.create(by_link(booked), {"text": "I was at home. When do you come?"})

    assert acme.client.read(f"/v1/track/{booked['tracking_token']}")["can"] == ["message"]


def test_a_message_that_is_sent_twice_is_said_once(acme: Acme, booked: Any) -> None:
    key = "a key that is long enough for anybody"

    first, again = (
        acme.client.call("POST", by_link(booked), {"text": "Once."}, idempotency_key=key) for _ in range(2)
    )

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert len(acme.client.read(by_link(booked))["items"]) == 1


def test_writing_by_a_link_is_limited(settings: Settings, clock: FakeClock) -> None:
    app = create_app(settings.model_copy(update={"rate_limits": True}), clock=clock)
    client = app.test_client()

    answers = [client.post("/v1/track/guess/messages", json={"text": "Hi"}) for _ in range(21)]

    assert {answer.status_code for answer in answers[:-1]} == {404}
    assert (answers[-1].status_code, "Retry-After" in answers[-1].headers) == (429, True)
    with app.app_context():
        installation().engine.dispose()
