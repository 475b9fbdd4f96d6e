"""The audit over HTTP: what people did and why, and who read where a technician was."""

from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine

from api.location_reads import location_reads_of
from dispatch.database import transaction
from dispatch.events import OPERATOR
from dispatch.keys import create_key, find_key, issue_key, revoke
from dispatch.organization import create_organization
from tests.support.acme import CUSTOMERS, SERVICE, Acme
from tests.support.client import ApiClient

DAY = {"from": "2027-03-02", "to": "2027-03-02"}


@pytest.fixture
def booked(acme: Acme) -> Any:
    """A visit of today, accepted by Ada."""
    acme.shift("2027-03-02T09:00:00-05:00", "2027-03-02T17:00:00-05:00")
    casey = acme.request("Casey", CUSTOMERS)
    found = acme.book(casey, acme.slots(casey, **DAY)["items"][0])
    acme.accept(acme.offer(found["appointment"]["id"])["id"])
    return found


@pytest.fixture
def under_way(acme: Acme, booked: Any) -> Any:
    acme.drives(40.705, -73.991)
    acme.progress(booked["appointment"]["id"], "en_route")
    return booked


def audit(acme: Acme, **query: Any) -> list[Any]:
    items: list[Any] = acme.client.read("/v1/audit", key=acme.dispatcher, **query)["items"]
    return items


def types(acme: Acme, **query: Any) -> list[str]:
    return [entry["type"] for entry in audit(acme, **query)]


def track(acme: Acme, booked: Any) -> str:
    return f"/v1/track/{booked['tracking_token']}"


def test_the_newest_entry_says_who_did_what_and_why(acme: Acme, booked: Any) -> None:
    visit = booked["appointment"]["id"]
    acme.client.act(
        f"/v1/appointments/{visit}/unassign",
        {"reason": "Ada is ill"},
        **{
            "key": acme.dispatcher,
            "if_match": acme.client.call("GET", f"/v1/appointments/{visit}", key=acme.dispatcher).headers[
                "ETag"
            ],
        },
    )

    newest = next(entry for entry in audit(acme) if entry["type"] == "appointment.unassigned")

    assert newest == {
        "id": newest["id"],
        "at": "2027-03-02T13:00:00Z",
        "type": "appointment.unassigned",
        "subject_id": visit,
        "by": {"role": "dispatcher", "id": newest["by"]["id"], "name": acme.dispatcher[:11]},
        "reason": "Ada is ill",
        "before": {"status": "dispatched"},
        "after": {"status": "unassigned"},
    }


def test_what_people_decide_is_in_it(acme: Acme, engine: Engine) -> None:
    service, dispatcher = f"/v1/services/{acme.service['id']}", acme.dispatcher
    acme.client.change(service, {"duration_s": 5400, "name": SERVICE["name"]}, key=dispatcher)
    acme.client.act(f"/v1/technicians/{acme.ada['id']}/suspend", {"reason": "No insurance"}, key=dispatcher)
    row = b"service_id,customer_name,lat,lon\r\nnone,Casey,40.711,-73.992\r\n"
    acme.client.open(
        "/v1/service-requests/import",
        method="POST",
        data=row,
        content_type="text/csv",
        headers={"Authorization": f"Bearer {dispatcher}"},
    )
    plan = {"territory_id": acme.territory["id"], "date": "2027-03-03", "max_work": 10, "dry_run": True}
    for act in ("apply", "cancel"):
        run = acme.client.call("POST", "/v1/plans", plan, key=dispatcher).get_json()["id"]
        if act == "cancel":
            acme.client.call("DELETE", f"/v1/plans/{run}", key=dispatcher)
            continue
        acme.worker()
        acme.client.act(f"/v1/plans/{run}/apply", key=dispatcher)

    found = {entry["type"]: entry for entry in audit(acme, limit=200)}

    by = {entry["by"]["role"] for type_, entry in found.items() if type_ != "technician.registered"}
    assert by == {"dispatcher"}
    assert {
        "service.added",
        "territory.added",
        "technician.approved",
        "plan.requested",
        "plan.applied",
        "plan.cancelled",
    } <= set(found)
    changed = found["service.changed"]
    assert (changed["before"], changed["after"]) == ({"duration_s": 3600}, {"duration_s": 5400})
    assert found["technician.suspended"]["reason"] == "No insurance"
    assert found["requests.imported"]["after"] == {"refused": 1}


