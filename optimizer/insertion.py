"""Where could this visit go? One answer for slots, candidates, offers and overrides.

All other visits stay with their technician and in their order; they may shift in time inside their own
windows, those pinned in time not at all. The check of each position is exact and made of the same kernels as
the solver's.
"""

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from optimizer.arrays import (
    NEVER,
    Indices,
    Ints,
    ProblemArrays,
    assignment_ticks,
    build_arrays,
    cents,
    windows_of,
)
from optimizer.eligibility import UNLIMITED, Fleet, broken_rules, grouped, reason_for, rules_for
from optimizer.kernel import allocating_kernel, inner_kernel, int64, kernel
from optimizer.links import PlannedLinks, Tied, has_links, served_with
from optimizer.plan import Plan, Reason, ReasonCode
from optimizer.problem import UNREACHABLE, InvalidProblem, Problem, TimeWindow, Visit
from optimizer.schedule import (
    Routes,
    detour,
    duration_with,
    empty_routes,
    fairness_with,
    has_room,
    insert_after,
    is_too_far,
    refresh_all,
    remove_node,
    span_of_starts,
    timetable,
)


@dataclass(frozen=True, slots=True)
class Insertion:
    """A place for the visit in a route. window: index of the asked window. position: the number of stops
    before it. start: the earliest instant in that window at this position; the cheapest position was taken.
    extra_*: what the route grows by; extra_cents may be negative where a preferred technician or a shorter
    way through the stop makes up.
    """

    shift: str
    technician: str
    window: int
    position: int
    start: int
    end: int
    extra_travel_s: int
    extra_travel_m: int
    extra_cents: int


@dataclass(frozen=True, slots=True)
class Recommendation:
    """insertions: the cheapest first, of equal ones the earliest; one for each shift and window. reasons: why
    other technicians cannot. would_fit_if: if none can, what would change that."""

    visit: str
    insertions: tuple[Insertion, ...]
    reasons: tuple[Reason, ...]
    would_fit_if: tuple[Reason, ...] = ()


@allocating_kernel
def insertions(
    arrays: ProblemArrays,
    routes: Routes,
    allowed: NDArray[np.bool_],
    assign: Ints,
    place: int,
    service_s: Ints,
    load: Ints,
    opens: Ints,
    closes: Ints,
    node: Indices,
    start: Ints,
    ticks: Ints,
) -> None:
    """Fills, for every shift and window, the node behind which the visit costs least (-1 for none), its
    earliest start there and what it costs. allowed, assign, service_s: by shift. opens, closes: [windows]. Leaves
    out the shifts that are `timed`."""
    first = np.empty(arrays.pauses.shape[1] + 1, np.int64)
    last = np.empty_like(first)
    node[:] = -1
    ticks[:] = NEVER
    for shift in range(len(allowed)):
        if allowed[shift] and not arrays.shift[shift].timed and has_room(arrays, routes, shift, load):
            insertions_into(
                arrays, routes, shift, assign[shift], place, arrays.leg[place], arrays.leg_to[place],
                service_s[shift], opens, closes, first, last, node[shift], start[shift], ticks[shift],
            )  # fmt: skip


