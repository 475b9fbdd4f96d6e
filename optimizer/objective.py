"""What a good plan is: a sum of named terms, each in cents, all read aloud here.

Each term is exact in ticks (`arrays.TICKS_PER_CENT` to the cent) and the search minimises the very sum of
them; people see each rounded to whole cents. Waiting costs nothing.
"""

from collections.abc import Callable, Mapping

from optimizer.arrays import (
    TICKS_PER_CENT,
    TICKS_PER_M_AND_CENT_PER_KM,
    TICKS_PER_S_AND_CENT_PER_H,
    cents,
)
from optimizer.eligibility import scarcity
from optimizer.plan import Plan
from optimizer.problem import Problem, Travel

S_PER_H = 3_600
PERMILLE = 1_000


def serve_visits(problem: Problem[Travel], plan: Plan, start: Plan | None) -> int:
    """Every visit left out costs its prize."""
    served = {stop.visit for route in plan.routes for stop in route.stops}
    return sum(problem.prize_cents(v) * TICKS_PER_CENT for v in problem.visits if v.id not in served)


def minimise_travel(problem: Problem[Travel], plan: Plan, start: Plan | None) -> int:
    """Travel costs its hours and kilometres, whoever drives."""
    seconds = sum(route.travel_s for route in plan.routes)
    metres = sum(route.travel_m for route in plan.routes)
    return (
        seconds * problem.weights.travel_cents_per_h * TICKS_PER_S_AND_CENT_PER_H
        + metres * problem.weights.travel_cents_per_km * TICKS_PER_M_AND_CENT_PER_KM
    )


def pay_technicians(problem: Problem[Travel], plan: Plan, start: Plan | None) -> int:
    """Each used shift is paid its fixed sum, its hours of travel and service, its kilometres and its
    visits."""
    shifts = {shift.id: shift for shift in problem.shifts}
    total = 0
    for route in plan.routes:
        shift = shifts[route.shift]
        seconds = route.travel_s + sum(stop.end - stop.start for stop in route.stops)
        total += (shift.fixed_cents + shift.cents_per_visit * len(route.stops)) * TICKS_PER_CENT
        total += seconds * shift.cents_per_h * TICKS_PER_S_AND_CENT_PER_H
        total += route.travel_m * shift.cents_per_km * TICKS_PER_M_AND_CENT_PER_KM
    return total


def pay_overtime(problem: Problem[Travel], plan: Plan, start: Plan | None) -> int:
    """Returning after the end of the shift costs its hours of overtime, on top of all other pay."""
    shifts = {shift.id: shift for shift in problem.shifts}
    total = 0
    for route in plan.routes:
        shift = shifts[route.shift]
        late_s = max(0, route.returns_at - shift.window.end)
        total += late_s * shift.overtime_cents_per_h * TICKS_PER_S_AND_CENT_PER_H
    return total


def keep_sla(problem: Problem[Travel], plan: Plan, start: Plan | None) -> int:
    """Work that starts after the due time of its SLA costs the hours between."""
    sla_of = {visit.id: visit.sla for visit in problem.visits if visit.sla is not None}
    return sum(
        max(0, stop.start - sla_of[stop.visit].due)
        * sla_of[stop.visit].cents_per_h
        * TICKS_PER_S_AND_CENT_PER_H
        for route in plan.routes
        for stop in route.stops
        if stop.visit in sla_of
    )


def balance_hours(problem: Problem[Travel], plan: Plan, start: Plan | None) -> int:
    """Hours of travel and service, those given so far included, are squared; what a route adds to the square of
    its shift has its price, so that the next hour is cheapest with whoever has the fewest. Whole ticks, rounded
    down route by route."""
    given_s = {shift.id: shift.given_s for shift in problem.shifts}
    price = problem.weights.fairness_cents_per_h2
    total = 0
    for route in plan.routes:
        before_s = given_s[route.shift]
        after_s = before_s + route.travel_s + sum(stop.end - stop.start for stop in route.stops)
        total += price * (after_s**2 - before_s**2) * TICKS_PER_CENT // S_PER_H**2
    return total


def prefer_technicians(problem: Problem[Travel], plan: Plan, start: Plan | None) -> int:
    """A visit with preferred technicians that another one serves has its price."""
    preferred = {visit.id: visit.preferred for visit in problem.visits if visit.preferred}
    missed = sum(
        stop.visit in preferred and route.technician not in preferred[stop.visit]
        for route in plan.routes
        for stop in route.stops
    )
    return missed * problem.weights.not_preferred_cents * TICKS_PER_CENT


def keep_technicians(problem: Problem[Travel], plan: Plan, start: Plan | None) -> int:
    """A visit that the start plan gave to another technician has its price."""
    planned = technician_by_visit(start)
    moved = sum(
        planned.get(stop.visit, route.technician) != route.technician
        for route in plan.routes
        for stop in route.stops
    )
    return moved * problem.weights.move_cents * TICKS_PER_CENT


def spare_scarce_skills(problem: Problem[Travel], plan: Plan, start: Plan | None) -> int:
    """A visit given to somebody with skills that it does not need costs as much as these are scarce."""
    price = problem.weights.spare_skill_cents * TICKS_PER_CENT // PERMILLE
    if not price:
        return 0
    permille = scarcity(problem.visits, problem.shifts)
    visits = {visit.id: visit for visit in problem.visits}
    skills_of = {shift.id: shift.skills for shift in problem.shifts}
    return price * sum(
        permille.get(skill, 0)
        for route in plan.routes
        for stop in route.stops
        for skill in skills_of[route.shift]
        if skill not in visits[stop.visit].skills
    )


Term = Callable[[Problem[Travel], Plan, Plan | None], int]

TERMS: tuple[Term, ...] = (
    serve_visits,
    minimise_travel,
    pay_technicians,
    pay_overtime,
    keep_sla,
    balance_hours,
    prefer_technicians,
    keep_technicians,
    spare_scarce_skills,
)


def technician_by_visit(plan: Plan | None) -> dict[str, str]:
    """Who serves each visit of a plan, by visit id."""
    routes = plan.routes if plan is not None else ()
    return {stop.visit: route.technician for route in routes for stop in route.stops}


def objective(problem: Problem[Travel], plan: Plan, start: Plan | None = None) -> Mapping[str, int]:
    """Cents by the name of the term. start: the plan from which moves are counted."""
    return {term.__name__: cents(term(problem, plan, start)) for term in TERMS}
