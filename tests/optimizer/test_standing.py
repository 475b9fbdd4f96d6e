"""Routes that stand, one by one, held against the recommendation over one problem with one matrix."""

from collections.abc import Set
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from optimizer import (
    Break,
    Geodesic,
    Insertion,
    InvalidProblem,
    Obstacles,
    Place,
    Plan,
    PreparedRoutes,
    Problem,
    Reason,
    Shift,
    TimeWindow,
    Visit,
    recommend,
    solve,
)
from optimizer.standing import StandingRoutes, Ways
from optimizer.travel import ground_points
from tests.optimizer.worlds import HOUR

DAY_S = 24 * HOUR


def city(seed: int, shifts: int = 4, visits: int = 10, days: int = 2) -> tuple[Problem, list[Place]]:
    """Places within some kilometres (one far off), shifts of several days, breaks, open ends, radii; the last visit is
    the one to ask about."""
    draw = np.random.default_rng(seed)
    places = [
        Place(40.7 + float(draw.uniform(-0.1, 0.1)), -74 + float(draw.uniform(-0.1, 0.1))) for _ in range(25)
    ]
    places[0] = Place(-33.9, 151.2)
    made = []
    for number in range(shifts * days):
        begins = DAY_S * (number % days) + int(draw.integers(6, 20)) * HOUR
        window = TimeWindow(begins, begins + int(draw.integers(4, 9)) * HOUR)
        home = int(draw.integers(1, 25))
        breaks = (Break(TimeWindow(begins + HOUR, begins + 3 * HOUR), 1800),) if draw.random() < 0.4 else ()
        made.append(
            Shift(
                f"shift {number}",
                f"technician {number // days}",
                window,
                home,
                None if draw.random() < 0.2 else home,
                skills={"wiring": int(draw.integers(1, 4))} if draw.random() < 0.7 else {},
                breaks=breaks,
                radius_m=int(draw.integers(5, 40)) * 1000 if draw.random() < 0.4 else None,
                max_visits=int(draw.integers(1, 6)) if draw.random() < 0.3 else None,
                cents_per_h=int(draw.integers(0, 50)) * 100,
                cents_per_visit=int(draw.integers(0, 5)) * 100,
            )
        )
    served = [
        Visit(
            f"visit {number}",
            int(draw.integers(0, 25)),
            int(draw.integers(1, 6)) * 900,
            (TimeWindow(0, days * DAY_S),),
            skills={"wiring": int(draw.integers(1, 3))} if draw.random() < 0.4 else {},
            preferred=frozenset({"technician 1"}) if draw.random() < 0.3 else frozenset(),
            excluded=frozenset({"technician 0"}) if draw.random() < 0.2 else frozenset(),
        )
        for number in range(visits)
    ]
    return Problem(tuple(served), tuple(made), Geodesic().matrix(places)), places


def grid(days: int, length_s: int, step_s: int = HOUR) -> list[TimeWindow]:
    return [TimeWindow(start, start + length_s) for start in range(0, days * DAY_S, step_s)]


def ask(
    standing: StandingRoutes, asked: Visit, at: Place, windows: list[TimeWindow]
) -> tuple[Insertion, ...]:
    return standing.cheapest(*question(asked, at, windows))


Question = tuple[Visit, NDArray[np.float64], NDArray[np.int64], NDArray[np.int64], Ways]


def question(asked: Visit, at: Place, windows: list[TimeWindow]) -> Question:
    opens, closes = (np.array([getattr(window, end) for window in windows]) for end in ("start", "end"))
    return replace(asked, place=0), ground_points([at]), opens, closes, Geodesic().ways


def best_by_window(found: tuple[Insertion, ...]) -> dict[int, tuple[int, int, int, int]]:
    best: dict[int, tuple[int, int, int, int]] = {}
    for each in found:
        best.setdefault(each.window, (each.extra_cents, each.start, each.extra_travel_s, each.extra_travel_m))
    return best


