"""A problem as flat arrays that numba kernels take, one row a visit, a shift or a place.

Costs inside the kernels are integers in ticks, `TICKS_PER_CENT` to the cent, so that a rate per hour times
seconds and a rate per kilometre times metres are exact and a change of the plan is a difference of integers.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from optimizer.eligibility import UNLIMITED, Fleet, eligibility
from optimizer.problem import UNREACHABLE, InvalidProblem, Problem, Shift, TimeWindow, Visit, Weights

TICKS_PER_S_AND_CENT_PER_H = 1_000
TICKS_PER_M_AND_CENT_PER_KM = 3_600
TICKS_PER_CENT = 3_600_000

MAX_TICKS = 2**60
"""Bound of any sum of costs, so that 64 bits never overflow: about 320 billion cents."""

Ints = NDArray[np.int64]
Indices = NDArray[np.int32]
Item = TypeVar("Item")
Compact = Callable[[Iterable[int | None]], Indices]


class ProblemArrays(NamedTuple):
    """leg: int32 [places, places, 2], seconds and metres side by side; the last place is nowhere, at no
    distance from anywhere, and stands for an open start or end. window_start, window_end: [visits, most
    windows], padded. prize: ticks that an unserved visit costs; a pinned one has a surcharge above all others
    together. max_visits, max_travel_m: `UNLIMITED` where not set. per_s, per_m: ticks of a second and a metre
    of travel. allowed: bool [visits, shifts]. assign: ticks [visits, shifts] of serving a visit in a shift,
    travel apart. kind: int32 [shifts], equal for shifts that nothing tells apart.
    """

    leg: NDArray[np.int32]
    place: Indices
    service_s: Ints
    window_start: Ints
    window_end: Ints
    window_count: Indices
    prize: Ints
    shift_start: Ints
    shift_end: Ints
    start_place: Indices
    end_place: Indices
    break_count: Indices
    pauses: Ints
    max_visits: Ints
    max_travel_m: Ints
    fixed: Ints
    per_s: Ints
    per_m: Ints
    allowed: NDArray[np.bool_]
    assign: Ints
    kind: Indices


def cents(ticks: int) -> int:
    """Whole cents, halves up."""
    return (ticks + TICKS_PER_CENT // 2) // TICKS_PER_CENT


def windows_of(visit: Visit) -> tuple[TimeWindow, ...]:
    """When work may start: its windows, or the very instant of its pin."""
    if visit.pin is not None and visit.pin.start is not None:
        return (TimeWindow(visit.pin.start, visit.pin.start),)
    return visit.windows


def build_arrays(
    problem: Problem, fleet: Fleet, planned: Mapping[str, str] | None = None, *, every_place: bool = False
) -> ProblemArrays:
    """planned: the technician of each visit in the plan one starts from, by visit id; giving a visit to
    another costs `Weights.move_cents`. Raises `InvalidProblem` when the shifts span over 34 years
    (`UNREACHABLE` seconds) or the prizes are too large to add up. every_place: keeps the rows of places that
    no visit or shift has."""
    visits, shifts = problem.visits, problem.shifts
    _check_span(shifts)
    compact, leg = _legs(problem, every_place)
    allowed = eligibility(visits, fleet)
    assign = np.empty((len(visits), len(shifts)), np.int64)
    for row, visit in enumerate(visits):
        assign[row] = assignment_ticks(visit, fleet, problem.weights, (planned or {}).get(visit.id))
    window_start, window_end, window_count = pad_windows([windows_of(visit) for visit in visits])
    weights = problem.weights
    arrays = ProblemArrays(
        leg=leg,
        place=compact(visit.place for visit in visits),
        service_s=_column(visits, lambda visit: visit.service_s),
        window_start=window_start,
        window_end=window_end,
        window_count=window_count,
        prize=_prizes(problem),
        shift_start=_column(shifts, lambda shift: shift.window.start),
        shift_end=_column(shifts, lambda shift: shift.window.end),
        start_place=compact(shift.start_place for shift in shifts),
        end_place=compact(shift.end_place for shift in shifts),
        break_count=_column(shifts, lambda shift: len(shift.breaks)).astype(np.int32),
        pauses=_pauses(shifts),
        max_visits=_column(shifts, lambda shift: _cap(shift.max_visits)),
        max_travel_m=_column(shifts, lambda shift: _cap(shift.max_travel_m)),
        fixed=_column(shifts, lambda shift: shift.fixed_cents * TICKS_PER_CENT),
        per_s=_column(
            shifts, lambda s: (s.cents_per_h + weights.travel_cents_per_h) * TICKS_PER_S_AND_CENT_PER_H
        ),
        per_m=_column(
            shifts, lambda s: (s.cents_per_km + weights.travel_cents_per_km) * TICKS_PER_M_AND_CENT_PER_KM
        ),
        allowed=allowed,
        assign=assign,
        kind=np.zeros(len(shifts), np.int32),
    )
    return arrays._replace(kind=_kinds(arrays))


def assignment_ticks(visit: Visit, fleet: Fleet, weights: Weights, planned: str | None) -> Ints:
    """What serving this visit costs in each shift apart from travel: pay, not preferred, moved. Ticks
    [shifts]."""
    ticks = fleet.cents_per_h * (visit.service_s * TICKS_PER_S_AND_CENT_PER_H)
    ticks += fleet.cents_per_visit * TICKS_PER_CENT
    if visit.preferred:
        ticks += ~fleet.is_one_of(visit.preferred) * (weights.not_preferred_cents * TICKS_PER_CENT)
    if planned is not None:
        ticks += ~fleet.is_one_of([planned]) * (weights.move_cents * TICKS_PER_CENT)
    return ticks


def pad_windows(windows: Sequence[Sequence[TimeWindow]]) -> tuple[Ints, Ints, Indices]:
    """Starts and ends as [rows, most windows of a row, at least 1], and how many count."""
    most = max([1, *(len(row) for row in windows)])
    start = np.zeros((len(windows), most), np.int64)
    end = np.full((len(windows), most), -1, np.int64)
    for row, several in enumerate(windows):
        start[row, : len(several)] = [window.start for window in several]
        end[row, : len(several)] = [window.end for window in several]
    return start, end, np.array([len(row) for row in windows], np.int32)


def _pauses(shifts: Sequence[Shift]) -> Ints:
    pauses = np.zeros((len(shifts), max([0, *(len(shift.breaks) for shift in shifts)]), 3), np.int64)
    for row, shift in enumerate(shifts):
        for index, pause in enumerate(shift.breaks):
            pauses[row, index] = pause.window.start, pause.window.end, pause.duration_s
    return pauses


def _check_span(shifts: Sequence[Shift]) -> None:
    if not shifts:
        return
    span = max(shift.window.end for shift in shifts) - min(shift.window.start for shift in shifts)
    if span >= UNREACHABLE:
        raise InvalidProblem("shifts", f"span {span} s; more than {UNREACHABLE} s cannot be planned at once")


def _legs(problem: Problem, every_place: bool) -> tuple[Compact, NDArray[np.int32]]:
    """The travel between the places in use, and the function from places to rows of it (None to nowhere)."""
    ends = {place for shift in problem.shifts for place in (shift.start_place, shift.end_place)}
    used = sorted({visit.place for visit in problem.visits} | {place for place in ends if place is not None})
    if every_place:
        used = list(range(problem.travel.places))
    row = {place: index for index, place in enumerate(used)}
    leg = np.zeros((len(used) + 1, len(used) + 1, 2), np.int32)
    among = np.ix_(used, used)
    metres = problem.travel.distance_m[among]
    leg[:-1, :-1, 0] = np.where(metres >= UNREACHABLE, UNREACHABLE, problem.travel.duration_s[among])
    leg[:-1, :-1, 1] = metres

    def compact(places: Iterable[int | None]) -> Indices:
        return np.array([len(used) if place is None else row[place] for place in places], np.int32)

    return compact, leg


def _prizes(problem: Problem) -> Ints:
    prizes = [problem.prize_cents(visit) * TICKS_PER_CENT for visit in problem.visits]
    pinned = sum(visit.pin is not None for visit in problem.visits)
    total = sum(prizes)
    if total >= MAX_TICKS // 2:
        raise InvalidProblem(
            "visits", f"prizes add up to {total // TICKS_PER_CENT} cents, too much to plan with"
        )
    surcharge = min(total + 1, MAX_TICKS // 2 // (pinned + 1))
    return np.array(
        [
            prize + surcharge * (visit.pin is not None)
            for prize, visit in zip(prizes, problem.visits, strict=True)
        ],
        np.int64,
    )


def _kinds(arrays: ProblemArrays) -> Indices:
    """Numbers the classes of identical shifts: the same hours, places, costs, caps, breaks and rights."""
    a = arrays
    columns: list[NDArray[Any]] = [
        a.shift_start, a.shift_end, a.start_place, a.end_place, a.max_visits, a.max_travel_m, a.fixed, a.per_s,
        a.per_m, a.break_count, a.pauses.reshape(len(a.pauses), 3 * a.pauses.shape[1]), a.allowed.T, a.assign.T,
    ]  # fmt: skip
    seen: dict[bytes, int] = {}
    rows = np.column_stack(columns) if len(a.pauses) else np.zeros((0, 1), np.int64)
    return np.array([seen.setdefault(row.tobytes(), len(seen)) for row in rows], np.int32)


def _cap(value: int | None) -> int:
    return UNLIMITED if value is None else value


def _column(items: Sequence[Item], value: Callable[[Item], int]) -> Ints:
    return np.array([value(item) for item in items], np.int64)
