"""Whom a dispatcher may choose for a visit: everybody, what each would cost, and why some cannot."""

from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from sqlalchemy import bindparam
from sqlmodel import Session, col, select

from dispatch.appointment import Appointment, Status
from dispatch.asking import window_of
from dispatch.errors import SlotTaken
from dispatch.placing import ahead_of
from dispatch.planning import Job, Window, job_of
from dispatch.pricing import told
from dispatch.ranking import NOT_WORKING
from dispatch.settings import Settings
from dispatch.shift import local_day
from dispatch.standing import Opening, calendars_of
from dispatch.technician import Engagement, EngagementStatus, Technician
from dispatch.territory import Territory
from optimizer import Reason

OVER = Reason("notice", "the time asked for is over")
_PEOPLE = select(col(Technician.no), col(Technician.id), col(Technician.name)).where(
    Engagement.technician_no == Technician.no,
    Engagement.organization_id == bindparam("organization_id"),
    Engagement.status == EngagementStatus.ACTIVE,
)


@dataclass(frozen=True, slots=True)
class Considered:
    """One whom the organization has engaged, and where the visit costs least in its day. start: of the work. The extras
    are what the visit adds to the day, by the prices of slots and plans, travel in seconds and money in minor units;
    beside another organization's visit both are rounded. reason: why it cannot be, and then all else is None."""

    technician_no: int
    technician_id: str
    name: str
    start: datetime | None = None
    extra_travel_s: int | None = None
    extra_cents: int | None = None
    reason: Reason | None = None


def candidates_for(
    session: Session, settings: Settings, appointment: Appointment, on: date | None, now: datetime
) -> list[Considered]:
    """Everybody for a visit, in what is left of its promised window, or of its requested day where nothing is promised.
    on: another local day, of which the whole counts unless the promised window touches it. Raises `InvalidState` for a
    visit that is under way or over."""
    appointment.require(Status.UNASSIGNED, Status.SCHEDULED, Status.DISPATCHED)
    job = job_of(session, appointment)
    try:
        window = ahead_of(_window(session, job, on), now)
    except SlotTaken:
        people = _people(session, appointment.organization_id).items()
        return sorted((Considered(no, *who, reason=OVER) for no, who in people), key=_name)
    return consider(session, settings, job, window)


def _window(session: Session, job: Job, on: date | None) -> Window:
    usual = window_of(session, job)
    if on is None:
        return usual
    zone = ZoneInfo(session.get_one(Territory, job.appointment.territory_id).time_zone)
    begins, ends = local_day(on, zone)
    if job.appointment.is_promised and usual[0] < ends and begins <= usual[1]:
        return usual
    earliest, due = job.request.earliest_start or begins, job.request.due or ends
    return max(begins, earliest), min(ends, due)


def consider(session: Session, settings: Settings, job: Job, window: Window) -> list[Considered]:
    """Everybody whom the visit's organization has engaged and not suspended, employees too: who could start in the
    window, the cheapest first, then the others by name. Where the visit stands it counts as removed."""
    organization_id = job.appointment.organization_id
    zone = ZoneInfo(session.get_one(Territory, job.appointment.territory_id).time_zone)
    people = _people(session, organization_id)
    calendars = calendars_of(session, organization_id)
    openings, obstacles = calendars.survey(session, settings, job, window, zone)
    able = [_able(job, opening, *people[opening.technician_no]) for opening in openings]
    why = obstacles.each({one.technician_id for one in able})
    others = people.keys() - {one.technician_no for one in able}
    barred = [Considered(no, *people[no], reason=why.get(people[no][0], NOT_WORKING)) for no in others]
    return sorted(able, key=_cost) + sorted(barred, key=_name)


def _able(job: Job, opening: Opening, id_: str, name: str) -> Considered:
    return Considered(opening.technician_no, id_, name, job.start_of(opening.insertion.start), *told(opening))


def _cost(one: Considered) -> tuple[int | None, datetime | None, int]:
    return one.extra_cents, one.start, one.technician_no


def _name(one: Considered) -> tuple[str, int]:
    return one.name, one.technician_no


def _people(session: Session, organization_id: str) -> dict[int, tuple[str, str]]:
    """Ids and names by number."""
    found = session.connection().execute(_PEOPLE, {"organization_id": organization_id})
    return {no: (id_, name) for no, id_, name in found}
