"""The processes of `dispatch serve`: gunicorn with threads, and a worker beside it that is kept running."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import click
import structlog
from flask import Flask
from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]
from gunicorn.workers.gthread import ThreadWorker  # type: ignore[import-untyped]

from api.app import create_app
from api.location_reads import location_reads_of
from api.streaming import streams_of
from dispatch.settings import Settings

RESTART_AFTER_S = 2.0
STOP_WITHIN_S = 10.0

_log = structlog.get_logger("api.serving")


class Process(ThreadWorker):  # type: ignore[misc]
    """Told to stop, it ends its streams first: else everybody would wait for them. At its end it keeps what was read
    of positions and only counted so far."""

    def run(self) -> None:
        """Until it is told to stop."""
        try:
            super().run()
        finally:
            if isinstance(self.wsgi, Flask):
                location_reads_of(self.wsgi).settle()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """SIGTERM: what runs is finished."""
        self._end_streams()
        super().handle_exit(sig, frame)

    def handle_quit(self, sig: int, frame: FrameType | None) -> None:
        """SIGQUIT and SIGINT: at once."""
        self._end_streams()
        super().handle_quit(sig, frame)

    def _end_streams(self) -> None:
        if isinstance(self.wsgi, Flask):
            streams_of(self.wsgi).end()


class Server(BaseApplication):  # type: ignore[misc]
    """gunicorn with threads; each process makes its own application, and with it its own connections. Streams get half
    of the threads at most, so that there are always threads that answer."""

    def __init__(self, settings: Settings, *, bind: str, threads: int, workers: int) -> None:
        self._settings = settings.model_copy(update={"streams": min(settings.streams, threads // 2)})
        self._options = {
            "bind": bind,
            "threads": threads,
            "workers": workers,
            "worker_class": Process,
            "timeout": 120,
            "keepalive": 5,
            "loglevel": "warning",
            "proc_name": "dispatch",
            "control_socket_disable": True,
        }
        super().__init__()

    def load_config(self) -> None:
        """Takes ours over gunicorn's defaults."""
        for name, value in self._options.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        """The application of one process."""
        return create_app(self._settings)


def require_free(host: str, port: int) -> None:
    """Raises `click.ClickException` where somebody listens there already or the address is none of this machine's."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise click.ClickException(
                f"cannot listen on {host} port {port}: {error.strerror}; choose another with --port"
            ) from error


@contextmanager
def worker_beside(solves: int) -> Iterator[None]:
    """Within the block a worker runs in a process of its own; one that dies is replaced. It ends with this process,
    however that ends."""
    supervisor = _Supervisor(
        [sys.executable, "-m", "api.cli", "worker", f"--solves={solves}", f"--parent={os.getpid()}"]
    )
    supervisor.start()
    try:
        yield
    finally:
        supervisor.stop()


class _Supervisor(threading.Thread):
    def __init__(self, command: list[str]) -> None:
        super().__init__(name="worker-supervisor", daemon=True)
        self._command = command
        self._stopping = threading.Event()
        self._child: subprocess.Popen[Any] | None = None
        self._owner = os.getpid()

    def run(self) -> None:
        while not self._stopping.is_set():
            self._child = subprocess.Popen(self._command)  # noqa: S603
            code = self._child.wait()
            if not self._stopping.is_set():
                _log.error("worker_died", exit_code=code)
                self._stopping.wait(RESTART_AFTER_S)

    def stop(self) -> None:
        """Ends the worker. gunicorn's forked processes leave the block too: the worker is not theirs to end."""
        if os.getpid() != self._owner:
            return
        self._stopping.set()
        if self._child is None or self._child.poll() is not None:
            return
        self._child.terminate()
        try:
            self._child.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._child.kill()
