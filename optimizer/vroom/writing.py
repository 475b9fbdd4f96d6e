"""From a plan to VROOM's answer."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

from optimizer.plan import Plan, Reason, Route
from optimizer.problem import MAX_INSTANT, Problem
from optimizer.schedule import time_route
from optimizer.vroom.reading import Request, costs_of, ordered_breaks
from optimizer.vroom.values import JsonObject

OK, INTERNAL_ERROR, INPUT_ERROR, ROUTING_ERROR, TOO_LARGE = range(5)
"""VROOM's status codes, and vroom-express's for what is too large; a routing engine that fails does not occur here."""

SUMMED = ("cost", "setup", "service", "duration", "waiting_time", "priority")
CAUSES = (
    "delay", "lead_time", "load", "max_tasks", "skills", "precedence", "missing_break", "max_travel_time",
    "max_distance", "max_load",
)  # fmt: skip
"""VROOM's causes of a violation, in the order of its documentation."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule that a given route breaks. duration: seconds early or late, for `lead_time` and `delay`."""

    cause: str
    duration: int | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """A job or a break of a route. begins: when its work does. drive_s, drive_m: how far the vehicle drives between
    the event before and this one. setup_s and service_s: what follows."""

    kind: str
    name: str
    begins: int
    drive_s: int
    drive_m: int
    setup_s: int
    service_s: int
    violations: tuple[Violation, ...] = ()


@dataclass(frozen=True, slots=True)
class Timeline:
    """A route as it is written: from departure over its events and the way home. at_start, at_end and overall are what
    is violated there and by the route as one."""

    vehicle: str
    departs_at: int
    events: tuple[Event, ...]
    home_s: int
    home_m: int
    ends_at: int
    at_start: tuple[Violation, ...] = ()
    at_end: tuple[Violation, ...] = ()
    overall: tuple[Violation, ...] = ()

    @property
    def jobs(self) -> tuple[str, ...]:
        return tuple(event.name for event in self.events if event.kind == "job")


def write(request: Request, plan: Plan, *, loading_ms: int = 0, solving_ms: int = 0) -> dict[str, Any]:
    """The plan as VROOM's output; `unassigned` gains `reasons` and `would_fit_if`, as `plan.Reason` has
    them."""
    timelines = [_timeline(request, route) for route in plan.routes]
    unassigned = [
        {
            **_task(request, request.jobs[entry.visit]),
            "type": "job",
            "reasons": [_reason(reason) for reason in entry.reasons],
            "would_fit_if": [_reason(reason) for reason in entry.would_fit_if],
        }
        for entry in plan.unserved
    ]
    return write_timelines(request, timelines, unassigned, loading_ms=loading_ms, solving_ms=solving_ms)


def write_timelines(
    request: Request,
    timelines: Sequence[Timeline],
    unassigned: Sequence[Mapping[str, Any]],
    *,
    loading_ms: int = 0,
    solving_ms: int = 0,
) -> dict[str, Any]:
    """VROOM's output around these routes."""
    routes = [_RouteWriter(request, timeline).written() for timeline in timelines]
    summed = [*SUMMED, "distance"] if request.with_distances else list(SUMMED)
    served = [job for timeline in timelines for job in timeline.jobs]
    return {
        "code": OK,
        "summary": {
            **{key: sum(route[key] for route in routes) for key in summed},
            **_carried(request, served),
            "routes": len(routes),
            "unassigned": len(unassigned),
            "violations": _written_sums(route["violations"] for route in routes),
            "computing_times": {"loading": loading_ms, "solving": solving_ms, "routing": 0},
        },
        "unassigned": list(unassigned),
        "routes": routes,
    }


def write_error(message: str, code: int = INPUT_ERROR) -> dict[str, Any]:
    """VROOM's body for a failure."""
    return {"code": code, "error": message}


def left_out(request: Request, served: Iterable[str]) -> list[dict[str, Any]]:
    """The jobs that no given route has, without reasons: nobody asked for a place for them."""
    done = set(served)
    return [{**_task(request, job), "type": "job"} for name, job in request.jobs.items() if name not in done]


def with_setups_spent_once(request: Request, plan: Plan) -> Plan:
    """The plan with its routes timed anew where jobs follow each other at one place: VROOM spends the setup only when a
    vehicle arrives somewhere, the search at every job. Work only gets shorter, so every route stays sound."""
    return replace(plan, routes=tuple(_with_setups_spent_once(request, route) for route in plan.routes))


