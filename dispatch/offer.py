"""An offer: a visit put to a freelancer or partner, and its answer."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, BigInteger, Index
from sqlmodel import Field, SQLModel

from dispatch.columns import enum_type
from dispatch.errors import InvalidState, OfferExpired, OfferTaken
from dispatch.ids import new_id


class OfferStrategy(StrEnum):
    """How freelancers are asked: not at all, one chosen, one after another, or all at once."""

    NONE = "none"
    DIRECT = "direct"
    CASCADE = "cascade"
    BROADCAST = "broadcast"


class OfferStatus(StrEnum):
    PENDING = "pending"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    COUNTERED = "countered"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"
    SUPERSEDED = "superseded"


OPEN = (OfferStatus.PENDING, OfferStatus.COUNTERED)


class Offer(SQLModel, table=True):
    """rank: its place in its round, 0 asked first. detour_s: what the visit adds to the technician's travel that day.
    why: the facts that decided that this technician was asked. Pay is in the organization's minor units."""

    __table_args__ = (Index("ix_offer_organization_id_answered_at", "organization_id", "answered_at"),)

    id: str = Field(default_factory=new_id, primary_key=True, max_length=36)
    organization_id: str = Field(foreign_key="organization.id", index=True, max_length=36)
    appointment_id: str = Field(foreign_key="appointment.id", index=True, max_length=36)
    round_id: str = Field(foreign_key="offer_round.id", index=True, max_length=36)
    technician_no: int = Field(foreign_key="technician.no", index=True)
    strategy: OfferStrategy = Field(sa_type=enum_type(OfferStrategy))
    rank: int = 0
    status: OfferStatus = Field(default=OfferStatus.PENDING, sa_type=enum_type(OfferStatus), index=True)
    pay_cents: int = Field(sa_type=BigInteger)
    travel_s: int
    travel_m: int
    detour_s: int
    duration_s: int
    scheduled_start: datetime
    why: list[dict[str, Any]] = Field(default_factory=list, sa_type=JSON)
    counter_pay_cents: int | None = Field(default=None, sa_type=BigInteger)
    counter_note: str | None = Field(default=None, max_length=2000)
    answer_reason: str | None = Field(default=None, max_length=2000)
    expires_at: datetime = Field(index=True)
    answered_at: datetime | None = None
    created_at: datetime
    version: int = 1

    @property
    def takes_time(self) -> bool:
        """Whether the visit stands in the technician's calendar while it is asked; what many are asked at once takes
        nobody's time."""
        return self.strategy is not OfferStrategy.BROADCAST

    def status_at(self, now: datetime) -> OfferStatus:
        """As callers see it: one whose time is over is expired, also before that was noted."""
        return OfferStatus.EXPIRED if self.status in OPEN and self.expires_at <= now else self.status

    def require_open(self, now: datetime) -> None:
        """Raises `OfferTaken`, `OfferExpired` or `InvalidState` unless an answer is still possible."""
        if self.status is OfferStatus.SUPERSEDED:
            raise OfferTaken()
        if self.status is OfferStatus.EXPIRED or (self.status in OPEN and self.expires_at <= now):
            raise OfferExpired()
        if self.status not in OPEN:
            raise InvalidState(current=self.status.value, allowed=[status.value for status in OPEN])

    def close(self, status: OfferStatus, now: datetime, reason: str | None = None) -> None:
        self.status, self.answered_at, self.answer_reason = status, now, reason
        self.version += 1
