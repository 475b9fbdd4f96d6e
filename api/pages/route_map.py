"""Routes as a picture on plain ground, and the same places for the map that a script draws: no tiles, so nobody else
learns where the visits are."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dispatch.board import BoardRow, Unassigned
from dispatch.calendar import epoch
from dispatch.places import Place, place_of
from dispatch.position import Position

WIDTH = 1000
LEAST_HEIGHT, MOST_HEIGHT = 420, 900
MARGIN = 64
HUES = 8
"""Routes take turns at so many colours; a title names each."""
METRES_PER_DEGREE = 111_195.0
"""Of latitude, on a sphere of 6,371,009 m, the mean radius of WGS 84 (IUGG)."""
LEAST_SPAN_M = 1_000.0

Point = tuple[float, float]
Degrees = tuple[float, float]
"""Latitude and longitude."""


@dataclass(frozen=True, slots=True)
class DrawnRoute:
    """points: all of it, as SVG writes them. places: the start and the stops, in degrees; visits: of the stops."""

    technician_id: str
    title: str
    hue: int
    places: tuple[Degrees, ...]
    visits: tuple[str, ...]
    points: str
    start: Point
    stops: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class DrawnPosition:
    """Where a technician was seen last. seen_s: when, in seconds of the Unix epoch."""

    technician_id: str
    name: str
    hue: int
    place: Degrees
    point: Point
    seen_s: int


@dataclass(frozen=True, slots=True)
class RouteMap:
    width: int
    height: int
    routes: tuple[DrawnRoute, ...]
    unassigned: tuple[Point, ...]
    waiting: tuple[tuple[str, Degrees], ...]
    positions: tuple[DrawnPosition, ...]
    scale_width: float
    scale_km: int

    @property
    def live(self) -> dict[str, Any]:
        """What the script draws: routes and positions by technician, and what nobody visits."""
        return {
            "routes": [
                {
                    "technician": route.technician_id,
                    "hue": route.hue,
                    "places": route.places,
                    "visits": route.visits,
                }
                for route in self.routes
            ],
            "waiting": [{"visit": visit, "place": place} for visit, place in self.waiting],
            "positions": [
                {
                    "technician": position.technician_id,
                    "hue": position.hue,
                    "place": position.place,
                    "seen": position.seen_s,
                }
                for position in self.positions
            ],
        }


class _Projection:
    """Equirectangular about the middle of the places, to scale in both directions there."""

    def __init__(self, places: Sequence[Place]) -> None:
        lats, lons = [place.lat for place in places], [place.lon for place in places]
        self._lat, self._lon = (min(lats) + max(lats)) / 2, (min(lons) + max(lons)) / 2
        self._narrowing = math.cos(math.radians(self._lat))
        wide = max((max(lons) - min(lons)) * self._narrowing * METRES_PER_DEGREE, LEAST_SPAN_M)
        high = max((max(lats) - min(lats)) * METRES_PER_DEGREE, LEAST_SPAN_M)
        self.per_metre = min((WIDTH - 2 * MARGIN) / wide, (MOST_HEIGHT - 2 * MARGIN) / high)
        self.height = max(LEAST_HEIGHT, round(high * self.per_metre) + 2 * MARGIN)

    def point(self, place: Place) -> Point:
        east = (place.lon - self._lon) * self._narrowing * METRES_PER_DEGREE
        north = (place.lat - self._lat) * METRES_PER_DEGREE
        return (
            round(WIDTH / 2 + east * self.per_metre, 1),
            round(self.height / 2 - north * self.per_metre, 1),
        )


def draw_map(rows: Sequence[BoardRow], unassigned: Sequence[Unassigned]) -> RouteMap | None:
    """The routes from where each shift starts to its last visit, where people are, and what nobody visits; None of an
    empty day."""
    paths = [(row, _path(row)) for row in rows if row.route.stops]
    waiting = [place_of(item.request) for item in unassigned]
    seen = [(row, row.position) for row in rows if row.position is not None]
    places = [place for _, path in paths for place in path] + waiting
    places += [Place(position.lat, position.lon) for _, position in seen]
    if not places:
        return None
    projection = _Projection(places)
    routes = []
    for number, (row, path) in enumerate(paths):
        points = [projection.point(place) for place in path]
        written = " ".join(f"{x},{y}" for x, y in points)
        routes.append(
            DrawnRoute(
                technician_id=row.technician.id,
                title=f"{row.technician.name}: {len(row.route.stops)} visits",
                hue=number % HUES,
                places=tuple(_degrees(place) for place in path),
                visits=tuple(stop.appointment.id for stop in row.route.stops),
                points=written,
                start=points[0],
                stops=tuple(points[1:]),
            )
        )
    hues = {route.technician_id: route.hue for route in routes}
    scale_km = _round_length_km(projection.per_metre)
    return RouteMap(
        width=WIDTH,
        height=projection.height,
        routes=tuple(routes),
        unassigned=tuple(projection.point(place) for place in waiting),
        waiting=tuple((item.appointment.id, _degrees(place_of(item.request))) for item in unassigned),
        positions=tuple(
            _position(row, position, hues.get(row.technician.id, 0), projection) for row, position in seen
        ),
        scale_width=round(scale_km * 1000 * projection.per_metre, 1),
        scale_km=scale_km,
    )


def _position(row: BoardRow, seen: Position, hue: int, projection: _Projection) -> DrawnPosition:
    place = Place(seen.lat, seen.lon)
    return DrawnPosition(
        technician_id=row.technician.id,
        name=row.technician.name,
        hue=hue,
        place=_degrees(place),
        point=projection.point(place),
        seen_s=epoch(seen.recorded_at),
    )


def _degrees(place: Place) -> Degrees:
    return round(place.lat, 5), round(place.lon, 5)


def _path(row: BoardRow) -> list[Place]:
    home = place_of(row.technician)
    start = row.shifts[0].start_place if row.shifts else None
    return [start or home, *(stop.place for stop in row.route.stops)]


def _round_length_km(per_metre: float) -> int:
    """The longest of 1, 2, 5, 10, ... km that takes at most a fifth of the width."""
    lengths = [digit * 10**power for power in range(5) for digit in (1, 2, 5)]
    fitting = [length for length in lengths if length * 1000 * per_metre <= WIDTH / 5]
    return max(fitting, default=1)
