"""A visit put into a technician's day against the rules: skills and radius yield, hours are made longer, and visits
that are in the way give way. What is not ours to move yields to nothing."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from dispatch.appointment import Status
from dispatch.planning import WorkingDay, with_visit
from dispatch.shift import WorkingTime
from optimizer import Infeasible, Pin, Plan, TimeWindow, recommend
from optimizer.insertion import PreparedRoutes

REACH = timedelta(hours=4)
"""By so much hours are made longer, before and after what is forced: for the way there and home."""


@dataclass(frozen=True, slots=True)
class Forced:
    """day: as read, the visit pinned. plan: as it would be. in_the_way: what gave way. lost: what of that found no
    other time in its own promise and has nobody any more."""

    day: WorkingDay
    plan: Plan
    in_the_way: tuple[str, ...]
    lost: tuple[str, ...]


def longer_hours(
    times: Sequence[WorkingTime], technician_no: int, begin: datetime, end: datetime, *, breaks: bool
) -> list[WorkingTime]:
    """A technician's working times with one in which it could work from begin to end: those that touch this as one, or
    the nearest, made longer as far as the others let it; else one more."""
    around = [time for time in times if time.overlaps(begin - REACH, end + REACH)]
    touching = [time for time in around if time.overlaps(begin, end)]
    joined = touching or sorted(around, key=lambda time: max(time.starts_at - end, begin - time.ends_at))[:1]
    others = [time for time in times if time not in joined]
    first = min([begin - REACH, *(time.starts_at for time in joined)])
    last = max([end + REACH, *(time.ends_at for time in joined)])
    longer = WorkingTime(
        id=joined[0].id if joined else "forced",
        technician_no=technician_no,
        starts_at=max([first, *(time.ends_at for time in others if time.ends_at <= begin)]),
        ends_at=min([last, *(time.starts_at for time in others if time.starts_at >= end)]),
        start_place=joined[0].start_place if joined else None,
        end_place=joined[-1].end_place if joined else None,
        breaks=tuple(pause for time in joined for pause in time.breaks) if breaks else (),
    )
    return sorted([*others, longer], key=lambda time: time.starts_at)


def force_into(
    day: WorkingDay,
    visit_id: str,
    technician_id: str,
    wanted: Sequence[TimeWindow],
    most: int | None = None,
) -> Forced | None:
    """Where the visit would stand in the technician's day, of which all is read, with as few others as possible, and no
    more than `most`, giving way: those that nobody has agreed to or pinned before others, then the cheapest. wanted:
    when it may start. None where what cannot be moved leaves no room."""
    day = pinned_to(day, visit_id, technician_id, wanted)
    gone = _least_in_the_way(day, visit_id, wanted, most)
    if gone is None:
        return None
    left = less(day.plan, {visit_id, *gone})
    found = recommend(day.problem, left, visit_id, wanted).insertions[0]
    plan, _ = with_visit(replace(day, plan=left), visit_id, found, wanted)
    start = next(stop.start for route in plan.routes for stop in route.stops if stop.visit == visit_id)
    day = pinned_to(day, visit_id, technician_id, [TimeWindow(start, start)])
    lost = []
    for other in gone:
        again = _elsewhere(day, plan, other)
        if again is None:
            lost.append(other)
        else:
            plan = again
    return Forced(day, plan, gone, tuple(lost))


def pinned_to(day: WorkingDay, visit_id: str, technician_id: str, wanted: Sequence[TimeWindow]) -> WorkingDay:
    """The visit may be made by this technician, whatever its skills and home, and start then."""
    visits = tuple(
        replace(visit, pin=Pin(technician_id), windows=tuple(wanted)) if visit.id == visit_id else visit
        for visit in day.problem.visits
    )
    return replace(day, problem=replace(day.problem, visits=visits))


def less(plan: Plan, visit_ids: Collection[str]) -> Plan:
    """The routes without some visits; the times of the rest are as they were."""
    kept = [
        replace(route, stops=tuple(stop for stop in route.stops if stop.visit not in visit_ids))
        for route in plan.routes
    ]
    return replace(plan, routes=tuple(route for route in kept if route.stops))


def _least_in_the_way(
    day: WorkingDay, visit_id: str, wanted: Sequence[TimeWindow], most: int | None
) -> tuple[str, ...] | None:
    """Which visits have to give way."""
    standing = less(day.plan, {visit_id})
    prepared = PreparedRoutes(day.problem, standing)
    question = prepared.question(visit_id, wanted)
    longest = max([0, *(len(route.stops) for route in standing.routes)])
    for count in range(1 + (longest if most is None else min(most, longest))):
        options = []
        for gone in _runs(day, standing, count):
            left = PreparedRoutes(day.problem, less(standing, gone), prepared.fleet, prepared.arrays)
            ticks = left.cheapest_ticks(left.routes, question)
            if ticks is not None:
                held = sum(_is_held(day, other) for other in gone)
                options.append((held, ticks + int(left.routes.row["cost"].sum()), gone))
        if options:
            return min(options)[2]
    return None


def _runs(day: WorkingDay, plan: Plan, count: int) -> Iterator[tuple[str, ...]]:
    """So many visits that follow on each other and may all be moved."""
    if count == 0:
        yield ()
        return
    pin_of = {visit.id: visit.pin for visit in day.problem.visits}
    for route in plan.routes:
        ids = [stop.visit for stop in route.stops]
        for first in range(len(ids) - count + 1):
            run = tuple(ids[first : first + count])
            if all(id_ in day.jobs and is_movable(pin_of[id_]) for id_ in run):
                yield run


def is_movable(pin: Pin | None) -> bool:
    """Whether a visit that is ours may be moved in time: see `planning.kept_visit`."""
    return pin is None or pin.start is None


def _is_held(day: WorkingDay, visit_id: str) -> bool:
    appointment = day.jobs[visit_id].appointment
    return appointment.pinned or appointment.status is Status.DISPATCHED


def _elsewhere(day: WorkingDay, plan: Plan, visit_id: str) -> Plan | None:
    """The plan with a visit that gave way put to another time within its own promise, if there is one."""
    visit = next(visit for visit in day.problem.visits if visit.id == visit_id)
    found = recommend(day.problem, plan, visit_id).insertions
    if not found:
        return None
    try:
        return with_visit(replace(day, plan=plan), visit_id, found[0], visit.windows)[0]
    except Infeasible:
        return None
