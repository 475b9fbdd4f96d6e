"""The ground that the other tests stand on."""

from contextlib import ExitStack
from datetime import UTC, datetime

import pytest
from sqlmodel import Session, select

from dispatch.organization import Organization
from tests.support.clock import START, FakeClock
from tests.support.machine import FINDERS, Machine
from tests.support.services import LeftOut


@pytest.mark.parametrize("turn", ["first", "second"])
def test_every_test_has_an_empty_database_of_its_own(session: Session, turn: str) -> None:
    found_before = session.exec(select(Organization)).all()

    session.add(Organization(slug="same", name=turn, currency="USD", time_zone="UTC", created_at=START))
    session.commit()

    assert found_before == []


def test_the_clock_moves_only_when_told() -> None:
    clock = FakeClock(datetime(2027, 3, 2, 13, 0, tzinfo=UTC))

    told = clock.advance(hours=1, seconds=30)

    assert clock() == clock.now() == told == datetime(2027, 3, 2, 14, 0, 30, tzinfo=UTC)


def test_the_clock_refuses_an_instant_without_a_zone() -> None:
    clock = FakeClock()

    with pytest.raises(ValueError, match="aware"):
        clock.move_to(datetime(2027, 3, 2, 13, 0))  # noqa: DTZ001


def test_what_is_missing_is_looked_for_once_and_named_with_its_remedy(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    searches = []

    def find_nothing(_: ExitStack) -> None:
        searches.append("chromium")
        raise LeftOut("no browser is on PATH", "Chromium")

    monkeypatch.setitem(FINDERS, "chromium", find_nothing)
    machine = Machine()
    request.node.add_marker("chromium")

    for _ in range(2):
        with pytest.raises(pytest.skip.Exception, match="no browser is on PATH"):
            machine.require(request.node)

    assert searches == ["chromium"]
    assert machine.account() == [
        "chromium: 2 tests left out, because no browser is on PATH",
        "    to run them: Chromium",
    ]
