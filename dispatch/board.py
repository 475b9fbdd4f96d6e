"""The board of a territory: a day at a glance as it runs, what is left to assign, and what wants a dispatcher."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlmodel import Session, col, func, or_, select

from dispatch.alerts import Alert, Shown, alerts_of
from dispatch.appointment import UNDER_WAY, Appointment, Status
from dispatch.calendar import BlockKind, CalendarBlock, epoch
from dispatch.customer import Customer
from dispatch.day import DayRoute, routes_in
from dispatch.events import Event
from dispatch.expected import REACH, Expected, absences_between, expected_starts
from dispatch.offer import OPEN, Offer, OfferStatus
from dispatch.planning import NO_TIME_LEFT, Job, Window, jobs_to_plan, merged, plannable_windows
from dispatch.position import FRESH_POSITION, Position, fresh_positions
from dispatch.service_request import ServiceRequest
from dispatch.settings import Settings
from dispatch.shift import WorkingTime, local_day, working_times
from dispatch.standing import calendars_of
from dispatch.technician import Duty, Engagement, EngagementStatus, Technician
from dispatch.territory import Territory
from optimizer import Obstacles, Reason

AROUND_OTHERS = timedelta(minutes=30)
"""So long before and after another organization's visit nobody of ours sees where its technician is."""
POSITIONS_LAST_S = 5
"""Where people are is news no more often."""
VIEW_LASTS_S = 30
"""What follows from the clock alone (expected times, alerts, how old a position is) is looked at again after that."""


@dataclass(frozen=True, slots=True)
class BoardRow:
    """A technician's day. position: the latest, where it may be shown. absences: by whoever's doing."""

    technician: Technician
    engagement: Engagement
    shifts: tuple[WorkingTime, ...]
    route: DayRoute
    position: Position | None = None
    absences: tuple[Window, ...] = ()


@dataclass(frozen=True, slots=True)
class Unassigned:
    """A visit of the day without a technician: why, and what would help. `fits`: how many technicians could take it
    now."""

    appointment: Appointment
    request: ServiceRequest
    reasons: tuple[Reason, ...]
    would_fit_if: tuple[Reason, ...]
    fits: int
    service_name: str = ""
    customer_name: str | None = None


@dataclass(frozen=True, slots=True)
class Board:
    """expected: by appointment, of those that have not begun and are planned near now. offers: by appointment, that may
    still be answered, the one that wants an answer of ours first."""

    rows: tuple[BoardRow, ...]
    unassigned: tuple[Unassigned, ...]
    kpis: dict[str, int]
    expected: Mapping[str, Expected] = field(default_factory=dict)
    offers: Mapping[str, tuple[Offer, ...]] = field(default_factory=dict)
    alerts: tuple[Alert, ...] = ()


def board(session: Session, settings: Settings, territory: Territory, day: date, now: datetime) -> Board:
    """Every engaged technician with shifts and stops, what is unassigned and why, alerts and figures."""
    range_ = local_day(day, ZoneInfo(territory.time_zone))
    rows = _rows(session, territory.organization_id, range_, now)
    unassigned = _why_unassigned(session, settings, territory, day, range_, now)
    numbers = [row.technician.no for row in rows if row.technician.no is not None]
    is_near = range_[0] < now + REACH and now - REACH < range_[1]
    expected = expected_starts(session, settings, numbers, now) if is_near else {}
    visits = [Shown(stop.appointment, row.technician.id) for row in rows for stop in row.route.stops]
    visits += [Shown(item.appointment) for item in unassigned]
    ids = {shown.appointment.id for shown in visits}
    expected = {id_: found for id_, found in expected.items() if id_ in ids}
    offers = _offers(session, ids, now)
    technician_ids = {row.technician.no: row.technician.id for row in rows if row.technician.no is not None}
    alerts = alerts_of(session, visits, expected, offers, technician_ids, now)
    kpis = _kpis(rows, unassigned) | {
        "offers_pending": sum(len(some) for some in offers.values()),
        "late": sum(found.is_late for found in expected.values()),
        "alerts": len(alerts),
    }
    return Board(rows, unassigned, kpis, expected, offers, alerts)


