"""What answers teach about acceptance, and what they must not."""

import subprocess
import sys
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest
from sqlalchemy import Engine
from sqlmodel import Session, select

from dispatch.acceptance import (
    PRIOR,
    AcceptanceModel,
    AcceptanceTraining,
    JobTerms,
    model_for,
    newest_training,
    stated_prior,
)
from dispatch.acceptance_training import (
    LEAST_ANSWERS,
    Answers,
    answers_of,
    calibration,
    fit,
    judge,
    train,
    train_due,
)
from dispatch.errors import Conflict
from dispatch.offer import OfferStatus
from tests.dispatch.answers import ORDINARY, USUAL, Answering, alike, generated
from tests.dispatch.world import NOW, World

HARDER = {"always": 1.5, "detour_hours": -1.5, "pay_doublings": 1.5, "evening": -1.0, "night": -2.5}
TRADES = {"plumbing": 0.4, "heating": -0.4}


@pytest.fixture
def answering(world: World) -> Answering:
    return Answering(world)


def test_known_weights_are_found_again() -> None:
    answers, _ = generated(20_000, HARDER, TRADES, seed=1)

    model = fit(answers)

    for name in ("detour_hours", "pay_doublings", "notice_missing_of_2h", "evening", "night"):
        assert model.weights[name] == pytest.approx({**PRIOR, **HARDER}[name], abs=0.2), name
    for trade in TRADES:
        assert model.weights["always"] + model.trades[trade] == pytest.approx(1.5 + TRADES[trade], abs=0.2)
    assert model.usual_for("plumbing") == pytest.approx(USUAL, rel=0.05)


def test_what_is_foretold_of_answers_not_seen_comes_true() -> None:
    learned_from, _ = generated(5_000, HARDER, TRADES, seed=2)
    later, truth = generated(5_000, HARDER, TRADES, seed=3)

    said = fit(learned_from).probabilities(later.terms)

    for each in calibration(said, later.accepted):
        assert each["predicted"] == pytest.approx(each["observed"], abs=0.06)
    assert np.abs(said - truth).mean() < 0.03


def test_cross_validation_tells_a_model_that_learned_from_one_that_could_not() -> None:
    answers, truth = generated(3_000, HARDER, TRADES, seed=4)

    quality = judge(answers)

    best = float(-np.log(np.where(answers.accepted, truth, 1 - truth)).mean())
    assert quality is not None
    assert quality.log_loss == pytest.approx(best, abs=0.02)
    assert quality.log_loss < quality.base_log_loss < quality.prior_log_loss
    assert sum(each["count"] for each in quality.calibration) == 3_000


def test_what_was_learned_of_a_visit_does_not_foretell_its_other_answers() -> None:
    """One visit of each kind of job: whoever saw another answer about it would foretell this one."""
    answers, _ = generated(40, HARDER, TRADES, seed=5)
    twice = Answers([*answers.terms] * 2, np.tile(answers.accepted, 2), [*answers.visits] * 2)
    strangers = Answers(twice.terms, twice.accepted, [str(i) for i in range(80)])

    by_visit, by_answer = judge(twice), judge(strangers)

    assert by_visit is not None
    assert by_answer is not None
    assert by_visit.log_loss > by_answer.log_loss


def test_quality_is_not_told_from_a_handful_of_visits() -> None:
    assert judge(alike(ORDINARY, [True] * 4)) is None


def test_without_answers_that_differ_from_it_the_prior_stays() -> None:
    as_foretold, _ = generated(4_000, {}, {"plumbing": 0.0}, seed=6)

    model = fit(as_foretold)

    asked, _ = generated(500, {}, {"plumbing": 0.0}, seed=7)
    moved = np.abs(model.probabilities(asked.terms) - stated_prior(USUAL).probabilities(asked.terms))
    assert moved.mean() < 0.03


@pytest.mark.parametrize("answer", [True, False])
def test_three_answers_move_the_prior_little(answer: bool) -> None:
    prior = stated_prior(USUAL).probability(ORDINARY)

    after = fit(alike(ORDINARY, [answer] * 3)).probability(ORDINARY)

    assert after == pytest.approx(prior, abs=0.06)
    assert after >= 0.9
    assert (after > prior) is answer


def test_what_was_never_asked_stays_as_much_harder_as_it_was_thought() -> None:
    """Half of the jobs by day are declined: those at night, of which nobody was asked, are no easier for that."""
    model = fit(alike(ORDINARY, [True, False] * 500))

    assert model.weights["night"] == pytest.approx(PRIOR["night"])
    assert model.probability(replace(ORDINARY, local_hour=2)) < 0.25


