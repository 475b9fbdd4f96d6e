"""Endpoints of others that want to be told what happens, and each delivery to them: one event to one endpoint.

A delivery is written in the transaction of its event (`dispatch.webhook_outbox`) with the body that is to leave, and
leaves afterwards (`dispatch.delivering`), at least once. Whoever locks rows of both takes the endpoint's first."""

import random
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import JSON, Index, Text
from sqlmodel import Field, Session, SQLModel, col, update

from dispatch.columns import enum_type
from dispatch.ids import new_id

PAUSES = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
"""Between attempts: the schedule that the Standard Webhooks specification suggests, 75 hours in all."""
JITTER = 0.1
"""A pause is longer or shorter by up to this share, so that what failed together is not tried together again."""
MOST_ATTEMPTS = len(PAUSES) + 1
PATIENCE = timedelta(days=3)
"""An endpoint that took nothing for so long, although it was tried, is disabled."""


class EventType(StrEnum):
    """What an endpoint may ask for; the types of the events that are recorded."""

    APPOINTMENT_BOOKED = "appointment.booked"
    APPOINTMENT_SCHEDULED = "appointment.scheduled"
    APPOINTMENT_DISPATCHED = "appointment.dispatched"
    APPOINTMENT_EN_ROUTE = "appointment.en_route"
    APPOINTMENT_ON_SITE = "appointment.on_site"
    APPOINTMENT_COMPLETED = "appointment.completed"
    APPOINTMENT_CANNOT_COMPLETE = "appointment.cannot_complete"
    APPOINTMENT_CANCELLED = "appointment.cancelled"
    APPOINTMENT_RESCHEDULED = "appointment.rescheduled"
    APPOINTMENT_LATE = "appointment.late"
    OFFER_SENT = "offer.sent"
    OFFER_ACCEPTED = "offer.accepted"
    OFFER_DECLINED = "offer.declined"
    OFFER_EXPIRED = "offer.expired"
    REQUEST_CREATED = "request.created"
    REQUEST_UNFILLED = "request.unfilled"
    FEEDBACK_RECEIVED = "feedback.received"


class DisabledWhy(StrEnum):
    """dispatcher: somebody did it; gone: the endpoint answered 410; failing: it took nothing for three days."""

    DISPATCHER = "dispatcher"
    GONE = "gone"
    FAILING = "failing"


class DeliveryStatus(StrEnum):
    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


class WebhookEndpoint(SQLModel, table=True):
    """events: the types wanted, none for all. sealed_secret: the signing secret, encrypted under the server's own.
    failing_since: the first failure since it last took something. While it is disabled it is sent nothing, and nothing
    is kept for it."""

    __tablename__ = "webhook_endpoint"

    id: str = Field(default_factory=new_id, primary_key=True, max_length=36)
    organization_id: str = Field(foreign_key="organization.id", index=True, max_length=36)
    url: str = Field(max_length=2000)
    events: list[str] = Field(default_factory=list, sa_type=JSON)
    sealed_secret: str = Field(max_length=500)
    failing_since: datetime | None = None
    disabled_at: datetime | None = None
    disabled_why: DisabledWhy | None = Field(default=None, sa_type=enum_type(DisabledWhy))
    created_at: datetime
    version: int = 1

    def enable(self) -> None:
        """Its failures of before are forgotten."""
        self.disabled_at = self.disabled_why = self.failing_since = None
        self.version += 1

    def disable(self, session: Session, why: DisabledWhy, now: datetime) -> None:
        """What it was still to get has failed; a dispatcher may have it sent once the endpoint is enabled again."""
        self.disabled_at, self.disabled_why = now, why
        self.version += 1
        waiting = update(WebhookDelivery).where(
            col(WebhookDelivery.endpoint_id) == self.id,
            col(WebhookDelivery.status) == DeliveryStatus.PENDING,
        )
        said = {"status": DeliveryStatus.FAILED, "ended_at": now, "last_error": "the endpoint was disabled"}
        session.exec(waiting.values(**said, version=WebhookDelivery.version + 1))

    def note(self, session: Session, is_taken: bool, now: datetime) -> None:
        """What came of an attempt; after `PATIENCE` without success it is disabled."""
        if is_taken:
            self.failing_since = None
        elif self.failing_since is None:
            self.failing_since = now
        elif self.disabled_at is None and now - self.failing_since >= PATIENCE:
            self.disable(session, DisabledWhy.FAILING, now)


class WebhookDelivery(SQLModel, table=True):
    """body: the bytes that are signed and sent, the same at each attempt. due_at: not before; while it is being sent,
    when it is tried again if nothing more is heard of it. attempts: how often it was taken up since it was written or
    a dispatcher had it sent again. version: counts the changes, so that who has sent it sees whether it is still
    theirs to put off."""

    __tablename__ = "webhook_delivery"
    __table_args__ = (
        Index("ix_webhook_delivery_endpoint_id_status_due_at", "endpoint_id", "status", "due_at"),
    )

    id: str = Field(default_factory=new_id, primary_key=True, max_length=36)
    endpoint_id: str = Field(foreign_key="webhook_endpoint.id", max_length=36)
    event_id: str = Field(foreign_key="event.id", index=True, max_length=36)
    type: str = Field(max_length=64)
    body: str = Field(sa_type=Text)
    status: DeliveryStatus = Field(default=DeliveryStatus.PENDING, sa_type=enum_type(DeliveryStatus))
    due_at: datetime
    attempts: int = 0
    response_status: int | None = None
    last_error: str | None = Field(default=None, max_length=200)
    ended_at: datetime | None = Field(default=None, index=True)
    created_at: datetime
    version: int = 1

    @property
    def next_attempt_at(self) -> datetime | None:
        return self.due_at if self.status is DeliveryStatus.PENDING else None

    def lease(self, until: datetime) -> None:
        """Somebody sends it now; if nothing is heard of it, it is anybody's again then."""
        self.attempts += 1
        self.due_at = until
        self.version += 1

    def end(self, status: DeliveryStatus, now: datetime) -> None:
        self.status, self.ended_at = status, now
        self.version += 1

    def put_off(self, now: datetime) -> None:
        """Until the schedule has it tried again; after the last attempt it has failed."""
        if self.attempts >= MOST_ATTEMPTS:
            self.end(DeliveryStatus.FAILED, now)
            return
        self.due_at = now + pause(self.id, self.attempts)
        self.version += 1

    def send_again(self, now: datetime) -> None:
        """By the schedule from its beginning, with the same id and body."""
        self.status, self.due_at, self.attempts, self.ended_at = DeliveryStatus.PENDING, now, 0, None
        self.version += 1


def pause(delivery_id: str, attempts: int) -> timedelta:
    """Until the next attempt after so many (1 and more)."""
    spread = random.Random(f"{delivery_id}/{attempts}").uniform(1 - JITTER, 1 + JITTER)
    return PAUSES[attempts - 1] * spread
