"""Warm processes that answer VROOM's documents: nothing is read, solved or written in a web thread. A process that
overruns its time or dies is replaced."""

import atexit
import multiprocessing
import signal
import threading
from collections import deque
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess

import structlog

from dispatch.errors import Unavailable
from optimizer import solve, vroom, warm
from optimizer.plan import Plan

LIMITS = vroom.Limits(locations=1_000, vehicles=200)

LEAST_S = 0.2
S_PER_JOB = 0.01
"""Seconds of search, before the installation's limit and what the caller asks for: a handful of jobs is solved at
once, a thousand gain from ten seconds."""

START_WITHIN_S = 180.0
"""A new process may have to compile the kernels."""
READING_AND_WRITING_S = 20.0
"""What a full document needs besides the search, on a busy machine."""

RETRY_AFTER_S = 2
STOP_WITHIN_S = 2.0

_READY = b"ready"
_FIRST = b'{"jobs": [{"id": 1, "location": [0.1, 0]}], "vehicles": [{"id": 1, "start": [0, 0]}]}'
"""Answered before anything else: what `warm` does not warm."""
_spawn = multiprocessing.get_context("spawn")
_log = structlog.get_logger("api.solving")

Work = Callable[[Connection, float], None]


class Pool:
    """Up to `processes` warm processes, each started when all others are busy, and kept. time_limit_s bounds a search;
    what takes longer than that with its reading and writing is killed. work: what a process does with its end of the
    connection: say that it is ready, then answer messages."""

    def __init__(
        self,
        processes: int,
        time_limit_s: float,
        *,
        overrun_s: float = READING_AND_WRITING_S,
        work: Work | None = None,
    ) -> None:
        self._time_limit_s = time_limit_s
        self._patience_s = time_limit_s + overrun_s
        self._work = work or answer_documents
        self._free = threading.BoundedSemaphore(processes)
        self._idle: deque[_Process] = deque()
        self._all: set[_Process] = set()
        self._changing = threading.Lock()
        self._closed = False

    def answer(self, text: bytes) -> vroom.Answer:
        """The answer of one process. Raises `Unavailable` when all are busy, and when the one that took it did not
        come to an end."""
        if not self._free.acquire(blocking=False):
            raise Unavailable("solvers_busy", "All solvers are busy; try again.", retry_after_s=RETRY_AFTER_S)
        try:
            return self._asked(self._taken(), text)
        finally:
            self._free.release()

    def close(self) -> None:
        """Ends all processes, also those at work."""
        with self._changing:
            self._closed = True
            ending, self._all = self._all, set()
            self._idle.clear()
        for process in ending:
            process.end()

    def _asked(self, process: "_Process", text: bytes) -> vroom.Answer:
        try:
            process.await_ready()
            answered = process.answer(text, self._patience_s)
        except (EOFError, OSError, TimeoutError) as error:
            overran = isinstance(error, TimeoutError)
            _log.error("solver_replaced", overran=overran, exit_code=process.exit_code)
            self._replace(process)
            code = "solver_overran" if overran else "solver_died"
            raise Unavailable(code, "It could not be solved in time; try again, or with less.") from error
        with self._changing:
            self._idle.append(process)
        return answered

    def _taken(self) -> "_Process":
        with self._changing:
            if self._closed:
                raise Unavailable("solvers_busy", "The server is stopping.", retry_after_s=RETRY_AFTER_S)
            return self._idle.pop() if self._idle else self._started()

    def _replace(self, process: "_Process") -> None:
        """The new one warms up while nobody waits for it."""
        process.end()
        with self._changing:
            self._all.discard(process)
            if not self._closed:
                self._idle.appendleft(self._started())

    def _started(self) -> "_Process":
        process = _Process(self._work, self._time_limit_s)
        self._all.add(process)
        return process


class _Process:
    """One spawned process and our end of its connection. It ends when we do: then its connection does."""

    def __init__(self, work: Work, time_limit_s: float) -> None:
        self._ours, theirs = _spawn.Pipe()
        self._process: SpawnProcess = _spawn.Process(
            target=work, args=(theirs, time_limit_s), name="solver", daemon=True
        )
        self._process.start()
        theirs.close()
        self._ready = False

    @property
    def exit_code(self) -> int | None:
        return self._process.exitcode

    def await_ready(self) -> None:
        """Raises `TimeoutError` or `EOFError` if it does not start."""
        if not self._ready:
            self._received(START_WITHIN_S)
            self._ready = True

    def answer(self, text: bytes, within_s: float) -> vroom.Answer:
        """Raises `TimeoutError` after within_s seconds, and what a broken connection raises."""
        self._ours.send_bytes(text)
        answered = self._received(within_s)
        return vroom.Answer(answered[0], answered[1:].decode())

    def end(self) -> None:
        """Whatever it is doing."""
        self._process.kill()
        self._process.join(STOP_WITHIN_S)
        self._ours.close()

    def _received(self, within_s: float) -> bytes:
        if not self._ours.poll(within_s):
            raise TimeoutError
        return self._ours.recv_bytes()


def answer_documents(connection: Connection, time_limit_s: float) -> None:
    """The life of a process: a document comes, an answer goes, until the connection ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    warm()
    _answer(_FIRST, LEAST_S)
    connection.send_bytes(_READY)
    while True:
        try:
            text = connection.recv_bytes()
        except EOFError:
            return
        answered = _answer(text, time_limit_s)
        connection.send_bytes(bytes([answered.code]) + answered.text.encode())


def _answer(text: bytes, time_limit_s: float) -> vroom.Answer:
    return vroom.answer(text, lambda request: _plan(request, time_limit_s), limits=LIMITS)


def _plan(request: vroom.Request, time_limit_s: float) -> Plan:
    start = request.start_plan()
    return solve(request.problem, time_limit_s=search_s(request, time_limit_s), start=start)


def search_s(request: vroom.Request, most_s: float) -> float:
    """Seconds to search: more for more jobs, less where the caller asks for less exploration or sets a limit."""
    options = request.options
    wanted_s = LEAST_S + S_PER_JOB * len(request.jobs) * (options.exploration + 1) / (
        vroom.MOST_EXPLORATION + 1
    )
    limits = [wanted_s, most_s] if options.limit_s is None else [wanted_s, most_s, options.limit_s]
    return max(LEAST_S, min(limits))


_pools: dict[tuple[int, float], Pool] = {}
_opening = threading.Lock()


def pool_of(processes: int, time_limit_s: float) -> Pool:
    """This process's pool of that kind, made when first asked for and closed when the process ends."""
    with _opening:
        key = (processes, time_limit_s)
        if key not in _pools:
            _pools[key] = Pool(processes, time_limit_s)
            atexit.register(_pools[key].close)
        return _pools[key]
