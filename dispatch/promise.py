"""The ledger of promises: every window given, changed, kept, broken or withdrawn, for good.

`given` and `changed` begin a promise. It ends once: `changed` again, `kept` when work begins in its window (or began
before, and the customer was served), `broken` when the window passes with nobody there (or somebody came before it and
left without result), `withdrawn` when the visit is cancelled before any of these.
"""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from sqlmodel import Field, Session, SQLModel, col, select
from sqlmodel.sql.expression import SelectOfScalar

from dispatch.appointment import Appointment
from dispatch.columns import enum_type
from dispatch.events import Actor
from dispatch.ids import new_id
from dispatch.territory import begins_on


class PromiseKind(StrEnum):
    GIVEN = "given"
    CHANGED = "changed"
    WITHDRAWN = "withdrawn"
    KEPT = "kept"
    BROKEN = "broken"


BEGINS = (PromiseKind.GIVEN, PromiseKind.CHANGED)


class Promise(SQLModel, table=True):
    """A line of the ledger: what became of a window, when, and by whose doing."""

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
    """Writes a line of the ledger in the session's transaction; what has been kept or broken cannot be withdrawn."""
    if kind is PromiseKind.WITHDRAWN and not stands(session, appointment_id):
        return
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


def stands(session: Session, appointment_id: str) -> bool:
    """Whether a promise has begun and not ended."""
    query = select(Promise.kind).where(Promise.appointment_id == appointment_id)
    last = session.exec(query.order_by(col(Promise.at).desc(), col(Promise.id).desc()).limit(1)).first()
    return last in BEGINS


@dataclass(frozen=True, slots=True)
class LedgerWish:
    """Which lines: by kind, visit and territory, and by local dates (both included) on which the window begins."""

    kind: PromiseKind | None = None
    appointment_id: str | None = None
    territory_id: str | None = None
    from_: date | None = None
    to: date | None = None


def lines_like(session: Session, organization_id: str, wish: LedgerWish) -> SelectOfScalar[Promise]:
    """The lines of the organization's ledger that are as wished; dates are read in the time zone of each territory."""
    query = (
        select(Promise)
        .join(Appointment, col(Appointment.id) == Promise.appointment_id)
        .where(Promise.organization_id == organization_id)
    )
    if wish.kind is not None:
        query = query.where(Promise.kind == wish.kind)
    if wish.appointment_id is not None:
        query = query.where(Promise.appointment_id == wish.appointment_id)
    if wish.territory_id is not None:
        query = query.where(Appointment.territory_id == wish.territory_id)
    if wish.from_ is not None or wish.to is not None:
        on_days = begins_on(
            session,
            organization_id,
            col(Appointment.territory_id),
            col(Promise.window_start),
            wish.from_,
            wish.to,
        )
        query = query.where(on_days)
    return query
