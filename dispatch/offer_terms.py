"""What an offer tells before it asks: pay, way, area and the facts that decided; the address after acceptance alone."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session

from dispatch.appointment import Appointment
from dispatch.calendar import beside_others, discreet, epoch
from dispatch.disclosure import is_disclosed, neighbourhood
from dispatch.money import per_hour_cents
from dispatch.offer import Offer, OfferStatus
from dispatch.places import place_of
from dispatch.planning import Job, load_standing
from dispatch.ranking import Candidate
from dispatch.service_request import ServiceRequest
from dispatch.settings import Settings
from dispatch.technician import Kind, Technician
from optimizer import recommend


@dataclass(frozen=True, slots=True)
class Travel:
    """The way to the visit, and what the visit adds to the technician's travel."""

    travel_s: int
    travel_m: int
    detour_s: int


def travel_of(candidate: Candidate) -> Travel:
    """Of one who could come, as an offer tells it: rounded beside another organization's visit."""
    stop = candidate.stop
    way = stop.travel_s, stop.travel_m
    return Travel(*(discreet(*way) if candidate.is_beside_others else way), candidate.detour[0])


def travel_planned(session: Session, settings: Settings, job: Job, technician: Technician) -> Travel:
    """Of the visit where it stands in the technician's calendar, as an offer tells it, which the dispatcher reads as
    well: rounded beside another organization's visit."""
    appointment = job.appointment
    assert technician.no is not None
    assert appointment.scheduled_start is not None
    detour_s = _detour_s(session, settings, job, technician)
    travel_s, travel_m = appointment.travel_s or 0, appointment.travel_m or 0
    at = epoch(appointment.scheduled_start)
    if appointment.id not in beside_others(session, appointment.organization_id, [technician.no], at, at + 1):
        return Travel(travel_s, travel_m, detour_s)
    return Travel(*discreet(travel_s, travel_m), discreet(detour_s, 0)[0])


def _detour_s(session: Session, settings: Settings, job: Job, technician: Technician) -> int:
    """What the visit adds to the technician's travel, where it stands."""
    appointment = job.appointment
    assert appointment.scheduled_start is not None
    assert appointment.scheduled_end is not None
    assert technician.no is not None
    windows = [(appointment.scheduled_start, appointment.scheduled_start)]
    day = load_standing(
        session,
        settings,
        appointment.organization_id,
        (appointment.scheduled_start, appointment.scheduled_end),
        asking=job,
        windows=windows,
        technician_nos=[technician.no],
    )
    asked = job.windows_at_place(windows)
    found = recommend(day.problem, day.plan, appointment.id, asked).insertions
    return max(0, found[0].extra_travel_s) if found else appointment.travel_s or 0


def net_per_hour_cents(offer: Offer) -> int:
    """The pay for each hour that the visit takes, the extra travel included."""
    return per_hour_cents(offer.pay_cents, offer.duration_s + offer.detour_s)


def facts_of(job: Job, travel: Travel, place: int | None, able: int) -> list[dict[str, Any]]:
    """Why this technician is asked. place: of those who are able, from 1 on; None where a person or the plan chose."""
    skills = ", ".join(sorted(job.service.required_skills)) or "any work"
    facts: list[dict[str, Any]] = [
        {"code": "qualified", "detail": f"Verified for {skills}."},
        {"code": "near", "detail": f"{travel.travel_m} m and {travel.travel_s} s from the place before."},
        {
            "code": "detour",
            "detail": f"It adds {travel.detour_s} s to the day's travel.",
            "detour_s": travel.detour_s,
        },
    ]
    if place is not None:
        said = f"Place {place} of {able} who could come, by what the visit adds to the plan."
        facts.append({"code": "rank", "detail": said, "rank": place, "of": able})
    return facts


@dataclass(frozen=True, slots=True)
class ShownArea:
    """Where an offered visit is, as far as the technician may know."""

    lat: float
    lon: float
    address: str | None
    locality: str | None


def area_of(offer: Offer, appointment: Appointment, request: ServiceRequest, now: datetime) -> ShownArea:
    """The place itself from acceptance until shortly after the visit; else a point within a kilometre of it and the
    part of the address that follows the street."""
    locality, place = locality_of(request.address), place_of(request)
    is_won = offer.status is OfferStatus.ACCEPTED and appointment.technician_no == offer.technician_no
    if not is_won or not is_disclosed(appointment, Kind.FREELANCER, now):
        place = neighbourhood(place)
    return ShownArea(place.lat, place.lon, place.address, locality)


def locality_of(address: str | None) -> str | None:
    """What follows the street in an address, without parts that hold a number; None if nothing does."""
    parts = [part.strip() for part in (address or "").split(",")[1:]]
    named = [part for part in parts if part and not any(character.isdigit() for character in part)]
    return ", ".join(named) or None
