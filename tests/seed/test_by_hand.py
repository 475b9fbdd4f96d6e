from datetime import date

import numpy as np
import pytest

from optimizer import Break, Pin, Plan, Problem, Shift, TimeWindow, TravelMatrix, Visit
from optimizer.check import check
from seed.by_hand import plan_by_hand
from seed.city import Day, generate_calls, generate_freelancers
from seed.problem import world_of

HOUR = 3600


def line(*kilometres):
    """Places on a line, each at so many kilometres; a kilometre is driven in 60 s."""
    at = np.array(kilometres)
    apart = np.abs(at[:, None] - at[None, :])
    return TravelMatrix((apart * 60).astype(np.int32), (apart * 1000).astype(np.int32))


def visit(name, place, *, start=0, end=8 * HOUR, service_s=HOUR, skills=None, **rest):
    return Visit(name, place, service_s, (TimeWindow(start, end),), skills or {"plumbing": 1}, **rest)


def shift(name, home, *, skills=None, end=8 * HOUR, technician=None, **rest):
    return Shift(name, technician or name, TimeWindow(0, end), home, home, skills or {"plumbing": 3}, **rest)


def stops(plan):
    return {route.shift: [stop.visit for stop in route.stops] for route in plan.routes}


def reasons(plan):
    return {entry.visit: [reason.code for reason in entry.reasons] for entry in plan.unserved}


def sound_plan(problem, order=None):
    plan = plan_by_hand(problem, order)
    assert check(problem, plan) == ()
    return plan


def test_the_nearest_qualified_technician_gets_the_call():
    problem = Problem(
        (visit("leak", 0),),
        (shift("far", 2), shift("near", 1), shift("next door", 0, skills={"painting": 5})),
        line(0, 10, 30),
    )

    plan = sound_plan(problem)

    assert stops(plan) == {"near": ["leak"]}


def test_of_two_about_as_near_the_one_who_can_start_first_goes():
    problem = Problem(
        (visit("first", 1), visit("second", 0)),
        (shift("busy", 1), shift("free", 2)),
        line(10, 9, 12),
    )

    plan = sound_plan(problem)

    assert stops(plan) == {"busy": ["first"], "free": ["second"]}


def test_first_come_is_first_served():
    visits = (visit("a", 0, service_s=5 * HOUR), visit("b", 0, service_s=5 * HOUR))
    problem = Problem(visits, (shift("only", 0),), line(0))

    assert stops(sound_plan(problem)) == {"only": ["a"]}
    assert stops(sound_plan(problem, order=["b", "a"])) == {"only": ["b"]}


def test_a_gap_before_an_agreed_visit_is_used_and_what_was_agreed_stays():
    problem = Problem(
        (visit("afternoon", 0, start=5 * HOUR, end=6 * HOUR), visit("morning", 1)),
        (shift("only", 0),),
        line(0, 3),
    )

    plan = sound_plan(problem)

    assert stops(plan) == {"only": ["morning", "afternoon"]}
    assert plan.routes[0].stops[1].start == 5 * HOUR


