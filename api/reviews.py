"""Reviews: a technician asks a person to look again at a decision, and a dispatcher answers."""

from collections.abc import Sequence
from typing import Any, Self

from flask import Response
from pydantic import ConfigDict
from sqlmodel import col, select

from api import context
from api.auth import allow
from api.openapi import resource
from api.pagination import Page, PageQuery, page_of, paginate
from api.render import answer
from api.schemas import Answer, Body, Id, Instant, Path, Text, example
from dispatch import review as reviewing
from dispatch.access import actor_of, own_organization, owned, technicians_by_no
from dispatch.decision import Decision, Outcome
from dispatch.review import Review, ReviewOutcome, ReviewStatus, reviews_to

reviews = resource("reviews", "Decisions about technicians that a person is asked to look at again.")


class FactOut(Answer):
    """What decided: a stable code, a sentence, and figures of its own by name."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={"examples": [{"code": "rank", "detail": "Of those who could come.", "rank": 4}]},
    )

    code: str
    detail: str


class ReviewOut(Answer):
    """A review. note: the technician's words. due_at: by when a person has to answer; overdue: it is open beyond that.
    outcome: `upheld` (the decision stands) or `changed`. answer, outcome and answered_at are null while it is open."""

    id: str
    status: ReviewStatus
    note: str | None
    asked_at: Instant
    due_at: Instant
    overdue: bool
    answer: str | None
    outcome: ReviewOutcome | None
    answered_at: Instant | None

    @classmethod
    def of(cls, review: Review) -> Self:
        """As it stands now."""
        return cls.model_validate(_members(review))


class DecisionReviewed(Answer):
    """The decision that a review is about, in the facts that decided."""

    id: str
    outcome: Outcome
    appointment_id: str | None
    offer_id: str | None
    at: Instant
    facts: list[FactOut]


class ReviewToAnswer(ReviewOut):
    """A review as dispatchers see it: who asks, about what."""

    technician_id: str
    technician_name: str
    decision: DecisionReviewed

    @classmethod
    def of_all(cls, reviews: Sequence[Review]) -> list[Self]:
        """With their decisions, in the same order."""
        session = context.session()
        ids = [review.decision_id for review in reviews]
        decisions = {row.id: row for row in session.exec(select(Decision).where(col(Decision.id).in_(ids)))}
        people = technicians_by_no(session, [decision.technician_no for decision in decisions.values()])
        shown = []
        for review in reviews:
            decision = decisions[review.decision_id]
            technician = people[decision.technician_no]
            who = {"technician_id": technician.id, "technician_name": technician.name}
            shown.append(cls.model_validate(_members(review) | who | {"decision": decision}))
        return shown


def _members(review: Review) -> dict[str, Any]:
    return review.model_dump() | {"status": review.status, "overdue": review.is_overdue(context.now())}


class ReviewPage(Page[ReviewToAnswer]):
    """One page of reviews, the most urgent first."""


class ReviewQuery(PageQuery):
    """By status."""

    status: ReviewStatus | None = None


class ReviewPath(Path):
    """Which review."""

    review_id: Id


class Asking(Body):
    """Why a person should look again, if the technician cares to say."""

    model_config = example({"note": "I live nearer than 20 km; my address has changed."})

    note: Text | None = None


class ReviewAnswer(Body):
    """What a person found: reasons that the technician can follow, and whether the decision stands."""

    model_config = example(
        {
            "answer": "Your new address was not entered yet. You are asked again from today on.",
            "outcome": "changed",
        }
    )

    answer: Text
    outcome: ReviewOutcome


@reviews.get("/reviews", summary="List reviews", responses={200: ReviewPage})
@allow("dispatcher")
def read_all(query: ReviewQuery) -> Response:
    """The organization's, those that are due first at the top."""
    session = context.session()
    organization = own_organization(session, context.principal())
    by = [col(Review.due_at), col(Review.id)]
    rows, cursor = paginate(session, reviews_to(organization.id, query.status), query, by=by)
    return answer(page_of(ReviewPage, ReviewToAnswer.of_all(rows), cursor))


@reviews.post("/reviews/<review_id>/answer", summary="Answer a review", responses={200: ReviewToAnswer})
@allow("dispatcher")
def answer_one(path: ReviewPath, body: ReviewAnswer) -> Response:
    """The technician reads it with its decision and its offer. It changes nothing else by itself: offer, assign or
    reinstate as you wrote. An answer stands; a second is 409 `invalid_state`."""
    session, principal = context.session(), context.principal()
    asked = owned(session, principal, Review, path.review_id, change=True)
    reviewing.answer(session, asked, body.answer, body.outcome, actor_of(principal), context.now())
    return answer(ReviewToAnswer.of_all([asked])[0])
