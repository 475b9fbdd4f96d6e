"""`solve`: the search from a problem to a plan, within its time or its work."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from optimizer.arrays import TICKS_PER_CENT, ProblemArrays, build_arrays, cents
from optimizer.eligibility import Fleet
from optimizer.insertion import plan_rows, recommend
from optimizer.objective import objective, technician_by_visit
from optimizer.plan import Merge, Plan, Progress, Route
from optimizer.problem import Break, InvalidProblem, Problem, Shift, TimeWindow, TravelMatrix, Visit
from optimizer.recombination import recombine
from optimizer.ruin_recreate import (
    FEW_SHIFTS_FIRST,
    Pool,
    Search,
    construct,
    iterate,
    load,
    new_pool,
    new_search,
    probe,
)
from optimizer.schedule import refresh, route_of
from optimizer.unserved import explain_unserved

OnProgress = Callable[[Progress], None]
ShouldStop = Callable[[], bool]

MERGE_AT = (0.35, 0.6, 0.85)
"""Shares of the run after which the pool is recombined."""
MERGE_SHARE = 0.06
"""Share of the time limit that one recombination may take, and its bounds in seconds."""
LONGEST_MERGE_S = 2.0
SHORTEST_MERGE_S = 0.1

HOTTEST, COLDEST = 1.0, 0.01
"""First and last temperature as shares of the mean travel cost of a visit."""
FULL_HEAT_ITERATIONS = 600
"""Iterations a visit that make the hottest start pay off; with fewer it is proportionally colder."""

CHUNK = 200
"""Iterations between two looks at the clock under `max_work`, and the first chunk otherwise."""
CHUNK_S = 0.02
PROGRESS_S = 0.2
ENDING_SHARE = 0.02
"""Share of the time limit, at most `LONGEST_ENDING_S`, kept for the final probe and the reasons."""
LONGEST_ENDING_S = 0.1


def solve(
    problem: Problem,
    *,
    time_limit_s: float | None = None,
    max_work: int | None = None,
    seed: int = 0,
    start: Plan | None = None,
    on_progress: OnProgress | None = None,
    engine: Literal["search", "routing"] = "search",
    threads: int = 1,
    should_stop: ShouldStop | None = None,
) -> Plan:
    """The best plan found in time_limit_s seconds or max_work iterations, whichever comes first; one must be
    given.

    With max_work alone the plan is a function of problem, start, seed and max_work. start: a plan to improve
    on; what of it does not fit any more is planned anew, and `Weights.move_cents` counts against it.
    on_progress: called about five times a second and at the end. should_stop: asked as often; when true the
    best plan so far is the answer. engine: `search` (ruin and recreate with recombination) or `routing`
    (OR-Tools' routing library). threads: workers of the recombination; the search itself runs on one core.

    Every pinned visit that can be served is; every visit that fits somewhere within its prize is in the plan.
    Raises `InvalidProblem` for limits or plans that make no sense.
    """
    _check_limits(time_limit_s, max_work, seed, threads)
    if engine == "routing":
        from optimizer.routing import solve_by_routing

        if time_limit_s is None:
            raise InvalidProblem("time_limit_s", "the routing engine is bounded by time alone")
        return solve_by_routing(problem, time_limit_s, seed, start, on_progress, should_stop)
    budget = Budget(time_limit_s, max_work)
    run = Run.of(problem, seed, start, budget, on_progress, should_stop, threads)
    run.begin()
    run.cool_down()
    return run.finish()


def _check_limits(time_limit_s: float | None, max_work: int | None, seed: int, threads: int) -> None:
    if time_limit_s is None and max_work is None:
        raise InvalidProblem("time_limit_s", "give time_limit_s or max_work")
    if time_limit_s is not None and not 0 < time_limit_s < 1e7:
        raise InvalidProblem("time_limit_s", "must be above 0 seconds and below four months")
    if max_work is not None and not 0 <= max_work < 2**40:
        raise InvalidProblem("max_work", "must be 0 or more iterations")
    if not 0 <= seed < 2**32:
        raise InvalidProblem("seed", "must be from 0 to 4294967295")
    if not 1 <= threads <= 256:
        raise InvalidProblem("threads", "must be from 1 to 256")


@dataclass
class Budget:
    """How much of the time or work is used."""

    time_limit_s: float | None
    max_work: int | None
    began: float = field(default_factory=time.monotonic)
    iterations: int = 0

    @property
    def elapsed_s(self) -> float:
        return time.monotonic() - self.began

    @property
    def search_s(self) -> float | None:
        """The time limit less what the ending needs."""
        if self.time_limit_s is None:
            return None
        return self.time_limit_s - min(LONGEST_ENDING_S, ENDING_SHARE * self.time_limit_s)

    @property
    def fraction(self) -> float:
        """The share used, 0 to 1."""
        if self.max_work is not None and self.iterations >= self.max_work:
            return 1.0
        by_work = 0.0 if self.max_work is None else self.iterations / self.max_work
        by_time = 0.0 if self.search_s is None else self.elapsed_s / self.search_s
        return min(1.0, max(by_work, by_time))


@dataclass
class Run:
    """One solve."""

    problem: Problem
    arrays: ProblemArrays
    search: Search
    pool: Pool
    seed: int
    start: Plan | None
    budget: Budget
    on_progress: OnProgress | None
    should_stop: ShouldStop | None
    threads: int
    merges: list[Merge] = field(default_factory=list)
    told_at: float = -PROGRESS_S
    chunk: int = CHUNK
    iterations_per_s: float = 0.0

    @classmethod
    def of(
        cls,
        problem: Problem,
        seed: int,
        start: Plan | None,
        budget: Budget,
        on_progress: OnProgress | None,
        should_stop: ShouldStop | None,
        threads: int,
    ) -> "Run":
        fleet = Fleet.of(problem.shifts, problem.travel)
        arrays = build_arrays(problem, fleet, technician_by_visit(start))
        search, pool = new_search(arrays, seed), new_pool(arrays, seed)
        return cls(problem, arrays, search, pool, seed, start, budget, on_progress, should_stop, threads)

    def begin(self) -> None:
        """The first plan: the start plan's routes, and all that is not in it where it costs least."""
        if self.start is not None:
            load(self.arrays, self.search, *plan_rows(self.problem, self._still_valid(self.start)))
        if self.problem.visits and self.problem.shifts:
            construct(self.arrays, self.search, FEW_SHIFTS_FIRST)
        self._tell()

    def cool_down(self) -> None:
        """Simulated annealing over the budget, with the recombinations in between."""
        if not self.problem.visits or not self.problem.shifts:
            return
        merges = list(MERGE_AT)
        while self.budget.fraction < 1 and not self._stopped():
            if merges and self.budget.fraction >= merges[0]:
                merges.pop(0)
                self._merge()
            self._anneal()
            self._tell()

    def finish(self) -> Plan:
        """The best plan, filled up with what still fits, told with its reasons."""
        load(self.arrays, self.search, self.search.best_visits.copy(), self.search.best_length.copy())
        probe(self.arrays, self.search)
        routes = tuple(self._route(shift) for shift in np.flatnonzero(self.search.best_length))
        plan = Plan(routes=routes, unserved=(), engine="search", seed=self.seed)
        plan = replace(
            plan,
            unserved=explain_unserved(self.problem, plan),
            objective=objective(self.problem, plan, self.start),
            iterations=self.budget.iterations,
            merges=tuple(self.merges),
            elapsed_s=self.budget.elapsed_s,
        )
        self._tell(finished=plan)
        return plan

    def _anneal(self) -> None:
        before, now = self.budget.iterations, time.monotonic()
        chunk = self.chunk
        if self.budget.max_work is not None:
            chunk = min(CHUNK, max(1, self.budget.max_work // 50), self.budget.max_work - before)
        iterate(self.arrays, self.search, self.pool, chunk, self._temperature())
        self.budget.iterations += chunk
        took = max(time.monotonic() - now, 1e-6)
        self.iterations_per_s = chunk / took
        if self.budget.max_work is None:
            self.chunk = max(10, min(2 * chunk, int(chunk * CHUNK_S / took)))

    def _temperature(self) -> float:
        """Ticks; see `HOTTEST` and `COLDEST`."""
        visits = len(self.problem.visits)
        expected = self.budget.max_work
        if expected is None:
            assert self.budget.time_limit_s is not None
            expected = int(self.iterations_per_s * self.budget.time_limit_s)
        hottest = max(2 * COLDEST, min(HOTTEST, expected / (FULL_HEAT_ITERATIONS * visits)))
        return self._travel_ticks_of_a_visit() * float(hottest * (COLDEST / hottest) ** self.budget.fraction)

    def _travel_ticks_of_a_visit(self) -> float:
        served = np.flatnonzero(self.search.routes.shift_of >= 0)
        if not len(served):
            return 1.0
        shifts = self.search.routes.shift_of[served]
        used = np.unique(shifts)
        fixed = self.arrays.fixed[used].sum() + self.arrays.assign[served, shifts].sum()
        return max(1.0, float(self.search.routes.cost.sum() - fixed) / len(served))

    def _merge(self) -> None:
        limit_s = None
        if self.budget.time_limit_s is not None:
            limit_s = min(LONGEST_MERGE_S, MERGE_SHARE * self.budget.time_limit_s)
            left_s = self.budget.time_limit_s - self.budget.elapsed_s
            if limit_s < SHORTEST_MERGE_S or left_s < 2 * limit_s:
                return
        before = int(self.search.best_cost[0])
        match = recombine(self.arrays, self.search, self.pool, time_limit_s=limit_s, workers=self.threads)
        if match.routes is not None:
            load(self.arrays, self.search, *match.routes)
        after = int(self.search.best_cost[0])
        self.merges.append(
            Merge(self.budget.iterations, match.columns, match.status, cents(before), cents(after))
        )

    def _stopped(self) -> bool:
        return self.should_stop is not None and self.should_stop()

    def _tell(self, finished: Plan | None = None) -> None:
        elapsed_s = self.budget.elapsed_s
        if self.on_progress is None or (finished is None and elapsed_s - self.told_at < PROGRESS_S):
            return
        self.told_at = elapsed_s
        served = int(self.search.best_length.sum())
        self.on_progress(
            Progress(
                elapsed_s=elapsed_s,
                fraction=1.0 if finished is not None else self.budget.fraction,
                iterations=self.budget.iterations,
                cost_cents=cents(self._cost()) if finished is None else finished.cost_cents,
                unserved=len(self.problem.visits) - served,
            )
        )

    def _cost(self) -> int:
        """Ticks of the best plan without the surcharge of pinned visits left out."""
        served = np.zeros(len(self.problem.visits), np.bool_)
        for shift in np.flatnonzero(self.search.best_length):
            served[self.search.best_visits[shift, : self.search.best_length[shift]]] = True
        surcharged = int(self.arrays.prize[~served].sum())
        prizes = sum(self.problem.prize_cents(self.problem.visits[row]) for row in np.flatnonzero(~served))
        return int(self.search.best_cost[0]) - surcharged + prizes * TICKS_PER_CENT

    def _route(self, shift: np.int64) -> Route:
        assert refresh(self.arrays, self.search.routes, int(shift))
        return route_of(self.problem, self.arrays, self.search.routes, int(shift))

    def _still_valid(self, plan: Plan) -> Plan:
        """The plan without what the problem does not know, has twice or does not allow any more."""
        row_of = {visit.id: row for row, visit in enumerate(self.problem.visits)}
        shift_of = {shift.id: row for row, shift in enumerate(self.problem.shifts)}
        routes: dict[str, Route] = {}
        seen: set[str] = set()
        for route in plan.routes:
            if route.shift not in shift_of or route.shift in routes:
                continue
            may = {visit for visit, row in row_of.items() if self.arrays.allowed[row, shift_of[route.shift]]}
            stops = tuple(stop for stop in route.stops if stop.visit in may - seen)
            seen.update(stop.visit for stop in stops)
            routes[route.shift] = replace(route, stops=stops)
        return replace(plan, routes=tuple(routes.values()))


def warm() -> None:
    """Compiles every kernel, or loads it from the cache on disk, by solving two visits. Takes half a minute
    the first time and half a second later."""
    travel = np.array([[0, 60], [60, 0]], np.int32)
    day = TimeWindow(0, 3600)
    problem = Problem(
        (Visit("first", 0, 60, (day,)), Visit("second", 1, 60, (day,))),
        (Shift("shift", "technician", day, 0, 0, breaks=(Break(day, 60),)),),
        TravelMatrix(travel, travel),
    )
    plan = solve(problem, max_work=10)
    solve(problem, max_work=10, start=plan)
    recommend(problem, plan, "second")
