"""Technicians over HTTP: registration, what organizations decide, profiles, lists, the day."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlmodel import Session, select

from dispatch import booking, offering
from dispatch.appointment import Appointment, Status
from dispatch.events import Event
from dispatch.gazetteer import GazetteerEntry, folded
from dispatch.ids import new_id
from dispatch.keys import issue_key
from dispatch.position import Position
from dispatch.settings import Settings
from dispatch.slots import find_slots
from dispatch.technician import Kind, Technician
from tests.api.registering import HOME, Registrant, approved, registered, registration
from tests.api.test_catalogue import rival_key, usd
from tests.dispatch.world import DISPATCHER, NOW, TOMORROW, World
from tests.support.client import ApiClient
from tests.support.clock import FakeClock


@pytest.fixture
def rival(session: Session, clock: FakeClock) -> str:
    """A dispatcher's key of another organization, in euros."""
    return rival_key(session, clock.now())


def refused(response: Any) -> tuple[int, str]:
    return response.status_code, response.get_json(force=True)["code"]


def fields_at_fault(response: Any) -> list[str]:
    return [error["field"] for error in response.get_json(force=True)["errors"]]


# Registration


@pytest.mark.usefixtures("organization")
def test_whoever_registers_is_pending_and_gets_a_key_once(client: ApiClient) -> None:
    answer = client.create(
        "/v1/technicians",
        registration(
            skills=[{"skill": "plumbing", "level": 3, "expires_on": "2030-12-31"}],
            pay={"per_hour": usd(4000), "per_km": usd(50)},
            max_travel_m=20_000,
            languages=["en", "es-MX"],
            vehicle="Van",
        ),
    )

    technician = answer["technician"]
    assert (technician["status"], technician["kind"]) == ("pending", "freelancer")
    assert (technician["phone"], technician["email"]) == ("+12125550123", "ada@example.com")
    assert technician["time_zone"] == "America/New_York"
    assert technician["home"] == HOME
    assert technician["pay"] == {"per_hour": usd(4000), "per_visit": None, "per_km": usd(50)}
    [skill] = technician["skills"]
    assert (skill["verified"], skill["expires_on"]) == (False, "2030-12-31")
    assert client.read("/v1/technicians/me", key=answer["api_key"]) == technician
    assert "api_key" not in technician


def test_the_hours_that_whoever_registers_says_count_once_it_is_approved(
    client: ApiClient, dispatcher: str
) -> None:
    mondays = {"weekly": [{"weekday": 1, "from": "09:00", "to": "17:00"}]}
    technician = registered(client, availability=mondays)
    path, week = f"{technician.path}/shifts", {"from": "2027-03-08", "to": "2027-03-14"}

    client.act(f"{technician.path}/approve", key=dispatcher)

    found = client.read(path, key=technician.key, **week)["items"]
    assert [(shift["starts_at"], shift["derived"]) for shift in found] == [("2027-03-08T14:00:00Z", True)]


@pytest.mark.usefixtures("organization")
def test_registering_never_tells_that_an_address_is_known(client: ApiClient) -> None:
    first, second = (client.call("POST", "/v1/technicians", registration()) for _ in range(2))

    one, other = first.get_json()["technician"], second.get_json()["technician"]
    assert (first.status_code, second.status_code) == (201, 201)
    assert {k for k in one if one[k] != other[k]} == {"id"}


@pytest.mark.usefixtures("organization")
def test_a_lost_answer_can_be_had_again(client: ApiClient) -> None:
    key = "registration-" + "x" * 32

    first, again = (
        client.call("POST", "/v1/technicians", registration(), idempotency_key=key) for _ in range(2)
    )

    assert first.get_json() == again.get_json()
    assert again.headers["Idempotent-Replayed"] == "true"


@pytest.mark.parametrize(
    ("members", "field"),
    [
        ({"organization": "nobody"}, "organization"),
        ({"name": "\u200b"}, "name"),
        ({"phone": "call me"}, "phone"),
        ({"phone": None}, "phone"),
        ({"email": "ada"}, "email"),
        ({"email": "ada@localhost"}, "email"),
        ({"kind": "employee"}, "kind"),
        ({"home": {"lat": 40.7}}, "home"),
        ({"home": {"address": "Atlantis"}}, "home.address"),
        ({"skills": [{"skill": "Plumbing", "level": 1}]}, "skills.0.skill"),
        ({"skills": [{"skill": "plumbing", "level": 0}]}, "skills.0.level"),
        ({"skills": [{"skill": "plumbing", "level": 6}]}, "skills.0.level"),
        ({"skills": [{"skill": "plumbing", "level": 1, "expires_on": "soon"}]}, "skills.0.expires_on"),
        ({"skills": [{"skill": "plumbing", "level": 1}] * 2}, "skills"),
        ({"skills": None}, "skills"),
        ({"pay": {"per_hour": {"amount": 1, "currency": "EUR"}}}, "pay.per_hour.currency"),
        ({"pay": {"per_year": usd(1)}}, "pay.per_year"),
        ({"max_travel_m": -1}, "max_travel_m"),
        ({"time_zone": "EST5"}, "time_zone"),
        ({"languages": ["no such language"]}, "languages.0"),
        (
            {"availability": {"weekly": [{"weekday": 8, "from": "09:00", "to": "17:00"}]}},
            "availability.weekly.0.weekday",
        ),
        ({"status": "active"}, "status"),
        ({"verified": ["plumbing"]}, "verified"),
    ],
)
@pytest.mark.usefixtures("organization")
def test_a_refused_member_of_a_registration_is_named(
    client: ApiClient, session: Session, members: dict[str, Any], field: str
) -> None:
    response = client.call("POST", "/v1/technicians", registration(**members))

    assert response.status_code == 422
    assert fields_at_fault(response) == [field]
    assert session.exec(select(Technician)).all() == []


