"""Times for a sequence of visits that move as little as may be: what stands begins no earlier than it stands."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from optimizer import Infeasible, Problem, Route, TimeWindow, Visit, time_route

Stands = Mapping[str, tuple[str | None, int]]
"""Who has a visit in the calendar (None: somebody who is not there any more), and from when, by visit id."""


def calm_route(
    problem: Problem,
    stands: Stands,
    shift_id: str,
    visit_ids: Sequence[str],
    asked: Mapping[str, Sequence[TimeWindow]] | None = None,
) -> Route:
    """Whatever stands in the technician's calendar begins no earlier than it stands, if that is possible. asked: other
    windows for some visits. Raises `Infeasible`."""
    windows = asked or {}
    sequence = set(visit_ids)
    visits = [
        replace(visit, windows=tuple(windows[visit.id])) if visit.id in windows else visit
        for visit in problem.visits
        if visit.id in sequence
    ]
    shift = next(shift for shift in problem.shifts if shift.id == shift_id)
    free = Problem(tuple(visits), (shift,), problem.travel)
    calm = replace(free, visits=tuple(_no_earlier(stands, visit, shift.technician) for visit in visits))
    try:
        return time_route(calm, shift_id, visit_ids)
    except Infeasible:
        return time_route(free, shift_id, visit_ids)


def _no_earlier(stands: Stands, visit: Visit, technician_id: str) -> Visit:
    holder, work_from = stands.get(visit.id, (None, 0))
    if holder != technician_id:
        return visit
    if visit.pin is not None and visit.pin.start is not None:
        return visit
    later = tuple(TimeWindow(max(w.start, work_from), w.end) for w in visit.windows if w.end >= work_from)
    return replace(visit, windows=later) if later else visit
