"""`dispatch acceptance`: what is printed and drawn of the model of acceptance."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlmodel import Session

from api.cli import main
from dispatch.settings import Settings
from tests.dispatch.answers import Answering
from tests.dispatch.world import World

Run = Callable[..., Result]


@pytest.fixture
def acme(session: Session, settings: Settings) -> Answering:
    """An organization whose offers nobody has answered yet."""
    answering = Answering(World(session, settings))
    answering.commit()
    return answering


@pytest.fixture
def run(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("DISPATCH_DATABASE_URL", database_url)
    monkeypatch.setenv("DISPATCH_DATA_DIR", str(tmp_path / "var"))
    monkeypatch.setenv("COLUMNS", "100")
    return lambda *words: CliRunner().invoke(main, ("acceptance", "--organization", "acme", *words))


def test_before_there_are_answers_the_assumptions_are_told(acme: Answering, run: Run) -> None:
    result = run()

    assert result.exit_code == 0, result.output
    assert "stated prior" in result.output
    assert "detour hours" in result.output


def test_training_shows_figures_calibration_and_terms(acme: Answering, run: Run, tmp_path: Path) -> None:
    acme.history([acme.world.technician()])
    acme.commit()
    picture = tmp_path / "calibration.png"

    trained = run("--train", "--plot", str(picture))
    shown = run()

    assert trained.exit_code == 0, trained.output
    for words in ("answers used", "28 (70%)", "log loss of the model", "calibration", "trade plumbing"):
        assert words in trained.output
    assert shown.output == trained.output
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_drawing_may_be_svg(acme: Answering, run: Run, tmp_path: Path) -> None:
    acme.history([acme.world.technician()])
    acme.commit()

    result = run("--train", "--plot", str(tmp_path / "calibration.svg"))

    assert result.exit_code == 0, result.output
    assert "<svg" in (tmp_path / "calibration.svg").read_text()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--train",), 1, "No offer was answered"),
        (("--plot", "there.png"), 1, "Too few visits"),
        (("--plot", "there.gif"), 2, ".png"),
        (("--plot", "nowhere/there.png"), 2, "no directory"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(
    acme: Answering, run: Run, words: tuple[str, ...], code: int, said: str
) -> None:
    result = run(*words)

    assert result.exit_code == code
    assert said in result.output
    assert "Traceback" not in result.output
