"""The verifier: does a plan keep every rule of its problem?

Written apart from the search, in plain Python over `problem` and `plan` alone, so that an error of the one is
not repeated by the other. Nothing that a plan states is believed: travel, totals and times are derived again.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from optimizer.plan import BreakTaken, Plan, ReasonCode, Route, Stop
from optimizer.problem import UNREACHABLE, Break, Crew, Order, Problem, Shift, Travel, Visit

ViolationCode = (
    ReasonCode
    | Literal[
        "unknown_visit",
        "unknown_shift",
        "served_twice",
        "served_and_unserved",
        "unserved_twice",
        "missing",
        "two_routes",
        "empty_route",
        "wrong_technician",
        "not_required",
        "pin",
        "pin_time",
        "shift_hours",
        "unreachable",
        "travel",
        "service",
        "break",
        "totals",
    ]
)
"""What `Reason` names keeps its name. The others: a plan that contradicts itself or its problem (`unknown_*`,
`*_twice`, `missing`, `two_routes`, `empty_route`, `wrong_technician`, `travel`, `service`, `totals`), a
technician that is not among those required, a broken pin, work outside the shift, a leg without a way, and a
break not taken as it should be. `no_time` means that something begins before what precedes it can be over."""

Served = Mapping[str, tuple[Shift, Stop]]
"""Who serves each visit, and when, by visit id; of a visit served twice the first."""

Legs = Sequence[tuple[int, int]]
"""Seconds and metres of each leg of a route, the way to the end place the last."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken rule. by: how far, in the unit that the detail names."""

    code: ViolationCode
    detail: str
    shift: str | None = None
    visit: str | None = None
    by: int | None = None


def check(problem: Problem[Travel], plan: Plan) -> tuple[Violation, ...]:
    """Every rule that `plan` breaks; empty if it is sound.

    Skills, required and excluded technicians and the radius yield to a pin, the visit's windows to a pin in
    time; hours, travel, breaks, caps, loads, crews and orders do not. Costs are not looked at.
    """
    visits = {visit.id: visit for visit in problem.visits}
    shifts = {shift.id: shift for shift in problem.shifts}
    found = list(_accounts(problem, plan))
    known: list[tuple[Shift, Route]] = []
    for route in plan.routes:
        shift = shifts.get(route.shift)
        unknown = [stop.visit for stop in route.stops if stop.visit not in visits]
        found += [Violation("unknown_visit", f"There is no visit {v}.", route.shift, v) for v in unknown]
        if shift is None:
            found.append(Violation("unknown_shift", f"There is no shift {route.shift}.", route.shift))
            continue
        known.append((shift, route))
        if not unknown:
            found += _route_violations(problem, shift, route, [visits[stop.visit] for stop in route.stops])
    found += _overlaps(known)
    found += _links(problem, known)
    return tuple(found)


def _accounts(problem: Problem[Travel], plan: Plan) -> Iterator[Violation]:
    """Each visit is in one route or in the list of the unserved; each shift has one route at most."""
    served = Counter(stop.visit for route in plan.routes for stop in route.stops)
    unserved = Counter(entry.visit for entry in plan.unserved)
    known = {visit.id for visit in problem.visits}
    for visit in unserved:
        if visit not in known:
            yield Violation("unknown_visit", f"There is no visit {visit}, listed as unserved.", visit=visit)
    for visit, times in served.items():
        if times > 1:
            yield Violation("served_twice", f"Visit {visit} is served {times} times.", visit=visit)
        if visit in unserved:
            yield Violation("served_and_unserved", f"Visit {visit} is served and unserved.", visit=visit)
    for visit, times in unserved.items():
        if times > 1:
            yield Violation("unserved_twice", f"Visit {visit} is unserved {times} times.", visit=visit)
    for entry in problem.visits:
        if entry.id not in served and entry.id not in unserved:
            yield Violation("missing", f"Visit {entry.id} is neither served nor unserved.", visit=entry.id)
    for shift, times in Counter(route.shift for route in plan.routes).items():
        if times > 1:
            yield Violation("two_routes", f"Shift {shift} has {times} routes.", shift)


def _route_violations(
    problem: Problem[Travel], shift: Shift, route: Route, visits: Sequence[Visit]
) -> Iterator[Violation]:
    if route.technician != shift.technician:
        detail = f"The route names {route.technician}; shift {shift.id} is {shift.technician}'s."
        yield Violation("wrong_technician", detail, shift.id)
    if not route.stops:
        yield Violation("empty_route", f"The route of shift {shift.id} has no stops.", shift.id)
        return
    for stop, visit in zip(route.stops, visits, strict=True):
        yield from _who(problem, shift, visit)
        yield from _when(shift, stop, visit)
    legs = _all_legs(problem, shift, visits)
    yield from _legs(shift, route, visits, legs)
    yield from _timeline(shift, route, legs)
    yield from _hours(shift, route)
    yield from _breaks(shift, route)
    yield from _caps(shift, route, visits, legs)


