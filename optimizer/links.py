"""Crews and orders in the search: visits whose times hang on each other across routes.

A link says that one visit starts at least so long after another; a crew says it both ways, with no time between. All
stops as early as their routes, their windows and their links allow: that is the least fixed point of a monotone
system, and `propagate` finds it as shortest paths are found by relaxing arcs (Bellman, Quarterly of Applied
Mathematics 16, 1958). A start that has to wait for another route raises the first instant of the visit's window, so
the kernels of `schedule` need not know of links. Being early never hurts, so a plan can be kept if the fixed point
lies within all windows and shifts.

The search is that of `ruin_recreate`, with three differences. Ruin takes out a linked visit together with all that
it is linked to, directly or through others. Recreate puts these back together, what comes first before what
follows, and a crew whole or not at all. An insertion into a route that holds linked visits counts only when the
times of all the routes that it moves have been found; its cost is that of all of them.
"""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from graphlib import TopologicalSorter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from optimizer.arrays import NEVER, Indices, Ints, ProblemArrays, Records
from optimizer.kernel import allocating_kernel, inner_kernel, int64, kernel
from optimizer.plan import Plan, Reason, Stop
from optimizer.pool import Pool
from optimizer.problem import Crew, Order, Problem, TimeWindow, Visit
from optimizer.ruin_recreate import (
    ANY_PRICE,
    BLINK_RATE,
    DEAREST_PRIZE_FIRST,
    EVERYWHERE,
    WIDE_RATE,
    Search,
    absent_join,
    accept,
    begin,
    call_in,
    cheapest_of,
    collect_all,
    collect_near,
    draw_order,
    leave_out,
    put,
    random_below,
    random_unit,
    remove_string,
    restore,
    ruin,
    sort_waiting,
    start_from_here,
    touch,
)
from optimizer.ruin_recreate import construct as construct_freely
from optimizer.ruin_recreate import load as load_routes
from optimizer.ruin_recreate import probe as probe_freely
from optimizer.schedule import Routes, earliest_in, latest_in, refresh, timetable
from optimizer.zones import Team

TRIES = 6
"""How many of the cheapest positions of a visit are tried before it is given up."""
CREW_ATTEMPTS = 3
"""How often a crew is tried, each time in another order of its members."""
RETRY_BLINK_RATE = 0.3
"""How often positions are passed over when a crew is tried anew, so that its first member goes elsewhere."""
MOST_ROUNDS = 2_000
"""Refreshed routes after which the times are taken to chase each other and the plan is given up. Around a circle of
routes each turn is later by the work and travel on it, and ends with the shift."""

TIE = np.dtype(
    [
        ("of", "i4"),
        ("to", "i4"),
        ("delay_s", "i8"),
        ("after_work", "?"),
        ("until_done", "?"),
        ("needed", "?"),
    ],
    align=True,
)
"""`to` starts at least delay_s after `of` starts, or with after_work, ends; with until_done it is the end of `to` that
must not be sooner. needed: `to` is served only if `of` is. of, to: rows of visits."""

COUNTS = np.dtype(
    [("trail", "i8"), ("placed", "i8"), ("head", "i8"), ("queued", "i8"), ("timed", "?")], align=True
)
"""trail, placed: how many of those lists count. head, queued: the queue's first place, and how many wait in it. timed:
whether any route costs less when it is earlier."""


class Links(NamedTuple):
    """What ties the visits of a problem together, and the state of it in one search.

    tie: `TIE`; out, into: rows of it by the visit that they lead from or to, those of visit v from out_from[v] to
    out_from[v + 1]. member: the linked visits, component after component (what hangs together directly or through
    others), each unit (a crew, or a visit) before those that follow it; component_from: where each component begins.
    unit, component: of each visit, -1 without links. backing: ticks of the prizes of all that follows a visit.
    technician: by shift. servable: whether a visit can be served at all. shortest_s, longest_s: the least and the
    most that its work takes. window: as in the problem; the arrays of the search have their own.

    bound: the first start that windows and links allow each visit, at: its start in the plan; saved_bound, saved_at: at
    the begin of the iteration. trail: visits and the bounds they had. placed: visits put in, in this iteration. queue:
    the shifts to be refreshed, in_queue: which these are. group: room for the members of a unit.
    """

    tie: Records
    out: Indices
    out_from: Indices
    into: Indices
    into_from: Indices
    member: Indices
    component_from: Indices
    unit: Indices
    component: Indices
    backing: Ints
    technician: Indices
    servable: NDArray[np.bool_]
    shortest_s: Ints
    longest_s: Ints
    window: Ints
    counts: Records
    bound: Ints
    at: Ints
    saved_bound: Ints
    saved_at: Ints
    trail: Ints
    placed: Indices
    queue: Indices
    in_queue: NDArray[np.bool_]
    done_in: Ints
    group: Indices


# What is linked


def has_links(problem: Problem) -> bool:
    return bool(problem.crews or problem.orders)


