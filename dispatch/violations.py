"""What giving a visit to a technician breaks, in the words and codes of all other reasons."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from dispatch.calendar import epoch
from dispatch.forced_day import Forced, is_movable, less, pinned_to
from dispatch.planning import Job, Window, WorkingDay, reason_fields
from optimizer import Infeasible, Problem, Reason, Route, Shift, TimeWindow, Visit, time_route
from optimizer.eligibility import Fleet, reason_for, rules_for
from optimizer.insertion import PreparedRoutes
from optimizer.plan import ReasonCode


@dataclass(frozen=True, slots=True)
class Violation:
    """appointment_id: of our visit that is in the way. yields: whether a person may force it."""

    reason: Reason
    appointment_id: str | None = None
    yields: bool = True

    @property
    def code(self) -> str:
        return self.reason.code

    def fields(self) -> dict[str, Any]:
        """As a refusal names it."""
        told = reason_fields(self.reason)
        return told if self.appointment_id is None else told | {"appointment_id": self.appointment_id}


def off_window(job: Job, start: datetime, promised: Window | None) -> Iterator[Violation]:
    """A start outside what was promised, or asked for where nothing is promised."""
    request = job.request
    begins, ends = promised or (request.earliest_start, request.due)
    word = "promised" if promised else "asked for"
    if begins is not None and start < begins:
        yield _window(f"would begin before the time {word} (seconds)", begins, start)
    if ends is not None and start > ends:
        yield _window(f"would begin after the time {word} (seconds)", start, ends)


def off_request(job: Job, window: Window) -> Iterator[Violation]:
    """A window to promise outside what was asked for."""
    earliest, due = job.request.earliest_start, job.request.due
    if earliest is not None and window[0] < earliest:
        yield _window("the window would begin before the time asked for (seconds)", earliest, window[0])
    if due is not None and window[1] > due:
        yield _window("the window would end after the time asked for (seconds)", window[1], due)


def _window(detail: str, later: datetime, earlier: datetime) -> Violation:
    return Violation(Reason("window", detail, (), int((later - earlier).total_seconds())))


def broken_rules(day: WorkingDay, visit: Visit, shift_id: str) -> Iterator[Violation]:
    """Skills, level, radius and who is excluded, of a shift of the day. visit: before it was pinned."""
    fleet = Fleet.of(day.problem.shifts, day.problem.travel)
    row = next(row for row, shift in enumerate(day.problem.shifts) if shift.id == shift_id)
    said: set[ReasonCode] = set()
    for rule, (code, breaks) in enumerate(rules_for(visit)):
        if breaks(visit, fleet)[row] and not (code == "level_too_low" and "skill_missing" in said):
            said.add(code)
            yield Violation(reason_for(visit, fleet, row, rule))


def broken_hours(
    forced: Forced, technician_id: str, visit_id: str, hours: Iterable[Shift]
) -> Iterator[Violation]:
    """hours: the shifts as they were said. The day begins before them, lasts beyond them, or loses its break."""
    route = route_with(forced, visit_id)
    said = next((shift for shift in hours if shift.id == route.shift), None)
    if said is None:
        yield Violation(Reason("no_shift", "does not work at that time", (technician_id,)))
        return
    if _can_drive(forced, route, said):
        return
    over_s = max(0, said.window.start - route.departs_at) + max(0, route.returns_at - said.window.end)
    if over_s:
        detail = "the day would begin before its hours or last beyond them (seconds)"
        yield Violation(Reason("no_shift", detail, (technician_id,), over_s))
    else:
        yield Violation(Reason("no_time", "has no time left for its break", (technician_id,)))


def _can_drive(forced: Forced, route: Route, said: Shift) -> bool:
    problem = forced.day.problem
    longer = next(shift for shift in problem.shifts if shift.id == route.shift)
    shift = replace(longer, window=said.window, breaks=said.breaks)
    stops = {stop.visit for stop in route.stops}
    visits = tuple(visit for visit in problem.visits if visit.id in stops)
    try:
        time_route(Problem(visits, (shift,), problem.travel), shift.id, [stop.visit for stop in route.stops])
    except Infeasible:
        return False
    return True


def route_with(forced: Forced, visit_id: str) -> Route:
    return next(route for route in forced.plan.routes if any(stop.visit == visit_id for stop in route.stops))


def given_way(forced: Forced, technician_id: str) -> Iterator[Violation]:
    """Our own visits that are in the way and can be moved."""
    for visit_id in forced.in_the_way:
        what = "would lose its technician" if visit_id in forced.lost else "would be made at another time"
        yield Violation(Reason("overlap", f"is in the way and {what}", (technician_id,)), visit_id)


def immovable(
    day: WorkingDay, visit_id: str, technician_id: str, wanted: tuple[TimeWindow, ...]
) -> Iterator[Violation]:
    """What leaves no room and cannot be moved: each thing without which there would be some, or else all that stands
    between the first wanted start and the last end. day: with the longer hours."""
    fixed = [visit for visit in day.problem.visits if visit.id in day.blocks and visit.id != visit_id]
    fixed = [visit for visit in fixed if visit.id not in day.jobs or not is_movable(visit.pin)]
    bare = _bare(day, visit_id, technician_id, wanted)
    alone = [visit for visit in fixed if _fits_without(bare, {visit.id}, visit_id, wanted)]
    service_s = next(visit.service_s for visit in day.problem.visits if visit.id == visit_id)
    begins, ends = wanted[0].start, wanted[-1].end + service_s
    around = [visit for visit in fixed if _touches(visit, begins, ends)]
    for visit in alone or around:
        is_ours = visit.id in day.jobs
        what = "is in the way and fixed" if is_ours else "time that is taken and not yours to move"
        reason = Reason("overlap", what, (technician_id,))
        yield Violation(reason, visit.id if is_ours else None, yields=False)
    if alone or around:
        return
    if _is_absent(day, begins, ends):
        yield Violation(Reason("overlap", "is absent at that time", (technician_id,)), yields=False)
    else:
        reason = Reason("no_time", "what cannot be moved leaves no time", (technician_id,))
        yield Violation(reason, yields=False)


def _is_absent(day: WorkingDay, begins: int, ends: int) -> bool:
    """day: without breaks that were said, so that those which are left are absences."""
    pauses = [pause for shift in day.problem.shifts for pause in shift.breaks]
    return any(p.window.start < ends and begins < p.window.start + p.duration_s for p in pauses)


def _touches(visit: Visit, begins: int, ends: int) -> bool:
    at = visit.windows[0].start
    return at < ends and begins < at + visit.service_s


def _bare(day: WorkingDay, visit_id: str, technician_id: str, wanted: tuple[TimeWindow, ...]) -> WorkingDay:
    """The day with nothing but what cannot be moved."""
    day = pinned_to(day, visit_id, technician_id, wanted)
    movable = {v.id for v in day.problem.visits if v.id in day.jobs and is_movable(v.pin)}
    return replace(day, plan=less(day.plan, movable))


def _fits_without(day: WorkingDay, gone: set[str], visit_id: str, wanted: tuple[TimeWindow, ...]) -> bool:
    prepared = PreparedRoutes(day.problem, less(day.plan, gone))
    return prepared.cheapest_ticks(prepared.routes, prepared.question(visit_id, wanted)) is not None


def too_late(now: datetime, at: datetime) -> Violation:
    """What lies behind us is beyond force."""
    return Violation(
        Reason("notice", "that time is over (seconds)", (), epoch(now) - epoch(at)), yields=False
    )
