"""Who could make a visit, the cheapest first, and why nobody else can: of those who are asked and not dispatched.

Found by the insertion engine of slots and plans, in the calendars as they stand. What somebody answered to other offers
enters nowhere.
"""

from collections.abc import Collection
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from sqlmodel import Session, col, select

from dispatch.calendar import discreet
from dispatch.planning import Job, Window, narrowed, with_visit
from dispatch.settings import Settings
from dispatch.standing import Opening, calendars_of
from dispatch.technician import Engagement, EngagementStatus, Kind, Technician
from dispatch.territory import Territory
from optimizer import Insertion, Reason, Stop

NOT_WORKING = Reason("no_shift", "does not work at that time")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A technician who could make the visit, and where in its day that costs least."""

    opening: Opening
    job: Job
    window: Window
    settings: Settings

    @property
    def no(self) -> int:
        return self.opening.technician_no

    @property
    def technician(self) -> Technician:
        return self.opening.read.technicians[self.insertion.technician]

    @property
    def engagement(self) -> Engagement:
        return self.opening.engagement

    @property
    def insertion(self) -> Insertion:
        return self.opening.insertion

    @property
    def stop(self) -> Stop:
        """The visit in the technician's route."""
        visit_id, shift_id = self.job.appointment.id, self.insertion.shift
        day = narrowed(self.settings, self.opening.read, shift_id, self.technician, self.job, [self.window])
        plan, _ = with_visit(day, visit_id, self.insertion, self.job.windows_at_place([self.window]))
        (route,) = plan.routes
        return next(stop for stop in route.stops if stop.visit == visit_id)

    @property
    def is_beside_others(self) -> bool:
        """Whether it would come next to another organization's visit, so that travel is told rounded."""
        return self.opening.beside_others

    @property
    def detour(self) -> tuple[int, int]:
        """Seconds and metres that the visit adds to the technician's travel, as they may be told."""
        extra = max(0, self.insertion.extra_travel_s), max(0, self.insertion.extra_travel_m)
        return discreet(*extra) if self.is_beside_others else extra


@dataclass(frozen=True, slots=True)
class Ranking:
    """items: the cheapest first. reasons: why the others cannot, by technician number. would_fit_if: what would let one
    of them, if none can."""

    items: tuple[Candidate, ...]
    reasons: dict[int, Reason]
    would_fit_if: tuple[Reason, ...]


def candidates(session: Session, settings: Settings, job: Job, window: Window) -> list[Candidate]:
    """Everybody whom the visit's organization has engaged and does not employ and who could start in the window, the
    cheapest first. Where the visit stands it counts as removed."""
    calendars = calendars_of(session, job.appointment.organization_id)
    found = [
        Candidate(opening, job, window, settings)
        for opening in calendars.by_technician(session, settings, job, window)
        if opening.engagement.kind.is_asked
    ]
    return sorted(found, key=lambda one: (one.insertion.extra_cents, one.insertion.start, one.no))


def rank(
    session: Session,
    settings: Settings,
    job: Job,
    window: Window,
    *,
    among: Collection[int] | None = None,
    without: Collection[int] = (),
) -> Ranking:
    """Those of `candidates`, and why nobody else is among them. among, without: technicians by number."""
    zone = ZoneInfo(session.get_one(Territory, job.appointment.territory_id).time_zone)
    people = _asked_people(session, job.appointment.organization_id, among, without)
    found = [one for one in candidates(session, settings, job, window) if one.no in people]
    calendars = calendars_of(session, job.appointment.organization_id)
    (obstacles,) = calendars.obstacles(session, settings, job, [[window]], zone)
    why = obstacles.each(obstacles.fitting())
    able = {candidate.no for candidate in found}
    reasons = {no: why.get(id_, NOT_WORKING) for no, id_ in people.items() if no not in able}
    helps = () if found else _of(obstacles.would_fit_if(), set(people.values()))
    return Ranking(tuple(found), reasons, helps)


def _asked_people(
    session: Session, organization_id: str, among: Collection[int] | None, without: Collection[int]
) -> dict[int, str]:
    """Their ids by number."""
    query = (
        select(Technician.no, Technician.id)
        .where(Engagement.technician_no == Technician.no, Engagement.organization_id == organization_id)
        .where(Engagement.status == EngagementStatus.ACTIVE, Engagement.kind != Kind.EMPLOYEE)
        .order_by(col(Technician.no))
    )
    return {
        no: id_
        for no, id_ in session.exec(query)
        if no is not None and no not in without and (among is None or no in among)
    }


def _of(reasons: Collection[Reason], technician_ids: Collection[str]) -> tuple[Reason, ...]:
    """Those that concern one of these, or nobody in particular."""
    return tuple(
        reason
        for reason in reasons
        if not reason.technicians or not set(reason.technicians).isdisjoint(technician_ids)
    )
