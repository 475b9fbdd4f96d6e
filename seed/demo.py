"""The demonstration: a day's calls in New York loaded into an organization, planned by a plan run as the
API makes it, and held beside what a dispatcher does by hand."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Engine
from sqlmodel import Session, col, select

from dispatch import keys
from dispatch.appointment import Appointment, Status
from dispatch.catalogue import services
from dispatch.database import open_session, transaction
from dispatch.errors import NotFound
from dispatch.events import SYSTEM
from dispatch.gazetteer import add_places
from dispatch.keys import Principal
from dispatch.links import tracking_token
from dispatch.offer import OfferStrategy
from dispatch.offering import Terms, send_direct
from dispatch.organization import Organization, create_organization, organization_by_slug
from dispatch.plan_run import PlanRun, PlanStatus
from dispatch.planning import (
    WorkingDay,
    load_for_plan,
    requested_windows,
    settled,
    slot_windows,
    window_for,
)
from dispatch.replanning import PlanOptions, request_plan
from dispatch.settings import Settings
from dispatch.shift import local_day
from dispatch.technician import Technician
from dispatch.territory import Territory, territories
from dispatch.worker import see_through
from optimizer import Plan, Reason, TimeWindow, Unserved, Visit
from optimizer.objective import objective
from optimizer.travel import Place
from seed.by_hand import plan_by_hand
from seed.calls import NEW_YORK, Call
from seed.city import Freelancer
from seed.errors import PlanFailed
from seed.load import LoadedCalls, load_calls, load_freelancers
from seed.places import zip_areas
from seed.report import Comparison, Figures, as_json, compare, figures_from_json

OnProgress = Callable[[dict[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Demo:
    """One day of the demonstration in an organization. folder: where its results are kept, see
    `results_of`."""

    engine: Engine
    settings: Settings
    slug: str
    day: date

    @property
    def folder(self) -> Path:
        return self.settings.data_dir / "demo"

    @property
    def json_path(self) -> Path:
        return self.folder / f"{self.slug}-{self.day}.json"

    @property
    def map_path(self) -> Path:
        return self.json_path.with_suffix(".png")

    @property
    def key_path(self) -> Path:
        return self.folder / f"{self.slug}.key"

    @property
    def freelancer_key_path(self) -> Path:
        return self.folder / f"{self.slug}-{self.day}-freelancer.key"


@dataclass(frozen=True, slots=True)
class Links:
    """Where to look next. key: opens the organization for a dispatcher. freelancer_key: opens the page of one to whom
    its visits of the day are offered. tracking: of the day's first visit, if any."""

    key: str
    freelancer_key: str | None
    territory_id: str
    tracking: str | None


def load(demo: Demo, calls: Sequence[Call], freelancers: Sequence[Freelancer], now: datetime) -> LoadedCalls:
    """Makes the organization and loads the day into it, as far as that was not done before; the gazetteer gets the
    city's ZIP codes."""
    with transaction(demo.engine) as session:
        session.expire_on_commit = False
        organization = _organization(session, demo.slug, now)
        add_places(session, zip_areas(), now)
    loaded = load_calls(demo.engine, organization, calls, SYSTEM, now)
    with transaction(demo.engine) as session:
        _ask_nobody(session, organization)
    load_freelancers(demo.engine, organization, freelancers, now)
    return loaded


def _ask_nobody(session: Session, organization: Organization) -> None:
    """No offers leave by themselves: in a demonstration nobody would answer them, and the plan would give the visits to
    others until nobody is left."""
    for service in services(session, organization.id):
        service.offer_strategy = OfferStrategy.NONE
        session.add(service)


def _organization(session: Session, slug: str, now: datetime) -> Organization:
    try:
        return organization_by_slug(session, slug)
    except NotFound:
        return create_organization(
            session,
            slug=slug,
            name="Five Boroughs Repair",
            currency="USD",
            time_zone=NEW_YORK.key,
            now=now,
        )


def _territory(session: Session, slug: str) -> Territory:
    return territories(session, organization_by_slug(session, slug).id)[0]


