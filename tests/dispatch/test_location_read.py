"""Readings of positions: the first is written at once, those that follow are counted."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import Engine, delete, update
from sqlalchemy.exc import DatabaseError, SQLAlchemyError
from sqlmodel import Session, col, select

from dispatch.database import transaction
from dispatch.errors import Unavailable
from dispatch.events import Actor, Event
from dispatch.location_read import LocationRead, LocationReads, Whereabouts
from tests.dispatch.world import DISPATCHER, NOW, World
from tests.support.clock import FakeClock

ANYONE = Actor("public")


@pytest.fixture
def shown(world: World) -> Whereabouts:
    """Where Ada is, on the way to a visit; committed."""
    visit = world.job(world.service()).appointment
    ada = world.technician()
    assert ada.no is not None
    found = Whereabouts(ada.no, world.organization.id, visit.id)
    world.session.commit()
    return found


@pytest.fixture
def reads(engine: Engine) -> LocationReads:
    return LocationReads(engine, FakeClock(NOW))


def after(minutes: float) -> datetime:
    return NOW + timedelta(minutes=minutes)


def kept(session: Session) -> list[tuple[str, int, datetime, datetime]]:
    session.rollback()
    rows = session.exec(select(LocationRead).order_by(col(LocationRead.at), col(LocationRead.id))).all()
    found = [(row.by, row.reads, row.first_at, row.at) for row in rows]
    session.rollback()
    return found


def test_the_first_reading_is_there_at_once(
    reads: LocationReads, shown: Whereabouts, session: Session
) -> None:
    reads.note([shown], ANYONE, NOW)

    assert kept(session) == [("public", 1, NOW, NOW)]


def test_readings_soon_after_become_one_row_with_their_number_and_times(
    reads: LocationReads, shown: Whereabouts, session: Session
) -> None:
    for second in range(0, 300):
        reads.note([shown], ANYONE, NOW + timedelta(seconds=second))
    within = kept(session)

    reads.note([shown], ANYONE, after(5))

    assert within == [("public", 1, NOW, NOW)]
    assert kept(session) == [
        ("public", 1, NOW, NOW),
        ("public", 299, NOW + timedelta(seconds=1), NOW + timedelta(seconds=299)),
        ("public", 1, after(5), after(5)),
    ]


def test_every_reader_and_every_visit_counts_by_itself(
    reads: LocationReads, shown: Whereabouts, session: Session
) -> None:
    own = Whereabouts(shown.technician_no)

    for by, what in ((ANYONE, shown), (DISPATCHER, shown), (Actor("technician", "ada"), own)):
        reads.note([what], by, NOW)

    assert sorted(line[0] for line in kept(session)) == ["dispatcher", "public", "technician"]


def test_a_board_is_one_reading_of_each_whom_it_shows(
    world: World, reads: LocationReads, shown: Whereabouts, session: Session
) -> None:
    bo = world.technician("Bo").no
    assert bo is not None
    world.session.commit()
    ada, bo_too = (Whereabouts(no, shown.organization_id) for no in (shown.technician_no, bo))
    reads.note([ada], DISPATCHER, NOW)

    reads.note([ada, bo_too], DISPATCHER, after(1))
    reads.note([ada, bo_too], DISPATCHER, after(2))
    reads.settle()

    assert [(line[1], line[2]) for line in kept(session)] == [
        (1, NOW),
        (1, after(1)),
        (2, after(1)),
        (1, after(2)),
    ]


def test_a_reader_that_is_gone_is_written_with_the_next_one(
    reads: LocationReads, shown: Whereabouts, session: Session
) -> None:
    reads.note([shown], ANYONE, NOW)
    reads.note([shown], ANYONE, after(1))

    reads.note([shown], DISPATCHER, after(6))

    assert kept(session)[1:] == [("public", 1, after(1), after(1)), ("dispatcher", 1, after(6), after(6))]


def test_what_was_counted_is_written_when_the_process_ends(
    reads: LocationReads, shown: Whereabouts, session: Session
) -> None:
    reads.note([shown], ANYONE, NOW)
    reads.note([shown], ANYONE, after(1))
    reads.note([shown], ANYONE, after(2))

    reads.settle()
    reads.settle()

    assert kept(session)[1:] == [("public", 2, after(1), after(2))]


def test_what_was_counted_is_written_also_if_nobody_reads_any_more(
    engine: Engine, shown: Whereabouts, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dispatch import location_read

    clock = FakeClock(NOW)
    reads = LocationReads(engine, clock)
    waiting = []

    class Woken(location_read.Timer):
        def start(self) -> None:
            waiting.append(self)

    monkeypatch.setattr(location_read, "Timer", Woken)
    reads.note([shown], ANYONE, NOW)
    reads.note([shown], ANYONE, after(1))
    clock.move_to(after(5))

    (timer,) = waiting
    timer.function()

    assert timer.interval == 300
    assert kept(session)[1:] == [("public", 1, after(1), after(1))]
    assert len(waiting) == 1, "nothing is left to be woken for"


def test_a_position_whose_reading_cannot_be_kept_is_not_given_away(
    engine: Engine, shown: Whereabouts, session: Session
) -> None:
    reads = LocationReads(engine, FakeClock(NOW))
    nobodys = Whereabouts(10**6, shown.organization_id, shown.appointment_id)
    reads.note([shown], ANYONE, NOW)
    reads.note([shown], ANYONE, after(1))

    with pytest.raises((SQLAlchemyError, Unavailable)):
        reads.note([nobodys], ANYONE, after(6))
    with pytest.raises((SQLAlchemyError, Unavailable)):
        reads.note([nobodys], ANYONE, after(6))
    reads.settle()

    assert kept(session)[1:] == [("public", 1, after(1), after(1))], "what was counted before is not lost"


@pytest.mark.parametrize("table", [Event, LocationRead])
def test_what_is_recorded_cannot_be_changed(
    engine: Engine, reads: LocationReads, shown: Whereabouts, table: type[Event | LocationRead]
) -> None:
    reads.note([shown], ANYONE, NOW)

    with pytest.raises(DatabaseError, match="never changed"), engine.begin() as connection:
        connection.execute(update(table).values(by="nobody"))

    with transaction(engine) as session:
        assert session.exec(delete(LocationRead)).rowcount == 1
