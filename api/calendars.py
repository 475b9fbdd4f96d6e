"""Calendar feeds: a technician's visits for its calendar program."""

import hashlib
from typing import Any

from flask import Response, request
from pydantic import Field

from api import context
from api.auth import PUBLIC, allow
from api.openapi import resource
from api.render import answer
from api.schemas import Answer, Instant, Path
from api.technicians import TechnicianPath
from dispatch import calendar_feed
from dispatch.access import working_technician
from dispatch.calendar_feed import CalendarFeed
from dispatch.technician import Technician

calendars = resource("calendars", "A technician's visits for its calendar program.")

MEDIA_TYPE = "text/calendar"
FEED: dict[str, Any] = {
    "description": "iCalendar (RFC 5545).",
    "content": {
        MEDIA_TYPE: {
            "schema": {"type": "string"},
            "example": "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//Dispatch//Visits//EN\r\nEND:VCALENDAR\r\n",
        }
    },
}
UNCHANGED: dict[str, Any] = {"description": "Nothing changed since the ETag of `If-None-Match`."}
HEADERS = {
    "Cache-Control": "private, no-cache",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex",
    "Content-Disposition": 'inline; filename="visits.ics"',
}
"""The program asks each time whether its copy still holds, so that a link that was taken back shows nothing more."""


class CalendarPath(Path):
    """The token of the link."""

    token: str


class CalendarLink(Answer):
    """The link for a calendar program. Whoever has it sees the feed."""

    url: str = Field(examples=["https://dispatch.example/v1/calendars/kz0VxJ3mQm3nC1qf5n4u0c9kq9a4cF2e.ics"])
    created_at: Instant


@calendars.get(
    "/calendars/<token>.ics", summary="Subscribe to a calendar", responses={200: FEED, 304: UNCHANGED}
)
@allow(PUBLIC, limit="120/minute")
def read(path: CalendarPath) -> Response:
    """Each visit's time, service, area and link, no address and no name; what was not accepted yet is tentative. A
    wrong and a renewed link answer alike."""
    session, settings, now = context.session(), context.settings(), context.now()
    technician = calendar_feed.technician_by_token(session, path.token)
    content = calendar_feed.calendar_of(session, settings, technician, now)
    response = Response(content, mimetype=MEDIA_TYPE, headers=HEADERS)
    response.set_etag(hashlib.sha256(content).hexdigest())
    response.make_conditional(request)
    return response


@calendars.post(
    "/technicians/<technician_id>/calendar", summary="Make a new link", responses={201: CalendarLink}
)
@allow("technician")
def renew(path: TechnicianPath) -> Response:
    """For a calendar program to subscribe to. The link before answers no more."""
    technician = _mine(path)
    feed = calendar_feed.renew(context.session(), context.settings(), technician, context.now())
    return answer(_shown(technician, feed), 201)


@calendars.get(
    "/technicians/<technician_id>/calendar", summary="Read the link", responses={200: CalendarLink}
)
@allow("technician")
def read_link(path: TechnicianPath) -> Response:
    """404 as long as there is none."""
    technician = _mine(path)
    return answer(_shown(technician, calendar_feed.feed_of(context.session(), technician)))


@calendars.delete(
    "/technicians/<technician_id>/calendar", summary="Take the link back", responses={200: CalendarLink}
)
@allow("technician")
def take_back(path: TechnicianPath) -> Response:
    """It answers no more."""
    technician = _mine(path)
    feed = calendar_feed.feed_of(context.session(), technician)
    calendar_feed.take_back(context.session(), feed)
    return answer(_shown(technician, feed))


def _mine(path: TechnicianPath) -> Technician:
    return working_technician(context.session(), context.principal(), path.technician_id)


def _shown(technician: Technician, feed: CalendarFeed) -> CalendarLink:
    url = calendar_feed.feed_url(context.settings(), technician, feed)
    return CalendarLink(url=url, created_at=feed.created_at)
