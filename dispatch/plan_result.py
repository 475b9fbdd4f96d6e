"""What a plan run answers: what it moves and from where, what it keeps, assigns and leaves out and why, in the form in
which the run keeps it and clients read it."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from dispatch.appointment import Status
from dispatch.booking import promised_window, window_fields
from dispatch.instants import instant_told
from dispatch.planning import (
    NO_TIME_LEFT,
    Job,
    Window,
    WorkingDay,
    reason_fields,
    requested_windows,
    slot_windows,
    window_for,
)
from dispatch.settling import Stands
from dispatch.shift import local_day
from optimizer import Plan
from optimizer.objective import objective

CHANGES = ("moved", "assigned")
"""The lists of a result that applying it writes."""

Item = dict[str, Any]


def promisable(job: Job, zone: ZoneInfo, day: date, start: datetime) -> Window:
    """The window of the slot grid to promise for a planned start."""
    return window_for(
        start, requested_windows(job, slot_windows(job.service, day, zone), local_day(day, zone)[0])
    )


def result_of(
    day: WorkingDay, plan: Plan, hopeless: Iterable[Job], zone: ZoneInfo, date_: date
) -> dict[str, Any]:
    """The lists `moved`, `kept`, `assigned` and `unassigned`, the objective by term before and after, and the figures
    of the plan. What stands in a calendar says `before`, where the plan changes that."""
    stands = day.stands
    result: dict[str, Any] = {"moved": [], "kept": [], "assigned": [], "skipped_stale": []}
    for route in plan.routes:
        for stop in route.stops:
            if stop.visit in day.jobs:
                kind = _kind(stands.get(stop.visit), (route.technician, stop.start))
                item = _item(day.jobs[stop.visit], route.technician, stop.start, zone, date_)
                result[kind].append(
                    item | (before_fields(day, stands, stop.visit) if kind == "moved" else {})
                )
    result["unassigned"] = [
        {
            "appointment_id": unserved.visit,
            "verdict": unserved.verdict,
            "reasons": [reason_fields(reason) for reason in unserved.reasons],
            "would_fit_if": [reason_fields(reason) for reason in unserved.would_fit_if],
        }
        | before_fields(day, stands, unserved.visit)
        for unserved in plan.unserved
        if unserved.visit in day.jobs
    ] + [
        {
            "appointment_id": job.appointment.id,
            "verdict": "impossible",
            "reasons": [reason_fields(NO_TIME_LEFT)],
            "would_fit_if": [],
        }
        for job in hopeless
    ]
    result["objective"] = dict(plan.objective)
    result["objective_before"] = dict(objective(day.problem, day.plan))
    result["kpis"] = {
        "served": sum(len(result[kind]) for kind in ("moved", "kept", "assigned")),
        "unserved": len(result["unassigned"]),
        "technicians": len({route.technician for route in plan.routes}),
        "travel_s": sum(route.travel_s for route in plan.routes),
        "travel_m": sum(route.travel_m for route in plan.routes),
        "cost_cents": plan.cost_cents,
        "iterations": plan.iterations,
    }
    return result


def before_fields(day: WorkingDay, stands: Stands, visit_id: str) -> Item:
    """`before`: with whom and when a visit stands in a calendar; nothing for one that stands in none. technician_id is
    None where that is somebody who works for the organization no more."""
    if visit_id not in stands:
        return {}
    technician_id, work_from = stands[visit_id]
    start = instant_told(day.jobs[visit_id].start_of(work_from))
    return {"before": {"technician_id": technician_id, "scheduled_start": start}}


def _kind(before: tuple[str | None, int] | None, after: tuple[str, int]) -> str:
    if before is None:
        return "assigned"
    return "kept" if before == after else "moved"


def _item(job: Job, technician_id: str, start: int, zone: ZoneInfo, date_: date) -> Item:
    begins, appointment = job.start_of(start), job.appointment
    if appointment.is_promised:
        window = promised_window(appointment)
    elif appointment.status is Status.UNASSIGNED:
        window = promisable(job, zone, date_, begins)
    else:
        window = begins, begins + timedelta(seconds=job.service.arrival_window_s)
    return {
        "appointment_id": appointment.id,
        "technician_id": technician_id,
        "scheduled_start": instant_told(begins),
        "arrival_window": window_fields(window),
    }


def technicians_of(item: Mapping[str, Any]) -> set[str]:
    """Whose calendars an item of the result changes."""
    before = item.get("before") or {}
    return {id_ for id_ in (item.get("technician_id"), before.get("technician_id")) if id_ is not None}


def changes_of(result: Mapping[str, Any]) -> list[Item]:
    """What applying it writes: what is moved or assigned, and what loses its technician."""
    lost = [item for item in result["unassigned"] if "before" in item]
    return [item for kind in CHANGES for item in result[kind]] + lost


def visits_of(result: Mapping[str, Any]) -> set[str]:
    """The ids of all appointments that the result speaks of."""
    kinds = ("moved", "kept", "assigned", "unassigned", "skipped_stale")
    return {item["appointment_id"] for kind in kinds for item in result[kind]}


def with_stale(result: Mapping[str, Any], stale: set[str]) -> dict[str, Any]:
    """Moves to these technicians go to `skipped_stale`: their group had changed, and they were not written."""
    told = dict(result)
    for kind in CHANGES:
        told[kind] = [item for item in result[kind] if item["technician_id"] not in stale]
        told["skipped_stale"] = told["skipped_stale"] + [
            item for item in result[kind] if item["technician_id"] in stale
        ]
    return told
