"""What a dispatcher may give to whom, what it costs and breaks, and who gives way."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlmodel import select

from dispatch import offering, overriding
from dispatch.appointment import Status
from dispatch.calendar import BlockKind, CalendarBlock, epoch
from dispatch.choosing import Considered, candidates_for
from dispatch.decision import Decision, Outcome
from dispatch.errors import InfeasibleOverride, Invalid, InvalidState, UnknownReference
from dispatch.events import Actor, Event
from dispatch.offer import Offer, OfferStatus
from dispatch.organization import Organization
from dispatch.overriding import Choice
from dispatch.planning import Job
from dispatch.promise import Promise
from dispatch.proposing import Proposal
from dispatch.technician import EngagementStatus, Kind, Technician, engagement_of
from tests.dispatch.world import DISPATCHER, NOW, TOMORROW, World, clock_time

Window = tuple[datetime, datetime]
WHY = "She knows the house."


def window(begin: int, end: int) -> Window:
    return clock_time(begin), clock_time(end)


def give(world: World, job: Job, technician: Technician, hour: int | None = None, **wish: Any) -> Proposal:
    """At a full hour, or where it costs least."""
    choice = Choice(technician.id, None if hour is None else clock_time(hour), **wish)
    return overriding.override(world.session, world.settings, job.appointment, choice, DISPATCHER, NOW, WHY)


def ask(world: World, job: Job, technician: Technician, hour: int | None = None, **wish: Any) -> Proposal:
    """What would come of it."""
    choice = Choice(technician.id, None if hour is None else clock_time(hour), **wish)
    return overriding.preview(world.session, world.settings, job.appointment, choice, NOW)[0]


def stood(world: World, technician: Technician, hour: int, km: float = 1, **wish: Any) -> Job:
    """A visit of an hour, promised for two hours around its start, in the technician's day."""
    job = world.job(world.service(), km)
    promised = clock_time(hour) - timedelta(minutes=30), clock_time(hour) + timedelta(minutes=90)
    give(world, job, technician, hour, **({"window": promised, "by_phone": True, "pin": False} | wish))
    return job


def refused(
    world: World, job: Job, technician: Technician, hour: int | None = None, **wish: Any
) -> list[Any]:
    """The codes, and whose visits are in the way."""
    with pytest.raises(InfeasibleOverride) as caught, world.session.begin_nested():
        give(world, job, technician, hour, **wish)
    world.session.expire_all()
    return [
        (each["code"], each["appointment_id"]) if "appointment_id" in each else each["code"]
        for each in caught.value.extra["violations"]
    ]


def events(world: World, job: Job) -> list[Event]:
    query = select(Event).where(Event.subject_id == job.appointment.id).order_by(Event.at, Event.id)
    return list(world.session.exec(query))


def block_of(world: World, job: Job) -> CalendarBlock | None:
    query = select(CalendarBlock).where(CalendarBlock.appointment_id == job.appointment.id)
    return world.session.exec(query).first()


def considered(world: World, job: Job) -> dict[str, Considered]:
    found = candidates_for(world.session, world.settings, job.appointment, TOMORROW, NOW)
    return {one.technician_id: one for one in found}


# What fits


def test_an_employee_gets_the_visit_where_it_costs_least(world: World) -> None:
    ada = world.technician("Ada", kind=Kind.EMPLOYEE)
    job = world.job(world.service(), 5, earliest_start=clock_time(6))

    proposal = give(world, job, ada)

    appointment = world.appointment(job)
    assert (appointment.status, appointment.technician_no) == (Status.SCHEDULED, ada.no)
    assert (appointment.pinned, appointment.pinned_time) == (True, False)
    assert appointment.scheduled_start == clock_time(8) + timedelta(seconds=1056)
    assert proposal.change.travel_s == 2 * 1056
    assert proposal.violations == proposal.moved == ()


def test_what_a_dry_run_says_is_what_is_done(world: World) -> None:
    ada, bo = (
        world.technician("Ada", kind=Kind.EMPLOYEE),
        world.technician("Bo", home_km=9, kind=Kind.EMPLOYEE),
    )
    job = stood(world, ada, 9, km=4)
    before = world.appointment(job).model_dump()

    said = ask(world, job, bo, 10)
    shown = overriding.preview(
        world.session, world.settings, job.appointment, Choice(bo.id, clock_time(10)), NOW
    )[1]

    assert world.appointment(job).model_dump() == before
    assert (shown.technician_no, shown.scheduled_start, shown.version) == (
        bo.no,
        clock_time(10),
        before["version"],
    )
    done = give(world, job, bo, 10)
    assert (done.change, done.start, done.moved) == (said.change, said.start, said.moved)
    assert world.appointment(job).scheduled_start == shown.scheduled_start


