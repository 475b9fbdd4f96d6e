"""Calendars as they stand, remembered: where could a visit go, among everybody and over many days?

Reading and timing all calendars for each question would take seconds. A process keeps the routes of an organization by
day, and with each the stamp that the technician's calendar had when it was read (`Technician.calendar_stamp`, which the
database changes with whatever slots follow from). A question reads the stamps, and anew only the calendars whose stamp
is another, whichever process changed them. A stamp is never used twice, so that what a transaction read of its own
changes is right for it and, if it rolls back, for nobody else.
"""

from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from threading import Lock
from typing import NamedTuple
from weakref import WeakKeyDictionary
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine, bindparam, func, union_all
from sqlmodel import Session, col, select

from dispatch.acceptance import chance_of_filling
from dispatch.catalogue import Service
from dispatch.likelihood import Likelihood
from dispatch.planning import (
    DayReader,
    Job,
    Window,
    WorkingDay,
    asked_visit,
    declined_by,
    narrowed,
    range_of,
    travel_provider,
)
from dispatch.service_request import Priority
from dispatch.settings import Settings
from dispatch.shift import LONGEST_DERIVED
from dispatch.technician import Engagement, EngagementStatus, Technician
from optimizer import Insertion, Obstacles, Plan, Shift, TimeWindow, Visit
from optimizer.standing import StandingRoutes, Ways
from optimizer.travel import Place as Point
from optimizer.travel import ground_points

DAY = timedelta(days=1)
SHIFT_BEFORE = timedelta(hours=36)
"""Read beside the days in question: a forced visit that reaches from one shift into the next belongs to the first."""
READ_AT_A_TIME = 16
"""Technicians; the matrix of their places grows with the square."""
MOST_DAYS, MOST_ORGANIZATIONS = 60, 100
"""Remembered by a process: days of an organization, organizations."""


@dataclass(frozen=True, slots=True)
class Opening:
    """Where a visit costs least in one window. window: the index of those asked for. technician_no: whose shift it is.
    read: with what it was read. hours: of the shift, in seconds of the epoch. beside_others: next to another
    organization's visit, so that its cost is told rounded."""

    window: int
    insertion: Insertion
    technician_no: int
    read: WorkingDay
    hours: TimeWindow
    beside_others: bool

    @property
    def engagement(self) -> Engagement:
        return self.read.engagements[self.insertion.technician]

    @property
    def rank(self) -> tuple[int, int]:
        """The cheapest first, of equal ones the earliest."""
        return self.insertion.extra_cents, self.insertion.start


