"""The day as it runs: duty, positions, progress of visits, the route of a technician and the board of a territory."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Exists, exists, func
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from dispatch.appointment import Appointment, Status
from dispatch.booking import give_back, promised_window, supersede_offers, window_fields
from dispatch.calendar import CalendarBlock, beside_others, discreet, epoch
from dispatch.catalogue import Service
from dispatch.customer import Customer
from dispatch.errors import Invalid, InvalidState, OffDuty
from dispatch.events import SYSTEM, Actor, Event, record
from dispatch.offer import OPEN, Offer
from dispatch.places import Place, place_of
from dispatch.planning import NO_TIME_LEFT, DayReader, Job, Window, jobs_to_plan, merged, plannable_windows
from dispatch.position import Position
from dispatch.promise import Promise, PromiseKind, enter
from dispatch.service_request import ServiceRequest
from dispatch.settings import Settings
from dispatch.shift import WorkingTime, local_day, working_times
from dispatch.technician import Duty, Engagement, EngagementStatus, Technician, engagements_of
from dispatch.territory import Territory, begins_on
from optimizer import Reason, Recommendation
from optimizer.insertion import PreparedRoutes

OLDEST_POSITION = timedelta(hours=24)
CLOCKS_DIFFER = timedelta(minutes=5)
"""By so much a phone's clock may be ahead of ours, or behind it."""


@dataclass(frozen=True, slots=True)
class RouteStop:
    """A visit of a technician's day; travel_s and travel_m lead to it. customer_name and notes: None where its
    technician may not know them."""

    appointment: Appointment
    place: Place
    travel_s: int
    travel_m: int
    service_name: str
    customer_name: str | None
    notes: str | None


@dataclass(frozen=True, slots=True)
class DayRoute:
    """travel_s and travel_m: to the stops, without the way home."""

    stops: tuple[RouteStop, ...]

    @property
    def travel_s(self) -> int:
        return sum(stop.travel_s for stop in self.stops)

    @property
    def travel_m(self) -> int:
        return sum(stop.travel_m for stop in self.stops)


@dataclass(frozen=True, slots=True)
class BoardRow:
    technician: Technician
    engagement: Engagement
    shifts: tuple[WorkingTime, ...]
    route: DayRoute


@dataclass(frozen=True, slots=True)
class Unassigned:
    """A visit of the day without a technician: why, and what would help. `fits`: how many technicians could take it
    now."""

    appointment: Appointment
    request: ServiceRequest
    reasons: tuple[Reason, ...]
    would_fit_if: tuple[Reason, ...]
    fits: int


@dataclass(frozen=True, slots=True)
class Board:
    rows: tuple[BoardRow, ...]
    unassigned: tuple[Unassigned, ...]
    kpis: dict[str, int]


# Progress


def progress(
    session: Session,
    settings: Settings,
    appointment: Appointment,
    to: Status,
    by: Actor,
    now: datetime,
    *,
    note: str | None = None,
    reason: str | None = None,
    occurred_at: datetime | None = None,
) -> Appointment:
    """Moves a visit on: en_route, on_site, completed, cannot_complete, or dispatched to undo en_route. occurred_at is
    when the phone says it happened and is kept in the event; ours is the clock that counts. Saying again what already
    stands changes nothing, nor does a step of the same `occurred_at` that was passed since: a phone without a network
    sends until it is answered. Raises `Invalid` without a reason where one is needed, `InvalidState`."""
    _require_reason(appointment, to, by, reason)
    if appointment.status is to or _was_said(session, appointment, to, occurred_at):
        return appointment
    allowed = {
        Status.DISPATCHED: [Status.EN_ROUTE],
        Status.EN_ROUTE: [Status.ON_SITE, Status.DISPATCHED],
        Status.ON_SITE: [Status.COMPLETED, Status.CANNOT_COMPLETE],
    }.get(appointment.status, [])
    if to not in allowed:
        raise InvalidState(appointment.status.value, [status.value for status in allowed])
    before = {"status": appointment.status.value}
    appointment.move(to)
    _note_times(session, appointment, to, by, now)
    session.add(appointment)
    after = {
        "status": to.value,
        "note": note,
        "occurred_at": occurred_at.isoformat() if occurred_at else None,
    }
    after = {key: value for key, value in after.items() if value is not None}
    type_ = f"appointment.{to.value}"
    record(session, appointment.organization_id, appointment.id, type_, now, by, reason, before, after)
    session.flush()
    return appointment


