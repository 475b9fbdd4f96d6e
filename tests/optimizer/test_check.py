"""One sound little plan, and for each rule the smallest change that breaks it.

Places on a line, 600 s and 5 km apart: 0 home, 1, 2, 3. Times in seconds from midnight; Ada works 8 to 16 h.

    8:00 home   8:10 tap (1) to 8:40   8:50 sink (2) to 9:20   12:00 break to 12:30   13:00 drain (3) to 13:30
    14:00 home
"""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from optimizer.check import Violation, check
from optimizer.plan import BreakTaken, Plan, Route, Stop, Unserved
from optimizer.problem import (
    UNREACHABLE,
    Break,
    Crew,
    Order,
    Pin,
    Problem,
    Shift,
    TimeWindow,
    TravelMatrix,
    Visit,
)

H = 3600
MINUTE = 60


def line(places: int) -> TravelMatrix:
    steps = np.abs(np.subtract.outer(np.arange(places), np.arange(places))).astype(np.int32)
    return TravelMatrix(steps * np.int32(600), steps * np.int32(5000))


def visit(name: str, place: int, window: tuple[int, int] = (8 * H, 16 * H), **more: Any) -> Visit:
    return Visit(name, place, 30 * MINUTE, (TimeWindow(*window),), **more)


ADA = Shift(
    "ada-monday",
    "ada",
    TimeWindow(8 * H, 16 * H),
    start_place=0,
    end_place=0,
    skills={"plumbing": 3},
    breaks=(Break(TimeWindow(11 * H, 13 * H), 30 * MINUTE),),
    radius_m=15_000,
    max_visits=3,
    max_travel_m=30_000,
)
TAP = visit("tap", 1, skills={"plumbing": 2})
SINK = visit("sink", 2, (8 * H, 9 * H))
DRAIN = visit("drain", 3, (13 * H, 14 * H))
PROBLEM = Problem((TAP, SINK, DRAIN), (ADA,), line(4))


def stop(name: str, start: int, arrival: int | None = None) -> Stop:
    return Stop(name, start if arrival is None else arrival, start, start + 30 * MINUTE, 600, 5000)


ROUTE = Route(
    "ada-monday",
    "ada",
    (
        stop("tap", 8 * H + 10 * MINUTE),
        stop("sink", 8 * H + 50 * MINUTE),
        stop("drain", 13 * H, arrival=9 * H + 30 * MINUTE),
    ),
    departs_at=8 * H,
    returns_at=14 * H,
    travel_s=3600,
    travel_m=30_000,
    breaks=(BreakTaken(12 * H, 12 * H + 30 * MINUTE),),
)
PLAN = Plan((ROUTE,), ())


def codes(problem: Problem, plan: Plan) -> list[str]:
    return [violation.code for violation in check(problem, plan)]


def with_visit(changed: Visit) -> Problem:
    return replace(PROBLEM, visits=tuple(changed if v.id == changed.id else v for v in PROBLEM.visits))


def with_shift(**changes: Any) -> Problem:
    return replace(PROBLEM, shifts=(replace(ADA, **changes),))


def with_route(**changes: Any) -> Plan:
    return Plan((replace(ROUTE, **changes),), ())


def with_stop(index: int, **changes: Any) -> Plan:
    stops = list(ROUTE.stops)
    stops[index] = replace(stops[index], **changes)
    return with_route(stops=tuple(stops))


def test_a_sound_plan_has_no_violation() -> None:
    assert check(PROBLEM, PLAN) == ()


def test_a_plan_that_goes_to_every_limit_is_sound() -> None:
    ada = replace(
        ADA,
        window=TimeWindow(8 * H, 14 * H),
        skills={"plumbing": 2},
        breaks=(Break(TimeWindow(9 * H + 1800, 9 * H + 1800), 600), Break(TimeWindow(12 * H, 12 * H), H)),
    )
    breaks = (BreakTaken(9 * H + 1800, 9 * H + 2400), BreakTaken(12 * H, 13 * H))

    assert codes(replace(PROBLEM, shifts=(ada,)), with_route(breaks=breaks)) == []


