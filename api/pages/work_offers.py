"""`/work`: what the technician is asked, and its answers. What is shown is what the API tells of an offer; an answer
that comes too late is told on the same page."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any

from flask import Response, request, url_for
from pydantic import ValidationError
from sqlmodel import Session, col

from api import context
from api.auth import PUBLIC, allow
from api.bodies import refusal_of
from api.offers import Countering
from api.pages.languages import Language
from api.pages.site import pages
from api.pages.visitor import link, onward, typed
from api.pages.work import LIMIT, LONGEST_REASON, Said, Worker, of_technician, work_page
from api.pages.work_facts import fact_words, needs
from dispatch import offering
from dispatch.access import offer_of
from dispatch.appointment import ENDED, HELD_BY_TECHNICIAN, Appointment, Status
from dispatch.booking import promised_window
from dispatch.catalogue import Service
from dispatch.errors import (
    DispatchError,
    Forbidden,
    InvalidState,
    NoLongerFits,
    NotFound,
    OfferExpired,
    OfferTaken,
)
from dispatch.ids import is_id
from dispatch.offer import OPEN, Offer, OfferStatus, OfferStrategy
from dispatch.offer_terms import area_of, net_per_hour_cents
from dispatch.organization import Organization
from dispatch.service_request import ServiceRequest
from dispatch.technician import EngagementStatus, require_approved

EARLIER = 10
"""So many answered offers are listed."""

STATES: Mapping[OfferStatus, str] = {
    OfferStatus.ACCEPTED: "work.offer.accepted",
    OfferStatus.DECLINED: "work.offer.declined",
    OfferStatus.EXPIRED: "work.offer.expired",
    OfferStatus.WITHDRAWN: "work.offer.withdrawn",
    OfferStatus.SUPERSEDED: "work.offer.superseded",
}
TOLD: Mapping[str, tuple[OfferStatus, str]] = {
    "accepted": (OfferStatus.ACCEPTED, "work.told.accepted"),
    "already": (OfferStatus.ACCEPTED, "work.told.already"),
    "declined": (OfferStatus.DECLINED, "work.told.declined"),
    "countered": (OfferStatus.COUNTERED, "work.told.countered"),
}
"""What a page may say of the form that led to it, and the status in which that still holds."""

_STANDS: Mapping[OfferStatus, str] = {
    OfferStatus.ACCEPTED: "work.refused.accepted",
    OfferStatus.DECLINED: "work.refused.declined",
    OfferStatus.COUNTERED: "work.refused.countered",
    OfferStatus.EXPIRED: "work.refused.expired",
}
"""Why an answer is not taken, by the status that the offer has."""


@dataclass(frozen=True, slots=True)
class Known:
    """An offer with what belongs to it."""

    offer: Offer
    appointment: Appointment
    request: ServiceRequest
    service: Service
    organization: Organization

    @classmethod
    def of(cls, session: Session, offer: Offer) -> "Known":
        """Read from its rows."""
        appointment = session.get_one(Appointment, offer.appointment_id)
        asked = session.get_one(ServiceRequest, appointment.service_request_id)
        return cls(
            offer,
            appointment,
            asked,
            session.get_one(Service, asked.service_id),
            session.get_one(Organization, offer.organization_id),
        )


@dataclass(frozen=True, slots=True)
class Card:
    """An open offer in the technician's words and local time. expires_at: for the countdown; counter: what it asked
    for and what became of it; may_accept: whether it may be accepted as it stands."""

    id: str
    service: str
    organization: str
    pay: str
    net: str
    when: str
    starts: str
    takes: str
    way: str
    detour: str
    area: str | None
    geo: str
    needs: str
    why: tuple[str, ...]
    notes: tuple[str, ...]
    until: str
    expires_at: str
    counter: str | None
    may_accept: bool


@dataclass(frozen=True, slots=True)
class Answered:
    """An offer that is open no more."""

    service: str
    when: str
    state: str


@dataclass(frozen=True, slots=True)
class Won:
    """The visit that was accepted by the form that led here, while it can be given back."""

    when: str
    address: str | None
    day: str
    appointment_id: str


@dataclass(frozen=True, slots=True)
class Entered:
    """A counter-offer that cannot be taken as it was typed. wrong: by field, the sentence that says why."""

    offer_id: str
    pay: str
    note: str
    wrong: Mapping[str, str]


@pages.get("/work")
@allow(PUBLIC)
@of_technician
def show_offers(me: Worker) -> Response:
    """What waits for an answer, and what was answered lately."""
    return _page(me)


@pages.post("/work/offers/<offer_id>/accept")
@allow(PUBLIC, raw_body=True, idempotent=False, limit=LIMIT)
@of_technician
def accept_offer(me: Worker, offer_id: str) -> Response:
    """The visit is the technician's. Sent again, it changes nothing."""
    offer = _offer(offer_id)
    told = "already" if offer.status is OfferStatus.ACCEPTED else "accepted"

    def accept() -> None:
        offering.accept(context.session(), context.settings(), offer, me.by, context.now())

    return _answered(me, offer, accept, told)


