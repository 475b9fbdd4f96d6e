"""Each rule of a field-service day alone, in a world of four visits: with it the plan is another than without, and
the verifier agrees. Every test asks the search and the exact model.

Places on a line, 600 s and 5 km apart; everything is open from 8 to 16 h, each visit takes half an hour, travel costs
500 cents a step. Times in seconds from midnight.

    0 tap    1 Ada's home    2 sink    3 nothing    4 lamp    5 oven    6 Ben's home

Without any rule Ada serves tap and sink, Ben lamp and oven: eight steps, 40 euros. With the sink Ben's, they make ten
steps; all alone Ben makes twelve.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from optimizer import (
    Break,
    Pin,
    Plan,
    Problem,
    Route,
    Shift,
    Stop,
    TimeWindow,
    Visit,
    Weights,
    check,
    solve,
    time_route,
)
from optimizer.exact import solve_exact
from optimizer.objective import objective
from optimizer.problem import Crew, Order, Sla
from optimizer.search import frozen
from tests.optimizer.worlds import HOUR, MINUTE, line

DAY = TimeWindow(8 * HOUR, 16 * HOUR)
ADA = Shift("ada-day", "ada", DAY, 1, 1)
BEN = Shift("ben-day", "ben", DAY, 6, 6)
TAP = Visit("tap", 0, 30 * MINUTE, (DAY,))
SINK = Visit("sink", 2, 30 * MINUTE, (DAY,))
LAMP = Visit("lamp", 4, 30 * MINUTE, (DAY,))
OVEN = Visit("oven", 5, 30 * MINUTE, (DAY,))
STEP_CENTS = 500

Planner = Callable[..., Plan]


def world(
    *changed: Visit | Shift,
    weights: Weights = Weights(),  # noqa: B008
    crews: tuple[Crew, ...] = (),
    orders: tuple[Order, ...] = (),
) -> Problem:
    """The world above, with the visits and shifts of the same id replaced."""
    items = {item.id: item for item in (TAP, SINK, LAMP, OVEN, ADA, BEN, *changed)}
    visits = tuple(item for item in items.values() if isinstance(item, Visit))
    shifts = tuple(item for item in items.values() if isinstance(item, Shift))
    return Problem(visits, shifts, line(7), weights, crews, orders)


def searched(problem: Problem, start: Plan | None = None) -> Plan:
    return solve(problem, max_work=300, start=start)


def proven(problem: Problem, start: Plan | None = None) -> Plan:
    exact = solve_exact(problem, start=start)
    assert exact.proven
    return exact.plan


@pytest.fixture(params=[searched, proven], ids=["search", "exact"])
def planned(request: pytest.FixtureRequest) -> Planner:
    """The best plan, by either engine, found sound by the verifier."""

    def plan_of(problem: Problem, start: Plan | None = None) -> Plan:
        plan: Plan = request.param(problem, start)
        assert check(problem, plan) == ()
        return plan

    return plan_of


def who(plan: Plan) -> dict[str, str]:
    return {stop.visit: route.technician for route in plan.routes for stop in route.stops}


def stop_at(plan: Plan, visit: str) -> Stop:
    return next(stop for route in plan.routes for stop in route.stops if stop.visit == visit)


def route_of(plan: Plan, technician: str) -> Route:
    return next(route for route in plan.routes if route.technician == technician)


def codes(problem: Problem, plan: Plan) -> set[str]:
    return {violation.code for violation in check(problem, plan)}


NEAREST = {"tap": "ada", "sink": "ada", "lamp": "ben", "oven": "ben"}
SINK_WITH_BEN = {**NEAREST, "sink": "ben"}
ALL_WITH_BEN = dict.fromkeys(NEAREST, "ben")


def test_without_rules_everybody_serves_what_is_near(planned: Planner) -> None:
    plan = planned(world())

    assert who(plan) == NEAREST
    assert plan.cost_cents == 8 * STEP_CENTS


# Who may


def test_a_visit_goes_to_somebody_who_has_the_skill(planned: Planner) -> None:
    ruled = world(replace(SINK, skills={"gas": 1}), replace(BEN, skills={"gas": 1}))

    plan = planned(ruled)

    assert who(plan) == SINK_WITH_BEN
    assert codes(ruled, planned(world())) == {"skill_missing"}


def test_a_visit_goes_to_somebody_whose_level_is_high_enough(planned: Planner) -> None:
    ada, ben = replace(ADA, skills={"gas": 1}), replace(BEN, skills={"gas": 3})
    ruled = world(replace(SINK, skills={"gas": 2}), ada, ben)

    plan = planned(ruled)

    assert who(plan) == SINK_WITH_BEN
    assert codes(ruled, planned(world(ada, ben))) == {"level_too_low"}


def test_a_visit_goes_to_one_of_its_required_technicians(planned: Planner) -> None:
    ruled = world(replace(SINK, required=frozenset({"ben", "eve"})))

    plan = planned(ruled)

    assert who(plan) == SINK_WITH_BEN
    assert codes(ruled, planned(world())) == {"not_required"}


def test_a_visit_never_goes_to_an_excluded_technician(planned: Planner) -> None:
    ruled = world(replace(SINK, excluded=frozenset({"ada"})))

    plan = planned(ruled)

    assert who(plan) == SINK_WITH_BEN
    assert codes(ruled, planned(world())) == {"excluded"}


def test_a_visit_goes_to_its_preferred_technician_if_that_is_worth_it(planned: Planner) -> None:
    prefers_ben = replace(SINK, preferred=frozenset({"ben"}))

    worth_it = planned(world(prefers_ben, weights=Weights(not_preferred_cents=2 * STEP_CENTS + 1)))
    too_far = planned(world(prefers_ben, weights=Weights(not_preferred_cents=2 * STEP_CENTS - 1)))

    assert who(worth_it) == SINK_WITH_BEN
    assert who(too_far) == NEAREST
    assert too_far.objective["prefer_technicians"] == 2 * STEP_CENTS - 1


def test_a_pin_holds_the_technician(planned: Planner) -> None:
    ruled = world(replace(SINK, pin=Pin("ben")))

    plan = planned(ruled)

    assert who(plan) == SINK_WITH_BEN
    assert codes(ruled, planned(world())) == {"pin"}


def test_nobody_drives_out_of_the_radius(planned: Planner) -> None:
    """What Ada may not reach is Ben's."""
    ruled = world(replace(ADA, radius_m=4_999))

    plan = planned(ruled)

    assert who(plan) == ALL_WITH_BEN
    assert codes(ruled, planned(world())) == {"outside_radius"}