def test_breaks_and_routes_may_touch() -> None:
    lunch, coffee = Break(TimeWindow(11 * H, 13 * H), 1800), Break(TimeWindow(11 * H, 13 * H), 600)
    breaks = (BreakTaken(12 * H, 12 * H + 1800), BreakTaken(12 * H + 1800, 12 * H + 2400))
    evening = Shift("ada-evening", "ada", TimeWindow(14 * H, 20 * H), 0, 0)
    problem = Problem(
        (*PROBLEM.visits, visit("roof", 1, (8 * H, 20 * H))),
        (replace(ADA, window=TimeWindow(8 * H, 14 * H), breaks=(lunch, coffee)), evening),
        line(4),
    )

    assert check(problem, Plan((replace(ROUTE, breaks=breaks), evening_route(14 * H)), ())) == ()


def test_how_far_a_rule_is_broken_is_told() -> None:
    def off(problem: Problem, plan: Plan) -> list[tuple[str, int | None]]:
        return [(violation.code, violation.by) for violation in check(problem, plan)]

    assert off(PROBLEM, with_stop(1, end=9 * H + 19 * MINUTE)) == [("service", -60)]
    assert off(PROBLEM, with_stop(1, travel_s=590)) == [("travel", -10)]
    assert off(PROBLEM, with_route(travel_s=3590)) == [("totals", -10)]
    assert off(PROBLEM, with_stop(2, arrival=13 * H + 7)) == [("no_time", 7)]
    assert off(with_shift(window=TimeWindow(8 * H + 7, 16 * H)), PLAN) == [("shift_hours", 7)]
    assert off(with_shift(window=TimeWindow(8 * H, 14 * H - 7)), PLAN) == [("shift_hours", 7)]
    assert off(PROBLEM, with_route(breaks=(BreakTaken(12 * H, 12 * H + 1790),))) == [("break", -10)]


def test_a_break_takes_its_time_from_the_way_home() -> None:
    evening = with_shift(breaks=(Break(TimeWindow(13 * H, 14 * H), 30 * MINUTE),))
    taken = (BreakTaken(13 * H + 30 * MINUTE, 14 * H),)

    assert codes(evening, with_route(breaks=taken)) == ["no_time"]
    assert codes(evening, with_route(breaks=taken, returns_at=14 * H + 30 * MINUTE)) == []


def test_an_empty_plan_of_an_empty_problem_is_sound() -> None:
    assert check(Problem((), (), line(1)), Plan((), ())) == ()


def test_a_visit_that_does_not_exist_is_found() -> None:
    assert codes(PROBLEM, with_stop(0, visit="roof")) == ["missing", "unknown_visit"]


def test_an_unserved_visit_that_does_not_exist_is_found() -> None:
    plan = replace(PLAN, unserved=(Unserved("roof", "not_found", ()),))

    assert codes(PROBLEM, plan) == ["unknown_visit"]


def test_a_shift_that_does_not_exist_is_found() -> None:
    assert codes(PROBLEM, with_route(shift="ada-tuesday")) == ["unknown_shift"]


def test_a_visit_in_two_routes_is_served_twice() -> None:
    bob = replace(ADA, id="bob-monday", technician="bob")
    problem = replace(PROBLEM, shifts=(ADA, bob))
    plan = Plan((ROUTE, replace(ROUTE, shift="bob-monday", technician="bob")), ())

    assert codes(problem, plan) == ["served_twice"] * 3


def test_a_visit_both_served_and_unserved_is_found() -> None:
    plan = replace(PLAN, unserved=(Unserved("tap", "not_found", ()),))

    assert codes(PROBLEM, plan) == ["served_and_unserved"]


def test_a_visit_unserved_twice_is_found() -> None:
    roof = Unserved("roof", "not_found", ())
    problem = replace(PROBLEM, visits=(*PROBLEM.visits, visit("roof", 1)))

    assert codes(problem, replace(PLAN, unserved=(roof, roof))) == ["unserved_twice"]


def test_a_visit_that_the_plan_forgot_is_missing() -> None:
    problem = replace(PROBLEM, visits=(*PROBLEM.visits, visit("roof", 1)))

    assert check(problem, PLAN) == (
        Violation("missing", "Visit roof is neither served nor unserved.", visit="roof"),
    )


def test_a_shift_with_two_routes_is_found() -> None:
    second = replace(
        ROUTE,
        stops=(replace(stop("roof", 14 * H + 30 * MINUTE), travel_s=600),),
        departs_at=14 * H + 20 * MINUTE,
        returns_at=15 * H + 10 * MINUTE,
        travel_s=1200,
        travel_m=10_000,
        breaks=(),
    )
    problem = replace(with_shift(breaks=()), visits=(*PROBLEM.visits, visit("roof", 1)))
    plan = Plan((replace(ROUTE, breaks=()), second), ())

    assert codes(problem, plan) == ["two_routes"]