def test_a_break_is_taken_between_visits():
    lunch = Break(TimeWindow(2 * HOUR, 3 * HOUR), HOUR // 2)
    visits = tuple(visit(name, 0, service_s=2 * HOUR) for name in ("a", "b", "c"))
    problem = Problem(visits, (shift("only", 0, breaks=(lunch,)),), line(0))

    plan = sound_plan(problem)

    assert stops(plan) == {"only": ["a", "b", "c"]}
    (taken,) = plan.routes[0].breaks
    assert taken.start == 2 * HOUR
    assert plan.routes[0].stops[1].start == taken.end


def test_a_break_is_taken_at_the_door_when_that_leaves_time_to_drive_before():
    lunch = Break(TimeWindow(2 * HOUR, 2 * HOUR), HOUR // 2)
    problem = Problem(
        (visit("far", 0, start=2 * HOUR + 1800, end=2 * HOUR + 1800),),
        (shift("only", 1, breaks=(lunch,)),),
        line(60, 0),
    )

    plan = sound_plan(problem)

    assert plan.routes[0].departs_at == HOUR
    assert plan.routes[0].stops[0].arrival == plan.routes[0].breaks[0].start == 2 * HOUR


def test_a_break_after_the_last_visit_is_taken_at_home():
    lunch = Break(TimeWindow(4 * HOUR, 5 * HOUR), HOUR // 2)
    problem = Problem((visit("early", 0),), (shift("only", 1, breaks=(lunch,)),), line(5, 0))

    plan = sound_plan(problem)

    assert plan.routes[0].returns_at == HOUR + 600
    assert plan.routes[0].breaks[0].start == 4 * HOUR


def test_the_way_home_must_fit_into_the_shift_unless_its_end_is_open():
    work = visit("long", 0, service_s=7 * HOUR)
    closed = Problem((work,), (shift("home", 1),), line(35, 0))
    open_end = Problem(
        (work,), (Shift("open", "open", TimeWindow(0, 8 * HOUR), 1, None, {"plumbing": 1}),), line(35, 0)
    )

    assert reasons(sound_plan(closed)) == {"long": ["no_time"]}
    assert stops(sound_plan(open_end)) == {"open": ["long"]}


@pytest.mark.parametrize(
    ("asked", "offered", "code"),
    [
        ({"skills": {"electric": 1}}, {}, "skill_missing"),
        ({"skills": {"plumbing": 4}}, {}, "level_too_low"),
        ({"excluded": frozenset({"only"})}, {}, "excluded"),
        ({"required": frozenset({"another"})}, {}, "excluded"),
        ({}, {"radius_m": 4_000}, "outside_radius"),
        ({}, {"max_visits": 0}, "visit_cap"),
        ({}, {"max_travel_m": 9_999}, "travel_cap"),
        ({"end": 299}, {}, "window"),
        ({"start": 9 * HOUR, "end": 10 * HOUR}, {}, "no_shift"),
    ],
)
def test_a_call_that_nobody_can_take_says_why(asked, offered, code):
    problem = Problem((visit("call", 0, **asked),), (shift("only", 1, **offered),), line(5, 0))

    assert reasons(sound_plan(problem)) == {"call": [code]}


def test_a_pinned_call_goes_to_the_technician_it_names_at_its_time():
    pinned = visit("call", 0, skills={"electric": 5}, pin=Pin("far", 3 * HOUR))
    problem = Problem((pinned,), (shift("near", 1), shift("far", 2)), line(0, 1, 50))

    plan = sound_plan(problem)

    assert stops(plan) == {"far": ["call"]}
    assert plan.routes[0].stops[0].start == 3 * HOUR


def test_both_shifts_of_a_technician_are_used():
    day_and_night = (
        shift("day", 0, technician="t"),
        Shift("night", "t", TimeWindow(8 * HOUR, 12 * HOUR), 0, 0, {"plumbing": 1}),
    )
    visits = (visit("noon", 0, service_s=8 * HOUR), visit("midnight", 0, end=9 * HOUR))
    problem = Problem(visits, day_and_night, line(0))

    plan = sound_plan(problem)

    assert stops(plan) == {"day": ["noon"], "night": ["midnight"]}


def test_an_order_that_is_not_that_of_the_visits_is_refused():
    problem = Problem((visit("a", 0),), (shift("only", 0),), line(0))

    with pytest.raises(ValueError, match="every visit of the problem once"):
        plan_by_hand(problem, order=["a", "a"])


def test_a_day_without_visits_or_technicians_has_an_empty_plan():
    nobody = plan_by_hand(Problem((visit("a", 0),), (), line(0)))

    assert plan_by_hand(Problem((), (shift("only", 0),), line(0))) == Plan((), (), engine="by hand")
    assert [entry.verdict for entry in nobody.unserved] == ["impossible"]


@pytest.mark.parametrize("seed", range(5))
def test_generated_days_planned_by_hand_break_no_rule(seed):
    day = date(2026, 11, 24)
    calls, people = generate_calls(day, count=120, seed=seed), generate_freelancers(day, count=20, seed=seed)

    world = world_of(Day(day, calls, people))
    plan = sound_plan(world.problem)

    assert 60 <= plan.served <= 120
    assert plan.served + len(plan.unserved) + world.too_late == 120
