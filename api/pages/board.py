"""`/board`: a territory's day on one screen, for dispatchers."""

from collections.abc import Sequence
from datetime import date, timedelta
from http import HTTPStatus
from zoneinfo import ZoneInfo

from flask import Response, redirect, request, url_for
from sqlmodel import Session, col, select

from api import context
from api.auth import PUBLIC, allow
from api.location_reads import note_shown
from api.pages.board_words import alerts, figures, waiting
from api.pages.languages import CODES, language_of
from api.pages.leaflet import leaflet_file
from api.pages.route_map import draw_map
from api.pages.site import page, pages
from api.pages.timeline import VisitFacts, draw_timeline
from api.pages.words import STATUS, told_day
from api.policy import content_policy
from dispatch.appointment import Status
from dispatch.board import Board, board, located
from dispatch.calendar import epoch
from dispatch.catalogue import Service, services
from dispatch.customer import Customer
from dispatch.errors import Invalid, NotFound
from dispatch.organization import Organization
from dispatch.service_request import ServiceRequest
from dispatch.territory import Territory, territories

LEGEND = (
    Status.SCHEDULED,
    Status.DISPATCHED,
    Status.EN_ROUTE,
    Status.ON_SITE,
    Status.COMPLETED,
    Status.CANNOT_COMPLETE,
)


@pages.get("/board")
@allow(PUBLIC)
def show_board() -> Response:
    """The board of a territory (`territory_id`, by default the first) and a day (`date`, by default today there)."""
    principal = context.principal()
    if principal.role != "dispatcher" or principal.organization_id is None:
        return to_login()
    session, now = context.session(), context.now()
    own = territories(session, principal.organization_id)
    if not own:
        return page("board_empty.html")
    territory = _chosen(own, request.args.get("territory_id"))
    zone = ZoneInfo(territory.time_zone)
    today = now.astimezone(zone).date()
    day = _day(request.args.get("date"), today)
    found = board(session, context.settings(), territory, day, now)
    note_shown(*located(found))
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
        figures=figures(found),
        states=[(status, STATUS[status]) for status in LEGEND],
        timeline=draw_timeline(found.rows, facts, found.expected, zone, day, now),
        waiting=waiting(session, found, facts, zone),
        alerts=alerts(found, facts, zone, day),
        map=draw_map(found.rows, found.unassigned),
    )
    response.headers["Content-Security-Policy"] = content_policy(settings.tile_origin)
    return response


def to_login() -> Response:
    """For who is no dispatcher, or nobody yet; it leads back here."""
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
        select(ServiceRequest.id, Service, Customer.name)
        .join(Service, col(Service.id) == ServiceRequest.service_id)
        .join(Customer, col(Customer.id) == ServiceRequest.customer_id)
        .where(col(ServiceRequest.id).in_(list(by_request)))
    )
    return {
        by_request[request_id]: VisitFacts(
            service.name, customer, service.buffer_before_s, service.duration_s
        )
        for request_id, service, customer in session.exec(query)
    }
