"""What endpoints of others are to be told: their deliveries are written with the event, in its transaction, so that
nothing is told of what was rolled back.

A body holds the event as the visit's list of events shows it to dispatchers, and what it is about as it stood then. It
holds no name, phone number, mail or street address of a customer, and no token: who needs these reads them with a
key."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam
from sqlmodel import Session, col, select

from dispatch.appointment import Appointment, appointment_of
from dispatch.feedback import Feedback
from dispatch.instants import instant_told
from dispatch.offer import Offer
from dispatch.organization import Organization
from dispatch.service_request import ServiceRequest
from dispatch.technician import Technician
from dispatch.webhook import EventType, WebhookDelivery, WebhookEndpoint

if TYPE_CHECKING:
    from dispatch.events import Event

_TOLD = frozenset(EventType)
_WANTING = (
    select(WebhookEndpoint.id, WebhookEndpoint.events)
    .where(
        WebhookEndpoint.organization_id == bindparam("organization_id"),
        col(WebhookEndpoint.disabled_at).is_(None),
    )
    .with_for_update(read=True, key_share=True)
)
"""Locked against deletion until the event is committed."""
_KNOWN = "webhook_endpoints"
_APPOINTMENT_SHOWN = (
    "id",
    "service_request_id",
    "status",
    "scheduled_start",
    "scheduled_end",
    "expected_start",
    "actual_start",
    "actual_end",
    "pinned",
    "pinned_time",
    "customer_confirmed_at",
    "version",
)
_OFFER_SHOWN = (
    "id",
    "appointment_id",
    "strategy",
    "status",
    "travel_s",
    "travel_m",
    "detour_s",
    "duration_s",
    "expires_at",
)
_REQUEST_SHOWN = (
    "id",
    "service_id",
    "territory_id",
    "priority",
    "earliest_start",
    "due",
    "source",
    "external_id",
    "follow_up_of",
    "created_at",
    "version",
)
_FEEDBACK_SHOWN = ("csat", "ces", "nps", "comment")


def follow(session: Session, event: "Event") -> None:
    """Writes a delivery to each endpoint that wants the event. Called where events are recorded, after what they tell
    of has been done; for an organization without endpoints it is one look a transaction."""
    if event.type not in _TOLD:
        return
    wanting = [
        endpoint_id
        for endpoint_id, types in _endpoints(session, event.organization_id)
        if not types or event.type in types
    ]
    if not wanting:
        return
    session.flush()
    told = {"type": event.type, "timestamp": event.at, "data": _data(session, event)}
    body = json.dumps(told, default=_rendered, separators=(",", ":"), ensure_ascii=False)
    session.add_all(
        WebhookDelivery(
            endpoint_id=endpoint_id,
            event_id=event.id,
            type=event.type,
            body=body,
            due_at=event.at,
            created_at=event.at,
        )
        for endpoint_id in wanting
    )


def _endpoints(session: Session, organization_id: str) -> Sequence[tuple[str, list[str]]]:
    """Those that are sent to, with the types that each wants; asked once in a transaction."""
    transaction = session.get_transaction() or session.begin()
    known = session.info.get(_KNOWN)
    if known is None or known[0] is not transaction:
        known = session.info[_KNOWN] = (transaction, {})
    by_organization: dict[str, Sequence[tuple[str, list[str]]]] = known[1]
    if organization_id not in by_organization:
        found = session.connection().execute(_WANTING, {"organization_id": organization_id})
        by_organization[organization_id] = [(row[0], row[1]) for row in found]
    return by_organization[organization_id]


def forget_known(session: Session) -> None:
    """The organization's endpoints have changed within this transaction."""
    session.info.pop(_KNOWN, None)


def _rendered(value: Any) -> str:
    """Instants as the API answers them."""
    if not isinstance(value, datetime):
        raise TypeError(f"{type(value).__name__} has no place in a webhook")
    return instant_told(value)


# What it is about


def _data(session: Session, event: "Event") -> dict[str, Any]:
    """The ids first, then the event, then the things that it is about."""
    appointment, request = _subject(session, event)
    happened = {"by": event.by, "reason": event.reason, "before": event.before, "after": event.after}
    about = _ABOUT[event.type.partition(".")[0]]
    return {
        "event_id": event.id,
        "appointment_id": appointment.id,
        "service_request_id": request.id,
        "external_id": request.external_id,
        **{name: value for name, value in happened.items() if value is not None},
        **about(session, appointment, request, event.after or {}),
    }


def _subject(session: Session, event: "Event") -> tuple[Appointment, ServiceRequest]:
    if event.type.startswith("request."):
        appointment = appointment_of(session, event.subject_id)
    else:
        appointment = session.get_one(Appointment, event.subject_id)
    return appointment, session.get_one(ServiceRequest, appointment.service_request_id)


def _of_appointment(
    session: Session, appointment: Appointment, _request: ServiceRequest, _after: Mapping[str, Any]
) -> dict[str, Any]:
    return {"appointment": _appointment(session, appointment)}


def _of_offer(
    session: Session, appointment: Appointment, _request: ServiceRequest, after: Mapping[str, Any]
) -> dict[str, Any]:
    offer = session.get_one(Offer, after["offer_id"])
    currency = session.get_one(Organization, offer.organization_id).currency
    shown = {
        **offer.model_dump(include=set(_OFFER_SHOWN)),
        "technician_id": _technician(session, offer.technician_no).id,
        "pay": {"amount": offer.pay_cents, "currency": currency},
        "arrival_window": _window(appointment),
    }
    return {"offer": shown}


def _of_request(
    session: Session, appointment: Appointment, request: ServiceRequest, _after: Mapping[str, Any]
) -> dict[str, Any]:
    shown = {**request.model_dump(include=set(_REQUEST_SHOWN)), "appointment_id": appointment.id}
    return {"service_request": shown, "appointment": _appointment(session, appointment)}


def _of_feedback(
    session: Session, appointment: Appointment, _request: ServiceRequest, _after: Mapping[str, Any]
) -> dict[str, Any]:
    given = session.get_one(Feedback, appointment.id)
    return {
        "feedback": given.model_dump(include=set(_FEEDBACK_SHOWN)),
        "appointment": _appointment(session, appointment),
    }


_ABOUT: Mapping[str, Callable[[Session, Appointment, ServiceRequest, Mapping[str, Any]], dict[str, Any]]] = {
    "appointment": _of_appointment,
    "offer": _of_offer,
    "request": _of_request,
    "feedback": _of_feedback,
}
"""By the first word of the event's type."""


def _appointment(session: Session, appointment: Appointment) -> dict[str, Any]:
    """As `GET /v1/appointments/{id}` shows it to dispatchers, without its events."""
    technician = None
    if appointment.technician_no is not None:
        planned = _technician(session, appointment.technician_no)
        technician = {"id": planned.id, "name": planned.name}
    return {
        **appointment.model_dump(include=set(_APPOINTMENT_SHOWN)),
        "arrival_window": _window(appointment),
        "technician": technician,
    }


def _window(appointment: Appointment) -> dict[str, datetime] | None:
    if appointment.window_start is None or appointment.window_end is None:
        return None
    return {"start": appointment.window_start, "end": appointment.window_end}


def _technician(session: Session, no: int) -> Technician:
    return session.exec(select(Technician).where(Technician.no == no)).one()
