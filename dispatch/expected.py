"""When the work of each visit that has not begun is expected to begin: the one place where the plan, how far a
technician is, what it said and where it was last seen become times.

A technician's visits are gone through in order, what is under way first. What comes after it begins no earlier than
planned and than its technician said, and no earlier than the one before it lets go, with the planned breaks and travel
between and absences kept free. Of the first:

- On site: free when its time is over, or now if that has passed.
- En route: there when the way from the latest position (`FRESH_POSITION`) is driven, else when the planned way is from
  the moment that it set out. It does not begin before its promised window opens, unless it was planned to.
- Accepted, and the technician has not set out: as planned, until it should have left `OVERDUE` ago. From then on it
  moves with the clock, by the way that is left: from the latest position where there is one, so that nobody who waits
  around the corner is called late, and who is too far off is known to be late before the planned departure.
- Planned and not accepted: nobody was to leave yet; as planned.

A visit that nobody has begun and whose shift is over, with nothing under way, is expected no more: a person decides."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import NamedTuple

from sqlmodel import Session, col, func, select

from dispatch.appointment import UNDER_WAY, Appointment, Status
from dispatch.calendar import ROUNDED_S, BlockKind, CalendarBlock, epoch
from dispatch.catalogue import Service
from dispatch.events import Event
from dispatch.places import Place
from dispatch.planning import travel_provider
from dispatch.position import Position, fresh_positions
from dispatch.service_request import ServiceRequest
from dispatch.settings import Settings
from dispatch.shift import BreakTime, Shift, WorkingTime, entered_working_time, working_times
from dispatch.technician import Technician
from optimizer.travel import Place as Point

REACH = timedelta(hours=18)
"""So far ahead and back a day's visits are looked at."""
OVERDUE = timedelta(minutes=10)
"""Past the departure: less is a way that was quicker than it was reckoned, or a button that was pressed late."""
LEAST_DELAY = timedelta(minutes=5)
"""Past the window: less is within what anybody can foresee."""

_OPEN = (Status.SCHEDULED, Status.DISPATCHED, *UNDER_WAY)
_DONE = (Status.COMPLETED, Status.CANNOT_COMPLETE)


@dataclass(frozen=True, slots=True)
class Expected:
    """A visit that has not begun. start: of the work. departure: where its technician should have left by then, and
    has not. held_up_by: the visit that is under way before it, by whose delay it is delayed."""

    appointment_id: str
    organization_id: str
    technician_no: int
    start: datetime
    scheduled_start: datetime
    window_end: datetime | None
    departure: datetime | None = None
    held_up_by: str | None = None

    @property
    def is_overdue(self) -> bool:
        return self.departure is not None

    @property
    def is_late(self) -> bool:
        """Whether the promised window will be broken."""
        return self.window_end is not None and self.start > self.window_end + LEAST_DELAY

    @property
    def late_by_s(self) -> int:
        """Past the promised window's end; 0 where it is kept."""
        if not self.is_late or self.window_end is None:
            return 0
        return int((self.start - self.window_end).total_seconds())


class _Stop(NamedTuple):
    """A visit as it is read, in the order of the query's columns."""

    appointment_id: str
    organization_id: str
    technician_no: int
    status: Status
    scheduled_start: datetime
    scheduled_end: datetime
    said: datetime | None
    actual_start: datetime | None
    window_start: datetime | None
    window_end: datetime | None
    travel_s: int | None
    before_s: int
    after_s: int
    lat: float
    lon: float

    @property
    def is_under_way(self) -> bool:
        return self.status in UNDER_WAY

    @property
    def before(self) -> timedelta:
        return timedelta(seconds=self.before_s)

    @property
    def leg(self) -> timedelta:
        """The planned way to it, and what comes before the work."""
        return timedelta(seconds=(self.travel_s or 0) + self.before_s)

    @property
    def lasts(self) -> timedelta:
        return self.scheduled_end - self.scheduled_start + timedelta(seconds=self.after_s)

    @property
    def planned(self) -> datetime:
        """As planned, or as its technician said."""
        return max(self.scheduled_start, self.said or self.scheduled_start)

    @property
    def opens(self) -> datetime:
        """Work does not begin before the promised window, unless it was planned so."""
        return min(self.scheduled_start, self.window_start or self.scheduled_start)

    def expected(
        self, start: datetime, departure: datetime | None = None, held_up_by: str | None = None
    ) -> Expected:
        return Expected(
            self.appointment_id,
            self.organization_id,
            self.technician_no,
            start,
            self.scheduled_start,
            self.window_end,
            departure,
            held_up_by,
        )