def told_start(expected: Expected) -> datetime | None:
    """When the work of a visit is expected to begin, to the minute; None where that is as planned."""
    if expected.start == expected.scheduled_start:
        return None
    return expected.start.replace(second=0, microsecond=0)


def technicians_located(shown: Board) -> list[str]:
    """The ids of those whose positions a board shows."""
    return [row.technician.id for row in shown.rows if row.position is not None]


def _rows(session: Session, organization_id: str, range_: Window, now: datetime) -> tuple[BoardRow, ...]:
    people = session.exec(
        select(Technician, Engagement)
        .where(Engagement.technician_no == Technician.no, Engagement.organization_id == organization_id)
        .where(Engagement.status == EngagementStatus.ACTIVE)
        .order_by(col(Technician.name), col(Technician.no))
    ).all()
    technicians = {technician.no: technician for technician, _ in people if technician.no is not None}
    times = working_times(session, list(technicians.values()), *range_)
    routes = routes_in(session, list(technicians), range_, organization_id)
    absences = absences_between(session, list(technicians), *range_)
    is_now = range_[0] <= now < range_[1]
    positions = _positions(session, organization_id, technicians.values(), now) if is_now else {}
    return tuple(
        BoardRow(
            technician,
            engagement,
            tuple(times[technician.no]),
            routes[technician.no],
            positions.get(technician.no),
            tuple(absences[technician.no]),
        )
        for technician, engagement in people
        if technician.no is not None
    )


def _positions(
    session: Session, organization_id: str, people: Iterable[Technician], now: datetime
) -> dict[int, Position]:
    """By technician number, where those are who are on duty; of nobody who is with another organization's customer, on
    the way there or about to be, or was just now."""
    on_duty = [person.no for person in people if person.duty is not Duty.OFF_DUTY and person.no is not None]
    found = fresh_positions(session, on_duty, now) if on_duty else {}
    if not found:
        return {}
    reach = AROUND_OTHERS + FRESH_POSITION
    elsewhere = select(Appointment.technician_no).where(
        col(Appointment.technician_no).in_(found),
        Appointment.organization_id != organization_id,
        or_(col(Appointment.status).in_(UNDER_WAY), col(Appointment.actual_end) > now - reach),
    )
    taken = select(CalendarBlock.technician_no).where(
        col(CalendarBlock.technician_no).in_(found),
        CalendarBlock.organization_id != organization_id,
        CalendarBlock.kind != BlockKind.ABSENCE,
        col(CalendarBlock.busy_from) < epoch(now + reach),
        col(CalendarBlock.busy_to) > epoch(now - reach),
    )
    hidden = {*session.exec(elsewhere), *session.exec(taken)}
    return {no: position for no, position in found.items() if no not in hidden}


def _offers(
    session: Session, appointment_ids: Collection[str], now: datetime
) -> dict[str, tuple[Offer, ...]]:
    query = select(Offer).where(
        col(Offer.appointment_id).in_(appointment_ids),
        col(Offer.status).in_(OPEN),
        col(Offer.expires_at) > now,
    )
    found: dict[str, tuple[Offer, ...]] = {}
    for offer in sorted(session.exec(query), key=_wants_answer):
        found[offer.appointment_id] = (*found.get(offer.appointment_id, ()), offer)
    return found


def _wants_answer(offer: Offer) -> tuple[bool, datetime, str]:
    return offer.status is not OfferStatus.COUNTERED, offer.expires_at, offer.id


def _why_unassigned(
    session: Session, settings: Settings, territory: Territory, day: date, range_: Window, now: datetime
) -> tuple[Unassigned, ...]:
    """For each waiting visit what stands in its way in the calendars as they are now."""
    waiting = jobs_to_plan(session, territory, range_, waiting=True)
    if not waiting:
        return ()
    customer_ids = {job.request.customer_id for job in waiting}
    customers = select(Customer.id, Customer.name).where(col(Customer.id).in_(customer_ids))
    names = dict(session.exec(customers).all())
    zone = ZoneInfo(territory.time_zone)
    windows = {job.appointment.id: merged(plannable_windows(job, day, zone, now)) for job in waiting}
    obstacles = _obstacles(session, settings, territory, waiting, windows, range_)
    return tuple(
        _unassigned(job, obstacles.get(job.appointment.id), names.get(job.request.customer_id))
        for job in waiting
    )


