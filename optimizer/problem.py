"""What is to be planned: visits, shifts and the travel between places.

Units: seconds, metres and cents, all integers. An instant is a number of seconds from any origin that the whole
problem shares (dispatch uses the Unix epoch). A place is a row of the travel matrix.

Everything is validated at birth; nonsense raises `InvalidProblem` with the field at fault.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import Generic, Protocol

import numpy as np
from numpy.typing import NDArray
from typing_extensions import TypeVar

UNREACHABLE = 2**30
"""Seconds or metres between places with no way between them; larger than any real figure, small enough to add."""

MAX_RATE = 10**8
"""The largest price of an hour, in cents."""

MAX_LOAD = 2**40
"""The largest load or capacity."""

MAX_LEVEL = 10**6
MAX_PLACES = 2**30
MAX_PRIZE_CENTS = 10**15

MAX_DURATION_S = 2**30
"""The longest work or break: 34 years, the longest span that a plan may have."""

MAX_OVERTIME_S = 7 * 86_400
MAX_GIVEN_S = 366 * 86_400

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


def _require_whole(value: object, field: str, least: int, most: int) -> None:
    """A whole number within bounds; neither a fraction nor a truth value."""
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    _require(bool(whole), field, f"must be a whole number, not {value!r}")
    assert isinstance(value, int | np.integer)
    _require(bool(least <= value <= most), field, f"must be from {least} to {most}")


def _require_levels(skills: Mapping[str, int], field: str) -> None:
    for level in skills.values():
        _require_whole(level, field, 1, MAX_LEVEL)


@dataclass(frozen=True, slots=True, order=True)
class TimeWindow:
    """Both ends belong to it. For a visit, work starts inside it and may end after it."""

    start: int
    end: int

    def __post_init__(self) -> None:
        _require_whole(self.start, "window", -MAX_INSTANT, MAX_INSTANT)
        _require_whole(self.end, "window", -MAX_INSTANT, MAX_INSTANT)
        _require(self.start <= self.end, "window", f"ends ({self.end}) before it starts ({self.start})")


@dataclass(frozen=True, slots=True)
class Pin:
    """A decision of a person: this technician, and with `start` at this very instant. Skills, required and excluded
    technicians and the radius yield to it; the visit's windows yield to a `start`; the calendar yields to nothing.
    """

    technician: str
    start: int | None = None

    def __post_init__(self) -> None:
        if self.start is not None:
            _require_whole(self.start, "pin.start", -MAX_INSTANT, MAX_INSTANT)


@dataclass(frozen=True, slots=True)
class Sla:
    """A soft due time: each hour that work starts after `due` costs `cents_per_h`."""

    due: int
    cents_per_h: int

    def __post_init__(self) -> None:
        _require_whole(self.due, "sla.due", -MAX_INSTANT, MAX_INSTANT)
        _require_whole(self.cents_per_h, "sla.cents_per_h", 0, MAX_RATE)


@dataclass(frozen=True, slots=True)
class Visit:
    """One piece of work at one place.

    windows: when work may start, sorted and disjoint. skills: least level by skill name.
    service_s: how long the work takes; service_s_by_level: how long it takes a technician of that level instead,
    see `service_s_at`. priority: 0 to 100, higher is more urgent. prize_cents: the price of leaving it unserved; by
    default `Weights.unserved_cents * (1 + priority)`. required: the only technicians who may (empty: anyone).
    preferred: who should (soft). excluded: who must not. load: what it takes from the van, one figure for each of the
    `Shift.capacity`'s kinds of goods.
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
    service_s_by_level: Mapping[int, int] = field(default_factory=dict)
    sla: Sla | None = None
    load: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        name = f"visit {self.id}"
        _require_whole(self.place, f"{name}.place", 0, MAX_PLACES)
        _require_whole(self.service_s, f"{name}.service_s", 0, MAX_DURATION_S)
        for level, seconds in self.service_s_by_level.items():
            _require_whole(level, f"{name}.service_s_by_level", 1, MAX_LEVEL)
            _require_whole(seconds, f"{name}.service_s_by_level", 0, MAX_DURATION_S)
        _require(
            not self.service_s_by_level or bool(self.skills),
            f"{name}.service_s_by_level",
            "needs a required skill",
        )
        for load in self.load:
            _require_whole(load, f"{name}.load", 0, MAX_LOAD)
        _require(bool(self.windows), f"{name}.windows", "needs at least one")
        for before, after in zip(self.windows, self.windows[1:], strict=False):
            _require(before.end < after.start, f"{name}.windows", "must be sorted and must not touch")
        _require_whole(self.priority, f"{name}.priority", 0, 100)
        if self.prize_cents is not None:
            _require_whole(self.prize_cents, f"{name}.prize_cents", 0, MAX_PRIZE_CENTS)
        _require_levels(self.skills, f"{name}.skills")

    def service_s_at(self, skills: Mapping[str, int]) -> int:
        """Seconds of work for a technician with these levels. What counts is the lowest of the technician's levels in
        the skills that the visit requires (0 where one is missing, as a pin allows): the entry of that level, or of
        the next lower one that has an entry; `service_s` below all entries."""
        if not self.service_s_by_level:
            return self.service_s
        level = min(skills.get(skill, 0) for skill in self.skills)
        reached = [entry for entry in self.service_s_by_level if entry <= level]
        return self.service_s_by_level[max(reached)] if reached else self.service_s


