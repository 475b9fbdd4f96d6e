"""A plan that may move only so many of the visits that stand."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import Engine
from sqlmodel import select

from dispatch import applying, placing
from dispatch.appointment import Appointment, Status
from dispatch.plan_run import PlanRun, PlanStatus
from dispatch.plan_task import PlanTask, moves_of, solve_task
from dispatch.replanning import PlanOptions
from dispatch.shift import Shift as ShiftRow
from dispatch.technician import Technician
from optimizer import Plan, Problem, Shift, TimeWindow, TravelMatrix, Visit, check, time_route
from optimizer.objective import objective
from tests.dispatch.test_replanning import executed, result
from tests.dispatch.world import DISPATCHER, NOW, World, clock_time
from tests.support.examples import examples


def stands(world: World, technician: Technician, km: float, hour: int) -> Appointment:
    """A visit that is promised and planned, perhaps with the wrong one."""
    job = world.job(world.service(), km=km)
    window = clock_time(hour), clock_time(hour + 2)
    placing.place(world.session, world.settings, job, window, technician.no)
    job.appointment.promise(window)
    job.appointment.move(Status.SCHEDULED)
    world.session.flush()
    return job.appointment


def crossed(world: World) -> list[Appointment]:
    """West has the visits of the east, and East those of the west: each visit is worth moving."""
    west, east = world.technician("West", home_km=0), world.technician("East", home_km=40)
    return [stands(world, west, 40, hour) for hour in (9, 12)] + [
        stands(world, east, 1, hour) for hour in (9, 12)
    ]


def planned(world: World, engine: Engine, max_moves: int | None, dry_run: bool = False) -> PlanRun:
    return executed(world, engine, PlanOptions(max_work=400, max_moves=max_moves, dry_run=dry_run))


@pytest.mark.parametrize("most", [0, 1, 2, 3])
def test_at_most_so_many_visits_that_stand_are_moved(world: World, engine: Engine, most: int) -> None:
    visits = crossed(world)
    before = {visit.id: (visit.technician_no, visit.scheduled_start) for visit in visits}

    run = planned(world, engine, most)

    assert run.status is PlanStatus.DONE, run.error
    world.session.expire_all()
    moved = {v.id for v in visits if (v.technician_no, v.scheduled_start) != before[v.id]}
    assert len(moved) <= most
    assert moved == {item["appointment_id"] for item in result(run)["moved"]}


def test_without_a_bound_all_that_is_worth_it_is_moved(world: World, engine: Engine) -> None:
    crossed(world)

    assert len(result(planned(world, engine, None))["moved"]) == 4


def test_the_moves_that_there_are_go_where_they_save_most(world: World, engine: Engine) -> None:
    west, east = world.technician("West", home_km=0), world.technician("East", home_km=30)
    stands(world, west, 10, 9)
    far = stands(world, west, 30, 12)
    stands(world, east, 20, 9)

    run = planned(world, engine, 1)

    assert [item["appointment_id"] for item in result(run)["moved"]] == [far.id]
    assert world.session.get_one(Appointment, far.id).technician_no == east.no


def test_what_is_newly_assigned_is_no_move(world: World, engine: Engine) -> None:
    crossed(world)
    new = [world.job(world.service(hours=0.5), km=km) for km in (2, 39)]

    run = planned(world, engine, 0)

    assert {item["appointment_id"] for item in result(run)["assigned"]} == {job.appointment.id for job in new}
    assert result(run)["moved"] == []


def test_more_moves_never_cost_more(world: World, engine: Engine) -> None:
    crossed(world)

    costs = [
        sum(result(planned(world, engine, most, dry_run=True))["objective"].values()) for most in range(5)
    ]

    assert costs == sorted(costs, reverse=True)
    assert costs[4] < costs[0]


def test_what_stood_with_somebody_who_is_gone_is_no_move(world: World, engine: Engine) -> None:
    visits = crossed(world)[:2]
    [gone] = {visit.technician_no for visit in visits}
    for shift in world.session.exec(select(ShiftRow).where(ShiftRow.technician_no == gone)):
        world.session.delete(shift)
    world.session.flush()

    run = planned(world, engine, 0)

    assert {item["appointment_id"] for item in result(run)["moved"]} <= {visit.id for visit in visits}
    assert all(visit.technician_no != gone for visit in visits)


def test_a_group_that_would_move_more_by_the_time_it_is_applied_is_stale(
    world: World, engine: Engine
) -> None:
    crossed(world)
    run = planned(world, engine, 4, dry_run=True)
    assert result(run)["moved"]
    run.max_moves = 0

    applying.apply_plan(world.session, world.settings, run, DISPATCHER, NOW)

    assert result(run)["moved"] == []
    assert len(result(run)["skipped_stale"]) == 4


def line_task(homes: list[int], standing: list[list[int]], new: list[int], most: int) -> PlanTask:
    """Places on a line, a minute apart. standing: by shift, the places of visits that stand there, an hour each, the
    first at 1:00, then every two hours, each with half an hour of room on both sides."""
    km = np.arange(41, dtype=np.int32)
    away = np.abs(km[:, None] - km[None, :])
    travel = TravelMatrix(away * np.int32(60), away * np.int32(1000))
    shifts = tuple(Shift(f"s{n}", f"t{n}", TimeWindow(0, 36_000), home, home) for n, home in enumerate(homes))
    visits, routes = [], []
    for shift, places in zip(shifts, standing, strict=False):
        own = [
            Visit(f"{shift.id}v{n}", place, 3600, (TimeWindow(1800 + 7200 * n, 5400 + 7200 * n),))
            for n, place in enumerate(places)
        ]
        visits += own
        held = tuple(
            replace(visit, windows=(TimeWindow(3600 + 7200 * n, 3600 + 7200 * n),))
            for n, visit in enumerate(own)
        )
        if own:
            routes.append(time_route(Problem(held, (shift,), travel), shift.id, [visit.id for visit in own]))
    visits += [Visit(f"n{n}", place, 1800, (TimeWindow(0, 36_000),)) for n, place in enumerate(new)]
    stands = {stop.visit: (route.technician, stop.start) for route in routes for stop in route.stops}
    return PlanTask(
        Problem(tuple(visits), shifts, travel), Plan(tuple(routes), ()), stands, None, 300, 0, most
    )


@hypothesis_settings(max_examples=examples(30), deadline=None)
@given(
    homes=st.lists(st.integers(0, 40), min_size=2, max_size=4),
    standing=st.lists(st.lists(st.integers(0, 40), max_size=4), min_size=2, max_size=4),
    new=st.lists(st.integers(0, 40), max_size=4),
    most=st.integers(0, 6),
)
def test_whatever_stands_a_bounded_plan_keeps_every_rule_and_is_no_worse(
    homes: list[int], standing: list[list[int]], new: list[int], most: int
) -> None:
    task = line_task(homes, standing, new, most)

    plan = solve_task(task).plan

    assert check(task.problem, plan) == ()
    assert len(moves_of(task.stands, task.stands, plan.routes)) <= most
    assert plan.cost_cents <= sum(objective(task.problem, task.standing).values())
