"""VROOM's plan mode: given routes are timed and judged.

The small day of `test_vroom`: places on a line 100 s and 1 km apart; vehicle 7 starts and ends at 0, jobs 1 and 2 lie
at 1 and 2, a break is due from 450 to 600.
"""

from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer import vroom
from optimizer.problem import TimeWindow
from optimizer.schedule import Infeasible, time_route
from optimizer.vroom.times import Bounds, Duty, Task, choose_times, seconds_off
from tests.optimizer.test_vroom import DISTANCES, DURATIONS, day_with_vehicle, without
from tests.support.examples import examples

JOB_1, JOB_2 = {"type": "job", "id": 1}, {"type": "job", "id": 2}
BREAK = {"type": "break", "id": 4}
START, END = {"type": "start"}, {"type": "end"}


def judged(document: Any) -> Any:
    return vroom.judge(vroom.read_document(document, judged=True))


def violations(answer: Any) -> dict[tuple[str, int | None], list[tuple[str, int | None]]]:
    """By type and id of the step: causes and durations, of the only route."""
    (route,) = answer["routes"]
    return {
        (step["type"], step.get("id")): [(v["cause"], v.get("duration")) for v in step["violations"]]
        for step in route["steps"]
        if step["violations"]
    }


def summed(answer: Any) -> list[dict[str, Any]]:
    (route,) = answer["routes"]
    assert route["violations"] == answer["summary"]["violations"]
    found: list[dict[str, Any]] = route["violations"]
    return found


def test_a_sound_route_is_timed_and_has_no_violations() -> None:
    answer = judged(day_with_vehicle(steps=[START, JOB_1, BREAK, JOB_2, END]))

    (route,) = answer["routes"]
    steps = [(s["type"], s.get("id"), s["arrival"], s["waiting_time"], s["duration"]) for s in route["steps"]]
    assert steps == [
        ("start", None, 0, 0, 0),
        ("job", 1, 100, 0, 100),
        ("break", 4, 450, 0, 150),
        ("job", 2, 560, 440, 200),
        ("end", None, 1500, 0, 400),
    ]
    assert summed(answer) == []
    assert answer["unassigned"] == []


def test_what_cannot_be_in_time_is_late_by_as_little_as_can_be() -> None:
    document = day_with_vehicle(breaks=[], steps=[JOB_1, JOB_2], time_window=[0, 1000])
    document["jobs"][1]["time_windows"] = [[0, 350]]

    answer = judged(document)

    assert violations(answer) == {("job", 2): [("delay", 150)]}
    assert summed(answer) == [{"cause": "delay", "duration": 150}]


def test_work_is_rather_late_than_the_shift_begun_early() -> None:
    document = day_with_vehicle(breaks=[], steps=[JOB_1], time_window=[1000, 2000])
    document["jobs"][0]["time_windows"] = [[1000, 1050]]

    assert violations(judged(document)) == {("job", 1): [("delay", 50)]}


def test_work_may_begin_too_early_where_that_spares_more_delay_behind_it() -> None:
    document = day_with_vehicle(breaks=[], steps=[JOB_1, JOB_2])
    document["jobs"][0]["time_windows"] = [[800, 800]]
    document["jobs"][1]["time_windows"] = [[700, 700]]
    document["jobs"].append({"id": 3, "location_index": 2, "time_windows": [[1000, 1000]]})
    document["vehicles"][0]["steps"].append({"type": "job", "id": 3})

    answer = judged(document)

    assert violations(answer) == {("job", 1): [("lead_time", 500)]}


def test_of_several_windows_the_nearest_counts() -> None:
    document = day_with_vehicle(breaks=[], steps=[START | {"service_at": 450}, JOB_1])
    document["jobs"][0]["time_windows"] = [[0, 500], [700, 800]]

    assert violations(judged(document)) == {}

    document["vehicles"][0]["steps"][1] = JOB_1 | {"service_before": 560}

    assert violations(judged(document)) == {("job", 1): [("delay", 50)]}


def test_a_decided_time_is_kept_before_any_window() -> None:
    document = day_with_vehicle(
        breaks=[], steps=[JOB_1 | {"service_at": 150}, JOB_2 | {"service_after": 2100}]
    )

    answer = judged(document)

    (route,) = answer["routes"]
    assert [step["arrival"] + step["waiting_time"] for step in route["steps"]] == [50, 150, 2100, 2600]
    assert violations(answer) == {("job", 2): [("delay", 100)]}


