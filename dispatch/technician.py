"""A technician, and its engagement with each organization it works for.

The person, home, skills and calendar are one; status, kind, pay and verified skills belong to the engagement.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from sqlalchemy import JSON, BigInteger, UniqueConstraint
from sqlmodel import Field, Session, SQLModel, col, select

from dispatch.columns import enum_type
from dispatch.errors import Forbidden, InvalidState, NotFound
from dispatch.ids import new_id


class Duty(StrEnum):
    OFF_DUTY = "off_duty"
    AVAILABLE = "available"
    ON_BREAK = "on_break"


class EngagementStatus(StrEnum):
    PENDING = "pending"
    ACTIVE = "active"
    SUSPENDED = "suspended"


class Kind(StrEnum):
    """Employees are dispatched; freelancers and partners are asked."""

    EMPLOYEE = "employee"
    FREELANCER = "freelancer"
    PARTNER = "partner"

    @property
    def is_asked(self) -> bool:
        return self is not Kind.EMPLOYEE


class Technician(SQLModel, table=True):
    """no: the number by which the calendar rule knows it. max_travel_m: how far from home it goes to a visit.
    on_duty_since: while on duty. calendar_version: raised by every change of its calendar. calendar_stamp: written by
    the database alone, another whenever anything changes by which slots are found in the calendar."""

    no: int | None = Field(default=None, primary_key=True)
    id: str = Field(default_factory=new_id, unique=True, max_length=36)
    name: str = Field(max_length=200)
    phone: str | None = Field(default=None, max_length=32)
    email: str | None = Field(default=None, max_length=320)
    lat: float
    lon: float
    address: str | None = Field(default=None, max_length=500)
    max_travel_m: int | None = None
    languages: list[str] = Field(default_factory=list, sa_type=JSON)
    time_zone: str = Field(max_length=64)
    vehicle: str | None = Field(default=None, max_length=100)
    duty: Duty = Field(default=Duty.OFF_DUTY, sa_type=enum_type(Duty))
    on_duty_since: datetime | None = None
    calendar_version: int = 1
    calendar_stamp: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs={"server_default": "0"})
    created_at: datetime
    version: int = 1

    @property
    def first_name(self) -> str:
        return self.name.split()[0]

    def today(self, now: datetime) -> date:
        """The date on its wall."""
        return now.astimezone(ZoneInfo(self.time_zone)).date()


EXPIRES_SOON = timedelta(days=30)
"""So long before its last day a certificate is said to run out."""


class TechnicianSkill(SQLModel, table=True):
    """What a technician says it can do. level: 1 to 5. expires_on: the last day on which it counts."""

    __tablename__ = "technician_skill"

    technician_no: int = Field(foreign_key="technician.no", primary_key=True)
    skill: str = Field(primary_key=True, max_length=64)
    level: int
    expires_on: date | None = None

    def is_expired(self, on: date) -> bool:
        return self.expires_on is not None and self.expires_on < on

    def expires_soon(self, on: date) -> bool:
        """Whether it still counts that day, and after the next 30 no more."""
        return self.expires_on is not None and on <= self.expires_on <= on + EXPIRES_SOON


class Engagement(SQLModel, table=True):
    """verified_skills: level by skill, as this organization has seen it proved, at most what is stated; only these
    count. A skill that the technician changes is verified no more. Pay is in the organization's currency."""

    __table_args__ = (UniqueConstraint("technician_no", "organization_id"),)

    id: str = Field(default_factory=new_id, primary_key=True, max_length=36)
    technician_no: int = Field(foreign_key="technician.no", index=True)
    organization_id: str = Field(foreign_key="organization.id", index=True, max_length=36)
    status: EngagementStatus = Field(default=EngagementStatus.PENDING, sa_type=enum_type(EngagementStatus))
    kind: Kind = Field(default=Kind.FREELANCER, sa_type=enum_type(Kind))
    pay_per_hour_cents: int | None = None
    pay_per_visit_cents: int | None = None
    pay_per_km_cents: int | None = None
    verified_skills: dict[str, int] = Field(default_factory=dict, sa_type=JSON)
    status_reason: str | None = Field(default=None, max_length=2000)
    created_at: datetime
    version: int = 1

    def approve(self, kind: Kind | None, verified: Mapping[str, int]) -> None:
        """pending or active -> active; on an active engagement it renews what is verified."""
        self._require(EngagementStatus.PENDING, EngagementStatus.ACTIVE)
        self.status, self.status_reason = EngagementStatus.ACTIVE, None
        self.kind = kind or self.kind
        self.verified_skills = dict(verified)

    def suspend(self, reason: str) -> None:
        self._require(EngagementStatus.ACTIVE)
        self.status, self.status_reason = EngagementStatus.SUSPENDED, reason

    def reinstate(self) -> None:
        self._require(EngagementStatus.SUSPENDED)
        self.status, self.status_reason = EngagementStatus.ACTIVE, None

    def _require(self, *states: EngagementStatus) -> None:
        if self.status not in states:
            raise InvalidState(current=self.status.value, allowed=[state.value for state in states])
        self.version += 1

    def unverify(self, skills: Collection[str]) -> None:
        """What was changed or taken back has to be seen again."""
        kept = {skill: level for skill, level in self.verified_skills.items() if skill not in skills}
        if kept != self.verified_skills:
            self.verified_skills = kept
            self.version += 1

    def effective_skills(self, stated: list[TechnicianSkill], on: date) -> dict[str, int]:
        """Level by skill that counts on a day: stated, verified, not expired. The level is the one verified."""
        return {
            skill.skill: min(skill.level, self.verified_skills[skill.skill])
            for skill in stated
            if skill.skill in self.verified_skills and not skill.is_expired(on)
        }

    def expired_skills(self, stated: list[TechnicianSkill], on: date) -> frozenset[str]:
        """Those that would count on a day if their certificate had not ended."""
        return frozenset(
            skill.skill
            for skill in stated
            if skill.skill in self.verified_skills and skill.expires_on is not None and skill.expires_on < on
        )


