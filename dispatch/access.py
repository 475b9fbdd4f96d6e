"""Who may see what: a caller finds its own, and nothing else exists for it.

Callers that are about to change something ask with `change=True`: the rows are locked until the transaction ends, a
calendar's before an appointment's before an offer's, so that of two changes the second sees what the first did."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from sqlmodel import Session, SQLModel, col, select

from dispatch.appointment import HELD_BY_TECHNICIAN, Appointment, Status
from dispatch.decision import Decision
from dispatch.errors import InvalidSlot, NotFound, UnknownReference
from dispatch.events import Actor, Event
from dispatch.hold import Hold
from dispatch.keys import Principal
from dispatch.offer import Offer
from dispatch.offering import lock_offer
from dispatch.organization import Organization
from dispatch.placing import lock_visit
from dispatch.plan_run import PlanRun
from dispatch.planning import asked_job
from dispatch.review import Review
from dispatch.service_request import ServiceRequest
from dispatch.settings import Settings
from dispatch.slots import slot_request
from dispatch.technician import Engagement, EngagementStatus, Technician, require_approved, technician_by_id
from dispatch.territory import Territory

STAFF = ("dispatcher", "integration")
VISITED = (Status.COMPLETED, Status.CANNOT_COMPLETE)
PUBLIC_FIELDS = frozenset(
    {"status", "start", "end", "arrival_window", "occurred_at", "by_s", "expected_start"}
)
"""Of events, what customers and technicians are shown too."""
Row = TypeVar("Row", bound=SQLModel)
OfOrganization = TypeVar("OfOrganization", Territory, PlanRun, Review)


def actor_of(principal: Principal) -> Actor:
    """The caller as events name it."""
    role = "public" if principal.role == "anonymous" else principal.role
    return Actor(role, principal.technician_id or principal.key_id)


def own_organization(session: Session, principal: Principal) -> Organization:
    """Of a dispatcher, an integration or a customer."""
    return session.get_one(Organization, principal.organization_id)


def organization_named(session: Session, principal: Principal, slug: str) -> Organization:
    """The organization that a body names. Raises `UnknownReference` where there is none or, for its staff, another."""
    found = session.exec(select(Organization).where(Organization.slug == slug)).first()
    if found is None or (principal.role in STAFF and found.id != principal.organization_id):
        raise UnknownReference("organization")
    return found


def request_of(
    session: Session, principal: Principal, request_id: str, *, change: bool = False
) -> ServiceRequest:
    """Raises `NotFound` unless it is the organization's, or the customer's own."""
    found = _read(session, ServiceRequest, request_id, change)
    if found is None or not _owns(principal, found.organization_id, found.id):
        raise NotFound
    return found


def appointment_of_caller(
    session: Session, principal: Principal, appointment_id: str, *, change: bool = False
) -> Appointment:
    """Raises `NotFound` unless it is the organization's, the customer's own, or planned with the technician;
    `Forbidden` for a technician whom no organization lets work."""
    found = lock_visit(session, appointment_id) if change else session.get(Appointment, appointment_id)
    if found is None:
        raise NotFound
    if principal.role != "technician":
        if not _owns(principal, found.organization_id, found.service_request_id):
            raise NotFound
        return found
    technician = technician_by_id(session, principal.technician_id or "")
    if found.technician_no != technician.no:
        raise NotFound
    require_approved(session, technician)
    return found


def appointment_of_request(session: Session, principal: Principal, request_id: str) -> Appointment:
    """The appointment to change of a request that a body names. Raises `UnknownReference`."""
    try:
        request = request_of(session, principal, request_id)
    except NotFound as error:
        raise UnknownReference("service_request_id") from error
    job, _ = asked_job(session, request)
    locked = lock_visit(session, job.appointment.id, job.appointment)
    assert locked is not None
    return locked


def request_of_slot(
    session: Session, principal: Principal, settings: Settings, slot_id: str
) -> ServiceRequest:
    """The request that a slot was offered to. Raises `InvalidSlot`, also where the request is not the caller's."""
    try:
        return request_of(session, principal, slot_request(settings, slot_id), change=True)
    except NotFound as error:
        raise InvalidSlot from error


def hold_of(session: Session, principal: Principal, hold_id: str) -> Hold:
    """Raises `NotFound` unless it is held for a request of the caller's."""
    held = session.get(Hold, hold_id, with_for_update=True, populate_existing=True)
    if held is None or not _owns(principal, held.organization_id, held.service_request_id):
        raise NotFound
    return held