def links_of(problem: Problem, arrays: ProblemArrays) -> tuple[ProblemArrays, Links]:
    """The links, and arrays for one search with windows of its own. There nobody may serve what cannot be served for
    its links: the crew of a visit that no shift may serve, and what follows it."""
    row_of = {visit.id: row for row, visit in enumerate(problem.visits)}
    units, unit, follows = _units(problem, row_of)
    servable = _servable(arrays, units, unit, follows)
    arrays = arrays._replace(window=arrays.window.copy())
    if (arrays.pair["allowed"] & ~servable[:, None]).any():
        arrays = arrays._replace(pair=arrays.pair.copy())
        arrays.pair["allowed"] &= servable[:, None]
    tie = _ties(problem, row_of)
    out, out_from = _by_visit(tie["of"], len(unit))
    into, into_from = _by_visit(tie["to"], len(unit))
    components = _components(units, follows)
    member = [row for component in components for u in component for row in units[u]]
    sizes = [sum(len(units[u]) for u in component) for component in components]
    component = np.full(len(unit), -1, np.int32)
    component[member] = np.repeat(np.arange(len(components)), sizes)
    visits, shifts = arrays.pair.shape
    codes = {name: code for code, name in enumerate(dict.fromkeys(s.technician for s in problem.shifts))}
    takes_s = arrays.pair["service_s"].astype(np.int64)
    counts = np.zeros(1, COUNTS)
    counts["timed"] = arrays.shift["timed"].any()
    return arrays, Links(
        tie=tie,
        out=out,
        out_from=out_from,
        into=into,
        into_from=into_from,
        member=np.array(member, np.int32),
        component_from=np.cumsum([0, *sizes]).astype(np.int32),
        unit=unit,
        component=component,
        backing=_backing(arrays, units, follows),
        technician=np.array([codes[shift.technician] for shift in problem.shifts], np.int32),
        servable=servable,
        shortest_s=takes_s.min(axis=1, initial=NEVER),
        longest_s=takes_s.max(axis=1, initial=0),
        window=arrays.window.copy(),
        counts=counts,
        bound=arrays.window[:, 0, 0].copy(),
        at=arrays.window[:, 0, 0].copy(),
        saved_bound=np.zeros(visits, np.int64),
        saved_at=np.zeros(visits, np.int64),
        trail=np.zeros((4 * len(member) + MOST_ROUNDS, 2), np.int64),
        placed=np.zeros(visits, np.int32),
        queue=np.zeros(shifts, np.int32),
        in_queue=np.zeros(shifts, np.bool_),
        done_in=np.full(len(components), -1, np.int64),
        group=np.zeros(max([1, *(len(rows) for rows in units)]), np.int32),
    )


def _units(
    problem: Problem, row_of: Mapping[str, int]
) -> tuple[list[list[int]], Indices, list[tuple[int, int]]]:
    """Rows of visits by unit; the unit of each visit, -1 without links; and which unit follows which."""
    units = [[row_of[visit] for visit in crew.visits] for crew in problem.crews]
    unit = np.full(len(problem.visits), -1, np.int32)
    for number, rows in enumerate(units):
        unit[rows] = number
    for order in problem.orders:
        for row in (row_of[order.first], row_of[order.then]):
            if unit[row] < 0:
                unit[row] = len(units)
                units.append([row])
    follows = [(int(unit[row_of[order.first]]), int(unit[row_of[order.then]])) for order in problem.orders]
    return units, unit, follows


def _ties(problem: Problem, row_of: Mapping[str, int]) -> Records:
    ties = [
        (row_of[one], row_of[other], 0, False, False, False)
        for crew in problem.crews
        for one in crew.visits
        for other in crew.visits
        if one != other
    ]
    for order in problem.orders:
        first, then = row_of[order.first], row_of[order.then]
        ties.append((first, then, order.min_delay_s, True, False, True))
        if order.max_delay_s is not None:
            ties.append((then, first, -order.max_delay_s, False, True, False))
    return np.array(ties, TIE)


def _by_visit(visits: Indices, count: int) -> tuple[Indices, Indices]:
    """Which entries are of each visit, one after the other, and where those of each begin."""
    begins = np.searchsorted(np.sort(visits), np.arange(count + 1))
    return np.argsort(visits, kind="stable").astype(np.int32), begins.astype(np.int32)


def _in_order(units: Sequence[Sequence[int]], follows: Iterable[tuple[int, int]]) -> list[int]:
    """All units, each after those it follows."""
    sorter = TopologicalSorter({number: set[int]() for number in range(len(units))})
    for first, then in follows:
        sorter.add(then, first)
    return list(sorter.static_order())


def _components(units: Sequence[Sequence[int]], follows: Sequence[tuple[int, int]]) -> list[list[int]]:
    """Units that hang together, those that follow after those they follow."""
    root = list(range(len(units)))

    def find(unit: int) -> int:
        while root[unit] != unit:
            unit = root[unit] = root[root[unit]]
        return unit

    for first, then in follows:
        root[find(first)] = find(then)
    components: dict[int, list[int]] = {}
    for unit in _in_order(units, follows):
        components.setdefault(find(unit), []).append(unit)
    return list(components.values())


def _servable(
    arrays: ProblemArrays,
    units: Sequence[Sequence[int]],
    unit: Indices,
    follows: Sequence[tuple[int, int]],
) -> NDArray[np.bool_]:
    """Whether some shift may serve a visit, all of its crew, and what these follow."""
    alone = np.asarray(arrays.pair["allowed"].any(axis=1))
    whole = [bool(alone[rows].all()) for rows in units]
    before: dict[int, list[int]] = {}
    for first, then in follows:
        before.setdefault(then, []).append(first)
    for number in _in_order(units, follows):
        whole[number] &= all(whole[first] for first in before.get(number, ()))
    return np.array([alone[row] and (u < 0 or whole[u]) for row, u in enumerate(unit)], np.bool_)


def _backing(
    arrays: ProblemArrays, units: Sequence[Sequence[int]], follows: Sequence[tuple[int, int]]
) -> Ints:
    behind: dict[int, set[int]] = {number: set() for number in range(len(units))}
    after: dict[int, set[int]] = {number: set() for number in range(len(units))}
    for first, then in follows:
        after[first].add(then)
    for number in reversed(_in_order(units, follows)):
        behind[number] = after[number].union(*(behind[then] for then in after[number]))
    backing = np.zeros(len(arrays.visit), np.int64)
    for number, rows in enumerate(units):
        followers = [row for then in behind[number] for row in units[then]]
        backing[rows] = arrays.visit["prize"][followers].sum()
    return backing


# Times


@inner_kernel
def is_coupled(links: Links, routes: Routes, shift: int) -> bool:
    """Whether a route holds linked visits."""
    linked = 0
    for k in range(1, routes.row[shift].length + 1):
        linked += links.unit[routes.node[shift, k].visit] >= 0
    return linked > 0