# When


def test_work_takes_as_long_as_the_level_of_the_technician_says(planned: Planner) -> None:
    """Ada would take four hours, paid by the hour, Ben half an hour."""
    ada, ben = (
        replace(shift, skills={"gas": level}, cents_per_h=3_000) for shift, level in ((ADA, 1), (BEN, 3))
    )
    needs_gas = replace(SINK, skills={"gas": 1})
    ruled = world(ada, ben, replace(needs_gas, service_s_by_level={1: 4 * HOUR, 2: 20 * MINUTE}))

    plan = planned(ruled)

    assert who(plan) == SINK_WITH_BEN
    assert stop_at(plan, "sink").end - stop_at(plan, "sink").start == 20 * MINUTE
    assert codes(ruled, planned(world(ada, ben, needs_gas))) == {"service"}


def test_work_starts_in_one_of_several_windows(planned: Planner) -> None:
    """The first window closes before anybody can be there."""
    windows = (TimeWindow(8 * HOUR, 8 * HOUR + 599), TimeWindow(14 * HOUR, 15 * HOUR))
    ruled = world(replace(TAP, windows=windows))

    plan = planned(ruled)

    assert stop_at(plan, "tap").start == 14 * HOUR
    assert codes(ruled, planned(world())) == {"window"}


def test_a_pin_in_time_holds_technician_and_start(planned: Planner) -> None:
    ruled = world(replace(SINK, windows=(TimeWindow(9 * HOUR, 9 * HOUR),), pin=Pin("ada", 15 * HOUR + 1)))

    plan = planned(ruled)

    assert who(plan) == NEAREST
    assert stop_at(plan, "sink").start == 15 * HOUR + 1
    assert codes(ruled, planned(world())) == {"pin_time"}


def test_what_begins_before_the_freeze_keeps_technician_and_time(planned: Planner) -> None:
    """Ben was to serve the sink at 9 h; the oven at noon is free to move."""
    at_nine, at_noon = (TimeWindow(h * HOUR, h * HOUR) for h in (9, 12))
    then = world(replace(SINK, windows=(at_nine,)), replace(OVEN, windows=(at_noon,)))
    start = Plan((time_route(then, "ben-day", ["sink"]), time_route(then, "ada-day", ["oven"])), ())
    ruled = frozen(world(), start, 10 * HOUR)

    plan = planned(ruled, start)

    assert who(plan) == SINK_WITH_BEN
    assert stop_at(plan, "sink").start == 9 * HOUR
    assert who(planned(world(), start)) == NEAREST


