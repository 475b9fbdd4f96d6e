"""The day as a drawing: who works when, what is promised, planned and travelled, to scale.

Horizontal places are percent of the drawing's width, so that one drawing serves every screen."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from api.pages.words import STATUS, clock, distance, duration
from dispatch.appointment import Appointment, Status
from dispatch.board import BoardRow, told_start
from dispatch.calendar import epoch
from dispatch.confirming import BEFORE_THE_VISIT
from dispatch.day import RouteStop
from dispatch.expected import Expected
from dispatch.shift import instant, local_day

HOUR = timedelta(hours=1)
FIRST_HOUR, LAST_HOUR = time(8), time(18)
"""What an empty day shows."""
TRACKS = 4
"""Of promised windows beneath a lane; so many overlap without covering each other."""

Interval = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class VisitFacts:
    """What the board says of a visit beside its times. duration_s: as the catalogue says."""

    service: str
    customer: str
    buffer_before_s: int
    duration_s: int


@dataclass(frozen=True, slots=True)
class Span:
    """From `x`, `width` wide, in percent."""

    x: float
    width: float


@dataclass(frozen=True, slots=True)
class Tick:
    x: float
    label: str


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps instants between two others to percent."""

    begins: datetime
    ends: datetime

    def at(self, moment: datetime) -> float:
        """Beyond 0 or 100 for what lies outside."""
        return round((moment - self.begins) / (self.ends - self.begins) * 100, 3)

    def span(self, begins: datetime, ends: datetime) -> Span | None:
        """What of it lies inside; None if nothing does."""
        left, right = max(self.at(begins), 0.0), min(self.at(ends), 100.0)
        return Span(left, round(right - left, 3)) if right > left else None

    def ticks(self, zone: ZoneInfo) -> Iterator[Tick]:
        """Every full hour."""
        at = self.begins
        while at < self.ends:
            yield Tick(self.at(at), clock(at.astimezone(zone)))
            at += HOUR


@dataclass(frozen=True, slots=True)
class Lateness:
    """Of a visit that will begin later than planned. breaks_promise: past the promised window."""

    said: str
    short: str
    breaks_promise: bool


@dataclass(frozen=True, slots=True)
class PlannedVisit:
    """A visit in a technician's lane. starts_s and ends_s: seconds of the Unix epoch. track: where beneath the bar its
    promised window is drawn. delay: from the planned start to the expected one."""

    id: str
    starts_s: int
    ends_s: int
    status: Status
    status_words: str
    facts: VisitFacts
    address: str | None
    times: str
    promised: str | None
    travel: str
    is_pinned: bool
    presence: str | None
    late: Lateness | None
    bar: Span | None
    delay: Span | None
    leg: Span | None
    window: Span | None
    track: int

    @property
    def title(self) -> str:
        """All of it in a line."""
        states = [self.status_words.lower(), "pinned" if self.is_pinned else None, self.presence]
        state = ", ".join(each for each in states if each)
        said = f"{self.times} {self.facts.service}, {self.facts.customer} ({state})."
        said += f" {self.late.said}." if self.late else ""
        return f"{said} {self.travel} of travel before." + (f" {self.promised}." if self.promised else "")


@dataclass(frozen=True, slots=True)
class Lane:
    """A technician's day."""

    technician_id: str
    name: str
    kind: str
    hours: str
    load: str
    shifts: tuple[Span, ...]
    absences: tuple[Span, ...]
    visits: tuple[PlannedVisit, ...]


@dataclass(frozen=True, slots=True)
class Timeline:
    """lanes: of those who work or have visits; absent: the names of the others. now: None on other days. begins_s and
    ends_s: of the scale, in seconds of the Unix epoch."""

    begins_s: int
    ends_s: int
    ticks: tuple[Tick, ...]
    lanes: tuple[Lane, ...]
    absent: tuple[str, ...]
    now: Tick | None


def draw_timeline(
    rows: Sequence[BoardRow],
    facts: Mapping[str, VisitFacts],
    expected: Mapping[str, Expected],
    zone: ZoneInfo,
    day: date,
    now: datetime,
) -> Timeline:
    """facts and expected: by appointment."""
    present = [row for row in rows if row.shifts or row.route.stops]
    scale = _scale(present, zone, day)
    at = scale.at(now)
    return Timeline(
        begins_s=epoch(scale.begins),
        ends_s=epoch(scale.ends),
        ticks=tuple(scale.ticks(zone)),
        lanes=tuple(_lane(row, facts, expected, zone, scale) for row in present),
        absent=tuple(row.technician.name for row in rows if not row.shifts and not row.route.stops),
        now=Tick(at, clock(now.astimezone(zone))) if 0 <= at <= 100 else None,
    )


def _scale(rows: Sequence[BoardRow], zone: ZoneInfo, day: date) -> Scale:
    """From the first full hour to the last of what happens; of shifts, what lies in the day."""
    midnight, next_midnight = local_day(day, zone)
    instants = [
        min(max(end, midnight), next_midnight)
        for row in rows
        for shift in row.shifts
        for end in (shift.starts_at, shift.ends_at)
    ]
    for stop in (stop for row in rows for stop in row.route.stops):
        begins, ends = _planned(stop)
        instants += [begins - timedelta(seconds=stop.travel_s), ends]
    if not instants:
        return Scale(instant(day, FIRST_HOUR, zone), instant(day, LAST_HOUR, zone))
    return Scale(
        _full_hour(min(instants), zone), _full_hour(max(instants) + HOUR - timedelta.resolution, zone)
    )


