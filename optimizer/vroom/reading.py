"""From a document to a problem."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optimizer.plan import Plan
from optimizer.problem import (
    MAX_RATE,
    UNREACHABLE,
    Break,
    InvalidProblem,
    Problem,
    Shift,
    TimeWindow,
    Visit,
    Weights,
)
from optimizer.schedule import Infeasible, time_route
from optimizer.travel import Geodesic, TravelProvider
from optimizer.vroom.amounts import Amounts, Quantities, amounts_of
from optimizer.vroom.matrices import Matrices, Places, duration_percent, given_matrices, profile_of
from optimizer.vroom.refusals import (
    options_of,
    refuse_document_keys,
    refuse_job_keys,
    refuse_misspelt,
    refuse_vehicle_keys,
)
from optimizer.vroom.steps import GivenStep, steps_of
from optimizer.vroom.values import (
    MAX_SKILLS,
    MAX_TIME,
    InputError,
    JsonObject,
    TooLarge,
    breaks_of,
    by_id,
    cap_in,
    integer_in,
    object_in,
    parse_json,
    seconds_in,
    skills_in,
    text_in,
    windows_in,
)

LONGEST_SHIFT_S = 366 * 86_400
"""A vehicle's time window longer than a year stands for no limit."""

MAX_COST = MAX_RATE
MAX_PRIZES_CENTS = 10**11
"""All prizes together, below what the search can add up exactly."""

CENTS_PER_KM_OF_COSTS = 1000
"""With a matrix of costs in place of the metres, one cent for each."""

TYPE = "type"
"""The skill whose level tells the types of vehicles apart; every vehicle has it. VROOM's own skills are numbers."""

MOST_EXPLORATION = 5
_DEFAULT_COSTS = {"fixed": 0, "per_hour": 3600, "per_km": 0, "per_task_hour": 0}
_COST_KEYS = frozenset(_DEFAULT_COSTS)


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a document may hold. jobs count as locations, as vroom-express counts them."""

    locations: int
    vehicles: int

    @property
    def matrix_rows(self) -> int:
        """A place for each job and for both ends of each vehicle."""
        return self.locations + 2 * self.vehicles


@dataclass(frozen=True, slots=True)
class Options:
    """What vroom-express takes as `options`: `c` judges the given steps, `g` adds geometry, `x` says how hard to search
    (0 to 5), `l` for how many seconds at most. Its others tune VROOM's own search and are ignored."""

    judged: bool = False
    geometry: bool = False
    exploration: int = MOST_EXPLORATION
    limit_s: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """A document that was read. `problem` names visits, shifts and technicians by their VROOM ids as strings; `jobs`
    and `vehicles` are the JSON objects by the same names. rows, ends: their places as rows of the matrices. horizon:
    what an absent window stands for. steps: the given routes by vehicle.

    Of a document to be judged, `problem` has neither loads nor breaks: `judging` counts them step by step.
    """

    problem: Problem
    jobs: Mapping[str, JsonObject]
    vehicles: Mapping[str, JsonObject]
    rows: Mapping[str, int]
    ends: Mapping[str, tuple[int | None, int | None]]
    horizon: TimeWindow
    matrices: Matrices
    amounts: Amounts
    steps: Mapping[str, tuple[GivenStep, ...]]
    options: Options

    @property
    def with_distances(self) -> bool:
        """Whether metres were given or computed."""
        return self.matrices.with_distances

    @property
    def indexed(self) -> bool:
        """Whether places are given as rows of a matrix."""
        return self.matrices.given

    def action_s(self, job: str, vehicle: str, before: int | None) -> tuple[int, int]:
        """Seconds of setup and service; no setup where the vehicle was at this place before."""
        setup_s, service_s = task_s(
            self.jobs[job], type_of(self.vehicles[vehicle], f"vehicle {vehicle}"), f"job {job}"
        )
        return 0 if before == self.rows[job] else setup_s, service_s

    def leg(self, start: int | None, end: int | None) -> tuple[int, int]:
        """Seconds and metres between two rows; none where a route begins or ends openly."""
        if start is None or end is None:
            return 0, 0
        travel = self.matrices.travel
        return int(travel.duration_s[start, end]), int(travel.distance_m[start, end])

    def start_plan(self) -> Plan | None:
        """The plan that the given steps are, to be improved on. Raises `InputError` if it breaks a rule, as VROOM
        does."""
        routes = []
        for vehicle, steps in self.steps.items():
            named = [step.name for step in steps if step.kind == "job"]
            if not named:
                continue
            try:
                routes.append(time_route(self.problem, vehicle, named))
            except Infeasible as refusal:
                raise InputError(
                    f"vehicle {vehicle}.steps cannot be driven as given: {refusal.reason.detail}"
                ) from refusal
        return Plan(tuple(routes), ()) if routes else None


