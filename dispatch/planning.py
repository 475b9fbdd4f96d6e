"""The one translator between rows and the optimizer: a range of time becomes a `WorkingDay` (a Problem, the
Plan as it stands and the rows behind them), and a route that came back becomes calendar blocks and planned
appointments.

Slots, booking, candidates, offers and plan runs all get their problem here, so that they give one answer to
one question. Instants of the optimizer are seconds of the Unix epoch; a visit's begins with the buffer
before the work.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from sqlalchemy import bindparam, exists
from sqlalchemy.orm import load_only, object_session
from sqlalchemy.orm.attributes import manager_of_class
from sqlmodel import Session, SQLModel, col, func, or_, select

from dispatch.appointment import ENDED, UNDER_WAY, Appointment, Status
from dispatch.calendar import (
    BlockKind,
    CalendarBlock,
    CalendarMoved,
    blocks_between,
    claim,
    epoch,
    rewrite,
    tell_changed,
)
from dispatch.catalogue import Service
from dispatch.offer import OPEN, Offer, OfferStatus
from dispatch.offer_round import OfferRound, RoundStatus
from dispatch.organization import Organization
from dispatch.places import Place, place_of
from dispatch.service_request import ServiceRequest
from dispatch.settings import Settings
from dispatch.settling import calm_route
from dispatch.shift import WorkingTime, instant, local_day, working_times
from dispatch.technician import (
    Engagement,
    EngagementStatus,
    Technician,
    TechnicianSkill,
    stated_skills,
)
from dispatch.territory import Territory
from optimizer import (
    Break,
    Insertion,
    Pin,
    Plan,
    Problem,
    Reason,
    Route,
    Shift,
    Stop,
    TimeWindow,
    Visit,
    Weights,
)
from optimizer.travel import Geodesic
from optimizer.travel import Place as Point

PROMISED_PRIZE_CENTS = 100_000_000
"""What dropping a promised visit would cost the plan: more than any day's work, so that a promise gives way only to
what is impossible."""

NO_TIME_LEFT = Reason(
    "window", "No window of the day lies ahead and between the earliest start and the due time asked for."
)

Window = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Job:
    """A visit with the rows behind it. hold_id: the visit is only held, by the hold of that id, and `appointment`
    stands for it in no table."""

    appointment: Appointment
    request: ServiceRequest
    service: Service
    hold_id: str | None = None

    @property
    def place(self) -> Place:
        return place_of(self.request)

    def start_of(self, work_from: int) -> datetime:
        """When the work starts, for a technician who is at the place from `work_from`."""
        return datetime.fromtimestamp(work_from + self.service.buffer_before_s, UTC)

    def at_place_from(self, start: datetime) -> int:
        return epoch(start) - self.service.buffer_before_s

    def windows_at_place(self, windows: Iterable[Window]) -> tuple[TimeWindow, ...]:
        """Arrival windows as the optimizer wants them. The last second belongs to it: work may start at the end."""
        return tuple(TimeWindow(self.at_place_from(start), self.at_place_from(end)) for start, end in windows)


@dataclass(frozen=True, slots=True)
class WorkingDay:
    """technicians: by id. jobs: by visit id, which is the appointment's. blocks: by visit id, which for time taken by
    others is the block's. versions: the calendars as they were read, by technician id. places: rows of the matrix.
    hours: as they were said, by the shift's id; the shift in the problem may be longer. asked: visits that stand, about
    which an answer is awaited."""

    problem: Problem
    plan: Plan
    technicians: dict[str, Technician]
    engagements: dict[str, Engagement]
    jobs: dict[str, Job]
    blocks: dict[str, CalendarBlock]
    versions: dict[str, int]
    places: tuple[Place, ...]
    hours: dict[str, WorkingTime]
    asked: frozenset[str] = frozenset()

    @property
    def stands(self) -> dict[str, tuple[str | None, int]]:
        """Who has each visit in the calendar, by technician id, and from when; see `settling.Stands`."""
        ids = {technician.no: technician.id for technician in self.technicians.values()}
        return {
            visit_id: (ids.get(block.technician_no), block.work_from)
            for visit_id, block in self.blocks.items()
        }


def travel_provider(settings: Settings) -> Geodesic:
    """The configured source of travel times."""
    return {"geodesic": Geodesic}[settings.travel]()


# Windows


def slot_windows(service: Service, day: date, zone: ZoneInfo) -> list[Window]:
    """The arrival windows that start on a local day: every slot_step_s of wall time from midnight. A wall time that a
    change of clocks skips begins none; of one that occurs twice the first does."""
    return list(_slot_windows(service.slot_step_s, service.arrival_window_s, day, zone))


@lru_cache(maxsize=1024)
def _slot_windows(step_s: int, length_s: int, day: date, zone: ZoneInfo) -> tuple[Window, ...]:
    midnight = datetime.combine(day, time.min)
    walls = [midnight + timedelta(seconds=second) for second in range(0, 86_400, step_s)]
    starts = [(wall, instant(day, wall.time(), zone)) for wall in walls]
    return tuple(
        (start, start + timedelta(seconds=length_s))
        for wall, start in starts
        if start.astimezone(zone).replace(tzinfo=None) == wall
    )


def range_of(windows: Sequence[Window], zone: ZoneInfo) -> Window:
    """The local day on which the first of these windows starts, and what they reach into the next, their last second
    included."""
    begin, end = local_day(windows[0][0].astimezone(zone).date(), zone)
    return begin, max([end, *(window[1] + timedelta(seconds=1) for window in windows)])


def requested_windows(job: Job, windows: Iterable[Window], not_before: datetime) -> list[Window]:
    """Those that lie between `earliest_start` (and not_before) and `due`."""
    earliest = max(not_before, job.request.earliest_start or not_before)
    due = job.request.due
    return [(start, end) for start, end in windows if start >= earliest and (due is None or end <= due)]


def window_for(start: datetime, windows: Sequence[Window]) -> Window:
    """The window to promise for a planned start: of those that hold it, the one with the most room on both sides."""
    holding = [window for window in windows if window[0] <= start <= window[1]]
    return max(holding, key=lambda window: (min(start - window[0], window[1] - start), window[0]))


def window_to_promise(job: Job, zone: ZoneInfo, start: datetime) -> Window:
    """For a planned start, where no plan chose it: of the slot grid, or where that has none inside what was asked for,
    from the start on."""
    day = start.astimezone(zone).date()
    grid = requested_windows(job, slot_windows(job.service, day, zone), local_day(day, zone)[0])
    holding = [window for window in grid if window[0] <= start <= window[1]]
    if holding:
        return window_for(start, holding)
    return start, start + timedelta(seconds=job.service.arrival_window_s)


def merged(windows: Iterable[Window]) -> list[Window]:
    """Sorted and disjoint, as the optimizer wants them."""
    merged: list[Window] = []
    for start, end in sorted(windows):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


# Rows to a problem


def asked_visit(
    job: Job, windows: Iterable[Window], technician_ids: Mapping[int, str], declined: Collection[int] = ()
) -> Visit:
    """A visit for any technician who may, to start in one of the windows; its place is not said. technician_ids: by
    number, of those who are there. declined: the numbers of those who may not (`declined_by`)."""
    request, appointment = job.request, job.appointment

    def named(numbers: Iterable[int | None]) -> frozenset[str]:
        return frozenset(technician_ids[no] for no in numbers if no is not None and no in technician_ids)

    return Visit(
        id=appointment.id,
        place=0,
        service_s=job.service.at_place_s,
        windows=job.windows_at_place(windows),
        skills=job.service.required_skills,
        priority=request.priority.rank,
        prize_cents=PROMISED_PRIZE_CENTS if appointment.is_promised else None,
        preferred=named([request.preferred_technician_no]),
        excluded=named(declined),
    )


class DayReader:
    """Reads a range of time of an organization's technicians and gathers it into a `WorkingDay`.

    technician_nos: only these; by default all that the organization has engaged and not suspended. leaving_from: nobody
    who has not begun leaves earlier. briefly: of the visits that stand only what decides how they may move is read at
    once, the rest when it is looked at. lock: their calendars until the transaction ends. given_s: work by technician
    number, over which hours are to be fair; without, they are not spread. times: working times by technician number, in
    place of those that were said.
    """

    def __init__(
        self,
        session: Session,
        settings: Settings,
        organization_id: str,
        range_: Window,
        technician_nos: Collection[int] | None = None,
        leaving_from: datetime | None = None,
        *,
        briefly: bool = False,
        lock: bool = False,
        given_s: Mapping[int, int] | None = None,
        times: dict[int, list[WorkingTime]] | None = None,
    ) -> None:
        self._session, self._settings, self._organization_id = session, settings, organization_id
        self._fairness_cents = settings.fairness_cents_per_h2 if given_s is not None else 0
        self._leaving_from = epoch(leaving_from) if leaving_from is not None else 0
        self._tolerance_s = settings.start_tolerance_s
        self._people = _working_people(session, organization_id, technician_nos, lock=lock)
        self._technician_ids = {
            technician.no: technician.id for technician, _ in self._people if technician.no is not None
        }
        self._given_s = _beyond_least(given_s or {}, self._technician_ids)
        people = [technician for technician, _ in self._people]
        self._times = working_times(session, people, *range_) if times is None else times
        begin, end = _hull(self._times, range_)
        self._blocks = blocks_between(session, list(self._times), epoch(begin), epoch(end))
        self._briefly = briefly
        self._places: list[Place] = []
        self._rows: dict[tuple[float, float], int] = {}
        self._visits: dict[str, Visit] = {}
        self._jobs: dict[str, Job] = {}
        self._standing: dict[str, CalendarBlock] = {}
        self._asked: set[str] = set()

    def keep(self, except_: Iterable[str] = (), fixed_before: datetime | None = None) -> None:
        """Every visit in the calendars stays with its technician, but for these appointments; one that starts before
        `fixed_before` stays when it is, too."""
        left_out = set(except_)
        blocks = [
            block for block in self._blocks if block.appointment_id not in left_out and block.lat is not None
        ]
        ids = [block.appointment_id for block in blocks if block.appointment_id]
        jobs = jobs_by_id(self._session, ids, briefly=self._briefly)
        self._asked |= _with_open_offer(self._session, list(jobs))
        for block in blocks:
            job = jobs.get(block.appointment_id or "")
            if job is None or job.appointment.organization_id != self._organization_id:
                visit = self._fixed(block.appointment_id or block.id, block)
            else:
                is_begun = fixed_before is not None and job.start_of(block.work_from) < fixed_before
                visit = self._fixed(job.appointment.id, block) if is_begun else self._kept(job, block)
                self._jobs[visit.id] = job
            self._visits[visit.id] = visit
            self._standing[visit.id] = block

    def add(self, job: Job, windows: Iterable[Window]) -> None:
        """One more visit, for any technician who may, to start in one of the windows. Where its block
        stands in a calendar and was not kept, it is where the plan begins."""
        self.add_all([(job, windows)])

    def add_all(self, wanted: Sequence[tuple[Job, Iterable[Window]]]) -> None:
        """Each as `add` does, read together."""
        jobs = [job for job, _ in wanted]
        declined = declined_by_each(self._session, [job.appointment.id for job in jobs])
        standing = self._blocks_of([job.appointment for job in jobs])
        for job, windows in wanted:
            id_ = job.appointment.id
            visit = asked_visit(job, windows, self._technician_ids, declined[id_])
            self._visits[id_] = replace(visit, place=self._place(job.place))
            self._jobs[id_] = job
            if id_ in standing:
                self._standing[id_] = standing[id_]

    def _blocks_of(self, appointments: Sequence[Appointment]) -> dict[str, CalendarBlock]:
        """By appointment; also in the calendars of those who work for us no more."""
        planned = {each.id for each in appointments if each.technician_no is not None}
        found = {
            block.appointment_id: block
            for block in self._blocks
            if block.appointment_id is not None and block.appointment_id in planned
        }
        if missing := planned - found.keys():
            query = select(CalendarBlock).where(col(CalendarBlock.appointment_id).in_(missing))
            found |= {block.appointment_id or "": block for block in self._session.exec(query)}
        return found

    def day(self) -> WorkingDay:
        shifts, shift_of_block = self._shifts()
        points = [Point(place.lat, place.lon) for place in self._places]
        travel = travel_provider(self._settings).matrix(points)
        weights = Weights(fairness_cents_per_h2=self._fairness_cents)
        problem = Problem(tuple(self._visits.values()), tuple(shifts), travel, weights)
        return WorkingDay(
            problem=problem,
            plan=_standing_plan(problem, self._standing, shift_of_block),
            technicians={technician.id: technician for technician, _ in self._people},
            engagements={technician.id: engagement for technician, engagement in self._people},
            jobs=self._jobs,
            blocks=self._standing,
            versions={technician.id: technician.calendar_version for technician, _ in self._people},
            places=tuple(self._places),
            hours={time.id: time for own in self._times.values() for time in own},
            asked=frozenset(self._asked),
        )

    def _place(self, place: Place) -> int:
        key = (place.lat, place.lon)
        if key not in self._rows:
            self._rows[key] = len(self._places)
            self._places.append(place)
        return self._rows[key]

    def _fixed(self, visit_id: str, block: CalendarBlock) -> Visit:
        assert block.lat is not None
        assert block.lon is not None
        place = self._place(Place(block.lat, block.lon))
        return fixed_visit(visit_id, block, place, self._technician_ids[block.technician_no])

    def _kept(self, job: Job, block: CalendarBlock) -> Visit:
        fixed = self._fixed(job.appointment.id, block)
        return kept_visit(fixed, job, block, job.appointment.id in self._asked, self._tolerance_s)

    def _shifts(self) -> tuple[list[Shift], dict[str, str]]:
        """The shifts, and the shift that each block belongs to."""
        by_number: dict[int, list[CalendarBlock]] = {no: [] for no in self._times}
        for block in self._blocks:
            by_number[block.technician_no].append(block)
        stated = stated_skills(self._session, list(self._times))
        shifts: list[Shift] = []
        shift_of_block: dict[str, str] = {}
        for technician, engagement in self._people:
            assert technician.no is not None
            taken_until = 0
            for hours in self._times[technician.no]:
                inside = [
                    b for b in by_number[technician.no] if _begins_in(b, hours) and b.id not in shift_of_block
                ]
                shift_of_block |= {block.id: hours.id for block in inside}
                begins = max(epoch(hours.starts_at), self._leaving_from)
                window = _stretched(begins, epoch(hours.ends_at), inside, taken_until)
                taken_until = window.end
                shifts.append(
                    self._shift(technician, engagement, hours, window, stated[technician.no], inside)
                )
        return shifts, shift_of_block

    def _shift(
        self,
        technician: Technician,
        engagement: Engagement,
        time: WorkingTime,
        window: TimeWindow,
        stated: list[TechnicianSkill],
        inside: Sequence[CalendarBlock],
    ) -> Shift:
        home = place_of(technician)
        on = time.starts_at.astimezone(ZoneInfo(technician.time_zone)).date()
        absences = [(b.busy_from, b.busy_to) for b in inside if b.kind is BlockKind.ABSENCE]
        breaks = [
            Break(TimeWindow(epoch(b.earliest_start), epoch(b.latest_end) - b.duration_s), b.duration_s)
            for b in time.breaks
        ]
        shift = Shift(
            id=time.id,
            technician=technician.id,
            window=window,
            start_place=self._place(time.start_place or home),
            end_place=self._place(time.end_place or home),
            skills=engagement.effective_skills(stated, on),
            expired=engagement.expired_skills(stated, on),
            breaks=tuple(sorted(_ahead(breaks, window.start), key=lambda pause: pause.window)),
            radius_m=technician.max_travel_m,
            cents_per_h=engagement.pay_per_hour_cents or 0,
            cents_per_km=engagement.pay_per_km_cents or 0,
            cents_per_visit=engagement.pay_per_visit_cents or 0,
            given_s=self._given_s.get(technician.no or 0, 0),
        )
        return with_absences(shift, absences)


def fixed_visit(visit_id: str, block: CalendarBlock, place: int, technician_id: str) -> Visit:
    """Time that is taken and not ours to move."""
    return Visit(
        id=visit_id,
        place=place,
        service_s=block.busy_to - block.work_from,
        windows=(TimeWindow(block.work_from, block.work_from),),
        pin=Pin(technician_id, block.work_from),
    )


def kept_visit(fixed: Visit, job: Job, block: CalendarBlock, is_asked: bool, tolerance_s: int) -> Visit:
    """A visit of ours that keeps its technician; it may move in time unless a person fixed that or it is under way.
    fixed: the same as `fixed_visit`. is_asked: whether an answer of its technician is awaited."""
    appointment = job.appointment
    is_agreed = is_asked or appointment.status is Status.DISPATCHED
    if appointment.pinned_time or appointment.status in (*UNDER_WAY, *ENDED):
        return fixed
    assert fixed.pin is not None
    window = _room(job, block.work_from, is_agreed, tolerance_s)
    return replace(fixed, windows=(window,), pin=Pin(fixed.pin.technician))


def _room(job: Job, work_from: int, is_agreed: bool, tolerance_s: int) -> TimeWindow:
    """Where the start may move: inside the promise, and within the tolerance of what was agreed with somebody or
    pinned by a person. Where it stands now always belongs to it."""
    appointment = job.appointment
    begin = end = work_from
    if appointment.window_start is not None and appointment.window_end is not None:
        begin, end = job.at_place_from(appointment.window_start), job.at_place_from(appointment.window_end)
    if is_agreed or appointment.pinned or not appointment.is_promised:
        agreed_at = job.at_place_from(appointment.agreed_start) if appointment.agreed_start else work_from
        nearest, latest = agreed_at - tolerance_s, agreed_at + tolerance_s
        begin = max(begin, nearest) if appointment.is_promised else nearest
        end = min(end, latest) if appointment.is_promised else latest
    return TimeWindow(min(begin, work_from), max(end, work_from))


def narrowed(
    settings: Settings,
    read: WorkingDay,
    shift_id: str,
    technician: Technician,
    job: Job,
    windows: Iterable[Window],
) -> WorkingDay:
    """One shift of what was read, and one more visit that stands nowhere, to start in one of the windows. technician:
    who may make it and whose shift it is, as locked; nothing of its calendar has changed since it was read."""
    shift = next(shift for shift in read.problem.shifts if shift.id == shift_id)
    routes = tuple(route for route in read.plan.routes if route.shift == shift_id)
    routed = [stop.visit for route in routes for stop in route.stops]
    visit_of = {visit.id: visit for visit in read.problem.visits}
    places: list[Place] = []

    def placed(place: Place) -> int:
        places.append(place)
        return len(places) - 1

    asked = asked_visit(job, windows, {technician.no or 0: technician.id})
    asked = replace(asked, place=placed(job.place))
    visits = [replace(visit_of[id_], place=placed(read.places[visit_of[id_].place])) for id_ in routed]
    begin, end = (
        None if place is None else placed(read.places[place])
        for place in (shift.start_place, shift.end_place)
    )
    travel = travel_provider(settings).matrix([Point(place.lat, place.lon) for place in places])
    return WorkingDay(
        problem=Problem((*visits, asked), (replace(shift, start_place=begin, end_place=end),), travel),
        plan=Plan(routes, ()),
        technicians={technician.id: technician},
        engagements={technician.id: read.engagements[technician.id]},
        jobs={id_: read.jobs[id_] for id_ in routed if id_ in read.jobs} | {asked.id: job},
        blocks={id_: read.blocks[id_] for id_ in routed},
        versions={technician.id: technician.calendar_version},
        places=tuple(places),
        hours={shift_id: read.hours[shift_id]},
        asked=read.asked,
    )


def with_written(
    settings: Settings, day: WorkingDay, plan: Plan, promised: Job, retimed: Sequence[Job]
) -> WorkingDay:
    """What a `narrowed` day is read as after `plan` was written, with the visit that was promised and those that start
    at another time for it: with rows of nobody's session."""
    (technician_id,) = day.technicians
    blocks = {visit_id: apart(day.blocks[visit_id]) for visit_id in _stops(plan, {technician_id})}
    jobs = {
        job.appointment.id: Job(apart(job.appointment), apart(job.request), apart(job.service))
        for job in (promised, *retimed)
    }
    place_of_visit = {visit.id: visit.place for visit in day.problem.visits}

    def kept(id_: str) -> Visit:
        fixed = fixed_visit(id_, blocks[id_], place_of_visit[id_], technician_id)
        return kept_visit(fixed, jobs[id_], blocks[id_], id_ in day.asked, settings.start_tolerance_s)

    visits = tuple(kept(visit.id) if visit.id in jobs else visit for visit in day.problem.visits)
    return replace(
        day,
        problem=replace(day.problem, visits=visits),
        plan=plan,
        technicians={technician_id: apart(day.technicians[technician_id])},
        jobs=day.jobs | jobs,
        blocks=blocks,
    )


