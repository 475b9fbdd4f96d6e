"""The match of OR-Tools: which shift drives which of the routes that the search has seen.

A set partitioning over the pool (as in Subramanian, Uchoa & Ochi, Computers & OR 40, 2013): GLOP solves its
relaxation, columns whose reduced cost exceeds the gap to the incumbent cannot be in a better plan and go, and
CP-SAT chooses among at most `MAX_COLUMNS` of the rest, the incumbent its hint.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from ortools.linear_solver import pywraplp
from ortools.sat.python import cp_model

from optimizer.arrays import Indices, Ints, ProblemArrays
from optimizer.pool import Pool

MAX_POOL = 6_000
"""Columns of the relaxation."""
MAX_COLUMNS = 3_000
"""Columns of the integer model; on 12,000 and more CP-SAT finds nothing in time."""
DETERMINISTIC_TIME = 2.0
"""CP-SAT's limit in its own unit of work, about a second, where the answer must not depend on the clock."""


@dataclass(frozen=True)
class Columns:
    """Candidate routes: their visits, kinds of shift, and costs in ticks. incumbent: the first rows, which
    are the routes of the best plan."""

    visits: list[Indices]
    kind: Indices
    cost: Ints
    incumbent: int

    def take(self, rows: NDArray[np.intp]) -> "Columns":
        return Columns([self.visits[row] for row in rows], self.kind[rows], self.cost[rows], self.incumbent)


@dataclass(frozen=True)
class Match:
    """status: OR-Tools' word, or `BOUND` where the relaxation shows that nothing better is in the pool,
    `EMPTY` where no route was ever found. visits, length: routes by shift, as `ruin_recreate.load` takes
    them; None where nothing better was found."""

    columns: int
    status: str
    routes: tuple[Indices, Indices] | None


@dataclass(frozen=True)
class Incumbent:
    """A plan: the visits of each shift in order, [shifts, stops], how many count, what each route costs, and the
    cost of all with the prizes of what is left out. Ticks."""

    visits: Indices
    length: Indices
    route_cost: Ints
    cost: int


def recombine(
    arrays: ProblemArrays,
    incumbent: Incumbent,
    pools: Sequence[Pool],
    *,
    time_limit_s: float | None,
    workers: int,
) -> Match:
    """Looks for a plan better than the incumbent among its routes and those of the pools. time_limit_s: None bounds
    the work and not the time, on one worker, so that the same input gives the same answer."""
    deadline = None if time_limit_s is None else time.monotonic() + time_limit_s
    columns = _columns(arrays, incumbent, pools)
    if not columns.visits:
        return Match(0, "EMPTY", None)
    relaxation = _relaxation(arrays, columns, None if time_limit_s is None else 0.6 * time_limit_s)
    if relaxation is None:
        return Match(len(columns.cost), "UNKNOWN", None)
    bound, reduced_cost = relaxation
    if incumbent.cost - bound < 1:
        return Match(len(columns.cost), "BOUND", None)
    reduced_cost[: columns.incumbent] = -np.inf
    promising = np.flatnonzero(reduced_cost < incumbent.cost - bound)
    chosen = promising[np.argsort(reduced_cost[promising], kind="stable")[:MAX_COLUMNS]]
    columns = columns.take(chosen)
    left_s = None if deadline is None else deadline - time.monotonic()
    status, picked = _choose(arrays, columns, left_s, workers)
    if picked is None or _ticks(arrays, columns, picked) >= incumbent.cost:
        return Match(len(columns.cost), status, None)
    return Match(len(columns.cost), status, _assign(arrays, incumbent, columns, picked))


