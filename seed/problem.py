"""The optimizer's problem of a generated or imported day that lives in no database."""

from dataclasses import dataclass
from datetime import datetime

from optimizer import Break, Problem, Shift, TimeWindow, Visit
from optimizer.travel import Geodesic, Place, TravelProvider
from seed.calls import NEW_YORK, Call
from seed.city import Day, Freelancer


@dataclass(frozen=True, slots=True)
class World:
    """A day as a problem. places: of the travel matrix's rows; first the calls' in their order, then the
    homes'. too_late: how many calls are not in it because their time lies on another day."""

    problem: Problem
    places: tuple[Place, ...]
    too_late: int


def seconds(instant: datetime) -> int:
    """An aware instant as the optimizer counts it: seconds of the Unix epoch."""
    return int(instant.timestamp())


def _visit(place: int, call: Call) -> Visit:
    return Visit(
        id=call.id,
        place=place,
        service_s=call.service.duration_s,
        windows=(TimeWindow(seconds(call.earliest_start), seconds(call.due)),),
        skills={call.service.skill: call.service.min_level},
        priority=call.service.priority.rank,
    )


def _shift(home: int, freelancer: Freelancer) -> Shift:
    breaks: tuple[Break, ...] = ()
    if lunch := freelancer.lunch:
        begins = TimeWindow(seconds(lunch.earliest_start), seconds(lunch.latest_end) - lunch.duration_s)
        breaks = (Break(begins, lunch.duration_s),)
    return Shift(
        id=freelancer.id,
        technician=freelancer.id,
        window=TimeWindow(seconds(freelancer.starts_at), seconds(freelancer.ends_at)),
        start_place=home,
        end_place=None if freelancer.open_end else home,
        skills=freelancer.skills,
        breaks=breaks,
        radius_m=freelancer.radius_m,
        cents_per_h=freelancer.cents_per_h,
        cents_per_km=freelancer.cents_per_km,
        cents_per_visit=freelancer.cents_per_visit,
    )


def world_of(day: Day, travel: TravelProvider | None = None) -> World:
    """The problem of a day; its visits stand in the order of the calls. travel: by default `Geodesic` by
    day."""
    calls = [call for call in day.calls if call.earliest_start.astimezone(NEW_YORK).date() == day.date]
    places = (
        *(Place(call.lat, call.lon) for call in calls),
        *(Place(freelancer.lat, freelancer.lon) for freelancer in day.freelancers),
    )
    visits = tuple(_visit(place, call) for place, call in enumerate(calls))
    shifts = tuple(_shift(home, person) for home, person in enumerate(day.freelancers, start=len(calls)))
    problem = Problem(visits, shifts, (travel or Geodesic()).matrix(places))
    return World(problem, places, len(day.calls) - len(calls))
