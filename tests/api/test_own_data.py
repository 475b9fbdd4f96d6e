"""All that is kept about a technician, in one file."""

import json
from typing import Any

import pytest

from tests.api.registering import approved
from tests.support.acme import ADA, CUSTOMERS, Acme

DAY = {"from": "2027-03-03", "to": "2027-03-03"}
MINE = "/v1/technicians/me/data"


@pytest.fixture
def done(acme: Acme) -> Any:
    """Ada's visit, accepted, driven to, done and rated; and another that she declined."""
    acme.shift("2027-03-03T09:00:00-05:00", "2027-03-03T17:00:00-05:00")
    declined = _booked(acme, "Dana Declined")["appointment"]
    offer = acme.offer(declined["id"])
    acme.client.act(f"/v1/offers/{offer['id']}/decline", {"reason": "Too far."}, key=acme.ada_key)
    booked = _booked(acme, "Casey Customer")
    visit = booked["appointment"]
    acme.accept(acme.offer(visit["id"], pay={"amount": 9000, "currency": "USD"})["id"])
    acme.clock.advance(hours=25)
    acme.drives(40.70, -73.99)
    for status in ("en_route", "on_site", "completed"):
        acme.progress(visit["id"], status)
    rated = {"csat": 5, "nps": 9, "comment": "Quick and kind."}
    acme.client.create(f"/v1/track/{booked['tracking_token']}/feedback", rated)
    return visit


def _booked(acme: Acme, name: str) -> Any:
    registered = acme.request(name, CUSTOMERS, notes="The key is under the mat.")
    return acme.book(registered, acme.slots(registered, **DAY)["items"][0])


def test_it_holds_all_that_is_kept_about_the_technician(acme: Acme, done: Any) -> None:
    found = acme.client.read(MINE, key=acme.ada_key)

    assert found["profile"] == acme.client.read("/v1/technicians/me", key=acme.ada_key)
    assert [engagement["organization_name"] for engagement in found["profile"]["engagements"]] == ["Acme"]
    assert [shift["starts_at"] for shift in found["shifts"]] == ["2027-03-03T14:00:00Z"]
    assert found["availability"] == {"weekly": [], "exceptions": [], "time_zone": "America/New_York"}
    [visit] = found["visits"]
    assert (visit["appointment_id"], visit["status"], visit["service_name"]) == (
        done["id"],
        "completed",
        "Leak repair",
    )
    assert (visit["rating"]["csat"], visit["rating"]["comment"]) == (5, "Quick and kind.")
    assert [(offer["status"], offer["answer_reason"]) for offer in found["offers"]] == [
        ("declined", "Too far."),
        ("accepted", None),
    ]
    assert [earning["pay"]["amount"] for earning in found["earnings"]] == [9000]
    assert [(at["lat"], at["lon"]) for at in found["positions"]] == [(40.70, -73.99)]


def test_it_is_a_file_to_take_away(acme: Acme) -> None:
    response = acme.client.call("GET", MINE, key=acme.ada_key)

    assert (
        response.headers["Content-Disposition"] == f'attachment; filename="technician-{acme.ada["id"]}.json"'
    )
    assert response.mimetype == "application/json"
    assert response.headers["Cache-Control"] == "no-store"


def test_of_customers_it_holds_no_more_than_may_be_known_now(acme: Acme, done: Any) -> None:
    just_after = json.dumps(acme.client.read(MINE, key=acme.ada_key))
    acme.clock.advance(days=2)
    later = json.dumps(acme.client.read(MINE, key=acme.ada_key))

    for told in (just_after, later):
        assert not any(word in told for word in ("Casey", "Dana", "555 0123", "5550123", "mat"))
    assert CUSTOMERS["address"] in just_after
    assert "Elm Street" not in later
    assert f"{CUSTOMERS['lat']}" not in later


def test_decisions_and_reviews_are_in_it_while_suspended_too(acme: Acme) -> None:
    path = f"/v1/technicians/{acme.ada['id']}/suspend"
    acme.client.act(path, {"reason": "The insurance has run out."}, key=acme.dispatcher)
    [decision] = acme.client.read("/v1/technicians/me/decisions", key=acme.ada_key)["items"]
    review = acme.client.create(
        f"/v1/technicians/me/decisions/{decision['id']}/review", {"note": "It has not."}, key=acme.ada_key
    )

    [told] = acme.client.read(MINE, key=acme.ada_key)["decisions"]

    assert (told["facts"][0]["detail"], told["review"]) == ("The insurance has run out.", review)


def test_earnings_of_all_time_are_in_it(acme: Acme, done: Any) -> None:
    acme.clock.advance(days=400)

    assert len(acme.client.read(MINE, key=acme.ada_key)["earnings"]) == 1


def test_it_is_ones_own_alone(acme: Acme, done: Any) -> None:
    eve = approved(acme.client, acme.dispatcher, **(ADA | {"email": "eve@example.com"}))
    pending = acme.client.create("/v1/technicians", ADA | {"email": "new@example.com"})

    hers = acme.client.read(MINE, key=eve.key)
    foreign = acme.client.call("GET", f"/v1/technicians/{acme.ada['id']}/data", key=eve.key)
    dispatchers = acme.client.call("GET", f"/v1/technicians/{acme.ada['id']}/data", key=acme.dispatcher)
    unapproved = acme.client.call("GET", MINE, key=pending["api_key"])

    assert (hers["profile"]["id"], hers["visits"], hers["offers"], hers["positions"]) == (eve.id, [], [], [])
    assert [answer.status_code for answer in (foreign, dispatchers, unapproved)] == [404, 403, 403]
