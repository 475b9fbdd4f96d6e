"""Decisions about the technician that calls: why it was or was not offered work, and the wish that a person looks
again."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Self

from flask import Response
from sqlmodel import col, select

from api import context
from api.appointments import window_of
from api.auth import allow
from api.offers import OfferPath
from api.openapi import resource
from api.pagination import Page, PageQuery, page_of, paginate
from api.render import answer
from api.reviews import Asking, FactOut, ReviewOut
from api.schemas import Answer, Id, Instant, OwnId, Path, Window
from dispatch import review as reviewing
from dispatch.access import actor_of, decision_about, offer_of, working_technician
from dispatch.appointment import Appointment
from dispatch.catalogue import Service
from dispatch.decision import Decision, Outcome, decisions_about
from dispatch.organization import Organization
from dispatch.review import reviews_of
from dispatch.service_request import ServiceRequest
from dispatch.technician import Technician

decisions = resource("decisions", "Why a technician was or was not offered work.")


class DecisionOut(Answer):
    """A decision about the calling technician. outcome: `offered`, `not_offered`, `assigned`, `unassigned` (a visit was
    taken away) or `suspended`, which is about no visit. facts: what decided then; nobody else is in them.
    arrival_window: as it stands now. kept_until: when it is forgotten, unless a review is open then or the suspension
    stands."""

    id: str
    organization: str
    organization_name: str
    outcome: Outcome
    appointment_id: str | None
    service_name: str | None
    arrival_window: Window | None
    offer_id: str | None
    facts: list[FactOut]
    at: Instant
    kept_until: Instant
    review: ReviewOut | None

    @classmethod
    def of_all(cls, decisions: Sequence[Decision]) -> list[Self]:
        """With what they are about and their reviews, in the same order."""
        session = context.session()
        asked = reviews_of(session, [decision.id for decision in decisions])
        visits = _visits(decisions)
        shown = []
        for decision in decisions:
            visit, service = visits.get(decision.appointment_id or "", (None, None))
            organization = session.get_one(Organization, decision.organization_id)
            members = {
                "organization": organization.slug,
                "organization_name": organization.name,
                "service_name": service.name if service is not None else None,
                "arrival_window": window_of(visit) if visit is not None else None,
                "kept_until": decision.at + timedelta(days=context.settings().decision_days),
                "review": ReviewOut.of(asked[decision.id]) if decision.id in asked else None,
            }
            shown.append(cls.model_validate(decision.model_dump() | members))
        return shown


def _visits(decisions: Sequence[Decision]) -> dict[str, tuple[Appointment, Service]]:
    """What they are about, by appointment id."""
    query = (
        select(Appointment, Service)
        .where(ServiceRequest.id == Appointment.service_request_id, Service.id == ServiceRequest.service_id)
        .where(col(Appointment.id).in_({decision.appointment_id for decision in decisions}))
    )
    return {visit.id: (visit, service) for visit, service in context.session().exec(query)}


class DecisionPage(Page[DecisionOut]):
    """One page of decisions, the newest first."""


class MyDecisionsPath(Path):
    """Whose decisions: the caller's own."""

    technician_id: OwnId


class DecisionPath(MyDecisionsPath):
    """Which decision."""

    decision_id: Id


@decisions.get(
    "/technicians/<technician_id>/decisions",
    summary="Read why I was asked or not",
    responses={200: DecisionPage},
)
@allow("technician")
def read_mine(path: MyDecisionsPath, query: PageQuery) -> Response:
    """Of all organizations, the newest first; while suspended too."""
    by = [col(Decision.at), col(Decision.id)]
    wanted = decisions_about(_me(path.technician_id))
    rows, cursor = paginate(context.session(), wanted, query, by=by, newest_first=True)
    return answer(page_of(DecisionPage, DecisionOut.of_all(rows), cursor))


@decisions.post(
    "/technicians/<technician_id>/decisions/<decision_id>/review",
    summary="Ask a person to look again at a decision",
    responses={201: ReviewOut},
)
@allow("technician")
def ask(path: DecisionPath, body: Asking) -> Response:
    """Answered by a dispatcher within two weeks; while suspended too. A decision is reviewed once: 409 `already_asked`
    tells by when the answer is due."""
    session, principal = context.session(), context.principal()
    decision = decision_about(session, _me(path.technician_id), path.decision_id)
    asked = reviewing.ask(session, decision, body.note, actor_of(principal), context.now())
    return answer(ReviewOut.of(asked), 201)


@decisions.post(
    "/offers/<offer_id>/review", summary="Ask a person to look again at an offer", responses={201: ReviewOut}
)
@allow("technician")
def ask_about_offer(path: OfferPath, body: Asking) -> Response:
    """The same as a review of the decision to send it, whatever became of the offer; it does not stop its clock."""
    session, principal = context.session(), context.principal()
    _me("me")
    offer = offer_of(session, principal, path.offer_id, change=True)
    asked = reviewing.ask_about_offer(session, offer, body.note, actor_of(principal), context.now())
    return answer(ReviewOut.of(asked), 201)


def _me(technician_id: str) -> Technician:
    """The calling technician, suspended or not."""
    return working_technician(context.session(), context.principal(), technician_id, or_suspended=True)