def standing(engagements: Sequence[Engagement]) -> EngagementStatus:
    """How a technician stands over all organizations: active with any of them, else pending, else suspended."""
    statuses = {engagement.status for engagement in engagements}
    ranks = (EngagementStatus.ACTIVE, EngagementStatus.PENDING)
    return next((status for status in ranks if status in statuses), EngagementStatus.SUSPENDED)


def leading(engagements: Sequence[Engagement]) -> Engagement:
    """Of a technician's engagements the one that stands for it where one is asked for: the oldest of those that
    decide its standing."""
    status = standing(engagements)
    return min((e for e in engagements if e.status is status), key=lambda e: (e.created_at, e.id))


def require_approved(session: Session, technician: Technician, *, or_suspended: bool = False) -> None:
    """To work (shifts, offers, visits, positions) takes one organization that approved and has not suspended; to read
    what was earned and decided (`or_suspended`), one that approved. Raises `Forbidden` with the code `not_approved` or
    `suspended`."""
    status = standing(engagements_of(session, technician))
    if status is EngagementStatus.PENDING:
        raise Forbidden("not_approved", "An organization has to approve you first.")
    if status is EngagementStatus.SUSPENDED and not or_suspended:
        raise Forbidden(
            "suspended", "You are suspended; you may read your earnings, decisions and their reasons."
        )


def technician_by_id(session: Session, technician_id: str) -> Technician:
    """Raises `NotFound`."""
    found = session.exec(select(Technician).where(Technician.id == technician_id)).first()
    if found is None:
        raise NotFound()
    return found


def engagement_of(session: Session, technician: Technician, organization_id: str) -> Engagement:
    """Raises `NotFound` where the technician has nothing to do with the organization."""
    query = select(Engagement).where(
        Engagement.technician_no == technician.no, Engagement.organization_id == organization_id
    )
    found = session.exec(query).first()
    if found is None:
        raise NotFound()
    return found


def engagements_of(session: Session, technician: Technician) -> list[Engagement]:
    query = select(Engagement).where(Engagement.technician_no == technician.no)
    return list(session.exec(query.order_by(col(Engagement.id))))


def stated_skills(session: Session, technician_nos: list[int]) -> dict[int, list[TechnicianSkill]]:
    """By technician number, in order of name."""
    query = select(TechnicianSkill).where(col(TechnicianSkill.technician_no).in_(technician_nos))
    by_no: dict[int, list[TechnicianSkill]] = {no: [] for no in technician_nos}
    for skill in session.exec(query.order_by(col(TechnicianSkill.skill))):
        by_no[skill.technician_no].append(skill)
    return by_no
