"""What a plan costs, and that the search minimises just that."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer import (
    InvalidProblem,
    Plan,
    Route,
    Shift,
    Stop,
    TimeWindow,
    Visit,
    Weights,
    solve,
    time_route,
)
from optimizer.arrays import build_arrays
from optimizer.eligibility import Fleet
from optimizer.insertion import plan_rows
from optimizer.objective import TERMS, objective, serve_visits, technician_by_visit
from optimizer.problem import Sla
from optimizer.schedule import empty_routes, refresh
from tests.optimizer.worlds import ADA, BEN, HOUR, MINUTE, OVEN, SINK, TAP, rich_world, small_day
from tests.support.examples import examples


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
        "pay_overtime": 0,
        "keep_sla": 0,
        "balance_hours": 0,
        "prefer_technicians": 1_500,
        "keep_technicians": 0,
        "spare_scarce_skills": 0,
    }


def by_hand(shift: Shift, *visits: Visit, at: int) -> Route:
    """Half an hour of work a visit from `at` on, each reached on time, and the way home."""
    places = [shift.start_place or 0, *(visit.place for visit in visits), shift.end_place or 0]
    legs = [600 * abs(after - before) for before, after in pairwise(places)]
    stops: list[Stop] = []
    for visit, leg in zip(visits, legs, strict=False):
        start = at if not stops else stops[-1].end + leg
        stops.append(Stop(visit.id, start, start, start + 30 * MINUTE, leg, leg // 600 * 5_000))
    return Route(
        shift.id,
        shift.technician,
        tuple(stops),
        departs_at=at - legs[0],
        returns_at=stops[-1].end + legs[-1],
        travel_s=sum(legs),
        travel_m=sum(legs) // 600 * 5_000,
    )


ADA_AT_THE_SINK = Plan((by_hand(ADA, SINK, at=9 * HOUR),), ())
"""Half an hour of work and forty minutes of travel; she is home at 9:50."""


def test_overtime_costs_its_hours_and_coming_home_earlier_gives_nothing_back() -> None:
    def overtime_cents(ends: int) -> int:
        ada = replace(ADA, window=TimeWindow(8 * HOUR, ends), overtime_s=HOUR, overtime_cents_per_h=6_000)
        return objective(small_day(ada), ADA_AT_THE_SINK)["pay_overtime"]

    assert overtime_cents(9 * HOUR + 30 * MINUTE) == 2_000
    assert overtime_cents(9 * HOUR + 50 * MINUTE) == 0
    assert overtime_cents(11 * HOUR) == 0


def test_starting_after_the_due_time_of_an_sla_costs_its_hours() -> None:
    def sla_cents(due: int) -> int:
        return objective(small_day(replace(SINK, sla=Sla(due, 1_200))), ADA_AT_THE_SINK)["keep_sla"]

    assert sla_cents(8 * HOUR + 30 * MINUTE) == 600
    assert sla_cents(9 * HOUR) == 0
    assert sla_cents(10 * HOUR) == 0


def test_the_sla_of_a_visit_left_out_costs_nothing_beyond_its_prize() -> None:
    late = small_day(replace(SINK, sla=Sla(0, 1_200)))

    assert objective(late, Plan((), ()))["keep_sla"] == 0


@pytest.mark.parametrize(
    ("given_h", "cents"),
    [(0, 136), (1, 369), (10, 2_469)],
    ids=["7/6 h of work squared", "with an hour before", "with ten hours before"],
)
def test_hours_weigh_more_the_more_were_given_before(given_h: int, cents: int) -> None:
    """(given + 7/6)² - given², at one euro."""
    day = small_day(replace(ADA, given_s=given_h * HOUR), weights=Weights(fairness_cents_per_h2=100))

    assert objective(day, ADA_AT_THE_SINK)["balance_hours"] == cents


def test_two_shifts_share_hours_more_cheaply_than_one() -> None:
    day = small_day(weights=Weights(fairness_cents_per_h2=100))
    both = Plan((by_hand(ADA, TAP, at=9 * HOUR), by_hand(BEN, OVEN, at=9 * HOUR)), ())
    one = Plan((by_hand(ADA, TAP, OVEN, at=9 * HOUR),), ())

    assert objective(day, both)["balance_hours"] < objective(day, one)["balance_hours"]


def test_a_scarce_skill_spent_on_a_visit_that_does_not_need_it_has_its_price() -> None:
    """Gas is needed by one visit of four and had by one shift of two: half as scarce as can be. Ben's electrics are
    needed by two of four and had by one of two: wholly scarce."""
    ada, ben = replace(ADA, skills={"plumbing": 3, "gas": 1}), replace(BEN, skills={"electrics": 2})
    visits = (replace(TAP, skills={"gas": 1}), replace(SINK, skills={}))
    day = small_day(ada, ben, *visits, weights=Weights(spare_skill_cents=800))

    by_ada = objective(day, ADA_AT_THE_SINK)
    by_ben = objective(day, Plan((by_hand(BEN, SINK, at=9 * HOUR),), ()))

    assert by_ada["spare_scarce_skills"] == 400
    assert by_ben["spare_scarce_skills"] == 800


def test_a_needed_skill_is_not_spared() -> None:
    day = small_day(weights=Weights(spare_skill_cents=800))

    assert objective(day, ADA_AT_THE_SINK)["spare_scarce_skills"] == 0


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


@settings(max_examples=examples(40), deadline=None)
@given(seed=st.integers(0, 10**6))
def test_the_search_minimises_the_very_sum_of_the_terms(seed: int) -> None:
    problem = rich_world(seed, links=False)
    start = solve(problem, max_work=5, seed=seed)
    plan = solve(problem, max_work=50, seed=seed + 1, start=start)
    fleet = Fleet.of(problem.shifts, problem.travel, problem.visits)
    arrays = build_arrays(problem, fleet, technician_by_visit(start))
    routes = empty_routes(arrays, len(problem.visits))

    visits, length = plan_rows(problem, plan)
    for shift, stops in enumerate(length):
        routes.node["visit"][shift, 1 : stops + 1] = visits[shift, :stops]
        routes.row["length"][shift] = stops
        assert refresh(arrays, routes, shift)

    terms = sum(term(problem, plan, start) for term in TERMS if term is not serve_visits)
    assert int(routes.row["cost"].sum()) == terms