@inner_kernel
def set_window(arrays: ProblemArrays, links: Links, visit: int, first: int, last: int) -> None:
    """Cuts the visit's windows to what lies from `first` to `last`, both inside some window (`NEVER` for no end).
    Windows that are cut off altogether become the instant next to them, so that they stay sorted."""
    for w in range(arrays.visit[visit].windows):
        arrays.window[visit, w, 0] = min(max(links.window[visit, w, 0], first), last)
        arrays.window[visit, w, 1] = max(min(links.window[visit, w, 1], last), first)


@inner_kernel
def reset_bound(arrays: ProblemArrays, links: Links, visit: int, bound: int) -> None:
    links.bound[visit] = bound
    set_window(arrays, links, visit, bound, NEVER)


@inner_kernel
def raise_bound(arrays: ProblemArrays, links: Links, visit: int, least: int) -> bool:
    """The visit starts at `least` or in its next window. Returns whether there is one."""
    counts = links.counts[0]
    bound = earliest_in(links.window, visit, arrays.visit[visit].windows, least)
    if bound <= links.bound[visit]:
        return True
    if bound >= NEVER or counts.trail >= len(links.trail):
        return False
    links.trail[counts.trail, 0], links.trail[counts.trail, 1] = visit, links.bound[visit]
    counts.trail += 1
    reset_bound(arrays, links, visit, bound)
    return True


@inner_kernel
def enqueue(links: Links, shift: int) -> None:
    counts = links.counts[0]
    if not links.in_queue[shift]:
        links.in_queue[shift] = True
        links.queue[(counts.head + counts.queued) % len(links.queue)] = shift
        counts.queued += 1


@inner_kernel
def dequeue(links: Links) -> int:
    counts = links.counts[0]
    shift = int64(links.queue[counts.head])
    links.in_queue[shift] = False
    counts.head = (counts.head + 1) % len(links.queue)
    counts.queued -= 1
    return shift


@inner_kernel
def refresh_again(arrays: ProblemArrays, search: Search, shift: int) -> bool:
    """Refreshes a route whose windows have changed, in the cost of the plan as well."""
    touch(search, shift)
    search.state[0].cost -= search.routes.row[shift].cost
    kept = refresh(arrays, search.routes, shift)
    search.state[0].cost += search.routes.row[shift].cost
    return kept


@inner_kernel
def note_starts(arrays: ProblemArrays, routes: Routes, links: Links, shift: int) -> None:
    """Sets `at` of the linked visits of a route that can be kept."""
    node, n = routes.node[shift], routes.row[shift].length
    if arrays.shift[shift].breaks > 0:
        starts = timetable(arrays, routes, shift)[1]
        for k in range(n):
            if links.unit[node[k + 1].visit] >= 0:
                links.at[node[k + 1].visit] = starts[k]
        return
    now = routes.row[shift].begins
    for k in range(1, n + 1):
        visit = node[k].visit
        now += arrays.leg[node[k - 1].place, node[k].place, 0]
        now = earliest_in(arrays.window, visit, arrays.visit[visit].windows, now)
        if links.unit[visit] >= 0:
            links.at[visit] = now
        now += arrays.pair[visit, shift].service_s


@inner_kernel
def gap(arrays: ProblemArrays, routes: Routes, links: Links, tie: int) -> int:
    """Seconds from the start of one served visit to the first start that a tie allows another."""
    of, to = links.tie[tie].of, links.tie[tie].to
    seconds = links.tie[tie].delay_s
    if links.tie[tie].after_work:
        seconds += arrays.pair[of, routes.spot[of].shift].service_s
    if links.tie[tie].until_done:
        seconds -= arrays.pair[to, routes.spot[to].shift].service_s
    return int64(seconds)


@inner_kernel
def push_others(arrays: ProblemArrays, search: Search, links: Links, shift: int) -> bool:
    """Moves what is tied to the visits of this route as late as it must be. Returns whether that can be."""
    routes = search.routes
    note_starts(arrays, routes, links, shift)
    for k in range(1, routes.row[shift].length + 1):
        visit = int64(routes.node[shift, k].visit)
        if links.unit[visit] < 0:
            continue
        for t in range(links.out_from[visit], links.out_from[visit + 1]):
            tie = int64(links.out[t])
            other = int64(links.tie[tie].to)
            if routes.spot[other].shift < 0:
                continue
            least = links.at[visit] + gap(arrays, routes, links, tie)
            if least > links.at[other]:
                if not raise_bound(arrays, links, other, least):
                    return False
                enqueue(links, int64(routes.spot[other].shift))
    return True


@inner_kernel
def propagate(arrays: ProblemArrays, search: Search, links: Links) -> bool:
    """Refreshes the routes in the queue and those that they move, until nothing moves any more. Returns whether all
    can be kept; if not, they are in between."""
    kept, rounds = True, 0
    while links.counts[0].queued > 0:
        shift = dequeue(links)
        rounds += 1
        if kept:
            kept = (
                rounds <= MOST_ROUNDS
                and refresh_again(arrays, search, shift)
                and push_others(arrays, search, links, shift)
            )
    return kept


@inner_kernel
def enqueue_coupled(links: Links, routes: Routes, shift: int) -> None:
    if shift >= 0 and is_coupled(links, routes, shift):
        enqueue(links, shift)