def _who(problem: Problem[Travel], shift: Shift, visit: Visit) -> Iterator[Violation]:
    """May this technician do it? A pin answers alone; without one skills, names and radius do."""
    technician = shift.technician
    if visit.pin is not None:
        if visit.pin.technician != technician:
            detail = f"Visit {visit.id} is pinned to {visit.pin.technician}, not {technician}."
            yield Violation("pin", detail, shift.id, visit.id)
        return
    for skill, level in visit.skills.items():
        has = shift.skills.get(skill)
        if has is None:
            yield Violation("skill_missing", f"{technician} lacks {skill}.", shift.id, visit.id)
        elif has < level:
            detail = f"{technician} has {skill} at level {has} of {level}."
            yield Violation("level_too_low", detail, shift.id, visit.id, level - has)
    if technician in visit.excluded:
        yield Violation("excluded", f"{technician} is excluded from visit {visit.id}.", shift.id, visit.id)
    if visit.required and technician not in visit.required:
        detail = f"Visit {visit.id} requires one of {', '.join(sorted(visit.required))}, not {technician}."
        yield Violation("not_required", detail, shift.id, visit.id)
    if shift.radius_m is not None and shift.start_place is not None:
        beyond_m = problem.travel.leg(shift.start_place, visit.place)[1] - shift.radius_m
        if beyond_m > 0:
            detail = f"Visit {visit.id} lies {beyond_m} m outside the radius of {technician}."
            yield Violation("outside_radius", detail, shift.id, visit.id, beyond_m)


def _when(shift: Shift, stop: Stop, visit: Visit) -> Iterator[Violation]:
    """Does the work start when it may, and last as long as it must?"""
    if visit.pin is not None and visit.pin.start is not None:
        off_s = abs(stop.start - visit.pin.start)
        if off_s:
            detail = f"Visit {visit.id} is pinned to start at {visit.pin.start}, {off_s} s away."
            yield Violation("pin_time", detail, shift.id, visit.id, off_s)
    elif not any(window.start <= stop.start <= window.end for window in visit.windows):
        off_s = min(max(w.start - stop.start, stop.start - w.end) for w in visit.windows)
        detail = f"Visit {visit.id} starts {off_s} s outside its nearest window."
        yield Violation("window", detail, shift.id, visit.id, off_s)
    takes_s, given_s = visit.service_s_at(shift.skills), stop.end - stop.start
    if given_s != takes_s:
        detail = f"Visit {visit.id} takes {shift.technician} {takes_s} s, the plan gives {given_s} s."
        yield Violation("service", detail, shift.id, visit.id, given_s - takes_s)


def _all_legs(problem: Problem[Travel], shift: Shift, visits: Sequence[Visit]) -> Legs:
    """The leg to each visit and, last, the way to the end place; none where the route begins or ends openly."""
    places = [shift.start_place, *(visit.place for visit in visits), shift.end_place]
    on_the_way = [place for place in places if place is not None]
    ways = problem.travel.among(on_the_way)
    legs = [ways.leg(row, row + 1) for row in range(len(on_the_way) - 1)]
    open_start, open_end = (
        [(0, 0)] if place is None else [] for place in (shift.start_place, shift.end_place)
    )
    return [*open_start, *legs, *open_end]


def _legs(shift: Shift, route: Route, visits: Sequence[Visit], legs: Legs) -> Iterator[Violation]:
    """Every leg has a way, and the plan states its length and the totals truly."""
    for index, leg in enumerate(legs):
        visit = visits[index].id if index < len(visits) else None
        if UNREACHABLE in leg:
            where = f"visit {visit}" if visit is not None else "the end place"
            yield Violation("unreachable", f"There is no way to {where}.", shift.id, visit)
    for stop, (travel_s, travel_m) in zip(route.stops, legs, strict=False):
        if (stop.travel_s, stop.travel_m) != (travel_s, travel_m):
            detail = (
                f"The leg to visit {stop.visit} takes {travel_s} s and {travel_m} m; "
                f"the plan says {stop.travel_s} s and {stop.travel_m} m."
            )
            yield Violation("travel", detail, shift.id, stop.visit, stop.travel_s - travel_s)
    total_s, total_m = (sum(figures) for figures in zip(*legs, strict=True))
    if (route.travel_s, route.travel_m) != (total_s, total_m):
        detail = (
            f"The legs of shift {shift.id} sum to {total_s} s and {total_m} m; "
            f"the plan says {route.travel_s} s and {route.travel_m} m."
        )
        yield Violation("totals", detail, shift.id, by=route.travel_s - total_s)


