"""`/board`: a territory's day on one screen, for dispatchers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from http import HTTPStatus
from typing import Any
from zoneinfo import ZoneInfo

from flask import Response, redirect, request, url_for
from sqlmodel import Session, col, select

from api import context
from api.auth import PUBLIC, allow
from api.pages.languages import CODES, language_of
from api.pages.leaflet import leaflet_file
from api.pages.route_map import draw_map
from api.pages.site import page, pages
from api.pages.timeline import VisitFacts, draw_timeline
from api.pages.words import STATUS, clock, distance, duration, reason_words, remedy_words, told_day
from api.policy import content_policy
from dispatch.appointment import Appointment, Status
from dispatch.calendar import epoch
from dispatch.catalogue import Service, services
from dispatch.customer import Customer
from dispatch.day import Board, Unassigned, board
from dispatch.errors import Invalid, NotFound
from dispatch.offer_round import would_fill_if_of
from dispatch.organization import Organization
from dispatch.service_request import Priority, ServiceRequest
from dispatch.territory import Territory, territories
from optimizer import Reason

LEGEND = (
    Status.SCHEDULED,
    Status.DISPATCHED,
    Status.EN_ROUTE,
    Status.ON_SITE,
    Status.COMPLETED,
    Status.CANNOT_COMPLETE,
)


@dataclass(frozen=True, slots=True)
class Waiting:
    """An unassigned visit in words. length_s: how long it takes, as the catalogue says. fillings: of one that was offered and nobody took, what would fill it."""

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


@pages.get("/board")
@allow(PUBLIC)
def show_board() -> Response:
    """The board of a territory (`territory_id`, by default the first) and a day (`date`, by default today there)."""
    principal = context.principal()
    if principal.role != "dispatcher" or principal.organization_id is None:
        return _to_login()
    session, now = context.session(), context.now()
    own = territories(session, principal.organization_id)
    if not own:
        return page("board_empty.html")
    territory = _chosen(own, request.args.get("territory_id"))
    zone = ZoneInfo(territory.time_zone)
    today = now.astimezone(zone).date()
    day = _day(request.args.get("date"), today)
    found = board(session, context.settings(), territory, day, now)
    facts = _facts(session, found)
    settings = context.settings()
    response = page(
        "board.html",
        territories=own,
        territory=territory,
        organization=session.get_one(Organization, territory.organization_id),
        services=services(session, territory.organization_id),
        languages=[language_of(code) for code in CODES],
        leaflet_file=leaflet_file,
        tiles=settings.tile_url,
        attribution=settings.tile_attribution,
        day=day,
        now_s=epoch(now),
        day_words=told_day(day),
        today=today,
        before=_near(day, -1),
        after=_near(day, 1),
        figures=_figures(found),
        states=[(status, STATUS[status]) for status in LEGEND],
        timeline=draw_timeline(found.rows, facts, zone, day, now),
        waiting=_waiting(session, found, facts, zone),
        map=draw_map(found.rows, found.unassigned),
    )
    response.headers["Content-Security-Policy"] = content_policy(settings.tile_origin)
    return response


def _to_login() -> Response:
    wanted = request.full_path.rstrip("?")
    response = redirect(url_for("pages.login", next=wanted), HTTPStatus.SEE_OTHER)
    assert isinstance(response, Response)
    return response


def _chosen(own: Sequence[Territory], territory_id: str | None) -> Territory:
    if not territory_id:
        return own[0]
    for territory in own:
        if territory.id == territory_id:
            return territory
    raise NotFound


def _day(text: str | None, today: date) -> date:
    if not text:
        return today
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise Invalid(errors=[("date", "must be a day such as 2027-03-09")]) from error
    if not date(2000, 1, 1) <= day <= date(2199, 12, 31):
        raise Invalid(errors=[("date", "must lie between 2000 and 2199")])
    return day


def _near(day: date, days: int) -> date:
    return day + timedelta(days=days)


def _facts(session: Session, found: Board) -> dict[str, VisitFacts]:
    """By appointment, what the board says of each visit beside its times."""
    appointments = [stop.appointment for row in found.rows for stop in row.route.stops]
    appointments += [item.appointment for item in found.unassigned]
    by_request = {appointment.service_request_id: appointment.id for appointment in appointments}
    query = (
        select(
            ServiceRequest.id, Service.name, Service.buffer_before_s, Service.duration_s, Customer.name
        )
        .join(Service, col(Service.id) == ServiceRequest.service_id)
        .join(Customer, col(Customer.id) == ServiceRequest.customer_id)
        .where(col(ServiceRequest.id).in_(list(by_request)))
    )
    return {
        by_request[request_id]: VisitFacts(service, customer, buffer_before_s, duration_s)
        for request_id, service, buffer_before_s, duration_s, customer in session.exec(query)
    }


def _figures(found: Board) -> list[tuple[str, str, str]]:
    """Label, figure and what it is of."""
    kpis = found.kpis
    on_shift = kpis["technicians_on_shift"]
    return [
        ("Planned", f"{kpis['planned']}", f"of {_counted(kpis['visits'], 'visit')}"),
        ("Unassigned", f"{kpis['unassigned']}", "see why" if kpis["unassigned"] else "all placed"),
        ("Completed", f"{kpis['completed']}", f"{kpis['dispatched']} dispatched so far"),
        ("Technicians", f"{kpis['technicians_with_visits']}", f"of {on_shift} on shift have visits"),
        ("Travel", distance(kpis["travel_m"]), duration(kpis["travel_s"])),
        ("Offers open", f"{kpis['offers_pending']}", "waiting for an answer"),
    ]


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _waiting(session: Session, found: Board, facts: dict[str, VisitFacts], zone: ZoneInfo) -> list[Waiting]:
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
