"""What would come of giving a visit to a technician whom a person names: where in its day it would stand, what that
breaks, whose visits give way, and what all of it costs. Nothing is written here.

A visit that fits is placed by the insertion engine of slots, offers and plans, and nothing is broken. One that does not
is placed against the rules (`forced_day`): skills, radius, hours, breaks and its own window yield; visits that are in
the way give way, as few as will do, each to another time of its own promise in the same day or to nobody; what is not
ours to move yields to nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from sqlmodel import Session

from dispatch.appointment import Appointment
from dispatch.booking import promised_window
from dispatch.forced_day import force_into, less
from dispatch.planning import (
    Job,
    Window,
    WorkingDay,
    window_to_promise,
    with_visit,
)
from dispatch.pricing import NO_CHANGE, Change, change_between
from dispatch.settings import Settings
from dispatch.technician import EngagementStatus
from dispatch.violations import (
    Violation,
    broken_hours,
    broken_rules,
    given_way,
    immovable,
    route_with,
)
from dispatch.wish import Question, Wish, is_in, not_ours
from optimizer import Insertion, Plan, Reason, Stop, TimeWindow, recommend


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
    question = Question(session, settings, job, wish, now, really)
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


def _stop(plan: Plan, visit_id: str) -> Stop:
    return next(stop for route in plan.routes for stop in route.stops if stop.visit == visit_id)


def _fitted(day: WorkingDay, job: Job, found: Insertion, wanted: tuple[TimeWindow, ...]) -> Plan:
    id_ = job.appointment.id
    plan, _ = with_visit(replace(day, plan=less(day.plan, {id_})), id_, found, wanted)
    return plan


def _against_the_rules(
    question: Question,
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
            longer = question.read(question.longer(day, breaks=breaks))
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
    question: Question,
    day: WorkingDay,
    plan: Plan,
    violations: tuple[Violation, ...],
    elsewhere: Change,
    lost: tuple[str, ...] = (),
) -> Proposal:
    job = question.job
    there = change_between(day.problem, day.plan, plan, not_ours(day))
    start = job.start_of(_stop(plan, job.appointment.id).start)
    return Proposal(
        job=job,
        wish=question.wish,
        violations=violations,
        window=question.promise or window_to_promise(job, question.zone, start),
        day=day,
        plan=plan,
        moved=(*_retimed(day, plan, job), *(_moved(day, id_, None) for id_ in lost)),
        change=elsewhere + there,
    )


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
