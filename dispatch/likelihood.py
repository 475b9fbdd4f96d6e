"""How likely it is that somebody comes: who is employed is sent, a freelancer or partner is asked and may decline."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray
from sqlmodel import Session

from dispatch.acceptance import AcceptanceModel, learned_model, trade_of
from dispatch.calendar import epoch
from dispatch.pay import usual_pay_cents
from dispatch.planning import Job
from dispatch.settings import Settings
from dispatch.technician import Engagement

Whole = NDArray[np.signedinteger[Any]]
Chances = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Likelihood:
    """That a visit is accepted by those to whom it may be offered from `now` on. zone: of its territory. wanted: the
    least chance with which a window is promised."""

    job: Job
    model: AcceptanceModel
    zone: ZoneInfo
    now: datetime
    wanted: float

    @classmethod
    def learned(
        cls, session: Session, settings: Settings, job: Job, zone: ZoneInfo, now: datetime
    ) -> "Likelihood | None":
        """By what answers have taught; None before: whoever opened a shift and drew a radius has said yes to such work,
        and no customer is sent away on an assumption."""
        model = learned_model(session, job.appointment.organization_id)
        return None if model is None else cls(job, model, zone, now, settings.wanted_chance)

    def chances(
        self,
        people: Sequence[Engagement],
        who: Whole,
        at_place_from: Whole,
        detour_s: Whole,
        detour_m: Whole,
    ) -> Chances:
        """That each of them comes. who: which of the people, for every entry. The pay is what the engagement says; its
        kilometres are counted as those of the detour."""
        service = self.job.service
        is_asked = np.array([person.kind.is_asked for person in people])
        fixed = np.array([usual_pay_cents(person, service.duration_s, 0) for person in people])
        per_km = np.array([person.pay_per_km_cents or 0 for person in people])
        detour_s, detour_m = np.maximum(0, detour_s), np.maximum(0, detour_m)
        pay_cents = fixed[who] + per_km[who] * detour_m / 1000
        starts = at_place_from + service.buffer_before_s
        chances = self.model.probabilities_of(
            detour_s,
            pay_cents * 3600 / np.maximum(1, service.duration_s + detour_s),
            _local_hours(starts, self.zone),
            starts - epoch(self.now),
            trade_of(service),
        )
        return np.where(is_asked[who], chances, 1.0)


def _local_hours(instants: Whole, zone: ZoneInfo) -> NDArray[np.float64]:
    """Of the wall clock, 0 to 24, by its offset at the beginning of each hour."""
    hours, which = np.unique(instants // 3600, return_inverse=True)
    local = [datetime.fromtimestamp(hour * 3600, zone) for hour in hours.tolist()]
    begun = np.array([wall.hour + wall.minute / 60 for wall in local])
    return (begun[which] + instants % 3600 / 3600) % 24
