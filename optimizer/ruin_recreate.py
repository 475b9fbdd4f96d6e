"""Slack induction by string removals: the search that improves a plan.

Christiaens & Vanden Berghe, "Slack Induction by String Removals for Vehicle Routing Problems", Transportation
Science 54 (2020). Each iteration tears strings of adjacent stops out of neighbouring routes (ruin), puts them
back one by one where they cost least (recreate), and keeps the result by simulated annealing. Routes that
were kept go into a pool (see `recombination`). Here a route belongs to a shift of its own hours, costs and
rights, visits may stay unserved for their prize, and those absent visits join the ruined ones.

Several workers may search the same routes side by side, each its own shifts (see `zones`): a worker changes no
route, and moves no visit, that is not its own.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from optimizer.arrays import NEVER, Indices, Ints, ProblemArrays, Records
from optimizer.kernel import index, inner_kernel, int64, kernel
from optimizer.pool import Pool, keep_route
from optimizer.proximity import NEIGHBOURS
from optimizer.schedule import (
    Routes,
    duration_with,
    earliest_in,
    empty_routes,
    fairness_with,
    first_start,
    has_room,
    insert_after,
    insert_known,
    is_too_far,
    refresh,
    remove_node,
    span_of_starts,
    take_out,
    ticks_of_insertion,
)

Floats = NDArray[np.float64]

# The paper's parameters: mean number removed, longest string, split rate and depth, blink rate.
MEAN_REMOVED = 10
LONGEST_STRING = 10
SPLIT_RATE = 0.5
SPLIT_DEPTH = 0.3
BLINK_RATE = 0.01

TRIED = 40
"""Neighbours beside which a visit is tried, the nearest that are in routes which may serve it. With many skills few
are; where the nearest forty of all were tried, a search of a day with eight skills needed twice the time."""
JOINING_NEARBY = 8
JOINING_ANYWHERE = 3
"""Absent visits that join one ruin, near its seed and from anywhere."""
WIDE_RATE = 0.2
"""How often a visit that finds no place beside its neighbours is tried at every position."""
EVERYWHERE = 2.0
HARVEST_GAP = 0.02
"""Routes of solutions at most this much dearer than the best go into the pool."""

ORDER_WEIGHTS = np.cumsum([4.0, 4.0, 2.0, 1.0, 2.0, 2.0, 2.0, 2.0])
"""How often each order of `orders_of` is taken; the paper's for vehicle routing with time windows, the prize
in the place of demand, and the number of shifts to choose from as one more."""
DEAREST_PRIZE_FIRST, FEW_SHIFTS_FIRST = 1, 7

ANY_PRICE = NEVER
"""A limit of ticks that no insertion reaches."""
ANY_COST = 2 * NEVER
"""One that no plan reaches."""


STATE = np.dtype(
    [
        ("me", "i8"), ("cost", "i8"), ("best_cost", "i8"), ("outside", "i8"), ("iteration", "i8"), ("random", "u8"),
        ("seeds", "i8"), ("absent", "i8"), ("waiting", "i8"), ("called", "i8"), ("touched", "i8"), ("stale", "i8"),
        ("open_kinds", "i8"),
    ],
    align=True,
)  # fmt: skip
"""The variables of one worker. me: its number. cost: ticks of its routes and of the prizes of its absent visits;
best_cost: of its best plan since `start_from_here`; outside: of all others, fixed while it works. The rest: how many
of the lists of the same names count."""


class Search(NamedTuple):
    """One worker. state: `STATE`, one element. routes: shared by the workers; owner: which worker each shift belongs
    to. before: the touched routes as they were. seeds: the visits around which it ruins, those of its routes and its
    absent ones. absent: its visits not served, absent_at: where each stands in that list or -1. waiting: visits torn
    out or called in, in this iteration. called: those of them that were absent before it. touched: the shifts changed
    in this iteration, touched_in: the last iteration that changed each. idle: an unused shift of each kind, of
    idle_count; open_kinds: the kinds that have one, open_at: where each stands in that list or -1. stale: shifts that
    differ from the best plan. best_visits, best_length: shared, the best plan. orders: [orders, visits] keys, see
    `orders_of`. candidate: [positions, 2], shift and node to be tried. first, last: see `schedule.span_of_starts`.
    """

    state: Records
    routes: Routes
    before: Routes
    owner: Indices
    seeds: Indices
    absent: Indices
    absent_at: Indices
    waiting: Indices
    called: Indices
    sort_key: Floats
    orders: Floats
    neighbours: Indices
    adjacent: Indices
    touched: Indices
    touched_in: Ints
    idle: Indices
    idle_count: Indices
    open_kinds: Indices
    open_at: Indices
    stale: Indices
    is_stale: NDArray[np.bool_]
    best_visits: Indices
    best_length: Indices
    candidate: Indices
    first: Ints
    last: Ints


def new_search(
    arrays: ProblemArrays,
    routes: Routes,
    owner: Indices,
    best: tuple[Indices, Indices],
    near: tuple[Indices, Indices],
    me: int,
    seed: int,
) -> Search:
    """Worker `me` of these routes, owning nothing yet. owner, best: shared by all workers of `routes`."""
    visits, shifts = arrays.pair.shape
    kinds = int(arrays.shift["kind"].max(initial=-1)) + 1
    breaks = arrays.pauses.shape[1]
    state = np.zeros(1, STATE)
    state["me"] = me
    state["random"] = np.random.default_rng((seed, me)).integers(1, 2**63)
    return Search(
        state=state,
        routes=routes,
        before=empty_routes(arrays, routes.node.shape[1] - 2),
        owner=owner,
        seeds=np.zeros(visits, np.int32),
        absent=np.zeros(visits, np.int32),
        absent_at=np.full(visits, -1, np.int32),
        waiting=np.zeros(visits, np.int32),
        called=np.zeros(visits, np.int32),
        sort_key=np.zeros(visits),
        orders=orders_of(arrays),
        neighbours=near[0],
        adjacent=near[1],
        touched=np.zeros(shifts, np.int32),
        touched_in=np.full(shifts, -1, np.int64),
        idle=np.zeros(kinds, np.int32),
        idle_count=np.zeros(kinds, np.int32),
        open_kinds=np.zeros(kinds, np.int32),
        open_at=np.full(kinds, -1, np.int32),
        stale=np.zeros(shifts, np.int32),
        is_stale=np.zeros(shifts, np.bool_),
        best_visits=best[0],
        best_length=best[1],
        candidate=np.zeros((visits + shifts + 2 * NEIGHBOURS, 2), np.int32),
        first=np.zeros(breaks + 1, np.int64),
        last=np.zeros(breaks + 1, np.int64),
    )


def orders_of(arrays: ProblemArrays) -> Floats:
    """In which order visits are put back, ascending by key, one row an order: at random (zeros), largest load or
    dearest prize first, far from homes first, close first, short windows first, early first, early closing first, few
    shifts first."""
    rows = np.arange(len(arrays.visit))
    opens, closes = arrays.window[:, 0, 0], arrays.window[rows, arrays.visit["windows"] - 1, 1]
    to_visit_s = arrays.leg_to[arrays.visit["place"][:, None], arrays.shift["start_place"], 0].astype(
        np.int64
    )
    allowed = arrays.pair["allowed"]
    remoteness = np.where(allowed, to_visit_s, NEVER).min(axis=1, initial=NEVER)
    first = -arrays.load.sum(axis=1) if (arrays.load > 0).any() else -arrays.visit["prize"]
    keys = [
        np.zeros(len(rows)), first, -remoteness, remoteness, closes - opens, opens, closes, allowed.sum(axis=1),
    ]  # fmt: skip
    return np.array(keys, np.float64)


# Randomness


@inner_kernel
def random_unit(state: Records) -> float:
    """Uniform in [0, 1), by xorshift64* (Vigna, ACM Transactions on Mathematical Software 42, 2016)."""
    x = state[0].random
    x ^= x >> np.uint64(12)
    x ^= x << np.uint64(25)
    x ^= x >> np.uint64(27)
    state[0].random = x
    return float((x * np.uint64(2685821657736338717)) >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@inner_kernel
def random_below(state: Records, bound: int) -> int:
    return int(random_unit(state) * bound)


# What belongs to a worker


@kernel
def start_from_here(arrays: ProblemArrays, search: Search) -> None:
    """Takes stock of what `owner` and `absent` give this worker: its idle shifts, seeds and cost. The plan as it
    stands is its best."""
    routes, state = search.routes, search.state[0]
    state.seeds, state.stale, state.cost = 0, 0, 0
    for shift in range(len(search.owner)):
        if search.owner[shift] != state.me:
            continue
        state.cost += routes.row[shift].cost
        for k in range(1, routes.row[shift].length + 1):
            search.seeds[state.seeds] = routes.node[shift, k].visit
            state.seeds += 1
        _copy_to_best(search, shift)
        search.is_stale[shift] = False
    for k in range(state.absent):
        search.seeds[state.seeds] = search.absent[k]
        state.seeds += 1
        state.cost += arrays.visit[search.absent[k]].prize
    state.best_cost = state.cost
    _find_idle(arrays, search)


@inner_kernel
def _find_idle(arrays: ProblemArrays, search: Search) -> None:
    state = search.state[0]
    search.idle_count[:] = 0
    search.open_at[:] = -1
    state.open_kinds = 0
    for shift in range(len(search.owner) - 1, -1, -1):
        if search.owner[shift] == state.me and search.routes.row[shift].length == 0:
            _fall_idle(arrays, search, shift)


@inner_kernel
def _fall_idle(arrays: ProblemArrays, search: Search, shift: int) -> None:
    state, kind = search.state[0], arrays.shift[shift].kind
    search.idle[kind] = shift
    search.idle_count[kind] += 1
    if search.open_at[kind] < 0:
        search.open_at[kind] = state.open_kinds
        search.open_kinds[state.open_kinds] = kind
        state.open_kinds += 1


@inner_kernel
def _leave_idle(arrays: ProblemArrays, search: Search, shift: int) -> None:
    """An idle shift is used; another of its kind takes its place."""
    state, kind = search.state[0], arrays.shift[shift].kind
    search.idle_count[kind] -= 1
    if search.idle_count[kind] == 0:
        state.open_kinds -= 1
        last = search.open_kinds[state.open_kinds]
        search.open_kinds[search.open_at[kind]] = last
        search.open_at[last] = search.open_at[kind]
        search.open_at[kind] = -1
    elif search.idle[kind] == shift:
        for other in range(len(search.owner)):
            used = search.routes.row[other].length > 0 or other == shift
            if not used and arrays.shift[other].kind == kind and search.owner[other] == state.me:
                search.idle[kind] = other
                return


@kernel
def leave_out(search: Search, visit: int) -> None:
    """Notes a visit as absent."""
    state = search.state[0]
    search.absent_at[visit] = state.absent
    search.absent[state.absent] = visit
    state.absent += 1


@inner_kernel
def _no_longer_absent(search: Search, visit: int) -> None:
    state = search.state[0]
    state.absent -= 1
    last = search.absent[state.absent]
    search.absent[search.absent_at[visit]] = last
    search.absent_at[last] = search.absent_at[visit]
    search.absent_at[visit] = -1


@inner_kernel
def call_in(search: Search, visit: int) -> None:
    """An absent visit waits to be put back."""
    state = search.state[0]
    _no_longer_absent(search, visit)
    search.waiting[state.waiting] = visit
    state.waiting += 1
    search.called[state.called] = visit
    state.called += 1


# One iteration and its undoing


@inner_kernel
def begin(search: Search) -> None:
    state = search.state[0]
    state.iteration += 1
    state.touched, state.waiting, state.called = 0, 0, 0


@inner_kernel
def _copy_route(source: Routes, target: Routes, shift: int) -> None:
    """Copies all that `schedule.refresh` derives of one route."""
    n = source.row[shift].length
    target.row[shift] = source.row[shift]
    for kind in range(source.load.shape[1]):
        target.load[shift, kind] = source.load[shift, kind]
    for k in range(n + 2):
        target.node[shift, k] = source.node[shift, k]
    for k in range(n + 1):
        for b in range(source.ready.shape[2]):
            target.ready[shift, k, b] = source.ready[shift, k, b]
            target.latest[shift, k + 1, b] = source.latest[shift, k + 1, b]
    if source.span.shape[1] > 0:
        for k in range(n + 2):
            for part in range(3):
                target.span[shift, k, part] = source.span[shift, k, part]


@inner_kernel
def touch(search: Search, shift: int) -> None:
    """Saves a route as it was before this iteration."""
    state = search.state[0]
    if search.touched_in[shift] == state.iteration:
        return
    search.touched_in[shift] = state.iteration
    search.touched[state.touched] = shift
    state.touched += 1
    _copy_route(search.routes, search.before, shift)


@inner_kernel
def restore(arrays: ProblemArrays, search: Search, cost: int) -> None:
    """Undoes the iteration."""
    routes, state = search.routes, search.state[0]
    for k in range(state.waiting):
        visit = int64(search.waiting[k])
        routes.spot[visit].shift = -1
        if search.absent_at[visit] >= 0:
            _no_longer_absent(search, visit)
    for k in range(state.called):
        leave_out(search, int64(search.called[k]))
    for t in range(state.touched):
        shift = int64(search.touched[t])
        was_used, is_used = search.before.row[shift].length > 0, routes.row[shift].length > 0
        if is_used and not was_used:
            _fall_idle(arrays, search, shift)
        elif was_used and not is_used:
            _leave_idle(arrays, search, shift)
        _copy_route(search.before, routes, shift)
        for k in range(1, routes.row[shift].length + 1):
            spot = routes.spot[routes.node[shift, k].visit]
            spot.shift, spot.node = shift, k
    state.cost = cost


@inner_kernel
def accept(arrays: ProblemArrays, search: Search, pool: Pool) -> None:
    """Keeps the iteration: the best plan and the pool learn of it."""
    routes, state = search.routes, search.state[0]
    for t in range(state.touched):
        shift = search.touched[t]
        if not search.is_stale[shift]:
            search.is_stale[shift] = True
            search.stale[state.stale] = shift
            state.stale += 1
    if state.cost < state.best_cost:
        state.best_cost = state.cost
        for k in range(state.stale):
            _copy_to_best(search, int64(search.stale[k]))
            search.is_stale[search.stale[k]] = False
        state.stale = 0
    quality = state.cost + state.outside
    if quality <= (state.best_cost + state.outside) * (1 + HARVEST_GAP):
        for t in range(state.touched):
            shift = int64(search.touched[t])
            row = routes.row[shift]
            if row.length > 0:
                keep_route(pool, routes.node[shift], row.length, arrays.shift[shift].kind, row.cost, quality)


@inner_kernel
def _copy_to_best(search: Search, shift: int) -> None:
    search.best_length[shift] = search.routes.row[shift].length
    for k in range(search.routes.row[shift].length):
        search.best_visits[shift, k] = search.routes.node[shift, k + 1].visit


# Ruin


@inner_kernel
def ruin(arrays: ProblemArrays, search: Search, seed: int, mean_length: float) -> None:
    """Tears one string out of each of some routes around `seed` (the paper's equations 5 to 9)."""
    routes, state = search.routes, search.state[0]
    longest = min(float(LONGEST_STRING), mean_length)
    most_strings = 4.0 * MEAN_REMOVED / (1.0 + longest) - 1.0
    strings = int(random_unit(search.state) * most_strings + 1.0)
    for k in range(-1, search.adjacent.shape[1]):
        if state.touched >= strings:
            return
        visit = seed if k < 0 else int64(search.adjacent[seed, k])
        shift = int64(routes.spot[visit].shift)
        if shift < 0 or search.owner[shift] != state.me or search.touched_in[shift] == state.iteration:
            continue
        n = routes.row[shift].length
        size = min(n, int(random_unit(search.state) * min(longest, float(n)) + 1.0))
        remove_string(arrays, search, shift, int64(routes.spot[visit].node), size)


@inner_kernel
def remove_string(arrays: ProblemArrays, search: Search, shift: int, node: int, size: int) -> None:
    """Takes `size` stops around `node` out of the route: a string, or by `SPLIT_RATE` a split string that
    keeps a few stops in its middle. If what is left cannot be kept (travel times that break the triangle
    inequality), all goes.
    """
    routes, state = search.routes, search.state[0]
    n = routes.row[shift].length
    kept = 0
    if 1 < size < n and random_unit(search.state) < SPLIT_RATE:
        kept = 1
        while size + kept < n and random_unit(search.state) < SPLIT_DEPTH:
            kept += 1
    span = size + kept
    lowest = max(1, node - span + 1)
    first = lowest + random_below(search.state, min(node, n - span + 1) - lowest + 1)
    kept_from = first + random_below(search.state, size + 1) if kept > 0 else n + 2
    touch(search, shift)
    state.cost -= routes.row[shift].cost
    for k in range(first, first + span):
        if not kept_from <= k < kept_from + kept:
            _await(arrays, search, int64(routes.node[shift, k].visit))
    if not take_out(arrays, routes, shift, first, first + span - 1, kept_from, kept):
        for k in range(1, routes.row[shift].length + 1):
            _await(arrays, search, int64(routes.node[shift, k].visit))
        routes.row[shift].length = 0
        refresh(arrays, routes, shift)
    if routes.row[shift].length == 0:
        _fall_idle(arrays, search, shift)
    state.cost += routes.row[shift].cost


@inner_kernel
def _await(arrays: ProblemArrays, search: Search, visit: int) -> None:
    state = search.state[0]
    search.routes.spot[visit].shift = -1
    search.waiting[state.waiting] = visit
    state.waiting += 1
    state.cost += arrays.visit[visit].prize


@inner_kernel
def absent_join(search: Search, seed: int) -> None:
    """Some absent visits, near the seed and from anywhere, get another chance."""
    state = search.state[0]
    if state.absent == 0:
        return
    joined = 0
    for k in range(-1, search.adjacent.shape[1]):
        if joined == JOINING_NEARBY or state.absent == 0:
            break
        visit = seed if k < 0 else int64(search.adjacent[seed, k])
        if search.absent_at[visit] >= 0:
            call_in(search, visit)
            joined += 1
    for _ in range(min(JOINING_ANYWHERE, state.absent)):
        call_in(search, int64(search.absent[random_below(search.state, state.absent)]))


# Recreate


@inner_kernel
def draw_order(state: Records) -> int:
    draw = random_unit(state) * ORDER_WEIGHTS[-1]
    order = 0
    while ORDER_WEIGHTS[order] <= draw:
        order += 1
    return order


@inner_kernel
def sort_waiting(search: Search, order: int) -> None:
    """Insertion sort of the waiting visits by one of the orders; 0 is random."""
    waiting, key = search.waiting, search.sort_key
    for k in range(search.state[0].waiting):
        visit = waiting[k]
        rank = random_unit(search.state) if order == 0 else search.orders[order, visit]
        place = k
        while place > 0 and key[place - 1] > rank:
            key[place] = key[place - 1]
            waiting[place] = waiting[place - 1]
            place -= 1
        key[place] = rank
        waiting[place] = visit


@inner_kernel
def collect_near(arrays: ProblemArrays, search: Search, visit: int) -> int:
    """Lists the positions beside the visit's nearest neighbours and in one unused shift of each kind. Returns how
    many."""
    state, spot, owner = search.state[0], search.routes.spot, search.owner
    neighbours, candidate = search.neighbours[visit], search.candidate
    count = 0
    for k in range(len(neighbours)):
        if neighbours[k] < 0:
            break
        shift, node = spot[neighbours[k]].shift, spot[neighbours[k]].node
        if shift >= 0 and owner[shift] == state.me and arrays.pair[visit, shift].allowed:
            candidate[count, 0], candidate[count, 1] = shift, node - 1
            candidate[count + 1, 0], candidate[count + 1, 1] = shift, node
            count += 2
            if count == 2 * TRIED:
                break
    for k in range(state.open_kinds):
        shift = search.idle[search.open_kinds[k]]
        if arrays.pair[visit, shift].allowed:
            candidate[count, 0], candidate[count, 1] = shift, 0
            count += 1
    return count


@inner_kernel
def collect_all(arrays: ProblemArrays, search: Search, visit: int) -> int:
    """Lists every position of every shift of this worker that may serve the visit. Returns how many."""
    count = 0
    for shift in range(len(search.owner)):
        if search.owner[shift] == search.state[0].me and arrays.pair[visit, shift].allowed:
            for node in range(search.routes.row[shift].length + 1):
                search.candidate[count, 0], search.candidate[count, 1] = shift, node
                count += 1
    return count


@inner_kernel
def cheapest_of(
    arrays: ProblemArrays, search: Search, visit: int, count: int, blink_rate: float, below: int
) -> tuple[int, int]:
    """Shift and node of the cheapest of the listed positions that costs less than `below` ticks and can be
    kept, each blinked at by the rate; -1, -1 if there is none. Here the search spends its time."""
    routes, candidate = search.routes, search.candidate
    ready, latest = routes.ready, routes.latest
    place, windows = int64(arrays.visit[visit].place), arrays.visit[visit].windows
    onward, inward = arrays.leg[place], arrays.leg_to[place]
    most, capped = routes.node.shape[1] - 2, routes.span.shape[1] > 0
    best, best_shift, best_node = below, int64(-1), int64(-1)
    for c in range(count):
        shift, node = int64(candidate[c, 0]), int64(candidate[c, 1])
        at, behind = index(shift), index(node)
        work, pair, here = arrays.shift[at], arrays.pair[index(visit), at], routes.node[at, behind]
        origin, destination = index(here.place), index(routes.node[at, behind + index(1)].place)
        in_s, out_s = int64(inward[origin, 0]), int64(onward[destination, 0])
        metres = int64(inward[origin, 1]) + onward[destination, 1]
        ticks = pair.assign + (in_s + out_s) * work.per_s + metres * work.per_m - here.hop
        length = routes.row[at].length
        if length == 0:
            ticks += work.fixed
        if ticks >= best or length >= most:
            continue
        if blink_rate > 0 and random_unit(search.state) < blink_rate:
            continue
        if work.breaks == 0:
            start = earliest_in(arrays.window, visit, windows, ready[shift, node, 0] + in_s)
            fits = start + pair.service_s + out_s <= latest[shift, node + 1, 0]
        else:
            first, last = search.first, search.last
            span_of_starts(
                ready[shift, node],
                latest[shift, node + 1],
                arrays.pauses[shift],
                work.breaks,
                in_s,
                out_s,
                first,
                last,
            )
            start = first_start(first, last, work.breaks, pair.service_s, arrays.window, visit, windows)
            fits = start < NEVER
        too_far = work.far and is_too_far(arrays, routes, shift, node, place)
        if not fits or too_far or not has_room(arrays, routes, shift, arrays.load[visit]):
            continue
        if capped and not work.timed:
            opens, closes = arrays.window[visit, 0, 0], arrays.window[visit, 0, 1]
            service_s = int64(pair.service_s)
            lasts_s = duration_with(arrays, routes, shift, node, in_s, out_s, service_s, opens, closes)
            if lasts_s > work.max_duration_s:
                continue
        if work.timed:
            ticks = ticks_of_insertion(arrays, routes, shift, node, visit)
        elif work.fairness > 0:
            ticks += fairness_with(arrays, routes, shift, node, in_s + out_s + pair.service_s)
        if ticks < best:
            best, best_shift, best_node = ticks, shift, node
    return best_shift, best_node


@inner_kernel
def put(arrays: ProblemArrays, search: Search, visit: int, shift: int, node: int) -> None:
    routes, state = search.routes, search.state[0]
    touch(search, shift)
    if routes.row[shift].length == 0:
        _leave_idle(arrays, search, shift)
    state.cost -= routes.row[shift].cost + arrays.visit[visit].prize
    insert_known(arrays, routes, shift, node, visit)
    state.cost += routes.row[shift].cost


@inner_kernel
def recreate(
    arrays: ProblemArrays, search: Search, limit: int, wide_rate: float, blink_rate: float, most: int
) -> int:
    """Greedy insertion with blinks of all that waits; what finds no place within its prize, or the limit if that is
    higher, is absent. wide_rate: how often everywhere is looked at where nothing is found beside the neighbours;
    `EVERYWHERE` looks everywhere at once. most: ticks below which the plan must stay; once it is sure that it does not,
    which is as soon as one visit cannot be placed for what is left, all else that waits is let be. Returns how many
    found a place, -1 if it was given up."""
    placed, state = 0, search.state[0]
    waiting = int64(0)
    for k in range(state.waiting):
        waiting += arrays.visit[search.waiting[k]].prize
    for k in range(state.waiting):
        visit = int64(search.waiting[k])
        prize = int64(arrays.visit[visit].prize)
        left = most - (state.cost - waiting)
        waiting -= prize
        below = min(max(prize, limit), left)
        shift, node = int64(-1), int64(-1)
        if wide_rate < EVERYWHERE:
            count = collect_near(arrays, search, visit)
            shift, node = cheapest_of(arrays, search, visit, count, blink_rate, below)
        if shift < 0 and prize >= left:
            return -1
        if shift < 0 and (wide_rate >= 1 or random_unit(search.state) < wide_rate):
            count = collect_all(arrays, search, visit)
            shift, node = cheapest_of(arrays, search, visit, count, blink_rate, below)
        if shift < 0:
            leave_out(search, visit)
        else:
            put(arrays, search, visit, shift, node)
            placed += 1
    return placed


# What is called from outside


@kernel
def put_absent(
    arrays: ProblemArrays, search: Search, order: int, limit: int, wide_rate: float, blink_rate: float
) -> int:
    """Puts all absent visits where they cost least, one after the other. Returns how many; see `recreate`."""
    begin(search)
    while search.state[0].absent > 0:
        call_in(search, int64(search.absent[search.state[0].absent - 1]))
    sort_waiting(search, order)
    placed = recreate(arrays, search, limit, wide_rate, blink_rate, ANY_COST)
    start_from_here(arrays, search)
    return placed


def construct(arrays: ProblemArrays, search: Search, order: int) -> None:
    """The first plan: every visit where it costs least, whatever it costs, for many visits make a trip worth while
    that one alone does not."""
    put_absent(arrays, search, order, ANY_PRICE, 1.0, BLINK_RATE)


@kernel
def drop(arrays: ProblemArrays, search: Search) -> None:
    """Takes out every visit that costs more than its prize."""
    routes = search.routes
    for shift in range(len(routes.row)):
        node = 1
        while node <= routes.row[shift].length:
            visit = int64(routes.node[shift, node].visit)
            before = routes.row[shift].cost
            kept = remove_node(arrays, routes, shift, node)
            if kept and before - routes.row[shift].cost > arrays.visit[visit].prize:
                leave_out(search, visit)
            else:
                insert_after(arrays, routes, shift, node - 1, visit)
                node += 1
    start_from_here(arrays, search)


def probe(arrays: ProblemArrays, search: Search) -> None:
    """Takes out what costs more than its prize, then puts in every absent visit that fits anywhere within its
    prize, dearest prize first, until none does."""
    drop(arrays, search)
    while put_absent(arrays, search, DEAREST_PRIZE_FIRST, 0, EVERYWHERE, 0.0):
        pass


@kernel
def load(arrays: ProblemArrays, search: Search, visits: Indices, length: Indices) -> None:
    """Makes these routes the current plan of a worker that owns all shifts, [shifts, stops] and how many count. A
    route that cannot be kept keeps its stops one by one as far as they fit."""
    routes, state = search.routes, search.state[0]
    for visit in range(len(routes.spot)):
        routes.spot[visit].shift = -1
    for shift in range(len(routes.row)):
        _load_route(arrays, routes, shift, visits[shift], int64(length[shift]))
    state.absent = 0
    search.absent_at[:] = -1
    for visit in range(len(routes.spot)):
        may = False
        for shift in range(len(routes.row)):
            may |= arrays.pair[visit, shift].allowed
        if may and routes.spot[visit].shift < 0:
            leave_out(search, visit)
    start_from_here(arrays, search)


@inner_kernel
def _load_route(arrays: ProblemArrays, routes: Routes, shift: int, visits: Indices, count: int) -> None:
    n = min(count, routes.node.shape[1] - 2)
    for k in range(n):
        routes.node[shift, k + 1].visit = visits[k]
    routes.row[shift].length = n
    if refresh(arrays, routes, shift) and n == count:
        return
    for k in range(n):
        routes.spot[visits[k]].shift = -1
    routes.row[shift].length = 0
    refresh(arrays, routes, shift)
    for k in range(count):
        end = routes.row[shift].length
        if end < routes.node.shape[1] - 2 and not insert_after(arrays, routes, shift, end, int64(visits[k])):
            remove_node(arrays, routes, shift, end + 1)
