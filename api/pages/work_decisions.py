"""`/work/decisions`: why the technician was or was not asked, and the wish that a person looks again."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus

from flask import Response, request, url_for
from sqlmodel import col

from api import context
from api.auth import PUBLIC, allow
from api.bodies import refusal_of
from api.pages.languages import Language
from api.pages.site import pages
from api.pages.visitor import link, onward, typed
from api.pages.work import LIMIT, LONGEST_REASON, Said, Worker, of_technician, work_page
from api.pages.work_facts import fact_words
from dispatch import review as reviewing
from dispatch.access import decision_about, working_technician
from dispatch.appointment import Appointment
from dispatch.booking import promised_window
from dispatch.catalogue import Service
from dispatch.decision import Decision, Outcome, decisions_about
from dispatch.errors import Conflict, NotFound
from dispatch.ids import is_id
from dispatch.offer import Offer
from dispatch.review import Review, ReviewOutcome, reviews_of
from dispatch.service_request import ServiceRequest
from dispatch.technician import EngagementStatus

ON_A_PAGE = 20
MOST_PAGES = 500

OUTCOMES: Mapping[Outcome, str] = {
    Outcome.OFFERED: "work.decided.offered",
    Outcome.NOT_OFFERED: "work.decided.not_offered",
    Outcome.ASSIGNED: "work.decided.assigned",
    Outcome.UNASSIGNED: "work.decided.unassigned",
    Outcome.SUSPENDED: "work.decided.suspended",
}
REVIEWED: Mapping[ReviewOutcome, str] = {
    ReviewOutcome.UPHELD: "work.review.upheld",
    ReviewOutcome.CHANGED: "work.review.changed",
}


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision in the technician's words. about: the visit, None of a suspension. reviewed: what came of asking a
    person, and its words; None where nobody was asked."""

    id: str
    outcome: str
    about: str | None
    organization: str
    at: str
    kept_until: str
    facts: tuple[str, ...]
    reviewed: str | None
    answer: str | None


@pages.get("/work/decisions")
@allow(PUBLIC)
@of_technician
def show_decisions(me: Worker) -> Response:
    """The newest first (`page`, from 1 on); while suspended too."""
    return _page(me, _number(request.args.get("page")))


@pages.post("/work/decisions/<decision_id>/review")
@allow(PUBLIC, raw_body=True, idempotent=False, limit=LIMIT)
@of_technician
def ask_review(me: Worker, decision_id: str) -> Response:
    """Asks a person to look again, once."""
    session, number, said = context.session(), _number(request.form.get("page")), typed("reason")
    if not is_id(decision_id):
        raise NotFound
    technician = working_technician(session, context.principal(), or_suspended=True)
    words = None if refusal_of(said) else said[:LONGEST_REASON] or None
    try:
        with session.begin_nested():
            decision = decision_about(session, technician, decision_id)
            reviewing.ask(session, decision, words, me.by, context.now())
    except Conflict as conflict:
        return _page(me, number, conflict.status, refused=Said(me.language.say("work.refused.asked")))
    return onward(link("show_decisions", page=number, _anchor=f"decision-{decision_id}"))


def _number(said: str | None) -> int:
    told = said or ""
    return min(max(int(told), 1), MOST_PAGES) if told.isascii() and told.isdigit() and len(told) < 6 else 1


def _page(me: Worker, number: int, status: int = HTTPStatus.OK, *, refused: Said | None = None) -> Response:
    session = context.session()
    is_approved = me.standing is not EngagementStatus.PENDING
    newest = decisions_about(me.technician).order_by(col(Decision.at).desc(), col(Decision.id).desc())
    wanted = newest.offset((number - 1) * ON_A_PAGE).limit(ON_A_PAGE + 1)
    found = session.exec(wanted).all() if is_approved else []
    reviews = reviews_of(session, [decision.id for decision in found])
    return work_page(
        me,
        "show_offers",
        "work_decisions.html",
        url_for("pages.show_decisions", page=number),
        status,
        refused=refused,
        is_approved=is_approved,
        number=number,
        decisions=[_decided(me, decision, reviews.get(decision.id)) for decision in found[:ON_A_PAGE]],
        newer=link("show_decisions", page=number - 1) if number > 1 else None,
        older=link("show_decisions", page=number + 1) if len(found) > ON_A_PAGE else None,
    )


def _decided(me: Worker, decision: Decision, review: Review | None) -> Decided:
    language, zone = me.language, me.zone
    about, service = _about(me, decision)
    kept_until = decision.at + timedelta(days=context.settings().decision_days)
    return Decided(
        id=decision.id,
        outcome=language.say(OUTCOMES[decision.outcome]),
        about=about,
        organization=me.profile.organizations[decision.organization_id].name,
        at=language.told_lately(decision.at, zone),
        kept_until=language.told_day(kept_until.astimezone(zone).date()),
        facts=_facts(language, decision, service),
        reviewed=_reviewed(me, review) if review else None,
        answer=review.answer if review else None,
    )


def _facts(language: Language, decision: Decision, service: Service | None) -> tuple[str, ...]:
    """Of a suspension, what a person wrote; the way to an offered visit in the offer's own figures."""
    if decision.outcome is Outcome.SUSPENDED:
        return tuple(language.say("work.fact.person", reason=fact["detail"]) for fact in decision.facts)
    offer = context.session().get(Offer, decision.offer_id) if decision.offer_id else None
    figures = {"travel_m": offer.travel_m, "travel_s": offer.travel_s} if offer else {}
    return tuple(fact_words(language, {**figures, **fact}, service) for fact in decision.facts)


def _about(me: Worker, decision: Decision) -> tuple[str | None, Service | None]:
    """The visit in words, and its service."""
    if decision.appointment_id is None:
        return None, None
    session = context.session()
    visit = session.get_one(Appointment, decision.appointment_id)
    asked = session.get_one(ServiceRequest, visit.service_request_id)
    service = session.get_one(Service, asked.service_id)
    if not visit.is_promised:
        return service.name, service
    return f"{service.name}, {me.language.told_visit(promised_window(visit), me.zone)}", service


def _reviewed(me: Worker, review: Review) -> str:
    if review.outcome is None:
        return me.language.say("work.review.open", time=me.language.told_lately(review.due_at, me.zone))
    return me.language.say(REVIEWED[review.outcome])
