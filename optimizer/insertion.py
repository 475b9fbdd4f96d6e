"""Where could this visit go? One answer for slots, candidates, offers and overrides.

All other visits stay with their technician and in their order; they may shift in time inside their own
windows, those pinned in time not at all. The check of each position is exact and made of the same kernels as
the solver's.
"""

from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import dataclass, replace
from functools import cached_property

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
from optimizer.eligibility import UNLIMITED, Fleet, Mask, broken_rules, grouped, reason_for, rules_for
from optimizer.kernel import allocating_kernel, inner_kernel, int64, kernel
from optimizer.links import PlannedLinks, Tied, has_links, served_with
from optimizer.plan import Plan, Reason, ReasonCode
from optimizer.problem import UNREACHABLE, InvalidProblem, Problem, TimeWindow, Visit, Weights
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
    onward, inward = arrays.leg[place], arrays.leg_to[place]
    misses[:] = NEVER
    for shift in range(len(allowed)):
        work = arrays.shift[shift]
        if not allowed[shift] or work.max_duration_s < UNLIMITED or not has_room(arrays, routes, shift, load):
            continue
        for k in range(routes.row[shift].length + 1):
            origin, destination = routes.node[shift, k].place, routes.node[shift, k + 1].place
            in_s, out_s = int64(inward[origin, 0]), int64(onward[destination, 0])
            over_m = 0
            if work.far:
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
    """A visit to be placed. broken: see `eligibility.broken_rules`. assign: ticks by shift. opens, closes: its windows,
    cut to what its links leave. tied: what these are."""

    visit: Visit
    broken: NDArray[np.int8]
    assign: Ints
    service_s: Ints
    load: Ints
    opens: Ints
    closes: Ints
    tied: Tied | None = None

    @classmethod
    def of(
        cls,
        visit: Visit,
        fleet: Fleet,
        weights: Weights,
        windows: tuple[Ints, Ints],
        goods: int,
        tied: Tied | None = None,
    ) -> "Question":
        """windows: the first instants and the last. goods: how many kinds there are."""
        if tied is not None:
            visit = replace(visit, excluded=visit.excluded | tied.technicians)
            windows = tied.cut(*windows)
        return cls(
            visit=visit,
            broken=broken_rules(visit, fleet),
            assign=assignment_ticks(visit, fleet, weights, None),
            service_s=fleet.service_s(visit),
            load=np.array(visit.load or (0,) * goods, np.int64),
            opens=windows[0],
            closes=windows[1],
            tied=tied,
        )

    @property
    def allowed(self) -> Mask:
        return self.broken < 0

    def barred_by(self, *codes: ReasonCode) -> Mask:
        """The shifts for which one of these rules is the first that is broken."""
        rules = [index for index, (code, _) in enumerate(rules_for(self.visit)) if code in codes]
        return np.isin(self.broken, rules)


Placed = tuple[Indices, Ints, Ints]
"""Node (-1 for none), start and ticks of the cheapest insertion, each [shifts, windows]."""


def place(arrays: ProblemArrays, routes: Routes, question: Question, allowed: Mask) -> Placed:
    """Of the shifts that are `allowed`, but for those that are `timed`."""
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
    return node, start, ticks


@dataclass(frozen=True)
class Hurdle:
    """What keeps the visit out of some shifts. bars: which. nearness: how close they come to taking it, higher is
    closer. by: how far each is off."""

    bars: Mask
    nearness: int
    reason: Reason
    by: Ints | None = None

    def told(self, shift: int, technician: str) -> Reason:
        by = self.reason.by if self.by is None else int(self.by[shift])
        return Reason(self.reason.code, self.reason.detail, (technician,), by)


