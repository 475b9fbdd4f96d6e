"""OR-Tools' routing library as a reference: its plans are sound, and it and the search hold each other to account.

Places on a line, 600 s and 5 km apart; times in seconds from midnight.
"""

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from optimizer.check import check
from optimizer.objective import objective
from optimizer.plan import Plan, Progress
from optimizer.problem import UNREACHABLE, Break, Pin, Problem, Shift, TimeWindow, TravelMatrix, Visit
from optimizer.routing import solve_by_routing
from optimizer.search import solve

H = 3600


def line(places: int) -> TravelMatrix:
    steps = np.abs(np.subtract.outer(np.arange(places), np.arange(places))).astype(np.int32)
    return TravelMatrix(steps * np.int32(600), steps * np.int32(5000))


def visit(name: str, place: int, *windows: tuple[int, int], **more: Any) -> Visit:
    spans = tuple(TimeWindow(*window) for window in windows) or (TimeWindow(8 * H, 16 * H),)
    return Visit(name, place, 1800, spans, **more)


def shift(technician: str, place: int | None = 0, **more: Any) -> Shift:
    settings = {"start_place": place, "end_place": place} | more
    return Shift(f"{technician}-monday", technician, TimeWindow(8 * H, 16 * H), **settings)


def planned(problem: Problem, **more: Any) -> Plan:
    plan = solve_by_routing(problem, 0.2, **more)
    assert check(problem, plan) == ()
    return plan


def who_serves(plan: Plan) -> dict[str, str]:
    return {stop.visit: route.technician for route in plan.routes for stop in route.stops}


def test_only_the_qualified_technician_is_sent() -> None:
    tap = visit("tap", 1, skills={"plumbing": 3})
    fleet = (shift("near", 1, skills={"plumbing": 2}), shift("far", 3, skills={"plumbing": 3}))

    plan = planned(Problem((tap,), fleet, line(4)))

    assert who_serves(plan) == {"tap": "far"}


def test_a_visit_without_a_qualified_technician_is_left_out_with_its_reason() -> None:
    tap = visit("tap", 1, skills={"gas": 1})

    plan = planned(Problem((tap,), (shift("ada"),), line(2)))

    (left_out,) = plan.unserved
    assert (left_out.visit, left_out.verdict) == ("tap", "impossible")
    assert [reason.code for reason in left_out.reasons] == ["skill_missing"]


def test_the_second_window_is_used_when_the_first_cannot_be() -> None:
    tap = visit("tap", 1, (0, 7 * H), (12 * H, 12 * H + 60), (20 * H, 21 * H))

    (route,) = planned(Problem((tap,), (shift("ada"),), line(2))).routes

    assert route.stops[0].start == 12 * H


def test_starts_stay_out_of_the_gap_between_windows() -> None:
    visits = tuple(visit(f"v{n}", 1, (8 * H, 9 * H), (15 * H, 15 * H + 600)) for n in range(4))

    plan = planned(Problem(visits, (shift("ada"),), line(2)))

    assert plan.served == 3
    assert all(stop.start <= 9 * H or stop.start >= 15 * H for stop in plan.routes[0].stops)


def test_a_visit_outside_the_hours_of_all_is_left_out() -> None:
    plan = planned(Problem((visit("tap", 1, (17 * H, 18 * H)),), (shift("ada"),), line(2)))

    assert [left_out.visit for left_out in plan.unserved] == ["tap"]


def test_breaks_are_taken() -> None:
    visits = tuple(visit(f"v{n}", 1) for n in range(12))
    ada = shift(
        "ada", breaks=(Break(TimeWindow(11 * H, 12 * H), 1800), Break(TimeWindow(14 * H, 14 * H), 600))
    )

    (route,) = planned(Problem(visits, (ada,), line(2))).routes

    assert [taken.end - taken.start for taken in route.breaks] == [1800, 600]


def test_a_shift_too_short_for_its_break_serves_nothing() -> None:
    ada = shift("ada", breaks=(Break(TimeWindow(15 * H + 1800, 16 * H), 2 * H),))

    plan = planned(Problem((visit("tap", 1),), (ada,), line(2)))

    assert plan.routes == ()


