"""The outbox: what customers are to be told of their visits.

A row is written in the transaction of the event that causes it, so that nothing is told of what was rolled back, and
leaves afterwards (`dispatch.notifying`), at least once. It holds no words, names or addresses: these are put together
when it leaves, from what stands then.

A row belongs to one promise (`revision`): when the promise moves, is taken back or cancelled, what was still to be said
of it is dropped, and the row of the newer event tells the news.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Index, UniqueConstraint, delete, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Field, Session, SQLModel, col, or_, select

from dispatch.appointment import ENDED, Appointment
from dispatch.columns import enum_type
from dispatch.ids import new_id
from dispatch.shift import instant
from dispatch.territory import Territory

EVENING = time(18)
MORNING = time(8)
EARLIEST_MORNING = time(6)
"""Local hours of the reminders: the evening before, and on the day at eight or two hours ahead of an earlier visit, but
never before six."""
AHEAD = timedelta(hours=2)
LEAST_PAUSE = timedelta(hours=3)
"""A reminder that would follow the promise sooner only repeats it."""
RATE_AFTER = timedelta(hours=2)
"""After the visit, when what was repaired has been tried."""
TELLING_CHANGE = timedelta(minutes=15)
"""A delay is told again only if it changed by more."""
MOST_TOLD_DELAYS = 3
"""Of one promise: a delay that grows while somebody forgets to say that it is over is no news."""


class Kind(StrEnum):
    BOOKED = "booked"
    CHANGED = "changed"
    CANCELLED = "cancelled"
    DAY_BEFORE = "day_before"
    ON_THE_DAY = "on_the_day"
    TECHNICIAN_CONFIRMED = "technician_confirmed"
    ON_THE_WAY = "on_the_way"
    RUNNING_LATE = "running_late"
    ARRIVED = "arrived"
    DONE = "done"
    RATE_US = "rate_us"


REMINDERS = (Kind.DAY_BEFORE, Kind.ON_THE_DAY)


class State(StrEnum):
    PENDING = "pending"
    SENT = "sent"
    DROPPED = "dropped"
    GIVEN_UP = "given_up"


class Notification(SQLModel, table=True):
    """occasion: what it is told for, once an appointment. revision: of the promise that it is about. due_at: not
    before; while it is being sent, when it is tried again if nothing more is heard of it. attempts: how often it was
    taken up. ended_at: when it was sent, dropped or given up; why: of the latter two, in a word. expected_at: of a
    delay, the arrival that was to be told."""

    __table_args__ = (
        UniqueConstraint("appointment_id", "occasion"),
        Index("ix_notification_state_due_at", "state", "due_at"),
    )

    id: str = Field(default_factory=new_id, primary_key=True, max_length=36)
    organization_id: str = Field(foreign_key="organization.id", index=True, max_length=36)
    appointment_id: str = Field(foreign_key="appointment.id", max_length=36)
    kind: Kind = Field(sa_type=enum_type(Kind))
    occasion: str = Field(max_length=100)
    revision: int
    due_at: datetime
    state: State = Field(default=State.PENDING, sa_type=enum_type(State))
    attempts: int = 0
    ended_at: datetime | None = Field(default=None, index=True)
    why: str | None = Field(default=None, max_length=24)
    expected_at: datetime | None = None
    created_at: datetime

    def end(self, state: State, at: datetime, why: str | None = None) -> None:
        """It is not pending any more."""
        self.state, self.ended_at, self.why = state, at, why


_WRITE = {
    "postgresql": postgresql.insert(Notification).on_conflict_do_nothing(),
    "sqlite": sqlite.insert(Notification).on_conflict_do_nothing(),
}
"""By the database's dialect."""