def offer_of(session: Session, principal: Principal, offer_id: str, *, change: bool = False) -> Offer:
    """Raises `NotFound` unless the technician was asked, or it is the dispatcher's organization that asks."""
    found = session.get(Offer, offer_id)
    if found is None:
        raise NotFound
    if principal.role == "technician":
        if found.technician_no != technician_by_id(session, principal.technician_id or "").no:
            raise NotFound
    elif found.organization_id != principal.organization_id:
        raise NotFound
    if change:
        lock_offer(session, found)
    return found


def owned(
    session: Session, principal: Principal, model: type[OfOrganization], id_: str, *, change: bool = False
) -> OfOrganization:
    """A row of the caller's organization. Raises `NotFound`."""
    found = _read(session, model, id_, change)
    if found is None or found.organization_id != principal.organization_id:
        raise NotFound
    return found


def territory_named(session: Session, principal: Principal, territory_id: str) -> Territory:
    """The territory that a body or a query names. Raises `UnknownReference`."""
    try:
        return owned(session, principal, Territory, territory_id)
    except NotFound as error:
        raise UnknownReference("territory_id") from error


def technician_named(session: Session, principal: Principal, technician_id: str) -> Technician:
    """A technician that a body of a dispatcher's names, whom the organization lets work. Raises `UnknownReference`."""
    query = (
        select(Technician)
        .join(Engagement, col(Engagement.technician_no) == Technician.no)
        .where(Technician.id == technician_id, Engagement.organization_id == principal.organization_id)
        .where(Engagement.status == EngagementStatus.ACTIVE)
    )
    found = session.exec(query).first()
    if found is None:
        raise UnknownReference("technician_id")
    return found


def appointment_named(session: Session, principal: Principal, appointment_id: str) -> Appointment:
    """An appointment that a body of a dispatcher's names. Raises `UnknownReference`."""
    found = session.get(Appointment, appointment_id)
    if found is None or found.organization_id != principal.organization_id:
        raise UnknownReference("appointment_id")
    return found


def working_technician(
    session: Session, principal: Principal, named: str = "me", *, or_suspended: bool = False
) -> Technician:
    """The technician that calls, named by its id or as `me`. Raises `NotFound` for another's id, and `Forbidden` while
    no organization lets it work; or_suspended: while none has approved it."""
    if named not in ("me", principal.technician_id):
        raise NotFound
    technician = technician_by_id(session, principal.technician_id or "")
    require_approved(session, technician, or_suspended=or_suspended)
    return technician


def decision_about(session: Session, technician: Technician, decision_id: str) -> Decision:
    """To be reviewed. Raises `NotFound` unless it is about the technician."""
    found = _read(session, Decision, decision_id, change=True)
    if found is None or found.technician_no != technician.no:
        raise NotFound
    return found


def shows_technician(principal: Principal, appointment: Appointment) -> bool:
    """A customer learns who comes once the technician has committed."""
    return principal.role != "customer" or appointment.status in (*HELD_BY_TECHNICIAN, *VISITED)


@dataclass(frozen=True, slots=True)
class ShownEvent:
    """What happened to a visit, as far as the caller may know."""

    type: str
    at: datetime
    by: str
    reason: str | None
    before: dict[str, Any] | None
    after: dict[str, Any] | None


def events_shown(principal: Principal, events: Iterable[Event]) -> list[ShownEvent]:
    """All of them to the organization; to customers and technicians what became of the visit, and the words of nobody
    else."""
    return [
        ShownEvent(e.type, e.at, e.by, e.reason, e.before, e.after)
        if principal.role in STAFF
        else ShownEvent(
            e.type,
            e.at,
            e.by,
            e.reason if _is_own(principal, e) else None,
            _public(e.before),
            _public(e.after),
        )
        for e in events
        if principal.role in STAFF or e.type.startswith("appointment.")
    ]


def _is_own(principal: Principal, event: Event) -> bool:
    if principal.role == "customer":
        return event.by == "customer"
    return event.by == "technician" and event.by_id == principal.technician_id


def _public(fields: dict[str, Any] | None) -> dict[str, Any] | None:
    kept = {name: value for name, value in (fields or {}).items() if name in PUBLIC_FIELDS}
    return kept or None


def technicians_by_no(session: Session, numbers: list[int]) -> dict[int, Technician]:
    """By number."""
    if not numbers:
        return {}
    found = session.exec(select(Technician).where(col(Technician.no).in_(numbers))).all()
    return {technician.no: technician for technician in found if technician.no is not None}


def _owns(principal: Principal, organization_id: str, service_request_id: str) -> bool:
    if principal.role == "customer":
        return principal.service_request_id == service_request_id
    return principal.role in STAFF and principal.organization_id == organization_id


def _read(session: Session, model: type[Row], id_: str, change: bool) -> Row | None:
    if not change:
        return session.get(model, id_)
    return session.get(model, id_, with_for_update=True, populate_existing=True)
