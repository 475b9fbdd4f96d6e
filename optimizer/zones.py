"""Several workers on one plan: its routes are dealt out by space, searched side by side, and dealt out anew.

Ruin and recreate changes a few neighbouring routes at a time, and simulated annealing judges the change alone. So
workers that own different shifts do together what one would do after the other, except at the borders between
them; these lie elsewhere each time. Kernels release the interpreter lock, so threads are enough.
"""

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np

from optimizer.annealing import iterate
from optimizer.arrays import Indices, Ints, ProblemArrays, Records
from optimizer.kernel import allocating_kernel, int64, kernel
from optimizer.pool import Pool, new_pool
from optimizer.ruin_recreate import Search, leave_out, new_search, random_below, start_from_here
from optimizer.schedule import Routes, empty_routes, most_stops


@dataclass(frozen=True)
class Team:
    """The workers of one plan; the first of them owns all of it unless it is dealt out. hopeless: ticks of the
    prizes of visits that no shift may serve."""

    arrays: ProblemArrays
    routes: Routes
    owner: Indices
    workers: tuple[Search, ...]
    pools: tuple[Pool, ...]
    hopeless: int

    @classmethod
    def of(cls, arrays: ProblemArrays, near: tuple[Indices, Indices], workers: int, seed: int) -> "Team":
        """A team with nothing served yet."""
        shifts, stops = len(arrays.shift), most_stops(arrays)
        routes, owner = empty_routes(arrays, stops), np.zeros(shifts, np.int32)
        best = np.zeros((shifts, stops), np.int32), np.zeros(shifts, np.int32)
        several = tuple(new_search(arrays, routes, owner, best, near, me, seed) for me in range(workers))
        servable = arrays.pair["allowed"].any(axis=1)
        for visit in np.flatnonzero(servable):
            leave_out(several[0], int(visit))
        start_from_here(arrays, several[0])
        pools = tuple(new_pool(arrays, seed) for _ in several)
        return cls(arrays, routes, owner, several, pools, int(arrays.visit["prize"][~servable].sum()))

    @property
    def first(self) -> Search:
        return self.workers[0]

    @property
    def cost(self) -> int:
        """Ticks of the plan as it stands."""
        return self.hopeless + sum(int(worker.state["cost"][0]) for worker in self.workers)

    @property
    def best_cost(self) -> int:
        """Ticks of the best plan since it was last dealt out or gathered: each worker's best beside the others'."""
        return self.hopeless + sum(int(worker.state["best_cost"][0]) for worker in self.workers)

    @property
    def used(self) -> int:
        """How many shifts have a route."""
        return int(np.count_nonzero(self.routes.row["length"]))

    def deal(self) -> None:
        """Gives each worker its part of the plan."""
        if len(self.workers) > 1:
            absent = self._absent()
            zone_of_absent = deal(
                self.arrays, self.routes, self.owner, absent, len(self.workers), self.first.state
            )
            self._start([absent[zone_of_absent == zone] for zone in range(len(self.workers))])

    def gather(self) -> None:
        """Gives the first worker all of it."""
        if len(self.workers) > 1:
            absent = self._absent()
            self.owner[:] = 0
            self._start([absent, *(absent[:0] for _ in self.workers[1:])])

    def _absent(self) -> Indices:
        return np.concatenate([worker.absent[: worker.state["absent"][0]] for worker in self.workers])

    def _start(self, absent: Sequence[Indices]) -> None:
        for worker, visits in zip(self.workers, absent, strict=True):
            take_absent(self.arrays, worker, visits)
        for worker in self.workers:
            worker.state["outside"] = self.cost - worker.state["cost"]

    def iterate(self, executor: Executor, iterations: Sequence[int], temperature: float) -> None:
        """Every worker, side by side, so many iterations at this temperature in ticks."""
        tasks = [
            executor.submit(iterate, self.arrays, worker, pool, count, temperature)
            for worker, pool, count in zip(self.workers[1:], self.pools[1:], iterations[1:], strict=True)
        ]
        iterate(self.arrays, self.first, self.pools[0], iterations[0], temperature)
        for task in tasks:
            task.result()


@kernel
def take_absent(arrays: ProblemArrays, search: Search, visits: Indices) -> None:
    """Makes these the worker's absent visits, and what it owns its own."""
    search.absent_at[:] = -1
    search.state[0].absent = 0
    for visit in visits:
        leave_out(search, int64(visit))
    start_from_here(arrays, search)


@allocating_kernel
def deal(
    arrays: ProblemArrays, routes: Routes, owner: Indices, absent: Indices, zones: int, state: Records
) -> Indices:
    """Sets `owner` so that each zone has about as many stops, cutting across the way from a random visit to the
    farthest from it. Returns the zone of each absent visit."""
    keys = _keys(arrays, state)
    length = np.array([row.length for row in routes.row])
    used = np.flatnonzero(length)
    means = np.zeros(len(used))
    for row, shift in enumerate(used):
        for k in range(1, length[shift] + 1):
            means[row] += keys[routes.node[shift, k].place] / length[shift]
    stops = length.sum()
    cuts = np.full(zones - 1, np.inf)
    dealt = 0
    zone = 0
    for row in np.argsort(means):
        if zone + 1 < zones and dealt * zones >= stops * (zone + 1):
            cuts[zone] = means[row]
            zone += 1
        owner[used[row]] = zone
        dealt += length[used[row]]
    _deal_idle(arrays, routes, owner, keys, cuts)
    zone_of_absent = np.zeros(len(absent), np.int32)
    for k in range(len(absent)):
        zone_of_absent[k] = np.searchsorted(cuts, keys[arrays.visit[absent[k]].place])
    return zone_of_absent


@allocating_kernel
def _keys(arrays: ProblemArrays, state: Records) -> Ints:
    """For each place, how much nearer it is to one visit than to the farthest from that, in seconds."""
    leg = arrays.leg
    one = int64(arrays.visit[random_below(state, len(arrays.visit))].place)
    other = one
    for visit in range(len(arrays.visit)):
        place = int64(arrays.visit[visit].place)
        if leg[one, other, 0] < leg[one, place, 0]:
            other = place
    keys = np.empty(len(leg), np.int64)
    for place in range(len(leg)):
        keys[place] = int64(leg[one, place, 0]) - leg[other, place, 0]
    return keys


@allocating_kernel
def _deal_idle(arrays: ProblemArrays, routes: Routes, owner: Indices, keys: Ints, cuts: Ints) -> None:
    """Unused shifts go to the zone of their start place; those that nothing tells apart in turn to all zones."""
    alike = np.bincount(np.array([work.kind for work in arrays.shift]))
    turn = 0
    for shift in range(len(owner)):
        if routes.row[shift].length == 0:
            owner[shift] = np.searchsorted(cuts, keys[arrays.shift[shift].start_place])
            if alike[arrays.shift[shift].kind] > 1:
                owner[shift] = turn % (len(cuts) + 1)
                turn += 1
