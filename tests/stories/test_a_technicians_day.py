"""A freelancer joins two organizations, works through a day from duty to proof, partly without a network, and reads
what it earned. Over HTTP alone."""

from datetime import UTC, datetime
from io import BytesIO
from typing import Any

from PIL import Image
from sqlalchemy import Engine

from dispatch.database import transaction
from dispatch.keys import issue_key
from dispatch.organization import create_organization
from tests.support.acme import ADA, CUSTOMERS, NEIGHBOURS, SERVICE, TERRITORY, Acme
from tests.support.client import ApiClient

DAY = "2027-03-03"


def visit(acme: Acme, name: str, place: dict[str, Any]) -> Any:
    """Booked for the earliest window of the day, and accepted by Ada."""
    asked = acme.request(name, place)
    slots = acme.slots(asked, **{"from": DAY, "to": DAY})["items"]
    booked = asked | acme.book(asked, min(slots, key=lambda slot: slot["arrival_window"]["start"]))
    acme.accept(acme.offer(booked["appointment"]["id"])["id"])
    return booked


def route(acme: Acme) -> list[Any]:
    stops: list[Any] = acme.client.read("/v1/technicians/me/route", key=acme.ada_key, date=DAY)["stops"]
    return stops


def test_a_day_from_duty_to_proof(acme: Acme) -> None:
    client, key = acme.client, acme.ada_key
    acme.shift("2027-03-03T09:00:00-05:00", "2027-03-03T17:00:00-05:00")
    casey, drew = visit(acme, "Casey", CUSTOMERS), visit(acme, "Drew", NEIGHBOURS)
    acme.clock.move_to(datetime(2027, 3, 3, 13, 50, tzinfo=UTC))

    stops = route(acme)
    assert {stop["customer_name"] for stop in stops} == {"Casey", "Drew"}
    assert all(stop["travel_s"] > 0 and stop["travel_m"] > 0 for stop in stops)
    first, second = (casey, drew) if stops[0]["customer_name"] == "Casey" else (drew, casey)
    first_id, second_id = first["appointment"]["id"], second["appointment"]["id"]

    here = {"lat": 40.70, "lon": -73.99, "recorded_at": acme.clock().isoformat()}
    off = client.call("POST", "/v1/technicians/me/positions", here, key=key)
    assert (off.status_code, off.get_json(force=True)["code"]) == (409, "off_duty")
    client.act("/v1/technicians/me/duty", {"status": "available"}, key=key)
    client.create("/v1/technicians/me/positions", here, key=key)

    acme.progress(first_id, "en_route")
    acme.progress(first_id, "dispatched")
    assert route(acme)[0]["status"] == "dispatched", "undone"
    acme.progress(first_id, "en_route")
    acme.clock.advance(minutes=15)
    acme.progress(first_id, "on_site")
    said = client.act(f"/v1/appointments/{second_id}/late", {"by_s": 1800}, key=key)
    assert route(acme)[1]["expected_start"] == said["expected_start"]
    path = f"/v1/service-requests/{first['service_request']['id']}"
    code = client.read(path, key=first["manage_token"])["proof_code"]
    client.create(f"/v1/appointments/{first_id}/proof", {"code": code}, key=key)
    acme.clock.advance(minutes=50)
    acme.progress(first_id, "completed", note="New washer.")

    acme.progress(second_id, "en_route")
    acme.clock.advance(minutes=10)
    acme.progress(second_id, "on_site")
    acme.progress(second_id, "cannot_complete", reason="The valve is missing.")
    picture = BytesIO()
    Image.new("L", (4, 4)).save(picture, "JPEG")
    sent = client.post(
        f"/v1/appointments/{second_id}/proof",
        data=picture.getvalue(),
        content_type="image/jpeg",
        headers={"Authorization": f"Bearer {key}"},
    )
    assert sent.status_code == 201
    follow_up = {"reason": "The valve is missing.", "earliest_start": "2027-03-05T09:00:00-05:00"}
    asked = client.create(f"/v1/appointments/{second_id}/follow-up", follow_up, key=key)
    waiting = client.read("/v1/service-requests", key=acme.dispatcher, status="open")["items"]
    assert [request["id"] for request in waiting] == [asked["service_request_id"]]
    client.act("/v1/technicians/me/duty", {"status": "off_duty"}, key=key)

    earned = client.read("/v1/technicians/me/earnings", key=key)
    assert [item["appointment_id"] for item in earned["items"]] == [first_id]
    assert [item["kind"] for item in earned["items"][0]["additions"]] == ["per_hour"]
    assert earned["weeks"][0]["pay"] == earned["totals"][0] == {"amount": 6000, "currency": "USD"}