@dataclass
class _Day:
    """The shifts that begin on one day of UTC. stamps: by technician number, of the calendars that were read. shifts:
    by technician number their ids; owner: the other way round. source: by shift, what was read. foreign: by shift,
    which of its stops are not the organization's."""

    routes: StandingRoutes = field(default_factory=StandingRoutes)
    stamps: dict[int, int] = field(default_factory=dict)
    shifts: dict[int, set[str]] = field(default_factory=dict)
    owner: dict[str, int] = field(default_factory=dict)
    source: dict[str, WorkingDay] = field(default_factory=dict)
    foreign: dict[str, tuple[bool, ...]] = field(default_factory=dict)

    def forget(self, numbers: Iterable[int]) -> None:
        for no in numbers:
            self.stamps.pop(no, None)
            self._drop(self.shifts.pop(no, set()))

    def _drop(self, shift_ids: Iterable[str]) -> None:
        for shift_id in shift_ids:
            self.routes.drop([shift_id])
            del self.owner[shift_id], self.source[shift_id], self.foreign[shift_id]

    def put(self, read: WorkingDay, shifts: Sequence[Shift]) -> None:
        """Those shifts of what was read, with their routes, in the place of all that their technicians had."""
        chosen = {shift.id for shift in shifts}
        for technician in read.technicians.values():
            assert technician.no is not None
            self._drop(self.shifts.pop(technician.no, set()) - chosen)
        if shifts:
            self.enter(read, shifts)

    def enter(self, read: WorkingDay, shifts: Sequence[Shift]) -> None:
        """Those shifts of what was read, with their routes, beside all others."""
        chosen = {shift.id for shift in shifts}
        routes = tuple(route for route in read.plan.routes if route.shift in chosen)
        stops = {route.shift: [stop.visit for stop in route.stops] for route in routes}
        routed = {visit_id for visit_ids in stops.values() for visit_id in visit_ids}
        visits = tuple(visit for visit in read.problem.visits if visit.id in routed)
        problem = replace(read.problem, visits=visits, shifts=tuple(shifts))
        self.routes.put(problem, Plan(routes, ()), [Point(place.lat, place.lon) for place in read.places])
        for shift in shifts:
            no = read.technicians[shift.technician].no
            assert no is not None
            self.shifts.setdefault(no, set()).add(shift.id)
            self.owner[shift.id], self.source[shift.id] = no, read
            self.foreign[shift.id] = tuple(visit_id not in read.jobs for visit_id in stops.get(shift.id, []))

    def touching(self, range_: Window) -> list["_Standing"]:
        """The shifts whose hours touch a range."""
        all_hours = (self.source[shift_id].hours[shift_id] for shift_id in self.owner)
        return [
            _Standing(hours.technician_no, hours.starts_at, self.routes, hours.id)
            for hours in all_hours
            if hours.overlaps(*range_)
        ]

    def openings(self, asked: "_Asked") -> Iterator[Opening]:
        """For each window that some shift of this day can keep, the cheapest."""
        for found in self.routes.cheapest(asked.visit, asked.at, asked.opens, asked.closes, asked.ways):
            yield self._opening(found)

    def everywhere(self, asked: "_Asked") -> Iterator[Opening]:
        """For each window and shift of this day that can keep it."""
        fits = self.routes.fits(asked.visit, asked.at, asked.opens, asked.closes, asked.ways)
        for entry in range(len(fits)):
            yield self._opening(fits.insertion(entry))

    def _opening(self, found: Insertion) -> Opening:
        id_ = found.shift
        beside = self.foreign[id_][max(0, found.position - 1) : found.position + 1]
        hours = self.routes.shift(id_).window
        return Opening(found.window, found, self.owner[id_], self.source[id_], hours, any(beside))

    def chances(
        self, asked: "_Asked", only: Sequence[int], likelihood: Likelihood
    ) -> Iterator[tuple[int, int, float]]:
        """Of some of the windows, by their indices: who could keep it, by number, and with which chance."""
        fits = self.routes.fits(asked.visit, asked.at, asked.opens[only], asked.closes[only], asked.ways)
        rows, who = np.unique(fits.row, return_inverse=True)
        shifts = [fits.shifts[row] for row in rows.tolist()]
        people = [self.source[shift.id].engagements[shift.technician] for shift in shifts]
        chances = likelihood.chances(people, who, fits.start, fits.extra_travel_s, fits.extra_travel_m)
        for at, window, chance in zip(who.tolist(), fits.window.tolist(), chances.tolist(), strict=True):
            yield only[window], people[at].technician_no, chance


_NOBODY = _Day()


class _Standing(NamedTuple):
    """A shift, and the routes among which it is. In order of the technicians, of one in that of time."""

    technician_no: int
    starts_at: datetime
    routes: StandingRoutes
    shift_id: str


@dataclass(frozen=True, slots=True)
class _Asked:
    """A visit, where it is (`ground_points`) and when it may start: the first and the last instants of the windows."""

    visit: Visit
    at: NDArray[np.float64]
    opens: NDArray[np.int64]
    closes: NDArray[np.int64]
    ways: Ways


