"""Offers: visits put to freelancers and partners, and their answers."""

from typing import Any, Literal, Self

from flask import Response
from pydantic import Field
from sqlmodel import col, select

from api import context
from api.appointments import AppointmentPath, window_of
from api.auth import allow
from api.openapi import resource
from api.pagination import Page, PageQuery, page_of, paginate
from api.reasons import Why
from api.render import answer
from api.reviews import ReviewOut
from api.schemas import (
    EXAMPLE_ID,
    Answer,
    Body,
    Id,
    Instant,
    Money,
    OwnId,
    Path,
    Reference,
    Window,
    absent,
    example,
)
from dispatch import offering
from dispatch.access import actor_of, appointment_of_caller, offer_of, technicians_by_no, working_technician
from dispatch.appointment import Appointment
from dispatch.catalogue import OfferStrategy
from dispatch.offer import Offer, OfferStatus
from dispatch.organization import Organization
from dispatch.review import review_of_offer
from dispatch.service_request import ServiceRequest

offers = resource("offers", "Visits put to freelancers and partners.")


class OfferArea(Answer):
    """Where the visit is: before acceptance a point within a kilometre of it and the part of the address that follows
    the street, after it the place."""

    lat: float
    lon: float
    locality: str | None = Field(None, exclude_if=absent)
    address: str | None = Field(None, exclude_if=absent)


class OfferOut(Answer):
    """An offer. travel: the way to the visit; detour_s: what it adds to the technician's travel. net_per_hour: the pay
    for each hour of work and detour. why: the facts by which this technician was chosen. review: what came of asking a
    person to look again."""

    id: str
    appointment_id: str
    technician_id: str | None = Field(None, exclude_if=absent, description="For dispatchers.")
    status: OfferStatus
    pay: Money
    net_per_hour: Money
    travel_s: int
    travel_m: int
    detour_s: int
    duration_s: int
    area: OfferArea
    arrival_window: Window | None
    expires_at: Instant
    why: list[dict[str, Any]]
    review: ReviewOut | None

    @classmethod
    def of(cls, offer: Offer) -> Self:
        """As the caller may see it."""
        session, now = context.session(), context.now()
        appointment = session.get_one(Appointment, offer.appointment_id)
        request = session.get_one(ServiceRequest, appointment.service_request_id)
        currency = session.get_one(Organization, offer.organization_id).currency
        asks = context.principal().role == "dispatcher"
        people = technicians_by_no(session, [offer.technician_no]) if asks else {}
        review = review_of_offer(session, offer.id)
        return cls.model_validate(
            offer.model_dump()
            | {
                "technician_id": people[offer.technician_no].id if asks else None,
                "status": offer.status_at(now),
                "pay": Money.model_construct(amount=offer.pay_cents, currency=currency),
                "net_per_hour": Money.model_construct(
                    amount=offering.net_per_hour_cents(offer), currency=currency
                ),
                "area": offering.area_of(offer, appointment, request, now),
                "arrival_window": window_of(appointment),
                "review": ReviewOut.of(review) if review is not None else None,
            }
        )


class OfferPage(Page[OfferOut]):
    """One page of offers, the newest first."""


class OfferPath(Path):
    """Which offer."""

    offer_id: Id


class MyOffersPath(Path):
    """Whose offers: the caller's own."""

    technician_id: OwnId


class MyOffersQuery(PageQuery):
    """By status; an offer whose time is over is expired."""

    status: OfferStatus | None = None


class NewOffers(Body):
    """Whom to ask and for what. technician_ids: one; by default whom the plan has. pay: by default what the engagement
    says. Only `direct` is served by this version."""

    model_config = example({"strategy": "direct", "technician_ids": [EXAMPLE_ID], "expires_in_s": 1800})

    strategy: Literal["direct", "cascade", "broadcast"]
    technician_ids: list[Reference] | None = Field(None, min_length=1, max_length=200)
    expires_in_s: int | None = Field(None, ge=60, le=30 * 86_400)
    pay: Money | None = None


