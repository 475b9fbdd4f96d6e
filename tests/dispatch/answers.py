"""Answered offers, in memory and in a world's database."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from dispatch.acceptance import PRIOR, AcceptanceModel, JobTerms
from dispatch.acceptance_training import Answers
from dispatch.offer import Offer, OfferStatus, OfferStrategy
from dispatch.planning import Job
from dispatch.technician import Technician
from tests.dispatch.world import NOW, World, clock_time

USUAL = 6000
ORDINARY = JobTerms(
    travel_s=1800, pay_per_hour_cents=USUAL, local_hour=10, notice_s=24 * 3600, trade="plumbing"
)


def generated(
    count: int, weights: Mapping[str, float], trades: Mapping[str, float], seed: int
) -> tuple[Answers, np.ndarray]:
    """Answers to jobs of every kind by people who accept just as the weights say, and the true probabilities."""
    rng = np.random.default_rng(seed)
    jobs = [_job(rng, list(trades)) for _ in range(count)]
    truth = AcceptanceModel({**PRIOR, **weights}, trades, {"": USUAL}).probabilities(jobs)
    return Answers(jobs, rng.random(count) < truth, [str(i) for i in range(count)]), truth


def _job(rng: np.random.Generator, trades: list[str]) -> JobTerms:
    return JobTerms(
        travel_s=int(rng.exponential(2400)),
        pay_per_hour_cents=int(USUAL * 2 ** rng.normal(0, 0.9)),
        local_hour=float(rng.uniform(0, 24)),
        notice_s=int(rng.choice([rng.uniform(0, 2), rng.uniform(0, 48)]) * 3600),
        trade=trades[rng.integers(len(trades))],
    )


def alike(job: JobTerms, answers: Sequence[bool]) -> Answers:
    """Answers to one kind of job."""
    return Answers(
        [job] * len(answers), np.array(answers, dtype=np.bool_), [str(i) for i in range(len(answers))]
    )


@dataclass
class Answering:
    """Puts answered offers into a world, as they lie there after the answer."""

    world: World

    def offer(
        self,
        job: Job,
        technician: Technician,
        status: OfferStatus,
        *,
        pay_cents: int = USUAL,
        detour_s: int = 600,
        hour: int = 10,
        sent_at: datetime = NOW - timedelta(days=2),
        answered_at: datetime = NOW - timedelta(days=1),
    ) -> Offer:
        assert technician.no is not None
        is_open = status is OfferStatus.PENDING
        offer = Offer(
            organization_id=job.appointment.organization_id,
            appointment_id=job.appointment.id,
            round_id=self.world.ended_round(job.appointment).id,
            technician_no=technician.no,
            strategy=OfferStrategy.DIRECT,
            status=status,
            pay_cents=pay_cents,
            travel_s=detour_s,
            travel_m=detour_s * 7,
            detour_s=detour_s,
            duration_s=job.service.duration_s,
            scheduled_start=clock_time(hour),
            expires_at=answered_at + timedelta(hours=1) if is_open else answered_at,
            answered_at=None if is_open else answered_at,
            created_at=sent_at,
        )
        self.world.session.add(offer)
        self.world.session.flush()
        return offer

    def commit(self) -> str:
        """Gives back the organization's id, which it would take a transaction to read afterwards."""
        organization_id = self.world.organization.id
        self.world.session.commit()
        return organization_id

    def history(self, technicians: Sequence[Technician], visits: int = 10) -> list[Offer]:
        """Four answers about each visit, asking the technicians by turns: long ways and low pay are declined."""
        service = self.world.service()
        given = []
        for visit in range(visits):
            job = self.world.job(service, km=1 + visit)
            for turn in range(4):
                accepts = turn < 2 or visit % 3 == 0
                status = OfferStatus.ACCEPTED if accepts else OfferStatus.DECLINED
                asked = technicians[(visit + turn) % len(technicians)]
                given.append(
                    self.offer(
                        job,
                        asked,
                        status,
                        pay_cents=4000 + 500 * visit - 300 * turn,
                        detour_s=300 + 1200 * turn,
                        hour=8 + visit,
                    )
                )
        return given
