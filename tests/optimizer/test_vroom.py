"""VROOM's JSON: what is read, what is written, and what is refused.

The small day: places on a line 100 s and 1 km apart; vehicle 7 starts and ends at 0, jobs 1 and 2 lie at 1 and 2.
"""

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer import vroom
from optimizer.check import check
from optimizer.plan import BreakTaken, Plan, Reason, Route, Stop, Unserved
from optimizer.problem import UNREACHABLE, TimeWindow
from optimizer.schedule import time_route
from tests.support.examples import examples

DURATIONS = [[0, 100, 200], [100, 0, 100], [200, 100, 0]]
DISTANCES = [[0, 1000, 2000], [1000, 0, 1000], [2000, 1000, 0]]
DAY: dict[str, Any] = {
    "vehicles": [
        {
            "id": 7,
            "description": "Ada",
            "start_index": 0,
            "end_index": 0,
            "skills": [3],
            "time_window": [0, 10_000],
            "breaks": [{"id": 4, "time_windows": [[450, 600]], "service": 60}],
        }
    ],
    "jobs": [
        {
            "id": 1,
            "location_index": 1,
            "setup": 30,
            "service": 270,
            "skills": [3],
            "priority": 5,
            "description": "tap",
        },
        {"id": 2, "location_index": 2, "service": 300, "time_windows": [[1000, 2000]]},
    ],
    "matrices": {"car": {"durations": DURATIONS, "distances": DISTANCES}},
}
PLAN = Plan(
    (
        Route(
            "7",
            "7",
            (Stop("1", 100, 100, 400, 100, 1000), Stop("2", 610, 1000, 1300, 100, 1000)),
            departs_at=0,
            returns_at=1500,
            travel_s=400,
            travel_m=4000,
            breaks=(BreakTaken(450, 510),),
        ),
    ),
    (),
)


def day(**changes: Any) -> dict[str, Any]:
    return copy.deepcopy(DAY) | changes


def day_with_job(**changes: Any) -> dict[str, Any]:
    document = day()
    document["jobs"][0] |= changes
    return document


def day_with_vehicle(**changes: Any) -> dict[str, Any]:
    document = day()
    document["vehicles"][0] |= changes
    return document


def without(owner: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in owner.items() if name != key}


def test_jobs_and_vehicles_become_visits_and_shifts() -> None:
    problem = vroom.read_document(DAY).problem

    tap, sink = problem.visits
    (ada,) = problem.shifts
    assert (tap.id, tap.place, tap.service_s, dict(tap.skills), tap.priority) == ("1", 1, 300, {"3": 1}, 5)
    assert sink.windows == (TimeWindow(1000, 2000),)
    assert (ada.id, ada.technician, ada.window, ada.start_place) == ("7", "7", TimeWindow(0, 10_000), 0)
    assert ada.skills == {"3": 1}
    assert [(pause.window, pause.duration_s) for pause in ada.breaks] == [(TimeWindow(450, 600), 60)]
    assert problem.travel.duration_s.tolist() == DURATIONS
    assert problem.travel.distance_m.tolist() == DISTANCES


def test_coordinates_are_longitude_then_latitude_and_travel_by_geodesic() -> None:
    document = {
        "vehicles": [{"id": 1, "start": [-74.0060, 40.7128], "profile": "driving-car"}],
        "jobs": [{"id": 1, "location": [-73.9855, 40.7486]}, {"id": 2, "location": [-73.9855, 40.7486]}],
    }

    problem = vroom.read_document(document).problem

    assert problem.travel.places == 2
    assert 5_000 < problem.travel.distance_m[0, 1] < 7_000
    assert problem.shifts[0].end_place is None


def test_absent_windows_leave_room_for_all_the_work() -> None:
    document = day_with_vehicle()
    document["vehicles"][0] = without(document["vehicles"][0], "time_window")

    problem = vroom.read_document(document).problem

    assert problem.shifts[0].window.start == 0
    assert problem.shifts[0].window.end >= 1000 + 300 + 300 + 60 + 3 * 200


def test_absent_windows_among_timestamps_lie_around_them() -> None:
    noon = 1_900_000_000
    document = day_with_vehicle(breaks=[])
    document["vehicles"][0] = without(document["vehicles"][0], "time_window")
    document["jobs"][1]["time_windows"] = [[noon, noon + 60]]

    window = vroom.read_document(document).problem.shifts[0].window

    assert noon - 100_000 < window.start <= noon - 200
    assert window.end >= noon + 60 + 300 + 200


