from datetime import date

import pytest
from matplotlib.image import imread

from optimizer import Plan
from seed.by_hand import plan_by_hand
from seed.city import Day, generate_calls, generate_freelancers
from seed.map import draw_map, main_trade
from seed.problem import world_of

DAY = date(2026, 11, 24)


@pytest.fixture
def world():
    return world_of(Day(DAY, generate_calls(DAY, count=30), generate_freelancers(DAY, count=8)))


def test_a_map_of_two_plans_is_twice_as_wide_as_one(world, tmp_path):
    plan = plan_by_hand(world.problem)

    draw_map(world.problem, {"one": plan}, world.places, tmp_path / "one.png", title="A day")
    draw_map(world.problem, {"one": plan, "two": plan}, world.places, tmp_path / "two.png", title="A day")

    one, two = imread(tmp_path / "one.png"), imread(tmp_path / "two.png")
    assert two.shape[0] == one.shape[0]
    assert two.shape[1] == 2 * one.shape[1]


def test_routes_are_drawn(world, tmp_path):
    plan = plan_by_hand(world.problem)

    draw_map(world.problem, {"plan": plan}, world.places, tmp_path / "routes.png", title="A day")
    draw_map(world.problem, {"plan": Plan((), ())}, world.places, tmp_path / "none.png", title="A day")

    assert (imread(tmp_path / "routes.png") != imread(tmp_path / "none.png")).mean() > 0.003


def test_a_map_of_no_plan_is_refused(world, tmp_path):
    with pytest.raises(ValueError, match="no plan to draw"):
        draw_map(world.problem, {}, world.places, tmp_path / "none.png", title="A day")


def test_the_main_trade_is_the_one_with_the_highest_level(world):
    for shift in world.problem.shifts:
        assert shift.skills[main_trade(shift)] == max(shift.skills.values())
