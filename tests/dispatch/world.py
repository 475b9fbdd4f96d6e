"""A small world for the rules of dispatch: one organization, one territory, technicians and places on a line.

Places lie on the parallel 40.7 N, so that `at(km)` is km kilometres east of the depot by the straight line. With the
default travel (detour 1.3, 25 km/h, 120 s to park) a leg of d km takes 187.2 d + 120 seconds:

    1 km: 307 s    2 km: 494 s    5 km: 1056 s    10 km: 1992 s
"""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

from sqlmodel import Session

from dispatch import intake
from dispatch.appointment import Appointment
from dispatch.calendar import BlockKind, CalendarBlock
from dispatch.catalogue import Service
from dispatch.events import Actor
from dispatch.offer import OfferStrategy
from dispatch.offer_round import OfferRound, RoundStatus
from dispatch.organization import Organization
from dispatch.places import Place
from dispatch.planning import Job, job_of
from dispatch.service_request import Priority
from dispatch.settings import Settings
from dispatch.shift import Shift, add_shift, instant
from dispatch.technician import Engagement, EngagementStatus, Kind, Technician, TechnicianSkill
from dispatch.territory import Territory, add_territory

ZONE = ZoneInfo("America/New_York")
NOW = datetime(2026, 11, 23, 15, tzinfo=UTC)
TOMORROW = date(2026, 11, 24)
DISPATCHER = Actor("dispatcher", "key")
KM_PER_DEGREE = 84.51
"""Of longitude at 40.7 N on WGS 84."""


def at(km: float) -> Place:
    return Place(40.7, -74.0 + km / KM_PER_DEGREE, f"{km:g} Line Street")


def clock_time(hour: int, minute: int = 0, day: date = TOMORROW) -> datetime:
    """A wall time of New York as an instant."""
    return instant(day, time(hour, minute), ZONE)


@dataclass
class World:
    """Builds rows in a session; `settings` is what the verbs get."""

    session: Session
    settings: Settings
    organization: Organization = field(init=False)
    territory: Territory = field(init=False)

    def __post_init__(self) -> None:
        self.organization = self.new_organization("acme")
        self.territory = self.new_territory(self.organization)

    def new_organization(self, slug: str) -> Organization:
        organization = Organization(
            slug=slug, name=slug.title(), currency="USD", time_zone=ZONE.key, created_at=NOW
        )
        self.session.add(organization)
        self.session.flush()
        return organization

    def new_territory(self, organization: Organization) -> Territory:
        territory = Territory(
            organization_id=organization.id,
            name="Line",
            time_zone=ZONE.key,
            center_lat=40.7,
            center_lon=-74.0,
            radius_m=100_000,
            created_at=NOW,
        )
        return add_territory(self.session, territory)

    def service(self, hours: float = 1, organization: Organization | None = None, **rules: object) -> Service:
        service = Service(
            organization_id=(organization or self.organization).id,
            name="Leak",
            duration_s=int(hours * 3600),
            required_skills={"plumbing": 1},
            min_notice_s=0,
            created_at=NOW,
        )
        service.sqlmodel_update(rules)
        self.session.add(service)
        self.session.flush()
        return service

    def technician(
        self,
        name: str = "Ada Plumber",
        *,
        home_km: float = 0,
        hours: tuple[int, int] | None = (8, 16),
        skills: dict[str, int] | None = None,
        kind: Kind = Kind.FREELANCER,
        organization: Organization | None = None,
    ) -> Technician:
        home = at(home_km)
        technician = Technician(name=name, lat=home.lat, lon=home.lon, time_zone=ZONE.key, created_at=NOW)
        self.session.add(technician)
        self.session.flush()
        assert technician.no is not None
        known = {"plumbing": 3} if skills is None else skills
        for skill, level in known.items():
            self.session.add(TechnicianSkill(technician_no=technician.no, skill=skill, level=level))
        self.engage(technician, organization or self.organization, known, kind)
        if hours is not None:
            self.shift(technician, *hours)
        return technician

    def engage(
        self,
        technician: Technician,
        organization: Organization,
        verified: dict[str, int],
        kind: Kind = Kind.FREELANCER,
    ) -> Engagement:
        assert technician.no is not None
        engagement = Engagement(
            technician_no=technician.no,
            organization_id=organization.id,
            status=EngagementStatus.ACTIVE,
            kind=kind,
            verified_skills=verified,
            pay_per_hour_cents=4000,
            created_at=NOW,
        )
        self.session.add(engagement)
        self.session.flush()
        return engagement

    def shift(self, technician: Technician, begin: int, end: int, day: date = TOMORROW) -> Shift:
        assert technician.no is not None
        shift = Shift(
            technician_no=technician.no,
            starts_at=clock_time(begin, day=day),
            ends_at=clock_time(end, day=day),
            created_at=NOW,
        )
        return add_shift(self.session, technician, shift)

    def ended_round(self, appointment: Appointment) -> OfferRound:
        """For offers that were made before."""
        asked = OfferRound(
            organization_id=appointment.organization_id,
            appointment_id=appointment.id,
            strategy=OfferStrategy.DIRECT,
            status=RoundStatus.STOPPED,
            deadline=NOW,
            asked_by=DISPATCHER.role,
            created_at=NOW,
        )
        self.session.add(asked)
        self.session.flush()
        return asked

    def job(
        self,
        service: Service,
        km: float = 1,
        *,
        earliest_start: datetime | None = None,
        due: datetime | None = None,
        priority: Priority = Priority.NORMAL,
    ) -> Job:
        new = intake.NewRequest(
            service_id=service.id,
            customer=intake.NewCustomer("Casey Customer"),
            place=at(km),
            earliest_start=earliest_start,
            due=due,
            priority=priority,
        )
        _, appointment = intake.register(self.session, service.organization_id, new, DISPATCHER, NOW)
        return job_of(self.session, appointment)

    def block(
        self, technician: Technician, begin: int, end: int, kind: BlockKind = BlockKind.VISIT
    ) -> CalendarBlock:
        """Time that something takes, not yet in the session; an absence is nowhere."""
        assert technician.no is not None
        where = None if kind is BlockKind.ABSENCE else at(0)
        return CalendarBlock(
            technician_no=technician.no,
            organization_id=self.organization.id,
            kind=kind,
            busy_from=begin,
            work_from=begin,
            busy_to=end,
            lat=where.lat if where else None,
            lon=where.lon if where else None,
        )

    def appointment(self, job: Job) -> Appointment:
        """As the database has it now."""
        self.session.refresh(job.appointment)
        return job.appointment
