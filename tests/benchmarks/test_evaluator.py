"""The judge of all engines: what a plan costs, and each rule that it may break."""

from dataclasses import replace

import pytest

from benchmarks.evaluator import Evaluation, evaluate
from benchmarks.instance import Client, Instance, Route, VehicleType
from tests.benchmarks.worlds import DAY, instance_of

SMALL = instance_of(
    (
        Client(1, DAY, service=5, load=2),
        Client(2, DAY, service=5, load=2),
        Client(3, (100, 110), service=5, load=2, prize=70),
    ),
    (VehicleType(2, 0, DAY, capacity=6),),
)


def with_client(number: int, **members: object) -> Instance:
    clients = list(SMALL.clients)
    clients[number] = replace(clients[number], **members)  # type: ignore[arg-type]
    return replace(SMALL, clients=tuple(clients))


def with_type(**members: object) -> Instance:
    return replace(SMALL, vehicle_types=(replace(SMALL.vehicle_types[0], **members),))  # type: ignore[arg-type]


def judged(instance: Instance, *routes: tuple[int, ...]) -> Evaluation:
    return evaluate(instance, tuple(Route(0, clients) for clients in routes))


def test_a_sound_plan_costs_its_travel() -> None:
    evaluation = judged(SMALL, (0, 1, 2))

    assert evaluation == Evaluation(cost=60, travel=60, served=3, unserved=0, vehicles=1, broken=())


def test_a_client_left_out_costs_its_prize() -> None:
    evaluation = judged(SMALL, (0,), (1,))

    assert evaluation == Evaluation(cost=20 + 40 + 70, travel=60, served=2, unserved=1, vehicles=2, broken=())


def test_an_empty_route_counts_for_nothing() -> None:
    evaluation = judged(SMALL, (0, 1, 2), (), ())

    assert (evaluation.vehicles, evaluation.feasible) == (1, True)


def test_a_client_that_must_be_served_is_missed() -> None:
    evaluation = judged(SMALL, (0, 2))

    assert evaluation.broken == ("1 of the clients that must be served are not",)


def test_a_start_after_the_window_is_found() -> None:
    early = with_client(1, window=(0, 24))

    evaluation = judged(early, (0, 1, 2))

    assert evaluation.broken == ("route 0: client 1 is reached 1 too late",)


def test_a_start_at_the_end_of_the_window_is_in_time() -> None:
    just = with_client(1, window=(0, 25))

    evaluation = judged(just, (0, 1, 2))

    assert evaluation.feasible


def test_service_may_end_after_the_window() -> None:
    long = with_client(1, window=(0, 25), service=60)

    evaluation = judged(long, (0, 1, 2))

    assert evaluation.feasible


def test_a_late_return_is_found() -> None:
    short = with_type(window=(0, 134))

    evaluation = judged(short, (0, 1, 2))

    assert evaluation.broken == ("route 0: returns 1 too late",)


def test_a_load_above_the_capacity_is_found() -> None:
    small = with_type(capacity=5)

    evaluation = judged(small, (0, 1, 2))

    assert evaluation.broken == ("route 0: load 6 is above the capacity 5",)


def test_a_duration_counts_from_the_latest_departure() -> None:
    """60 of travel and 15 of service; leaving between 60 and 70 there is no wait for the third, which opens at 100.
    The earliest schedule, which leaves at 0, would take 135."""
    just, less = with_type(longest=75), with_type(longest=74)

    assert judged(just, (0, 1, 2)).feasible
    assert judged(less, (0, 1, 2)).broken == ("route 0: takes 75, longer than 74",)


def test_a_wait_that_no_departure_avoids_counts() -> None:
    """The first is reached at 10 at the latest, so it is left at 0; the third opens at 100, is done at 105 and 30 from
    the depot."""
    early = replace(with_client(0, window=(0, 10)), vehicle_types=(VehicleType(2, 0, DAY, longest=134),))

    evaluation = judged(early, (0, 1, 2))

    assert evaluation.broken == ("route 0: takes 135, longer than 134",)


def test_a_client_that_is_not_allowed_is_found() -> None:
    listed = with_type(clients=frozenset({0, 1}))

    evaluation = judged(listed, (0, 1, 2))

    assert evaluation.broken == ("route 0: client 2 is not allowed",)


@pytest.mark.parametrize(("level", "sound"), [(1, False), (2, True), (3, True)])
def test_a_skill_counts_from_its_level(level: int, sound: bool) -> None:
    skilled = replace(
        with_client(2, skills={"gas": 2}),
        vehicle_types=(replace(SMALL.vehicle_types[0], skills={"gas": level}),),
    )

    evaluation = judged(skilled, (0, 1, 2))

    assert evaluation.feasible is sound


@pytest.mark.parametrize("routes", [((0, 1, 1),), ((0, 1), (1, 2))])
def test_a_client_served_twice_is_found(routes: tuple[tuple[int, ...], ...]) -> None:
    evaluation = judged(SMALL, *routes)

    assert "client 1 is served 2 times" in evaluation.broken


def test_more_vehicles_than_exist_are_found() -> None:
    evaluation = judged(SMALL, (0,), (1,), (2,))

    assert evaluation.broken == ("3 vehicles of type 0 are used, 2 exist",)


@pytest.mark.parametrize("route", [Route(1, (0,)), Route(0, (7,)), Route(0, (-1,)), Route(-1, (0,))])
def test_what_does_not_exist_is_found(route: Route) -> None:
    evaluation = evaluate(SMALL, (route,))

    assert "is unknown" in evaluation.broken[0]


def test_legs_and_matrix_agree_on_every_pair() -> None:
    uneven = tuple((0.37 * k * k % 11, 1.73 * k % 7) for k in range(30))
    for rounding in ("truncated", "rounded"):
        travel = replace(SMALL.travel, points=uneven, scale=10, to_integer=rounding)  # type: ignore[type-var]
        matrix = travel.matrix()

        pairs = [(a, b) for a in range(30) for b in range(30)]

        assert all(travel.legs([a, b]) == [matrix[a, b]] for a, b in pairs)
