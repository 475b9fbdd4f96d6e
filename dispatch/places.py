"""Where things are: WGS 84 degrees, with an address where one is known."""

from dataclasses import dataclass
from typing import Protocol


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
