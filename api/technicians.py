"""Technicians: who they are, for whom they work, and their day."""

import re
from datetime import date
from typing import Annotated, Any, Literal, Self

from flask import Response
from pydantic import AfterValidator, Field, StringConstraints, field_validator

from api import context
from api.auth import PUBLIC, allow
from api.catalogue import Level, Skill
from api.etag import require_match
from api.hours import NewAvailability
from api.openapi import resource
from api.pagination import Page, PageQuery, page_of, page_through
from api.render import answer
from api.schemas import (
    Answer,
    Body,
    Day,
    Instant,
    Latitude,
    Longitude,
    Metres,
    Money,
    Name,
    OwnId,
    Path,
    Place,
    PlaceOut,
    Query,
    Window,
    absent,
    example,
)
from api.territories import TimeZone
from dispatch import day as days
from dispatch import joining
from dispatch.access import actor_of, organization_named
from dispatch.day import DayRoute, RouteStop
from dispatch.disclosure import for_its_technician
from dispatch.errors import Invalid
from dispatch.gazetteer import located
from dispatch.joining import NewTechnician, StatedSkill
from dispatch.keys import Principal
from dispatch.organization import Organization
from dispatch.places import Place as Somewhere
from dispatch.places import place_of
from dispatch.position import Position
from dispatch.profiles import Profile, Wish, find_profiles, order_of, profile_of
from dispatch.rostering import require_right
from dispatch.technician import (
    Duty,
    Engagement,
    EngagementStatus,
    Kind,
    Technician,
    TechnicianSkill,
    require_approved,
)

technicians = resource("technicians", "Who does the work, and their day.")

_NEAR = re.compile(r"(-?\d{1,2}(?:\.\d{1,12})?),(-?\d{1,3}(?:\.\d{1,12})?)")

Phone = Annotated[str, StringConstraints(min_length=3, max_length=64), Field(examples=["+12125550123"])]
Email = Annotated[str, StringConstraints(min_length=3, max_length=320), Field(examples=["ada@example.com"])]
Language = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$", max_length=35),
    Field(examples=["en-US"]),
]
Vehicle = Annotated[Name, StringConstraints(max_length=100)]


class SkillStated(Body):
    """A skill that a technician says it has. expires_on: the last day on which it counts."""

    skill: Skill
    level: Level
    expires_on: Day | None = None


def _each_once(skills: list[SkillStated]) -> list[SkillStated]:
    if len({stated.skill for stated in skills}) < len(skills):
        raise ValueError("each skill may occur once")
    return skills


SkillsStated = Annotated[list[SkillStated], Field(max_length=50), AfterValidator(_each_once)]
Languages = Annotated[list[Language], Field(max_length=20)]


class Pay(Body):
    """What a technician asks for or gets, in the organization's currency. per_km: of the way to the visit."""

    per_hour: Money | None = None
    per_visit: Money | None = None
    per_km: Money | None = None


class Registration(Body):
    """A technician that wants to work for an organization. phone: in national form it is read as of the time zone's
    country. time_zone: by default the organization's. availability: weekly hours and exceptions, from which shifts
    follow once somebody has approved."""

    model_config = example(
        {
            "organization": "acme",
            "name": "Ada Plumber",
            "phone": "+12125550123",
            "email": "ada@example.com",
            "kind": "freelancer",
            "home": {"lat": 40.7486, "lon": -73.9791, "address": "350 5th Ave, New York"},
            "skills": [{"skill": "plumbing", "level": 3, "expires_on": "2028-06-30"}],
            "pay": {"per_hour": {"amount": 4500, "currency": "USD"}},
            "languages": ["en", "es"],
            "availability": {"weekly": [{"weekday": 1, "from": "09:00", "to": "17:00"}]},
        }
    )

    organization: Name
    name: Name
    phone: Phone
    email: Email
    kind: Literal[Kind.PARTNER, Kind.FREELANCER]
    home: Place
    skills: SkillsStated
    max_travel_m: Metres | None = None
    pay: Pay | None = None
    languages: Languages = Field(default_factory=list)
    time_zone: TimeZone | None = None
    vehicle: Vehicle | None = None
    availability: NewAvailability | None = None


