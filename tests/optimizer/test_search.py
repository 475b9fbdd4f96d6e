"""What `solve` promises: sound plans, repeatable ones, nothing left out that fits, pins and start plans honoured."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer import (
    InvalidProblem,
    Pin,
    Plan,
    PreparedRoutes,
    Problem,
    Progress,
    TimeWindow,
    Visit,
    Weights,
    check,
    solve,
    time_route,
)
from optimizer.annealing import iterate
from optimizer.arrays import build_arrays
from optimizer.eligibility import Fleet
from optimizer.insertion import plan_rows
from optimizer.proximity import near
from optimizer.recombination import Incumbent, recombine
from optimizer.ruin_recreate import construct, load
from optimizer.schedule import refresh, visits_of
from optimizer.tails import exchange_tails
from optimizer.zones import Team
from tests.optimizer.worlds import ADA, HOUR, LAMP, MINUTE, SINK, TAP, city_day, line, random_world, small_day
from tests.support.examples import examples


def technicians(plan: Plan) -> dict[str, str]:
    return {stop.visit: route.technician for route in plan.routes for stop in route.stops}


def test_a_small_day_is_planned_as_one_would_by_hand() -> None:
    plan = solve(small_day(), max_work=100)

    orders = {route.technician: [stop.visit for stop in route.stops] for route in plan.routes}
    assert orders == {"ada": ["tap", "sink"], "ben": ["lamp", "oven"]}
    assert plan.cost_cents == plan.objective["minimise_travel"] == 4_000
    assert plan.unserved == ()


@settings(max_examples=examples(40), deadline=None)
@given(seed=st.integers(0, 10**6), metric=st.booleans())
def test_every_plan_satisfies_the_verifier(seed: int, metric: bool) -> None:
    problem = random_world(seed, metric=metric)

    plan = solve(problem, max_work=100, seed=seed)

    assert check(problem, plan) == ()


@settings(max_examples=examples(20), deadline=None)
@given(seed=st.integers(0, 10**6))
def test_the_same_work_and_seed_give_the_same_plan(seed: int) -> None:
    problem = random_world(seed, visits=12, shifts=4)

    once, again = (solve(problem, max_work=300, seed=seed) for _ in range(2))

    assert replace(once, elapsed_s=0.0) == replace(again, elapsed_s=0.0)


@settings(max_examples=examples(25), deadline=None)
@given(seed=st.integers(0, 10**6), metric=st.booleans())
def test_nothing_that_fits_within_its_prize_is_left_out(seed: int, metric: bool) -> None:
    problem = random_world(seed, metric=metric)

    plan = solve(problem, max_work=30, seed=seed)

    prepared = PreparedRoutes(problem, replace(plan))
    prizes = {visit.id: problem.prize_cents(visit) for visit in problem.visits}
    for left_out in plan.unserved:
        for insertion in prepared.recommend(left_out.visit).insertions:
            assert insertion.extra_cents >= prizes[left_out.visit]


@settings(max_examples=examples(25), deadline=None)
@given(seed=st.integers(0, 10**6))
def test_a_start_plan_is_never_made_worse(seed: int) -> None:
    problem = random_world(seed)
    start = solve(problem, max_work=0, seed=seed)

    plan = solve(problem, max_work=20, seed=seed, start=start)

    pinned = {visit.id for visit in problem.visits if visit.pin is not None}
    before, after = (sum(entry.visit in pinned for entry in each.unserved) for each in (start, plan))
    assert after <= before
    if after == before:
        assert plan.cost_cents <= start.cost_cents + len(plan.objective)


def test_a_start_plan_keeps_technicians_when_moves_are_dear() -> None:
    day = small_day(weights=Weights(move_cents=100_000))
    start = Plan((time_route(day, "ben-day", ["tap", "lamp"]),), ())

    plan = solve(day, max_work=200, start=start)

    assert technicians(plan) == {"tap": "ben", "sink": "ada", "lamp": "ben", "oven": "ben"}
    assert plan.objective["keep_technicians"] == 0


def test_what_a_start_plan_may_no_longer_have_is_planned_anew() -> None:
    start = Plan((time_route(small_day(), "ada-day", ["tap", "sink"]),), ())
    excluded = small_day(replace(TAP, excluded=frozenset({"ada"})))
    cancelled = replace(excluded, visits=tuple(v for v in excluded.visits if v.id != "sink"))

    plan = solve(cancelled, max_work=50, start=start)

    assert technicians(plan) == {"tap": "ben", "lamp": "ben", "oven": "ben"}


def test_a_pinned_visit_stays_with_its_technician_at_its_instant() -> None:
    day = small_day(replace(LAMP, pin=Pin("ada", 14 * HOUR)))

    plan = solve(day, max_work=100)

    lamp = next(stop for route in plan.routes for stop in route.stops if stop.visit == "lamp")
    assert (technicians(plan)["lamp"], lamp.start) == ("ada", 14 * HOUR)


def test_a_pinned_visit_goes_before_a_dearer_one() -> None:
    nine = (TimeWindow(9 * HOUR, 9 * HOUR),)
    day = small_day(
        replace(SINK, windows=nine, priority=100), replace(TAP, windows=nine, pin=Pin("ada"), prize_cents=0)
    )

    plan = solve(day, max_work=100)

    assert technicians(plan)["tap"] == "ada"
    assert [left_out.visit for left_out in plan.unserved] == ["sink"]


def test_a_pinned_visit_that_does_not_fit_is_reported_and_nothing_dropped_for_it() -> None:
    day = small_day(replace(TAP, pin=Pin("ada", 7 * HOUR)))

    plan = solve(day, max_work=100)

    (left_out,) = plan.unserved
    assert (left_out.visit, left_out.verdict) == ("tap", "impossible")
    assert (left_out.reasons[0].code, left_out.reasons[0].technicians) == ("no_shift", ("ada",))
    assert set(technicians(plan)) == {"sink", "lamp", "oven"}


def test_a_visit_cheaper_to_leave_out_than_to_serve_is_left_out() -> None:
    plan = solve(small_day(replace(SINK, prize_cents=999)), max_work=100)

    assert [(left_out.visit, left_out.verdict) for left_out in plan.unserved] == [("sink", "dearer")]


@pytest.mark.parametrize(
    "problem",
    [
        Problem((), (), line(1)),
        Problem((), (ADA,), line(6)),
        Problem((TAP,), (), line(6)),
        Problem((TAP,), (replace(ADA, max_visits=0),), line(6)),
    ],
)
def test_problems_with_nothing_to_plan_are_answered(problem: Problem) -> None:
    plan = solve(problem, max_work=10)

    assert plan.routes == ()
    assert [left_out.visit for left_out in plan.unserved] == [visit.id for visit in problem.visits]
    assert check(problem, plan) == ()


def test_progress_ends_with_the_plan_that_is_returned() -> None:
    told: list[Progress] = []

    plan = solve(small_day(), max_work=500, on_progress=told.append)

    assert (told[-1].fraction, told[-1].iterations) == (1.0, 500)
    assert (told[-1].cost_cents, told[-1].unserved) == (plan.cost_cents, 0)
    assert [progress.fraction for progress in told] == sorted(progress.fraction for progress in told)


def test_a_stopped_solve_returns_a_sound_plan() -> None:
    day = city_day(40, 6)

    plan = solve(day, max_work=10**9, should_stop=lambda: True)

    assert plan.iterations == 0
    assert check(day, plan) == ()


def test_a_time_limit_bounds_the_solve() -> None:
    day = city_day(40, 6)

    plan = solve(day, time_limit_s=0.3)

    assert plan.iterations > 0
    assert check(day, plan) == ()


@pytest.mark.parametrize(
    "limits",
    [{}, {"time_limit_s": 0}, {"time_limit_s": float("nan")}, {"max_work": -1}, {"max_work": 1, "seed": -1},
     {"max_work": 1, "threads": 0}],
)  # fmt: skip
def test_limits_that_make_no_sense_are_refused(limits: dict[str, int]) -> None:
    with pytest.raises(InvalidProblem):
        solve(small_day(), **limits)  # type: ignore[arg-type]


def team_of(problem: Problem, seed: int = 0, workers: int = 1) -> Team:
    arrays = build_arrays(problem, Fleet.of(problem.shifts, problem.travel, problem.visits))
    return Team.of(arrays, near(arrays), workers, seed)


def tables(team: Team, shift: int) -> list[object]:
    """All that `refresh` derives of a route."""
    routes, taken = team.routes, int(team.arrays.shift["breaks"][shift]) + 1
    n = int(routes.row["length"][shift])
    ends = (routes.node["place"][shift, : n + 2], routes.node["hop"][shift, : n + 1])
    times = (routes.ready[shift, : n + 1, :taken], routes.latest[shift, 1 : n + 2, :taken])
    return [part.tolist() for part in (routes.row[shift], routes.load[shift], *ends, *times)]


def stands(team: Team) -> None:
    """All that the workers know of the plan is true."""
    prize, allowed = team.arrays.visit["prize"], team.arrays.pair["allowed"]
    served = team.routes.spot["shift"] >= 0
    rows = [visits_of(team.routes, shift) for shift in range(len(team.routes.row))]
    absent = [worker.absent[: worker.state["absent"][0]] for worker in team.workers]
    assert sorted(np.concatenate(rows)) == list(np.flatnonzero(served))
    assert sorted(np.concatenate(absent)) == list(np.flatnonzero(~served & allowed.any(axis=1)))
    assert team.cost == int(team.routes.row["cost"].sum() + prize[~served].sum())
    for shift, row in enumerate(rows):
        known = tables(team, shift)
        assert refresh(team.arrays, team.routes, shift)
        assert known == tables(team, shift)
        for node, visit in enumerate(row, start=1):
            assert tuple(team.routes.spot[visit]) == (shift, node)


def test_recombination_finds_the_best_match_among_the_routes_seen() -> None:
    day = small_day()
    team, again = team_of(day), team_of(day)
    iterate(team.arrays, team.first, team.pools[0], 200, 1e9)
    worse = Plan((time_route(day, "ada-day", ["tap"]), time_route(day, "ben-day", ["oven"])), ())
    visits, length = plan_rows(day, worse)
    load(again.arrays, again.first, visits, length)
    incumbent = Incumbent(visits, length, again.routes.row["cost"].copy(), again.cost)

    match = recombine(team.arrays, incumbent, team.pools, time_limit_s=None, workers=1)

    assert match.routes is not None
    load(again.arrays, again.first, *match.routes)
    assert match.status == "OPTIMAL"
    assert again.cost == team.best_cost


@settings(max_examples=examples(20), deadline=None)
@given(seed=st.integers(0, 10**6), metric=st.booleans())
def test_what_the_search_knows_of_its_routes_is_true_after_many_moves(seed: int, metric: bool) -> None:
    team = team_of(random_world(seed, visits=10, metric=metric), seed)
    construct(team.arrays, team.first, 0)

    iterate(team.arrays, team.first, team.pools[0], 60, 3e9)

    stands(team)


@settings(max_examples=examples(20), deadline=None)
@given(seed=st.integers(0, 10**6), workers=st.integers(2, 3))
def test_workers_side_by_side_never_touch_the_same_route_or_visit(seed: int, workers: int) -> None:
    team = team_of(random_world(seed, visits=30, metric=True), seed, workers)
    construct(team.arrays, team.first, 0)

    with ThreadPoolExecutor(workers) as executor:
        for _ in range(4):
            team.deal()
            team.iterate(executor, [40] * workers, 3e9)
            stands(team)
    team.gather()

    stands(team)
    assert int(team.first.state["cost"][0]) == team.cost - team.hopeless


def test_with_several_threads_the_same_work_gives_the_same_plan() -> None:
    problem = random_world(7, visits=60, metric=True)

    plans = [solve(problem, max_work=4_000, seed=3, threads=2) for _ in range(2)]

    assert plans[0].routes == plans[1].routes
    assert check(problem, plans[0]) == ()


def test_a_run_bounded_by_time_can_be_done_again() -> None:
    problem = random_world(11, visits=60, metric=True)
    plan = solve(problem, time_limit_s=2.0, seed=5, threads=2)

    again = solve(problem, replay=plan)

    assert again.routes == plan.routes
    assert [merge.after_epochs for merge in again.merges] == [merge.after_epochs for merge in plan.merges]


def test_what_begins_before_the_freeze_keeps_technician_and_time() -> None:
    problem = random_world(5, visits=12, metric=True)
    start = solve(problem, max_work=5, seed=1)
    starts = sorted(stop.start for route in start.routes for stop in route.stops)
    noon = starts[len(starts) // 2]

    plan = solve(problem, max_work=500, seed=2, start=start, freeze_before=noon)

    before = {
        (route.technician, s.visit, s.start) for route in start.routes for s in route.stops if s.start < noon
    }
    after = {(route.technician, stop.visit, stop.start) for route in plan.routes for stop in route.stops}
    assert before <= after


def test_identical_shifts_are_one_kind_and_still_driven_apart() -> None:
    twins = tuple(replace(ADA, id=f"shift {k}", technician=f"technician {k}") for k in range(3))
    nine = (TimeWindow(9 * HOUR, 9 * HOUR + 5 * MINUTE),)
    visits = tuple(Visit(f"visit {k}", k + 1, HOUR, nine) for k in range(3))
    problem = Problem(visits, twins, line(6))

    plan = solve(problem, max_work=100)

    assert len(set(technicians(plan).values())) == 3
    assert set(team_of(problem).arrays.shift["kind"].tolist()) == {0}


def test_shifts_that_nothing_tells_apart_are_of_one_kind() -> None:
    vans = tuple(replace(ADA, id=f"van {number}", technician=f"van {number}") for number in range(200))
    problem = small_day(*vans)

    kind = build_arrays(problem, Fleet.of(problem.shifts, problem.travel)).shift["kind"]

    assert kind.tolist() == [0, 1] + [0] * 200


def test_what_follows_a_stop_may_change_places_with_what_follows_another() -> None:
    """Places in a row: ann drives 0 1 7 8 and bea 5 6 2 3."""
    vans = tuple(
        replace(ADA, id=name, technician=name, start_place=None, end_place=None) for name in ("ann", "bea")
    )
    visits = tuple(Visit(f"at {k}", k, MINUTE, (TimeWindow(8 * HOUR, 16 * HOUR),)) for k in range(9))
    problem = Problem(visits, vans, line(9))
    crossed = np.array([[0, 1, 7, 8], [5, 6, 2, 3]], np.int32)
    team = team_of(problem)
    load(team.arrays, team.first, crossed, np.array([4, 4], np.int32))

    found = exchange_tails(team.arrays, team.first, 1, 0)

    assert found
    assert [visits_of(team.routes, shift).tolist() for shift in (0, 1)] == [[0, 1, 2, 3], [5, 6, 7, 8]]
    stands(team)


def test_tails_stay_where_an_exchange_would_cost_more_than_it_may() -> None:
    problem = random_world(3, visits=30, metric=True)
    team = team_of(problem)
    construct(team.arrays, team.first, 0)
    before = team.cost

    found = [exchange_tails(team.arrays, team.first, visit, -(10**12)) for visit in range(30)]

    assert not any(found)
    assert team.cost == before
    stands(team)
