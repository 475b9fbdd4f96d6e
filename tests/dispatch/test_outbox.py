"""What the outbox holds after events, and when it is due."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine
from sqlmodel import Session, select

from dispatch import booking, override
from dispatch.appointment import Appointment, Status
from dispatch.database import transaction
from dispatch.day import progress
from dispatch.events import SYSTEM, record
from dispatch.outbox import Kind, Notification, State, reminders
from dispatch.planning import Job, Window
from dispatch.promise import PromiseKind
from tests.dispatch.world import DISPATCHER, NOW, World, clock_time

MORNING = clock_time(9), clock_time(11)
AFTERNOON = clock_time(13), clock_time(15)
NEW_YORK, SANTIAGO = ZoneInfo("America/New_York"), ZoneInfo("America/Santiago")


def promise(world: World, job: Job, window: Window, kind: PromiseKind = PromiseKind.GIVEN) -> Appointment:
    """As booking and rescheduling do, whoever keeps it."""
    appointment = job.appointment
    booking.promise(world.session, world.settings, appointment, window, kind, DISPATCHER, NOW)
    world.session.add(appointment)
    told = "booked" if kind is PromiseKind.GIVEN else "rescheduled"
    tell(world, appointment, told)
    return appointment


def tell(world: World, appointment: Appointment, name: str, after: dict[str, object] | None = None) -> None:
    type_ = f"appointment.{name}"
    record(
        world.session, appointment.organization_id, appointment.id, type_, NOW, DISPATCHER, None, None, after
    )
    world.session.flush()


def rows(session: Session) -> list[Notification]:
    session.expire_all()
    return list(session.exec(select(Notification).order_by(Notification.due_at, Notification.id)))


def pending(session: Session) -> list[Kind]:
    return [row.kind for row in rows(session) if row.state is State.PENDING]


def test_a_promise_is_told_with_a_reminder_on_the_evening_before_and_on_the_day(world: World) -> None:
    promise(world, world.job(world.service()), MORNING)

    due = {row.kind: row.due_at for row in rows(world.session)}
    assert due == {
        Kind.BOOKED: NOW,
        Kind.DAY_BEFORE: clock_time(18, day=date(2026, 11, 23)),
        Kind.ON_THE_DAY: clock_time(7),
    }


def test_what_is_rolled_back_leaves_nothing_to_tell(world: World, engine: Engine) -> None:
    appointment_id = world.job(world.service()).appointment.id
    world.session.commit()

    with pytest.raises(ZeroDivisionError), transaction(engine) as session:
        promise_then_fail(session, world, appointment_id)

    assert rows(world.session) == []


def promise_then_fail(session: Session, world: World, appointment_id: str) -> None:
    appointment = session.get_one(Appointment, appointment_id)
    booking.promise(session, world.settings, appointment, MORNING, PromiseKind.GIVEN, DISPATCHER, NOW)
    record(session, appointment.organization_id, appointment.id, "appointment.booked", NOW, DISPATCHER)
    session.flush()
    assert rows(session), "it was there until the transaction failed"
    raise ZeroDivisionError


def test_a_promise_that_moves_has_one_reminder_of_each_kind_and_what_was_unsaid_is_dropped(
    world: World,
) -> None:
    job = world.job(world.service())
    promise(world, job, MORNING)

    promise(world, job, AFTERNOON, PromiseKind.CHANGED)

    assert pending(world.session) == [Kind.CHANGED, Kind.DAY_BEFORE, Kind.ON_THE_DAY]
    dropped = [(row.kind, row.why) for row in rows(world.session) if row.state is State.DROPPED]
    assert dropped == [
        (Kind.BOOKED, "superseded"),
        (Kind.DAY_BEFORE, "superseded"),
        (Kind.ON_THE_DAY, "superseded"),
    ]


def test_cancelling_drops_what_was_to_be_said_and_says_so(world: World) -> None:
    job = world.job(world.service())
    appointment = promise(world, job, MORNING)

    booking.cancel(world.session, world.settings, appointment, DISPATCHER, NOW)

    assert pending(world.session) == [Kind.CANCELLED]


def test_what_was_never_promised_is_cancelled_without_a_word(world: World) -> None:
    job = world.job(world.service())

    booking.cancel(world.session, world.settings, job.appointment, DISPATCHER, NOW)

    assert rows(world.session) == []


def test_a_plan_that_finds_another_technician_for_a_promise_makes_no_news(world: World) -> None:
    job = world.job(world.service())
    appointment = promise(world, job, MORNING)

    tell(world, appointment, "scheduled")
    tell(world, appointment, "scheduled")

    assert [row.kind for row in rows(world.session)].count(Kind.BOOKED) == 1


def test_a_visit_that_is_opened_again_and_promised_the_same_window_is_told_again(world: World) -> None:
    job = world.job(world.service())
    appointment = promise(world, job, MORNING)
    booking.cancel(world.session, world.settings, appointment, DISPATCHER, NOW)

    override.reopen(world.session, world.settings, appointment, DISPATCHER, NOW, "a mistake")
    assert pending(world.session) == []
    promise(world, job, MORNING)

    assert pending(world.session)[0] is Kind.BOOKED


def test_a_technician_is_told_once_whatever_it_undoes_and_another_one_anew(world: World) -> None:
    first, second = world.technician(), world.technician("Bo Plumber")
    job = world.job(world.service())
    appointment = promise(world, job, MORNING)
    assert first.no is not None
    assert second.no is not None

    appointment.plan(first.no, *MORNING, 0, 0)
    appointment.move(Status.SCHEDULED)
    appointment.move(Status.DISPATCHED)
    tell(world, appointment, "dispatched")
    progress(world.session, world.settings, appointment, Status.EN_ROUTE, SYSTEM, NOW)
    progress(world.session, world.settings, appointment, Status.DISPATCHED, SYSTEM, NOW)
    progress(world.session, world.settings, appointment, Status.EN_ROUTE, SYSTEM, NOW)
    kinds = pending(world.session)
    appointment.plan(second.no, *MORNING, 0, 0)
    tell(world, appointment, "dispatched")

    assert kinds.count(Kind.TECHNICIAN_CONFIRMED) == 1
    assert kinds.count(Kind.ON_THE_WAY) == 2
    assert pending(world.session).count(Kind.TECHNICIAN_CONFIRMED) == 2


def test_a_delay_is_told_once_it_breaks_the_window_and_again_only_if_it_changed_by_more_than_15_minutes(
    world: World,
) -> None:
    technician = world.technician()
    appointment = promise(world, world.job(world.service()), MORNING)
    assert technician.no is not None
    appointment.plan(technician.no, *MORNING, 0, 0)

    counts = []
    for minutes in (90, 125, 140, 141, 150, 125):
        tell(world, appointment, "late", {"by_s": minutes * 60})
        counts.append([row.kind for row in rows(world.session)].count(Kind.RUNNING_LATE))

    assert counts == [0, 1, 1, 2, 2, 3]
    expected = [row.expected_at for row in rows(world.session) if row.kind is Kind.RUNNING_LATE]
    assert sorted(at for at in expected if at) == [
        clock_time(11, 5),
        clock_time(11, 5),
        clock_time(11, 21),
    ]
    assert pending(world.session).count(Kind.RUNNING_LATE) == 1, "the newest estimate alone is told"


def test_a_delay_that_grows_and_grows_is_told_three_times(world: World) -> None:
    technician = world.technician()
    appointment = promise(world, world.job(world.service()), MORNING)
    assert technician.no is not None
    appointment.plan(technician.no, *MORNING, 0, 0)

    for minutes in range(130, 400, 20):
        tell(world, appointment, "late", {"by_s": minutes * 60})
        for row in rows(world.session):
            if row.kind is Kind.RUNNING_LATE:
                row.end(State.SENT, NOW)

    assert [row.kind for row in rows(world.session)].count(Kind.RUNNING_LATE) == 3


def test_a_visit_that_is_done_is_asked_about_two_hours_later(world: World) -> None:
    appointment = promise(world, world.job(world.service()), MORNING)

    tell(world, appointment, "completed")

    due = {row.kind: row.due_at for row in rows(world.session)}
    assert (due[Kind.DONE], due[Kind.RATE_US]) == (NOW, NOW + timedelta(hours=2))


# When reminders are due


def due(window_start: datetime, zone: ZoneInfo, promised_at: datetime | None = None) -> dict[Kind, datetime]:
    return dict(reminders(window_start, zone, promised_at or window_start - timedelta(days=9)))


def local(zone: ZoneInfo, *wall: int) -> datetime:
    return datetime(*wall, tzinfo=zone).astimezone(UTC)  # type: ignore[misc,arg-type]


@pytest.mark.parametrize(
    ("hour", "minute", "reminded"),
    [(14, 0, (8, 0)), (10, 0, (8, 0)), (9, 0, (7, 0)), (7, 0, (6, 0)), (6, 30, (6, 0))],
)
def test_on_the_day_it_is_eight_or_two_hours_ahead_and_never_before_six(
    hour: int, minute: int, reminded: tuple[int, int]
) -> None:
    found = due(local(NEW_YORK, 2027, 6, 1, hour, minute), NEW_YORK)

    assert found[Kind.ON_THE_DAY] == local(NEW_YORK, 2027, 6, 1, *reminded)


def test_a_visit_before_six_is_reminded_of_on_the_evening_before_alone() -> None:
    assert list(due(local(NEW_YORK, 2027, 6, 1, 5), NEW_YORK)) == [Kind.DAY_BEFORE]


def test_a_reminder_that_would_only_repeat_the_promise_is_not_made() -> None:
    window_start = local(NEW_YORK, 2027, 6, 1, 14)

    at_noon = due(window_start, NEW_YORK, local(NEW_YORK, 2027, 5, 31, 12))
    in_the_evening = due(window_start, NEW_YORK, local(NEW_YORK, 2027, 5, 31, 17))
    on_the_day = due(window_start, NEW_YORK, local(NEW_YORK, 2027, 6, 1, 7))

    assert (list(at_noon), list(in_the_evening), list(on_the_day)) == (
        [Kind.DAY_BEFORE, Kind.ON_THE_DAY],
        [Kind.ON_THE_DAY],
        [],
    )


@pytest.mark.parametrize(
    ("zone", "day", "evening", "morning"),
    [
        (NEW_YORK, (2027, 3, 14), "2027-03-13T23:00:00+00:00", "2027-03-14T12:00:00+00:00"),
        (NEW_YORK, (2027, 11, 7), "2027-11-06T22:00:00+00:00", "2027-11-07T13:00:00+00:00"),
        (SANTIAGO, (2027, 9, 5), "2027-09-04T22:00:00+00:00", "2027-09-05T11:00:00+00:00"),
    ],
)
def test_reminders_keep_to_the_wall_clock_where_it_changes(
    zone: ZoneInfo, day: tuple[int, int, int], evening: str, morning: str
) -> None:
    found = due(local(zone, *day, 14), zone)

    assert {kind: at.isoformat() for kind, at in found.items()} == {
        Kind.DAY_BEFORE: evening,
        Kind.ON_THE_DAY: morning,
    }