@dataclass(frozen=True, eq=False)
class Obstacles:
    """What keeps a visit out of routes in which it is not, and which single changes would let it in. place: where it
    fits, as the function of that name."""

    fleet: Fleet
    arrays: ProblemArrays
    routes: Routes
    question: Question
    place: Callable[[ProblemArrays, Routes, Question, Mask], Placed] = place

    @property
    def working(self) -> Set[str]:
        """The technicians who have a shift here."""
        return self.fleet.code_of_technician.keys()

    def fitting(self) -> frozenset[str]:
        """The technicians whom nothing keeps from it."""
        fits = self._fits(self.question.allowed)
        return frozenset(self.fleet.shifts[shift].technician for shift in np.flatnonzero(fits).tolist())

    def fits_alone(self, allowed: Mask) -> Mask:
        """Which of these shifts could serve the visit if they had nothing else to do."""
        return self._fits(allowed, routes=empty_routes(self.arrays, 1))

    def _fits(self, allowed: Mask, arrays: ProblemArrays | None = None, routes: Routes | None = None) -> Mask:
        """Whether a shift could serve the visit, by other arrays or routes where they are given."""
        node, _, _ = self.place(arrays or self.arrays, routes or self.routes, self.question, allowed)
        return np.asarray((node >= 0).any(axis=1), np.bool_)

    def reasons(self, fitting: Set[str]) -> tuple[Reason, ...]:
        """Why nobody but the technicians in `fitting` can: those of `each` that say the same as one."""
        return (*self._nobody_there(), *grouped(self.each(fitting).values()))

    def each(self, fitting: Set[str]) -> dict[str, Reason]:
        """Why each technician who has a shift here and is not in `fitting` cannot: that of the shift that comes
        closest."""
        hurdles = self._hurdles()
        first = np.argmax(np.array([hurdle.bars for hurdle in hurdles]), axis=0)
        by_calendar = np.array([hurdle.nearness for hurdle in hurdles])[first]
        nearness = np.where(self.question.allowed, by_calendar, 0).tolist()
        closest: dict[str, int] = {}
        for shift, work in enumerate(self.fleet.shifts):
            known = closest.get(work.technician)
            if work.technician not in fitting and (known is None or nearness[shift] > nearness[known]):
                closest[work.technician] = shift
        return {id_: self._told(shift, hurdles[first[shift]]) for id_, shift in closest.items()}

    def _told(self, shift: int, hurdle: Hurdle) -> Reason:
        rule = int(self.question.broken[shift])
        if rule >= 0:
            return reason_for(self.question.visit, self.fleet, shift, rule)
        return hurdle.told(shift, self.fleet.shifts[shift].technician)

    def _hurdles(self) -> tuple[Hurdle, ...]:
        """What in their calendars keeps it out of shifts that may serve it. The first that bars a shift is its reason;
        the last bars all."""
        question, shift = self.question, self.arrays.shift
        tied = None if question.tied is None else question.tied.reason
        over = self.routes.row["length"] + 1 - shift["max_visits"]
        overload = (self.routes.load + question.load - self.arrays.capacity).max(axis=1, initial=0)
        over_m, off_s = self._misses[:, 2], self._misses[:, :2].min(axis=1)
        return (
            Hurdle(~self._meets(), 1, tied or Reason("no_shift", "does not work at that time")),
            Hurdle(over > 0, 3, Reason("visit_cap", "has all the visits of a shift"), over),
            Hurdle(overload > 0, 3, Reason("capacity", "has no room left in the van"), overload),
            Hurdle(
                over_m < NEVER, 4, Reason("travel_cap", "would travel too far in all (metres over)"), over_m
            ),
            Hurdle(
                off_s < NEVER, 5, Reason("window", "is free outside the window only (seconds off)"), off_s
            ),
            Hurdle(np.ones(len(shift), np.bool_), 2, Reason("no_time", "has no time left")),
        )

    def _meets(self) -> Mask:
        """The shifts whose hours, without overtime, touch a window."""
        shift, question = self.arrays.shift, self.question
        begins_in_time = question.opens <= shift["overtime_from"][:, None]
        ends_in_time = question.closes >= shift["start"][:, None]
        return np.asarray((begins_in_time & ends_in_time).any(axis=1), np.bool_)

    def _nobody_there(self) -> Iterable[Reason]:
        """The pinned or required technicians that have no shift, or all."""
        visit = self.question.visit
        named = visit.required if visit.pin is None else {visit.pin.technician}
        absent = tuple(sorted(name for name in named if name not in self.fleet.code_of_technician))
        if absent:
            yield Reason("no_shift", "has no shift", absent)
        elif not self.fleet.shifts:
            yield Reason("no_shift", "nobody works")

    @cached_property
    def _misses(self) -> Ints:
        """See `nearest_misses`."""
        misses, question = np.empty((len(self.fleet.shifts), 3), np.int64), self.question
        nearest_misses(
            self.arrays,
            self.routes,
            question.allowed,
            question.visit.place,
            question.service_s,
            question.load,
            question.opens,
            question.closes,
            misses,
        )
        return misses

    def would_fit_if(self) -> tuple[Reason, ...]:
        """Single changes, each of which would make room for a visit that fits nowhere; the least of its
        kind. Nothing for a linked visit, for which one change is seldom enough."""
        if self.question.tied is not None:
            return ()
        misses = self._misses
        return tuple(
            reason
            for reason in (
                self._least(misses[:, 0], "window", "the window ended that many seconds later"),
                self._least(misses[:, 1], "window", "the window began that many seconds earlier"),
                self._least(misses[:, 2], "travel_cap", "that many metres more of travel were allowed"),
                self._with_one_visit_more(),
                self._with_wider_radius(),
                self._with_one_more_technician(),
            )
            if reason is not None
        )

    def _least(self, misses: Ints, code: ReasonCode, detail: str) -> Reason | None:
        if not len(misses) or misses.min() >= NEVER:
            return None
        who = tuple(
            dict.fromkeys(self.fleet.shifts[s].technician for s in np.flatnonzero(misses == misses.min()))
        )
        return Reason(code, detail, who, int(misses.min()))

    def _with_one_visit_more(self) -> Reason | None:
        caps = self.arrays.shift["max_visits"]
        full = self.question.allowed & (self.routes.row["length"] == caps)
        shift = self.arrays.shift.copy()
        shift["max_visits"] += 1
        fits = self._fits(full, arrays=self.arrays._replace(shift=shift))
        return self._least(np.where(fits, 1, NEVER), "visit_cap", "that many visits more were allowed")

    def _with_wider_radius(self) -> Reason | None:
        fits = self._fits(self.question.barred_by("outside_radius"))
        beyond = self.fleet.metres_to(self.question.visit.place) - self.fleet.radius_m
        misses = np.where(fits, beyond, NEVER)
        return self._least(misses, "outside_radius", "the radius were that many metres wider")

    def _with_one_more_technician(self) -> Reason | None:
        """If somebody of the right skills, with the hours and home of one who is here, had the day free."""
        skills = sorted(self.question.visit.skills.items())
        named = ", ".join(f"{skill} (level {level})" for skill, level in skills)
        if self.fits_alone(self.question.allowed).any():
            return Reason(
                "no_time", f"one more technician{' with ' if named else ''}{named} were there", (), 1
            )
        if self.fits_alone(self.question.barred_by("skill_missing", "level_too_low")).any():
            return Reason("skill_missing", f"one more technician with {named} were there", (), 1)
        return None


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
        found, obstacles = self._insertions(routes, question), self.obstacles(routes, question)
        reasons = obstacles.reasons({insertion.technician for insertion in found})
        return Recommendation(question.visit.id, found, reasons, () if found else obstacles.would_fit_if())

    def obstacles(self, routes: Routes, question: Question) -> Obstacles:
        """routes: less the visit in question, see `without`."""
        return Obstacles(self.fleet, self.arrays, routes, question, self.place)

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
        goods = self.arrays.load.shape[1]
        return Question.of(visit, self.fleet, self.problem.weights, (opens, closes), goods, tied)

    def without(self, visit_id: str) -> Routes:
        """The planned routes less this visit."""
        row = self.row_of.get(visit_id, -1)
        if row < 0 or self.routes.spot["shift"][row] < 0:
            return self.routes
        routes = Routes._make(column.copy() for column in self.routes)
        shift, node = (int(figure) for figure in routes.spot[row])
        remove_node(self.arrays, routes, shift, node)
        return routes

    def place(self, arrays: ProblemArrays, routes: Routes, question: Question, allowed: Mask) -> Placed:
        """Of the shifts that are `allowed`. arrays: those of the problem, or with other caps."""
        placed = place(arrays, routes, question, allowed)
        if (allowed & arrays.shift["timed"]).any():
            arrays, routes, visit = self._with_row(arrays, routes, question)
            timed_insertions(arrays, routes, allowed, visit, question.opens, question.closes, *placed)
        return placed

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
        node, _, ticks = self.place(self.arrays, routes, question, question.allowed)
        return int(ticks[node >= 0].min()) if (node >= 0).any() else None

    def fits_ever(self, question: Question) -> bool:
        """Whether some shift could serve the visit, and some all that it is served only with, if they had nothing
        else to do."""
        alone = (self.question(name, linked=False) for name in served_with(self.problem, question.visit.id))
        return all(self.obstacles(self.routes, other).fits_alone(other.allowed).any() for other in alone)

    def _insertions(self, routes: Routes, question: Question) -> tuple[Insertion, ...]:
        node, start, ticks = self.place(self.arrays, routes, question, question.allowed)
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