def of_one(problem: Problem, plan: Plan, shift: Shift) -> tuple[Problem, Plan]:
    """The shift with its route alone."""
    routes = tuple(route for route in plan.routes if route.shift == shift.id)
    stops = {stop.visit for route in routes for stop in route.stops}
    visits = tuple(visit for visit in problem.visits if visit.id in stops)
    return replace(problem, visits=visits, shifts=(shift,)), Plan(routes, ())


def planned_city(seed: int) -> tuple[Problem, Plan, list[Place], Visit]:
    problem, places = city(seed)
    asked = problem.visits[-1]
    plan = solve(replace(problem, visits=problem.visits[:-1]), max_work=30, seed=seed)
    return problem, plan, places, asked


@given(st.integers(0, 10_000), st.sampled_from([0, HOUR, 2 * HOUR]), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_the_answer_is_that_of_one_problem(seed: int, length_s: int, order: object) -> None:
    problem, plan, places, asked = planned_city(seed)
    windows = grid(2, length_s)
    standing = StandingRoutes()
    shifts = list(problem.shifts)
    order.shuffle(shifts)  # type: ignore[attr-defined]
    for shift in shifts:
        standing.put(*of_one(problem, plan, shift), places)

    found = ask(standing, asked, places[asked.place], windows)

    truth = recommend(problem, plan, asked.id, windows).insertions
    assert best_by_window(found) == best_by_window(truth)
    fits = standing.fits(*question(asked, places[asked.place], windows))
    assert {fits.insertion(entry) for entry in range(len(fits))} == set(truth)
    assert set(found) <= set(truth)


Why = tuple[Set[str], Set[str], tuple[Reason, ...], tuple[Reason, ...]]


def why_not(obstacles: Obstacles) -> Why:
    """Who works, who could, why the others cannot and what would help."""
    fitting = obstacles.fitting()
    return obstacles.working, fitting, obstacles.reasons(fitting), obstacles.would_fit_if()


def by_one_problem(problem: Problem, plan: Plan, asked: Visit, windows: list[TimeWindow]) -> Why:
    prepared = PreparedRoutes(problem, plan)
    return why_not(prepared.obstacles(prepared.routes, prepared.question(asked, windows)))


def by_what_stands(standing: StandingRoutes, asked: Visit, at: Place, windows: list[TimeWindow]) -> Why:
    return why_not(standing.obstacles(*question(asked, at, windows)))


HARD_TO_SERVE = st.tuples(
    st.lists(st.integers(0, 46), min_size=1, max_size=3, unique=True).map(sorted),
    st.integers(1, 10),
    st.sampled_from([{}, {"wiring": 2}, {"wiring": 4}, {"gas": 1}]),
)
"""At which hours work may start, for an hour, how many hours it takes, and which skills."""


@given(st.integers(0, 10_000), HARD_TO_SERVE)
@settings(max_examples=60, deadline=None)
def test_what_keeps_a_visit_out_is_that_of_one_problem(
    seed: int, wanted: tuple[list[int], int, dict[str, int]]
) -> None:
    hours, lasts_h, skills = wanted
    problem, plan, places, asked = planned_city(seed)
    asked = replace(asked, service_s=lasts_h * HOUR, skills=skills)
    windows = [TimeWindow(hour * HOUR, (hour + 1) * HOUR) for hour in hours]
    days = [StandingRoutes(), StandingRoutes()]
    for number, shift in reversed(list(enumerate(problem.shifts))):
        days[number % 2].put(*of_one(problem, plan, shift), places)

    together = StandingRoutes.of(
        [(days[number % 2], shift.id) for number, shift in enumerate(problem.shifts)]
    )
    told = by_what_stands(together, asked, places[asked.place], windows)

    assert told == by_one_problem(problem, plan, asked, windows)
    working, fitting, reasons, _ = told
    named = {technician for reason in reasons for technician in reason.technicians}
    assert named | fitting == working


def test_what_keeps_a_visit_out_is_told_of_those_who_are_left() -> None:
    problem, plan, places, asked = planned_city(3)
    asked, windows = replace(asked, skills={"wiring": 4}), [TimeWindow(0, 0)]
    standing = StandingRoutes()
    standing.put(problem, plan, places)
    gone, left = problem.shifts[0], problem.shifts[1:]
    standing.drop([gone.id])
    rest = Plan(tuple(route for route in plan.routes if route.shift != gone.id), ())

    told = by_what_stands(standing, asked, places[asked.place], windows)

    assert told == by_one_problem(replace(problem, shifts=left), rest, asked, windows)


def test_where_nobody_is_nobody_works() -> None:
    asked = Visit("asked", 0, 600, (TimeWindow(0, HOUR),))

    told = by_what_stands(StandingRoutes.of([]), asked, Place(40.7, -74), [TimeWindow(0, HOUR)])

    assert told == (set(), set(), (Reason("no_shift", "nobody works"),), ())


@given(st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_a_route_is_replaced_and_a_shift_leaves(seed: int) -> None:
    problem, plan, places, asked = planned_city(seed)
    windows = grid(2, HOUR)
    standing = StandingRoutes()
    standing.put(problem, plan, places)
    before = ask(standing, asked, places[asked.place], windows)

    emptied, gone = problem.shifts[0], problem.shifts[-1]
    standing.put(replace(problem, visits=(), shifts=(emptied,)), Plan((), ()), places)
    standing.drop([gone.id, "never here"])
    left = replace(problem, shifts=problem.shifts[:-1])
    rest = Plan(tuple(route for route in plan.routes if route.shift not in (emptied.id, gone.id)), ())
    found = ask(standing, asked, places[asked.place], windows)
    assert best_by_window(found) == best_by_window(recommend(left, rest, asked.id, windows).insertions)

    standing.put(*of_one(problem, plan, emptied), places)
    standing.put(*of_one(problem, plan, gone), places)
    again = ask(standing, asked, places[asked.place], windows)
    assert best_by_window(again) == best_by_window(before)


def test_room_is_made_for_longer_routes_and_more_breaks() -> None:
    places = [Place(40.7, -74.0), Place(40.71, -74.0)]
    travel = Geodesic().matrix(places)
    day = TimeWindow(0, 12 * HOUR)
    shift = Shift("day", "ada", day, 0, 0)
    asked = Visit("asked", 1, 600, (day,))
    standing = StandingRoutes()
    standing.put(Problem((), (shift,), travel), Plan((), ()), places)
    with_breaks = replace(
        shift, breaks=(Break(TimeWindow(HOUR, 2 * HOUR), 900), Break(TimeWindow(5 * HOUR, 6 * HOUR), 900))
    )
    many = tuple(Visit(f"visit {n}", n % 2, 600, (day,)) for n in range(20))
    problem = Problem((*many, asked), (with_breaks,), travel)
    plan = solve(replace(problem, visits=many), max_work=20)
    standing.put(replace(problem, visits=many), plan, places)

    found = ask(standing, asked, places[1], [day])

    assert best_by_window(found) == best_by_window(recommend(problem, plan, "asked", [day]).insertions)
    assert len(standing) == 1


def test_nobody_there_offers_nothing() -> None:
    asked = Visit("asked", 0, 600, (TimeWindow(0, HOUR),))

    assert ask(StandingRoutes(), asked, Place(40.7, -74), [TimeWindow(0, HOUR)]) == ()
    assert not len(StandingRoutes().fits(*question(asked, Place(40.7, -74), [TimeWindow(0, HOUR)])))


@pytest.mark.parametrize("cap", [{"max_travel_m": 1000}, {"max_travel_s": 1000}, {"max_duration_s": 1000}])
def test_what_needs_the_whole_problem_is_refused(cap: dict[str, int]) -> None:
    places = [Place(40.7, -74.0)]
    shift = Shift("day", "ada", TimeWindow(0, HOUR), 0, 0, **cap)  # type: ignore[arg-type]

    with pytest.raises(InvalidProblem, match="need prepared routes"):
        StandingRoutes().put(Problem((), (shift,), Geodesic().matrix(places)), Plan((), ()), places)
