"""Rounds: whom to ask, for how long, and what is left of it for other visits."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlmodel import select

import optimizer
from dispatch import booking, offering, outbox, placing, ranking
from dispatch.appointment import Status
from dispatch.asking import DEFAULT_ANSWER_TIME, LEAST_ANSWER_TIME
from dispatch.booking import promise
from dispatch.decision import Decision, Outcome
from dispatch.errors import NoLongerFits
from dispatch.events import Actor
from dispatch.offer import Offer, OfferStatus, OfferStrategy
from dispatch.offer_round import OfferRound, RoundStatus
from dispatch.offering import Wanted
from dispatch.outbox import Notification
from dispatch.planning import Job, load_for_plan
from dispatch.promise import PromiseKind
from dispatch.technician import Technician
from tests.dispatch.world import DISPATCHER, NOW, TOMORROW, World, clock_time

MORNING = clock_time(9), clock_time(11)
ADA = Actor("technician")


class Usd:
    currency = "USD"

    def __init__(self, amount: int) -> None:
        self.amount = amount


def promised(world: World, km: float = 1, hours: float = 1) -> Job:
    """With nobody, for a start from nine to eleven."""
    job = world.job(world.service(hours), km)
    promise(world.session, world.settings, job.appointment, MORNING, PromiseKind.GIVEN, DISPATCHER, NOW)
    world.session.flush()
    return job


def sent(
    world: World,
    job: Job,
    strategy: OfferStrategy,
    *people: Technician,
    now: datetime = NOW,
    pay: int | None = None,
    expires_in_s: int | None = None,
) -> list[Offer]:
    wanted = Wanted(strategy, [one.id for one in people], expires_in_s, None if pay is None else Usd(pay))
    return offering.send(world.session, world.settings, job.appointment, wanted, DISPATCHER, now)


def ranked(world: World, job: Job) -> list[tuple[int, int]]:
    found = ranking.rank(world.session, world.settings, job, MORNING)
    return [(one.no, one.insertion.extra_cents) for one in found]


def test_the_cheapest_is_asked_first_and_told_so(world: World) -> None:
    far, near = world.technician("Far", home_km=9), world.technician("Near", home_km=2)
    job = promised(world)

    [offer] = sent(world, job, OfferStrategy.CASCADE)

    assert offer.technician_no == near.no
    assert {"code": "rank", "rank": 1, "of": 2}.items() <= offer.why[-1].items()
    assert [no for no, _ in ranked(world, job)] == [near.no, far.no]


def test_whoever_is_able_learns_why_it_was_asked_or_not(world: World) -> None:
    near = world.technician("Near")
    world.technician("Far", home_km=9)
    world.technician("Painter", skills={"painting": 3})
    world.technician("Off", hours=None)
    job = promised(world)

    [offer] = sent(world, job, OfferStrategy.CASCADE)

    notes = world.session.exec(select(Decision).order_by(Decision.technician_no)).all()
    assert [(note.outcome, note.facts[-1]["code"]) for note in notes] == [
        (Outcome.OFFERED, "rank"),
        (Outcome.NOT_OFFERED, "detour"),
        (Outcome.NOT_OFFERED, "no_shift"),
    ]
    assert (notes[0].technician_no, notes[0].offer_id) == (near.no, offer.id)
    assert "Near" not in str([note.facts for note in notes[1:]])


@pytest.mark.parametrize(
    ("ahead", "deadline"),
    [
        (timedelta(hours=20), MORNING[0] - timedelta(hours=2)),
        (timedelta(hours=2), MORNING[0] - timedelta(hours=1)),
        (timedelta(minutes=30), MORNING[0] - timedelta(minutes=15)),
        (timedelta(hours=-1), MORNING[1] - timedelta(minutes=30)),
    ],
)
def test_the_deadline_lies_two_hours_ahead_or_halves_what_is_left(
    world: World, ahead: timedelta, deadline: datetime
) -> None:
    world.technician(hours=(8, 16))
    job = promised(world)

    [offer] = sent(world, job, OfferStrategy.BROADCAST, now=MORNING[0] - ahead)

    assert offer.expires_at == deadline


def test_a_broadcast_asks_five_though_one_would_do(world: World) -> None:
    for number in range(7):
        world.technician(f"Plumber {number}", home_km=number)

    assert len(sent(world, promised(world), OfferStrategy.BROADCAST)) == 5


def test_no_round_writes_a_line_for_everybody(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dispatch.asking.MOST_PASSED_OVER", 1)
    for number in range(3):
        world.technician(f"Plumber {number}", home_km=number)

    sent(world, promised(world), OfferStrategy.CASCADE)

    outcomes = world.session.exec(select(Decision.outcome)).all()
    assert sorted(outcomes) == [Outcome.NOT_OFFERED, Outcome.OFFERED]


def test_each_of_a_cascade_has_its_part_of_the_time(world: World) -> None:
    """At a quarter of the usual pay five are needed; each has a fifth of the time left, but an hour at most."""
    for number in range(6):
        world.technician(f"Technician {number}")
    near, late = MORNING[0] - timedelta(hours=20), MORNING[0] - timedelta(hours=3)
    job = promised(world)

    [early] = sent(world, job, OfferStrategy.CASCADE, pay=1000, now=near)
    [in_time] = sent(world, job, OfferStrategy.CASCADE, pay=1000, now=late)

    assert early.expires_at - near == DEFAULT_ANSWER_TIME
    assert LEAST_ANSWER_TIME < in_time.expires_at - late < timedelta(minutes=30)


def test_when_five_minutes_for_each_are_not_left_the_rest_is_asked_at_once(world: World) -> None:
    for number in range(6):
        world.technician(f"Technician {number}")
    job = promised(world)

    offers = sent(world, job, OfferStrategy.CASCADE, pay=1000, now=MORNING[0] - timedelta(minutes=20))

    assert len(offers) > 1
    assert {offer.strategy for offer in offers} == {OfferStrategy.BROADCAST}
    assert job.appointment.status is Status.UNASSIGNED


def test_an_accepted_broadcast_supersedes_ones_own_that_fit_no_more(world: World) -> None:
    """Two hours of work each, to begin from nine to eleven: Ada has time for one of them, Bo for the other."""
    ada, bo = world.technician("Ada", hours=(9, 12)), world.technician("Bo", hours=(9, 12))
    one, other, short = promised(world, hours=2), promised(world, 2, hours=2), promised(world, hours=0.25)
    everybody = (ada, bo)
    mine = [sent(world, job, OfferStrategy.BROADCAST, *everybody) for job in (one, other, short)]
    to_ada = [next(offer for offer in offers if offer.technician_no == ada.no) for offers in mine]
    to_bo = [next(offer for offer in offers if offer.technician_no == bo.no) for offers in mine]

    offering.accept(world.session, world.settings, to_ada[0], ADA, NOW)

    assert [offer.status for offer in to_ada] == [
        OfferStatus.ACCEPTED,
        OfferStatus.SUPERSEDED,
        OfferStatus.PENDING,
    ]
    assert [offer.status for offer in to_bo] == [
        OfferStatus.SUPERSEDED,
        OfferStatus.PENDING,
        OfferStatus.PENDING,
    ]


def test_who_accepts_what_nothing_was_promised_of_makes_the_promise(world: World) -> None:
    ada = world.technician()
    job = world.job(world.service(), 2, earliest_start=clock_time(9))
    [offer] = sent(world, job, OfferStrategy.BROADCAST)

    visit = offering.accept(world.session, world.settings, offer, Actor("technician", ada.id), NOW)

    assert visit.status is Status.DISPATCHED
    assert (visit.window_start, visit.scheduled_start) == (clock_time(9), clock_time(9))
    told = select(Notification.kind).where(Notification.appointment_id == visit.id)
    assert {outbox.Kind.BOOKED, outbox.Kind.TECHNICIAN_CONFIRMED} <= set(world.session.exec(told))


def test_accepting_inserts_into_the_one_calendar_of_all_organizations(world: World) -> None:
    ada = world.technician("Ada", hours=(9, 12))
    rival = world.new_organization("rival")
    world.new_territory(rival)
    world.engage(ada, rival, {"plumbing": 3})
    ours = promised(world, hours=2)
    [offer] = sent(world, ours, OfferStrategy.BROADCAST, ada)
    theirs = world.job(world.service(2, organization=rival), 2)
    placing.place(world.session, world.settings, theirs, MORNING)

    with pytest.raises(NoLongerFits), world.session.begin_nested():
        offering.accept(world.session, world.settings, offer, ADA, NOW)

    world.session.expire_all()
    assert offer.status is OfferStatus.PENDING
    assert ours.appointment.status is Status.UNASSIGNED


def test_a_plan_leaves_alone_what_several_are_asked_about(world: World) -> None:
    ada = world.technician()
    asked, other = promised(world), promised(world, 2)
    sent(world, asked, OfferStrategy.BROADCAST, ada)

    day, _ = load_for_plan(world.session, world.settings, world.territory, TOMORROW, NOW, None)

    assert asked.appointment.id not in day.jobs
    assert other.appointment.id in day.jobs


def test_a_counter_offer_keeps_its_time_in_the_plan(world: World) -> None:
    ada = world.technician()
    asked = promised(world)
    [offer] = sent(world, asked, OfferStrategy.DIRECT, ada)

    offering.counter(world.session, offer, Usd(9000), None, ADA, NOW)

    day, _ = load_for_plan(world.session, world.settings, world.territory, TOMORROW, NOW, None)
    [visit] = [visit for visit in day.problem.visits if visit.id == asked.appointment.id]
    assert visit.pin is not None
    assert visit.pin.technician == ada.id


def test_what_nobody_takes_is_told_with_the_radius_that_would_do(world: World) -> None:
    """Ada would travel 3 km, and it is 8 as the crow flies: 10.4 by road."""
    ada = world.technician(home_km=0)
    ada.max_travel_m = 3000
    world.session.add(ada)
    job = promised(world, km=8)
    world.technician("Bo", home_km=8, hours=(9, 11))

    [offer] = sent(world, job, OfferStrategy.CASCADE)
    offering.decline(world.session, world.settings, offer, ADA, NOW, None)

    [row] = world.session.exec(select(OfferRound)).all()
    assert row.status is RoundStatus.UNFILLED
    [wider] = [reason for reason in row.would_fill_if if reason["code"] == "outside_radius"]
    assert 7300 < wider["by"] < 7500


# Declining never lowers a rank


def test_who_has_declined_ten_offers_ranks_and_is_planned_as_who_has_declined_none(world: World) -> None:
    """Two worlds that differ in nothing but Ada's answers."""
    ada = world.technician("Ada", home_km=1)
    for name, km in (("Bo", 1), ("Cy", 4)):
        world.technician(name, home_km=km)
    ten = [promised(world, number / 2, hours=0.25) for number in range(10)]
    waiting = [promised(world, km) for km in (0, 3, 6)]

    declined = afterwards(world, ten, waiting, asked=ada)
    silent = afterwards(world, ten, waiting, asked=None)

    assert declined == silent
    rankings, routes = declined
    assert all(len(ranking) == 3 for ranking in rankings)
    assert sum(len(stops) for _, stops in routes) == len(waiting)


def afterwards(world: World, ten: Sequence[Job], waiting: Sequence[Job], asked: Technician | None) -> Any:
    """Who is ranked how for the visits that wait, and how they are planned, after the ten were declined, if somebody
    was asked about them, and cancelled. All of it is rolled back."""
    session, settings = world.session, world.settings
    trial = session.begin_nested()
    for job in ten:
        if asked is not None:
            [offer] = sent(world, job, OfferStrategy.DIRECT, asked)
            offering.decline(session, settings, offer, ADA, NOW, "No.")
        booking.cancel(session, settings, job.appointment, DISPATCHER, NOW)
    day, _ = load_for_plan(session, settings, world.territory, TOMORROW, NOW, None)
    plan = optimizer.solve(day.problem, max_work=200, seed=0, start=day.plan)
    routes = [(route.technician, [(stop.visit, stop.start) for stop in route.stops]) for route in plan.routes]
    rankings = [ranked(world, job) for job in waiting]
    trial.rollback()
    return rankings, routes
