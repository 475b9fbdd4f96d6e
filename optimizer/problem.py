"""What is to be planned: visits, shifts and the travel between places.

Units: seconds, metres and cents, all integers. An instant is a number of seconds from any origin that the whole
problem shares (dispatch uses the Unix epoch). A place is a row of the travel matrix.

Everything is validated at birth; nonsense raises `InvalidProblem` with the field at fault.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

UNREACHABLE = 2**30
"""Seconds or metres between places with no way between them; larger than any real figure, small enough to add."""

MAX_INSTANT = 2**40
"""The largest instant: the year 36812 by the Unix epoch; sums of instants and durations stay within 64 bits."""


class InvalidProblem(ValueError):
    """The input contradicts itself or the units. `field` names what is wrong, the message what to do."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field


def _require(holds: bool, field: str, message: str) -> None:
    if not holds:
        raise InvalidProblem(field, message)


@dataclass(frozen=True, slots=True, order=True)
class TimeWindow:
    """Both ends belong to it. For a visit, work starts inside it and may end after it."""

    start: int
    end: int

    def __post_init__(self) -> None:
        _require(self.start <= self.end, "window", f"ends ({self.end}) before it starts ({self.start})")
        _require(
            self.start >= -MAX_INSTANT and self.end <= MAX_INSTANT,
            "window",
            f"instants must lie within ±{MAX_INSTANT}",
        )


@dataclass(frozen=True, slots=True)
class Pin:
    """A decision of a person: this technician, and with `start` at this very instant. Skills, required and excluded
    technicians and the radius yield to it; the visit's windows yield to a `start`; the calendar yields to nothing.
    """

    technician: str
    start: int | None = None


@dataclass(frozen=True, slots=True)
class Visit:
    """One piece of work at one place.

    windows: when work may start, sorted and disjoint. skills: least level by skill name.
    priority: 0 to 100, higher is more urgent. prize_cents: the price of leaving it unserved; by default
    `Weights.unserved_cents * (1 + priority)`. required: the only technicians who may (empty: anyone).
    preferred: who should (soft). excluded: who must not.
    """

    id: str
    place: int
    service_s: int
    windows: tuple[TimeWindow, ...]
    skills: Mapping[str, int] = field(default_factory=dict)
    priority: int = 0
    prize_cents: int | None = None
    required: frozenset[str] = frozenset()
    preferred: frozenset[str] = frozenset()
    excluded: frozenset[str] = frozenset()
    pin: Pin | None = None

    def __post_init__(self) -> None:
        name = f"visit {self.id}"
        _require(0 <= self.service_s <= MAX_INSTANT, f"{name}.service_s", "must be 0 or more")
        _require(bool(self.windows), f"{name}.windows", "needs at least one")
        for before, after in zip(self.windows, self.windows[1:], strict=False):
            _require(before.end < after.start, f"{name}.windows", "must be sorted and must not touch")
        _require(0 <= self.priority <= 100, f"{name}.priority", "must be from 0 to 100")
        _require(
            self.prize_cents is None or self.prize_cents >= 0, f"{name}.prize_cents", "must be 0 or more"
        )
        _require(all(level >= 1 for level in self.skills.values()), f"{name}.skills", "levels start at 1")


@dataclass(frozen=True, slots=True)
class Break:
    """A pause of `duration_s` that begins inside `window`, taken wherever the technician then is."""

    window: TimeWindow
    duration_s: int

    def __post_init__(self) -> None:
        _require(self.duration_s >= 0, "break.duration_s", "must be 0 or more")