def _with_setups_spent_once(request: Request, route: Route) -> Route:
    before = request.ends[route.shift][0]
    actions = {}
    for stop in route.stops:
        actions[stop.visit] = sum(request.action_s(stop.visit, route.shift, before))
        before = request.rows[stop.visit]
    if all(actions[stop.visit] == stop.end - stop.start for stop in route.stops):
        return route
    whole = request.problem
    visits = tuple(
        replace(visit, service_s=actions[visit.id], service_s_by_level={})
        for visit in whole.visits
        if visit.id in actions
    )
    shifts = tuple(shift for shift in whole.shifts if shift.id == route.shift)
    return time_route(
        Problem(visits, shifts, whole.travel, whole.weights),
        route.shift,
        [stop.visit for stop in route.stops],
    )


def _timeline(request: Request, route: Route) -> Timeline:
    """A planned route. A break that begins before the arrival at a stop is taken before driving there, one that begins
    before its work on arrival."""
    objects = [
        pause for _, pause in ordered_breaks(request.vehicles[route.shift], "vehicle", request.horizon)
    ]
    pauses = list(zip(route.breaks, objects, strict=True))
    events: list[Event] = []

    def pause_until(instant: int, drive: tuple[int, int]) -> tuple[int, int]:
        while pauses and pauses[0][0].start < instant:
            taken, owner = pauses.pop(0)
            events.append(Event("break", str(owner["id"]), taken.start, *drive, 0, taken.end - taken.start))
            drive = (0, 0)
        return drive

    at = request.ends[route.shift][0]
    for stop in route.stops:
        pause_until(stop.arrival, (0, 0))
        drive = pause_until(stop.end, request.leg(at, request.rows[stop.visit]))
        action = request.action_s(stop.visit, route.shift, at)
        events.append(Event("job", stop.visit, stop.start, *drive, *action))
        at = request.rows[stop.visit]
    pause_until(route.returns_at, (0, 0))
    home = pause_until(MAX_INSTANT, request.leg(at, request.ends[route.shift][1]))
    departs_at = min([route.departs_at, *(taken.start for taken in route.breaks)])
    ends_at = max([route.returns_at, *(taken.end for taken in route.breaks)])
    return Timeline(route.shift, departs_at, tuple(events), *home, ends_at)


def _task(request: Request, owner: JsonObject) -> dict[str, Any]:
    """What every step echoes of its job; an index means something only with a matrix."""
    keys = ("id", "description", "location", *(("location_index",) if request.indexed else ()))
    return {key: owner[key] for key in keys if key in owner}


def _reason(reason: Reason) -> dict[str, Any]:
    written: dict[str, Any] = {"code": reason.code, "detail": reason.detail}
    if reason.technicians:
        written["technicians"] = [int(name) for name in reason.technicians]
    if reason.by is not None:
        written["by"] = reason.by
    return written


def _carried(request: Request, jobs: Sequence[str]) -> dict[str, list[int]]:
    """What these jobs deliver and pick up; `amount` is VROOM's older name of what is delivered."""
    if not request.amounts.kinds:
        return {}
    delivery = list(request.amounts.total(request.amounts.deliveries, jobs))
    pickup = list(request.amounts.total(request.amounts.pickups, jobs))
    return {"delivery": delivery, "amount": delivery, "pickup": pickup}


def _written(violations: Iterable[Violation]) -> list[dict[str, Any]]:
    return [
        {"cause": violation.cause} | ({} if violation.duration is None else {"duration": violation.duration})
        for violation in sorted(violations, key=lambda violation: CAUSES.index(violation.cause))
    ]