@pytest.mark.usefixtures("organization")
def test_a_home_may_be_an_address_and_an_unclear_one_comes_with_candidates(
    client: ApiClient, session: Session, clock: FakeClock
) -> None:
    for name, lat in (("1 Main Street, Albany", 42.65), ("1 Main Street, Troy", 42.73)):
        session.add(GazetteerEntry(key=folded(name), name=name, lat=lat, lon=-73.7, created_at=clock.now()))
    session.commit()

    clear = client.create("/v1/technicians", registration(home={"address": "1 MAIN STREET, Troy"}))
    unclear = client.call("POST", "/v1/technicians", registration(home={"address": "1 Main Street"}))

    assert clear["technician"]["home"] == {"lat": 42.73, "lon": -73.7, "address": "1 MAIN STREET, Troy"}
    assert refused(unclear) == (422, "address_ambiguous")
    assert [c["lat"] for c in unclear.get_json(force=True)["candidates"]] == [42.65, 42.73]


# What an organization decides


def test_approval_verifies_everything_unless_told_what(client: ApiClient, dispatcher: str) -> None:
    skills = [{"skill": "gas", "level": 2}, {"skill": "plumbing", "level": 3}]
    one, other, third = (registered(client, skills=skills) for _ in range(3))

    all_of_it = client.act(f"{one.path}/approve", key=dispatcher)
    some = client.act(f"{other.path}/approve", {"verified": ["gas"], "kind": "employee"}, key=dispatcher)
    lower = client.act(
        f"{third.path}/approve", {"verified": [{"skill": "plumbing", "level": 2}, "gas"]}, key=dispatcher
    )

    assert [a["status"] for a in (all_of_it, some, lower)] == ["active"] * 3
    assert [s["verified_level"] for s in all_of_it["skills"]] == [2, 3]
    assert [s["verified_level"] for s in some["skills"]] == [2, None]
    assert [s["verified_level"] for s in lower["skills"]] == [2, 2]
    assert [a["kind"] for a in (all_of_it, some)] == ["freelancer", "employee"]


@pytest.mark.parametrize(
    "verified", [["tiling"], [{"skill": "plumbing", "level": 4}], ["Plumbing"], [{"level": 1}], "plumbing"]
)
def test_what_is_not_stated_is_not_verified(client: ApiClient, dispatcher: str, verified: Any) -> None:
    technician = registered(client)

    response = client.call("POST", f"{technician.path}/approve", {"verified": verified}, key=dispatcher)

    assert response.status_code == 422
    assert client.read(technician.path, key=dispatcher)["status"] == "pending"


def test_decisions_go_their_way_and_no_other(client: ApiClient, dispatcher: str) -> None:
    technician = registered(client)
    reason = {"reason": "no papers"}

    early = client.call("POST", f"{technician.path}/suspend", reason, key=dispatcher)
    client.act(f"{technician.path}/approve", key=dispatcher)
    wordless = client.call("POST", f"{technician.path}/suspend", {}, key=dispatcher)
    suspended = client.act(f"{technician.path}/suspend", reason, key=dispatcher)
    approval = client.call("POST", f"{technician.path}/approve", key=dispatcher)
    reinstated = client.act(f"{technician.path}/reinstate", key=dispatcher)
    twice = client.call("POST", f"{technician.path}/reinstate", key=dispatcher)

    assert refused(early) == (409, "invalid_state")
    said = early.get_json(force=True)
    assert (said["current"], said["allowed"]) == ("pending", ["active"])
    assert fields_at_fault(wordless) == ["reason"]
    assert (suspended["status"], suspended["reason"]) == ("suspended", "no papers")
    assert refused(approval) == (409, "invalid_state")
    assert (reinstated["status"], reinstated["reason"]) == ("active", None)
    assert refused(twice) == (409, "invalid_state")


