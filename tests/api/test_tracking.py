"""The tracking link over HTTP."""

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Engine
from sqlmodel import select

from api.app import create_app
from api.context import installation
from dispatch.appointment import Appointment, Status
from dispatch.database import transaction
from dispatch.feedback import Feedback
from dispatch.organization import create_organization
from dispatch.settings import Settings
from dispatch.technician import Technician
from tests.support.acme import CUSTOMERS, Acme
from tests.support.clock import FakeClock

DAY = {"from": "2027-03-03", "to": "2027-03-03"}
MEMBERS = {
    "status",
    "timeline",
    "time_zone",
    "service_name",
    "organization_name",
    "arrival_window",
    "eta",
    "stops_before",
    "technician",
    "position",
    "can",
}


@pytest.fixture
def booked(acme: Acme) -> Any:
    """A visit, promised and planned with Ada."""
    acme.shift("2027-03-03T09:00:00-05:00", "2027-03-03T17:00:00-05:00")
    casey = acme.request("Casey", CUSTOMERS)
    return acme.book(casey, acme.slots(casey, **DAY)["items"][0])


def completed(acme: Acme, booked: Any) -> None:
    appointment_id = booked["appointment"]["id"]
    acme.accept(acme.offer(appointment_id)["id"])
    for status in ("en_route", "on_site", "completed"):
        acme.progress(appointment_id, status)


def test_the_public_view_has_these_members_and_no_other(acme: Acme, booked: Any) -> None:
    seen = acme.client.read(f"/v1/track/{booked['tracking_token']}")

    assert set(seen) == MEMBERS
    assert (seen["time_zone"], seen["service_name"]) == ("America/New_York", "Leak repair")
    assert (seen["organization_name"], seen["stops_before"]) == ("Acme", 0)


def rated(acme: Acme, engine: Engine, *answers: int, organization_id: str | None = None) -> None:
    """Visits that Ada has done, each with its answer."""
    for csat in answers:
        done = acme.request("Drew", CUSTOMERS)["appointment"]["id"]
        with transaction(engine) as session:
            visit = session.get_one(Appointment, done)
            ada = session.exec(select(Technician)).one()
            assert ada.no is not None
            visit.plan(ada.no, acme.clock(), acme.clock(), 0, 0)
            visit.status = Status.COMPLETED
            said = Feedback(
                appointment_id=done,
                organization_id=organization_id or visit.organization_id,
                csat=csat,
                created_at=acme.clock(),
            )
            session.add_all([visit, said])


def test_a_technicians_rating_is_shown_once_enough_were_asked(
    acme: Acme, booked: Any, engine: Engine
) -> None:
    acme.accept(acme.offer(booked["appointment"]["id"])["id"])
    track = f"/v1/track/{booked['tracking_token']}"
    rated(acme, engine, 5, 5, 4, 4)
    before = acme.client.read(track)["technician"]

    rated(acme, engine, 5)

    assert before == {"first_name": "Ada", "vehicle": "cargo bike"}
    assert acme.client.read(track)["technician"] == {
        "first_name": "Ada",
        "rating": 4.6,
        "vehicle": "cargo bike",
    }
    assert "rated 4.6 of 5 by customers" in acme.client.get(f"/t/{booked['tracking_token']}").text
    assert "4,6 von 5" in acme.client.get(f"/t/{booked['tracking_token']}?lang=de").text


def test_what_another_organizations_customers_said_shows_in_no_rating(
    acme: Acme, booked: Any, engine: Engine
) -> None:
    with transaction(engine) as session:
        other = create_organization(
            session, slug="rival", name="Rival", currency="EUR", time_zone="Europe/Paris", now=acme.clock()
        ).id
    acme.accept(acme.offer(booked["appointment"]["id"])["id"])
    rated(acme, engine, 5, 5, 5)
    rated(acme, engine, 1, 1, organization_id=other)

    assert "rating" not in acme.client.read(f"/v1/track/{booked['tracking_token']}")["technician"]