def test_a_route_without_stops_is_found() -> None:
    bob = replace(ADA, id="bob-monday", technician="bob")
    idle = Route("bob-monday", "bob", (), 8 * H, 8 * H, 0, 0)

    assert codes(replace(PROBLEM, shifts=(ADA, bob)), Plan((ROUTE, idle), ())) == ["empty_route"]


def test_the_technician_of_a_route_is_the_shifts() -> None:
    assert codes(PROBLEM, with_route(technician="bob")) == ["wrong_technician"]


def test_a_missing_skill_is_found() -> None:
    assert codes(with_visit(replace(TAP, skills={"gas": 1})), PLAN) == ["skill_missing"]


def test_too_low_a_level_is_found_with_the_gap() -> None:
    (violation,) = check(with_visit(replace(TAP, skills={"plumbing": 5})), PLAN)

    assert (violation.code, violation.shift, violation.visit, violation.by) == (
        "level_too_low",
        "ada-monday",
        "tap",
        2,
    )


def test_an_excluded_technician_is_found() -> None:
    assert codes(with_visit(replace(TAP, excluded=frozenset({"ada"}))), PLAN) == ["excluded"]


def test_a_technician_not_among_the_required_is_found() -> None:
    assert codes(with_visit(replace(TAP, required=frozenset({"bob", "eve"}))), PLAN) == ["not_required"]


def test_a_required_technician_may() -> None:
    assert codes(with_visit(replace(TAP, required=frozenset({"ada", "eve"}))), PLAN) == []


def test_a_pin_to_another_technician_is_broken() -> None:
    assert codes(with_visit(replace(TAP, pin=Pin("bob"))), PLAN) == ["pin"]


def test_a_pin_in_time_is_broken_by_another_start() -> None:
    (violation,) = check(with_visit(replace(TAP, pin=Pin("ada", 8 * H))), PLAN)

    assert (violation.code, violation.by) == ("pin_time", 600)


def test_skills_exclusions_and_the_radius_yield_to_a_pin() -> None:
    pinned = replace(
        DRAIN,
        skills={"gas": 5},
        excluded=frozenset({"ada"}),
        required=frozenset({"bob"}),
        pin=Pin("ada"),
    )
    problem = replace(with_visit(pinned), shifts=(replace(ADA, radius_m=10_000),))

    assert codes(problem, PLAN) == []


def test_windows_yield_to_a_pin_in_time_only() -> None:
    closed = (TimeWindow(15 * H, 16 * H),)

    assert codes(with_visit(replace(DRAIN, windows=closed, pin=Pin("ada", 13 * H))), PLAN) == []
    assert codes(with_visit(replace(DRAIN, windows=closed, pin=Pin("ada"))), PLAN) == ["window"]


def test_a_visit_outside_the_radius_is_found_with_the_metres() -> None:
    (violation,) = check(with_shift(radius_m=14_000), PLAN)

    assert (violation.code, violation.visit, violation.by) == ("outside_radius", "drain", 1000)


@pytest.mark.parametrize("start", [13 * H + 1, 12 * H - 1])
def test_a_start_outside_the_windows_is_found_with_the_seconds_to_the_nearest(start: int) -> None:
    split = replace(DRAIN, windows=(TimeWindow(8 * H, 12 * H - 2), TimeWindow(13 * H + 2, 14 * H)))

    found = check(
        with_visit(split), replace(PLAN, routes=(with_stop(2, start=start, end=start + 1800).routes))
    )

    assert [(v.code, v.by) for v in found if v.code == "window"] == [("window", 1)]


def test_both_ends_of_a_window_belong_to_it() -> None:
    assert codes(with_visit(replace(DRAIN, windows=(TimeWindow(13 * H, 14 * H),))), PLAN) == []
    assert codes(with_visit(replace(DRAIN, windows=(TimeWindow(12 * H, 13 * H),))), PLAN) == []


def test_a_visit_that_is_cut_short_is_found() -> None:
    assert codes(PROBLEM, with_stop(1, end=9 * H)) == ["service"]


def test_a_start_before_the_arrival_is_found() -> None:
    assert codes(PROBLEM, with_stop(2, arrival=13 * H + 1)) == ["no_time"]


def test_an_arrival_that_outruns_the_way_is_found_with_the_seconds() -> None:
    (violation,) = check(PROBLEM, with_route(departs_at=8 * H + 60))

    assert (violation.code, violation.visit, violation.by) == ("no_time", "tap", 60)