@inner_kernel
def insertions_into(
    arrays: ProblemArrays,
    routes: Routes,
    shift: int,
    assign: int,
    place: int,
    onward: NDArray[np.int32],
    inward: NDArray[np.int32],
    service_s: int,
    opens: Ints,
    closes: Ints,
    first: Ints,
    last: Ints,
    node: Indices,
    start: Ints,
    ticks: Ints,
) -> None:
    """As `insertions`, for one shift that has room. onward, inward: seconds and metres from the visit's place to every
    other and back. first, last: see `schedule.span_of_starts`."""
    work, nodes = arrays.shift[shift], routes.node[shift]
    ready, latest, pauses = routes.ready[shift], routes.latest[shift], arrays.pauses[shift]
    fixed = assign + (work.fixed if routes.row[shift].length == 0 else 0)
    for k in range(routes.row[shift].length + 1):
        origin, destination = nodes[k].place, nodes[k + 1].place
        in_s, out_s = int64(inward[origin, 0]), int64(onward[destination, 0])
        metres = int64(inward[origin, 1]) + onward[destination, 1]
        cost = fixed + (in_s + out_s) * work.per_s + metres * work.per_m - nodes[k].hop
        if work.fairness > 0:
            cost += fairness_with(arrays, routes, shift, k, in_s + out_s + service_s)
        earliest, by = ready[k, 0] + in_s, latest[k + 1, 0] - out_s - service_s
        if work.breaks > 0:
            span_of_starts(ready[k], latest[k + 1], pauses, work.breaks, in_s, out_s, first, last)
            earliest, by = _hull(first, last, work.breaks, service_s)
        if earliest > by or (work.far and is_too_far(arrays, routes, shift, k, place)):
            continue
        longest = work.max_duration_s
        for w in range(len(opens)):
            if cost > ticks[w] or closes[w] < earliest or opens[w] > by:
                continue
            begin = max(earliest, opens[w])
            if work.breaks > 0:
                begin = _first_start(first, last, work.breaks, service_s, opens[w], closes[w])
            if begin == NEVER or (cost == ticks[w] and begin >= start[w]):
                continue
            if longest < UNLIMITED:
                lasts_s = duration_with(arrays, routes, shift, k, in_s, out_s, service_s, opens[w], closes[w])
                if lasts_s > longest:
                    continue
            node[w], start[w], ticks[w] = k, begin, cost


@inner_kernel
def _hull(first: Ints, last: Ints, breaks: int, service_s: int) -> tuple[int, int]:
    """The earliest and the latest start that any number of breaks taken before it allows."""
    earliest, by = NEVER, -NEVER
    for b in range(breaks + 1):
        if first[b] + service_s <= last[b]:
            earliest, by = min(earliest, first[b]), max(by, last[b] - service_s)
    return earliest, by


@inner_kernel
def _first_start(first: Ints, last: Ints, breaks: int, service_s: int, opens: int, closes: int) -> int:
    """As `schedule.first_start`, for one window."""
    earliest = NEVER
    for b in range(breaks + 1):
        start = max(first[b], opens)
        if start <= closes and start + service_s <= last[b]:
            earliest = min(earliest, start)
    return earliest


@kernel
def timed_insertions(
    arrays: ProblemArrays,
    routes: Routes,
    allowed: NDArray[np.bool_],
    visit: int,
    opens: Ints,
    closes: Ints,
    node: Indices,
    start: Ints,
    ticks: Ints,
) -> None:
    """As `insertions`, for the shifts that are `timed`, by making each route. visit: a row of arrays; its windows
    there, and the routes, are written over."""
    arrays.visit[visit].windows = 1
    for shift in range(len(allowed)):
        if not allowed[shift] or not arrays.shift[shift].timed:
            continue
        for w in range(len(opens)):
            arrays.window[visit, 0, 0], arrays.window[visit, 0, 1] = opens[w], closes[w]
            for k in range(routes.row[shift].length + 1):
                before = routes.row[shift].cost
                if insert_after(arrays, routes, shift, k, visit):
                    cost = routes.row[shift].cost - before
                    begin = timetable(arrays, routes, shift)[1][k]
                    cheaper = node[shift, w] < 0 or cost < ticks[shift, w]
                    if cheaper or (cost == ticks[shift, w] and begin < start[shift, w]):
                        node[shift, w], start[shift, w], ticks[shift, w] = k, begin, cost
                remove_node(arrays, routes, shift, k + 1)


@allocating_kernel
def nearest_misses(
    arrays: ProblemArrays,
    routes: Routes,
    allowed: NDArray[np.bool_],
    place: int,
    service_s: Ints,
    load: Ints,
    opens: Ints,
    closes: Ints,
    misses: Ints,
) -> None:
    """What keeps the visit out of each shift, as [shifts, 3]: seconds by which a window would have to end
    later; start earlier; metres over the travel cap in its windows. `NEVER` where that alone does not help, or where
    the shift has a longest duration, of which it is not known."""
    first = np.empty(arrays.pauses.shape[1] + 1, np.int64)
    last = np.empty_like(first)
    misses[:] = NEVER
    for shift in range(len(allowed)):
        work = arrays.shift[shift]
        if not allowed[shift] or work.max_duration_s < UNLIMITED or not has_room(arrays, routes, shift, load):
            continue
        for k in range(routes.row[shift].length + 1):
            origin, destination = routes.node[shift, k].place, routes.node[shift, k + 1].place
            in_s, out_s = int64(arrays.leg[origin, place, 0]), int64(arrays.leg[place, destination, 0])
            seconds, metres = detour(arrays, routes, shift, k, place)
            if routes.row[shift].travel_s + seconds > work.max_travel_s:
                continue
            over_m = routes.row[shift].travel_m + metres - work.max_travel_m
            ready, latest = routes.ready[shift, k], routes.latest[shift, k + 1]
            span_of_starts(ready, latest, arrays.pauses[shift], work.breaks, in_s, out_s, first, last)
            for b in range(work.breaks + 1):
                if first[b] + service_s[shift] <= last[b]:
                    _note_misses(misses[shift], first[b], last[b] - service_s[shift], over_m, opens, closes)


