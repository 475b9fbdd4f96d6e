"""Repairs of the running day: somebody is absent, a visit ends later than planned, an emergency has to be served.

The change that moves the fewest visits is taken, of equal ones the cheapest (`dispatch.repair_search`). Promised
windows stay. Nobody but a technician who is absent loses a visit that is dispatched, pinned, offered, on the way or
fixed in time: to report an absence is a dispatcher's decision, and the event says whose. It is found by the kernels
that find slots, in the thread that asks, and applied in one transaction against the calendars as they were read; where
one changed meanwhile it is looked for anew.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlmodel import Session, select

from dispatch.appointment import UNDER_WAY, Appointment, Status
from dispatch.booking import promised_window
from dispatch.calendar import (
    BlockKind,
    CalendarBlock,
    CalendarMoved,
    blocks_between,
    epoch,
    rewrite,
)
from dispatch.errors import Invalid
from dispatch.events import Actor
from dispatch.hold import Hold
from dispatch.holds import release
from dispatch.planning import (
    Job,
    Window,
    job_of,
)
from dispatch.repair_change import Call, Change, Repair, RepairKind
from dispatch.service_request import Priority
from dispatch.settings import Settings
from dispatch.shift import local_day, working_times
from dispatch.technician import Technician
from dispatch.territory import Territory
from optimizer import Pin, TimeWindow

ATTEMPTS = 3
"""How often it is looked for anew where a calendar changed meanwhile."""
LONGEST_ABSENCE = timedelta(days=7)
REACH = timedelta(hours=24)
"""How far ahead an emergency is placed."""
URGENT = (Priority.HIGH, Priority.EMERGENCY)

ONLY_OF = {
    "technician_id": RepairKind.ABSENT,
    "from": RepairKind.ABSENT,
    "to": RepairKind.ABSENT,
    "by_s": RepairKind.OVERRUN,
}
"""Fields that mean something for one kind alone."""


def require_fields(kind: RepairKind, given: Collection[str]) -> None:
    """given: the fields that were sent. Raises `Invalid` for one that is missing, or means nothing for the kind."""
    problems = [] if kind.subject in given else [(kind.subject, f"is needed where the kind is {kind.value}")]
    problems += [
        (name, f"means nothing where the kind is {kind.value}")
        for name in sorted(given)
        if ONLY_OF.get(name, kind) is not kind or (name == "appointment_id" and kind is RepairKind.ABSENT)
    ]
    if problems:
        raise Invalid(errors=problems)


def report_absent(
    session: Session,
    settings: Settings,
    organization_id: str,
    technician: Technician,
    by: Actor,
    now: datetime,
    *,
    from_: datetime | None = None,
    to: datetime | None = None,
    reason: str | None = None,
    dry_run: bool = False,
) -> Repair:
    """A technician is away from `from_` (by default now) until `to` (by default the end of what it works that day).
    What it was to do then goes to others within what was promised; what nobody can take is unassigned. The time stays
    taken as an absence; holds in it are released. Another organization's visits, and what is under way, stay. Raises
    `Invalid` for hours that are over, too long, or in which it does not work."""
    call = Call(session, settings, organization_id, by, now, reason, dry_run)
    begin, end = _absence(session, technician, from_, to, now)
    return _attempted(call, lambda: _absent(call, technician, begin, end))


def report_overrun(
    session: Session,
    settings: Settings,
    appointment: Appointment,
    by: Actor,
    now: datetime,
    *,
    by_s: int | None = None,
    reason: str | None = None,
    dry_run: bool = False,
) -> Repair:
    """A visit ends by so many seconds later than planned; by default as late as its technician's start makes it, else
    half its duration. What the technician does next begins later; what would break its promise so goes to others, and
    where nobody can take it, it stays and is late. Raises `InvalidState` for a visit that no technician has,
    `Conflict` (`unreachable`) where an agreed visit could not be reached at all."""
    appointment.require(Status.SCHEDULED, Status.DISPATCHED, *UNDER_WAY)
    call = Call(session, settings, appointment.organization_id, by, now, reason, dry_run)
    return _attempted(call, lambda: _overrun(call, appointment, by_s))


def place_emergency(
    session: Session,
    settings: Settings,
    appointment: Appointment,
    by: Actor,
    now: datetime,
    *,
    reason: str | None = None,
    dry_run: bool = False,
) -> Repair:
    """An unassigned visit of priority `high` or `emergency` is planned as soon as somebody can be there in the next 24
    hours, to the quarter of an hour. Raises `InvalidState` for one that is not unassigned, `Invalid` for another
    priority."""
    appointment.require(Status.UNASSIGNED)
    if job_of(session, appointment).request.priority not in URGENT:
        raise Invalid(errors=[("appointment_id", "must be of priority high or emergency")])
    call = Call(session, settings, appointment.organization_id, by, now, reason, dry_run)
    return _attempted(call, lambda: _emergency(call, appointment))


def _attempted(call: Call, attempt: Callable[[], Repair]) -> Repair:
    """Raises `CalendarMoved` where a calendar changes again and again."""
    for _ in range(ATTEMPTS - 1):
        try:
            with call.session.begin_nested():
                return attempt()
        except CalendarMoved:
            call.session.expire_all()
    with call.session.begin_nested():
        return attempt()


# What happened


def _absence(
    session: Session, technician: Technician, from_: datetime | None, to: datetime | None, now: datetime
) -> Window:
    begin = max(from_ or now, now)
    if to is not None and to <= begin:
        raise Invalid(errors=[("to", "must be after from, and not be over")])
    zone = ZoneInfo(technician.time_zone)
    until = to or local_day(begin.astimezone(zone).date(), zone)[1]
    if until - begin > LONGEST_ABSENCE:
        raise Invalid(errors=[("to", f"an absence lasts {LONGEST_ABSENCE.days} days at most")])
    assert technician.no is not None
    times = working_times(session, [technician], begin, until)[technician.no]
    if not times:
        raise Invalid(errors=[("technician_id", "has no shift in that time")])
    return begin, to or max(time.ends_at for time in times)


def _absent(call: Call, technician: Technician, begin: datetime, end: datetime) -> Repair:
    session, no = call.session, technician.no
    assert no is not None
    blocks = [
        block
        for block in blocks_between(session, [no], epoch(begin), epoch(end))
        if block.work_from < epoch(end)
    ]
    if not call.dry_run:
        blocks = _without_holds(call, blocks)
    lost = _lost_jobs(call, blocks)
    change = Change.read(call, (begin, end), lost=lost)
    others = [block for block in blocks if block.appointment_id not in {j.appointment.id for j in lost}]
    shifts = [shift for shift in change.day.problem.shifts if shift.technician == technician.id]
    if any(block.kind is not BlockKind.ABSENCE for block in others):
        change.exclude(technician.id)
    else:
        change.absent(shifts, epoch(begin), epoch(end))
    for shift in shifts:
        change.trim(shift.id)
    change.place_homeless()
    why = call.reason or f"{technician.name} is absent"
    repair = change.concluded(RepairKind.ABSENT, technician.id, why)
    if not call.dry_run:
        _write_absence(call, technician, begin, end)
    return repair


def _lost_jobs(call: Call, blocks: Iterable[CalendarBlock]) -> list[Job]:
    """What the organization planned in these blocks and the technician has not begun."""
    ids = [block.appointment_id for block in blocks if block.organization_id == call.organization_id]
    visits = [call.session.get_one(Appointment, id_) for id_ in ids if id_ is not None]
    losable = (Status.UNASSIGNED, Status.SCHEDULED, Status.DISPATCHED, Status.EN_ROUTE)
    return [job_of(call.session, visit) for visit in visits if visit.status in losable]


def _without_holds(call: Call, blocks: list[CalendarBlock]) -> list[CalendarBlock]:
    held = [block for block in blocks if block.hold_id and block.organization_id == call.organization_id]
    for block in held:
        release(call.session, call.settings, call.session.get_one(Hold, block.hold_id), call.now)
    return [block for block in blocks if block not in held]


def _write_absence(call: Call, technician: Technician, begin: datetime, end: datetime) -> None:
    """Whatever of the technician's hours nothing else takes. Their calendar has been claimed, or is now."""
    session, no = call.session, technician.no
    assert no is not None
    session.refresh(technician)
    free: list[tuple[int, int]] = []
    for time in working_times(session, [technician], begin, end)[no]:
        at, until = max(epoch(begin), epoch(time.starts_at)), min(epoch(end), epoch(time.ends_at))
        for block in blocks_between(session, [no], at, until):
            free.append((at, block.busy_from))
            at = max(at, block.busy_to)
        free.append((at, until))
    rewrite(
        session,
        [],
        [
            CalendarBlock(
                technician_no=no,
                organization_id=call.organization_id,
                kind=BlockKind.ABSENCE,
                busy_from=at,
                work_from=at,
                busy_to=until,
            )
            for at, until in free
            if at < until
        ],
    )


