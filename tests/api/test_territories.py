"""Territories over HTTP."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlmodel import Session

from dispatch.gazetteer import GazetteerEntry, folded
from tests.api.test_catalogue import rival_key
from tests.support.client import ApiClient
from tests.support.clock import FakeClock

RING = [[-74.1, 40.6], [-73.7, 40.6], [-73.7, 40.9], [-74.1, 40.9], [-74.1, 40.6]]


def circle(**members: Any) -> dict[str, Any]:
    return {
        "name": "New York",
        "time_zone": "America/New_York",
        "center": {"lat": 40.7, "lon": -74.0},
        "radius_m": 20_000,
        **members,
    }


def area(**members: Any) -> dict[str, Any]:
    polygon = {"type": "Polygon", "coordinates": [RING], **members}
    return {"name": "Boroughs", "time_zone": "America/New_York", "area": polygon}


def test_a_circle_and_an_area_come_back_as_they_were_sent(client: ApiClient, dispatcher: str) -> None:
    far = circle(name="Boston", center={"lat": 42.36, "lon": -71.06})

    made = [client.create("/v1/territories", sent, key=dispatcher) for sent in (area(), far)]

    assert [{k: v for k, v in one.items() if k != "id"} for one in made] == [area(), far]
    assert client.read("/v1/territories", key=dispatcher) == {"items": made, "next_cursor": None}


def test_territories_that_overlap_are_refused(client: ApiClient, dispatcher: str) -> None:
    standing = client.create("/v1/territories", circle(), key=dispatcher)

    response = client.call("POST", "/v1/territories", area(), key=dispatcher)

    problem = response.get_json(force=True)
    assert (response.status_code, problem["code"]) == (409, "territory_overlap")
    assert problem["territory_id"] == standing["id"]
    assert len(client.read("/v1/territories", key=dispatcher)["items"]) == 1


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        (circle(name="\u200b"), "name"),
        (circle(time_zone="Mars/Olympus"), "time_zone"),
        (circle(time_zone="../etc/passwd"), "time_zone"),
        (circle(radius_m=0), "radius_m"),
        (circle(radius_m=10_000_000), "radius_m"),
        (circle(radius_m=None), ""),
        (circle(center=None), ""),
        (circle(area=area()["area"]), ""),
        ({"name": "Nowhere", "time_zone": "UTC"}, ""),
        (circle(center={"lat": 89.95, "lon": 0}), "radius_m"),
        (area(type="Point"), "area.type"),
        (area(coordinates=[]), "area.coordinates"),
        (area(coordinates=[RING[:3]]), "area.coordinates.0"),
        (area(coordinates=[RING[:4]]), "area"),
        (area(coordinates=[[[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]]), "area"),
        (area(coordinates=[[["0", 0], [1, 0], [1, 1], ["0", 0]]]), "area.coordinates.0.0.0"),
        (area(coordinates=[[[0, 0], [0, 200], [1, 1], [0, 0]]]), "area"),
    ],
)
def test_what_is_no_territory_is_refused(
    client: ApiClient, dispatcher: str, sent: dict[str, Any], field: str
) -> None:
    response = client.call("POST", "/v1/territories", sent, key=dispatcher)

    assert response.status_code == 422
    assert response.get_json(force=True)["errors"][0]["field"] == field


def test_a_center_may_be_an_address(
    client: ApiClient, dispatcher: str, session: Session, clock: FakeClock
) -> None:
    name = "City Hall, New York"
    session.add(
        GazetteerEntry(key=folded(name), name=name, lat=40.7127, lon=-74.0059, created_at=clock.now())
    )
    session.commit()

    made = client.create("/v1/territories", circle(center={"address": "city hall new york"}), key=dispatcher)
    unknown = client.call(
        "POST", "/v1/territories", circle(center={"address": "Atlantis"}), key=dispatcher
    ).get_json(force=True)

    assert made["center"] == {"lat": 40.7127, "lon": -74.0059}
    assert (unknown["code"], unknown["errors"][0]["field"]) == ("address_not_found", "center.address")


def test_each_organization_has_territories_of_its_own(
    client: ApiClient, dispatcher: str, session: Session, clock: FakeClock
) -> None:
    rival = rival_key(session, clock.now())

    client.create("/v1/territories", circle(), key=dispatcher)
    client.create("/v1/territories", circle(name="Same"), key=rival)

    assert [t["name"] for t in client.read("/v1/territories", key=rival)["items"]] == ["Same"]


def test_an_integration_reads_and_a_dispatcher_adds(client: ApiClient, new_key: Callable[[str], str]) -> None:
    integration = new_key("integration")

    assert client.read("/v1/territories", key=integration)["items"] == []
    assert client.call("POST", "/v1/territories", circle(), key=integration).status_code == 403
    assert client.call("GET", "/v1/territories").status_code == 401
