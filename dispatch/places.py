"""Where things are: WGS 84 degrees, with an address where one is known."""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

METRES_PER_DEGREE = 111_195
"""Of latitude, on a sphere of the earth's mean radius."""


@dataclass(frozen=True, slots=True)
class Place:
    lat: float
    lon: float
    address: str | None = None


class _Located(Protocol):
    lat: float
    lon: float
    address: str | None


def place_of(row: _Located) -> Place:
    """The place of a row that has the columns `lat`, `lon` and `address`."""
    return Place(row.lat, row.lon, row.address)


class PlaceKind(StrEnum):
    """What lies at the degrees: the very thing, somewhere along a street, or the middle of an area."""

    PLACE = "place"
    STREET = "street"
    AREA = "area"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A place that an address may mean. address: to be shown; it says so where it is only a middle. is_exact: it has
    this very address, not merely a similar one."""

    address: str
    lat: float
    lon: float
    is_exact: bool
    kind: PlaceKind = PlaceKind.PLACE


def is_near(one: Candidate, other: Candidate, within_m: float) -> bool:
    """Whether the two lie at most so far apart; flat, for a few metres."""
    east = ((one.lon - other.lon + 180) % 360 - 180) * math.cos(math.radians(one.lat))
    return METRES_PER_DEGREE * math.hypot(one.lat - other.lat, east) <= within_m