def _was_said(session: Session, appointment: Appointment, to: Status, occurred_at: datetime | None) -> bool:
    if occurred_at is None:
        return False
    query = select(Event).where(Event.subject_id == appointment.id, Event.type == f"appointment.{to.value}")
    said = occurred_at.isoformat()
    return any((event.after or {}).get("occurred_at") == said for event in session.exec(query))


def _require_reason(appointment: Appointment, to: Status, by: Actor, reason: str | None) -> None:
    if reason is None and by.role == "dispatcher":
        raise Invalid(errors=[("reason", "a dispatcher says why it moves a visit on")])
    if reason is None and to is Status.CANNOT_COMPLETE:
        raise Invalid(errors=[("reason", "say why it cannot be completed")])


def _note_times(session: Session, appointment: Appointment, to: Status, by: Actor, now: datetime) -> None:
    if to is Status.ON_SITE:
        appointment.actual_start = now
        if appointment.is_promised:
            _note_arrival(session, appointment, by, now)
    elif to in (Status.COMPLETED, Status.CANNOT_COMPLETE):
        appointment.actual_end = now
        if appointment.is_promised:
            _note_result_of_early_arrival(session, appointment, to, by, now)


def _note_arrival(session: Session, appointment: Appointment, by: Actor, now: datetime) -> None:
    """In the window it keeps the promise, after it breaks it; before it, how the visit ends will tell."""
    begins, ends = promised_window(appointment)
    if now > ends:
        _break(session, appointment, by, now)
    elif now >= begins:
        _keep(session, appointment, by, now)


def _note_result_of_early_arrival(
    session: Session, appointment: Appointment, to: Status, by: Actor, now: datetime
) -> None:
    """Who was served early has no more to wait for. Who was to be at home only later, and found to be away, was
    promised something else."""
    begins = promised_window(appointment)[0]
    if appointment.actual_start is None or appointment.actual_start >= begins:
        return
    if to is Status.COMPLETED or now >= begins:
        _keep(session, appointment, by, now)
    else:
        _break(session, appointment, by, now)


def _keep(session: Session, appointment: Appointment, by: Actor, now: datetime) -> None:
    window = promised_window(appointment)
    enter(session, appointment.organization_id, appointment.id, PromiseKind.KEPT, window, now, by)


def _break(session: Session, appointment: Appointment, by: Actor, now: datetime) -> None:
    """Once for a window, whether it was noted when the window passed or when somebody came."""
    window = promised_window(appointment)
    if session.exec(select(_is_broken(appointment.id, *window))).one():
        return
    enter(session, appointment.organization_id, appointment.id, PromiseKind.BROKEN, window, now, by)
    after = {"arrival_window": window_fields(window)}
    record(session, appointment.organization_id, appointment.id, "promise.broken", now, by, after=after)


def _is_broken(appointment_id: Any, window_start: Any, window_end: Any) -> Exists:
    """Whether the ledger says so, of a window; the arguments are values or columns of a query around it."""
    return exists().where(
        col(Promise.appointment_id) == appointment_id,
        col(Promise.kind) == PromiseKind.BROKEN,
        col(Promise.window_start) == window_start,
        col(Promise.window_end) == window_end,
    )


def break_passed(session: Session, now: datetime, limit: int = 100) -> int:
    """Notes windows that passed with nobody there as broken, each once, after whatever downtime. Gives back how many.
    The visits stay as they are: a person decides."""
    waiting = (Status.UNASSIGNED, Status.SCHEDULED, Status.DISPATCHED, Status.EN_ROUTE)
    columns = (col(Appointment.id), col(Appointment.window_start), col(Appointment.window_end))
    query = (
        select(Appointment)
        .where(col(Appointment.status).in_(waiting), col(Appointment.window_end) < now, ~_is_broken(*columns))
        .order_by(col(Appointment.window_end))
        .limit(limit)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    )
    passed = session.exec(query).all()
    for appointment in passed:
        _break(session, appointment, SYSTEM, now)
    session.flush()
    return len(passed)


def release(
    session: Session, settings: Settings, appointment: Appointment, by: Actor, now: datetime, reason: str
) -> Appointment:
    """dispatched -> unassigned: its technician or a dispatcher takes it back; the promise to the customer stands."""
    appointment.require(Status.DISPATCHED)
    before = {"status": appointment.status.value}
    give_back(session, settings, appointment)
    appointment.move(Status.UNASSIGNED)
    supersede_offers(session, appointment, by, now)
    session.add(appointment)
    record(
        session, appointment.organization_id, appointment.id, "appointment.released", now, by, reason, before
    )
    session.flush()
    return appointment


