"""Crews and orders in the search: their times, what it keeps, and what is told about them."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer import (
    Infeasible,
    Plan,
    Problem,
    Route,
    TimeWindow,
    Unserved,
    Visit,
    check,
    recommend,
    solve,
    time_route,
)
from optimizer.arrays import build_arrays
from optimizer.eligibility import Fleet, eligibility
from optimizer.insertion import plan_rows
from optimizer.links import LinkedTeam, PlannedLinks, load_linked
from optimizer.plan import Stop
from optimizer.problem import Crew, Order, Pin, Sla
from optimizer.proximity import near
from optimizer.schedule import route_of
from optimizer.search import frozen
from tests.optimizer.test_exact import by_hand
from tests.optimizer.test_rules import ADA, BEN, DAY, LAMP, OVEN, SINK, TAP, codes, stop_at, who, world
from tests.optimizer.worlds import HOUR, MINUTE, rich_world
from tests.support.examples import examples

BOTH = (Crew(("sink", "lamp")),)


def as_loaded(problem: Problem, orders: dict[str, tuple[str, ...]]) -> Plan:
    """The plan that the search makes of these visits in these shifts."""
    fleet = Fleet.of(problem.shifts, problem.travel, problem.visits)
    arrays = build_arrays(problem, fleet)
    team = LinkedTeam.with_links(problem, arrays, near(arrays), seed=0)
    given_routes = tuple(
        Route(shift, "", tuple(Stop(name, 0, 0, 0, 0, 0) for name in names), 0, 0, 0, 0)
        for shift, names in orders.items()
    )
    load_linked(team.arrays, team.first, team.links, *plan_rows(problem, Plan(given_routes, ())))
    used = np.flatnonzero(team.routes.row["length"])
    return Plan(tuple(route_of(problem, team.arrays, team.routes, int(shift)) for shift in used), ())


def starts(plan: Plan) -> dict[str, int]:
    return {stop.visit: stop.start for route in plan.routes for stop in route.stops}


def with_left_out(problem: Problem, plan: Plan) -> Plan:
    """The plan with every visit that it does not serve named."""
    left = [visit.id for visit in problem.visits if visit.id not in starts(plan)]
    return replace(plan, unserved=tuple(Unserved(name, "not_found", ()) for name in left))


# Times


@settings(max_examples=examples(150), deadline=None)
@given(seed=st.integers(0, 10**6), data=st.data())
def test_every_stop_starts_as_early_as_routes_windows_and_links_allow(seed: int, data: st.DataObject) -> None:
    """Held to `by_hand`, which moves starts later one by one until nothing moves. It knows no breaks."""
    rich = rich_world(seed, visits=5, shifts=3)
    problem = replace(rich, shifts=tuple(replace(shift, breaks=()) for shift in rich.shifts))
    names = data.draw(st.permutations([visit.id for visit in problem.visits]))
    dealt = data.draw(st.lists(st.sampled_from(problem.shifts), min_size=len(names), max_size=len(names)))
    allowed = eligibility(problem.visits, Fleet.of(problem.shifts, problem.travel))
    row_of = {visit.id: row for row, visit in enumerate(problem.visits)}
    orders: dict[str, tuple[str, ...]] = {}
    for name, shift in zip(names, dealt, strict=True):
        if allowed[row_of[name], problem.shifts.index(shift)]:
            orders[shift.id] = (*orders.get(shift.id, ()), name)

    plan = as_loaded(problem, orders)

    whole = by_hand(problem, orders)
    kept = by_hand(problem, {route.shift: tuple(stop.visit for stop in route.stops) for route in plan.routes})
    assert kept is not None
    assert starts(plan) == starts(kept)
    assert check(problem, with_left_out(problem, plan)) == ()
    if whole is not None and not check(problem, whole):
        assert starts(plan) == starts(whole)


def test_one_link_moves_another_across_three_routes() -> None:
    """The tap holds up the sink, and with it the lamp of its crew, and with it the oven in the same route."""
    cas = replace(ADA, id="cas-day", technician="cas")
    tap = replace(TAP, windows=(TimeWindow(9 * HOUR, 9 * HOUR),))
    ruled = world(tap, cas, crews=BOTH, orders=(Order("tap", "sink", min_delay_s=HOUR),))

    plan = as_loaded(ruled, {"ada-day": ("tap",), "cas-day": ("sink",), "ben-day": ("lamp", "oven")})

    both = 10 * HOUR + 30 * MINUTE
    assert starts(plan) == {"tap": 9 * HOUR, "sink": both, "lamp": both, "oven": both + 40 * MINUTE}
    assert codes(ruled, with_left_out(ruled, plan)) == set()


def test_routes_that_wait_for_each_other_in_a_circle_are_not_kept() -> None:
    """Ada has the sink before the tap, Ben the lamp before the oven; but oven and sink, tap and lamp are crews."""
    ruled = world(crews=(Crew(("sink", "oven")), Crew(("tap", "lamp"))))

    plan = as_loaded(ruled, {"ada-day": ("sink", "tap"), "ben-day": ("lamp", "oven")})

    assert set(starts(plan)) == {"sink", "oven"}
    assert codes(ruled, with_left_out(ruled, plan)) == set()


def test_a_start_that_has_to_wait_goes_to_the_next_window() -> None:
    lamp = replace(LAMP, windows=(TimeWindow(8 * HOUR, 9 * HOUR), TimeWindow(12 * HOUR, 13 * HOUR)))
    ruled = world(lamp, orders=(Order("sink", "lamp", min_delay_s=HOUR),))

    plan = as_loaded(ruled, {"ada-day": ("sink",), "ben-day": ("lamp",)})

    assert starts(plan) == {"sink": 8 * HOUR + 10 * MINUTE, "lamp": 12 * HOUR}


# The search


@settings(max_examples=examples(100), deadline=None)
@given(seed=st.integers(0, 10**6), visits=st.integers(2, 12), shifts=st.integers(1, 5))
def test_every_plan_with_crews_and_orders_satisfies_the_verifier(seed: int, visits: int, shifts: int) -> None:
    problem = rich_world(seed, visits, shifts)

    plan = solve(problem, max_work=60, seed=seed % 7)
    again = solve(problem, max_work=40, seed=seed % 5, start=plan, threads=2)

    assert check(problem, plan) == ()
    assert check(problem, again) == ()


def test_with_links_the_plan_is_a_function_of_seed_and_work() -> None:
    problem = rich_world(5, visits=12, shifts=4)
    problem = replace(problem, orders=(*problem.orders, Order("visit 3", "visit 7", 600)))

    once, again = (replace(solve(problem, max_work=400, seed=4, threads=2), elapsed_s=0.0) for _ in range(2))

    assert once == again


def test_a_replay_with_links_gives_the_same_plan() -> None:
    problem = rich_world(9, visits=12, shifts=4)
    problem = replace(problem, orders=(*problem.orders, Order("visit 3", "visit 7", 600)))
    first = solve(problem, time_limit_s=0.4, seed=2, threads=2)

    again = solve(problem, replay=first)

    assert again.routes == first.routes


def test_what_stands_in_the_start_plan_stays_although_nothing_is_searched() -> None:
    ruled = world(crews=BOTH, orders=(Order("oven", "tap"),))
    start = as_loaded(ruled, {"ada-day": ("sink", "tap"), "ben-day": ("lamp", "oven")})

    plan = solve(ruled, max_work=0, start=start)

    assert who(plan) == {"sink": "ada", "tap": "ada", "lamp": "ben", "oven": "ben"}
    assert starts(plan) == starts(start)
    assert codes(ruled, plan) == set()


def test_a_start_plan_that_breaks_the_links_is_mended() -> None:
    ruled = world(crews=(Crew(("tap", "sink")),), orders=(Order("oven", "lamp"),))
    start = solve(world(), max_work=100)

    plan = solve(ruled, max_work=0, start=start)

    assert codes(ruled, start) == {"crew", "order"}
    assert codes(ruled, plan) == set()
    assert set(who(plan)) == {"tap", "sink", "lamp", "oven"}


def test_a_pin_in_time_holds_the_whole_crew() -> None:
    ruled = world(replace(SINK, pin=Pin("ada", 13 * HOUR)), crews=BOTH)

    plan = solve(ruled, max_work=200)

    assert stop_at(plan, "sink").start == stop_at(plan, "lamp").start == 13 * HOUR
    assert who(plan)["sink"] == "ada"
    assert codes(ruled, plan) == set()


def test_what_has_begun_keeps_its_time_and_what_follows_is_planned_around_it() -> None:
    ruled = world(orders=(Order("tap", "oven", min_delay_s=HOUR),))
    start = solve(ruled, max_work=200)
    begun = stop_at(start, "tap")
    urgent = replace(ruled, visits=tuple(replace(v, sla=Sla(8 * HOUR, 5_000)) for v in ruled.visits))

    plan = solve(urgent, max_work=200, start=start, freeze_before=begun.start + 1)

    assert stop_at(plan, "tap") == begun
    assert codes(frozen(urgent, start, begun.start + 1), plan) == set()


def test_late_starts_in_other_routes_count_in_the_cost() -> None:
    """Ada could take the tap before the sink, but the lamp of the same crew has to start by 8:10 or pays."""
    lamp = replace(LAMP, sla=Sla(8 * HOUR + 20 * MINUTE, 100_000))
    ruled = world(lamp, crews=BOTH)

    plan = solve(ruled, max_work=300)

    assert stop_at(plan, "lamp").start == 8 * HOUR + 20 * MINUTE
    ada = next(route for route in plan.routes if route.technician == "ada")
    assert [stop.visit for stop in ada.stops] == ["sink", "tap"]
    assert codes(ruled, plan) == set()


@pytest.mark.parametrize("prize_cents", [900, 1_100])
def test_what_comes_first_is_served_at_a_loss_if_what_follows_pays_for_it(prize_cents: int) -> None:
    """The way to the tap costs 10 euros and its prize is 0; the sink lies on the other side, 10 euros too."""
    tap, sink = replace(TAP, prize_cents=0), replace(SINK, prize_cents=1_000 + prize_cents)
    ruled = world(tap, sink, orders=(Order("tap", "sink"),))

    plan = solve(ruled, max_work=300)

    served = {"tap", "sink", "lamp", "oven"} if prize_cents > 1_000 else {"lamp", "oven"}
    assert set(who(plan)) == served


# What is told


@settings(max_examples=examples(60), deadline=None)
@given(seed=st.integers(0, 10**6))
def test_nothing_that_would_pay_is_left_out_of_a_plan_with_links(seed: int) -> None:
    problem = rich_world(seed, visits=8, shifts=3)

    plan = solve(problem, max_work=10, seed=1)

    assert all(left.extra_cents is None or left.extra_cents >= 0 for left in plan.unserved)


@settings(max_examples=examples(60), deadline=None)
@given(seed=st.integers(0, 10**6))
def test_every_recommended_place_of_a_plan_with_links_is_sound(seed: int) -> None:
    problem = rich_world(seed, visits=7, shifts=4)
    plan = solve(problem, max_work=30, seed=1)
    links = PlannedLinks.of(problem, plan)

    for visit in problem.visits:
        if not can_be_left_by(links.held(), plan, visit):
            continue
        for insertion in recommend(problem, plan, visit.id).insertions:
            place_at(problem, links, plan, visit, insertion.shift, insertion.position, insertion.start)


def can_be_left_by(problem: Problem, plan: Plan, visit: Visit) -> bool:
    """Whether the route that serves the visit can be driven without it, the linked visits at their times; ways around
    may be longer than through."""
    for route in plan.routes:
        rest = [stop.visit for stop in route.stops if stop.visit != visit.id]
        try:
            if 0 < len(rest) < len(route.stops):
                time_route(problem, route.shift, rest)
        except Infeasible:
            return False
    return True


def place_at(
    problem: Problem, links: PlannedLinks, plan: Plan, visit: Visit, shift: str, position: int, start: int
) -> None:
    """Puts the visit there, all linked visits at their times, and asks the verifier."""
    routes = {route.shift: route for route in plan.routes}
    left = {
        name: [stop.visit for stop in route.stops if stop.visit != visit.id] for name, route in routes.items()
    }
    left.setdefault(shift, []).insert(position, visit.id)
    held = links.held()
    visits = tuple(
        replace(other, windows=(TimeWindow(start, start),)) if other.id == visit.id else other
        for other in held.visits
    )
    timed = replace(held, visits=visits)
    changed = tuple(
        routes[name]
        if name != shift and len(names) == len(routes[name].stops)
        else time_route(timed, name, names)
        for name, names in left.items()
        if names
    )
    after = with_left_out(problem, replace(plan, routes=changed))
    assert check(problem, after) == ()


def test_one_of_a_crew_finds_no_place_alone_and_is_told_why() -> None:
    lamp = replace(LAMP, skills={"gas": 1})
    ruled = world(lamp, crews=BOTH)
    plan = solve(ruled, max_work=100)

    answer = recommend(ruled, plan, "sink")

    assert answer.insertions == ()
    assert {reason.code for reason in answer.reasons} == {"crew"}
    assert "lamp is not planned" in answer.reasons[0].detail
    assert {left.visit: left.verdict for left in plan.unserved} == {
        "sink": "impossible",
        "lamp": "impossible",
    }


def test_one_of_a_planned_crew_may_go_to_whoever_is_free_then() -> None:
    """Ada and Ben have the crew; Cas may take over the sink, Ben may not."""
    cas = replace(ADA, id="cas-day", technician="cas")
    ruled = world(cas, crews=BOTH)
    plan = as_loaded(ruled, {"ada-day": ("sink",), "ben-day": ("lamp",)})

    answer = recommend(ruled, plan, "sink")

    assert {insertion.technician for insertion in answer.insertions} == {"ada", "cas"}
    assert {insertion.start for insertion in answer.insertions} == {starts(plan)["lamp"]}


def test_what_follows_is_offered_times_after_what_comes_first() -> None:
    ruled = world(orders=(Order("tap", "oven", min_delay_s=3 * HOUR),))
    plan = as_loaded(ruled, {"ada-day": ("tap",)})

    answer = recommend(ruled, plan, "oven", windows=(TimeWindow(8 * HOUR, 9 * HOUR), DAY))

    assert {insertion.window for insertion in answer.insertions} == {1}
    least = stop_at(plan, "tap").end + 3 * HOUR
    assert {insertion.start for insertion in answer.insertions} == {least}


def test_what_comes_first_is_offered_times_before_what_follows() -> None:
    """The oven is planned at 12 h; the tap takes half an hour and has to be over an hour before, two at most."""
    oven = replace(OVEN, windows=(TimeWindow(12 * HOUR, 12 * HOUR),))
    free = world(oven)
    ruled = replace(free, orders=(Order("tap", "oven", min_delay_s=HOUR, max_delay_s=2 * HOUR),))
    plan = as_loaded(replace(free, orders=(Order("lamp", "oven"),)), {"ben-day": ("lamp", "oven")})

    late = recommend(ruled, plan, "tap", windows=(TimeWindow(10 * HOUR + 31 * MINUTE, 16 * HOUR),))
    found = recommend(ruled, plan, "tap")

    assert late.insertions == ()
    assert {reason.code for reason in late.reasons} == {"order"}
    assert {insertion.start for insertion in found.insertions} == {9 * HOUR + 30 * MINUTE}


def test_a_visit_without_links_does_not_move_those_that_have_some() -> None:
    """The crew starts at 8:20; an hour and a half later the lamp's technician may have the oven, not sooner."""
    ruled = world(crews=BOTH)
    plan = as_loaded(ruled, {"ada-day": ("sink",), "ben-day": ("lamp",)})

    answer = recommend(ruled, plan, "oven")

    by_ben = next(insertion for insertion in answer.insertions if insertion.technician == "ben")
    moved = time_route(PlannedLinks.of(ruled, plan).held(), "ben-day", ("lamp", "oven"))
    assert (by_ben.position, by_ben.start) == (1, moved.stops[1].start)
    with pytest.raises(Infeasible):
        time_route(PlannedLinks.of(ruled, plan).held(), "ben-day", ("oven", "lamp"))


def test_ben_cannot_have_two_of_a_crew() -> None:
    ruled = world(crews=BOTH)
    plan = as_loaded(ruled, {"ada-day": ("sink",), "ben-day": ("lamp",)})
    pinned = replace(
        ruled,
        visits=tuple(
            replace(visit, pin=Pin("ben")) if visit.id == "sink" else visit for visit in ruled.visits
        ),
    )

    assert all(
        insertion.technician != BEN.technician for insertion in recommend(ruled, plan, "sink").insertions
    )
    assert recommend(pinned, plan, "sink").insertions == ()