@inner_kernel
def relax(arrays: ProblemArrays, search: Search, links: Links) -> bool:
    """Finds anew the times of all that hangs together with the routes touched in this iteration, for what was taken
    out holds them no more. Returns whether they can be kept."""
    routes, counts = search.routes, links.counts[0]
    for t in range(search.state[0].touched):
        enqueue_coupled(links, routes, int64(search.touched[t]))
    seen = 0
    while seen < counts.queued:
        shift = int64(links.queue[(counts.head + seen) % len(links.queue)])
        seen += 1
        for k in range(1, routes.row[shift].length + 1):
            visit = int64(routes.node[shift, k].visit)
            if links.unit[visit] < 0:
                continue
            reset_bound(arrays, links, visit, int64(links.window[visit, 0, 0]))
            links.at[visit] = links.bound[visit]
            for t in range(links.out_from[visit], links.out_from[visit + 1]):
                enqueue_coupled(links, routes, int64(routes.spot[links.tie[links.out[t]].to].shift))
            for t in range(links.into_from[visit], links.into_from[visit + 1]):
                enqueue_coupled(links, routes, int64(routes.spot[links.tie[links.into[t]].of].shift))
    kept = propagate(arrays, search, links)
    counts.trail = 0
    return kept


# Trying and undoing


@inner_kernel
def begin_linked(search: Search, links: Links) -> None:
    begin(search)
    links.counts[0].trail, links.counts[0].placed = 0, 0
    for k in range(len(links.member)):
        visit = links.member[k]
        links.saved_bound[visit], links.saved_at[visit] = links.bound[visit], links.at[visit]


@inner_kernel
def restore_linked(arrays: ProblemArrays, search: Search, links: Links, cost: int) -> None:
    """Undoes the iteration."""
    restore(arrays, search, cost)
    for k in range(len(links.member)):
        visit = int64(links.member[k])
        links.at[visit] = links.saved_at[visit]
        if links.bound[visit] != links.saved_bound[visit]:
            reset_bound(arrays, links, visit, int64(links.saved_bound[visit]))


@inner_kernel
def take_out(arrays: ProblemArrays, search: Search, visit: int) -> None:
    """Out of its route; it waits."""
    spot = search.routes.spot[visit]
    remove_string(arrays, search, int64(spot.shift), int64(spot.node), 1)


@inner_kernel
def take_back(arrays: ProblemArrays, search: Search, links: Links, trail: int, placed: int) -> None:
    """Undoes what was put in, and the bounds that were raised, since those lists were so long. What was put in still
    has its place among the waiting."""
    state, counts = search.state[0], links.counts[0]
    while counts.trail > trail:
        counts.trail -= 1
        visit = int64(links.trail[counts.trail, 0])
        reset_bound(arrays, links, visit, int64(links.trail[counts.trail, 1]))
        if search.routes.spot[visit].shift >= 0:
            enqueue(links, int64(search.routes.spot[visit].shift))
    while counts.placed > placed:
        counts.placed -= 1
        visit = int64(links.placed[counts.placed])
        shift = int64(search.routes.spot[visit].shift)
        state.waiting -= 1
        last = search.waiting[state.waiting]
        take_out(arrays, search, visit)
        search.waiting[state.waiting - 1] = last
        enqueue_coupled(links, search.routes, shift)
    propagate(arrays, search, links)


@inner_kernel
def put_in(arrays: ProblemArrays, search: Search, links: Links, visit: int, shift: int, node: int) -> None:
    """See `put`; its route, which may move others, waits in the queue. Its bound has been set (see `narrow`)."""
    put(arrays, search, visit, shift, node)
    links.placed[links.counts[0].placed] = visit
    links.counts[0].placed += 1
    links.at[visit] = links.bound[visit]
    enqueue_coupled(links, search.routes, shift)


@inner_kernel
def strike(search: Search, count: int, shift: int, node: int) -> int:
    """Takes a position off the list of `count`. Returns how many are left."""
    left = 0
    for c in range(count):
        if search.candidate[c, 0] != shift or search.candidate[c, 1] != node:
            search.candidate[left, 0], search.candidate[left, 1] = (
                search.candidate[c, 0],
                search.candidate[c, 1],
            )
            left += 1
    return left


@inner_kernel
def put_cheapest(
    arrays: ProblemArrays,
    search: Search,
    links: Links,
    visit: int,
    last: int,
    count: int,
    tries: int,
    blink_rate: float,
    below: int,
) -> bool:
    """Puts the visit at the cheapest of the listed positions at which all routes can be kept, if that costs less than
    `below` ticks in all of them. last: the latest start that what it is tied to leaves it. Returns whether it did.

    Of those `tries` that cost least in their own route. What they cost in others is known only then, and only where
    costs depend on times does it matter."""
    state, counts = search.state[0], links.counts[0]
    trail, placed, prize = counts.trail, counts.placed, arrays.visit[visit].prize
    best_shift, best_node = int64(-1), int64(-1)
    for _ in range(tries):
        if links.unit[visit] >= 0:
            set_window(arrays, links, visit, int64(links.bound[visit]), last)
        shift, node = cheapest_of(arrays, search, visit, count, blink_rate, below)
        if links.unit[visit] >= 0:
            set_window(arrays, links, visit, int64(links.bound[visit]), NEVER)
        if shift < 0:
            break
        before = state.cost - prize
        put_in(arrays, search, links, visit, shift, node)
        alone = state.cost - before
        kept = propagate(arrays, search, links)
        ticks = state.cost - before
        if kept and (ticks <= alone or not counts.timed):
            return True
        if kept and ticks < below:
            below, best_shift, best_node = ticks, shift, node
        take_back(arrays, search, links, trail, placed)
        count = strike(search, count, shift, node)
    if best_shift < 0:
        return False
    put_in(arrays, search, links, visit, best_shift, best_node)
    return propagate(arrays, search, links)


# Recreate


