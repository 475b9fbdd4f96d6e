"""What a run was given is kept, and gives the same plan again."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine
from sqlmodel import select

import optimizer
from dispatch import plan_input
from dispatch.errors import NotFound
from dispatch.plan_input import PlanInput, Replay, kept_of, replay
from dispatch.plan_run import PlanRun
from dispatch.replanning import PlanOptions
from dispatch.worker import run_due
from tests.dispatch.test_fewer_moves import crossed
from tests.dispatch.test_replanning import executed
from tests.dispatch.world import NOW, World


def busy(world: World, engine: Engine, **options: Any) -> PlanRun:
    """A day with choices, planned."""
    crossed(world)
    for km in (3, 17, 22, 38):
        world.job(world.service(), km=km)
    return executed(world, engine, PlanOptions(dry_run=True, **options))


def again(world: World, run_id: str) -> Replay:
    return replay(world.settings, kept_of(world.session, world.settings, run_id))


@pytest.mark.parametrize(
    "options", [{"max_work": 300, "seed": 5}, {"time_limit_s": 0.5}, {"max_work": 300, "max_moves": 1}]
)
def test_what_was_kept_gives_the_same_plan_again(
    world: World, engine: Engine, options: dict[str, Any]
) -> None:
    run = busy(world, engine, **options)

    found = again(world, run.id)

    assert found.differences == ()
    assert found.has_same_travel
    assert found.versions == ()
    assert found.solves == (2 if "max_moves" in options else 1)


def test_a_day_that_changed_since_is_solved_as_it_was(world: World, engine: Engine) -> None:
    run = busy(world, engine, max_work=300)
    world.technician("New", home_km=20)
    world.job(world.service(), km=20)

    assert again(world, run.id).differences == ()


def test_another_search_is_told_by_visit_and_term(
    world: World, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = busy(world, engine, max_work=300)
    solve = optimizer.solve

    def nothing_moves(problem: Any, **options: Any) -> Any:
        return solve(problem, max_work=0, start=options["start"])

    monkeypatch.setattr(optimizer, "solve", nothing_moves)
    found = again(world, run.id)

    assert found.differences
    assert {"minimise_travel"} <= {difference.what for difference in found.differences}


def test_versions_that_decide_are_kept_and_compared(world: World, engine: Engine) -> None:
    run = busy(world, engine, max_work=50)
    kept = world.session.get_one(PlanInput, run.id)
    assert set(kept.versions) == {"freelance-dispatch", "ortools", "numba", "numpy", "python"}
    kept.versions = kept.versions | {"numpy": "0.1"}
    world.session.flush()

    [other] = again(world, run.id).versions

    assert (other.what, other.kept) == ("numpy", "0.1")


def test_travel_that_is_other_than_it_was_is_told(
    world: World, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = busy(world, engine, max_work=50)
    monkeypatch.setattr(plan_input, "_digest", lambda travel: "another")

    assert not again(world, run.id).has_same_travel


def test_a_run_without_an_input_says_so(world: World, engine: Engine) -> None:
    run = busy(world, engine, max_work=50)
    world.session.delete(world.session.get_one(PlanInput, run.id))
    world.session.flush()

    with pytest.raises(NotFound, match="no input kept"):
        again(world, run.id)
    with pytest.raises(NotFound, match="no plan"):
        again(world, "nothing")


def test_inputs_are_dropped_after_the_days_of_the_setting_and_answers_stay(
    world: World, engine: Engine
) -> None:
    run = busy(world, engine, max_work=50)
    world.session.commit()
    days = timedelta(days=world.settings.plan_input_days)

    run_due(engine, world.settings, NOW + days)
    assert len(world.session.exec(select(PlanInput)).all()) == 1
    world.session.rollback()
    run_due(engine, world.settings, NOW + days + timedelta(seconds=1))

    world.session.rollback()
    assert world.session.exec(select(PlanInput)).all() == []
    assert world.session.get_one(PlanRun, run.id).result is not None


def test_a_run_that_failed_keeps_what_it_was_given(
    world: World, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise MemoryError("too large")

    monkeypatch.setattr(optimizer, "solve", broken)
    with pytest.raises(MemoryError):
        busy(world, engine, max_work=50)

    world.session.rollback()
    kept = world.session.exec(select(PlanInput)).one()
    with pytest.raises(NotFound, match="no answer"):
        again(world, kept.plan_run_id)
