"""How promises end, and who reads of it. Days on which clocks change, by hand from the offsets:

New York    EDT -4, EST -5      7 November 2027: 02:00 becomes 01:00     14 March: 02:00 becomes 03:00
Lord Howe   +10:30, summer +11  4 April 2027: 02:00 becomes 01:30
Santiago    -4, summer -3       5 September 2027: 00:00 becomes 01:00
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

import pytest
from sqlalchemy import Engine
from sqlmodel import Session, select

from dispatch import booking, day, override
from dispatch.appointment import Appointment, Status
from dispatch.planning import Window
from dispatch.promise import LedgerWish, Promise, PromiseKind, enter, lines_like
from dispatch.worker import run_due
from tests.dispatch.world import DISPATCHER, NOW, World, clock_time

WINDOW = clock_time(9), clock_time(11)
GIVEN, CHANGED, KEPT, BROKEN, WITHDRAWN = (
    PromiseKind.GIVEN,
    PromiseKind.CHANGED,
    PromiseKind.KEPT,
    PromiseKind.BROKEN,
    PromiseKind.WITHDRAWN,
)


@dataclass
class Promised:
    """A visit to which a technician has committed."""

    world: World
    engine: Engine
    appointment: Appointment

    def promise(self, window: Window, kind: PromiseKind = GIVEN, at: datetime = NOW) -> None:
        booking.promise(
            self.world.session, self.world.settings, self.appointment, window, kind, DISPATCHER, at
        )
        self.appointment.status = Status.DISPATCHED
        self.world.session.commit()

    def progress(self, to: Status, at: datetime) -> None:
        verb = day.progress
        verb(self.world.session, self.world.settings, self.appointment, to, DISPATCHER, at, reason="called")
        self.world.session.commit()

    def come(self, at: datetime) -> None:
        self.progress(Status.EN_ROUTE, at - timedelta(minutes=10))
        self.progress(Status.ON_SITE, at)

    def cancel(self, at: datetime) -> None:
        booking.cancel(self.world.session, self.world.settings, self.appointment, DISPATCHER, at)
        self.world.session.commit()

    def time_passes(self, now: datetime) -> None:
        self.world.session.commit()
        run_due(self.engine, self.world.settings, now)
        self.world.session.expire_all()

    @property
    def ledger(self) -> list[PromiseKind]:
        query = select(Promise.kind).order_by(Promise.at, Promise.id)
        return list(self.world.session.exec(query))


@pytest.fixture
def promised(world: World, engine: Engine) -> Promised:
    return Promised(world, engine, world.job(world.service()).appointment)


@pytest.mark.parametrize(
    ("minutes", "ends"),
    [(0, KEPT), (60, KEPT), (120, KEPT), (121, BROKEN)],
)
def test_work_that_begins_in_the_window_keeps_it(promised: Promised, minutes: int, ends: PromiseKind) -> None:
    promised.promise(WINDOW)

    promised.come(WINDOW[0] + timedelta(minutes=minutes))

    assert promised.ledger == [GIVEN, ends]


@pytest.mark.parametrize(
    ("result", "after_minutes", "ends"),
    [
        (Status.COMPLETED, 20, KEPT),
        (Status.CANNOT_COMPLETE, 20, BROKEN),
        (Status.CANNOT_COMPLETE, 90, KEPT),
    ],
)
def test_of_who_comes_early_the_result_tells(
    promised: Promised, result: Status, after_minutes: int, ends: PromiseKind
) -> None:
    promised.promise(WINDOW)
    early = WINDOW[0] - timedelta(minutes=30)
    promised.come(early)
    on_arrival = promised.ledger

    promised.progress(result, early + timedelta(minutes=after_minutes))
    promised.time_passes(WINDOW[1] + timedelta(hours=1))

    assert on_arrival == [GIVEN]
    assert promised.ledger == [GIVEN, ends]


def test_a_change_begins_a_promise_anew(promised: Promised) -> None:
    promised.promise(WINDOW)
    promised.promise((clock_time(13), clock_time(15)), CHANGED, NOW + timedelta(hours=1))

    promised.time_passes(clock_time(12))
    promised.come(clock_time(14))

    assert promised.ledger == [GIVEN, CHANGED, KEPT], "the window that was given up is nobody's to keep"


def test_a_promise_that_is_withdrawn_is_not_broken_too(promised: Promised) -> None:
    promised.promise(WINDOW)
    promised.cancel(NOW + timedelta(hours=1))

    promised.time_passes(clock_time(12))

    assert promised.ledger == [GIVEN, WITHDRAWN]


def test_what_was_broken_or_kept_cannot_be_withdrawn_any_more(promised: Promised) -> None:
    promised.promise(WINDOW)
    promised.time_passes(clock_time(12))
    promised.cancel(clock_time(12, 30))

    assert promised.ledger == [GIVEN, BROKEN]


def test_a_visit_that_is_opened_again_is_promised_and_withdrawn_again(promised: Promised) -> None:
    promised.promise(WINDOW)
    promised.cancel(NOW + timedelta(hours=1))
    session, settings = promised.world.session, promised.world.settings
    override.reopen(session, settings, promised.appointment, DISPATCHER, NOW + timedelta(hours=2), "call")
    promised.promise(WINDOW, at=NOW + timedelta(hours=3))
    promised.cancel(NOW + timedelta(hours=4))

    assert promised.ledger == [GIVEN, WITHDRAWN, GIVEN, WITHDRAWN]


@pytest.mark.parametrize(
    ("window", "comes", "ends"),
    [
        # New York, from 1:00 to 2:00 EDT; it comes at 1:30 EST, the second half past one of that night.
        (("2027-11-07T05:00:00Z", "2027-11-07T06:00:00Z"), "2027-11-07T06:30:00Z", BROKEN),
        # New York, from 1:00 EDT to 2:00 EST, two hours that the wall shows as one.
        (("2027-11-07T05:00:00Z", "2027-11-07T07:00:00Z"), "2027-11-07T06:30:00Z", KEPT),
        # New York, from 1:30 EST to 3:30 EDT, one hour that the wall shows as two.
        (("2027-03-14T06:30:00Z", "2027-03-14T07:30:00Z"), "2027-03-14T07:30:01Z", BROKEN),
        # Lord Howe, from 1:00 to 2:00 summer time; it comes at 1:45, in the half hour that is there twice.
        (("2027-04-03T14:00:00Z", "2027-04-03T15:00:00Z"), "2027-04-03T15:15:00Z", BROKEN),
        # Santiago, from 23:00 to the 1:00 that follows at once on 23:59.
        (("2027-09-05T03:00:00Z", "2027-09-05T04:00:00Z"), "2027-09-05T04:00:00Z", KEPT),
    ],
)
def test_clocks_that_change_neither_keep_nor_break_a_promise(
    promised: Promised, window: tuple[str, str], comes: str, ends: PromiseKind
) -> None:
    promised.promise((datetime.fromisoformat(window[0]), datetime.fromisoformat(window[1])))

    promised.come(datetime.fromisoformat(comes))

    assert promised.ledger == [GIVEN, ends]


def test_a_day_of_the_ledger_is_the_territorys(world: World) -> None:
    visit = world.job(world.service()).appointment
    begins = {
        "the last minute of the 13th": "2027-03-14T04:59:00Z",
        "midnight": "2027-03-14T05:00:00Z",
        "the last minute of a day of 23 hours": "2027-03-15T03:59:00Z",
        "the midnight after": "2027-03-15T04:00:00Z",
    }
    for start in begins.values():
        window = datetime.fromisoformat(start), datetime.fromisoformat(start) + timedelta(hours=1)
        enter(world.session, world.organization.id, visit.id, GIVEN, window, NOW, DISPATCHER)

    shown = starts(world.session, world, LedgerWish(from_=date(2027, 3, 14), to=date(2027, 3, 14)))

    assert shown == {
        datetime.fromisoformat(begins[name]) for name in ("midnight", "the last minute of a day of 23 hours")
    }


def starts(session: Session, world: World, wish: LedgerWish) -> set[datetime]:
    return {line.window_start for line in session.exec(lines_like(session, world.organization.id, wish))}