@dataclass(slots=True)
class _Around:
    """What is known of technicians beside their visits: by number the latest position, the shifts and the absences;
    by appointment when its technician set out."""

    settings: Settings
    now: datetime
    positions: dict[int, Position] = field(default_factory=dict)
    shifts: dict[int, list[WorkingTime]] = field(default_factory=dict)
    absences: dict[int, list[tuple[datetime, datetime]]] = field(default_factory=dict)
    set_off: dict[str, datetime] = field(default_factory=dict)

    def way(self, stop: _Stop) -> tuple[datetime, timedelta] | None:
        """Since when and how long from the latest position to the visit; None without a position."""
        position = self.positions.get(stop.technician_no)
        if position is None:
            return None
        return position.recorded_at, way_between(
            self.settings, Place(position.lat, position.lon), Place(stop.lat, stop.lon)
        )

    def is_over(self, stop: _Stop) -> bool:
        """Whether the shift in which a visit was planned has ended."""
        shifts = self.shifts.get(stop.technician_no, [])
        start = stop.scheduled_start
        ends = [shift.ends_at for shift in shifts if shift.starts_at <= start < shift.ends_at]
        return self.now > max([stop.scheduled_end, *ends])


def way_between(settings: Settings, origin: Place, destination: Place) -> timedelta:
    """How long the way takes."""
    points = [Point(origin.lat, origin.lon), Point(destination.lat, destination.lon)]
    return timedelta(seconds=int(travel_provider(settings).matrix(points).duration_s[0, 1]))


def expected_starts(
    session: Session, settings: Settings, technician_nos: Collection[int], now: datetime
) -> dict[str, Expected]:
    """By appointment, over all organizations, of each visit of these technicians that is planned within `REACH`, has
    not begun and may still be expected."""
    stops = _stops(session, technician_nos, now)
    if not stops:
        return {}
    around = _around(session, settings, stops, now)
    return {
        found.appointment_id: found
        for no, own in groupby(stops, key=lambda stop: stop.technician_no)
        for found in _chain(around, no, list(own))
    }


def overdue_technicians(session: Session, now: datetime) -> list[int]:
    """By number, who may be to set out by now and has not; cheap, and some who are not."""
    query = select(Appointment.technician_no, Appointment.scheduled_start, Appointment.travel_s).where(
        Appointment.status == Status.DISPATCHED,
        col(Appointment.scheduled_start).between(now - REACH, now + LONGEST_WAY),
    )
    return sorted(
        {
            no
            for no, start, travel_s in session.exec(query)
            if no is not None and start is not None and start - timedelta(seconds=travel_s or 0) < now
        }
    )


LONGEST_WAY = timedelta(hours=3)
"""Who has farther to go is looked at later."""


