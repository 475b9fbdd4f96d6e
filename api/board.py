"""The board: a territory's day at a glance."""

import hashlib
import json
from collections import OrderedDict
from datetime import datetime
from threading import Lock
from typing import Any, Self
from weakref import WeakKeyDictionary

from flask import Response, current_app
from pydantic import Field
from sqlalchemy import Engine
from sqlmodel import Session

from api import context
from api.appointments import window_of
from api.auth import allow
from api.openapi import resource
from api.reasons import named_reasons
from api.render import answer
from api.schemas import Answer, Day, Instant, PlaceOut, Query, ReasonOut, Reference, Window, absent
from api.streaming import MEDIA_TYPE, Look, Version, streams_of
from api.technicians import StopOut
from dispatch import board as boards
from dispatch.access import territory_named
from dispatch.alerts import AlertKind, RepairKind
from dispatch.board import Board, BoardRow, Unassigned, told_start
from dispatch.database import available, open_session
from dispatch.day import RouteStop
from dispatch.errors import NotFound
from dispatch.offer import OfferStatus
from dispatch.offer_round import would_fill_if_of
from dispatch.places import place_of
from dispatch.service_request import Priority
from dispatch.settings import Settings
from dispatch.technician import Duty, Kind
from dispatch.territory import Territory

board = resource("board", "A territory's day at a glance.")

STREAM = {
    "description": "Events `update`, each with the version of the board.",
    "content": {
        MEDIA_TYPE: {
            "schema": {"type": "string"},
            "example": 'event: update\ndata: {"version": "5f0c1a52"}\n',
        }
    },
}


class BoardQuery(Query):
    """Which territory, and which of its local days; by default today."""

    territory_id: Reference
    date: Day | None = None


class BoardBreak(Answer):
    """A break of a shift: so long, somewhere between the two instants."""

    earliest_start: Instant
    latest_end: Instant
    duration_s: int


class BoardShift(Answer):
    """When a technician works."""

    id: str
    starts_at: Instant
    ends_at: Instant
    breaks: list[BoardBreak]


class BoardOffer(Answer):
    """An offer of a visit that may still be answered: pending by its technician, countered by a dispatcher."""

    id: str
    status: OfferStatus
    technician_id: str | None
    expires_at: Instant


class BoardPosition(Answer):
    """Where a technician was seen last."""

    lat: float
    lon: float
    at: Instant


class BoardStop(StopOut):
    """A stop as the day runs. expected_start: of the work, as far as plan, progress and positions tell; null where it
    is as planned, and once it has begun. late_by_s: by how much that is past the promised window's end; 0 where it is
    kept. offer: of those that may still be answered, the one that wants an answer first."""

    late_by_s: int
    offer: BoardOffer | None
    pinned: bool
    pinned_time: bool
    customer_confirmed: bool
    version: int

    @classmethod
    def on_board(cls, stop: RouteStop, shown: Board, technician_ids: dict[int, str]) -> "BoardStop":
        """Built from its row."""
        visit, expected = stop.appointment, shown.expected.get(stop.appointment.id)
        return cls.model_construct(
            **dict(StopOut.of(stop))
            | {
                "expected_start": told_start(expected) if expected is not None else None,
                "late_by_s": expected.late_by_s if expected is not None else 0,
                "offer": _offer(shown, visit.id, technician_ids),
                "pinned": visit.pinned,
                "pinned_time": visit.pinned_time,
                "customer_confirmed": visit.customer_confirmed_at is not None,
                "version": visit.version,
            }
        )


def _offer(shown: Board, appointment_id: str, technician_ids: dict[int, str]) -> BoardOffer | None:
    first = next(iter(shown.offers.get(appointment_id, ())), None)
    if first is None:
        return None
    return BoardOffer(
        id=first.id,
        status=first.status,
        technician_id=technician_ids.get(first.technician_no),
        expires_at=first.expires_at,
    )


class BoardTechnician(Answer):
    """A technician's day: shifts, absences, and this organization's stops in order. travel: to them, without the way
    home. position: the latest of the last quarter of an hour, on duty alone, and not around another organization's
    visit."""

    id: str
    name: str
    kind: Kind
    duty: Duty
    position: BoardPosition | None
    shifts: list[BoardShift]
    absences: list[Window]
    stops: list[BoardStop]
    travel_s: int
    travel_m: int

    @classmethod
    def of(cls, row: BoardRow, shown: Board, technician_ids: dict[int, str]) -> Self:
        """Built from its row."""
        seen = row.position
        return cls(
            id=row.technician.id,
            name=row.technician.name,
            kind=row.engagement.kind,
            duty=row.technician.duty,
            position=BoardPosition(lat=seen.lat, lon=seen.lon, at=seen.recorded_at) if seen else None,
            shifts=[BoardShift.model_validate(time) for time in row.shifts],
            absences=[Window(start=start, end=end) for start, end in row.absences],
            stops=[BoardStop.on_board(stop, shown, technician_ids) for stop in row.route.stops],
            travel_s=row.route.travel_s,
            travel_m=row.route.travel_m,
        )