def _paused_s(breaks: Iterable[BreakTaken], start: int, end: int) -> int:
    """Seconds of break in an interval."""
    return sum(max(0, min(taken.end, end) - max(taken.start, start)) for taken in breaks)


def _timeline(shift: Shift, route: Route, legs: Legs) -> Iterator[Violation]:
    """No stop begins before the previous one is over, the breaks between are taken and the way is driven."""
    free_from = route.departs_at
    for stop, (travel_s, _) in zip(route.stops, legs, strict=False):
        available_s = stop.arrival - free_from - _paused_s(route.breaks, free_from, stop.arrival)
        if available_s < travel_s:
            late_s = travel_s - available_s
            detail = f"Visit {stop.visit} is reached {late_s} s sooner than the way allows."
            yield Violation("no_time", detail, shift.id, stop.visit, late_s)
        if stop.start < stop.arrival:
            early_s = stop.arrival - stop.start
            detail = f"Visit {stop.visit} starts {early_s} s before it is reached."
            yield Violation("no_time", detail, shift.id, stop.visit, early_s)
        free_from = stop.end
    way_home_s = legs[-1][0]
    available_s = route.returns_at - free_from - _paused_s(route.breaks, free_from, route.returns_at)
    if available_s < way_home_s:
        late_s = way_home_s - available_s
        detail = f"The end of shift {shift.id} is reached {late_s} s sooner than the way allows."
        yield Violation("no_time", detail, shift.id, by=late_s)


def _span(route: Route) -> tuple[int, int]:
    """From the first to the last instant at which the technician is busy with this route."""
    starts = [route.departs_at, *(stop.start for stop in route.stops), *(b.start for b in route.breaks)]
    ends = [route.returns_at, *(stop.end for stop in route.stops), *(b.end for b in route.breaks)]
    return min(starts), max(ends)


def _hours(shift: Shift, route: Route) -> Iterator[Violation]:
    """All of the route lies inside the shift and its overtime, with the ways from the start place and to the end
    place."""
    start, end = _span(route)
    if start < shift.window.start:
        early_s = shift.window.start - start
        yield Violation(
            "shift_hours", f"The route begins {early_s} s before shift {shift.id}.", shift.id, by=early_s
        )
    late_s = end - shift.window.end - shift.overtime_s
    if late_s > 0:
        limit = "its overtime" if shift.overtime_s else "it"
        detail = f"The route of shift {shift.id} ends {late_s} s after {limit}."
        yield Violation("shift_hours", detail, shift.id, by=late_s)


def _breaks(shift: Shift, route: Route) -> Iterator[Violation]:
    """All breaks are taken in their order, each inside its window, for its time, and not while at work."""
    if len(route.breaks) != len(shift.breaks):
        detail = f"Shift {shift.id} has {len(shift.breaks)} breaks, the route takes {len(route.breaks)}."
        yield Violation("break", detail, shift.id)
        return
    for due, taken in zip(shift.breaks, route.breaks, strict=True):
        yield from _break_as_due(shift, due, taken)
        yield from _break_apart_from_work(shift, taken, route)
    for before, after in pairwise(route.breaks):
        if after.start < before.end:
            detail = f"Two breaks of shift {shift.id} overlap."
            yield Violation("break", detail, shift.id, by=before.end - after.start)


def _break_as_due(shift: Shift, due: Break, taken: BreakTaken) -> Iterator[Violation]:
    if taken.end - taken.start != due.duration_s:
        detail = f"A break of {due.duration_s} s lasts {taken.end - taken.start} s."
        yield Violation("break", detail, shift.id, by=taken.end - taken.start - due.duration_s)
    off_s = max(due.window.start - taken.start, taken.start - due.window.end)
    if off_s > 0:
        yield Violation("break", f"A break begins {off_s} s outside its window.", shift.id, by=off_s)


def _break_apart_from_work(shift: Shift, taken: BreakTaken, route: Route) -> Iterator[Violation]:
    """A break may interrupt a way (`_timeline` sees that time is left to drive), but neither work nor an
    instant at which the route sets off or arrives."""
    for stop in route.stops:
        shared_s = min(taken.end, stop.end) - max(taken.start, stop.start)
        if shared_s > 0:
            detail = f"A break overlaps visit {stop.visit} by {shared_s} s."
            yield Violation("break", detail, shift.id, stop.visit, shared_s)
    for instant in (route.departs_at, *(stop.arrival for stop in route.stops), route.returns_at):
        if taken.start < instant < taken.end:
            yield Violation("break", f"The route moves on at {instant}, in the middle of a break.", shift.id)


