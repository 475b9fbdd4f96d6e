"""The probability that a technician accepts a job, from the job alone: detour, pay, hour of the day, notice, trade.
No person's past answers enter, nor who the person is: two technicians who are asked the same are equally likely.

The log-odds are a sum of the named terms of `STATED`, and of one for the trade once there are answers. Before there are
any, the stated prior stands. It is an assumption, not a finding: whoever opened a shift for the work mostly wants
it. Each number says in `STATED` why it was so chosen; `acceptance_training` lets answers correct them.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit
from sqlalchemy import JSON, Index, bindparam, func
from sqlmodel import Field, Session, SQLModel, col, select

from dispatch.catalogue import Service
from dispatch.ids import new_id
from dispatch.money import per_hour_cents
from dispatch.technician import Engagement, EngagementStatus, Kind

Floats = NDArray[np.float64]

HOUR_S = 3600.0
SHORT_NOTICE_S = 2 * HOUR_S
DAY_NOTICE_S = 24 * HOUR_S
LONGEST_DETOUR_H = 6.0
DAY, EVENING = (6, 20), (20, 22)
"""Local hours, the last excluded; the rest is night."""

LEAST_PAY, FAR_BELOW, MOST_PAY = -3.0, -1.0, 2.0
"""Doublings of the usual pay: an eighth, half, four times. Beyond the first and last nothing changes any more."""


@dataclass(frozen=True, slots=True)
class Belief:
    """What is thought of a term before there are answers. weight: what each unit adds to the log-odds. spread: by how
    much that may well be wrong, as a standard deviation; answers correct what is less sure the sooner."""

    weight: float
    spread: float
    why: str


STATED = {
    "always": Belief(
        4.0,
        0.4,
        "a job next door, by day, with time and the usual pay: 0.98. With half an hour's detour 0.98, or 0.97 if it "
        "lowers the pay an hour by a third; with an hour's, which halves it for an hour of work, 0.94",
    ),
    "detour_hours": Belief(
        -0.6,
        0.4,
        "an hour's detour nearly halves the odds; its time lowers the pay an hour as well, which counts by itself",
    ),
    "detour_hours_beyond_one": Belief(
        -1.0,
        0.5,
        "beyond an hour it is no more the usual way to work: two hours 0.86, three 0.55 at the same pay",
    ),
    "pay_doublings": Belief(
        0.6,
        0.4,
        "twice the usual pay nearly doubles the odds, half nearly halves them: people differ in what they take",
    ),
    "pay_halvings_below_half": Belief(
        -1.5,
        0.8,
        "far below the usual most decline: at a quarter of it 0.79, at an eighth 0.31 without any detour",
    ),
    "notice_missing_of_2h": Belief(
        -1.0,
        0.5,
        "a part of the two hours in which one ends what one does and gets ready: with none of them 0.95",
    ),
    "notice_missing_of_24h": Belief(
        0.0,
        0.4,
        "a part of a day's notice: the shift was open for it, so it changes nothing until answers say so",
    ),
    "evening": Belief(-0.3, 0.4, "from 20 to 22 h some would rather be at home: 0.98"),
    "night": Belief(-1.0, 0.5, "from 22 to 6 h some regret the shift that they opened: 0.95"),
}
"""By name. The figures in words are for a job that lacks nothing else, at no detour."""

BETWEEN_TRADES = Belief(0.0, 0.3, "no trade is thought to be liked more than another")

NAMES = tuple(STATED)
PRIOR = {name: belief.weight for name, belief in STATED.items()}


@dataclass(frozen=True, slots=True)
class JobTerms:
    """The job alone, never a person's past answers. travel_s: the detour in this technician's day. pay_per_hour_cents:
    for each hour of work and detour, in minor units; 0 where the pay is not known, which counts as the usual.
    local_hour: of the start, in the territory's zone, 0 to 24. notice_s: from the question until the start; a start
    that is past is no notice. trade: the service's first required skill, or ""."""

    travel_s: int
    pay_per_hour_cents: int
    local_hour: float
    notice_s: int
    trade: str


def terms_of(
    trade: str, zone: ZoneInfo, start: datetime, now: datetime, work_s: int, detour_s: int, pay_cents: int
) -> JobTerms:
    """Of a job that is offered at `now` for `pay_cents` in all, and would begin at `start`."""
    local = start.astimezone(zone)
    return JobTerms(
        travel_s=detour_s,
        pay_per_hour_cents=per_hour_cents(pay_cents, work_s + detour_s),
        local_hour=local.hour + local.minute / 60,
        notice_s=int((start - now).total_seconds()),
        trade=trade,
    )


def trade_of(service: Service) -> str:
    """The skill that is named first; empty where anybody may do it."""
    return next(iter(service.required_skills), "")