Row = TypeVar("Row", bound=SQLModel)


def apart(row: Row) -> Row:
    """The row as no session knows it: a copy of what is loaded, made as a query makes it, where one does."""
    if object_session(row) is None:
        return row
    copy: Row = manager_of_class(type(row)).new_instance()
    copy.__dict__.update({name: value for name, value in row.__dict__.items() if not name.startswith("_sa_")})
    return copy


def load_standing(
    session: Session,
    settings: Settings,
    organization_id: str,
    range_: Window,
    *,
    asking: Job | None = None,
    windows: Iterable[Window] = (),
    technician_nos: Collection[int] | None = None,
    lock: bool = False,
    times: dict[int, list[WorkingTime]] | None = None,
) -> WorkingDay:
    """The calendars of a range with everything kept: visits stay with their technician and order and may move in time
    inside what was promised and agreed. `asking` is one more visit, to be tried in `windows`; where it stands in a
    calendar already, it counts as removed. lock: the calendars until the transaction ends. times: see `DayReader`."""
    reader = DayReader(
        session, settings, organization_id, range_, technician_nos, briefly=True, lock=lock, times=times
    )
    reader.keep(except_=[asking.appointment.id] if asking else [])
    if asking is not None:
        reader.add(asking, merged(windows))
    return reader.day()


