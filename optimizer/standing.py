"""Routes as they stand, each replaced on its own: where could one more visit go, over as many days and people as there
are?

`insertion.PreparedRoutes` is made from one problem with a matrix of all its places. Here no such matrix is needed, for
the ways from a new place to the stops of all routes are as many as there are stops, and those between the stops were
found when their route was put in. The check of a position is the same kernel.
"""

from collections.abc import Callable, Iterable, Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from optimizer.arrays import NEVER, PAIR, SHIFT, VISIT, Indices, Ints, ProblemArrays, assignment_ticks, cents
from optimizer.eligibility import UNLIMITED, Fleet, broken_rules
from optimizer.insertion import Insertion, Obstacles, PreparedRoutes, Question, insertions_into, place
from optimizer.kernel import allocating_kernel
from optimizer.plan import Plan
from optimizer.problem import Break, InvalidProblem, Problem, Shift, TimeWindow, TravelMatrix, Visit, Weights
from optimizer.schedule import NODE, ROW, SPOT, Routes, has_room
from optimizer.travel import Geodesic, Place, ground_points

ASKED, NOWHERE = 0, 1
"""The places of the visit that is asked about, and of an open start or end, at no distance from anywhere."""
FIRST_OF_NODES = 2

FEWEST_SHIFTS, FEWEST_STOPS = 8, 6
"""Room at the beginning; it doubles when it is full."""

Ways = Callable[[NDArray[np.float64]], NDArray[np.int32]]
"""From points (`travel.ground_points`, shape (6, n)) the seconds and metres between the first and each, as long back as
there, shape (2, n): `Geodesic.ways`."""


@allocating_kernel
def cheapest_insertions(
    arrays: ProblemArrays,
    routes: Routes,
    allowed: NDArray[np.bool_],
    assign: Ints,
    ways: NDArray[np.int32],
    service_s: Ints,
    load: Ints,
    opens: Ints,
    closes: Ints,
    shift_of: Indices,
    node: Indices,
    start: Ints,
    ticks: Ints,
) -> None:
    """As `insertion.insertions`, but only the cheapest of all shifts for each window, of equal ones the earliest, and
    that shift (-1 for none). opens, closes: [windows], both in order of time. ways: [places, 2], there and back."""
    first = np.empty(arrays.pauses.shape[1] + 1, np.int64)
    last = np.empty_like(first)
    windows = len(opens)
    in_node = np.empty(windows, np.int32)
    in_start, in_ticks = np.empty(windows, np.int64), np.empty(windows, np.int64)
    shift_of[:], node[:], ticks[:] = -1, -1, NEVER
    for shift in range(len(allowed)):
        if not allowed[shift] or not has_room(arrays, routes, shift, load):
            continue
        work = arrays.shift[shift]
        low, high = np.searchsorted(closes, work.start), np.searchsorted(opens, work.end, "right")
        if low >= high:
            continue
        in_node[low:high], in_ticks[low:high] = -1, NEVER
        insertions_into(
            arrays, routes, shift, assign[shift], ASKED, ways, ways, service_s[shift], opens[low:high],
            closes[low:high], first, last, in_node[low:high], in_start[low:high], in_ticks[low:high],
        )  # fmt: skip
        for w in range(low, high):
            cheaper = in_ticks[w] < ticks[w] or (in_ticks[w] == ticks[w] and in_start[w] < start[w])
            if in_node[w] >= 0 and cheaper:
                shift_of[w], node[w], start[w], ticks[w] = shift, in_node[w], in_start[w], in_ticks[w]


