"""All that is kept about the technician that calls, in one file."""

from collections.abc import Iterator, Sequence
from typing import Self, TypeVar

from flask import Response
from sqlmodel import col, select

from api import context
from api.appointments import window_of
from api.auth import allow
from api.decisions import DecisionOut, MyDecisionsPath
from api.earnings import EarningOut
from api.location_reads import note_shown
from api.offers import OfferOut
from api.openapi import resource
from api.render import answer
from api.schemas import Answer, Instant, PlaceOut, Window
from api.shifts import AvailabilityOut, ShiftOut, availability_said
from api.technicians import PositionOut, TechnicianOut
from dispatch.access import working_technician
from dispatch.appointment import Appointment, Status
from dispatch.location_read import Whereabouts
from dispatch.offer import Offer
from dispatch.own_data import OwnData, OwnVisit, own_data
from dispatch.profiles import profile_of
from dispatch.service_request import ServiceRequest

own = resource("own_data", "What is kept about a technician, for itself to take away.")

NAMED_AT_ONCE = 1_000

Row = TypeVar("Row")


class RatingOut(Answer):
    """What a customer said after the visit. csat: 1 to 5; ces: 1 to 7; nps: 0 to 10."""

    csat: int
    ces: int | None
    nps: int | None
    comment: str | None
    created_at: Instant


class OwnVisitOut(Answer):
    """A visit that is or was one's own. place: the neighbourhood, without an address, where the address may not be
    known now."""

    appointment_id: str
    organization: str
    service_name: str
    status: Status
    place: PlaceOut
    arrival_window: Window | None
    scheduled_start: Instant | None
    scheduled_end: Instant | None
    actual_start: Instant | None
    actual_end: Instant | None
    travel_s: int | None
    travel_m: int | None
    rating: RatingOut | None

    @classmethod
    def of(cls, visit: OwnVisit, organizations: dict[str, str]) -> Self:
        """organizations: names by id."""
        appointment = visit.appointment
        members = {
            "appointment_id": appointment.id,
            "organization": organizations[appointment.organization_id],
            "service_name": visit.service.name,
            "place": PlaceOut.model_validate(visit.place),
            "arrival_window": window_of(appointment),
            "rating": RatingOut.model_validate(visit.feedback) if visit.feedback is not None else None,
        }
        return cls.model_validate(appointment.model_dump() | members)


class OwnOfferOut(OfferOut):
    """An offer with one's answer."""

    created_at: Instant
    answered_at: Instant | None
    answer_reason: str | None


class OwnDataOut(Answer):
    """All that is kept about a technician. shifts: as entered; others follow from availability. Each list is in order
    of time, the earliest first."""

    told_at: Instant
    profile: TechnicianOut
    shifts: list[ShiftOut]
    availability: AvailabilityOut
    visits: list[OwnVisitOut]
    offers: list[OwnOfferOut]
    decisions: list[DecisionOut]
    earnings: list[EarningOut]
    positions: list[PositionOut]

    @classmethod
    def of(cls, found: OwnData) -> Self:
        """As its technician may see it now."""
        names = {id_: organization.name for id_, organization in found.profile.organizations.items()}
        _read_together(found.offers)
        return cls(
            told_at=context.now(),
            profile=TechnicianOut.of(found.profile),
            shifts=[ShiftOut.model_validate(shift) for shift in found.shifts],
            availability=availability_said(found.profile, found.availability),
            visits=[OwnVisitOut.of(visit, names) for visit in found.visits],
            offers=[OwnOfferOut.of(offer) for offer in found.offers],
            decisions=[shown for part in _parts(found.decisions) for shown in DecisionOut.of_all(part)],
            earnings=[EarningOut.of(earning) for earning in found.earnings],
            positions=[PositionOut.model_validate(position) for position in found.positions],
        )


def _parts(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """As many at a time as one query may name."""
    return (rows[start : start + NAMED_AT_ONCE] for start in range(0, len(rows), NAMED_AT_ONCE))


def _read_together(offers: Sequence[Offer]) -> None:
    """What they are shown with, read in a few queries; the session keeps it."""
    for part in _parts(offers):
        query = (
            select(Appointment, ServiceRequest)
            .where(ServiceRequest.id == Appointment.service_request_id)
            .where(col(Appointment.id).in_({offer.appointment_id for offer in part}))
        )
        context.session().exec(query).all()


@own.get("/technicians/<technician_id>/data", summary="Take my data away", responses={200: OwnDataOut})
@allow("technician", limit="10/minute")
def read(path: MyDecisionsPath) -> Response:
    """One JSON file, to keep or to take to another platform: profile, engagements, hours, visits with their ratings,
    offers and answers, decisions and reviews, earnings, positions; while suspended too. Customers' names and numbers
    are not in it, their addresses as far as they may be known now."""
    session, principal = context.session(), context.principal()
    technician = working_technician(session, principal, path.technician_id, or_suspended=True)
    profile = profile_of(session, principal, technician.id)
    found = own_data(session, profile, context.now())
    if found.positions and technician.no is not None:
        note_shown(Whereabouts(technician.no))
    response = answer(OwnDataOut.of(found))
    response.headers["Content-Disposition"] = f'attachment; filename="technician-{technician.id}.json"'
    return response
