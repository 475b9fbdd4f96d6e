"""Territories: where an organization serves."""

from functools import cache
from typing import Annotated, Literal, Self
from zoneinfo import available_timezones

from flask import Response
from pydantic import AfterValidator, Field, WithJsonSchema, model_validator
from sqlmodel import col, select

from api import context
from api.auth import allow
from api.openapi import resource
from api.pagination import Page, PageQuery, page_of, paginate
from api.render import answer
from api.schemas import Answer, Body, Name, Place, PlaceOut, absent, example
from dispatch.access import actor_of, own_organization
from dispatch.audit import note_territory
from dispatch.gazetteer import located
from dispatch.territory import Territory, add_territory

territories = resource("territories", "Where an organization serves.")

MOST_RADIUS_M = 1_000_000


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def _known(zone: str) -> str:
    if zone not in _zones():
        raise ValueError("must be an IANA zone such as America/New_York")
    return zone


TimeZone = Annotated[
    str, AfterValidator(_known), WithJsonSchema({"type": "string", "examples": ["America/New_York"]})
]
"""The name of an IANA time zone."""

Position = Annotated[list[float], Field(min_length=2, max_length=3)]
Ring = Annotated[list[Position], Field(min_length=4, max_length=10_000)]


class Area(Body):
    """A GeoJSON polygon (RFC 7946): rings of [longitude, latitude], each ending where it begins."""

    type: Literal["Polygon"]
    coordinates: Annotated[list[Ring], Field(min_length=1, max_length=100)]


class NewTerritory(Body):
    """A territory to be added: a circle (`center` and `radius_m`), or an `area`."""

    model_config = example(
        {
            "name": "Manhattan",
            "time_zone": "America/New_York",
            "center": {"lat": 40.7831, "lon": -73.9712},
            "radius_m": 12000,
        }
    )

    name: Name
    time_zone: TimeZone
    center: Place | None = None
    radius_m: int | None = Field(None, ge=1, le=MOST_RADIUS_M)
    area: Area | None = None

    @model_validator(mode="after")
    def _one_shape(self) -> Self:
        if (self.center is None) != (self.radius_m is None):
            raise ValueError("center and radius_m come together")
        if (self.center is None) == (self.area is None):
            raise ValueError("needs either center and radius_m, or area")
        return self


class TerritoryOut(Answer):
    """A territory. Dates that concern it are read in its time zone."""

    id: str
    name: str
    time_zone: str
    center: PlaceOut | None = Field(None, exclude_if=absent)
    radius_m: int | None = Field(None, exclude_if=absent)
    area: Area | None = Field(None, exclude_if=absent)

    @classmethod
    def of(cls, territory: Territory) -> Self:
        """Built from its row."""
        center = None
        if territory.center_lat is not None and territory.center_lon is not None:
            center = PlaceOut(lat=territory.center_lat, lon=territory.center_lon)
        return cls.model_validate(territory.model_dump() | {"center": center})


class TerritoryPage(Page[TerritoryOut]):
    """One page of territories."""


@territories.get("/territories", summary="List territories", responses={200: TerritoryPage})
@allow("dispatcher", "integration")
def read_all(query: PageQuery) -> Response:
    """In the order in which they were added."""
    wanted = select(Territory).where(Territory.organization_id == context.principal().organization_id)
    rows, cursor = paginate(context.session(), wanted, query, by=[col(Territory.id)])
    return answer(page_of(TerritoryPage, [TerritoryOut.of(row) for row in rows], cursor))


@territories.post("/territories", summary="Add a territory", responses={201: TerritoryOut})
@allow("dispatcher")
def create(body: NewTerritory) -> Response:
    """Territories of one organization do not overlap: 409 `territory_overlap`. A shared border is no overlap."""
    session, organization = context.session(), own_organization(context.session(), context.principal())
    center = located(session, context.settings(), body.center, "center") if body.center is not None else None
    territory = Territory(
        organization_id=organization.id,
        name=body.name,
        time_zone=body.time_zone,
        center_lat=center.lat if center is not None else None,
        center_lon=center.lon if center is not None else None,
        radius_m=body.radius_m,
        area=body.area.model_dump() if body.area is not None else None,
        created_at=context.now(),
    )
    add_territory(session, territory)
    note_territory(session, territory, actor_of(context.principal()))
    return answer(TerritoryOut.of(territory), 201, version=territory.version)
