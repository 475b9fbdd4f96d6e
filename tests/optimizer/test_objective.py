"""What a plan costs, and that the search minimises just that."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer import InvalidProblem, Plan, Weights, solve, time_route
from optimizer.arrays import TICKS_PER_CENT, build_arrays
from optimizer.eligibility import Fleet
from optimizer.insertion import plan_rows
from optimizer.objective import TERMS, objective, technician_by_visit
from optimizer.ruin_recreate import load, new_search
from tests.optimizer.worlds import ADA, SINK, TAP, random_world, small_day


def test_every_term_is_named_and_in_cents() -> None:
    paid = replace(ADA, fixed_cents=1_000, cents_per_h=6_000, cents_per_km=20, cents_per_visit=300)
    day = small_day(
        paid, replace(TAP, preferred=frozenset({"ben"})), weights=Weights(travel_cents_per_h=3_000)
    )
    plan = Plan((time_route(day, "ada-day", ["tap", "sink"]),), ())

    terms = objective(day, plan)

    assert terms == {
        "serve_visits": 2 * 50_000,
        "minimise_travel": 2_000,
        "pay_technicians": 1_000 + 4_000 + 6_000 + 400 + 600,
        "prefer_technicians": 1_500,
        "keep_technicians": 0,
    }


def test_a_visit_given_to_another_than_the_start_plan_has_its_price() -> None:
    day = small_day(weights=Weights(move_cents=700))
    start = Plan((time_route(day, "ben-day", ["tap"]),), ())
    plan = Plan((time_route(day, "ada-day", ["tap", "sink"]),), ())

    assert objective(day, plan, start)["keep_technicians"] == 700


def test_priority_multiplies_the_price_of_leaving_a_visit_out() -> None:
    day = small_day(replace(TAP, priority=2), replace(SINK, prize_cents=1))

    assert objective(day, Plan((), ()))["serve_visits"] == 3 * 50_000 + 1 + 2 * 50_000


def test_prizes_that_cannot_be_added_up_are_refused() -> None:
    day = small_day(replace(TAP, prize_cents=10**12))

    with pytest.raises(InvalidProblem, match="prizes add up"):
        solve(day, max_work=1)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_the_search_minimises_the_very_sum_of_the_terms(seed: int) -> None:
    problem = random_world(seed)
    start = solve(problem, max_work=5, seed=seed)
    plan = solve(problem, max_work=50, seed=seed + 1, start=start)
    arrays = build_arrays(problem, Fleet.of(problem.shifts, problem.travel), technician_by_visit(start))
    search = new_search(arrays, 0)

    load(arrays, search, *plan_rows(problem, plan))

    served = {stop.visit for route in plan.routes for stop in route.stops}
    surcharges = sum(
        int(arrays.prize[row]) - problem.prize_cents(visit) * TICKS_PER_CENT
        for row, visit in enumerate(problem.visits)
        if visit.id not in served
    )
    assert int(search.cost[0]) - surcharges == sum(term(problem, plan, start) for term in TERMS)
    assert np.all(search.best_length == search.routes.length)
