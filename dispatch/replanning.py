"""Plan runs: a territory's day is queued, solved in a process of its own, and applied in groups of moves that share a
technician, each whole or not at all, against the versions that it was computed from."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy import Engine, update
from sqlmodel import Session, col, select

import optimizer
from dispatch import database
from dispatch.appointment import Appointment, Status
from dispatch.booking import promise, promised_window, window_fields
from dispatch.calendar import CalendarMoved, free
from dispatch.database import transaction
from dispatch.errors import Invalid, InvalidState, Unavailable
from dispatch.events import SYSTEM, Actor, record
from dispatch.explaining import holders, note_moves
from dispatch.placing import note_retimed
from dispatch.plan_run import PlanRun, PlanStatus
from dispatch.planning import (
    NO_TIME_LEFT,
    Job,
    Window,
    WorkingDay,
    load_for_plan,
    reason_fields,
    requested_windows,
    settled,
    slot_windows,
    window_for,
    write_plan,
)
from dispatch.promise import PromiseKind
from dispatch.settings import Settings
from dispatch.shift import local_day
from dispatch.territory import Territory
from optimizer import Infeasible, Plan, Progress

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
    """time_limit_s bounds by the clock, max_work by iterations, which makes the run repeatable."""

    time_limit_s: float | None = None
    max_work: int | None = None
    seed: int = 0
    freeze_before: datetime | None = None
    dry_run: bool = False


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
        requested_by=by.role,
        requested_by_id=by.id,
        created_at=now,
    )
    session.add(run)
    session.flush()
    after = {"territory_id": territory.id, "date": day.isoformat(), "dry_run": options.dry_run}
    record(session, territory.organization_id, run.id, "plan.requested", now, by, after=after)
    session.flush()
    return run


def cancel_plan(session: Session, run: PlanRun, now: datetime, by: Actor = SYSTEM) -> PlanRun:
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
    if won:
        record(session, run.organization_id, run.id, "plan.cancelled", now, by)
        session.flush()
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
        day, hopeless = load_for_plan(session, settings, territory, run.day, clock(), run.freeze_before)
    watch = _Watch(engine, run_id, clock, on_progress)
    found = optimizer.solve(
        day.problem,
        time_limit_s=_time_limit_s(run, len(day.problem.visits)),
        max_work=run.max_work,
        seed=run.seed,
        start=day.plan,
        on_progress=watch.tell,
        should_stop=watch.is_cancelled,
    )
    if watch.is_cancelled():
        return
    calm = _calm(day, found)
    solution = _solution(day, calm)
    result = _result(day, calm, hopeless, ZoneInfo(territory.time_zone), run.day)

    def conclude(session: Session) -> None:
        now, told, applied_at = clock(), result, None
        standing = _still_running(session, run_id)
        if standing is None:
            return
        if not standing.dry_run:
            fresh, _ = load_for_plan(session, settings, territory, run.day, now, run.freeze_before)
            by = Actor(run.requested_by, run.requested_by_id)
            applied = _apply(session, settings, territory, run.day, fresh, solution, by, now)
            _note_applied(session, standing, applied, by, now)
            told, applied_at = _skipping_stale(result, applied), now
        standing.progress, standing.solution, standing.result = watch.latest, solution, told
        standing.applied_at = applied_at
        _end(standing, PlanStatus.DONE, now)

    database.run(engine, conclude)


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


def _calm(day: WorkingDay, plan: Plan) -> Plan:
    """The same routes with as few visits as possible moved in time."""
    routes = tuple(settled(day, route.shift, [stop.visit for stop in route.stops]) for route in plan.routes)
    return replace(plan, routes=routes)


def _solution(day: WorkingDay, plan: Plan) -> dict[str, Any]:
    return {
        "routes": {route.shift: [stop.visit for stop in route.stops] for route in plan.routes},
        "calendars": day.versions,
        "appointments": {visit_id: job.appointment.version for visit_id, job in day.jobs.items()},
    }


# Applying


def apply_plan(session: Session, settings: Settings, run: PlanRun, by: Actor, now: datetime) -> PlanRun:
    """Applies a dry run that is done. Stale groups are skipped and reported. Raises `InvalidState`."""
    if (
        run.status is not PlanStatus.DONE
        or run.applied_at is not None
        or run.solution is None
        or run.result is None
    ):
        raise InvalidState("applied" if run.applied_at else run.status.value, ["done"])
    territory = session.get_one(Territory, run.territory_id)
    fresh, _ = load_for_plan(session, settings, territory, run.day, now, run.freeze_before)
    applied = _apply(session, settings, territory, run.day, fresh, run.solution, by, now)
    run.applied_at = now
    _note_applied(session, run, applied, by, now)
    run.result = _skipping_stale(run.result, applied)
    run.version += 1
    session.add(run)
    session.flush()
    return run


def _apply(
    session: Session,
    settings: Settings,
    territory: Territory,
    date_: date,
    fresh: WorkingDay,
    solution: Mapping[str, Any],
    by: Actor,
    now: datetime,
) -> set[str]:
    """Writes what still stands as it was when the plan was made, group by group, and gives back the technicians whose
    calendars were written."""
    applied: set[str] = set()
    technician_of = {shift.id: shift.technician for shift in fresh.problem.shifts}
    routes = {shift: ids for shift, ids in solution["routes"].items() if shift in technician_of}
    for group in _groups(fresh, routes, technician_of):
        if any(fresh.versions[member] != solution["calendars"].get(member) for member in group):
            continue
        try:
            with session.begin_nested():
                _apply_group(session, settings, territory, date_, fresh, routes, solution, group, by, now)
        except (CalendarMoved, Infeasible, _Stale):
            continue
        applied |= group
    for visit_id in _stranded(fresh, routes):
        if fresh.jobs[visit_id].appointment.version == solution["appointments"].get(visit_id):
            free(session, visit_id)
            _dropped(session, fresh.jobs[visit_id].appointment, by, now)
    return applied


def _note_applied(session: Session, run: PlanRun, applied: set[str], by: Actor, now: datetime) -> None:
    after = {"technicians": len(applied)}
    record(session, run.organization_id, run.id, "plan.applied", now, by, after=after)


def _stranded(day: WorkingDay, routes: Mapping[str, list[str]]) -> list[str]:
    """Visits in the calendar of somebody who does not work then any more, and whom the plan gives to nobody else."""
    routed = {stop.visit for route in day.plan.routes for stop in route.stops}
    routed |= {visit_id for ids in routes.values() for visit_id in ids}
    movable = [visit.id for visit in day.problem.visits if visit.id in day.jobs and visit.pin is None]
    return [visit_id for visit_id in movable if visit_id in day.blocks and visit_id not in routed]


class _Stale(Exception):
    """The group is not as it was when the plan was made, or cannot be as the plan has it."""


def _apply_group(
    session: Session,
    settings: Settings,
    territory: Territory,
    date_: date,
    day: WorkingDay,
    routes: Mapping[str, list[str]],
    solution: Mapping[str, Any],
    group: set[str],
    by: Actor,
    now: datetime,
) -> None:
    shifts = {shift.id for shift in day.problem.shifts if shift.technician in group}
    wanted = {shift: ids for shift, ids in routes.items() if shift in shifts}
    before = {stop.visit for route in day.plan.routes if route.shift in shifts for stop in route.stops}
    after = {visit_id for ids in wanted.values() for visit_id in ids}
    _require_fresh(day, before | after, solution["appointments"])
    _require_kept(day, before - after, solution["routes"])
    plan = replace(day.plan, routes=tuple(settled(day, shift, ids) for shift, ids in wanted.items()))
    own = {visit.id for visit in day.problem.visits if visit.pin is None}
    had = holders(day)
    changed = write_plan(session, day, plan, group)
    note_moves(session, day, had, plan, own & (before | after), now)
    note_retimed(session, [visit for visit in changed if visit.id not in own], by, now)
    for appointment in changed:
        if appointment.id in own:
            _scheduled(session, settings, territory, date_, day.jobs[appointment.id], by, now)
    for visit_id in sorted((before - after) & day.jobs.keys()):
        _dropped(session, day.jobs[visit_id].appointment, by, now)
    session.flush()


def _require_fresh(day: WorkingDay, visit_ids: Iterable[str], versions: Mapping[str, int]) -> None:
    for visit_id in visit_ids:
        job = day.jobs.get(visit_id)
        known = job is not None or visit_id in day.blocks
        if not known or (job is not None and job.appointment.version != versions.get(visit_id)):
            raise _Stale


def _require_kept(day: WorkingDay, dropped: set[str], solved: Mapping[str, list[str]]) -> None:
    """No plan drops what is not its to move, nor what it gave to a shift that is there no more."""
    is_given = dropped & {visit_id for ids in solved.values() for visit_id in ids}
    if is_given or any(visit.pin is not None for visit in day.problem.visits if visit.id in dropped):
        raise _Stale


def _groups(
    day: WorkingDay, routes: Mapping[str, list[str]], technician_of: Mapping[str, str]
) -> list[set[str]]:
    """Technicians whose days change, those that exchange visits together."""
    old = {stop.visit: route.technician for route in day.plan.routes for stop in route.stops}
    new = {visit_id: technician_of[shift] for shift, ids in routes.items() for visit_id in ids}
    standing = {route.shift: [stop.visit for stop in route.stops] for route in day.plan.routes}
    changed = {
        technician_of[shift]
        for shift in standing.keys() | routes.keys()
        if standing.get(shift, []) != routes.get(shift, [])
    }
    group_of = {technician: {technician} for technician in sorted(changed)}
    for visit_id, technician in old.items():
        other = new.get(visit_id, technician)
        if other != technician and group_of[technician] is not group_of[other]:
            joined = group_of[technician] | group_of[other]
            for member in joined:
                group_of[member] = joined
    distinct = {id(group): group for group in group_of.values()}
    return list(distinct.values())


def _scheduled(
    session: Session,
    settings: Settings,
    territory: Territory,
    date_: date,
    job: Job,
    by: Actor,
    now: datetime,
) -> None:
    """Promises a window where nothing was promised, and notes the new time."""
    appointment = job.appointment
    assert appointment.scheduled_start is not None
    if appointment.status is Status.UNASSIGNED:
        appointment.move(Status.SCHEDULED)
    if not appointment.is_promised:
        window = _promisable(job, ZoneInfo(territory.time_zone), date_, appointment.scheduled_start)
        promise(session, settings, appointment, window, PromiseKind.GIVEN, by, now)
    session.add(appointment)
    after = {"arrival_window": window_fields(promised_window(appointment))}
    record(
        session, appointment.organization_id, appointment.id, "appointment.scheduled", now, by, after=after
    )


def _promisable(job: Job, zone: ZoneInfo, day: date, start: datetime) -> Window:
    """The window of the slot grid to promise for a planned start."""
    return window_for(
        start, requested_windows(job, slot_windows(job.service, day, zone), local_day(day, zone)[0])
    )


def _dropped(session: Session, appointment: Appointment, by: Actor, now: datetime) -> None:
    appointment.unplan()
    appointment.move(Status.UNASSIGNED)
    session.add(appointment)
    reason = "the plan found nobody who can keep it"
    record(session, appointment.organization_id, appointment.id, "appointment.unassigned", now, by, reason)


# What is told


def _result(
    day: WorkingDay, plan: Plan, hopeless: Iterable[Job], zone: ZoneInfo, date_: date
) -> dict[str, Any]:
    """The lists `moved`, `kept`, `assigned` and `unassigned`, the objective by term and the figures of the plan."""
    names = {technician.no: technician.id for technician in day.technicians.values()}
    before = {
        visit_id: (names.get(block.technician_no), block.work_from) for visit_id, block in day.blocks.items()
    }
    result: dict[str, Any] = {"moved": [], "kept": [], "assigned": [], "skipped_stale": []}
    for route in plan.routes:
        for stop in route.stops:
            if stop.visit in day.jobs:
                kind = _kind(before.get(stop.visit), (route.technician, stop.start))
                result[kind].append(_item(day.jobs[stop.visit], route.technician, stop.start, zone, date_))
    result["unassigned"] = [
        {
            "appointment_id": unserved.visit,
            "verdict": unserved.verdict,
            "reasons": [reason_fields(reason) for reason in unserved.reasons],
            "would_fit_if": [reason_fields(reason) for reason in unserved.would_fit_if],
        }
        for unserved in plan.unserved
        if unserved.visit in day.jobs
    ] + [
        {
            "appointment_id": job.appointment.id,
            "verdict": "impossible",
            "reasons": [reason_fields(NO_TIME_LEFT)],
            "would_fit_if": [],
        }
        for job in hopeless
    ]
    result["objective"] = dict(plan.objective)
    result["kpis"] = {
        "served": sum(len(result[kind]) for kind in ("moved", "kept", "assigned")),
        "unserved": len(result["unassigned"]),
        "technicians": len({route.technician for route in plan.routes}),
        "travel_s": sum(route.travel_s for route in plan.routes),
        "travel_m": sum(route.travel_m for route in plan.routes),
        "cost_cents": plan.cost_cents,
        "iterations": plan.iterations,
    }
    return result


def _kind(before: tuple[str | None, int] | None, after: tuple[str, int]) -> str:
    if before is None:
        return "assigned"
    return "kept" if before == after else "moved"


def _item(job: Job, technician_id: str, start: int, zone: ZoneInfo, date_: date) -> dict[str, Any]:
    begins, appointment = job.start_of(start), job.appointment
    if appointment.is_promised:
        window = promised_window(appointment)
    elif appointment.status is Status.UNASSIGNED:
        window = _promisable(job, zone, date_, begins)
    else:
        window = begins, begins + timedelta(seconds=job.service.arrival_window_s)
    return {
        "appointment_id": appointment.id,
        "technician_id": technician_id,
        "scheduled_start": begins.isoformat().replace("+00:00", "Z"),
        "arrival_window": window_fields(window),
    }


def _skipping_stale(result: dict[str, Any], applied: set[str]) -> dict[str, Any]:
    """Moves that were not written because their group had changed go to `skipped_stale`."""
    told = dict(result)
    for kind in ("moved", "assigned"):
        told[kind] = [item for item in result[kind] if item["technician_id"] in applied]
        told["skipped_stale"] = told["skipped_stale"] + [
            i for i in result[kind] if i["technician_id"] not in applied
        ]
    return told