def test_a_break_takes_its_time_from_the_way() -> None:
    break_on_the_way = with_shift(breaks=(Break(TimeWindow(8 * H, 13 * H), 30 * MINUTE),))
    taken = (BreakTaken(9 * H + 20 * MINUTE, 9 * H + 50 * MINUTE),)

    too_soon = with_route(breaks=taken)
    later = with_stop(2, arrival=10 * H).routes[0]
    in_time = Plan((replace(later, breaks=taken),), ())

    assert codes(break_on_the_way, too_soon) == ["no_time", "break"]
    assert codes(break_on_the_way, in_time) == []


def test_a_return_that_outruns_the_way_home_is_found() -> None:
    (violation,) = check(PROBLEM, with_route(returns_at=14 * H - 60))

    assert (violation.code, violation.visit, violation.by) == ("no_time", None, 60)


def test_a_route_that_begins_before_the_shift_is_found() -> None:
    assert codes(with_shift(window=TimeWindow(8 * H + 1, 16 * H)), PLAN) == ["shift_hours"]


def test_a_route_that_returns_after_the_shift_is_found() -> None:
    assert codes(with_shift(window=TimeWindow(8 * H, 14 * H - 1)), PLAN) == ["shift_hours"]


def test_an_open_start_and_end_need_no_way() -> None:
    problem = with_shift(start_place=None, end_place=None, radius_m=None)
    first = replace(ROUTE.stops[0], travel_s=0, travel_m=0)
    plan = with_route(
        stops=(first, *ROUTE.stops[1:]),
        departs_at=8 * H + 10 * MINUTE,
        returns_at=13 * H + 30 * MINUTE,
        travel_s=1200,
        travel_m=10_000,
    )

    assert codes(problem, plan) == []


@pytest.mark.parametrize("wrong", [{"travel_s": 599}, {"travel_m": 5001}])
def test_a_leg_that_differs_from_the_matrix_is_found(wrong: dict[str, int]) -> None:
    assert codes(PROBLEM, with_stop(1, **wrong)) == ["travel"]


@pytest.mark.parametrize("wrong", [{"travel_s": 3000}, {"travel_m": 25_000}])
def test_totals_without_the_way_home_are_found(wrong: dict[str, int]) -> None:
    assert codes(PROBLEM, with_route(**wrong)) == ["totals"]


def test_a_leg_without_a_way_is_found() -> None:
    distance_m = PROBLEM.travel.distance_m.copy()
    distance_m[3, 0] = UNREACHABLE
    problem = replace(
        PROBLEM,
        travel=TravelMatrix(PROBLEM.travel.duration_s, distance_m),
        shifts=(replace(ADA, max_travel_m=None),),
    )

    assert codes(problem, with_route(travel_m=15_000 + UNREACHABLE)) == ["unreachable"]


def test_a_break_left_out_is_found() -> None:
    assert codes(PROBLEM, with_route(breaks=())) == ["break"]


def test_a_break_too_short_is_found() -> None:
    assert codes(PROBLEM, with_route(breaks=(BreakTaken(12 * H, 12 * H + 29 * MINUTE),))) == ["break"]


def test_a_break_that_begins_outside_its_window_is_found() -> None:
    (violation,) = check(with_shift(breaks=(Break(TimeWindow(11 * H, 12 * H - 5), 30 * MINUTE),)), PLAN)

    assert (violation.code, violation.by) == ("break", 5)


def test_a_break_may_end_after_its_window() -> None:
    assert codes(with_shift(breaks=(Break(TimeWindow(11 * H, 12 * H), 30 * MINUTE),)), PLAN) == []


def test_a_break_during_work_is_found() -> None:
    (violation,) = check(
        PROBLEM, with_route(breaks=(BreakTaken(12 * H + 40 * MINUTE, 13 * H + 10 * MINUTE),))
    )

    assert (violation.code, violation.visit, violation.by) == ("break", "drain", 600)


def test_an_arrival_in_the_middle_of_a_break_is_found() -> None:
    assert codes(PROBLEM, with_stop(2, arrival=12 * H + 10 * MINUTE)) == ["break"]


def test_overlapping_breaks_are_found() -> None:
    lunch, coffee = Break(TimeWindow(11 * H, 13 * H), 1800), Break(TimeWindow(11 * H, 13 * H), 600)
    taken = (BreakTaken(12 * H, 12 * H + 1800), BreakTaken(12 * H + 1700, 12 * H + 2300))

    (violation,) = check(with_shift(breaks=(lunch, coffee)), with_route(breaks=taken))

    assert (violation.code, violation.by) == ("break", 100)


