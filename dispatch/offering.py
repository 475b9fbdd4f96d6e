"""Offers: visits put to freelancers and partners, and what their answers do. Answers race by compare-and-swap on the
offer's and the appointment's state; the loser is told."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import update
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from dispatch.appointment import Appointment, Status
from dispatch.asking import Asking, advance, begin, window_of
from dispatch.booking import give_back, promise_as_planned, supersede
from dispatch.calendar import BlockKind, mark_block
from dispatch.errors import Invalid, InvalidState, NoLongerFits, OfferTaken, SlotTaken, UnknownReference
from dispatch.events import SYSTEM, Actor, record
from dispatch.money import Amount, cents
from dispatch.offer import OPEN, Offer, OfferStatus, OfferStrategy
from dispatch.offer_round import OfferRound, RoundStatus
from dispatch.organization import Organization
from dispatch.placing import ahead_of, lock_calendar, lock_visit, note_retimed, place
from dispatch.planning import job_of
from dispatch.ranking import candidates
from dispatch.settings import Settings
from dispatch.technician import Engagement, EngagementStatus, Kind, Technician, engagement_of


@dataclass(frozen=True, slots=True)
class Terms:
    """What a dispatcher says about an offer. Pay in minor units, by default what the engagement says."""

    expires_in_s: int | None = None
    pay_cents: int | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """How a dispatcher wants a visit to be offered."""

    strategy: OfferStrategy
    technician_ids: Sequence[str] = ()
    expires_in_s: int | None = None
    pay: Amount | None = None


# Asking


def send(
    session: Session, settings: Settings, appointment: Appointment, wanted: Wanted, by: Actor, now: datetime
) -> list[Offer]:
    """Begins a round, which supersedes what was pending. Raises `Invalid` for employees and where nobody can be meant,
    `UnknownReference`, `InvalidState`, and `NoLongerFits` where nobody could come."""
    organization = session.get_one(Organization, appointment.organization_id)
    named = dict.fromkeys(wanted.technician_ids)
    asked = [technician_named(session, organization.id, id_) for id_ in named]
    if wanted.strategy is OfferStrategy.DIRECT and len(asked) > 1:
        raise Invalid(errors=[("technician_ids", "a direct offer goes to one technician")])
    pay_cents = cents(wanted.pay, organization.currency, "pay")
    return _send(
        session, settings, appointment, wanted.strategy, asked, Terms(wanted.expires_in_s, pay_cents), by, now
    )


def send_direct(
    session: Session,
    settings: Settings,
    appointment: Appointment,
    technician: Technician | None,
    terms: Terms,
    by: Actor,
    now: datetime,
) -> Offer:
    """Asks one technician, by default the one that is planned; the visit takes time in its calendar while the offer
    stands. Supersedes what was pending. Raises as `send`."""
    asked = [technician] if technician else []
    return _send(session, settings, appointment, OfferStrategy.DIRECT, asked, terms, by, now)[0]


def _send(
    session: Session,
    settings: Settings,
    appointment: Appointment,
    strategy: OfferStrategy,
    asked: Sequence[Technician],
    terms: Terms,
    by: Actor,
    now: datetime,
) -> list[Offer]:
    appointment.require(Status.UNASSIGNED, Status.SCHEDULED)
    people = asked or ([_planned(session, appointment)] if strategy is OfferStrategy.DIRECT else [])
    for technician in people:
        _require_asked(session, technician, appointment.organization_id)
    numbers = [technician.no for technician in asked if technician.no is not None]
    asking = Asking(strategy, numbers, terms.expires_in_s, terms.pay_cents)
    sent = begin(session, settings, appointment, asking, by, now)
    if not sent:
        raise NoLongerFits(
            detail="The visit does not fit into this technician's calendar."
            if len(people) == 1
            else "The visit fits into nobody's calendar."
        )
    return sent


def _planned(session: Session, appointment: Appointment) -> Technician:
    if appointment.technician_no is None:
        raise Invalid(errors=[("technician_ids", "name one: nobody is planned for this visit")])
    return _technician(session, appointment.technician_no)


def _technician(session: Session, no: int) -> Technician:
    return session.exec(select(Technician).where(Technician.no == no)).one()


def _require_asked(session: Session, technician: Technician, organization_id: str) -> None:
    engagement = _require_active(engagement_of(session, technician, organization_id))
    if engagement.kind is Kind.EMPLOYEE:
        raise Invalid(errors=[("technician_ids", "an employee is dispatched, not asked")])


def _require_active(engagement: Engagement) -> Engagement:
    if engagement.status is not EngagementStatus.ACTIVE:
        raise InvalidState(engagement.status.value, [EngagementStatus.ACTIVE.value])
    return engagement


def lock_offer(session: Session, offer: Offer) -> None:
    """The calendar of whom it asks, then the visit, then the offer itself, until the transaction ends: in the order of
    everybody who changes them, so that answers wait for each other, with no deadlock."""
    lock_calendar(session, offer.technician_no)
    session.get_one(Appointment, offer.appointment_id, with_for_update=True, populate_existing=True)
    session.refresh(offer, with_for_update=True)


# Answers


def accept(session: Session, settings: Settings, offer: Offer, by: Actor, now: datetime) -> Appointment:
    """The visit is the technician's: -> dispatched, its window promised where none was. Whatever else was asked about
    it is superseded, and so is what the technician was asked together with others and has no time for any more. A
    winner's second accept changes nothing. Raises `OfferTaken`, `OfferExpired`, `NoLongerFits`, `InvalidState`."""
    if offer.status is OfferStatus.ACCEPTED:
        return session.get_one(Appointment, offer.appointment_id)
    offer.require_open(now)
    _require_status(offer, OfferStatus.PENDING)
    return _take(session, settings, offer, by, now)