@dataclass(frozen=True, slots=True)
class Star:
    """The ways to the place that is asked about, as `Fleet` reads a matrix: one column. distance_m: [places, 1]."""

    distance_m: NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class Fits:
    """Where a visit could go, once for each shift and window that can keep it: the cheapest place there. All arrays
    have an entry for each. row: of the shift among `shifts`. window: of those asked for. The rest: as of `Insertion`,
    with the price in ticks."""

    shifts: tuple[Shift, ...]
    row: Ints | Indices
    window: Ints
    position: Ints | Indices
    start: Ints
    end: Ints
    ticks: Ints
    extra_travel_s: Ints
    extra_travel_m: Ints

    def __len__(self) -> int:
        return len(self.row)

    def insertion(self, entry: int) -> Insertion:
        shift = self.shifts[self.row[entry]]
        return Insertion(
            shift=shift.id,
            technician=shift.technician,
            window=int(self.window[entry]),
            position=int(self.position[entry]),
            start=int(self.start[entry]),
            end=int(self.end[entry]),
            extra_travel_s=int(self.extra_travel_s[entry]),
            extra_travel_m=int(self.extra_travel_m[entry]),
            extra_cents=cents(int(self.ticks[entry])),
        )


class StandingRoutes:
    """Shifts with their routes, by the shift's id. Not for shifts whose cost or length depends on times, or whose
    travel, load or fairness is capped or priced: they need `insertion.PreparedRoutes`."""

    def __init__(self, weights: Weights | None = None) -> None:
        self._weights = Weights() if weights is None else weights
        self._row_of: dict[str, int] = {}
        self._free: list[int] = []
        self._shifts: list[Shift] = []
        self._fleet: Fleet | None = None
        self._reserve(0, FEWEST_STOPS, 0)

    @classmethod
    def of(cls, chosen: Sequence[tuple["StandingRoutes", str]]) -> "StandingRoutes":
        """Copies of shifts with their routes, in this order. chosen: where each is, and its id; none twice."""
        sources: dict[StandingRoutes, list[int]] = {}
        for position, (source, _) in enumerate(chosen):
            sources.setdefault(source, []).append(position)
        together = cls()
        together._reserve(
            len(chosen),
            max([FEWEST_STOPS, *(source._routes.node.shape[1] - 2 for source in sources)]),
            max([0, *(source._arrays.pauses.shape[1] for source in sources)]),
        )
        for source, to in sources.items():
            rows = [source._row_of[chosen[position][1]] for position in to]
            source._carry(np.array(rows), np.array(to), together)
        together._shifts = [source.shift(shift_id) for source, shift_id in chosen]
        together._row_of = {shift.id: row for row, shift in enumerate(together._shifts)}
        together._standing[:] = True
        return together

    def __len__(self) -> int:
        return len(self._row_of)

    def shift(self, shift_id: str) -> Shift:
        """Raises `KeyError`."""
        return self._shifts[self._row_of[shift_id]]

    def put(self, problem: Problem, plan: Plan, points: Sequence[Place]) -> None:
        """Every shift of the problem with its route in the plan, in the place of the same shift if it is here.
        points: the places of the problem's matrix. Raises `InvalidProblem` for what is not served here."""
        prepared = PreparedRoutes(problem, plan)
        _require_plain(prepared.arrays, problem)
        length = prepared.routes.row["length"]
        self._make_room(
            sum(shift.id not in self._row_of for shift in problem.shifts),
            int(length.max(initial=0)),
            prepared.arrays.pauses.shape[1],
        )
        ground = ground_points(points)
        for index, shift in enumerate(problem.shifts):
            self._copy(self._row_for(shift), prepared, index, problem.travel, ground)

    def drop(self, shift_ids: Iterable[str]) -> None:
        """Those that are here."""
        for shift_id in shift_ids:
            row = self._row_of.pop(shift_id, None)
            if row is not None:
                self._standing[row] = False
                self._free.append(row)

    def cheapest(
        self, visit: Visit, at: NDArray[np.float64], opens: Ints, closes: Ints, ways: Ways
    ) -> tuple[Insertion, ...]:
        """For each window that some shift can keep the cheapest insertion, of equal ones the earliest, in the order of
        the windows. at: where the visit is, whose `place` is 0, as `travel.ground_points`. opens, closes: the first
        and the last instant of each window, both in order of time."""
        if not self._row_of:
            return ()
        fleet, legs = self._towards(at, ways)
        count = len(opens)
        shift_of, node = np.empty(count, np.int32), np.empty(count, np.int32)
        start, ticks = np.empty(count, np.int64), np.empty(count, np.int64)
        service_s = fleet.service_s(visit)
        cheapest_insertions(
            self._arrays,
            self._routes,
            (broken_rules(visit, fleet) < 0) & self._standing,
            assignment_ticks(visit, fleet, self._weights, None),
            legs,
            service_s,
            np.zeros(0, np.int64),
            opens,
            closes,
            shift_of,
            node,
            start,
            ticks,
        )
        fitting = np.flatnonzero(shift_of >= 0)
        fits = self._fits(
            legs, service_s, shift_of[fitting], fitting, node[fitting], start[fitting], ticks[fitting]
        )
        return tuple(fits.insertion(entry) for entry in range(len(fits)))

    def fits(self, visit: Visit, at: NDArray[np.float64], opens: Ints, closes: Ints, ways: Ways) -> "Fits":
        """Everywhere the visit could go. visit, at, opens, closes: as for `cheapest`."""
        if not self._row_of:
            return Fits((), *np.zeros((8, 0), np.int64))
        fleet, legs = self._towards(at, ways)
        question = Question.of(visit, fleet, self._weights, (opens, closes), 0)
        node, start, ticks = place(
            self._seen_by(legs), self._routes, question, question.allowed & self._standing
        )
        row, window = np.nonzero(node >= 0)
        at_node, begin, price = node[row, window], start[row, window], ticks[row, window]
        return self._fits(legs, question.service_s, row, window, at_node, begin, price)

    def _fits(
        self,
        legs: NDArray[np.int32],
        service_s: Ints,
        row: Ints | Indices,
        window: Ints,
        node: Ints | Indices,
        start: Ints,
        ticks: Ints,
    ) -> "Fits":
        stops = self._routes.node["place"]
        added = legs[stops[row, node]] + legs[stops[row, node + 1]] - self._way[row, node]
        end = start + service_s[row]
        return Fits(tuple(self._shifts), row, window, node, start, end, ticks, added[:, 0], added[:, 1])

    def _seen_by(self, legs: NDArray[np.int32]) -> ProblemArrays:
        """With one place of its own, that of the visit that is asked about, and its ways to all stops."""
        shift, stops = self._arrays.shift.copy(), self._routes.node["place"]
        shift["start_place"] = stops[:, 0]
        shift["end_place"] = stops[np.arange(len(shift)), self._routes.row["length"] + 1]
        leg = np.ascontiguousarray(legs)[None]
        return self._arrays._replace(shift=shift, leg=leg, leg_to=leg)

    def obstacles(
        self, visit: Visit, at: NDArray[np.float64], opens: Ints, closes: Ints, ways: Ways
    ) -> Obstacles:
        """What keeps a visit out of everybody's routes; right until one of them changes. visit, at, opens, closes: as
        for `cheapest`."""
        if len(self) < len(self._standing):
            gathered = StandingRoutes.of([(self, shift_id) for shift_id in self._row_of])
            return gathered.obstacles(visit, at, opens, closes, ways)
        fleet, legs = self._towards(at, ways)
        question = Question.of(visit, fleet, self._weights, (opens, closes), 0)
        return Obstacles(fleet, self._seen_by(legs), self._routes, question)

    def use(self, visit: Visit, at: NDArray[np.float64], ways: Ways) -> list[tuple[int, int, int]]:
        """Of each shift that may serve the visit, whatever its calendar holds: when it begins, its seconds without
        breaks, and how many of these its route takes with travel."""
        if not self._row_of:
            return []
        fleet, _ = self._towards(at, ways)
        rows = np.flatnonzero((broken_rules(visit, fleet) < 0) & self._standing)
        shift, row = self._arrays.shift[rows], self._routes.row[rows]
        hours_s = shift["end"] - shift["start"] - self._arrays.pauses[rows, :, 2].sum(axis=1)
        return list(zip(shift["start"].tolist(), hours_s.tolist(), row["work_s"].tolist(), strict=True))

    def _towards(self, at: NDArray[np.float64], ways: Ways) -> tuple[Fleet, NDArray[np.int32]]:
        """The fleet as seen from a place, and the ways there."""
        self._points[:, [ASKED]] = at
        legs = ways(self._points)
        legs[:, NOWHERE] = 0
        if self._fleet is None:
            self._fleet = self._fleet_of_rows()
        star = cast(TravelMatrix, Star(legs[1][:, None]))
        return replace(self._fleet, travel=star), legs.T

    def _fleet_of_rows(self) -> Fleet:
        """Each shift sets out from its first node."""
        nowhere = TravelMatrix(np.zeros((0, 0), np.int32), np.zeros((0, 0), np.int32))
        spare = self._shifts[-1:] * (len(self._standing) - len(self._shifts))
        homes = self._routes.node["place"][:, 0].astype(np.int64)
        homes[homes == NOWHERE] = -1
        return replace(Fleet.of([*self._shifts, *spare], nowhere), start_place=homes)

    def _row_for(self, shift: Shift) -> int:
        row = self._row_of.get(shift.id)
        if row is None:
            row = self._free.pop() if self._free else len(self._shifts)
            self._row_of[shift.id] = row
        if row == len(self._shifts):
            self._shifts.append(shift)
            self._fleet = None
        elif _differ(self._shifts[row], shift):
            self._fleet = None
        self._shifts[row], self._standing[row] = shift, True
        return row

    def _copy(
        self,
        row: int,
        prepared: PreparedRoutes,
        index: int,
        travel: TravelMatrix,
        ground: NDArray[np.float64],
    ) -> None:
        """Writes a shift of the problem and its route into a row; its nodes are places of their own."""
        arrays, routes, stops = self._arrays, self._routes, self._routes.node.shape[1]
        n = int(prepared.routes.row["length"][index])
        arrays.shift[row] = prepared.arrays.shift[index]
        breaks = int(arrays.shift["breaks"][row])
        arrays.pauses[row] = 0
        arrays.pauses[row, :breaks] = prepared.arrays.pauses[index, :breaks]
        routes.row[row], routes.node[row, : n + 2] = (
            prepared.routes.row[index],
            prepared.routes.node[index, : n + 2],
        )
        routes.ready[row, : n + 1, : breaks + 1] = prepared.routes.ready[index, : n + 1, : breaks + 1]
        routes.latest[row, : n + 2, : breaks + 1] = prepared.routes.latest[index, : n + 2, : breaks + 1]
        was = prepared.routes.node["place"][index, : n + 2]
        known = was < travel.places
        own = FIRST_OF_NODES + row * stops + np.arange(n + 2)
        self._points[:, own[known]] = ground[:, was[known]]
        routes.node["place"][row, : n + 2] = np.where(known, own, NOWHERE)
        self._way[row] = 0
        if n > 0:
            self._way[row, : n + 1] = prepared.arrays.leg[was[:-1], was[1:]]

    def _make_room(self, more_shifts: int, stops: int, breaks: int) -> None:
        """Makes everything larger where it does not hold so much."""
        shifts, nodes, pauses = self._routes.ready.shape[0], self._routes.node.shape[1], self._arrays.pauses
        wanted = len(self._shifts) - len(self._free) + more_shifts
        if wanted <= shifts and stops + 2 <= nodes and breaks <= pauses.shape[1]:
            return
        shifts = max(FEWEST_SHIFTS, shifts if wanted <= shifts else max(wanted, 2 * shifts))
        room = nodes - 2 if stops + 2 <= nodes else max(stops, 2 * (nodes - 2))
        was, rows = copy(self), np.arange(len(self._shifts))
        self._reserve(shifts, room, max(breaks, pauses.shape[1]))
        self._standing[: len(was._standing)] = was._standing
        was._carry(rows, rows, self)

    def _reserve(self, shifts: int, stops: int, breaks: int) -> None:
        """Empty rows, each for a shift with so many stops and breaks."""
        self._arrays, self._routes = _room(shifts, stops, breaks)
        self._way = np.zeros((shifts, stops + 2, 2), np.int32)
        self._points = np.zeros((6, FIRST_OF_NODES + shifts * (stops + 2)))
        self._standing, self._fleet = np.zeros(shifts, np.bool_), None

    def _carry(self, rows: Ints, to: Ints, other: "StandingRoutes") -> None:
        """Copies rows into those of another, which are as long or longer."""
        arrays, routes, (_, nodes, breaks) = other._arrays, other._routes, self._routes.latest.shape
        arrays.shift[to], routes.row[to] = self._arrays.shift[rows], self._routes.row[rows]
        arrays.pauses[to, : self._arrays.pauses.shape[1]] = self._arrays.pauses[rows]
        routes.node[to, :nodes], other._way[to, :nodes] = self._routes.node[rows], self._way[rows]
        routes.ready[to, : nodes - 1, :breaks] = self._routes.ready[rows]
        routes.latest[to, :nodes, :breaks] = self._routes.latest[rows]
        was = self._routes.node["place"][rows]
        real = was >= FIRST_OF_NODES
        own = FIRST_OF_NODES + to[:, None] * routes.node.shape[1] + np.arange(nodes)
        other._points[:, own[real]] = self._points[:, was[real]]
        routes.node["place"][to, :nodes] = np.where(real, own, was)