def test_each_decision_is_recorded_with_who_and_why(
    client: ApiClient, dispatcher: str, session: Session
) -> None:
    technician = approved(client, dispatcher)

    client.act(f"{technician.path}/suspend", {"reason": "no papers"}, key=dispatcher)

    events = session.exec(select(Event).order_by(Event.at, Event.id)).all()  # type: ignore[arg-type]
    assert [(e.type, e.by) for e in events] == [
        ("technician.registered", "technician"),
        ("technician.approved", "dispatcher"),
        ("technician.suspended", "dispatcher"),
    ]
    assert events[-1].reason == "no papers"
    assert events[-1].before is not None
    assert events[-1].before["status"] == "active"


def test_only_a_dispatcher_decides(client: ApiClient, dispatcher: str, new_key: Callable[[str], str]) -> None:
    technician = registered(client)

    statuses = [
        client.call("POST", f"{technician.path}/{action}", key=key).status_code
        for action in ("approve", "suspend", "reinstate")
        for key in (None, technician.key, new_key("integration"))
    ]

    assert statuses == [401, 403, 403] * 3


def test_who_is_suspended_reads_why_and_does_nothing_more(client: ApiClient, dispatcher: str) -> None:
    technician = approved(client, dispatcher)
    client.act(f"{technician.path}/suspend", {"reason": "no papers"}, key=dispatcher)

    profile = client.read("/v1/technicians/me", key=technician.key)

    assert (profile["status"], profile["reason"]) == ("suspended", "no papers")
    for method, path, body in WORK:
        response = client.call(method, f"/v1/technicians/me{path}", body, key=technician.key)
        assert refused(response) == (403, "suspended"), path
    change = client.call("PATCH", "/v1/technicians/me", {"vehicle": "Van"}, key=technician.key)
    assert refused(change) == (403, "suspended")


WORK: list[tuple[str, str, Any]] = [
    ("GET", "/shifts", None),
    ("POST", "/shifts", {"starts_at": "2027-03-09T14:00:00Z", "ends_at": "2027-03-09T16:00:00Z"}),
    ("DELETE", f"/shifts/{new_id()}", None),
    ("GET", "/availability", None),
    ("PUT", "/availability", {"weekly": []}),
    ("GET", "/route", None),
    ("POST", "/duty", {"status": "available"}),
    ("POST", "/positions", {"lat": 40.7, "lon": -74.0, "recorded_at": "2027-03-02T13:00:00Z"}),
]


@pytest.mark.usefixtures("organization")
def test_who_is_pending_has_its_profile_and_no_work(client: ApiClient) -> None:
    technician = registered(client)

    changed = client.change("/v1/technicians/me", {"vehicle": "Van"}, key=technician.key)

    assert (changed["status"], changed["vehicle"]) == ("pending", "Van")
    for method, path, body in WORK:
        response = client.call(method, f"/v1/technicians/me{path}", body, key=technician.key)
        assert refused(response) == (403, "not_approved"), path


# Who sees whom


def test_a_technician_that_is_not_ones_own_is_404_everywhere(
    client: ApiClient, dispatcher: str, rival: str
) -> None:
    ada, bo = approved(client, dispatcher), approved(client, dispatcher, name="Bo")
    profile: list[tuple[str, str, Any]] = [
        ("GET", "", None),
        ("PATCH", "", {"vehicle": "Van"}),
        ("GET", "/shifts", None),
        ("PUT", "/availability", {"weekly": []}),
        ("GET", "/route", None),
    ]
    decisions: list[tuple[str, str, Any]] = [
        ("POST", "/approve", {}),
        ("POST", "/suspend", {"reason": "x"}),
        ("POST", "/reinstate", None),
    ]

    for key, calls in ((rival, profile + decisions), (bo.key, profile)):
        for method, path, body in calls:
            response = client.call(method, ada.path + path, body, key=key, if_match='"v9"')
            assert refused(response) == (404, "not_found"), path
    for method, path, body in profile:
        mine = client.call(method, f"/v1/technicians/me{path}", body, key=dispatcher)
        assert refused(mine) == (404, "not_found"), path
    assert client.read("/v1/technicians", key=rival)["items"] == []


def test_an_organization_sees_its_own_engagement_alone(
    client: ApiClient, dispatcher: str, rival: str
) -> None:
    technician = approved(client, dispatcher, pay={"per_hour": usd(4000)})
    euros = {"per_visit": {"amount": 9000, "currency": "EUR"}}

    asked = client.create(
        "/v1/technicians/me/engagements", {"organization": "rival", "pay": euros}, key=technician.key
    )

    ours, theirs = (client.read(technician.path, key=key) for key in (dispatcher, rival))
    own = client.read("/v1/technicians/me", key=technician.key)
    assert (asked["organization"], asked["status"]) == ("rival", "pending")
    assert (ours["status"], ours["pay"]["per_hour"]) == ("active", usd(4000))
    assert (theirs["status"], theirs["pay"]["per_hour"]) == ("pending", None)
    assert theirs["pay"]["per_visit"] == euros["per_visit"]
    assert [s["verified"] for s in ours["skills"] + theirs["skills"]] == [True, False]
    assert "engagements" not in ours
    assert [(e["organization"], e["status"]) for e in own["engagements"]] == [
        ("acme", "active"),
        ("rival", "pending"),
    ]
    assert (own["status"], own["pay"]) == (ours["status"], ours["pay"])


