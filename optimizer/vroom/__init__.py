"""VROOM's JSON in and out, so that its clients can be pointed here.

The format is the one of https://github.com/VROOM-Project/vroom/blob/master/docs/API.md: seconds, metres,
coordinates as [lon, lat], time windows as [start, end] with both ends inside, times relative or as
timestamps; and vroom-express's `options` (https://github.com/VROOM-Project/vroom-express).

Served: jobs (id, description, location or location_index, setup, service, both also per type of vehicle, skills,
priority, time_windows, delivery, pickup, amount), vehicles (id, description, profile, type, start and end or
start_index and end_index, capacity, skills, time_window, breaks with one time window each, costs, speed_factor,
max_tasks, max_travel_time, max_distance, steps) and one matrix of durations, with distances and costs or without;
without a matrix, travel is `travel.Geodesic`. In solving mode `steps` are the plan to start from. In plan mode
(`options.c`, or `judge`) they are timed and judged, breaks may have several windows, and jobs may deliver and pick up.

Not served, and refused by name: shipments; vehicles of different profiles or speed_factor; goods that are both
delivered and picked up, and a break's max_load, where a capacity could bind; a break with several windows; a matrix of
costs beside prices or caps of its own. Keys that VROOM does not know are ignored, as VROOM ignores them, unless they
look like one that was misspelt.

Differences from VROOM:
- the search reckons with the setup at every job; the route that is written spends it, as VROOM does, only on arrival
  at another place.
- a duration or distance of `matrices.NO_WAY` or more means that there is no way.
- jobs of higher priority go first, then more jobs, then lower cost, by prices that are as far apart as sums
  allow and not by comparing one after the other.
- work starts as early as it can; VROOM lets a route start as late as it can.
- a route without a start or an end place has no such step.
- the geometry of a route is the straight lines between its places, for travel is measured along them.
"""

from optimizer.vroom.answering import Answer, answer, refusal
from optimizer.vroom.judging import judge
from optimizer.vroom.reading import MOST_EXPLORATION, Limits, Request, read, read_document
from optimizer.vroom.values import InputError, TooLarge, parse_json
from optimizer.vroom.writing import (
    INPUT_ERROR,
    INTERNAL_ERROR,
    OK,
    TOO_LARGE,
    with_setups_spent_once,
    write,
    write_error,
)

__all__ = [
    "INPUT_ERROR",
    "INTERNAL_ERROR",
    "MOST_EXPLORATION",
    "OK",
    "TOO_LARGE",
    "Answer",
    "InputError",
    "Limits",
    "Request",
    "TooLarge",
    "answer",
    "judge",
    "parse_json",
    "read",
    "read_document",
    "refusal",
    "with_setups_spent_once",
    "write",
    "write_error",
]
