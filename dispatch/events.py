"""What happened: every change of state writes its event in the same transaction, and with it what the customer is to be
told (`dispatch.outbox`)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Index
from sqlmodel import Field, Session, SQLModel, col, select

from dispatch import outbox
from dispatch.ids import new_id


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did it. role: dispatcher, integration, technician, customer, public or system; id: of the key or
    technician."""

    role: str
    id: str | None = None


SYSTEM = Actor("system")


class Event(SQLModel, table=True):
    """subject_id: the appointment, offer, technician or request that changed. type: dotted, as webhooks name it."""

    __table_args__ = (Index("ix_event_organization_id_id", "organization_id", "id"),)

    id: str = Field(default_factory=new_id, primary_key=True, max_length=36)
    organization_id: str = Field(foreign_key="organization.id", index=True, max_length=36)
    subject_id: str = Field(index=True, max_length=36)
    type: str = Field(max_length=64)
    at: datetime = Field(index=True)
    by: str = Field(max_length=24)
    by_id: str | None = Field(default=None, max_length=36)
    reason: str | None = Field(default=None, max_length=2000)
    before: dict[str, Any] | None = Field(default=None, sa_type=JSON)
    after: dict[str, Any] | None = Field(default=None, sa_type=JSON)


def record(
    session: Session,
    organization_id: str,
    subject_id: str,
    type_: str,
    at: datetime,
    by: Actor,
    reason: str | None = None,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> Event:
    """Writes the event in the session's transaction, and into the outbox what follows from it."""
    event = Event(
        organization_id=organization_id,
        subject_id=subject_id,
        type=type_,
        at=at,
        by=by.role,
        by_id=by.id,
        reason=reason,
        before=before,
        after=after,
    )
    session.add(event)
    outbox.follow(session, subject_id, event.id, type_, at, after)
    return event


def events_of(session: Session, subject_id: str) -> list[Event]:
    """In order of time."""
    return events_by_subject(session, [subject_id])[subject_id]


def events_by_subject(session: Session, subject_ids: Sequence[str]) -> dict[str, list[Event]]:
    """Of each subject, in order of time."""
    found: dict[str, list[Event]] = {subject_id: [] for subject_id in subject_ids}
    query = select(Event).where(col(Event.subject_id).in_(subject_ids))
    for event in session.exec(query.order_by(col(Event.at), col(Event.id))):
        found[event.subject_id].append(event)
    return found
