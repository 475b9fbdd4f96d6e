"""A dispatcher drags a visit to somebody else, is told what that costs and breaks, and does it all the same. Over HTTP
alone."""

from typing import Any

from tests.support.acme import ADA, CUSTOMERS, NEIGHBOURS, Acme

DAY = "2027-03-03"
SHIFT = {"starts_at": f"{DAY}T09:00:00-05:00", "ends_at": f"{DAY}T17:00:00-05:00"}


def colleague(acme: Acme, name: str, skills: Any = ADA["skills"]) -> Any:
    """Another freelancer, at work that day."""
    email = f"{name.split()[0].lower()}@example.com"
    joined = acme.client.create("/v1/technicians", ADA | {"name": name, "email": email, "skills": skills})
    path = f"/v1/technicians/{joined['technician']['id']}"
    acme.client.act(f"{path}/approve", key=acme.dispatcher)
    acme.client.create(f"{path}/shifts", SHIFT, key=acme.dispatcher)
    return joined


def visit(acme: Acme, name: str, place: Any) -> Any:
    """Booked for ten to twelve."""
    asked = acme.request(name, place)
    slots = acme.slots(asked, **{"from": DAY, "to": DAY})["items"]
    ten = next(slot for slot in slots if slot["arrival_window"]["start"] == f"{DAY}T15:00:00Z")
    return acme.book(asked, ten)["appointment"]


def drag(acme: Acme, appointment_id: str, technician: Any, **members: Any) -> Any:
    """The answer to an override by who has just read the visit."""
    path = f"/v1/appointments/{appointment_id}"
    etag = acme.client.call("GET", path, key=acme.dispatcher).headers["ETag"]
    body = {"technician_id": technician["id"]} | members
    return acme.client.call("POST", f"{path}/override", body, key=acme.dispatcher, if_match=etag)


def shown(acme: Acme, appointment_id: str) -> Any:
    return acme.client.read(f"/v1/appointments/{appointment_id}", key=acme.dispatcher)


def test_a_visit_is_dragged_refused_forced_and_what_was_in_the_way_is_found_again(acme: Acme) -> None:
    client = acme.client
    acme.shift(**SHIFT)
    bo, cy = colleague(acme, "Bo Plumber"), colleague(acme, "Cy Painter", [{"skill": "painting", "level": 5}])
    casey, drew = visit(acme, "Casey", CUSTOMERS), visit(acme, "Drew", NEIGHBOURS)
    acme.accept(acme.offer(casey["id"])["id"])

    # Who else could take Casey's visit?
    found = client.read(f"/v1/appointments/{casey['id']}/candidates", key=acme.dispatcher)["items"]
    assert {one["technician_name"]: one["feasible"] for one in found} == {
        "Ada Lovelace": True,
        "Bo Plumber": True,
        "Cy Painter": False,
    }

    # It is dragged to Bo, who is asked; Ada's acceptance is taken back.
    priced = drag(acme, casey["id"], bo["technician"], dry_run=True).get_json()
    dragged = drag(acme, casey["id"], bo["technician"], reason="Ada's van is full.").get_json()
    assert dragged["extra_cost"] == priced["extra_cost"]
    assert (dragged["violations"], dragged["promises_broken"]) == ([], [])
    assert dragged["appointment"]["technician"]["name"] == "Bo Plumber"
    assert (dragged["appointment"]["status"], dragged["appointment"]["pinned"]) == ("scheduled", True)
    assert shown(acme, casey["id"])["arrival_window"] == casey["arrival_window"]
    (offer,) = client.read("/v1/technicians/me/offers", key=bo["api_key"], status="pending")["items"]
    client.act(f"/v1/offers/{offer['id']}/accept", key=bo["api_key"])
    assert client.read("/v1/technicians/me/offers", key=acme.ada_key, status="superseded")["items"]
    assert (
        client.read("/v1/technicians/me/decisions", key=acme.ada_key)["items"][0]["outcome"] == "unassigned"
    )

    # Cy may not; nor may Drew's visit take the very time that Bo has promised to Casey.
    refused = drag(acme, drew["id"], cy["technician"], reason="He is near.").get_json(force=True)
    assert (refused["code"], codes(refused)) == ("infeasible_override", ["skill_missing"])
    start = shown(acme, casey["id"])["scheduled_start"]
    sharp = {"scheduled_start": start, "arrival_window": {"start": start, "end": start}}
    refused = drag(acme, drew["id"], bo["technician"], reason="A flood.", **sharp).get_json(force=True)
    assert (refused["code"], codes(refused)) == ("infeasible_override", ["overlap"])
    assert refused["violations"][0]["appointment_id"] == casey["id"]

    # Forced, it is Drew's: Casey's visit has nobody any more, and its promise stands.
    forced = drag(acme, drew["id"], bo["technician"], reason="A flood.", force=True, **sharp).get_json()
    displaced = shown(acme, casey["id"])
    assert [(each["appointment_id"], each["lost_technician"]) for each in forced["moved"]] == [
        (casey["id"], True)
    ]
    assert (displaced["status"], displaced["technician"]) == ("unassigned", None)
    assert displaced["arrival_window"] == casey["arrival_window"]
    (event,) = (e for e in forced["appointment"]["events"] if e["type"] == "appointment.overridden")
    assert (event["reason"], event["after"]["forced"]) == ("A flood.", True)
    assert event["after"]["violations"] == ["overlap"]
    assert event["after"]["extra_cost_cents"] == forced["extra_cost"]["amount"]
    assert event["after"]["extra_travel_s"] == forced["extra_travel_s"]

    # It goes back to Ada, who says yes by phone.
    found = client.read(f"/v1/appointments/{casey['id']}/candidates", key=acme.dispatcher)["items"]
    best = next(one for one in found if one["technician_id"] == acme.ada["id"])
    back = drag(
        acme, casey["id"], acme.ada, reason="She agreed on the phone.", accepted_by_phone=True
    ).get_json()
    assert (back["extra_cost"], back["extra_travel_s"]) == (best["extra_cost"], best["extra_travel_s"])
    assert back["appointment"]["status"] == "dispatched"
    assert back["appointment"]["scheduled_start"] == best["scheduled_start"]


def codes(problem: Any) -> list[str]:
    return [each["code"] for each in problem["violations"]]
