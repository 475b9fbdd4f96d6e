"""A review: a technician asks a person to look again at a decision about it, and the answer.

A decision is reviewed once. Asking a second time is a conflict rather than the first review again: its words would be
lost, and who asks would think that two weeks begin anew. A lost answer is had again by the Idempotency-Key.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from sqlmodel import Field, Session, SQLModel, col, delete, exists, or_, select
from sqlmodel.sql.expression import SelectOfScalar

from dispatch.columns import enum_type
from dispatch.decision import Decision, Outcome, decision_of_offer, note
from dispatch.errors import Conflict, InvalidState
from dispatch.events import Actor, record
from dispatch.ids import new_id
from dispatch.instants import instant_told
from dispatch.offer import Offer
from dispatch.technician import Engagement, EngagementStatus

ANSWERED_WITHIN = timedelta(days=14)
"""Directive (EU) 2024/2831, article 11(2): within two weeks of the request."""
LONGEST_TEXT = 2_000


class ReviewStatus(StrEnum):
    OPEN = "open"
    ANSWERED = "answered"


class ReviewOutcome(StrEnum):
    UPHELD = "upheld"
    CHANGED = "changed"


class Review(SQLModel, table=True):
    """Of one decision, once. note: the technician's words. due_at: by when a person has to answer. answered_by: the
    key of the dispatcher that did."""

    id: str = Field(default_factory=new_id, primary_key=True, max_length=36)
    organization_id: str = Field(foreign_key="organization.id", index=True, max_length=36)
    decision_id: str = Field(foreign_key="decision.id", unique=True, max_length=36)
    note: str | None = Field(default=None, max_length=LONGEST_TEXT)
    asked_at: datetime
    due_at: datetime = Field(index=True)
    answer: str | None = Field(default=None, max_length=LONGEST_TEXT)
    outcome: ReviewOutcome | None = Field(default=None, sa_type=enum_type(ReviewOutcome))
    answered_at: datetime | None = None
    answered_by: str | None = Field(default=None, max_length=36)

    @property
    def status(self) -> ReviewStatus:
        return ReviewStatus.OPEN if self.answered_at is None else ReviewStatus.ANSWERED

    def is_overdue(self, now: datetime) -> bool:
        """Open beyond its deadline."""
        return self.answered_at is None and self.due_at < now


def ask(session: Session, decision: Decision, words: str | None, by: Actor, now: datetime) -> Review:
    """The technician wants a person to look again. decision: locked. Raises `Conflict` (`already_asked`)."""
    former = session.exec(select(Review).where(Review.decision_id == decision.id)).first()
    if former is not None:
        raise Conflict(
            "already_asked", _already(former), review_id=former.id, due_at=instant_told(former.due_at)
        )
    review = Review(
        organization_id=decision.organization_id,
        decision_id=decision.id,
        note=words,
        asked_at=now,
        due_at=now + ANSWERED_WITHIN,
    )
    session.add(review)
    about = {"decision_id": decision.id, "technician_no": decision.technician_no}
    record(session, decision.organization_id, review.id, "review.asked", now, by, after=about)
    session.flush()
    return review


def ask_about_offer(session: Session, offer: Offer, words: str | None, by: Actor, now: datetime) -> Review:
    """Of the decision to send the offer; one that was sent before decisions were kept gets its own now, from the facts
    that it tells. offer: locked. Raises as `ask`."""
    decision = decision_of_offer(session, offer.id)
    if decision is None:
        about = (offer.organization_id, offer.appointment_id, offer.technician_no)
        decision = note(session, *about, Outcome.OFFERED, offer.why, offer.created_at, offer.id)
        session.flush()
    else:
        session.refresh(decision, with_for_update=True)
    return ask(session, decision, words, by, now)


def _already(former: Review) -> str:
    if former.status is ReviewStatus.OPEN:
        return f"You have asked for a review; a person answers by {former.due_at:%Y-%m-%d %H:%M} UTC."
    return "A person has looked again already; its answer stands with the decision."


def answer(
    session: Session, review: Review, words: str, outcome: ReviewOutcome, by: Actor, now: datetime
) -> Review:
    """What a person found. It changes nothing by itself: a dispatcher whose answer is `changed` offers the visit,
    reinstates, or makes good as was written. review: locked. Raises `InvalidState` for one that is answered."""
    if review.status is not ReviewStatus.OPEN:
        raise InvalidState(current=review.status.value, allowed=[ReviewStatus.OPEN.value])
    review.answer, review.outcome = words, outcome
    review.answered_at, review.answered_by = now, by.id
    session.add(review)
    found = {"outcome": outcome.value, "in_time": now <= review.due_at}
    record(session, review.organization_id, review.id, "review.answered", now, by, after=found)
    session.flush()
    return review


def reviews_to(organization_id: str, status: ReviewStatus | None) -> SelectOfScalar[Review]:
    """Those that an organization has to answer or has answered."""
    query = select(Review).where(Review.organization_id == organization_id)
    if status is None:
        return query
    is_open = col(Review.answered_at).is_(None)
    return query.where(is_open if status is ReviewStatus.OPEN else ~is_open)


def reviews_of(session: Session, decision_ids: Sequence[str]) -> dict[str, Review]:
    """By decision."""
    found = session.exec(select(Review).where(col(Review.decision_id).in_(decision_ids)))
    return {review.decision_id: review for review in found}


def review_of_offer(session: Session, offer_id: str) -> Review | None:
    """Of the decision to send it."""
    query = select(Review).where(Review.decision_id == Decision.id, Decision.offer_id == offer_id)
    return session.exec(query).first()


def forget_decided(session: Session, before: datetime, limit: int = 500) -> int:
    """Forgets decisions from before then with their reviews, and gives back how many. Kept are those whose review is
    open or was answered since, and suspensions that stand."""
    still_told = exists().where(
        col(Review.decision_id) == Decision.id,
        or_(col(Review.answered_at).is_(None), col(Review.answered_at) >= before),
    )
    still_suspended = exists().where(
        col(Decision.outcome) == Outcome.SUSPENDED,
        col(Engagement.technician_no) == Decision.technician_no,
        col(Engagement.organization_id) == Decision.organization_id,
        col(Engagement.status) == EngagementStatus.SUSPENDED,
    )
    query = select(Decision.id).where(col(Decision.at) < before, ~still_told, ~still_suspended)
    ids = session.exec(query.order_by(col(Decision.at)).limit(limit)).all()
    session.exec(delete(Review).where(col(Review.decision_id).in_(ids)))
    session.exec(delete(Decision).where(col(Decision.id).in_(ids)))
    return len(ids)
