"""Engines in processes of their own: those that hang, fail, lie or decline are rows that say so."""

import textwrap
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks.instance import Client, Instance, VehicleType
from benchmarks.peers import Task
from benchmarks.runner import Point, Row, run
from tests.benchmarks.worlds import DAY, instance_of

HEAD = """
    import os, subprocess, sys, time
    from pathlib import Path
    from benchmarks.instance import Route
    from benchmarks.peers import CannotModel, NoPlan, Peer
"""
TAIL = """
    PEER = Peer("made", "1", threaded=False, seeded=True, prepare=prepare)
"""


@dataclass(frozen=True, slots=True)
class SmallDay:
    """Two clients on a line; a child process finds it by this module's name."""

    prize: int

    def instance(self) -> Instance:
        return instance_of(
            (Client(1, DAY), Client(2, DAY, prize=self.prize)), (VehicleType(1, 0, DAY),), best_known=40
        )


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "Maker":
    root = Path(__file__).parents[2]
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{root}")
    return Maker(tmp_path)


@dataclass
class Maker:
    """Writes an engine as a module of its own, and runs it."""

    folder: Path

    def run(self, prepare: str, grace: float = 30.0) -> Row:
        package = self.folder / "made"
        package.mkdir()
        text = textwrap.dedent(HEAD) + textwrap.dedent(prepare) + textwrap.dedent(TAIL)
        (package / "engine.py").write_text(text)
        source = SmallDay(prize=70)
        return run(source, source.instance(), "made.engine", Task(0.2, 5, 1), grace=grace)


def test_a_sound_plan_is_a_row_with_its_cost(engine: Maker) -> None:
    row = engine.run("""
        def prepare(instance, task):
            def solve(tell):
                tell(90, 1)
                tell(95, 0)
                time.sleep(task.limit_s)
                return (Route(0, (0, 1)),)
            return solve
    """)

    assert (row.status, row.cost, row.unserved, row.vehicles, row.seed) == ("ok", 40, 0, 1, 5)
    assert [(point.cost, point.unserved) for point in row.points] == [(90, 1)]
    assert row.first_s is not None
    assert row.took_s is not None
    assert row.first_s < row.took_s


def test_a_hanging_engine_is_killed_with_what_it_started(engine: Maker) -> None:
    row = engine.run(
        """
        def prepare(instance, task):
            def solve(tell):
                helper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
                Path(__file__).with_name("helper").write_text(str(helper.pid))
                tell(50, 0)
                time.sleep(600)
            return solve
        """,
        grace=3.0,
    )

    helper = int((engine.folder / "made" / "helper").read_text())
    assert (row.status, row.cost) == ("killed", None)
    assert row.reason == "killed after 3.2 s"
    assert row.points == (Point(row.points[0].elapsed_s, 50, 0),)
    assert not is_running(helper)


def test_a_failing_engine_is_told_with_its_last_word(engine: Maker) -> None:
    row = engine.run("""
        def prepare(instance, task):
            raise RuntimeError("no licence")
    """)

    assert (row.status, row.cost) == ("failed", None)
    assert "no licence" in row.reason


def test_a_crashing_engine_is_told_with_its_signal(engine: Maker) -> None:
    row = engine.run("""
        def prepare(instance, task):
            return lambda tell: os.abort()
    """)

    assert row.status == "failed"
    assert "exit code -6" in row.reason


def test_a_plan_that_breaks_a_rule_has_no_cost(engine: Maker) -> None:
    row = engine.run("""
        def prepare(instance, task):
            return lambda tell: (Route(0, (0,)), Route(0, (1,)))
    """)

    assert (row.status, row.cost) == ("infeasible", None)
    assert "2 vehicles of type 0 are used, 1 exist" in row.reason


def test_an_engine_may_decline(engine: Maker) -> None:
    row = engine.run("""
        def prepare(instance, task):
            raise CannotModel("no prizes")
    """)

    assert (row.status, row.reason) == ("cannot model", "no prizes")


def test_an_engine_may_end_without_a_plan(engine: Maker) -> None:
    row = engine.run("""
        def prepare(instance, task):
            def solve(tell):
                raise NoPlan("nothing found")
            return solve
    """)

    assert (row.status, row.reason) == ("no plan", "nothing found")
    assert row.took_s is not None


def test_memory_is_the_childs_own(engine: Maker) -> None:
    row = engine.run("""
        def prepare(instance, task):
            ballast = b"x" * 200_000_000
            return lambda tell: (Route(0, (0, 1)),) if ballast else ()
    """)

    assert row.base_mb is not None
    assert 180 < row.peak_mb - row.base_mb < 260


def is_running(pid: int) -> bool:
    """Zombies do not count."""
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"