def test_more_visits_than_the_cap_are_found() -> None:
    (violation,) = check(with_shift(max_visits=2), PLAN)

    assert (violation.code, violation.by) == ("visit_cap", 1)


def test_more_travel_than_the_cap_is_found() -> None:
    (violation,) = check(with_shift(max_travel_m=29_000), PLAN)

    assert (violation.code, violation.by) == ("travel_cap", 1000)


EVENING = Shift("ada-evening", "ada", TimeWindow(16 * H, 20 * H), 0, 0)
TWO_SHIFTS = replace(
    PROBLEM, visits=(*PROBLEM.visits, visit("roof", 1, (8 * H, 20 * H))), shifts=(ADA, EVENING)
)


def evening_route(departs_at: int) -> Route:
    roof = stop("roof", departs_at + 600)
    return Route("ada-evening", "ada", (roof,), departs_at, roof.end + 600, travel_s=1200, travel_m=10_000)


def test_a_technician_is_not_in_two_shifts_at_once() -> None:
    found = check(TWO_SHIFTS, Plan((ROUTE, evening_route(14 * H - 300)), ()))

    assert [(v.code, v.shift, v.by) for v in found] == [
        ("shift_hours", "ada-evening", 2 * H + 300),
        ("overlap", "ada-evening", 300),
    ]


def test_two_shifts_one_after_the_other_are_sound() -> None:
    assert check(TWO_SHIFTS, Plan((ROUTE, evening_route(16 * H)), ())) == ()


def test_the_time_that_work_takes_is_that_of_the_technicians_level() -> None:
    by_level = replace(TAP, skills={"plumbing": 1}, service_s_by_level={2: 20 * MINUTE, 4: 10 * MINUTE})

    (violation,) = check(with_visit(by_level), PLAN)

    assert (violation.code, violation.visit, violation.by) == ("service", "tap", 10 * MINUTE)
    assert codes(with_visit(replace(by_level, service_s_by_level={3: 30 * MINUTE, 2: 0})), PLAN) == []


def test_a_route_may_end_in_its_overtime_and_no_later() -> None:
    ends_early = {"window": TimeWindow(8 * H, 14 * H - 600)}

    (violation,) = check(with_shift(**ends_early, overtime_s=593), PLAN)

    assert (violation.code, violation.by) == ("shift_hours", 7)
    assert codes(with_shift(**ends_early, overtime_s=600), PLAN) == []


def test_more_seconds_of_travel_than_the_cap_are_found() -> None:
    (violation,) = check(with_shift(max_travel_s=3590), PLAN)

    assert (violation.code, violation.by) == ("travel_cap", 10)
    assert codes(with_shift(max_travel_s=3600), PLAN) == []


def test_a_route_that_lasts_longer_than_its_cap_is_found() -> None:
    (violation,) = check(with_shift(max_duration_s=6 * H - 10), PLAN)

    assert (violation.code, violation.shift, violation.by) == ("duration_cap", "ada-monday", 10)
    assert codes(with_shift(max_duration_s=6 * H), PLAN) == []


def test_a_break_at_home_is_part_of_how_long_a_route_lasts() -> None:
    late = with_shift(breaks=(Break(TimeWindow(14 * H, 15 * H), 30 * MINUTE),), max_duration_s=6 * H)

    (violation,) = check(late, with_route(breaks=(BreakTaken(14 * H, 14 * H + 30 * MINUTE),)))

    assert (violation.code, violation.by) == ("duration_cap", 30 * MINUTE)


def with_loads(*loads: tuple[int, ...], capacity: tuple[int, ...]) -> Problem:
    visits = tuple(replace(v, load=load) for v, load in zip(PROBLEM.visits, loads, strict=True))
    return replace(with_shift(capacity=capacity), visits=visits)


def test_visits_that_take_more_than_the_capacity_are_found_with_the_kind_of_goods() -> None:
    (violation,) = check(with_loads((1, 2), (), (1, 2), capacity=(2, 1)), PLAN)

    assert (violation.code, violation.by) == ("capacity", 3)
    assert "goods 1" in violation.detail
    assert codes(with_loads((1, 2), (), (1, 2), capacity=(2, 4)), PLAN) == []


