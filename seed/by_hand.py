"""What a dispatcher does by hand: first come first served, the nearest qualified technician who is free.

The policy. Calls are taken in the order in which they came. For each, the dispatcher looks through the
calendars of all qualified technicians for a gap, or the end of the day, into which the visit fits: reached
inside its window, breaks still taken, at home (or done, where the end is open) before the shift is over. Of
these the nearest technician gets it, by travel time from where they then are; of those about as near, within
`ABOUT_S`, the one who can start first. What was agreed stays: no earlier visit changes its time or its
technician. A pinned call goes to the technician it names.

It is generous to the dispatcher: every calendar is seen at once, travel times are exact, and technicians may
set off before the call came if they then arrive just in time, as the optimizer's may. It is written apart
from the optimizer, in plain arithmetic, and its plans are held against the same verifier.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from optimizer import (
    UNREACHABLE,
    Break,
    BreakTaken,
    Plan,
    Problem,
    Reason,
    Route,
    Shift,
    Stop,
    TimeWindow,
    Unserved,
    Visit,
)
from optimizer.plan import ReasonCode

ABOUT_S = 300
"""Ways that differ by less than this many seconds are as good as equal to a person with a map."""

REASON_WORDS: dict[ReasonCode, str] = {
    "excluded": "may not be sent",
    "skill_missing": "lack the skill",
    "level_too_low": "are below the level",
    "outside_radius": "live too far away",
    "no_shift": "do not work at that time",
    "visit_cap": "have as many visits as they take",
    "travel_cap": "would travel farther than they take",
    "window": "would come too late",
    "no_time": "would not be done by the end of the shift",
}
"""In the order in which the dispatcher asks."""


class _No(Exception):
    """Not this technician, and why."""

    def __init__(self, code: ReasonCode) -> None:
        super().__init__(code)
        self.code = code


Booked = tuple[Visit, int]
"""A visit and the instant at which its work starts."""


@dataclass(slots=True)
class Calendar:
    """The calendar of a shift: what is booked, in order of time, and the route that it makes."""

    shift: Shift
    booked: tuple[Booked, ...] = ()
    route: Route | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """A visit added to a day."""

    day: Calendar
    booked: tuple[Booked, ...]
    route: Route
    stop: Stop

    def rank(self) -> tuple[int, int, int]:
        """The least is to be preferred."""
        return self.stop.travel_s // ABOUT_S, self.stop.start, self.stop.travel_s

    def take(self) -> None:
        """Enters the visit into the calendar."""
        self.day.booked, self.day.route = self.booked, self.route


def _leg(problem: Problem, origin: int | None, target: int | None) -> tuple[int, int]:
    """Seconds and metres; none where a shift begins or ends openly."""
    if origin is None or target is None:
        return 0, 0
    return int(problem.travel.duration_s[origin, target]), int(problem.travel.distance_m[origin, target])


def _require_qualified(problem: Problem, shift: Shift, visit: Visit) -> None:
    """May this technician be sent at all? Raises `_No`. A pin is the only question for a pinned visit."""
    if visit.pin is not None:
        if visit.pin.technician != shift.technician:
            raise _No("excluded")
        return
    if shift.technician in visit.excluded or (visit.required and shift.technician not in visit.required):
        raise _No("excluded")
    if not visit.skills.keys() <= shift.skills.keys():
        raise _No("skill_missing")
    if any(shift.skills[skill] < level for skill, level in visit.skills.items()):
        raise _No("level_too_low")
    if shift.radius_m is not None and _leg(problem, shift.start_place, visit.place)[1] > shift.radius_m:
        raise _No("outside_radius")


def _windows(visit: Visit) -> tuple[TimeWindow, ...]:
    """When work may start; a pin in time has its own say."""
    if visit.pin is not None and visit.pin.start is not None:
        return (TimeWindow(visit.pin.start, visit.pin.start),)
    return visit.windows


def _require_at_work(shift: Shift, visit: Visit) -> None:
    """Does the work fit into the shift at all? Raises `_No`."""
    latest = shift.window.end - visit.service_s
    if not any(w.start <= latest and w.end >= shift.window.start for w in _windows(visit)):
        raise _No("no_shift")


def _earliest(visit: Visit, arrival: int) -> int:
    """When work can start after that arrival. Raises `_No` if no window is left."""
    start = next((max(arrival, window.start) for window in _windows(visit) if arrival <= window.end), None)
    if start is None:
        raise _No("window")
    return start


def _drive(free_at: int, travel_s: int, start: int, pending: list[Break]) -> tuple[int, list[BreakTaken]]:
    """(arrival, breaks) of the way to work that starts at `start`; what fits of `pending` is taken off it,
    before the way or after it. Raises `_No` if the way is too long."""
    at, arrival = free_at, None
    taken: list[BreakTaken] = []
    while pending:
        pause, to_drive_s = pending[0], travel_s if arrival is None else 0
        now, later = max(at, pause.window.start), max(at + to_drive_s, pause.window.start)
        if now <= pause.window.end and now + pause.duration_s + to_drive_s <= start:
            at = now + pause.duration_s
        elif later <= pause.window.end and later + pause.duration_s <= start:
            now, arrival, at = later, at + to_drive_s, later + pause.duration_s
        else:
            break
        taken.append(BreakTaken(now, now + pause.duration_s))
        pending.pop(0)
    if arrival is None:
        at = arrival = at + travel_s
    if at > start:
        raise _No("no_time")
    return arrival, taken


def _go_home(
    shift: Shift, free_at: int, home_s: int, pending: Iterable[Break]
) -> tuple[int, list[BreakTaken]]:
    """(returns_at, breaks) after the last visit: what is left of the breaks is taken at home if it is reached
    in time for them, else before setting off. Raises `_No` if the shift is too short."""
    at, returns_at = free_at, None
    taken: list[BreakTaken] = []
    for pause in pending:
        if returns_at is None and at + home_s <= pause.window.end:
            at = returns_at = at + home_s
        start = max(at, pause.window.start)
        if start > pause.window.end:
            raise _No("no_time")
        at = start + pause.duration_s
        taken.append(BreakTaken(start, at))
    if returns_at is None:
        at = returns_at = at + home_s
    if at > shift.window.end:
        raise _No("no_time")
    return returns_at, taken


def _route(problem: Problem, shift: Shift, booked: Sequence[Booked]) -> Route:
    """The calendar's route. Raises `_No` if somebody would have to be in two places, or a break is lost."""
    place, free_at, pending = shift.start_place, shift.window.start, list(shift.breaks)
    stops: list[Stop] = []
    breaks: list[BreakTaken] = []
    for visit, start in booked:
        travel_s, travel_m = _leg(problem, place, visit.place)
        arrival, taken = _drive(free_at, travel_s, start, pending)
        if not stops:
            arrival = min([start, *(t.start for t in taken if t.start >= arrival)])
        stops.append(Stop(visit.id, arrival, start, start + visit.service_s, travel_s, travel_m))
        breaks += taken
        place, free_at = visit.place, start + visit.service_s
    home_s, home_m = _leg(problem, place, shift.end_place)
    returns_at, taken = _go_home(shift, free_at, home_s, pending)
    return Route(
        shift=shift.id,
        technician=shift.technician,
        stops=tuple(stops),
        departs_at=stops[0].arrival - stops[0].travel_s,
        returns_at=returns_at,
        travel_s=sum(stop.travel_s for stop in stops) + home_s,
        travel_m=sum(stop.travel_m for stop in stops) + home_m,
        breaks=(*breaks, *taken),
    )