def test_a_time_window_of_many_years_is_an_open_one() -> None:
    noon = 1_900_000_000
    document = day_with_vehicle(breaks=[], time_window=[0, 2**32 - 1])
    document["jobs"][1]["time_windows"] = [[noon, noon + 60]]

    window = vroom.read_document(document).problem.shifts[0].window

    assert noon - 100_000 < window.start <= noon - 200
    assert noon + 60 + 300 + 200 <= window.end < noon + 100_000


def test_the_default_cost_is_the_seconds_of_travel() -> None:
    problem = vroom.read_document(DAY).problem

    assert problem.weights.travel_cents_per_h == 3600
    assert problem.shifts[0].cents_per_h == 0


def test_travel_costs_per_hour_and_work_per_task_hour() -> None:
    costs = {"fixed": 50, "per_hour": 2000, "per_km": 30, "per_task_hour": 500}

    problem = vroom.read_document(day_with_vehicle(costs=costs)).problem

    (ada,) = problem.shifts
    assert (ada.fixed_cents, ada.cents_per_km, ada.cents_per_h) == (50, 30, 500)
    assert ada.cents_per_h + problem.weights.travel_cents_per_h == 2000


def test_vehicles_of_different_hourly_cost_pay_each_their_own_for_travel() -> None:
    document = day_with_vehicle(costs={"per_hour": 5000})
    document["vehicles"].append({"id": 8, "start_index": 0, "costs": {"per_hour": 2000}})

    problem = vroom.read_document(document).problem

    travel = [shift.cents_per_h + problem.weights.travel_cents_per_h for shift in problem.shifts]
    assert travel == [5000, 2000]


def test_caps_are_read() -> None:
    (ada,) = vroom.read_document(day_with_vehicle(max_tasks=4, max_distance=9000)).problem.shifts

    assert (ada.max_visits, ada.max_travel_m) == (4, 9000)


def test_a_point_of_priority_outweighs_all_jobs_without() -> None:
    document = day()
    document["jobs"] = [{"id": n, "location_index": 1, "priority": int(n == 0)} for n in range(50)]

    urgent, *others = (visit.prize_cents or 0 for visit in vroom.read_document(document).problem.visits)

    assert urgent > sum(others)


def test_leaving_a_job_out_costs_more_than_the_longest_detour() -> None:
    problem = vroom.read_document(day_with_vehicle(costs={"fixed": 1000, "per_km": 10})).problem

    assert min(visit.prize_cents or 0 for visit in problem.visits) > 1000 + 2 * 200 + 2 * 2 * 10


def test_the_older_matrix_key_is_read() -> None:
    document = without(day(matrix=DURATIONS), "matrices")

    request = vroom.read_document(document)

    assert request.problem.travel.duration_s.tolist() == DURATIONS
    assert not request.with_distances


def test_hours_longer_than_the_work_leave_it_all_its_room() -> None:
    document = day_with_vehicle(breaks=[], time_window=[28_800, 43_200])
    document["jobs"] = [{"id": 1, "location_index": 1}]

    problem = vroom.read_document(document).problem

    assert problem.shifts[0].window == TimeWindow(28_800, 43_200)
    (window,) = problem.visits[0].windows
    assert window.start <= 28_800
    assert window.end >= 28_800 + 2 * 200


def test_deliveries_alone_and_pickups_alone_are_loads() -> None:
    document = day_with_vehicle(capacity=[2, 3])
    document["jobs"][0] |= {"delivery": [2, 0]}
    document["jobs"][1] |= {"delivery": [1, 0], "pickup": [0, 4]}

    problem = vroom.read_document(document).problem

    assert [visit.load for visit in problem.visits] == [(2, 0), (1, 4)]
    assert problem.shifts[0].capacity == (2, 3)


def test_the_older_amount_is_what_is_delivered() -> None:
    document = day_with_vehicle(capacity=[1])
    for job in document["jobs"]:
        job["amount"] = [1]

    assert [visit.load for visit in vroom.read_document(document).problem.visits] == [(1,), (1,)]


