"""Who may do what, and the reasons that come from the same rules."""

from dataclasses import replace

import pytest

from optimizer import Pin, Shift, Visit
from optimizer.eligibility import Fleet, broken_rules, eligibility, grouped, reason_for
from optimizer.plan import Reason
from tests.optimizer.worlds import ADA, BEN, LAMP, OVEN, SINK, TAP, small_day


def may(visit: Visit, *shifts: Shift) -> list[bool]:
    day = small_day(visit, *shifts)
    allowed: list[bool] = eligibility([visit], Fleet.of(day.shifts, day.travel))[0].tolist()
    return allowed


@pytest.mark.parametrize(
    ("visit", "expected"),
    [
        (TAP, [True, True]),
        (SINK, [True, False]),
        (LAMP, [False, True]),
        (replace(OVEN, skills={"electrics": 3}), [False, False]),
        (replace(TAP, required=frozenset({"ben"})), [False, True]),
        (replace(TAP, excluded=frozenset({"ben"})), [True, False]),
        (replace(TAP, preferred=frozenset({"ben"})), [True, True]),
    ],
)
def test_skills_levels_and_names_decide_who_may(visit: Visit, expected: list[bool]) -> None:
    assert may(visit) == expected


def test_the_radius_is_travel_distance_from_the_start_place_and_belongs_to_it() -> None:
    assert may(TAP, replace(ADA, radius_m=5_000)) == [True, True]
    assert may(TAP, replace(ADA, radius_m=4_999)) == [False, True]


def test_a_pin_decides_alone() -> None:
    pinned = replace(SINK, pin=Pin("ben"), excluded=frozenset({"ben"}), required=frozenset({"ada"}))

    assert may(pinned, replace(BEN, radius_m=1)) == [False, True]


@pytest.mark.parametrize(
    ("visit", "shift", "code", "detail", "by"),
    [
        (LAMP, ADA, "skill_missing", "lacks electrics", None),
        (SINK, BEN, "level_too_low", "plumbing is below level 2", 1),
        (replace(TAP, excluded=frozenset({"ada"})), ADA, "excluded", "excluded from this visit", None),
        (replace(TAP, required=frozenset({"ben"})), ADA, "excluded", "only ben may", None),
        (replace(TAP, pin=Pin("ben")), ADA, "excluded", "pinned to ben", None),
    ],
)
def test_the_broken_rule_is_the_reason(
    visit: Visit, shift: Shift, code: str, detail: str, by: int | None
) -> None:
    fleet = Fleet.of((shift,), small_day().travel)

    reason = reason_for(visit, fleet, 0, int(broken_rules(visit, fleet)[0]))

    assert reason == Reason(code, detail, (shift.technician,), by)  # type: ignore[arg-type]


def test_equal_reasons_are_told_once_with_all_technicians_and_the_smallest_gap() -> None:
    told = grouped(
        [
            Reason("level_too_low", "x", ("ada",), 2),
            Reason("level_too_low", "x", ("ben",), 1),
            Reason("excluded", "y"),
        ]
    )

    assert told == (Reason("level_too_low", "x", ("ada", "ben"), 1), Reason("excluded", "y"))
