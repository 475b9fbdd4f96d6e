"""What a change of the plan costs, by the prices of the solver, and what of it may be told.

Beside another organization's visit travel is told rounded (`calendar.discreet`), and so is the money that it costs: the
exact sum would tell the exact way.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import pairwise

from dispatch.calendar import discreet
from dispatch.standing import Opening
from optimizer import Plan, Problem, Shift, Weights
from optimizer.arrays import (
    TICKS_PER_CENT,
    TICKS_PER_M_AND_CENT_PER_KM,
    TICKS_PER_S_AND_CENT_PER_H,
    cents,
)
from optimizer.insertion import PreparedRoutes


@dataclass(frozen=True, slots=True)
class Change:
    """A difference between two plans: seconds and metres of travel, and ticks of the objective in all
    (`optimizer.arrays`); negative where the second plan has less."""

    travel_s: int = 0
    travel_m: int = 0
    ticks: int = 0

    def __add__(self, other: "Change") -> "Change":
        return Change(
            self.travel_s + other.travel_s, self.travel_m + other.travel_m, self.ticks + other.ticks
        )

    @property
    def cents(self) -> int:
        return cents(self.ticks)


NO_CHANGE = Change()


def travel_ticks(shift: Shift, weights: Weights, travel_s: int, travel_m: int) -> int:
    """What travel costs in a shift: the technician's pay for it, and the plan's own price."""
    per_s = (shift.cents_per_h + weights.travel_cents_per_h) * TICKS_PER_S_AND_CENT_PER_H
    per_m = (shift.cents_per_km + weights.travel_cents_per_km) * TICKS_PER_M_AND_CENT_PER_KM
    return travel_s * per_s + travel_m * per_m


def rounded(shift: Shift, weights: Weights, exact: Change) -> Change:
    """As it may be told beside another organization's visit: travel rounded, and whole cents that follow from it."""
    travel_s, travel_m = discreet(exact.travel_s, exact.travel_m)
    more = travel_ticks(shift, weights, travel_s - exact.travel_s, travel_m - exact.travel_m)
    return Change(travel_s, travel_m, TICKS_PER_CENT * (exact.cents + cents(more)))


def told(opening: Opening) -> tuple[int, int]:
    """Seconds of travel and cents that a visit adds there, as a dispatcher may be told."""
    insertion, problem = opening.insertion, opening.read.problem
    if not opening.beside_others:
        return insertion.extra_travel_s, insertion.extra_cents
    shift = next(shift for shift in problem.shifts if shift.id == insertion.shift)
    exact = Change(insertion.extra_travel_s, insertion.extra_travel_m)
    as_told = rounded(shift, problem.weights, exact)
    return as_told.travel_s, insertion.extra_cents + as_told.cents


def change_between(problem: Problem, before: Plan, after: Plan, foreign: Collection[str]) -> Change:
    """What the second plan has more than the first, as it may be told, shift by shift. Visits that are in neither count
    nothing. foreign: the visits of other organizations."""
    first, second = (PreparedRoutes(problem, plan).routes.row for plan in (before, after))
    beside = [_beside(plan, foreign) for plan in (before, after)]
    total = NO_CHANGE
    for row, shift in enumerate(problem.shifts):
        exact = Change(
            *(int(second[name][row]) - int(first[name][row]) for name in ("travel_s", "travel_m", "cost"))
        )
        is_exact = beside[0].get(shift.id, set()) == beside[1].get(shift.id, set())
        total += exact if is_exact else rounded(shift, problem.weights, exact)
    return total


Leg = tuple[str | None, str | None]
"""The visits at its ends; None for where the shift begins and ends."""


def _beside(plan: Plan, foreign: Collection[str]) -> dict[str, set[Leg]]:
    """By shift, the legs that lead to or from another organization's visit."""
    return {route.shift: set(_legs([stop.visit for stop in route.stops], foreign)) for route in plan.routes}


def _legs(visit_ids: list[str], foreign: Collection[str]) -> Iterator[Leg]:
    return (leg for leg in pairwise([None, *visit_ids, None]) if leg[0] in foreign or leg[1] in foreign)