@dataclass(frozen=True, slots=True)
class _Cause:
    """An event of a visit, as the rules below read it."""

    session: Session
    appointment: Appointment
    event_id: str
    at: datetime
    after: Mapping[str, Any]

    def put(
        self,
        kind: Kind,
        occasion: str,
        *,
        due_at: datetime | None = None,
        expected_at: datetime | None = None,
    ) -> None:
        """Writes a row, unless there is one for the occasion."""
        self.write([self.row(kind, occasion, due_at, expected_at)])

    def row(
        self,
        kind: Kind,
        occasion: str,
        due_at: datetime | None = None,
        expected_at: datetime | None = None,
    ) -> dict[str, Any]:
        """Its columns: no session has to know a row that is only written."""
        return {
            "id": new_id(),
            "organization_id": self.appointment.organization_id,
            "appointment_id": self.appointment.id,
            "kind": kind,
            "occasion": occasion,
            "revision": self.appointment.promise_revision,
            "due_at": due_at or self.at,
            "state": State.PENDING,
            "attempts": 0,
            "expected_at": expected_at,
            "created_at": self.at,
        }

    def write(self, rows: Sequence[dict[str, Any]]) -> None:
        """All of them, but for those whose occasion has one."""
        self.session.flush()
        connection = self.session.connection()
        connection.execute(_WRITE[connection.dialect.name], rows)

    def drop(self, why: str, *kinds: Kind) -> None:
        """Takes back what is pending of the visit; of these kinds, if any are named."""
        pending = update(Notification).where(
            col(Notification.appointment_id) == self.appointment.id,
            col(Notification.state) == State.PENDING,
        )
        if kinds:
            pending = pending.where(col(Notification.kind).in_(kinds))
        self.session.exec(pending.values(state=State.DROPPED, ended_at=self.at, why=why))


def follow(
    session: Session,
    subject_id: str,
    event_id: str,
    type_: str,
    at: datetime,
    after: Mapping[str, Any] | None,
) -> None:
    """Writes what the customer is to be told of an event, and drops what it overtakes. Called where events are
    recorded, after what they tell of has been done to the appointment."""
    rule = _RULES.get(type_)
    if rule is None:
        return
    appointment = session.get_one(Appointment, subject_id)
    if appointment.is_promised or rule is _reopened:
        rule(_Cause(session, appointment, event_id, at, after or {}))


def _booked(cause: _Cause) -> None:
    _promised(cause, Kind.BOOKED)


def _changed(cause: _Cause) -> None:
    _promised(cause, Kind.CHANGED)


def _promised(cause: _Cause, kind: Kind) -> None:
    """A promise is told once: a plan that finds another technician for it makes no news."""
    revision = cause.appointment.promise_revision
    occasion = f"promise/{revision}"
    if revision > 1:  # before the first, there is nothing to drop, and what is known is not written twice
        if _is_known(cause.session, cause.appointment.id, occasion):
            return
        cause.drop("superseded")
    zone = ZoneInfo(cause.session.get_one(Territory, cause.appointment.territory_id).time_zone)
    assert cause.appointment.window_start is not None
    reminding = reminders(cause.appointment.window_start, zone, cause.at)
    told = [cause.row(reminder, f"{reminder.value}/{revision}", due_at) for reminder, due_at in reminding]
    cause.write([cause.row(kind, occasion), *told])


def _is_known(session: Session, appointment_id: str, occasion: str) -> bool:
    query = select(Notification.id).where(
        Notification.appointment_id == appointment_id, Notification.occasion == occasion
    )
    return session.exec(query).first() is not None


def reminders(
    window_start: datetime, zone: ZoneInfo, promised_at: datetime
) -> Iterator[tuple[Kind, datetime]]:
    """When to remind of a visit whose window opens then, by the wall clock of its zone."""
    day = window_start.astimezone(zone).date()
    morning = max(
        instant(day, EARLIEST_MORNING, zone), min(instant(day, MORNING, zone), window_start - AHEAD)
    )
    evening = instant(day - timedelta(days=1), EVENING, zone)
    for kind, due_at in ((Kind.DAY_BEFORE, evening), (Kind.ON_THE_DAY, morning)):
        if promised_at + LEAST_PAUSE <= due_at < window_start:
            yield kind, due_at


def _cancelled(cause: _Cause) -> None:
    cause.drop("cancelled")
    cause.put(Kind.CANCELLED, f"cancelled/{cause.appointment.promise_revision}")


def _reopened(cause: _Cause) -> None:
    cause.drop("superseded")


