"""Plan runs over HTTP."""

from typing import Any

import pytest
from sqlalchemy import Engine

import optimizer
from dispatch.database import transaction
from dispatch.ids import new_id
from dispatch.keys import issue_key
from dispatch.organization import create_organization
from tests.support.acme import ADA, CUSTOMERS, NEIGHBOURS, Acme

DATE = "2027-03-03"


def plan(acme: Acme, **members: Any) -> Any:
    body = {"territory_id": acme.territory["id"], "date": DATE, "max_work": 100} | members
    return acme.client.call("POST", "/v1/plans", body, key=acme.dispatcher)


@pytest.fixture
def casey(acme: Acme) -> Any:
    """A request, with a day on which it could be served."""
    acme.shift("2027-03-03T09:00:00-05:00", "2027-03-03T17:00:00-05:00")
    return acme.request("Casey", CUSTOMERS)


def status_of(acme: Acme, registered: Any) -> str:
    path = f"/v1/appointments/{registered['appointment']['id']}"
    status: str = acme.client.read(path, key=acme.dispatcher)["status"]
    return status


def test_a_dry_run_changes_nothing_until_it_is_applied(acme: Acme, casey: Any) -> None:
    queued = plan(acme, dry_run=True)
    path = f"/v1/plans/{queued.get_json()['id']}"
    acme.worker()

    shown = acme.client.read(path, key=acme.dispatcher)
    before = status_of(acme, casey)
    applied = acme.client.act(f"{path}/apply", key=acme.dispatcher)
    twice = acme.client.call("POST", f"{path}/apply", key=acme.dispatcher)

    assert queued.headers["Location"] == path
    assert (shown["status"], len(shown["assigned"]), shown["applied_at"]) == ("done", 1, None)
    assert before == "unassigned"
    assert applied["applied_at"] == "2027-03-02T13:00:00Z"
    assert status_of(acme, casey) == "scheduled"
    assert (twice.status_code, twice.get_json(force=True)["code"]) == (409, "invalid_state")


def test_what_changed_since_a_dry_run_is_skipped_and_reported(acme: Acme, casey: Any) -> None:
    run = plan(acme, dry_run=True).get_json()
    acme.worker()
    acme.client.act(
        f"/v1/service-requests/{casey['service_request']['id']}/cancel", key=casey["manage_token"]
    )

    applied = acme.client.act(f"/v1/plans/{run['id']}/apply", key=acme.dispatcher)

    assert applied["assigned"] == []
    assert [item["appointment_id"] for item in applied["skipped_stale"]] == [casey["appointment"]["id"]]
    assert status_of(acme, casey) == "cancelled"


def test_a_cancelled_run_plans_nothing(acme: Acme, casey: Any) -> None:
    run = plan(acme).get_json()

    cancelled = acme.client.call("DELETE", f"/v1/plans/{run['id']}", key=acme.dispatcher)
    acme.worker()

    assert (cancelled.status_code, cancelled.get_json()["status"]) == (200, "cancelled")
    assert status_of(acme, casey) == "unassigned"


def test_a_run_that_is_done_cannot_be_cancelled(acme: Acme, casey: Any) -> None:
    run = plan(acme).get_json()
    acme.worker()

    response = acme.client.call("DELETE", f"/v1/plans/{run['id']}", key=acme.dispatcher)

    problem = response.get_json(force=True)
    assert (response.status_code, problem["current"], problem["allowed"]) == (
        409,
        "done",
        ["queued", "running"],
    )


def test_whom_the_plan_leaves_out_is_told_why(acme: Acme) -> None:
    drew = acme.request("Drew", NEIGHBOURS)
    run = plan(acme).get_json()
    acme.worker()

    done = acme.client.read(f"/v1/plans/{run['id']}", key=acme.dispatcher)

    assert [item["appointment_id"] for item in done["unassigned"]] == [drew["appointment"]["id"]]
    assert done["unassigned"][0]["reasons"][0]["code"] == "no_shift"


def test_a_run_is_its_organizations_alone(acme: Acme, engine: Engine) -> None:
    run = plan(acme).get_json()
    with transaction(engine) as session:
        other = create_organization(
            session, slug="rival", name="Rival", currency="EUR", time_zone="Europe/Paris", now=acme.clock()
        )
        _, rival = issue_key(session, "dispatcher", organization_id=other.id, now=acme.clock())

    path = f"/v1/plans/{run['id']}"
    body = {"territory_id": acme.territory["id"], "date": DATE}
    foreign = acme.client.call("POST", "/v1/plans", body, key=rival)

    assert acme.client.call("GET", path, key=rival).status_code == 404
    assert acme.client.call("DELETE", path, key=rival).status_code == 404
    assert acme.client.call("POST", f"{path}/apply", key=rival).status_code == 404
    assert (foreign.status_code, foreign.get_json(force=True)["code"]) == (422, "unknown_reference")


