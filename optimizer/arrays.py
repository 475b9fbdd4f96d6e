"""A problem as flat arrays that numba kernels take, one row a visit, a shift or a place.

Costs inside the kernels are integers in ticks, `TICKS_PER_CENT` to the cent, so that a rate per hour times
seconds and a rate per kilometre times metres are exact and a change of the plan is a difference of integers.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from optimizer.eligibility import UNLIMITED, Fleet, eligibility
from optimizer.kernel import kernel
from optimizer.problem import (
    UNREACHABLE,
    InvalidProblem,
    Problem,
    Shift,
    TimeWindow,
    TravelMatrix,
    Visit,
    Weights,
)

TICKS_PER_S_AND_CENT_PER_H = 1_000
TICKS_PER_M_AND_CENT_PER_KM = 3_600
TICKS_PER_CENT = 3_600_000

NEVER = 2**60
"""An instant that is not reached; sums of it with durations stay within 64 bits."""

MAX_TICKS = 2**60
"""Bound of any sum of costs, so that 64 bits never overflow: about 320 billion cents."""

Ints = NDArray[np.int64]
Indices = NDArray[np.int32]
Records = NDArray[Any]
"""A structured array; kernels read `records[row].field`, others `records["field"]`."""


VISIT = np.dtype(
    [("place", "i4"), ("windows", "i4"), ("prize", "i8"), ("sla_due", "i8"), ("sla_per_s", "i8")],
    align=True,
)
"""windows: how many count. prize: ticks that the visit costs unserved; a pinned one has a surcharge above all others
together. sla_due: `NEVER` where there is none; sla_per_s: ticks."""

SHIFT = np.dtype(
    [
        ("start", "i8"), ("end", "i8"), ("overtime_from", "i8"), ("overtime_per_s", "i8"), ("max_visits", "i8"),
        ("max_travel_m", "i8"), ("max_travel_s", "i8"), ("max_duration_s", "i8"), ("fixed", "i8"),
        ("given_s", "i8"), ("fairness", "i8"), ("per_s", "i8"), ("per_m", "i8"), ("start_place", "i4"),
        ("end_place", "i4"), ("breaks", "i4"), ("kind", "i4"), ("timed", "?"), ("far", "?"),
    ],
    align=True,
)  # fmt: skip
"""end: the last instant, overtime included; overtime_from: where it begins, overtime_per_s: its ticks. max_*:
`UNLIMITED` where not set. given_s: seconds given so far; fairness: `Weights.fairness_cents_per_h2`. per_s, per_m:
ticks of a second and a metre of travel. timed: whether the cost or the length of a route depends on its times in ways
that only making the route can tell. far: whether travel is capped. kind: equal for shifts that nothing tells apart."""

PAIR = np.dtype([("assign", "i8"), ("service_s", "i4"), ("allowed", "?")], align=True)
"""assign: ticks of serving a visit in a shift, travel apart; service_s: how long it takes there."""


class ProblemArrays(NamedTuple):
    """visit, shift, pair: records as above, [visits], [shifts] and [visits, shifts]. leg: int32 [places + 1, places +
    1, 2], seconds and metres side by side; the last place is nowhere, at no distance from anywhere, and stands for an
    open start or end. leg_to: the same by destination, leg_to[b, a] being the way from a to b; it is `leg` itself
    where all ways are as long back as there. window: [visits, most windows, 2], first and last instant, padded.
    pauses: [shifts, most breaks, 3], first and last instant to begin, and seconds. load: [visits, kinds of goods],
    capacity: [shifts, kinds of goods], `UNLIMITED` where not set.
    """

    visit: Records
    shift: Records
    pair: Records
    leg: NDArray[np.int32]
    leg_to: NDArray[np.int32]
    window: Ints
    pauses: Ints
    load: Ints
    capacity: Ints


def cents(ticks: int) -> int:
    """Whole cents, halves up."""
    return (ticks + TICKS_PER_CENT // 2) // TICKS_PER_CENT


def windows_of(visit: Visit) -> tuple[TimeWindow, ...]:
    """When work may start: its windows, or the very instant of its pin."""
    if visit.pin is not None and visit.pin.start is not None:
        return (TimeWindow(visit.pin.start, visit.pin.start),)
    return visit.windows


def build_arrays(
    problem: Problem,
    fleet: Fleet,
    planned: Mapping[str, str] | None = None,
    legs: tuple[NDArray[np.int32], NDArray[np.int32]] | None = None,
) -> ProblemArrays:
    """planned: the technician of each visit in the plan one starts from, by visit id; giving a visit to another
    costs `Weights.move_cents`. legs: `leg` and `leg_to` of the same travel, where they are known. Raises
    `InvalidProblem` when the shifts span over 34 years (`UNREACHABLE` seconds) or the prizes are too large to add
    up."""
    visits, shifts = problem.visits, problem.shifts
    _check_span(shifts)
    leg, leg_to = _legs(problem.travel) if legs is None else legs
    arrays = ProblemArrays(
        visit=_visit_records(problem),
        shift=_shift_records(problem),
        pair=_pair_records(problem, fleet, planned or {}),
        leg=leg,
        leg_to=leg_to,
        window=_windows([windows_of(visit) for visit in visits]),
        pauses=_pauses(shifts),
        load=_loads([visit.load for visit in visits], problem, 0),
        capacity=_loads([shift.capacity for shift in shifts], problem, UNLIMITED),
    )
    arrays.shift["timed"] = _timed(arrays)
    arrays.shift["far"] = np.minimum(arrays.shift["max_travel_m"], arrays.shift["max_travel_s"]) < UNLIMITED
    arrays.shift["kind"] = _kinds(arrays)
    return arrays


def _visit_records(problem: Problem) -> Records:
    records = np.zeros(len(problem.visits), VISIT)
    records["place"] = [visit.place for visit in problem.visits]
    records["windows"] = [len(windows_of(visit)) for visit in problem.visits]
    records["prize"] = _prizes(problem)
    for row, visit in enumerate(problem.visits):
        due, price = (NEVER, 0) if visit.sla is None else (visit.sla.due, visit.sla.cents_per_h)
        records[row]["sla_due"], records[row]["sla_per_s"] = due, price * TICKS_PER_S_AND_CENT_PER_H
    return records


def _shift_records(problem: Problem) -> Records:
    weights, nowhere = problem.weights, problem.travel.places
    records = np.zeros(len(problem.shifts), SHIFT)
    for record, shift in zip(records, problem.shifts, strict=True):
        record["start"], record["end"] = shift.window.start, shift.window.end + shift.overtime_s
        record["overtime_from"] = shift.window.end
        record["overtime_per_s"] = shift.overtime_cents_per_h * TICKS_PER_S_AND_CENT_PER_H
        for cap in ("max_visits", "max_travel_m", "max_travel_s", "max_duration_s"):
            value = getattr(shift, cap)
            record[cap] = UNLIMITED if value is None else value
        record["fixed"] = shift.fixed_cents * TICKS_PER_CENT
        record["given_s"], record["fairness"] = shift.given_s, weights.fairness_cents_per_h2
        record["per_s"] = (shift.cents_per_h + weights.travel_cents_per_h) * TICKS_PER_S_AND_CENT_PER_H
        record["per_m"] = (shift.cents_per_km + weights.travel_cents_per_km) * TICKS_PER_M_AND_CENT_PER_KM
        record["start_place"] = nowhere if shift.start_place is None else shift.start_place
        record["end_place"] = nowhere if shift.end_place is None else shift.end_place
        record["breaks"] = len(shift.breaks)
    return records


def _pair_records(problem: Problem, fleet: Fleet, planned: Mapping[str, str]) -> Records:
    records = np.zeros((len(problem.visits), len(problem.shifts)), PAIR)
    records["allowed"] = eligibility(problem.visits, fleet)
    for row, visit in enumerate(problem.visits):
        records[row]["service_s"] = fleet.service_s(visit)
        records[row]["assign"] = assignment_ticks(visit, fleet, problem.weights, planned.get(visit.id))
    return records


def assignment_ticks(visit: Visit, fleet: Fleet, weights: Weights, planned: str | None) -> Ints:
    """What serving this visit costs in each shift apart from travel: pay, not preferred, moved, scarce skills not
    spared. Ticks [shifts]."""
    ticks = fleet.cents_per_h * fleet.service_s(visit) * TICKS_PER_S_AND_CENT_PER_H
    ticks += fleet.cents_per_visit * TICKS_PER_CENT
    if visit.preferred:
        ticks += ~fleet.is_one_of(visit.preferred) * (weights.not_preferred_cents * TICKS_PER_CENT)
    if planned is not None:
        ticks += ~fleet.is_one_of([planned]) * (weights.move_cents * TICKS_PER_CENT)
    if weights.spare_skill_cents:
        ticks += fleet.scarce_permille(visit) * (weights.spare_skill_cents * (TICKS_PER_CENT // 1000))
    return ticks


def _windows(windows: Sequence[Sequence[TimeWindow]]) -> Ints:
    """[rows, most windows of a row and at least 1, 2], those that do not count empty."""
    padded = np.zeros((len(windows), max([1, *(len(row) for row in windows)]), 2), np.int64)
    padded[:, :, 1] = -1
    for row, several in enumerate(windows):
        padded[row, : len(several)] = [(window.start, window.end) for window in several]
    return padded


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


def _legs(travel: TravelMatrix) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Seconds and metres side by side, with a row and a column of nowhere; by origin and by destination."""
    leg = np.empty((travel.places + 1, travel.places + 1, 2), np.int32)
    if _interleave(travel.duration_s, travel.distance_m, leg):
        return leg, leg
    return leg, np.ascontiguousarray(leg.transpose(1, 0, 2))