def test_goods_delivered_and_picked_up_are_refused_where_a_vehicle_could_overflow() -> None:
    document = day_with_vehicle(capacity=[3])
    document["jobs"][0]["delivery"], document["jobs"][1]["pickup"] = [2], [2]

    with pytest.raises(vroom.InputError, match="deliver and pick up goods of kind 0"):
        vroom.read_document(document)


def test_goods_delivered_and_picked_up_are_served_where_all_fit_at_once() -> None:
    document = day_with_vehicle(capacity=[4])
    document["jobs"][0]["delivery"], document["jobs"][1]["pickup"] = [2], [2]

    request = vroom.read_document(document)

    assert [visit.load for visit in request.problem.visits] == [(), ()]
    (route,) = vroom.write(request, PLAN)["routes"]
    assert [step["load"] for step in route["steps"]] == [[2], [0], [0], [2], [2]]
    assert (route["delivery"], route["amount"], route["pickup"]) == ([2], [2], [2])


def test_every_vehicle_has_a_capacity_or_none_has() -> None:
    document = day_with_vehicle(capacity=[3])
    document["vehicles"].append({"id": 8, "start_index": 0})

    with pytest.raises(vroom.InputError, match=r"vehicle 8\.capacity has 0 quantities"):
        vroom.read_document(document)


def test_a_limit_on_the_load_at_a_break_is_refused_where_it_could_bind() -> None:
    document = day_with_vehicle(capacity=[3])
    document["vehicles"][0]["breaks"][0]["max_load"] = [1]
    document["jobs"][0]["delivery"] = [2]

    with pytest.raises(vroom.InputError, match="a limit on the load at a break is not served"):
        vroom.read_document(document)


def test_times_per_type_of_vehicle_are_durations_by_level() -> None:
    document = day_with_vehicle(type="van")
    document["vehicles"].append({"id": 8, "start_index": 0, "skills": [3]})
    document["jobs"][0] |= {"service_per_type": {"van": 100}, "setup_per_type": {"": 7, "bike": 1}}

    problem = vroom.read_document(document).problem

    tap, sink = problem.visits
    assert [tap.service_s_at(shift.skills) for shift in problem.shifts] == [130, 277]
    assert [sink.service_s_at(shift.skills) for shift in problem.shifts] == [300, 300]


def test_one_speed_for_all_vehicles_scales_the_durations() -> None:
    durations = vroom.read_document(day_with_vehicle(speed_factor=2)).problem.travel.duration_s

    assert durations.tolist() == [[0, 50, 100], [50, 0, 50], [100, 50, 0]]


def test_vehicles_of_different_speed_are_refused() -> None:
    document = day()
    document["vehicles"].append({"id": 8, "start_index": 0, "speed_factor": 1.5})

    with pytest.raises(vroom.InputError, match="different speed_factor"):
        vroom.read_document(document)


def test_a_matrix_of_costs_is_what_travel_costs() -> None:
    costs = [[0, 7, 9], [7, 0, 3], [9, 3, 0]]
    matrices = {"car": {"durations": DURATIONS, "distances": DISTANCES, "costs": costs}}

    request = vroom.read_document(day(matrices=matrices))

    (ada,), weights = request.problem.shifts, request.problem.weights
    assert request.problem.travel.distance_m.tolist() == costs
    assert (ada.cents_per_km, ada.cents_per_h, weights.travel_cents_per_h) == (1000, 0, 0)
    (route,) = vroom.write(request, PLAN)["routes"]
    assert (route["cost"], route["duration"], route["distance"]) == (7 + 3 + 9, 400, 4000)


@pytest.mark.parametrize(
    "changes",
    [
        {"costs": {"per_km": 1}},
        {"costs": {"per_hour": 1}},
        {"costs": {"per_task_hour": 1}},
        {"max_distance": 9},
    ],
)
def test_beside_a_matrix_of_costs_other_prices_of_the_way_are_refused(changes: dict[str, Any]) -> None:
    matrices = {"car": {"durations": DURATIONS, "distances": DISTANCES, "costs": DURATIONS}}

    with pytest.raises(vroom.InputError, match="not served together with a matrix of costs"):
        vroom.read_document(day_with_vehicle(**changes) | {"matrices": matrices})


def test_given_steps_are_the_plan_to_start_from() -> None:
    steps = [{"type": "start"}, {"type": "job", "id": 2, "service_at": 1}, {"type": "break", "id": 4}]

    start = vroom.read_document(day_with_vehicle(steps=[*steps, {"type": "job", "id": 1}])).start_plan()

    assert start is not None
    assert [[stop.visit for stop in route.stops] for route in start.routes] == [["2", "1"]]


