from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from optimizer import Break, Problem, Shift, TimeWindow, TravelMatrix, Visit
from seed.by_hand import plan_by_hand
from seed.rehearse import promised_window, rehearse

HOUR = 3600


def problem_of(visits, breaks=()):
    """One technician at home with all visits, ten minutes from one to the next."""
    places = len(visits) + 1
    legs = (600 * (1 - np.eye(places))).astype(np.int32)
    shift = Shift("s", "s", TimeWindow(0, 24 * HOUR), 0, 0, breaks=tuple(breaks))
    return Problem(tuple(visits), (shift,), TravelMatrix(legs, legs))


def day_of(count, *, service_s=HOUR, breaks=()):
    return problem_of(
        [Visit(f"v{i}", i, service_s, (TimeWindow(HOUR, 20 * HOUR),)) for i in range(1, count + 1)], breaks
    )


def promises_of(plan):
    return {stop.visit: promised_window(stop.start, UTC) for route in plan.routes for stop in route.stops}


@pytest.mark.parametrize(
    ("zone", "start", "window_start"),
    [
        ("America/New_York", (15, 20), (14, 0)),
        ("America/New_York", (15, 50), (15, 0)),
        ("Asia/Kolkata", (4, 40), (3, 30)),
        ("Asia/Kolkata", (5, 20), (4, 30)),
    ],
)
def test_a_window_starts_on_the_full_hour_of_the_wall_clock_and_leaves_room_on_both_sides(
    zone, start, window_start
):
    at = datetime(2026, 11, 24, *start, tzinfo=UTC)

    window = promised_window(int(at.timestamp()), ZoneInfo(zone))

    begin = int(datetime(2026, 11, 24, *window_start, tzinfo=UTC).timestamp())
    assert window == TimeWindow(begin, begin + 2 * HOUR)


def test_work_never_begins_before_the_promised_window():
    problem = day_of(6)
    plan = plan_by_hand(problem)
    promised = promises_of(plan)

    starts = rehearse(problem, plan, promised).starts

    assert starts.keys() == promised.keys()
    assert all(start >= promised[name].start for name, start in starts.items())


def test_a_promise_is_broken_by_work_that_begins_after_its_window():
    problem = day_of(3)
    plan = plan_by_hand(problem)
    too_early = {name: TimeWindow(0, 0) for name in ("v1", "v2", "v3")}

    rehearsal = rehearse(problem, plan, too_early)

    assert rehearsal.kept == 0
    assert rehearsal.late_s == rehearsal.starts


def test_one_seed_gives_one_rehearsal():
    problem = day_of(6)
    plan = plan_by_hand(problem)
    promised = promises_of(plan)

    assert rehearse(problem, plan, promised, seed=1) == rehearse(problem, plan, promised, seed=1)
    assert rehearse(problem, plan, promised, seed=1) != rehearse(problem, plan, promised, seed=2)


def test_without_service_and_break_only_the_ways_vary():
    problem = day_of(1, service_s=0)
    plan = plan_by_hand(problem)

    rehearsal = rehearse(problem, plan, {"v1": TimeWindow(0, 2 * HOUR)})

    planned = plan.routes[0].stops[0].start
    assert rehearsal.starts["v1"] != planned
    assert abs(rehearsal.starts["v1"] - planned) < 600


def test_a_break_delays_what_follows_it():
    lunch = Break(TimeWindow(2 * HOUR, 3 * HOUR), 2 * HOUR)
    with_lunch, without = day_of(3, breaks=[lunch]), day_of(3)
    promised = {name: TimeWindow(0, 24 * HOUR) for name in ("v1", "v2", "v3")}

    late = rehearse(with_lunch, plan_by_hand(with_lunch), promised).starts["v3"]
    early = rehearse(without, plan_by_hand(without), promised).starts["v3"]

    assert late - early > HOUR