def _require_capacity(shift: Shift, route: Route) -> None:
    """Raises `_No` if the route is more than the technician takes on."""
    if shift.max_visits is not None and len(route.stops) > shift.max_visits:
        raise _No("visit_cap")
    if shift.max_travel_m is not None and route.travel_m > shift.max_travel_m:
        raise _No("travel_cap")


def _starts(problem: Problem, day: Calendar, position: int, visit: Visit, not_before: int) -> list[int]:
    """When work could start after the first `position` visits: at once, or after a break. Raises `_No`."""
    place, free_at = day.shift.start_place, day.shift.window.start
    if position:
        before, start = day.booked[position - 1]
        place, free_at = before.place, start + before.service_s
    free_at = max(free_at, not_before)
    travel_s, _ = _leg(problem, place, visit.place)
    if UNREACHABLE in (travel_s, _leg(problem, visit.place, day.shift.end_place)[0]):
        raise _No("no_time")
    starts = [_earliest(visit, free_at + travel_s)]
    for pause in day.shift.breaks:
        after_break = max(free_at, pause.window.start) + pause.duration_s
        with suppress(_No):
            starts.append(_earliest(visit, after_break + travel_s))
    return starts


def _fit(problem: Problem, day: Calendar, position: int, visit: Visit, not_before: int) -> Choice:
    """The visit after the first `position` of that day, as early as it fits. Raises `_No`."""
    refusal = _No("no_time")
    for start in _starts(problem, day, position, visit, not_before):
        booked = (*day.booked[:position], (visit, start), *day.booked[position:])
        try:
            route = _route(problem, day.shift, booked)
            _require_capacity(day.shift, route)
        except _No as no:
            refusal = no
        else:
            return Choice(day, booked, route, route.stops[position])
    raise refusal


