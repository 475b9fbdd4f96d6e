"""The times of routes: when each stop may start at the earliest and must be reached at the latest, breaks
included.

A route is a row of nodes: 0 the start place, 1 to n its stops, n + 1 the end place. With b of its breaks
taken, `ready[k, b]` is the earliest instant one can leave node k, and `latest[k, b]` the latest instant one
may arrive at node k such that all that follows can still be kept. A break is taken after a stop before
leaving, or on arrival before the work. Being early never hurts, for one may always wait, so both tables are
exact, and so is the check of an insertion between two nodes: it joins `ready` of one with `latest` of the
other. Without breaks they are the forward and backward times of Savelsbergh (ORSA Journal on Computing 4,
1992).
"""

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from optimizer.arrays import Indices, Ints, ProblemArrays, build_arrays, windows_of
from optimizer.eligibility import Fleet, broken_rules, reason_for
from optimizer.kernel import kernel
from optimizer.plan import BreakTaken, Reason, Route, Stop
from optimizer.problem import UNREACHABLE, InvalidProblem, Problem, Shift, Visit

Item = TypeVar("Item", Shift, Visit)

NEVER = 2**60
"""An instant that is not reached; sums of it with durations stay within 64 bits."""


class Infeasible(ValueError):
    """The sequence cannot be driven as asked; `reason` says why."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.detail)
        self.reason = reason


class Routes(NamedTuple):
    """One route a shift. visits: [shifts, most stops], length: how many count. place_at: [shifts, most stops
    + 2], the place of each node. ready: [shifts, most stops + 1, most breaks + 1] by node and breaks taken;
    latest: [shifts, most stops + 2, most breaks + 1], likewise. travel_m: metres and cost: ticks of the whole
    route, 0 when empty. shift_of, node_of: where each visit is, -1 for nowhere.
    """

    visits: Indices
    length: Indices
    place_at: Indices
    ready: Ints
    latest: Ints
    travel_m: Ints
    cost: Ints
    shift_of: Indices
    node_of: Indices


class Timetable(NamedTuple):
    """arrival, start: instants by stop. break_start: by break. departs_at, returns_at: see `plan.Route`."""

    arrival: Ints
    start: Ints
    break_start: Ints
    departs_at: int
    returns_at: int


def empty_routes(arrays: ProblemArrays, stops: int) -> Routes:
    """Routes without stops, with room for as many."""
    visits, shifts = arrays.allowed.shape
    breaks = arrays.pauses.shape[1]
    routes = Routes(
        visits=np.zeros((shifts, stops), np.int32),
        length=np.zeros(shifts, np.int32),
        place_at=np.zeros((shifts, stops + 2), np.int32),
        ready=np.zeros((shifts, stops + 1, breaks + 1), np.int64),
        latest=np.zeros((shifts, stops + 2, breaks + 1), np.int64),
        travel_m=np.zeros(shifts, np.int64),
        cost=np.zeros(shifts, np.int64),
        shift_of=np.full(visits, -1, np.int32),
        node_of=np.zeros(visits, np.int32),
    )
    for shift in range(shifts):
        refresh(arrays, routes, shift)
    return routes


def most_stops(arrays: ProblemArrays) -> int:
    """No shift has more stops than visits it may serve, than its cap, or than their services fill its
    hours."""
    visits, shifts = arrays.allowed.shape
    if not visits or not shifts:
        return 1
    by_time = int(visits)
    if arrays.service_s.min() > 0:
        by_time = int((arrays.shift_end - arrays.shift_start).max() // arrays.service_s.min())
    return max(1, min(int(arrays.allowed.sum(axis=0).max()), int(arrays.max_visits.max()), by_time))


@kernel
def earliest_in(opens: Ints, closes: Ints, row: int, count: int, instant: int) -> int:
    """The first instant inside one of the `count` windows of the row that is not before `instant`, or
    `NEVER`."""
    for w in range(count):
        if instant <= closes[row, w]:
            return int(max(instant, opens[row, w]))
    return NEVER


@kernel
def latest_in(opens: Ints, closes: Ints, row: int, count: int, instant: int) -> int:
    """The last instant inside one of the windows that is not after `instant`, or `-NEVER`."""
    for w in range(count - 1, -1, -1):
        if instant >= opens[row, w]:
            return int(min(instant, closes[row, w]))
    return -NEVER


@kernel
def take_breaks_forward(pauses: Ints, breaks: int, earliest: Ints) -> None:
    """pauses: first and last instant to begin and seconds of each break, [most breaks, 3]. earliest[b]: the
    instant with b breaks taken; improved in place by taking breaks here and now."""
    for b in range(breaks):
        begin = max(earliest[b], pauses[b, 0])
        if begin <= pauses[b, 1]:
            earliest[b + 1] = min(earliest[b + 1], begin + pauses[b, 2])


@kernel
def take_breaks_backward(pauses: Ints, breaks: int, latest: Ints) -> None:
    """latest[b]: the last instant with b breaks taken; improved in place by taking breaks here."""
    for b in range(breaks - 1, -1, -1):
        begin = min(latest[b + 1] - pauses[b, 2], pauses[b, 1])
        if begin >= pauses[b, 0]:
            latest[b] = max(latest[b], begin)


@kernel
def refresh(arrays: ProblemArrays, routes: Routes, shift: int) -> bool:
    """Recomputes all that is known of a route from its visits. Returns whether it can be kept."""
    n = routes.length[shift]
    place_at, ready, latest = routes.place_at[shift], routes.ready[shift], routes.latest[shift]
    visits, leg, pauses, breaks = (
        routes.visits[shift],
        arrays.leg,
        arrays.pauses[shift],
        arrays.break_count[shift],
    )
    place_at[0] = arrays.start_place[shift]
    place_at[n + 1] = arrays.end_place[shift]
    _locate(shift, n, visits, place_at, arrays.place, routes.shift_of, routes.node_of)
    _measure(arrays, routes, shift)
    opens, closes, windows = arrays.window_start, arrays.window_end, arrays.window_count
    ready[0, :] = NEVER
    ready[0, 0] = arrays.shift_start[shift]
    _forward(n, visits, place_at, leg, opens, closes, windows, arrays.service_s, pauses, breaks, ready)
    latest[n + 1, :] = -NEVER
    latest[n + 1, breaks] = arrays.shift_end[shift]
    _backward(n, visits, place_at, leg, opens, closes, windows, arrays.service_s, pauses, breaks, latest)
    if n == 0:
        return True
    if n > arrays.max_visits[shift] or routes.travel_m[shift] > arrays.max_travel_m[shift]:
        return False
    home_s = leg[place_at[n], place_at[n + 1], 0]
    kept = False
    for b in range(breaks + 1):
        kept |= ready[n, b] + home_s <= latest[n + 1, b]
    return bool(kept)


@kernel
def _locate(
    shift: int,
    n: int,
    visits: Indices,
    place_at: Indices,
    place: Indices,
    shift_of: Indices,
    node_of: Indices,
) -> None:
    """Where the route goes, and where its visits are."""
    for k in range(1, n + 1):
        visit = visits[k - 1]
        place_at[k] = place[visit]
        shift_of[visit] = shift
        node_of[visit] = k


@kernel
def _measure(arrays: ProblemArrays, routes: Routes, shift: int) -> None:
    """Metres and ticks of the route."""
    visits, place_at, leg, assign = routes.visits[shift], routes.place_at[shift], arrays.leg, arrays.assign
    n = routes.length[shift]
    seconds = 0
    metres = 0
    cost = 0
    if n > 0:
        cost = arrays.fixed[shift]
        for k in range(n + 1):
            seconds += leg[place_at[k], place_at[k + 1], 0]
            metres += leg[place_at[k], place_at[k + 1], 1]
        for k in range(n):
            cost += assign[visits[k], shift]
    routes.travel_m[shift] = metres
    routes.cost[shift] = cost + seconds * arrays.per_s[shift] + metres * arrays.per_m[shift]


@kernel
def _forward(
    n: int,
    visits: Indices,
    place_at: Indices,
    leg: NDArray[np.int32],
    opens: Ints,
    closes: Ints,
    windows: Indices,
    service_s: Ints,
    pauses: Ints,
    breaks: int,
    ready: Ints,
) -> None:
    """Fills `ready` from its row of the start place on; the arguments are one route's rows of those
    arrays."""
    if breaks > 0:
        take_breaks_forward(pauses, breaks, ready[0])
    for k in range(1, n + 1):
        visit = visits[k - 1]
        travel_s = leg[place_at[k - 1], place_at[k], 0]
        for b in range(breaks + 1):
            ready[k, b] = ready[k - 1, b] + travel_s
        if breaks > 0:
            take_breaks_forward(pauses, breaks, ready[k])
        for b in range(breaks + 1):
            start = earliest_in(opens, closes, visit, windows[visit], ready[k, b])
            ready[k, b] = min(start + service_s[visit], NEVER)
        if breaks > 0:
            take_breaks_forward(pauses, breaks, ready[k])


@kernel
def _backward(
    n: int,
    visits: Indices,
    place_at: Indices,
    leg: NDArray[np.int32],
    opens: Ints,
    closes: Ints,
    windows: Indices,
    service_s: Ints,
    pauses: Ints,
    breaks: int,
    latest: Ints,
) -> None:
    """Fills `latest` from its row of the end place back, likewise."""
    if breaks > 0:
        take_breaks_backward(pauses, breaks, latest[n + 1])
    for k in range(n, 0, -1):
        visit = visits[k - 1]
        travel_s = leg[place_at[k], place_at[k + 1], 0]
        for b in range(breaks + 1):
            latest[k, b] = latest[k + 1, b] - travel_s
        if breaks > 0:
            take_breaks_backward(pauses, breaks, latest[k])
        for b in range(breaks + 1):
            latest[k, b] = latest_in(opens, closes, visit, windows[visit], latest[k, b] - service_s[visit])
        if breaks > 0:
            take_breaks_backward(pauses, breaks, latest[k])


@kernel
def span_of_starts(
    ready: Ints, latest: Ints, pauses: Ints, breaks: int, in_s: int, out_s: int, first: Ints, last: Ints
) -> None:
    """What a stop between two nodes can be like: with b breaks taken before it, its work may start from
    first[b] on, and must be over by last[b]. Fills both for every b. ready: of the node before, latest: of
    the node after, by breaks taken; in_s, out_s: the ways from and to them. pauses: see
    `take_breaks_forward`."""
    for b in range(breaks + 1):
        first[b] = ready[b] + in_s
        last[b] = latest[b] - out_s
    if breaks > 0:
        take_breaks_forward(pauses, breaks, first)
        take_breaks_backward(pauses, breaks, last)


@kernel
def first_start(
    first: Ints, last: Ints, breaks: int, service_s: int, opens: Ints, closes: Ints, row: int, count: int
) -> int:
    """The earliest start that spans and windows share, or `NEVER`. opens, closes: `count` windows in
    `row`."""
    earliest = NEVER
    for b in range(breaks + 1):
        start = earliest_in(opens, closes, row, count, first[b])
        if start + service_s <= last[b]:
            earliest = min(earliest, start)
    return earliest


@kernel
def insert_after(arrays: ProblemArrays, routes: Routes, shift: int, node: int, visit: int) -> bool:
    """Puts the visit behind `node` and refreshes the route."""
    n = routes.length[shift]
    for k in range(n, node, -1):
        routes.visits[shift, k] = routes.visits[shift, k - 1]
    routes.visits[shift, node] = visit
    routes.length[shift] = n + 1
    return refresh(arrays, routes, shift)


@kernel
def remove_node(arrays: ProblemArrays, routes: Routes, shift: int, node: int) -> bool:
    """Takes the stop out and refreshes the route."""
    routes.shift_of[routes.visits[shift, node - 1]] = -1
    for k in range(node, routes.length[shift]):
        routes.visits[shift, k - 1] = routes.visits[shift, k]
    routes.length[shift] -= 1
    return refresh(arrays, routes, shift)


@kernel
def timetable(arrays: ProblemArrays, routes: Routes, shift: int) -> tuple[Ints, Ints, Ints, int, int]:
    """The times of a route that can be kept (see `Timetable`): stop after stop at its earliest, and of two
    ways with the same start the one with more breaks behind it, taken before leaving."""
    n = routes.length[shift]
    breaks = arrays.break_count[shift]
    arrival = np.empty(n + 1, np.int64)
    start = np.empty(n + 1, np.int64)
    break_start = np.empty(breaks, np.int64)
    now = arrays.shift_start[shift]
    taken = 0
    departs_at = now
    limit = np.empty(breaks + 1, np.int64)
    for node in range(n + 1):
        _latest_ready(arrays, routes, shift, node + 1, limit)
        here, there = _choose_breaks(arrays, routes, shift, node, now, taken, limit)
        for _ in range(here):
            break_start[taken] = max(now, arrays.pauses[shift, taken, 0])
            now = break_start[taken] + arrays.pauses[shift, taken, 2]
            taken += 1
        travel_s = arrays.leg[routes.place_at[shift, node], routes.place_at[shift, node + 1], 0]
        left_at = now
        arrival[node] = now = left_at + travel_s
        first_event = NEVER
        for _ in range(there):
            break_start[taken] = max(now, arrays.pauses[shift, taken, 0])
            first_event = min(first_event, break_start[taken])
            now = break_start[taken] + arrays.pauses[shift, taken, 2]
            taken += 1
        start[node] = now = _start_at(arrays, routes, shift, node + 1, now)
        if node == 0:
            arrival[0] = min(first_event, now)
            departs_at = arrival[0] - travel_s
        if node < n:
            now += arrays.service_s[routes.visits[shift, node]]
    return arrival[:n], start[:n], break_start, departs_at, arrival[n]


@kernel
def _start_at(arrays: ProblemArrays, routes: Routes, shift: int, node: int, instant: int) -> int:
    """When a stop reached at `instant` starts; at the end place one is done at once."""
    if node == routes.length[shift] + 1:
        return instant
    visit = routes.visits[shift, node - 1]
    return earliest_in(arrays.window_start, arrays.window_end, visit, arrays.window_count[visit], instant)


@kernel
def _latest_ready(arrays: ProblemArrays, routes: Routes, shift: int, node: int, limit: Ints) -> None:
    """limit[b]: the latest start of work at the node with b breaks taken such that what follows can be
    kept."""
    n = routes.length[shift]
    breaks = arrays.break_count[shift]
    if node == n + 1:
        limit[:] = -NEVER
        limit[breaks] = arrays.shift_end[shift]
        return
    visit = routes.visits[shift, node - 1]
    travel_s = arrays.leg[routes.place_at[shift, node], routes.place_at[shift, node + 1], 0]
    for b in range(breaks + 1):
        limit[b] = routes.latest[shift, node + 1, b] - travel_s
    take_breaks_backward(arrays.pauses[shift], breaks, limit)
    for b in range(breaks + 1):
        limit[b] -= arrays.service_s[visit]


@kernel
def _choose_breaks(
    arrays: ProblemArrays, routes: Routes, shift: int, node: int, now: int, taken: int, limit: Ints
) -> tuple[int, int]:
    """How many breaks to take at this node before leaving, and on arrival at the next, for its earliest
    start."""
    travel_s = arrays.leg[routes.place_at[shift, node], routes.place_at[shift, node + 1], 0]
    best = NEVER
    chosen = (0, 0)
    left = arrays.break_count[shift] - taken
    ready = now
    for here in range(left + 1):
        if here > 0:
            ready = _after_break(arrays, shift, taken + here - 1, ready)
        reached = ready + travel_s
        for there in range(left - here + 1):
            if there > 0:
                reached = _after_break(arrays, shift, taken + here + there - 1, reached)
            start = _start_at(arrays, routes, shift, node + 1, reached)
            if start > limit[taken + here + there]:
                continue
            more = here + there > chosen[0] + chosen[1] or (
                here + there == chosen[0] + chosen[1] and here > chosen[0]
            )
            if start < best or (start == best and more):
                best = start
                chosen = (here, there)
    return chosen


@kernel
def _after_break(arrays: ProblemArrays, shift: int, taken: int, instant: int) -> int:
    begin = max(instant, arrays.pauses[shift, taken, 0])
    return int(begin + arrays.pauses[shift, taken, 2]) if begin <= arrays.pauses[shift, taken, 1] else NEVER


def route_of(problem: Problem, arrays: ProblemArrays, routes: Routes, shift: int) -> Route:
    """A kept row of `routes` as people read it."""
    times = Timetable(*timetable(arrays, routes, shift))
    work = problem.shifts[shift]
    places = [int(arrays.start_place[shift])]
    stops = []
    total_s = 0
    for k in range(int(routes.length[shift])):
        row = int(routes.visits[shift, k])
        visit = problem.visits[row]
        places.append(int(arrays.place[row]))
        travel_s, travel_m = (int(value) for value in arrays.leg[places[-2], places[-1]])
        total_s += travel_s
        start = int(times.start[k])
        stops.append(
            Stop(visit.id, int(times.arrival[k]), start, start + visit.service_s, travel_s, travel_m)
        )
    total_s += int(arrays.leg[places[-1], arrays.end_place[shift], 0])
    return Route(
        shift=work.id,
        technician=work.technician,
        stops=tuple(stops),
        departs_at=int(times.departs_at),
        returns_at=int(times.returns_at),
        travel_s=total_s,
        travel_m=int(routes.travel_m[shift]),
        breaks=tuple(
            BreakTaken(int(begin), int(begin) + pause.duration_s)
            for begin, pause in zip(times.break_start, work.breaks, strict=True)
        ),
    )


def time_route(problem: Problem, shift_id: str, visit_ids: Sequence[str]) -> Route:
    """The times of a hand-made sequence of visits (at least one): every stop as early as possible, breaks
    placed, the first departure as late as it can be.

    Raises `Infeasible` with the reason if any rule would be broken, `InvalidProblem` for ids that are unknown
    or occur twice.
    """
    shift = _by_id(problem.shifts, shift_id, "shift_id")
    visits = tuple(_by_id(problem.visits, visit_id, "visit_ids") for visit_id in visit_ids)
    if not visits or len(set(visit_ids)) < len(visits):
        raise InvalidProblem("visit_ids", "must name one or more visits, each once")
    part = Problem(visits, (shift,), problem.travel, problem.weights)
    fleet = Fleet.of(part.shifts, part.travel)
    for visit in visits:
        rule = int(broken_rules(visit, fleet)[0])
        if rule >= 0:
            raise Infeasible(reason_for(visit, fleet, 0, rule))
    arrays = build_arrays(part, fleet)
    routes = empty_routes(arrays, len(visits))
    routes.visits[0], routes.length[0] = range(len(visits)), len(visits)
    if not refresh(arrays, routes, 0):
        raise Infeasible(_why_not(part, arrays, routes))
    return route_of(part, arrays, routes, 0)


def _by_id(items: Sequence[Item], item_id: str, field: str) -> Item:
    found = next((item for item in items if item.id == item_id), None)
    if found is None:
        raise InvalidProblem(field, f"{item_id!r} is unknown")
    return found


def _why_not(part: Problem, arrays: ProblemArrays, routes: Routes) -> Reason:
    """The first rule that this single route breaks, cap before time, stop after stop."""
    shift, who = part.shifts[0], (part.shifts[0].technician,)
    if len(part.visits) > arrays.max_visits[0]:
        by = len(part.visits) - int(arrays.max_visits[0])
        return Reason("visit_cap", f"more than {shift.max_visits} visits", who, by)
    if arrays.max_travel_m[0] < routes.travel_m[0] < UNREACHABLE:
        by = int(routes.travel_m[0] - arrays.max_travel_m[0])
        return Reason("travel_cap", f"more than {shift.max_travel_m} m of travel", who, by)
    for k, visit in enumerate(part.visits, start=1):
        if routes.ready[0, k].min() >= NEVER:
            return _late_at(arrays, routes, k, visit, who)
    home_s = arrays.leg[routes.place_at[0, len(part.visits)], arrays.end_place[0], 0]
    if home_s >= UNREACHABLE:
        return Reason("no_time", f"there is no way home from {part.visits[-1].id}", who)
    by = _earliest_return(arrays, routes) - shift.window.end
    if by < NEVER // 2:
        return Reason("no_time", "the shift ends before the return (seconds late)", who, by)
    return Reason("no_time", "the breaks cannot all be taken", who)


def _earliest_return(arrays: ProblemArrays, routes: Routes) -> int:
    """When the only route is over, its breaks taken; about `NEVER` where they cannot be."""
    n = int(routes.length[0])
    arrival = routes.ready[0, n] + arrays.leg[routes.place_at[0, n], arrays.end_place[0], 0]
    take_breaks_forward(arrays.pauses[0], int(arrays.break_count[0]), arrival)
    return int(arrival[arrays.break_count[0]])


def _late_at(arrays: ProblemArrays, routes: Routes, k: int, visit: Visit, who: tuple[str, ...]) -> Reason:
    travel_s = int(arrays.leg[routes.place_at[0, k - 1], routes.place_at[0, k], 0])
    if travel_s >= UNREACHABLE:
        return Reason("no_time", f"there is no way to {visit.id}", who)
    by = int(routes.ready[0, k - 1].min()) + travel_s - windows_of(visit)[-1].end
    return Reason("window", f"{visit.id} is reached after its window (seconds late)", who, by)
