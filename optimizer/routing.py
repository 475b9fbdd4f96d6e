"""The second engine: OR-Tools' routing library (pywrapcp), the reference that tests hold the search against.

Rules and costs are those of the search, read from the same `ProblemArrays`; the way to a plan is its own: local
cheapest insertion, then guided local search. Alone it lies 10 to 60 % in cost behind the search on 400 visits and
more, needs seconds for a first plan where the search needs tenths, and holds the interpreter's lock while it
works: use it to check the other, in a process of its own. Breaks make it slower still: of 660 visits for 90
technicians, half of them with a break, it left 78 out after 15 s, and none without the breaks; the search left
out 2 after 8 s, breaks and all.

What it cannot say exactly: the Python wheel's breaks may interrupt a way, where ours are taken before leaving
or on arrival. Its sequences are therefore timed again by `schedule.time_route`; a visit that only an
interrupted way would have reached is left out. So every plan keeps all rules.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from ortools.constraint_solver import pywrapcp, routing_enums_pb2

from optimizer.arrays import TICKS_PER_CENT, ProblemArrays, build_arrays, cents
from optimizer.eligibility import UNLIMITED, Fleet
from optimizer.objective import objective, technician_by_visit
from optimizer.plan import Plan, Progress, Route
from optimizer.problem import UNREACHABLE, InvalidProblem, Problem
from optimizer.schedule import Infeasible, time_route
from optimizer.unserved import explain_unserved

OnProgress = Callable[[Progress], None]
ShouldStop = Callable[[], bool]

PROGRESS_S = 0.2


def solve_by_routing(
    problem: Problem,
    time_limit_s: float,
    seed: int = 0,
    start: Plan | None = None,
    on_progress: OnProgress | None = None,
    should_stop: ShouldStop | None = None,
) -> Plan:
    """The best plan that the routing library finds in `time_limit_s` seconds; if it finds none, one that
    leaves every visit out.

    start: where its sequences can be kept, the search begins with them; `Weights.move_cents` counts against
    it. on_progress and should_stop are asked a few times a second. `seed` seeds the library's own random
    numbers, of which guided local search uses few; plans differ between runs by what fits the time.
    Raises `InvalidProblem` like `solve`.
    """
    if problem.crews or problem.orders or problem.weights.fairness_cents_per_h2:
        raise InvalidProblem("engine", "crews, orders and fairness need the engine `search`")
    began = time.monotonic()
    fleet = Fleet.of(problem.shifts, problem.travel, problem.visits)
    arrays = build_arrays(problem, fleet, technician_by_visit(start))
    sequences: list[list[str]] = [[] for _ in problem.shifts]
    watch = Watch(problem, arrays, began, time_limit_s, on_progress, should_stop)
    if problem.visits and problem.shifts:
        sequences = Model(problem, arrays, seed).solve(time_limit_s, start, watch)
    routes = tuple(
        route
        for shift, sequence in zip(problem.shifts, sequences, strict=True)
        if (route := _timed(problem, shift.id, sequence)) is not None
    )
    plan = Plan(routes=routes, unserved=(), engine="routing", seed=seed)
    plan = replace(
        plan,
        unserved=explain_unserved(problem, plan),
        objective=objective(problem, plan, start),
        iterations=watch.solutions,
        elapsed_s=time.monotonic() - began,
    )
    if on_progress is not None:
        on_progress(Progress(plan.elapsed_s, 1.0, watch.solutions, plan.cost_cents, len(plan.unserved)))
    return plan


def _timed(problem: Problem, shift_id: str, sequence: Sequence[str]) -> Route | None:
    """The sequence with its times. Should it not be drivable as it is, visits that do not fit are left
    out."""
    if not sequence:
        return None
    try:
        return time_route(problem, shift_id, sequence)
    except Infeasible:
        return _timed_in_part(problem, shift_id, sequence)


def _timed_in_part(problem: Problem, shift_id: str, sequence: Sequence[str]) -> Route | None:
    route = None
    kept: list[str] = []
    for visit in sequence:
        try:
            route = time_route(problem, shift_id, [*kept, visit])
        except Infeasible:
            continue
        kept.append(visit)
    return route


@dataclass
class Watch:
    """Looks at the search from inside: tells its progress, and stops it when asked or when a callback
    failed."""

    problem: Problem
    arrays: ProblemArrays
    began: float
    time_limit_s: float
    on_progress: OnProgress | None
    should_stop: ShouldStop | None
    solutions: int = 0
    best_ticks: int | None = None
    unserved: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))
    told_at: float = 0.0
    failure: BaseException | None = None

    def found(self, ticks: int, unserved: NDArray[np.bool_]) -> None:
        """The library found a plan of this cost that leaves these visits out."""
        self.solutions += 1
        if self.best_ticks is None or ticks < self.best_ticks:
            self.best_ticks, self.unserved = ticks, unserved

    def stops(self) -> bool:
        """Asked by the library between its moves. What a callback raises must not cross its frames: it is
        kept, ends the search, and is raised again outside."""
        if self.failure is not None:
            return True
        elapsed_s = time.monotonic() - self.began
        if elapsed_s - self.told_at < PROGRESS_S:
            return False
        self.told_at = elapsed_s
        try:
            if self.on_progress is not None and self.best_ticks is not None:
                self.on_progress(self._progress(elapsed_s))
            return self.should_stop is not None and self.should_stop()
        except BaseException as failure:
            self.failure = failure
            return True

    def _progress(self, elapsed_s: float) -> Progress:
        assert self.best_ticks is not None
        left_out = [self.problem.visits[row] for row in np.flatnonzero(self.unserved)]
        prizes = sum(self.problem.prize_cents(visit) for visit in left_out) * TICKS_PER_CENT
        ticks = self.best_ticks - int(self.arrays.visit["prize"][self.unserved].sum()) + prizes
        fraction = min(1.0, elapsed_s / self.time_limit_s)
        return Progress(elapsed_s, fraction, self.solutions, cents(ticks), len(left_out))


class Model:
    """The routing model of a problem. Node k below the number of visits is visit k; the others are the places
    where shifts start and end. Instants count from the first shift's start."""

    def __init__(self, problem: Problem, arrays: ProblemArrays, seed: int) -> None:
        self.problem = problem
        self.arrays = arrays
        self.allowed = arrays.pair["allowed"].copy()
        self.visits = len(problem.visits)
        self.shifts = len(problem.shifts)
        self.origin = int(arrays.shift["start"].min())
        self.horizon = int(arrays.shift["end"].max()) - self.origin
        ends = np.concatenate((arrays.shift["start_place"], arrays.shift["end_place"]))
        places, node_of_end = np.unique(ends, return_inverse=True)
        self.place_of_node = np.concatenate((arrays.visit["place"], places)).astype(np.int64)
        nodes = (self.visits + node_of_end).tolist()
        self.manager = pywrapcp.RoutingIndexManager(
            len(self.place_of_node), self.shifts, nodes[: self.shifts], nodes[self.shifts :]
        )
        self.routing = pywrapcp.RoutingModel(self.manager)
        self.routing.solver().ReSeed(seed)
        self.durations: dict[bytes, int] = {}
        self._price_legs()
        self._keep_hours()
        self._limit_visits()
        self._limit_travel()
        self._limit_loads()
        self._choose_technicians()

    def solve(self, time_limit_s: float, start: Plan | None, watch: Watch) -> list[list[str]]:
        """The visits of each shift in order. Raises what a callback of `watch` raised."""
        parameters = pywrapcp.DefaultRoutingSearchParameters()
        parameters.first_solution_strategy = routing_enums_pb2.FirstSolutionStrategy.LOCAL_CHEAPEST_INSERTION
        parameters.local_search_metaheuristic = routing_enums_pb2.LocalSearchMetaheuristic.GUIDED_LOCAL_SEARCH
        left_s = time_limit_s - (time.monotonic() - watch.began)
        parameters.time_limit.FromMilliseconds(max(1, int(left_s * 1000)))
        solver = self.routing.solver()
        self.routing.AddSearchMonitor(solver.CustomLimit(watch.stops))
        self.routing.AddAtSolutionCallback(
            lambda: watch.found(self.routing.CostVar().Value(), self._left_out())
        )
        self.routing.CloseModelWithParameters(parameters)
        first = None if start is None else self._assignment(start)
        if first is not None:
            answer = self.routing.SolveFromAssignmentWithParameters(first, parameters)
        else:
            answer = self.routing.SolveWithParameters(parameters)
        if watch.failure is not None:
            raise watch.failure
        return [[] for _ in range(self.shifts)] if answer is None else self._sequences(answer)

    def _matrix(self, per_node_pair: NDArray[np.int64]) -> int:
        return int(self.routing.RegisterTransitMatrix(per_node_pair.tolist()))

    def _legs(self, unit: int) -> NDArray[np.int64]:
        """Seconds (unit 0) or metres (1) between nodes."""
        return self.arrays.leg[..., unit][np.ix_(self.place_of_node, self.place_of_node)].astype(np.int64)

    def _price_legs(self) -> None:
        """A leg costs its travel and the service at its end, by what tells the costs of shifts apart."""
        arrays = self.arrays
        seconds, metres = self._legs(0), self._legs(1)
        way = seconds < UNREACHABLE
        evaluators: dict[tuple[int, int, bytes], int] = {}
        for shift in range(self.shifts):
            per_s, per_m = int(arrays.shift["per_s"][shift]), int(arrays.shift["per_m"][shift])
            assign = arrays.pair["assign"][:, shift]
            key = (per_s, per_m, assign.tobytes())
            if key not in evaluators:
                ticks = np.where(way, seconds * per_s + metres * per_m, 0)
                ticks[:, : self.visits] += assign
                evaluators[key] = self._matrix(ticks)
            self.routing.SetArcCostEvaluatorOfVehicle(evaluators[key], shift)
            self.routing.SetFixedCostOfVehicle(int(arrays.shift["fixed"][shift]), shift)
        for visit in range(self.visits):
            self.routing.AddDisjunction([self.manager.NodeToIndex(visit)], int(arrays.visit["prize"][visit]))

    def _keep_hours(self) -> None:
        """Service and travel take their time; starts lie in the windows, routes in their shifts."""
        transits = [self._durations(shift) for shift in range(self.shifts)]
        self.routing.AddDimensionWithVehicleTransits(transits, self.horizon, self.horizon, False, "time")
        times = self.routing.GetDimensionOrDie("time")
        for shift, work in enumerate(self.arrays.shift):
            first, last = int(work["start"]) - self.origin, int(work["end"]) - self.origin
            times.CumulVar(self.routing.Start(shift)).SetRange(first, last)
            times.CumulVar(self.routing.End(shift)).SetRange(first, last)
            if work["max_duration_s"] < UNLIMITED:
                times.SetSpanUpperBoundForVehicle(int(work["max_duration_s"]), shift)
            if work["overtime_per_s"]:
                paid_from = int(work["overtime_from"]) - self.origin
                times.SetCumulVarSoftUpperBound(
                    self.routing.End(shift), paid_from, int(work["overtime_per_s"])
                )
            service_s = [0] * self.routing.Size()
            for visit, lasts_s in enumerate(self.arrays.pair["service_s"][:, shift].tolist()):
                service_s[self.manager.NodeToIndex(visit)] = lasts_s
            self._take_breaks(times, service_s, shift, first, last)
        for visit, record in enumerate(self.arrays.visit):
            self._open_windows(times, visit)
            if record["sla_per_s"]:
                due = max(0, min(int(record["sla_due"]) - self.origin, self.horizon))
                index = self.manager.NodeToIndex(visit)
                times.SetCumulVarSoftUpperBound(index, due, int(record["sla_per_s"]))

    def _durations(self, shift: int) -> int:
        """The evaluator of service and the way from it, one for all shifts that are equally quick."""
        service_s = self.arrays.pair["service_s"][:, shift]
        key = service_s.tobytes()
        if key not in self.durations:
            seconds = self._legs(0)
            seconds[: self.visits] += service_s[:, None]
            self.durations[key] = self._matrix(np.minimum(seconds, UNREACHABLE))
        return self.durations[key]

    def _take_breaks(
        self, times: pywrapcp.RoutingDimension, service_s: list[int], shift: int, first: int, last: int
    ) -> None:
        """Breaks lie in the shift, and not while one works. A shift too short for one serves
        nothing."""
        pauses = []
        for number, pause in enumerate(self.problem.shifts[shift].breaks):
            earliest = max(first, pause.window.start - self.origin)
            latest = min(last - pause.duration_s, pause.window.end - self.origin)
            if latest < earliest:
                self.allowed[:, shift] = False
                return
            name = f"break {number} of shift {shift}"
            solver = self.routing.solver()
            pauses.append(solver.FixedDurationIntervalVar(earliest, latest, pause.duration_s, False, name))
        if pauses:
            times.SetBreakIntervalsOfVehicle(pauses, shift, service_s)

    def _open_windows(self, times: pywrapcp.RoutingDimension, visit: int) -> None:
        """A visit whose windows all lie outside the hours of the fleet is for nobody."""
        count = int(self.arrays.visit["windows"][visit])
        starts = np.maximum(self.arrays.window[visit, :count, 0] - self.origin, 0)
        ends = np.minimum(self.arrays.window[visit, :count, 1] - self.origin, self.horizon)
        inside = starts <= ends
        starts, ends = starts[inside].tolist(), ends[inside].tolist()
        if not starts:
            self.allowed[visit] = False
            return
        cumul = times.CumulVar(self.manager.NodeToIndex(visit))
        cumul.SetRange(starts[0], ends[-1])
        for end, start in zip(ends[:-1], starts[1:], strict=True):
            if end + 1 <= start - 1:
                cumul.RemoveInterval(end + 1, start - 1)

    def _limit_visits(self) -> None:
        caps = np.minimum(self.arrays.shift["max_visits"], self.visits)
        if (caps >= self.visits).all():
            return
        one = [1] * self.visits + [0] * (len(self.place_of_node) - self.visits)
        transit = self.routing.RegisterUnaryTransitVector(one)
        self.routing.AddDimensionWithVehicleCapacity(transit, 0, caps.tolist(), True, "visits")

    def _limit_travel(self) -> None:
        for unit, name in ((0, "max_travel_s"), (1, "max_travel_m")):
            caps = self.arrays.shift[name]
            if (caps < UNLIMITED).any():
                legs = self._matrix(self._legs(unit))
                self.routing.AddDimensionWithVehicleCapacity(legs, 0, caps.tolist(), True, name)

    def _limit_loads(self) -> None:
        ends = [0] * (len(self.place_of_node) - self.visits)
        for kind in range(self.arrays.load.shape[1]):
            transit = self.routing.RegisterUnaryTransitVector([*self.arrays.load[:, kind].tolist(), *ends])
            capacity = self.arrays.capacity[:, kind].tolist()
            self.routing.AddDimensionWithVehicleCapacity(transit, 0, capacity, True, f"goods {kind}")

    def _choose_technicians(self) -> None:
        """`SetAllowedVehiclesForIndex` raises TypeError in the Python wheel of 9.15; the variable takes the
        values."""
        for visit in range(self.visits):
            allowed = np.flatnonzero(self.allowed[visit]).tolist()
            self.routing.VehicleVar(self.manager.NodeToIndex(visit)).SetValues([-1, *allowed])

    def _left_out(self) -> NDArray[np.bool_]:
        indices = [self.manager.NodeToIndex(visit) for visit in range(self.visits)]
        return np.array([self.routing.NextVar(index).Value() == index for index in indices], np.bool_)

    def _assignment(self, start: Plan) -> pywrapcp.Assignment | None:
        """The start plan's sequences; None if they do not fit any more."""
        index_of = {visit.id: self.manager.NodeToIndex(k) for k, visit in enumerate(self.problem.visits)}
        planned = {route.shift: [stop.visit for stop in route.stops] for route in start.routes}
        routes = [
            [index_of[visit] for visit in planned.get(shift.id, []) if visit in index_of]
            for shift in self.problem.shifts
        ]
        return self.routing.ReadAssignmentFromRoutes(routes, True)

    def _sequences(self, answer: pywrapcp.Assignment) -> list[list[str]]:
        sequences = []
        for shift in range(self.shifts):
            sequence = []
            index = answer.Value(self.routing.NextVar(self.routing.Start(shift)))
            while not self.routing.IsEnd(index):
                sequence.append(self.problem.visits[self.manager.IndexToNode(index)].id)
                index = answer.Value(self.routing.NextVar(index))
            sequences.append(sequence)
        return sequences
