"""A planned day lived through with chance: work and ways take longer or shorter than planned, and some
promised arrival windows are missed. It answers how many promises a plan would keep.

The same visit takes the same time, and the same way is as slow, whichever plan they stand in, so that two
plans of one day differ by the plans alone.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from math import exp

from dispatch.planning import window_for
from optimizer import Plan, Problem, Route, TimeWindow, Visit

WORK_SIGMA = 0.3
WAY_SIGMA = 0.2
"""Spread of the logarithm of actual over planned time, of work and of ways: assumptions. The mean is kept, so
one visit in six takes about a third longer than planned."""


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What came of a plan. starts: the instant at which work began, by visit. late_s: for each broken
    promise, how long after its window work began."""

    starts: Mapping[str, int]
    late_s: Mapping[str, int]

    @property
    def kept(self) -> int:
        return len(self.starts) - len(self.late_s)


def promised_window(start: int, zone: tzinfo, *, step_s: int = 3600, length_s: int = 7200) -> TimeWindow:
    """The arrival window told to a customer whose visit is planned to start at `start`, seconds of the
    Unix epoch, where nothing else bounds it: see `dispatch.planning.window_for`. Windows start every
    step_s of the wall clock."""
    local = datetime.fromtimestamp(start, zone)
    latest_s = start - (local.hour * 3600 + local.minute * 60 + local.second) % step_s
    begins = [datetime.fromtimestamp(at, UTC) for at in range(latest_s - length_s, latest_s + 1, step_s)]
    windows = [(begin, begin + timedelta(seconds=length_s)) for begin in begins]
    begin, end = window_for(datetime.fromtimestamp(start, UTC), windows)
    return TimeWindow(int(begin.timestamp()), int(end.timestamp()))


def factor(seed: int, what: str, sigma: float) -> float:
    """Actual over planned time, lognormal with mean 1."""
    return exp(random.Random(f"{seed} {what}").gauss(-sigma * sigma / 2, sigma))


def _live(
    problem: Problem, route: Route, visits: Mapping[str, Visit], promised: Mapping[str, TimeWindow], seed: int
) -> dict[str, int]:
    """When work starts along a route. A technician sets off as planned, keeps the order and the breaks, and
    does not begin before the promised window."""
    starts: dict[str, int] = {}
    shift = next(shift for shift in problem.shifts if shift.id == route.shift)
    place, free_at = shift.start_place, route.departs_at
    breaks = list(route.breaks)
    for stop in route.stops:
        visit = visits[stop.visit]
        way_s = 0 if place is None else int(problem.travel.duration_s[place, visit.place])
        at = free_at + round(way_s * factor(seed, f"way {place} {visit.place}", WAY_SIGMA))
        while breaks and breaks[0].start < stop.start:
            pause = breaks.pop(0)
            at = max(at, pause.start) + pause.end - pause.start if pause.start >= route.departs_at else at
        starts[visit.id] = max(at, promised[visit.id].start)
        free_at = starts[visit.id] + round(visit.service_s * factor(seed, f"work {visit.id}", WORK_SIGMA))
        place = visit.place
    return starts


def rehearse(problem: Problem, plan: Plan, promised: Mapping[str, TimeWindow], *, seed: int = 0) -> Rehearsal:
    """Live through the plan. promised: the arrival window of every visit in it."""
    visits = {visit.id: visit for visit in problem.visits}
    starts: dict[str, int] = {}
    for route in plan.routes:
        starts |= _live(problem, route, visits, promised, seed)
    late_s = {
        name: start - promised[name].end for name, start in starts.items() if start > promised[name].end
    }
    return Rehearsal(starts, late_s)
