"""VROOM's JSON in and out, so that its clients can be pointed here.

The format is the one of https://github.com/VROOM-Project/vroom/blob/master/docs/API.md: seconds, metres,
coordinates as [lon, lat], time windows as [start, end] with both ends inside, times relative or as
timestamps.

Served: jobs (id, description, location or location_index, setup, service, skills, priority, time_windows),
vehicles (id, description, profile, start and end or start_index and end_index, skills, time_window, breaks
with one time window each, costs, max_tasks, max_distance) and one matrix of durations, with distances or
without; without a matrix, travel is `travel.Geodesic`. Everything else that VROOM knows and that would change
the answer is refused by name. Keys that VROOM does not know are ignored, as VROOM ignores them, unless they
look like one that was misspelt.

Differences from VROOM:
- setup is spent at every job, also where the job before was at the same place.
- a duration or distance of `NO_WAY` or more means that there is no way.
- jobs of higher priority go first, then more jobs, then lower cost, by prices that are as far apart as sums
  allow and not by comparing one after the other.
- work starts as early as it can; VROOM lets a route start as late as it can.
"""

import difflib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from optimizer.plan import Plan, Reason, Route, Stop
from optimizer.problem import (
    UNREACHABLE,
    Break,
    InvalidProblem,
    Problem,
    Shift,
    TimeWindow,
    TravelMatrix,
    Visit,
    Weights,
)
from optimizer.travel import Geodesic, InvalidPlace, Place, TravelProvider

OK, INTERNAL_ERROR, INPUT_ERROR = 0, 1, 2
"""VROOM's status codes; its 3, a routing engine that fails, does not occur here."""

NO_WAY = 100_000_000
"""Three years, or 100,000 km: beyond any way on earth."""

LONGEST_SHIFT_S = 366 * 86_400
"""A vehicle's time window longer than a year stands for no limit."""

MAX_TIME = 2**39
MAX_ID = 2**63 - 1
MAX_COST = 10**9
MAX_MATRIX_VALUE = 2**32 - 1
MAX_PRIZES_CENTS = 10**11
"""All prizes together, below what the search can add up exactly."""

PROFILES_WITHOUT_MATRIX = ("car", "driving-car")
"""What `Geodesic` stands for: VROOM's default and the name openrouteservice's clients send."""

JsonObject = Mapping[str, Any]

_DOCUMENT_KEYS = {"jobs", "vehicles", "matrix", "matrices", "options", "shipments"}
_JOB_KEYS = {
    "id", "description", "location", "location_index", "setup", "service", "skills", "priority",
    "time_windows", "amount", "delivery", "pickup",
}  # fmt: skip
_VEHICLE_KEYS = {
    "id", "description", "profile", "start", "start_index", "end", "end_index", "skills", "time_window",
    "breaks", "costs", "max_tasks", "max_distance", "capacity", "speed_factor",
}  # fmt: skip
_BREAK_KEYS = {"id", "description", "service", "time_windows"}
_COST_KEYS = {"fixed", "per_hour", "per_km", "per_task_hour"}

_NOT_SERVED = {
    "setup_per_type": "setup times by vehicle type are not served",
    "service_per_type": "service times by vehicle type are not served",
    "type": "vehicle types are not served",
    "max_travel_time": "a cap on travel time is not served; use max_distance or time_window",
    "max_load": "loads are not served",
    "steps": "given routes are not served",
}
"""Keys of VROOM's jobs, vehicles and breaks that would change the answer."""


class InputError(ValueError):
    """The document cannot be planned. The message is one sentence that names the place and what is wrong."""


@dataclass(frozen=True, slots=True)
class Request:
    """A document that was read. `problem` names visits, shifts and technicians by their VROOM ids as strings;
    `jobs` and `vehicles` are the JSON objects by the same names. horizon: what an absent window stands for.
    with_distances: whether metres were given or computed."""

    problem: Problem
    jobs: Mapping[str, JsonObject]
    vehicles: Mapping[str, JsonObject]
    horizon: TimeWindow
    with_distances: bool


