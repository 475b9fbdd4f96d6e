"""Times of routes: worlds on a line (see `worlds`), and every placing of breaks tried by hand against the tables."""

from dataclasses import replace
from itertools import combinations_with_replacement

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer import (
    UNREACHABLE,
    Break,
    BreakTaken,
    Infeasible,
    InvalidProblem,
    Pin,
    Problem,
    Shift,
    TimeWindow,
    TravelMatrix,
    Visit,
    time_route,
)
from optimizer.arrays import windows_of
from tests.optimizer.worlds import ADA, BEN, HOUR, LAMP, MINUTE, SINK, TAP, random_world, small_day
from tests.support.examples import examples

NOON = Break(TimeWindow(12 * HOUR, 12 * HOUR), 30 * MINUTE)


def test_stops_start_as_early_as_they_can_and_the_first_departure_is_as_late_as_it_can_be() -> None:
    route = time_route(small_day(), "ada-day", ["sink", "tap"])

    assert [(stop.visit, stop.arrival, stop.start) for stop in route.stops] == [
        ("sink", 9 * HOUR, 9 * HOUR),
        ("tap", 9 * HOUR + 40 * MINUTE, 9 * HOUR + 40 * MINUTE),
    ]
    assert route.departs_at == 8 * HOUR + 40 * MINUTE
    assert route.returns_at == 10 * HOUR + 20 * MINUTE
    assert (route.travel_s, route.travel_m) == (2400, 20_000)


def test_one_who_arrives_early_waits_for_the_window() -> None:
    route = time_route(small_day(), "ada-day", ["tap", "sink"])

    sink = route.stops[1]
    assert sink.arrival == 8 * HOUR + 50 * MINUTE
    assert sink.start == 9 * HOUR


def test_work_starts_inside_the_window_and_may_end_after_it() -> None:
    at_ten = replace(TAP, windows=(TimeWindow(10 * HOUR, 10 * HOUR),))

    route = time_route(small_day(at_ten), "ada-day", ["tap"])

    assert route.stops[0].end == 10 * HOUR + 30 * MINUTE


def test_of_several_windows_the_first_that_can_be_kept_is_taken() -> None:
    twice = replace(TAP, windows=(TimeWindow(8 * HOUR, 8 * HOUR + 300), TimeWindow(11 * HOUR, 12 * HOUR)))

    route = time_route(small_day(twice), "ada-day", ["tap"])

    assert route.stops[0].start == 11 * HOUR


def test_a_break_is_taken_at_home_if_the_work_is_done_by_then() -> None:
    day = small_day(replace(ADA, breaks=(NOON,)))

    route = time_route(day, "ada-day", ["tap"])

    assert route.returns_at == 8 * HOUR + 50 * MINUTE
    assert route.breaks == (BreakTaken(12 * HOUR, 12 * HOUR + 30 * MINUTE),)


def test_a_break_is_taken_on_the_spot_before_the_next_stop() -> None:
    late = replace(SINK, windows=(TimeWindow(12 * HOUR, 12 * HOUR + 30 * MINUTE),))
    day = small_day(replace(ADA, breaks=(NOON,)), late)

    route = time_route(day, "ada-day", ["tap", "sink"])

    assert route.breaks == (BreakTaken(12 * HOUR, 12 * HOUR + 30 * MINUTE),)
    assert route.stops[1].start == 12 * HOUR + 30 * MINUTE


def test_a_break_that_waiting_has_room_for_delays_nothing() -> None:
    early = Break(TimeWindow(8 * HOUR, 15 * HOUR), 10 * MINUTE)
    day = small_day(replace(ADA, breaks=(early,)))

    route = time_route(day, "ada-day", ["tap", "sink"])

    assert [stop.start for stop in route.stops] == [8 * HOUR + 10 * MINUTE, 9 * HOUR]
    assert route.breaks[0].start == 8 * HOUR + 40 * MINUTE


def test_a_route_may_begin_and_end_openly() -> None:
    day = small_day(replace(ADA, start_place=None, end_place=None))

    route = time_route(day, "ada-day", ["tap", "sink"])

    assert (route.departs_at, route.travel_s) == (8 * HOUR, 600)
    assert route.returns_at == route.stops[-1].end


def test_a_visit_pinned_in_time_starts_at_that_very_instant() -> None:
    pinned = replace(TAP, pin=Pin("ada", 15 * HOUR))

    route = time_route(small_day(pinned), "ada-day", ["tap"])

    assert route.stops[0].start == 15 * HOUR


