"""What happened teaches the model of acceptance: the answered offers of one organization, and beside them what is
stated as if it had been answered too, so that a few answers move it little. scikit-learn is imported where it is
used: the web never needs it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import median_low
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from sqlalchemy import ColumnElement, Engine, exists, func, or_
from sqlmodel import Session, col, select

from dispatch.acceptance import (
    BETWEEN_TRADES,
    NAMES,
    STATED,
    AcceptanceModel,
    AcceptanceTraining,
    Belief,
    Floats,
    JobTerms,
    features,
    pay_ratio,
    stated_prior,
    terms_of,
    trade_of,
)
from dispatch.appointment import Appointment
from dispatch.catalogue import services
from dispatch.database import open_session, transaction
from dispatch.errors import Conflict
from dispatch.offer import Offer, OfferStatus
from dispatch.organization import Organization
from dispatch.service_request import ServiceRequest
from dispatch.territory import territories

ANSWERED = (OfferStatus.ACCEPTED, OfferStatus.DECLINED, OfferStatus.COUNTERED, OfferStatus.EXPIRED)
"""Superseded and withdrawn offers were answered by nobody. A counter is no yes at the pay that was offered."""

LEAST_ANSWERS = 20
TRAIN_EVERY = timedelta(days=1)
MOST_ANSWERS = 20_000
FOLDS = 5
MOST_BINS, LEAST_IN_BIN = 10, 20
SEED = 0

PSEUDO_UNIT = 0.1
"""How much of one term a pseudo-answer is about: so little that what it teaches is all but normally distributed."""


@dataclass(frozen=True, slots=True)
class Answers:
    """Jobs that were offered, and whether each was accepted at that pay. visits: which visit each was for."""

    terms: Sequence[JobTerms]
    accepted: NDArray[np.bool_]
    visits: Sequence[str]

    def __len__(self) -> int:
        return len(self.terms)

    def at(self, places: NDArray[np.int_]) -> "Answers":
        """Those at some places of the list."""
        return Answers(
            [self.terms[i] for i in places], self.accepted[places], [self.visits[i] for i in places]
        )


def answers_of(session: Session, organization_id: str, now: datetime) -> Answers:
    """The newest that an organization got, as the jobs were when they were offered. Who answered is not read."""
    query = (
        select(*COLUMNS)  # type: ignore[call-overload]  # more columns than its overloads foresee
        .join(Appointment, col(Offer.appointment_id) == Appointment.id)
        .join(ServiceRequest, col(Appointment.service_request_id) == ServiceRequest.id)
        .where(Offer.organization_id == organization_id, _is_answered(now))
        .order_by(col(Offer.created_at).desc(), col(Offer.id))
        .limit(MOST_ANSWERS)
    )
    rows = session.exec(query).all()
    trades = {service.id: trade_of(service) for service in services(session, organization_id)}
    zones = {each.id: ZoneInfo(each.time_zone) for each in territories(session, organization_id)}
    return Answers(
        [
            terms_of(trades[service], zones[territory], *offered)
            for _, _, service, territory, *offered in rows
        ],
        np.array([status is OfferStatus.ACCEPTED for _, status, *_ in rows], dtype=np.bool_),
        [visit for visit, *_ in rows],
    )


COLUMNS = (
    col(Offer.appointment_id),
    col(Offer.status),
    col(ServiceRequest.service_id),
    col(Appointment.territory_id),
    col(Offer.scheduled_start),
    col(Offer.created_at),
    col(Offer.duration_s),
    col(Offer.detour_s),
    col(Offer.pay_cents),
)


def _is_answered(now: datetime) -> ColumnElement[bool]:
    is_over = (col(Offer.status) == OfferStatus.PENDING) & (col(Offer.expires_at) <= now)
    return or_(col(Offer.status).in_(ANSWERED), is_over)


def fit(answers: Answers) -> AcceptanceModel:
    """The logistic regression to the answers and to the pseudo-answers of what is stated."""
    from sklearn.linear_model import LogisticRegression

    usual = usual_pay(answers.terms)
    trades = sorted({job.trade for job in answers.terms})
    seen = np.hstack([_seen(answers, AcceptanceModel(usual_cents=usual)), _by_trade(answers, trades)])
    stated, yes, no = _pseudo_answers([*STATED.values(), *(BETWEEN_TRADES for _ in trades)])
    # The prior is in the pseudo-answers; the penalty is there for what it does to the arithmetic alone.
    regression = LogisticRegression(
        C=1e6, fit_intercept=False, solver="newton-cholesky", tol=1e-8, max_iter=200
    )
    regression.fit(
        np.vstack([seen, stated, stated]),
        np.concatenate([answers.accepted, np.ones(len(yes)), np.zeros(len(no))]),
        sample_weight=np.concatenate([np.ones(len(answers)), yes, no]),
    )
    found = [float(weight) for weight in regression.coef_[0]]
    learned, by_trade = found[: len(NAMES)], found[len(NAMES) :]
    return AcceptanceModel(
        dict(zip(NAMES, learned, strict=True)), dict(zip(trades, by_trade, strict=True)), usual
    )


def _pseudo_answers(beliefs: Sequence[Belief]) -> tuple[Floats, Floats, Floats]:
    """Jobs of which each has a little of one term and nothing else, and how many said yes and no to it: alone they
    would teach just the stated weights, each as surely as its spread says (data augmentation priors: S. Greenland,
    Bayesian perspectives for epidemiological research II, Int. J. Epidemiology 36, 2007)."""
    weight = np.array([belief.weight for belief in beliefs])
    spread = np.array([belief.spread for belief in beliefs])
    said = expit(PSEUDO_UNIT * weight)
    many = 1 / (spread**2 * PSEUDO_UNIT**2 * said * (1 - said))
    return PSEUDO_UNIT * np.eye(len(beliefs)), many * said, many * (1 - said)


def usual_pay(terms: Sequence[JobTerms]) -> dict[str, int]:
    """The median pay an hour of what was offered, by trade where that is often enough, and under "" of all."""
    paid = [job for job in terms if job.pay_per_hour_cents > 0]
    by_trade: dict[str, list[int]] = {}
    for job in paid:
        by_trade.setdefault(job.trade, []).append(job.pay_per_hour_cents)
    usual = {trade: median_low(pays) for trade, pays in by_trade.items() if len(pays) >= LEAST_ANSWERS}
    return usual | {"": median_low([job.pay_per_hour_cents for job in paid])} if paid else {}


def _seen(answers: Answers, usual: AcceptanceModel) -> Floats:
    """The terms of each job."""
    jobs = answers.terms
    ratio = pay_ratio(
        [job.pay_per_hour_cents for job in jobs], [usual.usual_for(job.trade) or 0 for job in jobs]
    )
    return features(
        [job.travel_s for job in jobs],
        ratio,
        [job.local_hour for job in jobs],
        [job.notice_s for job in jobs],
    )


def _by_trade(answers: Answers, trades: list[str]) -> Floats:
    return np.array([[job.trade == trade for trade in trades] for job in answers.terms], dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Quality:
    """As in `AcceptanceTraining`."""

    log_loss: float
    prior_log_loss: float
    base_log_loss: float
    calibration: list[dict[str, Any]]


def judge(answers: Answers) -> Quality | None:
    """By cross-validation: each answer is predicted from the answers about other visits alone. None where there are
    fewer visits than folds."""
    from sklearn.metrics import log_loss

    if len(set(answers.visits)) < FOLDS:
        return None
    model, prior, base = (np.empty(len(answers)) for _ in range(3))
    for known, held_out in _folds(answers):
        learned_from, asked = answers.at(known), answers.at(held_out)
        usual = usual_pay(learned_from.terms)
        model[held_out] = fit(learned_from).probabilities(asked.terms)
        prior[held_out] = stated_prior(usual.get("")).probabilities(asked.terms)
        base[held_out] = (learned_from.accepted.sum() + 1) / (len(known) + 2)
    by_model, by_prior, by_base = (
        float(log_loss(answers.accepted, said, labels=[False, True])) for said in (model, prior, base)
    )
    return Quality(by_model, by_prior, by_base, calibration(model, answers.accepted))


def _folds(answers: Answers) -> Iterator[tuple[NDArray[np.int_], NDArray[np.int_]]]:
    from sklearn.model_selection import GroupKFold

    folds = GroupKFold(FOLDS, shuffle=True, random_state=SEED)
    yield from folds.split(np.zeros(len(answers)), groups=answers.visits)


def calibration(predicted: Floats, accepted: NDArray[np.bool_]) -> list[dict[str, Any]]:
    """Bins of equally many answers, by rising probability: what was said on average, and what happened."""
    order = np.argsort(predicted, kind="stable")
    bins = max(1, min(MOST_BINS, len(order) // LEAST_IN_BIN))
    return [
        {
            "predicted": float(predicted[part].mean()),
            "observed": float(accepted[part].mean()),
            "count": len(part),
        }
        for part in np.array_split(order, bins)
    ]


def train(engine: Engine, organization_id: str, now: datetime) -> AcceptanceTraining:
    """Trains on what an organization's offers were answered, and stores it: in force from now on. Nothing is locked
    meanwhile. Raises `Conflict` where nothing was answered yet."""
    with open_session(engine, read_only=True) as session:
        answers = answers_of(session, organization_id, now)
    if not len(answers):
        raise Conflict("no_answers", "No offer was answered yet; the stated prior stands.")
    model, quality = fit(answers), judge(answers)
    training = AcceptanceTraining(
        organization_id=organization_id,
        trained_at=now,
        answers=len(answers),
        accepted=int(answers.accepted.sum()),
        weights=dict(model.weights),
        trades=dict(model.trades),
        usual_cents=dict(model.usual_cents),
    )
    if quality is not None:
        training.log_loss, training.prior_log_loss = quality.log_loss, quality.prior_log_loss
        training.base_log_loss, training.calibration = quality.base_log_loss, quality.calibration
    with transaction(engine) as session:
        session.add(training)
        session.flush()
        session.refresh(training)
        session.expunge(training)
    return training


def train_due(engine: Engine, now: datetime) -> AcceptanceTraining | None:
    """Trains one organization that got answers since its last training, a day ago or longer; of the first time, once
    it has `LEAST_ANSWERS`. One at a time, so that what else is due need not wait. Cheap where nothing is due."""
    with open_session(engine, read_only=True) as session:
        due = next((id_ for id_ in _with_new_answers(session, now) if _has_enough(session, id_, now)), None)
    return None if due is None else train(engine, due, now)


def _with_new_answers(session: Session, now: datetime) -> list[str]:
    last = (
        select(AcceptanceTraining.organization_id, func.max(AcceptanceTraining.trained_at).label("at"))
        .group_by(col(AcceptanceTraining.organization_id))
        .subquery()
    )
    never = datetime(1970, 1, 1, tzinfo=UTC)
    is_new = exists().where(
        col(Offer.organization_id) == Organization.id,
        col(Offer.status).in_(ANSWERED),
        col(Offer.answered_at) > func.coalesce(last.c.at, never),
    )
    query = (
        select(Organization.id)
        .outerjoin(last, last.c.organization_id == Organization.id)
        .where(or_(last.c.at.is_(None), last.c.at <= now - TRAIN_EVERY), is_new)
        .order_by(col(Organization.id))
    )
    return list(session.exec(query))


def _has_enough(session: Session, organization_id: str, now: datetime) -> bool:
    answered = (
        select(Offer.id)
        .where(Offer.organization_id == organization_id, _is_answered(now))
        .limit(LEAST_ANSWERS)
        .subquery()
    )
    return session.exec(select(func.count()).select_from(answered)).one() >= LEAST_ANSWERS
