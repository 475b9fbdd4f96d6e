"""Slack induction by string removals: the search that improves a plan.

Christiaens & Vanden Berghe, "Slack Induction by String Removals for Vehicle Routing Problems", Transportation
Science 54 (2020). Each iteration tears strings of adjacent stops out of neighbouring routes (ruin), puts them
back one by one where they cost least (recreate), and keeps the result by simulated annealing. Routes that
were kept go into a pool (see `recombination`). Here a route belongs to a shift of its own hours, costs and
rights, visits may stay unserved for their prize, and those absent visits join the ruined ones.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from optimizer.arrays import Indices, Ints, ProblemArrays
from optimizer.kernel import kernel
from optimizer.schedule import (
    NEVER,
    Routes,
    earliest_in,
    empty_routes,
    first_start,
    insert_after,
    most_stops,
    refresh,
    span_of_starts,
)

Floats = NDArray[np.float64]

# The paper's parameters: mean number removed, longest string, split rate and depth, blink rate.
MEAN_REMOVED = 10
LONGEST_STRING = 10
SPLIT_RATE = 0.5
SPLIT_DEPTH = 0.01
BLINK_RATE = 0.01

NEIGHBOURS = 40
"""Visits next to which a visit is tried; nearly all good insertions are beside one of the nearest forty."""
ADJACENT = 120
"""Visits whose routes a ruin may reach from its seed."""
JOINING_NEARBY = 8
JOINING_ANYWHERE = 3
"""Absent visits that join one ruin, near its seed and from anywhere."""
WIDE_RATE = 0.2
"""How often a visit that finds no place beside its neighbours is tried at every position."""
HARVEST_GAP = 0.02
"""Routes of solutions at most this much dearer than the best go into the pool."""

ORDER_WEIGHTS = np.cumsum([4.0, 4.0, 2.0, 1.0, 2.0, 2.0, 2.0, 2.0])
"""How often each order of `orders_of` is taken; the paper's for vehicle routing with time windows, the prize
in the place of demand, and the number of shifts to choose from as one more."""
DEAREST_PRIZE_FIRST, FEW_SHIFTS_FIRST = 1, 7


class Pool(NamedTuple):
    """Routes seen, each set of visits once for each kind of shift, at its cheapest order. stops: all
    sequences end to end, route i from offset[i] to offset[i + 1]. cost: ticks of the route; quality: ticks of
    the best solution it was in. slots: open-addressing hash table of route numbers by signature, -1 for free.
    token: random 64 bits for each visit, then for each kind; a signature is the exclusive or of them
    (Zobrist).
    """

    stops: Indices
    offset: Ints
    kind: Indices
    cost: Ints
    quality: Ints
    signature: NDArray[np.uint64]
    slots: Indices
    token: NDArray[np.uint64]
    size: Ints


class Search(NamedTuple):
    """The state of one search. Arrays of one element are its variables. absent: the visits not served,
    absent_at: where each stands in that list or -1. waiting: visits torn out and not yet back. saved_*: the
    routes touched by the iteration as they were before. orders: [orders, visits] keys, see `orders_of`.
    candidate_*: positions to be tried.
    """

    routes: Routes
    cost: Ints
    iteration: Ints
    random: NDArray[np.uint64]
    absent: Indices
    absent_at: Indices
    absent_count: Ints
    waiting: Indices
    waiting_count: Ints
    sort_key: Floats
    orders: Floats
    neighbours: Indices
    adjacent: Indices
    touched: Indices
    touched_count: Ints
    touched_in: Ints
    saved_visits: Indices
    saved_length: Indices
    saved_absent: Indices
    saved_absent_count: Ints
    best_visits: Indices
    best_length: Indices
    best_cost: Ints
    tried_kind: Ints
    candidate_shift: Indices
    candidate_node: Indices
    earliest: Ints
    latest: Ints


def new_search(arrays: ProblemArrays, seed: int) -> Search:
    """A search with nothing served yet."""
    visits, shifts = arrays.allowed.shape
    routes = empty_routes(arrays, most_stops(arrays))
    breaks = arrays.pauses.shape[1]
    may_be_served = np.flatnonzero(arrays.allowed.any(axis=1)).astype(np.int32)
    absent = np.zeros(visits, np.int32)
    absent[: len(may_be_served)] = may_be_served
    absent_at = np.full(visits, -1, np.int32)
    absent_at[may_be_served] = np.arange(len(may_be_served))
    neighbours, adjacent = _near(arrays)
    return Search(
        routes=routes,
        cost=np.array([arrays.prize.sum()], np.int64),
        iteration=np.zeros(1, np.int64),
        random=np.random.default_rng(seed).integers(1, 2**63, 1).astype(np.uint64),
        absent=absent,
        absent_at=absent_at,
        absent_count=np.array([len(may_be_served)], np.int64),
        waiting=np.zeros(visits, np.int32),
        waiting_count=np.zeros(1, np.int64),
        sort_key=np.zeros(visits),
        orders=orders_of(arrays),
        neighbours=neighbours,
        adjacent=adjacent,
        touched=np.zeros(shifts, np.int32),
        touched_count=np.zeros(1, np.int64),
        touched_in=np.full(shifts, -1, np.int64),
        saved_visits=np.zeros_like(routes.visits),
        saved_length=np.zeros_like(routes.length),
        saved_absent=np.zeros(visits, np.int32),
        saved_absent_count=np.zeros(1, np.int64),
        best_visits=np.zeros_like(routes.visits),
        best_length=np.zeros_like(routes.length),
        best_cost=np.array([arrays.prize.sum()], np.int64),
        tried_kind=np.full(shifts, -1, np.int64),
        candidate_shift=np.zeros(visits + shifts + 2 * NEIGHBOURS, np.int32),
        candidate_node=np.zeros(visits + shifts + 2 * NEIGHBOURS, np.int32),
        earliest=np.zeros(breaks + 1, np.int64),
        latest=np.zeros(breaks + 1, np.int64),
    )


def new_pool(arrays: ProblemArrays, seed: int, capacity: int = 100_000, stops: int = 2_000_000) -> Pool:
    """An empty pool for `capacity` routes with `stops` stops together."""
    tokens = len(arrays.place) + (int(arrays.kind.max()) + 1 if len(arrays.kind) else 0)
    return Pool(
        stops=np.zeros(stops, np.int32),
        offset=np.zeros(capacity + 1, np.int64),
        kind=np.zeros(capacity, np.int32),
        cost=np.zeros(capacity, np.int64),
        quality=np.zeros(capacity, np.int64),
        signature=np.zeros(capacity, np.uint64),
        slots=np.full(1 << (2 * capacity - 1).bit_length(), -1, np.int32),
        token=np.random.default_rng((seed, 1)).integers(1, 2**63, tokens).astype(np.uint64),
        size=np.zeros(1, np.int64),
    )


def orders_of(arrays: ProblemArrays) -> Floats:
    """In which order visits are put back, ascending by key, one row an order: at random (zeros), dearest
    prize first, far from homes first, close first, short windows first, early first, early closing first, few
    shifts first."""
    opens = arrays.window_start[:, 0]
    closes = arrays.window_end[np.arange(len(opens)), arrays.window_count - 1]
    to_visit_s = arrays.leg[arrays.start_place, arrays.place[:, None], 0].astype(np.int64)
    remoteness = np.where(arrays.allowed, to_visit_s, NEVER).min(axis=1, initial=NEVER)
    choices = arrays.allowed.sum(axis=1)
    rows = [
        np.zeros(len(opens)), -arrays.prize, -remoteness, remoteness, closes - opens, opens, closes, choices,
    ]  # fmt: skip
    return np.array(rows, np.float64)


def _near(arrays: ProblemArrays) -> tuple[Indices, Indices]:
    """For each visit the nearest by travel and waiting that some shift may serve together with it, and the
    nearest by travel alone."""
    visits = len(arrays.place)
    rights, pattern = np.unique(arrays.allowed, axis=0, return_inverse=True)
    together = rights.astype(np.float32) @ rights.T.astype(np.float32) > 0
    neighbours = np.zeros((visits, min(NEIGHBOURS, max(visits - 1, 0))), np.int32)
    adjacent = np.zeros((visits, min(ADJACENT, max(visits - 1, 0))), np.int32)
    for first in range(0, visits, 256):
        rows = np.arange(first, min(first + 256, visits))
        fit, travel = np.empty((len(rows), visits), np.float32), np.empty((len(rows), visits), np.float32)
        _proximity(arrays, first, pattern.reshape(-1), together, fit, travel)
        neighbours[rows] = _smallest(fit, rows, neighbours)
        adjacent[rows] = _smallest(travel, rows, adjacent)
    return neighbours, adjacent


@kernel
def _proximity(
    arrays: ProblemArrays,
    first: int,
    pattern: NDArray[np.intp],
    together: NDArray[np.bool_],
    fit: NDArray[np.float32],
    travel: NDArray[np.float32],
) -> None:
    """Rows from visit `first` on. travel: seconds there and back. fit: seconds from one to the other in the
    better order, waiting counted a fifth and being late once as in Vidal et al. (Computers & OR 40, 2013);
    infinite where no shift may serve both: together, by the visits' pattern of rights."""
    leg, place, service_s = arrays.leg, arrays.place, arrays.service_s
    opens, closes, windows = arrays.window_start, arrays.window_end, arrays.window_count
    for other in range(fit.shape[1]):
        other_opens, other_closes = opens[other, 0], closes[other, windows[other] - 1]
        for row in range(fit.shape[0]):
            one = first + row
            there_s = leg[place[one], place[other], 0]
            back_s = leg[place[other], place[one], 0]
            travel[row, other] = float(there_s) + float(back_s)
            fit[row, other] = np.inf
            if together[pattern[one], pattern[other]]:
                one_opens, one_closes = opens[one, 0], closes[one, windows[one] - 1]
                over, other_over = service_s[one] + there_s, service_s[other] + back_s
                waiting = 0.2 * max(other_opens - one_closes - over, 0)
                after = waiting + there_s + max(one_opens + over - other_closes, 0)
                waiting = 0.2 * max(one_opens - other_closes - other_over, 0)
                before = waiting + back_s + max(other_opens + other_over - one_closes, 0)
                fit[row, other] = min(after, before)


