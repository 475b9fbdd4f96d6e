"""`/t/{token}/confirm` and `/t/{token}/move`: what the links of a reminder open. Each shows what would be done and
asks; only the form that it sends changes anything, so that a program which follows links (a mail scanner, a preview)
does not. `k` is the token of the reminder."""

from datetime import datetime
from http import HTTPStatus
from operator import attrgetter
from zoneinfo import ZoneInfo

from flask import Response, redirect, request, url_for

from api import context
from api.auth import PUBLIC, allow
from api.pages.site import page, pages
from api.pages.words import told_day, told_time
from dispatch.access import actor_of
from dispatch.appointment import Appointment
from dispatch.confirming import confirm_presence, is_asked, move_visit, other_times
from dispatch.errors import AnswerOutdated, SlotTaken
from dispatch.links import permits
from dispatch.organization import Organization
from dispatch.territory import Territory
from dispatch.tracking import tracked_appointment

LIMIT = "30/minute"


@pages.get("/t/<token>/confirm")
@allow(PUBLIC, limit=LIMIT)
def ask_presence(token: str) -> Response:
    """Asks whether somebody will be there."""
    appointment, key, now = _appointment(token), request.args.get("k", ""), context.now()
    if not is_asked(appointment, now) or not permits(context.settings(), appointment, "confirm", key, now):
        return _outdated(token)
    return page(
        "confirm.html",
        token=token,
        k=key,
        visit=_visit(appointment),
        organization_name=_organization(appointment),
    )


@pages.post("/t/<token>/confirm")
@allow(PUBLIC, raw_body=True, idempotent=False, limit=LIMIT)
def confirm(token: str) -> Response:
    """Notes that somebody will be there, and shows the visit."""
    by = actor_of(context.principal())
    key = request.form.get("k", "")
    try:
        confirm_presence(context.session(), context.settings(), token, key, by, context.now())
    except AnswerOutdated:
        return _outdated(token)
    return _to_visit(token)


@pages.get("/t/<token>/move")
@allow(PUBLIC, limit=LIMIT)
def ask_time(token: str) -> Response:
    """Shows the times that can be had."""
    return _times(token, request.args.get("k", ""))


@pages.post("/t/<token>/move")
@allow(PUBLIC, raw_body=True, idempotent=False, limit=LIMIT)
def choose_time(token: str) -> Response:
    """Moves the visit to the time that was chosen, and shows it; a time that is taken meanwhile is said to be."""
    session, key, slot_id = context.session(), request.form.get("k", ""), request.form.get("slot_id", "")
    by = actor_of(context.principal())
    if not slot_id:
        return _times(token, key, HTTPStatus.UNPROCESSABLE_ENTITY, "Choose one of the times.")
    try:
        with session.begin_nested():
            move_visit(session, context.settings(), token, key, slot_id, by, context.now())
    except AnswerOutdated:
        return _outdated(token)
    except SlotTaken:
        return _times(token, key, HTTPStatus.CONFLICT, "That time was taken a moment ago. Choose another.")
    return _to_visit(token)


def _times(token: str, key: str, status: int = HTTPStatus.OK, refused: str | None = None) -> Response:
    appointment = _appointment(token)
    try:
        found = other_times(context.session(), context.settings(), token, key, context.now())
    except AnswerOutdated:
        return _outdated(token)
    in_order = sorted(found.items, key=attrgetter("start"))
    slots = [(slot.slot_id, *_told(appointment, slot.start, slot.end)) for slot in in_order]
    return page(
        "move.html",
        status,
        token=token,
        k=key,
        visit=_visit(appointment),
        slots=slots,
        refused=refused,
        organization_name=_organization(appointment),
    )


def _appointment(token: str) -> Appointment:
    return tracked_appointment(context.session(), context.settings(), token, context.now())


def _visit(appointment: Appointment) -> tuple[str, str] | None:
    """Day and hours that are promised, in words."""
    if appointment.window_start is None or appointment.window_end is None:
        return None
    return _told(appointment, appointment.window_start, appointment.window_end)


def _told(appointment: Appointment, begins: datetime, ends: datetime) -> tuple[str, str]:
    zone = ZoneInfo(context.session().get_one(Territory, appointment.territory_id).time_zone)
    first, last = begins.astimezone(zone), ends.astimezone(zone)
    return told_day(first.date()), f"between {told_time(first)} and {told_time(last)}"


def _organization(appointment: Appointment) -> str:
    return context.session().get_one(Organization, appointment.organization_id).name


def _outdated(token: str) -> Response:
    appointment = _appointment(token)
    return page(
        "answer_outdated.html", HTTPStatus.GONE, token=token, organization_name=_organization(appointment)
    )


def _to_visit(token: str) -> Response:
    response = redirect(url_for("pages.track", token=token), HTTPStatus.SEE_OTHER)
    assert isinstance(response, Response)
    return response
