"""The day as it runs: duty, positions, progress of visits, the routes of technicians."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Exists, exists, func
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from dispatch import lateness
from dispatch.appointment import Appointment, Status
from dispatch.booking import give_back, promised_window, supersede_offers, window_fields
from dispatch.calendar import CalendarBlock, beside_others, discreet, epoch
from dispatch.catalogue import Service
from dispatch.customer import Customer
from dispatch.errors import Invalid, InvalidState, OffDuty
from dispatch.events import SYSTEM, Actor, Event, record
from dispatch.places import Place
from dispatch.planning import Window
from dispatch.position import Position
from dispatch.promise import Promise, PromiseKind, enter
from dispatch.service_request import ServiceRequest
from dispatch.settings import Settings
from dispatch.shift import local_day
from dispatch.technician import Duty, EngagementStatus, Technician, engagements_of
from dispatch.territory import begins_on

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
    if appointment.technician_no is not None:
        lateness.notice(session, settings, now, [appointment.technician_no])
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


def tell_position(
    session: Session, settings: Settings, technician: Technician, position: Position
) -> Position:
    """Keeps a position and records what it makes late. Raises `OffDuty`, with nothing stored, off duty and for where
    the technician was before it came on duty, which a phone may have gathered; `Invalid` for one that is too old or
    ahead of us."""
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
    lateness.notice(session, settings, position.received_at, [position.technician_no])
    return position


# Routes


def route_on(session: Session, technician: Technician, day: date, organization_id: str | None) -> DayRoute:
    """The technician's visits of a local day in its own zone, in order; for an organization only its own."""
    range_ = local_day(day, ZoneInfo(technician.time_zone))
    assert technician.no is not None
    return routes_in(session, [technician.no], range_, organization_id)[technician.no]


def routes_in(
    session: Session, technician_nos: Sequence[int], range_: Window, organization_id: str | None
) -> dict[int, DayRoute]:
    """By technician number, the visits that begin in the range, in order; for an organization only its own, and beside
    another's the travel rounded."""
    query = (
        select(
            Appointment,
            ServiceRequest.lat,
            ServiceRequest.lon,
            ServiceRequest.address,
            ServiceRequest.notes,
            Service.name,
            Customer.name,
        )  # type: ignore[call-overload]
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
    hidden: set[str] = set()
    if organization_id is not None:
        query = query.where(Appointment.organization_id == organization_id)
        hidden = beside_others(session, organization_id, technician_nos, epoch(range_[0]), epoch(range_[1]))
    stops: dict[int, list[RouteStop]] = {no: [] for no in technician_nos}
    for appointment, lat, lon, address, notes, service, customer in session.exec(query):
        travel = appointment.travel_s or 0, appointment.travel_m or 0
        travel = discreet(*travel) if appointment.id in hidden else travel
        stop = RouteStop(appointment, Place(lat, lon, address), *travel, service, customer, notes)
        stops[appointment.technician_no].append(stop)
    return {no: DayRoute(tuple(own)) for no, own in stops.items()}
