"""A day small enough to hold: two technicians, three visits that fit, one that nobody can do."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import Engine
from sqlmodel import Session, select

from dispatch import replanning
from dispatch.appointment import Appointment, Status
from dispatch.catalogue import Service
from dispatch.database import transaction
from dispatch.day import progress
from dispatch.events import SYSTEM, Actor
from dispatch.intake import NewCustomer, NewRequest, register
from dispatch.keys import issue_key
from dispatch.links import tracking_token
from dispatch.message import Sender, say
from dispatch.organization import create_organization
from dispatch.places import Place
from dispatch.position import Position
from dispatch.settings import Settings
from dispatch.shift import Shift, add_shift
from dispatch.technician import Engagement, Kind, Technician, TechnicianSkill
from dispatch.territory import Territory, add_territory
from tests.support.clock import FakeClock
from tests.support.plans import run_plans

DAY = date(2027, 3, 2)
MARKUP = "<b onclick=alert(1)>Ana</b>"
"""A name as somebody might enter it."""
CUSTOMER = "<script>document.title='taken'</script>"


@dataclass(frozen=True, slots=True)
class World:
    """Ids, keys and tokens, all committed. visits: in order of their planned start."""

    settings: Settings
    engine: Engine
    clock: FakeClock
    territory_id: str
    key: str
    technician_key: str
    visits: tuple[str, ...]
    tokens: tuple[str, ...]

    def move(self, number: int, *states: Status) -> None:
        """Moves a visit on, state by state."""
        with transaction(self.engine) as session:
            appointment = session.get_one(Appointment, self.visits[number])
            for state in states:
                if state is Status.DISPATCHED:
                    appointment.move(state)
                else:
                    by = Actor("technician")
                    reason = "nobody opened" if state is Status.CANNOT_COMPLETE else None
                    progress(session, self.settings, appointment, state, by, self.clock.now(), reason=reason)
            session.add(appointment)

    def write(self, number: int, sender: Sender, text: str) -> None:
        """Adds to the thread of a visit."""
        with transaction(self.engine) as session:
            appointment = session.get_one(Appointment, self.visits[number])
            say(session, appointment, sender, text, Actor(sender.value), self.clock.now())

    def tell_position(self, number: int, place: Place) -> None:
        """The technician of the visit is there now."""
        now = self.clock.now()
        with transaction(self.engine) as session:
            no = session.get_one(Appointment, self.visits[number]).technician_no
            assert no is not None
            told = Position(technician_no=no, lat=place.lat, lon=place.lon, recorded_at=now, received_at=now)
            session.add(told)


def build_world(settings: Settings, engine: Engine, clock: FakeClock) -> World:
    """08:00 in New York; the shifts begin in an hour."""
    now = clock.now()
    with transaction(engine) as session:
        organization = create_organization(
            session, slug="acme", name="Acme & Sons", currency="USD", time_zone="America/New_York", now=now
        )
        territory = Territory(
            organization_id=organization.id,
            name="Manhattan",
            time_zone="America/New_York",
            center_lat=40.75,
            center_lon=-73.98,
            radius_m=20_000,
            created_at=now,
        )
        add_territory(session, territory)
        plumbing = _service(session, organization.id, "Leak repair", {"plumbing": 1}, now)
        wiring = _service(session, organization.id, "Faulty wiring", {"electric": 3}, now)
        technicians = [_technician(session, organization.id, name, now) for name in (MARKUP, "Bo Chen")]
        for number in range(3):
            _request(
                session,
                organization.id,
                plumbing,
                Place(40.74 + number / 100, -73.98, "1 <i>Main</i> St"),
                now,
            )
        _request(session, organization.id, wiring, Place(40.73, -73.99), now)
        _, key = issue_key(session, "dispatcher", organization_id=organization.id, now=now)
        _, technician_key = issue_key(session, "technician", technician_id=technicians[0].id, now=now)
        options = replanning.PlanOptions(max_work=50)
        replanning.request_plan(session, territory, DAY, options, SYSTEM, now)
        territory_id = territory.id
    run_plans(engine, settings, clock)
    with Session(engine) as session:
        appointments = session.exec(select(Appointment)).all()
        planned = sorted(
            (visit for visit in appointments if visit.scheduled_start is not None),
            key=lambda visit: visit.scheduled_start or now,
        )
        visits = tuple(visit.id for visit in planned)
        tokens = tuple(tracking_token(settings, visit) for visit in planned)
    assert len(visits) == 3
    return World(settings, engine, clock, territory_id, key, technician_key, visits, tokens)


def _service(session: Session, organization_id: str, name: str, skills: dict[str, int], now: datetime) -> str:
    service = Service(
        organization_id=organization_id, name=name, duration_s=3600, required_skills=skills, created_at=now
    )
    session.add(service)
    session.flush()
    return service.id


def _technician(session: Session, organization_id: str, name: str, now: datetime) -> Technician:
    technician = Technician(
        name=name, lat=40.75, lon=-73.99, time_zone="America/New_York", vehicle="white van", created_at=now
    )
    session.add(technician)
    session.flush()
    assert technician.no is not None
    session.add(TechnicianSkill(technician_no=technician.no, skill="plumbing", level=3))
    engagement = Engagement(technician_no=technician.no, organization_id=organization_id, created_at=now)
    engagement.approve(Kind.EMPLOYEE, {"plumbing": 3})
    session.add(engagement)
    begins = now + timedelta(hours=1)
    shift = Shift(
        technician_no=technician.no, starts_at=begins, ends_at=begins + timedelta(hours=8), created_at=now
    )
    add_shift(session, technician, shift)
    return technician


def _request(session: Session, organization_id: str, service_id: str, place: Place, now: datetime) -> None:
    new = NewRequest(
        service_id=service_id,
        customer=NewCustomer(name=CUSTOMER),
        place=place,
        earliest_start=now,
        due=now + timedelta(hours=10),
    )
    register(session, organization_id, new, SYSTEM, now)