def test_without_steps_there_is_no_plan_to_start_from() -> None:
    assert vroom.read_document(DAY).start_plan() is None


@pytest.mark.parametrize("changes", [{"max_tasks": 1}, {"skills": []}, {"time_window": [0, 900]}])
def test_steps_that_break_a_rule_are_refused_as_a_plan_to_start_from(changes: dict[str, Any]) -> None:
    steps = [{"type": "job", "id": 1}, {"type": "job", "id": 2}]
    request = vroom.read_document(day_with_vehicle(steps=steps, **changes))

    with pytest.raises(vroom.InputError, match=r"vehicle 7\.steps cannot be driven as given"):
        request.start_plan()


def test_setup_is_spent_on_arrival_at_another_place_alone() -> None:
    document = day_with_vehicle(breaks=[], time_window=[0, 900])
    document["jobs"] = [{"id": n, "location_index": 1, "setup": 50, "service": 100} for n in (1, 2)]
    request = vroom.read_document(document)
    planned = Plan((time_route(request.problem, "7", ["1", "2"]),), ())

    (route,) = vroom.write(request, vroom.with_setups_spent_once(request, planned))["routes"]

    steps = [(step["type"], step["arrival"], step["setup"], step["service"]) for step in route["steps"]]
    assert steps == [("start", 0, 0, 0), ("job", 100, 50, 100), ("job", 250, 0, 100), ("end", 450, 0, 0)]


def test_geometry_is_the_line_through_the_places() -> None:
    document = day(options={"g": True})
    for owner, key, index in ((0, "start", 0), (0, "end", 0)):
        document["vehicles"][owner][key] = [-120.2, 38.5 + index]
    document["jobs"][0]["location"], document["jobs"][1]["location"] = [-120.95, 40.7], [-126.453, 43.252]

    (route,) = vroom.write(vroom.read_document(document), PLAN)["routes"]

    assert route["geometry"].startswith("_p~iF~ps|U_ulLnnqC_mqNvxq`@")


def test_a_document_beyond_the_limits_is_too_large_before_any_matrix_is_built() -> None:
    limits = vroom.Limits(locations=2, vehicles=1)
    crowded = without(day(jobs=[{"id": n} for n in range(3)]), "matrices")
    staffed = without(day(vehicles=[{"id": n} for n in range(2)]), "matrices")
    wide = day(matrices={"car": {"durations": [[0] * 5] * 5}})

    for document, sentence in ((crowded, "3 jobs"), (staffed, "2 vehicles"), (wide, "durations has 5 rows")):
        with pytest.raises(vroom.TooLarge, match=sentence):
            vroom.read_document(document, _NoTravel(), limits=limits)
    assert vroom.read_document(DAY, limits=limits).problem.travel.places == 3


class _NoTravel:
    def matrix(self, places: object, departs_at: object = None) -> Any:
        raise AssertionError("no matrix should have been asked for")


def test_an_enormous_duration_means_no_way() -> None:
    durations = [[0, 2**32 - 1, 200], [100, 0, 100], [200, 100, 0]]

    travel = vroom.read_document(day(matrices={"car": {"durations": durations}})).problem.travel

    assert travel.duration_s[0, 1] == UNREACHABLE
    assert travel.distance_m[0, 1] == UNREACHABLE


def test_what_does_not_change_the_answer_is_ignored() -> None:
    document = day_with_vehicle(capacity=[4], speed_factor=1)
    document["jobs"][0] |= {"delivery": [0], "amount": [7], "customer": "Eve"}
    document |= {"shipments": [], "options": {"g": False, "t": 4}, "note": "x"}

    assert vroom.read_document(document).problem.visits == vroom.read_document(DAY).problem.visits


