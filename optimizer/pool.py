"""The routes that a search has kept, for `recombination` to choose among."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from optimizer.arrays import Indices, Ints, ProblemArrays, Records
from optimizer.kernel import inner_kernel


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


def new_pool(arrays: ProblemArrays, seed: int, capacity: int = 100_000, stops: int = 2_000_000) -> Pool:
    """An empty pool for `capacity` routes with `stops` stops together."""
    tokens = len(arrays.visit) + int(arrays.shift["kind"].max(initial=-1)) + 1
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


@inner_kernel
def keep_route(pool: Pool, node: Records, n: int, kind: int, cost: int, quality: int) -> None:
    """Notes a route, the visits of nodes 1 to n (`schedule.NODE`), or that it was seen in a better solution or in a
    cheaper order. A full pool forgets all and begins anew: what comes later in a search is better."""
    signature = pool.token[len(pool.token) - 1 - kind]
    for k in range(1, n + 1):
        signature ^= pool.token[node[k].visit]
    slot = np.int64(signature & np.uint64(len(pool.slots) - 1))
    while pool.slots[slot] >= 0:
        route = pool.slots[slot]
        if pool.signature[route] == signature:
            pool.quality[route] = min(pool.quality[route], quality)
            if cost < pool.cost[route]:
                pool.cost[route] = cost
                _write(pool, route, node, n)
            return
        slot = (slot + 1) % len(pool.slots)
    route = pool.size[0]
    if route == len(pool.kind) or pool.offset[route] + n > len(pool.stops):
        pool.slots[:] = -1
        pool.size[0] = route = 0
        slot = np.int64(signature & np.uint64(len(pool.slots) - 1))
    pool.slots[slot] = route
    pool.signature[route] = signature
    pool.kind[route] = kind
    pool.cost[route] = cost
    pool.quality[route] = quality
    pool.offset[route + 1] = pool.offset[route] + n
    _write(pool, route, node, n)
    pool.size[0] += 1


@inner_kernel
def _write(pool: Pool, route: int, node: Records, n: int) -> None:
    for k in range(n):
        pool.stops[pool.offset[route] + k] = node[k + 1].visit