def _overrun(call: Call, appointment: Appointment, by_s: int | None) -> Repair:
    session = call.session
    session.refresh(appointment)
    appointment.require(Status.SCHEDULED, Status.DISPATCHED, *UNDER_WAY)
    technician = session.exec(select(Technician).where(Technician.no == appointment.technician_no)).one()
    assert appointment.scheduled_start is not None
    assert appointment.scheduled_end is not None
    later_s = by_s if by_s is not None else _expected_overrun_s(appointment, call.now)
    zone = ZoneInfo(session.get_one(Territory, appointment.territory_id).time_zone)
    until = max(
        local_day(appointment.scheduled_start.astimezone(zone).date(), zone)[1],
        appointment.scheduled_end + timedelta(seconds=later_s + 1),
    )
    change = Change.read(call, (appointment.scheduled_start, until), re_timed=technician.id)
    shift_id = change.shift_of(appointment.id)
    visit = next(visit for visit in change.day.problem.visits if visit.id == appointment.id)
    _, work_from = change.day.stands[visit.id]
    change.search.change(
        replace(
            visit,
            windows=(TimeWindow(work_from, work_from),),
            pin=Pin(technician.id, work_from),
            service_s=visit.service_s + later_s,
        )
    )
    change.search.takeable -= {visit.id}
    change.search.anchored |= {visit.id}
    change.trim(shift_id)
    change.place_homeless()
    change.put_back(shift_id)
    why = call.reason or f"the visit ends {later_s} s later than planned"
    return change.concluded(RepairKind.OVERRUN, appointment.id, why)


