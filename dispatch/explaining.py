"""What a plan that was applied decided about freelancers and partners: which visits it gave them and took away.

A visit that it only moved in time is no decision about anybody. Travel is rounded as beside another organization's
visit: a dispatcher who answers a review reads it too.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from dispatch.calendar import discreet
from dispatch.decision import Outcome, note
from dispatch.planning import WorkingDay
from optimizer import Plan, Stop

Fact = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Facts:
    """What is told of a visit that was taken and given to another, that was left with nobody, and that was given."""

    taken: Fact
    dropped: Fact
    given: Fact


OF_A_PLAN = Facts(
    taken={"code": "plan", "detail": "The plan of the day costs less with this visit elsewhere."},
    dropped={"code": "plan", "detail": "The plan of the day found nobody who can keep it."},
    given={"code": "plan", "detail": "Of all who could come, the plan of the day costs least so."},
)


def holders(day: WorkingDay) -> dict[str, int]:
    """Who has which visit, by technician number, before a plan is written."""
    return {visit_id: block.technician_no for visit_id, block in day.blocks.items()}


def note_moves(
    session: Session,
    day: WorkingDay,
    before: Mapping[str, int],
    plan: Plan,
    visit_ids: Collection[str],
    now: datetime,
    facts: Facts = OF_A_PLAN,
) -> None:
    """Of the visits that the plan could give to somebody else. plan: what was written, for some technicians. before:
    see `holders`."""
    given = {stop.visit: (route.technician, stop) for route in plan.routes for stop in route.stops}
    id_of = {technician.no: id_ for id_, technician in day.technicians.items()}
    for visit_id in sorted(visit_ids):
        holder = id_of.get(before.get(visit_id))
        to, stop = given.get(visit_id, (None, None))
        if to == holder:
            continue
        _note(session, day, visit_id, holder, Outcome.UNASSIGNED, facts.taken if stop else facts.dropped, now)
        _note(session, day, visit_id, to, Outcome.ASSIGNED, _given(facts.given, stop), now)


def _note(
    session: Session,
    day: WorkingDay,
    visit_id: str,
    technician_id: str | None,
    outcome: Outcome,
    fact: Fact,
    now: datetime,
) -> None:
    """About nobody, and about employees, there is nothing to tell."""
    if technician_id is None or not day.engagements[technician_id].kind.is_asked:
        return
    no = day.technicians[technician_id].no
    assert no is not None
    organization_id = day.jobs[visit_id].appointment.organization_id
    note(session, organization_id, visit_id, no, outcome, [fact], now)


def _given(fact: Fact, stop: Stop | None) -> Fact:
    if stop is None:
        return fact
    travel_s, travel_m = discreet(stop.travel_s, stop.travel_m)
    return {**fact, "travel_s": travel_s, "travel_m": travel_m}
