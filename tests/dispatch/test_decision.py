"""Decisions about technicians: what they say, and for how long."""

from datetime import datetime, timedelta

import pytest
from sqlmodel import select

from dispatch.decision import Decision, Outcome, decisions_about, note
from dispatch.errors import Conflict, InvalidState
from dispatch.events import Actor, events_of
from dispatch.ids import new_id
from dispatch.review import Review, ReviewOutcome, answer, ask, forget_decided
from dispatch.technician import EngagementStatus, Technician, engagement_of
from tests.dispatch.world import DISPATCHER, NOW, World

DAYS = timedelta(days=1)


def noted(world: World, technician: Technician, at: datetime = NOW) -> Decision:
    assert technician.no is not None
    visit = world.job(world.service()).appointment
    facts = [{"code": "outside_radius", "detail": "lives too far away", "by": 1200}]
    found = note(
        world.session, world.organization.id, visit.id, technician.no, Outcome.NOT_OFFERED, facts, at
    )
    world.session.flush()
    return found


def suspended(world: World, technician: Technician, at: datetime = NOW) -> Decision:
    assert technician.no is not None
    engagement_of(world.session, technician, world.organization.id).suspend("The insurance has run out.")
    facts = [{"code": "suspended", "detail": "The insurance has run out."}]
    found = note(world.session, world.organization.id, None, technician.no, Outcome.SUSPENDED, facts, at)
    world.session.flush()
    return found


def asked_by(technician: Technician) -> Actor:
    return Actor("technician", technician.id)


def test_a_fact_keeps_its_code_its_sentence_and_its_figures(world: World) -> None:
    decision = noted(world, world.technician())

    assert decision.facts == [{"code": "outside_radius", "detail": "lives too far away", "by": 1200}]


def test_nobody_else_is_in_a_decision(world: World) -> None:
    ada, eve = world.technician(), world.technician("Eve Fixer")
    assert ada.no is not None
    visit = world.job(world.service()).appointment
    facts = [
        {
            "code": "no_time",
            "detail": "has no time left",
            "technicians": [eve.id],
            "appointment_id": new_id(),
        },
        {"code": "excluded", "detail": f"only {eve.id} may", "name": eve.name, "rank": 2, "cost": 1.5},
    ]

    decision = note(world.session, visit.organization_id, visit.id, ada.no, Outcome.NOT_OFFERED, facts, NOW)

    assert decision.facts == [
        {"code": "no_time", "detail": "has no time left"},
        {"code": "excluded", "detail": "only another may", "rank": 2, "cost": 1.5},
    ]


def test_what_a_person_wrote_of_a_suspension_stays_as_it_is(world: World) -> None:
    ada = world.technician()
    assert ada.no is not None
    reason = f"Visit {new_id()} was charged twice."
    facts = [{"code": "suspended", "detail": reason}]

    decision = note(world.session, world.organization.id, None, ada.no, Outcome.SUSPENDED, facts, NOW)

    assert decision.facts == facts


def test_decisions_are_forgotten_after_their_time(world: World) -> None:
    ada = world.technician()
    noted(world, ada, NOW - 2 * DAYS)
    recent = noted(world, ada, NOW)

    forgotten = forget_decided(world.session, NOW - DAYS)

    assert forgotten == 1
    assert world.session.exec(decisions_about(ada)).all() == [recent]


def test_a_decision_is_kept_until_its_answer_is_as_old(world: World) -> None:
    ada = world.technician()
    decision = noted(world, ada, NOW - 50 * DAYS)
    review = ask(world.session, decision, None, asked_by(ada), NOW - 40 * DAYS)

    while_open = forget_decided(world.session, NOW - 30 * DAYS)
    answer(world.session, review, "It stands.", ReviewOutcome.UPHELD, DISPATCHER, NOW - 20 * DAYS)
    soon_after = forget_decided(world.session, NOW - 30 * DAYS)
    at_last = forget_decided(world.session, NOW - 10 * DAYS)

    assert (while_open, soon_after, at_last) == (0, 0, 1)
    assert world.session.exec(select(Review)).all() == []


def test_a_suspension_is_told_as_long_as_it_stands(world: World) -> None:
    ada = world.technician()
    suspended(world, ada, NOW - 50 * DAYS)

    while_it_stands = forget_decided(world.session, NOW)
    engagement = engagement_of(world.session, ada, world.organization.id)
    engagement.reinstate()
    world.session.add(engagement)
    world.session.flush()
    afterwards = forget_decided(world.session, NOW)

    assert (while_it_stands, afterwards) == (0, 1)
    assert engagement.status is EngagementStatus.ACTIVE


def test_a_review_is_due_in_two_weeks_and_overdue_after(world: World) -> None:
    ada = world.technician()

    review = ask(world.session, noted(world, ada), "I live nearer.", asked_by(ada), NOW)

    assert review.due_at == NOW + timedelta(weeks=2)
    assert not review.is_overdue(review.due_at)
    assert review.is_overdue(review.due_at + timedelta(seconds=1))
    answer(world.session, review, "Late, but so it is.", ReviewOutcome.CHANGED, DISPATCHER, NOW + 15 * DAYS)
    assert not review.is_overdue(NOW + 16 * DAYS)


def test_a_decision_is_reviewed_once(world: World) -> None:
    ada = world.technician()
    decision = noted(world, ada)
    review = ask(world.session, decision, None, asked_by(ada), NOW)

    with pytest.raises(Conflict, match="answers by 2026-12-07 15:00 UTC") as asked_again:
        ask(world.session, decision, "Again.", asked_by(ada), NOW)
    answer(world.session, review, "It stands.", ReviewOutcome.UPHELD, DISPATCHER, NOW)
    with pytest.raises(Conflict, match="has looked again already"):
        ask(world.session, decision, "Again.", asked_by(ada), NOW)
    with pytest.raises(InvalidState):
        answer(world.session, review, "Or not.", ReviewOutcome.CHANGED, DISPATCHER, NOW)

    assert (asked_again.value.code, asked_again.value.extra["review_id"]) == ("already_asked", review.id)


def test_asking_and_answering_are_recorded_without_the_words(world: World) -> None:
    ada = world.technician()
    review = ask(world.session, noted(world, ada), "I live nearer.", asked_by(ada), NOW)
    answer(world.session, review, "It stands.", ReviewOutcome.UPHELD, DISPATCHER, NOW + 15 * DAYS)
    world.session.flush()

    events = events_of(world.session, review.id)

    assert [(event.type, event.by, event.by_id) for event in events] == [
        ("review.asked", "technician", ada.id),
        ("review.answered", "dispatcher", DISPATCHER.id),
    ]
    assert events[1].after == {"outcome": "upheld", "in_time": False}
    assert not any("nearer" in f"{event.reason} {event.after}" for event in events)
