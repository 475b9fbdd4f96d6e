"""Service requests over HTTP."""

import json
from typing import Any

import pytest
from sqlalchemy import Engine

from dispatch.database import transaction
from dispatch.ids import new_id
from dispatch.keys import issue_key
from dispatch.organization import create_organization
from tests.support.acme import CUSTOMERS, NEIGHBOURS, Acme

DAY = {"from": "2027-03-03", "to": "2027-03-03"}
FAR_END = {"lat": 40.90, "lon": -73.99, "address": "1 Hill Road, Fort Lee"}
"""21 km north of the customers."""


def path_of(registered: Any) -> str:
    return f"/v1/service-requests/{registered['service_request']['id']}"


def body(acme: Acme, **members: Any) -> dict[str, Any]:
    return {
        "organization": "acme",
        "service_id": acme.service["id"],
        "customer": {"name": "Casey"},
        "place": CUSTOMERS,
    } | members


@pytest.fixture
def rival(acme: Acme, engine: Engine) -> str:
    """A dispatcher's key of another organization."""
    with transaction(engine) as session:
        other = create_organization(
            session, slug="rival", name="Rival", currency="EUR", time_zone="Europe/Paris", now=acme.clock()
        )
        return issue_key(session, "dispatcher", organization_id=other.id, now=acme.clock())[1]


def import_rows(acme: Acme, data: str | bytes, content_type: str) -> Any:
    return acme.client.open(
        "/v1/service-requests/import",
        method="POST",
        data=data,
        content_type=content_type,
        headers={"Authorization": f"Bearer {acme.dispatcher}"},
    )


def test_a_request_is_born_open_with_one_unassigned_appointment(acme: Acme) -> None:
    created = acme.client.create("/v1/service-requests", body(acme, notes="Third floor"))

    request, appointment = created["service_request"], created["appointment"]
    assert request["status"] == "open"
    assert request["appointment_id"] == appointment["id"]
    assert request["territory_id"] == acme.territory["id"]
    assert (request["source"], request["priority"], request["notes"]) == ("web", "normal", "Third floor")
    assert (appointment["status"], appointment["arrival_window"]) == ("unassigned", None)
    own = acme.client.read(f"/v1/service-requests/{request['id']}", key=created["manage_token"])
    assert own == request


@pytest.mark.parametrize("members", [{"priority": "high"}, {"priority": "emergency"}, {"external_id": "7"}])
def test_the_public_may_neither_jump_the_queue_nor_name_an_external_id(
    acme: Acme, members: dict[str, str]
) -> None:
    publicly = acme.client.call("POST", "/v1/service-requests", body(acme, **members))
    created = acme.client.create("/v1/service-requests", body(acme, **members), key=acme.dispatcher)

    assert (publicly.status_code, publicly.get_json(force=True)["code"]) == (403, "forbidden")
    assert members.items() <= created["service_request"].items()


@pytest.mark.parametrize(
    ("members", "code", "field"),
    [
        ({"service_id": new_id()}, "unknown_reference", "service_id"),
        ({"service_id": "nonsense"}, "unknown_reference", "service_id"),
        ({"organization": "nobody"}, "unknown_reference", "organization"),
        ({"preferred_technician_id": new_id()}, "unknown_reference", "preferred_technician_id"),
        ({"place": {"lat": 0, "lon": 0}}, "outside_territories", "place"),
        ({"place": {"address": "Nowhere 1"}}, "address_not_found", "place.address"),
        ({"customer": {"name": " "}}, "invalid", "customer.name"),
        ({"customer": {"name": "C", "phone": "12"}}, "invalid", "customer.phone"),
        ({"customer": {"name": "C", "email": "nobody"}}, "invalid", "customer.email"),
        ({"priority": "urgent"}, "invalid", "priority"),
        (
            {"earliest_start": "2027-03-04T10:00:00Z", "due": "2027-03-04T09:00:00Z"},
            "invalid",
            "due",
        ),
    ],
)
def test_what_cannot_be_served_is_refused_by_field(
    acme: Acme, members: dict[str, Any], code: str, field: str
) -> None:
    response = acme.client.call("POST", "/v1/service-requests", body(acme, **members))

    problem = response.get_json(force=True)
    assert (response.status_code, problem["code"]) == (422, code)
    assert [error["field"] for error in problem["errors"]] == [field]


