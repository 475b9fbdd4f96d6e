"""POST /optimization, called as VROOM's and openrouteservice's clients call it. All tests share one solver process."""

import gzip
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import openrouteservice
import pytest
from flask import Flask
from openrouteservice.optimization import Job, Shipment, ShipmentStep, Vehicle
from werkzeug.serving import make_server
from werkzeug.test import TestResponse

from api.optimization import EXAMPLE
from dispatch.settings import Settings
from tests.support.acme import Acme
from tests.support.client import ApiClient

ON_ONE_DATABASE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For what has nothing to do with a database but the key."""

DEPOT = [2.35044, 48.71764]
"""South of Paris; the jobs lie within 30 km around it."""
JOBS = [
    {
        "id": 1,
        "service": 300,
        "delivery": [1],
        "location": [2.19, 48.70],
        "skills": [1],
        "time_windows": [[32400, 36000]],
    },
    {"id": 2, "service": 300, "pickup": [1], "location": [2.24, 48.63], "skills": [1]},
    {"id": 5, "service": 300, "delivery": [1], "location": [2.28, 48.60], "skills": [14]},
    {"id": 6, "service": 300, "delivery": [1], "location": [2.50, 48.80], "skills": [14]},
]
FLEET = [
    {
        "id": n,
        "start": DEPOT,
        "end": DEPOT,
        "capacity": [4],
        "skills": [n, 14],
        "time_window": [28800, 43200],
        "breaks": [{"id": n, "service": 300, "time_windows": [[32400 + 1800 * n, 34200 + 1800 * n]]}],
    }
    for n in (1, 2)
]
TABLE: dict[str, Any] = {
    "vehicles": [{"id": 0, "start_index": 0, "end_index": 3}],
    "jobs": [{"id": 1414, "location_index": 1}, {"id": 1515, "location_index": 2}],
    "matrices": {
        "car": {
            "durations": [
                [0, 2100, 200, 1300],
                [2100, 0, 2250, 3150],
                [200, 2250, 0, 1100],
                [1300, 3150, 1100, 0],
            ]
        }
    },
}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """One solver for the whole run of tests."""
    return settings.model_copy(update={"optimization_processes": 1, "optimization_time_limit_s": 2.0})


@pytest.fixture
def integration(new_key: Callable[[str], str]) -> str:
    return new_key("integration")


@pytest.fixture
def base_url(app: Flask) -> Iterator[str]:
    """Where the application listens on a port of its own."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    thread.join()
    server.server_close()


def post(client: ApiClient, key: str, body: Any, **headers: str) -> TestResponse:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return client.post(
        "/optimization", data=raw, content_type="application/json", headers={"Authorization": key} | headers
    )


def jobs_by_vehicle(answer: Any) -> dict[int, list[int]]:
    return {
        route["vehicle"]: [step["id"] for step in route["steps"] if step["type"] == "job"]
        for route in answer["routes"]
    }


def test_openrouteservices_client_is_served(base_url: str, integration: str) -> None:
    client = openrouteservice.Client(base_url=base_url, key=integration, timeout=180)
    places = [[8.688641, 49.420577], [8.680916, 49.415776]]
    jobs = [Job(id=n, location=place, amount=[1], service=300) for n, place in enumerate(places)]
    vehicles = [Vehicle(id=n, start=place, end=place, capacity=[1]) for n, place in enumerate(places)]

    answer = client.optimization(jobs=jobs, vehicles=vehicles, geometry=True)

    assert answer["code"] == 0
    assert jobs_by_vehicle(answer) == {0: [0], 1: [1]}
    assert openrouteservice.convert.decode_polyline(answer["routes"][0]["geometry"])["coordinates"]


def test_openrouteservices_client_is_told_what_is_not_served(base_url: str, integration: str) -> None:
    client = openrouteservice.Client(base_url=base_url, key=integration)
    ends = [ShipmentStep(id=n, location=DEPOT) for n in (1, 2)]
    carried = Shipment(*ends, amount=[1], skills=[1], priority=1)

    with pytest.raises(openrouteservice.exceptions.ApiError) as refusal:
        client.optimization(shipments=[carried], vehicles=[Vehicle(id=1, start=DEPOT)])

    status, body = refusal.value.args
    assert (status, body["code"]) == (400, 2)
    assert "shipments are not served" in body["error"]


@ON_ONE_DATABASE
def test_skills_windows_breaks_and_capacities_are_kept(client: ApiClient, integration: str) -> None:
    answer = post(client, integration, {"vehicles": FLEET, "jobs": JOBS}).get_json()

    assert answer["summary"]["unassigned"] == 0
    routes = jobs_by_vehicle(answer)
    assert {1, 2} <= set(routes[1])
    assert sorted(job for jobs in routes.values() for job in jobs) == [1, 2, 5, 6]
    for route in answer["routes"]:
        assert [step["type"] for step in route["steps"]].count("break") == 1
        assert all(step["violations"] == [] for step in route["steps"])


@ON_ONE_DATABASE
def test_a_table_of_durations_is_served(client: ApiClient, integration: str) -> None:
    answer = post(client, integration, TABLE).get_json()

    assert jobs_by_vehicle(answer) == {0: [1414, 1515]}
    assert answer["summary"]["cost"] == 2100 + 2250 + 1100


