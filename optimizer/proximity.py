"""Which visits are near each other: where a visit is tried first, and how far a ruin spreads."""

import numpy as np
from numpy.typing import NDArray

from optimizer.arrays import Indices, ProblemArrays
from optimizer.kernel import allocating_kernel, inner_kernel

NEIGHBOURS = 200
"""Visits next to which a visit may be tried: so many that enough of them are with somebody who may serve it too."""
ADJACENT = 120
"""Visits whose routes a ruin may reach from its seed."""
WAITING_COUNTS = 0.2
"""A second of waiting between two visits is like so many seconds of travel (Vidal et al., Computers & OR 40, 2013)."""

SIDE_BY_SIDE = 8
"""Places whose ways from one place share a line of the processor's cache; fewer are not told apart."""

BLOCK = 128
"""Rows that are worked on together, so that a column of the matrix is read once for all of them."""


def near(arrays: ProblemArrays) -> tuple[Indices, Indices]:
    """For each visit the nearest by travel and waiting that some shift may serve together with it, and the nearest
    by travel alone, nearest first; each [visits, at most `NEIGHBOURS` or `ADJACENT`], -1 where there are no more."""
    visits = len(arrays.visit)
    if not arrays.pair.size:
        return np.zeros((visits, 0), np.int32), np.zeros((visits, 0), np.int32)
    rights, pattern = np.unique(np.packbits(arrays.pair["allowed"], axis=1), axis=0, return_inverse=True)
    rights = np.unpackbits(rights, axis=1).astype(np.float32)
    together = rights @ rights.T > 0
    neighbours = np.full((visits, min(NEIGHBOURS, max(visits - 1, 0))), -1, np.int32)
    adjacent = np.full((visits, min(ADJACENT, max(visits - 1, 0))), -1, np.int32)
    _fill(arrays, pattern.reshape(-1), together, neighbours, adjacent)
    return neighbours, adjacent


@allocating_kernel
def _fill(
    arrays: ProblemArrays,
    pattern: NDArray[np.intp],
    together: NDArray[np.bool_],
    neighbours: Indices,
    adjacent: Indices,
) -> None:
    visits = len(arrays.visit)
    fit, travel = np.empty((BLOCK, visits), np.float32), np.empty((BLOCK, visits), np.float32)
    for first in range(0, visits, BLOCK):
        rows = min(BLOCK, visits - first)
        _proximity(arrays, first, rows, pattern, together, fit, travel)
        for row in range(rows):
            _keep_smallest(fit[row], neighbours[first + row])
            _keep_smallest(travel[row], adjacent[first + row])


@inner_kernel
def _proximity(
    arrays: ProblemArrays,
    first: int,
    rows: int,
    pattern: NDArray[np.intp],
    together: NDArray[np.bool_],
    fit: NDArray[np.float32],
    travel: NDArray[np.float32],
) -> None:
    """Rows from visit `first` on. travel: seconds there and back. fit: seconds from one to the other in the
    better order, waiting counted as `WAITING_COUNTS` says and being late once; infinite for the visit itself and where
    no shift may serve both: together, by the visits' pattern of rights."""
    window = arrays.window
    for row in range(rows):
        one = arrays.visit[first + row]
        onward, inward = arrays.leg[one.place], arrays.leg_to[one.place]
        one_opens, one_closes = window[first + row, 0, 0], window[first + row, one.windows - 1, 1]
        one_s = arrays.pair[first + row, 0].service_s
        for column in range(fit.shape[1]):
            other = arrays.visit[column]
            there_s, back_s = onward[other.place, 0], inward[other.place, 0]
            travel[row, column] = np.float32(there_s) + np.float32(back_s)
            if not together[pattern[first + row], pattern[column]]:
                fit[row, column] = np.inf
                continue
            other_opens, other_closes = window[column, 0, 0], window[column, other.windows - 1, 1]
            over, other_over = one_s + there_s, arrays.pair[column, 0].service_s + back_s
            waiting = WAITING_COUNTS * max(other_opens - one_closes - over, 0)
            after = waiting + there_s + max(one_opens + over - other_closes, 0)
            waiting = WAITING_COUNTS * max(one_opens - other_closes - other_over, 0)
            before = waiting + back_s + max(other_opens + other_over - one_closes, 0)
            fit[row, column] = min(after, before)
        fit[row, first + row] = np.inf
        travel[row, first + row] = np.inf


@inner_kernel
def _keep_smallest(keys: NDArray[np.float32], chosen: Indices) -> None:
    """The columns of the smallest finite keys, smallest first: while they are looked for a heap, its largest on top."""
    most, count = len(chosen), 0
    for column in range(len(keys)):
        if keys[column] == np.inf:
            continue
        if count < most:
            chosen[count] = column
            count += 1
            if count == most:
                _make_heap(keys, chosen, count)
        elif keys[column] < keys[chosen[0]]:
            chosen[0] = column
            _sift_down(keys, chosen, 0, count)
    if count < most:
        _make_heap(keys, chosen, count)
    for end in range(count - 1, 0, -1):
        chosen[0], chosen[end] = chosen[end], chosen[0]
        _sift_down(keys, chosen, 0, end)


@inner_kernel
def _make_heap(keys: NDArray[np.float32], heap: Indices, count: int) -> None:
    for root in range(count // 2 - 1, -1, -1):
        _sift_down(keys, heap, root, count)


@inner_kernel
def _sift_down(keys: NDArray[np.float32], heap: Indices, root: int, count: int) -> None:
    sinking = heap[root]
    while 2 * root + 1 < count:
        child = 2 * root + 1
        if child + 1 < count and keys[heap[child + 1]] > keys[heap[child]]:
            child += 1
        if keys[heap[child]] <= keys[sinking]:
            break
        heap[root] = heap[child]
        root = child
    heap[root] = sinking


def side_by_side(arrays: ProblemArrays) -> ProblemArrays:
    """The same with the places numbered so that near ones lie side by side in memory: the search looks at the ways from
    one place to many near each other, and with 1,000 places waits for memory more than for anything else."""
    order = _by_halves(arrays.leg[..., 0])
    number = np.empty(len(order), np.int32)
    number[order] = np.arange(len(order))
    visit, shift = arrays.visit.copy(), arrays.shift.copy()
    visit["place"] = number[visit["place"]]
    shift["start_place"], shift["end_place"] = number[shift["start_place"]], number[shift["end_place"]]
    leg = _rearranged(arrays.leg, order)
    leg_to = leg if arrays.leg_to is arrays.leg else _rearranged(arrays.leg_to, order)
    return arrays._replace(visit=visit, shift=shift, leg=leg, leg_to=leg_to)


def _rearranged(leg: NDArray[np.int32], order: NDArray[np.intp]) -> NDArray[np.int32]:
    both = leg.view(np.int64)[..., 0]
    return np.ascontiguousarray(both[np.ix_(order, order)])[..., None].view(np.int32)


def _by_halves(seconds: NDArray[np.int32]) -> NDArray[np.intp]:
    """All places, cut in halves across the way between two that lie far apart, again and again."""
    parts, order = [np.arange(len(seconds))], []
    while parts:
        part = parts.pop()
        if len(part) <= SIDE_BY_SIDE:
            order.append(part)
            continue
        one = part[seconds[part[0], part].argmax()]
        other = part[seconds[one, part].argmax()]
        keys = seconds[one, part].astype(np.int64) - seconds[other, part]
        part = part[np.argsort(keys, kind="stable")]
        parts += [part[len(part) // 2 :], part[: len(part) // 2]]
    return np.concatenate(order)