class Calendars:
    """Of everybody whom one organization has engaged, as one process remembers them."""

    def __init__(self, organization_id: str) -> None:
        self._organization_id = organization_id
        self._lock = Lock()
        self._days: OrderedDict[date, _Day] = OrderedDict()
        self._technician_ids: dict[int, str] = {}
        self._catalogue: tuple[int, int] | None = None

    def openings(
        self,
        session: Session,
        settings: Settings,
        job: Job,
        windows: Sequence[Window],
        zone: ZoneInfo,
        likelihood: Likelihood | None = None,
    ) -> list[Opening]:
        """For each of the windows, which are in order of time, that somebody can keep together with everything that
        stands, where the visit costs least. Where it stands already it counts as removed. zone: of the days of which
        the service keeps a share for emergencies. likelihood: only windows that are kept with the chance it wants."""
        if not windows:
            return []
        with self._lock, _apart(session) as reading:
            dates = _dates(windows)
            self._read(reading, settings, dates)
            parts = list(self._parts(reading, settings, job, windows, dates))
            openings = _cheapest(parts)
            if likelihood is not None:
                openings = _likely(parts, openings, likelihood)
            if not openings or job.request.priority is Priority.EMERGENCY:
                return openings
            kept = _kept_for_emergencies(parts, job.service, zone) if job.service.emergency_share else ()
            return [
                opening
                for opening in openings
                if windows[opening.window][0].astimezone(zone).date() not in kept
            ]

    def by_technician(self, session: Session, settings: Settings, job: Job, window: Window) -> list[Opening]:
        """Of everybody who could keep the window, where the visit costs least. Where it stands already it counts as
        removed."""
        with self._lock, _apart(session) as reading:
            dates = _dates([window])
            self._read(reading, settings, dates)
            return _best_of_each(self._parts(reading, settings, job, [window], dates))

    def survey(
        self, session: Session, settings: Settings, job: Job, window: Window, zone: ZoneInfo
    ) -> tuple[list[Opening], Obstacles]:
        """As `by_technician`, and of the same moment what keeps the visit out of the shifts that touch the local day of
        the window, as `obstacles`."""
        with self._lock, _apart(session) as reading:
            range_ = range_of([window], zone)
            own_dates = _dates([window])
            dates = sorted({*own_dates, *_dates([range_])})
            self._read(reading, settings, dates)
            asked = self._asked(reading, settings, job, [window])
            own, without = self._without(settings, job, dates)
            best = _best_of_each(self._each(asked, own, without, own_dates))
            return best, _obstacles(self._touching(range_, own, without), asked)

    def as_read(self, technician: Technician, shift_id: str) -> WorkingDay | None:
        """What was read when the shift was, if the technician's calendar, which the caller has locked, is still the
        same; else None."""
        with self._lock:
            for day in self._days.values():
                if (
                    shift_id in day.source
                    and day.stamps.get(day.owner[shift_id]) == technician.calendar_stamp
                ):
                    return day.source[shift_id]
        return None

    def forget(self, technician_no: int) -> None:
        """The calendar is read anew by whoever asks next, whatever its stamp says: something that is no part of it has
        changed in a visit that stands in it."""
        with self._lock:
            for day in self._days.values():
                day.forget([technician_no])

    def note(self, session: Session, technician: Technician, was: int, after: WorkingDay) -> None:
        """The shift of `after` is so from now on, and nothing else of the calendar has changed since its stamp was
        `was`: the next to ask need not read it again. Called by whoever has the calendar locked, after its last
        change."""
        no = technician.no
        query = select(Technician.calendar_stamp).where(Technician.no == no)
        stamp = session.connection().execute(query).scalar_one()
        (shift,) = after.problem.shifts
        assert no is not None
        with self._lock:
            for day in self._days.values():
                if day.stamps.get(no) != was:
                    continue
                if shift.id in day.source:
                    day.enter(after, [shift])
                day.stamps[no] = stamp

    def _parts(
        self,
        session: Session,
        settings: Settings,
        job: Job,
        windows: Sequence[Window],
        dates: Sequence[date],
    ) -> Iterator[tuple["_Day", _Asked]]:
        """The days to ask, and what to ask them. In whose calendar the visit stands is asked without it, apart."""
        asked = self._asked(session, settings, job, windows)
        own, without = self._without(settings, job, dates)
        return self._each(asked, own, without, dates)

    def _each(
        self, asked: _Asked, own: int | None, without: "_Day", dates: Sequence[date]
    ) -> Iterator[tuple["_Day", _Asked]]:
        if own is not None:
            yield without, asked
            excluded = asked.visit.excluded | {self._technician_ids[own]}
            asked = replace(asked, visit=replace(asked.visit, excluded=excluded))
        for on in dates:
            yield self._days[on], asked

    def _asked(self, session: Session, settings: Settings, job: Job, windows: Sequence[Window]) -> _Asked:
        whole = (windows[0][0], max(end for _, end in windows))
        declined = declined_by(session, job.appointment.id)
        visit = asked_visit(job, [whole], self._technician_ids, declined)
        instants = np.array([(job.at_place_from(start), job.at_place_from(end)) for start, end in windows])
        at, ways = ground_points([Point(job.place.lat, job.place.lon)]), travel_provider(settings).ways
        return _Asked(visit, at, instants[:, 0].copy(), instants[:, 1].copy(), ways)

    def _without(self, settings: Settings, job: Job, dates: Sequence[date]) -> tuple[int | None, _Day]:
        """In whose calendar the visit stands, by number, and the shifts of that calendar on these days without it."""
        own = job.appointment.technician_no
        if own is None or own not in self._technician_ids:
            return None, _NOBODY
        without = _Day()
        for on in dates:
            for shift_id in self._days[on].shifts.get(own, ()):
                read = self._days[on].source[shift_id]
                technician = read.technicians[self._technician_ids[own]]
                left = replace(read, plan=_less(read.plan, shift_id, job.appointment.id))
                hours = read.hours[shift_id]
                whole = (hours.starts_at, hours.ends_at)
                day = narrowed(settings, left, shift_id, technician, job, [whole])
                without.enter(day, day.problem.shifts)
        return own, without

    def obstacles(
        self,
        session: Session,
        settings: Settings,
        job: Job,
        days: Sequence[Sequence[Window]],
        zone: ZoneInfo,
    ) -> list[Obstacles]:
        """For each local day what keeps the visit out of the shifts that touch it. days: the windows of each, at least
        one, in order of time. Where the visit stands already it counts as removed."""
        ranges = [range_of(windows, zone) for windows in days]
        dates = sorted({on for range_ in ranges for on in _dates([range_])})
        if not dates:
            return []
        with self._lock, _apart(session) as reading:
            self._read(reading, settings, dates)
            asked = self._asked(reading, settings, job, [window for windows in days for window in windows])
            own, without = self._without(settings, job, dates)
            ends = np.cumsum([len(windows) for windows in days])
            opens, closes = np.split(asked.opens, ends), np.split(asked.closes, ends)
            return [
                _obstacles(
                    self._touching(range_, own, without), replace(asked, opens=opens[at], closes=closes[at])
                )
                for at, range_ in enumerate(ranges)
            ]

    def obstacles_together(
        self,
        session: Session,
        settings: Settings,
        asked: Sequence[tuple[Job, Sequence[Window]]],
        range_: Window,
    ) -> list[Obstacles]:
        """For each of several visits that stand in no calendar what keeps it out of the shifts that touch a range.
        asked: each with its windows, at least one, in order of time."""
        with self._lock, _apart(session) as reading:
            self._read(reading, settings, _dates([range_]))
            touching = self._touching(range_, None, _NOBODY)
            routes = StandingRoutes.of([(shift.routes, shift.shift_id) for shift in touching])
            questions = [self._asked(reading, settings, job, windows) for job, windows in asked]
            return [routes.obstacles(q.visit, q.at, q.opens, q.closes, q.ways) for q in questions]

    def _touching(self, range_: Window, own: int | None, without: _Day) -> list[_Standing]:
        """The shifts that touch a range, in order: of the technician `own` those of `without`."""
        others = [shift for on in _dates([range_]) for shift in self._days[on].touching(range_)]
        return sorted(
            without.touching(range_) + [shift for shift in others if shift.technician_no != own],
            key=lambda shift: (shift.technician_no, shift.starts_at),
        )

    def _read(self, session: Session, settings: Settings, dates: Sequence[date]) -> None:
        """Brings these days up to date."""
        stamps, catalogue = _stamps(session, self._organization_id)
        if catalogue != self._catalogue:
            self._days.clear()
            self._catalogue = catalogue
        gone = self._technician_ids.keys() - stamps.keys()
        for no in gone:
            del self._technician_ids[no]
        for day in self._days.values():
            day.forget(gone)
        known = sorted(on for on, day in self._days.items() if day.stamps)
        for on in dates:
            if on not in self._days:
                self._days[on] = _Day()
            self._days.move_to_end(on)
        for run in _runs(known):
            self._read_all(session, settings, run, self._changed(set(run) & set(dates), stamps), stamps)
        for run in _runs([on for on in dates if not self._days[on].stamps]):
            self._read_all(session, settings, run, list(stamps), stamps)
        while len(self._days) > max(MOST_DAYS, len(dates)):
            self._days.popitem(last=False)

    def _changed(self, dates: Collection[date], stamps: Mapping[int, int]) -> list[int]:
        """Whose calendars are not what they were when one of these days was read. They are read anew for all days that
        are remembered beside it, once instead of day by day."""
        days = [self._days[on] for on in dates if self._days[on].stamps != stamps]
        if not days:
            return []
        return [no for no, stamp in stamps.items() if any(day.stamps.get(no) != stamp for day in days)]

    def _read_all(
        self,
        session: Session,
        settings: Settings,
        dates: Sequence[date],
        numbers: Sequence[int],
        stamps: Mapping[int, int],
    ) -> None:
        for first in range(0, len(numbers), READ_AT_A_TIME):
            self._read_some(session, settings, dates, numbers[first : first + READ_AT_A_TIME], stamps)

    def _read_some(
        self,
        session: Session,
        settings: Settings,
        dates: Sequence[date],
        numbers: Collection[int],
        stamps: Mapping[int, int],
    ) -> None:
        reader = self._reader(session, settings, dates, numbers)
        reader.keep()
        read = reader.day()
        for technician in read.technicians.values():
            assert technician.no is not None
            self._technician_ids[technician.no] = technician.id
        for at in dates:
            self._days[at].put(read, _beginning(read, at))
            self._days[at].stamps |= {no: stamps[no] for no in numbers}

    def _reader(
        self, session: Session, settings: Settings, dates: Sequence[date], numbers: Collection[int]
    ) -> DayReader:
        range_ = (_midnight(dates[0]) - SHIFT_BEFORE, _midnight(dates[-1]) + DAY)
        return DayReader(session, settings, self._organization_id, range_, numbers, briefly=True)


