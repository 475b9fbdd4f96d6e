"""Who could make a visit, the cheapest first, and why nobody else can: of those who are asked and not dispatched.

Found by the insertion engine of slots and plans, in the calendars as they stand. What somebody answered to other offers
enters nowhere.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from zoneinfo import ZoneInfo

from sqlmodel import Session, col, select

from dispatch.calendar import discreet
from dispatch.planning import Job, Window, WorkingDay, load_standing, range_of, with_visit
from dispatch.settings import Settings
from dispatch.standing import READ_AT_A_TIME, SHIFT_BEFORE
from dispatch.technician import Engagement, EngagementStatus, Kind, Technician
from dispatch.territory import Territory
from optimizer import Insertion, Reason, Recommendation, Stop, recommend

NOT_WORKING = Reason("no_shift", "does not work at that time")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A technician who could make the visit, and where in its day that costs least. day: its calendar among others, as
    read."""

    technician: Technician
    engagement: Engagement
    insertion: Insertion
    day: WorkingDay
    job: Job
    window: Window

    @property
    def no(self) -> int:
        assert self.technician.no is not None
        return self.technician.no

    @property
    def stop(self) -> Stop:
        """The visit in the technician's route."""
        visit_id = self.job.appointment.id
        windows = self.job.windows_at_place([self.window])
        plan, _ = with_visit(self.day, visit_id, self.insertion, windows)
        route = next(route for route in plan.routes if route.shift == self.insertion.shift)
        return next(stop for stop in route.stops if stop.visit == visit_id)

    @property
    def is_beside_others(self) -> bool:
        """Whether it would come next to another organization's visit, so that travel is told rounded."""
        visit_id, at = self.job.appointment.id, self.insertion.position
        route = next((r for r in self.day.plan.routes if r.shift == self.insertion.shift), None)
        stops = [stop.visit for stop in route.stops if stop.visit != visit_id] if route else []
        return any(stop not in self.day.jobs for stop in stops[max(0, at - 1) : at + 1])

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


def rank(
    session: Session,
    settings: Settings,
    job: Job,
    window: Window,
    *,
    among: Collection[int] | None = None,
    without: Collection[int] = (),
) -> Ranking:
    """Everybody whom the visit's organization has engaged and does not employ, for a start in the window. Where the
    visit stands it counts as removed. among, without: technicians by number."""
    zone = ZoneInfo(session.get_one(Territory, job.appointment.territory_id).time_zone)
    people = _asked_people(session, job.appointment.organization_id, among, without)
    found: list[Candidate] = []
    reasons: dict[int, Reason] = {}
    would_fit: dict[tuple[str, str], Reason] = {}
    for some in _few(list(people)):
        day = _read(session, settings, job, window, zone, some)
        told = recommend(day.problem, day.plan, job.appointment.id, job.windows_at_place([window]))
        found += _candidates(day, told, job, window)
        reasons |= _reasons(day, told, some)
        would_fit |= {
            (r.code, r.detail): _nearer(would_fit.get((r.code, r.detail)), r) for r in told.would_fit_if
        }
    found.sort(key=lambda one: (one.insertion.extra_cents, one.insertion.start, one.no))
    return Ranking(tuple(found), reasons, () if found else tuple(would_fit.values()))


def _asked_people(
    session: Session, organization_id: str, among: Collection[int] | None, without: Collection[int]
) -> Sequence[int]:
    query = (
        select(Engagement.technician_no)
        .where(Engagement.organization_id == organization_id, Engagement.status == EngagementStatus.ACTIVE)
        .where(Engagement.kind != Kind.EMPLOYEE, col(Engagement.technician_no).not_in(list(without)))
    )
    if among is not None:
        query = query.where(col(Engagement.technician_no).in_(list(among)))
    return session.exec(query.order_by(col(Engagement.technician_no))).all()


def _few(numbers: Sequence[int]) -> Iterator[Sequence[int]]:
    for first in range(0, len(numbers), READ_AT_A_TIME):
        yield numbers[first : first + READ_AT_A_TIME]


def _read(
    session: Session, settings: Settings, job: Job, window: Window, zone: ZoneInfo, numbers: Sequence[int]
) -> WorkingDay:
    range_ = range_of([window], zone)
    day = load_standing(
        session,
        settings,
        job.appointment.organization_id,
        (range_[0] - SHIFT_BEFORE, range_[1]),
        asking=job,
        windows=[window],
        technician_nos=numbers,
    )
    preferred = job.request.preferred_technician_no
    if preferred is None or preferred in numbers:
        return day
    named = session.get_one(Technician, preferred).id
    visits = tuple(
        replace(visit, preferred=frozenset({named})) if visit.id == job.appointment.id else visit
        for visit in day.problem.visits
    )
    return replace(day, problem=replace(day.problem, visits=visits))


def _candidates(day: WorkingDay, told: Recommendation, job: Job, window: Window) -> list[Candidate]:
    """Each once, where the visit costs least."""
    best: dict[str, Insertion] = {}
    for insertion in told.insertions:
        best.setdefault(insertion.technician, insertion)
    return [
        Candidate(day.technicians[id_], day.engagements[id_], insertion, day, job, window)
        for id_, insertion in best.items()
    ]


def _reasons(day: WorkingDay, told: Recommendation, numbers: Sequence[int]) -> dict[int, Reason]:
    no_of = {id_: technician.no for id_, technician in day.technicians.items()}
    able = {insertion.technician for insertion in told.insertions}
    why = {no_of[id_]: reason for reason in told.reasons for id_ in reason.technicians}
    fitting = {no_of[id_] for id_ in able}
    return {no: why.get(no, NOT_WORKING) for no in numbers if no not in fitting}


def _nearer(known: Reason | None, other: Reason) -> Reason:
    """What asks for less."""
    return other if known is None or (other.by or 0) < (known.by or 0) else known