@kernel
def _interleave(duration_s: NDArray[np.int32], distance_m: NDArray[np.int32], leg: NDArray[np.int32]) -> bool:
    """Fills `leg`; no way in metres is no way in seconds either. Returns whether it is the same both ways."""
    places = len(duration_s)
    for a in range(places):
        for b in range(places):
            metres = distance_m[a, b]
            leg[a, b, 0] = UNREACHABLE if metres >= UNREACHABLE else duration_s[a, b]
            leg[a, b, 1] = metres
        leg[a, places] = 0
    leg[places] = 0
    for a in range(0, places, 64):
        for b in range(0, a + 64, 64):
            for i in range(a, min(a + 64, places)):
                for j in range(b, min(b + 64, i)):
                    if leg[i, j, 0] != leg[j, i, 0] or leg[i, j, 1] != leg[j, i, 1]:
                        return False
    return True


def _loads(rows: Sequence[tuple[int, ...]], problem: Problem, missing: int) -> Ints:
    """[rows, kinds of goods]; a row that names none has `missing` of each."""
    named = [len(visit.load) for visit in problem.visits] + [len(shift.capacity) for shift in problem.shifts]
    kinds = max([0, *named])
    return np.array([row or (missing,) * kinds for row in rows], np.int64).reshape(len(rows), kinds)