def plan_and_compare(
    demo: Demo, calls: Sequence[Call], time_limit_s: float, on_progress: OnProgress, now: datetime
) -> tuple[Comparison, WorkingDay]:
    """Plans the loaded day by a plan run, which promises the windows, and by hand. on_progress: gets what
    the run tells.

    Calls that may start at no time of the day count as left out of both. Raises `PlanFailed`, and
    `BrokenPlan` if the verifier finds anything in either plan.
    """
    with transaction(demo.engine) as session:
        session.expire_on_commit = False
        territory = _territory(session, demo.slug)
        day, _ = load_for_plan(session, demo.settings, territory, demo.day, now, None)
        run_id = request_plan(session, territory, demo.day, PlanOptions(time_limit_s), SYSTEM, now).id
    run = _await(demo, run_id, on_progress)
    plan = planned(day, run)
    by_hand = plan_by_hand(day.problem, _order(day, calls))

    def promise(visit: str, start: int) -> TimeWindow:
        return _promised(day, visit, start, demo.day, ZoneInfo(territory.time_zone))

    wanted = {call.id for call in calls}
    too_late = len(calls) - sum(job.request.external_id in wanted for job in day.jobs.values())
    return compare(day.problem, plan, by_hand, promise, too_late=too_late), day


def _await(demo: Demo, run_id: str, on_progress: OnProgress) -> PlanRun:
    """The run when it has ended well and whole."""
    run = see_through(demo.engine, demo.settings, run_id, on_progress)
    if run.status is not PlanStatus.DONE:
        raise PlanFailed(run.error or f"the plan run {run.id} was {run.status.value}")
    assert run.result is not None
    if stale := len(run.result["skipped_stale"]):
        raise PlanFailed(
            f"{stale} moves of the plan were not applied: somebody changed these calendars meanwhile"
        )
    return run


def planned(day: WorkingDay, run: PlanRun) -> Plan:
    """The plan that a run found, from what it keeps, with times derived anew."""
    assert run.solution is not None
    assert run.result is not None
    routes = tuple(settled(day, shift, visits) for shift, visits in run.solution["routes"].items() if visits)
    known = {visit.id for visit in day.problem.visits}
    unserved = tuple(_unserved(item) for item in run.result["unassigned"] if item["appointment_id"] in known)
    plan = Plan(
        routes,
        unserved,
        engine="search",
        seed=run.seed,
        iterations=run.result["kpis"]["iterations"],
        elapsed_s=(run.progress or {}).get("elapsed_s", 0.0),
    )
    return replace(plan, objective=objective(day.problem, plan))


def _unserved(item: dict[str, Any]) -> Unserved:
    reasons, would_fit_if = (
        tuple(
            Reason(**{**fields, "technicians": tuple(fields.get("technicians", ()))}) for fields in item[name]
        )
        for name in ("reasons", "would_fit_if")
    )
    return Unserved(item["appointment_id"], item["verdict"], reasons, would_fit_if)


def _order(day: WorkingDay, calls: Sequence[Call]) -> list[str]:
    """The visits as the calls came. What a person has fixed in a calendar stands there already, and what
    is not among the calls was asked for before."""
    came = {call.id: number for number, call in enumerate(calls)}

    def turn(visit: Visit) -> tuple[bool, int]:
        job = day.jobs.get(visit.id)
        external_id = job.request.external_id if job is not None else None
        return visit.pin is None, came.get(external_id or "", -1)

    return [visit.id for visit in sorted(day.problem.visits, key=turn)]


def _promised(day: WorkingDay, visit_id: str, start: int, date_: date, zone: ZoneInfo) -> TimeWindow:
    """The window that a plan run promises for that start."""
    job = day.jobs.get(visit_id)
    if job is None:
        return TimeWindow(start, start)
    windows = requested_windows(job, slot_windows(job.service, date_, zone), local_day(date_, zone)[0])
    begin, end = window_for(job.start_of(start), windows)
    return TimeWindow(job.at_place_from(begin), job.at_place_from(end))


