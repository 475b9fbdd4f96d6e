"""Services: what anyone reads, what a dispatcher changes."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from sqlmodel import Session

from dispatch.ids import new_id
from dispatch.keys import issue_key
from dispatch.organization import create_organization
from tests.support.client import ApiClient
from tests.support.clock import FakeClock

PUBLIC_FIELDS = {
    "id",
    "name",
    "description",
    "duration_s",
    "required_skills",
    "price",
    "arrival_window_s",
    "slot_step_s",
    "cancel_free_before_s",
    "cancel_fee",
}
RULES = {
    "min_notice_s",
    "buffer_before_s",
    "buffer_after_s",
    "emergency_share",
    "offer_strategy",
    "offer_before_s",
    "release_before_s",
}


def leak(**members: Any) -> dict[str, Any]:
    return {"name": "Leak", "duration_s": 3600, **members}


def usd(amount: int) -> dict[str, Any]:
    return {"amount": amount, "currency": "USD"}


@pytest.fixture
def rival(session: Session, clock: FakeClock) -> str:
    """A dispatcher's key of another organization."""
    return rival_key(session, clock.now())


def rival_key(session: Session, now: datetime) -> str:
    organization = create_organization(
        session, slug="rival", name="Rival", currency="EUR", time_zone="Europe/Berlin", now=now
    )
    _, key = issue_key(session, "dispatcher", organization_id=organization.id, now=now)
    session.commit()
    return key


def test_a_service_has_the_usual_rules_unless_others_are_given(client: ApiClient, dispatcher: str) -> None:
    made = client.create("/v1/services", leak(), key=dispatcher)

    assert set(made) == PUBLIC_FIELDS | RULES
    assert made["required_skills"] == []
    assert (made["price"], made["cancel_fee"]) == (usd(0), usd(0))
    assert (made["slot_step_s"], made["arrival_window_s"]) == (3600, 7200)
    assert made["offer_strategy"] == "cascade"


def test_a_service_is_what_it_was_made(client: ApiClient, dispatcher: str) -> None:
    sent = leak(
        description="Water where none should be",
        required_skills=[{"skill": "gas_fitting", "min_level": 2}, {"skill": "plumbing", "min_level": 3}],
        price=usd(4500),
        cancel_fee=usd(2000),
        arrival_window_s=10_800,
        slot_step_s=1800,
        cancel_free_before_s=7200,
        min_notice_s=0,
        buffer_before_s=300,
        buffer_after_s=600,
        emergency_share=0.2,
        offer_strategy="broadcast",
        offer_before_s=3600,
        release_before_s=1800,
    )

    made = client.create("/v1/services", sent, key=dispatcher)

    assert {name: made[name] for name in sent} == sent


def test_anyone_reads_the_public_fields_alone(client: ApiClient, dispatcher: str) -> None:
    made = client.create("/v1/services", leak(price=usd(4500)), key=dispatcher)

    [service] = client.read("/v1/organizations/acme/services")["items"]

    assert set(service) == PUBLIC_FIELDS
    assert service == {name: made[name] for name in PUBLIC_FIELDS}


def test_services_come_in_pages(client: ApiClient, dispatcher: str) -> None:
    for name in ("One", "Two", "Three"):
        client.create("/v1/services", leak(name=name), key=dispatcher)

    first = client.read("/v1/organizations/acme/services", limit=2)
    second = client.read("/v1/organizations/acme/services", limit=2, cursor=first["next_cursor"])

    assert [s["name"] for s in first["items"] + second["items"]] == ["One", "Two", "Three"]
    assert second["next_cursor"] is None


@pytest.mark.parametrize("slug", ["nobody", "ACME", "a b"])
def test_the_services_of_an_organization_that_is_not_are_404(
    client: ApiClient, dispatcher: str, slug: str
) -> None:
    assert client.call("GET", f"/v1/organizations/{slug}/services").status_code == 404