def _stops(session: Session, technician_nos: Collection[int], now: datetime) -> list[_Stop]:
    """By technician in order of time, also what is done."""
    columns = (
        col(Appointment.id), col(Appointment.organization_id), col(Appointment.technician_no),
        col(Appointment.status), col(Appointment.scheduled_start), col(Appointment.scheduled_end),
        col(Appointment.expected_start), col(Appointment.actual_start), col(Appointment.window_start),
        col(Appointment.window_end), col(Appointment.travel_s), col(Service.buffer_before_s),
        col(Service.buffer_after_s), col(ServiceRequest.lat), col(ServiceRequest.lon),
    )  # fmt: skip
    query = (
        select(*columns)  # type: ignore[call-overload]
        .join(ServiceRequest, col(ServiceRequest.id) == Appointment.service_request_id)
        .join(Service, col(Service.id) == ServiceRequest.service_id)
        .where(
            col(Appointment.technician_no).in_(technician_nos),
            col(Appointment.status).in_((*_OPEN, *_DONE)),
            col(Appointment.scheduled_start).between(now - REACH, now + REACH),
        )
        .order_by(col(Appointment.technician_no), col(Appointment.scheduled_start), col(Appointment.id))
    )
    return [_Stop(*row) for row in session.exec(query)]


def _around(session: Session, settings: Settings, stops: Sequence[_Stop], now: datetime) -> _Around:
    numbers = sorted({stop.technician_no for stop in stops})
    return _Around(
        settings,
        now,
        fresh_positions(session, numbers, now),
        _shifts(session, stops, now),
        absences_between(session, numbers, now - REACH, now + REACH),
        _set_off(session, [stop.appointment_id for stop in stops if stop.status is Status.EN_ROUTE]),
    )


def _shifts(session: Session, stops: Sequence[_Stop], now: datetime) -> dict[int, list[WorkingTime]]:
    """By technician number, those that matter: entered ones, which may have breaks, and of whoever has not begun what
    should be over, those that follow from its availability too."""
    begins, ends = now - REACH, now + REACH
    entered = select(Shift).where(
        col(Shift.technician_no).in_({stop.technician_no for stop in stops}),
        col(Shift.starts_at) < ends,
        col(Shift.ends_at) > begins,
    )
    found: dict[int, list[WorkingTime]] = {}
    for shift in session.exec(entered.order_by(col(Shift.starts_at))):
        found.setdefault(shift.technician_no, []).append(entered_working_time(shift))
    behind = {stop.technician_no for stop in stops if stop.status in _OPEN and stop.scheduled_end < now}
    if behind:
        people = session.exec(select(Technician).where(col(Technician.no).in_(behind))).all()
        found |= working_times(session, list(people), begins, ends)
    return found


def absences_between(
    session: Session, technician_nos: Collection[int], starts_at: datetime, ends_at: datetime
) -> dict[int, list[tuple[datetime, datetime]]]:
    """By technician number, in order of time."""
    query = select(CalendarBlock.technician_no, CalendarBlock.busy_from, CalendarBlock.busy_to).where(
        col(CalendarBlock.technician_no).in_(technician_nos),
        CalendarBlock.kind == BlockKind.ABSENCE,
        col(CalendarBlock.busy_from) < epoch(ends_at),
        col(CalendarBlock.busy_to) > epoch(starts_at),
    )
    found: dict[int, list[tuple[datetime, datetime]]] = {no: [] for no in technician_nos}
    for no, begins, ends in session.exec(query.order_by(col(CalendarBlock.busy_from))):
        found[no].append((datetime.fromtimestamp(begins, UTC), datetime.fromtimestamp(ends, UTC)))
    return found


def _set_off(session: Session, appointment_ids: Sequence[str]) -> dict[str, datetime]:
    """When the technician last said to be on the way to each."""
    if not appointment_ids:
        return {}
    query = (
        select(Event.subject_id, func.max(Event.at))
        .where(col(Event.subject_id).in_(appointment_ids))
        .where(Event.type == f"appointment.{Status.EN_ROUTE.value}")
        .group_by(col(Event.subject_id))
    )
    return dict(session.exec(query).all())