def test_every_key_that_is_made_exchanged_or_revoked_is_in_it(acme: Acme, engine: Engine) -> None:
    now = acme.clock()
    with transaction(engine) as session:
        known = find_key(session, acme.dispatcher)
        assert known is not None
        assert known.organization_id is not None
        made, plaintext = create_key(
            session, "integration", known.organization_id, OPERATOR, now, "for the web shop"
        )
        prefix = made.prefix
    fresh = acme.client.act("/v1/keys/rotate", key=plaintext)["api_key"]
    adas = acme.client.act("/v1/keys/rotate", key=acme.ada_key)["api_key"]
    with transaction(engine) as session:
        key = find_key(session, fresh)
        assert key is not None
        revoke(session, key, now, OPERATOR, "the shop is closed")

    told = [
        (entry["type"], entry["by"]["role"], entry["reason"], entry["before"], entry["after"])
        for entry in audit(acme)
        if entry["type"].startswith("key.")
    ]

    shop = {"role": "integration"}
    assert sorted(told, key=str) == sorted(
        [
            ("key.created", "operator", "for the web shop", None, {"prefix": prefix} | shop),
            ("key.rotated", "integration", None, {"prefix": prefix} | shop, {"prefix": fresh[:11]} | shop),
            (
                "key.rotated",
                "technician",
                None,
                {"prefix": acme.ada_key[:11], "role": "technician"},
                {"prefix": adas[:11], "role": "technician"},
            ),
            ("key.revoked", "operator", "the shop is closed", {"prefix": fresh[:11]} | shop, None),
        ],
        key=str,
    )
    assert plaintext not in str(audit(acme, limit=200)), "no key stands in the audit"


def test_it_is_filtered_by_what_changed_who_did_it_and_when(acme: Acme, under_way: Any) -> None:
    visit = under_way["appointment"]["id"]
    message = {"text": "The bell is broken."}
    acme.client.create(f"{track(acme, under_way)}/messages", message)
    acme.client.read(track(acme, under_way))
    acme.clock.move_to(datetime(2027, 3, 3, 5, 30, tzinfo=UTC))
    acme.client.act("/v1/technicians/me/duty", {"status": "off_duty"}, key=acme.ada_key)

    about = types(acme, appointment_id=visit, limit=200)
    ada = acme.ada["id"]

    assert {"request.created", "appointment.en_route", "message.sent", "location.read"} <= set(about)
    assert "technician.duty" not in about
    assert types(acme, subject_id=visit, type="appointment.en_route") == ["appointment.en_route"]
    assert set(types(acme, by="technician", by_id=ada)) == set(types(acme, by="technician"))
    assert set(types(acme, technician_id=ada)) >= {"location.read", "technician.approved", "technician.duty"}
    assert types(acme, **{"from": "2027-03-03"}) == ["technician.duty"], "half past midnight of the 3rd"
    assert "technician.duty" in types(acme, **{"from": "2027-03-02", "to": "2027-03-02"}), "the morning's"
    assert types(acme, **{"to": "2027-03-01"}) == []
    assert types(acme, subject_id=ada, type="location.read") == ["location.read"]


def test_it_is_paged_as_one_list_without_gaps_or_repeats(acme: Acme, under_way: Any) -> None:
    for minute in range(1, 5):
        acme.clock.advance(minutes=minute)
        acme.drives(40.705, -73.991)
        acme.client.read(track(acme, under_way))
        acme.client.act("/v1/technicians/me/duty", {"status": "on_break"}, key=acme.ada_key)
    whole = audit(acme, limit=200)
    paged: list[Any] = []
    cursor: dict[str, Any] = {}

    while cursor is not None:
        page = acme.client.read("/v1/audit", key=acme.dispatcher, limit=3, **cursor)
        paged += page["items"]
        assert len(page["items"]) <= 3
        cursor = {"cursor": page["next_cursor"]} if page["next_cursor"] is not None else None

    assert paged == whole
    assert [entry["at"] for entry in whole] == sorted((entry["at"] for entry in whole), reverse=True)
    assert types(acme, limit=200).count("location.read") >= 2