def test_a_plan_is_written_step_by_step() -> None:
    request = vroom.read_document(DAY)
    assert check(request.problem, PLAN) == ()

    answer = vroom.write(request, PLAN, loading_ms=3, solving_ms=5)

    (route,) = answer["routes"]
    steps = [
        (s["type"], s.get("id"), s["arrival"], s["duration"], s["distance"], s.get("waiting_time"))
        for s in route["steps"]
    ]
    assert steps == [
        ("start", None, 0, 0, 0, 0),
        ("job", 1, 100, 100, 1000, 0),
        ("break", 4, 400, 100, 1000, 50),
        ("job", 2, 610, 200, 2000, 390),
        ("end", None, 1500, 400, 4000, 0),
    ]
    assert [s.get("setup") for s in route["steps"]] == [0, 30, 0, 0, 0]
    assert [s.get("service") for s in route["steps"]] == [0, 270, 60, 300, 0]
    assert route["steps"][1]["description"] == "tap"
    assert route["steps"][0]["location_index"] == 0


def test_the_summary_adds_up_the_routes() -> None:
    answer = vroom.write(vroom.read_document(DAY), PLAN, loading_ms=3, solving_ms=5)

    assert answer["code"] == 0
    assert answer["unassigned"] == []
    assert answer["summary"] == {
        "cost": 400,
        "routes": 1,
        "unassigned": 0,
        "setup": 30,
        "service": 630,
        "duration": 400,
        "waiting_time": 440,
        "priority": 5,
        "distance": 4000,
        "violations": [],
        "computing_times": {"loading": 3, "solving": 5, "routing": 0},
    }
    (route,) = answer["routes"]
    assert (route["vehicle"], route["description"], route["cost"]) == (7, "Ada", 400)


def test_the_time_of_a_route_is_travel_and_work_and_waiting() -> None:
    (route,) = vroom.write(vroom.read_document(DAY), PLAN)["routes"]

    first, last = route["steps"][0], route["steps"][-1]
    spent = route["duration"] + route["setup"] + route["service"] + route["waiting_time"]
    assert last["arrival"] - first["arrival"] == spent


def test_a_break_while_waiting_splits_the_waiting() -> None:
    document = day_with_vehicle(breaks=[{"id": 4, "time_windows": [[700, 700]], "service": 60}])
    (route,) = PLAN.routes
    stops = (route.stops[0], Stop("2", 500, 1000, 1300, 100, 1000))
    plan = Plan((Route("7", "7", stops, 0, 1500, 400, 4000, (BreakTaken(700, 760),)),), ())
    request = vroom.read_document(document)
    assert check(request.problem, plan) == ()

    steps = vroom.write(request, plan)["routes"][0]["steps"]

    assert [(s["type"], s["arrival"], s.get("waiting_time")) for s in steps[2:4]] == [
        ("break", 500, 200),
        ("job", 760, 240),
    ]


def test_an_open_end_has_no_end_step() -> None:
    document = day()
    document["vehicles"][0] = without(document["vehicles"][0], "end_index")
    (route,) = PLAN.routes
    plan = Plan((Route("7", "7", route.stops, 0, 1300, 200, 2000, route.breaks),), ())

    steps = vroom.write(vroom.read_document(document), plan)["routes"][0]["steps"]

    assert [s["type"] for s in steps] == ["start", "job", "break", "job"]


def test_without_distances_none_are_written() -> None:
    request = vroom.read_document(day(matrices={"car": {"durations": DURATIONS}}))
    (route,) = PLAN.routes
    stops = tuple(Stop(s.visit, s.arrival, s.start, s.end, s.travel_s, 0) for s in route.stops)
    plan = Plan((Route("7", "7", stops, 0, 1500, 400, 0, route.breaks),), ())

    answer = vroom.write(request, plan)

    assert "distance" not in answer["summary"]
    assert "distance" not in answer["routes"][0]["steps"][0]


def test_an_unassigned_job_says_why() -> None:
    reason = Reason("skill_missing", "lacks 9", ("7",))
    nearly = Reason("window", "opens 60 s earlier", by=60)
    unserved = tuple(Unserved(name, "impossible", (reason,), (nearly,)) for name in ("1", "2"))

    answer = vroom.write(vroom.read_document(DAY), Plan((), unserved))

    assert answer["summary"]["unassigned"] == 2
    assert answer["unassigned"][0] == {
        "id": 1,
        "description": "tap",
        "location_index": 1,
        "type": "job",
        "reasons": [{"code": "skill_missing", "detail": "lacks 9", "technicians": [7]}],
        "would_fit_if": [{"code": "window", "detail": "opens 60 s earlier", "by": 60}],
    }


def test_the_answer_is_json() -> None:
    answer = vroom.write(vroom.read_document(DAY), PLAN)

    assert json.loads(json.dumps(answer, allow_nan=False)) == answer


