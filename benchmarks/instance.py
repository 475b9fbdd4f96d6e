"""What is to be solved, in terms that belong to no engine.

One matrix serves as cost and as time: in every family of instances read here a unit of distance is a unit of time, and
in field service the cost is the travel time. All figures are integers; `Instance.unit` says what one of them is.
A place is a row of the matrix.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Window = tuple[int, int]

LARGEST_MATRIX = 20_000
"""Places: 1.6 GB, and as much again where a provider makes metres beside seconds."""


class NoRoom(Exception):
    """The matrix of all pairs is too large to be made."""


class Travel(Protocol):
    """The way between places, whole or leg by leg; both give the same figures."""

    @property
    def places(self) -> int: ...

    def matrix(self) -> NDArray[np.int32]:
        """From row to column, shape (places, places)."""
        ...

    def legs(self, sequence: Sequence[int]) -> list[int]:
        """Each leg of the way through these places, one fewer than places."""
        ...


@dataclass(frozen=True, slots=True)
class Euclidean:
    """Straight lines between points of a plane, times `scale`, `truncated` or `rounded` (half to even) leg by leg."""

    points: tuple[tuple[float, float], ...]
    scale: int
    to_integer: Literal["truncated", "rounded"]

    @property
    def places(self) -> int:
        return len(self.points)

    def matrix(self) -> NDArray[np.int32]:
        points = np.array(self.points, np.float64)
        across, along = (points[:, None, axis] - points[None, :, axis] for axis in (0, 1))
        lengths = self.scale * np.sqrt(across * across + along * along)
        whole: NDArray[np.float64] = np.floor(lengths) if self.to_integer == "truncated" else np.rint(lengths)
        return whole.astype(np.int32)

    def legs(self, sequence: Sequence[int]) -> list[int]:
        return [self._leg(*ends) for ends in itertools.pairwise(sequence)]

    def _leg(self, start: int, end: int) -> int:
        (x, y), (to_x, to_y) = self.points[start], self.points[end]
        across, along = x - to_x, y - to_y
        length = self.scale * math.sqrt(across * across + along * along)
        return math.floor(length) if self.to_integer == "truncated" else round(length)


@dataclass(frozen=True, slots=True)
class Client:
    """Work at a place. It starts inside `window` and may end after it. prize: what leaving it out costs; None: it must
    be served. skills: least level by skill."""

    place: int
    window: Window
    service: int = 0
    load: int = 0
    prize: int | None = None
    skills: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class VehicleType:
    """`count` vehicles (or technicians) alike, which leave `depot` and return to it inside `window`. longest: from
    leaving to returning, waiting included; None: no cap, as for capacity. clients: the only ones that it may serve, by
    their number; None: all."""

    count: int
    depot: int
    window: Window
    capacity: int | None = None
    longest: int | None = None
    clients: frozenset[int] | None = None
    skills: Mapping[str, int] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Instance:
    """Clients are numbered from 0, as in routes. best_known: cost in this instance's unit, or None;
    best_known_source: where it comes from, or why there is none."""

    set: str
    name: str
    unit: str
    travel: Travel
    clients: tuple[Client, ...]
    vehicle_types: tuple[VehicleType, ...]
    best_known: int | None = None
    best_known_source: str = ""

    @property
    def label(self) -> str:
        return f"{self.set}/{self.name}"

    @property
    def optional(self) -> bool:
        """Whether some client may be left out."""
        return any(client.prize is not None for client in self.clients)

    @cached_property
    def matrix(self) -> NDArray[np.int32]:
        """Built on first use, then kept: engines share it. Raises `NoRoom` above `LARGEST_MATRIX` places."""
        if self.travel.places > LARGEST_MATRIX:
            size = 4 * self.travel.places**2 / 1e9
            raise NoRoom(f"a matrix of {self.travel.places:,} places takes {size:,.1f} GB")
        return self.travel.matrix()

    def may(self, vehicle_type: VehicleType, client: int) -> bool:
        """Whether this type is allowed to serve this client and skilled for it."""
        if vehicle_type.clients is not None and client not in vehicle_type.clients:
            return False
        needs = self.clients[client].skills
        return all(vehicle_type.skills.get(skill, 0) >= level for skill, level in needs.items())

    def rights(self) -> "Rights":
        return Rights.of(self)


@dataclass(frozen=True, slots=True)
class Rights:
    """Who may serve whom, with types and clients of the same rights taken together.

    class_of_type and class_of_client number the classes; `allowed` is of shape (classes of types, classes of
    clients)."""

    class_of_type: tuple[int, ...]
    class_of_client: tuple[int, ...]
    allowed: NDArray[np.bool_]

    @classmethod
    def of(cls, instance: Instance) -> "Rights":
        holders: dict[object, int] = {}
        class_of_type = tuple(
            holders.setdefault((kind.clients, frozenset(kind.skills.items())), len(holders))
            for kind in instance.vehicle_types
        )
        typical = [instance.vehicle_types[class_of_type.index(number)] for number in range(len(holders))]
        lists = [kind.clients for kind in typical]
        needs: dict[object, int] = {}
        class_of_client = tuple(
            needs.setdefault(
                (
                    tuple(listed is None or number in listed for listed in lists),
                    frozenset(client.skills.items()),
                ),
                len(needs),
            )
            for number, client in enumerate(instance.clients)
        )
        examples = [class_of_client.index(number) for number in range(len(needs))]
        allowed = np.array(
            [[instance.may(kind, client) for client in examples] for kind in typical], np.bool_
        )
        return cls(class_of_type, class_of_client, allowed.reshape(len(typical), len(examples)))

    @property
    def all_alike(self) -> bool:
        """Whether everyone may serve everyone."""
        return bool(self.allowed.all())


@dataclass(frozen=True, slots=True)
class Route:
    """One vehicle of a type and its clients in order."""

    vehicle_type: int
    clients: tuple[int, ...]


Routes = tuple[Route, ...]
