"""`dispatch serve` in a process of its own, as it runs in an installation."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from dispatch.settings import PREFIX, Settings

READY_WITHIN_S = 60.0
END_WITHIN_S = 10.0


@dataclass(frozen=True, slots=True)
class Served:
    """url: where it answers, without a slash at the end."""

    url: str
    process: subprocess.Popen[Any]

    def stop(self) -> float:
        """Asks it to end; how many seconds it took."""
        began = time.monotonic()
        self.process.terminate()
        self.process.wait(60)
        return time.monotonic() - began


@contextmanager
def served(settings: Settings, *words: str, **more: str) -> Iterator[Served]:
    """Serves what `settings` say, without a worker; `words` are options of `dispatch serve`, `more` further settings by
    their names in lower case."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    said = {
        "database_url": settings.database_url,
        "data_dir": str(settings.data_dir),
        "secret": settings.secret.get_secret_value(),
        "rate_limits": "off",
        **more,
    }
    environment = os.environ | {f"{PREFIX}{name.upper()}": value for name, value in said.items()}
    command = [sys.executable, "-m", "api.cli", "serve", "--port", str(port), "--no-worker", *words]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, env=environment) as process:
        try:
            yield Served(_ready(f"http://127.0.0.1:{port}", process), process)
        finally:
            _end(process)


def _end(process: subprocess.Popen[Any]) -> None:
    """At once, and the processes that it has begun with it: they would outlive its death by a while."""
    process.send_signal(signal.SIGQUIT)
    try:
        process.wait(END_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()


def _ready(url: str, process: subprocess.Popen[Any]) -> str:
    until = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=5):  # noqa: S310
                return url
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"nobody answers at {url}")