def features(travel_s: ArrayLike, pay_ratio: ArrayLike, local_hour: ArrayLike, notice_s: ArrayLike) -> Floats:
    """A row for each job, a column for each of `NAMES`. pay_ratio: of the pay an hour to the usual, above 0."""
    detour_h = np.clip(np.asarray(travel_s, dtype=np.float64) / HOUR_S, 0, LONGEST_DETOUR_H)
    doublings = np.clip(np.log2(np.asarray(pay_ratio, dtype=np.float64)), LEAST_PAY, MOST_PAY)
    hour = np.asarray(local_hour, dtype=np.float64)
    notice = np.asarray(notice_s, dtype=np.float64)
    evening = (hour >= EVENING[0]) & (hour < EVENING[1])
    day = (hour >= DAY[0]) & (hour < DAY[1])
    columns = np.broadcast_arrays(
        1.0,
        detour_h,
        np.maximum(0, detour_h - 1),
        doublings,
        np.maximum(0, FAR_BELOW - doublings),
        np.clip(1 - notice / SHORT_NOTICE_S, 0, 1),
        np.clip(1 - notice / DAY_NOTICE_S, 0, 1),
        evening,
        ~day & ~evening,
    )
    return np.stack(columns, axis=-1).astype(np.float64)


@dataclass(frozen=True, slots=True)
class AcceptanceModel:
    """weights: by name, as in `STATED`. trades: what each adds to the log-odds. usual_cents: the usual pay an hour by
    trade, under "" that of all; empty where nobody knows it, and then pay counts for nothing. id: of the training."""

    weights: Mapping[str, float] = field(default_factory=lambda: PRIOR)
    trades: Mapping[str, float] = field(default_factory=dict)
    usual_cents: Mapping[str, int] = field(default_factory=dict)
    id: str | None = None

    def probability(self, terms: JobTerms) -> float:
        """Of a yes, between 0 and 1."""
        return float(self.probabilities([terms])[0])

    def probabilities(self, terms: Sequence[JobTerms]) -> Floats:
        """Of each."""
        return self.probabilities_of(
            [job.travel_s for job in terms],
            [job.pay_per_hour_cents for job in terms],
            [job.local_hour for job in terms],
            [job.notice_s for job in terms],
            [job.trade for job in terms],
        )

    def probabilities_of(
        self,
        travel_s: ArrayLike,
        pay_per_hour_cents: ArrayLike,
        local_hour: ArrayLike,
        notice_s: ArrayLike,
        trade: str | Sequence[str],
    ) -> Floats:
        """As of `JobTerms`, given by column: numbers and arrays that broadcast, for tens of thousands at once."""
        trades = [trade] if isinstance(trade, str) else trade
        usual = np.array([self.usual_for(each) or 0 for each in trades], dtype=np.float64)
        effects = np.array([self.trades.get(each, 0.0) for each in trades])
        ratio = pay_ratio(pay_per_hour_cents, usual)
        log_odds = features(travel_s, ratio, local_hour, notice_s) @ self._vector() + effects
        return np.asarray(expit(log_odds), dtype=np.float64)

    def usual_for(self, trade: str) -> int | None:
        """What such work usually pays an hour."""
        return self.usual_cents.get(trade) or self.usual_cents.get("")

    def pay_to_reach(self, terms: JobTerms, wanted: float) -> int | None:
        """The least pay an hour, in minor units, from which on the probability is at least `wanted`, whatever the terms
        say of pay; never below an eighth of the usual. None where four times the usual would not do, or nobody
        knows the usual. Raises `ValueError` unless `wanted` is from 0 to 1."""
        if not 0 <= wanted <= 1:
            raise ValueError("a probability is from 0 to 1")
        usual = self.usual_for(terms.trade)
        if usual is None:
            return None
        at_knots = [LEAST_PAY, FAR_BELOW, MOST_PAY]
        jobs = features(terms.travel_s, np.exp2(at_knots), terms.local_hour, terms.notice_s)
        log_odds = [float(value) for value in jobs @ self._vector() + self.trades.get(terms.trade, 0.0)]
        doublings = _reached_from(at_knots, log_odds, float(logit(wanted)))
        return None if doublings is None else math.ceil(usual * 2**doublings - 1e-9)

    def _vector(self) -> Floats:
        return np.array([self.weights[name] for name in NAMES])


def _reached_from(knots: Sequence[float], values: Sequence[float], wanted: float) -> float | None:
    """Where the line through the knots reaches `wanted` and stays at or above it until the last knot; None if it does
    not end there."""
    if values[-1] < wanted:
        return None
    for (left, low), (right, high) in reversed(list(pairwise(zip(knots, values, strict=True)))):
        if low < wanted:
            return left + (wanted - low) / (high - low) * (right - left)
    return knots[0]