def load_for_plan(
    session: Session,
    settings: Settings,
    territory: Territory,
    day: date,
    now: datetime,
    freeze_before: datetime | None,
) -> tuple[WorkingDay, list[Job]]:
    """A territory's day to be planned anew: what is scheduled and agreed with nobody may change technician, what is
    unassigned joins unless several are asked about it now, all else is kept. Nothing begins before `now`, nothing that
    begins before `freeze_before` moves. Hours are spread over those who were given fewer in the `fairness_days` before.
    The jobs apart are those that may start at no time of that day."""
    zone = ZoneInfo(territory.time_zone)
    range_ = local_day(day, zone)
    frozen = max(now, freeze_before or now)
    waiting = jobs_to_plan(session, territory, range_)
    asked = _with_open_offer(session, [job.appointment.id for job in waiting])
    jobs = [
        job
        for job in waiting
        if job.appointment.id not in asked
        and (job.appointment.scheduled_start is None or job.appointment.scheduled_start >= frozen)
    ]
    period = range_[0] - timedelta(days=settings.fairness_days), range_[0]
    given_s = work_given_s(session, territory.organization_id, period)
    reader = DayReader(
        session, settings, territory.organization_id, range_, leaving_from=now, given_s=given_s
    )
    reader.keep(except_=[job.appointment.id for job in jobs], fixed_before=frozen)
    plannable = [(job, merged(plannable_windows(job, day, zone, now))) for job in jobs]
    reader.add_all([(job, windows) for job, windows in plannable if windows])
    return reader.day(), [job for job, windows in plannable if not windows]


