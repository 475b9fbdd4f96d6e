"""Taking in what customers need: a service request is registered, corrected, withdrawn."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal, cast
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Exists, case, exists, literal
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, or_, select
from sqlmodel.sql.expression import SelectOfScalar

from dispatch import booking
from dispatch.access import STAFF
from dispatch.appointment import UNDER_WAY, Appointment, Status, appointment_of
from dispatch.catalogue import Service
from dispatch.contact import email_address, phone_number
from dispatch.customer import Channel, Customer
from dispatch.errors import Conflict, DispatchError, Forbidden, Invalid, UnknownReference
from dispatch.events import Actor, record
from dispatch.gazetteer import Wanted, located
from dispatch.keys import Principal, issue_key
from dispatch.offer import OPEN, Offer, OfferStatus
from dispatch.offer_round import OfferRound, RoundStatus
from dispatch.organization import Organization
from dispatch.places import Place
from dispatch.placing import lock_visit
from dispatch.service_request import Priority, ServiceRequest, Source
from dispatch.settings import Settings
from dispatch.shift import local_day
from dispatch.technician import Engagement, Technician
from dispatch.territory import Territory, territory_at

RequestStatus = Literal["open", "offering", "booked", "in_progress", "completed", "unfilled", "cancelled"]
"""open: nothing promised; offering: an offer is pending; unfilled: nobody took it."""
Result = Literal["created", "existing", "refused"]


@dataclass(frozen=True, slots=True)
class NewCustomer:
    name: str
    phone: str | None = None
    email: str | None = None
    preferred_channel: Channel | None = None
    language: str | None = None


@dataclass(frozen=True, slots=True)
class NewRequest:
    """What whoever registers it says. preferred_technician_id: of a technician engaged by the same organization."""

    service_id: str
    customer: NewCustomer
    place: Place
    notes: str | None = None
    priority: Priority = Priority.NORMAL
    earliest_start: datetime | None = None
    due: datetime | None = None
    preferred_technician_id: str | None = None
    source: Source = Source.API
    external_id: str | None = None


def register(
    session: Session, organization_id: str, new: NewRequest, by: Actor, now: datetime
) -> tuple[ServiceRequest, Appointment]:
    """A request and its one appointment, unassigned, nothing promised. Raises `UnknownReference`, `OutsideTerritories`,
    `Invalid`, and `Conflict` where the external id is taken."""
    service = session.get(Service, new.service_id)
    if service is None or service.organization_id != organization_id:
        raise UnknownReference("service_id")
    _require_sensible_times(new)
    territory = territory_at(session, organization_id, new.place)
    _require_new(session, organization_id, new.external_id)
    customer = Customer(
        organization_id=organization_id,
        name=new.customer.name,
        phone=_phone(new.customer.phone, territory),
        email=_email(new.customer.email),
        preferred_channel=new.customer.preferred_channel,
        language=new.customer.language,
        created_at=now,
    )
    session.add(customer)
    session.flush()
    request = ServiceRequest(
        organization_id=organization_id,
        territory_id=territory.id,
        service_id=service.id,
        customer_id=customer.id,
        lat=new.place.lat,
        lon=new.place.lon,
        address=new.place.address,
        notes=new.notes,
        priority=new.priority,
        earliest_start=new.earliest_start,
        due=new.due,
        preferred_technician_no=_technician_no(session, organization_id, new.preferred_technician_id),
        source=new.source,
        external_id=new.external_id,
        created_at=now,
    )
    try:
        with session.begin_nested():
            session.add(request)
            session.flush()
    except IntegrityError:
        _require_new(session, organization_id, new.external_id)
        raise
    return request, open_request(session, request, by, now)


def open_request(session: Session, request: ServiceRequest, by: Actor, now: datetime) -> Appointment:
    """The one appointment of a new request, unassigned, nothing promised."""
    session.add(request)
    session.flush()
    appointment = Appointment(
        organization_id=request.organization_id,
        territory_id=request.territory_id,
        service_request_id=request.id,
        created_at=now,
    )
    session.add(appointment)
    session.flush()
    record(session, request.organization_id, request.id, "request.created", now, by)
    return appointment


def require_may_register(principal: Principal, priority: Priority, external_id: str | None) -> None:
    """Raises `Forbidden` where the public asks for what only the organization may."""
    if principal.role in STAFF:
        return
    if priority in (Priority.HIGH, Priority.EMERGENCY):
        raise Forbidden(detail="Only the organization may set a priority above normal.")
    if external_id is not None:
        raise Forbidden(detail="Only the organization may set an external_id.")


def manage_token(session: Session, request: ServiceRequest, now: datetime) -> str:
    """A new key by which the customer manages this request and its visit."""
    _, plaintext = issue_key(
        session, "customer", organization_id=request.organization_id, service_request_id=request.id, now=now
    )
    return plaintext


def request_by_external_id(session: Session, organization_id: str, external_id: str) -> ServiceRequest | None:
    query = select(ServiceRequest).where(
        ServiceRequest.organization_id == organization_id, ServiceRequest.external_id == external_id
    )
    return session.exec(query).first()


def _require_new(session: Session, organization_id: str, external_id: str | None) -> None:
    existing = request_by_external_id(session, organization_id, external_id) if external_id else None
    if existing is not None:
        raise ExternalIdTaken(existing)


class ExternalIdTaken(Conflict):
    """The organization has a request with this external id already: `existing`."""

    default_code = "external_id_taken"
    default_detail = "A request with this external_id exists already."

    def __init__(self, existing: ServiceRequest) -> None:
        super().__init__(service_request_id=existing.id)
        self.existing = existing


def _require_sensible_times(new: NewRequest) -> None:
    if new.due is not None and new.earliest_start is not None and new.due <= new.earliest_start:
        raise Invalid(errors=[("due", "must be after earliest_start")])


def _phone(number: str | None, territory: Territory) -> str | None:
    return None if number is None else phone_number(number, territory.time_zone, "customer.phone")


def _email(address: str | None) -> str | None:
    return None if address is None else email_address(address, "customer.email")


def _technician_no(session: Session, organization_id: str, technician_id: str | None) -> int | None:
    if technician_id is None:
        return None
    query = (
        select(Technician.no)
        .where(Technician.id == technician_id, Engagement.technician_no == Technician.no)
        .where(Engagement.organization_id == organization_id)
    )
    found = session.exec(query).first()
    if found is None:
        raise UnknownReference("preferred_technician_id")
    return found


# Many at once


@dataclass(frozen=True, slots=True)
class Row:
    """A row of an import that could be read. new: what to register, once its place is known."""

    line: int
    place: Wanted
    new: Callable[[Place], NewRequest]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A row of an import that could not be read, and why."""

    line: int
    refusal: DispatchError


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a row: `created`, `existing` by its external id, or `refused` and why."""

    line: int
    result: Result
    request: ServiceRequest | None = None
    appointment_id: str | None = None
    refusal: DispatchError | None = None


def register_rows(
    session: Session,
    settings: Settings,
    organization_id: str,
    rows: Iterable[Row | Unreadable],
    by: Actor,
    now: datetime,
) -> list[Outcome]:
    """Registers each row by itself: one that is refused takes nothing away from the others."""
    outcomes = [_register_row(session, settings, organization_id, row, by, now) for row in rows]
    after: dict[str, Any] = {**Counter(outcome.result for outcome in outcomes)}
    record(session, organization_id, organization_id, "requests.imported", now, by, after=after)
    session.flush()
    return outcomes


def _register_row(
    session: Session,
    settings: Settings,
    organization_id: str,
    row: Row | Unreadable,
    by: Actor,
    now: datetime,
) -> Outcome:
    if isinstance(row, Unreadable):
        return Outcome(row.line, "refused", refusal=row.refusal)
    try:
        with session.begin_nested():
            new = row.new(located(session, settings, row.place))
            request, appointment = register(session, organization_id, new, by, now)
    except ExternalIdTaken as known:
        return Outcome(row.line, "existing", known.existing, appointment_of(session, known.existing.id).id)
    except DispatchError as refusal:
        if refusal.status >= 500:
            raise
        return Outcome(row.line, "refused", refusal=refusal)
    return Outcome(row.line, "created", request, appointment.id)


# Correcting and withdrawing


def correct(
    session: Session,
    settings: Settings,
    request: ServiceRequest,
    changes: Mapping[str, Any],
    by: Actor,
    now: datetime,
    slot_id: str | None = None,
) -> ServiceRequest:
    """Takes over what was sent of `place` (a `Place`), `notes` and `customer` (fields of a `Customer`); what is absent
    stays. slot_id: see `move_place`. Raises `Invalid`, and for a place as `move_place`."""
    if "place" in changes:
        move_place(session, settings, request, changes["place"], by, now, slot_id)
    if "notes" in changes:
        request.notes = changes["notes"]
    if "customer" in changes:
        _correct_customer(session, request, changes["customer"])
    request.version += 1
    session.add(request)
    record(
        session,
        request.organization_id,
        request.id,
        "request.changed",
        now,
        by,
        after={"fields": sorted(changes)},
    )
    session.flush()
    return request


def _correct_customer(session: Session, request: ServiceRequest, changes: Mapping[str, Any]) -> None:
    customer = session.get_one(Customer, request.customer_id)
    territory = session.get_one(Territory, request.territory_id)
    clean: dict[str, Callable[[Any], Any]] = {
        "phone": lambda number: _phone(number, territory),
        "email": _email,
    }
    for field, value in changes.items():
        setattr(customer, field, clean[field](value) if field in clean else value)
    session.add(customer)


def move_place(
    session: Session,
    settings: Settings,
    request: ServiceRequest,
    place: Place,
    by: Actor,
    now: datetime,
    slot_id: str | None = None,
) -> None:
    """Corrects where the visit is. A planned one is planned anew for its promise, with whoever can keep it there; what
    was dispatched needs a new acceptance. slot_id: of another window to promise instead, for a planned visit.

    Raises `OutsideTerritories`, `InvalidState` once the technician is on the way, and `SlotTaken` with the next best
    slots at the new place where nobody can keep the promise there; with a slot_id also as `booking.reschedule`."""
    appointment = appointment_of(session, request.id)
    lock_visit(session, appointment.id)
    moves = (place.lat, place.lon) != (request.lat, request.lon)
    is_planned = moves and appointment.technician_no is not None
    if moves:
        appointment.require(Status.UNASSIGNED, Status.SCHEDULED, Status.DISPATCHED)
        territory = territory_at(session, request.organization_id, place)
        if is_planned:
            booking.give_back(session, settings, appointment)
        request.territory_id = appointment.territory_id = territory.id
        appointment.version += 1
    request.lat, request.lon, request.address = place.lat, place.lon, place.address
    session.add_all([request, appointment])
    session.flush()
    if is_planned and slot_id is not None:
        booking.reschedule(session, settings, appointment, slot_id, by, now)
    elif is_planned:
        booking.plan_anew(session, settings, appointment, by, now)


def cancel(
    session: Session,
    settings: Settings,
    request: ServiceRequest,
    by: Actor,
    now: datetime,
    reason: str | None,
) -> Appointment:
    """Withdraws the request and cancels its appointment, whatever stands."""
    appointment = appointment_of(session, request.id)
    lock_visit(session, appointment.id)
    booking.cancel(session, settings, appointment, by, now, reason)
    return appointment


# Reading


@dataclass(frozen=True, slots=True)
class Standing:
    """How a request stands. status: derived, see `RequestStatus`."""

    status: RequestStatus
    appointment: Appointment
    customer: Customer


def standing_of(session: Session, requests: Sequence[ServiceRequest]) -> dict[str, Standing]:
    """By request id."""
    query = (
        select(ServiceRequest.id, _derived_status(), Appointment, Customer)
        .where(Appointment.service_request_id == ServiceRequest.id, Customer.id == ServiceRequest.customer_id)
        .where(col(ServiceRequest.id).in_([request.id for request in requests]))
    )
    return {
        request_id: Standing(cast(RequestStatus, status), appointment, customer)
        for request_id, status, appointment, customer in session.exec(query)
    }


def _derived_status() -> ColumnElement[str]:
    """Of the request behind an `Appointment`."""
    status = col(Appointment.status)
    return case(
        (status == Status.CANCELLED, literal("cancelled")),
        (status.in_((Status.COMPLETED, Status.CANNOT_COMPLETE)), literal("completed")),
        (status.in_(UNDER_WAY), literal("in_progress")),
        (status == Status.DISPATCHED, literal("booked")),
        (_has_offer(*OPEN), literal("offering")),
        (status.in_((Status.UNASSIGNED, Status.SCHEDULED)) & _is_unfilled(), literal("unfilled")),
        (col(Appointment.window_start).is_not(None), literal("booked")),
        else_=literal("open"),
    )


def _is_unfilled() -> Exists:
    """Whether nobody took it when it was last offered, and nothing has changed since."""
    return exists().where(
        col(OfferRound.appointment_id) == col(Appointment.id),
        col(OfferRound.status) == RoundStatus.UNFILLED,
        col(OfferRound.ended_version) == col(Appointment.version),
    )


def _has_offer(*statuses: OfferStatus) -> Exists:
    return (
        select(Offer.id)
        .where(Offer.appointment_id == Appointment.id, col(Offer.status).in_(statuses))
        .correlate(Appointment)
        .exists()
    )


@dataclass(frozen=True, slots=True)
class Wish:
    """Which requests: by derived status, words in what people wrote, and local dates of creation (both included)."""

    status: str | None = None
    q: str | None = None
    from_: date | None = None
    to: date | None = None


def requests_like(organization: Organization, wish: Wish) -> SelectOfScalar[ServiceRequest]:
    """The organization's requests that are as wished; dates are read in its time zone."""
    query = (
        select(ServiceRequest)
        .join(Appointment, col(Appointment.service_request_id) == ServiceRequest.id)
        .where(ServiceRequest.organization_id == organization.id)
    )
    zone = ZoneInfo(organization.time_zone)
    if wish.from_ is not None:
        query = query.where(col(ServiceRequest.created_at) >= local_day(wish.from_, zone)[0])
    if wish.to is not None:
        query = query.where(col(ServiceRequest.created_at) < local_day(wish.to, zone)[1])
    if wish.status is not None:
        query = query.where(_derived_status() == wish.status)
    if wish.q is not None:
        texts = (Customer.name, ServiceRequest.address, ServiceRequest.notes, ServiceRequest.external_id)
        query = query.join(Customer, col(Customer.id) == ServiceRequest.customer_id).where(
            or_(*(col(text).icontains(wish.q, autoescape=True) for text in texts))
        )
    return query
