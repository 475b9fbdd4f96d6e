"""Technicians as somebody sees them: itself with all its engagements, an organization with its own alone."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlmodel import Session, col, select

from dispatch.errors import NotFound
from dispatch.keys import Principal
from dispatch.organization import Organization
from dispatch.places import Place, place_of
from dispatch.technician import (
    Engagement,
    EngagementStatus,
    Technician,
    TechnicianSkill,
    engagements_of,
    leading,
    stated_skills,
)
from optimizer.travel import Place as Point
from optimizer.travel import between


@dataclass(frozen=True, slots=True)
class Profile:
    """A technician for one reader. engagements: all for itself, one for an organization. organizations: theirs, by id.
    is_own: the technician reads. shows_home: home is for its owner and for dispatchers who engage it."""

    technician: Technician
    engagements: tuple[Engagement, ...]
    organizations: dict[str, Organization]
    skills: tuple[TechnicianSkill, ...]
    is_own: bool
    shows_home: bool
    distance_m: int | None = None

    @property
    def engagement(self) -> Engagement:
        """The one that status, kind, pay and verified skills are shown of."""
        return leading(self.engagements)

    @property
    def version(self) -> str:
        """Of everything shown, for the ETag."""
        return f"{self.technician.version}.{sum(engagement.version for engagement in self.engagements)}"

    @property
    def organization_id(self) -> str | None:
        """Whose visits alone the reader may see; None for the technician, who sees all of its own."""
        return None if self.is_own else self.engagement.organization_id


def profile_of(
    session: Session, principal: Principal, technician_id: str, *, change: bool = False
) -> Profile:
    """`me` is the calling technician. Raises `NotFound` for a technician that is another, or that has nothing to do
    with the caller's organization. With `change` the rows are locked until the transaction ends."""
    technician = _technician(session, principal, technician_id, change)
    engagements = engagements_of(session, technician)
    if principal.role != "technician":
        engagements = [own for own in engagements if own.organization_id == principal.organization_id]
    if not engagements:
        raise NotFound()
    if change:
        for engagement in engagements:
            session.refresh(engagement, with_for_update=True)
    return _profiles(session, principal, [(technician, engagements)])[0]


def _technician(session: Session, principal: Principal, technician_id: str, change: bool) -> Technician:
    wanted = principal.technician_id if technician_id == "me" else technician_id
    if wanted is None or (principal.role == "technician" and wanted != principal.technician_id):
        raise NotFound()
    query = select(Technician).where(Technician.id == wanted)
    if change:
        query = query.with_for_update(key_share=True).execution_options(populate_existing=True)
    found = session.exec(query).first()
    if found is None:
        raise NotFound()
    return found


def _profiles(
    session: Session, principal: Principal, people: Sequence[tuple[Technician, Sequence[Engagement]]]
) -> list[Profile]:
    stated = stated_skills(session, [technician.no for technician, _ in people if technician.no is not None])
    ids = {engagement.organization_id for _, engagements in people for engagement in engagements}
    organizations = {o.id: o for o in session.exec(select(Organization).where(col(Organization.id).in_(ids)))}
    is_own = principal.role == "technician"
    return [
        Profile(
            technician,
            tuple(engagements),
            organizations,
            tuple(stated[technician.no or 0]),
            is_own=is_own,
            shows_home=is_own or principal.role == "dispatcher",
        )
        for technician, engagements in people
    ]


@dataclass(frozen=True, slots=True)
class Wish:
    """What a list of technicians is narrowed to. A skill counts where it is verified and not expired; for a pending
    technician, of whom nothing is verified yet, what it states. expiring: those of whom a stated skill has expired or
    expires within 30 days, or the others. near and within_m: from home, in a straight line."""

    status: EngagementStatus | None = None
    skill: str | None = None
    min_level: int = 1
    near: Place | None = None
    within_m: int | None = None
    expiring: bool | None = None


def find_profiles(session: Session, principal: Principal, wish: Wish, now: datetime) -> list[Profile]:
    """The technicians of the caller's organization that meet the wish: the nearest first where `near` is given, else by
    name."""
    query = (
        select(Technician, Engagement)
        .where(Engagement.technician_no == Technician.no)
        .where(Engagement.organization_id == principal.organization_id)
    )
    if wish.status is not None:
        query = query.where(Engagement.status == wish.status)
    if wish.skill is not None:
        query = query.where(
            TechnicianSkill.technician_no == Technician.no,
            TechnicianSkill.skill == wish.skill,
            TechnicianSkill.level >= wish.min_level,
        )
    people = [(technician, [engagement]) for technician, engagement in session.exec(query)]
    profiles = _profiles(session, principal, people)
    found = (p for p in profiles if _is_able(p, wish, now) and _runs_out(p, wish, now))
    return sorted(_measured(found, wish), key=order_of)


def order_of(profile: Profile) -> tuple[int, str, str]:
    """Where a profile stands in a list: by distance, then name, then id."""
    technician = profile.technician
    return (profile.distance_m or 0, technician.name, technician.id)


def _is_able(profile: Profile, wish: Wish, now: datetime) -> bool:
    if wish.skill is None or profile.engagement.status is EngagementStatus.PENDING:
        return True
    today = profile.technician.today(now)
    counting = profile.engagement.effective_skills(list(profile.skills), today)
    return counting.get(wish.skill, 0) >= wish.min_level


def _runs_out(profile: Profile, wish: Wish, now: datetime) -> bool:
    today = profile.technician.today(now)
    found = any(skill.is_expired(today) or skill.expires_soon(today) for skill in profile.skills)
    return wish.expiring in (None, found)


def _measured(profiles: Iterable[Profile], wish: Wish) -> list[Profile]:
    if wish.near is None:
        return list(profiles)
    origin = Point(wish.near.lat, wish.near.lon)
    measured = []
    for profile in profiles:
        home = place_of(profile.technician)
        distance_m = round(between(origin, Point(home.lat, home.lon)))
        if wish.within_m is None or distance_m <= wish.within_m:
            measured.append(replace(profile, distance_m=distance_m))
    return measured