@pytest.mark.parametrize(
    ("members", "field"),
    [
        ({"territory_id": new_id()}, "territory_id"),
        ({"date": "2027-03-01"}, "date"),
        ({"date": "tomorrow"}, "date"),
        ({"time_limit_s": 0}, "time_limit_s"),
        ({"max_work": 0}, "max_work"),
        ({"max_moves": -1}, "max_moves"),
        ({"appointment_ids": []}, "appointment_ids"),
    ],
)
def test_a_plan_that_cannot_be_made_is_refused_by_field(
    acme: Acme, members: dict[str, Any], field: str
) -> None:
    response = plan(acme, **members)

    assert response.status_code == 422
    assert [error["field"] for error in response.get_json(force=True)["errors"]] == [field]


def test_a_plan_is_applied_visit_by_visit(acme: Acme, casey: Any) -> None:
    run = plan(acme, dry_run=True).get_json()
    acme.worker()
    path = f"/v1/plans/{run['id']}/apply"
    wanted = {"appointment_ids": [casey["appointment"]["id"]]}

    unknown = acme.client.call("POST", path, {"appointment_ids": [new_id()]}, key=acme.dispatcher)
    none = acme.client.call("POST", path, {"appointment_ids": []}, key=acme.dispatcher)
    applied = acme.client.act(path, wanted, key=acme.dispatcher)

    assert (unknown.status_code, unknown.get_json(force=True)["code"]) == (422, "unknown_reference")
    assert none.status_code == 422
    assert (applied["applied"], applied["went_along"]) == (wanted["appointment_ids"], [])
    assert status_of(acme, casey) == "scheduled"


def test_max_moves_lets_only_what_is_new_be_placed(acme: Acme, casey: Any) -> None:
    plan(acme)
    acme.worker()
    before = acme.client.read(f"/v1/appointments/{casey['appointment']['id']}", key=acme.dispatcher)
    drew = acme.request("Drew", NEIGHBOURS)

    shown = plan(acme, dry_run=True, max_moves=0).get_json()
    acme.worker()
    done = acme.client.read(f"/v1/plans/{shown['id']}", key=acme.dispatcher)

    assert done["max_moves"] == 0
    assert done["moved"] == []
    assert [item["appointment_id"] for item in done["kept"]] == [casey["appointment"]["id"]]
    assert [item["appointment_id"] for item in done["assigned"]] == [drew["appointment"]["id"]]
    assert done["kept"][0]["scheduled_start"] == before["scheduled_start"]
    assert sum(done["objective"].values()) < sum(done["objective_before"].values())


def test_what_begins_before_the_freeze_stays_as_it_is(acme: Acme, casey: Any) -> None:
    acme.client.call(
        "PATCH", f"/v1/services/{acme.service['id']}", {"offer_strategy": "none"}, key=acme.dispatcher
    )
    plan(acme)
    acme.worker()
    path = f"/v1/appointments/{casey['appointment']['id']}"
    before = acme.client.read(path, key=acme.dispatcher)
    acme.client.create(
        "/v1/technicians", ADA | {"name": "Bo Near", "email": "bo@example.com", "home": CUSTOMERS}
    )
    for technician in acme.client.read("/v1/technicians", key=acme.dispatcher, status="pending")["items"]:
        acme.client.act(f"/v1/technicians/{technician['id']}/approve", key=acme.dispatcher)
        acme.client.create(
            f"/v1/technicians/{technician['id']}/shifts",
            {"starts_at": "2027-03-03T09:00:00-05:00", "ends_at": "2027-03-03T17:00:00-05:00"},
            key=acme.dispatcher,
        )

    frozen = plan(acme, freeze_before="2027-03-03T23:00:00-05:00").get_json()
    acme.worker()
    thawed = plan(acme, dry_run=True).get_json()
    acme.worker()

    assert acme.client.read(f"/v1/plans/{frozen['id']}", key=acme.dispatcher)["moved"] == []
    assert acme.client.read(path, key=acme.dispatcher)["scheduled_start"] == before["scheduled_start"]
    [moved] = acme.client.read(f"/v1/plans/{thawed['id']}", key=acme.dispatcher)["moved"]
    assert moved["before"]["scheduled_start"] == before["scheduled_start"]
    assert moved["before"]["technician_id"] != moved["technician_id"]


def test_progress_is_told_while_it_runs_and_a_running_plan_can_be_cancelled(
    acme: Acme, casey: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = plan(acme, max_work=2_000_000).get_json()
    path = f"/v1/plans/{run['id']}"
    queued = acme.client.read(path, key=acme.dispatcher)
    seen: list[Any] = []
    solve = optimizer.solve

    def watched(problem: Any, **options: Any) -> Any:
        tell = options["on_progress"]

        def look(progress: Any) -> None:
            acme.clock.advance(seconds=1)
            tell(progress)
            seen.append(acme.client.read(path, key=acme.dispatcher))
            if len(seen) == 2:
                acme.client.call("DELETE", path, key=acme.dispatcher)

        return solve(problem, **options | {"on_progress": look})

    monkeypatch.setattr(optimizer, "solve", watched)
    acme.worker()

    assert (queued["status"], queued["progress"]) == ("queued", None)
    assert seen[0]["status"] == "running"
    assert 0 <= seen[0]["progress"]["fraction"] < 1
    assert seen[1]["progress"]["iterations"] >= seen[0]["progress"]["iterations"]
    assert acme.client.read(path, key=acme.dispatcher)["status"] == "cancelled"
    assert status_of(acme, casey) == "unassigned"
    assert len(seen) < 10
