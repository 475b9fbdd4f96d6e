"""`/t/{token}/confirm` and `/t/{token}/move`: what the links of a reminder open. Each shows what would be done and
asks; only the form that it sends changes anything, so that a program which follows links (a mail scanner, a preview)
does not. `k` is the token of the reminder."""

from http import HTTPStatus
from itertools import groupby
from operator import attrgetter
from typing import Any

from flask import Response, request

from api import context
from api.auth import PUBLIC, allow
from api.pages.followed import Followed, followed
from api.pages.site import pages
from api.pages.visitor import onward
from dispatch.access import actor_of
from dispatch.booking import promised_window
from dispatch.confirming import confirm_presence, is_asked, move_visit, other_times
from dispatch.errors import AnswerOutdated, InvalidSlot, SlotExpired, SlotTaken
from dispatch.links import permits
from dispatch.slots import Slots

LIMIT = "30/minute"


@pages.get("/t/<token>/confirm")
@allow(PUBLIC, limit=LIMIT)
def ask_presence(token: str) -> Response:
    """Asks whether somebody will be there."""
    visit, key, now = followed(token), request.args.get("k", ""), context.now()
    appointment = visit.appointment
    if not is_asked(appointment, now) or not permits(context.settings(), appointment, "confirm", key, now):
        return _outdated(visit)
    return _page(visit, "confirm.html", "ask_presence", key)


@pages.post("/t/<token>/confirm")
@allow(PUBLIC, raw_body=True, idempotent=False, limit=LIMIT)
def confirm(token: str) -> Response:
    """Notes that somebody will be there, and shows the visit."""
    visit, key, by = followed(token), request.form.get("k", ""), actor_of(context.principal())
    try:
        confirm_presence(context.session(), context.settings(), token, key, by, context.now())
    except AnswerOutdated:
        return _outdated(visit)
    return onward(visit.link("track"))


@pages.get("/t/<token>/move")
@allow(PUBLIC, limit=LIMIT)
def ask_time(token: str) -> Response:
    """Shows the times that can be had."""
    return _times(followed(token), request.args.get("k", ""))


@pages.post("/t/<token>/move")
@allow(PUBLIC, raw_body=True, idempotent=False, limit=LIMIT)
def choose_time(token: str) -> Response:
    """Moves the visit to the time that was chosen, and shows it; a time that is taken meanwhile is said to be."""
    visit, by = followed(token), actor_of(context.principal())
    session, key, slot_id = context.session(), request.form.get("k", ""), request.form.get("slot_id", "")
    if not slot_id:
        return _times(visit, key, HTTPStatus.UNPROCESSABLE_ENTITY, "error.slot")
    try:
        with session.begin_nested():
            move_visit(session, context.settings(), token, key, slot_id, by, context.now())
    except AnswerOutdated:
        return _outdated(visit)
    except SlotTaken:
        return _times(visit, key, HTTPStatus.CONFLICT, "slots.taken")
    except (InvalidSlot, SlotExpired) as old:
        return _times(visit, key, old.status, "slots.expired")
    return onward(visit.link("track"))


def _times(visit: Followed, key: str, status: int = HTTPStatus.OK, refused: str | None = None) -> Response:
    try:
        found = other_times(context.session(), context.settings(), visit.token, key, context.now())
    except AnswerOutdated:
        return _outdated(visit)
    first = found.items[0].start if found.items else context.now()
    return _page(
        visit,
        "move.html",
        "ask_time",
        key,
        status,
        days=_days(visit, found),
        zone=visit.language.told_zone(first, visit.zone),
        refused=refused,
    )


def _days(visit: Followed, found: Slots) -> list[tuple[str, list[tuple[str, str]]]]:
    """Each local day in words, with the ids of its slots and their hours."""
    language, zone = visit.language, visit.zone
    in_order = sorted(found.items, key=attrgetter("start"))
    return [
        (
            language.told_day(day),
            [(slot.slot_id, language.told_window((slot.start, slot.end), zone)) for slot in slots],
        )
        for day, slots in groupby(in_order, lambda slot: slot.start.astimezone(zone).date())
    ]


def _page(
    visit: Followed, template: str, view: str, key: str, status: int = HTTPStatus.OK, **values: Any
) -> Response:
    """The page of the view, which the token of the reminder opens in other languages too."""
    stands = promised_window(visit.appointment) if visit.appointment.is_promised else None
    return visit.page(
        template,
        status,
        here=visit.plain_link(view, k=key),
        k=key,
        stands=visit.language.told_visit(stands, visit.zone) if stands else None,
        visit=visit.link("track"),
        **values,
    )


def _outdated(visit: Followed) -> Response:
    return visit.page("answer_outdated.html", HTTPStatus.GONE, visit=visit.link("track"))