def test_a_phone_that_was_offline_sends_its_steps_late_in_order_and_more_than_once(acme: Acme) -> None:
    acme.shift("2027-03-03T09:00:00-05:00", "2027-03-03T17:00:00-05:00")
    appointment_id = visit(acme, "Casey", CUSTOMERS)["appointment"]["id"]
    acme.clock.move_to(datetime(2027, 3, 3, 16, tzinfo=UTC))
    steps = [
        {"status": "en_route", "occurred_at": "2027-03-03T08:58:00-05:00"},
        {"status": "dispatched", "occurred_at": "2027-03-03T08:59:00-05:00"},
        {"status": "en_route", "occurred_at": "2027-03-03T09:05:00-05:00"},
        {"status": "on_site", "occurred_at": "2027-03-03T09:15:00-05:00"},
        {"status": "completed", "occurred_at": "2027-03-03T10:10:00-05:00"},
    ]

    def send(step: dict[str, str]) -> Any:
        path = f"/v1/appointments/{appointment_id}/progress"
        return acme.client.call("POST", path, step, key=acme.ada_key)

    early = send(steps[3])
    assert (early.status_code, early.get_json(force=True)["code"]) == (409, "invalid_state")
    for number, step in enumerate(steps):
        first = send(step)
        assert (first.status_code, first.get_json()["status"]) == (200, step["status"])
        for again in steps[: number + 1]:
            assert send(again).get_json() == first.get_json(), "a step that was said changes nothing"

    done = acme.client.read(f"/v1/appointments/{appointment_id}", key=acme.ada_key)
    told = [
        (event["after"]["status"], event["after"]["occurred_at"], event["at"])
        for event in done["events"]
        if "occurred_at" in event.get("after", {})
    ]
    assert [(status, told_at[:19]) for status, told_at, _ in told] == [
        ("en_route", "2027-03-03T13:58:00"),
        ("dispatched", "2027-03-03T13:59:00"),
        ("en_route", "2027-03-03T14:05:00"),
        ("on_site", "2027-03-03T14:15:00"),
        ("completed", "2027-03-03T15:10:00"),
    ]
    assert {at for _, _, at in told} == {"2027-03-03T16:00:00Z"}, "the server's clock decides"
    assert done["actual_start"] == done["actual_end"] == "2027-03-03T16:00:00Z"