def test_who_follows_a_technician_on_the_way_is_recorded(acme: Acme, under_way: Any, app: Flask) -> None:
    visit = under_way["appointment"]["id"]
    for _ in range(3):
        assert acme.client.read(track(acme, under_way))["position"] is not None
        acme.clock.advance(seconds=20)
    acme.client.get(f"/t/{under_way['tracking_token']}")
    acme.client.call("GET", track(acme, under_way), key=acme.dispatcher)
    location_reads_of(app).settle()

    told = [
        (entry["by"]["role"], entry["after"]["reads"], entry["after"]["appointment_id"], entry["subject_id"])
        for entry in audit(acme, type="location.read")
    ]

    whose = (visit, acme.ada["id"])
    assert sorted(told) == [("dispatcher", 1, *whose), ("public", 1, *whose), ("public", 3, *whose)]


def test_a_stream_is_recorded_like_any_other_reader(acme: Acme, under_way: Any) -> None:
    stream = acme.client.get(f"{track(acme, under_way)}/events")
    first = next(stream.response)  # type: ignore[call-overload]
    stream.close()

    assert first
    assert types(acme, type="location.read") == ["location.read"]


def test_a_view_without_a_position_is_no_reading(acme: Acme, booked: Any) -> None:
    acme.drives(40.705, -73.991)
    acme.client.read(track(acme, booked))
    acme.client.get(f"/t/{booked['tracking_token']}")

    assert types(acme, type="location.read") == []


def test_technicians_read_who_saw_where_they_were(acme: Acme, under_way: Any) -> None:
    acme.client.read(track(acme, under_way))
    acme.clock.advance(minutes=1)
    acme.client.read("/v1/technicians/me/data", key=acme.ada_key)

    page = acme.client.read("/v1/technicians/me/location-reads", key=acme.ada_key)

    told = [(line["role"], line["reads"], line["organization"]) for line in page["items"]]
    assert told == [("technician", 1, None), ("public", 1, "acme")]
    assert page["items"][1]["appointment_id"] == under_way["appointment"]["id"]
    assert types(acme, type="location.read") == ["location.read"], "what one reads of oneself is one's own"


def test_the_audit_is_the_organizations_own(
    acme: Acme, under_way: Any, client: ApiClient, engine: Engine
) -> None:
    acme.client.read(track(acme, under_way))
    with transaction(engine) as session:
        other = create_organization(
            session, slug="rival", name="Rival", currency="EUR", time_zone="Europe/Paris", now=acme.clock()
        )
        _, rival = issue_key(session, "dispatcher", organization_id=other.id, now=acme.clock())
    ids = {"appointment_id": under_way["appointment"]["id"], "technician_id": acme.ada["id"]}

    assert client.read("/v1/audit", key=rival)["items"] == []
    for name, id_ in ids.items():
        assert client.read("/v1/audit", key=rival, **{name: id_})["items"] == []
    assert client.call("GET", "/v1/audit", key=acme.ada_key).status_code == 403
    assert client.call("GET", "/v1/audit").status_code == 401
    assert client.call("GET", "/v1/technicians/me/location-reads", key=acme.dispatcher).status_code == 403
    whose = f"/v1/technicians/{acme.territory['id']}/location-reads"
    assert client.call("GET", whose, key=acme.ada_key).status_code == 404


def test_nonsense_is_refused(acme: Acme) -> None:
    wrong = ({"by": "nobody"}, {"from": "2027-03-02", "to": "2027-03-01"}, {"cursor": "x"}, {"kind": "x"})

    answers = [
        acme.client.call("GET", "/v1/audit", key=acme.dispatcher, query=query).status_code for query in wrong
    ]

    assert answers == [422] * 4
