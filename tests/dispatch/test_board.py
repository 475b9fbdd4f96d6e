"""The board as the day runs: why visits wait, where people are, and what wants a dispatcher."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest

from dispatch import lateness
from dispatch.alerts import Alert, AlertKind, Repair
from dispatch.appointment import Appointment, Status
from dispatch.board import Board, board, board_version, technicians_located
from dispatch.booking import promise
from dispatch.calendar import BlockKind, CalendarBlock, epoch
from dispatch.catalogue import OfferStrategy
from dispatch.day import progress, set_duty, tell_position
from dispatch.events import Actor, record
from dispatch.follow_up import FollowUp, follow_up
from dispatch.offer import Offer, OfferStatus
from dispatch.offer_round import RoundStatus
from dispatch.organization import Organization
from dispatch.outbox import Kind, Notification, State
from dispatch.placing import place
from dispatch.planning import DayReader, jobs_to_plan, merged, plannable_windows
from dispatch.position import Position
from dispatch.promise import PromiseKind
from dispatch.service_request import Priority
from dispatch.shift import local_day
from dispatch.technician import Duty, Technician
from optimizer import Reason
from optimizer.insertion import PreparedRoutes
from tests.dispatch.world import DISPATCHER, NOW, TOMORROW, ZONE, World, at, clock_time

BY = Actor("technician")
Why = tuple[tuple[Reason, ...], tuple[Reason, ...], int]


def shown(world: World, now: datetime) -> Board:
    return board(world.session, world.settings, world.territory, TOMORROW, now)


def visit(
    world: World,
    technician: Technician,
    hour: int,
    *,
    organization: Organization | None = None,
    status: Status = Status.DISPATCHED,
) -> Appointment:
    """An hour of work from then on, promised from an hour before to the hour; ten minutes of travel before it."""
    service = world.service(organization=organization)
    appointment = world.job(service).appointment
    start = clock_time(hour)
    assert technician.no is not None
    window = start - timedelta(hours=1), start
    promise(world.session, world.settings, appointment, window, PromiseKind.GIVEN, DISPATCHER, NOW)
    appointment.plan(technician.no, start, start + timedelta(hours=1), 600, 1000)
    appointment.move(Status.SCHEDULED)
    if status is Status.DISPATCHED:
        appointment.move(Status.DISPATCHED)
    where = at(1)
    block = CalendarBlock(
        technician_no=technician.no,
        organization_id=service.organization_id,
        kind=BlockKind.VISIT,
        busy_from=epoch(start) - 600,
        work_from=epoch(start),
        busy_to=epoch(start) + 3600,
        lat=where.lat,
        lon=where.lon,
        appointment_id=appointment.id,
    )
    world.session.add_all([appointment, block])
    world.session.flush()
    return appointment


def seen(world: World, technician: Technician, now: datetime) -> None:
    """The technician is on duty, at the depot."""
    assert technician.no is not None
    set_duty(world.session, technician, Duty.AVAILABLE, BY, now)
    there = at(0)
    position = Position(
        technician_no=technician.no, lat=there.lat, lon=there.lon, recorded_at=now, received_at=now
    )
    tell_position(world.session, world.settings, technician, position)


def move_on(world: World, appointment: Appointment, now: datetime, *states: Status) -> None:
    for state in states:
        reason = "Nobody opened." if state is Status.CANNOT_COMPLETE else None
        progress(world.session, world.settings, appointment, state, BY, now, reason=reason)


# Why visits wait


def why_by_one_problem(world: World, now: datetime) -> dict[str, Why]:
    """As a problem made of everybody's calendars of the day answers."""
    range_ = local_day(TOMORROW, ZONE)
    reader = DayReader(world.session, world.settings, world.organization.id, range_)
    reader.keep()
    windows = {
        job.appointment.id: (job, plannable_windows(job, TOMORROW, ZONE, now))
        for job in jobs_to_plan(world.session, world.territory, range_, waiting=True)
    }
    for job, some in windows.values():
        reader.add(job, merged(some))
    day = reader.day()
    prepared = PreparedRoutes(day.problem, day.plan)
    found = {id_: prepared.recommend(id_) for id_ in windows}
    return {
        id_: (each.reasons, each.would_fit_if, len({insertion.technician for insertion in each.insertions}))
        for id_, each in found.items()
    }


