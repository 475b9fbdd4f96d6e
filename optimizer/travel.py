"""Travel between places: a provider turns places into a `TravelMatrix`.

`Geodesic` is the default provider and needs no map: the length of the straight line over the ground, times a
detour factor, at a speed that depends on the hour. `roads.Roads` drives on a map, `remote_travel.Remote` asks a
server, `matrix_cache.Cached` keeps the answers of any of them on disk. All share the `SpeedProfile` and the
seconds of parking. Latitudes and longitudes are degrees of WGS 84.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar, cast

import numpy as np
from numba import njit
from numpy.typing import NDArray

from optimizer.problem import UNREACHABLE, TravelMatrix

Function = TypeVar("Function", bound=Callable[..., object])

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
"""Speed in each hour of the wall clock over the speed by day: an assumption, not a measurement. No source gave us
its 24 figures; they were drawn by hand so that the mean over 24 hours is, like that of the taxis above, about a
sixth above the mean from 8 to 19 h. It knows no weekday, no direction and no road. Who has the times of their own
visits puts measured factors in its place."""

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


@dataclass(frozen=True, slots=True)
class SpeedProfile:
    """How fast traffic is in each hour of the day, over its usual speed by day (1.0).

    factors: 24 numbers from 0.01 to 100, one for each hour on the wall clock; by default `HOURLY_FACTORS`, whose
    origin is told there. Raises `ValueError` for anything else.
    """

    factors: tuple[float, ...] = HOURLY_FACTORS

    def __post_init__(self) -> None:
        if len(self.factors) != 24 or not all(0.01 <= factor <= 100 for factor in self.factors):
            raise ValueError("a speed profile has 24 factors between 0.01 and 100")

    def at(self, departs_at: datetime | None) -> float:
        """The factor of the hour that this wall clock shows, whatever its zone: who has an instant in UTC converts
        it to the zone of the places first. 1.0 for None, the usual speed by day."""
        return 1.0 if departs_at is None else self.factors[departs_at.hour]


CITY_TRAFFIC = SpeedProfile()
"""The default of every provider."""

STEADY = SpeedProfile((1.0,) * 24)
"""The same speed at every hour: for providers whose durations know the hour already, and for worlds in tests."""


class TravelProvider(Protocol):
    """Where travel times and distances come from."""

    def matrix(self, places: Sequence[Place], departs_at: datetime | None = None) -> TravelMatrix:
        """Travel from every place (row) to every place (column), in the order given.

        departs_at: when the ways are driven, on the wall clock of the places (its hour counts);
        None asks for the usual speed by day."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class PlacesTravel:
    """The travel of a problem too large for a matrix of all its pairs: the provider is asked for the places of a part
    when they are needed (`decomposition`). points: by number of the place. departs_at: see `TravelProvider`."""

    points: tuple[Place, ...]
    provider: TravelProvider
    departs_at: datetime | None = None

    @property
    def places(self) -> int:
        return len(self.points)

    def among(self, places: Sequence[int]) -> TravelMatrix:
        """The travel between these places alone, rows and columns in their order."""
        if not places:
            return TravelMatrix(np.zeros((0, 0), np.int32), np.zeros((0, 0), np.int32))
        return self.provider.matrix([self.points[place] for place in places], self.departs_at)

    def leg(self, start: int, end: int) -> tuple[int, int]:
        """Seconds and metres of one way."""
        return self.among((start, end)).leg(0, 1)


@dataclass(frozen=True, slots=True, eq=False)
class FallbackMatrix(TravelMatrix):
    """Travel told by a stand-in, because the provider that was asked could not; `reason` says why, without any
    place in it."""

    reason: str


def require_parking(parking_s: int) -> None:
    """Raises `ValueError` unless the seconds of parking are from 0 to a day."""
    if not 0 <= parking_s <= 86_400:
        raise ValueError(f"parking_s must lie between 0 and 86400, not {parking_s}")


def apart(places: Sequence[Place]) -> NDArray[np.bool_]:
    """Which pairs are different places, shape (places, places): under a millimetre is one place, whatever its
    longitude is called at a pole or on the antimeridian."""
    millimetres = np.rint(ground_points(places)[:3].T * 1000).astype(np.int64)
    label = np.unique(millimetres, axis=0, return_inverse=True)[1].reshape(-1)
    different: NDArray[np.bool_] = label[:, None] != label[None, :]
    return different


def rounded_matrix(
    places: Sequence[Place], seconds: NDArray[np.float64], metres: NDArray[np.float64]
) -> TravelMatrix:
    """Figures of all pairs, shape (places, places), as whole numbers: nothing within one place, `UNREACHABLE` where
    either figure is not a number."""
    found = np.isfinite(seconds) & np.isfinite(metres)
    different = apart(places)

    def whole(figures: NDArray[np.float64]) -> NDArray[np.int32]:
        rounded = np.minimum(np.rint(np.where(found, figures, UNREACHABLE)), UNREACHABLE)
        return np.where(different, rounded, 0).astype(np.int32)

    return TravelMatrix(whole(seconds), whole(metres))


