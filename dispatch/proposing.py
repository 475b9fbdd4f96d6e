"""What would come of giving a visit to a technician whom a person names: where in its day it would stand, what that
breaks, whose visits give way, and what all of it costs. Nothing is written here.

A visit that fits is placed by the insertion engine of slots, offers and plans, and nothing is broken. One that does not
is placed against the rules (`forced_day`): skills, radius, hours, breaks and its own window yield; visits that are in
the way give way, as few as will do, each to another time of its own promise in the same day or to nobody; what is not
ours to move yields to nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlmodel import Session

from dispatch.appointment import Appointment
from dispatch.asking import window_of
from dispatch.booking import promised_window
from dispatch.calendar import CalendarBlock
from dispatch.errors import SlotTaken
from dispatch.forced_day import force_into, less, longer_hours
from dispatch.placing import ahead_of, take_out
from dispatch.planning import (
    Job,
    Window,
    WorkingDay,
    is_routed,
    load_standing,
    range_of,
    requested_windows,
    slot_windows,
    window_for,
    with_visit,
)
from dispatch.pricing import NO_CHANGE, Change, change_between
from dispatch.settings import Settings
from dispatch.shift import WorkingTime, local_day, working_times
from dispatch.standing import SHIFT_BEFORE
from dispatch.technician import Engagement, EngagementStatus, Technician
from dispatch.territory import Territory
from dispatch.violations import (
    Violation,
    broken_hours,
    broken_rules,
    given_way,
    immovable,
    off_request,
    off_window,
    route_with,
    too_late,
)
from optimizer import Insertion, Plan, Reason, Stop, TimeWindow, recommend


@dataclass(frozen=True, slots=True)
class Wish:
    """Whom a person wants for a visit. start: of the work; by default the cheapest in the window. window: to promise
    instead of what is promised. force: whether rules may be broken. by_phone: the technician has said yes already."""

    technician: Technician
    engagement: Engagement
    start: datetime | None = None
    window: Window | None = None
    force: bool = False
    by_phone: bool = False


@dataclass(frozen=True, slots=True)
class Moved:
    """Another visit of the same technician that the change touches. before: when its work was to start. start: when it
    is to start, None where it has nobody any more."""

    appointment: Appointment
    before: datetime
    start: datetime | None = None

    @property
    def lost_technician(self) -> bool:
        return self.start is None

    @property
    def breaks_promise(self) -> bool:
        """Whether what was promised will not be kept as things are planned then."""
        appointment = self.appointment
        return appointment.is_promised and (
            self.start is None or not is_in(self.start, promised_window(appointment))
        )


@dataclass(frozen=True, slots=True)
class Proposal:
    """What would come of a wish. window: promised afterwards, None where nothing is. day: the technician's, as it was
    read; plan: as it would be; both None where it cannot be. change: of all calendars that are touched, against how
    they stand now, with the visit where it stands or unassigned: travel and money are less than nothing where the plan
    gets cheaper, and rounded beside another organization's visit. That a visit is made at all has no price in it: those
    that lose their technician are listed."""

    job: Job
    wish: Wish
    violations: tuple[Violation, ...]
    window: Window | None = None
    day: WorkingDay | None = None
    plan: Plan | None = None
    moved: tuple[Moved, ...] = ()
    change: Change = NO_CHANGE

    @property
    def is_allowed(self) -> bool:
        """Whether it can be and may be, forced as it is or not."""
        yields = self.wish.force and all(violation.yields for violation in self.violations)
        return self.plan is not None and (yields or not self.violations)

    @property
    def stop(self) -> Stop | None:
        return None if self.plan is None else _stop(self.plan, self.job.appointment.id)

    @property
    def start(self) -> datetime | None:
        return None if self.stop is None else self.job.start_of(self.stop.start)

    def broken(self) -> list[tuple[Appointment, Window]]:
        """Visits whose promise will not be kept as things are planned then, and what was promised."""
        own = []
        if self.start is not None and self.window is not None and not is_in(self.start, self.window):
            own = [(self.job.appointment, self.window)]
        others = [moved.appointment for moved in self.moved if moved.breaks_promise]
        return own + [(appointment, promised_window(appointment)) for appointment in others]


def propose(
    session: Session, settings: Settings, job: Job, wish: Wish, now: datetime, *, really: bool = False
) -> Proposal:
    """really: it will be done if it is allowed. The calendar is locked until the transaction ends, and the visit is
    taken out of another's."""
    if wish.engagement.status is not EngagementStatus.ACTIVE:
        return Proposal(job, wish, (NOT_ENGAGED,))
    question = _Question(session, settings, job, wish, now, really)
    own = question.violations()
    if question.wanted is None or any(not violation.yields for violation in own):
        return Proposal(job, wish, own, question.promise)
    elsewhere, day = question.read_apart()
    found = recommend(day.problem, day.plan, job.appointment.id, question.at_place)
    if found.insertions:
        plan = _fitted(day, job, found.insertions[0], question.at_place)
        return _proposal(question, day, plan, own, elsewhere)
    return _against_the_rules(question, day, own, found.reasons, elsewhere)