def _caps(shift: Shift, route: Route, visits: Sequence[Visit], legs: Legs) -> Iterator[Violation]:
    over = 0 if shift.max_visits is None else len(route.stops) - shift.max_visits
    if over > 0:
        detail = f"Shift {shift.id} has {over} visits more than its cap of {shift.max_visits}."
        yield Violation("visit_cap", detail, shift.id, by=over)
    travel_s, travel_m = (sum(figures) for figures in zip(*legs, strict=True))
    for total, cap, unit in ((travel_s, shift.max_travel_s, "s"), (travel_m, shift.max_travel_m, "m")):
        if cap is not None and total > cap:
            detail = f"Shift {shift.id} travels {total - cap} {unit} more than its cap of {cap} {unit}."
            yield Violation("travel_cap", detail, shift.id, by=total - cap)
    start, end = _span(route)
    lasts_s = end - start
    if shift.max_duration_s is not None and lasts_s > shift.max_duration_s:
        over = lasts_s - shift.max_duration_s
        detail = (
            f"The route of shift {shift.id} lasts {over} s more than its cap of {shift.max_duration_s} s."
        )
        yield Violation("duration_cap", detail, shift.id, by=over)
    yield from _loads(shift, visits)


def _loads(shift: Shift, visits: Sequence[Visit]) -> Iterator[Violation]:
    """All visits together take no more of any kind of goods than there is. A shift without capacity has enough."""
    for kind, room in enumerate(shift.capacity):
        taken = sum(visit.load[kind] for visit in visits if visit.load)
        if taken > room:
            detail = f"The visits of shift {shift.id} take {taken} of goods {kind}, {taken - room} more than it has."
            yield Violation("capacity", detail, shift.id, by=taken - room)


def _overlaps(routes: Iterable[tuple[Shift, Route]]) -> Iterator[Violation]:
    """A technician is never in two places: the routes of all his shifts lie one after the other."""
    busy: dict[str, list[tuple[int, int, str]]] = {}
    for shift, route in routes:
        if route.stops:
            busy.setdefault(shift.technician, []).append((*_span(route), shift.id))
    for technician, spans in busy.items():
        last_end, last_shift = None, ""
        for start, end, shift_id in sorted(spans):
            if last_end is not None and start < last_end:
                detail = (
                    f"{technician} begins shift {shift_id} {last_end - start} s before {last_shift} is over."
                )
                yield Violation("overlap", detail, shift_id, by=last_end - start)
            if last_end is None or end > last_end:
                last_end, last_shift = end, shift_id


def _links(problem: Problem[Travel], routes: Iterable[tuple[Shift, Route]]) -> Iterator[Violation]:
    """What ties visits of several routes together."""
    served: dict[str, tuple[Shift, Stop]] = {}
    for shift, route in routes:
        for stop in route.stops:
            served.setdefault(stop.visit, (shift, stop))
    for crew in problem.crews:
        yield from _crew(crew, served)
    visits = {visit.id: visit for visit in problem.visits}
    for order in problem.orders:
        yield from _order(order, visits[order.first], served)


def _crew(crew: Crew, served: Served) -> Iterator[Violation]:
    """All or none, at one instant, each by another technician."""
    names = ", ".join(crew.visits)
    there = [served[visit] for visit in crew.visits if visit in served]
    if not there:
        return
    missing = [visit for visit in crew.visits if visit not in served]
    if missing:
        detail = f"The crew of {names} is served without {', '.join(missing)}."
        yield Violation("crew", detail, visit=missing[0], by=len(missing))
    starts = [stop.start for _, stop in there]
    apart_s = max(starts) - min(starts)
    if apart_s:
        last_shift, last = max(there, key=lambda entry: entry[1].start)
        detail = f"The crew of {names} starts {apart_s} s apart."
        yield Violation("crew", detail, last_shift.id, last.visit, apart_s)
    for technician, times in Counter(shift.technician for shift, _ in there).items():
        if times > 1:
            detail = f"{technician} has {times} visits of the crew of {names}."
            yield Violation("crew", detail, by=times - 1)


def _order(order: Order, first: Visit, served: Served) -> Iterator[Violation]:
    """`then` only with `first`, neither too soon nor too late after its end. When that is follows from the start of
    `first` and its true service time, whatever end the plan states."""
    if order.then not in served:
        return
    shift, then = served[order.then]
    if order.first not in served:
        detail = f"Visit {order.then} is served without {order.first}, which comes before it."
        yield Violation("order", detail, shift.id, order.then)
        return
    first_shift, stop = served[order.first]
    delay_s = then.start - stop.start - first.service_s_at(first_shift.skills)
    if delay_s < order.min_delay_s:
        early_s = order.min_delay_s - delay_s
        detail = f"Visit {order.then} starts {early_s} s too soon after {order.first}."
        yield Violation("order", detail, shift.id, order.then, early_s)
    if order.max_delay_s is not None and delay_s > order.max_delay_s:
        late_s = delay_s - order.max_delay_s
        detail = f"Visit {order.then} starts {late_s} s too late after {order.first}."
        yield Violation("order", detail, shift.id, order.then, late_s)