# Reading


def read(text: str | bytes, travel: TravelProvider | None = None) -> Request:
    """Read a JSON text; see `read_document`. Raises `InputError`, also for what is no JSON (NaN)."""
    return read_document(parse_json(text), travel)


def parse_json(text: str | bytes) -> object:
    """JSON as RFC 8259 has it: without NaN and infinities. Raises `InputError`."""
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except InputError:
        raise
    except RecursionError:
        raise InputError("the document is nested too deeply") from None
    except ValueError as error:
        raise InputError(f"the document is not JSON: {error}") from None


def _refuse_constant(name: str) -> NoReturn:
    raise InputError(f"the document is not JSON: {name} is not a number")


def read_document(document: object, travel: TravelProvider | None = None) -> Request:
    """Turn VROOM's input into a problem; `travel` (default `Geodesic()`) serves where no matrix is given.

    Money is in VROOM's cost units. A vehicle's hours of travel cost its per_hour, its hours of work its
    per_task_hour; where vehicles differ in what travel costs above work, the rest is charged to work too.
    Raises `InputError`."""
    document = _object(document, "the document")
    _refuse_misspelt(document, _DOCUMENT_KEYS, "the document")
    if document.get("shipments"):
        raise InputError("shipments are not served")
    _refuse_options(document.get("options"))
    jobs = _by_id(document.get("jobs"), "job")
    vehicles = _by_id(document.get("vehicles"), "vehicle")
    for name, job in jobs.items():
        _refuse_job_keys(job, f"job {name}")
    for name, vehicle in vehicles.items():
        _refuse_vehicle_keys(vehicle, f"vehicle {name}")
    try:
        given = _matrices(document, _profile(vehicles))
        places = _Places(None if given is None else _travel_matrix(given), travel or Geodesic())
        return _Reader(jobs, vehicles, places, given is None or "distances" in given).request()
    except InvalidProblem as error:
        raise InputError(str(error)) from None


class _Places:
    """Rows of the matrix: the indices of the one given, or coordinates gathered for one to be computed."""

    def __init__(self, matrix: TravelMatrix | None, travel: TravelProvider) -> None:
        self._matrix = matrix
        self._travel = travel
        self._gathered: dict[Place, int] = {}

    def row(self, owner: JsonObject, location_key: str, index_key: str, where: str) -> int | None:
        """The row of a place; None if the owner does not say where."""
        place = _place(owner[location_key], f"{where}.{location_key}") if location_key in owner else None
        if self._matrix is None:
            return None if place is None else self._gathered.setdefault(place, len(self._gathered))
        if index_key in owner:
            return _integer(owner[index_key], f"{where}.{index_key}", 0, self._matrix.places - 1)
        if place is not None:
            raise InputError(f"{where}.{index_key} is missing; with a matrix every place needs its index")
        return None

    def matrix(self) -> TravelMatrix:
        return self._travel.matrix(list(self._gathered)) if self._matrix is None else self._matrix


