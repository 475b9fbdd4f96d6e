"""The stated prior, and what follows from probabilities: whom to ask, what to pay."""

import math
from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dispatch.acceptance import (
    AcceptanceModel,
    JobTerms,
    chance_of_filling,
    how_many_to_ask,
    model_for,
    stated_prior,
    terms_of,
)
from dispatch.technician import Kind, engagement_of
from tests.dispatch.world import World

USUAL = 6000
PRIOR = stated_prior(USUAL)
ORDINARY = JobTerms(
    travel_s=1800, pay_per_hour_cents=USUAL, local_hour=10, notice_s=24 * 3600, trade="plumbing"
)

chances = st.floats(0, 1, allow_nan=False)
hours = st.floats(0, 24, exclude_max=True, allow_nan=False)
jobs = st.builds(
    JobTerms,
    travel_s=st.integers(0, 5 * 3600),
    pay_per_hour_cents=st.integers(0, 8 * USUAL),
    local_hour=hours,
    notice_s=st.integers(-3600, 3 * 24 * 3600),
    trade=st.sampled_from(["", "plumbing", "heating"]),
)
models = st.builds(
    lambda weights, trade: AcceptanceModel(
        weights=dict(zip(PRIOR.weights, weights, strict=True)),
        trades={"plumbing": trade},
        usual_cents={"": USUAL},
    ),
    st.tuples(*(st.floats(-4, 4) for _ in PRIOR.weights)),
    st.floats(-2, 2),
)


@given(
    travel_s=st.integers(0, 3600),
    pay=st.sampled_from([0, USUAL]),
    hour=st.floats(6, 20, exclude_max=True),
    notice_s=st.integers(2 * 3600, 30 * 24 * 3600),
)
def test_an_ordinary_job_is_accepted_nine_times_in_ten(
    travel_s: int, pay: int, hour: float, notice_s: int
) -> None:
    assert PRIOR.probability(JobTerms(travel_s, pay, hour, notice_s, "plumbing")) >= 0.9