@inner_kernel
def narrow(arrays: ProblemArrays, search: Search, links: Links, visit: int) -> int:
    """Sets the bound of a visit to be put in by the visits it is tied to. Returns the latest start that they leave it,
    `-NEVER` if there is none. The bound is what their routes would push it to: only a tie with until_done, which
    leads to what comes first, depends on the shift, and what follows is not served yet."""
    routes, windows = search.routes, arrays.visit[visit].windows
    first, last = int64(links.window[visit, 0, 0]), int64(links.window[visit, windows - 1, 1])
    for t in range(links.into_from[visit], links.into_from[visit + 1]):
        tie = links.tie[links.into[t]]
        shift = routes.spot[tie.of].shift
        if shift >= 0:
            least = links.at[tie.of] + tie.delay_s
            if tie.after_work:
                least += arrays.pair[tie.of, shift].service_s
            if tie.until_done:
                least -= links.longest_s[visit]
            first = max(first, least)
    for t in range(links.out_from[visit], links.out_from[visit + 1]):
        tie = links.tie[links.out[t]]
        shift, node = routes.spot[tie.to].shift, routes.spot[tie.to].node
        if shift >= 0:
            most = -NEVER
            for b in range(routes.latest.shape[2]):
                most = max(most, routes.latest[shift, node, b])
            most -= tie.delay_s
            if tie.after_work:
                most -= links.shortest_s[visit]
            if tie.until_done:
                most += arrays.pair[tie.to, shift].service_s
            last = min(last, most)
    first = earliest_in(links.window, visit, windows, first)
    last = latest_in(links.window, visit, windows, last)
    if first > last:
        return -NEVER
    reset_bound(arrays, links, visit, first)
    return int64(last)


@inner_kernel
def other_technicians(search: Search, links: Links, visit: int, count: int) -> int:
    """Strikes the positions of technicians who already have a visit of the same crew. Returns how many are left."""
    left = 0
    for c in range(count):
        shift, apart = search.candidate[c, 0], True
        for t in range(links.out_from[visit], links.out_from[visit + 1]):
            other = links.tie[links.out[t]].to
            if links.unit[other] == links.unit[visit] and search.routes.spot[other].shift >= 0:
                apart &= links.technician[search.routes.spot[other].shift] != links.technician[shift]
        if apart:
            search.candidate[left, 0], search.candidate[left, 1] = shift, search.candidate[c, 1]
            left += 1
    return left


@inner_kernel
def place_visit(
    arrays: ProblemArrays,
    search: Search,
    links: Links,
    visit: int,
    below: int,
    wide_rate: float,
    blink_rate: float,
) -> bool:
    """Where it costs least, less than `below` ticks; see `ruin_recreate.recreate`. Returns whether there is such a
    place."""
    last = NEVER
    if links.unit[visit] >= 0:
        last = narrow(arrays, search, links, visit)
        if last < -NEVER // 2:
            return False
    for wide in range(2):
        if wide == 0:
            if wide_rate >= EVERYWHERE:
                continue
            count = collect_near(arrays, search, visit)
        elif wide_rate >= 1 or random_unit(search.state) < wide_rate:
            count = collect_all(arrays, search, visit)
        else:
            break
        count = other_technicians(search, links, visit, count)
        tries = count if wide_rate >= EVERYWHERE else TRIES
        if put_cheapest(arrays, search, links, visit, last, count, tries, blink_rate, below):
            return True
    return False


@inner_kernel
def may_follow(search: Search, links: Links, first: int, end: int) -> bool:
    """Whether members `first` to `end`, a unit, can be served, and what they follow is."""
    for k in range(first, end):
        visit = links.member[k]
        if not links.servable[visit]:
            return False
        for t in range(links.into_from[visit], links.into_from[visit + 1]):
            tie = links.tie[links.into[t]]
            if tie.needed and search.routes.spot[tie.of].shift < 0:
                return False
    return True


@inner_kernel
def place_unit(
    arrays: ProblemArrays,
    search: Search,
    links: Links,
    first: int,
    end: int,
    limit: int,
    wide_rate: float,
    blink_rate: float,
) -> bool:
    """Members `first` to `end` all or none, in random order, within their prizes and those of what follows them.
    Returns whether they found places."""
    state, counts = search.state[0], links.counts[0]
    trail, placed, before = counts.trail, counts.placed, state.cost
    size = end - first
    worth, prizes = int64(links.backing[links.member[first]]), int64(0)
    for k in range(size):
        links.group[k] = links.member[first + k]
        prizes += arrays.visit[links.group[k]].prize
    for attempt in range(1 if size == 1 else CREW_ATTEMPTS):
        blinks = blink_rate if attempt == 0 else max(blink_rate, RETRY_BLINK_RATE)
        done = 0
        for k in range(size):
            chosen = k + random_below(search.state, size - k)
            links.group[k], links.group[chosen] = links.group[chosen], links.group[k]
            visit = int64(links.group[k])
            # What has been put in has given its prize back; what is left of all prizes is for the rest.
            spent = state.cost - before
            for other in range(k):
                spent += arrays.visit[links.group[other]].prize
            below = max(prizes + worth, limit) - spent
            if not place_visit(arrays, search, links, visit, below, wide_rate, blinks):
                break
            done += 1
        if done == size:
            return True
        take_back(arrays, search, links, trail, placed)
    return False


@inner_kernel
def unit_end(links: Links, first: int, end: int) -> int:
    """Where the unit that begins with member `first` ends, at most at `end`."""
    k = first
    while k < end and links.unit[links.member[k]] == links.unit[links.member[first]]:
        k += 1
    return k


@inner_kernel
def place_component(
    arrays: ProblemArrays,
    search: Search,
    links: Links,
    component: int,
    limit: int,
    wide_rate: float,
    blink_rate: float,
) -> int:
    """Puts in what waits of a component, unit after unit; none of it if it costs more than its prizes in all, or than
    `limit`. Returns how many visits found a place."""
    state, counts = search.state[0], links.counts[0]
    trail, placed, before = counts.trail, counts.placed, state.cost
    begins, ends = int64(links.component_from[component]), int64(links.component_from[component + 1])
    first = begins
    while first < ends:
        end = unit_end(links, first, ends)
        if search.routes.spot[links.member[first]].shift < 0 and may_follow(search, links, first, end):
            place_unit(arrays, search, links, first, end, limit, wide_rate, blink_rate)
        first = end
    if state.cost > before and limit == 0:
        take_back(arrays, search, links, trail, placed)
    for k in range(begins, ends):
        visit = int64(links.member[k])
        if links.servable[visit] and search.routes.spot[visit].shift < 0 and search.absent_at[visit] < 0:
            leave_out(search, visit)
    return int64(counts.placed - placed)


