"""The ledger of promises: every window given, changed, kept or broken, for good."""

from datetime import datetime
from enum import StrEnum

from sqlmodel import Field, Session, SQLModel

from dispatch.columns import enum_type
from dispatch.events import Actor
from dispatch.ids import new_id


class PromiseKind(StrEnum):
    GIVEN = "given"
    CHANGED = "changed"
    WITHDRAWN = "withdrawn"
    KEPT = "kept"
    BROKEN = "broken"


class Promise(SQLModel, table=True):
    id: str = Field(default_factory=new_id, primary_key=True, max_length=36)
    organization_id: str = Field(foreign_key="organization.id", index=True, max_length=36)
    appointment_id: str = Field(foreign_key="appointment.id", index=True, max_length=36)
    kind: PromiseKind = Field(sa_type=enum_type(PromiseKind))
    window_start: datetime
    window_end: datetime
    at: datetime = Field(index=True)
    by: str = Field(max_length=24)


def enter(
    session: Session,
    organization_id: str,
    appointment_id: str,
    kind: PromiseKind,
    window: tuple[datetime, datetime],
    at: datetime,
    by: Actor,
) -> None:
    """Writes a line of the ledger in the session's transaction."""
    session.add(
        Promise(
            organization_id=organization_id,
            appointment_id=appointment_id,
            kind=kind,
            window_start=window[0],
            window_end=window[1],
            at=at,
            by=by.role,
        )
    )