def test_a_visit_that_only_an_interrupted_way_could_reach_is_left_out() -> None:
    tap = visit("tap", 0, (9 * H, 9 * H))
    sink = visit("sink", 3, (10 * H + 1200, 10 * H + 1200))
    on_the_way = Break(TimeWindow(9 * H + 2400, 9 * H + 2400), 1200)

    plan = planned(Problem((tap, sink), (shift("ada", breaks=(on_the_way,)),), line(4)))

    assert who_serves(plan) == {"tap": "ada"}


@pytest.mark.parametrize(("caps", "served"), [({"max_visits": 2}, 2), ({"max_travel_m": 20_000}, 2)])
def test_caps_hold(caps: dict[str, int], served: int) -> None:
    visits = (visit("a", 1), visit("b", 2), visit("c", 3))

    plan = planned(Problem(visits, (shift("ada", **caps),), line(4)))

    assert plan.served == served


def test_a_pin_is_kept_against_skill_radius_and_cost() -> None:
    tap = visit("tap", 3, skills={"gas": 5}, pin=Pin("far", 13 * H))
    fleet = (shift("near", 3, skills={"gas": 5}), shift("far", 0, radius_m=1000))

    (route,) = planned(Problem((tap,), fleet, line(4))).routes

    assert (route.technician, route.stops[0].start) == ("far", 13 * H)


def test_an_open_start_and_end_cost_no_way() -> None:
    (route,) = planned(Problem((visit("tap", 3),), (shift("ada", None),), line(4))).routes

    assert (route.travel_s, route.travel_m) == (0, 0)


def test_a_place_without_a_way_is_not_visited() -> None:
    duration_s = line(2).duration_s.copy()
    duration_s[1, 0] = UNREACHABLE

    plan = planned(Problem((visit("tap", 1),), (shift("ada"),), TravelMatrix(duration_s, line(2).distance_m)))

    assert plan.routes == ()


def test_a_second_van_is_used_only_if_it_pays() -> None:
    visits = (visit("a", 1, (9 * H, 9 * H)), visit("b", 1, (9 * H, 9 * H), prize_cents=900))
    fleet = (shift("ada"), shift("bob", fixed_cents=2000))

    plan = planned(Problem(visits, fleet, line(2)))

    assert who_serves(plan) == {"a": "ada"}


def test_a_preferred_technician_is_worth_a_detour_up_to_its_price() -> None:
    tap = visit("tap", 1, preferred=frozenset({"far"}))
    problem = Problem((tap,), (shift("near", 1), shift("far", 3)), line(4))

    dear = planned(replace(problem, weights=replace(problem.weights, not_preferred_cents=2001)))
    cheap = planned(replace(problem, weights=replace(problem.weights, not_preferred_cents=1999)))

    assert who_serves(dear) == {"tap": "far"}
    assert who_serves(cheap) == {"tap": "near"}


def test_a_move_from_the_start_plan_has_its_price() -> None:
    problem = Problem((visit("tap", 1),), (shift("near", 1), shift("far", 3)), line(4))
    problem = replace(problem, weights=replace(problem.weights, move_cents=5000))
    start = planned(replace(problem, shifts=problem.shifts[1:]))

    plan = planned(problem, start=start)

    assert who_serves(plan) == {"tap": "far"}
    assert plan.objective["keep_technicians"] == 0


def test_a_start_plan_that_fits_no_more_is_planned_anew() -> None:
    problem = Problem((visit("tap", 1), visit("sink", 1)), (shift("ada"),), line(2))
    start = planned(problem)
    changed = replace(problem, visits=(replace(problem.visits[0], windows=(TimeWindow(17 * H, 18 * H),)),))

    assert planned(changed, start=start).routes == ()


@pytest.mark.parametrize(
    ("visits", "shifts"), [((), ()), ((visit("tap", 1),), ()), ((), (shift("ada"),))], ids=str
)
def test_a_day_without_visits_or_shifts_has_an_empty_plan(
    visits: tuple[Visit, ...], shifts: tuple[Shift, ...]
) -> None:
    plan = planned(Problem(visits, shifts, line(2)))

    assert plan.routes == ()
    assert len(plan.unserved) == len(visits)