def test_solve_freezes_what_begins_before_an_instant() -> None:
    start = Plan((time_route(world(), "ben-day", ["sink"]),), ())

    plan = solve(world(), max_work=300, start=start, freeze_before=10 * HOUR)

    assert who(plan) == SINK_WITH_BEN
    assert stop_at(plan, "sink").start == start.routes[0].stops[0].start


def test_breaks_are_taken(planned: Planner) -> None:
    """Two visits, and a break that falls into the first of them unless the work waits or the break comes before."""
    lunch = Break(TimeWindow(8 * HOUR + 15 * MINUTE, 8 * HOUR + 20 * MINUTE), HOUR)
    ruled = world(replace(ADA, breaks=(lunch,)))

    plan = planned(ruled)

    (taken,) = route_of(plan, "ada").breaks
    assert taken.end - taken.start == HOUR
    assert all(stop.end <= taken.start or taken.end <= stop.start for stop in route_of(plan, "ada").stops)
    assert codes(ruled, planned(world())) == {"break"}


def test_overtime_is_worked_where_it_is_worth_its_price(planned: Planner) -> None:
    """With both visits Ada is home at 9:40, ten minutes late; without the sink she is home at 8:50."""

    def ada(**overtime: Any) -> Shift:
        return replace(ADA, window=TimeWindow(8 * HOUR, 9 * HOUR + 30 * MINUTE), **overtime)

    none = planned(world(ada()))
    cheap = planned(world(ada(overtime_s=600, overtime_cents_per_h=5_999)))
    dear = planned(world(ada(overtime_s=600, overtime_cents_per_h=6_001)))
    too_short = planned(world(ada(overtime_s=599)))

    assert who(none) == who(dear) == who(too_short) == SINK_WITH_BEN
    assert who(cheap) == NEAREST
    assert cheap.objective["pay_overtime"] == 1_000
    assert route_of(cheap, "ada").returns_at == 9 * HOUR + 40 * MINUTE
    assert codes(world(ada()), cheap) == {"shift_hours"}


def test_a_late_start_is_avoided_where_its_sla_makes_it_dearer_than_the_detour(planned: Planner) -> None:
    """Ada ends her day at the sink. Were it first, at 8:10, that would spare fifty minutes for two more steps."""
    ada = replace(ADA, end_place=2)

    def with_sla(cents_per_h: int) -> Problem:
        return world(ada, replace(SINK, sla=Sla(8 * HOUR + 10 * MINUTE, cents_per_h)))

    dear, cheap = planned(with_sla(1_206)), planned(with_sla(1_194))

    assert [stop.visit for stop in route_of(dear, "ada").stops] == ["sink", "tap"]
    assert [stop.visit for stop in route_of(cheap, "ada").stops] == ["tap", "sink"]
    assert dear.objective["keep_sla"] == 0
    assert cheap.objective["keep_sla"] == 995


# How much


def test_a_shift_has_no_more_visits_than_its_cap(planned: Planner) -> None:
    ruled = world(replace(ADA, max_visits=1))

    plan = planned(ruled)

    assert who(plan) == SINK_WITH_BEN
    assert codes(ruled, planned(world())) == {"visit_cap"}


@pytest.mark.parametrize(
    "cap", [{"max_travel_m": 19_999}, {"max_travel_s": 2_399}], ids=["metres", "seconds"]
)
def test_a_shift_travels_no_farther_than_its_cap(planned: Planner, cap: dict[str, Any]) -> None:
    ruled = world(replace(ADA, **cap))

    plan = planned(ruled)

    assert who(plan) == SINK_WITH_BEN
    assert codes(ruled, planned(world())) == {"travel_cap"}


def test_a_route_lasts_no_longer_than_its_cap(planned: Planner) -> None:
    """Tap at 8:10 and sink at noon, each at that instant, are 4:40 from leaving home to being back."""
    tap = replace(TAP, windows=(TimeWindow(8 * HOUR + 600, 8 * HOUR + 600),))
    sink = replace(SINK, windows=(TimeWindow(12 * HOUR, 12 * HOUR),))
    lasts_s = 4 * HOUR + 40 * MINUTE
    ruled = world(tap, sink, replace(ADA, max_duration_s=lasts_s - 1))

    plan = planned(ruled)

    assert who(plan) == SINK_WITH_BEN
    assert who(planned(world(tap, sink, replace(ADA, max_duration_s=lasts_s)))) == NEAREST
    assert codes(ruled, planned(world(tap, sink))) == {"duration_cap"}


