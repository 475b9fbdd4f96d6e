"""VROOM's plan mode: given routes are timed and judged, all rules being soft.

Who may do a job and whether it begins in its windows is told by `optimizer.check`; hours, breaks, loads and caps are
counted step by step, for VROOM names the steps at which they are broken.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from optimizer.check import check
from optimizer.plan import BreakTaken, Plan, Route, Stop, Unserved
from optimizer.problem import UNREACHABLE, Break, Problem, TimeWindow
from optimizer.vroom.reading import Request
from optimizer.vroom.steps import GivenStep
from optimizer.vroom.times import ALWAYS, Bounds, Duty, Task, Times, choose_times, seconds_off
from optimizer.vroom.values import InputError, JsonObject, breaks_of, cap_in, seconds_in, windows_in
from optimizer.vroom.writing import Event, Timeline, Violation, left_out, write_timelines

Marks = dict[str, list[Violation]]


def judge(request: Request, *, loading_ms: int = 0) -> dict[str, Any]:
    """VROOM's answer with a route for each vehicle that has steps, and what is violated where. Jobs in no route are
    unassigned. Raises `InputError` where a route cannot be driven at all."""
    timelines = [_timed(request, vehicle, steps) for vehicle, steps in request.steps.items()]
    marks = _broken_at_jobs(request, timelines)
    judged = [_judged(request, timeline, marks) for timeline in timelines]
    unassigned = left_out(request, [job for timeline in timelines for job in timeline.jobs])
    return write_timelines(request, judged, unassigned, loading_ms=loading_ms)


# Timing


def _timed(request: Request, vehicle: str, steps: tuple[GivenStep, ...]) -> Timeline:
    """The route with its times, not judged yet."""
    owner, where = request.vehicles[vehicle], f"vehicle {vehicle}"
    events, tasks = [], []
    at, end = request.ends[vehicle]
    for step in steps[1:-1]:
        bounds = Bounds(step.not_before, step.not_after)
        if step.kind == "break":
            windows, service_s = _break_of(owner, step.name, where)
            events.append(Event("break", step.name, 0, 0, 0, 0, service_s))
            tasks.append(Task(windows, 0, service_s, True, bounds))
            continue
        row = request.rows[step.name]
        drive_s, drive_m = _way(request, at, row, f"job {step.name}")
        setup_s, service_s = request.action_s(step.name, vehicle, at)
        windows = windows_in(request.jobs[step.name], f"job {step.name}")
        events.append(Event("job", step.name, 0, drive_s, drive_m, setup_s, service_s))
        tasks.append(Task(windows, drive_s, setup_s + service_s, False, bounds))
        at = row
    home_s, home_m = _way(request, at, end, f"the end of vehicle {vehicle}")
    duty = Duty(
        vehicle,
        request.horizon.start,
        _hours(owner, where),
        tuple(tasks),
        home_s,
        Bounds(steps[0].not_before, steps[0].not_after),
        Bounds(steps[-1].not_before, steps[-1].not_after),
    )
    return _driven(vehicle, events, choose_times(duty), (home_s, home_m))


def _way(request: Request, start: int | None, end: int | None, where: str) -> tuple[int, int]:
    seconds, metres = request.leg(start, end)
    if UNREACHABLE in (seconds, metres):
        raise InputError(f"there is no way to {where}")
    return seconds, metres


def _hours(vehicle: JsonObject, where: str) -> TimeWindow | None:
    return next(iter(windows_in(vehicle, where)), None)


def _break_of(vehicle: JsonObject, name: str, where: str) -> tuple[tuple[TimeWindow, ...], int]:
    at = f"{where}, break {name}"
    pause = breaks_of(vehicle, where)[name]
    return windows_in(pause, at), seconds_in(pause, "service", at)


def _driven(vehicle: str, events: list[Event], times: Times, home: tuple[int, int]) -> Timeline:
    """Spreads each leg over the breaks on it: as much as there is time for is driven before each."""
    placed: list[Event] = []
    now = times.departs_at
    legs = [(event.drive_s, event.drive_m) for event in events if event.kind == "job"] + [home]
    left_s, left_m = legs.pop(0)
    for event, begins in zip(events, times.begins, strict=True):
        drive_s, drive_m = left_s, left_m
        if event.kind == "break":
            drive_s = min(left_s, begins - now)
            drive_m = left_m * drive_s // left_s if left_s else 0
        placed.append(replace(event, begins=begins, drive_s=drive_s, drive_m=drive_m))
        left_s, left_m = (left_s - drive_s, left_m - drive_m) if event.kind == "break" else legs.pop(0)
        now = begins + event.setup_s + event.service_s
    return Timeline(vehicle, times.departs_at, tuple(placed), left_s, left_m, ends_at=times.ends_at)


# Judging


def _broken_at_jobs(request: Request, timelines: list[Timeline]) -> Marks:
    """What `optimizer.check` finds at jobs: by the job's name."""
    marks: Marks = {}
    begins = {
        event.name: event.begins for timeline in timelines for event in timeline.events if event.kind == "job"
    }
    for found in check(*_as_plan(request, timelines)):
        assert found.visit is not None, found
        windows = windows_in(request.jobs[found.visit], f"job {found.visit}")
        broken = {
            "skill_missing": Violation("skills"),
            "window": _missed(seconds_off(windows, begins[found.visit])),
        }[found.code]
        if broken not in marks.setdefault(found.visit, []):
            marks[found.visit].append(broken)
    return marks