def _timed(arrays: ProblemArrays) -> NDArray[np.bool_]:
    """See `SHIFT`. The length of a route without breaks, all of whose visits have one window, is told by
    `schedule.duration_with` as well."""
    allowed, shift = arrays.pair["allowed"], arrays.shift
    by_sla = (allowed & (arrays.visit["sla_per_s"] > 0)[:, None]).any(axis=0)
    jumping = (allowed & (arrays.visit["windows"] > 1)[:, None]).any(axis=0) | (shift["breaks"] > 0)
    timed = by_sla | (shift["overtime_per_s"] > 0) | (jumping & (shift["max_duration_s"] < UNLIMITED))
    return np.asarray(timed, np.bool_)


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
    """Numbers the classes of identical shifts: the same hours, places, costs, caps, breaks and rights. Field by field,
    for the bytes between the fields of a record mean nothing and may differ."""
    columns = [arrays.shift[name][:, None] for name in SHIFT.names or ()]
    columns += [np.ascontiguousarray(arrays.pair[name].T) for name in PAIR.names or ()]
    columns += [arrays.pauses, arrays.capacity]
    seen: dict[bytes, int] = {}
    return np.array(
        [
            seen.setdefault(b"".join(column[shift].tobytes() for column in columns), len(seen))
            for shift in range(len(arrays.shift))
        ],
        np.int32,
    )
