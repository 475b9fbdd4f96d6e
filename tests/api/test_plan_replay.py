"""`dispatch plan replay`: the kept input of a run is solved again."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Engine
from sqlmodel import Session, select

from api.cli import main
from dispatch import plan_input
from dispatch.ids import new_id
from dispatch.plan_input import PlanInput
from dispatch.replanning import PlanOptions
from dispatch.settings import Settings
from tests.dispatch.test_fewer_moves import crossed
from tests.dispatch.test_replanning import executed
from tests.dispatch.world import World

Run = Callable[..., Result]


@pytest.fixture
def planned(session: Session, settings: Settings, engine: Engine) -> str:
    world = World(session, settings)
    crossed(world)
    run = executed(world, engine, PlanOptions(max_work=200, dry_run=True))
    run_id = run.id
    session.commit()
    return run_id


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, settings: Settings, tmp_path: Path) -> Run:
    monkeypatch.setenv("DISPATCH_DATABASE_URL", settings.database_url)
    monkeypatch.setenv("DISPATCH_DATA_DIR", str(tmp_path / "var"))
    monkeypatch.setenv("COLUMNS", "200")
    return lambda *words: CliRunner().invoke(main, [str(word) for word in words])


def test_the_same_plan_exits_with_0_and_says_so(run: Run, planned: str) -> None:
    answer = run("plan", "replay", planned)

    assert answer.exit_code == 0, answer.output
    assert "the same plan" in answer.output
    assert "as they were" in answer.output


def test_another_plan_exits_with_1_and_shows_the_differences(
    run: Run, planned: str, session: Session
) -> None:
    kept = session.get_one(PlanInput, planned)
    assert kept.record is not None
    record = plan_input._unpacked(kept.record)
    shift, visits = next(iter(record["answer"]["routes"].items()))
    record["answer"]["routes"][shift] = visits[1:]
    kept.record = plan_input._packed(record)
    session.commit()

    answer = run("plan", "replay", planned)

    assert answer.exit_code == 1
    assert "differences" in answer.output
    assert visits[0] in answer.output
    assert "unassigned" in answer.output


def test_a_plan_that_kept_nothing_or_is_not_there_is_said_in_a_line(
    run: Run, planned: str, session: Session
) -> None:
    session.delete(session.exec(select(PlanInput)).one())
    session.commit()

    before, unknown = run("plan", "replay", planned), run("plan", "replay", new_id())

    assert (before.exit_code, unknown.exit_code) == (1, 1)
    assert "DISPATCH_PLAN_INPUT_DAYS" in before.output
    assert "There is no plan" in unknown.output


def test_to_plan_still_needs_an_organization(run: Run) -> None:
    answer = run("plan")

    assert answer.exit_code == 2
    assert "--organization" in answer.output