def test_a_route_that_may_not_last_long_begins_later(planned: Planner) -> None:
    """The tap could be done at 8:10, but two hours must see the sink at noon as well."""
    tap = replace(TAP, windows=(TimeWindow(8 * HOUR, 11 * HOUR),))
    sink = replace(SINK, windows=(TimeWindow(12 * HOUR, 13 * HOUR),))
    ruled = world(tap, sink, replace(ADA, max_duration_s=2 * HOUR))

    plan = planned(ruled)

    assert who(plan) == NEAREST
    assert stop_at(plan, "tap").start == 10 * HOUR + 50 * MINUTE
    assert stop_at(plan, "sink").start == 12 * HOUR
    assert codes(ruled, planned(world(tap, sink))) == {"duration_cap"}


def test_the_visits_of_a_shift_fit_its_capacity(planned: Planner) -> None:
    tap, sink = replace(TAP, load=(1, 0)), replace(SINK, load=(2, 5))
    ruled = world(tap, sink, replace(ADA, capacity=(2, 9)))

    plan = planned(ruled)

    assert who(plan)["sink"] != who(plan)["tap"]
    assert who(planned(world(tap, sink, replace(ADA, capacity=(3, 5))))) == NEAREST
    assert codes(ruled, planned(world(tap, sink))) == {"capacity"}


# Where


def test_an_open_end_spares_the_way_home(planned: Planner) -> None:
    """Both visits are done at 9:30, when the shift ends; home would be 9:40."""
    closed = replace(ADA, window=TimeWindow(8 * HOUR, 9 * HOUR + 30 * MINUTE))
    ruled = world(replace(closed, end_place=None))

    plan = planned(ruled)

    assert who(plan) == NEAREST
    assert route_of(plan, "ada").returns_at == route_of(plan, "ada").stops[-1].end
    assert who(planned(world(closed))) == SINK_WITH_BEN


def test_an_open_start_spares_the_way_out(planned: Planner) -> None:
    """From home Ada would be back at 9:40; beginning where the work is, she is home at 9:30, in time."""
    closed = replace(ADA, window=TimeWindow(8 * HOUR, 9 * HOUR + 30 * MINUTE))
    ruled = world(replace(closed, start_place=None))

    plan = planned(ruled)

    assert who(plan) == NEAREST
    assert route_of(plan, "ada").stops[0].travel_s == 0
    assert who(planned(world(closed))) == SINK_WITH_BEN


# What it costs


def test_the_more_urgent_visit_is_served_first(planned: Planner) -> None:
    """Ben can serve one visit and, all else equal, takes the nearest."""
    ben = replace(BEN, max_visits=1)
    lamp, oven = (replace(visit, excluded=frozenset({"ada"})) for visit in (LAMP, OVEN))

    plan = planned(world(ben, oven, replace(lamp, priority=1)))

    assert who(plan) == {"tap": "ada", "sink": "ada", "lamp": "ben"}
    assert who(planned(world(ben, oven, lamp))) == {"tap": "ada", "sink": "ada", "oven": "ben"}


def test_a_visit_worth_less_than_its_way_is_left_out(planned: Planner) -> None:
    plan = planned(world(replace(SINK, prize_cents=2 * STEP_CENTS - 1)))

    assert [entry.visit for entry in plan.unserved] == ["sink"]
    assert plan.unserved[0].verdict == "dearer"
    assert who(planned(world(replace(SINK, prize_cents=2 * STEP_CENTS + 1)))) == NEAREST


@pytest.mark.parametrize(
    "price",
    [{"fixed_cents": 2_001}, {"cents_per_h": 1_201}, {"cents_per_km": 101}, {"cents_per_visit": 1_001}],
    ids=["fixed", "hour", "kilometre", "visit"],
)
def test_a_technician_who_costs_more_gets_less(planned: Planner, price: dict[str, Any]) -> None:
    """All with Ben is four steps more, twenty euros, for Ada's two visits, twenty kilometres and hundred minutes."""
    plan = planned(world(replace(ADA, **price)))

    assert who(plan) == ALL_WITH_BEN
    assert plan.cost_cents == 12 * STEP_CENTS


def test_a_moved_visit_has_its_price(planned: Planner) -> None:
    start = Plan((time_route(world(), "ben-day", ["sink"]),), ())

    kept = planned(world(weights=Weights(move_cents=2 * STEP_CENTS + 1)), start)
    moved = planned(world(weights=Weights(move_cents=2 * STEP_CENTS - 1)), start)

    assert who(kept) == SINK_WITH_BEN
    assert who(moved) == NEAREST
    assert objective(world(weights=Weights(move_cents=999)), moved, start)["keep_technicians"] == 999