@inner_kernel
def recreate_linked(
    arrays: ProblemArrays, search: Search, links: Links, limit: int, wide_rate: float, blink_rate: float
) -> int:
    """See `ruin_recreate.recreate`."""
    state = search.state[0]
    placed = 0
    for k in range(state.waiting):
        links.counts[0].trail, links.counts[0].placed = 0, 0
        visit = int64(search.waiting[k])
        component = int64(links.component[visit])
        if component < 0:
            below = max(arrays.visit[visit].prize, limit)
            if place_visit(arrays, search, links, visit, below, wide_rate, blink_rate):
                placed += 1
            else:
                leave_out(search, visit)
        elif links.done_in[component] != state.iteration:
            links.done_in[component] = state.iteration
            placed += place_component(arrays, search, links, component, limit, wide_rate, blink_rate)
    return placed


# Ruin


@inner_kernel
def call_in_partners(search: Search, links: Links) -> None:
    """Absent visits are called in together with the absent ones that they are linked to."""
    state = search.state[0]
    k = 0
    while k < state.waiting:
        component = links.component[search.waiting[k]]
        k += 1
        if component < 0:
            continue
        for m in range(links.component_from[component], links.component_from[component + 1]):
            if search.absent_at[links.member[m]] >= 0:
                call_in(search, int64(links.member[m]))


@inner_kernel
def take_out_partners(arrays: ProblemArrays, search: Search, links: Links, torn_from: int) -> None:
    """What was torn out, from that place of the waiting list on, takes all with it that it is linked to."""
    state = search.state[0]
    k = torn_from
    while k < state.waiting:
        component = links.component[search.waiting[k]]
        k += 1
        if component < 0:
            continue
        for m in range(links.component_from[component], links.component_from[component + 1]):
            visit = int64(links.member[m])
            if search.routes.spot[visit].shift >= 0:
                take_out(arrays, search, visit)
            elif search.absent_at[visit] >= 0:
                call_in(search, visit)


# What is called from outside


@kernel
def iterate_linked(
    arrays: ProblemArrays, search: Search, links: Links, pool: Pool, iterations: int, temperature: float
) -> None:
    """See `ruin_recreate.iterate`."""
    state = search.state[0]
    if state.seeds == 0:
        return
    used = 0
    for shift in range(len(search.owner)):
        used += search.routes.row[shift].length > 0
    for _ in range(iterations):
        before = state.cost
        seed = int64(search.seeds[random_below(search.state, state.seeds)])
        begin_linked(search, links)
        absent_join(search, seed)
        served = state.seeds - state.absent - state.called
        call_in_partners(search, links)
        torn_from = state.waiting
        ruin(arrays, search, seed, served / max(used, 1))
        take_out_partners(arrays, search, links, torn_from)
        if not relax(arrays, search, links):
            restore_linked(arrays, search, links, before)
            continue
        sort_waiting(search, draw_order(search.state))
        recreate_linked(arrays, search, links, int64(0), WIDE_RATE, BLINK_RATE)
        if state.cost < before - temperature * np.log(max(random_unit(search.state), 1e-300)):
            accept(arrays, search, pool)
        else:
            restore_linked(arrays, search, links, before)


@kernel
def put_absent_linked(
    arrays: ProblemArrays,
    search: Search,
    links: Links,
    order: int,
    limit: int,
    wide_rate: float,
    blink_rate: float,
) -> int:
    """See `ruin_recreate.put_absent`."""
    begin_linked(search, links)
    while search.state[0].absent > 0:
        call_in(search, int64(search.absent[search.state[0].absent - 1]))
    sort_waiting(search, order)
    placed = recreate_linked(arrays, search, links, limit, wide_rate, blink_rate)
    start_from_here(arrays, search)
    return placed


@kernel
def drop_linked(arrays: ProblemArrays, search: Search, links: Links) -> None:
    """Takes out what costs more than its prize: single visits, units that nothing served follows, and all of a
    component."""
    for row in range(len(links.unit)):
        if links.unit[row] < 0 and search.routes.spot[row].shift >= 0:
            begin_linked(search, links)
            before = search.state[0].cost
            take_out(arrays, search, row)
            _leave_out_if_cheaper(arrays, search, links, before, int64(1))
    for component in range(len(links.component_from) - 1):
        begins, end = int64(links.component_from[component]), int64(links.component_from[component + 1])
        first = end
        while first > begins:
            first -= 1
            if first == begins or links.unit[links.member[first - 1]] != links.unit[links.member[first]]:
                if not _is_followed(search, links, first, end):
                    _drop_members(arrays, search, links, first, end)
                end = first
        _drop_members(arrays, search, links, begins, int64(links.component_from[component + 1]))
    start_from_here(arrays, search)


@inner_kernel
def _is_followed(search: Search, links: Links, first: int, end: int) -> bool:
    """Whether something served is served only because these members are."""
    for k in range(first, end):
        visit = links.member[k]
        for t in range(links.out_from[visit], links.out_from[visit + 1]):
            tie = links.tie[links.out[t]]
            if tie.needed and search.routes.spot[tie.to].shift >= 0:
                return True
    return False


@inner_kernel
def _drop_members(arrays: ProblemArrays, search: Search, links: Links, first: int, end: int) -> None:
    """Takes out these members if that is cheaper."""
    begin_linked(search, links)
    before, count = search.state[0].cost, int64(0)
    for k in range(first, end):
        visit = int64(links.member[k])
        if search.routes.spot[visit].shift >= 0:
            take_out(arrays, search, visit)
            count += 1
    if count > 0:
        _leave_out_if_cheaper(arrays, search, links, before, count)