class TechnicianChanges(Body):
    """What is to change; null clears. A skill that is changed has to be verified again. kind and pay: a dispatcher's,
    of its own engagement; a technician may change its pay until it is approved."""

    model_config = example({"max_travel_m": 20000, "vehicle": None})

    name: Name | None = None
    phone: Phone | None = None
    email: Email | None = None
    kind: Kind | None = None
    home: Place | None = None
    skills: SkillsStated | None = None
    max_travel_m: Metres | None = None
    pay: Pay | None = None
    languages: Languages | None = None
    time_zone: TimeZone | None = None
    vehicle: Vehicle | None = None

    @field_validator("name", "kind", "home", "time_zone")
    @classmethod
    def _there_must_be(cls, value: Any) -> Any:
        if value is None:
            raise ValueError("cannot be cleared")
        return value


class SkillVerified(Body):
    """A skill that an organization has seen proved. level: at most the one that is stated, which is the default."""

    skill: Skill
    level: Level | None = None


class Approval(Body):
    """kind: may make an employee. verified: these skills alone, by name or with a level; by default all that are
    stated."""

    model_config = example({"kind": "employee", "verified": ["plumbing"]})

    kind: Kind | None = None
    verified: Annotated[list[Skill | SkillVerified], Field(max_length=50)] | None = None

    def levels(self) -> dict[str, int | None] | None:
        """By skill, None for the level that is stated; None for all that is stated."""
        if self.verified is None:
            return None
        return {
            **{item: None for item in self.verified if isinstance(item, str)},
            **{item.skill: item.level for item in self.verified if isinstance(item, SkillVerified)},
        }


class Suspension(Body):
    """Why; the technician may read it."""

    model_config = example({"reason": "The insurance has run out."})

    reason: Annotated[Name, StringConstraints(max_length=2000)]


class NewEngagement(Body):
    """For whom else a technician wants to work."""

    model_config = example(
        {"organization": "acme", "pay": {"per_visit": {"amount": 4500, "currency": "USD"}}}
    )

    organization: Name
    pay: Pay | None = None


class DutyChange(Body):
    """Whether the technician may be found now."""

    model_config = example({"status": "available"})

    status: Duty


class NewPosition(Body):
    """Where the technician's phone is, and when it was there by its own clock."""

    model_config = example(
        {"lat": 40.7486, "lon": -73.9791, "accuracy_m": 12.5, "recorded_at": "2027-03-09T18:00:00Z"}
    )

    lat: Latitude
    lon: Longitude
    accuracy_m: Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)] | None = None
    recorded_at: Instant


class SkillOut(Answer):
    """A stated skill. verified: whether the organization has seen it proved, at verified_level. counts: whether it may
    be worked by today: verified and not past its last day. expires_soon: its last day is among the next 30."""

    skill: str
    level: int
    expires_on: Day | None
    expires_soon: bool
    verified: bool
    verified_level: int | None
    counts: bool

    @classmethod
    def of(cls, stated: TechnicianSkill, engagement: Engagement, today: date) -> Self:
        """For one organization."""
        verified_level = engagement.verified_skills.get(stated.skill)
        return cls(
            skill=stated.skill,
            level=stated.level,
            expires_on=stated.expires_on,
            expires_soon=stated.expires_soon(today),
            verified=verified_level is not None,
            verified_level=verified_level,
            counts=stated.skill in engagement.effective_skills([stated], today),
        )


class PayOut(Answer):
    """What is paid; what is null is not paid for."""

    per_hour: Money | None
    per_visit: Money | None
    per_km: Money | None

    @classmethod
    def of(cls, engagement: Engagement, organization: Organization) -> Self:
        """Of one engagement."""
        paid = {name: getattr(engagement, column) for name, column in joining.PAY_COLUMNS.items()}
        return cls(
            **{
                name: None if amount is None else Money(amount=amount, currency=organization.currency)
                for name, amount in paid.items()
            }
        )


class EngagementOut(Answer):
    """How a technician stands with an organization. verified: level by skill. reason: of a suspension."""

    organization: str
    organization_name: str
    status: EngagementStatus
    kind: Kind
    pay: PayOut
    verified: dict[str, int]
    reason: str | None

    @classmethod
    def of(cls, engagement: Engagement, organization: Organization) -> Self:
        """Built from its row."""
        return cls(
            organization=organization.slug,
            organization_name=organization.name,
            status=engagement.status,
            kind=engagement.kind,
            pay=PayOut.of(engagement, organization),
            verified=engagement.verified_skills,
            reason=engagement.status_reason,
        )