def _expected_overrun_s(appointment: Appointment, now: datetime) -> int:
    """By how much the start that was, or that its technician expects, makes the end later, and what has passed of it
    already; else half the duration."""
    assert appointment.scheduled_start is not None
    assert appointment.scheduled_end is not None
    begins = appointment.actual_start or appointment.expected_start or appointment.scheduled_start
    late_s = max(begins - appointment.scheduled_start, now - appointment.scheduled_end).total_seconds()
    lasts_s = (appointment.scheduled_end - appointment.scheduled_start).total_seconds()
    return int(late_s) if late_s > 0 else int(lasts_s) // 2


def _emergency(call: Call, appointment: Appointment) -> Repair:
    """Today first: to look at tomorrow too takes twice as long."""
    session, now = call.session, call.now
    session.refresh(appointment)
    appointment.require(Status.UNASSIGNED)
    job = job_of(session, appointment)
    zone = ZoneInfo(session.get_one(Territory, appointment.territory_id).time_zone)
    midnight = local_day(now.astimezone(zone).date(), zone)[1]
    begin, end = _urgent_hours(job, now)
    change = Change.read(call, (begin, min(midnight, end) if begin < midnight else end), urgent=job)
    if not change.place_homeless() and begin < midnight < end:
        change = Change.read(call, (begin, end), urgent=job)
        change.place_homeless()
    why = call.reason or "an emergency has to be served"
    return change.concluded(RepairKind.EMERGENCY, appointment.id, why)


def _urgent_hours(job: Job, now: datetime) -> Window:
    """From when until when an urgent visit may start: in its promise if that lies ahead, else as it was asked for."""
    appointment = job.appointment
    if appointment.is_promised and promised_window(appointment)[1] >= now:
        begin, end = promised_window(appointment)
        return max(begin, now), end
    begin = max(now, job.request.earliest_start or now)
    end = min(job.request.due or now + REACH, now + REACH)
    return begin, max(begin, end)
