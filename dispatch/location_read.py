"""Who read where a technician was: every reading of a position is kept, and none is changed afterwards.

Pages poll and streams look every second, so readings are brought together. The first of a reader and a visit is
written before the position is shown: what cannot be written is not shown. Those that follow within `TOGETHER` are
counted, and written as one row when that time is over, or when the process ends in order. A process that is killed
loses such a count of at most `TOGETHER`, never that somebody has read. Each process brings together its own.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock, Timer

import structlog
from sqlalchemy import Engine, Index
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Field, Session, SQLModel

from dispatch.database import run
from dispatch.errors import DispatchError
from dispatch.events import Actor
from dispatch.ids import new_id

READ = "location.read"
"""The type by which the audit names a row."""
TOGETHER = timedelta(minutes=5)

log = structlog.get_logger(__name__)


class LocationRead(SQLModel, table=True):
    """technician_no: whose position; organization_id and appointment_id: on whose behalf and on the way to which visit,
    as in `Whereabouts`. by, by_id: as in events. reads: how many there were from first_at to at, both included."""

    __tablename__ = "location_read"
    __table_args__ = (
        Index("ix_location_read_organization_id_at", "organization_id", "at", "id"),
        Index("ix_location_read_technician_no_at", "technician_no", "at", "id"),
    )

    id: str = Field(default_factory=new_id, primary_key=True, max_length=36)
    organization_id: str | None = Field(default=None, foreign_key="organization.id", max_length=36)
    technician_no: int = Field(foreign_key="technician.no")
    appointment_id: str | None = Field(default=None, foreign_key="appointment.id", index=True, max_length=36)
    by: str = Field(max_length=24)
    by_id: str | None = Field(default=None, max_length=36)
    reads: int
    first_at: datetime
    at: datetime


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Whose position is shown, on whose behalf and on the way to which visit: None for the visit on a dispatcher's
    board, for both where a technician reads its own."""

    technician_no: int
    organization_id: str | None = None
    appointment_id: str | None = None


@dataclass(slots=True)
class _Readings:
    """Of one reader: how many, from when to when."""

    shown: Whereabouts
    by: Actor
    first_at: datetime
    at: datetime
    count: int

    def row(self) -> LocationRead:
        shown = self.shown
        return LocationRead(
            organization_id=shown.organization_id,
            technician_no=shown.technician_no,
            appointment_id=shown.appointment_id,
            by=self.by.role,
            by_id=self.by.id,
            reads=self.count,
            first_at=self.first_at,
            at=self.at,
        )


@dataclass(slots=True)
class _Standing:
    """Since when the readings of one reader and visit are brought together, and those that are not written yet."""

    since: datetime
    more: _Readings | None = None


class LocationReads:
    """Keeps what one process shows, in transactions of its own: who asks for a position only reads."""

    def __init__(self, engine: Engine, clock: Callable[[], datetime]) -> None:
        self._engine, self._clock = engine, clock
        self._lock = Lock()
        self._standing: dict[tuple[Whereabouts, Actor], _Standing] = {}
        self._owed: list[_Readings] = []
        self._timer: Timer | None = None

    def note(self, shown: Sequence[Whereabouts], by: Actor, now: datetime) -> None:
        """Call it before the positions are given away. Raises `Unavailable` where that cannot be kept."""
        reads = [_Readings(each, by, now, now, 1) for each in shown]
        with self._lock:
            first = [read for read in reads if not self._is_counted(read)]
            if not first:
                return
            due = self._take(now - TOGETHER)
            begun = {(read.shown, by): _Standing(now) for read in first}
            self._standing |= begun
        try:
            self._write([*due, *first])
        except BaseException:
            with self._lock:
                self._owed += due
                for key, standing in begun.items():
                    if self._standing.get(key) is standing:
                        self._owed += [standing.more] if standing.more is not None else []
                        del self._standing[key]
            raise

    def _is_counted(self, read: _Readings) -> bool:
        """Under the lock: with those that its reader began lately."""
        standing = self._standing.get((read.shown, read.by))
        if standing is None or read.at >= standing.since + TOGETHER:
            return False
        if standing.more is None:
            standing.more = read
            self._wake_later()
        else:
            standing.more.at = max(standing.more.at, read.at)
            standing.more.count += 1
        return True

    def settle(self, until: datetime | None = None) -> None:
        """Writes what was counted and not written: of readers who began by `until`, by default of all. Raises
        `Unavailable`, and keeps it for the next time."""
        with self._lock:
            due = self._take(until)
        try:
            self._write(due)
        except BaseException:
            with self._lock:
                self._owed += due
            raise

    def _take(self, until: datetime | None) -> list[_Readings]:
        """Under the lock: what is due, which nobody else writes from now on."""
        over = [key for key, standing in self._standing.items() if until is None or standing.since <= until]
        counted = [self._standing.pop(key).more for key in over]
        due, self._owed = self._owed + [more for more in counted if more is not None], []
        return due

    def _write(self, readings: Sequence[_Readings]) -> None:
        if not readings:
            return

        def keep(session: Session) -> None:
            session.add_all([reading.row() for reading in readings])

        run(self._engine, keep)

    def _wake_later(self) -> None:
        """Under the lock: what is counted now is written also if nobody reads any more."""
        if self._timer is None:
            self._timer = Timer(TOGETHER.total_seconds(), self._woken)
            self._timer.daemon = True
            self._timer.start()

    def _woken(self) -> None:
        """Writes what is due, and wakes again while something is left."""
        with self._lock:
            self._timer = None
        try:
            self.settle(self._clock() - TOGETHER)
        except (SQLAlchemyError, DispatchError) as error:
            log.warning("location_reads_not_kept_yet", error=type(error).__name__)
        with self._lock:
            if self._owed or any(standing.more is not None for standing in self._standing.values()):
                self._wake_later()
