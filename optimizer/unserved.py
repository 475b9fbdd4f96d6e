"""Why a visit is not in the plan, and what would change that."""

from optimizer.arrays import TICKS_PER_CENT, ProblemArrays, cents
from optimizer.eligibility import Fleet
from optimizer.insertion import PreparedRoutes
from optimizer.plan import Plan, Unserved
from optimizer.problem import Problem


def explain_unserved(
    problem: Problem, plan: Plan, fleet: Fleet | None = None, arrays: ProblemArrays | None = None
) -> tuple[Unserved, ...]:
    """Every visit that no route of the plan serves, with its verdict, in the order of the problem. fleet, arrays:
    those of the problem, where they have been built already.

    `dearer`: it fits, for extra_cents more than its prize. `impossible`: it does not, and no shift could serve it
    even with nothing else to do. `not_found`: the plan as it is has no room for it; another plan may.
    """
    served = {stop.visit for route in plan.routes for stop in route.stops}
    left_out = [visit.id for visit in problem.visits if visit.id not in served]
    if not left_out:
        return ()
    prepared = PreparedRoutes(problem, plan, fleet, arrays)
    return tuple(_explain(prepared, visit_id) for visit_id in left_out)


def _explain(prepared: PreparedRoutes, visit_id: str) -> Unserved:
    question = prepared.question(visit_id)
    ticks = prepared.cheapest_ticks(prepared.routes, question)
    if ticks is not None:
        extra = cents(ticks - prepared.problem.prize_cents(question.visit) * TICKS_PER_CENT)
        return Unserved(visit_id, "dearer", (), (), extra)
    obstacles = prepared.obstacles(prepared.routes, question)
    reasons, fits = obstacles.reasons(frozenset()), obstacles.would_fit_if()
    return Unserved(visit_id, "not_found" if prepared.fits_ever(question) else "impossible", reasons, fits)
