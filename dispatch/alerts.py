"""What of a day wants a dispatcher, the most urgent first, each with the repair that would answer it.

One alert a visit says that it is in trouble: its technician did not come, its window passed with nobody there, its
technician should have set out, or it will be late; of these the gravest. Beside it a visit may be unfilled, asked for
another pay, or its customer not told."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal

from sqlmodel import Session, col, func, select

from dispatch.appointment import ENDED, Appointment, Status
from dispatch.events import Event
from dispatch.expected import Expected
from dispatch.offer import Offer, OfferStatus
from dispatch.offer_round import unfilled_rounds
from dispatch.outbox import Notification, State
from dispatch.service_request import ServiceRequest


class AlertKind(StrEnum):
    """In order of urgency. no_show: the technician did not come, or the customer's door stayed closed. overdue: the
    technician should have set out."""

    NO_SHOW = "no_show"
    PROMISE_BROKEN = "promise_broken"
    OVERDUE = "overdue"
    LATE = "late"
    UNFILLED = "unfilled"
    COUNTER_OFFER = "counter_offer"
    MESSAGE_FAILED = "message_failed"


RepairKind = Literal["absent", "overrun", "emergency"]
_URGENCY = {kind: rank for rank, kind in enumerate(AlertKind)}
_NOT_THERE = (Status.UNASSIGNED, Status.SCHEDULED, Status.DISPATCHED, Status.EN_ROUTE)


@dataclass(frozen=True, slots=True)
class Repair:
    """What would answer an alert: the plan made anew around who is absent, what overruns or what has to be done at
    once."""

    kind: RepairKind
    technician_id: str | None = None
    appointment_id: str | None = None


@dataclass(frozen=True, slots=True)
class Alert:
    """since: when it came to be, or will have."""

    kind: AlertKind
    since: datetime
    detail: str
    appointment_id: str | None = None
    technician_id: str | None = None
    repair: Repair | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """A visit of the day, and whose it is: the technician's id."""

    appointment: Appointment
    technician_id: str | None = None


def alerts_of(
    session: Session,
    visits: Sequence[Shown],
    expected: Mapping[str, Expected],
    offers: Mapping[str, Sequence[Offer]],
    technician_ids: Mapping[int, str],
    now: datetime,
) -> tuple[Alert, ...]:
    """expected: by appointment. offers: by appointment, that may still be answered. technician_ids: by number."""
    known_since = _late_since(session, [id_ for id_, found in expected.items() if found.is_late])
    found = [
        *_troubles(visits, expected, known_since, now),
        *_closed_doors(session, visits),
        *_unfilled(session, visits),
        *_counters(session, visits, offers, technician_ids),
        *_not_told(session, visits),
    ]
    return tuple(sorted(found, key=lambda alert: (_URGENCY[alert.kind], alert.since, alert.appointment_id)))


def _troubles(
    visits: Iterable[Shown],
    expected: Mapping[str, Expected],
    known_since: Mapping[str, datetime],
    now: datetime,
) -> Iterator[Alert]:
    for shown in visits:
        visit = shown.appointment
        passed = visit.window_end if visit.status in _NOT_THERE else None
        found = expected.get(visit.id)
        if passed is not None and passed < now:
            yield _broken(shown, passed)
        elif found is not None and found.departure is not None:
            yield _overdue(shown, found, found.departure)
        elif found is not None and found.is_late:
            yield _late(shown, found, known_since.get(visit.id, now))


def _broken(shown: Shown, passed: datetime) -> Alert:
    visit, technician_id = shown.appointment, shown.technician_id
    if visit.status is Status.DISPATCHED:
        said = "The window passed, and its technician has not come nor set out."
        repair = Repair("absent", technician_id)
        return Alert(AlertKind.NO_SHOW, passed, said, visit.id, technician_id, repair)
    if visit.status is Status.EN_ROUTE:
        said = "The window passed, and its technician is still on the way."
        repair = Repair("overrun", technician_id, visit.id)
    else:
        said = "The window passed, and nobody has committed to come."
        repair = Repair("emergency", None, visit.id)
    return Alert(AlertKind.PROMISE_BROKEN, passed, said, visit.id, technician_id, repair)


def _overdue(shown: Shown, found: Expected, departure: datetime) -> Alert:
    said = "Its technician should have set out, and has said nothing."
    if found.is_late:
        said += f" It would come {_minutes(found)} after the promised window."
    repair = Repair("absent", shown.technician_id)
    return Alert(AlertKind.OVERDUE, departure, said, shown.appointment.id, shown.technician_id, repair)