@inner_kernel
def _note_misses(misses: Ints, earliest: int, latest: int, over_m: int, opens: Ints, closes: Ints) -> None:
    for w in range(len(opens)):
        if over_m > 0:
            if earliest <= closes[w] and opens[w] <= latest and over_m < UNREACHABLE:
                misses[2] = min(misses[2], over_m)
        elif earliest > closes[w]:
            misses[0] = min(misses[0], earliest - closes[w])
        elif latest < opens[w]:
            misses[1] = min(misses[1], opens[w] - latest)


@dataclass(frozen=True)
class Question:
    """A visit to be placed. broken: see `eligibility.broken_rules`. opens, closes: its windows, cut to
    what its links leave. assign: ticks by shift. tied: what these are."""

    visit: Visit
    windows: tuple[TimeWindow, ...]
    broken: NDArray[np.int8]
    assign: Ints
    service_s: Ints
    load: Ints
    opens: Ints
    closes: Ints
    tied: Tied | None = None

    @property
    def allowed(self) -> NDArray[np.bool_]:
        return self.broken < 0


class PreparedRoutes:
    """A problem and a plan made ready for many questions."""

    def __init__(
        self, problem: Problem, plan: Plan, fleet: Fleet | None = None, arrays: ProblemArrays | None = None
    ) -> None:
        """fleet, arrays: those of the problem, where they have been built already."""
        self.problem = problem
        self.fleet = Fleet.of(problem.shifts, problem.travel, problem.visits) if fleet is None else fleet
        self.links = PlannedLinks.of(problem, plan) if has_links(problem) else None
        if self.links is not None:
            arrays = build_arrays(self.links.held(), self.fleet)
        self.arrays = build_arrays(problem, self.fleet) if arrays is None else arrays
        visits, length = plan_rows(problem, plan)
        self.routes = empty_routes(self.arrays, visits.shape[1] + 1)
        self.routes.node["visit"][:, 1:-2], self.routes.row["length"] = visits, length
        refresh_all(self.arrays, self.routes)
        self.row_of = {visit.id: row for row, visit in enumerate(problem.visits)}

    def recommend(self, visit: str | Visit, windows: Sequence[TimeWindow] | None = None) -> Recommendation:
        """See `recommend`. visit: an id of the problem, or a visit apart from it at a place of its matrix."""
        question = self.question(visit, windows)
        routes = self.without(question.visit.id)
        found = self._insertions(routes, question)
        reasons = self.reasons(routes, question, {insertion.technician for insertion in found})
        return Recommendation(
            question.visit.id, found, reasons, () if found else self.would_fit_if(routes, question)
        )

    def question(
        self, visit: str | Visit, windows: Sequence[TimeWindow] | None = None, linked: bool = True
    ) -> Question:
        """linked: whether its links, if it has any, count."""
        if isinstance(visit, str):
            if visit not in self.row_of:
                raise InvalidProblem("visit_id", f"{visit!r} is unknown")
            visit = self.problem.visits[self.row_of[visit]]
        elif not 0 <= visit.place < self.problem.travel.places:
            raise InvalidProblem(f"visit {visit.id}.place", "is not in the matrix")
        asked = windows_of(visit) if windows is None else tuple(windows)
        opens = np.array([window.start for window in asked], np.int64)
        closes = np.array([window.end for window in asked], np.int64)
        tied = self.links.tied(visit) if linked and self.links is not None else None
        if tied is not None:
            visit = replace(visit, excluded=visit.excluded | tied.technicians)
            opens, closes = tied.cut(opens, closes)
        return Question(
            visit=visit,
            windows=asked,
            broken=broken_rules(visit, self.fleet),
            assign=assignment_ticks(visit, self.fleet, self.problem.weights, None),
            service_s=self.fleet.service_s(visit),
            load=np.array(visit.load or (0,) * self.arrays.load.shape[1], np.int64),
            opens=opens,
            closes=closes,
            tied=tied,
        )

    def without(self, visit_id: str) -> Routes:
        """The planned routes less this visit."""
        row = self.row_of.get(visit_id, -1)
        if row < 0 or self.routes.spot["shift"][row] < 0:
            return self.routes
        routes = Routes._make(column.copy() for column in self.routes)
        shift, node = (int(figure) for figure in routes.spot[row])
        remove_node(self.arrays, routes, shift, node)
        return routes

    def place(
        self,
        routes: Routes,
        question: Question,
        allowed: NDArray[np.bool_],
        arrays: ProblemArrays | None = None,
    ) -> tuple[Indices, Ints, Ints]:
        """Node (-1 for none), start and ticks of the cheapest insertion, each [shifts, windows]."""
        arrays = self.arrays if arrays is None else arrays
        shape = (len(allowed), len(question.opens))
        node, start, ticks = np.empty(shape, np.int32), np.empty(shape, np.int64), np.empty(shape, np.int64)
        insertions(
            arrays,
            routes,
            allowed,
            question.assign,
            question.visit.place,
            question.service_s,
            question.load,
            question.opens,
            question.closes,
            node,
            start,
            ticks,
        )
        if (allowed & arrays.shift["timed"]).any():
            arrays, routes, visit = self._with_row(arrays, routes, question)
            timed_insertions(
                arrays, routes, allowed, visit, question.opens, question.closes, node, start, ticks
            )
        return node, start, ticks

    def _with_row(
        self, arrays: ProblemArrays, routes: Routes, question: Question
    ) -> tuple[ProblemArrays, Routes, int]:
        """Copies that may be written to, with a row for the visit at the end, in whose service and pay its question
        is answered."""
        visit = question.visit
        problem = replace(self.problem, visits=(visit,), crews=(), orders=())
        alone = build_arrays(problem, self.fleet, legs=(arrays.leg, arrays.leg_to))
        alone.pair["assign"] = question.assign
        extended = arrays._replace(
            visit=np.concatenate([arrays.visit, alone.visit]),
            pair=np.concatenate([arrays.pair, alone.pair]),
            window=np.concatenate([arrays.window, np.zeros_like(arrays.window[:1])])
            if len(arrays.window)
            else np.zeros((1, 1, 2), np.int64),
            load=np.concatenate([arrays.load, question.load[None, :]]),
        )
        copies = Routes._make(column.copy() for column in routes)
        return extended, copies._replace(spot=np.resize(copies.spot, len(extended.visit))), len(arrays.visit)

    def cheapest_ticks(self, routes: Routes, question: Question) -> int | None:
        """What the visit adds to the plan where it costs least; None where it fits nowhere."""
        node, _, ticks = self.place(routes, question, question.allowed)
        return int(ticks[node >= 0].min()) if (node >= 0).any() else None

    def fits_alone(self, question: Question, allowed: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Which of these shifts could serve the visit if they had nothing else to do."""
        node, _, _ = self.place(empty_routes(self.arrays, 1), question, allowed)
        return np.asarray((node >= 0).any(axis=1), np.bool_)

    def fits_ever(self, question: Question) -> bool:
        """Whether some shift could serve the visit, and some all that it is served only with, if they had nothing
        else to do."""
        alone = (self.question(name, linked=False) for name in served_with(self.problem, question.visit.id))
        return all(self.fits_alone(other, other.allowed).any() for other in alone)

    def _insertions(self, routes: Routes, question: Question) -> tuple[Insertion, ...]:
        node, start, ticks = self.place(routes, question, question.allowed)
        found = np.argwhere(node >= 0)
        order = np.lexsort((start[node >= 0], ticks[node >= 0]))
        return tuple(
            self._insertion(routes, question, shift, window, int(node[shift, window]), start, ticks)
            for shift, window in found[order].tolist()
        )

    def _insertion(
        self, routes: Routes, question: Question, shift: int, window: int, node: int, start: Ints, ticks: Ints
    ) -> Insertion:
        visit, work = question.visit, self.problem.shifts[shift]
        seconds, metres = detour(self.arrays, routes, shift, node, visit.place)
        begin = int(start[shift, window])
        return Insertion(
            shift=work.id,
            technician=work.technician,
            window=window,
            position=node,
            start=begin,
            end=begin + int(question.service_s[shift]),
            extra_travel_s=int(seconds),
            extra_travel_m=int(metres),
            extra_cents=cents(int(ticks[shift, window])),
        )

    def reasons(self, routes: Routes, question: Question, fitting: Set[str]) -> tuple[Reason, ...]:
        """Why nobody but the technicians in `fitting` can: one reason each, that of the shift that comes
        closest."""
        misses = self._misses(routes, question)
        closest: dict[str, tuple[int, Reason]] = {}
        for shift, work in enumerate(self.problem.shifts):
            if work.technician in fitting:
                continue
            rule = int(question.broken[shift])
            if rule >= 0:
                ranked = (0, reason_for(question.visit, self.fleet, shift, rule))
            else:
                ranked = self._calendar_reason(routes, question, shift, misses[shift])
            if work.technician not in closest or ranked[0] > closest[work.technician][0]:
                closest[work.technician] = ranked
        return (*self._nobody_there(question.visit), *grouped(reason for _, reason in closest.values()))

    def _nobody_there(self, visit: Visit) -> Iterable[Reason]:
        """The pinned or required technicians that have no shift, or all."""
        named = visit.required if visit.pin is None else {visit.pin.technician}
        absent = tuple(sorted(name for name in named if name not in self.fleet.code_of_technician))
        if absent:
            yield Reason("no_shift", "has no shift", absent)
        elif not self.problem.shifts:
            yield Reason("no_shift", "nobody works")

    def _misses(self, routes: Routes, question: Question) -> Ints:
        misses = np.empty((len(self.problem.shifts), 3), np.int64)
        nearest_misses(
            self.arrays,
            routes,
            question.allowed,
            question.visit.place,
            question.service_s,
            question.load,
            question.opens,
            question.closes,
            misses,
        )
        return misses

    def _calendar_reason(
        self, routes: Routes, question: Question, shift: int, misses: Ints
    ) -> tuple[int, Reason]:
        """Why a shift that may serve the visit cannot, and how close it comes (higher is closer)."""
        work = self.problem.shifts[shift]
        who = (work.technician,)
        meets = (question.opens <= work.window.end) & (question.closes >= work.window.start)
        if question.tied is not None and not meets.any():
            return 1, replace(question.tied.reason, technicians=who)
        if not meets.any():
            return 1, Reason("no_shift", "does not work at that time", who)
        over = int(routes.row["length"][shift]) + 1 - int(self.arrays.shift["max_visits"][shift])
        if over > 0:
            return 3, Reason("visit_cap", "has all the visits of a shift", who, over)
        overload = (routes.load[shift] + question.load - self.arrays.capacity[shift]).tolist()
        if max(overload, default=0) > 0:
            return 3, Reason("capacity", "has no room left in the van", who, max(overload))
        if misses[2] < NEVER:
            return 4, Reason("travel_cap", "would travel too far in all (metres over)", who, int(misses[2]))
        if misses[:2].min() < NEVER:
            return 5, Reason(
                "window", "is free outside the window only (seconds off)", who, int(misses[:2].min())
            )
        return 2, Reason("no_time", "has no time left", who)

    def would_fit_if(self, routes: Routes, question: Question) -> tuple[Reason, ...]:
        """Single changes, each of which would make room for a visit that fits nowhere; the least of its
        kind. Nothing for a linked visit, for which one change is seldom enough."""
        if question.tied is not None:
            return ()
        misses = self._misses(routes, question)
        return tuple(
            reason
            for reason in (
                self._least(misses[:, 0], "window", "the window ended that many seconds later"),
                self._least(misses[:, 1], "window", "the window began that many seconds earlier"),
                self._least(misses[:, 2], "travel_cap", "that many metres more of travel were allowed"),
                self._with_one_visit_more(routes, question),
                self._with_wider_radius(routes, question),
                self._with_one_more_technician(question),
            )
            if reason is not None
        )

    def _least(self, misses: Ints, code: ReasonCode, detail: str) -> Reason | None:
        if not len(misses) or misses.min() >= NEVER:
            return None
        who = tuple(
            dict.fromkeys(self.problem.shifts[s].technician for s in np.flatnonzero(misses == misses.min()))
        )
        return Reason(code, detail, who, int(misses.min()))

    def _with_one_visit_more(self, routes: Routes, question: Question) -> Reason | None:
        caps = self.arrays.shift["max_visits"]
        full = question.allowed & (routes.row["length"] == caps)
        node, _, _ = self.place(routes, question, full, self._with_shifts("max_visits", caps + 1))
        misses = np.where((node >= 0).any(axis=1), 1, NEVER)
        return self._least(misses, "visit_cap", "that many visits more were allowed")

    def _with_shifts(self, field: str, values: int | Ints) -> ProblemArrays:
        """The arrays with another cap for the shifts."""
        shift = self.arrays.shift.copy()
        shift[field] = values
        return self.arrays._replace(shift=shift)

    def _with_wider_radius(self, routes: Routes, question: Question) -> Reason | None:
        outside = np.array(
            [self._bars(question, shift, "outside_radius") for shift in range(len(question.broken))], np.bool_
        )
        node, _, _ = self.place(routes, question, outside)
        beyond = self.fleet.metres_to(question.visit.place) - self.fleet.radius_m
        misses = np.where((node >= 0).any(axis=1), beyond, NEVER)
        return self._least(misses, "outside_radius", "the radius were that many metres wider")

    def _bars(self, question: Question, shift: int, code: ReasonCode) -> bool:
        rule = int(question.broken[shift])
        return rule >= 0 and rules_for(question.visit)[rule][0] == code

    def _with_one_more_technician(self, question: Question) -> Reason | None:
        """If somebody of the right skills, with the hours and home of one who is here, had the day free."""
        visit = question.visit
        named = ", ".join(f"{skill} (level {level})" for skill, level in sorted(visit.skills.items()))
        if self.fits_alone(question, question.allowed).any():
            return Reason(
                "no_time", f"one more technician{' with ' if named else ''}{named} were there", (), 1
            )
        unskilled = np.array(
            [
                self._bars(question, shift, "skill_missing") or self._bars(question, shift, "level_too_low")
                for shift in range(len(question.broken))
            ],
            np.bool_,
        )
        if self.fits_alone(question, unskilled).any():
            return Reason("skill_missing", f"one more technician with {named} were there", (), 1)
        return None


def recommend(
    problem: Problem, plan: Plan, visit_id: str, windows: Sequence[TimeWindow] | None = None
) -> Recommendation:
    """Where this visit could go in the plan, the cheapest place for each shift and window first.

    windows: when work may start, each asked for itself, overlapping or not; by default the visit's own. If
    the plan serves the visit already, it counts as removed, even if its route cannot be driven without it. Ask
    `PreparedRoutes` for many visits of one plan. Raises `InvalidProblem` for an unknown visit or a plan of other
    visits or shifts.
    """
    return PreparedRoutes(problem, plan).recommend(visit_id, windows)


def plan_rows(problem: Problem, plan: Plan) -> tuple[Indices, Indices]:
    """A plan as rows of visits, [shifts, stops], and how many count. Raises `InvalidProblem` for what is not
    in the problem or in two places."""
    row_of = {visit.id: row for row, visit in enumerate(problem.visits)}
    shift_of = {shift.id: row for row, shift in enumerate(problem.shifts)}
    longest = max([1, *(len(route.stops) for route in plan.routes)])
    visits = np.zeros((len(problem.shifts), longest), np.int32)
    length = np.zeros(len(problem.shifts), np.int32)
    seen: set[str] = set()
    for route in plan.routes:
        if route.shift not in shift_of or length[shift_of[route.shift]]:
            raise InvalidProblem("plan", f"shift {route.shift!r} is unknown or has two routes")
        for stop in route.stops:
            if stop.visit not in row_of or stop.visit in seen:
                raise InvalidProblem("plan", f"visit {stop.visit!r} is unknown or served twice")
            seen.add(stop.visit)
        shift = shift_of[route.shift]
        visits[shift, : len(route.stops)] = [row_of[stop.visit] for stop in route.stops]
        length[shift] = len(route.stops)
    return visits, length