@pytest.mark.parametrize(
    ("method", "path", "sent"),
    [
        ("GET", "/v1/track/{}", {}),
        ("GET", "/v1/track/{}/events", {}),
        ("POST", "/v1/track/{}/feedback", {"json": {"csat": 5}}),
        ("GET", "/v1/track/{}/messages", {}),
        ("POST", "/v1/track/{}/messages", {"json": {"text": "Hello"}}),
        ("GET", "/t/{}", {}),
        ("POST", "/t/{}", {"data": {"csat": "5"}}),
        ("POST", "/t/{}/messages", {"data": {"text": "Hello"}}),
    ],
)
def test_a_wrong_a_revoked_and_an_expired_link_answer_alike(
    acme: Acme, booked: Any, method: str, path: str, sent: Any
) -> None:
    def ask(token: str) -> Any:
        answer = acme.client.open(path.format(token), method=method, **sent)
        return answer.status_code, answer.data, sorted({**answer.headers, "X-Request-Id": ""}.items())

    right = booked["tracking_token"]
    completed(acme, booked)
    wrong = [ask("A" * 32), ask("x"), ask(right[:-1] + ("A" if right[-1] != "A" else "B"))]
    acme.clock.advance(days=9)
    expired = ask(right)
    acme.clock.advance(days=-9)
    acme.client.call(
        "DELETE", f"/v1/appointments/{booked['appointment']['id']}/tracking", key=acme.dispatcher
    )
    revoked = ask(right)

    assert wrong[0] == wrong[1] == wrong[2] == expired == revoked
    assert wrong[0][0] == 404
    assert {"Referrer-Policy": "no-referrer", "X-Robots-Tag": "noindex"}.items() <= dict(wrong[0][2]).items()
    assert dict(wrong[0][2])["Cache-Control"] == "no-store"


def test_an_estimate_is_told_in_whole_minutes(acme: Acme, booked: Any) -> None:
    acme.clock.move_to(datetime(2027, 3, 3, 13, 59, 59, 999_999, tzinfo=UTC))

    eta = acme.client.read(f"/v1/track/{booked['tracking_token']}")["eta"]

    assert all(instant.endswith(":00Z") for instant in eta.values())


def test_a_promise_after_revocation_opens_a_new_link(acme: Acme, booked: Any) -> None:
    appointment_id = booked["appointment"]["id"]
    acme.client.call("DELETE", f"/v1/appointments/{appointment_id}/tracking", key=acme.dispatcher)
    acme.client.act(f"/v1/appointments/{appointment_id}/cancel", {}, key=acme.dispatcher)
    path = f"/v1/appointments/{appointment_id}"
    etag = acme.client.call("GET", path, key=acme.dispatcher).headers["ETag"]
    acme.client.act(f"{path}/reopen", key=acme.dispatcher, if_match=etag)
    request_id = booked["appointment"]["service_request_id"]
    slots = acme.client.read(f"/v1/service-requests/{request_id}/slots", key=acme.dispatcher, **DAY)

    again = acme.client.create(
        "/v1/appointments",
        {"service_request_id": request_id, "slot_id": slots["items"][0]["slot_id"]},
        key=acme.dispatcher,
    )

    assert again["tracking_token"] != booked["tracking_token"]
    assert acme.client.read(f"/v1/track/{again['tracking_token']}")["status"] == "scheduled"
    assert acme.client.call("GET", f"/v1/track/{booked['tracking_token']}").status_code == 404


def test_only_a_completed_visit_is_rated_and_once(acme: Acme, booked: Any) -> None:
    path = f"/v1/track/{booked['tracking_token']}/feedback"
    early = acme.client.call("POST", path, {"csat": 4})
    completed(acme, booked)

    given = acme.client.create(path, {"csat": 4, "ces": 7, "nps": 0, "comment": "Fine."})
    again = acme.client.call("POST", path, {"csat": 1})

    assert early.get_json(force=True)["current"] == "scheduled"
    assert (given["csat"], given["ces"], given["nps"], given["comment"]) == (4, 7, 0, "Fine.")
    assert (again.status_code, again.get_json(force=True)["code"]) == (409, "feedback_given")


@pytest.mark.parametrize("wrong", [{}, {"csat": 0}, {"csat": 6}, {"csat": 5, "nps": 11}, {"csat": True}])
def test_feedback_stays_within_its_scales(acme: Acme, booked: Any, wrong: Any) -> None:
    completed(acme, booked)

    response = acme.client.call("POST", f"/v1/track/{booked['tracking_token']}/feedback", wrong)

    assert response.status_code in (415, 422)
    assert acme.client.read(f"/v1/track/{booked['tracking_token']}")["can"] == ["rate"]


def test_guessing_links_is_limited(settings: Settings, clock: FakeClock) -> None:
    app = create_app(settings.model_copy(update={"rate_limits": True}), clock=clock)
    client = app.test_client()

    answers = [client.get(f"/v1/track/guess-{number}") for number in range(121)]

    assert {answer.status_code for answer in answers[:-1]} == {404}
    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["Retry-After"]) >= 1
    with app.app_context():
        installation().engine.dispose()
