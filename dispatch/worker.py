"""What runs beside the web: due timers, and plan runs in spawned processes (a solve may hold the interpreter for long,
and a process can be replaced). Everything due is a row, so that nothing is lost when this stops; several may run."""

import multiprocessing
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import Engine

import optimizer
from dispatch import (
    acceptance_training,
    automatic,
    day,
    holds,
    idempotency,
    lateness,
    notifying,
    outbox,
    plan_input,
    replanning,
    review,
)
from dispatch.channels import open_channel
from dispatch.database import open_engine, open_session, transaction
from dispatch.errors import Unavailable
from dispatch.plan_run import PlanRun
from dispatch.settings import Settings
from optimizer import Progress

POLL_S = 0.5
log = structlog.get_logger(__name__)


def utc_now() -> datetime:
    return datetime.now(UTC)


def run_due(engine: Engine, settings: Settings, now: datetime) -> None:
    """Does once whatever is due: offers that leave, expire or go on to the next, employees' visits to be released,
    holds that expired, windows that passed with nobody, visits that will be late, idempotency records past their day,
    what was told, decided and planned from long ago, answers to offers that teach the chance of the next."""
    done = automatic.run(engine, settings, now)
    with transaction(engine) as session:
        released = holds.expire_due(session, settings, now)
    with transaction(engine) as session:
        broken = day.break_passed(session, now)
        late = lateness.notice(session, settings, now)
        idempotency.forget_expired(session, now)
        outbox.forget_told(session, now - timedelta(days=settings.outbox_days))
        review.forget_decided(session, now - timedelta(days=settings.decision_days))
        plan_input.forget_inputs(session, now - timedelta(days=settings.plan_input_days))
    trained = acceptance_training.train_due(engine, now)
    if done:
        log.info("offers", **done)
    if trained:
        log.info("acceptance_trained", organization_id=trained.organization_id, answers=trained.answers)
    if broken:
        log.warning("promises_broken", count=broken)
    if late:
        log.info("visits_late", count=late)
    if released:
        log.info("holds_expired", count=released)


def see_through(
    engine: Engine, settings: Settings, run_id: str, on_progress: Callable[[dict[str, Any]], None]
) -> PlanRun:
    """Solves a queued run here, or waits for the worker that was quicker; gives it back ended, with its error where it
    failed. on_progress: gets what the run keeps as `progress`. An interrupt from the keyboard cancels the run."""
    try:
        if _take_up(engine, utc_now(), run_id) is not None:
            _execute_telling(engine, settings, run_id, on_progress)
        while (run := _read(engine, run_id)).finished_at is None:
            on_progress(run.progress or {})
            time.sleep(POLL_S)
    except KeyboardInterrupt:
        with transaction(engine) as session:
            replanning.cancel_plan(session, session.get_one(PlanRun, run_id), utc_now())
        raise
    return run


def _execute_telling(
    engine: Engine, settings: Settings, run_id: str, on_progress: Callable[[dict[str, Any]], None]
) -> None:
    def tell(progress: Progress) -> None:
        on_progress(replanning.progress_fields(progress))

    try:
        replanning.execute(engine, settings, run_id, utc_now, tell)
    except Exception:
        log.exception("plan_failed", plan_id=run_id)
        if _read(engine, run_id).finished_at is None:
            raise


def _read(engine: Engine, run_id: str) -> PlanRun:
    with open_session(engine, read_only=True) as session:
        return session.get_one(PlanRun, run_id)


def _take_up(engine: Engine, now: datetime, run_id: str | None = None) -> str | None:
    with transaction(engine) as session:
        return replanning.take_up(session, now, run_id)


def solve_in_process(settings: Settings, run_id: str) -> None:
    """The body of a spawned process's task."""
    engine = open_engine(settings.database_url)
    try:
        replanning.execute(engine, settings, run_id, utc_now)
    finally:
        engine.dispose()


class Worker:
    """Polls for what is due until told to stop. solves: how many plan runs at a time, each in a warm process."""

    def __init__(self, settings: Settings, solves: int = 1) -> None:
        self._settings, self._solves = settings, solves
        self._engine = open_engine(settings.database_url)
        self._stop = threading.Event()
        self._pool = self._open_pool()
        self._running: dict[str, Future[None]] = {}
        self._channel = open_channel(settings)
        self._teller = ThreadPoolExecutor(1, thread_name_prefix="teller")
        self._telling: Future[int] | None = None

    def _open_pool(self) -> ProcessPoolExecutor:
        spawn = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(self._solves, mp_context=spawn, initializer=optimizer.warm)

    def stop(self) -> None:
        self._stop.set()

    def run(self, parent: int | None = None) -> None:
        """Until `stop`, or until the process `parent` is ours no more. A database that is away is waited for."""
        log.info("worker_started", solves=self._solves)
        while not self._stop.is_set() and parent in (None, os.getppid()):
            try:
                self._turn()
            except Unavailable as error:
                log.warning("database_away", detail=error.detail)
                self._stop.wait(error.retry_after_s)
            self._stop.wait(POLL_S)
        self._stop.set()
        self._pool.shutdown(cancel_futures=True)
        self._teller.shutdown(cancel_futures=True)
        self._engine.dispose()

    def _turn(self) -> None:
        run_due(self._engine, self._settings, utc_now())
        self._tell()
        self._reap()
        while len(self._running) < self._solves:
            run_id = _take_up(self._engine, utc_now())
            if run_id is None:
                return
            log.info("plan_started", plan_id=run_id)
            self._running[run_id] = self._pool.submit(solve_in_process, self._settings, run_id)

    def _tell(self) -> None:
        """Sends what customers are to be told, beside all else: a channel may be slow."""
        if self._telling is not None:
            if not self._telling.done():
                return
            error = self._telling.exception()
            if isinstance(error, Unavailable):
                log.warning("database_away", detail=error.detail)
            elif error is not None:
                log.error("telling_failed", exc_info=error)
        self._telling = self._teller.submit(
            notifying.send_due,
            self._engine,
            self._settings,
            self._channel,
            utc_now,
            lambda: not self._stop.is_set(),
        )

    def _reap(self) -> None:
        """Tells what ended. A process that died breaks its pool: a new one is opened, and the run, whose heartbeat
        stopped, is taken up again."""
        for run_id, future in list(self._running.items()):
            if not future.done():
                continue
            del self._running[run_id]
            error = future.exception()
            if isinstance(error, BrokenProcessPool):
                log.error("solver_process_died", plan_id=run_id)
                self._pool.shutdown(wait=False)
                self._pool = self._open_pool()
            elif error is not None:
                log.error("plan_failed", plan_id=run_id, error=repr(error))
            else:
                log.info("plan_done", plan_id=run_id)
