"""A territory: where an organization serves, in one time zone. Territories of one organization do not overlap."""

from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from geopy.distance import geodesic
from shapely.affinity import translate
from shapely.errors import ShapelyError
from shapely.geometry import Point, Polygon, shape
from shapely.geometry.base import BaseGeometry
from sqlalchemy import JSON, ColumnElement, SQLColumnExpression, and_, false, or_, true
from sqlmodel import Field, Session, SQLModel, col, select

from dispatch.errors import Conflict, Invalid, OutsideTerritories
from dispatch.ids import new_id
from dispatch.organization import Organization
from dispatch.places import Place
from dispatch.shift import local_day

LEAST_OVERLAP = 1e-12
"""Square degrees: what rounding makes of a shared border is less."""


class Territory(SQLModel, table=True):
    """Either a circle (`center_lat`, `center_lon`, `radius_m`) or `area`, a GeoJSON polygon."""

    id: str = Field(default_factory=new_id, primary_key=True, max_length=36)
    organization_id: str = Field(foreign_key="organization.id", index=True, max_length=36)
    name: str = Field(max_length=200)
    time_zone: str = Field(max_length=64)
    center_lat: float | None = None
    center_lon: float | None = None
    radius_m: int | None = None
    area: dict[str, Any] | None = Field(default=None, sa_type=JSON)
    created_at: datetime
    version: int = 1

    def contains(self, place: Place) -> bool:
        """The border belongs to it."""
        if self.area is not None:
            return bool(shape(self.area).covers(Point(place.lon, place.lat)))
        assert self.center_lat is not None
        assert self.center_lon is not None
        assert self.radius_m is not None
        center = (self.center_lat, self.center_lon)
        return bool(geodesic(center, (place.lat, place.lon)).m <= self.radius_m)

    def today(self, now: datetime) -> date:
        """The date on its walls."""
        return now.astimezone(ZoneInfo(self.time_zone)).date()

    def outline(self) -> BaseGeometry:
        """Its border in degrees; a circle becomes a polygon of 72 corners, which goes on past longitude 180."""
        if self.area is not None:
            return shape(self.area)
        assert self.center_lon is not None
        center, reach = (self.center_lat, self.center_lon), geodesic(meters=self.radius_m)
        border = [reach.destination(center, bearing=5.0 * step) for step in range(72)]
        west = self.center_lon - 180
        return Polygon([(west + (point.longitude - west) % 360, point.latitude) for point in border])

    def overlaps(self, other: "Territory") -> bool:
        """Whether some place belongs to both; a shared border does not count. Two circles are compared by distance, all
        else by outline."""
        if self.radius_m is not None and other.radius_m is not None:
            centers = ((self.center_lat, self.center_lon), (other.center_lat, other.center_lon))
            return bool(geodesic(*centers).m < self.radius_m + other.radius_m)
        mine, others = self.outline(), other.outline()
        return any(
            mine.intersection(translate(others, xoff=turn)).area > LEAST_OVERLAP for turn in (-360, 0, 360)
        )


def require_circle(lat: float, radius_m: int) -> None:
    """Raises `Invalid` where a circle around the latitude reaches over a pole: it has no outline in degrees."""
    to_pole_m = geodesic((abs(lat), 0), (90, 0)).m
    if radius_m >= to_pole_m:
        raise Invalid(errors=[("radius_m", "the circle must not reach over a pole; give an area")])


def require_polygon(area: dict[str, Any]) -> None:
    """Raises `Invalid` unless `area` is a valid GeoJSON polygon in WGS 84 with an inside."""
    rings = area.get("coordinates")
    if isinstance(rings, list) and any(isinstance(r, list) and r and r[0] != r[-1] for r in rings):
        raise Invalid(errors=[("area", "each ring must end where it begins")])
    try:
        outline = shape(area)
    except (ShapelyError, AttributeError, KeyError, TypeError, ValueError, IndexError) as error:
        raise Invalid(errors=[("area", f"is not a GeoJSON polygon: {error}")]) from error
    if outline.geom_type != "Polygon" or not outline.is_valid or outline.area == 0:
        raise Invalid(errors=[("area", "must be a GeoJSON Polygon whose rings do not cross")])
    west, south, east, north = outline.bounds
    if west < -180 or east > 180 or south < -90 or north > 90:
        raise Invalid(errors=[("area", "positions are [longitude, latitude] in degrees")])


def add_territory(session: Session, territory: Territory) -> Territory:
    """Raises `Conflict` where it overlaps another of the same organization; a shared border is no overlap. Of two
    that are added at once, the second waits for the first, and is judged against it."""
    session.exec(
        select(Organization.id)
        .where(Organization.id == territory.organization_id)
        .with_for_update(key_share=True)
    ).one()
    if territory.area is not None:
        require_polygon(territory.area)
    elif territory.center_lat is not None and territory.radius_m is not None:
        require_circle(territory.center_lat, territory.radius_m)
    for other in territories(session, territory.organization_id):
        if territory.overlaps(other):
            raise Conflict(
                "territory_overlap",
                f"It overlaps the territory {other.name!r}; a place belongs to one territory.",
                territory_id=other.id,
            )
    session.add(territory)
    session.flush()
    return territory


def territories(session: Session, organization_id: str) -> list[Territory]:
    query = select(Territory).where(Territory.organization_id == organization_id).order_by(col(Territory.id))
    return list(session.exec(query))


def territory_at(session: Session, organization_id: str, place: Place) -> Territory:
    """The territory that serves the place. Raises `OutsideTerritories`."""
    for territory in territories(session, organization_id):
        if territory.contains(place):
            return territory
    raise OutsideTerritories()


def begins_on(
    session: Session,
    organization_id: str,
    territory_id: SQLColumnExpression[str],
    begins: SQLColumnExpression[Any],
    from_: date | None,
    to: date | None,
) -> ColumnElement[bool]:
    """Whether an instant lies on the days from `from_` to `to`, both included, as its territory counts them; for the
    organization's territories alone. territory_id, begins: columns of the query."""
    everywhere = territories(session, organization_id)
    return or_(
        false(), *((territory_id == each.id) & _within(each, begins, from_, to) for each in everywhere)
    )


def _within(
    territory: Territory, begins: SQLColumnExpression[Any], from_: date | None, to: date | None
) -> ColumnElement[bool]:
    zone = ZoneInfo(territory.time_zone)
    after = true() if from_ is None else begins >= local_day(from_, zone)[0]
    return and_(after, true() if to is None else begins < local_day(to, zone)[1])
