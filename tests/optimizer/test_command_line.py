"""`python -m optimizer solve`, run as people run it and, where only the answer matters, in this process."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from optimizer.__main__ import main

DURATIONS = [[0, 100, 200], [100, 0, 100], [200, 100, 0]]
DAY: dict[str, Any] = {
    "vehicles": [
        {"id": 1, "start_index": 0, "end_index": 0, "time_window": [0, 5000], "skills": [1]},
        {"id": 2, "start_index": 2, "end_index": 2, "time_window": [0, 5000]},
    ],
    "jobs": [
        {"id": 11, "location_index": 1, "service": 300, "skills": [1]},
        {"id": 12, "location_index": 2, "service": 300, "time_windows": [[1000, 2000]]},
        {"id": 13, "location_index": 1, "service": 300, "skills": [9], "description": "roof"},
    ],
    "matrices": {"car": {"durations": DURATIONS, "distances": DURATIONS}},
}
CENTURIES_APART = {"id": 2, "start_index": 0, "time_window": [0, 9]}


def answer_to(document: object, *options: str) -> tuple[int, dict[str, Any]]:
    run = CliRunner().invoke(
        main, ["solve", "-", *options], input=json.dumps(document), catch_exceptions=False
    )
    return run.exit_code, json.loads(run.stdout)


def test_vrooms_json_goes_in_and_comes_out() -> None:
    exit_code, answer = answer_to(DAY, "--max-work", "500")

    assert exit_code == 0
    assert answer["code"] == 0
    assert {
        route["vehicle"]: [s["id"] for s in route["steps"] if s["type"] == "job"]
        for route in answer["routes"]
    } == {
        1: [11],
        2: [12],
    }
    assert answer["summary"]["cost"] == 200
    (roof,) = answer["unassigned"]
    assert (roof["id"], roof["description"]) == (13, "roof")
    assert roof["reasons"][0]["code"] == "skill_missing"
    assert roof["reasons"][0]["technicians"] == [1, 2]


def test_the_same_seed_and_work_give_the_same_routes() -> None:
    first = answer_to(DAY, "--max-work", "500", "--seed", "3")[1]
    second = answer_to(DAY, "--max-work", "500", "--seed", "3")[1]

    assert first["routes"] == second["routes"]


def test_the_routing_engine_answers_too() -> None:
    exit_code, answer = answer_to(DAY, "--engine", "routing", "--time-limit", "0.2")

    assert exit_code == 0
    assert answer["summary"]["cost"] == 200


def test_breaks_coordinates_and_open_ends_are_planned() -> None:
    document = {
        "vehicles": [
            {
                "id": 1,
                "start": [-73.99, 40.73],
                "time_window": [0, 20_000],
                "breaks": [{"id": 5, "time_windows": [[3000, 3600]], "service": 600}],
            }
        ],
        "jobs": [
            {"id": n, "location": [-73.99 + n / 100, 40.73], "setup": 60, "service": 900} for n in range(1, 5)
        ],
    }

    _, answer = answer_to(document, "--max-work", "500")

    (route,) = answer["routes"]
    kinds = [step["type"] for step in route["steps"]]
    arrivals = [step["arrival"] for step in route["steps"]]
    assert sorted(kinds) == ["break", "job", "job", "job", "job", "start"]
    assert arrivals == sorted(arrivals)
    assert answer["summary"]["distance"] > 3000


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        ({"jobs": [], "vehicles": []}, "jobs must not be empty"),
        (DAY | {"shipments": [{}]}, "shipments are not served"),
        (
            DAY
            | {"vehicles": [CENTURIES_APART | {"id": 1, "time_window": [2**32, 2**32 + 9]}, CENTURIES_APART]},
            "cannot be planned at once",
        ),
    ],
)
def test_what_cannot_be_planned_is_answered_with_code_2(document: object, sentence: str) -> None:
    exit_code, answer = answer_to(document, "--max-work", "10")

    assert exit_code == 2
    assert answer["code"] == 2
    assert sentence in answer["error"]


LATE: dict[str, Any] = {
    "vehicles": [{"id": 1, "start_index": 0, "end_index": 0, "steps": [{"type": "job", "id": 11}]}],
    "jobs": [{"id": 11, "location_index": 1, "time_windows": [[0, 60]]}],
    "matrices": {"car": {"durations": DURATIONS}},
}


def check(document: object) -> tuple[int, dict[str, Any]]:
    run = CliRunner().invoke(main, ["check", "-"], input=json.dumps(document), catch_exceptions=False)
    return run.exit_code, json.loads(run.stdout)


def test_check_judges_a_hand_made_plan_with_vrooms_causes() -> None:
    exit_code, answer = check(LATE)

    assert exit_code == 1
    assert answer["summary"]["violations"] == [{"cause": "delay", "duration": 40}]
    assert [step["violations"] for step in answer["routes"][0]["steps"]] == [
        [],
        [{"cause": "delay", "duration": 40}],
        [],
    ]


def test_check_is_content_with_what_solve_gave() -> None:
    _, solved = answer_to(DAY, "--max-work", "200")
    vehicles = [dict(vehicle) for vehicle in DAY["vehicles"]]
    for vehicle, route in zip(vehicles, solved["routes"], strict=True):
        vehicle["steps"] = [
            {key: step[key] for key in ("type", "id") if key in step} for step in route["steps"]
        ]

    exit_code, judged = check(DAY | {"vehicles": vehicles})

    assert exit_code == 0
    assert [job["id"] for job in judged["unassigned"]] == [13]
    assert [route["steps"] for route in judged["routes"]] == [route["steps"] for route in solved["routes"]]


def test_check_refuses_what_cannot_be_judged() -> None:
    exit_code, answer = check(LATE | {"jobs": []})

    assert (exit_code, answer) == (2, {"code": 2, "error": "jobs must not be empty"})


def test_solve_judges_where_the_document_asks_for_it() -> None:
    exit_code, answer = answer_to(LATE | {"options": {"c": True}})

    assert exit_code == 0
    assert answer["summary"]["violations"] == [{"cause": "delay", "duration": 40}]


def test_solve_starts_from_the_steps_that_are_given() -> None:
    vehicles = [
        {"id": n, "start_index": 0, "end_index": 0, "steps": [{"type": "job", "id": 3 - n}]} for n in (1, 2)
    ]
    jobs = [{"id": n, "location_index": n} for n in (1, 2)]

    _, answer = answer_to(DAY | {"vehicles": vehicles, "jobs": jobs}, "--max-work", "200")
    exit_code, refused = answer_to(LATE)

    assert answer["summary"]["cost"] == 400
    assert exit_code == 2
    assert "vehicle 1.steps cannot be driven as given" in refused["error"]


@pytest.mark.parametrize(
    ("vehicle", "job", "served"),
    [
        ({"capacity": [1]}, {"delivery": [1]}, 1),
        ({"capacity": [2]}, {"delivery": [1]}, 2),
        ({"max_travel_time": 200}, {}, 1),
        ({"type": "slow", "time_window": [0, 800]}, {"service_per_type": {"slow": 600}}, 1),
        ({"type": "quick", "time_window": [0, 800]}, {"service_per_type": {"slow": 600}}, 2),
        ({"speed_factor": 0.1, "time_window": [0, 3000]}, {}, 1),
    ],
)
def test_loads_types_speeds_and_caps_are_kept(
    vehicle: dict[str, Any], job: dict[str, Any], served: int
) -> None:
    document = {
        "vehicles": [{"id": 1, "start_index": 0, "end_index": 0, **vehicle}],
        "jobs": [{"id": n, "location_index": n, **job} for n in (1, 2)],
        "matrix": DURATIONS,
    }

    _, answer = answer_to(document, "--max-work", "200")

    assert 2 - answer["summary"]["unassigned"] == served
    assert all(job["reasons"] for job in answer["unassigned"])


def test_it_reads_a_file_and_writes_to_standard_output(tmp_path: Path) -> None:
    day = tmp_path / "day.json"
    day.write_text(json.dumps(DAY))

    run = subprocess.run(
        [
            sys.executable,
            "-m",
            "optimizer",
            "solve",
            str(day),
            "--time-limit",
            "0.3",
            "--seed",
            "1",
            "--threads",
            "1",
        ],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (run.returncode, run.stderr) == (0, "")
    assert json.loads(run.stdout)["code"] == 0


def test_help_says_what_it_does() -> None:
    alone = CliRunner().invoke(main, ["--help"])
    solve = CliRunner().invoke(main, ["solve", "--help"])

    assert "solve" in alone.stdout
    assert "check" in alone.stdout
    for option in ("--time-limit", "--seed", "--threads", "--max-work", "--engine"):
        assert option in solve.stdout