@dataclass(frozen=True, slots=True)
class Break:
    """A pause of `duration_s` that begins inside `window`, taken wherever the technician then is."""

    window: TimeWindow
    duration_s: int

    def __post_init__(self) -> None:
        _require_whole(self.duration_s, "break.duration_s", 0, MAX_DURATION_S)


@dataclass(frozen=True, slots=True)
class Shift:
    """A technician's working time on offer; each shift becomes one route.

    start_place: None begins at the first visit; end_place: None ends at the last (open end).
    skills: level by skill name. expired: of skills that it had, which its reasons name. breaks: in order of time; all
    are taken if the shift is used.
    radius_m: farthest travel distance from the start place to any visit. max_travel_m, max_travel_s: of the whole
    route. max_duration_s: from the first thing done, leaving the start place as late as the route
    allows or a break before it, to the last, waiting and breaks included. capacity: of each kind of goods, what all
    visits together may take (`Visit.load`). overtime_s: how long after the window's end the route may end, for
    overtime_cents_per_h on top of all other pay. given_s: work given to this technician so far in the period over
    which hours are to be fair.
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
    max_travel_s: int | None = None
    max_duration_s: int | None = None
    capacity: tuple[int, ...] = ()
    overtime_s: int = 0
    overtime_cents_per_h: int = 0
    given_s: int = 0
    expired: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        name = f"shift {self.id}"
        for cap in ("radius_m", "max_visits", "max_travel_m", "max_travel_s", "max_duration_s"):
            if getattr(self, cap) is not None:
                _require_whole(getattr(self, cap), f"{name}.{cap}", 0, MAX_INSTANT)
        rates = ("cents_per_h", "cents_per_km", "overtime_cents_per_h", "cents_per_visit", "fixed_cents")
        limits = {**dict.fromkeys(rates, MAX_RATE), "overtime_s": MAX_OVERTIME_S, "given_s": MAX_GIVEN_S}
        for figure, most in limits.items():
            _require_whole(getattr(self, figure), f"{name}.{figure}", 0, most)
        for place in ("start_place", "end_place"):
            if getattr(self, place) is not None:
                _require_whole(getattr(self, place), f"{name}.{place}", 0, MAX_PLACES)
        for room in self.capacity:
            _require_whole(room, f"{name}.capacity", 0, MAX_LOAD)
        _require_levels(self.skills, f"{name}.skills")
        _require(
            self.radius_m is None or self.start_place is not None, f"{name}.radius_m", "needs a start_place"
        )


@dataclass(frozen=True, slots=True)
class Weights:
    """The prices of what has no bill of its own, in cents.

    unserved_cents: a visit of priority 0 left out. travel_cents_per_h and travel_cents_per_km: on top of what the
    shift itself costs. not_preferred_cents: a visit with preferred technicians served by another.
    move_cents: a visit that the start plan gave to another technician.
    fairness_cents_per_h2: hours of travel and service, those given so far included, are squared for each shift; what
    the plan adds to the square costs this much, so that of two technicians the one with fewer hours is cheaper.
    spare_skill_cents: a visit given to somebody with a scarce skill that it does not need, for each such skill as far
    as it is scarce (`eligibility.scarcity`).
    """

    unserved_cents: int = 50_000
    travel_cents_per_h: int = 3_000
    travel_cents_per_km: int = 0
    not_preferred_cents: int = 1_500
    move_cents: int = 0
    fairness_cents_per_h2: int = 0
    spare_skill_cents: int = 0

    def __post_init__(self) -> None:
        for price in self.__slots__:
            _require_whole(getattr(self, price), f"weights.{price}", 0, MAX_RATE)


@dataclass(frozen=True, slots=True)
class Crew:
    """Visits that start at the same instant, each by a technician of its own; all are served or none."""

    visits: tuple[str, ...]

    def __post_init__(self) -> None:
        _require(len(set(self.visits)) == len(self.visits) >= 2, "crew", "needs two or more different visits")


@dataclass(frozen=True, slots=True)
class Order:
    """`then` starts at least min_delay_s and, if given, at most max_delay_s after the work of `first` ends, whoever
    does them; it is served only if `first` is."""

    first: str
    then: str
    min_delay_s: int = 0
    max_delay_s: int | None = None

    def __post_init__(self) -> None:
        _require(self.first != self.then, "order", "needs two different visits")
        _require_whole(self.min_delay_s, "order.min_delay_s", 0, MAX_INSTANT)
        if self.max_delay_s is not None:
            _require_whole(self.max_delay_s, "order.max_delay_s", 0, MAX_INSTANT)
            _require(
                self.min_delay_s <= self.max_delay_s, "order.max_delay_s", "must not be below min_delay_s"
            )


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

    def among(self, places: Sequence[int]) -> "TravelMatrix":
        """The travel between these places alone, rows and columns in their order."""
        chosen = np.ix_(places, places)
        return TravelMatrix(self.duration_s[chosen], self.distance_m[chosen])

    def leg(self, start: int, end: int) -> tuple[int, int]:
        """Seconds and metres of one way."""
        return int(self.duration_s[start, end]), int(self.distance_m[start, end])


class Travel(Protocol):
    """Where a problem has its ways from: all at once (`TravelMatrix`), or as they are asked for
    (`travel.PlacesTravel`). A place is a number below `places`."""

    @property
    def places(self) -> int: ...

    def among(self, places: Sequence[int]) -> TravelMatrix:
        """The travel between these places alone, rows and columns in their order."""
        ...

    def leg(self, start: int, end: int) -> tuple[int, int]:
        """Seconds and metres of one way."""
        ...


TravelT_co = TypeVar("TravelT_co", bound=Travel, default=TravelMatrix, covariant=True)
"""`Problem` alone has a matrix."""


@dataclass(frozen=True, slots=True, eq=False)
class Problem(Generic[TravelT_co]):
    """Visits to be served by shifts. Ids are unique among visits and among shifts; the shifts of one technician,
    overtime included, do not overlap. A visit is in at most one crew, and the orders have no cycle, a crew taken as
    one. Crews and orders are kept by `solve` (engine `search`) and `check`; dispatch does not use them yet."""

    visits: tuple[Visit, ...]
    shifts: tuple[Shift, ...]
    travel: TravelT_co
    weights: Weights = Weights()
    crews: tuple[Crew, ...] = ()
    orders: tuple[Order, ...] = ()

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

        kinds = {
            len(item) for item in (*(v.load for v in self.visits), *(s.capacity for s in self.shifts))
        } - {0}
        _require(len(kinds) <= 1, "visits.load", "loads and capacities must count the same kinds of goods")
        self._require_disjoint_shifts()
        self._require_sound_links()

    def _require_sound_links(self) -> None:
        """Crews and orders name known visits, a visit has one crew, and no order leads back to where it began."""
        known = {visit.id for visit in self.visits}
        unit: dict[str, str] = {}
        for crew in self.crews:
            for visit in crew.visits:
                _require(visit in known, "crews", f"visit {visit!r} is unknown")
                _require(visit not in unit, "crews", f"visit {visit!r} is in two crews")
                unit[visit] = crew.visits[0]
        follows = TopologicalSorter[str]()
        for order in self.orders:
            for visit in (order.first, order.then):
                _require(visit in known, "orders", f"visit {visit!r} is unknown")
            follows.add(unit.get(order.then, order.then), unit.get(order.first, order.first))
        try:
            follows.prepare()
        except CycleError as error:
            raise InvalidProblem(
                "orders", f"lead back to where they began: {' <- '.join(error.args[1])}"
            ) from error

    def _require_disjoint_shifts(self) -> None:
        ends: dict[str, Shift] = {}
        for shift in sorted(self.shifts, key=lambda shift: shift.window):
            before = ends.get(shift.technician)
            _require(
                before is None or before.window.end + before.overtime_s <= shift.window.start,
                f"shift {shift.id}.window",
                f"overlaps another shift of {shift.technician}",
            )
            ends[shift.technician] = shift

    def prize_cents(self, visit: Visit) -> int:
        """What leaving this visit unserved costs."""
        if visit.prize_cents is not None:
            return visit.prize_cents
        return self.weights.unserved_cents * (1 + visit.priority)