def test_moving_to_whom_is_nearer_costs_less_than_nothing(world: World) -> None:
    ada, bo = (
        world.technician("Ada", kind=Kind.EMPLOYEE),
        world.technician("Bo", home_km=9, kind=Kind.EMPLOYEE),
    )
    job = stood(world, ada, 9, km=8)

    there = ask(world, job, bo, 9).change
    stays = ask(world, job, ada, 9).change

    assert there.travel_s == 2 * (307 - 1618)
    assert there.cents < 0
    assert (stays.travel_s, stays.cents) == (0, 0)


def test_the_price_of_an_unassigned_visit_is_that_of_the_candidates(world: World) -> None:
    people = [world.technician("Ada"), world.technician("Bo", home_km=9, kind=Kind.EMPLOYEE)]
    stood(world, people[0], 10, km=3)
    job = world.job(world.service(), 5, earliest_start=clock_time(8))

    by_id = considered(world, job)

    for technician in people:
        proposal, one = ask(world, job, technician), by_id[technician.id]
        assert (proposal.change.travel_s, proposal.change.cents) == (one.extra_travel_s, one.extra_cents)
        assert proposal.start == one.start


def test_the_former_technicians_time_is_given_back(world: World) -> None:
    ada, bo = world.technician("Ada"), world.technician("Bo")
    job = stood(world, ada, 9)

    give(world, job, bo, 11, force=True, by_phone=True)

    block = block_of(world, job)
    assert block is not None
    assert (block.technician_no, block.work_from) == (bo.no, epoch(clock_time(11)))


def test_nobody_of_another_organization_is_chosen(world: World) -> None:
    stranger = world.technician("Eve", organization=world.new_organization("rival"))
    job = world.job(world.service(), 5)

    with pytest.raises(UnknownReference):
        give(world, job, stranger)


# Who is asked


def test_a_freelancer_is_asked_alone_and_its_time_is_kept(world: World) -> None:
    ada = world.technician("Ada")
    job = world.job(world.service(), 5)

    give(world, job, ada, 10)

    (offer,) = world.session.exec(select(Offer)).all()
    block = block_of(world, job)
    assert (offer.status, offer.technician_no) == (OfferStatus.PENDING, ada.no)
    assert block is not None
    assert block.kind is BlockKind.OFFER
    assert world.appointment(job).status is Status.SCHEDULED


def test_a_freelancer_who_said_yes_by_phone_is_dispatched_with_the_reason(world: World) -> None:
    ada = world.technician("Ada")
    job = world.job(world.service(), 5)

    give(world, job, ada, 10, by_phone=True)

    assert world.appointment(job).status is Status.DISPATCHED
    assert world.session.exec(select(Offer)).all() == []
    assert ("appointment.dispatched", WHY) in [(each.type, each.reason) for each in events(world, job)]
    (decision,) = world.session.exec(select(Decision)).all()
    assert (decision.technician_no, decision.outcome) == (ada.no, Outcome.ASSIGNED)


def test_an_employees_visit_is_dispatched_when_its_release_is_past(world: World) -> None:
    ada = world.technician("Ada", kind=Kind.EMPLOYEE)
    near, far = (world.job(world.service(release_before_s=lead), 5) for lead in (86_400, 3_600))

    give(world, near, ada, 10)
    give(world, far, ada, 13)

    assert world.appointment(near).status is Status.DISPATCHED
    assert world.appointment(far).status is Status.SCHEDULED


def test_a_pending_offer_is_superseded_by_the_choice_of_another(world: World) -> None:
    ada, bo = world.technician("Ada"), world.technician("Bo")
    job = world.job(world.service(), 5)
    give(world, job, ada, 10)

    give(world, job, bo, 10)

    offers = world.session.exec(select(Offer).order_by(Offer.created_at, Offer.id)).all()
    assert [(offer.technician_no, offer.status) for offer in offers] == [
        (ada.no, OfferStatus.SUPERSEDED),
        (bo.no, OfferStatus.PENDING),
    ]


def test_an_acceptance_is_taken_back_and_its_technician_can_read_why(world: World) -> None:
    ada, bo = world.technician("Ada"), world.technician("Bo", kind=Kind.EMPLOYEE)
    job = world.job(world.service(release_before_s=60), 5)
    give(world, job, ada, 10)
    (offer,) = world.session.exec(select(Offer)).all()
    offering.accept(world.session, world.settings, offer, Actor("technician", ada.id), NOW)

    give(world, job, bo, 10)

    assert world.appointment(job).status is Status.SCHEDULED
    assert offer.status is OfferStatus.SUPERSEDED
    query = select(Decision).where(Decision.outcome == Outcome.UNASSIGNED)
    assert [decision.technician_no for decision in world.session.exec(query)] == [ada.no]


