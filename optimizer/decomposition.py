"""Very large problems, a territory at a time.

Past some two thousand visits the search does better on parts: the matrix of a part is small, a change is judged beside
what is near, and parts are solved side by side. So the problem is cut into territories (`territories`), each is
searched as a problem of its own, and the plans are joined. Then it is cut anew, at another angle, and the search goes
on: every border lies inside a territory of a later round. All rounds together are one annealing, each begins as cool
as the one before it ended. At the end each visit left out is tried with the technicians nearest to it, whatever their
territory.

Time and memory grow in proportion to the visits: a territory's matrix is made when its turn comes and is then
forgotten; of the whole there are only the visits, the shifts and the routes.
"""

import time
from collections.abc import Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from threading import Event, Lock

import numpy as np

from optimizer.objective import objective
from optimizer.plan import Plan, Progress, Route, Unserved
from optimizer.problem import InvalidProblem, Problem, Travel
from optimizer.search import (
    PROGRESS_S,
    Budget,
    OnProgress,
    Run,
    ShouldStop,
)
from optimizer.territories import Map, Territory, cut, part_of

TERRITORY_VISITS = 1_000
"""About how many visits a territory has."""
FEWEST_TECHNICIANS = 2
"""There are not more territories than give each so many technicians."""

ROUNDS = ((0.0, 0.5), (0.5, 0.75), (0.75, 1.0))
"""Where each round begins and ends, as a share of the time or work."""
FIRST_PLAN = (0.0, 0.0)
FIRST_PLAN_FROM_S_OF_A_VISIT = 5e-3
"""With so much time on all threads together for each visit, a first round makes a plan of the whole and searches
nothing. With less, its share of the time is better spent in the first search; there is a whole plan when that ends."""
SHORTEST_S_OF_A_VISIT = 2e-4
"""A territory of a later round is not begun with less time than this for each of its visits: its matrix and arrays
alone take most of it."""

NEAREST_ABLE, NEAREST = 24, 6
"""How many technicians a visit left out is tried with at the end: the nearest that have its skills, and the nearest of
all, who tell why they cannot."""
ENDING_TECHNICIANS = 120
"""Visits left out that are near to each other are tried together as long as these are no more technicians."""
ENDING_S_OF_A_VISIT = 0.03
LONGEST_ENDING_SHARE = 0.25
"""What is kept for the end: so many seconds for each visit left out, at most this share of the limit."""


def solve_decomposed(
    problem: Problem[Travel],
    *,
    time_limit_s: float | None = None,
    max_work: int | None = None,
    seed: int = 0,
    start: Plan | None = None,
    on_progress: OnProgress | None = None,
    should_stop: ShouldStop | None = None,
    threads: int = 1,
    territory_visits: int = TERRITORY_VISITS,
) -> Plan:
    """As `search.solve`, with the same limits and the same meaning, for a problem of any size and of any `Travel`.

    Every technician's shifts, and all visits that crews or orders tie, are planned in one territory at a time. A visit
    that fits within its prize with one of the nearest technicians that have its skills (`NEAREST_ABLE`) is in the
    plan; the verdict and the reasons of a visit left out speak of these and no others. With max_work alone the plan
    is a function of problem, start, seed, threads, territory_visits and max_work. Epochs and merges are not kept, so
    that such a plan cannot be replayed. `Weights.spare_skill_cents` guides the search by what is scarce in a
    territory; the objective tells it of the whole.

    The limit is kept to within about a second, plus the time of the first plan where that alone needs more: about
    0.2 s for each thousand visits on one core. on_progress and should_stop are called by the caller's thread; what
    is told on the way is exact but for the rounding of each territory's terms to cents.
    Raises `InvalidProblem` where crews and orders tie more visits together than can be planned at once.
    """
    if time_limit_s is None and max_work is None:
        raise InvalidProblem("time_limit_s", "give time_limit_s or max_work")
    work = Decomposition.of(
        problem,
        seed,
        start,
        Budget(time_limit_s, max_work),
        on_progress,
        should_stop,
        threads,
        territory_visits,
    )
    for number in range(len(work.rounds)):
        work.run_round(number)
    work.try_with_nearest()
    return work.finish()


