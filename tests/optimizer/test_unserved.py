"""Why visits are left out."""

from dataclasses import replace

from optimizer import Plan, TimeWindow, Visit, solve, time_route
from optimizer.unserved import explain_unserved
from tests.optimizer.worlds import ADA, HOUR, LAMP, MINUTE, SINK, TAP, small_day


def test_a_visit_that_nobody_has_the_skill_for_is_impossible_and_says_so() -> None:
    plan = solve(small_day(replace(LAMP, skills={"gas": 1})), max_work=20)

    (left_out,) = plan.unserved
    assert (left_out.visit, left_out.verdict) == ("lamp", "impossible")
    assert [(why.code, why.technicians) for why in left_out.reasons] == [("skill_missing", ("ada", "ben"))]
    assert [why.code for why in left_out.would_fit_if] == ["skill_missing"]


def test_a_visit_not_worth_its_way_is_dearer_by_the_difference() -> None:
    day = small_day(replace(TAP, prize_cents=600))
    day = replace(day, visits=(day.visits[0],), shifts=(replace(ADA, fixed_cents=100),))

    plan = solve(day, max_work=20)

    (left_out,) = plan.unserved
    assert (left_out.verdict, left_out.extra_cents) == ("dearer", 100 + 1_000 - 600)


def test_a_visit_that_others_leave_no_room_for_is_not_found_and_names_the_window() -> None:
    only_nine = (TimeWindow(9 * HOUR, 9 * HOUR),)
    day = small_day(replace(SINK, windows=only_nine), replace(TAP, skills={"plumbing": 2}, windows=only_nine))
    plan = Plan((time_route(day, "ada-day", ["sink"]), time_route(day, "ben-day", ["lamp", "oven"])), ())

    (left_out,) = explain_unserved(day, plan)

    assert (left_out.visit, left_out.verdict) == ("tap", "not_found")
    assert [(why.code, why.technicians) for why in left_out.reasons] == [
        ("window", ("ada",)),
        ("level_too_low", ("ben",)),
    ]
    earlier, later = sorted(why.by or 0 for why in left_out.would_fit_if if why.code == "window")
    assert (earlier, later) == (40 * MINUTE, 40 * MINUTE)
    assert "no_time" in [why.code for why in left_out.would_fit_if]


def test_one_who_does_not_work_at_the_time_has_no_shift() -> None:
    night = Visit("night", 1, 600, (TimeWindow(22 * HOUR, 23 * HOUR),))

    plan = solve(small_day(night), max_work=20)

    (left_out,) = plan.unserved
    assert [(why.code, why.technicians) for why in left_out.reasons] == [("no_shift", ("ada", "ben"))]


def test_a_full_plan_has_nothing_to_explain() -> None:
    day = small_day()
    plan = Plan(
        (time_route(day, "ada-day", ["tap", "sink"]), time_route(day, "ben-day", ["lamp", "oven"])), ()
    )

    assert explain_unserved(day, plan) == ()