@inner_kernel
def _leave_out_if_cheaper(arrays: ProblemArrays, search: Search, links: Links, cost: int, count: int) -> None:
    """Leaves out what waits, if it is the `count` visits that were meant, what stays can be kept, and it is cheaper."""
    state = search.state[0]
    if state.waiting == count and relax(arrays, search, links) and state.cost < cost:
        for k in range(state.waiting):
            leave_out(search, int64(search.waiting[k]))
    else:
        restore_linked(arrays, search, links, cost)


@allocating_kernel
def load_linked(
    arrays: ProblemArrays, search: Search, links: Links, visits: Indices, length: Indices
) -> None:
    """See `ruin_recreate.load`. If the whole cannot be kept, or tears apart what is linked, units are put in one after
    the other, each in its place of the given order, as far as they fit."""
    for k in range(len(links.member)):
        visit = int64(links.member[k])
        reset_bound(arrays, links, visit, int64(links.window[visit, 0, 0]))
        links.at[visit] = links.bound[visit]
    load_routes(arrays, search, visits, length)
    begin_linked(search, links)
    for shift in range(len(length)):
        touch(search, shift)
    if _keeps_units(search, links) and relax(arrays, search, links):
        start_from_here(arrays, search)
        return
    for k in range(len(links.member)):
        visit = int64(links.member[k])
        reset_bound(arrays, links, visit, int64(links.window[visit, 0, 0]))
    home = np.full(len(links.unit), -1, np.int64)
    rank = np.zeros(len(links.unit), np.int64)
    plain, plain_length = visits.copy(), length.copy()
    for shift in range(len(length)):
        left = 0
        for k in range(length[shift]):
            visit = int64(visits[shift, k])
            home[visit], rank[visit] = shift, k
            if links.unit[visit] < 0:
                plain[shift, left] = visit
                left += 1
        plain_length[shift] = left
    load_routes(arrays, search, plain, plain_length)
    _plant_units(arrays, search, links, home, rank)
    start_from_here(arrays, search)


@inner_kernel
def _keeps_units(search: Search, links: Links) -> bool:
    """Whether all crews are whole and of different technicians, and nothing is served without what it follows."""
    first = 0
    while first < len(links.member):
        end = unit_end(links, first, len(links.member))
        served = 0
        for k in range(first, end):
            served += search.routes.spot[links.member[k]].shift >= 0
        if served > 0 and (served < end - first or not may_follow(search, links, first, end)):
            return False
        if served > 0 and not _differ(search, links, first, end):
            return False
        first = end
    return True


@inner_kernel
def _differ(search: Search, links: Links, first: int, end: int) -> bool:
    """Whether these served members have different technicians."""
    for k in range(first, end):
        for other in range(first, k):
            one = search.routes.spot[links.member[k]].shift
            two = search.routes.spot[links.member[other]].shift
            if links.technician[one] == links.technician[two]:
                return False
    return True


@inner_kernel
def _plant_units(arrays: ProblemArrays, search: Search, links: Links, home: Ints, rank: Ints) -> None:
    """Units one after the other, each visit in the shift `home` before those of higher rank, as far as they fit."""
    counts = links.counts[0]
    first = 0
    while first < len(links.member):
        end = unit_end(links, first, len(links.member))
        begin_linked(search, links)
        fits = may_follow(search, links, first, end)
        for k in range(first, end):
            fits &= home[links.member[k]] >= 0
        for k in range(first, end):
            if fits:
                fits = _plant(arrays, search, links, int64(links.member[k]), home, rank)
        if not (fits and _differ(search, links, first, end)):
            take_back(arrays, search, links, int64(0), int64(0))
        for k in range(first, end):
            visit = int64(links.member[k])
            if links.servable[visit] and search.routes.spot[visit].shift < 0 and search.absent_at[visit] < 0:
                leave_out(search, visit)
        first = end
    counts.trail = 0


@inner_kernel
def _plant(arrays: ProblemArrays, search: Search, links: Links, visit: int, home: Ints, rank: Ints) -> bool:
    routes, shift = search.routes, home[visit]
    length = routes.row[shift].length
    if not arrays.pair[visit, shift].allowed or length >= routes.node.shape[1] - 2:
        return False
    if search.absent_at[visit] >= 0:
        call_in(search, visit)
    node = 0
    while node < length:
        other = routes.node[shift, node + 1].visit
        if home[other] == shift and rank[other] > rank[visit]:
            break
        node += 1
    if narrow(arrays, search, links, visit) < -NEVER // 2:
        return False
    put_in(arrays, search, links, visit, shift, node)
    return propagate(arrays, search, links)


@dataclass(frozen=True)
class LinkedTeam(Team):
    """A team of one worker, for a problem with links. arrays: its own, see `links_of`."""

    links: Links

    @classmethod
    def with_links(
        cls, problem: Problem, arrays: ProblemArrays, near: tuple[Indices, Indices], seed: int
    ) -> "LinkedTeam":
        """A team with nothing served yet."""
        own, links = links_of(problem, arrays)
        team = Team.of(own, near, 1, seed)
        return cls(team.arrays, team.routes, team.owner, team.workers, team.pools, team.hopeless, links)

    def iterate(self, executor: Executor, iterations: Sequence[int], temperature: float) -> None:
        iterate_linked(self.arrays, self.first, self.links, self.pools[0], iterations[0], temperature)

    def load(self, visits: Indices, length: Indices) -> None:
        """See `load_linked`."""
        load_linked(self.arrays, self.first, self.links, visits, length)

    def construct(self, order: int) -> None:
        """See `ruin_recreate.construct`."""
        self._put_absent(order, ANY_PRICE, 1.0, BLINK_RATE)

    def probe(self) -> None:
        """See `ruin_recreate.probe`."""
        drop_linked(self.arrays, self.first, self.links)
        while self._put_absent(DEAREST_PRIZE_FIRST, 0, EVERYWHERE, 0.0):
            pass

    def _put_absent(self, order: int, limit: int, wide_rate: float, blink_rate: float) -> int:
        return put_absent_linked(self.arrays, self.first, self.links, order, limit, wide_rate, blink_rate)