def test_an_external_id_is_taken_once(acme: Acme) -> None:
    first = acme.client.create("/v1/service-requests", body(acme, external_id="7"), key=acme.dispatcher)

    second = acme.client.call(
        "POST", "/v1/service-requests", body(acme, external_id="7"), key=acme.dispatcher
    )

    problem = second.get_json(force=True)
    assert (second.status_code, problem["code"]) == (409, "external_id_taken")
    assert problem["service_request_id"] == first["service_request"]["id"]


def test_a_request_is_found_by_its_own_people_alone(acme: Acme, rival: str) -> None:
    casey, drew = acme.request("Casey", CUSTOMERS), acme.request("Drew", NEIGHBOURS)
    path = f"/v1/service-requests/{casey['service_request']['id']}"

    answers = {
        "rival": acme.client.call("GET", path, key=rival),
        "drew": acme.client.call("GET", path, key=drew["manage_token"]),
        "rival's patch": acme.client.call("PATCH", path, {"notes": "x"}, key=rival, if_match='"v0"'),
        "rival's cancel": acme.client.call("POST", f"{path}/cancel", key=rival),
        "rival's slots": acme.client.call("GET", f"{path}/slots", key=rival),
        "unknown": acme.client.call("GET", f"/v1/service-requests/{new_id()}", key=acme.dispatcher),
        "malformed": acme.client.call("GET", "/v1/service-requests/7", key=acme.dispatcher),
    }

    assert {name: answer.status_code for name, answer in answers.items()} == dict.fromkeys(answers, 404)
    assert acme.client.call("GET", path, key=acme.ada_key).status_code == 403
    assert acme.client.call("GET", path).status_code == 401


def test_a_correction_keeps_what_it_does_not_name(acme: Acme) -> None:
    casey = acme.request("Casey", CUSTOMERS, notes="Ring twice")
    path = f"/v1/service-requests/{casey['service_request']['id']}"
    etag = acme.client.call("GET", path, key=casey["manage_token"]).headers["ETag"]

    changed = acme.client.change(
        path,
        {"customer": {"name": "Casey Jones"}, "place": NEIGHBOURS},
        key=casey["manage_token"],
        if_match=etag,
    )
    stale = acme.client.call("PATCH", path, {"notes": "x"}, key=casey["manage_token"], if_match=etag)

    assert changed["customer"]["name"] == "Casey Jones"
    assert changed["customer"]["phone"] == "+12125550123"
    assert (changed["notes"], changed["place"]) == ("Ring twice", NEIGHBOURS)
    assert stale.status_code == 412
    cleared = acme.client.change(
        path, {"notes": None, "customer": {"phone": None}}, key=casey["manage_token"]
    )
    assert (cleared["notes"], cleared["customer"]["phone"]) == (None, None)


def test_another_place_takes_the_promise_along(acme: Acme) -> None:
    acme.shift("2027-03-03T09:00:00-05:00", "2027-03-03T17:00:00-05:00")
    casey = acme.request("Casey", CUSTOMERS)
    slots = sorted(acme.slots(casey, **DAY)["items"], key=lambda slot: str(slot["arrival_window"]["start"]))
    booked = acme.book(casey, slots[3])["appointment"]
    acme.accept(acme.offer(booked["id"])["id"])

    moved = acme.client.change(path_of(casey), {"place": FAR_END}, key=casey["manage_token"])

    stands = acme.client.read(f"/v1/appointments/{booked['id']}", key=acme.dispatcher)
    route = acme.client.read("/v1/technicians/me/route", key=acme.ada_key, date="2027-03-03")
    assert moved["place"] == FAR_END
    assert stands["arrival_window"] == booked["arrival_window"]
    assert stands["status"] == "scheduled", "a new place needs a new acceptance"
    assert route["stops"][0]["travel_m"] > 10_000


