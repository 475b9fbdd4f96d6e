"""The sweep finds what it is there to find: each fault planted alone in a day that is sound."""

from dataclasses import replace

import pytest

from tests.races.sweep import Asked, Block, Calendars, Held, Shift, Visit, faults, travel_s

HOUR = 3600
HOME, NEAR, FAR = (40.7, -74.0), (40.7, -73.99), (40.7, -73.9)
WINDOW = (9 * HOUR, 11 * HOUR)
SHIFT = Shift(1, 8 * HOUR, 16 * HOUR, HOME)
VISIT = Visit("visit", "acme", "scheduled", WINDOW, 9 * HOUR + 600, 1, HOUR, 600, 0, ("given", *WINDOW))
BLOCK = Block(1, "visit", 8 * HOUR + 2400, 9 * HOUR, 10 * HOUR + 600, NEAR, "visit")
HELD = Held("hold", "request", (12 * HOUR, 13 * HOUR), 0, False, False)
HOLD = Block(1, "hold", 12 * HOUR, 12 * HOUR + 1800, 13 * HOUR, FAR, "hold")
SOUND = Calendars((BLOCK, HOLD), (VISIT,), (HELD,), (SHIFT,))


def test_a_sound_day_has_no_faults() -> None:
    assert faults(SOUND) == []


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"blocks": (BLOCK, replace(HOLD, busy_from=10 * HOUR))}, "1 is in two places: visit and hold"),
        ({"blocks": (BLOCK, replace(HOLD, work_from=12 * HOUR + 900))}, "hold begins before anybody can be"),
        ({"shifts": (replace(SHIFT, ends=13 * HOUR + 900),)}, "hold ends too late to be home in time"),
        ({"shifts": (replace(SHIFT, begins=9 * HOUR),)}, "visit lies in no shift"),
        ({"blocks": (HOLD,)}, "visit is scheduled and in nobody's calendar"),
        ({"visits": (replace(VISIT, status="cancelled"),)}, "visit is cancelled and takes time"),
        (
            {"blocks": (HOLD,), "visits": (replace(VISIT, status="unassigned"),)},
            "visit is promised and in nobody's calendar",
        ),
        ({"visits": (replace(VISIT, technician=2),)}, "visit stands in the calendar otherwise than it is"),
        ({"visits": (replace(VISIT, starts=9 * HOUR),)}, "visit stands in the calendar otherwise than it is"),
        ({"visits": (replace(VISIT, work_s=HOUR + 1),)}, "visit does not get the time that it takes"),
        (
            {
                "visits": (
                    replace(VISIT, window=(10 * HOUR, 11 * HOUR), last=("given", 10 * HOUR, 11 * HOUR)),
                )
            },
            "visit begins outside its window",
        ),
        ({"visits": (replace(VISIT, last=None),)}, "visit is promised and the ledger says None"),
        ({"visits": (replace(VISIT, last=("withdrawn", *WINDOW)),)}, "visit is promised and the ledger says"),
        ({"visits": (replace(VISIT, last=("given", 0, 1)),)}, "visit is promised another window than"),
        ({"holds": (replace(HELD, is_released=True),)}, "hold was released and takes time"),
        ({"blocks": (BLOCK,)}, "hold is held and takes no time"),
        ({"holds": (replace(HELD, window=(13 * HOUR, 14 * HOUR)),)}, "hold is held outside its window"),
        ({"holds": ()}, "hold takes time and is nothing"),
        ({"blocks": (BLOCK, replace(BLOCK, technician=2), HOLD)}, "visit takes time 2 times"),
    ],
)
def test_a_fault_is_found(changed: dict[str, tuple[object, ...]], fault: str) -> None:
    found = faults(replace(SOUND, **changed))  # type: ignore[arg-type]

    assert any(said.startswith(fault) for said in found), found


def test_a_request_that_holds_three_windows_is_found() -> None:
    holds = tuple(replace(HELD, id=f"hold {n}") for n in range(3))

    assert "request holds 3 windows" in faults(replace(SOUND, holds=holds))


def test_a_promise_whose_technician_fell_away_waits_for_another() -> None:
    waiting = replace(VISIT, status="unassigned", technician=None, starts=None)
    calendars = replace(SOUND, blocks=(HOLD,), visits=(waiting,))

    assert faults(calendars, waiting={"visit"}) == []


def test_travel_is_a_little_less_than_the_engine_reckons() -> None:
    """A hundredth of a degree at 40.7 N is 845 m: 187.2 seconds a kilometre, and 120 to park."""
    assert 0.97 * (187.2 * 0.845 + 120) < travel_s(HOME, NEAR) < 187.2 * 0.845 + 120


ASKED = Asked("offer", "visit", 1, "direct", "pending", "running")
ASKING = replace(SOUND, blocks=(replace(BLOCK, kind="offer"), HOLD), offers=(ASKED,))


def test_a_visit_that_one_is_asked_about_stands_as_an_offer() -> None:
    assert faults(ASKING) == []


@pytest.mark.parametrize(
    ("offers", "fault"),
    [
        ((replace(ASKED, status="accepted"),), "visit is accepted by 1 and scheduled with 1"),
        ((replace(ASKED, status="accepted"),) * 2, "visit is accepted 2 times"),
        ((replace(ASKED, technician=2),), "visit is asked of 2 alone and scheduled with 1"),
        ((replace(ASKED, strategy="broadcast"),), "visit is asked of several and scheduled"),
        ((replace(ASKED, round_status="filled"),), "visit is asked of 1 in a round that is filled"),
        ((replace(ASKED, status="expired"),), "visit stands as offer, asked alone: False"),
    ],
)
def test_a_fault_of_offers_is_found(offers: tuple[Asked, ...], fault: str) -> None:
    found = faults(replace(ASKING, offers=offers))

    assert any(said.startswith(fault) for said in found), found