def _full_hour(at: datetime, zone: ZoneInfo) -> datetime:
    """The last full hour of the wall clock; zones may be half an hour off UTC's."""
    return at.astimezone(zone).replace(minute=0, second=0, microsecond=0).astimezone(UTC)


def _planned(stop: RouteStop) -> Interval:
    begins, ends = stop.appointment.scheduled_start, stop.appointment.scheduled_end
    assert begins is not None
    assert ends is not None
    return begins, ends


def _lane(
    row: BoardRow,
    facts: Mapping[str, VisitFacts],
    expected: Mapping[str, Expected],
    zone: ZoneInfo,
    scale: Scale,
) -> Lane:
    at_work = [(shift.starts_at, shift.ends_at) for shift in row.shifts]
    hours = [_range(*shift, zone) for shift in at_work]
    visits = [
        _visit(stop, track, facts[stop.appointment.id], expected.get(stop.appointment.id), zone, scale)
        for stop, track in zip(row.route.stops, _tracks(row.route.stops), strict=True)
    ]
    count = "1 visit" if len(visits) == 1 else f"{len(visits)} visits"
    return Lane(
        technician_id=row.technician.id,
        name=row.technician.name,
        kind=row.engagement.kind.value,
        hours=", ".join(hours) or "no shift",
        load=f"{count}, {distance(row.route.travel_m)}" if visits else "free",
        shifts=_spans(at_work, scale),
        absences=_spans(row.absences, scale),
        visits=tuple(visits),
    )


def _spans(intervals: Iterable[Interval], scale: Scale) -> tuple[Span, ...]:
    spans = (scale.span(*interval) for interval in intervals)
    return tuple(span for span in spans if span is not None)


def _tracks(stops: Sequence[RouteStop]) -> list[int]:
    """For each visit the first track on which its promised window neither covers nor touches another."""
    free_from: list[datetime | None] = [None] * TRACKS
    chosen = []
    for stop in stops:
        window = _promised(stop)
        if window is None:
            chosen.append(0)
            continue
        begins, ends = window
        free = (track for track, until in enumerate(free_from) if until is None or until < begins)
        track = next(free, len(chosen) % TRACKS)
        free_from[track] = ends
        chosen.append(track)
    return chosen


def _promised(stop: RouteStop) -> Interval | None:
    begins, ends = stop.appointment.window_start, stop.appointment.window_end
    return (begins, ends) if begins is not None and ends is not None else None


def _visit(
    stop: RouteStop, track: int, facts: VisitFacts, expected: Expected | None, zone: ZoneInfo, scale: Scale
) -> PlannedVisit:
    begins, ends = _planned(stop)
    appointment = stop.appointment
    arrives = begins - timedelta(seconds=facts.buffer_before_s)
    window = _promised(stop)
    return PlannedVisit(
        id=appointment.id,
        starts_s=epoch(begins),
        ends_s=epoch(ends),
        status=appointment.status,
        status_words=STATUS[appointment.status],
        facts=facts,
        address=stop.place.address,
        times=_range(begins, ends, zone),
        promised=f"Promised {_range(*window, zone)}" if window else None,
        travel=f"{duration(stop.travel_s)}, {distance(stop.travel_m)}",
        is_pinned=appointment.pinned or appointment.pinned_time,
        presence=_presence(appointment),
        late=_lateness(expected, zone),
        bar=scale.span(begins, ends),
        delay=scale.span(begins, told) if (told := _told(expected)) is not None else None,
        leg=scale.span(arrives - timedelta(seconds=stop.travel_s), arrives),
        window=scale.span(*window) if window else None,
        track=track,
    )


def _told(expected: Expected | None) -> datetime | None:
    """When it is expected to begin, if that is after it was planned to."""
    told = told_start(expected) if expected is not None else None
    return told if expected is not None and told is not None and told > expected.scheduled_start else None


def _lateness(expected: Expected | None, zone: ZoneInfo) -> Lateness | None:
    told = _told(expected)
    if expected is None or told is None:
        return None
    said = f"Expected at {clock(told.astimezone(zone))}"
    if not expected.is_late:
        return Lateness(said, clock(told.astimezone(zone)), breaks_promise=False)
    late = duration(expected.late_by_s)
    return Lateness(f"{said}, {late} past the promised window", f"{late} late", breaks_promise=True)


def _presence(appointment: Appointment) -> str | None:
    """Whether the customer has said that somebody will be there; of no interest once that is seen."""
    if not appointment.is_promised or appointment.status not in (*BEFORE_THE_VISIT, Status.EN_ROUTE):
        return None
    return "customer confirmed" if appointment.customer_confirmed_at is not None else "customer not confirmed"


def _range(begins: datetime, ends: datetime, zone: ZoneInfo) -> str:
    return f"{clock(begins.astimezone(zone))}–{clock(ends.astimezone(zone))}"