def _vectorized_kernel(function: Function) -> Function:
    """`optimizer.kernel.kernel` whose divisions do not check for zero, which would keep the loops over a row from
    running on several pairs at once. It allows no reordering of sums: the results are those of plain arithmetic."""
    return cast(Function, njit(cache=True, nogil=True, error_model="numpy")(function))


@_vectorized_kernel
def _arc_m(squared_chord: float) -> float:
    """Metres of the arc over a chord on a circle of the mean radius: 2 R asin(chord / 2 R) by the first six terms of
    asin's series. Up to `GREAT_CIRCLE_FROM_M` the rest is under a millimetre. Without a branch or a call, so that
    several pairs are done at once."""
    u = squared_chord * (0.25 / MEAN_RADIUS_M**2)
    series = 1 + u * (1 / 6 + u * (3 / 40 + u * (15 / 336 + u * (105 / 3456 + u * (945 / 42240)))))
    return math.sqrt(squared_chord) * series


@_vectorized_kernel
def _great_circle_m(squared_angle: float) -> float:
    """Metres of the arc on a sphere of the mean radius over the squared chord between two unit vectors."""
    return 2.0 * MEAN_RADIUS_M * math.asin(min(1.0, 0.5 * math.sqrt(squared_angle)))


@_vectorized_kernel
def _squared_chord(points: NDArray[np.float64], i: int, j: int) -> float:
    """Square metres straight through the earth between two columns of `ground_points`."""
    x, y, z = points[0, j] - points[0, i], points[1, j] - points[1, i], points[2, j] - points[2, i]
    squared: float = x * x + y * y + z * z
    return squared


@_vectorized_kernel
def _squared_angle(points: NDArray[np.float64], i: int, j: int) -> float:
    """The squared chord between the unit vectors of two columns of `ground_points`."""
    x, y, z = points[3, j] - points[3, i], points[4, j] - points[4, i], points[5, j] - points[5, i]
    squared: float = x * x + y * y + z * z
    return squared


@_vectorized_kernel
def _seconds(metres: float, squared_chord: float, s_per_m: float, parking_s: float) -> np.int32:
    """The duration of a leg, rounded; under a millimetre is one place, which needs no parking."""
    seconds = metres * s_per_m + (parking_s if squared_chord > 1e-6 else 0.0) + 0.5
    return np.int32(seconds if seconds < UNREACHABLE else UNREACHABLE)


@_vectorized_kernel
def _fill_row(
    points: NDArray[np.float64],
    i: int,
    detour: float,
    s_per_m: float,
    parking_s: float,
    duration_s: NDArray[np.int32],
    distance_m: NDArray[np.int32],
) -> int:
    """Write the ways from place `i` into both rows, all as if they were near; how many are not."""
    far = 0
    for j in range(points.shape[1]):
        chord = _squared_chord(points, i, j)
        metres = detour * _arc_m(chord)
        duration_s[j] = _seconds(metres, chord, s_per_m, parking_s)
        distance_m[j] = np.int32(metres + 0.5)
        far += chord > GREAT_CIRCLE_FROM_M**2
    return far


@_vectorized_kernel
def _fill_whole_row(
    points: NDArray[np.float64],
    i: int,
    detour: float,
    s_per_m: float,
    parking_s: float,
    duration_s: NDArray[np.int32],
    distance_m: NDArray[np.int32],
) -> None:
    """Write the ways from place `i`, near and far, into both rows."""
    if _fill_row(points, i, detour, s_per_m, parking_s, duration_s, distance_m) == 0:
        return
    for j in range(points.shape[1]):
        chord = _squared_chord(points, i, j)
        if chord > GREAT_CIRCLE_FROM_M**2:
            metres = detour * _great_circle_m(_squared_angle(points, i, j))
            duration_s[j] = _seconds(metres, chord, s_per_m, parking_s)
            distance_m[j] = np.int32(metres + 0.5)


@_vectorized_kernel
def _fill(
    points: NDArray[np.float64],
    detour: float,
    s_per_m: float,
    parking_s: float,
    duration_s: NDArray[np.int32],
    distance_m: NDArray[np.int32],
) -> None:
    """Write all pairs of `points` (6, n) into both (n, n) arrays. Both halves are computed: to copy one of them down
    the columns would cost more than the arithmetic, which runs on several pairs at once."""
    for i in range(points.shape[1]):
        _fill_whole_row(points, i, detour, s_per_m, parking_s, duration_s[i], distance_m[i])


