"""What a plan run asks of the optimizer, as plain data, and its answer: no rows, no clock, so that a task that was kept
can be solved again.

**Moves.** A visit that stands in a calendar is moved by a plan that gives it to another technician, to another start,
or to nobody. What was in no calendar and is newly assigned is no move; neither is what has to go, because it stands
with somebody who does not work then any more. `max_moves` bounds their number. The objective has no such term, so that
the optimizer is asked twice: first freely; then with all visits held where they are, to the second, but for as many as
may move, chosen among those that the free answer moves. Whatever comes of that moves no more than those.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import optimizer
from dispatch.settling import Stands, calm_route
from optimizer import Pin, Plan, Problem, Progress, Route, TimeWindow, Visit
from optimizer.objective import objective

OnProgress = Callable[[Progress], None]
ShouldStop = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class PlanTask:
    """standing: what the calendars hold, where the search begins. stands: the same by visit, with those in no shift.
    time_limit_s bounds by the clock, max_work by iterations."""

    problem: Problem
    standing: Plan
    stands: Stands
    time_limit_s: float | None
    max_work: int | None
    seed: int
    max_moves: int | None = None


@dataclass(frozen=True, slots=True)
class PlanAnswer:
    """plan: with times that move as little as may be. solves: what the optimizer did, one after another; solving the
    task again with them as its record follows the same way."""

    plan: Plan
    solves: tuple[Plan, ...]


def solve_task(
    task: PlanTask,
    on_progress: OnProgress | None = None,
    should_stop: ShouldStop | None = None,
    record: Sequence[Plan] = (),
) -> PlanAnswer:
    """record: the solves of an earlier answer, which are followed instead of any limit. Raises `optimizer.Infeasible`
    where a plan within `max_moves` breaks a rule, which would be an error of ours."""
    steps = _Steps(task, on_progress, should_stop, list(record))
    movable = _movable(task)
    if task.max_moves is None or len(movable) <= task.max_moves:
        plan = calmed(task, steps.solve(task.problem, task.standing, share=1.0))
        return PlanAnswer(plan, tuple(steps.done))
    start, free = task.standing, frozenset[str]()
    if task.max_moves:
        wish = calmed(task, steps.solve(task.problem, task.standing, share=0.5))
        start, free = _worth_moving(task, wish, movable, task.max_moves)
    held = replace(task, problem=_held(task, movable - free))
    plan = calmed(held, steps.solve(held.problem, start, share=1.0 - 0.5 * len(steps.done)))
    _require_sound(task, plan, movable)
    return PlanAnswer(plan, tuple(steps.done))


class _Steps:
    """One solve after another within the limits of a task, each with its share, told as one run."""

    def __init__(
        self,
        task: PlanTask,
        on_progress: OnProgress | None,
        should_stop: ShouldStop | None,
        record: list[Plan],
    ) -> None:
        self._task, self._on_progress, self._should_stop = task, on_progress, should_stop
        self._record = record
        self._used = 0.0
        self.done: list[Plan] = []

    def solve(self, problem: Problem, start: Plan, share: float) -> Plan:
        task, used = self._task, self._used
        work = task.max_work if task.max_work is None or share == 1 else max(1, round(share * task.max_work))
        plan = optimizer.solve(
            problem,
            time_limit_s=None if task.time_limit_s is None else share * task.time_limit_s,
            max_work=work,
            seed=task.seed,
            start=start,
            replay=self._record[len(self.done)] if self._record else None,
            on_progress=None if self._on_progress is None else lambda told: self._tell(told, used, share),
            should_stop=self._should_stop,
        )
        self._used += share
        self.done.append(plan)
        return plan

    def _tell(self, told: Progress, used: float, share: float) -> None:
        assert self._on_progress is not None
        before_s = sum(plan.elapsed_s for plan in self.done)
        self._on_progress(
            replace(
                told,
                elapsed_s=before_s + told.elapsed_s,
                fraction=used + share * told.fraction,
                iterations=sum(plan.iterations for plan in self.done) + told.iterations,
            )
        )


def calmed(task: PlanTask, plan: Plan) -> Plan:
    """The same routes with as few visits as possible moved in time."""
    routes = tuple(
        calm_route(task.problem, task.stands, route.shift, [stop.visit for stop in route.stops])
        for route in plan.routes
    )
    return replace(plan, routes=routes)


def moves_of(stands: Stands, visit_ids: Iterable[str], routes: Iterable[Route]) -> set[str]:
    """Of these visits, those that stand in a calendar and that the routes move: see the top of this file."""
    given = {stop.visit: (route.technician, stop.start) for route in routes for stop in route.stops}
    return {id_ for id_ in visit_ids if id_ in stands and given.get(id_) != stands[id_]}


def _movable(task: PlanTask) -> frozenset[str]:
    """Visits in the calendars of those who work, unless their time is fixed."""
    routed = {stop.visit for route in task.standing.routes for stop in route.stops}
    return frozenset(v.id for v in task.problem.visits if v.id in routed and not _is_fixed(v))


def _is_fixed(visit: Visit) -> bool:
    return visit.pin is not None and visit.pin.start is not None


def _held(task: PlanTask, visit_ids: frozenset[str]) -> Problem:
    """The problem with these visits held where they stand."""

    def held(visit: Visit) -> Visit:
        technician_id, work_from = task.stands[visit.id]
        assert technician_id is not None
        at = (TimeWindow(work_from, work_from),)
        return replace(visit, windows=at, pin=Pin(technician_id, work_from))

    visits = tuple(held(visit) if visit.id in visit_ids else visit for visit in task.problem.visits)
    return replace(task.problem, visits=visits)


def _require_sound(task: PlanTask, plan: Plan, movable: frozenset[str]) -> None:
    """The verifier's word on a plan that was made within `max_moves`. A visit that is its technician's alone and does
    not fit where it stands is nobody's to move: applying skips its group."""
    broken = optimizer.check(task.problem, plan)
    left = {v.id for v in task.problem.visits if v.pin is not None} & {u.visit for u in plan.unserved}
    moves = moves_of(task.stands, movable - left, plan.routes)
    assert task.max_moves is not None
    if broken or len(moves) > task.max_moves:
        said = broken[0].detail if broken else f"{len(moves)} visits are moved, {task.max_moves} may be"
        raise RuntimeError(f"the plan within max_moves is not sound: {said}")