def test_hours_are_balanced_over_the_period(planned: Planner) -> None:
    """Ada has worked forty hours so far and Ben none."""
    ada = replace(ADA, given_s=40 * HOUR)

    plan = planned(world(ada, weights=Weights(fairness_cents_per_h2=100)))

    assert who(plan) == ALL_WITH_BEN
    assert who(planned(world(ada))) == NEAREST
    assert who(planned(world(weights=Weights(fairness_cents_per_h2=100)))) == NEAREST


def test_a_scarce_skill_is_spared_for_what_needs_it(planned: Planner) -> None:
    """Ada alone knows gas, which one visit of four needs; her half of the shifts makes it half as scarce as can be."""
    ada, tap = replace(ADA, skills={"gas": 1}), replace(TAP, skills={"gas": 1})

    plan = planned(world(ada, tap, weights=Weights(spare_skill_cents=4 * STEP_CENTS + 2)))

    assert who(plan) == SINK_WITH_BEN
    assert plan.objective["spare_scarce_skills"] == 0
    assert who(planned(world(ada, tap, weights=Weights(spare_skill_cents=4 * STEP_CENTS - 2)))) == NEAREST


# What ties visits together


def test_a_crew_starts_at_the_same_instant(planned: Planner) -> None:
    """Ada could be at the sink and Ben at the lamp sooner, but tap and oven are at 8:10 and 10 h sharp."""
    tap = replace(TAP, windows=(TimeWindow(8 * HOUR + 600, 8 * HOUR + 600),))
    oven = replace(OVEN, windows=(TimeWindow(10 * HOUR, 10 * HOUR),))
    lamp = replace(LAMP, windows=(TimeWindow(10 * HOUR, 16 * HOUR),))
    ruled = world(tap, lamp, oven, crews=(Crew(("sink", "lamp")),))

    plan = planned(ruled)

    assert who(plan) == NEAREST
    assert stop_at(plan, "sink").start == stop_at(plan, "lamp").start == 10 * HOUR + 40 * MINUTE
    assert codes(ruled, planned(world(tap, lamp, oven))) == {"crew"}


def test_a_crew_is_of_different_technicians(planned: Planner) -> None:
    ruled = world(crews=(Crew(("tap", "sink")),))

    plan = planned(ruled)

    assert who(plan)["tap"] != who(plan)["sink"]
    assert stop_at(plan, "tap").start == stop_at(plan, "sink").start
    assert codes(ruled, planned(world())) == {"crew"}


def test_a_crew_is_served_whole_or_not_at_all(planned: Planner) -> None:
    """Nobody can do the lamp, so the sink stays undone."""
    lamp = replace(LAMP, skills={"gas": 1})
    ruled = world(lamp, crews=(Crew(("sink", "lamp")),))

    plan = planned(ruled)

    assert who(plan) == {"tap": "ada", "oven": "ben"}
    assert codes(ruled, planned(world(lamp))) == {"crew"}


def test_what_follows_waits_for_the_end_of_what_comes_first_and_the_delay(planned: Planner) -> None:
    """The plaster at the tap dries for three hours before somebody else may do the oven."""
    ruled = world(orders=(Order("tap", "oven", min_delay_s=3 * HOUR),))

    plan = planned(ruled)

    assert who(plan) == NEAREST
    assert stop_at(plan, "oven").start >= stop_at(plan, "tap").end + 3 * HOUR
    assert codes(ruled, planned(world())) == {"order"}


def test_what_comes_first_waits_if_what_follows_must_come_soon(planned: Planner) -> None:
    oven = replace(OVEN, windows=(TimeWindow(12 * HOUR, 13 * HOUR),))
    ruled = world(oven, orders=(Order("tap", "oven", max_delay_s=600),))

    plan = planned(ruled)

    assert who(plan) == NEAREST
    assert 0 <= stop_at(plan, "oven").start - stop_at(plan, "tap").end <= 600
    assert codes(ruled, planned(world(oven))) == {"order"}


def test_what_follows_is_served_only_with_what_comes_first(planned: Planner) -> None:
    tap = replace(TAP, skills={"gas": 1})
    ruled = world(tap, orders=(Order("tap", "sink"),))

    plan = planned(ruled)

    assert who(plan) == {"lamp": "ben", "oven": "ben"}
    assert codes(ruled, planned(world(tap))) == {"order"}


def test_what_comes_first_may_be_served_alone(planned: Planner) -> None:
    ruled = world(replace(OVEN, skills={"gas": 1}), orders=(Order("tap", "oven"),))

    plan = planned(ruled)

    assert set(who(plan)) == {"tap", "sink", "lamp"}