def ground_points(places: Sequence[Place]) -> NDArray[np.float64]:
    """Shape (6, places): x, y, z in metres from the earth's centre to the point on the ground; then the unit vector
    upwards."""
    degrees = np.array([(place.lat, place.lon) for place in places], dtype=np.float64).reshape(-1, 2)
    return points_of_degrees(degrees[:, 0], degrees[:, 1])


def points_of_degrees(lat_deg: NDArray[np.float64], lon_deg: NDArray[np.float64]) -> NDArray[np.float64]:
    """`ground_points` of arrays of n latitudes and longitudes: shape (6, n)."""
    lat, lon = np.radians(lat_deg), np.radians(lon_deg)
    upwards = np.vstack((np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)))
    squared_eccentricity = FLATTENING * (2 - FLATTENING)
    normal_radius = EQUATORIAL_RADIUS_M / np.sqrt(1 - squared_eccentricity * np.sin(lat) ** 2)
    points = upwards * normal_radius * np.array([[1], [1], [1 - squared_eccentricity]])
    return np.vstack((points, upwards))


def between(a: Place, b: Place) -> float:
    """Metres over the ground in a straight line.

    The chord through the ellipsoid WGS 84, bent to the arc of a circle of the earth's mean radius; from
    2,000 km on, the great circle. The chord is exact, so the radius matters only for the small rest between
    chord and arc. At every latitude, across the poles and the antimeridian, the result is within 0.0001 % of
    the geodesic below 75 km, within 0.01 % up to 2,000 km, within 0.6 % beyond.
    """
    points = ground_points((a, b))
    chord = _squared_chord(points, 0, 1)
    return _great_circle_m(_squared_angle(points, 0, 1)) if chord > GREAT_CIRCLE_FROM_M**2 else _arc_m(chord)


@dataclass(frozen=True, slots=True)
class Geodesic:
    """Straight lines, `between` two places, times `detour`, at `speed_kmh` times the factor of the hour.

    profile: the factors of the hours; one hour holds for a whole matrix. parking_s: added to each leg between
    places that differ. Raises `ValueError` for settings that give no travel time.
    """

    detour: float = DETOUR_FACTOR
    speed_kmh: float = SPEED_KMH
    profile: SpeedProfile = CITY_TRAFFIC
    parking_s: int = PARKING_S

    def __post_init__(self) -> None:
        if not (math.isfinite(self.detour) and 1 <= self.detour <= 10):
            raise ValueError(f"detour must lie between 1 and 10, not {self.detour}")
        if not (math.isfinite(self.speed_kmh) and 1 <= self.speed_kmh <= 1000):
            raise ValueError(f"speed_kmh must lie between 1 and 1000, not {self.speed_kmh}")
        require_parking(self.parking_s)

    @property
    def cache_key(self) -> str:
        """Everything that the answers depend on, beside places and hour (`matrix_cache.CacheableProvider`)."""
        return repr(self)

    def matrix(self, places: Sequence[Place], departs_at: datetime | None = None) -> TravelMatrix:
        """All pairs, shape (places, places). Distances are rounded to the metre, durations to the second."""
        duration_s, distance_m = (np.empty((len(places), len(places)), dtype=np.int32) for _ in range(2))
        _fill(
            ground_points(places),
            self.detour,
            self._s_per_m(departs_at),
            float(self.parking_s),
            duration_s,
            distance_m,
        )
        return TravelMatrix(duration_s, distance_m)

    def ways(self, points: NDArray[np.float64], departs_at: datetime | None = None) -> NDArray[np.int32]:
        """Seconds and metres between the first of `ground_points` and each, as long there as back, shape (2, places):
        the figures that `matrix` has for them."""
        ways = np.empty((2, points.shape[1]), np.int32)
        _fill_whole_row(
            points, 0, self.detour, self._s_per_m(departs_at), float(self.parking_s), ways[0], ways[1]
        )
        return ways

    def leg(self, start: Place, end: Place, departs_at: datetime | None = None) -> tuple[int, int]:
        """Seconds and metres of one way, the figures that `matrix` has for it."""
        chord = _squared_chord(ground_points((start, end)), 0, 1)
        metres = self.detour * between(start, end)
        seconds = _seconds(metres, chord, self._s_per_m(departs_at), float(self.parking_s))
        return int(seconds), int(metres + 0.5)

    def _s_per_m(self, departs_at: datetime | None) -> float:
        """Seconds for each metre on the road, in this hour."""
        return 3.6 / (self.speed_kmh * self.profile.at(departs_at))


def warm() -> None:
    """Compiles the kernels of this file, or loads them from the cache on disk."""
    Geodesic().leg(Place(0, 0), Place(0, 90))
    Geodesic().matrix([Place(0, 0), Place(0, 90)])
    Geodesic().ways(ground_points([Place(0, 0), Place(0, 90)]))