def test_remembered_calendars_say_the_same_as_calendars_that_are_read_anew(world: World) -> None:
    crew = [world.technician(f"Technician {n}", home_km=4 * n, hours=(8 + n, 12 + n)) for n in range(3)]
    world.technician("Nobody", skills={})
    near = world.service()
    for km in (1, 3, 5, 7):
        job = world.job(near, km)
        place(world.session, world.settings, job, (clock_time(8), clock_time(14)))
        job.appointment.move(Status.SCHEDULED)
    crew[2].max_travel_m = 3_000
    world.session.flush()
    wired = world.service(required_skills={"wiring": 2})
    promised = world.job(near, 2).appointment
    window = clock_time(8), clock_time(9)
    promise(world.session, world.settings, promised, window, PromiseKind.GIVEN, DISPATCHER, NOW)
    for job in (
        world.job(near, 2),
        world.job(near, 9),
        world.job(wired, 1),
        world.job(near, 1, priority=Priority.EMERGENCY),
        world.job(world.service(hours=6), 1),
        world.job(near, 1, earliest_start=clock_time(14), due=clock_time(18)),
    ):
        assert job.appointment.status is Status.UNASSIGNED
    expected = why_by_one_problem(world, NOW)

    found = {
        item.appointment.id: (item.reasons, item.would_fit_if, item.fits)
        for _ in range(2)
        for item in shown(world, NOW).unassigned
    }

    assert len(found) == 7
    assert found == expected
    assert {fits for _, _, fits in found.values()} > {0}


def test_a_visit_whose_time_is_over_waits_for_that_reason(world: World) -> None:
    world.job(world.service(), due=clock_time(10))

    [item] = shown(world, clock_time(11)).unassigned

    assert (item.fits, [reason.code for reason in item.reasons]) == (0, ["window"])


# Where people are


def located(world: World, now: datetime) -> list[str]:
    return technicians_located(shown(world, now))


def test_who_is_on_duty_is_shown_where_it_was_seen_last(world: World) -> None:
    ada, now = world.technician(), clock_time(9)
    seen(world, ada, now)

    [row] = shown(world, now).rows

    assert row.position is not None
    assert (row.position.lat, row.position.recorded_at) == (at(0).lat, now)
    assert located(world, now) == [ada.id]


def test_nobody_is_located_off_duty_or_by_an_old_position_or_on_another_day(world: World) -> None:
    ada, now = world.technician(), clock_time(9)
    seen(world, ada, now)

    later = located(world, now + timedelta(minutes=16))
    other_day = board(world.session, world.settings, world.territory, TOMORROW + timedelta(days=1), now)
    set_duty(world.session, ada, Duty.OFF_DUTY, BY, now)

    assert (later, technicians_located(other_day), located(world, now)) == ([], [], [])


@pytest.mark.parametrize(
    ("minutes", "is_shown"), [(-100, True), (-20, False), (30, False), (80, False), (130, True)]
)
def test_nobody_is_located_around_another_organizations_visit(
    world: World, minutes: int, is_shown: bool
) -> None:
    ada = world.technician()
    rival = world.new_organization("rival")
    world.new_territory(rival)
    world.engage(ada, rival, {"plumbing": 3})
    visit(world, ada, 11, organization=rival)
    now = clock_time(11) + timedelta(minutes=minutes)

    seen(world, ada, now)

    assert located(world, now) == ([ada.id] if is_shown else [])


def test_nobody_is_located_while_another_organizations_visit_takes_longer(world: World) -> None:
    ada = world.technician()
    rival = world.new_organization("rival")
    world.new_territory(rival)
    world.engage(ada, rival, {"plumbing": 3})
    theirs = visit(world, ada, 9, organization=rival)
    move_on(world, theirs, clock_time(9), Status.EN_ROUTE, Status.ON_SITE)
    seen(world, ada, clock_time(13))
    during = located(world, clock_time(13))

    move_on(world, theirs, clock_time(13), Status.COMPLETED)
    seen(world, ada, clock_time(14))

    assert (during, located(world, clock_time(13)), located(world, clock_time(14))) == ([], [], [ada.id])