def test_an_engagement_is_asked_for_once_and_in_the_currency_there(
    client: ApiClient, dispatcher: str, rival: str
) -> None:
    technician = approved(client, dispatcher)
    path = "/v1/technicians/me/engagements"

    again = client.call("POST", path, {"organization": "acme"}, key=technician.key)
    unknown = client.call("POST", path, {"organization": "nobody"}, key=technician.key)
    dollars = client.call(
        "POST", path, {"organization": "rival", "pay": {"per_hour": usd(1)}}, key=technician.key
    )
    by_dispatcher = client.call("POST", path, {"organization": "rival"}, key=dispatcher)

    assert refused(again) == (409, "already_engaged")
    assert refused(unknown) == (422, "unknown_reference")
    assert fields_at_fault(dollars) == ["pay.per_hour.currency"]
    assert by_dispatcher.status_code == 403


def test_suspended_by_one_it_works_for_the_other(client: ApiClient, dispatcher: str, rival: str) -> None:
    technician = approved(client, dispatcher)
    client.create("/v1/technicians/me/engagements", {"organization": "rival"}, key=technician.key)
    client.act(f"{technician.path}/approve", key=rival)

    client.act(f"{technician.path}/suspend", {"reason": "late"}, key=dispatcher)

    assert client.act("/v1/technicians/me/duty", {"status": "available"}, key=technician.key)
    assert client.read(technician.path, key=dispatcher)["status"] == "suspended"
    assert client.read(technician.path, key=rival)["reason"] is None


def test_home_is_for_its_owner_and_dispatchers(
    client: ApiClient, dispatcher: str, new_key: Callable[[str], str]
) -> None:
    technician = approved(client, dispatcher)

    seen = [
        "home" in client.read(technician.path, key=key)
        for key in (technician.key, dispatcher, new_key("integration"))
    ]

    assert seen == [True, True, False]
    listed = client.read("/v1/technicians", key=new_key("integration"))["items"]
    assert "Line Street" not in str(listed)


# Changes


def test_a_change_of_a_skill_unverifies_that_skill_alone(client: ApiClient, dispatcher: str) -> None:
    skills = [{"skill": "gas", "level": 2}, {"skill": "plumbing", "level": 3}]
    technician = approved(client, dispatcher, skills=skills)
    said = [{"skill": "gas", "level": 3}, {"skill": "plumbing", "level": 3}, {"skill": "tiling", "level": 1}]

    changed = client.change("/v1/technicians/me", {"skills": said}, key=technician.key)
    renewed = client.act(f"{technician.path}/approve", key=dispatcher)

    assert [(s["skill"], s["verified"]) for s in changed["skills"]] == [
        ("gas", False),
        ("plumbing", True),
        ("tiling", False),
    ]
    assert all(s["verified"] for s in renewed["skills"])


def test_null_clears_what_may_be_empty_and_no_more(client: ApiClient, dispatcher: str) -> None:
    technician = approved(client, dispatcher, max_travel_m=5, vehicle="Van", languages=["en"])
    cleared = {"max_travel_m": None, "vehicle": None, "languages": None, "phone": None, "skills": None}

    changed = client.change("/v1/technicians/me", cleared, key=technician.key)

    assert {name: changed[name] for name in cleared} == {
        "max_travel_m": None,
        "vehicle": None,
        "languages": [],
        "phone": None,
        "skills": [],
    }
    for name in ("name", "home", "time_zone"):
        response = client.call("PATCH", "/v1/technicians/me", {name: None}, key=technician.key)
        assert fields_at_fault(response) == [name]


def test_what_is_changed_is_judged_as_at_registration(client: ApiClient, dispatcher: str) -> None:
    technician = approved(client, dispatcher)

    changed = client.change(
        "/v1/technicians/me",
        {"phone": "030 123456", "time_zone": "Europe/Berlin", "email": " Bo@EXAMPLE.org"},
        key=technician.key,
    )
    wrong = [
        fields_at_fault(client.call("PATCH", "/v1/technicians/me", {name: value}, key=technician.key))
        for name, value in (("phone", "x-y-z"), ("email", "ada"), ("home", {"address": "Atlantis"}))
    ]

    assert (changed["phone"], changed["email"]) == ("+4930123456", "Bo@example.org")
    assert wrong == [["phone"], ["email"], ["home.address"]]