_remembered: WeakKeyDictionary[Engine, OrderedDict[str, Calendars]] = WeakKeyDictionary()
_remembering = Lock()


def calendars_of(session: Session, organization_id: str) -> Calendars:
    """What this process remembers of an organization in the session's database."""
    with _remembering:
        known = _remembered.setdefault(session.get_bind().engine, OrderedDict())
        calendars = known.setdefault(organization_id, Calendars(organization_id))
        known.move_to_end(organization_id)
        while len(known) > MOST_ORGANIZATIONS:
            known.popitem(last=False)
        return calendars


@contextmanager
def _apart(session: Session) -> Iterator[Session]:
    """A session in the same transaction whose rows nobody else holds: what is read here may be older than what the
    caller reads after it has locked a calendar."""
    session.flush()
    with Session(session.connection(), join_transaction_mode="rollback_only") as apart:
        yield apart


_STAMPS = union_all(
    select(col(Technician.no), col(Technician.calendar_stamp)).where(
        Engagement.technician_no == Technician.no,
        Engagement.organization_id == bindparam("organization_id"),
        Engagement.status == EngagementStatus.ACTIVE,
    ),
    select(-func.count(), func.coalesce(func.sum(Service.version), 0)).where(
        Service.organization_id == bindparam("organization_id")
    ),
)
"""Of the calendars, and as the row of a number below one the count of the services and the sum of their versions."""