def read(text: str | bytes, travel: TravelProvider | None = None) -> Request:
    """Read a JSON text; see `read_document`. Raises `InputError`, also for what is no JSON (NaN)."""
    return read_document(parse_json(text), travel)


def read_document(
    document: object,
    travel: TravelProvider | None = None,
    *,
    judged: bool = False,
    limits: Limits | None = None,
) -> Request:
    """Turn VROOM's input into a problem; `travel` (default `Geodesic()`) serves where no matrix is given. judged: read
    it to be judged, as if the document said `"options": {"c": true}`.

    Money is in VROOM's cost units. A vehicle's hours of travel cost its per_hour, its hours of work its
    per_task_hour; where vehicles differ in what travel costs above work, the rest is charged to work too.
    Raises `InputError`, and `TooLarge` before any matrix is built.
    """
    document = object_in(document, "the document")
    refuse_document_keys(document)
    if limits is not None:
        _refuse_too_much(document, limits)
    options = _options(options_of(document), judged)
    jobs = by_id(document.get("jobs"), "job")
    vehicles = by_id(document.get("vehicles"), "vehicle")
    refuse_job_keys(jobs)
    refuse_vehicle_keys(vehicles)
    try:
        return _Reader(document, jobs, vehicles, options, travel or Geodesic(), limits).request()
    except InvalidProblem as error:
        raise InputError(str(error)) from None


def _refuse_too_much(document: JsonObject, limits: Limits) -> None:
    for key, most in (("jobs", limits.locations), ("vehicles", limits.vehicles)):
        listed = document.get(key)
        if isinstance(listed, list) and len(listed) > most:
            raise TooLarge(f"there are {len(listed)} {key}; up to {most} are served at once")


def _options(given: JsonObject, judged: bool) -> Options:
    limit = given.get("l")
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int | float) or not limit > 0):
        raise InputError("options.l must be a number of seconds above 0")
    return Options(
        judged=judged or bool(given.get("c")),
        geometry=bool(given.get("g")),
        exploration=min(
            MOST_EXPLORATION, integer_in(given.get("x", MOST_EXPLORATION), "options.x", 0, MAX_TIME)
        ),
        limit_s=limit,
    )


def type_of(vehicle: JsonObject, where: str) -> str:
    return text_in(vehicle.get("type", ""), f"{where}.type")


def task_s(job: JsonObject, vehicle_type: str, where: str) -> tuple[int, int]:
    """Seconds of setup and service for a vehicle of this type."""
    setup_s, service_s = (
        seconds_in(job[f"{key}_per_type"], vehicle_type, f"{where}.{key}_per_type")
        if vehicle_type in object_in(job.get(f"{key}_per_type", {}), f"{where}.{key}_per_type")
        else seconds_in(job, key, where)
        for key in ("setup", "service")
    )
    return setup_s, service_s


def costs_of(vehicle: JsonObject, where: str) -> dict[str, int]:
    """VROOM's defaults make the cost of a plan its seconds of travel."""
    costs = object_in(vehicle.get("costs", {}), f"{where}.costs")
    refuse_misspelt(costs, _COST_KEYS, f"{where}.costs")
    return {
        key: integer_in(costs.get(key, default), f"{where}.costs.{key}", 0, MAX_COST)
        for key, default in _DEFAULT_COSTS.items()
    }


def ordered_breaks(vehicle: JsonObject, where: str, horizon: TimeWindow) -> list[tuple[Break, JsonObject]]:
    """The breaks in order of time, each with its JSON object."""
    breaks = []
    for name, pause in breaks_of(vehicle, where).items():
        at = f"{where}, break {name}"
        windows = windows_in(pause, at)
        if len(windows) > 1:
            raise InputError(f"{at} has several time windows; one is served")
        breaks.append((Break(windows[0] if windows else horizon, seconds_in(pause, "service", at)), pause))
    return sorted(breaks, key=lambda pair: (pair[0].window.start, pair[0].window.end))


