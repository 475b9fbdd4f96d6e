"""A customer asks for a visit, gets a promise, follows it and rates it; a freelancer joins, accepts and makes it; a
dispatcher sees to both. Over HTTP alone."""

import json
from datetime import UTC, datetime
from typing import Any

from tests.support.acme import CUSTOMERS, NEIGHBOURS, Acme

TOMORROW, DAY_AFTER = "2027-03-03", "2027-03-04"
PRIVATE = ("Lovelace", "ada@example.com", "2125550188", "Casey", "2125550123", "Elm Street")


def test_a_visit_from_request_to_rating(acme: Acme) -> None:
    client = acme.client
    acme.shift("2027-03-03T09:00:00-05:00", "2027-03-03T10:45:00-05:00")
    acme.shift("2027-03-04T09:00:00-05:00", "2027-03-04T17:00:00-05:00")

    casey, drew = acme.request("Casey Customer", CUSTOMERS), acme.request("Drew Neighbour", NEIGHBOURS)
    assert casey["service_request"]["status"] == "open"
    assert casey["appointment"]["status"] == "unassigned"
    assert casey["appointment"]["arrival_window"] is None
    slot = acme.slots(casey, **{"from": TOMORROW, "to": TOMORROW})["items"][0]
    drews_slot = acme.slots(drew, **{"from": TOMORROW, "to": TOMORROW})["items"][0]

    booked = acme.book(casey, slot)
    appointment_id, token = booked["appointment"]["id"], booked["tracking_token"]
    assert booked["appointment"]["status"] == "scheduled"
    assert booked["appointment"]["arrival_window"] == slot["arrival_window"]
    assert booked["appointment"]["technician"] is None, "not before the technician has committed"
    assert booked["tracking_url"].endswith(f"/t/{token}")
    seen = track(acme, token)
    assert (seen["status"], seen["technician"], seen["position"], seen["can"]) == (
        "scheduled",
        None,
        None,
        ["message"],
    )
    assert (seen["eta"], seen["arrival_window"]) == (None, slot["arrival_window"])

    lost = client.call(
        "POST",
        "/v1/appointments",
        {"service_request_id": drew["service_request"]["id"], "slot_id": drews_slot["slot_id"]},
        key=drew["manage_token"],
    )
    refusal = lost.get_json(force=True)
    assert (lost.status_code, refusal["code"]) == (409, "slot_taken")
    assert all(other["arrival_window"]["start"] > f"{DAY_AFTER}T00" for other in refusal["alternatives"])
    assert acme.book(drew, refusal["alternatives"][0])["appointment"]["status"] == "scheduled"

    queued = client.call(
        "POST",
        "/v1/plans",
        {"territory_id": acme.territory["id"], "date": TOMORROW, "max_work": 200},
        key=acme.dispatcher,
    )
    assert (queued.status_code, queued.get_json()["status"]) == (202, "queued")
    acme.worker()
    planned = client.read(f"/v1/plans/{queued.get_json()['id']}", key=acme.dispatcher)
    assert planned["status"] == "done"
    assert [item["appointment_id"] for item in planned["kept"]] == [appointment_id]

    sent = acme.offer(appointment_id)
    assert sent["pay"] == {"amount": 6000, "currency": "USD"}
    mine = client.read("/v1/technicians/me/offers", key=acme.ada_key, status="pending")["items"]
    assert [offer["id"] for offer in mine] == [sent["id"]]
    assert "Elm Street" not in json.dumps(mine)
    assert mine[0]["area"] == {"lat": 40.71, "lon": -73.99, "locality": "Brooklyn, New York"}
    assert acme.accept(sent["id"])["area"]["address"] == CUSTOMERS["address"]
    assert acme.accept(sent["id"])["status"] == "accepted", "the winner's second accept is no error"

    seen = track(acme, token)
    assert (seen["status"], seen["position"]) == ("dispatched", None)
    assert seen["technician"] == {"first_name": "Ada", "vehicle": "cargo bike"}
    customers = client.read(f"/v1/appointments/{appointment_id}", key=casey["manage_token"])
    assert customers["technician"] == {"first_name": "Ada"}

    acme.clock.move_to(datetime(2027, 3, 3, 14, 0, tzinfo=UTC))
    assert track(acme, token)["eta"] is not None
    client.act("/v1/technicians/me/duty", {"status": "available"}, key=acme.ada_key)
    tell_position(acme, 40.705, -73.991)
    assert track(acme, token)["position"] is None, "not before the technician is on the way"
    acme.progress(appointment_id, "en_route")
    seen = track(acme, token)
    assert (seen["status"], seen["position"]) == ("en_route", {"lat": 40.705, "lon": -73.991})

    acme.clock.advance(minutes=10)
    acme.progress(appointment_id, "on_site")
    seen = track(acme, token)
    assert (seen["status"], seen["position"], seen["eta"]) == ("on_site", None, None)
    early = rate(acme, token)
    assert (early.status_code, early.get_json(force=True)["code"]) == (409, "invalid_state")
    acme.clock.advance(minutes=55)
    done = acme.progress(appointment_id, "completed", note="New washer.")
    assert done["actual_end"] == "2027-03-03T15:05:00Z"

    seen = track(acme, token)
    assert (seen["status"], seen["can"]) == ("completed", ["rate"])
    assert [step["status"] for step in seen["timeline"]] == [
        "scheduled",
        "dispatched",
        "en_route",
        "on_site",
        "completed",
    ]
    assert rate(acme, token).status_code == 201
    again = rate(acme, token)
    assert (again.status_code, again.get_json(force=True)["code"]) == (409, "feedback_given")
    assert track(acme, token)["can"] == []
    own = client.read(f"/v1/service-requests/{casey['service_request']['id']}", key=casey["manage_token"])
    assert own["status"] == "completed"
    board = client.read("/v1/board", key=acme.dispatcher, territory_id=acme.territory["id"], date=TOMORROW)
    assert [stop["status"] for stop in board["technicians"][0]["stops"]] == ["completed"]
    assert board["kpis"]["completed"] == 1