def test_pay_is_the_technicians_until_it_is_approved_and_then_the_organizations(
    client: ApiClient, dispatcher: str
) -> None:
    technician = registered(client, pay={"per_hour": usd(4000), "per_km": usd(50)})
    path = "/v1/technicians/me"

    asked = client.change(path, {"pay": {"per_hour": usd(4500)}}, key=technician.key)
    client.act(f"{technician.path}/approve", key=dispatcher)
    late = client.call("PATCH", path, {"pay": {"per_hour": usd(9000)}}, key=technician.key)
    agreed = client.change(technician.path, {"pay": {"per_km": None}, "kind": "partner"}, key=dispatcher)
    euros = client.call(
        "PATCH",
        technician.path,
        {"pay": {"per_km": {"amount": 1, "currency": "EUR"}}},
        key=dispatcher,
    )

    assert asked["pay"] == {"per_hour": usd(4500), "per_visit": None, "per_km": usd(50)}
    assert refused(late) == (409, "invalid_state")
    assert agreed["pay"] == {"per_hour": usd(4500), "per_visit": None, "per_km": None}
    assert agreed["kind"] == "partner"
    assert fields_at_fault(euros) == ["pay.per_km.currency"]


def test_a_technician_does_not_choose_its_kind(client: ApiClient, dispatcher: str) -> None:
    technician = approved(client, dispatcher)

    response = client.call("PATCH", "/v1/technicians/me", {"kind": "employee"}, key=technician.key)

    assert response.status_code == 403


def test_a_dispatcher_corrects_the_profile_of_whom_nobody_else_engages(
    client: ApiClient, dispatcher: str, rival: str
) -> None:
    technician = approved(client, dispatcher)

    alone = client.change(technician.path, {"vehicle": "Van"}, key=dispatcher)
    client.create("/v1/technicians/me/engagements", {"organization": "rival"}, key=technician.key)
    shared = client.call("PATCH", technician.path, {"vehicle": "Truck"}, key=dispatcher)
    kind = client.change(technician.path, {"kind": "partner"}, key=dispatcher)

    assert alone["vehicle"] == "Van"
    assert refused(shared) == (403, "shared_profile")
    assert (kind["kind"], kind["vehicle"]) == ("partner", "Van")


def test_a_change_of_an_older_version_is_refused(client: ApiClient, dispatcher: str) -> None:
    technician = approved(client, dispatcher)
    tag = client.call("GET", technician.path, key=dispatcher).headers["ETag"]

    statuses = [
        client.call("PATCH", technician.path, {"vehicle": v}, key=dispatcher, if_match=tag).status_code
        for v in ("Van", "Truck")
    ]
    client.act(f"{technician.path}/suspend", {"reason": "late"}, key=dispatcher)

    assert statuses == [200, 412]
    assert client.read(technician.path, key=dispatcher)["vehicle"] == "Van"
    tags = {client.call("GET", technician.path, key=dispatcher).headers["ETag"], tag}
    assert len(tags) == 2


# Lists


@pytest.fixture
def crew(client: ApiClient, dispatcher: str, organization: object) -> dict[str, Registrant]:
    """Ada is a plumber of level 3 at 74.0 W, Bo of level 5 and 0.1 degrees (8.4 km) east of her, Cy a pending gas
    fitter 0.2 degrees east, Di a plumber whose papers have expired."""
    return {
        "Ada": approved(client, dispatcher, name="Ada"),
        "Bo": approved(
            client,
            dispatcher,
            name="Bo",
            skills=[{"skill": "plumbing", "level": 5}],
            home={"lat": 40.7, "lon": -73.9},
        ),
        "Cy": registered(
            client, name="Cy", skills=[{"skill": "gas", "level": 2}], home={"lat": 40.7, "lon": -73.8}
        ),
        "Di": approved(
            client,
            dispatcher,
            name="Di",
            skills=[{"skill": "plumbing", "level": 5, "expires_on": "2027-03-01"}],
            home={"lat": 40.7, "lon": -73.7},
        ),
    }


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({}, ["Ada", "Bo", "Cy", "Di"]),
        ({"status": "active"}, ["Ada", "Bo", "Di"]),
        ({"status": "pending"}, ["Cy"]),
        ({"status": "suspended"}, []),
        ({"skill": "plumbing"}, ["Ada", "Bo"]),
        ({"skill": "plumbing", "min_level": 4}, ["Bo"]),
        ({"skill": "gas"}, ["Cy"]),
        ({"near": "40.7,-73.79"}, ["Cy", "Di", "Bo", "Ada"]),
        ({"near": "40.7,-74.0", "within_m": 8500}, ["Ada", "Bo"]),
        ({"near": "40.7,-74.0", "within_m": 8400}, ["Ada"]),
        ({"near": "40.7,-73.9", "skill": "plumbing"}, ["Bo", "Ada"]),
    ],
)
@pytest.mark.usefixtures("crew")
def test_the_list_is_narrowed_and_ordered(
    client: ApiClient, dispatcher: str, query: dict[str, Any], names: list[str]
) -> None:
    found = client.read("/v1/technicians", key=dispatcher, **query)

    assert [technician["name"] for technician in found["items"]] == names