def test_a_place_at_which_nobody_can_keep_the_promise_is_refused_with_times_that_can_be_kept(
    acme: Acme,
) -> None:
    acme.shift("2027-03-03T09:00:00-05:00", "2027-03-03T11:45:00-05:00")
    acme.shift("2027-03-04T09:00:00-05:00", "2027-03-04T17:00:00-05:00")
    casey, drew = acme.request("Casey", CUSTOMERS), acme.request("Drew", NEIGHBOURS)
    slots = sorted(acme.slots(casey, **DAY)["items"], key=lambda slot: str(slot["arrival_window"]["start"]))
    booked = acme.book(casey, slots[0])["appointment"]
    acme.book(drew, acme.slots(drew, **DAY)["items"][0])
    before = acme.client.read(path_of(casey), key=casey["manage_token"])

    refused = acme.client.call("PATCH", path_of(casey), {"place": FAR_END}, key=casey["manage_token"])

    problem = refused.get_json(force=True)
    assert (refused.status_code, problem["code"]) == (409, "slot_taken")
    assert problem["alternatives"] != []
    assert acme.client.read(path_of(casey), key=casey["manage_token"]) == before
    assert acme.client.read(f"/v1/appointments/{booked['id']}", key=acme.dispatcher)["technician"]


def test_the_place_of_a_visit_under_way_stands(acme: Acme) -> None:
    acme.shift("2027-03-03T09:00:00-05:00", "2027-03-03T17:00:00-05:00")
    casey = acme.request("Casey", CUSTOMERS)
    booked = acme.book(casey, acme.slots(casey, **DAY)["items"][0])["appointment"]
    acme.accept(acme.offer(booked["id"])["id"])
    acme.progress(booked["id"], "en_route")

    moved = acme.client.call("PATCH", path_of(casey), {"place": NEIGHBOURS}, key=casey["manage_token"])

    problem = moved.get_json(force=True)
    assert (moved.status_code, problem["code"]) == (409, "invalid_state")
    assert problem["current"] == "en_route"


def test_withdrawing_a_request_cancels_its_visit_and_gives_the_time_back(acme: Acme) -> None:
    acme.shift("2027-03-03T09:00:00-05:00", "2027-03-03T10:45:00-05:00")
    casey, drew = acme.request("Casey", CUSTOMERS), acme.request("Drew", NEIGHBOURS)
    acme.book(casey, acme.slots(casey, **DAY)["items"][0])
    assert acme.slots(drew, **DAY)["items"] == []
    path = f"/v1/service-requests/{casey['service_request']['id']}/cancel"

    cancelled = acme.client.act(path, {"reason": "Fixed it."}, key=casey["manage_token"])
    again = acme.client.call("POST", path, key=casey["manage_token"])

    assert cancelled["status"] == "cancelled"
    assert again.get_json(force=True)["current"] == "cancelled"
    assert acme.slots(drew, **DAY)["items"] != []


def test_the_list_is_filtered_and_paged(acme: Acme) -> None:
    acme.shift("2027-03-03T09:00:00-05:00", "2027-03-03T17:00:00-05:00")
    names = ["Ann 100%", "Bob", "Cid"]
    made = [acme.request(name, CUSTOMERS) for name in names]
    acme.book(made[1], acme.slots(made[1], **DAY)["items"][0])
    acme.clock.advance(days=1)
    later = acme.request("Dan", NEIGHBOURS, notes="The bell of 100 rings")

    def found(**query: Any) -> list[str]:
        answer = acme.client.read("/v1/service-requests", key=acme.dispatcher, **query)
        return [item["customer"]["name"] for item in answer["items"]]

    assert found() == ["Dan", "Cid", "Bob", "Ann 100%"]
    assert found(status="booked") == ["Bob"]
    assert found(status="open") == ["Dan", "Cid", "Ann 100%"]
    assert found(q="100%") == ["Ann 100%"]
    assert found(q="BELL") == ["Dan"]
    assert found(q="elm") == ["Cid", "Bob", "Ann 100%"]
    assert found(**{"from": "2027-03-03"}) == ["Dan"]
    assert found(to="2027-03-02") == ["Cid", "Bob", "Ann 100%"]
    first = acme.client.read("/v1/service-requests", key=acme.dispatcher, limit=3)
    rest = acme.client.read("/v1/service-requests", key=acme.dispatcher, limit=3, cursor=first["next_cursor"])
    assert [item["customer"]["name"] for item in rest["items"]] == ["Ann 100%"]
    assert rest["next_cursor"] is None
    assert later["service_request"]["id"] == first["items"][0]["id"]


