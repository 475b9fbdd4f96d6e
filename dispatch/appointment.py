"""An appointment: a visit that is promised, planned, done. Its states and who may move it are here.

Four times, four names: requested (on the service request), promised (`window_start`, `window_end`), planned
(`scheduled_start`, `scheduled_end`) and actual.
"""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint
from sqlmodel import Field, Session, SQLModel, select

from dispatch.columns import enum_type
from dispatch.errors import InvalidState, NotFound
from dispatch.ids import new_id


class Status(StrEnum):
    UNASSIGNED = "unassigned"
    SCHEDULED = "scheduled"
    DISPATCHED = "dispatched"
    EN_ROUTE = "en_route"
    ON_SITE = "on_site"
    COMPLETED = "completed"
    CANNOT_COMPLETE = "cannot_complete"
    CANCELLED = "cancelled"


S = Status
NEXT: dict[Status, tuple[Status, ...]] = {
    S.UNASSIGNED: (S.SCHEDULED, S.CANCELLED),
    S.SCHEDULED: (S.UNASSIGNED, S.DISPATCHED, S.CANCELLED),
    S.DISPATCHED: (S.EN_ROUTE, S.UNASSIGNED, S.SCHEDULED, S.CANCELLED),
    S.EN_ROUTE: (S.ON_SITE, S.DISPATCHED, S.CANCELLED, S.UNASSIGNED),
    S.ON_SITE: (S.COMPLETED, S.CANNOT_COMPLETE, S.CANCELLED),
    S.COMPLETED: (S.UNASSIGNED,),
    S.CANNOT_COMPLETE: (S.UNASSIGNED,),
    S.CANCELLED: (S.UNASSIGNED,),
}
"""What each state may become; DESIGN of the states: unassigned <-> scheduled -> dispatched -> en_route -> on_site ->
done, `en_route -> dispatched` undoes, a dispatcher reopens what has ended to unassigned."""

ENDED = (S.COMPLETED, S.CANNOT_COMPLETE, S.CANCELLED)
UNDER_WAY = (S.EN_ROUTE, S.ON_SITE)
HELD_BY_TECHNICIAN = (S.DISPATCHED, *UNDER_WAY)


class Appointment(SQLModel, table=True):
    """agreed_start: the start that was last told to the technician or planned first; the optimizer stays within a
    tolerance of it. expected_start: when its technician said that work will begin; None where as planned. travel_s and
    travel_m: the leg that leads to it. tracking_hash: SHA-256 of the link's token, which is derived from the id and
    tracking_revision. promise_revision: counts the promises made and taken back. customer_confirmed_at: when the
    customer said that somebody will be there for the present one."""

    __table_args__ = (
        CheckConstraint("(window_start IS NULL) = (window_end IS NULL)", name="window_whole"),
        CheckConstraint("(technician_no IS NULL) = (scheduled_start IS NULL)", name="schedule_whole"),
        CheckConstraint("window_start <= window_end", name="window_forward"),
    )

    id: str = Field(default_factory=new_id, primary_key=True, max_length=36)
    organization_id: str = Field(foreign_key="organization.id", index=True, max_length=36)
    territory_id: str = Field(foreign_key="territory.id", index=True, max_length=36)
    service_request_id: str = Field(foreign_key="service_request.id", unique=True, max_length=36)
    status: Status = Field(default=Status.UNASSIGNED, sa_type=enum_type(Status), index=True)
    window_start: datetime | None = Field(default=None, index=True)
    window_end: datetime | None = None
    scheduled_start: datetime | None = Field(default=None, index=True)
    scheduled_end: datetime | None = None
    agreed_start: datetime | None = None
    expected_start: datetime | None = None
    actual_start: datetime | None = None
    actual_end: datetime | None = None
    technician_no: int | None = Field(default=None, foreign_key="technician.no", index=True)
    travel_s: int | None = None
    travel_m: int | None = None
    pinned: bool = False
    pinned_time: bool = False
    promise_revision: int = 0
    customer_confirmed_at: datetime | None = None
    tracking_hash: str | None = Field(default=None, unique=True, max_length=64)
    tracking_revision: int = 1
    tracking_revoked: bool = False
    created_at: datetime
    version: int = 1

    @property
    def is_promised(self) -> bool:
        return self.window_start is not None

    def promise(self, window: tuple[datetime, datetime] | None) -> None:
        """The customer has another window from now on, or none; what it confirmed of the former counts no more."""
        self.window_start, self.window_end = window or (None, None)
        self.promise_revision += 1
        self.customer_confirmed_at = self.expected_start = None

    def require(self, *states: Status) -> None:
        """Raises `InvalidState`, naming the states from which the wish could be met."""
        if self.status not in states:
            raise InvalidState(current=self.status.value, allowed=[state.value for state in states])

    def move(self, to: Status) -> None:
        """Into the next state. Raises `InvalidState` with what is allowed from here."""
        if to not in NEXT[self.status]:
            raise InvalidState(
                current=self.status.value, allowed=[state.value for state in NEXT[self.status]]
            )
        self.status = to
        self.version += 1

    def plan(self, technician_no: int, start: datetime, end: datetime, travel_s: int, travel_m: int) -> None:
        """Puts it into a technician's day. `agreed_start` is set by a new technician and kept by a re-timing, as is
        what the technician said of being late."""
        if self.technician_no != technician_no or self.agreed_start is None:
            self.agreed_start, self.expected_start = start, None
        self.technician_no, self.scheduled_start, self.scheduled_end = technician_no, start, end
        self.travel_s, self.travel_m = travel_s, travel_m
        self.version += 1

    def unplan(self) -> None:
        """Takes it out of its technician's day; the promise stands."""
        self.technician_no = self.scheduled_start = self.scheduled_end = self.agreed_start = None
        self.expected_start = None
        self.travel_s = self.travel_m = None
        self.pinned = self.pinned_time = False
        self.version += 1


def appointment_of(session: Session, service_request_id: str) -> Appointment:
    """The one appointment of a request. Raises `NotFound`."""
    query = select(Appointment).where(Appointment.service_request_id == service_request_id)
    found = session.exec(query).first()
    if found is None:
        raise NotFound()
    return found