def work_given_s(session: Session, organization_id: str, period: Window) -> dict[int, int]:
    """Seconds of service and of travel to it that the organization planned with each technician in a period, by number,
    for visits that stand or were done. What somebody was offered, declined or did for others is not in it."""
    query = (
        select(
            Appointment.technician_no, func.sum(Service.duration_s + func.coalesce(Appointment.travel_s, 0))
        )
        .where(Appointment.service_request_id == ServiceRequest.id, ServiceRequest.service_id == Service.id)
        .where(Appointment.organization_id == organization_id, Appointment.status != Status.CANCELLED)
        .where(col(Appointment.scheduled_start) >= period[0], col(Appointment.scheduled_start) < period[1])
        .group_by(col(Appointment.technician_no))
    )
    longest_s = int((period[1] - period[0]).total_seconds())
    return {no: min(int(given_s), longest_s) for no, given_s in session.exec(query) if no is not None}


def _beyond_least(given_s: Mapping[int, int], numbers: Iterable[int]) -> dict[int, int]:
    """How much more each was given than whoever was given least: what is the same for all only makes travel dearer."""
    all_s = {no: given_s.get(no, 0) for no in numbers}
    least_s = min(all_s.values(), default=0)
    return {no: own_s - least_s for no, own_s in all_s.items()}