def test_decided_times_that_cannot_be_driven_are_refused() -> None:
    document = day_with_vehicle(
        breaks=[], steps=[JOB_1 | {"service_at": 150}, JOB_2 | {"service_before": 500}]
    )

    with pytest.raises(vroom.InputError, match=r"vehicle 7\.steps cannot be driven"):
        judged(document)


def test_a_missing_skill_is_found_at_its_job() -> None:
    assert violations(judged(day_with_vehicle(skills=[], breaks=[], steps=[JOB_1]))) == {
        ("job", 1): [("skills", None)]
    }


def test_a_break_left_out_is_missed_by_the_route() -> None:
    answer = judged(day_with_vehicle(steps=[JOB_1]))

    assert violations(answer) == {}
    assert summed(answer) == [{"cause": "missing_break"}]


def test_a_break_out_of_its_window_is_late() -> None:
    document = day_with_vehicle(steps=[JOB_1, BREAK])
    document["vehicles"][0]["breaks"][0]["time_windows"] = [[100, 360]]

    assert violations(judged(document)) == {("break", 4): [("delay", 40)]}


def test_caps_are_broken_from_the_step_on_that_breaks_them() -> None:
    caps = {"max_tasks": 1, "max_travel_time": 150, "max_distance": 3500}

    answer = judged(day_with_vehicle(breaks=[], steps=[JOB_1, JOB_2], **caps))

    assert violations(answer) == {
        ("job", 2): [("max_tasks", None), ("max_travel_time", None)],
        ("end", None): [("max_travel_time", None), ("max_distance", None)],
    }
    assert [v["cause"] for v in summed(answer)] == ["max_tasks", "max_travel_time", "max_distance"]


def test_loads_vary_along_the_route() -> None:
    document = day_with_vehicle(capacity=[3], steps=[JOB_1, BREAK, JOB_2])
    document["jobs"][0]["delivery"], document["jobs"][1]["pickup"] = [2], [4]
    document["vehicles"][0]["breaks"][0]["max_load"] = [0]

    answer = judged(document)

    assert violations(answer) == {("job", 2): [("load", None)], ("end", None): [("load", None)]}
    (route,) = answer["routes"]
    assert [step["load"] for step in route["steps"]] == [[2], [0], [0], [4], [4]]


def test_a_load_too_large_for_a_break_is_found_there() -> None:
    document = day_with_vehicle(capacity=[3], steps=[JOB_1, BREAK])
    document["jobs"][0]["pickup"] = [2]
    document["vehicles"][0]["breaks"][0]["max_load"] = [1]

    assert violations(judged(document)) == {("break", 4): [("max_load", None)]}


def test_vehicles_without_steps_stay_and_jobs_without_a_route_are_unassigned() -> None:
    answer = judged(day_with_vehicle())

    assert answer["routes"] == []
    assert [job["id"] for job in answer["unassigned"]] == [1, 2]


def test_a_vehicle_without_hours_is_never_late_for_itself() -> None:
    noon = 1_900_000_000
    document = day_with_vehicle(breaks=[], steps=[JOB_1, JOB_2])
    document["vehicles"][0] = without(document["vehicles"][0], "time_window")
    document["jobs"][1]["time_windows"] = [[noon, noon]]

    answer = judged(document)

    (route,) = answer["routes"]
    assert route["steps"][-1]["arrival"] == noon + 500
    assert noon - 100_000 < route["steps"][0]["arrival"]
    assert summed(answer) == []


def test_a_place_that_nothing_leads_to_is_refused() -> None:
    durations = [[0, 2**32 - 1, 200], [100, 0, 100], [200, 100, 0]]
    document = day_with_vehicle(breaks=[], steps=[JOB_1]) | {"matrices": {"car": {"durations": durations}}}

    with pytest.raises(vroom.InputError, match="there is no way to job 1"):
        judged(document)