class _Reader:
    """Builds the problem from validated objects; what needs the whole document is computed once."""

    def __init__(
        self,
        jobs: Mapping[str, JsonObject],
        vehicles: Mapping[str, JsonObject],
        places: _Places,
        with_distances: bool,
    ) -> None:
        self.with_distances = with_distances
        self.jobs = jobs
        self.vehicles = vehicles
        self.job_rows = {
            name: places.row(job, "location", "location_index", f"job {name}") for name, job in jobs.items()
        }
        for name, row in self.job_rows.items():
            if row is None:
                raise InputError(f"job {name} has no location")
        self.ends = {
            name: tuple(places.row(v, end, f"{end}_index", f"vehicle {name}") for end in ("start", "end"))
            for name, v in vehicles.items()
        }
        for name, ends in self.ends.items():
            if ends == (None, None):
                raise InputError(f"vehicle {name} has neither start nor end")
        self.travel = places.matrix()
        self.costs = {name: _costs(vehicle, f"vehicle {name}") for name, vehicle in vehicles.items()}
        self.horizon = self._horizon()

    def request(self) -> Request:
        travel_cents_per_h = min(max(0, c["per_hour"] - c["per_task_hour"]) for c in self.costs.values())
        weights = Weights(travel_cents_per_h=travel_cents_per_h)
        shifts = tuple(self._shift(name, travel_cents_per_h) for name in self.vehicles)
        visits = self._visits(shifts, weights)
        if not self.with_distances:
            self._refuse_distance_rules(shifts)
        problem = Problem(visits, shifts, self.travel, weights)
        return Request(problem, self.jobs, self.vehicles, self.horizon, self.with_distances)

    def _refuse_distance_rules(self, shifts: Sequence[Shift]) -> None:
        for shift in shifts:
            if shift.max_travel_m is not None or shift.cents_per_km:
                raise InputError(f"vehicle {shift.id} limits or prices distance, but there are no distances")

    def _horizon(self) -> TimeWindow:
        """From all the work before the first window's end, to all the work after the last window's start:
        wide enough for any plan, and narrow enough where windows are open or absent."""
        jobs = [(f"job {name}", job) for name, job in self.jobs.items()]
        vehicles = [(f"vehicle {name}", vehicle) for name, vehicle in self.vehicles.items()]
        pauses = [(where, pause) for where, vehicle in vehicles for pause in _break_objects(vehicle, where)]
        windows = [w for where, owner in [*jobs, *vehicles, *pauses] for w in _windows(owner, where)]
        work_s = sum(_service_s(task, where) for where, task in [*jobs, *pauses])
        work_s += (len(self.jobs) + len(self.vehicles)) * self._longest(self.travel.duration_s)
        work_s = min(work_s, UNREACHABLE // 4)
        first = min((window.end for window in windows), default=0) - work_s
        last = max((window.start for window in windows), default=0) + work_s
        return TimeWindow(max(0, first), last)

    def _hours(self, vehicle: JsonObject, where: str) -> TimeWindow:
        """The vehicle's time window; of one beyond `LONGEST_SHIFT_S` what lies inside the horizon, never
        nothing."""
        (window,) = _windows(vehicle, where) or (self.horizon,)
        if window.end - window.start <= LONGEST_SHIFT_S:
            return window
        return TimeWindow(max(window.start, self.horizon.start), min(window.end, self.horizon.end))

    @staticmethod
    def _longest(matrix: NDArray[np.int32]) -> int:
        return int(matrix.max(initial=0, where=matrix < UNREACHABLE))

    def _shift(self, name: str, travel_cents_per_h: int) -> Shift:
        vehicle, where = self.vehicles[name], f"vehicle {name}"
        costs = self.costs[name]
        max_tasks, max_distance = vehicle.get("max_tasks"), vehicle.get("max_distance")
        start_place, end_place = self.ends[name]
        return Shift(
            id=name,
            technician=name,
            window=self._hours(vehicle, where),
            start_place=start_place,
            end_place=end_place,
            skills=_skills(vehicle, where),
            breaks=tuple(pause for pause, _ in _ordered_breaks(vehicle, where, self.horizon)),
            max_visits=None if max_tasks is None else _integer(max_tasks, f"{where}.max_tasks", 0, MAX_TIME),
            max_travel_m=(
                None if max_distance is None else _integer(max_distance, f"{where}.max_distance", 0, MAX_TIME)
            ),
            fixed_cents=costs["fixed"],
            cents_per_h=max(costs["per_task_hour"], costs["per_hour"] - travel_cents_per_h),
            cents_per_km=costs["per_km"],
        )

    def _visits(self, shifts: Sequence[Shift], weights: Weights) -> tuple[Visit, ...]:
        priorities = {
            name: _integer(job.get("priority", 0), f"job {name}.priority", 0, 100)
            for name, job in self.jobs.items()
        }
        prize = self._prizes(list(priorities.values()), shifts, weights)
        visits = []
        for name, job in self.jobs.items():
            row = self.job_rows[name]
            assert row is not None
            visits.append(
                Visit(
                    id=name,
                    place=row,
                    service_s=_service_s(job, f"job {name}"),
                    windows=_windows(job, f"job {name}") or (self.horizon,),
                    skills=_skills(job, f"job {name}"),
                    priority=priorities[name],
                    prize_cents=prize(priorities[name]),
                )
            )
        return tuple(visits)

    def _prizes(
        self, priorities: Sequence[int], shifts: Sequence[Shift], weights: Weights
    ) -> Callable[[int], int]:
        """The price of leaving a job out, by priority: more than inserting any one job costs; and, as far as
        `MAX_PRIZES_CENTS` goes, one point of priority more than all jobs without."""
        longest_h = self._longest(self.travel.duration_s) / 3600
        longest_km = self._longest(self.travel.distance_m) / 1000
        work_h = max(_service_s(job, "job") for job in self.jobs.values()) / 3600
        dearest = 1 + max(
            shift.fixed_cents
            + 2 * longest_h * (shift.cents_per_h + weights.travel_cents_per_h)
            + 2 * longest_km * shift.cents_per_km
            + work_h * shift.cents_per_h
            for shift in shifts
        )
        base = math.ceil(dearest)
        points = sum(priorities)
        spare = MAX_PRIZES_CENTS // base - len(priorities)
        if spare < points:
            raise InputError("the costs are too large for so many jobs to be planned exactly")
        step = min(len(priorities) + 1, spare // points) if points else 0
        return lambda priority: base * (1 + step * priority)


# Reading single values


def _object(value: object, where: str) -> JsonObject:
    if not isinstance(value, dict):
        raise InputError(f"{where} must be a JSON object")
    return value


def _array(value: object, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise InputError(f"{where} must be an array")
    return value


def _integer(value: object, where: str, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise InputError(f"{where} must be an integer")
    if not least <= value <= most:
        raise InputError(f"{where} must lie between {least} and {most}")
    return value


def _place(value: object, where: str) -> Place:
    pair = _array(value, where)
    if len(pair) != 2 or any(isinstance(x, bool) or not isinstance(x, int | float) for x in pair):
        raise InputError(f"{where} must be [longitude, latitude]")
    try:
        return Place(lat=float(pair[1]), lon=float(pair[0]))
    except (InvalidPlace, OverflowError) as error:
        raise InputError(f"{where}: {error}") from None


def _window(value: object, where: str) -> TimeWindow:
    pair = _array(value, where)
    if len(pair) != 2:
        raise InputError(f"{where} must be [start, end]")
    start, end = (_integer(instant, where, 0, MAX_TIME) for instant in pair)
    if end < start:
        raise InputError(f"{where} ends before it starts")
    return TimeWindow(start, end)


def _windows(owner: JsonObject, where: str) -> tuple[TimeWindow, ...]:
    """The time windows of a job or break, or the only one of a vehicle; empty if it has none."""
    if "time_window" in owner:
        return (_window(owner["time_window"], f"{where}.time_window"),)
    listed = _array(owner.get("time_windows", []), f"{where}.time_windows")
    windows = tuple(_window(value, f"{where}.time_windows") for value in listed)
    for before, after in pairwise(windows):
        if after.start <= before.end:
            raise InputError(f"{where}.time_windows must be sorted and must not overlap")
    return windows


def _service_s(task: JsonObject, where: str) -> int:
    """Setup and service together."""
    return sum(_integer(task.get(key, 0), f"{where}.{key}", 0, UNREACHABLE) for key in ("setup", "service"))


def _skills(owner: JsonObject, where: str) -> dict[str, int]:
    listed = _array(owner.get("skills", []), f"{where}.skills")
    return {str(_integer(skill, f"{where}.skills", 0, MAX_ID)): 1 for skill in listed}


def _costs(vehicle: JsonObject, where: str) -> dict[str, int]:
    """VROOM's defaults make the cost of a plan its seconds of travel."""
    costs = _object(vehicle.get("costs", {}), f"{where}.costs")
    _refuse_misspelt(costs, _COST_KEYS, f"{where}.costs")
    defaults = {"fixed": 0, "per_hour": 3600, "per_km": 0, "per_task_hour": 0}
    return {
        key: _integer(costs.get(key, default), f"{where}.costs.{key}", 0, MAX_COST)
        for key, default in defaults.items()
    }


def _by_id(value: object, kind: str) -> dict[str, JsonObject]:
    listed = _array(value, f"{kind}s")
    if not listed:
        raise InputError(f"{kind}s must not be empty")
    found: dict[str, JsonObject] = {}
    for index, item in enumerate(listed):
        owner = _object(item, f"{kind}s[{index}]")
        if "id" not in owner:
            raise InputError(f"{kind}s[{index}].id is missing")
        name = str(_integer(owner["id"], f"{kind}s[{index}].id", 0, MAX_ID))
        if name in found:
            raise InputError(f"{kind} id {name} occurs twice")
        found[name] = owner
    return found


def _break_objects(vehicle: JsonObject, where: str) -> list[JsonObject]:
    return list(_by_id(vehicle["breaks"], f"{where}.break").values()) if vehicle.get("breaks") else []


def _ordered_breaks(vehicle: JsonObject, where: str, horizon: TimeWindow) -> list[tuple[Break, JsonObject]]:
    """The breaks in order of time, each with its JSON object."""
    breaks = []
    for pause in _break_objects(vehicle, where):
        at = f"{where}, break {pause['id']}"
        windows = _windows(pause, at)
        if len(windows) > 1:
            raise InputError(f"{at} has several time windows; one is served")
        breaks.append((Break(windows[0] if windows else horizon, _service_s(pause, at)), pause))
    return sorted(breaks, key=lambda pair: (pair[0].window.start, pair[0].window.end))


# Refusing what is not served


def _refuse_misspelt(owner: JsonObject, served: set[str], where: str) -> None:
    for key in owner.keys() - served:
        close = difflib.get_close_matches(key.lower(), served, n=1, cutoff=0.8)
        if close:
            raise InputError(f"{where} has an unknown key {key!r}; is {close[0]!r} meant?")


def _refuse_not_served(owner: JsonObject, served: set[str], where: str) -> None:
    for key, sentence in _NOT_SERVED.items():
        if key in owner:
            raise InputError(f"{where}.{key}: {sentence}")
    _refuse_misspelt(owner, served, where)
    description = owner.get("description", "")
    if not isinstance(description, str):
        raise InputError(f"{where}.description must be a string")


def _refuse_job_keys(job: JsonObject, where: str) -> None:
    _refuse_not_served(job, _JOB_KEYS, where)
    for key in ("amount", "delivery", "pickup"):
        if any(amount != 0 for amount in _array(job.get(key, []), f"{where}.{key}")):
            raise InputError(f"{where}.{key}: amounts and capacities are not served")


def _refuse_vehicle_keys(vehicle: JsonObject, where: str) -> None:
    _refuse_not_served(vehicle, _VEHICLE_KEYS, where)
    if vehicle.get("speed_factor", 1) != 1:
        raise InputError(f"{where}.speed_factor: vehicles of different speed are not served")
    if "breaks" in vehicle:
        _array(vehicle["breaks"], f"{where}.breaks")
    for pause in _break_objects(vehicle, where):
        _refuse_not_served(pause, _BREAK_KEYS, f"{where}, break {pause['id']}")


def _refuse_options(value: object) -> None:
    """Options of vroom-express: what only tunes VROOM's search is ignored."""
    options = _object({} if value is None else value, "options")
    if options.get("g"):
        raise InputError("options.g: the geometry of routes is not served")
    if options.get("c"):
        raise InputError("options.c: the mode that only times given routes is not served")


def _profile(vehicles: Mapping[str, JsonObject]) -> str:
    profiles = {name: vehicle.get("profile", "car") for name, vehicle in vehicles.items()}
    for name, profile in profiles.items():
        if not isinstance(profile, str):
            raise InputError(f"vehicle {name}.profile must be a string")
    if len(set(profiles.values())) > 1:
        raise InputError("vehicles of different profiles are not served")
    return str(next(iter(profiles.values())))


# Reading matrices


def _matrices(document: JsonObject, profile: str) -> JsonObject | None:
    """What is given for the one profile, by the current key or the older `matrix`; None if nothing is."""
    if "matrix" in document:
        return {"durations": document["matrix"]}
    if "matrices" not in document:
        if profile not in PROFILES_WITHOUT_MATRIX:
            raise InputError(f"profile {profile!r} is not served without a matrix of its own")
        return None
    matrices = _object(document["matrices"], "matrices")
    if profile not in matrices:
        raise InputError(f"matrices has none for the profile {profile!r}")
    return _object(matrices[profile], f"matrices.{profile}")


def _travel_matrix(given: JsonObject) -> TravelMatrix:
    """Without distances, ways have no length, but stay without a way where there is none."""
    if "durations" not in given:
        raise InputError("the matrix of durations is missing")
    if "costs" in given:
        raise InputError("a matrix of costs is not served; use durations, distances and the vehicles' costs")
    durations = _square(given["durations"], "durations")
    if "distances" not in given:
        return TravelMatrix(durations, np.where(durations >= UNREACHABLE, durations, 0).astype(np.int32))
    distances = _square(given["distances"], "distances")
    if distances.shape != durations.shape:
        raise InputError("the matrices of distances and durations differ in size")
    return TravelMatrix(durations, distances)


def _square(value: object, where: str) -> NDArray[np.int32]:
    rows = _array(value, where)
    if not rows:
        raise InputError(f"{where} must not be empty")
    for index, row in enumerate(rows):
        if len(_array(row, f"{where}[{index}]")) != len(rows):
            raise InputError(f"{where} must be square; row {index} has {len(row)} of {len(rows)} values")
        if any(type(figure) is not int for figure in row):
            raise InputError(f"{where}[{index}] must hold integers")
        if min(row) < 0 or max(row) > MAX_MATRIX_VALUE:
            raise InputError(f"{where}[{index}] must lie between 0 and {MAX_MATRIX_VALUE}")
    figures = np.array(rows, dtype=np.int64)
    return np.where(figures >= NO_WAY, UNREACHABLE, figures).astype(np.int32)


# Writing


def write(request: Request, plan: Plan, *, loading_ms: int = 0, solving_ms: int = 0) -> dict[str, Any]:
    """The plan as VROOM's output; `unassigned` gains `reasons` and `would_fit_if`, as `plan.Reason` has
    them."""
    shifts = {shift.id: shift for shift in request.problem.shifts}
    routes = [_RouteWriter(request, shifts[route.shift], route).written() for route in plan.routes]
    summed = ["cost", "setup", "service", "duration", "waiting_time", "priority"]
    if request.with_distances:
        summed.append("distance")
    return {
        "code": OK,
        "summary": {
            **{key: sum(route[key] for route in routes) for key in summed},
            "routes": len(routes),
            "unassigned": len(plan.unserved),
            "violations": [],
            "computing_times": {"loading": loading_ms, "solving": solving_ms, "routing": 0},
        },
        "unassigned": [
            {
                **_task(request.jobs[entry.visit]),
                "type": "job",
                "reasons": [_reason(reason) for reason in entry.reasons],
                "would_fit_if": [_reason(reason) for reason in entry.would_fit_if],
            }
            for entry in plan.unserved
        ],
        "routes": routes,
    }


def write_error(message: str, code: int = INPUT_ERROR) -> dict[str, Any]:
    """VROOM's body for a failure."""
    return {"code": code, "error": message}


def _task(owner: JsonObject) -> dict[str, Any]:
    """What every step echoes of its job."""
    return {key: owner[key] for key in ("id", "description", "location", "location_index") if key in owner}


def _reason(reason: Reason) -> dict[str, Any]:
    written: dict[str, Any] = {"code": reason.code, "detail": reason.detail}
    if reason.technicians:
        written["technicians"] = [int(name) for name in reason.technicians]
    if reason.by is not None:
        written["by"] = reason.by
    return written


class _RouteWriter:
    """Writes one route. VROOM's steps follow each other in time, breaks among them; so the route is driven
    again from its beginning, each leg as soon as it can be."""

    def __init__(self, request: Request, shift: Shift, route: Route) -> None:
        self.request = request
        self.shift = shift
        self.route = route
        self.vehicle = request.vehicles[shift.technician]
        objects = [pause for _, pause in _ordered_breaks(self.vehicle, "vehicle", request.horizon)]
        self.pauses = list(zip(route.breaks, objects, strict=True))
        self.now = min([route.departs_at, *(taken.start for taken in route.breaks)])
        self.driven_s = 0
        self.driven_m = 0
        self.steps: list[dict[str, Any]] = []

    def written(self) -> dict[str, Any]:
        if self.shift.start_place is not None:
            self._step("start", self._end_place("start"))
        for stop in self.route.stops:
            self._visit(stop)
        self._finish()
        jobs = [self.request.jobs[stop.visit] for stop in self.route.stops]
        route: dict[str, Any] = {
            "vehicle": self.vehicle["id"],
            "cost": self._cost(),
            "setup": sum(step["setup"] for step in self.steps),
            "service": sum(step["service"] for step in self.steps),
            "duration": self.route.travel_s,
            "waiting_time": sum(step["waiting_time"] for step in self.steps),
            "priority": sum(job.get("priority", 0) for job in jobs),
            "steps": self.steps,
            "violations": [],
        }
        if self.request.with_distances:
            route["distance"] = self.route.travel_m
        if "description" in self.vehicle:
            route["description"] = self.vehicle["description"]
        return route

    def _cost(self) -> int:
        costs = _costs(self.vehicle, "vehicle")
        work_s = sum(stop.end - stop.start for stop in self.route.stops)
        hourly = costs["per_hour"] * self.route.travel_s + costs["per_task_hour"] * work_s
        return round(costs["fixed"] + hourly / 3600 + costs["per_km"] * self.route.travel_m / 1000)

    def _step(self, kind: str, named: JsonObject, setup: int = 0, service: int = 0, waiting: int = 0) -> None:
        """A step that begins now."""
        step = {
            "type": kind,
            **named,
            "setup": setup,
            "service": service,
            "waiting_time": waiting,
            "arrival": self.now,
            "duration": self.driven_s,
            "violations": [],
        }
        if self.request.with_distances:
            step["distance"] = self.driven_m
        self.steps.append(step)

    def _end_place(self, end: str) -> dict[str, Any]:
        keys = {end: "location", f"{end}_index": "location_index"}
        return {written: self.vehicle[key] for key, written in keys.items() if key in self.vehicle}

    def _pause(self, until: int) -> None:
        """Take the breaks that begin before `until`, here."""
        while self.pauses and self.pauses[0][0].start < until:
            taken, pause = self.pauses.pop(0)
            echoed = {key: pause[key] for key in ("id", "description") if key in pause}
            self._step("break", echoed, service=taken.end - taken.start, waiting=taken.start - self.now)
            self.now = taken.end

    def _drive(self, leg_s: int, leg_m: int) -> None:
        self.now += leg_s
        self.driven_s += leg_s
        self.driven_m += leg_m

    def _visit(self, stop: Stop) -> None:
        self._pause(stop.arrival)
        self._drive(stop.travel_s, stop.travel_m)
        self._pause(stop.end)
        job = self.request.jobs[stop.visit]
        setup, service = job.get("setup", 0), job.get("service", 0)
        named = {"job": job["id"], **_task(job)}
        self._step("job", named, setup=setup, service=service, waiting=stop.start - self.now)
        self.now = stop.end

    def _finish(self) -> None:
        self._pause(self.route.returns_at)
        self._drive(self.route.travel_s - self.driven_s, self.route.travel_m - self.driven_m)
        self._pause(MAX_TIME)
        if self.shift.end_place is not None:
            self._step("end", self._end_place("end"))