def _written_sums(listed: Iterable[Iterable[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Each cause once, its durations added up."""
    durations: dict[str, int | None] = {}
    for violations in listed:
        for violation in violations:
            cause, duration = violation["cause"], violation.get("duration")
            before = durations.get(cause)
            durations[cause] = duration if before is None else before + (duration or 0)
    return _written(Violation(cause, duration) for cause, duration in durations.items())


@dataclass
class _RouteWriter:
    """Writes one route. VROOM's steps follow each other in time, breaks among them; so the route is driven again from
    its beginning, each leg as soon as it can be."""

    request: Request
    timeline: Timeline
    now: int = 0
    driven_s: int = 0
    driven_m: int = 0
    load: tuple[int, ...] = ()
    steps: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.vehicle = self.request.vehicles[self.timeline.vehicle]
        self.now = self.timeline.departs_at
        amounts = self.request.amounts
        self.load = amounts.total(amounts.deliveries, self.timeline.jobs)

    def written(self) -> dict[str, Any]:
        start, end = self.request.ends[self.timeline.vehicle]
        if start is not None:
            self._step("start", self._end_place("start"), self.timeline.at_start)
        for event in self.timeline.events:
            self._drive(event.drive_s, event.drive_m)
            self._event(event)
        self._drive(self.timeline.home_s, self.timeline.home_m)
        if end is not None:
            waiting_s = max(0, self.timeline.ends_at - self.now)
            self._step("end", self._end_place("end"), self.timeline.at_end, waiting=waiting_s)
        return self._route()

    def _route(self) -> dict[str, Any]:
        jobs = self.timeline.jobs
        overall = [*self.timeline.at_start, *self.timeline.at_end, *self.timeline.overall]
        overall += [violation for event in self.timeline.events for violation in event.violations]
        route: dict[str, Any] = {
            "vehicle": self.vehicle["id"],
            "cost": self._cost(),
            "setup": sum(step["setup"] for step in self.steps),
            "service": sum(step["service"] for step in self.steps),
            "duration": self.driven_s,
            "waiting_time": sum(step["waiting_time"] for step in self.steps),
            "priority": sum(self.request.jobs[job].get("priority", 0) for job in jobs),
            **_carried(self.request, jobs),
            "steps": self.steps,
            "violations": _written_sums([_written(overall)]),
        }
        if self.request.with_distances:
            route["distance"] = self.driven_m
        if "description" in self.vehicle:
            route["description"] = self.vehicle["description"]
        if self.request.options.geometry:
            route["geometry"] = encoded_polyline(
                [step["location"] for step in self.steps if "location" in step]
            )
        return route

    def _cost(self) -> int:
        costs = costs_of(self.vehicle, "vehicle")
        work_s = sum(event.setup_s + event.service_s for event in self.timeline.events if event.kind == "job")
        priced = costs["per_task_hour"] * work_s / 3600
        if self.request.matrices.costs is not None:
            priced += self._matrix_cost()
        else:
            priced += costs["per_hour"] * self.driven_s / 3600 + costs["per_km"] * self.driven_m / 1000
        return round(costs["fixed"] + priced)

    def _matrix_cost(self) -> int:
        costs = self.request.matrices.costs
        assert costs is not None
        start, end = self.request.ends[self.timeline.vehicle]
        rows = [start, *(self.request.rows[job] for job in self.timeline.jobs), end]
        known = [row for row in rows if row is not None]
        return sum(int(costs[a, b]) for a, b in pairwise(known))

    def _event(self, event: Event) -> None:
        if event.kind == "job":
            job = self.request.jobs[event.name]
            named = {"job": job["id"], **_task(self.request, job)}
            self.load = self.request.amounts.load_after(self.load, event.name)
        else:
            pause = next(p for p in self.vehicle["breaks"] if str(p["id"]) == event.name)
            named = {key: pause[key] for key in ("id", "description") if key in pause}
        waiting_s = event.begins - self.now
        self._step(event.kind, named, event.violations, event.setup_s, event.service_s, waiting_s)
        self.now = event.begins + event.setup_s + event.service_s

    def _step(
        self,
        kind: str,
        named: JsonObject,
        violations: Iterable[Violation],
        setup: int = 0,
        service: int = 0,
        waiting: int = 0,
    ) -> None:
        """A step that begins now."""
        step = {
            "type": kind,
            **named,
            "setup": setup,
            "service": service,
            "waiting_time": waiting,
            "arrival": self.now,
            "duration": self.driven_s,
            "violations": _written(violations),
        }
        if self.request.amounts.kinds:
            step["load"] = list(self.load)
        if self.request.with_distances:
            step["distance"] = self.driven_m
        self.steps.append(step)

    def _end_place(self, end: str) -> dict[str, Any]:
        keys = {end: "location"} | ({f"{end}_index": "location_index"} if self.request.indexed else {})
        return {written: self.vehicle[key] for key, written in keys.items() if key in self.vehicle}

    def _drive(self, leg_s: int, leg_m: int) -> None:
        self.now += leg_s
        self.driven_s += leg_s
        self.driven_m += leg_m


POLYLINE_UNITS = 100_000
"""Steps of a degree in an encoded polyline."""


def encoded_polyline(places: Iterable[Sequence[float]]) -> str:
    """Straight lines through [lon, lat] places in Google's Encoded Polyline Algorithm Format, which VROOM's clients
    decode: differences in 1e-5 degrees, latitude first, five bits a letter, the sign in the lowest bit."""
    letters: list[str] = []
    before = (0, 0)
    for lon, lat in places:
        now = (round(lat * POLYLINE_UNITS), round(lon * POLYLINE_UNITS))
        for step in (now[0] - before[0], now[1] - before[1]):
            letters += _five_bits_a_letter(~(step << 1) if step < 0 else step << 1)
        before = now
    return "".join(letters)


def _five_bits_a_letter(value: int) -> Iterable[str]:
    while value >= 0x20:
        yield chr((0x20 | (value & 0x1F)) + 63)
        value >>= 5
    yield chr(value + 63)