def pay_ratio(pay_per_hour_cents: ArrayLike, usual_cents: ArrayLike) -> Floats:
    """Pay to usual pay; 1 where either is not known."""
    pay, usual = np.broadcast_arrays(
        np.asarray(pay_per_hour_cents, dtype=np.float64), np.asarray(usual_cents, dtype=np.float64)
    )
    ratio = np.ones(pay.shape)
    np.divide(pay, usual, out=ratio, where=(pay > 0) & (usual > 0))
    return ratio


class AcceptanceTraining(SQLModel, table=True):
    """What one organization's answers taught, each training a row, the newest in force. It holds no person. weights,
    trades, usual_cents: as in `AcceptanceModel`. answers, accepted: how many it was trained on. The losses are mean
    log losses in nats, of the model, the stated prior and the bare rate of acceptance, each answer judged by a
    model that has not seen its visit; None where the answers are too few to tell. calibration: for bins of rising
    probability, `predicted`, `observed` and `count`."""

    __tablename__ = "acceptance_training"

    id: str = Field(default_factory=new_id, primary_key=True, max_length=36)
    organization_id: str = Field(foreign_key="organization.id", max_length=36)
    trained_at: datetime
    answers: int
    accepted: int
    weights: dict[str, float] = Field(sa_type=JSON)
    trades: dict[str, float] = Field(sa_type=JSON)
    usual_cents: dict[str, int] = Field(sa_type=JSON)
    log_loss: float | None = None
    prior_log_loss: float | None = None
    base_log_loss: float | None = None
    calibration: list[dict[str, Any]] = Field(default_factory=list, sa_type=JSON)

    __table_args__ = (Index("ix_acceptance_training_newest", "organization_id", "trained_at"),)

    def model(self) -> AcceptanceModel:
        return AcceptanceModel(self.weights, self.trades, self.usual_cents, self.id)


_loaded: dict[str, AcceptanceModel] = {}
"""Of each organization the model read last, good as long as its training is the newest. A training's id is never used
twice, so that one that was rolled back cannot pass for another."""


def model_for(session: Session, organization_id: str) -> AcceptanceModel:
    """The trained one, or the stated prior."""
    learned = learned_model(session, organization_id)
    return stated_prior(usual_pay_engaged(session, organization_id)) if learned is None else learned


def learned_model(session: Session, organization_id: str) -> AcceptanceModel | None:
    """None where nothing was learned yet."""
    newest = session.exec(_NEWEST, params={"organization_id": organization_id}).first()
    if newest is None:
        return None
    model = _loaded.get(organization_id)
    if model is None or model.id != newest:
        model = _loaded[organization_id] = session.get_one(AcceptanceTraining, newest).model()
    return model


def newest_training(session: Session, organization_id: str) -> AcceptanceTraining | None:
    """The one in force; None where the stated prior stands."""
    newest = session.exec(_NEWEST, params={"organization_id": organization_id}).first()
    return None if newest is None else session.get_one(AcceptanceTraining, newest)


_NEWEST = (
    select(AcceptanceTraining.id)
    .where(AcceptanceTraining.organization_id == bindparam("organization_id"))
    .order_by(col(AcceptanceTraining.trained_at).desc(), col(AcceptanceTraining.id).desc())
    .limit(1)
)


def stated_prior(usual_cents: int | None = None) -> AcceptanceModel:
    """usual_cents: the usual pay an hour, where it is known."""
    return AcceptanceModel(usual_cents={} if usual_cents is None else {"": usual_cents})


_AGREED = (
    Engagement.organization_id == bindparam("organization_id"),
    Engagement.status == EngagementStatus.ACTIVE,
    Engagement.kind != Kind.EMPLOYEE,
    col(Engagement.pay_per_hour_cents) > 0,
)
_MEDIAN_PAY = (
    select(Engagement.pay_per_hour_cents)
    .where(*_AGREED)
    .order_by(col(Engagement.pay_per_hour_cents))
    .offset(select((func.count() - 1) // 2).where(*_AGREED).scalar_subquery())
    .limit(1)
)


def usual_pay_engaged(session: Session, organization_id: str) -> int | None:
    """The median (the lower of two) of what the organization agreed to pay an hour, in minor units; None where it pays
    nobody so."""
    return session.exec(_MEDIAN_PAY, params={"organization_id": organization_id}).first()


def chance_of_filling(probabilities: Iterable[float]) -> float:
    """That at least one of them says yes, taking their answers as independent of each other."""
    return 1 - math.prod(1 - each for each in probabilities)


def how_many_to_ask(probabilities: Iterable[float], wanted: float) -> int:
    """Of the ranked, the fewest first whose chance of filling reaches `wanted`; all if that of all does not. Looks at
    no more than one beyond those."""
    nobody, count = 1.0, 0
    for each in probabilities:
        if 1 - nobody >= wanted:
            break
        nobody *= 1 - each
        count += 1
    return count
