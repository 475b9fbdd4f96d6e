"""Offers: visits put to freelancers and partners, and their answers."""

from functools import partial
from typing import Any, Literal, Self

from flask import Response
from pydantic import ConfigDict, Field
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
    Change,
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
from dispatch.counter_effect import effect_of_counter
from dispatch.offer import Offer, OfferStatus, OfferStrategy
from dispatch.offer_terms import area_of, net_per_hour_cents
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


class CounterOut(Answer):
    """The pay for which the technician would come, and what that means for the plan. extra_cost: against the pay that
    was offered, negative where it is less. total_cost: of travel and pay in all; next_best_total_cost: of the cheapest
    other who could come, at the pay that its engagement says, if there is one."""

    pay: Money
    note: str | None
    extra_cost: Change
    total_cost: Money
    next_best_total_cost: Money | None


class OfferOut(Answer):
    """An offer. travel: the way to the visit; detour_s: what it adds to the technician's travel. net_per_hour: the pay
    for each hour of work and detour. why: the facts by which this technician was chosen. review: what came of asking a
    person to look again."""

    model_config = ConfigDict(
        from_attributes=True,
        json_schema_extra={
            "examples": [
                {
                    "id": EXAMPLE_ID,
                    "appointment_id": EXAMPLE_ID,
                    "technician_id": EXAMPLE_ID,
                    "strategy": "cascade",
                    "status": "countered",
                    "pay": {"amount": 9000, "currency": "USD"},
                    "net_per_hour": {"amount": 7714, "currency": "USD"},
                    "travel_s": 840,
                    "travel_m": 4100,
                    "detour_s": 600,
                    "duration_s": 3600,
                    "area": {"lat": 40.71, "lon": -73.99, "locality": "Brooklyn, New York"},
                    "arrival_window": {"start": "2027-03-03T14:00:00Z", "end": "2027-03-03T16:00:00Z"},
                    "expires_at": "2027-03-02T15:00:00Z",
                    "why": [
                        {"code": "qualified", "detail": "Verified for plumbing."},
                        {"code": "near", "detail": "4100 m and 840 s from the place before."},
                    ],
                    "counter": {
                        "pay": {"amount": 11000, "currency": "USD"},
                        "note": "Heavy parts to carry.",
                        "extra_cost": {"amount": 2000, "currency": "USD"},
                        "total_cost": {"amount": 11600, "currency": "USD"},
                        "next_best_total_cost": {"amount": 12050, "currency": "USD"},
                    },
                }
            ]
        },
    )

    id: str
    appointment_id: str
    technician_id: str | None = Field(None, exclude_if=absent, description="For dispatchers.")
    strategy: OfferStrategy
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
    counter: CounterOut | None = Field(
        None, exclude_if=absent, description="Of a countered offer, for dispatchers."
    )

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
                "net_per_hour": Money.model_construct(amount=net_per_hour_cents(offer), currency=currency),
                "area": area_of(offer, appointment, request, now),
                "arrival_window": window_of(appointment),
                "review": ReviewOut.of(review) if review is not None else None,
                "counter": _counter(offer, currency) if asks else None,
            }
        )


def _counter(offer: Offer, currency: str) -> CounterOut | None:
    now = context.now()
    if offer.status_at(now) is not OfferStatus.COUNTERED or offer.counter_pay_cents is None:
        return None
    means = effect_of_counter(context.session(), context.settings(), offer, now)
    money, others = partial(Money.model_construct, currency=currency), means.next_best_total_cents
    return CounterOut(
        pay=money(amount=offer.counter_pay_cents),
        note=offer.counter_note,
        extra_cost=Change(amount=means.extra_cents, currency=currency),
        total_cost=money(amount=means.total_cents),
        next_best_total_cost=None if others is None else money(amount=others),
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
    """Whom to ask and for what. strategy: direct asks one alone, by default whom the plan has; cascade one after
    another; broadcast several at once, of whom the first to accept wins. technician_ids: whom, in this order; by
    default whoever could come, the cheapest first, and as many as make it likely that one accepts in time.
    expires_in_s: how long each may answer, by default what the time until the window allows. pay: by default what the
    engagement says."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"strategy": "direct", "technician_ids": [EXAMPLE_ID], "expires_in_s": 1800},
                {"strategy": "cascade"},
                {"strategy": "broadcast", "pay": {"amount": 9000, "currency": "USD"}},
            ]
        }
    )

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


class Countering(Body):
    """The pay for which the technician would come, and why."""

    model_config = example({"pay": {"amount": 11000, "currency": "USD"}, "note": "Heavy parts to carry."})

    pay: Money
    note: Why | None = None


@offers.post("/appointments/<appointment_id>/offers", summary="Ask technicians", responses={201: SentOffers})
@allow("dispatcher")
def create(path: AppointmentPath, body: NewOffers) -> Response:
    """Supersedes what was pending. While one alone is asked, the visit takes time in its calendar; what several are
    asked at once takes nobody's time, and the visit is unassigned until one accepts. The promise to the customer stands
    throughout. Where nobody accepts in time, the request is unfilled. Where nobody could come at all, this is 409
    `no_longer_fits`."""
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
    """The visit is the technician's. A second time changes nothing. Too late is 410 `offer_expired`, after another's
    acceptance 409 `offer_taken`, with no time left in one's own calendar 409 `no_longer_fits`."""
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
    """The visit is unassigned and nobody is asked until a person does; where several are asked at once, the others
    still are. The promise to the customer stands. A second time changes nothing."""
    session, principal = context.session(), context.principal()
    offer = offer_of(session, principal, path.offer_id, change=True)
    offering.withdraw(session, context.settings(), offer, actor_of(principal), context.now())
    return _answer(offer)


@offers.post("/offers/<offer_id>/counter", summary="Ask for another pay", responses={200: OfferOut})
@allow("technician")
def counter(path: OfferPath, body: Countering) -> Response:
    """A dispatcher decides; the time to answer runs on. The same again changes nothing."""
    session, principal = context.session(), context.principal()
    offer = offer_of(session, principal, path.offer_id, change=True)
    offering.counter(session, offer, body.pay, body.note, actor_of(principal), context.now())
    return _answer(offer)


@offers.post("/offers/<offer_id>/counter/accept", summary="Accept the pay", responses={200: OfferOut})
@allow("dispatcher")
def accept_counter(path: OfferPath) -> Response:
    """The technician has accepted at the pay that it asked for. A second time changes nothing."""
    session, principal = context.session(), context.principal()
    offer = offer_of(session, principal, path.offer_id, change=True)
    offering.accept_counter(session, context.settings(), offer, actor_of(principal), context.now())
    return _answer(offer)


@offers.post("/offers/<offer_id>/counter/reject", summary="Reject the pay", responses={200: OfferOut})
@allow("dispatcher")
def reject_counter(path: OfferPath) -> Response:
    """Pending again while time is left, at the pay that was offered; else 410 `offer_expired`. A second time changes
    nothing."""
    session, principal = context.session(), context.principal()
    offer = offer_of(session, principal, path.offer_id, change=True)
    offering.reject_counter(session, offer, actor_of(principal), context.now())
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