@pytest.mark.parametrize(
    ("expires_on", "counts", "expires_soon"),
    [
        (None, True, False),
        ("2027-04-02", True, False),
        ("2027-04-01", True, True),
        ("2027-03-02", True, True),
        ("2027-03-01", False, False),
    ],
)
def test_a_certificate_counts_until_its_last_day_and_both_are_told_thirty_days_ahead(
    client: ApiClient, dispatcher: str, expires_on: str | None, counts: bool, expires_soon: bool
) -> None:
    # The clock stands at the second of March.
    skills = [{"skill": "gas", "level": 2, "expires_on": expires_on}]
    technician = approved(client, dispatcher, skills=skills)

    shown = [client.read(technician.path, key=key)["skills"][0] for key in (technician.key, dispatcher)]
    able = client.read("/v1/technicians", key=dispatcher, skill="gas")["items"]
    listed = client.read("/v1/technicians", key=dispatcher, expiring="true")["items"]

    assert [(skill["counts"], skill["expires_soon"]) for skill in shown] == [(counts, expires_soon)] * 2
    assert bool(able) == counts
    assert bool(listed) == (expires_soon or not counts)


def test_a_skill_that_was_changed_finds_nobody(
    client: ApiClient, dispatcher: str, crew: dict[str, Registrant]
) -> None:
    said = {"skills": [{"skill": "plumbing", "level": 4}]}

    client.change("/v1/technicians/me", said, key=crew["Ada"].key)

    found = client.read("/v1/technicians", key=dispatcher, skill="plumbing")["items"]
    assert [technician["name"] for technician in found] == ["Bo"]


@pytest.mark.parametrize("query", [{}, {"near": "40.7,-73.79"}])
@pytest.mark.usefixtures("crew")
def test_the_list_comes_in_pages_without_gap_or_repetition(
    client: ApiClient, dispatcher: str, query: dict[str, Any]
) -> None:
    whole = client.read("/v1/technicians", key=dispatcher, **query)["items"]
    paged, cursor = [], {}

    for _ in range(4):
        page = client.read("/v1/technicians", key=dispatcher, limit=1, **query, **cursor)
        paged += page["items"]
        cursor = {"cursor": page["next_cursor"]}

    assert paged == whole
    assert cursor == {"cursor": None}


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"min_level": 2}, "min_level"),
        ({"within_m": 2}, "within_m"),
        ({"near": "40.7"}, "near"),
        ({"near": "91,0"}, "near"),
        ({"near": "0,181"}, "near"),
        ({"near": "nan,0"}, "near"),
        ({"near": "40.7,-74.0", "within_m": -1}, "within_m"),
        ({"skill": "Plumbing"}, "skill"),
        ({"skill": "plumbing", "min_level": 6}, "min_level"),
        ({"status": "asleep"}, "status"),
        ({"cursor": "forged"}, "cursor"),
        ({"limit": 0}, "limit"),
    ],
)
def test_a_refused_parameter_is_named(
    client: ApiClient, dispatcher: str, query: dict[str, Any], field: str
) -> None:
    response = client.call("GET", "/v1/technicians", key=dispatcher, query=query)

    assert response.status_code == 422
    assert fields_at_fault(response) == [field]


# The day


def test_positions_are_kept_on_duty_alone(client: ApiClient, dispatcher: str, session: Session) -> None:
    technician = approved(client, dispatcher)
    path, here = "/v1/technicians/me/positions", {"lat": 40.7, "lon": -74.0, "accuracy_m": 12}
    sent = {**here, "recorded_at": "2027-03-02T07:59:30-05:00"}

    off = client.call("POST", path, sent, key=technician.key)
    on_duty = client.call("POST", "/v1/technicians/me/duty", {"status": "available"}, key=technician.key)
    kept = client.create(path, sent, key=technician.key)

    assert refused(off) == (409, "off_duty")
    assert (on_duty.status_code, on_duty.get_json()["duty"]) == (200, "available")
    assert on_duty.headers["ETag"]
    assert kept["recorded_at"] == "2027-03-02T12:59:30Z"
    [position] = session.exec(select(Position)).all()
    assert (position.id, position.accuracy_m) == (kept["id"], 12)


@pytest.mark.parametrize(
    ("members", "field"),
    [
        ({"recorded_at": "2027-03-02T13:06:00Z"}, "recorded_at"),
        ({"recorded_at": "2027-03-01T12:59:00Z"}, "recorded_at"),
        ({"recorded_at": "2027-03-02T13:00:00"}, "recorded_at"),
        ({"lat": 91}, "lat"),
        ({"accuracy_m": -1}, "accuracy_m"),
    ],
)
def test_a_position_that_cannot_be_is_refused(
    client: ApiClient, dispatcher: str, members: dict[str, Any], field: str
) -> None:
    technician = approved(client, dispatcher)
    client.act("/v1/technicians/me/duty", {"status": "on_break"}, key=technician.key)
    sent = {"lat": 40.7, "lon": -74.0, "recorded_at": "2027-03-02T13:00:00Z", **members}

    response = client.call("POST", "/v1/technicians/me/positions", sent, key=technician.key)

    assert response.status_code == 422
    assert fields_at_fault(response) == [field]


