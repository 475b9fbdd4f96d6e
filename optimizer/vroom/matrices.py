"""The matrices of a document, or the places to compute one for."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optimizer.problem import UNREACHABLE, TravelMatrix
from optimizer.travel import Place, TravelProvider
from optimizer.vroom.values import (
    InputError,
    JsonObject,
    TooLarge,
    array_in,
    integer_in,
    object_in,
    place_in,
    text_in,
)

NO_WAY = 100_000_000
"""Three years, or 100,000 km: beyond any way on earth."""

MAX_MATRIX_VALUE = 2**32 - 1
MAX_SPEED_FACTOR = 5
PROFILES_WITHOUT_MATRIX = ("car", "driving-car")
"""What `Geodesic` stands for: VROOM's default and the name openrouteservice's clients send."""


@dataclass(frozen=True, slots=True, eq=False)
class Matrices:
    """travel: seconds and metres; without distances, ways have no length, but stay without a way where there is none.
    given: whether the document had them, and an index for every place. costs: what VROOM is to minimise in place of
    them; None if nothing is given."""

    travel: TravelMatrix
    with_distances: bool
    given: bool
    costs: NDArray[np.int32] | None = None


def profile_of(vehicles: Mapping[str, JsonObject]) -> str:
    """The one profile of all vehicles."""
    profiles = {text_in(v.get("profile", "car"), f"vehicle {name}.profile") for name, v in vehicles.items()}
    if len(profiles) > 1:
        raise InputError("vehicles of different profiles are not served")
    return profiles.pop()


def duration_percent(vehicles: Mapping[str, JsonObject]) -> int:
    """What a hundred seconds of the matrix take, for all vehicles alike. VROOM, too, keeps a factor to two digits."""
    factors = set()
    for name, vehicle in vehicles.items():
        factor = vehicle.get("speed_factor", 1)
        where = f"vehicle {name}.speed_factor"
        if isinstance(factor, bool) or not isinstance(factor, int | float):
            raise InputError(f"{where} must be a number")
        if not 0.01 <= factor <= MAX_SPEED_FACTOR:
            raise InputError(f"{where} must lie between 0.01 and {MAX_SPEED_FACTOR}")
        factors.add(math.floor(100 / factor + 0.5))
    if len(factors) > 1:
        raise InputError("vehicles of different speed_factor are not served; give all the same")
    return factors.pop()


def given_matrices(document: JsonObject, profile: str, percent: int, most: int | None) -> Matrices | None:
    """What the document gives for the one profile, by the current key or the older `matrix`; None if nothing is.
    Raises `TooLarge` for more than `most` places."""
    if "matrix" in document:
        given: JsonObject = {"durations": document["matrix"]}
    elif "matrices" in document:
        matrices = object_in(document["matrices"], "matrices")
        if profile not in matrices:
            raise InputError(f"matrices has none for the profile {profile!r}")
        given = object_in(matrices[profile], f"matrices.{profile}")
    else:
        if profile not in PROFILES_WITHOUT_MATRIX:
            raise InputError(f"profile {profile!r} is not served without a matrix of its own")
        return None
    return _matrices(given, percent, most)


def _matrices(given: JsonObject, percent: int, most: int | None) -> Matrices:
    if "durations" not in given:
        raise InputError("the matrix of durations is missing")
    durations = _square(given["durations"], "durations", most)
    travel_s = scaled(_as_seconds(durations), percent)
    distances = _beside("distances", given, durations, most)
    if distances is None:
        metres = np.where(travel_s >= UNREACHABLE, travel_s, 0).astype(np.int32)
    else:
        metres = _as_seconds(distances)
    costs = _beside("costs", given, durations, most)
    if costs is not None and costs.max() >= NO_WAY:
        raise InputError(f"costs must lie below {NO_WAY}")
    return Matrices(
        TravelMatrix(travel_s, metres),
        with_distances=distances is not None,
        given=True,
        costs=None if costs is None else costs.astype(np.int32),
    )


def scaled(travel_s: NDArray[np.int32], percent: int) -> NDArray[np.int32]:
    """Durations at another speed, rounded half up leg by leg."""
    if percent == 100:
        return travel_s
    slower = (travel_s.astype(np.int64) * percent + 50) // 100
    return np.where(travel_s >= UNREACHABLE, UNREACHABLE, np.minimum(slower, UNREACHABLE)).astype(np.int32)


def _beside(
    key: str, given: JsonObject, durations: NDArray[np.int64], most: int | None
) -> NDArray[np.int64] | None:
    if key not in given:
        return None
    figures = _square(given[key], key, most)
    if figures.shape != durations.shape:
        raise InputError(f"the matrices of {key} and durations differ in size")
    return figures


def _as_seconds(figures: NDArray[np.int64]) -> NDArray[np.int32]:
    return np.where(figures >= NO_WAY, UNREACHABLE, figures).astype(np.int32)


def _square(value: object, where: str, most: int | None) -> NDArray[np.int64]:
    rows = array_in(value, where)
    if not rows:
        raise InputError(f"{where} must not be empty")
    if most is not None and len(rows) > most:
        raise TooLarge(f"{where} has {len(rows)} rows; up to {most} are served")
    for index, row in enumerate(rows):
        if len(array_in(row, f"{where}[{index}]")) != len(rows):
            raise InputError(f"{where} must be square; row {index} has {len(row)} of {len(rows)} values")
        if any(type(figure) is not int for figure in row):
            raise InputError(f"{where}[{index}] must hold integers")
        if min(row) < 0 or max(row) > MAX_MATRIX_VALUE:
            raise InputError(f"{where}[{index}] must lie between 0 and {MAX_MATRIX_VALUE}")
    return np.array(rows, dtype=np.int64)


class Places:
    """Rows of the matrix: the indices of the one given, or coordinates gathered for one to be computed."""

    def __init__(self, given: Matrices | None, travel: TravelProvider, percent: int) -> None:
        self._given = given
        self._travel = travel
        self._percent = percent
        self._gathered: dict[Place, int] = {}

    def row(self, owner: JsonObject, location_key: str, index_key: str, where: str) -> int | None:
        """The row of a place; None if the owner does not say where."""
        place = place_in(owner[location_key], f"{where}.{location_key}") if location_key in owner else None
        if self._given is None:
            return None if place is None else self._gathered.setdefault(place, len(self._gathered))
        if index_key in owner:
            return integer_in(owner[index_key], f"{where}.{index_key}", 0, self._given.travel.places - 1)
        if place is not None:
            raise InputError(f"{where}.{index_key} is missing; with a matrix every place needs its index")
        return None

    def matrices(self) -> Matrices:
        if self._given is not None:
            return self._given
        travel = self._travel.matrix(list(self._gathered))
        seconds = scaled(travel.duration_s, self._percent)
        return Matrices(TravelMatrix(seconds, travel.distance_m), with_distances=True, given=False)
