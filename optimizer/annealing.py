"""Simulated annealing over two moves: ruin and recreate, and the exchange of tails."""

import numpy as np

from optimizer.arrays import Indices, ProblemArrays
from optimizer.kernel import inner_kernel, int64, kernel
from optimizer.pool import Pool
from optimizer.ruin_recreate import (
    BLINK_RATE,
    WIDE_RATE,
    Search,
    absent_join,
    accept,
    begin,
    draw_order,
    random_below,
    random_unit,
    recreate,
    restore,
    ruin,
    sort_waiting,
)
from optimizer.schedule import ticks_of_way
from optimizer.tails import exchange_tails


@kernel
def iterate(arrays: ProblemArrays, search: Search, pool: Pool, iterations: int, temperature: float) -> None:
    """So many times at this temperature in ticks: ruins and recreates around a visit, then exchanges tails behind
    another."""
    state = search.state[0]
    if state.seeds == 0:
        return
    used = routes_of(search)
    for _ in range(iterations):
        ruin_and_recreate(arrays, search, pool, used, worth(search, temperature))
        visit = int64(search.seeds[random_below(search.state, state.seeds)])
        if exchange_tails(arrays, search, visit, worth(search, temperature)):
            accept(arrays, search, pool)


@inner_kernel
def routes_of(search: Search) -> int:
    """How many routes a worker has."""
    used = 0
    for shift in range(len(search.owner)):
        used += search.owner[shift] == search.state[0].me and search.routes.row[shift].length > 0
    return used


@inner_kernel
def worth(search: Search, temperature: float) -> int:
    """How many ticks more the next change may cost: Metropolis' rule, drawn before and not after it."""
    return int(-temperature * np.log(max(random_unit(search.state), 1e-300)))


@inner_kernel
def ruin_and_recreate(arrays: ProblemArrays, search: Search, pool: Pool, used: int, most: int) -> None:
    """Around a random visit; kept where the plan does not become `most` ticks dearer. used: about how many routes there
    are."""
    state = search.state[0]
    before = state.cost
    seed = int64(search.seeds[random_below(search.state, state.seeds)])
    begin(search)
    absent_join(search, seed)
    served = state.seeds - state.absent - state.called
    ruin(arrays, search, seed, served / max(used, 1))
    sort_waiting(search, draw_order(search.state))
    made = recreate(arrays, search, int64(0), WIDE_RATE, BLINK_RATE, before + most)
    if made >= 0 and state.cost < before + most:
        accept(arrays, search, pool)
    else:
        restore(arrays, search, before)


@kernel
def detour_of_a_visit(arrays: ProblemArrays, visits: Indices, length: Indices) -> float:
    """What a visit adds to the travel of a plan, in ticks, the mean of all served: the scale of what moves cost and
    gain. visits, length: rows of visits by shift."""
    ticks, count = 0.0, 0
    for shift in range(len(length)):
        n, work = int64(length[shift]), arrays.shift[shift]
        for k in range(n):
            here = int64(arrays.visit[visits[shift, k]].place)
            origin = int64(work.start_place) if k == 0 else int64(arrays.visit[visits[shift, k - 1]].place)
            onward = int64(work.end_place) if k + 1 == n else int64(arrays.visit[visits[shift, k + 1]].place)
            ticks += ticks_of_way(arrays, shift, origin, here) + ticks_of_way(arrays, shift, here, onward)
            if n > 1:
                ticks -= ticks_of_way(arrays, shift, origin, onward)
        count += n
    return ticks / max(count, 1)