class UnassignedVisit(Answer):
    """A visit without a technician: why, and what would help. fits: how many technicians could take it as things
    stand. would_fill_if: of one that was offered and that nobody took, what would fill it; `by` and other figures say
    how much."""

    appointment_id: str
    service_request_id: str
    place: PlaceOut
    priority: Priority
    arrival_window: Window | None
    service_name: str
    customer_name: str | None
    customer_confirmed: bool
    version: int
    offer: BoardOffer | None
    reasons: list[ReasonOut]
    would_fit_if: list[ReasonOut]
    fits: int
    would_fill_if: list[dict[str, Any]]

    @classmethod
    def of(
        cls,
        item: Unassigned,
        shown: Board,
        technician_ids: dict[int, str],
        would_fill_if: list[dict[str, Any]],
    ) -> Self:
        """Built from its rows."""
        return cls(
            appointment_id=item.appointment.id,
            service_request_id=item.request.id,
            place=PlaceOut.model_validate(place_of(item.request)),
            priority=item.request.priority,
            arrival_window=window_of(item.appointment),
            service_name=item.service_name,
            customer_name=item.customer_name,
            customer_confirmed=item.appointment.customer_confirmed_at is not None,
            version=item.appointment.version,
            offer=_offer(shown, item.appointment.id, technician_ids),
            reasons=named_reasons(item.reasons),
            would_fit_if=named_reasons(item.would_fit_if),
            fits=item.fits,
            would_fill_if=would_fill_if,
        )


class RepairOffered(Answer):
    """The body of `POST /v1/repairs` that would answer an alert."""

    kind: RepairKind
    technician_id: str | None = Field(None, exclude_if=absent)
    appointment_id: str | None = Field(None, exclude_if=absent)


class AlertOut(Answer):
    """What wants a dispatcher. since: when it came to be, or was known."""

    kind: AlertKind
    appointment_id: str | None
    technician_id: str | None
    since: Instant
    detail: str
    repair: RepairOffered | None


class BoardOut(Answer):
    """A territory's day. alerts: the most urgent first. kpis: counts, seconds and metres."""

    territory_id: str
    date: Day
    time_zone: str
    technicians: list[BoardTechnician]
    unassigned: list[UnassignedVisit]
    alerts: list[AlertOut]
    kpis: dict[str, int] = Field(
        examples=[{"visits": 12, "planned": 11, "unassigned": 1, "late": 1, "alerts": 2}]
    )

    @classmethod
    def of(cls, session: Session, territory: Territory, on: Day, shown: Board) -> Self:
        """Built from what the day shows."""
        unfilled = would_fill_if_of(session, [item.appointment for item in shown.unassigned])
        technician_ids = {row.technician.no or 0: row.technician.id for row in shown.rows}
        return cls(
            territory_id=territory.id,
            date=on,
            time_zone=territory.time_zone,
            technicians=[BoardTechnician.of(row, shown, technician_ids) for row in shown.rows],
            unassigned=[
                UnassignedVisit.of(item, shown, technician_ids, unfilled.get(item.appointment.id, []))
                for item in shown.unassigned
            ],
            alerts=[AlertOut.model_validate(alert) for alert in shown.alerts],
            kpis=shown.kpis,
        )


@board.get("/board", summary="Read the board", responses={200: BoardOut})
@allow("dispatcher")
def read(query: BoardQuery) -> Response:
    """Who works and where, what is expected, what is left to assign, and what wants a dispatcher."""
    session, now = context.session(), context.now()
    territory = territory_named(session, context.principal(), query.territory_id)
    on = query.date or territory.today(now)
    shown = boards.board(session, context.settings(), territory, on, now)
    return answer(BoardOut.of(session, territory, on, shown))


@board.get("/board/events", summary="Follow the board live", responses={200: STREAM})
@allow("dispatcher")
def follow(query: BoardQuery) -> Response:
    """Server-Sent Events: one `update` at once, then one whenever something that the board shows has changed, each with
    `{"version": "..."}`: read the board then. Without a date, of the day that is today when the stream begins. A stream
    ends after five minutes (connect again). 503 where too many follow already: read the board now and then."""
    session, installed = context.session(), context.installation()
    territory = territory_named(session, context.principal(), query.territory_id)
    on = query.date or territory.today(context.now())
    return streams_of(current_app).follow(_look(installed, territory.id, on))


def _look(installed: context.Installation, territory_id: str, on: Day) -> Look:
    """Looks with a session of its own, which it gives back."""

    def look(seen: Version | None) -> tuple[Version, str | None]:
        now = installed.clock()
        with available(), open_session(installed.engine, read_only=True) as session:
            territory = session.get(Territory, territory_id)
            if territory is None:
                raise NotFound
            version = boards.board_version(session, territory, on, now)
            if version == seen:
                return version, None
            digest = _digests(installed.engine).of(session, installed.settings, territory, on, now, version)
        return version, json.dumps({"version": digest})

    return look


class Digests:
    """Of boards that are followed, so that many who follow one have it made once. What is told is a digest of the
    board, so that what changes elsewhere is no news."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._known: OrderedDict[tuple[str, Day], tuple[Version, str]] = OrderedDict()

    def of(
        self,
        session: Session,
        settings: Settings,
        territory: Territory,
        on: Day,
        now: datetime,
        version: Version,
    ) -> str:
        """version: what the board depends on, as the session has just read it."""
        with self._lock:
            known = self._known.get((territory.id, on))
            if known is not None and known[0] == version:
                return known[1]
            shown = boards.board(session, settings, territory, on, now)
            content = BoardOut.of(session, territory, on, shown).model_dump_json()
            digest = hashlib.sha256(content.encode()).hexdigest()[:32]
            self._known[territory.id, on] = version, digest
            self._known.move_to_end((territory.id, on))
            while len(self._known) > MOST_FOLLOWED:
                self._known.popitem(last=False)
            return digest


MOST_FOLLOWED = 100
"""Boards, by a process at a time; more are made anew for each who follows."""
_followed: WeakKeyDictionary[Engine, Digests] = WeakKeyDictionary()


def _digests(engine: Engine) -> Digests:
    return _followed.setdefault(engine, Digests())
