"""Shifts that follow from weekly hours, on the days when clocks change, and shifts entered beside them."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from dispatch.errors import Conflict, Invalid, NotFound
from dispatch.shift import (
    Availability,
    Shift,
    WorkingTime,
    add_shift,
    derived_working_times,
    instant,
    local_day,
    remove_shift,
    set_availability,
    working_times,
)
from dispatch.technician import Technician
from tests.dispatch.world import NOW, World

NEW_YORK = ZoneInfo("America/New_York")
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")
SANTIAGO = ZoneInfo("America/Santiago")
NIGHT = ("22:00", "06:00")


def hours(*pairs: tuple[str, str]) -> list[dict[str, str]]:
    return [{"from": opens, "to": closes} for opens, closes in pairs]


def every_day(*pairs: tuple[str, str]) -> list[dict[str, Any]]:
    return [{"weekday": day, **entry} for day in range(1, 8) for entry in hours(*pairs)]


def derived(
    zone: ZoneInfo,
    first: date,
    last: date,
    weekly: list[dict[str, Any]],
    exceptions: list[dict[str, Any]] | None = None,
) -> list[WorkingTime]:
    """What begins on the local days from first to last."""
    availability = Availability(technician_no=1, weekly=weekly, exceptions=exceptions or [], updated_at=NOW)
    begin, end = local_day(first, zone)[0], local_day(last, zone)[1]
    found = derived_working_times(availability, zone, begin, end)
    return [shift for shift in found if shift.starts_at >= begin]


def walls(shifts: list[WorkingTime], zone: ZoneInfo) -> list[str]:
    return [
        f"{shift.starts_at.astimezone(zone):%d %H:%M}-{shift.ends_at.astimezone(zone):%d %H:%M}"
        for shift in shifts
    ]


@pytest.mark.parametrize(
    ("zone", "evening", "length_h"),
    [
        (NEW_YORK, date(2027, 3, 12), 8),
        (NEW_YORK, date(2027, 3, 13), 7),
        (NEW_YORK, date(2027, 3, 14), 8),
        (NEW_YORK, date(2027, 11, 6), 9),
        (NEW_YORK, date(2027, 11, 7), 8),
        (LORD_HOWE, date(2027, 4, 3), 8.5),
        (LORD_HOWE, date(2027, 10, 2), 7.5),
        (SANTIAGO, date(2027, 9, 4), 7),
        (SANTIAGO, date(2027, 4, 3), 9),
    ],
)
def test_a_night_shift_keeps_its_walls_whatever_the_clocks_do(
    zone: ZoneInfo, evening: date, length_h: float
) -> None:
    [shift] = derived(zone, evening, evening, every_day(NIGHT))

    morning = evening + timedelta(days=1)
    assert walls([shift], zone) == [f"{evening:%d} 22:00-{morning:%d} 06:00"]
    assert shift.ends_at - shift.starts_at == timedelta(hours=length_h)


@pytest.mark.parametrize(
    ("zone", "day", "length_h"),
    [
        (NEW_YORK, date(2027, 3, 14), 23),
        (NEW_YORK, date(2027, 11, 7), 25),
        (LORD_HOWE, date(2027, 4, 4), 24.5),
        (LORD_HOWE, date(2027, 10, 3), 23.5),
        (SANTIAGO, date(2027, 9, 5), 23),
    ],
)
def test_a_shift_around_the_clock_lasts_as_long_as_its_day(
    zone: ZoneInfo, day: date, length_h: float
) -> None:
    [shift] = derived(zone, day, day, every_day(("00:00", "00:00")))

    assert shift.ends_at - shift.starts_at == timedelta(hours=length_h)


def test_a_midnight_that_does_not_exist_moves_on_by_the_gap() -> None:
    begin = instant(date(2027, 9, 5), time.min, SANTIAGO)

    assert f"{begin.astimezone(SANTIAGO):%H:%M}" == "01:00"
    assert begin == datetime(2027, 9, 5, 4, tzinfo=UTC)


def test_hours_inside_a_gap_move_on_by_it() -> None:
    day = date(2027, 3, 14)

    assert walls(derived(NEW_YORK, day, day, every_day(("02:15", "02:45"))), NEW_YORK) == [
        "14 03:15-14 03:45"
    ]


def test_hours_that_span_nothing_but_the_gap_are_no_shift() -> None:
    day = date(2027, 10, 3)

    assert derived(LORD_HOWE, day, day, every_day(("02:00", "02:30"))) == []


def test_hours_that_occur_twice_mean_the_first() -> None:
    day = date(2027, 11, 7)

    [shift] = derived(NEW_YORK, day, day, every_day(("01:15", "01:45")))

    assert shift.starts_at == datetime(2027, 11, 7, 5, 15, tzinfo=UTC)
    assert shift.ends_at - shift.starts_at == timedelta(minutes=30)


def test_shifts_that_the_gap_pushes_into_each_other_do_not_overlap() -> None:
    day = date(2027, 3, 14)

    shifts = derived(NEW_YORK, day, day, every_day(("01:00", "02:30"), ("03:00", "05:00")))

    assert walls(shifts, NEW_YORK) == ["14 01:00-14 03:00", "14 03:00-14 05:00"]


def test_shifts_that_the_gap_makes_one_keep_one_id() -> None:
    day = date(2027, 3, 14)

    shifts = derived(NEW_YORK, day, day, every_day(("02:30", "02:45"), ("03:30", "05:00")))

    assert walls(shifts, NEW_YORK) == ["14 03:30-14 05:00"]


def test_an_exception_replaces_the_hours_of_its_date() -> None:
    exceptions = [
        {"date": "2027-03-09", "hours": []},
        {"date": "2027-03-10", "hours": hours(("12:00", "14:00"), ("20:00", "02:00"))},
    ]

    shifts = derived(NEW_YORK, date(2027, 3, 8), date(2027, 3, 11), every_day(("08:00", "16:00")), exceptions)

    assert walls(shifts, NEW_YORK) == [
        "08 08:00-08 16:00",
        "10 12:00-10 14:00",
        "10 20:00-11 02:00",
        "11 08:00-11 16:00",
    ]


def test_the_night_before_ends_where_an_exception_begins() -> None:
    exceptions = [{"date": "2027-03-10", "hours": hours(("05:00", "12:00"))}]

    shifts = derived(NEW_YORK, date(2027, 3, 9), date(2027, 3, 10), every_day(NIGHT), exceptions)

    assert walls(shifts, NEW_YORK) == ["09 22:00-10 05:00", "10 05:00-10 12:00"]


@pytest.mark.parametrize("year", [1971, 2027, 2150])
def test_derived_shifts_exist_for_any_range_and_keep_their_ids(year: int) -> None:
    day = date(year, 6, 15)

    first, again = (derived(NEW_YORK, day, day + timedelta(days=n), every_day(NIGHT)) for n in (0, 3))

    assert first[0] == again[0]
    assert len({shift.id for shift in again}) == 4


def test_a_range_that_cuts_a_night_shift_has_it_whole() -> None:
    availability = Availability(technician_no=1, weekly=every_day(NIGHT), updated_at=NOW)
    three = instant(date(2027, 3, 14), time(3), NEW_YORK)

    [shift] = derived_working_times(availability, NEW_YORK, three, three + timedelta(minutes=1))

    assert shift.ends_at - shift.starts_at == timedelta(hours=7)


@pytest.mark.parametrize(
    ("weekly", "exceptions", "field"),
    [
        (
            [{"weekday": 1, "from": "08:00", "to": "12:00"}, {"weekday": 1, "from": "11:00", "to": "13:00"}],
            [],
            "weekly",
        ),
        (
            [{"weekday": 1, "from": "22:00", "to": "06:00"}, {"weekday": 2, "from": "05:00", "to": "07:00"}],
            [],
            "weekly",
        ),
        (
            [{"weekday": 7, "from": "22:00", "to": "06:00"}, {"weekday": 1, "from": "05:00", "to": "07:00"}],
            [],
            "weekly",
        ),
        ([], [{"date": "2027-03-09", "hours": []}, {"date": "2027-03-09", "hours": []}], "exceptions"),
        (
            [],
            [
                {
                    "date": "2027-03-09",
                    "hours": [{"from": "08:00", "to": "12:00"}, {"from": "09:00", "to": "10:00"}],
                }
            ],
            "exceptions.0.hours",
        ),
    ],
)
def test_hours_that_overlap_are_refused(
    world: World, weekly: list[dict[str, Any]], exceptions: list[dict[str, Any]], field: str
) -> None:
    technician = world.technician(hours=None)

    with pytest.raises(Invalid) as refused:
        set_availability(world.session, technician, weekly, exceptions, NOW)

    assert [error["field"] for error in refused.value.extra["errors"]] == [field]


def test_no_hours_are_no_shifts() -> None:
    assert derived(NEW_YORK, date(2027, 3, 9), date(2027, 3, 20), []) == []


def test_hours_may_touch(world: World) -> None:
    weekly = [
        {"weekday": 1, "from": "08:00", "to": "12:00"},
        {"weekday": 1, "from": "12:00", "to": "00:00"},
        {"weekday": 2, "from": "00:00", "to": "04:00"},
    ]

    availability = set_availability(world.session, world.technician(hours=None), weekly, [], NOW)

    assert availability.version == 1


# Entered shifts


def shift(technician: Technician, begin: datetime, hours_long: float, **columns: Any) -> Shift:
    assert technician.no is not None
    return Shift(
        technician_no=technician.no,
        starts_at=begin,
        ends_at=begin + timedelta(hours=hours_long),
        created_at=NOW,
        **columns,
    )


def at_wall(day: int, hour: int) -> datetime:
    return instant(date(2027, 3, day), time(hour), NEW_YORK)


def times_of(world: World, technician: Technician, day: int) -> list[str]:
    range_ = local_day(date(2027, 3, day), NEW_YORK)
    assert technician.no is not None
    return walls(working_times(world.session, [technician], *range_)[technician.no], NEW_YORK)


def test_an_entered_shift_replaces_what_follows_from_availability(world: World) -> None:
    technician = world.technician(hours=None)
    set_availability(world.session, technician, every_day(("08:00", "16:00")), [], NOW)

    add_shift(world.session, technician, shift(technician, at_wall(9, 15), 3))

    assert times_of(world, technician, 9) == ["09 15:00-09 18:00"]
    assert times_of(world, technician, 10) == ["10 08:00-10 16:00"]


def test_what_was_replaced_stays_replaced_on_the_day_after(world: World) -> None:
    technician = world.technician(hours=None)
    set_availability(world.session, technician, every_day(NIGHT), [], NOW)

    add_shift(world.session, technician, shift(technician, at_wall(9, 21), 2))

    assert times_of(world, technician, 10) == ["10 22:00-11 06:00"]


def test_entered_shifts_of_one_technician_do_not_overlap(world: World) -> None:
    technician = world.technician(hours=None)
    first = add_shift(world.session, technician, shift(technician, at_wall(9, 8), 8))
    add_shift(world.session, technician, shift(technician, at_wall(9, 16), 2))

    with pytest.raises(Conflict) as refused:
        add_shift(world.session, technician, shift(technician, at_wall(9, 15), 1))

    assert (refused.value.code, refused.value.extra["shift_id"]) == ("shift_overlap", first.id)


def pause(begin: datetime, minutes: int, duration_s: int) -> dict[str, Any]:
    end = begin + timedelta(minutes=minutes)
    return {
        "earliest_start": begin.isoformat(),
        "latest_end": end.isoformat(),
        "duration_s": duration_s,
    }


@pytest.mark.parametrize(
    ("hours_long", "breaks", "field"),
    [
        (0, [], "ends_at"),
        (-1, [], "ends_at"),
        (24.5, [], "ends_at"),
        (8, [pause(at_wall(9, 12), 30, 1801)], "breaks.0"),
        (8, [pause(at_wall(9, 7), 120, 600)], "breaks.0"),
        (8, [pause(at_wall(9, 12), 30, 900), pause(at_wall(9, 12), 30, 900)], "breaks"),
    ],
)
def test_a_shift_that_cannot_be_is_refused(
    world: World, hours_long: float, breaks: list[dict[str, Any]], field: str
) -> None:
    technician = world.technician(hours=None)

    with pytest.raises(Invalid) as refused:
        add_shift(world.session, technician, shift(technician, at_wall(9, 8), hours_long, breaks=breaks))

    assert [error["field"] for error in refused.value.extra["errors"]] == [field]


def test_a_removed_derived_shift_stays_away_and_its_day_keeps_the_rest(world: World) -> None:
    technician = world.technician(hours=None)
    weekly = every_day(("08:00", "12:00"), ("22:00", "06:00"))
    availability = set_availability(world.session, technician, weekly, [], NOW)
    night = derived(NEW_YORK, date(2027, 3, 13), date(2027, 3, 13), weekly)[1]

    remove_shift(world.session, technician, own_id(technician, night), NOW)

    assert times_of(world, technician, 13) == ["12 22:00-13 06:00", "13 08:00-13 12:00"]
    assert times_of(world, technician, 14)[0] == "14 08:00-14 12:00"
    assert availability.version == 2


def own_id(technician: Technician, like: WorkingTime) -> str:
    """The id that the technician's own derived shift of the same start has."""
    assert technician.no is not None
    availability = Availability(technician_no=technician.no, weekly=every_day(NIGHT), updated_at=NOW)
    [shift] = [
        shift
        for shift in derived_working_times(availability, NEW_YORK, like.starts_at, like.ends_at)
        if shift.starts_at == like.starts_at
    ]
    return shift.id


def test_another_technicians_shift_is_not_found(world: World) -> None:
    ada, bo = world.technician("Ada", hours=None), world.technician("Bo", hours=None)
    theirs = add_shift(world.session, ada, shift(ada, at_wall(9, 8), 8))

    with pytest.raises(NotFound):
        remove_shift(world.session, bo, theirs.id, NOW)

    assert times_of(world, ada, 9) == ["09 08:00-09 16:00"]
