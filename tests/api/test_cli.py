"""The command line: what a person types, what is printed, and how it fails."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from api.cli import main

Run = Callable[..., Result]
ACME = ("organizations", "create", "acme", "--name", "Acme", "--currency", "USD", "--time-zone", "UTC")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command in an installation of its own, whose database does not exist yet."""
    monkeypatch.setenv("DISPATCH_DATABASE_URL", f"sqlite:///{tmp_path}/new/dispatch.sqlite3")
    monkeypatch.setenv("DISPATCH_DATA_DIR", str(tmp_path / "var"))
    return lambda *words: CliRunner().invoke(main, words)


def test_help_lists_the_commands(run: Run) -> None:
    result = run("--help")

    assert result.exit_code == 0
    assert all(name in result.output for name in ("serve", "organizations", "keys", "db", "settings"))


def test_a_new_installation_gets_its_first_key(run: Run) -> None:
    created = run(*ACME)

    issued = run("keys", "create", "--organization", "acme", "--role", "dispatcher")

    assert (created.exit_code, issued.exit_code) == (0, 0)
    assert issued.output.startswith("fd_")
    assert len(issued.output.split()) == 1


def test_keys_are_listed_by_prefix_and_revoked(run: Run) -> None:
    run(*ACME)
    key = run("keys", "create", "--organization", "acme", "--role", "integration").output.strip()

    before = run("keys", "list", "--organization", "acme").output
    revoked = run("keys", "revoke", "--organization", "acme", key[:11])
    after = run("keys", "list", "--organization", "acme").output

    assert revoked.exit_code == 0
    assert key[:11] in before
    assert key not in before
    assert ("good" in before, "revoked" in after) == (True, True)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("keys", "create", "--organization", "nobody", "--role", "dispatcher"), 1, "nobody"),
        (("keys", "create", "--organization", "acme", "--role", "king"), 2, "king"),
        (("keys", "revoke", "--organization", "acme", "fd_nothing"), 1, "fd_nothing"),
        (ACME, 1, "already"),
        (("organizations", "create", "A b", *ACME[3:]), 2, "slug"),
        ((*ACME[:3], *ACME[3:7], "--time-zone", "Mars/Olympus"), 2, "time_zone"),
        (("db", "upgrade", "nonsense"), 1, "nonsense"),
        (("dance",), 2, "dance"),
        (("serve", "--port", "99999"), 2, "99999"),
    ],
)
def test_what_fails_is_said_in_a_line(run: Run, words: tuple[str, ...], code: int, said: str) -> None:
    run(*ACME)

    result = run(*words)

    assert result.exit_code == code
    assert said in result.output
    assert "Traceback" not in result.output


def test_a_wrong_setting_is_refused_with_its_name(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPATCH_HOLD_S", "soon")

    result = run("settings")

    assert result.exit_code == 2
    assert "DISPATCH_HOLD_S" in result.output


def test_settings_are_listed_without_secrets(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPATCH_SECRET", "open sesame, open sesame, open sesame")
    monkeypatch.setenv("DISPATCH_DATABASE_URL", "postgresql://me:hush@127.0.0.1/x")

    result = run("settings")

    assert result.exit_code == 0
    assert "DISPATCH_TRACKING_TTL_S" in result.output
    assert "sesame" not in result.output
    assert "hush" not in result.output


def test_the_database_goes_up_and_down(run: Run) -> None:
    words = [
        ("db", "current"),
        ("db", "upgrade"),
        ("db", "current"),
        ("db", "downgrade", "base"),
        ("db", "current"),
    ]

    said = [run(*word).output.strip() for word in words]

    assert said[0] == said[4] == "base"
    assert said[1] == f"at {said[2]}" != "at base"


def test_serve_brings_the_database_up_to_date_and_answers(run: Run) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = [sys.executable, "-m", "api.cli", "serve", "--port", str(port), "--threads", "2"]
    with subprocess.Popen(words, stderr=subprocess.DEVNULL, env=os.environ) as server:
        try:
            answer = _patiently(f"http://127.0.0.1:{port}/readyz")
        finally:
            server.send_signal(signal.SIGTERM)

    assert answer == b'{"status":"ok"}'
    assert server.returncode == 0


def _patiently(url: str) -> bytes:
    for _ in range(300):
        try:
            with urllib.request.urlopen(url, timeout=5) as response:  # noqa: S310
                return bytes(response.read())
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"nobody answers at {url}")


def test_a_port_that_is_taken_is_said_in_a_line(run: Run) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()

        answer = run("serve", "--port", str(taken.getsockname()[1]))

    assert answer.exit_code == 1
    assert "choose another with --port" in answer.stderr


def test_a_plan_from_the_command_line_tells_what_became_of_the_day(run: Run) -> None:
    run(*ACME)

    without_territory = run("plan", "--organization", "acme")

    assert without_territory.exit_code == 2
    assert "say which territory" in without_territory.output


def test_help_is_the_same_for_those_who_installed_the_package(run: Run) -> None:
    listed = run("--help").output

    assert all(name in listed for name in ("serve", "worker", "import", "plan", "keys", "db", "simulate"))
    assert "cannot be loaded" not in listed


def test_a_fresh_process_finds_all_that_a_key_refers_to(tmp_path: Path) -> None:
    environment = os.environ | {
        "DISPATCH_DATABASE_URL": f"sqlite:///{tmp_path}/dispatch.sqlite3",
        "DISPATCH_DATA_DIR": str(tmp_path / "var"),
    }

    def dispatch(*words: str) -> str:
        command = [sys.executable, "-m", "api.cli", *words]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout

    dispatch(*ACME)

    assert dispatch("keys", "create", "--organization", "acme", "--role", "dispatcher").startswith("fd_")
    assert "good" in dispatch("keys", "list", "--organization", "acme")
