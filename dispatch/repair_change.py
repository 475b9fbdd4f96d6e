"""A change of the running day: as read, as it is to be, what it comes to, and how it is written."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from sqlmodel import Session, col, select

from dispatch import explaining
from dispatch.appointment import ENDED, UNDER_WAY, Appointment, Status
from dispatch.booking import promise, promised_window, supersede_offers, window_fields
from dispatch.calendar import (
    discreet,
    epoch,
)
from dispatch.errors import Conflict
from dispatch.events import Actor, Event, record
from dispatch.instants import instant_told
from dispatch.offer import OPEN, Offer
from dispatch.placing import note_retimed
from dispatch.plan_result import before_fields
from dispatch.plan_task import moves_of
from dispatch.planning import (
    NO_TIME_LEFT,
    DayReader,
    Job,
    Window,
    WorkingDay,
    asked_visit,
    declined_by,
    merged,
    plannable_windows,
    reason_fields,
    slot_windows,
    window_for,
    with_absences,
    write_plan,
)
from dispatch.promise import PromiseKind
from dispatch.repair_search import RepairSearch, Unreachable, Wish, steps
from dispatch.settings import Settings
from dispatch.settling import Stands
from dispatch.territory import Territory
from optimizer import Pin, Plan, Problem, Route, Shift, TimeWindow, Visit
from optimizer.objective import objective

SOON_S = 900
"""Starts within so many seconds of each other are as soon as each other: nobody is moved to be there sooner by less."""
OF_A_REPAIR = explaining.Facts(
    taken={"code": "repair", "detail": "The day was repaired, and somebody else makes this visit."},
    dropped={"code": "repair", "detail": "The day was repaired, and nobody can make this visit."},
    given={"code": "repair", "detail": "The day was repaired, and with you the fewest visits are moved."},
)


class RepairKind(StrEnum):
    ABSENT = "absent"
    OVERRUN = "overrun"
    EMERGENCY = "emergency"

    @property
    def subject(self) -> str:
        """The field that names what it is about."""
        return "technician_id" if self is RepairKind.ABSENT else "appointment_id"


@dataclass(frozen=True, slots=True)
class Repair:
    """What came of it, or would. id: of the event `repair.applied`. Items as in a plan's lists. kept: how many visits
    that stand in the hours looked at are not moved. extra_cents: of pay and travel, in minor units."""

    kind: RepairKind
    id: str | None
    moved: list[dict[str, Any]]
    assigned: list[dict[str, Any]]
    unassigned: list[dict[str, Any]]
    kept: int
    extra_travel_s: int
    extra_cents: int
    promises_broken: list[dict[str, Any]]
    kpis: dict[str, int]


@dataclass(frozen=True, slots=True)
class Call:
    """Who asks, and when."""

    session: Session
    settings: Settings
    organization_id: str
    by: Actor
    now: datetime
    reason: str | None
    dry_run: bool


@dataclass
class Change:
    """The day as read and as it is to be (`search`). homeless: what has to find another place; hopeless: of that, what
    may start at no time any more; unplaced: what found none. urgent: the emergency."""

    call: Call
    day: WorkingDay
    search: RepairSearch
    homeless: list[Wish]
    hopeless: list[str]
    lost: list[Appointment]
    urgent: Job | None
    unplaced: list[Wish] = field(default_factory=list)

    @classmethod
    def read(
        cls,
        call: Call,
        hours: Window,
        *,
        lost: Sequence[Job] = (),
        re_timed: str | None = None,
        urgent: Job | None = None,
    ) -> "Change":
        """hours: to be looked at. lost: visits that have to find another place. re_timed: the technician whose visits
        may be re-timed although they should have begun. urgent: one more visit, as soon as may be in these hours."""
        zones = _Zones(call.session)
        windows = {job.appointment.id: _windows(job, zones.of(job), call.now) for job in lost}
        ends = [end + timedelta(seconds=1) for own in windows.values() for _, end in own]
        reader = DayReader(
            call.session,
            call.settings,
            call.organization_id,
            (hours[0], max([hours[1], *ends])),
            leaving_from=call.now,
        )
        reader.keep(except_=list(windows))
        never = [(call.now, call.now)]
        reader.add_all([(job, merged(windows[job.appointment.id] or never)) for job in lost])
        if urgent is not None:
            reader.add(urgent, [hours])
        day = reader.day()
        homeless = [Wish(v.id, v.windows) for v in day.problem.visits if windows.get(v.id)]
        if urgent is not None:
            [at] = urgent.windows_at_place([hours])
            homeless.append(Wish(urgent.appointment.id, steps(at.start, at.end, SOON_S), is_urgent=True))
        return cls(
            call=call,
            day=day,
            search=_search(call, day, set(windows), zones, re_timed),
            homeless=homeless,
            hopeless=[id_ for id_, own in windows.items() if not own],
            lost=[job.appointment for job in lost],
            urgent=urgent,
        )

    def shift_of(self, visit_id: str) -> str:
        """Raises `Conflict` where it stands outside every shift."""
        for route in self.day.plan.routes:
            if any(stop.visit == visit_id for stop in route.stops):
                return route.shift
        raise Conflict("outside_shifts", "The visit stands outside its technician's hours; override it.")

    def exclude(self, technician_id: str) -> None:
        """What has to find another place goes to others alone."""
        ids = {wish.visit_id for wish in self.homeless}
        for visit in self.search.problem.visits:
            if visit.id in ids:
                self.search.change(replace(visit, excluded=visit.excluded | {technician_id}))

    def absent(self, shifts: Iterable[Shift], begin: int, end: int) -> None:
        """The time is taken out of these shifts."""
        away = {}
        for shift in shifts:
            at, until = max(begin, shift.window.start), min(end, shift.window.end)
            if at < until:
                away[shift.id] = with_absences(shift, [(at, until)])
        self.search.change_shifts(away)

    def trim(self, shift_id: str) -> None:
        """What does not fit any more into the shift has to find another place. Raises `Conflict` (`unreachable`)."""
        route = self.search.routes.get(shift_id)
        if route is None:
            return
        try:
            out = self.search.trim(shift_id, [stop.visit for stop in route.stops])
        except Unreachable as error:
            raise Conflict(
                "unreachable",
                "What the technician has agreed to could not be reached any more; unassign it first.",
                appointment_ids=[id_ for id_ in [error.visit_id] if id_ in self.day.jobs],
            ) from error
        for visit_id in out:
            visit = self.search.as_free(visit_id)
            self.search.change(visit)
            self.homeless.append(Wish(visit_id, visit.windows))

    def place_homeless(self) -> bool:
        """Whether all of it found a place."""
        self.unplaced = self.search.place_all(self.homeless)
        return not self.unplaced

    def put_back(self, shift_id: str) -> None:
        """What nobody else can take stays, and is late."""
        self.unplaced = [w for w in self.unplaced if not self.search.put_back(shift_id, w.visit_id)]

    # What came of it

    def concluded(self, kind: RepairKind, subject_id: str, why: str) -> Repair:
        """Written, unless it is a dry run."""
        changed = self._changed()
        self.search.require_sound(changed)
        repair = self._told(kind, changed)
        if self.call.dry_run:
            return repair
        self._write(changed, why)
        return replace(repair, id=self._record(repair, subject_id, why).id)

    def _changed(self) -> set[str]:
        """The shifts whose stops are not as they were."""
        was = {route.shift: _times(route) for route in self.day.plan.routes}
        is_ = {shift: _times(route) for shift, route in self.search.routes.items()}
        return {shift for shift in was.keys() | is_.keys() if was.get(shift) != is_.get(shift)}

    def _told(self, kind: RepairKind, changed: set[str]) -> Repair:
        old = [route for route in self.day.plan.routes if route.shift in changed]
        new = [route for shift, route in self.search.routes.items() if shift in changed]
        stands, left = self.day.stands, {wish.visit_id for wish in self.unplaced} | set(self.hopeless)
        touched = {stop.visit for route in (*old, *new) for stop in route.stops}
        moves = moves_of(stands, touched - left, new)
        given = {stop.visit: (route.technician, stop.start) for route in new for stop in route.stops}
        moved = [self._item(id_, *given[id_]) | before_fields(self.day, stands, id_) for id_ in sorted(moves)]
        assigned = [
            self._item(id_, *given[id_]) for id_ in sorted(touched - stands.keys() - left) if id_ in given
        ]
        unassigned = self._unassigned()
        travel_s = sum(r.travel_s for r in new) - sum(r.travel_s for r in old)
        cents = _cost_cents(self.search.problem, new) - _cost_cents(self.search.problem, old)
        if not touched <= self.day.jobs.keys():
            travel_s, cents = discreet(travel_s, 0)[0], 100 * round(cents / 100)
        broken = [item for item in moved if _is_broken(item)]
        stood = [id_ for id_ in self.day.jobs if id_ in stands]
        return Repair(
            kind=kind,
            id=None,
            moved=moved,
            assigned=assigned,
            unassigned=unassigned,
            kept=len(stood) - len(moved) - sum("before" in item for item in unassigned),
            extra_travel_s=travel_s,
            extra_cents=cents,
            promises_broken=broken,
            kpis={
                "moved": len(moved),
                "assigned": len(assigned),
                "unassigned": len(unassigned),
                "promises_broken": len(broken),
                "technicians_changed": len({route.technician for route in (*old, *new)}),
            },
        )

    def _item(self, visit_id: str, technician_id: str, start: int) -> dict[str, Any]:
        job = self.day.jobs[visit_id]
        begins = job.start_of(start)
        return {
            "appointment_id": visit_id,
            "technician_id": technician_id,
            "scheduled_start": instant_told(begins),
            "arrival_window": window_fields(self._window(job, begins)),
        }

    def _window(self, job: Job, begins: datetime) -> Window:
        appointment = job.appointment
        if job is self.day.jobs.get(self._urgent_id) and not _is_ahead(appointment, self.call.now):
            return _urgent_window(job, _Zones(self.call.session).of(job), begins)
        if appointment.is_promised:
            return promised_window(appointment)
        return begins, begins + timedelta(seconds=job.service.arrival_window_s)

    @property
    def _urgent_id(self) -> str:
        return "" if self.urgent is None else self.urgent.appointment.id

    def _unassigned(self) -> list[dict[str, Any]]:
        stands, told = self.day.stands, []
        for wish in self.unplaced:
            found = self.search.prepared(held=False).recommend(wish.visit_id)
            told.append((wish.visit_id, found.reasons, found.would_fit_if))
        told += [(visit_id, (NO_TIME_LEFT,), ()) for visit_id in self.hopeless]
        return [
            {
                "appointment_id": visit_id,
                "reasons": [reason_fields(reason) for reason in reasons],
                "would_fit_if": [reason_fields(reason) for reason in would_fit_if],
            }
            | before_fields(self.day, stands, visit_id)
            for visit_id, reasons, would_fit_if in told
        ]

    # Writing

    def _write(self, changed: set[str], why: str) -> None:
        call, day = self.call, self.day
        for appointment in self.lost if self.urgent is None else [self.urgent.appointment]:
            supersede_offers(call.session, appointment, call.by, call.now)
        call.session.flush()
        had, was = explaining.holders(day), {id_: _was(job.appointment) for id_, job in day.jobs.items()}
        technician_of = {shift.id: shift.technician for shift in day.problem.shifts}
        plan = self.search.plan
        rewritten = write_plan(call.session, day, plan, {technician_of[shift] for shift in changed})
        told = {stop.visit for route in plan.routes if route.shift in changed for stop in route.stops}
        gone = [*(wish.visit_id for wish in self.unplaced), *self.hopeless]
        own = (told | set(gone)) & day.jobs.keys()
        explaining.note_moves(call.session, day, had, plan, own, call.now, OF_A_REPAIR)
        re_timed = []
        for appointment in rewritten:
            technician_no, _ = was[appointment.id]
            if technician_no == appointment.technician_no:
                re_timed.append(self._kept(appointment))
            else:
                self._give(appointment, why)
        note_retimed(call.session, re_timed, call.by, call.now)
        for visit_id in gone:
            if visit_id != self._urgent_id:
                self._drop(day.jobs[visit_id].appointment, why)
        call.session.flush()

    def _kept(self, appointment: Appointment) -> Appointment:
        """Its technician comes at another time."""
        if appointment.status is Status.EN_ROUTE and appointment in self.lost:
            appointment.move(Status.DISPATCHED)
        self.call.session.add(appointment)
        return appointment

    def _give(self, appointment: Appointment, why: str) -> None:
        """Somebody else comes, who has yet to commit."""
        call = self.call
        before = {"status": appointment.status.value}
        appointment.pinned = appointment.pinned_time = False
        if appointment.status is Status.EN_ROUTE:
            appointment.move(Status.UNASSIGNED)
        if appointment.status is not Status.SCHEDULED:
            appointment.move(Status.SCHEDULED)
        job = self.day.jobs[appointment.id]
        if appointment.id == self._urgent_id and not _is_ahead(appointment, call.now):
            assert appointment.scheduled_start is not None
            kind = PromiseKind.CHANGED if appointment.is_promised else PromiseKind.GIVEN
            window = self._window(job, appointment.scheduled_start)
            promise(call.session, call.settings, appointment, window, kind, call.by, call.now)
        call.session.add(appointment)
        after = {"status": appointment.status.value}
        if appointment.is_promised:
            after |= {"arrival_window": window_fields(promised_window(appointment))}  # type: ignore[dict-item]
        record(
            call.session, call.organization_id, appointment.id, "appointment.scheduled", call.now, call.by,
            why, before, after,
        )  # fmt: skip

    def _drop(self, appointment: Appointment, why: str) -> None:
        call = self.call
        before = {"status": appointment.status.value}
        appointment.unplan()
        if appointment.status is not Status.UNASSIGNED:
            appointment.move(Status.UNASSIGNED)
        call.session.add(appointment)
        after = {"status": appointment.status.value}
        record(
            call.session, call.organization_id, appointment.id, "appointment.unassigned", call.now, call.by,
            why, before, after,
        )  # fmt: skip

    def _record(self, repair: Repair, subject_id: str, why: str) -> Event:
        """Who asked and why, and what it changed, for whoever asks later."""
        named = [*repair.moved, *(item for item in repair.unassigned if "before" in item)]
        before = {"visits": [{"appointment_id": i["appointment_id"], **i["before"]} for i in named]}
        placed = [{k: i[k] for k in _PLACE} for i in (*repair.moved, *repair.assigned)]
        after = {
            "kind": repair.kind.value,
            "visits": placed,
            "unassigned": [item["appointment_id"] for item in repair.unassigned],
            "promises_broken": [item["appointment_id"] for item in repair.promises_broken],
            "extra_travel_s": repair.extra_travel_s,
            "extra_cents": repair.extra_cents,
        }
        call = self.call
        return record(
            call.session,
            call.organization_id,
            subject_id,
            "repair.applied",
            call.now,
            call.by,
            why,
            before,
            after,
        )


_PLACE = ("appointment_id", "technician_id", "scheduled_start")


class _Zones:
    """Of territories, each read once."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._known: dict[str, ZoneInfo] = {}

    def of(self, job: Job) -> ZoneInfo:
        id_ = job.appointment.territory_id
        if id_ not in self._known:
            self._known[id_] = ZoneInfo(self._session.get_one(Territory, id_).time_zone)
        return self._known[id_]


