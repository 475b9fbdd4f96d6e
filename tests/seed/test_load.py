from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from sqlmodel import func, select

from dispatch.appointment import Appointment, Status
from dispatch.catalogue import Service, services
from dispatch.customer import Customer
from dispatch.database import transaction
from dispatch.events import SYSTEM
from dispatch.organization import create_organization
from dispatch.service_request import ServiceRequest
from dispatch.shift import Shift
from dispatch.technician import Engagement, EngagementStatus, Technician
from dispatch.territory import Territory, add_territory, territories
from seed.city import generate_calls, generate_freelancers
from seed.load import EMERGENCY_WINDOW_S, load_calls, load_freelancers
from seed.trades import SERVICES

NOW = datetime(2026, 11, 23, 15, tzinfo=UTC)
DAY = date(2026, 11, 24)
NEXT_DAY = date(2026, 11, 25)


@pytest.fixture
def organization(engine):
    with transaction(engine) as session:
        session.expire_on_commit = False
        return create_organization(
            session, slug="acme", name="Acme", currency="USD", time_zone="America/New_York", now=NOW
        )


def count(engine, table):
    with transaction(engine) as session:
        return session.exec(select(func.count()).select_from(table)).one()


def test_calls_become_requests_with_an_unassigned_appointment_each(engine, organization):
    calls = generate_calls(DAY, count=12)

    loaded = load_calls(engine, organization, calls, SYSTEM, NOW)

    assert loaded.created == [call.id for call in calls]
    with transaction(engine) as session:
        requests = {request.external_id: request for request in session.exec(select(ServiceRequest))}
        assert {appointment.status for appointment in session.exec(select(Appointment))} == {
            Status.UNASSIGNED
        }
        for call in calls:
            request = requests[call.id]
            assert (request.lat, request.lon, request.address) == (call.lat, call.lon, call.address)
            assert (request.earliest_start, request.due) == (call.earliest_start, call.due)
            assert request.priority is call.service.priority
            assert session.get_one(Service, request.service_id).name == call.service.name
            assert session.get_one(Customer, request.customer_id).phone == call.customer_phone


def test_the_territory_and_the_services_that_are_needed_are_made(engine, organization):
    calls = generate_calls(DAY, count=40)

    load_calls(engine, organization, calls, SYSTEM, NOW)

    with transaction(engine) as session:
        (territory,) = territories(session, organization.id)
        made = {service.name: service for service in services(session, organization.id)}
        assert territory.time_zone == "America/New_York"
        assert made.keys() == {call.service.name for call in calls}


def test_an_emergency_has_a_shorter_arrival_window(engine, organization):
    call = replace(generate_calls(DAY, count=1)[0], service=SERVICES["gas_leak"])

    load_calls(engine, organization, [call], SYSTEM, NOW)

    with transaction(engine) as session:
        (service,) = services(session, organization.id)
        assert service.arrival_window_s == EMERGENCY_WINDOW_S
        assert service.required_skills == {"plumbing": 4}


def test_loading_twice_creates_nothing_twice(engine, organization):
    calls, freelancers = generate_calls(DAY, count=10), generate_freelancers(DAY, count=8)
    load_calls(engine, organization, calls, SYSTEM, NOW)
    load_freelancers(engine, organization, freelancers, NOW)

    again = load_calls(engine, organization, calls, SYSTEM, NOW)
    shifts = load_freelancers(engine, organization, freelancers, NOW)

    assert (again.created, again.known, again.refused) == ([], [call.id for call in calls], [])
    assert shifts == 0
    assert count(engine, ServiceRequest) == count(engine, Customer) == 10
    assert count(engine, Technician) == count(engine, Shift) == 8


def test_a_call_outside_the_organizations_territories_is_refused_and_the_others_are_loaded(
    engine, organization
):
    inside, outside = generate_calls(DAY, count=2)
    with transaction(engine) as session:
        circle = Territory(
            organization_id=organization.id,
            name="One block",
            time_zone="America/New_York",
            center_lat=inside.lat,
            center_lon=inside.lon,
            radius_m=50,
            created_at=NOW,
        )
        add_territory(session, circle)

    loaded = load_calls(engine, organization, [outside, inside], SYSTEM, NOW)

    assert loaded.created == [inside.id]
    assert [call_id for call_id, _ in loaded.refused] == [outside.id]


def test_freelancers_are_engaged_with_verified_skills_and_their_shift(engine, organization):
    freelancers = generate_freelancers(DAY, count=8)

    assert load_freelancers(engine, organization, freelancers, NOW) == 8

    with transaction(engine) as session:
        rows = session.exec(
            select(Technician, Engagement, Shift).where(
                Engagement.technician_no == Technician.no, Shift.technician_no == Technician.no
            )
        ).all()
        assert len(rows) == 8
        by_email = {freelancer.email: freelancer for freelancer in freelancers}
        for technician, engagement, shift in rows:
            freelancer = by_email[technician.email]
            assert engagement.status is EngagementStatus.ACTIVE
            assert engagement.verified_skills == freelancer.skills
            assert (shift.starts_at, shift.ends_at) == (freelancer.starts_at, freelancer.ends_at)
            assert len(shift.breaks) == (freelancer.lunch is not None)


def test_another_day_adds_shifts_for_the_same_people(engine, organization):
    load_freelancers(engine, organization, generate_freelancers(DAY, count=8), NOW)

    assert load_freelancers(engine, organization, generate_freelancers(NEXT_DAY, count=8), NOW) == 8

    assert count(engine, Technician) == 8
    assert count(engine, Shift) == 16
