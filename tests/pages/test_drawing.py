"""What the pages draw and say, without a page."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from api.pages.languages import language_of
from api.pages.route_map import draw_map
from api.pages.timeline import PlannedVisit, Scale, Span, VisitFacts, draw_timeline
from api.pages.words import distance, duration, reason_words, remedy_words, told_time
from dispatch.appointment import Appointment, Status
from dispatch.board import BoardRow
from dispatch.day import DayRoute, RouteStop
from dispatch.expected import Expected
from dispatch.places import Place
from dispatch.position import Position
from dispatch.shift import WorkingTime
from dispatch.technician import Engagement, Technician
from optimizer import Reason

NEW_YORK, KOLKATA = ZoneInfo("America/New_York"), ZoneInfo("Asia/Kolkata")
MIDNIGHT = datetime(2027, 3, 2, 5, tzinfo=UTC)
"""In New York."""
NAMES = {"a": "Ana", "b": "Bo", "c": "Cy"}


def hour(number: float) -> datetime:
    return MIDNIGHT + timedelta(hours=number)


def stop(number: int, start: float, window: tuple[float, float]) -> RouteStop:
    """A visit of half an hour, after a quarter of an hour of travel."""
    appointment = Appointment(
        id=f"visit-{number}",
        organization_id="o",
        territory_id="t",
        service_request_id=f"request-{number}",
        status=Status.SCHEDULED,
        scheduled_start=hour(start),
        scheduled_end=hour(start + 0.5),
        window_start=hour(window[0]),
        window_end=hour(window[1]),
        technician_no=1,
        created_at=MIDNIGHT,
    )
    return RouteStop(appointment, Place(40.7 + number / 100, -74.0), 900, 5_000, "Leak", "Casey", None)


def row(*stops: RouteStop, shift: tuple[float, float] | None = (9, 17)) -> BoardRow:
    technician = Technician(
        no=1, id="a", name="Ana", lat=40.7, lon=-74.0, time_zone="UTC", created_at=MIDNIGHT
    )
    engagement = Engagement(technician_no=1, organization_id="o", created_at=MIDNIGHT)
    shifts = (WorkingTime("s", 1, hour(shift[0]), hour(shift[1])),) if shift else ()
    return BoardRow(technician, engagement, shifts, DayRoute(stops))


def facts(*stops: RouteStop, buffer_before_s: int = 0) -> dict[str, VisitFacts]:
    return {each.appointment.id: VisitFacts("Leak", "Cy", buffer_before_s, 1800) for each in stops}


def test_visits_and_travel_are_drawn_to_scale() -> None:
    visit = stop(0, 13, (12, 14))

    timeline = draw_timeline([row(visit)], facts(visit), {}, NEW_YORK, date(2027, 3, 2), hour(11))

    (drawn,) = timeline.lanes[0].visits
    assert drawn.bar is not None
    assert drawn.leg is not None
    assert drawn.window is not None
    assert (drawn.bar.x, drawn.bar.width) == (50, 6.25)
    assert (drawn.leg.x, drawn.leg.width) == (46.875, 3.125)
    assert (drawn.window.x, drawn.window.width) == (37.5, 25)
    assert timeline.now is not None
    assert (timeline.now.x, timeline.now.label) == (25, "11:00")


def test_travel_ends_before_the_buffer_at_the_door() -> None:
    visit = stop(0, 13, (12, 14))

    timeline = draw_timeline(
        [row(visit)], facts(visit, buffer_before_s=900), {}, NEW_YORK, date(2027, 3, 2), hour(30)
    )

    leg = timeline.lanes[0].visits[0].leg
    assert leg is not None
    assert leg.x + leg.width == pytest.approx(50 - 3.125)
    assert timeline.now is None


def expected(visit: RouteStop, start: float) -> dict[str, Expected]:
    appointment = visit.appointment
    assert appointment.scheduled_start is not None
    late = Expected(appointment.id, "o", 1, hour(start), appointment.scheduled_start, appointment.window_end)
    return {appointment.id: late}


def test_a_delay_is_drawn_to_scale_and_told_by_how_much_it_breaks_the_promise() -> None:
    visit = stop(0, 13, (12, 14))

    def lateness(start: float) -> PlannedVisit:
        timeline = draw_timeline(
            [row(visit)], facts(visit), expected(visit, start), NEW_YORK, date(2027, 3, 2), hour(11)
        )
        return timeline.lanes[0].visits[0]

    late, later, as_planned = lateness(14.5), lateness(13.5), lateness(13)

    assert late.late is not None
    assert (late.late.said, late.late.short) == (
        "Expected at 14:30, 30 min past the promised window",
        "30 min late",
    )
    assert late.delay == Span(50, 18.75)
    assert "30 min past the promised window" in late.title
    assert later.late is not None
    assert (later.late.said, later.late.breaks_promise) == ("Expected at 13:30", False)
    assert (as_planned.late, as_planned.delay) == (None, None)


def test_absences_are_drawn_over_the_shift() -> None:
    absent = replace(row(), absences=((hour(11), hour(13)),))

    timeline = draw_timeline([absent], {}, {}, NEW_YORK, date(2027, 3, 2), hour(0))

    assert timeline.lanes[0].absences == (Span(25, 25),)


def test_a_map_shows_where_people_are_in_the_colour_of_their_route() -> None:
    seen = Position(technician_no=1, lat=40.75, lon=-74.0, recorded_at=hour(10), received_at=hour(10))
    rows = [row(), replace(row(stop(0, 10, (9, 11))), position=seen)]

    drawn = draw_map(rows, [])

    assert drawn is not None
    (position,) = drawn.positions
    assert (position.name, position.hue) == ("Ana", drawn.routes[0].hue)
    assert position.point[1] < drawn.routes[0].stops[0][1], "it is north of the visit"
    assert drawn.live["positions"][0]["place"] == (40.75, -74.0)


def test_windows_that_overlap_or_touch_are_drawn_on_tracks_of_their_own() -> None:
    visits = [stop(0, 9.5, (9, 11)), stop(1, 10.5, (10, 12)), stop(2, 11.5, (11, 13)), stop(3, 13, (13, 15))]

    timeline = draw_timeline([row(*visits)], facts(*visits), {}, NEW_YORK, date(2027, 3, 2), hour(0))

    assert [drawn.track for drawn in timeline.lanes[0].visits] == [0, 1, 2, 0]


def test_who_neither_works_nor_has_visits_is_named_apart() -> None:
    timeline = draw_timeline([row(shift=None)], {}, {}, NEW_YORK, date(2027, 3, 2), hour(12))

    assert timeline.lanes == ()
    assert timeline.absent == ("Ana",)
    assert timeline.ticks[0].label == "08:00"


def test_a_shift_that_began_the_day_before_does_not_stretch_the_day() -> None:
    timeline = draw_timeline([row(shift=(-2, 6))], {}, {}, NEW_YORK, date(2027, 3, 2), hour(1))

    assert [tick.label for tick in timeline.ticks] == ["00:00", "01:00", "02:00", "03:00", "04:00", "05:00"]


def test_the_hour_that_spring_skips_has_no_tick() -> None:
    begins = datetime(2027, 3, 14, 5, tzinfo=UTC)

    ticks = Scale(begins, begins + timedelta(hours=4)).ticks(NEW_YORK)

    assert [tick.label for tick in ticks] == ["00:00", "01:00", "03:00", "04:00"]


def test_ticks_are_full_hours_where_the_zone_is_half_an_hour_off() -> None:
    visit = stop(0, 13, (12, 14))

    timeline = draw_timeline([row(visit)], facts(visit), {}, KOLKATA, date(2027, 3, 3), hour(0))

    assert {tick.label[-3:] for tick in timeline.ticks} == {":00"}


def test_a_map_is_to_scale_and_north_is_up() -> None:
    south, north = stop(0, 10, (9, 11)), stop(10, 12, (11, 13))

    drawn = draw_map([row(south, north)], [])

    assert drawn is not None
    (_, y_south), (_, y_north) = drawn.routes[0].stops
    degrees_km = 0.1 * 111.195
    assert y_south - y_north == pytest.approx(degrees_km / drawn.scale_km * drawn.scale_width, rel=0.01)


def test_an_empty_day_has_no_map() -> None:
    assert draw_map([row()], []) is None


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        (Reason("no_time", "has no time left", ("a", "b")), "Ana and Bo: has no time left."),
        (Reason("skill_missing", "lacks tree_care", ("a", "b", "c")), "3 technicians: lacks tree care."),
        (
            Reason("window", "is free outside the window only (seconds off)", ("a",), 1500),
            "Ana: is free outside the window only (25 min off).",
        ),
        (
            Reason("outside_radius", "lives too far away (metres beyond the radius)", ("a",), 3210),
            "Ana: lives too far away (3.2 km beyond the radius).",
        ),
        (Reason("no_shift", "nobody works"), "Nobody works."),
    ],
)
def test_a_reason_becomes_a_sentence(reason: Reason, said: str) -> None:
    assert reason_words(reason, NAMES) == said


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        (
            Reason("window", "the window began that many seconds earlier", ("a",), 5400),
            "Would fit if the window began 1 h 30 min earlier, with Ana.",
        ),
        (
            Reason("visit_cap", "that many visits more were allowed", ("a", "b", "c"), 1),
            "Would fit if 1 visit more were allowed, with 3 technicians.",
        ),
        (
            Reason("no_time", "one more technician with plumbing (level 2) were there", (), 1),
            "Would fit if one more technician with plumbing (level 2) were there.",
        ),
    ],
)
def test_what_would_help_becomes_a_sentence(reason: Reason, said: str) -> None:
    assert remedy_words(reason, NAMES) == said


def test_figures_are_said_as_people_say_them() -> None:
    assert [duration(s) for s in (0, 89, 3600, 5430)] == ["0 min", "1 min", "1 h", "1 h 31 min"]
    assert [distance(m) for m in (4, 627, 3_249, 27_400, 2_709_000)] == [
        "0 m",
        "630 m",
        "3.2 km",
        "27 km",
        "2,709 km",
    ]
    assert [told_time(hour(n)) for n in (-5, 7, 8.5)] == ["12 am", "12 pm", "1:30 pm"]
    assert language_of("en").told_zone(hour(0), NEW_YORK) == "New York time (EST)"
    assert language_of("en").told_zone(hour(0), ZoneInfo("Asia/Dubai")) == "Dubai time (UTC+04)"