def test_a_thousand_answers_outweigh_the_prior() -> None:
    model = fit(alike(ORDINARY, [True, False] * 500))

    assert model.probability(ORDINARY) == pytest.approx(0.5, abs=0.03)


def test_answers_of_one_trade_say_something_of_another_and_less_of_it() -> None:
    heating = JobTerms(1800, USUAL, 10, 24 * 3600, "heating")
    answers = [*alike(ORDINARY, [True] * 60).terms, *alike(heating, [True] * 60).terms]
    accepted = np.array([i % 2 == 0 for i in range(60)] + [True] * 60)

    model = fit(Answers(answers, accepted, [str(i) for i in range(120)]))

    seldom, often = model.probability(ORDINARY), model.probability(heating)
    new = model.probability(JobTerms(1800, USUAL, 10, 24 * 3600, "roofing"))
    assert seldom < new < often


def test_the_web_foretells_without_what_training_needs() -> None:
    program = "import sys, api.app, dispatch.worker, dispatch.acceptance_training; sys.exit('sklearn' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


def test_the_same_answers_teach_the_same() -> None:
    answers, _ = generated(300, HARDER, TRADES, seed=8)

    assert fit(answers) == fit(answers)
    assert judge(answers) == judge(answers)


COUNTS = {
    OfferStatus.ACCEPTED: [True],
    OfferStatus.DECLINED: [False],
    OfferStatus.EXPIRED: [False],
    OfferStatus.COUNTERED: [False],
    OfferStatus.SUPERSEDED: [],
    OfferStatus.WITHDRAWN: [],
    OfferStatus.PENDING: [],
}


@pytest.mark.parametrize("status", OfferStatus)
def test_an_answer_is_what_the_technician_said_to_that_pay(
    world: World, answering: Answering, status: OfferStatus
) -> None:
    answering.offer(world.job(world.service()), world.technician(), status, answered_at=NOW)

    found = answers_of(world.session, world.organization.id, NOW)

    assert list(found.accepted) == COUNTS[status]


def test_an_offer_whose_time_is_over_was_not_accepted_also_before_that_was_noted(
    world: World, answering: Answering
) -> None:
    sent = answering.offer(world.job(world.service()), world.technician(), OfferStatus.PENDING)

    found = answers_of(world.session, world.organization.id, sent.expires_at)

    assert list(found.accepted) == [False]


def test_terms_are_as_they_were_when_the_offer_was_sent(world: World, answering: Answering) -> None:
    job = world.job(world.service(hours=2, required_skills={"heating": 2, "gas": 1}))
    answering.offer(job, world.technician(), OfferStatus.DECLINED, pay_cents=9000, detour_s=3600, hour=17)

    [terms] = answers_of(world.session, world.organization.id, NOW).terms

    assert terms == JobTerms(
        travel_s=3600,
        pay_per_hour_cents=3000,
        local_hour=17.0,
        notice_s=3 * 86_400 + 7 * 3600,
        trade="heating",
    )


def test_nothing_about_the_person_enters(world: World, answering: Answering, engine: Engine) -> None:
    """One accepts all, the other nothing; had each given the other's answers, all would be foretold the same."""
    eager, choosy = world.technician("Eager Ada"), world.technician("Choosy Cy")
    service = world.service()
    given = [
        answering.offer(world.job(service, km=1 + visit), who, status, detour_s=600 * (visit % 4))
        for visit in range(LEAST_ANSWERS)
        for who, status in ((eager, OfferStatus.ACCEPTED), (choosy, OfferStatus.DECLINED))
    ]
    organization_id = answering.commit()
    as_they_were = train(engine, organization_id, NOW)

    for offer in given:
        offer.technician_no = choosy.no if offer.technician_no == eager.no else eager.no
        world.session.add(offer)
    world.session.commit()
    exchanged = train(engine, organization_id, NOW)

    assert as_they_were.model().weights == exchanged.model().weights
    assert as_they_were.calibration == exchanged.calibration


def test_a_training_is_in_force_until_the_next(world: World, answering: Answering, engine: Engine) -> None:
    job, ada = world.job(world.service()), world.technician()
    for _ in range(10):
        answering.offer(job, ada, OfferStatus.ACCEPTED)
    organization_id = answering.commit()
    before = model_for(world.session, organization_id)
    world.session.commit()

    first = train(engine, organization_id, NOW)
    after_first = model_for(world.session, organization_id)
    for _ in range(30):
        answering.offer(job, ada, OfferStatus.DECLINED)
    world.session.commit()
    second = train(engine, organization_id, NOW + timedelta(hours=1))
    after_second = model_for(world.session, organization_id)

    assert (before.id, after_first.id, after_second.id) == (None, first.id, second.id)
    assert after_second == second.model()
    assert after_second.probability(ORDINARY) < after_first.probability(ORDINARY)