def _chain(around: _Around, technician_no: int, stops: Sequence[_Stop]) -> Iterator[Expected]:
    """Of one technician. stops: in order of time, also what is done."""
    pauses = _pauses(around.shifts.get(technician_no, []), stops)
    ahead = [stop for stop in stops if stop.status in _OPEN]
    under_way = [stop for stop in ahead if stop.is_under_way]
    under_way.sort(key=lambda stop: stop.status is not Status.ON_SITE)
    free_at = None
    for stop in under_way:
        if stop.status is Status.ON_SITE:
            free_at = max(around.now, (stop.actual_start or around.now) + stop.lasts)
            continue
        start = max(_arrives(around, stop), free_at + stop.leg if free_at is not None else stop.opens)
        free_at = start + stop.lasts
        yield stop.expected(start)
    holds_up = under_way[0].appointment_id if under_way else None
    for stop in ahead:
        if stop.is_under_way or (not under_way and around.is_over(stop)):
            continue
        if free_at is not None:
            start = _after(around, stop, free_at, pauses.get(stop.appointment_id, ()))
            free_at = start + stop.lasts
            yield stop.expected(start, None, holds_up if start > stop.planned else None)
            continue
        start, departure = _first(around, stop)
        if stop.status is Status.DISPATCHED:
            free_at, holds_up = start + stop.lasts, stop.appointment_id
        yield stop.expected(start, departure)


def _arrives(around: _Around, stop: _Stop) -> datetime:
    """When the work may begin of a visit to which its technician is on the way."""
    found = around.way(stop)
    if found is None:
        set_off = around.set_off.get(stop.appointment_id, around.now)
        return max(stop.planned, around.now, set_off + stop.leg)
    seen_at, way = found
    return max(stop.opens, around.now, seen_at + way + stop.before, stop.said or stop.opens)


def _first(around: _Around, stop: _Stop) -> tuple[datetime, datetime | None]:
    """Of a visit before which nothing is under way: when it begins and, if its technician should have left by now,
    since when. The way from a position is rounded up: it may be a customer's of another organization."""
    if stop.status is not Status.DISPATCHED:
        return stop.planned, None
    found, leg = around.way(stop), stop.leg
    if found is not None:
        way_s = int(found[1].total_seconds())
        leg = timedelta(seconds=-(-way_s // ROUNDED_S) * ROUNDED_S) + stop.before
    departure = stop.planned - leg
    if around.now <= departure + OVERDUE:
        return stop.planned, None
    return max(stop.opens, around.now + leg), departure


def _pauses(shifts: Iterable[WorkingTime], stops: Sequence[_Stop]) -> dict[str, list[BreakTime]]:
    """By appointment, the breaks that were planned before it: in the first gap of the plan that holds them."""
    found: dict[str, list[BreakTime]] = {}
    for shift in shifts:
        inside = [stop for stop in stops if shift.starts_at <= stop.scheduled_start < shift.ends_at]
        free_from = shift.starts_at
        left = sorted(shift.breaks, key=lambda pause: pause.earliest_start)
        for stop in inside:
            gap_ends = stop.scheduled_start - stop.leg
            for pause in list(left):
                begins = max(free_from, pause.earliest_start)
                ends = begins + timedelta(seconds=pause.duration_s)
                if ends <= min(gap_ends, pause.latest_end):
                    found.setdefault(stop.appointment_id, []).append(pause)
                    left.remove(pause)
                    free_from = ends
            free_from = max(free_from, stop.scheduled_start + stop.lasts)
    return found


def _after(around: _Around, stop: _Stop, free_at: datetime, pauses: Iterable[BreakTime]) -> datetime:
    """Of a visit whose technician is at another one until `free_at`: not before it is there, rested. A start that is
    put off is put off further until no absence lies in it; what is as planned stays, for the plan knew of them."""
    for pause in pauses:
        free_at = max(free_at, pause.earliest_start) + timedelta(seconds=pause.duration_s)
    start = max(stop.planned, free_at + stop.leg)
    for begins, ends in around.absences.get(stop.technician_no, ()):
        is_there = free_at + stop.leg <= begins
        if start > stop.planned and start - stop.leg < ends and start + stop.lasts > begins:
            start = max(start, ends + (stop.before if is_there else stop.leg))
    return start