NOT_ENGAGED = Violation(Reason("suspended", "does not work for the organization at present"), yields=False)


def is_in(at: datetime, window: Window) -> bool:
    """Both ends belong to it."""
    return window[0] <= at <= window[1]


def _stop(plan: Plan, visit_id: str) -> Stop:
    return next(stop for route in plan.routes for stop in route.stops if stop.visit == visit_id)


@dataclass(frozen=True, slots=True)
class _Question:
    """A wish, and when it may be met."""

    session: Session
    settings: Settings
    job: Job
    wish: Wish
    now: datetime
    really: bool

    @property
    def technician_no(self) -> int:
        assert self.wish.technician.no is not None
        return self.wish.technician.no

    @property
    def zone(self) -> ZoneInfo:
        territory = self.session.get_one(Territory, self.job.appointment.territory_id)
        return ZoneInfo(territory.time_zone)

    @property
    def promise(self) -> Window | None:
        """What is promised once the wish is met; None where that follows from the start."""
        appointment = self.job.appointment
        return self.wish.window or (promised_window(appointment) if appointment.is_promised else None)

    @property
    def wanted(self) -> Window | None:
        """When the work may start; None where that is over."""
        if self.wish.start is not None:
            return self.wish.start, self.wish.start
        try:
            return ahead_of(self.wish.window or window_of(self.session, self.job), self.now)
        except SlotTaken:
            return None

    @property
    def at_place(self) -> tuple[TimeWindow, ...]:
        assert self.wanted is not None
        return self.job.windows_at_place([self.wanted])

    @property
    def range_(self) -> Window:
        assert self.wanted is not None
        begin, end = range_of([self.wanted], self.zone)
        return begin - SHIFT_BEFORE, end

    def violations(self) -> tuple[Violation, ...]:
        """Those that the wish has in itself."""
        start, window = self.wish.start, self.wish.window
        found = list(off_request(self.job, window)) if window is not None else []
        if start is not None:
            found += off_window(self.job, start, self.promise)
        last = start or (window or window_of(self.session, self.job))[1]
        return tuple([*found, too_late(self.now, last)] if last < self.now else found)

    def read(self, times: list[WorkingTime] | None = None) -> WorkingDay:
        assert self.wanted is not None
        return load_standing(
            self.session,
            self.settings,
            self.job.appointment.organization_id,
            self.range_,
            asking=self.job,
            windows=[self.wanted],
            technician_nos=[self.technician_no],
            lock=self.really,
            times=None if times is None else {self.technician_no: times},
        )

    def read_apart(self) -> tuple[Change, WorkingDay]:
        """What it means to take the visit out of where else it stands, and the technician's day."""
        day, id_ = self.read(), self.job.appointment.id
        block = day.blocks.get(id_)
        if block is None or is_routed(day, id_):
            return NO_CHANGE, day
        change = self._without(block)
        if self.really:
            take_out(self.session, self.settings, self.job.appointment.organization_id, block)
            day = self.read()
        return change, day

    def _without(self, block: CalendarBlock) -> Change:
        range_ = (datetime.fromtimestamp(block.work_from, UTC), datetime.fromtimestamp(block.busy_to, UTC))
        organization_id = self.job.appointment.organization_id
        day = load_standing(
            self.session, self.settings, organization_id, range_, technician_nos=[block.technician_no]
        )
        left = less(day.plan, {self.job.appointment.id})
        return change_between(day.problem, day.plan, left, _foreign(day, organization_id))

    def longer(self, *, breaks: bool) -> list[WorkingTime]:
        assert self.wanted is not None
        times = working_times(self.session, [self.wish.technician], *self.range_)[self.technician_no]
        begin = self.wanted[0] - timedelta(seconds=self.job.service.buffer_before_s)
        end = begin + (self.wanted[1] - self.wanted[0]) + timedelta(seconds=self.job.service.at_place_s)
        return longer_hours(times, self.technician_no, begin, end, breaks=breaks)