def test_an_acceptance_stands_where_the_start_moves_no_more_than_a_plan_might_move_it(world: World) -> None:
    ada = world.technician("Ada")
    job = stood(world, ada, 10)

    choice = Choice(ada.id, clock_time(10, 20))
    overriding.override(world.session, world.settings, job.appointment, choice, DISPATCHER, NOW, WHY)
    soon = world.appointment(job).status
    give(world, job, ada, 11)

    assert soon is Status.DISPATCHED
    assert world.appointment(job).status is Status.SCHEDULED
    assert "appointment.retimed" in [each.type for each in events(world, job)]


# What is promised


def test_what_had_no_promise_gets_that_of_the_slot_grid(world: World) -> None:
    ada = world.technician("Ada")
    job = world.job(world.service(arrival_window_s=7200, slot_step_s=3600), 5)

    give(world, job, ada, 10, by_phone=True)

    appointment = world.appointment(job)
    assert (appointment.window_start, appointment.window_end) == window(9, 11)
    assert [entry.kind for entry in world.session.exec(select(Promise))] == ["given"]
    assert "appointment.scheduled" in [each.type for each in events(world, job)]


def test_another_window_moves_the_promise(world: World) -> None:
    ada = world.technician("Ada")
    job = stood(world, ada, 9)

    give(world, job, ada, window=window(13, 15))

    appointment = world.appointment(job)
    assert (appointment.window_start, appointment.window_end) == window(13, 15)
    assert appointment.scheduled_start == clock_time(13)
    kinds = [entry.kind for entry in world.session.exec(select(Promise).order_by(Promise.at, Promise.id))]
    assert kinds == ["given", "changed"]
    assert "appointment.rescheduled" in [each.type for each in events(world, job)]


def test_a_start_outside_the_promise_is_refused_and_forced_breaks_it(world: World) -> None:
    ada = world.technician("Ada")
    job = stood(world, ada, 9)

    assert refused(world, job, ada, 13) == ["window"]
    proposal = give(world, job, ada, 13, force=True)

    appointment = world.appointment(job)
    assert [broken.id for broken, _ in proposal.broken()] == [job.appointment.id]
    assert proposal.violations[0].reason.by == 2.5 * 3600
    assert appointment.scheduled_start == clock_time(13)
    assert appointment.window_end == clock_time(10, 30)


def test_a_start_outside_what_was_asked_for_is_refused(world: World) -> None:
    ada = world.technician("Ada")
    job = world.job(world.service(), 5, earliest_start=clock_time(9), due=clock_time(11))

    assert refused(world, job, ada, 8) == ["window", "no_shift"], "nor can it be reached in time from home"
    assert refused(world, job, ada, 12) == ["window"]
    assert refused(world, job, ada, window=window(10, 12)) == ["window"]


def test_a_start_outside_the_window_that_is_sent_with_it_is_nonsense(world: World) -> None:
    ada = world.technician("Ada")
    job = world.job(world.service(), 5)

    with pytest.raises(Invalid):
        give(world, job, ada, 12, window=window(13, 15))
    with pytest.raises(Invalid):
        give(world, job, ada, window=window(15, 13))


def test_no_force_turns_back_the_clock(world: World) -> None:
    ada = world.technician("Ada")
    job = world.job(world.service(), 5)
    choice = Choice(ada.id, NOW - timedelta(minutes=1), force=True)

    with pytest.raises(InfeasibleOverride) as caught:
        overriding.override(world.session, world.settings, job.appointment, choice, DISPATCHER, NOW, WHY)

    assert [each["code"] for each in caught.value.extra["violations"]] == ["notice"]
    assert "not even" in caught.value.detail


# What it breaks


def test_skill_and_radius_are_broken_by_force_alone(world: World) -> None:
    ada = world.technician("Ada", skills={"painting": 5}, kind=Kind.EMPLOYEE)
    ada.max_travel_m = 2_000
    world.session.add(ada)
    job = world.job(world.service(), 5)

    assert refused(world, job, ada, 10) == ["skill_missing", "outside_radius"]
    proposal = give(world, job, ada, 10, force=True)

    assert world.appointment(job).technician_no == ada.no
    assert proposal.change.travel_s == 2 * 1056


