"""When technicians work: shifts entered one by one, and weekly hours from which shifts follow."""

from dataclasses import asdict
from datetime import timedelta
from typing import Annotated, Any

from flask import Response
from pydantic import Field

from api import context
from api.auth import allow
from api.etag import require_match
from api.hours import DateHours, NewAvailability, WeekdayHours
from api.openapi import resource
from api.pagination import Page, PageQuery, page_of, page_through
from api.render import answer
from api.schemas import Answer, Body, Day, Id, Instant, OwnId, Path, Place, PlaceOut, absent, example
from api.technicians import TechnicianPath
from dispatch import rostering
from dispatch.gazetteer import located
from dispatch.profiles import Profile, profile_of
from dispatch.rostering import require_right
from dispatch.shift import Availability, Shift, WorkingTime, availability_of, entered_working_time

shifts = resource("shifts", "When technicians work.")

DEFAULT_DAYS = 14


class NewBreak(Body):
    """A pause of `duration_s`, taken between these instants."""

    earliest_start: Instant
    latest_end: Instant
    duration_s: Annotated[int, Field(ge=60, le=86_400)]


class NewShift(Body):
    """A shift. Without a start or end place it begins or ends at home."""

    model_config = example({"starts_at": "2027-03-09T09:00:00-05:00", "ends_at": "2027-03-09T17:00:00-05:00"})

    starts_at: Instant
    ends_at: Instant
    start_place: Place | None = None
    end_place: Place | None = None
    breaks: Annotated[list[NewBreak], Field(max_length=10)] = Field(default_factory=list)


class BreakOut(Answer):
    """A pause of `duration_s`, taken between these instants."""

    earliest_start: Instant
    latest_end: Instant
    duration_s: int


class ShiftOut(Answer):
    """A shift. derived: it follows from availability. Without a start or end place it begins or ends at home."""

    id: str
    starts_at: Instant
    ends_at: Instant
    start_place: PlaceOut | None = Field(None, exclude_if=absent)
    end_place: PlaceOut | None = Field(None, exclude_if=absent)
    breaks: list[BreakOut]
    derived: bool


class ShiftPage(Page[ShiftOut]):
    """One page of shifts."""


class AvailabilityOut(Answer):
    """Weekly hours and exceptions, in `time_zone`."""

    weekly: list[WeekdayHours]
    exceptions: list[DateHours]
    time_zone: str


class ShiftPath(Path):
    """Which shift of which technician."""

    technician_id: OwnId
    shift_id: Id


class ShiftQuery(PageQuery):
    """Local dates of the technician, both included, 92 days at most; by default two weeks from today."""

    from_: Day | None = Field(None, alias="from")
    to: Day | None = None


@shifts.get("/technicians/<technician_id>/shifts", summary="List shifts", responses={200: ShiftPage})
@allow("dispatcher", "integration", "technician")
def read_all(path: TechnicianPath, query: ShiftQuery) -> Response:
    """Those that begin on these dates, entered and derived, in order of time."""
    session, profile = context.session(), _profile(path)
    first = query.from_ or query.to or profile.technician.today(context.now())
    last = query.to or first + timedelta(days=DEFAULT_DAYS - 1)
    found = rostering.shifts_between(session, profile.technician, first, last)
    rows, cursor = page_through(found, query, _order, 2)
    return answer(page_of(ShiftPage, [_shown(profile, shift) for shift in rows], cursor))


@shifts.post("/technicians/<technician_id>/shifts", summary="Add a shift", responses={201: ShiftOut})
@allow("dispatcher", "technician")
def create(path: TechnicianPath, body: NewShift) -> Response:
    """409 `shift_overlap` where it overlaps another that was entered. It replaces derived shifts that it overlaps; 409
    `shift_has_visits` where that would leave visits outside every shift."""
    session, settings, profile = context.session(), context.settings(), _profile(path, change=True)
    assert profile.technician.no is not None
    start, end = (
        asdict(located(session, settings, place, name)) if place is not None else None
        for name, place in (("start_place", body.start_place), ("end_place", body.end_place))
    )
    shift = Shift(
        technician_no=profile.technician.no,
        starts_at=body.starts_at,
        ends_at=body.ends_at,
        start_place=start,
        end_place=end,
        breaks=[pause.model_dump(mode="json") for pause in body.breaks],
        created_at=context.now(),
    )
    rostering.add_shift(session, profile, shift, context.now())
    return answer(_shown(profile, entered_working_time(shift)), 201)


@shifts.delete(
    "/technicians/<technician_id>/shifts/<shift_id>", summary="Remove a shift", responses={200: ShiftOut}
)
@allow("dispatcher", "technician")
def remove(path: ShiftPath) -> Response:
    """A derived shift goes by an exception for its date. 409 `shift_has_visits`, with the visits, while any that has
    not ended lies in it."""
    profile = _profile(path, change=True)
    removed = rostering.remove_shift(context.session(), profile, path.shift_id, context.now())
    return answer(_shown(profile, removed))


@shifts.get(
    "/technicians/<technician_id>/availability", summary="Read availability", responses={200: AvailabilityOut}
)
@allow("dispatcher", "technician")
def read_availability(path: TechnicianPath) -> Response:
    profile = _profile(path)
    return _availability(profile, availability_of(context.session(), profile.technician))


@shifts.put(
    "/technicians/<technician_id>/availability", summary="Set availability", responses={200: AvailabilityOut}
)
@allow("dispatcher", "technician")
def set_availability(path: TechnicianPath, body: NewAvailability) -> Response:
    """Shifts follow from it. 409 `shift_has_visits`, with the visits, where some would lie outside every shift."""
    session, profile = context.session(), _profile(path, change=True)
    standing = availability_of(session, profile.technician)
    require_match(standing.version if standing is not None else 0, required=False)
    changed = rostering.set_availability(session, profile, **body.said(), now=context.now())
    return _availability(profile, changed)


def _profile(path: TechnicianPath | ShiftPath, *, change: bool = False) -> Profile:
    """Raises `NotFound`, and `Forbidden` or `InvalidState` for who may not now."""
    profile = profile_of(context.session(), context.principal(), path.technician_id, change=change)
    require_right(context.session(), profile, change=change)
    return profile


def _order(shift: WorkingTime) -> tuple[Any, ...]:
    return (shift.starts_at.timestamp(), shift.id)


def _shown(profile: Profile, shift: WorkingTime) -> ShiftOut:
    """Places as the reader may see them: a shift may well begin at somebody's home."""
    shown = ShiftOut.model_validate(shift)
    if not profile.shows_home:
        shown.start_place = shown.end_place = None
    return shown


def availability_said(profile: Profile, availability: Availability | None) -> AvailabilityOut:
    """What was said, or nothing yet."""
    return AvailabilityOut.model_validate(
        {
            "weekly": availability.weekly if availability is not None else [],
            "exceptions": availability.exceptions if availability is not None else [],
            "time_zone": profile.technician.time_zone,
        }
    )


def _availability(profile: Profile, availability: Availability | None) -> Response:
    said = availability_said(profile, availability)
    return answer(said, version=availability.version if availability is not None else 0)
