"""What a counter-offer means for the plan: its pay and its travel, against what was offered and against others."""

from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from dispatch.appointment import Appointment
from dispatch.asking import window_of
from dispatch.errors import SlotTaken
from dispatch.offer import Offer
from dispatch.offer_terms import travel_of
from dispatch.pay import usual_pay_cents
from dispatch.placing import ahead_of
from dispatch.planning import job_of
from dispatch.ranking import Candidate, candidates
from dispatch.settings import Settings


@dataclass(frozen=True, slots=True)
class Effect:
    """In minor units. extra_cents: against the pay that was offered. total_cents: of travel and pay in all.
    next_best_total_cents: of the cheapest other who could come, at its engagement's pay; None where nobody could."""

    extra_cents: int
    total_cents: int
    next_best_total_cents: int | None


def effect_of_counter(session: Session, settings: Settings, offer: Offer, now: datetime) -> Effect:
    """By the plan's prices of travel. Where the technician's calendar has no room any more, travel counts nothing."""
    assert offer.counter_pay_cents is not None
    job = job_of(session, session.get_one(Appointment, offer.appointment_id))
    try:
        ranked = candidates(session, settings, job, ahead_of(window_of(session, job), now))
    except SlotTaken:
        ranked = []
    own = next((one for one in ranked if one.no == offer.technician_no), None)
    others = [one.insertion.extra_cents for one in ranked if one.no != offer.technician_no]
    return Effect(
        extra_cents=offer.counter_pay_cents - offer.pay_cents,
        total_cents=offer.counter_pay_cents + (0 if own is None else _travel_cents(own)),
        next_best_total_cents=max(0, min(others)) if others else None,
    )


def _travel_cents(candidate: Candidate) -> int:
    """What the visit costs the plan there, but for the usual pay of the visit itself."""
    usual = usual_pay_cents(
        candidate.engagement, candidate.job.service.duration_s, travel_of(candidate).travel_m
    )
    return max(0, candidate.insertion.extra_cents - usual)