def test_hours_are_broken_by_force_alone_and_the_seconds_are_told(world: World) -> None:
    ada = world.technician("Ada", hours=(8, 16), kind=Kind.EMPLOYEE)
    job = world.job(world.service(), 5)

    assert refused(world, job, ada, 16) == ["no_shift"]
    proposal = give(world, job, ada, 16, force=True)

    assert proposal.violations[0].reason.by == 3600 + 1056
    assert world.appointment(job).scheduled_start == clock_time(16)


def test_who_does_not_work_that_day_is_forced_from_home(world: World) -> None:
    ada = world.technician("Ada", hours=None, kind=Kind.EMPLOYEE)
    job = world.job(world.service(), 5)

    assert refused(world, job, ada, 10) == ["no_shift"]
    proposal = give(world, job, ada, 10, force=True)

    block = block_of(world, job)
    assert block is not None
    assert (block.work_from - block.busy_from, proposal.change.travel_s) == (1056, 2 * 1056)


def test_who_is_suspended_gets_nothing(world: World) -> None:
    ada = world.technician("Ada")
    engagement = engagement_of(world.session, ada, world.organization.id)
    engagement.status = EngagementStatus.SUSPENDED
    world.session.add(engagement)
    job = world.job(world.service(), 5)

    assert refused(world, job, ada, 10, force=True) == ["suspended"]


def test_a_window_without_room_is_filled_by_force_at_the_least_harm(world: World) -> None:
    ada = world.technician("Ada", hours=(8, 11), kind=Kind.EMPLOYEE)
    first = stood(world, ada, 9)
    job = world.job(world.service(2), 1)

    assert refused(world, job, ada, window=window(9, 11)) == ["no_shift"]
    proposal = give(world, job, ada, window=window(9, 11), force=True)

    assert [violation.code for violation in proposal.violations] == ["no_shift"]
    assert world.appointment(first).status is Status.DISPATCHED, (
        "longer hours hurt less than a broken promise"
    )


# Who gives way


def test_who_is_in_the_way_is_named_and_by_force_loses_its_technician(world: World) -> None:
    ada = world.technician("Ada")
    first, job = stood(world, ada, 9), world.job(world.service(2), 1)
    promised = world.appointment(first).window_start

    assert refused(world, job, ada, 9) == [("overlap", first.appointment.id)]
    proposal = give(world, job, ada, 9, force=True, by_phone=True)

    displaced = world.appointment(first)
    assert (displaced.status, displaced.technician_no) == (Status.UNASSIGNED, None)
    assert displaced.window_start == promised, "what was promised stands"
    assert block_of(world, first) is None
    (moved,) = proposal.moved
    assert (moved.appointment.id, moved.lost_technician, moved.breaks_promise) == (displaced.id, True, True)
    assert [broken.id for broken, _ in proposal.broken()] == [displaced.id]
    assert (events(world, first)[-1].type, events(world, first)[-1].reason) == ("appointment.unassigned", WHY)
    query = select(Decision).where(Decision.outcome == Outcome.UNASSIGNED)
    assert [each.appointment_id for each in world.session.exec(query)] == [displaced.id]


def test_who_is_in_the_way_is_made_at_another_time_of_its_promise_where_that_can_be(world: World) -> None:
    ada = world.technician("Ada", kind=Kind.EMPLOYEE)
    first = world.job(world.service(release_before_s=60), 1)
    give(world, first, ada, window=window(9, 12), pin=False)
    assert world.appointment(first).scheduled_start == clock_time(9)
    job = world.job(world.service(), 1)

    proposal = give(world, job, ada, 9)

    assert proposal.violations == ()
    assert world.appointment(first).scheduled_start == clock_time(10)
    assert [(moved.appointment.id, moved.lost_technician) for moved in proposal.moved] == [
        (first.appointment.id, False)
    ]
    assert "appointment.retimed" in [each.type for each in events(world, first)]


def test_as_few_as_possible_give_way(world: World) -> None:
    ada = world.technician("Ada")
    visits = [stood(world, ada, hour) for hour in (9, 11, 13)]
    job = world.job(world.service(), 1)

    give(world, job, ada, 11, force=True)

    assert [world.appointment(each).status for each in visits] == [
        Status.DISPATCHED,
        Status.UNASSIGNED,
        Status.DISPATCHED,
    ]


def another_organizations(world: World, ada: Technician) -> None:
    rival = world.new_organization("rival")
    world.session.add(stranger(world, rival, ada))
    world.session.flush()


def stranger(world: World, rival: Organization, ada: Technician) -> CalendarBlock:
    block = world.block(ada, epoch(clock_time(9)), epoch(clock_time(10)))
    block.organization_id = rival.id
    return block


