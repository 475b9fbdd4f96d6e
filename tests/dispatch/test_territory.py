"""Where an organization serves: circles and polygons that do not overlap."""

from typing import Any

import pytest

from dispatch.errors import Conflict, Invalid, OutsideTerritories
from dispatch.places import Place
from dispatch.territory import Territory, add_territory, territory_at
from tests.dispatch.world import NOW, World


def circle(world: World, lat: float, lon: float, radius_m: int, name: str = "Circle") -> Territory:
    return Territory(
        organization_id=world.new_organization(name.lower()).id
        if name != "Circle"
        else world.organization.id,
        name=name,
        time_zone="UTC",
        center_lat=lat,
        center_lon=lon,
        radius_m=radius_m,
        created_at=NOW,
    )


def box(world: World, west: float, south: float, east: float, north: float) -> Territory:
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return polygon(world, {"type": "Polygon", "coordinates": [ring]})


def polygon(world: World, area: dict[str, Any]) -> Territory:
    return Territory(
        organization_id=world.organization.id, name="Box", time_zone="UTC", area=area, created_at=NOW
    )


def test_boxes_may_share_a_border(world: World) -> None:
    west, east = box(world, 0, 0, 1, 1), box(world, 1, 0, 2, 1)
    add_territory(world.session, west)

    add_territory(world.session, east)

    assert territory_at(world.session, world.organization.id, Place(0.5, 1.5)) is east
    assert territory_at(world.session, world.organization.id, Place(0.5, 1.0)) is west


def test_boxes_that_overlap_are_refused(world: World) -> None:
    standing = add_territory(world.session, box(world, 0, 0, 1, 1))

    with pytest.raises(Conflict) as refused:
        add_territory(world.session, box(world, 0.999, 0.5, 2, 2))

    assert (refused.value.code, refused.value.extra["territory_id"]) == ("territory_overlap", standing.id)


@pytest.mark.parametrize(("radius_m", "fits"), [(55_600, True), (55_720, False)])
def test_circles_overlap_from_the_sum_of_their_radii(world: World, radius_m: int, fits: bool) -> None:
    """One degree of longitude at the equator is 111,319 m."""
    add_territory(world.session, circle(world, 0, 0, 55_600))
    other = circle(world, 0, 1, radius_m)

    if fits:
        add_territory(world.session, other)
    else:
        with pytest.raises(Conflict):
            add_territory(world.session, other)


def test_a_circle_and_a_box_overlap_across_the_antimeridian(world: World) -> None:
    add_territory(world.session, circle(world, -16.8, 179.9, 50_000))

    with pytest.raises(Conflict):
        add_territory(world.session, box(world, -180, -17, -179.8, -16.5))

    add_territory(world.session, box(world, -179, -17, -178, -16))


def test_a_circle_holds_places_beyond_the_antimeridian(world: World) -> None:
    taveuni = add_territory(world.session, circle(world, -16.8, 179.9, 50_000))

    assert taveuni.contains(Place(-16.8, -179.9))
    assert not taveuni.contains(Place(-16.8, -179.0))


def test_a_circle_over_a_pole_is_refused(world: World) -> None:
    with pytest.raises(Invalid, match="refused"):
        add_territory(world.session, circle(world, -89.9, 0, 20_000))


def test_organizations_may_serve_the_same_place(world: World) -> None:
    world.session.flush()

    other = add_territory(world.session, circle(world, 40.7, -74.0, 1_000, "Rival"))

    assert territory_at(world.session, other.organization_id, Place(40.7, -74.0)) is other


def test_a_place_in_a_hole_is_outside(world: World) -> None:
    outer = [[0, 0], [3, 0], [3, 3], [0, 3], [0, 0]]
    hole = [[1, 1], [2, 1], [2, 2], [1, 2], [1, 1]]
    add_territory(world.session, polygon(world, {"type": "Polygon", "coordinates": [outer, hole]}))

    with pytest.raises(OutsideTerritories):
        territory_at(world.session, world.organization.id, Place(1.5, 1.5))


@pytest.mark.parametrize(
    "coordinates",
    [
        [],
        [[]],
        [[[0, 0], [1, 0]]],
        [[[0, 0], [1, 0], [1, 1], [0, 1]]],
        [[[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]],
        [[[0, 0], [1, 0], [2, 0], [0, 0]]],
        [[[0, 0], [200, 0], [200, 1], [0, 0]]],
        [[[0, 0], [1, 0], [1, 91], [0, 0]]],
        [[["a", 0], [1, 0], [1, 1], ["a", 0]]],
    ],
)
def test_what_is_no_polygon_is_refused(world: World, coordinates: list[Any]) -> None:
    with pytest.raises(Invalid) as refused:
        add_territory(world.session, polygon(world, {"type": "Polygon", "coordinates": coordinates}))

    assert [error["field"] for error in refused.value.extra["errors"]] == ["area"]
