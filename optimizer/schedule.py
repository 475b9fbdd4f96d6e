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

from optimizer.arrays import NEVER, Indices, Ints, ProblemArrays, Records, build_arrays, windows_of
from optimizer.eligibility import UNLIMITED, Fleet, broken_rules, reason_for
from optimizer.kernel import allocating_kernel, inner_kernel, int64, kernel
from optimizer.plan import BreakTaken, Reason, Route, Stop
from optimizer.problem import UNREACHABLE, InvalidProblem, Problem, Shift, Visit

Item = TypeVar("Item", Shift, Visit)


class Infeasible(ValueError):
    """The sequence cannot be driven as asked; `reason` says why."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.detail)
        self.reason = reason


ROW = np.dtype(
    [
        ("length", "i8"),
        ("begins", "i8"),
        ("travel_m", "i8"),
        ("travel_s", "i8"),
        ("work_s", "i8"),
        ("cost", "i8"),
    ],
    align=True,
)
"""Of a route. length: how many stops. begins: the instant from which they are as early as they can be; the start of
the shift unless the route would last too long. travel_m, travel_s, work_s: metres and seconds of travel, seconds of
travel and service. cost: ticks. All but `begins` are 0 when it is empty."""

NODE = np.dtype([("visit", "i4"), ("place", "i4"), ("hop", "i8")], align=True)
"""visit: of a stop, which are nodes 1 to n. hop: ticks of the way to the next node, 0 in an empty route."""

SPOT = np.dtype([("shift", "i4"), ("node", "i4")], align=True)
"""Where a visit is; shift -1 for nowhere."""


class Routes(NamedTuple):
    """One route a shift. row: `ROW` [shifts]. node: `NODE` [shifts, most stops + 2]. spot: `SPOT` [visits]. ready:
    [shifts, most stops + 1, most breaks + 1] by node and breaks taken; latest: [shifts, most stops + 2, most breaks +
    1], likewise. span: [shifts, most stops + 2, 3], see `_span`; of no size where no shift has a longest duration.
    load: [shifts, kinds of goods].
    """

    row: Records
    node: Records
    spot: Records
    ready: Ints
    latest: Ints
    span: Ints
    load: Ints


class Timetable(NamedTuple):
    """arrival, start: instants by stop. break_start: by break. departs_at, returns_at: see `plan.Route`."""

    arrival: Ints
    start: Ints
    break_start: Ints
    departs_at: int
    returns_at: int


def empty_routes(arrays: ProblemArrays, stops: int) -> Routes:
    """Routes without stops, with room for as many."""
    visits, shifts = arrays.pair.shape
    breaks = arrays.pauses.shape[1]
    capped = bool((arrays.shift["max_duration_s"] < UNLIMITED).any())
    routes = Routes(
        row=np.zeros(shifts, ROW),
        node=np.zeros((shifts, stops + 2), NODE),
        spot=np.zeros(visits, SPOT),
        ready=np.zeros((shifts, stops + 1, breaks + 1), np.int64),
        latest=np.zeros((shifts, stops + 2, breaks + 1), np.int64),
        span=np.zeros((shifts, stops + 2 if capped else 0, 3), np.int64),
        load=np.zeros((shifts, arrays.load.shape[1]), np.int64),
    )
    routes.spot["shift"] = -1
    refresh_all(arrays, routes)
    return routes


def most_stops(arrays: ProblemArrays) -> int:
    """No shift has more stops than visits it may serve, than its cap, or than their services fill its
    hours."""
    visits, shifts = arrays.pair.shape
    if not visits or not shifts:
        return 1
    by_time, shortest_s = int(visits), int(arrays.pair["service_s"].min())
    if shortest_s > 0:
        by_time = int((arrays.shift["end"] - arrays.shift["start"]).max()) // shortest_s
    allowed = int(arrays.pair["allowed"].sum(axis=0).max())
    return max(1, min(allowed, int(arrays.shift["max_visits"].max()), int(by_time)))


@inner_kernel
def earliest_in(window: Ints, visit: int, count: int, instant: int) -> int:
    """The first instant inside one of the visit's `count` windows that is not before `instant`, or `NEVER`."""
    for w in range(count):
        if instant <= window[visit, w, 1]:
            return int(max(instant, window[visit, w, 0]))
    return NEVER


@inner_kernel
def latest_in(window: Ints, visit: int, count: int, instant: int) -> int:
    """The last instant inside one of the windows that is not after `instant`, or `-NEVER`."""
    for w in range(count - 1, -1, -1):
        if instant >= window[visit, w, 0]:
            return int(min(instant, window[visit, w, 1]))
    return -NEVER


