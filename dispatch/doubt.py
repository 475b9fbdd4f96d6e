"""Windows that a plan may not promise: only freelancers could keep them, and by what their answers have taught it is
not likely enough that one of them accepts. The same chance withholds a slot from a customer (`dispatch.likelihood`)."""

from dataclasses import replace
from datetime import date, datetime
from zoneinfo import ZoneInfo

import numpy as np
from sqlmodel import Session

from dispatch.acceptance import chance_of_filling
from dispatch.likelihood import Likelihood
from dispatch.plan_result import promisable
from dispatch.planning import WorkingDay, settled
from dispatch.settings import Settings
from dispatch.slots import UNLIKELY
from optimizer import Insertion, Plan, PreparedRoutes, Route, Stop, Unserved
from optimizer.objective import objective


def learned_likelihood(
    session: Session, settings: Settings, day: WorkingDay, zone: ZoneInfo, now: datetime
) -> Likelihood | None:
    """For any visit of the day (`replace(..., job=...)`); None before answers have taught anything, and where nothing
    is to be promised."""
    job = next((job for job in day.jobs.values() if not job.appointment.is_promised), None)
    return None if job is None else Likelihood.learned(session, settings, job, zone, now)


def without_unlikely(day: WorkingDay, plan: Plan, likelihood: Likelihood, date_: date) -> Plan:
    """The plan less the visits that nothing is promised yet and whose window is in doubt: nobody is told to expect
    somebody who may not come, and the time stays for others. They are unserved by `UNLIKELY`, for a person to offer
    them for more, and the next plan tries again."""
    asked = [
        (route, stop) for route in plan.routes for stop in route.stops if _is_to_be_promised(day, stop.visit)
    ]
    doubtful = [(r, s) for r, s in asked if _chance_alone(day, r, s, likelihood) < likelihood.wanted]
    if not doubtful:
        return plan
    prepared = PreparedRoutes(day.problem, plan)
    unlikely: dict[str, Unserved] = {}
    for _, stop in doubtful:
        found = _who_could(day, prepared, stop, likelihood, date_)
        if _chance(day, found, stop.visit, likelihood) < likelihood.wanted:
            who = tuple(dict.fromkeys(insertion.technician for insertion in found))
            reason = replace(UNLIKELY, technicians=who)
            unlikely[stop.visit] = Unserved(stop.visit, "not_found", (reason,))
    kept = [(route, [s.visit for s in route.stops if s.visit not in unlikely]) for route in plan.routes]
    left = replace(
        plan,
        routes=tuple(settled(day, route.shift, visit_ids) for route, visit_ids in kept if visit_ids),
        unserved=(*plan.unserved, *unlikely.values()),
    )
    return replace(left, objective=objective(day.problem, left, day.plan))


def _is_to_be_promised(day: WorkingDay, visit_id: str) -> bool:
    """New to the calendars, and nothing promised."""
    return (
        visit_id in day.jobs and visit_id not in day.blocks and not day.jobs[visit_id].appointment.is_promised
    )


def _chance_alone(day: WorkingDay, route: Route, stop: Stop, likelihood: Likelihood) -> float:
    """That of whom the plan gives it to."""
    found = Insertion(
        route.shift, route.technician, 0, 0, stop.start, stop.end, stop.travel_s, stop.travel_m, 0
    )
    return _chance(day, [found], stop.visit, likelihood)


def _who_could(
    day: WorkingDay, prepared: PreparedRoutes, stop: Stop, likelihood: Likelihood, date_: date
) -> list[Insertion]:
    """In the window that would be promised, beside all else that is planned."""
    job = day.jobs[stop.visit]
    window = promisable(job, likelihood.zone, date_, job.start_of(stop.start))
    return list(prepared.recommend(stop.visit, job.windows_at_place([window])).insertions)


def _chance(day: WorkingDay, found: list[Insertion], visit_id: str, likelihood: Likelihood) -> float:
    """That one of them comes; of somebody with two shifts the better chance counts."""
    if not found:
        return 0.0
    people = [day.engagements[insertion.technician] for insertion in found]
    figures = [(i.start, i.extra_travel_s, i.extra_travel_m) for i in found]
    start, travel_s, travel_m = np.array(figures, np.int64).T
    asked = replace(likelihood, job=day.jobs[visit_id])
    best: dict[str, float] = {}
    for insertion, chance in zip(
        found,
        asked.chances(people, np.arange(len(people)), start, travel_s, travel_m).tolist(),
        strict=True,
    ):
        best[insertion.technician] = max(chance, best.get(insertion.technician, 0.0))
    return chance_of_filling(best.values())