@dataclass(frozen=True, slots=True)
class VisitWish:
    """Which visits: by status, technician and territory, and by local dates (both included) on which they are planned,
    or else promised, to begin."""

    status: Status | None = None
    technician_id: str | None = None
    territory_id: str | None = None
    from_: date | None = None
    to: date | None = None


def appointments_like(session: Session, organization_id: str, wish: VisitWish) -> SelectOfScalar[Appointment]:
    """The organization's visits that are as wished; dates are read in the time zone of each territory."""
    query = select(Appointment).where(Appointment.organization_id == organization_id)
    if wish.status is not None:
        query = query.where(Appointment.status == wish.status)
    if wish.technician_id is not None:
        query = query.join(Technician, col(Technician.no) == Appointment.technician_no).where(
            Technician.id == wish.technician_id
        )
    if wish.territory_id is not None:
        query = query.where(Appointment.territory_id == wish.territory_id)
    if wish.from_ is not None or wish.to is not None:
        begins = func.coalesce(col(Appointment.scheduled_start), col(Appointment.window_start))
        on_days = begins_on(
            session, organization_id, col(Appointment.territory_id), begins, wish.from_, wish.to
        )
        query = query.where(on_days)
    return query


# Duty and positions


def set_duty(session: Session, technician: Technician, duty: Duty, by: Actor, now: datetime) -> Technician:
    """Also told to whoever has approved the technician, as an event. Saying again what stands changes nothing."""
    if technician.duty is duty:
        return technician
    before, after = {"duty": technician.duty.value}, {"duty": duty.value}
    if duty is Duty.OFF_DUTY:
        technician.on_duty_since = None
    elif technician.duty is Duty.OFF_DUTY:
        technician.on_duty_since = now
    technician.duty = duty
    technician.version += 1
    session.add(technician)
    for engagement in engagements_of(session, technician):
        if engagement.status is EngagementStatus.ACTIVE:
            organization_id = engagement.organization_id
            record(session, organization_id, technician.id, "technician.duty", now, by, None, before, after)
    session.flush()
    return technician


def tell_position(session: Session, technician: Technician, position: Position) -> Position:
    """Keeps a position. Raises `OffDuty`, with nothing stored, off duty and for where the technician was before it came
    on duty, which a phone may have gathered; `Invalid` for one that is too old or ahead of us."""
    if technician.duty is Duty.OFF_DUTY:
        raise OffDuty()
    age = position.received_at - position.recorded_at
    if age > OLDEST_POSITION or age < -CLOCKS_DIFFER:
        raise Invalid(
            errors=[("recorded_at", "must lie within the last 24 hours and not ahead of the server's clock")]
        )
    began = technician.on_duty_since
    if began is not None and position.recorded_at < began - CLOCKS_DIFFER:
        raise OffDuty()
    session.add(position)
    session.flush()
    return position


def latest_position(session: Session, technician_no: int) -> Position | None:
    query = select(Position).where(Position.technician_no == technician_no)
    return session.exec(query.order_by(col(Position.recorded_at).desc()).limit(1)).first()


# Route and board


def route_on(session: Session, technician: Technician, day: date, organization_id: str | None) -> DayRoute:
    """The technician's visits of a local day in its own zone, in order; for an organization only its own."""
    range_ = local_day(day, ZoneInfo(technician.time_zone))
    assert technician.no is not None
    return _routes(session, [technician.no], range_, organization_id)[technician.no]


def _routes(
    session: Session, technician_nos: Sequence[int], range_: Window, organization_id: str | None
) -> dict[int, DayRoute]:
    query = (
        select(Appointment, ServiceRequest, Service.name, Customer.name)
        .where(
            Appointment.service_request_id == ServiceRequest.id,
            CalendarBlock.appointment_id == Appointment.id,
            Service.id == ServiceRequest.service_id,
            Customer.id == ServiceRequest.customer_id,
        )
        .where(
            col(Appointment.technician_no).in_(list(technician_nos)), Appointment.status != Status.CANCELLED
        )
        .where(
            col(CalendarBlock.work_from) >= epoch(range_[0]), col(CalendarBlock.work_from) < epoch(range_[1])
        )
        .order_by(col(CalendarBlock.work_from))
    )
    if organization_id is not None:
        query = query.where(Appointment.organization_id == organization_id)
    hidden: set[str] = set()
    if organization_id is not None:
        hidden = beside_others(session, organization_id, technician_nos, epoch(range_[0]), epoch(range_[1]))
    stops: dict[int, list[RouteStop]] = {no: [] for no in technician_nos}
    for appointment, request, service, customer in session.exec(query):
        assert appointment.technician_no is not None
        travel = appointment.travel_s or 0, appointment.travel_m or 0
        travel = discreet(*travel) if appointment.id in hidden else travel
        stop = RouteStop(appointment, place_of(request), *travel, service, customer, request.notes)
        stops[appointment.technician_no].append(stop)
    return {no: DayRoute(tuple(own)) for no, own in stops.items()}