class _Reader:
    """Builds the problem from validated objects; what needs the whole document is computed once."""

    def __init__(
        self,
        document: JsonObject,
        jobs: Mapping[str, JsonObject],
        vehicles: Mapping[str, JsonObject],
        options: Options,
        travel: TravelProvider,
        limits: Limits | None,
    ) -> None:
        self.jobs, self.vehicles, self.options = jobs, vehicles, options
        percent = duration_percent(vehicles)
        most = None if limits is None else limits.matrix_rows
        given = given_matrices(document, profile_of(vehicles), percent, most)
        places = Places(given, travel, percent)
        self.rows = {name: self._row_of(places, name, job) for name, job in jobs.items()}
        self.ends = {name: self._ends_of(places, name, vehicle) for name, vehicle in vehicles.items()}
        if options.geometry:
            self._require_locations()
        self.amounts = amounts_of(jobs, vehicles)
        self.costs = {name: costs_of(vehicle, f"vehicle {name}") for name, vehicle in vehicles.items()}
        self.steps = steps_of(jobs, vehicles)
        self.types = self._types()
        self.work_s = {
            name: {kind: sum(task_s(job, kind, f"job {name}")) for kind in ("", *self.types)}
            for name, job in jobs.items()
        }
        self.matrices = places.matrices()
        self.horizon = self._horizon()

    def request(self) -> Request:
        """All that was read, the problem with it."""
        self._refuse_unpriced()
        return Request(
            self._problem(),
            self.jobs,
            self.vehicles,
            self.rows,
            self.ends,
            self.horizon,
            self.matrices,
            self.amounts,
            self.steps,
            self.options,
        )

    @staticmethod
    def _row_of(places: Places, name: str, job: JsonObject) -> int:
        row = places.row(job, "location", "location_index", f"job {name}")
        if row is None:
            raise InputError(f"job {name} has no location")
        return row

    @staticmethod
    def _ends_of(places: Places, name: str, vehicle: JsonObject) -> tuple[int | None, int | None]:
        start, end = (places.row(vehicle, end, f"{end}_index", f"vehicle {name}") for end in ("start", "end"))
        if start is None and end is None:
            raise InputError(f"vehicle {name} has neither start nor end")
        return start, end

    def _require_locations(self) -> None:
        """A line is drawn through coordinates, with a matrix too."""
        for name, job in self.jobs.items():
            if "location" not in job:
                raise InputError(f"job {name}: geometry needs a location")
        for name, vehicle in self.vehicles.items():
            for end, row in zip(("start", "end"), self.ends[name], strict=True):
                if row is not None and end not in vehicle:
                    raise InputError(f"vehicle {name}: geometry needs its {end}")

    def _types(self) -> dict[str, int]:
        """The level of each type of vehicle in the skill `TYPE`; empty where no job asks for it."""
        types = sorted({type_of(vehicle, f"vehicle {name}") for name, vehicle in self.vehicles.items()})
        asked = any("service_per_type" in job or "setup_per_type" in job for job in self.jobs.values())
        return {name: level for level, name in enumerate(types, start=1)} if asked else {}

    # What is priced

    def _refuse_unpriced(self) -> None:
        for name, vehicle in self.vehicles.items():
            costs = self.costs[name]
            if self.matrices.costs is not None and not self.options.judged:
                self._refuse_beside_costs(name, vehicle, costs)
            elif not self.matrices.with_distances and ("max_distance" in vehicle or costs["per_km"]):
                raise InputError(f"vehicle {name} limits or prices distance, but there are no distances")

    @staticmethod
    def _refuse_beside_costs(name: str, vehicle: JsonObject, costs: Mapping[str, int]) -> None:
        """With a matrix of costs the search minimises that alone, and what a vehicle costs at once."""
        for key in ("per_hour", "per_km", "per_task_hour"):
            if costs[key] != _DEFAULT_COSTS[key]:
                raise InputError(f"vehicle {name}.costs.{key} is not served together with a matrix of costs")
        if "max_distance" in vehicle:
            raise InputError(f"vehicle {name}.max_distance is not served together with a matrix of costs")

    def _travel_cents_per_h(self) -> int:
        if self.matrices.costs is not None:
            return 0
        return min(max(0, costs["per_hour"] - costs["per_task_hour"]) for costs in self.costs.values())

    # The problem

    def _problem(self) -> Problem:
        loads, rooms = ({}, {}) if self.options.judged else self.amounts.planned_loads()
        weights = Weights(travel_cents_per_h=self._travel_cents_per_h())
        travel = self.matrices.travel
        if self.matrices.costs is not None:
            travel = type(travel)(travel.duration_s, self.matrices.costs)
        shifts = tuple(self._shift(name, weights, rooms.get(name, ())) for name in self.vehicles)
        prize = self._prizes(shifts, weights, travel.distance_m)
        visits = tuple(self._visit(name, prize, loads.get(name, ())) for name in self.jobs)
        return Problem(visits, shifts, travel, weights)

    def _shift(self, name: str, weights: Weights, capacity: Quantities) -> Shift:
        vehicle, where = self.vehicles[name], f"vehicle {name}"
        costs, (start_place, end_place) = self.costs[name], self.ends[name]
        by_matrix = self.matrices.costs is not None
        breaks = [] if self.options.judged else ordered_breaks(vehicle, where, self.horizon)
        hourly = max(costs["per_task_hour"], costs["per_hour"] - weights.travel_cents_per_h)
        return Shift(
            id=name,
            technician=name,
            window=self._hours(vehicle, where),
            start_place=start_place,
            end_place=end_place,
            skills=self._skills_of(vehicle, where),
            breaks=tuple(pause for pause, _ in breaks),
            max_visits=cap_in(vehicle, "max_tasks", where),
            max_travel_m=cap_in(vehicle, "max_distance", where),
            max_travel_s=cap_in(vehicle, "max_travel_time", where),
            fixed_cents=costs["fixed"],
            cents_per_h=0 if by_matrix else hourly,
            cents_per_km=CENTS_PER_KM_OF_COSTS if by_matrix else costs["per_km"],
            capacity=capacity,
        )

    def _skills_of(self, vehicle: JsonObject, where: str) -> dict[str, int]:
        """All of one level, above those of the types: a job's time goes by the lowest level in what it requires."""
        skills = dict.fromkeys(skills_in(vehicle, where), len(self.types) + 1)
        return skills | {TYPE: self.types[type_of(vehicle, where)]} if self.types else skills

    def _visit(self, name: str, prize: Callable[[int], int], load: Quantities) -> Visit:
        job, where = self.jobs[name], f"job {name}"
        by_type = {level: self.work_s[name][kind] for kind, level in self.types.items()}
        priority = self._priority(name)
        return Visit(
            id=name,
            place=self.rows[name],
            service_s=self.work_s[name][""],
            windows=windows_in(job, where) or (self.horizon,),
            skills=dict.fromkeys(skills_in(job, where, MAX_SKILLS), 1)
            | dict.fromkeys([TYPE] if by_type else [], 1),
            priority=priority,
            prize_cents=prize(priority),
            service_s_by_level=by_type,
            load=load,
        )

    def _priority(self, name: str) -> int:
        return integer_in(self.jobs[name].get("priority", 0), f"job {name}.priority", 0, 100)

    def _prizes(
        self, shifts: Sequence[Shift], weights: Weights, distance_m: NDArray[np.int32]
    ) -> Callable[[int], int]:
        """The price of leaving a job out, by priority: more than inserting any one job costs; and, as far as
        `MAX_PRIZES_CENTS` goes, one point of priority more than all jobs without. What is judged has no price."""
        if self.options.judged:
            return lambda priority: 0
        priorities = [self._priority(name) for name in self.jobs]
        longest_h = _longest(self.matrices.travel.duration_s) / 3600
        longest_km = _longest(distance_m) / 1000
        work_h = max(max(work.values()) for work in self.work_s.values()) / 3600
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

    # Time

    def _pauses(self) -> Iterator[tuple[str, JsonObject]]:
        for name, vehicle in self.vehicles.items():
            for pause, owner in breaks_of(vehicle, f"vehicle {name}").items():
                yield f"vehicle {name}, break {pause}", owner

    def _horizon(self) -> TimeWindow:
        """From all the work before the first window's end or the last one's start, to all the work after the last
        one's start: wide enough for any plan, and narrow enough where windows are open or absent."""
        owners = [(f"job {name}", job) for name, job in self.jobs.items()]
        owners += [(f"vehicle {name}", vehicle) for name, vehicle in self.vehicles.items()]
        pauses = list(self._pauses())
        windows = [window for where, owner in [*owners, *pauses] for window in windows_in(owner, where)]
        work_s = sum(max(work.values()) for work in self.work_s.values())
        work_s += sum(seconds_in(pause, "service", where) for where, pause in pauses)
        work_s += (len(self.jobs) + len(self.vehicles)) * _longest(self.matrices.travel.duration_s)
        work_s = min(work_s, UNREACHABLE // 4)
        last_start = max((window.start for window in windows), default=0)
        first = min([last_start, *(window.end for window in windows)])
        return TimeWindow(max(0, first - work_s), last_start + work_s)

    def _hours(self, vehicle: JsonObject, where: str) -> TimeWindow:
        """The vehicle's time window; of one beyond `LONGEST_SHIFT_S` what lies inside the horizon, never
        nothing."""
        (window,) = windows_in(vehicle, where) or (self.horizon,)
        if window.end - window.start <= LONGEST_SHIFT_S:
            return window
        return TimeWindow(max(window.start, self.horizon.start), min(window.end, self.horizon.end))


def _longest(matrix: NDArray[np.int32]) -> int:
    return int(matrix.max(initial=0, where=matrix < UNREACHABLE))