def test_an_hour_on_the_way_to_an_hour_of_work_is_ordinary_though_it_halves_the_pay_an_hour() -> None:
    assert PRIOR.probability(replace(ORDINARY, travel_s=3600, pay_per_hour_cents=USUAL // 2)) >= 0.9


def test_a_usual_job_is_accepted_about_nineteen_times_in_twenty() -> None:
    assert PRIOR.probability(ORDINARY) == pytest.approx(0.95, abs=0.015)


@pytest.mark.parametrize(
    "change",
    [
        {"travel_s": 2 * 3600},
        {"pay_per_hour_cents": USUAL // 4},
        {"local_hour": 2.5},
        {"local_hour": 23.0},
        {"notice_s": 0},
    ],
)
def test_what_is_hard_to_ask_is_not_ordinary(change: dict[str, float]) -> None:
    assert PRIOR.probability(replace(ORDINARY, **change)) < 0.9


@given(jobs, st.integers(0, 5 * 3600))
def test_more_detour_is_never_better(job: JobTerms, more: int) -> None:
    assert PRIOR.probability(replace(job, travel_s=job.travel_s + more)) <= PRIOR.probability(job)


@given(jobs, st.integers(0, 8 * USUAL))
def test_more_pay_is_never_worse(job: JobTerms, more: int) -> None:
    assume(job.pay_per_hour_cents > 0)
    better = replace(job, pay_per_hour_cents=job.pay_per_hour_cents + more)

    assert PRIOR.probability(better) >= PRIOR.probability(job)


@given(jobs, st.integers(0, 24 * 3600))
def test_more_notice_is_never_worse(job: JobTerms, more: int) -> None:
    assert PRIOR.probability(replace(job, notice_s=job.notice_s + more)) >= PRIOR.probability(job)


@given(jobs)
def test_no_hour_is_better_than_the_middle_of_the_day(job: JobTerms) -> None:
    assert PRIOR.probability(replace(job, local_hour=12)) >= PRIOR.probability(job)


@given(jobs)
def test_pay_that_nobody_knows_counts_as_the_usual(job: JobTerms) -> None:
    unknown, usual = replace(job, pay_per_hour_cents=0), replace(job, pay_per_hour_cents=USUAL)

    assert PRIOR.probability(unknown) == PRIOR.probability(usual)
    assert stated_prior().probability(job) == PRIOR.probability(usual)


@given(models, st.lists(jobs, max_size=20))
def test_many_at_once_get_what_each_gets_alone(model: AcceptanceModel, many: list[JobTerms]) -> None:
    together = model.probabilities(many)

    assert together == pytest.approx([model.probability(job) for job in many])
    assert np.all((together >= 0) & (together <= 1))


def test_columns_broadcast() -> None:
    found = PRIOR.probabilities_of([0, 1800, 7200], USUAL, 10, 24 * 3600, "plumbing")

    assert found == pytest.approx([PRIOR.probability(replace(ORDINARY, travel_s=s)) for s in (0, 1800, 7200)])


@given(models, jobs, chances)
def test_the_pay_that_reaches_a_chance_does_and_a_cent_less_does_not(
    model: AcceptanceModel, job: JobTerms, wanted: float
) -> None:
    pay = model.pay_to_reach(job, wanted)

    if pay is None:
        assert model.probability(replace(job, pay_per_hour_cents=4 * USUAL)) < wanted
        return
    assert model.probability(replace(job, pay_per_hour_cents=pay)) >= wanted - 1e-9
    assert model.probability(replace(job, pay_per_hour_cents=4 * USUAL)) >= wanted
    if pay > USUAL / 8 + 1:
        assert model.probability(replace(job, pay_per_hour_cents=pay - 1)) < wanted + 1e-9


def test_pay_is_found_from_a_chance_as_the_chance_from_pay() -> None:
    night = replace(ORDINARY, local_hour=2.0, pay_per_hour_cents=7500)

    assert PRIOR.pay_to_reach(night, PRIOR.probability(night)) in (7500, 7501)


def test_no_pay_is_advised_where_nobody_knows_the_usual() -> None:
    assert stated_prior().pay_to_reach(ORDINARY, 0.5) is None


def test_no_pay_is_advised_where_more_pay_was_seen_to_do_nothing() -> None:
    indifferent = AcceptanceModel(
        PRIOR.weights | {"pay_doublings": 0.0, "always": 0.0}, usual_cents={"": USUAL}
    )

    assert indifferent.pay_to_reach(ORDINARY, 0.9) is None


@pytest.mark.parametrize("wanted", [-0.1, 1.1, math.nan])
def test_what_is_no_probability_is_refused(wanted: float) -> None:
    with pytest.raises(ValueError, match="from 0 to 1"):
        PRIOR.pay_to_reach(ORDINARY, wanted)


def test_two_who_accept_half_the_time_fill_it_three_times_in_four() -> None:
    assert chance_of_filling([0.5, 0.5]) == 0.75
    assert chance_of_filling([]) == 0


@given(st.lists(chances), chances)
def test_one_more_never_lowers_the_chance_of_filling(asked: list[float], one_more: float) -> None:
    before, after = chance_of_filling(asked), chance_of_filling([*asked, one_more])

    assert 0 <= before <= after <= 1
    assert after >= one_more - 1e-12


@given(st.lists(chances), chances)
def test_as_few_are_asked_as_reach_what_is_wanted(ranked: list[float], wanted: float) -> None:
    count = how_many_to_ask(ranked, wanted)

    assert 0 <= count <= len(ranked)
    if chance_of_filling(ranked) >= wanted:
        assert chance_of_filling(ranked[:count]) >= wanted
        assert all(chance_of_filling(ranked[:fewer]) < wanted for fewer in range(count))
    else:
        assert count == len(ranked)


def test_terms_are_of_the_job_where_it_is() -> None:
    new_york = ZoneInfo("America/New_York")
    start, now = datetime(2027, 3, 14, 12, 30, tzinfo=UTC), datetime(2027, 3, 14, 6, tzinfo=UTC)

    terms = terms_of("heating", new_york, start, now, work_s=3600, detour_s=1800, pay_cents=9000)

    assert terms == JobTerms(1800, 6000, 8.5, 23_400, "heating")


def test_without_answers_the_usual_pay_is_what_freelancers_are_engaged_at(world: World) -> None:
    for name, pay in (("Ada A", 5000), ("Bea B", 6000), ("Cy C", 9000)):
        engage(world, name, Kind.FREELANCER, pay)
    engage(world, "Eve E", Kind.EMPLOYEE, 100)
    engage(world, "Dan D", Kind.FREELANCER, None)

    model = model_for(world.session, world.organization.id)

    assert model.usual_for("plumbing") == 6000
    assert model.weights == PRIOR.weights


def engage(world: World, name: str, kind: Kind, pay: int | None) -> None:
    technician = world.technician(name, kind=kind, hours=None)
    engagement = engagement_of(world.session, technician, world.organization.id)
    engagement.pay_per_hour_cents = pay
    world.session.add(engagement)
    world.session.flush()