def an_absence(world: World, ada: Technician) -> None:
    block = world.block(ada, epoch(clock_time(9)), epoch(clock_time(10)), BlockKind.ABSENCE)
    world.session.add(block)
    world.session.flush()


def a_hold(world: World, ada: Technician) -> None:
    world.session.add(world.block(ada, epoch(clock_time(9)), epoch(clock_time(10)), BlockKind.HOLD))
    world.session.flush()


def pinned_in_time(world: World, ada: Technician) -> None:
    stood(world, ada, 9, pin=True)


def under_way(world: World, ada: Technician) -> None:
    job = stood(world, ada, 9)
    job.appointment.move(Status.EN_ROUTE)
    world.session.add(job.appointment)
    world.session.flush()


@pytest.mark.parametrize("taken_by", [another_organizations, an_absence, a_hold, pinned_in_time, under_way])
def test_what_is_not_ours_to_move_yields_to_no_force(world: World, taken_by: Any) -> None:
    ada = world.technician("Ada")
    taken_by(world, ada)
    job = world.job(world.service(), 1)
    blocks = world.session.exec(select(CalendarBlock)).all()
    ours = [block.appointment_id for block in blocks if block.appointment_id]

    said = refused(world, job, ada, 9, force=True)

    assert said == [("overlap", ours[0]) if ours else "overlap"]
    assert ask(world, job, ada, 9, force=True).plan is None


def test_a_dry_run_against_the_rules_is_priced_as_if_forced(world: World) -> None:
    ada = world.technician("Ada", kind=Kind.EMPLOYEE, skills={})
    job = world.job(world.service(), 5)

    proposal = ask(world, job, ada, 10)

    assert [violation.code for violation in proposal.violations] == ["skill_missing"]
    assert proposal.change.travel_s == 2 * 1056
    assert not proposal.is_allowed


# What is recorded


def test_the_event_has_reason_price_and_what_was_broken(world: World) -> None:
    ada, bo = world.technician("Ada", kind=Kind.EMPLOYEE), world.technician("Bo", skills={}, home_km=9)
    job = stood(world, ada, 9, km=4)

    proposal = give(world, job, bo, 9, force=True)

    event = next(each for each in reversed(events(world, job)) if each.type == "appointment.overridden")
    assert event.reason == WHY
    assert event.before is not None
    assert event.after is not None
    assert (event.before["technician_id"], event.after["technician_id"]) == (ada.id, bo.id)
    assert event.after["violations"] == ["skill_missing"]
    assert event.after["forced"] is True
    assert event.before["arrival_window"] == event.after["arrival_window"] is not None
    assert event.after["extra_travel_s"] == proposal.change.travel_s == 2 * (1056 - 869)
    assert event.after["extra_cost_cents"] == proposal.change.cents


@pytest.mark.parametrize("status", [Status.EN_ROUTE, Status.ON_SITE, Status.COMPLETED, Status.CANCELLED])
def test_what_is_under_way_or_over_is_not_overridden(world: World, status: Status) -> None:
    ada = world.technician("Ada")
    job = stood(world, ada, 9)
    job.appointment.status = status
    world.session.add(job.appointment)

    with pytest.raises(InvalidState) as caught:
        give(world, job, ada, 9)

    assert caught.value.extra["allowed"] == ["unassigned", "scheduled", "dispatched"]


# Beside others


def test_travel_beside_another_organizations_visit_is_told_rounded_and_so_is_its_price(world: World) -> None:
    ada = world.technician("Ada", kind=Kind.EMPLOYEE)
    another_organizations(world, ada)
    job = world.job(world.service(), 5, earliest_start=clock_time(8))

    one = considered(world, job)[ada.id]
    proposal = ask(world, job, ada)

    assert one.extra_travel_s == proposal.change.travel_s == 2100, "2112 s"
    assert one.extra_cents == proposal.change.cents


def test_each_is_told_its_own_figure(world: World) -> None:
    people = [world.technician(f"Technician {km}", home_km=km) for km in (8, 11)]
    for technician in people:
        technician.max_travel_m = 2_000
        world.session.add(technician)
    job = world.job(world.service(), 5)

    by_id = considered(world, job)

    beyond = [by_id[technician.id].reason for technician in people]
    assert [reason.code for reason in beyond if reason] == ["outside_radius"] * 2
    off = [reason.by for reason in beyond if reason]
    assert off == pytest.approx([1_900, 5_800], abs=2), "1.3 times 3 and 6 km, less the radius"
