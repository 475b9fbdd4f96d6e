"""Recommendations, held against every position timed one by one."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer import (
    Infeasible,
    Insertion,
    InvalidProblem,
    Pin,
    Plan,
    PreparedRoutes,
    Problem,
    Recommendation,
    Route,
    TimeWindow,
    Visit,
    recommend,
    solve,
    time_route,
)
from optimizer.arrays import windows_of
from tests.optimizer.worlds import (
    ADA,
    BEN,
    HOUR,
    LAMP,
    MINUTE,
    OVEN,
    SINK,
    TAP,
    city_day,
    random_world,
    small_day,
)
from tests.support.examples import examples


def plan_of(problem: Problem, **routes: list[str]) -> Plan:
    """A plan of hand-made routes: ada=[...] is the route of shift ada-day."""
    return Plan(tuple(time_route(problem, f"{name}-day", visits) for name, visits in routes.items()), ())


def test_the_cheapest_place_comes_first() -> None:
    day = small_day()
    plan = plan_of(day, ada=["sink"], ben=["oven"])

    found = recommend(day, plan, "tap").insertions

    assert [(best.technician, best.position, best.start, best.extra_travel_s) for best in found] == [
        ("ada", 0, 8 * HOUR + 10 * MINUTE, 0),
        ("ben", 0, 8 * HOUR + 40 * MINUTE, 3600),
    ]


def test_each_asked_window_is_answered_for_itself() -> None:
    day = small_day()
    plan = plan_of(day, ada=["sink"])
    asked = [
        TimeWindow(8 * HOUR, 9 * HOUR),
        TimeWindow(8 * HOUR, 12 * HOUR),
        TimeWindow(13 * HOUR, 14 * HOUR),
    ]

    found = recommend(day, plan, "tap", asked).insertions

    starts = {best.window: best.start for best in found if best.technician == "ada"}
    assert starts == {0: 8 * HOUR + 10 * MINUTE, 1: 8 * HOUR + 10 * MINUTE, 2: 13 * HOUR}


def test_the_order_in_which_windows_are_asked_changes_no_answer() -> None:
    problem = city_day(60, 6)
    plan = solve(problem, max_work=200)
    windows = [TimeWindow(start, start + 90 * MINUTE) for start in range(7 * HOUR, 18 * HOUR, 20 * MINUTE)]
    prepared = PreparedRoutes(problem, plan)

    ascending = prepared.recommend(problem.visits[7].id, windows)
    descending = prepared.recommend(problem.visits[7].id, windows[::-1])

    def found(answer: Recommendation, asked: list[TimeWindow]) -> set[tuple[object, ...]]:
        return {(asked[i.window], i.shift, i.start, i.extra_cents) for i in answer.insertions}

    assert found(ascending, windows)
    assert found(ascending, windows) == found(descending, windows[::-1])


def test_a_visit_that_is_planned_already_counts_as_removed() -> None:
    day = small_day()
    plan = plan_of(day, ada=["tap", "sink"])

    best = recommend(day, plan, "tap").insertions[0]

    assert (best.technician, best.position, best.extra_travel_s) == ("ada", 0, 0)


def test_a_visit_apart_from_the_problem_can_be_asked_for() -> None:
    day = small_day()
    prepared = PreparedRoutes(day, plan_of(day, ada=["sink"]))
    new = Visit("new", 1, 600, (TimeWindow(9 * HOUR, 12 * HOUR),), {"plumbing": 3})

    best = prepared.recommend(new).insertions[0]

    assert (best.technician, best.start) == ("ada", 9 * HOUR)


def test_a_visit_pinned_in_time_does_not_make_way() -> None:
    pinned = replace(SINK, pin=Pin("ada", 9 * HOUR))
    long = replace(TAP, service_s=2 * HOUR, windows=(TimeWindow(8 * HOUR, 9 * HOUR),))
    day = small_day(pinned, long)
    plan = plan_of(day, ada=["sink"])

    answer = recommend(day, plan, "tap")

    assert [best.technician for best in answer.insertions] == ["ben"]
    assert [(why.code, why.technicians) for why in answer.reasons] == [("window", ("ada",))]


def test_every_technician_who_cannot_is_given_a_reason() -> None:
    day = small_day()

    answer = recommend(day, Plan((), ()), "sink")

    assert [best.technician for best in answer.insertions] == ["ada"]
    assert [(why.code, why.technicians, why.by) for why in answer.reasons] == [("level_too_low", ("ben",), 1)]
    assert answer.would_fit_if == ()


def test_what_fits_nowhere_says_what_would_change_that() -> None:
    closed = replace(OVEN, windows=(TimeWindow(7 * HOUR, 7 * HOUR + 30 * MINUTE),))
    day = small_day(closed)

    answer = recommend(day, Plan((), ()), "oven")

    assert answer.insertions == ()
    wider = [why for why in answer.would_fit_if if why.code == "window"]
    assert [(why.by, why.technicians) for why in wider] == [(40 * MINUTE, ("ben",))]


def test_a_radius_that_is_too_small_is_named_in_metres() -> None:
    day = small_day(replace(BEN, radius_m=3_000))

    answer = recommend(day, Plan((), ()), "oven")

    assert ("outside_radius", 2_000) in [(why.code, why.by) for why in answer.would_fit_if]


def test_a_missing_skill_asks_for_one_more_technician() -> None:
    day = small_day(replace(LAMP, skills={"gas": 2}))

    answer = recommend(day, Plan((), ()), "lamp")

    assert [why.detail for why in answer.would_fit_if] == [
        "one more technician with gas (level 2) were there"
    ]


def test_a_full_shift_asks_for_one_visit_more() -> None:
    day = small_day(replace(ADA, max_visits=1))

    answer = recommend(day, plan_of(day, ada=["tap"]), "sink")

    assert ("visit_cap", ("ada",)) in [(why.code, why.technicians) for why in answer.reasons]
    assert ("visit_cap", 1) in [(why.code, why.by) for why in answer.would_fit_if]


def test_a_pinned_technician_without_a_shift_is_named() -> None:
    day = small_day(replace(TAP, pin=Pin("cleo")))

    answer = recommend(day, Plan((), ()), "tap")

    assert ("no_shift", ("cleo",)) in [(why.code, why.technicians) for why in answer.reasons]


def test_unknown_visits_and_foreign_plans_are_refused() -> None:
    day = small_day()
    foreign = Plan((Route("elsewhere", "dan", (), 0, 0, 0, 0),), ())

    with pytest.raises(InvalidProblem):
        recommend(day, Plan((), ()), "moon")
    with pytest.raises(InvalidProblem):
        recommend(day, foreign, "tap")


def timed(problem: Problem, visit: Visit, window: TimeWindow, shift: str, order: list[str]) -> Route | None:
    pin = replace(visit.pin, start=None) if visit.pin else None
    asked = replace(visit, windows=(window,), pin=pin)
    changed = replace(problem, visits=tuple(asked if v.id == visit.id else v for v in problem.visits))
    try:
        return time_route(changed, shift, order)
    except Infeasible:
        return None


@settings(max_examples=examples(25), deadline=None)
@given(seed=st.integers(0, 10**6), metric=st.booleans())
def test_recommendations_are_what_timing_every_position_finds(seed: int, metric: bool) -> None:
    problem = random_world(seed, visits=6, metric=metric)
    plan = solve(problem, max_work=50, seed=seed)
    prepared = PreparedRoutes(problem, plan)
    routes = {route.shift: [stop.visit for stop in route.stops] for route in plan.routes}

    for visit in problem.visits:
        found = {(best.shift, best.window): best for best in prepared.recommend(visit.id).insertions}
        for shift in problem.shifts:
            rest = [other for other in routes.get(shift.id, []) if other != visit.id]
            for index, window in enumerate(windows_of(visit)):
                _agree(problem, visit, window, shift.id, rest, found.get((shift.id, index)))


def _agree(
    problem: Problem, visit: Visit, window: TimeWindow, shift: str, rest: list[str], best: Insertion | None
) -> None:
    orders = [[*rest[:position], visit.id, *rest[position:]] for position in range(len(rest) + 1)]
    fitting = {
        position: route
        for position, order in enumerate(orders)
        if (route := timed(problem, visit, window, shift, order)) is not None
    }
    assert (best is None) == (not fitting)
    if best is None:
        return
    assert best.position in fitting
    shortest = min(route.travel_s for route in fitting.values())
    cents_follow_seconds = (
        not any(s.cents_per_km for s in problem.shifts) and not problem.weights.travel_cents_per_km
    )
    assert fitting[best.position].travel_s == shortest or not cents_follow_seconds
    order = orders[best.position]
    assert timed(problem, visit, TimeWindow(best.start, best.start), shift, order) is not None
    if best.start > window.start:
        assert timed(problem, visit, TimeWindow(window.start, best.start - 1), shift, order) is None
