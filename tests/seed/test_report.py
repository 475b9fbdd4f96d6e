import io
import json
from dataclasses import replace
from datetime import UTC, date

import numpy as np
import pytest
from rich.console import Console

from optimizer import Problem, Reason, Shift, TimeWindow, TravelMatrix, Unserved, Visit, solve
from seed.by_hand import plan_by_hand
from seed.errors import BrokenPlan
from seed.rehearse import promised_window
from seed.report import (
    WHY_UNSERVED,
    as_json,
    as_table,
    compare,
    figures_from_json,
    nearest_reason,
)

HOUR = 3600
DAY = date(1970, 1, 1)


def small_day():
    """Two plumbers, four leaks, and a tree for which there is nobody. From home to a leak 600 s and 5 km, from leak
    to leak 60 s and 500 m; the second plumber's home is 20 km from everything."""
    seconds = np.full((7, 7), 60, np.int32)
    seconds[5, :] = seconds[:, 5] = 600
    seconds[6, :] = seconds[:, 6] = 2400
    np.fill_diagonal(seconds, 0)
    metres = (seconds * 25 // 3).astype(np.int32)
    windows = (TimeWindow(0, 10 * HOUR),)
    leaks = [Visit(f"leak-{i}", i, HOUR, windows, {"plumbing": 1}, priority=3 * (i % 2)) for i in range(4)]
    tree = Visit("tree", 4, HOUR, windows, {"tree_care": 2})
    shifts = (
        Shift("near", "ann", TimeWindow(0, 8 * HOUR), 5, 5, {"plumbing": 2}, cents_per_h=4_000),
        Shift("far", "bob", TimeWindow(0, 8 * HOUR), 6, 6, {"plumbing": 5}, cents_per_h=6_000),
    )
    return Problem((*leaks, tree), shifts, TravelMatrix(seconds, metres))


def promise(visit, start):
    return promised_window(start, UTC)


@pytest.fixture
def comparison():
    problem = small_day()
    return compare(problem, solve(problem, max_work=200, seed=0), plan_by_hand(problem), promise)


def printed(table):
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(table)
    return console.export_text()


def test_figures_count_what_the_plan_does(comparison):
    figures = comparison.by_hand

    assert (figures.visits, figures.served) == (5, 4)
    assert (figures.urgent, figures.urgent_served) == (2, 2)
    assert figures.unserved == {"skill_missing": 1}
    assert (figures.technicians, figures.promised) == (1, 4)
    assert figures.travel_s == 600 + 3 * 60 + 600
    assert figures.travel_m == 5_000 + 3 * 500 + 5_000
    assert figures.work_s == figures.travel_s + 4 * HOUR


def test_both_plans_are_priced_by_the_same_objective(comparison):
    assert comparison.ours.objective.keys() == comparison.by_hand.objective.keys()
    assert comparison.ours.cost_cents == comparison.plan.cost_cents
    assert comparison.ours.cost_cents <= comparison.by_hand.cost_cents


def test_a_broken_plan_stops_the_report_and_lists_what_is_broken():
    problem = small_day()
    plan = plan_by_hand(problem)
    stop = plan.routes[0].stops[0]
    too_soon = replace(plan.routes[0], stops=(replace(stop, start=stop.start - 1), *plan.routes[0].stops[1:]))

    with pytest.raises(BrokenPlan, match="our plan breaks") as broken:
        compare(problem, replace(plan, routes=(too_soon,)), plan, promise)

    assert {violation.visit for violation in broken.value.violations} == {stop.visit}
    assert all(violation.detail in str(broken.value) for violation in broken.value.violations)


def test_a_broken_plan_by_hand_stops_the_report_too():
    problem = small_day()
    plan = plan_by_hand(problem)

    with pytest.raises(BrokenPlan, match="the plan by hand breaks"):
        compare(problem, plan, replace(plan, unserved=()), promise)


def test_a_visit_left_out_counts_under_the_reason_nearest_to_a_yes():
    far = Reason("skill_missing", "lacks plumbing", ("a", "b"))
    near = Reason("no_time", "has no time left", ("c",))

    assert nearest_reason(Unserved("v", "not_found", (far, near))) == "no_time"
    assert nearest_reason(Unserved("v", "impossible", (far,))) == "skill_missing"
    assert nearest_reason(Unserved("v", "dearer", (near,))) == "dearer"


def test_the_table_shows_both_plans_and_their_ratios(comparison):
    text = printed(as_table(comparison.ours, comparison.by_hand, "One day"))

    for words in (
        "One day",
        "Visits served",
        "4 of 5",
        WHY_UNSERVED["skill_missing"],
        "Promises kept",
        "12 km",
    ):
        assert words in text
    assert "1.00" in text


def test_the_table_of_an_empty_day_has_no_ratios():
    problem = Problem((), (), TravelMatrix(np.zeros((0, 0), np.int32), np.zeros((0, 0), np.int32)))
    nothing = plan_by_hand(problem)

    figures = compare(problem, nothing, nothing, promise).ours
    text = printed(as_table(figures, figures, "Nothing"))

    assert "0 of 0" in text
    assert "–" in text


def test_calls_that_came_too_late_count_as_left_out_of_both():
    problem = small_day()
    plan = plan_by_hand(problem)

    late = compare(problem, plan, plan, promise, too_late=2)

    assert (late.ours.visits, late.ours.served) == (late.by_hand.visits, late.by_hand.served) == (7, 4)
    assert late.ours.unserved == {"notice": 2, "skill_missing": 1}


def test_figures_come_back_from_json(comparison):
    stored = json.loads(json.dumps(as_json(comparison, DAY)))

    assert figures_from_json(stored["ours"]) == comparison.ours


def test_json_holds_the_figures_the_ratios_and_both_plans(comparison):
    answer = json.loads(json.dumps(as_json(comparison, DAY)))

    assert answer["date"] == "1970-01-01"
    assert answer["ours"]["served"] == 4
    assert answer["ours"]["cost_cents"] == comparison.ours.cost_cents
    assert answer["ratios"]["served"] == 1.0
    (route,) = answer["by_hand"]["plan"]["routes"]
    assert route["technician"] == "ann"
    assert route["stops"][0]["scheduled_start"] == "1970-01-01T00:10:00Z"
    assert [stop["visit"] for stop in route["stops"]] == [
        stop.visit for stop in comparison.plan_by_hand.routes[0].stops
    ]
    (left_out,) = answer["by_hand"]["plan"]["unserved"]
    assert left_out["visit"] == "tree"
    assert left_out["reasons"][0]["code"] == "skill_missing"
