"""Plan runs over HTTP."""

from typing import Any

import pytest
from sqlalchemy import Engine

from dispatch.database import transaction
from dispatch.ids import new_id
from dispatch.keys import issue_key
from dispatch.organization import create_organization
from tests.support.acme import CUSTOMERS, NEIGHBOURS, Acme

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
        ({"appointment_ids": []}, "appointment_ids"),
    ],
)
def test_a_plan_that_cannot_be_made_is_refused_by_field(
    acme: Acme, members: dict[str, Any], field: str
) -> None:
    response = plan(acme, **members)

    assert response.status_code == 422
    assert [error["field"] for error in response.get_json(force=True)["errors"]] == [field]