class Stretch(Run):
    """A run whose annealing is a part of a longer one, from one share of it to another. It does not recombine: at a
    territory's share of the time that took a fifth of it and gained under 0.03 % of the cost, where it found a plan
    at all."""

    stretch: tuple[float, float] = (0.0, 1.0)

    def _merge(self) -> None:
        pass

    def _fraction(self) -> float:
        begins, ends = self.stretch
        return begins + (ends - begins) * self.budget.fraction


class Clock:
    """Deals the time of a round out to territories, as much for each visit, `workers` side by side."""

    def __init__(self, deadline: float | None, visits: int, workers: int) -> None:
        self.deadline, self.waiting, self.workers = deadline, visits, workers
        self.ends: dict[int, float] = {}
        self.lock = Lock()

    def begin(self, number: int, visits: int) -> float | None:
        """Seconds for a territory that begins now, 0 or less if there are none; None without a limit."""
        if self.deadline is None:
            return None
        with self.lock:
            now = time.monotonic()
            taken = sum(max(0.0, end - now) for end in self.ends.values())
            free = self.workers * (self.deadline - now) - taken
            limit_s = min(self.deadline - now, free * visits / self.waiting)
            self.waiting -= visits
            self.ends[number] = now + limit_s
            return limit_s

    def end(self, number: int) -> None:
        """The territory is done, sooner than it might have been."""
        with self.lock:
            self.ends.pop(number, None)


@dataclass(frozen=True)
class Task:
    """A territory in a round. known: the plan so far of its shifts. work: iterations."""

    number: int
    territory: Territory
    round_number: int
    known: Plan
    work: int | None


@dataclass(frozen=True)
class Answer:
    """before: cents of the known plan, its own territory's alone."""

    plan: Plan
    before: int


