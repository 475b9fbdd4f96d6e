"""Technicians join: they register, ask further organizations, are approved, suspended and reinstated, and change what
they say of themselves. The person and its skills are one; status, kind, pay and what is verified are the engagement's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from sqlmodel import Session, col, select

from dispatch import day, offering
from dispatch.appointment import Appointment, Status
from dispatch.booking import give_back, supersede_offers
from dispatch.calendar import claim
from dispatch.contact import email_address, phone_number
from dispatch.decision import Outcome, note
from dispatch.errors import Conflict, Forbidden, Invalid, InvalidState
from dispatch.events import Actor, record
from dispatch.keys import issue_key
from dispatch.money import Amount, cents
from dispatch.offer import OPEN, Offer
from dispatch.organization import Organization
from dispatch.pay import keep_former
from dispatch.places import Place
from dispatch.placing import lock_calendar
from dispatch.profiles import Profile
from dispatch.rostering import visits_kept
from dispatch.settings import Settings
from dispatch.shift import set_availability
from dispatch.technician import (
    Engagement,
    EngagementStatus,
    Kind,
    Technician,
    TechnicianSkill,
    engagements_of,
    leading,
    standing,
)

OF_ENGAGEMENT = frozenset({"kind", "pay"})
PAY_COLUMNS = {
    "per_hour": "pay_per_hour_cents",
    "per_visit": "pay_per_visit_cents",
    "per_km": "pay_per_km_cents",
}


@dataclass(frozen=True, slots=True)
class StatedSkill:
    """level: 1 to 5. expires_on: the last day on which it counts."""

    skill: str
    level: int
    expires_on: date | None = None


@dataclass(frozen=True, slots=True)
class NewTechnician:
    """What whoever registers says. phone: in national form it is read as of the time zone's country. pay: by
    `per_hour`, `per_visit`, `per_km`. time_zone: by default the organization's. weekly and exceptions: hours, as
    `Availability` keeps them."""

    name: str
    phone: str
    email: str
    kind: Kind
    home: Place
    skills: Sequence[StatedSkill]
    max_travel_m: int | None = None
    pay: Mapping[str, Amount | None] = field(default_factory=dict)
    languages: Sequence[str] = ()
    time_zone: str | None = None
    vehicle: str | None = None
    weekly: Sequence[dict[str, Any]] = ()
    exceptions: Sequence[dict[str, Any]] = ()


def register(
    session: Session, organization: Organization, new: NewTechnician, now: datetime
) -> tuple[Technician, str]:
    """A technician, pending with the organization, and the plaintext of its key, to be shown once. Whether the phone or
    the address was seen before changes nothing: nobody learns it here."""
    if new.kind is Kind.EMPLOYEE:
        raise Invalid(
            errors=[("kind", "partner or freelancer; an organization makes employees by approving")]
        )
    zone = new.time_zone or organization.time_zone
    technician = Technician(
        name=new.name,
        phone=phone_number(new.phone, zone),
        email=email_address(new.email),
        lat=new.home.lat,
        lon=new.home.lon,
        address=new.home.address,
        max_travel_m=new.max_travel_m,
        languages=list(new.languages),
        time_zone=zone,
        vehicle=new.vehicle,
        created_at=now,
    )
    session.add(technician)
    session.flush()
    _state_skills(session, technician, new.skills)
    if new.weekly or new.exceptions:
        set_availability(session, technician, list(new.weekly), list(new.exceptions), now)
    by = Actor("technician", technician.id)
    _engage(session, technician, organization, new.kind, new.pay, by, now)
    _, key = issue_key(session, "technician", technician_id=technician.id, now=now)
    return technician, key


def join(
    session: Session,
    technician: Technician,
    organization: Organization,
    pay: Mapping[str, Amount | None],
    by: Actor,
    now: datetime,
) -> Engagement:
    """Pending with one more organization, of the kind that it is elsewhere; an employee asks as a freelancer. Raises
    `Conflict` (`already_engaged`) whatever came of it there."""
    engagements = engagements_of(session, technician)
    if any(engagement.organization_id == organization.id for engagement in engagements):
        raise Conflict("already_engaged", f"You have an engagement with {organization.slug!r} already.")
    kind = leading(engagements).kind
    kind = Kind.FREELANCER if kind is Kind.EMPLOYEE else kind
    return _engage(session, technician, organization, kind, pay, by, now)


def _engage(
    session: Session,
    technician: Technician,
    organization: Organization,
    kind: Kind,
    pay: Mapping[str, Amount | None],
    by: Actor,
    now: datetime,
) -> Engagement:
    assert technician.no is not None
    engagement = Engagement(
        technician_no=technician.no,
        organization_id=organization.id,
        kind=kind,
        created_at=now,
    )
    engagement.sqlmodel_update(_pay_columns(pay, organization))
    session.add(engagement)
    session.flush()
    record(session, organization.id, technician.id, "technician.registered", now, by)
    return engagement


def _pay_columns(pay: Mapping[str, Amount | None], organization: Organization) -> dict[str, int | None]:
    return {
        PAY_COLUMNS[name]: cents(amount, organization.currency, f"pay.{name}") for name, amount in pay.items()
    }


# What an organization decides


def approve(
    session: Session,
    profile: Profile,
    kind: Kind | None,
    verified: Mapping[str, int | None] | None,
    by: Actor,
    now: datetime,
) -> None:
    """Active from now on, and these skills count: all that are stated where `verified` is None; a level of None is the
    one that is stated. Also renews what is verified of one who is active. Raises `Invalid` for what is not stated or
    lies above it, `InvalidState`."""
    stated = {skill.skill: skill.level for skill in profile.skills}
    engagement = profile.engagement
    before = _decided(engagement)
    engagement.approve(kind, stated if verified is None else _checked(verified, stated))
    _decide(session, profile, "technician.approved", before, by, now)


def _checked(verified: Mapping[str, int | None], stated: Mapping[str, int]) -> dict[str, int]:
    refused = [("verified", f"{skill} is not stated") for skill in verified if skill not in stated] + [
        ("verified", f"{skill} is stated at level {stated[skill]} only")
        for skill, level in verified.items()
        if level is not None and level > stated.get(skill, level)
    ]
    if refused:
        raise Invalid(errors=refused)
    return {skill: level or stated[skill] for skill, level in verified.items()}


def suspend(
    session: Session, settings: Settings, profile: Profile, reason: str, by: Actor, now: datetime
) -> None:
    """Suspended for this organization. Its offers are withdrawn and its visits go back to be planned with others, the
    promises to customers stand; a visit under way is left to a dispatcher. The calendar is claimed, so that what is
    booked or accepted meanwhile looks again. The technician finds the reason among the decisions about it. Raises
    `InvalidState`."""
    engagement = profile.engagement
    before = _decided(engagement)
    if engagement.status is EngagementStatus.ACTIVE:
        technician = lock_calendar(session, engagement.technician_no)
        claim(session, technician, technician.calendar_version)
        _withdraw_offers(session, settings, engagement, by, now)
        _release_visits(session, settings, engagement, reason, by, now)
    engagement.suspend(reason)
    facts = [{"code": "suspended", "detail": reason}]
    about = (engagement.organization_id, None, engagement.technician_no)
    note(session, *about, Outcome.SUSPENDED, facts, now)
    _decide(session, profile, "technician.suspended", before, by, now, reason)


def reinstate(session: Session, profile: Profile, by: Actor, now: datetime) -> None:
    """Active again, with what was verified before. Raises `InvalidState`."""
    before = _decided(profile.engagement)
    profile.engagement.reinstate()
    _decide(session, profile, "technician.reinstated", before, by, now)


def _decided(engagement: Engagement) -> dict[str, Any]:
    return {
        "status": engagement.status.value,
        "kind": engagement.kind.value,
        "verified": dict(engagement.verified_skills),
    }


def _decide(
    session: Session,
    profile: Profile,
    event: str,
    before: dict[str, Any],
    by: Actor,
    now: datetime,
    reason: str | None = None,
) -> None:
    engagement = profile.engagement
    session.add(engagement)
    after = _decided(engagement)
    technician_id, organization_id = profile.technician.id, engagement.organization_id
    record(session, organization_id, technician_id, event, now, by, reason, before, after)
    session.flush()


def _withdraw_offers(
    session: Session, settings: Settings, engagement: Engagement, by: Actor, now: datetime
) -> None:
    standing_offers = select(Offer).where(
        Offer.technician_no == engagement.technician_no,
        Offer.organization_id == engagement.organization_id,
        col(Offer.status).in_(OPEN),
        col(Offer.expires_at) > now,
    )
    for offer in session.exec(standing_offers.order_by(col(Offer.id))).all():
        offering.take_back(session, settings, offer, by, now)


def _release_visits(
    session: Session, settings: Settings, engagement: Engagement, reason: str, by: Actor, now: datetime
) -> None:
    visits = select(Appointment).where(
        Appointment.technician_no == engagement.technician_no,
        Appointment.organization_id == engagement.organization_id,
        col(Appointment.status).in_([Status.SCHEDULED, Status.DISPATCHED]),
    )
    for appointment in session.exec(visits.order_by(col(Appointment.id)).with_for_update()).all():
        if appointment.status is Status.DISPATCHED:
            day.release(session, settings, appointment, by, now, reason)
            continue
        give_back(session, settings, appointment)
        appointment.move(Status.UNASSIGNED)
        supersede_offers(session, appointment, by, now)
        session.add(appointment)
        record(
            session,
            appointment.organization_id,
            appointment.id,
            "appointment.unassigned",
            now,
            by,
            reason,
            {"status": Status.SCHEDULED.value},
            {"status": Status.UNASSIGNED.value},
        )
        session.flush()


# What a technician says of itself


def change_profile(
    session: Session, profile: Profile, changes: Mapping[str, Any], by: Actor, now: datetime
) -> None:
    """Changes columns of the technician, and `home` (a Place), `skills` (of StatedSkill), `pay` (amounts by name)
    and `kind`. None clears.

    The technician changes all but its kind; its pay where that is not agreed yet. A dispatcher changes kind and pay of
    its own engagement, the rest only of a technician whom no other organization engages. Raises `Forbidden`,
    `InvalidState`, and `Conflict` where another time zone would move hours away from visits."""
    _require_right(session, profile, changes)
    technician = profile.technician
    columns = dict(changes)
    for name in OF_ENGAGEMENT & columns.keys():
        _change_engagements(session, profile, name, columns.pop(name), now)
    if columns:
        _change_person(session, profile, columns, now)
    for engagement in engagements_of(session, technician):
        if not columns and engagement not in profile.engagements:
            continue
        organization_id, after = engagement.organization_id, {"changed": sorted(changes)}
        record(session, organization_id, technician.id, "technician.changed", now, by, after=after)
    session.flush()


def _require_right(session: Session, profile: Profile, changes: Mapping[str, Any]) -> None:
    if profile.is_own:
        if standing(profile.engagements) is EngagementStatus.SUSPENDED:
            raise Forbidden("suspended", "While suspended you may read your profile, but not change it.")
        if "kind" in changes:
            raise Forbidden(detail="An organization decides about `kind`.")
    elif changes.keys() - OF_ENGAGEMENT and len(engagements_of(session, profile.technician)) > 1:
        raise Forbidden(
            "shared_profile",
            "Others engage this technician too: it changes its profile itself; you may change `kind` and `pay`.",
        )


def _change_engagements(session: Session, profile: Profile, name: str, value: Any, now: datetime) -> None:
    changed = [e for e in profile.engagements if not profile.is_own or e.status is EngagementStatus.PENDING]
    if not changed:
        raise InvalidState(
            profile.engagement.status.value,
            [EngagementStatus.PENDING.value],
            "Pay is agreed with whoever approved you; a dispatcher changes it.",
        )
    for engagement in changed:
        if name == "kind":
            engagement.kind = value
        else:
            keep_former(session, engagement, now)
            pay = dict.fromkeys(PAY_COLUMNS) if value is None else value
            engagement.sqlmodel_update(_pay_columns(pay, profile.organizations[engagement.organization_id]))
        engagement.version += 1
        session.add(engagement)


def _change_person(session: Session, profile: Profile, columns: dict[str, Any], now: datetime) -> None:
    technician = profile.technician
    if "skills" in columns:
        _state_skills(session, technician, columns.pop("skills") or ())
    if "home" in columns:
        home: Place = columns.pop("home")
        technician.lat, technician.lon, technician.address = home.lat, home.lon, home.address
    if "time_zone" in columns:
        with visits_kept(session, technician, profile.organization_id, now):
            technician.time_zone = columns.pop("time_zone")
            session.flush()
    if columns.get("phone") is not None:
        columns["phone"] = phone_number(columns["phone"], technician.time_zone)
    if columns.get("email") is not None:
        columns["email"] = email_address(columns["email"])
    technician.sqlmodel_update(columns)
    technician.version += 1
    session.add(technician)


def _state_skills(session: Session, technician: Technician, skills: Sequence[StatedSkill]) -> None:
    """Makes these the skills that are stated; what changed or went is verified no more, by anybody."""
    assert technician.no is not None
    query = select(TechnicianSkill).where(TechnicianSkill.technician_no == technician.no)
    former = {row.skill: row for row in session.exec(query)}
    wanted = {skill.skill: skill for skill in skills}
    if len(wanted) < len(skills):
        raise Invalid(errors=[("skills", "each skill may occur once")])
    for name, row in former.items():
        if name not in wanted:
            session.delete(row)
    touched = former.keys() - wanted.keys()
    for name, skill in wanted.items():
        row = former.get(name) or TechnicianSkill(technician_no=technician.no, skill=name, level=skill.level)
        if (row.level, row.expires_on) != (skill.level, skill.expires_on):
            touched |= {name}
        row.level, row.expires_on = skill.level, skill.expires_on
        session.add(row)
    for engagement in engagements_of(session, technician):
        engagement.unverify(touched)
        session.add(engagement)
    session.flush()