class TechnicianOut(Answer):
    """A technician. status, kind, pay, reason and what is verified are those with the organization that reads; for the
    technician itself with the oldest that lets it work, and all its engagements are listed. home: for itself and
    dispatchers. distance_m: from home, in a list that asks for who is near."""

    id: str
    name: str
    phone: str | None
    email: str | None
    status: EngagementStatus
    reason: str | None
    kind: Kind
    duty: Duty
    home: PlaceOut | None = Field(None, exclude_if=absent)
    skills: list[SkillOut]
    max_travel_m: int | None
    pay: PayOut
    languages: list[str]
    time_zone: str
    vehicle: str | None
    created_at: Instant
    engagements: list[EngagementOut] | None = Field(None, exclude_if=absent)
    distance_m: int | None = Field(None, exclude_if=absent)

    @classmethod
    def of(cls, profile: Profile) -> Self:
        """As the profile's reader may see it."""
        engagement, today = profile.engagement, profile.technician.today(context.now())
        shown = profile.technician.model_dump() | {
            "status": engagement.status,
            "reason": engagement.status_reason,
            "kind": engagement.kind,
            "home": PlaceOut.model_validate(place_of(profile.technician)) if profile.shows_home else None,
            "skills": [SkillOut.of(stated, engagement, today) for stated in profile.skills],
            "pay": PayOut.of(engagement, profile.organizations[engagement.organization_id]),
            "engagements": _engagements(profile) if profile.is_own else None,
            "distance_m": profile.distance_m,
        }
        return cls.model_validate(shown)


def _engagements(profile: Profile) -> list[EngagementOut]:
    return [EngagementOut.of(own, profile.organizations[own.organization_id]) for own in profile.engagements]


class TechnicianPage(Page[TechnicianOut]):
    """One page of technicians."""


class Registered(Answer):
    """The technician and its key, which is shown this once."""

    technician: TechnicianOut
    api_key: str


class PositionOut(Answer):
    """A position as it was kept."""

    id: str
    lat: float
    lon: float
    accuracy_m: float | None
    recorded_at: Instant
    received_at: Instant


class StopOut(Answer):
    """A visit in a technician's day. travel_s and travel_m lead to it. place: for a freelancer or partner the
    neighbourhood, without an address, until it has accepted and from a day after the visit; customer_name and notes are
    null for so long. expected_start: as the technician said, null where as planned. customer_confirmed_at: when
    the customer said that somebody will be there."""

    appointment_id: str
    place: PlaceOut
    arrival_window: Window | None
    scheduled_start: Instant
    scheduled_end: Instant
    expected_start: Instant | None
    travel_s: int
    travel_m: int
    status: str
    service_name: str
    customer_name: str | None
    notes: str | None
    customer_confirmed_at: Instant | None

    @classmethod
    def of(cls, stop: RouteStop) -> Self:
        """Built from its row."""
        visit = stop.appointment
        window = None
        if visit.window_start is not None and visit.window_end is not None:
            window = Window(start=visit.window_start, end=visit.window_end)
        assert visit.scheduled_start is not None
        assert visit.scheduled_end is not None
        return cls(
            appointment_id=visit.id,
            place=PlaceOut.model_validate(stop.place),
            arrival_window=window,
            scheduled_start=visit.scheduled_start,
            scheduled_end=visit.scheduled_end,
            expected_start=visit.expected_start,
            travel_s=stop.travel_s,
            travel_m=stop.travel_m,
            status=visit.status.value,
            service_name=stop.service_name,
            customer_name=stop.customer_name,
            notes=stop.notes,
            customer_confirmed_at=visit.customer_confirmed_at,
        )


class RouteOut(Answer):
    """A technician's day in order. travel_s and travel_m: to the stops, without the way home."""

    stops: list[StopOut]
    travel_s: int
    travel_m: int

    @classmethod
    def of(cls, route: DayRoute) -> Self:
        """Built from the day."""
        stops = [StopOut.of(stop) for stop in route.stops]
        return cls(stops=stops, travel_s=route.travel_s, travel_m=route.travel_m)


class TechnicianPath(Path):
    """Which technician; `me` is the one that calls."""

    technician_id: OwnId


def _near(text: str) -> str:
    match = _NEAR.fullmatch(text)
    if match is None or abs(float(match[1])) > 90 or abs(float(match[2])) > 180:
        raise ValueError("must be latitude,longitude in degrees, such as 40.7486,-73.9791")
    return text