@kernel
def take_breaks_forward(pauses: Ints, breaks: int, earliest: Ints) -> None:
    """pauses: first and last instant to begin and seconds of each break, [most breaks, 3]. earliest[b]: the
    instant with b breaks taken; improved in place by taking breaks here and now."""
    for b in range(breaks):
        begin = max(earliest[b], pauses[b, 0])
        if begin <= pauses[b, 1]:
            earliest[b + 1] = min(earliest[b + 1], begin + pauses[b, 2])


@inner_kernel
def take_breaks_backward(pauses: Ints, breaks: int, latest: Ints) -> None:
    """latest[b]: the last instant with b breaks taken; improved in place by taking breaks here."""
    for b in range(breaks - 1, -1, -1):
        begin = min(latest[b + 1] - pauses[b, 2], pauses[b, 1])
        if begin >= pauses[b, 0]:
            latest[b] = max(latest[b], begin)


@kernel
def refresh_all(arrays: ProblemArrays, routes: Routes) -> None:
    """See `refresh`."""
    for shift in range(len(routes.row)):
        refresh(arrays, routes, shift)


@kernel
def refresh(arrays: ProblemArrays, routes: Routes, shift: int) -> bool:
    """Derives all else of a route from its visits and length. Returns whether it can be kept: times, breaks, caps and
    load."""
    n = routes.row[shift].length
    _measure(arrays, routes, shift)
    _forward(arrays, routes, shift, arrays.shift[shift].start, routes.ready[shift])
    _backward(arrays, routes, shift)
    routes.row[shift].begins = arrays.shift[shift].start
    capped = arrays.shift[shift].max_duration_s < UNLIMITED
    if capped and not arrays.shift[shift].timed:
        _span(arrays, routes, shift)
    if n == 0:
        return True
    kept = _is_kept(arrays, routes, shift)
    if kept and arrays.shift[shift].timed:
        routes.row[shift].cost += _timed_ticks(arrays, routes, shift)
    return kept


@inner_kernel
def _is_kept(arrays: ProblemArrays, routes: Routes, shift: int) -> bool:
    """Whether a route that has stops can be kept, as its times say. Sets when it begins."""
    n = routes.row[shift].length
    if not _within_caps(arrays, routes, shift):
        return False
    home_s = arrays.leg[routes.node[shift, n].place, routes.node[shift, n + 1].place, 0]
    in_time = False
    for b in range(arrays.shift[shift].breaks + 1):
        in_time |= routes.ready[shift, n, b] + home_s <= routes.latest[shift, n + 1, b]
    if not in_time or arrays.shift[shift].max_duration_s == UNLIMITED:
        return in_time
    return _shorten(arrays, routes, shift)


@inner_kernel
def _measure(arrays: ProblemArrays, routes: Routes, shift: int) -> None:
    """Where a route goes, where its visits are, and what it adds up to, whatever its times."""
    node, work = routes.node[shift], arrays.shift[shift]
    n = routes.row[shift].length
    node[0].place, node[n + 1].place, node[0].hop = work.start_place, work.end_place, 0
    routes.load[shift] = 0
    seconds, metres, cost, service_s = 0, 0, 0, 0
    for k in range(1, n + 1):
        visit = node[k].visit
        node[k].place = arrays.visit[visit].place
        routes.spot[visit].shift, routes.spot[visit].node = shift, k
        cost += arrays.pair[visit, shift].assign
        service_s += arrays.pair[visit, shift].service_s
        for kind in range(arrays.load.shape[1]):
            routes.load[shift, kind] += arrays.load[visit, kind]
    if n > 0:
        for k in range(n + 1):
            leg_s = int64(arrays.leg[node[k].place, node[k + 1].place, 0])
            leg_m = int64(arrays.leg[node[k].place, node[k + 1].place, 1])
            node[k].hop = leg_s * work.per_s + leg_m * work.per_m
            seconds += leg_s
            metres += leg_m
            cost += node[k].hop
        cost += work.fixed + fairness_ticks(arrays, shift, seconds + service_s)
    row = routes.row[shift]
    row.travel_m, row.travel_s, row.work_s, row.cost = metres, seconds, seconds + service_s, cost