def plannable_windows(job: Job, day: date, zone: ZoneInfo, now: datetime) -> list[Window]:
    """The windows that a plan for a day may use: the promised one as far as it lies ahead, else those of
    the slot grid that lie ahead and inside what was asked for."""
    appointment = job.appointment
    if appointment.window_start is None or appointment.window_end is None:
        return requested_windows(job, slot_windows(job.service, day, zone), now)
    begin = max(appointment.window_start, now)
    return [(begin, appointment.window_end)] if begin <= appointment.window_end else []


def jobs_to_plan(
    session: Session, territory: Territory, range_: Window, *, waiting: bool = False
) -> list[Job]:
    """Visits of a territory that a plan for the range may place or move: unassigned ones that may start in it, and
    scheduled ones in it that no person has pinned and nobody is being asked about. waiting: the unassigned alone."""
    offered = select(Offer.appointment_id).where(col(Offer.status).in_(OPEN))
    may_join = col(Appointment.status) == Status.UNASSIGNED
    may_move = (
        (col(Appointment.status) == Status.SCHEDULED)
        & col(Appointment.pinned).is_(False)
        & col(Appointment.scheduled_start).between(*range_)
        & col(Appointment.id).not_in(offered)
    )
    starts_in_time = or_(
        col(ServiceRequest.earliest_start).is_(None), col(ServiceRequest.earliest_start) < range_[1]
    )
    is_not_past = or_(col(ServiceRequest.due).is_(None), col(ServiceRequest.due) > range_[0])
    asked_for = col(Appointment.window_start).is_(None) & starts_in_time & is_not_past
    promised = (col(Appointment.window_start) < range_[1]) & (col(Appointment.window_end) > range_[0])
    query = (
        select(Appointment, ServiceRequest, Service)
        .where(Appointment.service_request_id == ServiceRequest.id, ServiceRequest.service_id == Service.id)
        .where(Appointment.territory_id == territory.id, or_(asked_for, promised))
        .where(may_join if waiting else or_(may_join, may_move))
        .order_by(col(ServiceRequest.created_at), col(Appointment.id))
    )
    return [Job(*rows) for rows in session.exec(query)]


_BRIEF_OF_APPOINTMENT = (
    "organization_id", "service_request_id", "status", "window_start", "window_end", "scheduled_start", "agreed_start",
    "technician_no", "travel_s", "travel_m", "pinned", "pinned_time", "version",
)  # fmt: skip