def save(demo: Demo, comparison: Comparison, day: WorkingDay, title: str) -> None:
    """Writes the figures with both plans as JSON, and the map."""
    from seed.map import draw_map

    demo.folder.mkdir(parents=True, exist_ok=True)
    points = [Place(place.lat, place.lon) for place in day.places]
    plans = {"our plan": comparison.plan, "by hand": comparison.plan_by_hand}
    draw_map(day.problem, plans, points, demo.map_path, title=title)
    answer = {"title": title, "organization": demo.slug, **as_json(comparison, demo.day)}
    demo.json_path.write_text(json.dumps(answer, indent=1) + "\n", encoding="utf-8")


def results_of(demo: Demo) -> dict[str, Any] | None:
    """What `save` wrote of this day, None if it is not there or the organization is not in this database."""
    with open_session(demo.engine, read_only=True) as session:
        query = (
            select(PlanRun)
            .join(Organization, col(Organization.id) == PlanRun.organization_id)
            .where(
                Organization.slug == demo.slug, PlanRun.day == demo.day, col(PlanRun.applied_at).is_not(None)
            )
        )
        if session.exec(query).first() is None or not demo.json_path.exists():
            return None
    answer: dict[str, Any] = json.loads(demo.json_path.read_text(encoding="utf-8"))
    return answer


def both_figures(answer: dict[str, Any]) -> tuple[Figures, Figures]:
    """Ours and by hand, from what `save` wrote."""
    return figures_from_json(answer["ours"]), figures_from_json(answer["by_hand"])


def links(demo: Demo, now: datetime) -> Links:
    """What opens the organization; keys are made once and kept beside the results, for their owner alone."""
    with transaction(demo.engine) as session:
        territory = _territory(session, demo.slug)
        first = session.exec(
            select(Appointment)
            .where(Appointment.territory_id == territory.id, col(Appointment.tracking_hash).is_not(None))
            .where(col(Appointment.scheduled_start) >= local_day(demo.day, ZoneInfo(territory.time_zone))[0])
            .order_by(col(Appointment.scheduled_start))
        ).first()
        return Links(
            key=_key(session, demo, territory.organization_id, now),
            freelancer_key=_freelancer_key(session, demo, territory, now),
            territory_id=territory.id,
            tracking=tracking_token(demo.settings, first) if first is not None else None,
        )


def _key(session: Session, demo: Demo, organization_id: str, now: datetime) -> str:
    kept, principal = _kept(session, demo.key_path, now)
    if principal is not None and principal.organization_id == organization_id:
        return kept
    _, plaintext = keys.issue_key(session, "dispatcher", organization_id=organization_id, now=now)
    return _keep(demo.key_path, plaintext)


def _freelancer_key(session: Session, demo: Demo, territory: Territory, now: datetime) -> str | None:
    """Made once a day, when the day's visits of whoever has most are offered to it."""
    kept, principal = _kept(session, demo.freelancer_key_path, now)
    if principal is not None and principal.role == "technician":
        return kept
    range_ = local_day(demo.day, ZoneInfo(territory.time_zone))
    visits = session.exec(
        select(Appointment)
        .where(Appointment.territory_id == territory.id, Appointment.status == Status.SCHEDULED)
        .where(col(Appointment.scheduled_start) >= range_[0], col(Appointment.scheduled_start) < range_[1])
        .order_by(col(Appointment.scheduled_start))
    ).all()
    if not visits:
        return None
    counts = Counter(visit.technician_no for visit in visits)
    chosen = max(counts, key=lambda no: (counts[no], -(no or 0)))
    for visit in visits:
        if visit.technician_no == chosen:
            terms = Terms(expires_in_s=int((range_[1] - now).total_seconds()))
            send_direct(session, demo.settings, visit, None, terms, SYSTEM, now)
    freelancer = session.get_one(Technician, chosen)
    _, plaintext = keys.issue_key(session, "technician", technician_id=freelancer.id, now=now)
    return _keep(demo.freelancer_key_path, plaintext)


def _kept(session: Session, path: Path, now: datetime) -> tuple[str, Principal | None]:
    """A key that was kept, and whom it opens the door to; None if nobody."""
    if not path.exists():
        return "", None
    kept = path.read_text(encoding="ascii").strip()
    return kept, keys.authenticate(session, kept, now)


def _keep(path: Path, plaintext: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(plaintext + "\n", encoding="ascii")
    return plaintext
