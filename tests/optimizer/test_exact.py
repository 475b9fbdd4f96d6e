"""The proven optimum of small worlds, held to what trying everything gives, and the search held to it.

`EXACT_WORLDS` in the environment sets how many random worlds of each kind the search is held to; the default takes
seconds.
"""

import os
from dataclasses import replace
from functools import cache
from itertools import permutations, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer import (
    Infeasible,
    InvalidProblem,
    Plan,
    Problem,
    Route,
    Shift,
    Stop,
    TimeWindow,
    Unserved,
    Visit,
    Weights,
    check,
    solve,
    time_route,
)
from optimizer.exact import MAX_SHIFTS, MAX_VISITS, solve_exact
from optimizer.objective import TERMS, objective, serve_visits
from tests.optimizer.worlds import ADA, SINK, TAP, city_day, random_world, rich_world, small_day
from tests.support.examples import examples

WORLDS = int(os.environ.get("EXACT_WORLDS", "100"))
WORK = 600
"""Iterations of the search in each world."""
EQUAL_SHARE = 0.95


def price(problem: Problem, plan: Plan, start: Plan | None = None) -> tuple[int, int]:
    """What is minimised: pinned visits left out, then the sum of the terms in ticks."""
    served = {stop.visit for route in plan.routes for stop in route.stops}
    pinned = sum(visit.pin is not None and visit.id not in served for visit in problem.visits)
    return pinned, sum(term(problem, plan, start) for term in TERMS)


# The model itself


def test_a_small_day_is_planned_as_one_would_by_hand_and_proven() -> None:
    exact = solve_exact(small_day())

    served = {route.technician: {stop.visit for stop in route.stops} for route in exact.plan.routes}
    assert served == {"ada": {"tap", "sink"}, "ben": {"lamp", "oven"}}
    assert exact.proven
    assert exact.bound_cents == exact.plan.cost_cents == 4_000
    assert exact.plan.engine == "exact"


@pytest.mark.parametrize("without", ["visits", "shifts"])
def test_a_day_without_visits_or_shifts_is_planned_too(without: str) -> None:
    day = replace(small_day(), **{without: ()})  # type: ignore[arg-type]

    exact = solve_exact(day)

    assert exact.proven
    assert exact.plan.routes == ()
    assert exact.bound_cents == exact.plan.cost_cents == 50_000 * len(day.visits)


def test_days_too_large_are_refused() -> None:
    with pytest.raises(InvalidProblem, match=f"takes at most {MAX_VISITS}"):
        solve_exact(city_day(MAX_VISITS + 1, 1))
    with pytest.raises(InvalidProblem, match=f"takes at most {MAX_SHIFTS}"):
        solve_exact(city_day(1, MAX_SHIFTS + 1))


@pytest.mark.parametrize(
    "limits",
    [
        {"time_limit_s": 0},
        {"time_limit_s": float("nan")},
        {"max_deterministic_time": 0},
        {"max_deterministic_time": float("inf")},
        {"threads": 0},
    ],
)
def test_limits_that_make_no_sense_are_refused(limits: dict[str, float]) -> None:
    with pytest.raises(InvalidProblem, match=next(iter(limits))):
        solve_exact(small_day(), **limits)  # type: ignore[arg-type]


def test_prices_too_high_to_add_up_are_refused() -> None:
    fair = small_day(replace(ADA, given_s=366 * 86_400), weights=Weights(fairness_cents_per_h2=10**8))

    with pytest.raises(InvalidProblem, match="fairness"):
        solve_exact(fair)
    with pytest.raises(InvalidProblem, match="prices add up"):
        solve_exact(small_day(replace(TAP, prize_cents=10**12), weights=Weights(fairness_cents_per_h2=1)))


def test_without_time_for_a_proof_the_bound_is_below_the_plan_and_the_plan_is_sound() -> None:
    day = city_day(12, 4, seed=5)

    hurried, proven = solve_exact(day, max_deterministic_time=1e-6), solve_exact(day)

    assert not hurried.proven
    assert proven.proven
    assert check(day, hurried.plan) == ()
    assert hurried.bound_cents <= proven.bound_cents <= hurried.plan.cost_cents


def test_the_same_question_has_the_same_answer() -> None:
    day = rich_world(8, visits=8)

    once, again = (replace(solve_exact(day).plan, elapsed_s=0.0) for _ in range(2))

    assert once == again


def test_the_plan_from_which_moves_are_counted_may_name_what_is_gone() -> None:
    day = small_day(weights=Weights(move_cents=700))
    start = Plan((time_route(day, "ada-day", ["tap", "sink"]), time_route(day, "ben-day", ["lamp"])), ())

    exact = solve_exact(replace(day, visits=day.visits[1:], shifts=day.shifts[:1]), start=start)

    assert [stop.visit for route in exact.plan.routes for stop in route.stops] == ["sink"]
    assert exact.plan.objective["keep_technicians"] == 0


