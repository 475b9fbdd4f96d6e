"""What the board says beside its drawings: figures, what is left to assign and why, and what wants a dispatcher."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlmodel import Session

from api.pages.languages import language_of
from api.pages.timeline import VisitFacts
from api.pages.words import clock, distance, duration, reason_words, remedy_words
from dispatch.alerts import Alert, AlertKind, Repair
from dispatch.appointment import Appointment
from dispatch.board import Board, Unassigned
from dispatch.offer_round import would_fill_if_of
from dispatch.organization import Organization
from dispatch.service_request import Priority
from optimizer import Reason

ALERTS: Mapping[AlertKind, str] = {
    AlertKind.NO_SHOW: "No-show",
    AlertKind.PROMISE_BROKEN: "Promise broken",
    AlertKind.OVERDUE: "Not set out",
    AlertKind.LATE: "Late",
    AlertKind.UNFILLED: "Nobody took it",
    AlertKind.COUNTER_OFFER: "Another pay asked",
    AlertKind.MESSAGE_FAILED: "Customer not told",
}


@dataclass(frozen=True, slots=True)
class Waiting:
    """An unassigned visit in words. length_s: how long it takes, as the catalogue says. fillings: of one that was
    offered and nobody took, what would fill it."""

    id: str
    length_s: int
    facts: VisitFacts
    address: str | None
    priority: Priority
    wanted: str
    fits: int
    reasons: tuple[str, ...]
    remedies: tuple[str, ...]
    fillings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Attention:
    """An alert in words. visit: the id of the one that it is about. repair: as `POST /v1/repairs` takes it."""

    kind: AlertKind
    title: str
    about: str | None
    visit: str | None
    detail: str
    since: str
    repair: dict[str, str] | None


def alerts(found: Board, facts: Mapping[str, VisitFacts], zone: ZoneInfo, day: date) -> list[Attention]:
    """The most urgent first."""
    names = {row.technician.id: row.technician.name for row in found.rows}
    return [
        Attention(
            kind=alert.kind,
            title=ALERTS[alert.kind],
            about=_about(alert, facts, names),
            visit=alert.appointment_id,
            detail=alert.detail,
            since=_since(alert.since.astimezone(zone), day),
            repair=_repair(alert.repair),
        )
        for alert in found.alerts
    ]


def _about(alert: Alert, facts: Mapping[str, VisitFacts], names: Mapping[str, str]) -> str | None:
    visit = facts.get(alert.appointment_id or "")
    said = [f"{visit.service}, {visit.customer}" if visit else None, names.get(alert.technician_id or "")]
    return " · ".join(each for each in said if each) or None


def _since(local: datetime, day: date) -> str:
    return clock(local) if local.date() == day else f"{local:%a} {clock(local)}"


def _repair(repair: Repair | None) -> dict[str, str] | None:
    if repair is None:
        return None
    named = {"technician_id": repair.technician_id, "appointment_id": repair.appointment_id}
    return {"kind": repair.kind} | {name: id_ for name, id_ in named.items() if id_ is not None}


def figures(found: Board) -> list[tuple[str, str, str]]:
    """Label, figure and what it is of."""
    kpis = found.kpis
    on_shift = kpis["technicians_on_shift"]
    return [
        ("Planned", f"{kpis['planned']}", f"of {_counted(kpis['visits'], 'visit')}"),
        ("Unassigned", f"{kpis['unassigned']}", "see why" if kpis["unassigned"] else "all placed"),
        ("Completed", f"{kpis['completed']}", f"{kpis['dispatched']} dispatched"),
        ("Technicians", f"{kpis['technicians_with_visits']}", f"of {on_shift} on shift"),
        ("Travel", distance(kpis["travel_m"]), duration(kpis["travel_s"])),
        ("Expected late", f"{kpis['late']}", "past the window"),
        ("Offers open", f"{kpis['offers_pending']}", "unanswered"),
    ]


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def waiting(session: Session, found: Board, facts: Mapping[str, VisitFacts], zone: ZoneInfo) -> list[Waiting]:
    """The most urgent first."""
    names = {row.technician.id: row.technician.name for row in found.rows}
    would_fill = would_fill_if_of(session, [item.appointment for item in found.unassigned])
    ranked = sorted(found.unassigned, key=lambda item: -item.request.priority.rank)
    return [
        Waiting(
            id=item.appointment.id,
            length_s=facts[item.appointment.id].duration_s,
            facts=facts[item.appointment.id],
            address=item.request.address,
            priority=item.request.priority,
            wanted=_wanted(item, zone),
            fits=item.fits,
            reasons=tuple(reason_words(reason, names) for reason in item.reasons),
            remedies=tuple(remedy_words(reason, names) for reason in item.would_fit_if),
            fillings=tuple(
                _filling(session, fact, item.appointment, names)
                for fact in would_fill.get(item.appointment.id, ())
            ),
        )
        for item in ranked
    ]


def _filling(session: Session, fact: dict[str, Any], visit: Appointment, names: dict[str, str]) -> str:
    if fact["code"] == "pay":
        currency = session.get_one(Organization, visit.organization_id).currency
        pay = language_of("en").told_money(fact["pay_cents"], currency)
        return f"It would likely be taken for {pay}."
    technicians = tuple(fact.get("technicians", ()))
    return remedy_words(Reason(fact["code"], fact["detail"], technicians, fact.get("by")), names)


def _wanted(item: Unassigned, zone: ZoneInfo) -> str:
    appointment, asked = item.appointment, item.request
    if appointment.window_start is not None and appointment.window_end is not None:
        return f"Promised {_range(appointment.window_start, appointment.window_end, zone)}"
    if asked.earliest_start is not None and asked.due is not None:
        return f"Wanted {_range(asked.earliest_start, asked.due, zone)}"
    if asked.due is not None:
        return f"Due by {_local(asked.due, zone)}"
    if asked.earliest_start is not None:
        return f"From {_local(asked.earliest_start, zone)}"
    return "Any time"


def _range(begins: datetime, ends: datetime, zone: ZoneInfo) -> str:
    """The day is said twice only where they are two."""
    one_day = begins.astimezone(zone).date() == ends.astimezone(zone).date()
    return f"{_local(begins, zone)}–{clock(ends.astimezone(zone)) if one_day else _local(ends, zone)}"


def _local(instant: datetime, zone: ZoneInfo) -> str:
    local = instant.astimezone(zone)
    return f"{local:%a} {clock(local)}"