def _stamps(session: Session, organization_id: str) -> tuple[dict[int, int], tuple[int, int]]:
    """By number, of everybody whom the organization has engaged and not suspended; and of its catalogue: another
    whenever a service is, by whose buffers its visits may be moved."""
    rows = session.connection().execute(_STAMPS, {"organization_id": organization_id}).tuples().all()
    stamps = dict(rows)
    catalogue = next((no, sum_) for no, sum_ in rows if no <= 0)
    del stamps[catalogue[0]]
    return stamps, catalogue


def _dates(windows: Sequence[Window]) -> list[date]:
    """The days of UTC on which a shift begins that may hold one of the windows."""
    first = (windows[0][0] - LONGEST_DERIVED).date()
    last = max(end for _, end in windows).date()
    return [first + timedelta(days=offset) for offset in range((last - first).days + 1)]


def _runs(dates: Sequence[date]) -> list[list[date]]:
    """Days that follow on each other, together."""
    runs: list[list[date]] = []
    for on in dates:
        if runs and on - runs[-1][-1] == DAY:
            runs[-1].append(on)
        else:
            runs.append([on])
    return runs


def _midnight(at: date) -> datetime:
    return datetime(at.year, at.month, at.day, tzinfo=UTC)


def _beginning(day: WorkingDay, at: date) -> list[Shift]:
    return [shift for shift in day.problem.shifts if day.hours[shift.id].starts_at.date() == at]