def board(session: Session, settings: Settings, territory: Territory, day: date, now: datetime) -> Board:
    """A territory's day: every engaged technician with shifts and stops, what is unassigned and why, and figures."""
    range_ = local_day(day, ZoneInfo(territory.time_zone))
    people = session.exec(
        select(Technician, Engagement)
        .where(
            Engagement.technician_no == Technician.no, Engagement.organization_id == territory.organization_id
        )
        .where(Engagement.status == EngagementStatus.ACTIVE)
        .order_by(col(Technician.name), col(Technician.no))
    ).all()
    numbers = [technician.no for technician, _ in people if technician.no is not None]
    times = working_times(session, [technician for technician, _ in people], *range_)
    routes = _routes(session, numbers, range_, territory.organization_id)
    rows = tuple(
        BoardRow(technician, engagement, tuple(times[technician.no]), routes[technician.no])
        for technician, engagement in people
        if technician.no is not None
    )
    waiting = [
        job for job in jobs_to_plan(session, territory, range_) if job.appointment.status is Status.UNASSIGNED
    ]
    unassigned = _why_unassigned(session, settings, territory, waiting, day, range_, now)
    return Board(rows, unassigned, _kpis(session, rows, unassigned))


def _why_unassigned(
    session: Session,
    settings: Settings,
    territory: Territory,
    waiting: Sequence[Job],
    day: date,
    range_: Window,
    now: datetime,
) -> tuple[Unassigned, ...]:
    """For each waiting visit what stands in its way in the calendars as they are now."""
    if not waiting:
        return ()
    zone = ZoneInfo(territory.time_zone)
    reader = DayReader(session, settings, territory.organization_id, range_)
    reader.keep()
    windows = {job.appointment.id: plannable_windows(job, day, zone, now) for job in waiting}
    for job in waiting:
        if windows[job.appointment.id]:
            reader.add(job, merged(windows[job.appointment.id]))
    standing = reader.day()
    prepared = PreparedRoutes(standing.problem, standing.plan)
    return tuple(
        _unassigned(job, prepared.recommend(job.appointment.id) if windows[job.appointment.id] else None)
        for job in waiting
    )


def _unassigned(job: Job, found: Recommendation | None) -> Unassigned:
    if found is None:
        return Unassigned(job.appointment, job.request, (NO_TIME_LEFT,), (), 0)
    able = len({insertion.technician for insertion in found.insertions})
    return Unassigned(job.appointment, job.request, found.reasons, found.would_fit_if, able)


def _kpis(session: Session, rows: Sequence[BoardRow], unassigned: Sequence[Unassigned]) -> dict[str, int]:
    """Counts and sums of the day, for people to read at a glance."""
    stops = [stop for row in rows for stop in row.route.stops]
    statuses = [stop.appointment.status for stop in stops]
    shown = [stop.appointment.id for stop in stops] + [item.appointment.id for item in unassigned]
    pending = session.exec(
        select(func.count())
        .select_from(Offer)
        .where(col(Offer.appointment_id).in_(shown), col(Offer.status).in_(OPEN))
    ).one()
    return {
        "visits": len(stops) + len(unassigned),
        "planned": len(stops),
        "unassigned": len(unassigned),
        "dispatched": sum(status not in (Status.UNASSIGNED, Status.SCHEDULED) for status in statuses),
        "completed": statuses.count(Status.COMPLETED),
        "offers_pending": pending,
        "technicians_on_shift": sum(bool(row.shifts) for row in rows),
        "technicians_with_visits": sum(bool(row.route.stops) for row in rows),
        "travel_s": sum(row.route.travel_s for row in rows),
        "travel_m": sum(row.route.travel_m for row in rows),
    }
