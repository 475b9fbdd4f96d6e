"""`solve`: the search from a problem to a plan, within its time or its work."""

import time
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Literal, cast

import numpy as np

from optimizer.annealing import detour_of_a_visit
from optimizer.arrays import TICKS_PER_CENT, Indices, ProblemArrays, build_arrays, cents
from optimizer.eligibility import Fleet
from optimizer.insertion import plan_rows, recommend
from optimizer.links import construct, has_links, load, probe, team_for
from optimizer.objective import objective, technician_by_visit
from optimizer.plan import Epoch, Merge, Plan, Progress, Route
from optimizer.problem import (
    Break,
    Crew,
    InvalidProblem,
    Pin,
    Problem,
    Shift,
    Sla,
    TimeWindow,
    Travel,
    TravelMatrix,
    Visit,
)
from optimizer.proximity import near, side_by_side
from optimizer.recombination import Incumbent, recombine
from optimizer.ruin_recreate import FEW_SHIFTS_FIRST
from optimizer.schedule import refresh, route_of
from optimizer.standing import warm as warm_standing
from optimizer.travel import warm as warm_travel
from optimizer.unserved import explain_unserved
from optimizer.zones import Team

OnProgress = Callable[[Progress], None]
ShouldStop = Callable[[], bool]

MERGE_AT = (0.5, 0.9)
"""Shares of the run after which the pool is recombined."""
MERGE_SHARE = 0.03
"""Share of the time limit that one recombination may take, and its bounds in seconds."""
LONGEST_MERGE_S = 2.0
SHORTEST_MERGE_S = 0.1

HOTTEST, COLDEST = 6.0, 0.2
"""First and last temperature as shares of what a visit of the best plan so far adds to its travel, whatever the limit
(`annealing.detour_of_a_visit`): the scale of what moves cost. At half and at twice the first, and at a third of the
last, plans of several families were 0 to 1 % dearer after 10 s."""
PRIZE_SHARE = 0.5
"""Of the middle prize, which is the scale where it is less than that: much hotter, a visit left out is as good as one
served.
"""
REHEATED = 1.0
"""The first temperature of a run that starts from a plan: it is to better that plan, not to forget it."""

FEWEST_ROUTES_A_ZONE = 6
"""With fewer, each worker searches a plan of its own, and all go on from the best at the merges."""

EPOCH_S = 0.1
"""How long the workers go on before the clock is looked at and the zones are dealt anew; at most `EPOCH_SHARE` of the
limit. Under `max_work` an epoch has `EPOCH_ITERATIONS`, or as large a share."""
EPOCH_SHARE = 0.02
EPOCH_ITERATIONS = 1_000
FIRST_ITERATIONS = 20
PROGRESS_S = 0.2
LONGEST_ENDING_S = 0.25
"""What is kept at most for the final probe and the reasons."""
ENDING_SHARE = 0.02


