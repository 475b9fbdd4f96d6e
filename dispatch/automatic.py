"""What is asked and told without a person: rounds that go on, visits whose time to be offered has come, and employees'
visits at their release. Each is one transaction, once, after whatever downtime, and however many workers there are."""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog
from sqlalchemy import ColumnElement, Engine, false, or_
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from dispatch import database, offering
from dispatch.appointment import Appointment, Status
from dispatch.asking import Asking, begin
from dispatch.catalogue import Service
from dispatch.database import available, open_session
from dispatch.errors import Conflict
from dispatch.events import SYSTEM, record
from dispatch.offer import OfferStrategy
from dispatch.offer_round import OfferRound, RoundStatus
from dispatch.placing import lock_visit
from dispatch.planning import job_of
from dispatch.service_request import ServiceRequest
from dispatch.settings import Settings
from dispatch.technician import Engagement, EngagementStatus, Kind

AT_A_TIME = 25
"""Of each kind, in one turn of a worker: others wait meanwhile."""
log = structlog.get_logger(__name__)


Step = Callable[[Session], Counter[str]]
"""Does one thing that is due, unless somebody was quicker, and counts what it did: `offers_expired`, `offers_sent`,
`visits_released`."""


def run(engine: Engine, settings: Settings, now: datetime) -> Counter[str]:
    """Does what is due, and counts it."""
    with available(), open_session(engine, read_only=True) as session:
        steps = steps_due(session, settings, now)
    done: Counter[str] = Counter()
    for step in steps:
        done += _attempt(engine, step)
    return done


def _attempt(engine: Engine, step: Step) -> Counter[str]:
    """What lost to somebody's change of the same calendar is due again in the next turn."""
    try:
        return database.run(engine, step)
    except Conflict as error:
        log.info("offers_later", reason=error.detail)
        return Counter()


def steps_due(session: Session, settings: Settings, now: datetime) -> list[Step]:
    """Each to be done in a transaction of its own."""
    leads = session.exec(select(Service.offer_before_s, Service.release_before_s).distinct()).all()
    return [
        *(partial(_settle, settings, now, id_) for id_ in session.exec(offering.rounds_due(now, AT_A_TIME))),
        *(partial(_offer, settings, leads, now, id_) for id_ in session.exec(_to_offer(leads, now))),
        *(partial(_release, leads, now, id_) for id_ in session.exec(_to_release(leads, now))),
    ]


def _settle(settings: Settings, now: datetime, round_id: str, session: Session) -> Counter[str]:
    return Counter(offers_expired=offering.settle(session, settings, round_id, now))


Leads = Sequence[tuple[int, int]]
"""Of the services that there are: how long before the window offers leave, and employees' visits are released."""


def _is_time(column: Any, leads: Sequence[int], now: datetime) -> ColumnElement[bool]:
    begins = col(Appointment.window_start)
    times = [(column == lead) & (begins <= now + timedelta(seconds=lead)) for lead in set(leads)]
    return or_(false(), *times) & (col(Appointment.window_end) > now)


def _visits() -> SelectOfScalar[str]:
    return (
        select(Appointment.id)
        .join(ServiceRequest, col(ServiceRequest.id) == Appointment.service_request_id)
        .join(Service, col(Service.id) == ServiceRequest.service_id)
    )


def _to_offer(leads: Leads, now: datetime) -> SelectOfScalar[str]:
    """Promised visits that are with nobody, or with a freelancer or partner who has not been asked; of organizations
    that have any."""
    employed = select(Engagement.id).where(
        Engagement.technician_no == Appointment.technician_no,
        Engagement.organization_id == Appointment.organization_id,
        Engagement.kind == Kind.EMPLOYEE,
    )
    to_ask = select(Engagement.id).where(
        Engagement.organization_id == Appointment.organization_id,
        Engagement.status == EngagementStatus.ACTIVE,
        Engagement.kind != Kind.EMPLOYEE,
    )
    asked = select(OfferRound.id).where(
        OfferRound.appointment_id == Appointment.id,
        (col(OfferRound.status) == RoundStatus.RUNNING)
        | (col(OfferRound.ended_version) == col(Appointment.version)),
    )
    return (
        _visits()
        .where(col(Appointment.status).in_((Status.UNASSIGNED, Status.SCHEDULED)), ~employed.exists())
        .where(Service.offer_strategy != OfferStrategy.NONE, to_ask.exists(), ~asked.exists())
        .where(_is_time(col(Service.offer_before_s), [lead for lead, _ in leads], now))
        .order_by(col(Appointment.window_start), col(Appointment.id))
        .limit(AT_A_TIME)
    )


def _offer(
    settings: Settings, leads: Leads, now: datetime, appointment_id: str, session: Session
) -> Counter[str]:
    appointment = lock_visit(session, appointment_id)
    if appointment is None or not _still(session, _to_offer(leads, now), appointment_id):
        return Counter()
    strategy = job_of(session, appointment).service.offer_strategy
    if appointment.pinned:
        strategy = OfferStrategy.DIRECT
    sent = begin(session, settings, appointment, Asking(strategy), SYSTEM, now)
    return Counter(offers_sent=len(sent))


def _to_release(leads: Leads, now: datetime) -> SelectOfScalar[str]:
    """Employees' visits."""
    return (
        _visits()
        .join(
            Engagement,
            (col(Engagement.technician_no) == Appointment.technician_no)
            & (col(Engagement.organization_id) == Appointment.organization_id),
        )
        .where(Appointment.status == Status.SCHEDULED, Engagement.kind == Kind.EMPLOYEE)
        .where(_is_time(col(Service.release_before_s), [lead for _, lead in leads], now))
        .order_by(col(Appointment.window_start), col(Appointment.id))
        .limit(AT_A_TIME)
    )


def _release(leads: Leads, now: datetime, appointment_id: str, session: Session) -> Counter[str]:
    appointment = lock_visit(session, appointment_id)
    if appointment is None or not _still(session, _to_release(leads, now), appointment_id):
        return Counter()
    appointment.move(Status.DISPATCHED)
    appointment.agreed_start = appointment.scheduled_start
    session.add(appointment)
    record(session, appointment.organization_id, appointment.id, "appointment.dispatched", now, SYSTEM)
    session.flush()
    return Counter(visits_released=1)


def _still(session: Session, due: SelectOfScalar[str], appointment_id: str) -> bool:
    """Whether it is so now that the visit is locked."""
    return session.exec(due.where(Appointment.id == appointment_id)).first() is not None