def test_an_imported_call_is_promised_its_window_by_a_plan(acme: Acme) -> None:
    client = acme.client
    acme.shift("2027-03-04T09:00:00-05:00", "2027-03-04T17:00:00-05:00")
    rows = (
        "external_id,service_id,customer_name,lat,lon,address,earliest_start,due\n"
        f"call-1,{acme.service['id']},Casey,40.711,-73.992,7 Elm Street,2027-03-04T08:00:00-05:00,"
        "2027-03-04T18:00:00-05:00\n"
        f"call-2,{acme.service['id']},Drew,0,0,Null Island,,\n"
    )

    imported = client.open(
        "/v1/service-requests/import",
        method="POST",
        data=rows,
        content_type="text/csv",
        headers={"Authorization": f"Bearer {acme.dispatcher}"},
    ).get_json()
    assert [(row["line"], row["result"]) for row in imported["rows"]] == [(2, "created"), (3, "refused")]
    assert imported["rows"][1]["code"] == "outside_territories"
    appointment_id = imported["rows"][0]["appointment_id"]
    queued = client.call(
        "POST",
        "/v1/plans",
        {"territory_id": acme.territory["id"], "date": DAY_AFTER, "max_work": 200},
        key=acme.dispatcher,
    )
    acme.worker()

    plan = client.read(f"/v1/plans/{queued.get_json()['id']}", key=acme.dispatcher)
    assert [item["appointment_id"] for item in plan["assigned"]] == [appointment_id]
    promised = client.read(f"/v1/appointments/{appointment_id}", key=acme.dispatcher)
    assert promised["status"] == "scheduled"
    assert promised["arrival_window"] == plan["assigned"][0]["arrival_window"]
    assert promised["technician"] == {"id": acme.ada["id"], "name": "Ada Lovelace"}
    begins = datetime.fromisoformat(promised["scheduled_start"])
    window = promised["arrival_window"]
    assert datetime.fromisoformat(window["start"]) <= begins <= datetime.fromisoformat(window["end"])


def track(acme: Acme, token: str) -> Any:
    """What the link shows; it never shows what is nobody else's."""
    response = acme.client.call("GET", f"/v1/track/{token}")
    assert response.status_code == 200, response.text
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Referrer-Policy"] == "no-referrer"
    assert response.headers["X-Robots-Tag"] == "noindex"
    assert not [word for word in (*PRIVATE, acme.ada["id"]) if word in response.text]
    return response.get_json()


def rate(acme: Acme, token: str) -> Any:
    return acme.client.call("POST", f"/v1/track/{token}/feedback", {"csat": 5, "comment": "Dry again."})


def tell_position(acme: Acme, lat: float, lon: float) -> None:
    body = {"lat": lat, "lon": lon, "recorded_at": acme.clock().isoformat()}
    acme.client.create("/v1/technicians/me/positions", body, key=acme.ada_key)