# What is worth moving


@dataclass(frozen=True, slots=True)
class _Group:
    """Technicians who exchange visits. moves: the visits that the wish moves among them; gain_cents: what all of its
    changes there save."""

    shifts: frozenset[str]
    moves: tuple[str, ...]
    gain_cents: int


def _worth_moving(
    task: PlanTask, wish: Plan, movable: frozenset[str], most: int
) -> tuple[Plan, frozenset[str]]:
    """A start within `most` moves, and the visits that may be moved: the groups of the wish that save most together,
    applied whole, and of all others the visits whose way is shortened most."""
    groups = [group for group in _wished(task, wish, movable) if group.gain_cents > 0]
    chosen = _knapsack(groups, most)
    shifts = {shift for group in chosen for shift in group.shifts}
    start = replace(
        task.standing,
        routes=tuple(r for r in task.standing.routes if r.shift not in shifts)
        + tuple(r for r in wish.routes if r.shift in shifts),
    )
    free = [visit_id for group in chosen for visit_id in group.moves]
    shorter = _shortened_s(task.problem, task.standing, wish)
    others = [visit_id for group in groups if group not in chosen for visit_id in group.moves]
    others.sort(key=lambda visit_id: (-shorter.get(visit_id, 0), visit_id))
    return start, frozenset([*free, *others[: most - len(free)]])


