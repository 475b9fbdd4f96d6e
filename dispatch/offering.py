"""Offers: visits put to freelancers and partners, and what their answers do. Answers race by compare-and-swap on the
offer's and the appointment's state; the loser is told."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import update
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from dispatch.appointment import Appointment, Status
from dispatch.booking import give_back, supersede_offers
from dispatch.calendar import BlockKind, beside_others, discreet, epoch, mark_block
from dispatch.catalogue import OfferStrategy, Service
from dispatch.disclosure import is_disclosed, neighbourhood
from dispatch.errors import Invalid, InvalidState, NoLongerFits, OfferTaken, SlotTaken, UnknownReference
from dispatch.events import SYSTEM, Actor, record
from dispatch.money import Amount, cents, per_hour_cents
from dispatch.offer import OPEN, Offer, OfferStatus
from dispatch.organization import Organization
from dispatch.places import place_of
from dispatch.placing import ahead_of, lock_visit, note_retimed, place
from dispatch.planning import Job, Window, job_of, load_standing
from dispatch.service_request import ServiceRequest
from dispatch.settings import Settings
from dispatch.shift import local_day
from dispatch.technician import Engagement, EngagementStatus, Kind, Technician, engagement_of
from dispatch.territory import Territory
from optimizer import recommend

DEFAULT_ANSWER_TIME = timedelta(hours=1)
"""How long an offer stands where nothing else is said, and never longer than an answer is of use."""


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


def send(
    session: Session, settings: Settings, appointment: Appointment, wanted: Wanted, by: Actor, now: datetime
) -> list[Offer]:
    """Raises `Invalid` for a strategy or a number of technicians that is not served, `UnknownReference`, and as
    `send_direct`."""
    if wanted.strategy is not OfferStrategy.DIRECT:
        said = f"only direct offers are served by this version, {wanted.strategy.value} is not yet"
        raise Invalid(errors=[("strategy", said)])
    if len(wanted.technician_ids) > 1:
        raise Invalid(errors=[("technician_ids", "a direct offer goes to one technician")])
    organization = session.get_one(Organization, appointment.organization_id)
    asked = [technician_named(session, organization.id, id_) for id_ in wanted.technician_ids]
    terms = Terms(wanted.expires_in_s, cents(wanted.pay, organization.currency, "pay"))
    return [send_direct(session, settings, appointment, asked[0] if asked else None, terms, by, now)]


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
    stands. Supersedes what was pending. Raises `Invalid` for employees, `InvalidState`, `NoLongerFits`."""
    appointment.require(Status.UNASSIGNED, Status.SCHEDULED)
    asked = technician or _planned(session, appointment)
    engagement = _asked_engagement(session, asked, appointment.organization_id)
    job = job_of(session, appointment)
    supersede_offers(session, appointment, by, now)
    if appointment.technician_no != asked.no:
        _plan_with(session, settings, job, asked, now)
        if appointment.status is Status.UNASSIGNED:
            appointment.move(Status.SCHEDULED)
    travel = _travel_told(session, appointment, asked, _detour_s(session, settings, job, asked))
    offer = _offer(job, asked, engagement, terms, travel, now)
    appointment.agreed_start = appointment.scheduled_start
    appointment.version += 1
    session.add_all([offer, appointment])
    session.flush()
    mark_block(session, appointment.id, BlockKind.OFFER)
    record(
        session,
        appointment.organization_id,
        appointment.id,
        "offer.sent",
        now,
        by,
        after={"offer_id": offer.id},
    )
    return offer


def _planned(session: Session, appointment: Appointment) -> Technician:
    if appointment.technician_no is None:
        raise Invalid(errors=[("technician_ids", "name one: nobody is planned for this visit")])
    return session.exec(select(Technician).where(Technician.no == appointment.technician_no)).one()


def _asked_engagement(session: Session, technician: Technician, organization_id: str) -> Engagement:
    engagement = engagement_of(session, technician, organization_id)
    if engagement.status is not EngagementStatus.ACTIVE:
        raise InvalidState(engagement.status.value, [EngagementStatus.ACTIVE.value])
    if engagement.kind is Kind.EMPLOYEE:
        raise Invalid(errors=[("technician_ids", "an employee is dispatched, not asked")])
    return engagement


def _plan_with(session: Session, settings: Settings, job: Job, technician: Technician, now: datetime) -> None:
    try:
        placed = place(session, settings, job, ahead_of(_window(session, job), now), technician.no)
    except SlotTaken as error:
        raise NoLongerFits(detail="The visit does not fit into this technician's calendar.") from error
    note_retimed(session, placed.retimed, SYSTEM, now)