@pytest.mark.parametrize(
    ("members", "field"),
    [
        ({"name": " "}, "name"),
        ({"duration_s": 0}, "duration_s"),
        ({"duration_s": 86_401}, "duration_s"),
        ({"duration_s": None}, "duration_s"),
        ({"required_skills": [{"skill": "Plumbing", "min_level": 1}]}, "required_skills.0.skill"),
        ({"required_skills": [{"skill": "gas-fitting", "min_level": 1}]}, "required_skills.0.skill"),
        ({"required_skills": [{"skill": "plumbing\n", "min_level": 1}]}, "required_skills.0.skill"),
        ({"required_skills": [{"skill": "plumbing", "min_level": 0}]}, "required_skills.0.min_level"),
        ({"required_skills": [{"skill": "plumbing", "min_level": 6}]}, "required_skills.0.min_level"),
        ({"required_skills": [{"skill": "plumbing"}]}, "required_skills.0.min_level"),
        ({"required_skills": [{"skill": "a", "min_level": 1}] * 2}, "required_skills"),
        ({"required_skills": {"plumbing": 1}}, "required_skills"),
        ({"price": {"amount": 1, "currency": "EUR"}}, "price.currency"),
        ({"cancel_fee": {"amount": 1, "currency": "EUR"}}, "cancel_fee.currency"),
        ({"price": {"amount": -1, "currency": "USD"}}, "price.amount"),
        ({"slot_step_s": 0}, "slot_step_s"),
        ({"arrival_window_s": -1}, "arrival_window_s"),
        ({"emergency_share": 1.1}, "emergency_share"),
        ({"offer_strategy": "lottery"}, "offer_strategy"),
        ({"price_cents": 4500}, "price_cents"),
    ],
)
def test_a_refused_member_is_named(
    client: ApiClient, dispatcher: str, members: dict[str, Any], field: str
) -> None:
    response = client.call("POST", "/v1/services", leak(**members), key=dispatcher)

    assert response.status_code == 422
    assert [error["field"] for error in response.get_json(force=True)["errors"]] == [field]


def test_a_change_changes_what_was_sent_and_null_brings_back_the_usual(
    client: ApiClient, dispatcher: str
) -> None:
    made = client.create("/v1/services", leak(price=usd(4500), buffer_after_s=600), key=dispatcher)

    changed = client.change(
        f"/v1/services/{made['id']}",
        {"duration_s": 5400, "price": None, "required_skills": [{"skill": "plumbing", "min_level": 2}]},
        key=dispatcher,
    )

    differing = {name for name in made if made[name] != changed[name]}
    assert differing == {"duration_s", "price", "required_skills"}
    assert (changed["duration_s"], changed["price"]) == (5400, usd(0))
    assert client.read("/v1/organizations/acme/services")["items"][0]["duration_s"] == 5400


@pytest.mark.parametrize("field", ["name", "duration_s"])
def test_what_a_service_must_have_cannot_be_cleared(client: ApiClient, dispatcher: str, field: str) -> None:
    made = client.create("/v1/services", leak(), key=dispatcher)

    response = client.call("PATCH", f"/v1/services/{made['id']}", {field: None}, key=dispatcher)

    assert response.status_code == 422
    assert response.get_json(force=True)["errors"][0]["field"] == field


def test_a_change_of_an_older_version_is_refused(client: ApiClient, dispatcher: str) -> None:
    created = client.call("POST", "/v1/services", leak(), key=dispatcher)
    path, tag = f"/v1/services/{created.get_json()['id']}", created.headers["ETag"]

    first = client.call("PATCH", path, {"name": "Drip"}, key=dispatcher, if_match=tag)
    second = client.call("PATCH", path, {"name": "Flood"}, key=dispatcher, if_match=tag)

    assert (first.status_code, second.status_code) == (200, 412)
    assert second.get_json(force=True)["code"] == "stale_version"
    assert first.headers["ETag"] != tag
    assert client.read("/v1/organizations/acme/services")["items"][0]["name"] == "Drip"


def test_another_organizations_service_is_404_before_412(
    client: ApiClient, dispatcher: str, rival: str
) -> None:
    made = client.create("/v1/services", leak(), key=dispatcher)

    theirs = client.call("PATCH", f"/v1/services/{made['id']}", {"name": "x"}, key=rival, if_match='"v9"')
    nobodys = client.call("PATCH", f"/v1/services/{new_id()}", {"name": "x"}, key=rival)

    assert (theirs.status_code, nobodys.status_code) == (404, 404)
    assert theirs.get_json(force=True)["detail"] == nobodys.get_json(force=True)["detail"]


def test_only_a_dispatcher_changes_the_catalogue(client: ApiClient, new_key: Callable[[str], str]) -> None:
    integration = new_key("integration")

    statuses = [
        client.call("POST", "/v1/services", leak(), key=key).status_code for key in (None, integration)
    ]

    assert statuses == [401, 403]