class SentOffers(Answer):
    """What was sent."""

    items: list[OfferOut]


class Declining(Body):
    """Why, if the technician cares to say. It changes nothing for other visits."""

    model_config = example({"reason": "Too far today."})

    reason: Why | None = None


@offers.post("/appointments/<appointment_id>/offers", summary="Ask technicians", responses={201: SentOffers})
@allow("dispatcher")
def create(path: AppointmentPath, body: NewOffers) -> Response:
    """Supersedes what was pending. The visit takes time in the calendar while the offer stands."""
    session, principal = context.session(), context.principal()
    row = appointment_of_caller(session, principal, path.appointment_id, change=True)
    wanted = offering.Wanted(
        OfferStrategy(body.strategy), body.technician_ids or [], body.expires_in_s, body.pay
    )
    sent = offering.send(session, context.settings(), row, wanted, actor_of(principal), context.now())
    return answer(SentOffers(items=[OfferOut.of(offer) for offer in sent]), 201)


@offers.get(
    "/appointments/<appointment_id>/offers", summary="List a visit's offers", responses={200: OfferPage}
)
@allow("dispatcher")
def read_all(path: AppointmentPath, query: PageQuery) -> Response:
    """The newest first."""
    row = appointment_of_caller(context.session(), context.principal(), path.appointment_id)
    return _page(select(Offer).where(Offer.appointment_id == row.id), query)


@offers.get("/technicians/<technician_id>/offers", summary="List my offers", responses={200: OfferPage})
@allow("technician")
def read_mine(path: MyOffersPath, query: MyOffersQuery) -> Response:
    """Of all organizations, the newest first."""
    technician = working_technician(context.session(), context.principal(), path.technician_id)
    return _page(offering.offers_to(technician, query.status, context.now()), query)


@offers.get("/offers/<offer_id>", summary="Read an offer", responses={200: OfferOut})
@allow("technician", "dispatcher")
def read(path: OfferPath) -> Response:
    """The address is in it after acceptance."""
    return _answer(offer_of(context.session(), context.principal(), path.offer_id))


@offers.post("/offers/<offer_id>/accept", summary="Accept", responses={200: OfferOut})
@allow("technician")
def accept(path: OfferPath) -> Response:
    """The visit is the technician's. A second time changes nothing."""
    session, principal = context.session(), context.principal()
    offer = offer_of(session, principal, path.offer_id, change=True)
    offering.accept(session, context.settings(), offer, actor_of(principal), context.now())
    return _answer(offer)


@offers.post("/offers/<offer_id>/decline", summary="Decline", responses={200: OfferOut})
@allow("technician")
def decline(path: OfferPath, body: Declining) -> Response:
    """Nobody's rank is lowered by it. A second time changes nothing."""
    session, principal = context.session(), context.principal()
    offer = offer_of(session, principal, path.offer_id, change=True)
    offering.decline(session, context.settings(), offer, actor_of(principal), context.now(), body.reason)
    return _answer(offer)


@offers.post("/offers/<offer_id>/withdraw", summary="Withdraw", responses={200: OfferOut})
@allow("dispatcher")
def withdraw(path: OfferPath) -> Response:
    """The visit is unassigned; the promise to the customer stands. A second time changes nothing."""
    session, principal = context.session(), context.principal()
    offer = offer_of(session, principal, path.offer_id, change=True)
    offering.withdraw(session, context.settings(), offer, actor_of(principal), context.now())
    return _answer(offer)


def _page(wanted: Any, query: PageQuery) -> Response:
    by = [col(Offer.created_at), col(Offer.id)]
    rows, cursor = paginate(context.session(), wanted, query, by=by, newest_first=True)
    return answer(page_of(OfferPage, [OfferOut.of(row) for row in rows], cursor))


def _answer(offer: Offer) -> Response:
    appointment = context.session().get_one(Appointment, offer.appointment_id)
    shown = OfferOut.of(offer)
    reviewed = [shown.review.status.value] if shown.review is not None else []
    return answer(shown, version=".".join([f"{offer.version}", f"{appointment.version}", *reviewed]))
