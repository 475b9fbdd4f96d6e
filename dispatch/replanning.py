"""Plan runs: a territory's day is queued, solved in a process of its own, and applied (`dispatch.applying`)."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy import Engine, update
from sqlmodel import Session, col, select

from dispatch import database
from dispatch.applying import apply_now
from dispatch.database import transaction
from dispatch.doubt import learned_likelihood, without_unlikely
from dispatch.errors import Invalid, InvalidState, Unavailable
from dispatch.events import Actor
from dispatch.plan_input import keep_record, keep_task
from dispatch.plan_result import result_of
from dispatch.plan_run import PlanRun, PlanStatus
from dispatch.plan_task import PlanTask, solve_task
from dispatch.planning import WorkingDay, load_for_plan
from dispatch.settings import Settings
from dispatch.territory import Territory
from optimizer import Plan, Progress

LEAST_TIME_LIMIT_S, TIME_LIMIT_S_PER_VISIT = 1.0, 0.02
"""Where nobody says how long: 13 s for a day of 660 visits."""
LOST_AFTER = timedelta(seconds=60)
"""A run whose process has not shown itself for so long is taken up anew."""
MOST_ATTEMPTS = 3
PROGRESS_EVERY = timedelta(milliseconds=500)

log = structlog.get_logger(__name__)

Clock = Callable[[], datetime]
OnProgress = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """time_limit_s bounds by the clock, max_work by iterations, which makes the run repeatable. max_moves: how many
    visits that stand in calendars it may move, see `plan_task`."""

    time_limit_s: float | None = None
    max_work: int | None = None
    seed: int = 0
    freeze_before: datetime | None = None
    dry_run: bool = False
    max_moves: int | None = None


def request_plan(
    session: Session, territory: Territory, day: date, options: PlanOptions, by: Actor, now: datetime
) -> PlanRun:
    """Queues a run. Raises `Invalid` for a day that is over."""
    if day < now.astimezone(ZoneInfo(territory.time_zone)).date():
        raise Invalid(errors=[("date", "that day is over in the territory's time zone")])
    run = PlanRun(
        organization_id=territory.organization_id,
        territory_id=territory.id,
        day=day,
        time_limit_s=options.time_limit_s,
        max_work=options.max_work,
        seed=options.seed,
        freeze_before=options.freeze_before,
        dry_run=options.dry_run,
        max_moves=options.max_moves,
        requested_by=by.role,
        requested_by_id=by.id,
        created_at=now,
    )
    session.add(run)
    session.flush()
    return run


def cancel_plan(session: Session, run: PlanRun, now: datetime) -> PlanRun:
    """queued or running -> cancelled; nothing of it is applied. Raises `InvalidState` when it has ended."""
    statement = (
        update(PlanRun)
        .where(col(PlanRun.id) == run.id, col(PlanRun.status).in_((PlanStatus.QUEUED, PlanStatus.RUNNING)))
        .values(status=PlanStatus.CANCELLED, finished_at=now, version=PlanRun.version + 1)
    )
    won = session.exec(statement).rowcount == 1
    session.refresh(run)
    if not won and run.status is not PlanStatus.CANCELLED:
        raise InvalidState(run.status.value, [PlanStatus.QUEUED.value, PlanStatus.RUNNING.value])
    return run


def take_up(session: Session, now: datetime, run_id: str | None = None) -> str | None:
    """Claims the oldest run that is queued, or whose process was lost, and gives back its id. One that was
    lost too often has failed. run_id: only this one."""
    lost = (col(PlanRun.status) == PlanStatus.RUNNING) & (col(PlanRun.heartbeat_at) < now - LOST_AFTER)
    waiting = select(PlanRun).where((col(PlanRun.status) == PlanStatus.QUEUED) | lost)
    if run_id is not None:
        waiting = waiting.where(PlanRun.id == run_id)
    run = session.exec(waiting.order_by(col(PlanRun.created_at)).limit(1)).first()
    if run is None:
        return None
    ends = run.attempts >= MOST_ATTEMPTS
    fields = (
        _ended_by_dying(now)
        if ends
        else {"status": PlanStatus.RUNNING, "started_at": now, "heartbeat_at": now}
    )
    statement = (
        update(PlanRun)
        .where(col(PlanRun.id) == run.id, col(PlanRun.version) == run.version)
        .values(attempts=run.attempts + 1, version=run.version + 1, **fields)
    )
    won = session.exec(statement).rowcount == 1
    return run.id if won and not ends else None


def _ended_by_dying(now: datetime) -> dict[str, Any]:
    error = f"its process died {MOST_ATTEMPTS} times, perhaps for want of memory"
    return {"status": PlanStatus.FAILED, "error": error, "finished_at": now}


def execute(
    engine: Engine, settings: Settings, run_id: str, clock: Clock, on_progress: OnProgress | None = None
) -> None:
    """Solves a run that was taken up, and applies it unless it is a dry run. A failure is kept on the run and raised.
    on_progress: told beside the row."""
    try:
        _execute(engine, settings, run_id, clock, on_progress)
    except Exception as error:
        with transaction(engine) as session:
            run = _still_running(session, run_id)
            if run is not None:
                run.error = f"{type(error).__name__}: {error}"[:2000]
                _end(run, PlanStatus.FAILED, clock())
        raise


def _execute(
    engine: Engine, settings: Settings, run_id: str, clock: Clock, on_progress: OnProgress | None
) -> None:
    with transaction(engine) as session:
        session.expire_on_commit = False
        run = session.get_one(PlanRun, run_id)
        territory = session.get_one(Territory, run.territory_id)
        zone, now = ZoneInfo(territory.time_zone), clock()
        day, hopeless = load_for_plan(session, settings, territory, run.day, now, run.freeze_before)
        likelihood = learned_likelihood(session, settings, day, zone, now)
        task = _task(run, day)
        keep_task(session, settings, run, day, task, now)
    watch = _Watch(engine, run_id, clock, on_progress)
    answer = solve_task(task, watch.tell, watch.is_cancelled)
    if watch.is_cancelled():
        return
    plan = answer.plan if likelihood is None else without_unlikely(day, answer.plan, likelihood, run.day)
    solution = _solution(day, plan)
    result = result_of(day, plan, hopeless, zone, run.day)

    def conclude(session: Session) -> None:
        standing = _still_running(session, run_id)
        if standing is None:
            return
        standing.progress, standing.solution, standing.result = watch.latest, solution, result
        keep_record(session, standing, answer)
        if not standing.dry_run:
            by = Actor(run.requested_by, run.requested_by_id)
            fresh, _ = load_for_plan(session, settings, territory, run.day, clock(), run.freeze_before)
            apply_now(session, settings, standing, territory, fresh, by, clock())
        _end(standing, PlanStatus.DONE, clock())

    database.run(engine, conclude)


def _task(run: PlanRun, day: WorkingDay) -> PlanTask:
    return PlanTask(
        problem=day.problem,
        standing=day.plan,
        stands=day.stands,
        time_limit_s=_time_limit_s(run, len(day.problem.visits)),
        max_work=run.max_work,
        seed=run.seed,
        max_moves=run.max_moves,
    )


def _time_limit_s(run: PlanRun, visits: int) -> float | None:
    if run.time_limit_s is None and run.max_work is None:
        return max(LEAST_TIME_LIMIT_S, TIME_LIMIT_S_PER_VISIT * visits)
    return run.time_limit_s


class _Watch:
    """Writes the progress of a run, and learns from the same row that it was cancelled."""

    def __init__(self, engine: Engine, run_id: str, clock: Clock, on_progress: OnProgress | None) -> None:
        self._engine, self._run_id, self._clock, self._on_progress = engine, run_id, clock, on_progress
        self._last: datetime | None = None
        self.latest: dict[str, Any] | None = None
        self._cancelled = False

    def tell(self, progress: Progress) -> None:
        if self._on_progress is not None:
            self._on_progress(progress)
        self.latest = progress_fields(progress)
        now = self._clock()
        if self._last is not None and now - self._last < PROGRESS_EVERY:
            return
        self._last = now
        statement = (
            update(PlanRun)
            .where(col(PlanRun.id) == self._run_id, col(PlanRun.status) == PlanStatus.RUNNING)
            .values(progress=self.latest, heartbeat_at=now)
        )
        try:
            with transaction(self._engine) as session:
                self._cancelled = session.exec(statement).rowcount != 1
        except Unavailable as error:
            log.warning("plan_progress_not_written", plan_id=self._run_id, detail=error.detail)

    def is_cancelled(self) -> bool:
        return self._cancelled


def progress_fields(progress: Progress) -> dict[str, Any]:
    """How far a solve is, as the run keeps it."""
    return {
        "elapsed_s": round(progress.elapsed_s, 2),
        "fraction": round(progress.fraction, 3),
        "iterations": progress.iterations,
        "cost_cents": progress.cost_cents,
        "unserved": progress.unserved,
    }


def _still_running(session: Session, run_id: str) -> PlanRun | None:
    """The run, locked until the transaction ends; None if it was cancelled, or ended by another process, meanwhile."""
    run = session.get_one(PlanRun, run_id, with_for_update=True)
    return run if run.status is PlanStatus.RUNNING else None


def _end(run: PlanRun, status: PlanStatus, now: datetime) -> None:
    run.status, run.finished_at = status, now
    run.version += 1


def _solution(day: WorkingDay, plan: Plan) -> dict[str, Any]:
    return {
        "routes": {route.shift: [stop.visit for stop in route.stops] for route in plan.routes},
        "calendars": day.versions,
        "appointments": {visit_id: job.appointment.version for visit_id, job in day.jobs.items()},
    }