def jobs_by_id(session: Session, appointment_ids: Sequence[str], *, briefly: bool = False) -> dict[str, Job]:
    """By appointment id. briefly: see `DayReader`."""
    query = (
        select(Appointment, ServiceRequest, Service)
        .where(Appointment.service_request_id == ServiceRequest.id, ServiceRequest.service_id == Service.id)
        .where(col(Appointment.id).in_(appointment_ids))
    )
    if briefly:
        of_appointment = [getattr(Appointment, name) for name in _BRIEF_OF_APPOINTMENT]
        of_request: Any = ServiceRequest.service_id
        query = query.options(load_only(*of_appointment), load_only(of_request))
    return {rows[0].id: Job(*rows) for rows in session.exec(query)}


def job_of(session: Session, appointment: Appointment) -> Job:
    request = session.get_one(ServiceRequest, appointment.service_request_id)
    return Job(appointment, request, session.get_one(Service, request.service_id))


_ZONE_ALONE: Any = (Territory.organization_id, Territory.time_zone)
_ASKED = (
    select(ServiceRequest, Appointment, Service, Territory, Organization)  # type: ignore[call-overload]  # four at most
    .where(ServiceRequest.id == bindparam("request_id"), Appointment.service_request_id == ServiceRequest.id)
    .where(Service.id == ServiceRequest.service_id, Territory.id == ServiceRequest.territory_id)
    .where(Organization.id == ServiceRequest.organization_id)
    .options(load_only(*_ZONE_ALONE))
)
"""Made once: every question asks it."""


def asked_job(session: Session, request_id: str) -> Job | None:
    """The visit of a request, in one query with its territory and organization; who gets these rows from the session
    later finds them there."""
    found = session.exec(_ASKED, params={"request_id": request_id}).first()
    if found is None:
        return None
    request, appointment, service, _, _ = found
    return Job(appointment, request, service)


def _working_people(
    session: Session, organization_id: str, technician_nos: Collection[int] | None, *, lock: bool = False
) -> list[tuple[Technician, Engagement]]:
    query = (
        select(Technician, Engagement)
        .where(Engagement.technician_no == Technician.no, Engagement.organization_id == organization_id)
        .where(Engagement.status == EngagementStatus.ACTIVE)
        .order_by(col(Technician.no))
    )
    if technician_nos is not None:
        query = query.where(col(Technician.no).in_(technician_nos))
    if lock:
        query = query.with_for_update(of=Technician).execution_options(populate_existing=True)
    return list(session.exec(query))


def able_technicians(session: Session, job: Job) -> list[str]:
    """The ids of those whose verified skills would do for the visit."""
    query = (
        select(Technician.id, Engagement.verified_skills)
        .where(Engagement.technician_no == Technician.no, Engagement.status == EngagementStatus.ACTIVE)
        .where(Engagement.organization_id == job.appointment.organization_id)
        .order_by(col(Technician.no))
    )
    required = job.service.required_skills.items()
    return [
        technician_id
        for technician_id, verified in session.exec(query)
        if all(verified.get(skill, 0) >= level for skill, level in required)
    ]


def _hull(times: dict[int, list[WorkingTime]], range_: Window) -> Window:
    every = [time for own in times.values() for time in own]
    return (
        min([range_[0], *(time.starts_at for time in every)]),
        max([range_[1], *(time.ends_at for time in every)]),
    )


def _with_open_offer(session: Session, appointment_ids: Sequence[str]) -> set[str]:
    query = select(Offer.appointment_id).where(
        col(Offer.appointment_id).in_(appointment_ids), col(Offer.status).in_(OPEN)
    )
    return set(session.exec(query))


_ASKED_FOR_MORE = exists().where(
    col(OfferRound.appointment_id) == Offer.appointment_id,
    col(OfferRound.status) == RoundStatus.RUNNING,
    col(OfferRound.pay_cents) > Offer.pay_cents,
)
_DECLINED = select(Offer.appointment_id, Offer.technician_no).where(
    col(Offer.appointment_id).in_(bindparam("ids", expanding=True)),
    Offer.status == OfferStatus.DECLINED,
    ~_ASKED_FOR_MORE,
)


def declined_by(session: Session, appointment_id: str) -> set[int]:
    """Who said no to a visit is not put down for that visit again, unless asked anew for more; it changes nothing for
    any other."""
    return declined_by_each(session, [appointment_id])[appointment_id]


def declined_by_each(session: Session, appointment_ids: Sequence[str]) -> dict[str, set[int]]:
    """`declined_by` of several visits in one query."""
    found: dict[str, set[int]] = {id_: set() for id_ in appointment_ids}
    for id_, no in session.exec(_DECLINED, params={"ids": list(appointment_ids)}):
        found[id_].add(no)
    return found


def _begins_in(block: CalendarBlock, time: WorkingTime) -> bool:
    return block.busy_from < epoch(time.ends_at) and block.busy_to > epoch(time.starts_at)


def _ahead(breaks: Iterable[Break], begin: int) -> list[Break]:
    """Breaks that can still be taken by who begins then."""
    return [pause for pause in breaks if pause.window.end >= begin]


def with_absences(shift: Shift, absences: Iterable[tuple[int, int]]) -> Shift:
    """The shift with these absences, each from when until when. One that lasts until the shift ends ends it, wherever
    the technician then is. A break that can be taken neither before nor after an absence is taken in it."""
    away = sorted(absences)
    end, end_place = shift.window.end, shift.end_place
    while away and away[-1][1] >= end:
        end, end_place = max(shift.window.start, away.pop()[0]), None

    def is_apart(pause: Break) -> bool:
        before_end = end == shift.window.end or pause.window.start + pause.duration_s <= end
        return before_end and all(
            pause.window.start + pause.duration_s <= begin or pause.window.end >= until
            for begin, until in away
        )

    fixed = [Break(TimeWindow(begin, begin), until - begin) for begin, until in away]
    breaks = sorted([*filter(is_apart, shift.breaks), *fixed], key=lambda pause: pause.window)
    return replace(
        shift, window=TimeWindow(shift.window.start, end), end_place=end_place, breaks=tuple(breaks)
    )


