"""An organization: whose customers, services and engagements these are. Everything else is scoped to one."""

import re
from datetime import date, datetime
from zoneinfo import ZoneInfo, available_timezones

from sqlmodel import Field, Session, SQLModel, select

from dispatch.errors import Conflict, Invalid, NotFound
from dispatch.ids import new_id

_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_CURRENCY = re.compile(r"[A-Z]{3}")


class Organization(SQLModel, table=True):
    """currency: ISO 4217; amounts of money are in its minor units. time_zone: IANA, for what has no territory."""

    id: str = Field(default_factory=new_id, primary_key=True, max_length=36)
    slug: str = Field(unique=True, max_length=63)
    name: str = Field(max_length=200)
    currency: str = Field(max_length=3)
    time_zone: str = Field(max_length=64)
    created_at: datetime

    def today(self, now: datetime) -> date:
        """The date where it is at home."""
        return now.astimezone(ZoneInfo(self.time_zone)).date()


def create_organization(
    session: Session, *, slug: str, name: str, currency: str, time_zone: str, now: datetime
) -> Organization:
    """Raises `Invalid` with the fields at fault, and `Conflict` where the slug is taken."""
    errors = []
    if not _SLUG.fullmatch(slug):
        errors.append(("slug", "must be lower case letters, digits and hyphens"))
    if not name.strip() or len(name) > 200:
        errors.append(("name", "must have 1 to 200 characters"))
    if not _CURRENCY.fullmatch(currency):
        errors.append(("currency", "must be a code of ISO 4217 such as USD"))
    if time_zone not in available_timezones():
        errors.append(("time_zone", "must be an IANA zone such as America/New_York"))
    if errors:
        raise Invalid(errors=errors)
    if session.exec(select(Organization).where(Organization.slug == slug)).first() is not None:
        raise Conflict("slug_taken", f"There is an organization {slug!r} already.")
    created = Organization(
        slug=slug, name=name.strip(), currency=currency, time_zone=time_zone, created_at=now
    )
    session.add(created)
    session.flush()
    return created


def organization_by_slug(session: Session, slug: str) -> Organization:
    """Raises `NotFound`."""
    found = session.exec(select(Organization).where(Organization.slug == slug)).first()
    if found is None:
        raise NotFound(detail=f"There is no organization {slug!r}.")
    return found


def only_organization(session: Session) -> Organization | None:
    """The one that this installation is for; None where several share it, of which none is to be told the others."""
    found = session.exec(select(Organization).limit(2)).all()
    return found[0] if len(found) == 1 else None