def _take(session: Session, settings: Settings, offer: Offer, by: Actor, now: datetime) -> Appointment:
    appointment = session.get_one(Appointment, offer.appointment_id)
    _require_active(engagement_of(session, _technician(session, offer.technician_no), offer.organization_id))
    if not offer.takes_time:
        _insert(session, settings, offer, appointment, now)
    elif appointment.technician_no != offer.technician_no:
        raise OfferTaken()
    _win(session, offer, OfferStatus.ACCEPTED, now)
    promise_as_planned(session, settings, appointment, by, now)
    appointment.move(Status.DISPATCHED)
    appointment.agreed_start = appointment.scheduled_start
    session.add(appointment)
    session.flush()
    mark_block(session, appointment.id, BlockKind.VISIT)
    _record_answer(session, offer, "offer.accepted", by, now)
    record(session, appointment.organization_id, appointment.id, "appointment.dispatched", now, by)
    _end_round(session, offer, RoundStatus.FILLED, now)
    _supersede_unfitting(session, settings, offer, now)
    return appointment


def _insert(
    session: Session, settings: Settings, offer: Offer, appointment: Appointment, now: datetime
) -> None:
    """Into the technician's one calendar, as it is now."""
    if appointment.status is not Status.UNASSIGNED:
        raise OfferTaken()
    job = job_of(session, appointment)
    try:
        placed = place(session, settings, job, ahead_of(window_of(session, job), now), offer.technician_no)
    except SlotTaken as error:
        raise NoLongerFits() from error
    note_retimed(session, placed.retimed, SYSTEM, now)
    appointment.move(Status.SCHEDULED)


def _end_round(
    session: Session, offer: Offer, status: RoundStatus, now: datetime, version: int | None = None
) -> None:
    """Supersedes what else it asked."""
    row = _round(session, offer)
    row.end(status, now, version)
    session.add(row)
    others = select(Offer).where(Offer.round_id == row.id, Offer.id != offer.id, col(Offer.status).in_(OPEN))
    for other in session.exec(others.order_by(col(Offer.id)).with_for_update()).all():
        supersede(session, other, SYSTEM, now)
    session.flush()


def _round(session: Session, offer: Offer) -> OfferRound:
    return session.get_one(OfferRound, offer.round_id, with_for_update=True, populate_existing=True)


def _supersede_unfitting(session: Session, settings: Settings, won: Offer, now: datetime) -> None:
    """What else the technician is asked together with others, by whomever, and has no time for any more. What somebody
    answers at this moment is left alone: its acceptance looks into the calendar itself. Its round goes on when the
    worker comes by."""
    pending = (
        select(Offer)
        .where(Offer.technician_no == won.technician_no, Offer.id != won.id)
        .where(Offer.strategy == OfferStrategy.BROADCAST, col(Offer.status).in_(OPEN))
    )
    for offer in session.exec(pending.order_by(col(Offer.id)).with_for_update(skip_locked=True)).all():
        if not _fits(session, settings, offer, now):
            supersede(session, offer, SYSTEM, now)
    session.flush()