def _window(session: Session, job: Job) -> Window:
    """The promised window, or the day of the earliest start where nothing is promised."""
    appointment, request = job.appointment, job.request
    if appointment.window_start is not None and appointment.window_end is not None:
        return appointment.window_start, appointment.window_end
    territory = session.get_one(Territory, appointment.territory_id)
    zone = ZoneInfo(territory.time_zone)
    begin = request.earliest_start or request.created_at
    end = local_day(begin.astimezone(zone).date(), zone)[1]
    return begin, min(end, request.due) if request.due else end


def _detour_s(session: Session, settings: Settings, job: Job, technician: Technician) -> int:
    """What the visit adds to the technician's travel, where it stands."""
    appointment = job.appointment
    assert appointment.scheduled_start is not None
    assert appointment.scheduled_end is not None
    assert technician.no is not None
    windows = [(appointment.scheduled_start, appointment.scheduled_start)]
    day = load_standing(
        session,
        settings,
        appointment.organization_id,
        (appointment.scheduled_start, appointment.scheduled_end),
        asking=job,
        windows=windows,
        technician_nos=[technician.no],
    )
    found = recommend(day.problem, day.plan, appointment.id, job.windows_at_place(windows))
    least = min((insertion.extra_travel_s for insertion in found.insertions), default=appointment.travel_s)
    return max(0, least or 0)


@dataclass(frozen=True, slots=True)
class _Travel:
    """The way to the visit, and what the visit adds to the technician's travel."""

    travel_s: int
    travel_m: int
    detour_s: int


def _travel_told(
    session: Session, appointment: Appointment, technician: Technician, detour_s: int
) -> _Travel:
    """As an offer tells it, which the dispatcher reads as well: rounded beside another organization's visit."""
    assert technician.no is not None
    assert appointment.scheduled_start is not None
    travel_s, travel_m = appointment.travel_s or 0, appointment.travel_m or 0
    at = epoch(appointment.scheduled_start)
    if appointment.id not in beside_others(session, appointment.organization_id, [technician.no], at, at + 1):
        return _Travel(travel_s, travel_m, detour_s)
    return _Travel(*discreet(travel_s, travel_m), discreet(detour_s, 0)[0])


def _offer(
    job: Job,
    technician: Technician,
    engagement: Engagement,
    terms: Terms,
    travel: _Travel,
    now: datetime,
) -> Offer:
    appointment = job.appointment
    assert technician.no is not None
    assert appointment.scheduled_start is not None
    stands = timedelta(seconds=terms.expires_in_s) if terms.expires_in_s else DEFAULT_ANSWER_TIME
    pay_cents = (
        terms.pay_cents
        if terms.pay_cents is not None
        else usual_pay_cents(engagement, job.service, travel.travel_m)
    )
    return Offer(
        organization_id=appointment.organization_id,
        appointment_id=appointment.id,
        technician_no=technician.no,
        strategy=OfferStrategy.DIRECT,
        pay_cents=pay_cents,
        travel_s=travel.travel_s,
        travel_m=travel.travel_m,
        detour_s=travel.detour_s,
        duration_s=job.service.duration_s,
        scheduled_start=appointment.scheduled_start,
        why=[
            _fact(
                "qualified", f"Verified for {', '.join(sorted(job.service.required_skills)) or 'any work'}."
            ),
            _fact("near", f"{travel.travel_m} m and {travel.travel_s} s from the place before."),
        ],
        expires_at=min(now + stands, _latest_answer(appointment, now)),
        created_at=now,
    )


def _latest_answer(appointment: Appointment, now: datetime) -> datetime:
    """When the technician would have to leave; where that is past, the planned start, at last the end of the window.
    Raises `NoLongerFits` where all that is over."""
    start, end = appointment.scheduled_start, appointment.window_end
    assert start is not None
    leaves = start - timedelta(seconds=appointment.travel_s or 0)
    ahead = [at for at in (leaves, start, end) if at is not None and at > now]
    if not ahead:
        raise NoLongerFits(detail="The visit is planned at a time that is past.")
    return ahead[0]


def _fact(code: str, detail: str) -> dict[str, Any]:
    return {"code": code, "detail": detail}


def usual_pay_cents(engagement: Engagement, service: Service, travel_m: int) -> int:
    """What the engagement pays for the visit: per visit, per hour of work and per kilometre of the way to it."""
    per_hour = (engagement.pay_per_hour_cents or 0) * service.duration_s / 3600
    per_km = (engagement.pay_per_km_cents or 0) * travel_m / 1000
    return (engagement.pay_per_visit_cents or 0) + round(per_hour + per_km)


