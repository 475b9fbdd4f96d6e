"""Travel between places: a provider turns places into a `TravelMatrix`.

`Geodesic` is the default provider and needs no map: the length of the straight line over the ground, times a
detour factor, at a speed that depends on the hour. Latitudes and longitudes are degrees of WGS 84.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from optimizer.kernel import kernel
from optimizer.problem import UNREACHABLE, TravelMatrix

EQUATORIAL_RADIUS_M = 6_378_137.0
"""Semi-major axis of WGS 84 (NGA.STND.0036, 2014, table 3.1)."""

FLATTENING = 1 / 298.257223563
"""Flattening of WGS 84 (the same table)."""

MEAN_RADIUS_M = 6_371_008.771_415
"""Mean radius R1 of WGS 84, (2 a + b) / 3 (Moritz, "Geodetic Reference System 1980", Journal of Geodesy 74,
2000)."""

GREAT_CIRCLE_FROM_M = 2_000_000.0
"""From here on the arc over the chord errs more than a great circle may."""

DETOUR_FACTOR = 1.3
"""Way on the road over straight line: an assumption inside what is measured. Newell, "Traffic Flow on
Transportation Networks" (1980), gives 1.2 for random points of a city; Boscoe, Henry and Zdeb, "A Nationwide
Comparison of Driving Distance Versus Straight-Line Distance to Hospitals", The Professional Geographer 64
(2012), give 1.4 for the United States."""

SPEED_KMH = 25.0
"""An assumption for a city by day. New York's taxis, mostly in Manhattan, drove 18.5 km/h from 8 to 19 h and
21.4 km/h over all hours of 2013 (Wellington, "I Quant NY", 2014); other boroughs are quicker."""

# fmt: off
HOURLY_FACTORS = (
    1.45, 1.45, 1.45, 1.45, 1.45, 1.40, 1.25, 1.05, 0.95, 0.95, 1.00, 1.00,
    1.00, 1.00, 1.00, 0.95, 0.95, 0.95, 1.00, 1.05, 1.15, 1.20, 1.25, 1.35,
)
# fmt: on
"""Speed in each hour of the wall clock over the speed by day: an assumption whose mean over 24 hours is, like
that of the taxis above, about a sixth above its mean from 8 to 19 h."""

PARKING_S = 120
"""Seconds to park and to walk to the door, on every leg between different places: an assumption."""


class InvalidPlace(ValueError):
    """Not a latitude and a longitude in degrees."""


@dataclass(frozen=True, slots=True)
class Place:
    """A point on the ground, degrees of WGS 84: lat from -90 to 90, lon from -180 to 180.

    Raises `InvalidPlace` for what is out of range or not finite."""

    lat: float
    lon: float

    def __post_init__(self) -> None:
        for name, value, limit in (("lat", self.lat, 90.0), ("lon", self.lon, 180.0)):
            if not math.isfinite(value) or abs(value) > limit:
                raise InvalidPlace(f"{name} must lie between -{limit:g} and {limit:g} degrees, not {value}")


class TravelProvider(Protocol):
    """Where travel times and distances come from."""

    def matrix(self, places: Sequence[Place], departs_at: datetime | None = None) -> TravelMatrix:
        """Travel from every place (row) to every place (column), in the order given.

        departs_at: when the ways are driven, on the wall clock of the places (`Geodesic` reads its hour);
        None asks for the usual speed by day."""
        ...


@kernel
def _ground_metres(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Metres between two rows of `_coordinates`; see `between`."""
    chord = math.sqrt((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2 + (a[2] - b[2]) ** 2)
    if chord > GREAT_CIRCLE_FROM_M:
        chord = MEAN_RADIUS_M * math.sqrt((a[3] - b[3]) ** 2 + (a[4] - b[4]) ** 2 + (a[5] - b[5]) ** 2)
    return 2.0 * MEAN_RADIUS_M * math.asin(min(1.0, chord / (2.0 * MEAN_RADIUS_M)))


@kernel
def _fill(
    coordinates: NDArray[np.float64],
    detour: float,
    metres_per_s: float,
    parking_s: float,
    duration_s: NDArray[np.int32],
    distance_m: NDArray[np.int32],
) -> None:
    """Write all pairs of `coordinates` (n, 6) into both (n, n) arrays; under a millimetre is one place."""
    for i in range(coordinates.shape[0]):
        duration_s[i, i] = distance_m[i, i] = 0
        for j in range(i):
            metres = _ground_metres(coordinates[i], coordinates[j])
            seconds = detour * metres / metres_per_s + (parking_s if metres > 0.001 else 0.0)
            duration_s[i, j] = duration_s[j, i] = int(min(seconds + 0.5, UNREACHABLE))
            distance_m[i, j] = distance_m[j, i] = int(detour * metres + 0.5)


def _coordinates(places: Sequence[Place]) -> NDArray[np.float64]:
    """Shape (places, 6): metres from the earth's centre to the point on the ground; unit vector upwards."""
    lat, lon = np.radians(np.array([(p.lat, p.lon) for p in places], dtype=np.float64).reshape(-1, 2)).T
    upwards = np.column_stack((np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)))
    squared_eccentricity = FLATTENING * (2 - FLATTENING)
    normal_radius = EQUATORIAL_RADIUS_M / np.sqrt(1 - squared_eccentricity * np.sin(lat) ** 2)
    points = upwards * normal_radius[:, None] * (1, 1, 1 - squared_eccentricity)
    return np.hstack((points, upwards))


