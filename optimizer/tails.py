"""Exchange of tails: what follows a stop in one route and what follows another in a second change places.

The 2-opt* of Potvin & Rousseau (Journal of the Operational Research Society 46, 1995). Ruin and recreate moves ten
stops at a time; where routes are long, halves of them would have to move at once, which it cannot do.
"""

from optimizer.arrays import ProblemArrays
from optimizer.kernel import inner_kernel, int64, kernel
from optimizer.ruin_recreate import Search, begin, restore, touch
from optimizer.schedule import Routes, refresh, ticks_of_way

TRIED = 40
"""Nearest neighbours that are looked at as what may follow a visit."""
MADE = 2
"""How often an exchange that looked well may turn out not to be kept, until the visit is left alone."""


@kernel
def exchange_tails(arrays: ProblemArrays, search: Search, visit: int, worth: int) -> bool:
    """Lets the first of the visit's neighbours follow it that costs at most `worth` ticks more. Returns whether there
    was one; the iteration is then to be accepted, and otherwise all is as it was."""
    routes, spot, state = search.routes, search.routes.spot, search.state[0]
    one, node, made = int64(spot[visit].shift), int64(spot[visit].node), 0
    if one < 0:
        return False
    for k in range(min(TRIED, search.neighbours.shape[1])):
        other = int64(search.neighbours[visit, k])
        if other < 0 or made == MADE:
            return False
        two, behind = int64(spot[other].shift), int64(spot[other].node)
        if two < 0 or two == one or search.owner[two] != state.me:
            continue
        if not _looks_well(arrays, routes, one, node, two, behind, worth):
            continue
        before = state.cost
        made += 1
        begin(search)
        if _exchange(arrays, search, one, node, two, behind) and state.cost <= before + worth:
            return True
        restore(arrays, search, before)
    return False


@inner_kernel
def _looks_well(
    arrays: ProblemArrays, routes: Routes, one: int, node: int, two: int, behind: int, worth: int
) -> bool:
    """Whether it is in time as far as `schedule.Routes` tells without making the routes, of ways that cost at most so
    much more, and allowed."""
    n, m = routes.row[one].length, routes.row[two].length
    most = routes.node.shape[1] - 2
    if (node == n and behind == 1) or node + m - behind + 1 > most or behind - 1 + n - node > most:
        return False
    nodes, others, leg = routes.node[one], routes.node[two], arrays.leg
    reached = routes.ready[one, node, 0] + leg[nodes[node].place, others[behind].place, 0]
    if reached > routes.latest[two, behind, arrays.shift[two].breaks]:
        return False
    if node < n:
        reached = routes.ready[two, behind - 1, 0] + leg[others[behind - 1].place, nodes[node + 1].place, 0]
        if reached > routes.latest[one, node + 1, arrays.shift[one].breaks]:
            return False
    home, other_home = nodes[n + 1].place, others[m + 1].place
    ticks = ticks_of_way(arrays, one, nodes[node].place, others[behind].place) - nodes[node].hop
    ticks += ticks_of_way(arrays, one, others[m].place, home) - others[m].hop - others[behind - 1].hop
    if node < n:
        ticks += ticks_of_way(arrays, two, others[behind - 1].place, nodes[node + 1].place)
        ticks += ticks_of_way(arrays, two, nodes[n].place, other_home) - nodes[n].hop
    else:
        ticks += ticks_of_way(arrays, two, others[behind - 1].place, other_home)
    if ticks > worth:
        return False
    if arrays.shift[one].kind == arrays.shift[two].kind:
        return True
    return _may_all(arrays, routes, two, behind, one) and _may_all(arrays, routes, one, node + 1, two)


@inner_kernel
def _may_all(arrays: ProblemArrays, routes: Routes, shift: int, first: int, other: int) -> bool:
    """Whether the other shift may serve all stops of this one from node `first` on."""
    for k in range(first, routes.row[shift].length + 1):
        if not arrays.pair[routes.node[shift, k].visit, other].allowed:
            return False
    return True


@inner_kernel
def _exchange(arrays: ProblemArrays, search: Search, one: int, node: int, two: int, behind: int) -> bool:
    """Makes the two routes. Returns whether they can be kept."""
    routes, before, state = search.routes, search.before, search.state[0]
    touch(search, one)
    touch(search, two)
    n, m = before.row[one].length, before.row[two].length
    for k in range(behind, m + 1):
        routes.node[one, node + 1 + k - behind].visit = before.node[two, k].visit
    for k in range(node + 1, n + 1):
        routes.node[two, behind + k - node - 1].visit = before.node[one, k].visit
    routes.row[one].length = node + m - behind + 1
    routes.row[two].length = behind - 1 + n - node
    state.cost -= before.row[one].cost + before.row[two].cost
    if not refresh(arrays, routes, one) or not refresh(arrays, routes, two):
        return False
    state.cost += routes.row[one].cost + routes.row[two].cost
    return True
