"""`/t/{token}`: a customer follows one visit, writes about it and rates it afterwards. The token alone opens it, so
nothing here asks for a key, and nothing here may be kept, indexed or told to another site."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from flask import Response, request
from pydantic import ValidationError

from api import context
from api.auth import PUBLIC, allow
from api.bodies import refusal_of
from api.location_reads import note_shown
from api.messages import NewMessage
from api.pages.followed import Followed, followed
from api.pages.languages import Language
from api.pages.leaflet import leaflet_file
from api.pages.site import pages
from api.pages.visitor import onward, switched_code, typed
from api.pages.way import Way, way_of
from api.policy import content_policy
from dispatch.access import actor_of
from dispatch.appointment import ENDED, UNDER_WAY, Status
from dispatch.confirming import is_asked
from dispatch.errors import Conflict
from dispatch.feedback import Feedback
from dispatch.links import action_token
from dispatch.message import LONGEST_TEXT, Message, Sender, latest_messages, say
from dispatch.tracking import Can, TrackingView, give_feedback, public_view

REFRESH_S = 30
LONGEST_COMMENT = 2_000
SATISFACTION = range(1, 6)
SCALES = {"ces": range(1, 8), "nps": range(11)}
"""What else may be asked after a visit, and the values that answer it."""
SHOWN = 200
"""Messages on the page, the newest."""
STAGES = (Status.EN_ROUTE, Status.ON_SITE, Status.COMPLETED)
"""After `booked` and `confirmed`."""

_STAGE: Mapping[Status, int] = {
    Status.UNASSIGNED: 0,
    Status.SCHEDULED: 0,
    Status.DISPATCHED: 1,
    **{status: number for number, status in enumerate(STAGES, 2)},
}
_FORMS: Mapping[Can, str] = {"rate": "rating", "message": "say"}
"""The form that is filled in most likely, by what can be done."""


@dataclass(frozen=True, slots=True)
class Shown:
    """The visit in a customer's words and local time."""

    headline: str
    sentence: str
    day: str | None
    window: str | None
    zone: str
    eta: str | None
    before: str | None
    way: Way | None
    rating: str | None
    is_late: bool
    stage: int | None
    steps: tuple[tuple[str, str], ...]
    refresh_s: int | None


@dataclass(frozen=True, slots=True)
class Said:
    """A message as the customer reads it."""

    who: str
    is_own: bool
    text: str
    at: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """The key of the sentence that says why a field cannot be kept, and what it names."""

    key: str
    values: Mapping[str, Any]


@pages.get("/t/<token>")
@allow(PUBLIC)
def track(token: str) -> Response:
    """What the link shows now; with `write`, standing still meanwhile. A wrong, an expired and a revoked link answer
    alike."""
    return _page(followed(token), stands_still="write" in request.args)


@pages.post("/t/<token>")
@allow(PUBLIC, raw_body=True, idempotent=False, limit="30/minute")
def rate(token: str) -> Response:
    """Keeps the rating, once; who sends it again sees that it was kept."""
    visit = followed(token)
    entered = {name: request.form.get(name, "").strip() for name in ("csat", "ces", "nps", "comment")}
    if switched_code():
        return _page(visit, entered=entered)
    refused = _refused(visit.language, entered)
    if refused:
        return _page(visit, HTTPStatus.UNPROCESSABLE_ENTITY, refused, entered)
    feedback = Feedback(
        appointment_id="",
        organization_id="",
        csat=int(entered["csat"]),
        ces=int(entered["ces"]) if entered["ces"] else None,
        nps=int(entered["nps"]) if entered["nps"] else None,
        comment=entered["comment"] or None,
        created_at=context.now(),
    )
    by = actor_of(context.principal())
    try:
        give_feedback(context.session(), context.settings(), token, feedback, by, context.now())
    except Conflict as conflict:
        if conflict.code != "feedback_given":
            raise
    return onward(visit.link("track"))


@pages.post("/t/<token>/messages")
@allow(PUBLIC, raw_body=True, idempotent=False, limit="20/minute")
def write(token: str) -> Response:
    """Adds to the thread what the customer writes."""
    visit, text = followed(token), typed("text")
    if switched_code():
        return _page(visit, entered={"text": text})
    if refusal_of(text) or not _is_message(text):
        refused = {"text": Refusal("error.message", {"most": visit.language.number(LONGEST_TEXT)})}
        return _page(visit, HTTPStatus.UNPROCESSABLE_ENTITY, refused, {"text": text})
    by = actor_of(context.principal())
    say(context.session(), visit.appointment, Sender.CUSTOMER, text, by, context.now())
    return onward(visit.link("track", _anchor="thread"))


def _is_message(text: str) -> bool:
    try:
        NewMessage(text=text)
    except ValidationError:
        return False
    return True


def _refused(language: Language, entered: Mapping[str, str]) -> dict[str, Refusal]:
    refused, comment = {}, entered["comment"]
    if entered["csat"] not in map(str, SATISFACTION):
        refused["csat"] = Refusal("error.csat", {})
    for name, scale in SCALES.items():
        if entered[name] not in {"", *map(str, scale)}:
            refused[name] = Refusal("error.scale", {})
    if len(comment) > LONGEST_COMMENT:
        most, count = language.number(LONGEST_COMMENT), language.number(len(comment))
        refused["comment"] = Refusal("error.comment", {"most": most, "count": count})
    elif refusal_of(comment):
        refused["comment"] = Refusal("error.characters", {})
    return refused