def test_progress_ends_with_the_plan() -> None:
    told: list[Progress] = []

    plan = planned(Problem((visit("tap", 1),), (shift("ada"),), line(2)), on_progress=told.append)

    assert told[-1].fraction == 1.0
    assert told[-1].cost_cents == plan.cost_cents
    assert plan.engine == "routing"


def test_it_stops_when_asked() -> None:
    problem = Problem((visit("tap", 1),), (shift("ada"),), line(2))

    plan = solve_by_routing(problem, 3600, should_stop=lambda: True)

    assert check(problem, plan) == ()


def test_what_a_callback_raises_reaches_the_caller() -> None:
    def full(progress: Progress) -> None:
        raise ConnectionError("nobody listens")

    with pytest.raises(ConnectionError, match="nobody listens"):
        solve_by_routing(Problem((visit("tap", 1),), (shift("ada"),), line(2)), 3600, on_progress=full)


def random_day(seed: int) -> Problem:
    """Twelve visits, four technicians, every rule somewhere."""
    rng = random.Random(seed)
    at = np.array([(rng.randrange(20_000), rng.randrange(20_000)) for _ in range(16)])
    metres = np.abs(at[:, None, :] - at[None, :, :]).sum(axis=2).astype(np.int32)
    visits = []
    for n in range(12):
        start = rng.randrange(8, 15) * H
        windows = (
            [(start, start + 2 * H)]
            if rng.random() < 0.7
            else [(start, start + H), (start + 2 * H, start + 3 * H)]
        )
        skills = {rng.choice("ab"): rng.randrange(1, 4)} if rng.random() < 0.6 else {}
        visits.append(visit(f"v{n}", n, *windows, skills=skills, pin=Pin("t1") if n == 0 else None))
    shifts = tuple(
        shift(
            f"t{k}",
            12 + k,
            end_place=None if k == 2 else 12 + k,
            skills={skill: rng.randrange(1, 5) for skill in "ab"},
            breaks=(Break(TimeWindow(11 * H, 13 * H), 1800),) if k % 2 else (),
            max_visits=5 if k == 3 else None,
            fixed_cents=500,
            cents_per_h=2000 + 100 * k,
            cents_per_km=20,
        )
        for k in range(4)
    )
    return Problem(tuple(visits), shifts, TravelMatrix(metres // 8, metres))


@pytest.mark.parametrize("seed", range(4))
def test_both_engines_keep_all_rules_and_reach_nearly_the_same_cost(seed: int) -> None:
    problem = random_day(seed)

    by_search = solve(problem, max_work=20_000, seed=seed)
    by_routing = solve_by_routing(problem, 1.0, seed)

    for plan in (by_search, by_routing):
        assert check(problem, plan) == ()
        assert plan.objective == objective(problem, plan)
    assert by_search.cost_cents <= 1.01 * by_routing.cost_cents
    assert by_routing.cost_cents <= 1.05 * by_search.cost_cents


Engine = Callable[[Problem], Plan]


@pytest.mark.parametrize(
    "engine",
    [lambda problem: solve(problem, max_work=2000), lambda problem: solve_by_routing(problem, 0.5)],
    ids=["search", "routing"],
)
def test_both_engines_find_the_only_plan_that_serves_all(engine: Engine) -> None:
    visits = (
        visit("a", 1, (9 * H, 9 * H)),
        visit("b", 1, (9 * H + 1800, 9 * H + 1800)),
        visit("c", 3, (9 * H, 9 * H)),
        visit("d", 0, (11 * H, 11 * H), skills={"gas": 1}),
    )
    fleet = (shift("ada", max_visits=2), shift("bob", max_visits=2, skills={"gas": 1}))

    plan = engine(Problem(visits, fleet, line(4)))

    assert who_serves(plan) == {"a": "ada", "b": "ada", "c": "bob", "d": "bob"}