def between(a: Place, b: Place) -> float:
    """Metres over the ground in a straight line.

    The chord through the ellipsoid WGS 84, bent to the arc of a circle of the earth's mean radius; from
    2,000 km on, the great circle. The chord is exact, so the radius matters only for the small rest between
    chord and arc. At every latitude, across the poles and the antimeridian, the result is within 0.0001 % of
    the geodesic below 75 km, within 0.01 % up to 2,000 km, within 0.6 % beyond.
    """
    start, end = _coordinates((a, b))
    return _ground_metres(start, end)


@dataclass(frozen=True, slots=True)
class Geodesic:
    """Straight lines, `between` two places, times `detour`, at `speed_kmh` times the factor of the hour.

    hourly_factors: 24 positive numbers, one for each hour of the day. parking_s: added to each leg between
    places that differ. One hour holds for a whole matrix: that of the wall clock which `departs_at` carries,
    whatever its zone; who has an instant in UTC converts it to the zone of the places first.
    Raises `ValueError` for settings that give no travel time.
    """

    detour: float = DETOUR_FACTOR
    speed_kmh: float = SPEED_KMH
    hourly_factors: tuple[float, ...] = HOURLY_FACTORS
    parking_s: int = PARKING_S

    def __post_init__(self) -> None:
        if not (math.isfinite(self.detour) and 1 <= self.detour <= 10):
            raise ValueError(f"detour must lie between 1 and 10, not {self.detour}")
        if not (math.isfinite(self.speed_kmh) and 1 <= self.speed_kmh <= 1000):
            raise ValueError(f"speed_kmh must lie between 1 and 1000, not {self.speed_kmh}")
        if len(self.hourly_factors) != 24 or not all(0.01 <= factor <= 100 for factor in self.hourly_factors):
            raise ValueError("hourly_factors must be 24 numbers between 0.01 and 100")
        if not 0 <= self.parking_s <= 86_400:
            raise ValueError(f"parking_s must lie between 0 and 86400, not {self.parking_s}")

    def matrix(self, places: Sequence[Place], departs_at: datetime | None = None) -> TravelMatrix:
        """All pairs, shape (places, places). Distances are rounded to the metre, durations to the second."""
        duration_s, distance_m = (np.empty((len(places), len(places)), dtype=np.int32) for _ in range(2))
        speed = self.speed_kmh / 3.6 * (1.0 if departs_at is None else self.hourly_factors[departs_at.hour])
        _fill(_coordinates(places), self.detour, speed, float(self.parking_s), duration_s, distance_m)
        return TravelMatrix(duration_s, distance_m)