def _smallest(keys: NDArray[np.float32], rows: NDArray[np.int64], like: Indices) -> Indices:
    """The columns of the smallest keys of each row in ascending order, the visit itself left out."""
    keys[np.arange(len(rows)), rows] = np.inf
    count = like.shape[1]
    if count == 0:
        return like[rows]
    nearest = np.argpartition(keys, count - 1, axis=1)[:, :count]
    order = np.argsort(np.take_along_axis(keys, nearest, 1), axis=1, kind="stable")
    return np.take_along_axis(nearest, order, 1).astype(np.int32)


@kernel
def random_unit(search: Search) -> float:
    """Uniform in [0, 1), by xorshift64* (Vigna, ACM Transactions on Mathematical Software 42, 2016)."""
    x = search.random[0]
    x ^= x >> np.uint64(12)
    x ^= x << np.uint64(25)
    x ^= x >> np.uint64(27)
    search.random[0] = x
    return float((x * np.uint64(2685821657736338717)) >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@kernel
def random_below(search: Search, bound: int) -> int:
    return int(random_unit(search) * bound)


@kernel
def leave_out(search: Search, visit: int) -> None:
    """Notes a visit as absent."""
    search.absent_at[visit] = search.absent_count[0]
    search.absent[search.absent_count[0]] = visit
    search.absent_count[0] += 1


@kernel
def call_in(search: Search, visit: int) -> None:
    """An absent visit waits to be put back."""
    search.absent_count[0] -= 1
    last = search.absent[search.absent_count[0]]
    search.absent[search.absent_at[visit]] = last
    search.absent_at[last] = search.absent_at[visit]
    search.absent_at[visit] = -1
    search.waiting[search.waiting_count[0]] = visit
    search.waiting_count[0] += 1


@kernel
def touch(search: Search, shift: int) -> None:
    """Saves a route as it was before this iteration."""
    if search.touched_in[shift] == search.iteration[0]:
        return
    search.touched_in[shift] = search.iteration[0]
    search.touched[search.touched_count[0]] = shift
    search.touched_count[0] += 1
    search.saved_length[shift] = search.routes.length[shift]
    for k in range(search.routes.length[shift]):
        search.saved_visits[shift, k] = search.routes.visits[shift, k]


@kernel
def begin(search: Search) -> None:
    search.iteration[0] += 1
    search.touched_count[0] = 0
    search.waiting_count[0] = 0
    search.saved_absent_count[0] = search.absent_count[0]
    for k in range(search.absent_count[0]):
        search.saved_absent[k] = search.absent[k]


@kernel
def ruin(arrays: ProblemArrays, search: Search, seed: int) -> None:
    """Tears one string out of each of some routes around `seed` (the paper's equations 5 to 9)."""
    routes = search.routes
    used = 0
    served = 0
    for shift in range(len(routes.length)):
        if routes.length[shift] > 0:
            used += 1
            served += routes.length[shift]
    if used == 0:
        return
    longest = min(float(LONGEST_STRING), served / used)
    most_strings = 4.0 * MEAN_REMOVED / (1.0 + longest) - 1.0
    strings = int(random_unit(search) * most_strings + 1.0)
    for k in range(-1, search.adjacent.shape[1]):
        if search.touched_count[0] >= strings:
            return
        visit = seed if k < 0 else search.adjacent[seed, k]
        shift = routes.shift_of[visit]
        if shift < 0 or search.touched_in[shift] == search.iteration[0]:
            continue
        n = routes.length[shift]
        size = min(n, int(random_unit(search) * min(longest, float(n)) + 1.0))
        remove_string(arrays, search, shift, routes.node_of[visit], size)


@kernel
def remove_string(arrays: ProblemArrays, search: Search, shift: int, node: int, size: int) -> None:
    """Takes `size` stops around `node` out of the route: a string, or by `SPLIT_RATE` a split string that
    keeps a few stops in its middle. If what is left cannot be kept (travel times that break the triangle
    inequality), all goes.
    """
    routes = search.routes
    n = routes.length[shift]
    kept = 0
    if 1 < size < n and random_unit(search) < SPLIT_RATE:
        kept = 1
        while size + kept < n and random_unit(search) > SPLIT_DEPTH:
            kept += 1
    span = size + kept
    lowest = max(1, node - span + 1)
    first = lowest + random_below(search, min(node, n - span + 1) - lowest + 1)
    kept_from = first + random_below(search, size + 1) if kept > 0 else n + 2
    touch(search, shift)
    search.cost[0] -= routes.cost[shift]
    left = 0
    for k in range(1, n + 1):
        visit = routes.visits[shift, k - 1]
        if first <= k < first + span and not kept_from <= k < kept_from + kept:
            _await(arrays, search, visit)
        else:
            routes.visits[shift, left] = visit
            left += 1
    routes.length[shift] = left
    if not refresh(arrays, routes, shift):
        for k in range(left):
            _await(arrays, search, routes.visits[shift, k])
        routes.length[shift] = 0
        refresh(arrays, routes, shift)
    search.cost[0] += routes.cost[shift]


@kernel
def _await(arrays: ProblemArrays, search: Search, visit: int) -> None:
    search.routes.shift_of[visit] = -1
    search.waiting[search.waiting_count[0]] = visit
    search.waiting_count[0] += 1
    search.cost[0] += arrays.prize[visit]


@kernel
def absent_join(search: Search, seed: int) -> None:
    """Some absent visits, near the seed and from anywhere, get another chance."""
    joined = 0
    for k in range(-1, search.adjacent.shape[1]):
        if joined == JOINING_NEARBY or search.absent_count[0] == 0:
            break
        visit = seed if k < 0 else search.adjacent[seed, k]
        if search.absent_at[visit] >= 0:
            call_in(search, visit)
            joined += 1
    for _ in range(min(JOINING_ANYWHERE, search.absent_count[0])):
        call_in(search, search.absent[random_below(search, search.absent_count[0])])


@kernel
def sort_waiting(search: Search, order: int) -> None:
    """Insertion sort of the waiting visits by one of the orders; 0 is random."""
    waiting, key = search.waiting, search.sort_key
    for k in range(search.waiting_count[0]):
        visit = waiting[k]
        rank = random_unit(search) if order == 0 else search.orders[order, visit]
        place = k
        while place > 0 and key[place - 1] > rank:
            key[place] = key[place - 1]
            waiting[place] = waiting[place - 1]
            place -= 1
        key[place] = rank
        waiting[place] = visit


@kernel
def draw_order(search: Search) -> int:
    draw = random_unit(search) * ORDER_WEIGHTS[-1]
    order = 0
    while ORDER_WEIGHTS[order] <= draw:
        order += 1
    return order


@kernel
def collect_near(arrays: ProblemArrays, search: Search, visit: int) -> int:
    """Lists the positions beside the visit's neighbours and in one unused shift of each kind. Returns how
    many."""
    routes = search.routes
    shift_of, node_of, length, allowed = routes.shift_of, routes.node_of, routes.length, arrays.allowed
    neighbours, kind, tried_kind = search.neighbours, arrays.kind, search.tried_kind
    candidate_shift, candidate_node = search.candidate_shift, search.candidate_node
    count = 0
    for k in range(neighbours.shape[1]):
        neighbour = neighbours[visit, k]
        shift = shift_of[neighbour]
        if shift >= 0 and allowed[visit, shift]:
            candidate_shift[count : count + 2] = shift
            candidate_node[count] = node_of[neighbour] - 1
            candidate_node[count + 1] = node_of[neighbour]
            count += 2
    stamp = search.iteration[0] * len(shift_of) + visit
    for shift in range(len(length)):
        if length[shift] == 0 and allowed[visit, shift] and tried_kind[kind[shift]] != stamp:
            tried_kind[kind[shift]] = stamp
            candidate_shift[count] = shift
            candidate_node[count] = 0
            count += 1
    return count


@kernel
def collect_all(arrays: ProblemArrays, search: Search, visit: int) -> int:
    """Lists every position of every shift that may serve the visit. Returns how many."""
    count = 0
    for shift in range(len(search.routes.length)):
        if arrays.allowed[visit, shift]:
            for node in range(search.routes.length[shift] + 1):
                search.candidate_shift[count] = shift
                search.candidate_node[count] = node
                count += 1
    return count


@kernel
def cheapest_of(
    arrays: ProblemArrays, search: Search, visit: int, count: int, blink_rate: float, below: int
) -> tuple[int, int]:
    """Shift and node of the cheapest of the listed positions that costs less than `below` ticks and can be
    kept, each blinked at by the rate; -1, -1 if there is none. Here the search spends its time."""
    routes = search.routes
    candidate_shift, candidate_node = search.candidate_shift, search.candidate_node
    leg, place_at, place = arrays.leg, routes.place_at, arrays.place[visit]
    ready, latest, break_count, pauses = routes.ready, routes.latest, arrays.break_count, arrays.pauses
    opens, closes, windows = arrays.window_start, arrays.window_end, arrays.window_count[visit]
    per_s, per_m, fixed, assign = arrays.per_s, arrays.per_m, arrays.fixed, arrays.assign
    length, travel_m, service_s = routes.length, routes.travel_m, arrays.service_s[visit]
    max_travel_m, max_visits, room = arrays.max_travel_m, arrays.max_visits, routes.visits.shape[1]
    first, last = search.earliest, search.latest
    best, best_shift, best_node = below, -1, -1
    for k in range(count):
        shift, node = candidate_shift[k], candidate_node[k]
        origin, destination = place_at[shift, node], place_at[shift, node + 1]
        in_s, out_s = int(leg[origin, place, 0]), int(leg[place, destination, 0])
        seconds = in_s + out_s
        metres = int(leg[origin, place, 1]) + leg[place, destination, 1]
        ticks = assign[visit, shift]
        if length[shift] > 0:
            seconds -= leg[origin, destination, 0]
            metres -= leg[origin, destination, 1]
        else:
            ticks += fixed[shift]
        ticks += seconds * per_s[shift] + metres * per_m[shift]
        if ticks >= best or travel_m[shift] + metres > max_travel_m[shift]:
            continue
        if length[shift] >= max_visits[shift] or length[shift] >= room:
            continue
        if blink_rate > 0 and random_unit(search) < blink_rate:
            continue
        breaks = break_count[shift]
        if breaks == 0:
            start = earliest_in(opens, closes, visit, windows, ready[shift, node, 0] + in_s)
            fits = start + service_s + out_s <= latest[shift, node + 1, 0]
        else:
            span_of_starts(
                ready[shift, node], latest[shift, node + 1], pauses[shift], breaks, in_s, out_s, first, last
            )
            fits = first_start(first, last, breaks, service_s, opens, closes, visit, windows) < NEVER
        if fits:
            best, best_shift, best_node = ticks, shift, node
    return best_shift, best_node


@kernel
def put(arrays: ProblemArrays, search: Search, visit: int, shift: int, node: int) -> None:
    touch(search, shift)
    search.cost[0] -= search.routes.cost[shift] + arrays.prize[visit]
    insert_after(arrays, search.routes, shift, node, visit)
    search.cost[0] += search.routes.cost[shift]


@kernel
def recreate(arrays: ProblemArrays, search: Search) -> None:
    """Greedy insertion with blinks of all that waits; what finds no place within its prize is absent."""
    for k in range(search.waiting_count[0]):
        visit = search.waiting[k]
        count = collect_near(arrays, search, visit)
        shift, node = cheapest_of(arrays, search, visit, count, BLINK_RATE, arrays.prize[visit])
        if shift < 0 and random_unit(search) < WIDE_RATE:
            count = collect_all(arrays, search, visit)
            shift, node = cheapest_of(arrays, search, visit, count, BLINK_RATE, arrays.prize[visit])
        if shift < 0:
            leave_out(search, visit)
        else:
            put(arrays, search, visit, shift, node)
    search.waiting_count[0] = 0


@kernel
def restore(arrays: ProblemArrays, search: Search, cost: int) -> None:
    """Undoes the iteration."""
    routes = search.routes
    for t in range(search.touched_count[0]):
        shift = search.touched[t]
        for k in range(routes.length[shift]):
            routes.shift_of[routes.visits[shift, k]] = -1
    for t in range(search.touched_count[0]):
        shift = search.touched[t]
        routes.length[shift] = search.saved_length[shift]
        for k in range(routes.length[shift]):
            routes.visits[shift, k] = search.saved_visits[shift, k]
        refresh(arrays, routes, shift)
    for k in range(search.absent_count[0]):
        search.absent_at[search.absent[k]] = -1
    search.absent_count[0] = search.saved_absent_count[0]
    for k in range(search.absent_count[0]):
        search.absent[k] = search.saved_absent[k]
        search.absent_at[search.absent[k]] = k
    search.cost[0] = cost


@kernel
def keep_best(search: Search) -> None:
    """Copies the current plan if it is the cheapest so far."""
    if search.cost[0] >= search.best_cost[0]:
        return
    search.best_cost[0] = search.cost[0]
    for shift in range(len(search.routes.length)):
        search.best_length[shift] = search.routes.length[shift]
        for k in range(search.routes.length[shift]):
            search.best_visits[shift, k] = search.routes.visits[shift, k]


@kernel
def harvest(arrays: ProblemArrays, search: Search, pool: Pool) -> None:
    """Puts the touched routes into the pool."""
    for t in range(search.touched_count[0]):
        shift = search.touched[t]
        n = search.routes.length[shift]
        if n == 0:
            continue
        signature = pool.token[len(arrays.place) + arrays.kind[shift]]
        for k in range(n):
            signature ^= pool.token[search.routes.visits[shift, k]]
        _store(
            pool,
            search.routes.visits[shift, :n],
            arrays.kind[shift],
            search.routes.cost[shift],
            search.cost[0],
            signature,
        )


@kernel
def _store(pool: Pool, visits: Indices, kind: int, cost: int, quality: int, signature: np.uint64) -> None:
    slot = np.int64(signature & np.uint64(len(pool.slots) - 1))
    while pool.slots[slot] >= 0:
        route = pool.slots[slot]
        if pool.signature[route] == signature:
            pool.quality[route] = min(pool.quality[route], quality)
            if cost < pool.cost[route]:
                pool.cost[route] = cost
                pool.stops[pool.offset[route] : pool.offset[route + 1]] = visits
            return
        slot = (slot + 1) % len(pool.slots)
    route = pool.size[0]
    if route == len(pool.kind) or pool.offset[route] + len(visits) > len(pool.stops):
        return
    pool.slots[slot] = route
    pool.signature[route] = signature
    pool.kind[route] = kind
    pool.cost[route] = cost
    pool.quality[route] = quality
    pool.offset[route + 1] = pool.offset[route] + len(visits)
    pool.stops[pool.offset[route] : pool.offset[route + 1]] = visits
    pool.size[0] += 1


@kernel
def iterate(arrays: ProblemArrays, search: Search, pool: Pool, iterations: int, temperature: float) -> None:
    """Ruins and recreates `iterations` times at this temperature in ticks."""
    if len(arrays.place) == 0 or len(arrays.shift_start) == 0:
        return
    for _ in range(iterations):
        before = search.cost[0]
        seed = random_below(search, len(arrays.place))
        begin(search)
        absent_join(search, seed)
        ruin(arrays, search, seed)
        sort_waiting(search, draw_order(search))
        recreate(arrays, search)
        threshold = before - temperature * np.log(max(random_unit(search), 1e-300))
        if search.cost[0] < threshold:
            keep_best(search)
            if search.cost[0] <= search.best_cost[0] * (1.0 + HARVEST_GAP):
                harvest(arrays, search, pool)
        else:
            restore(arrays, search, before)


@kernel
def construct(arrays: ProblemArrays, search: Search, order: int) -> None:
    """Puts all absent visits where they cost least, one after the other."""
    begin(search)
    while search.absent_count[0] > 0:
        call_in(search, search.absent[search.absent_count[0] - 1])
    sort_waiting(search, order)
    recreate(arrays, search)
    keep_best(search)


@kernel
def probe(arrays: ProblemArrays, search: Search) -> None:
    """Puts in every absent visit that fits anywhere within its prize, dearest prize first, until none
    does."""
    placed = True
    while placed:
        placed = False
        begin(search)
        while search.absent_count[0] > 0:
            call_in(search, search.absent[search.absent_count[0] - 1])
        sort_waiting(search, DEAREST_PRIZE_FIRST)
        for k in range(search.waiting_count[0]):
            visit = search.waiting[k]
            count = collect_all(arrays, search, visit)
            shift, node = cheapest_of(arrays, search, visit, count, 0.0, arrays.prize[visit])
            if shift < 0:
                leave_out(search, visit)
            else:
                put(arrays, search, visit, shift, node)
                placed = True
        search.waiting_count[0] = 0
    keep_best(search)


@kernel
def load(arrays: ProblemArrays, search: Search, visits: Indices, length: Indices) -> None:
    """Makes these routes the current plan, [shifts, stops] and how many count. A route that cannot be kept
    keeps its stops one by one as far as they fit."""
    routes = search.routes
    begin(search)
    for shift in range(len(routes.length)):
        touch(search, shift)
        for k in range(routes.length[shift]):
            _await(arrays, search, routes.visits[shift, k])
        routes.length[shift] = 0
    for k in range(search.waiting_count[0]):
        leave_out(search, search.waiting[k])
    search.waiting_count[0] = 0
    search.cost[0] = arrays.prize.sum()
    for shift in range(len(routes.length)):
        _load_route(arrays, search, shift, visits[shift, : length[shift]])
        search.cost[0] += routes.cost[shift]
    keep_best(search)


@kernel
def _load_route(arrays: ProblemArrays, search: Search, shift: int, visits: Indices) -> None:
    """Fills an empty route; the prizes of what it serves leave the cost."""
    routes = search.routes
    n = min(len(visits), routes.visits.shape[1])
    routes.visits[shift, :n] = visits[:n]
    routes.length[shift] = n
    if n < len(visits) or not refresh(arrays, routes, shift):
        for k in range(n):
            routes.shift_of[visits[k]] = -1
        routes.length[shift] = 0
        refresh(arrays, routes, shift)
        for k in range(len(visits)):
            search.candidate_shift[0] = shift
            search.candidate_node[0] = routes.length[shift]
            found, end = cheapest_of(arrays, search, visits[k], 1, 0.0, 4 * NEVER)
            if found >= 0:
                insert_after(arrays, routes, shift, end, visits[k])
    waited = search.waiting_count[0]
    for k in range(routes.length[shift]):
        visit = routes.visits[shift, k]
        if search.absent_at[visit] >= 0:
            call_in(search, visit)
        search.cost[0] -= arrays.prize[visit]
    search.waiting_count[0] = waited