@pages.post("/work/offers/<offer_id>/decline")
@allow(PUBLIC, raw_body=True, idempotent=False, limit=LIMIT)
@of_technician
def decline_offer(me: Worker, offer_id: str) -> Response:
    """With or without a reason. Sent again, it changes nothing."""
    offer, reason = _offer(offer_id), typed("reason")[:LONGEST_REASON]
    reason = "" if refusal_of(reason) else reason

    def decline() -> None:
        session, settings = context.session(), context.settings()
        offering.decline(session, settings, offer, me.by, context.now(), reason or None)

    return _answered(me, offer, decline, "declined")


@pages.post("/work/offers/<offer_id>/counter")
@allow(PUBLIC, raw_body=True, idempotent=False, limit=LIMIT)
@of_technician
def counter_offer(me: Worker, offer_id: str) -> Response:
    """Asks for another pay. Sent again, it changes nothing."""
    session, offer = context.session(), _offer(offer_id)
    currency = session.get_one(Organization, offer.organization_id).currency
    entered = Entered(offer.id, typed("pay"), typed("note"), {})
    wish, wrong = _wish(me.language, entered, currency)
    if wish is None:
        refused = Entered(offer.id, entered.pay, entered.note, wrong)
        return _page(me, HTTPStatus.UNPROCESSABLE_ENTITY, entered=refused)

    def counter() -> None:
        offering.counter(session, offer, wish.pay, wish.note, me.by, context.now())

    return _answered(me, offer, counter, "countered")


def _wish(language: Language, entered: Entered, currency: str) -> tuple[Countering | None, Mapping[str, str]]:
    """What is asked for; None with the sentences, by field, that say why it cannot be taken."""
    cents = language.read_money(entered.pay, currency)
    example = language.told_money(11_000, currency)
    said = {"pay": language.say("work.error.pay", example=example)}
    if cents is None:
        return None, said
    if refusal_of(entered.note):
        return None, {"note": language.say("error.characters")}
    members = {"pay": {"amount": cents, "currency": currency}, "note": entered.note or None}
    try:
        return Countering.model_validate(members), {}
    except ValidationError as error:
        if any(each["loc"][:1] == ("note",) for each in error.errors()):
            most = language.number(LONGEST_REASON)
            said = {"note": language.say("error.notes", most=most)}
        return None, said


def _offer(offer_id: str) -> Offer:
    """The technician's own, locked. Raises `NotFound`."""
    if not is_id(offer_id):
        raise NotFound
    return offer_of(context.session(), context.principal(), offer_id, change=True)


def _answered(me: Worker, offer: Offer, answer: Callable[[], None], told: str) -> Response:
    """Gives the answer; where that fails, shows what stands now and says so."""
    session = context.session()
    try:
        with session.begin_nested():
            require_approved(session, me.technician)
            answer()
    except (OfferTaken, OfferExpired, NoLongerFits, InvalidState, Forbidden) as refused:
        known = Known.of(session, offer)
        sentence = me.language.say(_refusal(me, known, refused))
        return _page(me, refused.status, refused=Said(sentence, _about(me, known)))
    return onward(link("show_offers", told=told, of=offer.id))


def _refusal(me: Worker, known: Known, refused: DispatchError) -> str:
    """The key of the sentence that says why nothing was changed."""
    offer, visit = known.offer, known.appointment
    if isinstance(refused, NoLongerFits):
        return "work.refused.no_longer_fits"
    if isinstance(refused, Forbidden) or not _lets_work(me, offer.organization_id):
        return "work.refused.suspended"
    went = visit.status in (*HELD_BY_TECHNICIAN, *ENDED) and visit.technician_no != offer.technician_no
    if isinstance(refused, OfferTaken) and went and visit.status is not Status.CANCELLED:
        return "work.refused.taken"
    return _STANDS.get(offer.status_at(context.now()), "work.refused.withdrawn")


def _lets_work(me: Worker, organization_id: str) -> bool:
    active = EngagementStatus.ACTIVE
    return any(e.organization_id == organization_id and e.status is active for e in me.profile.engagements)


# The page


def _page(
    me: Worker,
    status: int = HTTPStatus.OK,
    *,
    refused: Said | None = None,
    entered: Entered | None = None,
) -> Response:
    session, now = context.session(), context.now()
    is_active = me.standing is EngagementStatus.ACTIVE
    newest = offering.offers_to(me.technician, None, now).order_by(
        col(Offer.created_at).desc(), col(Offer.id).desc()
    )
    is_open = col(Offer.status).in_(OPEN) & (col(Offer.expires_at) > now)
    standing = session.exec(newest.where(is_open)).all() if is_active else []
    answered = session.exec(newest.where(~is_open).limit(EARLIER)).all()
    cards = [_card(me, Known.of(session, offer)) for offer in sorted(standing, key=_urgency)]
    told, won = (None, None) if refused or entered else _told(me)
    return work_page(
        me,
        "show_offers",
        "work_offers.html",
        url_for("pages.show_offers"),
        status,
        told=told,
        refused=refused,
        won=won,
        cards=cards,
        answered=[_brief(me, Known.of(session, offer)) for offer in answered],
        entered=entered,
        explains=link("show_decisions") if me.standing is not EngagementStatus.PENDING else None,
    )


