"""The technician's way to the customer, while it is shown: in words, and as the map on the tracking page needs it."""

import math
from dataclasses import dataclass

from api import context
from api.pages.followed import Followed
from dispatch.places import Place
from dispatch.planning import travel_provider
from dispatch.tracking import TrackingView
from optimizer.travel import Place as Point

DIRECTIONS = 8
"""Of the compass rose, clockwise from north."""
RINGS_M = (250, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000)
"""Distances that are round enough to be told."""

RING_REACHES = 0.75
"""How far towards the technician at most, so that the ring and its name are within the map."""


@dataclass(frozen=True, slots=True)
class Way:
    """From where the technician is to the customer's place. away: the distance by road, in words; caption: what the map
    shows; ring_m and ring: a distance to be drawn around the customer, and its words."""

    technician: Place
    customer: Place
    away: str
    caption: str
    ring_m: int
    ring: str


def way_of(visit: Followed, view: TrackingView) -> Way | None:
    """None where no position is shown."""
    here, language = view.position, visit.language
    if here is None:
        return None
    there = Place(visit.request.lat, visit.request.lon)
    points = [Point(here.lat, here.lon), Point(there.lat, there.lon)]
    road_m = int(travel_provider(context.settings()).matrix(points).distance_m[0, 1])
    east_m, north_m = _offset_m(there, here)
    straight_m = math.hypot(east_m, north_m)
    ring_m = max((ring for ring in RINGS_M if ring <= RING_REACHES * straight_m), default=RINGS_M[0])
    return Way(
        technician=here,
        customer=there,
        away=language.say("track.away", distance=language.told_distance(road_m)),
        caption=language.say(
            "map.caption",
            technician=view.technician.first_name if view.technician else language.say("track.technician"),
            distance=language.told_distance(straight_m),
            direction=language.say(f"direction.{direction_of(east_m, north_m)}"),
        ),
        ring_m=ring_m,
        ring=language.told_distance(ring_m),
    )


def direction_of(east_m: float, north_m: float) -> int:
    """Which of `DIRECTIONS` leads there, from 0 for north, clockwise."""
    turn = math.atan2(east_m, north_m) / (2 * math.pi)
    return round(turn * DIRECTIONS) % DIRECTIONS


def _offset_m(origin: Place, place: Place) -> tuple[float, float]:
    """How far east and north, on the plane that touches the sphere there: near enough for a way within a city."""
    per_degree = math.radians(1) * 6_371_009
    narrowing = math.cos(math.radians(origin.lat))
    return (place.lon - origin.lon) * narrowing * per_degree, (place.lat - origin.lat) * per_degree