def _less(plan: Plan, shift_id: str, visit_id: str) -> Plan:
    """The route of one shift, without a visit."""
    routes = [route for route in plan.routes if route.shift == shift_id]
    stops = [tuple(stop for stop in route.stops if stop.visit != visit_id) for route in routes]
    return Plan(tuple(replace(r, stops=left) for r, left in zip(routes, stops, strict=True) if left), ())


def _obstacles(shifts: Sequence[_Standing], asked: _Asked) -> Obstacles:
    together = StandingRoutes.of([(shift.routes, shift.shift_id) for shift in shifts])
    return together.obstacles(asked.visit, asked.at, asked.opens, asked.closes, asked.ways)


def _cheapest(parts: Iterable[tuple[_Day, _Asked]]) -> list[Opening]:
    """For each window that can be kept, in their order."""
    best: dict[int, Opening] = {}
    for day, asked in parts:
        for opening in day.openings(asked):
            known = best.get(opening.window)
            if known is None or opening.rank < known.rank:
                best[opening.window] = opening
    return [best[window] for window in sorted(best)]


def _best_of_each(parts: Iterable[tuple[_Day, _Asked]]) -> list[Opening]:
    """For each technician who can keep one of the windows."""
    best: dict[int, Opening] = {}
    for day, asked in parts:
        for opening in day.everywhere(asked):
            known = best.get(opening.technician_no)
            if known is None or opening.rank < known.rank:
                best[opening.technician_no] = opening
    return list(best.values())


def _likely(
    parts: Sequence[tuple[_Day, _Asked]], openings: list[Opening], likelihood: Likelihood
) -> list[Opening]:
    """Those of windows that are kept with the wanted chance: by whom it costs least, or by one of all who could."""
    if not openings:
        return []
    at, travel_s, travel_m = np.array(
        [(o.insertion.start, o.insertion.extra_travel_s, o.insertion.extra_travel_m) for o in openings]
    ).T
    people = [opening.engagement for opening in openings]
    chances = likelihood.chances(people, np.arange(len(people)), at, travel_s, travel_m)
    doubtful = [o.window for o, chance in zip(openings, chances, strict=True) if chance < likelihood.wanted]
    if not doubtful:
        return openings
    best: dict[tuple[int, int], float] = {}
    for day, asked in parts:
        for window, technician_no, chance in day.chances(asked, doubtful, likelihood):
            best[window, technician_no] = max(chance, best.get((window, technician_no), 0.0))
    chances_of = {window: [c for (of, _), c in best.items() if of == window] for window in doubtful}
    unlikely = {window for window, c in chances_of.items() if chance_of_filling(c) < likelihood.wanted}
    return [opening for opening in openings if opening.window not in unlikely]


def _kept_for_emergencies(
    parts: Sequence[tuple[_Day, _Asked]], service: Service, zone: ZoneInfo
) -> set[date]:
    """The local days on which one more visit would leave those who could make it less than the share of their hours
    that the service keeps for emergencies."""
    hours_s: dict[date, int] = {}
    left_s: dict[date, int] = {}
    for day, asked in parts:
        for begins, capacity_s, busy_s in day.routes.use(asked.visit, asked.at, asked.ways):
            on = datetime.fromtimestamp(begins, zone).date()
            hours_s[on] = hours_s.get(on, 0) + capacity_s
            left_s[on] = left_s.get(on, 0) + capacity_s - busy_s
    return {
        on
        for on, hours in hours_s.items()
        if left_s[on] - service.at_place_s < service.emergency_share * hours
    }