@dataclass(frozen=True, slots=True)
class Shift:
    """A technician's working time on offer; each shift becomes one route.

    start_place: None begins at the first visit; end_place: None ends at the last (open end).
    skills: level by skill name. breaks: in order of time; all are taken if the shift is used.
    radius_m: farthest travel distance from the start place to any visit. max_travel_m: of the whole route.
    Costs: fixed_cents once if used, cents_per_h of travel and service (waiting is unpaid), cents_per_km of travel,
    cents_per_visit.
    """

    id: str
    technician: str
    window: TimeWindow
    start_place: int | None
    end_place: int | None
    skills: Mapping[str, int] = field(default_factory=dict)
    breaks: tuple[Break, ...] = ()
    radius_m: int | None = None
    max_visits: int | None = None
    max_travel_m: int | None = None
    fixed_cents: int = 0
    cents_per_h: int = 0
    cents_per_km: int = 0
    cents_per_visit: int = 0

    def __post_init__(self) -> None:
        name = f"shift {self.id}"
        for cap in ("radius_m", "max_visits", "max_travel_m"):
            value = getattr(self, cap)
            _require(value is None or value >= 0, f"{name}.{cap}", "must be 0 or more")
        for cost in ("fixed_cents", "cents_per_h", "cents_per_km", "cents_per_visit"):
            _require(getattr(self, cost) >= 0, f"{name}.{cost}", "must be 0 or more")
        _require(
            self.radius_m is None or self.start_place is not None, f"{name}.radius_m", "needs a start_place"
        )


@dataclass(frozen=True, slots=True)
class Weights:
    """The prices of what has no bill of its own, in cents.

    unserved_cents: a visit of priority 0 left out. travel_cents_per_h and travel_cents_per_km: on top of what the
    shift itself costs. not_preferred_cents: a visit with preferred technicians served by another.
    move_cents: a visit that the start plan gave to another technician.
    """

    unserved_cents: int = 50_000
    travel_cents_per_h: int = 3_000
    travel_cents_per_km: int = 0
    not_preferred_cents: int = 1_500
    move_cents: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class TravelMatrix:
    """Travel from row to column: `duration_s` and `distance_m`, both int32 of shape (places, places).
    `UNREACHABLE` marks pairs without a way."""

    duration_s: NDArray[np.int32]
    distance_m: NDArray[np.int32]

    def __post_init__(self) -> None:
        for name in ("duration_s", "distance_m"):
            matrix = getattr(self, name)
            _require(
                matrix.ndim == 2 and matrix.shape[0] == matrix.shape[1], f"travel.{name}", "must be square"
            )
            _require(matrix.dtype == np.int32, f"travel.{name}", "must be int32")
            _require(
                bool((matrix >= 0).all() and (matrix <= UNREACHABLE).all()),
                f"travel.{name}",
                f"must lie between 0 and {UNREACHABLE}",
            )
        _require(self.duration_s.shape == self.distance_m.shape, "travel", "matrices differ in shape")

    @property
    def places(self) -> int:
        return int(self.duration_s.shape[0])


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """Visits to be served by shifts. Ids are unique among visits and among shifts; the shifts of one technician do
    not overlap."""

    visits: tuple[Visit, ...]
    shifts: tuple[Shift, ...]
    travel: TravelMatrix
    weights: Weights = Weights()

    def __post_init__(self) -> None:
        for kind, items in (("visits", self.visits), ("shifts", self.shifts)):
            ids = [item.id for item in items]
            twice = next((i for i in ids if ids.count(i) > 1), None) if len(set(ids)) < len(ids) else None
            _require(twice is None, kind, f"id {twice!r} occurs twice")
        for visit in self.visits:
            _require(0 <= visit.place < self.travel.places, f"visit {visit.id}.place", "is not in the matrix")
        for shift in self.shifts:
            for place in (shift.start_place, shift.end_place):
                _require(
                    place is None or 0 <= place < self.travel.places,
                    f"shift {shift.id}",
                    "place is not in the matrix",
                )

        self._require_disjoint_shifts()

    def _require_disjoint_shifts(self) -> None:
        ends: dict[str, Shift] = {}
        for shift in sorted(self.shifts, key=lambda shift: shift.window):
            before = ends.get(shift.technician)
            _require(
                before is None or before.window.end <= shift.window.start,
                f"shift {shift.id}.window",
                f"overlaps another shift of {shift.technician}",
            )
            ends[shift.technician] = shift

    def prize_cents(self, visit: Visit) -> int:
        """What leaving this visit unserved costs."""
        if visit.prize_cents is not None:
            return visit.prize_cents
        return self.weights.unserved_cents * (1 + visit.priority)