def _dispatched(cause: _Cause) -> None:
    """Once for a technician: to go back from the way there makes no news."""
    cause.put(Kind.TECHNICIAN_CONFIRMED, commitment(cause.appointment))


def commitment(appointment: Appointment) -> str:
    """The occasion on which the present technician's commitment is told."""
    return f"technician/{appointment.promise_revision}/{appointment.technician_no}"


def _en_route(cause: _Cause) -> None:
    cause.put(Kind.ON_THE_WAY, f"on_the_way/{cause.event_id}")


def _late(cause: _Cause) -> None:
    """A delay that breaks the promised window is told, and told again once it has changed by more than a quarter of an
    hour; one that the window allows for is no news to the customer, and of one that is over nothing more is told."""
    expected_at = expected_arrival(cause.appointment, cause.after)
    assert cause.appointment.window_end is not None
    if expected_at is None or expected_at <= cause.appointment.window_end:
        cause.drop("overtaken", Kind.RUNNING_LATE)
        return
    told = _told_delays(cause.session, cause.appointment)
    if len(told) >= MOST_TOLD_DELAYS or (told and abs(expected_at - told[0]) <= TELLING_CHANGE):
        return
    cause.drop("superseded", Kind.RUNNING_LATE)
    cause.put(Kind.RUNNING_LATE, f"late/{cause.event_id}", expected_at=expected_at)


def expected_arrival(appointment: Appointment, after: Mapping[str, Any]) -> datetime | None:
    """What an event `appointment.late` says: `expected_start`, or `by_s` later than was planned."""
    if "expected_start" in after:
        return datetime.fromisoformat(after["expected_start"])
    if "by_s" in after and appointment.scheduled_start is not None:
        return appointment.scheduled_start + timedelta(seconds=after["by_s"])
    return None


def _told_delays(session: Session, appointment: Appointment) -> list[datetime]:
    """Which arrivals were told or are about to be, of the present promise, the newest first."""
    query = (
        select(Notification.expected_at)
        .where(
            Notification.appointment_id == appointment.id,
            Notification.kind == Kind.RUNNING_LATE,
            Notification.revision == appointment.promise_revision,
            col(Notification.state).in_((State.PENDING, State.SENT)),
        )
        .order_by(col(Notification.created_at).desc(), col(Notification.id).desc())
    )
    return [at for at in session.exec(query) if at is not None]


def _on_site(cause: _Cause) -> None:
    cause.put(Kind.ARRIVED, f"arrived/{cause.appointment.promise_revision}")


def _completed(cause: _Cause) -> None:
    revision = cause.appointment.promise_revision
    cause.put(Kind.DONE, f"done/{revision}")
    cause.put(Kind.RATE_US, f"rate_us/{revision}", due_at=cause.at + RATE_AFTER)


def forget_told(session: Session, told_before: datetime, limit: int = 500) -> int:
    """Deletes what was sent, dropped or given up before then; gives back how many. Not while the visit is still to
    come: that it was told of is what keeps it from being told again."""
    query = (
        select(Notification.id)
        .join(Appointment, col(Appointment.id) == Notification.appointment_id)
        .where(
            col(Notification.ended_at) < told_before,
            Notification.state != State.PENDING,
            or_(
                col(Appointment.window_end).is_(None),
                col(Appointment.window_end) < told_before,
                col(Appointment.status).in_(ENDED),
            ),
        )
        .limit(limit)
        .with_for_update(skip_locked=True, of=Notification)
    )
    forgotten = session.exec(delete(Notification).where(col(Notification.id).in_(session.exec(query).all())))
    return forgotten.rowcount


_RULES: Mapping[str, Callable[[_Cause], None]] = {
    "appointment.booked": _booked,
    "appointment.scheduled": _booked,
    "appointment.rescheduled": _changed,
    "appointment.cancelled": _cancelled,
    "appointment.reopened": _reopened,
    "appointment.dispatched": _dispatched,
    "appointment.en_route": _en_route,
    "appointment.late": _late,
    "appointment.on_site": _on_site,
    "appointment.completed": _completed,
}