def test_where_a_phone_was_before_duty_is_not_taken_afterwards(
    client: ApiClient, dispatcher: str, session: Session, clock: FakeClock
) -> None:
    technician = approved(client, dispatcher)
    before = {"lat": 40.7, "lon": -74.0, "recorded_at": clock().isoformat()}
    clock.advance(minutes=6)
    client.act("/v1/technicians/me/duty", {"status": "on_break"}, key=technician.key)
    client.act("/v1/technicians/me/duty", {"status": "available"}, key=technician.key)
    during = before | {"recorded_at": clock().isoformat()}
    clock.advance(minutes=30)

    refusal = client.call("POST", "/v1/technicians/me/positions", before, key=technician.key)
    kept = client.create("/v1/technicians/me/positions", during, key=technician.key)

    assert refused(refusal) == (409, "off_duty")
    assert [position.id for position in session.exec(select(Position))] == [kept["id"]]


def test_a_change_of_duty_is_recorded_once_for_whoever_has_approved(
    client: ApiClient, dispatcher: str, rival: str, session: Session
) -> None:
    technician = approved(client, dispatcher)
    client.create("/v1/technicians/me/engagements", {"organization": "rival"}, key=technician.key)

    for _ in range(2):
        client.act("/v1/technicians/me/duty", {"status": "available"}, key=technician.key)

    [event] = session.exec(select(Event).where(Event.type == "technician.duty")).all()
    assert (event.before, event.after) == ({"duty": "off_duty"}, {"duty": "available"})


def test_duty_and_positions_are_the_technicians_own(client: ApiClient, dispatcher: str) -> None:
    technician = approved(client, dispatcher)

    by_dispatcher = [
        client.call("POST", f"{technician.path}/{what}", {}, key=dispatcher).status_code
        for what in ("duty", "positions")
    ]
    wrong = client.call("POST", "/v1/technicians/me/duty", {"status": "asleep"}, key=technician.key)

    assert by_dispatcher == [403, 403]
    assert fields_at_fault(wrong) == ["status"]


# Routes


@dataclass
class Day:
    """A visit at 5 km of a freelancer, planned for TOMORROW; the clock stands at NOW."""

    world: World
    technician: Technician
    visit: Appointment
    key: str
    dispatcher: str
    path: str
    """Of the technician's route. Reading it from the row would hold SQLite's one write lock."""


@pytest.fixture
def planned(session: Session, settings: Settings, clock: FakeClock) -> Day:
    clock.move_to(NOW)
    world = World(session, settings)
    technician = world.technician()
    job = world.job(world.service(), 5)
    [slot, *_] = find_slots(session, settings, job, TOMORROW, TOMORROW, NOW).items
    visit = booking.book(session, settings, job.appointment, slot.slot_id, DISPATCHER, NOW)
    _, key = issue_key(session, "technician", technician_id=technician.id, now=NOW)
    _, dispatcher = issue_key(session, "dispatcher", organization_id=world.organization.id, now=NOW)
    path = f"/v1/technicians/{technician.id}/route"
    session.commit()
    return Day(world, technician, visit, key, dispatcher, path)


def test_a_route_lists_the_visits_of_a_local_day(client: ApiClient, planned: Day) -> None:
    route = client.read(planned.path, key=planned.dispatcher, date="2026-11-24")
    today = client.read(planned.path, key=planned.dispatcher)

    [stop] = route["stops"]
    assert stop["appointment_id"] == planned.visit.id
    assert stop["place"]["address"] == "5 Line Street"
    assert stop["status"] == "scheduled"
    window = stop["arrival_window"]
    assert window["start"] <= stop["scheduled_start"] <= window["end"]
    assert (route["travel_s"], route["travel_m"]) == (stop["travel_s"], stop["travel_m"])
    assert abs(stop["travel_s"] - 1056) <= 2
    assert today == {"stops": [], "travel_s": 0, "travel_m": 0}


def test_a_freelancer_learns_the_address_with_its_acceptance_and_for_a_day_after_the_visit(
    client: ApiClient, planned: Day, clock: FakeClock
) -> None:
    session, settings, visit = planned.world.session, planned.world.settings, planned.visit

    def place() -> dict[str, Any]:
        [stop] = client.read("/v1/technicians/me/route", key=planned.key, date="2026-11-24")["stops"]
        shown: dict[str, Any] = stop["place"]
        assert stop["service_name"] == "Leak"
        assert (stop["customer_name"] == "Casey Customer") == ("address" in shown)
        return shown

    before = place()
    terms = offering.Terms()
    offer = offering.send_direct(session, settings, visit, planned.technician, terms, DISPATCHER, NOW)
    offering.accept(session, settings, offer, DISPATCHER, NOW)
    session.commit()
    accepted = place()
    ended = datetime(2026, 11, 24, 17, tzinfo=UTC)
    visit.status, visit.actual_end = Status.COMPLETED, ended
    session.add(visit)
    session.commit()
    clock.move_to(ended + timedelta(hours=24))
    shortly_after = place()
    clock.advance(seconds=1)

    assert before == {"lat": 40.7, "lon": -73.94}
    assert (
        accepted
        == shortly_after
        == {
            "lat": 40.7,
            "lon": pytest.approx(-73.9408, abs=1e-3),
            "address": "5 Line Street",
        }
    )
    assert place() == before