# What wants a dispatcher


def alerts(world: World, now: datetime) -> Sequence[Alert]:
    found = shown(world, now)
    assert found.kpis["alerts"] == len(found.alerts)
    return found.alerts


def told(found: Sequence[Alert]) -> list[tuple[AlertKind, str | None, datetime, Repair | None]]:
    return [(alert.kind, alert.appointment_id, alert.since, alert.repair) for alert in found]


def test_a_day_without_trouble_has_no_alert(world: World) -> None:
    visit(world, world.technician(), 9)

    assert alerts(world, clock_time(8)) == ()


def test_a_delay_is_an_alert_with_the_visit_that_holds_it_up(world: World) -> None:
    ada = world.technician()
    first, second = visit(world, ada, 9), visit(world, ada, 11)
    move_on(world, first, clock_time(8, 50), Status.EN_ROUTE)
    move_on(world, first, clock_time(9), Status.ON_SITE)

    now = clock_time(10, 58)
    lateness.notice(world.session, world.settings, now)

    found = shown(world, now + timedelta(minutes=1))

    assert told(found.alerts) == [(AlertKind.LATE, second.id, now, Repair("overrun", ada.id, first.id))]
    assert (found.expected[second.id].late_by_s, found.kpis["late"]) == (9 * 60, 1)


def test_who_should_have_set_out_is_an_alert_before_the_promise_breaks_and_after_it_a_no_show(
    world: World,
) -> None:
    ada = world.technician()
    first = visit(world, ada, 9)
    first.window_end = clock_time(10)

    in_time, overdue, broken = (alerts(world, clock_time(*now)) for now in ((9, 0), (9, 5), (10, 1)))

    assert in_time == ()
    assert told(overdue) == [(AlertKind.OVERDUE, first.id, clock_time(8, 50), Repair("absent", ada.id))]
    assert told(broken) == [(AlertKind.NO_SHOW, first.id, clock_time(10), Repair("absent", ada.id))]


def test_a_window_that_passes_without_anybody_committed_is_a_broken_promise(world: World) -> None:
    asked = visit(world, world.technician(), 9, status=Status.SCHEDULED)

    found = alerts(world, clock_time(9, 1))

    assert told(found) == [
        (AlertKind.PROMISE_BROKEN, asked.id, clock_time(9), Repair("emergency", None, asked.id))
    ]


def test_a_door_that_stayed_closed_is_an_alert_until_a_visit_follows(world: World) -> None:
    first = visit(world, world.technician(), 9)
    move_on(world, first, clock_time(8, 50), Status.EN_ROUTE)
    move_on(world, first, clock_time(9), Status.ON_SITE, Status.CANNOT_COMPLETE)

    before = alerts(world, clock_time(9, 10))
    follow_up(world.session, first, FollowUp("Nobody opened."), DISPATCHER, clock_time(9, 20))
    after = [alert for alert in alerts(world, clock_time(9, 30)) if alert.appointment_id == first.id]

    assert told(before) == [(AlertKind.NO_SHOW, first.id, clock_time(9), None)]
    assert "Nobody opened." in before[0].detail
    assert after == []


def test_what_nobody_took_is_an_alert_until_it_changes(world: World) -> None:
    appointment = world.job(world.service(), due=clock_time(18)).appointment
    ended = world.ended_round(appointment)
    ended.status, ended.ended_at = RoundStatus.UNFILLED, clock_time(7)
    ended.ended_version = appointment.version
    world.session.flush()

    before = alerts(world, clock_time(8))
    appointment.version += 1
    world.session.flush()

    assert told(before) == [
        (AlertKind.UNFILLED, appointment.id, clock_time(7), Repair("emergency", None, appointment.id))
    ]
    assert alerts(world, clock_time(8)) == ()


