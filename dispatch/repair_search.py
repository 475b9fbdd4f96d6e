"""Where visits that lost their place go, so that as few others as possible are moved: plain data, by the insertion
kernels alone, no search that would take longer than somebody waits.

For each visit, the one with the fewest ways out first, three things are tried until one helps: a gap in which nobody
else is moved, even in time; a place where others are moved in time alone, inside what they were promised; and one from
which another visit, which nobody has committed to, goes on to a gap elsewhere.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np

import optimizer
from dispatch.plan_task import cents_of, moves_of
from dispatch.settling import Stands, calm_route
from optimizer import Infeasible, Pin, Plan, PreparedRoutes, Problem, Route, Shift, TimeWindow, Visit

MOST_TRIED = 12
"""Of the cheapest places, how many are looked at for how many visits they would move."""
LONGEST_DELAY_S = 12 * 3_600
"""How long after its shift, or its window, a visit may still begin that its technician is to keep although late."""


class Unreachable(Exception):
    """A visit that is its technician's alone cannot be reached any more, however late."""

    def __init__(self, visit_id: str) -> None:
        super().__init__(visit_id)
        self.visit_id = visit_id


@dataclass(frozen=True, slots=True)
class Wish:
    """A visit to be placed. windows: when it may start; is_urgent: in the first of them in which somebody can."""

    visit_id: str
    windows: tuple[TimeWindow, ...]
    is_urgent: bool = False


@dataclass(frozen=True, slots=True)
class _Way:
    """One way to place a visit. window: which of the wish's, 0 where that does not matter. exchanged: the visit that
    goes elsewhere for it."""

    window: int
    moves: int
    cents: int
    routes: Mapping[str, Route]
    wish: Wish
    within: TimeWindow | None = None
    exchanged: Visit | None = None

    @property
    def rank(self) -> tuple[int, int, int]:
        return self.window, self.moves, self.cents