REFUSED: list[tuple[Any, str]] = [
    ([], "the document must be a JSON object"),
    ({}, "jobs must be an array"),
    (day(jobs=[]), "jobs must not be empty"),
    (day(vehicles=[]), "vehicles must not be empty"),
    (day(jobs="all"), "jobs must be an array"),
    (day(jobs=[1]), r"jobs\[0\] must be a JSON object"),
    (day(jobs=[{"location_index": 1}]), r"jobs\[0\]\.id is missing"),
    (day(jobs=DAY["jobs"] * 2), "job id 1 occurs twice"),
    (day(vehicles=DAY["vehicles"] * 2), "vehicle id 7 occurs twice"),
    (day(shipments=[{}]), "shipments are not served"),
    (day(options={"g": True}), "geometry needs a location"),
    (day(options=[]), "options must be a JSON object"),
    (day(options={"x": "hard"}), r"options\.x must be an integer"),
    (day(options={"l": 0}), r"options\.l must be a number of seconds"),
    (day(job=[]), "'jobs' meant"),
    (day_with_job(id=-1), "must lie between 0 and"),
    (day_with_job(id=2**63), "must lie between 0 and"),
    (day_with_job(id="1"), "must be an integer"),
    (day_with_job(id=True), "must be an integer"),
    (day_with_job(location_index=3), r"job 1\.location_index must lie between 0 and 2"),
    (day_with_job(location_index=-1), r"job 1\.location_index must lie between 0 and 2"),
    (day_with_job(service=-1), r"job 1\.service must lie"),
    (day_with_job(service=2**63), r"job 1\.service must lie"),
    (day_with_job(service=1.5), r"job 1\.service must be an integer"),
    (day_with_job(setup="5"), r"job 1\.setup must be an integer"),
    (day_with_job(skills=3), r"job 1\.skills must be an array"),
    (day_with_job(skills=["gas"]), r"job 1\.skills must be an integer"),
    (day_with_job(priority=101), r"job 1\.priority must lie between 0 and 100"),
    (day_with_job(time_windows=[[5, 4]]), r"job 1\.time_windows ends before it starts"),
    (day_with_job(time_windows=[[5, 9], [9, 12]]), "must not overlap"),
    (day_with_job(time_windows=[[7, 9], [1, 2]]), "must be sorted"),
    (day_with_job(time_windows=[[-1, 9]]), "must lie between 0 and"),
    (day_with_job(time_windows=[[0, 2**63]]), "must lie between 0 and"),
    (day_with_job(time_windows=[[0]]), r"must be \[start, end\]"),
    (day_with_job(time_windows=[7]), "must be an array"),
    (day_with_job(time_windows=None), "must be an array"),
    (day_with_job(time_windows=[]), r"job 1\.time_windows must not be empty"),
    (day_with_job(time_windows=[[n, n] for n in range(0, 62, 2)]), "has 31 entries; up to 30 are served"),
    (day_with_job(skills=list(range(101))), "has 101 entries; up to 100 are served"),
    (day_with_job(time_window=[0, 5]), "'time_windows' meant"),
    (day_with_job(delivery=[1]), r"job 1\.delivery has 1 quantities, the first vehicle's capacity 0"),
    (day_with_job(amount=[1]), r"job 1\.amount has 1 quantities"),
    (day_with_job(service_per_type=[1]), r"job 1\.service_per_type must be a JSON object"),
    (day_with_job(setup_per_type={"": -1}), r"job 1\.setup_per_type\. must lie between"),
    (day_with_job(description=5), r"job 1\.description must be a string"),
    (day_with_job(location=[0.0, 91.0]), "lat must lie between"),
    (day_with_job(location=[0.0]), r"must be \[longitude, latitude\]"),
    (day_with_job(location=["0", 1]), r"must be \[longitude, latitude\]"),
    (day_with_job(location=[10**400, 0]), r"job 1\.location"),
    (day_with_vehicle(time_window=[9, 1]), r"vehicle 7\.time_window ends before it starts"),
    (day_with_vehicle(time_windows=[[0, 9]]), "'time_window' meant"),
    (day_with_vehicle(max_travel_time=-5), r"vehicle 7\.max_travel_time must lie"),
    (day_with_vehicle(max_tasks=-1), r"vehicle 7\.max_tasks must lie"),
    (day_with_vehicle(max_distance=1.0), r"vehicle 7\.max_distance must be an integer"),
    (day_with_vehicle(steps={}), r"vehicle 7\.steps must be an array"),
    (day_with_vehicle(steps=[{"type": "lunch"}]), r"steps\[0\]\.type must be one of start, job, break, end"),
    (day_with_vehicle(steps=[{"type": "pickup", "id": 1}]), r"steps\[0\]: shipments are not served"),
    (day_with_vehicle(steps=[{"type": "job"}]), r"steps\[0\]\.id must be an integer"),
    (day_with_vehicle(steps=[{"type": "job", "id": 9}]), "job 9 is unknown"),
    (day_with_vehicle(steps=[{"type": "break", "id": 9}]), "break 9 is unknown"),
    (day_with_vehicle(steps=[{"type": "job", "id": 1}] * 2), "job 1 occurs twice"),
    (
        day_with_vehicle(steps=[{"type": "end"}, {"type": "start"}]),
        "must start with `start` and end with `end`",
    ),
    (
        day_with_vehicle(steps=[{"type": "job", "id": 1, "service_at": 5, "service_after": 6}]),
        "contradict each other",
    ),
    (day_with_vehicle(type=3), r"vehicle 7\.type must be a string"),
    (day_with_vehicle(speed_factor=0), r"vehicle 7\.speed_factor must lie between"),
    (day_with_vehicle(speed_factor="fast"), r"vehicle 7\.speed_factor must be a number"),
    (day_with_vehicle(capacity=[-1]), r"vehicle 7\.capacity must lie between"),
    (day_with_vehicle(capacity=[0] * 33), "capacity has 33 entries; up to 32 are served"),
    (day_with_vehicle(costs={"per_hour": -1}), r"vehicle 7\.costs\.per_hour must lie"),
    (day_with_vehicle(costs={"per_hours": 1}), "'per_hour' meant"),
    (day_with_vehicle(costs=[1]), r"vehicle 7\.costs must be a JSON object"),
    (day_with_vehicle(breaks=None), r"vehicle 7\.breaks must be an array"),
    (day_with_vehicle(breaks=[{}]), r"vehicle 7\.breaks\[0\]\.id is missing"),
    (day_with_vehicle(breaks=[{"id": 1}, {"id": 1}]), "occurs twice"),
    (day_with_vehicle(breaks=[{"id": 1, "max_load": [1]}]), "max_load has 1 quantities"),
    (day_with_vehicle(breaks=[{"id": n} for n in range(51)]), "has 51 entries; up to 50 are served"),
    (day_with_vehicle(breaks=[{"id": 1, "time_windows": [[0, 1], [3, 4]]}]), "several time windows"),
    (day_with_vehicle(profile=3), r"vehicle 7\.profile must be a string"),
    (day_with_vehicle(profile="bike"), "matrices has none for the profile 'bike'"),
    (without(day_with_vehicle(profile="bike"), "matrices"), "'bike' is not served without a matrix"),
    (without(DAY, "matrices"), "job 1 has no location"),
    (day(matrices=[]), "matrices must be a JSON object"),
    (day(matrices={"car": {}}), "the matrix of durations is missing"),
    (day(matrices={"car": {"durations": []}}), "durations must not be empty"),
    (day(matrices={"car": {"durations": [[0, 1], [1]]}}), "durations must be square"),
    (day(matrices={"car": {"durations": [[0, -1], [1, 0]]}}), "must lie between 0 and"),
    (day(matrices={"car": {"durations": [[0, 1.5], [1, 0]]}}), "must hold integers"),
    (day(matrices={"car": {"durations": [[0, 2**63], [1, 0]]}}), "must lie between 0 and"),
    (day(matrices={"car": {"durations": DURATIONS, "distances": [[0]]}}), "differ in size"),
    (day(matrices={"car": {"durations": DURATIONS, "costs": [[0]]}}), "differ in size"),
    (day(matrix=[[0, None], [1, 0]]), "must hold integers"),
]