def cheapest_by_trying_all(problem: Problem, start: Plan | None) -> tuple[int, int]:
    """Every order of every set of visits in every shift, timed by `time_route`; then every way to share them out."""
    visits = {visit.id: visit for visit in problem.visits}

    def route_ticks(shift: Shift, order: tuple[str, ...]) -> int | None:
        try:
            plan = Plan((time_route(problem, shift.id, order),), ())
        except Infeasible:
            return None
        return sum(term(problem, plan, start) for term in TERMS if term is not serve_visits)

    @cache
    def best_route(shift: int, served: frozenset[str]) -> int | None:
        orders = permutations(sorted(served))
        found = (route_ticks(problem.shifts[shift], order) for order in orders)
        return min((ticks for ticks in found if ticks is not None), default=None)

    def left_out(left: frozenset[str]) -> tuple[int, int]:
        pinned = sum(visits[name].pin is not None for name in left)
        none_of_them = replace(
            problem, visits=tuple(visits[name] for name in sorted(left)), crews=(), orders=()
        )
        return pinned, serve_visits(none_of_them, Plan((), ()), None)

    def cheapest(shift: int, left: frozenset[str]) -> tuple[int, int]:
        if shift == len(problem.shifts):
            return left_out(left)
        best = cheapest(shift + 1, left)
        for served in subsets(left):
            ticks = best_route(shift, served)
            if ticks is not None:
                pinned, rest = cheapest(shift + 1, left - served)
                best = min(best, (pinned, rest + ticks))
        return best

    return cheapest(0, frozenset(visits))


def subsets(names: frozenset[str]) -> list[frozenset[str]]:
    """All but the empty one."""
    found: list[frozenset[str]] = [frozenset()]
    for name in sorted(names):
        found += [subset | {name} for subset in found]
    return found[1:]


@settings(max_examples=examples(30), deadline=None)
@given(seed=st.integers(0, 10**6), metric=st.booleans())
def test_the_proven_optimum_is_what_trying_everything_gives(seed: int, metric: bool) -> None:
    problem = random_world(seed, visits=4, shifts=2, metric=metric)

    exact = solve_exact(problem)

    assert exact.proven
    assert price(problem, exact.plan) == cheapest_by_trying_all(problem, None)


@settings(max_examples=examples(30), deadline=None)
@given(seed=st.integers(0, 10**6))
def test_the_proven_optimum_with_all_rules_is_what_trying_everything_gives(seed: int) -> None:
    """`time_route` starts every stop as early as it can, one after the other. Where a break must be placed, another
    choice may be better on the whole: only there may the optimum cost less."""
    problem = rich_world(seed, visits=4, shifts=2, links=False)

    exact = solve_exact(problem)

    assert exact.proven
    optimum, by_trying = price(problem, exact.plan), cheapest_by_trying_all(problem, None)
    assert optimum == by_trying or (optimum < by_trying and any(shift.breaks for shift in problem.shifts))


def by_hand(problem: Problem, orders: dict[str, tuple[str, ...]]) -> Plan | None:
    """These visits in these shifts, all as early as links and caps allow; None where some window is over. Takes no
    breaks. Everything only ever moves later, so it comes to rest, or passes the last window."""
    visits = {visit.id: visit for visit in problem.visits}
    shifts = {shift.id: shift for shift in problem.shifts}
    shift_of = {name: shifts[shift] for shift, names in orders.items() for name in names}
    starts = {name: min(shift.window.start for shift in problem.shifts) for name in shift_of}
    leaves = {shift: shifts[shift].window.start for shift in orders}
    ends = dict(starts)
    before = None
    while before != (starts, leaves):
        before = (dict(starts), dict(leaves))
        for shift, names in orders.items():
            leaves[shift] = drive(
                problem, shifts[shift], [visits[name] for name in names], leaves[shift], starts
            )
        for name, start in starts.items():
            if start > 10**6:
                return None
            ends[name] = start + visits[name].service_s_at(shift_of[name].skills)
        for crew in problem.crews:
            together = [name for name in crew.visits if name in starts]
            starts.update(dict.fromkeys(together, max([0, *(starts[name] for name in together)])))
        for order in problem.orders:
            if order.first in starts and order.then in starts:
                starts[order.then] = max(starts[order.then], ends[order.first] + order.min_delay_s)
                if order.max_delay_s is not None:
                    soonest = (
                        starts[order.then] - order.max_delay_s - (ends[order.first] - starts[order.first])
                    )
                    starts[order.first] = max(starts[order.first], soonest)
    routes = (
        as_route(problem, shifts[shift], [visits[n] for n in names], starts)
        for shift, names in orders.items()
    )
    left = tuple(Unserved(name, "not_found", ()) for name in visits if name not in starts)
    return Plan(tuple(routes), left)


def way(problem: Problem, start: int | None, end: int | None) -> tuple[int, int]:
    if start is None or end is None:
        return 0, 0
    return int(problem.travel.duration_s[start, end]), int(problem.travel.distance_m[start, end])