@inner_kernel
def fairness_ticks(arrays: ProblemArrays, shift: int, work_s: int) -> int:
    """What so much work adds to the squared hours of this shift's technician; see
    `Weights.fairness_cents_per_h2`."""
    given_s = arrays.shift[shift].given_s
    return int(arrays.shift[shift].fairness * ((given_s + work_s) ** 2 - given_s**2) * 5 // 18)


@inner_kernel
def _within_caps(arrays: ProblemArrays, routes: Routes, shift: int) -> bool:
    row, work = routes.row[shift], arrays.shift[shift]
    if row.length > work.max_visits or row.travel_m > work.max_travel_m or row.travel_s > work.max_travel_s:
        return False
    over = 0
    for kind in range(arrays.load.shape[1]):
        over += routes.load[shift, kind] > arrays.capacity[shift, kind]
    return bool(over == 0)


@inner_kernel
def _forward(arrays: ProblemArrays, routes: Routes, shift: int, begins: int, ready: Ints) -> None:
    """Fills `ready`, [nodes, breaks taken], when the start place is left at `begins` or later."""
    ready[0, :] = NEVER
    ready[0, 0] = begins
    if arrays.shift[shift].breaks > 0:
        take_breaks_forward(arrays.pauses[shift], arrays.shift[shift].breaks, ready[0])
    for k in range(1, routes.row[shift].length + 1):
        _step_forward(arrays, routes, shift, k, ready)


@inner_kernel
def _forward_from(arrays: ProblemArrays, routes: Routes, shift: int, first: int, last: int) -> None:
    """Corrects `ready` from node `first` to node `last`, and on until a node is left when it was left before."""
    for k in range(first, routes.row[shift].length + 1):
        if not _step_forward(arrays, routes, shift, k, routes.ready[shift]) and k >= last:
            return


@inner_kernel
def _step_forward(arrays: ProblemArrays, routes: Routes, shift: int, k: int, ready: Ints) -> bool:
    """Fills `ready` of node k from the node before. Returns whether it has changed."""
    node, pauses, breaks = routes.node[shift], arrays.pauses[shift], arrays.shift[shift].breaks
    visit = node[k].visit
    service_s, windows = arrays.pair[visit, shift].service_s, arrays.visit[visit].windows
    travel_s = arrays.leg[node[k - 1].place, node[k].place, 0]
    changed = False
    if breaks == 0:
        start = earliest_in(arrays.window, visit, windows, ready[k - 1, 0] + travel_s)
        instant = min(start + service_s, NEVER)
        changed = instant != ready[k, 0]
        ready[k, 0] = instant
        return bool(changed)
    before = ready[k, : breaks + 1].sum()
    for b in range(breaks + 1):
        ready[k, b] = ready[k - 1, b] + travel_s
    take_breaks_forward(pauses, breaks, ready[k])
    for b in range(breaks + 1):
        start = earliest_in(arrays.window, visit, windows, ready[k, b])
        ready[k, b] = min(start + service_s, NEVER)
    take_breaks_forward(pauses, breaks, ready[k])
    return bool(ready[k, : breaks + 1].sum() != before)


@inner_kernel
def _backward(arrays: ProblemArrays, routes: Routes, shift: int) -> None:
    """Fills `latest`."""
    latest, n, breaks = routes.latest[shift], routes.row[shift].length, arrays.shift[shift].breaks
    latest[n + 1, :] = -NEVER
    latest[n + 1, breaks] = arrays.shift[shift].end
    if breaks > 0:
        take_breaks_backward(arrays.pauses[shift], breaks, latest[n + 1])
    for k in range(n, 0, -1):
        _step_backward(arrays, routes, shift, k)


@inner_kernel
def _backward_from(arrays: ProblemArrays, routes: Routes, shift: int, last: int, first: int) -> None:
    """Corrects `latest` from node `last` back to node `first`, and on until a node must be reached when it had to be
    before."""
    for k in range(last, 0, -1):
        if not _step_backward(arrays, routes, shift, k) and k <= first:
            return


@inner_kernel
def _step_backward(arrays: ProblemArrays, routes: Routes, shift: int, k: int) -> bool:
    """Fills `latest` of node k from the node behind it. Returns whether it has changed."""
    node, pauses, breaks = routes.node[shift], arrays.pauses[shift], arrays.shift[shift].breaks
    latest = routes.latest[shift]
    visit = node[k].visit
    service_s, windows = arrays.pair[visit, shift].service_s, arrays.visit[visit].windows
    travel_s = arrays.leg[node[k].place, node[k + 1].place, 0]
    changed = False
    if breaks == 0:
        instant = latest_in(arrays.window, visit, windows, latest[k + 1, 0] - travel_s - service_s)
        changed = instant != latest[k, 0]
        latest[k, 0] = instant
        return bool(changed)
    before = latest[k, : breaks + 1].sum()
    for b in range(breaks + 1):
        latest[k, b] = latest[k + 1, b] - travel_s
    take_breaks_backward(pauses, breaks, latest[k])
    for b in range(breaks + 1):
        latest[k, b] = latest_in(arrays.window, visit, windows, latest[k, b] - service_s)
    take_breaks_backward(pauses, breaks, latest[k])
    return bool(latest[k, : breaks + 1].sum() != before)


@inner_kernel
def _shorten(arrays: ProblemArrays, routes: Routes, shift: int) -> bool:
    """Sets `begins` so that the route is not longer than it may be. Returns whether it can be."""
    if arrays.shift[shift].timed:
        return _begin_later(arrays, routes, shift)
    n, work, span = routes.row[shift].length, arrays.shift[shift], routes.span[shift]
    done = span[n + 1, 0]
    back = routes.ready[shift, n, 0] + done - span[n, 0]
    departs_by = min(span[n, 1], work.end - done)
    routes.row[shift].begins = max(work.start, min(departs_by, back - work.max_duration_s))
    return bool(max(back - departs_by, done) <= work.max_duration_s)


@inner_kernel
def _span(arrays: ProblemArrays, routes: Routes, shift: int) -> None:
    """What the length of a plain route depends on, by node. span[k, 0]: seconds of travel and service from leaving
    the start place to leaving node k; span[k, 1]: the latest departure that keeps the windows up to there; span[k,
    2]: the earliest end of the route, however early node k is reached. Leaving the start place at t, one leaves node
    k at max(ready[k], t + span[k, 0]), and reaching node k at t, the route ends at max(span[k, 2], t + what is left),
    for waiting absorbs what one comes earlier."""
    n, span, node = routes.row[shift].length, routes.span[shift], routes.node[shift]
    span[0, 0], span[0, 1] = 0, arrays.shift[shift].end
    for k in range(1, n + 1):
        visit = node[k].visit
        reached = span[k - 1, 0] + arrays.leg[node[k - 1].place, node[k].place, 0]
        span[k, 0] = reached + arrays.pair[visit, shift].service_s
        span[k, 1] = min(span[k - 1, 1], arrays.window[visit, 0, 1] - reached)
    span[n + 1, 0] = span[n, 0] + arrays.leg[node[n].place, node[n + 1].place, 0]
    span[n + 1, 2] = -NEVER
    for k in range(n, 0, -1):
        visit = node[k].visit
        left_s = span[n + 1, 0] - span[k, 0] + arrays.pair[visit, shift].service_s
        span[k, 2] = max(span[k + 1, 2], arrays.window[visit, 0, 0] + left_s)


@inner_kernel
def duration_with(
    arrays: ProblemArrays,
    routes: Routes,
    shift: int,
    node: int,
    in_s: int,
    out_s: int,
    service_s: int,
    opens: int,
    closes: int,
) -> int:
    """The shortest that a plain route can last, from departure to end, with one more stop behind `node`; see
    `_span`. in_s, out_s: the ways to and from it; opens, closes: its window."""
    span, n = routes.span[shift], routes.row[shift].length
    left_s = 0
    back = -NEVER
    if node < n:
        following = routes.node[shift, node + 1].visit
        left_s = span[n + 1, 0] - span[node + 1, 0] + arrays.pair[following, shift].service_s
        back = span[node + 1, 2]
    reached = span[node, 0] + in_s
    done = reached + service_s + out_s
    departs_by = min(span[node, 1], closes - reached, routes.latest[shift, node + 1, 0] - done)
    over = max(routes.ready[shift, node, 0] + in_s, opens) + service_s
    back = max(back, over + out_s + left_s)
    return int(max(back - departs_by, done + left_s))


@inner_kernel
def has_room(arrays: ProblemArrays, routes: Routes, shift: int, load: Ints) -> bool:
    """Whether the caps of the shift on visits and load let one more stop in."""
    if routes.row[shift].length >= arrays.shift[shift].max_visits:
        return False
    over = 0
    for kind in range(len(load)):
        over += routes.load[shift, kind] + load[kind] > arrays.capacity[shift, kind]
    return bool(over == 0)


@kernel
def detour(arrays: ProblemArrays, routes: Routes, shift: int, node: int, place: int) -> tuple[int, int]:
    """Seconds and metres that driving by `place` after `node` adds to the route."""
    origin, destination = routes.node[shift, node].place, routes.node[shift, node + 1].place
    leg = arrays.leg
    seconds = int64(leg[origin, place, 0]) + leg[place, destination, 0]
    metres = int64(leg[origin, place, 1]) + leg[place, destination, 1]
    if routes.row[shift].length > 0:
        seconds -= leg[origin, destination, 0]
        metres -= leg[origin, destination, 1]
    return seconds, metres


@inner_kernel
def is_too_far(arrays: ProblemArrays, routes: Routes, shift: int, node: int, place: int) -> bool:
    """Whether driving by a place behind `node` exceeds the caps of the shift on travel."""
    row, work = routes.row[shift], arrays.shift[shift]
    seconds, metres = detour(arrays, routes, shift, node, place)
    return bool(row.travel_m + metres > work.max_travel_m or row.travel_s + seconds > work.max_travel_s)


@inner_kernel
def ticks_of_way(arrays: ProblemArrays, shift: int, origin: int, destination: int) -> int:
    """What the travel from place to place costs in this shift."""
    work = arrays.shift[shift]
    seconds, metres = int64(arrays.leg[origin, destination, 0]), int64(arrays.leg[origin, destination, 1])
    return int(seconds * work.per_s + metres * work.per_m)


@inner_kernel
def way_s(arrays: ProblemArrays, routes: Routes, shift: int, node: int) -> int:
    """Seconds from a node to the next; an empty route is not driven."""
    if routes.row[shift].length == 0:
        return 0
    return int(arrays.leg[routes.node[shift, node].place, routes.node[shift, node + 1].place, 0])


@inner_kernel
def fairness_with(arrays: ProblemArrays, routes: Routes, shift: int, node: int, more_s: int) -> int:
    """What a stop behind `node` adds to `fairness_ticks`. more_s: its service and the ways to and from it."""
    work_s = routes.row[shift].work_s
    with_s = work_s + more_s - way_s(arrays, routes, shift, node)
    return int(fairness_ticks(arrays, shift, with_s) - fairness_ticks(arrays, shift, work_s))


@allocating_kernel
def _begin_later(arrays: ProblemArrays, routes: Routes, shift: int) -> bool:
    """The general case: leaves later, by as much as the route is too long, until it is not. Waiting for one of
    several windows or for a break makes the end jump, so it is tried anew each time."""
    n, work = routes.row[shift].length, arrays.shift[shift]
    busy_s = routes.row[shift].work_s + arrays.pauses[shift, : work.breaks, 2].sum()
    if busy_s > work.max_duration_s:
        return False
    ready = np.empty((n + 1, arrays.pauses.shape[1] + 1), np.int64)
    home = np.empty(arrays.pauses.shape[1] + 1, np.int64)
    home_s = arrays.leg[routes.node[shift, n].place, routes.node[shift, n + 1].place, 0]
    begins = work.start
    while True:
        _forward(arrays, routes, shift, begins, ready)
        for b in range(work.breaks + 1):
            home[b] = ready[n, b] + home_s
        if work.breaks > 0:
            take_breaks_forward(arrays.pauses[shift], work.breaks, home)
        if home[work.breaks] > work.end:
            return False
        if home[work.breaks] - begins <= work.max_duration_s:
            routes.row[shift].begins = begins
            return True
        begins = home[work.breaks] - work.max_duration_s


@inner_kernel
def _timed_ticks(arrays: ProblemArrays, routes: Routes, shift: int) -> int:
    """Ticks of starts after the SLA's due time and of overtime."""
    _, start, _, _, returns_at = timetable(arrays, routes, shift)
    ticks = max(0, returns_at - arrays.shift[shift].overtime_from) * arrays.shift[shift].overtime_per_s
    for k in range(routes.row[shift].length):
        visit = arrays.visit[routes.node[shift, k + 1].visit]
        ticks += max(0, start[k] - visit.sla_due) * visit.sla_per_s
    return int(ticks)


@inner_kernel
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


@inner_kernel
def first_start(
    first: Ints, last: Ints, breaks: int, service_s: int, window: Ints, visit: int, count: int
) -> int:
    """The earliest start that spans and the visit's `count` windows share, or `NEVER`."""
    earliest = NEVER
    for b in range(breaks + 1):
        start = earliest_in(window, visit, count, first[b])
        if start + service_s <= last[b]:
            earliest = min(earliest, start)
    return earliest


@kernel
def insert_after(arrays: ProblemArrays, routes: Routes, shift: int, node: int, visit: int) -> bool:
    """Puts the visit behind `node` and refreshes the route. Returns whether it can be kept."""
    for k in range(routes.row[shift].length, node, -1):
        routes.node[shift, k + 1].visit = routes.node[shift, k].visit
    routes.node[shift, node + 1].visit = visit
    routes.row[shift].length += 1
    return refresh(arrays, routes, shift)


@inner_kernel
def insert_known(arrays: ProblemArrays, routes: Routes, shift: int, node: int, visit: int) -> None:
    """As `insert_after`, where it is known that the route can be kept: only what changes is computed."""
    row = routes.row[shift]
    if row.length == 0 or arrays.shift[shift].timed:
        insert_after(arrays, routes, shift, node, visit)
        return
    for k in range(row.length + 1, node, -1):
        _move_node(arrays, routes, shift, k, k + 1)
    row.length += 1
    _place_stop(arrays, routes, shift, node + 1, visit)
    _forward_from(arrays, routes, shift, node + 1, node + 2)
    _backward_from(arrays, routes, shift, node + 1, node)
    if arrays.shift[shift].max_duration_s < UNLIMITED:
        _span(arrays, routes, shift)
        _shorten(arrays, routes, shift)


@inner_kernel
def take_out(
    arrays: ProblemArrays, routes: Routes, shift: int, first: int, last: int, kept_from: int, kept: int
) -> bool:
    """Takes the stops of nodes `first` to `last` out, except `kept` of them from node `kept_from` on: only what changes
    is computed. The visits' spots are left as they are. Returns whether the rest can be kept."""
    work, row, nodes = arrays.shift[shift], routes.row[shift], routes.node[shift]
    n, left = row.length, row.length - (last - first + 1 - kept)
    fair = fairness_ticks(arrays, shift, row.work_s)
    for k in range(first, last + 1):
        if not kept_from <= k < kept_from + kept:
            _count_stop(arrays, routes, shift, int64(nodes[k].visit), -1)
    for k in range(first - 1, last + 1):
        _count_way(arrays, routes, shift, k, -1)
    for k in range(kept):
        _move_node(arrays, routes, shift, kept_from + k, first + k)
    for k in range(last + 1, n + 2):
        _move_node(arrays, routes, shift, k, k - n + left)
    row.length = left
    if left == 0 or work.timed:
        return refresh(arrays, routes, shift)
    for k in range(first - 1, first + kept):
        _count_way(arrays, routes, shift, k, 1)
    row.cost += fairness_ticks(arrays, shift, row.work_s) - fair
    _forward_from(arrays, routes, shift, first, first + kept)
    _backward_from(arrays, routes, shift, first + kept - 1, first - 1)
    if work.max_duration_s < UNLIMITED:
        _span(arrays, routes, shift)
    return _is_kept(arrays, routes, shift)


@inner_kernel
def _move_node(arrays: ProblemArrays, routes: Routes, shift: int, source: int, target: int) -> None:
    """Moves a stop, or the end place, with its times to another node of its route."""
    n, nodes = routes.row[shift].length, routes.node[shift]
    nodes[target] = nodes[source]
    for b in range(arrays.shift[shift].breaks + 1):
        routes.latest[shift, target, b] = routes.latest[shift, source, b]
        if source <= n:
            routes.ready[shift, target, b] = routes.ready[shift, source, b]
    if source <= n:
        routes.spot[nodes[source].visit].node = target


@inner_kernel
def _count_stop(arrays: ProblemArrays, routes: Routes, shift: int, visit: int, times: int) -> None:
    """Adds a visit to the sums of a route, but for the ways to and from it, or takes it off where `times` is -1."""
    row, pair = routes.row[shift], arrays.pair[visit, shift]
    row.cost += times * pair.assign
    row.work_s += times * pair.service_s
    for kind in range(arrays.load.shape[1]):
        routes.load[shift, kind] += times * arrays.load[visit, kind]


@inner_kernel
def _count_way(arrays: ProblemArrays, routes: Routes, shift: int, k: int, times: int) -> None:
    """Adds the way from node k to the next to the sums of the route, or takes it off where `times` is -1."""
    row, work, nodes = routes.row[shift], arrays.shift[shift], routes.node[shift]
    origin, destination = nodes[k].place, nodes[k + 1].place
    seconds, metres = int64(arrays.leg[origin, destination, 0]), int64(arrays.leg[origin, destination, 1])
    nodes[k].hop = seconds * work.per_s + metres * work.per_m
    row.travel_s += times * seconds
    row.travel_m += times * metres
    row.work_s += times * seconds
    row.cost += times * nodes[k].hop


@inner_kernel
def _place_stop(arrays: ProblemArrays, routes: Routes, shift: int, k: int, visit: int) -> None:
    """Makes the visit node k, which is a copy of the node behind it, and adds what it adds to the sums of the route."""
    row, nodes = routes.row[shift], routes.node[shift]
    fair = fairness_ticks(arrays, shift, row.work_s)
    _count_way(arrays, routes, shift, k - 1, -1)
    nodes[k].visit, nodes[k].place = visit, arrays.visit[visit].place
    routes.spot[visit].shift, routes.spot[visit].node = shift, k
    _count_stop(arrays, routes, shift, visit, 1)
    _count_way(arrays, routes, shift, k - 1, 1)
    _count_way(arrays, routes, shift, k, 1)
    row.cost += fairness_ticks(arrays, shift, row.work_s) - fair


@kernel
def remove_node(arrays: ProblemArrays, routes: Routes, shift: int, node: int) -> bool:
    """Takes the stop out and refreshes the route. Returns whether it can be kept."""
    routes.spot[routes.node[shift, node].visit].shift = -1
    for k in range(node, routes.row[shift].length):
        routes.node[shift, k].visit = routes.node[shift, k + 1].visit
    routes.row[shift].length -= 1
    return refresh(arrays, routes, shift)


@inner_kernel
def ticks_of_insertion(arrays: ProblemArrays, routes: Routes, shift: int, node: int, visit: int) -> int:
    """What the visit behind `node` adds to the cost of a route, found by putting it there and taking it out again;
    `NEVER` where it cannot be kept. For shifts that are `timed`."""
    before = routes.row[shift].cost
    kept = insert_after(arrays, routes, shift, node, visit)
    ticks = routes.row[shift].cost - before
    remove_node(arrays, routes, shift, node + 1)
    return int(ticks) if kept else NEVER


@allocating_kernel
def timetable(arrays: ProblemArrays, routes: Routes, shift: int) -> tuple[Ints, Ints, Ints, int, int]:
    """The times of a route that can be kept (see `Timetable`): stop after stop at its earliest, and of two
    ways with the same start the one with more breaks behind it, taken before leaving."""
    n, breaks = routes.row[shift].length, int64(arrays.shift[shift].breaks)
    arrival = np.empty(n + 1, np.int64)
    start = np.empty(n + 1, np.int64)
    break_start = np.empty(breaks, np.int64)
    now = routes.row[shift].begins
    taken = int64(0)
    departs_at = now
    limit = np.empty(breaks + 1, np.int64)
    for node in range(n + 1):
        _latest_ready(arrays, routes, shift, node + 1, limit)
        here, there = _choose_breaks(arrays, routes, shift, node, now, taken, limit)
        for _ in range(here):
            break_start[taken] = max(now, arrays.pauses[shift, taken, 0])
            now = break_start[taken] + arrays.pauses[shift, taken, 2]
            taken += 1
        travel_s = arrays.leg[routes.node[shift, node].place, routes.node[shift, node + 1].place, 0]
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
            now += arrays.pair[routes.node[shift, node + 1].visit, shift].service_s
    return arrival[:n], start[:n], break_start, departs_at, arrival[n]


@inner_kernel
def _start_at(arrays: ProblemArrays, routes: Routes, shift: int, node: int, instant: int) -> int:
    """When a stop reached at `instant` starts; at the end place one is done at once."""
    if node == routes.row[shift].length + 1:
        return instant
    visit = routes.node[shift, node].visit
    return earliest_in(arrays.window, visit, arrays.visit[visit].windows, instant)


@inner_kernel
def _latest_ready(arrays: ProblemArrays, routes: Routes, shift: int, node: int, limit: Ints) -> None:
    """limit[b]: the latest start of work at the node with b breaks taken such that what follows can be
    kept."""
    n, breaks = routes.row[shift].length, int64(arrays.shift[shift].breaks)
    if node == n + 1:
        limit[:] = -NEVER
        limit[breaks] = arrays.shift[shift].end
        return
    visit = routes.node[shift, node].visit
    travel_s = arrays.leg[routes.node[shift, node].place, routes.node[shift, node + 1].place, 0]
    for b in range(breaks + 1):
        limit[b] = routes.latest[shift, node + 1, b] - travel_s
    take_breaks_backward(arrays.pauses[shift], breaks, limit)
    for b in range(breaks + 1):
        limit[b] -= arrays.pair[visit, shift].service_s


@inner_kernel
def _choose_breaks(
    arrays: ProblemArrays, routes: Routes, shift: int, node: int, now: int, taken: int, limit: Ints
) -> tuple[int, int]:
    """How many breaks to take at this node before leaving, and on arrival at the next, for its earliest
    start."""
    travel_s = arrays.leg[routes.node[shift, node].place, routes.node[shift, node + 1].place, 0]
    best = NEVER
    chosen = (0, 0)
    left = arrays.shift[shift].breaks - taken
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


@inner_kernel
def _after_break(arrays: ProblemArrays, shift: int, taken: int, instant: int) -> int:
    begin = max(instant, arrays.pauses[shift, taken, 0])
    return int(begin + arrays.pauses[shift, taken, 2]) if begin <= arrays.pauses[shift, taken, 1] else NEVER


def visits_of(routes: Routes, shift: int) -> Indices:
    """The rows of the visits of a route, in order."""
    return np.asarray(routes.node["visit"][shift, 1 : int(routes.row["length"][shift]) + 1], np.int32)


def route_of(problem: Problem, arrays: ProblemArrays, routes: Routes, shift: int) -> Route:
    """A kept row of `routes` as people read it."""
    times = Timetable(*timetable(arrays, routes, shift))
    work = problem.shifts[shift]
    places = [int(arrays.shift["start_place"][shift])]
    stops = []
    total_s = 0
    for k, row in enumerate(visits_of(routes, shift).tolist()):
        visit = problem.visits[row]
        places.append(int(arrays.visit["place"][row]))
        travel_s, travel_m = (int(value) for value in arrays.leg[places[-2], places[-1]])
        total_s += travel_s
        start = int(times.start[k])
        stops.append(
            Stop(
                visit.id,
                int(times.arrival[k]),
                start,
                start + int(arrays.pair["service_s"][row, shift]),
                travel_s,
                travel_m,
            )
        )
    total_s += int(arrays.leg[places[-1], arrays.shift["end_place"][shift], 0])
    return Route(
        shift=work.id,
        technician=work.technician,
        stops=tuple(stops),
        departs_at=int(times.departs_at),
        returns_at=int(times.returns_at),
        travel_s=total_s,
        travel_m=int(routes.row["travel_m"][shift]),
        breaks=tuple(
            BreakTaken(int(begin), int(begin) + pause.duration_s)
            for begin, pause in zip(times.break_start, work.breaks, strict=True)
        ),
    )


def time_route(problem: Problem, shift_id: str, visit_ids: Sequence[str]) -> Route:
    """The times of a hand-made sequence of visits (at least one): every stop as early as possible, breaks
    placed, the first departure as late as it can be. Crews and orders, which tie it to other routes, are not looked
    at.

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
    routes.node["visit"][0, 1:-1], routes.row["length"] = range(len(visits)), len(visits)
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
    row, work = routes.row[0], arrays.shift[0]
    if len(part.visits) > work["max_visits"]:
        by = len(part.visits) - int(work["max_visits"])
        return Reason("visit_cap", f"more than {shift.max_visits} visits", who, by)
    if work["max_travel_m"] < row["travel_m"] < UNREACHABLE:
        by = int(row["travel_m"] - work["max_travel_m"])
        return Reason("travel_cap", f"more than {shift.max_travel_m} m of travel", who, by)
    if work["max_travel_s"] < row["travel_s"] < UNREACHABLE:
        by = int(row["travel_s"] - work["max_travel_s"])
        return Reason("travel_cap", f"more than {shift.max_travel_s} s of travel", who, by)
    over = (routes.load[0] - arrays.capacity[0]).tolist()
    if max(over, default=0) > 0:
        return Reason("capacity", "takes more than the van holds", who, max(over))
    for k, visit in enumerate(part.visits, start=1):
        if routes.ready[0, k].min() >= NEVER:
            return _late_at(arrays, routes, k, visit, who)
    home_s = arrays.leg[part.visits[-1].place, work["end_place"], 0]
    if home_s >= UNREACHABLE:
        return Reason("no_time", f"there is no way home from {part.visits[-1].id}", who)
    by = _earliest_return(arrays, routes) - shift.window.end - shift.overtime_s
    if by <= 0:
        return Reason("duration_cap", f"lasts longer than {shift.max_duration_s} s", who)
    if by < NEVER // 2:
        return Reason("no_time", "the shift ends before the return (seconds late)", who, by)
    return Reason("no_time", "the breaks cannot all be taken", who)


def _earliest_return(arrays: ProblemArrays, routes: Routes) -> int:
    """When the only route is over, its breaks taken; about `NEVER` where they cannot be."""
    n, breaks = int(routes.row["length"][0]), int(arrays.shift["breaks"][0])
    home_s = arrays.leg[routes.node["place"][0, n], arrays.shift["end_place"][0], 0]
    arrival = routes.ready[0, n] + home_s
    take_breaks_forward(arrays.pauses[0], breaks, arrival)
    return int(arrival[breaks])


def _late_at(arrays: ProblemArrays, routes: Routes, k: int, visit: Visit, who: tuple[str, ...]) -> Reason:
    travel_s = int(arrays.leg[routes.node["place"][0, k - 1], routes.node["place"][0, k], 0])
    if travel_s >= UNREACHABLE:
        return Reason("no_time", f"there is no way to {visit.id}", who)
    by = int(routes.ready[0, k - 1].min()) + travel_s - windows_of(visit)[-1].end
    return Reason("window", f"{visit.id} is reached after its window (seconds late)", who, by)
