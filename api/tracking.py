"""Tracking: what anyone with a visit's link may see and say of it."""

from typing import Literal, Self

from flask import Response, current_app
from pydantic import Field

from api import context
from api.auth import PUBLIC, allow
from api.location_reads import location_reads_of, note_shown
from api.messages import MessageOut, MessagePage, NewMessage, answer_said, answer_thread
from api.openapi import resource
from api.pagination import PageQuery
from api.render import answer
from api.schemas import Answer, Body, Instant, Note, Path, PlaceOut, Window, absent, example
from api.streaming import MEDIA_TYPE, Look, Version, streams_of
from dispatch.access import actor_of
from dispatch.appointment import Appointment, Status
from dispatch.database import available, open_session
from dispatch.events import Actor
from dispatch.feedback import Feedback
from dispatch.location_read import LocationReads
from dispatch.message import Sender
from dispatch.tracking import (
    TrackingView,
    give_feedback,
    public_view,
    tracked_appointment,
    view_version,
)

tracking = resource("tracking", "One visit, for whoever has its link.")

STREAM = {
    "description": "Events `update`, each with the JSON of the view.",
    "content": {MEDIA_TYPE: {"schema": {"type": "string"}}},
}

LIMIT = "120/minute"
HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex",
}


class TrackingPath(Path):
    """The token of the link."""

    tracking_token: str


class TimelineEntry(Answer):
    """When the visit came into a state."""

    status: str
    at: Instant


class TrackedTechnician(Answer):
    """Who comes, from the moment that this is certain."""

    first_name: str
    photo_url: str | None = Field(None, exclude_if=absent)
    rating: float | None = Field(None, exclude_if=absent)
    vehicle: str | None = Field(None, exclude_if=absent)


class TrackingOut(Answer):
    """The public view. eta: on the day only. position: only while the technician is on the way to this customer. can:
    `message` until the visit is completed or cancelled, `rate` once after it is completed."""

    status: Status
    timeline: list[TimelineEntry]
    time_zone: str
    service_name: str
    organization_name: str
    arrival_window: Window | None
    eta: Window | None
    stops_before: int | None
    technician: TrackedTechnician | None
    position: PlaceOut | None
    can: list[Literal["message", "rate"]]

    @classmethod
    def of(cls, view: TrackingView) -> Self:
        """Built from the view."""
        return cls(
            status=view.status,
            timeline=[TimelineEntry.model_validate(step) for step in view.timeline],
            time_zone=view.time_zone,
            service_name=view.service_name,
            organization_name=view.organization_name,
            arrival_window=_window(view.arrival_window),
            eta=_window(view.eta),
            stops_before=view.stops_before,
            technician=TrackedTechnician.model_validate(view.technician) if view.technician else None,
            position=PlaceOut.model_validate(view.position) if view.position else None,
            can=list(view.can),
        )


def _window(interval: tuple[Instant, Instant] | None) -> Window | None:
    return Window(start=interval[0], end=interval[1]) if interval else None


class NewFeedback(Body):
    """csat: how satisfied, 1 to 5. ces: how easy it was, 1 to 7. nps: how likely to recommend, 0 to 10."""

    model_config = example({"csat": 5, "nps": 9, "comment": "On time."})

    csat: int = Field(ge=1, le=5)
    ces: int | None = Field(None, ge=1, le=7)
    nps: int | None = Field(None, ge=0, le=10)
    comment: Note | None = None


class FeedbackOut(Answer):
    """What was said."""

    csat: int
    ces: int | None
    nps: int | None
    comment: str | None
    created_at: Instant


@tracking.get("/track/<tracking_token>", summary="Follow a visit", responses={200: TrackingOut})
@allow(PUBLIC, limit=LIMIT)
def read(path: TrackingPath) -> Response:
    """A wrong, an expired and a revoked link answer alike."""
    view = public_view(context.session(), context.settings(), path.tracking_token, context.now())
    note_shown(view.whereabouts)
    return answer(TrackingOut.of(view))


@tracking.get("/track/<tracking_token>/events", summary="Follow a visit live", responses={200: STREAM})
@allow(PUBLIC, limit=LIMIT)
def follow(path: TrackingPath) -> Response:
    """The view as Server-Sent Events: one `update` at once, then one whenever it has changed. A stream ends after five
    minutes (connect again) and with the link. 503 where too many follow already: read the view now and then."""
    reader, reads = actor_of(context.principal()), location_reads_of(current_app)
    return streams_of(current_app).follow(_look(context.installation(), reads, reader, path.tracking_token))


def _look(installed: context.Installation, reads: LocationReads, reader: Actor, token: str) -> Look:
    """Looks with a session of its own, which it gives back; what it shows of a position is noted before."""

    def look(seen: Version | None) -> tuple[Version, str | None]:
        now = installed.clock()
        with available(), open_session(installed.engine, read_only=True) as session:
            version = view_version(session, installed.settings, token, now)
            if version == seen:
                return version, None
            view = public_view(session, installed.settings, token, now)
        if view.whereabouts is not None:
            reads.note([view.whereabouts], reader, now)
        return version, TrackingOut.of(view).model_dump_json()

    return look


@tracking.post("/track/<tracking_token>/feedback", summary="Rate a visit", responses={201: FeedbackOut})
@allow(PUBLIC, limit="20/minute")
def rate(path: TrackingPath, body: NewFeedback) -> Response:
    """Once, after completion."""
    said = Feedback(**dict(body), created_at=context.now())
    give_feedback(
        context.session(),
        context.settings(),
        path.tracking_token,
        said,
        actor_of(context.principal()),
        context.now(),
    )
    return answer(FeedbackOut.model_validate(said), 201)


@tracking.get(
    "/track/<tracking_token>/messages", summary="Read a visit's thread", responses={200: MessagePage}
)
@allow(PUBLIC, limit=LIMIT)
def read_messages(path: TrackingPath, query: PageQuery) -> Response:
    """What was written about the visit, the oldest first."""
    return answer_thread(_tracked(path), query)


@tracking.post("/track/<tracking_token>/messages", summary="Write about a visit", responses={201: MessageOut})
@allow(PUBLIC, limit="20/minute")
def write_message(path: TrackingPath, body: NewMessage) -> Response:
    """As the customer, while `can` says `message`: until the visit is completed or cancelled."""
    return answer_said(_tracked(path), Sender.CUSTOMER, body)


def _tracked(path: TrackingPath) -> Appointment:
    return tracked_appointment(context.session(), context.settings(), path.tracking_token, context.now())


@tracking.after_request
def _kept_nowhere(response: Response) -> Response:
    response.headers.update(HEADERS)
    return response