def drive(problem: Problem, shift: Shift, visits: list[Visit], leaves: int, starts: dict[str, int]) -> int:
    """Moves the starts of one route later where they must be; returns when it has to leave at the earliest."""
    now, place = leaves, shift.start_place
    for visit in visits:
        earliest = max(now + way(problem, place, visit.place)[0], starts[visit.id])
        windows = visit.windows
        if visit.pin is not None and visit.pin.start is not None:
            windows = (TimeWindow(visit.pin.start, visit.pin.start),)
        begins = (max(earliest, window.start) for window in windows if earliest <= window.end)
        starts[visit.id] = next(begins, 10**9)
        now, place = starts[visit.id] + visit.service_s_at(shift.skills), visit.place
    now += way(problem, place, shift.end_place)[0]
    return leaves if shift.max_duration_s is None else max(leaves, now - shift.max_duration_s)


def as_route(problem: Problem, shift: Shift, visits: list[Visit], starts: dict[str, int]) -> Route:
    stops: list[Stop] = []
    place = shift.start_place
    for visit in visits:
        travel_s, travel_m = way(problem, place, visit.place)
        start = starts[visit.id]
        arrival = stops[-1].end + travel_s if stops else start
        stops.append(
            Stop(visit.id, arrival, start, start + visit.service_s_at(shift.skills), travel_s, travel_m)
        )
        place = visit.place
    home_s, home_m = way(problem, place, shift.end_place)
    return Route(
        shift.id,
        shift.technician,
        tuple(stops),
        departs_at=stops[0].start - stops[0].travel_s,
        returns_at=stops[-1].end + home_s,
        travel_s=sum(stop.travel_s for stop in stops) + home_s,
        travel_m=sum(stop.travel_m for stop in stops) + home_m,
    )


def cheapest_by_hand(problem: Problem) -> tuple[int, int]:
    """Over every way to give each visit to a shift or to none, in every order; the verifier alone says what is
    sound."""
    names = [visit.id for visit in problem.visits]
    choices: list[str | None] = [None, *(shift.id for shift in problem.shifts)]
    best = None
    for chosen in product(choices, repeat=len(names)):
        groups = [
            (shift, [name for name, its in zip(names, chosen, strict=True) if its == shift])
            for shift in choices
            if shift is not None and shift in chosen
        ]
        for orders in product(*(permutations(group) for _, group in groups)):
            plan = by_hand(problem, {shift: order for (shift, _), order in zip(groups, orders, strict=True)})
            if plan is not None and not check(problem, plan):
                best = price(problem, plan) if best is None else min(best, price(problem, plan))
    assert best is not None
    return best


@settings(max_examples=examples(25), deadline=None)
@given(seed=st.integers(0, 10**6))
def test_the_proven_optimum_with_crews_and_orders_is_what_trying_everything_gives(seed: int) -> None:
    rich = rich_world(seed, visits=4, shifts=2)
    problem = replace(rich, shifts=tuple(replace(shift, breaks=()) for shift in rich.shifts))

    exact = solve_exact(problem)

    assert exact.proven
    assert price(problem, exact.plan) == cheapest_by_hand(problem)


@settings(max_examples=examples(60), deadline=None)
@given(seed=st.integers(0, 10**6), visits=st.integers(1, 8), shifts=st.integers(1, 4))
def test_every_exact_plan_satisfies_the_verifier_and_costs_what_the_model_says(
    seed: int, visits: int, shifts: int
) -> None:
    problem = rich_world(seed, visits, shifts)

    exact = solve_exact(problem)

    assert check(problem, exact.plan) == ()
    assert exact.plan.objective == objective(problem, exact.plan)
    assert exact.bound_cents == price(problem, exact.plan)[1] // 3_600_000


def test_two_visits_that_pay_for_a_shift_only_together_are_served() -> None:
    """Each is worth 30 euros, Ada costs 30 and the way 10 or 20."""
    ada = replace(ADA, fixed_cents=3_000)
    visits: tuple[Visit, ...] = tuple(replace(visit, prize_cents=3_000) for visit in (TAP, SINK))
    day = replace(small_day(), visits=visits, shifts=(ada,))

    exact, search = solve_exact(day).plan, solve(day, max_work=100)

    assert exact.cost_cents == search.cost_cents == 5_000


# The search


@pytest.mark.parametrize("links", [False, True], ids=["without crews and orders", "with crews and orders"])
def test_the_search_is_never_better_than_the_proven_optimum_and_mostly_equal(links: bool) -> None:
    better, worse, unsound, unproven = [], [], [], []

    for seed in range(WORLDS):
        problem = rich_world(seed, links=links)
        start = solve(problem, max_work=3, seed=seed) if seed % 3 == 0 else None
        exact = solve_exact(problem, start=start)
        found = solve(problem, max_work=WORK, seed=seed, start=start)
        if check(problem, found) or check(problem, exact.plan):
            unsound.append(seed)
        if not exact.proven:
            unproven.append(seed)
        optimum, reached = price(problem, exact.plan, start), price(problem, found, start)
        if reached < optimum:
            better.append(seed)
        elif reached > optimum:
            worse.append(seed)

    assert (unsound, unproven, better) == ([], [], [])
    assert len(worse) <= (1 - EQUAL_SHARE) * WORLDS, f"not equal in the worlds {worse}"