INSTANTS = st.integers(0, 14)
WINDOWS = st.lists(INSTANTS, min_size=2, max_size=4, unique=True).map(
    lambda ends: tuple(TimeWindow(*pair) for pair in zip(sorted(ends)[::2], sorted(ends)[1::2], strict=False))
)
TASKS = st.builds(
    Task,
    windows=st.just(()) | WINDOWS,
    drive_s=st.integers(0, 3),
    action_s=st.integers(0, 3),
    is_break=st.just(False),
)


@st.composite
def duties(draw: st.DrawFn) -> Duty:
    hours = draw(st.tuples(INSTANTS, INSTANTS))
    return Duty(
        "7", 0, TimeWindow(min(hours), max(hours)), (draw(TASKS), draw(TASKS)), draw(st.integers(0, 3))
    )


def off_s(duty: Duty, begins: tuple[int, ...], departs_at: int, ends_at: int) -> int:
    assert duty.hours is not None
    early, late = max(0, duty.hours.start - departs_at), max(0, ends_at - duty.hours.end)
    return (
        early + late + sum(abs(seconds_off(t.windows, at)) for t, at in zip(duty.tasks, begins, strict=True))
    )


@settings(deadline=None, max_examples=examples(60))
@given(duty=duties())
def test_no_other_times_are_less_early_and_late(duty: Duty) -> None:
    first, second = duty.tasks
    least = min(
        off_s(duty, (one, two), one - first.drive_s, two + second.action_s + duty.home_s)
        for one, two in product(range(first.drive_s, 40), range(40))
        if two >= one + first.action_s + second.drive_s
    )

    times = choose_times(duty)

    assert times.begins[0] >= times.departs_at + first.drive_s
    assert times.begins[1] >= times.begins[0] + first.action_s + second.drive_s
    assert times.ends_at >= times.begins[1] + second.action_s + duty.home_s
    assert off_s(duty, times.begins, times.departs_at, times.ends_at) == least


def test_a_break_is_taken_on_the_way() -> None:
    pause = Task((TimeWindow(40, 50),), 0, 20, True)

    times = choose_times(Duty("7", 0, TimeWindow(0, 500), (pause, Task((), 100, 10, False)), 0, Bounds(0, 0)))

    assert (times.departs_at, times.begins, times.ends_at) == (0, (40, 120), 130)


@st.composite
def given_routes(draw: st.DrawFn) -> dict[str, Any]:
    jobs = [
        {
            "id": n,
            "location_index": draw(st.integers(0, 2)),
            "service": draw(st.integers(0, 300)),
            "delivery": [draw(st.integers(0, 2))],
            "skills": draw(st.sampled_from([[], [1], [2]])),
            "time_windows": [[start := draw(st.integers(0, 900)), start + draw(st.integers(0, 900))]],
        }
        for n in range(1, 4)
    ]
    vehicle = {
        "id": 7,
        "start_index": 0,
        "end_index": 0,
        "capacity": [draw(st.integers(2, 6))],
        "skills": [1, 2][: draw(st.integers(1, 2))],
        "time_window": [draw(st.integers(0, 300)), draw(st.integers(600, 2000))],
        "max_tasks": draw(st.integers(2, 4)),
        "max_distance": draw(st.integers(3000, 6000)),
        "max_travel_time": draw(st.integers(300, 600)),
        "steps": [{"type": "job", "id": n} for n in draw(st.permutations([1, 2, 3]))],
    }
    return {
        "jobs": jobs,
        "vehicles": [vehicle],
        "matrices": {"car": {"durations": DURATIONS, "distances": DISTANCES}},
    }


@settings(deadline=None, max_examples=examples(60))
@given(document=given_routes())
def test_a_route_is_without_violations_exactly_if_it_could_be_planned(document: dict[str, Any]) -> None:
    request = vroom.read_document(document)
    order = [str(step["id"]) for step in document["vehicles"][0]["steps"]]
    try:
        planned = time_route(request.problem, "7", order)
    except Infeasible:
        planned = None

    answer = judged(document)

    assert (summed(answer) == []) == (planned is not None)
    if planned is not None:
        begins = [
            s["arrival"] + s["waiting_time"] for s in answer["routes"][0]["steps"] if s["type"] == "job"
        ]
        assert begins == [stop.start for stop in planned.stops]
        assert answer["routes"][0]["steps"][0]["arrival"] == planned.departs_at