def solve(
    problem: Problem[Travel],
    *,
    time_limit_s: float | None = None,
    max_work: int | None = None,
    seed: int = 0,
    start: Plan | None = None,
    freeze_before: int | None = None,
    replay: Plan | None = None,
    on_progress: OnProgress | None = None,
    engine: Literal["search", "routing"] = "search",
    threads: int = 1,
    should_stop: ShouldStop | None = None,
) -> Plan:
    """The best plan found in time_limit_s seconds or max_work iterations of all threads together, whichever comes
    first; one must be given.

    With max_work alone the plan is a function of problem, start, seed, threads and max_work. start: a plan to improve
    on; what of it does not fit any more is planned anew, and `Weights.move_cents` counts against it. freeze_before:
    stops of `start` that begin before this instant keep technician and time. replay: an earlier answer to the same
    question, whose epochs and merges are followed instead of any limit. on_progress: called about five times a second
    and at the end. should_stop: asked as often; when true the best plan so far is the answer. engine: `search` (ruin
    and recreate with recombination) or `routing` (OR-Tools' routing library). threads: how many search side by side.

    Every pinned visit that can be served is; every visit that fits somewhere within its prize is in the plan. A problem
    whose travel is no matrix is solved by `decomposition`, where that holds among neighbours. Raises `InvalidProblem`
    for limits or plans that make no sense.
    """
    if replay is not None:
        time_limit_s, max_work, seed = (
            None,
            sum(sum(epoch.iterations) for epoch in replay.epochs),
            replay.seed,
        )
        threads = max([1, *(len(epoch.iterations) for epoch in replay.epochs)])
    _check_limits(time_limit_s, max_work, seed, threads)
    if freeze_before is not None:
        problem = frozen(problem, start, freeze_before)
    if not isinstance(problem.travel, TravelMatrix):
        if engine == "routing" or replay is not None:
            raise InvalidProblem("travel", "the routing engine and a replay need a matrix")
        from optimizer.decomposition import solve_decomposed

        return solve_decomposed(
            problem, time_limit_s=time_limit_s, max_work=max_work, seed=seed, start=start, on_progress=on_progress,
            should_stop=should_stop, threads=threads,
        )  # fmt: skip
    problem = cast(Problem, problem)
    if engine == "routing":
        from optimizer.routing import solve_by_routing

        if time_limit_s is None:
            raise InvalidProblem("time_limit_s", "the routing engine is bounded by time alone")
        return solve_by_routing(problem, time_limit_s, seed, start, on_progress, should_stop)
    run = Run.of(problem, seed, start, Budget(time_limit_s, max_work), on_progress, should_stop, threads)
    with ThreadPoolExecutor(max(1, threads - 1), "search") as executor:
        run.begin()
        if replay is None:
            run.cool_down(executor)
        else:
            run.repeat(executor, replay)
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