def _fits(session: Session, settings: Settings, offer: Offer, now: datetime) -> bool:
    job = job_of(session, session.get_one(Appointment, offer.appointment_id))
    try:
        window = ahead_of(window_of(session, job), now)
    except SlotTaken:
        return False
    return any(one.no == offer.technician_no for one in candidates(session, settings, job, window))


def decline(
    session: Session, settings: Settings, offer: Offer, by: Actor, now: datetime, reason: str | None
) -> Offer:
    """The visit goes to whoever is next, or back to be planned; the promise to the customer stands. A second decline
    changes nothing."""
    if offer.status is OfferStatus.DECLINED:
        return offer
    offer.require_open(now)
    _lose(session, settings, offer, OfferStatus.DECLINED, "offer.declined", by, now, reason)
    advance(session, settings, _round(session, offer), now)
    return offer


def withdraw(session: Session, settings: Settings, offer: Offer, by: Actor, now: datetime) -> Offer:
    """A dispatcher takes the offer back. The visit is unassigned, and nobody else is asked unless a person does; where
    several are asked at once, the others still are."""
    if offer.status is OfferStatus.WITHDRAWN:
        return offer
    offer.require_open(now)
    _lose(session, settings, offer, OfferStatus.WITHDRAWN, "offer.withdrawn", by, now, None)
    others = select(Offer.id).where(Offer.round_id == offer.round_id, col(Offer.status).in_(OPEN))
    if session.exec(others).first() is None:
        appointment = session.get_one(Appointment, offer.appointment_id)
        _end_round(session, offer, RoundStatus.STOPPED, now, appointment.version)
    return offer


def take_back(session: Session, settings: Settings, offer: Offer, by: Actor, now: datetime) -> None:
    """Withdraws an offer because its technician works for the organization no more; the worker asks whoever is next."""
    lock_offer(session, offer)
    if offer.status in OPEN:
        _lose(session, settings, offer, OfferStatus.WITHDRAWN, "offer.withdrawn", by, now, None)


# Counter-offers


def counter(session: Session, offer: Offer, pay: Amount, note: str | None, by: Actor, now: datetime) -> Offer:
    """pending -> countered: the technician would come for another pay; the time to answer runs on. The same again
    changes nothing. Raises `Invalid` for another currency, `OfferTaken`, `OfferExpired`, `InvalidState`."""
    currency = session.get_one(Organization, offer.organization_id).currency
    pay_cents = cents(pay, currency, "pay")
    if offer.status_at(now) is OfferStatus.COUNTERED and (offer.counter_pay_cents, offer.counter_note) == (
        pay_cents,
        note,
    ):
        return offer
    offer.require_open(now)
    _require_status(offer, OfferStatus.PENDING)
    offer.counter_pay_cents, offer.counter_note = pay_cents, note
    return _turn(session, offer, OfferStatus.COUNTERED, "offer.countered", by, now)


def accept_counter(
    session: Session, settings: Settings, offer: Offer, by: Actor, now: datetime
) -> Appointment:
    """A dispatcher takes the technician at its word: the offer is accepted at the pay that it named. A second time
    changes nothing. Raises as `accept`."""
    if offer.status is OfferStatus.ACCEPTED and offer.pay_cents == offer.counter_pay_cents:
        return session.get_one(Appointment, offer.appointment_id)
    offer.require_open(now)
    _require_status(offer, OfferStatus.COUNTERED)
    assert offer.counter_pay_cents is not None
    offer.pay_cents = offer.counter_pay_cents
    session.add(offer)
    session.flush()
    return _take(session, settings, offer, by, now)


def reject_counter(session: Session, offer: Offer, by: Actor, now: datetime) -> Offer:
    """countered -> pending while time is left; the technician may still accept what was offered. A second time changes
    nothing. Raises `OfferExpired`, `InvalidState`."""
    if offer.status_at(now) is OfferStatus.PENDING and offer.counter_pay_cents is not None:
        return offer
    offer.require_open(now)
    _require_status(offer, OfferStatus.COUNTERED)
    return _turn(session, offer, OfferStatus.PENDING, "offer.counter_rejected", by, now)


def _turn(session: Session, offer: Offer, status: OfferStatus, event: str, by: Actor, now: datetime) -> Offer:
    before = {"status": offer.status.value}
    offer.status = status
    offer.version += 1
    session.add(offer)
    after = {"offer_id": offer.id, "status": status.value, "pay_cents": offer.counter_pay_cents}
    record(
        session,
        offer.organization_id,
        offer.appointment_id,
        event,
        now,
        by,
        offer.counter_note,
        before,
        after,
    )
    session.flush()
    return offer