@ON_ONE_DATABASE
def test_given_routes_are_judged(client: ApiClient, integration: str) -> None:
    hours = [1600416000, 1600426800]
    steps = [{"type": "start"}, *({"type": "job", "id": n} for n in (1, 2, 3)), {"type": "end"}]
    vehicle = {"id": 1, "start": DEPOT, "end": DEPOT, "capacity": [4], "time_window": hours, "steps": steps}
    jobs = [
        {"id": n, "delivery": [2], "location": [2.35, 48.7 + n / 20], "time_windows": [hours]}
        for n in (1, 2, 3)
    ]
    jobs[2]["time_windows"] = [[hours[0], hours[0] + 60]]

    answer = post(
        client, integration, {"vehicles": [vehicle], "jobs": jobs, "options": {"c": True}}
    ).get_json()

    (route,) = answer["routes"]
    assert [step.get("id") for step in route["steps"]] == [None, 1, 2, 3, None]
    assert {violation["cause"] for violation in route["violations"]} == {"load", "delay"}
    assert answer["summary"]["violations"] == route["violations"]


@ON_ONE_DATABASE
def test_an_unassigned_job_says_why(client: ApiClient, integration: str) -> None:
    jobs = [*TABLE["jobs"], {"id": 7, "location_index": 1, "skills": [5]}]

    answer = post(client, integration, TABLE | {"jobs": jobs}).get_json()

    (left_out,) = answer["unassigned"]
    assert (left_out["id"], left_out["type"], left_out["reasons"][0]["code"]) == (7, "job", "skill_missing")


def test_a_bare_key_opens_this_and_nothing_else(client: ApiClient, integration: str) -> None:
    statuses = [
        post(client, integration, TABLE).status_code,
        post(client, f"Bearer {integration}", TABLE).status_code,
        client.get("/v1/service-requests", headers={"Authorization": integration}).status_code,
    ]

    assert statuses == [200, 200, 401]


def test_who_has_no_such_key_is_refused_unread(client: ApiClient, acme: Acme) -> None:
    technician = acme.ada_key

    wrong = post(client, "fd_wrong", b"not read")
    nobody = client.post("/optimization", data=b"not read")
    forbidden = post(client, technician, b"not read")

    assert (wrong.status_code, nobody.status_code, forbidden.status_code) == (401, 401, 403)
    assert wrong.headers["WWW-Authenticate"].startswith("Bearer")


HOSTILE: list[tuple[bytes | Any, int, str]] = [
    (b"", 400, "is not JSON"),
    (b"\xff\xfe\x00", 400, "is not JSON"),
    (b'{"jobs": NaN}', 400, "NaN is not a number"),
    (b'{"jobs": [{"id": 1e400}], "vehicles": [{"id": 1}]}', 400, "must be an integer"),
    (b"[" * 1_000_000, 400, "nested too deeply"),
    (b'{"jobs": ' + b"9" * 5_000 + b"}", 400, "is not JSON"),
    (gzip.compress(json.dumps(TABLE).encode()), 400, "is not JSON"),
    ([], 400, "must be a JSON object"),
    (TABLE | {"jobs": []}, 400, "jobs must not be empty"),
    (TABLE | {"vehicles": []}, 400, "vehicles must not be empty"),
    (TABLE | {"jobs": [TABLE["jobs"][0]] * 2}, 400, "job id 1414 occurs twice"),
    (TABLE | {"jobs": [{"id": 2**63, "location_index": 1}]}, 400, "must lie between"),
    (TABLE | {"jobs": [{"id": 1, "location_index": 1, "service": -1}]}, 400, "must lie between"),
    (TABLE | {"matrices": {"car": {"durations": [[0, 1], [1]]}}}, 400, "must be square"),
    (
        TABLE | {"jobs": [{"id": 1, "location_index": 1, "skills": list(range(10**6))}]},
        400,
        "up to 100 are served",
    ),
    (TABLE | {"jobs": [{"id": n} for n in range(1001)]}, 413, "1001 jobs"),
    (TABLE | {"vehicles": [{"id": n} for n in range(201)]}, 413, "201 vehicles"),
]


@ON_ONE_DATABASE
def test_hostile_documents_are_told_what_is_wrong(client: ApiClient, integration: str) -> None:
    for body, status, sentence in HOSTILE:
        answer = post(client, integration, body)

        assert answer.status_code == status, sentence
        assert answer.get_json()["code"] == {400: 2, 413: 4}[status]
        assert sentence in answer.get_json()["error"]


@ON_ONE_DATABASE
def test_windows_outside_every_shift_leave_a_job_out_and_say_so(client: ApiClient, integration: str) -> None:
    vehicle = {"id": 0, "start_index": 0, "time_window": [0, 5000]}
    jobs = [{"id": 1, "location_index": 1, "time_windows": [[9000, 9100]]}]

    answer = post(client, integration, TABLE | {"vehicles": [vehicle], "jobs": jobs})

    assert answer.status_code == 200
    assert answer.get_json()["unassigned"][0]["reasons"]


@ON_ONE_DATABASE
def test_a_body_of_more_than_32_mib_is_refused_unread(client: ApiClient, integration: str) -> None:
    answer = post(client, integration, b" " * ((32 << 20) + 1))

    assert (answer.status_code, answer.get_json()["code"]) == (413, 4)


@ON_ONE_DATABASE
def test_packed_bodies_are_refused(client: ApiClient, integration: str) -> None:
    packed = gzip.compress(json.dumps(TABLE).encode())

    assert post(client, integration, packed, **{"Content-Encoding": "gzip"}).status_code == 415


@ON_ONE_DATABASE
def test_the_documented_example_is_served(client: ApiClient, integration: str) -> None:
    assert post(client, integration, EXAMPLE).get_json()["summary"]["unassigned"] == 0