def test_another_organizations_requests_are_in_no_list(acme: Acme, rival: str) -> None:
    acme.request("Casey", CUSTOMERS)

    assert acme.client.read("/v1/service-requests", key=rival)["items"] == []


def test_one_bad_row_of_an_import_loses_nothing_of_the_others(acme: Acme) -> None:
    good = {key: value for key, value in body(acme).items() if key != "organization"}
    lines = [
        json.dumps(good | {"external_id": "1", "priority": "high"}),
        "{not json",
        json.dumps(good | {"external_id": "2", "colour": "red"}),
        "",
        json.dumps(good | {"external_id": "3", "place": {"lat": 0, "lon": 0}}),
        json.dumps(good | {"external_id": "4", "notes": "a\x00b"}),
        json.dumps(good | {"external_id": "5"}),
        json.dumps(good | {"external_id": "1"}),
    ]

    answer = import_rows(acme, "\n".join(lines), "application/x-ndjson").get_json()

    assert (answer["created"], answer["existing"], answer["refused"]) == (2, 1, 4)
    told = [(row["line"], row["result"], row.get("code")) for row in answer["rows"]]
    assert told == [
        (1, "created", None),
        (2, "refused", "bad_request"),
        (3, "refused", "invalid"),
        (5, "refused", "outside_territories"),
        (6, "refused", "invalid"),
        (7, "created", None),
        (8, "existing", None),
    ]
    assert answer["rows"][2]["errors"] == [{"field": "colour", "message": "is not a field here"}]
    assert answer["rows"][6]["service_request_id"] == answer["rows"][0]["service_request_id"]
    listed = acme.client.read("/v1/service-requests", key=acme.dispatcher)["items"]
    assert {item["external_id"] for item in listed} == {"1", "5"}


def test_importing_twice_creates_nothing_twice(acme: Acme) -> None:
    rows = (
        "external_id,service_id,customer_name,customer_phone,lat,lon,notes\n"
        f'a,{acme.service["id"]},Casey,+12125550123,40.711,-73.992,"two\nlines"\n'
        f"b,{acme.service['id']},Drew,,north,-73.992,\n"
        f"c,{acme.service['id']},Eve,,40.711,-73.992,,more\n"
    )

    first = import_rows(acme, rows, "text/csv; charset=utf-8").get_json()
    second = import_rows(acme, "\ufeff" + rows, "text/csv").get_json()

    assert [(row["line"], row["result"]) for row in first["rows"]] == [
        (2, "created"),
        (4, "refused"),
        (5, "refused"),
    ]
    assert first["rows"][1]["errors"][0]["field"] == "place.lat"
    assert [row["result"] for row in second["rows"]] == ["existing", "refused", "refused"]


@pytest.mark.parametrize(
    ("data", "content_type", "status"),
    [
        (b"{}", "application/json", 415),
        (b"\xff\xfe,a", "text/csv", 400),
        (b"service_id,colour\n", "text/csv", 422),
        (b"service_id,service_id\n", "text/csv", 422),
        (b"", "text/csv", 200),
    ],
)
def test_a_file_that_is_no_import_is_refused_whole(
    acme: Acme, data: bytes, content_type: str, status: int
) -> None:
    assert import_rows(acme, data, content_type).status_code == status
