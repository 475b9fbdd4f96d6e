"""Technicians, and what an engagement decides about them."""

from datetime import date, timedelta

import pytest
from sqlmodel import select

from dispatch import booking, joining, offering
from dispatch.appointment import Appointment, Status
from dispatch.calendar import CalendarBlock
from dispatch.contact import email_address, phone_number
from dispatch.errors import Forbidden, Invalid, InvalidState
from dispatch.joining import StatedSkill
from dispatch.keys import Principal
from dispatch.offer import Offer, OfferStatus
from dispatch.profiles import Profile, profile_of
from dispatch.slots import find_slots
from dispatch.technician import (
    Engagement,
    EngagementStatus,
    Kind,
    Technician,
    TechnicianSkill,
    leading,
    require_approved,
    standing,
)
from tests.dispatch.world import DISPATCHER, NOW, TOMORROW, World

P, A, S = EngagementStatus.PENDING, EngagementStatus.ACTIVE, EngagementStatus.SUSPENDED


def engagement(status: EngagementStatus = P, age_d: int = 0, **columns: object) -> Engagement:
    made = Engagement(
        technician_no=1, organization_id="", status=status, created_at=NOW - timedelta(days=age_d)
    )
    made.sqlmodel_update(columns)
    return made


def skill(name: str, level: int, expires_on: date | None = None) -> TechnicianSkill:
    return TechnicianSkill(technician_no=1, skill=name, level=level, expires_on=expires_on)


def as_dispatcher(world: World, technician: Technician) -> Profile:
    principal = Principal("dispatcher", organization_id=world.organization.id)
    return profile_of(world.session, principal, technician.id, change=True)


def as_itself(world: World, technician: Technician) -> Profile:
    principal = Principal("technician", technician_id=technician.id)
    return profile_of(world.session, principal, "me", change=True)


@pytest.mark.parametrize(
    ("stated", "counts"),
    [
        ([skill("plumbing", 4)], {"plumbing": 3}),
        ([skill("plumbing", 2)], {"plumbing": 2}),
        ([skill("plumbing", 4), skill("wiring", 5)], {"plumbing": 3}),
        ([skill("plumbing", 3, date(2027, 3, 9))], {"plumbing": 3}),
        ([skill("plumbing", 3, date(2027, 3, 8))], {}),
        ([], {}),
    ],
)
def test_a_skill_counts_as_far_as_it_is_stated_verified_and_not_expired(
    stated: list[TechnicianSkill], counts: dict[str, int]
) -> None:
    assert engagement(A, verified_skills={"plumbing": 3}).effective_skills(stated, date(2027, 3, 9)) == counts


@pytest.mark.parametrize(
    ("statuses", "stands"), [([P], P), ([S, P], P), ([S, A, P], A), ([S], S), ([S, S], S)]
)
def test_a_technician_stands_as_well_as_its_best_engagement(
    statuses: list[EngagementStatus], stands: EngagementStatus
) -> None:
    assert standing([engagement(status) for status in statuses]) is stands


def test_the_oldest_engagement_of_those_that_decide_leads() -> None:
    old, older, oldest = engagement(A, 1), engagement(A, 2), engagement(S, 3)

    assert leading([old, oldest, older]) is older


@pytest.mark.parametrize(
    ("act", "allowed_from"),
    [
        (lambda e: e.approve(None, {}), [P, A]),
        (lambda e: e.suspend("late"), [A]),
        (lambda e: e.reinstate(), [S]),
    ],
)
def test_each_decision_has_the_states_that_it_starts_from(act: object, allowed_from: list[object]) -> None:
    assert callable(act)
    for status in EngagementStatus:
        made = engagement(status)
        if status in allowed_from:
            act(made)
            assert made.version == 2
        else:
            with pytest.raises(InvalidState) as refused:
                act(made)
            assert refused.value.extra == {
                "current": status.value,
                "allowed": list(allowed_from),
            }


@pytest.mark.parametrize(("status", "code"), [(P, "not_approved"), (S, "suspended")])
def test_to_work_takes_an_organization_that_lets_one(
    world: World, status: EngagementStatus, code: str
) -> None:
    technician = world.technician()
    world.session.exec(select(Engagement)).one().status = status

    with pytest.raises(Forbidden) as refused:
        require_approved(world.session, technician)

    assert refused.value.code == code


def test_one_organization_that_lets_it_work_is_enough(world: World) -> None:
    technician = world.technician()
    world.session.exec(select(Engagement)).one().status = S
    world.engage(technician, world.new_organization("rival"), {})

    require_approved(world.session, technician)


def test_changing_a_skill_unverifies_it_everywhere_and_leaves_the_others(world: World) -> None:
    technician = world.technician(skills={"plumbing": 3, "wiring": 2, "gas": 1})
    rival = world.engage(technician, world.new_organization("rival"), {"plumbing": 3, "wiring": 2})
    said = [StatedSkill("plumbing", 4), StatedSkill("wiring", 2), StatedSkill("tiling", 1)]

    joining.change_profile(world.session, as_itself(world, technician), {"skills": said}, DISPATCHER, NOW)

    assert as_dispatcher(world, technician).engagement.verified_skills == {"wiring": 2}
    assert rival.verified_skills == {"wiring": 2}


