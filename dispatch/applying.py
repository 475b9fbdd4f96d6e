"""Applying a plan: in groups of moves that share a technician, each whole or not at all, against the versions that it
was computed from. A stale group is skipped and reported, so that people beat the optimizer.

A dry run may be applied in part, visit by visit; what shares a technician with a chosen visit goes along. What was not
chosen stays to be applied later, until nothing of the run is left."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlmodel import Session

from dispatch.appointment import Appointment, Status
from dispatch.booking import promise, promised_window, window_fields
from dispatch.calendar import CalendarMoved, free
from dispatch.errors import InvalidState, UnknownReference
from dispatch.events import Actor, record
from dispatch.explaining import holders, note_moves
from dispatch.placing import note_retimed
from dispatch.plan_result import changes_of, promisable, technicians_of, visits_of, with_stale
from dispatch.plan_run import PlanRun, PlanStatus
from dispatch.plan_task import exchanging, moves_of
from dispatch.planning import Job, WorkingDay, load_for_plan, settled, write_plan
from dispatch.promise import PromiseKind
from dispatch.settings import Settings
from dispatch.territory import Territory
from optimizer import Infeasible


def apply_plan(
    session: Session,
    settings: Settings,
    run: PlanRun,
    by: Actor,
    now: datetime,
    appointment_ids: Collection[str] | None = None,
) -> PlanRun:
    """Applies a dry run that is done; what is stale is skipped and reported. appointment_ids: only the changes of these
    visits and what must go with them; `applied` and `went_along` of the result say which, and the rest may be applied
    by a later call. Raises `UnknownReference` for a visit of which the plan says nothing, `InvalidState` for a run that
    is not done, or of which nothing is left."""
    if (
        run.status is not PlanStatus.DONE
        or run.applied_at is not None
        or run.solution is None
        or run.result is None
    ):
        raise InvalidState("applied" if run.applied_at else run.status.value, ["done"])
    if appointment_ids is not None and not set(appointment_ids) <= visits_of(run.result):
        raise UnknownReference("appointment_ids")
    territory = session.get_one(Territory, run.territory_id)
    fresh, _ = load_for_plan(session, settings, territory, run.day, now, run.freeze_before)
    apply_now(session, settings, run, territory, fresh, by, now, appointment_ids)
    session.add(run)
    session.flush()
    return run


def apply_now(
    session: Session,
    settings: Settings,
    run: PlanRun,
    territory: Territory,
    fresh: WorkingDay,
    by: Actor,
    now: datetime,
    appointment_ids: Collection[str] | None = None,
) -> None:
    """As `apply_plan`, of a run with its solution and result, on the day as just read."""
    assert run.solution is not None
    assert run.result is not None
    left = [group for group in _planned_groups(run.result) if not group <= set(run.solution.get("tried", ()))]
    chosen = left if appointment_ids is None else _of_visits(run.result, left, set(appointment_ids))
    wanted = None if appointment_ids is None else {member for group in chosen for member in group}
    outcome = apply_solution(
        session,
        settings,
        territory,
        run.day,
        fresh,
        run.solution,
        by,
        now,
        only=wanted,
        max_moves=run.max_moves,
    )
    tried = {member for group in chosen for member in group} | outcome.technicians
    run.solution = run.solution | {
        "tried": sorted({*run.solution.get("tried", ()), *tried}),
        "moves": run.solution.get("moves", 0) + outcome.moves,
    }
    result = with_stale(run.result, tried - outcome.technicians)
    if appointment_ids is not None or "applied" in run.result:
        result |= _told_in_part(run.result, result, outcome.technicians, appointment_ids)
    run.result = result
    if len(chosen) == len(left):
        run.applied_at = now
    run.version += 1


def _planned_groups(result: Mapping[str, Any]) -> list[set[str]]:
    """Technicians whose days the plan changes, those that exchange visits together."""
    groups: list[set[str]] = []
    for item in [*changes_of(result), *result["skipped_stale"]]:
        joined = technicians_of(item)
        for group in [group for group in groups if group & joined]:
            joined |= group
            groups.remove(group)
        groups.append(joined)
    return groups


def _of_visits(
    result: Mapping[str, Any], groups: list[set[str]], appointment_ids: set[str]
) -> list[set[str]]:
    touched = {
        id_
        for item in changes_of(result)
        if item["appointment_id"] in appointment_ids
        for id_ in technicians_of(item)
    }
    return [group for group in groups if group & touched]


def _told_in_part(
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    technicians: set[str],
    appointment_ids: Collection[str] | None,
) -> dict[str, list[str]]:
    written = [
        item["appointment_id"]
        for item in changes_of(after)
        if technicians_of(item) and technicians_of(item) <= technicians
    ]
    along = [] if appointment_ids is None else [id_ for id_ in written if id_ not in appointment_ids]
    return {"applied": [*before.get("applied", ()), *written], "went_along": along}


@dataclass(slots=True)
class Applied:
    """technicians: whose calendars were written. moves: how many visits that stood were moved."""

    technicians: set[str] = field(default_factory=set)
    moves: int = 0


def apply_solution(
    session: Session,
    settings: Settings,
    territory: Territory,
    date_: date,
    fresh: WorkingDay,
    solution: Mapping[str, Any],
    by: Actor,
    now: datetime,
    *,
    only: set[str] | None = None,
    max_moves: int | None = None,
) -> Applied:
    """Writes what still stands as it was when the plan was made, group by group. only: groups with one of these
    technicians. max_moves: of the whole plan; a group that would move more by now, because time has passed, is
    stale."""
    technician_of = {shift.id: shift.technician for shift in fresh.problem.shifts}
    routes = {shift: ids for shift, ids in solution["routes"].items() if shift in technician_of}
    left = None if max_moves is None else max_moves - solution.get("moves", 0)
    applying = _Applying(session, settings, territory, date_, fresh, routes, solution, by, now, left)
    for group in exchanging(fresh.plan, routes, technician_of):
        if only is None or group & only:
            applying.attempt(group)
    if only is None:
        applying.give_up_stranded()
    return applying.applied


@dataclass(frozen=True, slots=True)
class _Applying:
    """routes: the visits of each shift that there still is, in order, as planned. left: how many moves."""

    session: Session
    settings: Settings
    territory: Territory
    date: date
    day: WorkingDay
    routes: Mapping[str, list[str]]
    solution: Mapping[str, Any]
    by: Actor
    now: datetime
    left: int | None
    applied: Applied = field(default_factory=Applied)

    def attempt(self, group: set[str]) -> None:
        """The group whole, or nothing of it."""
        if any(self.day.versions[member] != self.solution["calendars"].get(member) for member in group):
            return
        try:
            with self.session.begin_nested():
                moves = self._apply(group)
        except (CalendarMoved, Infeasible, _Stale):
            return
        self.applied.technicians |= group
        self.applied.moves += moves

    def give_up_stranded(self) -> None:
        """What stands with somebody who does not work then any more, and is given to nobody, stands with nobody."""
        for visit_id in _stranded(self.day, self.routes):
            appointment = self.day.jobs[visit_id].appointment
            if appointment.version == self.solution["appointments"].get(visit_id):
                free(self.session, visit_id)
                self._drop(appointment)

    def _apply(self, group: set[str]) -> int:
        """How many visits that stood were moved."""
        day = self.day
        shifts = {shift.id for shift in day.problem.shifts if shift.technician in group}
        wanted = {shift: ids for shift, ids in self.routes.items() if shift in shifts}
        before = {stop.visit for route in day.plan.routes if route.shift in shifts for stop in route.stops}
        after = {visit_id for ids in wanted.values() for visit_id in ids}
        _require_fresh(day, before | after, self.solution["appointments"])
        _require_kept(day, before - after, self.solution["routes"])
        plan = replace(day.plan, routes=tuple(settled(day, shift, ids) for shift, ids in wanted.items()))
        moves = len(moves_of(day.stands, before, plan.routes))
        if self.left is not None and self.applied.moves + moves > self.left:
            raise _Stale
        own = {visit.id for visit in day.problem.visits if visit.pin is None}
        had = holders(day)
        changed = write_plan(self.session, day, plan, group)
        note_moves(self.session, day, had, plan, own & (before | after), self.now)
        note_retimed(self.session, [visit for visit in changed if visit.id not in own], self.by, self.now)
        for appointment in changed:
            if appointment.id in own:
                self._schedule(day.jobs[appointment.id])
        for visit_id in sorted((before - after) & day.jobs.keys()):
            self._drop(day.jobs[visit_id].appointment)
        self.session.flush()
        return moves

    def _schedule(self, job: Job) -> None:
        """Promises a window where nothing was promised, and notes the new time."""
        appointment = job.appointment
        assert appointment.scheduled_start is not None
        if appointment.status is Status.UNASSIGNED:
            appointment.move(Status.SCHEDULED)
        if not appointment.is_promised:
            zone = ZoneInfo(self.territory.time_zone)
            window = promisable(job, zone, self.date, appointment.scheduled_start)
            promise(self.session, self.settings, appointment, window, PromiseKind.GIVEN, self.by, self.now)
        self.session.add(appointment)
        after = {"arrival_window": window_fields(promised_window(appointment))}
        self._record(appointment, "appointment.scheduled", after=after)

    def _drop(self, appointment: Appointment) -> None:
        appointment.unplan()
        appointment.move(Status.UNASSIGNED)
        self.session.add(appointment)
        self._record(appointment, "appointment.unassigned", "the plan found nobody who can keep it")

    def _record(
        self,
        appointment: Appointment,
        event: str,
        reason: str | None = None,
        after: dict[str, Any] | None = None,
    ) -> None:
        record(
            self.session,
            appointment.organization_id,
            appointment.id,
            event,
            self.now,
            self.by,
            reason,
            after=after,
        )


class _Stale(Exception):
    """The group is not as it was when the plan was made, or cannot be as the plan has it."""


def _stranded(day: WorkingDay, routes: Mapping[str, list[str]]) -> list[str]:
    """Visits in the calendar of somebody who does not work then any more, and whom the plan gives to nobody else."""
    routed = {stop.visit for route in day.plan.routes for stop in route.stops}
    routed |= {visit_id for ids in routes.values() for visit_id in ids}
    movable = [visit.id for visit in day.problem.visits if visit.id in day.jobs and visit.pin is None]
    return [visit_id for visit_id in movable if visit_id in day.blocks and visit_id not in routed]


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
