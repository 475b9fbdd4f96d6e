"""A round: one asking for one visit, from the first offer until somebody has accepted or nobody will."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, BigInteger, Index, text
from sqlmodel import Field, Session, SQLModel, col, select

from dispatch.appointment import Appointment
from dispatch.catalogue import OfferStrategy
from dispatch.columns import enum_type
from dispatch.ids import new_id


class RoundStatus(StrEnum):
    """running: somebody is asked, or the next soon will be. stopped: a person, or a change of the visit, ended it."""

    RUNNING = "running"
    FILLED = "filled"
    UNFILLED = "unfilled"
    STOPPED = "stopped"


class OfferRound(SQLModel, table=True):
    """technician_nos: whom to ask, in this order; none: whoever could come, the cheapest first. answer_s: how long each
    may answer, by default what the time left allows. pay_cents: by default what each engagement says. deadline: nobody
    is asked for longer. ended_version: of the visit, where the round ended unfilled or by a person's word: as long as
    the visit is as it was then, nobody is asked again unless a person does. would_fill_if: of an unfilled one, reasons
    with figures."""

    __tablename__ = "offer_round"
    __table_args__ = (
        Index(
            "ix_offer_round_running",
            "appointment_id",
            unique=True,
            postgresql_where=text("status = 'running'"),
            sqlite_where=text("status = 'running'"),
        ),
        Index("ix_offer_round_status_deadline", "status", "deadline"),
    )

    id: str = Field(default_factory=new_id, primary_key=True, max_length=36)
    organization_id: str = Field(foreign_key="organization.id", index=True, max_length=36)
    appointment_id: str = Field(foreign_key="appointment.id", index=True, max_length=36)
    strategy: OfferStrategy = Field(sa_type=enum_type(OfferStrategy))
    status: RoundStatus = Field(default=RoundStatus.RUNNING, sa_type=enum_type(RoundStatus))
    technician_nos: list[int] = Field(default_factory=list, sa_type=JSON)
    answer_s: int | None = None
    pay_cents: int | None = Field(default=None, sa_type=BigInteger)
    deadline: datetime
    asked_by: str = Field(max_length=24)
    asked_by_id: str | None = Field(default=None, max_length=36)
    would_fill_if: list[dict[str, Any]] = Field(default_factory=list, sa_type=JSON)
    ended_version: int | None = None
    ended_at: datetime | None = None
    created_at: datetime
    version: int = 1

    def end(self, status: RoundStatus, now: datetime, ended_version: int | None = None) -> None:
        self.status, self.ended_at, self.ended_version = status, now, ended_version
        self.version += 1


def unfilled_rounds(session: Session, appointments: Sequence[Appointment]) -> dict[str, OfferRound]:
    """By appointment id, the last round of those that were offered and that nobody took; none for others, nor for a
    visit that has changed since."""
    version_of = {visit.id: visit.version for visit in appointments}
    query = (
        select(OfferRound)
        .where(col(OfferRound.appointment_id).in_(version_of))
        .where(OfferRound.status == RoundStatus.UNFILLED)
    )
    return {
        found.appointment_id: found
        for found in session.exec(query.order_by(col(OfferRound.id)))
        if found.ended_version == version_of[found.appointment_id]
    }


def would_fill_if_of(
    session: Session, appointments: Sequence[Appointment]
) -> dict[str, list[dict[str, Any]]]:
    """By appointment id, what would fill those whose last round found nobody."""
    return {id_: found.would_fill_if for id_, found in unfilled_rounds(session, appointments).items()}