def _stretched(begins: int, ends: int, inside: Sequence[CalendarBlock], taken_until: int) -> TimeWindow:
    """The shift, made longer where a person forced work before or after it, but not into the shift before."""
    begin = max(taken_until, min([begins, *(block.busy_from for block in inside)]))
    return TimeWindow(begin, max([begin, ends, *(block.busy_to for block in inside)]))


def _standing_plan(
    problem: Problem, standing: dict[str, CalendarBlock], shift_of_block: dict[str, str]
) -> Plan:
    """The plan that the calendars hold, as routes in order of time. Blocks outside every shift are in no route."""
    order: dict[str, list[str]] = {}
    for visit_id, block in sorted(standing.items(), key=lambda item: item[1].work_from):
        if block.id in shift_of_block:
            order.setdefault(shift_of_block[block.id], []).append(visit_id)
    place = {visit.id: visit.place for visit in problem.visits}
    routes = []
    for shift in problem.shifts:
        stops = []
        at = shift.start_place
        for visit_id in order.get(shift.id, []):
            block = standing[visit_id]
            travel_s, travel_m = _leg(problem, at, place[visit_id])
            stops.append(Stop(visit_id, block.work_from, block.work_from, block.busy_to, travel_s, travel_m))
            at = place[visit_id]
        if stops:
            routes.append(_route(problem, shift, stops, at))
    return Plan(routes=tuple(routes), unserved=())


def _leg(problem: Problem, origin: int | None, destination: int | None) -> tuple[int, int]:
    if origin is None or destination is None:
        return 0, 0
    travel = problem.travel
    return int(travel.duration_s[origin, destination]), int(travel.distance_m[origin, destination])


def _route(problem: Problem, shift: Shift, stops: Sequence[Stop], last_place: int | None) -> Route:
    home_s, home_m = _leg(problem, last_place, shift.end_place)
    return Route(
        shift=shift.id,
        technician=shift.technician,
        stops=tuple(stops),
        departs_at=stops[0].start - stops[0].travel_s,
        returns_at=stops[-1].end + home_s,
        travel_s=sum(stop.travel_s for stop in stops) + home_s,
        travel_m=sum(stop.travel_m for stop in stops) + home_m,
    )


# A plan to rows


def settled(
    day: WorkingDay,
    shift_id: str,
    visit_ids: Sequence[str],
    asked: Mapping[str, Sequence[TimeWindow]] | None = None,
) -> Route:
    """The times of a sequence of visits in a shift that move as little as may be, see `settling.calm_route`. asked:
    other windows for some visits. Raises `Infeasible`."""
    return calm_route(day.problem, day.stands, shift_id, visit_ids, asked)


def with_visit(
    day: WorkingDay, visit_id: str, insertion: Insertion, windows: Sequence[TimeWindow]
) -> tuple[Plan, set[str]]:
    """The standing plan with a visit put where `insertion` says, to start in one of the windows, and taken
    out of where it stood; and whose calendars that touches. Raises `Infeasible`."""
    plan, touched = without_visit(day, visit_id)
    standing = next((route for route in plan.routes if route.shift == insertion.shift), None)
    sequence = [stop.visit for stop in standing.stops] if standing else []
    sequence.insert(insertion.position, visit_id)
    route = settled(day, insertion.shift, sequence, {visit_id: windows})
    return _with_route(plan, insertion.shift, route), touched | {insertion.technician}


def is_routed(day: WorkingDay, visit_id: str) -> bool:
    """Whether the visit stands in a shift of this day; else it stands on another, with somebody else, or nowhere."""
    return any(stop.visit == visit_id for route in day.plan.routes for stop in route.stops)


def without_visit(day: WorkingDay, visit_id: str) -> tuple[Plan, set[str]]:
    """The standing plan without a visit, and whose calendars that touches. Raises `Infeasible`."""
    route = next(
        (route for route in day.plan.routes if any(stop.visit == visit_id for stop in route.stops)), None
    )
    if route is None:
        return day.plan, set()
    left = [stop.visit for stop in route.stops if stop.visit != visit_id]
    shorter = settled(day, route.shift, left) if left else None
    return _with_route(day.plan, route.shift, shorter), {route.technician}


def _with_route(plan: Plan, shift_id: str, route: Route | None) -> Plan:
    others = [other for other in plan.routes if other.shift != shift_id]
    return replace(plan, routes=(*others, route) if route is not None else tuple(others))


def write_plan(session: Session, day: WorkingDay, plan: Plan, touched: Iterable[str]) -> list[Appointment]:
    """Makes the calendars of the technicians `touched` what the plan has for them over this day, which has the blocks
    that were written, afterwards.

    Their calendars are claimed first: raises `CalendarMoved` if one, or a visit in it, changed since it was read.
    Visits that the plan serves are planned anew and given back if their technician or time changed; what it leaves out
    loses its block and is the caller's to unplan.
    """
    touched_ids = set(touched)
    for technician_id in sorted(touched_ids):
        claim(session, day.technicians[technician_id], day.versions[technician_id])
    before = _stops(day.plan, touched_ids)
    after = _stops(plan, touched_ids)
    _require_unchanged(session, day, before.keys() | after.keys())
    new = {
        visit_id: _block(day, technician_id, stop)
        for visit_id, (technician_id, stop) in after.items()
        if not _is_where(day, technician_id, stop)
    }
    leaving = (before.keys() | after.keys()) & day.blocks.keys() - (after.keys() - new.keys())
    left_behind = {day.blocks[visit_id].technician_no for visit_id in leaving}
    tell_changed(session, left_behind - {day.technicians[id_].no for id_ in touched_ids})
    rewrite(session, [day.blocks[visit_id] for visit_id in sorted(leaving)], new.values())
    day.blocks.update(new)
    planned = [
        (day.jobs[visit_id], day.technicians[technician_id], stop)
        for visit_id, (technician_id, stop) in after.items()
        if visit_id in day.jobs and _differs(day.jobs[visit_id], day.technicians[technician_id], stop)
    ]
    here = _here(session, [job for job, _, _ in planned])
    changed = [
        job.appointment
        for job, (_, technician, stop) in zip(here, planned, strict=True)
        if _replan(job, technician, stop)
    ]
    session.add_all(changed)
    session.flush()
    return changed