@pytest.mark.parametrize(
    ("changed", "visits", "code", "by"),
    [
        (LAMP, ["lamp"], "skill_missing", None),
        (replace(SINK, skills={"plumbing": 5}), ["sink"], "level_too_low", 2),
        (replace(ADA, radius_m=4_000), ["tap"], "outside_radius", 1_000),
        (replace(ADA, max_visits=1), ["tap", "sink"], "visit_cap", 1),
        (replace(ADA, max_travel_m=15_000), ["sink"], "travel_cap", 5_000),
        (replace(TAP, windows=(TimeWindow(0, 8 * HOUR),)), ["tap"], "window", 600),
        (replace(ADA, window=TimeWindow(8 * HOUR, 8 * HOUR + 2400)), ["tap"], "no_time", 600),
        (replace(TAP, excluded=frozenset({"ada"})), ["tap"], "excluded", None),
        (replace(ADA, breaks=(Break(TimeWindow(0, HOUR), 60),)), ["tap"], "no_time", None),
    ],
)
def test_what_cannot_be_driven_says_why_and_by_how_much(
    changed: Visit | Shift, visits: list[str], code: str, by: int | None
) -> None:
    day = small_day(changed)

    with pytest.raises(Infeasible) as refused:
        time_route(day, "ada-day", visits)

    assert (refused.value.reason.code, refused.value.reason.by) == (code, by)


@pytest.mark.parametrize(("shift", "visits"), [("nobody", ["tap"]), ("ada-day", ["moon"]), ("ada-day", [])])
def test_unknown_ids_and_empty_routes_are_refused(shift: str, visits: list[str]) -> None:
    with pytest.raises(InvalidProblem):
        time_route(small_day(), shift, visits)


def test_a_place_without_a_way_is_never_reached() -> None:
    day = small_day()
    seconds = day.travel.duration_s.copy()
    seconds[0, 1] = UNREACHABLE
    cut_off = replace(day, travel=TravelMatrix(seconds, day.travel.distance_m))

    with pytest.raises(Infeasible) as refused:
        time_route(cut_off, "ada-day", ["tap"])

    assert refused.value.reason.code == "no_time"


def starts_by_hand(problem: Problem, shift: Shift, visits: list[Visit]) -> list[list[int]]:
    """The starts of every way to place the breaks that keeps the route; slot 2k is before leaving node k, 2k + 1 on
    arrival at the next."""
    ways = []
    for slots in combinations_with_replacement(range(2 * len(visits) + 2), len(shift.breaks)):
        now, starts, place = shift.window.start, [], shift.start_place
        kept = True
        for node in range(len(visits) + 1):
            target = visits[node].place if node < len(visits) else shift.end_place
            for slot in (2 * node, 2 * node + 1):
                if slot % 2 and place is not None and target is not None:
                    now += int(problem.travel.duration_s[place, target])
                for pause in [shift.breaks[b] for b, chosen in enumerate(slots) if chosen == slot]:
                    now = max(now, pause.window.start)
                    kept &= now <= pause.window.end
                    now += pause.duration_s
            if node < len(visits):
                fitting = [window for window in windows_of(visits[node]) if now <= window.end]
                kept &= bool(fitting)
                now = max(now, fitting[0].start) if fitting else now
                starts.append(now)
                now += visits[node].service_s
            place = target
        if kept and now <= shift.window.end:
            ways.append(starts)
    return ways


@settings(max_examples=examples(60), deadline=None)
@given(seed=st.integers(0, 10**6), metric=st.booleans(), stops=st.integers(1, 3))
def test_breaks_are_placed_as_well_as_trying_every_way_by_hand(seed: int, metric: bool, stops: int) -> None:
    world = random_world(seed, metric=metric)
    shift = replace(world.shifts[0], skills={"wiring": 9}, radius_m=None, max_visits=None, max_travel_m=None)
    visits = [
        replace(visit, required=frozenset(), excluded=frozenset(), pin=None) for visit in world.visits[:stops]
    ]
    problem = Problem(tuple(visits), (shift,), world.travel)
    ways = starts_by_hand(problem, shift, visits)

    try:
        route = time_route(problem, shift.id, [visit.id for visit in visits])
    except Infeasible:
        assert ways == []
    else:
        assert [stop.start for stop in route.stops] == min(ways)


def test_shifts_of_one_technician_may_touch_and_not_overlap() -> None:
    evening = replace(BEN, id="evening", technician="ada", window=TimeWindow(16 * HOUR, 18 * HOUR))

    small_day(evening)

    with pytest.raises(InvalidProblem, match="overlaps another shift of ada"):
        small_day(replace(evening, window=TimeWindow(15 * HOUR, 18 * HOUR)))