def test_one_calendar_over_two_organizations_that_see_nothing_of_each_other(
    acme: Acme, client: ApiClient, engine: Engine
) -> None:
    with transaction(engine) as session:
        other = create_organization(
            session, slug="rival", name="Rival", currency="EUR", time_zone="Europe/Paris", now=acme.clock()
        )
        _, rival = issue_key(session, "dispatcher", organization_id=other.id, now=acme.clock())
    price = {"price": {"amount": 1, "currency": "EUR"}, "cancel_fee": {"amount": 1, "currency": "EUR"}}
    service = client.create("/v1/services", SERVICE | price, key=rival)
    client.create("/v1/territories", TERRITORY, key=rival)
    client.create("/v1/technicians/me/engagements", {"organization": "rival"}, key=acme.ada_key)
    client.act(f"/v1/technicians/{acme.ada['id']}/approve", key=rival)
    acme.shift("2027-03-03T09:00:00-05:00", "2027-03-03T11:30:00-05:00")

    ours = visit(acme, "Casey", CUSTOMERS)["appointment"]["id"]
    theirs = client.create(
        "/v1/service-requests",
        {
            "organization": "rival",
            "service_id": service["id"],
            "customer": {"name": "Robin"},
            "place": NEIGHBOURS,
        },
    )
    path = f"/v1/service-requests/{theirs['service_request']['id']}/slots"
    free = client.read(path, key=rival, **{"from": DAY, "to": DAY})["items"]
    booked = client.create(
        "/v1/appointments",
        {"service_request_id": theirs["service_request"]["id"], "slot_id": free[0]["slot_id"]},
        key=rival,
    )

    own = client.read("/v1/technicians/me/route", key=acme.ada_key, date=DAY)["stops"]
    assert {stop["appointment_id"] for stop in own} == {ours, booked["appointment"]["id"]}
    ends, starts = own[0]["scheduled_end"], own[1]["scheduled_start"]
    assert ends <= starts, "never in two places"
    for key, visits in ((acme.dispatcher, [ours]), (rival, [booked["appointment"]["id"]])):
        seen = client.read(f"/v1/technicians/{acme.ada['id']}/route", key=key, date=DAY)["stops"]
        assert [stop["appointment_id"] for stop in seen] == visits
    assert client.call("GET", f"/v1/appointments/{ours}", key=rival).status_code == 404
    assert client.call("GET", f"/v1/appointments/{ours}/proof", key=rival).status_code == 404
    full = client.read(path, key=rival, **{"from": DAY, "to": DAY})
    assert "Casey" not in str(full)
    assert "Elm" not in str(full)


def test_joining_says_everything_that_matters(acme: Acme) -> None:
    client = acme.client
    said = ADA | {
        "name": "Grace Hopper",
        "email": "grace@example.com",
        "skills": [
            {"skill": "plumbing", "level": 4, "expires_on": "2027-03-20"},
            {"skill": "gas", "level": 2},
        ],
        "max_travel_m": 15_000,
        "languages": ["en", "es"],
        "availability": {"weekly": [{"weekday": 3, "from": "09:00", "to": "17:00"}]},
    }

    joined = client.create("/v1/technicians", said)
    path, key = f"/v1/technicians/{joined['technician']['id']}", joined["api_key"]
    assert (
        client.call("GET", "/v1/technicians/me/shifts", key=key).get_json(force=True)["code"]
        == "not_approved"
    )
    approved = client.act(f"{path}/approve", {"verified": ["plumbing"]}, key=acme.dispatcher)
    assert [(s["skill"], s["counts"], s["expires_soon"]) for s in approved["skills"]] == [
        ("gas", False, False),
        ("plumbing", True, True),
    ]
    assert len(client.read("/v1/technicians/me/shifts", key=key)["items"]) == 2
    client.act(f"{path}/suspend", {"reason": "The insurance has run out."}, key=acme.dispatcher)
    mine = client.read("/v1/technicians/me", key=key)
    assert (mine["status"], mine["reason"]) == ("suspended", "The insurance has run out.")
    client.act(f"{path}/reinstate", key=acme.dispatcher)

    # Grace alone works on Wednesdays, and her certificate ends between the two.
    asked = acme.request("Casey", CUSTOMERS)
    days = {day: acme.slots(asked, **{"from": day, "to": day}) for day in ("2027-03-03", "2027-03-10")}
    assert all(found["items"] for found in days.values())
    acme.clock.move_to(datetime(2027, 3, 19, 13, tzinfo=UTC))
    late = acme.slots(asked, **{"from": "2027-03-24", "to": "2027-03-24"})
    assert late["items"] == []
    assert {reason["code"] for reason in late["reasons"]} & {"skill_missing", "skill_expired"}