def _page(
    visit: Followed,
    status: int = HTTPStatus.OK,
    refused: Mapping[str, Refusal] | None = None,
    entered: Mapping[str, str] | None = None,
    *,
    stands_still: bool = False,
) -> Response:
    session, settings, language = context.session(), context.settings(), visit.language
    view = public_view(session, settings, visit.token, context.now())
    note_shown(view.whereabouts)
    response = visit.page(
        "tracking.html",
        status,
        presence=_presence(visit),
        view=view,
        shown=_shown(visit, view),
        said=_said(visit, latest_messages(session, visit.appointment, SHOWN)),
        stages=[language.say(f"stage.{name}") for name in ("booked", "confirmed", *STAGES)],
        ratings=[(value, language.say(f"rate.csat.{value}")) for value in reversed(SATISFACTION)],
        scales=[(name, language.say(f"rate.{name}"), _answers(language, name)) for name in SCALES],
        refused={name: language.say(why.key, **why.values) for name, why in (refused or {}).items()},
        entered=entered or {},
        stands_still=stands_still or entered,
        form_id=next((form for can, form in _FORMS.items() if can in view.can), None),
        live=visit.link("track"),
        leaflet_file=leaflet_file,
        tiles=settings.tile_url,
        attribution=settings.tile_attribution,
        longest_comment=LONGEST_COMMENT,
        longest_text=LONGEST_TEXT,
    )
    response.headers["Content-Security-Policy"] = content_policy(settings.tile_origin)
    return response


def _answers(language: Language, name: str) -> list[tuple[int, str]]:
    """The values of a scale in words, the best first."""
    scale = SCALES[name]
    ends = {scale[-1]: "most", scale[0]: "least"}
    return [
        (
            value,
            language.say(f"rate.{name}.{ends[value]}", number=language.number(value))
            if value in ends
            else language.number(value),
        )
        for value in reversed(scale)
    ]


def _presence(visit: Followed) -> str | None:
    """`confirmed` once the customer has said that somebody will be there, before that the token of the form that says
    so; None where it is not asked."""
    if not is_asked(visit.appointment, context.now()):
        return None
    confirmed = visit.appointment.customer_confirmed_at is not None
    return "confirmed" if confirmed else action_token(context.settings(), visit.appointment, "confirm")


def _said(visit: Followed, messages: Sequence[Message]) -> list[Said]:
    own, theirs = visit.language.say("messages.you"), visit.organization.name
    return [
        Said(
            own if message.sender is Sender.CUSTOMER else theirs,
            message.sender is Sender.CUSTOMER,
            message.text,
            visit.language.told_lately(message.at, visit.zone),
        )
        for message in messages
    ]


def _shown(visit: Followed, view: TrackingView) -> Shown:
    language, zone, now = visit.language, visit.zone, context.now()
    window = view.arrival_window
    day = window[0].astimezone(zone).date() if window else None
    is_ahead = view.status not in (*ENDED, *UNDER_WAY)
    live = view.status in UNDER_WAY or (is_ahead and day == now.astimezone(zone).date())
    headline, sentence = _told(language, view)
    return Shown(
        headline=headline,
        sentence=sentence,
        day=language.told_day(day) if day else None,
        window=language.told_window(window, zone) if window else None,
        zone=language.told_zone(window[0] if window else now, zone),
        eta=language.told_window(view.eta, zone) if view.eta else None,
        before=_stops(language, view.stops_before) if live and view.technician else None,
        way=way_of(visit, view),
        rating=_rating(language, view.technician.rating if view.technician else None),
        is_late=window is not None and now > window[1] and (is_ahead or view.status is Status.EN_ROUTE),
        stage=_STAGE.get(view.status),
        steps=tuple(
            (language.say(f"step.{step.status}"), language.told_lately(step.at, zone))
            for step in view.timeline
        ),
        refresh_s=REFRESH_S if live else None,
    )


def _told(language: Language, view: TrackingView) -> tuple[str, str]:
    """What stands, and what it means for whoever waits at home."""
    status = view.status
    if status is Status.UNASSIGNED:
        key = "track.searching" if view.arrival_window else "track.requested"
        return language.say(key), language.say(f"{key}_lead")
    if status is Status.SCHEDULED:
        return language.say("state.booked"), language.say("track.booked_lead")
    sentence = language.say(f"track.{status}_lead", organization=view.organization_name)
    if status in ENDED:
        return language.say(f"state.{status}"), sentence
    who = view.technician.first_name if view.technician else language.say("track.technician")
    return language.say(f"track.{status}", technician=who), sentence


def _rating(language: Language, rating: float | None) -> str | None:
    if rating is None:
        return None
    said = language.number(f"{rating:.1f}".replace(".", language.decimal))
    return language.say("track.rating", rating=said, most=language.number(SATISFACTION[-1]))


def _stops(language: Language, count: int | None) -> str | None:
    if count is None:
        return None
    return language.say("track.before", count=language.number(count)) if count else language.say("track.next")