def _foreign(day: WorkingDay, organization_id: str) -> set[str]:
    return {id_ for id_, block in day.blocks.items() if block.organization_id != organization_id}


def _fitted(day: WorkingDay, job: Job, found: Insertion, wanted: tuple[TimeWindow, ...]) -> Plan:
    id_ = job.appointment.id
    plan, _ = with_visit(replace(day, plan=less(day.plan, {id_})), id_, found, wanted)
    return plan


def _against_the_rules(
    question: _Question,
    day: WorkingDay,
    own: tuple[Violation, ...],
    reasons: tuple[Reason, ...],
    elsewhere: Change,
) -> Proposal:
    """In hours as they are where nobody has to give way, else in longer ones, at last without breaks. reasons: why it
    does not fit, should nothing else say so."""
    visit_id, technician_id = question.job.appointment.id, question.wish.technician.id
    asked = next(visit for visit in day.problem.visits if visit.id == visit_id)
    forced = force_into(day, visit_id, technician_id, question.at_place, most=0)
    longer = day
    for breaks in (True, False):
        if forced is None:
            longer = question.read(question.longer(breaks=breaks))
            forced = force_into(longer, visit_id, technician_id, question.at_place)
    if forced is None:
        rules = broken_rules(longer, asked, _shift_around(longer, question.at_place))
        fixed = immovable(longer, visit_id, technician_id, question.at_place)
        return Proposal(question.job, question.wish, (*own, *rules, *fixed), question.promise)
    broken = (
        *own,
        *broken_rules(forced.day, asked, route_with(forced, visit_id).shift),
        *broken_hours(forced, technician_id, visit_id, day.problem.shifts),
        *given_way(forced, technician_id),
    )
    told = broken or tuple(Violation(reason) for reason in reasons)
    return _proposal(question, forced.day, forced.plan, told, elsewhere, forced.lost)


def _shift_around(day: WorkingDay, wanted: tuple[TimeWindow, ...]) -> str:
    begins, ends = wanted[0].start, wanted[-1].end
    shifts = day.problem.shifts
    return next(s.id for s in shifts if s.window.start <= ends and begins <= s.window.end)


def _proposal(
    question: _Question,
    day: WorkingDay,
    plan: Plan,
    violations: tuple[Violation, ...],
    elsewhere: Change,
    lost: tuple[str, ...] = (),
) -> Proposal:
    job = question.job
    there = change_between(day.problem, day.plan, plan, _foreign(day, job.appointment.organization_id))
    start = job.start_of(_stop(plan, job.appointment.id).start)
    return Proposal(
        job=job,
        wish=question.wish,
        violations=violations,
        window=question.promise or _window_to_promise(job, question.zone, start),
        day=day,
        plan=plan,
        moved=(*_retimed(day, plan, job), *(_moved(day, id_, None) for id_ in lost)),
        change=elsewhere + there,
    )


def _window_to_promise(job: Job, zone: ZoneInfo, start: datetime) -> Window:
    """As a plan would promise it: of the slot grid, or where that has none inside what was asked for, from the start
    on."""
    day = start.astimezone(zone).date()
    grid = requested_windows(job, slot_windows(job.service, day, zone), local_day(day, zone)[0])
    holding = [window for window in grid if is_in(start, window)]
    return window_for(start, holding) if holding else (start, start + _window_length(job))


def _window_length(job: Job) -> timedelta:
    return timedelta(seconds=job.service.arrival_window_s)


def _retimed(day: WorkingDay, plan: Plan, job: Job) -> Iterator[Moved]:
    """Our other visits that start at another time than they stand."""
    for route in plan.routes:
        for stop in route.stops:
            block, other = day.blocks.get(stop.visit), day.jobs.get(stop.visit)
            if other is None or block is None or other.appointment.id == job.appointment.id:
                continue
            if block.work_from != stop.start:
                yield _moved(day, stop.visit, other.start_of(stop.start))


def _moved(day: WorkingDay, visit_id: str, start: datetime | None) -> Moved:
    job = day.jobs[visit_id]
    return Moved(job.appointment, job.start_of(day.blocks[visit_id].work_from), start)