def _search(call: Call, day: WorkingDay, lost: set[str], zones: _Zones, re_timed: str | None) -> RepairSearch:
    """The day as it is without the lost."""
    stands = day.stands
    technician_ids = {technician.no or 0: id_ for id_, technician in day.technicians.items()}
    place_of = {visit.id: visit.place for visit in day.problem.visits}

    def as_free(visit_id: str) -> Visit:
        job = day.jobs[visit_id]
        windows = merged(_windows(job, zones.of(job), call.now))
        visit = asked_visit(job, windows, technician_ids, declined_by(call.session, visit_id))
        return replace(visit, place=place_of[visit_id])

    visits = tuple(
        visit
        if visit.id in lost or visit.id not in stands
        else _from_now_on(visit, stands, call.now, re_timed)
        for visit in day.problem.visits
    )
    shortened = [
        replace(route, stops=tuple(stop for stop in route.stops if stop.visit not in lost))
        for route in day.plan.routes
    ]
    return RepairSearch(
        problem=replace(day.problem, visits=visits),
        routes={route.shift: route for route in shortened if route.stops},
        stands=stands,
        takeable=_takeable(call, day, zones) - lost,
        anchored={id_ for id_ in stands if not _is_ours_to_come(day, id_)},
        as_free=cache(as_free),
    )