@pytest.mark.parametrize(("document", "sentence"), REFUSED)
def test_what_cannot_be_planned_is_refused_with_a_sentence(document: Any, sentence: str) -> None:
    with pytest.raises(vroom.InputError, match=sentence):
        vroom.read_document(document)


def test_a_job_needs_a_location_and_a_vehicle_an_end() -> None:
    nowhere = day()
    nowhere["jobs"][0] = without(nowhere["jobs"][0], "location_index")
    adrift = day()
    adrift["vehicles"][0] = {"id": 7}

    with pytest.raises(vroom.InputError, match="job 1 has no location"):
        vroom.read_document(nowhere)
    with pytest.raises(vroom.InputError, match="vehicle 7 has neither start nor end"):
        vroom.read_document(adrift)


def test_with_a_matrix_coordinates_alone_are_refused() -> None:
    document = day()
    document["jobs"][0] = {"id": 1, "location": [2.35, 48.86]}

    with pytest.raises(vroom.InputError, match="with a matrix every place needs its index"):
        vroom.read_document(document)


def test_vehicles_of_two_profiles_are_refused() -> None:
    document = day()
    document["vehicles"].append({"id": 8, "start_index": 0, "profile": "truck"})

    with pytest.raises(vroom.InputError, match="different profiles"):
        vroom.read_document(document)