def test_a_counter_offer_is_an_alert_while_it_can_be_answered(world: World) -> None:
    ada = world.technician()
    asked = visit(world, ada, 15, status=Status.SCHEDULED)
    assert ada.no is not None
    offer = Offer(
        organization_id=asked.organization_id,
        appointment_id=asked.id,
        round_id=world.ended_round(asked).id,
        technician_no=ada.no,
        strategy=OfferStrategy.DIRECT,
        status=OfferStatus.COUNTERED,
        pay_cents=4000,
        counter_pay_cents=5000,
        travel_s=0,
        travel_m=0,
        detour_s=0,
        duration_s=3600,
        scheduled_start=clock_time(15),
        expires_at=clock_time(9),
        created_at=clock_time(7),
    )
    world.session.add(offer)
    record(world.session, asked.organization_id, offer.id, "offer.countered", clock_time(8), BY)
    world.session.flush()

    before = shown(world, clock_time(8, 30))

    assert told(before.alerts) == [(AlertKind.COUNTER_OFFER, asked.id, clock_time(8), None)]
    assert before.alerts[0].technician_id == ada.id
    assert [some[0].id for some in before.offers.values()] == [offer.id]
    assert before.kpis["offers_pending"] == 1
    assert alerts(world, clock_time(9)) == ()


def test_a_customer_who_could_not_be_told_of_the_present_promise_is_an_alert(world: World) -> None:
    first = visit(world, world.technician(), 15)
    row = Notification(
        organization_id=first.organization_id,
        appointment_id=first.id,
        kind=Kind.DAY_BEFORE,
        occasion="day_before/1",
        revision=first.promise_revision,
        due_at=NOW,
        state=State.GIVEN_UP,
        ended_at=clock_time(7),
        why="refused",
        created_at=NOW,
    )
    world.session.add(row)
    world.session.flush()

    before = alerts(world, clock_time(8))
    row.revision -= 1
    world.session.flush()

    assert told(before) == [(AlertKind.MESSAGE_FAILED, first.id, clock_time(7), None)]
    assert alerts(world, clock_time(8)) == ()


def test_the_most_urgent_alert_comes_first(world: World) -> None:
    ada, bo = world.technician(), world.technician("Bo Plumber")
    overdue = visit(world, ada, 12)
    overdue.window_end = clock_time(14)
    missed = visit(world, bo, 9)

    found = alerts(world, clock_time(12, 5))

    assert [(alert.kind, alert.appointment_id) for alert in found] == [
        (AlertKind.NO_SHOW, missed.id),
        (AlertKind.OVERDUE, overdue.id),
    ]


# Whether it has changed


def version(world: World, now: datetime) -> object:
    world.session.flush()
    return board_version(world.session, world.territory, TOMORROW, now)


def test_the_version_changes_with_what_the_board_shows_and_with_nothing_else(world: World) -> None:
    now = clock_time(8)
    ada = world.technician()
    rival = world.new_organization("rival")
    known = {version(world, now)}

    def is_new() -> bool:
        was = len(known)
        known.add(version(world, now))
        return len(known) > was

    world.technician("Cy", organization=rival)
    assert not is_new(), "another organization's people"
    first = visit(world, ada, 9)
    assert is_new(), "a visit"
    first.pinned = True
    first.version += 1
    assert is_new(), "a pin"
    seen(world, ada, now)
    assert is_new(), "duty and a position"
    move_on(world, first, now, Status.EN_ROUTE)
    assert is_new(), "progress"
    world.shift(ada, 18, 20)
    assert is_new(), "a shift"
    record(world.session, first.organization_id, first.id, "notification.given_up", now, BY)
    assert is_new(), "an event"
    assert not is_new()
    now += timedelta(seconds=30)
    assert is_new(), "time"


def test_positions_are_news_every_five_seconds_at_most(world: World) -> None:
    ada = world.technician()
    seen(world, ada, clock_time(8))
    before = version(world, clock_time(8) + timedelta(seconds=4))

    seen(world, ada, clock_time(8) + timedelta(seconds=1))

    assert version(world, clock_time(8) + timedelta(seconds=4)) == before
    assert version(world, clock_time(8) + timedelta(seconds=5)) != before