def _wished(task: PlanTask, wish: Plan, movable: frozenset[str]) -> list[_Group]:
    shift_of = {shift.id: shift.technician for shift in task.problem.shifts}
    routes = {route.shift: [stop.visit for stop in route.stops] for route in wish.routes}
    return [
        _group(task, wish, movable, frozenset(s for s, technician in shift_of.items() if technician in group))
        for group in exchanging(task.standing, routes, shift_of)
    ]


def _group(task: PlanTask, wish: Plan, movable: frozenset[str], shifts: frozenset[str]) -> _Group:
    old = [route for route in task.standing.routes if route.shift in shifts]
    new = [route for route in wish.routes if route.shift in shifts]
    visits = {stop.visit for route in (*old, *new) for stop in route.stops} & movable
    gain = cents_of(task.problem, old) - cents_of(task.problem, new)
    return _Group(shifts, tuple(sorted(moves_of(task.stands, visits, new))), gain)


def cents_of(problem: Problem, routes: Sequence[Route]) -> int:
    """All terms of the objective, as if nothing else were served: differences are what the whole plan's are."""
    return sum(objective(problem, Plan(tuple(routes), ())).values())


def _knapsack(groups: Sequence[_Group], most: int) -> list[_Group]:
    """Those that save most together within so many moves."""
    best: list[tuple[int, tuple[int, ...]]] = [(0, ())] * (most + 1)
    for index, group in enumerate(groups):
        size = len(group.moves)
        for room in range(most, size - 1, -1):
            gain, members = best[room - size]
            if gain + group.gain_cents > best[room][0]:
                best[room] = gain + group.gain_cents, (*members, index)
    return [groups[index] for index in best[most][1]]


def _shortened_s(problem: Problem, standing: Plan, wish: Plan) -> dict[str, int]:
    """By how much the way through each visit is shorter in the wish."""
    before, after = _detours_s(problem, standing), _detours_s(problem, wish)
    return {visit_id: before[visit_id] - after.get(visit_id, 0) for visit_id in before}


def _detours_s(problem: Problem, plan: Plan) -> dict[str, int]:
    place_of = {visit.id: visit.place for visit in problem.visits}
    shift_of = {shift.id: shift for shift in problem.shifts}
    found: dict[str, int] = {}
    for route in plan.routes:
        shift = shift_of[route.shift]
        places = [shift.start_place, *(place_of[stop.visit] for stop in route.stops), shift.end_place]
        for index, stop in enumerate(route.stops, start=1):
            before, at, after = places[index - 1 : index + 2]
            way = _way_s(problem, before, at) + _way_s(problem, at, after)
            found[stop.visit] = way - _way_s(problem, before, after)
    return found


def _way_s(problem: Problem, origin: int | None, destination: int | None) -> int:
    return 0 if origin is None or destination is None else problem.travel.leg(origin, destination)[0]


def exchanging(
    standing: Plan, routes: Mapping[str, Sequence[str]], technician_of: Mapping[str, str]
) -> list[set[str]]:
    """Technicians whose days change, those that exchange visits together. routes: the visits of each shift, in order,
    as they are to be."""
    old = {stop.visit: route.technician for route in standing.routes for stop in route.stops}
    new = {visit_id: technician_of[shift] for shift, ids in routes.items() for visit_id in ids}
    before = {route.shift: [stop.visit for stop in route.stops] for route in standing.routes}
    changed = {
        technician_of[shift]
        for shift in before.keys() | routes.keys()
        if before.get(shift, []) != list(routes.get(shift, []))
    }
    group_of = {technician: {technician} for technician in sorted(changed)}
    for visit_id, technician in old.items():
        other = new.get(visit_id, technician)
        if other != technician and group_of[technician] is not group_of[other]:
            joined = group_of[technician] | group_of[other]
            for member in joined:
                group_of[member] = joined
    distinct = {id(group): group for group in group_of.values()}
    return list(distinct.values())