def _as_plan(request: Request, timelines: list[Timeline]) -> tuple[Problem, Plan]:
    """The routes as the verifier takes them, with visits that take as long as here and shifts without hours, breaks
    and caps of their own."""
    lasting: dict[str, int] = {}
    routes = [_as_route(timeline, lasting) for timeline in timelines if timeline.jobs]
    visits = tuple(
        replace(
            visit,
            windows=windows_in(request.jobs[visit.id], "") or (ALWAYS,),
            service_s=lasting.get(visit.id, visit.service_s),
            service_s_by_level={},
        )
        for visit in request.problem.visits
    )
    taken = {route.shift: route.breaks for route in routes}
    shifts = tuple(
        replace(
            shift,
            window=ALWAYS,
            breaks=tuple(Break(ALWAYS, b.end - b.start) for b in taken.get(shift.id, ())),
            max_visits=None,
            max_travel_m=None,
            max_travel_s=None,
        )
        for shift in request.problem.shifts
    )
    unserved = tuple(Unserved(visit.id, "not_found", ()) for visit in visits if visit.id not in lasting)
    return Problem(visits, shifts, request.matrices.travel), Plan(tuple(routes), unserved)


def _as_route(timeline: Timeline, lasting: dict[str, int]) -> Route:
    """Adds to `lasting` how long each job takes."""
    stops, breaks = [], []
    now = timeline.departs_at
    leg_s = leg_m = 0
    for event in timeline.events:
        leg_s, leg_m = leg_s + event.drive_s, leg_m + event.drive_m
        over = event.begins + event.setup_s + event.service_s
        if event.kind == "break":
            breaks.append(BreakTaken(event.begins, over))
        else:
            lasting[event.name] = over - event.begins
            stops.append(Stop(event.name, now + event.drive_s, event.begins, over, leg_s, leg_m))
            leg_s = leg_m = 0
        now = over
    driven_s = timeline.home_s + sum(event.drive_s for event in timeline.events)
    driven_m = timeline.home_m + sum(event.drive_m for event in timeline.events)
    return Route(
        timeline.vehicle,
        timeline.vehicle,
        tuple(stops),
        timeline.departs_at,
        now + timeline.home_s,
        driven_s,
        driven_m,
        tuple(breaks),
    )


def _missed(seconds: int) -> Violation:
    return Violation("lead_time", -seconds) if seconds < 0 else Violation("delay", seconds)


def _judged(request: Request, timeline: Timeline, marks: Marks) -> Timeline:
    """The route with all its violations."""
    totals = _Totals(request, timeline)
    owner, where = request.vehicles[timeline.vehicle], f"vehicle {timeline.vehicle}"
    hours = _hours(owner, where)
    at_start = list(totals.over_load())
    if hours is not None and timeline.departs_at < hours.start:
        at_start.append(_missed(timeline.departs_at - hours.start))
    events = []
    for event in timeline.events:
        broken = list(totals.after(event))
        if event.kind == "job":
            broken += marks.get(event.name, [])
        else:
            off = seconds_off(_break_of(owner, event.name, where)[0], event.begins)
            broken += [_missed(off)] if off else []
        events.append(replace(event, violations=tuple(broken)))
    at_end = [*totals.over_load(), *totals.over_way(timeline.home_s, timeline.home_m)]
    if hours is not None and timeline.ends_at > hours.end:
        at_end.append(_missed(timeline.ends_at - hours.end))
    taken = {event.name for event in timeline.events if event.kind == "break"}
    omitted = [Violation("missing_break") for name in breaks_of(owner, where) if name not in taken]
    return replace(
        timeline, events=tuple(events), at_start=tuple(at_start), at_end=tuple(at_end), overall=tuple(omitted)
    )


class _Totals:
    """What a route has driven, done and on board by now, against what its vehicle may."""

    def __init__(self, request: Request, timeline: Timeline) -> None:
        self.amounts = request.amounts
        self.vehicle = timeline.vehicle
        owner, where = request.vehicles[self.vehicle], f"vehicle {self.vehicle}"
        self.max_tasks = cap_in(owner, "max_tasks", where)
        self.max_s = cap_in(owner, "max_travel_time", where)
        self.max_m = cap_in(owner, "max_distance", where)
        self.load = self.amounts.total(self.amounts.deliveries, timeline.jobs)
        self.tasks = self.driven_s = self.driven_m = 0

    def after(self, event: Event) -> Iterator[Violation]:
        """Counts the event, and tells what it breaks."""
        if event.kind == "job":
            self.tasks += 1
            self.load = self.amounts.load_after(self.load, event.name)
            if self.max_tasks is not None and self.tasks > self.max_tasks:
                yield Violation("max_tasks")
        elif _exceeds(self.load, self.amounts.max_loads.get((self.vehicle, event.name), self.load)):
            yield Violation("max_load")
        yield from self.over_load()
        yield from self.over_way(event.drive_s, event.drive_m)

    def over_load(self) -> Iterator[Violation]:
        if _exceeds(self.load, self.amounts.capacities[self.vehicle]):
            yield Violation("load")

    def over_way(self, drive_s: int, drive_m: int) -> Iterator[Violation]:
        """Counts a leg, and tells what it breaks."""
        self.driven_s, self.driven_m = self.driven_s + drive_s, self.driven_m + drive_m
        if self.max_s is not None and self.driven_s > self.max_s:
            yield Violation("max_travel_time")
        if self.max_m is not None and self.driven_m > self.max_m:
            yield Violation("max_distance")


def _exceeds(load: tuple[int, ...], room: tuple[int, ...]) -> bool:
    return any(quantity > most for quantity, most in zip(load, room, strict=True))
