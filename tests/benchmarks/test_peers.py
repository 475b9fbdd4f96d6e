"""Each adapter on instances whose best plan is known by hand: what it says and what the evaluator finds agree."""

import importlib.util
from dataclasses import replace

import pytest

from benchmarks.evaluator import evaluate
from benchmarks.instance import LARGEST_MATRIX, Client, Instance, NoRoom, Routes, VehicleType
from benchmarks.peers import NAMES, CannotModel, Peer, Task, load
from tests.benchmarks.worlds import DAY, instance_of, line

PACKAGES = {"pyvrp": "pyvrp", "vroom": "vroom"}
TELL_THEIR_LAST = ("search", "pyvrp")
TASK = Task(limit_s=0.6, seed=3, threads=1)


@pytest.fixture(params=NAMES)
def peer(request: pytest.FixtureRequest) -> Peer:
    package = PACKAGES.get(request.param)
    if package is not None and importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed (extra bench)")
    return load(request.param)


def solved(peer: Peer, instance: Instance) -> tuple[Routes, list[tuple[int, int]]]:
    """The routes, and what was told on the way; skipped where the engine has no way to say a rule."""
    told: list[tuple[int, int]] = []
    try:
        solve = peer.prepare(instance, TASK)
    except CannotModel as cannot:
        pytest.skip(f"{peer.name}: {cannot}")
    return solve(lambda cost, unserved: told.append((cost, unserved))), told


def require_best(peer: Peer, instance: Instance) -> None:
    """The plan is sound and costs `best_known`, and nothing better was told on the way."""
    routes, told = solved(peer, instance)

    evaluation = evaluate(instance, routes)
    assert evaluation.broken == ()
    assert evaluation.cost == instance.best_known
    assert all(cost >= evaluation.cost for cost, _ in told)
    if peer.name in TELL_THEIR_LAST:
        assert told[-1] == (evaluation.cost, evaluation.unserved)


def test_capacities_split_a_tour(peer: Peer) -> None:
    """One way to the four and back would be 80; two fit in a vehicle, best the near two and the far two."""
    instance = instance_of(
        tuple(Client(place, DAY, service=1, load=5) for place in (1, 2, 3, 4)),
        (VehicleType(3, 0, DAY, capacity=10),),
        best_known=40 + 80,
    )

    require_best(peer, instance)


def test_windows_order_a_tour(peer: Peer) -> None:
    """The far client first, then the near one, then the middle one: one vehicle alone has 30 + 20 + 10 + 20."""
    instance = instance_of(
        (Client(3, (0, 30)), Client(1, (50, 60)), Client(2, (65, 80))),
        (VehicleType(1, 0, DAY),),
        best_known=80,
    )

    require_best(peer, instance)


def test_a_longest_duration_needs_a_second_vehicle(peer: Peer) -> None:
    """Both in one tour cost 40, yet its wait between the windows is longer than the cap; apart they cost 60."""
    instance = instance_of(
        (Client(1, (10, 20)), Client(2, (300, 310))),
        (VehicleType(2, 0, DAY, longest=100),),
        best_known=20 + 40,
    )

    require_best(peer, instance)


def test_listed_clients_send_the_farther_vehicle(peer: Peer) -> None:
    """From the depot at 30 both are near, but only the vehicle at 0 may serve the second one."""
    instance = instance_of(
        (Client(2, DAY), Client(1, DAY)),
        (VehicleType(1, 0, DAY), VehicleType(1, 3, DAY, clients=frozenset({0}))),
        best_known=20 + 20,
    )

    require_best(peer, instance)


def test_levels_of_a_skill_send_the_farther_vehicle(peer: Peer) -> None:
    """Level 1 lives next door, level 2 is asked for."""
    instance = instance_of(
        (Client(3, DAY, skills={"gas": 2}, prize=100), Client(2, DAY, skills={"gas": 1}, prize=200)),
        (VehicleType(1, 0, DAY, skills={"gas": 3}), VehicleType(1, 4, DAY, skills={"gas": 1, "water": 3})),
        best_known=60,
    )

    require_best(peer, instance)


def test_a_prize_below_its_detour_is_left(peer: Peer) -> None:
    """The second would cost 40 more and is worth 30."""
    instance = instance_of(
        (Client(1, DAY, prize=50), Client(3, DAY, prize=30)), (VehicleType(1, 0, DAY),), best_known=20 + 30
    )

    require_best(peer, instance)


def test_homes_are_left_and_returned_to(peer: Peer) -> None:
    instance = instance_of(
        (Client(1, DAY, load=1), Client(3, DAY, load=1)),
        (VehicleType(1, 0, DAY, capacity=1), VehicleType(1, 4, DAY, capacity=1)),
        best_known=40,
    )

    require_best(peer, instance)


def test_vroom_says_that_it_knows_no_longest_duration() -> None:
    pytest.importorskip("vroom", reason="pyvroom is not installed (extra bench)")
    instance = instance_of((Client(1, DAY),), (VehicleType(1, 0, DAY, longest=100),))

    with pytest.raises(CannotModel, match="duration"):
        load("vroom").prepare(instance, TASK)


def test_a_matrix_beyond_all_room_is_not_made() -> None:
    instance = instance_of((Client(1, DAY),), (VehicleType(1, 0, DAY),))
    huge = replace(instance, travel=line(LARGEST_MATRIX + 1))

    with pytest.raises(NoRoom, match="20,001 places takes 1\\.6 GB"):
        load("search").prepare(huge, TASK)


def test_a_client_that_must_be_served_is_worth_more_than_any_detour() -> None:
    from benchmarks.peers.search import problem_of

    instance = instance_of((Client(9, DAY), Client(1, DAY, prize=7)), (VehicleType(1, 0, DAY),))

    problem = problem_of(instance)

    assert problem.visits[1].prize_cents == 7
    assert (problem.visits[0].prize_cents or 0) > 2 * 90 + 7


def test_no_more_shifts_than_clients_are_made() -> None:
    from benchmarks.peers.search import problem_of

    instance = instance_of((Client(1, DAY, load=4),), (VehicleType(250, 0, DAY, capacity=10),))
    many = replace(instance, clients=instance.clients * 3)

    assert [len(problem_of(each).shifts) for each in (instance, many)] == [1, 3]