def _late(shown: Shown, found: Expected, since: datetime) -> Alert:
    said = f"It will begin {_minutes(found)} after the promised window."
    repair = Repair("overrun", shown.technician_id, found.held_up_by or shown.appointment.id)
    return Alert(AlertKind.LATE, since, said, shown.appointment.id, shown.technician_id, repair)


def _minutes(found: Expected) -> str:
    return f"{-(-found.late_by_s // 60)} minutes"


def _late_since(session: Session, appointment_ids: Collection[str]) -> dict[str, datetime]:
    """When each was last recorded to be late."""
    query = (
        select(Event.subject_id, func.max(Event.at))
        .where(col(Event.subject_id).in_(appointment_ids), Event.type == "appointment.late")
        .group_by(col(Event.subject_id))
    )
    return dict(session.exec(query).all()) if appointment_ids else {}


def _closed_doors(session: Session, visits: Iterable[Shown]) -> Iterator[Alert]:
    """Visits that could not be made, until somebody has asked for one that follows."""
    failed = {
        shown.appointment.service_request_id: shown
        for shown in visits
        if shown.appointment.status is Status.CANNOT_COMPLETE
    }
    if not failed:
        return
    followed = select(ServiceRequest.follow_up_of).where(
        col(ServiceRequest.follow_up_of).in_(failed), col(ServiceRequest.cancelled_at).is_(None)
    )
    for request_id in session.exec(followed):
        failed.pop(request_id or "", None)
    why = select(Event.subject_id, Event.reason).where(
        col(Event.subject_id).in_([shown.appointment.id for shown in failed.values()]),
        Event.type == f"appointment.{Status.CANNOT_COMPLETE.value}",
    )
    reasons = dict(session.exec(why.order_by(col(Event.at), col(Event.id))).all())
    for shown in failed.values():
        visit = shown.appointment
        said = f"It could not be completed: {reasons.get(visit.id) or 'no reason was said'}. Nothing follows yet."
        since = visit.actual_end or visit.created_at
        yield Alert(AlertKind.NO_SHOW, since, said, visit.id, shown.technician_id)


def _unfilled(session: Session, visits: Iterable[Shown]) -> Iterator[Alert]:
    waiting = [shown.appointment for shown in visits if shown.appointment.status is Status.UNASSIGNED]
    for appointment_id, found in unfilled_rounds(session, waiting).items():
        yield Alert(
            AlertKind.UNFILLED,
            found.ended_at or found.created_at,
            "It was offered, and nobody took it.",
            appointment_id,
            repair=Repair("emergency", None, appointment_id),
        )


def _counters(
    session: Session,
    visits: Iterable[Shown],
    offers: Mapping[str, Sequence[Offer]],
    technician_ids: Mapping[int, str],
) -> Iterator[Alert]:
    countered = [
        offer
        for shown in visits
        for offer in offers.get(shown.appointment.id, ())
        if offer.status is OfferStatus.COUNTERED
    ]
    if not countered:
        return
    query = (
        select(Event.subject_id, func.max(Event.at))
        .where(col(Event.subject_id).in_([offer.id for offer in countered]), Event.type == "offer.countered")
        .group_by(col(Event.subject_id))
    )
    since = dict(session.exec(query).all())
    for offer in countered:
        said = "Its technician would come for another pay, and waits for an answer."
        technician_id = technician_ids.get(offer.technician_no)
        at = since.get(offer.id, offer.created_at)
        yield Alert(AlertKind.COUNTER_OFFER, at, said, offer.appointment_id, technician_id)


def _not_told(session: Session, visits: Iterable[Shown]) -> Iterator[Alert]:
    """The last message of each present promise that reached nobody."""
    ahead = {shown.appointment.id: shown for shown in visits if shown.appointment.status not in ENDED}
    query = select(Notification).where(
        col(Notification.appointment_id).in_(ahead), Notification.state == State.GIVEN_UP
    )
    failed = {row.appointment_id: row for row in session.exec(query.order_by(col(Notification.ended_at)))}
    for appointment_id, row in failed.items():
        shown = ahead[appointment_id]
        if row.revision == shown.appointment.promise_revision:
            said = f"The customer could not be told ({row.kind.value}): telephone."
            at = row.ended_at or row.created_at
            yield Alert(AlertKind.MESSAGE_FAILED, at, said, appointment_id, shown.technician_id)
