"""A generated day of field service: skilled technicians who start at home, visits with windows, levels and priorities.

A square city around New York's centre. Its side grows with the root of the visits, so that there are as many of them in
a square kilometre at every size; 1,000 visits have 40 x 40 km. All else is drawn from the seed.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.instance import Client, Instance, VehicleType, Window
from optimizer.travel import Geodesic, Place

CENTRE = Place(40.73, -73.95)
KM_OF_A_DEGREE = 111.2
"""Of latitude; of longitude times its cosine."""

SIDE_KM, AT_VISITS = 40.0, 1_000
VISITS_OF_A_CLUSTER = 200
CLUSTER_KM = 3.0
"""Standard deviation of a cluster."""
SCATTERED = 0.35
"""Share of places anywhere in the square, outside the clusters."""

SPEED_KMH = 40.0
PARKING_S = 60
"""Assumptions for a large city with fast roads, with `optimizer.travel`'s detour factor."""

SKILLS = 8
SKILL_SHARES = (0.20, 0.18, 0.16, 0.14, 0.12, 0.08, 0.07, 0.05)
LEVEL_SHARES = (0.5, 0.3, 0.2)
"""How often a visit asks for each skill, and for level 1, 2 and 3 of it."""
PROFILES = 24
"""How many combinations of skills and levels there are, 2 to 5 skills each; equally many technicians have each."""

HOUR = 3_600
DAY: Window = (0, 8 * HOUR)
HOME_BY = DAY[1] + HOUR // 2
WINDOW_S = 2 * HOUR
FREE_SHARE = 0.2
"""Share of visits that may start at any time of the day."""
PRIZE_OF_A_PRIORITY = 3 * HOUR
"""Seconds of travel that a visit of priority 1 is worth; of 2 and 3, two and three times as much."""


@dataclass(frozen=True, slots=True)
class Geographic:
    """Seconds of travel between points of the earth by `optimizer.travel.Geodesic`."""

    points: tuple[Place, ...]
    provider: Geodesic

    @property
    def places(self) -> int:
        return len(self.points)

    def matrix(self) -> NDArray[np.int32]:
        return self.provider.matrix(self.points).duration_s

    def legs(self, sequence: Sequence[int]) -> list[int]:
        among = self.provider.matrix([self.points[place] for place in sequence]).duration_s
        return [int(among[row, row + 1]) for row in range(len(sequence) - 1)]


@dataclass(frozen=True, slots=True)
class FieldService:
    """What fixes a day. Raises `ValueError` for a size that has no day."""

    visits: int
    technicians: int
    seed: int = 1

    def __post_init__(self) -> None:
        if self.visits < 1 or self.technicians < 1:
            raise ValueError("a day needs visits and technicians")

    @classmethod
    def named(cls, size: str, seed: int = 1) -> "FieldService":
        """From `1000x100`. Raises `ValueError` for anything else."""
        visits, _, technicians = size.partition("x")
        return cls(int(visits), int(technicians), seed)

    @property
    def name(self) -> str:
        return f"{self.visits}x{self.technicians}"

    @property
    def side_km(self) -> float:
        return SIDE_KM * math.sqrt(self.visits / AT_VISITS)

    def instance(self) -> Instance:
        return generate(self)


def generate(day: FieldService) -> Instance:
    """Cost: seconds of travel and the prizes of visits left out. The same `day` gives the same instance."""
    random = np.random.default_rng([day.seed, day.visits, day.technicians])
    places = _places(day, random)
    profiles = _profiles(random)
    numbers = random.permutation(np.arange(day.technicians) % PROFILES).tolist()
    technicians = tuple(
        VehicleType(1, home, (DAY[0], HOME_BY), skills=profiles[number])
        for home, number in enumerate(numbers)
    )
    travel = Geographic(places, Geodesic(speed_kmh=SPEED_KMH, parking_s=PARKING_S))
    return Instance(
        "field",
        f"{day.name} seed {day.seed}",
        "s",
        travel,
        _clients(day, random),
        technicians,
        best_known_source="generated",
    )


def _places(day: FieldService, random: np.random.Generator) -> tuple[Place, ...]:
    """Homes first, then visits."""
    count, side = day.technicians + day.visits, day.side_km
    clusters = max(3, round(day.visits / VISITS_OF_A_CLUSTER))
    centres = random.uniform(0.1 * side, 0.9 * side, (clusters, 2))
    points = centres[random.integers(0, clusters, count)] + random.normal(0, CLUSTER_KM, (count, 2))
    scattered = random.random(count) < SCATTERED
    points[scattered] = random.uniform(0, side, (int(scattered.sum()), 2))
    return tuple(_place(point, side) for point in np.clip(points, 0, side))


def _place(point: NDArray[np.float64], side_km: float) -> Place:
    lat = CENTRE.lat + (point[1] - side_km / 2) / KM_OF_A_DEGREE
    lon = CENTRE.lon + (point[0] - side_km / 2) / (KM_OF_A_DEGREE * math.cos(math.radians(CENTRE.lat)))
    return Place(float(lat), float(lon))


def _profiles(random: np.random.Generator) -> list[dict[str, int]]:
    """The catalogue. Profile k has skill k at the highest level as far as there are skills, so that every skill at
    every level is in it."""
    profiles = []
    for number in range(PROFILES):
        held = random.choice(SKILLS, random.integers(2, 6), replace=False).tolist()
        levels = random.integers(1, 4, len(held)).tolist()
        profile = {_skill(skill): level for skill, level in zip(held, levels, strict=True)}
        if number < SKILLS:
            profile[_skill(number)] = 3
        profiles.append(profile)
    return profiles


def _clients(day: FieldService, random: np.random.Generator) -> tuple[Client, ...]:
    count = day.visits
    services = 60 * random.integers(15, 41, count)
    slots = random.integers(0, DAY[1] // WINDOW_S, count)
    free = random.random(count) < FREE_SHARE
    skills = random.choice(SKILLS, count, p=SKILL_SHARES)
    levels = random.choice((1, 2, 3), count, p=LEVEL_SHARES)
    priorities = random.integers(1, 4, count)
    return tuple(
        Client(
            day.technicians + number,
            (DAY[0], DAY[1] - 1) if free[number] else _window(int(slots[number])),
            int(services[number]),
            prize=int(priorities[number]) * PRIZE_OF_A_PRIORITY,
            skills={_skill(int(skills[number])): int(levels[number])},
        )
        for number in range(count)
    )


def _window(slot: int) -> Window:
    return slot * WINDOW_S, (slot + 1) * WINDOW_S - 1


def _skill(number: int) -> str:
    return f"skill {number}"