def _urgency(offer: Offer) -> tuple[datetime, str]:
    return offer.expires_at, offer.id


def _told(me: Worker) -> tuple[Said | None, Won | None]:
    """What the page says of the form that led to it, where that still holds."""
    said, offer_id = request.args.get("told", ""), request.args.get("of", "")
    if said not in TOLD or not is_id(offer_id):
        return None, None
    session = context.session()
    known = Known.of(session, offer_of(session, context.principal(), offer_id))
    status, key = TOLD[said]
    if known.offer.status is not status:
        return None, None
    if status is not OfferStatus.ACCEPTED:
        return Said(me.language.say(key), _about(me, known)), None
    if known.appointment.technician_no != me.technician.no or known.appointment.status in ENDED:
        return Said(me.language.say("work.told.not_yours"), _about(me, known)), None
    return Said(me.language.say(key), _about(me, known)), _won(me, known)


def _won(me: Worker, known: Known) -> Won | None:
    """None once the technician has set out."""
    visit, now = known.appointment, context.now()
    if visit.status is not Status.DISPATCHED or visit.scheduled_start is None:
        return None
    return Won(
        when=me.language.told_moment(visit.scheduled_start, me.zone),
        address=area_of(known.offer, visit, known.request, now).address,
        day=visit.scheduled_start.astimezone(me.zone).date().isoformat(),
        appointment_id=visit.id,
    )


def _about(me: Worker, known: Known) -> str:
    return f"{known.service.name}, {_when(me, known)}"


def _when(me: Worker, known: Known) -> str:
    """The window that was promised, else when work is planned to begin."""
    if known.appointment.is_promised:
        return me.language.told_visit(promised_window(known.appointment), me.zone)
    return me.language.told_moment(known.offer.scheduled_start, me.zone)


def _brief(me: Worker, known: Known) -> Answered:
    state = STATES[known.offer.status_at(context.now())]
    return Answered(known.service.name, _when(me, known), me.language.say(state))


def _card(me: Worker, known: Known) -> Card:
    language, offer, now = me.language, known.offer, context.now()
    currency, t = known.organization.currency, me.language.say
    area = area_of(offer, known.appointment, known.request, now)
    way = t("work.way", length=language.told_length(offer.travel_s), distance=_far(language, offer))
    return Card(
        id=offer.id,
        service=known.service.name,
        organization=known.organization.name,
        pay=language.told_money(offer.pay_cents, currency),
        net=t("work.net", money=language.told_money(net_per_hour_cents(offer), currency)),
        when=_when(me, known),
        starts=language.told_time(offer.scheduled_start.astimezone(me.zone)),
        takes=language.told_length(offer.duration_s),
        way=way,
        detour=t("work.detour", length=language.told_length(offer.detour_s)),
        area=area.locality,
        geo=geo(area.lat, area.lon),
        needs=needs(language, known.service),
        why=tuple(_why(me, known, fact) for fact in offer.why),
        notes=(t("work.offer.several"),) if offer.strategy is OfferStrategy.BROADCAST else (),
        until=_until(me, offer.expires_at),
        expires_at=offer.expires_at.isoformat(),
        counter=_counter(me, known),
        may_accept=offer.status is OfferStatus.PENDING,
    )


def _far(language: Language, offer: Offer) -> str:
    return language.told_distance(offer.travel_m)


def geo(lat: float, lon: float) -> str:
    """An address that a phone opens in its own map (RFC 5870; `q` puts a pin there)."""
    return f"geo:{lat:.6f},{lon:.6f}?q={lat:.6f},{lon:.6f}"


def _until(me: Worker, instant: datetime) -> str:
    """A time today, else with its day."""
    local, now = instant.astimezone(me.zone), context.now().astimezone(me.zone)
    if local.date() == now.date():
        return me.language.told_time(local)
    return me.language.told_lately(instant, me.zone)


def _counter(me: Worker, known: Known) -> str | None:
    """What the technician asked for, and how that stands."""
    offer = known.offer
    if offer.counter_pay_cents is None:
        return None
    money = me.language.told_money(offer.counter_pay_cents, known.organization.currency)
    key = "work.counter.asked" if offer.status is OfferStatus.COUNTERED else "work.counter.rejected"
    return me.language.say(key, money=money)


def _why(me: Worker, known: Known, fact: Mapping[str, Any]) -> str:
    """The way is told in the offer's own figures."""
    offer = known.offer
    figures = {"travel_m": offer.travel_m, "travel_s": offer.travel_s}
    return fact_words(me.language, {**figures, **fact}, known.service)