def _differ(one: Shift, other: Shift) -> bool:
    """In what `Fleet` reads; the place of the start is known by its node."""
    return any(
        getattr(one, name) != getattr(other, name)
        for name in ("technician", "skills", "expired", "radius_m", "cents_per_h", "cents_per_visit")
    )


def _require_plain(arrays: ProblemArrays, problem: Problem) -> None:
    shift = arrays.shift
    plain = not (shift["timed"] | shift["far"]).any() and (shift["max_duration_s"] == UNLIMITED).all()
    if (
        not plain
        or problem.weights.fairness_cents_per_h2
        or arrays.load.shape[1]
        or arrays.leg is not arrays.leg_to
    ):
        raise InvalidProblem(
            "shifts",
            "caps on travel, length and load, and ways that differ by direction, need prepared routes",
        )


def _room(shifts: int, stops: int, breaks: int) -> tuple[ProblemArrays, Routes]:
    """Arrays that hold so much, without visits of their own."""
    nothing = np.zeros((1, 1, 2), np.int32)
    arrays = ProblemArrays(
        visit=np.zeros(0, VISIT),
        shift=np.zeros(shifts, SHIFT),
        pair=np.zeros((0, shifts), PAIR),
        leg=nothing,
        leg_to=nothing,
        window=np.zeros((0, 1, 2), np.int64),
        pauses=np.zeros((shifts, breaks, 3), np.int64),
        load=np.zeros((0, 0), np.int64),
        capacity=np.zeros((shifts, 0), np.int64),
    )
    routes = Routes(
        row=np.zeros(shifts, ROW),
        node=np.zeros((shifts, stops + 2), NODE),
        spot=np.zeros(0, SPOT),
        ready=np.zeros((shifts, stops + 1, breaks + 1), np.int64),
        latest=np.zeros((shifts, stops + 2, breaks + 1), np.int64),
        span=np.zeros((shifts, 0, 3), np.int64),
        load=np.zeros((shifts, 0), np.int64),
    )
    return arrays, routes


def warm() -> None:
    """Compiles the kernels of this file, or loads them from the cache on disk."""
    places = [Place(40.7, -74.0), Place(40.8, -74.0)]
    day = TimeWindow(0, 3600)
    shift = Shift("shift", "technician", day, 0, 0, breaks=(Break(day, 60),))
    standing = StandingRoutes()
    standing.put(Problem((), (shift,), Geodesic().matrix(places)), Plan((), ()), places)
    opens, closes = np.array([0]), np.array([3600])
    asked = (Visit("visit", 0, 60, (day,)), ground_points(places[:1]), opens, closes, Geodesic().ways)
    standing.cheapest(*asked)
    standing.fits(*asked)
    standing.obstacles(*asked).would_fit_if()