def _from_now_on(visit: Visit, stands: Stands, now: datetime, re_timed: str | None) -> Visit:
    """Nothing is moved to a time that is over; what should have begun stays where it is, but for one technician's."""
    if visit.pin is None or visit.pin.start is not None:
        return visit
    begin, (_, work_from) = epoch(now), stands[visit.id]
    if work_from < begin and visit.pin.technician != re_timed:
        at = (TimeWindow(work_from, work_from),)
        return replace(visit, windows=at, pin=Pin(visit.pin.technician, work_from))
    ahead = tuple(TimeWindow(max(w.start, begin), w.end) for w in visit.windows if w.end >= begin)
    return replace(visit, windows=ahead) if ahead else visit


def _takeable(call: Call, day: WorkingDay, zones: _Zones) -> set[str]:
    """Visits that nobody has committed to, nobody is asked about and no person has pinned, and that may still begin."""
    ours = [
        job
        for id_, job in day.jobs.items()
        if id_ in day.blocks and job.appointment.status is Status.SCHEDULED and not job.appointment.pinned
    ]
    offered = select(Offer.appointment_id).where(
        col(Offer.appointment_id).in_([job.appointment.id for job in ours]), col(Offer.status).in_(OPEN)
    )
    asked = set(call.session.exec(offered))
    return {
        job.appointment.id
        for job in ours
        if job.appointment.id not in asked and _windows(job, zones.of(job), call.now)
    }


