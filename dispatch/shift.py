"""When a technician works: shifts entered one by one, and shifts that follow from its weekly availability.

Local hours are read in the technician's IANA zone. A wall time that a change of clocks skips is moved on by the
skipped hour; one that occurs twice means the first. Where that, or an exception beside the hours of the night before,
makes two derived shifts overlap, the earlier ends where the later begins. Shifts that follow from availability are
derived when they are read, for any range, and have ids that are a function of technician and start, so that nothing has
to be kept ahead.
"""

import hashlib
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import JSON
from sqlmodel import Field, Session, SQLModel, col, select

from dispatch.errors import Conflict, Invalid, NotFound
from dispatch.ids import new_id
from dispatch.places import Place
from dispatch.technician import Technician

LONGEST_SHIFT = timedelta(hours=24)
LONGEST_DERIVED = timedelta(hours=27)
"""A wall-clock day with more than any change of clocks; an entered shift this near may replace a derived one that
touches a range, although it does not touch the range itself."""


class Shift(SQLModel, table=True):
    """A shift as entered. Without a start place it begins at home; without an end place it ends at home.
    breaks: objects with `earliest_start` and `latest_end` (UTC, ISO 8601) and `duration_s`."""

    id: str = Field(default_factory=new_id, primary_key=True, max_length=36)
    technician_no: int = Field(foreign_key="technician.no", index=True)
    starts_at: datetime = Field(index=True)
    ends_at: datetime
    start_place: dict[str, Any] | None = Field(default=None, sa_type=JSON)
    end_place: dict[str, Any] | None = Field(default=None, sa_type=JSON)
    breaks: list[dict[str, Any]] = Field(default_factory=list, sa_type=JSON)
    created_at: datetime


class Availability(SQLModel, table=True):
    """weekly: objects with `weekday` (ISO, 1 is Monday), `from` and `to` ("HH:MM"); a `to` not after `from` is the next
    day's. exceptions: objects with `date` and `hours`, which replace that date's weekly hours (none: a day off)."""

    technician_no: int = Field(foreign_key="technician.no", primary_key=True)
    weekly: list[dict[str, Any]] = Field(default_factory=list, sa_type=JSON)
    exceptions: list[dict[str, Any]] = Field(default_factory=list, sa_type=JSON)
    updated_at: datetime
    version: int = 1


@dataclass(frozen=True, slots=True)
class BreakTime:
    earliest_start: datetime
    latest_end: datetime
    duration_s: int


@dataclass(frozen=True, slots=True)
class WorkingTime:
    """A shift as it counts, entered or derived."""

    id: str
    technician_no: int
    starts_at: datetime
    ends_at: datetime
    start_place: Place | None = None
    end_place: Place | None = None
    breaks: tuple[BreakTime, ...] = ()
    derived: bool = False

    def overlaps(self, starts_at: datetime, ends_at: datetime) -> bool:
        return self.starts_at < ends_at and starts_at < self.ends_at


def instant(day: date, wall: time, zone: ZoneInfo) -> datetime:
    """The UTC instant of a wall time. One that is skipped is read with the offset before the gap, so that it moves on
    by the gap (PEP 495, fold=0); one that occurs twice is its first."""
    return datetime.combine(day, wall, tzinfo=zone).astimezone(UTC)