def team_for(
    problem: Problem, arrays: ProblemArrays, near: tuple[Indices, Indices], workers: int, seed: int
) -> Team:
    """A team that keeps the links of the problem, if it has any; then of one worker."""
    if has_links(problem):
        return LinkedTeam.with_links(problem, arrays, near, seed)
    return Team.of(arrays, near, workers, seed)


def load(team: Team, visits: Indices, length: Indices) -> None:
    """Makes these routes the plan of the team; see `ruin_recreate.load`."""
    if isinstance(team, LinkedTeam):
        team.load(visits, length)
    else:
        load_routes(team.arrays, team.first, visits, length)


def construct(team: Team, order: int) -> None:
    """See `ruin_recreate.construct`."""
    if isinstance(team, LinkedTeam):
        team.construct(order)
    else:
        construct_freely(team.arrays, team.first, order)


def probe(team: Team) -> None:
    """See `ruin_recreate.probe`."""
    if isinstance(team, LinkedTeam):
        team.probe()
    else:
        probe_freely(team.arrays, team.first)


# One visit more in a plan that stands


@dataclass(frozen=True)
class Tied:
    """What a plan leaves a linked visit. first, last: it must start between them; last is before first where nothing
    is left. technicians: those of its crew, who cannot have it as well. reason: the link that says so."""

    first: int
    last: int
    technicians: frozenset[str]
    reason: Reason

    def cut(self, opens: Ints, closes: Ints) -> tuple[Ints, Ints]:
        """What is left of these windows; none of one is left that begins at `NEVER`."""
        opens, closes = np.maximum(opens, self.first), np.minimum(closes, self.last)
        return np.where(opens > closes, NEVER, opens), np.where(opens > closes, -NEVER, closes)


@dataclass(frozen=True)
class PlannedLinks:
    """The links of a problem where a plan stands and one visit is asked about: all other linked visits keep their
    times. served: by visit id, who and when."""

    problem: Problem
    served: Mapping[str, tuple[str, Stop]]

    @classmethod
    def of(cls, problem: Problem, plan: Plan) -> "PlannedLinks":
        return cls(
            problem, {stop.visit: (route.technician, stop) for route in plan.routes for stop in route.stops}
        )

    def held(self) -> Problem:
        """The problem with every planned linked visit open at its planned start alone."""
        linked = {visit for crew in self.problem.crews for visit in crew.visits}
        linked |= {visit for order in self.problem.orders for visit in (order.first, order.then)}
        return replace(
            self.problem,
            visits=tuple(
                self._held(visit) if visit.id in linked and visit.id in self.served else visit
                for visit in self.problem.visits
            ),
        )

    def _held(self, visit: Visit) -> Visit:
        _, stop = self.served[visit.id]
        return replace(visit, windows=(TimeWindow(stop.start, stop.start),))

    def tied(self, visit: Visit) -> Tied | None:
        """What the links leave this visit, whoever serves it; None if it has none."""
        found = [
            *(self._by_crew(visit, crew) for crew in self.problem.crews if visit.id in crew.visits),
            *(self._by_first(order) for order in self.problem.orders if visit.id == order.then),
            *(self._by_then(visit, order) for order in self.problem.orders if visit.id == order.first),
        ]
        if not found:
            return None
        first, last = max(tied.first for tied in found), min(tied.last for tied in found)
        technicians = frozenset[str]().union(*(tied.technicians for tied in found))
        narrowest = min(found, key=lambda tied: tied.last - tied.first)
        if visit.pin is not None and visit.pin.technician in technicians:
            last = -NEVER
        return Tied(first, last, technicians, narrowest.reason)

    def _by_crew(self, visit: Visit, crew: Crew) -> Tied:
        others = [other for other in crew.visits if other != visit.id]
        missing = [other for other in others if other not in self.served]
        if missing:
            reason = Reason("crew", f"is served only with its crew, and {', '.join(missing)} is not planned")
            return Tied(NEVER, -NEVER, frozenset(), reason)
        starts = [self.served[other][1].start for other in others]
        reason = Reason("crew", f"starts together with {', '.join(others)}, each with its own technician")
        return Tied(max(starts), min(starts), frozenset(self.served[other][0] for other in others), reason)

    def _by_first(self, order: Order) -> Tied:
        if order.first not in self.served:
            reason = Reason("order", f"follows {order.first}, which is not planned")
            return Tied(NEVER, -NEVER, frozenset(), reason)
        end = self.served[order.first][1].end
        last = NEVER if order.max_delay_s is None else end + order.max_delay_s
        reason = Reason("order", f"follows {order.first} and its delay")
        return Tied(end + order.min_delay_s, last, frozenset(), reason)

    def _by_then(self, visit: Visit, order: Order) -> Tied:
        """Where the work takes some longer than others, only what is in time for all of them."""
        reason = Reason("order", f"comes before {order.then}")
        if order.then not in self.served:
            return Tied(-NEVER, NEVER, frozenset(), reason)
        then = self.served[order.then][1].start
        takes_s = [visit.service_s_at(shift.skills) for shift in self.problem.shifts]
        last = then - order.min_delay_s - max(takes_s, default=0)
        first = -NEVER if order.max_delay_s is None else then - order.max_delay_s - min(takes_s, default=0)
        return Tied(first, last, frozenset(), reason)


def served_with(problem: Problem, visit_id: str) -> frozenset[str]:
    """The visits without which this one cannot be served, itself included: its crew, and what these follow."""
    crew_of = {visit: crew.visits for crew in problem.crews for visit in crew.visits}
    needed: set[str] = set()
    open_ids = [visit_id]
    while open_ids:
        name = open_ids.pop()
        if name not in needed:
            needed.add(name)
            open_ids += crew_of.get(name, ())
            open_ids += [order.first for order in problem.orders if order.then == name]
    return frozenset(needed)