class TechnicianQuery(PageQuery):
    """Which technicians. skill: one that counts (verified, not expired), or that a pending technician states."""

    skill: Skill | None = None
    min_level: Level | None = Field(None, description="Least level of `skill`.")
    status: EngagementStatus | None = None
    near: Annotated[str, AfterValidator(_near)] | None = Field(
        None, description="latitude,longitude: homes in order of distance.", examples=["40.7486,-73.9791"]
    )
    within_m: Metres | None = Field(
        None, description="Homes at most this far from `near`, in a straight line."
    )
    expiring: bool | None = Field(
        None, description="Those of whom a skill has expired or expires within 30 days, or the others."
    )

    def wish(self) -> Wish:
        """What is asked for. Raises `Invalid` where a parameter lacks the one that it needs."""
        if self.min_level is not None and self.skill is None:
            raise Invalid(errors=[("min_level", "needs skill")])
        if self.within_m is not None and self.near is None:
            raise Invalid(errors=[("within_m", "needs near")])
        lat, _, lon = (self.near or "").partition(",")
        near = Somewhere(float(lat), float(lon)) if self.near is not None else None
        return Wish(self.status, self.skill, self.min_level or 1, near, self.within_m, self.expiring)


class RouteQuery(Query):
    """date: in the technician's time zone, by default today."""

    date: Day | None = None


@technicians.post("/technicians", summary="Register as a technician", responses={201: Registered})
@allow(PUBLIC, limit="20/minute")
def register(body: Registration) -> Response:
    """Pending until a dispatcher approves. The answer is the same whether or not the phone or address is known."""
    session, principal = context.session(), context.principal()
    organization = organization_named(session, principal, body.organization)
    new = NewTechnician(
        name=body.name,
        phone=body.phone,
        email=body.email,
        kind=body.kind,
        home=located(session, context.settings(), body.home, "home"),
        skills=_stated(body.skills),
        max_travel_m=body.max_travel_m,
        pay=body.pay.changes() if body.pay is not None else {},
        languages=body.languages,
        time_zone=body.time_zone,
        vehicle=body.vehicle,
        **(body.availability.said() if body.availability is not None else {}),
    )
    technician, key = joining.register(session, organization, new, context.now())
    profile = profile_of(session, Principal("technician", technician_id=technician.id), technician.id)
    registered = Registered(technician=TechnicianOut.of(profile), api_key=key)
    return answer(registered, 201, version=profile.version, location=f"/v1/technicians/{technician.id}")


@technicians.get("/technicians", summary="List technicians", responses={200: TechnicianPage})
@allow("dispatcher", "integration")
def read_all(query: TechnicianQuery) -> Response:
    """The organization's, by name; with `near` the nearest first."""
    found = find_profiles(context.session(), context.principal(), query.wish(), context.now())
    rows, cursor = page_through(found, query, order_of, 3)
    return answer(page_of(TechnicianPage, [TechnicianOut.of(profile) for profile in rows], cursor))


@technicians.get("/technicians/<technician_id>", summary="Read a technician", responses={200: TechnicianOut})
@allow("dispatcher", "integration", "technician")
def read(path: TechnicianPath) -> Response:
    return _answered(profile_of(context.session(), context.principal(), path.technician_id))


@technicians.patch("/technicians/<technician_id>", summary="Change a profile", responses={200: TechnicianOut})
@allow("dispatcher", "technician")
def change(path: TechnicianPath, body: TechnicianChanges) -> Response:
    """A technician changes its own, a dispatcher that of a technician whom its organization alone engages; kind and pay
    a dispatcher in any case."""
    session, principal = context.session(), context.principal()
    profile = profile_of(session, principal, path.technician_id, change=True)
    require_match(profile.version, required=False)
    changes = body.changes()
    if body.home is not None:
        changes["home"] = located(session, context.settings(), body.home, "home")
    if body.skills is not None:
        changes["skills"] = _stated(body.skills)
    if body.pay is not None:
        changes["pay"] = body.pay.changes()
    if "languages" in changes:
        changes["languages"] = body.languages or []
    joining.change_profile(session, profile, changes, actor_of(principal), context.now())
    return _answered(profile_of(session, principal, path.technician_id))