_VERSIONS = (
    select(Appointment.id, Appointment.version)
    .where(col(Appointment.id).in_(bindparam("ids", expanding=True)))
    .order_by(col(Appointment.id))
    .with_for_update()
)


def _require_unchanged(session: Session, day: WorkingDay, visit_ids: Iterable[str]) -> None:
    """Locks our visits among these. Raises `CalendarMoved` where one is not as it was read: progress, a pin or an
    answer leaves the calendar as it is, and yet decides what may be moved."""
    read = {
        job.appointment.id: job.appointment
        for job in (day.jobs[visit_id] for visit_id in visit_ids if visit_id in day.jobs)
        if job.hold_id is None
    }
    session.flush()
    stored = session.connection().execute(_VERSIONS, {"ids": list(read)}).tuples().all()
    if any(read[appointment_id].version != version for appointment_id, version in stored):
        raise CalendarMoved


def _stops(plan: Plan, technician_ids: set[str]) -> dict[str, tuple[str, Stop]]:
    return {
        stop.visit: (route.technician, stop)
        for route in plan.routes
        if route.technician in technician_ids
        for stop in route.stops
    }


def _block(day: WorkingDay, technician_id: str, stop: Stop) -> CalendarBlock:
    technician = day.technicians[technician_id]
    assert technician.no is not None
    standing = day.blocks.get(stop.visit)
    if standing is None:
        job = day.jobs[stop.visit]
        block = CalendarBlock(
            technician_no=technician.no,
            organization_id=job.appointment.organization_id,
            kind=BlockKind.VISIT if job.hold_id is None else BlockKind.HOLD,
            busy_from=0,
            work_from=0,
            busy_to=0,
            lat=job.place.lat,
            lon=job.place.lon,
            appointment_id=job.appointment.id if job.hold_id is None else None,
            hold_id=job.hold_id,
        )
    else:
        block = CalendarBlock(**standing.model_dump())
    block.technician_no = technician.no
    block.busy_from, block.work_from, block.busy_to = _busy_range(day, technician_id, stop)
    return block


def _busy_range(day: WorkingDay, technician_id: str, stop: Stop) -> tuple[int, int, int]:
    """From when, with the way there, from when at the place and until when. Who is absent between arrival and work is
    busy with the visit once it is back."""
    fixed = [
        pause.window.start + pause.duration_s
        for shift in day.problem.shifts
        if shift.technician == technician_id
        for pause in shift.breaks
        if pause.window.start == pause.window.end
    ]
    leaves = max([stop.start - stop.travel_s, *(back for back in fixed if back <= stop.start)])
    return leaves, stop.start, stop.end


def _is_where(day: WorkingDay, technician_id: str, stop: Stop) -> bool:
    """Whether the calendar has the stop already."""
    block, technician_no = day.blocks.get(stop.visit), day.technicians[technician_id].no
    stands = block and (block.technician_no, block.busy_from, block.work_from, block.busy_to)
    return stands == (technician_no, *_busy_range(day, technician_id, stop))


def _here(session: Session, jobs: Sequence[Job]) -> list[Job]:
    """The jobs with their appointments as the session has them."""
    elsewhere = [job.appointment.id for job in jobs if job.hold_id is None and job.appointment not in session]
    if not elsewhere:
        return list(jobs)
    query = select(Appointment).where(col(Appointment.id).in_(elsewhere))
    found = {appointment.id: appointment for appointment in session.exec(query)}
    return [replace(job, appointment=found.get(job.appointment.id, job.appointment)) for job in jobs]


def _differs(job: Job, technician: Technician, stop: Stop) -> bool:
    """Whether the stop is not as the visit has it."""
    appointment = job.appointment
    has = (appointment.technician_no, appointment.scheduled_start, appointment.travel_s, appointment.travel_m)
    return has != (technician.no, job.start_of(stop.start), stop.travel_s, stop.travel_m)


def _replan(job: Job, technician: Technician, stop: Stop) -> bool:
    """Whether anything changed for the visit."""
    if job.hold_id is not None:
        return False
    appointment, start = job.appointment, job.start_of(stop.start)
    assert technician.no is not None
    if (appointment.technician_no, appointment.scheduled_start) == (technician.no, start):
        appointment.travel_s, appointment.travel_m = stop.travel_s, stop.travel_m
        return False
    end = start + timedelta(seconds=job.service.duration_s)
    appointment.plan(technician.no, start, end, stop.travel_s, stop.travel_m)
    return True


def reason_fields(reason: Reason) -> dict[str, Any]:
    """A reason as it is told everywhere."""
    fields: dict[str, Any] = {"code": reason.code, "detail": reason.detail}
    if reason.technicians:
        fields["technicians"] = list(reason.technicians)
    if reason.by is not None:
        fields["by"] = reason.by
    return fields
