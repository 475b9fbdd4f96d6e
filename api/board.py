"""The board: a territory's day at a glance."""

from typing import Any, Self

from flask import Response
from pydantic import Field

from api import context
from api.appointments import window_of
from api.auth import allow
from api.openapi import resource
from api.reasons import reasons_out
from api.render import answer
from api.schemas import Answer, Day, Instant, PlaceOut, Query, ReasonOut, Reference, Window
from api.technicians import StopOut
from dispatch import day
from dispatch.access import territory_named
from dispatch.day import Board, BoardRow, Unassigned
from dispatch.offer_round import would_fill_if_of
from dispatch.places import place_of
from dispatch.service_request import Priority
from dispatch.shift import WorkingTime
from dispatch.technician import Duty, Kind

board = resource("board", "A territory's day at a glance.")


class BoardQuery(Query):
    """Which territory, and which of its local days; by default today."""

    territory_id: Reference
    date: Day | None = None


class BoardShift(Answer):
    """When a technician works."""

    id: str
    starts_at: Instant
    ends_at: Instant


class BoardTechnician(Answer):
    """A technician's day: shifts, and this organization's stops in order. travel: to them, without the way home."""

    id: str
    name: str
    kind: Kind
    duty: Duty
    shifts: list[BoardShift]
    stops: list[StopOut]
    travel_s: int
    travel_m: int

    @classmethod
    def of(cls, row: BoardRow) -> Self:
        """Built from its row."""
        return cls(
            id=row.technician.id,
            name=row.technician.name,
            kind=row.engagement.kind,
            duty=row.technician.duty,
            shifts=[_shift(time) for time in row.shifts],
            stops=[StopOut.of(stop) for stop in row.route.stops],
            travel_s=row.route.travel_s,
            travel_m=row.route.travel_m,
        )


def _shift(time: WorkingTime) -> BoardShift:
    return BoardShift(id=time.id, starts_at=time.starts_at, ends_at=time.ends_at)


class UnassignedVisit(Answer):
    """A visit without a technician: why, and what would help. fits: how many technicians could take it as things
    stand. would_fill_if: of one that was offered and that nobody took, what would fill it; `by` and other figures say
    how much."""

    appointment_id: str
    service_request_id: str
    place: PlaceOut
    priority: Priority
    arrival_window: Window | None
    reasons: list[ReasonOut]
    would_fit_if: list[ReasonOut]
    fits: int
    would_fill_if: list[dict[str, Any]]

    @classmethod
    def of(cls, item: Unassigned, would_fill_if: list[dict[str, Any]]) -> Self:
        """Built from its rows."""
        return cls(
            appointment_id=item.appointment.id,
            service_request_id=item.request.id,
            place=PlaceOut.model_validate(place_of(item.request)),
            priority=item.request.priority,
            arrival_window=window_of(item.appointment),
            reasons=reasons_out(item.reasons),
            would_fit_if=reasons_out(item.would_fit_if),
            fits=item.fits,
            would_fill_if=would_fill_if,
        )


class BoardOut(Answer):
    """A territory's day. kpis: counts, seconds and metres."""

    territory_id: str
    date: Day
    time_zone: str
    technicians: list[BoardTechnician]
    unassigned: list[UnassignedVisit]
    kpis: dict[str, int] = Field(examples=[{"visits": 12, "planned": 11, "unassigned": 1}])

    @classmethod
    def of(cls, territory_id: str, on: Day, time_zone: str, shown: Board) -> Self:
        """Built from what the day shows."""
        visits = [item.appointment for item in shown.unassigned]
        unfilled = would_fill_if_of(context.session(), visits)
        return cls(
            territory_id=territory_id,
            date=on,
            time_zone=time_zone,
            technicians=[BoardTechnician.of(row) for row in shown.rows],
            unassigned=[
                UnassignedVisit.of(item, unfilled.get(item.appointment.id, [])) for item in shown.unassigned
            ],
            kpis=shown.kpis,
        )


@board.get("/board", summary="Read the board", responses={200: BoardOut})
@allow("dispatcher")
def read(query: BoardQuery) -> Response:
    """Who works and where, and what is left to assign."""
    session, now = context.session(), context.now()
    territory = territory_named(session, context.principal(), query.territory_id)
    on = query.date or territory.today(now)
    shown = day.board(session, context.settings(), territory, on, now)
    return answer(BoardOut.of(territory.id, on, territory.time_zone, shown))
