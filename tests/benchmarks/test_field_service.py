"""The generated day of field service."""

import itertools

import numpy as np
import pytest

from benchmarks.evaluator import evaluate
from benchmarks.field_service import LEVEL_SHARES, SKILLS, FieldService
from benchmarks.instance import Route


def test_the_same_seed_gives_the_same_day() -> None:
    first, again, other = (FieldService(60, 30, seed).instance() for seed in (4, 4, 5))

    assert first == again
    assert first.clients != other.clients


def test_every_visit_has_a_technician_who_may_serve_it() -> None:
    instance = FieldService(300, 30, seed=2).instance()

    rights = instance.rights()

    assert rights.allowed.any(axis=0).all()
    assert not rights.all_alike


def test_every_level_of_every_skill_is_held() -> None:
    technicians = FieldService(10, 24, seed=3).instance().vehicle_types

    levels = {pair for kind in technicians for pair in kind.skills.items()}

    assert {f"skill {skill}" for skill in range(SKILLS)} == {
        skill for skill, level in levels if level == len(LEVEL_SHARES)
    }


def test_there_are_as_many_visits_in_a_square_kilometre_at_every_size() -> None:
    sizes = [FieldService.named(name) for name in ("1000x100", "5000x500", "50000x5000")]

    density = [size.visits / size.side_km**2 for size in sizes]

    assert density == pytest.approx([0.625] * 3)


def test_places_lie_in_the_square() -> None:
    """40 km: no way in it is longer than its diagonal of 56.6 km, driven at 40 km/h with the detour of 1.3."""
    travel = FieldService(1000, 10, seed=1).instance().travel

    longest = int(travel.matrix().max())

    assert 4_000 < longest <= 60 + 56.7 * 1.3 / 40 * 3600


def test_legs_and_matrix_agree() -> None:
    travel = FieldService(40, 10, seed=6).instance().travel
    way = np.random.default_rng(0).permutation(50).tolist()

    legs = travel.legs(way)

    matrix = travel.matrix()
    assert legs == [matrix[a, b] for a, b in itertools.pairwise(way)]


def test_a_visit_left_out_costs_three_hours_for_each_priority() -> None:
    instance = FieldService(200, 20, seed=1).instance()

    evaluation = evaluate(instance, (Route(0, ()),))

    assert {client.prize for client in instance.clients} == {10_800, 21_600, 32_400}
    assert evaluation.cost == sum(client.prize or 0 for client in instance.clients)


@pytest.mark.parametrize("name", ["", "x", "10", "0x5", "5x0", "axb", "-1x4"])
def test_a_size_that_has_no_day_is_refused(name: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 -- int() and the class each say it in their own words
        FieldService.named(name)
