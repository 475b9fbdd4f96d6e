"""`/t/{token}`: a customer follows one visit, writes about it and rates it afterwards. The token alone opens it, so
nothing here asks for a key, and nothing here may be kept, indexed or told to another site."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from zoneinfo import ZoneInfo

from flask import Response, redirect, request, url_for
from pydantic import ValidationError

from api import context
from api.auth import PUBLIC, allow
from api.bodies import refusal_of
from api.messages import NewMessage
from api.pages.site import page, pages
from api.pages.words import distance, told_day, told_time, zone_name
from dispatch.access import actor_of
from dispatch.appointment import ENDED, UNDER_WAY, Status
from dispatch.confirming import is_asked
from dispatch.errors import Conflict
from dispatch.feedback import Feedback
from dispatch.links import action_token
from dispatch.message import LONGEST_TEXT, Message, Sender, latest_messages, say
from dispatch.planning import travel_provider
from dispatch.service_request import ServiceRequest
from dispatch.tracking import TrackingView, give_feedback, public_view, tracked_appointment
from optimizer.travel import Place

REFRESH_S = 30
LONGEST_COMMENT = 2_000
STAGES = ("Booked", "Confirmed", "On the way", "Arrived", "Done")
RATINGS = ((1, "Very bad"), (2, "Bad"), (3, "All right"), (4, "Good"), (5, "Very good"))
EASE = ((7, "7, very easy"), *((value, f"{value}") for value in range(6, 1, -1)), (1, "1, very hard"))
LIKELIHOOD = ((10, "10, certainly"), *((value, f"{value}") for value in range(9, 0, -1)), (0, "0, never"))
SCALES = (
    ("ces", "How easy was it to have this done?", EASE),
    ("nps", "How likely would you recommend us?", LIKELIHOOD),
)
SHOWN = 200
"""Messages on the page, the newest."""

_STAGE: Mapping[Status, int] = {
    Status.UNASSIGNED: 0,
    Status.SCHEDULED: 0,
    Status.DISPATCHED: 1,
    Status.EN_ROUTE: 2,
    Status.ON_SITE: 3,
    Status.COMPLETED: 4,
}
_STEPS: Mapping[str, str] = {
    "unassigned": "Looking for another technician",
    "scheduled": "Booked",
    "dispatched": "Technician confirmed",
    "en_route": "On the way to you",
    "on_site": "Arrived",
    "completed": "Done",
    "cannot_complete": "Could not be completed",
    "cancelled": "Cancelled",
}


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
    away: str | None
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


@pages.get("/t/<token>")
@allow(PUBLIC)
def track(token: str) -> Response:
    """What the link shows now; with `write`, standing still meanwhile. A wrong, an expired and a revoked link answer
    alike."""
    return _page(token, stands_still="write" in request.args)


@pages.post("/t/<token>")
@allow(PUBLIC, raw_body=True, idempotent=False, limit="30/minute")
def rate(token: str) -> Response:
    """Keeps the rating, once; who sends it again sees that it was kept."""
    entered = {name: request.form.get(name, "").strip() for name in ("csat", "ces", "nps", "comment")}
    refused = _refused(entered)
    if refused:
        return _page(token, HTTPStatus.UNPROCESSABLE_ENTITY, refused, entered)
    feedback = Feedback(
        appointment_id="",
        organization_id="",
        csat=int(entered["csat"]),
        ces=int(entered["ces"]) if entered["ces"] else None,
        nps=int(entered["nps"]) if entered["nps"] else None,
        comment=entered["comment"] or None,
        created_at=context.now(),
    )
    try:
        give_feedback(
            context.session(),
            context.settings(),
            token,
            feedback,
            actor_of(context.principal()),
            context.now(),
        )
    except Conflict as conflict:
        if conflict.code != "feedback_given":
            raise
    return _back_to(token)


@pages.post("/t/<token>/messages")
@allow(PUBLIC, raw_body=True, idempotent=False, limit="20/minute")
def write(token: str) -> Response:
    """Adds to the thread what the customer writes."""
    session, now = context.session(), context.now()
    appointment = tracked_appointment(session, context.settings(), token, now)
    text = request.form.get("text", "").replace("\r\n", "\n").strip()
    if refusal_of(text) or not _is_message(text):
        refused = {"text": f"Write something, within {LONGEST_TEXT} characters."}
        return _page(token, HTTPStatus.UNPROCESSABLE_ENTITY, refused, {"text": text})
    say(session, appointment, Sender.CUSTOMER, text, actor_of(context.principal()), now)
    return _back_to(token, anchor="thread")


def _is_message(text: str) -> bool:
    try:
        NewMessage(text=text)
    except ValidationError:
        return False
    return True


def _back_to(token: str, anchor: str | None = None) -> Response:
    response = redirect(url_for("pages.track", token=token, _anchor=anchor), HTTPStatus.SEE_OTHER)
    assert isinstance(response, Response)
    return response


def _refused(entered: Mapping[str, str]) -> dict[str, str]:
    refused, comment = {}, entered["comment"]
    if entered["csat"] not in {str(value) for value, _ in RATINGS}:
        refused["csat"] = "Choose one of the five answers."
    for name, scale in (("ces", EASE), ("nps", LIKELIHOOD)):
        if entered[name] not in {"", *(str(value) for value, _ in scale)}:
            refused[name] = "Choose one of the answers, or none."
    if len(comment) > LONGEST_COMMENT:
        refused["comment"] = f"Keep it within {LONGEST_COMMENT} characters; these are {len(comment)}."
    elif refusal_of(comment):
        refused["comment"] = "There are characters in it that cannot be kept."
    return refused


def _page(
    token: str,
    status: int = HTTPStatus.OK,
    refused: Mapping[str, str] | None = None,
    entered: Mapping[str, str] | None = None,
    *,
    stands_still: bool = False,
) -> Response:
    session, settings, now = context.session(), context.settings(), context.now()
    view = public_view(session, settings, token, now)
    return page(
        "tracking.html",
        status,
        token=token,
        presence=_presence(token),
        view=view,
        shown=_shown(view, _away_m(view, token), now),
        said=_said(latest_messages(session, tracked_appointment(session, settings, token, now), SHOWN), view),
        stages=STAGES,
        ratings=RATINGS,
        scales=SCALES,
        refused=refused or {},
        entered=entered or {},
        stands_still=stands_still or refused,
        longest_comment=LONGEST_COMMENT,
        longest_text=LONGEST_TEXT,
    )


def _presence(token: str) -> str | None:
    """`confirmed` once the customer has said that somebody will be there, before that the token of the form that says
    so; None where it is not asked."""
    settings, now = context.settings(), context.now()
    appointment = tracked_appointment(context.session(), settings, token, now)
    if not is_asked(appointment, now):
        return None
    confirmed = appointment.customer_confirmed_at is not None
    return "confirmed" if confirmed else action_token(settings, appointment, "confirm")


def _said(messages: Sequence[Message], view: TrackingView) -> list[Said]:
    zone = ZoneInfo(view.time_zone)
    return [
        Said(
            "You" if message.sender is Sender.CUSTOMER else view.organization_name,
            message.sender is Sender.CUSTOMER,
            message.text,
            _moment(message.at.astimezone(zone)),
        )
        for message in messages
    ]


def _away_m(view: TrackingView, token: str) -> int | None:
    """How far the technician has to go, by the travel that plans are made with; None where no position is shown."""
    if view.position is None:
        return None
    session, settings = context.session(), context.settings()
    appointment = tracked_appointment(session, settings, token, context.now())
    asked = session.get_one(ServiceRequest, appointment.service_request_id)
    places = [Place(view.position.lat, view.position.lon), Place(asked.lat, asked.lon)]
    return int(travel_provider(settings).matrix(places).distance_m[0, 1])


def _shown(view: TrackingView, away_m: int | None, now: datetime) -> Shown:
    zone = ZoneInfo(view.time_zone)
    window = view.arrival_window
    starts = window[0].astimezone(zone) if window else None
    is_ahead = view.status not in (*ENDED, *UNDER_WAY)
    today = now.astimezone(zone).date()
    live = view.status in UNDER_WAY or (is_ahead and starts is not None and starts.date() == today)
    headline, sentence = _told(view)
    return Shown(
        headline=headline,
        sentence=sentence,
        day=told_day(starts.date()) if starts else None,
        window=_between(window, zone) if window else None,
        zone=zone_name(starts or now.astimezone(zone), view.time_zone),
        eta=_between(view.eta, zone) if view.eta else None,
        before=_stops(view.stops_before) if live and view.technician else None,
        away=distance(away_m) if away_m is not None else None,
        is_late=window is not None and now > window[1] and (is_ahead or view.status is Status.EN_ROUTE),
        stage=_STAGE.get(view.status),
        steps=tuple((_STEPS[step.status], _moment(step.at.astimezone(zone))) for step in view.timeline),
        refresh_s=REFRESH_S if live else None,
    )


def _told(view: TrackingView) -> tuple[str, str]:
    """What stands, and what it means for whoever waits at home."""
    who = view.technician.first_name if view.technician else "Your technician"
    match view.status:
        case Status.UNASSIGNED if view.arrival_window is None:
            return "Your request has arrived", "We will tell you when somebody comes."
        case Status.UNASSIGNED:
            return "We are finding a technician", "The time that we promised you stands."
        case Status.SCHEDULED:
            return "Your visit is booked", "You will see here who comes as soon as that is settled."
        case Status.DISPATCHED:
            return f"{who} will come to you", "You can follow the way here on the day."
        case Status.EN_ROUTE:
            return f"{who} is on the way", "Please be at home and reachable."
        case Status.ON_SITE:
            return f"{who} has arrived", "The work at your place has begun."
        case Status.COMPLETED:
            return "Your visit is done", "Thank you for having us."
        case Status.CANNOT_COMPLETE:
            return "The visit could not be completed", f"Please ask {view.organization_name} for a new time."
        case Status.CANCELLED:
            return "This visit was cancelled", f"If that surprises you, ask {view.organization_name}."


def _between(interval: tuple[datetime, datetime], zone: ZoneInfo) -> str:
    begins, ends = (told_time(instant.astimezone(zone)) for instant in interval)
    return f"between {begins} and {ends}"


def _stops(count: int | None) -> str | None:
    if count is None:
        return None
    if count == 0:
        return "You are next."
    return "One visit comes before yours." if count == 1 else f"{count} visits come before yours."


def _moment(at: datetime) -> str:
    return f"{at.day} {at:%b}, {told_time(at)}"