def test_a_training_that_was_rolled_back_is_not_in_force(
    world: World, answering: Answering, engine: Engine
) -> None:
    answering.history([world.technician()])
    organization_id = answering.commit()
    kept = train(engine, organization_id, NOW)
    with Session(engine) as session:
        lost = kept.model_dump(exclude={"id"}) | {"weights": dict.fromkeys(PRIOR, 0.0)}
        session.add(AcceptanceTraining(**lost))
        session.flush()
        assert model_for(session, organization_id).weights["always"] == 0
        session.rollback()

    assert model_for(world.session, organization_id) == kept.model()


def test_an_organization_learns_from_its_own_answers_alone(
    world: World, answering: Answering, engine: Engine
) -> None:
    answering.history([world.technician()])
    other_id = world.new_organization("other").id
    organization_id = answering.commit()

    train(engine, organization_id, NOW)

    with pytest.raises(Conflict, match="stated prior"):
        train(engine, other_id, NOW)
    assert model_for(world.session, other_id) == stated_prior()


def test_the_worker_trains_once_a_day_where_there_are_new_answers(
    world: World, answering: Answering, engine: Engine
) -> None:
    ada = world.technician()
    answering.history([ada])
    world.session.commit()

    def trained_at(now: datetime) -> datetime | None:
        done = train_due(engine, now)
        return done.trained_at if done else None

    assert trained_at(NOW) == NOW
    assert trained_at(NOW + timedelta(days=2)) is None

    news = answering.offer(
        world.job(world.service()), ada, OfferStatus.DECLINED, answered_at=NOW + timedelta(hours=1)
    )
    world.session.commit()

    assert trained_at(NOW + timedelta(hours=23)) is None
    assert trained_at(NOW + timedelta(days=1)) == NOW + timedelta(days=1)
    newest = newest_training(world.session, world.organization.id)
    assert newest is not None
    assert (newest.answers, news.status) == (41, OfferStatus.DECLINED)


def test_what_nobody_answered_is_no_reason_to_train(
    world: World, answering: Answering, engine: Engine
) -> None:
    ada = world.technician()
    answering.history([ada])
    world.session.commit()
    train_due(engine, NOW)

    job = world.job(world.service())
    answering.offer(job, ada, OfferStatus.SUPERSEDED, answered_at=NOW + timedelta(hours=1))
    answering.offer(job, ada, OfferStatus.WITHDRAWN, answered_at=NOW + timedelta(hours=1))
    world.session.commit()

    assert train_due(engine, NOW + timedelta(days=2)) is None


def test_the_stated_prior_stands_until_there_are_answers_enough(
    world: World, answering: Answering, engine: Engine
) -> None:
    job, ada = world.job(world.service()), world.technician()
    for _ in range(LEAST_ANSWERS - 1):
        answering.offer(job, ada, OfferStatus.DECLINED)
    world.session.commit()

    assert train_due(engine, NOW) is None

    answering.offer(job, ada, OfferStatus.DECLINED)
    world.session.commit()

    assert train_due(engine, NOW) is not None
    assert train_due(engine, NOW) is None


def test_organizations_are_trained_one_at_a_time(world: World, answering: Answering, engine: Engine) -> None:
    ada = world.technician()
    answering.history([ada])
    other = world.new_organization("other")
    service = world.service(organization=other)
    world.new_territory(other)
    for visit in range(LEAST_ANSWERS):
        answering.offer(world.job(service, km=visit), ada, OfferStatus.ACCEPTED)
    world.session.commit()

    trained = [train_due(engine, NOW) for _ in range(3)]

    assert {each.organization_id for each in trained if each} == {world.organization.id, other.id}
    assert trained[2] is None


def test_a_training_keeps_its_figures(world: World, answering: Answering, engine: Engine) -> None:
    answering.history([world.technician()])
    organization_id = answering.commit()

    train(engine, organization_id, NOW)

    stored = world.session.exec(select(AcceptanceTraining)).one()
    assert (stored.answers, stored.accepted, stored.trained_at) == (40, 28, NOW)
    assert stored.log_loss is not None
    assert set(stored.weights) == set(PRIOR)
    assert set(stored.trades) == {"plumbing"}
    assert sum(each["count"] for each in stored.calibration) == 40
    assert isinstance(stored.model(), AcceptanceModel)
