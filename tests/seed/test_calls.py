from datetime import UTC, date, datetime, time

import pytest

from dispatch.service_request import Priority
from seed.calls import in_new_york, times_allowed

TUESDAY = date(2026, 11, 24)
SPRING_FORWARD = date(2027, 3, 14)
FALL_BACK = date(2026, 11, 1)


def test_the_wall_clock_is_read_in_new_york_on_both_sides_of_the_change_of_time():
    assert in_new_york(SPRING_FORWARD, time(1, 30)) == datetime(2027, 3, 14, 6, 30, tzinfo=UTC)
    assert in_new_york(SPRING_FORWARD, time(9)) == datetime(2027, 3, 14, 13, tzinfo=UTC)


def test_an_hour_that_spring_skips_becomes_the_one_after_it():
    assert in_new_york(SPRING_FORWARD, time(2, 30)) == in_new_york(SPRING_FORWARD, time(3, 30))


def test_of_an_hour_that_autumn_repeats_the_first_is_meant():
    assert in_new_york(FALL_BACK, time(1, 30)) == datetime(2026, 11, 1, 5, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("called", "priority", "earliest", "due"),
    [
        (time(0), "normal", time(7), time(22)),
        (time(0), "high", time(7), time(17)),
        (time(0), "emergency", time(7), time(11)),
        (time(13, 30), "low", time(13, 30), time(22)),
        (time(13, 30), "high", time(13, 30), time(22)),
        (time(13, 30), "emergency", time(13, 30), time(17, 30)),
    ],
)
def test_a_call_is_answered_from_its_hour_on_until_its_deadline(called, priority, earliest, due):
    allowed = times_allowed(in_new_york(TUESDAY, called), Priority(priority))

    assert allowed == (in_new_york(TUESDAY, earliest), in_new_york(TUESDAY, due))


def test_a_call_after_the_last_hour_waits_for_the_next_day():
    allowed = times_allowed(in_new_york(TUESDAY, time(20, 0, 1)), Priority.NORMAL)

    assert allowed == (in_new_york(date(2026, 11, 25), time(7)), in_new_york(date(2026, 11, 25), time(22)))


def test_an_emergency_after_the_last_hour_does_not_wait():
    called = in_new_york(TUESDAY, time(23, 10))

    earliest, due = times_allowed(called, Priority.EMERGENCY)

    assert earliest == called
    assert due == in_new_york(date(2026, 11, 25), time(3, 10))