def _columns(arrays: ProblemArrays, incumbent: Incumbent, pools: Sequence[Pool]) -> Columns:
    """The incumbent's routes, then the pools' from the best solutions."""
    used = np.flatnonzero(incumbent.length)
    visits = [incumbent.visits[shift, : incumbent.length[shift]].copy() for shift in used]
    kinds, costs = [arrays.shift["kind"][used]], [incumbent.route_cost[used]]
    for pool in pools:
        rows = np.argsort(pool.quality[: int(pool.size[0])], kind="stable")[: MAX_POOL // len(pools)]
        visits += [pool.stops[pool.offset[row] : pool.offset[row + 1]] for row in rows]
        kinds.append(pool.kind[rows])
        costs.append(pool.cost[rows])
    return Columns(visits, np.concatenate(kinds), np.concatenate(costs), len(used))


def _relaxation(
    arrays: ProblemArrays, columns: Columns, time_limit_s: float | None
) -> tuple[float, NDArray[np.float64]] | None:
    """Lower bound and reduced costs of the columns, in ticks; None where GLOP had no time."""
    solver = pywraplp.Solver.CreateSolver("GLOP")
    if time_limit_s is not None:
        solver.SetTimeLimit(max(1, int(1000 * time_limit_s)))
    infinity = solver.infinity()
    scale = max(1.0, float(columns.cost.max()))
    objective = solver.Objective()
    served = [solver.Constraint(1.0, 1.0) for _ in arrays.visit]
    used = [solver.Constraint(-infinity, float(count)) for count in np.bincount(arrays.shift["kind"])]
    variables = []
    for visits, kind, cost in zip(columns.visits, columns.kind, columns.cost, strict=True):
        variable = solver.NumVar(0.0, infinity, "")
        variables.append(variable)
        objective.SetCoefficient(variable, float(cost) / scale)
        used[kind].SetCoefficient(variable, 1.0)
        for visit in visits:
            served[visit].SetCoefficient(variable, 1.0)
    for visit, prize in enumerate(arrays.visit["prize"]):
        unserved = solver.NumVar(0.0, infinity, "")
        objective.SetCoefficient(unserved, float(prize) / scale)
        served[visit].SetCoefficient(unserved, 1.0)
    if solver.Solve() != pywraplp.Solver.OPTIMAL:
        return None
    reduced = np.array([variable.reduced_cost() for variable in variables])
    return float(objective.Value()) * scale, reduced * scale


def _choose(
    arrays: ProblemArrays, columns: Columns, time_limit_s: float | None, workers: int
) -> tuple[str, NDArray[np.intp] | None]:
    """The cheapest rows of `columns` that serve each visit at most once."""
    model = cp_model.CpModel()
    chosen = [model.new_bool_var("") for _ in columns.visits]
    serving: list[list[cp_model.IntVar]] = [[] for _ in arrays.visit]
    of_kind: list[list[cp_model.IntVar]] = [[] for _ in np.bincount(arrays.shift["kind"])]
    for row, variable in enumerate(chosen):
        model.add_hint(variable, row < columns.incumbent)
        of_kind[columns.kind[row]].append(variable)
        for visit in columns.visits[row]:
            serving[visit].append(variable)
    for variables, count in zip(of_kind, np.bincount(arrays.shift["kind"]), strict=True):
        if len(variables) > count:
            model.add(cp_model.LinearExpr.sum(variables) <= int(count))
    unserved = [model.new_bool_var("") for _ in arrays.visit]
    hinted = _served(arrays, columns, range(columns.incumbent))
    for visit, variables in enumerate(serving):
        model.add_exactly_one([*variables, unserved[visit]])
        model.add_hint(unserved[visit], not hinted[visit])
    scaled = _scaled(np.concatenate([columns.cost, arrays.visit["prize"]]))
    model.minimize(cp_model.LinearExpr.weighted_sum([*chosen, *unserved], scaled))
    solver = cp_model.CpSolver()
    solver.parameters.linearization_level = 2
    if time_limit_s is None:
        solver.parameters.num_workers = 1
        solver.parameters.max_deterministic_time = DETERMINISTIC_TIME
    else:
        solver.parameters.num_workers = workers
        solver.parameters.max_time_in_seconds = max(0.01, time_limit_s)
    status = solver.solve(model)
    if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return solver.status_name(status), None
    picked = np.flatnonzero([solver.boolean_value(variable) for variable in chosen])
    return solver.status_name(status), picked


def _served(arrays: ProblemArrays, columns: Columns, rows: Iterable[int]) -> NDArray[np.bool_]:
    """Which visits these rows of `columns` serve."""
    served = np.zeros(len(arrays.visit), np.bool_)
    for row in rows:
        served[columns.visits[row]] = True
    return served


def _ticks(arrays: ProblemArrays, columns: Columns, picked: NDArray[np.intp]) -> int:
    """What a plan of these routes costs with the prizes of the visits that they leave out."""
    unserved = ~_served(arrays, columns, picked)
    return int(columns.cost[picked].sum() + arrays.visit["prize"][unserved].sum())


def _scaled(ticks: Ints) -> list[int]:
    """Ticks in the finest unit in which CP-SAT's sums stay below 2**52, where its presolve is at ease."""
    unit = max(1, int(ticks.sum(dtype=np.float64) / 2**52))
    return [int(value) for value in ticks // unit]


def _assign(
    arrays: ProblemArrays,
    incumbent: Incumbent,
    columns: Columns,
    picked: NDArray[np.intp],
) -> tuple[Indices, Indices]:
    """Gives each picked route to a free shift of its kind."""
    longest = max(len(columns.visits[row]) for row in picked)
    visits, length = np.zeros((len(incumbent.length), longest), np.int32), np.zeros_like(incumbent.length)
    kinds = arrays.shift["kind"]
    free = {kind: list(np.flatnonzero(kinds == kind)) for kind in np.unique(kinds).tolist()}
    for row in picked:
        shift = free[int(columns.kind[row])].pop(0)
        stops = columns.visits[row]
        visits[shift, : len(stops)] = stops
        length[shift] = len(stops)
    return visits, length