def test_a_new_date_of_expiry_unverifies_too(world: World) -> None:
    technician = world.technician(skills={"plumbing": 3})
    said = [StatedSkill("plumbing", 3, date(2030, 1, 1))]

    joining.change_profile(world.session, as_itself(world, technician), {"skills": said}, DISPATCHER, NOW)

    assert as_dispatcher(world, technician).engagement.verified_skills == {}


@pytest.mark.parametrize(
    ("verified", "counts"),
    [
        (None, {"plumbing": 3, "wiring": 2}),
        ({}, {}),
        ({"plumbing": None}, {"plumbing": 3}),
        ({"plumbing": 2}, {"plumbing": 2}),
    ],
)
def test_approval_verifies_what_it_names(
    world: World, verified: dict[str, int | None] | None, counts: dict[str, int]
) -> None:
    technician = world.technician(skills={"plumbing": 3, "wiring": 2})
    profile = as_dispatcher(world, technician)

    joining.approve(world.session, profile, Kind.EMPLOYEE, verified, DISPATCHER, NOW)

    assert (profile.engagement.verified_skills, profile.engagement.kind) == (counts, Kind.EMPLOYEE)


@pytest.mark.parametrize("verified", [{"tiling": None}, {"plumbing": 4}])
def test_what_is_not_stated_cannot_be_verified(world: World, verified: dict[str, int | None]) -> None:
    profile = as_dispatcher(world, world.technician(skills={"plumbing": 3}))

    with pytest.raises(Invalid):
        joining.approve(world.session, profile, None, verified, DISPATCHER, NOW)


def booked(world: World) -> Appointment:
    job = world.job(world.service())
    [slot, *_] = find_slots(world.session, world.settings, job, TOMORROW, TOMORROW, NOW).items
    return booking.book(world.session, world.settings, job.appointment, slot.slot_id, DISPATCHER, NOW)


def test_who_is_suspended_loses_offers_and_visits_and_customers_keep_their_promises(world: World) -> None:
    technician = world.technician()
    planned, asked, agreed = booked(world), booked(world), booked(world)
    terms = offering.Terms()
    for visit in (asked, agreed):
        offering.send_direct(world.session, world.settings, visit, technician, terms, DISPATCHER, NOW)
    [to_agree] = world.session.exec(select(Offer).where(Offer.appointment_id == agreed.id))
    offering.accept(world.session, world.settings, to_agree, DISPATCHER, NOW)

    profile = as_dispatcher(world, technician)
    joining.suspend(world.session, world.settings, profile, "no papers", DISPATCHER, NOW)

    assert profile.engagement.status is S
    assert [visit.status for visit in (planned, asked, agreed)] == [Status.UNASSIGNED] * 3
    assert all(visit.technician_no is None and visit.is_promised for visit in (planned, asked, agreed))
    assert world.session.exec(select(CalendarBlock)).all() == []
    [withdrawn] = world.session.exec(select(Offer).where(Offer.appointment_id == asked.id))
    assert withdrawn.status is OfferStatus.WITHDRAWN


def test_a_suspension_leaves_the_visits_of_other_organizations(world: World) -> None:
    technician = world.technician()
    visit = booked(world)
    rival = world.new_organization("rival")
    world.engage(technician, rival, {})
    profile = profile_of(
        world.session, Principal("dispatcher", organization_id=rival.id), technician.id, change=True
    )

    joining.suspend(world.session, world.settings, profile, "no papers", DISPATCHER, NOW)

    assert (visit.status, visit.technician_no) == (Status.SCHEDULED, technician.no)


@pytest.mark.parametrize(
    ("text", "zone", "e164"),
    [
        ("+1 (212) 555-0123", "America/New_York", "+12125550123"),
        ("212 555 0123", "America/New_York", "+12125550123"),
        ("030 123456", "Europe/Berlin", "+4930123456"),
        ("+49 30 123456", "America/New_York", "+4930123456"),
        ("+49 30 123456", "UTC", "+4930123456"),
    ],
)
def test_a_phone_number_is_kept_in_one_form(text: str, zone: str, e164: str) -> None:
    assert phone_number(text, zone) == e164


@pytest.mark.parametrize(
    ("text", "zone"),
    [
        ("212 555 0123", "UTC"),
        ("call me", "America/New_York"),
        ("+999 123", "America/New_York"),
        ("+1 212 555", "America/New_York"),
        ("+1 212 555 0123 ext. 5", "America/New_York"),
    ],
)
def test_what_is_no_phone_number_is_refused(text: str, zone: str) -> None:
    with pytest.raises(Invalid):
        phone_number(text, zone)


def test_an_email_address_is_judged_by_its_form_alone() -> None:
    assert email_address(" Ada.Plumber@EXAMPLE.com ") == "Ada.Plumber@example.com"
    for text in ("ada", "ada@", "ada@localhost", "Ada <ada@example.com>", "a\nb@example.com"):
        with pytest.raises(Invalid):
            email_address(text)