@dataclass
class RepairSearch:
    """routes: by shift, as they are to be. stands: as they were. takeable: visits that another technician may have; all
    others are their technician's alone. anchored: of these, what stays when it is in any case. as_free: a takeable one
    as anybody could have it who may."""

    problem: Problem
    routes: dict[str, Route]
    stands: Stands
    takeable: Set[str]
    anchored: Set[str]
    as_free: Callable[[str], Visit]
    placed: set[str] = field(default_factory=set)
    _ready: dict[bool, PreparedRoutes] = field(default_factory=dict)

    @property
    def plan(self) -> Plan:
        return Plan(tuple(route for route in self.routes.values() if route.stops), ())

    # A route that holds no more

    def trim(self, shift_id: str, visit_ids: Sequence[str]) -> list[str]:
        """Makes of these visits, in their order, the route of a shift; gives back those that do not fit any more and
        may be taken. What nobody else may have stays, if need be late. Raises `Unreachable`."""
        kept: list[str] = []
        out: list[str] = []
        for visit_id in visit_ids:
            if self._fits(shift_id, [*kept, visit_id]):
                kept.append(visit_id)
            elif visit_id in self.takeable:
                out.append(visit_id)
            elif (spare := self._spare(shift_id, kept, visit_id)) is not None:
                kept = [*(id_ for id_ in kept if id_ != spare), visit_id]
                out.append(spare)
            elif self._late(shift_id, [*kept, visit_id], visit_id):
                kept.append(visit_id)
            else:
                raise Unreachable(visit_id)
        self._set(shift_id, kept)
        return out

    def put_back(self, shift_id: str, visit_id: str) -> bool:
        """Into the shift where it stood, late; whether that is possible at all."""
        route = self.routes.get(shift_id)
        others = [stop.visit for stop in route.stops] if route else []
        in_turn = sorted([*others, visit_id], key=lambda id_: self.stands[id_][1])
        for sequence in (in_turn, [*others, visit_id]):
            if self._late(shift_id, sequence, visit_id):
                self._set(shift_id, sequence)
                return True
        return False

    def _spare(self, shift_id: str, kept: Sequence[str], visit_id: str) -> str | None:
        """One that may be taken, the last first, without which the visit fits."""
        return next(
            (
                other
                for other in reversed(kept)
                if other in self.takeable
                and self._fits(shift_id, [*(id_ for id_ in kept if id_ != other), visit_id])
            ),
            None,
        )

    def _late(self, shift_id: str, visit_ids: Sequence[str], late_id: str) -> bool:
        """Lets one of these visits begin after its window, and the shift end as late as that takes, but not in the one
        after it; whether they are a route then."""
        shift = next(shift for shift in self.problem.shifts if shift.id == shift_id)
        following = [
            other.window.start
            for other in self.problem.shifts
            if other.technician == shift.technician and other.window.start > shift.window.start
        ]
        longest = min([shift.window.end + LONGEST_DELAY_S, *following])
        before = self.problem
        self._lengthen(shift, longest)
        if late_id not in self.anchored:
            visit = self._visit(late_id)
            late = TimeWindow(visit.windows[0].start, visit.windows[-1].end + LONGEST_DELAY_S)
            self.change(replace(visit, windows=(late,), pin=Pin(shift.technician)))
        try:
            route = calm_route(self.problem, self.stands, shift_id, visit_ids)
        except Infeasible:
            self.problem = before
            self._ready.clear()
            return False
        self._lengthen(shift, max(shift.window.end, route.returns_at))
        return True

    def _lengthen(self, shift: Shift, end: int) -> None:
        longer = replace(shift, window=TimeWindow(shift.window.start, max(shift.window.end, end)))
        self.change_shifts({shift.id: longer})

    def change_shifts(self, changed: Mapping[str, Shift]) -> None:
        """These shifts, by id, are so from now on."""
        shifts = tuple(changed.get(shift.id, shift) for shift in self.problem.shifts)
        self.problem = replace(self.problem, shifts=shifts)
        self._ready.clear()

    # Places for visits

    def place_all(self, wishes: Iterable[Wish]) -> list[Wish]:
        """Places what can be placed; gives back what nobody can take."""
        waiting, left = list(wishes), []
        while waiting:
            held = self.prepared(held=True)
            wish = min(waiting, key=lambda wish: (self._ways_out(held, wish), wish.visit_id))
            waiting.remove(wish)
            way = self._best_way(held, wish)
            if way is None:
                left.append(wish)
            else:
                self._go(way)
        return left

    def change(self, visit: Visit) -> None:
        """The visit is so from now on."""
        visits = tuple(visit if other.id == visit.id else other for other in self.problem.visits)
        self.problem = replace(self.problem, visits=visits)
        self._ready.clear()

    def prepared(self, *, held: bool) -> PreparedRoutes:
        """The day as it is now, for many questions. held: with all visits where they are, to the second."""
        if held not in self._ready:
            problem = self._held() if held else self.problem
            fleet = next((other.fleet for other in self._ready.values()), None)
            self._ready[held] = PreparedRoutes(problem, self.plan, fleet)
        return self._ready[held]

    def _ways_out(self, held: PreparedRoutes, wish: Wish) -> int:
        question = held.question(wish.visit_id, wish.windows)
        node, _, _ = held.place(held.arrays, held.routes, question, question.allowed)
        return int((node >= 0).any(axis=1).sum())

    def _best_way(self, held: PreparedRoutes, wish: Wish) -> _Way | None:
        found = self._into_a_gap(held, wish, wish.windows)
        for attempt in (self._moving_in_time, self._by_exchange):
            sooner = wish.windows if found is None else wish.windows[: found.window]
            if sooner:
                better = attempt(held, wish, sooner)
                found = better if found is None else min(filter(None, (found, better)), key=lambda w: w.rank)
        return found

    def _into_a_gap(self, held: PreparedRoutes, wish: Wish, windows: Sequence[TimeWindow]) -> _Way | None:
        return self._first(self._places(held, wish, windows)[:1], wish, windows)

    def _moving_in_time(self, held: PreparedRoutes, wish: Wish, windows: Sequence[TimeWindow]) -> _Way | None:
        free = self.prepared(held=False)
        return self._first(self._places(free, wish, windows)[:MOST_TRIED], wish, windows)

    def _places(
        self, prepared: PreparedRoutes, wish: Wish, windows: Sequence[TimeWindow]
    ) -> list[tuple[int, int, int]]:
        """Shift, window and node of the places, the best first; of an urgent wish only in the first window that has
        any."""
        question = prepared.question(wish.visit_id, windows)
        node, _, ticks = prepared.place(prepared.arrays, prepared.routes, question, question.allowed)
        where = np.argwhere(node >= 0)
        if wish.is_urgent and len(where):
            where = where[where[:, 1] == where[:, 1].min()]
        order = np.argsort(ticks[where[:, 0], where[:, 1]], kind="stable")
        return [(shift, window, int(node[shift, window])) for shift, window in where[order].tolist()]

    def _first(
        self, places: Iterable[tuple[int, int, int]], wish: Wish, windows: Sequence[TimeWindow]
    ) -> _Way | None:
        """Of these places, the one that moves fewest."""
        ways = [
            way
            for shift, window, node in places
            if (way := self._way(wish, shift, window, node, windows[window])) is not None
        ]
        return min(ways, key=lambda way: way.rank, default=None)

    def _way(self, wish: Wish, shift: int, window: int, node: int, within: TimeWindow) -> _Way | None:
        shift_id = self.problem.shifts[shift].id
        route = self._with(shift_id, wish.visit_id, node, within)
        return None if route is None else self._told(wish, window, {shift_id: route}, within)

    def _with(
        self,
        shift_id: str,
        visit_id: str,
        node: int,
        within: TimeWindow | None,
        without: str | None = None,
        problem: Problem | None = None,
    ) -> Route | None:
        standing = self.routes.get(shift_id)
        sequence = [stop.visit for stop in standing.stops if stop.visit != without] if standing else []
        sequence.insert(node, visit_id)
        asked = None if within is None else {visit_id: [within]}
        try:
            return calm_route(problem or self.problem, self.stands, shift_id, sequence, asked)
        except Infeasible:
            return None

    def _told(
        self,
        wish: Wish,
        window: int,
        routes: Mapping[str, Route],
        within: TimeWindow,
        exchanged: Visit | None = None,
    ) -> _Way:
        old = [self.routes[shift_id] for shift_id in routes if shift_id in self.routes]
        visits = {stop.visit for route in (*old, *routes.values()) for stop in route.stops} - {wish.visit_id}
        return _Way(
            window=window if wish.is_urgent else 0,
            moves=len(moves_of(self.stands, visits, routes.values())),
            cents=cents_of(self.problem, list(routes.values())) - cents_of(self.problem, old),
            routes=routes,
            wish=wish,
            within=within if wish.is_urgent else None,
            exchanged=exchanged,
        )

    def _by_exchange(self, held: PreparedRoutes, wish: Wish, windows: Sequence[TimeWindow]) -> _Way | None:
        """Takes another visit out of a route for it, which finds a gap in somebody else's."""
        question = held.question(wish.visit_id, windows)
        found: list[tuple[int, int, int, Visit, int, int, int]] = []
        for row, shift in enumerate(self.problem.shifts):
            route = self.routes.get(shift.id)
            if route is None or not question.allowed[row]:
                continue
            here = np.arange(len(self.problem.shifts)) == row
            for stop in route.stops:
                if stop.visit in self.placed or stop.visit not in self.takeable:
                    continue
                routes = held.without(stop.visit)
                node, _, ticks = held.place(held.arrays, routes, question, question.allowed & here)
                if (node[row] < 0).all():
                    continue
                window = int(np.argmax(node[row] >= 0)) if wish.is_urgent else int(np.argmin(ticks[row]))
                other = self.as_free(stop.visit)
                asked = held.question(other)
                gap, _, more = held.place(held.arrays, routes, asked, asked.allowed & ~here)
                if (gap < 0).all():
                    continue
                to, at = np.unravel_index(int(np.argmin(more)), more.shape)
                cost = int(ticks[row, window]) + int(more[to, at])
                rank = window if wish.is_urgent else 0
                found.append((rank, cost, row, other, window, int(node[row, window]), int(to)))
        found.sort(key=lambda item: (item[0], item[1], item[3].id))
        ways = (self._exchange(held, wish, windows, item) for item in found[:MOST_TRIED])
        return min((way for way in ways if way is not None), key=lambda way: way.rank, default=None)

    def _exchange(
        self,
        held: PreparedRoutes,
        wish: Wish,
        windows: Sequence[TimeWindow],
        item: tuple[int, int, int, Visit, int, int, int],
    ) -> _Way | None:
        _, _, row, other, window, node, to = item
        here, there = self.problem.shifts[row].id, self.problem.shifts[to].id
        asked = held.question(other)
        only = np.arange(len(self.problem.shifts)) == to
        gap, _, ticks = held.place(held.arrays, held.without(other.id), asked, asked.allowed & only)
        at = int(np.argmin(ticks[to]))
        visits = tuple(other if visit.id == other.id else visit for visit in self.problem.visits)
        problem = replace(self.problem, visits=visits)
        given = self._with(here, wish.visit_id, node, windows[window], without=other.id)
        taken = self._with(there, other.id, int(gap[to, at]), None, problem=problem)
        if given is None or taken is None:
            return None
        return self._told(wish, window, {here: given, there: taken}, windows[window], other)

    def _go(self, way: _Way) -> None:
        self.placed.add(way.wish.visit_id)
        if way.within is not None:
            self.change(replace(self._visit(way.wish.visit_id), windows=(way.within,)))
        if way.exchanged is not None:
            self.placed.add(way.exchanged.id)
            self.change(way.exchanged)
        self.routes |= way.routes
        self._ready.clear()

    # What it stands on

    def require_sound(self, shift_ids: Iterable[str]) -> None:
        """The verifier's word on the routes of these shifts. Raises `RuntimeError`: it would be an error of ours."""
        chosen = set(shift_ids)
        routes = tuple(self.routes[id_] for id_ in chosen if id_ in self.routes)
        served = {stop.visit for route in routes for stop in route.stops}
        part = Problem(
            tuple(visit for visit in self.problem.visits if visit.id in served),
            tuple(shift for shift in self.problem.shifts if shift.id in chosen),
            self.problem.travel,
        )
        broken = optimizer.check(part, Plan(routes, ()))
        if broken:
            raise RuntimeError(f"the repair is not sound: {broken[0].detail}")

    def _held(self) -> Problem:
        """Whatever is in a route is where it is."""
        at = {
            stop.visit: (route.technician, stop.start)
            for route in self.routes.values()
            for stop in route.stops
        }

        def held(visit: Visit) -> Visit:
            technician, start = at[visit.id]
            return replace(visit, windows=(TimeWindow(start, start),), pin=Pin(technician, start))

        visits = tuple(held(visit) if visit.id in at else visit for visit in self.problem.visits)
        return replace(self.problem, visits=visits)

    def _fits(self, shift_id: str, visit_ids: Sequence[str]) -> bool:
        try:
            calm_route(self.problem, self.stands, shift_id, visit_ids)
        except Infeasible:
            return False
        return True

    def _set(self, shift_id: str, visit_ids: Sequence[str]) -> None:
        self.routes.pop(shift_id, None)
        self._ready.clear()
        if visit_ids:
            self.routes[shift_id] = calm_route(self.problem, self.stands, shift_id, visit_ids)

    def _visit(self, visit_id: str) -> Visit:
        return next(visit for visit in self.problem.visits if visit.id == visit_id)


def steps(begin: int, end: int, step_s: int) -> tuple[TimeWindow, ...]:
    """The time from begin to end in windows one after another, each shorter than step_s, the last one to the end."""
    edges = [*range(begin, max(end, begin + 1), step_s), end + 1]
    return tuple(TimeWindow(start, following - 1) for start, following in pairwise(edges))
