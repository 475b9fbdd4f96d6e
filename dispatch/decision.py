"""Why a technician was or was not offered work, assigned it, or suspended: the facts that decided, as they were then.

Written once and never read by anything that ranks, plans or offers. It is kept for `decision_days` (a setting), and
longer while a review of it is open or the suspension stands (`review.forget_decided`).
"""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, Index
from sqlmodel import Field, Session, SQLModel, col, select
from sqlmodel.sql.expression import SelectOfScalar

from dispatch.columns import enum_type
from dispatch.ids import new_id
from dispatch.technician import Technician

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Outcome(StrEnum):
    """What was decided about a technician. unassigned: a visit that it had was taken away; suspended: by a person, and
    the one outcome that is about no visit."""

    OFFERED = "offered"
    NOT_OFFERED = "not_offered"
    ASSIGNED = "assigned"
    UNASSIGNED = "unassigned"
    SUSPENDED = "suspended"


class Decision(SQLModel, table=True):
    """facts: objects with `code`, `detail` and figures. offer_id: of the offer that was sent. at: when it was so."""

    __table_args__ = (Index("ix_decision_technician_no_at", "technician_no", "at"),)

    id: str = Field(default_factory=new_id, primary_key=True, max_length=36)
    organization_id: str = Field(foreign_key="organization.id", index=True, max_length=36)
    appointment_id: str | None = Field(default=None, foreign_key="appointment.id", index=True, max_length=36)
    technician_no: int = Field(foreign_key="technician.no")
    outcome: Outcome = Field(sa_type=enum_type(Outcome))
    facts: list[dict[str, Any]] = Field(default_factory=list, sa_type=JSON)
    offer_id: str | None = Field(default=None, foreign_key="offer.id", index=True, max_length=36)
    at: datetime = Field(index=True)


def note(
    session: Session,
    organization_id: str,
    appointment_id: str | None,
    technician_no: int,
    outcome: Outcome,
    facts: Iterable[Mapping[str, Any]],
    now: datetime,
    offer_id: str | None = None,
) -> Decision:
    """Writes a decision in the session's transaction. facts: each with a `code`, a `detail` for people and figures;
    what else a reason carries, such as the `technicians` that it names, is left out: it is about others. What a
    person wrote of a suspension stays as it is. appointment_id: None for a suspension alone."""
    decision = Decision(
        organization_id=organization_id,
        appointment_id=appointment_id,
        technician_no=technician_no,
        outcome=outcome,
        facts=[dict(fact) if outcome is Outcome.SUSPENDED else told(fact) for fact in facts],
        offer_id=offer_id,
        at=now,
    )
    session.add(decision)
    return decision


def told(fact: Mapping[str, Any]) -> dict[str, Any]:
    """What of a fact or a reason is about the technician itself: code, detail and figures. An id in the detail is
    another technician's or visit's, and becomes "another"."""
    figures = {name: value for name, value in fact.items() if isinstance(value, int | float)}
    return {"code": fact["code"], "detail": _ID.sub("another", fact["detail"]), **figures}


def decisions_about(technician: Technician) -> SelectOfScalar[Decision]:
    """All of them, over all organizations, to be put into order by whoever asks."""
    return select(Decision).where(Decision.technician_no == technician.no)


def decision_of_offer(session: Session, offer_id: str) -> Decision | None:
    """The latest that names the offer."""
    query = select(Decision).where(Decision.offer_id == offer_id)
    return session.exec(query.order_by(col(Decision.at).desc(), col(Decision.id).desc())).first()
