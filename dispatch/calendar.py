"""The calendar of technicians: what takes their time, over all organizations. A technician is never in two places.

The database holds the rule itself: an exclusion constraint on PostgreSQL, triggers on SQLite (see the migrations).
Ranges are whole seconds of the Unix epoch, start inclusive, end exclusive.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from itertools import pairwise

from sqlalchemy import BigInteger, CheckConstraint, delete, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm.attributes import set_committed_value
from sqlmodel import Field, Session, SQLModel, col, select

from dispatch.columns import enum_type
from dispatch.errors import Conflict
from dispatch.ids import new_id
from dispatch.technician import Technician


class BlockKind(StrEnum):
    VISIT = "visit"
    HOLD = "hold"
    OFFER = "offer"
    ABSENCE = "absence"


class CalendarBlock(SQLModel, table=True):
    """busy_from: when the travel from the block before begins, or where an absence lies between arrival and work, when
    that ends; work_from: when the technician is at the place, buffer included; busy_to: when it is free again. lat and
    lon: where, none for an absence."""

    __tablename__ = "calendar_block"
    __table_args__ = (
        CheckConstraint("busy_from <= work_from AND work_from < busy_to", name="range_forward"),
    )

    id: str = Field(default_factory=new_id, primary_key=True, max_length=36)
    technician_no: int = Field(foreign_key="technician.no", index=True)
    organization_id: str = Field(foreign_key="organization.id", index=True, max_length=36)
    kind: BlockKind = Field(sa_type=enum_type(BlockKind))
    busy_from: int = Field(sa_type=BigInteger, index=True)
    work_from: int = Field(sa_type=BigInteger)
    busy_to: int = Field(sa_type=BigInteger, index=True)
    lat: float | None = None
    lon: float | None = None
    appointment_id: str | None = Field(default=None, foreign_key="appointment.id", unique=True, max_length=36)
    hold_id: str | None = Field(default=None, foreign_key="hold.id", unique=True, max_length=36)


ROUNDED_S, ROUNDED_M = 300, 1000
"""To what travel from or to another organization's visit is rounded before anybody of ours sees it: a few exact figures
would tell where that visit is."""


class CalendarMoved(Conflict):
    """Somebody else changed the technician's calendar since it was read; read it again and try anew."""

    def __init__(self) -> None:
        super().__init__("calendar_moved", "The technician's calendar changed meanwhile; try again.")


def epoch(at: datetime) -> int:
    """Whole seconds of the Unix epoch."""
    return int(at.timestamp())


def blocks_between(
    session: Session, technician_nos: Iterable[int], busy_from: int, busy_to: int
) -> list[CalendarBlock]:
    """What touches the range, in order of time."""
    query = select(CalendarBlock).where(
        col(CalendarBlock.technician_no).in_(list(technician_nos)),
        col(CalendarBlock.busy_from) < busy_to,
        col(CalendarBlock.busy_to) > busy_from,
    )
    return list(session.exec(query.order_by(col(CalendarBlock.technician_no), col(CalendarBlock.work_from))))


def claim(session: Session, technician: Technician, version: int) -> None:
    """Takes the technician's calendar for this transaction, if it still is as it was read at `version`. Raises
    `CalendarMoved`."""
    statement = (
        update(Technician)
        .where(col(Technician.no) == technician.no, col(Technician.calendar_version) == version)
        .values(calendar_version=version + 1)
    )
    if session.exec(statement).rowcount != 1:
        raise CalendarMoved
    set_committed_value(technician, "calendar_version", version + 1)


def discreet(travel_s: int, travel_m: int) -> tuple[int, int]:
    """Travel beside another organization's visit as it may be shown."""
    return ROUNDED_S * round(travel_s / ROUNDED_S), ROUNDED_M * round(travel_m / ROUNDED_M)


def beside_others(
    session: Session, organization_id: str, technician_nos: Iterable[int], busy_from: int, busy_to: int
) -> set[str]:
    """The organization's appointments in the range whose neighbour in the same calendar is another organization's."""
    query = select(
        CalendarBlock.technician_no, CalendarBlock.organization_id, CalendarBlock.appointment_id
    ).where(
        col(CalendarBlock.technician_no).in_(list(technician_nos)),
        col(CalendarBlock.busy_from) < busy_to + 86_400,
        col(CalendarBlock.busy_to) > busy_from - 86_400,
    )
    in_order = query.order_by(col(CalendarBlock.technician_no), col(CalendarBlock.work_from))
    found: set[str] = set()
    for one, other in pairwise(session.exec(in_order)):
        if one[0] == other[0] and one[1] != other[1]:
            found |= {id_ for _, owner, id_ in (one, other) if owner == organization_id and id_ is not None}
    return found


def tell_changed(session: Session, technician_nos: Collection[int | None]) -> None:
    """Raises the versions of calendars that lose a block without being read, so that whoever read them looks again."""
    if technician_nos:
        statement = update(Technician).where(col(Technician.no).in_(technician_nos))
        session.exec(statement.values(calendar_version=col(Technician.calendar_version) + 1))


def rewrite(session: Session, old: Sequence[CalendarBlock], new: Iterable[CalendarBlock]) -> None:
    """Clears and writes again what a change touches, in the transaction of the session. Raises
    `CalendarMoved` where the database finds the technician in two places."""
    ids = [block.id for block in old]
    written = list(new)
    for block in old:
        if block in session:
            session.expunge(block)
    try:
        with session.begin_nested():
            session.exec(delete(CalendarBlock).where(col(CalendarBlock.id).in_(ids)))
            session.add_all(written)
            session.flush()
    except IntegrityError as error:
        if "ex_calendar_block_busy" in str(error.orig):
            raise CalendarMoved from error
        raise


def mark_block(session: Session, appointment_id: str, kind: BlockKind) -> None:
    """What takes the time of a visit: itself, or what is being asked about it."""
    statement = update(CalendarBlock).where(col(CalendarBlock.appointment_id) == appointment_id)
    session.exec(statement.values(kind=kind))


def free(session: Session, appointment_id: str) -> None:
    """Gives back the time of a visit, in whoever's calendar it is."""
    holders = select(CalendarBlock.technician_no).where(CalendarBlock.appointment_id == appointment_id)
    tell_changed(session, session.exec(holders).all())
    session.exec(delete(CalendarBlock).where(col(CalendarBlock.appointment_id) == appointment_id))
    session.flush()