def test_an_employee_knows_where_it_will_go(client: ApiClient, planned: Day) -> None:
    client.change(planned.path.removesuffix("/route"), {"kind": Kind.EMPLOYEE}, key=planned.dispatcher)

    [stop] = client.read("/v1/technicians/me/route", key=planned.key, date="2026-11-24")["stops"]

    assert stop["place"]["address"] == "5 Line Street"


def test_another_organization_that_engages_it_sees_none_of_the_visits(
    client: ApiClient, planned: Day
) -> None:
    world = planned.world
    other = world.new_organization("rival")
    world.engage(planned.technician, other, {})
    _, key = issue_key(world.session, "dispatcher", organization_id=other.id, now=NOW)
    world.session.commit()

    assert client.read(planned.path, key=key, date="2026-11-24")["stops"] == []


@pytest.mark.parametrize("date", ["tomorrow", "2026-02-30", ""])
def test_a_route_wants_a_date(client: ApiClient, planned: Day, date: str) -> None:
    response = client.call("GET", planned.path, key=planned.key, query={"date": date})

    assert fields_at_fault(response) == ["date"]


def test_suspension_over_http_gives_the_visits_back(client: ApiClient, planned: Day) -> None:
    path = planned.path.removesuffix("/route")

    client.act(f"{path}/suspend", {"reason": "no papers"}, key=planned.dispatcher)

    planned.world.session.refresh(planned.visit)
    assert (planned.visit.status, planned.visit.technician_no) == (Status.UNASSIGNED, None)


# Earnings


def completed(planned: Day, at: datetime) -> None:
    """The visit is accepted for 7,500 cents, and done."""
    session, settings, visit = planned.world.session, planned.world.settings, planned.visit
    terms = offering.Terms(pay_cents=7500)
    offer = offering.send_direct(session, settings, visit, planned.technician, terms, DISPATCHER, NOW)
    offering.accept(session, settings, offer, DISPATCHER, NOW)
    visit.status, visit.actual_end = Status.COMPLETED, at
    session.add(visit)
    session.commit()


@pytest.mark.parametrize(("date", "counts"), [("2026-11-23", 0), ("2026-11-24", 1), ("2026-11-25", 0)])
def test_a_completed_visit_is_earned_on_its_local_day(
    client: ApiClient, planned: Day, date: str, counts: int
) -> None:
    completed(planned, datetime(2026, 11, 25, 4, 59, 59, tzinfo=UTC))

    found = client.read("/v1/technicians/me/earnings", key=planned.key, **{"from": date, "to": date})

    assert [item["pay"] for item in found["items"]] == [usd(7500)] * counts
    assert found["totals"] == [usd(7500)] * counts


def test_what_is_agreed_and_not_done_is_not_earned(client: ApiClient, planned: Day) -> None:
    session, settings = planned.world.session, planned.world.settings
    terms = offering.Terms()
    offer = offering.send_direct(session, settings, planned.visit, planned.technician, terms, DISPATCHER, NOW)
    offering.accept(session, settings, offer, DISPATCHER, NOW)
    session.commit()

    found = client.read("/v1/technicians/me/earnings", key=planned.key, to="2026-11-30")

    assert found == {"items": [], "next_cursor": None, "weeks": [], "organizations": [], "totals": []}


def test_who_is_suspended_still_reads_what_it_earned(client: ApiClient, planned: Day) -> None:
    completed(planned, datetime(2026, 11, 23, 14, tzinfo=UTC))
    path = planned.path.removesuffix("/route")
    client.act(f"{path}/suspend", {"reason": "late"}, key=planned.dispatcher)

    found = client.read("/v1/technicians/me/earnings", key=planned.key)

    assert [item["organization"] for item in found["items"]] == ["acme"]


def test_earnings_are_told_to_nobody_else(client: ApiClient, planned: Day) -> None:
    completed(planned, datetime(2026, 11, 23, 14, tzinfo=UTC))
    world, path = planned.world, planned.path.replace("route", "earnings")
    other = world.new_organization("rival")
    _, stranger = issue_key(world.session, "dispatcher", organization_id=other.id, now=NOW)
    world.session.commit()

    unknown = client.call("GET", path, key=stranger)
    world.engage(planned.technician, other, {})
    world.session.commit()

    assert unknown.status_code == 404
    assert client.read(path, key=stranger)["items"] == []


@pytest.mark.usefixtures("organization")
def test_who_is_pending_has_earned_nothing_to_read(client: ApiClient) -> None:
    technician = registered(client)

    response = client.call("GET", "/v1/technicians/me/earnings", key=technician.key)

    assert refused(response) == (403, "not_approved")
