"""A review: a technician asks a person to look again at a decision about it, and the answer."""

from datetime import datetime, timedelta
from enum import StrEnum

from sqlmodel import Field, SQLModel

from dispatch.columns import enum_type
from dispatch.ids import new_id

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