def _choices(problem: Problem, day: Calendar, visit: Visit, not_before: int) -> list[Choice]:
    """All gaps of a day into which the visit fits. Raises `_No` if there is none, with what bars the end of
    the day."""
    _require_qualified(problem, day.shift, visit)
    _require_at_work(day.shift, visit)
    choices = []
    refusal = None
    for position in range(len(day.booked) + 1):
        try:
            choices.append(_fit(problem, day, position, visit, not_before))
        except _No as no:
            refusal = no
    if not choices and refusal is not None:
        raise refusal
    return choices


def _unserved(visit: Visit, refusals: Sequence[tuple[str, ReasonCode]]) -> Unserved:
    """Why nobody was found, the reasons in the order of `REASON_WORDS`."""
    reasons = []
    for code, words in REASON_WORDS.items():
        if people := tuple(dict.fromkeys(name for name, refused in refusals if refused == code)):
            reasons.append(Reason(code, f"{len(people)} {words}", people))
    return Unserved(visit.id, verdict_of(reasons), tuple(reasons))


def verdict_of(reasons: Iterable[Reason]) -> Literal["impossible", "not_found"]:
    """Not found where somebody lacked nothing but time or room; else impossible."""
    room = {"window", "no_time", "visit_cap", "travel_cap"}
    return "not_found" if any(reason.code in room for reason in reasons) else "impossible"


def _in_order(problem: Problem, order: Sequence[str] | None) -> Iterator[Visit]:
    """The visits as they came. Raises `ValueError` if `order` is not a permutation of their ids."""
    if order is None:
        yield from problem.visits
        return
    visits = {visit.id: visit for visit in problem.visits}
    if sorted(order) != sorted(visits):
        raise ValueError("order must name every visit of the problem once")
    yield from (visits[name] for name in order)


class Dispatcher:
    """Who dispatches by hand, with everybody's calendar. days: one for each shift of the problem."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.days = tuple(Calendar(shift) for shift in problem.shifts)

    def choices(
        self, visit: Visit, not_before: int = 0, without: Collection[str] = ()
    ) -> tuple[list[Choice], list[tuple[str, ReasonCode]]]:
        """Where the visit fits, the one to be preferred first, and who cannot take it and why. not_before: nobody sets
        off for it earlier. without: technicians who are not asked."""
        choices: list[Choice] = []
        refusals: list[tuple[str, ReasonCode]] = []
        for day in self.days:
            if day.shift.technician in without:
                continue
            try:
                choices += _choices(self.problem, day, visit, not_before)
            except _No as no:
                refusals.append((day.shift.technician, no.code))
        return sorted(choices, key=Choice.rank), refusals

    def drop(self, day: Calendar, visit_id: str) -> None:
        """Takes a visit out of a calendar; the others stay when they are."""
        day.booked = tuple(booked for booked in day.booked if booked[0].id != visit_id)
        day.route = _route(self.problem, day.shift, day.booked) if day.booked else None


def plan_by_hand(problem: Problem, order: Sequence[str] | None = None) -> Plan:
    """The day as the policy above plans it; `optimizer.check` finds nothing in it.

    order: the ids of the visits in the order in which the calls came, by default that of the problem. The
    plan's objective is left empty. Raises `ValueError` if `order` is not those ids.
    """
    dispatcher = Dispatcher(problem)
    unserved = []
    for visit in _in_order(problem, order):
        choices, refusals = dispatcher.choices(visit)
        if choices:
            choices[0].take()
        else:
            unserved.append(_unserved(visit, refusals))
    routes = tuple(day.route for day in dispatcher.days if day.route is not None)
    return Plan(routes, tuple(unserved), engine="by hand")