# Time


def settle(session: Session, settings: Settings, round_id: str, now: datetime) -> int:
    """Closes what was not answered in time in a round, and asks whoever is next, or ends it unfilled. Gives back how
    many offers expired; a second time changes nothing."""
    known = session.get_one(OfferRound, round_id)
    lock_visit(session, known.appointment_id)
    row = session.get_one(OfferRound, round_id, with_for_update=True, populate_existing=True)
    if row.status is not RoundStatus.RUNNING:
        return 0
    over = select(Offer).where(
        Offer.round_id == row.id, col(Offer.status).in_(OPEN), col(Offer.expires_at) <= now
    )
    expired = session.exec(
        over.order_by(col(Offer.id)).with_for_update().execution_options(populate_existing=True)
    ).all()
    for offer in expired:
        _lose(session, settings, offer, OfferStatus.EXPIRED, "offer.expired", SYSTEM, now, None)
    advance(session, settings, row, now)
    return len(expired)


def rounds_due(now: datetime, limit: int) -> SelectOfScalar[str]:
    """Rounds in which an answer is overdue, or nobody is asked any more."""
    asked = select(Offer.id).where(Offer.round_id == OfferRound.id, col(Offer.status).in_(OPEN))
    overdue = asked.where(col(Offer.expires_at) <= now)
    query = select(OfferRound.id).where(OfferRound.status == RoundStatus.RUNNING)
    return query.where(overdue.exists() | ~asked.exists()).order_by(col(OfferRound.deadline)).limit(limit)


def _require_status(offer: Offer, status: OfferStatus) -> None:
    if offer.status is not status:
        raise InvalidState(offer.status.value, [status.value])


def _lose(
    session: Session,
    settings: Settings,
    offer: Offer,
    status: OfferStatus,
    event: str,
    by: Actor,
    now: datetime,
    reason: str | None,
) -> None:
    """Closes an offer without a winner and frees the time that it took."""
    _win(session, offer, status, now, reason)
    appointment = session.get_one(Appointment, offer.appointment_id)
    if (
        offer.takes_time
        and appointment.status is Status.SCHEDULED
        and appointment.technician_no == offer.technician_no
    ):
        give_back(session, settings, appointment)
        appointment.move(Status.UNASSIGNED)
        session.add(appointment)
        before, after = {"status": Status.SCHEDULED.value}, {"status": Status.UNASSIGNED.value}
        type_ = "appointment.unassigned"
        record(session, offer.organization_id, appointment.id, type_, now, by, None, before, after)
    _record_answer(session, offer, event, by, now)
    session.flush()


def _win(
    session: Session, offer: Offer, status: OfferStatus, now: datetime, reason: str | None = None
) -> None:
    """The compare-and-swap that decides races: only one answer moves the offer on from the version that was read."""
    statement = (
        update(Offer)
        .where(col(Offer.id) == offer.id, col(Offer.version) == offer.version, col(Offer.status).in_(OPEN))
        .values(status=status, answered_at=now, answer_reason=reason, version=offer.version + 1)
    )
    if session.exec(statement).rowcount != 1:
        raise OfferTaken()
    session.refresh(offer)


def _record_answer(session: Session, offer: Offer, type_: str, by: Actor, now: datetime) -> None:
    record(
        session,
        offer.organization_id,
        offer.appointment_id,
        type_,
        now,
        by,
        offer.answer_reason,
        after={"offer_id": offer.id},
    )


# Reading


def offers_to(technician: Technician, status: OfferStatus | None, now: datetime) -> SelectOfScalar[Offer]:
    """What a technician was asked; one whose time is over counts as expired."""
    query = select(Offer).where(Offer.technician_no == technician.no)
    is_over = col(Offer.status).in_(OPEN) & (col(Offer.expires_at) <= now)
    if status is OfferStatus.EXPIRED:
        return query.where(is_over | (col(Offer.status) == status))
    if status is not None:
        return query.where(Offer.status == status, ~is_over)
    return query


def technician_named(session: Session, organization_id: str, technician_id: str) -> Technician:
    """One that the organization has engaged. Raises `UnknownReference`."""
    query = (
        select(Technician)
        .where(Technician.id == technician_id, Engagement.technician_no == Technician.no)
        .where(Engagement.organization_id == organization_id)
    )
    found = session.exec(query).first()
    if found is None:
        raise UnknownReference("technician_ids")
    return found