@technicians.post("/technicians/<technician_id>/approve", summary="Approve", responses={200: TechnicianOut})
@allow("dispatcher")
def approve(path: TechnicianPath, body: Approval) -> Response:
    """pending -> active. Of an active technician it renews what is verified."""
    session, principal = context.session(), context.principal()
    profile = profile_of(session, principal, path.technician_id, change=True)
    joining.approve(session, profile, body.kind, body.levels(), actor_of(principal), context.now())
    return _answered(profile)


@technicians.post("/technicians/<technician_id>/suspend", summary="Suspend", responses={200: TechnicianOut})
@allow("dispatcher")
def suspend(path: TechnicianPath, body: Suspension) -> Response:
    """active -> suspended. Its offers are withdrawn, its visits that have not begun go back to be planned; what was
    promised to customers stands."""
    session, principal = context.session(), context.principal()
    profile = profile_of(session, principal, path.technician_id, change=True)
    by = actor_of(principal)
    joining.suspend(session, context.settings(), profile, body.reason, by, context.now())
    return _answered(profile)


@technicians.post(
    "/technicians/<technician_id>/reinstate", summary="Reinstate", responses={200: TechnicianOut}
)
@allow("dispatcher")
def reinstate(path: TechnicianPath) -> Response:
    """suspended -> active."""
    session, principal = context.session(), context.principal()
    profile = profile_of(session, principal, path.technician_id, change=True)
    joining.reinstate(session, profile, actor_of(principal), context.now())
    return _answered(profile)


@technicians.post(
    "/technicians/<technician_id>/engagements",
    summary="Ask to work for another organization",
    responses={201: EngagementOut},
)
@allow("technician")
def engage(path: TechnicianPath, body: NewEngagement) -> Response:
    """Pending there. 409 `already_engaged` where there is an engagement, whatever its status."""
    session, principal = context.session(), context.principal()
    profile = profile_of(session, principal, path.technician_id, change=True)
    organization = organization_named(session, principal, body.organization)
    pay = body.pay.changes() if body.pay is not None else {}
    technician, by = profile.technician, actor_of(principal)
    engagement = joining.join(session, technician, organization, pay, by, context.now())
    return answer(EngagementOut.of(engagement, organization), 201, version=engagement.version)


@technicians.get(
    "/technicians/<technician_id>/route", summary="Read a day's route", responses={200: RouteOut}
)
@allow("dispatcher", "integration", "technician")
def route(path: TechnicianPath, query: RouteQuery) -> Response:
    """For a technician all its visits of the day, for an organization its own."""
    session, now = context.session(), context.now()
    profile = profile_of(session, context.principal(), path.technician_id)
    require_right(session, profile)
    day = query.date or profile.technician.today(now)
    found = days.route_on(session, profile.technician, day, profile.organization_id)
    shown = for_its_technician(found, profile.engagements, now) if profile.is_own else found
    return answer(RouteOut.of(shown))


@technicians.post(
    "/technicians/<technician_id>/duty", summary="Go on or off duty", responses={200: TechnicianOut}
)
@allow("technician")
def duty(path: TechnicianPath, body: DutyChange) -> Response:
    """Saying again what stands changes nothing."""
    session, principal = context.session(), context.principal()
    technician = _working(path.technician_id)
    days.set_duty(session, technician, body.status, actor_of(principal), context.now())
    return _answered(profile_of(session, principal, path.technician_id))


@technicians.post(
    "/technicians/<technician_id>/positions", summary="Tell a position", responses={201: PositionOut}
)
@allow("technician")
def positions(path: TechnicianPath, body: NewPosition) -> Response:
    """409 `off_duty`, and nothing is stored, while off duty, and of where the phone was before."""
    technician = _working(path.technician_id)
    assert technician.no is not None
    position = Position(**body.model_dump(), technician_no=technician.no, received_at=context.now())
    days.tell_position(context.session(), context.settings(), technician, position)
    return answer(PositionOut.model_validate(position), 201)


def _working(technician_id: str) -> Technician:
    """The calling technician, locked. Raises `Forbidden` while nobody lets it work."""
    profile = profile_of(context.session(), context.principal(), technician_id, change=True)
    require_approved(context.session(), profile.technician)
    return profile.technician


def _answered(profile: Profile) -> Response:
    return answer(TechnicianOut.of(profile), version=profile.version)


def _stated(skills: list[SkillStated]) -> list[StatedSkill]:
    return [StatedSkill(stated.skill, stated.level, stated.expires_on) for stated in skills]