@pytest.mark.parametrize("changes", [{"max_distance": 5000}, {"costs": {"per_km": 1}}])
def test_rules_on_distance_need_distances(changes: dict[str, Any]) -> None:
    document = day_with_vehicle(**changes) | {"matrices": {"car": {"durations": DURATIONS}}}

    with pytest.raises(vroom.InputError, match="there are no distances"):
        vroom.read_document(document)


def test_costs_too_large_to_add_up_are_refused() -> None:
    durations = [[0, 90_000_000], [90_000_000, 0]]
    document = {
        "vehicles": [{"id": 1, "start_index": 0, "costs": {"per_hour": 10**8}}],
        "jobs": [{"id": 1, "location_index": 1}],
        "matrix": durations,
    }

    with pytest.raises(vroom.InputError, match="costs are too large"):
        vroom.read_document(document)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "nonsense",
        b"\xff\xfe",
        '{"jobs": NaN}',
        '{"jobs": -Infinity}',
        "[" * 100_000,
        '{"id": ' + "9" * 10_000 + "}",
    ],
)
def test_what_is_not_json_is_refused(text: str | bytes) -> None:
    with pytest.raises(vroom.InputError, match="the document"):
        vroom.read(text)


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**64), 2**64)
    | st.floats()
    | st.text(max_size=3)
    | st.sampled_from([[], {}, [[0, 1]], [0, 0]]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def damaged_days(draw: st.DrawFn) -> dict[str, Any]:
    """The small day with one value anywhere replaced by something else, or with a key more."""
    document = day_with_vehicle(
        steps=[{"type": "job", "id": 1}, {"type": "break", "id": 4}, {"type": "job", "id": 2}]
    )
    owner = draw(
        st.sampled_from(
            [
                document,
                document["jobs"][0],
                document["jobs"][1],
                document["vehicles"][0],
                document["vehicles"][0]["breaks"][0],
                document["vehicles"][0]["steps"][0],
                document["matrices"],
                document["matrices"]["car"],
            ]
        )
    )
    known = [
        *owner,
        "matrix",
        "options",
        "costs",
        "location",
        "start",
        "profile",
        "max_tasks",
        "steps",
        "capacity",
    ]
    known += [
        "delivery",
        "pickup",
        "amount",
        "type",
        "speed_factor",
        "max_travel_time",
        "service_per_type",
        "max_load",
    ]
    owner[draw(st.sampled_from(known))] = draw(JSON_VALUES)
    return document


@settings(deadline=None, max_examples=examples(300))
@given(document=damaged_days(), judged=st.booleans())
def test_damaged_input_is_answered_or_refused_and_nothing_else(
    document: dict[str, Any], judged: bool
) -> None:
    answer = vroom.answer(json.dumps(document).encode(), _nothing_planned, judged=judged)

    written = json.loads(answer.text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert written["code"] == answer.code
    assert answer.code == vroom.OK or (answer.code == vroom.INPUT_ERROR and written["error"])


@settings(deadline=None, max_examples=examples(100))
@given(document=JSON_VALUES)
def test_any_json_else_is_refused(document: Any) -> None:
    assert vroom.answer(json.dumps(document).encode(), _nothing_planned).code == vroom.INPUT_ERROR


def _nothing_planned(request: vroom.Request) -> Plan:
    request.start_plan()
    return Plan((), tuple(Unserved(visit.id, "not_found", ()) for visit in request.problem.visits))