def test_a_shift_without_capacity_takes_any_load() -> None:
    assert codes(with_loads((9,), (9,), (9,), capacity=()), PLAN) == []


def test_no_room_is_not_the_same_as_no_capacity() -> None:
    assert codes(with_loads((0,), (1,), (), capacity=(0,)), PLAN) == ["capacity"]


BOB = replace(ADA, id="bob-monday", technician="bob", breaks=())


def bobs_lift(start: int) -> Route:
    lift = stop("lift", start)
    return Route("bob-monday", "bob", (lift,), start - 600, lift.end + 600, travel_s=1200, travel_m=10_000)


def crew_of(*names: str) -> Problem:
    """The tap and Bob's lift beside it."""
    return replace(
        PROBLEM, visits=(*PROBLEM.visits, visit("lift", 1)), shifts=(ADA, BOB), crews=(Crew(names),)
    )


def test_a_crew_that_starts_together_is_sound() -> None:
    assert check(crew_of("tap", "lift"), Plan((ROUTE, bobs_lift(8 * H + 10 * MINUTE)), ())) == ()


def test_a_crew_that_starts_apart_is_found_with_the_seconds() -> None:
    (violation,) = check(crew_of("tap", "lift"), Plan((ROUTE, bobs_lift(8 * H + 10 * MINUTE + 7)), ()))

    assert (violation.code, violation.visit, violation.by) == ("crew", "lift", 7)


def test_a_crew_of_which_one_is_missing_is_found() -> None:
    plan = Plan((ROUTE,), (Unserved("lift", "not_found", ()),))

    (violation,) = check(crew_of("tap", "lift"), plan)

    assert (violation.code, violation.visit, violation.by) == ("crew", "lift", 1)


def test_a_crew_that_is_not_served_at_all_is_sound() -> None:
    plan = Plan((), tuple(Unserved(name, "not_found", ()) for name in ("tap", "sink", "drain", "lift")))

    assert check(crew_of("tap", "lift"), plan) == ()


def test_nobody_is_two_of_a_crew() -> None:
    plan = Plan((ROUTE, bobs_lift(8 * H + 50 * MINUTE)), ())

    found = check(crew_of("tap", "sink"), plan)

    assert [(v.code, v.by) for v in found] == [("crew", 40 * MINUTE), ("crew", 1)]
    assert "ada has 2" in found[1].detail


def ordered(
    first: str, then: str, min_delay_s: int = 0, max_delay_s: int | None = None, more: tuple[Visit, ...] = ()
) -> Problem:
    order = Order(first, then, min_delay_s, max_delay_s)
    return replace(PROBLEM, visits=(*PROBLEM.visits, *more), orders=(order,))


def test_an_order_that_is_kept_to_the_second_is_sound() -> None:
    assert codes(ordered("tap", "sink", min_delay_s=600, max_delay_s=600), PLAN) == []


def test_a_visit_too_soon_after_the_one_before_is_found_with_the_seconds() -> None:
    (violation,) = check(ordered("tap", "sink", min_delay_s=607), PLAN)

    assert (violation.code, violation.shift, violation.visit, violation.by) == (
        "order",
        "ada-monday",
        "sink",
        7,
    )


def test_a_visit_before_the_one_it_must_follow_is_found() -> None:
    (violation,) = check(ordered("sink", "tap"), PLAN)

    assert (violation.code, violation.visit, violation.by) == ("order", "tap", 70 * MINUTE)


def test_a_visit_too_late_after_the_one_before_is_found_with_the_seconds() -> None:
    (violation,) = check(ordered("tap", "sink", max_delay_s=593), PLAN)

    assert (violation.code, violation.visit, violation.by) == ("order", "sink", 7)


def test_a_visit_served_without_the_one_it_must_follow_is_found() -> None:
    problem = ordered("roof", "sink", more=(visit("roof", 1),))

    (violation,) = check(problem, replace(PLAN, unserved=(Unserved("roof", "not_found", ()),)))

    assert (violation.code, violation.visit, violation.by) == ("order", "sink", None)


def test_the_first_of_an_order_may_be_served_alone() -> None:
    problem = ordered("sink", "roof", more=(visit("roof", 1),))

    assert check(problem, replace(PLAN, unserved=(Unserved("roof", "not_found", ()),))) == ()


def test_work_cut_short_gains_no_time_for_what_follows() -> None:
    assert codes(ordered("tap", "sink", min_delay_s=607), with_stop(0, end=8 * H + 33 * MINUTE)) == [
        "service",
        "order",
    ]