@dataclass
class Decomposition:
    """One solve. routes: the plan so far, by shift; unserved: by visit. told: what the running territories said last;
    before: cents and visits left out of the territories when their turn came."""

    problem: Problem[Travel]
    world: Map
    seed: int
    start: Plan | None
    budget: Budget
    on_progress: OnProgress | None
    should_stop: ShouldStop | None
    threads: int
    parts: int
    routes: dict[str, Route]
    cost_cents: int
    unserved: dict[str, Unserved] = field(default_factory=dict)
    told: dict[int, Progress] = field(default_factory=dict)
    before: dict[int, tuple[int, int]] = field(default_factory=dict)
    stopping: Event = field(default_factory=Event)
    told_at: float = -PROGRESS_S
    rounds: tuple[tuple[float, float], ...] = ROUNDS
    latest: tuple[Territory, ...] = ()

    @classmethod
    def of(
        cls,
        problem: Problem[Travel],
        seed: int,
        start: Plan | None,
        budget: Budget,
        on_progress: OnProgress | None,
        should_stop: ShouldStop | None,
        threads: int,
        territory_visits: int,
    ) -> "Decomposition":
        world = Map.of(problem, seed)
        routes = _known_routes(problem, start)
        technicians = len(world.home_at)
        parts = -(-len(problem.visits) // max(1, territory_visits))
        parts = -(-parts // threads) * threads if parts > threads else parts
        parts = max(1, min(parts, technicians // FEWEST_TECHNICIANS))
        cost = sum(objective(problem, Plan(tuple(routes.values()), ()), start).values())
        return cls(
            problem, world, seed, start, budget, on_progress, should_stop, threads, parts, routes, cost,
            rounds=_rounds(budget, threads, len(problem.visits)),
        )  # fmt: skip

    def run_round(self, number: int) -> None:
        """Cuts the problem and searches each territory; in the first round each gets at least a first plan, later ones
        leave as it is what there is no time for."""
        self._watch()
        if number and (self.stopping.is_set() or self.budget.fraction >= 1):
            return
        tasks = self._tasks(number)
        workers = min(self.threads, len(tasks))
        if not workers:
            return
        clock = Clock(self._deadline(number), sum(len(task.territory.visits) for task in tasks), workers)
        with ThreadPoolExecutor(workers, "territory") as executor:
            try:
                waiting = {
                    executor.submit(self._search, task, clock, self.threads // workers) for task in tasks
                }
                while waiting:
                    done, waiting = wait(waiting, PROGRESS_S / 2, FIRST_COMPLETED)
                    self._join(done)
                    self._watch()
            except BaseException:
                self.stopping.set()
                executor.shutdown(wait=False, cancel_futures=True)
                raise

    def try_with_nearest(self) -> None:
        """Tries each visit left out with the nearest technicians, and tells why they cannot."""
        linked = {visit for crew in self.problem.crews for visit in crew.visits}
        linked |= {visit for order in self.problem.orders for visit in (order.first, order.then)}
        free = [self.world.row_of[visit] for visit in self.unserved if visit not in linked]
        nearby = Nearby.of(self.world, self.routes, linked)
        for visits, shifts in nearby.groups(np.array(sorted(free), np.int64)):
            rows = [
                self.world.row_of[stop.visit]
                for shift in shifts
                if (route := self.routes.get(self.problem.shifts[shift].id)) is not None
                for stop in route.stops
            ]
            territory = Territory(tuple(sorted([*visits, *rows])), tuple(shifts))
            part = part_of(self.problem, territory.visits, territory.shifts)
            run = Run.of(part, self.seed, self.start, Budget(None, 0), None, None, 1)
            run.start = self._known(territory)
            run.begin()
            self._take(territory, run.finish())
            self._watch()

    def finish(self) -> Plan:
        plan = Plan(
            routes=tuple(self.routes[shift.id] for shift in self.problem.shifts if shift.id in self.routes),
            unserved=tuple(self.unserved[v.id] for v in self.problem.visits if v.id in self.unserved),
            engine="search",
            seed=self.seed,
            iterations=self.budget.iterations,
        )
        plan = replace(plan, objective=objective(self.problem, plan, self.start))
        plan = replace(plan, elapsed_s=self.budget.elapsed_s)
        self.cost_cents = plan.cost_cents
        self._tell(finished=True)
        return plan

    def _tasks(self, number: int) -> list[Task]:
        """Where routes and links hold everything together, the territories of the last round are searched again; where
        those of a start plan do, its routes are left out of account and lose what lies elsewhere."""
        territories = cut(self.world, self.parts, self.routes, number, self.seed)
        if territories is None:
            territories = self.latest or cut(self.world, self.parts, {}, number, self.seed)
        assert territories is not None
        self.latest = territories
        begins, ends = self.rounds[number]
        visits = max(1, len(self.problem.visits))
        tasks = []
        for k, territory in enumerate(territories):
            work = None if begins < ends else 0
            if self.budget.max_work is not None:
                work = int(self.budget.max_work * (ends - begins) * len(territory.visits) / visits)
            tasks.append(Task(k, territory, number, self._known(territory), work))
        return tasks

    def _deadline(self, number: int) -> float | None:
        if self.budget.time_limit_s is None or self.rounds[number] == FIRST_PLAN:
            return None
        limit_s = self.budget.time_limit_s
        ending_s = min(LONGEST_ENDING_SHARE * limit_s, ENDING_S_OF_A_VISIT * len(self.unserved))
        return self.budget.began + self.rounds[number][1] * (limit_s - ending_s)

    def _known(self, territory: Territory) -> Plan:
        """The plan so far of its shifts and visits."""
        visits = {self.problem.visits[visit].id for visit in territory.visits}
        names = [self.problem.shifts[shift].id for shift in territory.shifts]
        return Plan(
            tuple(
                replace(route, stops=tuple(stop for stop in route.stops if stop.visit in visits))
                for name in names
                if (route := self.routes.get(name)) is not None
            ),
            (),
        )

    def _search(self, task: Task, clock: Clock, threads: int) -> tuple[Task, Answer | None]:
        """One territory, in a thread of its own."""
        visits = len(task.territory.visits)
        limit_s = clock.begin(task.number, visits)
        first = task.round_number == 0
        if limit_s is not None and not first and limit_s < SHORTEST_S_OF_A_VISIT * visits:
            return task, None
        if not first and self.stopping.is_set():
            return task, None
        budget = Budget(None if limit_s is None else max(1e-3, limit_s), task.work)
        part = part_of(self.problem, task.territory.visits, task.territory.shifts)
        before = sum(objective(part, task.known, self.start).values())
        self.before[task.number] = before, visits - task.known.served

        def note(progress: Progress) -> None:
            self.told[task.number] = progress

        seed = int(np.random.SeedSequence([self.seed, task.round_number, task.number]).generate_state(1)[0])
        run = Stretch.of(part, seed, self.start, budget, note, self.stopping.is_set, threads)
        assert isinstance(run, Stretch)
        run.stretch = self.rounds[task.round_number]
        run.start = task.known
        with ThreadPoolExecutor(threads, "search") as executor:
            run.begin()
            run.cool_down(executor)
        plan = run.finish()
        clock.end(task.number)
        return task, Answer(plan, before)

    def _join(self, done: set[Future[tuple[Task, Answer | None]]]) -> None:
        for future in done:
            task, answer = future.result()
            self.told.pop(task.number, None)
            self.before.pop(task.number, None)
            if answer is not None:
                self._take(task.territory, answer.plan)
                self.budget.iterations += answer.plan.iterations
                self.cost_cents += answer.plan.cost_cents - answer.before

    def _take(self, territory: Territory, plan: Plan) -> None:
        """In the place of what was known of this territory."""
        for shift in territory.shifts:
            self.routes.pop(self.problem.shifts[shift].id, None)
        for visit in territory.visits:
            self.unserved.pop(self.problem.visits[visit].id, None)
        self.routes |= {route.shift: route for route in plan.routes}
        self.unserved |= {entry.visit: entry for entry in plan.unserved}

    def _watch(self) -> None:
        """Asks whether to stop, and tells how far it is."""
        if self.should_stop is not None and not self.stopping.is_set() and self.should_stop():
            self.stopping.set()
        if self.on_progress is not None and self.budget.elapsed_s - self.told_at >= PROGRESS_S:
            self._tell()

    def _tell(self, finished: bool = False) -> None:
        if self.on_progress is None:
            return
        self.told_at = self.budget.elapsed_s
        running = [(progress, self.before[number]) for number, progress in self.told.copy().items()]
        left_out = len(self.problem.visits) - sum(len(route.stops) for route in self.routes.values())
        iterations = self.budget.iterations + sum(progress.iterations for progress, _ in running)
        self.on_progress(
            Progress(
                elapsed_s=self.told_at,
                fraction=1.0 if finished else replace(self.budget, iterations=iterations).fraction,
                iterations=iterations,
                cost_cents=self.cost_cents
                + sum(progress.cost_cents - cents for progress, (cents, _) in running),
                unserved=left_out + sum(progress.unserved - count for progress, (_, count) in running),
            )
        )


def _rounds(budget: Budget, threads: int, visits: int) -> tuple[tuple[float, float], ...]:
    limit_s = budget.time_limit_s
    if limit_s is None or limit_s * threads >= FIRST_PLAN_FROM_S_OF_A_VISIT * visits:
        return (FIRST_PLAN, *ROUNDS)
    return ROUNDS


def _known_routes(problem: Problem[Travel], start: Plan | None) -> dict[str, Route]:
    """The start plan's routes, without what the problem does not know or has twice; whether they may be as they are
    is for their territory to find out."""
    shifts, visits = {shift.id: shift for shift in problem.shifts}, {visit.id for visit in problem.visits}
    routes: dict[str, Route] = {}
    for route in start.routes if start is not None else ():
        stops = []
        for stop in route.stops:
            if stop.visit in visits:
                visits.remove(stop.visit)
                stops.append(stop)
        if route.shift in shifts and route.shift not in routes and stops:
            technician = shifts[route.shift].technician
            routes[route.shift] = replace(route, technician=technician, stops=tuple(stops))
    return routes


@dataclass(frozen=True)
class Nearby:
    """Where technicians are: points, and whose each is; of those without a place or a route none. barred: technicians
    whose routes must not be changed, because their visits are tied to others."""

    world: Map
    points: np.ndarray[tuple[int, int], np.dtype[np.float64]]
    technician: np.ndarray[tuple[int], np.dtype[np.int64]]
    floating: tuple[int, ...]
    barred: frozenset[int]

    @classmethod
    def of(cls, world: Map, routes: Mapping[str, Route], linked: set[str]) -> "Nearby":
        codes = world.rights.fleet.code_of_technician
        at = [(number, point) for number, point in enumerate(world.home_at) if np.isfinite(point[0])]
        barred = set()
        for route in routes.values():
            number = codes[route.technician]
            at += [(number, world.visit_at[world.row_of[stop.visit]]) for stop in route.stops]
            if any(stop.visit in linked for stop in route.stops):
                barred.add(number)
        somewhere = {number for number, _ in at}
        return cls(
            world,
            np.array([point for _, point in at], np.float64).reshape(-1, 2),
            np.array([number for number, _ in at], np.int64),
            tuple(number for number in range(len(world.home_at)) if number not in somewhere),
            frozenset(barred),
        )

    def groups(
        self, visits: np.ndarray[tuple[int], np.dtype[np.int64]]
    ) -> Iterator[tuple[list[int], list[int]]]:
        """The visits, those near to each other together, with the shifts of all technicians nearest to them."""
        if not len(visits):
            return
        nearest = {int(visit): self.technicians_near(int(visit)) for visit in visits}
        yield from self._groups(visits, nearest)

    def _groups(
        self, visits: np.ndarray[tuple[int], np.dtype[np.int64]], nearest: Mapping[int, frozenset[int]]
    ) -> Iterator[tuple[list[int], list[int]]]:
        together = frozenset().union(*(nearest[int(visit)] for visit in visits))
        if len(visits) == 1 or len(together) <= ENDING_TECHNICIANS:
            chosen = np.isin(self.world.technician, list(together))
            yield visits.tolist(), np.flatnonzero(chosen).tolist()
            return
        at = self.world.visit_at[visits]
        ordered = visits[np.argsort(at[:, int(np.argmax(at.std(axis=0)))], kind="stable")]
        yield from self._groups(ordered[: len(ordered) // 2], nearest)
        yield from self._groups(ordered[len(ordered) // 2 :], nearest)

    def technicians_near(self, visit: int) -> frozenset[int]:
        """The nearest that have its skills, and the nearest of all."""
        apart = np.linalg.norm(self.points - self.world.visit_at[visit], axis=1)
        order = self.technician[np.argsort(apart, kind="stable")]
        able = np.zeros(len(self.world.home_at), np.bool_)
        able[self.world.technician[self.world.rights.of(self.world.problem.visits[visit])]] = True
        able[list(self.barred)] = False
        floating = [number for number in self.floating if able[number]]
        return frozenset(
            [
                *_first_different(order[able[order]], NEAREST_ABLE),
                *_first_different(order[~np.isin(order, list(self.barred))], NEAREST),
                *floating[:NEAREST_ABLE],
            ]
        )


def _first_different(numbers: np.ndarray[tuple[int], np.dtype[np.int64]], count: int) -> list[int]:
    different, at = np.unique(numbers, return_index=True)
    return [int(number) for number in different[np.argsort(at)][:count]]