def local_day(day: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """A local day as UTC instants, start inclusive, end exclusive: 23, 24 or 25 hours, or with half an hour more or
    less where the zone has it so."""
    return instant(day, time.min, zone), instant(day + timedelta(days=1), time.min, zone)


def _hours_on(availability: Availability, day: date) -> list[tuple[time, time]]:
    for exception in availability.exceptions:
        if exception["date"] == day.isoformat():
            hours = exception["hours"]
            break
    else:
        hours = [entry for entry in availability.weekly if entry["weekday"] == day.isoweekday()]
    return [(time.fromisoformat(entry["from"]), time.fromisoformat(entry["to"])) for entry in hours]


def _derived_id(technician_no: int, starts_at: datetime) -> str:
    """A UUIDv7 whose time is the start and whose random bits are a digest, so that it is the same at every reading."""
    digest = hashlib.sha256(f"{technician_no}/{starts_at.isoformat()}".encode()).digest()
    milliseconds = int(starts_at.timestamp() * 1000) & ((1 << 48) - 1)
    bits = (milliseconds << 80) | int.from_bytes(digest[:10], "big")
    bits = bits & ~(0xF << 76) | (0x7 << 76)
    bits = bits & ~(0x3 << 62) | (0x2 << 62)
    return str(UUID(int=bits))


def derived_working_times(
    availability: Availability, zone: ZoneInfo, starts_at: datetime, ends_at: datetime
) -> list[WorkingTime]:
    """What follows from weekly hours and exceptions and touches the range, in order of time, none overlapping."""
    first = starts_at.astimezone(zone).date() - timedelta(days=1)
    last = ends_at.astimezone(zone).date() + timedelta(days=1)
    hours = _spelled_out(availability, zone, first, last)
    cut = [(begin, min(end, following)) for (begin, end), (following, _) in pairwise(hours)] + hours[-1:]
    return [
        WorkingTime(
            _derived_id(availability.technician_no, begin),
            availability.technician_no,
            begin,
            end,
            derived=True,
        )
        for begin, end in cut
        if begin < end and begin < ends_at and starts_at < end
    ]


def _spelled_out(
    availability: Availability, zone: ZoneInfo, first: date, last: date
) -> list[tuple[datetime, datetime]]:
    """The hours that begin on the days from first to last, as UTC instants in order of time; they may overlap."""
    found = []
    for offset in range((last - first).days + 1):
        day = first + timedelta(days=offset)
        for opens, closes in _hours_on(availability, day):
            begin = instant(day, opens, zone)
            end = instant(day if closes > opens else day + timedelta(days=1), closes, zone)
            if begin < end:
                found.append((begin, end))
    return sorted(found)


def _place_from(stored: dict[str, Any] | None) -> Place | None:
    return None if stored is None else Place(stored["lat"], stored["lon"], stored.get("address"))


def entered_working_time(shift: Shift) -> WorkingTime:
    breaks = tuple(
        BreakTime(
            datetime.fromisoformat(pause["earliest_start"]),
            datetime.fromisoformat(pause["latest_end"]),
            pause["duration_s"],
        )
        for pause in shift.breaks
    )
    return WorkingTime(
        shift.id,
        shift.technician_no,
        shift.starts_at,
        shift.ends_at,
        _place_from(shift.start_place),
        _place_from(shift.end_place),
        breaks,
    )


def working_times(
    session: Session, technicians: list[Technician], starts_at: datetime, ends_at: datetime
) -> dict[int, list[WorkingTime]]:
    """By technician number, all shifts that touch the range, in order of time. An entered shift replaces what
    availability says for its hours."""
    zones = {
        technician.no: ZoneInfo(technician.time_zone)
        for technician in technicians
        if technician.no is not None
    }
    found: dict[int, list[WorkingTime]] = {no: [] for no in zones}
    entered = select(Shift).where(
        col(Shift.technician_no).in_(list(zones)),
        col(Shift.starts_at) < ends_at + LONGEST_DERIVED,
        col(Shift.ends_at) > starts_at - LONGEST_DERIVED,
    )
    for shift in session.exec(entered):
        found[shift.technician_no].append(entered_working_time(shift))
    rules = select(Availability).where(col(Availability.technician_no).in_(list(zones)))
    for availability in session.exec(rules):
        own = found[availability.technician_no]
        derived = derived_working_times(availability, zones[availability.technician_no], starts_at, ends_at)
        own += [
            shift for shift in derived if not any(e.overlaps(shift.starts_at, shift.ends_at) for e in own)
        ]
    return {
        no: sorted(
            (shift for shift in own if shift.overlaps(starts_at, ends_at)), key=lambda shift: shift.starts_at
        )
        for no, own in found.items()
    }


def add_shift(session: Session, technician: Technician, shift: Shift) -> Shift:
    """Raises `Invalid` for impossible hours and `Conflict` where it overlaps another entered shift."""
    require_sensible(shift)
    query = select(Shift).where(
        Shift.technician_no == technician.no,
        col(Shift.starts_at) < shift.ends_at,
        col(Shift.ends_at) > shift.starts_at,
    )
    other = session.exec(query).first()
    if other is not None:
        raise Conflict(
            "shift_overlap",
            f"It overlaps the shift from {other.starts_at:%Y-%m-%d %H:%M} to {other.ends_at:%H:%M} UTC.",
            shift_id=other.id,
        )
    session.add(shift)
    session.flush()
    return shift


def require_sensible(shift: Shift) -> None:
    """Raises `Invalid` unless it ends after it starts, within a day, with its breaks inside it."""
    problems = []
    if shift.ends_at <= shift.starts_at:
        problems.append(("ends_at", "must be after starts_at"))
    elif shift.ends_at - shift.starts_at > LONGEST_SHIFT:
        problems.append(("ends_at", "a shift lasts 24 hours at most; enter several"))
    for index, pause in enumerate(entered_working_time(shift).breaks):
        room_s = (pause.latest_end - pause.earliest_start).total_seconds()
        if pause.duration_s > room_s:
            problems.append((f"breaks.{index}", "does not fit between earliest_start and latest_end"))
        if pause.earliest_start < shift.starts_at or pause.latest_end > shift.ends_at:
            problems.append((f"breaks.{index}", "must lie within the shift"))
    pauses = sorted((pause.earliest_start, pause.latest_end) for pause in entered_working_time(shift).breaks)
    if _any_overlap(pauses):
        problems.append(("breaks", "must not overlap; each needs time of its own"))
    if problems:
        raise Invalid(errors=problems)


def remove_shift(session: Session, technician: Technician, shift_id: str, now: datetime) -> WorkingTime:
    """Takes an entered shift away; for a derived one, its date becomes an exception without it. Raises `NotFound`."""
    entered = session.get(Shift, shift_id)
    if entered is not None and entered.technician_no == technician.no:
        session.delete(entered)
        session.flush()
        return entered_working_time(entered)
    availability = session.get(Availability, technician.no)
    if availability is None:
        raise NotFound()
    begins = datetime.fromtimestamp((UUID(shift_id).int >> 80) / 1000, UTC)
    zone = ZoneInfo(technician.time_zone)
    nearby = derived_working_times(availability, zone, begins, begins + timedelta(seconds=1))
    shift = next((shift for shift in nearby if shift.id == shift_id), None)
    if shift is None:
        raise NotFound()
    _except_without(availability, shift, zone)
    availability.updated_at = now
    session.add(availability)
    session.flush()
    return shift


def _except_without(availability: Availability, shift: WorkingTime, zone: ZoneInfo) -> None:
    first = shift.starts_at.astimezone(zone).date()
    for day in (first - timedelta(days=1), first):
        hours = _hours_on(availability, day)
        kept = [(opens, closes) for opens, closes in hours if instant(day, opens, zone) != shift.starts_at]
        if len(kept) < len(hours):
            others = [entry for entry in availability.exceptions if entry["date"] != day.isoformat()]
            left = [{"from": f"{opens:%H:%M}", "to": f"{closes:%H:%M}"} for opens, closes in kept]
            availability.exceptions = [*others, {"date": day.isoformat(), "hours": left}]
            availability.version += 1
            return


def availability_of(session: Session, technician: Technician) -> Availability | None:
    """None where no weekly hours were ever said."""
    return session.get(Availability, technician.no)


def set_availability(
    session: Session,
    technician: Technician,
    weekly: list[dict[str, Any]],
    exceptions: list[dict[str, Any]],
    now: datetime,
) -> Availability:
    """Replaces the weekly hours and the exceptions. Raises `Invalid` where hours of one week, or of one exception,
    overlap, and where a date is excepted twice."""
    assert technician.no is not None
    _require_no_overlap(weekly, exceptions)
    availability = session.get(Availability, technician.no)
    if availability is None:
        availability = Availability(technician_no=technician.no, updated_at=now, version=0)
    availability.weekly, availability.exceptions, availability.updated_at = weekly, exceptions, now
    availability.version += 1
    session.add(availability)
    session.flush()
    return availability


def _require_no_overlap(weekly: list[dict[str, Any]], exceptions: list[dict[str, Any]]) -> None:
    """Judged in a week without a change of clocks."""
    monday = date(2001, 1, 1)
    week = Availability(technician_no=0, weekly=weekly, updated_at=datetime.min.replace(tzinfo=UTC))
    if _any_overlap(_spelled_out(week, ZoneInfo("UTC"), monday, monday + timedelta(days=7))):
        raise Invalid(errors=[("weekly", "hours of one week must not overlap")])
    dates = [entry["date"] for entry in exceptions]
    if len(set(dates)) < len(dates):
        raise Invalid(errors=[("exceptions", "each date may occur once")])
    for index, entry in enumerate(exceptions):
        alone = Availability(technician_no=0, exceptions=[entry], updated_at=datetime.min.replace(tzinfo=UTC))
        day = date.fromisoformat(entry["date"])
        if _any_overlap(_spelled_out(alone, ZoneInfo("UTC"), day, day)):
            raise Invalid(errors=[(f"exceptions.{index}.hours", "must not overlap")])


def _any_overlap(hours: list[tuple[datetime, datetime]]) -> bool:
    return any(end > begin for (_, end), (begin, _) in pairwise(hours))