def accept(session: Session, settings: Settings, offer: Offer, by: Actor, now: datetime) -> Appointment:
    """The visit is the technician's: scheduled -> dispatched. A winner's second accept changes nothing. Raises
    `OfferTaken`, `OfferExpired`, `NoLongerFits`, `InvalidState`."""
    appointment = session.get_one(Appointment, offer.appointment_id)
    if offer.status is OfferStatus.ACCEPTED:
        return appointment
    offer.require_open(now)
    if offer.status is not OfferStatus.PENDING:
        raise InvalidState(offer.status.value, [OfferStatus.PENDING.value])
    _require_engaged(session, offer)
    if appointment.technician_no != offer.technician_no:
        raise OfferTaken()
    _win(session, offer, OfferStatus.ACCEPTED, now)
    appointment.move(Status.DISPATCHED)
    appointment.agreed_start = appointment.scheduled_start
    session.add(appointment)
    session.flush()
    mark_block(session, appointment.id, BlockKind.VISIT)
    _record_answer(session, offer, "offer.accepted", by, now)
    record(session, appointment.organization_id, appointment.id, "appointment.dispatched", now, by)
    return appointment


def decline(
    session: Session, settings: Settings, offer: Offer, by: Actor, now: datetime, reason: str | None
) -> Offer:
    """The visit goes back to be planned with somebody else; the promise to the customer stands. A second decline
    changes nothing."""
    if offer.status is OfferStatus.DECLINED:
        return offer
    offer.require_open(now)
    return _lose(session, settings, offer, OfferStatus.DECLINED, "offer.declined", by, now, reason)


def withdraw(session: Session, settings: Settings, offer: Offer, by: Actor, now: datetime) -> Offer:
    """A dispatcher takes the offer back; the visit is unassigned."""
    if offer.status is OfferStatus.WITHDRAWN:
        return offer
    offer.require_open(now)
    return _lose(session, settings, offer, OfferStatus.WITHDRAWN, "offer.withdrawn", by, now, None)


def expire_due(session: Session, settings: Settings, now: datetime, limit: int = 100) -> int:
    """Closes offers whose time is over, each once, after whatever downtime. Gives back how many."""
    query = select(Offer).where(col(Offer.status).in_(OPEN), col(Offer.expires_at) <= now)
    due = session.exec(query.order_by(col(Offer.expires_at)).limit(limit)).all()
    return sum(_expire(session, settings, offer, now) for offer in due)


def _expire(session: Session, settings: Settings, offer: Offer, now: datetime) -> bool:
    """Whether it still was open once its rows were ours."""
    lock_visit(session, offer.appointment_id)
    session.refresh(offer, with_for_update=True)
    if offer.status not in OPEN:
        return False
    _lose(session, settings, offer, OfferStatus.EXPIRED, "offer.expired", SYSTEM, now, None)
    return True


def _lose(
    session: Session,
    settings: Settings,
    offer: Offer,
    status: OfferStatus,
    event: str,
    by: Actor,
    now: datetime,
    reason: str | None,
) -> Offer:
    """Closes an offer without a winner and frees the time that it took."""
    _win(session, offer, status, now, reason)
    appointment = session.get_one(Appointment, offer.appointment_id)
    if appointment.status is Status.SCHEDULED and appointment.technician_no == offer.technician_no:
        give_back(session, settings, appointment)
        appointment.move(Status.UNASSIGNED)
        session.add(appointment)
        before, after = {"status": Status.SCHEDULED.value}, {"status": Status.UNASSIGNED.value}
        type_ = "appointment.unassigned"
        record(session, offer.organization_id, appointment.id, type_, now, by, None, before, after)
    _record_answer(session, offer, event, by, now)
    session.flush()
    return offer


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


def _require_engaged(session: Session, offer: Offer) -> None:
    technician = session.exec(select(Technician).where(Technician.no == offer.technician_no)).one()
    engagement = engagement_of(session, technician, offer.organization_id)
    if engagement.status is not EngagementStatus.ACTIVE:
        raise InvalidState(engagement.status.value, [EngagementStatus.ACTIVE.value])


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


@dataclass(frozen=True, slots=True)
class ShownArea:
    """Where an offered visit is, as far as the technician may know."""

    lat: float
    lon: float
    address: str | None
    locality: str | None


def area_of(offer: Offer, appointment: Appointment, request: ServiceRequest, now: datetime) -> ShownArea:
    """The place itself from acceptance until shortly after the visit; else a point within a kilometre of it and the
    part of the address that follows the street."""
    locality, place = locality_of(request.address), place_of(request)
    is_won = offer.status is OfferStatus.ACCEPTED and appointment.technician_no == offer.technician_no
    if not is_won or not is_disclosed(appointment, Kind.FREELANCER, now):
        place = neighbourhood(place)
    return ShownArea(place.lat, place.lon, place.address, locality)


def locality_of(address: str | None) -> str | None:
    """What follows the street in an address, without parts that hold a number; None if nothing does."""
    parts = [part.strip() for part in (address or "").split(",")[1:]]
    named = [part for part in parts if part and not any(character.isdigit() for character in part)]
    return ", ".join(named) or None


def net_per_hour_cents(offer: Offer) -> int:
    """The pay for each hour that the visit takes, the extra travel included."""
    return per_hour_cents(offer.pay_cents, offer.duration_s + offer.detour_s)


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
