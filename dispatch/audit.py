"""The audit of an organization: who did what, when and why, and who read where a technician was.

It is two tables that are only ever added to: `event`, written in the transaction of each change, and `location_read`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from sqlalchemy import SQLColumnExpression
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from dispatch.appointment import Appointment
from dispatch.decision import Decision
from dispatch.events import Actor, Event, record
from dispatch.instants import instant_told
from dispatch.keys import ApiKey
from dispatch.location_read import READ, LocationRead
from dispatch.message import Message
from dispatch.organization import Organization
from dispatch.review import Review
from dispatch.shift import local_day
from dispatch.technician import Technician
from dispatch.territory import Territory

Row = TypeVar("Row", Event, LocationRead)


@dataclass(frozen=True, slots=True)
class AuditWish:
    """Which entries. subject_id: what changed, or whose position was read. appointment_id: all about a visit: its
    request, offers, messages and reviews too. technician_id: what was done to the technician or by it, and what was
    read of its position. by, by_id: who did it. from_, to: local dates of the organization, both included."""

    subject_id: str | None = None
    appointment_id: str | None = None
    technician_id: str | None = None
    type: str | None = None
    by: str | None = None
    by_id: str | None = None
    from_: date | None = None
    to: date | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the audit. subject_id: what changed; of a reading, the technician whose position it was. name: of the
    technician who did it, or the beginning of the key, None where nobody is known."""

    id: str
    at: datetime
    type: str
    subject_id: str
    by: Actor
    name: str | None
    reason: str | None
    before: dict[str, Any] | None
    after: dict[str, Any] | None


def events_like(
    session: Session, organization: Organization, wish: AuditWish
) -> SelectOfScalar[Event] | None:
    """None where what is wished cannot be an event."""
    if wish.type == READ:
        return None
    query = select(Event).where(Event.organization_id == organization.id)
    query = _within(query, col(Event.at), organization, wish)
    query = _done_by(query, col(Event.by), col(Event.by_id), wish)
    if wish.type is not None:
        query = query.where(Event.type == wish.type)
    if wish.subject_id is not None:
        query = query.where(Event.subject_id == wish.subject_id)
    if wish.technician_id is not None:
        is_about = col(Event.subject_id) == wish.technician_id
        query = query.where(is_about | (col(Event.by_id) == wish.technician_id))
    if wish.appointment_id is not None:
        query = query.where(col(Event.subject_id).in_(_about(session, wish.appointment_id)))
    return query


def _about(session: Session, appointment_id: str) -> list[str]:
    """The ids by which events name a visit and what hangs on it."""
    visit = session.get(Appointment, appointment_id)
    if visit is None:
        return [appointment_id]
    messages = select(Message.id).where(Message.appointment_id == appointment_id)
    reviews = (
        select(Review.id)
        .join(Decision, col(Decision.id) == Review.decision_id)
        .where(Decision.appointment_id == appointment_id)
    )
    return [visit.id, visit.service_request_id, *session.exec(messages), *session.exec(reviews)]


def reads_like(
    session: Session, organization: Organization, wish: AuditWish
) -> SelectOfScalar[LocationRead] | None:
    """None where what is wished cannot be a reading."""
    if wish.type not in (None, READ):
        return None
    query = select(LocationRead).where(LocationRead.organization_id == organization.id)
    query = _within(query, col(LocationRead.at), organization, wish)
    query = _done_by(query, col(LocationRead.by), col(LocationRead.by_id), wish)
    for technician_id in {wish.subject_id, wish.technician_id} - {None}:
        whose = select(Technician.no).where(Technician.id == technician_id)
        query = query.where(col(LocationRead.technician_no).in_(whose))
    if wish.appointment_id is not None:
        query = query.where(LocationRead.appointment_id == wish.appointment_id)
    return query


def reads_of(technician: Technician) -> SelectOfScalar[LocationRead]:
    """Who read where the technician was, for whichever organization."""
    return select(LocationRead).where(LocationRead.technician_no == technician.no)


def _within(
    query: SelectOfScalar[Row], at: SQLColumnExpression[Any], organization: Organization, wish: AuditWish
) -> SelectOfScalar[Row]:
    zone = ZoneInfo(organization.time_zone)
    if wish.from_ is not None:
        query = query.where(at >= local_day(wish.from_, zone)[0])
    if wish.to is not None:
        query = query.where(at < local_day(wish.to, zone)[1])
    return query


def _done_by(
    query: SelectOfScalar[Row],
    by: SQLColumnExpression[Any],
    by_id: SQLColumnExpression[Any],
    wish: AuditWish,
) -> SelectOfScalar[Row]:
    if wish.by is not None:
        query = query.where(by == wish.by)
    if wish.by_id is not None:
        query = query.where(by_id == wish.by_id)
    return query


def entries(session: Session, rows: Sequence[Event | LocationRead]) -> list[Entry]:
    """The rows as lines of the audit, in their order."""
    names = names_of(session, (row.by_id for row in rows))
    numbers = {row.technician_no for row in rows if isinstance(row, LocationRead)}
    whose = select(Technician.no, Technician.id).where(col(Technician.no).in_(numbers))
    technician_ids = dict(session.exec(whose).all()) if numbers else {}
    return [
        _of_event(row, names)
        if isinstance(row, Event)
        else _of_read(row, technician_ids[row.technician_no], names)
        for row in rows
    ]


def names_of(session: Session, ids: Iterable[str | None]) -> dict[str, str]:
    """By the id of who did something: a technician's name, the beginning of a key."""
    asked = {id_ for id_ in ids if id_ is not None}
    if not asked:
        return {}
    keys = select(ApiKey.id, ApiKey.prefix).where(col(ApiKey.id).in_(asked))
    people = select(Technician.id, Technician.name).where(col(Technician.id).in_(asked))
    return {id_: name for query in (keys, people) for id_, name in session.exec(query)}


def _of_event(event: Event, names: dict[str, str]) -> Entry:
    return Entry(
        id=event.id,
        at=event.at,
        type=event.type,
        subject_id=event.subject_id,
        by=Actor(event.by, event.by_id),
        name=names.get(event.by_id or ""),
        reason=event.reason,
        before=event.before,
        after=event.after,
    )


def _of_read(read: LocationRead, technician_id: str, names: dict[str, str]) -> Entry:
    after = {
        "appointment_id": read.appointment_id,
        "reads": read.reads,
        "first_at": instant_told(read.first_at),
    }
    return Entry(
        id=read.id,
        at=read.at,
        type=READ,
        subject_id=technician_id,
        by=Actor(read.by, read.by_id),
        name=names.get(read.by_id or ""),
        reason=None,
        before=None,
        after=after,
    )


def note_territory(session: Session, territory: Territory, by: Actor) -> None:
    """A person has added it."""
    organization_id, after = territory.organization_id, {"name": territory.name}
    record(session, organization_id, territory.id, "territory.added", territory.created_at, by, after=after)
    session.flush()