def _is_ours_to_come(day: WorkingDay, visit_id: str) -> bool:
    """Whether it is the organization's own visit, and has not begun."""
    job = day.jobs.get(visit_id)
    return job is not None and job.appointment.status not in (*UNDER_WAY, *ENDED)


def _windows(job: Job, zone: ZoneInfo, now: datetime) -> list[Window]:
    """When a visit may still start, wherever it goes."""
    start = job.appointment.scheduled_start or now
    return plannable_windows(job, start.astimezone(zone).date(), zone, now)


def _is_ahead(appointment: Appointment, now: datetime) -> bool:
    """Whether a promise can still be kept."""
    return appointment.is_promised and promised_window(appointment)[1] >= now


def _urgent_window(job: Job, zone: ZoneInfo, start: datetime) -> Window:
    """What the customer is told: a window of the slot grid that holds the start, before the due time if one does."""
    windows = slot_windows(job.service, start.astimezone(zone).date(), zone)
    holding = [window for window in windows if window[0] <= start <= window[1]]
    due = job.request.due
    in_time = [window for window in holding if due is None or window[1] <= due]
    if not holding:
        return start, start + timedelta(seconds=job.service.arrival_window_s)
    return window_for(start, in_time or holding)


def _times(route: Route) -> list[tuple[str, int, int]]:
    return [(stop.visit, stop.start, stop.end) for stop in route.stops]


def _was(appointment: Appointment) -> tuple[int | None, Status]:
    return appointment.technician_no, appointment.status


def _cost_cents(problem: Problem, routes: Sequence[Route]) -> int:
    """Pay and travel, whatever is left out."""
    terms = objective(problem, Plan(tuple(routes), ()))
    return sum(cents for name, cents in terms.items() if name != "serve_visits")


def _is_broken(item: Mapping[str, Any]) -> bool:
    """Whether a visit begins after what its customer was told."""
    end = datetime.fromisoformat(item["arrival_window"]["end"])
    return datetime.fromisoformat(item["scheduled_start"]) > end