def frozen(problem: Problem[Travel], start: Plan | None, before: int) -> Problem[Travel]:
    """The problem with every stop of `start` that begins before this instant pinned to its technician and time,
    unless a person has pinned the visit to something else."""
    routes = start.routes if start is not None else ()
    pins = {
        stop.visit: Pin(route.technician, stop.start)
        for route in routes
        for stop in route.stops
        if stop.start < before
    }

    def held(visit: Visit) -> Visit:
        pin = pins.get(visit.id)
        free = visit.pin is None or (pin is not None and visit.pin == Pin(pin.technician))
        return replace(visit, pin=pin) if pin is not None and free else visit

    return replace(problem, visits=tuple(held(visit) for visit in problem.visits))


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
    """One solve. laid_out: `arrays` for the search, see `proximity.side_by_side`. best_*: the best plan so far, rows of
    visits by shift, and its ticks."""

    problem: Problem
    fleet: Fleet
    arrays: ProblemArrays
    laid_out: ProblemArrays
    near: tuple[Indices, Indices]
    teams: list[Team]
    seed: int
    start: Plan | None
    budget: Budget
    on_progress: OnProgress | None
    should_stop: ShouldStop | None
    threads: int
    best_visits: Indices
    best_length: Indices
    best_cost: int
    epochs: list[Epoch] = field(default_factory=list)
    merges: list[Merge] = field(default_factory=list)
    hottest: float = HOTTEST
    told_at: float = -PROGRESS_S
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
        fleet = Fleet.of(problem.shifts, problem.travel, problem.visits)
        arrays = build_arrays(problem, fleet, technician_by_visit(start))
        laid_out = side_by_side(arrays)
        neighbours = near(laid_out)
        team = team_for(problem, laid_out, neighbours, threads, seed)
        return cls(
            problem, fleet, arrays, laid_out, neighbours, [team], seed, start, budget, on_progress, should_stop,
            threads,
            team.first.best_visits.copy(), team.first.best_length.copy(), team.best_cost,
            hottest=HOTTEST if start is None else REHEATED,
        )  # fmt: skip

    def begin(self) -> None:
        """The first plan: the start plan's routes, and all that is not in it where it costs least. Then either one
        plan for all workers, or as many plans where it is too small to be dealt out."""
        team = self.teams[0]
        if self.start is not None:
            load(team, *plan_rows(self.problem, self._still_valid(self.start)))
            self._note(team)
        if self.problem.visits and self.problem.shifts:
            construct(team, FEW_SHIFTS_FIRST)
        self._note(team)
        too_small = team.used < FEWEST_ROUTES_A_ZONE * self.threads
        if self.threads > 1 and (too_small or has_links(self.problem)):
            self.teams = [self._team_of_one(self.seed + n) for n in range(self.threads)]
            self._load(team.first.best_visits.copy(), team.first.best_length.copy())
        self._tell()

    def cool_down(self, executor: Executor) -> None:
        """Simulated annealing over the budget, with the recombinations in between."""
        if not self.problem.visits or not self.problem.shifts:
            return
        merges = list(MERGE_AT)
        while self.budget.fraction < 1 and not self._stopped():
            if merges and self.budget.fraction >= merges[0]:
                merges.pop(0)
                self._merge()
            self._anneal(executor, Epoch(self._iterations(), self._temperature()))
            self._tell()

    def repeat(self, executor: Executor, earlier: Plan) -> None:
        """The epochs and merges of an earlier run."""
        merges = {merge.after_epochs: merge for merge in earlier.merges}
        for count in range(len(earlier.epochs) + 1):
            if count in merges:
                self.merges.append(merges[count])
                self._go_on_from(merges[count])
            if count < len(earlier.epochs):
                self._anneal(executor, earlier.epochs[count])
                self._tell()

    def finish(self) -> Plan:
        """The best plan, filled up with what still fits, told with its reasons."""
        team = self._team_of_one(self.seed) if len(self.teams) > 1 else self.teams[0]
        team.gather()
        load(team, self.best_visits, self.best_length)
        probe(team)
        routes = tuple(self._route(team, shift) for shift in np.flatnonzero(team.routes.row["length"]))
        plan = Plan(routes=routes, unserved=(), engine="search", seed=self.seed)
        plan = replace(
            plan,
            unserved=explain_unserved(self.problem, plan, self.fleet, self.arrays),
            objective=objective(self.problem, plan, self.start),
            iterations=self.budget.iterations,
            merges=tuple(self.merges),
            epochs=tuple(self.epochs),
            elapsed_s=self.budget.elapsed_s,
        )
        self._tell(finished=plan)
        return plan

    def _team_of_one(self, seed: int) -> Team:
        return team_for(self.problem, self.laid_out, self.near, 1, seed)

    def _iterations(self) -> tuple[int, ...]:
        """What each worker does next: as much as fits into an epoch, less if the end is near."""
        if self.budget.max_work is not None:
            share = min(EPOCH_ITERATIONS, max(1, int(self.budget.max_work * EPOCH_SHARE)))
            left = self.budget.max_work - self.budget.iterations
            return tuple(max(0, min(share, left - share * n)) for n in range(self.threads))
        assert self.budget.time_limit_s is not None
        assert self.budget.search_s is not None
        seconds = min(EPOCH_S, EPOCH_SHARE * self.budget.time_limit_s)
        seconds = min(seconds, self.budget.search_s - self.budget.elapsed_s)
        count = max(1, int(self.iterations_per_s * seconds)) if self.epochs else FIRST_ITERATIONS
        return (count,) * self.threads

    def _anneal(self, executor: Executor, epoch: Epoch) -> None:
        began = time.monotonic()
        if len(self.teams) == 1:
            self.teams[0].deal()
            self.teams[0].iterate(executor, epoch.iterations, epoch.temperature)
        else:
            tasks = [
                executor.submit(team.iterate, executor, (count,), epoch.temperature)
                for team, count in zip(self.teams[1:], epoch.iterations[1:], strict=True)
            ]
            self.teams[0].iterate(executor, epoch.iterations[:1], epoch.temperature)
            for task in tasks:
                task.result()
        for team in self.teams:
            self._note(team)
        self.epochs.append(epoch)
        self.budget.iterations += sum(epoch.iterations)
        rate = max(epoch.iterations) / max(time.monotonic() - began, 1e-6)
        self.iterations_per_s = rate if len(self.epochs) < 3 else 0.7 * self.iterations_per_s + 0.3 * rate

    def _temperature(self) -> float:
        """Ticks; see `HOTTEST` and `COLDEST`."""
        prize = PRIZE_SHARE * float(np.median(self.arrays.visit["prize"]))
        scale = min(max(1.0, detour_of_a_visit(self.laid_out, self.best_visits, self.best_length)), prize)
        return scale * float(self.hottest * (COLDEST / self.hottest) ** self._fraction())

    def _fraction(self) -> float:
        """How far the annealing is, 0 to 1."""
        return self.budget.fraction

    def _merge(self) -> None:
        limit_s = None
        if self.budget.time_limit_s is not None:
            limit_s = min(LONGEST_MERGE_S, MERGE_SHARE * self.budget.time_limit_s)
        if has_links(self.problem) or (limit_s is not None and not self._has_time_to_merge(limit_s)):
            self._share_best()
            return
        began = self.budget.elapsed_s
        before = self.best_cost
        self._load(self.best_visits, self.best_length)
        incumbent = Incumbent(
            self.best_visits, self.best_length, self.teams[0].routes.row["cost"].copy(), self.best_cost
        )
        pools = [pool for team in self.teams for pool in team.pools]
        match = recombine(self.arrays, incumbent, pools, time_limit_s=limit_s, workers=self.threads)
        merge = Merge(
            after_epochs=len(self.epochs),
            columns=match.columns,
            status=match.status,
            before_cents=cents(before),
            after_cents=cents(before),
            elapsed_s=self.budget.elapsed_s - began,
            routes=None if match.routes is None else self._by_id(*match.routes),
        )
        self._go_on_from(merge)
        self.merges.append(replace(merge, after_cents=cents(self.best_cost)))

    def _has_time_to_merge(self, limit_s: float) -> bool:
        """Where one recombination was not done in its time, the next will not be."""
        in_vain = any(merge.status == "UNKNOWN" for merge in self.merges)
        assert self.budget.time_limit_s is not None
        left_s = self.budget.time_limit_s - self.budget.elapsed_s
        return not in_vain and limit_s >= SHORTEST_MERGE_S and left_s >= 2 * limit_s

    def _share_best(self) -> None:
        """In the place of a recombination, where there is no time for one or the problem has links, which it does not
        know: all teams go on from the best plan."""
        if len(self.teams) > 1:
            cost = cents(self.best_cost)
            merge = Merge(len(self.epochs), 0, "NOT_ASKED", cost, cost, elapsed_s=0.0)
            self._go_on_from(merge)
            self.merges.append(merge)

    def _go_on_from(self, merge: Merge) -> None:
        """From the routes of the merge if it found any, else from the best plan."""
        if merge.routes is None:
            self._load(self.best_visits, self.best_length)
            return
        row_of = {visit.id: row for row, visit in enumerate(self.problem.visits)}
        visits, length = np.zeros_like(self.best_visits), np.zeros_like(self.best_length)
        for shift, work in enumerate(self.problem.shifts):
            route = [row_of[visit] for visit in merge.routes.get(work.id, ())]
            visits[shift, : len(route)], length[shift] = route, len(route)
        self._load(visits, length)

    def _by_id(self, visits: Indices, length: Indices) -> dict[str, tuple[str, ...]]:
        return {
            self.problem.shifts[shift].id: tuple(
                self.problem.visits[row].id for row in visits[shift, : length[shift]]
            )
            for shift in np.flatnonzero(length)
        }

    def _load(self, visits: Indices, length: Indices) -> None:
        """Every team goes on from this plan."""
        for team in self.teams:
            team.gather()
            load(team, visits, length)
            self._note(team)

    def _note(self, team: Team) -> None:
        """The best plan, if the team has found a better one."""
        if team.best_cost < self.best_cost:
            self.best_cost = team.best_cost
            self.best_length[:] = team.first.best_length
            self.best_visits[:] = team.first.best_visits

    def _stopped(self) -> bool:
        return self.should_stop is not None and self.should_stop()

    def _tell(self, finished: Plan | None = None) -> None:
        elapsed_s = self.budget.elapsed_s
        if self.on_progress is None or (finished is None and elapsed_s - self.told_at < PROGRESS_S):
            return
        self.told_at = elapsed_s
        self.on_progress(
            Progress(
                elapsed_s=elapsed_s,
                fraction=1.0 if finished is not None else self.budget.fraction,
                iterations=self.budget.iterations,
                cost_cents=cents(self._cost()) if finished is None else finished.cost_cents,
                unserved=len(self.problem.visits) - int(self.best_length.sum()),
            )
        )

    def _cost(self) -> int:
        """Ticks of the best plan without the surcharge of pinned visits left out."""
        left_out = set(range(len(self.problem.visits)))
        for shift in np.flatnonzero(self.best_length):
            left_out.difference_update(self.best_visits[shift, : self.best_length[shift]].tolist())
        pinned = [row for row in left_out if self.problem.visits[row].pin is not None]
        prizes = sum(self.problem.prize_cents(self.problem.visits[row]) for row in pinned) * TICKS_PER_CENT
        return self.best_cost - int(self.arrays.visit["prize"][pinned].sum()) + prizes

    def _route(self, team: Team, shift: np.int64) -> Route:
        assert refresh(team.arrays, team.routes, int(shift))
        return route_of(self.problem, team.arrays, team.routes, int(shift))

    def _still_valid(self, plan: Plan) -> Plan:
        """The plan without what the problem does not know, has twice or does not allow any more."""
        row_of = {visit.id: row for row, visit in enumerate(self.problem.visits)}
        shift_of = {shift.id: row for row, shift in enumerate(self.problem.shifts)}
        routes: dict[str, Route] = {}
        seen: set[str] = set()
        for route in plan.routes:
            if route.shift not in shift_of or route.shift in routes:
                continue
            may = self.arrays.pair["allowed"][:, shift_of[route.shift]]
            stops = tuple(
                stop
                for stop in route.stops
                if stop.visit in row_of and stop.visit not in seen and may[row_of[stop.visit]]
            )
            seen.update(stop.visit for stop in stops)
            routes[route.shift] = replace(route, stops=stops)
        return replace(plan, routes=tuple(routes.values()))


def warm(*, links: bool = False) -> None:
    """Compiles the kernels, or loads them from the cache on disk, by solving a few visits. Takes a minute the first
    time and a second later; with those of crews and orders (links) twice as long."""
    warm_travel()
    warm_standing()
    shifts, day = FEWEST_ROUTES_A_ZONE * 2, TimeWindow(0, 3600)
    travel = np.full((2, 2), 60, np.int32)
    visits = tuple(Visit(f"visit {n}", n % 2, 60, (day,)) for n in range(shifts))
    problem = Problem(
        visits,
        tuple(
            Shift(f"shift {n}", f"technician {n}", day, 0, 0, breaks=(Break(day, 60),), max_visits=1)
            for n in range(shifts)
        ),
        TravelMatrix(travel, travel),
    )
    plan = solve(problem, max_work=10)
    solve(problem, max_work=10, start=plan, threads=2)
    recommend(problem, plan, visits[0].id)
    late = replace(visits[0], sla=Sla(0, 1))
    recommend(replace(problem, visits=(late, *visits[1:])), plan, late.id)
    if links:
        solve(replace(problem, crews=(Crew((visits[0].id, visits[1].id)),)), max_work=10)