def _obstacles(
    session: Session,
    settings: Settings,
    territory: Territory,
    waiting: Sequence[Job],
    windows: Mapping[str, Sequence[Window]],
    range_: Window,
) -> dict[str, Obstacles]:
    """By appointment, of those that have a window left, as the remembered calendars answer, which know what slots and
    bookings know. A window that reaches into the next day is kept by that day's shifts too."""
    by_end: dict[datetime, list[tuple[Job, Sequence[Window]]]] = {}
    for job in waiting:
        own = windows[job.appointment.id]
        if own:
            ends = max(range_[1], own[-1][1] + timedelta(seconds=1))
            by_end.setdefault(ends, []).append((job, own))
    calendars = calendars_of(session, territory.organization_id)
    found: dict[str, Obstacles] = {}
    for ends, asked in by_end.items():
        answers = calendars.obstacles_together(session, settings, asked, (range_[0], ends))
        found |= {job.appointment.id: each for (job, _), each in zip(asked, answers, strict=True)}
    return found


def _unassigned(job: Job, obstacles: Obstacles | None, customer_name: str | None) -> Unassigned:
    reasons: tuple[Reason, ...] = (NO_TIME_LEFT,)
    would_fit_if: tuple[Reason, ...] = ()
    able = 0
    if obstacles is not None:
        fitting = obstacles.fitting()
        reasons, able = obstacles.reasons(fitting), len(fitting)
        would_fit_if = () if fitting else obstacles.would_fit_if()
    return Unassigned(
        job.appointment, job.request, reasons, would_fit_if, able, job.service.name, customer_name
    )


def _kpis(rows: Sequence[BoardRow], unassigned: Sequence[Unassigned]) -> dict[str, int]:
    """Counts and sums of the day, for people to read at a glance."""
    statuses = [stop.appointment.status for row in rows for stop in row.route.stops]
    return {
        "visits": len(statuses) + len(unassigned),
        "planned": len(statuses),
        "unassigned": len(unassigned),
        "dispatched": sum(status not in (Status.UNASSIGNED, Status.SCHEDULED) for status in statuses),
        "completed": statuses.count(Status.COMPLETED),
        "technicians_on_shift": sum(bool(row.shifts) for row in rows),
        "technicians_with_visits": sum(bool(row.route.stops) for row in rows),
        "travel_s": sum(row.route.travel_s for row in rows),
        "travel_m": sum(row.route.travel_m for row in rows),
    }


def board_version(session: Session, territory: Territory, day: date, now: datetime) -> tuple[object, ...]:
    """What a board depends on, cheap to read: while it stays the same for `VIEW_LASTS_S`, so does the board."""
    begins, ends = local_day(day, ZoneInfo(territory.time_zone))
    organization_id = territory.organization_id
    engaged = (
        (Engagement.technician_no == Technician.no)
        & (Engagement.organization_id == organization_id)
        & (Engagement.status == EngagementStatus.ACTIVE)
    )
    events = select(func.max(Event.id)).where(Event.organization_id == organization_id)
    people = select(
        func.count(),
        func.max(Technician.calendar_stamp),
        func.sum(Technician.version),
        func.sum(Engagement.version),
    ).where(engaged)
    visits = select(func.count(), func.sum(Appointment.version)).where(
        Appointment.organization_id == organization_id,
        col(Appointment.scheduled_start).between(begins, ends),
    )
    lately = datetime.fromtimestamp(int(now.timestamp()) // POSITIONS_LAST_S * POSITIONS_LAST_S, UTC)
    latest = select(func.max(Position.id)).where(
        Position.technician_no == Technician.no,
        engaged,
        col(Position.recorded_at) > now - FRESH_POSITION,
        col(Position.received_at) <= lately,
    )
    return (
        int(now.timestamp()) // VIEW_LASTS_S,
        territory.version,
        session.exec(events).one(),
        *session.exec(people).one(),
        *session.exec(visits).one(),
        session.exec(latest).one(),
    )
